//! Signals. Statements SG of the behaviour chapter.
//!
//! A signal reaches every handle of the process that waits for it, so the tests take turns. One in which a signal might
//! end the process runs in a process of its own.
#![cfg(feature = "signal")]

mod support;

use std::cell::{Cell, RefCell};
use std::env;
use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::{self, Command, Output, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use luvio::{AliveKind, Check, Kind, Loop, LoopHandle, Misuse, Notifier, Signal, Timer};
use signal_hook::low_level::raise;
use support::{
    Drops, Journal, Watchdog, child, expect, is_child, misuse, new_loop, open_descriptors, poll,
    turn, turn_until, watchdog, with_loop,
};

/// Has this test run alone, and not for ever.
fn alone() -> (MutexGuard<'static, ()>, Watchdog) {
    static TURN: Mutex<()> = Mutex::new(());
    (TURN.lock().unwrap_or_else(PoisonError::into_inner), watchdog())
}

/// Raised in this thread: when it returns, the handles have been told.
fn send(signum: i32) {
    raise(signum).expect("it can be raised");
}

/// A handle that notes `what` for each delivery.
fn noting(event_loop: &LoopHandle, journal: &Journal, signum: i32, what: &'static str) -> Signal {
    let signal = Signal::new(event_loop);
    let journal = journal.clone();
    signal.start(signum, move |_, _| journal.note(what)).expect("the signal can be heard");
    signal
}

/// The same for one delivery only.
fn noting_once(
    event_loop: &LoopHandle,
    journal: &Journal,
    signum: i32,
    what: &'static str,
) -> Signal {
    let signal = Signal::new(event_loop);
    let journal = journal.clone();
    let start = signal.start_oneshot(signum, move |signal, _| {
        assert!(!signal.is_active(), "inactive when its callback runs");
        journal.note(what);
    });
    start.expect("the signal can be heard");
    signal
}

/// A handle that counts the deliveries.
fn counting(event_loop: &LoopHandle, signum: i32) -> (Signal, Rc<Cell<usize>>) {
    let calls = Rc::new(Cell::new(0));
    let (signal, counter) = (Signal::new(event_loop), Rc::clone(&calls));
    let start = signal.start(signum, move |_, _| counter.set(counter.get() + 1));
    start.expect("the signal can be heard");
    (signal, calls)
}

/// Does something when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|act| act());
    }
}

// ---- deliveries -----------------------------------------------------------------------------------------------------

/// SG-01: every handle for a signal gets one call for each delivery, with its number; handles for others get none.
#[test]
fn every_handle_is_called_for_each_delivery() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _silent = noting(&event_loop, &journal, Signal::USR2, "the other signal");
    let _handles: Vec<Signal> = (0..3)
        .map(|_| {
            let (signal, journal) = (Signal::new(&event_loop), journal.clone());
            let start = signal.start(Signal::USR1, move |signal, signum| {
                assert_eq!(signal.signum(), Some(signum));
                journal.note(format!("{signum}"));
            });
            start.expect("the signal can be heard");
            signal
        })
        .collect();
    send(Signal::USR1);
    turn(&event_loop);
    assert_eq!(journal.entries(), vec![Signal::USR1.to_string(); 3]);
    send(Signal::USR1);
    turn(&event_loop);
    assert_eq!(journal.entries(), vec![Signal::USR1.to_string(); 6]);
}

/// SG-02: deliveries are counted, not merged, also when they are more than a turn serves.
#[test]
fn deliveries_are_counted() {
    let _alone = alone();
    let event_loop = new_loop();
    let (_signal, calls) = counting(&event_loop, Signal::USR1);
    (0..10).for_each(|_| send(Signal::USR1));
    turn(&event_loop);
    assert_eq!(calls.get(), 10);

    (0..150).for_each(|_| send(Signal::USR1));
    turn_until(&event_loop, || calls.get() >= 160);
    turn(&event_loop);
    assert_eq!(calls.get(), 160);
}

/// SG-02: however many deliveries wait, none is lost, also of those that several threads get at the same time.
#[test]
fn no_delivery_is_lost_however_many_wait() {
    let _alone = alone();
    let event_loop = new_loop();
    let (_signal, calls) = counting(&event_loop, Signal::USR1);
    // Elsewhere they wait in a pipe.
    let many = if cfg!(target_os = "linux") { 100_000 } else { 10_000 };
    (0..many).for_each(|_| send(Signal::USR1));
    turn_until(&event_loop, || calls.get() >= many);
    turn(&event_loop);
    assert_eq!(calls.get(), many);

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..many / 20).for_each(|_| send(Signal::USR1)));
        }
    });
    turn_until(&event_loop, || calls.get() >= many + many / 5);
    turn(&event_loop);
    assert_eq!(calls.get(), many + many / 5);
}

