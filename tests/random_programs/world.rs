//! What a running program has: its handles, what it holds, and what is known of everything that it gave away.
//!
//! It lies in a thread-local, so that closures need to capture numbers only and everything can be given to other threads.
//! Nothing of the library is called or dropped while it is borrowed: that may run code of the program, which comes here.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::Waker;
use std::thread;
use std::time::Duration;

#[cfg(feature = "signal")]
use luvio::Signal;
use luvio::{
    Canceler, Check, Handle, Idle, JoinHandle, Loop, LoopHandle, Misuse, Notifier, Prepare,
    Request, Resume, Tcp, Timer, is_canceled,
};

use super::perform::perform;
use super::program::{Action, Code, HELD, ME, SLOTS};

/// How deep code of the program may call itself by way of the library.
const DEPTH: u32 = 6;

/// A handle, with what is known of it. A clone is the same handle.
#[derive(Clone)]
pub struct Item {
    /// The number of its loop.
    pub l: u8,
    pub it: It,
}

#[derive(Clone)]
pub enum It {
    /// … and the connection that it is.
    Tcp(Tcp, Rc<Cell<Option<usize>>>),
    /// … and when it is due.
    Timer(Timer, Rc<Cell<Duration>>),
    Idle(Idle),
    Prepare(Prepare),
    Check(Check),
    Notifier(Notifier),
    #[cfg(feature = "signal")]
    Signal(Signal),
}

impl World {
    /// Where the handles were made that are not the program's.
    pub fn stopper_places(&self) -> Vec<&'static Location<'static>> {
        let own = self.stoppers.iter();
        own.flat_map(|(timer, prepare)| [timer.created_at(), prepare.created_at()]).collect()
    }
}

impl Item {
    pub fn handle(&self) -> &dyn Handle {
        match &self.it {
            It::Tcp(tcp, _) => tcp,
            It::Timer(timer, _) => timer,
            It::Idle(idle) => idle,
            It::Prepare(prepare) => prepare,
            It::Check(check) => check,
            It::Notifier(notifier) => notifier,
            #[cfg(feature = "signal")]
            It::Signal(signal) => signal,
        }
    }
}

/// A stream, as the actions on streams use it.
pub struct Sock {
    pub l: u8,
    pub tcp: Tcp,
    pub conn: Rc<Cell<Option<usize>>>,
}

impl Sock {
    pub fn item(&self) -> Item {
        Item { l: self.l, it: It::Tcp(self.tcp.clone(), Rc::clone(&self.conn)) }
    }
}

/// One end of a connection: what was written to it, and how much of what the other end wrote was read.
#[derive(Default)]
pub struct Conn {
    pub peer: Option<usize>,
    pub port: u16,
    writes: Vec<Write>,
    read: (usize, usize),
    read_all: bool,
}

struct Write {
    len: usize,
    canceled: bool,
    succeeded: bool,
}

/// Names a write: its connection and its place there.
pub type WriteId = (usize, usize);

/// How often something that was given away has been called and dropped.
pub struct Count {
    what: &'static str,
    l: u8,
    once: bool,
    must_be_called: AtomicBool,
    calls: AtomicU32,
    drops: AtomicU32,
}

/// What everything that is given away captures. It may go to another thread.
pub struct Token {
    pub count: Arc<Count>,
    end: u8,
}

impl Token {
    pub fn new(what: &'static str, l: u8, once: bool, code: Code) -> Token {
        let count = Arc::new(Count {
            what,
            l,
            once,
            must_be_called: AtomicBool::new(false),
            calls: AtomicU32::new(0),
            drops: AtomicU32::new(0),
        });
        world(|world| world.counts.push(Arc::clone(&count)));
        Token { count, end: code.end }
    }

    /// The loop has to call it, unless it is dropped before.
    pub fn must_be_called(&self) {
        self.count.must_be_called.store(true, SeqCst);
    }

    pub fn call(&self) {
        let calls = self.count.calls.fetch_add(1, SeqCst) + 1;
        if self.count.once && calls > 1 {
            fail(format!("{} was called {calls} times", self.count.what));
        }
        if self.count.drops.load(SeqCst) > 0 {
            fail(format!("{} was called after it was dropped", self.count.what));
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.count.drops.fetch_add(1, SeqCst);
        script(self.end, None);
    }
}

/// A token, and maybe the handle that it belongs to, which its destructor uses then.
pub struct Holder {
    token: Option<Token>,
    keeps: Option<Item>,
}

impl Holder {
    pub fn new(what: &'static str, l: u8, once: bool, code: Code, own: Option<&Item>) -> Holder {
        let keeps = own.filter(|_| code.keeps).cloned();
        Holder { token: Some(Token::new(what, l, once, code)), keeps }
    }

