//! The face of a stream: what every handle that has one offers, defined once.
//!
//! [`impl_stream`] makes inherent methods of it, so that `client.` lists everything and no trait has to be imported.
//! [`ByteStream`] has the same methods, for programs that are written once for all kinds.

use std::io::{self, IoSlice};
use std::panic::Location;
use std::rc::Rc;

use super::{Stream, StreamHandle};
use crate::error::Canceled;
use crate::handle::Handle;
use crate::request::{OnDrop, Request, Ticket};
use crate::task::{ReadInto, ReadOnce, ReadWith};

/// A stream of bytes, of whatever kind, such as [`Tcp`](crate::Tcp) and [`Pipe`](crate::Pipe). Its methods are those that
/// each kind has as its own, where they are documented; the trait need be imported only by programs that are written once
/// for all of them. It is sealed.
///
/// ```
/// use luvio::{ByteStream, Loop, Pipe, Tcp};
/// use std::io;
///
/// async fn echo(client: impl ByteStream) -> io::Result<()> {
///     while let Some(data) = client.read_once().await? {
///         client.write(data).await?;
///     }
///     Ok(())
/// }
///
/// let event_loop = Loop::new()?;
/// let server = Tcp::new(&event_loop);
/// server.bind("127.0.0.1:0")?;
/// server.listen_only(1)?;
/// let client = Tcp::new(&event_loop);
/// client.connect(server.local_addr()?);
/// let answer = event_loop.try_block_on(async {
///     luvio::go(echo(server.accept_next().await?));
///     client.write("hello").await?;
///     client.read_once().await
/// })?;
/// assert_eq!(answer.as_deref(), Some(&b"hello"[..]));
///
/// let (ours, theirs) = Pipe::pair(&event_loop)?; // the same, over another kind
/// event_loop.spawn(echo(theirs));
/// ours.write("hello");
/// let answer = event_loop.try_block_on(ours.read_once())?;
/// assert_eq!(answer.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), io::Error>(())
/// ```
///
/// libuv: `uv_stream_t`
#[doc(alias = "uv_stream_t")]
// What seals it is no business of the documentation.
#[allow(private_bounds)]
pub trait ByteStream: Handle + Clone + StreamHandle + 'static {
    /// See [`Tcp::read_start`](crate::Tcp::read_start).
    ///
    /// # Errors
    /// See there.
    fn read_start(
        &self,
        mut cb: impl FnMut(&Self, io::Result<Option<&[u8]>>) + 'static,
    ) -> io::Result<()> {
        self.stream().read_start(Box::new(move |handle, chunk| cb(handle, chunk)))
    }

    /// See [`Tcp::read_stop`](crate::Tcp::read_stop).
    fn read_stop(&self) {
        self.stream().read_stop();
    }

    /// See [`Tcp::read_once`](crate::Tcp::read_once).
    fn read_once(&self) -> ReadOnce<'_, Self> {
        ReadOnce::new(self)
    }

    /// See [`Tcp::read_into`](crate::Tcp::read_into).
    fn read_into<'a>(&'a self, buffer: &'a mut Vec<u8>) -> ReadInto<'a, Self> {
        ReadInto::new(self, buffer)
    }

    /// See [`Tcp::read_with`](crate::Tcp::read_with).
    fn read_with<R, F: FnOnce(&[u8]) -> R>(&self, take: F) -> ReadWith<'_, F, Self> {
        ReadWith::new(self, take)
    }

    /// See [`Tcp::write`](crate::Tcp::write).
    #[track_caller]
    fn write(&self, data: impl AsRef<[u8]>) -> Request<()> {
        self.stream().write(Location::caller(), data.as_ref())
    }

    /// See [`Tcp::write_vectored`](crate::Tcp::write_vectored).
    #[track_caller]
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> Request<()> {
        self.stream().write_vectored(self.stream().core.origin(), bufs)
    }

    /// See [`Tcp::try_write`](crate::Tcp::try_write).
    ///
    /// # Errors
    /// See there.
    fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.stream().try_write(data)
    }

    /// See [`Tcp::try_write_vectored`](crate::Tcp::try_write_vectored).
    ///
    /// # Errors
    /// See there.
    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream().try_write_vectored(bufs)
    }

    /// See [`Tcp::shutdown`](crate::Tcp::shutdown).
    #[track_caller]
    fn shutdown(&self) -> Request<()> {
        self.stream().shutdown(self.stream().core.origin())
    }

    /// See [`Tcp::finish`](crate::Tcp::finish).
    #[track_caller]
    fn finish(&self) -> Request<()> {
        finish(self, Location::caller())
    }

    /// See [`Tcp::write_queue_size`](crate::Tcp::write_queue_size).
    fn write_queue_size(&self) -> usize {
        self.stream().write_queue_size()
    }

    /// See [`Tcp::set_high_water`](crate::Tcp::set_high_water).
    fn set_high_water(&self, bytes: usize) {
        self.stream().set_high_water(bytes);
    }

    /// See [`Tcp::needs_drain`](crate::Tcp::needs_drain).
    fn needs_drain(&self) -> bool {
        self.stream().needs_drain()
    }

    /// See [`Tcp::drained`](crate::Tcp::drained).
    #[track_caller]
    fn drained(&self) -> Request<()> {
        self.stream().drained(self.stream().core.origin())
    }

    /// See [`Tcp::is_readable`](crate::Tcp::is_readable).
    fn is_readable(&self) -> bool {
        self.stream().is_readable()
    }

    /// See [`Tcp::is_writable`](crate::Tcp::is_writable).
    fn is_writable(&self) -> bool {
        self.stream().is_writable()
    }
}

