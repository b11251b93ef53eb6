//! Tasks: when they are polled, how they end, and who hears of it.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use luvio::{
    AliveKind, Check, Idle, JoinError, JoinHandle, Notifier, Prepare, RunMode, Timer, is_canceled,
    sleep, yield_now,
};
use support::{
    Drops, Journal, counting, expect, new_loop, panic_text, showing_waker, turn, turns, watchdog,
    with_loop, with_virtual_loop,
};

const ZERO: Duration = Duration::ZERO;

/// What a debug build does in a moment, and ten times that in a release build.
const MANY: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

fn is_canceled_task<T>(outcome: &Result<T, JoinError>) -> bool {
    matches!(outcome, Err(JoinError::Canceled))
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

// ---- when a task is polled ------------------------------------------------------------------------------------------

/// Z-08: `spawn` and `go` never poll, neither outside a run nor inside a callback or a task.
#[test]
fn first_poll_is_never_inside_spawn_or_go() {
    with_loop(|event_loop| {
        let inside = Rc::new(Cell::new(false));
        let polled = expect(6);
        let task = || {
            let (inside, polled) = (Rc::clone(&inside), polled.clone());
            async move {
                assert!(!inside.get());
                polled.hit();
            }
        };
        event_loop.spawn(task());
        event_loop.go(task());
        assert_eq!(polled.hits(), 0);
        let (spawned, gone) = (task(), task());
        let during = Rc::clone(&inside);
        event_loop.defer(move |event_loop| {
            during.set(true);
            luvio::spawn(spawned);
            event_loop.go(gone);
            during.set(false);
        });
        let (spawned, gone) = (task(), task());
        let during = Rc::clone(&inside);
        event_loop.spawn(async move {
            during.set(true);
            luvio::spawn(spawned);
            luvio::go(gone);
            during.set(false);
        });
    });
}

/// Z-08: a task that an I/O callback spawns starts in the same turn, before the check phase.
#[test]
fn task_spawned_by_an_io_callback_runs_in_the_same_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let notes = journal.clone();
    let notifier = Notifier::new(&event_loop, move |_| {
        let (spawned, gone) = (notes.clone(), notes.clone());
        luvio::spawn(async move {
            let inner = spawned.clone();
            luvio::spawn(async move { inner.note("spawned by a task") });
            spawned.note("spawned");
        });
        luvio::go(async move { gone.note("go") });
        notes.note("callback");
    });
    notifier.expect("a notifier can be made").sender().send().expect("it is open");
    let check = Check::new(&event_loop);
    let notes = journal.clone();
    check.start(move |_| notes.note("check")).expect("it starts");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["callback", "spawned", "go", "spawned by a task", "check"]);
}

/// Z-08, Z-09: tasks run after the I/O callbacks and after the timers, whoever spawned them before.
#[test]
fn tasks_run_after_the_io_callbacks_and_after_the_timers() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let spawn = |what: &'static str| {
        let journal = journal.clone();
        move || {
            let notes = journal.clone();
            luvio::go(async move { notes.note(what) });
        }
    };
    let (idle, prepare, check) =
        (Idle::new(&event_loop), Prepare::new(&event_loop), Check::new(&event_loop));
    let (from_idle, from_prepare, from_check) = (spawn("idle"), spawn("prepare"), spawn("check"));
    let (from_close, from_timer) = (spawn("close"), spawn("timer"));
    idle.start(move |_| from_idle()).expect("it starts");
    prepare.start(move |_| from_prepare()).expect("it starts");
    let notes = journal.clone();
    check
        .start(move |check| {
            notes.note("check phase");
            from_check();
            let from_close = from_close.clone();
            check.close().then(move |_| from_close());
        })
        .expect("it starts");
    let notes = journal.clone();
    Timer::after(&event_loop, ZERO, move |_| {
        notes.note("timers");
        from_timer();
    });
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["idle", "prepare", "check phase", "timers", "check", "close", "timer"]);
}

/// A run in default mode gives the tasks that are ready a turn before it polls for the first time.
#[test]
fn default_mode_begins_with_the_tasks_that_are_ready() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let turns = turns(&event_loop);
    let at = event_loop.spawn(async move { turns.get() });
    event_loop.run().expect("the loop runs");
    assert_eq!(event_loop.block_on(at).expect("it runs").expect("it ended"), 0);
}

