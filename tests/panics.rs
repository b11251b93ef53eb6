//! A panic in a callback: it leaves `run` by unwinding, and the next run goes on as if the callback had returned.

#[path = "support/callbacks.rs"]
mod callbacks;
mod support;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use callbacks::{Armed, every_kind};
use luvio::{Check, Idle, JoinError, Loop, Notifier, Prepare, RunMode, Tcp, Timer};
use support::{
    Drops, Journal, connected_pair, fill, new_loop, pair_with_data, turn, turn_until, watchdog,
};

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

/// True if `run` panics, which it does on purpose.
fn panics(run: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => false,
        Err(payload) => {
            // Every other panic is a failure.
            assert_eq!(payload.downcast_ref(), Some(&"on purpose"), "another panic");
            true
        }
    }
}

/// One turn that does not sleep and that panics.
#[track_caller]
fn panicking_turn(event_loop: &Loop) {
    assert!(panics(|| drop(event_loop.run_mode(RunMode::NoWait))), "it did not panic");
}

fn no_wait(event_loop: &Loop) {
    event_loop.run_mode(RunMode::NoWait).expect("the loop can be run");
}

/// A reader of a socket in which `data` waits. Notes each chunk, and panics over the first that is noted at all.
fn panicking_reader(event_loop: &Loop, journal: &Journal, data: &'static str) -> (Tcp, TcpStream) {
    let (tcp, peer) = pair_with_data(event_loop, data.as_bytes());
    let journal = journal.clone();
    let started = tcp.read_start(move |_, chunk| {
        let chunk = chunk.expect("it reads").expect("the peer is there");
        journal.note(String::from_utf8_lossy(chunk));
        assert!(journal.entries().len() != 1, "on purpose");
    });
    started.expect("a connection can be read");
    (tcp, peer)
}

// ---- each kind ------------------------------------------------------------------------------------------------------

/// What is ready beside the callback that panics. Each notes that it was called.
struct Neighbours {
    _connection: (Tcp, TcpStream),
}

impl Neighbours {
    const NAMES: [&str; 5] = ["deferred", "notified", "read", "timer", "closed"];

    fn new(event_loop: &Loop, journal: &Journal) -> Neighbours {
        let note = |what: &'static str| {
            let journal = journal.clone();
            move || journal.note(what)
        };
        let [deferred, notified, read, timer, closed] = Neighbours::NAMES.map(note);
        event_loop.defer(move |_| deferred());
        let notifier = Notifier::new(event_loop, move |_| notified());
        let notifier = notifier.expect("a notifier can be made");
        notifier.sender().send().expect("it is open");
        notifier.unref();
        let (tcp, peer) = pair_with_data(event_loop, b"data");
        tcp.read_start(move |_, chunk| {
            assert_eq!(chunk.expect("it reads"), Some(&b"data"[..]));
            read();
        })
        .expect("a connection can be read");
        Timer::after(event_loop, ZERO, move |_| timer());
        let closing = Timer::new(event_loop);
        closing.close().then(move |_| closed());
        Neighbours { _connection: (tcp, peer) }
    }
}

/// L-40: a panic in any kind of callback leaves `run`; the next run delivers what was ready beside it, once each; the
/// callback is back in its slot; and the loop can be dropped.
#[test]
fn run_goes_on_after_a_panic_in_any_kind_of_callback() {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind() {
        let event_loop = new_loop();
        let journal = Journal::new();
        // In front and behind, whatever the order is.
        let first = Neighbours::new(&event_loop, &journal);
        let (drops, calls) = (Drops::new(), Rc::new(Cell::new(0)));
        let (token, count) = (drops.token(), Rc::clone(&calls));
        let armed = arm(
            &event_loop,
            Box::new(move || {
                token.keep();
                count.set(count.get() + 1);
                assert!(count.get() != 1, "on purpose");
            }),
        );
        let second = Neighbours::new(&event_loop, &journal);

        let mut panicked = 0;
        let mut turns_after = 0;
        let is_repeating = armed.again.is_some();
        while turns_after < 3 || (is_repeating && calls.get() < 2) {
            (armed.help)();
            let is_panic = panics(|| turn(&event_loop));
            panicked += usize::from(is_panic);
            turns_after += usize::from(panicked > 0);
            if let Some(again) = armed.again.as_ref().filter(|_| is_panic) {
                again();
            }
        }
        assert_eq!(panicked, 1, "{kind}");
        let mut expected: Vec<&str> = Neighbours::NAMES.repeat(2);
        let mut noted = journal.entries();
        expected.sort_unstable();
        noted.sort_unstable();
        assert_eq!(noted, expected, "{kind}");
        if !is_repeating {
            assert_eq!((calls.get(), drops.count()), (1, 1), "{kind}: it is over");
        }
        drop(event_loop);
        assert_eq!(drops.count(), 1, "{kind}");
        drop((first, second, armed));
    }
}

