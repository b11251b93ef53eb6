//! Tasks that wait for an event of a handle: first come, first served.
//!
//! An event wakes one of them, whose turn it then is. It uses its turn when it is polled; if it finds that the event has
//! gone, it goes on waiting, still as the first; and whoever is dropped instead hands its turn on.
//!
//! | state | in the queue | left by |
//! |---|---|---|
//! | coming | yes | its waker, which has been cloned, to *waiting*; an event, to *has its turn* |
//! | waiting | yes | an event, to *has its turn* |
//! | has its turn | no | its poll, which ends it or puts it back to the front |

use std::cell::{Cell, RefCell};
use std::mem;
use std::task::Context;

use slab::Slab;

use crate::event_loop::LoopInner;
use crate::panics::Panics;
use crate::task::{Caller, warn_if_elsewhere};

/// A future's place among the waiters, from its first wait on. It may be stale.
pub(crate) type Place = Option<Seat>;

/// Tells a waiter from all others of its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    slot: usize,
    serial: u64,
}

/// The tasks that wait.
#[derive(Default)]
pub(crate) struct Waiters {
    list: RefCell<List>,
    next_serial: Cell<u64>,
}

/// All waiters, and the queue of those who have not had their turn yet.
struct List {
    waiters: Slab<Waiter>,
    first: usize,
    last: usize,
}

struct Waiter {
    serial: u64,
    state: State,
    /// Neighbours in the queue.
    before: usize,
    behind: usize,
}

enum State {
    Coming,
    Waiting(Caller),
    HasTurn,
}

/// No neighbour.
const NONE: usize = usize::MAX;

impl Waiters {
    /// True if nobody waits, not even for its poll.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.borrow().waiters.is_empty()
    }

    /// True if an event has come for this one.
    pub(crate) fn has_turn(&self, place: &Place) -> bool {
        let list = self.list.borrow();
        let waiter = place.and_then(|seat| list.get(seat));
        waiter.is_some_and(|waiter| matches!(waiter.state, State::HasTurn))
    }

    /// Has the task of `context` wait for its turn, behind all others; if it has had it for nothing, before all others.
    pub(crate) fn wait(&self, inner: &LoopInner, place: &mut Place, context: &Context<'_>) {
        let is_new = place.is_none();
        let mut list = self.list.borrow_mut();
        let seat = match place.filter(|&seat| list.get(seat).is_some()) {
            Some(seat) => seat,
            None => {
                if list.waiters.is_empty() {
                    inner.count_outside(true);
                }
                let serial = self.next_serial.replace(self.next_serial.get() + 1);
                *place.insert(list.join(serial))
            }
        };
        match &list.waiters[seat.slot].state {
            State::Waiting(caller) if caller.is(&inner.tasks, context) => return,
            State::Waiting(_) | State::Coming => {}
            State::HasTurn => list.go_back(seat.slot),
        }
        drop(list);
        // The program's code, the logger and the clone of a waker: the wait is noted before.
        if is_new {
            warn_if_elsewhere(&inner.tasks);
        }
        let caller = Caller::of(&inner.tasks, context);
        let mut list = self.list.borrow_mut();
        match list.get_mut(seat) {
            Some(Waiter { state, .. }) if !matches!(state, State::HasTurn) => {
                let older = mem::replace(state, State::Waiting(caller));
                drop(list);
                drop(older);
            }
            // Its turn has come meanwhile, or all were woken.
            _ => {
                drop(list);
                caller.wake(&inner.tasks);
            }
        }
    }

    /// Removes a future that was dropped or is done. True if it was its turn: if it has not used it, somebody else must
    /// have it.
    pub(crate) fn leave(&self, inner: &LoopInner, place: &mut Place) -> bool {
        let Some(seat) = place.take() else { return false };
        let mut list = self.list.borrow_mut();
        if list.get(seat).is_none() {
            return false;
        }
        let removed = list.remove(seat.slot);
        if list.waiters.is_empty() {
            inner.count_outside(false);
        }
        drop(list);
        matches!(removed.state, State::HasTurn)
    }

    /// An event has come: it is the turn of the one who has waited longest, who is woken. False if nobody waits.
    pub(crate) fn wake_next(&self, inner: &LoopInner, panics: &mut Panics) -> bool {
        let count = self.list.borrow().waiters.len();
        for _ in 0..count {
            let next = self.list.borrow_mut().give_turn();
            match next {
                None => return false,
                Some((seat, Some(Caller::Other(waker)))) => {
                    // If that panics, nobody knows whether it was woken. So it has to wait anew, and the next one is woken,
                    // unless the turn was used meanwhile.
                    if panics.catch(|| waker.wake()) || !self.leave(inner, &mut Some(seat)) {
                        return true;
                    }
                }
                Some((_, caller)) => {
                    caller.into_iter().for_each(|caller| caller.wake(&inner.tasks));
                    return true;
                }
            }
        }
        false
    }

    /// Wakes everybody, and forgets them: who goes on waiting does so anew.
    pub(crate) fn wake_all(&self, inner: &LoopInner) {
        // Asked at each event; usually a callback serves it.
        if self.is_empty() {
            return;
        }
        inner.count_outside(false);
        let mut list = self.list.take();
        let mut panics = Panics::default();
        while let Some((_, caller)) = list.give_turn() {
            panics.catch(|| caller.into_iter().for_each(|caller| caller.wake(&inner.tasks)));
        }
        panics.go_on();
    }
}

