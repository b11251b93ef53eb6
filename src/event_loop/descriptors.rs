//! What the loop does about running out of descriptors.
//!
//! A listener that cannot accept gets no further event for the connection that waits, and would hang its client for
//! ever. So the loop holds one descriptor in reserve, taken with the first listener: given back, it makes room to accept
//! the waiting connection and to close it. When even that fails, the listener rests until a handle of this loop closes
//! its descriptor or a short while has passed.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::ptr;
use std::rc::{Rc, Weak};

use super::object::Object;

/// The reserve, and the listeners that rest.
#[derive(Default)]
pub(crate) struct Descriptors {
    spare: Cell<Option<File>>,
    resting: RefCell<Vec<Weak<dyn Object>>>,
}

impl Descriptors {
    /// Takes the reserve if there is none. Failing is no error: without it, listeners rest instead of shedding.
    pub(crate) fn reserve(&self) {
        let spare = self.spare.take().or_else(|| File::open("/dev/null").ok());
        self.spare.set(spare);
    }

    /// Runs `f` with one descriptor more to use than there were, and takes the reserve again. `None` without a reserve.
    pub(crate) fn with_spare<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        drop(self.spare.take()?);
        let done = f();
        self.reserve();
        Some(done)
    }

    /// Notes a listener to be woken when a descriptor is free again, once even if it rests again and again.
    pub(crate) fn rest(&self, listener: Weak<dyn Object>) {
        let mut resting = self.resting.borrow_mut();
        if !resting.iter().any(|other| ptr::addr_eq(other.as_ptr(), listener.as_ptr())) {
            resting.push(listener);
        }
    }

    /// The listeners that may try again, now that a descriptor was closed.
    pub(crate) fn take_resting(&self) -> Vec<Rc<dyn Object>> {
        // Asked at each close: usually nobody rests.
        if self.resting.borrow().is_empty() {
            return Vec::new();
        }
        self.resting.take().into_iter().filter_map(|listener| listener.upgrade()).collect()
    }

    pub(crate) fn close(&self) {
        self.spare.take();
        self.resting.take();
    }
}

/// True if `err` says that the process or the system has no descriptor left.
pub(crate) fn is_out_of_descriptors(err: &io::Error) -> bool {
    matches!(err.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