/// L-40, L-33: a loop can be dropped right after a panic, with everything that was ready and not delivered.
#[test]
fn loop_can_be_dropped_after_a_panic_in_any_kind_of_callback() {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind() {
        let event_loop = new_loop();
        let journal = Journal::new();
        let drops = Drops::new();
        let token = drops.token();
        let panics_always = Box::new(move || {
            token.keep();
            panic!("on purpose");
        });
        let armed: Armed = arm(&event_loop, panics_always);
        while !panics(|| turn(&event_loop)) {
            (armed.help)();
        }
        let neighbours = Neighbours::new(&event_loop, &journal);
        drop(event_loop);
        assert_eq!(drops.count(), 1, "{kind}");
        journal.assert_is(&[]);
        drop(neighbours);
    }
}

// ---- what was ready in the same pass ----------------------------------------------------------------------------------

/// L-40: sockets whose events came in the same batch each get their data, once, in the next run, though no new data
/// arrives.
#[test]
fn events_of_the_same_batch_are_delivered_by_the_next_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _pairs: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|data| panicking_reader(&event_loop, &journal, data))
        .collect();
    panicking_turn(&event_loop);
    assert_eq!(journal.entries().len(), 1);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "the batch waits");
    no_wait(&event_loop);
    let mut all = journal.entries();
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c"]);
    no_wait(&event_loop);
    assert_eq!(journal.entries().len(), 3);
}

/// L-40, L-25: a handle that is closed or stopped between the two runs gets nothing of what was left of the batch.
#[test]
fn event_left_over_by_a_panic_is_dropped_if_its_handle_is_stopped_or_closed() {
    let _watchdog = watchdog();
    for close in [false, true] {
        let event_loop = new_loop();
        let journal = Journal::new();
        let pairs: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|data| panicking_reader(&event_loop, &journal, data))
            .collect();
        panicking_turn(&event_loop);
        for (tcp, _) in &pairs {
            match close {
                true => drop(tcp.close()),
                false => tcp.read_stop(),
            }
        }
        // It may get the slot and the descriptor of one of them.
        let (fresh, _peer) = connected_pair(&event_loop);
        fresh.read_start(|_, _| panic!("nobody wrote to it")).expect("a connection can be read");
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!(journal.entries().len(), 1);
    }
}

/// L-40: what the callback that panicked had not read yet comes in the next run.
#[test]
fn rest_of_the_data_comes_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().read_chunk(2).build().expect("a loop can be made");
    let journal = Journal::new();
    let _pair = panicking_reader(&event_loop, &journal, "abcdefg");
    panicking_turn(&event_loop);
    journal.assert_is(&["ab"]);
    no_wait(&event_loop);
    journal.assert_is(&["ab", "cd", "ef", "g"]);
}

/// L-40: timers found due in the same pass fire in the next run, in order.
#[test]
fn timers_found_due_in_the_same_pass_fire_in_the_next_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    for name in ["first", "second", "third"] {
        let journal = journal.clone();
        Timer::after(&event_loop, ZERO, move |_| {
            journal.note(name);
            assert!(name != "first", "on purpose");
        });
    }
    panicking_turn(&event_loop);
    journal.assert_is(&["first"]);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "timers are due");
    assert!(event_loop.is_alive());
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["first", "second", "third"]);
}

