//! What the tests share: loops that must come to an end, callbacks that must be called, and connected sockets.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::env;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{self, Command};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use luvio::{Builder, Loop, LoopHandle, Prepare, RunMode, Tcp};
use socket2::{Domain, Socket, Type};

/// No test may take longer. Ten times what the slowest needs on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

thread_local! {
    static EXPECTATIONS: RefCell<Vec<Expect>> = const { RefCell::new(Vec::new()) };
}

/// A callback that must run a known number of times: call [`hit`](Expect::hit) in it. `with_loop` checks the number.
#[derive(Clone)]
pub struct Expect {
    hits: Rc<Cell<usize>>,
    expected: usize,
    place: &'static Location<'static>,
}

/// Expects `count` calls.
#[track_caller]
pub fn expect(count: usize) -> Expect {
    let expect = Expect { hits: Rc::new(Cell::new(0)), expected: count, place: Location::caller() };
    EXPECTATIONS.with_borrow_mut(|all| all.push(expect.clone()));
    expect
}

impl Expect {
    /// Notes a call, and says which one it was, counted from 1.
    pub fn hit(&self) -> usize {
        self.hits.set(self.hits.get() + 1);
        assert!(
            self.hits.get() <= self.expected,
            "more than {} calls, expected at {}",
            self.expected,
            self.place
        );
        self.hits.get()
    }

    /// How many calls there were.
    pub fn hits(&self) -> usize {
        self.hits.get()
    }
}

/// A loop with the default limits, for a test that runs it itself.
pub fn new_loop() -> Loop {
    Loop::new().expect("a loop can be made")
}

/// Makes a loop, hands it to `test`, runs it to its end, and fails on a missed call or a handle that was left open.
pub fn with_loop(test: impl FnOnce(&Loop)) {
    with_built_loop(Loop::builder(), test);
}

/// The same with a virtual clock.
pub fn with_virtual_loop(test: impl FnOnce(&Loop)) {
    with_built_loop(Loop::builder().virtual_clock(), test);
}

/// The same with a loop of one's own making.
pub fn with_built_loop(builder: Builder, test: impl FnOnce(&Loop)) {
    let _watchdog = watchdog();
    EXPECTATIONS.take();
    let event_loop = builder.build().expect("a loop can be made");
    test(&event_loop);
    event_loop.run().expect("the loop can be run");
    check_expectations();
    let mut open = Vec::new();
    event_loop
        .walk(|handle| open.push(format!("{} made at {}", handle.kind(), handle.created_at())));
    assert!(open.is_empty(), "left open: {open:?}");
    if let Err(err) = event_loop.close() {
        panic!("the loop is not done: {err}");
    }
}

/// Fails if an expected call is missing. `with_loop` does this by itself.
pub fn check_expectations() {
    for expect in EXPECTATIONS.take() {
        assert_eq!(expect.hits.get(), expect.expected, "calls expected at {}", expect.place);
    }
}

/// Ends the process if it is not dropped in time: a test that hangs must not hang the suite.
pub struct Watchdog(#[allow(dead_code)] Sender<()>);

/// A watchdog for a test that does not use `with_loop`.
#[track_caller]
pub fn watchdog() -> Watchdog {
    let place = Location::caller();
    let name = thread::current().name().unwrap_or("?").to_string();
    let (sender, receiver) = mpsc::channel::<()>();
    thread::spawn(move || {
        if receiver.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("test {name} ({place}) took longer than {DEADLINE:?}");
            process::abort();
        }
    });
    Watchdog(sender)
}

/// Notes what happened, in order. A clone notes into the same list.
#[derive(Clone, Default)]
pub struct Journal(Rc<RefCell<Vec<String>>>);

impl Journal {
    pub fn new() -> Journal {
        Journal::default()
    }

    pub fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    /// A callback for a request that notes `what` and how it ended: `ok`, `canceled`, or the kind of the error.
    pub fn result<T>(&self, what: &'static str) -> impl FnOnce(io::Result<T>) + use<T> {
        let journal = self.clone();
        move |result| {
            journal.note(match result {
                Ok(_) => format!("{what} ok"),
                Err(err) if luvio::is_canceled(&err) => format!("{what} canceled"),
                Err(err) => format!("{what} {:?}", err.kind()),
            });
        }
    }

    /// What was noted so far.
    pub fn entries(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Fails unless exactly this was noted, in this order.
    #[track_caller]
    pub fn assert_is(&self, expected: &[&str]) {
        assert_eq!(self.entries(), expected);
    }
}

/// Counts drops: put a [`token`](Drops::token) into what has to be dropped.
#[derive(Clone, Default)]
pub struct Drops(Rc<Cell<usize>>);

/// One drop to be counted.
pub struct DropToken(Rc<Cell<usize>>);

impl Drops {
    pub fn new() -> Drops {
        Drops::default()
    }

