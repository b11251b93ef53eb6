//! Listeners: announcing, accepting, sharing a port, running out of descriptors. Statements LA of the behaviour chapter.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use luvio::{Check, Loop, Misuse, Remote, RunMode, Tcp, Timer};
use socket2::SockRef;
use support::{
    Drops, Journal, accepted_pair, connected_pair, expect, listen_for_one, listening, misuse,
    ready, refusing_addr, watchdog, with_built_loop, with_loop, with_virtual_loop,
};

/// A bound handle and its address.
fn bound(event_loop: &Loop) -> (Tcp, SocketAddr) {
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    (server, addr)
}

/// Clients whose connections wait in the backlog.
fn clients(addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = || {
        let client = TcpStream::connect(addr).unwrap();
        client.set_read_timeout(Some(support::DEADLINE / 2)).unwrap();
        client
    };
    (0..count).map(|_| connect()).collect()
}

/// True if the server has closed the connection without a word.
fn was_turned_away(client: &mut TcpStream) -> bool {
    match client.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(err) => err.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// Runs the loop for some turns that do not sleep: enough for everything that is ready.
fn run_what_is_ready(event_loop: &Loop) {
    for _ in 0..10 {
        event_loop.run_mode(RunMode::NoWait).unwrap();
    }
}

// ---- listening ----------------------------------------------------------------------------------------------------

/// LA-01: a handle that was not bound listens on a free port.
#[test]
fn a_handle_that_was_not_bound_listens_on_a_free_port() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        listen_for_one(&server);
        let port = server.local_addr().unwrap().port();
        assert_ne!(port, 0);
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        event_loop.run().unwrap();
        drop(client);
    });
}

/// LA-01, TC-03: a bind that failed and was ignored opens no port on all addresses: nothing listens until a bind succeeds.
#[test]
fn a_handle_whose_bind_failed_does_not_listen() {
    with_loop(|event_loop| {
        let (_first, taken) = listening(event_loop);
        for bad in ["no address".to_string(), taken.to_string(), "192.0.2.1:0".to_string()] {
            let server = Tcp::new(event_loop);
            server.bind(&bad).unwrap_err();
            let refused = [
                server.listen(128, |_, _| panic!("nobody can come")),
                server.listen_only(128),
                ready(server.accept_next()).map(drop),
            ];
            for result in refused {
                let misuse = misuse(result);
                assert_eq!((misuse, misuse.name()), (Misuse::NotBound, "EINVAL"), "{bad}");
            }
            assert_eq!(misuse(server.local_addr()), Misuse::NoSocket);

            server.bind(&bad).unwrap_err();
            server.bind("127.0.0.1:0").unwrap();
            server.bind("127.0.0.1:0").unwrap_err(); // it has one, which stays
            listen_for_one(&server);
            let client = clients(server.local_addr().unwrap(), 1);
            event_loop.run().unwrap();
            drop(client);
        }
    });
}

/// LA-01, TC-11: an address that went with a connect that failed is not replaced in silence by all of this machine's.
#[test]
fn a_handle_that_lost_its_address_does_not_listen() {
    with_loop(|event_loop| {
        let tcp = bound(event_loop).0;
        event_loop.block_on(tcp.connect(refusing_addr())).unwrap().unwrap_err();
        assert_eq!(misuse(tcp.listen_only(1)), Misuse::NotBound);
        tcp.open_listener(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        tcp.listen_only(1).unwrap();
    });
}

/// LA-02: to listen again is an error, and the first callback stays.
#[test]
fn a_listener_cannot_listen_again() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        listen_for_one(&server);
        let again = [server.listen(1, |_, _| panic!("the first one stays")), server.listen_only(1)];
        for result in again {
            let misuse = misuse(result);
            assert_eq!((misuse, misuse.name()), (Misuse::AlreadyListening, "EALREADY"));
        }
        let quiet = listening(event_loop).0;
        assert_eq!(misuse(quiet.listen(1, |_, _| {})), Misuse::AlreadyListening);
        let client = clients(addr, 1);
        event_loop.run().unwrap();
        drop(client);
    });
}