/// L-40: a timer that was due and is stopped between the two runs does not fire; one that is started again fires when it
/// is due.
#[test]
fn due_timer_stopped_after_a_panic_does_not_fire() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    Timer::after(&event_loop, ZERO, |_| panic!("on purpose"));
    let timer = |name: &'static str| {
        let journal = journal.clone();
        Timer::after(&event_loop, ZERO, move |_| journal.note(name))
    };
    let (stopped, restarted, closed) = (timer("stopped"), timer("restarted"), timer("closed"));
    panicking_turn(&event_loop);
    stopped.stop();
    closed.close();
    let again = journal.clone();
    restarted.start(ZERO, ZERO, move |_| again.note("again")).expect("it can be started");
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["again"]);
}

/// L-40: callbacks that were pending in the same pass are called in the next run, in order.
#[test]
fn callbacks_pending_in_the_same_pass_are_called_in_the_next_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (tcp, _peer) = connected_pair(&event_loop);
    let (first, second, third) = (journal.clone(), journal.clone(), journal.clone());
    tcp.write("x").then(move |_| first.note("write"));
    event_loop.defer(move |_| {
        second.note("defer");
        panic!("on purpose");
    });
    tcp.write("x").then(move |_| third.note("another write"));
    panicking_turn(&event_loop);
    journal.assert_is(&["write", "defer"]);
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["write", "defer", "another write"]);
}

/// L-40: a panic in the farewell of a handle does not cut it short: its other requests, its close callback and the
/// handles that were closed after it come in the next run, in order.
#[test]
fn farewell_goes_on_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    let note = |what: &'static str| {
        let journal = journal.clone();
        move || {
            journal.note(what);
            assert!(!what.contains('!'), "on purpose");
        }
    };
    for what in ["write", "write!", "another write"] {
        let called = note(what);
        tcp.write("x").then(move |_| called());
    }
    for what in ["close!", "another close"] {
        let called = note(what);
        tcp.close().then(move |_| called());
    }
    let last = note("last");
    Timer::new(&event_loop).close().then(move |_| last());
    panicking_turn(&event_loop);
    journal.assert_is(&["write", "write!"]);
    panicking_turn(&event_loop);
    journal.assert_is(&["write", "write!", "another write", "close!"]);
    assert!(event_loop.is_alive());
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["write", "write!", "another write", "close!", "another close", "last"]);
    assert!(event_loop.close().is_ok());
}

/// L-40: the hooks behind one that panicked run in the next turn, as the others do.
#[test]
fn hooks_run_again_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let note = |what: &'static str| {
        let (journal, panics) = (journal.clone(), Cell::new(what == "prepare"));
        move || {
            journal.note(what);
            assert!(!panics.take(), "on purpose");
        }
    };
    let (idling, preparing, late, checking) =
        (note("idle"), note("prepare"), note("late prepare"), note("check"));
    let (idle, prepare, second, check) = (
        Idle::new(&event_loop),
        Prepare::new(&event_loop),
        Prepare::new(&event_loop),
        Check::new(&event_loop),
    );
    idle.start(move |_| idling()).expect("a new handle can be started");
    prepare.start(move |_| preparing()).expect("a new handle can be started");
    second.start(move |_| late()).expect("a new handle can be started");
    check.start(move |_| checking()).expect("a new handle can be started");
    panicking_turn(&event_loop);
    journal.assert_is(&["idle", "prepare"]);
    no_wait(&event_loop);
    journal.assert_is(&["idle", "prepare", "idle", "prepare", "late prepare", "check"]);
}

/// L-40: notifiers sent to before the panic are called in the next run, once each.
#[test]
fn notifiers_are_called_after_a_panic_of_another() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _notifiers = ["first", "second"].map(|name| {
        let journal = journal.clone();
        let notifier = Notifier::new(&event_loop, move |_| {
            journal.note(name);
            assert!(name != "first", "on purpose");
        });
        let notifier = notifier.expect("a notifier can be made");
        notifier.sender().send().expect("it is open");
        notifier
    });
    panicking_turn(&event_loop);
    journal.assert_is(&["first"]);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO), "a notifier was sent to");
    no_wait(&event_loop);
    no_wait(&event_loop);
    journal.assert_is(&["first", "second"]);
}

