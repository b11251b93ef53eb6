//! Timers: when they fire, in which order, and what may be done to them meanwhile.

mod support;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use luvio::{Check, Idle, Loop, LoopHandle, Misuse, Prepare, RunMode, Timer};
use proptest::prelude::*;
use support::{Journal, connected_pair, expect, misuse, watchdog, with_loop, with_virtual_loop};

const ZERO: Duration = Duration::ZERO;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A timer that runs once.
fn once(event_loop: &LoopHandle, delay: Duration, cb: impl FnMut(&Timer) + 'static) -> Timer {
    start(event_loop, delay, ZERO, cb)
}

fn start(
    event_loop: &LoopHandle,
    delay: Duration,
    repeat: Duration,
    cb: impl FnMut(&Timer) + 'static,
) -> Timer {
    let timer = Timer::new(event_loop);
    timer.start(delay, repeat, cb).expect("a new timer can be started");
    timer
}

/// Notes `what` when the timer fires.
fn noting(event_loop: &LoopHandle, delay: Duration, journal: &Journal, what: &str) -> Timer {
    let (journal, what) = (journal.clone(), what.to_string());
    once(event_loop, delay, move |_| journal.note(what.clone()))
}

// ---- when -----------------------------------------------------------------------------------------------------------

/// T-01: a timer fires when its delay has passed on the loop's clock, in full resolution.
#[test]
fn timer_fires_when_its_delay_has_passed() {
    with_virtual_loop(|event_loop| {
        for delay in [Duration::from_secs(3_600), Duration::from_nanos(1_500_001)] {
            let fired = expect(1);
            Timer::after(event_loop, delay, move |timer| {
                fired.hit();
                assert_eq!(timer.event_loop().now(), delay);
            });
        }
    });
}

/// T-01: by the wall clock, a timer is not early either.
#[test]
fn timer_is_never_early_by_the_wall_clock() {
    with_loop(|event_loop| {
        for micros in [100, 700, 1_300, 5_000] {
            let fired = expect(1);
            event_loop.update_time();
            let begin = Instant::now();
            let delay = Duration::from_micros(micros);
            // The cached clock was read before `begin`, by less than a call takes.
            let slack = Duration::from_micros(50);
            Timer::after(event_loop, delay + slack, move |_| {
                fired.hit();
                assert!(begin.elapsed() >= delay);
            });
        }
    });
}

/// T-02: a delay of zero means the next pass over the timers.
#[test]
fn zero_delay_means_the_next_pass() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let journal = Journal::new();
    let (idling, preparing, checking) =
        (Idle::new(&event_loop), Prepare::new(&event_loop), Check::new(&event_loop));
    let notes = journal.clone();
    idling
        .start(move |idle| {
            noting(idle.event_loop(), ZERO, &notes, "from idle");
            idle.close();
        })
        .expect("it starts");
    let notes = journal.clone();
    preparing
        .start(move |prepare| {
            noting(prepare.event_loop(), ZERO, &notes, "from prepare");
            prepare.close();
        })
        .expect("it starts");
    let notes = journal.clone();
    checking
        .start(move |check| {
            noting(check.event_loop(), ZERO, &notes, "from check");
            let notes = notes.clone();
            let event_loop = check.event_loop().clone();
            check.close().then(move |_| drop(noting(&event_loop, ZERO, &notes, "from close")));
        })
        .expect("it starts");
    noting(&event_loop, ZERO, &journal, "from outside");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["from outside", "from idle", "from prepare", "from check", "from close"]);
}

/// T-02, T-03: one that is started with no delay in a timer callback, even by itself, waits for the next turn.
#[test]
fn zero_delay_in_a_timer_callback_means_the_next_turn() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let (notes, turns) = (journal.clone(), journal.clone());
        let check = Check::new(event_loop);
        check.start(move |_| turns.note("turn")).expect("it starts");
        check.unref();
        let first = once(event_loop, ZERO, move |timer| {
            notes.note("first");
            noting(timer.event_loop(), ZERO, &notes, "other");
            let notes = notes.clone();
            timer.start(ZERO, ZERO, move |_| notes.note("itself")).expect("it starts");
        });
        event_loop.run().expect("the loop runs");
        first.close();
        check.close();
        journal.assert_is(&["first", "turn", "other", "itself"]);
    });
}