/// LA-16: a listener cannot connect; a handle that is connected, connecting or closing cannot listen.
#[test]
fn a_handle_is_a_listener_or_a_connection() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let refused = expect(1);
        server.connect(addr).then(move |result| {
            refused.hit();
            assert_eq!(misuse(result), Misuse::AlreadyConnected);
        });
        let connecting = Tcp::new(event_loop);
        connecting.connect(addr);
        assert_eq!(misuse(connecting.listen_only(1)), Misuse::AlreadyConnected);
        for tcp in <[Tcp; 2]>::from(accepted_pair(event_loop)) {
            assert_eq!(misuse(tcp.listen(1, |_, _| {})), Misuse::AlreadyConnected);
            assert!(tcp.is_writable());
        }
        server.close();
        assert_eq!(misuse(server.listen_only(1)), Misuse::Closing);
    });
}

/// LA-15: a listener with a callback is active and holds the loop; unreferenced, it does not.
#[test]
fn an_unreferenced_listener_does_not_hold_the_loop() {
    with_loop(|event_loop| {
        let (server, _) = bound(event_loop);
        assert!(!server.is_active());
        server.listen(8, |_, _| panic!("nobody came")).unwrap();
        assert!(server.is_active() && event_loop.is_alive());
        server.unref();
        assert!(server.is_active() && !event_loop.is_alive());
        event_loop.run().unwrap();
        server.close();
    });
}

/// A listener with a callback lives although nobody holds it; one without is closed with its last clone.
#[test]
fn a_listener_lives_as_long_as_it_has_somebody_to_call() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        listen_for_one(&server);
        drop(server);
        let client = clients(addr, 1);
        event_loop.run().unwrap();
        drop(client);

        let (quiet, addr) = listening(event_loop);
        assert!(!quiet.is_active() && !event_loop.is_alive());
        drop(quiet);
        let err = TcpStream::connect(addr).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// The backlog is how many connections the system keeps waiting. (Linux keeps one more.)
#[cfg(target_os = "linux")]
#[test]
fn the_backlog_is_what_the_system_keeps_waiting() {
    with_virtual_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        server.listen_only(1).unwrap();
        let journal = Journal::new();
        let limit = Duration::from_secs(3600);
        let tcps: Vec<_> = (0..3).map(|_| Tcp::new(event_loop)).collect();
        for tcp in &tcps {
            tcp.connect_timeout(addr, limit).then(journal.result("connect"));
        }
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "connect ok", "connect TimedOut"]);
        drop((tcps, server));

        // As much as the system allows.
        bound(event_loop).0.listen_only(u32::MAX).unwrap();
    });
}

// ---- accepting ----------------------------------------------------------------------------------------------------

/// LA-03: each connection is announced once.
#[test]
fn each_connection_is_announced_once() {
    const CLIENTS: usize = 20;
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let announced = expect(CLIENTS);
        server
            .listen(128, move |server, incoming| {
                incoming.unwrap();
                server.accept().unwrap();
                if announced.hit() == CLIENTS {
                    // Not at once: one announcement too many would come in this turn.
                    let server = server.clone();
                    server.clone().event_loop().defer(move |_| drop(server.close()));
                }
            })
            .unwrap();
        // Some before the loop runs, some meanwhile.
        let early = clients(addr, CLIENTS / 2);
        let late = thread::spawn(move || clients(addr, CLIENTS / 2));
        event_loop.run().unwrap();
        drop((early, late.join().unwrap()));
    });
}

/// LA-04: in the callback the first accept succeeds, and a second one would block.
#[test]
fn an_announcement_is_good_for_one_accept() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let announced = expect(2);
        server
            .listen(8, move |server, incoming| {
                incoming.unwrap();
                server.accept().unwrap();
                assert_eq!(server.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
                if announced.hit() == 2 {
                    server.close();
                }
            })
            .unwrap();
        assert_eq!(server.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let clients = clients(addr, 2);
        event_loop.run().unwrap();
        drop(clients);
    });
}

