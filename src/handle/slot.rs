//! A callback's home. The only place that knows how to run a callback that may replace, clear or re-enter itself.
//!
//! While a callback runs it is borrowed, and only here: whoever sets or clears the slot meanwhile leaves a note, which is
//! acted on when the callback has returned. So a callback is never dropped while it is on the stack.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::panics::Panics;

/// Holds a boxed callback, `F` being a `dyn FnMut` type.
pub(crate) struct Slot<F: ?Sized> {
    /// Borrowed while the callback runs.
    callback: RefCell<Option<Box<F>>>,
    /// What takes its place when it returns, if the slot was set or cleared meanwhile.
    next: Cell<Option<Box<Next<F>>>>,
}

struct Next<F: ?Sized>(Option<Box<F>>);

impl<F: ?Sized> Slot<F> {
    pub(crate) const fn empty() -> Slot<F> {
        Slot { callback: RefCell::new(None), next: Cell::new(None) }
    }

    /// Puts `callback` in place of what was there.
    pub(crate) fn set(&self, callback: Box<F>) {
        self.change(Some(callback));
    }

    /// Drops the callback; one that is running is dropped when it returns.
    pub(crate) fn clear(&self) {
        self.change(None);
    }

    /// Takes the callback out. One that is running is dropped when it returns.
    pub(crate) fn take(&self) -> Option<Box<F>> {
        match self.callback.try_borrow_mut() {
            Ok(mut current) => current.take(),
            Err(_) => {
                self.clear();
                None
            }
        }
    }

    /// Lends the callback to run it. `None` if there is none, or it is running already further down the stack.
    #[inline]
    pub(crate) fn lend(&self) -> Option<Lent<'_, F>> {
        let callback = self.callback.try_borrow_mut().ok()?;
        let callback = RefMut::filter_map(callback, Option::as_deref_mut).ok()?;
        Some(Lent { callback, _end: EndOfLoan(self) })
    }

    #[cold]
    fn change_after_loan(&self, next: Next<F>) {
        // The callback may have panicked, and what it captured may do so, too.
        let mut panics = Panics::default();
        panics.catch(|| self.change(next.0));
        panics.go_on();
    }

    fn change(&self, callback: Option<Box<F>>) {
        let old = match self.callback.try_borrow_mut() {
            Ok(mut current) => std::mem::replace(&mut *current, callback),
            Err(_) => {
                let old = self.next.replace(Some(Box::new(Next(callback))));
                old.and_then(|next| next.0)
            }
        };
        // Last, when nothing is borrowed: its captures may run arbitrary code.
        drop(old);
    }
}

impl<F: ?Sized> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

/// A callback on loan. The loan ends when this is dropped, by unwinding too.
pub(crate) struct Lent<'a, F: ?Sized> {
    callback: RefMut<'a, F>,
    // Behind the callback, so that it is dropped when that is no longer borrowed.
    _end: EndOfLoan<'a, F>,
}

impl<F: ?Sized> Deref for Lent<'_, F> {
    type Target = F;

    #[inline]
    fn deref(&self) -> &F {
        &self.callback
    }
}

impl<F: ?Sized> DerefMut for Lent<'_, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut F {
        &mut self.callback
    }
}

struct EndOfLoan<'a, F: ?Sized>(&'a Slot<F>);

impl<F: ?Sized> Drop for EndOfLoan<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(next) = self.0.next.take() {
            self.0.change_after_loan(*next);
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
    fn a_callback_that_clears_itself_may_panic_and_panic_again_in_its_drop() {
        struct PanicsInDrop;
        impl Drop for PanicsInDrop {
            fn drop(&mut self) {
                panic!("in the drop");
            }
        }
        let probe = Probe(Slot::empty());
        let captured = PanicsInDrop;
        probe.0.set(Box::new(move |probe| {
            let _ = &captured;
            probe.0.clear();
            panic!("in the call");
        }));
        let called = catch_unwind(AssertUnwindSafe(|| call(&probe)));
        assert_eq!(called.unwrap_err().downcast_ref(), Some(&"in the call"));
        assert!(!call(&probe));
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
