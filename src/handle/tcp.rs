//! `Tcp`: a TCP socket, which may become a connection or a listener.
//!
//! Connections are a [`Stream`], listeners a [`Listener`]; this file has what the two share, and which of them a handle is.
//! What a program does with a handle has rooms of its own: the socket, options, connecting, listening, the connection.

mod listener;
mod transport;

// Not sorted: the documentation shows the public methods in this order.
mod socket;

mod adoption;

mod options;

mod connect;

mod listen;

mod connection;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::rc::Rc;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use self::listener::Listener;
use super::{Core, Handle, Kind, Rare, impl_handle};
use crate::error::Misuse;
use crate::event_loop::{AliveReason, LoopHandle, Object, Readiness, RequestId};
use crate::stream::{Stream, StreamHandle, ToDo};

/// A TCP socket: a client's connection, a server's connection, or a listener.
///
/// ```
/// use luvio::{Loop, Tcp};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let server = Tcp::new(&event_loop);
/// server.bind("127.0.0.1:0")?;
/// server.listen(128, |server, incoming| {
///     if incoming.is_err() {
///         return;
///     }
///     let Ok(peer) = server.accept() else { return };
///     let _ = peer.read_start(|peer, chunk| match chunk {
///         Ok(Some(data)) => drop(peer.write(data)),
///         Ok(None) => drop(peer.finish()),
///         Err(_) => drop(peer.close()),
///     });
///     server.close();
/// })?;
///
/// let client = Tcp::new(&event_loop);
/// client.connect(server.local_addr()?);
/// client.write(b"hello");
/// client.read_start(|client, chunk| {
///     println!("{chunk:?}");
///     client.close();
/// })?;
/// event_loop.run()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// **Who keeps it alive.** A `Tcp` is a cheap clone of one shared object. The loop keeps the object while it reads,
/// listens with a callback, or has requests under way; otherwise the program does, and the socket is closed when the last
/// clone is dropped.
///
/// libuv: `uv_tcp_t`
#[derive(Clone)]
pub struct Tcp(Rc<TcpInner>);

struct TcpInner {
    stream: Stream<Tcp>,
    /// Absent in the usual connection that a server accepts.
    extra: Rare<Extra>,
}

/// What only some handles have.
#[derive(Default)]
struct Extra {
    /// A socket that is neither connected nor listening yet.
    fresh: Option<Rc<Socket>>,
    listener: Option<Rc<Listener>>,
    /// The program asked for an address that the handle has not got: no other may take its place in silence.
    lacks_address: bool,
    /// Options for the next socket.
    nodelay: Option<bool>,
    keepalive: Option<Option<TcpKeepalive>>,
    reuse_port: bool,
    only_v6: bool,
}

impl_handle!(
    Tcp,
    "
What is queued is lost: [`finish`](Tcp::finish) lets it out first. With `AsyncWriteExt` of futures in scope, `tcp.close()`
is still this method and not the trait's, which lets it out, too: code that was written for other sockets loses what is
queued here, and sees success. It should call `finish`, or the trait by its name: `AsyncWriteExt::close(&mut &tcp)`."
);

impl Tcp {
    fn new_at(event_loop: &LoopHandle, place: &'static Location<'static>) -> Tcp {
        let core = Core::new_at(event_loop, Kind::Tcp, place);
        let tcp = Rc::new(TcpInner { stream: Stream::new(core), extra: Rare::none() });
        tcp.stream.core.enroll(&(Rc::clone(&tcp) as Rc<dyn Object>));
        Tcp(tcp)
    }

    /// Where a request comes from that one of the futures-io traits makes.
    #[cfg(feature = "futures")]
    pub(crate) fn request_origin(&self) -> crate::request::Origin {
        self.core().origin()
    }

