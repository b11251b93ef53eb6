//! Sockets before and while they connect: bind, connect, options, adoption. Statements TC of the behaviour chapter.

mod support;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Loop, Misuse, RunMode, Tcp, is_canceled};
use socket2::SockRef;
use support::{
    Drops, Journal, accepted_pair, bound_socket, connected_pair, expect, has_ipv6, listen_for_one,
    misuse, refusing_addr, std_pair, turn_until, with_loop, with_virtual_loop,
};

/// A listener of the standard library. Its connections wait; nobody accepts them.
fn std_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A handle with a local address.
fn bound(event_loop: &Loop, addr: &str) -> Tcp {
    let tcp = Tcp::new(event_loop);
    tcp.bind(addr).unwrap();
    tcp
}

/// Runs until the request of `operation` has ended, and says how.
fn ended(event_loop: &Loop, operation: luvio::Request<()>) -> io::Result<()> {
    let result = Rc::new(Cell::new(None));
    let setter = Rc::clone(&result);
    operation.then(move |ended| setter.set(Some(ended)));
    loop {
        event_loop.run_mode(RunMode::Once).unwrap();
        if let Some(ended) = result.take() {
            return ended;
        }
    }
}

/// Offers the handle a connected socket.
fn open(tcp: &Tcp) -> io::Result<()> {
    Ok(tcp.open(std_pair().0)?)
}

/// Offers the handle a listening socket.
fn open_listener(tcp: &Tcp) -> io::Result<()> {
    Ok(tcp.open_listener(std_listener().0)?)
}

/// Looks at the options of a handle's socket.
fn option<T>(tcp: &Tcp, ask: impl FnOnce(&SockRef<'_>) -> io::Result<T>) -> T {
    tcp.with_fd(|fd| ask(&SockRef::from(&fd))).unwrap().unwrap()
}

// ---- a socket and its addresses -----------------------------------------------------------------------------------

/// TC-01, TC-24: a new handle has no socket until it is bound, connects, listens or adopts one.
#[test]
fn a_new_handle_has_no_socket() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let make: [fn(&Tcp, SocketAddr); 4] = [
            |tcp, _| tcp.bind("127.0.0.1:0").unwrap(),
            |tcp, addr| drop(tcp.connect(addr)),
            |tcp, _| tcp.listen_only(1).unwrap(),
            |tcp, addr| tcp.open(TcpStream::connect(addr).unwrap()).unwrap(),
        ];
        for make in make {
            let tcp = Tcp::new(event_loop);
            assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
            assert_eq!(misuse(tcp.local_addr()), Misuse::NoSocket);
            assert_eq!(misuse(tcp.peer_addr()), Misuse::NoSocket);
            assert!(!tcp.has_socket());
            make(&tcp, addr);
            assert!(tcp.has_socket());
            assert!(tcp.fileno().is_ok());
            assert!(tcp.local_addr().is_ok());
        }
    });
}

/// TC-24: a missing socket is a bad descriptor, a missing peer is "not connected"; a closed handle has neither.
#[test]
fn an_address_that_is_not_there_is_an_error() {
    with_loop(|event_loop| {
        assert_eq!(misuse(Tcp::new(event_loop).local_addr()).name(), "EBADF");
        let tcp = bound(event_loop, "127.0.0.1:0");
        assert_eq!(tcp.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert!(tcp.local_addr().is_ok());
        tcp.close();
        assert_eq!(misuse(tcp.local_addr()), Misuse::NoSocket);
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
    });
}

/// Both ends of a connection agree about the addresses.
#[test]
fn both_ends_agree_about_the_addresses() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    });
}

/// TC-03: bind reports that an address is in use, and another one can be tried.
#[test]
fn bind_reports_an_address_in_use() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        assert_eq!(tcp.bind(addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(misuse(tcp.local_addr()), Misuse::NoSocket);
        tcp.bind("127.0.0.1:0").unwrap();
        tcp.listen_only(1).unwrap();
    });
}

/// TC-03: after a bind that failed and was ignored the handle does not connect from another address.
#[test]
fn a_handle_whose_bind_failed_does_not_connect() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        for bad in ["localhost:0".to_string(), addr.to_string()] {
            let tcp = Tcp::new(event_loop);
            tcp.bind(bad).unwrap_err();
            for request in [tcp.connect(addr), tcp.connect_timeout(addr, Duration::from_secs(9))] {
                assert!(request.is_finished());
                assert_eq!(misuse(ended(event_loop, request)), Misuse::NotBound);
            }
            tcp.bind("127.0.0.1:0").unwrap();
            let own = tcp.local_addr().unwrap();
            ended(event_loop, tcp.connect(addr)).unwrap();
            assert_eq!(listener.accept().unwrap().1, own);
        }
        let adopting = Tcp::new(event_loop);
        adopting.bind("localhost:0").unwrap_err();
        adopting.open(std_pair().0).unwrap();
        assert!(adopting.is_writable());
    });
}

/// TC-11: a handle that was bound and whose connect failed does not connect from another address, unless it is bound anew.
#[test]
fn a_bound_handle_is_bound_again_after_a_failed_connect() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let tcp = bound(event_loop, "127.0.0.1:0");
        ended(event_loop, tcp.connect(refusing_addr())).unwrap_err();
        assert_eq!(misuse(ended(event_loop, tcp.connect(addr))), Misuse::NotBound);
        tcp.bind("127.0.0.1:0").unwrap();
        let own = tcp.local_addr().unwrap();
        ended(event_loop, tcp.connect(addr)).unwrap();
        assert_eq!(listener.accept().unwrap().1, own);
    });
}

