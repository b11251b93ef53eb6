//! Multicast groups, on the loopback interface.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use luvio::{Interface, LoopHandle, Misuse, Udp};
use support::{Journal, has_ipv6, misuse, turn, with_loop};
use udp::{addr, bound};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Each test has a group of its own: what one socket has joined, others of the same host may hear, too.
const fn group(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(239, 255, 71, number)
}
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x71, 9); // of this interface alone

/// A socket on a free port of every interface.
fn on_every_interface(event_loop: &LoopHandle) -> Udp {
    let udp = Udp::new(event_loop);
    udp.bind("0.0.0.0:0").expect("there is a free port");
    udp
}

/// A socket that sends to groups on the loopback interface.
fn sender(event_loop: &LoopHandle) -> Udp {
    let udp = bound(event_loop);
    udp.set_multicast_interface(HERE).expect("the loopback has this address");
    udp
}

/// Notes what arrives.
fn note(udp: &Udp, journal: &Journal) {
    let journal = journal.clone();
    let started = udp.recv_start(move |_, datagram| {
        journal.note(String::from_utf8_lossy(datagram.expect("it receives").data));
    });
    started.expect("it is bound");
}

/// True if the machine lets its loopback take part in multicast.
fn loopback_has_multicast(event_loop: &LoopHandle) -> bool {
    let udp = on_every_interface(event_loop);
    let works = udp.join_multicast(group(1), HERE).is_ok()
        && sender(event_loop).try_send_to(b"x", (group(1), addr(&udp).port())).is_ok();
    if !works {
        eprintln!("skipped: no multicast on the loopback here");
    }
    works
}

/// D-25: what is sent to a group reaches a member on the same host; leaving ends that.
#[test]
fn members_hear_what_is_sent_to_the_group() {
    with_loop(|event_loop| {
        if !loopback_has_multicast(event_loop) {
            return;
        }
        let udp = on_every_interface(event_loop);
        let sender = sender(event_loop);
        let to = SocketAddr::from((group(2), addr(&udp).port()));
        let direct = SocketAddr::from((HERE, addr(&udp).port()));
        let journal = Journal::new();
        note(&udp, &journal);
        let send = |text: &str| {
            sender.send_to(text, to);
            // Behind it, one that arrives in any case.
            sender.send_to("direct", direct);
            turn(event_loop);
        };
        send("too early");
        udp.join_multicast(group(2), HERE).expect("the loopback can be joined");
        let twice = udp.join_multicast(group(2), HERE).expect_err("it is a member");
        assert_eq!(twice.kind(), ErrorKind::AddrInUse);
        send("to members");
        udp.leave_multicast(group(2), HERE).expect("it is a member");
        assert!(udp.leave_multicast(group(2), HERE).is_err());
        send("too late");
        journal.assert_is(&["direct", "to members", "direct", "direct"]);
        udp.close();
    });
}

/// D-25: whether members on the sender's host hear it is an option of the sender, in both families. (The loopback itself
/// brings back all that it sends, so only the option can be looked at here.)
#[test]
fn loop_option_is_the_senders() {
    with_loop(|event_loop| {
        let option = |udp: &Udp| {
            let is_v6 = addr(udp).is_ipv6();
            let value = udp.with_fd(|fd| {
                let socket = socket2::SockRef::from(&fd);
                if is_v6 { socket.multicast_loop_v6() } else { socket.multicast_loop_v4() }
            });
            value.and_then(|value| value).expect("the option can be read")
        };
        for any in if has_ipv6() { &["0.0.0.0:0", "[::]:0"][..] } else { &["0.0.0.0:0"] } {
            let udp = Udp::new(event_loop);
            udp.bind(*any).expect("there is a free port");
            assert!(option(&udp), "the default");
            udp.set_multicast_loop(false).expect("it has a socket");
            assert!(!option(&udp));
        }
    });
}

/// D-25: a member by source hears that source alone.
#[test]
fn source_can_be_chosen() {
    with_loop(|event_loop| {
        if !loopback_has_multicast(event_loop) {
            return;
        }
        let udp = on_every_interface(event_loop);
        let port = addr(&udp).port();
        let other = Ipv4Addr::new(127, 0, 0, 2);
        udp.join_multicast_source(group(4), other, HERE).expect("the loopback can be joined");
        let journal = Journal::new();
        note(&udp, &journal);
        for from in [HERE, other] {
            let sender = Udp::new(event_loop);
            if sender.bind((from, 0)).is_err() {
                return udp.recv_stop(); // a system with one address on its loopback
            }
            sender.set_multicast_interface(HERE).expect("the loopback has this address");
            sender.send_to(from.to_string(), (group(4), port));
            turn(event_loop);
        }
        journal.assert_is(&["127.0.0.2"]);
        udp.leave_multicast_source(group(4), other, HERE).expect("it is a member");
        assert!(udp.leave_multicast_source(group(4), other, HERE).is_err());
        udp.close();
    });
}

