//! A connection: reading, writing and its end, as the [`Stream`](crate::stream::Stream) in it does them.

use std::io::{self, IoSlice};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::Tcp;
use crate::error::Canceled;
use crate::request::{OnDrop, Request, Ticket};

impl Tcp {
    /// Calls `cb`, among the I/O callbacks, with each chunk of data that arrives, until [`read_stop`](Tcp::read_stop).
    ///
    /// `Ok(Some(bytes))` is data, never empty; `Ok(None)` the end of the stream; `Err` a failure. After the last two
    /// reading has stopped; the handle stays open. The bytes are lent from the loop's buffer for the time of the call.
    /// Started during a connect that fails, `cb` gets that error, after the connect's own callback.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a connection, for a listener and after a read error;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::AlreadyReading`](crate::Misuse::AlreadyReading)) if
    /// somebody reads already, who stays; [`InvalidInput`](io::ErrorKind::InvalidInput) on a closing handle.
    ///
    /// libuv: `uv_read_start`
    pub fn read_start(
        &self,
        mut cb: impl FnMut(&Tcp, io::Result<Option<&[u8]>>) + 'static,
    ) -> io::Result<()> {
        // In a closure, where even a plain function can be inlined; by itself it would be called through a shim.
        self.0.stream.read_start(Box::new(move |tcp, chunk| cb(tcp, chunk)))
    }

    /// Stops the calls, at once, and drops the callback. What arrives stays with the system. Does nothing if the stream
    /// is not being read.
    ///
    /// libuv: `uv_read_stop`
    #[inline(never)]
    pub fn read_stop(&self) {
        self.0.stream.read_stop();
    }

