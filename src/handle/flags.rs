//! A word of flags.

use std::cell::Cell;

/// Up to 32 flags, or small numbers that lie between them.
#[derive(Default)]
pub(crate) struct Flags(Cell<u32>);

impl Flags {
    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.0.get()
    }

    /// Puts these in place of all that there are.
    #[inline]
    pub(crate) fn replace(&self, flags: u32) {
        self.0.set(flags);
    }

    /// True if any of these is set.
    #[inline]
    pub(crate) fn is(&self, flags: u32) -> bool {
        self.0.get() & flags != 0
    }

    /// True if all of these are set.
    #[inline]
    pub(crate) fn has(&self, flags: u32) -> bool {
        self.0.get() & flags == flags
    }

    #[inline]
    pub(crate) fn set(&self, flags: u32) {
        self.0.set(self.0.get() | flags);
    }

    #[inline]
    pub(crate) fn unset(&self, flags: u32) {
        self.0.set(self.0.get() & !flags);
    }
}
