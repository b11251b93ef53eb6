//! What goes wrong with datagrams, and what does not go wrong with it.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use luvio::{Loop, RunMode, Timer, Udp};
use support::{expect, new_loop, turn_until, turns, watchdog, with_loop};
use udp::{addr, bound, peer_of, std_socket};

/// L-27, D-22: a flood from 8 threads, with the socket's buffer full: the timers and a second socket get their turns, each
/// datagram that comes is whole, and when the flood is over, the loop sleeps.
#[test]
fn flood_does_not_starve_the_others() {
    const TICKS: usize = 20;
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (flooded, quiet) = (bound(&event_loop), bound(&event_loop));
    let (flood, question) = (addr(&flooded), peer_of(&quiet));
    let (received, answered, ticks) =
        (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let count = Rc::clone(&received);
    flooded
        .recv_start(move |_, datagram| {
            let datagram = datagram.expect("it receives");
            assert!(datagram.data.len() == 1_000 && datagram.data.iter().all(|byte| *byte == 7));
            count.set(count.get() + 1);
        })
        .expect("it is bound");
    let count = Rc::clone(&answered);
    quiet.recv_start(move |_, _| count.set(count.get() + 1)).expect("it is bound");

    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let socket = std_socket();
                while !over.load(Ordering::Relaxed) {
                    socket.send_to(&[7; 1_000], flood).expect("loopback takes it, or drops it");
                }
            })
        })
        .collect();
    turn_until(&event_loop, || received.get() > 1_000);
    let count = Rc::clone(&ticks);
    let timer = Timer::new(&event_loop);
    let period = Duration::from_millis(1);
    timer
        .start(period, period, move |_| {
            question.send(b"x").expect("loopback has room");
            count.set(count.get() + 1);
        })
        .expect("a new timer can be started");
    turn_until(&event_loop, || ticks.get() >= TICKS && answered.get() >= TICKS);
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));

    timer.close();
    quiet.close();
    // What is still in the buffer is received; then nothing moves.
    Timer::after(&event_loop, Duration::from_millis(100), |_| {});
    flooded.unref();
    event_loop.run().expect("the loop can be run");
    let turns = turns(&event_loop);
    Timer::after(&event_loop, Duration::from_millis(20), |_| {});
    event_loop.run().expect("the loop can be run");
    assert!(turns.get() < 5, "{} turns", turns.get());
}

/// D-08, D-09: ten thousand empty datagrams are ten thousand calls, whoever sends how many of them at once.
#[test]
fn ten_thousand_empty_datagrams_arrive() {
    const COUNT: usize = 10_000;
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    let peer = peer_of(&udp);
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    udp.recv_start(move |_, datagram| {
        assert_eq!(datagram.expect("it receives").data, b"");
        count.set(count.get() + 1);
    })
    .expect("it is bound");
    for sent in (0..COUNT).step_by(100) {
        (0..100).for_each(|_| assert_eq!(peer.send(b"").expect("loopback has room"), 0));
        turn_until(&event_loop, || received.get() == sent + 100);
    }
    (0..3).for_each(|_| support::turn(&event_loop));
    assert_eq!(received.get(), COUNT);
}

/// D-23: many sockets on one port, all closed with datagrams waiting and sends to report: each callback comes once, and
/// none is called for an event.
#[test]
fn many_sockets_on_one_port_close_with_events_pending() {
    const SOCKETS: usize = 500;
    with_loop(|event_loop| {
        let first = Udp::new(event_loop);
        first.set_reuse_address(true).expect("it has no socket yet");
        first.bind("127.0.0.1:0").expect("loopback has a free port");
        let to = addr(&first);
        let all: Rc<RefCell<Vec<Udp>>> = Rc::new(RefCell::new(vec![first]));
        for _ in 1..SOCKETS {
            let udp = Udp::new(event_loop);
            udp.set_reuse_address(true).expect("it has no socket yet");
            udp.bind(to).expect("they share it");
            all.borrow_mut().push(udp);
        }
        let (sent, closed) = (expect(SOCKETS), expect(SOCKETS));
        for udp in all.borrow().iter() {
            let everybody = Rc::clone(&all);
            let closed = closed.clone();
            udp.recv_start(move |_, _| {
                for udp in everybody.take() {
                    let closed = closed.clone();
                    udp.close().then(move |_| _ = closed.hit());
                }
            })
            .expect("it is bound");
            let sent = sent.clone();
            udp.send_to("x", to).then(move |done| {
                sent.hit();
                done.expect("it goes out");
            });
        }
    });
}

