//! A callback's home. The only place that knows how to run a callback that may replace, clear or re-enter itself.
//!
//! Before a callback runs it leaves the slot; afterwards it returns, unless the slot was set or cleared meanwhile. So no
//! borrow is alive while user code runs, and a callback is never dropped while it is on the stack.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};

/// Holds a boxed callback, `F` being a `dyn FnMut` type.
pub(crate) struct Slot<F: ?Sized> {
    callback: Cell<Option<Box<F>>>,
    /// Counts the changes from outside, so that a callback that comes back knows whether it is still wanted.
    epoch: Cell<u32>,
}

impl<F: ?Sized> Slot<F> {
    pub(crate) const fn empty() -> Slot<F> {
        Slot { callback: Cell::new(None), epoch: Cell::new(0) }
    }

    /// Puts `callback` in place of what was there.
    pub(crate) fn set(&self, callback: Box<F>) {
        self.change(Some(callback));
    }

    /// Drops the callback; one that is running is dropped when it returns.
    pub(crate) fn clear(&self) {
        self.change(None);
    }

    /// Takes the callback out to run it. `None` if there is none, or it is running already further down the stack.
    #[inline]
    pub(crate) fn lend(&self) -> Option<Lent<'_, F>> {
        let callback = self.take()?;
        Some(Lent { slot: self, callback: Some(callback), epoch: self.epoch.get() })
    }

    /// The same for those who have a guard of their own, which has to [put it back](Slot::put_back).
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<F>> {
        self.callback.take()
    }

    /// Ends the loan of a callback that was taken in `epoch`.
    #[inline]
    pub(crate) fn put_back(&self, callback: Box<F>, epoch: u32) {
        if self.epoch.get() == epoch {
            let empty = self.callback.replace(Some(callback));
            debug_assert!(empty.is_none(), "whoever fills a slot outdates the loan");
            mem::forget(empty);
        }
    }

    /// Changes whenever the slot is set or cleared.
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    fn change(&self, callback: Option<Box<F>>) {
        self.epoch.set(self.epoch.get().wrapping_add(1));
        // The old one is dropped last, at the end of the statement: its captures may run arbitrary code.
        drop(self.callback.replace(callback));
    }
}

impl<F: ?Sized> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

/// A callback on loan. It goes back when this is dropped, by unwinding too.
pub(crate) struct Lent<'a, F: ?Sized> {
    slot: &'a Slot<F>,
    callback: Option<Box<F>>,
    epoch: u32,
}

impl<F: ?Sized> Deref for Lent<'_, F> {
    type Target = F;

    #[inline]
    fn deref(&self) -> &F {
        self.callback.as_deref().expect("a lent callback is there until the loan ends")
    }
}

impl<F: ?Sized> DerefMut for Lent<'_, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut F {
        self.callback.as_deref_mut().expect("a lent callback is there until the loan ends")
    }
}

impl<F: ?Sized> Drop for Lent<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            self.slot.put_back(callback, self.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    struct Probe(Slot<dyn FnMut(&Probe)>);

    fn call(probe: &Probe) -> bool {
        match probe.0.lend() {
            Some(mut callback) => {
                callback(probe);
                true
            }
            None => false,
        }
    }

    #[test]
    fn a_callback_returns_to_its_slot() {
        let probe = Probe(Slot::empty());
        assert!(!call(&probe));
        let count = Rc::new(Cell::new(0));
        let counter = Rc::clone(&count);
        probe.0.set(Box::new(move |_| counter.set(counter.get() + 1)));
        assert!(call(&probe) && call(&probe));
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn a_callback_cannot_be_entered_twice() {
        let probe = Probe(Slot::empty());
        probe.0.set(Box::new(|probe| assert!(!call(probe))));
        assert!(call(&probe) && call(&probe));
    }

    #[test]
    fn a_callback_may_clear_or_replace_itself_and_is_dropped_after_it_returned() {
        let probe = Probe(Slot::empty());
        let alive = Rc::new(());
        let token = Rc::clone(&alive);
        probe.0.set(Box::new(move |probe| {
            probe.0.clear();
            assert_eq!(Rc::strong_count(&token), 2, "dropped while it runs");
        }));
        assert!(call(&probe));
        assert_eq!(Rc::strong_count(&alive), 1);
        assert!(!call(&probe));

        let token = Rc::clone(&alive);
        probe.0.set(Box::new(move |probe| {
            probe.0.set(Box::new(|_| {}));
            assert_eq!(Rc::strong_count(&token), 2);
        }));
        assert!(call(&probe) && call(&probe));
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn a_callback_that_panics_goes_back_to_its_slot() {
        let probe = Probe(Slot::empty());
        let mut first = true;
        probe.0.set(Box::new(move |_| {
            if std::mem::take(&mut first) {
                panic!("once");
            }
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| call(&probe))).is_err());
        assert!(call(&probe));
    }

    #[test]
    fn the_drop_of_a_callback_may_use_the_slot() {
        struct SetsAgain(Rc<Probe>);
        impl Drop for SetsAgain {
            fn drop(&mut self) {
                self.0.0.set(Box::new(|_| {}));
            }
        }
        let probe = Rc::new(Probe(Slot::empty()));
        let guard = SetsAgain(Rc::clone(&probe));
        probe.0.set(Box::new(move |_| {
            let _ = &guard;
        }));
        probe.0.clear();
        assert!(call(&probe));
    }
}
