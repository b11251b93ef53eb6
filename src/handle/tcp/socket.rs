//! The socket of a handle: made or adopted, its addresses, its descriptor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::rc::Rc;

use socket2::{SockRef, Socket};

use super::Tcp;
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::event_loop::LoopHandle;
use crate::handle::socket::{as_ip, share_port};

impl Tcp {
    /// A handle without a socket; [`bind`](Tcp::bind), [`connect`](Tcp::connect), [`listen`](Tcp::listen) or
    /// [`open`](Tcp::open) gives it one.
    ///
    /// libuv: `uv_tcp_init`
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Tcp {
        Tcp::new_at(event_loop, Location::caller())
    }

    /// Adopts a connected socket of the standard library. It is made non-blocking and closed with the handle.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasSocket`]) if the handle has a socket already;
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the loop has that socket already; [`Misuse::Closing`]; what
    /// the system says otherwise. The socket is closed then.
    ///
    /// libuv: `uv_tcp_open`
    pub fn open(&self, stream: std::net::TcpStream) -> io::Result<()> {
        self.check_no_socket()?;
        stream.set_nonblocking(true)?;
        self.apply_options(&SockRef::from(&stream))?;
        self.0.stream.adopt(mio::net::TcpStream::from_std(stream), true)
    }

    /// Adopts a bound socket of the standard library, listening or not, for [`listen`](Tcp::listen) or
    /// [`listen_only`](Tcp::listen_only).
    ///
    /// # Errors
    /// As [`open`](Tcp::open).
    ///
    /// libuv: `uv_tcp_open`
    pub fn open_listener(&self, listener: std::net::TcpListener) -> io::Result<()> {
        self.check_no_socket()?;
        listener.set_nonblocking(true)?;
        self.apply_options(&SockRef::from(&listener))?;
        self.with_extra(|extra| extra.fresh = Some(Rc::new(Socket::from(listener))));
        self.0.stream.mark_shown();
        Ok(())
    }

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

    /// The number of the descriptor, for calls that luvio does not offer. It stays the handle's: do not close it.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) before there is a socket and after close.
    ///
    /// libuv: `uv_fileno`
    pub fn fileno(&self) -> io::Result<RawFd> {
        self.with_fd(|fd| fd.as_raw_fd())
    }

    /// Runs `f` with the descriptor, borrowed for as long as `f` runs. (A shared handle that can be closed cannot be
    /// [`AsFd`](std::os::fd::AsFd) in safe code.) A close inside `f` takes the descriptor when `f` returns.
    ///
    /// # Errors
    /// As [`fileno`](Tcp::fileno).
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.0.stream.mark_shown();
        self.with_any_fd(f)
    }

    fn check_no_socket(&self) -> io::Result<()> {
        self.core().check_open()?;
        if self.has_socket() { Err(Misuse::HasSocket.into()) } else { Ok(()) }
    }
}
