//! Awaiting a descriptor: the same readiness as the callback's, one wait at a time, and nothing is used up by a wait.

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use luvio::{Interest, Loop, LoopHandle, Misuse, Poll, RunMode, is_canceled, timeout};
use support::{
    Journal, Wakes, expect, misuse, new_loop, poll, ready, turn, turn_until, turns, watchdog,
    with_built_loop, with_loop,
};

/// A handle for one end of a socket pair, that end, and the other one.
fn pair(event_loop: &LoopHandle) -> (Poll, UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let poll = Poll::new(event_loop, here.try_clone().expect("it can be duplicated"));
    (poll.expect("a socket can be polled"), here, there)
}

/// Reads all there is, up to the end.
async fn read_to_end(poll: &Poll, mut stream: &UnixStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 256]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(err) if err.kind() == ErrorKind::WouldBlock => poll.readable().await?,
            Err(err) => return Err(err),
        }
    }
}

/// P-16: a task reads what another thread writes, waiting in between.
#[test]
fn a_task_reads_what_a_thread_writes() {
    with_loop(|event_loop| {
        let (poll, here, mut there) = pair(event_loop);
        let writing = thread::spawn(move || {
            for n in 0..200u8 {
                there.write_all(&[n; 100]).unwrap();
                thread::yield_now();
            }
        });
        let all = event_loop.try_block_on(read_to_end(&poll, &here)).unwrap();
        writing.join().unwrap();
        let expected: Vec<u8> = (0..200u8).flat_map(|n| [n; 100]).collect();
        assert_eq!(all, expected);
    });
}

/// P-16: a megabyte goes through a full socket, one task writing, the other reading.
#[test]
fn tasks_write_and_read_through_a_full_socket() {
    with_loop(|event_loop| {
        let (writer, write_end, read_end) = pair(event_loop);
        let reader = Poll::new(event_loop, read_end.try_clone().unwrap()).unwrap();
        event_loop.go(async move {
            let mut left: &[u8] = &[7; 1 << 20];
            while !left.is_empty() {
                match (&write_end).write(left) {
                    Ok(length) => left = &left[length..],
                    Err(err) if err.kind() == ErrorKind::WouldBlock => writer.writable().await?,
                    Err(err) => return Err(err),
                }
            }
            drop(writer.into_fd());
            io::Result::Ok(())
        });
        let all = event_loop.try_block_on(read_to_end(&reader, &read_end)).unwrap();
        assert_eq!((all.len(), all.iter().all(|&byte| byte == 7)), (1 << 20, true));
    });
}

/// P-16: what was there before the wait is found by it, as often as it waits; a wait that is dropped takes nothing.
#[test]
fn a_wait_finds_what_was_there_before() {
    with_loop(|event_loop| {
        let (poll, mut here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        event_loop
            .try_block_on(async {
                for _ in 0..3 {
                    poll.readable().await?;
                    let ready = poll.ready(Interest::READABLE | Interest::WRITABLE).await?;
                    assert!(ready.is_readable() || ready.is_writable());
                }
                io::Result::Ok(())
            })
            .unwrap();
        let mut dropped = poll.readable();
        assert!(support::poll(&mut dropped).is_pending());
        turn(event_loop);
        drop(dropped);
        event_loop.try_block_on(poll.readable()).unwrap();
        here.read_exact(&mut [0; 4]).unwrap();
        assert!(support::poll(poll.readable()).is_pending());
    });
}

/// P-16, P-02: a wait ends with what it waits for, and not with anything else; the loop sleeps meanwhile.
#[test]
fn a_wait_ends_only_with_what_it_waits_for() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let turns = turns(event_loop);
        there.write_all(b"data").unwrap();
        let gone = poll.ready(Interest::DISCONNECT);
        let limit = timeout(Duration::from_millis(20), gone);
        assert!(event_loop.block_on(limit).unwrap().is_err());
        assert!(turns.get() < 10, "{} turns", turns.get());
        drop(there);
        let ready = event_loop.try_block_on(poll.ready(Interest::DISCONNECT)).unwrap();
        assert!(ready.is_disconnected() && !ready.is_readable() && !ready.is_writable());
        event_loop.close_all();
    });
}

/// P-16: several tasks wait, each for its own; all who wait for what there is hear of it, the others go on.
#[test]
fn several_tasks_wait_each_for_its_own() {
    with_loop(|event_loop| {
        let (poll, here, mut there) = pair(event_loop);
        while (&here).write(&[0; 4096]).is_ok() {}
        let journal = Journal::new();
        for (name, interest) in [
            ("first reader", Interest::READABLE),
            ("second reader", Interest::READABLE),
            ("writer", Interest::WRITABLE),
            ("end", Interest::DISCONNECT),
        ] {
            let (poll, journal) = (poll.clone(), journal.clone());
            event_loop.go(async move {
                let ready = poll.ready(interest).await?;
                journal.note(format!("{name}: {ready:?}"));
                io::Result::Ok(())
            });
        }
        (0..2).for_each(|_| turn(event_loop));
        journal.assert_is(&[]);
        there.write_all(b"x").unwrap();
        (0..2).for_each(|_| turn(event_loop));
        journal.assert_is(&["first reader: READABLE", "second reader: READABLE"]);
        while there.read(&mut [0; 65_536]).unwrap() == 65_536 {}
        (0..2).for_each(|_| turn(event_loop));
        assert_eq!(journal.entries()[2..], ["writer: WRITABLE"]);
        drop(there);
        turn_until(event_loop, || journal.entries().len() == 4);
        assert_eq!(journal.entries()[3..], ["end: DISCONNECT"]);
    });
}

