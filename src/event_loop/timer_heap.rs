//! Ordered deadlines: which timer is due next. A pure data structure, without clock, I/O or callbacks.
//!
//! A four-ary heap ordered by (due, start order) holds small copyable entries; what an entry stands for lies in a slot
//! beside it. Starting a timer pushes an entry. Stopping one takes its value out and leaves the entry behind, stale, and
//! with it the slot. Stale entries are dropped when they come to the top, and all at once when they outnumber the live
//! ones, so that both operations cost O(log n) at most, amortised, and stopping never has to search or to reorder the heap.
//!
//! Whether an entry is stale is written down in a byte for each slot, apart from the values: with a million timers, whose
//! values lie all over the memory, going through the heap would otherwise wait for that memory at each entry.

use std::collections::VecDeque;

use super::clock::Nanos;

/// Children per node: four keys of a node share a cache line or two, and the heap is half as deep as a binary one.
const ARITY: usize = 4;

/// This many stale entries are always tolerated, so that small heaps are not rebuilt for ever.
const STALE_FLOOR: usize = 32;

/// From so many timers on, and if one in so many of them is due, sorting those and restoring the heap of the others beats
/// taking them out one by one, each of which visits every level of the heap.
const MANY: usize = 64;
const ONE_IN: usize = 8;

/// Names a started timer. Copyable; a key whose timer fired or was stopped simply no longer matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    sequence: u64,
    slot: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    due: Nanos,
    sequence: u64,
    slot: u32,
}

impl Entry {
    /// Earlier due first; among equals, earlier started first. One number, which is compared without branching.
    #[inline]
    fn rank(&self) -> u128 {
        (u128::from(self.due) << 64) | u128::from(self.sequence)
    }

    #[inline]
    fn before(&self, other: &Entry) -> bool {
        self.rank() < other.rank()
    }

    #[inline]
    fn key(&self) -> TimerKey {
        TimerKey { sequence: self.sequence, slot: self.slot }
    }
}

/// What a slot is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Free,
    /// A timer whose entry is in the heap.
    Waiting,
    /// A timer whose entry has left the heap for the list of those found due.
    Due,
    /// The entry of a timer that was stopped.
    Stale,
}

struct Armed<T> {
    sequence: u64,
    /// `None` once the timer has fired or was stopped.
    value: Option<T>,
}

/// The started timers, each with a value of its own.
pub(crate) struct TimerHeap<T> {
    heap: Vec<Entry>,
    armed: Vec<Armed<T>>,
    /// One for each of `armed`.
    states: Vec<State>,
    free: Vec<u32>,
    next_sequence: u64,
    stale: usize,
}

impl<T> TimerHeap<T> {
    pub(crate) fn new() -> TimerHeap<T> {
        TimerHeap {
            heap: Vec::new(),
            armed: Vec::new(),
            states: Vec::new(),
            free: Vec::new(),
            next_sequence: 0,
            stale: 0,
        }
    }

