//! Accepting connections: one announced at a time, a bounded number a turn, and what to do without descriptors.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use log::warn;
use mio::unix::SourceFd;

use super::{Tcp, TcpInner};
use crate::error::Misuse;
use crate::event_loop::{Expire, Nanos, Object, TimerKey, is_out_of_descriptors, may_go_on};
use crate::handle::{Core, Place, Slot, Waiters};
use crate::panics::Panics;

pub(super) type Callback = dyn FnMut(&Tcp, io::Result<()>);

/// How long a listener rests that has no descriptor, not even the spare one, unless a handle is closed before.
const REST: Nanos = 100_000_000;

/// A listening socket.
pub(super) struct Listener {
    /// `None` after close.
    socket: RefCell<Option<Rc<mio::net::TcpListener>>>,
    callback: Slot<Callback>,
    has_callback: bool,
    /// The connection that was announced and not accepted yet.
    announced: Cell<Option<mio::net::TcpStream>>,
    /// Connections may be waiting.
    readable: Cell<bool>,
    /// A pass is under way, or one is coming.
    busy: Cell<bool>,
    /// The shortage of descriptors of this burst was reported.
    reported: Cell<bool>,
    resting: Cell<Option<TimerKey>>,
    /// Tasks in `accept_next`.
    waiters: Waiters,
}

/// What one attempt to accept came to.
enum Attempt {
    Accepted(mio::net::TcpStream),
    /// Nobody is waiting.
    Empty,
    /// A connection that could not be served was taken and closed, because of this shortage.
    Shed(io::Error),
    /// Nothing can be done now.
    Stuck(io::Error),
}

impl Listener {
    pub(super) fn new(
        mut socket: mio::net::TcpListener,
        callback: Option<Box<Callback>>,
        tcp: &Tcp,
    ) -> io::Result<Listener> {
        let token = tcp.core().key().token();
        tcp.event_loop().inner().poller.with_registry(|registry| {
            registry.register(&mut socket, token, mio::Interest::READABLE)
        })?;
        let listener = Listener {
            socket: RefCell::new(Some(Rc::new(socket))),
            callback: Slot::empty(),
            has_callback: callback.is_some(),
            announced: Cell::new(None),
            // Without a callback nobody looks before somebody asks.
            readable: Cell::new(callback.is_none()),
            busy: Cell::new(false),
            reported: Cell::new(false),
            resting: Cell::new(None),
            waiters: Waiters::default(),
        };
        if let Some(callback) = callback {
            listener.callback.set(callback);
        }
        Ok(listener)
    }

    /// The socket, unless the handle was closed.
    pub(super) fn socket(&self) -> Option<Rc<mio::net::TcpListener>> {
        self.socket.borrow().clone()
    }

    /// The poll saw a connection.
    pub(super) fn ready(&self, tcp: &Tcp) {
        self.readable.set(true);
        self.wake_next(tcp);
        self.pass(tcp);
    }

    /// The next go after the budget ran out, a late accept, or a rest.
    pub(super) fn resume(&self, tcp: &Tcp) {
        self.busy.set(false);
        self.wake_next(tcp);
        self.pass(tcp);
    }

    /// The connection that was announced; without a callback, the next one that waits.
    pub(super) fn take(&self, tcp: &Tcp) -> io::Result<mio::net::TcpStream> {
        if self.has_callback {
            let announced = self.announced.take().ok_or(io::ErrorKind::WouldBlock)?;
            // Now the next one may be announced.
            self.pass_later(tcp);
            return Ok(announced);
        }
        loop {
            match self.attempt(tcp) {
                Attempt::Accepted(stream) => return Ok(stream),
                Attempt::Empty => return Err(io::ErrorKind::WouldBlock.into()),
                Attempt::Shed(err) if self.is_first_report() => return Err(err),
                Attempt::Shed(_) => {}
                Attempt::Stuck(err) => return Err(err),
            }
        }
    }

