//! Dropping a loop in the middle of everything: what it holds is released, nobody is called, and what is still held
//! elsewhere stays safe.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::cell::{Cell, RefCell};
use std::future::{self, Future};
use std::io;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use luvio::{
    Canceler, Check, Handle, Idle, Interest, JoinError, Loop, LoopHandle, Misuse, Notifier,
    NotifierSender, Prepare, Remote, Request, Resume, RunMode, Tcp, Timer, is_canceled,
};
use support::{
    DropToken, Drops, connected_pair, fill, misuse, new_loop, pair_with_data, turn, turn_until,
    watchdog,
};

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);
/// Ignored by default, so no other test minds it.
#[cfg(feature = "signal")]
const WINCH: i32 = luvio::Signal::WINCH;

// ---- a loop with one of everything --------------------------------------------------------------------------------

/// Makes what closures capture: a token whose drop is counted, the loop's handle, and the handle that they belong to.
#[derive(Clone)]
struct Captures {
    drops: Drops,
    made: Rc<Cell<usize>>,
    /// From here on no closure may be called.
    over: Rc<Cell<bool>>,
    /// Every token panics when it is dropped.
    explosive: Rc<Cell<bool>>,
    event_loop: LoopHandle,
}

/// What a closure or a task captures.
struct Token {
    _counted: DropToken,
    explosive: Rc<Cell<bool>>,
}

impl Token {
    /// Has a `move` closure capture it.
    fn keep(&self) {}
}

impl Drop for Token {
    fn drop(&mut self) {
        assert!(!self.explosive.get(), "a destructor panics on purpose");
    }
}

impl Captures {
    fn new(event_loop: &LoopHandle) -> Captures {
        Captures {
            drops: Drops::new(),
            made: Rc::default(),
            over: Rc::default(),
            explosive: Rc::default(),
            event_loop: event_loop.clone(),
        }
    }

    fn token(&self) -> Token {
        self.made.set(self.made.get() + 1);
        Token { _counted: self.drops.token(), explosive: Rc::clone(&self.explosive) }
    }

    /// What a closure of `handle` does when it is called. Makes the closure part of a cycle.
    fn called<H: 'static>(&self, handle: H) -> impl Fn() + use<H> {
        let (token, over) = (self.token(), Rc::clone(&self.over));
        let captured = (handle, self.event_loop.clone());
        move || {
            token.keep();
            let _ = &captured;
            assert!(!over.get(), "a closure was called");
        }
    }
}

/// What a closure that crosses threads captures. Counts its drop, and panics if it was told to by a large number.
struct SendToken(Arc<AtomicUsize>);

/// A count that makes the drop of a [`SendToken`] panic.
const EXPLOSIVE: usize = 1_000;

impl Drop for SendToken {
    fn drop(&mut self) {
        assert!(
            self.0.fetch_add(1, Ordering::SeqCst) < EXPLOSIVE,
            "a destructor panics on purpose"
        );
    }
}

/// What the program still holds when the loop is dropped.
struct Held {
    event_loop: LoopHandle,
    remote: Remote,
    sender: NotifierSender,
    posts_dropped: Arc<AtomicUsize>,
    tcps: Vec<Tcp>,
    timers: Vec<Timer>,
    polls: Vec<luvio::Poll>,
    idle: Idle,
    prepare: Prepare,
    check: Check,
    notifier: Notifier,
    #[cfg(feature = "signal")]
    signal: luvio::Signal,
    cancelers: Rc<RefCell<Vec<Canceler>>>,
}

/// The other ends of the connections.
struct Peers {
    _streams: Vec<TcpStream>,
    _ends: Vec<UnixStream>,
    #[cfg(target_os = "linux")]
    _unanswering: support::Unanswering,
}

