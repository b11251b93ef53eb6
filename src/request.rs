//! `Request`: one operation that started now and ends once, and the three ways to hear of its end.

mod ticket;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use self::ticket::{AtClose, Listener};
pub(crate) use self::ticket::{OnDrop, Ticket};
use crate::event_loop::{Key, LoopId, Object, Runnable, may_go_on};

/// An operation that has started and ends once: a connect, a write, a shutdown, a close, …
///
/// **Dropping a request does not cancel the operation.** That is the opposite of what most futures do, and it is what
/// makes "fire and forget" safe: the write goes on. [`cancel`](Request::cancel) cancels, where the operation allows it.
/// (The one exception: a connect whose request *was being awaited* is given up with the await, so that a time limit
/// around it leaves nothing behind.)
///
/// There are three ways to use one:
///
/// - ignore it: `client.write(data);` A failure that nobody hears is logged at debug level, with the place that made
///   the request.
/// - [`then`](Request::then): a callback, which gets the result in a later pass, never inside the call.
/// - `.await`: a request is a [`Future`]. One that has finished already is ready at once.
///
/// Inside a task, await your writes: `client.write(data);` without `.await` compiles, and is then a write whose error
/// nobody sees and that does not wait for a slow peer.
///
/// ```
/// use luvio::{Loop, Tcp};
///
/// let event_loop = Loop::new()?;
/// let tcp = Tcp::new(&event_loop);
/// tcp.connect("127.0.0.1:1").then(|connected| println!("{connected:?}"));
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_req_t` and its callback
#[doc(alias = "uv_req_t")]
pub struct Request<T>(State<T>);

/// Whose request it is and where the program made it.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) event_loop: LoopId,
    pub(crate) owner: Key,
    pub(crate) place: &'static Location<'static>,
}

enum State<T> {
    /// The value is there, and so there is nothing to share and nothing to allocate. Spelled out instead of an `Origin`, so
    /// that all of a `Request<()>` fits into three words.
    Known {
        value: T,
        ends: Ends,
        event_loop: LoopId,
        owner: Key,
        place: &'static Location<'static>,
    },
    /// It is under way, and the handle that does it holds the other end; or it failed.
    Shared(Rc<Ticket<T>>),
    /// The result was handed over.
    Spent,
}

/// When a request ends whose value is known. Half a word, so that nothing in a request is smaller.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Ends {
    /// It was over before the call returned.
    Already,
    /// With the closing of its handle.
    AtClose,
}

impl<T: 'static> Request<T> {
    /// A request that was over at once.
    #[inline]
    pub(crate) fn finished(origin: Origin, result: io::Result<T>) -> Request<T> {
        match result {
            Ok(value) => Request::known(origin, Ends::Already, value),
            Err(err) => Request::failed(origin, err),
        }
    }

    #[inline]
    fn known(origin: Origin, ends: Ends, value: T) -> Request<T> {
        let Origin { event_loop, owner, place } = origin;
        Request(State::Known { value, ends, event_loop, owner, place })
    }

    #[cold]
    fn failed(origin: Origin, err: io::Error) -> Request<T> {
        let ticket = Ticket::over(origin, Err(err), Listener::Undecided);
        Request(State::Shared(ticket))
    }

    /// A request that ends when its handle, whose close has begun, is closed.
    pub(crate) fn closing(origin: Origin, value: T) -> Request<T> {
        Request::known(origin, Ends::AtClose, value)
    }

    /// A request that is under way, and the ticket by which its handle finishes it.
    pub(crate) fn pending(
        origin: Origin,
        operation: &'static str,
        on_drop: OnDrop,
    ) -> (Request<T>, Rc<Ticket<T>>) {
        let ticket = Ticket::new(origin, operation, on_drop);
        ticket.count(true);
        (Request(State::Shared(Rc::clone(&ticket))), ticket)
    }

    /// Calls `done` with the result, once, in a later pass: the next pending pass after the operation has ended.
    ///
    /// The [`Canceler`] can be dropped; it is for those who want to cancel although they no longer hold the request.
    pub fn then(mut self, done: impl FnOnce(io::Result<T>) + 'static) -> Canceler {
        let done = Listener::Callback(Box::new(done));
        match mem::replace(&mut self.0, State::Spent) {
            State::Shared(ticket) => {
                // The waker of an earlier poll goes last: its drop may run anything.
                let _earlier = ticket.listener.replace(done);
                if !ticket.finished.get() {
                    return Canceler { ticket: Some(ticket) };
                }
                ticket.queue();
            }
            State::Known { value, ends, event_loop, owner, place } => {
                let origin = Origin { event_loop, owner, place };
                let ticket = Ticket::over(origin, Ok(value), done);
                match origin.owner_if(ends) {
                    Some(handle) => handle.core().wait_for_close(ticket),
                    None => ticket.queue(),
                }
            }
            State::Spent => {}
        }
        Canceler { ticket: None }
    }

    /// Cancels the operation if that is still possible, and says whether it was. Then the result is
    /// [`Canceled`](crate::Canceled).
    ///
    /// A connect can be cancelled until it ends, a write as long as none of its bytes are with the kernel, `drained`
    /// until it ends; a shutdown and a close cannot.
    ///
    /// libuv: `uv_cancel`
    #[doc(alias = "uv_cancel")]
    pub fn cancel(&self) -> bool {
        match &self.0 {
            State::Shared(ticket) => ticket.cancel(),
            _ => false,
        }
    }

    /// True if the operation is over.
    pub fn is_finished(&self) -> bool {
        match self.0 {
            State::Spent => true,
            State::Shared(ref ticket) => ticket.finished.get(),
            State::Known { ends, event_loop, owner, place, .. } => {
                Origin { event_loop, owner, place }.owner_if(ends).is_none()
            }
        }
    }
}

impl Origin {
    /// The handle whose request it is, until it is completely closed.
    fn owner(&self) -> Option<Rc<dyn Object>> {
        self.event_loop.get()?.inner().handles.get(self.owner)
    }

    /// The handle that has to be closed first, if there is one.
    fn owner_if(&self, ends: Ends) -> Option<Rc<dyn Object>> {
        match ends {
            Ends::Already => None,
            Ends::AtClose => self.owner(),
        }
    }
}

/// The result, when the operation is over. After that it must not be polled again.
///
/// # Cancel safety
/// Dropping the future does not cancel the operation, except a connect's.
impl<T: Unpin + 'static> Future for Request<T> {
    type Output = io::Result<T>;

    /// # Panics
    /// When polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let State::Known { ends: Ends::Already, .. } = self.0 {
            if !may_go_on(context) {
                return Poll::Pending;
            }
            if let State::Known { value, .. } = mem::replace(&mut self.0, State::Spent) {
                return Poll::Ready(Ok(value));
            }
        }
        self.poll_slowly(context)
    }
}

impl<T: Unpin + 'static> Request<T> {
    fn poll_slowly(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let State::Shared(ticket) = &self.0 {
            let polled = ticket.poll(context);
            if polled.is_ready() {
                self.0 = State::Spent;
            }
            return polled;
        }
        match mem::replace(&mut self.0, State::Spent) {
            State::Known { value, ends: Ends::Already, .. } => Poll::Ready(Ok(value)),
            State::Known { value, ends: Ends::AtClose, event_loop, owner, place } => {
                let origin = Origin { event_loop, owner, place };
                let ticket = Ticket::new(origin, "close", OnDrop::GoOn);
                let at_close =
                    Rc::new(AtClose { ticket: Rc::clone(&ticket), value: Cell::new(Some(value)) });
                match origin.owner() {
                    Some(handle) => handle.core().wait_for_close(at_close),
                    None => at_close.run(),
                }
                self.0 = State::Shared(ticket);
                self.poll_slowly(context)
            }
            State::Shared(_) | State::Spent => {
                panic!("a request was polled again after it was ready")
            }
        }
    }
}

impl<T> Drop for Request<T> {
    #[inline]
    fn drop(&mut self) {
        if let State::Shared(_) = self.0 {
            self.forget();
        }
    }
}

impl<T> Request<T> {
    /// Nobody asked for the result.
    #[cold]
    fn forget(&mut self) {
        if let State::Shared(ticket) = mem::replace(&mut self.0, State::Spent) {
            ticket.abandon();
        }
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Known { ends: Ends::Already, .. } | State::Spent => "finished",
            State::Shared(ticket) if ticket.finished.get() => "finished",
            State::Shared(_) | State::Known { .. } => "under way",
        };
        f.debug_struct("Request").field("state", &state).finish_non_exhaustive()
    }
}

/// Cancels the operation of a request that was given a callback. See [`Request::then`].
pub struct Canceler {
    ticket: Option<Rc<dyn Cancel>>,
}

impl Canceler {
    /// Cancels the operation if that is still possible, and says whether it was. Then the callback gets
    /// [`Canceled`](crate::Canceled).
    ///
    /// libuv: `uv_cancel`
    #[doc(alias = "uv_cancel")]
    pub fn cancel(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.cancel())
    }
}

impl fmt::Debug for Canceler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceler")
    }
}

trait Cancel {
    fn cancel(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_three_words() {
        assert!(size_of::<Request<()>>() <= 24);
    }
}
