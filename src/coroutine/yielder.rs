//! The body's end of a coroutine.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::exchange::Ticket;
use super::shared::Shared;

/// The body's end of its coroutine.
///
/// The body gets it as its first argument and can yield through it anywhere in its own code, nested
/// futures included.
pub struct Yielder<Y, R = ()> {
    pub(super) shared: Rc<Shared<Y, R>>,
}

/// The future that [`Yielder::yield_`] returns.
#[must_use = "a yield does nothing unless it is awaited"]
pub struct Yield<'a, Y, R> {
    shared: &'a Shared<Y, R>,
    progress: Progress<Y>,
}

impl<Y, R> Yielder<Y, R> {
    /// Hands `value` to whoever resumed the coroutine and rests; returns the value of the next
    /// resume.
    ///
    /// Several yields of one coroutine may be pending at once, for instance in two futures that the
    /// body has joined. Each resume then takes the value of one, in the order of their first
    /// polls, and the resume after it answers that one.
    ///
    /// # Panics
    ///
    /// When it is polled from outside its coroutine, that is, not from inside the body: nobody
    /// there would take the value. It happens to a yielder that was given away to a task, or
    /// that outlived its body.
    ///
    /// # Cancel safety
    ///
    /// Dropped before a resume took the value, it takes the value back: the resume never sees it.
    /// Dropped later, the value has gone out, and the next resume drops the answer.
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, Resumed};
    ///
    /// let co = Coroutine::<&str, u32>::new_with(async |co, first| {
    ///     let second = co.yield_("one more").await;
    ///     assert_eq!((first, second), (1, 2));
    /// });
    /// assert_eq!(co.resume(1), Ok(Resumed::Yielded("one more")));
    /// assert_eq!(co.resume(2), Ok(Resumed::Returned(())));
    /// ```
    ///
    /// Lua: `coroutine.yield`
    pub fn yield_(&self, value: Y) -> Yield<'_, Y, R> {
        Yield { shared: &self.shared, progress: Progress::Unpolled(value) }
    }
}

impl<Y, R> fmt::Debug for Yielder<Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").field("status", &self.shared.status()).finish_non_exhaustive()
    }
}

impl<Y, R> Future for Yield<'_, Y, R> {
    type Output = R;

    #[inline(always)] // a fifth of a round trip
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        let shared = this.shared;
        match mem::replace(&mut this.progress, Progress::Done) {
            Progress::Unpolled(value) => {
                shared.check_inside();
                this.progress = Progress::Pending(shared.exchange.offer(value, cx.waker()));
                Poll::Pending
            }
            Progress::Pending(ticket) => match shared.exchange.take_answer(ticket) {
                Some(answer) => Poll::Ready(answer),
                None => {
                    this.progress = Progress::Pending(ticket);
                    shared.check_inside();
                    shared.exchange.keep_waiting(ticket, cx.waker());
                    Poll::Pending
                }
            },
            Progress::Done => panic!("`yield_` polled after completion"),
        }
    }
}

impl<Y, R> Drop for Yield<'_, Y, R> {
    #[inline]
    fn drop(&mut self) {
        if let Progress::Pending(ticket) = self.progress {
            self.shared.exchange.withdraw(ticket);
        }
    }
}

// Nothing in it is pinned: the value only rests there.
impl<Y, R> Unpin for Yield<'_, Y, R> {}

impl<Y, R> fmt::Debug for Yield<'_, Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yield").finish_non_exhaustive()
    }
}

enum Progress<Y> {
    Unpolled(Y),
    Pending(Ticket),
    Done,
}