impl Default for List {
    fn default() -> List {
        List { waiters: Slab::new(), first: NONE, last: NONE }
    }
}

impl List {
    fn get(&self, seat: Seat) -> Option<&Waiter> {
        self.waiters.get(seat.slot).filter(|waiter| waiter.serial == seat.serial)
    }

    fn get_mut(&mut self, seat: Seat) -> Option<&mut Waiter> {
        self.waiters.get_mut(seat.slot).filter(|waiter| waiter.serial == seat.serial)
    }

    /// A new waiter, at the end of the queue.
    fn join(&mut self, serial: u64) -> Seat {
        let before = self.last;
        let waiter = Waiter { serial, state: State::Coming, before, behind: NONE };
        let slot = self.waiters.insert(waiter);
        self.last = slot;
        *self.behind(before) = slot;
        Seat { slot, serial }
    }

    /// One who has had its turn comes back to the front of the queue.
    fn go_back(&mut self, slot: usize) {
        let behind = self.first;
        let waiter = &mut self.waiters[slot];
        (waiter.state, waiter.before, waiter.behind) = (State::Coming, NONE, behind);
        self.first = slot;
        *self.before(behind) = slot;
    }

    /// Takes the first one out of the queue: it is its turn. With whom to wake, if that is known already.
    fn give_turn(&mut self) -> Option<(Seat, Option<Caller>)> {
        let slot = self.first;
        self.waiters.get(slot)?;
        self.unlink(slot);
        let waiter = &mut self.waiters[slot];
        let seat = Seat { slot, serial: waiter.serial };
        match mem::replace(&mut waiter.state, State::HasTurn) {
            State::Waiting(caller) => Some((seat, Some(caller))),
            State::Coming | State::HasTurn => Some((seat, None)),
        }
    }

    fn remove(&mut self, slot: usize) -> Waiter {
        if !matches!(self.waiters[slot].state, State::HasTurn) {
            self.unlink(slot);
        }
        self.waiters.remove(slot)
    }

    fn unlink(&mut self, slot: usize) {
        let Waiter { before, behind, .. } = self.waiters[slot];
        *self.behind(before) = behind;
        *self.before(behind) = before;
    }

    /// What is behind a waiter, or behind the beginning of the queue.
    fn behind(&mut self, slot: usize) -> &mut usize {
        if slot == NONE { &mut self.first } else { &mut self.waiters[slot].behind }
    }

    /// What is before a waiter, or before the end of the queue.
    fn before(&mut self, slot: usize) -> &mut usize {
        if slot == NONE { &mut self.last } else { &mut self.waiters[slot].before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The list beside a plain queue of seats, under operations in no particular order.
    #[test]
    fn the_queue_keeps_its_order_whoever_leaves() {
        let mut list = List::default();
        let (mut queue, mut having_turn) = (VecDeque::<Seat>::new(), Vec::<Seat>::new());
        let mut random = 1_u64;
        for serial in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = |length: usize| (random >> 33) as usize % length.max(1);
            match random >> 61 {
                0..=2 => queue.push_back(list.join(serial)),
                3 | 4 => {
                    let given = list.give_turn().map(|(seat, _)| seat);
                    assert_eq!(given, queue.pop_front());
                    having_turn.extend(given);
                }
                5 => {
                    if let Some(seat) = queue.remove(pick(queue.len())) {
                        list.remove(seat.slot);
                        assert!(list.get(seat).is_none());
                    }
                }
                _ => {
                    if let Some(seat) = having_turn.pop() {
                        if random & (1 << 40) == 0 {
                            list.go_back(seat.slot);
                            queue.push_front(seat);
                        } else {
                            list.remove(seat.slot);
                        }
                    }
                }
            }
            assert_eq!(list.waiters.len(), queue.len() + having_turn.len());
        }
        while let Some(seat) = queue.pop_front() {
            assert_eq!(list.give_turn().map(|(given, _)| given), Some(seat));
        }
        assert!(list.give_turn().is_none() && list.first == NONE && list.last == NONE);
    }
}
