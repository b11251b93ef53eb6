//! The virtual clock: it stands still, and jumps to the next timer when there is nothing else to do.

mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::Write;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use luvio::{Idle, Loop, Misuse, Notifier, RunMode, Tcp, Timer};
use support::{connected_pair, expect, misuse, pair_with_data, turn, watchdog, with_virtual_loop};

const ZERO: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Notes the loop's time.
#[derive(Clone, Default)]
struct Times(Rc<RefCell<Vec<Duration>>>);

impl Times {
    fn note(&self, at: Duration) {
        self.0.borrow_mut().push(at);
    }

    #[track_caller]
    fn assert_are(&self, expected: &[Duration]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

/// L-07: a day of timers runs in a moment, each at its exact time.
#[test]
fn a_day_of_timers_takes_a_moment() {
    let begin = Instant::now();
    with_virtual_loop(|event_loop| {
        let ticks = Rc::new(Cell::new(0));
        let count = Rc::clone(&ticks);
        let ticking = Timer::new(event_loop);
        let started = ticking.start(SECOND, SECOND, move |timer| {
            count.set(count.get() + 1);
            assert_eq!(timer.event_loop().now(), SECOND * count.get());
            if count.get() == 24 * 3_600 {
                timer.close();
            }
        });
        started.expect("a new timer can be started");
        event_loop.run().expect("the loop runs");
        assert_eq!(ticks.get(), 24 * 3_600);
        assert_eq!(event_loop.now(), HOUR * 24);
    });
    // It would be a day otherwise.
    assert!(begin.elapsed() < HOUR);
}

/// L-17, L-18: the clock moves by jumps to the next timer and not otherwise, whatever the time is outside.
#[test]
fn clock_jumps_from_timer_to_timer() {
    with_virtual_loop(|event_loop| {
        let times = Times::default();
        for after in [HOUR, ZERO, SECOND, Duration::from_nanos(1), SECOND] {
            let times = times.clone();
            Timer::after(event_loop, after, move |timer| {
                let event_loop = timer.event_loop();
                times.note(event_loop.now());
                thread::sleep(Duration::from_millis(1));
                event_loop.update_time();
                assert_eq!(times.0.borrow().last(), Some(&event_loop.now()), "it stands still");
            });
        }
        event_loop.run().expect("the loop runs");
        times.assert_are(&[ZERO, Duration::from_nanos(1), SECOND, SECOND, HOUR]);
    });
}

/// A timer that a callback starts counts from the time at which the callback ran.
#[test]
fn timer_started_in_a_callback_counts_from_then() {
    with_virtual_loop(|event_loop| {
        let times = Times::default();
        let notes = times.clone();
        Timer::after(event_loop, HOUR, move |timer| {
            Timer::after(timer.event_loop(), SECOND, move |timer| {
                notes.note(timer.event_loop().now());
            });
        });
        event_loop.run().expect("the loop runs");
        times.assert_are(&[HOUR + SECOND]);
    });
}

/// Tasks sleep by the same clock, and so do time limits and intervals.
#[test]
fn tasks_sleep_by_the_virtual_clock() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
    let handle = event_loop.handle().clone();
    let blocked = event_loop.block_on(async {
        luvio::sleep(HOUR).await;
        assert_eq!(handle.now(), HOUR);
        assert!(luvio::timeout(SECOND, std::future::pending::<()>()).await.is_err());
        assert_eq!(handle.now(), HOUR + SECOND);
        let mut interval = luvio::interval(SECOND);
        for tick in 2..5 {
            assert_eq!(interval.tick().await, HOUR + SECOND * tick);
        }
    });
    blocked.expect("the loop runs");
    assert_eq!(event_loop.now(), HOUR + SECOND * 4);
}

/// The clock does not jump while something is ready: an idle handle, a callback, a task.
#[test]
fn clock_does_not_jump_while_there_is_something_to_do() {
    with_virtual_loop(|event_loop| {
        Timer::after(event_loop, HOUR, |_| {});
        let idle = Idle::new(event_loop);
        idle.start(|_| {}).expect("a new handle can be started");
        for _ in 0..3 {
            event_loop.run_mode(RunMode::Once).expect("the loop runs");
            assert_eq!(event_loop.now(), ZERO, "an idle handle");
        }
        idle.close();
        event_loop.run_mode(RunMode::Once).expect("the loop runs");
        assert_eq!(event_loop.now(), ZERO, "a handle that is being closed");
        event_loop.defer(|event_loop| event_loop.defer(|_| {}));
        event_loop.run_mode(RunMode::Once).expect("the loop runs");
        assert_eq!(event_loop.now(), ZERO, "a callback");
        let handle = event_loop.handle().clone();
        event_loop.go(async move {
            for _ in 0..3 {
                luvio::yield_now().await;
                assert_eq!(handle.now(), ZERO, "a task");
            }
        });
        // A run that may not sleep does not jump either.
        turn(event_loop);
        assert_eq!(event_loop.now(), ZERO);
        event_loop.run().expect("the loop runs");
        assert_eq!(event_loop.now(), HOUR);
    });
}

/// A socket that has something to read is served before the clock jumps to a timer.
#[test]
fn sockets_are_served_before_a_jump() {
    with_virtual_loop(|event_loop| {
        let read = expect(10);
        Timer::after(event_loop, Duration::from_nanos(1), {
            let read = read.clone();
            move |_| assert_eq!(read.hits(), 10)
        });
        let mut peers = Vec::new();
        for _ in 0..10 {
            let (tcp, peer) = pair_with_data(event_loop, b"answer");
            let read = read.clone();
            tcp.read_start(move |tcp, _| {
                read.hit();
                assert_eq!(tcp.event_loop().now(), ZERO);
                tcp.close();
            })
            .expect("a connection can be read");
            peers.push(peer);
        }
        event_loop.run().expect("the loop runs");
    });
}

/// While something is active that the outside can finish, the loop waits for it in real time before it jumps, each time;
/// without such a thing it does not wait.
#[test]
fn clock_waits_for_the_outside_before_it_jumps() {
    const PATIENCE: Duration = Duration::from_millis(5);
    with_virtual_loop(|event_loop| {
        let (reading, _peer) = connected_pair(event_loop);
        reading.read_start(|_, _| {}).expect("a connection can be read");
        let ticks = Rc::new(Cell::new(0));
        let count = Rc::clone(&ticks);
        let ticking = Timer::new(event_loop);
        let started = ticking.start(HOUR, HOUR, move |timer| {
            count.set(count.get() + 1);
            if count.get() == 3 {
                timer.close();
                reading.close();
            }
        });
        started.expect("a new timer can be started");
        let begin = Instant::now();
        event_loop.run().expect("the loop runs");
        assert!(begin.elapsed() >= PATIENCE * 3, "{:?}", begin.elapsed());
        assert_eq!(event_loop.now(), HOUR * 3);
    });
}

/// Without a timer a loop with a virtual clock sleeps as any other does, and other threads wake it.
#[test]
fn loop_without_timers_blocks_until_it_is_woken() {
    with_virtual_loop(|event_loop| {
        let woken = expect(1);
        let notifier = Notifier::new(event_loop, move |notifier| {
            woken.hit();
            notifier.close();
        });
        let sender = notifier.expect("a notifier can be made").sender();
        let (go, going) = mpsc::channel();
        let other = thread::spawn(move || {
            going.recv().expect("the loop runs");
            sender.send()
        });
        event_loop.defer(move |_| go.send(()).expect("the thread waits"));
        event_loop.run().expect("the loop runs");
        other.join().expect("it ends").expect("the notifier was open");
        assert_eq!(event_loop.now(), ZERO);
    });
}

/// Nor does it turn in vain while a peer takes its time.
#[test]
fn loop_without_timers_does_not_spin() {
    with_virtual_loop(|event_loop| {
        let turns = Rc::new(Cell::new(0));
        let count = Rc::clone(&turns);
        let prepare = luvio::Prepare::new(event_loop);
        prepare.start(move |_| count.set(count.get() + 1)).expect("a new handle can be started");
        prepare.unref();
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.read_start(move |tcp, _| drop(tcp.close())).expect("a connection can be read");
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20)); // long enough to notice, no more
            peer.write_all(b"x").map(|()| peer)
        });
        event_loop.run().expect("the loop runs");
        other.join().expect("it ends").expect("it was written");
        // One for the event that says that the socket can be written, one for the data.
        assert!(turns.get() <= 3, "{}", turns.get());
        prepare.close();
    });
}

