//! `Request`: to ignore it, to give it a callback, to await it, to cancel it.

mod support;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use luvio::{Canceler, Check, Loop, Misuse, Notifier, Request, RunMode, Tcp, Timer, is_canceled};
use support::{
    Drops, Journal, Wakes, connected_pair, expect, fill, listening, misuse, panic_text, poll,
    ready, refusing_addr, turn, turn_until, watchdog, with_loop, with_virtual_loop,
};

/// A stream whose peer does not read and whose buffers are full, and the peer.
fn full(event_loop: &Loop) -> (Tcp, TcpStream) {
    let (tcp, peer) = connected_pair(event_loop);
    fill(&tcp);
    // More than the kernel may still find room for.
    tcp.write(vec![b'f'; 1 << 20]);
    (tcp, peer)
}

/// Requests of each kind that have ended before anybody asks: a success, a failure of the system, a misuse, a close.
fn ended(event_loop: &Loop) -> Vec<(&'static str, Request<()>)> {
    let (tcp, _peer) = connected_pair(event_loop);
    let refused = Tcp::new(event_loop);
    let connecting = refused.connect(refusing_addr());
    let closed = tcp.clone();
    let written = tcp.write(b"data");
    let closing = closed.close();
    event_loop.run().unwrap();
    vec![
        ("write", written),
        ("connect", connecting),
        ("misuse", Tcp::new(event_loop).write(b"x")),
        ("close", closing),
    ]
}

const HOW_THEY_ENDED: [&str; 4] =
    ["write ok", "connect ConnectionRefused", "misuse NotConnected", "close ok"];

// ---- then ---------------------------------------------------------------------------------------------------------

/// L-29, WR-03: a callback never runs inside `then`, even if the operation is over, but in the next pending pass, in the
/// order in which the callbacks were given.
#[test]
fn a_callback_never_runs_inside_then() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        for (name, request) in ended(event_loop) {
            assert!(request.is_finished(), "{name}");
            request.then(journal.result(name));
        }
        journal.assert_is(&[]);
        assert!(event_loop.is_alive(), "there are callbacks to call");
        assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO));
        event_loop.run_mode(RunMode::NoWait).unwrap();
        journal.assert_is(&HOW_THEY_ENDED);
        assert!(!event_loop.is_alive());
    });
}

/// L-28, WR-04: given in an I/O callback, the callback of an operation that is over runs in the same turn, before check.
#[test]
fn a_callback_given_in_an_io_callback_runs_in_the_same_turn() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let check = Check::new(event_loop);
        let noted = journal.clone();
        check
            .start(move |check| {
                noted.note("check");
                check.close();
            })
            .unwrap();
        let noted = journal.clone();
        let notifier = Notifier::new(event_loop, move |notifier| {
            tcp.write(b"data").then(noted.result("write"));
            noted.note("notified");
            notifier.close();
        })
        .unwrap();
        notifier.sender().send().unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&["notified", "write ok", "check"]);
    });
}

/// A callback hears of an operation that ends later once, in a pass of its own, and is dropped then with what it captured.
#[test]
fn a_callback_hears_of_the_end_once_and_is_dropped() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let (called, drops) = (expect(1), Drops::new());
        let token = drops.token();
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr).then(move |connected| {
            token.keep();
            called.hit();
            connected.unwrap();
        });
        event_loop.run().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

/// Z-02: a request that is over keeps its result for a task that asks turns later.
#[test]
fn a_request_keeps_its_result_until_somebody_asks() {
    with_loop(|event_loop| {
        let requests = ended(event_loop);
        for _ in 0..3 {
            turn(event_loop);
        }
        let journal = Journal::new();
        for (name, request) in requests {
            let journal = journal.clone();
            event_loop.go(async move { journal.result(name)(request.await) });
        }
        event_loop.run().unwrap();
        journal.assert_is(&HOW_THEY_ENDED);
    });
}

/// A request that was awaited in vain may be given a callback instead.
#[test]
fn an_awaited_request_may_be_given_a_callback_instead() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        let wakes = Wakes::new();
        let mut connecting = tcp.connect(addr);
        assert!(wakes.poll(&mut connecting).is_pending());
        let journal = Journal::new();
        connecting.then(journal.result("connect"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok"]);
        assert_eq!(wakes.count(), 0);
    });
}

