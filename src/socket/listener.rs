//! Accepting connections: one announced at a time, a bounded number a turn, and what to do without descriptors.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use log::{debug, warn};
use mio::unix::SourceFd;

use super::{Accepted, SocketHandle, StreamSocket};
use crate::error::{Canceled, Misuse};
use crate::event_loop::{
    Expire, LoopInner, Nanos, Object, TimerKey, is_out_of_descriptors, may_go_on,
};
use crate::handle::{Core, Place, Slot, Waiters};
use crate::panics::Panics;

pub(super) type Callback<H> = dyn FnMut(&H, io::Result<()>);

/// How long a listener rests that has no descriptor, not even the spare one, unless a handle is closed before.
const REST: Nanos = 100_000_000;

/// A listening socket.
pub(super) struct Listener<H: SocketHandle> {
    /// `None` after close.
    socket: RefCell<Option<Rc<H::Listening>>>,
    callback: Slot<Callback<H>>,
    has_callback: bool,
    /// The connection that was announced and not accepted yet.
    announced: Cell<Option<Accepted<H>>>,
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
enum Attempt<H: SocketHandle> {
    Accepted(Accepted<H>),
    /// Nobody is waiting.
    Empty,
    /// There was one that could not be had, for a reason that is its own. The next one may be fine.
    Skipped,
    /// A connection that could not be served was taken and closed, because of this shortage.
    Shed(io::Error),
    /// Nothing can be done now.
    Stuck(io::Error),
}

impl<H: SocketHandle> Listener<H> {
    /// A listener on a socket that the poll knows already.
    pub(super) fn new(socket: H::Listening, callback: Option<Box<Callback<H>>>) -> Listener<H> {
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
    pub(super) fn socket(&self) -> Option<Rc<H::Listening>> {
        self.socket.borrow().clone()
    }

    /// The poll saw a connection.
    pub(super) fn ready(&self, handle: &H) {
        self.readable.set(true);
        self.wake_next(handle);
        self.pass(handle);
    }

    /// The next go after the budget ran out, a late accept, or a rest.
    pub(super) fn resume(&self, handle: &H) {
        self.busy.set(false);
        self.wake_next(handle);
        self.pass(handle);
    }

    /// The connection that was announced; without a callback, the next one that waits.
    pub(super) fn take(&self, handle: &H) -> io::Result<Accepted<H>> {
        if self.has_callback {
            let announced = self.announced.take().ok_or(io::ErrorKind::WouldBlock)?;
            // Now the next one may be announced.
            self.pass_later(handle);
            return Ok(announced);
        }
        loop {
            match self.attempt(handle) {
                Attempt::Accepted(connection) => return Ok(connection),
                Attempt::Empty => return Err(io::ErrorKind::WouldBlock.into()),
                Attempt::Shed(err) if self.is_first_report() => return Err(err),
                Attempt::Shed(_) | Attempt::Skipped => {}
                Attempt::Stuck(err) => return Err(err),
            }
        }
    }

    /// Gives the socket away, with those who wait in it to be accepted. The handle is to be closed then.
    pub(super) fn give_away(&self, handle: &H) -> io::Result<H::Listening> {
        let mut slot = self.socket.borrow_mut();
        // There is another reference inside `with_fd`.
        let socket = slot.as_mut().and_then(Rc::get_mut).filter(|_| !self.has_announced());
        let Some(socket) = socket else {
            return Err(Misuse::UnderWay.into());
        };
        loop_of(handle).deregister(socket)?;
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
            let fd = socket.as_fd().as_raw_fd();
            let _ = inner.deregister(&mut SourceFd(&fd));
        }
        drop(self.announced.take());
        self.waiters.wake_all(inner);
    }

