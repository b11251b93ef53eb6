//! Timers, up to a million at once. What differs between the peers is only what their timers are: a handle that is
//! started and stopped, or a future that is in the list of timers from its first poll until it is dropped.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use luvio::{Loop, Timer};

use super::stopwatch::Stopwatch;
use super::{new_loop, shuffled, tokio_block_on};

/// Far away, and another time for each timer.
fn delay(index: usize) -> Duration {
    Duration::from_secs(1_000) + Duration::from_millis(index as u64)
}

/// The timers that are to fire do so at times within this.
const SPREAD: Duration = Duration::from_millis(100);

/// By then so many futures have all been polled once. Handles are started faster.
fn head_start(count: usize) -> Duration {
    Duration::from_micros(2) * u32::try_from(count).unwrap_or(u32::MAX) + SPREAD
}

fn share_of_spread(index: usize, count: usize) -> Duration {
    SPREAD.mul_f64(index as f64 / count as f64)
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

fn luvio_timers(count: usize) -> (Loop, Vec<Timer>, Vec<usize>) {
    let event_loop = new_loop();
    let timers = (0..count).map(|_| Timer::new(&event_loop)).collect();
    (event_loop, timers, shuffled(count))
}

/// What a callback would do: outside a run, each start of a timer would read the clock.
fn inside_a_run<R>(event_loop: &Loop, f: impl FnOnce() -> R) -> R {
    event_loop.block_on(async { f() }).expect("the loop runs")
}

fn start_all(event_loop: &Loop, timers: &[Timer], order: &[usize], repeat: Duration) -> Duration {
    inside_a_run(event_loop, || {
        let watch = Stopwatch::start();
        for (timer, &index) in timers.iter().zip(order) {
            timer.start(delay(index), repeat, |_| {}).expect("a timer can be started");
        }
        watch.elapsed()
    })
}

pub fn luvio_start(count: usize) -> Duration {
    let (event_loop, timers, order) = luvio_timers(count);
    start_all(&event_loop, &timers, &order, Duration::ZERO)
}

pub fn luvio_stop(count: usize) -> Duration {
    let (event_loop, timers, order) = luvio_timers(count);
    start_all(&event_loop, &timers, &order, Duration::ZERO);
    let watch = Stopwatch::start();
    for timer in &timers {
        timer.stop();
    }
    watch.elapsed()
}

pub fn luvio_restart(count: usize) -> Duration {
    let (event_loop, timers, mut order) = luvio_timers(count);
    start_all(&event_loop, &timers, &order, Duration::ZERO);
    order.rotate_left(1);
    start_all(&event_loop, &timers, &order, Duration::ZERO)
}

pub fn luvio_again(count: usize) -> Duration {
    let (event_loop, timers, order) = luvio_timers(count);
    start_all(&event_loop, &timers, &order, Duration::from_secs(3_600));
    inside_a_run(&event_loop, || {
        let watch = Stopwatch::start();
        for timer in &timers {
            timer.again().expect("it was started");
        }
        watch.elapsed()
    })
}

pub fn luvio_fire(count: usize) -> Duration {
    luvio_fire_within(SPREAD, count)
}

/// The same without waiting: the first is due before the last is started.
pub fn luvio_fire_at_once(count: usize) -> Duration {
    luvio_fire_within(Duration::from_nanos(count as u64), count)
}

fn luvio_fire_within(spread: Duration, count: usize) -> Duration {
    let (event_loop, timers, order) = luvio_timers(count);
    let fired = Rc::new(Cell::new(0));
    let all_due = inside_a_run(&event_loop, || {
        for (timer, &index) in timers.iter().zip(&order) {
            let fired = Rc::clone(&fired);
            let count_it = move |_: &Timer| fired.set(fired.get() + 1);
            let due = spread.mul_f64(index as f64 / count as f64);
            timer.start(due, Duration::ZERO, count_it).expect("a timer can be started");
        }
        Instant::now() + spread
    });
    sleep_until(all_due);
    let watch = Stopwatch::start();
    event_loop.run().expect("the loop runs");
    let taken = watch.elapsed();
    assert_eq!(fired.get(), count);
    taken
}

pub fn luvio_alone(count: usize) -> Duration {
    let event_loop = new_loop();
    let timer = Timer::new(&event_loop);
    inside_a_run(&event_loop, || {
        let watch = Stopwatch::start();
        for _ in 0..count {
            timer.start(delay(0), Duration::ZERO, |_| {}).expect("a timer can be started");
            timer.stop();
        }
        watch.elapsed()
    })
}

/// In an option, so that stopping is not also freeing memory, which the others do not do then.
type TokioSleep = Pin<Box<Option<tokio::time::Sleep>>>;

fn tokio_sleeps(count: usize) -> Vec<TokioSleep> {
    let sleep = |&index: &usize| Box::pin(Some(tokio::time::sleep(delay(index))));
    shuffled(count).iter().map(sleep).collect()
}

/// A sleep of tokio is in its wheel from its first poll on.
async fn poll_sleeps(sleeps: &mut [TokioSleep]) {
    poll_fn(|context| {
        for sleep in sleeps.iter_mut() {
            let sleep = sleep.as_mut().as_pin_mut().expect("it was not stopped");
            assert!(sleep.poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
}

pub fn tokio_start(count: usize) -> Duration {
    tokio_block_on(async {
        let mut sleeps = tokio_sleeps(count);
        let watch = Stopwatch::start();
        poll_sleeps(&mut sleeps).await;
        watch.elapsed()
    })
}

pub fn tokio_stop(count: usize) -> Duration {
    tokio_block_on(async {
        let mut sleeps = tokio_sleeps(count);
        poll_sleeps(&mut sleeps).await;
        let watch = Stopwatch::start();
        for sleep in &mut sleeps {
            sleep.set(None);
        }
        watch.elapsed()
    })
}

pub fn tokio_restart(count: usize) -> Duration {
    tokio_block_on(async {
        let mut sleeps = tokio_sleeps(count);
        poll_sleeps(&mut sleeps).await;
        let mut order = shuffled(count);
        order.rotate_left(1);
        let now = tokio::time::Instant::now();
        let watch = Stopwatch::start();
        for (sleep, &index) in sleeps.iter_mut().zip(&order) {
            let sleep = sleep.as_mut().as_pin_mut().expect("it was not stopped");
            sleep.reset(now + delay(index));
        }
        watch.elapsed()
    })
}

pub fn tokio_fire(count: usize) -> Duration {
    tokio_block_on(async {
        let due = Instant::now() + head_start(count);
        let sleep = |&index: &usize| {
            let due = due + share_of_spread(index, count);
            Box::pin(Some(tokio::time::sleep_until(due.into())))
        };
        let mut sleeps: Vec<TokioSleep> = shuffled(count).iter().map(sleep).collect();
        poll_sleeps(&mut sleeps).await;
        // They become due while nobody looks.
        assert!(Instant::now() < due, "the machine is too slow for this measure");
        sleep_until(due + SPREAD + Duration::from_millis(2));
        let watch = Stopwatch::start();
        for sleep in &mut sleeps {
            sleep.as_mut().as_pin_mut().expect("it was not stopped").await;
        }
        watch.elapsed()
    })
}

pub fn tokio_alone(count: usize) -> Duration {
    tokio_block_on(async {
        let watch = Stopwatch::start();
        for _ in 0..count {
            let mut sleep = pin!(tokio::time::sleep(delay(0)));
            poll_fn(|context| {
                assert!(sleep.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        watch.elapsed()
    })
}

fn async_io_timers(count: usize) -> Vec<async_io::Timer> {
    shuffled(count).iter().map(|&index| async_io::Timer::after(delay(index))).collect()
}

/// A timer of async-io is in its tree from its first poll on.
async fn poll_timers(timers: &mut [async_io::Timer]) {
    poll_fn(|context| {
        for timer in timers.iter_mut() {
            assert!(pin!(timer).poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
}

pub fn async_io_start(count: usize) -> Duration {
    async_io::block_on(async {
        let mut timers = async_io_timers(count);
        let watch = Stopwatch::start();
        poll_timers(&mut timers).await;
        watch.elapsed()
    })
}

pub fn async_io_stop(count: usize) -> Duration {
    async_io::block_on(async {
        let mut timers = async_io_timers(count);
        poll_timers(&mut timers).await;
        let watch = Stopwatch::start();
        timers.clear();
        watch.elapsed()
    })
}

pub fn async_io_restart(count: usize) -> Duration {
    async_io::block_on(async {
        let mut timers = async_io_timers(count);
        poll_timers(&mut timers).await;
        let mut order = shuffled(count);
        order.rotate_left(1);
        let now = Instant::now();
        let watch = Stopwatch::start();
        for (timer, &index) in timers.iter_mut().zip(&order) {
            timer.set_at(now + delay(index));
        }
        watch.elapsed()
    })
}

pub fn async_io_fire(count: usize) -> Duration {
    async_io::block_on(async {
        let due = Instant::now() + head_start(count);
        let timer = |&index: &usize| async_io::Timer::at(due + share_of_spread(index, count));
        let mut timers: Vec<async_io::Timer> = shuffled(count).iter().map(timer).collect();
        poll_timers(&mut timers).await;
        assert!(Instant::now() < due, "the machine is too slow for this measure");
        // While this thread sleeps, one of async-io's own may fire them: its time counts as well.
        let watch = Stopwatch::start();
        sleep_until(due + SPREAD + Duration::from_millis(2));
        for timer in timers {
            timer.await;
        }
        watch.elapsed()
    })
}

pub fn async_io_alone(count: usize) -> Duration {
    async_io::block_on(async {
        let watch = Stopwatch::start();
        for _ in 0..count {
            let mut timer = async_io::Timer::after(delay(0));
            poll_fn(|context| {
                assert!(pin!(&mut timer).poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        watch.elapsed()
    })
}