/// SG-02: where files must not grow, deliveries are counted too, and the first one does not end the process.
#[test]
fn deliveries_are_counted_where_files_must_not_grow() {
    const TEST: &str = "deliveries_are_counted_where_files_must_not_grow";
    if !is_child() {
        let output = run_alone(TEST, "ulimit -f 0", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let loops = [new_loop(), new_loop()];
    let counts = [0, 1].map(|at: usize| counting(&loops[at], Signal::USR1));
    for total in [10_000, 20_000] {
        (0..10_000).for_each(|_| send(Signal::USR1));
        for (event_loop, (_, calls)) in loops.iter().zip(&counts) {
            turn_until(event_loop, || calls.get() >= total);
            turn(event_loop);
            assert_eq!(calls.get(), total);
        }
    }
}

/// A handle whose callback raises its own signal again does not keep the others from their turn.
#[test]
fn callback_that_raises_its_signal_does_not_hold_up_the_loop() {
    let _alone = alone();
    with_loop(|event_loop| {
        let signal = Signal::new(event_loop);
        signal.start(Signal::USR1, |_, signum| send(signum)).expect("the signal can be heard");
        let turns = expect(3);
        let check = Check::new(event_loop);
        check
            .start(move |check| {
                if turns.hit() == 3 {
                    signal.close();
                    check.close();
                }
            })
            .expect("a new handle can be started");
        send(Signal::USR1);
    });
}

/// SG-03, SG-14: handles in loops of several threads all get it, each on its own thread.
#[test]
fn every_loop_in_every_thread_gets_it() {
    let _alone = alone();
    let (ready, is_ready) = mpsc::channel();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let ready = ready.clone();
            thread::spawn(move || {
                let here = thread::current().id();
                let event_loop = new_loop();
                let signal = Signal::new(&event_loop);
                let calls = Rc::new(Cell::new(0));
                let counter = Rc::clone(&calls);
                signal
                    .start(Signal::USR1, move |signal, _| {
                        assert_eq!(thread::current().id(), here);
                        counter.set(counter.get() + 1);
                        if counter.get() == 2 {
                            signal.close();
                        }
                    })
                    .expect("the signal can be heard");
                ready.send(()).expect("the test waits for it");
                event_loop.run().expect("the loop runs");
                calls.get()
            })
        })
        .collect();
    for _ in &threads {
        is_ready.recv().expect("each thread comes to it");
    }
    send(Signal::USR1);
    send(Signal::USR1);
    for thread in threads {
        assert_eq!(thread.join().expect("it ends"), 2);
    }
}

/// SG-01, SG-03: each loop counts for itself: what one has been told is still to come in another.
#[test]
fn two_loops_count_for_themselves() {
    let _alone = alone();
    let loops = [new_loop(), new_loop()];
    let [(_first, told_first), (_second, told_second)] =
        [0, 1].map(|at: usize| counting(&loops[at], Signal::USR1));
    (0..500).for_each(|_| send(Signal::USR1));
    turn_until(&loops[0], || told_first.get() >= 500);
    (0..300).for_each(|_| send(Signal::USR1));
    let (_later, told_later) = counting(&loops[1], Signal::USR1);
    send(Signal::USR1);
    turn_until(&loops[1], || told_second.get() >= 801);
    turn_until(&loops[0], || told_first.get() >= 801);
    loops.iter().for_each(turn);
    assert_eq!((told_first.get(), told_second.get(), told_later.get()), (801, 801, 1));
}

/// SG-01, SG-03: while handles in other threads come and go, a loop still counts every delivery.
#[test]
fn loops_that_come_and_go_disturb_no_count() {
    let _alone = alone();
    let event_loop = new_loop();
    let (_signal, calls) = counting(&event_loop, Signal::USR1);
    let raised: usize = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let event_loop = new_loop();
                for _ in 0..200 {
                    let (signal, _) = counting(&event_loop, Signal::USR1);
                    turn(&event_loop);
                    signal.close();
                }
            });
        }
        let raisers = [(); 2].map(|()| {
            scope.spawn(|| {
                (0..5_000).for_each(|_| send(Signal::USR1));
                5_000
            })
        });
        raisers.map(|raiser| raiser.join().expect("it ends")).iter().sum()
    });
    turn_until(&event_loop, || calls.get() >= raised);
    turn(&event_loop);
    assert_eq!(calls.get(), raised);
}

/// SG-15: handles for one signal are called in the order of their starts, whenever they were made.
#[test]
fn handles_are_called_in_the_order_of_their_starts() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let late = Signal::new(&event_loop);
    let _first = noting(&event_loop, &journal, Signal::USR1, "first");
    let again = noting(&event_loop, &journal, Signal::USR1, "again");
    let _once = noting_once(&event_loop, &journal, Signal::USR1, "once");
    let notes = journal.clone();
    late.start(Signal::USR1, move |_, _| notes.note("late")).expect("the signal can be heard");
    again.stop();
    let notes = journal.clone();
    again.start(Signal::USR1, move |_, _| notes.note("again")).expect("it can be started again");
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["first", "once", "late", "again"]);
}

/// SG-04: a handle started for one delivery gets one, though more have come, and is inactive then; others get them all.
#[test]
fn oneshot_handle_gets_one_delivery() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let once = noting_once(&event_loop, &journal, Signal::USR1, "once");
    let _repeating = noting(&event_loop, &journal, Signal::USR1, "each time");
    assert!(once.is_active());
    (0..3).for_each(|_| send(Signal::USR1));
    turn(&event_loop);
    send(Signal::USR1);
    turn(&event_loop);
    let count = |what| journal.entries().iter().filter(|&entry| entry == what).count();
    assert_eq!((count("once"), count("each time")), (1, 4));
    assert!(!once.is_active() && !once.is_closing());
    assert_eq!(once.signum(), None);
}

