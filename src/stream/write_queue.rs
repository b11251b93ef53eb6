//! What a stream still has to send. A pure data structure: no sockets.

use std::io::IoSlice;

use super::line::Line;

/// Buffers given to the kernel in one call. More would only make the array on the stack larger.
pub(crate) const SLICES_PER_SEND: usize = 64;

struct Entry<T> {
    data: Vec<u8>,
    sent: usize,
    /// True once the kernel has some of it, so that it cannot be taken back.
    started: bool,
    ticket: T,
}

/// Writes in the order in which they were made, each with the ticket of its request.
pub(crate) struct WriteQueue<T> {
    entries: Line<Entry<T>>,
    bytes: usize,
}

// Not derived, since that would ask it of the tickets, too.
impl<T> Default for WriteQueue<T> {
    fn default() -> WriteQueue<T> {
        WriteQueue { entries: Line::default(), bytes: 0 }
    }
}

impl<T> WriteQueue<T> {
    /// Adds a write, and says by which place it is found again. `started` says that the kernel has taken the part of it
    /// that is not in `data`.
    pub(crate) fn push(&mut self, data: Vec<u8>, started: bool, ticket: T) -> u64 {
        self.bytes += data.len();
        self.entries.push(Entry { data, sent: 0, started, ticket })
    }

    /// Bytes that are not with the kernel yet.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if no write waits, not even an empty one.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What to send next, in order: the first buffers, as many as `slices` has room for. Says how many.
    pub(crate) fn front<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let unsent = self
            .entries
            .iter()
            .map(|entry| &entry.data[entry.sent..])
            .filter(|data| !data.is_empty());
        let mut count = 0;
        for (slice, data) in slices.iter_mut().zip(unsent) {
            *slice = IoSlice::new(data);
            count += 1;
        }
        count
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
            entry.started |= part > 0;
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
        let count = queue.front(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn an_empty_write_is_sent_when_its_turn_comes() {
        let mut queue = WriteQueue::default();
        queue.push(b"ab".to_vec(), false, 1);
        queue.push(Vec::new(), false, 2);
        assert_eq!(queue.pop_sent(), None);
        queue.advance(2);
        assert_eq!(
            (queue.pop_sent(), queue.pop_sent(), queue.pop_sent()),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn only_a_write_that_has_not_begun_can_be_cancelled() {
        let mut queue = WriteQueue::default();
        let first = queue.push(b"ab".to_vec(), false, 1);
        let second = queue.push(b"cd".to_vec(), true, 2);
        let third = queue.push(b"ef".to_vec(), false, 3);
        queue.advance(1);
        assert_eq!(queue.cancel(first, |_| true), None);
        assert_eq!(queue.cancel(second, |_| true), None);
        assert_eq!(queue.cancel(third, |&ticket| ticket != 3), None);
        assert_eq!(queue.cancel(third, |&ticket| ticket == 3), Some(3));
        assert_eq!(queue.cancel(third, |_| true), None);
        assert_eq!(queue.bytes(), 3);
        assert_eq!(front(&queue), b"bcd");
    }

    proptest! {
        /// Whatever sizes are written and taken, the bytes come out once and in order, and tickets with them.
        #[test]
        fn sends_every_byte_once_and_in_order(
            sizes in proptest::collection::vec(0usize..50, 1..100),
            takes in proptest::collection::vec(1usize..120, 1..200),
        ) {
            let mut queue = WriteQueue::default();
            let mut expected = Vec::new();
            for (ticket, &size) in sizes.iter().enumerate() {
                let data: Vec<u8> = (0..size).map(|i| (ticket * 7 + i) as u8).collect();
                expected.extend_from_slice(&data);
                queue.push(data, false, ticket);
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
