//! `Poll`: a callback for any descriptor, by level, for what is wanted and nothing else.

mod support;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Interest, Kind, Loop, LoopHandle, Misuse, Poll, Ready, Timer};
use support::{
    Drops, Journal, expect, misuse, new_loop, panic_text, reset, std_pair, turn, turn_until, turns,
    watchdog, with_built_loop, with_loop,
};

/// Calls `f` when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A handle for one end of a socket pair, that end, and the other one.
fn pair(event_loop: &LoopHandle) -> (Poll, UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let poll = Poll::new(event_loop, here.try_clone().expect("it can be duplicated"));
    (poll.expect("a socket can be polled"), here, there)
}

/// What each call was told.
type Calls = Rc<RefCell<Vec<Ready>>>;

/// Starts the handle with a callback that does nothing but note what it is told.
fn note(poll: &Poll, interest: Interest) -> Calls {
    let calls = Calls::default();
    let noted = Rc::clone(&calls);
    let started = poll.start(interest, move |_, ready| noted.borrow_mut().push(ready.unwrap()));
    started.expect("the handle can be started");
    calls
}

fn texts(calls: &Calls) -> Vec<String> {
    calls.take().iter().map(|ready| format!("{ready:?}")).collect()
}

/// Runs the loop for a moment, and fails if it goes round and round instead of sleeping.
fn assert_sleeps(event_loop: &Loop) {
    let turns = turns(event_loop);
    let over = Rc::new(Cell::new(false));
    let is_over = Rc::clone(&over);
    Timer::after(event_loop, Duration::from_millis(20), move |_| is_over.set(true));
    turn_until(event_loop, || over.get());
    assert!(turns.get() < 10, "{} turns", turns.get());
    event_loop.walk(|handle| {
        if handle.kind() == Kind::Prepare {
            handle.close();
        }
    });
}

/// P-01: the callback comes in each turn while there is something to read, once, also if it does nothing about it; what
/// is left by a read counts as what is new does.
#[test]
fn callback_comes_every_turn_while_there_is_something_to_read() {
    with_loop(|event_loop| {
        let (poll, mut here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        let calls = note(&poll, Interest::READABLE);
        for count in 1..=5 {
            turn(event_loop);
            assert_eq!(calls.borrow().len(), count);
        }
        assert_eq!(here.read(&mut [0; 3]).unwrap(), 3);
        turn(event_loop);
        assert_eq!(calls.borrow().len(), 6);
        assert_eq!(here.read(&mut [0; 3]).unwrap(), 1);
        assert_sleeps(event_loop);
        assert_eq!(calls.borrow().len(), 6);
        there.write_all(b"more").unwrap();
        turn(event_loop);
        assert_eq!(texts(&calls), ["READABLE"; 7]);
        poll.close();
    });
}

/// P-01: a callback that reads everything is not called again for it.
#[test]
fn callback_that_reads_everything_is_called_once() {
    with_loop(|event_loop| {
        let (poll, mut here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        let called = expect(1);
        let reading = here.try_clone().unwrap();
        let started = poll.start(Interest::READABLE, move |_, ready| {
            called.hit();
            assert!(ready.unwrap().is_readable());
            assert_eq!((&reading).read(&mut [0; 64]).unwrap(), 4);
        });
        started.unwrap();
        assert_sleeps(event_loop);
        assert_eq!(here.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        poll.close();
    });
}

/// P-01: room to write is there in each turn, with and without something to read; a call tells both together.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn one_call_a_turn_tells_of_both_directions() {
    with_loop(|event_loop| {
        let (poll, mut here, mut there) = pair(event_loop);
        let calls = note(&poll, Interest::READABLE | Interest::WRITABLE);
        (0..2).for_each(|_| turn(event_loop));
        there.write_all(b"data").unwrap();
        (0..2).for_each(|_| turn(event_loop));
        here.read_exact(&mut [0; 4]).unwrap();
        turn(event_loop);
        assert_eq!(
            texts(&calls),
            ["WRITABLE", "WRITABLE", "READABLE | WRITABLE", "READABLE | WRITABLE", "WRITABLE"]
        );
        while (&here).write(&[0; 4096]).is_ok() {}
        assert_sleeps(event_loop);
        assert_eq!(texts(&calls), Vec::<String>::new());
        while there.read(&mut [0; 65_536]).unwrap() == 65_536 {}
        turn(event_loop);
        assert_eq!(texts(&calls), ["WRITABLE"]);
        poll.close();
    });
}

/// P-01: other handles, timers and tasks have their turn beside a descriptor that is always ready.
#[test]
fn descriptor_that_is_always_ready_holds_up_nobody() {
    with_loop(|event_loop| {
        let (poll, _here, _there) = pair(event_loop);
        poll.start(Interest::WRITABLE, |_, _| {}).unwrap();
        let (other, _other_here, mut peer) = pair(event_loop);
        peer.write_all(b"x").unwrap();
        let called = expect(1);
        let started = other.start(Interest::READABLE, move |other, _| {
            called.hit();
            other.close();
        });
        started.unwrap();
        let fired = expect(1);
        Timer::after(event_loop, Duration::from_millis(1), move |_| {
            fired.hit();
            luvio::go(async move {
                luvio::yield_now().await;
                poll.close();
            });
        });
    });
}

/// P-01, T-28: while a descriptor is ready, as wanted, a virtual clock stands still, as it does beside an idle handle.
#[test]
fn virtual_clock_stands_still_while_a_descriptor_is_ready() {
    with_built_loop(Loop::builder().virtual_clock(), |event_loop| {
        let (poll, _here, _there) = pair(event_loop);
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let started = poll.start(Interest::WRITABLE, move |poll, _| {
            counter.set(counter.get() + 1);
            assert_eq!(poll.event_loop().now(), Duration::ZERO);
            if counter.get() == 20 {
                poll.stop();
            }
        });
        started.unwrap();
        let fired = expect(1);
        let hour = Duration::from_secs(3_600);
        Timer::after(event_loop, hour, move |timer| {
            fired.hit();
            assert_eq!((calls.get(), timer.event_loop().now()), (20, hour));
        });
    });
}

/// P-01, T-28: the clock waits a moment for a descriptor that is watched and not ready yet.
#[test]
fn virtual_clock_waits_for_a_descriptor() {
    with_built_loop(Loop::builder().virtual_clock(), |event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let called = expect(1);
        let started = poll.start(Interest::READABLE, move |poll, _| {
            called.hit();
            assert_eq!(poll.event_loop().now(), Duration::ZERO);
            poll.close();
        });
        started.unwrap();
        Timer::after(event_loop, Duration::from_secs(60), |_| {});
        event_loop.defer(move |_| there.write_all(b"x").unwrap());
    });
}

/// P-02: a hang-up is no news for who wants to write only, but that a write will fail; nor is the end, for who does not ask
/// for it.
#[test]
fn only_what_is_wanted_is_told() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        drop(there);
        for (interest, told) in [
            (Interest::READABLE, "READABLE"),
            (Interest::WRITABLE, "WRITABLE"),
            (Interest::DISCONNECT, "DISCONNECT"),
        ] {
            let calls = note(&poll, interest);
            (0..3).for_each(|_| turn(event_loop));
            assert_eq!(texts(&calls), [told; 3]);
        }
        poll.close();
    });
}

