//! What a descriptor is.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat};
use rustix::termios::isatty;
use socket2::{Domain, SockRef, Type};

/// What a descriptor is, in the words of the handles that serve it.
///
/// libuv: the values of `uv_handle_type` that it guesses
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorKind {
    /// A terminal: see [`Tty`](crate::Tty).
    Tty,
    /// A pipe, a FIFO, or a Unix socket of the stream type.
    Pipe,
    /// A TCP socket: see [`Tcp`](crate::Tcp).
    Tcp,
    /// A UDP socket.
    Udp,
    /// A regular file, or a device that is no terminal.
    File,
    /// Anything else, such as a directory.
    Unknown,
}

/// Says what `fd` is.
///
/// ```
/// use luvio::{DescriptorKind, guess_handle};
///
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// assert_eq!(guess_handle(&socket)?, DescriptorKind::Udp);
/// if guess_handle(std::io::stdout())? == DescriptorKind::Tty {
///     println!("in colours");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the system says, such as `EBADF` for one of the standard descriptors if the process has closed it.
///
/// libuv: `uv_guess_handle`
#[doc(alias = "uv_guess_handle")]
pub fn guess_handle(fd: impl AsFd) -> io::Result<DescriptorKind> {
    let fd = fd.as_fd();
    Ok(match FileType::from_raw_mode(fstat(fd)?.st_mode) {
        FileType::CharacterDevice if isatty(fd) => DescriptorKind::Tty,
        FileType::RegularFile | FileType::CharacterDevice => DescriptorKind::File,
        FileType::Fifo => DescriptorKind::Pipe,
        FileType::Socket => guess_socket(&SockRef::from(&fd))?,
        _ => DescriptorKind::Unknown,
    })
}

fn guess_socket(socket: &SockRef<'_>) -> io::Result<DescriptorKind> {
    let is_inet = |domain| domain == Domain::IPV4 || domain == Domain::IPV6;
    Ok(match (socket.local_addr()?.domain(), socket.r#type()?) {
        (Domain::UNIX, Type::STREAM) => DescriptorKind::Pipe,
        (domain, Type::STREAM) if is_inet(domain) => DescriptorKind::Tcp,
        (domain, Type::DGRAM) if is_inet(domain) => DescriptorKind::Udp,
        _ => DescriptorKind::Unknown,
    })
}
