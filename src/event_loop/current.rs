//! Which loops this thread has, and which of them runs.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};

use super::{LoopHandle, LoopInner};

// What is never dropped can be used as long as the thread lives, in the destructors of other thread-locals too, which may
// make, run and drop loops. What these two hold is given back with the last loop.
thread_local! {
    /// The loops that this thread made and that are not gone.
    static LOOPS: ManuallyDrop<RefCell<Loops>> =
        const { ManuallyDrop::new(RefCell::new(Loops::new())) };
    static NEXT_ID: Cell<u32> = const { Cell::new(0) };
    /// The innermost loop that runs on this thread. Each run knows the one around it.
    static RUNNING: ManuallyDrop<RefCell<Option<LoopHandle>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

type Loops = Vec<(LoopId, Weak<LoopInner>)>;

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
        LOOPS.with(|loops| loops.borrow_mut().push((self, Rc::downgrade(event_loop))));
    }

    /// The loop is gone.
    pub(crate) fn retire(self) {
        LOOPS.with(|loops| {
            let mut loops = loops.borrow_mut();
            loops.retain(|&(id, _)| id != self);
            if loops.is_empty() {
                *loops = Loops::new();
            }
        });
    }

    /// The loop, unless it is gone.
    pub(crate) fn get(self) -> Option<LoopHandle> {
        let found = LOOPS.with(|loops| {
            let loops = loops.borrow();
            loops.iter().find(|&&(id, _)| id == self).and_then(|(_, inner)| inner.upgrade())
        });
        Some(LoopHandle { inner: found? })
    }
}

/// Makes a loop the current one of this thread until it is dropped.
pub(crate) struct Current {
    outer: Option<LoopHandle>,
}

impl Current {
    pub(crate) fn enter(event_loop: &LoopHandle) -> Current {
        Current { outer: RUNNING.with(|running| running.replace(Some(event_loop.clone()))) }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let left = RUNNING.with(|running| running.replace(self.outer.take()));
        debug_assert!(left.is_some(), "a loop left that had not entered");
    }
}

/// The innermost loop that runs on this thread.
pub(crate) fn current() -> Option<LoopHandle> {
    RUNNING.with(|running| running.borrow().clone())
}

/// Runs `f`, nothing of the program, with the innermost loop that runs on this thread, if there is one.
#[inline]
pub(crate) fn with_running<R>(f: impl FnOnce(&LoopInner) -> R) -> Option<R> {
    RUNNING.with(|running| running.borrow().as_ref().map(|innermost| f(innermost.inner())))
}
