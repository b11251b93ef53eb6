//! `Loop::block_on`: what it waits for, what stays behind, and how else it can end.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use luvio::{
    JoinHandle, Loop, Misuse, Notifier, Prepare, RunMode, Tcp, Timer, is_canceled, sleep, yield_now,
};
use support::{
    Drops, Journal, check_expectations, expect, misuse, new_loop, turn, watchdog, with_loop,
    with_virtual_loop,
};

const HOUR: Duration = Duration::from_secs(3_600);

#[track_caller]
fn assert_deadlock<T: std::fmt::Debug>(result: io::Result<T>) {
    let err = result.expect_err("a deadlock");
    assert_eq!(err.kind(), io::ErrorKind::Deadlock);
    assert!(err.to_string().contains("nothing can wake"), "{err}");
}

/// A future that is ready at its second poll, and hands its waker to `first` at the first one.
fn at_second_poll(first: impl FnOnce(Waker)) -> impl Future<Output = ()> {
    let mut first = Some(first);
    poll_fn(move |context| match first.take() {
        Some(first) => {
            first(context.waker().clone());
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
}

// ---- what it gives --------------------------------------------------------------------------------------------------

/// The output, at once or after a while.
#[test]
fn block_on_yields_the_output() {
    with_virtual_loop(|event_loop| {
        assert_eq!(event_loop.block_on(async { 1 }).expect("the loop runs"), 1);
        let slow = async {
            sleep(HOUR).await;
            "an hour later".to_string()
        };
        assert_eq!(event_loop.block_on(slow).expect("the loop runs"), "an hour later");
        assert_eq!(event_loop.now(), HOUR);
    });
}

/// The variant for a future that can fail has one error for both: the future's own, of whatever type the caller uses.
#[test]
fn try_block_on_has_one_error() {
    fn main(event_loop: &Loop) -> Result<u16, Box<dyn std::error::Error>> {
        event_loop.try_block_on(async {
            yield_now().await;
            Ok("7000".parse::<u16>()?)
        })
    }
    with_loop(|event_loop| {
        assert_eq!(main(event_loop).expect("it is a number"), 7000);
        let tcp = Tcp::new(event_loop);
        assert_eq!(misuse(event_loop.try_block_on(tcp.read_once())), Misuse::NotConnected);
        event_loop.try_block_on(tcp.close()).expect("it can be closed");
        assert_deadlock(event_loop.try_block_on(pending::<io::Result<()>>()));
        event_loop.stop();
        let stopped = main(event_loop).expect_err("it was stopped");
        assert!(is_canceled(&stopped.downcast::<io::Error>().expect("the loop's own error")));
    });
}

/// Its future is named by the place of the call, too.
#[test]
fn try_block_on_is_named_by_its_place() {
    with_loop(|event_loop| {
        let line = line!() + 1;
        let place = event_loop.try_block_on(async {
            yield_now().await;
            io::Result::Ok(event_loop.alive_because()[0].place)
        });
        let place = place.expect("the loop runs");
        assert_eq!((place.file(), place.line()), (file!(), line));
    });
}

/// The future may borrow what the caller has, the loop included.
#[test]
fn future_may_borrow() {
    with_loop(|event_loop| {
        let mut words = vec!["one".to_string()];
        let longest = event_loop
            .block_on(async {
                yield_now().await;
                words.push("three".to_string());
                assert!(event_loop.is_alive());
                words.iter().map(String::len).max()
            })
            .expect("the loop runs");
        assert_eq!((longest, words.len()), (Some(5), 2));
    });
}

/// The future is dropped when `block_on` returns, and before that if it ended.
#[test]
fn future_is_dropped_with_the_call() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let token = drops.token();
    event_loop.block_on(async move { token.keep() }).expect("the loop runs");
    assert_eq!(drops.count(), 1);
    let token = drops.token();
    assert_deadlock(event_loop.block_on(async move {
        token.keep();
        pending::<()>().await;
    }));
    assert_eq!(drops.count(), 2);
}

/// The future is polled among the tasks, in turn, and only when it was woken.
#[test]
fn future_is_polled_among_the_tasks() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        for name in ["task1", "task2"] {
            let notes = journal.clone();
            event_loop.go(async move {
                notes.note(name);
                yield_now().await;
                notes.note(name);
            });
        }
        event_loop
            .block_on(async {
                journal.note("root");
                yield_now().await;
                journal.note("root");
                yield_now().await;
                journal.note("root");
            })
            .expect("the loop runs");
        journal.assert_is(&["task1", "task2", "root", "task1", "task2", "root", "root"]);
    });
}

