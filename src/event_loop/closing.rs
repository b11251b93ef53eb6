//! The closing phase, in which handles come to their end; and the end of a loop on which nothing is left.

use std::error::Error;
use std::fmt;
use std::io;
use std::rc::Rc;

use super::{Loop, LoopInner, Object};
use crate::error::Misuse;

impl LoopInner {
    /// Completes the closing of the handles whose close was called before this pass: first closed, first called.
    pub(super) fn run_closing(&self) {
        let count = self.closing.borrow().len();
        if count == 0 {
            return;
        }
        // Requests that finished before the close are reported before it, too.
        if !self.pending.is_empty() {
            let chosen =
                |owner| self.handles.get(owner).is_some_and(|object| object.core().is_closing());
            self.run_first_pending(self.pending.bring_forward(chosen));
        }
        for _ in 0..count {
            // It stays in the queue until its requests have ended, so that a panic does not cut its farewell short.
            let Some(object) = self.closing.borrow().front().map(Rc::clone) else {
                break;
            };
            while object.call_next_request() {}
            let leaving = self.closing.borrow_mut().pop_front();
            debug_assert!(leaving.is_some_and(|leaving| Rc::ptr_eq(&leaving, &object)));
            let mut farewell = Farewell { event_loop: self, object, is_over: false };
            farewell.say();
        }
    }

    /// Handles whose close callbacks have begun and were cut short by a panic: known to nobody but the queue.
    pub(super) fn half_closed(&self) -> Vec<Rc<dyn Object>> {
        let closing = self.closing.borrow();
        let is_forgotten =
            |object: &&Rc<dyn Object>| self.handles.get(object.core().key()).is_none();
        closing.iter().filter(is_forgotten).map(Rc::clone).collect()
    }
}

/// The last that is heard of a handle. If a callback panics, the handle goes back to the queue for what is left.
struct Farewell<'a> {
    event_loop: &'a LoopInner,
    object: Rc<dyn Object>,
    is_over: bool,
}

impl Farewell<'_> {
    fn say(&mut self) {
        // Before the callbacks: in them the handle is gone, its key free for another one.
        self.object.core().closed();
        while self.object.core().call_waiter() {}
        self.object.drop_callbacks();
        self.is_over = true;
    }
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.event_loop.closing.borrow_mut().push_front(Rc::clone(&self.object));
        }
    }
}

impl Loop {
    /// Ends the loop, if nothing is left on it.
    ///
    /// Dropping a loop does the same without asking. This is for a program that wants to be sure that it has closed
    /// everything it opened.
    ///
    /// ```
    /// use luvio::{CloseError, Loop, Timer};
    ///
    /// let event_loop = Loop::new()?;
    /// let timer = Timer::new(&event_loop);
    /// let CloseError(event_loop) = event_loop.close().expect_err("there is a timer");
    /// timer.close();
    /// event_loop.run()?;
    /// event_loop.close()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CloseError`] while a handle exists that is not completely closed, active or not, or something else keeps the loop
    /// alive. It holds the loop, unchanged. With `?` in a function that returns an [`io::Result`] it becomes
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::Busy`]), and the loop is dropped.
    ///
    /// libuv: `uv_loop_close`
    #[doc(alias = "uv_loop_close")]
    pub fn close(self) -> Result<(), CloseError> {
        let inner = &self.handle.inner;
        if inner.is_alive() || !inner.handles.is_empty() || inner.running.get() {
            return Err(CloseError(self));
        }
        debug_assert_eq!(inner.outside.get(), 0, "nobody is left to wait for the outside");
        Ok(())
    }
}

/// Something is left on the loop, so it was not [closed](Loop::close). It is inside.
#[derive(Debug)]
pub struct CloseError(pub Loop);

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Misuse::Busy.fmt(f)
    }
}

impl Error for CloseError {}

impl From<CloseError> for io::Error {
    /// Drops the loop, and with it whatever is left.
    fn from(_: CloseError) -> io::Error {
        Misuse::Busy.into()
    }
}
