//! A loop with nothing to do sleeps, and nothing wakes it.
#![cfg(target_os = "linux")]

mod support;

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use luvio::{Loop, Notifier, Tcp, Timer};
use support::{connected_pair, turn_until, watchdog};

/// How often this thread has gone to sleep by itself.
fn sleeps() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/status").expect("Linux has it");
    let field = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    field.expect("such a line").trim().parse().expect("a number")
}

/// A loop with a listener, connections, a notifier and tasks, none of which has anything to do, sleeps once until
/// its timer is due a second later: no wake-ups in between, no turns in vain.
#[test]
fn loop_with_nothing_to_do_sleeps_through() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen(8, |_, _| {}).expect("a bound socket can listen");
    let pairs: Vec<_> = (0..10).map(|_| connected_pair(&event_loop)).collect();
    for (at, (tcp, _)) in pairs.iter().enumerate() {
        let tcp = tcp.clone();
        match at % 2 {
            0 => tcp.read_start(|_, _| {}).expect("a connection can be read"),
            _ => event_loop.go(async move { tcp.read_once().await.map(drop) }),
        }
    }
    let _notifier = Notifier::new(&event_loop, |_| {}).expect("a notifier can be made");
    event_loop.go(std::future::pending::<()>());
    let turns = Rc::new(Cell::new(0));
    let count = Rc::clone(&turns);
    let prepare = luvio::Prepare::new(&event_loop);
    prepare.start(move |_| count.set(count.get() + 1)).expect("a new handle can be started");

    // Everything is set up, and the news that the sockets can be written has been heard.
    let fired = Rc::new(Cell::new(false));
    for after in [10, 1_000] {
        let is_over = Rc::clone(&fired);
        Timer::after(&event_loop, Duration::from_millis(after), move |_| is_over.set(true));
        let before = (sleeps(), turns.get());
        turn_until(&event_loop, || fired.replace(false));
        let after_it = (sleeps() - before.0, turns.get() - before.1);
        if after == 1_000 {
            // A poll that ends a little early, by a rounded clock, may be followed by a short one.
            assert!(after_it.0 <= 3 && after_it.1 <= 2, "{after_it:?} sleeps and turns");
        }
    }
}
