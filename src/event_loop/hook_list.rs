//! The active idle, prepare or check handles, in start order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::object::Runnable;

/// Names a place in the list.
pub(crate) type HookKey = u64;

/// One list for each of the three kinds.
#[derive(Default)]
pub(crate) struct HookList {
    hooks: RefCell<BTreeMap<HookKey, Rc<dyn Runnable>>>,
    next: Cell<HookKey>,
}

impl HookList {
    pub(crate) fn insert(&self, hook: Rc<dyn Runnable>) -> HookKey {
        let key = self.next.get();
        self.next.set(key + 1);
        self.hooks.borrow_mut().insert(key, hook);
        key
    }

    pub(crate) fn remove(&self, key: HookKey) {
        let removed = self.hooks.borrow_mut().remove(&key);
        drop(removed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hooks.borrow().is_empty()
    }

    /// Runs each one that was there when the pass began and still is when its turn comes.
    #[inline]
    pub(crate) fn run(&self) {
        // Usually there are none.
        if !self.is_empty() {
            self.run_each();
        }
    }

    fn run_each(&self) {
        let end = self.next.get();
        let mut from = Bound::Unbounded;
        while let Some((key, hook)) = self.first_within(from, end) {
            hook.run();
            from = Bound::Excluded(key);
        }
    }

    pub(crate) fn take_all(&self) -> BTreeMap<HookKey, Rc<dyn Runnable>> {
        self.hooks.take()
    }

    fn first_within(
        &self,
        from: Bound<HookKey>,
        end: HookKey,
    ) -> Option<(HookKey, Rc<dyn Runnable>)> {
        let hooks = self.hooks.borrow();
        let (key, hook) =
            hooks.range((from, Bound::Unbounded)).next().filter(|&(&key, _)| key < end)?;
        Some((*key, Rc::clone(hook)))
    }
}
