//! The program's code runs in more places than its callbacks: destructors of closures and futures, wakers that are not the
//! loop's, payloads of panics, the logger. Here it panics, uses the handle to which it belongs, or drops the last clone of
//! it, in each of these places. Afterwards the others are served, `run` returns, the loop knows whether it is alive, and
//! nothing is left behind.

#[path = "support/callbacks.rs"]
mod callbacks;
#[path = "support/foreign.rs"]
mod foreign;
mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Once};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{Arm, every_kind};
use foreign::{ExplosivePayload, ForeignWaker, OnDrop, panics};
use futures::FutureExt;
#[cfg(feature = "futures")]
use futures::io::{AsyncRead, AsyncWrite};
use log::{LevelFilter, Log, Metadata, Record};
use luvio::{
    Builder, Handle, JoinError, JoinHandle, Loop, Notifier, Resume, RunMode, Tcp, Timer,
    await_callback, sleep, yield_now,
};
use support::{Drops, child, connected_pair, fill, is_child, listening, pair_with_data, watchdog};

const ZERO: Duration = Duration::ZERO;

// ---- a loop with bystanders ----------------------------------------------------------------------------------------

/// A loop on which something is going to happen, and others who must not suffer from it.
struct World {
    event_loop: Rc<Loop>,
    /// How many bystanders there are, and were served.
    bystanders: Cell<usize>,
    served: Rc<Cell<usize>>,
    /// What the closures and tasks of the bystanders captured.
    drops: Drops,
    peers: RefCell<Vec<TcpStream>>,
    panics: Cell<usize>,
}

impl World {
    fn new() -> World {
        World::with(Loop::builder())
    }

    fn with(builder: Builder) -> World {
        quietly();
        let world = World {
            event_loop: Rc::new(builder.build().expect("a loop can be made")),
            bystanders: Cell::new(0),
            served: Rc::default(),
            drops: Drops::new(),
            peers: RefCell::default(),
            panics: Cell::new(0),
        };
        world.add_bystanders();
        world
    }

    /// What a bystander does when it is served.
    fn bystander(&self) -> impl Fn() + use<> {
        self.bystanders.set(self.bystanders.get() + 1);
        let (served, token, once) = (Rc::clone(&self.served), self.drops.token(), Cell::new(true));
        move || {
            token.keep();
            if once.take() {
                served.set(served.get() + 1);
            }
        }
    }

    fn add_bystanders(&self) {
        let event_loop = &self.event_loop;
        let serve = self.bystander();
        Timer::after(event_loop, ZERO, move |_| serve());
        let serve = self.bystander();
        event_loop.defer(move |_| serve());
        let serve = self.bystander();
        let notifier = Notifier::new(event_loop, move |_| serve()).expect("one can be made");
        notifier.sender().send().expect("it is open");
        let serve = self.bystander();
        event_loop.go(async move {
            yield_now().await;
            serve();
        });
        let serve = self.bystander();
        Timer::new(event_loop).close().then(move |_| serve());
        let serve = self.bystander();
        let (tcp, peer) = pair_with_data(event_loop, b"x");
        tcp.read_start(move |_, _| serve()).expect("a connection can be read");
        self.peers.borrow_mut().push(peer);
    }

    /// Does something that may panic, and counts it if it does.
    fn attempt(&self, act: impl FnOnce()) {
        self.panics.set(self.panics.get() + usize::from(panics(act)));
    }

    fn turn(&self) {
        self.attempt(|| support::turn(&self.event_loop));
        self.check_alive();
    }

    fn turns(&self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    /// Turns until `done` says so, for a while.
    #[track_caller]
    fn turn_until(&self, what: &str, done: impl Fn() -> bool) {
        let patience = Instant::now() + support::DEADLINE / 4;
        while !done() {
            assert!(Instant::now() < patience, "{what}: this never comes");
            self.turn();
            thread::yield_now();
        }
    }

    /// The two ways to ask agree.
    #[track_caller]
    fn check_alive(&self) {
        let reasons = self.event_loop.alive_because();
        assert_eq!(self.event_loop.is_alive(), !reasons.is_empty(), "{reasons:?}");
    }

    /// All others, those that come only now included, are served, `run` returns, and nothing is left.
    #[track_caller]
    fn end(self, what: &str) {
        self.add_bystanders();
        self.turn_until(what, || self.served.get() == self.bystanders.get());
        self.event_loop.walk(|handle| drop(handle.close()));
        self.event_loop.run().expect("the loop runs");
        self.check_alive();
        assert!(!self.event_loop.is_alive(), "{what}: {:?}", self.event_loop.alive_because());
        assert_eq!(self.drops.count(), self.bystanders.get(), "{what}: something is left");
        let mut open = 0;
        self.event_loop.walk(|_| open += 1);
        assert_eq!(open, 0, "{what}: handles are left");
    }

    /// The loop is dropped instead: nothing is left.
    #[track_caller]
    fn drop_loop(self, what: &str) -> usize {
        let World { event_loop, bystanders, drops, panics: before, .. } = self;
        let count = before.get() + usize::from(panics(|| drop(event_loop)));
        assert_eq!(drops.count(), bystanders.get(), "{what}: something is left");
        count
    }
}

/// Here panics are no news.
fn quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let is_on_purpose = text.is_some_and(|text| text.contains("on purpose"));
            if !is_on_purpose && !payload.is::<ExplosivePayload>() {
                usual(info);
            }
        }));
    });
}

// ---- destructors of callbacks --------------------------------------------------------------------------------------

/// What the program's code does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Panics,
    Closes,
    StartsAgain,
    DropsTheLastClone,
}

const DEEDS: [Deed; 4] = [Deed::Panics, Deed::Closes, Deed::StartsAgain, Deed::DropsTheLastClone];

/// How a callback comes to be dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Its handle is stopped.
    Stop,
    /// Another one takes its place.
    Replace,
    /// Its handle is closed.
    Close,
    /// It was called, and it was for one call, or its handle is closed after it.
    Call,
    /// The loop is dropped.
    DropLoop,
}

const WAYS: [Way; 5] = [Way::Stop, Way::Replace, Way::Close, Way::Call, Way::DropLoop];

const STREAMS: [&str; 8] =
    ["listen", "read", "connect", "write", "queued write", "shutdown", "drained", "close"];

