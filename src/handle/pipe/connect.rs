//! Connecting to a listener.

use std::io;
use std::os::unix::net::SocketAddr;
use std::time::Duration;

use socket2::Socket;

use super::Pipe;
use super::socket::new_socket;
use super::transport::PipeTransport;
use crate::addr::{IntoPipeAddr, to_sockaddr};
use crate::error::Misuse;
use crate::request::{Origin, Request};
use crate::socket::begin_connect;

impl Pipe {
    /// Connects to the listener of that name.
    ///
    /// Reading may be started and writes may be made meanwhile; they wait for the connection. The request can be
    /// [cancelled](Request::cancel). After a failure, a cancellation or the end of the time the handle has no socket, and can
    /// connect again, after another [`bind`](Pipe::bind) if it had been bound; writes that waited are
    /// [`Canceled`](crate::Canceled).
    ///
    /// # Errors
    /// Through the request: [`NotFound`](io::ErrorKind::NotFound) if there is no such file,
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if nobody listens there or it is no socket,
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) on Linux if the listener's backlog is full (try again a little later),
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied), and what else the system says;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a name that is empty, too long or has a zero byte in it
    /// ([`Misuse::BadName`]), after a bind that failed ([`Misuse::NotBound`]) or for a closing handle;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) for a handle that is connecting ([`Misuse::AlreadyConnecting`]),
    /// connected or listening ([`Misuse::AlreadyConnected`]).
    ///
    /// # Cancel safety
    /// Dropping the request while it is awaited cancels the connect, as [`cancel`](Request::cancel) does. Dropped without
    /// having been awaited, it goes on.
    ///
    /// libuv: `uv_pipe_connect`, `uv_pipe_connect2`
    #[doc(alias = "uv_pipe_connect")]
    #[doc(alias = "uv_pipe_connect2")]
    #[track_caller]
    pub fn connect(&self, name: impl IntoPipeAddr) -> Request<()> {
        self.connect_to(self.core().origin(), named(name))
    }

    /// As [`connect`](Pipe::connect), and gives up after `limit`, which counts from this call.
    ///
    /// # Errors
    /// As [`connect`](Pipe::connect), and [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// # Cancel safety
    /// As [`connect`](Pipe::connect); the limit is given up with it.
    #[track_caller]
    pub fn connect_timeout(&self, name: impl IntoPipeAddr, limit: Duration) -> Request<()> {
        let request = self.connect_to(self.core().origin(), named(name));
        self.0.limit_connect(&request, limit);
        request
    }

    fn connect_to(&self, origin: Origin, name: io::Result<SocketAddr>) -> Request<()> {
        self.0.connect_to(origin, name, |fresh, name| self.start_connect(fresh, &name))
    }

    fn start_connect(&self, fresh: Option<Socket>, name: &SocketAddr) -> io::Result<PipeTransport> {
        let socket = fresh.map_or_else(new_socket, Ok)?;
        if let Err(err) = begin_connect(&socket, &to_sockaddr(name)?) {
            // If it was bound, its name goes with it.
            self.0.if_extra(|extra| extra.own.file.take());
            return Err(err);
        }
        Ok(self.transport()(mio::net::UnixStream::from_std(socket.into())))
    }
}

/// A name to connect to, which nobody has who has none.
fn named(name: impl IntoPipeAddr) -> io::Result<SocketAddr> {
    let name = name.into_pipe_addr()?;
    if name.is_unnamed() { Err(Misuse::BadName.into()) } else { Ok(name) }
}
