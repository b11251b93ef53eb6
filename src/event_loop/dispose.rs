//! The end of a loop: everything is closed and dropped, and nobody is called.

use super::{LoopInner, Pending};
use crate::panics::Panics;

impl LoopInner {
    /// The loop is dropped: closes every handle and drops every callback, and calls none.
    pub(super) fn dispose(&self) {
        self.gone.set(true);
        self.id.retire();
        // Whatever is dropped from here on may run destructors and wakers of the program. They meet a loop that is gone and
        // handles that are closed, all of them, and so cannot add anything. Nothing is borrowed while they run, and if one
        // panics, all others have their turn first.
        let mut panics = Panics::default();
        let mail = self.mailbox.close();
        let mut handles = self.handles.snapshot();
        handles.extend(self.half_closed());
        for object in &handles {
            object.core().dispose();
        }
        for object in &handles {
            panics.catch_each(|| object.release());
        }
        panics.drop_each(mail.into_iter().flatten());
        for pending in self.pending.take_all() {
            panics.catch(|| Pending::discard(pending));
        }
        self.tasks.dispose(&mut panics);
        // One whose last callbacks panicked in its closing has no key any more.
        for object in handles.into_iter().chain(self.closing.take()) {
            panics.catch_each(|| object.core().discard_waiters());
            panics.catch_each(|| object.discard_requests());
            panics.catch_each(|| object.drop_callbacks());
            panics.catch(|| drop(object));
        }
        for hooks in [&self.idle, &self.prepare, &self.check] {
            panics.drop_each(hooks.take_all());
        }
        let timers = self.timers.borrow_mut().take_all();
        panics.drop_each(timers);
        panics.drop_each(self.late.take());
        drop((self.due.take(), self.notified.take(), self.resuming.take()));
        if let Ok(mut buffer) = self.buffer.try_borrow_mut() {
            *buffer = Box::default();
        }
        #[cfg(feature = "udp")]
        if let Ok(mut buffer) = self.short_buffer.try_borrow_mut() {
            *buffer = Box::default();
        }
        self.descriptors.close();
        self.poller.close();
        panics.go_on();
    }
}
