//! Idle, prepare and check handles: when they run, in which order, and what may be done to them meanwhile.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Check, Idle, Loop, LoopHandle, Misuse, Notifier, Prepare, RunMode, Tcp, Timer};
use support::{
    Drops, Journal, connected_pair, expect, misuse, new_loop, refusing_addr, watchdog, with_loop,
    with_virtual_loop,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn turn(event_loop: &Loop) {
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
}

/// The three kinds have the same methods; each test that is about all of them is written once.
macro_rules! for_each_kind {
    ($test:ident) => {
        $test!(Idle);
        $test!(Prepare);
        $test!(Check);
    };
}

/// Starts a handle that notes `what` each time.
macro_rules! noting {
    ($kind:ident, $event_loop:expr, $journal:expr, $what:expr) => {{
        let hook = $kind::new($event_loop);
        let journal = $journal.clone();
        hook.start(move |_| journal.note($what)).expect("a new handle can be started");
        hook
    }};
}

/// W-01: each runs once a turn: idle, then prepare, then check.
#[test]
fn each_runs_once_a_turn_in_the_order_of_the_phases() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _check = noting!(Check, &event_loop, journal, "check");
    let _prepare = noting!(Prepare, &event_loop, journal, "prepare");
    let _idle = noting!(Idle, &event_loop, journal, "idle");
    turn(&event_loop);
    turn(&event_loop);
    journal.assert_is(&["idle", "prepare", "check", "idle", "prepare", "check"]);
}

/// W-02: those of one kind run in the order in which they were started.
#[test]
fn those_of_one_kind_run_in_start_order() {
    macro_rules! test {
        ($kind:ident) => {
            let event_loop = new_loop();
            let journal = Journal::new();
            let first = noting!($kind, &event_loop, journal, "first");
            let _second = noting!($kind, &event_loop, journal, "second");
            turn(&event_loop);
            first.stop();
            let again = journal.clone();
            first.start(move |_| again.note("first, again")).expect("it can be started again");
            turn(&event_loop);
            journal.assert_is(&["first", "second", "second", "first, again"]);
        };
    }
    let _watchdog = watchdog();
    for_each_kind!(test);
}

/// W-03: one that is started in a callback of its own kind first runs in the next turn.
#[test]
fn one_started_by_its_own_kind_waits_for_the_next_turn() {
    macro_rules! test {
        ($kind:ident) => {
            let event_loop = new_loop();
            let journal = Journal::new();
            let (starter, notes) = ($kind::new(&event_loop), journal.clone());
            let started = Rc::new(RefCell::new(None));
            let slot = Rc::clone(&started);
            starter
                .start(move |hook| {
                    notes.note("starter");
                    let new = noting!($kind, hook.event_loop(), notes, "started");
                    slot.replace(Some(new));
                    hook.stop();
                })
                .expect("a new handle can be started");
            turn(&event_loop);
            journal.assert_is(&["starter"]);
            turn(&event_loop);
            journal.assert_is(&["starter", "started"]);
        };
    }
    let _watchdog = watchdog();
    for_each_kind!(test);
}

/// W-04, W-05: one that is started in an earlier phase runs in this turn; an idle one that is started in prepare keeps
/// the poll from blocking, and runs first in the next turn.
#[test]
fn one_started_in_an_earlier_phase_runs_in_this_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _far = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    let (idle, prepare, check) =
        (Idle::new(&event_loop), Prepare::new(&event_loop), Check::new(&event_loop));
    let (later, notes) = (idle.clone(), journal.clone());
    let checking = check;
    let preparing = prepare;
    idle.start(move |idle| {
        idle.stop();
        let (later, notes) = (later.clone(), notes.clone());
        let checking = checking.clone();
        preparing
            .start(move |prepare| {
                notes.note("prepare");
                prepare.stop();
                let (idling, turning) = (notes.clone(), notes.clone());
                later.start(move |_| idling.note("idle")).expect("it can be started");
                checking.start(move |_| turning.note("check")).expect("it can be started");
            })
            .expect("it can be started");
    })
    .expect("it can be started");
    // If the poll of the first turn blocked, this would take an hour.
    event_loop.run_mode(RunMode::Once).expect("the loop runs");
    journal.assert_is(&["prepare", "check"]);
    event_loop.run_mode(RunMode::Once).expect("the loop runs");
    journal.assert_is(&["prepare", "check", "idle", "check"]);
}

