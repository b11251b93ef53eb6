//! Receiving datagrams by a callback.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Loop, Misuse, RunMode, Udp};
use support::{
    Drops, Journal, expect, misuse, new_loop, turn, turn_until, turns, watchdog, with_built_loop,
    with_loop,
};
use udp::{addr, bound, nobody, peer_of, std_socket};

/// Receives `count` datagrams, notes them, and closes.
fn note_datagrams(udp: &Udp, journal: &Journal, count: usize) {
    let noted = journal.clone();
    let started = udp.recv_start(move |udp, datagram| {
        noted.note(String::from_utf8_lossy(datagram.expect("it receives").data));
        if noted.entries().len() == count {
            udp.close();
        }
    });
    started.expect("the handle can receive");
}

/// Sends numbered datagrams.
fn send_numbers(peer: &UdpSocket, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        peer.send(number.to_string().as_bytes()).expect("loopback has room");
    }
}

/// D-03: a second receiver, by callback or by await, is refused, and the first one stays.
#[test]
fn second_receiver_is_refused() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let journal = Journal::new();
        note_datagrams(&udp, &journal, 1);
        assert_eq!(misuse(udp.recv_start(|_, _| {})), Misuse::AlreadyReceiving);
        assert_eq!(misuse(support::ready(udp.recv_once())), Misuse::AlreadyReceiving);
        assert_eq!(misuse(support::ready(udp.recv_with(|_| ()))), Misuse::AlreadyReceiving);
        peer_of(&udp).send(b"x").expect("loopback has room");
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["x"]);
    });
}

/// D-06, D-08: each datagram is one call, with its bounds and its sender, also if it is empty.
#[test]
fn each_datagram_is_one_call_with_its_sender() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let peers = [peer_of(&udp), peer_of(&udp)];
        let journal = Journal::new();
        let noted = journal.clone();
        let senders = peers.each_ref().map(|peer| peer.local_addr().expect("it is bound"));
        udp.recv_start(move |udp, datagram| {
            let datagram = datagram.expect("it receives");
            assert!(!datagram.truncated);
            let who = senders.iter().position(|sender| *sender == datagram.from);
            noted.note(format!("{}: {}", who.expect("a peer"), datagram.data.len()));
            if noted.entries().len() == 5 {
                udp.close();
            }
        })
        .expect("it is bound");
        for (peer, length) in [(0, 3), (1, 0), (0, 0), (1, 65_507), (0, 1)] {
            peers[peer].send(&vec![b'x'; length]).expect("loopback has room");
        }
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["0: 3", "1: 0", "0: 0", "1: 65507", "0: 1"]);
    });
}

/// D-07: what is longer than the read chunk is cut and flagged; what just fits is not.
#[test]
fn datagram_that_is_too_long_is_cut_and_flagged() {
    for chunk in [1, 4, 1_000] {
        with_built_loop(Loop::builder().read_chunk(chunk), |event_loop| {
            let udp = bound(event_loop);
            let lengths: Rc<RefCell<Vec<_>>> = Rc::default();
            let list = Rc::clone(&lengths);
            udp.recv_start(move |udp, datagram| {
                let datagram = datagram.expect("it receives");
                list.borrow_mut().push((datagram.data.len(), datagram.truncated));
                if list.borrow().len() == 4 {
                    udp.close();
                }
            })
            .expect("it is bound");
            for length in [chunk - 1, chunk, chunk + 1, chunk + 500] {
                peer_of(&udp).send(&vec![0; length]).expect("loopback has room");
            }
            event_loop.run().expect("the loop can be run");
            let expected = [(chunk - 1, false), (chunk, false), (chunk, true), (chunk, true)];
            assert_eq!(*lengths.borrow(), expected);
        });
    }
}

/// D-09: nothing is called at the end of a burst, or when there is nothing.
#[test]
fn end_of_a_burst_is_no_call() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let received = expect(3);
        udp.recv_start(move |_, datagram| {
            received.hit();
            assert_eq!(datagram.expect("it receives").data.len(), 1);
        })
        .expect("it is bound");
        turn(event_loop);
        send_numbers(&peer_of(&udp), 0..3);
        (0..5).for_each(|_| turn(event_loop));
        udp.close();
    });
}

