//! What each action does.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

#[cfg(feature = "signal")]
use luvio::Signal;
use luvio::{Check, Idle, Notifier, Prepare, Request, Tcp, Timer};

use super::futures::{awaiting, task};
use super::life;
use super::program::{
    Action, CHECK, Code, IDLE, ME, NOTIFIER, PREPARE, SIGNAL, TCPS, TIMER, To, Use,
};
use super::support;
use super::world::{
    HeldCanceler, HeldFuture, HeldRequest, Holder, It, Item, Sock, Token, WriteId, api, called,
    check_gone, event, fail, fail_unless, get, hold, is_gone, panic_on_purpose, put, received,
    script, sock, spend, take, world, write_canceled, write_cut, write_ended,
};

pub fn perform(action: Action) {
    if !spend() {
        return;
    }
    match action {
        Action::Run { l, mode } => life::run(l, mode),
        Action::BlockOn { l, script } => life::block_on(l, script),
        Action::Stop { l } => api(|| handle(l).stop()),
        Action::UpdateTime { l } => api(|| handle(l).update_time()),
        Action::Walk { l, close } => walk(l, close),
        Action::Defer { l, code } => defer(l, code),
        Action::Post { l, code, elsewhere } => post(l, code, elsewhere),
        Action::DropLoop { l } => life::drop_loop(l),
        Action::Panic { payload_end } => panic_on_purpose(payload_end),
        Action::Make { h, l, code, bare } => make(h, l, code, bare),
        Action::Close { h, then } => {
            if let Some(item) = get(h) {
                let request = api(|| item.handle().close());
                fail_unless(item.handle().is_closing(), || "closed and not closing (H-12)".into());
                use_request("close", &item, request, None, then);
            }
        }
        Action::Ref { h, on } => {
            if let Some(item) = get(h) {
                api(|| if on { item.handle().ref_() } else { item.handle().unref() });
            }
        }
        Action::Forget { h } => put(h, None),
        Action::Ask { h } => ask(h),
        Action::Stop_ { h } => stop(h),
        Action::StartTimer { h, delay, repeat, code } => start_timer(h, delay, repeat, code),
        Action::After { h, l, delay, code } => after(h, l, delay, code),
        Action::Again { h } => {
            if let Some(Item { l, it: It::Timer(timer, due) }) = get(h) {
                if api(|| timer.again()).is_ok() {
                    due.set(handle(l).now() + timer.repeat());
                }
            }
        }
        Action::SetRepeat { h, repeat } => {
            if let Some(Item { it: It::Timer(timer, _), .. }) = get(h) {
                api(|| timer.set_repeat(micros(repeat)));
            }
        }
        Action::StartHook { h, code } => start_hook(h, code),
        Action::StartSignal { h, second, once, only, code } => {
            start_signal(h, second, once, only, code);
        }
        Action::Raise { second } => raise(second),
        Action::Send { h, elsewhere } => {
            if let Some(Item { it: It::Notifier(notifier), .. }) = get(h) {
                let sender = api(|| notifier.sender());
                let send = move || drop(sender.send());
                in_thread(elsewhere, send);
            }
        }
        Action::OpenPair { a, b, l, small } => open_pair(a, b, l, small),
        Action::Pair { server, a, b } => accepted_pair(server, a, b),
        Action::Bind { h } => {
            if let Some(sock) = sock(h) {
                let was_gone = is_gone(sock.l);
                let bound = api(|| sock.tcp.bind("127.0.0.1:0"));
                check_gone("bind", was_gone, &bound);
            }
        }
        Action::Listen { h, code, only } => listen(h, code, only),
        Action::Accept { h, into } => accept(h, into),
        Action::Connect { h, to, limit, then } => connect(h, to, limit, then),
        Action::ReadStart { h, code } => read_start(h, code),
        Action::ReadStop { h } => {
            if let Some(sock) = sock(h) {
                api(|| sock.tcp.read_stop());
            }
        }
        Action::Write { h, len, pieces, then } => write(h, len, pieces, then),
        Action::TryWrite { h, len } => try_write(h, len),
        Action::Shutdown { h, then } => stream_request("shutdown", h, then, Tcp::shutdown),
        Action::Finish { h, then } => stream_request("finish", h, then, Tcp::finish),
        Action::CloseReset { h, then } => stream_request("close_reset", h, then, Tcp::close_reset),
        Action::Drained { h, then } => stream_request("drained", h, then, Tcp::drained),
        Action::HighWater { h, bytes } => {
            if let Some(sock) = sock(h) {
                api(|| sock.tcp.set_high_water(bytes as usize));
            }
        }
        Action::Shrink { h } => shrink(h),
        Action::Cancel { s } => {
            if let Some(held) = take(s, |world| &mut world.requests) {
                if api(|| held.request.cancel()) {
                    write_canceled(held.write);
                }
                hold(s, Some(held), |world| &mut world.requests);
            }
        }
        Action::CancelThen { s } => {
            if let Some(held) = take(s, |world| &mut world.cancelers) {
                if api(|| held.canceler.cancel()) {
                    write_canceled(held.write);
                }
                hold(s, Some(held), |world| &mut world.cancelers);
            }
        }
        Action::Then { s, code } => {
            if let Some(held) = take(s, |world| &mut world.requests) {
                then("a kept request", held.l, None, held.request, held.write, code);
            }
        }
        Action::ForgetRequest { s } => hold(s, None, |world| &mut world.requests),
        Action::Spawn { l, code, s } => {
            let future = task(true, l, code);
            let joins = api(|| handle(l).spawn(future));
            hold(s, Some(joins), |world| &mut world.tasks);
        }
        Action::Go { l, code } => {
            let future = task(true, l, code);
            api(|| handle(l).go(future));
        }
        Action::Abort { s } => with_task(s, |task| task.abort()),
        Action::RefTask { s, on } => {
            with_task(s, |task| if on { task.ref_() } else { task.unref() });
        }
        Action::ForgetTask { s } => hold(s, None, |world| &mut world.tasks),
        Action::Wake { s, elsewhere } => {
            if let Some(waker) = world(|world| world.wakers[usize::from(s)].clone()) {
                in_thread(elsewhere, move || waker.wake());
            }
        }
        Action::ForgetWaker { s } => hold(s, None, |world| &mut world.wakers),
        Action::Resume { s } => {
            if let Some(resume) = take(s, |world| &mut world.resumes) {
                api(|| resume.with(s));
                hold(s, Some(resume), |world| &mut world.resumes);
            }
        }
        Action::ForgetResume { s } => hold(s, None, |world| &mut world.resumes),
        Action::Await { op, limit, s, waker } => {
            let must_end = op.ends_with_its_handle() && limit.is_none();
            by_hand(s, must_end, Box::pin(awaiting(op, limit, false)));
            poll_by_hand(s, waker);
        }
        Action::MakeFuture { s, code } => by_hand(s, false, Box::pin(task(false, 0, code))),
        Action::Poll { s, waker } => poll_by_hand(s, waker),
        Action::ForgetFuture { s } => hold(s, None, |world| &mut world.futures),
    }
}

