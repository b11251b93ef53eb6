//! Every handle of the loop, by key. Knows which ones the loop itself keeps alive.
//!
//! A handle that only its user holds is *idle* here (a weak reference); one that is active, busy or closing is *pinned*
//! (a strong one). The key doubles as the poll token. It is made of the slot and of a generation that no other handle
//! gets, so that an event for a handle that is gone can never reach another one that has its slot.

use std::cell::RefCell;
use std::mem;
use std::num::NonZeroU32;
use std::rc::{Rc, Weak};

use slab::Slab;

use super::object::Object;

/// Half of a token each for slot and generation: 32 bits on 64-bit systems, 16 on 32-bit ones.
const SLOT_BITS: u32 = usize::BITS / 2;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;

/// Names a handle of a loop. Stale once the handle is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(usize);

impl Key {
    /// Names no handle: what a handle has that was made on a loop that is gone. Also the waker's token.
    pub(crate) const NONE: Key = Key(usize::MAX);

    pub(crate) fn from_token(token: mio::Token) -> Key {
        Key(token.0)
    }

    pub(crate) fn token(self) -> mio::Token {
        mio::Token(self.0)
    }

    /// Tells this handle from the others of its loop, in half a word: the next one with the same mark is made four billion
    /// handles later.
    pub(crate) fn mark(self) -> NonZeroU32 {
        let serial = (self.0 >> SLOT_BITS) as u32;
        NonZeroU32::MIN.saturating_add(serial)
    }

    fn new(slot: usize, serial: u64) -> Key {
        Key(slot | ((serial as usize) << SLOT_BITS))
    }

    fn slot(self) -> usize {
        self.0 & SLOT_MASK
    }
}

enum Link {
    Idle(Weak<dyn Object>),
    Pinned(Rc<dyn Object>),
}

struct Entry {
    key: Key,
    /// Counts up with each handle of the loop: the order of creation, whatever slots were reused.
    serial: u64,
    link: Link,
}

#[derive(Default)]
struct Entries {
    slots: Slab<Entry>,
    next_serial: u64,
}

/// The handles of a loop.
#[derive(Default)]
pub(crate) struct Registry {
    entries: RefCell<Entries>,
}

impl Registry {
    /// Enrols a handle, idle at first.
    pub(crate) fn insert(&self, object: &Rc<dyn Object>) -> Key {
        let mut entries = self.entries.borrow_mut();
        let serial = entries.next_serial;
        entries.next_serial += 1;
        let vacant = entries.slots.vacant_entry();
        assert!(vacant.key() < SLOT_MASK, "a loop has no room for more handles");
        let key = Key::new(vacant.key(), serial);
        vacant.insert(Entry { key, serial, link: Link::Idle(Rc::downgrade(object)) });
        key
    }

    /// The handle with this key, unless it is gone.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Object>> {
        // Mutably, since that is quicker to check.
        let entries = self.entries.borrow_mut();
        let entry = entries.slots.get(key.slot()).filter(|entry| entry.key == key)?;
        match &entry.link {
            Link::Pinned(object) => Some(Rc::clone(object)),
            Link::Idle(object) => object.upgrade(),
        }
    }

    /// Keeps the handle alive until [`unpin`](Registry::unpin). Once is enough.
    pub(crate) fn pin(&self, key: Key) {
        self.change_link(key, |link| match link {
            Link::Idle(object) => object.upgrade().map(Link::Pinned),
            Link::Pinned(_) => None,
        });
    }

    /// Leaves the handle to those who hold it.
    pub(crate) fn unpin(&self, key: Key) {
        self.change_link(key, |link| match link {
            Link::Pinned(object) => Some(Link::Idle(Rc::downgrade(object))),
            Link::Idle(_) => None,
        });
    }

    /// Forgets the handle. Its slot can be used again, its key cannot.
    pub(crate) fn remove(&self, key: Key) {
        let mut entries = self.entries.borrow_mut();
        let is_current = entries.slots.get(key.slot()).is_some_and(|entry| entry.key == key);
        let removed = is_current.then(|| entries.slots.remove(key.slot()));
        drop(entries);
        // Last, since it may be the last reference to the handle, whose drop may use this registry.
        drop(removed);
    }

    /// True if no handle exists.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().slots.is_empty()
    }

    /// Puts keys into the order in which their handles were created, those of handles that are gone first.
    pub(crate) fn sort_by_creation(&self, keys: &mut [Key]) {
        let entries = self.entries.borrow();
        let serial = |key: &Key| {
            entries.slots.get(key.slot()).filter(|entry| entry.key == *key).map(|e| e.serial)
        };
        keys.sort_unstable_by_key(serial);
    }

    /// All handles there are now, in the order of creation.
    pub(crate) fn snapshot(&self) -> Vec<Rc<dyn Object>> {
        let entries = self.entries.borrow();
        let mut found: Vec<(u64, Rc<dyn Object>)> = entries
            .slots
            .iter()
            .filter_map(|(_, entry)| {
                let object = match &entry.link {
                    Link::Pinned(object) => Rc::clone(object),
                    Link::Idle(object) => object.upgrade()?,
                };
                Some((entry.serial, object))
            })
            .collect();
        drop(entries);
        found.sort_by_key(|&(serial, _)| serial);
        found.into_iter().map(|(_, object)| object).collect()
    }

    fn change_link(&self, key: Key, change: impl FnOnce(&Link) -> Option<Link>) {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.slots.get_mut(key.slot()).filter(|entry| entry.key == key);
        let replaced = entry.and_then(|entry| {
            let link = change(&entry.link)?;
            Some(mem::replace(&mut entry.link, link))
        });
        drop(entries);
        // Last, as in `remove`.
        drop(replaced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_token() {
        let key = Key::new(7, 9);
        assert_eq!(Key::from_token(key.token()), key);
        assert_eq!(key.slot(), 7);
        assert_ne!(Key::new(7, 10), key);
    }
}
