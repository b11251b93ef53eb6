//! What `Tcp` and `Pipe` share: a stream socket, which may become a connection or a listener.
//!
//! A connection is a [`Stream`], a listener a [`Listener`]; this file has what the two share, and which of them a handle is.

mod face;
mod listener;
mod listening;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket2::{SockAddr, SockRef, Socket};

pub use self::face::Listen;
pub(crate) use self::face::MOST_BUFFER;
pub(crate) use self::face::impl_socket;
use self::listener::Listener;
pub(crate) use self::listening::{
    accept, close_when_taken, connections, give_away, listen, poll_accept, stop_accepting,
};
use crate::error::{Misuse, Refused};
use crate::event_loop::{
    AliveReason, Expire, LoopHandle, Object, Readiness, RequestId, saturating_nanos,
};
use crate::handle::{Core, Handle, Kind, Rare};
use crate::panics::Panics;
use crate::request::{Origin, Request};
use crate::stream::{Stream, StreamHandle, ToDo};

/// A connection that was accepted, and the address of its other end: of TCP, the system forgets that as soon as the client
/// resets.
pub(crate) type Accepted<H> = (<H as StreamHandle>::Transport, <H as SocketHandle>::Addr);

/// A kind of stream socket.
pub(crate) trait SocketHandle: StreamHandle<Transport: AsFd> + Handle {
    /// A socket of the kind that listens.
    type Listening: mio::event::Source + AsFd;
    /// The address of a peer.
    type Addr: 'static;
    /// What the kind keeps for the next socket, and beside the one that it has.
    type Own: Default + 'static;

    const KIND: Kind;

    fn of(socket: Rc<StreamSocket<Self>>) -> Self;

    fn socket(&self) -> &Rc<StreamSocket<Self>>;

    fn accept(listening: &Self::Listening) -> io::Result<Accepted<Self>>;

    fn make_listening(&self, socket: Socket) -> Self::Listening;

    fn from_listening(listening: Self::Listening) -> Socket;

    /// Gives a handle that was to listen without having been bound an address, where that makes sense.
    fn bind_anywhere(&self) -> io::Result<()>;

    /// What it listens on, in words.
    fn describe(listening: &Self::Listening) -> Option<String>;

    /// The handle closes: gives back what is the kind's own, before the descriptor goes.
    fn give_back(_own: &mut Self::Own) {}
}

/// The shared object of a handle.
pub(crate) struct StreamSocket<H: SocketHandle> {
    pub(crate) stream: Stream<H>,
    /// Absent in the usual connection that a server accepts.
    extra: Rare<Extra<H>>,
}

/// What only some handles have.
pub(crate) struct Extra<H: SocketHandle> {
    /// First, and so given back first, when nobody holds the handle any more.
    pub(crate) own: H::Own,
    /// A socket that is neither connected nor listening yet.
    pub(crate) fresh: Option<Rc<Socket>>,
    listener: Option<Rc<Listener<H>>>,
    /// The program asked for an address that the handle has not got: no other may take its place in silence.
    pub(crate) lacks_address: bool,
}

// Not derived, since that would ask it of the handles, too.
impl<H: SocketHandle> Default for Extra<H> {
    fn default() -> Extra<H> {
        Extra { own: H::Own::default(), fresh: None, listener: None, lacks_address: false }
    }
}

impl<H: SocketHandle> StreamSocket<H> {
    pub(crate) fn make(event_loop: &LoopHandle, place: &'static Location<'static>) -> H {
        let core = Core::new_at(event_loop, H::KIND, place);
        let socket = Rc::new(StreamSocket { stream: Stream::new(core), extra: Rare::none() });
        socket.stream.core.enroll(&(Rc::clone(&socket) as Rc<dyn Object>));
        H::of(socket)
    }

    /// True if there is a socket: bound, connecting, connected, listening or adopted.
    pub(crate) fn has_socket(&self) -> bool {
        let has_own = self.extra(|extra| extra.fresh.is_some() || extra.listener.is_some());
        has_own || self.stream.has_socket()
    }

