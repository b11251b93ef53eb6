//! `Timer`: a callback after a while, once or again and again.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Core, Kind, Slot, impl_handle};
use crate::error::Misuse;
use crate::event_loop::{
    AliveReason, Expire, LoopHandle, NEVER, Nanos, Object, TimerKey, duration_of, saturating_nanos,
    time_left,
};

/// Calls back after a while, once or repeatedly.
///
/// Timers count from the loop's cached clock in full resolution and are never early by it. While the loop runs, that is
/// the time at which it looked last, however long the callback has taken that starts the timer
/// ([`update_time`](LoopHandle::update_time) helps, and so does [`sleep`](crate::sleep())); outside a run, starting a timer
/// reads the clock. Timers due at the same time run in the order in which they were started.
///
/// A timer that runs lives on without being held. A stopped timer keeps its callback, for [`again`](Timer::again): if
/// that callback captures the timer itself, the two keep each other until [`close`](Timer::close) or the end of the loop.
///
/// ```
/// use luvio::{Loop, Timer};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// let mut ticks = 0;
/// let timer = Timer::new(&event_loop);
/// timer.start(Duration::ZERO, Duration::from_millis(1), move |timer| {
///     ticks += 1;
///     if ticks == 3 {
///         timer.close();
///     }
/// })?;
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_timer_t`
#[doc(alias = "uv_timer_t")]
#[derive(Clone)]
pub struct Timer(Rc<TimerInner>);

struct TimerInner {
    core: Core,
    callback: Slot<dyn FnMut(&Timer)>,
    repeat: Cell<Nanos>,
    due: Cell<Nanos>,
    armed: Cell<Option<TimerKey>>,
    was_started: Cell<bool>,
}

impl_handle!(Timer);

impl Timer {
    /// A timer that does nothing yet.
    ///
    /// libuv: `uv_timer_init`
    #[doc(alias = "uv_timer_init")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Timer {
        let timer = Rc::new(TimerInner {
            core: Core::new(event_loop, Kind::Timer),
            callback: Slot::empty(),
            repeat: Cell::new(0),
            due: Cell::new(0),
            armed: Cell::new(None),
            was_started: Cell::new(false),
        });
        timer.core.enroll(&(Rc::clone(&timer) as Rc<dyn Object>));
        Timer(timer)
    }

    /// Calls `cb` once after `timeout`. The timer need not be held for that.
    ///
    /// On a loop that is gone, `cb` is dropped.
    #[track_caller]
    pub fn after(
        event_loop: &LoopHandle,
        timeout: Duration,
        cb: impl FnOnce(&Timer) + 'static,
    ) -> Timer {
        let timer = Timer::new(event_loop);
        let mut once = Some(cb);
        let _ = timer.start(timeout, Duration::ZERO, move |timer| {
            if let Some(cb) = once.take() {
                cb(timer);
            }
        });
        timer
    }

    /// Starts calling `cb` after `timeout`, then every `repeat`.
    ///
    /// Both count from the loop's cached clock. `Duration::ZERO` for `repeat` means once; for `timeout`, the next pass
    /// over the timers. [`Duration::MAX`], like everything beyond 584 years, means never. Starting an active timer replaces its callback and deadline. `cb` may stop, restart or close
    /// this timer. A repeated timer is armed again before `cb` is called, counted from the clock of that pass; intervals
    /// that were missed are not made up.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the timer is closing or its loop is gone.
    ///
    /// libuv: `uv_timer_start`
    #[doc(alias = "uv_timer_start")]
    pub fn start(
        &self,
        timeout: Duration,
        repeat: Duration,
        cb: impl FnMut(&Timer) + 'static,
    ) -> io::Result<()> {
        self.0.core.check_open()?;
        self.0.repeat.set(saturating_nanos(repeat));
        self.0.was_started.set(true);
        self.0.arm(saturating_nanos(timeout));
        self.0.callback.set(Box::new(cb));
        Ok(())
    }

    /// Stops the timer. It keeps its callback, for [`again`](Timer::again). Does nothing if it is not running.
    ///
    /// libuv: `uv_timer_stop`
    #[doc(alias = "uv_timer_stop")]
    pub fn stop(&self) {
        self.0.disarm();
    }

    /// Starts the timer again with its repeat value as the timeout, whether it was running or stopped. A timer whose
    /// repeat value is zero is stopped.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the timer was never started, is closing, or its loop is gone.
    ///
    /// libuv: `uv_timer_again`
    #[doc(alias = "uv_timer_again")]
    pub fn again(&self) -> io::Result<()> {
        self.0.core.check_open()?;
        if !self.0.was_started.get() {
            return Err(Misuse::NeverStarted.into());
        }
        match self.0.repeat.get() {
            0 => self.0.disarm(),
            repeat => self.0.arm(repeat),
        }
        Ok(())
    }

    /// Sets the repeat value for the next time that the timer is armed. What it is waiting for already stays.
    ///
    /// libuv: `uv_timer_set_repeat`
    #[doc(alias = "uv_timer_set_repeat")]
    pub fn set_repeat(&self, repeat: Duration) {
        self.0.repeat.set(saturating_nanos(repeat));
    }

    /// The repeat value; zero is once.
    ///
    /// libuv: `uv_timer_get_repeat`
    #[doc(alias = "uv_timer_get_repeat")]
    pub fn repeat(&self) -> Duration {
        duration_of(self.0.repeat.get())
    }

    /// The time left by the loop's cached clock; zero if the timer is overdue, has fired, or was never started. If it was
    /// stopped, the time that would be left.
    ///
    /// libuv: `uv_timer_get_due_in`
    #[doc(alias = "uv_timer_get_due_in")]
    pub fn due_in(&self) -> Duration {
        match self.event_loop().is_gone() {
            true => Duration::ZERO,
            false => self.0.due_in(),
        }
    }
}

impl TimerInner {
    fn arm(self: &Rc<Self>, timeout: Nanos) {
        let inner = self.core.event_loop().inner();
        // The new entry first: the old one may be the last thing that keeps the timer alive.
        let due = inner.time_of_start().saturating_add(timeout);
        let key = inner.arm(due, Rc::clone(self) as Rc<dyn Expire>);
        self.due.set(due);
        if let Some(old) = self.armed.replace(Some(key)) {
            inner.disarm(old);
        }
        self.core.set_active(true);
    }

    fn due_in(&self) -> Duration {
        let now = self.core.event_loop().inner().clock.now();
        duration_of(time_left(now, self.due.get()))
    }

    fn disarm(&self) {
        self.core.set_active(false);
        if let Some(key) = self.armed.take() {
            self.core.event_loop().inner().disarm(key);
        }
    }
}

impl Expire for TimerInner {
    fn expire(self: Rc<Self>) {
        self.armed.set(None);
        match self.repeat.get() {
            0 => self.core.set_active(false),
            repeat => self.arm(repeat),
        }
        let timer = Timer(self);
        if let Some(mut callback) = timer.0.callback.lend() {
            timer.0.core.call(|| callback(&timer));
        }
    }
}

impl Object for TimerInner {
    fn core(&self) -> &Core {
        &self.core
    }

    fn release(&self) {
        self.disarm();
    }

    fn drop_callbacks(&self) {
        self.callback.clear();
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || {
            if self.due.get() == NEVER {
                return "never due".to_string();
            }
            let due = format!("due in {:?}", self.due_in());
            match self.repeat.get() {
                0 => due,
                NEVER => format!("{due}, then never"),
                repeat => format!("{due}, then every {:?}", duration_of(repeat)),
            }
        });
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn super::Handle)) {
        visit(&Timer(self));
    }
}
