//! A loop inside another one: the host waits on its descriptor for as long as it says, and lets it turn.
#![cfg(not(mio_unsupported_force_poll_poll))]

mod support;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use luvio::{Check, Idle, Loop, Notifier, RunMode, Tcp, Timer};
use mio::unix::SourceFd;
use support::{
    DEADLINE, Journal, child, connected_pair, fill, is_child, new_loop, turn, turn_until, watchdog,
};

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

fn no_wait(event_loop: &Loop) {
    event_loop.run_mode(RunMode::NoWait).expect("the loop can be run");
}

/// Somebody else's loop, in which this one is a descriptor like any other.
struct Host(mio::Poll, mio::Events);

impl Host {
    fn of(event_loop: &Loop) -> Host {
        let poll = mio::Poll::new().expect("a poll can be made");
        let fd = event_loop.as_fd().as_raw_fd();
        let registered =
            poll.registry().register(&mut SourceFd(&fd), mio::Token(0), mio::Interest::READABLE);
        registered.expect("the descriptor can be polled");
        Host(poll, mio::Events::with_capacity(8))
    }

    /// Waits, and says whether the loop's descriptor became readable.
    fn wait(&mut self, timeout: Duration) -> bool {
        match self.0.poll(&mut self.1, Some(timeout)) {
            Err(err) if err.kind() == ErrorKind::Interrupted => false,
            polled => {
                polled.expect("it polls");
                !self.1.is_empty()
            }
        }
    }

    /// Drives the loop as long as it is alive.
    fn drive(&mut self, event_loop: &Loop) {
        while event_loop.is_alive() {
            self.wait(event_loop.backend_timeout().unwrap_or(DEADLINE / 2));
            no_wait(event_loop);
        }
    }
}

/// True if the loop's descriptor is readable now, whatever was seen of it before.
fn is_readable(event_loop: &Loop) -> bool {
    Host::of(event_loop).wait(ZERO)
}

// ---- driven by a host -------------------------------------------------------------------------------------------------

/// Timers, streams, tasks, and another thread. Notes what has an order of its own.
fn script(event_loop: &Loop) -> (Journal, thread::JoinHandle<()>) {
    let journal = Journal::new();
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen_only(8).expect("a bound socket can listen");
    let (accepting, notes) = (server.clone(), journal.clone());
    event_loop.go(async move {
        let client = accepting.accept_next().await?;
        accepting.close();
        let mut received = 0;
        while let Some(data) = client.read_once().await? {
            received += data.len();
            client.write(data).await?;
        }
        notes.note(format!("{received} bytes came"));
        Ok::<(), std::io::Error>(())
    });
    let client = Tcp::new(event_loop);
    let (writing, notes) = (client.clone(), journal.clone());
    client.connect(server.local_addr().expect("it is bound")).then(move |connected| {
        connected.expect("somebody listens");
        notes.note("connected");
        writing.write(vec![7; 1_000_000]);
    });
    let (notes, mut back) = (journal.clone(), 0);
    client
        .read_start(move |client, chunk| {
            back += chunk.expect("it reads").map_or(0, <[u8]>::len);
            if back == 1_000_000 {
                notes.note("all came back");
                client.finish();
            }
        })
        .expect("reading can be started before the connection is there");
    for (name, after) in [("second", 2), ("first", 1), ("third", 3)] {
        let notes = journal.clone();
        Timer::after(event_loop, Duration::from_millis(after), move |_| {
            notes.note(format!("{name} timer"));
        });
    }
    let (notes, remote) = (journal.clone(), event_loop.remote());
    let notified = Notifier::new(event_loop, move |notifier| {
        notes.note("notified");
        notifier.close();
    });
    let sender = notified.expect("a notifier can be made").sender();
    let other = thread::spawn(move || {
        sender.send().expect("it is open");
        drop(remote.post(|event_loop| event_loop.defer(|_| {})));
    });
    (journal, other)
}

