//! What each action does.

use std::thread;
use std::time::Duration;

use luvio::Tcp;

use super::data::write_canceled;
use super::futures::{awaiting, task};
use super::given::{Holder, Token, panic_on_purpose};
use super::program::{Action, Code};
use super::requests::{by_hand, poll_by_hand, then, use_request, with_task};
use super::world::{
    It, Item, api, called, check_gone, fail_unless, get, hold, is_gone, put, script, sock, spend,
    take, world,
};
use super::{datagrams, handles, runs, streams};

pub fn perform(action: Action) {
    if !spend() {
        return;
    }
    match action {
        Action::Run { l, mode } => runs::run(l, mode),
        Action::BlockOn { l, script } => runs::block_on(l, script),
        Action::Stop { l } => api(|| handle(l).stop()),
        Action::UpdateTime { l } => api(|| handle(l).update_time()),
        Action::Walk { l, close } => walk(l, close),
        Action::Defer { l, code } => defer(l, code),
        Action::Post { l, code, elsewhere } => post(l, code, elsewhere),
        Action::DropLoop { l } => runs::drop_loop(l),
        Action::Panic { payload_end } => panic_on_purpose(payload_end),
        Action::Make { h, l, code, bare } => handles::make(h, l, code, bare),
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
        Action::Ask { h } => handles::ask(h),
        Action::Stop_ { h } => handles::stop(h),
        Action::StartTimer { h, delay, repeat, code } => {
            handles::start_timer(h, delay, repeat, code);
        }
        Action::After { h, l, delay, code } => handles::after(h, l, delay, code),
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
        Action::StartHook { h, code } => handles::start_hook(h, code),
        Action::StartSignal { h, second, once, only, code } => {
            handles::start_signal(h, second, once, only, code);
        }
        Action::Raise { second } => handles::raise(second),
        Action::Send { h, elsewhere } => {
            if let Some(Item { it: It::Notifier(notifier), .. }) = get(h) {
                let sender = api(|| notifier.sender());
                let send = move || drop(sender.send());
                in_thread(elsewhere, send);
            }
        }
        Action::OpenPair { a, b, l, small } => streams::open_pair(a, b, l, small),
        Action::Pair { server, a, b } => streams::accepted_pair(server, a, b),
        Action::RecvStart { h, code } => datagrams::recv_start(h, code),
        Action::SendTo { h, to, len, then } => datagrams::send_to(h, to, len, then),
        Action::TrySendTo { h, to, len } => datagrams::try_send_to(h, to, len),
        Action::ConnectUdp { h, to } => datagrams::connect(h, to),
        Action::Bind { h } => {
            datagrams::bind(h);
            if let Some(sock) = sock(h) {
                let was_gone = is_gone(sock.l);
                let bound = api(|| sock.tcp.bind("127.0.0.1:0"));
                check_gone("bind", was_gone, &bound);
            }
        }
        Action::Listen { h, code, only } => streams::listen(h, code, only),
        Action::Accept { h, into } => streams::accept(h, into),
        Action::Connect { h, to, limit, then } => streams::connect(h, to, limit, then),
        Action::ReadStart { h, code } => streams::read_start(h, code),
        Action::ReadStop { h } => {
            if let Some(sock) = sock(h) {
                api(|| sock.tcp.read_stop());
            }
        }
        Action::Write { h, len, pieces, then } => streams::write(h, len, pieces, then),
        Action::TryWrite { h, len } => streams::try_write(h, len),
        Action::Shutdown { h, then } => streams::stream_request("shutdown", h, then, Tcp::shutdown),
        Action::Finish { h, then } => streams::stream_request("finish", h, then, Tcp::finish),
        Action::CloseReset { h, then } => {
            streams::stream_request("close_reset", h, then, Tcp::close_reset);
        }
        Action::Drained { h, then } => streams::stream_request("drained", h, then, Tcp::drained),
        Action::HighWater { h, bytes } => {
            if let Some(sock) = sock(h) {
                api(|| sock.tcp.set_high_water(bytes as usize));
            }
        }
        Action::Shrink { h } => streams::shrink(h),
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

pub fn handle(l: u8) -> luvio::LoopHandle {
    world(|world| world.handles[usize::from(l)].clone())
}

pub fn micros(count: u32) -> Duration {
    Duration::from_micros(count.into())
}

pub fn in_thread(elsewhere: bool, what: impl FnOnce() + Send + 'static) {
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
