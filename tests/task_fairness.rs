//! Fairness: how much tasks do before the loop goes on, so that nobody starves.

mod support;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use luvio::{
    JoinHandle, Loop, RunMode, Tcp, Timer, await_callback, sleep, unconstrained, yield_now,
};
use support::{
    connected_pair, counting, expect, new_loop, pair_with_data, turns, watchdog, with_built_loop,
    with_loop,
};

const ZERO: Duration = Duration::ZERO;

/// `yield_now` lets exactly one poll for I/O go by, every time.
#[test]
fn yield_lets_one_poll_go_by() {
    with_loop(|event_loop| {
        let turns = turns(event_loop);
        let done = expect(1);
        event_loop.go(async move {
            for expected in 0..20 {
                assert_eq!(turns.get(), expected);
                yield_now().await;
            }
            done.hit();
        });
        event_loop.run().expect("the loop runs");
        event_loop.walk(|handle| drop(handle.close()));
    });
}

/// A run that ends without a poll, such as one for a future that is ready, is not the poll that a yield waits for.
#[test]
fn yield_waits_for_a_poll_also_across_runs() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (turns, steps) = (turns(&event_loop), Rc::new(Cell::new(0)));
    let counter = Rc::clone(&steps);
    let stepper = event_loop.spawn(async move {
        loop {
            counter.set(counter.get() + 1);
            yield_now().await;
        }
    });
    for _ in 0..10 {
        event_loop.block_on(async {}).expect("the loop runs");
        assert!(steps.get() <= turns.get() + 1, "{} steps in {} turns", steps.get(), turns.get());
    }
    stepper.abort();
}

/// Z-09: a turn polls at most as many tasks as the builder says, and the others in the next one, which does not sleep.
#[test]
fn turn_polls_no_more_tasks_than_its_budget() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().tasks_per_turn(3).build().expect("a loop can be made");
    let polls = Rc::new(Cell::new(0));
    let handles: Vec<_> = (0..10).map(|_| event_loop.spawn(counting(&polls))).collect();
    for expected in [3, 6, 9, 10, 10] {
        assert_eq!(event_loop.backend_timeout().is_some(), polls.get() < 10);
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
        assert_eq!(polls.get(), expected);
    }
    handles.iter().for_each(JoinHandle::abort);
    event_loop.run().expect("the loop runs");
}

/// Z-09: by default, a turn has 256 polls. A task that wakes itself gets them all, if nobody else wants any.
#[test]
fn task_woken_meanwhile_is_polled_again_while_the_budget_lasts() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let polls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&polls);
    let handle = event_loop.spawn(poll_fn(move |context| {
        counter.set(counter.get() + 1);
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    for turn in 1..=3 {
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
        assert_eq!(polls.get(), 256 * turn);
    }
    handle.abort();
    event_loop.run().expect("the loop runs");
}

/// Z-09: tasks that wake themselves for ever, more of them than fit into a turn, starve neither timers nor sockets nor
/// tasks that come later.
#[test]
fn tasks_that_wake_themselves_for_ever_starve_nobody() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let wakes_itself = || {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let handles: Vec<_> = (0..300).map(|_| event_loop.spawn(wakes_itself())).collect();
    let (tcp, mut peer) = connected_pair(&event_loop);
    let (fired, late) = (expect(3), expect(1));
    let timer = Timer::new(&event_loop);
    timer
        .start(Duration::from_millis(1), Duration::from_millis(1), move |timer| {
            if fired.hit() == 3 {
                timer.close();
                peer.write_all(b"!").expect("a socket buffer has room");
            }
        })
        .expect("it starts");
    let end = event_loop.clone();
    let reads = expect(1);
    tcp.read_start(move |tcp, chunk| {
        assert_eq!(chunk.expect("it reads"), Some(&b"!"[..]));
        reads.hit();
        tcp.close();
        let (late, end) = (late.clone(), end.clone());
        luvio::go(async move {
            late.hit();
            end.stop();
        });
    })
    .expect("a connection can be read");
    event_loop.run().expect("the loop runs");
    handles.iter().for_each(JoinHandle::abort);
    event_loop.run().expect("the loop runs");
    support::check_expectations();
}

/// So many operations may be ready at once within one poll of a task.
const SHARE: usize = 128;

/// Awaits `operation` again and again, and says how many of them one poll finished at most.
async fn most_in_a_poll(operations: usize, mut operation: impl AsyncFnMut()) -> usize {
    let done = Cell::new(0);
    let mut most = 0;
    let mut work = pin!(async {
        for _ in 0..operations {
            operation().await;
            done.set(done.get() + 1);
        }
    });
    poll_fn(|context| {
        let before = done.get();
        let polled = work.as_mut().poll(context);
        most = most.max(done.get() - before);
        polled
    })
    .await;
    most
}

/// A loop that reads one byte at a time.
fn with_byte_loop(test: impl FnOnce(&Loop)) {
    with_built_loop(Loop::builder().read_chunk(1), test);
}

/// Z-09: one poll finishes at most 128 reads, though there is more.
#[test]
fn reads_that_are_ready_for_ever_let_the_task_go() {
    with_byte_loop(|event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, &[b'r'; 1000]);
        let most = event_loop.block_on(most_in_a_poll(1000, async || {
            assert_eq!(tcp.read_once().await.expect("it reads").as_deref(), Some(&b"r"[..]));
        }));
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09: one poll finishes at most 128 writes, though the kernel takes more.
#[test]
fn writes_that_are_over_at_once_let_the_task_go() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let most = event_loop.block_on(most_in_a_poll(1000, async || {
            tcp.write(b"w").await.expect("it is written");
        }));
        assert_eq!(most.expect("the loop runs"), SHARE);
        let mut received = [0; 1000];
        peer.read_exact(&mut received).expect("all of it comes, once");
        assert_eq!(received, [b'w'; 1000]);
    });
}