/// T-05: a timer that becomes due while callbacks run waits for the next turn.
#[test]
fn timer_that_becomes_due_during_the_pass_waits() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let journal = Journal::new();
    noting(&event_loop, ms(3), &journal, "late");
    let notes = journal.clone();
    once(&event_loop, ZERO, move |timer| {
        notes.note("slow");
        let begin = Instant::now();
        while begin.elapsed() < ms(4) {}
        timer.event_loop().update_time();
    });
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["slow"]);
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["slow", "late"]);
}

/// T-22: the remaining time, by the cached clock: zero when overdue, after it fired, and if it was never started.
#[test]
fn due_in_is_the_time_that_is_left() {
    with_virtual_loop(|event_loop| {
        let timer = once(event_loop, ms(10), |timer| assert_eq!(timer.due_in(), ZERO));
        assert_eq!(timer.due_in(), ms(10));
        let checked = expect(1);
        let watched = timer.clone();
        once(event_loop, ms(4), move |_| {
            checked.hit();
            assert_eq!(watched.due_in(), ms(6));
        });
        event_loop.run().expect("the loop runs");
        assert_eq!(timer.due_in(), ZERO);
        assert_eq!(Timer::new(event_loop).due_in(), ZERO);
        timer.close();
    });
}

/// T-22: a timer that was stopped says what would be left, until it is started again.
#[test]
fn stopped_timer_says_what_would_be_left() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
    let timer = start(&event_loop, ms(10), ms(4), |_| panic!("it was stopped"));
    event_loop.advance(ms(3)).expect("the loop runs");
    timer.stop();
    assert!(!timer.is_active());
    assert_eq!(timer.due_in(), ms(7));
    event_loop.advance(ms(2)).expect("the loop runs");
    assert_eq!(timer.due_in(), ms(5));
    event_loop.advance(ms(100)).expect("the loop runs");
    assert_eq!(timer.due_in(), ZERO);
    timer.again().expect("it was started");
    assert_eq!(timer.due_in(), ms(4));
    drop(event_loop);
    assert_eq!(timer.due_in(), ZERO, "the loop is gone");
}

/// T-22: an overdue timer has no time left.
#[test]
fn overdue_timer_has_no_time_left() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let timer = once(&event_loop, Duration::from_nanos(1), |_| {});
    let begin = Instant::now();
    while begin.elapsed() < ms(1) {}
    event_loop.update_time();
    assert_eq!(timer.due_in(), ZERO);
    assert!(timer.is_active());
}

/// T-23: a delay near the top of the range means never, and disturbs nobody.
#[test]
fn huge_delay_saturates() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let never = once(event_loop, Duration::MAX, |_| panic!("too early"));
        let hardly = once(event_loop, Duration::from_nanos(u64::MAX), |_| panic!("too early"));
        noting(event_loop, ms(2), &journal, "2");
        noting(event_loop, ms(1), &journal, "1");
        let notes = journal;
        once(event_loop, Duration::from_secs(1_000_000_000), move |_| {
            notes.assert_is(&["1", "2"]);
            assert!(never.due_in() > Duration::from_secs(1_000_000_000));
            never.close();
            hardly.close();
        });
    });
}

/// T-24: after a huge repeat was armed the timer stays quiet, and the loop asleep.
#[test]
fn huge_repeat_stays_quiet() {
    with_virtual_loop(|event_loop| {
        let turns = Rc::new(Cell::new(0));
        let counter = Rc::clone(&turns);
        let prepare = Prepare::new(event_loop);
        prepare.start(move |_| counter.set(counter.get() + 1)).expect("it starts");
        prepare.unref();
        let fired = expect(1);
        let timer = start(event_loop, ZERO, Duration::MAX, move |_| {
            fired.hit();
        });
        once(event_loop, Duration::from_secs(1_000), move |_| {
            assert!(turns.get() <= 3, "{} turns", turns.get());
            timer.close();
            prepare.close();
        });
    });
}

