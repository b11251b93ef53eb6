//! Resuming a coroutine whose body may wait.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::shared::State;
use super::{Coroutine, ResumeError, Resumed};

/// The future that [`Coroutine::resume_async`] returns.
#[must_use = "the coroutine is not resumed unless this is awaited"]
pub struct ResumeAsync<'a, Y, R, T> {
    pub(super) coroutine: &'a Coroutine<Y, R, T>,
    pub(super) drive: Drive<R>,
}

impl<Y: 'static, R: 'static, T: 'static> Future for ResumeAsync<'_, Y, R, T> {
    type Output = Result<Resumed<Y, T>, ResumeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // Done until the step says otherwise, so that a panic of the body leaves nothing to
        // release.
        let arg = match mem::replace(&mut this.drive, Drive::Done) {
            Drive::Start(arg) => {
                this.coroutine.check_suspended()?;
                Some(arg)
            }
            Drive::Waiting => None,
            Drive::Done => panic!("`resume_async` polled after completion"),
        };
        let step = this.coroutine.step(arg, cx, State::Driven);
        if step.is_pending() {
            this.drive = Drive::Waiting;
        }
        step.map(Ok)
    }
}

impl<Y, R, T> Drop for ResumeAsync<'_, Y, R, T> {
    fn drop(&mut self) {
        if let Drive::Waiting = self.drive {
            self.coroutine.inner.shared.state.set(State::Suspended);
        }
    }
}

// Nothing in it is pinned: the argument only rests there, and the body has its own box.
impl<Y, R, T> Unpin for ResumeAsync<'_, Y, R, T> {}

impl<Y, R, T> fmt::Debug for ResumeAsync<'_, Y, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeAsync").field("coroutine", self.coroutine).finish_non_exhaustive()
    }
}

pub(super) enum Drive<R> {
    Start(R),
    Waiting,
    Done,
}
