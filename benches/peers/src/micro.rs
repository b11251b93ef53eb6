//! Single operations in one process, in nanoseconds each: luvio beside those peers that have the same thing.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use luvio::{Coroutine, Idle, Loop, Notifier, Resume, Timer, await_callback};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::options::Options;
use crate::summary::{Report, Spread, Table};
use crate::throughput::progress;

/// Runs an operation so many times, and says how long that took.
type Run = fn(usize) -> Duration;

struct Measure {
    name: &'static str,
    what: &'static str,
    operations: usize,
    peers: &'static [(&'static str, Run)],
}

const MEASURES: &[Measure] = &[
    Measure {
        name: "loop turn",
        what: "with nothing ready; luvio with an idle callback",
        operations: 100_000,
        peers: &[("luvio", turn::luvio), ("mio", turn::mio)],
    },
    Measure {
        name: "timer start, 1M live",
        what: "at different times, in no order",
        operations: 1_000_000,
        peers: &[
            ("luvio", timers::luvio_start),
            ("tokio", timers::tokio_start),
            ("async-io", timers::async_io_start),
        ],
    },
    Measure {
        name: "timer stop, 1M live",
        what: "in no order",
        operations: 1_000_000,
        peers: &[
            ("luvio", timers::luvio_stop),
            ("tokio", timers::tokio_stop),
            ("async-io", timers::async_io_stop),
        ],
    },
    Measure {
        name: "timer fire, 1M due",
        what: "in order",
        operations: 1_000_000,
        peers: &[("luvio", timers::luvio_fire), ("tokio", timers::tokio_fire)],
    },
    Measure {
        name: "timer start and stop, alone",
        what: "",
        operations: 1_000_000,
        peers: &[("luvio", timers::luvio_alone), ("tokio", timers::tokio_alone)],
    },
    Measure {
        name: "spawn and join, by 1,000",
        what: "",
        operations: 100_000,
        peers: &[
            ("luvio", spawn::luvio),
            ("tokio", spawn::tokio),
            ("async-executor", spawn::async_executor),
            ("futures", spawn::futures),
        ],
    },
    Measure {
        name: "spawn 100,000 at once, and join",
        what: "",
        operations: 100_000,
        peers: &[
            ("luvio", spawn::luvio_all),
            ("tokio", spawn::tokio_all),
            ("async-executor", spawn::async_executor_all),
        ],
    },
    Measure {
        name: "yield_now, one task",
        what: "each lets one poll for I/O go by in luvio and tokio",
        operations: 1_000_000,
        peers: &[
            ("luvio", yields::luvio_1),
            ("tokio", yields::tokio_1),
            ("async-executor", yields::async_executor_1),
        ],
    },
    Measure {
        name: "yield_now, 1,000 tasks",
        what: "",
        operations: 1_000_000,
        peers: &[
            ("luvio", yields::luvio_1000),
            ("tokio", yields::tokio_1000),
            ("async-executor", yields::async_executor_1000),
        ],
    },
    Measure {
        name: "self wake",
        what: "a task wakes itself and is polled again",
        operations: 1_000_000,
        peers: &[
            ("luvio", wakes::luvio),
            ("tokio", wakes::tokio),
            ("async-executor", wakes::async_executor),
            ("futures", wakes::futures),
        ],
    },
    Measure {
        name: "callback to future",
        what: "a callback that comes while the task waits",
        operations: 1_000_000,
        peers: &[
            ("luvio", callbacks::luvio),
            ("tokio", callbacks::tokio),
            ("async-executor", callbacks::async_executor),
            ("futures", callbacks::futures),
        ],
    },
    Measure {
        name: "wake that is pending already",
        what: "from another handle's view: the second send before the callback",
        operations: 1_000_000,
        peers: &[("luvio", threads::luvio_pending), ("mio", threads::mio_pending)],
    },
    Measure {
        name: "round trip between threads",
        what: "both asleep: the machine's price, not the library's",
        operations: 2_000,
        peers: &[("luvio", threads::luvio_round_trip), ("tokio", threads::tokio_round_trip)],
    },
    Measure {
        name: "wakes from 8 threads",
        what: "each task is woken so often from each thread, none is lost",
        operations: 80_000,
        peers: &[("luvio", threads::luvio_wakes), ("tokio", threads::tokio_wakes)],
    },
    Measure {
        name: "deferred callback",
        what: "queued, and called in the next pass",
        operations: 1_000_000,
        peers: &[("luvio", callbacks::luvio_defer)],
    },
    Measure {
        name: "coroutine resume",
        what: "and its yield",
        operations: 1_000_000,
        peers: &[("luvio", coroutine)],
    },
];

