//! What most handles never have, in one word.

use std::cell::Cell;

/// A box that is there only when it is needed. It leaves its place while it is used, which takes less room than a count of
/// borrows; so whoever uses it must not come back to it.
pub(crate) struct Rare<T>(Cell<Option<Box<T>>>);

impl<T> Rare<T> {
    pub(crate) const fn none() -> Rare<T> {
        Rare(Cell::new(None))
    }

    /// Uses it, if it is there.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let content = self.take()?;
        Some(f(Loan { place: self, content: Some(content) }.get()))
    }

    /// Uses it, and makes it if need be.
    pub(crate) fn with_or_insert<R>(
        &self,
        make: impl FnOnce() -> T,
        f: impl FnOnce(&mut T) -> R,
    ) -> R {
        let content = self.take().unwrap_or_else(|| Box::new(make()));
        f(Loan { place: self, content: Some(content) }.get())
    }

    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.0.take()
    }

    pub(crate) fn put_back(&self, content: Box<T>) {
        let other = self.0.replace(Some(content));
        debug_assert!(other.is_none(), "it was made a second time while it was used");
    }
}

/// Puts it back at the end of its use, by unwinding too.
struct Loan<'a, T> {
    place: &'a Rare<T>,
    /// Absent only in the drop.
    content: Option<Box<T>>,
}

impl<T> Loan<'_, T> {
    fn get(&mut self) -> &mut T {
        self.content.as_deref_mut().expect("it is there until the drop")
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(content) = self.content.take() {
            self.place.put_back(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn it_is_made_once_and_takes_one_word() {
        let rare = Rare::none();
        assert_eq!(rare.with(|_: &mut i32| ()), None);
        assert_eq!(rare.with_or_insert(|| 1, |value| *value), 1);
        rare.with_or_insert(|| 7, |value| *value += 1);
        assert_eq!(rare.with(|value| *value), Some(2));
        assert_eq!(size_of_val(&rare), size_of::<usize>());
    }

    #[test]
    fn it_comes_back_after_a_panic() {
        let rare = Rare::none();
        rare.with_or_insert(|| 3, |_| ());
        let panics = || rare.with(|_| panic!("while it is used"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(rare.with(|value| *value), Some(3));
    }
}