/// T-25: a timer counts from the cached clock, however long the callback that starts it has run.
#[test]
fn timer_counts_from_the_cached_clock() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let journal = Journal::new();
    let notes = journal.clone();
    let check = Check::new(&event_loop);
    check
        .start(move |check| {
            let begin = Instant::now();
            while begin.elapsed() < ms(4) {}
            noting(check.event_loop(), ms(3), &notes, "due already");
            check.close();
        })
        .expect("it starts");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["due already"]);
}

/// T-25, L-17: outside a run, before the first one and between two, whoever starts a timer reads the clock: it counts from
/// then, not from when the loop looked last, and `now`, `due_in` and `backend_timeout` agree with that.
#[test]
fn timer_started_outside_a_run_counts_from_now() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let timer = Timer::new(&event_loop);
    let start = || timer.start(ms(3), ms(3), |_| {}).expect("a timer can be started");
    let again = || timer.again().expect("it was started");
    let after = || drop(Timer::after(&event_loop, ms(3), |_| {}));
    let starts: [&dyn Fn(); 3] = [&start, &again, &after];
    for start in starts {
        let (before, begin) = (event_loop.now(), Instant::now());
        while begin.elapsed() < ms(4) {}
        assert_eq!(event_loop.now(), before, "nobody has asked for the time");
        start();
        assert!(event_loop.now() >= before + ms(4));
        assert_eq!(event_loop.backend_timeout(), Some(ms(3)));
        assert!(!timer.is_active() || timer.due_in() == ms(3));
        timer.stop();
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    }
}

// ---- order ----------------------------------------------------------------------------------------------------------

/// T-04: by due time, and among equals by start; a restart goes behind its equals.
#[test]
fn timers_run_by_due_time_then_by_start() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let restarted = noting(event_loop, ms(5), &journal, "never");
        noting(event_loop, ms(5), &journal, "b");
        noting(event_loop, ms(9), &journal, "d");
        noting(event_loop, ms(1), &journal, "a");
        let notes = journal.clone();
        restarted.start(ms(5), ZERO, move |_| notes.note("c")).expect("it starts");
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["a", "b", "c", "d"]);
        restarted.close();
    });
}

/// T-06: a timer that an earlier one of its pass stopped or closed does not fire.
#[test]
fn due_timer_that_was_stopped_does_not_fire() {
    with_virtual_loop(|event_loop| {
        let victims: Rc<RefCell<Vec<Timer>>> = Rc::default();
        let first = expect(1);
        let targets = Rc::clone(&victims);
        once(event_loop, ms(1), move |_| {
            first.hit();
            targets.borrow()[0].stop();
            targets.borrow()[1].close();
        });
        for _ in 0..2 {
            victims.borrow_mut().push(once(event_loop, ms(1), |_| panic!("it was stopped")));
        }
        event_loop.run().expect("the loop runs");
        victims.borrow()[0].close();
    });
}

/// T-07: a timer that an earlier one of its pass restarted fires once, by its new setting.
#[test]
fn due_timer_that_was_restarted_leaves_the_pass() {
    with_virtual_loop(|event_loop| {
        let journal = Journal::new();
        let victim: Rc<RefCell<Option<Timer>>> = Rc::default();
        let (target, notes) = (Rc::clone(&victim), journal.clone());
        once(event_loop, ms(1), move |_| {
            notes.note("first");
            let notes = notes.clone();
            let target = target.borrow();
            let target = target.as_ref().expect("it was made");
            target.start(ZERO, ZERO, move |_| notes.note("restarted")).expect("it starts");
        });
        victim.replace(Some(once(event_loop, ms(1), |_| panic!("it was restarted"))));
        noting(event_loop, ms(1), &journal, "last of the pass");
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["first", "last of the pass", "restarted"]);
        victim.take().expect("it was made").close();
    });
}

