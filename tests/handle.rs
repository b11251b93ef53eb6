//! What all handles share: active or not, referenced or not, closing, and what is dropped when. Each test goes through
//! all kinds that it applies to.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use luvio::{
    AliveKind, Check, Handle, Idle, Interest, Kind, LoopHandle, Misuse, Notifier, Pipe, Prepare,
    Request, Tcp, Timer, is_canceled,
};
use support::{
    Drops, Journal, connected_pair, expect, fill, misuse, new_loop, reset, std_pair, turn,
    turn_until, watchdog, with_loop,
};

const ZERO: Duration = Duration::ZERO;
const SHORT: Duration = Duration::from_millis(1);

/// Ignored by default and sent by nobody, so that the other tests of this process do not mind it.
#[cfg(feature = "signal")]
const SIGNAL: i32 = luvio::Signal::URG;

/// Polls a future once, outside of any task.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a request that is over.
fn result_of(request: Request<()>) -> io::Result<()> {
    match poll_once(request) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it is not over"),
    }
}

// ---- one of each kind -----------------------------------------------------------------------------------------------

type Callback = Box<dyn FnMut()>;

/// A way to be a handle.
struct Variety {
    kind: Kind,
    /// What a panic says about it.
    name: &'static str,
    make: fn(&LoopHandle) -> Sample,
}

/// A handle, and what can be done with it whatever its kind.
struct Sample {
    handle: Rc<dyn Handle>,
    start: Box<dyn Fn(Callback) -> io::Result<()>>,
    stop: Box<dyn Fn()>,
    /// Sees to it that a started handle has a reason to call back.
    provoke: Box<dyn Fn()>,
}

impl Variety {
    /// A handle that calls `cb`.
    fn started(&self, event_loop: &LoopHandle, cb: impl FnMut() + 'static) -> Sample {
        if self.kind == Kind::Notifier {
            return notifier_with(event_loop, Box::new(cb));
        }
        let sample = (self.make)(event_loop);
        (sample.start)(Box::new(cb)).expect("a new handle can be started");
        sample
    }

    /// A notifier is started when it is made, and then never again.
    fn can_be_started(&self) -> bool {
        self.kind != Kind::Notifier
    }

    fn can_be_stopped(&self) -> bool {
        self.can_be_started() && !self.name.ends_with("listener")
    }
}

fn varieties() -> Vec<Variety> {
    vec![
        Variety { kind: Kind::Timer, name: "timer", make: timer },
        Variety { kind: Kind::Idle, name: "idle", make: idle },
        Variety { kind: Kind::Prepare, name: "prepare", make: prepare },
        Variety { kind: Kind::Check, name: "check", make: check },
        Variety { kind: Kind::Notifier, name: "notifier", make: notifier },
        #[cfg(feature = "signal")]
        Variety { kind: Kind::Signal, name: "signal", make: signal },
        Variety { kind: Kind::Poll, name: "poll", make: poll },
        Variety { kind: Kind::Tcp, name: "reader", make: reader },
        Variety { kind: Kind::Tcp, name: "listener", make: listener },
        #[cfg(feature = "descriptors")]
        Variety { kind: Kind::Pipe, name: "pipe reader", make: pipe_reader },
        Variety { kind: Kind::Pipe, name: "pipe listener", make: pipe_listener },
    ]
}

/// Runs `test` for each variety. One test at a time in the whole process, since a signal reaches all that wait for it.
fn for_each(test: impl Fn(&Variety)) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _watchdog = watchdog();
    for variety in varieties() {
        println!("with a {}", variety.name); // shown when it fails
        test(&variety);
    }
}

fn timer(event_loop: &LoopHandle) -> Sample {
    let timer = Timer::new(event_loop);
    let (starting, stopping) = (timer.clone(), timer.clone());
    Sample {
        handle: Rc::new(timer),
        start: Box::new(move |mut cb| starting.start(ZERO, SHORT, move |_| cb())),
        stop: Box::new(move || stopping.stop()),
        provoke: Box::new(|| {}),
    }
}

/// The loop needs something to wake up for, to come to prepare and check.
macro_rules! hook {
    ($make:ident, $Kind:ident) => {
        fn $make(event_loop: &LoopHandle) -> Sample {
            let hook = $Kind::new(event_loop);
            let (starting, stopping) = (hook.clone(), hook.clone());
            let remote = event_loop.remote();
            Sample {
                handle: Rc::new(hook),
                start: Box::new(move |mut cb| starting.start(move |_| cb())),
                stop: Box::new(move || stopping.stop()),
                provoke: Box::new(move || drop(remote.post(|_| {}))),
            }
        }
    };
}

hook!(idle, Idle);
hook!(prepare, Prepare);
hook!(check, Check);

fn notifier(event_loop: &LoopHandle) -> Sample {
    notifier_with(event_loop, Box::new(|| {}))
}

fn notifier_with(event_loop: &LoopHandle, mut cb: Callback) -> Sample {
    let notifier = Notifier::new(event_loop, move |_| cb()).expect("a notifier can be made");
    let sender = notifier.sender();
    Sample {
        handle: Rc::new(notifier),
        start: Box::new(|_| unreachable!("see `can_be_started`")),
        stop: Box::new(|| unreachable!("see `can_be_stopped`")),
        provoke: Box::new(move || drop(sender.send())),
    }
}

#[cfg(feature = "signal")]
fn signal(event_loop: &LoopHandle) -> Sample {
    let signal = luvio::Signal::new(event_loop);
    let (starting, stopping) = (signal.clone(), signal.clone());
    Sample {
        handle: Rc::new(signal),
        start: Box::new(move |mut cb| starting.start(SIGNAL, move |_, _| cb())),
        stop: Box::new(move || stopping.stop()),
        provoke: Box::new(|| signal_hook::low_level::raise(SIGNAL).expect("it can be raised")),
    }
}

fn poll(event_loop: &LoopHandle) -> Sample {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let poll = luvio::Poll::new(event_loop, here).expect("a socket can be polled");
    let (starting, stopping) = (poll.clone(), poll.clone());
    Sample {
        handle: Rc::new(poll),
        start: Box::new(move |mut cb| starting.start(Interest::READABLE, move |_, _| cb())),
        stop: Box::new(move || stopping.stop()),
        provoke: Box::new(move || drop((&there).write(b"x"))),
    }
}

fn reader(event_loop: &LoopHandle) -> Sample {
    let (tcp, peer) = connected_pair(event_loop);
    let (starting, stopping) = (tcp.clone(), tcp.clone());
    Sample {
        handle: Rc::new(tcp),
        start: Box::new(move |mut cb| starting.read_start(move |_, _| cb())),
        stop: Box::new(move || stopping.read_stop()),
        provoke: Box::new(move || drop((&peer).write(b"x"))),
    }
}