    /// The next connection, for a task. Running out of descriptors is no error here: a loop that ends with the first
    /// error would end the server.
    pub(super) fn poll_accept(
        &self,
        handle: &H,
        place: &mut Place,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<H>>> {
        let inner = loop_of(handle);
        if self.has_callback {
            return Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        // Nobody overtakes those who wait.
        let may_try = self.waiters.has_turn(place) || self.waiters.is_empty();
        while may_try && self.has_work() {
            if !may_go_on(context) {
                return Poll::Pending;
            }
            match self.attempt(handle) {
                Attempt::Accepted(connection) => {
                    self.finish(handle, place);
                    return Poll::Ready(Ok(connection));
                }
                Attempt::Empty | Attempt::Skipped => {}
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        warn!(
                            "the listener made at {} turns clients away: {err}",
                            handle.stream().core.place()
                        );
                    }
                }
                Attempt::Stuck(err) if !is_of_the_listener(&err) => self.rest(handle, &err),
                Attempt::Stuck(err) => {
                    self.finish(handle, place);
                    return Poll::Ready(Err(err));
                }
            }
        }
        if handle.stream().core.is_closing() {
            // The logger has closed it.
            return Poll::Ready(Err(Canceled.into()));
        }
        self.waiters.wait(inner, place, context);
        Poll::Pending
    }

    /// A future of `accept_next` is dropped. If it was its turn, the next one has it.
    pub(super) fn leave(&self, handle: &H, place: &mut Place) {
        if self.waiters.leave(loop_of(handle), place) {
            self.wake_next(handle);
        }
    }

    /// A future of `accept_next` is done. What else may be waiting is for the next one, whose waker must not take from this one
    /// what it is about to return.
    fn finish(&self, handle: &H, place: &mut Place) {
        self.waiters.leave(loop_of(handle), place);
        self.try_next(handle).give_up();
    }

    fn wake_next(&self, handle: &H) {
        self.try_next(handle).go_on();
    }

    /// Connections may be waiting: the task that has waited longest has a try. It sees to the next one.
    fn try_next(&self, handle: &H) -> Panics {
        let mut panics = Panics::default();
        if self.has_work() {
            self.waiters.wake_next(loop_of(handle), &mut panics);
        }
        panics
    }

    /// True if an attempt to accept may find something.
    fn has_work(&self) -> bool {
        self.readable.get() && self.resting_is_over() && self.socket.borrow().is_some()
    }

    pub(super) fn describe(&self) -> String {
        match self.socket.borrow().as_ref().and_then(|socket| H::describe(socket)) {
            Some(addr) => format!("listening on {addr}"),
            None => "listening".to_string(),
        }
    }

    /// Announces what is waiting, one connection after the other, within the budget.
    fn pass(&self, handle: &H) {
        if !self.has_callback || self.busy.replace(true) {
            return;
        }
        let _end = PassEnd { listener: self, handle };
        for _ in 0..loop_of(handle).limits.accepts_per_turn {
            if !self.may_announce() {
                return;
            }
            match self.attempt(handle) {
                Attempt::Empty => return,
                Attempt::Skipped => {}
                Attempt::Accepted(connection) => {
                    self.announced.set(Some(connection));
                    self.call(handle, Ok(()));
                }
                Attempt::Shed(err) => {
                    if self.is_first_report() {
                        self.call(handle, Err(err));
                    }
                }
                Attempt::Stuck(err) => {
                    self.rest(handle, &err);
                    if self.is_first_report() && !handle.stream().core.is_closing() {
                        self.call(handle, Err(err));
                    }
                    return;
                }
            }
        }
    }

    fn call(&self, handle: &H, incoming: io::Result<()>) {
        if let Some(mut callback) = self.callback.lend() {
            handle.stream().core.call(|| callback(handle, incoming));
        }
    }