/// Gives the loop one of everything that it can have, all of it under way.
fn one_of_everything(event_loop: &Loop, captures: &Captures) -> (Held, Peers) {
    let (mut tcps, mut streams, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    let cancelers: Rc<RefCell<Vec<Canceler>>> = Rc::default();
    let mut connected = || {
        let (tcp, peer) = connected_pair(event_loop);
        tcps.push(tcp.clone());
        streams.push(peer);
        tcp
    };
    let notifier = Notifier::new(event_loop, {
        let called = captures.called(());
        move |_| called()
    })
    .expect("a notifier can be made");

    // Tasks, each in a wait of its own.
    let awaited = connected();
    let listener = Tcp::new(event_loop);
    listener.bind("127.0.0.1:0").expect("loopback has a free port");
    let writing = connected();
    fill(&writing);
    let woken = Notifier::wake_only(event_loop).expect("a notifier can be made");
    let resumed_by = Timer::new(event_loop);
    let joined = event_loop.spawn(future::pending::<()>());
    spawn(event_loop, captures, async move { drop(awaited.read_once().await) });
    let accepting = listener.clone();
    spawn(event_loop, captures, async move { drop(accepting.accept_next().await) });
    spawn(event_loop, captures, async move { drop(writing.write("more").await) });
    spawn(event_loop, captures, async move { drop(woken.notified().await) });
    spawn(event_loop, captures, async move { drop(joined.await) });
    spawn(event_loop, captures, luvio::sleep(HOUR));
    spawn(event_loop, captures, async {
        let _ = luvio::timeout(HOUR, future::pending::<()>()).await;
    });
    let (resuming, called) = (resumed_by, captures.called(()));
    spawn(event_loop, captures, async move {
        let resumed = luvio::await_callback(|resume: Resume<()>| {
            let start = resuming.start(HOUR, ZERO, move |_| {
                resume.with(());
                called();
            });
            start.expect("a new timer can be started");
        });
        let _ = resumed.await;
    });

    // A listener with connections that wait, one of them announced.
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    let called = captures.called(server.clone());
    server.listen(8, move |_, _| called()).expect("a bound socket can listen");
    let addr = server.local_addr().expect("a listener has an address");
    clients.extend((0..2).map(|_| TcpStream::connect(addr).expect("the listener is there")));
    for _ in 0..3 {
        turn(event_loop);
    }
    spawn(event_loop, captures, async {});
    captures.over.set(true);

    let timers: Vec<Timer> = (0..4).map(|_| Timer::new(event_loop)).collect();
    for (timer, repeat) in timers.iter().zip([ZERO, HOUR, ZERO, ZERO]) {
        let called = captures.called(timer.clone());
        timer.start(ZERO, repeat, move |_| called()).expect("a new timer can be started");
    }
    timers[2].stop();
    let called = captures.called(timers[3].clone());
    timers[3].close().then(move |_| called());

    let (idle, prepare, check) =
        (Idle::new(event_loop), Prepare::new(event_loop), Check::new(event_loop));
    let called = captures.called(idle.clone());
    idle.start(move |_| called()).expect("a new handle can be started");
    let called = captures.called(prepare.clone());
    prepare.start(move |_| called()).expect("a new handle can be started");
    let called = captures.called(check.clone());
    check.start(move |_| called()).expect("a new handle can be started");

    let sender = notifier.sender();
    sender.send().expect("the notifier is open");
    #[cfg(feature = "signal")]
    let signal = {
        let signal = luvio::Signal::new(event_loop);
        let called = captures.called(signal.clone());
        signal.start(WINCH, move |_, _| called()).expect("the signal can be heard");
        signal_hook::low_level::raise(WINCH).expect("it can be raised");
        signal
    };

    let called = captures.called(());
    event_loop.defer(move |_| called());
    let posts_dropped = Arc::<AtomicUsize>::default();
    let (remote, token) = (event_loop.remote(), SendToken(Arc::clone(&posts_dropped)));
    let posted = remote.post(move |_| {
        let _token = token;
        panic!("a closure was called");
    });
    posted.expect("the loop is there");

    // A reader with data, and one that was closed just now.
    let (reading, peer) = pair_with_data(event_loop, b"data");
    let called = captures.called(reading.clone());
    reading.read_start(move |_, _| called()).expect("a connection can be read");
    let (closing, called) = (connected(), captures.called(()));
    closing.read_start(move |_, _| called()).expect("a connection can be read");
    for called in [captures.called(closing.clone()), captures.called(closing.clone())] {
        closing.close().then(move |_| called());
    }

    // A descriptor that is ready, and one that a task waits for.
    let mut ends = Vec::new();
    let mut polled = || {
        let (here, there) = UnixStream::pair().expect("a pair can be made");
        ends.push(there);
        luvio::Poll::new(event_loop, here).expect("a socket can be polled")
    };
    let polls = vec![polled(), polled()];
    let called = captures.called(polls[0].clone());
    let both = Interest::READABLE | Interest::WRITABLE;
    polls[0].start(both, move |_, _| called()).expect("a new handle can be started");
    let waiting = polls[1].clone();
    spawn(event_loop, captures, async move { drop(waiting.readable().await) });

    // Requests with callbacks: under way, and finished. What cancels each one is held by its own closure, too.
    let request = |request: Request<()>, tcp: &Tcp| {
        let called = captures.called((tcp.clone(), Rc::clone(&cancelers)));
        let canceler = request.then(move |_| called());
        cancelers.borrow_mut().push(canceler);
    };
    let half_written = connected();
    fill(&half_written);
    half_written.set_high_water(0);
    request(half_written.write("more"), &half_written);
    request(half_written.drained(), &half_written);
    request(half_written.shutdown(), &half_written);
    let finishing = connected();
    fill(&finishing);
    request(finishing.finish(), &finishing);
    let written = connected();
    request(written.write("done"), &written);
    request(Tcp::new(event_loop).write("refused"), &written);
    let canceled = connected();
    fill(&canceled);
    let write = canceled.write("more");
    assert!(write.cancel());
    request(write, &canceled);
    #[cfg(target_os = "linux")]
    let unanswering = {
        let unanswering = support::unanswering();
        let (connecting, limited) = (Tcp::new(event_loop), Tcp::new(event_loop));
        request(connecting.connect(unanswering.addr), &connecting);
        request(limited.connect_timeout(unanswering.addr, HOUR), &limited);
        unanswering
    };

    // And handles that do nothing.
    let bound = Tcp::new(event_loop);
    bound.bind("127.0.0.1:0").expect("loopback has a free port");
    connected();
    tcps.extend([listener, server, reading, bound]);
    streams.push(peer);
    streams.append(&mut clients);
    let held = Held {
        event_loop: event_loop.handle().clone(),
        remote,
        sender,
        posts_dropped,
        tcps,
        timers,
        polls,
        idle,
        prepare,
        check,
        notifier,
        #[cfg(feature = "signal")]
        signal,
        cancelers,
    };
    let peers = Peers {
        _streams: streams,
        _ends: ends,
        #[cfg(target_os = "linux")]
        _unanswering: unanswering,
    };
    (held, peers)
}

/// Spawns a task that never gets past `wait`.
fn spawn(event_loop: &LoopHandle, captures: &Captures, wait: impl Future<Output = ()> + 'static) {
    let called = captures.called(());
    event_loop.go(async move {
        wait.await;
        called();
    });
}

/// True in a process of its own, where no other test disturbs the count. Otherwise runs the test in such a one.
fn is_alone(test: &str) -> bool {
    if !support::is_child() {
        assert!(support::child(test, "").status().expect("a child").success());
    }
    support::is_child()
}

/// L-33: every closure, task and posted closure is dropped with the loop, though they capture the loop's handle, the
/// handles, and what cancels them, and though the program holds the handles; none is called.
#[test]
fn dropping_a_loop_drops_every_closure_and_calls_none() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let captures = Captures::new(&event_loop);
    let (held, _peers) = one_of_everything(&event_loop, &captures);
    assert!(captures.made.get() > 30, "{}", captures.made.get());
    drop(event_loop);
    assert_eq!(captures.drops.count(), captures.made.get());
    assert_eq!(held.posts_dropped.load(Ordering::SeqCst), 1);
}

