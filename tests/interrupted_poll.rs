//! A poll that is interrupted again and again.
#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use luvio::{Check, Loop, Timer};
use std::cell::Cell;
use support::watchdog;

/// Tells the copy of this program that it is the one to be interrupted.
const CHILD: &str = "LUVIO_TEST_INTERRUPTED";

const DELAY: Duration = Duration::from_millis(300);

/// What the child does: one timer, and a count of the turns that it takes.
fn wait_for_a_timer() {
    let event_loop = Loop::new().expect("a loop can be made");
    let begin = Instant::now();
    let turns = Rc::new(Cell::new(0));
    let counter = Rc::clone(&turns);
    let check = Check::new(&event_loop);
    check.start(move |_| counter.set(counter.get() + 1)).expect("a new handle can be started");
    check.unref();
    Timer::after(&event_loop, DELAY, move |_| {
        assert!(begin.elapsed() >= DELAY);
        // A poll that ended early would have been a turn without anything to do.
        assert_eq!(turns.get(), 1, "an interruption was noticed");
    });
    event_loop.run().expect("the loop runs");
}

/// L-23: an interrupted poll goes on with what is left of its time, unseen.
#[test]
fn interruption_of_the_poll_is_invisible() {
    if env::var_os(CHILD).is_some() {
        return wait_for_a_timer();
    }
    let _watchdog = watchdog();
    let program = env::current_exe().expect("a test knows itself");
    let mut child = Command::new(program)
        .args(["--exact", "interruption_of_the_poll_is_invisible"])
        .env(CHILD, "1")
        .spawn()
        .expect("it can be started again");
    // Stopping a process and letting it go on interrupts epoll_wait, without a handler and in every thread.
    let pid = child.id().to_string();
    let status = loop {
        for signal in ["-STOP", "-CONT"] {
            let sent = Command::new("kill").args([signal, &pid]).status();
            assert!(sent.expect("kill can be run").success() || child.try_wait().is_ok());
        }
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
    };
    assert!(status.success());
}
