//! Callbacks whose time has come: they run in the next pending pass.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

use super::LoopHandle;
use super::object::Runnable;
use super::registry::Key;

/// What to run.
pub(crate) enum Job {
    /// A request's callback, with its result.
    Completion(Rc<dyn Runnable>),
    /// The owner asked for it, to call one of its own callbacks (see `Object::pending`).
    Handle,
    /// A closure given to `defer` or `Remote::post`.
    Closure(Box<dyn FnOnce(&LoopHandle)>),
}

/// A queued callback.
pub(crate) struct Pending {
    /// The handle that it belongs to, or [`Key::NONE`].
    pub(crate) owner: Key,
    /// Where the user asked for it.
    pub(crate) place: &'static Location<'static>,
    pub(crate) job: Job,
}

impl Pending {
    /// The loop is gone: nobody is called.
    pub(crate) fn discard(self) {
        if let Job::Completion(request) = self.job {
            request.discard();
        }
    }
}

/// The queue. It belongs to the loop, not to a run, so that a panic loses nothing but the callback that panicked.
#[derive(Default)]
pub(crate) struct PendingQueue {
    queue: RefCell<VecDeque<Pending>>,
}

impl PendingQueue {
    pub(crate) fn push(&self, pending: Pending) {
        self.queue.borrow_mut().push_back(pending);
    }

    pub(crate) fn pop(&self) -> Option<Pending> {
        self.queue.borrow_mut().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Moves what belongs to the chosen owners to the front, order kept, and says how much that is.
    pub(crate) fn bring_forward(&self, chosen: impl Fn(Key) -> bool) -> usize {
        let mut queue = self.queue.borrow_mut();
        let (mut first, mut rest): (VecDeque<_>, VecDeque<_>) =
            queue.drain(..).partition(|p| chosen(p.owner));
        let count = first.len();
        first.append(&mut rest);
        *queue = first;
        count
    }

    pub(crate) fn take_all(&self) -> VecDeque<Pending> {
        self.queue.take()
    }

    pub(crate) fn places(&self) -> Vec<&'static Location<'static>> {
        self.queue.borrow().iter().map(|pending| pending.place).collect()
    }
}
