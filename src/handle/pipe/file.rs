//! The file of a bound socket: it appears with bind and has to be removed by whoever made it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};

/// A socket file that this process made. It is removed with this value, before the descriptor is closed: until then, the
/// number of the file is not given to another one.
#[derive(Debug)]
pub(crate) struct BoundFile {
    /// Absolute, since the program may change its directory.
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl BoundFile {
    /// What a bind to `addr` has just made, if that was a file.
    pub(super) fn of(addr: &SocketAddr) -> Option<BoundFile> {
        let path = absolute(addr.as_pathname()?).ok()?;
        let file = fs::symlink_metadata(&path).ok()?;
        Some(BoundFile { path, device: file.dev(), inode: file.ino() })
    }

    /// Where it is, unless another server has taken its place, or somebody has removed it.
    pub(super) fn path(&self) -> Option<&Path> {
        let file = fs::symlink_metadata(&self.path).ok()?;
        let is_it = (file.dev(), file.ino()) == (self.device, self.inode);
        is_it.then_some(&self.path)
    }

    /// Leaves the file where it is: the socket lives on elsewhere.
    pub(super) fn leave(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for BoundFile {
    fn drop(&mut self) {
        if let Some(path) = self.path() {
            // Nobody could do anything about it: the next bind says that the name is in use.
            let _ = fs::remove_file(path);
        }
    }
}