/// D-10: after a stop or a close in the callback nothing is delivered; a new start brings what waited.
#[test]
fn stop_in_the_callback_holds_the_rest_back() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        send_numbers(&peer, 0..5);
        let (stopped, closed) = (expect(1), expect(1));
        let journal = Journal::new();
        let noted = journal.clone();
        udp.recv_start(move |udp, datagram| {
            stopped.hit();
            noted.note(String::from_utf8_lossy(datagram.expect("it receives").data));
            udp.recv_stop();
            udp.recv_stop();
        })
        .expect("it is bound");
        event_loop.run().expect("the loop ends, since nothing is active");
        (0..3).for_each(|_| turn(event_loop));
        journal.assert_is(&["0"]);

        let noted = journal.clone();
        udp.recv_start(move |udp, datagram| {
            closed.hit();
            noted.note(String::from_utf8_lossy(datagram.expect("it receives").data));
            udp.close();
        })
        .expect("it was stopped");
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["0", "1"]);
    });
}

/// D-10: a callback may put another one in its place, which gets the next datagram.
#[test]
fn callback_may_be_replaced_in_itself() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        send_numbers(&peer_of(&udp), 0..3);
        let journal = Journal::new();
        let (noted, rest) = (journal.clone(), journal.clone());
        udp.recv_start(move |udp, datagram| {
            noted.note(String::from_utf8_lossy(datagram.expect("it receives").data));
            udp.recv_stop();
            note_datagrams(udp, &rest, 3);
        })
        .expect("it is bound");
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["0", "1", "2"]);
    });
}

/// D-22, L-27: several datagrams in one turn, but no more than the budget, though new ones arrive before each turn; the
/// rest comes in the turns after it, without a new arrival.
#[test]
fn burst_is_delivered_within_the_budget_of_each_turn() {
    let _watchdog = watchdog();
    for per_turn in [1, 2, 32] {
        let event_loop =
            Loop::builder().reads_per_turn(per_turn as u32).build().expect("a loop can be made");
        let udp = bound(&event_loop);
        let peer = peer_of(&udp);
        let received = Rc::new(Cell::new(0));
        let count = Rc::clone(&received);
        udp.recv_start(move |_, datagram| {
            assert_eq!(datagram.expect("it receives").data, count.get().to_string().as_bytes());
            count.set(count.get() + 1);
        })
        .expect("it is bound");
        let mut sent = 0;
        for turn in 1..=4 {
            send_numbers(&peer, sent..sent + 2 * per_turn);
            sent += 2 * per_turn;
            event_loop.run_mode(RunMode::Once).expect("the loop can be run");
            assert_eq!(received.get(), turn * per_turn, "{per_turn} a turn");
        }
        for turn in 5..=8 {
            event_loop.run_mode(RunMode::Once).expect("the loop can be run");
            assert_eq!(received.get(), turn * per_turn, "{per_turn} a turn");
        }
        drop(udp);
    }
}

/// D-18: that the peer of a connected socket is not there shows in the callback, and the handle lives on.
#[test]
fn refusal_is_told_to_the_receiver_who_goes_on() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let there = nobody();
        udp.connect(there).expect("it has no peer");
        let journal = Journal::new();
        let noted = journal.clone();
        udp.recv_start(move |udp, datagram| match datagram {
            Ok(datagram) => {
                noted.note(String::from_utf8_lossy(datagram.data));
                udp.close();
            }
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
                noted.note("refused");
                // Now somebody comes.
                let peer = UdpSocket::bind(there).expect("the port is free");
                let own = udp.local_addr().expect("it is bound");
                peer.send_to(b"here I am", own).expect("loopback has room");
            }
        })
        .expect("it is bound");
        udp.send("anybody?");
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["refused", "here I am"]);
    });
}