/// SG-04: it may be started again in its own callback, and then gets what comes from then on.
#[test]
fn oneshot_handle_may_be_started_again_in_its_callback() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (first, second) = (journal.clone(), journal.clone());
    let signal = Signal::new(&event_loop);
    signal
        .start_oneshot(Signal::USR1, move |signal, _| {
            first.note("first");
            let second = second.clone();
            let start = signal.start_oneshot(Signal::USR1, move |_, _| second.note("second"));
            start.expect("it can be started again");
        })
        .expect("the signal can be heard");
    send(Signal::USR1);
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["first"]);
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["first", "second"]);
}

/// SG-04: the callback of a one-shot handle is dropped when it returns or panics, so that a handle which it captured
/// closes by itself.
#[test]
fn oneshot_callback_is_dropped_after_its_call() {
    let _alone = alone();
    for panics in [false, true] {
        let event_loop = new_loop();
        let drops = Drops::new();
        let (signal, token) = (Signal::new(&event_loop), drops.token());
        let captured = signal.clone();
        let start = signal.start_oneshot(Signal::USR1, move |signal, _| {
            token.keep();
            assert_eq!(signal.created_at(), captured.created_at());
            assert!(!panics, "on purpose");
        });
        start.expect("the signal can be heard");
        drop(signal);
        send(Signal::USR1);
        let outcome = catch_unwind(AssertUnwindSafe(|| turn(&event_loop)));
        assert_eq!(outcome.is_err(), panics);
        assert_eq!(drops.count(), 1);
        event_loop.walk(|handle| panic!("{} is still there", handle.created_at()));
    }
}

/// SG-05: stopping the last repeating handle leaves those for one delivery armed, and the reverse.
#[test]
fn oneshot_and_repeating_handles_do_not_disarm_each_other() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let repeating = noting(&event_loop, &journal, Signal::USR1, "repeating");
    let _once = noting_once(&event_loop, &journal, Signal::USR1, "once");
    repeating.stop();
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["once"]);

    let once = noting_once(&event_loop, &journal, Signal::USR1, "once");
    let _repeating = noting(&event_loop, &journal, Signal::USR1, "repeating");
    once.close();
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["once", "repeating"]);
}

/// SG-06: a handle that the callback of another one stopped or closed gets nothing of the same delivery.
#[test]
fn handle_that_a_sibling_stopped_gets_nothing() {
    let _alone = alone();
    for close in [false, true] {
        let event_loop = new_loop();
        let handles: Rc<RefCell<Vec<Signal>>> = Rc::default();
        let calls = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (signal, siblings) = (Signal::new(&event_loop), Rc::clone(&handles));
            let counter = Rc::clone(&calls);
            signal
                .start(Signal::USR1, move |_, _| {
                    counter.set(counter.get() + 1);
                    for sibling in siblings.take() {
                        match close {
                            true => drop(sibling.close()),
                            false => sibling.stop(),
                        }
                    }
                })
                .expect("the signal can be heard");
            handles.borrow_mut().push(signal);
        }
        send(Signal::USR1);
        (0..3).for_each(|_| turn(&event_loop));
        assert_eq!(calls.get(), 1);
    }
}

/// SG-07, SG-13: stop drops what was caught and not reported; started again, the handle gets what comes from then on.
#[test]
fn stop_drops_what_was_not_reported_yet() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let signal = noting(&event_loop, &journal, Signal::USR1, "before");
    let _another =
        noting(&event_loop, &Journal::new(), Signal::USR1, "keeps the process from ending");
    send(Signal::USR1);
    signal.stop();
    send(Signal::USR1);
    let notes = journal.clone();
    signal.start(Signal::USR1, move |_, _| notes.note("after")).expect("it can be started again");
    turn(&event_loop);
    journal.assert_is(&[]);
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["after"]);
}

/// SG-08: started with another number, a handle leaves its old signal, with what was caught of it.
#[test]
fn start_with_another_number_moves_the_handle() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _others =
        [Signal::USR1, Signal::USR2].map(|signum| noting(&event_loop, &Journal::new(), signum, ""));
    let signal = noting(&event_loop, &journal, Signal::USR1, "first");
    send(Signal::USR1);
    let notes = journal.clone();
    signal
        .start(Signal::USR2, move |_, signum| notes.note(format!("{}", signum == Signal::USR2)))
        .unwrap();
    assert_eq!(signal.signum(), Some(Signal::USR2));
    send(Signal::USR1);
    send(Signal::USR2);
    turn(&event_loop);
    journal.assert_is(&["true"]);
    assert!(signal.is_active());
}

