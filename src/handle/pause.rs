//! A pause before writing is tried again.

use std::rc::Rc;

use super::Core;
use crate::event_loop::{Expire, Key, LoopHandle, Nanos, Readiness};

/// When the kernel has no memory for more, writing is tried again after this.
pub(crate) const OUT_OF_BUFFERS_PAUSE: Nanos = 10_000_000;

struct Pause {
    key: Key,
    event_loop: LoopHandle,
}

impl Expire for Pause {
    fn expire(self: Rc<Self>) {
        if let Some(object) = self.event_loop.inner().handles.get(self.key) {
            object.ready(Readiness::WRITABLE_ONLY);
        }
    }
}

impl Core {
    /// Has the handle hear after a while that there may be room to write: when the kernel has no memory for more, no poll
    /// tells when it has some again.
    pub(crate) fn writable_after_a_pause(&self) {
        let inner = self.event_loop().inner();
        let pause = Pause { key: self.key(), event_loop: self.event_loop().clone() };
        inner.arm(inner.clock.now().saturating_add(OUT_OF_BUFFERS_PAUSE), Rc::new(pause));
    }
}
