//! The ends of streams: shutdown, finish, close and reset. Statements SH of the behaviour chapter.

mod support;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use luvio::{Loop, Misuse, Request, RunMode, Tcp, is_canceled};
use socket2::SockRef;
use support::{
    Journal, Wakes, accepted_pair, connected_pair, connecting, expect, fill, listening, misuse,
    note_reads, poll, ready, refusing_addr, reset, turn, watchdog, with_loop,
};

/// Reads all that comes, in a thread of its own, and yields its length.
fn drain(mut peer: TcpStream) -> JoinHandle<usize> {
    thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).expect("the stream comes to its end");
        received.len()
    })
}

// ---- shutdown -----------------------------------------------------------------------------------------------------

/// SH-01, SH-03: a shutdown comes after all writes, and the peer reads the end after all data.
#[test]
fn a_shutdown_waits_for_what_is_queued() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let total = fill(&tcp);
        tcp.write(b"last").then(journal.result("write"));
        let stream = tcp.clone();
        let noted = journal.result("shutdown");
        tcp.shutdown().then(move |result| {
            assert_eq!(stream.write_queue_size(), 0);
            noted(result);
        });
        let received = drain(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["write ok", "shutdown ok"]);
        assert_eq!(received.join().unwrap(), total + 4);
    });
}

/// SH-02: the callback of a shutdown does not run inside the call, even when nothing is queued.
#[test]
fn a_shutdown_never_calls_back_inside_the_call() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.shutdown().then(journal.result("shutdown"));
        journal.note("the call is over");
        event_loop.run().unwrap();
        journal.assert_is(&["the call is over", "shutdown ok"]);
    });
}

/// SH-02: with nothing queued the peer is told inside the call: it reads the end without a turn of the loop.
#[test]
fn a_shutdown_is_made_inside_the_call() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.write(b"all");
        tcp.shutdown();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "all");
    });
}

/// SH-04: from the call on nothing can be written, whether the shutdown is done or waits.
#[test]
fn a_stream_cannot_be_written_from_the_shutdown_on() {
    with_loop(|event_loop| {
        for is_full in [false, true] {
            let (tcp, _peer) = connected_pair(event_loop);
            if is_full {
                fill(&tcp);
            }
            assert!(tcp.is_writable());
            tcp.shutdown();
            assert!(!tcp.is_writable());
            assert_eq!(misuse(tcp.try_write(b"x")), Misuse::ShutDown);
            let refused = expect(1);
            tcp.write(b"x").then(move |result| {
                refused.hit();
                assert_eq!(misuse(result), Misuse::ShutDown);
            });
            tcp.close();
        }
    });
}

/// SH-05: after a shutdown reading goes on until the peer ends.
#[test]
fn reading_goes_on_after_a_shutdown() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        note_reads(&tcp, &journal);
        tcp.shutdown().then(move |result| {
            result.unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            peer.write_all(b"late").unwrap();
        });
        event_loop.run().unwrap();
        journal.assert_is(&["late", "end"]);
    });
}

/// SH-06: a second shutdown is refused as not connected, and the first one goes its way.
#[test]
fn a_second_shutdown_is_refused() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let total = fill(&tcp);
        let (first, refused) = (expect(1), expect(2));
        let stream = tcp.clone();
        let second = refused.clone();
        tcp.shutdown().then(move |result| {
            first.hit();
            result.unwrap();
            stream.shutdown().then(move |result| {
                refused.hit();
                assert_eq!(misuse(result), Misuse::NotConnected);
            });
        });
        tcp.shutdown().then(move |result| {
            second.hit();
            assert_eq!(misuse(result), Misuse::NotConnected);
        });
        let received = drain(peer);
        event_loop.run().unwrap();
        assert_eq!(received.join().unwrap(), total);
    });
}

