//! The datagrams that the kernel has no room for yet. A pure data structure: no sockets.

use std::net::SocketAddr;

use crate::line::Line;

struct Entry<T> {
    data: Vec<u8>,
    /// `None` is the peer.
    to: Option<SocketAddr>,
    ticket: T,
}

/// Datagrams in the order in which they were sent, each with the ticket of its request.
pub(crate) struct SendQueue<T> {
    entries: Line<Entry<T>>,
    bytes: usize,
}

// Not derived, since that would ask it of the tickets, too.
impl<T> Default for SendQueue<T> {
    fn default() -> SendQueue<T> {
        SendQueue { entries: Line::default(), bytes: 0 }
    }
}

impl<T> SendQueue<T> {
    /// Adds a datagram, and says by which place it is found again.
    pub(crate) fn push(&mut self, data: Vec<u8>, to: Option<SocketAddr>, ticket: T) -> u64 {
        self.bytes += data.len();
        self.entries.push(Entry { data, to, ticket })
    }

    /// What to send next.
    pub(crate) fn front(&self) -> Option<(&[u8], Option<&SocketAddr>)> {
        self.entries.first().map(|entry| (&entry.data[..], entry.to.as_ref()))
    }

    /// Takes out the first datagram, sent or not.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let entry = self.entries.pop()?;
        self.bytes -= entry.data.len();
        Some(entry.ticket)
    }

    /// Takes out the datagram at this place, if it is the chosen one.
    pub(crate) fn cancel(&mut self, place: u64, chosen: impl Fn(&T) -> bool) -> Option<T> {
        if !chosen(&self.entries.get(place)?.ticket) {
            return None;
        }
        let entry = self.entries.remove(place)?;
        self.bytes -= entry.data.len();
        Some(entry.ticket)
    }

    /// Bytes that are not with the kernel yet.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Datagrams that are not with the kernel yet.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The datagrams that wait, with the length of each.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&T, usize)> {
        self.entries.iter().map(|entry| (&entry.ticket, entry.data.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_in_order_and_the_count_goes_with_them() {
        let to = Some(([127, 0, 0, 1], 7).into());
        let mut queue = SendQueue::default();
        queue.push(b"ab".to_vec(), to, 1);
        queue.push(Vec::new(), None, 2);
        queue.push(b"c".to_vec(), to, 3);
        assert_eq!((queue.bytes(), queue.len()), (3, 3));
        assert_eq!(queue.front(), Some((&b"ab"[..], to.as_ref())));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.front(), Some((&b""[..], None)));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(3), None));
        assert_eq!((queue.bytes(), queue.len()), (0, 0));
    }

    #[test]
    fn each_can_be_cancelled_and_none_twice() {
        for length in 1..6 {
            for chosen in 0..length {
                let mut queue = SendQueue::default();
                let push = |ticket| queue.push(vec![0; 10], None, ticket);
                let places: Vec<u64> = (0..length).map(push).collect();
                let place = places[chosen];
                assert_eq!(queue.cancel(place, |&ticket| ticket == chosen + 1), None);
                assert_eq!(queue.cancel(place, |&ticket| ticket == chosen), Some(chosen));
                assert_eq!(queue.cancel(place, |&ticket| ticket == chosen), None);
                assert_eq!(queue.bytes(), 10 * (length - 1));
                let left: Vec<usize> = queue.waiting().map(|(&ticket, _)| ticket).collect();
                assert_eq!(left, (0..length).filter(|&n| n != chosen).collect::<Vec<_>>());
            }
        }
    }
}