fn handle(l: u8) -> luvio::LoopHandle {
    world(|world| world.handles[usize::from(l)].clone())
}

pub fn micros(count: u32) -> Duration {
    Duration::from_micros(count.into())
}

fn in_thread(elsewhere: bool, what: impl FnOnce() + Send + 'static) {
    if elsewhere {
        thread::spawn(what).join().expect("nothing of the program runs there");
    } else {
        api(what);
    }
}

// ---- the loop -------------------------------------------------------------------------------------------------------

fn walk(l: u8, close: bool) {
    let own = world(|world| world.stopper_places());
    api(|| {
        handle(l).walk(|shown| {
            if close && !own.contains(&shown.created_at()) {
                shown.close();
            }
        });
    });
}

fn defer(l: u8, code: Code) {
    let token = Holder::new("a deferred closure", l, true, code, None);
    if !is_gone(l) {
        token.token().must_be_called();
    }
    api(|| {
        handle(l).defer(move |_| {
            called("a deferred closure", l);
            token.token().call();
            script(code.body, None);
        });
    });
}

fn post(l: u8, code: Code, elsewhere: bool) {
    let token = Token::new("a posted closure", l, true, code);
    let was_gone = is_gone(l);
    let remote = api(|| handle(l).remote());
    if !was_gone {
        token.must_be_called();
    }
    in_thread(elsewhere, move || {
        let posted = remote.post(move |_| {
            called("a posted closure", l);
            token.call();
            script(code.body, None);
        });
        fail_unless(posted.is_ok() != was_gone, || "post says the wrong thing of its loop".into());
    });
}

