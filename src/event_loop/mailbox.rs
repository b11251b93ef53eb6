//! The one door by which other threads reach the loop.
//!
//! Whatever they bring goes into a list behind a mutex; then, if the loop may be asleep, mio's waker interrupts its
//! poll. `awake` decides that: it is true while the loop is awake, and from the first wake-up of a sleep on, so that a
//! sleep costs at most one system call however many threads send. Outside a run the loop counts as asleep: a host that
//! embeds it waits on its descriptor.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use log::error;

use super::LoopHandle;
use super::registry::Key;
use crate::task::TaskKey;

/// A closure from another thread.
pub(crate) struct Post {
    pub(crate) place: &'static Location<'static>,
    pub(crate) closure: Box<dyn FnOnce(&LoopHandle) + Send>,
}

/// What another thread brought.
pub(crate) enum Item {
    /// Run the callback of this notifier.
    Notify(Key),
    /// Run this closure.
    Post(Post),
    /// Poll this task.
    Wake(TaskKey),
}

/// What has arrived and was not taken yet.
#[derive(Default)]
struct Mail {
    /// Notifications and wakes, which are all taken at once.
    calls: Vec<Item>,
    /// Closures, of which some may stay for later turns.
    posts: VecDeque<Post>,
}

/// Shared by the loop and by everything that may cross threads.
pub(crate) struct Mailbox {
    /// `None` once the loop is gone: whoever still holds a sender then holds no descriptor.
    waker: RwLock<Option<mio::Waker>>,
    awake: AtomicBool,
    /// True while `mail` holds something. Read without the lock, written with it.
    filled: AtomicBool,
    /// Closures posted and not yet taken: each keeps the loop alive.
    posts: AtomicUsize,
    /// True once the loop is gone. Set before `mail` is taken.
    closed: AtomicBool,
    /// `None` once the loop is gone.
    mail: Mutex<Option<Mail>>,
}

impl Mailbox {
    pub(crate) fn new(waker: mio::Waker) -> Mailbox {
        Mailbox {
            waker: RwLock::new(Some(waker)),
            awake: AtomicBool::new(false),
            filled: AtomicBool::new(false),
            posts: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            mail: Mutex::new(Some(Mail::default())),
        }
    }

    // ---- any thread ----

    /// Leaves `item` for the loop and sees to it that the loop looks. Hands it back if the loop is gone.
    pub(crate) fn send(&self, item: Item) -> Result<(), Item> {
        match self.lock().as_mut() {
            None => return Err(item),
            Some(mail) => {
                match item {
                    Item::Post(post) => {
                        mail.posts.push_back(post);
                        self.posts.store(mail.posts.len(), Ordering::SeqCst);
                    }
                    Item::Notify(_) | Item::Wake(_) => mail.calls.push(item),
                }
                self.filled.store(true, Ordering::SeqCst);
            }
        }
        self.wake();
        Ok(())
    }

    /// True if the loop is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        // A read-modify-write, so that whatever was left before it is visible to the loop if it was awake.
        if !self.awake.swap(true, Ordering::SeqCst) {
            let waker = self.waker.read().unwrap_or_else(PoisonError::into_inner);
            let woken = waker.as_ref().map(mio::Waker::wake);
            drop(waker);
            if let Some(Err(err)) = woken {
                // Try again with the next item, instead of never.
                self.awake.store(false, Ordering::SeqCst);
                error!("the loop could not be woken from another thread: {err}");
            }
        }
    }

    // ---- the loop's thread ----

    /// Called right before a poll that may block. False if something has arrived, so that it must not block.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        if self.filled.load(Ordering::SeqCst) {
            self.wake_up();
            return false;
        }
        true
    }

    /// Called when a run begins and after each poll that may have blocked.
    pub(crate) fn wake_up(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// Called when a run ends. What arrived during it makes the loop's descriptor readable for the host.
    pub(crate) fn leave(&self) {
        if !self.fall_asleep() {
            self.awake.store(false, Ordering::SeqCst);
            self.wake();
        }
    }

    /// Moves what arrived into `taken`, which must be empty and whose room is used for what comes next: everything but the
    /// closures beyond the first `most_posts`, which stay for the next turn.
    pub(crate) fn take(&self, most_posts: usize, taken: &mut Vec<Item>) {
        debug_assert!(taken.is_empty());
        if !self.filled.load(Ordering::SeqCst) {
            return;
        }
        let mut mail = self.lock();
        let Some(Mail { calls, posts }) = mail.as_mut() else { return };
        std::mem::swap(calls, taken);
        let count = posts.len().min(most_posts);
        taken.extend(posts.drain(..count).map(Item::Post));
        self.posts.store(posts.len(), Ordering::SeqCst);
        self.filled.store(!posts.is_empty(), Ordering::SeqCst);
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst)
    }

    /// True while a posted closure waits to be taken.
    pub(crate) fn has_posts(&self) -> bool {
        self.posts.load(Ordering::SeqCst) > 0
    }

    /// Where the waiting closures were posted.
    pub(crate) fn post_places(&self) -> Vec<&'static Location<'static>> {
        self.lock().iter().flat_map(|mail| &mail.posts).map(|post| post.place).collect()
    }

    /// The loop is gone: nothing is taken any more. What lies here is handed out, to be dropped without the lock.
    pub(crate) fn close(&self) -> Option<Vec<Item>> {
        self.closed.store(true, Ordering::SeqCst);
        self.filled.store(false, Ordering::SeqCst);
        self.posts.store(0, Ordering::SeqCst);
        self.waker.write().unwrap_or_else(PoisonError::into_inner).take();
        let Mail { mut calls, posts } = self.lock().take()?;
        calls.extend(posts.into_iter().map(Item::Post));
        Some(calls)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Mail>> {
        // Nothing that can panic runs under the lock except an allocation; the lists are whole in any case.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