    /// Runs `f` with the socket, whatever it is at the moment. Nothing is borrowed that `f` could want.
    pub(crate) fn with_any_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        let (fresh, listener) = self.extra(|extra| (extra.fresh.clone(), extra.listener.clone()));
        if let Some(socket) = listener.and_then(|listener| listener.socket()) {
            return Ok(f(socket.as_fd()));
        }
        if let Some(fresh) = fresh {
            return Ok(f(fresh.as_fd()));
        }
        self.stream.with_socket(|socket| f(socket.as_fd())).ok_or_else(|| Misuse::NoSocket.into())
    }

    pub(crate) fn with_any_socket<R>(&self, f: impl FnOnce(&SockRef<'_>) -> R) -> io::Result<R> {
        self.with_any_fd(|fd| f(&SockRef::from(&fd)))
    }

    /// The descriptor for the program, which may duplicate it.
    pub(crate) fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.stream.mark_shown();
        self.with_any_fd(f)
    }

    /// A look at the extra part, which most handles do not have.
    pub(crate) fn extra<R: Default>(&self, look: impl FnOnce(&Extra<H>) -> R) -> R {
        self.extra.with(|extra| look(extra)).unwrap_or_default()
    }

    pub(crate) fn with_extra<R>(&self, change: impl FnOnce(&mut Extra<H>) -> R) -> R {
        self.extra.with_or_insert(Extra::default, change)
    }

    /// The same, if there is an extra part.
    pub(crate) fn if_extra<R>(&self, change: impl FnOnce(&mut Extra<H>) -> R) -> Option<R> {
        self.extra.with(change)
    }

    /// Changes what the next socket is going to be.
    pub(crate) fn set_before_bind(&self, set: impl FnOnce(&mut H::Own)) -> io::Result<()> {
        self.stream.core.check_open()?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        self.with_extra(|extra| set(&mut extra.own));
        Ok(())
    }

    /// Gives the handle the socket that `make` binds to the address which the program asked for.
    pub(crate) fn bind(&self, make: impl FnOnce() -> io::Result<Socket>) -> io::Result<()> {
        self.stream.core.check_open()?;
        if self.has_socket() {
            return Err(Misuse::AlreadyBound.into());
        }
        let bound = make();
        if bound.is_err() {
            self.with_extra(|extra| extra.lacks_address = true);
        }
        self.set_fresh(bound?);
        Ok(())
    }

    /// The handle has an address, and may listen or connect.
    pub(crate) fn set_fresh(&self, socket: Socket) {
        self.with_extra(|extra| {
            extra.fresh = Some(Rc::new(socket));
            extra.lacks_address = false;
        });
    }

    /// An error if the program asked for an address that the handle has not got. Whoever ignored that a bind failed would
    /// otherwise listen elsewhere, or connect from another one.
    pub(crate) fn check_address(&self) -> Result<(), Misuse> {
        let lacks_address = self.extra(|extra| extra.lacks_address) && !self.has_socket();
        if lacks_address { Err(Misuse::NotBound) } else { Ok(()) }
    }

    /// The socket that bind made or that was adopted for listening, as the only owner.
    pub(crate) fn take_fresh(&self) -> io::Result<Option<Socket>> {
        match self.with_extra(|extra| extra.fresh.take()).map(Rc::try_unwrap) {
            None => Ok(None),
            Some(Ok(socket)) => Ok(Some(socket)),
            // Lent by `with_fd` further up in the stack.
            Some(Err(lent)) => lent.try_clone().map(Some),
        }
    }

    /// Whether the handle can get a socket by adopting one.
    pub(crate) fn check_may_adopt(&self) -> Result<(), Misuse> {
        self.stream.core.check_open()?;
        // A one-way connection that was shut down has none, and never gets another one.
        let has_socket = self.has_socket() || self.stream.is_connected();
        if has_socket { Err(Misuse::HasSocket) } else { Ok(()) }
    }

    /// Adopts a connection, of which somebody else may have a duplicate.
    pub(crate) fn adopt<T: From<H::Transport>>(
        &self,
        transport: H::Transport,
    ) -> Result<(), Refused<T>> {
        let adopted = self.stream.adopt(transport, true);
        adopted.map_err(|Refused { error, value }| Refused { error, value: value.into() })?;
        self.if_extra(|extra| extra.lacks_address = false);
        Ok(())
    }

    /// Connects to `addr` by `start`, which gets the bound socket if there is one.
    pub(crate) fn connect_to<A>(
        &self,
        origin: Origin,
        addr: io::Result<A>,
        start: impl FnOnce(Option<Socket>, A) -> io::Result<H::Transport>,
    ) -> Request<()> {
        // Before anything else is asked, as of every call.
        let open = self.stream.core.check_open().map_err(io::Error::from);
        match open.and(addr) {
            Ok(addr) => self.connect(origin, |fresh| start(fresh, addr)),
            Err(err) => Request::finished(origin, Err(err)),
        }
    }

    fn connect(
        &self,
        origin: Origin,
        start: impl FnOnce(Option<Socket>) -> io::Result<H::Transport>,
    ) -> Request<()> {
        let connecting = self.check_may_connect().map_err(io::Error::from);
        match connecting.and_then(|()| self.take_fresh()).and_then(|fresh| {
            if fresh.is_some() {
                // Until the connect has succeeded: the address goes with a connect that fails.
                self.with_extra(|extra| extra.lacks_address = true);
            }
            start(fresh)
        }) {
            Ok(socket) => self.stream.connect(origin, socket),
            Err(err) => Request::finished(origin, Err(err)),
        }
    }

    fn check_may_connect(&self) -> Result<(), Misuse> {
        self.stream.core.check_open()?;
        if self.stream.is_connecting() {
            return Err(Misuse::AlreadyConnecting);
        }
        if self.stream.is_connected() || self.extra(|extra| extra.listener.is_some()) {
            return Err(Misuse::AlreadyConnected);
        }
        if self.stream.has_socket() {
            // That of a connect which was cancelled while `with_fd` lends it, further up in the stack.
            return Err(Misuse::HasSocket);
        }
        self.check_address()
    }

    /// Gives the connect up that is under way unless it ends within `limit` from now.
    pub(crate) fn limit_connect(self: &Rc<Self>, request: &Request<()>, limit: Duration) {
        if !request.is_finished() {
            let clock = &self.stream.core.event_loop().inner().clock;
            let due = clock.fresh().saturating_add(saturating_nanos(limit));
            self.stream.limit_connect(Rc::new(ConnectLimit(Rc::downgrade(self))), due);
        }
    }
}