pub fn run(options: &Options, report: &mut Report) {
    let rounds = if options.quick { 2 } else { 7 };
    let mut table = Table::new(
        "micro",
        "single operations in one process",
        &["operation", "peer", "ns each", "× luvio"],
    );
    for measure in MEASURES {
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); measure.peers.len()];
        for round in 0..rounds {
            progress(&format!("{}: round {} of {rounds}", measure.name, round + 1));
            for (times, (_, run)) in times.iter_mut().zip(measure.peers) {
                // In a thread of its own, so that no peer inherits what another one left.
                let (run, operations) = (*run, measure.operations);
                let taken = thread::spawn(move || run(operations)).join();
                if let Ok(taken) = taken {
                    times.push(taken.as_nanos() as f64 / operations as f64);
                }
            }
        }
        let ours = times[0].clone();
        for (times, (peer, _)) in times.iter().zip(measure.peers) {
            if times.len() < rounds {
                report.fail(peer, &format!("{} failed", measure.name));
            }
            let Some(spread) = Spread::of(times) else { continue };
            let ratio = Spread::of_ratios(times, &ours);
            table.row(vec![
                measure.name.into(),
                (*peer).into(),
                format!("{:.1} ±{:.1}", spread.median, spread.half_width),
                ratio.map_or("-".into(), |ratio| format!("{:.2}", ratio.median)),
            ]);
            report.record(measure.name, peer, &[("ns", Some(spread.median))]);
        }
        if !measure.what.is_empty() {
            table.note(measure.name, measure.what);
        }
    }
    progress("");
    table.print();
}

/// Visits 0..count in an order that looks random and is always the same.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

fn luvio_block_on<F: Future>(future: F) -> F::Output {
    let event_loop = Loop::new().expect("a loop can be made");
    event_loop.block_on(future).expect("the future ends")
}

fn tokio_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    LocalSet::new().block_on(&tokio_runtime(), future)
}

mod turn {
    use super::*;

    pub fn luvio(count: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        let idle = Idle::new(&event_loop);
        let left = Cell::new(count);
        let turn = move |idle: &Idle| {
            left.set(left.get() - 1);
            if left.get() == 0 {
                idle.close();
            }
        };
        idle.start(turn).expect("an idle handle can be started");
        let begin = Instant::now();
        event_loop.run().expect("the loop runs");
        begin.elapsed()
    }

    pub fn mio(count: usize) -> Duration {
        let mut poll = mio::Poll::new().expect("a poll can be made");
        let mut events = mio::Events::with_capacity(1024);
        let begin = Instant::now();
        for _ in 0..count {
            poll.poll(&mut events, Some(Duration::ZERO)).expect("it polls");
        }
        begin.elapsed()
    }
}

mod timers {
    use super::*;

    fn delay(index: usize) -> Duration {
        Duration::from_secs(1_000) + Duration::from_micros(index as u64)
    }

    fn luvio_timers(count: usize) -> (Loop, Vec<Timer>, Vec<usize>) {
        let event_loop = Loop::new().expect("a loop can be made");
        let timers = (0..count).map(|_| Timer::new(&event_loop)).collect();
        (event_loop, timers, shuffled(count))
    }

