//! Wakers: when a wake makes a task run, on its own thread and on others.

mod support;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::task::{Poll, Waker};
use std::thread;

use luvio::{RunMode, yield_now};
use support::{counting, expect, new_loop, showing_waker, turn, watchdog, with_loop};

/// A waker that is used while its task is polled leads to another poll; used often, to one.
#[test]
fn wakes_before_a_poll_are_one_and_a_wake_during_it_is_another() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let slot = Rc::default();
    let polls = Rc::new(Cell::new(0));
    let (shown, counter) = (showing_waker(&slot), Rc::clone(&polls));
    let mut shown = Box::pin(shown);
    let handle = event_loop.spawn(poll_fn(move |context| {
        counter.set(counter.get() + 1);
        if counter.get() == 1 {
            context.waker().wake_by_ref();
            context.waker().wake_by_ref();
        }
        shown.as_mut().poll(context)
    }));
    turn(&event_loop);
    assert_eq!(polls.get(), 2);
    let waker = slot.take().expect("it was polled");
    waker.wake_by_ref();
    let in_callback = waker.clone();
    event_loop.defer(move |_| in_callback.wake());
    waker.wake();
    turn(&event_loop);
    turn(&event_loop);
    assert_eq!(polls.get(), 3);
    handle.abort();
    event_loop.run().expect("the loop runs");
}

/// Z-10: waking a task that has ended does nothing, also to the one that took its place, and its waker may outlive the
/// loop.
#[test]
fn waker_of_an_ended_task_wakes_nobody() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let slot = Rc::default();
    let first = event_loop.spawn(showing_waker(&slot));
    turn(&event_loop);
    first.abort();
    turn(&event_loop);
    assert!(first.is_finished());
    let old = slot.take().expect("it was polled");
    let polls = Rc::new(Cell::new(0));
    let second = event_loop.spawn(counting(&polls));
    turn(&event_loop);
    old.wake_by_ref();
    let stale = old.clone();
    event_loop.defer(move |_| stale.wake_by_ref());
    thread::scope(|scope| {
        scope.spawn(|| old.wake_by_ref());
    });
    turn(&event_loop);
    turn(&event_loop);
    assert_eq!(polls.get(), 1);
    drop((second, event_loop));
    old.wake();
}

/// A task that ended with its waker unshared leaves it to the next: which is woken as if it were its own.
#[test]
fn used_wakers_serve_new_tasks() {
    with_loop(|event_loop| {
        let ended = expect(50);
        for _ in 0..50 {
            let ended = ended.clone();
            event_loop.go(async move {
                // Ends while it is marked as woken, twice over.
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    Poll::Ready(())
                })
                .await;
                yield_now().await;
                ended.hit();
            });
            event_loop.run().expect("the loop runs");
        }
    });
}

/// A thread that uses each waker that it is sent, and drops it.
fn waking_thread(wakers: Receiver<Waker>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for waker in wakers {
            waker.wake();
        }
    })
}

/// Z-10: a waker may be sent to another thread, used and dropped there, also while the loop sleeps; the task is polled
/// on the loop's thread.
#[test]
fn wakers_may_be_used_on_other_threads() {
    with_loop(|event_loop| {
        let (sender, wakers) = mpsc::channel();
        let thread = waking_thread(wakers);
        let here = thread::current().id();
        let done = expect(1);
        event_loop.go(async move {
            for _ in 0..100 {
                let mut woken = false;
                poll_fn(|context| {
                    assert_eq!(thread::current().id(), here);
                    if woken {
                        return Poll::Ready(());
                    }
                    woken = true;
                    sender.send(context.waker().clone()).expect("the thread is there");
                    Poll::Pending
                })
                .await;
            }
            done.hit();
        });
        event_loop.run().expect("the loop runs");
        thread.join().expect("it ends");
    });
}

