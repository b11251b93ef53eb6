//! Listening for connections and accepting them; the passes are the [`Listener`]'s.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::Tcp;
use super::listener::{self, Connection, Listener};
use crate::error::{Canceled, Misuse};
use crate::handle::Place;

/// The backlog of a listener that `accept_next` starts.
const DEFAULT_BACKLOG: u32 = 128;

impl Tcp {
    /// Calls `cb`, among the I/O callbacks, for each connection that arrives, which [`accept`](Tcp::accept) then returns.
    ///
    /// `backlog` is how many connections the system keeps waiting. A handle that was never bound gets a free port, on all
    /// addresses. As long as a connection that was announced is not accepted, no further one is announced; none is lost.
    /// `cb` gets an error when the listener could not accept: when descriptors run out, waiting clients are accepted and
    /// closed at once, and `cb` hears of it once a burst. What is wrong with one connection only (it has gone already, a
    /// firewall forbids it, …) is skipped.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) for a handle that is listening already
    /// ([`Misuse::AlreadyListening`]; the first callback and backlog stay) or connected ([`Misuse::AlreadyConnected`]);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) after a bind that failed ([`Misuse::NotBound`]) or for a closing
    /// handle; [`AddrInUse`](io::ErrorKind::AddrInUse) and others from the system.
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
            self.bind_anywhere()?;
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
        let mut socket = mio::net::TcpListener::from_std(socket.into());
        if let Err(err) = self.register(&mut socket) {
            // A handle without it would listen elsewhere the next time.
            self.set_fresh(std::net::TcpListener::from(socket).into());
            return Err(err);
        }
        let has_callback = callback.is_some();
        let listener = Listener::new(socket, callback);
        self.event_loop().inner().descriptors.reserve();
        self.with_extra(|extra| extra.listener = Some(Rc::new(listener)));
        self.0.stream.mark_listening();
        if has_callback {
            self.core().set_active(true);
            self.core().pin();
        }
        Ok(())
    }

    fn register(&self, socket: &mut mio::net::TcpListener) -> io::Result<()> {
        let interest = mio::Interest::READABLE;
        self.event_loop().inner().register(self.core().key(), socket, interest)
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
        Ok(self.accept_with_addr()?.0)
    }

    /// As [`accept`](Tcp::accept), with the address of the other end, as the standard library's `accept` returns it.
    ///
    /// It is there, too, if the client has reset the connection meanwhile, when the system has forgotten it and
    /// [`peer_addr`](Tcp::peer_addr) is an error.
    ///
    /// # Errors
    /// As [`accept`](Tcp::accept).
    ///
    /// libuv: `uv_accept` and `uv_tcp_getpeername`
    #[track_caller]
    pub fn accept_with_addr(&self) -> io::Result<(Tcp, SocketAddr)> {
        self.core().check_open()?;
        let Some(listener) = self.extra(|extra| extra.listener.clone()) else {
            return Err(Misuse::NotListening.into());
        };
        let connection = listener.take(self)?;
        self.accepted(connection, Location::caller())
    }

    /// The connections that this listener accepted and that are open, in the order in which they were accepted. It knows
    /// them without keeping them alive, also when it is closed itself. It takes a look at each handle of the loop.
    ///
    /// So a server ends with all that it serves, whatever else lives on the loop:
    ///
    /// ```
    /// use luvio::Tcp;
    ///
    /// fn end(server: &Tcp) {
    ///     server.close(); // nobody new
    ///     for client in server.connections() {
    ///         client.finish(); // lets out what is queued; `close` would not wait for it
    ///     }
    /// }
    /// # let event_loop = luvio::Loop::new()?;
    /// # let server = Tcp::new(&event_loop);
    /// # server.bind("127.0.0.1:0")?;
    /// # server.listen_only(8)?;
    /// # let _client = std::net::TcpStream::connect(server.local_addr()?)?;
    /// # let accepted = server.accept()?;
    /// # end(&server);
    /// # assert!(accepted.is_closing());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connections(&self) -> Vec<Tcp> {
        let mut found = Vec::new();
        self.event_loop().walk(|handle| {
            let tcp = handle.as_any().downcast_ref::<Tcp>();
            let is_own = |tcp: &&Tcp| !tcp.is_closing() && tcp.core().is_accepted_by(self.core());
            found.extend(tcp.filter(is_own).cloned());
        });
        found
    }

    /// A connection that was accepted, as a handle.
    fn accepted(
        &self,
        (stream, addr): Connection,
        place: &'static Location<'static>,
    ) -> io::Result<(Tcp, SocketAddr)> {
        let accepted = Tcp::new_at(self.event_loop(), place);
        accepted.core().set_accepted_by(self.core());
        accepted.0.stream.adopt(stream, false)?;
        Ok((accepted, addr))
    }

    /// The next connection, for a task that called `accept_next` at `called_from`.
    pub(crate) fn poll_accept(
        &self,
        place: &mut Place,
        called_from: &'static Location<'static>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Tcp, SocketAddr)>> {
        match self.core().check_open() {
            Err(_) if place.take().is_some() => return Poll::Ready(Err(Canceled.into())),
            open => open?,
        }
        if self.extra(|extra| extra.fresh.is_some()) {
            self.listen_only(DEFAULT_BACKLOG)?;
        }
        let Some(listener) = self.extra(|extra| extra.listener.clone()) else {
            self.check_address()?;
            return Poll::Ready(Err(Misuse::NotListening.into()));
        };
        let connection = ready!(listener.poll_accept(self, place, context))?;
        Poll::Ready(self.accepted(connection, called_from))
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
