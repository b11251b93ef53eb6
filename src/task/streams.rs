//! The await twins of the handles' repeated events: reading, accepting, notifications, signals.
//!
//! They wait for readiness by a waker that lies in the handle, and do their work inside their own poll. So a future that
//! is dropped has consumed nothing, and one that waits holds no buffer.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handle::Place;
use crate::handle::notifier::Notifier;
#[cfg(feature = "signal")]
use crate::handle::signal::Signal;
use crate::handle::tcp::Tcp;
use crate::socket::{self, Listen};
use crate::stream::{ByteStream, StreamHandle};

/// The part that all reading futures have.
struct Reading<'a, H: StreamHandle> {
    handle: &'a H,
    /// Tells the stream's wait for this one from others. 0 if there is none.
    wait: u32,
}

impl<'a, H: StreamHandle> Reading<'a, H> {
    fn new(handle: &'a H) -> Reading<'a, H> {
        Reading { handle, wait: 0 }
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<R>> {
        self.handle.stream().poll_read(&mut self.wait, context, take)
    }
}

impl<H: StreamHandle> Drop for Reading<'_, H> {
    fn drop(&mut self) {
        self.handle.stream().stop_awaiting(&mut self.wait);
    }
}

/// The future of [`Tcp::read_once`].
#[must_use = "nothing is read unless it is awaited"]
pub struct ReadOnce<'a, H: ByteStream = Tcp>(Reading<'a, H>);

impl<'a, H: ByteStream> ReadOnce<'a, H> {
    pub(crate) fn new(handle: &'a H) -> ReadOnce<'a, H> {
        ReadOnce(Reading::new(handle))
    }
}

impl<H: ByteStream> Future for ReadOnce<'_, H> {
    type Output = io::Result<Option<Vec<u8>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context, |data| if data.is_empty() { None } else { Some(data.to_vec()) })
    }
}

/// The future of [`Tcp::read_into`].
#[must_use = "nothing is read unless it is awaited"]
pub struct ReadInto<'a, H: ByteStream = Tcp> {
    reading: Reading<'a, H>,
    buffer: &'a mut Vec<u8>,
}

impl<'a, H: ByteStream> ReadInto<'a, H> {
    pub(crate) fn new(handle: &'a H, buffer: &'a mut Vec<u8>) -> ReadInto<'a, H> {
        ReadInto { reading: Reading::new(handle), buffer }
    }
}

impl<H: ByteStream> Future for ReadInto<'_, H> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadInto { reading, buffer } = &mut *self;
        reading.poll(context, |data| {
            buffer.extend_from_slice(data);
            data.len()
        })
    }
}

/// The future of [`Tcp::read_with`].
#[must_use = "nothing is read unless it is awaited"]
pub struct ReadWith<'a, F, H: ByteStream = Tcp> {
    reading: Reading<'a, H>,
    take: Option<F>,
}

impl<'a, F, H: ByteStream> ReadWith<'a, F, H> {
    pub(crate) fn new(handle: &'a H, take: F) -> ReadWith<'a, F, H> {
        ReadWith { reading: Reading::new(handle), take: Some(take) }
    }
}

// Nothing in it is ever pinned.
impl<F, H: ByteStream> Unpin for ReadWith<'_, F, H> {}

impl<R, F: FnOnce(&[u8]) -> R, H: ByteStream> Future for ReadWith<'_, F, H> {
    type Output = io::Result<Option<R>>;

    /// # Panics
    /// When polled again after it was ready with data.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadWith { reading, take } = &mut *self;
        reading.poll(context, |data| {
            if data.is_empty() {
                return None;
            }
            Some(take.take().expect("a read was polled again after it was ready")(data))
        })
    }
}

/// The future of [`Tcp::accept_next`].
#[must_use = "nothing is accepted unless it is awaited"]
pub struct AcceptNext<'a, H: Listen = Tcp>(AcceptNextWithAddr<'a, H>);

impl<'a, H: Listen> AcceptNext<'a, H> {
    #[track_caller]
    pub(crate) fn new(handle: &'a H) -> AcceptNext<'a, H> {
        AcceptNext(AcceptNextWithAddr::new(handle))
    }
}

impl<H: Listen> Future for AcceptNext<'_, H> {
    type Output = io::Result<H>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_ok(|(accepted, _)| accepted)
    }
}