    pub fn token(&self) -> DropToken {
        DropToken(Rc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.get()
    }
}

impl DropToken {
    /// Has a `move` closure capture the token.
    pub fn keep(&self) {}
}

impl Drop for DropToken {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A stream of the loop that is connected to a blocking socket of the standard library.
pub fn connected_pair(event_loop: &LoopHandle) -> (Tcp, TcpStream) {
    let (here, there) = std_pair();
    let tcp = Tcp::new(event_loop);
    tcp.open(here).expect("a connected socket can be adopted");
    (tcp, there)
}

/// Two connected sockets of the standard library. Blocking calls on them end after a while.
pub fn std_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let here = TcpStream::connect(addr).expect("loopback can be connected");
    let (there, _) = listener.accept().expect("the connection is there");
    for socket in [&here, &there] {
        socket.set_read_timeout(Some(DEADLINE / 2)).expect("a timeout can be set");
        socket.set_write_timeout(Some(DEADLINE / 2)).expect("a timeout can be set");
        socket.set_nodelay(true).expect("nodelay can be set");
    }
    (here, there)
}

/// Both ends of a connection that the loop itself connected and accepted: the client's, then the server's.
pub fn accepted_pair(event_loop: &Loop) -> (Tcp, Tcp) {
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen_only(1).expect("a bound socket can listen");
    let client = Tcp::new(event_loop);
    client.connect(server.local_addr().expect("a listener has an address"));
    let mut accepted = None;
    while accepted.is_none() || !client.is_writable() {
        event_loop.run_mode(RunMode::NoWait).expect("the loop can be run");
        accepted = accepted.or_else(|| server.accept().ok());
    }
    (client, accepted.expect("the loop above ends with it"))
}

/// A stream of the loop in whose socket `data` is waiting, though the loop does not know of it yet.
pub fn pair_with_data(event_loop: &LoopHandle, data: &[u8]) -> (Tcp, TcpStream) {
    let (here, mut there) = std_pair();
    there.write_all(data).expect("a socket buffer has room");
    let mut peeked = vec![0; data.len()];
    while here.peek(&mut peeked).expect("the peer is there") < data.len() {}
    let tcp = Tcp::new(event_loop);
    tcp.open(here).expect("a connected socket can be adopted");
    (tcp, there)
}

/// Has the next operation of the other end fail with a reset.
pub fn reset(peer: TcpStream) {
    let socket = socket2::SockRef::from(&peer);
    socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
}

/// One turn that does not sleep, also of a loop with nothing to do.
pub fn turn(event_loop: &Loop) {
    event_loop.defer(|_| {});
    event_loop.run_mode(RunMode::NoWait).expect("the loop can be run");
}

/// Turns until `done` says so. The loop sleeps while it has something to wait for.
pub fn turn_until(event_loop: &Loop, mut done: impl FnMut() -> bool) {
    while !done() {
        event_loop.run_mode(RunMode::Once).expect("the loop can be run");
    }
}

/// Queues writes until the kernel takes no more for a peer that does not read, and says how many bytes that were.
pub fn fill(tcp: &Tcp) -> usize {
    let block = vec![b'f'; 64 * 1024];
    let mut total = 0;
    while tcp.write_queue_size() == 0 {
        tcp.write(&block);
        total += block.len();
    }
    total
}

/// An address on which a connect comes to no end: that of a listener whose backlog is full, as long as this lives.
#[cfg(target_os = "linux")]
pub struct Unanswering {
    pub addr: SocketAddr,
    _sockets: (Socket, TcpStream),
}

/// Makes such an address.
#[cfg(target_os = "linux")]
pub fn unanswering() -> Unanswering {
    let listener = bound_socket(([127, 0, 0, 1], 0).into());
    listener.listen(0).expect("a bound socket can listen");
    let addr = addr_of(&listener);
    let first = TcpStream::connect(addr).expect("a backlog of 0 has room for one");
    Unanswering { addr, _sockets: (listener, first) }
}

/// True if this machine has IPv6, at least on loopback.
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// A directory of its own for a test, removed with this value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short: the name of a socket is, too.
        let path = env::temp_dir().join(format!("luvio-{}-{count}", process::id()));
        std::fs::create_dir(&path).expect("a directory can be made");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// True if nothing is in it.
    pub fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.0).expect("the directory is there").next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The environment variable that tells a child process which test it is to be.
const CHILD: &str = "LUVIO_TEST_CHILD";

/// A command that runs `test` of this binary once more, in a process of its own, where [`is_child`] is true. A `prefix`
/// such as `ulimit -n 32` is run by the shell before.
pub fn child(test: &str, prefix: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{prefix}\nexec \"$0\" \"$@\"");
    let binary = env::current_exe().expect("the test binary has a path");
    command.arg("-c").arg(script).arg(binary);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test);
    command
}

