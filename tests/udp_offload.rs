//! Datagrams that the system joins, and takes in one piece.
#![cfg(all(feature = "udp-offload", target_os = "linux"))]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use luvio::{Misuse, Udp};
use support::{misuse, new_loop, turn_until, watchdog, with_loop};
use udp::{addr, bound, fill, narrow, peer_of, std_socket};

/// Bytes that tell where they belong.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// D-31: segments arrive as datagrams of their own, whether the sender has offload or not, and the last one is shorter.
#[test]
fn segments_are_datagrams_to_everybody() {
    with_loop(|event_loop| {
        let data = bytes(100 * 1_200 + 7);
        for has_offload in [false, true] {
            let udp = bound(event_loop);
            if has_offload {
                udp.enable_offload().expect("Linux has it");
            }
            let peer = std_socket();
            let to = peer.local_addr().expect("it is bound");
            let mut buffer = [0; 2_000];
            for piece in data.chunks(10 * 1_200) {
                assert_eq!(udp.try_send_segments(piece, 1_200, to).ok(), Some(piece.len()));
                for expected in piece.chunks(1_200) {
                    let (length, from) = peer.recv_from(&mut buffer).expect("a datagram");
                    assert_eq!((&buffer[..length], from), (expected, addr(&udp)));
                }
            }
            for (data, size) in [(&b""[..], 5), (b"one", 0), (b"one", 3), (b"one", 100)] {
                assert_eq!(udp.try_send_segments(data, size, to).ok(), Some(data.len()));
                assert_eq!(peer.recv(&mut buffer).ok(), Some(data.len()));
            }
        }
    });
}

/// D-31: a receiver with offload gets what was sent together in few calls, every datagram with its bounds; what comes alone
/// comes alone, also if it is empty.
#[test]
fn receiver_gets_datagrams_joined_with_their_bounds() {
    const COUNT: usize = 50;
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (udp, sender) = (bound(&event_loop), bound(&event_loop));
    udp.enable_offload().expect("Linux has it");
    sender.enable_offload().expect("Linux has it");
    let received: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let calls = Rc::new(Cell::new(0));
    let (list, count, from) = (Rc::clone(&received), Rc::clone(&calls), addr(&sender));
    udp.recv_start(move |_, datagram| {
        let datagram = datagram.expect("it receives");
        assert_eq!((datagram.from, datagram.truncated), (from, false));
        count.set(count.get() + 1);
        list.borrow_mut().extend(datagram.segments().map(<[u8]>::to_vec));
    })
    .expect("it is bound");
    let data = bytes(COUNT * 1_200 - 5);
    assert_eq!(sender.try_send_segments(&data, 1_200, addr(&udp)).ok(), Some(data.len()));
    sender.send_to("", addr(&udp));
    sender.send_to("alone", addr(&udp));
    turn_until(&event_loop, || received.borrow().len() >= COUNT + 2);
    let mut expected: Vec<&[u8]> = data.chunks(1_200).collect();
    expected.extend([&b""[..], b"alone"]);
    assert_eq!(*received.borrow(), expected);
    assert!(calls.get() < COUNT / 2, "{} calls", calls.get());
}

/// D-31, D-06: with the feature but without asking for it, everything is as without the feature.
#[test]
fn without_asking_nothing_is_joined() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    udp.recv_start(move |_, datagram| {
        let datagram = datagram.expect("it receives");
        assert_eq!((datagram.data.len(), datagram.segments().count()), (100, 1));
        count.set(count.get() + 1);
    })
    .expect("it is bound");
    let peer = peer_of(&udp);
    (0..20).for_each(|_| assert_eq!(peer.send(&bytes(100)).ok(), Some(100)));
    turn_until(&event_loop, || received.get() == 20);
}

/// D-31, D-13: segments do not overtake what is queued, and misuse is named.
#[test]
fn misuse_of_offload_is_named() {
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        assert_eq!(misuse(udp.enable_offload()), Misuse::NoSocket);
        udp.bind("127.0.0.1:0").expect("loopback has a free port");
        assert_eq!(misuse(udp.try_send_segments(b"xx", 1, "127.0.0.1:0")), Misuse::ZeroPort);
        udp.connect(udp::nobody()).expect("it has no peer");
        assert_eq!(misuse(udp.try_send_segments(b"xx", 1, udp::nobody())), Misuse::HasPeer);
        udp.close();
        assert_eq!(misuse(udp.enable_offload()), Misuse::Closing);
        let (narrow, _peer) = narrow(event_loop);
        fill(&narrow);
        assert!(narrow.try_send_segments(b"xx", 1, udp::nobody()).is_err());
        narrow.close();
    });
}
