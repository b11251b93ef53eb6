//! The life of a UDP socket: where it comes from, its addresses, its peer, its options.
#![cfg(feature = "udp")]

mod support;
#[path = "support/udp.rs"]
mod udp;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use luvio::{Interface, Loop, Misuse, Udp};
use support::{Journal, expect, has_ipv6, misuse, new_loop, ready, turn, watchdog, with_loop};
use udp::{addr, bound, nobody, peer_of, std_socket};

// ---- where it comes from ------------------------------------------------------------------------------------------

/// D-01: the first send, receive or connect binds to every interface and a free port.
#[test]
fn socket_comes_with_the_first_use() {
    with_loop(|event_loop| {
        let uses: [fn(&Udp); 4] = [
            |udp| drop(udp.send_to("x", nobody())),
            |udp| udp.try_send_to(b"x", nobody()).expect("loopback has room"),
            |udp| udp.recv_start(|_, _| {}).expect("it can be bound"),
            |udp| udp.connect(nobody()).expect("it can be bound"),
        ];
        for begin in uses {
            let udp = Udp::new(event_loop);
            assert_eq!(misuse(udp.local_addr()), Misuse::NoSocket);
            assert_eq!(misuse(udp.fileno()), Misuse::NoSocket);
            begin(&udp);
            assert_ne!(addr(&udp).port(), 0);
            udp.close();
        }
        if has_ipv6() {
            let udp = Udp::new(event_loop);
            ready(udp.send_to("x", "[::1]:9")).expect("the family is that of the address");
            assert!(addr(&udp).is_ipv6());
        }
    });
}

/// D-01: after a bind that failed, nothing but another bind gives the handle an address.
#[test]
fn failed_bind_is_not_followed_by_an_automatic_one() {
    with_loop(|event_loop| {
        let taken = std_socket();
        let taken = taken.local_addr().expect("a bound socket has an address");
        for bad in [taken.to_string(), "localhost:7".to_string()] {
            let udp = Udp::new(event_loop);
            assert!(udp.bind(&bad).is_err(), "{bad}");
            assert_eq!(misuse(udp.recv_start(|_, _| {})), Misuse::NotBound);
            assert_eq!(misuse(ready(udp.recv_once())), Misuse::NotBound);
            assert_eq!(misuse(ready(udp.send_to("x", nobody()))), Misuse::NotBound);
            assert_eq!(misuse(udp.try_send_to(b"x", nobody())), Misuse::NotBound);
            assert_eq!(misuse(udp.connect(nobody())), Misuse::NotBound);
            assert_eq!(misuse(udp.local_addr()), Misuse::NoSocket);
            udp.bind("127.0.0.1:0").expect("a bind that succeeds makes up for it");
            udp.recv_start(|_, _| {}).expect("now it has an address");
            udp.close();
        }
    });
}