/// L-33: every descriptor is given back with the loop, though the program holds handles, senders and remotes.
#[cfg(target_os = "linux")]
#[test]
fn dropping_a_loop_gives_every_descriptor_back() {
    use support::open_descriptors;

    if !is_alone("dropping_a_loop_gives_every_descriptor_back") {
        return;
    }
    let _watchdog = watchdog();
    let before = open_descriptors();
    let event_loop = new_loop();
    let captures = Captures::new(&event_loop);
    let (held, peers) = one_of_everything(&event_loop, &captures);
    drop(peers);
    assert!(open_descriptors() > before + 15);
    drop(event_loop);
    assert_eq!(open_descriptors(), before);
    drop(held);
}

/// L-33: what a dropped loop leaves behind is nothing at all: no cycle keeps a handle, a closure or the loop itself.
#[test]
fn a_dropped_loop_leaves_no_memory_behind() {
    // What the process has once for all signals would be freed by whichever test comes last.
    if !is_alone("a_dropped_loop_leaves_no_memory_behind") {
        return;
    }
    let _watchdog = watchdog();
    let live_after_one = || {
        let event_loop = new_loop();
        let captures = Captures::new(&event_loop);
        let (held, peers) = one_of_everything(&event_loop, &captures);
        drop(event_loop);
        drop((held, peers, captures));
        allocator::live()
    };
    // What is made once for the thread or the process is there after the first.
    live_after_one();
    let before = live_after_one();
    assert_eq!(live_after_one(), before);
}

