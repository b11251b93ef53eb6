//! Running the program's code piece by piece, so that a panic in one piece does not keep the others from running.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Keeps the first panic until all pieces have run.
#[derive(Default)]
pub(crate) struct Guarded {
    panic: Option<Box<dyn Any + Send>>,
}

impl Guarded {
    /// Runs one piece. It must leave whole what it changes: the pieces after it see it.
    pub(crate) fn run(&mut self, piece: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(piece)) {
            if self.panic.is_none() {
                self.panic = Some(payload);
            } else {
                // Only one can go on. The drop of a payload is the program's code, too, and may panic itself.
                mem::forget(payload);
            }
        }
    }

    /// Goes on with the panic, if there was one.
    pub(crate) fn go_on(self) {
        if let Some(payload) = self.panic {
            resume_unwind(payload);
        }
    }
}
