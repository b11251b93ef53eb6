//! Signals. Statements SG of the behaviour chapter.
//!
//! A signal reaches every handle of the process that waits for it, so the tests take turns. One in which a signal might
//! end the process runs in a process of its own.
#![cfg(feature = "signal")]

mod support;

use std::cell::{Cell, RefCell};
use std::env;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{self, Command, Output};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use libc::{SIGUSR1, SIGUSR2};
use luvio::{AliveKind, Check, Kind, LoopHandle, Misuse, Signal, Timer};
use signal_hook::low_level::raise;
use support::{
    Drops, Journal, Watchdog, child, expect, is_child, misuse, new_loop, turn, turn_until,
    watchdog, with_loop,
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

// ---- deliveries -----------------------------------------------------------------------------------------------------

/// SG-01: every handle for a signal gets one call for each delivery, with its number; handles for others get none.
#[test]
fn every_handle_is_called_for_each_delivery() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _silent = noting(&event_loop, &journal, SIGUSR2, "the other signal");
    let _handles: Vec<Signal> = (0..3)
        .map(|_| {
            let (signal, journal) = (Signal::new(&event_loop), journal.clone());
            let start = signal.start(SIGUSR1, move |signal, signum| {
                assert_eq!(signal.signum(), Some(signum));
                journal.note(format!("{signum}"));
            });
            start.expect("the signal can be heard");
            signal
        })
        .collect();
    send(SIGUSR1);
    turn(&event_loop);
    assert_eq!(journal.entries(), vec![SIGUSR1.to_string(); 3]);
    send(SIGUSR1);
    turn(&event_loop);
    assert_eq!(journal.entries(), vec![SIGUSR1.to_string(); 6]);
}

/// SG-02: deliveries are counted, not merged, also when they are more than a turn serves.
#[test]
fn deliveries_are_counted() {
    let _alone = alone();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let signal = Signal::new(&event_loop);
    signal
        .start(SIGUSR1, move |_, _| counter.set(counter.get() + 1))
        .expect("the signal can be heard");
    (0..10).for_each(|_| send(SIGUSR1));
    turn(&event_loop);
    assert_eq!(calls.get(), 10);

    (0..150).for_each(|_| send(SIGUSR1));
    turn_until(&event_loop, || calls.get() >= 160);
    turn(&event_loop);
    assert_eq!(calls.get(), 160);
}