/// SH-07: a handle without a connection, a listener and a closing handle refuse a shutdown.
#[test]
fn a_shutdown_needs_a_connection() {
    with_loop(|event_loop| {
        let bound = Tcp::new(event_loop);
        bound.bind("127.0.0.1:0").unwrap();
        let closing = connected_pair(event_loop).0;
        closing.close();
        for (tcp, expected) in [
            (Tcp::new(event_loop), Misuse::NotConnected),
            (bound, Misuse::NotConnected),
            (listening(event_loop).0, Misuse::NotConnected),
            (closing, Misuse::Closing),
        ] {
            let request = tcp.shutdown();
            assert!(request.is_finished());
            let refused = expect(1);
            request.then(move |result| {
                refused.hit();
                assert_eq!(misuse(result), expected);
            });
        }
    });
}

/// SH-08: of a shutdown that a close follows at once one hears before the close.
#[test]
fn a_shutdown_that_close_follows_at_once_is_still_reported() {
    with_loop(|event_loop| {
        for (is_full, expected) in [(false, "shutdown ok"), (true, "shutdown canceled")] {
            let (tcp, _peer) = connected_pair(event_loop);
            if is_full {
                fill(&tcp);
            }
            let journal = Journal::new();
            tcp.shutdown().then(journal.result("shutdown"));
            tcp.close().then(journal.result("close"));
            event_loop.run().unwrap();
            journal.assert_is(&[expected, "close ok"]);
        }
    });
}

/// SH-09: both ends may shut down at the same time.
#[test]
fn both_ends_may_shut_down_at_the_same_time() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        for tcp in [client, server] {
            let (done, ended) = (expect(1), expect(1));
            tcp.read_start(move |tcp, chunk| {
                ended.hit();
                assert_eq!(chunk.unwrap(), None);
                tcp.close();
            })
            .unwrap();
            tcp.shutdown().then(move |result| {
                done.hit();
                result.unwrap();
            });
        }
    });
}

/// SH-10: a shutdown during a connect waits for the connect and for the writes between.
#[test]
fn a_shutdown_waits_for_the_connect() {
    with_loop(|event_loop| {
        let server = listening(event_loop).0;
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        client.connect(server.local_addr().unwrap()).then(journal.result("connect"));
        client.write(b"hello").then(journal.result("write"));
        client.shutdown().then(journal.result("shutdown"));
        assert!(!client.is_writable());
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "write ok", "shutdown ok"]);

        let received = journal.clone();
        server
            .accept()
            .unwrap()
            .read_start(move |peer, chunk| match chunk.unwrap() {
                Some(data) => received.note(String::from_utf8_lossy(data)),
                None => {
                    received.note("end");
                    peer.close();
                }
            })
            .unwrap();
        event_loop.run().unwrap();
        assert_eq!(journal.entries()[3..], ["hello", "end"]);
    });
}

/// SH-11: when the connect fails, a shutdown that waits is cancelled right after the writes.
#[test]
fn a_shutdown_is_cancelled_when_the_connect_fails() {
    with_loop(|event_loop| {
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        client.connect(refusing_addr()).then(journal.result("connect"));
        client.write(b"one").then(journal.result("write 1"));
        client.write(b"two").then(journal.result("write 2"));
        client.shutdown().then(journal.result("shutdown"));
        event_loop.run().unwrap();
        journal.assert_is(&[
            "connect ConnectionRefused",
            "write 1 canceled",
            "write 2 canceled",
            "shutdown canceled",
        ]);
        assert!(!client.is_closing());
    });
}

/// SH-12: a shutdown behind writes that fail does not succeed.
#[test]
fn a_shutdown_behind_failed_writes_fails() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let (write, shutdown) = (expect(1), expect(1));
        tcp.write(b"lost").then(move |result| {
            write.hit();
            assert!(!is_canceled(&result.unwrap_err()));
        });
        tcp.shutdown().then(move |result| {
            shutdown.hit();
            assert!(!is_canceled(&result.unwrap_err()));
        });
        reset(peer);
    });
}