// ---- handles ---------------------------------------------------------------------------------------------------------

fn make(h: u8, l: u8, code: Code, bare: bool) {
    let event_loop = handle(l);
    let was_gone = is_gone(l);
    let it = match h {
        0..TCPS => It::Tcp(api(|| Tcp::new(&event_loop)), Rc::default()),
        TIMER..IDLE => It::Timer(api(|| Timer::new(&event_loop)), Rc::default()),
        IDLE => It::Idle(api(|| Idle::new(&event_loop))),
        PREPARE => It::Prepare(api(|| Prepare::new(&event_loop))),
        CHECK => It::Check(api(|| Check::new(&event_loop))),
        NOTIFIER..SIGNAL => {
            let made = if bare {
                api(|| Notifier::wake_only(&event_loop))
            } else {
                let holder = Holder::new("a notifier's callback", l, false, code, None);
                api(|| {
                    Notifier::new(&event_loop, move |notifier| {
                        event("a notifier's callback", l, notifier, &holder);
                        script(code.body, Some(Item { l, it: It::Notifier(notifier.clone()) }));
                    })
                })
            };
            match made {
                Ok(notifier) => It::Notifier(notifier),
                Err(_) => return,
            }
        }
        #[cfg(feature = "signal")]
        SIGNAL.. => It::Signal(api(|| Signal::new(&event_loop))),
        #[cfg(not(feature = "signal"))]
        SIGNAL.. => return,
    };
    let item = Item { l, it };
    fail_unless(item.handle().is_closing() == was_gone, || {
        "a new handle is closing exactly if its loop is gone".into()
    });
    put(h, Some(item));
}

fn ask(h: u8) {
    let Some(item) = get(h) else { return };
    let shown = item.handle();
    api(|| {
        let _ = (shown.kind(), shown.has_ref(), format!("{shown:p} {:?}", shown.event_loop()));
        let active = shown.is_active();
        fail_unless(!(active && shown.is_closing()), || "active and closing (H-02)".into());
        match &item.it {
            It::Tcp(tcp, _) => {
                let _ =
                    (tcp.local_addr(), tcp.peer_addr(), tcp.write_queue_size(), tcp.needs_drain());
                let _ = (tcp.is_readable(), tcp.is_writable(), tcp.fileno());
            }
            It::Timer(timer, _) => drop((timer.due_in(), timer.repeat())),
            _ => {}
        }
        let _ = (handle(item.l).backend_timeout(), handle(item.l).now());
    });
}

fn stop(h: u8) {
    let Some(item) = get(h) else { return };
    api(|| match &item.it {
        It::Tcp(tcp, _) => tcp.read_stop(),
        It::Timer(timer, _) => timer.stop(),
        It::Idle(idle) => idle.stop(),
        It::Prepare(prepare) => prepare.stop(),
        It::Check(check) => check.stop(),
        It::Notifier(_) => {}
        #[cfg(feature = "signal")]
        It::Signal(signal) => signal.stop(),
    });
}