/// TC-03: where two sockets may be bound alike, the second listen says that the address is in use.
#[cfg(target_os = "linux")]
#[test]
fn listen_reports_an_address_in_use_that_bind_could_not_see() {
    with_loop(|event_loop| {
        let first = bound(event_loop, "127.0.0.1:0");
        let second = Tcp::new(event_loop);
        second.bind(first.local_addr().unwrap()).unwrap();
        first.listen_only(1).unwrap();
        assert_eq!(second.listen_only(1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(second.local_addr().unwrap(), first.local_addr().unwrap());
        first.close();
        second.listen_only(1).unwrap();
    });
}

/// TC-04: an address of another machine cannot be bound.
#[test]
fn bind_refuses_an_address_of_another_machine() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        let err = tcp.bind("192.0.2.1:0").unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::AddrNotAvailable);
        tcp.bind("127.0.0.1:0").unwrap();
    });
}

/// TC-05: a handle is bound once; so is one that listens, connects or has adopted a socket.
#[test]
fn a_handle_is_bound_once() {
    with_loop(|event_loop| {
        let listening = Tcp::new(event_loop);
        listening.listen_only(1).unwrap();
        let connecting = Tcp::new(event_loop);
        connecting.connect(refusing_addr());
        let tcps =
            [bound(event_loop, "127.0.0.1:0"), listening, connecting, connected_pair(event_loop).0];
        for tcp in tcps {
            let addr = tcp.local_addr().unwrap();
            let misuse = misuse(tcp.bind("127.0.0.1:0"));
            assert_eq!((misuse, misuse.name()), (Misuse::AlreadyBound, "EINVAL"));
            assert_eq!(tcp.local_addr().unwrap(), addr);
        }
        let closing = Tcp::new(event_loop);
        closing.close();
        assert_eq!(misuse(closing.bind("127.0.0.1:0")), Misuse::Closing);
    });
}

/// TC-06: a socket of one family takes no address of the other, neither as its own nor as a peer's.
#[test]
fn a_socket_keeps_to_its_family() {
    if !has_ipv6() {
        return;
    }
    with_loop(|event_loop| {
        for (own, other) in [("127.0.0.1:0", "[::1]:0"), ("[::1]:0", "127.0.0.1:0")] {
            let tcp = bound(event_loop, own);
            assert_eq!(misuse(tcp.bind(other)).name(), "EINVAL");
            let peer = TcpListener::bind(other).unwrap();
            let connected = ended(event_loop, tcp.connect(peer.local_addr().unwrap()));
            assert!(connected.unwrap_err().raw_os_error().is_some());
        }
    });
}

/// TC-07: a server can restart on its port although connections of its predecessor linger.
#[test]
fn a_server_can_restart_on_its_port() {
    with_loop(|event_loop| {
        let first = bound(event_loop, "127.0.0.1:0");
        first.listen_only(1).unwrap();
        let addr = first.local_addr().unwrap();
        let client = Tcp::new(event_loop);
        ended(event_loop, client.connect(addr)).unwrap();
        let accepted = first.accept().unwrap();
        // Who closes first is the one whose connection lingers.
        accepted.close();
        first.close();
        event_loop.run().unwrap();
        client.close();
        let second = Tcp::new(event_loop);
        second.bind(addr).unwrap();
        second.listen_only(1).unwrap();
    });
}

/// TC-08: listeners that share a port all get connections.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[test]
fn listeners_that_share_a_port_all_get_connections() {
    const CLIENTS: usize = 64;
    with_loop(|event_loop| {
        let arrived = expect(CLIENTS);
        let counts = [Rc::new(Cell::new(0)), Rc::new(Cell::new(0))];
        let servers = [Tcp::new(event_loop), Tcp::new(event_loop)];
        let mut addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for (server, count) in servers.iter().zip(&counts) {
            server.set_reuse_port(true).unwrap();
            server.bind(addr).unwrap();
            addr = server.local_addr().unwrap();
            let (arrived, count) = (arrived.clone(), Rc::clone(count));
            let all = servers.clone();
            server
                .listen(128, move |server, incoming| {
                    incoming.unwrap();
                    server.accept().unwrap();
                    count.set(count.get() + 1);
                    if arrived.hit() == CLIENTS {
                        all.iter().for_each(|server| drop(server.close()));
                    }
                })
                .unwrap();
        }
        let clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(addr).unwrap()).collect();
        event_loop.run().unwrap();
        drop(clients);
        assert!(counts.iter().all(|count| count.get() > 0), "{counts:?}");
    });
}

/// TC-08: a system that would not spread the connections refuses to share a port.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd"
)))]
#[test]
fn a_port_is_not_shared_where_nothing_spreads_the_connections() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        tcp.set_reuse_port(true).unwrap();
        let err = tcp.bind("127.0.0.1:0").unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::Unsupported);
    });
}

/// TC-08: without the option on both sides, the port is in use; after bind it is too late for it.
#[cfg(target_os = "linux")]
#[test]
fn a_port_is_shared_only_if_all_agree() {
    with_loop(|event_loop| {
        let first = Tcp::new(event_loop);
        first.set_reuse_port(true).unwrap();
        first.set_reuse_port(false).unwrap();
        first.bind("127.0.0.1:0").unwrap();
        assert_eq!(misuse(first.set_reuse_port(true)), Misuse::AlreadyBound);
        first.listen_only(1).unwrap();
        let second = Tcp::new(event_loop);
        second.set_reuse_port(true).unwrap();
        let err = second.bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::AddrInUse);
    });
}

/// TC-09: a handle bound to port zero tells which port it got.
#[test]
fn port_zero_becomes_a_real_port() {
    with_loop(|event_loop| {
        let tcp = bound(event_loop, "127.0.0.1:0");
        let addr = tcp.local_addr().unwrap();
        assert_ne!(addr.port(), 0);
        tcp.listen_only(1).unwrap();
        assert_eq!(tcp.local_addr().unwrap(), addr);
        TcpStream::connect(addr).unwrap();
    });
}

/// The address that a client was bound to is the one that its peer sees.
#[test]
fn a_client_may_be_bound_before_it_connects() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let client = bound(event_loop, "127.0.0.1:0");
        let own = client.local_addr().unwrap();
        ended(event_loop, client.connect(addr)).unwrap();
        assert_eq!(listener.accept().unwrap().1, own);
    });
}

