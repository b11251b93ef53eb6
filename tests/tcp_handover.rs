//! Sockets that leave a loop: for another loop, another thread, or blocking calls.

mod support;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;

use luvio::{Loop, Misuse, Refused, Tcp, is_canceled};
use support::{
    Journal, Wakes, connected_pair, connecting, expect, fill, listening, misuse, pair_with_data,
    refusing_addr, reset, std_pair, turn, with_loop,
};

/// The misuse with which something came back, and what came back.
#[track_caller]
fn refusal<S: std::fmt::Debug, T>(result: Result<S, Refused<T>>) -> (Misuse, T) {
    match result {
        Ok(taken) => panic!("it was taken: {taken:?}"),
        Err(Refused { error, value }) => (misuse::<()>(Err(error)), value),
    }
}

// ---- connections --------------------------------------------------------------------------------------------------

/// TC-28: a connection goes on in another loop, in another thread, with what had arrived and was not read; the first loop
/// hears no more of it, though it was reading.
#[test]
fn a_connection_moves_to_another_loop() {
    with_loop(|event_loop| {
        let (sender, receiver) = mpsc::channel::<TcpStream>();
        let other = thread::spawn(move || {
            let moved = receiver.recv().unwrap();
            with_loop(|event_loop| {
                let tcp = Tcp::new(event_loop);
                tcp.open(moved).unwrap();
                let read = expect(2);
                tcp.read_start(move |tcp, chunk| match (read.hit(), chunk.unwrap()) {
                    (1, data) => {
                        assert_eq!(data, Some(&b" world"[..]));
                        tcp.write(b"hello from there");
                    }
                    (_, end) => {
                        assert_eq!(end, None);
                        tcp.close();
                    }
                })
                .unwrap();
            });
        });
        let (tcp, mut peer) = pair_with_data(event_loop, b"hello");
        let descriptor = tcp.fileno().unwrap();
        let once = expect(1);
        let mut writer = peer.try_clone().unwrap();
        tcp.read_start(move |tcp, chunk| {
            once.hit();
            assert_eq!(chunk.unwrap(), Some(&b"hello"[..]));
            writer.write_all(b" world").unwrap();
            let socket = tcp.clone().into_std().unwrap();
            assert_eq!(socket.as_raw_fd(), descriptor);
            assert!(tcp.is_closing());
            sender.send(socket).unwrap();
        })
        .unwrap();
        event_loop.run().unwrap();
        let mut answer = [0; 16];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello from there");
        drop(peer);
        other.join().unwrap();
    });
}

/// TC-28: what is under way for the handle ends as with a close: clones are closing, awaits and later calls are told.
#[test]
fn a_handle_whose_socket_was_taken_is_closed() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.write(b"sent").then(journal.result("write"));
        let clone = tcp.clone();
        let wakes = Wakes::new();
        let mut read = Box::pin(clone.read_once());
        assert!(wakes.poll(&mut read).is_pending());
        let mut socket = tcp.into_std().unwrap();
        assert!(wakes.count() == 1 && clone.is_closing());
        assert!(is_canceled(&support::ready(&mut read).unwrap_err()));
        assert_eq!(misuse(clone.read_start(|_, _| {})), Misuse::Closing);
        assert_eq!(misuse(clone.fileno()), Misuse::NoSocket);
        let (refused, _) = refusal(clone.clone().into_std());
        assert_eq!(refused, Misuse::Closing);
        clone.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["write ok", "close ok"]);

        // It is a socket like any other.
        socket.set_nonblocking(false).unwrap();
        socket.write_all(b" and sent").unwrap();
        drop(socket);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "sent and sent");
    });
}

/// TC-28: the loop's selector has forgotten a socket that has left, although it is open.
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
#[test]
fn a_socket_that_has_left_brings_no_event() {
    use std::os::fd::AsFd;

    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let server = listening(event_loop).0;
        let watched = || {
            let selector = event_loop.as_fd().as_raw_fd();
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{selector}")).unwrap();
            info.lines().filter(|line| line.starts_with("tfd:")).count()
        };
        let before = watched();
        let left = (tcp.into_std().unwrap(), server.into_std_listener().unwrap());
        assert_eq!(watched(), before - 2);
        drop(left);
    });
}

/// TC-29: what would be lost stays where it is, and so does the handle: it goes on.
#[test]
fn a_connection_with_something_under_way_is_not_given_away() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let total = fill(&tcp);
        let (refused, tcp) = refusal(tcp.into_std());
        assert_eq!((refused, refused.name()), (Misuse::UnderWay, "EBUSY"));
        tcp.finish();
        let (refused, tcp) = refusal(tcp.into_std());
        assert_eq!(refused, Misuse::UnderWay);
        drop(tcp);
        let reader = thread::spawn(move || io::copy(&mut { peer }, &mut io::sink()).unwrap());
        event_loop.run().unwrap();
        assert_eq!(reader.join().unwrap(), total as u64);

        let (server, client) = connecting(event_loop);
        let (refused, client) = refusal(client.into_std());
        assert_eq!(refused, Misuse::AlreadyConnecting);
        event_loop.run().unwrap();
        assert!(client.is_writable());

        // While the descriptor is lent.
        let (refused, client) = client.clone().with_fd(|_| refusal(client.into_std())).unwrap();
        assert_eq!(refused, Misuse::UnderWay);
        client.write(b"still here");
        let mut socket = client.into_std().unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(server);
    });
}