/// L-21: a host that waits on the descriptor and for the timeout makes the same progress as a run.
#[test]
fn host_makes_the_same_progress_as_a_run() {
    let _watchdog = watchdog();
    let [by_run, by_host] = [false, true].map(|is_embedded| {
        let event_loop = new_loop();
        let (journal, other) = script(&event_loop);
        match is_embedded {
            true => Host::of(&event_loop).drive(&event_loop),
            false => event_loop.run().expect("the loop runs"),
        }
        other.join().expect("it ends");
        assert!(!event_loop.is_alive());
        let mut entries = journal.entries();
        let is_timer = |entry: &String| entry.ends_with("timer");
        let timers: Vec<String> = entries.iter().filter(|entry| is_timer(entry)).cloned().collect();
        assert_eq!(timers, ["first timer", "second timer", "third timer"]);
        entries.sort_unstable();
        entries
    });
    assert_eq!(by_host, by_run);
    assert_eq!(by_run.len(), 7);
}

/// L-21: data for a stream of the loop makes the descriptor readable.
#[test]
fn descriptor_is_readable_when_a_socket_is() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tcp, mut peer) = connected_pair(&event_loop);
    let read = Rc::new(Cell::new(0));
    let count = Rc::clone(&read);
    tcp.read_start(move |_, _| count.set(count.get() + 1)).expect("a connection can be read");
    // That it can be written is news, too.
    no_wait(&event_loop);
    assert!(!is_readable(&event_loop));
    let mut host = Host::of(&event_loop);
    for round in 1..=3 {
        peer.write_all(b"x").expect("the socket has room");
        assert!(host.wait(DEADLINE / 2));
        no_wait(&event_loop);
        assert_eq!(read.get(), round);
        assert!(!is_readable(&event_loop), "it is read");
    }
}

/// L-19, L-21: when more sockets are ready than one poll can take, the host is told to come back at once: it gets no new
/// edge for the others.
#[test]
fn sockets_beyond_the_first_batch_are_not_forgotten() {
    const PAIRS: usize = 1_200;
    if !is_child() {
        let test = "sockets_beyond_the_first_batch_are_not_forgotten";
        let status = child(test, "ulimit -n 4096").status().expect("it can be started");
        return assert!(status.success());
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let mut host = Host::of(&event_loop);
    let read = Rc::new(Cell::new(0));
    let pairs: Vec<_> = (0..PAIRS)
        .map(|_| {
            let (tcp, peer) = connected_pair(&event_loop);
            let count = Rc::clone(&read);
            tcp.read_start(move |_, _| count.set(count.get() + 1)).expect("it can be read");
            (tcp, peer)
        })
        .collect();
    // That all can be written is news, too.
    while host.wait(ZERO) || event_loop.backend_timeout() == Some(ZERO) {
        no_wait(&event_loop);
    }
    for (_, peer) in &pairs {
        let mut peer = peer;
        peer.write_all(b"x").expect("the socket has room");
    }
    let mut turns = 0;
    while read.get() < PAIRS {
        let timeout = event_loop.backend_timeout();
        let is_readable = host.wait(timeout.unwrap_or(DEADLINE / 2));
        assert!(is_readable || timeout == Some(ZERO), "{} of {PAIRS} are served", read.get());
        no_wait(&event_loop);
        turns += 1;
        assert!(turns < 10, "{} of {PAIRS} are served", read.get());
    }
    while event_loop.backend_timeout() == Some(ZERO) {
        no_wait(&event_loop);
    }
    assert_eq!(event_loop.backend_timeout(), None);
}

// ---- other threads ----------------------------------------------------------------------------------------------------

/// L-21, A-02: outside a run, a send, a post or a waker used in another thread makes the descriptor readable, each time
/// again; a turn takes what it brought.
#[test]
fn other_threads_make_the_descriptor_readable() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let notifier = Notifier::new(&event_loop, move |_| count.set(count.get() + 1));
    let sender = notifier.expect("a notifier can be made").sender();
    let (handing, handed) = mpsc::channel();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    event_loop.go(poll_fn(move |context| {
        count.set(count.get() + 1);
        handing.send(context.waker().clone()).expect("the test waits for it");
        Poll::<()>::Pending
    }));
    turn(&event_loop);
    assert!(!is_readable(&event_loop));
    let mut host = Host::of(&event_loop);
    for round in 1..=3 {
        let sender = sender.clone();
        thread::spawn(move || sender.send()).join().expect("it ends").expect("it is open");
        assert!(host.wait(DEADLINE / 2), "a send");
        no_wait(&event_loop);
        assert_eq!(calls.get(), round);

        let (remote, (told, tells)) = (event_loop.remote(), mpsc::channel());
        let posted = thread::spawn(move || remote.post(move |_| told.send(()).expect("it waits")));
        posted.join().expect("it ends").expect("the loop is there");
        assert!(host.wait(DEADLINE / 2), "a post");
        no_wait(&event_loop);
        tells.try_recv().expect("it ran");

        let waker = handed.try_recv().expect("the task was polled");
        thread::spawn(move || waker.wake()).join().expect("it ends");
        assert!(host.wait(DEADLINE / 2), "a waker");
        no_wait(&event_loop);
        assert_eq!(polls.get(), round + 1);
        assert!(!is_readable(&event_loop), "everything is taken");
    }
}