/// P-02: neither data nor a shutdown has the loop spin that nobody wants to hear of.
#[test]
fn what_is_not_wanted_lets_the_loop_sleep() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        let calls = note(&poll, Interest::DISCONNECT);
        assert_sleeps(event_loop);
        there.write_all(b"more").unwrap();
        assert_sleeps(event_loop);
        assert!(calls.borrow().is_empty());
        there.shutdown(std::net::Shutdown::Write).unwrap();
        (0..2).for_each(|_| turn(event_loop));
        assert_eq!(texts(&calls), ["DISCONNECT"; 2]);

        while (&there).write(&[0; 4096]).is_ok() {}
        poll.close();
        let (full, here, there) = pair(event_loop);
        while (&here).write(&[0; 4096]).is_ok() {}
        there.shutdown(std::net::Shutdown::Write).unwrap();
        let calls = note(&full, Interest::WRITABLE);
        assert_sleeps(event_loop);
        assert!(calls.borrow().is_empty());
        full.close();
    });
}

/// P-03: another interest and another callback take the place of the first; what is ready stays ready.
#[test]
fn starting_again_loses_no_readiness() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        let drops = Drops::new();
        let token = drops.token();
        poll.start(Interest::READABLE, move |_, _| token.keep()).unwrap();
        turn(event_loop);
        assert_eq!(drops.count(), 0);
        let calls = note(&poll, Interest::WRITABLE);
        assert_eq!(drops.count(), 1);
        turn(event_loop);
        assert_eq!(texts(&calls), ["WRITABLE"]);
        let calls = note(&poll, Interest::READABLE);
        turn(event_loop);
        assert_eq!(texts(&calls), ["READABLE"]);
        poll.close();
    });
}

/// P-03: the same from inside the callback, which is dropped when it has returned.
#[test]
fn callback_may_start_its_handle_again() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        let drops = Drops::new();
        let (token, counted) = (drops.token(), drops.clone());
        let (first, second) = (expect(1), expect(1));
        let started = poll.start(Interest::READABLE, move |poll, _| {
            token.keep();
            first.hit();
            let second = second.clone();
            let started = poll.start(Interest::WRITABLE, move |poll, ready| {
                second.hit();
                assert!(ready.unwrap().is_writable());
                poll.close();
            });
            started.unwrap();
            assert_eq!(counted.count(), 0, "dropped while it runs");
        });
        started.unwrap();
        turn(event_loop);
        assert_eq!(drops.count(), 1);
    });
}

