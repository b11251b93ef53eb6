//! Waiting for time to pass in tasks: `sleep`, `sleep_until`, `timeout`, `interval`.

mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use luvio::{
    Elapsed, JoinHandle, Loop, LoopHandle, Prepare, RunMode, Sleep, Timer, interval, sleep,
    sleep_until, timeout,
};
use support::{
    Drops, connected_pair, expect, panic_text, turn, watchdog, with_loop, with_virtual_loop,
};

const ZERO: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn virtual_loop() -> Loop {
    Loop::builder().virtual_clock().build().expect("a loop can be made")
}

/// Runs `f` inside a callback of the loop, and yields what it returns.
fn inside<R: 'static>(event_loop: &Loop, f: impl FnOnce(&LoopHandle) -> R + 'static) -> R {
    let result = Rc::new(Cell::new(None));
    let slot = Rc::clone(&result);
    event_loop.defer(move |event_loop| slot.set(Some(f(event_loop))));
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    result.take().expect("it was called")
}

/// Polls a future once inside a callback of the loop.
fn poll_inside<F: Future + Unpin + 'static>(
    event_loop: &Loop,
    mut future: F,
) -> (F, Poll<F::Output>)
where
    F::Output: 'static,
{
    inside(event_loop, move |_| {
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
        (future, polled)
    })
}

/// How long the loop would sleep for a timer, if there is one: the sign of a timer that was not released.
fn armed(event_loop: &Loop) -> Option<Duration> {
    // Something has to keep the loop alive, or it would not sleep at all.
    let holder = event_loop.spawn(pending::<()>());
    turn(event_loop);
    let timeout = event_loop.backend_timeout();
    holder.abort();
    turn(event_loop);
    timeout
}

// ---- sleep ----------------------------------------------------------------------------------------------------------

/// T-01: a sleep ends exactly when its time has passed on the loop's clock, in full resolution.
#[test]
fn sleep_ends_when_its_time_has_passed() {
    with_virtual_loop(|event_loop| {
        let slept = expect(3);
        for delay in [HOUR, Duration::from_nanos(1_500_001), Duration::from_nanos(1)] {
            let (slept, inside) = (slept.clone(), event_loop.handle().clone());
            event_loop.go(async move {
                sleep(delay).await;
                assert_eq!(inside.now(), delay);
                slept.hit();
            });
        }
    });
}

/// T-01: by `Instant`, neither `sleep` nor `sleep_until` nor `timeout` nor an interval is ever early.
#[test]
fn nothing_is_early_by_the_wall_clock() {
    with_loop(|event_loop| {
        let ended = expect(4 * 5);
        for micros in [1, 100, 700, 1_300, 5_000] {
            let delay = Duration::from_micros(micros);
            let early = move |begin: Instant| begin.elapsed() < delay;
            let note = ended.clone();
            event_loop.go(async move {
                let begin = Instant::now();
                sleep(delay).await;
                assert!(!early(begin));
                note.hit();
            });
            let note = ended.clone();
            event_loop.go(async move {
                let begin = Instant::now();
                sleep_until(begin + delay).await;
                assert!(!early(begin));
                note.hit();
            });
            let note = ended.clone();
            event_loop.go(async move {
                let begin = Instant::now();
                assert_eq!(timeout(delay, pending::<()>()).await, Err(Elapsed));
                assert!(!early(begin));
                note.hit();
            });
            let note = ended.clone();
            event_loop.go(async move {
                let begin = Instant::now();
                let mut ticks = interval(delay);
                ticks.tick().await;
                assert!(!early(begin));
                note.hit();
            });
        }
    });
}

