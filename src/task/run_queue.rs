//! The tasks of a loop: which there are, which are ready, and how many polls they get in a turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use slab::Slab;

use super::waker::{WakerId, WakerPair};
use super::{JoinError, Root, Runs};
use crate::event_loop::{AliveKind, AliveReason, LoopHandle, LoopInner, Mailbox, Shares};
use crate::panics::Panics;

/// Wakers of tasks that are over, kept for new ones.
const SPARE_WAKERS: usize = 1024;

/// Names a task of a loop: slot and serial number, so that a late wake cannot reach another task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskKey(pub(crate) u64);

impl TaskKey {
    /// The future of `block_on`.
    pub(crate) const ROOT: TaskKey = TaskKey(u64::MAX);
    /// A task that never was.
    const NONE: TaskKey = TaskKey(u64::MAX - 1);

    fn new(slot: usize, serial: u32) -> TaskKey {
        TaskKey(((slot as u64) << 32) | u64::from(serial))
    }

    fn slot(self) -> usize {
        (self.0 >> 32) as usize
    }
}

/// First in, first out. Taking one out only moves a mark, which is cheaper than a ring; what lies before it is forgotten
/// when it was the last, or between turns.
#[derive(Default)]
struct ReadyQueue {
    keys: Vec<TaskKey>,
    taken: usize,
}

impl ReadyQueue {
    #[inline]
    fn pop(&mut self) -> Option<TaskKey> {
        let key = *self.keys.get(self.taken)?;
        self.taken += 1;
        if self.taken == self.keys.len() {
            self.keys.clear();
            self.taken = 0;
        }
        Some(key)
    }

    fn is_empty(&self) -> bool {
        // Nothing stays behind the mark alone.
        self.keys.is_empty()
    }

    /// Never moves more than was taken, so that this costs a constant for each, however many tasks are ready.
    fn forget_taken(&mut self) {
        if self.taken > self.keys.len() / 2 {
            self.keys.drain(..self.taken);
            self.taken = 0;
        }
    }
}

struct Entry {
    key: TaskKey,
    task: Rc<dyn Runs>,
    referenced: bool,
    /// To be ended instead of polled.
    aborted: bool,
    waker: Rc<WakerPair>,
}

/// The tasks of a loop.
pub(crate) struct Tasks {
    entries: RefCell<Slab<Entry>>,
    next_serial: Cell<u32>,
    ready: RefCell<ReadyQueue>,
    /// Tasks that let a poll for I/O go by.
    yielded: RefCell<VecDeque<Waker>>,
    /// Tasks that keep the loop alive, the future of `block_on` included.
    referenced: Cell<usize>,
    /// Where `block_on` was called, while it runs.
    root: Cell<Option<&'static Location<'static>>>,
    root_waker: Cell<WakerId>,
    /// What is left of this turn's polls.
    budget: Cell<u32>,
    /// The task that is being polled, and how its waker is told from others.
    polled: Cell<TaskKey>,
    polled_waker: Cell<WakerId>,
    spare_wakers: RefCell<Vec<Rc<WakerPair>>>,
}

impl Tasks {
    pub(crate) fn new(budget: u32) -> Tasks {
        Tasks {
            entries: RefCell::default(),
            next_serial: Cell::new(0),
            ready: RefCell::default(),
            yielded: RefCell::default(),
            referenced: Cell::new(0),
            root: Cell::new(None),
            root_waker: Cell::new(WakerId::NOBODY),
            budget: Cell::new(budget),
            polled: Cell::new(TaskKey::NONE),
            polled_waker: Cell::new(WakerId::NOBODY),
            spare_wakers: RefCell::default(),
        }
    }

    /// Adds a task, ready to be polled for the first time.
    pub(crate) fn insert(event_loop: &LoopHandle, task: Rc<dyn Runs>) -> TaskKey {
        if event_loop.is_gone() {
            task.end(JoinError::Canceled);
            return TaskKey::NONE;
        }
        let inner = event_loop.inner();
        let tasks = &inner.tasks;
        let serial = tasks.next_serial.get();
        tasks.next_serial.set(serial.wrapping_add(1));
        let mut entries = tasks.entries.borrow_mut();
        let vacant = entries.vacant_entry();
        let key = TaskKey::new(vacant.key(), serial);
        let waker = tasks.waker_for(&inner.mailbox, key);
        waker.shared.mark_scheduled();
        vacant.insert(Entry { key, task, referenced: true, aborted: false, waker });
        drop(entries);
        tasks.count_referenced(true);
        tasks.push_ready(key);
        key
    }