    /// Closes the socket. The callback stays until the handle is completely closed.
    pub(super) fn release(&self, core: &Core) {
        let inner = core.event_loop().inner();
        if let Some(key) = self.resting.take() {
            inner.disarm(key);
        }
        let socket = self.socket.take();
        // If `with_fd` has it in use, it goes when that returns. By its number, since it is shared then; and somebody may
        // have duplicated it, which would keep the registration alive.
        if let Some(socket) = socket {
            let fd = socket.as_raw_fd();
            let _ = inner.poller.with_registry(|registry| registry.deregister(&mut SourceFd(&fd)));
        }
        drop(self.announced.take());
        self.waiters.wake_all(inner);
    }

    /// The next connection, for a task. Running out of descriptors is no error here: a loop that ends with the first
    /// error would end the server.
    pub(super) fn poll_accept(
        &self,
        tcp: &Tcp,
        place: &mut Place,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<mio::net::TcpStream>> {
        let inner = tcp.event_loop().inner();
        if self.has_callback {
            return Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        // Nobody overtakes those who wait.
        let may_try = self.waiters.has_turn(place) || self.waiters.is_empty();
        while may_try && self.has_work() {
            if !may_go_on(context) {
                return Poll::Pending;
            }
            match self.attempt(tcp) {
                Attempt::Accepted(stream) => {
                    self.finish(tcp, place);
                    return Poll::Ready(Ok(stream));
                }
                Attempt::Empty => {}
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        warn!(
                            "the listener made at {} turns clients away: {err}",
                            tcp.created_at()
                        );
                    }
                }
                Attempt::Stuck(err) if is_shortage(&err) => self.rest(tcp),
                Attempt::Stuck(err) => {
                    self.finish(tcp, place);
                    return Poll::Ready(Err(err));
                }
            }
        }
        self.waiters.wait(inner, place, context);
        Poll::Pending
    }

    /// A future of `accept_next` is dropped. If it was its turn, the next one has it.
    pub(super) fn leave(&self, tcp: &Tcp, place: &mut Place) {
        if self.waiters.leave(tcp.event_loop().inner(), place) {
            self.wake_next(tcp);
        }
    }

    /// A future of `accept_next` is done. What else may be waiting is for the next one, whose waker must not take from this one
    /// what it is about to return.
    fn finish(&self, tcp: &Tcp, place: &mut Place) {
        self.waiters.leave(tcp.event_loop().inner(), place);
        self.try_next(tcp).give_up();
    }

    fn wake_next(&self, tcp: &Tcp) {
        self.try_next(tcp).go_on();
    }

    /// Connections may be waiting: the task that has waited longest has a try. It sees to the next one.
    fn try_next(&self, tcp: &Tcp) -> Panics {
        let mut panics = Panics::default();
        if self.has_work() {
            self.waiters.wake_next(tcp.event_loop().inner(), &mut panics);
        }
        panics
    }

    /// True if an attempt to accept may find something.
    fn has_work(&self) -> bool {
        self.readable.get() && self.resting_is_over()
    }

    pub(super) fn describe(&self) -> String {
        match self.socket.borrow().as_ref().map(|socket| socket.local_addr()) {
            Some(Ok(addr)) => format!("listening on {addr}"),
            _ => "listening".to_string(),
        }
    }