/// T-28: endless timers without delay leave I/O its turn, and an idle handle leaves timers theirs.
#[test]
fn neither_timers_nor_io_nor_idle_starve_the_others() {
    with_loop(|event_loop| {
        let endless = start(event_loop, ZERO, Duration::from_nanos(1), |_| {});
        let restless = Idle::new(event_loop);
        restless.start(|_| {}).expect("it starts");
        let (tcp, mut peer) = connected_pair(event_loop);
        let left = Rc::new(Cell::new(2));
        let done = move || {
            left.set(left.get() - 1);
            if left.get() == 0 {
                endless.close();
                restless.close();
            }
        };
        let (read, fired) = (expect(1), expect(1));
        let after_read = done.clone();
        tcp.read_start(move |tcp, _| {
            read.hit();
            tcp.close();
            after_read();
        })
        .expect("a connection can be read");
        once(event_loop, ms(2), move |_| {
            fired.hit();
            done();
        });
        peer.write_all(b"x").expect("the kernel has room");
        event_loop.run().expect("the loop runs");
    });
}

// ---- one shot and repeating -------------------------------------------------------------------------------------------

/// T-08, T-09: a timer found due is active until its callback begins; in it, a one-shot is not, and may start again.
#[test]
fn one_shot_is_active_until_its_callback_begins() {
    with_virtual_loop(|event_loop| {
        let second: Rc<RefCell<Option<Timer>>> = Rc::default();
        let target = Rc::clone(&second);
        once(event_loop, ms(1), move |timer| {
            assert!(!timer.is_active());
            assert!(target.borrow().as_ref().expect("it was made").is_active());
        });
        let fired = expect(1);
        second.replace(Some(once(event_loop, ms(1), move |timer| {
            assert!(!timer.is_active());
            let fired = fired.clone();
            timer
                .start(ms(1), ZERO, move |timer| {
                    fired.hit();
                    timer.close();
                })
                .expect("a timer can be started in its callback");
            assert!(timer.is_active());
        })));
        event_loop.run().expect("the loop runs");
        second.take();
    });
}

/// T-10, T-11: a repeating timer is armed again before its callback, counted from the clock of the pass.
#[test]
fn repeating_timer_is_armed_again_from_the_clock_of_the_pass() {
    with_virtual_loop(|event_loop| {
        let fired = expect(3);
        start(event_loop, ms(5), ms(10), move |timer| {
            assert!(timer.is_active());
            assert_eq!(timer.due_in(), ms(10));
            let expected = ms(5) + ms(10) * (fired.hit() as u32 - 1);
            assert_eq!(timer.event_loop().now(), expected);
            if fired.hits() == 3 {
                timer.close();
            }
        });
    });
}

/// T-11, T-12: what a loop that was held up has missed is not made up, and the next one counts from now.
#[test]
fn missed_repetitions_are_not_made_up() {
    with_loop(|event_loop| {
        let fired = expect(3);
        start(event_loop, ms(2), ms(2), move |timer| {
            if fired.hit() == 1 {
                let begin = Instant::now();
                while begin.elapsed() < ms(11) {}
            } else {
                assert!(timer.due_in() > ms(1), "it counts from the clock of this pass");
            }
            if fired.hits() == 3 {
                timer.close();
            }
        });
    });
}

/// T-13: starting again replaces delay, repeat and callback.
#[test]
fn start_of_a_running_timer_replaces_everything() {
    with_virtual_loop(|event_loop| {
        let fired = expect(1);
        let timer = start(event_loop, ms(1), ms(1), |_| panic!("it was replaced"));
        timer
            .start(ms(7), ZERO, move |timer| {
                fired.hit();
                assert_eq!(timer.event_loop().now(), ms(7));
                assert_eq!(timer.repeat(), ZERO);
            })
            .expect("a running timer can be started");
        event_loop.run().expect("the loop runs");
        timer.close();
    });
}

/// T-14: again needs a callback.
#[test]
fn again_of_a_timer_that_was_never_started_is_an_error() {
    with_virtual_loop(|event_loop| {
        let timer = Timer::new(event_loop);
        assert_eq!(misuse(timer.again()), Misuse::NeverStarted);
        assert!(!timer.is_active());
        timer.close();
    });
}

