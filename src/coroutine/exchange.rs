//! Where the values of yields and resumes change hands.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

/// The pending yields of one coroutine: those that were polled and have not returned.
///
/// | stage | holds | next |
/// |---|---|---|
/// | offered | the yield's value | a resume takes the value |
/// | asking | nothing | the next resume brings an answer |
/// | answered | the answer | the yield takes it and is pending no more |
///
/// A yield that is dropped leaves from any stage. At most one is asking: the one whose value the
/// latest resume took.
///
/// A yield that is polled with the waker of the body needs none of its own: whoever answers it
/// polls the body next. Only a part of the body that has its own waker must be told.
///
/// Nearly always there is at most one pending yield, and no waker. That one lives in a slot of
/// plain cells, because a round trip through the general structure, the crowd, takes about 5 ns
/// longer. Any other yield goes to the crowd and takes the slot's one along; the slot then rests
/// until the crowd has gone.
///
/// Nothing is borrowed while a value or a waker of the user's is dropped, cloned or woken.
pub(super) struct Exchange<Y, R> {
    slot: Cell<Slot>,
    slot_value: Cell<Option<Y>>,
    slot_answer: Cell<Option<R>>,
    /// In the order of their first polls.
    crowd: RefCell<Vec<PendingYield<Y, R>>>,
    next_ticket: Cell<Ticket>,
    /// The waker with which the body is polled, for comparing only.
    body_waker: Cell<Option<WakerIdentity>>,
}

/// Tells the yields of one coroutine apart.
pub(super) type Ticket = u64;

