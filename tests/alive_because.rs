//! `alive_because`: what keeps a loop running, of what kind, made where, and what it is doing.

mod support;

use std::cell::RefCell;
use std::future;
use std::io::Write;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use luvio::{
    AliveKind, Check, Handle, Idle, Kind, Loop, LoopHandle, Notifier, Prepare, Tcp, Timer,
};
use support::{connected_pair, fill, turn, turn_until, watchdog, with_virtual_loop};

const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

/// What a reason has to say: its kind, the line of this file, and its state.
type Expected<'a> = (AliveKind, u32, &'a str);

const fn handle(kind: Kind) -> AliveKind {
    AliveKind::Handle(kind)
}

/// Fails unless these are the reasons, as data and as text, and the loop is alive exactly if there are any.
#[track_caller]
fn assert_reasons(event_loop: &LoopHandle, expected: &[Expected<'_>]) {
    let reasons = event_loop.alive_because();
    assert_eq!(event_loop.is_alive(), !reasons.is_empty());
    let found: Vec<Expected<'_>> =
        reasons.iter().map(|reason| (reason.kind, reason.place.line(), &*reason.state)).collect();
    assert_eq!(found, expected);
    for reason in &reasons {
        assert_eq!(reason.place.file(), file!());
        let text = reason.to_string();
        let place = format!(" made at {}:{}:", file!(), reason.place.line());
        assert!(text.starts_with(&format!("{}{place}", reason.kind)), "{text}");
        assert!(text.ends_with(&format!(": {}", reason.state)), "{text}");
    }
}

/// Fails unless it is the only reason, and is one no longer once it is unreferenced, but is again when it is referenced.
#[track_caller]
fn assert_is_reason(reference: &dyn Handle, line: u32, state: &str) {
    let event_loop = reference.event_loop();
    let expected = [(handle(reference.kind()), line, state)];
    assert_reasons(event_loop, &expected);
    reference.unref();
    assert_reasons(event_loop, &[]);
    reference.ref_();
    assert_reasons(event_loop, &expected);
}

/// Closes the handle, which is a reason by itself, and lets the loop come to its end.
#[track_caller]
fn assert_ends(reference: &dyn Handle, event_loop: &Loop, line: u32) {
    reference.unref();
    reference.close();
    assert_reasons(event_loop, &[(handle(reference.kind()), line, "closing")]);
    event_loop.run().expect("the loop runs");
    assert_reasons(event_loop, &[]);
}

/// L-04, H-08: timers: how long they still take, and what comes then.
#[test]
fn timer_says_when_it_is_due() {
    with_virtual_loop(|event_loop| {
        let (timer, line) = (Timer::new(event_loop), line!());
        assert_reasons(event_loop, &[]);
        timer.start(HOUR, ZERO, |_| {}).expect("a new timer can be started");
        assert_is_reason(&timer, line, "due in 3600s");
        timer.start(HOUR, Duration::from_millis(1_500), |_| {}).expect("it can be started again");
        assert_is_reason(&timer, line, "due in 3600s, then every 1.5s");
        assert_eq!(
            event_loop.alive_because()[0].to_string(),
            format!("timer handle made at {}: due in 3600s, then every 1.5s", timer.created_at())
        );
        timer.stop();
        assert_reasons(event_loop, &[]);
        assert_ends(&timer, event_loop, line);
        let (after, line) = (Timer::after(event_loop, Duration::from_millis(5), |_| {}), line!());
        assert_is_reason(&after, line, "due in 5ms");
    });
}

/// L-04: hooks.
#[test]
fn hooks_are_reasons_while_they_are_started() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (idle, line) = (Idle::new(&event_loop), line!());
    idle.start(|_| {}).expect("a new handle can be started");
    assert_is_reason(&idle, line, "started");
    idle.stop();
    assert_ends(&idle, &event_loop, line);
    let (prepare, line) = (Prepare::new(&event_loop), line!());
    prepare.start(|_| {}).expect("a new handle can be started");
    assert_is_reason(&prepare, line, "started");
    assert_ends(&prepare, &event_loop, line);
    let (check, line) = (Check::new(&event_loop), line!());
    check.start(|_| {}).expect("a new handle can be started");
    assert_is_reason(&check, line, "started");
    assert_ends(&check, &event_loop, line);
}