/// P-04, P-09: stop and close drop an event that was fetched already; so does giving the descriptor away.
#[test]
fn fetched_event_is_dropped_by_a_stop() {
    let acts: [fn(&Poll); 3] =
        [Poll::stop, |poll| drop(poll.close()), |poll| drop(poll.clone().into_fd().unwrap())];
    for act in acts {
        with_loop(|event_loop| {
            // Whichever is called first stops the other.
            let [(one, _one_here, mut one_peer), (two, _two_here, mut two_peer)] =
                [pair(event_loop), pair(event_loop)];
            let called = expect(1);
            for (poll, other) in [(&one, two.clone()), (&two, one.clone())] {
                let called = called.clone();
                let started = poll.start(Interest::READABLE, move |poll, _| {
                    called.hit();
                    act(&other);
                    poll.close();
                });
                started.unwrap();
            }
            one_peer.write_all(b"x").unwrap();
            two_peer.write_all(b"x").unwrap();
            (0..3).for_each(|_| turn(event_loop));
            one.close();
            two.close();
        });
    }
}

/// P-04: a handle that was stopped and started again in the same batch gets the events of its new start only: what there
/// is by then.
#[test]
fn event_of_an_earlier_start_does_not_reach_a_later_one() {
    with_loop(|event_loop| {
        let [(one, one_here, mut one_peer), (two, two_here, mut two_peer)] =
            [pair(event_loop), pair(event_loop)];
        let called = expect(1);
        for (poll, other, here) in [(&one, two.clone(), two_here), (&two, one.clone(), one_here)] {
            let called = called.clone();
            let started = poll.start(Interest::READABLE, move |poll, _| {
                called.hit();
                (&here).read_exact(&mut [0]).unwrap();
                other.stop();
                let started = other.start(Interest::READABLE, |_, _| panic!("nothing is there"));
                started.unwrap();
                poll.close();
            });
            started.unwrap();
        }
        one_peer.write_all(b"x").unwrap();
        two_peer.write_all(b"x").unwrap();
        (0..3).for_each(|_| turn(event_loop));
        one.close();
        two.close();
    });
}

/// P-05: an empty interest is a stop, also inside the callback, and drops both callbacks.
#[test]
fn empty_interest_stops() {
    with_loop(|event_loop| {
        let (poll, _here, _there) = pair(event_loop);
        let drops = Drops::new();
        let (token, none) = (drops.token(), drops.token());
        poll.start(Interest::WRITABLE, move |_, _| token.keep()).unwrap();
        poll.start(Interest::NONE, move |_, _| none.keep()).unwrap();
        assert!(!poll.is_active());
        assert_eq!(drops.count(), 2);
        assert!(!event_loop.is_alive());

        let called = expect(1);
        let started = poll.start(Interest::WRITABLE, move |poll, _| {
            called.hit();
            poll.start(Interest::default(), |_, _| {}).unwrap();
            assert!(!poll.is_active());
        });
        started.unwrap();
    });
}

/// P-06: a descriptor has one owner, so that two handles never have the same one; each of two duplicates has its own
/// events, and its own end.
#[test]
fn duplicates_are_watched_each_for_itself() {
    with_loop(|event_loop| {
        let (poll, here, mut there) = pair(event_loop);
        let other = Poll::new(event_loop, here).unwrap();
        assert_ne!(poll.fileno().unwrap(), other.fileno().unwrap());
        there.write_all(b"x").unwrap();
        let (calls, others) = (note(&poll, Interest::READABLE), note(&other, Interest::READABLE));
        turn(event_loop);
        poll.close();
        turn(event_loop);
        assert_eq!((texts(&calls).len(), texts(&others).len()), (1, 2));
        other.close();
    });
}

/// P-07: plain files and directories are refused when the handle is made, with an error that says what to do; they come
/// back.
#[test]
fn plain_files_and_directories_are_refused() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let here = env!("CARGO_MANIFEST_DIR");
    for path in [format!("{here}/Cargo.toml"), here.to_string()] {
        let file = File::open(&path).unwrap();
        let number = file.as_raw_fd();
        let refused = Poll::new(&event_loop, file).unwrap_err();
        assert_eq!(refused.value.as_raw_fd(), number);
        let err = io::Error::from(refused);
        let misuse = Misuse::of(&err).unwrap();
        assert_eq!((misuse, misuse.name()), (Misuse::NotPollable, "EPERM"));
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        assert!(err.to_string().contains("read and write it without waiting"), "{err}");
    }
    event_loop.walk(|handle| panic!("{} is there", handle.kind()));
}

/// P-07: some files of /proc can be polled, and are.
#[test]
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
fn file_that_can_be_polled_is_taken() {
    with_loop(|event_loop| {
        let mounts = File::open("/proc/self/mounts").unwrap();
        let poll = Poll::new(event_loop, mounts).unwrap();
        let calls = note(&poll, Interest::READABLE);
        turn(event_loop);
        assert_eq!(texts(&calls), ["READABLE"]);
        poll.close();
    });
}