/// True in a process started by [`child`].
pub fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// An address on which nobody listens: connecting to it is refused. A socket that does not listen keeps it from being
/// given to anybody else until the process ends.
pub fn refusing_addr() -> SocketAddr {
    static BOUND: LazyLock<Socket> = LazyLock::new(|| bound_socket(([127, 0, 0, 1], 0).into()));
    addr_of(&BOUND)
}

/// A blocking socket with a local address, which does not listen.
pub fn bound_socket(addr: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None);
    let socket = socket.expect("a socket can be made");
    socket.bind(&addr.into()).expect("the port is free");
    socket
}

fn addr_of(socket: &Socket) -> SocketAddr {
    let addr = socket.local_addr().expect("a bound socket has an address");
    addr.as_socket().expect("an IP socket has an IP address")
}

/// The misuse that `result` reports.
#[track_caller]
pub fn misuse<T: Debug>(result: io::Result<T>) -> luvio::Misuse {
    let err = result.expect_err("a misuse");
    luvio::Misuse::of(&err).unwrap_or_else(|| panic!("not a misuse: {err:?}"))
}

/// How many descriptors the process has open.
#[cfg(target_os = "linux")]
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux lists them").count()
}

/// Polls a future outside of any task, and counts the wakes that it gets.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    pub fn new() -> Arc<Wakes> {
        Arc::default()
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// Turns the loop until the future was woken once more.
    pub fn wait(&self, event_loop: &Loop) {
        let before = self.count();
        while self.count() == before {
            turn(event_loop);
        }
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future once, outside of any task.
pub fn poll<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future yields that is ready.
#[track_caller]
pub fn ready<F: Future + Unpin>(future: F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready"),
    }
}

/// A listener without a callback on a free port, and its address.
pub fn listening(event_loop: &LoopHandle) -> (Tcp, SocketAddr) {
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    server.listen_only(128).expect("a bound socket can listen");
    let addr = server.local_addr().expect("a listener has an address");
    (server, addr)
}

/// A connection under way: the listener, then the client.
pub fn connecting(event_loop: &LoopHandle) -> (Tcp, Tcp) {
    let (server, addr) = listening(event_loop);
    let client = Tcp::new(event_loop);
    client.connect(addr);
    (server, client)
}

/// Has a bound handle listen for exactly one connection, which it does not accept: it closes then.
#[track_caller]
pub fn listen_for_one(server: &Tcp) {
    let announced = expect(1);
    let listen = server.listen(8, move |server, incoming| {
        announced.hit();
        incoming.expect("a connection");
        server.close();
    });
    listen.expect("the handle can listen");
}

/// Notes what the stream brings, and at its end `end`; then closes it.
pub fn note_reads(tcp: &Tcp, journal: &Journal) {
    let noted = journal.clone();
    let read = tcp.read_start(move |tcp, chunk| match chunk.expect("no error") {
        Some(data) => noted.note(String::from_utf8_lossy(data)),
        None => {
            noted.note("end");
            tcp.close();
        }
    });
    read.expect("the stream can be read");
}

/// What the panic of `run` says.
#[track_caller]
pub fn panic_text<R>(run: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(run)) else {
        panic!("there was no panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().expect("a panic with a text").to_string(),
    }
}

/// Counts turns without keeping the loop alive.
pub fn turns(event_loop: &LoopHandle) -> Rc<Cell<usize>> {
    let turns = Rc::new(Cell::new(0));
    let counter = Rc::clone(&turns);
    let prepare = Prepare::new(event_loop);
    prepare.start(move |_| counter.set(counter.get() + 1)).expect("a new handle can be started");
    prepare.unref();
    turns
}

/// A future that notes each poll in `polls` and never ends.
pub fn counting(polls: &Rc<Cell<usize>>) -> impl Future<Output = ()> + 'static {
    let polls = Rc::clone(polls);
    poll_fn(move |_| {
        polls.set(polls.get() + 1);
        Poll::Pending
    })
}

/// A future that leaves its waker in `slot` at each poll and never ends.
pub fn showing_waker(slot: &Rc<RefCell<Option<Waker>>>) -> impl Future<Output = ()> + 'static {
    let slot = Rc::clone(slot);
    poll_fn(move |context| {
        slot.replace(Some(context.waker().clone()));
        Poll::Pending
    })
}