/// The methods of a stream, as inherent ones of `$handle` and as `ByteStream`. `$note` is about its writes.
macro_rules! impl_stream {
    ($handle:ident $(, $note:literal)?) => {
        impl $handle {
            /// Calls `cb`, among the I/O callbacks, with each chunk of data that arrives, until [`read_stop`](Self::read_stop).
            ///
            /// `Ok(Some(bytes))` is data, never empty; `Ok(None)` the end of the stream; `Err` a failure. After the last two
            /// reading has stopped; the handle stays open. The bytes are lent from the loop's buffer for the time of the call.
            /// Started during a connect that fails, `cb` gets that error, after the connect's own callback.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) without a connection, for a listener and after a read error;
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) ([`Misuse::AlreadyReading`](crate::Misuse::AlreadyReading)) if
            /// somebody reads already, who stays; [`InvalidInput`](std::io::ErrorKind::InvalidInput) on a closing handle.
            ///
            /// libuv: `uv_read_start`
            #[doc(alias = "uv_read_start")]
            pub fn read_start(
                &self,
                mut cb: impl FnMut(&$handle, std::io::Result<Option<&[u8]>>) + 'static,
            ) -> std::io::Result<()> {
                // In a closure, where even a plain function can be inlined; by itself it would be called through a shim.
                self.engine().read_start(Box::new(move |handle, chunk| cb(handle, chunk)))
            }

            /// Stops the calls, at once, and drops the callback. What arrives stays with the system. Does nothing if the stream
            /// is not being read.
            ///
            /// libuv: `uv_read_stop`
            #[doc(alias = "uv_read_stop")]
            #[inline(never)]
            pub fn read_stop(&self) {
                self.engine().read_stop();
            }

            /// Writes `data`. The kernel is tried at once; what it has no room for is copied, queued, and sent as room appears.
            ///
            /// The request ends when all of it is with the kernel, in the order of the writes. A write never refuses because too
            /// much is queued: see [`needs_drain`](Self::needs_drain). Empty data is a valid write.
            ///
            $(#[doc = $note])?
            ///
            /// **With `AsyncWriteExt` of futures in scope** `tcp.write(…)` is still this method, which sends all of `data` and
            /// yields `()`. The trait's, which sends a part and yields its length, has to be called by its name:
            /// `AsyncWriteExt::write(&mut &tcp, data)`. Nothing is lost by the mix as long as each is awaited, and the end is a
            /// [`finish`](Self::finish) and no [`close`](Self::close).
            ///
            /// # Errors
            /// Through the request: [`NotConnected`](std::io::ErrorKind::NotConnected) without a connection;
            /// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) on a listener, after [`shutdown`](Self::shutdown) and after a read error
            /// ([`Misuse::ShutDown`](crate::Misuse::ShutDown)); [`InvalidInput`](std::io::ErrorKind::InvalidInput) on a closing handle;
            /// what the system says.
            ///
            /// # Cancel safety
            /// Dropping the request changes nothing: what was accepted is sent.
            ///
            /// libuv: `uv_write`
            #[doc(alias = "uv_write")]
            #[inline]
            #[track_caller]
            pub fn write(&self, data: impl AsRef<[u8]>) -> crate::Request<()> {
                self.engine().write(std::panic::Location::caller(), data.as_ref())
            }

            /// Writes several buffers, one after the other, as one write: the peer need not wait for the second one (see
            /// [`write`](Self::write)).
            ///
            /// # Errors
            /// As [`write`](Self::write), and [`InvalidInput`](std::io::ErrorKind::InvalidInput)
            /// ([`Misuse::NoBuffers`](crate::Misuse::NoBuffers)) for an empty list.
            ///
            /// # Cancel safety
            /// As [`write`](Self::write).
            ///
            /// libuv: `uv_write` with several buffers
            #[doc(alias = "uv_write")]
            #[track_caller]
            pub fn write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> crate::Request<()> {
                self.engine().write_vectored(self.core().origin(), bufs)
            }

            /// Writes what the kernel has room for, and says how many bytes that were. Never queues and never overtakes.
            ///
            /// # Errors
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, something is queued, or the handle is still
            /// connecting; otherwise as [`write`](Self::write).
            ///
            /// libuv: `uv_try_write`
            #[doc(alias = "uv_try_write")]
            pub fn try_write(&self, data: &[u8]) -> std::io::Result<usize> {
                self.engine().try_write(data)
            }

            /// As [`try_write`](Self::try_write), of several buffers, one after the other.
            ///
            /// # Errors
            /// As [`try_write`](Self::try_write), and [`InvalidInput`](std::io::ErrorKind::InvalidInput)
            /// ([`Misuse::NoBuffers`](crate::Misuse::NoBuffers)) for an empty list.
            ///
            /// libuv: `uv_try_write` with several buffers
            #[doc(alias = "uv_try_write")]
            pub fn try_write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.engine().try_write_vectored(bufs)
            }

            /// Ends the writing side once everything queued is with the kernel. The peer then reads the end of the stream;
            /// reading goes on.
            ///
            /// # Errors
            /// Through the request: [`NotConnected`](std::io::ErrorKind::NotConnected) without a connection, on a listener, and for a
            /// second call; [`InvalidInput`](std::io::ErrorKind::InvalidInput) on a closing handle;
            /// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) if something that was accepted for writing could not be sent.
            ///
            /// # Cancel safety
            /// Dropping the request changes nothing: the shutdown goes on.
            ///
            /// libuv: `uv_shutdown`
            #[doc(alias = "uv_shutdown")]
            #[track_caller]
            pub fn shutdown(&self) -> crate::Request<()> {
                self.engine().shutdown(self.core().origin())
            }

            /// Ends the connection without losing what is queued: [`shutdown`](Self::shutdown), then [`close`](Self::close) when
            /// that is done. The request ends with the close, with the shutdown's result. A handle without a connection is closed
            /// at once. Reading stops: the read callback is dropped, and a task that awaits data gets [`Canceled`](crate::Canceled). (It may begin
            /// again, as long as the queue lasts: see below.)
            ///
            /// A peer that does not read keeps the handle open: set a [`Timer`](crate::Timer) if that must not be. If the peer has
            /// sent something that was not read, the system answers the close by a reset, and the peer may lose what is still on
            /// its way: read to the end first where that matters.
            ///
            /// # Errors
            /// Through the request: what the shutdown says, such as [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) if something that was
            /// accepted for writing could not be sent. A handle without a connection finishes without an error, and so does one
            /// that was shut down before.
            ///
            /// # Cancel safety
            /// Dropping the request changes nothing: the shutdown and the close go on.
            ///
            /// libuv: `uv_shutdown` and `uv_close` in its callback
            #[doc(alias = "uv_shutdown")]
            #[doc(alias = "uv_close")]
            #[track_caller]
            pub fn finish(&self) -> crate::Request<()> {
                crate::stream::finish(self, std::panic::Location::caller())
            }

            /// How many bytes were accepted for writing and are not with the kernel yet.
            ///
            /// libuv: `uv_stream_get_write_queue_size`
            #[doc(alias = "uv_stream_get_write_queue_size")]
            pub fn write_queue_size(&self) -> usize {
                self.engine().write_queue_size()
            }

            /// Sets the mark above which [`needs_drain`](Self::needs_drain) is true, in bytes. The builder sets the default.
            pub fn set_high_water(&self, bytes: usize) {
                self.engine().set_high_water(bytes);
            }

            /// True while more is queued than the mark: the peer reads more slowly than this end writes. A server should stop
            /// reading from such a peer until [`drained`](Self::drained); nothing pauses by itself.
            pub fn needs_drain(&self) -> bool {
                self.engine().needs_drain()
            }

            /// Ends when the queue is down to half the mark; at once if it is not above the mark.
            ///
            /// # Errors
            /// Through the request: the stream's error if it fails meanwhile, [`Canceled`](crate::Canceled) if it is closed.
            ///
            /// # Cancel safety
            /// Dropping the request changes nothing: only the wait is given up.
            #[inline(never)]
            #[track_caller]
            pub fn drained(&self) -> crate::Request<()> {
                self.engine().drained(self.core().origin())
            }

            /// True while data may arrive: connected, and no read has failed.
            ///
            /// libuv: `uv_is_readable`
            #[doc(alias = "uv_is_readable")]
            pub fn is_readable(&self) -> bool {
                self.engine().is_readable()
            }

            /// True while the stream can be written: connected, not shut down, and no read has failed.
            ///
            /// libuv: `uv_is_writable`
            #[doc(alias = "uv_is_writable")]
            pub fn is_writable(&self) -> bool {
                self.engine().is_writable()
            }

            /// Waits for data and returns what has arrived, up to the loop's read chunk; `None` at the end of the stream, again
            /// and again if it is awaited again.
            ///
            /// # Errors
            /// As [`read_start`](Self::read_start), which includes that somebody reads already, by a callback or a future
            /// ([`Misuse::AlreadyReading`](crate::Misuse::AlreadyReading)); a read error, once;
            /// [`Canceled`](crate::Canceled) when the handle is closed, before or meanwhile; the connect's error when the connect
            /// fails that it waits for.
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing: what arrives stays with the system.
            ///
            /// luv_async: `read_once`
            pub fn read_once(&self) -> crate::ReadOnce<'_, $handle> {
                crate::ReadOnce::new(self)
            }

            /// Waits for data and appends it to `buffer`, which allocates only if its capacity is too small. Yields how many
            /// bytes that were; 0 at the end of the stream.
            ///
            /// # Errors
            /// As [`read_once`](Self::read_once).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub fn read_into<'a>(&'a self, buffer: &'a mut Vec<u8>) -> crate::ReadInto<'a, $handle> {
                crate::ReadInto::new(self, buffer)
            }

            /// Waits for data and lends it to `take`, in the loop's own buffer: no allocation, no copy, and a connection that
            /// waits holds no buffer at all. Yields what `take` returns; `None` at the end of the stream.
            ///
            /// # Errors
            /// As [`read_once`](Self::read_once).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub fn read_with<R, F: FnOnce(&[u8]) -> R>(&self, take: F) -> crate::ReadWith<'_, F, $handle> {
                crate::ReadWith::new(self, take)
            }
        }

        impl $handle {
            #[inline]
            fn engine(&self) -> &crate::stream::Stream<$handle> {
                crate::stream::StreamHandle::stream(self)
            }
        }

        impl crate::ByteStream for $handle {}
    };
}

pub(crate) use impl_stream;

/// Shuts a stream down, then closes its handle.
pub(crate) fn finish<H: StreamHandle + Handle>(
    handle: &H,
    place: &'static Location<'static>,
) -> Request<()> {
    let stream: &Stream<H> = handle.stream();
    if stream.may_close_at_once() {
        return handle.close();
    }
    let origin = stream.core.origin_at(place);
    let (request, ticket) = Request::pending(origin, "finish", OnDrop::GoOn);
    let finisher = Finisher(Some(ticket));
    let finished = handle.clone();
    stream.end_writing(origin).then(move |result| {
        finished.close().then(move |_| finisher.finish(result));
    });
    // Last, since it drops the callback or wakes a task, and so may run anything.
    stream.end_reading_now();
    request
}

/// Ends the request of a `finish`, also when the loop is dropped before.
struct Finisher(Option<Rc<Ticket<()>>>);

impl Finisher {
    fn finish(mut self, result: io::Result<()>) {
        if let Some(ticket) = self.0.take() {
            ticket.finish_now(result);
        }
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.finish(Err(Canceled.into()));
        }
    }
}