/// T-15, T-17: again arms a timer to fire one repeat from now, stopped or not; often enough, it never fires.
#[test]
fn again_counts_one_repeat_from_now() {
    with_virtual_loop(|event_loop| {
        let fired = expect(1);
        let put_off = start(event_loop, ms(5), ms(10), move |timer| {
            fired.hit();
            assert_eq!(timer.event_loop().now(), ms(4 * 9 + 10));
            timer.close();
        });
        let mut left = 9;
        start(event_loop, ms(4), ms(4), move |timer| {
            put_off.again().expect("it was started");
            assert_eq!(put_off.due_in(), ms(10));
            left -= 1;
            if left == 0 {
                timer.close();
            }
        });
        let stopped = start(event_loop, ms(1), ms(3), |timer| {
            assert_eq!(timer.event_loop().now(), ms(3));
            timer.close();
        });
        stopped.stop();
        stopped.again().expect("it was started");
        assert!(stopped.is_active());
    });
}

/// T-16: again on a timer without a repeat stops it.
#[test]
fn again_without_a_repeat_stops_the_timer() {
    with_virtual_loop(|event_loop| {
        let timer = once(event_loop, ms(1), |_| panic!("it was stopped"));
        timer.again().expect("it was started");
        assert!(!timer.is_active());
        event_loop.run().expect("the loop runs");
        timer.close();
    });
}

/// T-18: a new repeat counts from the next arming; zero ends the repetition after one more.
#[test]
fn set_repeat_touches_only_the_next_arming() {
    with_virtual_loop(|event_loop| {
        let times = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&times);
        let timer = start(event_loop, ms(1), ms(10), move |timer| {
            noted.borrow_mut().push(timer.event_loop().now());
            match noted.borrow().len() {
                1 => timer.set_repeat(ms(100)),
                2 => timer.set_repeat(ZERO),
                _ => {}
            }
        });
        event_loop.run().expect("the loop runs");
        assert_eq!(*times.borrow(), [ms(1), ms(11), ms(111)]);
        timer.close();
    });
}

/// T-19, T-20: a repeat set before a one-shot fires makes it repeat; set in its callback, it does not arm it.
#[test]
fn set_repeat_of_a_one_shot() {
    with_virtual_loop(|event_loop| {
        let fired = expect(2);
        let timer = once(event_loop, ms(1), move |timer| {
            if fired.hit() == 2 {
                timer.close();
            }
        });
        timer.set_repeat(ms(1));
        let only = expect(1);
        let shot = once(event_loop, ms(1), move |timer| {
            only.hit();
            timer.set_repeat(ms(1));
            assert!(!timer.is_active());
        });
        event_loop.run().expect("the loop runs");
        shot.close();
    });
}

/// T-21: a new timer does not repeat.
#[test]
fn new_timer_has_no_repeat() {
    with_virtual_loop(|event_loop| {
        let timer = Timer::new(event_loop);
        assert_eq!(timer.repeat(), ZERO);
        timer.set_repeat(ms(3));
        assert_eq!(timer.repeat(), ms(3));
        timer.close();
    });
}

/// T-26: in one turn a timer fires once at most, however overdue.
#[test]
fn timer_fires_once_in_a_turn_at_most() {
    let _watchdog = watchdog();
    for mode in [RunMode::NoWait, RunMode::Once] {
        let event_loop = Loop::new().expect("a loop can be made");
        let fired = Rc::new(Cell::new(0));
        let counter = Rc::clone(&fired);
        let _timer = start(&event_loop, ZERO, Duration::from_nanos(1), move |_| {
            counter.set(counter.get() + 1);
        });
        let begin = Instant::now();
        while begin.elapsed() < ms(1) {}
        event_loop.run_mode(mode).expect("the loop runs");
        assert_eq!(fired.get(), 1);
    }
}

/// T-27, W-12: a check callback may stop a timer that is due in its turn; one it restarts counts from this turn's clock.
#[test]
fn check_may_stop_or_restart_a_timer_of_its_turn() {
    with_virtual_loop(|event_loop| {
        let stopped = once(event_loop, ms(1), |_| panic!("it was stopped"));
        let fired = expect(1);
        let restarted = once(event_loop, ms(1), |_| panic!("it was restarted"));
        let check = Check::new(event_loop);
        check
            .start(move |check| {
                if check.event_loop().now() == ms(1) {
                    stopped.close();
                    let fired = fired.clone();
                    restarted
                        .start(ms(2), ZERO, move |timer| {
                            fired.hit();
                            assert_eq!(timer.event_loop().now(), ms(3));
                            timer.close();
                        })
                        .expect("it starts");
                    check.close();
                }
            })
            .expect("it starts");
    });
}

