//! What is queued: it is sent as room appears, and then what waits for that has its turn: a shutdown, drains, a task.

use std::io::{self, IoSlice};
use std::mem;
use std::rc::Rc;

use log::warn;

use super::outcome::Outcome;
use super::requests::Outgoing;
use super::write_queue::{SLICES_PER_SEND, WriteQueue};
use super::writing::length_of;
use super::{AlongOf, Stream, StreamHandle, Transport, copy_of, is};
use crate::error::Misuse;
use crate::request::{OnDrop, Origin, Request};

/// How far above its mark a queue is that is worth a warning: so much that no program gets there which looks at the mark
/// now and then, and so little (4 MiB with the default mark) that it is told long before the memory is used up.
const FAR_ABOVE: usize = 64;

/// Less than this is never far, however low the mark.
const LEAST_FAR: usize = 1 << 20;

impl<H: StreamHandle> Stream<H> {
    pub(crate) fn shutdown(&self, origin: Origin) -> Request<()> {
        if !self.core.is_closing() && self.flags.is(is::SHUT) {
            return Request::finished(origin, Err(Misuse::NotConnected.into()));
        }
        self.end_writing(origin)
    }

    /// Shuts down after what is queued, or waits for the shutdown that is on its way.
    pub(crate) fn end_writing(&self, origin: Origin) -> Request<()> {
        if let Err(misuse) = self.core.check_open() {
            return Request::finished(origin, Err(misuse.into()));
        }
        if self.flags.is(is::BROKEN) || !self.flags.is(is::CONNECTED | is::CONNECTING) {
            return Request::finished(origin, Err(Misuse::NotConnected.into()));
        }
        self.flags.set(is::SHUT);
        if !self.flags.is(is::CONNECTING | is::QUEUED) {
            return Request::finished(origin, self.shut_down());
        }
        let (request, ticket) = Request::pending(origin, "shutdown", OnDrop::GoOn);
        self.with_outgoing(|outgoing| outgoing.shutdown.push_back(ticket));
        // During a connect it is all that there may be to go on with.
        self.flags.set(is::QUEUED);
        self.update_hold();
        request
    }

    /// True if closing now would lose nothing that was accepted for writing, and would tell the peer so.
    pub(crate) fn may_close_at_once(&self) -> bool {
        let must_be_told =
            self.flags.is(is::SHOWN) && self.flags.is(is::CONNECTED) && !self.flags.is(is::SHUT);
        !must_be_told && !self.flags.is(is::CONNECTING | is::QUEUED | is::LOSSY)
    }

    pub(crate) fn write_queue_size(&self) -> usize {
        self.outgoing.with(|outgoing| outgoing.writes.bytes()).unwrap_or(0)
    }

    pub(crate) fn set_high_water(&self, bytes: usize) {
        let mut outcome = Outcome::default();
        self.with_outgoing(|outgoing| outgoing.high_water = Some(bytes));
        self.finish_drains(&mut outcome);
        self.tell(outcome);
    }

    pub(crate) fn needs_drain(&self) -> bool {
        self.flags.is(is::QUEUED) && self.write_queue_size() > self.high_water()
    }

    pub(crate) fn drained(&self, origin: Origin) -> Request<()> {
        if let Err(misuse) = self.core.check_open() {
            return Request::finished(origin, Err(misuse.into()));
        }
        if !self.needs_drain() {
            return Request::finished(origin, Ok(()));
        }
        let (request, ticket) = Request::pending(origin, "drained", OnDrop::Cancel);
        let place = self.with_outgoing(|outgoing| outgoing.drains.push(Rc::clone(&ticket)));
        ticket.set_place(place);
        request
    }

    /// Tells the log, once a stream, that more is written although a queue far above its mark waits: nobody there waits for
    /// the peer. One large write is no reason, nor is a program that stops writing at the mark: both find less in the
    /// queue.
    pub(super) fn warn_if_swamped(&self, queued_before: usize) {
        let far = self.high_water().saturating_mul(FAR_ABOVE).max(LEAST_FAR);
        let is_news = |outgoing: &mut Outgoing<H>| !mem::replace(&mut outgoing.warned, true);
        if queued_before <= far || self.outgoing.with(is_news) != Some(true) {
            return;
        }
        let (kind, place) = (self.core.kind(), self.core.place());
        warn!(
            "{queued_before} bytes wait in the queue of the {kind} made at {place}, and more is written: its peer reads too \
             slowly; await the writes, or pause while needs_drain() is true"
        );
    }