/// SH-12: nor does one that is made after a write has failed.
#[test]
fn a_shutdown_after_a_failed_write_fails() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        reset(peer);
        while tcp.try_write(b"until the reset is here").is_ok() {}
        let (write, shutdown) = (expect(1), expect(1));
        tcp.write(b"lost").then(move |result| {
            write.hit();
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
        tcp.shutdown().then(move |result| {
            shutdown.hit();
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    });
}

/// SH-13: neither a shutdown nor the end of the stream closes the handle.
#[test]
fn neither_shutdown_nor_the_end_closes_the_handle() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        drop(peer);
        let ended = expect(1);
        tcp.read_start(move |_, chunk| {
            ended.hit();
            assert_eq!(chunk.unwrap(), None);
        })
        .unwrap();
        tcp.shutdown();
        event_loop.run().unwrap();
        assert!(!tcp.is_closing() && !tcp.is_active());
        assert!(tcp.local_addr().is_ok());
        assert!(tcp.is_readable());
    });
}

// ---- what close cuts short ----------------------------------------------------------------------------------------

/// SH-14: a close during a connect reports the connect, the writes in order, the shutdown, then itself.
#[test]
fn a_close_reports_what_it_cuts_short_in_order() {
    with_loop(|event_loop| {
        let server = listening(event_loop).0;
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        client.connect(server.local_addr().unwrap()).then(journal.result("connect"));
        client.write(b"one").then(journal.result("write 1"));
        client.write(b"two").then(journal.result("write 2"));
        client.shutdown().then(journal.result("shutdown"));
        client.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&[
            "connect canceled",
            "write 1 canceled",
            "write 2 canceled",
            "shutdown canceled",
            "close ok",
        ]);
    });
}

/// SH-15: a write that the kernel has taken is a success, although a close comes before its callback.
#[test]
fn a_write_that_was_sent_succeeds_although_a_close_follows() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.write(b"sent").then(journal.result("write"));
        tcp.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["write ok", "close ok"]);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "sent");
    });
}

/// SH-16: a write of which the kernel has a part is cancelled by close.
#[test]
fn a_write_that_was_partly_sent_is_cancelled_by_close() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let data = vec![b'p'; 64 << 20];
        tcp.write(&data).then(journal.result("write"));
        let queued = tcp.write_queue_size();
        assert!(0 < queued && queued < data.len(), "{queued} queued");
        tcp.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["write canceled", "close ok"]);
        assert!(drain(peer).join().unwrap() >= data.len() - queued);
    });
}

/// SH-17: of ten thousand writes each is reported once, as a success or as cancelled, and none out of order.
#[test]
fn ten_thousand_writes_are_all_accounted_for() {
    const WRITES: usize = 10_000;
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let (ok, canceled) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let reported = expect(WRITES);
        let data = vec![b'w'; 4096];
        for number in 1..=WRITES {
            let (reported, ok, canceled) = (reported.clone(), Rc::clone(&ok), Rc::clone(&canceled));
            tcp.write(&data).then(move |result| {
                assert_eq!(reported.hit(), number);
                let counter = match result {
                    Ok(()) => ok,
                    Err(err) if is_canceled(&err) => canceled,
                    Err(err) => panic!("{err}"),
                };
                counter.set(counter.get() + 1);
            });
        }
        event_loop.run_mode(RunMode::NoWait).unwrap();
        tcp.close();
        event_loop.run().unwrap();
        assert!(ok.get() > 0 && canceled.get() > 0);
        assert_eq!(ok.get() + canceled.get(), WRITES);
    });
}