/// SG-08: started with the same number, only its callback changes, and nothing that was caught is lost.
#[test]
fn start_with_the_same_number_changes_only_the_callback() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let signal = noting(&event_loop, &journal, Signal::USR1, "old");
    (0..3).for_each(|_| send(Signal::USR1));
    let notes = journal.clone();
    signal.start(Signal::USR1, move |_, _| notes.note("new")).expect("it can be started again");
    turn(&event_loop);
    journal.assert_is(&["new", "new", "new"]);

    (0..3).for_each(|_| send(Signal::USR1));
    let notes = journal.clone();
    signal.start_oneshot(Signal::USR1, move |_, _| notes.note("last")).expect("it can be started");
    turn(&event_loop);
    journal.assert_is(&["new", "new", "new", "last"]);
    assert!(!signal.is_active());
}

/// The three ways to start.
const STARTS: [&str; 3] = ["start", "start_oneshot", "start_only"];

fn start(signal: &Signal, how: &str, signum: i32, journal: &Journal) {
    let notes = journal.clone();
    let cb = move |_: &Signal, _| notes.note("called");
    let started = match how {
        "start" => signal.start(signum, cb),
        "start_oneshot" => signal.start_oneshot(signum, cb),
        _ => signal.start_only(signum),
    };
    started.expect("the signal can be heard");
}

/// How many deliveries a handle that was started like this still gets, without any further signal.
fn still_gets(event_loop: &Loop, signal: &Signal, how: &str, journal: &Journal) -> usize {
    let before = journal.entries().len();
    (0..3).for_each(|_| turn(event_loop));
    if how == "start_only" {
        return (0..).take_while(|_| poll(signal.delivered()).is_ready()).count();
    }
    journal.entries().len() - before
}

/// SG-08: from each kind of start to each other, for the same signal, no delivery is lost, whether the loop has heard of it
/// already or not.
#[test]
fn no_delivery_is_lost_between_one_start_and_another() {
    let _alone = alone();
    for (from, to) in STARTS.iter().flat_map(|from| STARTS.map(|to| (*from, to))) {
        for turns in [0, 2] {
            if turns > 0 && from != "start_only" {
                continue; // Its callback is told in the first turn.
            }
            let event_loop = new_loop();
            let journal = Journal::new();
            let signal = Signal::new(&event_loop);
            start(&signal, from, Signal::USR1, &journal);
            (0..2).for_each(|_| send(Signal::USR1));
            (0..turns).for_each(|_| turn(&event_loop));
            start(&signal, to, Signal::USR1, &journal);
            let expected = if to == "start_oneshot" { 1 } else { 2 };
            let got = still_gets(&event_loop, &signal, to, &journal);
            assert_eq!(got, expected, "from {from} to {to} after {turns} turns");
            assert_eq!(signal.is_active(), to == "start");
        }
    }
}

/// SG-08: also from inside the callback, what waits behind this delivery goes to whoever is there then.
#[test]
fn no_delivery_is_lost_when_a_callback_starts_its_handle_in_another_way() {
    let _alone = alone();
    for to in STARTS {
        let event_loop = new_loop();
        let journal = Journal::new();
        let (signal, notes) = (Signal::new(&event_loop), journal.clone());
        signal
            .start(Signal::USR1, move |signal, _| start(signal, to, Signal::USR1, &notes))
            .expect("the signal can be heard");
        (0..3).for_each(|_| send(Signal::USR1));
        let expected = if to == "start_oneshot" { 1 } else { 2 };
        assert_eq!(still_gets(&event_loop, &signal, to, &journal), expected, "{to}");
    }
}

/// SG-08, Z-02: a task gets what a callback has left to it, though no further signal comes.
#[test]
fn task_gets_what_a_callback_left_to_it() {
    let _alone = alone();
    with_loop(|event_loop| {
        let signal = Signal::new(event_loop);
        let in_task = signal.clone();
        let cb = move |signal: &Signal, signum| {
            signal.start_only(signum).expect("the same signal");
            let signal = in_task.clone();
            signal.event_loop().clone().go(async move {
                signal.delivered().await?;
                signal.delivered().await?;
                signal.close();
                io::Result::Ok(())
            });
        };
        signal.start(Signal::USR1, cb).expect("the signal can be heard");
        (0..3).for_each(|_| send(Signal::USR1));
    });
}

/// SG-07, SG-08: a wake-up for an earlier watch that is on its way in the same batch is not taken for one of the new watch,
/// be it for another signal or for the same.
#[test]
fn wakeup_for_an_earlier_watch_says_nothing_to_the_next() {
    let _alone = alone();
    let ways = [Signal::USR1, Signal::USR2].map(|next| [(next, false), (next, true)]);
    for (next, is_last_of_its_loop) in ways.into_iter().flatten() {
        let (event_loop, other_loop) = (new_loop(), new_loop());
        let journal = Journal::new();
        let keepers_loop = if is_last_of_its_loop { &other_loop } else { &event_loop };
        let _keepers = [Signal::USR1, Signal::USR2]
            .map(|signum| noting(keepers_loop, &Journal::new(), signum, ""));
        let moved = noting(&event_loop, &journal, Signal::USR1, "old watch");
        let (moving, notes) = (moved.clone(), journal.clone());
        let mover = Notifier::new(&event_loop, move |_| {
            moving.stop();
            let notes = notes.clone();
            let start = moving.start(next, move |_, _| notes.note("new watch"));
            start.expect("it can be started again");
        });
        let mover = mover.expect("the loop is there");
        send(Signal::USR1);
        send(Signal::USR2);
        mover.sender().send().expect("the notifier is open");
        (0..3).for_each(|_| turn(&event_loop));
        journal.assert_is(&[]);
        send(next);
        turn(&event_loop);
        journal.assert_is(&["new watch"]);
    }
}

