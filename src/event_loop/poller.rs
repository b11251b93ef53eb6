//! The one room that polls: mio's selector, and the batch of events that its last poll brought.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;

use super::mailbox::Mailbox;
use super::registry::NO_SOCKET;

/// Events taken per poll, as libuv does. More than that wait in the kernel for the next turn.
const EVENTS_PER_POLL: usize = 1024;

/// True where the selector is the kernel's own, epoll or kqueue, and not mio's emulation with poll(2).
pub(crate) const IN_KERNEL: bool = cfg!(all(
    not(mio_unsupported_force_poll_poll),
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "tvos",
        target_os = "watchos",
        target_os = "visionos",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    )
));

/// The events of one poll, and how many of them were delivered.
struct Batch {
    events: mio::Events,
    delivered: usize,
}

/// The selector of a loop. Empty once the loop is gone.
pub(crate) struct Poller {
    poll: RefCell<Option<mio::Poll>>,
    /// `None` only while a batch is being delivered.
    batch: Cell<Option<Batch>>,
    /// True while the batch holds events that were not delivered, because a callback panicked.
    unfinished: Cell<bool>,
    /// True if the batch was full, so that the kernel may have more.
    was_full: Cell<bool>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<(Poller, Arc<Mailbox>)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), NO_SOCKET)?;
        let batch = Batch { events: mio::Events::with_capacity(EVENTS_PER_POLL), delivered: 0 };
        let poller = Poller {
            poll: RefCell::new(Some(poll)),
            batch: Cell::new(Some(batch)),
            unfinished: Cell::new(false),
            was_full: Cell::new(false),
        };
        Ok((poller, Arc::new(Mailbox::new(waker))))
    }

    /// Waits for events, at most as long as `timeout` says; `None` is without limit. When a signal interrupts the wait,
    /// `timeout` is asked again for what remains. True if there are events.
    pub(crate) fn wait(&self, timeout: impl Fn() -> Option<Duration>) -> io::Result<bool> {
        debug_assert!(!self.has_undelivered(), "undelivered events would be lost");
        let mut poll = self.poll.borrow_mut();
        let (Some(poll), Some(mut batch)) = (poll.as_mut(), self.batch.take()) else {
            return Ok(false);
        };
        batch.delivered = 0;
        let polled = loop {
            match poll.poll(&mut batch.events, timeout()) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                done => break done,
            }
        };
        if polled.is_err() {
            batch.events.clear();
        }
        let any = !batch.events.is_empty();
        self.batch.set(Some(batch));
        self.unfinished.set(any);
        self.was_full.set(false);
        polled.map(|()| any)
    }

    /// True if events of the last poll wait to be delivered.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.unfinished.get()
    }

    /// True if the last poll left no room for events that there may be beside those it brought. The kernel tells whoever
    /// polls the selector of news only, not of these.
    pub(crate) fn may_have_more(&self) -> bool {
        self.was_full.get()
    }

    /// Hands the events of the last poll to `each`. If it panics, the next call goes on behind the event that did it.
    pub(crate) fn deliver(&self, mut each: impl FnMut(&mio::event::Event)) {
        if !self.unfinished.get() {
            return;
        }
        let Some(batch) = self.batch.take() else {
            return;
        };
        let mut restored = Restore { poller: self, batch: Some(batch) };
        let Some(Batch { events, delivered }) = restored.batch.as_mut() else {
            return;
        };
        let mut undelivered = events.iter();
        for _ in 0..*delivered {
            undelivered.next();
        }
        for event in undelivered {
            *delivered += 1;
            each(event);
        }
        self.unfinished.set(false);
        self.was_full.set(*delivered == EVENTS_PER_POLL);
    }

    /// Runs `f` with the registry by which sources are registered; an error if the loop is gone.
    pub(crate) fn with_registry<R>(
        &self,
        f: impl FnOnce(&mio::Registry) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.poll.borrow().as_ref() {
            Some(poll) => f(poll.registry()),
            None => Err(crate::Misuse::LoopGone.into()),
        }
    }

    /// An error if the system cannot poll this descriptor.
    pub(crate) fn try_source(&self, fd: RawFd) -> io::Result<()> {
        self.with_registry(|registry| {
            registry.register(&mut SourceFd(&fd), NO_SOCKET, mio::Interest::READABLE)?;
            registry.deregister(&mut SourceFd(&fd))
        })
    }

    /// Gives the selector and its descriptors back to the system.
    pub(crate) fn close(&self) {
        self.poll.take();
        self.batch.take();
        self.unfinished.set(false);
    }
}

/// True if there is something to read beside urgent data, of which mio says that it is readable, too. Asks a selector that
/// was not told of urgent data.
#[cold]
pub(crate) fn has_normal_data(fd: RawFd) -> io::Result<bool> {
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(1);
    poll.registry().register(&mut SourceFd(&fd), NO_SOCKET, mio::Interest::READABLE)?;
    poll.poll(&mut events, Some(Duration::ZERO))?;
    Ok(!events.is_empty())
}

/// Puts the batch back when its delivery ends, by unwinding too.
struct Restore<'a> {
    poller: &'a Poller,
    batch: Option<Batch>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.poller.batch.set(self.batch.take());
    }
}