/// D-02: bind tells of an error at once; a handle that has a socket refuses; with address reuse on both, both get it.
#[test]
fn address_is_given_once_unless_both_share_it() {
    with_loop(|event_loop| {
        let first = bound(event_loop);
        let second = Udp::new(event_loop);
        let err = second.bind(addr(&first)).expect_err("the address is taken");
        assert_eq!(err.kind(), ErrorKind::AddrInUse);
        assert_eq!(misuse(first.bind("127.0.0.1:0")), Misuse::AlreadyBound);
        let automatic = Udp::new(event_loop);
        automatic.send_to("x", nobody());
        assert_eq!(misuse(automatic.bind("127.0.0.1:0")), Misuse::AlreadyBound);

        let sharing = |addr: std::net::SocketAddr| {
            let udp = Udp::new(event_loop);
            udp.set_reuse_address(true).expect("it has no socket yet");
            udp.bind(addr).map(|()| udp)
        };
        let one = sharing((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        sharing(addr(&one)).expect("both share it");
    });
}

/// D-02: with port reuse on both, both succeed, and each datagram reaches one of them.
#[cfg(target_os = "linux")]
#[test]
fn port_can_be_shared() {
    with_loop(|event_loop| {
        let received = expect(100);
        let sharing = |to: &str| {
            let udp = Udp::new(event_loop);
            udp.set_reuse_port(true).expect("it has no socket yet");
            udp.bind(to).expect("both share it");
            udp
        };
        let one = sharing("127.0.0.1:0");
        let both = [one.clone(), sharing(&addr(&one).to_string())];
        for udp in &both {
            let (received, both) = (received.clone(), both.clone());
            let started = udp.recv_start(move |_, datagram| {
                datagram.expect("it receives");
                if received.hit() == 100 {
                    both.iter().for_each(|udp| drop(udp.close()));
                }
            });
            started.expect("it is bound");
        }
        for _ in 0..100 {
            std_socket().send_to(b"x", addr(&one)).expect("loopback has room");
        }
    });
}

/// D-04: what bind has to know is refused after it, and options without a socket.
#[test]
fn options_want_a_socket_and_wishes_want_none() {
    with_loop(|event_loop| {
        let udp = Udp::new(event_loop);
        let group = Ipv4Addr::new(239, 255, 0, 1);
        type Set = Box<dyn Fn(&Udp) -> std::io::Result<()>>;
        let options: [(&str, Set); 8] = [
            ("broadcast", Box::new(|udp| udp.set_broadcast(true))),
            ("ttl", Box::new(|udp| udp.set_ttl(7))),
            ("multicast loop", Box::new(|udp| udp.set_multicast_loop(false))),
            ("multicast ttl", Box::new(|udp| udp.set_multicast_ttl(7))),
            ("interface", Box::new(|udp| udp.set_multicast_interface(Ipv4Addr::LOCALHOST))),
            ("join", Box::new(move |udp| udp.join_multicast(group, Ipv4Addr::LOCALHOST))),
            ("leave", Box::new(move |udp| udp.leave_multicast(group, Ipv4Addr::LOCALHOST))),
            (
                "join a source",
                Box::new(move |udp| {
                    udp.join_multicast_source(group, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)
                }),
            ),
        ];
        let wishes: [fn(&Udp) -> std::io::Result<()>; 3] = [
            |udp| udp.set_reuse_address(true),
            |udp| udp.set_reuse_port(true),
            |udp| udp.set_only_v6(true),
        ];
        for (name, option) in &options {
            assert_eq!(misuse(option(&udp)), Misuse::NoSocket, "{name}");
        }
        wishes.iter().for_each(|wish| wish(&udp).expect("it has no socket yet"));
        udp.bind("127.0.0.1:0").expect("loopback has a free port");
        for (name, option) in &options {
            option(&udp).unwrap_or_else(|err| panic!("{name}: {err}"));
        }
        wishes.iter().for_each(|wish| assert_eq!(misuse(wish(&udp)), Misuse::AlreadyBound));
        udp.close();
        for (name, option) in &options {
            assert_eq!(misuse(option(&udp)), Misuse::Closing, "{name}");
        }
        wishes.iter().for_each(|wish| assert_eq!(misuse(wish(&udp)), Misuse::Closing));
    });
}

/// D-05: a hop limit is 1 to 255, that of multicast 0 to 255, in both families; the system has what was set.
#[test]
fn hop_limits_have_their_bounds() {
    with_loop(|event_loop| {
        let addrs = if has_ipv6() { &["127.0.0.1:0", "[::1]:0"][..] } else { &["127.0.0.1:0"] };
        for addr in addrs {
            let udp = Udp::new(event_loop);
            udp.bind(*addr).expect("loopback has a free port");
            let is_v6 = udp.local_addr().expect("it is bound").is_ipv6();
            let read = |multicast: bool| {
                let value = udp.with_fd(|fd| {
                    let socket = socket2::SockRef::from(&fd);
                    match (is_v6, multicast) {
                        (false, false) => socket.ttl_v4(),
                        (false, true) => socket.multicast_ttl_v4(),
                        (true, false) => socket.unicast_hops_v6(),
                        (true, true) => socket.multicast_hops_v6(),
                    }
                });
                value.and_then(|value| value).expect("the option can be read")
            };
            assert_eq!(misuse(udp.set_ttl(0)), Misuse::ZeroHops);
            for hops in [1, 255] {
                udp.set_ttl(hops).expect("a limit within the bounds");
                assert_eq!(read(false), u32::from(hops));
            }
            for hops in [0, 255] {
                udp.set_multicast_ttl(hops).expect("a limit within the bounds");
                assert_eq!(read(true), u32::from(hops));
            }
        }
    });
}

/// D-26: a bound socket and a connected one can be adopted, and the latter is known as such; a second one is refused, and
/// closed.
#[test]
fn sockets_of_std_are_adopted() {
    with_loop(|event_loop| {
        let peer = std_socket();
        let socket = std_socket();
        let own = socket.local_addr().expect("a bound socket has an address");
        let udp = Udp::new(event_loop);
        udp.open(socket).expect("a fresh handle");
        assert_eq!(addr(&udp), own);
        assert_eq!(misuse(udp.peer_addr()), Misuse::NoPeer);
        ready(udp.send_to("hello", peer.local_addr().expect("it is bound"))).expect("it goes out");
        assert_eq!(peer.recv(&mut [0; 9]).expect("a datagram"), 5);

        let connected = std_socket();
        let third = connected.local_addr().expect("it is bound");
        connected.connect(peer.local_addr().expect("it is bound")).expect("it can be connected");
        assert_eq!(misuse(udp.open(connected)), Misuse::HasSocket);
        UdpSocket::bind(third).expect("the refused socket was closed");

        let connected = std_socket();
        connected.connect(peer.local_addr().expect("it is bound")).expect("it can be connected");
        let udp = Udp::new(event_loop);
        udp.open(connected).expect("a fresh handle");
        assert_eq!(udp.peer_addr().ok(), peer.local_addr().ok());
        assert_eq!(misuse(ready(udp.send_to("x", nobody()))), Misuse::HasPeer);
        ready(udp.send("to the peer")).expect("it goes out");
        assert_eq!(peer.recv(&mut [0; 99]).expect("a datagram"), 11);

        let closed = Udp::new(event_loop);
        closed.close();
        assert_eq!(misuse(closed.open(std_socket())), Misuse::Closing);
    });
}

// ---- the peer -----------------------------------------------------------------------------------------------------

/// D-17: with a peer, sending to an address and connecting are refused; without one, sending without an address,
/// disconnecting and asking for the peer. Both ways back and forth, with the port kept.
#[test]
fn peer_comes_and_goes() {
    with_loop(|event_loop| {
        let peer = std_socket();
        let there = peer.local_addr().expect("it is bound");
        for bind in [None, Some("127.0.0.1:0"), Some("0.0.0.0:0")] {
            let udp = Udp::new(event_loop);
            if let Some(addr) = bind {
                udp.bind(addr).expect("loopback has a free port");
            }
            for round in 0..3 {
                assert_eq!(misuse(udp.disconnect()), Misuse::NoPeer);
                assert_eq!(misuse(ready(udp.send("x"))), Misuse::NoDestination);
                assert_eq!(misuse(udp.try_send(b"x")), Misuse::NoDestination);
                let no_peer = if udp.fileno().is_ok() { Misuse::NoPeer } else { Misuse::NoSocket };
                assert_eq!(misuse(udp.peer_addr()), no_peer);

                udp.connect(there).expect("it has no peer");
                let port = addr(&udp).port();
                assert_eq!(udp.peer_addr().ok(), Some(there));
                assert_eq!(misuse(udp.connect(there)), Misuse::HasPeer);
                assert_eq!(misuse(ready(udp.send_to("x", there))), Misuse::HasPeer);
                assert_eq!(misuse(udp.try_send_to(b"x", there)), Misuse::HasPeer);
                assert_eq!(misuse(udp.try_send_many(&[(b"x", there)])), Misuse::HasPeer);
                ready(udp.send("with a peer")).expect("it goes out");
                udp.try_send(b"and once more").expect("it goes out");

                udp.disconnect().expect("it has a peer");
                assert_eq!(addr(&udp).port(), port, "{bind:?}, round {round}");
                ready(udp.send_to("without", there)).expect("it goes out");
                let mut buffer = [0; 100];
                for expected in ["with a peer", "and once more", "without"] {
                    let (length, from) = peer.recv_from(&mut buffer).expect("a datagram");
                    assert_eq!((&buffer[..length], from.port()), (expected.as_bytes(), port));
                }
            }
        }
    });
}

/// D-17: a socket without a peer hears everybody, one with a peer only that one.
#[test]
fn others_are_not_heard_by_a_connected_socket() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let own = addr(&udp);
        let (friend, stranger) = (peer_of(&udp), std_socket());
        udp.connect(friend.local_addr().expect("it is bound")).expect("it has no peer");
        let journal = Journal::new();
        let noted = journal.clone();
        let back = stranger.try_clone().expect("it can be cloned");
        udp.recv_start(move |udp, datagram| {
            let datagram = datagram.expect("it receives");
            noted.note(String::from_utf8_lossy(datagram.data));
            if datagram.data == b"friend" {
                udp.disconnect().expect("it has a peer");
                back.send_to(b"stranger", own).expect("loopback has room");
            } else {
                udp.close();
            }
        })
        .expect("it is bound");
        stranger.send_to(b"too early", own).expect("loopback has room");
        friend.send(b"friend").expect("loopback has room");
        event_loop.run().expect("the loop can be run");
        journal.assert_is(&["friend", "stranger"]);
    });
}