    /// Announces what is waiting, one connection after the other, within the budget.
    fn pass(&self, tcp: &Tcp) {
        if !self.has_callback || self.busy.replace(true) {
            return;
        }
        let _end = PassEnd { listener: self, tcp };
        for _ in 0..tcp.event_loop().inner().limits.accepts_per_turn {
            if !self.may_announce() {
                return;
            }
            match self.attempt(tcp) {
                Attempt::Empty => return,
                Attempt::Accepted(stream) => {
                    self.announced.set(Some(stream));
                    self.call(tcp, Ok(()));
                }
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        self.call(tcp, Err(err));
                    }
                }
                Attempt::Stuck(err) => {
                    self.rest(tcp);
                    if self.is_first_report() {
                        self.call(tcp, Err(err));
                    }
                    return;
                }
            }
        }
    }

    fn call(&self, tcp: &Tcp, incoming: io::Result<()>) {
        if let Some(mut callback) = self.callback.lend() {
            tcp.core().call(|| callback(tcp, incoming));
        }
    }

    /// True if connections may be waiting, and the last one announced was accepted.
    fn may_announce(&self) -> bool {
        let announced = self.announced.take();
        let is_free = announced.is_none();
        self.announced.set(announced);
        is_free && self.has_work() && self.socket.borrow().is_some()
    }

    fn resting_is_over(&self) -> bool {
        let resting = self.resting.take();
        self.resting.set(resting);
        resting.is_none()
    }

    fn attempt(&self, tcp: &Tcp) -> Attempt {
        let Some(socket) = self.socket.borrow().clone() else {
            return Attempt::Empty;
        };
        loop {
            match socket.accept() {
                Ok((stream, _)) => {
                    self.reported.set(false);
                    // There may be room for the spare one again, too.
                    tcp.event_loop().inner().descriptors.reserve();
                    return Attempt::Accepted(stream);
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return self.nobody_waits(),
                Err(err) if is_gone_already(&err) => {}
                Err(err) if is_out_of_descriptors(&err) => return self.shed(tcp, &socket, err),
                Err(err) => return Attempt::Stuck(err),
            }
        }
    }

    /// Takes the waiting connection with the spare descriptor and closes it, so that its client learns of it.
    fn shed(&self, tcp: &Tcp, socket: &mio::net::TcpListener, shortage: io::Error) -> Attempt {
        let accepted =
            tcp.event_loop().inner().descriptors.with_spare(|| socket.accept().map(drop));
        match accepted {
            Some(Ok(())) => Attempt::Shed(shortage),
            Some(Err(err)) if err.kind() == io::ErrorKind::WouldBlock => self.nobody_waits(),
            Some(Err(err)) if is_gone_already(&err) => Attempt::Shed(shortage),
            _ => Attempt::Stuck(shortage),
        }
    }

    /// The end of a burst: the poll will tell of the next connection.
    fn nobody_waits(&self) -> Attempt {
        self.readable.set(false);
        self.reported.set(false);
        Attempt::Empty
    }

    /// True for the first shortage of a burst.
    fn is_first_report(&self) -> bool {
        !self.reported.replace(true)
    }

    fn rest(&self, tcp: &Tcp) {
        let inner = tcp.event_loop().inner();
        inner.descriptors.rest(Rc::downgrade(&(Rc::clone(&tcp.0) as Rc<dyn Object>)));
        let due = inner.clock.now().saturating_add(REST);
        let key = inner.arm(due, Rc::new(RestIsOver(Rc::downgrade(&tcp.0))));
        self.resting.set(Some(key));
        warn!("the listener made at {} cannot accept and rests for a while", tcp.created_at());
    }

    /// Ends a rest, at its time or when a descriptor is free.
    pub(super) fn wake(&self, tcp: &Tcp) {
        if let Some(key) = self.resting.take() {
            tcp.event_loop().inner().disarm(key);
        }
    }

    fn pass_later(&self, tcp: &Tcp) {
        if !self.busy.replace(true) {
            tcp.event_loop().inner().resume_next_turn(tcp.core().key());
        }
    }
}

/// The end of a pass, by unwinding too: if more may be waiting, there will be another pass, since the poll will not speak
/// of it again.
struct PassEnd<'a> {
    listener: &'a Listener,
    tcp: &'a Tcp,
}

impl Drop for PassEnd<'_> {
    fn drop(&mut self) {
        self.listener.busy.set(false);
        if self.listener.may_announce() {
            self.listener.pass_later(self.tcp);
        }
    }
}

/// True for what the system may have again in a moment.
fn is_shortage(err: &io::Error) -> bool {
    is_out_of_descriptors(err) || matches!(err.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

struct RestIsOver(Weak<TcpInner>);

impl Expire for RestIsOver {
    fn expire(self: Rc<Self>) {
        if let Some(tcp) = self.0.upgrade() {
            tcp.resume();
        }
    }
}

/// Errors of a connection that ended, or whose network did, before it was accepted. They are nobody's business.
fn is_gone_already(err: &io::Error) -> bool {
    let is_network_error = matches!(
        err.raw_os_error(),
        Some(
            libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    );
    is_network_error
        || matches!(err.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}
