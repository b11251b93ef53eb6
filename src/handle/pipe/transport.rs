//! Unix-domain sockets as the stream engine uses them.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, Socket};

use crate::socket::{Accepted, NO_SIGNAL};
use crate::stream::Transport;

/// What a connected pipe is.
pub(crate) enum PipeTransport {
    Socket(UnixStream),
}

impl PipeTransport {
    pub(super) fn of(socket: UnixStream) -> PipeTransport {
        PipeTransport::Socket(socket)
    }
}

impl Transport for PipeTransport {
    #[inline]
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            PipeTransport::Socket(socket) => {
                socket.try_io(|| (&*SockRef::from(socket)).read(buffer))
            }
        }
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            // Not std's `write`, which raises SIGPIPE when the peer has gone.
            PipeTransport::Socket(socket) => {
                socket.try_io(|| SockRef::from(socket).send_with_flags(data, NO_SIGNAL))
            }
        }
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            PipeTransport::Socket(socket) => {
                socket.try_io(|| SockRef::from(socket).send_vectored_with_flags(slices, NO_SIGNAL))
            }
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match self {
            PipeTransport::Socket(socket) => socket.shutdown(Shutdown::Write),
        }
    }

    fn connected(&self) -> io::Result<bool> {
        match self {
            PipeTransport::Socket(socket) => crate::socket::connected(SockRef::from(socket)),
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
        match self {
            PipeTransport::Socket(socket) => socket.register(registry, token, interest),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            PipeTransport::Socket(socket) => socket.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            PipeTransport::Socket(socket) => socket.deregister(registry),
        }
    }
}

impl AsFd for PipeTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            PipeTransport::Socket(socket) => socket.as_fd(),
        }
    }
}

impl From<PipeTransport> for OwnedFd {
    fn from(transport: PipeTransport) -> OwnedFd {
        match transport {
            PipeTransport::Socket(socket) => std::os::unix::net::UnixStream::from(socket).into(),
        }
    }
}

/// A socket that listens.
pub(crate) struct PipeListener {
    listener: mio::net::UnixListener,
}

impl PipeListener {
    pub(super) fn new(socket: Socket) -> PipeListener {
        PipeListener { listener: mio::net::UnixListener::from_std(socket.into()) }
    }

    pub(super) fn accept(&self) -> io::Result<Accepted<super::Pipe>> {
        let (socket, addr) = self.listener.accept()?;
        Ok((PipeTransport::of(socket), addr))
    }

    pub(super) fn into_socket(self) -> Socket {
        std::os::unix::net::UnixListener::from(self.listener).into()
    }

    /// Its name, in words.
    pub(super) fn describe(&self) -> Option<String> {
        let addr = crate::addr::as_pipe_addr(&SockRef::from(&self.listener).local_addr().ok()?);
        addr.ok().as_ref().map(name_in_words)
    }
}

fn name_in_words(addr: &SocketAddr) -> String {
    match addr.as_pathname() {
        Some(path) => path.display().to_string(),
        None => format!("{addr:?}"),
    }
}

impl mio::event::Source for PipeListener {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.listener.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.listener.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.listener.deregister(registry)
    }
}

impl AsFd for PipeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
