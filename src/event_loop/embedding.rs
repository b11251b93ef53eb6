//! A loop inside another one, by its descriptor.

use std::os::fd::{AsFd, BorrowedFd};

use super::Loop;
#[cfg(doc)]
use super::{LoopHandle, RunMode};

/// For embedding: wait until this descriptor is readable or [`backend_timeout`](LoopHandle::backend_timeout) has
/// passed, then run the loop with [`RunMode::NoWait`]. Not offered where mio polls with poll(2), which has no
/// descriptor.
///
/// Ask [`is_alive`](LoopHandle::is_alive) first. With nothing alive there is nothing to wait for, and the timeout is zero:
/// a host that does nothing but wait and run would spin. It may stop, or, if it has other things to do, wait for these
/// and the descriptor without a limit, since another thread may still post something.
///
/// ```
/// use luvio::{Loop, RunMode, Timer};
/// use mio::unix::SourceFd;
/// use mio::{Events, Interest, Poll, Token};
/// use std::io;
/// use std::os::fd::{AsFd, AsRawFd};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// Timer::after(&event_loop, Duration::from_millis(1), |_| println!("a millisecond later"));
///
/// // The host: somebody else's loop, in which this one is a descriptor like any other.
/// let (mut host, mut events) = (Poll::new()?, Events::with_capacity(8));
/// let descriptor = event_loop.as_fd().as_raw_fd();
/// host.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
/// while event_loop.is_alive() {
///     match host.poll(&mut events, event_loop.backend_timeout()) {
///         Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
///         polled => polled?,
///     }
///     event_loop.run_mode(RunMode::NoWait)?;
/// }
/// # Ok::<(), io::Error>(())
/// ```
///
/// libuv: `uv_backend_fd`
impl AsFd for Loop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}