/// A sleep, and a time limit, that are created in a running loop count from there, not from their first poll.
#[test]
fn sleep_counts_from_its_creation_in_a_running_loop() {
    with_virtual_loop(|event_loop| {
        let seen = event_loop.block_on(async {
            let (early, mut limited) = (sleep(2 * HOUR), pin!(timeout(3 * HOUR, pending::<()>())));
            sleep(HOUR).await;
            early.await;
            let at_two = event_loop.now();
            assert_eq!(limited.as_mut().await, Err(Elapsed));
            let at_three = event_loop.now();
            let past = sleep(HOUR);
            sleep(2 * HOUR).await;
            past.await;
            (at_two, at_three, event_loop.now())
        });
        assert_eq!(seen.expect("the loop runs"), (2 * HOUR, 3 * HOUR, 5 * HOUR));
    });
}

/// A sleep that is created where no loop runs counts from its first poll.
#[test]
fn sleep_counts_from_its_first_poll_otherwise() {
    with_virtual_loop(|event_loop| {
        let (waits, limited) = (sleep(HOUR), timeout(HOUR, pending::<()>()));
        event_loop.block_on(sleep(HOUR)).expect("the loop runs");
        event_loop.block_on(waits).expect("the loop runs");
        assert_eq!(event_loop.now(), 2 * HOUR);
        assert!(event_loop.block_on(limited).expect("the loop runs").is_err());
        assert_eq!(event_loop.now(), 3 * HOUR);
    });
}

/// T-17: sleeps count from a fresh clock, though a callback has held the loop.
#[test]
fn sleep_reads_a_fresh_clock() {
    with_loop(|event_loop| {
        let ended = expect(1);
        event_loop.go(async move {
            let begin = Instant::now();
            while begin.elapsed() < ms(3) {}
            let begin = Instant::now();
            sleep(ms(2)).await;
            assert!(begin.elapsed() >= ms(2));
            ended.hit();
        });
    });
}

/// Zero, and an instant that is past, are over at once.
#[test]
fn sleep_for_no_time_is_over_at_once() {
    with_virtual_loop(|event_loop| {
        let (_, polled) = poll_inside(event_loop, sleep(ZERO));
        assert!(polled.is_ready());
        let (_, polled) = poll_inside(event_loop, sleep_until(Instant::now()));
        assert!(polled.is_ready());
        assert_eq!(armed(event_loop), None);
    });
}

/// A sleep that is too long to be counted never ends, and can be given up.
#[test]
fn endless_sleep_can_be_given_up() {
    with_virtual_loop(|event_loop| {
        let outcome = event_loop.block_on(timeout(HOUR, sleep(Duration::MAX)));
        assert_eq!(outcome.expect("the loop runs"), Err(Elapsed));
        assert_eq!(event_loop.now(), HOUR);
    });
}

/// T-04: sleeps end by due time, then in the order in which they were awaited first.
#[test]
fn sleeps_end_in_order() {
    with_virtual_loop(|event_loop| {
        let ended = support::Journal::new();
        for (name, delay) in [("c", 2), ("a", 1), ("d", 2), ("b", 1)] {
            let notes = ended.clone();
            event_loop.go(async move {
                sleep(delay * SECOND).await;
                notes.note(name);
            });
        }
        event_loop.run().expect("the loop runs");
        ended.assert_is(&["a", "b", "c", "d"]);
    });
}

/// A sleep works where no loop runs on this thread only after a loop has polled it: else it says what to do.
#[test]
fn sleep_polled_where_no_loop_runs() {
    let polls: [fn() -> bool; 2] = [
        || pin!(sleep(HOUR)).poll(&mut Context::from_waker(Waker::noop())).is_ready(),
        || {
            pin!(timeout(HOUR, pending::<()>()))
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        },
    ];
    for poll in polls {
        let text = panic_text(poll);
        assert!(text.contains("sleep") && text.contains("block_on"), "{text}");
    }
}

