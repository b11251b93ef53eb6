//! Awaiting datagrams.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use luvio::{Loop, Misuse, Timer, Udp, is_canceled, sleep, timeout};
use support::{Wakes, misuse, new_loop, poll, ready, turn, turn_until, watchdog, with_loop};
use udp::{addr, bound, fill, narrow, nobody, peer_of, std_socket, take_all};

/// Runs a future on a loop of its own, and fails if something is left over.
fn block_on<T>(future: impl AsyncFnOnce(&Loop) -> io::Result<T>) -> T {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let done = event_loop.block_on(future(&event_loop)).expect("the loop does not run dry");
    event_loop.run().expect("the loop can be run");
    assert!(event_loop.close().is_ok(), "something is left over");
    done.expect("it succeeds")
}

/// D-30: a datagram that comes later is awaited, one that is there already is not waited for.
#[test]
fn datagrams_are_awaited() {
    block_on(async |event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        let from = peer.local_addr()?;
        Timer::after(event_loop, Duration::from_millis(1), move |_| {
            for data in [&b"1"[..], b"", b"three"] {
                peer.send(data).expect("loopback has room");
            }
        });
        assert_eq!(udp.recv_once().await?, (b"1".to_vec(), from));
        assert_eq!(udp.recv_once().await?, (Vec::new(), from));
        let length = udp.recv_with(|datagram| {
            assert_eq!(datagram.from, from);
            datagram.data.len()
        });
        assert_eq!(length.await?, 5);
        Ok(())
    });
}

/// D-01: the first wait binds the handle.
#[test]
fn first_wait_binds() {
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        let mut wait = udp.recv_once();
        assert!(poll(&mut wait).is_pending());
        let port = addr(&udp).port();
        std_socket().send_to(b"x", ("127.0.0.1", port)).expect("loopback has room");
        let (data, _) = event_loop.block_on(wait).expect("it runs").expect("it receives");
        assert_eq!(data, b"x");
    });
}

/// Z-06, D-30: a wait that is dropped has taken nothing, and the next one gets the datagram.
#[test]
fn dropped_wait_loses_nothing() {
    block_on(async |event_loop| {
        let udp = bound(event_loop);
        let peer = peer_of(&udp);
        assert!(timeout(Duration::from_millis(1), udp.recv_once()).await.is_err());
        peer.send(b"kept")?;
        sleep(Duration::from_millis(1)).await;
        drop(udp.recv_once());
        assert_eq!(udp.recv_once().await?.0, b"kept");
        Ok(())
    });
}

/// D-30, Z-13: while one waits, another wait and a callback are refused; when it is dropped, they are not.
#[test]
fn one_receives_at_a_time() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let mut first = udp.recv_once();
        assert!(poll(&mut first).is_pending());
        assert_eq!(misuse(ready(udp.recv_once())), Misuse::AlreadyReceiving);
        assert_eq!(misuse(udp.recv_start(|_, _| {})), Misuse::AlreadyReceiving);
        assert!(poll(&mut first).is_pending(), "the first one stays");
        drop(first);
        udp.recv_start(|_, _| {}).expect("nobody receives");
        udp.close();
    });
}

/// Z-05: close ends the wait with `Canceled`, also of one that is polled outside of tasks.
#[test]
fn close_ends_the_wait() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let wakes = Wakes::new();
        let mut wait = udp.recv_once();
        assert!(wakes.poll(&mut wait).is_pending());
        udp.close();
        assert_eq!(wakes.count(), 1);
        match wakes.poll(&mut wait) {
            Poll::Ready(Err(err)) => assert!(is_canceled(&err), "{err}"),
            other => panic!("{other:?}"),
        }
        let other = bound(event_loop);
        let closing = other.clone();
        let task = event_loop.spawn(async move { other.recv_once().await });
        turn(event_loop);
        closing.close();
        let result = event_loop.block_on(task).expect("it runs").expect("it does not panic");
        assert!(is_canceled(&result.expect_err("it is closed")));
        // Also of one that begins afterwards, so that a loop of receives ends with one error, whenever the close comes.
        assert!(is_canceled(&ready(udp.recv_once()).expect_err("it is closed")));
        assert!(is_canceled(&ready(udp.recv_with(|_| {})).expect_err("it is closed")));
    });
}

