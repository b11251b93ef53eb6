//! The loop: the order of its phases, how it runs, when it sleeps, and how it ends.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use luvio::{
    Check, CloseError, Idle, Kind, Loop, LoopHandle, Misuse, Notifier, Prepare, Resume, RunMode,
    Tcp, Timer, await_callback, is_canceled, yield_now,
};
use support::{
    Drops, Journal, connected_pair, expect, misuse, new_loop, panic_text, turn, watchdog,
    with_built_loop, with_loop,
};

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

fn idle(event_loop: &LoopHandle, cb: impl FnMut(&Idle) + 'static) -> Idle {
    let idle = Idle::new(event_loop);
    idle.start(cb).expect("a new handle can be started");
    idle
}

fn prepare(event_loop: &LoopHandle, cb: impl FnMut(&Prepare) + 'static) -> Prepare {
    let prepare = Prepare::new(event_loop);
    prepare.start(cb).expect("a new handle can be started");
    prepare
}

fn check(event_loop: &LoopHandle, cb: impl FnMut(&Check) + 'static) -> Check {
    let check = Check::new(event_loop);
    check.start(cb).expect("a new handle can be started");
    check
}

/// A notifier that was sent to: its callback is among the I/O callbacks of the next turn.
fn sent_notifier(event_loop: &LoopHandle, cb: impl FnMut(&Notifier) + 'static) -> Notifier {
    let notifier = Notifier::new(event_loop, cb).expect("a notifier can be made");
    notifier.sender().send().expect("the notifier is open");
    notifier
}

/// Counts turns without keeping the loop alive.
fn turns(event_loop: &LoopHandle) -> Rc<Cell<usize>> {
    let turns = Rc::new(Cell::new(0));
    let counter = Rc::clone(&turns);
    prepare(event_loop, move |_| counter.set(counter.get() + 1)).unref();
    turns
}

/// Holds the thread until the wall clock has moved by more than the loop's resolution.
fn hold_up() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2) {}
}

// ---- phases ---------------------------------------------------------------------------------------------------------

/// L-01, H-14: pending, idle, prepare, I/O, check, closing, timers.
#[test]
fn phases_run_in_libuvs_order() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let note = |what: &'static str| {
        let journal = journal.clone();
        move || journal.note(what)
    };
    let (pending, idling, preparing) = (note("pending"), note("idle"), note("prepare"));
    let (io, checking, closing, timing) =
        (note("io"), note("check"), note("closing"), note("timer"));
    event_loop.defer(move |_| pending());
    let _check = check(&event_loop, move |handle| {
        checking();
        let closing = closing.clone();
        handle.close().then(move |_| closing());
    });
    let _prepare = prepare(&event_loop, move |handle| {
        preparing();
        handle.stop();
    });
    let _idle = idle(&event_loop, move |handle| {
        idling();
        handle.stop();
    });
    let _notifier = sent_notifier(&event_loop, move |handle| {
        io();
        handle.close();
    });
    Timer::after(&event_loop, ZERO, move |_| timing());
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    journal.assert_is(&["pending", "idle", "prepare", "io", "check", "closing", "timer"]);
}

/// L-02: only the default mode runs due timers before the first turn.
#[test]
fn default_mode_begins_with_the_timers_that_are_due() {
    let _watchdog = watchdog();
    for (mode, expected) in [
        (RunMode::Default, ["timer", "idle"]),
        (RunMode::Once, ["idle", "timer"]),
        (RunMode::NoWait, ["idle", "timer"]),
    ] {
        let event_loop = new_loop();
        let journal = Journal::new();
        let (first, second) = (journal.clone(), journal.clone());
        Timer::after(&event_loop, ZERO, move |_| first.note("timer"));
        let _idle = idle(&event_loop, move |handle| {
            second.note("idle");
            handle.close();
        });
        event_loop.run_mode(mode).expect("the loop runs");
        journal.assert_is(&expected);
    }
}

/// L-28: what I/O callbacks finish is delivered before check, in eight rounds at most; the rest in the next turn.
#[test]
fn callbacks_are_settled_before_check_but_not_for_ever() {
    fn chain(event_loop: &LoopHandle, left: usize, journal: Journal) {
        event_loop.defer(move |event_loop| {
            journal.note("deferred");
            if left > 1 {
                chain(event_loop, left - 1, journal);
            }
        });
    }
    with_loop(|event_loop| {
        let journal = Journal::new();
        let (notes, checks) = (journal.clone(), journal);
        sent_notifier(event_loop, move |handle| {
            chain(handle.event_loop(), 10, notes.clone());
            handle.close();
        });
        let _check = check(event_loop, move |handle| {
            checks.note("check");
            if checks.entries().len() > 10 {
                handle.close();
                let entries = checks.entries();
                assert_eq!(entries.iter().position(|entry| entry == "check"), Some(8));
                assert_eq!(entries.iter().filter(|entry| *entry == "deferred").count(), 10);
            }
        });
    });
}