/// T-01: a sleep that moves to another loop, before it is polled or after, keeps its end: it is not early there, whatever
/// that loop's clock says, and does not wait for the first loop.
#[test]
fn sleep_may_move_to_another_loop() {
    let _watchdog = watchdog();
    for polled_before in [false, true] {
        // The clock of the second loop is an hour ahead.
        let (first, second) = (virtual_loop(), virtual_loop());
        second.block_on(sleep(HOUR)).expect("the loop runs");
        let mut waits = inside(&first, |_| sleep(2 * SECOND));
        if polled_before {
            let (polled, result) = poll_inside(&first, waits);
            assert!(result.is_pending());
            waits = polled;
        }
        first.block_on(sleep(SECOND)).expect("the loop runs");
        second.block_on(waits).expect("the loop runs");
        assert_eq!(second.now(), HOUR + SECOND);
        assert_eq!(armed(&first), None);
    }
}

/// The same the other way round, also when the first loop is gone.
#[test]
fn sleep_may_outlive_its_loop() {
    let _watchdog = watchdog();
    for polled_before in [false, true] {
        let (first, second) = (virtual_loop(), virtual_loop());
        first.block_on(sleep(HOUR)).expect("the loop runs");
        let mut waits = inside(&first, |_| sleep(2 * SECOND));
        if polled_before {
            waits = poll_inside(&first, waits).0;
        }
        drop(first);
        second.block_on(waits).expect("the loop runs");
        assert_eq!(second.now(), 2 * SECOND);
    }
}

// ---- releasing the timer --------------------------------------------------------------------------------------------

/// Z-07: the timer is released when the sleep ends, is dropped, or its task is aborted or panics.
#[test]
fn sleep_releases_its_timer() {
    with_virtual_loop(|event_loop| {
        event_loop.block_on(sleep(SECOND)).expect("the loop runs");
        assert_eq!(armed(event_loop), None);

        let (waiting, polled) = poll_inside(event_loop, sleep(HOUR));
        assert!(polled.is_pending());
        assert_eq!(armed(event_loop), Some(HOUR));
        drop(waiting);
        assert_eq!(armed(event_loop), None);

        let task = event_loop.spawn(sleep(HOUR));
        turn(event_loop);
        task.abort();
        turn(event_loop);
        assert_eq!(armed(event_loop), None);

        let task: JoinHandle<()> = event_loop.spawn(async {
            let mut waiting = pin!(sleep(HOUR));
            poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready())).await;
            panic!("while it sleeps");
        });
        let outcome = event_loop.block_on(task).expect("the loop runs");
        assert!(outcome.is_err());
        assert_eq!(armed(event_loop), None);
        assert_eq!(event_loop.now(), SECOND);
    });
}

/// Z-07: a sleep that nobody polls any more does not keep the loop alive, nor does the loop wait for it.
#[test]
fn forgotten_sleep_does_not_keep_the_loop_alive() {
    let _watchdog = watchdog();
    let event_loop = virtual_loop();
    let (waiting, _) = poll_inside(&event_loop, sleep(HOUR));
    event_loop.run().expect("the loop runs");
    assert_eq!(event_loop.now(), ZERO);
    drop(waiting);
}

/// Z-07: `stop` in the middle leaves a sleep as it was; the loop may go on with it, or be dropped.
#[test]
fn stop_leaves_a_sleep_as_it_was() {
    let _watchdog = watchdog();
    let event_loop = virtual_loop();
    let drops = Drops::new();
    let token = drops.token();
    event_loop.go(async move {
        token.keep();
        sleep(HOUR).await;
    });
    Timer::after(&event_loop, HOUR / 2, |timer| timer.event_loop().stop());
    event_loop.run().expect("the loop runs");
    assert_eq!((event_loop.now(), drops.count()), (HOUR / 2, 0));
    event_loop.run().expect("the loop runs");
    assert_eq!((event_loop.now(), drops.count()), (HOUR, 1));
    let token = drops.token();
    event_loop.go(async move {
        token.keep();
        sleep(HOUR).await;
    });
    turn(&event_loop);
    drop(event_loop);
    assert_eq!(drops.count(), 2);
}

