//! A Unix-domain socket that listens.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, Socket};

use super::Pipe;
use super::transport::PipeTransport;
use crate::addr::as_pipe_addr;
use crate::socket::Accepted;

pub(crate) struct PipeListener {
    listener: UnixListener,
    /// What an accepted socket becomes.
    make: fn(UnixStream) -> PipeTransport,
}

impl PipeListener {
    pub(super) fn new(socket: Socket, make: fn(UnixStream) -> PipeTransport) -> PipeListener {
        PipeListener { listener: UnixListener::from_std(socket.into()), make }
    }

    pub(super) fn accept(&self) -> io::Result<Accepted<Pipe>> {
        let (socket, addr) = self.listener.accept()?;
        Ok(((self.make)(socket), addr))
    }

    pub(super) fn into_socket(self) -> Socket {
        std::os::unix::net::UnixListener::from(self.listener).into()
    }

    /// Its name, in words.
    pub(super) fn describe(&self) -> Option<String> {
        let addr = as_pipe_addr(&SockRef::from(&self.listener).local_addr().ok()?).ok()?;
        Some(match addr.as_pathname() {
            Some(path) => path.display().to_string(),
            None => format!("{addr:?}"),
        })
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
