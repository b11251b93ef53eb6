//! The requests of a stream that have not ended, and the order in which close reports them.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::outcome::Outcome;
use super::write_queue::WriteQueue;
use super::{AlongOf, ReadCallback, Stream, StreamHandle, is};
use crate::error::Canceled;
use crate::event_loop::{AliveReason, RequestId, TimerKey};
use crate::line::Line;
use crate::request::Ticket;
use crate::task::Waiting;

/// What most streams do not have: requests under way, and whoever else waits for something.
pub(super) struct Outgoing<H: StreamHandle> {
    pub(super) connect: Option<Rc<Ticket<()>>>,
    pub(super) connect_limit: Option<TimerKey>,
    pub(super) writes: WriteQueue<Rc<Ticket<()>>, AlongOf<H>>,
    /// Who waits for the shutdown: at most one shutdown and those who finish the stream.
    pub(super) shutdown: VecDeque<Rc<Ticket<()>>>,
    pub(super) drains: Line<Rc<Ticket<()>>>,
    /// Who waits for room, by the futures-io traits.
    pub(super) writers: Vec<Waker>,
    /// Who waits for data by these traits, beside the one that the stream itself knows of.
    pub(super) readers: Vec<Waiting>,
    /// Read callbacks that have still to hear that their connect failed.
    pub(super) unconnected: VecDeque<(Box<ReadCallback<H>>, io::Error)>,
    /// The same for a wait for data, by its number: [`BY_TRAIT`] for those of the futures-io traits.
    pub(super) cut_off: Option<(u32, io::Error)>,
    /// What came along with the data and waits to be taken.
    pub(super) arrived: Option<AlongOf<H>>,
    pub(super) high_water: Option<usize>,
    /// The log was told that the queue is far above its mark.
    pub(super) warned: bool,
}

/// The waits of the futures-io traits have no number.
pub(super) const BY_TRAIT: u32 = 0;

// Not derived, since that would ask it of the handles, too.
impl<H: StreamHandle> Default for Outgoing<H> {
    fn default() -> Outgoing<H> {
        Outgoing {
            connect: None,
            connect_limit: None,
            writes: WriteQueue::default(),
            shutdown: VecDeque::new(),
            drains: Line::default(),
            writers: Vec::new(),
            readers: Vec::new(),
            unconnected: VecDeque::new(),
            cut_off: None,
            arrived: None,
            high_water: None,
            warned: false,
        }
    }
}

impl<H: StreamHandle> Outgoing<H> {
    fn is_needed(&self) -> bool {
        self.is_busy()
            || !self.drains.is_empty()
            || !self.writers.is_empty()
            || !self.readers.is_empty()
            || self.cut_off.is_some()
            || self.arrived.is_some()
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

    /// True if there is something to do that nobody needs to hold the handle for.
    fn is_busy(&self) -> bool {
        self.has_requests() || !self.unconnected.is_empty()
    }

    /// The next request in the order in which close reports them.
    fn pop(&mut self) -> Option<Rc<Ticket<()>>> {
        let next = self.connect.take().or_else(|| self.writes.pop());
        next.or_else(|| self.shutdown.pop_front()).or_else(|| self.drains.pop())
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
        let place = request.place;
        let canceled = self.pop_with(|Outgoing { writes, drains, .. }| {
            let drain = drains.get(place).is_some_and(is_it).then(|| drains.remove(place));
            drain.flatten().or_else(|| writes.cancel(place, is_it))
        });
        let Some(ticket) = canceled else {
            return false;
        };
        let mut outcome = Outcome::default();
        outcome.end(ticket, Err(Canceled.into()));
        self.after_progress(&mut outcome);
        self.tell(outcome);
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
        let use_of = |outgoing: &mut Outgoing<H>| (outgoing.is_needed(), outgoing.is_busy());
        let (is_needed, has_work) = self.outgoing.with(use_of).unwrap_or((false, false));
        if !is_needed {
            drop(self.outgoing.take());
        }
        let is_busy = self.flags.is(is::READING) || has_work;
        self.core.pin_while(is_busy, &self.flags, is::PINNED);
    }

    /// Tells the program what has happened. The stream must be whole.
    pub(super) fn tell(&self, outcome: Outcome) {
        outcome.tell(&self.core.event_loop().inner().tasks);
    }

    pub(super) fn pop_request(&self) -> Option<Rc<Ticket<()>>> {
        self.pop_with(Outgoing::pop)
    }

    pub(super) fn pop_with<T>(&self, pop: impl FnOnce(&mut Outgoing<H>) -> Option<T>) -> Option<T> {
        self.outgoing.with(pop).flatten()
    }

    pub(super) fn with_outgoing<R>(&self, change: impl FnOnce(&mut Outgoing<H>) -> R) -> R {
        self.outgoing.with_or_insert(Outgoing::default, change)
    }
}