/// LA-05, LA-06: until a connection is accepted no other is announced, however long that takes; then the next one is.
#[test]
fn the_next_connection_is_announced_after_a_late_accept() {
    const CLIENTS: usize = 3;
    with_virtual_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let announced = expect(CLIENTS);
        let count = announced.clone();
        server
            .listen(8, move |_, incoming| {
                count.hit();
                incoming.unwrap();
            })
            .unwrap();
        let clients = clients(addr, CLIENTS);
        let mut accepted = Vec::new();
        let minute = Duration::from_secs(60);
        let late = Timer::new(event_loop);
        late.start(minute, minute, move |timer| {
            assert_eq!(announced.hits(), accepted.len() + 1);
            accepted.push(server.accept().unwrap().peer_addr().unwrap());
            assert_eq!(server.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            if accepted.len() == CLIENTS {
                timer.close();
                server.close();
            }
        })
        .unwrap();
        event_loop.run().unwrap();
        drop(clients);
    });
}

/// Without a callback connections wait until accept is called, which would block if there is none.
#[test]
fn accept_works_without_a_callback() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        assert_eq!(server.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let clients = clients(addr, 2);
        for client in &clients {
            let accepted = server.accept().unwrap();
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
        }
        assert_eq!(server.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

/// Only an open listener can accept.
#[test]
fn accept_needs_a_listener() {
    with_loop(|event_loop| {
        let (server, _) = listening(event_loop);
        server.close();
        assert_eq!(misuse(server.accept()), Misuse::Closing);
        for tcp in [Tcp::new(event_loop), bound(event_loop).0, accepted_pair(event_loop).0] {
            assert_eq!(misuse(tcp.accept()), Misuse::NotListening);
        }
    });
}

/// LA-07: a close turns away the connection that was announced and those that wait.
#[test]
fn a_close_turns_away_who_was_not_accepted() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let announced = expect(1);
        server
            .listen(8, move |server, incoming| {
                announced.hit();
                incoming.unwrap();
                let server = server.clone();
                server.clone().event_loop().defer(move |_| drop(server.close()));
            })
            .unwrap();
        let mut clients = clients(addr, 3);
        event_loop.run().unwrap();
        assert!(clients.iter_mut().all(was_turned_away));
    });
}

/// LA-08: accept makes a new handle each time, so that it cannot meet one with a socket.
#[test]
fn accept_makes_a_new_handle_each_time() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let clients = clients(addr, 2);
        let accepted = [server.accept().unwrap(), server.accept().unwrap()];
        assert_ne!(accepted[0].fileno().unwrap(), accepted[1].fileno().unwrap());
        let mut handles = 0;
        event_loop.walk(|_| handles += 1);
        assert_eq!(handles, 1 + accepted.len());
        drop(clients);
    });
}

/// LA-09: an accepted handle is readable and writable; it is not reading, and so not active.
#[test]
fn an_accepted_handle_is_ready_and_at_rest() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let client = clients(addr, 1);
        let accepted = server.accept().unwrap();
        assert!(accepted.is_readable() && accepted.is_writable());
        assert!(!accepted.is_active() && accepted.has_ref() && !accepted.is_closing());
        assert!(!event_loop.is_alive());
        drop(client);
    });
}

/// LA-10: the listener may be closed in its own callback, and what it accepted lives on.
#[test]
fn accepted_connections_outlive_their_listener() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let (announced, read) = (expect(1), expect(1));
        server
            .listen(8, move |server, incoming| {
                announced.hit();
                incoming.unwrap();
                let accepted = server.accept().unwrap();
                server.close();
                let read = read.clone();
                accepted
                    .read_start(move |accepted, chunk| {
                        read.hit();
                        accepted.write(chunk.unwrap().unwrap());
                        accepted.finish();
                    })
                    .unwrap();
            })
            .unwrap();
        let mut clients = clients(addr, 2);
        clients[0].write_all(b"hello").unwrap();
        event_loop.run().unwrap();
        let mut echo = String::new();
        clients[0].read_to_string(&mut echo).unwrap();
        assert_eq!(echo, "hello");
        assert!(was_turned_away(&mut clients[1]));
    });
}