/// L-33: the same for a loop that was dropped by the unwinding of a panic in one of its callbacks.
#[test]
fn a_loop_dropped_by_unwinding_releases_everything() {
    let _watchdog = watchdog();
    let drops = Drops::new();
    let unwound = panic::catch_unwind(AssertUnwindSafe(|| {
        let event_loop = new_loop();
        let (tcp, _peer) = pair_with_data(&event_loop, b"data");
        for _ in 0..2 {
            let token = drops.token();
            Timer::after(&event_loop, HOUR, move |_| token.keep());
        }
        let (token, own) = (drops.token(), tcp.clone());
        tcp.read_start(move |_, _| {
            token.keep();
            let _ = &own;
            panic!("on purpose");
        })
        .expect("a connection can be read");
        event_loop.run()
    }));
    assert!(unwound.is_err());
    assert_eq!(drops.count(), 3);
}

/// L-33: destructors that panic, each and every one, do not stop the drop of the loop: all others have their turn, every
/// task ends, every descriptor is given back; then the first panic goes on.
#[test]
fn destructors_that_panic_do_not_stop_the_drop_of_the_loop() {
    if !is_alone("destructors_that_panic_do_not_stop_the_drop_of_the_loop") {
        return;
    }
    let _watchdog = watchdog();
    panic::set_hook(Box::new(|_| {}));
    #[cfg(target_os = "linux")]
    let before = support::open_descriptors();
    let event_loop = new_loop();
    let captures = Captures::new(&event_loop);
    let (held, peers) = one_of_everything(&event_loop, &captures);
    drop(peers);
    captures.explosive.set(true);
    held.posts_dropped.store(EXPLOSIVE, Ordering::SeqCst);
    let text = support::panic_text(|| drop(event_loop));
    assert_eq!(text, "a destructor panics on purpose");
    assert_eq!(captures.drops.count(), captures.made.get());
    assert_eq!(held.posts_dropped.load(Ordering::SeqCst), EXPLOSIVE + 1);
    #[cfg(target_os = "linux")]
    assert_eq!(support::open_descriptors(), before);
    captures.explosive.set(false);
    for tcp in &held.tcps {
        assert_is_gone(tcp);
    }
}

/// L-33: the same while a panic unwinds the stack already, where a second one would end the process: that one is logged
/// instead.
#[test]
fn destructors_that_panic_while_the_loop_is_unwound_do_not_end_the_process() {
    if !is_alone("destructors_that_panic_while_the_loop_is_unwound_do_not_end_the_process") {
        return;
    }
    let _watchdog = watchdog();
    panic::set_hook(Box::new(|_| {}));
    let kept = Rc::new(RefCell::new(None));
    let text = support::panic_text(|| {
        let event_loop = new_loop();
        let captures = Captures::new(&event_loop);
        kept.replace(Some((one_of_everything(&event_loop, &captures), captures.clone())));
        captures.explosive.set(true);
        panic!("the first");
    });
    assert_eq!(text, "the first");
    let kept = kept.take();
    let (_, captures) = kept.as_ref().expect("it was made");
    captures.explosive.set(false);
    assert_eq!(captures.drops.count(), captures.made.get());
}

/// L-33: a loop may be dropped inside a callback of another loop, which goes on.
#[test]
fn a_loop_may_be_dropped_inside_another_ones_callback() {
    let _watchdog = watchdog();
    let outer = new_loop();
    let captures = Rc::new(RefCell::new(None));
    let made = Rc::clone(&captures);
    Timer::after(&outer, ZERO, move |_| {
        let inner = new_loop();
        let captures = Captures::new(&inner);
        let _world = one_of_everything(&inner, &captures);
        made.replace(Some(captures));
    });
    outer.run().expect("the loop runs");
    let captures = captures.take().expect("the callback ran");
    assert_eq!(captures.drops.count(), captures.made.get());
}

// ---- meanwhile ------------------------------------------------------------------------------------------------------

/// Uses the loop in its drop.
struct UsesLoop {
    event_loop: LoopHandle,
    connected: Tcp,
    timer: Timer,
    sender: NotifierSender,
    seen: Rc<Cell<usize>>,
}

impl UsesLoop {
    /// Has a `move` closure capture it.
    fn keep(&self) {}

