//! Names of Unix-domain sockets as arguments, and between the standard library and the system.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use socket2::SockAddr;

use crate::error::Misuse;

/// What [`Pipe`](crate::Pipe) takes as a name: a path (`&str`, `String`, `&Path`, `PathBuf`, …), or a [`SocketAddr`] of the
/// standard library, which can also be an abstract name of Linux.
///
/// A path is taken as it is or not at all: one that the system has no room for is refused, never cut.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use luvio::{Loop, Pipe};
/// use std::os::linux::net::SocketAddrExt;
/// use std::os::unix::net::SocketAddr;
///
/// let event_loop = Loop::new()?;
/// let server = Pipe::new(&event_loop);
/// # let name = format!("luvio-doc-{}", std::process::id());
/// server.bind(SocketAddr::from_abstract_name(name)?)?; // no file: it is free again when the socket closes
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `UV_PIPE_NO_TRUNCATE`
pub trait IntoPipeAddr {
    /// The name as the standard library has it.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::BadName`]) for a path that is too long or has a zero byte in
    /// it.
    fn into_pipe_addr(self) -> io::Result<SocketAddr>;
}

impl IntoPipeAddr for SocketAddr {
    fn into_pipe_addr(self) -> io::Result<SocketAddr> {
        Ok(self)
    }
}

impl IntoPipeAddr for &SocketAddr {
    fn into_pipe_addr(self) -> io::Result<SocketAddr> {
        Ok(self.clone())
    }
}

macro_rules! impl_for_paths {
    ($($path:ty)+) => {$(
        impl IntoPipeAddr for $path {
            fn into_pipe_addr(self) -> io::Result<SocketAddr> {
                from_path(self.as_ref())
            }
        }
    )+};
}

impl_for_paths! { &Path PathBuf &PathBuf &str String &String &OsStr OsString &OsString }

fn from_path(path: &Path) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(path).map_err(|_| Misuse::BadName.into())
}

/// The same name for the system. Without a name, it picks one.
pub(crate) fn to_sockaddr(addr: &SocketAddr) -> io::Result<SockAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = abstract_name(addr) {
        let marked = [&[0], name].concat();
        return SockAddr::unix(OsStr::from_bytes(&marked)).map_err(|_| Misuse::BadName.into());
    }
    let path = addr.as_pathname().unwrap_or(Path::new(""));
    SockAddr::unix(path).map_err(|_| Misuse::BadName.into())
}

/// The name of an end of a socket.
pub(crate) fn as_pipe_addr(addr: &SockAddr) -> io::Result<SocketAddr> {
    if !addr.is_unix() {
        return Err(Misuse::NotUnix.into());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = addr.as_abstract_namespace() {
        return with_abstract_name(name);
    }
    SocketAddr::from_pathname(addr.as_pathname().unwrap_or(Path::new("")))
}

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(addr: &SocketAddr) -> Option<&[u8]> {
    addr.as_abstract_name()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn with_abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_for_the_system() {
        for path in ["/tmp/a socket", "relative", "ä", ""] {
            let addr = path.into_pipe_addr().unwrap();
            let back = as_pipe_addr(&to_sockaddr(&addr).unwrap()).unwrap();
            assert_eq!(back.as_pathname(), addr.as_pathname());
            assert_eq!(back.is_unnamed(), path.is_empty());
        }
        #[cfg(target_os = "linux")]
        for name in [&b"abstract"[..], b"with\0zeros\0", &[b'x'; 107]] {
            let addr = SocketAddr::from_abstract_name(name).unwrap();
            let back = as_pipe_addr(&to_sockaddr(&addr).unwrap()).unwrap();
            assert_eq!(back.as_abstract_name(), Some(name));
        }
    }

    #[test]
    fn a_name_is_never_cut() {
        for bad in ["x".repeat(108), "/".repeat(200), "zero\0byte".into(), "\0abstract".into()] {
            let err = bad.as_str().into_pipe_addr().unwrap_err();
            assert_eq!(Misuse::of(&err), Some(Misuse::BadName), "{bad:?}");
        }
    }
}