/// P-16: of many that wait, most may give up, in any order; whoever is left is woken.
#[test]
fn waits_may_be_given_up_in_any_order() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let wakes = Wakes::new();
        let mut waits: Vec<_> = (0..50).map(|_| Some(poll.readable())).collect();
        for wait in waits.iter_mut().flatten() {
            assert!(wakes.poll(wait).is_pending());
        }
        for n in 0..49 {
            waits[(n * 7) % 50] = None;
        }
        there.write_all(b"x").unwrap();
        turn(event_loop);
        assert_eq!(wakes.count(), 1);
        let left = waits.iter_mut().flatten().next().unwrap();
        assert!(matches!(wakes.poll(left), task::Poll::Ready(Ok(()))));
        waits.clear();
        // Nobody waits any more: the loop hears of the next byte once, at most.
        there.write_all(b"x").unwrap();
        (0..3).for_each(|_| turn(event_loop));
        assert_eq!(wakes.count(), 1);
    });
}

/// P-16, Z-05: closing ends every wait with `Canceled`, also one that was told already; so does giving the descriptor away.
#[test]
fn closing_cancels_every_wait() {
    for give_away in [false, true] {
        with_loop(|event_loop| {
            let (poll, _here, mut there) = pair(event_loop);
            let wakes = Wakes::new();
            let (mut reader, mut ender) = (poll.readable(), poll.ready(Interest::DISCONNECT));
            assert!(wakes.poll(&mut reader).is_pending() && wakes.poll(&mut ender).is_pending());
            there.write_all(b"x").unwrap();
            turn(event_loop);
            assert_eq!(wakes.count(), 1);
            match give_away {
                false => drop(poll.close()),
                true => drop(poll.clone().into_fd()),
            }
            assert_eq!(wakes.count(), 2);
            assert!(is_canceled(&ready(reader).unwrap_err()));
            assert!(is_canceled(&ready(ender).unwrap_err()));
            assert!(is_canceled(&ready(poll.writable()).unwrap_err()));
        });
    }
}

/// P-16, Z-05: dropping the loop ends waits that are held elsewhere.
#[test]
fn dropping_the_loop_ends_waits() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (poll, _here, _there) = pair(&event_loop);
    let wakes = Wakes::new();
    let mut wait = poll.readable();
    assert!(wakes.poll(&mut wait).is_pending());
    drop(event_loop);
    assert_eq!(wakes.count(), 1);
    assert!(is_canceled(&ready(wait).unwrap_err()));
    assert!(is_canceled(&ready(poll.readable()).unwrap_err()));
}

/// P-16: a wait beside a callback is refused, and one that a callback overtakes is told so; after a stop there may be waits
/// again. An empty interest is a mistake.
#[test]
fn events_belong_to_a_callback_or_to_tasks() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        assert_eq!(misuse(ready(poll.ready(Interest::NONE))), Misuse::NoInterest);
        let wakes = Wakes::new();
        let (mut overtaken, mut patient) = (poll.readable(), poll.readable());
        assert!(wakes.poll(&mut overtaken).is_pending() && wakes.poll(&mut patient).is_pending());
        poll.start(Interest::WRITABLE, |_, _| {}).unwrap();
        assert_eq!(wakes.count(), 2);
        assert_eq!(misuse(ready(&mut overtaken)), Misuse::HasCallback);
        assert_eq!(misuse(ready(poll.writable())), Misuse::HasCallback);
        // Whoever looks again only after the stop finds nobody in its way.
        poll.stop();
        assert!(wakes.poll(&mut patient).is_pending());
        there.write_all(b"x").unwrap();
        wakes.wait(event_loop);
        ready(patient).unwrap();
        // A stop without a callback is nothing to those who wait.
        let mut waiting = poll.writable();
        assert!(wakes.poll(&mut waiting).is_pending());
        poll.stop();
        wakes.wait(event_loop);
        ready(waiting).unwrap();
    });
}

/// P-16, P-13: a handle that a task waits for is not active: the task keeps the loop running.
#[test]
fn a_waiting_task_keeps_the_loop_running() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let waiting = poll.clone();
        let task = event_loop.spawn(async move { waiting.readable().await });
        turn(event_loop);
        assert!(!poll.is_active() && event_loop.is_alive());
        assert_eq!(event_loop.alive_because().len(), 1);
        there.write_all(b"x").unwrap();
        event_loop.block_on(task).unwrap().unwrap().unwrap();
        assert!(!event_loop.is_alive());
    });
}