/// Other tasks and handles stay for the next run.
#[test]
fn others_stay_for_the_next_run() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let (task, timer) = (journal.clone(), journal.clone());
        event_loop.go(async move {
            sleep(HOUR).await;
            task.note("task");
        });
        Timer::after(event_loop, HOUR / 2, move |_| timer.note("timer"));
        event_loop.block_on(sleep(HOUR / 4)).expect("the loop runs");
        journal.assert_is(&[]);
        assert!(event_loop.is_alive());
        event_loop.block_on(sleep(HOUR / 2)).expect("the loop runs");
        journal.assert_is(&["timer"]);
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["timer", "task"]);
    });
}

/// Tasks that the future spawns and does not join stay as well, and its join handles work.
#[test]
fn spawned_tasks_outlive_the_future() {
    with_loop(|event_loop| {
        let mut left = None;
        event_loop
            .block_on(async {
                let joined = luvio::spawn(async { 2 }).await.expect("it ends");
                assert_eq!(joined, 2);
                left = Some(luvio::spawn(yield_now()));
            })
            .expect("the loop runs");
        let left = left.expect("it was spawned");
        assert!(!left.is_finished() && event_loop.is_alive());
        event_loop.run().expect("the loop runs");
        assert!(left.is_finished());
    });
}

/// A late wake by the waker of a future that has ended disturbs neither a run nor the next `block_on`.
#[test]
fn waker_of_an_ended_future_is_harmless() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (sender, wakers) = mpsc::channel();
    let show = poll_fn(|context| {
        sender.send(context.waker().clone()).expect("the test is there");
        Poll::Ready(())
    });
    event_loop.block_on(show).expect("the loop runs");
    let waker = wakers.recv().expect("it was polled");
    waker.wake_by_ref();
    event_loop.run().expect("the loop runs");
    turn(&event_loop);
    waker.wake_by_ref();
    let ends = event_loop.block_on(async {
        waker.wake_by_ref();
        yield_now().await;
        8
    });
    assert_eq!(ends.expect("the loop runs"), 8);
    // It belongs to nobody now: who waits for nothing waits in vain.
    waker.wake_by_ref();
    assert_deadlock(event_loop.block_on(pending::<()>()));
}

/// A hundred thousand of them, one after the other.
#[test]
fn many_one_after_the_other() {
    with_loop(|event_loop| {
        for number in 0..100_000 {
            assert_eq!(event_loop.block_on(async { number }).expect("the loop runs"), number);
        }
    });
}

// ---- nested runs ----------------------------------------------------------------------------------------------------

/// Z-14, L-16: inside a callback of the same loop, `block_on` and `run` are errors that name the misuse; the future is
/// not polled and is dropped, and the outer run goes on.
#[test]
fn nested_run_in_a_callback_is_an_error() {
    let event_loop = Rc::new(new_loop());
    let _watchdog = watchdog();
    let drops = Drops::new();
    let went_on = expect(2);
    let (inside, token, again) = (Rc::clone(&event_loop), drops.token(), went_on.clone());
    event_loop.defer(move |event_loop| {
        let unpolled = async move {
            token.keep();
            unreachable!("the loop runs already");
        };
        assert_eq!(misuse(inside.block_on(unpolled)), Misuse::NestedRun);
        assert_eq!(misuse(inside.run()), Misuse::NestedRun);
        assert_eq!(misuse(inside.run_mode(RunMode::NoWait)), Misuse::NestedRun);
        event_loop.defer(move |_| {
            again.hit();
        });
    });
    Timer::after(&event_loop, Duration::from_millis(1), move |_| {
        went_on.hit();
    });
    event_loop.run().expect("the loop runs");
    assert_eq!(drops.count(), 1);
    assert!(!event_loop.is_alive());
    check_expectations();
}

/// Z-14: inside a task, and inside the future of another `block_on`, likewise.
#[test]
fn nested_run_in_a_task_is_an_error() {
    let _watchdog = watchdog();
    let event_loop = Rc::new(new_loop());
    let inside = Rc::clone(&event_loop);
    let task = event_loop.spawn(async move {
        let err = inside.block_on(async {}).expect_err("the loop runs already");
        assert_eq!(
            (Misuse::of(&err), err.kind()),
            (Some(Misuse::NestedRun), io::ErrorKind::ResourceBusy)
        );
        assert_eq!(misuse(inside.run()), Misuse::NestedRun);
        yield_now().await;
        "went on"
    });
    let outcome = event_loop.block_on(async {
        assert_eq!(misuse(event_loop.block_on(async {})), Misuse::NestedRun);
        assert_eq!(misuse(event_loop.run()), Misuse::NestedRun);
        task.await
    });
    assert_eq!(outcome.expect("the loop runs").expect("it ends"), "went on");
}

