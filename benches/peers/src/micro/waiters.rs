//! Many tasks that wait for the same event, of which each is for one.

use std::cell::Cell;
use std::future::Future;
use std::net::TcpStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use luvio::{Loop, Notifier, RunMode, Tcp};

use super::new_loop;
use super::stopwatch::Stopwatch;

/// So many events come, one after the other.
pub const EVENTS: usize = 500;

/// Has `count` tasks wait for the same, again and again, and brings about [`EVENTS`] events.
fn serve<F: Future<Output = ()>>(
    event_loop: &Loop,
    count: usize,
    wait: impl Fn() -> F + Clone + 'static,
    bring_about: impl Fn(),
) -> Duration {
    let (waiting, served) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for _ in 0..count {
        let (waiting, served, wait) = (Rc::clone(&waiting), Rc::clone(&served), wait.clone());
        event_loop.go(async move {
            waiting.set(waiting.get() + 1);
            loop {
                wait().await;
                served.set(served.get() + 1);
            }
        });
    }
    let turn = || event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    while waiting.get() < count {
        turn();
    }
    let watch = Stopwatch::start();
    for event in 1..=EVENTS {
        bring_about();
        while served.get() < event {
            turn();
        }
    }
    watch.elapsed()
}

pub fn luvio_notified(count: usize) -> Duration {
    let event_loop = new_loop();
    let notifier = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let sender = notifier.sender();
    let wait = move || {
        let notifier = notifier.clone();
        async move { notifier.notified().await.expect("it stays open") }
    };
    serve(&event_loop, count, wait, || sender.send().expect("it stays open"))
}

pub fn luvio_accepted(count: usize) -> Duration {
    let event_loop = new_loop();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen_only(128).expect("a bound socket can listen");
    let addr = server.local_addr().expect("a listener has an address");
    let wait = move || {
        let server = server.clone();
        async move { drop(server.accept_next().await.expect("it stays open")) }
    };
    serve(&event_loop, count, wait, || drop(TcpStream::connect(addr).expect("it listens")))
}

/// Waits that begin, and are dropped in the same order.
pub fn luvio_left(count: usize) -> Duration {
    let event_loop = new_loop();
    let notifier = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let mut context = Context::from_waker(Waker::noop());
    let watch = Stopwatch::start();
    let mut waits: Vec<_> = (0..count).map(|_| notifier.notified()).collect();
    for wait in &mut waits {
        assert!(pin!(wait).poll(&mut context).is_pending());
    }
    drop(waits);
    watch.elapsed()
}
