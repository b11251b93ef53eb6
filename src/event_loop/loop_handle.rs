//! `LoopHandle`: the loop as constructors, callbacks and tasks see it.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{AliveKind, AliveReason, Job, Key, LoopInner, Pending, Remote};
use crate::handle::Handle;
use crate::panics::Panics;

/// A cheap clone of a loop: what constructors take and what callbacks use.
///
/// It never keeps the loop alive. Once the [`Loop`](crate::Loop) is dropped, queries say no,
/// [`stop`](LoopHandle::stop) does nothing, and a handle made on it is closed from the start.
///
/// libuv: a pointer to `uv_loop_t`
#[derive(Clone)]
pub struct LoopHandle {
    pub(super) inner: Rc<LoopInner>,
}

impl LoopHandle {
    /// Makes [`run`](crate::Loop::run) return after the current turn. Called before a run, it makes the next run return at
    /// once, without any callback.
    ///
    /// libuv: `uv_stop`
    #[doc(alias = "uv_stop")]
    pub fn stop(&self) {
        self.inner.stopping.set(!self.inner.gone.get());
    }

    /// True if there is something to run for: an active and referenced handle, an unfinished request, a handle that is
    /// being closed, a callback that is still to be called, a referenced task that has not ended, or a closure that another
    /// thread posted.
    ///
    /// libuv: `uv_loop_alive`
    #[doc(alias = "uv_loop_alive")]
    pub fn is_alive(&self) -> bool {
        !self.is_gone() && self.inner.is_alive()
    }

    /// The time since the loop was made, as of the last time that the loop looked at the clock: it does not move while
    /// callbacks run, nor between runs unless a timer is started or [`update_time`](LoopHandle::update_time) called.
    ///
    /// libuv: `uv_now`
    #[doc(alias = "uv_now")]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.inner.clock.now())
    }

    /// Reads the clock, so that [`now`](LoopHandle::now) is right after a callback that took long. A
    /// [virtual clock](crate::Builder::virtual_clock) stands still.
    ///
    /// libuv: `uv_update_time`
    #[doc(alias = "uv_update_time")]
    pub fn update_time(&self) {
        self.inner.clock.update();
    }

    /// How long the next poll may sleep: zero if there is something to do at once or nothing to wait for, otherwise until the
    /// next timer is due; `None` is without limit.
    ///
    /// It counts from the cached clock: a host that has done other things since the loop ran calls
    /// [`update_time`](LoopHandle::update_time) before. Whether there is anything to wait for says
    /// [`is_alive`](LoopHandle::is_alive).
    ///
    /// libuv: `uv_backend_timeout`
    #[doc(alias = "uv_backend_timeout")]
    pub fn backend_timeout(&self) -> Option<Duration> {
        let inner = &self.inner;
        if !self.is_gone() && inner.may_sleep() && !inner.mailbox.has_posts() {
            inner.time_to_next_timer(|| inner.clock.now())
        } else {
            Some(Duration::ZERO)
        }
    }

    /// Shows each handle that is not completely closed to `visit`, inside this call, in the order of creation. In its close
    /// callback a handle is gone already. `visit` may close any handle and make new ones, which are not visited.
    ///
    /// libuv: `uv_walk`
    #[doc(alias = "uv_walk")]
    #[doc(alias = "uv_print_all_handles")]
    pub fn walk(&self, mut visit: impl FnMut(&dyn Handle)) {
        for object in self.inner.handles.snapshot() {
            // One that a visit before this one closed is still shown: it is not completely closed.
            object.show(&mut visit);
        }
    }

    /// Closes every handle that there is, of whatever kind. What they wait for ends as with a close of each: callbacks are
    /// not called any more, requests and awaits end with [`Canceled`](crate::Canceled). So [`run`](crate::Loop::run) comes
    /// to its end, unless tasks have more to do than to wait for handles.
    ///
    /// What is queued for peers is lost. A server that lets it out [finishes](crate::Tcp::finish) its
    /// [`connections`](crate::Tcp::connections) first, and calls this when it has waited long enough.
    ///
    /// libuv: `uv_walk` with `uv_close`
    #[doc(alias = "uv_walk")]
    #[doc(alias = "uv_close")]
    pub fn close_all(&self) {
        // A foreign waker may panic in it. The others are still to be closed.
        let mut panics = Panics::default();
        self.walk(|handle| {
            panics.catch(|| drop(handle.close()));
        });
        panics.go_on();
    }

    /// Calls `f` once in the next pending pass: after the I/O callbacks of this turn, or at the beginning of the next
    /// one. Until then the loop is alive.
    ///
    /// On a loop that is gone `f` is dropped.
    #[track_caller]
    pub fn defer(&self, f: impl FnOnce(&LoopHandle) + 'static) {
        self.inner.queue(Pending {
            owner: Key::NONE,
            place: Location::caller(),
            job: Job::Closure(Box::new(f)),
        });
    }

    /// A door to this loop for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.inner.mailbox))
    }

    /// What keeps [`run`](crate::Loop::run) from returning, with the place in the program that made it.
    ///
    /// ```
    /// use luvio::{Loop, Timer};
    /// use std::time::Duration;
    ///
    /// let event_loop = Loop::new()?;
    /// let timer = Timer::after(&event_loop, Duration::from_secs(60), |_| {});
    /// for reason in event_loop.alive_because() {
    ///     println!("{reason}"); // timer handle made at src/main.rs:5:13: due in 60s
    /// }
    /// # assert_eq!(event_loop.alive_because().len(), 1);
    /// timer.close();
    /// event_loop.run()?;
    /// assert!(event_loop.alive_because().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// libuv: `uv_print_active_handles`
    #[doc(alias = "uv_print_active_handles")]
    pub fn alive_because(&self) -> Vec<AliveReason> {
        let inner = &self.inner;
        let mut reasons = Vec::new();
        if self.is_gone() {
            return reasons;
        }
        for object in inner.handles.snapshot().into_iter().chain(inner.half_closed()) {
            object.report(&mut reasons);
        }
        inner.tasks.report(&mut reasons);
        for place in inner.pending.places() {
            reasons.push(AliveReason {
                kind: AliveKind::Callback,
                place,
                state: "queued, not called yet".into(),
            });
        }
        for place in inner.mailbox.post_places() {
            reasons.push(AliveReason {
                kind: AliveKind::Callback,
                place,
                state: "posted, not called yet".into(),
            });
        }
        reasons
    }

    pub(crate) fn inner(&self) -> &LoopInner {
        &self.inner
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.inner.gone.get()
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}
