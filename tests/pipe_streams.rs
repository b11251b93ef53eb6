//! What holds for every stream, over TCP and over Unix-domain sockets by the same code; and what is a pipe's own.

mod support;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use luvio::{Handle, Kind, Listen, Loop, LoopHandle, Misuse, Pipe, Request, Tcp, is_canceled};
use support::{Folder, Journal, expect, misuse, turn_until, with_loop, with_virtual_loop};

/// Two connected streams of one kind, and a listener with a way to connect to it.
trait Streams: Listen {
    fn connected(event_loop: &Loop) -> (Self, Self);
    fn listener(event_loop: &LoopHandle, folder: &Folder) -> Self;
    fn client(&self) -> (Self, Request<()>);
}

impl Streams for Tcp {
    fn connected(event_loop: &Loop) -> (Tcp, Tcp) {
        support::accepted_pair(event_loop)
    }

    fn listener(event_loop: &LoopHandle, _: &Folder) -> Tcp {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        server
    }

    fn client(&self) -> (Tcp, Request<()>) {
        let client = Tcp::new(self.event_loop());
        let connect = client.connect(self.local_addr().unwrap());
        (client, connect)
    }
}

impl Streams for Pipe {
    fn connected(event_loop: &Loop) -> (Pipe, Pipe) {
        Pipe::pair(event_loop).unwrap()
    }

    fn listener(event_loop: &LoopHandle, folder: &Folder) -> Pipe {
        let server = Pipe::new(event_loop);
        server.bind(folder.path("listener")).unwrap();
        server
    }

    fn client(&self) -> (Pipe, Request<()>) {
        let client = Pipe::new(self.event_loop());
        let connect = client.connect(self.local_addr().unwrap());
        (client, connect)
    }
}

/// Runs a generic test for both kinds.
macro_rules! for_both {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            generic::$name::<Tcp>();
            generic::$name::<Pipe>();
        }
    )+};
}

for_both! {
    /// RD-05, RD-07, RD-08, SH-01: bytes arrive in order, however they are cut, and then the end.
    bytes_arrive_in_order_and_then_the_end;
    /// RD-13, RD-14, RD-15: a stopped stream loses nothing.
    a_stopped_stream_loses_nothing;
    /// RD-02, RD-18: one reader at a time, and a close ends its wait.
    one_reader_at_a_time;
    /// WR-02, WR-05: what the kernel refuses is queued, and goes out in order as the peer reads.
    a_slow_reader_gets_everything;
    /// H-10, SH-14: a close cuts requests short, in order.
    a_close_cancels_what_is_under_way;
    /// LA-14, LA-18: a burst of clients is announced completely.
    a_burst_of_clients_is_accepted;
    /// LA-10: accepted connections live on, and the listener knows them.
    accepted_connections_outlive_their_listener;
    /// L-27: a peer that sends without end does not hold up the loop.
    a_fast_peer_does_not_hold_up_the_loop;
    /// L-40: a panic of a read callback leaves run, and the next run goes on behind it.
    a_panic_of_a_reader_loses_nothing_else;
    /// L-33: the loop's drop ends everything, and calls nobody.
    the_drop_of_a_loop_closes_streams;
    /// L-04: a stream that reads and a listener say so.
    streams_say_why_the_loop_is_alive;
}

mod generic {
    use super::*;