/// W-06: one that an earlier callback of its pass stopped or closed does not run.
#[test]
fn one_that_was_stopped_or_closed_in_its_pass_does_not_run() {
    macro_rules! test {
        ($kind:ident) => {
            let event_loop = new_loop();
            let victims: Rc<RefCell<Vec<$kind>>> = Rc::default();
            let targets = Rc::clone(&victims);
            let first = $kind::new(&event_loop);
            first
                .start(move |_| {
                    targets.borrow()[0].stop();
                    targets.borrow()[1].close();
                })
                .expect("a new handle can be started");
            for _ in 0..2 {
                let victim = $kind::new(&event_loop);
                victim.start(|_| panic!("it was stopped")).expect("it can be started");
                victims.borrow_mut().push(victim);
            }
            turn(&event_loop);
        };
    }
    let _watchdog = watchdog();
    for_each_kind!(test);
}

/// W-07: a handle may stop or close itself, and the others still run.
#[test]
fn one_may_stop_or_close_itself() {
    macro_rules! test {
        ($kind:ident) => {
            with_loop(|event_loop| {
                let (stopped, closed, last) = (expect(1), expect(1), expect(1));
                let stopping = $kind::new(event_loop);
                let others = stopping.clone();
                stopping
                    .start(move |hook| {
                        stopped.hit();
                        hook.stop();
                    })
                    .expect("it can be started");
                $kind::new(event_loop)
                    .start(move |hook| {
                        closed.hit();
                        hook.close();
                    })
                    .expect("it can be started");
                $kind::new(event_loop)
                    .start(move |hook| {
                        last.hit();
                        others.close();
                        hook.close();
                    })
                    .expect("it can be started");
                // Prepare and check run only in turns, and a turn needs a reason.
                Timer::after(event_loop, Duration::ZERO, |_| {});
                event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
            });
        };
    }
    for_each_kind!(test);
}

/// W-08: starting an active one replaces its callback, which is dropped.
#[test]
fn start_of_an_active_one_replaces_its_callback() {
    macro_rules! test {
        ($kind:ident) => {
            let event_loop = new_loop();
            let (drops, journal) = (Drops::new(), Journal::new());
            let hook = $kind::new(&event_loop);
            let token = drops.token();
            hook.start(move |_| {
                token.keep();
                panic!("it was replaced");
            })
            .expect("a new handle can be started");
            let notes = journal.clone();
            hook.start(move |_| notes.note("new")).expect("an active handle can be started");
            assert_eq!(drops.count(), 1);
            turn(&event_loop);
            journal.assert_is(&["new"]);
        };
    }
    let _watchdog = watchdog();
    for_each_kind!(test);
}

/// W-09: while an idle handle is active the loop does not block, and timers go on.
#[test]
fn loop_does_not_block_while_an_idle_handle_is_active() {
    with_virtual_loop(|event_loop| {
        let turns = Rc::new(Cell::new(0));
        let counter = Rc::clone(&turns);
        let fired = expect(1);
        let idle = Idle::new(event_loop);
        idle.start(move |idle| {
            counter.set(counter.get() + 1);
            assert_eq!(idle.event_loop().backend_timeout(), Some(Duration::ZERO));
            if counter.get() == 100 {
                idle.close();
            }
        })
        .expect("it can be started");
        Timer::after(event_loop, Duration::ZERO, move |_| {
            fired.hit();
            assert!(turns.get() <= 1);
        });
    });
}

/// W-10: what is begun in prepare is part of this turn's poll, and what fails at once is reported without blocking.
#[test]
fn io_begun_in_prepare_is_part_of_this_turns_poll() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let _far = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    let failures = Rc::new(Cell::new(0));
    let prepare = Prepare::new(&event_loop);
    let counter = Rc::clone(&failures);
    let addr = refusing_addr();
    prepare
        .start(move |prepare| {
            prepare.close();
            let tcp = Tcp::new(prepare.event_loop());
            for connect in [tcp.connect("not an address"), tcp.connect(addr)] {
                let counter = Rc::clone(&counter);
                connect.then(move |result| {
                    assert!(result.is_err());
                    counter.set(counter.get() + 1);
                });
            }
        })
        .expect("it can be started");
    while failures.get() < 2 {
        event_loop.run_mode(RunMode::Once).expect("the loop runs");
    }
}