/// TC-25: all of it holds for IPv6: addresses, options, errors, data both ways.
#[test]
fn ipv6_works_like_ipv4() {
    if !has_ipv6() {
        return;
    }
    with_loop(|event_loop| {
        let server = bound(event_loop, "[::1]:0");
        let addr = server.local_addr().unwrap();
        assert!(addr.is_ipv6() && addr.port() != 0);
        assert_eq!(misuse(server.bind("[::1]:0")), Misuse::AlreadyBound);
        server.listen_only(1).unwrap();
        let in_use = Tcp::new(event_loop).bind(addr).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        let elsewhere = Tcp::new(event_loop).bind("[2001:db8::1]:0").unwrap_err();
        assert_eq!(elsewhere.kind(), io::ErrorKind::AddrNotAvailable);

        let client = Tcp::new(event_loop);
        client.set_nodelay(true).unwrap();
        ended(event_loop, client.connect(addr)).unwrap();
        assert!(option(&client, |socket| socket.tcp_nodelay()));
        let accepted = server.accept().unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
        server.close();

        let (pinged, ponged) = (expect(1), expect(1));
        accepted
            .read_start(move |accepted, chunk| {
                pinged.hit();
                assert_eq!(chunk.unwrap(), Some(&b"ping"[..]));
                accepted.write(b"pong");
                accepted.finish();
            })
            .unwrap();
        client
            .read_start(move |client, chunk| {
                ponged.hit();
                assert_eq!(chunk.unwrap(), Some(&b"pong"[..]));
                client.close();
            })
            .unwrap();
        client.write(b"ping");
        event_loop.run().unwrap();

        let refused = ended(event_loop, Tcp::new(event_loop).connect(addr)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// TC-27: a listener on IPv6's "any" address serves IPv4 as well, where the system can.
#[cfg(target_os = "linux")]
#[test]
fn an_ipv6_listener_serves_both_families() {
    if !has_ipv6() {
        return;
    }
    with_loop(|event_loop| {
        let server = bound(event_loop, "[::]:0");
        server.listen_only(2).unwrap();
        let port = server.local_addr().unwrap().port();
        for host in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
            ended(event_loop, Tcp::new(event_loop).connect((host, port))).unwrap();
            server.accept().unwrap();
        }
    });
}

// ---- connecting ---------------------------------------------------------------------------------------------------

/// TC-27: a listener that serves IPv6 only leaves the port of the other family to somebody else.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_may_serve_ipv6_only() {
    if !has_ipv6() {
        return;
    }
    with_loop(|event_loop| {
        let listen = || {
            let server = Tcp::new(event_loop);
            server.set_only_v6(true).unwrap();
            server.bind("[::]:0").unwrap();
            server.listen_only(1).unwrap();
            server
        };
        // Somebody may have the port already.
        let beside = |server: Tcp| {
            let port = server.local_addr().unwrap().port();
            Some((server, TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()?))
        };
        let (server, other) = (0..10).find_map(|_| beside(listen())).expect("a free port");
        let port = server.local_addr().unwrap().port();
        let clients = [
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap(),
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap(),
        ];
        assert_eq!(other.accept().unwrap().1, clients[0].local_addr().unwrap());
        assert_eq!(server.accept_with_addr().unwrap().1, clients[1].local_addr().unwrap());

        // It is bound already.
        assert_eq!(misuse(server.set_only_v6(false)), Misuse::AlreadyBound);
        let closing = Tcp::new(event_loop);
        closing.close();
        assert_eq!(misuse(closing.set_only_v6(true)), Misuse::Closing);
    });
}

/// TC-27: it takes no address of the other family, and without any it listens on IPv6's.
#[test]
fn ipv6_only_takes_no_ipv4_address() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.set_only_v6(true).unwrap();
        let refused = misuse(server.bind("127.0.0.1:0"));
        assert_eq!((refused, refused.name()), (Misuse::NotIpv6, "EINVAL"));
        assert_eq!(misuse(server.listen_only(1)), Misuse::NotBound);
        server.set_only_v6(false).unwrap();
        server.bind("127.0.0.1:0").unwrap();
        if has_ipv6() {
            let anywhere = Tcp::new(event_loop);
            anywhere.set_only_v6(true).unwrap();
            anywhere.listen_only(1).unwrap();
            assert_eq!(anywhere.local_addr().unwrap().ip(), Ipv6Addr::UNSPECIFIED);
            let only_v6 = anywhere.with_fd(|fd| SockRef::from(&fd).only_v6()).unwrap();
            assert!(only_v6.unwrap());
        }
    });
}

/// TC-10, TC-13: a refused connect is reported once, by the callback and not inside the call.
#[test]
fn a_refused_connect_is_reported_once_and_later() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect(refusing_addr()).then(journal.result("connect"));
        journal.note("the call is over");
        event_loop.run().unwrap();
        tcp.close();
        event_loop.run().unwrap();
        journal.assert_is(&["the call is over", "connect ConnectionRefused"]);
    });
}

/// TC-11, TC-13: a handle is connecting from the call until the connect has ended, in whatever way.
#[test]
fn a_handle_says_whether_it_is_connecting() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        assert!(!tcp.is_connecting());
        for (addr, connects) in [(refusing_addr(), false), (addr, true)] {
            let request = tcp.connect(addr);
            assert!(tcp.is_connecting() && tcp.has_socket());
            assert_eq!(ended(event_loop, request).is_ok(), connects);
            assert!(!tcp.is_connecting());
            assert_eq!(tcp.has_socket(), connects);
        }
        let closing = Tcp::new(event_loop);
        closing.connect(addr);
        closing.close();
        assert!(!closing.is_connecting() && !closing.has_socket());
    });
}