/// Tasks are polled in the order in which they were woken.
#[test]
fn first_woken_is_first_polled() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        for name in ["a", "b", "c"] {
            let notes = journal.clone();
            event_loop.go(async move {
                notes.note(format!("{name}1"));
                yield_now().await;
                notes.note(format!("{name}2"));
            });
        }
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["a1", "b1", "c1", "a2", "b2", "c2"]);
    });
}

/// Z-11: `LoopHandle::spawn` and `go` work before the loop runs, from a handle that was cloned.
#[test]
fn tasks_can_be_spawned_before_the_loop_runs() {
    with_loop(|event_loop| {
        let handle = event_loop.handle().clone();
        let ran = expect(2);
        let (spawned, gone) = (ran.clone(), ran);
        handle.spawn(async move { spawned.hit() });
        handle.go(async move {
            gone.hit();
        });
    });
}

// ---- joining, detaching, references ---------------------------------------------------------------------------------

/// Z-11: the output reaches whoever awaits the handle, before or after the end of the task.
#[test]
fn join_handle_yields_the_output() {
    with_loop(|event_loop| {
        let joined = expect(2);
        let (early, late) = (joined.clone(), joined);
        let slow = event_loop.spawn(async {
            yield_now().await;
            "slow".to_string()
        });
        let fast = event_loop.spawn(async { "fast".to_string() });
        event_loop.go(async move {
            assert!(!slow.is_finished());
            assert_eq!(slow.await.expect("it ends"), "slow");
            early.hit();
            assert!(fast.is_finished());
            assert_eq!(fast.await.expect("it has ended"), "fast");
            late.hit();
        });
    });
}

/// Joining does not need a loop of its own: any executor may poll the handle.
#[test]
fn join_handle_can_be_polled_by_hand() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let mut joined = pin!(event_loop.spawn(async { 7 }));
    let mut context = Context::from_waker(Waker::noop());
    assert!(joined.as_mut().poll(&mut context).is_pending());
    event_loop.run().expect("the loop runs");
    assert!(matches!(joined.as_mut().poll(&mut context), Poll::Ready(Ok(7))));
    let text = panic_text(|| joined.as_mut().poll(&mut context).is_ready());
    assert!(text.contains("polled again"), "{text}");
}

/// Z-11: dropping the handle detaches the task, before and after its first poll; its output is dropped at its end.
#[test]
fn dropping_the_handle_detaches_the_task() {
    let drops = Drops::new();
    let outputs = Drops::new();
    with_loop(|event_loop| {
        let ended = expect(2);
        for polls_before in [0, 1] {
            let (ended, captured, output) = (ended.clone(), drops.token(), outputs.token());
            let handle = event_loop.spawn(async move {
                captured.keep();
                yield_now().await;
                ended.hit();
                output
            });
            (0..polls_before).for_each(|_| turn(event_loop));
            drop(handle);
            assert_eq!(drops.count(), 0);
        }
        event_loop.run().expect("the loop runs");
        assert_eq!((drops.count(), outputs.count()), (2, 2));
    });
}

/// Z-11: the output of a task that has ended waits for the joiner, and goes with its handle.
#[test]
fn unclaimed_output_goes_with_the_handle() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let token = drops.token();
    let handle = event_loop.spawn(async move { token });
    event_loop.run().expect("the loop runs");
    assert_eq!((handle.is_finished(), drops.count()), (true, 0));
    drop(handle);
    assert_eq!(drops.count(), 1);
}

/// Before the joiner hears of the end, what the task held is released.
#[test]
fn ended_task_has_dropped_what_it_held() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let token = drops.token();
    let handle = event_loop.spawn(poll_fn(move |_| {
        token.keep();
        Poll::Ready(())
    }));
    let seen = event_loop.block_on(async {
        handle.await.expect("it ends");
        drops.count()
    });
    assert_eq!(seen.expect("the loop runs"), 1);
}

/// Z-11, L-04: a task keeps the loop alive until it ends, and says where it was spawned.
#[test]
fn task_keeps_the_loop_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (handle, line) = (event_loop.spawn(pending::<()>()), line!());
    turn(&event_loop);
    assert!(event_loop.is_alive());
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].kind, AliveKind::Task);
    assert_eq!((reasons[0].place.file(), reasons[0].place.line()), (file!(), line));
    handle.abort();
    event_loop.run().expect("the loop runs");
    assert!(!event_loop.is_alive() && event_loop.alive_because().is_empty());
}

