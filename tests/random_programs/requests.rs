//! What becomes of requests, and futures that are polled by hand.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use luvio::Request;

use super::data::{WriteId, write_ended};
use super::given::{Holder, Token};
use super::program::{Code, Use};
use super::world::{
    HeldCanceler, HeldFuture, HeldRequest, Item, api, called, hold, is_gone, script, take, world,
};

pub fn use_request(
    what: &'static str,
    item: &Item,
    request: Request<()>,
    write: Option<WriteId>,
    how: Use,
) {
    match how {
        Use::Ignore => api(|| drop(request)),
        Use::Then(code) => then(what, item.l, Some(item), request, write, code),
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
}

pub fn then(
    what: &'static str,
    l: u8,
    item: Option<&Item>,
    request: Request<()>,
    write: Option<WriteId>,
    code: Code,
) {
    let holder = Holder::new(what, l, true, code, item);
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