fn expired(l: u8, timer: &Timer, due: &Rc<Cell<Duration>>, holder: &Holder, body: u8) {
    event("a timer's callback", l, timer, holder);
    let now = handle(l).now();
    fail_unless(now >= due.get(), || {
        format!("a timer due at {:?} was called at {now:?} (T-01)", due.get())
    });
    // What it waits for now, if it repeats.
    due.set(now + timer.repeat());
    script(body, Some(Item { l, it: It::Timer(timer.clone(), Rc::clone(due)) }));
}

fn start_timer(h: u8, delay: u32, repeat: u32, code: Code) {
    let Some(item) = get(h) else { return };
    let (l, It::Timer(timer, due)) = (item.l, &item.it) else { return };
    let holder = Holder::new("a timer's callback", l, false, code, Some(&item));
    let was_gone = is_gone(l);
    let own = Rc::clone(due);
    let outer = due.replace(handle(l).now() + micros(delay));
    let started = api(|| {
        timer.start(micros(delay), micros(repeat), move |timer| {
            expired(l, timer, &own, &holder, code.body);
        })
    });
    if started.is_err() {
        due.set(outer);
    }
    check_gone("a timer's start", was_gone, &started);
}

fn after(h: u8, l: u8, delay: u32, code: Code) {
    let holder = Holder::new("a timer's only callback", l, true, code, None);
    let due = Rc::new(Cell::new(handle(l).now() + micros(delay)));
    let own = Rc::clone(&due);
    let event_loop = handle(l);
    let timer = api(|| {
        Timer::after(&event_loop, micros(delay), move |timer| {
            expired(l, timer, &own, &holder, code.body);
        })
    });
    if h != ME {
        put(h, Some(Item { l, it: It::Timer(timer, due) }));
    }
}

fn start_hook(h: u8, code: Code) {
    let Some(item) = get(h) else { return };
    let l = item.l;
    let was_gone = is_gone(l);
    let holder = Holder::new("a hook's callback", l, false, code, Some(&item));
    let started = match &item.it {
        It::Idle(idle) => api(|| {
            idle.start(move |idle| {
                event("an idle callback", l, idle, &holder);
                script(code.body, Some(Item { l, it: It::Idle(idle.clone()) }));
            })
        }),
        It::Prepare(prepare) => api(|| {
            prepare.start(move |prepare| {
                event("a prepare callback", l, prepare, &holder);
                script(code.body, Some(Item { l, it: It::Prepare(prepare.clone()) }));
            })
        }),
        It::Check(check) => api(|| {
            check.start(move |check| {
                event("a check callback", l, check, &holder);
                script(code.body, Some(Item { l, it: It::Check(check.clone()) }));
            })
        }),
        _ => return,
    };
    check_gone("a hook's start", was_gone, &started);
}

#[cfg(feature = "signal")]
fn start_signal(h: u8, second: bool, once: bool, only: bool, code: Code) {
    let Some(item) = get(h) else { return };
    let (l, It::Signal(signal)) = (item.l, &item.it) else { return };
    let signum = if second { libc::SIGUSR2 } else { libc::SIGUSR1 };
    let was_gone = is_gone(l);
    let started = if only {
        api(|| signal.start_only(signum))
    } else {
        let holder = Holder::new("a signal's callback", l, false, code, Some(&item));
        let callback = move |signal: &Signal, caught: i32| {
            event("a signal's callback", l, signal, &holder);
            fail_unless(caught == signum, || "a signal's callback got another signal".into());
            fail_unless(signal.is_active() != once, || {
                "a one-shot is active in its callback".into()
            });
            script(code.body, Some(Item { l, it: It::Signal(signal.clone()) }));
        };
        match once {
            true => api(|| signal.start_oneshot(signum, callback)),
            false => api(|| signal.start(signum, callback)),
        }
    };
    check_gone("a signal's start", was_gone, &started);
}

#[cfg(not(feature = "signal"))]
fn start_signal(_: u8, _: bool, _: bool, _: bool, _: Code) {}

#[cfg(feature = "signal")]
fn raise(second: bool) {
    let signum = if second { libc::SIGUSR2 } else { libc::SIGUSR1 };
    signal_hook::low_level::raise(signum).expect("it can be raised");
}

