//! Tasks that wait for a descriptor. Each says for what, and all hear of an event that they wait for: unlike a delivery,
//! readiness is not used up by who hears of it first.

use std::cell::{Cell, RefCell};
use std::io;
use std::task::{self, Context, Waker};

use slab::Slab;

use super::Poll;
use super::interest::{Interest, Ready};
use crate::error::{Canceled, Misuse};
use crate::event_loop::LoopInner;
use crate::panics::Panics;
use crate::task::warn_if_elsewhere;

impl Poll {
    /// Readiness, for a task.
    pub(crate) fn poll_ready(
        &self,
        interest: Interest,
        place: &mut Place,
        context: &Context<'_>,
    ) -> task::Poll<io::Result<Ready>> {
        let (poll, inner) = (&self.0, self.event_loop().inner());
        // The program's code, too, which may close the handle: the logger, and the clone of a waker of its own.
        if place.is_none() {
            warn_if_elsewhere(&inner.tasks);
        }
        let waker = context.waker().clone();
        if poll.core.is_closing() {
            self.stop_waiting(place);
            return task::Poll::Ready(Err(Canceled.into()));
        }
        if !poll.wanted.get().is_empty() {
            self.stop_waiting(place);
            return task::Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        if let Some(met) = poll.waits.take_met(inner, place) {
            return task::Poll::Ready(Ok(Ready(met)));
        }
        if !poll.waits.is_waiting(*place) {
            if let Err(err) = poll.ask_for(poll.waits.wanted() | interest) {
                self.stop_waiting(place);
                return task::Poll::Ready(Err(err));
            }
        }
        poll.waits.wait(inner, place, interest, waker);
        task::Poll::Pending
    }

    /// A future is done or dropped.
    pub(crate) fn stop_waiting(&self, place: &mut Place) {
        self.0.waits.leave(self.event_loop().inner(), place);
    }
}

/// A future's place among the waits, from its first wait on.
pub(crate) type Place = Option<usize>;

/// The futures that have waited and are neither done nor dropped.
#[derive(Default)]
pub(super) struct Waits {
    waits: RefCell<Slab<Wait>>,
    /// How many of them wait at the moment.
    waiting: Cell<usize>,
    /// What these wait for, at least.
    wanted: Cell<Interest>,
}

struct Wait {
    interest: Interest,
    is_waiting: bool,
    /// What it was told. Nothing, if it is only to look again.
    met: Interest,
    waker: Option<Waker>,
}

impl Waits {
    /// What the tasks wait for, all together. It may be more while some that gave up leave others behind.
    pub(super) fn wanted(&self) -> Interest {
        self.wanted.get()
    }

    /// True if this future waits, and nobody has told it anything.
    pub(super) fn is_waiting(&self, place: Place) -> bool {
        place.is_some_and(|place| self.waits.borrow()[place].is_waiting)
    }

    /// What this future was told. It has left then.
    pub(super) fn take_met(&self, inner: &LoopInner, place: &mut Place) -> Option<Interest> {
        let met = place.map(|place| self.waits.borrow()[place].met);
        let met = met.filter(|met| !met.is_empty())?;
        self.leave(inner, place);
        Some(met)
    }

    /// Has the task of `waker` wait.
    pub(super) fn wait(
        &self,
        inner: &LoopInner,
        place: &mut Place,
        interest: Interest,
        waker: Waker,
    ) {
        let mut waits = self.waits.borrow_mut();
        let place = *place.get_or_insert_with(|| {
            waits.insert(Wait { interest, is_waiting: false, met: Interest::NONE, waker: None })
        });
        let wait = &mut waits[place];
        let replaced = wait.waker.replace(waker);
        if !wait.is_waiting {
            wait.is_waiting = true;
            self.wanted.set(self.wanted.get() | interest);
            self.count(inner, self.waiting.get() + 1);
        }
        drop(waits);
        // A waker may be somebody else's, and its drop run anything.
        drop(replaced);
    }

    /// Removes a future that was dropped or is done.
    pub(super) fn leave(&self, inner: &LoopInner, place: &mut Place) {
        let Some(place) = place.take() else { return };
        let left = self.waits.borrow_mut().remove(place);
        if left.is_waiting {
            self.count(inner, self.waiting.get() - 1);
        }
        drop(left);
    }

    /// Tells those of it who wait for any of `met`.
    pub(super) fn tell(&self, inner: &LoopInner, met: Interest) {
        self.end(inner, |wait| {
            wait.met = wait.interest & met;
            !wait.met.is_empty()
        });
    }

    /// Has all of them look again.
    pub(super) fn wake_all(&self, inner: &LoopInner) {
        self.end(inner, |_| true);
    }

    /// Ends the waits that `is_over` says. All of them are over before the first waker is called, which may be anybody's
    /// and do anything.
    fn end(&self, inner: &LoopInner, is_over: impl Fn(&mut Wait) -> bool) {
        if self.waiting.get() == 0 {
            return;
        }
        let (mut left, mut wanted) = (0, Interest::NONE);
        let mut waits = self.waits.borrow_mut();
        for (_, wait) in waits.iter_mut().filter(|(_, wait)| wait.is_waiting) {
            wait.is_waiting = !is_over(wait);
            if wait.is_waiting {
                left += 1;
                wanted = wanted | wait.interest;
            }
        }
        let places = waits.capacity();
        drop(waits);
        self.wanted.set(wanted);
        self.count(inner, left);
        let mut panics = Panics::default();
        for place in 0..places {
            if let Some(waker) = self.take_waker_of_told(place) {
                panics.catch(|| waker.wake());
            }
        }
        panics.go_on();
    }

    fn take_waker_of_told(&self, place: usize) -> Option<Waker> {
        let mut waits = self.waits.borrow_mut();
        waits.get_mut(place).filter(|wait| !wait.is_waiting)?.waker.take()
    }

    /// So many wait now. While anybody does, the outside may bring something.
    fn count(&self, inner: &LoopInner, waiting: usize) {
        let before = self.waiting.replace(waiting);
        if (before == 0) != (waiting == 0) {
            inner.count_outside(waiting > 0);
        }
        if waiting == 0 {
            self.wanted.set(Interest::NONE);
        }
    }

    /// The handle is gone, and so are the futures that borrowed it, dropped or forgotten.
    pub(super) fn close(&self, inner: &LoopInner) {
        self.count(inner, 0);
    }
}