/// LA-13: a connection that is gone before it could be accepted is no error, and the next one is served.
#[test]
fn a_connection_that_is_gone_already_is_no_error() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let last_addr = Rc::new(Cell::new(None));
        let (served, wanted) = (expect(1), Rc::clone(&last_addr));
        server
            .listen(8, move |server, incoming| {
                incoming.unwrap();
                // Some systems hand out the dead ones, too.
                let peer = server.accept().unwrap().peer_addr();
                if peer.ok() == wanted.get() {
                    served.hit();
                    server.close();
                }
            })
            .unwrap();
        for client in clients(addr, 3) {
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client); // by a reset
        }
        let last = clients(addr, 1);
        last_addr.set(last[0].local_addr().ok());
        event_loop.run().unwrap();
    });
}

/// LA-13: of a client that has reset already, the address is what accept said; the system has forgotten it.
#[test]
fn accept_tells_the_address_of_a_client_that_has_reset() {
    with_loop(|event_loop| {
        let (quiet, quiet_addr) = listening(event_loop);
        let (server, addr) = bound(event_loop);
        let accepted = expect(1);
        let own = Rc::new(Cell::new(None));
        let expected = Rc::clone(&own);
        server
            .listen(8, move |server, incoming| {
                accepted.hit();
                incoming.unwrap();
                let (client, from) = server.accept_with_addr().unwrap();
                assert_eq!(Some(from), expected.get());
                assert_eq!(client.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
                server.close();
            })
            .unwrap();
        let connect_and_reset = |addr| {
            let client = clients(addr, 1).remove(0);
            let own = client.local_addr().unwrap();
            support::reset(client);
            own
        };
        own.set(Some(connect_and_reset(addr)));
        event_loop.run().unwrap();

        let own = [connect_and_reset(quiet_addr), connect_and_reset(quiet_addr)];
        let first = quiet.accept_with_addr().unwrap().1;
        let next = event_loop.block_on(quiet.accept_next_with_addr()).unwrap().unwrap().1;
        assert_eq!([first, next], own);
        assert_eq!(quiet.accept_with_addr().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

/// LA-14: of a burst each turn announces a bounded number, and all are announced in the end, in order.
#[test]
fn a_burst_is_announced_in_order_and_in_portions() {
    const CLIENTS: usize = 30;
    const PORTION: u32 = 4;
    with_built_loop(Loop::builder().accepts_per_turn(PORTION), |event_loop| {
        let (server, addr) = bound(event_loop);
        let in_this_turn = Rc::new(Cell::new(0));
        let accepted = Rc::new(RefCell::new(Vec::new()));
        let turns = Check::new(event_loop);
        let (count, list, hook) = (Rc::clone(&in_this_turn), Rc::clone(&accepted), turns.clone());
        server
            .listen(128, move |server, incoming| {
                incoming.unwrap();
                count.set(count.get() + 1);
                list.borrow_mut().push(server.accept().unwrap().peer_addr().unwrap());
                if list.borrow().len() == CLIENTS {
                    server.close();
                    hook.close();
                }
            })
            .unwrap();
        let full_turns = Rc::new(Cell::new(0));
        let full = Rc::clone(&full_turns);
        turns
            .start(move |_| {
                let announced = in_this_turn.replace(0);
                assert!(announced <= PORTION);
                full.set(full.get() + u32::from(announced == PORTION));
            })
            .unwrap();
        let clients = clients(addr, CLIENTS);
        let expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        event_loop.run().unwrap();
        assert_eq!(*accepted.borrow(), expected);
        assert_eq!(full_turns.get(), CLIENTS as u32 / PORTION);
    });
}

/// LA-19: a listener knows the connections that it accepted and that are open, others not; closed, it still does.
#[test]
fn a_listener_knows_its_connections() {
    with_loop(|event_loop| {
        let (other, other_addr) = listening(event_loop);
        let (server, addr) = listening(event_loop);
        let (_clients, _other_clients) = (clients(addr, 4), clients(other_addr, 1));
        let addresses = |tcps: Vec<Tcp>| -> Vec<_> {
            tcps.iter().map(|tcp| tcp.peer_addr().unwrap()).collect()
        };
        assert!(server.connections().is_empty());
        let mut accepted: Vec<Tcp> = (0..3).map(|_| server.accept().unwrap()).collect();
        accepted.push(event_loop.block_on(server.accept_next()).unwrap().unwrap());
        let other_client = other.accept().unwrap();
        assert_eq!(addresses(server.connections()), addresses(accepted.clone()));
        assert_eq!(addresses(other.connections()), addresses(vec![other_client.clone()]));

        accepted.remove(0).close();
        drop(accepted.remove(1));
        accepted.pop().unwrap().into_std().unwrap();
        assert_eq!(addresses(server.connections()), addresses(accepted.clone()));
        server.close();
        event_loop.run().unwrap();
        assert_eq!(addresses(server.connections()), addresses(accepted.clone()));

        for tcp in [Tcp::new(event_loop), other_client, connected_pair(event_loop).0] {
            assert!(tcp.connections().is_empty());
        }
    });
}

/// LA-19: so a server can be closed with its connections, and the loop goes on with what does not belong to it.
#[test]
fn a_server_can_be_closed_with_its_connections() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let drops = Drops::new();
        let tokens = drops.clone();
        server
            .listen(8, move |server, incoming| {
                incoming.unwrap();
                let token = tokens.token();
                server.accept().unwrap().read_start(move |_, _| token.keep()).unwrap();
            })
            .unwrap();
        let mut served = clients(addr, 3);
        while server.connections().len() < 3 {
            event_loop.run_mode(RunMode::Once).unwrap();
        }
        let (upstream, _peer) = connected_pair(event_loop);
        let connections = server.connections();
        server.close();
        for client in connections {
            client.finish();
        }
        event_loop.run().unwrap();
        assert!(served.iter_mut().all(was_turned_away));
        assert_eq!(drops.count(), 3, "nothing is left of the connections");
        assert!(upstream.is_writable());
    });
}

/// LA-17: what a listener accepts belongs to its own loop; there is no way to accept into another one.
#[test]
fn what_is_accepted_belongs_to_the_loop_of_the_listener() {
    with_loop(|other| {
        with_loop(|event_loop| {
            let (server, addr) = listening(event_loop);
            let client = Tcp::new(other);
            client.connect(addr);
            other.run().unwrap();
            let accepted = server.accept().unwrap();
            let visits = |on: &Loop| {
                let mut visits = 0;
                on.walk(|handle| {
                    let tcp = handle.as_any().downcast_ref::<Tcp>();
                    visits += usize::from(
                        tcp.and_then(|tcp| tcp.fileno().ok()) == accepted.fileno().ok(),
                    );
                });
                visits
            };
            assert_eq!((visits(event_loop), visits(other)), (1, 0));
        });
    });
}

/// LA-18: a server and its client may live on one loop; who of them hears first is not said.
#[test]
fn a_server_and_its_client_may_live_on_one_loop() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let (announced, connected, read) = (expect(1), expect(1), expect(1));
        server
            .listen(8, move |server, incoming| {
                announced.hit();
                incoming.unwrap();
                let accepted = server.accept().unwrap();
                accepted.write(b"hello");
                accepted.finish();
                server.close();
            })
            .unwrap();
        let client = Tcp::new(event_loop);
        client.connect(addr).then(move |result| {
            connected.hit();
            result.unwrap();
        });
        client
            .read_start(move |client, chunk| {
                read.hit();
                assert_eq!(chunk.unwrap(), Some(&b"hello"[..]));
                client.close();
            })
            .unwrap();
    });
}