/// Something that the outside brings to life a moment after each time that `ask` was called.
struct Echo {
    asks: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Echo {
    fn new(mut answer: impl FnMut() + Send + 'static) -> Echo {
        let (asks, asked) = mpsc::channel();
        let thread = thread::spawn(move || {
            for () in asked {
                thread::sleep(Duration::from_millis(1)); // so that the loop has to wait for it
                answer();
            }
        });
        Echo { asks, thread }
    }
}

/// T-28: an outside that never rests, each time answered by a callback that has it come again, does not stop the time: the
/// loop waits 5 ms for each move of its clock, all in all.
#[test]
fn outside_that_never_rests_does_not_stop_the_clock() {
    with_virtual_loop(|event_loop| {
        let calls = Rc::new(Cell::new(0));
        let echo: Rc<RefCell<Option<Echo>>> = Rc::default();
        let (count, asking) = (Rc::clone(&calls), Rc::clone(&echo));
        let notifier = Notifier::new(event_loop, move |_| {
            count.set(count.get() + 1);
            if let Some(echo) = asking.borrow().as_ref() {
                echo.asks.send(()).expect("the thread waits");
            }
        });
        let notifier = notifier.expect("a notifier can be made");
        let sender = notifier.sender();
        sender.send().expect("it is open");
        echo.replace(Some(Echo::new(move || sender.send().expect("it is open"))));
        let ticking = Timer::new(event_loop);
        let mut ticks = 0;
        let started = ticking.start(HOUR, HOUR, move |timer| {
            ticks += 1;
            // Each answer takes a millisecond, and 5 ms is what they get, unless the machine is so busy that the loop
            // does not even come to wait for some of them.
            let answers = calls.replace(0);
            assert!(answers < 100, "{answers} answers before tick {ticks}");
            if ticks == 3 {
                timer.close();
                let Echo { asks, thread } = echo.take().expect("it was made");
                drop(asks);
                thread.join().expect("it ends");
                notifier.close();
            }
        });
        started.expect("a new timer can be started");
    });
}

/// T-28: nor do signals.
#[cfg(feature = "signal")]
#[test]
fn signals_that_never_rest_do_not_stop_the_clock() {
    const SIGURG: i32 = 23; // ignored by default, so no other test minds it
    with_virtual_loop(|event_loop| {
        let raise = || signal_hook::low_level::raise(SIGURG).expect("it can be raised");
        let Echo { asks, thread } = Echo::new(raise);
        let signal = luvio::Signal::new(event_loop);
        let calls = Rc::new(Cell::new(0));
        let (count, asking) = (Rc::clone(&calls), asks.clone());
        let started = signal.start(SIGURG, move |_, _| {
            count.set(count.get() + 1);
            let _ = asking.send(());
        });
        started.expect("the signal can be heard");
        asks.send(()).expect("the thread waits");
        Timer::after(event_loop, HOUR, move |_| {
            assert!(calls.get() < 100, "{} signals", calls.get());
            signal.close();
        });
        event_loop.run().expect("the loop runs");
        drop(asks);
        thread.join().expect("it ends");
    });
}

/// T-28: a timer that each event puts off gets the whole patience each time: a time limit for each answer does not end a
/// conversation that takes longer than that.
#[test]
fn time_limit_of_each_answer_has_its_own_patience() {
    const ANSWERS: usize = 10;
    async fn talk(tcp: &Tcp, asks: &mpsc::Sender<()>) -> bool {
        for _ in 0..ANSWERS {
            asks.send(()).expect("the thread waits");
            let Ok(answer) = luvio::timeout(HOUR, tcp.read_once()).await else {
                // It still comes, and belongs to nothing any more.
                assert!(tcp.read_once().await.expect("it reads").is_some());
                return false;
            };
            assert!(answer.expect("it reads").is_some());
        }
        true
    }
    with_virtual_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let Echo { asks, thread } =
            Echo::new(move || peer.write_all(b"x").expect("it can be written"));
        // A busy machine may need more than 5 ms for one answer, but not each time. For all of them they would never do.
        let mut succeeded =
            (0..100).map(|_| event_loop.block_on(talk(&tcp, &asks)).expect("the loop runs"));
        assert!(succeeded.any(|done| done));
        drop(asks);
        thread.join().expect("it ends");
        tcp.close();
    });
}