    fn start(timers: &[Timer], order: &[usize]) -> Duration {
        let begin = Instant::now();
        for (timer, &index) in timers.iter().zip(order) {
            timer.start(delay(index), Duration::ZERO, |_| {}).expect("a timer can be started");
        }
        begin.elapsed()
    }

    pub fn luvio_start(count: usize) -> Duration {
        let (_event_loop, timers, order) = luvio_timers(count);
        start(&timers, &order)
    }

    pub fn luvio_stop(count: usize) -> Duration {
        let (_event_loop, timers, order) = luvio_timers(count);
        start(&timers, &order);
        let begin = Instant::now();
        for timer in &timers {
            timer.stop();
        }
        begin.elapsed()
    }

    pub fn luvio_fire(count: usize) -> Duration {
        let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
        let fired = Rc::new(Cell::new(0));
        let order = shuffled(count);
        let timers: Vec<Timer> = (0..count).map(|_| Timer::new(&event_loop)).collect();
        for (timer, &index) in timers.iter().zip(&order) {
            let fired = Rc::clone(&fired);
            let due = Duration::from_nanos(index as u64 % 1_000);
            let count = move |_: &Timer| fired.set(fired.get() + 1);
            timer.start(due, Duration::ZERO, count).expect("a timer can be started");
        }
        let begin = Instant::now();
        event_loop.run().expect("the loop runs");
        let taken = begin.elapsed();
        assert_eq!(fired.get(), count);
        taken
    }

    pub fn luvio_alone(count: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        let timer = Timer::new(&event_loop);
        let begin = Instant::now();
        for _ in 0..count {
            timer.start(delay(0), Duration::ZERO, |_| {}).expect("a timer can be started");
            timer.stop();
        }
        begin.elapsed()
    }

    fn tokio_sleeps(count: usize) -> Vec<std::pin::Pin<Box<tokio::time::Sleep>>> {
        let order = shuffled(count);
        order.iter().map(|&index| Box::pin(tokio::time::sleep(delay(index)))).collect()
    }

    /// A sleep of tokio is in its wheel from its first poll on.
    async fn poll_all(sleeps: &mut [std::pin::Pin<Box<tokio::time::Sleep>>]) {
        poll_fn(|context| {
            for sleep in sleeps.iter_mut() {
                assert!(sleep.as_mut().poll(context).is_pending());
            }
            Poll::Ready(())
        })
        .await;
    }

    pub fn tokio_start(count: usize) -> Duration {
        tokio_block_on(async {
            let mut sleeps = tokio_sleeps(count);
            let begin = Instant::now();
            poll_all(&mut sleeps).await;
            begin.elapsed()
        })
    }

    pub fn tokio_stop(count: usize) -> Duration {
        tokio_block_on(async {
            let mut sleeps = tokio_sleeps(count);
            poll_all(&mut sleeps).await;
            let begin = Instant::now();
            drop(sleeps);
            begin.elapsed()
        })
    }

    pub fn tokio_fire(count: usize) -> Duration {
        tokio_block_on(async {
            let order = shuffled(count);
            let due = tokio::time::Instant::now() + Duration::from_millis(1_500);
            let sleep = |&index: &usize| {
                let spread = Duration::from_nanos(index as u64 % 1_000);
                Box::pin(tokio::time::sleep_until(due + spread))
            };
            let mut sleeps: Vec<_> = order.iter().map(sleep).collect();
            poll_all(&mut sleeps).await;
            // By now they are all in the wheel. They become due while nobody looks.
            assert!(tokio::time::Instant::now() < due, "the machine is too slow for this measure");
            thread::sleep(due - tokio::time::Instant::now() + Duration::from_millis(2));
            let begin = Instant::now();
            for sleep in &mut sleeps {
                sleep.as_mut().await;
            }
            begin.elapsed()
        })
    }