/// D-24: a socket for every IPv6 interface also hears IPv4, unless it is for IPv6 only.
#[test]
fn ipv6_socket_also_takes_ipv4_unless_told_otherwise() {
    if !has_ipv6() {
        return eprintln!("skipped: no IPv6 here");
    }
    with_loop(|event_loop| {
        let both = Udp::new(event_loop);
        both.bind("[::]:0").expect("there is a free port");
        let port = addr(&both).port();
        let received = expect(1);
        both.recv_start(move |udp, datagram| {
            received.hit();
            let from = datagram.expect("it receives").from;
            assert_eq!(from.ip().to_canonical(), Ipv4Addr::LOCALHOST);
            udp.send_to("echo", from);
            udp.close();
        })
        .expect("it is bound");
        let client = std_socket();
        client.send_to(b"x", (Ipv4Addr::LOCALHOST, port)).expect("loopback has room");
        event_loop.run().expect("the loop can be run");
        assert_eq!(client.recv(&mut [0; 9]).expect("the echo"), 4);

        let only = Udp::new(event_loop);
        only.set_only_v6(true).expect("it has no socket yet");
        only.bind("[::]:0").expect("there is a free port");
        let port = addr(&only).port();
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port is free in IPv4");
    });
}

/// D-17: what is no destination is refused with an error that says why.
#[test]
fn bad_destinations_are_named() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        assert_eq!(misuse(ready(udp.send_to("x", "127.0.0.1:0"))), Misuse::ZeroPort);
        assert_eq!(misuse(udp.try_send_to(b"x", "127.0.0.1:0")), Misuse::ZeroPort);
        assert_eq!(misuse(udp.connect("127.0.0.1:0")), Misuse::ZeroPort);
        assert_eq!(misuse(ready(udp.send_to("x", "localhost:7"))), Misuse::BadAddress);
        assert_eq!(misuse(udp.connect("localhost:7")), Misuse::BadAddress);
        assert_eq!(misuse(ready(udp.send_to("x", "[::1]:7"))), Misuse::WrongFamily);
        assert_eq!(misuse(udp.connect("[::1]:7")), Misuse::WrongFamily);
        if has_ipv6() {
            let only = Udp::new(event_loop);
            only.set_only_v6(true).expect("it has no socket yet");
            only.bind("[::1]:0").expect("there is a free port");
            assert_eq!(misuse(ready(only.send_to("x", nobody()))), Misuse::WrongFamily);
            assert_eq!(misuse(only.try_send_many(&[(b"x", nobody())])), Misuse::WrongFamily);
            assert_eq!(misuse(only.connect(nobody())), Misuse::WrongFamily);
        }
        ready(udp.send_to("x", nobody())).expect("the handle is as good as before");
    });
}