fn listener(event_loop: &LoopHandle) -> Sample {
    let tcp = Tcp::new(event_loop);
    tcp.bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = tcp.local_addr().expect("a bound socket has an address");
    let starting = tcp.clone();
    let clients = RefCell::new(Vec::new());
    Sample {
        handle: Rc::new(tcp),
        start: Box::new(move |mut cb| starting.listen(8, move |_, _| cb())),
        stop: Box::new(|| unreachable!("see `can_be_stopped`")),
        provoke: Box::new(move || clients.borrow_mut().extend(TcpStream::connect(addr))),
    }
}

#[cfg(feature = "descriptors")]
fn pipe_reader(event_loop: &LoopHandle) -> Sample {
    let (here, peer) = std::os::unix::net::UnixStream::pair().expect("a pair can be made");
    let pipe = Pipe::new(event_loop);
    pipe.open(here).expect("a connected socket can be adopted");
    let (starting, stopping) = (pipe.clone(), pipe.clone());
    Sample {
        handle: Rc::new(pipe),
        start: Box::new(move |mut cb| starting.read_start(move |_, _| cb())),
        stop: Box::new(move || stopping.read_stop()),
        provoke: Box::new(move || drop((&peer).write(b"x"))),
    }
}

fn pipe_listener(event_loop: &LoopHandle) -> Sample {
    let folder = support::Folder::new();
    let path = folder.path("listener");
    let pipe = Pipe::new(event_loop);
    pipe.bind(&path).expect("the name is free");
    let starting = pipe.clone();
    let clients = RefCell::new(Vec::new());
    Sample {
        handle: Rc::new(pipe),
        start: Box::new(move |mut cb| starting.listen(8, move |_, _| cb())),
        stop: Box::new(|| unreachable!("see `can_be_stopped`")),
        provoke: Box::new(move || {
            let _ = &folder;
            clients.borrow_mut().extend(std::os::unix::net::UnixStream::connect(&path));
        }),
    }
}

/// What `walk` shows.
fn walked(event_loop: &LoopHandle) -> Vec<String> {
    let mut kinds = Vec::new();
    event_loop.walk(|handle| kinds.push(handle.kind().to_string()));
    kinds
}

// ---- active, referenced ---------------------------------------------------------------------------------------------

/// H-01, A-01: a new handle is inactive, referenced and open, except that a notifier is active from the start.
#[test]
fn new_handle_is_inactive_referenced_and_open() {
    for_each(|variety| {
        let event_loop = new_loop();
        let Sample { handle, .. } = (variety.make)(&event_loop);
        let is_notifier = variety.kind == Kind::Notifier;
        assert_eq!(handle.kind(), variety.kind);
        assert_eq!(handle.is_active(), is_notifier);
        assert!(handle.has_ref());
        assert!(!handle.is_closing());
        assert_eq!(event_loop.is_alive(), is_notifier);
    });
}

/// H-02: start makes active, stop inactive, close inactive and closing.
#[test]
fn start_stop_and_close_change_what_a_handle_is() {
    for_each(|variety| {
        let event_loop = new_loop();
        let sample = variety.started(&event_loop, || {});
        assert!(sample.handle.is_active() && event_loop.is_alive());
        if variety.can_be_stopped() {
            (sample.stop)();
            assert!(!sample.handle.is_active() && !sample.handle.is_closing());
            assert!(!event_loop.is_alive());
            (sample.start)(Box::new(|| {})).expect("it can be started again");
            assert!(sample.handle.is_active() && event_loop.is_alive());
        }
        sample.handle.close();
        assert!(!sample.handle.is_active() && sample.handle.is_closing());
    });
}

/// H-03: however often a handle is referenced or unreferenced, once counts.
#[test]
fn reference_is_a_flag_not_a_counter() {
    for_each(|variety| {
        let event_loop = new_loop();
        let Sample { handle, .. } = variety.started(&event_loop, || {});
        for _ in 0..3 {
            handle.unref();
            assert!(!handle.has_ref() && !event_loop.is_alive());
        }
        handle.ref_();
        assert!(handle.has_ref() && event_loop.is_alive());
        handle.ref_();
        handle.unref();
        assert!(!handle.has_ref() && !event_loop.is_alive());
    });
}

/// H-04: the flag stays what it is when the handle is started, stopped and closed.
#[test]
fn reference_does_not_depend_on_activity() {
    for_each(|variety| {
        if !variety.can_be_started() {
            return;
        }
        let event_loop = new_loop();
        let sample = (variety.make)(&event_loop);
        sample.handle.unref();
        (sample.start)(Box::new(|| {})).expect("it can be started");
        assert!(sample.handle.is_active() && !sample.handle.has_ref());
        assert!(!event_loop.is_alive());
        if variety.can_be_stopped() {
            (sample.stop)();
            sample.handle.ref_();
            assert!(sample.handle.has_ref() && !event_loop.is_alive());
            (sample.start)(Box::new(|| {})).expect("it can be started");
            assert!(event_loop.is_alive());
        }
        sample.handle.unref();
        sample.handle.close();
        assert!(!sample.handle.has_ref());
    });
}

/// H-05, SG-12: an unreferenced handle does not keep a run going, which does not call it, though it has a reason to.
#[test]
fn unreferenced_handle_does_not_keep_the_loop_going() {
    for_each(|variety| {
        let event_loop = new_loop();
        let sample = variety.started(&event_loop, || panic!("nothing keeps the loop going"));
        sample.handle.unref();
        // The hooks' own reason, a posted closure, would be one to run.
        if !matches!(variety.kind, Kind::Idle | Kind::Prepare | Kind::Check) {
            (sample.provoke)();
        }
        event_loop.run().expect("the loop runs");
        assert!(sample.handle.is_active());
    });
}

/// H-06: a handle that unreferences itself in its callback, as the last one, ends the run after this turn.
#[test]
fn handle_that_unreferences_itself_ends_the_run() {
    for_each(|variety| {
        let event_loop = new_loop();
        let own: Rc<RefCell<Option<Rc<dyn Handle>>>> = Rc::default();
        let (handle, calls) = (Rc::clone(&own), Rc::new(Cell::new(0)));
        let counter = Rc::clone(&calls);
        let sample = variety.started(&event_loop, move || {
            counter.set(counter.get() + 1);
            handle.borrow().as_ref().expect("it was put there").unref();
        });
        own.replace(Some(Rc::clone(&sample.handle)));
        (sample.provoke)();
        event_loop.run().expect("the loop runs");
        assert_eq!(calls.get(), 1);
        assert!(sample.handle.is_active());
    });
}