type WakerIdentity = (*const (), &'static RawWakerVTable);

/// The stage of the only pending yield, while there is only one.
#[derive(Clone, Copy)]
enum Slot {
    Free,
    Offered(Ticket),
    Asking(Ticket),
    Answered(Ticket),
    /// All pending yields are in the crowd: one at least.
    Crowd,
}

struct PendingYield<Y, R> {
    ticket: Ticket,
    stage: Stage<Y, R>,
    /// Whom to tell of the answer.
    waker: Option<Waker>,
}

enum Stage<Y, R> {
    Offered(Y),
    Asking,
    Answered(R),
}

impl<Y, R> Exchange<Y, R> {
    pub(super) fn new() -> Self {
        Self {
            slot: Cell::new(Slot::Free),
            slot_value: Cell::new(None),
            slot_answer: Cell::new(None),
            crowd: RefCell::new(Vec::new()),
            next_ticket: Cell::new(0),
            body_waker: Cell::new(None),
        }
    }

    /// The body is about to be polled with this waker.
    #[inline]
    pub(super) fn set_body_waker(&self, waker: &Waker) {
        self.body_waker.set(Some((waker.data(), waker.vtable())));
    }

    /// A yield has been polled for the first time.
    #[inline]
    pub(super) fn offer(&self, value: Y, waker: &Waker) -> Ticket {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        if matches!(self.slot.get(), Slot::Free) && self.is_of_body(waker) {
            self.slot_value.set(Some(value));
            self.slot.set(Slot::Offered(ticket));
        } else {
            self.offer_in_crowd(ticket, value, waker);
        }
        ticket
    }

    /// A resume takes the oldest value on offer.
    #[inline]
    pub(super) fn take_value(&self) -> Option<Y> {
        if let Slot::Offered(ticket) = self.slot.get() {
            self.slot.set(Slot::Asking(ticket));
            self.slot_value.take()
        } else {
            self.take_value_in_crowd()
        }
    }

    /// A resume brings an answer, and gets it back if no yield asks for it.
    #[inline]
    pub(super) fn answer(&self, answer: R) -> Option<R> {
        if let Slot::Asking(ticket) = self.slot.get() {
            self.slot.set(Slot::Answered(ticket));
            self.slot_answer.set(Some(answer));
            None
        } else {
            self.answer_in_crowd(answer)
        }
    }

    /// The yield has been polled again: its answer, if it is there.
    #[inline]
    pub(super) fn take_answer(&self, ticket: Ticket) -> Option<R> {
        if let Slot::Answered(only) = self.slot.get() {
            debug_assert_eq!(only, ticket);
            self.slot.set(Slot::Free);
            self.slot_answer.take()
        } else {
            self.take_answer_in_crowd(ticket)
        }
    }

    /// The yield has been polled again and still waits.
    #[inline(never)]
    pub(super) fn keep_waiting(&self, ticket: Ticket, waker: &Waker) {
        let mut waker = self.worth_keeping(waker);
        if waker.is_some() {
            self.move_slot_into_crowd();
        }
        let mut crowd = self.crowd.borrow_mut();
        if let Some(pending) = crowd.iter_mut().find(|pending| pending.ticket == ticket) {
            mem::swap(&mut pending.waker, &mut waker);
        }
        drop(crowd); // before the old waker
    }

    /// The yield has been dropped while it was pending.
    #[inline(never)]
    pub(super) fn withdraw(&self, ticket: Ticket) {
        if let Slot::Crowd = self.slot.get() {
            drop(self.remove_from_crowd(ticket, |_| true));
        } else {
            self.slot.set(Slot::Free);
            drop((self.slot_value.take(), self.slot_answer.take()));
        }
    }

    #[inline(never)]
    fn offer_in_crowd(&self, ticket: Ticket, value: Y, waker: &Waker) {
        let waker = self.worth_keeping(waker);
        self.move_slot_into_crowd();
        self.slot.set(Slot::Crowd);
        let pending = PendingYield { ticket, stage: Stage::Offered(value), waker };
        self.crowd.borrow_mut().push(pending);
    }

    fn move_slot_into_crowd(&self) {
        let (ticket, stage) = match self.slot.get() {
            Slot::Free | Slot::Crowd => return,
            Slot::Offered(ticket) => (ticket, self.slot_value.take().map(Stage::Offered)),
            Slot::Asking(ticket) => (ticket, Some(Stage::Asking)),
            Slot::Answered(ticket) => (ticket, self.slot_answer.take().map(Stage::Answered)),
        };
        let stage = stage.expect("the slot has what its stage says");
        self.slot.set(Slot::Crowd);
        self.crowd.borrow_mut().push(PendingYield { ticket, stage, waker: None });
    }

    #[inline(never)]
    fn take_value_in_crowd(&self) -> Option<Y> {
        let mut crowd = self.crowd.borrow_mut();
        let offered =
            crowd.iter_mut().find(|pending| matches!(pending.stage, Stage::Offered(_)))?;
        match mem::replace(&mut offered.stage, Stage::Asking) {
            Stage::Offered(value) => Some(value),
            Stage::Asking | Stage::Answered(_) => unreachable!("it was found as offered"),
        }
    }

    #[inline(never)]
    fn answer_in_crowd(&self, answer: R) -> Option<R> {
        let mut crowd = self.crowd.borrow_mut();
        let asking = crowd.iter_mut().find(|pending| matches!(pending.stage, Stage::Asking));
        let Some(asking) = asking else {
            return Some(answer);
        };
        asking.stage = Stage::Answered(answer);
        let waker = asking.waker.take();
        drop(crowd);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    #[inline(never)]
    fn take_answer_in_crowd(&self, ticket: Ticket) -> Option<R> {
        let is_answered =
            |pending: &PendingYield<Y, R>| matches!(pending.stage, Stage::Answered(_));
        match self.remove_from_crowd(ticket, is_answered)?.stage {
            Stage::Answered(answer) => Some(answer),
            Stage::Offered(_) | Stage::Asking => unreachable!("it was found as answered"),
        }
    }

    fn remove_from_crowd(
        &self,
        ticket: Ticket,
        condition: impl Fn(&PendingYield<Y, R>) -> bool,
    ) -> Option<PendingYield<Y, R>> {
        let mut crowd = self.crowd.borrow_mut();
        let index =
            crowd.iter().position(|pending| pending.ticket == ticket && condition(pending))?;
        let removed = crowd.remove(index);
        if crowd.is_empty() {
            self.slot.set(Slot::Free);
        }
        Some(removed)
    }

    fn worth_keeping(&self, waker: &Waker) -> Option<Waker> {
        if self.is_of_body(waker) { None } else { Some(waker.clone()) }
    }

    #[inline]
    fn is_of_body(&self, waker: &Waker) -> bool {
        self.body_waker
            .get()
            .is_some_and(|(data, vtable)| data == waker.data() && ptr::eq(vtable, waker.vtable()))
    }
}
