//! The traits of futures-io and futures-core on the handles themselves, for the ecosystem's
//! combinators.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use crate::handle::pipe::Pipe;
#[cfg(feature = "signal")]
use crate::handle::signal::Signal;
use crate::handle::tcp::Tcp;
use crate::socket::Listen;
#[cfg(feature = "signal")]
use crate::task::Delivered;
use crate::task::{AcceptNext, Interval};

/// The traits of futures-io for a handle that has a stream in it.
macro_rules! impl_futures_io {
    ($handle:ident) => {
        /// Reads straight into the given buffer. A wait that is given up leaves nothing behind: any other reader may follow.
        ///
        /// Several may wait at a time: what arrives wakes all of them, and those who find nothing wait again. A wait by this trait
        /// does not keep other readers out, since it cannot be known whether it is still wanted: a callback or another await takes
        /// over, and the wait fails when it is polled again ([`Misuse::AlreadyReading`](crate::Misuse::AlreadyReading)). Closing the
        /// handle ends every wait with [`Canceled`](crate::Canceled).
        impl futures_io::AsyncRead for &$handle {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                crate::stream::StreamHandle::stream(*self).poll_read_into(context, buffer)
            }
        }

        /// Writes what there is room for and waits when there is none; nothing is queued. What
        /// [`write`](crate::ByteStream::write) has queued goes first. Several may wait at a time, for room or for a flush; all of them are woken.
        /// Closing shuts the writing side down; the handle is closed when it is dropped.
        ///
        /// **The handle's own methods come first.** With `AsyncWriteExt` in scope, `tcp.write(…)`, `tcp.write_vectored(…)` and
        /// `tcp.close()` are those of the handle, also on a reference to it. Generic code gets the trait's. Code that was written for another
        /// crate's sockets and calls them by these names gets a write that is queued when it is not awaited, and a close that does
        /// not wait for it: what is queued is lost, and both are a success. There, call the trait by its name, or use
        /// [`finish`](crate::ByteStream::finish) for the end:
        ///
        /// ```
        /// use futures::io::{AsyncReadExt, AsyncWriteExt};
        /// use luvio::Tcp;
        /// use std::io;
        ///
        /// async fn answer(client: Tcp, text: &[u8]) -> io::Result<()> {
        ///     let mut question = [0; 64];
        ///     (&client).read(&mut question).await?; // no such method on the handle: the trait's
        ///     let sent = AsyncWriteExt::write(&mut &client, text).await?; // a part of it
        ///     (&client).write_all(&text[sent..]).await?; // the trait's
        ///     AsyncWriteExt::close(&mut &client).await // flushes, then shuts down; or client.finish().await
        /// }
        /// # let event_loop = luvio::Loop::new()?;
        /// # let server = Tcp::new(&event_loop);
        /// # server.bind("127.0.0.1:0")?;
        /// # server.listen_only(1)?;
        /// # let addr = server.local_addr()?;
        /// # let client = std::thread::spawn(move || {
        /// #     let mut client = std::net::TcpStream::connect(addr)?;
        /// #     io::Write::write_all(&mut client, b"?")?;
        /// #     io::read_to_string(client)
        /// # });
        /// # event_loop.block_on(async { answer(server.accept_next().await?, b"to you").await })??;
        /// # assert_eq!(client.join().unwrap()?, "to you");
        /// # Ok::<(), io::Error>(())
        /// ```
        impl futures_io::AsyncWrite for &$handle {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                data: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                crate::stream::StreamHandle::stream(*self)
                    .poll_send(context, &[std::io::IoSlice::new(data)])
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                crate::stream::StreamHandle::stream(*self).poll_send(context, slices)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::stream::StreamHandle::stream(*self).poll_flush(context)
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::stream::StreamHandle::stream(*self)
                    .poll_shutdown(self.core().origin(), context)
            }
        }

        /// As for `&Tcp`.
        impl futures_io::AsyncRead for $handle {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut &*self).poll_read(context, buffer)
            }
        }

        /// As for `&Tcp`.
        impl futures_io::AsyncWrite for $handle {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                data: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut &*self).poll_write(context, data)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut &*self).poll_write_vectored(context, slices)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut &*self).poll_flush(context)
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut &*self).poll_close(context)
            }
        }
    };
}

pub(crate) use impl_futures_io;

/// For each kind that listens.
macro_rules! impl_incoming {
    ($($handle:ident)+) => {$(impl $handle {
    /// The connections that arrive, as a stream: [`accept_next`](Self::accept_next) again and again. It ends after the
    /// first error.
    ///
    /// # Cancel safety
    /// Dropping the stream loses no connection.
    #[track_caller]
    pub fn incoming(&self) -> Incoming<'_, $handle> {
        Incoming(Some(self.accept_next()))
    }
    })+};
}

impl_incoming! { Tcp Pipe }

/// The stream of [`Tcp::incoming`].
#[derive(Debug)]
#[must_use = "nothing is accepted unless it is polled"]
pub struct Incoming<'a, H: Listen = Tcp>(Option<AcceptNext<'a, H>>);

impl<H: Listen> Stream for Incoming<'_, H> {
    type Item = io::Result<H>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_until_error(&mut self.0, context)
    }
}

#[cfg(feature = "signal")]
impl Signal {
    /// The deliveries of a signal, as a stream: [`delivered`](Signal::delivered) again and again. It ends after the first
    /// error.
    ///
    /// # Cancel safety
    /// Dropping the stream loses no delivery.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(Some(self.delivered()))
    }
}

/// The stream of [`Signal::deliveries`].
#[cfg(feature = "signal")]
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is polled"]
pub struct Deliveries<'a>(Option<Delivered<'a>>);

#[cfg(feature = "signal")]
impl Stream for Deliveries<'_> {
    type Item = io::Result<i32>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_until_error(&mut self.0, context)
    }
}

/// The ticks, without end.
impl Stream for Interval {
    type Item = Duration;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Duration>> {
        self.poll_tick(context).map(Some)
    }
}

/// Polls a future that can be polled again after it was ready, and drops it with its first error.
fn poll_until_error<T, F: Future<Output = io::Result<T>> + Unpin>(
    source: &mut Option<F>,
    context: &mut Context<'_>,
) -> Poll<Option<io::Result<T>>> {
    let Some(future) = source else { return Poll::Ready(None) };
    let next = Pin::new(future).poll(context);
    if let Poll::Ready(Err(_)) = next {
        *source = None;
    }
    next.map(Some)
}