/// Another loop may block inside a task, which holds up the outer one.
#[test]
fn another_loop_may_block_inside_a_task() {
    with_loop(|event_loop| {
        let other = new_loop();
        let output = event_loop.block_on(async {
            let inner = other.block_on(async {
                sleep(Duration::from_millis(1)).await;
                luvio::spawn(async { 5 }).await.expect("it ends")
            });
            yield_now().await;
            inner
        });
        assert_eq!(output.expect("the loop runs").expect("the other too"), 5);
    });
}

// ---- deadlock -------------------------------------------------------------------------------------------------------

/// A future that nothing can wake is an error instead of a wait without end, and the loop is as it was.
#[test]
fn future_that_nothing_can_wake_is_a_deadlock() {
    with_loop(|event_loop| {
        for _ in 0..2 {
            assert_deadlock(event_loop.block_on(pending::<()>()));
            assert!(!event_loop.is_alive());
        }
        assert_eq!(event_loop.block_on(async { 3 }).expect("the loop runs"), 3);
    });
}

/// Only when nothing is alive: as long as there is a handle, a task or a queued callback, it might be what wakes it.
#[test]
fn deadlock_waits_until_nothing_is_alive() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let (task, timer) = (journal.clone(), journal.clone());
        event_loop.go(async move {
            sleep(HOUR).await;
            task.note("task");
        });
        Timer::after(event_loop, 2 * HOUR, move |_| timer.note("timer"));
        assert_deadlock(event_loop.block_on(pending::<()>()));
        journal.assert_is(&["task", "timer"]);
    });
}

/// Unreferenced handles and tasks, which do not hold a run, do not put it off.
#[test]
fn unreferenced_things_do_not_put_off_a_deadlock() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let timer = Timer::after(&event_loop, HOUR, |_| {});
    timer.unref();
    let notifier = Notifier::new(&event_loop, |_| {}).expect("a notifier can be made");
    notifier.unref();
    let task = event_loop.spawn(pending::<()>());
    task.unref();
    assert_deadlock(event_loop.block_on(pending::<()>()));
}

/// A join handle that was polled and let go holds the waker no longer.
#[test]
fn abandoned_join_handle_does_not_put_off_a_deadlock() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let task = event_loop.spawn(pending::<()>());
    task.unref();
    let mut abandoned = Some(task);
    assert_deadlock(event_loop.block_on(poll_fn(|context| {
        if let Some(mut task) = abandoned.take() {
            assert!(Pin::new(&mut task).poll(context).is_pending());
        }
        Poll::<()>::Pending
    })));
}

/// A waker in another thread means waiting, not a deadlock.
#[test]
fn waker_in_another_thread_means_waiting() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (to_thread, wakers) = mpsc::channel::<Waker>();
    let (go, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        let waker = wakers.recv().expect("it is sent");
        // Not before the loop has decided to wait.
        gone.recv().expect("a turn begins");
        waker.wake();
    });
    let prepare = Prepare::new(&event_loop);
    prepare
        .start(move |_| {
            let _ = go.send(());
        })
        .expect("it starts");
    prepare.unref();
    let waits = at_second_poll(move |waker| to_thread.send(waker).expect("the thread is there"));
    event_loop.block_on(waits).expect("no deadlock");
    thread.join().expect("it ends");
}

/// A wake that another thread has left, together with its last waker, is no deadlock either.
#[test]
fn wake_that_has_just_arrived_is_no_deadlock() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    for _ in 0..100 {
        let woken =
            at_second_poll(|waker| thread::spawn(move || waker.wake()).join().expect("it ends"));
        event_loop.block_on(woken).expect("no deadlock");
    }
}

/// Nor is one that comes from another loop which runs inside the future.
#[test]
fn wake_from_inside_another_loop_is_no_deadlock() {
    let _watchdog = watchdog();
    let (event_loop, inner) = (new_loop(), new_loop());
    let woken = at_second_poll(|waker| {
        inner.defer(move |_| waker.wake());
        inner.run().expect("another loop may run");
    });
    event_loop.block_on(woken).expect("no deadlock");
}

/// A waker that somebody on this thread holds means waiting as well: here for a closure from another thread.
#[test]
fn waker_held_by_an_unreferenced_notifier_means_waiting() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let slot: Rc<RefCell<Option<Waker>>> = Rc::default();
    let held = Rc::clone(&slot);
    let notifier = Notifier::new(&event_loop, move |_| {
        if let Some(waker) = held.take() {
            waker.wake();
        }
    })
    .expect("a notifier can be made");
    notifier.unref();
    let sender = notifier.sender();
    let waits = at_second_poll(|waker| {
        slot.replace(Some(waker));
        thread::spawn(move || sender.send());
    });
    event_loop.block_on(waits).expect("no deadlock");
}