// ---- closing ------------------------------------------------------------------------------------------------------

/// H-16, H-18: close frees the port in the call, and everything is refused then.
#[test]
fn closed_handle_gives_its_port_back_and_refuses() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let own = addr(&udp);
        let closed = expect(1);
        udp.recv_start(|_, _| panic!("nothing arrives")).expect("it is bound");
        udp.close().then(move |_| _ = closed.hit());
        UdpSocket::bind(own).expect("the port is free");
        assert_eq!(misuse(udp.bind("127.0.0.1:0")), Misuse::Closing);
        assert_eq!(misuse(udp.connect(own)), Misuse::Closing);
        assert_eq!(misuse(udp.disconnect()), Misuse::Closing);
        assert_eq!(misuse(udp.recv_start(|_, _| {})), Misuse::Closing);
        assert_eq!(misuse(ready(udp.send_to("x", own))), Misuse::Closing);
        assert_eq!(misuse(ready(udp.send("x"))), Misuse::Closing);
        assert_eq!(misuse(udp.try_send(b"x")), Misuse::Closing);
        assert_eq!(misuse(udp.try_send_many(&[(b"x", own)])), Misuse::Closing);
        assert_eq!(misuse(udp.local_addr()), Misuse::NoSocket);
        assert_eq!(misuse(udp.with_fd(|_| ())), Misuse::NoSocket);
        udp.recv_stop();
    });
}