/// P-08: the descriptor is made non-blocking, for its duplicates, too, and is closed with the handle.
#[test]
fn descriptor_is_the_handles_own() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut kept = here.try_clone().unwrap();
        let poll = Poll::new(event_loop, here).unwrap();
        assert_eq!(kept.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(kept);
        assert_eq!(poll.fileno().unwrap(), poll.with_fd(|fd| fd.as_raw_fd()).unwrap());
        poll.close();
        assert_eq!(misuse(poll.fileno()), Misuse::Closing);
        assert_eq!(there.read(&mut [0]).unwrap(), 0, "it is closed in the call");
        assert_eq!(misuse(poll.start(Interest::READABLE, |_, _| {})), Misuse::Closing);
    });
}

/// P-08, H-17: a handle that nobody holds closes its descriptor, also one that was polled for a task, and one with a
/// duplicate elsewhere leaves nothing in the selector.
#[test]
fn dropped_idle_handle_closes_its_descriptor() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let poll = Poll::new(event_loop, here).unwrap();
        assert!(support::poll(poll.readable()).is_pending());
        drop(poll);
        assert_eq!(there.read(&mut [0]).unwrap(), 0);

        let (poll, _here, mut there) = pair(event_loop);
        poll.start(Interest::READABLE, |_, _| panic!("it was stopped")).unwrap();
        poll.stop();
        drop(poll);
        there.write_all(b"x").unwrap();
        assert_sleeps(event_loop);
    });
}

/// P-08: the descriptor may be lent; a close meanwhile takes it when the loan ends.
#[test]
fn descriptor_that_is_lent_outlives_a_close() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let poll = Poll::new(event_loop, here).unwrap();
        poll.start(Interest::READABLE, |_, _| panic!("it was closed")).unwrap();
        let lent = poll.with_fd(|fd| {
            assert!(poll.clone().into_fd().is_none());
            assert!(poll.is_active(), "nothing has changed");
            poll.close();
            let mut here = UnixStream::from(fd.try_clone_to_owned().unwrap());
            here.write_all(b"x").unwrap();
        });
        lent.unwrap();
        assert_eq!(there.read(&mut [0; 2]).unwrap(), 1);
        assert_eq!(there.read(&mut [0; 2]).unwrap(), 0);
    });
}

/// P-09: a new descriptor with the number of one that was closed gets none of its events, though a duplicate of that is
/// still ready.
#[test]
fn next_descriptor_of_the_same_number_starts_afresh() {
    with_loop(|event_loop| {
        for _ in 0..20 {
            let (old, _duplicate, mut old_peer) = pair(event_loop);
            old_peer.write_all(b"x").unwrap();
            old.start(Interest::READABLE, |_, _| panic!("it was closed")).unwrap();
            let number = old.fileno().unwrap();
            old.close();
            let (here, _there) = UnixStream::pair().unwrap();
            let poll = Poll::new(event_loop, here).unwrap();
            // Other tests may take it at any time.
            let same = poll.fileno().unwrap() == number;
            poll.start(Interest::READABLE, move |_, _| panic!("{same}: an event of the first"))
                .unwrap();
            (0..2).for_each(|_| turn(event_loop));
            poll.close();
        }
    });
}

/// P-10: an error is told as readiness, so that the program meets it itself (libuv: EBADF, whatever it was).
#[test]
fn error_is_found_where_the_program_reads() {
    with_loop(|event_loop| {
        for interest in [Interest::READABLE, Interest::READABLE | Interest::DISCONNECT] {
            let (mut here, there) = std_pair();
            let poll = Poll::new(event_loop, here.try_clone().unwrap()).unwrap();
            reset(there);
            let called = expect(2);
            let started = poll.start(interest, move |poll, ready| {
                assert!(ready.unwrap().is_readable());
                if called.hit() == 1 {
                    assert_eq!(here.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
                } else {
                    // The system tells of it once, and of the end from then on.
                    assert_eq!(here.read(&mut [0]).unwrap(), 0);
                    poll.close();
                }
            });
            started.unwrap();
        }
    });
}

/// P-10, TC-13: a connect that is refused is told as room to write, and the error is the socket's to tell.
#[test]
fn refused_connect_is_found_in_the_socket() {
    with_loop(|event_loop| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        let poll = Poll::new(event_loop, socket.try_clone().unwrap()).unwrap();
        let connect = socket.connect(&support::refusing_addr().into());
        assert!(connect.is_err());
        let called = expect(1);
        let started = poll.start(Interest::WRITABLE, move |poll, ready| {
            called.hit();
            assert!(ready.unwrap().is_writable());
            if connect.as_ref().is_err_and(|err| err.kind() != ErrorKind::ConnectionRefused) {
                let err = socket.take_error().unwrap().unwrap();
                assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
            }
            poll.close();
        });
        started.unwrap();
    });
}