/// A handle whose callback raises its own signal again does not keep the others from their turn.
#[test]
fn callback_that_raises_its_signal_does_not_hold_up_the_loop() {
    let _alone = alone();
    with_loop(|event_loop| {
        let signal = Signal::new(event_loop);
        signal.start(SIGUSR1, |_, signum| send(signum)).expect("the signal can be heard");
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
        send(SIGUSR1);
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
                    .start(SIGUSR1, move |signal, _| {
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
    send(SIGUSR1);
    send(SIGUSR1);
    for thread in threads {
        assert_eq!(thread.join().expect("it ends"), 2);
    }
}

/// SG-04: a handle started for one delivery gets one, though more have come, and is inactive then; others get them all.
#[test]
fn oneshot_handle_gets_one_delivery() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let once = noting_once(&event_loop, &journal, SIGUSR1, "once");
    let _repeating = noting(&event_loop, &journal, SIGUSR1, "each time");
    assert!(once.is_active());
    (0..3).for_each(|_| send(SIGUSR1));
    turn(&event_loop);
    send(SIGUSR1);
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
        .start_oneshot(SIGUSR1, move |signal, _| {
            first.note("first");
            let second = second.clone();
            let start = signal.start_oneshot(SIGUSR1, move |_, _| second.note("second"));
            start.expect("it can be started again");
        })
        .expect("the signal can be heard");
    send(SIGUSR1);
    send(SIGUSR1);
    turn(&event_loop);
    journal.assert_is(&["first"]);
    send(SIGUSR1);
    turn(&event_loop);
    journal.assert_is(&["first", "second"]);
}

/// SG-05: stopping the last repeating handle leaves those for one delivery armed, and the reverse.
#[test]
fn oneshot_and_repeating_handles_do_not_disarm_each_other() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let repeating = noting(&event_loop, &journal, SIGUSR1, "repeating");
    let _once = noting_once(&event_loop, &journal, SIGUSR1, "once");
    repeating.stop();
    send(SIGUSR1);
    turn(&event_loop);
    journal.assert_is(&["once"]);

    let once = noting_once(&event_loop, &journal, SIGUSR1, "once");
    let _repeating = noting(&event_loop, &journal, SIGUSR1, "repeating");
    once.close();
    send(SIGUSR1);
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
                .start(SIGUSR1, move |_, _| {
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
        send(SIGUSR1);
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
    let signal = noting(&event_loop, &journal, SIGUSR1, "before");
    let _another = noting(&event_loop, &Journal::new(), SIGUSR1, "keeps the process from ending");
    send(SIGUSR1);
    signal.stop();
    send(SIGUSR1);
    let notes = journal.clone();
    signal.start(SIGUSR1, move |_, _| notes.note("after")).expect("it can be started again");
    turn(&event_loop);
    journal.assert_is(&[]);
    send(SIGUSR1);
    turn(&event_loop);
    journal.assert_is(&["after"]);
}

/// SG-08: started with another number, a handle leaves its old signal, with what was caught of it.
#[test]
fn start_with_another_number_moves_the_handle() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _others = [SIGUSR1, SIGUSR2].map(|signum| noting(&event_loop, &Journal::new(), signum, ""));
    let signal = noting(&event_loop, &journal, SIGUSR1, "first");
    send(SIGUSR1);
    let notes = journal.clone();
    signal.start(SIGUSR2, move |_, signum| notes.note(format!("{}", signum == SIGUSR2))).unwrap();
    assert_eq!(signal.signum(), Some(SIGUSR2));
    send(SIGUSR1);
    send(SIGUSR2);
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
    let signal = noting(&event_loop, &journal, SIGUSR1, "old");
    (0..3).for_each(|_| send(SIGUSR1));
    let notes = journal.clone();
    signal.start(SIGUSR1, move |_, _| notes.note("new")).expect("it can be started again");
    turn(&event_loop);
    journal.assert_is(&["new", "new", "new"]);

    (0..3).for_each(|_| send(SIGUSR1));
    let notes = journal.clone();
    signal.start_oneshot(SIGUSR1, move |_, _| notes.note("last")).expect("it can be started");
    turn(&event_loop);
    journal.assert_is(&["new", "new", "new", "last"]);
    assert!(!signal.is_active());
}

/// SG-10: a handle that is closed with deliveries pending hears nothing of them, but its close callback comes.
#[test]
fn close_drops_what_was_not_reported_yet() {
    let _alone = alone();
    with_loop(|event_loop| {
        let journal = Journal::new();
        let signal = noting(event_loop, &journal, SIGUSR1, "signal");
        send(SIGUSR1);
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
            .start(SIGUSR1, move |signal, _| {
                called.hit();
                held.close();
                signal.close();
            })
            .expect("the signal can be heard");
        timer.unref();
        assert!(!event_loop.is_alive());
        event_loop.run().expect("the loop runs");
        timer.ref_();
        send(SIGUSR1);
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
        .start(SIGUSR1, move |_, _| {
            assert_eq!(thread::current().id(), here);
            *locked.lock().expect("nobody has panicked") += 1;
        })
        .expect("the signal can be heard");
    // In the signal's handler the callback would wait for this lock, for ever.
    let held = lock.lock().expect("nobody has panicked");
    send(SIGUSR1);
    thread::scope(|scope| scope.spawn(|| send(SIGUSR1)).join()).expect("it ends");
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
            .start(SIGUSR1, move |signal, _| {
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
        .start(SIGUSR1, move |_, _| {
            assert!(!std::mem::take(&mut first_time), "once");
            notes.note("panicking");
        })
        .expect("the signal can be heard");
    let _other = noting(&event_loop, &journal, SIGUSR1, "other");
    (0..2).for_each(|_| send(SIGUSR1));
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
    let signal = noting(&event_loop, &Journal::new(), SIGUSR1, "");
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].kind, AliveKind::Handle(Kind::Signal));
    assert_eq!(reasons[0].state, format!("waiting for signal {SIGUSR1}"));
    signal.stop();
    assert!(event_loop.alive_because().is_empty());
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
    let started = noting(&event_loop, &journal, SIGUSR1, "still here");
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
    assert_eq!(started.signum(), Some(SIGUSR1));
    send(SIGUSR1);
    turn(&event_loop);
    journal.assert_is(&["still here"]);
}

// ---- when the last handle goes --------------------------------------------------------------------------------------

/// Says how a process ends that runs `test` and is told to do it in this way.
fn run_alone(test: &str, way: &str) -> Output {
    let _watchdog = watchdog();
    child(test, "ulimit -c 0; ulimit -n 64")
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
            let output = run_alone("default_action_returns_with_the_last_handle", way);
            assert_ended_by(&output, SIGUSR1, way);
        }
        return;
    }
    let event_loop = new_loop();
    let other = noting(&event_loop, &Journal::new(), SIGUSR1, "other");
    let journal = Journal::new();
    let last = match way().as_str() {
        "oneshot" => noting_once(&event_loop, &journal, SIGUSR1, "last"),
        _ => noting(&event_loop, &journal, SIGUSR1, "last"),
    };
    other.stop();
    drop(other);
    send(SIGUSR1);
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
        "move" => last.start(SIGUSR2, |_, _| {}).expect("it can be moved"),
        "loop" => drop(event_loop),
        _ => {}
    }
    send(SIGUSR1);
    unreachable!("the signal ends the process");
}

/// SG-11, SG-13: started again, a handle takes the default action away again; the next stop brings it back.
#[test]
fn default_action_goes_and_returns_each_time() {
    const TEST: &str = "default_action_goes_and_returns_each_time";
    if !is_child() {
        return assert_ended_by(&run_alone(TEST, ""), SIGUSR1, "");
    }
    let event_loop = new_loop();
    let journal = Journal::new();
    for _ in 0..3 {
        let signal = noting(&event_loop, &journal, SIGUSR1, "signal");
        send(SIGUSR1);
        turn(&event_loop);
        signal.stop();
    }
    journal.assert_is(&["signal", "signal", "signal"]);
    println!("{ALIVE}");
    send(SIGUSR1);
    unreachable!("the signal ends the process");
}

/// SG-11: a signal whose default is to do nothing does nothing.
#[test]
fn ignored_signal_is_ignored_again() {
    let _alone = alone();
    let event_loop = new_loop();
    let journal = Journal::new();
    let signal = noting(&event_loop, &journal, libc::SIGWINCH, "signal");
    send(libc::SIGWINCH);
    turn(&event_loop);
    signal.stop();
    send(libc::SIGWINCH);
    turn(&event_loop);
    journal.assert_is(&["signal"]);
}

/// SG-11: a signal that has no name, such as a real-time one, ends the process again, too, as its default action would.
#[cfg(target_os = "linux")]
#[test]
fn real_time_signal_ends_the_process_again() {
    const TEST: &str = "real_time_signal_ends_the_process_again";
    let signum = libc::SIGRTMIN() + 1;
    if !is_child() {
        let output = run_alone(TEST, "");
        assert!(String::from_utf8_lossy(&output.stdout).contains(ALIVE));
        assert_eq!(output.status.code(), Some(128 + signum), "as a shell says it");
        return;
    }
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
        let output = run_alone(TEST, "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let called = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGUSR1, Arc::clone(&called)).expect("it can be installed");
    let is_called = || {
        send(SIGUSR1);
        called.swap(false, Ordering::SeqCst)
    };
    assert!(is_called());
    let event_loop = new_loop();
    let journal = Journal::new();
    for _ in 0..2 {
        let signal = noting(&event_loop, &journal, SIGUSR1, "signal");
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
        let output = run_alone(TEST, "");
        assert!(output.status.success(), "{}: {output:?}", output.status);
        return;
    }
    let called = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGUSR1, Arc::clone(&called)).expect("it can be installed");
    let event_loop = new_loop();
    let signal = Signal::new(&event_loop);
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // None left; then one; then the two of the socket, but none to look for the handlers of others.
    for _ in 0..3 {
        let err = signal.start(SIGUSR1, |_, _| {}).expect_err("there are too few descriptors");
        assert_eq!(err.raw_os_error(), Some(libc::EMFILE));
        assert!(!signal.is_active() && signal.signum().is_none());
        send(SIGUSR1);
        assert!(called.swap(false, Ordering::SeqCst));
        taken.pop();
    }
    signal.start(SIGUSR1, |_, _| {}).expect("now there are enough");
    signal.stop();
    send(SIGUSR1);
    assert!(called.swap(false, Ordering::SeqCst), "still there");
}