/// H-07: what an unreferenced handle was asked to do is done before the run ends.
#[test]
fn requests_of_an_unreferenced_handle_are_finished() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let tcp = Tcp::new(&event_loop);
    tcp.unref();
    tcp.connect(server.local_addr().expect("it has an address")).then(journal.result("connect"));
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["connect ok"]);

    let (mut peer, _) = server.accept().expect("the connection is there");
    let mut queued = fill(&tcp);
    tcp.write("the end").then(journal.result("write"));
    queued += "the end".len();
    tcp.shutdown().then(journal.result("shutdown"));
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("the other end is there");
        all.len()
    });
    event_loop.run().expect("the loop runs");
    journal.assert_is(&["connect ok", "write ok", "shutdown ok"]);
    assert_eq!(reader.join().expect("it ends"), queued);
    assert!(!tcp.has_ref());
}

/// H-23: a stream is active while it reads or listens, and also while a connect, a write or a shutdown is unfinished.
#[test]
fn stream_is_active_while_a_request_is_unfinished() {
    with_loop(|event_loop| {
        let server = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let tcp = Tcp::new(event_loop);
        let connect = tcp.connect(server.local_addr().expect("it has an address"));
        assert!(tcp.is_active() && !connect.is_finished());
        turn_until(event_loop, || connect.is_finished());
        assert!(!tcp.is_active(), "connected, and nothing to do");

        let (mut peer, _) = server.accept().expect("the connection is there");
        let queued = fill(&tcp);
        assert!(tcp.is_active(), "a write is queued");
        let shutdown = tcp.shutdown();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).expect("the other end is there");
            (peer, all.len())
        });
        turn_until(event_loop, || shutdown.is_finished());
        assert!(!tcp.is_active(), "all of it is written");
        assert_eq!(reader.join().expect("it ends").1, queued);

        let canceled = Tcp::new(event_loop);
        let connect = canceled.connect(server.local_addr().expect("it has an address"));
        assert!(canceled.is_active() && connect.cancel());
        assert!(!canceled.is_active());
    });
}

/// H-02, H-23: from close on a stream is inactive, whatever it was doing.
#[test]
fn closed_stream_is_inactive_although_its_requests_are_unfinished() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let write = tcp.write("x");
        tcp.close();
        assert!(!tcp.is_active() && !write.is_finished());
        write.then(|written| assert!(is_canceled(&written.expect_err("it was cut short"))));
    });
}

/// An active handle lives on when nobody holds it; one that does nothing is closed by the drop of the last clone, without
/// a word. A pending event does not count.
#[test]
fn active_handle_lives_on_and_an_idle_one_goes_with_its_last_clone() {
    for_each(|variety| {
        let event_loop = new_loop();
        if variety.can_be_started() {
            let sample = (variety.make)(&event_loop);
            assert_eq!(walked(&event_loop).len(), 1);
            drop(sample);
            assert!(walked(&event_loop).is_empty());
        }
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let Sample { handle, start, stop, provoke } =
            variety.started(&event_loop, move || counter.set(counter.get() + 1));
        drop((handle, start, stop));
        assert_eq!(walked(&event_loop), [variety.kind.to_string()]);
        provoke();
        turn_until(&event_loop, || calls.get() > 0);
    });
}

// ---- closing --------------------------------------------------------------------------------------------------------

/// H-08: a closing handle keeps the loop alive until its close callback has run, referenced or not.
#[test]
fn closing_handle_keeps_the_loop_alive_until_it_is_closed() {
    for_each(|variety| {
        for referenced in [true, false] {
            let event_loop = new_loop();
            let sample = variety.started(&event_loop, || {});
            if !referenced {
                sample.handle.unref();
            }
            let journal = Journal::new();
            let close = sample.handle.close();
            assert!(event_loop.is_alive());
            let reasons = event_loop.alive_because();
            assert_eq!(reasons.len(), 1);
            assert_eq!(reasons[0].kind, AliveKind::Handle(variety.kind));
            assert_eq!(reasons[0].state, "closing");
            close.then(journal.result("close"));
            event_loop.run().expect("the loop runs");
            journal.assert_is(&["close ok"]);
            assert!(!event_loop.is_alive());
        }
    });
}

/// H-09, H-12, H-17: close never calls back inside the call, and does so once; the handle is closing from the call on,
/// in the close callback too. A second close changes nothing; its request ends with the first.
#[test]
fn close_calls_back_later_and_once_however_often_it_is_called() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let Sample { handle, .. } = variety.started(event_loop, || {});
            let (first, second, third) = (expect(1), expect(1), expect(1));
            let seen = Rc::clone(&handle);
            let after_first = first.clone();
            handle.close().then(move |closed| {
                closed.expect("closing cannot fail");
                first.hit();
                assert!(seen.is_closing() && !seen.is_active());
                // It ends with the first one, so it is still heard in this closing phase.
                seen.close().then(move |_| {
                    third.hit();
                });
            });
            assert_eq!(after_first.hits(), 0);
            let repeated = handle.close();
            assert!(!repeated.is_finished() && !repeated.cancel());
            repeated.then(move |closed| {
                closed.expect("closing cannot fail");
                assert_eq!(after_first.hits(), 1);
                second.hit();
            });
            turn(event_loop);
            assert!(result_of(handle.close()).is_ok(), "over already");
        });
    });
}

/// H-09: a close can be awaited, by several.
#[test]
fn close_can_be_awaited() {
    for_each(|variety| {
        let event_loop = new_loop();
        let Sample { handle, .. } = variety.started(&event_loop, || {});
        let both = async { (handle.close().await, handle.close().await) };
        let (first, second) = event_loop.block_on(both).expect("the loop runs");
        first.expect("closing cannot fail");
        second.expect("closing cannot fail");
        assert!(walked(&event_loop).is_empty());
    });
}

/// H-10, SG-10: after close no callback of the handle runs, though it had a reason to.
#[test]
fn nothing_is_heard_of_a_closed_handle() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let sample = variety.started(event_loop, || panic!("it was closed"));
            (sample.provoke)();
            sample.handle.close();
            (sample.provoke)();
        });
    });
}

/// H-11: a handle may be closed in its own callback, which is then not called again.
#[test]
fn handle_may_be_closed_in_its_own_callback() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let own: Rc<RefCell<Option<Rc<dyn Handle>>>> = Rc::default();
            let (handle, called, closed) = (Rc::clone(&own), expect(1), expect(1));
            let sample = variety.started(event_loop, move || {
                called.hit();
                let closed = closed.clone();
                let handle = handle.take().expect("it was put there");
                handle.close().then(move |_| {
                    closed.hit();
                });
                assert!(handle.is_closing() && !handle.is_active());
            });
            own.replace(Some(Rc::clone(&sample.handle)));
            (sample.provoke)();
            (sample.provoke)();
            event_loop.run().expect("the loop runs");
        });
    });
}