/// P-11: the end of what the peer writes is seen beside data that was not read, again and again, until it is left out of
/// the interest.
#[test]
fn disconnect_is_seen_and_then_left_out() {
    with_loop(|event_loop| {
        let (poll, mut here, mut there) = pair(event_loop);
        there.write_all(b"data").unwrap();
        there.shutdown(std::net::Shutdown::Write).unwrap();
        let calls = note(&poll, Interest::READABLE | Interest::DISCONNECT);
        (0..2).for_each(|_| turn(event_loop));
        assert_eq!(texts(&calls), ["READABLE | DISCONNECT"; 2]);
        let calls = note(&poll, Interest::READABLE);
        turn(event_loop);
        assert_eq!(texts(&calls), ["READABLE"]);
        here.read_exact(&mut [0; 4]).unwrap();
        turn(event_loop);
        assert_eq!(texts(&calls), ["READABLE"], "the end is there to be read");
        poll.close();
    });
}

/// P-13: the handle is active while it has an interest and a callback; then it keeps the loop running, unless it is
/// unreferenced, and says what it waits for.
#[test]
fn activity_follows_the_interest() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (poll, _here, _there) = pair(&event_loop);
    assert!(!poll.is_active() && !event_loop.is_alive());
    poll.start(Interest::READABLE | Interest::DISCONNECT, |_, _| {}).unwrap();
    assert!(poll.is_active() && event_loop.is_alive());
    let reasons = event_loop.alive_because();
    let text =
        format!("waiting for READABLE | DISCONNECT on descriptor {}", poll.fileno().unwrap());
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].to_string().starts_with("poll handle made at tests/poll.rs:"));
    assert_eq!(reasons[0].state, text);
    poll.unref();
    assert!(poll.is_active() && !event_loop.is_alive());
    event_loop.run().unwrap();
    poll.ref_();
    poll.stop();
    assert!(!poll.is_active() && !event_loop.is_alive());
    poll.close();
    event_loop.run().unwrap();
}

/// P-13, H-16: the loop keeps a started handle that nobody holds; stopped, it is gone.
#[test]
fn started_handle_need_not_be_held() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        let called = expect(1);
        let drops = Drops::new();
        let token = drops.token();
        let started = poll.start(Interest::READABLE, move |poll, _| {
            token.keep();
            called.hit();
            poll.stop();
        });
        started.unwrap();
        drop(poll);
        turn(event_loop);
        there.write_all(b"x").unwrap();
        turn(event_loop);
        assert_eq!(drops.count(), 1);
        event_loop.walk(|handle| panic!("{} is there", handle.kind()));
    });
}

/// P-14: the descriptor of another loop can be watched, so that one loop runs inside another.
#[test]
#[cfg(not(mio_unsupported_force_poll_poll))]
fn another_loop_can_be_watched() {
    use std::os::fd::AsFd;

    with_loop(|event_loop| {
        let inner = new_loop();
        let (poll, mut here, mut there) = pair(&inner);
        let read = expect(1);
        let started = poll.start(Interest::READABLE, move |poll, _| {
            read.hit();
            here.read_exact(&mut [0; 4]).unwrap();
            poll.close();
        });
        started.unwrap();
        let outer = Poll::new(event_loop, inner.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let started = outer.start(Interest::READABLE, move |outer, _| {
            if !inner.run_mode(luvio::RunMode::NoWait).unwrap() {
                outer.close();
            }
        });
        started.unwrap();
        turn(event_loop);
        there.write_all(b"data").unwrap();
    });
}

/// P-14: a loop cannot watch itself; the system says so when the handle is made.
#[test]
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
fn loop_cannot_watch_itself() {
    use std::os::fd::AsFd;

    let event_loop = new_loop();
    let refused = Poll::new(&event_loop, event_loop.as_fd().try_clone_to_owned().unwrap());
    assert_eq!(refused.unwrap_err().error.kind(), ErrorKind::InvalidInput);
}

/// P-15: many handles, ready, started and closed at once: each close calls back, and nothing else does.
#[test]
fn many_handles_are_started_and_closed_at_once() {
    with_loop(|event_loop| {
        let closed = expect(64);
        let ends: Vec<_> = (0..64)
            .map(|_| {
                let (poll, _here, mut there) = pair(event_loop);
                there.write_all(b"x").unwrap();
                poll.start(Interest::READABLE, |_, _| panic!("it was closed")).unwrap();
                (poll, there)
            })
            .collect();
        for (poll, _) in &ends {
            let closed = closed.clone();
            poll.close().then(move |_| _ = closed.hit());
        }
        event_loop.run().unwrap();
    });
}

/// P-17: the descriptor comes back once, open, and the handle is closed for all its clones.
#[test]
fn descriptor_comes_back() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let poll = Poll::new(event_loop, here).unwrap();
        let number = poll.fileno().unwrap();
        poll.start(Interest::READABLE, |_, _| panic!("it was closed")).unwrap();
        there.write_all(b"data").unwrap();
        let clone = poll.clone();
        let fd = poll.into_fd().expect("nobody has it");
        assert_eq!(fd.as_raw_fd(), number);
        assert!(clone.is_closing() && clone.into_fd().is_none());
        turn(event_loop);
        let mut here = UnixStream::from(fd);
        here.read_exact(&mut [0; 4]).unwrap();
        // And into another handle.
        let again = Poll::new(event_loop, here).unwrap();
        let calls = note(&again, Interest::WRITABLE);
        turn(event_loop);
        assert_eq!(texts(&calls), ["WRITABLE"]);
        again.close();
    });
}