    /// Runs `f` with the socket, whatever it is at the moment. Nothing is borrowed that `f` could want.
    fn with_any_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        let (fresh, listener) = self.extra(|extra| (extra.fresh.clone(), extra.listener.clone()));
        if let Some(socket) = listener.and_then(|listener| listener.socket()) {
            return Ok(f(socket.as_fd()));
        }
        if let Some(fresh) = fresh {
            return Ok(f(fresh.as_fd()));
        }
        self.0.stream.with_socket(|socket| f(socket.as_fd())).ok_or_else(|| Misuse::NoSocket.into())
    }

    fn with_any_socket<R>(&self, f: impl FnOnce(&SockRef<'_>) -> R) -> io::Result<R> {
        self.with_any_fd(|fd| f(&SockRef::from(&fd)))
    }

    /// A look at the extra part, which most handles do not have.
    fn extra<R: Default>(&self, look: impl FnOnce(&Extra) -> R) -> R {
        self.0.extra.with(|extra| look(extra)).unwrap_or_default()
    }

    fn with_extra<R>(&self, change: impl FnOnce(&mut Extra) -> R) -> R {
        self.0.extra.with_or_insert(Extra::default, change)
    }

    /// A non-blocking socket that children do not inherit, with the options that were set before.
    fn new_socket(&self, addr: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.apply_options(&SockRef::from(&socket))?;
        Ok(socket)
    }

    /// An error if the program asked for an address that the handle has not got. Whoever ignored that a bind failed would
    /// otherwise listen on all addresses of the machine, or connect from another one.
    fn check_address(&self) -> Result<(), Misuse> {
        let lacks_address = self.extra(|extra| extra.lacks_address) && !self.has_socket();
        if lacks_address { Err(Misuse::NotBound) } else { Ok(()) }
    }

    /// The socket that bind made or open_listener brought, as the only owner.
    fn take_fresh(&self) -> io::Result<Option<Socket>> {
        match self.with_extra(|extra| extra.fresh.take()).map(Rc::try_unwrap) {
            None => Ok(None),
            Some(Ok(socket)) => Ok(Some(socket)),
            // Lent by `with_fd` further up in the stack.
            Some(Err(lent)) => lent.try_clone().map(Some),
        }
    }
}

/// What the poll brings about.
impl Tcp {
    #[inline(never)]
    fn read(self) {
        self.0.stream.read_pass(&self);
    }

    #[inline(never)]
    fn wake_reader(self) {
        self.0.stream.wake_reader_now();
    }

    #[inline(never)]
    fn look_around(self) {
        if self.0.stream.is_connected() || self.0.stream.is_connecting() {
            self.0.stream.look_around(&self);
        } else if let Some(listener) = self.extra(|extra| extra.listener.clone()) {
            listener.ready(&self);
        }
    }
}

impl StreamHandle for Tcp {
    type Transport = mio::net::TcpStream;

    #[inline]
    fn stream(&self) -> &Stream<Tcp> {
        &self.0.stream
    }
}

impl Object for TcpInner {
    #[inline]
    fn ready(self: Rc<Self>, readiness: Readiness) {
        // Each is handed the reference, so that this, which is called for every event, has nothing left to do after it.
        match self.stream.note(readiness) {
            ToDo::Read => Tcp(self).read(),
            ToDo::Wake => Tcp(self).wake_reader(),
            ToDo::LookAround => Tcp(self).look_around(),
        }
    }

    fn resume(self: Rc<Self>) {
        let tcp = Tcp(self);
        match tcp.extra(|extra| extra.listener.clone()) {
            Some(listener) => {
                listener.wake(&tcp);
                listener.resume(&tcp);
            }
            None => tcp.0.stream.resume(&tcp),
        }
    }

    fn pending(self: Rc<Self>) {
        let tcp = Tcp(self);
        tcp.0.stream.tell_unconnected_reader(&tcp);
    }

    #[inline]
    fn core(&self) -> &Core {
        &self.stream.core
    }

    fn is_active(&self) -> bool {
        self.stream.is_active()
    }

    fn release(&self) {
        self.stream.release();
        let Some(mut extra) = self.extra.take() else { return };
        extra.fresh = None;
        if let Some(listener) = &extra.listener {
            listener.release(&self.stream.core);
        }
        // The callback lives until the handle is completely closed.
        self.extra.put_back(extra);
        self.stream.core.event_loop().inner().descriptor_closed();
    }

    fn call_next_request(&self) -> bool {
        self.stream.call_next_request()
    }

    fn discard_requests(&self) {
        self.stream.discard_requests();
    }

    fn drop_callbacks(&self) {
        self.stream.drop_callbacks();
        drop(self.extra.take());
    }

    fn cancel(&self, request: RequestId) -> bool {
        self.stream.cancel(request)
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        match self.extra.with(|extra| extra.listener.clone()).flatten() {
            Some(listener) => self.stream.core.report(reasons, || listener.describe()),
            None => self.stream.report(reasons),
        }
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&Tcp(self));
    }
}

#[cfg(test)]
mod tests;