/// Z-11, H-03, H-05: an unreferenced task does not hold the loop, however often it was told, nor is it run for its own
/// sake; referenced again, it does and is.
#[test]
fn unreferenced_task_does_not_keep_the_loop_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let polls = Rc::new(Cell::new(0));
    let handle = event_loop.spawn(counting(&polls));
    handle.unref();
    handle.unref();
    event_loop.run().expect("the loop runs");
    assert_eq!((event_loop.is_alive(), polls.get()), (false, 0));
    assert!(event_loop.alive_because().is_empty());
    handle.ref_();
    handle.ref_();
    assert!(event_loop.is_alive());
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    assert_eq!((event_loop.is_alive(), polls.get()), (true, 1));
    handle.unref();
    assert!(!event_loop.is_alive());
    // Nothing was counted twice: the end of an unreferenced task takes nothing from the others.
    let other = event_loop.spawn(pending::<()>());
    handle.abort();
    turn(&event_loop);
    assert!(handle.is_finished() && event_loop.is_alive());
    other.abort();
    event_loop.run().expect("the loop runs");
}

/// Z-11: while something else holds the loop, an unreferenced task goes on.
#[test]
fn unreferenced_task_goes_on_while_the_loop_lives() {
    with_virtual_loop(|event_loop| {
        let slept = expect(2);
        let at_end = slept.clone();
        let ticker = event_loop.spawn(async move {
            loop {
                sleep(Duration::from_secs(2)).await;
                slept.hit();
            }
        });
        ticker.unref();
        Timer::after(event_loop, Duration::from_secs(5), move |_| assert_eq!(at_end.hits(), 2));
    });
}

/// References of a task that has ended mean nothing any more.
#[test]
fn references_of_an_ended_task_change_nothing() {
    with_loop(|event_loop| {
        let handle = event_loop.spawn(async {});
        event_loop.run().expect("the loop runs");
        handle.ref_();
        assert!(!event_loop.is_alive());
        // Its slot is used again.
        let next = event_loop.spawn(yield_now());
        handle.unref();
        handle.abort();
        assert!(event_loop.is_alive());
        event_loop.run().expect("the loop runs");
        assert!(next.is_finished());
    });
}

// ---- abort ----------------------------------------------------------------------------------------------------------

/// Abort takes effect at the next point where tasks run, and not inside the call.
#[test]
fn abort_drops_the_future_at_the_next_point_where_tasks_run() {
    let _watchdog = watchdog();
    for polls_before in [0, 1] {
        let event_loop = new_loop();
        let drops = Drops::new();
        let polls = Rc::new(Cell::new(0));
        let (token, future) = (drops.token(), counting(&polls));
        let handle = event_loop.spawn(async move {
            token.keep();
            future.await;
        });
        (0..polls_before).for_each(|_| turn(&event_loop));
        handle.abort();
        handle.abort();
        assert_eq!((drops.count(), handle.is_finished()), (0, false));
        event_loop.run().expect("the loop runs");
        assert_eq!((drops.count(), handle.is_finished(), polls.get()), (1, true, polls_before));
        let outcome = event_loop.block_on(handle).expect("the loop runs");
        assert!(is_canceled_task(&outcome));
    }
}

/// Whoever awaits the task hears at once that it was aborted, in the same turn.
#[test]
fn abort_reaches_the_joiner() {
    with_loop(|event_loop| {
        let heard = expect(1);
        let victim = Rc::new(event_loop.spawn(pending::<()>()));
        let joined = Rc::clone(&victim);
        let joiner = event_loop.spawn(async move {
            // Polled through a clone, as a combinator would do.
            let mut joined = Rc::try_unwrap(joined).expect("the other clone is gone");
            let outcome = poll_fn(|context| pin!(&mut joined).poll(context)).await;
            assert!(is_canceled_task(&outcome));
            heard.hit();
        });
        victim.abort();
        drop(victim);
        event_loop.run().expect("the loop runs");
        assert!(joiner.is_finished());
    });
}

/// Aborting a task that has ended leaves its output alone.
#[test]
fn abort_of_a_finished_task_changes_nothing() {
    with_loop(|event_loop| {
        let handle = event_loop.spawn(async { 3 });
        event_loop.run().expect("the loop runs");
        handle.abort();
        let output = event_loop.block_on(handle).expect("the loop runs");
        assert_eq!(output.expect("it had ended"), 3);
    });
}