/// A callback that panics stays, and no connection is lost: neither the one announced then nor those after it.
#[test]
fn a_listener_survives_a_panic_of_its_callback() {
    with_loop(|event_loop| {
        let (server, addr) = bound(event_loop);
        let announced = expect(3);
        let count = announced.clone();
        server
            .listen(8, move |server, incoming| {
                incoming.unwrap();
                match count.hit() {
                    1 => panic!("before the first accept"),
                    2 => {
                        server.accept().unwrap();
                        panic!("after the second")
                    }
                    _ => drop(server.accept().unwrap()),
                }
            })
            .unwrap();
        let clients = clients(addr, 3);
        let run = || catch_unwind(AssertUnwindSafe(|| run_what_is_ready(event_loop)));
        assert!(run().is_err());
        assert_eq!(announced.hits(), 1);
        assert!(run().is_ok());
        server.accept().unwrap();
        assert!(run().is_err());
        assert!(run().is_ok());
        assert_eq!(announced.hits(), 3);
        server.close();
        drop(clients);
    });
}

// ---- several loops ------------------------------------------------------------------------------------------------

/// A loop in a thread of its own that greets each client with its number. It ends when all its handles are closed.
struct Server {
    thread: thread::JoinHandle<()>,
    remote: Remote,
    addr: SocketAddr,
}

