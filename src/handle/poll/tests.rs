//! What no system can be made to do on demand: a selector that refuses.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::task::{self, Context, Waker};

use super::*;
use crate::{Loop, RunMode};

fn pair(event_loop: &Loop) -> (Poll, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    (Poll::new(event_loop, here).unwrap(), there)
}

/// P-03, P-13: a start that the selector refuses changes nothing: neither is the handle active, nor does a task wait.
#[test]
fn a_start_that_is_refused_changes_nothing() {
    let event_loop = Loop::new().unwrap();
    let (poll, _peer) = pair(&event_loop);
    event_loop.inner().poller.close();
    assert!(poll.start(Interest::READABLE, |_, _| unreachable!()).is_err());
    assert!(!poll.is_active() && !event_loop.is_alive());
    let (mut place, context) = (None, Context::from_waker(Waker::noop()));
    let polled = poll.poll_ready(Interest::WRITABLE, &mut place, &context);
    assert!(matches!(polled, task::Poll::Ready(Err(_))) && place.is_none());
    assert!(!poll.0.registered.get());
}

/// P-10: if the descriptor cannot be watched any longer, the callback gets that error, once, and the handle is stopped.
#[test]
fn the_error_of_the_selector_is_the_last_call() {
    let event_loop = Loop::new().unwrap();
    let pairs = [pair(&event_loop), pair(&event_loop)];
    let errors = Rc::new(Cell::new(0));
    for (poll, peer) in &pairs {
        let (errors, inner) = (Rc::clone(&errors), event_loop.clone());
        let started = poll.start(Interest::READABLE, move |poll, ready| match ready {
            Ok(_) => inner.inner().poller.close(),
            Err(err) => {
                assert_eq!(Misuse::of(&err), Some(Misuse::LoopGone));
                assert!(!poll.is_active());
                errors.set(errors.get() + 1);
            }
        });
        started.unwrap();
        (&*peer).write_all(b"x").unwrap();
    }
    event_loop.run_mode(RunMode::NoWait).unwrap();
    // The first one closed the selector; the event of the second had been fetched before.
    assert_eq!(errors.get(), 1);
    assert_eq!(Rc::strong_count(&errors), 2, "a callback whose last call this was is dropped");
    assert_eq!(pairs.iter().filter(|(poll, _)| poll.is_active()).count(), 1);
}

/// P-16: an event that comes when nobody waits any more is the last one that the loop is woken for.
#[test]
fn a_descriptor_that_nobody_waits_for_is_forgotten() {
    let event_loop = Loop::new().unwrap();
    let (poll, peer) = pair(&event_loop);
    (&peer).write_all(b"x").unwrap();
    event_loop.try_block_on(poll.readable()).unwrap();
    assert!(poll.0.registered.get());
    (&peer).write_all(b"x").unwrap();
    // With poll(2) what was told is not told again anyway, unless it is asked for.
    let _ = poll.0.ask_for(Interest::READABLE);
    event_loop.defer(|_| {});
    event_loop.run_mode(RunMode::NoWait).unwrap();
    assert!(!poll.0.registered.get());
    event_loop.try_block_on(poll.readable()).unwrap();
}

/// An empty interest has a name, too.
#[test]
fn interests_and_readiness_are_shown_by_name() {
    let all =
        Interest::READABLE | Interest::WRITABLE | Interest::DISCONNECT | Interest::PRIORITIZED;
    assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | DISCONNECT | PRIORITIZED");
    assert_eq!(
        format!("{:?} {:?}", Interest::default(), Ready(Interest::WRITABLE)),
        "NONE WRITABLE"
    );
    assert!(all.contains(Interest::NONE) && !Interest::NONE.contains(all));
    assert!(Interest::NONE.is_empty() && !all.is_empty());
}