/// L-04, H-07: an unfinished request keeps the loop alive, whether somebody listens or not, and though its handle is
/// unreferenced or dropped.
#[test]
fn an_unfinished_request_keeps_the_loop_alive() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        tcp.unref();
        let request = tcp.connect(addr);
        drop(tcp);
        assert!(event_loop.is_alive());
        let line = line!() - 3;
        let reasons = event_loop.alive_because();
        assert_eq!((reasons.len(), reasons[0].place.line()), (1, line));
        assert!(!request.is_finished());
        event_loop.run().unwrap();
        assert!(request.is_finished());
        server.accept().unwrap();
    });
}

/// A callback may start the next operation on the same handle, and give it a callback.
#[test]
fn a_callback_may_go_on_with_the_next_operation() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
        let (client, noted) = (tcp.clone(), journal.clone());
        tcp.connect(addr).then(move |connected| {
            noted.result("connect")(connected);
            let (closing, noted_too) = (client.clone(), noted.clone());
            client.write(b"data").then(move |written| {
                noted_too.result("write")(written);
                closing.close().then(noted_too.result("close"));
            });
            noted.note("callback is over");
        });
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "callback is over", "write ok", "close ok"]);
        server.close();
    });
}

// ---- await --------------------------------------------------------------------------------------------------------

/// Z-02: what is over is ready at the first poll.
#[test]
fn a_request_that_is_over_is_ready_at_the_first_poll() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        for (name, request) in ended(event_loop) {
            journal.result(name)(ready(request));
        }
        journal.assert_is(&HOW_THEY_ENDED);
    });
}

/// A request that is polled again after it was ready says so.
#[test]
fn a_request_polled_after_it_was_ready_panics() {
    with_loop(|event_loop| {
        for (name, mut request) in ended(event_loop) {
            drop(ready(&mut request));
            let text = panic_text(|| poll(&mut request));
            assert_eq!(text, "a request was polled again after it was ready", "{name}");
            assert!(request.is_finished() && !request.cancel());
        }
    });
}

/// A request wakes the task that polled it last, once.
#[test]
fn a_request_wakes_the_task_that_polled_it_last() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        let [old, new] = [Wakes::new(), Wakes::new()];
        let mut connecting = tcp.connect(addr);
        assert!(old.poll(&mut connecting).is_pending());
        assert!(new.poll(&mut connecting).is_pending());
        event_loop.run().unwrap();
        assert_eq!((old.count(), new.count()), (0, 1));
        ready(connecting).unwrap();
    });
}

// ---- is_finished --------------------------------------------------------------------------------------------------

/// `is_finished` turns true with the end of the operation, not with the callback or the await.
#[test]
fn a_request_says_whether_it_is_finished() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        assert!(tcp.write(b"x").is_finished(), "misuse");
        let connecting = tcp.connect(addr);
        assert!(!connecting.is_finished());
        assert_eq!(
            format!("{connecting:?}"),
            r#"Request { state: "under way", .. }"#,
            "and says so to those who print it"
        );
        turn_until(event_loop, || connecting.is_finished());
        assert!(tcp.is_writable());
        assert_eq!(format!("{connecting:?}"), r#"Request { state: "finished", .. }"#);
        let closing = tcp.close();
        assert!(!closing.is_finished());
        turn(event_loop);
        assert!(closing.is_finished());
    });
}

// ---- cancel -------------------------------------------------------------------------------------------------------

/// TC-14: a connect that is cancelled by its request ends with Canceled, once, in a later pass. What waited behind it is
/// cancelled after it, and the handle has no socket and can connect again.
#[test]
#[cfg(target_os = "linux")]
fn a_connect_can_be_cancelled_by_its_request() {
    with_loop(|event_loop| {
        let nobody = support::unanswering();
        let (_server, addr) = listening(event_loop);
        let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
        let connecting = tcp.connect(nobody.addr);
        tcp.write(b"data").then(journal.result("write"));
        assert!(connecting.cancel());
        assert!(connecting.is_finished() && !connecting.cancel());
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        let again = tcp.connect(addr);
        connecting.then(journal.result("connect"));
        journal.assert_is(&[]);
        again.then(journal.result("again"));
        event_loop.run().unwrap();
        journal.assert_is(&["write canceled", "connect canceled", "again ok"]);
    });
}

/// TC-14: a connect that has a callback is cancelled by the canceler that `then` returned; the callback hears of it in a
/// later pass.
#[test]
#[cfg(target_os = "linux")]
fn a_connect_can_be_cancelled_by_its_canceler() {
    with_loop(|event_loop| {
        let nobody = support::unanswering();
        let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
        let canceler = tcp.connect(nobody.addr).then(journal.result("connect"));
        assert!(canceler.cancel());
        assert!(!canceler.cancel(), "only once");
        journal.assert_is(&[]);
        event_loop.run().unwrap();
        journal.assert_is(&["connect canceled"]);
        assert!(!canceler.cancel() && !tcp.is_active());
    });
}