/// SG-06: what a callback does to a sibling that waits for its go in the same pass counts: stopped and started again, it
/// gets nothing of what was before.
#[test]
fn handle_that_a_sibling_started_again_gets_nothing_of_before() {
    let _alone = alone();
    for next in [Signal::USR1, Signal::USR2] {
        let event_loop = new_loop();
        let journal = Journal::new();
        let sibling = Signal::new(&event_loop);
        let (moving, notes) = (sibling.clone(), journal.clone());
        let mover = Signal::new(&event_loop);
        mover
            .start(Signal::USR1, move |mover, _| {
                mover.close();
                moving.stop();
                let notes = notes.clone();
                let start = moving.start(next, move |_, _| notes.note("after"));
                start.expect("it can be started again");
            })
            .expect("the signal can be heard");
        let notes = journal.clone();
        let start = sibling.start(Signal::USR1, move |_, _| notes.note("before"));
        start.expect("the signal can be heard");
        let _keeper = noting(&event_loop, &Journal::new(), Signal::USR2, "");
        send(Signal::USR1);
        send(Signal::USR2);
        (0..3).for_each(|_| turn(&event_loop));
        journal.assert_is(&[]);
        send(next);
        turn(&event_loop);
        journal.assert_is(&["after"]);
    }
}

/// SG-08: the destructor of a callback that a start replaces may use the handle, and has the last word.
#[test]
fn destructor_of_a_replaced_callback_may_use_the_handle() {
    let _alone = alone();
    for act in ["stop", "close", "start"] {
        with_loop(|event_loop| {
            let journal = Journal::new();
            let signal = Signal::new(event_loop);
            let (used, notes) = (signal.clone(), journal.clone());
            let guard = OnDrop(Some(move || match act {
                "stop" => used.stop(),
                "close" => drop(used.close()),
                _ => start(&used, "start", Signal::USR1, &notes),
            }));
            let cb = move |_: &Signal, _| unreachable!("it was replaced: {}", guard.0.is_some());
            signal.start(Signal::USR1, cb).expect("the signal can be heard");
            signal.start(Signal::USR1, |_, _| unreachable!("and this one")).expect("a new start");
            assert_eq!(signal.is_active(), act == "start");
            let _keeper = noting(event_loop, &Journal::new(), Signal::USR1, "");
            send(Signal::USR1);
            turn(event_loop);
            assert_eq!(journal.entries().len(), usize::from(act == "start"));
            signal.close();
            _keeper.close();
        });
    }
}

/// SG-08, Z-05: a waker that a start wakes may close the handle; it stays closed.
#[test]
fn waker_that_a_start_wakes_may_close_the_handle() {
    struct Closes(thread::ThreadId);
    thread_local! {
        static HANDLE: RefCell<Option<Signal>> = const { RefCell::new(None) };
    }
    impl Wake for Closes {
        fn wake(self: Arc<Self>) {
            assert_eq!(thread::current().id(), self.0);
            HANDLE.take().map(|signal| signal.close());
        }
    }
    let _alone = alone();
    with_loop(|event_loop| {
        let signal = Signal::new(event_loop);
        signal.start_only(Signal::USR1).expect("the signal can be heard");
        HANDLE.set(Some(signal.clone()));
        let waker = Waker::from(Arc::new(Closes(thread::current().id())));
        let mut waiting = signal.delivered();
        assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
        let drops = Drops::new();
        let token = drops.token();
        signal.start(Signal::USR1, move |_, _| token.keep()).expect("it was open");
        assert!(signal.is_closing() && !signal.is_active());
        event_loop.run().expect("the loop runs");
        assert_eq!(drops.count(), 1);
    });
}

/// SG-10: a handle that is closed with deliveries pending hears nothing of them, but its close callback comes.
#[test]
fn close_drops_what_was_not_reported_yet() {
    let _alone = alone();
    with_loop(|event_loop| {
        let journal = Journal::new();
        let signal = noting(event_loop, &journal, Signal::USR1, "signal");
        send(Signal::USR1);
        signal.close().then(journal.result("close"));
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["close ok"]);
    });
}

/// SG-12: an unreferenced handle does not hold the loop, but is called while something else does.
#[test]
fn unreferenced_handle_is_called_while_the_loop_lives() {
    let _alone = alone();
    with_loop(|event_loop| {
        let called = expect(1);
        let timer = Timer::new(event_loop);
        let hour = Duration::from_secs(3_600);
        timer.start(hour, hour, |_| panic!("too early")).expect("a new handle can be started");
        let held = timer.clone();
        let signal = Signal::new(event_loop);
        signal.unref();
        signal
            .start(Signal::USR1, move |signal, _| {
                called.hit();
                held.close();
                signal.close();
            })
            .expect("the signal can be heard");
        timer.unref();
        assert!(!event_loop.is_alive());
        event_loop.run().expect("the loop runs");
        timer.ref_();
        send(Signal::USR1);
    });
}

