//! Who waits for something of a handle.
//!
//! A waker that is not the loop's runs the program's code when it is cloned, woken or dropped, and that may do anything to
//! the handle for which it is to wait. So may the logger, which hears of waits from another loop. So whoever waits is noted
//! before, and a wake that comes meanwhile is handed on to the new waker.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use log::warn;

use super::run_queue::{TaskKey, Tasks};
use crate::event_loop::with_running;

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

/// Somebody who waits, or nobody.
#[derive(Default)]
pub(crate) enum Waiting {
    #[default]
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
            None => self.wait_by_waker(tasks, context),
        }
    }

    #[cold]
    fn wait_by_waker(&self, tasks: &Tasks, context: &Context<'_>) {
        let _older = match self.0.replace(Waiting::Coming) {
            Waiting::Other(waker) if waker.will_wake(context.waker()) => {
                return self.0.set(Waiting::Other(waker));
            }
            older => older,
        };
        warn_if_elsewhere(tasks);
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
            Waiting::Nobody | Waiting::Coming => {}
        }
    }

    /// True if to wake it would be to wake the task of `context`, or nobody.
    #[cfg(feature = "futures")]
    pub(crate) fn is_nobody_but(&self, tasks: &Tasks, context: &Context<'_>) -> bool {
        match self {
            Waiting::Nobody | Waiting::Coming => true,
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

/// Complains, once, of a future that is polled on another loop than `tasks` belong to, that of its handle: a loop does not
/// know of tasks elsewhere that wait for it, and so need not be running when the event comes.
#[cold]
pub(crate) fn warn_if_elsewhere(tasks: &Tasks) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let is_elsewhere = with_running(|inner| !ptr::eq(&inner.tasks, tasks)) == Some(true);
    if is_elsewhere && !SAID.swap(true, Ordering::Relaxed) {
        warn!(
            "a task awaits a handle of another loop than its own, which is not kept running by that and may never end \
             the wait; spawn the task on the loop of the handle"
        );
    }
}