/// What a test can still reach of the handle whose callback is dropped.
struct Reach {
    handle: Option<Box<dyn Handle>>,
    stop: Option<Box<dyn Fn()>>,
    restart: Option<Box<dyn Fn(callbacks::Callback)>>,
}

impl Reach {
    fn can(&self, deed: Deed) -> bool {
        match deed {
            Deed::Panics => true,
            Deed::Closes | Deed::DropsTheLastClone => self.handle.is_some(),
            Deed::StartsAgain => self.restart.is_some(),
        }
    }

    fn does(self: Rc<Self>, deed: Deed) {
        match deed {
            Deed::Panics => panic!("on purpose"),
            Deed::Closes => {
                self.handle.iter().for_each(|handle| drop(handle.close()));
            }
            Deed::StartsAgain => {
                let is_open = self.handle.as_ref().is_some_and(|handle| !handle.is_closing());
                let restart = self.restart.iter().filter(|_| is_open);
                restart.for_each(|restart| restart(Box::new(|| {})));
            }
            // The caller's was dropped before.
            Deed::DropsTheLastClone => drop(self),
        }
    }
}

fn drop_a_callback(kind: &str, arm: Arm, way: Way, deed: Deed) {
    let what = format!("{kind}: {way:?}, {deed:?}");
    let world = World::new();
    let act: Rc<RefCell<Option<foreign::Deed>>> = Rc::default();
    let (acts, dropped) = (Rc::clone(&act), Rc::new(Cell::new(0)));
    let count = Rc::clone(&dropped);
    let guard = OnDrop::new(move || {
        count.set(count.get() + 1);
        let act = acts.take();
        act.into_iter().for_each(|act| act());
    });
    let mut armed = arm(&world.event_loop, Box::new(move || guard.keep()));
    let reach = Rc::new(Reach {
        handle: armed.handle.take(),
        stop: armed.stop.take(),
        restart: armed.restart.take(),
    });
    let is_possible = match way {
        Way::Stop => reach.stop.is_some(),
        Way::Replace => reach.restart.is_some(),
        Way::Close => reach.handle.is_some(),
        Way::Call => true,
        // The closure that is posted is a different one, and has a test of its own.
        Way::DropLoop => kind != "post",
    };
    if !is_possible || !reach.can(deed) {
        return;
    }
    let reached = Rc::clone(&reach);
    act.replace(Some(Box::new(move || reached.does(deed))));
    let handle = Rc::clone(&reach);
    let close = move || handle.handle.iter().for_each(|handle| drop(handle.close()));
    match way {
        Way::Stop => world.attempt(|| reach.stop.iter().for_each(|stop| stop())),
        Way::Replace => {
            let restart = || reach.restart.iter().for_each(|restart| restart(Box::new(|| {})));
            world.attempt(restart);
        }
        Way::Close => world.attempt(&close),
        Way::Call => {}
        Way::DropLoop => {
            drop((reach, close));
            let panics = world.drop_loop(&what);
            assert_eq!(dropped.get(), 1, "{what}: it is left");
            assert_eq!(panics, usize::from(deed == Deed::Panics), "{what}");
            return;
        }
    }
    drop(reach);
    for _ in 0..5 {
        (armed.help)();
        world.turn();
    }
    world.attempt(close);
    world.turn_until(&what, || dropped.get() == 1);
    drop(armed);
    world.turns(2);
    assert_eq!(world.panics.get(), usize::from(deed == Deed::Panics), "{what}");
    world.end(&what);
}

fn drop_callbacks(which: impl Fn(&str) -> bool) {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind().into_iter().filter(|(kind, _)| which(kind)) {
        for way in WAYS {
            for deed in DEEDS {
                drop_a_callback(kind, arm, way, deed);
            }
        }
    }
}

/// L-40, L-33: a destructor of what a callback captured may do anything, however the callback comes to be dropped: of every
/// kind of handle, of deferred and of posted closures.
#[test]
fn destructors_of_callbacks_may_do_anything() {
    drop_callbacks(|kind| !STREAMS.contains(&kind));
}

/// L-40, L-33: the same for the callbacks of streams and of their requests.
#[test]
fn destructors_of_the_callbacks_of_streams_may_do_anything() {
    drop_callbacks(|kind| STREAMS.contains(&kind));
}

// ---- destructors of futures, and payloads ----------------------------------------------------------------------------

/// How a future comes to be dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Returns,
    Panics,
    PanicsExplosively,
    Aborted,
    DropLoop,
}

const ENDS: [End; 5] =
    [End::Returns, End::Panics, End::PanicsExplosively, End::Aborted, End::DropLoop];

/// A future that ends in some way when it is polled, or never does. The guard is not a part of its stack frame, so that it
/// is still there after a panic.
fn ending(guard: OnDrop, end: End) -> impl Future<Output = ()> {
    poll_fn(move |_| {
        guard.keep();
        match end {
            End::Returns => Poll::Ready(()),
            End::Panics => panic!("on purpose"),
            End::PanicsExplosively => panic_any(ExplosivePayload),
            End::Aborted | End::DropLoop => Poll::Pending,
        }
    })
}