/// SG-14: a callback runs in the loop, not in the signal's handler: neither inside `raise` nor where it was raised.
#[test]
fn callback_runs_on_the_loops_thread() {
    let _alone = alone();
    let event_loop = new_loop();
    let here = thread::current().id();
    let lock = Arc::new(Mutex::new(0));
    let (signal, locked) = (Signal::new(&event_loop), Arc::clone(&lock));
    signal
        .start(Signal::USR1, move |_, _| {
            assert_eq!(thread::current().id(), here);
            *locked.lock().expect("nobody has panicked") += 1;
        })
        .expect("the signal can be heard");
    // In the signal's handler the callback would wait for this lock, for ever.
    let held = lock.lock().expect("nobody has panicked");
    send(Signal::USR1);
    thread::scope(|scope| scope.spawn(|| send(Signal::USR1)).join()).expect("it ends");
    assert_eq!(*held, 0);
    drop(held);
    turn(&event_loop);
    assert_eq!(*lock.lock().expect("nobody has panicked"), 2);
}

/// A signal from another process wakes a loop that sleeps.
#[test]
fn signal_from_another_process_wakes_the_loop() {
    let _alone = alone();
    with_loop(|event_loop| {
        let called = expect(1);
        let signal = Signal::new(event_loop);
        signal
            .start(Signal::USR1, move |signal, _| {
                called.hit();
                signal.close();
            })
            .expect("the signal can be heard");
        let kill = Command::new("kill").args(["-s", "USR1", &process::id().to_string()]).spawn();
        event_loop.run().expect("the loop runs");
        assert!(kill.expect("a Unix system has kill").wait().expect("it ends").success());
    });
}

/// L-40: when a callback panics, the deliveries behind it come in the next run.
#[test]
fn panic_in_a_callback_loses_no_delivery_but_its_own() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (signal, notes) = (Signal::new(&event_loop), journal.clone());
    let mut first_time = true;
    signal
        .start(Signal::USR1, move |_, _| {
            assert!(!std::mem::take(&mut first_time), "once");
            notes.note("panicking");
        })
        .expect("the signal can be heard");
    let _other = noting(&event_loop, &journal, Signal::USR1, "other");
    (0..2).for_each(|_| send(Signal::USR1));
    catch_unwind(AssertUnwindSafe(|| turn(&event_loop))).expect_err("it leaves the run");
    (0..3).for_each(|_| turn(&event_loop));
    let mut entries = journal.entries();
    entries.sort();
    assert_eq!(entries, ["other", "other", "panicking"]);
}

/// The loop says for which signal it runs.
#[test]
fn loop_says_that_it_waits_for_the_signal() {
    let _alone = alone();
    let event_loop = new_loop();
    let signal = noting(&event_loop, &Journal::new(), Signal::USR1, "");
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].kind, AliveKind::Handle(Kind::Signal));
    assert_eq!(reasons[0].state, "waiting for SIGUSR1");
    let mut shown = 0;
    event_loop.walk(|_| shown += 1);
    assert_eq!(shown, 1, "nothing but the handle itself");
    signal.stop();
    assert!(event_loop.alive_because().is_empty());
}

// ---- names ----------------------------------------------------------------------------------------------------------

/// Each signal that has a name can be watched, and the number of a name is the system's.
#[test]
fn each_signal_with_a_name_can_be_watched() {
    let _alone = alone();
    let event_loop = new_loop();
    let signal = Signal::new(&event_loop);
    let named: Vec<i32> = (-1..130).filter(|&signum| Signal::name_of(signum).is_some()).collect();
    for &signum in &named {
        signal.start_only(signum).expect("it has a name");
        signal.stop();
    }
    assert!(named.len() >= 24, "{named:?}");
    let some = [Signal::INT, Signal::TERM, Signal::HUP, Signal::CHLD, Signal::USR1, Signal::WINCH];
    let of_the_system =
        [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGCHLD, libc::SIGUSR1, libc::SIGWINCH];
    assert_eq!(some, of_the_system);
    let names = some.map(|signum| Signal::name_of(signum).expect("it has a name"));
    assert_eq!(names, ["SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGWINCH"]);
}

// ---- what cannot be heard -------------------------------------------------------------------------------------------

/// SG-09, H-20: numbers that are no signals, and signals that no callback can serve, are refused; what the handle was
/// doing goes on.
#[test]
fn bad_signals_are_refused() {
    let _alone = alone();
    let event_loop = new_loop();
    let bad = [
        0,
        -1,
        65,
        1_000,
        i32::MAX,
        i32::MIN,
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGSEGV,
    ];
    let journal = Journal::new();
    let started = noting(&event_loop, &journal, Signal::USR1, "still here");
    for signal in [Signal::new(&event_loop), started.clone()] {
        let was_active = signal.is_active();
        for signum in bad {
            let drops = Drops::new();
            let (first, second) = (drops.token(), drops.token());
            let err = signal.start(signum, move |_, _| first.keep()).expect_err("it is refused");
            assert_eq!(Misuse::of(&err), Some(Misuse::BadSignal), "{signum}");
            assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(misuse(Err::<(), _>(err)).name(), "EINVAL");
            let start = signal.start_oneshot(signum, move |_, _| second.keep());
            assert_eq!(misuse(start), Misuse::BadSignal);
            assert_eq!(misuse(signal.start_only(signum)), Misuse::BadSignal);
            assert_eq!(drops.count(), 2);
            assert_eq!(signal.is_active(), was_active);
        }
    }
    assert_eq!(started.signum(), Some(Signal::USR1));
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["still here"]);
}

