//! What the sockets of all kinds have in common, whatever is sent through them.

use std::io;
use std::net::SocketAddr;

use socket2::{SockAddr, Socket};

use crate::error::Misuse;

/// Only on systems that spread what arrives over the sockets; elsewhere one of them would get all.
pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
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

/// The address of an IP socket.
pub(crate) fn as_ip(addr: SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket().ok_or_else(|| Misuse::BadAddress.into())
}

/// Connecting to "any address" means this host, but not on every system.
pub(crate) fn to_this_host(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}