/// TC-14: a cancelled connect whose handle is then closed is still reported, before the close.
#[test]
#[cfg(target_os = "linux")]
fn a_cancelled_connect_is_reported_before_the_close() {
    with_loop(|event_loop| {
        let nobody = support::unanswering();
        for is_cancelled in [true, false] {
            let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
            let canceler = tcp.connect(nobody.addr).then(journal.result("connect"));
            assert_eq!(is_cancelled && canceler.cancel(), is_cancelled);
            tcp.close().then(journal.result("close"));
            assert!(!canceler.cancel(), "it is too late");
            event_loop.run().unwrap();
            journal.assert_is(&["connect canceled", "close ok"]);
        }
    });
}

/// A canceler that is dropped cancels nothing, and one that is kept is of no use after the end.
#[test]
fn a_canceler_does_nothing_by_itself() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
        drop(tcp.connect(addr).then(journal.result("connect")));
        let kept: Rc<RefCell<Option<Canceler>>> = Rc::default();
        let (other, inside, noted) = (Tcp::new(event_loop), Rc::clone(&kept), journal.clone());
        let canceler = other.connect(addr).then(move |connected| {
            let canceler = inside.take().unwrap();
            assert!(!canceler.cancel(), "it is over");
            noted.result("other")(connected);
        });
        kept.replace(Some(canceler));
        event_loop.run().unwrap();
        let mut entries = journal.entries();
        entries.sort(); // which of two sockets is told of first is the poll's affair
        assert_eq!(entries, ["connect ok", "other ok"]);
        assert!(!tcp.write(b"x").then(|_| {}).cancel(), "it was over at once");
    });
}

/// The wait for a drain can be cancelled by request and by canceler; what is queued stays queued.
#[test]
fn a_drain_can_be_cancelled() {
    with_loop(|event_loop| {
        let (tcp, _peer) = full(event_loop);
        tcp.set_high_water(0);
        let (queued, journal) = (tcp.write_queue_size(), Journal::new());
        let first = tcp.drained();
        let second = tcp.drained().then(journal.result("second"));
        assert!(first.cancel() && second.cancel());
        assert!(!first.cancel() && !second.cancel());
        assert!(ready(first).is_err_and(|err| is_canceled(&err)));
        assert_eq!(tcp.write_queue_size(), queued);
        turn(event_loop);
        journal.assert_is(&["second canceled"]);
        tcp.close();
    });
}

/// A write can be cancelled while none of its bytes is with the kernel; then the peer never sees it. A write that was
/// begun, a shutdown, a finish and a close cannot.
#[test]
fn only_what_has_not_happened_can_be_cancelled() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let block = vec![b'f'; 64 * 1024];
        let mut total = 0;
        let begun = loop {
            let write = tcp.write(&block);
            total += block.len();
            if !write.is_finished() {
                break write;
            }
        };
        // Whether it was begun or found no room at all is the system's affair.
        let is_begun = tcp.write_queue_size() < block.len();
        if is_begun {
            assert!(!begun.cancel());
        }
        let canceled = tcp.write(b"cancelled");
        let kept = tcp.write(b"kept");
        let shutdown = tcp.shutdown();
        assert!(canceled.cancel() && !canceled.cancel());
        assert!(!shutdown.cancel());
        assert!(ready(canceled).is_err_and(|err| is_canceled(&err)));
        let reader = thread::spawn(move || {
            let (mut received, mut peer) = (Vec::new(), peer);
            io::Read::read_to_end(&mut peer, &mut received).unwrap();
            received
        });
        event_loop.run().unwrap();
        for request in [begun, kept, shutdown] {
            assert!(!request.cancel(), "it is over");
            ready(request).unwrap();
        }
        let received = reader.join().unwrap();
        assert_eq!(received.len(), total + 4);
        assert!(received.ends_with(b"fkept"));
        let finish = full(event_loop).0.finish();
        assert!(!finish.cancel());
        let closing = tcp.close();
        assert!(!closing.cancel());
        event_loop.walk(|handle| drop(handle.close()));
    });
}

/// A request that is cancelled by a callback of the same pass hears of it in the next one, and what the callback captured
/// is dropped.
#[test]
#[cfg(target_os = "linux")]
fn a_callback_may_cancel_another_request() {
    with_loop(|event_loop| {
        let nobody = support::unanswering();
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        let canceler = tcp.connect(nobody.addr).then(journal.result("connect"));
        let (other, _peer) = connected_pair(event_loop);
        let noted = journal.clone();
        other.write(b"x").then(move |_| {
            assert!(canceler.cancel());
            noted.note("callback is over");
        });
        event_loop.run().unwrap();
        journal.assert_is(&["callback is over", "connect canceled"]);
    });
}