// ---- when the last handle goes --------------------------------------------------------------------------------------

/// Says how a process ends that runs `test` and is told to do it in this way. The shell runs the `prefix` before.
fn run_alone(test: &str, prefix: &str, way: &str) -> Output {
    let _watchdog = watchdog();
    child(test, &format!("ulimit -c 0; ulimit -n 64; {prefix}"))
        .env("WAY", way)
        .output()
        .expect("a test can be run again")
}

fn way() -> String {
    env::var("WAY").expect("the test says which")
}

/// What the process prints when it is still there after the first signals.
const ALIVE: &str = "still alive";

#[track_caller]
fn assert_ended_by(output: &Output, signum: i32, way: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains(ALIVE), "{way}: {printed} {errors}");
    assert_eq!(output.status.signal(), Some(signum), "{way}: {} {errors}", output.status);
}

/// SG-11: when the last handle for a signal goes, however it does, the default action is back.
#[test]
fn default_action_returns_with_the_last_handle() {
    const WAYS: [&str; 6] = ["stop", "close", "closed", "move", "oneshot", "loop"];
    if !is_child() {
        for way in WAYS {
            let output = run_alone("default_action_returns_with_the_last_handle", "", way);
            assert_ended_by(&output, Signal::USR1, way);
        }
        return;
    }
    let event_loop = new_loop();
    let other = noting(&event_loop, &Journal::new(), Signal::USR1, "other");
    let journal = Journal::new();
    let last = match way().as_str() {
        "oneshot" => noting_once(&event_loop, &journal, Signal::USR1, "last"),
        _ => noting(&event_loop, &journal, Signal::USR1, "last"),
    };
    other.stop();
    drop(other);
    send(Signal::USR1);
    turn(&event_loop);
    journal.assert_is(&["last"]);
    println!("{ALIVE}");
    match way().as_str() {
        "stop" => last.stop(),
        "close" => drop(last.close()),
        "closed" => {
            last.close();
            event_loop.run().expect("the loop runs");
        }
        "move" => last.start(Signal::USR2, |_, _| {}).expect("it can be moved"),
        "loop" => drop(event_loop),
        _ => {}
    }
    send(Signal::USR1);
    unreachable!("the signal ends the process");
}

/// SG-11, SG-13: started again, a handle takes the default action away again; the next stop brings it back.
#[test]
fn default_action_goes_and_returns_each_time() {
    const TEST: &str = "default_action_goes_and_returns_each_time";
    if !is_child() {
        return assert_ended_by(&run_alone(TEST, "", ""), Signal::USR1, "");
    }
    let event_loop = new_loop();
    let journal = Journal::new();
    for _ in 0..3 {
        let signal = noting(&event_loop, &journal, Signal::USR1, "signal");
        send(Signal::USR1);
        turn(&event_loop);
        signal.stop();
    }
    journal.assert_is(&["signal", "signal", "signal"]);
    println!("{ALIVE}");
    send(Signal::USR1);
    unreachable!("the signal ends the process");
}