/// The last clone of a handle that does nothing takes the socket with it.
#[test]
fn idle_handle_closes_with_its_last_clone() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    let own = addr(&udp);
    let clone = udp.clone();
    drop(udp);
    assert!(UdpSocket::bind(own).is_err());
    drop(clone);
    UdpSocket::bind(own).expect("the port is free");
    assert!(event_loop.close().is_ok());
}

/// The descriptor is lent, and a close meanwhile takes it afterwards.
#[test]
fn descriptor_is_lent() {
    with_loop(|event_loop| {
        let udp = bound(event_loop);
        let own = addr(&udp);
        assert_eq!(udp.with_fd(|fd| fd.as_raw_fd()).ok(), udp.fileno().ok());
        udp.with_fd(|_| {
            udp.send_to("x", nobody());
            udp.close();
            assert!(UdpSocket::bind(own).is_err(), "it is lent");
        })
        .expect("it has a socket");
        UdpSocket::bind(own).expect("it went when the loan was over");
    });
}

/// A handle of a loop that is gone says so, and does nothing.
#[test]
fn handle_of_a_loop_that_is_gone_is_safe() {
    let event_loop = new_loop();
    let udp = bound(&event_loop);
    let own = addr(&udp);
    udp.recv_start(|_, _| {}).expect("it is bound");
    let handle = event_loop.handle().clone();
    drop(event_loop);
    UdpSocket::bind(own).expect("the port is free");
    for udp in [udp, Udp::new(&handle)] {
        assert!(udp.is_closing() && !udp.is_active());
        assert_eq!(misuse(udp.bind("127.0.0.1:0")), Misuse::LoopGone);
        assert_eq!(misuse(udp.recv_start(|_, _| {})), Misuse::LoopGone);
        assert_eq!(misuse(ready(udp.send_to("x", own))), Misuse::LoopGone);
        assert!(luvio::is_canceled(&ready(udp.recv_once()).expect_err("the loop is gone")));
        assert_eq!(misuse(udp.set_multicast_interface(Interface::Any)), Misuse::LoopGone);
        udp.recv_stop();
        ready(udp.close()).expect("closing it does nothing");
    }
}

/// A turn with a bound socket that does nothing is over at once: it is not active.
#[test]
fn bound_socket_is_not_active() {
    with_loop(|event_loop: &Loop| {
        let udp = bound(event_loop);
        assert!(!udp.is_active() && !event_loop.is_alive());
        turn(event_loop);
        udp.recv_start(|_, _| {}).expect("it is bound");
        assert!(udp.is_active() && event_loop.is_alive());
        udp.recv_stop();
        assert!(!udp.is_active() && !event_loop.is_alive());
    });
}