// ---- dropping -----------------------------------------------------------------------------------------------------

/// Z-06: dropping a request cancels nothing: not a connect or a write that nobody awaited, not a drain.
#[test]
fn dropping_a_request_does_not_cancel() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let (tcp, journal) = (Tcp::new(event_loop), Journal::new());
        drop(tcp.connect(addr));
        drop(tcp.write(b"data"));
        drop(tcp.shutdown());
        let noted = journal.clone();
        event_loop.go(async move {
            let accepted = server.accept_next().await?;
            while let Some(data) = accepted.read_once().await? {
                noted.note(String::from_utf8_lossy(&data));
            }
            io::Result::Ok(())
        });
        event_loop.run().unwrap();
        journal.assert_is(&["data"]);

        let (tcp, _peer) = full(event_loop);
        tcp.set_high_water(0);
        let before = event_loop.alive_because().len();
        drop(tcp.drained());
        assert_eq!(event_loop.alive_because().len(), before + 1);
        tcp.close();
    });
}

/// Z-06: an awaited connect with a time limit of its own is given up with its await, and its timer with it.
#[test]
#[cfg(target_os = "linux")]
fn an_awaited_connect_timeout_gives_its_timer_back() {
    with_virtual_loop(|event_loop| {
        let nobody = support::unanswering();
        let tcp = Tcp::new(event_loop);
        let mut connecting = tcp.connect_timeout(nobody.addr, Duration::from_secs(60));
        assert!(poll(&mut connecting).is_pending());
        drop(connecting);
        event_loop.run().unwrap();
        let keeper = Timer::after(event_loop, Duration::from_secs(3600), |_| {});
        assert_eq!(event_loop.backend_timeout(), Some(Duration::from_secs(3600)));
        keeper.close();
    });
}

// ---- close requests -----------------------------------------------------------------------------------------------

/// H-17: every close returns a request that ends with the first, in the order of the closes, and each hears of success.
#[test]
fn several_closes_end_together() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.close().then(journal.result("first"));
        let second = tcp.close();
        tcp.close().then(journal.result("third"));
        second.then(journal.result("second"));
        drop(tcp.close());
        journal.assert_is(&[]);
        event_loop.run().unwrap();
        journal.assert_is(&["first ok", "third ok", "second ok"]);
        tcp.close().then(journal.result("late"));
        assert_eq!(journal.entries().len(), 3);
        event_loop.run().unwrap();
        assert_eq!(journal.entries()[3..], ["late ok"]);
    });
}

/// A close request that was kept hears of the end even when it is asked after the closing phase.
#[test]
fn a_close_request_may_be_asked_late() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let requests = [(); 2].map(|()| Tcp::new(event_loop).close());
        event_loop.run().unwrap();
        let [asked, awaited] = requests;
        assert!(asked.is_finished() && awaited.is_finished());
        asked.then(journal.result("asked"));
        ready(awaited).unwrap();
        journal.assert_is(&[]);
        event_loop.run().unwrap();
        journal.assert_is(&["asked ok"]);
    });
}

/// H-09, H-13: a close callback runs in the closing phase, not in a pending pass, also for a close in a close callback,
/// which takes a turn more; an await of the same close ends with it.
#[test]
fn close_callbacks_run_in_the_closing_phase() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let [first, second] = [Tcp::new(event_loop), Tcp::new(event_loop)];
        let check = Check::new(event_loop);
        let noted = journal.clone();
        check.start(move |_| noted.note("check")).unwrap();
        check.unref();
        let (inner, noted) = (second, journal.clone());
        first.close().then(move |_| {
            noted.note("first");
            inner.close().then(noted.result("second"));
        });
        let (noted, awaited) = (journal.clone(), first.close());
        event_loop.go(async move { noted.result("awaited")(awaited.await) });
        event_loop.run().unwrap();
        check.close();
        journal.assert_is(&["check", "first", "awaited ok", "check", "second ok"]);
    });
}

// ---- panics -------------------------------------------------------------------------------------------------------

