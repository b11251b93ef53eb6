//! The state that a coroutine shares with its yielder, and its place on the thread's stack of coroutines.

use std::cell::Cell;

use super::Status;
use super::exchange::Exchange;

/// What a coroutine shares with its yielder. It must not own the body, which owns the yielder.
pub(super) struct Shared<Y, R> {
    pub(super) state: Cell<State>,
    pub(super) exchange: Exchange<Y, R>,
}

/// | state | body | left by |
/// |---|---|---|
/// | `Suspended` | at rest | a resume, to `Entered` |
/// | `Entered` | being polled | a yield, to `Suspended`; an await that blocks, to `Suspended` or `Driven`; the end or a panic, to `Dead` |
/// | `Driven` | at rest | the waiting [`ResumeAsync`](super::ResumeAsync): its next poll, to `Entered`; its drop, to `Suspended` |
/// | `Dead` | gone | |
///
/// `Driven` is not `Suspended` because a plain resume in between would replace the waker that the
/// body's await has got, and the task that waits would sleep for ever.
#[derive(Clone, Copy)]
pub(super) enum State {
    Suspended,
    /// The body is being polled; the number says how deep in this thread's stack of coroutines,
    /// from 1.
    Entered(usize),
    Driven,
    Dead,
}

impl<Y, R> Shared<Y, R> {
    pub(super) fn status(&self) -> Status {
        match self.state.get() {
            State::Suspended => Status::Suspended,
            State::Entered(depth) if depth == DEPTH.get() => Status::Running,
            State::Entered(_) | State::Driven => Status::Normal,
            State::Dead => Status::Dead,
        }
    }

    /// A yield outside would wait for a resume that never asks.
    #[inline]
    pub(super) fn check_inside(&self) {
        assert!(
            matches!(self.state.get(), State::Entered(_)),
            "attempt to yield from outside a coroutine: \
             `yield_` can be awaited only inside its own coroutine's body"
        );
    }
}

thread_local! {
    /// How many coroutines are on this thread's stack. The one at this depth runs; each of those
    /// below it has resumed the next.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A coroutine on the stack while its body is being polled. A panic leaves it dead.
pub(super) struct Entered<'a> {
    state: &'a Cell<State>,
    depth: usize,
    pub(super) state_after: State,
}

impl<'a> Entered<'a> {
    #[inline]
    pub(super) fn enter(state: &'a Cell<State>) -> Self {
        let depth = DEPTH.get() + 1;
        DEPTH.set(depth);
        state.set(State::Entered(depth));
        Self { state, depth, state_after: State::Dead }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(self.depth - 1);
        self.state.set(self.state_after);
    }
}
