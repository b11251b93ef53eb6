//! What becomes of requests, and futures that are polled by hand.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use luvio::Request;

use super::data::{WriteId, write_ended};
use super::given::{Count, Holder, Token};
use super::program::{Code, Use};
use super::world::{
    HeldCanceler, HeldFuture, HeldRequest, Item, api, called, fail_unless, hold, is_gone, script,
    take, world,
};

/// Says how often the callback was called, if there is one.
pub fn use_request(
    what: &'static str,
    item: &Item,
    request: Request<()>,
    write: Option<WriteId>,
    how: Use,
) -> Option<Arc<Count>> {
    match how {
        Use::Ignore => api(|| drop(request)),
        Use::Then(code) => return Some(then(what, item.l, Some(item), request, write, code)),
        Use::Keep(s) => {
            hold(s, Some(HeldRequest { l: item.l, request, write }), |world| &mut world.requests);
        }
        Use::Hand(s) => by_hand(
            s,
            true,
            Box::pin(async move {
                let result = request.await;
                write_ended(write, &result);
            }),
        ),
    }
    None
}

pub fn then(
    what: &'static str,
    l: u8,
    item: Option<&Item>,
    request: Request<()>,
    write: Option<WriteId>,
    code: Code,
) -> Arc<Count> {
    let holder = Holder::new(what, l, true, code, item);
    let count = Arc::clone(&holder.token().count);
    if !is_gone(l) {
        holder.token().must_be_called();
    }
    let me = if code.keeps { item.cloned() } else { None };
    let canceler = api(|| {
        request.then(move |result: io::Result<()>| {
            called(what, l);
            holder.token().call();
            write_ended(write, &result);
            script(code.body, me);
        })
    });
    let s = world(|world| world.budget % 3) as u8;
    hold(s, Some(HeldCanceler { canceler, write }), |world| &mut world.cancelers);
    count
}

pub fn with_task(s: u8, f: impl FnOnce(&luvio::JoinHandle<()>)) {
    if let Some(task) = take(s, |world| &mut world.tasks) {
        api(|| f(&task));
        hold(s, Some(task), |world| &mut world.tasks);
    }
}

// ---- futures that are polled by hand ------------------------------------------------------------------------------------

pub fn by_hand(s: u8, must_end: bool, future: Pin<Box<dyn Future<Output = ()>>>) {
    let held = HeldFuture { future, woken: Arc::new(AtomicBool::new(true)), must_end };
    hold(s, Some(held), |world| &mut world.futures);
}

/// A waker that is not the library's.
struct ScriptWaker {
    woken: Arc<AtomicBool>,
    body: u8,
    _token: Token,
}

impl Wake for ScriptWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, SeqCst) {
            script(self.body, None);
        }
    }
}

/// A future that was not woken has nothing to be polled for.
pub fn check_not_forgotten(s: u8) {
    let is_asleep = world(|world| {
        let held = world.futures[usize::from(s)].as_ref();
        held.is_some_and(|held| held.must_end && !held.woken.load(SeqCst))
    });
    if is_asleep {
        poll_by_hand(s, Code { body: 0, end: 0, keeps: false });
        let is_pending = world(|world| world.futures[usize::from(s)].is_some());
        fail_unless(is_pending, || "a future was ready and had not been woken".into());
    }
}

pub fn poll_by_hand(s: u8, code: Code) {
    let Some(mut held) = take(s, |world| &mut world.futures) else { return };
    held.woken = Arc::default();
    let woken = Arc::clone(&held.woken);
    let token = Token::new("a waker", 0, false, code);
    let waker = Waker::from(Arc::new(ScriptWaker { woken, body: code.body, _token: token }));
    let polled = held.future.as_mut().poll(&mut Context::from_waker(&waker));
    if polled.is_pending() {
        hold(s, Some(held), |world| &mut world.futures);
    }
}
