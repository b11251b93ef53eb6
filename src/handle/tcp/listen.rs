//! Listening for connections and accepting them; the passes are the [`Listener`]'s.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::Tcp;
use super::listener::{self, Listener};
use crate::error::{Canceled, Misuse};
use crate::handle::Place;

/// The backlog of a listener that `accept_next` starts.
const DEFAULT_BACKLOG: u32 = 128;

impl Tcp {
    /// Calls `cb`, among the I/O callbacks, for each connection that arrives, which [`accept`](Tcp::accept) then returns.
    ///
    /// `backlog` is how many connections the system keeps waiting. A handle that was not bound gets a free port. As long
    /// as a connection that was announced is not accepted, no further one is announced; none is lost. `cb` gets an error
    /// when the listener could not accept: when descriptors run out, waiting clients are accepted and closed at once, and
    /// `cb` hears of it once a burst.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) for a handle that is listening already
    /// ([`Misuse::AlreadyListening`]; the first callback and backlog stay) or connected ([`Misuse::AlreadyConnected`]);
    /// [`Misuse::Closing`]; [`AddrInUse`](io::ErrorKind::AddrInUse) and others from the system.
    ///
    /// libuv: `uv_listen`
    pub fn listen(
        &self,
        backlog: u32,
        cb: impl FnMut(&Tcp, io::Result<()>) + 'static,
    ) -> io::Result<()> {
        self.start_listening(backlog, Some(Box::new(cb)))
    }

    /// Listens without a callback: connections wait until [`accept`](Tcp::accept) is called.
    ///
    /// Such a listener is not active, since it has nobody to call: it is closed when the last clone is dropped.
    ///
    /// # Errors
    /// As [`listen`](Tcp::listen).
    pub fn listen_only(&self, backlog: u32) -> io::Result<()> {
        self.start_listening(backlog, None)
    }

    fn start_listening(
        &self,
        backlog: u32,
        callback: Option<Box<listener::Callback>>,
    ) -> io::Result<()> {
        self.core().check_open()?;
        if self.extra(|extra| extra.listener.is_some()) {
            return Err(Misuse::AlreadyListening.into());
        }
        if self.0.stream.is_connected() || self.0.stream.is_connecting() {
            return Err(Misuse::AlreadyConnected.into());
        }
        if !self.has_socket() {
            self.bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
        }
        let Some(socket) = self.extra(|extra| extra.fresh.clone()) else {
            return Err(Misuse::NoSocket.into());
        };
        // The socket stays bound if this fails.
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        drop(socket);
        let Some(socket) = self.take_fresh()? else {
            return Err(Misuse::NoSocket.into());
        };
        let has_callback = callback.is_some();
        let listener =
            Listener::new(mio::net::TcpListener::from_std(socket.into()), callback, self)?;
        self.event_loop().inner().descriptors.reserve();
        self.with_extra(|extra| extra.listener = Some(Rc::new(listener)));
        self.0.stream.mark_listening();
        if has_callback {
            self.core().set_active(true);
            self.core().pin();
        }
        Ok(())
    }

    /// The next connection, ready to be used.
    ///
    /// In a listen callback it always succeeds once per `Ok(())`. It may also be called later; the connection waits.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no connection was announced (with [`listen_only`](Tcp::listen_only):
    /// if none is waiting); [`InvalidInput`](io::ErrorKind::InvalidInput) for a handle that is not listening
    /// ([`Misuse::NotListening`]) or closing; what the system says.
    ///
    /// libuv: `uv_accept`
    #[track_caller]
    pub fn accept(&self) -> io::Result<Tcp> {
        self.core().check_open()?;
        let Some(listener) = self.extra(|extra| extra.listener.clone()) else {
            return Err(Misuse::NotListening.into());
        };
        let stream = listener.take(self)?;
        self.accepted(stream, Location::caller())
    }

    /// A connection that was accepted, as a handle.
    fn accepted(
        &self,
        stream: mio::net::TcpStream,
        place: &'static Location<'static>,
    ) -> io::Result<Tcp> {
        let accepted = Tcp::new_at(self.event_loop(), place);
        accepted.0.stream.adopt(stream, false)?;
        Ok(accepted)
    }

    /// The next connection, for a task that called `accept_next` at `called_from`.
    pub(crate) fn poll_accept(
        &self,
        place: &mut Place,
        called_from: &'static Location<'static>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Tcp>> {
        if self.core().is_closing() {
            return Poll::Ready(Err(Canceled.into()));
        }
        if self.extra(|extra| extra.fresh.is_some()) {
            self.listen_only(DEFAULT_BACKLOG)?;
        }
        let Some(listener) = self.extra(|extra| extra.listener.clone()) else {
            return Poll::Ready(Err(Misuse::NotListening.into()));
        };
        let stream = ready!(listener.poll_accept(self, place, context))?;
        Poll::Ready(self.accepted(stream, called_from))
    }

    /// A future of `accept_next` is gone.
    pub(crate) fn stop_accepting(&self, place: &mut Place) {
        if place.is_some() {
            if let Some(listener) = self.extra(|extra| extra.listener.clone()) {
                listener.leave(self, place);
            }
        }
    }
}