    fn look(&self) {
        let event_loop = &self.event_loop;
        assert!(!event_loop.is_alive());
        assert!(event_loop.alive_because().is_empty());
        assert_eq!(event_loop.backend_timeout(), Some(ZERO));
        event_loop.stop();
        event_loop.defer(|_| panic!("it never runs"));
        let joined = event_loop.spawn(async { panic!("it never runs") as () });
        assert!(joined.is_finished());
        assert!(event_loop.remote().post(|_| {}).is_err());
        assert!(self.sender.send().is_err());
        assert!(Timer::new(event_loop).is_closing());
        assert_eq!(misuse(Notifier::new(event_loop, |_| {})), Misuse::LoopGone);

        // A handle that was alive and well a moment ago.
        let tcp = &self.connected;
        assert!(tcp.is_closing() && !tcp.is_active() && !tcp.is_readable() && !tcp.is_writable());
        assert_eq!(misuse(tcp.read_start(|_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(tcp.try_write(b"x")), Misuse::LoopGone);
        assert_eq!(outcome(tcp.write("x")), Misuse::LoopGone);
        assert_eq!(outcome(tcp.shutdown()), Misuse::LoopGone);
        assert_eq!(outcome(tcp.drained()), Misuse::LoopGone);
        assert_eq!(misuse(tcp.bind("127.0.0.1:0")), Misuse::LoopGone);
        assert_eq!(misuse(self.timer.start(ZERO, ZERO, |_| {})), Misuse::LoopGone);
        assert!(!self.timer.is_active());
        tcp.close().then(|_| panic!("it is never called"));
        self.seen.set(self.seen.get() + 1);
    }
}

impl Drop for UsesLoop {
    fn drop(&mut self) {
        // So that one failure is one failure: a second panic while unwinding would end the process.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.look()));
    }
}

/// How a request ended that was over at once.
fn outcome(request: Request<()>) -> Misuse {
    let mut request = pin!(request);
    match request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => misuse(result),
        Poll::Pending => panic!("not over"),
    }
}

/// L-33: a destructor that runs while the loop is dropped meets a loop and handles that are gone, whatever kind of
/// closure or task it was in.
#[test]
fn destructors_that_use_the_loop_meet_one_that_is_gone() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    // In front and behind of all others in the order of creation, which might be the order in which they go.
    let first = connected_pair(&event_loop);
    let (seen, made) = (Rc::new(Cell::new(0)), Cell::new(0));
    let held = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let running = Timer::after(&event_loop, HOUR, |_| {});
    let user = |connected: &Tcp| {
        made.set(made.get() + 1);
        UsesLoop {
            event_loop: event_loop.handle().clone(),
            connected: connected.clone(),
            timer: running.clone(),
            sender: held.sender(),
            seen: Rc::clone(&seen),
        }
    };
    macro_rules! closure {
        ($connected:expr) => {{
            let user = user($connected);
            move |_| user.keep()
        }};
    }
    let last = Rc::new(RefCell::new(None));
    let mut peers = Vec::new();
    for late in [false, true] {
        if late {
            last.replace(Some(connected_pair(&event_loop)));
        }
        let pair = last.borrow();
        let other = &pair.as_ref().unwrap_or(&first).0;
        Timer::after(&event_loop, HOUR, closure!(other));
        Idle::new(&event_loop).start(closure!(other)).expect("a new handle can be started");
        Prepare::new(&event_loop).start(closure!(other)).expect("a new handle can be started");
        Check::new(&event_loop).start(closure!(other)).expect("a new handle can be started");
        Notifier::new(&event_loop, closure!(other)).expect("a notifier can be made");
        event_loop.defer(closure!(other));
        let closing = Timer::new(&event_loop);
        closing.close().then(closure!(other));
        let server = Tcp::new(&event_loop);
        let listening = user(other);
        server.listen(1, move |_, _| listening.keep()).expect("a new handle can listen");
        let (tcp, peer) = connected_pair(&event_loop);
        let reading = user(other);
        tcp.read_start(move |_, _| reading.keep()).expect("a connection can be read");
        fill(&tcp);
        tcp.set_high_water(0);
        tcp.write("more").then(closure!(other));
        tcp.drained().then(closure!(other));
        let (finishing, finishing_peer) = connected_pair(&event_loop);
        fill(&finishing);
        finishing.finish().then(closure!(other));
        peers.extend([peer, finishing_peer]);
        #[cfg(feature = "signal")]
        {
            let signal = luvio::Signal::new(&event_loop);
            let heard = user(other);
            signal.start(WINCH, move |_, _| heard.keep()).expect("the signal can be heard");
        }
        let in_task = user(other);
        event_loop.go(async move {
            future::pending::<()>().await;
            in_task.keep();
        });
    }
    let pair = last.take();
    drop(event_loop);
    assert_eq!(seen.get(), made.get());
    drop(pair);
}

/// Sends to its loop when it is woken, in both ways, and notes what is refused.
struct Sends {
    remote: Remote,
    senders: [NotifierSender; 2],
    refused: AtomicUsize,
}

