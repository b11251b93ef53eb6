//! The requests of a stream that have not ended, and the order in which close reports them.

use std::rc::Rc;
use std::task::Waker;

use super::write_queue::WriteQueue;
use super::{Stream, StreamHandle, is};
use crate::error::Canceled;
use crate::event_loop::{AliveReason, RequestId, TimerKey};
use crate::request::Ticket;

/// The requests of a stream.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) connect: Option<Rc<Ticket<()>>>,
    pub(super) connect_limit: Option<TimerKey>,
    pub(super) writes: WriteQueue<Rc<Ticket<()>>>,
    /// Who waits for the shutdown: at most one shutdown and those who finish the stream.
    pub(super) shutdown: Vec<Rc<Ticket<()>>>,
    pub(super) drains: Vec<Rc<Ticket<()>>>,
    /// The task that waits for room, by the futures-io traits.
    pub(super) writer: Option<Waker>,
    pub(super) high_water: Option<usize>,
    /// The log was told that the queue is far above its mark.
    pub(super) warned: bool,
}

impl Outgoing {
    fn is_needed(&self) -> bool {
        self.has_requests()
            || !self.drains.is_empty()
            || self.writer.is_some()
            || self.high_water.is_some()
            || self.warned
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        reasons.extend(self.connect.iter().map(|ticket| ticket.reason("not connected yet".into())));
        let writes = self.writes.waiting();
        reasons.extend(
            writes.map(|(ticket, bytes)| ticket.reason(format!("{bytes} bytes not sent yet"))),
        );
        reasons.extend(
            self.shutdown
                .iter()
                .map(|ticket| ticket.reason("waits for the writes before it".into())),
        );
        reasons.extend(
            self.drains.iter().map(|ticket| ticket.reason("waits for the queue to drain".into())),
        );
    }

    fn has_requests(&self) -> bool {
        self.connect.is_some() || !self.writes.is_empty() || !self.shutdown.is_empty()
    }

    /// The next request in the order in which close reports them.
    fn pop(&mut self) -> Option<Rc<Ticket<()>>> {
        let next = self.connect.take().or_else(|| self.writes.pop());
        next.or_else(|| pop_first(&mut self.shutdown)).or_else(|| pop_first(&mut self.drains))
    }
}

impl<H: StreamHandle> Stream<H> {
    /// In the closing phase: the next request that close cut short gets its error.
    pub(crate) fn call_next_request(&self) -> bool {
        let next = self.pop_request();
        next.map(|ticket| ticket.finish_now(Err(Canceled.into()))).is_some()
    }

    /// The loop is gone: nobody is called.
    pub(crate) fn discard_requests(&self) {
        while let Some(ticket) = self.pop_request() {
            ticket.finish_silently();
        }
    }

    /// Cancels a request of this stream if none of it has happened yet.
    pub(crate) fn cancel(&self, request: RequestId) -> bool {
        if self.core.is_closing() {
            // All of them hear of the close, in the order of the closing phase.
            return false;
        }
        let is_it = |ticket: &Rc<Ticket<()>>| ticket.id() == request;
        if self.outgoing.with(|outgoing| outgoing.connect.as_ref().is_some_and(is_it)) == Some(true)
        {
            self.fail_connect(Canceled.into());
            return true;
        }
        let canceled = self.pop_with(|Outgoing { writes, drains, .. }| {
            let drain = drains.iter().position(is_it).map(|at| drains.remove(at));
            drain.or_else(|| writes.cancel(is_it))
        });
        let Some(ticket) = canceled else {
            return false;
        };
        ticket.finish(Err(Canceled.into()));
        self.after_progress();
        true
    }

    /// Requests that close cut short are still there until the closing phase, but nothing goes on.
    pub(crate) fn is_active(&self) -> bool {
        let has_requests = || self.outgoing.with(|outgoing| outgoing.has_requests()) == Some(true);
        self.core.is_active() || !self.core.is_closing() && has_requests()
    }

    pub(crate) fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || "reading".to_string());
        self.outgoing.with(|outgoing| outgoing.report(reasons));
    }

    /// Has the loop keep the handle alive exactly while there is something to do that nobody needs to hold it for.
    pub(super) fn update_hold(&self) {
        let use_of = |outgoing: &mut Outgoing| (outgoing.is_needed(), outgoing.has_requests());
        let (is_needed, has_requests) = self.outgoing.with(use_of).unwrap_or((false, false));
        if !is_needed {
            drop(self.outgoing.take());
        }
        let is_busy = self.is(is::READING) || has_requests;
        if is_busy == self.is(is::PINNED) || self.core.is_closing() {
            return;
        }
        if is_busy {
            self.set(is::PINNED);
            self.core.pin();
        } else {
            self.unset(is::PINNED);
            self.core.unpin();
        }
    }

    pub(super) fn pop_request(&self) -> Option<Rc<Ticket<()>>> {
        self.pop_with(Outgoing::pop)
    }

    pub(super) fn pop_with<T>(&self, pop: impl FnOnce(&mut Outgoing) -> Option<T>) -> Option<T> {
        self.outgoing.with(pop).flatten()
    }

    pub(super) fn with_outgoing(&self, change: impl FnOnce(&mut Outgoing)) {
        self.outgoing.with_or_insert(Outgoing::default, change);
    }
}

pub(super) fn pop_first<T>(list: &mut Vec<T>) -> Option<T> {
    if list.is_empty() { None } else { Some(list.remove(0)) }
}