/// L-40: a panic in a callback leaves the callbacks behind it for the next run, and nothing runs twice.
#[test]
fn a_panic_in_a_callback_leaves_the_rest_for_the_next_run() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let (journal, drops) = (Journal::new(), Drops::new());
        let token = drops.token();
        tcp.write(b"a").then(journal.result("before"));
        tcp.write(b"b").then(move |_| {
            token.keep();
            panic!("on purpose");
        });
        tcp.write(b"c").then(journal.result("after"));
        tcp.close().then(journal.result("close"));
        let text = panic_text(|| event_loop.run());
        assert_eq!(text, "on purpose");
        journal.assert_is(&["before ok"]);
        assert_eq!(drops.count(), 1);
        event_loop.run().unwrap();
        journal.assert_is(&["before ok", "after ok", "close ok"]);
    });
}

/// L-40: a panic in the closing phase leaves the other requests of that handle, its close callback and the other handles
/// for the next run.
#[test]
fn a_panic_in_the_closing_phase_leaves_the_rest_for_the_next_run() {
    with_loop(|event_loop| {
        let (tcp, _peer) = full(event_loop);
        let journal = Journal::new();
        tcp.write(b"a").then(|_| panic!("on purpose"));
        tcp.write(b"b").then(journal.result("write"));
        tcp.close().then(|_| panic!("once more"));
        tcp.close().then(journal.result("close"));
        Tcp::new(event_loop).close().then(journal.result("other"));
        assert_eq!(panic_text(|| event_loop.run()), "on purpose");
        journal.assert_is(&[]);
        assert_eq!(panic_text(|| event_loop.run()), "once more");
        journal.assert_is(&["write canceled"]);
        event_loop.run().unwrap();
        journal.assert_is(&["write canceled", "close ok", "other ok"]);
    });
}

// ---- the loop is gone ---------------------------------------------------------------------------------------------

/// Rule 7: dropping the loop calls no callback and drops all of them: those that wait for an end, those queued, those of a
/// close; what they captured meets a loop that is gone.
#[test]
fn dropping_the_loop_drops_callbacks_uncalled() {
    let _watchdog = watchdog();
    struct Last(Tcp, Rc<Cell<usize>>);
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(misuse(ready(self.0.write(b"x"))), Misuse::LoopGone);
            self.1.set(self.1.get() + 1);
        }
    }
    let event_loop = Loop::new().unwrap();
    let dropped = Rc::new(Cell::new(0));
    let (tcp, _peer) = full(&event_loop);
    tcp.set_high_water(0);
    let (_server, addr) = listening(&event_loop);
    let connecting = Tcp::new(&event_loop);
    let (quick, _other_peer) = connected_pair(&event_loop);
    let closing = Tcp::new(&event_loop);
    let requests = [
        connecting.connect(addr),
        tcp.write(b"x"),
        tcp.shutdown(),
        tcp.drained(),
        tcp.finish(),
        quick.write(b"x"),
        closing.close(),
    ];
    let count = requests.len();
    for request in requests {
        let last = Last(tcp.clone(), Rc::clone(&dropped));
        request.then(move |_| {
            let _last = &last;
            unreachable!("the loop is dropped")
        });
    }
    drop(event_loop);
    assert_eq!(dropped.get(), count);
}

/// Rule 7: a request that is still held when its loop is gone has ended, with Canceled unless it had ended before; nothing
/// is called any more, and cancelling does nothing.
#[test]
fn requests_outlive_their_loop() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (tcp, _peer) = full(&event_loop);
    let (quick, _other_peer) = connected_pair(&event_loop);
    let [unfinished, ignored] = [tcp.write(b"x"), tcp.write(b"x")];
    let finished = quick.write(b"x");
    let drops = Drops::new();
    drop(event_loop);
    assert!(unfinished.is_finished() && !unfinished.cancel());
    assert!(ready(unfinished).is_err_and(|err| is_canceled(&err)));
    let token = drops.token();
    ignored.then(move |_| {
        token.keep();
        unreachable!("no loop calls it")
    });
    assert_eq!(drops.count(), 1);
    ready(finished).unwrap();
    ready(tcp.close()).unwrap();
    assert_eq!(misuse(ready(tcp.write(b"x"))), Misuse::LoopGone);
}

/// A panic that leaves `run` from a request's callback does not keep the loop from being dropped.
#[test]
fn the_loop_can_be_dropped_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (tcp, _peer) = connected_pair(&event_loop);
    let drops = Drops::new();
    tcp.write(b"a").then(|_| panic!("on purpose"));
    let token = drops.token();
    tcp.write(b"b").then(move |_| {
        token.keep();
        unreachable!("the loop is dropped")
    });
    assert!(catch_unwind(AssertUnwindSafe(|| event_loop.run())).is_err());
    drop(event_loop);
    assert_eq!(drops.count(), 1);
}