    /// Writes `data`. The kernel is tried at once; what it has no room for is copied, queued, and sent as room appears.
    ///
    /// The request ends when all of it is with the kernel, in the order of the writes. A write never refuses because too
    /// much is queued: see [`needs_drain`](Tcp::needs_drain). Empty data is a valid write.
    ///
    /// **Small writes one after the other.** Two of them, such as a head and its body, take some 40 ms until the second
    /// arrives: the system holds it back until the peer has acknowledged the first (Nagle's algorithm), and the peer
    /// acknowledges late, hoping to have something to say. Send both by one [`write_vectored`](Tcp::write_vectored), or
    /// call [`set_nodelay`](Tcp::set_nodelay) once: a tenth of a millisecond then.
    ///
    /// **With `AsyncWriteExt` of futures in scope** `tcp.write(…)` is still this method, which sends all of `data` and
    /// yields `()`. The trait's, which sends a part and yields its length, has to be called by its name:
    /// `AsyncWriteExt::write(&mut &tcp, data)`. Nothing is lost by the mix as long as each is awaited, and the end is a
    /// [`finish`](Tcp::finish) and no [`close`](Tcp::close).
    ///
    /// # Errors
    /// Through the request: [`NotConnected`](io::ErrorKind::NotConnected) without a connection;
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) on a listener, after [`shutdown`](Tcp::shutdown) and after a read error
    /// ([`Misuse::ShutDown`](crate::Misuse::ShutDown)); [`InvalidInput`](io::ErrorKind::InvalidInput) on a closing handle;
    /// what the system says.
    ///
    /// # Cancel safety
    /// Dropping the request changes nothing: what was accepted is sent.
    ///
    /// libuv: `uv_write`
    #[inline]
    #[track_caller]
    pub fn write(&self, data: impl AsRef<[u8]>) -> Request<()> {
        self.0.stream.write(Location::caller(), data.as_ref())
    }

    /// Writes several buffers, one after the other, as one write: the peer need not wait for the second one (see
    /// [`write`](Tcp::write)).
    ///
    /// # Errors
    /// As [`write`](Tcp::write), and [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// ([`Misuse::NoBuffers`](crate::Misuse::NoBuffers)) for an empty list.
    ///
    /// # Cancel safety
    /// As [`write`](Tcp::write).
    ///
    /// libuv: `uv_write` with several buffers
    #[track_caller]
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> Request<()> {
        self.0.stream.write_vectored(self.core().origin(), bufs)
    }

    /// Writes what the kernel has room for, and says how many bytes that were. Never queues and never overtakes.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, something is queued, or the handle is still
    /// connecting; otherwise as [`write`](Tcp::write).
    ///
    /// libuv: `uv_try_write`
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.0.stream.try_write(data)
    }

    /// As [`try_write`](Tcp::try_write), of several buffers, one after the other.
    ///
    /// # Errors
    /// As [`try_write`](Tcp::try_write), and [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// ([`Misuse::NoBuffers`](crate::Misuse::NoBuffers)) for an empty list.
    ///
    /// libuv: `uv_try_write` with several buffers
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.stream.try_write_vectored(bufs)
    }

    /// Ends the writing side once everything queued is with the kernel. The peer then reads the end of the stream;
    /// reading goes on.
    ///
    /// # Errors
    /// Through the request: [`NotConnected`](io::ErrorKind::NotConnected) without a connection, on a listener, and for a
    /// second call; [`InvalidInput`](io::ErrorKind::InvalidInput) on a closing handle;
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if something that was accepted for writing could not be sent.
    ///
    /// # Cancel safety
    /// Dropping the request changes nothing: the shutdown goes on.
    ///
    /// libuv: `uv_shutdown`
    #[track_caller]
    pub fn shutdown(&self) -> Request<()> {
        self.0.stream.shutdown(self.core().origin())
    }

    /// Ends the connection without losing what is queued: [`shutdown`](Tcp::shutdown), then [`close`](Tcp::close) when
    /// that is done. The request ends with the close, with the shutdown's result. A handle without a connection is closed
    /// at once. Reading stops: the read callback is dropped, and a task that awaits data gets [`Canceled`]. (It may begin
    /// again, as long as the queue lasts: see below.)
    ///
    /// A peer that does not read keeps the handle open: set a [`Timer`](crate::Timer) if that must not be. If the peer has
    /// sent something that was not read, the system answers the close by a reset, and the peer may lose what is still on
    /// its way: read to the end first where that matters.
    ///
    /// # Errors
    /// Through the request: what the shutdown says, such as [`BrokenPipe`](io::ErrorKind::BrokenPipe) if something that was
    /// accepted for writing could not be sent. A handle without a connection finishes without an error, and so does one
    /// that was shut down before.
    ///
    /// # Cancel safety
    /// Dropping the request changes nothing: the shutdown and the close go on.
    ///
    /// libuv: `uv_shutdown` and `uv_close` in its callback
    #[track_caller]
    pub fn finish(&self) -> Request<()> {
        let stream = &self.0.stream;
        if stream.may_close_at_once() {
            return self.close();
        }
        let (request, ticket) = Request::pending(self.core().origin(), "finish", OnDrop::GoOn);
        let finisher = Finisher(Some(ticket));
        let tcp = self.clone();
        stream.end_writing(self.core().origin()).then(move |result| {
            tcp.close().then(move |_| finisher.finish(result));
        });
        // Last, since it drops the callback or wakes a task, and so may run anything.
        stream.end_reading_now();
        request
    }

    /// How many bytes were accepted for writing and are not with the kernel yet.
    ///
    /// libuv: `uv_stream_get_write_queue_size`
    pub fn write_queue_size(&self) -> usize {
        self.0.stream.write_queue_size()
    }

    /// Sets the mark above which [`needs_drain`](Tcp::needs_drain) is true, in bytes. The builder sets the default.
    pub fn set_high_water(&self, bytes: usize) {
        self.0.stream.set_high_water(bytes);
    }

    /// True while more is queued than the mark: the peer reads more slowly than this end writes. A server should stop
    /// reading from such a peer until [`drained`](Tcp::drained); nothing pauses by itself.
    pub fn needs_drain(&self) -> bool {
        self.0.stream.needs_drain()
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
    pub fn drained(&self) -> Request<()> {
        self.0.stream.drained(self.core().origin())
    }

    /// Closes the connection by a reset: what is queued here or in the kernel is dropped, and the peer's reads fail with
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset). Otherwise as [`close`](Tcp::close).
    ///
    /// That is the way to get rid of a peer that does not take what a [`shutdown`](Tcp::shutdown) or a
    /// [`finish`](Tcp::finish) waits for: they end with [`Canceled`](crate::Canceled). A handle without a socket is closed.
    ///
    /// # Errors
    /// Through the request: what the system says to the option; the handle stays open then.
    ///
    /// # Cancel safety
    /// As [`close`](Tcp::close).
    ///
    /// libuv: `uv_tcp_close_reset`
    #[track_caller]
    pub fn close_reset(&self) -> Request<()> {
        match self.with_any_socket(|socket| socket.set_linger(Some(Duration::ZERO))) {
            // Some systems refuse the option on a socket that was shut down. There is nothing left to reset then.
            Ok(Err(err)) if err.raw_os_error() != Some(libc::EINVAL) => {
                Request::finished(self.core().origin(), Err(err))
            }
            _ => self.close(),
        }
    }

    /// True while data may arrive: connected, and no read has failed.
    ///
    /// libuv: `uv_is_readable`
    pub fn is_readable(&self) -> bool {
        self.0.stream.is_readable()
    }

    /// True while the stream can be written: connected, not shut down, and no read has failed.
    ///
    /// libuv: `uv_is_writable`
    pub fn is_writable(&self) -> bool {
        self.0.stream.is_writable()
    }
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
