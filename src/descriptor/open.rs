//! Opening a second time what is open already, for an open file of one's own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fstat, open};

use super::kind::DescriptorKind;

/// Opens a terminal or a pipe a second time, non-blocking; `None` where that cannot be.
pub(super) fn again(fd: BorrowedFd<'_>, kind: DescriptorKind) -> Option<OwnedFd> {
    let path = match kind {
        // To open a master is to make another pseudo-terminal.
        DescriptorKind::Tty if !is_master(fd) => path_of(fd)?,
        DescriptorKind::Pipe => path_of_pipe(fd)?,
        _ => return None,
    };
    let access = fcntl_getfl(fd).ok()? & OFlags::ACCMODE;
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open(path, flags, Mode::empty()).ok()?;
    is_same(fd, &opened).ok()?.then_some(opened)
}

/// Linux names every open file, also one that has no other name or is out of reach.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn path_of(fd: BorrowedFd<'_>) -> Option<String> {
    use std::os::fd::AsRawFd;
    Some(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn path_of(fd: BorrowedFd<'_>) -> Option<std::ffi::CString> {
    rustix::termios::ttyname(fd, Vec::new()).ok()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn path_of_pipe(fd: BorrowedFd<'_>) -> Option<String> {
    path_of(fd)
}

/// Elsewhere, such names only make duplicates.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn path_of_pipe(_: BorrowedFd<'_>) -> Option<std::ffi::CString> {
    None
}

/// True if this is the end of a pseudo-terminal at which a terminal emulator sits.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn is_master(fd: BorrowedFd<'_>) -> bool {
    rustix::pty::ptsname(fd, Vec::new()).is_ok()
}

/// Elsewhere nobody says so; there, a second opening is found to be something else.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn is_master(_: BorrowedFd<'_>) -> bool {
    false
}

fn is_same(one: BorrowedFd<'_>, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev))
}