fn drop_a_future(end: End, deed: Deed, is_joined: bool) {
    let what = format!("{end:?}, {deed:?}, joined: {is_joined}");
    let world = World::new();
    let victim = Rc::new(Tcp::new(&world.event_loop));
    let (dropped, joined) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(!is_joined)));
    let (count, event_loop, held) =
        (Rc::clone(&dropped), world.event_loop.handle().clone(), Rc::clone(&victim));
    let serve = world.bystander();
    let guard = OnDrop::new(move || {
        count.set(count.get() + 1);
        match deed {
            Deed::Panics => panic!("on purpose"),
            Deed::Closes => drop(held.close()),
            Deed::StartsAgain => event_loop.go(async move { serve() }),
            Deed::DropsTheLastClone => drop(held),
        }
    });
    if deed != Deed::StartsAgain {
        world.served.set(world.served.get() + 1);
    }
    let mut task = Some(world.event_loop.spawn(ending(guard, end)));
    if matches!(end, End::Aborted | End::DropLoop) {
        world.turn();
    }
    if end == End::Aborted {
        task.iter().for_each(JoinHandle::abort);
    }
    if let Some(task) = task.take_if(|_| is_joined) {
        let joined = Rc::clone(&joined);
        world.event_loop.go(async move {
            let outcome = task.await;
            let is_right = match (end, deed, &outcome) {
                (End::PanicsExplosively, _, Err(JoinError::Panicked(payload))) => {
                    payload.is::<ExplosivePayload>()
                }
                (End::Panics, _, Err(JoinError::Panicked(_))) => true,
                (_, Deed::Panics, Err(JoinError::Panicked(_))) => true,
                (End::Returns, _, Ok(())) => true,
                (End::Aborted, _, Err(JoinError::Canceled)) => true,
                _ => false,
            };
            panics(|| drop(outcome));
            assert!(is_right, "it ended otherwise");
            joined.set(true);
        });
    }
    if end == End::DropLoop {
        world.turn();
        let count = world.drop_loop(&what);
        assert_eq!((count, dropped.get()), (0, 1), "{what}: the panic is the task's");
        return;
    }
    world.turn_until(&what, || dropped.get() == 1 && joined.get());
    world.attempt(|| drop(task));
    assert_eq!(world.panics.get(), 0, "{what}: a panic of a task does not leave `run`");
    assert_eq!(Rc::strong_count(&victim), 1, "{what}");
    drop(victim);
    world.end(&what);
}

/// L-40, Z-12: a destructor of a future may do anything, however the future ends, and whatever the payload of its panic
/// does in its own drop. What panics is the task's, and goes to its joiner or to the log; `run` goes on.
#[test]
fn destructors_of_futures_may_do_anything() {
    let _watchdog = watchdog();
    for end in ENDS {
        for deed in DEEDS {
            for is_joined in [false, true] {
                drop_a_future(end, deed, is_joined);
            }
        }
    }
}

/// L-33, Z-12: payloads that panic when they are dropped, of tasks that nobody joins, of a joiner that was dropped before or
/// after the end of its task, and of destructors when the loop is dropped, end nothing and keep nobody.
#[test]
fn payloads_may_panic_when_they_are_dropped() {
    let _watchdog = watchdog();
    fn explode() {
        panic_any(ExplosivePayload);
    }
    let world = World::new();
    world.event_loop.go(async move { explode() });
    drop(world.event_loop.spawn(async move { explode() }));
    let kept = world.event_loop.spawn(async move { explode() });
    world.turns(3);
    assert!(kept.is_finished());
    world.attempt(|| drop(kept));
    assert_eq!(world.panics.get(), 0);
    world.end("payloads of tasks");

    let world = World::new();
    for _ in 0..2 {
        let (guard, in_task) = (OnDrop::new(explode), OnDrop::new(explode));
        world.event_loop.defer(move |_| guard.keep());
        world.event_loop.go(async move {
            pending::<()>().await;
            in_task.keep();
        });
    }
    assert_eq!(world.drop_loop("payloads of destructors"), 1);
}

/// A payload whose drop panics with another one, so many times; each is counted when it is dropped.
struct Chain {
    left: u32,
    drops: Arc<AtomicUsize>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
        if let Some(left) = self.left.checked_sub(1) {
            panic_any(Chain { left, drops: Arc::clone(&self.drops) });
        }
    }
}

/// Z-12, L-35: the payload of a panic of which nobody is to hear is dropped, and so is that of the panic of its drop, and so
/// on for a few times; then it is forgotten, since it might have no end.
#[test]
fn payloads_of_payloads_are_dropped_too() {
    let _watchdog = watchdog();
    for (left, dropped) in [(0, 1), (3, 4), (1_000, 8)] {
        let (world, drops) = (World::new(), Arc::<AtomicUsize>::default());
        let payload = Chain { left, drops: Arc::clone(&drops) };
        world.event_loop.go(async move { panic_any(payload) });
        world.turns(2);
        assert_eq!(drops.load(SeqCst), dropped, "of a task");
        world.end("a task");

        let (world, drops) = (World::new(), Arc::<AtomicUsize>::default());
        let payload = Chain { left, drops: Arc::clone(&drops) };
        let deeds: [foreign::Deed; 2] =
            [Box::new(|| panic!("on purpose")), Box::new(move || panic_any(payload))];
        for deed in deeds {
            let notifier = Notifier::wake_only(&world.event_loop).expect("one can be made");
            let waiting = Slot::new(async move { notifier.notified().await });
            let waker = ForeignWaker::new();
            waker.on_wake(deed);
            assert!(!waiting.poll(&mut Context::from_waker(&waker.waker())));
            world.event_loop.defer(move |_| waiting.drop_future());
        }
        world.attempt(|| world.event_loop.close_all());
        assert_eq!((world.panics.get(), drops.load(SeqCst)), (1, dropped), "of a waker");
        world.turns(3);
        assert!(!world.event_loop.is_alive());
    }
}

// ---- wakers that are not the loop's ----------------------------------------------------------------------------------

/// A future that may be polled, or be dropped, while it is being polled or woken.
#[derive(Clone)]
struct Slot(Rc<RefCell<Option<BoxedFuture>>>);

type BoxedFuture = Pin<Box<dyn Future<Output = ()>>>;

impl Slot {
    fn new(future: impl Future + 'static) -> Slot {
        Slot(Rc::new(RefCell::new(Some(Box::pin(future.map(drop))))))
    }

    /// True if the future is over, or gone.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let taken = self.0.take();
        let Some(mut future) = taken else { return true };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        if !matches!(polled, Ok(Poll::Ready(()))) {
            self.0.replace(Some(future));
        }
        polled.unwrap_or_else(|payload| panic::resume_unwind(payload)).is_ready()
    }

    fn drop_future(&self) {
        let taken = self.0.take();
        drop(taken);
    }
}

/// Something that is awaited.
struct Wait {
    first: Slot,
    /// Another one who waits for the same, where that is possible.
    second: Option<Slot>,
    /// Brings about what one of them waits for.
    fulfil: Rc<dyn Fn()>,
    /// Closes the handle.
    close: Option<Rc<dyn Fn()>>,
    /// Has to be kept.
    _kept: Box<dyn std::any::Any>,
}

type Begin = fn(&World) -> Wait;