/// A task that aborts itself gets as far as its next await; one that ends before has ended.
#[test]
fn task_may_abort_itself() {
    with_loop(|event_loop| {
        let reached = expect(2);
        let drops = Drops::new();
        for waits in [true, false] {
            let own: Rc<RefCell<Option<JoinHandle<u8>>>> = Rc::default();
            let (me, reached, token) = (Rc::clone(&own), reached.clone(), drops.token());
            let handle = event_loop.spawn(async move {
                token.keep();
                me.borrow().as_ref().expect("it is there").abort();
                reached.hit();
                if waits {
                    yield_now().await;
                    unreachable!("it was aborted");
                }
                5
            });
            own.replace(Some(handle));
            event_loop.run().expect("the loop runs");
            let handle = own.take().expect("it is there");
            let outcome = event_loop.block_on(handle).expect("the loop runs");
            assert_eq!((is_canceled_task(&outcome), outcome.ok()), (waits, (!waits).then_some(5)));
        }
        assert_eq!(drops.count(), 2);
    });
}

/// Aborting works from callbacks and other tasks, and of a task that is about to be polled: it is not polled again.
#[test]
fn abort_of_a_task_that_is_ready_comes_first() {
    with_loop(|event_loop| {
        let polls = Rc::new(Cell::new(0));
        let victim = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let killed = Rc::clone(&victim);
        // First in the queue, so that the other is ready when this one runs.
        event_loop.go(async move { killed.borrow().as_ref().expect("it is there").abort() });
        victim.replace(Some(event_loop.spawn(counting(&polls))));
        event_loop.run().expect("the loop runs");
        assert_eq!(polls.get(), 0);
        let second = event_loop.spawn(counting(&polls));
        turn(event_loop);
        event_loop.defer(move |_| second.abort());
        event_loop.run().expect("the loop runs");
        assert_eq!(polls.get(), 1);
    });
}

/// A destructor that panics while its task is aborted ends that task alone: the handle gets the panic.
#[test]
fn panic_of_a_destructor_during_abort_reaches_the_joiner() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let guard = OnDrop(|| panic!("in a destructor"));
    let handle = event_loop.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&event_loop);
    handle.abort();
    event_loop.run().expect("the loop runs and comes to an end");
    match event_loop.block_on(handle).expect("the loop runs") {
        Err(JoinError::Panicked(payload)) => {
            assert_eq!(payload.downcast_ref(), Some(&"in a destructor"));
        }
        other => panic!("{other:?}"),
    }
}

// ---- panics ---------------------------------------------------------------------------------------------------------

/// Z-12: a panic, at the first poll or later, reaches the join handle with its payload; what the task held is dropped,
/// and the other tasks and the loop go on.
#[test]
fn panic_reaches_the_joiner_and_nobody_else() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let went_on = expect(2);
        for yields in [0, 1] {
            let token = drops.token();
            let handle = event_loop.spawn(async move {
                token.keep();
                for _ in 0..yields {
                    yield_now().await;
                }
                std::panic::panic_any(42);
            });
            let (other, went_on, drops) =
                (event_loop.spawn(yield_now()), went_on.clone(), drops.clone());
            event_loop.go(async move {
                match handle.await {
                    Err(JoinError::Panicked(payload)) => {
                        assert_eq!(payload.downcast_ref(), Some(&42));
                    }
                    other => panic!("{other:?}"),
                }
                assert_eq!(drops.count(), yields + 1);
                other.await.expect("it goes on");
                went_on.hit();
            });
            event_loop.run().expect("the panic does not leave the loop");
        }
    });
}

/// Z-12: a join error says what happened, and becomes an `io::Error`, a cancellation one that `is_canceled` knows.
#[test]
fn join_error_becomes_an_io_error() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let join = |handle: JoinHandle<()>| {
        event_loop.block_on(handle).expect("the loop runs").expect_err("no output")
    };
    let text = join(event_loop.spawn(async { panic!("no {}", "good") }));
    assert!(text.to_string().contains("no good") && format!("{text:?}").contains("no good"));
    let err = io::Error::from(text);
    assert!(err.to_string().contains("no good") && !is_canceled(&err));
    let handle = event_loop.spawn(pending::<()>());
    handle.abort();
    let canceled = join(handle);
    assert!(canceled.to_string().contains("canceled"));
    assert!(is_canceled(&canceled.into()));
}

// ---- which loop -----------------------------------------------------------------------------------------------------