/// L-40, SG-02: deliveries of a signal that were waiting are still counted after a panic in its callback, and the other
/// handles for it get theirs.
#[cfg(feature = "signal")]
#[test]
fn signals_are_delivered_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let _signals = ["a", "b"].map(|name| {
        let journal = journal.clone();
        let signal = luvio::Signal::new(&event_loop);
        let started = signal.start(luvio::Signal::URG, move |_, _| {
            journal.note(name);
            assert!(journal.entries().len() != 1, "on purpose");
        });
        started.expect("the signal can be heard");
        signal
    });
    for _ in 0..2 {
        signal_hook::low_level::raise(luvio::Signal::URG).expect("it can be raised");
    }
    panicking_turn(&event_loop);
    for _ in 0..3 {
        no_wait(&event_loop);
    }
    let mut all = journal.entries();
    all.sort_unstable();
    assert_eq!(all, ["a", "a", "b", "b"]);
}

// ---- connections ----------------------------------------------------------------------------------------------------

/// L-40: a listen callback that panics loses no connection: neither the one that it accepted, nor those behind it, nor,
/// if it had not come to accept, the announced one.
#[test]
fn panic_in_a_listen_callback_loses_no_connection() {
    let _watchdog = watchdog();
    for accepts_first in [true, false] {
        let event_loop = new_loop();
        let server = Tcp::new(&event_loop);
        server.bind("127.0.0.1:0").expect("loopback has a free port");
        let accepted: Rc<RefCell<Vec<Tcp>>> = Rc::default();
        let (list, calls) = (Rc::clone(&accepted), Cell::new(0));
        let listening = server.listen(8, move |server, incoming| {
            incoming.expect("there are descriptors");
            calls.set(calls.get() + 1);
            assert!(calls.get() > 1 || accepts_first, "on purpose");
            list.borrow_mut().push(server.accept().expect("one was announced"));
            assert!(calls.get() > 1, "on purpose");
        });
        listening.expect("a bound socket can listen");
        let addr = server.local_addr().expect("a listener has an address");
        let _clients: Vec<_> =
            (0..4).map(|_| TcpStream::connect(addr).expect("the listener is there")).collect();
        while !panics(|| turn(&event_loop)) {}
        if !accepts_first {
            // As after a callback that returned without: it is there for the asking.
            accepted.borrow_mut().push(server.accept().expect("it was announced"));
        }
        turn_until(&event_loop, || accepted.borrow().len() == 4);
    }
}

/// L-40: a connect callback that panics leaves a connection that works.
#[test]
fn connection_works_after_a_panic_in_its_connect_callback() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let tcp = Tcp::new(&event_loop);
    tcp.connect(listener.local_addr().expect("it has an address")).then(|_| panic!("on purpose"));
    let (mut peer, _) = listener.accept().expect("the connection is there");
    let read = Rc::new(Cell::new(0));
    let sum = Rc::clone(&read);
    tcp.read_start(move |_, chunk| {
        sum.set(sum.get() + chunk.map_or(0, |c| c.map_or(0, <[u8]>::len)));
    })
    .expect("reading can be started before the connection is there");
    peer.write_all(b"data").expect("the socket has room");
    while !panics(|| turn(&event_loop)) {}
    turn_until(&event_loop, || read.get() == 4);
}

// ---- the state around it ----------------------------------------------------------------------------------------------

/// L-40, L-16: after a panic the loop does not count as running, it is not the current one, and a stop that was asked for
/// is used up.
#[test]
fn nothing_of_a_run_remains_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    Timer::after(&event_loop, ZERO, |timer| {
        timer.event_loop().stop();
        panic!("on purpose");
    });
    panicking_turn(&event_loop);
    assert!(catch_unwind(|| luvio::go(async {})).is_err(), "no loop runs");
    // Another one of the thread is the current one while it runs.
    let other = new_loop();
    let spawned = Rc::new(Cell::new(false));
    let seen = Rc::clone(&spawned);
    other.defer(move |_| luvio::go(async move { seen.set(true) }));
    other.run().expect("another loop runs");
    assert!(spawned.get());

    let fired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fired);
    Timer::after(&event_loop, ZERO, move |_| seen.set(true));
    event_loop.run().expect("it does not count as running");
    assert!(fired.get(), "the stop was used up");
}