    pub(super) fn bytes_arrive_in_order_and_then_the_end<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            let data: Vec<u8> = (0..1_000_000u32).map(|n| (n / 251) as u8).collect();
            for chunk in data.chunks(77_777) {
                one.write(chunk);
            }
            one.finish();
            let (received, ended) = (Rc::new(RefCell::new(Vec::new())), expect(1));
            let so_far = Rc::clone(&received);
            let read = other.read_start(move |other, chunk| match chunk.unwrap() {
                Some(data) => so_far.borrow_mut().extend_from_slice(data),
                None => {
                    ended.hit();
                    assert!(!other.is_active() && other.is_writable());
                    other.close();
                }
            });
            read.unwrap();
            event_loop.run().unwrap();
            assert!(*received.borrow() == data);
        });
    }

    pub(super) fn a_stopped_stream_loses_nothing<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            one.write("first");
            let (first, second) = (expect(1), expect(1));
            let restart = move |other: &S, chunk: io::Result<Option<&[u8]>>| {
                first.hit();
                assert_eq!(chunk.unwrap(), Some(&b"first"[..]));
                other.read_stop();
                one.write("second");
                let second = second.clone();
                let again = other.read_start(move |other, chunk| {
                    second.hit();
                    assert_eq!(chunk.unwrap(), Some(&b"second"[..]));
                    other.close();
                });
                again.unwrap();
            };
            other.read_start(restart).unwrap();
            event_loop.run().unwrap();
        });
    }

    pub(super) fn one_reader_at_a_time<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            other.read_start(|_, _| {}).unwrap();
            assert_eq!(misuse(other.read_start(|_, _| {})), Misuse::AlreadyReading);
            other.read_stop();
            let waiting = other.clone();
            let task = event_loop.spawn(async move { waiting.read_once().await });
            support::turn(event_loop);
            assert_eq!(misuse(other.read_start(|_, _| {})), Misuse::AlreadyReading);
            other.close();
            assert!(is_canceled(&event_loop.block_on(task).unwrap().unwrap().unwrap_err()));
            assert_eq!(misuse(other.read_start(|_, _| {})), Misuse::Closing);
            one.close();
        });
    }

    pub(super) fn a_slow_reader_gets_everything<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            let block = vec![b'x'; 64 * 1024];
            let (journal, mut written) = (Journal::new(), 0);
            while written < 64 << 20 && !one.needs_drain() {
                one.write(&block);
                written += block.len();
            }
            assert!(one.write_queue_size() > 0 && one.try_write(b"x").is_err());
            one.drained().then(journal.result("drained"));
            one.finish().then(journal.result("finish"));
            let mut read = 0;
            let total = event_loop.try_block_on(async {
                while let Some(data) = other.read_once().await? {
                    assert!(data.iter().all(|&byte| byte == b'x'));
                    read += data.len();
                }
                io::Result::Ok(read)
            });
            assert_eq!(total.unwrap(), written);
            event_loop.run().unwrap();
            journal.assert_is(&["drained ok", "finish ok"]);
        });
    }

    pub(super) fn a_close_cancels_what_is_under_way<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            while one.write_queue_size() == 0 {
                one.write(vec![0; 64 * 1024]);
            }
            let journal = Journal::new();
            one.write("more").then(journal.result("write"));
            one.shutdown().then(journal.result("shutdown"));
            one.close().then(journal.result("close"));
            event_loop.run().unwrap();
            journal.assert_is(&["write canceled", "shutdown canceled", "close ok"]);
            other.close();
        });
    }

    pub(super) fn a_burst_of_clients_is_accepted<S: Streams>() {
        let folder = Folder::new();
        with_loop(|event_loop| {
            let server = S::listener(event_loop, &folder);
            let (accepted, connected) = (expect(100), expect(100));
            let listen = server.listen(128, move |server, incoming| {
                incoming.unwrap();
                server.accept().unwrap();
                if accepted.hit() == 100 {
                    server.close();
                }
            });
            listen.unwrap();
            for _ in 0..100 {
                let (client, connect) = server.client();
                let connected = connected.clone();
                connect.then(move |result| {
                    result.unwrap();
                    connected.hit();
                    drop(client);
                });
            }
            event_loop.run().unwrap();
        });
    }

    pub(super) fn accepted_connections_outlive_their_listener<S: Streams>() {
        let folder = Folder::new();
        with_loop(|event_loop| {
            let server = S::listener(event_loop, &folder);
            server.listen_only(8).unwrap();
            let (client, _connect) = server.client();
            let accepted = event_loop.try_block_on(server.accept_next()).unwrap();
            server.close();
            assert_eq!(server.connections().len(), 1);
            accepted.write("still here");
            let heard = event_loop.try_block_on(client.read_once()).unwrap();
            assert_eq!(heard.as_deref(), Some(&b"still here"[..]));
        });
    }

    pub(super) fn a_fast_peer_does_not_hold_up_the_loop<S: Streams>() {
        with_virtual_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            let turns = support::turns(event_loop);
            let mut last = (0, 0);
            let read = other.read_start(move |other, chunk| {
                if chunk.unwrap().is_none() {
                    return other.event_loop().close_all();
                }
                // How many calls in this turn.
                last = if last.0 == turns.get() { (last.0, last.1 + 1) } else { (turns.get(), 1) };
                assert!(last.1 <= 32);
            });
            read.unwrap();
            for _ in 0..100 {
                one.write(vec![0; 256 * 1024]);
            }
            one.finish();
            event_loop.run().unwrap();
        });
    }

    pub(super) fn a_panic_of_a_reader_loses_nothing_else<S: Streams>() {
        with_loop(|event_loop| {
            let (one, other) = S::connected(event_loop);
            let calls = expect(2);
            let read = other.read_start(move |other, _| match calls.hit() {
                1 => panic!("the first"),
                _ => drop(other.close()),
            });
            read.unwrap();
            one.write("one");
            assert_eq!(support::panic_text(|| event_loop.run()), "the first");
            one.write("two");
            event_loop.run().unwrap();
        });
    }

    pub(super) fn the_drop_of_a_loop_closes_streams<S: Streams>() {
        let _watchdog = support::watchdog();
        let folder = Folder::new();
        let event_loop = support::new_loop();
        let (one, other) = S::connected(&event_loop);
        let server = S::listener(&event_loop, &folder);
        server.listen(8, |_, _| panic!("nobody is called")).unwrap();
        other.read_start(|_, _| panic!("nobody is called")).unwrap();
        one.write("never read");
        drop(event_loop);
        assert!(one.is_closing() && !one.is_writable() && server.is_closing());
        assert_eq!(misuse(other.read_start(|_, _| {})), Misuse::LoopGone);
        assert!(folder.is_empty());
    }

    pub(super) fn streams_say_why_the_loop_is_alive<S: Streams>() {
        let folder = Folder::new();
        with_loop(|event_loop| {
            let (_one, other) = S::connected(event_loop);
            let server = S::listener(event_loop, &folder);
            server.listen(8, |_, _| {}).unwrap();
            other.read_start(|_, _| {}).unwrap();
            let mut states: Vec<String> =
                event_loop.alive_because().iter().map(ToString::to_string).collect();
            states.sort();
            let kind = server.kind();
            assert!(states.iter().all(|state| state.contains(&kind.to_string())), "{states:?}");
            assert!(states.iter().any(|state| state.contains("reading")), "{states:?}");
            assert!(states.iter().any(|state| state.contains("listening on ")), "{states:?}");
            server.close();
            other.close();
        });
    }
}

