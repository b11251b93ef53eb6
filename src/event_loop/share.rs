//! How much one poll of a task may get done before it has to let the others have their turn.

use std::cell::Cell;
use std::task::Context;

use super::current;
use crate::task::WakerId;

/// So many operations of luvio may be ready at once within one poll of a task; the next one has the task wait for the
/// next poll for I/O. Otherwise a task with a peer as fast as itself would never return to the loop.
const OPERATIONS_PER_POLL: u64 = 128;

/// Outside the polls of tasks, such as under another executor, they may be as many as anybody can live to see.
const UNBOUNDED: u64 = u64::MAX;

thread_local! {
    /// What is left of the operations of the poll that is under way on this thread.
    static OPERATIONS: Cell<u64> = const { Cell::new(UNBOUNDED) };
    /// Who was last told to wait in the poll that is under way, other than by the task's own waker.
    static TOLD: Cell<WakerId> = const { Cell::new(WakerId::NOBODY) };
}

/// Counts an operation that is ready at once. False if the task has had its share in this poll: the operation has to
/// wait, and whoever polls it is woken.
#[inline]
pub(crate) fn may_go_on(context: &Context<'_>) -> bool {
    let left = OPERATIONS.get();
    if left == 0 {
        return may_go_on_at_the_end(context);
    }
    OPERATIONS.set(left - 1);
    true
}

/// The share is used up.
///
/// Whoever polls with another waker than the task's own may be a part of the task, such as a `FuturesUnordered`: told to
/// wait, it lets the task return to the loop. Or it may be an executor that holds the thread until the future is ready,
/// and would wait for ever for a poll that cannot come: told to wait, it polls the same future again, and goes on with a
/// new share. A waker with nothing behind it cannot be told anything: that poll is the only one.
#[cold]
fn may_go_on_at_the_end(context: &Context<'_>) -> bool {
    let waker = context.waker();
    if waker.data().is_null() {
        return true;
    }
    let is_own = current().is_some_and(|event_loop| event_loop.inner().tasks.is_own(waker));
    let id = WakerId::of(waker);
    if is_own || TOLD.replace(id) != id {
        wake_after_poll(context);
        return false;
    }
    TOLD.set(WakerId::NOBODY);
    OPERATIONS.set(OPERATIONS_PER_POLL - 1);
    true
}

/// Wakes the task after the next poll for I/O of the loop that runs. Whoever polls with another waker is woken at once,
/// since it may hold the thread; so that the poll for I/O is not far, no task is polled any more in this turn.
#[cold]
pub(crate) fn wake_after_poll(context: &Context<'_>) {
    let waker = context.waker();
    if let Some(event_loop) = current() {
        let tasks = &event_loop.inner().tasks;
        if tasks.is_own(waker) {
            return tasks.wake_after_poll(waker.clone());
        }
        tasks.end_turn();
    }
    waker.wake_by_ref();
}

/// Lifts the limit until it is dropped, by unwinding too: nothing counts, and nothing has to wait.
pub(crate) struct Unbounded {
    left: u64,
}

impl Unbounded {
    pub(crate) fn begin() -> Unbounded {
        Unbounded { left: OPERATIONS.replace(UNBOUNDED) }
    }
}

impl Drop for Unbounded {
    fn drop(&mut self) {
        OPERATIONS.set(self.left);
    }
}

/// The time in which tasks are polled. It ends with this, by unwinding too; another loop that runs inside a poll has its
/// own.
pub(crate) struct Shares {
    outer: u64,
}

impl Shares {
    pub(crate) fn begin() -> Shares {
        TOLD.set(WakerId::NOBODY);
        Shares { outer: OPERATIONS.get() }
    }

    /// The next poll begins.
    #[inline]
    pub(crate) fn deal(&self) {
        OPERATIONS.set(OPERATIONS_PER_POLL);
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        OPERATIONS.set(self.outer);
    }
}