impl Server {
    fn start(number: u8, open: impl FnOnce(&Tcp) + Send + 'static) -> Server {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let event_loop = Loop::new().unwrap();
            let server = Tcp::new(&event_loop);
            open(&server);
            server
                .listen(128, move |server, incoming| {
                    incoming.unwrap();
                    let accepted = server.accept().unwrap();
                    accepted.write([number]);
                    accepted.finish();
                })
                .unwrap();
            sender.send((event_loop.remote(), server.local_addr().unwrap())).unwrap();
            event_loop.run().unwrap();
        });
        let (remote, addr) = receiver.recv().expect("the server starts");
        Server { thread, remote, addr }
    }

    fn end(self) {
        self.remote
            .post(|event_loop| event_loop.walk(|handle| drop(handle.close())))
            .expect("the loop runs");
        self.thread.join().expect("the server ends well");
    }
}

/// How many clients each of the servers greets.
fn greetings(addr: SocketAddr, servers: usize) -> Vec<usize> {
    let mut greeted = vec![0; servers];
    for mut client in clients(addr, 64) {
        let mut number = Vec::new();
        client.read_to_end(&mut number).unwrap();
        assert_eq!(number.len(), 1, "served once");
        greeted[usize::from(number[0])] += 1;
    }
    greeted
}

/// LA-03, TC-08: loops in several threads share a port; each connection is announced to one of them, and each of them
/// gets some.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[test]
fn loops_in_several_threads_share_a_port() {
    let _watchdog = watchdog();
    let open = |addr: SocketAddr| {
        move |server: &Tcp| {
            server.set_reuse_port(true).unwrap();
            server.bind(addr).unwrap();
        }
    };
    let first = Server::start(0, open((Ipv4Addr::LOCALHOST, 0).into()));
    let addr = first.addr;
    let servers = [first, Server::start(1, open(addr)), Server::start(2, open(addr))];
    assert!(servers.iter().all(|server| server.addr == addr));
    let greeted = greetings(addr, servers.len());
    assert!(greeted.iter().all(|&count| count > 0), "{greeted:?}");
    servers.into_iter().for_each(Server::end);
}

