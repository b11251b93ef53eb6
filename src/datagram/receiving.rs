//! Receiving by callback, and the receives that the awaits share.

use std::io;

use super::{Datagram, DatagramHandle, Datagrams, ReceiveCallback, Received, Transport, is};
use crate::error::Misuse;

impl<H: DatagramHandle> Datagrams<H> {
    /// Whether somebody may begin to receive, who is not the one that waits already.
    pub(crate) fn check_can_receive(&self) -> Result<(), Misuse> {
        self.core.check_open()?;
        if self.flags.is(is::RECEIVING | is::AWAITED) {
            Err(Misuse::AlreadyReceiving)
        } else {
            Ok(())
        }
    }

    pub(crate) fn recv_start(&self, callback: Box<ReceiveCallback<H>>) {
        debug_assert!(self.flags.is(is::OPEN));
        self.flags.set(is::RECEIVING);
        self.core.set_active(true);
        self.update_hold();
        if self.flags.is(is::READABLE) {
            // What has arrived already brings no further event.
            self.resume_later();
        }
        self.receiver.set(callback);
    }

    pub(crate) fn recv_stop(&self) {
        if self.flags.is(is::RECEIVING) {
            self.flags.unset(is::RECEIVING);
            self.core.set_active(false);
            self.update_hold();
            self.receiver.clear();
        }
    }

    /// Receives and delivers what is there, within the budget.
    pub(super) fn receive_pass(&self, handle: &H) {
        let inner = self.core.event_loop().inner();
        match inner.lend_datagram_buffer() {
            Some(mut buffer) => self.receive_with(handle, &mut buffer),
            None => self.receive_with(handle, &mut inner.new_datagram_buffer()),
        }
    }

    fn receive_with(&self, handle: &H, buffer: &mut [u8]) {
        for _ in 0..self.core.event_loop().inner().limits.reads_per_turn {
            match self.receive(buffer) {
                Some(Ok(received)) => self.deliver(handle, Ok(self.datagram(buffer, received))),
                Some(Err(err)) => self.deliver_error(handle, err),
                None => return,
            }
            if !self.flags.has(is::RECEIVING | is::READABLE) {
                return;
            }
        }
    }

    #[inline(always)]
    fn deliver(&self, handle: &H, datagram: io::Result<Datagram<'_>>) {
        if let Some(mut callback) = self.receiver.lend() {
            self.core.call(|| callback(handle, datagram));
        }
    }

    #[cold]
    fn deliver_error(&self, handle: &H, err: io::Error) {
        self.deliver(handle, Err(err));
    }

    /// One receive, if there is something. `None` if there is nothing more for now.
    #[inline(always)]
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<io::Result<Received>> {
        // Shared, since `with_socket` may have lent it further up in the stack.
        match self.socket.borrow().as_ref()?.receive(buffer) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                self.flags.unset(is::READABLE);
                None
            }
            received => Some(received),
        }
    }

    /// What was received, cut to what one read may bring. The buffer has room for at least one byte more, unless nothing
    /// can be so long.
    #[inline(always)]
    pub(super) fn datagram<'a>(&self, buffer: &'a [u8], received: Received) -> Datagram<'a> {
        let chunk = self.core.event_loop().inner().limits.read_chunk;
        let length = received.length.min(chunk);
        Datagram {
            data: &buffer[..length],
            from: received.from,
            truncated: received.length > chunk,
            #[cfg(feature = "udp-offload")]
            segment_size: received.segment_size.min(length),
        }
    }
}
