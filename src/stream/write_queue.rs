//! What a stream still has to send. A pure data structure: no sockets.

use std::convert::Infallible;
use std::io::IoSlice;

use crate::line::Line;

/// Buffers given to the kernel in one call. More would only make the array on the stack larger.
pub(crate) const SLICES_PER_SEND: usize = 64;

struct Entry<T, A> {
    data: Vec<u8>,
    sent: usize,
    /// True once the kernel has some of it, so that it cannot be taken back.
    started: bool,
    /// Goes with the first byte, and is gone then.
    along: Option<A>,
    ticket: T,
}

/// Writes in the order in which they were made, each with the ticket of its request.
pub(crate) struct WriteQueue<T, A = Infallible> {
    entries: Line<Entry<T, A>>,
    bytes: usize,
}

// Not derived, since that would ask it of the tickets, too.
impl<T, A> Default for WriteQueue<T, A> {
    fn default() -> WriteQueue<T, A> {
        WriteQueue { entries: Line::default(), bytes: 0 }
    }
}

impl<T, A> WriteQueue<T, A> {
    /// Adds a write, and says by which place it is found again. `started` says that the kernel has taken the part of it
    /// that is not in `data`.
    pub(crate) fn push(
        &mut self,
        data: Vec<u8>,
        started: bool,
        along: Option<A>,
        ticket: T,
    ) -> u64 {
        self.bytes += data.len();
        self.entries.push(Entry { data, sent: 0, started, along, ticket })
    }

    /// Bytes that are not with the kernel yet.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if no write waits, not even an empty one.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What to send next, in order: the first buffers, as many as `slices` has room for, and what goes along with the first
    /// byte. Says how many buffers.
    pub(crate) fn front<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> (usize, Option<&'a A>) {
        let unsent = self.entries.iter().filter(|entry| entry.sent < entry.data.len());
        let (mut count, mut along) = (0, None);
        for (slice, entry) in slices.iter_mut().zip(unsent) {
            if count == 0 {
                along = entry.along.as_ref();
            } else if entry.along.is_some() {
                // It must not arrive with the bytes before.
                break;
            }
            *slice = IoSlice::new(&entry.data[entry.sent..]);
            count += 1;
        }
        (count, along)
    }

    /// The kernel took the next `taken` bytes.
    pub(crate) fn advance(&mut self, mut taken: usize) {
        debug_assert!(taken <= self.bytes, "more was sent than there was");
        self.bytes -= taken;
        for entry in self.entries.iter_mut() {
            if taken == 0 {
                break;
            }
            let part = taken.min(entry.data.len() - entry.sent);
            entry.sent += part;
            if part > 0 {
                entry.started = true;
                entry.along = None;
            }
            taken -= part;
        }
    }

    /// Takes out the first write if all of it is with the kernel.
    pub(crate) fn pop_sent(&mut self) -> Option<T> {
        let is_sent = self.entries.first().is_some_and(|entry| entry.sent == entry.data.len());
        if is_sent { self.pop() } else { None }
    }

    /// Takes out the first write, sent or not.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let entry = self.entries.pop()?;
        self.bytes -= entry.data.len() - entry.sent;
        Some(entry.ticket)
    }

    /// Takes out the write at this place, if it is the chosen one and none of it is with the kernel.
    pub(crate) fn cancel(&mut self, place: u64, chosen: impl Fn(&T) -> bool) -> Option<T> {
        let entry = self.entries.get(place)?;
        if entry.started || !chosen(&entry.ticket) {
            return None;
        }
        let entry = self.entries.remove(place)?;
        self.bytes -= entry.data.len();
        Some(entry.ticket)
    }

    /// The writes that wait, with the bytes that each still has to send.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&T, usize)> {
        self.entries.iter().map(|entry| (&entry.ticket, entry.data.len() - entry.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn front(queue: &WriteQueue<usize>) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_SEND];
        let (count, _) = queue.front(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn an_empty_write_is_sent_when_its_turn_comes() {
        let mut queue: WriteQueue<_> = WriteQueue::default();
        queue.push(b"ab".to_vec(), false, None, 1);
        queue.push(Vec::new(), false, None, 2);
        assert_eq!(queue.pop_sent(), None);
        queue.advance(2);
        assert_eq!(
            (queue.pop_sent(), queue.pop_sent(), queue.pop_sent()),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn only_a_write_that_has_not_begun_can_be_cancelled() {
        let mut queue: WriteQueue<_> = WriteQueue::default();
        let first = queue.push(b"ab".to_vec(), false, None, 1);
        let second = queue.push(b"cd".to_vec(), true, None, 2);
        let third = queue.push(b"ef".to_vec(), false, None, 3);
        queue.advance(1);
        assert_eq!(queue.cancel(first, |_| true), None);
        assert_eq!(queue.cancel(second, |_| true), None);
        assert_eq!(queue.cancel(third, |&ticket| ticket != 3), None);
        assert_eq!(queue.cancel(third, |&ticket| ticket == 3), Some(3));
        assert_eq!(queue.cancel(third, |_| true), None);
        assert_eq!(queue.bytes(), 3);
        assert_eq!(front(&queue), b"bcd");
    }

    /// Each leaves with its own first byte, once, and the next one waits for another call.
    #[test]
    fn what_goes_along_goes_with_its_own_first_byte() {
        let mut queue: WriteQueue<usize, char> = WriteQueue::default();
        for (ticket, along) in [None, Some('b'), None, Some('d')].into_iter().enumerate() {
            queue.push(vec![ticket as u8; 2], false, along, ticket);
        }
        let mut calls = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES_PER_SEND];
            let (count, along) = queue.front(&mut slices);
            if count == 0 {
                break;
            }
            let length: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            calls.push((length, along.copied()));
            queue.advance(if calls.len() == 2 { 1 } else { length });
        }
        assert_eq!(calls, [(2, None), (4, Some('b')), (3, None), (2, Some('d'))]);
    }

    proptest! {
        /// Whatever sizes are written and taken, the bytes come out once and in order, and tickets with them.
        #[test]
        fn sends_every_byte_once_and_in_order(
            sizes in proptest::collection::vec(0usize..50, 1..100),
            takes in proptest::collection::vec(1usize..120, 1..200),
        ) {
            let mut queue: WriteQueue<_> = WriteQueue::default();
            let mut expected = Vec::new();
            for (ticket, &size) in sizes.iter().enumerate() {
                let data: Vec<u8> = (0..size).map(|i| (ticket * 7 + i) as u8).collect();
                expected.extend_from_slice(&data);
                queue.push(data, false, None, ticket);
            }
            let (mut sent, mut tickets) = (Vec::new(), Vec::new());
            for take in takes.into_iter().chain(std::iter::repeat(usize::MAX)) {
                let ready = front(&queue);
                let taken = take.min(ready.len());
                sent.extend_from_slice(&ready[..taken]);
                queue.advance(taken);
                while let Some(ticket) = queue.pop_sent() {
                    tickets.push(ticket);
                }
                prop_assert_eq!(queue.bytes(), expected.len() - sent.len());
                if queue.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(sent, expected);
            prop_assert_eq!(tickets, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