/// A handle for a future that borrows it. Async code around the two could not be polled again after a panic.
fn forever<H: Handle + Clone>(handle: &H) -> &'static H {
    Box::leak(Box::new(handle.clone()))
}

fn notified(world: &World) -> Wait {
    let notifier = Notifier::wake_only(&world.event_loop).expect("one can be made");
    let (sender, closed) = (notifier.sender(), notifier.clone());
    let wait = || Slot::new(forever(&notifier).notified());
    Wait {
        first: wait(),
        second: Some(wait()),
        // Refused when it is closed.
        fulfil: Rc::new(move || drop(sender.send())),
        close: Some(Rc::new(move || drop(closed.close()))),
        _kept: Box::new(()),
    }
}

fn accept_next(world: &World) -> Wait {
    let (server, addr) = listening(&world.event_loop);
    let wait = || Slot::new(forever(&server).accept_next());
    let clients = RefCell::new(Vec::new());
    Wait {
        first: wait(),
        second: Some(wait()),
        // Refused when it is closed.
        fulfil: Rc::new(move || clients.borrow_mut().extend(TcpStream::connect(addr))),
        close: Some(Rc::new(move || drop(server.close()))),
        _kept: Box::new(()),
    }
}

#[cfg(feature = "signal")]
fn delivered(world: &World) -> Wait {
    use std::sync::{Mutex, PoisonError};

    /// Signals reach every handle of the process: one test at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    const SIGURG: i32 = luvio::Signal::URG;
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let signal = luvio::Signal::new(&world.event_loop);
    signal.start_only(SIGURG).expect("the signal can be heard");
    let wait = || Slot::new(forever(&signal).delivered());
    Wait {
        first: wait(),
        second: Some(wait()),
        fulfil: Rc::new(|| signal_hook::low_level::raise(SIGURG).expect("it can be raised")),
        close: Some(Rc::new(move || drop(signal.close()))),
        _kept: Box::new(alone),
    }
}

fn readable(world: &World) -> Wait {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let poll = forever(&luvio::Poll::new(&world.event_loop, here).expect("a socket can be polled"));
    let wait = || Slot::new(poll.readable());
    Wait {
        first: wait(),
        second: Some(wait()),
        // Refused when it is closed.
        fulfil: Rc::new(move || drop((&there).write_all(b"x"))),
        close: Some(Rc::new(|| drop(luvio::Poll::close(poll)))),
        _kept: Box::new(()),
    }
}

#[cfg(feature = "udp")]
fn received(world: &World) -> Wait {
    let udp = forever(&luvio::Udp::new(&world.event_loop));
    udp.bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = udp.local_addr().expect("it is bound");
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    Wait {
        first: Slot::new(udp.recv_once()),
        second: None,
        // Refused when it is closed.
        fulfil: Rc::new(move || drop(peer.send_to(b"x", addr))),
        close: Some(Rc::new(|| drop(luvio::Udp::close(udp)))),
        _kept: Box::new(()),
    }
}

/// A callback API, and the future that it ends.
fn resumed() -> (impl Future<Output = Result<(), luvio::Canceled>> + 'static, Rc<dyn Fn()>) {
    let slot: Rc<RefCell<Option<Resume<()>>>> = Rc::default();
    let registered = Rc::clone(&slot);
    let future = await_callback(move |resume| drop(registered.replace(Some(resume))));
    let fulfil = move || {
        let resume = slot.borrow().clone();
        if let Some(resume) = resume {
            resume.with(());
        }
    };
    (future, Rc::new(fulfil))
}

fn callback(_: &World) -> Wait {
    let (future, fulfil) = resumed();
    let first = Slot::new(future);
    Wait { first, second: None, fulfil, close: None, _kept: Box::new(()) }
}

fn joined(world: &World) -> Wait {
    let (future, fulfil) = resumed();
    let task = world.event_loop.spawn(future);
    world.turn();
    let first = Slot::new(task);
    Wait { first, second: None, fulfil, close: None, _kept: Box::new(()) }
}

fn slept(world: &World) -> Wait {
    const SHORT: Duration = Duration::from_millis(2);
    let mut sleep = sleep(SHORT);
    // It finds its loop in a task only.
    let first_poll = poll_fn(|_| Poll::Ready(support::poll(&mut sleep)));
    assert!(world.event_loop.block_on(first_poll).expect("the loop runs").is_pending());
    let first = Slot::new(sleep);
    let fulfil = Rc::new(|| thread::sleep(SHORT));
    Wait { first, second: None, fulfil, close: None, _kept: Box::new(()) }
}

fn closed(world: &World) -> Wait {
    let close = Timer::new(&world.event_loop).close();
    let first = Slot::new(close);
    Wait { first, second: None, fulfil: Rc::new(|| {}), close: None, _kept: Box::new(()) }
}

fn waits() -> Vec<(&'static str, Begin)> {
    vec![
        ("notified", notified),
        ("accept_next", accept_next),
        #[cfg(feature = "signal")]
        ("delivered", delivered),
        ("readable", readable),
        #[cfg(feature = "udp")]
        ("recv_once", received),
        ("await_callback", callback),
        ("JoinHandle", joined),
        ("sleep", slept),
        ("close", closed),
    ]
}

/// What a waker that is not the loop's does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Panics,
    /// Brings about what is awaited, and has the loop see it.
    Fulfils,
    Closes,
    /// Polls the future of which it is the waker.
    Polls,
    /// Drops that future.
    Drops,
}

impl Act {
    fn on(self, world: &World, wait: &Wait, waker: &Rc<ForeignWaker>) -> Option<foreign::Deed> {
        let (event_loop, first) = (Rc::clone(&world.event_loop), wait.first.clone());
        let (fulfil, close) = (Rc::clone(&wait.fulfil), wait.close.clone());
        let waker = Rc::downgrade(waker);
        Some(match self {
            Act::Panics => Box::new(|| panic!("on purpose")),
            Act::Fulfils => Box::new(move || {
                fulfil();
                // Inside a run it is refused; then it has to come later.
                (0..3).for_each(|_| drop(event_loop.run_mode(RunMode::NoWait)));
            }),
            Act::Closes => {
                let close = close?;
                Box::new(move || close())
            }
            Act::Polls => Box::new(move || {
                let Some(waker) = waker.upgrade() else { return };
                first.poll(&mut Context::from_waker(&waker.waker()));
            }),
            Act::Drops => Box::new(move || first.drop_future()),
        })
    }
}

