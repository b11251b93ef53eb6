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
use crate::stream::StreamHandle;

impl Tcp {
    /// Waits for data and returns what has arrived, up to the loop's read chunk; `None` at the end of the stream, again
    /// and again if it is awaited again.
    ///
    /// # Errors
    /// As [`read_start`](Tcp::read_start), which includes that somebody reads already, by a callback or a future
    /// ([`Misuse::AlreadyReading`](crate::Misuse::AlreadyReading)); a read error, once;
    /// [`Canceled`](crate::Canceled) when the handle is closed, before or meanwhile, or its connect fails.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what arrives stays with the system.
    ///
    /// luv_async: `read_once`
    pub fn read_once(&self) -> ReadOnce<'_> {
        ReadOnce(Reading::new(self))
    }

    /// Waits for data and appends it to `buffer`, which allocates only if its capacity is too small. Yields how many
    /// bytes that were; 0 at the end of the stream.
    ///
    /// # Errors
    /// As [`read_once`](Tcp::read_once).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn read_into<'a>(&'a self, buffer: &'a mut Vec<u8>) -> ReadInto<'a> {
        ReadInto { reading: Reading::new(self), buffer }
    }

    /// Waits for data and lends it to `take`, in the loop's own buffer: no allocation, no copy, and a connection that
    /// waits holds no buffer at all. Yields what `take` returns; `None` at the end of the stream.
    ///
    /// # Errors
    /// As [`read_once`](Tcp::read_once).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn read_with<R, F: FnOnce(&[u8]) -> R>(&self, take: F) -> ReadWith<'_, F> {
        ReadWith { reading: Reading::new(self), take: Some(take) }
    }

    /// Waits for the next connection. If several tasks wait, each connection is for the one that has waited longest.
    ///
    /// A handle that is bound but not listening starts to listen, with a backlog of 128;
    /// [`listen_only`](Tcp::listen_only) before it says when and how long. When descriptors run out, waiting clients are
    /// accepted and closed at once, which is logged, once a burst; that is no error here, since a loop that ends with the
    /// first error would end the server.
    ///
    /// # Errors
    /// Only what nothing can come after: [`InvalidInput`](io::ErrorKind::InvalidInput) for a handle that is not listening
    /// ([`Misuse::NotListening`](crate::Misuse::NotListening)); [`ResourceBusy`](io::ErrorKind::ResourceBusy) for one with a
    /// listen callback ([`Misuse::HasCallback`](crate::Misuse::HasCallback)); [`Canceled`](crate::Canceled) when it is closed,
    /// before or meanwhile; what the system says of a broken listener.
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection: the next task that waits gets it. (One that is kept, but not polled any more,
    /// keeps the others from the connection that it was woken for, until the next one comes.)
    #[track_caller]
    pub fn accept_next(&self) -> AcceptNext<'_> {
        AcceptNext { tcp: self, place: None, called_from: Location::caller() }
    }
}

/// The part that all reading futures have.
struct Reading<'a> {
    tcp: &'a Tcp,
    /// Tells the stream's wait for this one from others. 0 if there is none.
    wait: u32,
}

impl<'a> Reading<'a> {
    fn new(tcp: &'a Tcp) -> Reading<'a> {
        Reading { tcp, wait: 0 }
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<R>> {
        self.tcp.stream().poll_read(&mut self.wait, context, take)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.tcp.stream().stop_awaiting(&mut self.wait);
    }
}

/// The future of [`Tcp::read_once`].
#[must_use = "nothing is read unless it is awaited"]
pub struct ReadOnce<'a>(Reading<'a>);

impl Future for ReadOnce<'_> {
    type Output = io::Result<Option<Vec<u8>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context, |data| if data.is_empty() { None } else { Some(data.to_vec()) })
    }
}

/// The future of [`Tcp::read_into`].
#[must_use = "nothing is read unless it is awaited"]
pub struct ReadInto<'a> {
    reading: Reading<'a>,
    buffer: &'a mut Vec<u8>,
}

impl Future for ReadInto<'_> {
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
pub struct ReadWith<'a, F> {
    reading: Reading<'a>,
    take: Option<F>,
}

// Nothing in it is ever pinned.
impl<F> Unpin for ReadWith<'_, F> {}

impl<R, F: FnOnce(&[u8]) -> R> Future for ReadWith<'_, F> {
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
pub struct AcceptNext<'a> {
    tcp: &'a Tcp,
    place: Place,
    called_from: &'static Location<'static>,
}

impl Future for AcceptNext<'_> {
    type Output = io::Result<Tcp>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let AcceptNext { tcp, place, called_from } = &mut *self;
        tcp.poll_accept(place, called_from, context)
    }
}

impl Drop for AcceptNext<'_> {
    fn drop(&mut self) {
        self.tcp.stop_accepting(&mut self.place);
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

debug_by_name! { ReadOnce ReadInto AcceptNext Notified }
#[cfg(feature = "signal")]
debug_by_name! { Delivered }

impl<F> fmt::Debug for ReadWith<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWith").finish_non_exhaustive()
    }
}