/// Z-09: writes that fail at once count as well: a task that never gives up does not hold the loop.
#[test]
fn writes_that_fail_at_once_let_the_task_go() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        let most = event_loop.block_on(most_in_a_poll(1000, async || {
            tcp.write(b"w").await.expect_err("it is not connected");
        }));
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09: the share is the task's, however many futures it polls at once.
#[test]
fn futures_of_one_task_share_its_operations() {
    with_byte_loop(|event_loop| {
        let (left, _left) = pair_with_data(event_loop, &[b'l'; 500]);
        let (right, _right) = pair_with_data(event_loop, &[b'r'; 500]);
        let most = event_loop.block_on(async {
            let done = Cell::new(0);
            let drain = async |tcp: &Tcp| {
                for _ in 0..500 {
                    tcp.read_once().await.expect("it reads");
                    done.set(done.get() + 1);
                }
            };
            let mut most = 0;
            let (mut left, mut right) = (pin!(drain(&left)), pin!(drain(&right)));
            let (mut left_ends, mut right_ends) = (false, false);
            poll_fn(|context| {
                let before = done.get();
                left_ends = left_ends || left.as_mut().poll(context).is_ready();
                right_ends = right_ends || right.as_mut().poll(context).is_ready();
                most = most.max(done.get() - before);
                if left_ends && right_ends { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            most
        });
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09: a task that sleeps for no time at all, again and again, does not hold the loop either.
#[test]
fn sleeps_that_are_over_at_once_let_the_task_go() {
    with_loop(|event_loop| {
        let most = event_loop.block_on(most_in_a_poll(1000, async || sleep(ZERO).await));
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09: nor does a callback API that calls back at once.
#[test]
fn callbacks_that_come_at_once_let_the_task_go() {
    with_loop(|event_loop| {
        let most = event_loop.block_on(most_in_a_poll(1000, async || {
            let value = await_callback(|resume| {
                resume.with(9);
            });
            assert_eq!(value.await, Ok(9));
        }));
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09, L-27: an echo whose reads and writes are always ready at once starves neither timers nor other sockets.
#[test]
fn busy_echo_starves_nobody() {
    with_byte_loop(|event_loop| {
        let (busy, peer) = pair_with_data(event_loop, &[b'e'; 2000]);
        let (idle, mut other) = connected_pair(event_loop);
        let echoed = Rc::new(Cell::new(0));
        let (count, seen_by_timer, seen_by_read) =
            (Rc::clone(&echoed), Rc::clone(&echoed), Rc::clone(&echoed));
        event_loop.go(async move {
            while count.get() < 2000 {
                let data = busy.read_once().await?.expect("there is more");
                busy.write(data).await?;
                count.set(count.get() + 1);
            }
            drop(peer);
            io::Result::Ok(())
        });
        let (fired, read) = (expect(1), expect(1));
        event_loop.defer(move |event_loop| {
            Timer::after(event_loop, ZERO, move |_| {
                fired.hit();
                assert!(seen_by_timer.get() < 2000);
            });
            other.write_all(b"!").expect("a socket buffer has room");
        });
        idle.read_start(move |idle, _| {
            read.hit();
            assert!(seen_by_read.get() < 2000);
            idle.close();
        })
        .expect("a connection can be read");
        event_loop.run().expect("the loop runs");
        assert_eq!(echoed.get(), 2000);
    });
}

// ---- other wakers than the task's own --------------------------------------------------------------------------------

/// Makes operations that are ready at once.
type Make = Box<dyn Fn() -> BoxedOperation>;
type BoxedOperation = Pin<Box<dyn Future<Output = ()>>>;

fn ready_operations(event_loop: &Loop) -> Vec<(&'static str, Make)> {
    fn boxed(operation: impl Future<Output = ()> + 'static) -> BoxedOperation {
        Box::pin(operation)
    }
    let unconnected = Tcp::new(event_loop);
    vec![
        ("write", Box::new(move || boxed(unconnected.write(b"x").map(drop)))),
        ("sleep", Box::new(|| boxed(sleep(ZERO)))),
        (
            "await_callback",
            Box::new(|| {
                let register = |resume: luvio::Resume<()>| assert!(resume.with(()));
                boxed(await_callback(register).map(drop))
            }),
        ),
        ("yield_now", Box::new(|| boxed(yield_now()))),
    ]
}

/// Z-09: an executor that holds the thread inside a task, or inside the future of `block_on`, always gets on, however many
/// operations it finishes.
#[test]
fn executor_that_holds_the_thread_inside_a_task_gets_on() {
    with_loop(|event_loop| {
        for (_, operation) in ready_operations(event_loop) {
            let done = expect(1);
            event_loop.go(async move {
                (0..1000).for_each(|_| futures::executor::block_on(operation()));
                futures::executor::block_on(async {
                    for _ in 0..1000 {
                        operation().await;
                    }
                });
                done.hit();
            });
        }
        event_loop.run().expect("the loop runs");
        let in_root = async {
            (0..1000).for_each(|_| futures::executor::block_on(sleep(ZERO)));
        };
        event_loop.block_on(in_root).expect("the loop runs");
    });
}

/// Z-09: what is over is over, also for somebody who asks once, with a waker that nobody hears.
#[test]
fn operation_that_is_over_is_ready_for_who_asks_once() {
    with_loop(|event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, b"x");
        let unconnected = Tcp::new(event_loop);
        let asks = async {
            for _ in 0..1000 {
                assert!(unconnected.write(b"x").now_or_never().is_some());
                assert!(sleep(ZERO).now_or_never().is_some());
            }
            assert!(tcp.read_once().await.expect("it reads").is_some());
        };
        event_loop.block_on(asks).expect("the loop runs");
    });
}

/// Z-09: a part of a task that has a waker of its own shares in the operations of the task: in a turn it finishes no more of
/// them, and timers and sockets have their turn.
#[test]
fn parts_of_a_task_with_wakers_of_their_own_starve_nobody() {
    with_loop(|event_loop| {
        for (name, operation) in ready_operations(event_loop) {
            for parts in [1, 2, 300] {
                let turns = turns(event_loop);
                let (mut in_this_turn, mut most, mut last) = (0, 0, turns.get());
                let work = async {
                    let mut running = FuturesUnordered::new();
                    (0..parts).for_each(|_| running.push(operation()));
                    for _ in 0..1000 {
                        running.next().await.expect("there is always one");
                        running.push(operation());
                        if last != turns.get() {
                            (in_this_turn, last) = (0, turns.get());
                        }
                        in_this_turn += 1;
                        most = most.max(in_this_turn);
                    }
                };
                event_loop.block_on(work).expect("the loop runs");
                // Those who yielded all come back in the next turn.
                let limit = if name == "yield_now" { parts } else { SHARE };
                assert!(most <= limit, "{name}, {parts} parts: {most}");
                assert!(turns.get() > 1, "{name}, {parts} parts");
                event_loop.walk(|handle| {
                    if handle.kind() == luvio::Kind::Prepare {
                        handle.close();
                    }
                });
            }
        }
        event_loop.walk(|handle| drop(handle.close()));
    });
}

/// Z-09: so does a part that never ends by itself.
#[test]
fn long_part_of_a_task_with_a_waker_of_its_own_starves_nobody() {
    with_loop(|event_loop| {
        let most = event_loop.block_on(async {
            let mut running = FuturesUnordered::new();
            running.push(most_in_a_poll(1000, async || sleep(ZERO).await));
            running.next().await.expect("there is one")
        });
        assert_eq!(most.expect("the loop runs"), SHARE);
    });
}

/// Z-09: inside `unconstrained` one poll finishes all that is ready; outside the share is what it was.
#[test]
fn unconstrained_future_has_no_share() {
    with_loop(|event_loop| {
        let limited = || most_in_a_poll(300, async || sleep(ZERO).await);
        let free = unconstrained(most_in_a_poll(1000, async || sleep(ZERO).await));
        let most = event_loop.block_on(async { (limited().await, free.await, limited().await) });
        assert_eq!(most.expect("the loop runs"), (SHARE, 1000, SHARE));
        // And after a panic in it, too.
        let survived = event_loop.block_on(async {
            let panics = unconstrained(async { panic!("on purpose") as () });
            let caught = AssertUnwindSafe(panics).catch_unwind().await;
            assert!(caught.is_err());
            limited().await
        });
        assert_eq!(survived.expect("the loop runs"), SHARE);
    });
}