/// TC-29: without a connection there is nothing to give away; `?` makes an `io::Error` of the refusal.
#[test]
fn only_a_connection_becomes_a_std_stream() {
    fn taken(tcp: Tcp) -> io::Result<TcpStream> {
        Ok(tcp.into_std()?)
    }
    with_loop(|event_loop| {
        let bound = Tcp::new(event_loop);
        bound.bind("127.0.0.1:0").unwrap();
        for tcp in [Tcp::new(event_loop), bound, listening(event_loop).0] {
            assert_eq!(misuse(taken(tcp)), Misuse::NotConnected);
        }
        let failed = Tcp::new(event_loop);
        event_loop.block_on(failed.connect(refusing_addr())).unwrap().unwrap_err();
        assert_eq!(refusal(failed.into_std()).0, Misuse::NotConnected);

        let (broken, peer) = connected_pair(event_loop);
        reset(peer);
        event_loop.block_on(broken.read_once()).unwrap().unwrap_err();
        assert_eq!(refusal(broken.into_std()).0, Misuse::NotConnected);
    });
}

// ---- listeners ----------------------------------------------------------------------------------------------------

/// TC-28: a listener takes along who waits in it, and a callback is called no more; one that is only bound goes, too.
#[test]
fn a_listener_moves_to_another_loop() {
    with_loop(|event_loop| {
        let (quiet, addr) = listening(event_loop);
        let with_callback = Tcp::new(event_loop);
        with_callback.bind("127.0.0.1:0").unwrap();
        let callback_addr = with_callback.local_addr().unwrap();
        with_callback.listen(8, |_, _| panic!("it has left")).unwrap();
        let bound = Tcp::new(event_loop);
        bound.bind("127.0.0.1:0").unwrap();
        let bound_addr = bound.local_addr().unwrap();
        let clients = [addr, callback_addr].map(|addr| TcpStream::connect(addr).unwrap());

        let other = Loop::new().unwrap();
        for (tcp, client) in [quiet, with_callback].into_iter().zip(clients) {
            let clone = tcp.clone();
            let moved = Tcp::new(&other);
            moved.open_listener(tcp.into_std_listener().unwrap()).unwrap();
            assert!(clone.is_closing());
            moved.listen_only(8).unwrap();
            let (_, from) = other.block_on(moved.accept_next_with_addr()).unwrap().unwrap();
            assert_eq!(from, client.local_addr().unwrap());
        }
        let moved = Tcp::new(&other);
        moved.open_listener(bound.into_std_listener().unwrap()).unwrap();
        assert_eq!(moved.local_addr().unwrap(), bound_addr);
        moved.listen_only(8).unwrap();
        drop(TcpStream::connect(bound_addr).unwrap());
    });
}

/// TC-28: a task that waits for a connection is told.
#[test]
fn who_waits_for_a_connection_hears_that_the_listener_has_left() {
    with_loop(|event_loop| {
        let (server, _) = listening(event_loop);
        let waiting = server.clone();
        let task = event_loop.spawn(async move { waiting.accept_next().await.map(drop) });
        turn(event_loop);
        let listener = server.into_std_listener().unwrap();
        assert!(is_canceled(&event_loop.block_on(task).unwrap().unwrap().unwrap_err()));
        drop(listener);
    });
}

/// TC-29: a connection that was announced is accepted first; what is no listener is none.
#[test]
fn a_listener_with_something_under_way_is_not_given_away() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        let announced = expect(1);
        server
            .listen(8, move |server, incoming| {
                announced.hit();
                incoming.unwrap();
                let (refused, server) = refusal(server.clone().into_std_listener());
                assert_eq!(refused, Misuse::UnderWay);
                server.accept().unwrap();
                server.into_std_listener().unwrap();
            })
            .unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        event_loop.run().unwrap();

        let bound = Tcp::new(event_loop);
        bound.bind("127.0.0.1:0").unwrap();
        for lent in [listening(event_loop).0, bound] {
            let clone = lent.clone();
            let (refused, lent) = clone.with_fd(|_| refusal(lent.into_std_listener())).unwrap();
            assert_eq!(refused, Misuse::UnderWay);
            lent.into_std_listener().unwrap();
        }
        let (connected, _peer) = connected_pair(event_loop);
        assert_eq!(refusal(connected.into_std_listener()).0, Misuse::NotListening);
        let nothing = Tcp::new(event_loop);
        let (refused, nothing) = refusal(nothing.into_std_listener());
        assert_eq!(refused, Misuse::NoSocket);
        nothing.close();
        assert_eq!(refusal(nothing.into_std_listener()).0, Misuse::Closing);
    });
}

// ---- adoption -----------------------------------------------------------------------------------------------------

/// TC-23: a socket that is not adopted comes back, open, as it was.
#[test]
fn a_socket_that_is_refused_comes_back() {
    with_loop(|event_loop| {
        let closing = Tcp::new(event_loop);
        closing.close();
        let (connected, _peer) = connected_pair(event_loop);
        for (tcp, expected) in [(connected, Misuse::HasSocket), (closing, Misuse::Closing)] {
            let (here, mut there) = std_pair();
            let (refused, mut here) = refusal(tcp.open(here));
            assert_eq!(refused, expected);
            there.write_all(b"x").unwrap();
            here.read_exact(&mut [0]).unwrap();

            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (refused, listener) = refusal(tcp.open_listener(listener));
            assert_eq!(refused, expected);
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            listener.accept().unwrap();
        }
    });
}
