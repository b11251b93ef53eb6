//! The await twins of `Poll`'s callback.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll as Polled};

use crate::handle::poll::{Interest, Place, Poll, Ready};

impl Poll {
    /// Waits until there is something to read: data, the end of it, a connection, an error. A read is to be tried before,
    /// since each wait takes a poll of the loop.
    ///
    /// # Errors
    /// As [`ready`](Poll::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    #[doc(alias = "uv_poll_start")]
    pub fn readable(&self) -> PollReady<'_> {
        PollReady(self.ready(Interest::READABLE))
    }

    /// Waits until there is room to write, a connect has ended, or there is an error. A write is to be tried before.
    ///
    /// # Errors
    /// As [`ready`](Poll::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    #[doc(alias = "uv_poll_start")]
    pub fn writable(&self) -> PollReady<'_> {
        PollReady(self.ready(Interest::WRITABLE))
    }

    /// Waits until there is any of `interest`, and yields what there is. The next poll of the loop tells, whether it is new
    /// or has been so for long. Several tasks may wait, each for its own interest; all that wait for what there is get it.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasCallback`](crate::Misuse::HasCallback)) for a handle
    /// with a callback; [`InvalidInput`](io::ErrorKind::InvalidInput) for an empty interest
    /// ([`Misuse::NoInterest`](crate::Misuse::NoInterest)); [`Canceled`](crate::Canceled) when the handle is closed, before
    /// or meanwhile; what the system says if it cannot watch the descriptor.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: whatever it waits for stays so until somebody reads or writes.
    #[doc(alias = "uv_poll_start")]
    pub fn ready(&self, interest: Interest) -> PollReadyFor<'_> {
        PollReadyFor { poll: self, interest, place: None }
    }
}

/// The future of [`Poll::readable`] and [`Poll::writable`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited"]
pub struct PollReady<'a>(PollReadyFor<'a>);

impl Future for PollReady<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_ok(drop)
    }
}

/// The future of [`Poll::ready`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited"]
pub struct PollReadyFor<'a> {
    poll: &'a Poll,
    interest: Interest,
    place: Place,
}

impl Future for PollReadyFor<'_> {
    type Output = io::Result<Ready>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Self::Output> {
        let PollReadyFor { poll, interest, place } = &mut *self;
        poll.poll_ready(*interest, place, context)
    }
}

impl Drop for PollReadyFor<'_> {
    fn drop(&mut self) {
        self.poll.stop_waiting(&mut self.place);
    }
}
