//! Connecting to a peer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::Socket;

use super::Tcp;
use crate::addr::IntoAddr;
use crate::handle::ip::to_this_host;
use crate::request::{Origin, Request};
use crate::socket::begin_connect;

impl Tcp {
    /// Connects to `addr`.
    ///
    /// Reading may be started and writes may be made meanwhile; they wait for the connection. The request can be
    /// [cancelled](Request::cancel). After a failure, a cancellation or the end of the time the handle has no socket, and
    /// can connect again, after another [`bind`](Tcp::bind) if it had been bound; writes that waited are
    /// [`Canceled`](crate::Canceled).
    ///
    /// # Errors
    /// Through the request: what the system says, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address, after a bind that failed
    /// ([`Misuse::NotBound`](crate::Misuse::NotBound)) or for a closing handle;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) for a handle that is connecting ([`Misuse::AlreadyConnecting`](crate::Misuse::AlreadyConnecting)),
    /// connected or listening ([`Misuse::AlreadyConnected`](crate::Misuse::AlreadyConnected)).
    ///
    /// # Cancel safety
    /// Dropping the request while it is awaited cancels the connect, as [`cancel`](Request::cancel) does. Dropped without
    /// having been awaited, it goes on.
    ///
    /// libuv: `uv_tcp_connect`
    #[doc(alias = "uv_tcp_connect")]
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
        self.0.limit_connect(&request, limit);
        request
    }

    fn connect_to(&self, origin: Origin, addr: io::Result<SocketAddr>) -> Request<()> {
        self.0.connect_to(origin, addr, |fresh, addr| self.start_connect(fresh, addr))
    }

    fn start_connect(
        &self,
        fresh: Option<Socket>,
        addr: SocketAddr,
    ) -> io::Result<mio::net::TcpStream> {
        let socket = fresh.map_or_else(|| self.new_socket(addr), Ok)?;
        begin_connect(&socket, &to_this_host(addr).into())?;
        Ok(mio::net::TcpStream::from_std(socket.into()))
    }
}