/// Has `f` called in one of the phases of the next turn.
fn call_in(phase: &str, event_loop: &LoopHandle, f: impl FnOnce() + 'static) {
    let mut f = Some(f);
    let mut once = move || f.take().map(|f| f()).expect("it is called once");
    match phase {
        "pending" => event_loop.defer(move |_| once()),
        "idle" => {
            let start = Idle::new(event_loop).start(move |idle| {
                idle.close();
                once();
            });
            start.expect("a new handle can be started");
        }
        "prepare" => {
            let start = Prepare::new(event_loop).start(move |prepare| {
                prepare.close();
                once();
            });
            start.expect("a new handle can be started");
        }
        "I/O" => {
            let notifier = Notifier::new(event_loop, move |notifier| {
                notifier.close();
                once();
            });
            let sender = notifier.expect("a notifier can be made").sender();
            sender.send().expect("it is open");
        }
        "check" => {
            let start = Check::new(event_loop).start(move |check| {
                check.close();
                once();
            });
            start.expect("a new handle can be started");
        }
        "closing" => drop(Timer::new(event_loop).close().then(move |_| once())),
        "timer" => drop(Timer::after(event_loop, ZERO, move |_| once())),
        _ => unreachable!(),
    }
}

/// H-13, H-14: what is closed before the closing phase gets its close callback in this turn's, after check; what is
/// closed in it or in a timer, in the next turn's.
#[test]
fn close_callback_comes_in_the_closing_phase_that_is_next() {
    let _watchdog = watchdog();
    for phase in ["pending", "idle", "prepare", "I/O", "check", "closing", "timer"] {
        let event_loop = new_loop();
        let journal = Journal::new();
        let (notes, closing) = (journal.clone(), Timer::new(&event_loop));
        call_in(phase, &event_loop, move || {
            notes.note("close");
            closing.close().then(move |_| notes.note("closed"));
        });
        let check = Check::new(&event_loop);
        let notes = journal.clone();
        check.start(move |_| notes.note("check")).expect("a new handle can be started");
        turn(&event_loop);
        journal.note("next turn");
        turn(&event_loop);
        let expected = match phase {
            // The check handle that closes was started before the one that notes.
            "pending" | "idle" | "prepare" | "I/O" | "check" => {
                ["close", "check", "closed", "next turn", "check"]
            }
            _ => ["check", "close", "next turn", "check", "closed"],
        };
        assert_eq!(journal.entries(), expected, "closed in {phase}");
    }
}

/// H-15: of several handles closed in one turn, whatever their kinds, the first one closed is the first one called.
#[test]
fn handles_closed_first_are_called_first() {
    for_each(|variety| {
        let event_loop = new_loop();
        let journal = Journal::new();
        let samples: Vec<Sample> = (0..3).map(|_| variety.started(&event_loop, || {})).collect();
        let timer = Timer::new(&event_loop);
        samples[1].handle.close().then(journal.result("second"));
        timer.close().then(journal.result("timer"));
        samples[2].handle.close().then(journal.result("third"));
        samples[0].handle.close().then(journal.result("first"));
        timer.close().then(journal.result("timer again"));
        event_loop.run().expect("the loop runs");
        journal.assert_is(&["second ok", "timer ok", "timer again ok", "third ok", "first ok"]);
    });
}

/// H-16: the descriptor goes in the call of close: the peer sees it before the close callback.
#[test]
fn peer_sees_a_close_before_its_callback() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let closed = expect(1);
        let not_yet = closed.clone();
        tcp.read_start(|_, _| panic!("it was closed")).expect("a connection can be read");
        tcp.close().then(move |_| {
            closed.hit();
        });
        assert_eq!(peer.read(&mut [0]).expect("it ends"), 0);
        assert_eq!(not_yet.hits(), 0);
    });
}

/// H-16: the port of a listener is free before the close callback.
#[test]
fn port_is_free_before_the_close_callback() {
    with_loop(|event_loop| {
        // Another process may be given the port in between, but hardly each time.
        let is_free_at_once = (0..5).any(|_| {
            let server = Tcp::new(event_loop);
            server.bind("127.0.0.1:0").expect("loopback has a free port");
            server.listen(8, |_, _| {}).expect("a bound socket can listen");
            let addr = server.local_addr().expect("it has an address");
            assert!(TcpListener::bind(addr).is_err(), "in use");
            server.close();
            TcpListener::bind(addr).is_ok()
        });
        assert!(is_free_at_once);
    });
}

// ---- misuse ---------------------------------------------------------------------------------------------------------

/// Every operation of a stream that starts something, with the misuse that it reports.
fn refusals(tcp: &Tcp) -> Vec<(&'static str, Misuse)> {
    let address = || "127.0.0.1:7000";
    let slices = [IoSlice::new(b"x")];
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let results = [
        ("open", tcp.open(std_pair().0).map_err(io::Error::from)),
        ("open_listener", tcp.open_listener(listener).map_err(io::Error::from)),
        ("into_std", tcp.clone().into_std().map(drop).map_err(io::Error::from)),
        ("into_std_listener", tcp.clone().into_std_listener().map(drop).map_err(io::Error::from)),
        ("set_only_v6", tcp.set_only_v6(true)),
        ("accept_with_addr", tcp.accept_with_addr().map(drop)),
        ("bind", tcp.bind(address())),
        ("set_reuse_port", tcp.set_reuse_port(true)),
        ("set_nodelay", tcp.set_nodelay(true)),
        ("set_keepalive", tcp.set_keepalive(None)),
        ("set_keepalive_with", tcp.set_keepalive_with(SHORT, SHORT, 1)),
        ("connect", result_of(tcp.connect(address()))),
        ("connect_timeout", result_of(tcp.connect_timeout(address(), SHORT))),
        ("listen", tcp.listen(8, |_, _| {})),
        ("listen_only", tcp.listen_only(8)),
        ("accept", tcp.accept().map(drop)),
        ("read_start", tcp.read_start(|_, _| {})),
        ("write", result_of(tcp.write("x"))),
        ("write_vectored", result_of(tcp.write_vectored(&slices))),
        ("try_write", tcp.try_write(b"x").map(drop)),
        ("try_write_vectored", tcp.try_write_vectored(&slices).map(drop)),
        ("set_send_buffer_size", tcp.set_send_buffer_size(32_000)),
        ("set_recv_buffer_size", tcp.set_recv_buffer_size(32_000)),
        ("shutdown", result_of(tcp.shutdown())),
        ("drained", result_of(tcp.drained())),
    ];
    results.map(|(name, result)| (name, misuse(result))).to_vec()
}

