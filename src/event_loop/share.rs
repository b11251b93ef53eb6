//! How much one poll of a task may get done before it has to let the others have their turn.

use std::cell::Cell;
use std::task::Context;

use super::current;

/// So many operations of luvio may be ready at once within one poll of a task; the next one has the task wait for the
/// next poll for I/O. Otherwise a task with a peer as fast as itself would never return to the loop.
const OPERATIONS_PER_POLL: u64 = 128;

/// Outside the polls of tasks, such as under another executor, they may be as many as anybody can live to see.
const UNBOUNDED: u64 = u64::MAX;

thread_local! {
    /// What is left of the operations of the poll that is under way on this thread.
    static OPERATIONS: Cell<u64> = const { Cell::new(UNBOUNDED) };
}

/// Counts an operation that is ready at once. False if the task has had its share in this poll: the operation has to
/// wait, and the task is woken after the next poll for I/O.
#[inline]
pub(crate) fn may_go_on(context: &Context<'_>) -> bool {
    let left = OPERATIONS.get();
    if left == 0 {
        wake_after_poll(context);
        return false;
    }
    OPERATIONS.set(left - 1);
    true
}

/// Wakes the task after the next poll for I/O of the loop that runs.
#[cold]
pub(crate) fn wake_after_poll(context: &Context<'_>) {
    match current() {
        Some(event_loop) => event_loop.inner().tasks.wake_after_poll(context.waker().clone()),
        None => context.waker().wake_by_ref(),
    }
}

/// The time in which tasks are polled. It ends with this, by unwinding too; another loop that runs inside a poll has its
/// own.
pub(crate) struct Shares {
    outer: u64,
}

impl Shares {
    pub(crate) fn begin() -> Shares {
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