    pub fn tokio_alone(count: usize) -> Duration {
        tokio_block_on(async {
            let begin = Instant::now();
            for _ in 0..count {
                let mut sleep = pin!(tokio::time::sleep(delay(0)));
                poll_fn(|context| {
                    assert!(sleep.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            begin.elapsed()
        })
    }

    fn async_io_timers(count: usize) -> Vec<async_io::Timer> {
        shuffled(count).iter().map(|&index| async_io::Timer::after(delay(index))).collect()
    }

    async fn poll_async_io(timers: &mut [async_io::Timer]) {
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
            let begin = Instant::now();
            poll_async_io(&mut timers).await;
            begin.elapsed()
        })
    }

    pub fn async_io_stop(count: usize) -> Duration {
        async_io::block_on(async {
            let mut timers = async_io_timers(count);
            poll_async_io(&mut timers).await;
            let begin = Instant::now();
            drop(timers);
            begin.elapsed()
        })
    }
}

mod spawn {
    use super::*;

    pub fn luvio(count: usize) -> Duration {
        luvio_block_on(luvio_by(count, 1_000))
    }

    pub fn luvio_all(count: usize) -> Duration {
        luvio_block_on(luvio_by(count, count))
    }

    async fn luvio_by(count: usize, batch: usize) -> Duration {
        let begin = Instant::now();
        for _ in 0..count / batch {
            let tasks: Vec<_> = (0..batch).map(|n| luvio::spawn(async move { n })).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.expect("the task ends"), n);
            }
        }
        begin.elapsed()
    }

    pub fn tokio(count: usize) -> Duration {
        tokio_block_on(tokio_by(count, 1_000))
    }

    pub fn tokio_all(count: usize) -> Duration {
        tokio_block_on(tokio_by(count, count))
    }

    async fn tokio_by(count: usize, batch: usize) -> Duration {
        let begin = Instant::now();
        for _ in 0..count / batch {
            let tasks: Vec<_> =
                (0..batch).map(|n| tokio::task::spawn_local(async move { n })).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.expect("the task ends"), n);
            }
        }
        begin.elapsed()
    }

    pub fn async_executor(count: usize) -> Duration {
        async_executor_by(count, 1_000)
    }

    pub fn async_executor_all(count: usize) -> Duration {
        async_executor_by(count, count)
    }

    fn async_executor_by(count: usize, batch: usize) -> Duration {
        let executor = async_executor::LocalExecutor::new();
        futures_lite::future::block_on(executor.run(async {
            let begin = Instant::now();
            for _ in 0..count / batch {
                let tasks: Vec<_> = (0..batch).map(|n| executor.spawn(async move { n })).collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await, n);
                }
            }
            begin.elapsed()
        }))
    }

    pub fn futures(count: usize) -> Duration {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(async move {
            let begin = Instant::now();
            for _ in 0..count / 1_000 {
                let tasks: Vec<_> = (0..1_000)
                    .map(|n| spawner.spawn_local_with_handle(async move { n }).expect("it spawns"))
                    .collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await, n);
                }
            }
            begin.elapsed()
        })
    }
}

mod yields {
    use super::*;

    pub fn luvio_1(count: usize) -> Duration {
        luvio_tasks(1, count)
    }

    pub fn luvio_1000(count: usize) -> Duration {
        luvio_tasks(1_000, count / 1_000)
    }

    fn luvio_tasks(tasks: usize, each: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        for _ in 0..tasks {
            event_loop.spawn(async move {
                for _ in 0..each {
                    luvio::yield_now().await;
                }
            });
        }
        let begin = Instant::now();
        event_loop.run().expect("the loop runs");
        begin.elapsed()
    }

    pub fn tokio_1(count: usize) -> Duration {
        tokio_tasks(1, count)
    }

    pub fn tokio_1000(count: usize) -> Duration {
        tokio_tasks(1_000, count / 1_000)
    }

    fn tokio_tasks(tasks: usize, each: usize) -> Duration {
        let local = LocalSet::new();
        for _ in 0..tasks {
            local.spawn_local(async move {
                for _ in 0..each {
                    tokio::task::yield_now().await;
                }
            });
        }
        let runtime = tokio_runtime();
        let begin = Instant::now();
        runtime.block_on(local);
        begin.elapsed()
    }