/// Fails unless every await of an event of the stream is canceled at once.
#[track_caller]
fn assert_awaits_are_canceled(tcp: &Tcp) {
    let results = [
        ("accept_next", poll_once(tcp.accept_next()).map_ok(drop)),
        ("read_once", poll_once(tcp.read_once()).map_ok(drop)),
        ("read_into", poll_once(tcp.read_into(&mut Vec::new())).map_ok(drop)),
        ("read_with", poll_once(tcp.read_with(|_| {})).map_ok(drop)),
    ];
    for (operation, result) in results {
        let is_canceled = matches!(&result, Poll::Ready(Err(err)) if is_canceled(err));
        assert!(is_canceled, "{operation}: {result:?}");
    }
}

/// H-18: starting a handle that is closing or closed is one error for all kinds, and changes nothing.
#[test]
fn closed_handle_cannot_be_started() {
    for_each(|variety| {
        if !variety.can_be_started() {
            return;
        }
        with_loop(|event_loop| {
            let sample = variety.started(event_loop, || {});
            let drops = Drops::new();
            let refused = |round| {
                let token = drops.token();
                let err = (sample.start)(Box::new(move || token.keep())).expect_err("it is closed");
                assert_eq!(Misuse::of(&err), Some(Misuse::Closing));
                assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
                assert_eq!(drops.count(), round, "the callback was not kept");
                assert!(!sample.handle.is_active());
            };
            sample.handle.close();
            refused(1);
            event_loop.run().expect("the loop runs");
            refused(2);
        });
    });
}

/// H-18, Z-05: the same goes for every operation of a stream; those that return a request report it there. To await an
/// event is no start: that is canceled.
#[test]
fn closed_stream_refuses_every_operation() {
    with_loop(|event_loop| {
        let (connected, _peer) = connected_pair(event_loop);
        for tcp in [Tcp::new(event_loop), connected] {
            tcp.close();
            for (operation, misuse) in refusals(&tcp) {
                assert_eq!(misuse, Misuse::Closing, "{operation}");
            }
            assert_awaits_are_canceled(&tcp);
            assert!(!tcp.is_readable() && !tcp.is_writable() && !tcp.needs_drain());
            tcp.finish().then(|finished| finished.expect("it is a close"));
            tcp.close_reset().then(|closed| closed.expect("it is a close"));
        }
        let timer = Timer::new(event_loop);
        timer.start(ZERO, SHORT, |_| {}).expect("a new handle can be started");
        timer.close();
        assert_eq!(misuse(timer.again()), Misuse::Closing);
        assert_eq!(timer.due_in(), ZERO);
    });
}

/// H-19: stopping a handle that was never started, that is stopped, closing or closed does nothing.
#[test]
fn stop_is_always_possible() {
    for_each(|variety| {
        if !variety.can_be_stopped() {
            return;
        }
        with_loop(|event_loop| {
            let sample = (variety.make)(event_loop);
            (sample.stop)();
            (sample.start)(Box::new(|| {})).expect("it can be started");
            (sample.stop)();
            (sample.stop)();
            assert!(!sample.handle.is_active() && !sample.handle.is_closing());
            sample.handle.close();
            (sample.stop)();
            event_loop.run().expect("the loop runs");
            (sample.stop)();
        });
    });
}

/// H-20: what makes a handle and fails leaves nothing behind: no handle, and no callback.
#[test]
fn constructor_that_fails_leaves_nothing() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let server = Tcp::new(&event_loop);
    assert_eq!(misuse(server.accept()), Misuse::NotListening);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen_only(8).expect("a bound socket can listen");
    assert_eq!(server.accept().expect_err("nobody").kind(), io::ErrorKind::WouldBlock);
    assert_eq!(walked(&event_loop), ["tcp"]);
    assert!(!event_loop.is_alive());

    let gone = event_loop.handle().clone();
    drop(event_loop);
    let drops = Drops::new();
    let token = drops.token();
    assert_eq!(misuse(Notifier::new(&gone, move |_| token.keep())), Misuse::LoopGone);
    assert_eq!(misuse(Notifier::wake_only(&gone)), Misuse::LoopGone);
    assert_eq!(drops.count(), 1);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let refused = luvio::Poll::new(&gone, socket).expect_err("the loop is gone");
    assert_eq!(Misuse::of(&refused.error), Some(Misuse::LoopGone));
    assert_eq!(misuse(luvio::Pipe::pair(&gone).map(drop)), Misuse::LoopGone);
    assert!(walked(&gone).is_empty() && !gone.is_alive());
}

/// H-21: a stream has a descriptor from bind, connect, accept or open until close. (Kinds without one have no such
/// method.)
#[test]
fn descriptor_can_be_asked_for_while_there_is_one() {
    with_loop(|event_loop| {
        let refused = |tcp: &Tcp| {
            assert_eq!(misuse(tcp.fileno()).name(), "EBADF");
            assert_eq!(misuse(tcp.with_fd(|_| panic!("there is none"))).name(), "EBADF");
        };
        let server = Tcp::new(event_loop);
        refused(&server);
        server.bind("127.0.0.1:0").expect("loopback has a free port");
        let bound = server.fileno().expect("it has one");
        server.listen_only(8).expect("a bound socket can listen");
        assert_eq!(server.fileno().expect("it has one"), bound);

        let (here, _there) = std_pair();
        let adopted = here.as_raw_fd();
        let tcp = Tcp::new(event_loop);
        tcp.open(here).expect("a connected socket can be adopted");
        assert_eq!(tcp.fileno().expect("it has one"), adopted);
        assert_eq!(tcp.with_fd(|fd| fd.as_raw_fd()).expect("it has one"), adopted);

        for tcp in [server, tcp] {
            let closed = tcp.clone();
            tcp.close().then(move |_| drop(closed.fileno().expect_err("it is closed")));
            refused(&tcp);
            turn(event_loop);
            refused(&tcp);
        }
    });
}

