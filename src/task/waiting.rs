//! Who waits for something of a handle.
//!
//! A waker that is not the loop's runs the program's code when it is cloned, woken or dropped, and that may do anything to
//! the handle for which it is to wait. So whoever waits is noted before the waker is cloned, and a wake that comes meanwhile
//! is handed on to the new waker.

use std::cell::Cell;
use std::task::{Context, Waker};

use super::run_queue::{TaskKey, Tasks};

/// Who polls.
pub(crate) enum Caller {
    /// A task of the same loop, known by its key, which costs less to keep and to wake than its waker.
    Task(TaskKey),
    /// Whoever polls in another way.
    Other(Waker),
}

impl Caller {
    /// May run the program's code.
    pub(crate) fn of(tasks: &Tasks, context: &Context<'_>) -> Caller {
        match tasks.task_of(context) {
            Some(task) => Caller::Task(task),
            None => Caller::Other(context.waker().clone()),
        }
    }

    /// True if it is the one that polls now.
    pub(crate) fn is(&self, tasks: &Tasks, context: &Context<'_>) -> bool {
        match self {
            Caller::Task(task) => tasks.task_of(context) == Some(*task),
            Caller::Other(waker) => waker.will_wake(context.waker()),
        }
    }

    /// May run the program's code.
    pub(crate) fn wake(self, tasks: &Tasks) {
        match self {
            Caller::Task(task) => tasks.push_ready(task),
            Caller::Other(waker) => waker.wake(),
        }
    }
}

/// The one task that waits for something of a handle.
pub(crate) struct WaitingTask(Cell<Waiting>);

enum Waiting {
    Nobody,
    Task(TaskKey),
    Other(Waker),
    /// Somebody whose waker is being cloned.
    Coming,
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
        let _older = match self.0.replace(Waiting::Coming) {
            Waiting::Other(waker) if waker.will_wake(context.waker()) => {
                return self.0.set(Waiting::Other(waker));
            }
            older => older,
        };
        let waker = context.waker().clone();
        match self.0.replace(Waiting::Nobody) {
            Waiting::Coming => self.0.set(Waiting::Other(waker)),
            since => {
                self.0.set(since);
                waker.wake();
            }
        }
    }

    /// Wakes who waits, who then does not wait any more.
    #[inline]
    pub(crate) fn wake(&self, tasks: &Tasks) {
        match self.0.replace(Waiting::Nobody) {
            Waiting::Task(task) => tasks.push_ready(task),
            Waiting::Other(waker) => waker.wake(),
            Waiting::Nobody | Waiting::Coming => {}
        }
    }

    /// Nobody waits any more.
    #[inline]
    pub(crate) fn clear(&self) {
        self.0.set(Waiting::Nobody);
    }
}
