//! Wakes, most of them from other threads.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use luvio::Notifier;

use super::stopwatch::Stopwatch;
use super::{luvio_block_on, new_loop, tokio_block_on};
use crate::server::{LOAD_CORE, pin_to_core};

pub fn luvio_pending(count: usize) -> Duration {
    let event_loop = new_loop();
    let called = Rc::new(Cell::new(0));
    let calls = Rc::clone(&called);
    let notifier = Notifier::new(&event_loop, move |notifier| {
        calls.set(calls.get() + 1);
        notifier.close();
    });
    let sender = notifier.expect("a notifier can be made").sender();
    sender.send().expect("the notifier is open");
    let watch = Stopwatch::start();
    for _ in 0..count {
        sender.send().expect("the notifier is open");
    }
    let taken = watch.elapsed();
    event_loop.run().expect("the loop runs");
    assert_eq!(called.get(), 1);
    taken
}

pub fn mio_pending(count: usize) -> Duration {
    let poll = mio::Poll::new().expect("a poll can be made");
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker can be made");
    waker.wake().expect("it wakes");
    let watch = Stopwatch::start();
    for _ in 0..count {
        waker.wake().expect("it wakes");
    }
    watch.elapsed()
}

const BURST: usize = 10_000;

/// A task that is woken in bursts from another thread, while its own is stuck in it.
async fn hear_bursts(count: usize) -> Duration {
    let (ask, asked) = mpsc::channel::<Waker>();
    let (tell, told) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        pin_to_core(LOAD_CORE);
        for waker in asked {
            for _ in 0..BURST {
                waker.wake_by_ref();
            }
            tell.send(()).expect("the task is there");
        }
    });
    let mut polls = 0;
    let watch = Stopwatch::start();
    for _ in 0..count / BURST {
        let mut woken = false;
        poll_fn(|context| {
            polls += 1;
            if woken {
                return Poll::Ready(());
            }
            woken = true;
            ask.send(context.waker().clone()).expect("the other thread is there");
            told.recv().expect("the other thread is there");
            Poll::Pending
        })
        .await;
    }
    drop(ask);
    other.join().expect("it ends");
    let taken = watch.elapsed();
    assert!(polls >= 2 * (count / BURST));
    taken
}

pub fn luvio_burst(count: usize) -> Duration {
    luvio_block_on(async move { luvio::spawn(hear_bursts(count)).await.expect("it ends") })
}

pub fn tokio_burst(count: usize) -> Duration {
    tokio_block_on(
        async move { tokio::task::spawn_local(hear_bursts(count)).await.expect("it ends") },
    )
}

pub fn async_executor_burst(count: usize) -> Duration {
    let executor = async_executor::LocalExecutor::new();
    let task = executor.spawn(hear_bursts(count));
    async_io::block_on(executor.run(task))
}

const THREADS: usize = 8;

/// Ready when it got all that the threads send.
async fn hear_messages(count: usize) -> Duration {
    let watch = Stopwatch::start();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<()>();
    let send = |sender: futures::channel::mpsc::UnboundedSender<()>| {
        move || {
            pin_to_core(LOAD_CORE);
            for _ in 0..count / THREADS {
                sender.unbounded_send(()).expect("somebody listens");
            }
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(send(sender.clone()))).collect();
    drop(sender);
    let heard = futures::StreamExt::count(receiver).await;
    assert_eq!(heard, count);
    for thread in threads {
        thread.join().expect("it ends");
    }
    watch.elapsed()
}

pub fn luvio_messages(count: usize) -> Duration {
    luvio_block_on(async move { luvio::spawn(hear_messages(count)).await.expect("it ends") })
}

pub fn tokio_messages(count: usize) -> Duration {
    tokio_block_on(
        async move { tokio::task::spawn_local(hear_messages(count)).await.expect("it ends") },
    )
}

/// What is sent there and back between a task on this core and a thread on another one.
struct Ball {
    here: AtomicBool,
    waker: Waker,
}

/// Each time: asks the other thread, sleeps, is woken by it.
async fn play(count: usize) -> Duration {
    let (ask, asked) = mpsc::channel::<Arc<Ball>>();
    let other = thread::spawn(move || {
        pin_to_core(LOAD_CORE);
        for ball in asked {
            ball.here.store(true, Ordering::Release);
            ball.waker.wake_by_ref();
        }
    });
    let begin = Instant::now();
    for _ in 0..count {
        let mut sent: Option<Arc<Ball>> = None;
        poll_fn(|context| match &sent {
            Some(ball) if ball.here.load(Ordering::Acquire) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let waker = context.waker().clone();
                let ball = Arc::new(Ball { here: AtomicBool::new(false), waker });
                sent = Some(Arc::clone(&ball));
                ask.send(ball).expect("the other thread is there");
                Poll::Pending
            }
        })
        .await;
    }
    let taken = begin.elapsed();
    drop(ask);
    other.join().expect("it ends");
    taken
}

pub fn luvio_round_trip(count: usize) -> Duration {
    luvio_block_on(async move { luvio::spawn(play(count)).await.expect("it ends") })
}

pub fn tokio_round_trip(count: usize) -> Duration {
    tokio_block_on(async move { tokio::task::spawn_local(play(count)).await.expect("it ends") })
}

pub fn async_io_round_trip(count: usize) -> Duration {
    let executor = async_executor::LocalExecutor::new();
    let task = executor.spawn(play(count));
    async_io::block_on(executor.run(task))
}