    pub fn async_executor_1(count: usize) -> Duration {
        async_executor_tasks(1, count)
    }

    pub fn async_executor_1000(count: usize) -> Duration {
        async_executor_tasks(1_000, count / 1_000)
    }

    fn async_executor_tasks(tasks: usize, each: usize) -> Duration {
        let executor = async_executor::LocalExecutor::new();
        let spawned: Vec<_> = (0..tasks)
            .map(|_| {
                executor.spawn(async move {
                    for _ in 0..each {
                        futures_lite::future::yield_now().await;
                    }
                })
            })
            .collect();
        let begin = Instant::now();
        futures_lite::future::block_on(executor.run(async {
            for task in spawned {
                task.await;
            }
        }));
        begin.elapsed()
    }
}

mod wakes {
    use super::*;

    /// Ready after it has woken itself so often.
    async fn wake_itself(count: usize) -> Duration {
        let begin = Instant::now();
        let mut left = count;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        begin.elapsed()
    }

    pub fn luvio(count: usize) -> Duration {
        luvio_block_on(async move { luvio::spawn(wake_itself(count)).await.expect("it ends") })
    }

    pub fn tokio(count: usize) -> Duration {
        tokio_block_on(async move {
            tokio::task::spawn_local(wake_itself(count)).await.expect("it ends")
        })
    }

    pub fn async_executor(count: usize) -> Duration {
        let executor = async_executor::LocalExecutor::new();
        let task = executor.spawn(wake_itself(count));
        futures_lite::future::block_on(executor.run(task))
    }

    pub fn futures(count: usize) -> Duration {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(async move {
            spawner.spawn_local_with_handle(wake_itself(count)).expect("it spawns").await
        })
    }
}

mod callbacks {
    use super::*;

    /// Waits for `future` and calls `callback` while it waits.
    async fn called_while_waiting<F: Future>(future: F, mut callback: impl FnMut()) -> F::Output {
        let mut future = pin!(future);
        let mut called = false;
        poll_fn(move |context| {
            let polled = future.as_mut().poll(context);
            if polled.is_pending() && !called {
                called = true;
                callback();
            }
            polled
        })
        .await
    }

    async fn luvio_task(count: usize) -> Duration {
        let waiting: RefCell<Option<Resume<usize>>> = RefCell::new(None);
        let begin = Instant::now();
        for n in 0..count {
            let register = |resume| {
                waiting.replace(Some(resume));
            };
            let callback = || {
                let resume = waiting.take().expect("it was registered");
                assert!(resume.with(n));
            };
            let answer = called_while_waiting(await_callback(register), callback).await;
            assert_eq!(answer.ok(), Some(n));
        }
        begin.elapsed()
    }

    async fn tokio_task(count: usize) -> Duration {
        let begin = Instant::now();
        for n in 0..count {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let mut sender = Some(sender);
            let callback = || {
                let _ = sender.take().expect("it is called once").send(n);
            };
            assert_eq!(called_while_waiting(receiver, callback).await.ok(), Some(n));
        }
        begin.elapsed()
    }

    async fn futures_task(count: usize) -> Duration {
        let begin = Instant::now();
        for n in 0..count {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let mut sender = Some(sender);
            let callback = || {
                let _ = sender.take().expect("it is called once").send(n);
            };
            assert_eq!(called_while_waiting(receiver, callback).await.ok(), Some(n));
        }
        begin.elapsed()
    }

    pub fn luvio(count: usize) -> Duration {
        luvio_block_on(async move { luvio::spawn(luvio_task(count)).await.expect("it ends") })
    }

    pub fn tokio(count: usize) -> Duration {
        tokio_block_on(async move {
            tokio::task::spawn_local(tokio_task(count)).await.expect("it ends")
        })
    }

    pub fn async_executor(count: usize) -> Duration {
        let executor = async_executor::LocalExecutor::new();
        let task = executor.spawn(futures_task(count));
        futures_lite::future::block_on(executor.run(task))
    }

