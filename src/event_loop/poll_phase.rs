//! The poll phase: whether the loop may sleep, how long, and by which clock.

use std::io;
use std::time::Duration;

use log::trace;

use super::clock::sleep_until;
use super::{LoopInner, NEVER, Nanos, TimerKey, saturating_nanos};

impl LoopInner {
    /// Waits for events as long as there is nothing else to do, then reads the clock.
    pub(super) fn poll(&self, may_sleep: bool) -> io::Result<()> {
        if self.poller.has_undelivered() {
            // Left over by a callback that panicked. They come first, and a new poll would overwrite them.
            return Ok(());
        }
        let sleeps = may_sleep && self.may_sleep();
        trace!("poll, {}", if sleeps { "may sleep" } else { "does not sleep" });
        let polled = match sleeps {
            false => self.poller.wait(|| Some(Duration::ZERO)).map(drop),
            true if self.clock.is_virtual() => self.sleep_virtually(),
            true => self.spin().and_then(|found| match found {
                true => Ok(()),
                false => self.sleep(|| self.time_to_next_timer(|| self.clock.fresh())).map(drop),
            }),
        };
        self.clock.update();
        self.clock.mark_fresh();
        polled
    }

    /// Polls for a while without blocking, if the builder was asked for that and the outside may bring something. Other
    /// threads see a loop that is awake. True if there is something to do.
    fn spin(&self) -> io::Result<bool> {
        let Some(limit) = self.limits.busy_poll else {
            return Ok(false);
        };
        let begin = self.clock.fresh();
        let end = begin.saturating_add(saturating_nanos(limit));
        while self.waits_for_the_outside() {
            if self.mailbox.is_filled() || self.poller.wait(|| Some(Duration::ZERO))? {
                return Ok(true);
            }
            let now = self.clock.fresh();
            if self.next_due().is_some_and(|due| due <= now) {
                return Ok(true);
            }
            if now >= end {
                break;
            }
        }
        Ok(false)
    }

    /// True if something is active that the outside can bring to life.
    pub(super) fn waits_for_the_outside(&self) -> bool {
        self.outside.get() + self.requests.get() > 0
    }

    /// A poll that other threads can interrupt. True if there are events or something arrived.
    pub(super) fn sleep(&self, timeout: impl Fn() -> Option<Duration>) -> io::Result<bool> {
        let polled = if self.mailbox.fall_asleep() {
            self.poller.wait(timeout)
        } else {
            self.poller.wait(|| Some(Duration::ZERO))
        };
        self.mailbox.wake_up();
        polled.map(|any| any || self.mailbox.is_filled())
    }

    /// True if nothing that is ready has to be looked after, and there is something to wait for.
    pub(super) fn may_sleep(&self) -> bool {
        let has_work = self.stopping.get()
            || !self.pending.is_empty()
            || self.tasks.has_ready()
            || !self.idle.is_empty()
            || self.poller.has_undelivered()
            || self.poller.may_have_more()
            || !self.closing.borrow().is_empty()
            || !self.resuming.borrow().is_empty()
            || !self.late.borrow().is_empty()
            || !self.notified.borrow().is_empty()
            || !self.due.borrow().is_empty();
        !has_work && self.active.get() + self.requests.get() + self.tasks.referenced() > 0
    }

    /// How long it is until the next timer. The clock is read only if there is one.
    pub(super) fn time_to_next_timer(&self, now: impl FnOnce() -> Nanos) -> Option<Duration> {
        self.next_due().map(|due| sleep_until(now(), due))
    }

    fn next_due(&self) -> Option<Nanos> {
        self.next_timer().map(|(due, _)| due)
    }

    /// The next timer, and when it is due. One that never is counts as none.
    pub(super) fn next_timer(&self) -> Option<(Nanos, TimerKey)> {
        self.timers.borrow_mut().next().filter(|&(due, _)| due < NEVER)
    }
}