/// Starts a connect, which goes on by itself if it is not over at once.
pub(crate) fn begin_connect(socket: &Socket, addr: &SockAddr) -> io::Result<()> {
    match socket.connect(addr) {
        Err(err) if err.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::Interrupted => Ok(()),
        done => done,
    }
}

/// Once a connect may be over: whether it is, or how it failed.
pub(crate) fn connected(socket: SockRef<'_>) -> io::Result<bool> {
    if let Some(err) = socket.take_error()? {
        return Err(err);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(err) => Err(err),
    }
}

/// Keeps a send from raising SIGPIPE when the peer has gone. Apple's systems have no such flag; there, the socket's own
/// option does the same.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(crate) const NO_SIGNAL: i32 = 0;

/// Ends a connect whose time is over.
struct ConnectLimit<H: SocketHandle>(Weak<StreamSocket<H>>);

impl<H: SocketHandle> Expire for ConnectLimit<H> {
    fn expire(self: Rc<Self>) {
        if let Some(socket) = self.0.upgrade() {
            socket.stream.fail_connect(io::ErrorKind::TimedOut.into());
        }
    }
}

/// What the poll brings about.
impl<H: SocketHandle> StreamSocket<H> {
    #[inline(never)]
    fn read(handle: H) {
        handle.stream().read_pass(&handle);
    }

    #[inline(never)]
    fn wake_reader(handle: H) {
        handle.stream().wake_reader_now();
    }

    #[inline(never)]
    fn look_around(handle: H) {
        let socket = handle.socket();
        if socket.stream.is_connected() || socket.stream.is_connecting() {
            socket.stream.look_around(&handle);
        } else if let Some(listener) = socket.extra(|extra| extra.listener.clone()) {
            listener.ready(&handle);
        }
    }
}

impl<H: SocketHandle> Object for StreamSocket<H> {
    #[inline]
    fn ready(self: Rc<Self>, readiness: Readiness) {
        // Each is handed the reference, so that this, which is called for every event, has nothing left to do after it.
        match self.stream.note(readiness) {
            ToDo::Read => Self::read(H::of(self)),
            ToDo::Wake => Self::wake_reader(H::of(self)),
            ToDo::LookAround => Self::look_around(H::of(self)),
        }
    }

    fn resume(self: Rc<Self>) {
        let handle = H::of(self);
        let socket = handle.socket();
        match socket.extra(|extra| extra.listener.clone()) {
            Some(listener) => {
                listener.wake(&handle);
                listener.resume(&handle);
            }
            None => socket.stream.resume(&handle),
        }
    }

    fn pending(self: Rc<Self>) {
        let handle = H::of(self);
        handle.stream().tell_unconnected_reader(&handle);
    }

    #[inline]
    fn core(&self) -> &Core {
        &self.stream.core
    }

    fn is_active(&self) -> bool {
        self.stream.is_active()
    }

    fn release(&self) {
        let Some(mut extra) = self.extra.take() else { return self.stream.release() };
        H::give_back(&mut extra.own);
        extra.fresh = None;
        let listener = extra.listener.clone();
        // The callback lives until the handle is completely closed.
        self.extra.put_back(extra);
        self.stream.core.event_loop().inner().descriptor_closed();
        // These wake tasks, and so may run anything.
        let mut panics = Panics::default();
        panics.catch(|| self.stream.release());
        if let Some(listener) = listener {
            panics.catch(|| listener.release(&self.stream.core));
        }
        panics.go_on();
    }

    fn call_next_request(&self) -> bool {
        self.stream.call_next_request()
    }

    fn discard_requests(&self) {
        self.stream.discard_requests();
    }

    fn drop_callbacks(&self) {
        // Out of its place before it is dropped, since that may run anything.
        let extra = self.extra.take();
        let mut panics = Panics::default();
        panics.catch(|| self.stream.drop_callbacks());
        panics.catch(|| drop(extra));
        panics.go_on();
    }

    fn cancel(&self, request: RequestId) -> bool {
        self.stream.cancel(request)
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        match self.extra(|extra| extra.listener.clone()) {
            Some(listener) => self.stream.core.report(reasons, || listener.describe()),
            None => self.stream.report(reasons),
        }
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&H::of(self));
    }
}
