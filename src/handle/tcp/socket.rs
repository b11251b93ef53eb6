//! The socket of a handle: its making, its addresses, its descriptor.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use socket2::Socket;

use super::Tcp;
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::event_loop::LoopHandle;
use crate::handle::ip::{as_ip, share_port};
use crate::socket::StreamSocket;

impl Tcp {
    /// A handle without a socket; [`bind`](Tcp::bind), [`connect`](Tcp::connect), [`listen`](Tcp::listen) or
    /// [`open`](Tcp::open) gives it one.
    ///
    /// libuv: `uv_tcp_init`
    #[doc(alias = "uv_tcp_init")]
    #[doc(alias = "uv_tcp_init_ex")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Tcp {
        StreamSocket::make(event_loop, Location::caller())
    }

    /// Gives the handle a local address. Port 0 picks a free one, which [`local_addr`](Tcp::local_addr) tells. The
    /// address may be used again right after a server that had it has ended.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address, for a handle that has an address
    /// already ([`Misuse::AlreadyBound`]) or is closing; [`AddrInUse`](io::ErrorKind::AddrInUse),
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable), [`PermissionDenied`](io::ErrorKind::PermissionDenied) from
    /// the system. After an error another address can be tried; until a bind succeeds, [`listen`](Tcp::listen) and
    /// [`connect`](Tcp::connect) are refused ([`Misuse::NotBound`]), since they would use an address that was not asked
    /// for.
    ///
    /// libuv: `uv_tcp_bind`
    #[doc(alias = "uv_tcp_bind")]
    pub fn bind(&self, addr: impl IntoAddr) -> io::Result<()> {
        self.bind_to(addr.into_addr())
    }

    fn bind_to(&self, addr: io::Result<SocketAddr>) -> io::Result<()> {
        self.0.bind(|| self.make_bound(addr?))
    }

    pub(super) fn make_bound(&self, addr: SocketAddr) -> io::Result<Socket> {
        let (reuse_port, only_v6) = self.0.extra(|extra| (extra.own.reuse_port, extra.own.only_v6));
        if only_v6 && addr.is_ipv4() {
            return Err(Misuse::NotIpv6.into());
        }
        let socket = self.new_socket(addr)?;
        socket.set_reuse_address(true)?;
        if reuse_port {
            share_port(&socket)?;
        }
        if only_v6 {
            socket.set_only_v6(true)?;
        } else if addr.is_ipv6() {
            // Where the system can, one socket serves both families, as in libuv.
            let _ = socket.set_only_v6(false);
        }
        socket.bind(&addr.into())?;
        Ok(socket)
    }

    /// Lets several listeners, of this process or of others, share one port; the system spreads the connections over
    /// them. To be called before [`bind`](Tcp::bind), on each of them.
    ///
    /// # Errors
    /// [`Misuse::AlreadyBound`] after the handle has got a socket. A bind afterwards fails with
    /// [`Unsupported`](io::ErrorKind::Unsupported) where the system does not spread connections.
    ///
    /// libuv: `UV_TCP_REUSEPORT`
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        self.0.set_before_bind(|own| own.reuse_port = on)
    }

    /// Has a socket that is bound to IPv6's "any" address serve IPv6 only. Otherwise, where the system can, it serves
    /// IPv4 as well. To be called before [`bind`](Tcp::bind).
    ///
    /// # Errors
    /// [`Misuse::AlreadyBound`] after the handle has got a socket. A bind to an IPv4 address afterwards is refused with
    /// [`Misuse::NotIpv6`].
    ///
    /// libuv: `UV_TCP_IPV6ONLY`
    pub fn set_only_v6(&self, on: bool) -> io::Result<()> {
        self.0.set_before_bind(|own| own.only_v6 = on)
    }

    /// The address of this end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket.
    ///
    /// libuv: `uv_tcp_getsockname`
    #[doc(alias = "uv_tcp_getsockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.with_any_socket(|socket| as_ip(socket.local_addr()?))?
    }

    /// The address of the other end.
    ///
    /// The system forgets it when the peer resets the connection. A server that needs it in any case takes it from
    /// [`accept_with_addr`](Tcp::accept_with_addr) or [`accept_next_with_addr`](Tcp::accept_next_with_addr): the handle
    /// does not keep it, which would make every idle connection larger.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a socket ([`Misuse::NoSocket`]) or a connection.
    ///
    /// libuv: `uv_tcp_getpeername`
    #[doc(alias = "uv_tcp_getpeername")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.with_any_socket(|socket| as_ip(socket.peer_addr()?))?
    }
}
