//! Every handle of the loop, by key. Knows which ones the loop itself keeps alive.
//!
//! A handle that only its user holds is *idle* here (a weak reference); one that is active, busy or closing is *pinned*
//! (a strong one). A key is made of the slot and of the handle's serial number, so that one that names a handle which is
//! gone can never reach another one that has its slot.
//!
//! A poll token names a *socket*: it is made of the slot and of a number that each registration gets anew. A handle may
//! have one socket after another (a connect that failed, then another one), and an event of the first, fetched already or
//! told once more because somebody holds a duplicate of the descriptor, must not be taken for one of the second.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::num::NonZeroU32;
use std::rc::{Rc, Weak};

use slab::Slab;

use super::object::Object;

/// Half of a key each for slot and serial number: 32 bits on 64-bit systems, 16 on 32-bit ones. The same in a token.
const SLOT_BITS: u32 = usize::BITS / 2;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;

/// Names a handle of a loop. Stale once the handle is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(usize);

impl Key {
    /// Names no handle: what a handle has that was made on a loop that is gone.
    pub(crate) const NONE: Key = Key(usize::MAX);

    /// Tells this handle from the others of its loop, in half a word: the next one with the same mark is made four billion
    /// handles later.
    pub(crate) fn mark(self) -> NonZeroU32 {
        let serial = (self.0 >> SLOT_BITS) as u32;
        NonZeroU32::MIN.saturating_add(serial)
    }

    #[inline]
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

/// Names no socket: the token of the loop's waker, and of a handle that has none.
pub(crate) const NO_SOCKET: mio::Token = mio::Token(usize::MAX);

struct Entry {
    /// Counts up with each handle of the loop: the order of creation, whatever slots were reused.
    serial: u64,
    /// Of the socket that was registered last.
    token: mio::Token,
    link: Link,
}

impl Entry {
    fn object(&self) -> Option<Rc<dyn Object>> {
        match &self.link {
            Link::Pinned(object) => Some(Rc::clone(object)),
            Link::Idle(object) => object.upgrade(),
        }
    }
}

#[derive(Default)]
struct Entries {
    slots: Slab<Entry>,
    next_serial: u64,
    next_registration: usize,
}

impl Entries {
    /// The entry of the handle with this key, unless it is gone.
    fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        let entry = self.slots.get_mut(key.slot())?;
        (Key::new(key.slot(), entry.serial) == key).then_some(entry)
    }

    fn get(&self, key: Key) -> Option<&Entry> {
        let entry = self.slots.get(key.slot())?;
        (Key::new(key.slot(), entry.serial) == key).then_some(entry)
    }
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
        vacant.insert(Entry { serial, token: NO_SOCKET, link: Link::Idle(Rc::downgrade(object)) });
        key
    }

    /// The handle with this key, unless it is gone.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Object>> {
        self.entries.borrow().get(key)?.object()
    }

    /// The handle whose socket has this token, unless it is gone or has another socket by now.
    #[inline]
    pub(crate) fn by_token(&self, token: mio::Token) -> Option<Rc<dyn Object>> {
        // Mutably, since that is quicker to check.
        let entries = self.entries.borrow_mut();
        let entry = entries.slots.get(token.0 & SLOT_MASK).filter(|entry| entry.token == token)?;
        entry.object()
    }

    /// Has `register` register a socket of the handle with this key, by a token that no other socket has. If that succeeds,
    /// events of the handle's earlier sockets do not reach it any more.
    pub(crate) fn register(
        &self,
        key: Key,
        register: impl FnOnce(mio::Token) -> io::Result<()>,
    ) -> io::Result<()> {
        let token = self.new_token(key);
        register(token)?;
        if let Some(entry) = self.entries.borrow_mut().get_mut(key) {
            entry.token = token;
        }
        Ok(())
    }

    /// The token of the socket that the handle with this key registered last.
    pub(crate) fn token(&self, key: Key) -> mio::Token {
        self.entries.borrow().get(key).map_or(NO_SOCKET, |entry| entry.token)
    }

    fn new_token(&self, key: Key) -> mio::Token {
        let mut entries = self.entries.borrow_mut();
        let registration = entries.next_registration;
        entries.next_registration = registration.wrapping_add(1);
        // Shifted left, the number wraps around by itself.
        mio::Token(key.slot() | (registration << SLOT_BITS))
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
        let is_current = entries.get(key).is_some();
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
        keys.sort_unstable_by_key(|&key| entries.get(key).map(|entry| entry.serial));
    }

    /// All handles there are now, in the order of creation.
    pub(crate) fn snapshot(&self) -> Vec<Rc<dyn Object>> {
        let entries = self.entries.borrow();
        let mut found: Vec<(u64, Rc<dyn Object>)> = entries
            .slots
            .iter()
            .filter_map(|(_, entry)| Some((entry.serial, entry.object()?)))
            .collect();
        drop(entries);
        found.sort_by_key(|&(serial, _)| serial);
        found.into_iter().map(|(_, object)| object).collect()
    }

    fn change_link(&self, key: Key, change: impl FnOnce(&Link) -> Option<Link>) {
        let mut entries = self.entries.borrow_mut();
        let replaced = entries.get_mut(key).and_then(|entry| {
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
    fn a_key_tells_its_slot_and_no_other_handle_has_it() {
        assert_eq!(Key::new(7, 9).slot(), 7);
        assert_ne!(Key::new(7, 10), Key::new(7, 9));
    }

    #[test]
    fn each_registration_has_a_token_of_its_own() {
        let registry = Registry::default();
        let key = Key::new(7, 9);
        let (first, second) = (registry.new_token(key), registry.new_token(key));
        assert_ne!(first, second);
        assert_eq!((first.0 & SLOT_MASK, second.0 & SLOT_MASK), (7, 7));
    }
}
