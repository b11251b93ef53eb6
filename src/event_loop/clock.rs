//! What time it is for the loop: a cached `now`, real or virtual.
//!
//! Time is counted in whole nanoseconds since the loop was made, in a `u64` that lasts for 584 years. Everything that
//! could go beyond saturates at [`NEVER`], which no clock reaches, so that an absurd delay means just that instead of "at
//! once".

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Nanoseconds since the loop was made.
pub(crate) type Nanos = u64;

/// The end of time: a deadline that does not come. Nobody waits for it, and a virtual clock does not go there.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// The longest time the kernel is asked to sleep in one go: the millisecond count has to fit a C `int`.
const LONGEST_SLEEP: Duration = Duration::from_millis(i32::MAX as u64);

/// The loop's clock. It moves only when it is told to, so that all callbacks of a pass see the same time.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    now: Cell<Nanos>,
    /// True while nothing has happened that takes time since the clock was read.
    fresh: Cell<bool>,
    is_virtual: bool,
}

impl Clock {
    pub(crate) fn new(is_virtual: bool) -> Clock {
        Clock { origin: Instant::now(), now: Cell::new(0), fresh: Cell::new(false), is_virtual }
    }

    /// The cached time.
    pub(crate) fn now(&self) -> Nanos {
        self.now.get()
    }

    /// Reads the real clock into the cache. A virtual clock stands still.
    pub(crate) fn update(&self) {
        if !self.is_virtual {
            self.now.set(self.fresh());
        }
    }

    /// The same, unless nobody has used the time since the clock was read last.
    pub(crate) fn update_if_used(&self) {
        if !self.fresh.get() {
            self.update();
        }
    }

    /// The loop has read the clock after its poll.
    pub(crate) fn mark_fresh(&self) {
        self.fresh.set(true);
    }

    /// A callback runs: time passes.
    #[inline]
    pub(crate) fn mark_used(&self) {
        self.fresh.set(false);
    }

    /// The time right now, not cached. On a virtual clock that is the cached time.
    pub(crate) fn fresh(&self) -> Nanos {
        if self.is_virtual {
            self.now.get()
        } else {
            saturating_nanos(self.origin.elapsed()).max(self.now.get())
        }
    }

    /// Moves a virtual clock forward to `due`.
    pub(crate) fn jump_to(&self, due: Nanos) {
        debug_assert!(self.is_virtual, "only a virtual clock jumps");
        debug_assert!(due < NEVER, "nobody comes back from the end of time");
        self.now.set(due.max(self.now.get()));
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.is_virtual
    }
}

/// `duration` in nanoseconds, or the end of time.
pub(crate) fn saturating_nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// What [`saturating_nanos`] was given: the end of time is as far away as a duration can say.
pub(crate) fn duration_of(nanos: Nanos) -> Duration {
    if nanos == NEVER { Duration::MAX } else { Duration::from_nanos(nanos) }
}

/// The time from `now` to `due`: nothing if that is past, and without an end if it never comes.
pub(crate) fn time_left(now: Nanos, due: Nanos) -> Nanos {
    if due == NEVER { NEVER } else { due.saturating_sub(now) }
}

/// How long the kernel may sleep until `due`. mio rounds it up to whole milliseconds, so a timer is never early.
pub(crate) fn sleep_until(now: Nanos, due: Nanos) -> Duration {
    Duration::from_nanos(due.saturating_sub(now)).min(LONGEST_SLEEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_beyond_the_range_saturates() {
        assert_eq!(saturating_nanos(Duration::MAX), NEVER);
        assert_eq!(saturating_nanos(Duration::from_nanos(7)), 7);
        assert_eq!(duration_of(NEVER), Duration::MAX);
        assert_eq!(duration_of(7), Duration::from_nanos(7));
    }

    #[test]
    fn the_end_of_time_does_not_come_nearer() {
        assert_eq!(time_left(5, NEVER), NEVER);
        assert_eq!((time_left(5, 8), time_left(8, 5)), (3, 0));
    }

    #[test]
    fn the_kernel_never_sleeps_longer_than_its_counter_can_hold() {
        assert_eq!(sleep_until(0, u64::MAX), LONGEST_SLEEP);
        assert_eq!(sleep_until(5, 3), Duration::ZERO);
        assert_eq!(sleep_until(5, 8), Duration::from_nanos(3));
    }

    #[test]
    fn a_virtual_clock_moves_only_by_jumps_and_never_back() {
        let clock = Clock::new(true);
        clock.update();
        assert_eq!(clock.now(), 0);
        clock.jump_to(10);
        clock.jump_to(4);
        assert_eq!((clock.now(), clock.fresh()), (10, 10));
    }

    #[test]
    fn a_real_clock_stands_still_between_updates() {
        let clock = Clock::new(false);
        let before = clock.now();
        while clock.fresh() == before {}
        assert_eq!(clock.now(), before);
        clock.update();
        assert!(clock.now() > before);
    }
}