    /// True if no timer is started. A stopped one may still count as one for a while.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.armed.len() == self.free.len()
    }

    /// Starts a timer. Equal deadlines come out in the order of their `insert`.
    #[inline]
    pub(crate) fn insert(&mut self, due: Nanos, value: T) -> TimerKey {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let armed = Armed { sequence, value: Some(value) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.armed[slot as usize] = armed;
                self.states[slot as usize] = State::Waiting;
                slot
            }
            None => self.add_slot(armed),
        };
        let entry = Entry { due, sequence, slot };
        let at = self.heap.len();
        self.heap.push(entry);
        // Most timers are due later than those that were started before.
        if at > 0 && entry.before(&self.heap[(at - 1) / ARITY]) {
            self.sift_up(at);
        }
        TimerKey { sequence, slot }
    }

    #[cold]
    fn add_slot(&mut self, armed: Armed<T>) -> u32 {
        let slot = u32::try_from(self.armed.len()).expect("a loop has no room for more timers");
        self.armed.push(armed);
        self.states.push(State::Waiting);
        slot
    }

    /// Stops a timer and hands its value back; `None` if it fired or was stopped before.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let armed = self.armed.get_mut(key.slot as usize)?;
        if armed.sequence != key.sequence {
            return None;
        }
        let value = armed.value.take()?;
        if self.states[key.slot as usize] == State::Waiting {
            self.discard_entry(key);
        } else {
            self.release(key.slot);
        }
        Some(value)
    }

    /// The value of a timer, unless it fired or was stopped.
    pub(crate) fn get(&self, key: TimerKey) -> Option<&T> {
        let armed = self.armed.get(key.slot as usize)?;
        armed.value.as_ref().filter(|_| armed.sequence == key.sequence)
    }

    /// When the next timer is due that [`collect_due`](TimerHeap::collect_due) has not taken yet, and which one it is.
    pub(crate) fn next(&mut self) -> Option<(Nanos, TimerKey)> {
        while let Some(&top) = self.heap.first() {
            if self.states[top.slot as usize] == State::Waiting {
                return Some((top.due, top.key()));
            }
            self.pop();
            self.release_stale(top.slot);
        }
        None
    }

    /// Moves the keys of all timers due at `now` to the end of `due`, in order. They stay armed until
    /// [`remove`](TimerHeap::remove)d, so that one that is stopped meanwhile can be told from one that is not.
    pub(crate) fn collect_due(&mut self, now: Nanos, due: &mut VecDeque<TimerKey>) {
        if self.many_are_due(now) {
            return self.collect_many_due(now, due);
        }
        while let Some(&top) = self.heap.first() {
            if top.due > now {
                break;
            }
            self.pop();
            self.hand_over(top, due);
        }
    }

    /// True if so many are due that taking them out one by one would cost more than going through the whole heap.
    fn many_are_due(&self, now: Nanos) -> bool {
        let is_due = |at: usize| self.heap.get(at).is_some_and(|entry| entry.due <= now);
        if !is_due(0) || self.heap.len() < MANY {
            return false;
        }
        // No entry is due before its parent, so the due ones hang together from the top.
        let enough = self.heap.len() / ONE_IN;
        let mut found = 1;
        let mut to_visit = vec![0];
        while let Some(parent) = to_visit.pop() {
            for child in (parent * ARITY + 1..=parent * ARITY + ARITY).filter(|&at| is_due(at)) {
                found += 1;
                to_visit.push(child);
            }
            if found >= enough {
                return true;
            }
        }
        false
    }

    fn collect_many_due(&mut self, now: Nanos, due: &mut VecDeque<TimerKey>) {
        let mut taken = Vec::new();
        self.heap.retain(|entry| {
            let is_due = entry.due <= now;
            if is_due {
                taken.push(*entry);
            }
            !is_due
        });
        self.heapify();
        taken.sort_unstable_by_key(Entry::rank);
        due.reserve(taken.len());
        for entry in taken {
            self.hand_over(entry, due);
        }
    }

    /// An entry that has left the heap because it is due.
    fn hand_over(&mut self, entry: Entry, due: &mut VecDeque<TimerKey>) {
        let state = &mut self.states[entry.slot as usize];
        if *state == State::Waiting {
            *state = State::Due;
            due.push_back(entry.key());
        } else {
            self.release_stale(entry.slot);
        }
    }

    /// How many timers are started and not yet fired or stopped.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.armed.iter().filter(|armed| armed.value.is_some()).count()
    }

    /// Takes every value out, in no particular order.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let armed = std::mem::take(&mut self.armed);
        *self = TimerHeap { next_sequence: self.next_sequence, ..TimerHeap::new() };
        armed.into_iter().filter_map(|armed| armed.value).collect()
    }

    /// Gets rid of the entry of a timer that was stopped while it was in the heap.
    fn discard_entry(&mut self, key: TimerKey) {
        // Started and stopped with nothing in between is by far the most frequent case (a time limit on an operation
        // that succeeds): its entry is often still the last one, and a leaf can go without a trace.
        if self.heap.last().is_some_and(|last| last.sequence == key.sequence) {
            self.heap.pop();
            self.release(key.slot);
            return;
        }
        self.states[key.slot as usize] = State::Stale;
        self.stale += 1;
        if self.stale > STALE_FLOOR && self.stale * 2 > self.heap.len() {
            self.rebuild();
        }
    }

    /// Drops all stale entries and restores the order, in linear time.
    #[cold]
    fn rebuild(&mut self) {
        let TimerHeap { heap, states, free, .. } = self;
        heap.retain(|entry| {
            let state = &mut states[entry.slot as usize];
            let is_stale = *state == State::Stale;
            if is_stale {
                *state = State::Free;
                free.push(entry.slot);
            }
            !is_stale
        });
        self.stale = 0;
        self.heapify();
    }

    fn release(&mut self, slot: u32) {
        self.states[slot as usize] = State::Free;
        self.free.push(slot);
    }

    fn release_stale(&mut self, slot: u32) {
        debug_assert_eq!(self.states[slot as usize], State::Stale);
        self.stale -= 1;
        self.release(slot);
    }

    /// Restores the order of a heap that has none.
    fn heapify(&mut self) {
        if self.heap.len() > 1 {
            for parent in (0..=(self.heap.len() - 2) / ARITY).rev() {
                self.sift_down(parent);
            }
        }
    }

    fn pop(&mut self) {
        self.heap.swap_remove(0);
        if self.heap.len() > 1 {
            self.sift_down(0);
        }
    }

    fn sift_up(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !entry.before(&self.heap[parent]) {
                break;
            }
            self.heap[at] = self.heap[parent];
            at = parent;
        }
        self.heap[at] = entry;
    }

    fn sift_down(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let first = at * ARITY + 1;
            if first >= self.heap.len() {
                break;
            }
            let children = &self.heap[first..(first + ARITY).min(self.heap.len())];
            let mut least = 0;
            for child in 1..children.len() {
                if children[child].before(&children[least]) {
                    least = child;
                }
            }
            if !children[least].before(&entry) {
                break;
            }
            self.heap[at] = children[least];
            at = first + least;
        }
        self.heap[at] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due_at(heap: &mut TimerHeap<u32>, now: Nanos) -> Vec<u32> {
        let mut keys = VecDeque::new();
        heap.collect_due(now, &mut keys);
        keys.into_iter().filter_map(|key| heap.remove(key)).collect()
    }

    #[test]
    fn equal_deadlines_come_out_in_start_order() {
        let mut heap = TimerHeap::new();
        for value in 0..100 {
            heap.insert(5, value);
        }
        heap.insert(4, 100);
        assert_eq!(due_at(&mut heap, 5), [vec![100], (0..100).collect()].concat());
        assert_eq!(heap.len(), 0);
    }

    #[test]
    fn a_key_is_stale_after_its_timer_fired_even_if_the_slot_is_reused() {
        let mut heap = TimerHeap::new();
        let first = heap.insert(1, 1);
        assert_eq!(due_at(&mut heap, 1), [1]);
        let second = heap.insert(2, 2);
        assert_eq!((heap.get(first), heap.get(second)), (None, Some(&2)));
        assert_eq!(heap.remove(first), None);
        assert_eq!(heap.remove(second), Some(2));
    }

    #[test]
    fn a_timer_found_due_can_still_be_stopped() {
        let mut heap = TimerHeap::new();
        let key = heap.insert(1, 7);
        let mut due = VecDeque::new();
        heap.collect_due(1, &mut due);
        assert_eq!(heap.get(key), Some(&7));
        assert_eq!(heap.next(), None);
        assert_eq!(heap.remove(key), Some(7));
        assert_eq!(heap.remove(due[0]), None);
    }

    #[test]
    fn restarting_one_timer_for_ever_does_not_grow_the_heap() {
        let mut heap = TimerHeap::new();
        let mut keys: Vec<_> = (0..100).map(|value| heap.insert(1_000, value)).collect();
        for round in 0..10_000u64 {
            let which = (round % 100) as usize;
            heap.remove(keys[which]);
            keys[which] = heap.insert(1_000 + round, which as u32);
        }
        assert!(
            heap.heap.len() <= 2 * 100 + STALE_FLOOR + 1,
            "{} entries for 100 timers",
            heap.heap.len()
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        Remove(usize),
        Fire(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            16 => any::<u8>().prop_map(Step::Insert),
            4 => any::<usize>().prop_map(Step::Remove),
            1 => any::<u8>().prop_map(Step::Fire),
        ]
    }

    proptest! {
        /// The heap against a list that is sorted again for each question.
        #[test]
        fn behaves_like_a_sorted_list(steps in proptest::collection::vec(step(), 1..400)) {
            let mut heap = TimerHeap::new();
            let mut model: Vec<(Nanos, u32, TimerKey)> = Vec::new();
            for (order, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(due) => {
                        let key = heap.insert(due.into(), order as u32);
                        model.push((due.into(), order as u32, key));
                    }
                    Step::Remove(which) if !model.is_empty() => {
                        let (_, value, key) = model.remove(which % model.len());
                        prop_assert_eq!(heap.remove(key), Some(value));
                    }
                    Step::Remove(_) => {}
                    Step::Fire(now) => {
                        model.sort_by_key(|&(due, value, _)| (due, value));
                        let later = model.partition_point(|&(due, ..)| due <= now.into());
                        let expected: Vec<u32> = model.drain(..later).map(|(_, value, _)| value).collect();
                        prop_assert_eq!(due_at(&mut heap, now.into()), expected);
                    }
                }
                prop_assert_eq!(heap.len(), model.len());
                let first = model.iter().min_by_key(|&&(due, value, _)| (due, value));
                prop_assert_eq!(heap.next(), first.map(|&(due, _, key)| (due, key)));
            }
        }
    }
}