/// T-29: an unreferenced timer fires as long as something else keeps the loop running, and not otherwise.
#[test]
fn unreferenced_timer_fires_if_the_loop_lives() {
    with_virtual_loop(|event_loop| {
        let fired = expect(1);
        let timer = start(event_loop, ms(1), ms(10), move |_| {
            fired.hit();
        });
        timer.unref();
        once(event_loop, ms(5), |_| {});
        event_loop.run().expect("the loop runs");
        assert!(timer.is_active());
        timer.close();
    });
}

/// T-30: a hundred thousand timers run in their order, and as many can be stopped again.
#[test]
fn hundred_thousand_timers_are_practical() {
    with_virtual_loop(|event_loop| {
        const COUNT: u64 = 100_000;
        let last = Rc::new(Cell::new((0, 0)));
        let fired = Rc::new(Cell::new(0));
        let timers: Vec<Timer> = (0..COUNT)
            .map(|index| {
                let (last, fired) = (Rc::clone(&last), Rc::clone(&fired));
                let due = index * 7_919 % 1_000;
                once(event_loop, ms(due), move |_| {
                    assert!((due, index) > last.get() || index == 0);
                    last.set((due, index));
                    fired.set(fired.get() + 1);
                })
            })
            .collect();
        timers.iter().step_by(2).for_each(Timer::stop);
        event_loop.run().expect("the loop runs");
        assert_eq!(fired.get(), COUNT / 2);
        timers.iter().for_each(|timer| drop(timer.close()));
    });
}

// ---- a script against a model -----------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Start { timer: usize, delay: u64 },
    Stop { timer: usize },
    Again { timer: usize, repeat: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let timer = 0..8_usize;
    let step = prop_oneof![
        4 => (timer.clone(), 0..20_u64).prop_map(|(timer, delay)| Step::Start { timer, delay }),
        1 => timer.clone().prop_map(|timer| Step::Stop { timer }),
        1 => (timer, 1..20_u64).prop_map(|(timer, repeat)| Step::Again { timer, repeat }),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    /// T-04, T-13, T-15: whatever is started, stopped and started again, timers fire by due time and then by start.
    #[test]
    fn timers_fire_as_a_sorted_list_says(steps in steps()) {
        let _watchdog = watchdog();
        let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
        let fired = Rc::new(RefCell::new(Vec::new()));
        let timers: Vec<Timer> = (0..8).map(|_| Timer::new(&event_loop)).collect();
        let mut model: Vec<(u64, usize, usize)> = Vec::new();
        for (order, step) in steps.into_iter().enumerate() {
            match step {
                Step::Start { timer, delay } => {
                    let fired = Rc::clone(&fired);
                    timers[timer]
                        .start(ms(delay), ZERO, move |handle| {
                            fired.borrow_mut().push((handle.event_loop().now(), timer));
                            handle.set_repeat(ZERO);
                        })
                        .expect("it starts");
                    model.retain(|&(_, _, other)| other != timer);
                    model.push((delay, order, timer));
                }
                Step::Stop { timer } => {
                    timers[timer].stop();
                    model.retain(|&(_, _, other)| other != timer);
                }
                Step::Again { timer, repeat } => {
                    let armed = timers[timer].again().is_ok();
                    timers[timer].set_repeat(ms(repeat));
                    if armed {
                        timers[timer].again().expect("it was started");
                        model.retain(|&(_, _, other)| other != timer);
                        model.push((repeat, order, timer));
                    }
                    // It fires once more than the list knows of, and that is stopped here.
                    timers[timer].set_repeat(ZERO);
                }
            }
        }
        model.sort_unstable();
        event_loop.run().expect("the loop runs");
        let expected: Vec<_> = model.into_iter().map(|(due, _, timer)| (ms(due), timer)).collect();
        prop_assert_eq!(&*fired.borrow(), &expected);
    }
}