/// The future of [`Tcp::accept_next_with_addr`].
#[must_use = "nothing is accepted unless it is awaited"]
pub struct AcceptNextWithAddr<'a, H: Listen = Tcp> {
    handle: &'a H,
    place: Place,
    called_from: &'static Location<'static>,
}

impl<'a, H: Listen> AcceptNextWithAddr<'a, H> {
    #[track_caller]
    pub(crate) fn new(handle: &'a H) -> AcceptNextWithAddr<'a, H> {
        AcceptNextWithAddr { handle, place: None, called_from: Location::caller() }
    }
}

impl<H: Listen> Future for AcceptNextWithAddr<'_, H> {
    type Output = io::Result<(H, H::PeerAddr)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let AcceptNextWithAddr { handle, place, called_from } = &mut *self;
        socket::poll_accept(*handle, place, called_from, context)
    }
}

impl<H: Listen> Drop for AcceptNextWithAddr<'_, H> {
    fn drop(&mut self) {
        socket::stop_accepting(self.handle, &mut self.place);
    }
}

impl Notifier {
    /// Waits for a send. Sends that come while nobody waits count as one, and are not lost. If several tasks wait, each send
    /// that arrives is for the one that has waited longest.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasCallback`](crate::Misuse::HasCallback)) for a notifier
    /// with a callback; [`Canceled`](crate::Canceled) when it is closed, before or meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future loses no send: the next task that waits gets it. (One that is kept, but not polled any more, keeps
    /// the send that it was woken for.)
    pub fn notified(&self) -> Notified<'_> {
        Notified { notifier: self, place: None }
    }
}

/// The future of [`Notifier::notified`].
#[must_use = "nothing is waited for unless it is awaited"]
pub struct Notified<'a> {
    notifier: &'a Notifier,
    place: Place,
}

impl Future for Notified<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Notified { notifier, place } = &mut *self;
        notifier.poll_notified(place, context)
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        self.notifier.stop_waiting(&mut self.place);
    }
}

#[cfg(feature = "signal")]
impl Signal {
    /// Waits for a delivery of the signal that [`start_only`](Signal::start_only) named, and yields its number. Each
    /// delivery is yielded once, however late it is awaited.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasCallback`](crate::Misuse::HasCallback)) for a handle
    /// with a callback; [`InvalidInput`](io::ErrorKind::InvalidInput) for one that was not started
    /// ([`Misuse::NeverStarted`](crate::Misuse::NeverStarted)); [`Canceled`](crate::Canceled) when it is stopped, or is
    /// closed, before or meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future loses no delivery.
    pub fn delivered(&self) -> Delivered<'_> {
        Delivered { signal: self, place: None }
    }
}

/// The future of [`Signal::delivered`].
#[cfg(feature = "signal")]
#[must_use = "nothing is waited for unless it is awaited"]
pub struct Delivered<'a> {
    signal: &'a Signal,
    place: Place,
}

#[cfg(feature = "signal")]
impl Future for Delivered<'_> {
    type Output = io::Result<i32>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Delivered { signal, place } = &mut *self;
        signal.poll_delivered(place, context)
    }
}

#[cfg(feature = "signal")]
impl Drop for Delivered<'_> {
    fn drop(&mut self) {
        self.signal.stop_waiting(&mut self.place);
    }
}

macro_rules! debug_by_name {
    ($($name:ident)+) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

debug_by_name! { Notified }
#[cfg(feature = "signal")]
debug_by_name! { Delivered }

macro_rules! debug_generic_by_name {
    ($($name:ident of $kind:ident)+) => {$(
        impl<H: $kind> fmt::Debug for $name<'_, H> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

debug_generic_by_name! {
    ReadOnce of ByteStream
    ReadInto of ByteStream
    AcceptNext of Listen
    AcceptNextWithAddr of Listen
}

impl<F, H: ByteStream> fmt::Debug for ReadWith<'_, F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWith").finish_non_exhaustive()
    }
}