/// Z-10: the last clone of a waker may be dropped on another thread, after its task and after its loop.
#[test]
fn last_waker_may_be_dropped_on_another_thread() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let slot = Rc::default();
    let handle = event_loop.spawn(showing_waker(&slot));
    turn(&event_loop);
    let kept: Waker = slot.take().expect("it was polled");
    let clone = kept.clone();
    thread::spawn(move || drop(clone)).join().expect("it ends");
    drop((handle, event_loop));
    thread::spawn(move || kept.wake()).join().expect("it ends");
}

/// Z-10: of the wakes that eight threads send at once, each waiting for the answer to the last, none is lost.
#[test]
fn no_wake_from_another_thread_is_lost() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500;
    with_loop(|event_loop| {
        let ended = expect(THREADS);
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (to_thread, wakers) = mpsc::channel::<Waker>();
            let rounds = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&rounds);
            threads.push(thread::spawn(move || {
                for waker in wakers {
                    counter.fetch_add(1, Ordering::SeqCst);
                    waker.wake();
                }
            }));
            let ended = ended.clone();
            event_loop.go(async move {
                for round in 0..ROUNDS {
                    let mut sent = false;
                    poll_fn(|context| {
                        if rounds.load(Ordering::SeqCst) > round {
                            return Poll::Ready(());
                        }
                        if !sent {
                            sent = true;
                            to_thread.send(context.waker().clone()).expect("the thread is there");
                        }
                        Poll::Pending
                    })
                    .await;
                }
                ended.hit();
            });
        }
        event_loop.run().expect("the loop runs");
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

/// Z-10: a burst of wakes from eight threads, for tasks that wait for the last of them, leaves nobody asleep.
#[test]
fn burst_of_wakes_from_other_threads() {
    const THREADS: usize = 8;
    const WAKES: usize = 5_000;
    with_loop(|event_loop| {
        let sent = Arc::new(AtomicUsize::new(0));
        let ended = expect(THREADS);
        let (to_threads, wakers) = mpsc::channel::<Waker>();
        for _ in 0..THREADS {
            let (sent, ended, to_threads) = (Arc::clone(&sent), ended.clone(), to_threads.clone());
            let mut shown = false;
            event_loop.go(async move {
                poll_fn(|context| {
                    if !shown {
                        shown = true;
                        to_threads.send(context.waker().clone()).expect("the test is there");
                    }
                    let all = THREADS * WAKES;
                    if sent.load(Ordering::SeqCst) == all { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                ended.hit();
            });
        }
        turn(event_loop);
        let wakers: Vec<_> = wakers.try_iter().collect();
        assert_eq!(wakers.len(), THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (sent, wakers) = (Arc::clone(&sent), wakers.clone());
                thread::spawn(move || {
                    for _ in 0..WAKES {
                        sent.fetch_add(1, Ordering::SeqCst);
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                })
            })
            .collect();
        drop(wakers);
        event_loop.run().expect("the loop runs");
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

/// Z-10: wakes that come before the loop runs, from its own thread and another, are kept for the run.
#[test]
fn wakes_between_runs_are_kept() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let slot = Rc::default();
    let polls = Rc::new(Cell::new(0));
    let (mut shown, counter) = (Box::pin(showing_waker(&slot)), Rc::clone(&polls));
    let handle = event_loop.spawn(poll_fn(move |context| {
        counter.set(counter.get() + 1);
        shown.as_mut().poll(context)
    }));
    turn(&event_loop);
    slot.take().expect("it was polled").wake();
    event_loop.run_mode(RunMode::Once).expect("the loop runs");
    assert_eq!(polls.get(), 2);
    let waker = slot.take().expect("it was polled");
    thread::spawn(move || waker.wake()).join().expect("it ends");
    event_loop.run_mode(RunMode::Once).expect("the loop runs");
    assert_eq!(polls.get(), 3);
    handle.abort();
    event_loop.run().expect("the loop runs");
}