/// SG-11: a signal that was ignored before the first handle, such as SIGPIPE in a Rust program, is ignored again after the
/// last: a write to a broken pipe fails, and the process lives.
#[test]
fn broken_pipe_is_an_error_again_after_the_last_handle() {
    const TEST: &str = "broken_pipe_is_an_error_again_after_the_last_handle";
    if !is_child() {
        let output = run_alone(TEST, "", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let event_loop = new_loop();
    for _ in 0..2 {
        let journal = Journal::new();
        let signal = noting(&event_loop, &journal, Signal::PIPE, "signal");
        write_to_a_broken_pipe();
        turn(&event_loop);
        journal.assert_is(&["signal"]);
        signal.close();
        turn(&event_loop);
        write_to_a_broken_pipe();
        send(Signal::PIPE);
        turn(&event_loop);
        journal.assert_is(&["signal"]);
    }
}

fn write_to_a_broken_pipe() {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().expect("Unix has it");
    let mut pipe = reader.stdin.take().expect("a pipe that nobody has taken");
    assert!(reader.wait().expect("it ends").success());
    // Not a socket: there, std may ask for no signal.
    let err = pipe.write(b"x").expect_err("nobody reads it");
    assert_eq!(err.kind(), io::ErrorKind::BrokenPipe);
}

/// SG-11: under `nohup` SIGHUP is ignored again; otherwise it ends the process again. (Elsewhere than on Linux nobody can
/// tell the two apart.)
#[cfg(target_os = "linux")]
#[test]
fn hangup_is_ignored_again_under_nohup() {
    const TEST: &str = "hangup_is_ignored_again_under_nohup";
    if !is_child() {
        let output = run_alone(TEST, "trap '' HUP", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        assert_ended_by(&run_alone(TEST, "", ""), Signal::HUP, "without nohup");
        return;
    }
    let event_loop = new_loop();
    let journal = Journal::new();
    for _ in 0..2 {
        let signal = noting(&event_loop, &journal, Signal::HUP, "signal");
        send(Signal::HUP);
        turn(&event_loop);
        println!("{ALIVE}");
        signal.stop();
        send(Signal::HUP);
    }
    turn(&event_loop);
    journal.assert_is(&["signal", "signal"]);
}

/// SG-11: a signal whose default is to do nothing does nothing.
#[test]
fn signal_without_a_default_action_does_nothing_again() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let signal = noting(&event_loop, &journal, Signal::WINCH, "signal");
    send(Signal::WINCH);
    turn(&event_loop);
    signal.stop();
    send(Signal::WINCH);
    turn(&event_loop);
    journal.assert_is(&["signal"]);
}

/// SG-11: signals that are less common, such as the real-time ones, end the process again, too, as their default action
/// would.
#[cfg(target_os = "linux")]
#[test]
fn uncommon_signal_ends_the_process_again() {
    const TEST: &str = "uncommon_signal_ends_the_process_again";
    if !is_child() {
        for signum in [libc::SIGRTMIN() + 1, Signal::IO, Signal::PWR] {
            let output = run_alone(TEST, "", &signum.to_string());
            assert!(String::from_utf8_lossy(&output.stdout).contains(ALIVE));
            assert_eq!(output.status.code(), Some(128 + signum), "as a shell says it");
        }
        return;
    }
    let signum = way().parse().expect("a number");
    let event_loop = new_loop();
    let journal = Journal::new();
    let signal = noting(&event_loop, &journal, signum, "signal");
    (0..3).for_each(|_| send(signum));
    turn(&event_loop);
    journal.assert_is(&["signal", "signal", "signal"]);
    println!("{ALIVE}");
    signal.stop();
    send(signum);
    unreachable!("the signal ends the process");
}

/// SG-11: a handler that others installed before is called before, while and after there are handles, and keeps the
/// default action off. (Elsewhere than on Linux nobody can tell that there is one.)
#[cfg(target_os = "linux")]
#[test]
fn handler_of_others_is_called_throughout() {
    const TEST: &str = "handler_of_others_is_called_throughout";
    if !is_child() {
        let output = run_alone(TEST, "", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let called = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::USR1, Arc::clone(&called)).expect("it can be installed");
    let is_called = || {
        send(Signal::USR1);
        called.swap(false, Ordering::SeqCst)
    };
    assert!(is_called());
    let event_loop = new_loop();
    let journal = Journal::new();
    for _ in 0..2 {
        let signal = noting(&event_loop, &journal, Signal::USR1, "signal");
        assert!(is_called());
        turn(&event_loop);
        signal.stop();
        assert!(is_called());
    }
    drop(event_loop);
    assert!(is_called());
    journal.assert_is(&["signal", "signal"]);
}

/// H-20: a start that finds no descriptors fails and leaves nothing: not active, and the handlers of others as they were.
#[cfg(target_os = "linux")]
#[test]
fn start_without_descriptors_leaves_nothing() {
    const TEST: &str = "start_without_descriptors_leaves_nothing";
    if !is_child() {
        let output = run_alone(TEST, "", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let called = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::USR1, Arc::clone(&called)).expect("it can be installed");
    let event_loop = new_loop();
    let signal = Signal::new(&event_loop);
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // None left; then one; and so on: two are for the wake-up, two for the count.
    for _ in 0..4 {
        let err = signal.start(Signal::USR1, |_, _| {}).expect_err("there are too few descriptors");
        assert_eq!(err.raw_os_error(), Some(libc::EMFILE));
        assert!(!signal.is_active() && signal.signum().is_none());
        send(Signal::USR1);
        assert!(called.swap(false, Ordering::SeqCst));
        taken.pop();
    }
    signal.start(Signal::USR1, |_, _| {}).expect("now there are enough");
    signal.stop();
    // The first start leaves nothing behind that another one would miss.
    let start = signal.start(Signal::USR1, |_, _| {});
    start.expect("they were given back");
    signal.stop();
    send(Signal::USR1);
    assert!(called.swap(false, Ordering::SeqCst), "still there");
}

/// However many handles there are, a signal takes two descriptors for its count and two more in each loop; they are given
/// back with the last handle.
#[cfg(target_os = "linux")]
#[test]
fn many_handles_take_few_descriptors() {
    const TEST: &str = "many_handles_take_few_descriptors";
    if !is_child() {
        let output = run_alone(TEST, "", "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let loops = [new_loop(), new_loop()];
    let before = open_descriptors();
    let journal = Journal::new();
    let handles: Vec<Signal> = (0..100)
        .map(|number| noting(&loops[number % 2], &journal, Signal::USR1, "signal"))
        .collect();
    assert_eq!(open_descriptors(), before + 2 + 2 * 2);
    send(Signal::USR1);
    loops.iter().for_each(turn);
    assert_eq!(journal.entries().len(), handles.len());
    handles.iter().for_each(Signal::stop);
    assert_eq!(open_descriptors(), before);
}