/// L-21: what arrives during a turn, too late for its poll, makes the descriptor readable when the turn is over.
#[test]
fn what_arrives_late_in_a_turn_makes_the_descriptor_readable() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let notifier = Notifier::new(&event_loop, move |_| count.set(count.get() + 1));
    let sender = notifier.expect("a notifier can be made").sender();
    let check = Check::new(&event_loop);
    let started = check.start(move |check| {
        check.stop();
        let sender = sender.clone();
        thread::spawn(move || sender.send()).join().expect("it ends").expect("it is open");
    });
    started.expect("a new handle can be started");
    no_wait(&event_loop);
    assert_eq!(calls.get(), 0);
    assert_eq!(event_loop.backend_timeout(), None);
    assert!(is_readable(&event_loop));
    no_wait(&event_loop);
    assert_eq!(calls.get(), 1);
    assert!(!is_readable(&event_loop));
}

/// L-21, L-42: closures that one turn has no time for make the descriptor readable when it is over.
#[test]
fn closures_left_for_the_next_turn_make_the_descriptor_readable() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().posts_per_turn(1).build().expect("a loop can be made");
    let calls = Arc::new(AtomicUsize::new(0));
    let mut host = Host::of(&event_loop);
    for _ in 0..3 {
        let calls = Arc::clone(&calls);
        let posted = event_loop.remote().post(move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
        });
        posted.expect("the loop is there");
    }
    for turn in 1..=3 {
        assert!(host.wait(DEADLINE / 2));
        no_wait(&event_loop);
        assert_eq!(calls.load(Ordering::SeqCst), turn);
    }
    assert!(!is_readable(&event_loop));
}

/// RD-24: a duplicate that outlives its handle wakes the loop no more, also if it was made, and the handle closed, while
/// the descriptor was lent.
#[test]
fn duplicate_of_a_closed_handle_does_not_make_the_descriptor_readable() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen(8, |_, _| panic!("announced after the close")).expect("it is bound");
    let addr = server.local_addr().expect("it is bound");
    let (client, mut peer) = connected_pair(&event_loop);
    let duplicates: Vec<_> = [&server, &client]
        .map(|tcp| {
            tcp.with_fd(|fd| {
                tcp.close();
                fd.try_clone_to_owned().expect("a descriptor is free")
            })
        })
        .into_iter()
        .map(|duplicate| duplicate.expect("there is a socket"))
        .collect();
    event_loop.run().expect("the loop runs");
    let _waiting = TcpStream::connect(addr).expect("the duplicate still listens");
    peer.write_all(b"hello").expect("the duplicate is still connected");
    assert!(!is_readable(&event_loop));
    drop(duplicates);
}

/// L-21: the descriptor is that of the loop for as long as it lives, and handles come and go.
#[test]
fn descriptor_stays_the_same() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fd = event_loop.as_fd().as_raw_fd();
    let (tcp, _peer) = connected_pair(&event_loop);
    tcp.close();
    event_loop.run().expect("the loop runs");
    assert_eq!(event_loop.as_fd().as_raw_fd(), fd);
}

// ---- how long to wait -------------------------------------------------------------------------------------------------

