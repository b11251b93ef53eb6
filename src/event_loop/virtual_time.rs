//! The virtual clock: when it moves, how far, and how a program moves it itself.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::{Loop, LoopInner, NEVER, Nanos, RunMode, TimerKey, saturating_nanos};
use crate::error::Misuse;
use crate::task::Root;

/// How long the loop waits in real time, before the clock moves, for what the outside may still bring.
const PATIENCE: Duration = Duration::from_millis(5);

/// What a virtual clock knows beside the time.
#[derive(Default)]
pub(super) struct VirtualTime {
    /// Where the clock is to stop, while [`Loop::advance`] runs.
    end: Cell<Option<Nanos>>,
    /// True if the last poll found the clock there, and nothing to do.
    at_rest: Cell<bool>,
    /// What the loop waited for last, with the patience that was used up for it: a timer, or the end above.
    waited_for: Cell<Option<TimerKey>>,
    waited: Cell<Duration>,
}

impl LoopInner {
    /// The sleep of a loop with a virtual clock: look; be patient if the outside may still bring something; then jump.
    pub(super) fn sleep_virtually(&self) -> io::Result<()> {
        let next = self.next_timer();
        let is_due = next.is_some_and(|(due, _)| due <= self.clock.now());
        if self.sleep(|| Some(Duration::ZERO))? || is_due {
            return Ok(());
        }
        let end = self.virtual_time.end.get();
        let (to, timer) = match (next, end) {
            (Some((due, timer)), end) if end.is_none_or(|end| due <= end) => (due, Some(timer)),
            (_, Some(end)) => (end, None),
            (_, None) => return self.sleep(|| None).map(drop),
        };
        if self.waits_for_the_outside() && self.be_patient(timer)? {
            return Ok(());
        }
        self.virtual_time.at_rest.set(timer.is_none() && to == self.clock.now());
        self.clock.jump_to(to);
        Ok(())
    }

    /// Waits for the outside before the clock moves to `timer`, or to the end if that is none. Whatever comes in between,
    /// and however often, the patience for one move is all in all the same: an outside that never rests does not stop the
    /// time. True if something came.
    fn be_patient(&self, timer: Option<TimerKey>) -> io::Result<bool> {
        let virtual_time = &self.virtual_time;
        if virtual_time.waited_for.replace(timer) != timer {
            virtual_time.waited.set(Duration::ZERO);
        }
        let left = PATIENCE.saturating_sub(virtual_time.waited.get());
        if left.is_zero() {
            return Ok(false);
        }
        let begin = Instant::now();
        let found = self.sleep(|| Some(left.saturating_sub(begin.elapsed())));
        virtual_time.waited.set(virtual_time.waited.get() + begin.elapsed());
        found
    }
}

/// The run of [`Loop::advance`]. Its drop lets the clock go on as before, by unwinding too.
struct Advance<'a>(&'a LoopInner);

impl Advance<'_> {
    fn begin(inner: &LoopInner, end: Nanos) -> Advance<'_> {
        inner.virtual_time.end.set(Some(end));
        inner.virtual_time.at_rest.set(false);
        // The patience of an earlier call is no concern of this one.
        inner.virtual_time.waited.set(Duration::ZERO);
        Advance(inner)
    }
}

impl Root for Advance<'_> {
    fn is_over(&self) -> io::Result<bool> {
        // A check handle or a close callback may have left something to do.
        Ok(self.0.virtual_time.at_rest.replace(false) && self.0.may_sleep())
    }
}

impl Drop for Advance<'_> {
    fn drop(&mut self) {
        self.0.virtual_time.end.set(None);
    }
}

impl Loop {
    /// Moves a virtual clock on by `time`, and says whether something is still alive.
    ///
    /// Runs the loop as [`run`](Loop::run) does, but no further than that: whatever is due meanwhile runs at its own
    /// moment, in order, with all that it brings about, and when this returns, nothing is left to do before the clock
    /// moves again. Between two calls the clock is held, and a test can look. `Duration::ZERO` does what is to be done now.
    /// If nothing keeps the loop alive any more, the rest of the time passes without it.
    ///
    /// The rules of [`Builder::virtual_clock`](crate::Builder::virtual_clock) hold here too. Before the clock moves, up to
    /// 5 ms of real time are given to the outside; and it does not move, nor does this return, while an idle handle is
    /// active or a task wakes itself again and again. [`stop`](crate::LoopHandle::stop) ends it early, wherever the clock
    /// is. In a task, [`sleep`](crate::sleep()) does the same for what is around it.
    ///
    /// ```
    /// use luvio::{Loop, Timer};
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    ///
    /// let event_loop = Loop::builder().virtual_clock().build()?;
    /// let ticks = Rc::new(Cell::new(0));
    /// let count = Rc::clone(&ticks);
    /// let ticking = Timer::new(&event_loop);
    /// ticking.start(SECOND, SECOND, move |_| count.set(count.get() + 1))?;
    ///
    /// event_loop.advance(SECOND / 2)?;
    /// assert_eq!(ticks.get(), 0);
    /// event_loop.advance(3 * SECOND)?;
    /// assert_eq!((ticks.get(), event_loop.now()), (3, 3 * SECOND + SECOND / 2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::RealClock`]) for a loop with a real clock, which nobody can
    /// move; otherwise as [`run`](Loop::run).
    ///
    /// # Panics
    /// As [`run`](Loop::run). The clock is then where it was.
    pub fn advance(&self, time: Duration) -> io::Result<bool> {
        let inner = self.handle().inner();
        inner.check_not_running()?;
        if !inner.clock.is_virtual() {
            return Err(Misuse::RealClock.into());
        }
        let end = inner.clock.now().saturating_add(saturating_nanos(time)).min(NEVER - 1);
        let mut advance = Advance::begin(inner, end);
        self.run_for(RunMode::Default, &mut advance)?;
        if !self.is_alive() {
            inner.clock.jump_to(end);
        }
        Ok(self.is_alive())
    }
}
