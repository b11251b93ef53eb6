//! Unix-domain sockets and other pipes as the stream engine uses them.

#[cfg(not(feature = "descriptors"))]
use std::convert::Infallible;
use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

#[cfg(feature = "descriptors")]
use super::passing::{self, Passed};
use crate::socket::NO_SIGNAL;
#[cfg(feature = "descriptors")]
use crate::stream::Direction;
use crate::stream::Transport;

/// What a connected pipe is. Not larger than a socket of TCP beside the flag that says whether it is borrowed.
pub(crate) enum PipeTransport {
    Socket(UnixStream),
    /// A socket that passes descriptors.
    #[cfg(feature = "descriptors")]
    Passing(UnixStream),
    /// A FIFO or an anonymous pipe. Mio's receiver is one, whichever way it goes.
    #[cfg(feature = "descriptors")]
    Fifo(mio::unix::pipe::Receiver, Direction),
}

use PipeTransport::Socket;
#[cfg(feature = "descriptors")]
use PipeTransport::{Fifo, Passing};

impl Transport for PipeTransport {
    #[cfg(feature = "descriptors")]
    type Along = Passed;
    #[cfg(not(feature = "descriptors"))]
    type Along = Infallible;

    #[inline]
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket(socket) => {
                let mut socket = socket;
                socket.read(buffer)
            }
            #[cfg(feature = "descriptors")]
            other => other.recv_unusual(buffer, drop),
        }
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            // Not std's `write`, which raises SIGPIPE when the peer has gone.
            Socket(socket) => {
                socket.try_io(|| SockRef::from(socket).send_with_flags(data, NO_SIGNAL))
            }
            #[cfg(feature = "descriptors")]
            other => other.send_vectored(&[IoSlice::new(data)]),
        }
    }

    #[cfg(feature = "descriptors")]
    #[inline]
    fn recv_along(&self, buffer: &mut [u8], arrived: impl FnOnce(Passed)) -> io::Result<usize> {
        match self {
            Socket(_) => self.recv(buffer),
            other => other.recv_unusual(buffer, arrived),
        }
    }

    #[inline(never)]
    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket(socket) => {
                socket.try_io(|| SockRef::from(socket).send_vectored_with_flags(slices, NO_SIGNAL))
            }
            #[cfg(feature = "descriptors")]
            Passing(socket) => {
                socket.try_io(|| SockRef::from(socket).send_vectored_with_flags(slices, NO_SIGNAL))
            }
            #[cfg(feature = "descriptors")]
            Fifo(fifo, _) => fifo.try_io(|| Ok(rustix::io::writev(fifo, slices)?)),
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match self {
            Socket(socket) => socket.shutdown(Shutdown::Write),
            #[cfg(feature = "descriptors")]
            Passing(socket) => socket.shutdown(Shutdown::Write),
            // Whoever reads learns of it when the descriptor is closed.
            #[cfg(feature = "descriptors")]
            Fifo(..) => Ok(()),
        }
    }

    fn connected(&self) -> io::Result<bool> {
        crate::socket::connected(SockRef::from(self))
    }

    #[cfg(feature = "descriptors")]
    fn send_along(&self, slices: &[IoSlice<'_>], passed: &Passed) -> io::Result<usize> {
        match self {
            Passing(socket) => socket.try_io(|| passing::send(socket, slices, passed)),
            other => other.send_vectored(slices),
        }
    }

    #[cfg(feature = "descriptors")]
    fn direction(&self) -> Direction {
        match self {
            Fifo(_, direction) => *direction,
            Socket(_) | Passing(_) => Direction::Both,
        }
    }

    /// A read ends behind the descriptors that came along, and with a packet of a pipe that has them.
    #[cfg(feature = "descriptors")]
    fn short_read_drains(&self) -> bool {
        matches!(self, Socket(_))
    }
}

impl PipeTransport {
    /// Apart, so that the usual way of a plain socket is short.
    #[cfg(feature = "descriptors")]
    #[inline(never)]
    fn recv_unusual(&self, buffer: &mut [u8], arrived: impl FnOnce(Passed)) -> io::Result<usize> {
        match self {
            Passing(socket) => socket.try_io(|| passing::receive(socket, buffer, arrived)),
            Fifo(fifo, _) => {
                let mut fifo = fifo;
                fifo.read(buffer)
            }
            Socket(_) => self.recv(buffer),
        }
    }

    fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Socket(socket) => socket,
            #[cfg(feature = "descriptors")]
            Passing(socket) => socket,
            #[cfg(feature = "descriptors")]
            Fifo(fifo, _) => fifo,
        }
    }

    /// A selector may refuse the direction that a descriptor has not got.
    fn interest(&self, both: Interest) -> Interest {
        match self {
            #[cfg(feature = "descriptors")]
            Fifo(_, Direction::ReadOnly) => Interest::READABLE,
            #[cfg(feature = "descriptors")]
            Fifo(_, Direction::WriteOnly) => Interest::WRITABLE,
            _ => both,
        }
    }
}

impl mio::event::Source for PipeTransport {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let interest = self.interest(interest);
        self.source().register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let interest = self.interest(interest);
        self.source().reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

impl AsFd for PipeTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket(socket) => socket.as_fd(),
            #[cfg(feature = "descriptors")]
            Passing(socket) => socket.as_fd(),
            #[cfg(feature = "descriptors")]
            Fifo(fifo, _) => fifo.as_fd(),
        }
    }
}

impl From<PipeTransport> for OwnedFd {
    fn from(transport: PipeTransport) -> OwnedFd {
        match transport {
            Socket(socket) => std::os::unix::net::UnixStream::from(socket).into(),
            #[cfg(feature = "descriptors")]
            Passing(socket) => std::os::unix::net::UnixStream::from(socket).into(),
            #[cfg(feature = "descriptors")]
            Fifo(fifo, _) => fifo.into(),
        }
    }
}