/// Polls the future until it is over. It is woken each time, or was woken meanwhile.
#[track_caller]
fn finish(world: &World, slot: &Slot, waker: &Rc<ForeignWaker>, what: &str) {
    loop {
        let seen = waker.wakes();
        if slot.poll(&mut Context::from_waker(&waker.waker())) {
            return;
        }
        world.turn_until(what, || waker.wakes() > seen);
    }
}

fn for_each_wait(waits: Vec<(&'static str, Begin)>, acts: &[Act], test: impl Fn(&str, Begin, Act)) {
    let _watchdog = watchdog();
    for (name, begin) in waits {
        for &act in acts {
            test(&format!("{name}: {act:?}"), begin, act);
        }
    }
}

/// A clone is made when the future begins to wait.
fn act_in_clone(what: &str, begin: Begin, act: Act) {
    let world = World::new();
    let (wait, waker) = (begin(&world), ForeignWaker::new());
    let Some(deed) = act.on(&world, &wait, &waker) else { return };
    let has_acted = Rc::new(Cell::new(false));
    let acted = Rc::clone(&has_acted);
    waker.on_clone(move || {
        acted.set(true);
        deed();
    });
    let seen = waker.wakes();
    let is_over = Cell::new(false);
    world.attempt(|| {
        is_over.set(wait.first.poll(&mut Context::from_waker(&waker.waker())));
    });
    assert!(has_acted.get(), "{what}");
    assert_eq!(world.panics.get(), usize::from(act == Act::Panics), "{what}");
    match act {
        Act::Fulfils | Act::Closes if !is_over.get() => {
            world.turn_until(what, || waker.wakes() > seen);
        }
        _ => (wait.fulfil)(),
    }
    finish(&world, &wait.first, &waker, what);
    drop(wait);
    assert_eq!(waker.clones(), 0, "{what}");
    world.end(what);
}

/// Z-02, L-40: cloning a waker may panic, bring about what is awaited, or close the handle; the future still ends.
#[test]
fn a_waker_may_do_anything_when_it_is_cloned() {
    for_each_wait(waits(), &[Act::Panics, Act::Fulfils, Act::Closes], act_in_clone);
}

/// The first of those who wait is woken.
fn act_in_wake(what: &str, begin: Begin, act: Act, by_close: bool) {
    let world = World::new();
    let wait = begin(&world);
    let (waker, other) = (ForeignWaker::new(), ForeignWaker::new());
    let Some(deed) = act.on(&world, &wait, &waker) else { return };
    assert!(!wait.first.poll(&mut Context::from_waker(&waker.waker())), "{what}");
    if let Some(second) = &wait.second {
        assert!(!second.poll(&mut Context::from_waker(&other.waker())), "{what}");
    }
    waker.on_wake(deed);
    match &wait.close {
        Some(close) if by_close => world.attempt(|| close()),
        _ if by_close => return,
        _ => world.attempt(|| (wait.fulfil)()),
    }
    world.turn_until(what, || waker.wakes() > 0);
    assert_eq!(world.panics.get(), usize::from(act == Act::Panics), "{what}");
    if let Some(second) = &wait.second {
        if act == Act::Polls && !by_close {
            // It has used what came.
            (wait.fulfil)();
        }
        if act != Act::Fulfils {
            world.turn_until(what, || other.wakes() > 0);
        }
        // With a waker that panics nobody knows whether the first one was woken, so that the second has its turn.
        if act == Act::Fulfils {
            assert!(wait.first.poll(&mut Context::from_waker(&waker.waker())), "{what}");
        }
        finish(&world, second, &other, what);
    }
    (wait.fulfil)();
    finish(&world, &wait.first, &waker, what);
    drop(wait);
    assert_eq!((waker.clones(), other.clones()), (0, 0), "{what}");
    world.end(what);
}

/// Z-12, L-40: a task panics, and so does the waker of who joins it: the joiner still gets the panic of the task.
#[test]
fn a_waker_may_panic_over_a_task_that_panicked() {
    let _watchdog = watchdog();
    let world = World::new();
    let mut joins = world.event_loop.spawn(async { panic_any("of the task") });
    let waker = ForeignWaker::new();
    waker.on_wake(|| panic!("of the waker"));
    let mut join = || Pin::new(&mut joins).poll(&mut Context::from_waker(&waker.waker()));
    assert!(join().is_pending());
    world.turn();
    assert_eq!((waker.wakes(), world.panics.get()), (1, 1));
    match join() {
        Poll::Ready(Err(JoinError::Panicked(payload))) => {
            assert_eq!(payload.downcast_ref(), Some(&"of the task"));
        }
        _ => panic!("the panic of the task is lost"),
    }
    world.end("both panicked");
}

const ACTS_IN_WAKE: [Act; 5] = [Act::Panics, Act::Fulfils, Act::Closes, Act::Polls, Act::Drops];

/// L-40, A-09: waking may panic, poll or drop the future, or close the handle; whoever waits beside it is served.
#[test]
fn a_waker_may_do_anything_when_it_is_woken() {
    for_each_wait(waits(), &ACTS_IN_WAKE, |what, begin, act| act_in_wake(what, begin, act, false));
}

/// L-40, Z-05: the same when closing the handle wakes everybody.
#[test]
fn a_waker_may_do_anything_when_its_handle_is_closed() {
    for_each_wait(waits(), &ACTS_IN_WAKE, |what, begin, act| act_in_wake(what, begin, act, true));
}

/// L-40, Z-13: a task that gets a connection wakes the next one, whose waker may panic: the connection is not lost, nor is
/// the one behind it.
#[test]
fn the_waker_of_the_next_one_takes_no_connection_away() {
    let _watchdog = watchdog();
    let world = World::new();
    let (server, addr) = listening(&world.event_loop);
    let wakers = [ForeignWaker::new(), ForeignWaker::new(), ForeignWaker::new()];
    let mut waits = [(); 3].map(|()| server.accept_next());
    let mut accepted = 0;
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        assert!(wait.poll_unpin(&mut Context::from_waker(&waker.waker())).is_pending());
    }
    wakers[1].on_wake(|| panic!("on purpose"));
    let clients = [(); 2].map(|()| TcpStream::connect(addr).expect("it listens"));
    world.turn_until("the first", || wakers[0].wakes() > 0);
    for at in [0, 2] {
        let mut context_of = |at: usize| {
            waits[at].poll_unpin(&mut Context::from_waker(&wakers[at].waker())).is_ready()
        };
        world.attempt(|| accepted += usize::from(context_of(at)));
    }
    assert_eq!((accepted, world.panics.get(), wakers[2].wakes()), (2, 0, 1));
    drop((clients, waits));
    world.end("the waker of the next one");
}

