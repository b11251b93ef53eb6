//! The socket of a handle: its making, its names, its file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::SocketAddr;
use std::panic::Location;

use socket2::{Domain, SockAddr, Socket, Type};

use super::Pipe;
use super::file::BoundFile;
use super::transport::PipeTransport;
use crate::addr::{IntoPipeAddr, as_pipe_addr, to_sockaddr};
use crate::error::Misuse;
use crate::event_loop::LoopHandle;
use crate::socket::StreamSocket;

impl Pipe {
    /// A handle without a socket; [`bind`](Pipe::bind), [`connect`](Pipe::connect) or one of the `open` methods gives it
    /// one.
    ///
    /// libuv: `uv_pipe_init`
    #[doc(alias = "uv_pipe_init")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Pipe {
        StreamSocket::make(event_loop, Location::caller())
    }

    /// Two handles that are connected to each other, without a name. To hand one to a child or to another loop,
    /// [`into_fd`](Pipe::into_fd) takes its descriptor out.
    ///
    /// ```
    /// use luvio::{Loop, Pipe};
    ///
    /// let event_loop = Loop::new()?;
    /// let (ours, theirs) = Pipe::pair(&event_loop)?;
    /// ours.write("hello");
    /// let heard = event_loop.try_block_on(theirs.read_once())?;
    /// assert_eq!(heard.as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the system says, such as that descriptors have run out; [`Misuse::LoopGone`].
    ///
    /// libuv: `uv_socketpair`
    #[doc(alias = "uv_socketpair")]
    #[track_caller]
    pub fn pair(event_loop: &LoopHandle) -> io::Result<(Pipe, Pipe)> {
        Pipe::pair_of(event_loop, PipeTransport::Socket)
    }

    #[track_caller]
    pub(super) fn pair_of(
        event_loop: &LoopHandle,
        transport: fn(mio::net::UnixStream) -> PipeTransport,
    ) -> io::Result<(Pipe, Pipe)> {
        let place = Location::caller();
        let (one, other) = mio::net::UnixStream::pair()?;
        let pipe = |socket| {
            let pipe: Pipe = StreamSocket::make(event_loop, place);
            pipe.core().check_open()?;
            pipe.0.stream.adopt(transport(socket), false)?;
            io::Result::Ok(pipe)
        };
        Ok((pipe(one)?, pipe(other)?))
    }

    /// Gives the handle a name, by which others [`connect`](Pipe::connect). A path makes a socket file there, which is
    /// removed when the handle closes or its last clone is dropped (not if another file has taken its place meanwhile). A
    /// process that ends in another way leaves it, and the name stays in use until somebody removes it.
    ///
    /// An abstract name of Linux makes no file. With the empty name, Linux picks an abstract one, which
    /// [`local_addr`](Pipe::local_addr) tells.
    ///
    /// Who may connect is up to the file's permissions, and to those of its directory: see [`chmod`](Pipe::chmod).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a name that is too long or has a zero byte in it
    /// ([`Misuse::BadName`]), for a handle that has a name or a socket already ([`Misuse::AlreadyBound`]) or is closing;
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if there is such a file, whether anybody listens there or not;
    /// [`NotFound`](io::ErrorKind::NotFound) without the directory; what the system says otherwise. After an error another
    /// name can be tried; until a bind succeeds, [`listen`](Pipe::listen) and [`connect`](Pipe::connect) are refused
    /// ([`Misuse::NotBound`]).
    ///
    /// libuv: `uv_pipe_bind`, `uv_pipe_bind2`
    #[doc(alias = "uv_pipe_bind")]
    #[doc(alias = "uv_pipe_bind2")]
    pub fn bind(&self, name: impl IntoPipeAddr) -> io::Result<()> {
        self.bind_to(name.into_pipe_addr())
    }

    fn bind_to(&self, name: io::Result<SocketAddr>) -> io::Result<()> {
        let mut file = None;
        self.0.bind(|| {
            let name = name?;
            // That of a socket which a connect took along when it failed.
            self.0.if_extra(|extra| extra.own.file.take());
            let socket = new_socket()?;
            socket.bind(&to_sockaddr(&name)?)?;
            file = BoundFile::of(&name);
            Ok(socket)
        })?;
        self.0.with_extra(|extra| extra.own.file = file);
        Ok(())
    }

    /// Sets the permissions of the socket file, such as `0o666` to let everybody connect, who needs the right to write. Until
    /// then they are what the process's umask leaves.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoFile`]) for a handle without a socket file: before bind,
    /// with an abstract name, and if the file was removed or replaced; [`InvalidInput`](io::ErrorKind::InvalidInput) for bits
    /// beyond `0o777` ([`Misuse::BadMode`]) or a closing handle; what the system says.
    ///
    /// libuv: `uv_pipe_chmod`
    #[doc(alias = "uv_pipe_chmod")]
    pub fn chmod(&self, mode: u32) -> io::Result<()> {
        self.core().check_open()?;
        let path = self.0.extra(|extra| Some(extra.own.file.as_ref()?.path()?.to_path_buf()));
        let path = path.ok_or(Misuse::NoFile)?;
        if mode & !0o777 != 0 {
            return Err(Misuse::BadMode.into());
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// The name of this end: that of a bound handle; of a connection that was accepted, its listener's. That of a client that
    /// did not bind is [unnamed](SocketAddr::is_unnamed).
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::NotUnix`]) for an adopted descriptor of another kind.
    ///
    /// libuv: `uv_pipe_getsockname`
    #[doc(alias = "uv_pipe_getsockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.with_any_socket(|socket| name(socket.local_addr()))?
    }

    /// The name of the other end, which is unnamed unless it has bound itself.
    ///
    /// # Errors
    /// As [`local_addr`](Pipe::local_addr), and [`NotConnected`](io::ErrorKind::NotConnected) without a connection.
    ///
    /// libuv: `uv_pipe_getpeername`
    #[doc(alias = "uv_pipe_getpeername")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.with_any_socket(|socket| name(socket.peer_addr()))?
    }
}

/// The name that the system tells, if it is one of a Unix-domain socket.
fn name(addr: io::Result<SockAddr>) -> io::Result<SocketAddr> {
    match addr {
        Err(err) if err.raw_os_error() == Some(libc::ENOTSOCK) => Err(Misuse::NotUnix.into()),
        addr => as_pipe_addr(&addr?),
    }
}

/// A non-blocking socket that children do not inherit.
pub(super) fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