/// H-24: a closed handle, whose slot another one has now, is recognised in every call and cannot touch the other.
#[test]
fn closed_handle_cannot_touch_the_one_that_has_its_slot() {
    for_each(|variety| {
        let event_loop = new_loop();
        let old = variety.started(&event_loop, || panic!("it was closed"));
        let close = old.handle.close();
        turn(&event_loop);
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let new = variety.started(&event_loop, move || counter.set(counter.get() + 1));
        assert!(close.is_finished(), "that of the old one");
        assert!(!close.cancel());

        old.handle.unref();
        if variety.can_be_started() {
            assert_eq!(misuse((old.start)(Box::new(|| panic!()))), Misuse::Closing);
        }
        if variety.can_be_stopped() {
            (old.stop)();
        }
        let closed = Rc::new(Cell::new(false));
        let heard = Rc::clone(&closed);
        old.handle.close().then(move |_| heard.set(true));
        assert!(old.handle.is_closing() && !old.handle.is_active());
        if let Some(tcp) = old.handle.as_any().downcast_ref::<Tcp>() {
            assert!(refusals(tcp).iter().all(|&(_, misuse)| misuse == Misuse::Closing));
            assert_awaits_are_canceled(tcp);
        }

        assert!(new.handle.is_active() && new.handle.has_ref() && !new.handle.is_closing());
        assert_eq!(walked(&event_loop), [variety.kind.to_string()]);
        drop(old);
        (new.provoke)();
        turn_until(&event_loop, || calls.get() > 0 && closed.get());
        assert!(!new.handle.is_closing());
    });
}

/// H-24: so it is with the requests of a closed handle.
#[test]
fn request_of_a_closed_handle_cannot_touch_the_one_that_has_its_slot() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (old, _peer) = connected_pair(&event_loop);
    fill(&old);
    let write = old.write("x");
    let heard = old.write("y").then(|_| {});
    old.close();
    turn(&event_loop);

    let (new, _peer) = connected_pair(&event_loop);
    fill(&new);
    let queued = new.write("z");
    let size = new.write_queue_size();
    assert!(write.is_finished() && !write.cancel() && !heard.cancel());
    assert!(is_canceled(&result_of(write).expect_err("its handle was closed")));
    assert!(!queued.is_finished());
    assert_eq!(new.write_queue_size(), size);
}

// ---- what is dropped when -------------------------------------------------------------------------------------------

/// H-25: the callback and its captures live until the handle is completely closed, and its close callback has run.
#[test]
fn callback_is_dropped_after_the_close_callback() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let drops = Drops::new();
            let token = drops.token();
            let sample = variety.started(event_loop, move || token.keep());
            let (at_close, closed) = (drops.clone(), expect(1));
            sample.handle.close().then(move |_| {
                closed.hit();
                assert_eq!(at_close.count(), 0);
            });
            assert_eq!(drops.count(), 0);
            turn(event_loop);
            assert_eq!(drops.count(), 1);
        });
    });
}

/// H-25: a callback that closes its own handle is dropped after it has returned, not while it runs.
#[test]
fn callback_that_closes_its_handle_is_dropped_after_it_returned() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let own: Rc<RefCell<Option<Rc<dyn Handle>>>> = Rc::default();
            let (drops, handle) = (Drops::new(), Rc::clone(&own));
            let (token, inside, at_close) = (drops.token(), drops.clone(), drops.clone());
            let sample = variety.started(event_loop, move || {
                token.keep();
                // It holds its own handle, too, which only the end of the closing can break.
                let at_close = at_close.clone();
                let handle = handle.borrow().clone().expect("it was put there");
                handle.close().then(move |_| assert_eq!(at_close.count(), 0));
                assert_eq!(inside.count(), 0);
            });
            own.replace(Some(Rc::clone(&sample.handle)));
            (sample.provoke)();
            event_loop.run().expect("the loop runs");
            assert_eq!(drops.count(), 1);
        });
    });
}

/// H-25: the same goes for a reader that hears of the end, or of an error, and closes its handle there.
#[test]
fn reader_that_closes_its_handle_at_the_end_lives_until_it_is_closed() {
    with_loop(|event_loop| {
        let ends: [fn(TcpStream); 2] = [drop, reset];
        for end in ends {
            let (tcp, peer) = connected_pair(event_loop);
            let (drops, closed) = (Drops::new(), expect(1));
            let (token, at_close) = (drops.token(), drops.clone());
            let read = tcp.read_start(move |tcp, chunk| {
                token.keep();
                assert!(!matches!(chunk, Ok(Some(_))));
                let (closed, at_close) = (closed.clone(), at_close.clone());
                tcp.close().then(move |_| {
                    closed.hit();
                    assert_eq!(at_close.count(), 0);
                });
            });
            read.expect("a connection can be read");
            end(peer);
            event_loop.run().expect("the loop runs");
            assert_eq!(drops.count(), 1);
        }
    });
}

/// H-25: one that does not close its handle is dropped when it has returned, by a panic too, or replaced if it reads again.
#[test]
fn reader_at_the_end_is_dropped_when_it_has_returned() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tcp, peer) = connected_pair(&event_loop);
    drop(peer);
    let drops = Drops::new();
    for panics in [false, true] {
        let (token, inside) = (drops.token(), drops.clone());
        let read = tcp.read_start(move |_, _| {
            token.keep();
            assert!(!panics, "at the end");
            assert_eq!(inside.count(), 0);
        });
        read.expect("a connection can be read");
        let run = catch_unwind(AssertUnwindSafe(|| turn_until(&event_loop, || !tcp.is_active())));
        assert_eq!(run.is_err(), panics);
        assert_eq!(drops.count(), 1 + usize::from(panics));
    }
    let (token, second) = (drops.token(), drops.token());
    let again = Rc::new(Cell::new(Some(second)));
    let read = tcp.read_start(move |tcp, _| {
        token.keep();
        let second = again.take().expect("the end is told once");
        tcp.read_start(move |_, _| second.keep()).expect("it can be read again");
        assert!(tcp.is_active());
    });
    read.expect("a connection can be read");
    while drops.count() < 3 {
        turn(&event_loop);
    }
    while tcp.is_active() {
        turn(&event_loop);
    }
    assert_eq!(drops.count(), 4);
}

/// H-25: a callback that stops or restarts its own handle is dropped after it has returned, and the new one stays.
#[test]
fn callback_that_replaces_itself_is_dropped_after_it_returned() {
    for_each(|variety| {
        if !variety.can_be_stopped() {
            return;
        }
        let event_loop = new_loop();
        let own: Rc<RefCell<Option<Rc<Sample>>>> = Rc::default();
        let (drops, calls, sample) = (Drops::new(), Rc::new(Cell::new(0)), Rc::clone(&own));
        let (token, inside, counter) = (drops.token(), drops.clone(), Rc::clone(&calls));
        let made = Rc::new(variety.started(&event_loop, move || {
            token.keep();
            let sample = sample.borrow().clone().expect("it was put there");
            let counter = Rc::clone(&counter);
            (sample.stop)();
            let start = (sample.start)(Box::new(move || counter.set(counter.get() + 1)));
            start.expect("it can be started again");
            assert_eq!(inside.count(), 0);
            (sample.provoke)();
        }));
        own.replace(Some(Rc::clone(&made)));
        (made.provoke)();
        while calls.get() == 0 {
            turn(&event_loop);
        }
        assert_eq!(drops.count(), 1);
        own.take();
    });
}