/// SH-21: the handle may be closed in every callback of a stream.
#[test]
fn a_stream_may_be_closed_in_each_of_its_callbacks() {
    with_loop(|event_loop| {
        for place in ["connect", "connection", "read", "write", "shutdown"] {
            let closed = expect(1);
            let close_at = move |now: &str, tcp: &Tcp| {
                if now == place {
                    let closed = closed.clone();
                    tcp.close().then(move |result| {
                        closed.hit();
                        result.unwrap();
                    });
                }
            };
            let close_at = Rc::new(close_at);
            let server = Tcp::new(event_loop);
            server.bind("127.0.0.1:0").unwrap();
            let close = Rc::clone(&close_at);
            server
                .listen(8, move |server, incoming| {
                    incoming.unwrap();
                    close("connection", server);
                    if let Ok(peer) = server.accept() {
                        peer.write(b"greeting");
                        peer.finish();
                    }
                    server.close();
                })
                .unwrap();
            let client = Tcp::new(event_loop);
            let (close, tcp) = (Rc::clone(&close_at), client.clone());
            client.connect(server.local_addr().unwrap()).then(move |_| close("connect", &tcp));
            let (close, tcp) = (Rc::clone(&close_at), client.clone());
            client.write(b"hello").then(move |_| close("write", &tcp));
            let (close, tcp) = (Rc::clone(&close_at), client.clone());
            client.shutdown().then(move |_| close("shutdown", &tcp));
            client
                .read_start(move |tcp, chunk| match chunk {
                    Ok(Some(_)) => close_at("read", tcp),
                    _ => drop(tcp.close()),
                })
                .unwrap();
        }
    });
}

/// SH-22: a stream over a duplicate of a standard descriptor leaves that descriptor open. (A safe program cannot own the
/// descriptors 0 to 2 themselves.)
#[cfg(unix)]
#[test]
fn a_stream_leaves_the_standard_descriptors_open() {
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::Stdio;

    let stdin = || TcpStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    if support::is_child() {
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            tcp.open(stdin()).unwrap();
            tcp.write(b"by the loop, ");
            tcp.close().then(move |_| stdin().write_all(b"and after it").unwrap());
        });
        return;
    }
    let _watchdog = watchdog();
    let (here, mut there) = support::std_pair();
    let mut child = support::child("a_stream_leaves_the_standard_descriptors_open", "")
        .stdin(Stdio::from(OwnedFd::from(here)))
        .spawn()
        .unwrap();
    let mut received = String::new();
    there.read_to_string(&mut received).unwrap();
    assert_eq!(received, "by the loop, and after it");
    assert!(child.wait().unwrap().success());
}

// ---- close with a reset -------------------------------------------------------------------------------------------

/// SH-18: after a reset the peer's reads fail; the writes that it cuts short are reported before the close.
#[test]
fn a_reset_is_what_the_peer_reads() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        fill(&tcp);
        tcp.write(b"lost").then(journal.result("write"));
        tcp.close_reset().then(journal.result("close"));
        assert!(tcp.is_closing());
        event_loop.run().unwrap();
        journal.assert_is(&["write canceled", "close ok"]);
        let err = peer.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    });
}

/// SH-19: a shutdown does not keep a reset from happening, neither one that is done nor one that waits for what is queued or
/// for a connect; what waited is cancelled, before the close.
#[test]
fn a_reset_is_one_whatever_was_shut_down() {
    with_loop(|event_loop| {
        type End = fn(&Tcp) -> Request<()>;
        let done = |tcp: &Tcp| tcp.shutdown();
        let waiting = |tcp: &Tcp| {
            fill(tcp);
            tcp.shutdown()
        };
        let finishing = |tcp: &Tcp| {
            fill(tcp);
            tcp.finish()
        };
        let cases: [(End, [&str; 2]); 3] = [
            (done, ["shutdown ok", "close ok"]),
            (waiting, ["shutdown canceled", "close ok"]),
            (finishing, ["close ok", "shutdown canceled"]), // which ends with a close of its own
        ];
        for (shutdown, expected) in cases {
            let (tcp, mut peer) = connected_pair(event_loop);
            let journal = Journal::new();
            shutdown(&tcp).then(journal.result("shutdown"));
            tcp.close_reset().then(journal.result("close"));
            assert!(tcp.is_closing());
            // The end that it was told before comes before the reset.
            let mut told = [0; 64 * 1024];
            while peer.read(&mut told).is_ok_and(|length| length > 0) {}
            peer.write_all(b"the connection is gone").unwrap_err();
            event_loop.run().unwrap();
            journal.assert_is(&expected);
        }

        let (_server, client) = connecting(event_loop);
        let journal = Journal::new();
        client.shutdown().then(journal.result("shutdown"));
        client.close_reset().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["shutdown canceled", "close ok"]);
    });
}