    fn waker_for(&self, mailbox: &Arc<Mailbox>, key: TaskKey) -> Rc<WakerPair> {
        match self.spare_wakers.borrow_mut().pop() {
            Some(spare) => {
                spare.reuse_for(key);
                spare
            }
            None => Rc::new(WakerPair::new(mailbox, key)),
        }
    }

    /// The task that is being polled, if `context` is its own and not one of somebody in between.
    #[inline]
    pub(crate) fn task_of(&self, context: &Context<'_>) -> Option<TaskKey> {
        (WakerId::of(context.waker()) == self.polled_waker.get()).then(|| self.polled.get())
    }

    /// True if `waker` is that of the task that is being polled, or of the future of `block_on`.
    pub(crate) fn is_own(&self, waker: &Waker) -> bool {
        let id = WakerId::of(waker);
        id == self.polled_waker.get() || id == self.root_waker.get()
    }

    /// Puts a task that was woken at the end of the queue.
    #[inline]
    pub(crate) fn push_ready(&self, key: TaskKey) {
        self.ready.borrow_mut().keys.push(key);
    }

    /// Has a task ended when it would be polled next, which is soon.
    pub(crate) fn abort(&self, key: TaskKey) {
        let waker = self.with_entry(key, |entry| {
            entry.aborted = true;
            entry.waker.waker.clone()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn set_ref(&self, key: TaskKey, referenced: bool) {
        let was = self.with_entry(key, |entry| mem::replace(&mut entry.referenced, referenced));
        if was.is_some_and(|was| was != referenced) {
            self.count_referenced(referenced);
        }
    }

    /// `block_on` was called at a place and polls with a waker, or has ended.
    pub(crate) fn set_root(&self, root: Option<(&'static Location<'static>, &Waker)>) {
        self.root.set(root.map(|(place, _)| place));
        self.root_waker.set(root.map_or(WakerId::NOBODY, |(_, waker)| WakerId::of(waker)));
        self.count_referenced(root.is_some());
    }

    /// One more (or one less) task, or future of `block_on`, that keeps the loop alive.
    fn count_referenced(&self, more: bool) {
        let count = self.referenced.get();
        self.referenced.set(if more { count + 1 } else { count - 1 });
    }

    /// How many tasks keep the loop alive, the future of `block_on` included.
    #[inline]
    pub(crate) fn referenced(&self) -> usize {
        self.referenced.get()
    }

    /// True if a task is ready or waits for nothing but the next poll.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.borrow().is_empty() || !self.yielded.borrow().is_empty()
    }

    /// True if a ready task may still be polled in this turn.
    pub(crate) fn may_run(&self) -> bool {
        self.budget.get() > 0 && !self.ready.borrow().is_empty()
    }

    /// Wakes the task after the next poll for I/O.
    pub(crate) fn wake_after_poll(&self, waker: Waker) {
        self.yielded.borrow_mut().push_back(waker);
    }

    /// So many polls may follow.
    pub(crate) fn grant(&self, budget: u32) {
        self.budget.set(budget);
        self.ready.borrow_mut().forget_taken();
    }

    /// No further task is polled in this turn.
    pub(crate) fn end_turn(&self) {
        self.budget.set(0);
    }

    /// A poll for I/O has gone by: those who waited for that are ready.
    pub(crate) fn wake_yielded(&self) {
        // One after the other out of the list, which keeps the others if one panics.
        let count = self.yielded.borrow().len();
        for _ in 0..count {
            let Some(waker) = self.yielded.borrow_mut().pop_front() else {
                return;
            };
            waker.wake();
        }
    }

    /// Polls ready tasks, first woken first, until none is left or the turn's budget is used up. A
    /// task that is woken meanwhile still gets its turn.
    pub(crate) fn run(inner: &LoopInner, root: &mut dyn Root) {
        let tasks = &inner.tasks;
        if !tasks.may_run() {
            return;
        }
        let shares = Shares::begin();
        while tasks.budget.get() > 0 {
            let Some(key) = tasks.ready.borrow_mut().pop() else {
                return;
            };
            tasks.budget.set(tasks.budget.get() - 1);
            shares.deal();
            if key == TaskKey::ROOT {
                if let Some(place) = tasks.root.get() {
                    inner.watch(|| ("task", place), || root.poll());
                }
            } else {
                tasks.run_one(inner, key);
            }
        }
    }

    fn run_one(&self, inner: &LoopInner, key: TaskKey) {
        let take =
            |entry: &mut Entry| (Rc::clone(&entry.task), Rc::clone(&entry.waker), entry.aborted);
        let Some((task, waker, aborted)) = self.with_entry(key, take) else {
            return;
        };
        waker.shared.mark_running();
        let start = inner.begin_watch();
        if aborted {
            self.end_one(key, &*task, waker, Some(JoinError::Canceled));
        } else {
            self.polled.set(key);
            self.polled_waker.set(WakerId::of(&waker.waker));
            let mut context = Context::from_waker(&waker.waker);
            // Nobody but `end` sees the state that a panic leaves.
            let polled = catch_unwind(AssertUnwindSafe(|| task.poll(&mut context)));
            self.polled_waker.set(WakerId::NOBODY);
            match polled {
                Ok(false) => {}
                Ok(true) => self.end_one(key, &*task, waker, None),
                Err(payload) => {
                    self.end_one(key, &*task, waker, Some(JoinError::Panicked(payload)));
                }
            }
        }
        if let Some(start) = start {
            inner.complain_if_slow(start, "task", task.place());
        }
    }

    /// The task is over: it was polled to its end, or has to be ended with this error.
    fn end_one(
        &self,
        key: TaskKey,
        task: &dyn Runs,
        waker: Rc<WakerPair>,
        error: Option<JoinError>,
    ) {
        // First, since what follows runs destructors, the logger and wakers, which may panic.
        self.remove(key);
        if let Some(error) = error {
            task.end(error);
        }
        task.announce();
        let mut spare = self.spare_wakers.borrow_mut();
        if spare.len() < SPARE_WAKERS && waker.is_unshared() {
            spare.push(waker);
        }
    }

    fn remove(&self, key: TaskKey) {
        let mut entries = self.entries.borrow_mut();
        let is_there = entries.get(key.slot()).is_some_and(|entry| entry.key == key);
        let removed = is_there.then(|| entries.remove(key.slot()));
        drop(entries);
        if removed.as_ref().is_some_and(|entry| entry.referenced) {
            self.count_referenced(false);
        }
        drop(removed);
    }

    /// What keeps the loop alive.
    pub(crate) fn report(&self, reasons: &mut Vec<AliveReason>) {
        let entries = self.entries.borrow();
        let referenced = entries.iter().map(|(_, entry)| entry).filter(|entry| entry.referenced);
        let places = self.root.get().into_iter().chain(referenced.map(|entry| entry.task.place()));
        reasons.extend(places.map(|place| AliveReason {
            kind: AliveKind::Task,
            place,
            state: "not ended".to_string(),
        }));
    }

    /// The loop is being dropped: ends every task.
    pub(crate) fn dispose(&self, panics: &mut Panics) {
        let entries = mem::take(&mut *self.entries.borrow_mut());
        self.referenced.set(0);
        for (_, entry) in entries {
            panics.catch(|| entry.task.end(JoinError::Canceled));
            panics.catch(|| entry.task.announce());
            panics.catch(|| drop(entry));
        }
        self.ready.take();
        panics.drop_each(self.yielded.take());
        self.spare_wakers.take();
    }

    fn with_entry<R>(&self, key: TaskKey, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut entries = self.entries.borrow_mut();
        entries.get_mut(key.slot()).filter(|entry| entry.key == key).map(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_never_runs_empty_does_not_grow() {
        let mut queue = ReadyQueue::default();
        (0..10).for_each(|key| queue.keys.push(TaskKey(key)));
        for key in 10..10_000 {
            assert_eq!(queue.pop(), Some(TaskKey(key - 10)));
            queue.keys.push(TaskKey(key));
            if key % 256 == 0 {
                queue.forget_taken();
            }
        }
        assert!(queue.keys.capacity() < 1_024, "room for {}", queue.keys.capacity());
        assert_eq!((0..10).filter_map(|_| queue.pop()).count(), 10);
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