/// L-19: the timeout is zero when nothing is alive, or nothing but what is unreferenced.
#[test]
fn timeout_is_zero_if_nothing_is_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "nothing at all");
    let timer = Timer::after(&event_loop, HOUR, |_| {});
    assert_eq!(event_loop.backend_timeout(), Some(HOUR));
    timer.unref();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "an unreferenced timer");
    let (tcp, _peer) = connected_pair(&event_loop);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a handle that does nothing");
    tcp.read_start(|_, _| {}).expect("a connection can be read");
    assert_eq!(event_loop.backend_timeout(), Some(HOUR), "L-20: the timer counts now");
    tcp.unref();
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "all unreferenced");
}

/// L-19: the timeout is zero while something is ready, and without limit otherwise, if no timer runs.
#[test]
fn timeout_is_zero_while_something_is_ready() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    // Each makes something ready, of which a turn or two leave nothing.
    type Row = (&'static str, fn(&Loop));
    let rows: [Row; 9] = [
        ("a stop", |event_loop| event_loop.stop()),
        ("a deferred closure", |event_loop| event_loop.defer(|_| {})),
        ("a request that is over", |event_loop| {
            Tcp::new(event_loop).write("refused").then(|_| {});
        }),
        ("an idle handle", |event_loop| {
            Idle::new(event_loop).start(|idle| idle.stop()).expect("it can be started");
        }),
        ("a handle that is closing", |event_loop| drop(Timer::new(event_loop).close())),
        ("an overdue timer", |event_loop| drop(Timer::after(event_loop, ZERO, |_| {}))),
        ("a new task", |event_loop| event_loop.go(async {})),
        ("a task that yielded", |event_loop| {
            event_loop.go(async { luvio::yield_now().await });
            turn(event_loop);
        }),
        ("a handle that is closing, closed by a timer", |event_loop| {
            Timer::after(event_loop, ZERO, |timer| drop(timer.close()));
            turn(event_loop);
        }),
    ];
    let (tcp, peer) = connected_pair(&event_loop);
    tcp.read_start(|_, _| {}).expect("a connection can be read");
    for (what, make_ready) in rows {
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!(event_loop.backend_timeout(), None, "before {what}");
        make_ready(&event_loop);
        assert_eq!(event_loop.backend_timeout(), Some(ZERO), "{what}");
        // Also if a timer waits.
        let timer = Timer::after(&event_loop, HOUR, |_| {});
        assert_eq!(event_loop.backend_timeout(), Some(ZERO), "{what}, and a timer");
        timer.stop();
        // The one that stop ends has no turn.
        turn(&event_loop);
    }
    drop(peer);
}

/// L-19: a request that waits for the outside is waited for without limit, its handle referenced or not.
#[test]
fn timeout_has_no_limit_while_a_request_waits() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tcp, mut peer) = connected_pair(&event_loop);
    tcp.unref();
    fill(&tcp);
    assert_eq!(event_loop.backend_timeout(), None);
    let _timer = Timer::after(&event_loop, HOUR, |_| {});
    assert_eq!(event_loop.backend_timeout(), Some(HOUR));
    // Until the other end has read it.
    let reader = thread::spawn(move || read_to_end(&mut peer));
    let closed = Rc::new(RefCell::new(false));
    let is_closed = Rc::clone(&closed);
    tcp.finish().then(move |_| *is_closed.borrow_mut() = true);
    turn_until(&event_loop, || *closed.borrow());
    reader.join().expect("it ends");
}

fn read_to_end(peer: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while peer.read(&mut buffer).expect("it reads") > 0 {}
}

/// L-19: with several timers the next one counts; one that was stopped does not.
#[test]
fn timeout_is_that_of_the_next_timer() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
    let timers = [3, 1, 2].map(|hours| Timer::after(&event_loop, HOUR * hours, |_| {}));
    assert_eq!(event_loop.backend_timeout(), Some(HOUR));
    timers[1].stop();
    assert_eq!(event_loop.backend_timeout(), Some(HOUR * 2));
    timers[2].close();
    turn(&event_loop);
    assert_eq!(event_loop.backend_timeout(), Some(HOUR * 3));
    event_loop.spawn(async { luvio::sleep(HOUR).await });
    turn(&event_loop);
    assert_eq!(event_loop.backend_timeout(), Some(HOUR), "a sleep counts, too");
}