// ---- running --------------------------------------------------------------------------------------------------------

/// L-03: nothing to run for, so no turn and no poll.
#[test]
fn run_returns_at_once_when_nothing_is_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let turns = turns(&event_loop);
    assert!(!event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert_eq!(turns.get(), 0);
}

/// L-04: handles, requests, closings, callbacks, tasks and posted closures keep the loop alive.
#[test]
fn each_thing_to_wait_for_keeps_the_loop_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let finish = || {
        event_loop.run().expect("the loop runs");
        assert!(!event_loop.is_alive());
    };
    assert!(!event_loop.is_alive());

    let timer = Timer::after(&event_loop, ZERO, |_| {});
    assert!(event_loop.is_alive(), "an active handle");
    timer.unref();
    assert!(!event_loop.is_alive(), "an unreferenced one");
    timer.ref_();
    finish();

    let tcp = Tcp::new(&event_loop);
    let connecting = tcp.connect(support::refusing_addr());
    assert!(event_loop.is_alive(), "a request");
    drop(connecting);
    finish();

    tcp.close();
    assert!(event_loop.is_alive(), "a handle that is being closed");
    finish();

    event_loop.defer(|_| {});
    assert!(event_loop.is_alive(), "a callback");
    finish();

    event_loop.spawn(async {});
    assert!(event_loop.is_alive(), "a task");
    finish();

    let task = event_loop.spawn(std::future::pending::<()>());
    task.unref();
    assert!(!event_loop.is_alive(), "an unreferenced task");

    event_loop.remote().post(|_| {}).expect("the loop is there");
    assert!(event_loop.is_alive(), "a closure posted");
    finish();
}

/// L-05, L-18: a run reads the clock although there is nothing to do.
#[test]
fn running_a_loop_that_is_not_alive_still_reads_the_clock() {
    let event_loop = new_loop();
    let before = event_loop.now();
    hold_up();
    assert_eq!(event_loop.now(), before);
    event_loop.run().expect("the loop runs");
    assert!(event_loop.now() > before);
}

/// L-06: a turn that must not wait does not, and says whether something is alive.
#[test]
fn nowait_never_blocks() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let timer = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    assert!(event_loop.run_mode(RunMode::NoWait).expect("the loop runs"));
    timer.close();
    assert!(!event_loop.run_mode(RunMode::NoWait).expect("the loop runs"));
}

/// L-07: once waits for the only timer and runs it.
#[test]
fn once_waits_for_a_timer_and_runs_it() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fired = Rc::new(Cell::new(false));
    let hit = Rc::clone(&fired);
    Timer::after(&event_loop, Duration::from_millis(5), move |_| hit.set(true));
    assert!(!event_loop.run_mode(RunMode::Once).expect("the loop runs"));
    assert!(fired.get());
}

/// L-08: something may end the poll that no callback belongs to.
#[test]
fn once_may_return_without_a_callback() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let _timer = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    let notifier = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    notifier.sender().send().expect("it is open");
    assert!(event_loop.run_mode(RunMode::Once).expect("the loop runs"));
}

/// L-09: a turn that began with an idle handle or a pending callback does not block, in once.
#[test]
fn once_does_not_block_after_an_idle_handle_that_stopped_itself() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let _timer = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    let _idle = idle(&event_loop, |handle| handle.stop());
    assert!(event_loop.run_mode(RunMode::Once).expect("the loop runs"));
    event_loop.defer(|_| {});
    assert!(event_loop.run_mode(RunMode::Once).expect("the loop runs"));
}

/// L-10: the default mode asks after idle and prepare whether it may block.
#[test]
fn default_mode_blocks_in_the_turn_in_which_the_last_idle_handle_stops() {
    with_loop(|event_loop| {
        let turns = turns(event_loop);
        let counted = Rc::clone(&turns);
        let stopped = expect(1);
        let idle = idle(event_loop, move |handle| {
            stopped.hit();
            handle.stop();
        });
        Timer::after(event_loop, Duration::from_millis(20), move |timer| {
            assert_eq!(counted.get(), 1, "the first turn did not wait for the timer");
            idle.close();
            timer.event_loop().walk(|handle| drop(handle.close()));
        });
    });
}