impl Wake for Sends {
    fn wake(self: Arc<Self>) {
        let refused =
            self.senders.iter().filter(|sender| misuse(sender.send()) == Misuse::LoopGone);
        let count = refused.count() + usize::from(self.remote.post(|_| {}).is_err());
        self.refused.fetch_add(count, Ordering::SeqCst);
    }
}

/// L-33, A-11: so does a waker that is woken by the drop of the loop, in front of the handles to which it sends; that one
/// of them was sent to before changes nothing.
#[test]
fn wakers_that_send_to_the_loop_meet_one_that_is_gone() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let make = || Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let (awaited, quiet, sent_to) = (make(), make(), make());
    sent_to.sender().send().expect("it is open");
    let sends = Arc::new(Sends {
        remote: event_loop.remote(),
        senders: [quiet.sender(), sent_to.sender()],
        refused: AtomicUsize::new(0),
    });
    let mut waiting = pin!(awaited.notified());
    let waker = Waker::from(Arc::clone(&sends));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(event_loop);
    assert_eq!(sends.refused.load(Ordering::SeqCst), 3);
}

// ---- what is held elsewhere -------------------------------------------------------------------------------------------

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, with a waker that is counted.
fn poll<F: Future>(wakes: &Arc<Wakes>, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

/// Fails unless it is over and was canceled.
#[track_caller]
fn assert_canceled<T>(polled: Poll<io::Result<T>>) {
    match polled {
        Poll::Ready(Err(err)) if is_canceled(&err) => {}
        Poll::Ready(Err(err)) => panic!("{err}"),
        Poll::Ready(Ok(_)) => panic!("not canceled"),
        Poll::Pending => panic!("not over"),
    }
}

/// L-33, Z-05: requests that somebody else holds or awaits end with `Canceled`; who awaits is woken.
#[test]
fn requests_held_elsewhere_end_with_canceled() {
    let _watchdog = watchdog();
    for awaited in [false, true] {
        let event_loop = new_loop();
        let (tcp, _peer) = connected_pair(&event_loop);
        fill(&tcp);
        tcp.set_high_water(0);
        let (other, _other_peer) = connected_pair(&event_loop);
        fill(&other);
        let mut requests = vec![tcp.write("more"), tcp.drained(), tcp.shutdown(), other.finish()];
        #[cfg(target_os = "linux")]
        let unanswering = support::unanswering();
        #[cfg(target_os = "linux")]
        {
            let connecting = Tcp::new(&event_loop);
            requests.push(connecting.connect(unanswering.addr));
        }
        let wakes = Arc::<Wakes>::default();
        if awaited {
            requests.iter_mut().for_each(|r| assert!(poll(&wakes, Pin::new(r)).is_pending()));
        }
        drop(event_loop);
        assert_eq!(wakes.0.load(Ordering::SeqCst), if awaited { requests.len() } else { 0 });
        for request in &mut requests {
            assert!(request.is_finished() && !request.cancel());
            assert_canceled(poll(&wakes, Pin::new(request)));
        }
    }
}

/// L-33: a request given a callback after its loop is gone drops it.
#[test]
fn callback_for_a_request_of_a_loop_that_is_gone_is_dropped() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tcp, _peer) = connected_pair(&event_loop);
    let done = tcp.write("done");
    fill(&tcp);
    tcp.set_high_water(0);
    let drops = Drops::new();
    let requests =
        [done, tcp.write("more"), tcp.drained(), tcp.shutdown(), tcp.finish(), tcp.close()];
    drop(event_loop);
    for (count, request) in requests.into_iter().enumerate() {
        let token = drops.token();
        let canceler = request.then(move |_| {
            token.keep();
            panic!("it was called");
        });
        assert!(!canceler.cancel());
        assert_eq!(drops.count(), count + 1);
    }
}