    pub fn token(&self) -> &Token {
        self.token.as_ref().expect("it is there until the end")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _me = Me::enter(self.keeps.take());
        drop(self.token.take());
    }
}

pub struct HeldRequest {
    pub l: u8,
    pub request: Request<()>,
    pub write: Option<WriteId>,
}

pub struct HeldCanceler {
    pub canceler: Canceler,
    pub write: Option<WriteId>,
}

pub struct HeldFuture {
    pub future: Pin<Box<dyn Future<Output = ()>>>,
    pub woken: Arc<AtomicBool>,
    /// It waits for a handle, and so has to end with it.
    pub must_end: bool,
}

type Held<T> = [Option<T>; HELD as usize];

#[derive(Default)]
pub struct World {
    pub scripts: Rc<Vec<Vec<Action>>>,
    pub budget: u32,
    depth: u32,
    me: Vec<Option<Item>>,
    pub loops: [Option<Rc<Loop>>; 2],
    pub handles: Vec<LoopHandle>,
    pub gone: [bool; 2],
    /// How many payloads of panics are being dropped, each inside the drop of the one before.
    chain: u32,
    pub running: [bool; 2],
    pub turns: [u32; 2],
    pub slots: [Option<Item>; SLOTS as usize],
    pub requests: Held<HeldRequest>,
    pub cancelers: Held<HeldCanceler>,
    pub futures: Held<HeldFuture>,
    pub tasks: Held<JoinHandle<()>>,
    pub wakers: Held<Waker>,
    pub resumes: Held<Resume<u8>>,
    pub conns: Vec<Conn>,
    counts: Vec<Arc<Count>>,
    /// How many tasks wait for something that ends with a handle.
    pub waiting: usize,
    /// The program is over: what waits for the program only, ends.
    pub ending: bool,
    pub enders: Vec<Waker>,
    pub is_virtual: bool,
    pub was_stopped: bool,
    /// What ends a run of each loop that does not end by itself.
    pub stoppers: Vec<(Timer, Prepare)>,
    pub silent: Option<SocketAddr>,
    pub logger: u8,
    pub failure: Option<String>,
}

thread_local! {
    static WORLD: RefCell<Option<Box<World>>> = const { RefCell::new(None) };
    /// How many calls of the library the program is in.
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Puts the world of a program there.
pub fn begin(world: World) {
    WORLD.replace(Some(Box::new(world)));
}

/// Looks at the world, or changes it.
pub fn world<R>(f: impl FnOnce(&mut World) -> R) -> R {
    try_world(f).expect("a program is running in this thread")
}

/// The same where there may be none: in other threads.
pub fn try_world<R>(f: impl FnOnce(&mut World) -> R) -> Option<R> {
    WORLD.try_with(|world| world.borrow_mut().as_deref_mut().map(f)).ok().flatten()
}

/// Notes that a promise was not kept. The first one counts.
pub fn fail(text: impl Into<String>) {
    let text = text.into();
    try_world(|world| {
        world.failure.get_or_insert(text);
    });
}

pub fn fail_unless(holds: bool, text: impl FnOnce() -> String) {
    if !holds {
        fail(text());
    }
}

// ---- code of the program ------------------------------------------------------------------------------------------

/// The handle whose code runs, until this is dropped.
pub struct Me(());

impl Me {
    pub fn enter(me: Option<Item>) -> Me {
        try_world(|world| world.me.push(me));
        Me(())
    }
}

impl Drop for Me {
    fn drop(&mut self) {
        let me = try_world(|world| world.me.pop());
        drop(me);
    }
}

struct Depth;

impl Drop for Depth {
    fn drop(&mut self) {
        world(|world| world.depth -= 1);
    }
}

/// Runs a script, as far as the budget goes.
pub fn script(id: u8, me: Option<Item>) {
    if id == 0 {
        return;
    }
    let Some(Some(scripts)) = try_world(|world| {
        let may_run = world.depth < DEPTH && world.budget > 0;
        world.depth += u32::from(may_run);
        may_run.then(|| Rc::clone(&world.scripts))
    }) else {
        return;
    };
    let _depth = Depth;
    let _me = me.map(|me| Me::enter(Some(me)));
    for &action in scripts.get(usize::from(id)).into_iter().flatten() {
        perform(action);
    }
}

/// Takes an action from the budget.
pub fn spend() -> bool {
    world(|world| {
        let left = world.budget;
        world.budget = left.saturating_sub(1);
        left > 0
    })
}

/// A panic of the program. Its payload may have a destructor, too.
pub struct Planned {
    token: Option<Token>,
    chain: u32,
}

/// The destructor of a payload may panic, and so on, so often. The library gives up after a few more.
const CHAIN: u32 = 5;

impl Drop for Planned {
    fn drop(&mut self) {
        let outer = world(|world| mem::replace(&mut world.chain, self.chain));
        let _outer = Chain(outer);
        drop(self.token.take());
    }
}

/// Payloads that are dropped inside the drop of others.
struct Chain(u32);

impl Drop for Chain {
    fn drop(&mut self) {
        world(|world| world.chain = self.0);
    }
}

pub fn panic_on_purpose(end: u8) {
    let chain = world(|world| world.chain) + 1;
    if chain <= CHAIN && !thread::panicking() {
        let token = Token::new("a panic's payload", 0, true, Code { body: 0, end, keeps: false });
        std::panic::panic_any(Planned { token: Some(token), chain });
    }
}

pub fn is_planned(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Planned>()
}

// ---- calls of the library, and by it -------------------------------------------------------------------------------

struct Calls(u32);

impl Drop for Calls {
    fn drop(&mut self) {
        CALLS.set(self.0);
    }
}

/// A call of the library, in which no callback may run.
pub fn api<R>(call: impl FnOnce() -> R) -> R {
    let _outer = Calls(CALLS.replace(CALLS.get() + 1));
    call()
}

/// A run of a loop, in which callbacks may run.
pub fn running<R>(run: impl FnOnce() -> R) -> R {
    let _outer = Calls(CALLS.replace(0));
    run()
}

/// L-29: the library calls the program.
pub fn called(what: &str, l: u8) {
    fail_unless(CALLS.get() == 0, || format!("{what} ran inside a call of the program (L-29)"));
    let (is_gone, is_running) =
        world(|world| (world.gone[usize::from(l)], world.running[usize::from(l)]));
    fail_unless(!is_gone, || format!("{what} was called though its loop is gone (L-33)"));
    fail_unless(is_running, || format!("{what} was called outside of a run"));
}

/// An event of a handle.
pub fn event(what: &str, l: u8, handle: &dyn Handle, holder: &Holder) {
    called(what, l);
    fail_unless(!handle.is_closing(), || format!("{what} was called after close (H-10)"));
    holder.token().call();
}

/// What a call says that has nothing to refuse but that the loop is gone.
pub fn check_gone<T>(what: &str, was_gone: bool, result: &io::Result<T>) {
    if was_gone {
        let says_so = matches!(result, Err(err) if Misuse::of(err) == Some(Misuse::LoopGone));
        fail_unless(says_so, || {
            let said = result.as_ref().map(|_| "it succeeded").map_err(|err| err.to_string());
            format!("{what} on a loop that is gone does not say so: {said:?}")
        });
    }
}

pub fn is_gone(l: u8) -> bool {
    world(|world| world.gone[usize::from(l)])
}

// ---- slots ----------------------------------------------------------------------------------------------------------

pub fn get(h: u8) -> Option<Item> {
    world(|world| match h {
        ME => world.me.last().cloned().flatten(),
        _ => world.slots[usize::from(h)].clone(),
    })
}

pub fn put(h: u8, any: Option<Item>) {
    if h != ME {
        let old = world(|world| mem::replace(&mut world.slots[usize::from(h)], any));
        api(|| drop(old));
    }
}

pub fn sock(h: u8) -> Option<Sock> {
    let Item { l, it } = get(h)?;
    match it {
        It::Tcp(tcp, conn) => Some(Sock { l, tcp, conn }),
        _ => None,
    }
}

/// Puts something into a list of held things, and drops what was there.
pub fn hold<T>(s: u8, thing: Option<T>, list: impl FnOnce(&mut World) -> &mut Held<T>) {
    let old = world(|world| mem::replace(&mut list(world)[usize::from(s % HELD)], thing));
    api(|| drop(old));
}

/// Takes something out of a list of held things.
pub fn take<T>(s: u8, list: impl FnOnce(&mut World) -> &mut Held<T>) -> Option<T> {
    world(|world| list(world)[usize::from(s % HELD)].take())
}

// ---- what is written and read ----------------------------------------------------------------------------------------

/// The byte at a place of a write.
fn pattern((conn, write): WriteId, at: usize) -> u8 {
    (conn * 101 + write * 37 + at) as u8
}

impl Sock {
    /// Notes a write of so many bytes, and says what they are.
    pub fn new_write(&self, len: usize) -> (Option<WriteId>, Vec<u8>) {
        let Some(conn) = self.conn.get() else { return (None, vec![b'?'; len]) };
        let id = world(|world| {
            let writes = &mut world.conns[conn].writes;
            writes.push(Write { len, canceled: false, succeeded: false });
            (conn, writes.len() - 1)
        });
        (Some(id), (0..len).map(|at| pattern(id, at)).collect())
    }

    /// A new connection, as far as this end knows.
    pub fn begin_connection(&self, peer: Option<usize>) -> usize {
        let port = self.tcp.local_addr().map_or(0, |addr| addr.port());
        let conn = world(|world| {
            let conn = world.conns.len();
            world.conns.push(Conn { peer, port, ..Conn::default() });
            if let Some(peer) = peer {
                world.conns[peer].peer = Some(conn);
            }
            conn
        });
        self.conn.set(Some(conn));
        conn
    }

    /// This stream was accepted: finds out which one its peer is.
    pub fn accepted(&self) {
        let Ok(addr) = self.tcp.peer_addr() else { return };
        let peer = world(|world| world.conns.iter().rposition(|conn| conn.port == addr.port()));
        self.begin_connection(peer);
    }
}

/// How a write ended.
pub fn write_ended(write: Option<WriteId>, result: &io::Result<()>) {
    let Some((conn, number)) = write else { return };
    let was_canceled = world(|world| {
        let write = &mut world.conns[conn].writes[number];
        write.succeeded = result.is_ok();
        write.canceled
    });
    let is_canceled = matches!(result, Err(err) if is_canceled(err));
    fail_unless(!was_canceled || is_canceled, || {
        format!("a write that was cancelled ended with {result:?}")
    });
}

pub fn write_canceled(write: Option<WriteId>) {
    if let Some((conn, number)) = write {
        world(|world| world.conns[conn].writes[number].canceled = true);
    }
}

/// Only so much of a write was taken, and it has succeeded.
pub fn write_cut(write: Option<WriteId>, len: usize) {
    if let Some((conn, number)) = write {
        world(|world| {
            let write = &mut world.conns[conn].writes[number];
            write.len = len;
            write.succeeded = true;
        });
    }
}

/// RD-05: what was read has to be what the other end wrote next; nothing is its end.
pub fn received(conn: Option<usize>, data: &[u8]) {
    let Some(conn) = conn else { return };
    let wrong = world(|world| {
        let peer = world.conns[conn].peer?;
        let (mut write, mut at) = world.conns[conn].read;
        world.conns[conn].read_all |= data.is_empty();
        for &byte in data {
            while world.conns[peer].writes.get(write).is_some_and(|w| w.canceled || at == w.len) {
                (write, at) = (write + 1, 0);
            }
            if world.conns[peer].writes.get(write).is_none() {
                return Some("more was read than was written".to_string());
            }
            if byte != pattern((peer, write), at) {
                return Some(format!("byte {at} of write {write} to connection {peer} is wrong"));
            }
            at += 1;
        }
        world.conns[conn].read = (write, at);
        None
    });
    fail_unless(wrong.is_none(), || format!("{} (RD-05)", wrong.unwrap_or_default()));
}

/// What was promised of data that came to its end.
pub fn check_connections() {
    let lost = world(|world| {
        let ended = world.conns.iter().filter(|conn| conn.read_all);
        let mut lost = None;
        for conn in ended {
            let Some(peer) = conn.peer else { continue };
            let (write, at) = conn.read;
            let mut rest = world.conns[peer].writes.iter().enumerate().skip(write);
            let is_lost = |number: usize, w: &Write| {
                w.succeeded && !w.canceled && w.len > if number == write { at } else { 0 }
            };
            if let Some((number, _)) = rest.find(|(number, w)| is_lost(*number, w)) {
                lost = Some(format!(
                    "write {number} to connection {peer} succeeded; its reader met the end before it"
                ));
            }
        }
        lost
    });
    fail_unless(lost.is_none(), || lost.unwrap_or_default());
}

/// L-33: a loop that was dropped keeps nothing that it was given.
pub fn check_dropped(l: u8) {
    const OTHERS: [&str; 4] = ["a waker", "a panic's payload", "what takes a read", "a future"];
    let kept = world(|world| {
        let mut kept = world.counts.iter().filter(|count| {
            count.l == l && count.drops.load(SeqCst) == 0 && !OTHERS.contains(&count.what)
        });
        kept.next().map(|count| count.what)
    });
    fail_unless(kept.is_none(), || {
        format!("the loop was dropped, {} was not (L-33)", kept.unwrap_or_default())
    });
}

/// What was promised of everything that was given away.
pub fn check_counts() {
    let counts = world(|world| mem::take(&mut world.counts));
    for count in &counts {
        let (calls, drops) = (count.calls.load(SeqCst), count.drops.load(SeqCst));
        let what = count.what;
        fail_unless(drops == 1, || {
            format!("{what} was dropped {drops} times (and called {calls})")
        });
        let has_to_be = count.must_be_called.load(SeqCst) && !is_gone(count.l);
        fail_unless(calls > 0 || !has_to_be, || format!("{what} was never called"));
    }
}