/// Z-07: dropping the loop releases the timer of a sleep that is held elsewhere, together with the waker in it.
#[test]
fn loop_drop_releases_the_timer_of_a_sleep() {
    struct CountsDrop(#[allow(dead_code)] std::sync::Arc<()>);
    impl std::task::Wake for CountsDrop {
        fn wake(self: std::sync::Arc<Self>) {}
    }
    let _watchdog = watchdog();
    let event_loop = virtual_loop();
    let held = std::sync::Arc::new(());
    let waker = Waker::from(std::sync::Arc::new(CountsDrop(std::sync::Arc::clone(&held))));
    let waiting: Sleep = inside(&event_loop, move |_| {
        let mut waiting = sleep(HOUR);
        assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
        waiting
    });
    assert_eq!(std::sync::Arc::strong_count(&held), 2);
    drop(event_loop);
    drop(waiting);
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}

/// Z-07, L-33: dropping the loop half-way drops every task that waits for time, however it does, with what it holds.
#[test]
fn loop_drop_ends_all_that_waits_for_time() {
    let _watchdog = watchdog();
    let event_loop = virtual_loop();
    let drops = Drops::new();
    let tokens: [_; 4] = std::array::from_fn(|_| drops.token());
    let [in_sleep, in_sleep_until, in_timeout, in_tick] = tokens;
    event_loop.go(async move {
        sleep(HOUR).await;
        in_sleep.keep();
    });
    event_loop.go(async move {
        sleep_until(Instant::now() + HOUR).await;
        in_sleep_until.keep();
    });
    event_loop.go(async move {
        let _ = timeout(HOUR, pending::<()>()).await;
        in_timeout.keep();
    });
    event_loop.go(async move {
        interval(HOUR).tick().await;
        in_tick.keep();
    });
    turn(&event_loop);
    assert_eq!(drops.count(), 0);
    drop(event_loop);
    assert_eq!(drops.count(), 4);
}

// ---- timeout --------------------------------------------------------------------------------------------------------

/// Z-07, Z-06: `timeout(5 ms, sleep(10 s))` lets the run return after 5 ms.
#[test]
fn timeout_around_a_sleep_lets_the_run_return() {
    with_virtual_loop(|event_loop| {
        let ended = expect(1);
        event_loop.go(async move {
            assert_eq!(timeout(ms(5), sleep(Duration::from_secs(10))).await, Err(Elapsed));
            ended.hit();
        });
        event_loop.run().expect("the loop runs");
        assert_eq!(event_loop.now(), ms(5));
        assert_eq!(armed(event_loop), None);
    });
}

/// Z-07: a future that ends in time releases the timer of the limit.
#[test]
fn future_in_time_releases_the_limit() {
    with_virtual_loop(|event_loop| {
        let ended = expect(1);
        event_loop.go(async move {
            assert_eq!(timeout(Duration::from_secs(10), sleep(ms(5))).await, Ok(()));
            ended.hit();
        });
        event_loop.run().expect("the loop runs");
        assert_eq!(event_loop.now(), ms(5));
        assert_eq!(armed(event_loop), None);
    });
}

/// Z-06: when the time is over the future is dropped before anybody hears of it; when the limit is dropped, too.
#[test]
fn timeout_drops_its_future() {
    let drops = Drops::new();
    with_virtual_loop(|event_loop| {
        let held = || {
            let token = drops.token();
            async move {
                token.keep();
                pending::<()>().await;
            }
        };
        let seen = event_loop.block_on(async {
            let outcome = timeout(SECOND, held()).await;
            (outcome, drops.count())
        });
        assert_eq!(seen.expect("the loop runs"), (Err(Elapsed), 1));
        let task = event_loop.spawn(timeout(HOUR, held()));
        turn(event_loop);
        task.abort();
        turn(event_loop);
        assert_eq!(drops.count(), 2);
        assert_eq!(armed(event_loop), None);
    });
}

/// A limit of zero is over after the first poll of the future, which wins if it is ready.
#[test]
fn timeout_of_zero() {
    with_virtual_loop(|event_loop| {
        let waiting = timeout(ZERO, pending::<()>());
        assert_eq!(event_loop.block_on(waiting).expect("the loop runs"), Err(Elapsed));
        assert_eq!(event_loop.block_on(timeout(ZERO, ready(1))).expect("the loop runs"), Ok(1));
        assert_eq!(event_loop.now(), ZERO);
    });
}

/// A future that becomes ready together with the limit wins.
#[test]
fn future_wins_a_tie() {
    with_virtual_loop(|event_loop| {
        let tie = async { timeout(SECOND, sleep(SECOND)).await };
        assert_eq!(event_loop.block_on(tie).expect("the loop runs"), Ok(()));
    });
}

/// Nested limits: the shorter one ends it, from inside or outside.
#[test]
fn timeouts_nest() {
    with_virtual_loop(|event_loop| {
        let inner = timeout(2 * SECOND, timeout(SECOND, pending::<()>()));
        assert_eq!(event_loop.block_on(inner).expect("the loop runs"), Ok(Err(Elapsed)));
        let outer = timeout(SECOND, timeout(2 * SECOND, pending::<()>()));
        assert_eq!(event_loop.block_on(outer).expect("the loop runs"), Err(Elapsed));
        assert_eq!(event_loop.now(), 2 * SECOND);
    });
}

/// Z-06: a read that ran out of time has taken nothing, and the stream can be used on.
#[test]
fn timeout_of_a_read_leaves_the_stream_usable() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let late = event_loop.block_on(timeout(ms(1), tcp.read_once())).expect("the loop runs");
        assert!(late.is_err());
        io::Write::write_all(&mut peer, b"later").expect("a socket buffer has room");
        let echoed = event_loop.block_on(async {
            let data = timeout(HOUR, tcp.read_once()).await??.expect("there is data");
            tcp.write(data).await
        });
        echoed.expect("the loop runs").expect("it is echoed");
        let mut answer = [0; 5];
        peer.read_exact(&mut answer).expect("it comes");
        assert_eq!(&answer, b"later");
    });
}