#[cfg(not(feature = "signal"))]
fn raise(_: bool) {}

// ---- streams ----------------------------------------------------------------------------------------------------------

fn new_sock(l: u8) -> Sock {
    let event_loop = handle(l);
    Sock { l, tcp: api(|| Tcp::new(&event_loop)), conn: Rc::default() }
}

fn open_pair(a: u8, b: u8, l: u8, small: bool) {
    let (here, there) = support::std_pair();
    for socket in [&here, &there] {
        if small {
            let socket = socket2::SockRef::from(socket);
            let _ = (socket.set_send_buffer_size(1), socket.set_recv_buffer_size(1));
        }
    }
    let ends = [(here, a), (there, b)].map(|(socket, h)| {
        let sock = new_sock(l);
        let opened = api(|| sock.tcp.open(socket));
        (sock, h, opened.is_ok())
    });
    if let [(first, a, true), (second, b, true)] = ends {
        let peer = first.begin_connection(None);
        second.begin_connection(Some(peer));
        put(a, Some(first.item()));
        put(b, Some(second.item()));
    } else {
        fail_unless(is_gone(l), || "a connected socket could not be opened".into());
    }
}

/// Connects `a` to the listener, which has no callback, and turns the loop until it was accepted as `b`.
fn accepted_pair(server: u8, a: u8, b: u8) {
    let l = 0;
    if is_gone(l) || world(|world| world.running[0]) {
        return;
    }
    let listener = new_sock(l);
    let Ok(()) = api(|| listener.tcp.listen_only(8)) else { return fail("nobody can listen") };
    let client = new_sock(l);
    let addr = api(|| listener.tcp.local_addr()).expect("a listener has an address");
    let request = api(|| client.tcp.connect(addr));
    client.begin_connection(None);
    for _ in 0..10 {
        if is_gone(l) || client.tcp.is_closing() || listener.tcp.is_closing() {
            return;
        }
        life::run(l, super::program::Mode::NoWait);
        if let Ok(tcp) = api(|| listener.tcp.accept()) {
            let sock = Sock { l, tcp, conn: Rc::default() };
            sock.accepted();
            put(b, Some(sock.item()));
            break;
        }
    }
    drop(request);
    put(a, Some(client.item()));
    put(server, Some(listener.item()));
}

fn listen(h: u8, code: Code, only: bool) {
    let Some(sock) = sock(h) else { return };
    let (l, was_gone) = (sock.l, is_gone(sock.l));
    let listening = if only {
        api(|| sock.tcp.listen_only(8))
    } else {
        let holder = Holder::new("a listen callback", l, false, code, Some(&sock.item()));
        let conn = Rc::clone(&sock.conn);
        api(|| {
            sock.tcp.listen(8, move |tcp, incoming| {
                event("a listen callback", l, tcp, &holder);
                fail_unless(incoming.is_ok(), || format!("a listen callback got {incoming:?}"));
                script(code.body, Some(Item { l, it: It::Tcp(tcp.clone(), Rc::clone(&conn)) }));
            })
        })
    };
    check_gone("listen", was_gone, &listening);
}

fn accept(h: u8, into: u8) {
    let Some(Sock { l, tcp, .. }) = sock(h) else { return };
    if let Ok(tcp) = api(|| tcp.accept()) {
        let sock = Sock { l, tcp, conn: Rc::default() };
        sock.accepted();
        put(into, Some(sock.item()));
    }
}

/// The request of a connect, if there is somewhere to go.
pub fn start_connect(sock: &Sock, to: To, limit: Option<u32>) -> Option<Request<()>> {
    let addr = match to {
        To::Slot(h) => {
            let listener = super::world::sock(h)?;
            api(|| listener.tcp.local_addr()).ok()?
        }
        To::Refusing => support::refusing_addr(),
        To::Silent => world(|world| world.silent)?,
    };
    let was_gone = is_gone(sock.l);
    let request = api(|| match limit {
        Some(limit) => sock.tcp.connect_timeout(addr, micros(limit)),
        None => sock.tcp.connect(addr),
    });
    if !request.is_finished() {
        fail_unless(!was_gone, || "a connect began on a loop that is gone".into());
        sock.begin_connection(None);
    }
    Some(request)
}

