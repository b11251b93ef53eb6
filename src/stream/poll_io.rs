//! Reading and writing for the futures-io traits.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use super::writing::MAX_SLICES;
use super::{Stream, StreamHandle, Transport, is};
use crate::error::{Canceled, Misuse};
use crate::event_loop::may_go_on;
use crate::request::Origin;

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
        let is_waiting = self.has(is::AWAITED | is::AWAITED_BY_TRAIT);
        let mut wait = if is_waiting { self.current_wait() } else { 0 };
        let received = loop {
            match self.poll_readable(&mut wait, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(err)) => break Poll::Ready(Err(err)),
                Poll::Pending => break Poll::Pending,
            }
            if let Some(received) = self.receive_awaited(&mut wait, buffer) {
                break Poll::Ready(received);
            }
        };
        if wait != 0 {
            self.set(is::AWAITED_BY_TRAIT);
        }
        received
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
        let length = first.iter().map(|slice| slice.len()).sum();
        if self.can_send_now() && self.is(is::WRITABLE) {
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
        if self.is(is::CONNECTING | is::QUEUED) {
            self.wait_to_write(context);
            return Poll::Pending;
        }
        Poll::Ready(if self.is(is::LOSSY) { Err(Misuse::ShutDown.into()) } else { Ok(()) })
    }

    /// Shuts down, and waits until that is done.
    pub(crate) fn poll_shutdown(
        &self,
        origin: Origin,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_not_cut_off(is::WRITE_CUT_OFF)?;
        // After a read error there is nothing to shut down any more.
        if !self.is(is::SHUT | is::BROKEN) {
            let mut request = self.end_writing(origin);
            if request.is_finished() {
                let ended = std::pin::Pin::new(&mut request).poll(context);
                return ended.map(|ended| ended.or_else(ok_after_reset));
            }
        }
        self.poll_flush(context)
    }

    fn wait_to_write(&self, context: &Context<'_>) {
        let waker = context.waker().clone();
        let mut replaced = None;
        self.with_outgoing(|outgoing| replaced = outgoing.writer.replace(waker));
        if !self.is(is::ROOM_AWAITED) {
            self.set(is::ROOM_AWAITED);
            self.core.event_loop().inner().count_outside(true);
        }
        drop(replaced);
    }

    /// An error once if there was a wait when the handle was closed.
    fn check_not_cut_off(&self, cut_off: u32) -> Result<(), Canceled> {
        if self.is(cut_off) {
            self.unset(cut_off);
            return Err(Canceled);
        }
        Ok(())
    }
}

/// The system says that there is no connection, though there was one: the peer has reset it. Whoever reads or writes hears
/// of that; a shutdown has done what it was to do, as with the sockets of other crates.
fn ok_after_reset(err: io::Error) -> io::Result<()> {
    if err.raw_os_error() == Some(libc::ENOTCONN) { Ok(()) } else { Err(err) }
}
