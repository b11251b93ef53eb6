//! The descriptor of a handle: whether it can be polled at all, lending it, giving it back.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use socket2::SockRef;

use super::Poll;
use crate::error::Misuse;
use crate::handle::Core;

impl Poll {
    /// The number of the descriptor. It stays the handle's: do not close it.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the handle was closed.
    ///
    /// libuv: `uv_fileno`
    #[doc(alias = "uv_fileno")]
    pub fn fileno(&self) -> io::Result<RawFd> {
        self.with_fd(|fd| fd.as_raw_fd())
    }

    /// Runs `f` with the descriptor, borrowed for as long as `f` runs, to read or write by whatever takes a descriptor. (A
    /// shared handle that can be closed cannot be [`AsFd`] in safe code.) A close inside `f` takes the descriptor when `f`
    /// returns.
    ///
    /// # Errors
    /// As [`fileno`](Poll::fileno).
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.core().check_open()?;
        let fd = self.0.fd.borrow().clone().ok_or(Misuse::Closing)?;
        Ok(f(fd.as_fd()))
    }

    /// Gives the descriptor back and closes the handle, for all its clones: the callback is not called any more, tasks that
    /// wait get [`Canceled`](crate::Canceled). The descriptor is non-blocking.
    ///
    /// `None` if the handle was closed, and while the descriptor is lent by [`with_fd`](Poll::with_fd); then nothing is
    /// changed.
    pub fn into_fd(self) -> Option<OwnedFd> {
        if Rc::strong_count(self.0.fd.borrow().as_ref()?) > 1 {
            return None;
        }
        self.0.forget();
        let fd = self.0.fd.take().and_then(Rc::into_inner);
        self.close();
        fd
    }
}

/// Makes a descriptor fit to be polled, or says why that cannot be.
pub(super) fn prepare(core: &Core, fd: &OwnedFd) -> io::Result<()> {
    core.check_open()?;
    check_type(fd)?;
    let tried = core.event_loop().inner().poller.try_source(fd.as_raw_fd());
    tried.map_err(|err| match err.raw_os_error() {
        Some(libc::EPERM) => Misuse::NotPollable.into(),
        _ => err,
    })?;
    // Not only of sockets.
    SockRef::from(fd).set_nonblocking(true)
}

/// epoll refuses what it cannot poll, and knows best: some files of /proc and /sys it can. Other selectors take any file,
/// and never rest.
#[cfg(all(not(mio_unsupported_force_poll_poll), any(target_os = "linux", target_os = "android")))]
fn check_type(_: &OwnedFd) -> io::Result<()> {
    Ok(())
}

#[cfg(not(all(
    not(mio_unsupported_force_poll_poll),
    any(target_os = "linux", target_os = "android")
)))]
fn check_type(fd: &OwnedFd) -> io::Result<()> {
    let of = std::fs::File::from(fd.try_clone()?).metadata()?;
    if of.is_file() || of.is_dir() { Err(Misuse::NotPollable.into()) } else { Ok(()) }
}