/// A waker that was dropped unused leaves a deadlock, not a wait.
#[test]
fn dropped_waker_is_a_deadlock() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let waits = at_second_poll(|waker| thread::spawn(move || drop(waker)).join().expect("it ends"));
    assert_deadlock(event_loop.block_on(waits));
}

// ---- stop and panics ------------------------------------------------------------------------------------------------

/// `stop` ends it with `Canceled`, whoever calls it, and is used up by that.
#[test]
fn stop_cancels_it() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let waits = || {
            let token = drops.token();
            async move {
                token.keep();
                pending::<()>().await;
            }
        };
        event_loop.defer(|event_loop| event_loop.stop());
        let err = event_loop.block_on(waits()).expect_err("it was stopped");
        assert!(is_canceled(&err));
        let inside = event_loop.handle().clone();
        event_loop.go(async move { inside.stop() });
        let err = event_loop.block_on(waits()).expect_err("it was stopped");
        assert!(is_canceled(&err));
        let err = event_loop.block_on(async {
            event_loop.stop();
            yield_now().await;
            yield_now().await;
        });
        assert!(is_canceled(&err.expect_err("it was stopped")));
        assert_eq!(drops.count(), 2);
        assert_eq!(event_loop.block_on(async { 6 }).expect("it is not stopped any more"), 6);
    });
}

/// L-11: a stop from before it ends it without a poll.
#[test]
fn stop_from_before_cancels_it_unpolled() {
    with_loop(|event_loop| {
        event_loop.stop();
        let unpolled = async { unreachable!("it was stopped") };
        assert!(is_canceled(&event_loop.block_on(unpolled).expect_err("it was stopped")));
        assert_eq!(event_loop.block_on(async { 6 }).expect("it is not stopped any more"), 6);
    });
}

/// A future that is ready in the turn in which the loop is stopped is not canceled.
#[test]
fn output_wins_over_stop() {
    with_loop(|event_loop| {
        let output = event_loop.block_on(async {
            event_loop.stop();
            1
        });
        assert_eq!(output.expect("it is ready"), 1);
        assert_eq!(event_loop.block_on(async { 2 }).expect("the stop is used up"), 2);
    });
}

/// L-40: a panic of the future unwinds through it; what it held is dropped, and the loop and its tasks are as before.
#[test]
fn panic_of_the_future_unwinds() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let task: JoinHandle<()> = event_loop.spawn(async {
            yield_now().await;
            yield_now().await;
        });
        for yields in [0, 1] {
            let token = drops.token();
            let panics = async move {
                token.keep();
                for _ in 0..yields {
                    yield_now().await;
                }
                panic!("in the future");
            };
            let run = AssertUnwindSafe(|| event_loop.block_on(panics).is_ok());
            let payload = catch_unwind(run).expect_err("it unwinds");
            assert_eq!(payload.downcast_ref(), Some(&"in the future"));
            assert_eq!(drops.count(), yields + 1);
        }
        assert!(event_loop.is_alive());
        event_loop.block_on(task).expect("the loop runs").expect("it ends");
        assert!(!event_loop.is_alive());
        assert_deadlock(event_loop.block_on(pending::<()>()));
    });
}

/// L-40: so does a panic of a callback; the future is dropped.
#[test]
fn panic_of_a_callback_unwinds() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let token = drops.token();
        event_loop.defer(|_| panic!("in a callback"));
        let waits = async move {
            token.keep();
            pending::<()>().await;
        };
        let run = AssertUnwindSafe(|| event_loop.block_on(waits).is_ok());
        assert!(catch_unwind(run).is_err());
        assert_eq!((drops.count(), event_loop.is_alive()), (1, false));
        assert_eq!(event_loop.block_on(async { 1 }).expect("the loop runs"), 1);
    });
}

/// Z-09: a future that wakes itself for ever leaves timers their turn.
#[test]
fn future_that_wakes_itself_starves_nobody() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fired);
    Timer::after(&event_loop, Duration::from_millis(1), move |_| fired.set(true));
    let spins = poll_fn(|context: &mut Context<'_>| {
        context.waker().wake_by_ref();
        if seen.get() { Poll::Ready(()) } else { Poll::Pending }
    });
    event_loop.block_on(spins).expect("the loop runs");
}