/// The waker is dropped since another one takes its place, or with its future.
fn act_in_drop(what: &str, begin: Begin, act: Act, with_future: bool) {
    let world = World::new();
    let wait = begin(&world);
    let (waker, other) = (ForeignWaker::new(), ForeignWaker::new());
    let Some(deed) = act.on(&world, &wait, &other) else { return };
    assert!(!wait.first.poll(&mut Context::from_waker(&waker.waker())), "{what}");
    let has_acted = Rc::new(Cell::new(false));
    let acted = Rc::clone(&has_acted);
    waker.on_drop(move || {
        acted.set(true);
        deed();
    });
    if with_future {
        world.attempt(|| wait.first.drop_future());
    } else {
        world.attempt(|| {
            wait.first.poll(&mut Context::from_waker(&other.waker()));
        });
    }
    assert!(has_acted.get(), "{what}");
    assert_eq!(world.panics.get(), usize::from(act == Act::Panics), "{what}");
    (wait.fulfil)();
    finish(&world, &wait.first, &other, what);
    if let Some(second) = &wait.second {
        (wait.fulfil)();
        finish(&world, second, &other, what);
    }
    drop(wait);
    assert_eq!((waker.clones(), other.clones()), (0, 0), "{what}");
    world.end(what);
}

const ACTS_IN_DROP: [Act; 3] = [Act::Panics, Act::Fulfils, Act::Closes];

/// L-40, Z-06: so may dropping it, with the future that waited or because another one took its place.
#[test]
fn a_waker_may_do_anything_when_it_is_dropped() {
    for with_future in [false, true] {
        for_each_wait(waits(), &ACTS_IN_DROP, |what, begin, act| {
            act_in_drop(what, begin, act, with_future);
        });
    }
}

fn act_in_loop_drop(what: &str, begin: Begin, act: Act) {
    let world = World::new();
    let wait = begin(&world);
    let (waker, other) = (ForeignWaker::new(), ForeignWaker::new());
    let Some(deed) = act.on(&world, &wait, &waker) else { return };
    assert!(!wait.first.poll(&mut Context::from_waker(&waker.waker())), "{what}");
    if let Some(second) = &wait.second {
        assert!(!second.poll(&mut Context::from_waker(&other.waker())), "{what}");
    }
    waker.on_wake(deed);
    let count = world.drop_loop(what);
    assert_eq!(count, usize::from(act == Act::Panics && waker.wakes() > 0), "{what}");
    assert!(other.wakes() == waker.wakes() || wait.second.is_none(), "{what}");
    // What it would have done holds the future.
    waker.on_wake(|| {});
    drop(wait);
    assert_eq!((waker.clones(), other.clones()), (0, 0), "{what}");
}

const ACTS_IN_LOOP_DROP: [Act; 4] = [Act::Panics, Act::Closes, Act::Polls, Act::Drops];

/// L-33: so may waking and dropping it when the loop is dropped.
#[test]
fn a_waker_may_do_anything_when_the_loop_is_dropped() {
    for_each_wait(waits(), &ACTS_IN_LOOP_DROP, act_in_loop_drop);
}

// ---- the end of a thread ---------------------------------------------------------------------------------------------

thread_local! {
    /// Touched before the first loop of the thread, and so destroyed after everything that luvio may have of its own.
    static OLDER: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

/// L-37: a loop may be made, run and dropped in the destructor of a thread-local variable, however old that is, and one
/// that was made before may end there.
#[test]
fn a_loop_works_in_the_destructor_of_an_older_thread_local() {
    let _watchdog = watchdog();
    let (sender, results) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let kept: Rc<RefCell<Option<Loop>>> = Rc::default();
        let older = Rc::clone(&kept);
        let at_the_end = move || {
            let uses_loops = || {
                let event_loop = Loop::new().expect("a loop can be made");
                let served = Rc::new(Cell::new(0));
                let (in_timer, in_task) = (Rc::clone(&served), Rc::clone(&served));
                Timer::after(&event_loop, ZERO, move |_| in_timer.set(in_timer.get() + 1));
                event_loop.defer(|_| luvio::go(yield_now()));
                event_loop.go(async move {
                    sleep(ZERO).await;
                    in_task.set(in_task.get() + 1);
                });
                event_loop.run().expect("the loop runs");
                assert_eq!(event_loop.block_on(async { 7 }).expect("the loop runs"), 7);
                assert_eq!(served.get(), 2);
                let older = older.take().expect("it was made");
                older.run().expect("the loop runs");
                drop(older);
            };
            // A panic that left the destructor would end the process.
            sender.send(catch_unwind(AssertUnwindSafe(uses_loops)).is_ok()).expect("it is heard");
        };
        OLDER.set(Some(OnDrop::new(at_the_end)));
        let event_loop = Loop::new().expect("a loop can be made");
        event_loop.defer(|_| {});
        event_loop.run().expect("the loop runs");
        event_loop.defer(|_| {});
        kept.replace(Some(event_loop));
    });
    thread.join().expect("it ends");
    assert_eq!(results.recv(), Ok(true));
}

// ---- the logger ------------------------------------------------------------------------------------------------------

/// Does something with the first record that has a certain text, on its own thread.
struct ForeignLogger;

thread_local! {
    static IN_LOGGER: RefCell<Option<(&'static str, foreign::Deed)>> = const { RefCell::new(None) };
}

impl Log for ForeignLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        let deed = IN_LOGGER.with_borrow_mut(|deed| deed.take_if(|(part, _)| text.contains(*part)));
        if let Some((_, deed)) = deed {
            deed();
        }
    }

    fn flush(&self) {}
}

/// What the library logs, with a part of the text.
type Logs = fn(&World);

