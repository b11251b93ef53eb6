//! Which loops this thread has, and which of them runs.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::{LoopHandle, LoopInner};

thread_local! {
    /// The loops that this thread made and that are not gone.
    static LOOPS: RefCell<Vec<(LoopId, Weak<LoopInner>)>> = const { RefCell::new(Vec::new()) };
    static NEXT_ID: Cell<u32> = const { Cell::new(0) };
    /// The running loops of this thread, the innermost last.
    static RUNNING: RefCell<Vec<LoopHandle>> = const { RefCell::new(Vec::new()) };
}

/// Names a loop of this thread. Unlike a [`LoopHandle`] it costs nothing to copy and nothing to drop, so that a request
/// which was over at once costs nothing either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopId(u32);

impl LoopId {
    /// An id that no other loop of this thread has or had.
    pub(crate) fn new() -> LoopId {
        let id = NEXT_ID.get();
        NEXT_ID.set(id.checked_add(1).expect("a thread has no room for more loops"));
        LoopId(id)
    }

    /// Lets the loop be found by its id.
    pub(crate) fn enroll(self, event_loop: &Rc<LoopInner>) {
        LOOPS.with_borrow_mut(|loops| loops.push((self, Rc::downgrade(event_loop))));
    }

    /// The loop is gone.
    pub(crate) fn retire(self) {
        // A loop may be dropped while the thread ends, when this is gone already.
        let _ = LOOPS.try_with(|loops| loops.borrow_mut().retain(|&(id, _)| id != self));
    }

    /// The loop, unless it is gone.
    pub(crate) fn get(self) -> Option<LoopHandle> {
        let found = LOOPS.try_with(|loops| {
            let loops = loops.borrow();
            loops.iter().find(|&&(id, _)| id == self).and_then(|(_, inner)| inner.upgrade())
        });
        Some(LoopHandle { inner: found.ok().flatten()? })
    }
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
    // It may be asked for while the thread ends, when this is gone already.
    RUNNING.try_with(|running| running.borrow().last().cloned()).ok().flatten()
}

/// Runs `f` with the innermost loop that runs on this thread, if there is one.
#[inline]
pub(crate) fn with_running<R>(f: impl FnOnce(&LoopInner) -> R) -> Option<R> {
    // A waker may be dropped or used while the thread ends, when this is gone already.
    RUNNING.try_with(|running| running.borrow().last().map(|last| f(last.inner()))).ok().flatten()
}