/// L-33, Z-05: the futures of handles end with `Canceled` when the loop is dropped while somebody else awaits them.
#[test]
fn futures_held_elsewhere_end_with_canceled() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let pairs: Vec<_> = (0..3).map(|_| connected_pair(&event_loop)).collect();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    let notifier = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let wakes = Arc::<Wakes>::default();
    let mut buffer = Vec::new();
    let mut read_once = pin!(pairs[0].0.read_once());
    let mut read_into = pin!(pairs[1].0.read_into(&mut buffer));
    let mut read_with = pin!(pairs[2].0.read_with(<[u8]>::len));
    let mut accept_next = pin!(server.accept_next());
    let mut notified = pin!(notifier.notified());
    let timer = Timer::after(&event_loop, HOUR, |_| {});
    let called = luvio::await_callback(|resume: Resume<()>| {
        let start = timer.start(HOUR, ZERO, move |_| {
            resume.with(());
        });
        start.expect("a timer can be started again");
    });
    let mut called = pin!(called);
    let mut joined = event_loop.spawn(future::pending::<()>());
    assert!(poll(&wakes, read_once.as_mut()).is_pending());
    assert!(poll(&wakes, read_into.as_mut()).is_pending());
    assert!(poll(&wakes, read_with.as_mut()).is_pending());
    assert!(poll(&wakes, accept_next.as_mut()).is_pending());
    assert!(poll(&wakes, notified.as_mut()).is_pending());
    assert!(poll(&wakes, called.as_mut()).is_pending());
    assert!(poll(&wakes, Pin::new(&mut joined)).is_pending());
    drop(event_loop);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 7);
    assert_canceled(poll(&wakes, read_once));
    assert_canceled(poll(&wakes, read_into));
    assert_canceled(poll(&wakes, read_with));
    assert_canceled(poll(&wakes, accept_next));
    assert_canceled(poll(&wakes, notified));
    assert!(matches!(poll(&wakes, called), Poll::Ready(Err(luvio::Canceled))));
    assert!(joined.is_finished());
    assert!(matches!(poll(&wakes, Pin::new(&mut joined)), Poll::Ready(Err(JoinError::Canceled))));
}

/// L-33: a signal that somebody awaits ends with `Canceled`, too.
#[cfg(feature = "signal")]
#[test]
fn signal_awaited_elsewhere_ends_with_canceled() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let signal = luvio::Signal::new(&event_loop);
    signal.start_only(luvio::Signal::URG).expect("the signal can be heard");
    let wakes = Arc::<Wakes>::default();
    let mut delivered = pin!(signal.delivered());
    assert!(poll(&wakes, delivered.as_mut()).is_pending());
    drop(event_loop);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_canceled(poll(&wakes, delivered));
}

// ---- afterwards -----------------------------------------------------------------------------------------------------

/// What all handles say and do when their loop is gone.
fn assert_is_gone(handle: &dyn Handle) {
    assert!(
        handle.is_closing() && !handle.is_active(),
        "{handle_kind}",
        handle_kind = handle.kind()
    );
    handle.unref();
    handle.ref_();
    assert!(handle.has_ref());
    assert!(!handle.event_loop().is_alive());
    assert!(handle.created_at().file().ends_with(".rs"));
    assert!(handle.close().is_finished());
    handle.close().then(|_| panic!("it is never called"));
}

