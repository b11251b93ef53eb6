//! The socket of a handle: made or adopted, its address, its descriptor.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Udp, UdpSocket, Wishes};
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::event_loop::LoopHandle;
use crate::handle::ip::{as_ip, share_port};

impl Udp {
    /// A handle without a socket. [`bind`](Udp::bind), [`connect`](Udp::connect), [`open`](Udp::open), the first send or
    /// receive gives it one.
    ///
    /// libuv: `uv_udp_init`; `uv_udp_init_ex` (the address to bind to says the family)
    #[doc(alias = "uv_udp_init")]
    #[doc(alias = "uv_udp_init_ex")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Udp {
        Udp::make(event_loop)
    }

    /// Adopts a socket of the standard library, bound, connected or neither. It is made non-blocking and closed with the
    /// handle; nothing else about it is changed.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasSocket`]) if the handle has a socket already;
    /// [`Misuse::Closing`]; what the system says otherwise. The socket is closed then.
    ///
    /// libuv: `uv_udp_open` (which also sets address reuse)
    #[doc(alias = "uv_udp_open")]
    pub fn open(&self, socket: std::net::UdpSocket) -> io::Result<()> {
        self.core().check_open()?;
        if self.0.datagrams.has_socket() {
            return Err(Misuse::HasSocket.into());
        }
        socket.set_nonblocking(true)?;
        let has_peer = SockRef::from(&socket).peer_addr().is_ok();
        self.0.datagrams.adopt(UdpSocket::from_std(socket), true)?;
        self.0.datagrams.set_connected(has_peer);
        Ok(())
    }

    /// Gives the handle a local address, from which it sends and at which it receives. Port 0 picks a free one, which
    /// [`local_addr`](Udp::local_addr) tells. An IPv6 handle also takes part in IPv4 where the system can, unless
    /// [`set_only_v6`](Udp::set_only_v6) says otherwise.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address, for a handle that has an address
    /// already, be it by its first send ([`Misuse::AlreadyBound`]), or is closing; [`AddrInUse`](io::ErrorKind::AddrInUse),
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable), [`PermissionDenied`](io::ErrorKind::PermissionDenied) from
    /// the system. After an error another address can be tried, and nothing but bind gives the handle one
    /// ([`Misuse::NotBound`]).
    ///
    /// libuv: `uv_udp_bind`
    #[doc(alias = "uv_udp_bind")]
    pub fn bind(&self, addr: impl IntoAddr) -> io::Result<()> {
        self.bind_to(addr.into_addr())
    }

    fn bind_to(&self, addr: io::Result<SocketAddr>) -> io::Result<()> {
        self.core().check_open()?;
        if self.0.datagrams.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        let bound = addr.and_then(|addr| self.bind_new(addr));
        self.wish(|wishes| wishes.bind_failed = bound.is_err());
        bound
    }

    /// Makes a socket with this address, non-blocking, that children do not inherit.
    pub(super) fn bind_new(&self, addr: SocketAddr) -> io::Result<()> {
        let wishes = self.0.wishes.get();
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if wishes.reuse_address {
            reuse_address(&socket)?;
        }
        if wishes.reuse_port {
            share_port(&socket)?;
        }
        if addr.is_ipv6() {
            match socket.set_only_v6(wishes.only_v6) {
                // Some systems have nothing but sockets for one family.
                Err(err) if wishes.only_v6 => return Err(err),
                _ => {}
            }
        }
        socket.bind(&addr.into())?;
        self.0.datagrams.adopt(UdpSocket::from_std(socket.into()), false)
    }

    /// Lets the handle have an address that another socket with this option has, such as the port of a multicast group.
    /// What arrives there for one host alone goes to one of them, usually the last one bound. To be called before
    /// [`bind`](Udp::bind), on each of them.
    ///
    /// # Errors
    /// [`Misuse::AlreadyBound`] after the handle has got a socket; [`Misuse::Closing`].
    ///
    /// libuv: `UV_UDP_REUSEADDR`
    #[doc(alias = "UV_UDP_REUSEADDR")]
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        self.set_wish(|wishes| wishes.reuse_address = on)
    }

    /// Lets several sockets, of this process or of others, share one port; the system spreads what arrives over them. To
    /// be called before [`bind`](Udp::bind), on each of them.
    ///
    /// # Errors
    /// [`Misuse::AlreadyBound`] after the handle has got a socket; [`Misuse::Closing`]. A bind afterwards fails with
    /// [`Unsupported`](io::ErrorKind::Unsupported) where the system does not spread what arrives.
    ///
    /// libuv: `UV_UDP_REUSEPORT`
    #[doc(alias = "UV_UDP_REUSEPORT")]
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        self.set_wish(|wishes| wishes.reuse_port = on)
    }

    /// Keeps an IPv6 handle out of IPv4. To be called before [`bind`](Udp::bind).
    ///
    /// # Errors
    /// [`Misuse::AlreadyBound`] after the handle has got a socket; [`Misuse::Closing`].
    ///
    /// libuv: `UV_UDP_IPV6ONLY`
    #[doc(alias = "UV_UDP_IPV6ONLY")]
    pub fn set_only_v6(&self, on: bool) -> io::Result<()> {
        self.set_wish(|wishes| wishes.only_v6 = on)
    }

    fn set_wish(&self, change: impl FnOnce(&mut Wishes)) -> io::Result<()> {
        self.core().check_open()?;
        if self.0.datagrams.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        self.wish(change);
        Ok(())
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.0.wishes.get();
        change(&mut wishes);
        self.0.wishes.set(wishes);
    }

    /// The address of this end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket.
    ///
    /// libuv: `uv_udp_getsockname`
    #[doc(alias = "uv_udp_getsockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.with_any_fd(|fd| as_ip(SockRef::from(&fd).local_addr()?))?
    }

    /// The number of the descriptor, for calls that luvio does not offer. It stays the handle's: do not close it.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) before there is a socket and after close.
    ///
    /// libuv: `uv_fileno`
    #[doc(alias = "uv_fileno")]
    pub fn fileno(&self) -> io::Result<RawFd> {
        self.with_fd(|fd| fd.as_raw_fd())
    }

    /// Runs `f` with the descriptor, borrowed for as long as `f` runs. (A shared handle that can be closed cannot be
    /// [`AsFd`](std::os::fd::AsFd) in safe code.) A close inside `f` takes the descriptor when `f` returns.
    ///
    /// # Errors
    /// As [`fileno`](Udp::fileno).
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.with_any_fd(|fd| {
            self.0.datagrams.mark_shown();
            f(fd)
        })
    }
}

/// Every interface and a free port, in the family of `addr`.
pub(super) fn any(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// On the BSDs and on macOS it is the other option that lets datagram sockets have the same address; there, as in libuv.
fn reuse_address(socket: &Socket) -> io::Result<()> {
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly"
    ))]
    return socket.set_reuse_port(true);
    #[cfg(not(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly"
    )))]
    return socket.set_reuse_address(true);
}