fn logs() -> Vec<(&'static str, Logs)> {
    vec![
        ("failed: no luck", |world| world.event_loop.go(async { Err("no luck") })),
        ("panicked: on purpose", |world| world.event_loop.go(async { panic!("on purpose") })),
        ("panicked: on purpose, unjoined", |world| {
            let task = world.event_loop.spawn(async { panic!("on purpose, unjoined") as () });
            world.turns(2);
            world.attempt(|| drop(task));
        }),
        ("failed, and nobody asked", |world| {
            world.attempt(|| drop(Tcp::new(&world.event_loop).write("x")));
        }),
        ("failed, and nobody asked: Connection refused", |world| {
            Tcp::new(&world.event_loop).connect(support::refusing_addr());
        }),
        ("was canceled, and nobody asked", |world| {
            let (_server, addr) = listening(&world.event_loop);
            let tcp = Tcp::new(&world.event_loop);
            tcp.connect(addr);
            tcp.close();
        }),
        ("callback of the timer", |world| {
            Timer::after(&world.event_loop, ZERO, |_| {});
        }),
        ("callback of the deferred closure", |world| world.event_loop.defer(|_| {})),
        ("callback of the task", |world| world.event_loop.go(yield_now())),
        ("poll, ", |_| {}),
    ]
}

/// L-40: the logger may panic, use the loop, or log in turn, whatever the library has to say: in a process of its own.
#[test]
fn the_logger_may_do_anything() {
    if !is_child() {
        let status = child("the_logger_may_do_anything", "").status();
        assert!(status.expect("a child").success());
        return;
    }
    let _watchdog = watchdog();
    log::set_logger(&ForeignLogger).expect("there is no other logger");
    log::set_max_level(LevelFilter::Trace);
    for (text, make) in logs() {
        for deed in DEEDS {
            let what = format!("{text}: {deed:?}");
            let world = World::with(Loop::builder().slow_callback(ZERO));
            let (event_loop, has_acted) = (world.event_loop.handle().clone(), Rc::default());
            let (victim, acted) = (Tcp::new(&event_loop), Rc::clone(&has_acted));
            let act: foreign::Deed = Box::new(move || {
                Cell::set(&acted, true);
                match deed {
                    Deed::Panics => panic!("on purpose"),
                    Deed::Closes => event_loop.walk(|handle| {
                        if handle.as_any().is::<Tcp>() && !handle.is_active() {
                            handle.close();
                        }
                    }),
                    Deed::StartsAgain => {
                        log::error!("{text}");
                        event_loop.go(async { Err("another failure") });
                        event_loop.defer(|_| {});
                        Timer::after(&event_loop, ZERO, |_| {});
                    }
                    Deed::DropsTheLastClone => drop(victim),
                }
            });
            // The text of a task's own panic must not be mistaken for others.
            let part = text.strip_suffix(", unjoined").unwrap_or(text);
            IN_LOGGER.set(Some((part, act)));
            make(&world);
            world.turn_until(&what, || has_acted.get());
            world.turns(3);
            assert!(world.panics.get() <= usize::from(deed == Deed::Panics), "{what}");
            world.end(&what);
        }
    }
}

/// L-40, Z-05: that a task awaits a handle of another loop is logged, once a process. The logger may close that handle
/// before the wait has begun, which is over then.
#[test]
fn the_logger_may_close_what_is_awaited_from_another_loop() {
    const NAME: &str = "the_logger_may_close_what_is_awaited_from_another_loop";
    const WAIT: &str = "LUVIO_WAIT";
    let mut waits = waits();
    waits.push(("read_once", read));
    if !is_child() {
        for (name, _) in waits {
            let status = child(NAME, &format!("export {WAIT}={name}")).status();
            assert!(status.expect("a child").success(), "{name}");
        }
        return;
    }
    let _watchdog = watchdog();
    log::set_logger(&ForeignLogger).expect("there is no other logger");
    log::set_max_level(LevelFilter::Warn);
    let name = std::env::var(WAIT).expect("it was set");
    let (_, begin) = waits.into_iter().find(|(wait, _)| *wait == name).expect("there is one");
    let world = World::new();
    let wait = begin(&world);
    let Some(close) = wait.close.clone() else { return };
    IN_LOGGER.set(Some(("of another loop", Box::new(move || close()))));
    let elsewhere = Loop::new().expect("a loop can be made");
    let over =
        poll_fn(|context| if wait.first.poll(context) { Poll::Ready(()) } else { Poll::Pending });
    elsewhere.block_on(over).expect("the loop runs");
    assert!(IN_LOGGER.take().is_none(), "{name}: nothing was logged");
    drop(wait);
    world.end(&name);
}

// ---- streams -------------------------------------------------------------------------------------------------------

/// A stream whose queue is not empty, as long as the other end does not read.
fn clogged(world: &World) -> (&'static Tcp, Rc<dyn Fn()>) {
    let (tcp, peer) = connected_pair(&world.event_loop);
    fill(&tcp);
    peer.set_nonblocking(true).expect("it can be set");
    let read = move || {
        let mut buffer = vec![0; 1 << 20];
        while (&peer).read(&mut buffer).is_ok_and(|length| length > 0) {}
    };
    (forever(&tcp), Rc::new(read))
}

/// One wait on a clogged stream, which ends when the other end has read enough.
fn clogged_wait<F: Future + 'static>(world: &World, wait: impl FnOnce(&'static Tcp) -> F) -> Wait {
    let (tcp, read) = clogged(world);
    Wait {
        first: Slot::new(wait(tcp)),
        second: None,
        fulfil: read,
        close: Some(Rc::new(move || drop(Tcp::close(tcp)))),
        _kept: Box::new(()),
    }
}

fn queued_write(world: &World) -> Wait {
    clogged_wait(world, |tcp| tcp.write("more"))
}

fn drained(world: &World) -> Wait {
    clogged_wait(world, |tcp| {
        tcp.set_high_water(0);
        tcp.drained()
    })
}

fn shut_down(world: &World) -> Wait {
    clogged_wait(world, Tcp::shutdown)
}

fn finished(world: &World) -> Wait {
    clogged_wait(world, Tcp::finish)
}

#[cfg(feature = "futures")]
fn written_by_trait(world: &World) -> Wait {
    clogged_wait(world, |tcp| {
        poll_fn(move |context| Pin::new(&mut &*tcp).poll_write(context, b"x"))
    })
}

