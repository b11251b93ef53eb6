//! Tasks: spawning and joining them, yielding, and waking themselves.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use async_executor::LocalExecutor;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;

use super::stopwatch::Stopwatch;
use super::{luvio_block_on, new_loop, tokio_block_on};

pub fn luvio_spawn_each(count: usize) -> Duration {
    luvio_block_on(luvio_spawn_by(count, 1))
}

pub fn luvio_spawn(count: usize) -> Duration {
    luvio_block_on(luvio_spawn_by(count, 1_000))
}

pub fn luvio_spawn_all(count: usize) -> Duration {
    luvio_block_on(luvio_spawn_by(count, count))
}

async fn luvio_spawn_by(count: usize, batch: usize) -> Duration {
    let watch = Stopwatch::start();
    for _ in 0..count / batch {
        let tasks: Vec<_> = (0..batch).map(|n| luvio::spawn(async move { n })).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("the task ends"), n);
        }
    }
    watch.elapsed()
}

pub fn tokio_spawn_each(count: usize) -> Duration {
    tokio_block_on(tokio_spawn_by(count, 1))
}

pub fn tokio_spawn(count: usize) -> Duration {
    tokio_block_on(tokio_spawn_by(count, 1_000))
}

pub fn tokio_spawn_all(count: usize) -> Duration {
    tokio_block_on(tokio_spawn_by(count, count))
}

async fn tokio_spawn_by(count: usize, batch: usize) -> Duration {
    let spawn = |n| tokio::task::spawn_local(async move { n });
    let watch = Stopwatch::start();
    for _ in 0..count / batch {
        let tasks: Vec<_> = (0..batch).map(spawn).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("the task ends"), n);
        }
    }
    watch.elapsed()
}

pub fn async_executor_spawn_each(count: usize) -> Duration {
    async_executor_spawn_by(count, 1)
}

pub fn async_executor_spawn(count: usize) -> Duration {
    async_executor_spawn_by(count, 1_000)
}

pub fn async_executor_spawn_all(count: usize) -> Duration {
    async_executor_spawn_by(count, count)
}

fn async_executor_spawn_by(count: usize, batch: usize) -> Duration {
    let executor = LocalExecutor::new();
    futures_lite::future::block_on(executor.run(async {
        let watch = Stopwatch::start();
        for _ in 0..count / batch {
            let tasks: Vec<_> = (0..batch).map(|n| executor.spawn(async move { n })).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await, n);
            }
        }
        watch.elapsed()
    }))
}

pub fn futures_spawn_each(count: usize) -> Duration {
    futures_spawn_by(count, 1)
}

pub fn futures_spawn(count: usize) -> Duration {
    futures_spawn_by(count, 1_000)
}

pub fn futures_spawn_all(count: usize) -> Duration {
    futures_spawn_by(count, count)
}

fn futures_spawn_by(count: usize, batch: usize) -> Duration {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let spawn = |n| spawner.spawn_local_with_handle(async move { n }).expect("it spawns");
    pool.run_until(async {
        let watch = Stopwatch::start();
        for _ in 0..count / batch {
            let tasks: Vec<_> = (0..batch).map(spawn).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await, n);
            }
        }
        watch.elapsed()
    })
}

pub fn luvio_yield_1(count: usize) -> Duration {
    luvio_tasks(1, || async move {
        for _ in 0..count {
            luvio::yield_now().await;
        }
    })
}

pub fn luvio_yield_1000(count: usize) -> Duration {
    luvio_tasks(1_000, || async move {
        for _ in 0..count / 1_000 {
            luvio::yield_now().await;
        }
    })
}

pub fn tokio_yield_1(count: usize) -> Duration {
    tokio_tasks(1, || async move {
        for _ in 0..count {
            tokio::task::yield_now().await;
        }
    })
}

pub fn tokio_yield_1000(count: usize) -> Duration {
    tokio_tasks(1_000, || async move {
        for _ in 0..count / 1_000 {
            tokio::task::yield_now().await;
        }
    })
}

pub fn async_executor_yield_1(count: usize) -> Duration {
    async_executor_tasks(1, || async move {
        for _ in 0..count {
            futures_lite::future::yield_now().await;
        }
    })
}

pub fn async_executor_yield_1000(count: usize) -> Duration {
    async_executor_tasks(1_000, || async move {
        for _ in 0..count / 1_000 {
            futures_lite::future::yield_now().await;
        }
    })
}

/// Ready after it has woken itself so often.
fn wake_itself(count: usize) -> impl Future<Output = ()> {
    let mut left = count;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

pub fn luvio_wake_1(count: usize) -> Duration {
    luvio_tasks(1, || wake_itself(count))
}

pub fn luvio_wake_1000(count: usize) -> Duration {
    luvio_tasks(1_000, || wake_itself(count / 1_000))
}

pub fn tokio_wake_1(count: usize) -> Duration {
    tokio_tasks(1, || wake_itself(count))
}

pub fn tokio_wake_1000(count: usize) -> Duration {
    tokio_tasks(1_000, || wake_itself(count / 1_000))
}

pub fn async_executor_wake_1(count: usize) -> Duration {
    async_executor_tasks(1, || wake_itself(count))
}

pub fn async_executor_wake_1000(count: usize) -> Duration {
    async_executor_tasks(1_000, || wake_itself(count / 1_000))
}

pub fn futures_wake_1(count: usize) -> Duration {
    futures_tasks(1, || wake_itself(count))
}

pub fn futures_wake_1000(count: usize) -> Duration {
    futures_tasks(1_000, || wake_itself(count / 1_000))
}

/// Runs so many tasks from their first poll to their end; the others do the same on their executors.
fn luvio_tasks<F: Future<Output = ()> + 'static>(tasks: usize, task: impl Fn() -> F) -> Duration {
    let event_loop = new_loop();
    let spawned: Vec<_> = (0..tasks).map(|_| event_loop.spawn(task())).collect();
    let join_all = async {
        for task in spawned {
            task.await.expect("it ends");
        }
    };
    let watch = Stopwatch::start();
    event_loop.block_on(join_all).expect("the loop runs");
    watch.elapsed()
}

fn tokio_tasks<F: Future<Output = ()> + 'static>(tasks: usize, task: impl Fn() -> F) -> Duration {
    let (runtime, local) = (super::tokio_runtime(), tokio::task::LocalSet::new());
    let spawned: Vec<_> = (0..tasks).map(|_| local.spawn_local(task())).collect();
    let join_all = async {
        for task in spawned {
            task.await.expect("it ends");
        }
    };
    let watch = Stopwatch::start();
    local.block_on(&runtime, join_all);
    watch.elapsed()
}

fn async_executor_tasks<F: Future<Output = ()> + 'static>(
    tasks: usize,
    task: impl Fn() -> F,
) -> Duration {
    let executor = LocalExecutor::new();
    let spawned: Vec<_> = (0..tasks).map(|_| executor.spawn(task())).collect();
    let join_all = async {
        for task in spawned {
            task.await;
        }
    };
    let watch = Stopwatch::start();
    futures_lite::future::block_on(executor.run(join_all));
    watch.elapsed()
}

fn futures_tasks<F: Future<Output = ()> + 'static>(tasks: usize, task: impl Fn() -> F) -> Duration {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let spawned: Vec<_> =
        (0..tasks).map(|_| spawner.spawn_local_with_handle(task()).expect("it spawns")).collect();
    let join_all = async {
        for task in spawned {
            task.await;
        }
    };
    let watch = Stopwatch::start();
    pool.run_until(join_all);
    watch.elapsed()
}
