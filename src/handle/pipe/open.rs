//! Adopting a descriptor of any origin: what it is, and which way it goes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use socket2::{SockRef, Type};

use super::Pipe;
use super::transport::PipeTransport;
use crate::error::{Misuse, Refused};
use crate::stream::Direction;

impl Pipe {
    /// Adopts a connected stream socket, a FIFO, or an end of an anonymous pipe, such as a child's standard output or the
    /// standard input that the process was given. It is made non-blocking, also for others who share it, and closed with the
    /// handle.
    ///
    /// Bytes go the way that it was opened for: what can only be read refuses writes as a stream that was
    /// [shut down](Pipe::shutdown), what can only be written refuses reads as one that is not connected. Where there is
    /// nothing but the writing side, a shutdown closes the descriptor.
    ///
    /// **SIGPIPE.** A write to a pipe that nobody reads any more raises this signal, unless it is a socket. Rust's programs
    /// ignore it, and get [`BrokenPipe`](io::ErrorKind::BrokenPipe); where `main` is not Rust's, ignore it yourself.
    ///
    /// ```
    /// use luvio::{Loop, Pipe};
    /// use std::process::{Command, Stdio};
    ///
    /// let event_loop = Loop::new()?;
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let output = Pipe::new(&event_loop);
    /// output.open(child.stdout.take().unwrap())?;
    /// let text = event_loop.try_block_on(output.read_once())?;
    /// assert_eq!(text.as_deref(), Some(&b"hello\n"[..]));
    /// child.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a file, a directory, a terminal, a datagram socket or a listener
    /// ([`Misuse::NotAPipe`]), and for a closing handle; [`ResourceBusy`](io::ErrorKind::ResourceBusy)
    /// ([`Misuse::HasSocket`]) if the handle has a socket already; [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the loop
    /// has that descriptor already; what the system says otherwise. The descriptor comes back with the error (in the last
    /// case it may be non-blocking).
    ///
    /// libuv: `uv_pipe_open`
    #[doc(alias = "uv_pipe_open")]
    pub fn open(&self, fd: impl Into<OwnedFd>) -> Result<(), Refused<OwnedFd>> {
        let fd = fd.into();
        let may_adopt = self.0.check_may_adopt().map_err(io::Error::from);
        let adopted = match may_adopt {
            Ok(()) => prepare(fd),
            Err(error) => Err(Refused { error, value: fd }),
        }?;
        let transport = match adopted {
            Adopted::Socket(fd) => {
                let socket = std::os::unix::net::UnixStream::from(fd);
                self.transport()(mio::net::UnixStream::from_std(socket))
            }
            Adopted::Fifo(fd, direction) => PipeTransport::Fifo(fd.into(), direction),
        };
        self.0.adopt(transport)
    }
}

/// What may be adopted.
enum Adopted {
    Socket(OwnedFd),
    Fifo(OwnedFd, Direction),
}

/// Finds out what it is, and makes it non-blocking.
fn prepare(fd: OwnedFd) -> Result<Adopted, Refused<OwnedFd>> {
    // As a file, it tells what it is.
    let file = File::from(fd);
    let made = nature_of(&file);
    let fd = OwnedFd::from(file);
    match made {
        Ok(None) => Ok(Adopted::Socket(fd)),
        Ok(Some(direction)) => Ok(Adopted::Fifo(fd, direction)),
        Err(error) => Err(Refused { error, value: fd }),
    }
}

/// The direction of a FIFO; none of a socket.
fn nature_of(file: &File) -> io::Result<Option<Direction>> {
    let kind = file.metadata()?.file_type();
    let is_pipe = kind.is_fifo() || kind.is_socket() && is_connection(&SockRef::from(file))?;
    if !is_pipe {
        return Err(Misuse::NotAPipe.into());
    }
    let flags = fcntl_getfl(file)?;
    fcntl_setfl(file, flags | OFlags::NONBLOCK)?;
    if kind.is_socket() {
        #[cfg(target_vendor = "apple")]
        SockRef::from(file).set_nosigpipe(true)?;
        return Ok(None);
    }
    Ok(Some(Direction::of(flags)))
}

/// True for a stream that does not listen.
fn is_connection(socket: &SockRef<'_>) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if socket.is_listener()? {
        return Ok(false);
    }
    Ok(socket.r#type()? == Type::STREAM)
}