/// L-04, H-01: a notifier, from the start.
#[test]
fn notifier_is_a_reason_until_it_is_closed() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (notifier, line) = (Notifier::new(&event_loop, |_| {}), line!());
    let notifier = notifier.expect("a notifier can be made");
    assert_is_reason(&notifier, line, "waiting for a send");
    assert_ends(&notifier, &event_loop, line);
}

/// L-04, SG-12: a signal, while it has a callback.
#[cfg(feature = "signal")]
#[test]
fn signal_says_which_one_it_waits_for() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (signal, line) = (luvio::Signal::new(&event_loop), line!());
    assert_reasons(&event_loop, &[]);
    signal.start(luvio::Signal::WINCH, |_, _| {}).expect("the signal can be heard");
    assert_is_reason(&signal, line, "waiting for SIGWINCH");
    signal.stop();
    assert_reasons(&event_loop, &[]);
    assert_ends(&signal, &event_loop, line);
}

/// L-04: a stream that is read.
#[test]
fn stream_is_a_reason_while_it_is_read() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, line) = (Tcp::new(&event_loop), line!());
    let (here, _there) = support::std_pair();
    tcp.open(here).expect("a connected socket can be adopted");
    assert_reasons(&event_loop, &[]);
    tcp.read_start(|_, _| {}).expect("a connection can be read");
    assert_is_reason(&tcp, line, "reading");
    tcp.read_stop();
    assert_reasons(&event_loop, &[]);
    assert_ends(&tcp, &event_loop, line);
}

/// L-04: a listener says where it listens; an accepted connection was made where it was accepted.
#[test]
fn listener_says_where_it_listens() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (server, server_line) = (Tcp::new(&event_loop), line!());
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    assert_reasons(&event_loop, &[]);
    let accepted: Rc<RefCell<Option<Tcp>>> = Rc::default();
    let taken = Rc::clone(&accepted);
    let accept_line = line!() + 3;
    server
        .listen(8, move |server, _| {
            let client = server.accept().expect("one was announced");
            client.read_start(|_, _| {}).expect("a connection can be read");
            taken.replace(Some(client));
        })
        .expect("a bound socket can listen");
    let addr = server.local_addr().expect("a listener has an address");
    let listening = format!("listening on {addr}");
    assert_is_reason(&server, server_line, &listening);
    let _client = TcpStream::connect(addr).expect("the listener is there");
    turn_until(&event_loop, || accepted.borrow().is_some());
    let tcp = handle(Kind::Tcp);
    let both = [(tcp, server_line, &*listening), (tcp, accept_line, "reading")];
    assert_reasons(&event_loop, &both);

    // For those who await connections, the task is the reason.
    let passive = Tcp::new(&event_loop);
    passive.listen_only(8).expect("a new handle can listen");
    assert_reasons(&event_loop, &both);
}

/// L-04, H-07: requests are reasons, whether their handle is referenced or not, at the place of their call.
#[test]
fn requests_say_what_they_wait_for() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, _peer) = connected_pair(&event_loop);
    tcp.unref();
    tcp.set_high_water(0);
    let first_line = fill_here(&tcp);
    let first = tcp.write_queue_size();
    let (_write, write_line) = (tcp.write("four"), line!());
    let (_shutdown, shutdown_line) = (tcp.shutdown(), line!());
    let (_drained, drained_line) = (tcp.drained(), line!());
    let write = AliveKind::Request("write");
    assert_reasons(
        &event_loop,
        &[
            (write, first_line, &format!("{first} bytes not sent yet")),
            (write, write_line, "4 bytes not sent yet"),
            (AliveKind::Request("shutdown"), shutdown_line, "waits for the writes before it"),
            (AliveKind::Request("drained"), drained_line, "waits for the queue to drain"),
        ],
    );
    tcp.close();
    event_loop.run().expect("the loop runs");
    assert_reasons(&event_loop, &[]);
}

