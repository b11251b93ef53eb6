//! Any callback API as a future.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::set_waker;
use crate::error::Canceled;
use crate::event_loop::may_go_on;
use crate::panics::Panics;

/// Turns a callback API into a future: `register` gets a [`Resume`], hands it on, and the future is
/// ready when it is called.
///
/// `register` runs at the first poll. A call that happens inside it is kept. The first call counts;
/// later ones return false and change nothing. When every clone of the `Resume` is dropped without a
/// call, the result is [`Canceled`] instead of a wait without end.
///
/// ```
/// use luvio::{Loop, Timer, await_callback};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// let answer = event_loop.block_on(await_callback(|resume| {
///     Timer::after(&event_loop, Duration::from_millis(1), move |_| {
///         resume.with(42);
///     });
/// }))?;
/// assert_eq!(answer, Ok(42));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cancel safety
/// Dropping the future leaves the callback registered; its call then returns false.
///
/// luv_async: `await`
pub fn await_callback<T, F: FnOnce(Resume<T>)>(register: F) -> AwaitCallback<T, F> {
    AwaitCallback { register: Some(register), call: None }
}

/// The future of [`await_callback`].
#[must_use = "nothing is registered unless it is awaited"]
pub struct AwaitCallback<T, F> {
    register: Option<F>,
    call: Option<Rc<Call<T>>>,
}

/// What the future and its `Resume`s share.
struct Call<T> {
    value: Cell<Option<T>>,
    waker: Cell<Option<Waker>>,
    /// False once the first call has come or the future is gone.
    open: Cell<bool>,
    resumes: Cell<usize>,
}

// Nothing in it is ever pinned.
impl<T, F> Unpin for AwaitCallback<T, F> {}

impl<T, F: FnOnce(Resume<T>)> Future for AwaitCallback<T, F> {
    type Output = Result<T, Canceled>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(register) = self.register.take() {
            let call = Rc::new(Call {
                value: Cell::new(None),
                waker: Cell::new(None),
                open: Cell::new(true),
                resumes: Cell::new(1),
            });
            self.call = Some(Rc::clone(&call));
            register(Resume { call });
        }
        let call =
            self.call.as_ref().expect("an await_callback was polled again after it was ready");
        if !call.is_over() {
            set_waker(&call.waker, context);
        }
        if !call.is_over() || !may_go_on(context) {
            return Poll::Pending;
        }
        let result = call.value.take().ok_or(Canceled);
        self.call = None;
        Poll::Ready(result)
    }
}

impl<T> Call<T> {
    /// The value is there, or nobody can bring it any more.
    fn is_over(&self) -> bool {
        !self.open.get() || self.resumes.get() == 0
    }
}

impl<T, F> Drop for AwaitCallback<T, F> {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            call.open.set(false);
            // The value came, and nobody will fetch it.
            let (waker, value) = (call.waker.take(), call.value.take());
            let mut panics = Panics::default();
            panics.catch(|| drop(value));
            panics.catch(|| drop(waker));
            panics.go_on();
        }
    }
}

impl<T, F> fmt::Debug for AwaitCallback<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitCallback").finish_non_exhaustive()
    }
}

/// The callback that [`await_callback`] hands out. Clones are the same callback. Not `Send`: from
/// another thread, use [`Remote`](crate::Remote) or a channel.
pub struct Resume<T> {
    call: Rc<Call<T>>,
}

impl<T> Resume<T> {
    /// Makes the future ready with `value`. True for the first call of all clones while the future
    /// is waited for; later ones return false and drop the value.
    pub fn with(&self, value: T) -> bool {
        if !self.call.open.replace(false) {
            return false;
        }
        self.call.value.set(Some(value));
        if let Some(waker) = self.call.waker.take() {
            waker.wake();
        }
        true
    }
}

impl<T> Clone for Resume<T> {
    fn clone(&self) -> Resume<T> {
        self.call.resumes.set(self.call.resumes.get() + 1);
        Resume { call: Rc::clone(&self.call) }
    }
}

impl<T> Drop for Resume<T> {
    fn drop(&mut self) {
        let left = self.call.resumes.get() - 1;
        self.call.resumes.set(left);
        if left == 0 && self.call.open.get() {
            if let Some(waker) = self.call.waker.take() {
                waker.wake();
            }
        }
    }
}

impl<T> fmt::Debug for Resume<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("called", &!self.call.open.get()).finish_non_exhaustive()
    }
}
