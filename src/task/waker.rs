//! Wakers without unsafe code: an `Arc` that holds the task's key and the loop's mailbox.
//!
//! On the loop's own thread, while it runs, a wake pushes the key onto the run queue: no lock, no
//! system call. From anywhere else it goes through the mailbox, which wakes a sleeping loop once.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::task::{RawWakerVTable, Wake, Waker};

use super::run_queue::TaskKey;
use crate::event_loop::{Item, Mailbox, with_running};

/// Tells a waker from others. The same in all its clones; of no use once the last of them is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakerId(*const (), *const RawWakerVTable);

impl WakerId {
    pub(crate) const NOBODY: WakerId = WakerId(ptr::null(), ptr::null());

    #[inline]
    pub(crate) fn of(waker: &Waker) -> WakerId {
        WakerId(waker.data(), waker.vtable())
    }
}

/// What all clones of a task's waker share.
pub(crate) struct TaskWaker {
    mailbox: Arc<Mailbox>,
    /// Atomic only because a waker whose task is over is used for another one, when nobody else
    /// holds it any more.
    key: AtomicU64,
    /// True from a wake until the poll that it leads to begins: further wakes are the same one.
    scheduled: AtomicBool,
}

/// A waker, and the loop's own view of it.
pub(crate) struct WakerPair {
    pub(crate) waker: Waker,
    pub(crate) shared: Arc<TaskWaker>,
}

impl WakerPair {
    pub(crate) fn new(mailbox: &Arc<Mailbox>, key: TaskKey) -> WakerPair {
        let shared = Arc::new(TaskWaker {
            mailbox: Arc::clone(mailbox),
            key: AtomicU64::new(key.0),
            scheduled: AtomicBool::new(false),
        });
        WakerPair { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// True if the loop holds the only two references. Then it also sees what those did who let go of the others.
    pub(crate) fn is_unshared(&self) -> bool {
        let is_unshared = Arc::strong_count(&self.shared) == 2;
        fence(Ordering::Acquire);
        is_unshared
    }

    /// Makes the waker of a task that is over that of another one.
    pub(crate) fn reuse_for(&self, key: TaskKey) {
        debug_assert!(self.is_unshared(), "somebody could wake the wrong task");
        self.shared.key.store(key.0, Ordering::Relaxed);
        self.shared.scheduled.store(false, Ordering::Relaxed);
    }
}

impl TaskWaker {
    /// Notes a wake. False if one is noted already.
    pub(crate) fn mark_scheduled(&self) -> bool {
        !self.scheduled.swap(true, Ordering::AcqRel)
    }

    /// The poll begins: a wake from now on leads to another one. As a read-modify-write it sees all
    /// that was written before the wakes that it answers.
    pub(crate) fn mark_running(&self) {
        self.scheduled.swap(false, Ordering::AcqRel);
    }

    fn wake_now(&self) {
        if !self.mark_scheduled() {
            return;
        }
        let key = TaskKey(self.key.load(Ordering::Relaxed));
        let is_here = with_running(|inner| {
            let is_own = ptr::eq(Arc::as_ptr(&inner.mailbox), Arc::as_ptr(&self.mailbox));
            if is_own {
                inner.tasks.push_ready(key);
            }
            is_own
        });
        if is_here != Some(true) {
            // A loop that is gone has no tasks that could be waiting.
            let _ = self.mailbox.send(Item::Wake(key));
        }
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_now();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_now();
    }
}