/// `Elapsed` says what happened, and becomes an `io::Error` of the kind `TimedOut`.
#[test]
fn elapsed_becomes_an_io_error() {
    let limited = || -> io::Result<()> { Err(Elapsed)? };
    let err = limited().expect_err("it is an error");
    assert_eq!(err.kind(), io::ErrorKind::TimedOut);
    assert_eq!(err.to_string(), Elapsed.to_string());
    assert!(!luvio::is_canceled(&err));
}

// ---- interval -------------------------------------------------------------------------------------------------------

/// The first tick comes after one period, the others on a grid from there, each with the time at which it was due.
#[test]
fn interval_ticks_on_a_grid() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                sleep(ms(700)).await;
                let mut ticks = interval(SECOND);
                for number in 1..=5 {
                    let due = ms(700) + number * SECOND;
                    assert_eq!(ticks.tick().await, due);
                    assert_eq!(event_loop.now(), due);
                }
            })
            .expect("the loop runs");
    });
}

/// A tick that is awaited late, within its period, does not move the ones after it.
#[test]
fn late_tick_does_not_move_the_grid() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                let mut ticks = interval(SECOND);
                for number in 1..=5 {
                    assert_eq!(ticks.tick().await, number * SECOND);
                    assert_eq!(event_loop.now(), number * SECOND);
                    sleep(ms(900)).await;
                }
                // Awaited late: ready at once, and the next one is where it was.
                sleep(ms(300)).await;
                assert_eq!(ticks.tick().await, 6 * SECOND);
                assert_eq!(event_loop.now(), ms(6_200));
                assert_eq!(ticks.tick().await, 7 * SECOND);
                assert_eq!(event_loop.now(), 7 * SECOND);
            })
            .expect("the loop runs");
    });
}

