//! Awaiting data: reads for one task at a time.

use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use super::outcome::Outcome;
use super::requests::Outgoing;
use super::{Stream, StreamHandle, is};
use crate::error::Canceled;
use crate::event_loop::may_go_on;

/// The flag of a wait by a future, which ends the wait when it is dropped: none.
const BY_FUTURE: u32 = 0;

impl<H: StreamHandle> Stream<H> {
    /// Reads once for a task, into the loop's buffer, which `take` gets to see; empty at the end of the
    /// stream. Nothing is read, and no buffer held, before there is something to read.
    ///
    /// `wait` belongs to the future: the [wait](Stream::current_wait) that is its own, 0 if there is none.
    #[inline]
    pub(crate) fn poll_read<R>(
        &self,
        wait: &mut u32,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<R>> {
        ready!(self.poll_readable(wait, BY_FUTURE, context))?;
        if let Some(mut buffer) = self.core.event_loop().inner().lend_buffer() {
            if let Some(received) = self.receive_awaited(wait, &mut buffer) {
                return Poll::Ready(received.map(|length| take(&buffer[..length])));
            }
        }
        self.poll_read_again(wait, context, take)
    }

    /// There was nothing after all, or the buffer of the loop is lent already.
    #[cold]
    fn poll_read_again<R>(
        &self,
        wait: &mut u32,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(self.poll_readable(wait, BY_FUTURE, context))?;
            let mut buffer = self.core.event_loop().inner().new_buffer();
            if let Some(received) = self.receive_awaited(wait, &mut buffer) {
                return Poll::Ready(received.map(|length| take(&buffer[..length])));
            }
        }
    }

    /// The future that waited for data is gone; what arrives stays with the system.
    #[inline]
    pub(crate) fn stop_awaiting(&self, wait: &mut u32) {
        let own = mem::take(wait);
        if own != 0 && own == self.current_wait() {
            self.forget_reader();
        }
    }

    /// What tells the wait for data that is under way from earlier ones.
    #[inline]
    pub(super) fn current_wait(&self) -> u32 {
        self.flags.get() & (is::AWAITED | is::CUT_OFF_WAITS)
    }

    /// Waits until a read may find something, with the flag of how it waits.
    #[inline(always)]
    pub(super) fn poll_readable(
        &self,
        wait: &mut u32,
        way: u32,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = self.core.event_loop().inner();
        // A connected stream is open. Nobody but this future reads, nothing failed: the usual case.
        let relevant = is::CONNECTED
            | is::READING
            | is::AWAITED
            | is::BROKEN
            | is::WRITE_ONLY
            | is::CUT_OFF_WAITS;
        if self.flags.get() & relevant != is::CONNECTED | *wait {
            ready!(self.check_await(wait))?;
        }
        if self.flags.has(is::CONNECTED | is::READABLE) && may_go_on(context) {
            return Poll::Ready(Ok(()));
        }
        if *wait == 0 {
            self.begin_to_await(wait, way);
        }
        self.awaiting.wait(&inner.tasks, context);
        Poll::Pending
    }

    /// Whether a future may wait for data or go on doing so.
    #[cold]
    fn check_await(&self, wait: &mut u32) -> Poll<io::Result<()>> {
        if *wait == 0 && !self.core.is_closing() {
            self.check_can_read()?;
            if self.flags.is(is::AWAITED) {
                self.take_over(wait);
            }
        }
        if self.core.is_closing() || *wait != 0 && *wait != self.current_wait() {
            // Closed, or cut off by a finish or by a connect that failed.
            let error = self.take_cut_off(mem::take(wait));
            return Poll::Ready(Err(error.unwrap_or_else(|| Canceled.into())));
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the waits of the futures-io traits in favour of a future's.
    fn take_over(&self, wait: &mut u32) {
        let mut outcome = Outcome::default();
        self.stop_awaiting_data(&mut outcome);
        // First, since those who are told may do anything.
        self.begin_to_await(wait, BY_FUTURE);
        self.tell(outcome);
    }

    #[inline]
    fn begin_to_await(&self, wait: &mut u32, way: u32) {
        self.flags.set(is::AWAITED | way);
        *wait = self.current_wait();
        self.core.event_loop().inner().count_outside(true);
    }

    /// The error by which a connect failed that this wait was for.
    pub(super) fn take_cut_off(&self, wait: u32) -> Option<io::Error> {
        let of_this = |outgoing: &mut Outgoing<H>| {
            outgoing.cut_off.take_if(|(waited, _)| *waited == wait).map(|(_, error)| error)
        };
        let error = self.pop_with(of_this)?;
        self.update_hold();
        Some(error)
    }

    /// A read for a task. `None` if there was nothing after all.
    #[inline]
    pub(super) fn receive_awaited(
        &self,
        wait: &mut u32,
        buffer: &mut [u8],
    ) -> Option<io::Result<usize>> {
        match self.receive_simply(buffer) {
            Ok(length) => {
                self.stop_awaiting(wait);
                Some(Ok(length))
            }
            Err(attempt) => self.receive_awaited_unusual(wait, buffer, attempt),
        }
    }

    #[cold]
    fn receive_awaited_unusual(
        &self,
        wait: &mut u32,
        buffer: &mut [u8],
        attempt: Option<io::Result<usize>>,
    ) -> Option<io::Result<usize>> {
        let first = attempt.unwrap_or_else(|| self.attempt_to_receive(buffer));
        let received = self.receive_after(first, buffer).transpose()?;
        self.stop_awaiting(wait);
        if received.is_err() {
            self.flags.set(is::BROKEN);
        }
        Some(received)
    }

    /// Wakes the one task that waits for data.
    pub(crate) fn wake_reader_now(&self) {
        self.awaiting.wake(&self.core.event_loop().inner().tasks);
    }

    /// All who wait for data have to look again. Until then, they still count as waiting.
    #[inline]
    pub(super) fn wake_readers(&self, outcome: &mut Outcome) {
        let mut more = Vec::new();
        if self.flags.is(is::AWAITED_BY_MORE) {
            self.flags.unset(is::AWAITED_BY_MORE);
            self.outgoing.with(|outgoing| mem::swap(&mut outgoing.readers, &mut more));
        }
        outcome.wake_readers(self.awaiting.take(), more);
    }

    /// Has a wait by the futures-io traits fail at its next poll: nothing else tells it that it was cut off.
    pub(super) fn note_cut_off_read(&self) {
        if self.flags.has(is::AWAITED | is::AWAITED_BY_TRAIT) {
            self.flags.set(is::READ_CUT_OFF);
        }
    }

    /// Nobody waits for data any more. Those who did find out when they are polled.
    pub(super) fn stop_awaiting_data(&self, outcome: &mut Outcome) {
        if self.flags.is(is::AWAITED) {
            if !self.flags.is(is::AWAITED_BY_TRAIT) {
                self.flags.replace(self.flags.get().wrapping_add(is::ONE_CUT_OFF_WAIT));
            }
            self.flags.unset(is::AWAITED | is::AWAITED_BY_TRAIT);
            self.core.event_loop().inner().count_outside(false);
            self.wake_readers(outcome);
        }
    }

    #[inline]
    fn forget_reader(&self) {
        self.flags.unset(is::AWAITED | is::AWAITED_BY_TRAIT);
        self.core.event_loop().inner().count_outside(false);
        self.awaiting.clear();
    }
}
