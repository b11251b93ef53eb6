//! Waiting for time to pass: `sleep`, `timeout`, `interval`, `yield_now`.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::set_waker;
use crate::event_loop::{
    Expire, LoopHandle, LoopInner, Nanos, TimerKey, current, may_go_on, saturating_nanos,
    time_left, wake_after_poll, with_running,
};

/// Waits for `duration`.
///
/// Created while a loop runs, it counts from its creation, otherwise from its first poll. It reads a
/// fresh clock, so it is never early by [`Instant`].
///
/// # Panics
/// When first polled where no loop runs.
///
/// # Cancel safety
/// Dropping it releases its timer.
///
/// luv_async: `sleep`
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(When::After(saturating_nanos(duration)))
}

/// Waits until `at`; not at all if that is past.
///
/// # Panics
/// When first polled where no loop runs.
///
/// # Cancel safety
/// Dropping it releases its timer.
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep::new(When::At(at))
}

/// The future of [`sleep`] and [`sleep_until`].
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    when: When,
    armed: Option<Armed>,
}

enum When {
    /// So long after the first poll.
    After(Nanos),
    At(Instant),
    /// On the clock of this loop.
    Due(Nanos, LoopHandle),
}

struct Armed {
    event_loop: LoopHandle,
    key: TimerKey,
    alarm: Rc<Alarm>,
}

/// The loop's side of a sleep.
#[derive(Default)]
struct Alarm {
    rang: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Expire for Alarm {
    fn expire(self: Rc<Self>) {
        self.rang.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Sleep {
    fn new(when: When) -> Sleep {
        let mut sleep = Sleep { when, armed: None };
        if let Some(event_loop) = current() {
            sleep.fix(&event_loop);
        }
        sleep
    }

    /// Finds out when it is over, by the clock of the loop.
    fn fix(&mut self, event_loop: &LoopHandle) -> Nanos {
        let fresh = || event_loop.inner().clock.fresh();
        let due = match &self.when {
            When::After(delay) => fresh().saturating_add(*delay),
            When::At(at) => {
                // Two clocks are read; in this order the difference makes it late, never early.
                let left = at.saturating_duration_since(Instant::now());
                fresh().saturating_add(saturating_nanos(left))
            }
            When::Due(due, home) if is_same(home.inner(), event_loop) => return *due,
            When::Due(due, home) => {
                let left = time_left(home.inner().clock.fresh(), *due);
                fresh().saturating_add(left)
            }
        };
        self.when = When::Due(due, event_loop.clone());
        due
    }

    /// True if it waits for a loop that does not run, inside another one that does.
    fn is_elsewhere(&self) -> bool {
        self.armed.as_ref().is_some_and(|armed| {
            with_running(|inner| !is_same(inner, &armed.event_loop)) == Some(true)
        })
    }

    fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            armed.event_loop.inner().disarm(armed.key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.armed.as_ref().is_some_and(|armed| armed.alarm.rang.get()) {
            return Poll::Ready(());
        }
        if self.is_elsewhere() {
            self.disarm();
        }
        if self.armed.is_none() {
            let event_loop = current().expect(
                "a sleep was polled where no loop runs; await it in a task or under Loop::block_on",
            );
            let due = self.fix(&event_loop);
            let inner = event_loop.inner();
            if due <= inner.clock.fresh() {
                return if may_go_on(context) { Poll::Ready(()) } else { Poll::Pending };
            }
            let alarm = Rc::new(Alarm::default());
            let key = inner.arm(due, Rc::clone(&alarm) as Rc<dyn Expire>);
            self.armed = Some(Armed { event_loop, key, alarm });
        }
        let Some(Armed { alarm, .. }) = &self.armed else { return Poll::Pending };
        set_waker(&alarm.waker, context);
        if alarm.rang.get() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

fn is_same(inner: &LoopInner, event_loop: &LoopHandle) -> bool {
    std::ptr::eq(inner, event_loop.inner())
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// Waits for `future`, at most for `duration`. Does not allocate.
///
/// When the time is over, the future is dropped, and with it whatever it had started that can be
/// cancelled: a sleep, a read, an awaited connect. Like [`sleep`], it counts from its creation while
/// a loop runs. A future that is ready when first polled wins over a duration of zero.
///
/// ```
/// use luvio::{Loop, sleep, timeout};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// let slow = sleep(Duration::from_secs(10));
/// let late = event_loop.block_on(timeout(Duration::from_millis(5), slow))?;
/// assert!(late.is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When first polled where no loop runs.
///
/// # Cancel safety
/// Dropping it drops the future and releases the timer.
pub fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let limit = sleep(duration);
    async move {
        let mut future = pin!(future);
        let mut limit = pin!(limit);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => limit.as_mut().poll(context).map(|()| Err(Elapsed)),
        })
        .await
    }
}

/// The time of a [`timeout`] was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// Ticks every `period`, the first time one period from now.
///
/// Ticks lie on a fixed grid: a tick that is awaited late does not move the ones after it. Ticks
/// that were missed altogether are not made up: however many there were, the next
/// [`tick`](Interval::tick) is ready at once and stands for all of them, and the one after it is the
/// next on the grid.
///
/// ```
/// use luvio::{Loop, interval};
/// use std::time::Duration;
///
/// let event_loop = Loop::builder().virtual_clock().build()?;
/// event_loop.block_on(async {
///     let mut hours = interval(Duration::from_secs(3_600));
///     assert_eq!(hours.tick().await, Duration::from_secs(3_600));
///     assert_eq!(hours.tick().await, Duration::from_secs(7_200));
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When `period` is zero, and when called where no loop runs.
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero; see yield_now");
    let event_loop = current()
        .expect("luvio::interval was called where no loop runs; call it in a task or block_on");
    let period = saturating_nanos(period);
    let next = event_loop.inner().clock.fresh().saturating_add(period);
    let sleep = Sleep::new(When::Due(next, event_loop.clone()));
    Interval { event_loop, period, next, sleep }
}

/// The ticks of [`interval`].
#[derive(Debug)]
pub struct Interval {
    event_loop: LoopHandle,
    period: Nanos,
    next: Nanos,
    sleep: Sleep,
}

impl Interval {
    /// Waits for the next tick, and says when it was due, on the clock of [`now`](LoopHandle::now).
    ///
    /// # Cancel safety
    /// Dropping the future loses no tick.
    pub async fn tick(&mut self) -> Duration {
        poll_fn(|context| self.poll_tick(context)).await
    }

    pub(crate) fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        if Pin::new(&mut self.sleep).poll(context).is_pending() {
            return Poll::Pending;
        }
        let due = self.next;
        let late = self.event_loop.inner().clock.fresh().saturating_sub(due);
        let periods = (late / self.period).saturating_add(1);
        self.next = due.saturating_add(self.period.saturating_mul(periods));
        self.sleep = Sleep::new(When::Due(self.next, self.event_loop.clone()));
        Poll::Ready(Duration::from_nanos(due))
    }
}

/// Lets the other tasks run, and one poll for I/O go by. (An executor that holds the thread, such as `block_on` of another
/// library, cannot let one go by: there it yields once and goes on.)
///
/// # Cancel safety
/// Dropping it has no effect.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "nothing is yielded unless it is awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        wake_after_poll(context);
        Poll::Pending
    }
}