/// TC-13: a successful connect is reported once, by the callback and not inside the call, before any data.
#[test]
fn a_connect_is_reported_once_before_any_data() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr).then(journal.result("connect"));
        let noted = journal.clone();
        tcp.read_start(move |tcp, chunk| {
            noted.note(format!("read {:?}", chunk.unwrap().map(String::from_utf8_lossy)));
            tcp.close();
        })
        .unwrap();
        // The connection exists already, and so does its data, before the loop has a look at either.
        listener.accept().unwrap().0.write_all(b"hello").unwrap();
        assert_eq!(journal.entries(), [""; 0]);
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "read Some(\"hello\")"]);
    });
}

/// TC-11: after a failed connect the handle is open, without a socket, and can bind and connect again.
#[test]
fn a_handle_can_connect_again_after_a_failure() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let tcp = bound(event_loop, "127.0.0.1:0");
        assert!(ended(event_loop, tcp.connect(refusing_addr())).is_err());
        assert!(!tcp.is_closing() && !tcp.is_active());
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        assert_eq!(misuse(tcp.read_start(|_, _| {})), Misuse::NotConnected);
        tcp.bind("127.0.0.1:0").unwrap();
        ended(event_loop, tcp.connect(addr)).unwrap();
        assert!(tcp.is_writable());
    });
}

/// RD-26: a read that was started during a connect hears how that failed, after the connect's own callback; in that
/// callback already it is over and can be started anew.
#[test]
fn a_reader_hears_how_the_connect_failed_that_it_waited_for() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        let journal = Journal::new();
        let (again, first, end) = (tcp.clone(), journal.clone(), expect(1));
        tcp.connect(refusing_addr()).then(move |refused| {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            assert!(!again.is_active());
            first.note("connect");
            again.connect(addr);
            let started = again.read_start(move |tcp, chunk| {
                end.hit();
                assert_eq!(chunk.unwrap(), None);
                tcp.close();
            });
            started.unwrap();
        });
        let (told, told_once) = (journal.clone(), expect(1));
        tcp.read_start(move |_, chunk| {
            told_once.hit();
            assert_eq!(chunk.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            told.note("reader");
        })
        .unwrap();
        drop(tcp);
        turn_until(event_loop, || journal.entries().len() == 2);
        journal.assert_is(&["connect", "reader"]);
        drop(listener.accept().unwrap());
    });
}

/// RD-26, RD-13: a reader that was stopped, or whose handle was closed, by the connect's callback hears nothing, and its
/// closure is dropped.
#[test]
fn a_reader_that_was_stopped_does_not_hear_of_the_connect() {
    for close in [false, true] {
        let drops = Drops::new();
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            let (own, token) = (tcp.clone(), drops.token());
            tcp.connect(refusing_addr()).then(move |refused| {
                assert!(refused.is_err());
                if close { drop(own.close()) } else { own.read_stop() }
            });
            let started = tcp.read_start(move |_, _| {
                token.keep();
                panic!("it was stopped");
            });
            started.unwrap();
        });
        assert_eq!(drops.count(), 1);
    }
}

/// RD-26, RD-13: a second connect fails before the reader of the first has heard how that did. Each of the readers hears of
/// its own, in order; once reading is stopped, neither does.
#[test]
fn each_reader_hears_how_its_own_connect_failed() {
    for stop in [false, true] {
        let (journal, drops) = (Journal::new(), Drops::new());
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            let reader = |what: &'static str| {
                let (journal, token) = (journal.clone(), drops.token());
                move |_: &Tcp, chunk: io::Result<Option<&[u8]>>| {
                    token.keep();
                    let err = chunk.unwrap_err();
                    let end = if is_canceled(&err) { "canceled" } else { "refused" };
                    journal.note(format!("{what}: {end}"));
                }
            };
            let (again, second) = (tcp.clone(), reader("second"));
            tcp.connect(refusing_addr()).then(move |refused| {
                assert!(refused.is_err());
                let connect = again.connect(refusing_addr());
                again.read_start(second).unwrap();
                assert!(connect.cancel());
                if stop {
                    again.read_stop();
                }
            });
            tcp.read_start(reader("first")).unwrap();
        });
        journal.assert_is(if stop { &[] } else { &["first: refused", "second: canceled"] });
        assert_eq!(drops.count(), 2);
    }
}

/// TC-12: what can be known at once: a connect under way, a connection, a listener, an address that is none, no route.
#[test]
fn a_connect_that_cannot_be_is_over_with_the_call() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let connecting = Tcp::new(event_loop);
        let first = connecting.connect(addr);
        let listening = Tcp::new(event_loop);
        listening.listen_only(1).unwrap();
        let closing = Tcp::new(event_loop);
        closing.close();
        let connected = connected_pair(event_loop);
        for (tcp, to, expected, name) in [
            (&connecting, addr.to_string(), Misuse::AlreadyConnecting, "EALREADY"),
            (&connected.0, addr.to_string(), Misuse::AlreadyConnected, "EISCONN"),
            (&listening, addr.to_string(), Misuse::AlreadyConnected, "EISCONN"),
            (&closing, addr.to_string(), Misuse::Closing, "EINVAL"),
            (&Tcp::new(event_loop), "localhost:80".to_string(), Misuse::BadAddress, "EINVAL"),
        ] {
            for request in [tcp.connect(&to), tcp.connect_timeout(&to, Duration::ZERO)] {
                assert!(request.is_finished());
                let misuse = misuse(ended(event_loop, request));
                assert_eq!((misuse, misuse.name()), (expected, name));
            }
        }
        // None of this disturbed the first connect.
        ended(event_loop, first).unwrap();
    });
}

/// A connect that was a mistake changes nothing: the handle keeps its address.
#[test]
fn a_connect_to_no_address_leaves_the_handle_bound() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let tcp = bound(event_loop, "127.0.0.1:0");
        let own = tcp.local_addr().unwrap();
        assert_eq!(misuse(ended(event_loop, tcp.connect("nowhere"))), Misuse::BadAddress);
        assert_eq!(tcp.local_addr().unwrap(), own);
        ended(event_loop, tcp.connect_timeout(addr, Duration::MAX)).unwrap();
        assert_eq!(listener.accept().unwrap().1, own);
    });
}