// ---- moved by hand --------------------------------------------------------------------------------------------------

/// L-41: a clock that is moved by hand stops there; what is due on the way runs, each at its own moment.
#[test]
fn clock_can_be_moved_by_hand() {
    with_virtual_loop(|event_loop| {
        let times = Times::default();
        let notes = times.clone();
        let ticking = Timer::new(event_loop);
        let started =
            ticking.start(SECOND, SECOND, move |timer| notes.note(timer.event_loop().now()));
        started.expect("a new timer can be started");
        let advance = |time| event_loop.advance(time).expect("the loop runs");

        assert!(advance(SECOND / 2));
        assert_eq!(event_loop.now(), SECOND / 2);
        times.assert_are(&[]);
        assert!(advance(SECOND / 2));
        times.assert_are(&[SECOND]);
        assert!(advance(SECOND * 2 + SECOND / 4));
        times.assert_are(&[SECOND, SECOND * 2, SECOND * 3]);
        assert_eq!(event_loop.now(), SECOND * 3 + SECOND / 4);
        assert!(advance(ZERO));
        assert_eq!(event_loop.now(), SECOND * 3 + SECOND / 4);

        ticking.close();
        assert!(!advance(HOUR), "nothing is alive");
        assert_eq!(
            event_loop.now(),
            HOUR + SECOND * 3 + SECOND / 4,
            "the time passes all the same"
        );
    });
}