/// L-11, L-14: a stop before the run lets nothing run, and is used up.
#[test]
fn stop_before_run_runs_nothing_once() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fired = Rc::new(Cell::new(false));
    let hit = Rc::clone(&fired);
    Timer::after(&event_loop, ZERO, move |_| hit.set(true));
    event_loop.stop();
    assert!(event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert!(!fired.get());
    assert!(!event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert!(fired.get());
}

/// L-12: stop lets the turn go through all its phases, without blocking, and begins no other.
#[test]
fn stop_in_a_callback_ends_the_run_after_this_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let notes: [Journal; 5] = std::array::from_fn(|_| journal.clone());
    let [idling, preparing, checking, closing, timing] = notes;
    let _never = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    let _idle = idle(&event_loop, move |handle| {
        idling.note("idle");
        handle.stop();
        handle.event_loop().stop();
        let timing = timing.clone();
        Timer::after(handle.event_loop(), ZERO, move |_| timing.note("timer"));
    });
    let _prepare = prepare(&event_loop, move |_| preparing.note("prepare"));
    let _check = check(&event_loop, move |handle| {
        checking.note("check");
        let closing = closing.clone();
        handle.close().then(move |_| closing.note("closing"));
    });
    assert!(event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    journal.assert_is(&["idle", "prepare", "check", "closing", "timer"]);
}

/// L-13: stop in the timers before the first turn: there is no turn.
#[test]
fn stop_in_the_first_timers_enters_no_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let turns = turns(&event_loop);
    let _never = Timer::after(&event_loop, HOUR, |_| panic!("too early"));
    Timer::after(&event_loop, ZERO, |timer| timer.event_loop().stop());
    assert!(event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert_eq!(turns.get(), 0);
}

/// L-14, L-15: a run that was stopped says whether something is left, and the next one is a normal one.
#[test]
fn stopped_run_says_whether_something_is_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let rounds = Rc::new(Cell::new(0));
    let count = Rc::clone(&rounds);
    let _idle = idle(&event_loop, move |handle| {
        count.set(count.get() + 1);
        handle.event_loop().stop();
        if count.get() == 2 {
            handle.stop();
        }
    });
    assert!(event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert!(!event_loop.run_mode(RunMode::Default).expect("the loop runs"));
    assert_eq!(rounds.get(), 2);
}

/// L-16: a run inside a run is an error that leaves the outer one alone.
#[test]
fn nested_run_is_an_error() {
    let _watchdog = watchdog();
    let event_loop = Rc::new(new_loop());
    let inner = Rc::downgrade(&event_loop);
    let called = expect(2);
    let second = called.clone();
    Timer::after(&event_loop, ZERO, move |_| {
        called.hit();
        let event_loop = inner.upgrade().expect("it runs");
        assert_eq!(misuse(event_loop.run()), Misuse::NestedRun);
        assert_eq!(misuse(event_loop.run_mode(RunMode::NoWait)), Misuse::NestedRun);
        assert_eq!(misuse(event_loop.block_on(async {})), Misuse::NestedRun);
    });
    Timer::after(&event_loop, Duration::from_millis(1), move |_| {
        second.hit();
    });
    event_loop.run().expect("the outer run goes on");
    support::check_expectations();
}

/// L-16: another loop may run inside a callback; the outer one waits for it.
#[test]
fn another_loop_may_run_inside_a_callback() {
    with_loop(|event_loop| {
        let ran = expect(2);
        Timer::after(event_loop, ZERO, move |_| {
            let other = new_loop();
            let inner = ran.clone();
            Timer::after(&other, ZERO, move |_| {
                inner.hit();
            });
            other.run().expect("another loop runs");
            ran.hit();
        });
    });
}

// ---- time -----------------------------------------------------------------------------------------------------------

/// L-17: the clock stands still in a callback unless it is asked to move.
#[test]
fn clock_stands_still_while_a_callback_runs() {
    with_loop(|event_loop| {
        let called = expect(1);
        Timer::after(event_loop, ZERO, move |timer| {
            called.hit();
            let event_loop = timer.event_loop();
            let before = event_loop.now();
            hold_up();
            assert_eq!(event_loop.now(), before);
            event_loop.update_time();
            assert!(event_loop.now() >= before + Duration::from_millis(2));
        });
    });
}

/// L-18: the clock is read when a run begins, after the poll and before the timers.
#[test]
fn clock_is_read_after_the_poll_and_before_the_timers() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let times = Rc::new(RefCell::new(vec![event_loop.now()]));
    let note = |times: &Rc<RefCell<Vec<Duration>>>| {
        let times = Rc::clone(times);
        move |event_loop: &LoopHandle| {
            times.borrow_mut().push(event_loop.now());
            hold_up();
        }
    };
    let (preparing, checking, timing) = (note(&times), note(&times), note(&times));
    let _prepare = prepare(&event_loop, move |handle| preparing(handle.event_loop()));
    let _check = check(&event_loop, move |handle| checking(handle.event_loop()));
    Timer::after(&event_loop, ZERO, move |timer| timing(timer.event_loop()));
    hold_up();
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    let times = times.borrow();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
}

