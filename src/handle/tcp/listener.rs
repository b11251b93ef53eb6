//! Accepting connections: one announced at a time, a bounded number a turn, and what to do without descriptors.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use log::{debug, warn};
use mio::unix::SourceFd;

use super::{Tcp, TcpInner};
use crate::error::Misuse;
use crate::event_loop::{Expire, Nanos, Object, TimerKey, is_out_of_descriptors, may_go_on};
use crate::handle::{Core, Place, Slot, Waiters};

pub(super) type Callback = dyn FnMut(&Tcp, io::Result<()>);

/// A connection, and the address of its other end: the system forgets that as soon as the client resets.
pub(super) type Connection = (mio::net::TcpStream, SocketAddr);

/// How long a listener rests that has no descriptor, not even the spare one, unless a handle is closed before.
const REST: Nanos = 100_000_000;

/// A listening socket.
pub(super) struct Listener {
    /// `None` after close.
    socket: RefCell<Option<Rc<mio::net::TcpListener>>>,
    callback: Slot<Callback>,
    has_callback: bool,
    /// The connection that was announced and not accepted yet.
    announced: Cell<Option<Connection>>,
    /// Connections may be waiting.
    readable: Cell<bool>,
    /// A pass is under way, or one is coming.
    busy: Cell<bool>,
    /// The shortage of descriptors of this burst was reported.
    reported: Cell<bool>,
    /// How many connections in a row could not be had, each for a reason of its own.
    skipped: Cell<u32>,
    resting: Cell<Option<TimerKey>>,
    /// Tasks in `accept_next`.
    waiters: Waiters,
}

/// What one attempt to accept came to.
enum Attempt {
    Accepted(Connection),
    /// Nobody is waiting.
    Empty,
    /// There was one that could not be had, for a reason that is its own. The next one may be fine.
    Skipped,
    /// A connection that could not be served was taken and closed, because of this shortage.
    Shed(io::Error),
    /// Nothing can be done now.
    Stuck(io::Error),
}

impl Listener {
    /// A listener on a socket that the poll knows already.
    pub(super) fn new(socket: mio::net::TcpListener, callback: Option<Box<Callback>>) -> Listener {
        let listener = Listener {
            socket: RefCell::new(Some(Rc::new(socket))),
            callback: Slot::empty(),
            has_callback: callback.is_some(),
            announced: Cell::new(None),
            // Without a callback nobody looks before somebody asks.
            readable: Cell::new(callback.is_none()),
            busy: Cell::new(false),
            reported: Cell::new(false),
            skipped: Cell::new(0),
            resting: Cell::new(None),
            waiters: Waiters::default(),
        };
        if let Some(callback) = callback {
            listener.callback.set(callback);
        }
        listener
    }

    /// The socket, unless the handle was closed.
    pub(super) fn socket(&self) -> Option<Rc<mio::net::TcpListener>> {
        self.socket.borrow().clone()
    }

    /// The poll saw a connection.
    pub(super) fn ready(&self, tcp: &Tcp) {
        self.readable.set(true);
        self.waiters.wake_all(tcp.event_loop().inner());
        self.pass(tcp);
    }

    /// The next go after the budget ran out, a late accept, or a rest.
    pub(super) fn resume(&self, tcp: &Tcp) {
        self.busy.set(false);
        self.waiters.wake_all(tcp.event_loop().inner());
        self.pass(tcp);
    }

    /// The connection that was announced; without a callback, the next one that waits.
    pub(super) fn take(&self, tcp: &Tcp) -> io::Result<Connection> {
        if self.has_callback {
            let announced = self.announced.take().ok_or(io::ErrorKind::WouldBlock)?;
            // Now the next one may be announced.
            self.pass_later(tcp);
            return Ok(announced);
        }
        loop {
            match self.attempt(tcp) {
                Attempt::Accepted(connection) => return Ok(connection),
                Attempt::Empty => return Err(io::ErrorKind::WouldBlock.into()),
                Attempt::Shed(err) if self.is_first_report() => return Err(err),
                Attempt::Shed(_) | Attempt::Skipped => {}
                Attempt::Stuck(err) => return Err(err),
            }
        }
    }