    fn high_water(&self) -> usize {
        let own = self.outgoing.with(|outgoing| outgoing.high_water).flatten();
        own.unwrap_or(self.core.event_loop().inner().limits.high_water)
    }

    /// Sends what is queued, within the budget.
    pub(super) fn write_pass(&self, outcome: &mut Outcome) {
        if !self.flags.has(is::QUEUED | is::WRITABLE | is::CONNECTED) {
            return;
        }
        for _ in 0..self.core.event_loop().inner().limits.writes_per_turn {
            match self.send_queued() {
                Ok(()) => self.finish_sent(outcome),
                Err(err) => self.fail_writes(&err, outcome),
            }
            self.after_progress(outcome);
            if !self.flags.has(is::QUEUED | is::WRITABLE) {
                return;
            }
        }
        self.resume_later();
    }

    fn send_queued(&self) -> io::Result<()> {
        self.outgoing.with(|outgoing| self.send_front(&mut outgoing.writes)).unwrap_or(Ok(()))
    }

    fn send_front<T>(&self, writes: &mut WriteQueue<T, AlongOf<H>>) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_SEND];
        let (count, along) = writes.front(&mut slices);
        let slices = &slices[..count];
        let length = length_of(slices);
        let taken = match (slices, along) {
            ([], _) => return Ok(()), // nothing but empty writes
            ([slice], None) => self.attempt(|socket| socket.send(slice), length)?,
            (_, Some(along)) => self.attempt(|socket| socket.send_along(slices, along), length)?,
            (_, None) => self.attempt(|socket| socket.send_vectored(slices), length)?,
        };
        writes.advance(taken);
        Ok(())
    }

    /// Ends the requests whose data is with the kernel, in order.
    fn finish_sent(&self, outcome: &mut Outcome) {
        self.outgoing.with(|outgoing| {
            while let Some(ticket) = outgoing.writes.pop_sent() {
                outcome.end(ticket, Ok(()));
            }
        });
    }

    /// Writing failed: every queued write gets the error, and so does what waits for the queue to empty.
    fn fail_writes(&self, err: &io::Error, outcome: &mut Outcome) {
        self.flags.set(is::LOSSY);
        // A connect cannot be among them.
        while let Some(ticket) = self.pop_request() {
            outcome.end(ticket, Err(copy_of(err)));
        }
    }

    /// After the queue became shorter, in whatever way.
    pub(super) fn after_progress(&self, outcome: &mut Outcome) {
        let is_empty = self.outgoing.with(|outgoing| outgoing.writes.is_empty()).unwrap_or(true);
        if is_empty && !self.flags.is(is::CONNECTING) {
            self.flags.unset(is::QUEUED);
            while let Some(ticket) = self.pop_with(|outgoing| outgoing.shutdown.pop_front()) {
                outcome.end(ticket, self.shut_down());
            }
        }
        self.finish_drains(outcome);
        self.stop_awaiting_room(outcome);
        self.update_hold();
    }

    /// There is room, or there never will be: all who wait for it look again.
    pub(super) fn stop_awaiting_room(&self, outcome: &mut Outcome) {
        if self.flags.is(is::ROOM_AWAITED) {
            self.flags.unset(is::ROOM_AWAITED);
            self.core.event_loop().inner().count_outside(false);
            let writers = self.outgoing.with(|outgoing| mem::take(&mut outgoing.writers));
            outcome.wake_writers(writers.unwrap_or_default());
        }
    }

    fn finish_drains(&self, outcome: &mut Outcome) {
        let low_water = self.high_water() / 2;
        self.outgoing.with(|Outgoing { writes, drains, .. }| {
            if writes.bytes() <= low_water {
                while let Some(ticket) = drains.pop() {
                    outcome.end(ticket, Ok(()));
                }
            }
        });
    }

    /// Tells the peer that this was all. Not a success if something that was accepted could not be sent.
    fn shut_down(&self) -> io::Result<()> {
        if self.flags.is(is::LOSSY) {
            return Err(Misuse::ShutDown.into());
        }
        if self.flags.is(is::WRITE_ONLY) {
            // There is no other way to tell whoever reads, and nothing left to do with it.
            self.drop_socket();
            return Ok(());
        }
        self.socket.borrow().as_ref().map_or(Ok(()), H::Transport::shut_down)
    }
}