/// T-12: ticks that were missed are not made up: one stands for all of them, and the next is on the grid.
#[test]
fn missed_ticks_are_not_made_up() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                let mut ticks = interval(SECOND);
                assert_eq!(ticks.tick().await, SECOND);
                sleep(ms(4_500)).await;
                // Due at 2, 3, 4 and 5 s.
                assert_eq!(ticks.tick().await, 2 * SECOND);
                assert_eq!(event_loop.now(), ms(5_500));
                assert_eq!(ticks.tick().await, 6 * SECOND);
                assert_eq!(event_loop.now(), 6 * SECOND);
                // Awaited exactly when the next one is due, too: it stands for both.
                sleep(2 * SECOND).await;
                assert_eq!(ticks.tick().await, 7 * SECOND);
                assert_eq!(ticks.tick().await, 9 * SECOND);
                assert_eq!(event_loop.now(), 9 * SECOND);
            })
            .expect("the loop runs");
    });
}

/// Z-06: a tick that is given up half-way is not lost: the next await gets it.
#[test]
fn tick_is_cancel_safe() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                let mut ticks = interval(SECOND);
                for _ in 0..3 {
                    assert_eq!(
                        timeout(ms(400), ticks.tick()).await.ok(),
                        (event_loop.now() == SECOND).then_some(SECOND)
                    );
                }
                // Given up twice; the third await got it at 1 s. The next is given up after it was due.
                assert_eq!(event_loop.now(), SECOND);
                assert!(timeout(ms(400), ticks.tick()).await.is_err());
                sleep(ms(700)).await;
                assert_eq!(ticks.tick().await, 2 * SECOND);
                assert_eq!(event_loop.now(), ms(2_100));
                assert_eq!(ticks.tick().await, 3 * SECOND);
            })
            .expect("the loop runs");
    });
}

/// Z-07: an interval that is dropped releases its timer, also with a tick given up half-way.
#[test]
fn dropped_interval_releases_its_timer() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                let mut ticks = interval(HOUR);
                assert!(timeout(SECOND, ticks.tick()).await.is_err());
            })
            .expect("the loop runs");
        assert_eq!(armed(event_loop), None);
        assert_eq!(event_loop.now(), SECOND);
    });
}

/// An interval that moves to another loop ticks there, on its own grid.
#[test]
fn interval_may_move_to_another_loop() {
    let _watchdog = watchdog();
    let (first, second) = (virtual_loop(), virtual_loop());
    second.block_on(sleep(HOUR)).expect("the loop runs");
    let mut ticks = inside(&first, |_| interval(SECOND));
    second.block_on(ticks.tick()).expect("the loop runs");
    assert_eq!(second.now(), HOUR + SECOND);
}

/// An interval of zero, and one where no loop runs, are mistakes that it names.
#[test]
fn interval_needs_a_period_and_a_loop() {
    let _watchdog = watchdog();
    let text = panic_text(|| drop(interval(SECOND)));
    assert!(text.contains("luvio::interval") && text.contains("block_on"), "{text}");
    let event_loop = virtual_loop();
    let text = inside(&event_loop, |_| panic_text(|| drop(interval(ZERO))));
    assert!(text.contains("period"), "{text}");
}

/// Z-09: an interval of a nanosecond, which is always due, starves nobody.
#[test]
fn shortest_interval_starves_nobody() {
    with_loop(|event_loop| {
        let turns = Rc::new(Cell::new(0));
        let counter = Rc::clone(&turns);
        let prepare = Prepare::new(event_loop);
        prepare.start(move |_| counter.set(counter.get() + 1)).expect("it starts");
        event_loop
            .block_on(async {
                let mut ticks = interval(Duration::from_nanos(1));
                for _ in 0..1_000 {
                    ticks.tick().await;
                }
            })
            .expect("the loop runs");
        assert!(turns.get() >= 1_000 / 128);
        prepare.close();
    });
}

/// A period that is too long to be counted never ticks.
#[test]
fn longest_interval_never_ticks() {
    with_virtual_loop(|event_loop| {
        let outcome = event_loop.block_on(async {
            let mut ticks = interval(Duration::MAX);
            timeout(HOUR, ticks.tick()).await
        });
        assert_eq!(outcome.expect("the loop runs"), Err(Elapsed));
    });
}
