//! Who the other end is.

use std::io;

use super::Pipe;
use crate::error::Misuse;

/// Who has connected, or who listens, as the system saw it then (see [`Pipe::peer_cred`]).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// The process, which may have ended meanwhile, and its number belong to another one. `None` if this process cannot see
    /// it, in a container.
    pub pid: Option<i32>,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Pipe {
    /// Who the other end is: of a connection, who connected it or called listen; of a pair, who made it. Only on Linux and
    /// Android.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NotConnected`]) without a connection;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::NotUnix`]) for what was adopted and is no Unix-domain socket.
    pub fn peer_cred(&self) -> io::Result<PeerCred> {
        self.core().check_open()?;
        if !self.0.stream.is_connected() {
            return Err(Misuse::NotConnected.into());
        }
        self.peer_addr()?;
        let cred = self.0.with_any_fd(|fd| rustix::net::sockopt::socket_peercred(fd))??;
        let pid = Some(rustix::process::Pid::as_raw(Some(cred.pid))).filter(|&pid| pid != 0);
        Ok(PeerCred { pid, uid: cred.uid.as_raw(), gid: cred.gid.as_raw() })
    }
}