/// SH-20: a reset works although the socket was shut down behind the loop's back.
#[test]
fn a_reset_works_after_a_shutdown_on_the_descriptor() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        server.with_fd(|fd| SockRef::from(&fd).shutdown(Shutdown::Both)).unwrap().unwrap();
        let (closed, ended) = (expect(1), expect(1));
        server.close_reset().then(move |result| {
            closed.hit();
            result.unwrap();
        });
        client
            .read_start(move |client, chunk| {
                ended.hit();
                assert!(!matches!(chunk, Ok(Some(_))));
                client.close();
            })
            .unwrap();
    });
}

/// SH-23: a reset of a handle without a connection is a close, and one after a close changes nothing.
#[test]
fn a_reset_without_a_connection_is_a_close() {
    with_loop(|event_loop| {
        for tcp in [Tcp::new(event_loop), listening(event_loop).0] {
            let journal = Journal::new();
            tcp.close_reset().then(journal.result("first"));
            tcp.close_reset().then(journal.result("second"));
            event_loop.run().unwrap();
            journal.assert_is(&["first ok", "second ok"]);
        }
    });
}

// ---- finish -------------------------------------------------------------------------------------------------------

/// A finish closes the handle when everything queued is with the kernel, and the peer gets all of it.
#[test]
fn a_finish_sends_what_is_queued_and_closes() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let total = fill(&tcp);
        tcp.write(b"last").then(journal.result("write"));
        tcp.finish().then(journal.result("finish"));
        tcp.finish().then(journal.result("finish again"));
        assert!(!tcp.is_closing() && !tcp.is_writable());
        let received = drain(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["write ok", "finish ok", "finish again ok"]);
        assert!(tcp.is_closing());
        assert_eq!(received.join().unwrap(), total + 4);
    });
}

/// A finish with nothing to send closes in the call.
#[test]
fn a_finish_with_nothing_to_send_closes_at_once() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        client.shutdown();
        for tcp in [Tcp::new(event_loop), listening(event_loop).0, client, server] {
            let finished = expect(1);
            let request = tcp.finish();
            assert!(tcp.is_closing());
            request.then(move |result| {
                finished.hit();
                result.unwrap();
            });
        }
    });
}

/// Somebody else may have a duplicate of an adopted socket: its peer reads the end although that stays open.
#[test]
fn a_finish_tells_the_peer_although_a_duplicate_stays_open() {
    with_loop(|event_loop| {
        let (here, mut peer) = support::std_pair();
        let duplicate = here.try_clone().unwrap();
        let tcp = Tcp::new(event_loop);
        tcp.open(here).unwrap();
        tcp.write(b"bye");
        tcp.finish();
        event_loop.run().unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "bye");
        drop(duplicate);
    });
}

/// A finish during a connect waits for it, and for the writes between.
#[test]
fn a_finish_waits_for_the_connect() {
    with_loop(|event_loop| {
        let server = listening(event_loop).0;
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        client.connect(server.local_addr().unwrap()).then(journal.result("connect"));
        client.write(b"hello").then(journal.result("write"));
        client.finish().then(journal.result("finish"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "write ok", "finish ok"]);
        let received = expect(2);
        server
            .accept()
            .unwrap()
            .read_start(move |peer, chunk| match (received.hit(), chunk.unwrap()) {
                (1, data) => assert_eq!(data, Some(&b"hello"[..])),
                (_, data) => {
                    assert_eq!(data, None);
                    peer.close();
                }
            })
            .unwrap();
    });
}