/// Where no loop runs, the free functions say what to call instead.
#[test]
fn free_functions_need_a_running_loop() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let poll_sleep = || pin!(sleep(ZERO)).poll(&mut Context::from_waker(Waker::noop())).is_ready();
    let texts = || {
        let spawn = panic_text(|| luvio::spawn(async {}).is_finished());
        assert!(spawn.contains("luvio::spawn") && spawn.contains("LoopHandle"), "{spawn}");
        let go = panic_text(|| luvio::go(async {}));
        assert!(go.contains("luvio::go") && go.contains("LoopHandle"), "{go}");
        let slept = panic_text(poll_sleep);
        assert!(slept.contains("sleep") && slept.contains("block_on"), "{slept}");
    };
    texts();
    // After a run, also one that a panic ended, there is none either.
    event_loop.run().expect("the loop runs");
    texts();
    event_loop.defer(|_| panic!("in a callback"));
    assert_eq!(panic_text(|| event_loop.run().is_ok()), "in a callback");
    texts();
}

/// The current loop is the innermost that runs: inside, the inner one, afterwards the outer one again.
#[test]
fn current_loop_is_the_innermost() {
    let _watchdog = watchdog();
    let (outer, inner) = (new_loop(), Rc::new(new_loop()));
    let journal = Journal::new();
    let task = |what: &'static str| {
        let notes = journal.clone();
        async move { notes.note(what) }
    };
    let (before, inside, after) = (task("before"), task("inside"), task("after"));
    let (notes, within) = (journal.clone(), Rc::clone(&inner));
    outer.defer(move |_| {
        luvio::go(before);
        within.defer(move |_| luvio::go(inside));
        within.run().expect("another loop may run");
        notes.note("inner run over");
        luvio::go(after);
    });
    outer.run().expect("the loop runs");
    journal.assert_is(&["inside", "inner run over", "before", "after"]);
    assert!(!inner.is_alive() && !outer.is_alive());
}

/// A task of the outer loop that is woken while an inner one runs is polled when the outer one goes on.
#[test]
fn wake_across_nested_loops_is_kept() {
    let _watchdog = watchdog();
    let (outer, inner) = (new_loop(), new_loop());
    let waiting = outer.spawn(async {
        let (sender, receiver) = async_channel::bounded(1);
        luvio::go(async move {
            // Inside this callback the inner loop is the current one.
            inner.defer(move |_| sender.try_send("from inside").expect("there is room"));
            inner.run().expect("another loop may run");
        });
        receiver.recv().await.expect("something comes")
    });
    outer.run().expect("the loop runs");
    let received = outer.block_on(waiting).expect("the loop runs");
    assert_eq!(received.expect("it ended"), "from inside");
}

/// A task may wait for a task of another loop.
#[test]
fn join_handle_of_another_loop_can_be_awaited() {
    let _watchdog = watchdog();
    let (one, other) = (new_loop(), new_loop());
    let handle = other.spawn(async {
        yield_now().await;
        11
    });
    let joiner = one.spawn(handle);
    one.run_mode(RunMode::NoWait).expect("the loop runs");
    assert!(!joiner.is_finished());
    other.run().expect("the loop runs");
    one.run().expect("the loop runs");
    assert!(joiner.is_finished());
}

// ---- loops that are gone --------------------------------------------------------------------------------------------

/// On a loop that is gone the future is dropped in the call, and the handle yields `Canceled`.
#[test]
fn spawn_on_a_loop_that_is_gone() {
    let _watchdog = watchdog();
    let gone = new_loop().handle().clone();
    let drops = Drops::new();
    let token = drops.token();
    let handle = gone.spawn(async move { token.keep() });
    assert_eq!((drops.count(), handle.is_finished()), (1, true));
    let token = drops.token();
    gone.go(async move { token.keep() });
    assert_eq!(drops.count(), 2);
    handle.abort();
    handle.unref();
    handle.ref_();
    assert!(!gone.is_alive());
    assert!(is_canceled_task(&new_loop().block_on(handle).expect("the loop runs")));
}

