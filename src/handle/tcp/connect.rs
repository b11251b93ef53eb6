//! Connecting to a peer.

use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket2::SockAddr;

use super::{Tcp, TcpInner};
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::event_loop::{Expire, saturating_nanos};
use crate::handle::socket::to_this_host;
use crate::request::{Origin, Request};

impl Tcp {
    /// Connects to `addr`.
    ///
    /// Reading may be started and writes may be made meanwhile; they wait for the connection. The request can be
    /// [cancelled](Request::cancel). After a failure, a cancellation or the end of the time the handle has no socket, and
    /// can bind and connect again; writes that waited are [`Canceled`](crate::Canceled).
    ///
    /// # Errors
    /// Through the request: what the system says, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address or a closing handle;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) for a handle that is connecting ([`Misuse::AlreadyConnecting`]),
    /// connected or listening ([`Misuse::AlreadyConnected`]).
    ///
    /// # Cancel safety
    /// Dropping the request while it is awaited cancels the connect, as [`cancel`](Request::cancel) does. Dropped without
    /// having been awaited, it goes on.
    ///
    /// libuv: `uv_tcp_connect`
    #[track_caller]
    pub fn connect(&self, addr: impl IntoAddr) -> Request<()> {
        self.connect_to(self.core().origin(), addr.into_addr())
    }

    /// As [`connect`](Tcp::connect), and gives up after `limit`, which counts from this call.
    ///
    /// # Errors
    /// As [`connect`](Tcp::connect), and [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// # Cancel safety
    /// As [`connect`](Tcp::connect); the limit is given up with it.
    #[track_caller]
    pub fn connect_timeout(&self, addr: impl IntoAddr, limit: Duration) -> Request<()> {
        let request = self.connect_to(self.core().origin(), addr.into_addr());
        if !request.is_finished() {
            let due =
                self.event_loop().inner().clock.fresh().saturating_add(saturating_nanos(limit));
            self.0.stream.limit_connect(Rc::new(ConnectLimit(Rc::downgrade(&self.0))), due);
        }
        request
    }

    fn connect_to(&self, origin: Origin, addr: io::Result<SocketAddr>) -> Request<()> {
        match self.start_connect(addr) {
            Ok(socket) => self.0.stream.connect(origin, socket),
            Err(err) => Request::finished(origin, Err(err)),
        }
    }

    fn start_connect(&self, addr: io::Result<SocketAddr>) -> io::Result<mio::net::TcpStream> {
        self.core().check_open()?;
        let addr = addr?;
        if self.0.stream.is_connecting() {
            return Err(Misuse::AlreadyConnecting.into());
        }
        if self.0.stream.is_connected() || self.extra(|extra| extra.listener.is_some()) {
            return Err(Misuse::AlreadyConnected.into());
        }
        if self.0.stream.has_socket() {
            // That of a connect which was cancelled while `with_fd` lends it, further up in the stack.
            return Err(Misuse::HasSocket.into());
        }
        let socket = match self.take_fresh()? {
            Some(socket) => socket,
            None => self.new_socket(addr)?,
        };
        match socket.connect(&SockAddr::from(to_this_host(addr))) {
            Err(err) if err.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {} // goes on by itself
            done => done?,
        }
        Ok(mio::net::TcpStream::from_std(socket.into()))
    }
}

/// Ends a connect whose time is over.
struct ConnectLimit(Weak<TcpInner>);

impl Expire for ConnectLimit {
    fn expire(self: Rc<Self>) {
        if let Some(tcp) = self.0.upgrade() {
            tcp.stream.fail_connect(io::ErrorKind::TimedOut.into());
        }
    }
}
