//! What the engine asks of a socket, or of whatever else bytes go through.

use std::convert::Infallible;
use std::io::{self, IoSlice};

use super::{StreamHandle, is};

/// A socket, as the engine uses it.
pub(crate) trait Transport: mio::event::Source {
    /// What can travel along with bytes.
    type Along: Along;

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn send(&self, data: &[u8]) -> io::Result<usize>;
    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    fn shut_down(&self) -> io::Result<()>;
    /// Once a connect may be over: whether it is, or how it failed.
    fn connected(&self) -> io::Result<bool>;

    /// As `recv`; what came along goes to `arrived`.
    #[inline]
    fn recv_along(
        &self,
        buffer: &mut [u8],
        _arrived: impl FnOnce(Self::Along),
    ) -> io::Result<usize> {
        self.recv(buffer)
    }

    /// As `send_vectored`, with what goes along with the first byte.
    fn send_along(&self, slices: &[IoSlice<'_>], _along: &Self::Along) -> io::Result<usize> {
        self.send_vectored(slices)
    }

    /// Which way bytes can go.
    fn direction(&self) -> Direction {
        Direction::Both
    }

    /// True for what the poll has nothing to say about, since it never makes anybody wait.
    fn is_always_ready(&self) -> bool {
        false
    }

    /// True if a read that is shorter than its buffer has drained it; false where each read brings a piece (a line, a
    /// packet), whatever waits behind it.
    fn short_read_drains(&self) -> bool {
        true
    }
}

/// What can travel along with the bytes of a stream, such as descriptors.
pub(crate) trait Along: Sized + 'static {
    /// Puts what has arrived behind what waits to be taken, of which there is a bounded amount. Says what was lost, if there
    /// is news of that.
    fn join(waiting: &mut Option<Self>, arrived: Self) -> Option<String>;
}

/// Nothing can.
impl Along for Infallible {
    fn join(_: &mut Option<Infallible>, arrived: Infallible) -> Option<String> {
        match arrived {}
    }
}

/// What travels along with the bytes of a kind of stream.
pub(crate) type AlongOf<H> = <<H as StreamHandle>::Transport as Transport>::Along;

/// Which way the bytes of a stream can go.
// Sockets go both ways: without the kinds that adopt anything else, nothing has another one.
#[cfg_attr(not(any(feature = "descriptors", feature = "tty")), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    ReadOnly,
    WriteOnly,
}

#[cfg(any(feature = "descriptors", feature = "tty"))]
impl Direction {
    /// By the flags with which a descriptor was opened.
    pub(crate) fn of(flags: rustix::fs::OFlags) -> Direction {
        use rustix::fs::OFlags;
        match flags & OFlags::ACCMODE {
            OFlags::RDONLY => Direction::ReadOnly,
            OFlags::WRONLY => Direction::WriteOnly,
            _ => Direction::Both,
        }
    }
}

/// The flags that a socket brings along, and keeps.
pub(super) fn nature_of(socket: &impl Transport) -> u32 {
    let direction = match socket.direction() {
        Direction::Both => 0,
        Direction::ReadOnly => is::SHUT,
        Direction::WriteOnly => is::WRITE_ONLY,
    };
    let pieces = if socket.short_read_drains() { 0 } else { is::PIECEMEAL };
    let ready = if socket.is_always_ready() { is::READABLE } else { 0 };
    direction | pieces | ready
}