    pub fn futures(count: usize) -> Duration {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(async move {
            spawner.spawn_local_with_handle(futures_task(count)).expect("it spawns").await
        })
    }

    pub fn luvio_defer(count: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        let called = Rc::new(Cell::new(0));
        let begin = Instant::now();
        for _ in 0..count / 1_000 {
            for _ in 0..1_000 {
                let called = Rc::clone(&called);
                event_loop.defer(move |_| called.set(called.get() + 1));
            }
            event_loop.run().expect("the loop runs");
        }
        let taken = begin.elapsed();
        assert_eq!(called.get(), count);
        taken
    }
}

mod threads {
    use super::*;

    pub fn luvio_pending(count: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        let notifier = Notifier::new(&event_loop, |notifier| drop(notifier.close()));
        let notifier = notifier.expect("a notifier can be made");
        let sender = notifier.sender();
        let begin = Instant::now();
        for _ in 0..count {
            sender.send().expect("the notifier is open");
        }
        let taken = begin.elapsed();
        event_loop.run().expect("the loop runs");
        taken
    }

    pub fn mio_pending(count: usize) -> Duration {
        let poll = mio::Poll::new().expect("a poll can be made");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker can be made");
        let begin = Instant::now();
        for _ in 0..count {
            waker.wake().expect("it wakes");
        }
        begin.elapsed()
    }

    pub fn luvio_round_trip(count: usize) -> Duration {
        let event_loop = Loop::new().expect("a loop can be made");
        let (ask, asked) = mpsc::channel::<()>();
        let left = Cell::new(count);
        let asker = ask.clone();
        let notifier = Notifier::new(&event_loop, move |notifier| {
            left.set(left.get() - 1);
            if left.get() == 0 {
                notifier.close();
            } else {
                asker.send(()).expect("the other thread is there");
            }
        });
        let sender = notifier.expect("a notifier can be made").sender();
        let other = thread::spawn(move || {
            for () in asked.iter().take(count) {
                let _ = sender.send();
            }
        });
        let begin = Instant::now();
        ask.send(()).expect("the other thread is there");
        event_loop.run().expect("the loop runs");
        let taken = begin.elapsed();
        other.join().expect("it ends");
        taken
    }

    pub fn tokio_round_trip(count: usize) -> Duration {
        let (ask, asked) = mpsc::channel::<()>();
        let notify = std::sync::Arc::new(tokio::sync::Notify::new());
        let sender = std::sync::Arc::clone(&notify);
        let other = thread::spawn(move || {
            for () in asked.iter().take(count) {
                sender.notify_one();
            }
        });
        let taken = tokio_block_on(async move {
            let begin = Instant::now();
            for _ in 0..count {
                ask.send(()).expect("the other thread is there");
                notify.notified().await;
            }
            begin.elapsed()
        });
        other.join().expect("it ends");
        taken
    }

    const THREADS: usize = 8;

    /// Ready when it got all that the threads send.
    async fn hear_all(count: usize) -> Duration {
        let begin = Instant::now();
        let (sender, receiver) = futures::channel::mpsc::unbounded::<()>();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for _ in 0..count / THREADS {
                        sender.unbounded_send(()).expect("somebody listens");
                    }
                })
            })
            .collect();
        drop(sender);
        let heard = futures::StreamExt::count(receiver).await;
        assert_eq!(heard, count);
        for thread in threads {
            thread.join().expect("it ends");
        }
        begin.elapsed()
    }

    pub fn luvio_wakes(count: usize) -> Duration {
        luvio_block_on(hear_all(count))
    }

    pub fn tokio_wakes(count: usize) -> Duration {
        tokio_block_on(hear_all(count))
    }
}

fn coroutine(count: usize) -> Duration {
    let counter = Coroutine::new(|co| async move {
        for n in 0.. {
            co.yield_(n).await;
        }
    });
    let begin = Instant::now();
    for n in 0..count {
        assert_eq!(counter.resume(()), Ok(luvio::coroutine::Resumed::Yielded(n)));
    }
    begin.elapsed()
}