    /// Gives the socket away, with those who wait in it to be accepted. The handle is to be closed then.
    pub(super) fn give_away(&self, tcp: &Tcp) -> io::Result<mio::net::TcpListener> {
        let mut slot = self.socket.borrow_mut();
        // There is another reference inside `with_fd`.
        let socket = slot.as_mut().and_then(Rc::get_mut).filter(|_| !self.has_announced());
        let Some(socket) = socket else {
            return Err(Misuse::UnderWay.into());
        };
        let inner = tcp.event_loop().inner();
        inner.poller.with_registry(|registry| registry.deregister(socket))?;
        slot.take().and_then(Rc::into_inner).ok_or_else(|| Misuse::NoSocket.into())
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
    ) -> Poll<io::Result<Connection>> {
        let inner = tcp.event_loop().inner();
        if self.has_callback {
            return Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        while self.readable.get() && self.resting_is_over() {
            if !may_go_on(context) {
                return Poll::Pending;
            }
            match self.attempt(tcp) {
                Attempt::Accepted(connection) => {
                    self.leave(tcp, place);
                    return Poll::Ready(Ok(connection));
                }
                Attempt::Empty | Attempt::Skipped => {}
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        warn!(
                            "the listener made at {} turns clients away: {err}",
                            tcp.created_at()
                        );
                    }
                }
                Attempt::Stuck(err) if !is_of_the_listener(&err) => self.rest(tcp, &err),
                Attempt::Stuck(err) => {
                    self.leave(tcp, place);
                    return Poll::Ready(Err(err));
                }
            }
        }
        self.waiters.wait(inner, place, context);
        Poll::Pending
    }

    /// A future of `accept_next` is done or dropped.
    pub(super) fn leave(&self, tcp: &Tcp, place: &mut Place) {
        self.waiters.leave(tcp.event_loop().inner(), place);
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
                Attempt::Skipped => {}
                Attempt::Accepted(connection) => {
                    self.announced.set(Some(connection));
                    self.call(tcp, Ok(()));
                }
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        self.call(tcp, Err(err));
                    }
                }
                Attempt::Stuck(err) => {
                    self.rest(tcp, &err);
                    if self.is_first_report() && !tcp.is_closing() {
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
        !self.has_announced()
            && self.readable.get()
            && self.resting_is_over()
            && self.socket.borrow().is_some()
    }

    fn has_announced(&self) -> bool {
        let announced = self.announced.take();
        let has_announced = announced.is_some();
        self.announced.set(announced);
        has_announced
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
            match accept(&socket) {
                Ok(connection) => {
                    self.reported.set(false);
                    self.skipped.set(0);
                    // There may be room for the spare one again, too.
                    tcp.event_loop().inner().descriptors.reserve();
                    return Attempt::Accepted(connection);
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return self.nobody_waits(),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if is_out_of_descriptors(&err) => return self.shed(tcp, &socket, err),
                Err(err) if is_of_one_connection(&err) => return self.skip(tcp, err),
                Err(err) => return Attempt::Stuck(err),
            }
        }
    }

    /// Goes on to the next connection, but not for ever: where a security module forbids to accept, the system says so
    /// again and again, of the same connection.
    fn skip(&self, tcp: &Tcp, err: io::Error) -> Attempt {
        let skipped = self.skipped.get() + 1;
        if skipped >= tcp.event_loop().inner().limits.accepts_per_turn {
            self.skipped.set(0);
            return Attempt::Stuck(err);
        }
        self.skipped.set(skipped);
        debug!("the listener made at {} skips a connection: {err}", tcp.created_at());
        Attempt::Skipped
    }

    /// Takes the waiting connection with the spare descriptor and closes it, so that its client learns of it.
    fn shed(&self, tcp: &Tcp, socket: &mio::net::TcpListener, shortage: io::Error) -> Attempt {
        let accepted = tcp.event_loop().inner().descriptors.with_spare(|| accept(socket).map(drop));
        match accepted {
            Some(Ok(())) => Attempt::Shed(shortage),
            Some(Err(err)) if err.kind() == io::ErrorKind::WouldBlock => self.nobody_waits(),
            Some(Err(err)) if is_of_one_connection(&err) => Attempt::Shed(shortage),
            _ => Attempt::Stuck(shortage),
        }
    }

    /// The end of a burst: the poll will tell of the next connection.
    fn nobody_waits(&self) -> Attempt {
        self.readable.set(false);
        self.skipped.set(0);
        self.reported.set(false);
        Attempt::Empty
    }

    /// True for the first shortage of a burst.
    fn is_first_report(&self) -> bool {
        !self.reported.replace(true)
    }

    fn rest(&self, tcp: &Tcp, err: &io::Error) {
        let inner = tcp.event_loop().inner();
        inner.descriptors.rest(Rc::downgrade(&(Rc::clone(&tcp.0) as Rc<dyn Object>)));
        let due = inner.clock.now().saturating_add(REST);
        let key = inner.arm(due, Rc::new(RestIsOver(Rc::downgrade(&tcp.0))));
        self.resting.set(Some(key));
        // Last, since the logger may do anything, such as to close the handle.
        warn!("the listener made at {} rests, since it cannot accept: {err}", tcp.created_at());
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

/// The next connection. In unit tests, what the test says comes first.
fn accept(socket: &mio::net::TcpListener) -> io::Result<Connection> {
    #[cfg(test)]
    if let Some(fault) = super::tests::next_fault() {
        return Err(fault);
    }
    socket.accept()
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

/// True for what has nothing to do with connections: the listener itself is broken, and will never accept again.
fn is_of_the_listener(err: &io::Error) -> bool {
    matches!(
        err.raw_os_error(),
        None | Some(libc::EBADF | libc::EFAULT | libc::EINVAL | libc::ENOTSOCK)
    )
}

/// True for what is wrong with one connection only. There is no end of the list: that it has gone, that its network has,
/// that a firewall forbids it, and, on Linux, whatever error is pending on it. So it is all that is nothing else.
fn is_of_one_connection(err: &io::Error) -> bool {
    let is_other = is_shortage(err) || is_of_the_listener(err);
    !is_other && err.kind() != io::ErrorKind::Interrupted
}
