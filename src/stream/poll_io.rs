//! Reading and writing for the futures-io traits.
//!
//! Nobody knows whether such a wait is still wanted: there is no future that could be dropped. So several may wait for the
//! same, all of them are woken, and those that find nothing wait again. One of them who is served wakes the others.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use super::outcome::Outcome;
use super::requests::{BY_TRAIT, Outgoing};
use super::writing::{MAX_SLICES, length_of};
use super::{Stream, StreamHandle, Transport, is};
use crate::error::{Canceled, Misuse};
use crate::event_loop::may_go_on;
use crate::request::Origin;
use crate::task::Waiting;

impl<H: StreamHandle> Stream<H> {
    /// Reads once, into a buffer of the caller's. 0 is the end of the stream.
    pub(crate) fn poll_read_into(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.check_not_cut_off(is::READ_CUT_OFF)?;
        if !self.flags.is(is::CONNECTED | is::CONNECTING) {
            self.take_cut_off(BY_TRAIT).map_or(Ok(()), Err)?;
        }
        let is_waiting = self.flags.has(is::AWAITED | is::AWAITED_BY_TRAIT);
        let mut wait = if is_waiting { self.current_wait() } else { 0 };
        if is_waiting {
            self.make_room_for(context);
        }
        let received = loop {
            match self.poll_readable(&mut wait, is::AWAITED_BY_TRAIT, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(err)) => break Poll::Ready(Err(err)),
                Poll::Pending => break Poll::Pending,
            }
            if let Some(received) = self.receive_awaited(&mut wait, buffer) {
                break Poll::Ready(received);
            }
        };
        if received.is_ready() && self.flags.is(is::AWAITED_BY_MORE) {
            let mut outcome = Outcome::default();
            self.wake_readers(&mut outcome);
            self.tell(outcome);
        }
        received
    }

    /// Whoever waits for data goes on waiting beside the task of `context`, unless it is that one, which looks again. Before
    /// that one's waker is cloned, which may do anything.
    fn make_room_for(&self, context: &Context<'_>) {
        let waiting = self.awaiting.take();
        if waiting.is_nobody_but(&self.core.event_loop().inner().tasks, context) {
            self.awaiting.put_back(waiting);
        } else {
            self.await_beside(waiting);
        }
    }

    /// Another one goes on waiting for data.
    #[cold]
    fn await_beside(&self, other: Waiting) {
        self.flags.set(is::AWAITED_BY_MORE);
        let known = self.with_outgoing(|Outgoing { readers, .. }| {
            if readers.iter().any(|waiting| waiting.is_same(&other)) {
                return Some(other);
            }
            readers.push(other);
            None
        });
        // Its drop may run anything.
        drop(known);
    }

    /// Sends what there is room for, once nothing else waits to be sent.
    pub(crate) fn poll_send(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_not_cut_off(is::WRITE_CUT_OFF)?;
        self.check_can_write()?;
        let first = &slices[..slices.len().min(MAX_SLICES)];
        let length = length_of(first);
        if self.can_send_now() && self.flags.is(is::WRITABLE) {
            if !may_go_on(context) {
                return Poll::Pending;
            }
            let sent = match first {
                [slice] => self.send(slice)?,
                _ => self.attempt(|socket| socket.send_vectored(first), length)?,
            };
            if sent > 0 || length == 0 {
                return Poll::Ready(Ok(sent));
            }
        }
        self.wait_to_write(context);
        Poll::Pending
    }

    /// Waits until everything accepted for writing is with the kernel.
    pub(crate) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_not_cut_off(is::WRITE_CUT_OFF)?;
        self.core.check_open()?;
        if self.flags.is(is::CONNECTING | is::QUEUED) {
            self.wait_to_write(context);
            return Poll::Pending;
        }
        Poll::Ready(if self.flags.is(is::LOSSY) { Err(Misuse::ShutDown.into()) } else { Ok(()) })
    }

    /// Shuts down, and waits until that is done.
    pub(crate) fn poll_shutdown(
        &self,
        origin: Origin,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_not_cut_off(is::WRITE_CUT_OFF)?;
        // After a read error there is nothing to shut down any more.
        if !self.flags.is(is::SHUT | is::BROKEN) {
            let mut request = self.end_writing(origin);
            if request.is_finished() {
                let ended = std::pin::Pin::new(&mut request).poll(context);
                return ended.map(|ended| ended.or_else(ok_after_reset));
            }
        }
        self.poll_flush(context)
    }

    fn wait_to_write(&self, context: &Context<'_>) {
        if !self.flags.is(is::ROOM_AWAITED) {
            self.flags.set(is::ROOM_AWAITED);
            self.core.event_loop().inner().count_outside(true);
        }
        let is_known = |outgoing: &mut Outgoing<H>| {
            outgoing.writers.iter().any(|waker| waker.will_wake(context.waker()))
        };
        if self.outgoing.with(is_known) == Some(true) {
            return;
        }
        // To clone it is to run code that may not be luvio's, and may end the wait, even close the handle.
        let waker = context.waker().clone();
        if !self.flags.is(is::ROOM_AWAITED) {
            return waker.wake();
        }
        self.with_outgoing(|outgoing| outgoing.writers.push(waker));
    }

    /// An error if a wait was cut off: by a close for all who waited, and so for whoever asks from then on; by a finish
    /// once, since the stream may be read on.
    fn check_not_cut_off(&self, cut_off: u32) -> Result<(), Canceled> {
        if !self.flags.is(cut_off) {
            return Ok(());
        }
        if !self.core.is_closing() {
            self.flags.unset(cut_off);
        }
        Err(Canceled)
    }
}

/// The system says that there is no connection, though there was one: the peer has reset it. Whoever reads or writes hears
/// of that; a shutdown has done what it was to do, as with the sockets of other crates.
fn ok_after_reset(err: io::Error) -> io::Result<()> {
    if err.raw_os_error() == Some(libc::ENOTCONN) { Ok(()) } else { Err(err) }
}
