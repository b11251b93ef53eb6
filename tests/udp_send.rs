//! Sending datagrams, and what becomes of those that the kernel has no room for.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

use luvio::{AliveKind, Loop, Misuse, RunMode, Udp, is_canceled};
use support::{
    Drops, Journal, expect, misuse, new_loop, ready, turn, turn_until, turns, watchdog,
    with_built_loop, with_loop,
};
use udp::{addr, bound, fill, narrow, nobody, peer_of, std_socket, take_all};

/// D-11: the callback of a send never runs inside it, and the callbacks come in order.
#[test]
fn send_calls_back_later_and_in_order() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        let there = peer.local_addr().expect("it is bound");
        let called = expect(10);
        for number in 1..=10 {
            let called = called.clone();
            udp.send_to(format!("{number}"), there).then(move |sent| {
                sent.expect("it goes out");
                assert_eq!(called.hit(), number);
            });
        }
        assert_eq!(called.hits(), 0);
        event_loop.run().expect("the loop can be run");
        let mut buffer = [0; 9];
        for number in 1..=10 {
            let length = peer.recv(&mut buffer).expect("a datagram");
            assert_eq!(&buffer[..length], number.to_string().as_bytes());
        }
    });
}

/// D-12: what is too long for a datagram is EMSGSIZE, from each way to send, and the handle lives on.
#[test]
fn too_long_is_an_error_with_the_systems_code() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        let there = peer.local_addr().expect("it is bound");
        let long = vec![0; 70_000];
        let is_too_long = |err: std::io::Error| {
            assert_eq!(err.raw_os_error(), Some(libc::EMSGSIZE), "{err}");
        };
        let heard = expect(1);
        udp.send_to(&long, there).then(move |sent| {
            heard.hit();
            is_too_long(sent.expect_err("too long"));
        });
        is_too_long(udp.try_send_to(&long, there).expect_err("too long"));
        is_too_long(udp.try_send_many(&[(&long, there)]).expect_err("too long"));
        udp.connect(there).expect("it has no peer");
        is_too_long(ready(udp.send(&long)).expect_err("too long"));
        is_too_long(udp.try_send(&long).expect_err("too long"));
        ready(udp.send(&long[..65_507])).expect("that is the most");
        assert_eq!(peer.recv(&mut vec![0; 70_000]).expect("a datagram"), 65_507);
        assert_eq!((udp.send_queue_size(), udp.send_queue_count()), (0, 0));
    });
}

/// D-13, D-14, D-11: what finds no room is queued and counted, a try does not overtake it, and all leave in order; then
/// the queue is empty.
#[test]
fn queue_leaves_in_order_when_there_is_room() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        let sent = fill(&udp) + 1;
        let called = expect(3);
        for number in 1..=3 {
            let called = called.clone();
            udp.send("queued").then(move |sent| {
                sent.expect("it goes out");
                assert_eq!(called.hit(), number);
            });
        }
        let bytes = (sent - 1).to_string().len() + 3 * "queued".len();
        assert_eq!((udp.send_queue_size(), udp.send_queue_count()), (bytes, 4));
        let refused = udp.try_send(b"overtakes").expect_err("something is queued");
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        let mut taken = Vec::new();
        turn_until(event_loop, || {
            taken.extend(take_all(&peer));
            udp.send_queue_count() == 0
        });
        taken.extend(take_all(&peer));
        let mut expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
        expected.extend(["queued"; 3].map(String::from));
        assert_eq!(taken, expected);
        assert_eq!((udp.send_queue_size(), udp.is_active()), (0, false));
        udp.try_send(b"now").expect("there is room");
    });
}

/// D-13: a try that finds no room is not queued.
#[test]
fn try_without_room_is_not_queued() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        let mut sent = 0;
        let refused = loop {
            match udp.try_send(b"x") {
                Ok(()) => sent += 1,
                Err(err) => break err,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        assert_eq!((udp.send_queue_count(), udp.is_active()), (0, false));
        assert_eq!(take_all(&peer).len(), sent);
        udp.try_send(b"x").expect("there is room again");
    });
}

/// D-15: at close, sends that went out have had success, and the queued ones are canceled, in order, before the close
/// callback.
#[test]
fn close_cancels_what_is_queued() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        let journal = Journal::new();
        udp.send("out").then(journal.result("out"));
        fill(&udp);
        udp.send("2").then(journal.result("second"));
        udp.send("3").then(journal.result("third"));
        udp.close().then(journal.result("close"));
        udp.send("4").then(journal.result("late"));
        assert!(journal.entries().is_empty());
        event_loop.run().expect("the loop can be run");
        let mut entries = journal.entries();
        entries.retain(|entry| !entry.starts_with("late"));
        assert_eq!(entries, ["out ok", "second canceled", "third canceled", "close ok"]);
        assert_eq!(take_all(&peer)[0], "out");
    });
}