/// W-11: a lone prepare or check handle keeps the loop alive, but asleep.
#[test]
fn lone_prepare_or_check_keeps_the_loop_alive_and_asleep() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let prepare = Prepare::new(&event_loop);
    prepare.start(move |_| counter.set(counter.get() + 1)).expect("it can be started");
    assert!(event_loop.is_alive());
    assert_eq!(event_loop.backend_timeout(), None);
    let closing = prepare;
    Timer::after(&event_loop, Duration::from_millis(20), move |_| drop(closing.close()));
    event_loop.run().expect("the loop runs");
    assert!(calls.get() <= 2, "{} turns while nothing happened", calls.get());

    let check = Check::new(&event_loop);
    check.start(|_| {}).expect("it can be started");
    assert!(event_loop.is_alive());
    assert_eq!(event_loop.backend_timeout(), None);
}

/// W-11: beside a connection that nobody reads there is one turn more, for the news that it can be written.
#[test]
fn check_beside_an_unread_connection_gets_one_turn_more() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let check = Check::new(&event_loop);
    check.start(move |_| counter.set(counter.get() + 1)).expect("it can be started");
    let (_tcp, _peer) = connected_pair(&event_loop);
    for expected in [2, 3] {
        let timer = Timer::after(&event_loop, Duration::from_millis(20), |timer| {
            timer.event_loop().stop();
        });
        event_loop.run().expect("the loop runs");
        assert!(!timer.is_active());
        assert!(calls.get() <= expected, "{} turns while nothing happened", calls.get());
    }
}

/// W-12: a timer that is started in check counts from this turn's clock.
#[test]
fn timer_started_in_check_counts_from_this_turn() {
    with_virtual_loop(|event_loop| {
        let fired = expect(1);
        Timer::after(event_loop, Duration::from_secs(5), |_| {});
        let check = Check::new(event_loop);
        check
            .start(move |check| {
                let now = check.event_loop().now();
                assert_eq!(
                    now,
                    Duration::from_secs(5),
                    "the poll of this turn has waited for the timer"
                );
                let fired = fired.clone();
                Timer::after(check.event_loop(), Duration::from_secs(1), move |timer| {
                    fired.hit();
                    assert_eq!(timer.event_loop().now(), now + Duration::from_secs(1));
                });
                check.close();
            })
            .expect("it can be started");
    });
}

/// H-18, H-19: a closed one cannot be started; stopping is always possible.
#[test]
fn closed_one_cannot_be_started() {
    macro_rules! test {
        ($kind:ident) => {
            with_loop(|event_loop| {
                let hook = $kind::new(event_loop);
                hook.stop();
                hook.close();
                hook.stop();
                assert_eq!(misuse(hook.start(|_| {})), Misuse::Closing);
            });
        };
    }
    for_each_kind!(test);
}

/// H-05: an unreferenced one does not keep the loop going.
#[test]
fn unreferenced_one_does_not_keep_the_loop_going() {
    macro_rules! test {
        ($kind:ident) => {
            with_loop(|event_loop: &Loop| {
                let hook = $kind::new(event_loop);
                hook.unref();
                hook.start(|_| panic!("nothing keeps the loop going")).expect("it can be started");
                event_loop.run().expect("the loop runs");
                hook.close();
            });
        };
    }
    for_each_kind!(test);
}

/// H-06: one that unreferences itself ends the run after this turn.
#[test]
fn one_that_unreferences_itself_ends_the_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let handle: &LoopHandle = &event_loop;
    let prepare = Prepare::new(handle);
    prepare
        .start(move |prepare| {
            counter.set(counter.get() + 1);
            prepare.unref();
        })
        .expect("it can be started");
    let notifier = Notifier::new(handle, |_| {}).expect("a notifier can be made");
    notifier.unref();
    event_loop.run().expect("the loop runs");
    assert_eq!(calls.get(), 1);
}