/// H-16, L-26: a socket closed in the batch in which its event waits hears nothing of it, nor does the one that comes after
/// it.
#[test]
fn event_of_a_closed_socket_reaches_nobody() {
    with_loop(|event_loop| {
        let sockets = [bound(event_loop), bound(event_loop)];
        let calls = expect(1);
        for (at, udp) in sockets.iter().enumerate() {
            let (calls, other) = (calls.clone(), sockets[1 - at].clone());
            udp.recv_start(move |udp, _| {
                calls.hit();
                other.close();
                udp.close();
                let next = bound(udp.event_loop());
                next.recv_start(|_, _| panic!("nobody sends to it")).expect("it is bound");
                next.unref();
                udp.event_loop().defer(move |_| drop(next.close()));
            })
            .expect("it is bound");
            peer_of(udp).send(b"x").expect("loopback has room");
        }
    });
}

/// The system's own error for an option comes with its code, and nothing is lost by it.
#[test]
fn broadcast_has_to_be_allowed() {
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        udp.bind("0.0.0.0:0").expect("there is a free port");
        let broadcast = "255.255.255.255:9";
        let err = udp.try_send_to(b"x", broadcast).expect_err("not allowed yet");
        assert!(
            matches!(err.kind(), ErrorKind::PermissionDenied | ErrorKind::NetworkUnreachable),
            "{err}"
        );
        let allowed = |udp: &Udp| {
            udp.with_fd(|fd| socket2::SockRef::from(&fd).broadcast())
                .and_then(|value| value)
                .expect("the option can be read")
        };
        assert!(!allowed(&udp));
        udp.set_broadcast(true).expect("it has a socket");
        assert!(allowed(&udp));
    });
}

/// A handle whose socket has lost its descriptor to the program's mistakes is not this crate's to mend, but an error of
/// the system that comes again and again holds the loop no longer than a budget.
#[test]
fn endless_errors_leave_the_others_their_turns() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().reads_per_turn(4).build().expect("a loop can be made");
    // A Unix socket in the clothes of a UDP one: what it receives has no IP address, which is an error each time.
    let (udp, peer) = udp::narrow(&event_loop);
    for _ in 0..6 {
        peer.send(b"x").expect("it has room");
    }
    let errors = Rc::new(Cell::new(0));
    let count = Rc::clone(&errors);
    udp.recv_start(move |_, datagram| {
        datagram.expect_err("no IP address");
        count.set(count.get() + 1);
    })
    .expect("it has a socket");
    event_loop.run_mode(RunMode::Once).expect("the loop can be run");
    assert_eq!(errors.get(), 4);
    event_loop.run_mode(RunMode::Once).expect("the loop can be run");
    assert_eq!(errors.get(), 6);
}

/// A socket that is closed while its own datagrams are in the kernel gives back its descriptor.
#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_is_lost() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let make = || {
        for _ in 0..50 {
            let udp = bound(&event_loop);
            udp.send_to("x", addr(&udp));
            udp.recv_start(|udp, _| drop(udp.close())).expect("it is bound");
            let refused = Udp::new(&event_loop);
            assert!(refused.bind(addr(&udp)).is_err());
            assert!(udp.open(UdpSocket::bind("127.0.0.1:0").expect("a port")).is_err());
        }
        event_loop.run().expect("the loop can be run");
        support::open_descriptors()
    };
    let before = make();
    // Other tests of this process open some meanwhile.
    assert!((0..100).any(|_| make() <= before), "{before} descriptors before");
}