/// L-18: also if all that ran since the poll is the future of `block_on`.
#[test]
fn clock_is_read_before_the_timers_although_only_a_future_ran() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let turns = turns(&event_loop);
    let expired_in = event_loop.block_on(async {
        let counter = Rc::clone(&turns);
        let expired = await_callback(|resume: Resume<usize>| {
            Timer::after(&event_loop, Duration::from_millis(1), move |_| {
                resume.with(counter.get());
            });
        });
        let held_up = async {
            yield_now().await;
            hold_up();
            turns.get()
        };
        futures::join!(expired, held_up)
    });
    let (expired_in, held_up_in) = expired_in.expect("the loop runs");
    assert_eq!(expired_in, Ok(held_up_in), "the timer had to wait for another turn");
}

/// L-19, L-22: how long the next poll may sleep, and that a registered socket does not shorten it.
#[test]
fn backend_timeout_says_how_long_the_poll_may_sleep() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "nothing to wait for");

    let (tcp, _peer) = connected_pair(&event_loop);
    tcp.read_start(|_, _| {}).expect("a connection can be read");
    assert_eq!(event_loop.backend_timeout(), None, "no timer");

    let timer = Timer::after(&event_loop, HOUR, |_| {});
    assert_eq!(event_loop.backend_timeout(), Some(HOUR));
    hold_up();
    event_loop.update_time();
    assert!(event_loop.backend_timeout() < Some(HOUR));
    let overdue = Timer::after(&event_loop, ZERO, |_| {});
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a timer is due");
    overdue.stop();
    timer.stop();
    assert_eq!(event_loop.backend_timeout(), None);

    let idle = idle(&event_loop, |_| {});
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "an idle handle");
    idle.stop();
    event_loop.defer(|_| {});
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a callback");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    assert_eq!(event_loop.backend_timeout(), None);
    event_loop.spawn(async {});
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a task");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    timer.close();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a handle that is being closed");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    event_loop.stop();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a stop");
}

/// L-19, L-27: a stream that has more to read than a turn allows keeps the next poll from sleeping.
#[test]
fn backend_timeout_is_zero_while_a_stream_has_more_to_read() {
    let _watchdog = watchdog();
    let event_loop =
        Loop::builder().read_chunk(16).reads_per_turn(2).build().expect("a loop can be made");
    let (tcp, mut peer) = connected_pair(&event_loop);
    let got = Rc::new(Cell::new(0));
    let sum = Rc::clone(&got);
    tcp.read_start(move |_, chunk| {
        sum.set(sum.get() + chunk.expect("it reads").map_or(0, <[u8]>::len));
    })
    .expect("a connection can be read");
    peer.write_all(&[7; 100]).expect("it can be written");
    while got.get() == 0 {
        event_loop.run_mode(RunMode::Once).expect("the loop runs");
    }
    assert_eq!(got.get(), 32);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO));
    while got.get() < 100 {
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    }
}

/// L-20: an unreferenced timer is waited for while something else keeps the loop alive.
#[test]
fn unreferenced_timer_fires_on_time_while_the_loop_lives() {
    with_loop(|event_loop| {
        let notifier = Notifier::new(event_loop, |_| {}).expect("a notifier can be made");
        let fired = expect(1);
        let timer = Timer::after(event_loop, Duration::from_millis(5), move |_| {
            fired.hit();
            notifier.close();
        });
        timer.unref();
    });
}

