//! Several pieces of the program's code in a row, each of which runs whatever the others do.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::{mem, thread};

use log::error;

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

/// Holds panics back until all is done that has to be. Then the first of them goes on; the program has heard of the
/// others by its panic hook.
///
/// Whoever makes one must [let it go on](Panics::go_on), or [give it up](Panics::give_up), at the end.
#[must_use = "a panic that was caught has to go on"]
#[derive(Default)]
pub(crate) struct Panics {
    first: Option<Payload>,
}

impl Panics {
    /// Runs `f`, code of the program. False if it panicked.
    pub(crate) fn catch(&mut self, f: impl FnOnce()) -> bool {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(()) => true,
            Err(payload) => {
                match self.first {
                    None => self.first = Some(payload),
                    Some(_) => discard(payload),
                }
                false
            }
        }
    }

    /// Runs `f` until it ends without a panic. Called again after one, it has to go on behind what panicked.
    pub(crate) fn catch_each(&mut self, mut f: impl FnMut()) {
        while !self.catch(&mut f) {}
    }

    /// Drops each of `values`.
    pub(crate) fn drop_each<T>(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.catch(|| drop(value));
        }
    }

    /// Lets the first panic go on. While another one unwinds the stack already, a second would end the process, so it is
    /// logged instead.
    pub(crate) fn go_on(self) {
        match self.first {
            None => {}
            Some(payload) if thread::panicking() => log(payload),
            Some(payload) => resume_unwind(payload),
        }
    }

    /// Logs the first panic instead of letting it go on: for those who have something to return that would be lost.
    pub(crate) fn give_up(self) {
        if let Some(payload) = self.first {
            log(payload);
        }
    }
}

/// So many payloads are dropped that each come from the drop of the one before. It might go on like this for ever.
const PAYLOADS: u32 = 8;

/// Drops the payload of a panic of which nobody is to hear any more, and those of the panics to which that leads.
pub(crate) fn discard(mut payload: Payload) {
    for _ in 0..PAYLOADS {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(another) => payload = another,
        }
    }
    mem::forget(payload);
}

#[cold]
fn log(payload: Payload) {
    let log = || error!("a panic that must not go on ends here: {}", text_of(&*payload));
    if let Err(another) = catch_unwind(AssertUnwindSafe(log)) {
        discard(another);
    }
    discard(payload);
}

/// What a panic said, if it said it in words.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
