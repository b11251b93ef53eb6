//! The terminal of a handle, as the stream engine uses it.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use super::TtyMode;
use super::modes::{self, Device};
use crate::descriptor::Descriptor;
use crate::stream::{Direction, Transport};

/// A descriptor of a terminal. What was asked of the terminal's mode goes with it.
pub(crate) struct Terminal {
    descriptor: Descriptor,
    device: Device,
}

impl Terminal {
    pub(super) fn new(descriptor: Descriptor) -> io::Result<Terminal> {
        let device = modes::device_of(descriptor.as_fd())?;
        Ok(Terminal { descriptor, device })
    }

    pub(super) fn set_mode(&self, mode: TtyMode) -> io::Result<()> {
        modes::set(self.as_fd(), self.device, mode)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It fails when the terminal has gone away, and its mode with it.
        let _ = modes::leave(self.as_fd(), self.device);
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Transport for Terminal {
    type Along = Infallible;

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.descriptor.recv(buffer)
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.descriptor.send(data)
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.descriptor.send_vectored(slices)
    }

    fn shut_down(&self) -> io::Result<()> {
        self.descriptor.shut_down()
    }

    fn connected(&self) -> io::Result<bool> {
        self.descriptor.connected()
    }

    fn direction(&self) -> Direction {
        self.descriptor.direction()
    }

    /// It brings a line a read.
    fn short_read_drains(&self) -> bool {
        false
    }
}

impl mio::event::Source for Terminal {
    fn register(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        self.descriptor.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        self.descriptor.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.descriptor.deregister(registry)
    }
}
