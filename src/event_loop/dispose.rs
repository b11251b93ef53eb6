//! The end of a loop: everything is closed and dropped, and nobody is called.

use super::{LoopInner, Pending};

impl LoopInner {
    /// The loop is dropped: closes every handle and drops every callback, and calls none.
    pub(super) fn dispose(&self) {
        self.gone.set(true);
        self.id.retire();
        // Whatever is dropped from here on may run destructors of the user. They meet a loop that is gone and handles that
        // are closed, all of them, and so cannot add anything. Nothing is borrowed while they run.
        let handles = self.handles.snapshot();
        for object in &handles {
            object.core().dispose();
        }
        for object in &handles {
            object.release();
        }
        drop(self.mailbox.close());
        self.pending.take_all().into_iter().for_each(Pending::discard);
        self.tasks.dispose();
        for object in handles {
            object.core().discard_waiters();
            object.discard_requests();
            object.drop_callbacks();
        }
        drop((self.idle.take_all(), self.prepare.take_all(), self.check.take_all()));
        let timers = self.timers.borrow_mut().take_all();
        drop(timers);
        drop((self.due.take(), self.notified.take()));
        drop((self.resuming.take(), self.late.take(), self.closing.take()));
        if let Ok(mut buffer) = self.buffer.try_borrow_mut() {
            *buffer = Box::default();
        }
        #[cfg(feature = "udp")]
        if let Ok(mut buffer) = self.short_buffer.try_borrow_mut() {
            *buffer = Box::default();
        }
        self.descriptors.close();
        self.poller.close();
    }
}