/// L-04: a listener says on which path or abstract name it listens.
#[test]
fn a_listener_names_its_path() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("named");
        let server = Pipe::new(event_loop);
        server.bind(&path).unwrap();
        server.listen(8, |_, _| {}).unwrap();
        assert_eq!(Handle::kind(&server), Kind::Pipe);
        let reason = event_loop.alive_because()[0].to_string();
        assert!(reason.contains(&format!("listening on {}", path.display())), "{reason}");
        server.close();
    });
}

/// U-10: clients that are closed right after the call hear so, and the server still sees each of them.
#[test]
fn clients_that_close_at_once_are_seen() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let server = Pipe::new(event_loop);
        server.bind(folder.path("server")).unwrap();
        let accepted = expect(10);
        let listen = server.listen(128, move |server, incoming| {
            incoming.unwrap();
            server.accept().unwrap();
            if accepted.hit() == 10 {
                server.close();
            }
        });
        listen.unwrap();
        let canceled = expect(10);
        for _ in 0..10 {
            let client = Pipe::new(event_loop);
            let canceled = canceled.clone();
            client.connect(server.local_addr().unwrap()).then(move |result| {
                assert!(is_canceled(&result.unwrap_err()));
                canceled.hit();
            });
            client.close();
        }
    });
}

/// TC-28: a pair and a connection can be handed over, and come back when something is under way.
#[test]
fn a_connection_is_handed_over_as_a_descriptor() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    with_loop(|event_loop| {
        let (ours, theirs) = Pipe::pair(event_loop).unwrap();
        theirs.read_start(|_, _| panic!("it does not read any more")).unwrap();
        ours.write("unread");
        let mut socket = UnixStream::from(theirs.into_fd().unwrap());
        socket.set_nonblocking(false).unwrap();
        let mut heard = [0; 6];
        socket.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"unread");
        socket.write_all(b"back").unwrap();
        let data = event_loop.try_block_on(ours.read_once()).unwrap();
        assert_eq!(data.as_deref(), Some(&b"back"[..]));
        while ours.write_queue_size() == 0 {
            ours.write(vec![0; 64 * 1024]);
        }
        let refused = ours.into_fd().unwrap_err();
        assert_eq!(Misuse::of(&refused.error), Some(Misuse::UnderWay));
        refused.value.close();
    });
}