fn connect(h: u8, to: To, limit: Option<u32>, then: Use) {
    let Some(sock) = sock(h) else { return };
    if let Some(request) = start_connect(&sock, to, limit) {
        use_request("connect", &sock.item(), request, None, then);
    }
}

fn read_start(h: u8, code: Code) {
    let Some(sock) = sock(h) else { return };
    let (l, was_gone) = (sock.l, is_gone(sock.l));
    let holder = Holder::new("a read callback", l, false, code, Some(&sock.item()));
    let conn = Rc::clone(&sock.conn);
    let mut ended = false;
    let started = api(|| {
        sock.tcp.read_start(move |tcp, chunk| {
            event("a read callback", l, tcp, &holder);
            fail_unless(!mem::replace(&mut ended, !matches!(chunk, Ok(Some(_)))), || {
                "a read callback was called after its end".into()
            });
            match chunk {
                Ok(Some(data)) => {
                    fail_unless(!data.is_empty(), || "a read brought nothing (RD-06)".into());
                    received(conn.get(), data);
                }
                Ok(None) => received(conn.get(), &[]),
                Err(_) => {}
            }
            script(code.body, Some(Item { l, it: It::Tcp(tcp.clone(), Rc::clone(&conn)) }));
        })
    });
    check_gone("read_start", was_gone, &started);
}

/// The request of a write.
pub fn start_write(sock: &Sock, len: u32, pieces: u8) -> (Request<()>, Option<WriteId>) {
    let (write, data) = sock.new_write(if pieces == 0 { 0 } else { len as usize });
    let request = if pieces == 1 {
        api(|| sock.tcp.write(&data))
    } else {
        let size = data.len().div_ceil(usize::from(pieces.max(1))).max(1);
        let slices: Vec<_> = data.chunks(size).map(IoSlice::new).collect();
        api(|| sock.tcp.write_vectored(&slices))
    };
    (request, write)
}

fn write(h: u8, len: u32, pieces: u8, then: Use) {
    let Some(sock) = sock(h) else { return };
    let (request, write) = start_write(&sock, len, pieces);
    use_request("write", &sock.item(), request, write, then);
}

fn try_write(h: u8, len: u32) {
    let Some(sock) = sock(h) else { return };
    let was_gone = is_gone(sock.l);
    let (write, data) = sock.new_write(len as usize);
    let written = api(|| sock.tcp.try_write(&data));
    check_gone("try_write", was_gone, &written);
    write_cut(write, written.unwrap_or(0));
}

fn stream_request(what: &'static str, h: u8, then: Use, ask: fn(&Tcp) -> Request<()>) {
    if let Some(sock) = sock(h) {
        let request = api(|| ask(&sock.tcp));
        use_request(what, &sock.item(), request, None, then);
    }
}

fn shrink(h: u8) {
    if let Some(sock) = sock(h) {
        let shrunk = sock.tcp.with_fd(|fd| {
            let socket = socket2::SockRef::from(&fd);
            socket.set_send_buffer_size(1).and(socket.set_recv_buffer_size(1))
        });
        let _ = shrunk;
    }
}

// ---- requests ---------------------------------------------------------------------------------------------------------

fn use_request(
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

fn then(
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

fn with_task(s: u8, f: impl FnOnce(&luvio::JoinHandle<()>)) {
    if let Some(task) = take(s, |world| &mut world.tasks) {
        api(|| f(&task));
        hold(s, Some(task), |world| &mut world.tasks);
    }
}

// ---- futures that are polled by hand ------------------------------------------------------------------------------------

fn by_hand(s: u8, must_end: bool, future: Pin<Box<dyn Future<Output = ()>>>) {
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