/// L-41: everything that follows from what is due is done before the call returns: timers without delay, callbacks,
/// tasks, closings, hooks and what these defer.
#[test]
fn what_follows_is_done_before_the_clock_is_held_again() {
    with_virtual_loop(|event_loop| {
        let journal = support::Journal::new();
        let notes = journal.clone();
        let check = luvio::Check::new(event_loop);
        Timer::after(event_loop, HOUR, move |timer| {
            let event_loop = timer.event_loop().clone();
            let (timing, closing, deferring, tasking) =
                (notes.clone(), notes.clone(), notes.clone(), notes.clone());
            let last = check.clone();
            check
                .start(move |check| {
                    check.stop();
                    let (notes, last) = (deferring.clone(), last.clone());
                    check.event_loop().defer(move |_| {
                        notes.note("deferred by check");
                        last.close().then(move |_| notes.note("check closed"));
                    });
                })
                .expect("a new handle can be started");
            Timer::after(&event_loop, ZERO, move |_| timing.note("timer"));
            timer.close().then(move |_| closing.note("timer closed"));
            event_loop.go(async move {
                luvio::sleep(SECOND).await;
                tasking.note("too far");
            });
        });
        let far = Timer::after(event_loop, HOUR * 2, |_| {});
        assert!(event_loop.advance(HOUR).expect("the loop runs"));
        let mut entries = journal.entries();
        entries.sort_unstable();
        assert_eq!(entries, ["check closed", "deferred by check", "timer", "timer closed"]);
        assert_eq!((event_loop.now(), event_loop.backend_timeout()), (HOUR, Some(SECOND)));
        far.close();
    });
}

/// L-41: no time is a step, too; between two steps the loop may be run in the other ways.
#[test]
fn no_time_is_a_step() {
    with_virtual_loop(|event_loop| {
        let journal = support::Journal::new();
        let notes = journal.clone();
        Timer::after(event_loop, ZERO, move |timer| {
            notes.note("now");
            Timer::after(timer.event_loop(), Duration::from_nanos(1), move |_| notes.note("then"));
        });
        assert!(event_loop.advance(ZERO).expect("the loop runs"));
        journal.assert_is(&["now"]);
        turn(event_loop);
        journal.assert_is(&["now"]);
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["now", "then"]);
    });
}