#[cfg(feature = "futures")]
fn flushed_by_trait(world: &World) -> Wait {
    clogged_wait(world, |tcp| poll_fn(move |context| Pin::new(&mut &*tcp).poll_flush(context)))
}

/// One wait for data.
fn reading<F: Future + 'static>(world: &World, wait: impl FnOnce(&'static Tcp) -> F) -> Wait {
    let (tcp, peer) = connected_pair(&world.event_loop);
    let tcp = forever(&tcp);
    Wait {
        first: Slot::new(wait(tcp)),
        second: None,
        // Refused when the other end is closed.
        fulfil: Rc::new(move || drop((&peer).write_all(b"x"))),
        close: Some(Rc::new(move || drop(Tcp::close(tcp)))),
        _kept: Box::new(()),
    }
}

fn read(world: &World) -> Wait {
    reading(world, Tcp::read_once)
}

#[cfg(feature = "futures")]
fn read_by_trait(world: &World) -> Wait {
    reading(world, |tcp| {
        poll_fn(move |context| Pin::new(&mut &*tcp).poll_read(context, &mut [0]).map(drop))
    })
}

/// A read by a task while the connect is under way, which is refused.
fn read_while_connecting(world: &World) -> Wait {
    let tcp = forever(&Tcp::new(&world.event_loop));
    tcp.connect(support::refusing_addr());
    Wait {
        first: Slot::new(tcp.read_once()),
        second: None,
        fulfil: Rc::new(|| {}),
        close: Some(Rc::new(|| drop(Tcp::close(tcp)))),
        _kept: Box::new(()),
    }
}

fn connected(world: &World) -> Wait {
    let (server, addr) = listening(&world.event_loop);
    let tcp = forever(&Tcp::new(&world.event_loop));
    let first = Slot::new(tcp.connect(addr));
    let close = Rc::new(|| drop(Tcp::close(tcp)));
    Wait {
        first,
        second: None,
        fulfil: Rc::new(|| {}),
        close: Some(close),
        _kept: Box::new(server),
    }
}

fn refused(world: &World) -> Wait {
    let tcp = forever(&Tcp::new(&world.event_loop));
    let first = Slot::new(tcp.connect(support::refusing_addr()));
    let close = Rc::new(|| drop(Tcp::close(tcp)));
    Wait { first, second: None, fulfil: Rc::new(|| {}), close: Some(close), _kept: Box::new(()) }
}

fn stream_waits() -> Vec<(&'static str, Begin)> {
    vec![
        ("read_once", read),
        ("queued write", queued_write),
        ("drained", drained),
        ("shutdown", shut_down),
        ("finish", finished),
        ("connect", connected),
        ("refused connect", refused),
        ("read_once, refused connect", read_while_connecting),
        #[cfg(feature = "futures")]
        ("poll_read", read_by_trait),
        #[cfg(feature = "futures")]
        ("poll_write", written_by_trait),
        #[cfg(feature = "futures")]
        ("poll_flush", flushed_by_trait),
    ]
}

/// By the futures-io traits, which keep a waker until there is news.
#[cfg(feature = "futures")]
fn waits_by_trait() -> Vec<(&'static str, Begin)> {
    vec![
        ("poll_read", |world| {
            reading(world, |mut tcp| {
                poll_fn(move |context| Pin::new(&mut tcp).poll_read(context, &mut [0; 7]))
            })
        }),
        ("poll_write", |world| {
            clogged_wait(world, |mut tcp| {
                poll_fn(move |context| Pin::new(&mut tcp).poll_write(context, b"more"))
            })
        }),
        ("poll_flush", |world| {
            clogged_wait(world, |mut tcp| {
                poll_fn(move |context| Pin::new(&mut tcp).poll_flush(context))
            })
        }),
    ]
}

/// Z-02, Z-15, L-40: a waker of the futures-io traits may do anything when it is cloned or woken, by a close, too, and when
/// the loop is dropped.
#[cfg(feature = "futures")]
#[test]
fn a_waker_of_the_traits_may_do_anything() {
    for_each_wait(waits_by_trait(), &[Act::Panics, Act::Fulfils, Act::Closes], act_in_clone);
    for by_close in [false, true] {
        for_each_wait(waits_by_trait(), &ACTS_IN_WAKE, |what, begin, act| {
            act_in_wake(what, begin, act, by_close);
        });
    }
    for_each_wait(waits_by_trait(), &ACTS_IN_LOOP_DROP, act_in_loop_drop);
}

/// Z-02, L-40: cloning a waker may do anything to the stream for which it is to wait.
#[test]
fn a_waker_of_a_stream_may_do_anything_when_it_is_cloned() {
    for_each_wait(stream_waits(), &[Act::Panics, Act::Fulfils, Act::Closes], act_in_clone);
}

/// L-40: waking one may do anything to the stream.
#[test]
fn a_waker_of_a_stream_may_do_anything_when_it_is_woken() {
    for_each_wait(stream_waits(), &ACTS_IN_WAKE, |what, begin, act| {
        act_in_wake(what, begin, act, false);
    });
}

/// L-40, Z-05: the same when closing the stream wakes it.
#[test]
fn a_waker_of_a_stream_may_do_anything_when_its_handle_is_closed() {
    for_each_wait(stream_waits(), &ACTS_IN_WAKE, |what, begin, act| {
        act_in_wake(what, begin, act, true);
    });
}

/// L-40, Z-06: dropping one may do anything to the stream.
#[test]
fn a_waker_of_a_stream_may_do_anything_when_it_is_dropped() {
    for with_future in [false, true] {
        // A wait by a trait ends neither with a future nor when another one waits, too: see Z-15.
        let mut waits = stream_waits();
        waits.retain(|(name, _)| !name.starts_with("poll_"));
        for_each_wait(waits, &ACTS_IN_DROP, |what, begin, act| {
            act_in_drop(what, begin, act, with_future);
        });
    }
}

/// L-33: when the loop is dropped, a waker of a stream may do anything.
#[test]
fn a_waker_of_a_stream_may_do_anything_when_the_loop_is_dropped() {
    for_each_wait(stream_waits(), &ACTS_IN_LOOP_DROP, act_in_loop_drop);
}