/// L-33: dropping the loop drops every future, ready, waiting or detached, and cancels the handles.
#[test]
fn loop_drop_ends_every_task() {
    let _watchdog = watchdog();
    let (event_loop, other) = (new_loop(), new_loop());
    let drops = Drops::new();
    let held = |future: fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let token = drops.token();
        async move {
            token.keep();
            future().await;
        }
    };
    let waiting = event_loop.spawn(held(|| Box::pin(pending())));
    let sleeping = event_loop.spawn(held(|| Box::pin(sleep(Duration::from_secs(3_600)))));
    let yielding = event_loop.spawn(held(|| Box::pin(yield_now())));
    event_loop.go(held(|| Box::pin(pending())));
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    let ready = event_loop.spawn(held(|| Box::pin(async {})));
    let finished = event_loop.spawn(async { 4 });
    let joiner = other.spawn(waiting);
    other.run_mode(RunMode::NoWait).expect("the loop runs");
    assert!(!joiner.is_finished());
    assert_eq!(drops.count(), 0);
    drop(event_loop);
    assert_eq!(drops.count(), 5);
    for handle in [sleeping, yielding, ready] {
        assert!(handle.is_finished());
        assert!(is_canceled_task(&other.block_on(handle).expect("the loop runs")));
    }
    let outcome = other.block_on(joiner).expect("the loop runs").expect("the joiner goes on");
    assert!(is_canceled_task(&outcome));
    assert!(is_canceled_task(&other.block_on(finished).expect("the loop runs")));
}

/// L-33: an output that nobody fetched, and a task that holds its own handle, are no leaks.
#[test]
fn loop_drop_leaves_no_cycle() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let (me, token) = (Rc::clone(&own), drops.token());
    let handle = event_loop.spawn(async move {
        token.keep();
        let _me = me;
        pending::<()>().await;
    });
    own.replace(Some(handle));
    drop(own);
    let (token, watched) = (drops.token(), drops.token());
    let finished = event_loop.spawn(async move { token });
    let joiner = event_loop.spawn(async move {
        watched.keep();
        pending::<()>().await;
        drop(finished);
    });
    turn(&event_loop);
    drop(joiner);
    assert_eq!(drops.count(), 0);
    drop(event_loop);
    assert_eq!(drops.count(), 3);
}

/// Destructors that run while the loop is dropped, or a task is aborted, may spawn, wake, abort and ask.
#[test]
fn destructors_of_tasks_may_use_the_loop() {
    let _watchdog = watchdog();
    for dropped in [false, true] {
        let event_loop = new_loop();
        let drops = Drops::new();
        let slot = Rc::default();
        let sibling = event_loop.spawn(showing_waker(&slot));
        turn(&event_loop);
        let waker: Waker = slot.take().expect("it was polled");
        let (inside, token) = (event_loop.handle().clone(), drops.clone());
        let guard = OnDrop(move || {
            let token = token.token();
            let child = inside.spawn(async move { token.keep() });
            assert_eq!(child.is_finished(), dropped);
            child.unref();
            inside.go(yield_now());
            sibling.abort();
            waker.wake_by_ref();
            assert_eq!(inside.is_alive(), !dropped);
        });
        let handle = event_loop.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        turn(&event_loop);
        if dropped {
            drop(event_loop);
        } else {
            handle.abort();
            event_loop.run().expect("the loop runs");
        }
        assert_eq!((handle.is_finished(), drops.count()), (true, 1));
    }
}

// ---- many -----------------------------------------------------------------------------------------------------------

/// A hundred thousand tasks at once are practical.
#[test]
fn hundred_thousand_tasks_at_once() {
    let drops = Drops::new();
    with_virtual_loop(|event_loop| {
        let ended = expect(100_000);
        for number in 0..100_000_u64 {
            let (ended, token) = (ended.clone(), drops.token());
            event_loop.go(async move {
                token.keep();
                sleep(Duration::from_micros(number % 1_000)).await;
                ended.hit();
            });
        }
    });
    assert_eq!(drops.count(), 100_000);
}

/// A million yields are practical (in a debug build, a hundred thousand).
#[test]
fn million_yields() {
    with_loop(|event_loop| {
        let turns = turns(event_loop);
        event_loop
            .block_on(async {
                for _ in 0..MANY {
                    yield_now().await;
                }
            })
            .expect("the loop runs");
        assert_eq!(turns.get(), MANY);
        event_loop.walk(|handle| drop(handle.close()));
    });
}

/// A million tasks, one after the other, use the same few slots (in a debug build, a hundred thousand).
#[test]
fn million_tasks_one_after_the_other() {
    with_loop(|event_loop| {
        let sum = event_loop.block_on(async {
            let mut sum = 0;
            for number in 0..MANY {
                sum += luvio::spawn(async move { number }).await.expect("it ends");
            }
            sum
        });
        assert_eq!(sum.expect("the loop runs"), MANY * (MANY - 1) / 2);
    });
}