/// L-21: a host that waits on the loop's descriptor drives it as a run would.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn loop_can_be_embedded() {
    use mio::unix::SourceFd;
    use std::os::fd::{AsFd, AsRawFd};

    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tcp, mut peer) = connected_pair(&event_loop);
    let got = expect(1);
    let remote = event_loop.remote();
    tcp.read_start(move |tcp, chunk| {
        if got.hit() == 1 {
            assert_eq!(chunk.expect("it reads"), Some(&b"hello"[..]));
            tcp.close();
        }
    })
    .expect("a connection can be read");
    let posted = expect(1);
    let other = thread::spawn(move || {
        peer.write_all(b"hello").expect("it can be written");
        remote.post(|event_loop| {
            Timer::after(event_loop, Duration::from_millis(5), |_| {});
        })
    });
    let fired = posted;
    Timer::after(&event_loop, Duration::from_millis(20), move |_| {
        fired.hit();
    });

    let mut host = mio::Poll::new().expect("a poll can be made");
    let mut events = mio::Events::with_capacity(8);
    let fd = event_loop.as_fd().as_raw_fd();
    host.registry()
        .register(&mut SourceFd(&fd), mio::Token(0), mio::Interest::READABLE)
        .expect("the descriptor can be polled");
    while event_loop.is_alive() || !other.is_finished() {
        let timeout =
            event_loop.backend_timeout().map_or(Duration::from_millis(50), |timeout| timeout);
        match host.poll(&mut events, Some(timeout)) {
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            polled => polled.expect("it polls"),
        }
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    }
    other.join().expect("it ends").expect("the loop was there");
    support::check_expectations();
}

// ---- events ---------------------------------------------------------------------------------------------------------

/// L-24, SG-01: the callbacks of signals come after the other I/O callbacks of a turn.
#[cfg(feature = "signal")]
#[test]
fn signals_come_after_all_other_io() {
    const WINCH: i32 = luvio::Signal::WINCH; // ignored by default, so no other test minds it
    with_loop(|event_loop| {
        let journal = Journal::new();
        let (reads, signals) = (journal.clone(), journal.clone());
        let signal = luvio::Signal::new(event_loop);
        signal
            .start(WINCH, move |signal, _| {
                signals.note("signal");
                signal.close();
            })
            .expect("the signal can be heard");
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.read_start(move |tcp, _| {
            reads.note("read");
            tcp.close();
        })
        .expect("a connection can be read");
        signal_hook::low_level::raise(WINCH).expect("it can be raised");
        peer.write_all(b"x").expect("it can be written");
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["read", "signal"]);
    });
}

/// L-25: an event of the batch for a handle that was stopped or closed meanwhile is dropped.
#[test]
fn event_of_a_handle_that_a_sibling_closed_or_stopped_is_dropped() {
    for close in [false, true] {
        with_loop(|event_loop| {
            let read = expect(1);
            let pairs: Vec<_> = (0..2).map(|_| connected_pair(event_loop)).collect();
            let handles: Vec<Tcp> = pairs.iter().map(|(tcp, _)| tcp.clone()).collect();
            for (tcp, peer) in &pairs {
                let (read, handles) = (read.clone(), handles.clone());
                tcp.read_start(move |tcp, _| {
                    read.hit();
                    for other in &handles {
                        match close {
                            true => drop(other.close()),
                            false => other.read_stop(),
                        }
                    }
                    // The one that was stopped has nothing to wait for now.
                    Timer::after(tcp.event_loop(), ZERO, {
                        let handles = handles.clone();
                        move |_| handles.iter().for_each(|handle| drop(handle.close()))
                    });
                })
                .expect("a connection can be read");
                let mut peer = peer;
                peer.write_all(b"x").expect("it can be written");
            }
            // The peers stay open until the loop is done.
            event_loop.run().expect("the loop runs");
        });
    }
}

/// L-26, H-24: a new handle that gets the slot and the descriptor of a closed one never sees its event.
#[test]
fn event_of_a_closed_handle_never_reaches_a_new_one() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let pairs: Vec<_> = (0..2).map(|_| connected_pair(&event_loop)).collect();
    let handles: Vec<Tcp> = pairs.iter().map(|(tcp, _)| tcp.clone()).collect();
    let made: Rc<RefCell<Vec<_>>> = Rc::default();
    let reads = Rc::new(Cell::new(0));
    for (tcp, peer) in &pairs {
        let (handles, made, reads) = (handles.clone(), Rc::clone(&made), Rc::clone(&reads));
        tcp.read_start(move |tcp, _| {
            reads.set(reads.get() + 1);
            handles.iter().for_each(|handle| drop(handle.close()));
            let (new, peer) = connected_pair(tcp.event_loop());
            new.read_start(|_, _| panic!("nobody has written to this one"))
                .expect("a connection can be read");
            made.borrow_mut().push((new, peer));
        })
        .expect("a connection can be read");
        let mut peer = peer;
        peer.write_all(b"x").expect("it can be written");
    }
    for _ in 0..10 {
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    }
    assert_eq!((reads.get(), made.borrow().len()), (1, 1));
}

