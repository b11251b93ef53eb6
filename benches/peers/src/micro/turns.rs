//! Turns of a loop that has nothing to do, or nothing but a wake-up.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use luvio::{Idle, Notifier, RunMode};

use super::new_loop;
use super::stopwatch::Stopwatch;

pub fn luvio(count: usize) -> Duration {
    let event_loop = new_loop();
    let idle = Idle::new(&event_loop);
    let left = Cell::new(count);
    let turn = move |idle: &Idle| {
        left.set(left.get() - 1);
        if left.get() == 0 {
            idle.close();
        }
    };
    idle.start(turn).expect("an idle handle can be started");
    let watch = Stopwatch::start();
    event_loop.run().expect("the loop runs");
    watch.elapsed()
}

fn mio_poll() -> (mio::Poll, mio::Events) {
    (mio::Poll::new().expect("a poll can be made"), mio::Events::with_capacity(1024))
}

pub fn mio(count: usize) -> Duration {
    let (mut poll, mut events) = mio_poll();
    let watch = Stopwatch::start();
    for _ in 0..count {
        poll.poll(&mut events, Some(Duration::ZERO)).expect("it polls");
    }
    watch.elapsed()
}

pub fn luvio_notified(count: usize) -> Duration {
    let event_loop = new_loop();
    let called = Rc::new(Cell::new(0));
    let calls = Rc::clone(&called);
    let notifier = Notifier::new(&event_loop, move |_| calls.set(calls.get() + 1));
    let sender = notifier.expect("a notifier can be made").sender();
    let watch = Stopwatch::start();
    for _ in 0..count {
        sender.send().expect("the notifier is open");
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    }
    let taken = watch.elapsed();
    assert_eq!(called.get(), count);
    taken
}

pub fn mio_woken(count: usize) -> Duration {
    let (mut poll, mut events) = mio_poll();
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker can be made");
    let mut woken = 0;
    let watch = Stopwatch::start();
    for _ in 0..count {
        waker.wake().expect("it wakes");
        poll.poll(&mut events, Some(Duration::ZERO)).expect("it polls");
        woken += events.iter().count();
    }
    let taken = watch.elapsed();
    assert_eq!(woken, count);
    taken
}
