//! What a running program has: its handles, what it holds, and what is known of everything that it gave away.
//!
//! It lies in a thread-local, so that closures need to capture numbers only and everything can be given to other threads.
//! Nothing of the library is called or dropped while it is borrowed: that may run code of the program, which comes here.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::Duration;

#[cfg(feature = "signal")]
use luvio::Signal;
#[cfg(feature = "udp")]
use luvio::Udp;
use luvio::{
    Canceler, Check, Handle, Idle, JoinHandle, Loop, LoopHandle, Misuse, Notifier, Prepare,
    Request, Resume, Tcp, Timer,
};

use super::data::{Conn, WriteId};
#[cfg(feature = "udp")]
use super::datagrams::Sent;
use super::given::{Count, Holder};
use super::perform::perform;
use super::program::{Action, HELD, ME, SLOTS};

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
    Tcp(Tcp, Rc<Notes>),
    /// … and when it is due.
    Timer(Timer, Rc<Cell<Duration>>),
    Idle(Idle),
    Prepare(Prepare),
    Check(Check),
    Notifier(Notifier),
    #[cfg(feature = "signal")]
    Signal(Signal),
    #[cfg(feature = "udp")]
    Udp(Udp, Rc<Calls>),
}

/// What is known of a stream.
#[derive(Default)]
pub struct Notes {
    /// The connection that it is.
    pub conn: Cell<Option<usize>>,
    /// The callback of the connect that was under way last.
    pub connect: RefCell<Option<Arc<Count>>>,
    /// The calls of its reader.
    pub calls: Calls,
}

/// How often a callback was called in a turn.
#[derive(Default)]
pub struct Calls(Cell<(u64, u32)>);

impl Calls {
    /// L-27, D-22: one more, which may be too many.
    pub fn count(&self, l: u8) {
        let l = usize::from(l);
        let (now, most) = world(|world| (world.all_turns[l], world.reads_per_turn[l]));
        let (turn, count) = self.0.get();
        let count = if turn == now { count + 1 } else { 1 };
        self.0.set((now, count));
        fail_unless(count <= most, || format!("{count} reads in a turn, {most} may be (L-27)"));
    }
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
            #[cfg(feature = "udp")]
            It::Udp(udp, _) => udp,
        }
    }
}

/// A stream, as the actions on streams use it.
pub struct Sock {
    pub l: u8,
    pub tcp: Tcp,
    pub notes: Rc<Notes>,
}

impl Sock {
    pub fn item(&self) -> Item {
        Item { l: self.l, it: It::Tcp(self.tcp.clone(), Rc::clone(&self.notes)) }
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
    pub chain: u32,
    pub running: [bool; 2],
    /// The turns of the run that is under way, and of all runs.
    pub turns: [u32; 2],
    pub all_turns: [u64; 2],
    pub reads_per_turn: [u32; 2],
    pub slots: [Option<Item>; SLOTS as usize],
    pub requests: Held<HeldRequest>,
    pub cancelers: Held<HeldCanceler>,
    pub futures: Held<HeldFuture>,
    pub tasks: Held<JoinHandle<()>>,
    pub wakers: Held<Waker>,
    pub resumes: Held<Resume<u8>>,
    pub conns: Vec<Conn>,
    #[cfg(feature = "udp")]
    pub datagrams: Vec<Sent>,
    pub counts: Vec<Arc<Count>>,
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

// ---- calls of the library, and by it -------------------------------------------------------------------------------

struct InCall(u32);

impl Drop for InCall {
    fn drop(&mut self) {
        CALLS.set(self.0);
    }
}

/// A call of the library, in which no callback may run.
pub fn api<R>(call: impl FnOnce() -> R) -> R {
    let _outer = InCall(CALLS.replace(CALLS.get() + 1));
    call()
}

/// A run of a loop, in which callbacks may run.
pub fn running<R>(run: impl FnOnce() -> R) -> R {
    let _outer = InCall(CALLS.replace(0));
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
        It::Tcp(tcp, notes) => Some(Sock { l, tcp, notes }),
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