/// TC-22: an adopted bound socket can also connect.
#[test]
fn an_adopted_bound_socket_can_connect() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        tcp.open_listener(bound_socket((Ipv4Addr::LOCALHOST, 0).into()).into()).unwrap();
        let own = tcp.local_addr().unwrap();
        ended(event_loop, tcp.connect(addr)).unwrap();
        assert_eq!(listener.accept().unwrap().1, own);
    });
}

/// TC-12: so is one without a route. (TCP has none to a broadcast address.)
#[cfg(target_os = "linux")]
#[test]
fn a_connect_without_a_route_is_over_with_the_call() {
    with_loop(|event_loop| {
        let request = Tcp::new(event_loop).connect("255.255.255.255:9");
        assert!(request.is_finished());
        let err = ended(event_loop, request).unwrap_err();
        assert_eq!(err.raw_os_error(), Some(libc::ENETUNREACH));
    });
}

/// TC-14: a close during a connect cancels it, and then calls back itself.
#[test]
fn a_close_cancels_a_connect() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr).then(journal.result("connect"));
        tcp.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect canceled", "close ok"]);
    });
}

/// TC-15: writes behind a connect that fails are cancelled, in order, after it.
#[test]
fn writes_behind_a_failed_connect_are_cancelled() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect(refusing_addr()).then(journal.result("connect"));
        tcp.write(b"one").then(journal.result("write 1"));
        tcp.write(b"two").then(journal.result("write 2"));
        assert_eq!(tcp.write_queue_size(), 6);
        event_loop.run().unwrap();
        journal.assert_is(&["connect ConnectionRefused", "write 1 canceled", "write 2 canceled"]);
        assert_eq!(tcp.write_queue_size(), 0);
    });
}

/// TC-16: they are reported before the close, too, when the connect's callback closes the handle.
#[test]
fn writes_behind_a_failed_connect_come_before_a_close_in_its_callback() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        let (client, noted) = (tcp.clone(), journal.clone());
        tcp.connect(refusing_addr()).then(move |result| {
            noted.result("connect")(result);
            client.close().then(noted.result("close"));
        });
        tcp.write(b"one").then(journal.result("write 1"));
        tcp.write(b"two").then(journal.result("write 2"));
        event_loop.run().unwrap();
        journal.assert_is(&[
            "connect ConnectionRefused",
            "write 1 canceled",
            "write 2 canceled",
            "close ok",
        ]);
    });
}

/// TC-17: the unspecified address means this host.
#[test]
fn the_unspecified_address_is_this_host() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let client = Tcp::new(event_loop);
        ended(event_loop, client.connect((Ipv4Addr::UNSPECIFIED, addr.port()))).unwrap();
        assert_eq!(client.peer_addr().unwrap(), addr);
        drop(listener);
        if has_ipv6() {
            let listener = TcpListener::bind("[::1]:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let client = Tcp::new(event_loop);
            ended(event_loop, client.connect((Ipv6Addr::UNSPECIFIED, addr.port()))).unwrap();
            assert_eq!(client.peer_addr().unwrap(), addr);
        }
    });
}

/// TC-21: a handle is readable and writable once it is connected, not before; adopted and accepted ones are at once.
#[test]
fn a_stream_is_readable_and_writable_once_connected() {
    let flags = |tcp: &Tcp| (tcp.is_readable(), tcp.is_writable());
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.listen_only(1).unwrap();
        assert_eq!(flags(&server), (false, false));
        let client = Tcp::new(event_loop);
        assert_eq!(flags(&client), (false, false));
        let addr = (Ipv4Addr::LOCALHOST, server.local_addr().unwrap().port());
        let request = client.connect(addr);
        assert_eq!(flags(&client), (false, false));
        let (connected, tcp) = (expect(1), client.clone());
        request.then(move |result| {
            connected.hit();
            result.unwrap();
            assert_eq!(flags(&tcp), (true, true));
        });
        event_loop.run().unwrap();
        assert_eq!(flags(&server.accept().unwrap()), (true, true));
        assert_eq!(flags(&connected_pair(event_loop).0), (true, true));
        client.close();
        assert_eq!(flags(&client), (false, false));
    });
}

/// A connect is active and keeps the loop running, even one of an unreferenced handle that nobody holds.
#[test]
fn a_connect_keeps_the_loop_running() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let connected = expect(1);
        let tcp = Tcp::new(event_loop);
        tcp.unref();
        tcp.connect(addr).then(move |result| {
            connected.hit();
            result.unwrap();
        });
        assert!(tcp.is_active() && event_loop.is_alive());
        drop(tcp);
        event_loop.run().unwrap();
    });
}

/// A connect can be cancelled until it is over; then the handle can connect again.
#[test]
fn a_connect_can_be_cancelled() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        let canceler = tcp.connect(addr).then(journal.result("connect"));
        tcp.write(b"waits").then(journal.result("write"));
        assert!(canceler.cancel());
        assert!(!canceler.cancel());
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        tcp.connect(addr).then(journal.result("connect again"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect canceled", "write canceled", "connect again ok"]);
    });
}

// ---- connecting in time -------------------------------------------------------------------------------------------

/// TC-26: a connect that takes longer than its limit ends once, as timed out; the socket is gone, the handle usable.
#[cfg(target_os = "linux")]
#[test]
fn a_connect_gives_up_at_its_limit() {
    with_virtual_loop(|event_loop| {
        let silent = support::unanswering();
        let limit = Duration::from_secs(3600);
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect_timeout(silent.addr, limit).then(journal.result("connect"));
        tcp.write(b"waits").then(journal.result("write"));
        assert!(tcp.fileno().is_ok());
        event_loop.run().unwrap();
        journal.assert_is(&["connect TimedOut", "write canceled"]);
        assert_eq!(event_loop.now(), limit);
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        assert!(!tcp.is_closing() && !tcp.is_active());

        let (_listener, addr) = std_listener();
        ended(event_loop, tcp.connect(addr)).unwrap();
    });
}