/// P-16, T-28: while a task waits for a descriptor, a virtual clock waits a moment for the outside; a wait that was given
/// up, even forgotten, does not hold it up.
#[test]
fn a_virtual_clock_waits_for_what_a_task_waits_for() {
    with_built_loop(Loop::builder().virtual_clock(), |event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        event_loop.defer(move |_| there.write_all(b"x").unwrap());
        let limit = timeout(Duration::from_secs(60), poll.readable());
        event_loop.block_on(limit).unwrap().expect("no minute has passed").unwrap();
        let mut forgotten = Box::pin(poll.ready(Interest::DISCONNECT));
        assert!(support::poll(&mut forgotten).is_pending());
        std::mem::forget(forgotten);
    });
}

/// Z-06, P-16: a wait with a time limit takes nothing with it when that is over.
#[test]
fn a_wait_can_have_a_time_limit() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let late = timeout(Duration::from_millis(1), poll.readable());
        assert!(event_loop.block_on(late).unwrap().is_err());
        assert!(!event_loop.is_alive());
        there.write_all(b"x").unwrap();
        let wait = timeout(support::DEADLINE, poll.readable());
        event_loop.block_on(wait).unwrap().expect("in time").unwrap();
    });
}

// ---- wakers that are not luvio's -----------------------------------------------------------------------------------

/// What a waker does.
type OnWake = Box<dyn FnOnce()>;

thread_local! {
    static WAKES: RefCell<Vec<Option<OnWake>>> = const { RefCell::new(Vec::new()) };
}

/// A waker that calls a closure of its thread, once.
struct Calls(usize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        if let Some(f) = WAKES.with_borrow_mut(|wakes| wakes[self.0].take()) {
            f();
        }
    }
}

/// Polls `future`, which has to wait, so that `f` is called when it is woken.
fn wait<F: Future + Unpin>(future: &mut F, f: impl FnOnce() + 'static) {
    let number = WAKES.with_borrow_mut(|wakes| {
        wakes.push(Some(Box::new(f)));
        wakes.len() - 1
    });
    let waker = Waker::from(Arc::new(Calls(number)));
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// What wakes the tasks that wait.
fn wakers_of_waits() -> [fn(&Poll, &mut UnixStream); 4] {
    [
        |_, peer| peer.write_all(b"x").unwrap(),
        |poll, _| poll.start(Interest::DISCONNECT, |_, _| {}).unwrap(),
        |poll, _| drop(poll.close()),
        |poll, _| drop(poll.clone().into_fd()),
    ]
}

/// P-16, L-40: a waker that panics keeps nobody else from being woken, whatever wakes them.
#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    for wake in wakers_of_waits() {
        with_loop(|event_loop| {
            let (poll, _here, mut there) = pair(event_loop);
            let (mut first, mut second) = (poll.readable(), poll.readable());
            wait(&mut first, || panic!("on purpose"));
            let woken = expect(1);
            wait(&mut second, move || _ = woken.hit());
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                wake(&poll, &mut there);
                turn(event_loop);
            }));
            assert!(panicked.is_err());
            drop((first, second));
            poll.close();
        });
    }
}

/// P-16, L-40: a waker may use the handle: wait, start, stop, close.
#[test]
fn a_waker_may_use_the_handle() {
    let acts: [fn(&Poll); 4] = [
        |poll| assert!(support::poll(poll.writable()).is_pending() || poll.is_closing()),
        |poll| drop(poll.start(Interest::WRITABLE, |poll, _| drop(poll.close()))),
        |poll| poll.stop(),
        |poll| drop(poll.close()),
    ];
    for act in acts {
        for wake in wakers_of_waits() {
            with_loop(|event_loop| {
                let (poll, _here, mut there) = pair(event_loop);
                let (mut first, mut second) = (poll.readable(), poll.readable());
                let used = poll.clone();
                wait(&mut first, move || {
                    // Refused where a callback has overtaken the waits, or the handle is closed.
                    let _ = catch_unwind(AssertUnwindSafe(|| act(&used)));
                });
                let woken = expect(1);
                wait(&mut second, move || _ = woken.hit());
                wake(&poll, &mut there);
                turn(event_loop);
                drop((first, second));
                poll.close();
            });
        }
    }
}

/// P-16: the futures show what they wait for.
#[test]
fn futures_show_what_they_wait_for() {
    let event_loop = new_loop();
    let (handle, _here, _there) = pair(&event_loop);
    let text = format!("{:?}", handle.writable());
    assert!(text.contains("WRITABLE"), "{text}");
    assert!(poll(handle.ready(Interest::READABLE)).is_pending());
    event_loop.run_mode(RunMode::NoWait).unwrap();
    drop(Rc::new(handle));
}
