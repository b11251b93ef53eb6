//! Which loop runs on this thread.

use std::cell::RefCell;

use super::{LoopHandle, LoopInner};

thread_local! {
    /// The running loops of this thread, the innermost last.
    static RUNNING: RefCell<Vec<LoopHandle>> = const { RefCell::new(Vec::new()) };
}

/// Makes a loop the current one of this thread until it is dropped.
pub(crate) struct Current(());

impl Current {
    pub(crate) fn enter(event_loop: &LoopHandle) -> Current {
        RUNNING.with_borrow_mut(|running| running.push(event_loop.clone()));
        Current(())
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let left = RUNNING.with_borrow_mut(Vec::pop);
        debug_assert!(left.is_some(), "a loop left that had not entered");
    }
}

/// The innermost loop that runs on this thread.
pub(crate) fn current() -> Option<LoopHandle> {
    RUNNING.with_borrow(|running| running.last().cloned())
}

/// Runs `f` with the innermost loop that runs on this thread, if there is one.
#[inline]
pub(crate) fn with_running<R>(f: impl FnOnce(&LoopInner) -> R) -> Option<R> {
    // A waker may be dropped or used while the thread ends, when this is gone already.
    RUNNING.try_with(|running| running.borrow().last().map(|last| f(last.inner()))).ok().flatten()
}
