//! What the process has for each signal: how many loops watch it, what counts its deliveries, and what it does when nobody
//! watches.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counter::Counter;
use super::disposition::Disposition;

/// Each signal that was ever watched.
static WATCHED: Mutex<BTreeMap<i32, Watched>> = Mutex::new(BTreeMap::new());

struct Watched {
    claims: usize,
    /// There is one while there are claims.
    counter: Option<Arc<Counter>>,
    /// True while there are none: the signal does what it did before.
    is_unwatched: Arc<AtomicBool>,
}

/// A loop's interest in a signal. While there is one, the deliveries are counted, and nothing else is done about them.
pub(super) struct Claim {
    signum: i32,
    counter: Arc<Counter>,
}

impl Claim {
    pub(super) fn on(signum: i32) -> io::Result<Claim> {
        let mut watched = lock();
        if let Some(known) = watched.get_mut(&signum) {
            return known.claim(signum);
        }
        // Asked before anything is installed: afterwards there is a handler, ours.
        let former = Disposition::of(signum)?;
        let counter = Arc::new(Counter::of(signum)?);
        let is_unwatched = Arc::new(AtomicBool::new(false));
        former.restore_while(signum, &is_unwatched)?;
        let first = Watched { claims: 0, counter: Some(counter), is_unwatched };
        watched.entry(signum).or_insert(first).claim(signum)
    }

    /// How many deliveries there were so far. Only differences mean something.
    pub(super) fn deliveries(&self) -> u64 {
        self.counter.total()
    }
}

impl Watched {
    fn claim(&mut self, signum: i32) -> io::Result<Claim> {
        let counter = match &self.counter {
            Some(counter) => Arc::clone(counter),
            None => Arc::new(Counter::of(signum)?),
        };
        self.counter = Some(Arc::clone(&counter));
        self.claims += 1;
        self.is_unwatched.store(false, Ordering::SeqCst);
        Ok(Claim { signum, counter })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(watched) = lock().get_mut(&self.signum) {
            watched.claims -= 1;
            if watched.claims == 0 {
                watched.is_unwatched.store(true, Ordering::SeqCst);
                watched.counter = None;
            }
        }
    }
}

fn lock() -> MutexGuard<'static, BTreeMap<i32, Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}