/// L-40: a panic inside a loop that runs in a callback of another one passes through both, and both go on.
#[test]
fn panic_passes_through_a_loop_inside_a_loop() {
    let _watchdog = watchdog();
    let (outer, inner) = (new_loop(), Rc::new(new_loop()));
    let journal = Journal::new();
    let (first, second, third) = (journal.clone(), journal.clone(), Rc::clone(&inner));
    Timer::after(&inner, ZERO, |_| panic!("on purpose"));
    Timer::after(&inner, ZERO, move |_| first.note("inner"));
    Timer::after(&outer, ZERO, move |_| third.run().expect("another loop runs"));
    Timer::after(&outer, ZERO, move |_| second.note("outer"));
    panicking_turn(&outer);
    inner.run().expect("the inner loop runs");
    outer.run().expect("the outer loop runs");
    journal.assert_is(&["inner", "outer"]);
}

/// L-40, Z-12: a panic in a task goes to its joiner; it does not leave `run`.
#[test]
fn panic_in_a_task_goes_to_the_joiner() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fired);
    Timer::after(&event_loop, ZERO, move |_| seen.set(true));
    let joined = event_loop.spawn(async { panic!("on purpose") as () });
    let joined = event_loop.block_on(joined).expect("the loop runs");
    let Err(JoinError::Panicked(payload)) = joined else { panic!("it panicked: {joined:?}") };
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    event_loop.run().expect("the loop runs");
    assert!(fired.get());
}

/// L-40: a panic in the future of `block_on` leaves it, and the loop can be run again.
#[test]
fn panic_in_block_on_leaves_it() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let fails = |event_loop: &Loop| {
        let failing: Result<(), _> = event_loop.block_on(async {
            luvio::yield_now().await;
            panic!("on purpose")
        });
        drop(failing);
    };
    assert!(panics(|| fails(&event_loop)));
    assert!(!event_loop.is_alive());
    assert_eq!(event_loop.block_on(async { 7 }).expect("the loop runs"), 7);
    event_loop.run().expect("the loop runs");
}

/// L-40: the same for a callback that panics under `block_on`, whose future is dropped by the unwinding.
#[test]
fn panic_of_a_callback_under_block_on_drops_its_future() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let token = drops.token();
    let waits = async move {
        luvio::sleep(HOUR).await;
        token.keep();
    };
    Timer::after(&event_loop, ZERO, |_| panic!("on purpose"));
    assert!(panics(|| drop(event_loop.block_on(waits))));
    assert_eq!(drops.count(), 1);
    event_loop.run().expect("nothing of the sleep keeps it");
}

/// L-40: a callback's capture that panics when it is dropped does as little harm: the stream that dropped it goes on
/// with its new callback.
#[test]
fn panic_in_the_drop_of_a_replaced_callback_does_no_harm() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (tcp, mut peer) = pair_with_data(&event_loop, b"first");
    let (other, mut other_peer) = connected_pair(&event_loop);
    let (notes, other_notes) = (journal.clone(), journal.clone());
    let dropped = PanicsInDrop;
    tcp.read_start(move |tcp, _| {
        let _ = &dropped;
        let notes = notes.clone();
        tcp.read_stop();
        tcp.read_start(move |_, chunk| notes.note(format!("new {chunk:?}")))
            .expect("it can be started again");
    })
    .expect("a connection can be read");
    other
        .read_start(move |_, chunk| other_notes.note(format!("other {chunk:?}")))
        .expect("a connection can be read");
    panicking_turn(&event_loop);
    peer.write_all(b"x").expect("the socket has room");
    turn_until(&event_loop, || journal.entries().len() == 1);
    other_peer.write_all(b"y").expect("the socket has room");
    turn_until(&event_loop, || journal.entries().len() == 2);
    journal.assert_is(&["new Ok(Some([120]))", "other Ok(Some([121]))"]);
}