/// LA-03: loops in several threads listen on duplicates of one socket; each connection is announced to one of them.
#[test]
fn loops_in_several_threads_share_a_listening_socket() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = || {
        let duplicate = listener.try_clone().unwrap();
        move |server: &Tcp| server.open_listener(duplicate).unwrap()
    };
    let servers = [Server::start(0, open()), Server::start(1, open())];
    let greeted = greetings(servers[0].addr, servers.len());
    assert_eq!(greeted.iter().sum::<usize>(), 64);
    servers.into_iter().for_each(Server::end);
}

// ---- out of descriptors -------------------------------------------------------------------------------------------

/// Tests that use up all descriptors, each in a process of its own.
#[cfg(target_os = "linux")]
mod out_of_descriptors {
    use super::*;
    use std::fs::File;
    use std::sync::Mutex;
    use support::{child, is_child};

    /// True in a process of its own that may have few descriptors. Elsewhere it starts that process.
    fn is_alone(test: &str) -> bool {
        if !is_child() {
            let _watchdog = watchdog();
            let test = format!("out_of_descriptors::{test}");
            let output = child(&test, "ulimit -n 64").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        is_child()
    }

    /// Every descriptor that can still be had.
    fn take_all() -> Vec<File> {
        std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
    }

    /// Accepts and greets; notes shortages.
    fn greet(server: &Tcp, journal: &Journal) {
        let journal = journal.clone();
        server
            .listen(128, move |server, incoming| {
                if let Err(err) = incoming {
                    assert_eq!(err.raw_os_error(), Some(libc::EMFILE));
                    return journal.note("shortage");
                }
                journal.note("accepted");
                let accepted = server.accept().unwrap();
                accepted.write(b"!");
                // Held until the client goes.
                accepted.read_start(|accepted, _| drop(accepted.close())).unwrap();
            })
            .unwrap();
    }

    fn was_greeted(client: &mut TcpStream) -> bool {
        client.read(&mut [0]).is_ok_and(|length| length == 1)
    }

    /// LA-11, LA-12: clients that find no descriptor are turned away at once, which is reported once a burst, and the
    /// loop goes to sleep; with a descriptor to be had accepting goes on.
    #[test]
    fn clients_are_turned_away_until_there_are_descriptors_again() {
        if !is_alone("clients_are_turned_away_until_there_are_descriptors_again") {
            return;
        }
        with_loop(|event_loop| {
            let (server, addr) = bound(event_loop);
            let journal = Journal::new();
            greet(&server, &journal);
            let mut waiting = clients(addr, 6);
            let mut taken = take_all();
            taken.truncate(taken.len() - 2);
            run_what_is_ready(event_loop);
            journal.assert_is(&["accepted", "accepted", "shortage"]);
            assert!(waiting[..2].iter_mut().all(was_greeted));
            assert!(waiting[2..].iter_mut().all(was_turned_away));
            assert_eq!(event_loop.backend_timeout(), None, "nothing is left to do");

            // Another burst, another report.
            waiting.truncate(4);
            waiting.extend(clients(addr, 2));
            run_what_is_ready(event_loop);
            assert_eq!(journal.entries()[3..], ["shortage"]);
            assert!(waiting[4..].iter_mut().all(was_turned_away));

            drop(taken);
            waiting.extend(clients(addr, 2));
            run_what_is_ready(event_loop);
            assert_eq!(journal.entries()[4..], ["accepted", "accepted"]);
            assert!(waiting[6..].iter_mut().all(was_greeted));
            server.close();
        });
    }

    /// What was logged as a warning.
    static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Warnings;

    impl log::Log for Warnings {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::Level::Warn
        }

        fn log(&self, record: &log::Record<'_>) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }

        fn flush(&self) {}
    }

    fn log_warnings() {
        log::set_logger(&Warnings).expect("the only logger");
        log::set_max_level(log::LevelFilter::Warn);
    }

    fn warnings() -> usize {
        WARNINGS.lock().unwrap().len()
    }

    /// LA-11, LA-12: for a task that waits for the next connection a shortage is no error; it is logged, once a burst.
    #[test]
    fn a_shortage_is_no_error_for_a_task() {
        if !is_alone("a_shortage_is_no_error_for_a_task") {
            return;
        }
        log_warnings();
        with_loop(|event_loop| {
            let (server, addr) = listening(event_loop);
            let journal = Journal::new();
            let noted = journal.clone();
            let task = event_loop.spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    accepted.push(server.accept_next().await.unwrap());
                    noted.note("accepted");
                }
            });
            let mut waiting = clients(addr, 5);
            let mut taken = take_all();
            taken.truncate(taken.len() - 2);
            run_what_is_ready(event_loop);
            journal.assert_is(&["accepted", "accepted"]);
            assert!(waiting[2..].iter_mut().all(was_turned_away));
            assert_eq!(warnings(), 1, "{:?}", WARNINGS.lock());
            assert_eq!(event_loop.backend_timeout(), None, "nothing is left to do");

            drop(taken);
            waiting.extend(clients(addr, 1));
            run_what_is_ready(event_loop);
            assert_eq!(journal.entries().len(), 3);
            task.abort();
        });
    }

    /// Without even the spare descriptor the listener rests until a handle is closed or a while has passed; nobody who
    /// waits is lost, and the loop does not spin.
    #[test]
    fn a_listener_without_the_spare_descriptor_rests() {
        if !is_alone("a_listener_without_the_spare_descriptor_rests") {
            return;
        }
        log_warnings();
        with_virtual_loop(|event_loop| {
            let (server, addr) = bound(event_loop);
            // Listening already, so that clients can come before the loop takes its spare.
            server.with_fd(|fd| SockRef::from(&fd).listen(128)).unwrap().unwrap();
            let held = [bound(event_loop).0, bound(event_loop).0];
            let mut waiting = clients(addr, 2);
            let mut taken = take_all();
            let journal = Journal::new();
            greet(&server, &journal);
            run_what_is_ready(event_loop);
            journal.assert_is(&["shortage"]);
            assert_eq!(warnings(), 1);
            let rest = event_loop.backend_timeout().expect("until the rest is over");
            assert!(rest > Duration::ZERO);

            // Rests again and again, as long as nothing changes.
            while event_loop.now() < rest * 3 {
                event_loop.run_mode(RunMode::Once).unwrap();
            }
            journal.assert_is(&["shortage"]);
            let rests = warnings();
            assert!(rests >= 3);

            // A close wakes it, once, even if somebody else was quicker.
            held[0].close();
            taken.extend(take_all());
            run_what_is_ready(event_loop);
            assert_eq!(warnings(), rests + 1);
            held[1].close();
            run_what_is_ready(event_loop);
            journal.assert_is(&["shortage", "accepted", "shortage"]);
            assert!(was_greeted(&mut waiting[0]));

            // Nobody tells it of this one.
            taken.pop();
            let before = event_loop.now();
            while journal.entries().len() < 4 {
                event_loop.run_mode(RunMode::Once).unwrap();
            }
            assert_eq!(journal.entries()[3], "accepted");
            assert!(event_loop.now() > before);
            assert!(was_greeted(&mut waiting[1]));
            server.close();
        });
    }

    /// A spare descriptor that could not be had is taken as soon as it can: then clients are turned away again instead
    /// of being left waiting.
    #[test]
    fn the_spare_descriptor_is_taken_when_there_is_one() {
        if !is_alone("the_spare_descriptor_is_taken_when_there_is_one") {
            return;
        }
        with_virtual_loop(|event_loop| {
            let (server, addr) = bound(event_loop);
            let taken = take_all();
            let journal = Journal::new();
            greet(&server, &journal);
            drop(taken);
            let mut waiting = clients(addr, 1);
            run_what_is_ready(event_loop);
            assert!(was_greeted(&mut waiting[0]));

            waiting.extend(clients(addr, 1));
            let _taken = take_all();
            run_what_is_ready(event_loop);
            journal.assert_is(&["accepted", "shortage"]);
            assert!(was_turned_away(&mut waiting[1]));
            server.close();
        });
    }
}
