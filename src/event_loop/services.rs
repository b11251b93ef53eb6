//! What handles, requests and tasks ask of the loop.

use std::cell::{Cell, RefMut};
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

use log::warn;

use super::{Expire, IN_KERNEL, Key, LoopInner, Nanos, Object, Pending, TimerKey};
use crate::error::Misuse;

impl LoopInner {
    /// An error if the loop runs already.
    pub(crate) fn check_not_running(&self) -> Result<(), Misuse> {
        if self.running.get() { Err(Misuse::NestedRun) } else { Ok(()) }
    }

    /// Registers a socket of the handle with this key. From then on, events of its earlier sockets do not reach it.
    pub(crate) fn register(
        &self,
        key: Key,
        socket: &mut impl mio::event::Source,
        interest: mio::Interest,
    ) -> io::Result<()> {
        self.handles.register(key, |token| {
            self.poller.with_registry(|registry| registry.register(socket, token, interest))
        })
    }

    /// Changes what the registered socket of the handle with this key is polled for, and has the next poll tell what is so,
    /// whatever it has told already. Events that were fetched before still reach the handle.
    pub(crate) fn reregister(
        &self,
        key: Key,
        socket: &mut impl mio::event::Source,
        interest: mio::Interest,
    ) -> io::Result<()> {
        let token = self.handles.token(key);
        self.poller.with_registry(|registry| match registry.reregister(socket, token, interest) {
            // mio's poll(2) selector forgets by itself whatever has hung up.
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                registry.register(socket, token, interest)
            }
            done => done,
        })
    }

    /// Takes a socket out of the selector that goes on elsewhere, or that somebody may have duplicated: its events end.
    pub(crate) fn deregister(&self, socket: &mut impl mio::event::Source) -> io::Result<()> {
        self.poller.with_registry(|registry| registry.deregister(socket))
    }

    /// Closes a registered socket. `shown` says that somebody may have a duplicate of it.
    pub(crate) fn close_socket(&self, mut socket: impl mio::event::Source, shown: bool) {
        // A selector of the kernel forgets a socket when its last descriptor is closed. Where there may be another
        // descriptor, or another selector, it has to be said.
        if !IN_KERNEL || shown {
            let _ = self.deregister(&mut socket);
        }
        drop(socket);
        self.descriptor_closed();
    }

    /// The time from which a timer counts that is started now: the cached one, which is old if no run looks after it.
    #[inline]
    pub(crate) fn time_of_start(&self) -> Nanos {
        if !self.running.get() {
            self.clock.update();
        }
        self.clock.now()
    }

    /// Starts a timer; it is kept alive until it expires or is disarmed.
    pub(crate) fn arm(&self, due: Nanos, timer: Rc<dyn Expire>) -> TimerKey {
        self.timers.borrow_mut().insert(due, timer)
    }

    /// Stops a timer, if it is still armed.
    pub(crate) fn disarm(&self, key: TimerKey) {
        let stopped = self.timers.borrow_mut().remove(key);
        // Outside the borrow, since it may be the last reference.
        drop(stopped);
    }

    /// Queues a callback for the next pending pass.
    pub(crate) fn queue(&self, pending: Pending) {
        if self.gone.get() {
            return pending.discard();
        }
        self.pending.push(pending);
    }

    /// Calls `resume()` of this handle among the next turn's I/O callbacks, unless it is gone by then; that turn does not
    /// sleep.
    pub(crate) fn resume_next_turn(&self, key: Key) {
        self.resuming.borrow_mut().push_back(key);
    }

    /// Calls `object.late()` after the other I/O callbacks of this turn.
    #[cfg(feature = "signal")]
    pub(crate) fn call_late(&self, object: Rc<dyn Object>) {
        self.late.borrow_mut().push_back(object);
    }

    /// Completes the closing of `object` in the next closing phase.
    pub(crate) fn complete_close(&self, object: Rc<dyn Object>) {
        self.closing.borrow_mut().push_back(object);
    }

    /// A descriptor was closed: listeners that found none may try again.
    pub(crate) fn descriptor_closed(&self) {
        for listener in self.descriptors.take_resting() {
            self.resume_next_turn(listener.core().key());
        }
    }

    /// One more (or one less) active and referenced handle.
    pub(crate) fn count_active(&self, more: bool) {
        count(&self.active, more);
    }

    /// One more (or one less) active handle that the outside can bring to life.
    pub(crate) fn count_outside(&self, more: bool) {
        count(&self.outside, more);
    }

    /// One more (or one less) unfinished request.
    pub(crate) fn count_request(&self, more: bool) {
        count(&self.requests, more);
    }

    /// The buffer that reads use, until the loan is dropped. `None` while it is lent already, which takes a future that is
    /// polled by hand.
    #[inline(always)]
    pub(crate) fn lend_buffer(&self) -> Option<RefMut<'_, Box<[u8]>>> {
        let mut buffer = self.buffer.try_borrow_mut().ok()?;
        if buffer.is_empty() {
            *buffer = self.new_buffer();
        }
        Some(buffer)
    }

    /// The buffer that datagrams are received into, likewise: the same if no datagram fills it, otherwise one of its own
    /// with a byte to spare, by which a datagram is known that is longer than one read may be.
    #[cfg(feature = "udp")]
    #[inline]
    pub(crate) fn lend_datagram_buffer(&self) -> Option<RefMut<'_, Box<[u8]>>> {
        if self.limits.read_chunk > LONGEST_DATAGRAM {
            return self.lend_buffer();
        }
        let mut buffer = self.short_buffer.try_borrow_mut().ok()?;
        if buffer.is_empty() {
            *buffer = self.new_datagram_buffer();
        }
        Some(buffer)
    }

    /// Another buffer of its size.
    #[cfg(feature = "udp")]
    #[cold]
    pub(crate) fn new_datagram_buffer(&self) -> Box<[u8]> {
        vec![0; self.limits.read_chunk.min(LONGEST_DATAGRAM) + 1].into_boxed_slice()
    }

    /// Another buffer for reads.
    #[cold]
    pub(crate) fn new_buffer(&self) -> Box<[u8]> {
        vec![0; self.limits.read_chunk].into_boxed_slice()
    }

    /// Runs a callback of the user and, if that was asked for, complains when it takes too long. `whose` says what it
    /// belongs to and where that was made.
    #[inline]
    pub(crate) fn watch<D: fmt::Display, R>(
        &self,
        whose: impl FnOnce() -> (D, &'static Location<'static>),
        callback: impl FnOnce() -> R,
    ) -> R {
        let start = self.begin_watch();
        let result = callback();
        if let Some(start) = start {
            let (what, place) = whose();
            self.complain_if_slow(start, what, place);
        }
        result
    }

    /// The program's code is about to run: when, if whoever runs it has to [look](LoopInner::complain_if_slow) at how long
    /// that takes.
    #[inline]
    pub(crate) fn begin_watch(&self) -> Option<Instant> {
        self.clock.mark_used();
        self.limits.slow_callback.map(|_| now())
    }

    /// May run the logger, and so whatever the program does there.
    #[cold]
    pub(crate) fn complain_if_slow(
        &self,
        start: Instant,
        what: impl fmt::Display,
        place: &Location<'_>,
    ) {
        let taken = start.elapsed();
        if self.limits.slow_callback.is_some_and(|threshold| taken > threshold) {
            warn!("the callback of the {what} made at {place} held the loop for {taken:?}");
        }
    }
}

/// UDP has 16 bits for the length.
#[cfg(feature = "udp")]
const LONGEST_DATAGRAM: usize = 65_535;

/// Out of the way of loops that do not ask for it.
#[cold]
fn now() -> Instant {
    Instant::now()
}

fn count(counter: &Cell<usize>, more: bool) {
    debug_assert!(more || counter.get() > 0, "a count below zero");
    counter.set(if more { counter.get() + 1 } else { counter.get() - 1 });
}
