//! What the loop knows of the things that live on it: small traits, so that it depends on none of their kinds.
//!
//! # Where the program's code runs
//!
//! The program's code is not only callbacks and polls of futures. It also runs
//!
//! - in destructors: of a closure, when it is replaced, cleared or discarded, and when the last `Rc` of its handle goes; of
//!   a future or its output; of the payload of a panic;
//! - in a waker that is not the loop's: in its clone, its wake, and its drop, `Cell::set` over one included;
//! - in the logger, and in what `{}` formats for it.
//!
//! There it may panic, use the same handle, run another loop, or drop the last clone of anything. So, in such a place:
//!
//! 1. *The state is whole before.* Set the flags, count, and take out of the lists first; run the program's code last. No
//!    guard of a `RefCell` is held, no [`Rare`](crate::handle::Rare) is on loan.
//! 2. *Look again after.* What was true before may not be: after the clone of a waker, look whether what it waits for has
//!    come (`set_waker`, `Ticket::poll`), or leave a mark that whoever wakes takes away (`WaitingTask`, `Waiters`).
//! 3. *One that panics does not cost the others theirs.* A list of the loop's own is emptied one by one, so that the next run
//!    goes on with the rest; one that has left its place, or must be done with in one go, is run through
//!    [`Panics`](crate::panics::Panics). Nothing of the program's is dropped while the stack unwinds, as far as that can be
//!    helped: a second panic would end the process.
//!
//! `tests/foreign_code.rs` goes through all of these places.

use std::rc::Rc;

use super::alive::AliveReason;
use crate::handle::{Core, Handle};

/// What a poll said about a socket, in flags that streams use as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness(u32);

impl Readiness {
    /// There is something to read: data, a connection, an end or an error.
    pub(crate) const READABLE: u32 = 1 << 2;
    /// There is room to write, a connect ended, or there is an error.
    pub(crate) const WRITABLE: u32 = 1 << 3;
    /// Something ended (the peer shut down or there is an error) or is urgent, so that a short read has not drained the
    /// socket.
    pub(crate) const EXCEPTIONAL: u32 = 1 << 4;

    /// There may be room to write.
    pub(crate) const WRITABLE_ONLY: Readiness = Readiness(Readiness::WRITABLE);

    /// There may be something to read.
    #[cfg(test)]
    pub(crate) const READABLE_ONLY: Readiness = Readiness(Readiness::READABLE);

    #[inline]
    pub(crate) fn of(event: &mio::event::Event) -> Readiness {
        let mut flags = 0;
        if event.is_readable() {
            flags |= Readiness::READABLE;
        }
        if event.is_writable() {
            flags |= Readiness::WRITABLE;
        }
        // A closed writing side is writable, too, or one of these.
        if event.is_error() || event.is_read_closed() || event.is_priority() {
            flags |= Readiness::ended(event);
        }
        Readiness(flags)
    }

    #[cold]
    fn ended(event: &mio::event::Event) -> u32 {
        let read = Readiness::READABLE | Readiness::EXCEPTIONAL;
        let write_too = event.is_write_closed() || event.is_error();
        if write_too { read | Readiness::WRITABLE } else { read }
    }

    #[inline]
    pub(crate) fn flags(self) -> u32 {
        self.0
    }
}

/// A handle, as the loop sees it. Methods that a kind has no use for do nothing.
pub(crate) trait Object: 'static {
    /// The poll had an event for this handle.
    #[inline]
    fn polled(self: Rc<Self>, event: &mio::event::Event) {
        self.ready(Readiness::of(event));
    }

    /// What streams want to know of such an event.
    fn ready(self: Rc<Self>, _readiness: Readiness) {}

    /// The handle asked for another go in this turn (see `LoopInner::resume_next_turn`).
    fn resume(self: Rc<Self>) {}

    /// The handle asked to be called after the other events of this batch (see `LoopInner::call_late`).
    fn late(self: Rc<Self>) {}

    /// The handle queued itself behind its requests (see `Job::Handle`).
    fn pending(self: Rc<Self>) {}

    /// A sender in some thread asked for this notifier's callback.
    fn notified(self: Rc<Self>) {}

    /// The part that all handles have.
    fn core(&self) -> &Core;

    /// True if the handle is doing something that can call back.
    fn is_active(&self) -> bool {
        self.core().is_active()
    }

    /// Called when close is: gives the descriptor back and stops everything. Calls no callback but may wake tasks. Called
    /// again after a panic when the loop is dropped, it goes on behind it, as do the other two of that time.
    fn release(&self);

    /// In the closing phase: calls back the next request that close cut short. False if none is left.
    fn call_next_request(&self) -> bool {
        false
    }

    /// The loop is being dropped: ends the unfinished requests without calling anybody back.
    fn discard_requests(&self) {}

    /// Drops the callbacks: the last thing in the life of a handle.
    fn drop_callbacks(&self);

    /// Cancels a request if that is still possible.
    fn cancel(&self, _request: RequestId) -> bool {
        false
    }

    /// Adds what keeps the loop running because of this handle.
    fn report(&self, reasons: &mut Vec<AliveReason>);

    /// Shows the public handle to `visit`.
    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle));
}

/// Something that can be queued for a later pass without allocating.
pub(crate) trait Runnable {
    fn run(self: Rc<Self>);

    /// The loop is gone, so it will never run.
    fn discard(self: Rc<Self>) {}
}

/// Something with a deadline.
pub(crate) trait Expire {
    /// The deadline has come. The timer is no longer armed.
    fn expire(self: Rc<Self>);
}

/// Tells the requests of a handle apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    /// The address of the state that the request and the handle share.
    pub(crate) address: usize,
    /// Where the handle keeps it, if it is in a line of many.
    pub(crate) place: u64,
}
