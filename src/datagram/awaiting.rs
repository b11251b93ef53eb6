//! Awaiting datagrams: for one task at a time.

use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use super::{Datagram, DatagramHandle, Datagrams, is};
use crate::error::Canceled;
use crate::event_loop::may_go_on;

impl<H: DatagramHandle> Datagrams<H> {
    /// Receives once for a task, into the loop's buffer, which `take` gets to see. Nothing is received, and no buffer held,
    /// before there is something to receive.
    ///
    /// `waits` belongs to the future: true while it is the one that waits.
    pub(crate) fn poll_receive<R>(
        &self,
        waits: &mut bool,
        context: &mut Context<'_>,
        take: impl FnOnce(Datagram<'_>) -> R,
    ) -> Poll<io::Result<R>> {
        let inner = self.core.event_loop().inner();
        ready!(self.poll_readable(waits, context))?;
        if let Some(mut buffer) = inner.lend_datagram_buffer() {
            return self.poll_receive_with(&mut buffer, waits, context, take);
        }
        // It is lent already, which takes a future that is polled by hand.
        self.poll_receive_with(&mut inner.new_datagram_buffer(), waits, context, take)
    }

    fn poll_receive_with<R>(
        &self,
        buffer: &mut [u8],
        waits: &mut bool,
        context: &mut Context<'_>,
        take: impl FnOnce(Datagram<'_>) -> R,
    ) -> Poll<io::Result<R>> {
        loop {
            if let Some(received) = self.receive(buffer) {
                self.stop_awaiting(waits);
                let datagram = received.map(|received| self.datagram(buffer, received));
                return Poll::Ready(datagram.map(take));
            }
            // There was nothing after all.
            ready!(self.poll_readable(waits, context))?;
        }
    }

    /// Waits until a receive may find something.
    fn poll_readable(&self, waits: &mut bool, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.core.is_closing() {
            *waits = false;
            return Poll::Ready(Err(Canceled.into()));
        }
        if !*waits {
            self.check_can_receive()?;
        }
        if self.flags.is(is::READABLE) && may_go_on(context) {
            return Poll::Ready(Ok(()));
        }
        let inner = self.core.event_loop().inner();
        if !*waits {
            *waits = true;
            self.flags.set(is::AWAITED);
            inner.count_outside(true);
        }
        self.awaiting.wait(&inner.tasks, context);
        Poll::Pending
    }

    /// The future that waited is gone or done; what arrives stays with the system.
    pub(crate) fn stop_awaiting(&self, waits: &mut bool) {
        if mem::take(waits) && self.flags.is(is::AWAITED) {
            self.flags.unset(is::AWAITED);
            self.core.event_loop().inner().count_outside(false);
            self.awaiting.clear();
        }
    }
}