/// D-25: the same for IPv6, where the interface is an index.
#[cfg(target_os = "linux")]
#[test]
fn ipv6_groups_name_the_interface_by_its_index() {
    const LOOPBACK: u32 = 1;
    if !has_ipv6() {
        return eprintln!("skipped: no IPv6 here");
    }
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        udp.bind("[::]:0").expect("there is a free port");
        let port = addr(&udp).port();
        if udp.join_multicast(GROUP_V6, LOOPBACK).is_err() {
            return eprintln!("skipped: no IPv6 multicast on the loopback here");
        }
        let sender = Udp::new(event_loop);
        sender.bind("[::1]:0").expect("there is a free port");
        sender.set_multicast_interface(LOOPBACK).expect("the loopback is there");
        sender.set_multicast_loop(true).expect("it has a socket");
        sender.set_multicast_ttl(0).expect("it has a socket");
        let journal = Journal::new();
        note(&udp, &journal);
        if sender.try_send_to(b"to members", (GROUP_V6, port)).is_err() {
            udp.recv_stop();
            return eprintln!("skipped: no route for IPv6 multicast here");
        }
        turn(event_loop);
        udp.leave_multicast(GROUP_V6, LOOPBACK).expect("it is a member");
        sender.send_to("too late", (GROUP_V6, port));
        turn(event_loop);
        journal.assert_is(&["to members"]);
        let by_source = udp.join_multicast_source(GROUP_V6, Ipv6Addr::LOCALHOST, LOOPBACK);
        assert_eq!(by_source.expect_err("not for IPv6").kind(), ErrorKind::Unsupported);
        udp.close();
    });
}

/// D-25: what is no group, an interface that there is not, and one named in the way of the other family are refused.
#[test]
fn bad_groups_and_interfaces_are_named() {
    with_loop(|event_loop| {
        let udp = on_every_interface(event_loop);
        for no_group in [IpAddr::from(HERE), Ipv4Addr::BROADCAST.into(), Ipv6Addr::LOCALHOST.into()]
        {
            assert_eq!(misuse(udp.join_multicast(no_group, Interface::Any)), Misuse::NotMulticast);
            assert_eq!(misuse(udp.leave_multicast(no_group, Interface::Any)), Misuse::NotMulticast);
            assert_eq!(
                misuse(udp.join_multicast_source(no_group, HERE, Interface::Any)),
                Misuse::NotMulticast
            );
        }
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1); // nobody's, by RFC 5737
        let err = udp.join_multicast(group(6), elsewhere).expect_err("no such interface");
        assert!(err.raw_os_error().is_some(), "{err}");
        let err = udp.set_multicast_interface(elsewhere).expect_err("no such interface");
        assert!(err.raw_os_error().is_some(), "{err}");
        assert_eq!(misuse(udp.join_multicast(group(6), 1)), Misuse::BadInterface);
        assert_eq!(misuse(udp.join_multicast_source(group(6), HERE, 1)), Misuse::BadInterface);
        assert_eq!(misuse(udp.set_multicast_interface(1)), Misuse::BadInterface);
        assert_eq!(misuse(udp.join_multicast(GROUP_V6, HERE)), Misuse::BadInterface);
        let mixed = udp.join_multicast_source(group(6), Ipv6Addr::LOCALHOST, HERE);
        assert_eq!(misuse(mixed), Misuse::WrongFamily);
        if has_ipv6() {
            let udp = Udp::new(event_loop);
            udp.bind("[::]:0").expect("there is a free port");
            let err = udp.join_multicast(GROUP_V6, 0x7fff_0000).expect_err("no such interface");
            assert!(err.raw_os_error().is_some(), "{err}");
            let err = udp.set_multicast_interface(0x7fff_0000).expect_err("no such interface");
            assert!(err.raw_os_error().is_some(), "{err}");
            assert_eq!(misuse(udp.set_multicast_interface(HERE)), Misuse::BadInterface);
        }
        udp.send_to("x", udp::nobody());
    });
}