/// L-33: the drop of the loop ends the wait with `Canceled`.
#[test]
fn loop_drop_ends_the_wait() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    let mut wait = udp.recv_once();
    assert!(poll(&mut wait).is_pending());
    drop(event_loop);
    match poll(&mut wait) {
        Poll::Ready(Err(err)) => assert!(is_canceled(&err), "{err}"),
        other => panic!("{other:?}"),
    }
    assert!(is_canceled(&ready(udp.recv_once()).expect_err("the loop is gone")));
}

/// D-18: a peer that is not there is an error of one wait; the next one goes on.
#[test]
fn refusal_ends_one_wait() {
    block_on(async |event_loop| {
        let udp = bound(event_loop);
        let there = nobody();
        udp.connect(there)?;
        udp.send("anybody?").await?;
        let err = udp.recv_once().await.expect_err("nobody is there");
        assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
        let peer = std::net::UdpSocket::bind(there)?;
        peer.send_to(b"now", addr(&udp))?;
        assert_eq!(udp.recv_once().await?.0, b"now");
        Ok(())
    });
}

/// D-11, D-14: an awaited send is over when its datagram is with the kernel.
#[test]
fn awaited_send_waits_for_room() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let total = 2 * fill(&narrow(&event_loop).0) + 10;
    let (udp, peer) = narrow(&event_loop);
    let sent = Rc::new(Cell::new(0));
    let count = Rc::clone(&sent);
    event_loop.go(async move {
        for number in 0..total {
            udp.send(format!("{number}")).await?;
            count.set(count.get() + 1);
        }
        io::Result::Ok(())
    });
    (0..total).for_each(|_| turn(&event_loop));
    assert!(sent.get() < total, "the peer has not read");
    let mut taken = Vec::new();
    turn_until(&event_loop, || {
        taken.extend(take_all(&peer));
        sent.get() == total
    });
    taken.extend(take_all(&peer));
    assert_eq!(taken, (0..total).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// WR-24, D-29: dropping an awaited send does not take its datagram back.
#[test]
fn dropped_send_goes_out() {
    with_loop(|event_loop| {
        let (udp, peer) = narrow(event_loop);
        fill(&udp);
        let mut send = udp.send("last");
        assert!(poll(&mut send).is_pending());
        drop(send);
        let mut taken = Vec::new();
        turn_until(event_loop, || {
            taken.extend(take_all(&peer));
            udp.send_queue_count() == 0
        });
        taken.extend(take_all(&peer));
        assert_eq!(taken.last().map(String::as_str), Some("last"));
    });
}

/// Z-09: a task whose socket is always readable does not keep timers or other tasks waiting.
#[test]
fn busy_receiver_lets_others_have_their_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (one, other) = (bound(&event_loop), bound(&event_loop));
    let there = addr(&other);
    let echo = |udp: Udp| async move {
        loop {
            let echoed = udp.recv_with(|datagram| udp.send_to(datagram.data, datagram.from));
            echoed.await?.await?;
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    };
    (0..20).for_each(|_| drop(one.send_to("x", there)));
    event_loop.go(echo(one));
    event_loop.go(echo(other));
    let done = event_loop.block_on(async {
        sleep(Duration::from_millis(5)).await;
    });
    done.expect("the sleep ends");
}

/// D-30: callbacks and tasks mix: a callback answers what a task asks.
#[test]
fn handles_of_both_styles_talk() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (server, client) = (bound(&event_loop), bound(&event_loop));
    let there = addr(&server);
    server
        .recv_start(|server, datagram| {
            let datagram = datagram.expect("it receives");
            server.send_to(datagram.data.to_ascii_uppercase(), datagram.from);
        })
        .expect("it is bound");
    let answers = event_loop.block_on(async {
        let mut answers = Vec::new();
        for word in ["one", "two"] {
            client.send_to(word, there).await?;
            answers.push(client.recv_once().await?);
        }
        io::Result::Ok(answers)
    });
    let answers = answers.expect("it runs").expect("it receives");
    assert_eq!(answers, [(b"ONE".to_vec(), there), (b"TWO".to_vec(), there)]);
}