/// TC-26: a limit that is not reached is forgotten: it does not hold the loop, and ends nothing later.
#[test]
fn a_limit_that_is_not_reached_is_forgotten() {
    with_virtual_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let limit = Duration::from_secs(1);
        let tcp = Tcp::new(event_loop);
        tcp.connect_timeout(addr, limit);
        let refused = Tcp::new(event_loop).connect_timeout(refusing_addr(), limit);
        assert_eq!(
            ended(event_loop, refused).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        event_loop.run().unwrap();
        assert_eq!(event_loop.now(), Duration::ZERO);
        let later = expect(1);
        luvio::Timer::after(event_loop, limit * 2, move |_| {
            later.hit();
        });
        event_loop.run().unwrap();
        assert!(tcp.is_writable());
    });
}

/// TC-26: a close or a cancellation before the limit is what the connect ends with.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_ends_with_its_connect() {
    with_virtual_loop(|event_loop| {
        let silent = support::unanswering();
        let limit = Duration::from_secs(1);
        let journal = Journal::new();
        let (closed, cancelled) = (Tcp::new(event_loop), Tcp::new(event_loop));
        closed.connect_timeout(silent.addr, limit).then(journal.result("closed"));
        let connect = cancelled.connect_timeout(silent.addr, limit);
        let canceler = connect.then(journal.result("cancelled"));
        assert!(canceler.cancel());
        closed.close();
        cancelled.connect_timeout(silent.addr, limit * 2).then(journal.result("second"));
        event_loop.run().unwrap();
        journal.assert_is(&["cancelled canceled", "closed canceled", "second TimedOut"]);
        assert_eq!(event_loop.now(), limit * 2);
    });
}

/// TC-26: nothing of a connect that ran out of time stays open.
#[cfg(target_os = "linux")]
#[test]
fn a_connect_out_of_time_gives_its_descriptor_back() {
    // In a process of its own, since the other tests open and close descriptors, too.
    if !support::is_child() {
        let _watchdog = support::watchdog();
        let status = support::child("a_connect_out_of_time_gives_its_descriptor_back", "").status();
        return assert!(status.unwrap().success());
    }
    with_virtual_loop(|event_loop| {
        let silent = support::unanswering();
        let tcp = Tcp::new(event_loop);
        let before = support::open_descriptors();
        for _ in 0..3 {
            let request = tcp.connect_timeout(silent.addr, Duration::from_secs(1));
            assert_eq!(support::open_descriptors(), before + 1);
            assert_eq!(ended(event_loop, request).unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(support::open_descriptors(), before);
        }
    });
}

// ---- options ------------------------------------------------------------------------------------------------------

const IDLE: Duration = Duration::from_secs(77);

/// TC-19: no delay and keep-alive, set before there is a socket, are there when it is, however it comes.
#[test]
fn options_are_remembered_until_there_is_a_socket() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let make: [fn(&Tcp, SocketAddr); 5] = [
            |tcp, addr| drop(tcp.connect(addr)),
            |tcp, addr| {
                tcp.bind("127.0.0.1:0").unwrap();
                tcp.connect(addr);
            },
            |tcp, _| tcp.listen_only(1).unwrap(),
            |tcp, addr| tcp.open(TcpStream::connect(addr).unwrap()).unwrap(),
            |tcp, _| tcp.open_listener(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap(),
        ];
        for (way, make) in make.into_iter().enumerate() {
            let tcp = Tcp::new(event_loop);
            tcp.set_nodelay(true).unwrap();
            tcp.set_keepalive(Some(IDLE)).unwrap();
            make(&tcp, addr);
            assert!(option(&tcp, |socket| socket.tcp_nodelay()), "way {way}");
            assert!(option(&tcp, |socket| socket.keepalive()), "way {way}");
            #[cfg(target_os = "linux")]
            assert_eq!(option(&tcp, |socket| socket.tcp_keepalive_time()), IDLE, "way {way}");
        }
    });
}

/// TC-19: what was said last is what counts, whether there was a socket then or not.
#[test]
fn the_last_word_about_an_option_counts() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        tcp.set_nodelay(true).unwrap();
        tcp.set_keepalive(Some(IDLE)).unwrap();
        tcp.bind("127.0.0.1:0").unwrap();
        tcp.set_nodelay(false).unwrap();
        tcp.set_keepalive(None).unwrap();
        for addr in [refusing_addr(), addr] {
            let request = tcp.connect(addr);
            assert!(!option(&tcp, |socket| socket.tcp_nodelay()));
            assert!(!option(&tcp, |socket| socket.keepalive()));
            if ended(event_loop, request).is_err() {
                tcp.bind("127.0.0.1:0").unwrap();
            }
        }
    });
}

/// Options of a connected socket are set at once.
#[test]
fn options_of_a_socket_are_set_at_once() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        for tcp in [client, server] {
            for on in [true, false] {
                tcp.set_nodelay(on).unwrap();
                assert_eq!(option(&tcp, |socket| socket.tcp_nodelay()), on);
                tcp.set_keepalive(on.then_some(IDLE)).unwrap();
                assert_eq!(option(&tcp, |socket| socket.keepalive()), on);
            }
            tcp.set_keepalive_with(IDLE, Duration::from_secs(5), 4).unwrap();
            #[cfg(target_os = "linux")]
            {
                assert_eq!(option(&tcp, |socket| socket.tcp_keepalive_time()), IDLE);
                assert_eq!(
                    option(&tcp, |socket| socket.tcp_keepalive_interval()),
                    Duration::from_secs(5)
                );
                assert_eq!(option(&tcp, |socket| socket.tcp_keepalive_retries()), 4);
            }
            tcp.close();
            assert_eq!(misuse(tcp.set_nodelay(true)), Misuse::Closing);
            assert_eq!(misuse(tcp.set_keepalive(None)), Misuse::Closing);
        }
    });
}