/// WR-21: the peer that has gone is a broken pipe, and no signal.
#[test]
fn a_peer_that_has_gone_is_a_broken_pipe() {
    with_loop(|event_loop| {
        let (one, other) = Pipe::pair(event_loop).unwrap();
        drop(other);
        for request in [one.write("x"), one.write_vectored(&[io::IoSlice::new(b"x")])] {
            let err = event_loop.block_on(request).unwrap().unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::BrokenPipe);
        }
        turn_until(event_loop, || !event_loop.is_alive());
    });
}

/// TC-26: a connect is given up in time, unless it is over before.
#[test]
fn a_connect_with_a_limit_connects() {
    let folder = Folder::new();
    with_virtual_loop(|event_loop| {
        let server = Pipe::new(event_loop);
        server.bind(folder.path("server")).unwrap();
        server.listen_only(8).unwrap();
        let client = Pipe::new(event_loop);
        let limit = std::time::Duration::from_secs(1);
        let connect = client.connect_timeout(server.local_addr().unwrap(), limit);
        event_loop.try_block_on(connect).unwrap();
        let missing = client.connect_timeout(folder.path("missing"), limit);
        assert_eq!(misuse(event_loop.block_on(missing).unwrap()), Misuse::AlreadyConnected);
    });
}

/// RD-05, SH-01: the traits of futures-io, by their own combinators, and the stream of connections.
#[cfg(feature = "futures")]
#[test]
fn the_traits_of_futures_work_on_pipes() {
    use futures::StreamExt;
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    let folder = Folder::new();
    with_loop(|event_loop| {
        let server = Pipe::new(event_loop);
        server.bind(folder.path("server")).unwrap();
        server.listen_only(8).unwrap();
        let mut client = Pipe::new(event_loop);
        client.connect(server.local_addr().unwrap());
        let echoed = event_loop.try_block_on(async {
            let accepted = server.incoming().next().await.unwrap()?;
            luvio::go(async move {
                let (reader, mut writer) = (&accepted, &accepted);
                futures::io::copy(reader, &mut writer).await?;
                AsyncWriteExt::close(&mut writer).await
            });
            let sent = vec![b'e'; 100_000];
            AsyncWriteExt::write_all(&mut client, &sent).await?;
            AsyncWriteExt::close(&mut client).await?;
            let mut echoed = Vec::new();
            client.read_to_end(&mut echoed).await?;
            io::Result::Ok(echoed)
        });
        assert!(echoed.unwrap() == vec![b'e'; 100_000]);
    });
}
