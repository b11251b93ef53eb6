//! First come, first served, and whoever gives up leaves from the middle. A pure data structure.

use std::collections::BTreeMap;

/// Those who wait, in order. To leave costs as little as to come, wherever in the line one stands.
pub(crate) struct Line<T> {
    waiting: BTreeMap<u64, T>,
    next: u64,
}

// Not derived, since that would ask it of those who wait, too.
impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        Line { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<T> Line<T> {
    /// Adds somebody at the end, and says by which place it is found again.
    pub(crate) fn push(&mut self, item: T) -> u64 {
        let place = self.next;
        self.next += 1;
        self.waiting.insert(place, item);
        place
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[cfg(feature = "udp")]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.waiting.first_key_value().map(|(_, item)| item)
    }

    pub(crate) fn get(&self, place: u64) -> Option<&T> {
        self.waiting.get(&place)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, item)| item)
    }

    pub(crate) fn remove(&mut self, place: u64) -> Option<T> {
        self.waiting.remove(&place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.waiting.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_leaves_the_others_in_order() {
        let mut line = Line::default();
        let places = ["a", "b", "c", "d"].map(|name| line.push(name));
        assert_eq!(line.remove(places[1]), Some("b"));
        assert_eq!((line.remove(places[1]), line.get(places[2])), (None, Some(&"c")));
        assert_eq!((line.pop(), line.first()), (Some("a"), Some(&"c")));
        assert_eq!(line.iter().copied().collect::<String>(), "cd");
        let last = line.push("e");
        assert_eq!((line.remove(last), line.pop(), line.pop()), (Some("e"), Some("c"), Some("d")));
        assert!(line.is_empty() && line.pop().is_none());
    }
}