/// Fills the socket, and says in which line.
fn fill_here(tcp: &Tcp) -> u32 {
    let block = vec![0; 64 * 1024];
    while tcp.write_queue_size() == 0 {
        tcp.write(&block);
    }
    line!() - 2
}

/// L-04, H-07: `finish` is a reason until what is queued has left.
#[test]
fn finish_is_a_reason_at_the_place_of_its_call() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    let (_finish, line) = (tcp.finish(), line!());
    let reasons = event_loop.alive_because();
    let last = reasons.last().expect("it waits");
    assert_eq!((last.kind, last.place.line()), (AliveKind::Request("shutdown"), line));
}

/// L-04, H-07: a connect.
#[cfg(target_os = "linux")]
#[test]
fn connect_is_a_reason_until_it_ends() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let unanswering = support::unanswering();
    let tcp = Tcp::new(&event_loop);
    tcp.unref();
    let (connect, line) = (tcp.connect(unanswering.addr), line!());
    assert_reasons(&event_loop, &[(AliveKind::Request("connect"), line, "not connected yet")]);
    assert!(connect.cancel());
    assert_reasons(&event_loop, &[]);
}

/// L-04: callbacks that are queued: of requests that ended, deferred closures, posted ones.
#[test]
fn callbacks_not_called_yet_are_reasons() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, _peer) = connected_pair(&event_loop);
    let (write, write_line) = (tcp.write("done"), line!());
    assert_reasons(&event_loop, &[]);
    write.then(|_| {});
    event_loop.defer(|_| {});
    let defer_line = line!() - 1;
    event_loop.remote().post(|_| {}).expect("the loop is there");
    let post_line = line!() - 1;
    assert_reasons(
        &event_loop,
        &[
            (AliveKind::Callback, write_line, "queued, not called yet"),
            (AliveKind::Callback, defer_line, "queued, not called yet"),
            (AliveKind::Callback, post_line, "posted, not called yet"),
        ],
    );
    event_loop.run().expect("the loop runs");
    assert_reasons(&event_loop, &[]);
}

/// L-04, Z-11: tasks, whatever they wait for, unless they are unreferenced.
#[test]
fn tasks_are_reasons_until_they_end() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, mut peer) = connected_pair(&event_loop);
    let (reading, line) = (tcp, line!() + 1);
    event_loop.go(async move { reading.read_once().await.map(drop) });
    let (joined, joined_line) = (event_loop.spawn(future::pending::<()>()), line!());
    let (task, state) = (AliveKind::Task, "not ended");
    turn(&event_loop);
    assert_reasons(&event_loop, &[(task, line, state), (task, joined_line, state)]);
    joined.unref();
    assert_reasons(&event_loop, &[(task, line, state)]);
    joined.ref_();
    joined.abort();
    peer.write_all(b"x").expect("the socket has room");
    event_loop.run().expect("the loop runs");
    assert_reasons(&event_loop, &[]);
}

/// L-04: what `block_on` waits for is a reason, at the place of the call.
#[test]
fn future_of_block_on_is_a_reason() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let line = line!() + 1;
    let blocked = event_loop.block_on(async {
        assert_reasons(&event_loop, &[(AliveKind::Task, line, "not ended")]);
        luvio::yield_now().await;
        assert_reasons(&event_loop, &[(AliveKind::Task, line, "not ended")]);
    });
    blocked.expect("the loop runs");
    assert_reasons(&event_loop, &[]);
}

/// L-04: several reasons come in the order of creation: handles and their requests, tasks, callbacks.
#[test]
fn reasons_come_in_order() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    event_loop.defer(|_| {});
    event_loop.go(async {});
    let (tcp, _peer) = connected_pair(&event_loop);
    tcp.read_start(|_, _| {}).expect("a connection can be read");
    fill(&tcp);
    let _timer = Timer::after(&event_loop, HOUR, |_| {});
    let closing = Timer::new(&event_loop);
    closing.close();
    let kinds: Vec<String> =
        event_loop.alive_because().iter().map(|reason| reason.kind.to_string()).collect();
    assert_eq!(
        kinds,
        ["tcp handle", "write request", "timer handle", "timer handle", "task", "callback"]
    );
}