/// L-33: every handle, sender, remote and loop handle stays safe to use after the loop is gone, and says so.
#[test]
fn what_is_held_after_the_drop_is_safe_to_use() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let captures = Captures::new(&event_loop);
    let (held, _peers) = one_of_everything(&event_loop, &captures);
    drop(event_loop);

    for tcp in &held.tcps {
        assert_is_gone(tcp);
        assert!(!tcp.is_readable() && !tcp.is_writable() && !tcp.needs_drain());
        assert_eq!(tcp.write_queue_size(), 0);
        tcp.read_stop();
        tcp.set_high_water(1);
        assert_eq!(misuse(tcp.bind("127.0.0.1:0")), Misuse::LoopGone);
        assert_eq!(misuse(tcp.listen(1, |_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(tcp.listen_only(1)), Misuse::LoopGone);
        assert_eq!(misuse(tcp.accept()), Misuse::LoopGone);
        assert_eq!(misuse(tcp.read_start(|_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(tcp.try_write(b"x")), Misuse::LoopGone);
        assert_eq!(misuse(tcp.set_nodelay(true)), Misuse::LoopGone);
        assert_eq!(misuse(tcp.local_addr()), Misuse::NoSocket);
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        assert_eq!(outcome(tcp.connect("127.0.0.1:1")), Misuse::LoopGone);
        assert_eq!(outcome(tcp.connect_timeout("127.0.0.1:1", HOUR)), Misuse::LoopGone);
        assert_eq!(outcome(tcp.write("x")), Misuse::LoopGone);
        assert_eq!(outcome(tcp.write_vectored(&[io::IoSlice::new(b"x")])), Misuse::LoopGone);
        assert_eq!(outcome(tcp.shutdown()), Misuse::LoopGone);
        assert_eq!(outcome(tcp.drained()), Misuse::LoopGone);
        assert!(tcp.finish().is_finished() && tcp.close_reset().is_finished());
    }
    for timer in &held.timers {
        assert_is_gone(timer);
        timer.stop();
        timer.set_repeat(HOUR);
        assert_eq!((timer.due_in(), timer.repeat()), (ZERO, HOUR));
        assert_eq!(misuse(timer.again()), Misuse::LoopGone);
        assert_eq!(misuse(timer.start(ZERO, ZERO, |_| {})), Misuse::LoopGone);
    }
    for polled in &held.polls {
        assert_is_gone(polled);
        polled.stop();
        assert_eq!(misuse(polled.start(Interest::READABLE, |_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(polled.fileno()), Misuse::LoopGone);
        assert!(polled.clone().into_fd().is_none());
    }
    assert_is_gone(&held.idle);
    held.idle.stop();
    assert_eq!(misuse(held.idle.start(|_| {})), Misuse::LoopGone);
    assert_is_gone(&held.prepare);
    held.prepare.stop();
    assert_eq!(misuse(held.prepare.start(|_| {})), Misuse::LoopGone);
    assert_is_gone(&held.check);
    held.check.stop();
    assert_eq!(misuse(held.check.start(|_| {})), Misuse::LoopGone);
    assert_is_gone(&held.notifier);
    assert!(held.notifier.sender().send().is_err() && held.sender.send().is_err());
    #[cfg(feature = "signal")]
    {
        assert_is_gone(&held.signal);
        held.signal.stop();
        assert_eq!(held.signal.signum(), None);
        assert_eq!(misuse(held.signal.start(WINCH, |_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(held.signal.start_only(WINCH)), Misuse::LoopGone);
    }
    for canceler in held.cancelers.borrow().iter() {
        assert!(!canceler.cancel());
    }

    let event_loop = &held.event_loop;
    assert!(!event_loop.is_alive());
    assert!(event_loop.alive_because().is_empty());
    assert_eq!(event_loop.backend_timeout(), Some(ZERO));
    event_loop.stop();
    event_loop.update_time();
    assert!(event_loop.now() < HOUR);
    event_loop.walk(|_| panic!("there is no handle"));
    let (drops, token) = (Drops::new(), SendToken(Arc::clone(&held.posts_dropped)));
    let deferred = drops.token();
    event_loop.defer(move |_| deferred.keep());
    assert_eq!(drops.count(), 1);
    // The posted closure comes back.
    let back = held.remote.post(move |_| {
        let _token = token;
    });
    assert_eq!(held.posts_dropped.load(Ordering::SeqCst), 1);
    drop(back.expect_err("the loop is gone"));
    assert_eq!(held.posts_dropped.load(Ordering::SeqCst), 2);
    let in_task = drops.token();
    let joined = event_loop.spawn(async move { in_task.keep() });
    assert_eq!(drops.count(), 2);
    joined.abort();
    joined.unref();
    joined.ref_();
    let joined = poll(&Arc::default(), pin!(joined));
    assert!(matches!(joined, Poll::Ready(Err(JoinError::Canceled))));

    // And what is made on it is closed from the start.
    let (idle, prepare, check) =
        (Idle::new(event_loop), Prepare::new(event_loop), Check::new(event_loop));
    for handle in [&idle as &dyn Handle, &prepare, &check, &Tcp::new(event_loop)] {
        assert_is_gone(handle);
    }
    let unused = drops.token();
    assert_is_gone(&Timer::after(event_loop, ZERO, move |_| unused.keep()));
    assert_eq!(drops.count(), 3);
    assert_eq!(misuse(Notifier::new(event_loop, |_| {})), Misuse::LoopGone);
    assert_eq!(misuse(Notifier::wake_only(event_loop)), Misuse::LoopGone);
    #[cfg(feature = "signal")]
    assert_is_gone(&luvio::Signal::new(event_loop));
}

/// L-33: a loop that is gone does not disturb the others of its thread.
#[test]
fn another_loop_of_the_thread_goes_on() {
    let _watchdog = watchdog();
    let (kept, gone) = (new_loop(), new_loop());
    let captures = Captures::new(&gone);
    let (held, _peers) = one_of_everything(&gone, &captures);
    drop(gone);
    let (tcp, mut peer) = connected_pair(&kept);
    let read = Rc::new(Cell::new(false));
    let seen = Rc::clone(&read);
    // Operations on handles of the other loop from inside a callback of this one.
    tcp.read_start(move |tcp, _| {
        assert_eq!(outcome(held.tcps[0].write("x")), Misuse::LoopGone);
        held.event_loop.defer(|_| panic!("it never runs"));
        seen.set(true);
        tcp.close();
    })
    .expect("a connection can be read");
    peer.write_all(b"x").expect("it can be written");
    turn_until(&kept, || read.get());
    kept.run_mode(RunMode::NoWait).expect("the loop runs");
    assert!(!kept.is_alive());
}