/// H-22: the sizes of the socket's buffers can be asked for and set, of whatever socket there is; without one they cannot.
#[test]
fn buffer_sizes_belong_to_the_socket() {
    with_loop(|event_loop| {
        let listening = Tcp::new(event_loop);
        listening.listen_only(1).unwrap();
        let (connected, _peer) = connected_pair(event_loop);
        for tcp in [bound(event_loop, "127.0.0.1:0"), listening, connected] {
            tcp.set_send_buffer_size(32_000).unwrap();
            tcp.set_recv_buffer_size(48_000).unwrap();
            let sizes = [tcp.send_buffer_size().unwrap(), tcp.recv_buffer_size().unwrap()];
            // Linux doubles them, for its own needs, and says so.
            let factor = if cfg!(target_os = "linux") { 2 } else { 1 };
            assert_eq!(sizes, [32_000 * factor, 48_000 * factor]);
            // More than there may be is as much as there may be.
            tcp.set_send_buffer_size(usize::MAX).unwrap();
            assert!(tcp.send_buffer_size().unwrap() > 32_000 * factor);
            tcp.close();
            assert_eq!(misuse(tcp.set_recv_buffer_size(1)), Misuse::Closing);
            assert_eq!(misuse(tcp.recv_buffer_size()), Misuse::NoSocket);
        }
        let nothing = Tcp::new(event_loop);
        let refused = [
            nothing.send_buffer_size().map(drop),
            nothing.recv_buffer_size().map(drop),
            nothing.set_send_buffer_size(32_000),
            nothing.set_recv_buffer_size(32_000),
        ];
        for result in refused {
            let misuse = misuse(result);
            assert_eq!((misuse, misuse.name()), (Misuse::NoSocket, "EBADF"));
        }
    });
}

/// TC-19, TC-20: keep-alive with a zero time, interval or count is refused, with a socket and before there is one.
#[test]
fn keep_alive_without_a_time_is_refused() {
    with_loop(|event_loop| {
        let second = Duration::from_secs(1);
        for tcp in [Tcp::new(event_loop), accepted_pair(event_loop).0] {
            let refused = [
                tcp.set_keepalive(Some(Duration::ZERO)),
                tcp.set_keepalive_with(Duration::ZERO, second, 1),
                tcp.set_keepalive_with(second, Duration::ZERO, 1),
                tcp.set_keepalive_with(second, second, 0),
            ];
            for result in refused {
                let misuse = misuse(result);
                assert_eq!((misuse, misuse.name()), (Misuse::ZeroKeepAlive, "EINVAL"));
            }
            tcp.set_keepalive_with(second, second, 1).unwrap();
            tcp.set_keepalive(None).unwrap();
        }
    });
}

// ---- adopted sockets ----------------------------------------------------------------------------------------------

/// TC-22: an adopted connection can be used at once.
#[test]
fn an_adopted_connection_can_be_used_at_once() {
    with_loop(|event_loop| {
        let (here, mut there) = std_pair();
        let descriptor = here.as_raw_fd();
        there.write_all(b"early").unwrap();
        let tcp = Tcp::new(event_loop);
        tcp.open(here).unwrap();
        assert_eq!(tcp.fileno().unwrap(), descriptor);
        assert_eq!(tcp.peer_addr().unwrap(), there.local_addr().unwrap());
        tcp.write(b"hello");
        let read = expect(1);
        tcp.read_start(move |tcp, chunk| {
            read.hit();
            assert_eq!(chunk.unwrap(), Some(&b"early"[..]));
            tcp.close();
        })
        .unwrap();
        event_loop.run().unwrap();
        let mut received = String::new();
        there.read_to_string(&mut received).unwrap();
        assert_eq!(received, "hello");
    });
}

/// TC-22: an adopted socket that is bound can listen, whether it listened before or not.
#[test]
fn an_adopted_bound_socket_can_listen() {
    with_loop(|event_loop| {
        let quiet = bound_socket((Ipv4Addr::LOCALHOST, 0).into());
        for adopted in [std_listener().0, TcpListener::from(quiet)] {
            let addr = adopted.local_addr().unwrap();
            let server = Tcp::new(event_loop);
            server.open_listener(adopted).unwrap();
            assert_eq!(server.local_addr().unwrap(), addr);
            let announced = expect(1);
            server
                .listen(8, move |server, incoming| {
                    announced.hit();
                    incoming.unwrap();
                    server.accept().unwrap();
                    server.close();
                })
                .unwrap();
            let client = TcpStream::connect(addr).unwrap();
            event_loop.run().unwrap();
            drop(client);
        }
    });
}

/// TC-22: connections that arrived before the adoption are announced.
#[test]
fn an_adopted_listener_serves_who_came_before() {
    with_loop(|event_loop| {
        let (listener, addr) = std_listener();
        let _early = TcpStream::connect(addr).unwrap();
        let server = Tcp::new(event_loop);
        server.open_listener(listener).unwrap();
        listen_for_one(&server);
    });
}

/// TC-23: a handle with a socket adopts no other; the one that it has stays.
#[test]
fn a_handle_with_a_socket_adopts_no_other() {
    with_loop(|event_loop| {
        let listening = Tcp::new(event_loop);
        listening.listen_only(1).unwrap();
        let connecting = Tcp::new(event_loop);
        connecting.connect(refusing_addr());
        let tcps =
            [bound(event_loop, "127.0.0.1:0"), listening, connecting, connected_pair(event_loop).0];
        for tcp in tcps {
            let (descriptor, addr) = (tcp.fileno().unwrap(), tcp.local_addr().unwrap());
            for result in [open(&tcp), open_listener(&tcp)] {
                let misuse = misuse(result);
                assert_eq!((misuse, misuse.name()), (Misuse::HasSocket, "EBUSY"));
            }
            assert_eq!((tcp.fileno().unwrap(), tcp.local_addr().unwrap()), (descriptor, addr));
        }
        let closing = Tcp::new(event_loop);
        closing.close();
        assert_eq!(misuse(open(&closing)), Misuse::Closing);
        assert_eq!(misuse(open_listener(&closing)), Misuse::Closing);
    });
}

