//! What a request under way shares with the handle that does it: the result, and who is to hear of it.

use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use log::{debug, trace};

use super::{Cancel, Origin};
use crate::error::{Canceled, is_canceled};
use crate::event_loop::{
    AliveKind, AliveReason, Job, LoopHandle, Object, Pending, RequestId, Runnable, may_go_on,
};

/// What becomes of an operation whose request is dropped while it is being awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDrop {
    GoOn,
    Cancel,
}

pub(super) enum Listener<T> {
    /// The request is still held and has not said what it wants.
    Undecided,
    Callback(Box<dyn FnOnce(io::Result<T>)>),
    Task(Waker),
    /// The request was dropped.
    Nobody,
}

/// The state that a request under way shares with the handle that does it.
pub(crate) struct Ticket<T> {
    /// `None` if the loop was gone from the start.
    event_loop: Option<LoopHandle>,
    origin: Origin,
    operation: &'static str,
    on_drop: OnDrop,
    pub(super) finished: Cell<bool>,
    result: Cell<Option<io::Result<T>>>,
    pub(super) listener: Cell<Listener<T>>,
    /// In the line of its handle, if it is in one.
    place: Cell<u64>,
}

impl<T: 'static> Ticket<T> {
    /// A ticket that does not count as a request, since something else keeps the loop alive for it.
    pub(super) fn new(origin: Origin, operation: &'static str, on_drop: OnDrop) -> Rc<Ticket<T>> {
        Rc::new(Ticket {
            event_loop: origin.event_loop.get(),
            origin,
            operation,
            on_drop,
            finished: Cell::new(false),
            result: Cell::new(None),
            listener: Cell::new(Listener::Undecided),
            place: Cell::new(0),
        })
    }

    /// A ticket of an operation that is over, with its callback.
    pub(super) fn over(origin: Origin, result: io::Result<T>, done: Listener<T>) -> Rc<Ticket<T>> {
        let ticket = Ticket::new(origin, "finished", OnDrop::GoOn);
        ticket.finished.set(true);
        ticket.result.set(Some(result));
        ticket.listener.set(done);
        ticket
    }

    /// The operation is over. A callback is queued, a task woken.
    pub(crate) fn finish(self: Rc<Self>, result: io::Result<T>) {
        self.settle(result, Ticket::queue);
    }

    /// True if to finish it now is to run code that may be the program's: a waker, or the logger.
    pub(crate) fn is_told_at_once(&self) -> bool {
        let listener = self.listener.replace(Listener::Undecided);
        let is_told = matches!(listener, Listener::Task(_) | Listener::Nobody);
        self.listener.set(listener);
        is_told
    }

    /// The same in the closing phase, where the callback runs at once.
    pub(crate) fn finish_now(self: Rc<Self>, result: io::Result<T>) {
        self.settle(result, |ticket| Rc::clone(ticket).run());
    }

    /// The same while the loop is being dropped: no callback is called any more.
    pub(crate) fn finish_silently(self: Rc<Self>) {
        self.settle(Err(Canceled.into()), |ticket| Rc::clone(ticket).discard());
    }

    pub(crate) fn reason(&self, state: String) -> AliveReason {
        AliveReason { kind: AliveKind::Request(self.operation), place: self.origin.place, state }
    }

    fn settle(self: Rc<Self>, result: io::Result<T>, call: impl FnOnce(&Rc<Self>)) {
        debug_assert!(!self.finished.get(), "a request finished twice");
        self.finished.set(true);
        self.count(false);
        self.announce(result, call);
    }

    /// The loop runs until the operation is over.
    pub(super) fn count(&self, more: bool) {
        if let Some(event_loop) = &self.event_loop {
            event_loop.inner().count_request(more);
        }
    }

    fn announce(self: &Rc<Self>, result: io::Result<T>, call: impl FnOnce(&Rc<Self>)) {
        match self.listener.replace(Listener::Undecided) {
            Listener::Undecided => self.result.set(Some(result)),
            Listener::Callback(done) => {
                self.listener.set(Listener::Callback(done));
                self.result.set(Some(result));
                call(self);
            }
            Listener::Task(waker) => {
                self.result.set(Some(result));
                waker.wake();
            }
            Listener::Nobody => {
                if let Err(err) = result {
                    log_unheard(self.origin.place, &err);
                }
            }
        }
    }

    /// Has the callback run in the next pending pass.
    pub(super) fn queue(self: &Rc<Self>) {
        let job = Job::Completion(Rc::clone(self) as Rc<dyn Runnable>);
        let Origin { owner, place, .. } = self.origin;
        if let Some(event_loop) = &self.event_loop {
            event_loop.inner().queue(Pending { owner, place, job });
        }
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<io::Result<T>> {
        if self.finished.get() && !may_go_on(context) {
            return Poll::Pending;
        }
        if !self.finished.get() {
            self.set_waker(context);
        }
        // Looked at afterwards, since a waker that is not the loop's runs the program's code when it is cloned.
        self.result.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Has the task of `context` woken at the end.
    fn set_waker(&self, context: &Context<'_>) {
        let listener = self.listener.replace(Listener::Undecided);
        let is_there = match &listener {
            Listener::Task(waker) => waker.will_wake(context.waker()),
            _ => false,
        };
        self.listener.set(listener);
        if !is_there {
            let waker = context.waker().clone();
            let older = self.listener.replace(Listener::Task(waker));
            drop(older);
        }
    }
}

impl<T> Ticket<T> {
    /// The request is dropped without having asked for the result.
    pub(super) fn abandon(self: Rc<Self>) {
        // Kept to the end, since the drop of a waker may run anything.
        let listener = self.listener.replace(Listener::Nobody);
        let was_awaited = matches!(listener, Listener::Task(_));
        if self.finished.get() {
            if let Some(Err(err)) = self.result.take() {
                log_unheard(self.origin.place, &err);
            }
        } else if was_awaited && self.on_drop == OnDrop::Cancel {
            self.cancel();
        }
    }

    /// Tells this request from the others of its handle.
    pub(crate) fn id(&self) -> RequestId {
        RequestId { address: ptr::from_ref(self).addr(), place: self.place.get() }
    }

    /// Says where the handle keeps it.
    pub(crate) fn set_place(&self, place: u64) {
        self.place.set(place);
    }
}

impl<T> Cancel for Ticket<T> {
    fn cancel(&self) -> bool {
        // What its handle's close has cut short is cancelled already.
        let cancel = |owner: Rc<dyn Object>| !owner.core().is_closing() && owner.cancel(self.id());
        !self.finished.get() && self.origin.owner().is_some_and(cancel)
    }
}

impl<T: 'static> Runnable for Ticket<T> {
    fn run(self: Rc<Self>) {
        if let (Listener::Callback(done), Some(result)) =
            (self.listener.replace(Listener::Nobody), self.result.take())
        {
            let Some(event_loop) = &self.event_loop else { return };
            let whose = || (format!("{} request", self.operation), self.origin.place);
            event_loop.inner().watch(whose, || done(result));
        }
    }

    /// Not left to the drop of the ticket: a [`Canceler`] may hold it, even one that the callback captured.
    fn discard(self: Rc<Self>) {
        drop(self.listener.replace(Listener::Nobody));
    }
}

/// Finishes a ticket with a value that was known before, when its handle is closed.
pub(super) struct AtClose<T> {
    pub(super) ticket: Rc<Ticket<T>>,
    pub(super) value: Cell<Option<T>>,
}

impl<T: 'static> Runnable for AtClose<T> {
    fn run(self: Rc<Self>) {
        if let Some(value) = self.value.take() {
            self.ticket.finished.set(true);
            self.ticket.announce(Ok(value), Ticket::queue);
        }
    }

    fn discard(self: Rc<Self>) {
        self.ticket.finished.set(true);
        self.ticket.announce(Err(Canceled.into()), |ticket| Rc::clone(ticket).discard());
    }
}

/// A failure that nobody hears goes to the log. That one's own close cut an operation short is no news.
fn log_unheard(place: &Location<'_>, err: &io::Error) {
    if is_canceled(err) {
        trace!("a request made at {place} was canceled, and nobody asked");
    } else {
        debug!("a request made at {place} failed, and nobody asked: {err}");
    }
}