/// L-41: what the outside has brought is served before the clock moves, also at the end of the way.
#[test]
fn outside_is_served_before_the_clock_is_moved() {
    with_virtual_loop(|event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"x");
        let times = Times::default();
        let notes = times.clone();
        tcp.read_start(move |tcp, chunk| {
            assert!(chunk.expect("it reads").is_some());
            notes.note(tcp.event_loop().now());
        })
        .expect("a connection can be read");
        Timer::after(event_loop, HOUR, move |_| {
            peer.write_all(b"x").expect("it can be written");
            tcp.read_stop();
            tcp.read_start(move |tcp, _| drop(tcp.close())).expect("a connection can be read");
        });
        assert!(!event_loop.advance(HOUR).expect("the loop runs"), "it was not read");
        times.assert_are(&[ZERO]);
        assert_eq!(event_loop.now(), HOUR);
    });
}

/// L-41: a stop ends it wherever the clock is, and so does a panic; the rest is a matter of the next call.
#[test]
fn stop_or_panic_leaves_the_clock_where_it_is() {
    with_virtual_loop(|event_loop| {
        Timer::after(event_loop, SECOND, |timer| timer.event_loop().stop());
        Timer::after(event_loop, SECOND * 2, |_| panic!("on purpose"));
        let fired = expect(1);
        Timer::after(event_loop, SECOND * 3, move |_| {
            fired.hit();
        });
        assert!(event_loop.advance(HOUR).expect("the loop runs"));
        assert_eq!(event_loop.now(), SECOND);
        assert_eq!(support::panic_text(|| event_loop.advance(HOUR)), "on purpose");
        assert_eq!(event_loop.now(), SECOND * 2);
        // Nothing of the call is left: this one goes as far as there are timers.
        event_loop.run().expect("the loop runs");
        assert_eq!(event_loop.now(), SECOND * 3);
    });
}

/// L-41: a real clock cannot be moved, nor any clock from inside a callback.
#[test]
fn real_clock_cannot_be_moved() {
    let _watchdog = watchdog();
    let event_loop = support::new_loop();
    assert_eq!(misuse(event_loop.advance(SECOND)), Misuse::RealClock);
    let event_loop = Rc::new(Loop::builder().virtual_clock().build().expect("a loop can be made"));
    let inner = Rc::downgrade(&event_loop);
    let refused = expect(1);
    Timer::after(&event_loop, SECOND, move |_| {
        refused.hit();
        let event_loop = inner.upgrade().expect("it runs");
        assert_eq!(misuse(event_loop.advance(SECOND)), Misuse::NestedRun);
    });
    event_loop.advance(HOUR).expect("the loop runs");
    assert_eq!(event_loop.now(), HOUR);
    support::check_expectations();
}

/// L-41, T-23: the end of time is out of reach.
#[test]
fn clock_cannot_be_moved_to_the_end_of_time() {
    with_virtual_loop(|event_loop| {
        let never = Timer::after(event_loop, Duration::MAX, |_| panic!("never"));
        for _ in 0..2 {
            assert!(event_loop.advance(Duration::MAX).expect("the loop runs"));
        }
        never.close();
    });
}

// ---- never ----------------------------------------------------------------------------------------------------------