/// L-27: a peer that never stops sending does not keep the others from their turn.
#[test]
fn busy_socket_yields_after_its_budget_and_goes_on_without_new_data() {
    let builder = Loop::builder().read_chunk(64).reads_per_turn(4);
    with_built_loop(builder, |event_loop| {
        const SENT: usize = 64 * 40;
        let (tcp, mut peer) = connected_pair(event_loop);
        peer.write_all(&[1; SENT]).expect("the kernel has room");
        let reads_in_turn = Rc::new(Cell::new(0));
        let in_turn = Rc::clone(&reads_in_turn);
        let checks = Rc::new(Cell::new(0));
        let counter = Rc::clone(&checks);
        let check = check(event_loop, move |_| {
            assert!(in_turn.replace(0) <= 4, "more than its budget");
            counter.set(counter.get() + 1);
        });
        let received = Cell::new(0);
        tcp.read_start(move |tcp, chunk| {
            reads_in_turn.set(reads_in_turn.get() + 1);
            received.set(received.get() + chunk.expect("it reads").map_or(0, <[u8]>::len));
            if received.get() == SENT {
                assert!(checks.get() >= 9, "{} turns", checks.get());
                tcp.close();
                check.close();
            }
        })
        .expect("a connection can be read");
        event_loop.run().expect("the loop runs");
        drop(peer);
    });
}

// ---- calls and callbacks ----------------------------------------------------------------------------------------------

/// L-29, H-09: whatever is over at once, no callback runs inside the call.
#[test]
fn no_callback_runs_inside_a_call() {
    with_loop(|event_loop| {
        let inside = Rc::new(Cell::new(true));
        let outside = |_name: &'static str| {
            let (inside, called) = (Rc::clone(&inside), expect(1));
            move || {
                assert!(!inside.get());
                called.hit();
            }
        };
        let (connected, written, ended) =
            (outside("connect"), outside("write"), outside("shutdown"));
        let (drained, closed, timed) = (outside("drained"), outside("close"), outside("timer"));
        let deferred = outside("defer");
        let refused = outside("refused");
        let (tcp, peer) = connected_pair(event_loop);
        tcp.connect(support::refusing_addr()).then(move |result| {
            assert_eq!(misuse(result), Misuse::AlreadyConnected);
            connected();
        });
        tcp.write("x").then(move |_| written());
        tcp.drained().then(move |_| drained());
        tcp.shutdown().then(move |_| ended());
        tcp.write("y").then(move |result| {
            assert_eq!(misuse(result), Misuse::ShutDown);
            refused();
        });
        tcp.close().then(move |_| closed());
        Timer::after(event_loop, ZERO, move |_| timed());
        event_loop.defer(move |_| deferred());
        inside.set(false);
        event_loop.run().expect("the loop runs");
        drop(peer);
    });
}

/// L-30: the callback of a call that returned an error is dropped and never called.
#[test]
fn callback_of_a_refused_call_is_never_called() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let never = || {
            let token = drops.token();
            move || {
                token.keep();
                panic!("the call was refused")
            }
        };
        let (reading, timing, listening) = (never(), never(), never());
        let tcp = Tcp::new(event_loop);
        assert!(tcp.read_start(move |_, _| reading()).is_err());
        let timer = Timer::new(event_loop);
        timer.close();
        assert!(timer.start(ZERO, ZERO, move |_| timing()).is_err());
        let (connection, peer) = connected_pair(event_loop);
        assert!(connection.listen(1, move |_, _| listening()).is_err());
        assert_eq!(drops.count(), 3);
        tcp.close();
        connection.close();
        event_loop.run().expect("the loop runs");
        drop(peer);
    });
}

// ---- the end ----------------------------------------------------------------------------------------------------------