/// D-29: a queued datagram can be taken back, from either end, and its neighbours are not disturbed.
#[test]
fn queued_datagram_can_be_cancelled() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        let sent = fill(&udp);
        let journal = Journal::new();
        let requests: Vec<_> = (0..5).map(|number| udp.send(format!("late {number}"))).collect();
        assert!(requests[4].cancel() && requests[0].cancel() && requests[2].cancel());
        assert!(!requests[2].cancel(), "once");
        assert_eq!(udp.send_queue_count(), 3);
        for request in requests {
            request.then(journal.result("late"));
        }
        let mut taken = Vec::new();
        turn_until(event_loop, || {
            taken.extend(take_all(&peer));
            udp.send_queue_count() == 0
        });
        event_loop.run().expect("the loop can be run");
        taken.extend(take_all(&peer));
        assert_eq!(taken.split_off(sent + 1), ["late 1", "late 3"]);
        let mut entries = journal.entries();
        entries.sort_unstable();
        assert_eq!(
            entries,
            ["late canceled"; 3].into_iter().chain(["late ok"; 2]).collect::<Vec<_>>()
        );
        assert!(!ready_cancel(&udp), "what is with the kernel cannot be taken back");
    });
}

fn ready_cancel(udp: &Udp) -> bool {
    udp.send("out").cancel()
}

/// D-16: one failing datagram does not stop those behind it.
#[test]
fn failing_datagram_does_not_stop_the_others() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        let there = peer.local_addr().expect("it is bound");
        let journal = Journal::new();
        udp.send_to("1", there).then(journal.result("1"));
        udp.send_to(vec![0; 70_000], there).then(|sent| assert!(sent.is_err()));
        udp.send_to("3", "127.0.0.1:0").then(journal.result("3"));
        udp.send_to("4", there).then(journal.result("4"));
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["1 ok", "3 InvalidInput", "4 ok"]);
        let mut buffer = [0; 9];
        for expected in [b"1", b"4"] {
            assert_eq!(peer.recv(&mut buffer).expect("a datagram"), 1);
            assert_eq!(&buffer[..1], expected);
        }
    });
}

/// D-18: that the peer of a connected socket is not there shows in a later send, and the handle lives on.
#[test]
fn refusal_is_told_to_a_later_send() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        udp.connect(nobody()).expect("it has no peer");
        ready(udp.send("1")).expect("the kernel takes it");
        let err = ready(udp.send("2")).expect_err("the first one came back");
        assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
        ready(udp.send("3")).expect("the kernel takes it");
        assert_eq!(
            udp.try_send(b"4").expect_err("the third came back").kind(),
            ErrorKind::ConnectionRefused
        );
    });
}

/// D-21: a thousand sends to nowhere do not hold the loop.
#[test]
fn thousand_sends_to_nowhere_end() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let there = nobody();
    let (udp, connected) = (bound(&event_loop), bound(&event_loop));
    connected.connect(there).expect("it has no peer");
    let ended = Rc::new(Cell::new(0));
    for _ in 0..1_000 {
        for request in [udp.send_to("x", there), connected.send("x")] {
            let ended = Rc::clone(&ended);
            request.then(move |_| ended.set(ended.get() + 1));
        }
    }
    let turns = turns(&event_loop);
    event_loop.run().expect("the loop can be run");
    assert_eq!(ended.get(), 2_000);
    assert!(turns.get() < 10, "{} turns", turns.get());
}

/// D-27: the pending send of an unreferenced handle still holds the loop until it ends; also if nobody holds the handle.
#[test]
fn unreferenced_handle_still_sends() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        udp.unref();
        fill(&udp);
        let sent = expect(1);
        udp.send("last").then(move |done| {
            sent.hit();
            done.expect("it goes out");
        });
        drop(udp);
        let reads = luvio::Idle::new(event_loop);
        reads.start(move |_| drop(take_all(&peer))).expect("a new handle can be started");
        reads.unref();
        event_loop.run().expect("the loop can be run");
        reads.close();
    });
}