    /// True if connections may be waiting, and the last one announced was accepted.
    fn may_announce(&self) -> bool {
        !self.has_announced() && self.has_work()
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

    fn attempt(&self, handle: &H) -> Attempt<H> {
        let Some(socket) = self.socket.borrow().clone() else {
            return Attempt::Empty;
        };
        loop {
            match H::accept(&socket) {
                Ok(connection) => {
                    self.reported.set(false);
                    self.skipped.set(0);
                    // There may be room for the spare one again, too.
                    loop_of(handle).descriptors.reserve();
                    return Attempt::Accepted(connection);
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return self.nobody_waits(),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if is_out_of_descriptors(&err) => return self.shed(handle, &socket, err),
                Err(err) if is_of_one_connection(&err) => return self.skip(handle, err),
                Err(err) => return Attempt::Stuck(err),
            }
        }
    }

    /// Goes on to the next connection, but not for ever: where a security module forbids to accept, the system says so
    /// again and again, of the same connection.
    fn skip(&self, handle: &H, err: io::Error) -> Attempt<H> {
        let skipped = self.skipped.get() + 1;
        if skipped >= loop_of(handle).limits.accepts_per_turn {
            self.skipped.set(0);
            return Attempt::Stuck(err);
        }
        self.skipped.set(skipped);
        debug!("the listener made at {} skips a connection: {err}", handle.stream().core.place());
        Attempt::Skipped
    }

    /// Takes the waiting connection with the spare descriptor and closes it, so that its client learns of it.
    fn shed(&self, handle: &H, socket: &H::Listening, shortage: io::Error) -> Attempt<H> {
        let accepted = loop_of(handle).descriptors.with_spare(|| H::accept(socket).map(drop));
        match accepted {
            Some(Ok(())) => Attempt::Shed(shortage),
            Some(Err(err)) if err.kind() == io::ErrorKind::WouldBlock => self.nobody_waits(),
            Some(Err(err)) if is_of_one_connection(&err) => Attempt::Shed(shortage),
            _ => Attempt::Stuck(shortage),
        }
    }

    /// The end of a burst: the poll will tell of the next connection.
    fn nobody_waits(&self) -> Attempt<H> {
        self.readable.set(false);
        self.skipped.set(0);
        self.reported.set(false);
        Attempt::Empty
    }

    /// True for the first shortage of a burst.
    fn is_first_report(&self) -> bool {
        !self.reported.replace(true)
    }

    fn rest(&self, handle: &H, err: &io::Error) {
        let inner = loop_of(handle);
        inner.descriptors.rest(Rc::downgrade(&(Rc::clone(handle.socket()) as Rc<dyn Object>)));
        let due = inner.clock.now().saturating_add(REST);
        let key = inner.arm(due, Rc::new(RestIsOver(Rc::downgrade(handle.socket()))));
        self.resting.set(Some(key));
        // Last, since the logger may do anything, such as to close the handle.
        warn!(
            "the listener made at {} rests, since it cannot accept: {err}",
            handle.stream().core.place()
        );
    }

    /// Ends a rest, at its time or when a descriptor is free.
    pub(super) fn wake(&self, handle: &H) {
        if let Some(key) = self.resting.take() {
            loop_of(handle).disarm(key);
        }
    }

    fn pass_later(&self, handle: &H) {
        if !self.busy.replace(true) {
            loop_of(handle).resume_next_turn(handle.stream().core.key());
        }
    }
}

/// The end of a pass, by unwinding too: if more may be waiting, there will be another pass, since the poll will not speak
/// of it again.
struct PassEnd<'a, H: SocketHandle> {
    listener: &'a Listener<H>,
    handle: &'a H,
}

impl<H: SocketHandle> Drop for PassEnd<'_, H> {
    fn drop(&mut self) {
        self.listener.busy.set(false);
        if self.listener.may_announce() {
            self.listener.pass_later(self.handle);
        }
    }
}

fn loop_of<H: SocketHandle>(handle: &H) -> &LoopInner {
    handle.stream().core.event_loop().inner()
}

/// True for what the system may have again in a moment.
fn is_shortage(err: &io::Error) -> bool {
    is_out_of_descriptors(err) || matches!(err.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

struct RestIsOver<H: SocketHandle>(Weak<StreamSocket<H>>);

impl<H: SocketHandle> Expire for RestIsOver<H> {
    fn expire(self: Rc<Self>) {
        if let Some(socket) = self.0.upgrade() {
            socket.resume();
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
