//! The socket of a handle: its making, its addresses, its descriptor.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::rc::Rc;

use socket2::{SockAddr, Socket};

use super::{Extra, Tcp};
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::event_loop::LoopHandle;

impl Tcp {
    /// A handle without a socket; [`bind`](Tcp::bind), [`connect`](Tcp::connect), [`listen`](Tcp::listen) or
    /// [`open`](Tcp::open) gives it one.
    ///
    /// libuv: `uv_tcp_init`
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Tcp {
        Tcp::new_at(event_loop, Location::caller())
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
    pub fn bind(&self, addr: impl IntoAddr) -> io::Result<()> {
        self.bind_to(addr.into_addr())
    }

    fn bind_to(&self, addr: io::Result<SocketAddr>) -> io::Result<()> {
        self.core().check_open()?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        let bound = addr.and_then(|addr| self.make_bound(addr));
        if bound.is_err() {
            self.with_extra(|extra| extra.lacks_address = true);
        }
        self.set_fresh(bound?);
        Ok(())
    }

    /// Binds a handle that was to listen without having been bound.
    pub(super) fn bind_anywhere(&self) -> io::Result<()> {
        self.check_address()?;
        let only_v6 = self.extra(|extra| extra.only_v6);
        let any: IpAddr =
            if only_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.set_fresh(self.make_bound((any, 0).into())?);
        Ok(())
    }

    fn make_bound(&self, addr: SocketAddr) -> io::Result<Socket> {
        let (reuse_port, only_v6) = self.extra(|extra| (extra.reuse_port, extra.only_v6));
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

    /// The handle has an address, and may listen or connect.
    pub(super) fn set_fresh(&self, socket: Socket) {
        self.with_extra(|extra| {
            extra.fresh = Some(Rc::new(socket));
            extra.lacks_address = false;
        });
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
        self.set_before_bind(|extra| extra.reuse_port = on)
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
        self.set_before_bind(|extra| extra.only_v6 = on)
    }

    fn set_before_bind(&self, set: impl FnOnce(&mut Extra)) -> io::Result<()> {
        self.core().check_open()?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        self.with_extra(set);
        Ok(())
    }

    /// True if there is a socket: bound, connecting, connected, listening or adopted.
    pub fn has_socket(&self) -> bool {
        let has_own = self.extra(|extra| extra.fresh.is_some() || extra.listener.is_some());
        has_own || self.0.stream.has_socket()
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
    /// The system forgets it when the peer resets the connection. A server that needs it in any case takes it from
    /// [`accept_with_addr`](Tcp::accept_with_addr) or [`accept_next_with_addr`](Tcp::accept_next_with_addr): the handle
    /// does not keep it, which would make every idle connection larger.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a socket ([`Misuse::NoSocket`]) or a connection.
    ///
    /// libuv: `uv_tcp_getpeername`
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with_any_socket(|socket| as_ip(socket.peer_addr()?))?
    }

    /// The number of the descriptor, for calls that luvio does not offer. It stays the handle's: do not close it.
    ///
    /// Whoever sees it might duplicate it, and a duplicate would keep the connection open and registered with the loop.
    /// So from the first call on the handle closes with more care: it is taken out of the selector by a system call of its
    /// own, and a [`finish`](Tcp::finish) with nothing queued ends the writing side by a shutdown first, so that it is not
    /// closed inside the call. To ask for the addresses or set the options that the handle knows does not count.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) before there is a socket and after close.
    ///
    /// libuv: `uv_fileno`
    pub fn fileno(&self) -> io::Result<RawFd> {
        self.with_fd(|fd| fd.as_raw_fd())
    }

    /// Runs `f` with the descriptor, borrowed for as long as `f` runs. (A shared handle that can be closed cannot be
    /// [`AsFd`](std::os::fd::AsFd) in safe code.) A close inside `f` takes the descriptor when `f` returns. As with
    /// [`fileno`](Tcp::fileno), the handle closes with more care afterwards.
    ///
    /// # Errors
    /// As [`fileno`](Tcp::fileno).
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.0.stream.mark_shown();
        self.with_any_fd(f)
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