/// A name, and a function that sets something up.
type SetUp = (&'static str, fn(&Loop));

/// What never ends: each waits for the end of time, and for nothing else.
fn endless() -> [SetUp; 6] {
    [
        ("a timer", |event_loop| {
            Timer::after(event_loop, Duration::MAX, |_| panic!("never"));
        }),
        ("a repeating timer", |event_loop| {
            let (timer, fired) = (Timer::new(event_loop), Cell::new(false));
            let started = timer.start(ZERO, Duration::MAX, move |_| assert!(!fired.replace(true)));
            started.expect("a new timer can be started");
        }),
        ("a sleep", |event_loop| event_loop.go(luvio::sleep(Duration::MAX))),
        ("a sleep until", |event_loop| {
            let at = Instant::now() + HOUR * 24 * 366 * 600;
            event_loop.go(luvio::sleep_until(at));
        }),
        ("a time limit", |event_loop| {
            event_loop.go(async {
                let ended = luvio::timeout(Duration::MAX, pending::<()>()).await;
                panic!("never: {ended:?}");
            });
        }),
        ("an interval", |event_loop| {
            event_loop.go(async {
                let tick = luvio::interval(Duration::MAX).tick().await;
                panic!("never: {tick:?}");
            });
        }),
    ]
}

/// T-23, T-24, L-19: the end of time is never jumped to: the loop waits as if it had no timer, until it is woken, and its
/// clock stands still. So it does with a real clock.
#[test]
fn end_of_time_is_never_jumped_to() {
    let _watchdog = watchdog();
    for builder in [Loop::builder(), Loop::builder().virtual_clock()] {
        for (what, set_up) in endless() {
            let event_loop = builder.clone().build().expect("a loop can be made");
            set_up(&event_loop);
            turn(&event_loop);
            turn(&event_loop);
            assert_eq!(event_loop.backend_timeout(), None, "{what}");
            let woken = Rc::new(Cell::new(false));
            let is_woken = Rc::clone(&woken);
            let notifier = Notifier::new(&event_loop, move |notifier| {
                is_woken.set(true);
                notifier.event_loop().stop();
            });
            let sender = notifier.expect("a notifier can be made").sender();
            let before = event_loop.now();
            let other = thread::spawn(move || sender.send());
            event_loop.run().expect("the loop runs");
            other.join().expect("it ends").expect("the notifier is open");
            assert!(woken.get(), "{what}");
            assert!(event_loop.now() - before < HOUR, "{what}");
        }
    }
}

/// T-23: nor does it disturb the timers that are meant: the clock jumps to these, and after them no further.
#[test]
fn end_of_time_disturbs_no_other_timer() {
    let _watchdog = watchdog();
    for (what, set_up) in endless() {
        let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
        set_up(&event_loop);
        let times = Times::default();
        for after in [HOUR, SECOND] {
            let times = times.clone();
            Timer::after(&event_loop, after, move |timer| {
                times.note(timer.event_loop().now());
                if after == HOUR {
                    timer.event_loop().stop();
                }
            });
        }
        event_loop.run().expect("the loop runs");
        times.assert_are(&[SECOND, HOUR]);
        assert_eq!(event_loop.backend_timeout(), None, "{what}");
    }
}

/// T-23, TC-26: a connect without a limit of its time waits for the outside, and for nothing else.
#[cfg(target_os = "linux")]
#[test]
fn connect_without_end_does_not_move_the_clock() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
    let (unanswering, tcp) = (support::unanswering(), Tcp::new(&event_loop));
    tcp.connect_timeout(unanswering.addr, Duration::MAX).then(|_| panic!("nobody answers"));
    turn(&event_loop);
    assert_eq!(event_loop.backend_timeout(), None);
    Timer::after(&event_loop, HOUR, |timer| timer.event_loop().stop());
    event_loop.run().expect("the loop runs");
    assert_eq!(event_loop.now(), HOUR);
}

/// T-23: a sleep without end has none on another loop either, whatever its clock says.
#[test]
fn end_of_time_is_the_same_on_every_loop() {
    let _watchdog = watchdog();
    let [first, second] =
        [(); 2].map(|()| Loop::builder().virtual_clock().build().expect("a loop can be made"));
    first.block_on(luvio::sleep(HOUR)).expect("the loop runs");
    // Made on the first one, awaited on the second.
    let awaiting = second.handle().clone();
    first.defer(move |_| awaiting.go(luvio::sleep(Duration::MAX)));
    turn(&first);
    turn(&second);
    assert!(second.is_alive());
    assert_eq!(second.backend_timeout(), None);
}

/// T-22, T-23: a timer that never fires says so.
#[test]
fn timer_that_never_fires_says_so() {
    with_virtual_loop(|event_loop| {
        let timer = Timer::new(event_loop);
        let state = || event_loop.alive_because()[0].state.clone();
        timer.start(Duration::MAX, ZERO, |_| {}).expect("a new timer can be started");
        assert_eq!((timer.due_in(), state().as_str()), (Duration::MAX, "never due"));
        timer.start(SECOND, Duration::MAX, |_| {}).expect("a timer can be started again");
        assert_eq!((timer.due_in(), timer.repeat()), (SECOND, Duration::MAX));
        assert_eq!(state(), "due in 1s, then never");
        timer.close();
    });
}