/// L-31, L-32: a loop with a handle, active or not, cannot be closed, and runs on.
#[test]
fn close_is_refused_while_a_handle_exists() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let timer = Timer::new(&event_loop);
    let CloseError(event_loop) = event_loop.close().expect_err("a handle is there");
    timer.close();
    let CloseError(event_loop) = event_loop.close().expect_err("it is not completely closed");
    let fired = Rc::new(Cell::new(false));
    let hit = Rc::clone(&fired);
    Timer::after(&event_loop, ZERO, move |_| hit.set(true));
    event_loop.run().expect("the loop runs");
    assert!(fired.get());
    event_loop.close().expect("nothing is left");
}

/// L-31: in a function that returns an `io::Result`, `?` turns the refusal into the misuse that it is.
#[test]
fn refused_close_fits_the_question_mark() {
    fn close(event_loop: Loop) -> std::io::Result<()> {
        event_loop.close()?;
        Ok(())
    }
    let event_loop = new_loop();
    let timer = Timer::new(&event_loop);
    let err = event_loop.close().expect_err("a handle is there");
    assert_eq!(err.to_string(), Misuse::Busy.to_string());
    assert_eq!(misuse(close(err.0)), Misuse::Busy);
    assert_eq!(misuse(timer.again()), Misuse::LoopGone, "the loop was dropped");
    close(new_loop()).expect("nothing is on it");
}

/// L-34, L-36: walk shows every handle that is not completely closed, in the order of creation.
#[test]
fn walk_shows_the_handles_in_the_order_of_their_creation() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let seen = || {
        let mut kinds = Vec::new();
        event_loop.walk(|handle| kinds.push(handle.kind().to_string()));
        kinds
    };
    assert!(seen().is_empty());
    let first = Timer::new(&event_loop);
    let _check = Check::new(&event_loop);
    first.close();
    let _tcp = Tcp::new(&event_loop);
    assert_eq!(seen(), ["timer", "check", "tcp"], "a closing one is shown");
    event_loop.run().expect("the loop runs");
    assert_eq!(seen(), ["check", "tcp"]);
    let _idle = Idle::new(&event_loop);
    assert_eq!(seen(), ["check", "tcp", "idle"], "whatever slot it has");
}

/// L-36, H-08: in its close callback a handle is gone: it is not shown any more, and does not keep the loop alive. Others
/// that are being closed are and do.
#[test]
fn handle_is_gone_in_its_close_callback() {
    with_loop(|event_loop| {
        let called = expect(3);
        let timers: Vec<Timer> = (0..3).map(|_| Timer::new(event_loop)).collect();
        for (index, timer) in timers.iter().enumerate() {
            let (called, event_loop) = (called.clone(), event_loop.handle().clone());
            timer.close().then(move |_| {
                called.hit();
                let left = 2 - index;
                let mut shown = 0;
                event_loop.walk(|handle| {
                    assert!(handle.is_closing());
                    shown += 1;
                });
                assert_eq!(shown, left);
                assert_eq!(event_loop.alive_because().len(), left);
                assert_eq!(event_loop.is_alive(), left > 0);
            });
        }
    });
}

/// L-36, H-17: with several requests for its close, a handle is gone from the first of their callbacks on; one that is
/// asked for there is over already, and calls back in the next pending pass.
#[test]
fn handle_is_gone_in_the_first_of_its_close_callbacks() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let timer = Timer::new(event_loop);
        for what in ["first", "second"] {
            let (notes, again) = (journal.clone(), timer.clone());
            timer.close().then(move |_| {
                notes.note(what);
                let event_loop = again.event_loop();
                event_loop.walk(|handle| assert_eq!(handle.kind(), Kind::Check));
                let later = notes.clone();
                let late = again.close();
                assert!(late.is_finished());
                late.then(move |_| later.note(format!("after the {what}")));
            });
        }
        let notes = journal.clone();
        Check::new(event_loop).close().then(move |_| notes.note("another handle"));
        event_loop.run().expect("the loop runs");
        journal.assert_is(&[
            "first",
            "second",
            "another handle",
            "after the first",
            "after the second",
        ]);
    });
}

