//! How the end of something is handed over: to a callback in the next pass, to a task, or to a coroutine's caller.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use luvio::coroutine::Resumed;
use luvio::{Coroutine, Resume, Tcp, await_callback};

use super::stopwatch::Stopwatch;
use super::{luvio_block_on, new_loop, tokio_block_on};

/// Callbacks queued before the loop runs.
const BATCH: usize = 1_000;

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

pub fn luvio_callback(count: usize) -> Duration {
    let task = async move {
        let waiting: RefCell<Option<Resume<usize>>> = RefCell::new(None);
        let watch = Stopwatch::start();
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
        watch.elapsed()
    };
    luvio_block_on(async move { luvio::spawn(task).await.expect("it ends") })
}

pub fn tokio_oneshot(count: usize) -> Duration {
    let task = async move {
        let watch = Stopwatch::start();
        for n in 0..count {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let mut sender = Some(sender);
            let callback = || {
                let _ = sender.take().expect("it is called once").send(n);
            };
            assert_eq!(called_while_waiting(receiver, callback).await.ok(), Some(n));
        }
        watch.elapsed()
    };
    tokio_block_on(async move { tokio::task::spawn_local(task).await.expect("it ends") })
}

async fn futures_callbacks(count: usize) -> Duration {
    let watch = Stopwatch::start();
    for n in 0..count {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let mut sender = Some(sender);
        let callback = || {
            let _ = sender.take().expect("it is called once").send(n);
        };
        assert_eq!(called_while_waiting(receiver, callback).await.ok(), Some(n));
    }
    watch.elapsed()
}

pub fn async_executor_oneshot(count: usize) -> Duration {
    let executor = async_executor::LocalExecutor::new();
    let task = executor.spawn(futures_callbacks(count));
    futures_lite::future::block_on(executor.run(task))
}

pub fn futures_oneshot(count: usize) -> Duration {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let task = spawner.spawn_local_with_handle(futures_callbacks(count)).expect("it spawns");
    pool.run_until(task)
}

/// A request that needs no system call: nothing is queued, so the queue is drained.
pub fn luvio_request_then(count: usize) -> Duration {
    let event_loop = new_loop();
    let tcp = Tcp::new(&event_loop);
    let called = Rc::new(Cell::new(0));
    let watch = Stopwatch::start();
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            let called = Rc::clone(&called);
            tcp.drained().then(move |drained| {
                drained.expect("nothing is queued");
                called.set(called.get() + 1);
            });
        }
        event_loop.run().expect("the loop runs");
    }
    let taken = watch.elapsed();
    assert_eq!(called.get(), count);
    taken
}

pub fn luvio_request_await(count: usize) -> Duration {
    let event_loop = new_loop();
    let tcp = Tcp::new(&event_loop);
    let task = event_loop.spawn(async move {
        let watch = Stopwatch::start();
        for _ in 0..count {
            tcp.drained().await.expect("nothing is queued");
        }
        watch.elapsed()
    });
    event_loop.block_on(task).expect("the loop runs").expect("it ends")
}

pub fn tokio_ready_oneshot(count: usize) -> Duration {
    let task = async move {
        let watch = Stopwatch::start();
        for n in 0..count {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            sender.send(n).expect("the other end is there");
            assert_eq!(receiver.await.ok(), Some(n));
        }
        watch.elapsed()
    };
    tokio_block_on(async move { tokio::task::spawn_local(task).await.expect("it ends") })
}

pub fn futures_ready_oneshot(count: usize) -> Duration {
    let task = async move {
        let watch = Stopwatch::start();
        for n in 0..count {
            let (sender, receiver) = futures::channel::oneshot::channel();
            sender.send(n).expect("the other end is there");
            assert_eq!(receiver.await.ok(), Some(n));
        }
        watch.elapsed()
    };
    let mut pool = LocalPool::new();
    let task = pool.spawner().spawn_local_with_handle(task).expect("it spawns");
    pool.run_until(task)
}

pub fn luvio_defer(count: usize) -> Duration {
    let event_loop = new_loop();
    let called = Rc::new(Cell::new(0));
    let watch = Stopwatch::start();
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            let called = Rc::clone(&called);
            event_loop.defer(move |_| called.set(called.get() + 1));
        }
        event_loop.run().expect("the loop runs");
    }
    let taken = watch.elapsed();
    assert_eq!(called.get(), count);
    taken
}

pub fn coroutine(count: usize) -> Duration {
    let counter = Coroutine::new(|co| async move {
        for n in 0.. {
            co.yield_(n).await;
        }
    });
    let watch = Stopwatch::start();
    for n in 0..count {
        assert_eq!(counter.resume(()), Ok(Resumed::Yielded(n)));
    }
    watch.elapsed()
}
