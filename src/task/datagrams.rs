//! The await twins of a datagram handle's receive callback.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::datagram::Datagram;
use crate::handle::udp::Udp;

impl Udp {
    /// Waits for a datagram and returns what it carries, with the address of its sender. A handle that is not bound is
    /// bound to a free port of every IPv4 interface.
    ///
    /// # Errors
    /// As [`recv_start`](Udp::recv_start), which includes that somebody receives already, by a callback or a future
    /// ([`Misuse::AlreadyReceiving`](crate::Misuse::AlreadyReceiving)); [`Canceled`](crate::Canceled) when the handle is
    /// closed, before or meanwhile; what the system says, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if the peer of a
    /// connected socket is not there. The handle stays usable.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what arrives stays with the system.
    ///
    /// libuv: `uv_udp_recv_start` for one datagram
    #[doc(alias = "uv_udp_recv_start")]
    pub fn recv_once(&self) -> RecvOnce<'_> {
        RecvOnce(Receiving::new(self))
    }

    /// Waits for a datagram and lends it to `take`, in the loop's own buffer: no allocation and no copy. Yields what
    /// `take` returns.
    ///
    /// # Errors
    /// As [`recv_once`](Udp::recv_once).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn recv_with<R, F: FnOnce(Datagram<'_>) -> R>(&self, take: F) -> RecvWith<'_, F> {
        RecvWith { receiving: Receiving::new(self), take: Some(take) }
    }
}

/// The part that both futures have.
struct Receiving<'a> {
    udp: &'a Udp,
    /// True while this is the one that waits.
    waits: bool,
}

impl<'a> Receiving<'a> {
    fn new(udp: &'a Udp) -> Receiving<'a> {
        Receiving { udp, waits: false }
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(Datagram<'_>) -> R,
    ) -> Poll<io::Result<R>> {
        self.udp.poll_receive(&mut self.waits, context, take)
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.udp.stop_awaiting(&mut self.waits);
    }
}

/// The future of [`Udp::recv_once`].
#[must_use = "nothing is received unless it is awaited"]
pub struct RecvOnce<'a>(Receiving<'a>);

impl Future for RecvOnce<'_> {
    type Output = io::Result<(Vec<u8>, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context, |datagram| (datagram.data.to_vec(), datagram.from))
    }
}

impl fmt::Debug for RecvOnce<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvOnce").finish_non_exhaustive()
    }
}

/// The future of [`Udp::recv_with`].
#[must_use = "nothing is received unless it is awaited"]
pub struct RecvWith<'a, F> {
    receiving: Receiving<'a>,
    take: Option<F>,
}

// Nothing in it is ever pinned.
impl<F> Unpin for RecvWith<'_, F> {}

impl<R, F: FnOnce(Datagram<'_>) -> R> Future for RecvWith<'_, F> {
    type Output = io::Result<R>;

    /// # Panics
    /// When polled again after it was ready with a datagram.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvWith { receiving, take } = &mut *self;
        receiving.poll(context, |datagram| {
            take.take().expect("a receive was polled again after it was ready")(datagram)
        })
    }
}

impl<F> fmt::Debug for RecvWith<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvWith").finish_non_exhaustive()
    }
}