/// P-07: a gone loop refuses, and the descriptor comes back.
#[test]
fn loop_that_is_gone_refuses() {
    let event_loop = new_loop();
    let handle = event_loop.handle().clone();
    let (poll, here, _there) = pair(&event_loop);
    drop(event_loop);
    assert_eq!(misuse(poll.start(Interest::READABLE, |_, _| {})), Misuse::LoopGone);
    assert_eq!(misuse(poll.fileno()), Misuse::LoopGone);
    assert!(poll.clone().into_fd().is_none() && !poll.is_active());
    poll.stop();
    let refused = Poll::new(&handle, here).unwrap_err();
    assert_eq!(Misuse::of(&refused.error), Some(Misuse::LoopGone));
    drop(UnixStream::from(refused.value));
}

/// P-01, L-40: a callback that panics is called again in the next turn, for what is still there.
#[test]
fn callback_that_panics_is_called_again() {
    with_loop(|event_loop| {
        let (poll, _here, mut there) = pair(event_loop);
        there.write_all(b"x").unwrap();
        let called = expect(2);
        let started = poll.start(Interest::READABLE, move |poll, _| {
            if called.hit() == 1 {
                panic!("on purpose");
            }
            poll.close();
        });
        started.unwrap();
        assert_eq!(panic_text(|| turn(event_loop)), "on purpose");
        assert!(poll.is_active());
    });
}

/// P-03, L-40: the destructor of a callback that is replaced may use the handle or panic: the state is whole before.
#[test]
fn the_drop_of_a_callback_may_do_anything() {
    let acts: [fn(&Poll); 4] = [
        |poll| poll.stop(),
        |poll| drop(poll.close()),
        |poll| {
            let again = |poll: &Poll, _: io::Result<Ready>| drop(poll.close());
            poll.start(Interest::WRITABLE, again).unwrap();
        },
        |_| panic!("on purpose"),
    ];
    for act in acts {
        for replace in [true, false] {
            with_loop(|event_loop| {
                let (poll, _here, _there) = pair(event_loop);
                let weak = RefCell::new(Some(poll.clone()));
                let guard = OnDrop(move || {
                    if let Some(poll) = weak.take() {
                        act(&poll);
                    }
                });
                poll.start(Interest::READABLE, move |_, _| _ = &guard).unwrap();
                let _ = catch_unwind(AssertUnwindSafe(|| match replace {
                    true => poll.start(Interest::WRITABLE, |poll, _| drop(poll.close())),
                    false => {
                        poll.stop();
                        Ok(())
                    }
                }));
                turn(event_loop);
                assert!(!poll.is_active());
                poll.close();
            });
        }
    }
}

/// P-08, L-33: a dropped loop drops the callback, which may hold its own handle, and closes the descriptor.
#[test]
fn loop_that_is_dropped_closes_the_descriptor() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (here, mut there) = UnixStream::pair().unwrap();
    let poll = Poll::new(&event_loop, here).unwrap();
    let drops = Drops::new();
    let (token, itself) = (drops.token(), poll.clone());
    let started = poll.start(Interest::READABLE, move |_, _| {
        token.keep();
        let _ = &itself;
    });
    started.unwrap();
    drop(event_loop);
    assert_eq!(drops.count(), 1);
    assert_eq!(there.read(&mut [0]).unwrap(), 0);
    assert!(poll.is_closing());
}

/// P-01, P-08: a listener and a datagram socket of std are watched as any other descriptor.
#[test]
fn sockets_of_std_are_watched() {
    with_loop(|event_loop| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let poll = Poll::new(event_loop, listener.try_clone().unwrap()).unwrap();
        let accepted = expect(2);
        let started = poll.start(Interest::READABLE, move |poll, _| {
            listener.accept().unwrap();
            if accepted.hit() == 2 {
                poll.close();
            }
        });
        started.unwrap();
        let _clients = [(); 2].map(|()| std::net::TcpStream::connect(addr).unwrap());

        let (here, there) = UnixDatagram::pair().unwrap();
        there.send(b"").unwrap();
        there.send(b"two").unwrap();
        let poll = Poll::new(event_loop, here.try_clone().unwrap()).unwrap();
        let journal = Journal::new();
        let noted = journal.clone();
        let started = poll.start(Interest::READABLE, move |poll, _| {
            let mut buffer = [0; 8];
            let length = here.recv(&mut buffer).unwrap();
            noted.note(String::from_utf8_lossy(&buffer[..length]));
            if length > 0 {
                poll.close();
            }
        });
        started.unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&["", "two"]);
    });
}

