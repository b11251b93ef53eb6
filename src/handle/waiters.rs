//! Tasks that wait for an event of a handle.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use crate::event_loop::LoopInner;
use crate::task::warn_if_elsewhere;

/// A future's place among the waiters, from its first wait on.
pub(crate) type Place = Option<u64>;

/// The tasks that wait. All are woken by an event; the first one polled gets it, the others go on waiting.
#[derive(Default)]
pub(crate) struct Waiters {
    wakers: RefCell<Vec<(u64, Waker)>>,
    next: Cell<u64>,
}

impl Waiters {
    /// Adds the task of `context`, or puts its waker in place of an older one.
    pub(crate) fn wait(&self, inner: &LoopInner, place: &mut Place, context: &Context<'_>) {
        if place.is_none() {
            warn_if_elsewhere(&inner.tasks);
        }
        let place = *place.get_or_insert_with(|| self.next.replace(self.next.get() + 1));
        let mut wakers = self.wakers.borrow_mut();
        let replaced = match wakers.iter_mut().find(|(waiting, _)| *waiting == place) {
            Some((_, waker)) if waker.will_wake(context.waker()) => None,
            Some((_, waker)) => Some(std::mem::replace(waker, context.waker().clone())),
            None => {
                if wakers.is_empty() {
                    inner.count_outside(true);
                }
                wakers.push((place, context.waker().clone()));
                None
            }
        };
        drop(wakers);
        // A waker may be somebody else's, and its drop run anything.
        drop(replaced);
    }

    /// Removes a future that was dropped or is done.
    pub(crate) fn leave(&self, inner: &LoopInner, place: &mut Place) {
        let Some(place) = place.take() else { return };
        let mut wakers = self.wakers.borrow_mut();
        let Some(at) = wakers.iter().position(|&(waiting, _)| waiting == place) else {
            return;
        };
        let removed = wakers.remove(at);
        if wakers.is_empty() {
            inner.count_outside(false);
        }
        drop(wakers);
        drop(removed);
    }

    pub(crate) fn wake_all(&self, inner: &LoopInner) {
        // Asked at each event; usually a callback serves it.
        if self.wakers.borrow().is_empty() {
            return;
        }
        inner.count_outside(false);
        for (_, waker) in self.wakers.take() {
            waker.wake();
        }
    }
}