/// What a callback captured, with a destructor that does what it likes.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> OnDrop<F> {
    fn keep(&self) {}
}

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// H-25: the destructor of what a callback captured may use the loop and any handle, that of the callback included.
#[test]
fn destructor_of_a_capture_may_use_the_loop() {
    for_each(|variety| {
        with_loop(|event_loop| {
            let (dropped, fired, closed) = (expect(1), expect(1), expect(1));
            let own: Rc<RefCell<Option<Rc<dyn Handle>>>> = Rc::default();
            let (handle, this) = (Rc::clone(&own), event_loop.handle().clone());
            let capture = OnDrop(move || {
                dropped.hit();
                let (fired, closed) = (fired.clone(), closed.clone());
                Timer::after(&this, ZERO, move |_| {
                    fired.hit();
                });
                let handle = handle.take().expect("it was put there");
                assert!(walked(&this).contains(&"timer".to_string()));
                handle.close().then(move |_| {
                    closed.hit();
                });
            });
            let sample = variety.started(event_loop, move || capture.keep());
            own.replace(Some(Rc::clone(&sample.handle)));
            sample.handle.close();
        });
    });
}

/// The drop of the loop drops every callback, also of a handle that was closing, and calls none.
#[test]
fn drop_of_the_loop_drops_the_callbacks() {
    for_each(|variety| {
        let event_loop = new_loop();
        let drops = Drops::new();
        let (started, closing) = (drops.token(), drops.token());
        let sample = variety.started(&event_loop, move || {
            started.keep();
            panic!("the drop calls nobody");
        });
        (sample.provoke)();
        let sample = variety.started(&event_loop, move || closing.keep());
        sample.handle.close().then(|_| panic!("the drop calls nobody"));
        drop(event_loop);
        assert_eq!(drops.count(), 2);
    });
}

/// A destructor that runs in the drop of the loop meets a loop that is gone and handles that are closed: its own, those
/// made before it and those made after it.
#[test]
fn destructor_in_the_drop_of_the_loop_meets_a_loop_that_is_gone() {
    let look = |event_loop: &LoopHandle, handles: &[Rc<dyn Handle>]| {
        assert!(!event_loop.is_alive() && walked(event_loop).is_empty());
        assert!(event_loop.alive_because().is_empty());
        assert_eq!(event_loop.backend_timeout(), Some(ZERO));
        let late = Timer::after(event_loop, ZERO, |_| panic!("the loop is gone"));
        assert!(late.is_closing());
        for handle in handles {
            assert!(handle.is_closing() && !handle.is_active(), "{}", handle.kind());
            assert!(result_of(handle.close()).is_ok());
            if let Some(tcp) = handle.as_any().downcast_ref::<Tcp>() {
                assert_eq!(misuse(result_of(tcp.write("x"))), Misuse::LoopGone);
                assert_eq!(misuse(tcp.read_start(|_, _| {})), Misuse::LoopGone);
            }
        }
    };
    for_each(|variety| {
        let event_loop = new_loop();
        let handles: Rc<RefCell<Vec<Rc<dyn Handle>>>> = Rc::default();
        let destructors = Rc::new(Cell::new(0));
        let capture = || {
            let (this, handles) = (event_loop.handle().clone(), Rc::clone(&handles));
            let destructors = Rc::clone(&destructors);
            OnDrop(move || {
                destructors.set(destructors.get() + 1);
                look(&this, &handles.borrow());
            })
        };
        let (first, second, third, fourth) = (capture(), capture(), capture(), capture());
        let (before, _peer) = connected_pair(&event_loop);
        before.read_start(move |_, _| first.keep()).expect("a connection can be read");
        let sample = variety.started(&event_loop, move || second.keep());
        let (after, _peer) = connected_pair(&event_loop);
        fill(&after);
        after.write("x").then(move |_| third.keep());
        event_loop.spawn(async move {
            fourth.keep();
            std::future::pending::<()>().await;
        });
        *handles.borrow_mut() = vec![Rc::new(before), sample.handle, Rc::new(after)];
        drop(event_loop);
        assert_eq!(destructors.get(), 4);
    });
}

// ---- without a loop -------------------------------------------------------------------------------------------------

/// A handle whose loop was dropped is safe: queries say no, stop and close do nothing, all else is a misuse.
#[test]
fn handle_whose_loop_was_dropped_is_safe_to_use() {
    for_each(|variety| {
        let event_loop = new_loop();
        let sample = variety.started(&event_loop, || panic!("the loop is gone"));
        drop(event_loop);
        let Sample { handle, start, stop, provoke } = sample;
        assert!(!handle.is_active() && handle.is_closing() && handle.has_ref());
        assert!(!handle.event_loop().is_alive());
        if variety.can_be_started() {
            assert_eq!(misuse(start(Box::new(|| {}))), Misuse::LoopGone);
        }
        if variety.can_be_stopped() {
            stop();
        }
        provoke();
        handle.unref();
        handle.ref_();
        assert!(handle.close().is_finished());
        let drops = Drops::new();
        let token = drops.token();
        handle.close().then(move |_| {
            token.keep();
            panic!("no loop could call it");
        });
        assert_eq!(drops.count(), 1);
        let other = new_loop();
        let closed = other.block_on(handle.close()).expect("the loop runs");
        closed.expect("closing cannot fail");
        if let Some(tcp) = handle.as_any().downcast_ref::<Tcp>() {
            let gone = refusals(tcp).into_iter().filter(|&(_, misuse)| misuse == Misuse::LoopGone);
            assert_eq!(gone.count(), refusals(tcp).len());
            assert_awaits_are_canceled(tcp);
            assert_eq!(misuse(tcp.fileno()).name(), "EBADF");
        }
    });
}