/// A finish closes the handle even when the connect fails or a write was lost, and says that not all went well.
#[test]
fn a_finish_closes_and_reports_what_went_wrong() {
    with_loop(|event_loop| {
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        client.connect(refusing_addr()).then(journal.result("connect"));
        client.finish().then(journal.result("finish"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect ConnectionRefused", "finish canceled"]);
        assert!(client.is_closing());

        let (tcp, peer) = connected_pair(event_loop);
        reset(peer);
        while tcp.try_write(b"until the reset is here").is_ok() {}
        let journal = Journal::new();
        tcp.write(b"lost").then(journal.result("write"));
        tcp.finish().then(journal.result("finish"));
        event_loop.run().unwrap();
        journal.assert_is(&["write BrokenPipe", "finish BrokenPipe"]);
        assert!(tcp.is_closing());
    });
}

/// From the finish on nothing is read any more.
#[test]
fn a_finish_stops_reading() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        fill(&tcp);
        peer.write_all(b"unread").unwrap();
        tcp.read_start(|_, _| panic!("read after the finish")).unwrap();
        tcp.finish();
        assert!(!tcp.is_closing());
        let reader = thread::spawn(move || {
            // The system answers the close of a socket with unread data by a reset.
            let _ = peer.read_to_end(&mut Vec::new());
        });
        event_loop.run().unwrap();
        reader.join().unwrap();
    });
}

/// SH-24: who awaits data hears at once that nothing comes any more, although the queue takes its time; what the peer sends
/// then stays with the system for who reads next.
#[test]
fn a_finish_cuts_off_who_awaits_data() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let total = fill(&tcp);
        let wakes = Wakes::new();
        let mut read = tcp.read_once();
        assert!(wakes.poll(&mut read).is_pending());
        tcp.finish();
        assert_eq!(wakes.count(), 1);
        peer.write_all(b"too late").unwrap();
        turn(event_loop);
        assert!(is_canceled(&ready(&mut read).unwrap_err()));
        assert!(!tcp.is_closing());

        // To read what is left keeps the close from being a reset.
        let left = event_loop.block_on(tcp.read_once()).unwrap().unwrap();
        assert_eq!(left.as_deref(), Some(&b"too late"[..]));
        let received = drain(peer);
        event_loop.run().unwrap();
        assert_eq!(received.join().unwrap(), total);
    });
}

/// SH-24: a read that a finish cut off and that finds out only later does not get in the way of the one that waits by then.
#[test]
fn a_read_that_a_finish_cut_off_leaves_later_ones_alone() {
    for is_polled in [false, true] {
        with_loop(|event_loop| {
            let (tcp, mut peer) = connected_pair(event_loop);
            fill(&tcp);
            let mut cut_off = tcp.read_once();
            assert!(poll(&mut cut_off).is_pending());
            tcp.finish();
            let wakes = Wakes::new();
            let mut waiting = tcp.read_once();
            assert!(wakes.poll(&mut waiting).is_pending());
            if is_polled {
                assert!(is_canceled(&ready(cut_off).unwrap_err()));
            } else {
                drop(cut_off);
            }
            peer.write_all(b"data").unwrap();
            wakes.wait(event_loop);
            assert_eq!(ready(waiting).unwrap().as_deref(), Some(&b"data"[..]));
            tcp.close();
        });
    }
}

/// A finish that a close cuts short ends as cancelled.
#[test]
fn a_close_cuts_a_finish_short() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        tcp.finish().then(journal.result("finish"));
        tcp.close();
        event_loop.run().unwrap();
        journal.assert_is(&["finish canceled"]);
    });
}

/// A finish under way when the loop is dropped ends as cancelled, and calls nobody.
#[test]
fn the_end_of_the_loop_cancels_a_finish() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    tcp.finish().then(|_| panic!("called although the loop is gone"));
    let mut finish = pin!(tcp.finish());
    drop(event_loop);
    match finish.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(err)) => assert!(is_canceled(&err)),
        other => panic!("{other:?}"),
    }
}