/// TC-23: adoption makes the socket non-blocking.
#[test]
fn adoption_makes_a_socket_non_blocking() {
    with_loop(|event_loop| {
        let (here, _there) = std_pair();
        let mut duplicate = here.try_clone().unwrap();
        let tcp = Tcp::new(event_loop);
        tcp.open(here).unwrap();
        assert_eq!(duplicate.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let (listener, _) = std_listener();
        let duplicate = listener.try_clone().unwrap();
        let server = Tcp::new(event_loop);
        server.open_listener(listener).unwrap();
        assert_eq!(duplicate.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

/// A duplicate of an adopted socket that outlives the handle brings no event to the loop.
#[test]
fn a_duplicate_that_outlives_the_handle_brings_no_event() {
    with_loop(|event_loop| {
        let (here, mut there) = std_pair();
        let mut duplicate = here.try_clone().unwrap();
        let tcp = Tcp::new(event_loop);
        tcp.open(here).unwrap();
        tcp.read_start(|_, _| panic!("read after the close")).unwrap();
        tcp.close();
        event_loop.run().unwrap();
        // Gets the slot of the first, and an event of the first would be taken for its own.
        let (second, _peer) = connected_pair(event_loop);
        second.read_start(|_, _| panic!("read what another socket got")).unwrap();
        there.write_all(b"hello").unwrap();
        event_loop.run_mode(RunMode::NoWait).unwrap();
        second.close();
        duplicate.set_nonblocking(false).unwrap();
        duplicate.read_exact(&mut [0; 5]).unwrap();
    });
}

// ---- the descriptor -----------------------------------------------------------------------------------------------

/// The descriptor is there from bind to close, and the same in `fileno` and `with_fd`.
#[test]
fn the_descriptor_is_lent_for_the_time_of_a_call() {
    with_loop(|event_loop| {
        for tcp in [bound(event_loop, "127.0.0.1:0"), accepted_pair(event_loop).0] {
            let descriptor = tcp.fileno().unwrap();
            assert_eq!(tcp.with_fd(|fd| fd.as_raw_fd()).unwrap(), descriptor);
            tcp.close();
            assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
            assert_eq!(misuse(tcp.with_fd(|_| panic!("there is none"))), Misuse::NoSocket);
        }
    });
}

/// While the descriptor is lent, the handle may be used, and even be closed: the descriptor goes when the loan ends.
#[test]
fn a_handle_may_be_closed_while_its_descriptor_is_lent() {
    with_loop(|event_loop| {
        let listening = Tcp::new(event_loop);
        listening.listen_only(1).unwrap();
        let (connected, mut peer) = connected_pair(event_loop);
        for tcp in [bound(event_loop, "127.0.0.1:0"), listening, connected] {
            tcp.with_fd(|fd| {
                tcp.close();
                SockRef::from(&fd).local_addr().expect("the descriptor is still open");
                assert_eq!(misuse(tcp.with_fd(|_| ())), Misuse::NoSocket);
            })
            .unwrap();
        }
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

/// The descriptor goes, too, when the loan ends by a panic.
#[test]
fn a_closed_handle_gives_its_descriptor_back_when_the_loan_panics() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let loan = AssertUnwindSafe(|| {
            tcp.with_fd(|_| {
                tcp.close();
                panic!("in the loan")
            })
        });
        assert!(catch_unwind(loan).is_err());
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

/// As long as the descriptor of a connect that was cancelled is lent, there cannot be another socket.
#[test]
fn a_handle_gets_no_other_socket_while_its_descriptor_is_lent() {
    with_loop(|event_loop| {
        let (_listener, addr) = std_listener();
        let tcp = Tcp::new(event_loop);
        let canceler = tcp.connect(addr).then(|result| assert!(is_canceled(&result.unwrap_err())));
        let again = tcp
            .with_fd(|_| {
                assert!(canceler.cancel());
                assert_eq!(misuse(open(&tcp)), Misuse::HasSocket);
                tcp.connect(addr)
            })
            .unwrap();
        assert_eq!(misuse(ended(event_loop, again)), Misuse::HasSocket);
        ended(event_loop, tcp.connect(addr)).unwrap();
    });
}

/// A bound socket may start to listen, or to connect, while its descriptor is lent.
#[test]
fn a_socket_may_change_its_role_while_its_descriptor_is_lent() {
    with_loop(|event_loop| {
        let server = bound(event_loop, "127.0.0.1:0");
        server.with_fd(|_| server.listen_only(1)).unwrap().unwrap();
        let client = bound(event_loop, "127.0.0.1:0");
        let own = client.local_addr().unwrap();
        let request = client.with_fd(|_| client.connect(server.local_addr().unwrap())).unwrap();
        ended(event_loop, request).unwrap();
        assert_eq!(server.accept().unwrap().peer_addr().unwrap(), own);
    });
}

/// On a loop that is gone a handle has no socket and gets none.
#[test]
fn a_handle_without_a_loop_gets_no_socket() {
    let _watchdog = support::watchdog();
    let event_loop = Loop::new().unwrap();
    let (old, _peer) = connected_pair(&event_loop);
    let handle = event_loop.handle().clone();
    drop(event_loop);
    for tcp in [old, Tcp::new(&handle)] {
        assert!(tcp.is_closing());
        assert_eq!(misuse(tcp.bind("127.0.0.1:0")), Misuse::LoopGone);
        assert_eq!(misuse(tcp.listen_only(1)), Misuse::LoopGone);
        assert_eq!(misuse(open(&tcp)), Misuse::LoopGone);
        assert_eq!(misuse(open_listener(&tcp)), Misuse::LoopGone);
        assert_eq!(misuse(tcp.set_nodelay(true)), Misuse::LoopGone);
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        assert!(tcp.connect("127.0.0.1:1").is_finished());
    }
}