/// A handle made on a loop that was dropped is closed from the start.
#[test]
fn handle_made_on_a_loop_that_was_dropped_is_closed() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let gone = event_loop.handle().clone();
    drop(event_loop);
    let hooks = (Idle::new(&gone), Prepare::new(&gone), Check::new(&gone));
    let (timer, tcp) = (Timer::new(&gone), Tcp::new(&gone));
    assert_eq!(misuse(hooks.0.start(|_| {})), Misuse::LoopGone);
    assert_eq!(misuse(hooks.1.start(|_| {})), Misuse::LoopGone);
    assert_eq!(misuse(hooks.2.start(|_| {})), Misuse::LoopGone);
    assert_eq!(misuse(timer.start(ZERO, ZERO, |_| {})), Misuse::LoopGone);
    assert_eq!(misuse(timer.again()), Misuse::LoopGone);
    for (operation, misuse) in refusals(&tcp) {
        assert_eq!(misuse, Misuse::LoopGone, "{operation}");
    }
    assert_awaits_are_canceled(&tcp);
    let mut handles: Vec<Rc<dyn Handle>> =
        vec![Rc::new(hooks.0), Rc::new(hooks.1), Rc::new(hooks.2), Rc::new(timer), Rc::new(tcp)];
    #[cfg(feature = "signal")]
    {
        let signal = luvio::Signal::new(&gone);
        assert_eq!(misuse(signal.start(SIGNAL, |_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(signal.start_oneshot(SIGNAL, |_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(signal.start_only(SIGNAL)), Misuse::LoopGone);
        handles.push(Rc::new(signal));
    }
    for handle in handles.drain(..) {
        assert!(handle.is_closing() && !handle.is_active(), "{}", handle.kind());
        assert!(result_of(handle.close()).is_ok());
    }
    let drops = Drops::new();
    let token = drops.token();
    let timer = Timer::after(&gone, ZERO, move |_| token.keep());
    assert!(timer.is_closing() && drops.count() == 1);
}

// ---- what a handle says of itself -----------------------------------------------------------------------------------

/// A handle knows the place that made it, its loop, and shows both in `walk`, as what it is.
#[test]
fn handle_knows_its_place_its_loop_and_its_kind() {
    with_loop(|event_loop| {
        #[track_caller]
        fn check(handle: &dyn Handle, event_loop: &LoopHandle) {
            let (place, here) = (handle.created_at(), Location::caller());
            assert_eq!(
                (place.file(), place.line()),
                (here.file(), here.line()),
                "{}",
                handle.kind()
            );
            let reached = Rc::new(Cell::new(false));
            let reach = Rc::clone(&reached);
            handle.event_loop().defer(move |_| reach.set(true));
            assert!(event_loop.is_alive());
            assert!(!reached.get());
        }
        let loop_handle = event_loop.handle();
        check(&Timer::new(event_loop), loop_handle);
        check(&Timer::after(event_loop, ZERO, |_| {}), loop_handle);
        check(&Idle::new(event_loop), loop_handle);
        check(&Prepare::new(event_loop), loop_handle);
        check(&Check::new(event_loop), loop_handle);
        check(&Tcp::new(event_loop), loop_handle);
        #[cfg(feature = "signal")]
        check(&luvio::Signal::new(event_loop), loop_handle);
        let made = [
            (Notifier::new(event_loop, |_| {}), line!()),
            (Notifier::wake_only(event_loop), line!()),
        ];
        for (notifier, line) in made {
            let notifier = notifier.expect("a notifier can be made");
            assert_eq!(notifier.created_at().line(), line);
            notifier.close();
        }

        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").expect("loopback has a free port");
        server.listen_only(8).expect("a bound socket can listen");
        let addr = server.local_addr().expect("it has an address");
        let _clients = [TcpStream::connect(addr), TcpStream::connect(addr)].map(Result::unwrap);
        let (accepted, line) = (server.accept().expect("two are waiting"), line!());
        assert_eq!(accepted.created_at().line(), line);
        let next = async { (server.accept_next().await, line!()) };
        let (accepted, line) = event_loop.block_on(next).expect("the loop runs");
        assert_eq!(accepted.expect("one is waiting").created_at().line(), line);
    });
}

/// `walk` shows each kind as itself, and everything can be asked and done there that its own methods offer.
#[test]
fn walk_shows_each_handle_as_what_it_is() {
    for_each(|variety| {
        let event_loop = new_loop();
        let sample = variety.started(&event_loop, || {});
        let mut shown = 0;
        event_loop.walk(|handle| {
            shown += 1;
            let any = handle.as_any();
            let is_it = match handle.kind() {
                Kind::Timer => any.is::<Timer>(),
                Kind::Idle => any.is::<Idle>(),
                Kind::Prepare => any.is::<Prepare>(),
                Kind::Check => any.is::<Check>(),
                Kind::Notifier => any.is::<Notifier>(),
                Kind::Tcp => any.is::<Tcp>(),
                Kind::Pipe => any.is::<Pipe>(),
                Kind::Poll => any.is::<luvio::Poll>(),
                #[cfg(feature = "signal")]
                Kind::Signal => any.is::<luvio::Signal>(),
                other => panic!("unknown: {other}"),
            };
            assert!(is_it && handle.kind() == variety.kind);
            assert_eq!(handle.created_at(), sample.handle.created_at());
            assert!(handle.is_active() && !handle.is_closing() && handle.has_ref());
            handle.unref();
            assert!(!sample.handle.has_ref() && !handle.event_loop().is_alive());
            handle.ref_();
            handle.close();
            assert!(sample.handle.is_closing());
        });
        assert_eq!(shown, 1);
        event_loop.run().expect("the loop runs");
        assert!(walked(&event_loop).is_empty());
    });
}

/// The debug output says what kind it is, what it is doing, and where it was made.
#[test]
fn debug_output_shows_state_and_place() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (timer, line) = (Timer::after(&event_loop, ZERO, |_| {}), line!());
    let text = format!("{timer:?}");
    assert!(text.starts_with("Timer { active: true, closing: false, made_at: "), "{text}");
    assert!(text.contains(&format!("handle.rs:{line}:")), "{text}");
    timer.close();
    assert!(format!("{timer:?}").starts_with("Timer { active: false, closing: true, "));

    let notifier = Notifier::new(&event_loop, |_| {}).expect("a notifier can be made");
    let poll = luvio::Poll::new(&event_loop, UnixStream::pair().expect("a pair can be made").0);
    let shown = [
        (format!("{:?}", poll.expect("a socket can be polled")), "Poll {"),
        (format!("{:?}", Idle::new(&event_loop)), "Idle {"),
        (format!("{:?}", Prepare::new(&event_loop)), "Prepare {"),
        (format!("{:?}", Check::new(&event_loop)), "Check {"),
        (format!("{:?}", Tcp::new(&event_loop)), "Tcp {"),
        (format!("{:?}", Pipe::new(&event_loop)), "Pipe {"),
        (format!("{notifier:?}"), "Notifier {"),
        (format!("{:?}", notifier.sender()), "NotifierSender {"),
        #[cfg(feature = "signal")]
        (format!("{:?}", luvio::Signal::new(&event_loop)), "Signal {"),
    ];
    for (text, begin) in shown {
        assert!(text.starts_with(begin), "{text}");
    }
}