/// L-31, L-36, L-40: a close callback that panics leaves a handle that is not completely closed: what is left of its
/// farewell keeps the loop alive, for a reason, and comes in the next run, or is dropped with the loop.
#[test]
fn handle_whose_close_callback_panicked_is_not_completely_closed() {
    for drop_it in [false, true] {
        let _watchdog = watchdog();
        let event_loop = new_loop();
        let (journal, drops) = (Journal::new(), Drops::new());
        let timer = Timer::new(&event_loop);
        let token = drops.token();
        timer.start(HOUR, ZERO, move |_| token.keep()).expect("a new timer can be started");
        timer.close().then(|_| panic!("on purpose"));
        let (notes, token) = (journal.clone(), drops.token());
        let canceler = timer.close().then(move |_| {
            token.keep();
            notes.note("closed");
        });
        let mut awaited = timer.close();
        assert!(support::poll(&mut awaited).is_pending());
        support::panic_text(|| event_loop.run());
        assert!(event_loop.is_alive());
        let reasons = event_loop.alive_because();
        assert_eq!((reasons.len(), reasons[0].state.as_str()), (1, "closing"));
        let event_loop = event_loop.close().expect_err("it is not done").0;
        assert_eq!(drops.count(), 0);
        if drop_it {
            drop(event_loop);
            journal.assert_is(&[]);
            assert!(luvio::is_canceled(&support::ready(&mut awaited).expect_err("it is gone")));
        } else {
            event_loop.run().expect("the loop runs");
            journal.assert_is(&["closed"]);
            support::ready(&mut awaited).expect("it is closed");
            assert!(event_loop.close().is_ok());
        }
        assert_eq!(drops.count(), 2);
        drop(canceler);
    }
}

/// L-35: the visitor may close any handle and make new ones, which this walk does not show.
#[test]
fn walk_may_close_and_create() {
    with_loop(|event_loop| {
        let timers: Vec<Timer> = (0..3).map(|_| Timer::new(event_loop)).collect();
        let mut visits = 0;
        event_loop.walk(|handle| {
            visits += 1;
            timers.iter().for_each(|timer| drop(timer.close()));
            handle.close();
            Timer::after(handle.event_loop(), ZERO, |_| {});
        });
        assert_eq!(visits, 3);
    });
}

/// L-35: all handles can be closed at once, of whatever kind; who waits for one is told, and the loop comes to its end.
#[test]
fn all_handles_can_be_closed_at_once() {
    with_loop(|event_loop| {
        let (reading, _peer) = connected_pair(event_loop);
        reading.read_start(|_, _| panic!("nothing came")).expect("a connection can be read");
        let (awaited, _other_peer) = connected_pair(event_loop);
        let task = event_loop.spawn(async move { awaited.read_once().await.map(drop) });
        let server = Tcp::new(event_loop);
        server.listen(8, |_, _| panic!("nobody came")).expect("a new handle can listen");
        let timer = Timer::after(event_loop, Duration::from_secs(3600), |_| panic!("too early"));
        let _quiet = Notifier::wake_only(event_loop).expect("a notifier can be made");
        turn(event_loop);
        let closed = expect(1);
        timer.close().then(move |_| assert_eq!(closed.hit(), 1));
        event_loop.close_all();
        event_loop.walk(|handle| assert!(handle.is_closing()));
        let ended = event_loop.block_on(task).expect("the loop runs").expect("it ends by itself");
        assert!(is_canceled(&ended.expect_err("the handle was closed")));
    });
}

/// L-35: a waker that panics in it does not leave the others open.
#[test]
fn all_handles_are_closed_although_a_waker_panics() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("woken");
        }
    }
    with_loop(|event_loop| {
        let pairs = [connected_pair(event_loop), connected_pair(event_loop)];
        let mut reads: Vec<_> = pairs.iter().map(|(tcp, _)| tcp.read_once()).collect();
        let waker = Waker::from(Arc::new(Bomb));
        for read in &mut reads {
            assert!(Pin::new(read).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let (last, _peer) = connected_pair(event_loop);
        assert_eq!(panic_text(|| event_loop.close_all()), "woken");
        assert!(pairs.iter().all(|(tcp, _)| tcp.is_closing()) && last.is_closing());
    });
}

/// L-37: loops in different threads know nothing of each other.
#[test]
fn loops_in_different_threads_are_independent() {
    let _watchdog = watchdog();
    let threads: Vec<_> = (0..4)
        .map(|index| {
            thread::spawn(move || {
                let event_loop = new_loop();
                let (tcp, mut peer) = connected_pair(&event_loop);
                let got = Rc::new(Cell::new(0));
                let sum = Rc::clone(&got);
                tcp.read_start(move |tcp, chunk| match chunk.expect("it reads") {
                    Some(data) => sum.set(sum.get() + data.len()),
                    None => drop(tcp.close()),
                })
                .expect("a connection can be read");
                peer.write_all(&vec![0; 1_000 * (index + 1)]).expect("the kernel has room");
                drop(peer);
                event_loop.run().expect("the loop runs");
                assert_eq!(got.get(), 1_000 * (index + 1));
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("it ends");
    }
}