/// Descriptors that std does not make.
#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{CWD, Mode, mkfifoat};
    use rustix::pipe::pipe as raw_pipe;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::os::unix::fs::OpenOptionsExt;

    fn pipe() -> (File, File) {
        let (read, write) = raw_pipe().expect("a pipe can be made");
        (read.into(), write.into())
    }

    fn watch(event_loop: &LoopHandle, file: &File) -> Poll {
        Poll::new(event_loop, file.try_clone().unwrap()).expect("it can be polled")
    }

    /// P-01, P-11: the end of a pipe is something to read, in each turn, with and without data before it.
    #[test]
    fn pipe_whose_writer_goes_is_readable() {
        with_loop(|event_loop| {
            let (mut read, mut write) = pipe();
            let poll = watch(event_loop, &read);
            let calls = note(&poll, Interest::READABLE | Interest::DISCONNECT);
            assert_sleeps(event_loop);
            write.write_all(b"x").unwrap();
            turn(event_loop);
            assert_eq!(texts(&calls), ["READABLE"]);
            drop(write);
            (0..2).for_each(|_| turn(event_loop));
            assert_eq!(texts(&calls), ["READABLE | DISCONNECT"; 2]);
            read.read_exact(&mut [0]).unwrap();
            (0..2).for_each(|_| turn(event_loop));
            assert_eq!(texts(&calls), ["READABLE | DISCONNECT"; 2]);
            assert_eq!(read.read(&mut [0]).unwrap(), 0);
            poll.close();
        });
    }

    /// P-10, P-11: the writing end of a pipe whose reader goes has an error; a write finds it.
    #[test]
    fn pipe_whose_reader_goes_is_writable() {
        with_loop(|event_loop| {
            let (read, mut write) = pipe();
            rustix::io::ioctl_fionbio(&write, true).unwrap();
            while write.write(&[0; 4096]).is_ok() {}
            let poll = watch(event_loop, &write);
            let calls = note(&poll, Interest::WRITABLE | Interest::DISCONNECT);
            assert_sleeps(event_loop);
            drop(read);
            (0..2).for_each(|_| turn(event_loop));
            assert_eq!(texts(&calls), ["WRITABLE | DISCONNECT"; 2]);
            assert_eq!(write.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            poll.close();
        });
    }

    /// P-01: a FIFO without a writer has nothing to tell; then a writer comes, and goes.
    #[test]
    fn fifo_without_a_writer_is_silent() {
        let path = std::env::temp_dir().join(format!("luvio-poll-fifo-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        with_loop(|event_loop| {
            let fifo = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
            let mut fifo = fifo.unwrap();
            let poll = watch(event_loop, &fifo);
            let calls = note(&poll, Interest::READABLE | Interest::DISCONNECT);
            assert_sleeps(event_loop);
            assert!(calls.borrow().is_empty());
            let mut writer = File::options().write(true).open(&path).unwrap();
            writer.write_all(b"x").unwrap();
            turn(event_loop);
            assert_eq!(texts(&calls), ["READABLE"]);
            fifo.read_exact(&mut [0]).unwrap();
            drop(writer);
            (0..2).for_each(|_| turn(event_loop));
            assert_eq!(texts(&calls), ["READABLE | DISCONNECT"; 2]);
            poll.close();
        });
        std::fs::remove_file(&path).unwrap();
    }

    /// P-01: a counter of events is readable until it is read; a write in the callback counts as any other.
    #[test]
    fn eventfd_is_watched() {
        with_loop(|event_loop| {
            let counter = File::from(eventfd(3, EventfdFlags::empty()).unwrap());
            let poll = watch(event_loop, &counter);
            let called = expect(3);
            let started = poll.start(Interest::READABLE, move |poll, _| {
                let mut count = [0; 8];
                match called.hit() {
                    1 => {}
                    2 => {
                        (&counter).read_exact(&mut count).unwrap();
                        assert_eq!(u64::from_ne_bytes(count), 3);
                        (&counter).write_all(&4u64.to_ne_bytes()).unwrap();
                    }
                    _ => {
                        (&counter).read_exact(&mut count).unwrap();
                        assert_eq!(u64::from_ne_bytes(count), 4);
                        poll.close();
                    }
                }
            });
            started.unwrap();
        });
    }

    /// P-01: a timer of the kernel is watched.
    #[test]
    fn timerfd_is_watched() {
        with_loop(|event_loop| {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty()).unwrap();
            let after = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let set = Itimerspec { it_interval: never, it_value: after };
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &set).unwrap();
            let timer = File::from(timer);
            let poll = watch(event_loop, &timer);
            let called = expect(1);
            let started = poll.start(Interest::READABLE, move |poll, _| {
                called.hit();
                (&timer).read_exact(&mut [0; 8]).unwrap();
                poll.close();
            });
            started.unwrap();
        });
    }

    /// P-07: a device that is always ready cannot be polled either.
    #[test]
    #[cfg(not(mio_unsupported_force_poll_poll))]
    fn device_that_is_always_ready_is_refused() {
        let event_loop = new_loop();
        let null = File::open("/dev/null").unwrap();
        assert_eq!(misuse(Poll::new(&event_loop, null).map_err(Into::into)), Misuse::NotPollable);
    }

    /// P-12: urgent data is told apart from the other data, each when it is there.
    #[test]
    fn urgent_data_is_told_apart() {
        with_loop(|event_loop| {
            let (mut here, mut there) = std_pair();
            let poll = Poll::new(event_loop, here.try_clone().unwrap()).unwrap();
            let both = Interest::READABLE | Interest::PRIORITIZED;
            let wait_for = |interest, told: &str| {
                let calls = note(&poll, interest);
                // Loopback takes its moment.
                let is_told = |ready: &Ready| format!("{ready:?}") == told;
                turn_until(event_loop, || calls.borrow().last().is_some_and(is_told));
                calls.take();
                (0..2).for_each(|_| turn(event_loop));
                assert_eq!(texts(&calls), [told; 2]);
            };
            socket2::SockRef::from(&there).send_out_of_band(b"!").unwrap();
            wait_for(both, "PRIORITIZED");
            wait_for(Interest::PRIORITIZED, "PRIORITIZED");
            there.write_all(b"data").unwrap();
            wait_for(both, "READABLE | PRIORITIZED");
            wait_for(Interest::READABLE, "READABLE");
            let mut urgent = [std::mem::MaybeUninit::uninit(); 1];
            assert_eq!(socket2::SockRef::from(&here).recv_out_of_band(&mut urgent).unwrap(), 1);
            wait_for(both, "READABLE");
            let calls = note(&poll, Interest::PRIORITIZED);
            assert_sleeps(event_loop);
            assert!(calls.borrow().is_empty());
            here.read_exact(&mut [0; 4]).unwrap();
            poll.close();
        });
    }

    /// P-01, P-02: a call of the callback costs one registration, and what nobody wants costs none.
    #[test]
    #[cfg(not(mio_unsupported_force_poll_poll))]
    fn a_call_costs_one_registration() {
        if support::is_child() {
            let event_loop = new_loop();
            let (poll, _here, mut there) = pair(&event_loop);
            there.write_all(b"x").unwrap();
            let calls = note(&poll, Interest::READABLE);
            (0..10).for_each(|_| turn(&event_loop));
            assert_eq!(calls.borrow().len(), 10);
            // One more for another start, and then nobody wants what is there.
            let calls = note(&poll, Interest::DISCONNECT);
            (0..10).for_each(|_| turn(&event_loop));
            assert!(calls.borrow().is_empty());
            return;
        }
        let trace = std::env::temp_dir().join(format!("luvio-poll-trace-{}", std::process::id()));
        let strace = format!("strace -qq -f -e trace=epoll_ctl -o {}", trace.display());
        let probe = support::child("", &format!("exec {strace} true")).status().unwrap();
        if !probe.success() {
            return eprintln!("skipped: strace is not installed here, or may not trace");
        }
        let test = "linux::a_call_costs_one_registration";
        let traced = support::child(test, &format!("exec {strace} \"$0\" \"$@\""));
        assert!({ traced }.status().unwrap().success());
        let lines = std::fs::read_to_string(&trace).unwrap();
        std::fs::remove_file(&trace).unwrap();
        assert_eq!(lines.matches("EPOLL_CTL_MOD").count(), 11, "{lines}");
    }

    /// P-08: closing gives every descriptor back.
    #[test]
    fn nothing_is_left_open() {
        // In a process of its own: others open and close descriptors meanwhile.
        if !support::is_child() {
            let test = "linux::nothing_is_left_open";
            assert!(support::child(test, "").status().unwrap().success());
            return;
        }
        let event_loop = new_loop();
        event_loop.run().unwrap();
        let before = support::open_descriptors();
        for end in 0..4 {
            let (poll, here, there) = pair(&event_loop);
            poll.start(Interest::WRITABLE, |_, _| {}).unwrap();
            turn(&event_loop);
            match end {
                0 => drop(poll.close()),
                1 => drop(poll.into_fd()),
                2 => {
                    poll.stop();
                    drop(poll);
                }
                _ => {
                    let plain = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
                    drop(Poll::new(&event_loop, plain).unwrap_err());
                    event_loop.close_all();
                }
            }
            drop((here, there));
            turn(&event_loop);
            assert_eq!(support::open_descriptors(), before);
        }
    }
}

/// P-08: whatever owns a descriptor is taken, and so is the descriptor itself.
#[test]
fn whatever_owns_a_descriptor_is_taken() {
    with_loop(|event_loop| {
        let (stream, _there) = UnixStream::pair().unwrap();
        let fd: OwnedFd = Poll::new(event_loop, stream).unwrap().into_fd().unwrap();
        Poll::new(event_loop, fd).unwrap().close();
        let (tcp, _peer) = std_pair();
        Poll::new(event_loop, tcp).unwrap().close();
    });
}