/// D-19: an error that nobody is there to hear does not make the loop spin, and the next one who receives hears of it.
#[test]
fn unheard_error_does_not_spin() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    udp.connect(nobody()).expect("it has no peer");
    support::ready(udp.send("anybody?")).expect("the kernel takes it");
    let turns = turns(&event_loop);
    luvio::Timer::after(&event_loop, Duration::from_millis(20), |_| {});
    event_loop.run().expect("the loop can be run");
    assert!(turns.get() < 5, "{} turns", turns.get());
    let heard = Rc::new(Cell::new(0));
    let count = Rc::clone(&heard);
    udp.recv_start(move |udp, datagram| {
        count.set(count.get() + 1);
        let err = datagram.expect_err("an error waits");
        assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
        udp.close();
    })
    .expect("it is bound");
    event_loop.run().expect("the loop can be run");
    assert_eq!(heard.get(), 1);
}

/// D-20: the callback may close the handle over an error.
#[test]
fn close_over_an_error_is_safe() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        udp.connect(nobody()).expect("it has no peer");
        let (heard, closed) = (expect(1), expect(1));
        udp.recv_start(move |udp, datagram| {
            heard.hit();
            datagram.expect_err("nobody is there");
            let closed = closed.clone();
            udp.close().then(move |_| _ = closed.hit());
        })
        .expect("it is bound");
        udp.send("anybody?");
    });
}

/// H-25: the callback is dropped when it is stopped, when its handle is closed, and when the loop is dropped.
#[test]
fn receive_callback_is_dropped() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let drops = Drops::new();
    let udp = bound(&event_loop);
    let receive = |udp: &Udp| {
        let (token, own) = (drops.token(), udp.clone());
        udp.recv_start(move |_, _| {
            token.keep();
            let _ = &own;
        })
        .expect("it is bound");
    };
    receive(&udp);
    udp.recv_stop();
    assert_eq!(drops.count(), 1);
    receive(&udp);
    udp.close();
    assert_eq!(drops.count(), 1, "not before the close is complete");
    turn(&event_loop);
    assert_eq!(drops.count(), 2);
    receive(&bound(&event_loop));
    drop(event_loop);
    assert_eq!(drops.count(), 3);
}

/// L-40: a panic in the callback leaves `run`, and the datagrams behind it come in the next run.
#[test]
fn panic_does_not_lose_the_datagrams_behind_it() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    send_numbers(&peer_of(&udp), 0..5);
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    udp.recv_start(move |_, _| {
        count.set(count.get() + 1);
        assert_ne!(count.get(), 2, "on purpose");
    })
    .expect("it is bound");
    let run = || turn_until(&event_loop, || received.get() == 5);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(received.get(), 2);
    run();
}

/// H-05: an unreferenced receiver does not hold the loop.
#[test]
fn unreferenced_receiver_does_not_hold_the_loop() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        udp.recv_start(|_, _| {}).expect("it is bound");
        udp.unref();
        event_loop.run().expect("the loop ends at once");
        udp.close();
    });
}

/// D-06: two handles of one loop talk to each other.
#[test]
fn two_handles_of_one_loop_play_ping_pong() {
    with_loop(|event_loop| {
        let (server, client) = (bound(event_loop), bound(event_loop));
        let echoes = expect(1_000);
        server
            .recv_start(|server, datagram| {
                let datagram = datagram.expect("it receives");
                server.send_to(datagram.data, datagram.from);
            })
            .expect("it is bound");
        let there = addr(&server);
        client.send_to("ping", there);
        client
            .recv_start(move |client, datagram| {
                assert_eq!(datagram.expect("it receives").from, there);
                if echoes.hit() == 1_000 {
                    server.close();
                    client.close();
                } else {
                    client.send_to("ping", there);
                }
            })
            .expect("it is bound");
    });
}

/// L-09: with a virtual clock, the loop waits a while for what a socket may still bring.
#[test]
fn virtual_clock_is_patient_with_a_receiver() {
    with_built_loop(Loop::builder().virtual_clock(), |event_loop| {
        let udp = bound(event_loop);
        let received = expect(1);
        let own = addr(&udp);
        let timer = luvio::Timer::after(event_loop, support::DEADLINE * 1_000, |_| {
            panic!("the datagram comes first")
        });
        udp.recv_start(move |udp, _| {
            received.hit();
            udp.close();
            timer.close();
        })
        .expect("it is bound");
        std_socket().send_to(b"x", own).expect("loopback has room");
    });
}