/// D-28: several datagrams with one call: how many went out, in order; an error only for the first.
#[test]
fn many_datagrams_with_one_call() {
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        assert_eq!(misuse(udp.try_send_many(&[])), Misuse::NoSocket);
        let (one, other) = (std_socket(), std_socket());
        let to = [&one, &other].map(|peer| peer.local_addr().expect("it is bound"));
        let texts: Vec<String> = (0..100).map(|number| format!("{number}")).collect();
        let all: Vec<_> =
            texts.iter().enumerate().map(|(at, text)| (text.as_bytes(), to[at % 2])).collect();
        assert_eq!(udp.try_send_many(&all).expect("loopback has room"), 100);
        assert_eq!(udp.try_send_many(&[]).expect("nothing is no mistake"), 0);
        let mut buffer = [0; 9];
        for number in 0..100 {
            let length = [&one, &other][number % 2].recv(&mut buffer).expect("a datagram");
            assert_eq!(&buffer[..length], number.to_string().as_bytes());
        }
        let bad = (&b"x"[..], "127.0.0.1:0".parse().expect("an address"));
        assert_eq!(udp.try_send_many(&[all[0], all[1], bad, all[2]]).expect("two went out"), 2);
        assert_eq!(misuse(udp.try_send_many(&[bad, all[0]])), Misuse::ZeroPort);
    });
}

/// WR-14, D-11: so many queued datagrams leave in a turn; the rest follows without a new event.
#[test]
fn queue_leaves_within_the_budget_of_each_turn() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().writes_per_turn(2).build().expect("a loop can be made");
    let (udp, peer) = narrow(&event_loop);
    let room = fill(&udp);
    for _ in 1..room.min(7) {
        udp.send("x");
    }
    let mut left = udp.send_queue_count();
    take_all(&peer);
    while left > 0 {
        event_loop.run_mode(RunMode::Once).expect("the loop can be run");
        let now = udp.send_queue_count();
        assert_eq!(now, left.saturating_sub(2));
        left = now;
    }
    assert!(!event_loop.is_alive());
}

/// L-04: a queued datagram keeps the loop running, and `alive_because` says so.
#[test]
fn queued_send_is_a_reason_to_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (udp, _peer) = narrow(&event_loop);
    fill(&udp);
    let line = line!() + 1;
    udp.send("four");
    assert!(udp.is_active());
    let reasons = event_loop.alive_because();
    let last = reasons.last().expect("a reason");
    assert_eq!((last.kind, last.place.line()), (AliveKind::Request("send"), line));
    assert_eq!(last.state, "4 bytes not sent yet");
    udp.recv_start(|_, _| {}).expect("it has a socket");
    assert_eq!(event_loop.alive_because()[0].state, "receiving");
}

/// L-33: the drop of the loop ends queued sends without calling anybody.
#[test]
fn loop_drop_drops_what_is_queued() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (udp, _peer) = narrow(&event_loop);
    fill(&udp);
    let drops = Drops::new();
    let token = drops.token();
    udp.send("callback").then(move |_| {
        token.keep();
        panic!("nobody is called");
    });
    let held = udp.send("held");
    drop(event_loop);
    assert_eq!(drops.count(), 1);
    assert!(is_canceled(&ready(held).expect_err("it did not go out")));
    assert_eq!(udp.send_queue_count(), 0);
}

/// D-15: a close inside the callback of a send cancels the sends behind it.
#[test]
fn send_callback_may_close() {
    with_built_loop(Loop::builder().writes_per_turn(1), |event_loop| {
        let (udp, peer) = narrow(event_loop);
        fill(&udp);
        let journal = Journal::new();
        let (closing, noted) = (udp.clone(), journal.clone());
        udp.send("first").then(move |sent| {
            sent.expect("it goes out");
            noted.note("first");
            closing.close().then(noted.result("close"));
        });
        (0..30).for_each(|_| drop(udp.send("behind")));
        udp.send("last").then(journal.result("last"));
        let reads = Rc::new(Cell::new(0));
        turn_until(event_loop, || {
            reads.set(reads.get() + take_all(&peer).len());
            udp.is_closing()
        });
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["first", "last canceled", "close ok"]);
        turn(event_loop);
        assert_eq!(misuse(ready(udp.send("x"))), Misuse::Closing);
        assert!(udp.local_addr().is_err() && reads.get() > 0);
    });
}

/// H-16: the addresses of a closed handle can be bound at once, though sends are still to be reported.
#[test]
fn sends_are_reported_after_the_socket_is_gone() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let own = addr(&udp);
        let sent = expect(1);
        udp.send_to("x", nobody()).then(move |done| {
            sent.hit();
            done.expect("the kernel has it");
        });
        udp.close();
        std::net::UdpSocket::bind(own).expect("the port is free");
    });
}
