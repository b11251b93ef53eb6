//! The addresses of a TCP socket: its own, which it is bound to, and its peer's.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use socket2::{SockAddr, Socket};

use super::Tcp;
use crate::addr::IntoAddr;
use crate::error::Misuse;

impl Tcp {
    /// Gives the handle a local address. Port 0 picks a free one, which [`local_addr`](Tcp::local_addr) tells. The
    /// address may be used again right after a server that had it has ended.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address, for a handle that has an address
    /// already ([`Misuse::AlreadyBound`]) or is closing; [`AddrInUse`](io::ErrorKind::AddrInUse),
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable), [`PermissionDenied`](io::ErrorKind::PermissionDenied) from
    /// the system. After an error another address can be tried.
    ///
    /// libuv: `uv_tcp_bind`
    pub fn bind(&self, addr: impl IntoAddr) -> io::Result<()> {
        self.bind_to(addr.into_addr())
    }

    fn bind_to(&self, addr: io::Result<SocketAddr>) -> io::Result<()> {
        self.core().check_open()?;
        let addr = addr?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        let socket = self.new_socket(addr)?;
        socket.set_reuse_address(true)?;
        if self.extra(|extra| extra.reuse_port) {
            share_port(&socket)?;
        }
        if addr.is_ipv6() {
            // Where the system can, one socket serves both families, as in libuv.
            let _ = socket.set_only_v6(false);
        }
        socket.bind(&addr.into())?;
        self.with_extra(|extra| extra.fresh = Some(Rc::new(socket)));
        Ok(())
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
        self.core().check_open()?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        self.with_extra(|extra| extra.reuse_port = on);
        Ok(())
    }

    /// The address of this end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket.
    ///
    /// libuv: `uv_tcp_getsockname`
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.with_any_socket(|socket| as_ip(socket.local_addr()?))?
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a socket ([`Misuse::NoSocket`]) or a connection.
    ///
    /// libuv: `uv_tcp_getpeername`
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with_any_socket(|socket| as_ip(socket.peer_addr()?))?
    }
}

/// Only on systems that spread the connections over the sockets; elsewhere one of them would get all.
fn share_port(socket: &Socket) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "dragonfly"))]
    return socket.set_reuse_port(true);
    #[cfg(target_os = "freebsd")]
    return socket.set_reuse_port_lb(true);
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd"
    )))]
    return {
        let _ = socket;
        Err(io::ErrorKind::Unsupported.into())
    };
}

fn as_ip(addr: SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket().ok_or_else(|| Misuse::BadAddress.into())
}
