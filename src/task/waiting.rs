//! The one task that waits for something of a handle.

use std::cell::Cell;
use std::task::{Context, Waker};

use super::run_queue::{TaskKey, Tasks};

/// Who waits, if anybody does.
pub(crate) struct WaitingTask(Cell<Waiting>);

/// Somebody who waits, or nobody.
#[derive(Default)]
pub(crate) enum Waiting {
    #[default]
    Nobody,
    /// A task of the same loop, known by its key, which costs less to keep and to wake than its waker.
    Task(TaskKey),
    /// Whoever polls in another way.
    Other(Waker),
}

impl WaitingTask {
    pub(crate) const fn nobody() -> WaitingTask {
        WaitingTask(Cell::new(Waiting::Nobody))
    }

    /// Has the task of `context` wait, and nobody else.
    #[inline]
    pub(crate) fn wait(&self, tasks: &Tasks, context: &Context<'_>) {
        match tasks.task_of(context) {
            Some(task) => self.0.set(Waiting::Task(task)),
            None => self.wait_by_waker(context),
        }
    }

    #[cold]
    fn wait_by_waker(&self, context: &Context<'_>) {
        let waker = match self.0.replace(Waiting::Nobody) {
            Waiting::Other(waker) if waker.will_wake(context.waker()) => waker,
            _ => context.waker().clone(),
        };
        self.0.set(Waiting::Other(waker));
    }

    /// Wakes who waits, who then does not wait any more.
    #[inline]
    pub(crate) fn wake(&self, tasks: &Tasks) {
        self.take().wake(tasks);
    }

    /// Who waits, and then does not wait any more.
    #[inline]
    pub(crate) fn take(&self) -> Waiting {
        self.0.take()
    }

    /// Has somebody wait who was taken out.
    #[cfg(feature = "futures")]
    pub(crate) fn put_back(&self, waiting: Waiting) {
        self.0.set(waiting);
    }

    /// Nobody waits any more.
    #[inline]
    pub(crate) fn clear(&self) {
        self.0.set(Waiting::Nobody);
    }
}

impl Waiting {
    #[inline]
    pub(crate) fn wake(self, tasks: &Tasks) {
        match self {
            Waiting::Task(task) => tasks.push_ready(task),
            Waiting::Other(waker) => waker.wake(),
            Waiting::Nobody => {}
        }
    }

    /// True if to wake it would be to wake the task of `context`, or nobody.
    #[cfg(feature = "futures")]
    pub(crate) fn is_nobody_but(&self, tasks: &Tasks, context: &Context<'_>) -> bool {
        match self {
            Waiting::Nobody => true,
            Waiting::Task(task) => tasks.task_of(context) == Some(*task),
            Waiting::Other(waker) => waker.will_wake(context.waker()),
        }
    }

    #[cfg(feature = "futures")]
    pub(crate) fn is_same(&self, other: &Waiting) -> bool {
        match (self, other) {
            (Waiting::Task(one), Waiting::Task(other)) => one == other,
            (Waiting::Other(one), Waiting::Other(other)) => one.will_wake(other),
            _ => false,
        }
    }
}
