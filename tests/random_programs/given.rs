//! What a program gives away: closures, futures, wakers, payloads of panics. It knows how often each is called and dropped.

use std::any::Any;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use super::program::Code;
use super::world::{Item, Me, fail, fail_unless, is_gone, script, world};

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

impl Count {
    pub fn was_called(&self) -> bool {
        self.calls.load(SeqCst) > 0
    }
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
