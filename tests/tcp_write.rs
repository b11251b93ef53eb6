//! Writing to streams: order, callbacks, refusals, errors. Statements WR of the behaviour chapter. What needs a kernel
//! that misbehaves on demand (WR-10, WR-24) is in src/stream/tests.rs.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use luvio::{Check, Idle, Loop, LoopHandle, Misuse, Prepare, Request, RunMode, Tcp, Timer};
use socket2::SockRef;
use support::{
    Journal, connected_pair, connecting, expect, fill, listening, misuse, note_reads,
    pair_with_data, refusing_addr, reset, turn, turn_until, watchdog, with_built_loop, with_loop,
};

/// More than the system holds for a peer that does not read.
const MUCH: usize = 32 << 20;

/// Reads to the end, in a thread of its own, and yields what came.
fn collect(mut peer: TcpStream) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).expect("the stream comes to its end");
        received
    })
}

/// Bytes in which a piece that is lost, doubled or out of place shows.
fn pattern(length: usize) -> Vec<u8> {
    // Repeated with a length that divides nothing.
    let block: Vec<u8> = (0..65_521usize).map(|i| (i * i / 7) as u8).collect();
    let mut data = block.repeat(length.div_ceil(block.len()));
    data.truncate(length);
    data
}

/// Reads the accepted connection to its end and closes it.
fn read_all(server: &Tcp) -> Rc<RefCell<Vec<u8>>> {
    let received = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&received);
    let read = move |peer: &Tcp, chunk: io::Result<Option<&[u8]>>| match chunk.unwrap() {
        Some(data) => all.borrow_mut().extend_from_slice(data),
        None => drop(peer.close()),
    };
    server.accept().unwrap().read_start(read).unwrap();
    received
}

/// Notes each phase of each turn, until the returned function is called.
fn note_phases(event_loop: &LoopHandle, journal: &Journal) -> impl FnOnce() + use<> {
    let (idle, prepare, check) =
        (Idle::new(event_loop), Prepare::new(event_loop), Check::new(event_loop));
    let noted = journal.clone();
    idle.start(move |_| noted.note("idle")).unwrap();
    let noted = journal.clone();
    prepare.start(move |_| noted.note("prepare")).unwrap();
    let noted = journal.clone();
    check.start(move |_| noted.note("check")).unwrap();
    move || {
        idle.close();
        prepare.close();
        check.close();
    }
}

/// Fails the stream's writing side as if the connection were broken, behind the library's back.
fn cut_writing_side(tcp: &Tcp) {
    tcp.with_fd(|fd| SockRef::from(&fd).shutdown(Shutdown::Write)).unwrap().unwrap();
}

/// A stream whose peer is gone with a reset, of which the socket knows already.
fn broken(event_loop: &LoopHandle) -> Tcp {
    let (tcp, peer) = connected_pair(event_loop);
    reset(peer);
    while tcp.try_write(b"until the reset is here").is_ok() {}
    tcp
}

// ---- order and time ----------------------------------------------------------------------------------------------

/// WR-01, WR-02: writes of all kinds and sizes reach the peer in order, and their callbacks come in order, once each.
#[test]
fn writes_and_their_callbacks_keep_their_order() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let data = pattern(MUCH);
        let sizes = [1, 0, 70_000, 3, 20 << 20, 1, 0, 4 << 20, 17, 5 << 20];
        let called = expect(sizes.len() + 1);
        let mut sent = 0;
        for (number, size) in
            sizes.into_iter().chain([MUCH - sizes.iter().sum::<usize>()]).enumerate()
        {
            let part = &data[sent..sent + size];
            sent += size;
            let request = match number % 2 {
                0 => tcp.write(part),
                _ => {
                    let (left, right) = part.split_at(size / 3);
                    tcp.write_vectored(&[IoSlice::new(left), IoSlice::new(right)])
                }
            };
            let called = called.clone();
            request.then(move |result| {
                result.unwrap();
                assert_eq!(called.hit(), number + 1);
            });
        }
        assert!(tcp.write_queue_size() > 0);
        tcp.finish();
        let received = collect(peer);
        event_loop.run().unwrap();
        assert!(received.join().unwrap() == data);
    });
}

/// WR-02: a write that is cancelled calls back without waiting for those before it; the others keep their order.
#[test]
fn a_cancelled_write_does_not_wait_for_earlier_ones() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        tcp.write(b"first").then(journal.result("first"));
        let second = tcp.write(b"second").then(journal.result("second"));
        tcp.write(b"third").then(journal.result("third"));
        assert!(second.cancel());
        turn(event_loop);
        journal.assert_is(&["second canceled"]);
        tcp.finish();
        let received = collect(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["second canceled", "first ok", "third ok"]);
        assert!(received.join().unwrap().ends_with(b"firstthird"));
    });
}

/// WR-03: the callback never runs inside `write`, be the write done at once, queued, refused or failed.
#[test]
fn a_write_never_calls_back_inside_the_call() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let broken = broken(event_loop);
        let called = expect(5);
        let inside = Rc::new(Cell::new(true));
        let note = |request: Request<()>| {
            let (called, inside) = (called.clone(), Rc::clone(&inside));
            request.then(move |_| {
                called.hit();
                assert!(!inside.get());
            });
        };
        note(tcp.write(b"at once"));
        note(tcp.write_vectored(&[]));
        note(broken.write(b"failed"));
        note(Tcp::new(event_loop).write(b"refused"));
        fill(&tcp);
        note(tcp.write(b"queued"));
        tcp.close();
        inside.set(false);
    });
}

/// WR-04: a write that an I/O callback makes is reported in the same turn, before check.
#[test]
fn a_write_in_an_io_callback_is_reported_before_check() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let (tcp, _peer) = pair_with_data(event_loop, b"x");
        let noted = journal.clone();
        tcp.read_start(move |tcp, _| {
            noted.note("read");
            tcp.read_stop();
            tcp.write(b"x").then(noted.result("write"));
        })
        .unwrap();
        let stop = note_phases(event_loop, &journal);
        turn(event_loop);
        journal.assert_is(&["idle", "prepare", "read", "write ok", "check"]);
        stop();
    });
}

/// WR-04: so is one that a write callback makes after another, in one turn.
#[test]
fn a_write_in_a_write_callback_is_reported_in_the_same_turn() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let (tcp, _peer) = pair_with_data(event_loop, b"x");
        let noted = journal.clone();
        tcp.read_start(move |tcp, _| {
            tcp.read_stop();
            let (tcp, noted) = (tcp.clone(), noted.clone());
            tcp.clone().write(b"x").then(move |_| {
                noted.note("first");
                tcp.write(b"x").then(noted.result("second"));
            });
        })
        .unwrap();
        let stop = note_phases(event_loop, &journal);
        turn(event_loop);
        journal.assert_is(&["idle", "prepare", "first", "second ok", "check"]);
        stop();
    });
}

/// WR-04: one that a timer makes is reported in the next turn, before idle and prepare.
#[test]
fn a_write_in_a_timer_is_reported_before_the_next_idle() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let (tcp, _peer) = connected_pair(event_loop);
        let noted = journal.clone();
        Timer::after(event_loop, Duration::ZERO, move |_| {
            noted.note("timer");
            tcp.write(b"x").then(noted.result("write"));
        });
        let stop = note_phases(event_loop, &journal);
        turn(event_loop);
        journal.assert_is(&["idle", "prepare", "check", "timer"]);
        turn(event_loop);
        assert_eq!(journal.entries()[4..], ["write ok", "idle", "prepare", "check"]);
        stop();
    });
}

/// WR-04: one made before the poll is reported after it, one made in check in the next turn.
#[test]
fn a_write_in_a_hook_is_reported_in_the_next_pending_pass() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let write = |what: &'static str| {
            let (tcp, journal) = (tcp.clone(), journal.clone());
            move || drop(tcp.write(b"x").then(journal.result(what)))
        };
        let (idle, prepare, check) =
            (Idle::new(event_loop), Prepare::new(event_loop), Check::new(event_loop));
        let in_idle = write("from idle");
        idle.start(move |idle| {
            in_idle();
            idle.close();
        })
        .unwrap();
        let in_prepare = write("from prepare");
        prepare
            .start(move |prepare| {
                in_prepare();
                prepare.close();
            })
            .unwrap();
        let (in_check, noted) = (write("from check"), journal.clone());
        check
            .start(move |check| {
                noted.note("check");
                in_check();
                check.close();
            })
            .unwrap();
        turn(event_loop);
        journal.assert_is(&["from idle ok", "from prepare ok", "check"]);
        let stop = note_phases(event_loop, &journal);
        turn(event_loop);
        assert_eq!(journal.entries()[3..], ["from check ok", "idle", "prepare", "check"]);
        stop();
    });
}

/// WR-05: with an empty queue the data is with the kernel when `write` returns; the peer reads it without a turn of the
/// loop.
#[test]
fn a_write_is_tried_inside_the_call() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let request = tcp.write(b"now");
        assert!(request.is_finished());
        assert_eq!(tcp.write_queue_size(), 0);
        let mut received = [0; 3];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"now");
        let vectored = tcp.write_vectored(&[IoSlice::new(b"an"), IoSlice::new(b"d ")]);
        assert!(vectored.is_finished());
        let mut received = [0; 4];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"and ");
    });
}

/// WR-05: also while the descriptor is lent, when a close only waits for the end of the loan.
#[test]
fn a_write_may_be_made_while_the_descriptor_is_lent() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.with_fd(|_| {
            assert!(tcp.write(b"one, ").is_finished());
            assert!(tcp.write_vectored(&[IoSlice::new(b"two, ")]).is_finished());
            assert_eq!(tcp.try_write(b"three").unwrap(), 5);
            tcp.close();
            assert!(tcp.try_write(b"four").is_err());
        })
        .unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "one, two, three");
    });
}

/// WR-06, WR-12: writes made while connecting are queued, and sent after the connect, whose callback comes first.
#[test]
fn writes_made_while_connecting_follow_the_connect() {
    with_loop(|event_loop| {
        let server = listening(event_loop).0;
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        let noted = journal.clone();
        let tcp = client.clone();
        let connect = client.connect(server.local_addr().unwrap());
        client.write(b"one, ").then(journal.result("one"));
        assert_eq!(client.write_queue_size(), 5);
        client
            .write_vectored(&[IoSlice::new(b"two"), IoSlice::new(b", ")])
            .then(journal.result("two"));
        assert_eq!(client.write_queue_size(), 10);
        client.write(b"").then(journal.result("empty"));
        connect.then(move |result| {
            noted.result("connect")(result);
            tcp.write(b"three").then(noted.result("three"));
            tcp.finish();
        });
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "one ok", "two ok", "empty ok", "three ok"]);
        let received = read_all(&server);
        event_loop.run().unwrap();
        assert_eq!(*received.borrow(), b"one, two, three");
    });
}

// ---- refusals ----------------------------------------------------------------------------------------------------

/// Fails unless each way to write is refused with `expected`, in the call.
#[track_caller]
fn assert_refused(tcp: &Tcp, expected: Misuse, kind: io::ErrorKind) {
    for request in [tcp.write(b"x"), tcp.write(b""), tcp.write_vectored(&[IoSlice::new(b"x")])] {
        assert!(request.is_finished());
        let err = futures_lite::future::block_on(request).unwrap_err();
        assert_eq!((Misuse::of(&err), err.kind()), (Some(expected), kind));
    }
    for tried in [tcp.try_write(b"x"), tcp.try_write_vectored(&[IoSlice::new(b"x")])] {
        let err = tried.unwrap_err();
        assert_eq!((Misuse::of(&err), err.kind()), (Some(expected), kind));
    }
    assert_eq!(tcp.write_queue_size(), 0);
}

/// WR-07: without a connection there is nothing to write to.
#[test]
fn a_handle_without_a_connection_refuses_a_write() {
    with_loop(|event_loop| {
        let bound = Tcp::new(event_loop);
        bound.bind("127.0.0.1:0").unwrap();
        let failed = Tcp::new(event_loop);
        failed.connect(refusing_addr());
        event_loop.run().unwrap();
        for tcp in [Tcp::new(event_loop), bound, failed] {
            assert_refused(&tcp, Misuse::NotConnected, io::ErrorKind::NotConnected);
        }
    });
}

/// WR-07: a listener has no peer, whether it has a callback or not.
#[test]
fn a_listener_refuses_a_write() {
    with_loop(|event_loop| {
        let with_callback = Tcp::new(event_loop);
        with_callback.bind("127.0.0.1:0").unwrap();
        with_callback.listen(8, |_, _| {}).unwrap();
        for tcp in [listening(event_loop).0, with_callback] {
            assert_refused(&tcp, Misuse::Listening, io::ErrorKind::BrokenPipe);
            tcp.close();
        }
    });
}

/// WR-07, WR-18: after a shutdown, done or waiting, nothing can be written any more.
#[test]
fn a_stream_that_was_shut_down_refuses_a_write() {
    with_loop(|event_loop| {
        let (done, _peer) = connected_pair(event_loop);
        done.shutdown();
        let (_server, waiting) = connecting(event_loop);
        waiting.shutdown();
        let (finishing, _other) = connected_pair(event_loop);
        finishing.finish();
        for tcp in [done, waiting, finishing] {
            assert_refused(&tcp, Misuse::ShutDown, io::ErrorKind::BrokenPipe);
        }
        let (full, _third) = connected_pair(event_loop);
        fill(&full);
        full.shutdown();
        assert_eq!(misuse(full.try_write(b"x")), Misuse::ShutDown);
    });
}

/// WR-07: after a read error the connection is gone for writing, too.
#[test]
fn a_stream_broken_by_a_read_error_refuses_a_write() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        reset(peer);
        let failed = expect(1);
        tcp.read_start(move |_, chunk| {
            failed.hit();
            assert_eq!(chunk.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        })
        .unwrap();
        event_loop.run().unwrap();
        assert_refused(&tcp, Misuse::ShutDown, io::ErrorKind::BrokenPipe);
    });
}

/// WR-07: from the call of close on, and when the close is complete.
#[test]
fn a_closed_handle_refuses_a_write() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        tcp.close();
        assert_refused(&tcp, Misuse::Closing, io::ErrorKind::InvalidInput);
        event_loop.run().unwrap();
        assert_refused(&tcp, Misuse::Closing, io::ErrorKind::InvalidInput);
    });
}

/// WR-07: such a refusal calls back before the close, but one that the close itself brings about comes after it.
#[test]
fn a_refusal_in_the_closing_phase_calls_back_after_the_close() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        let (again, noted) = (tcp.clone(), journal.clone());
        tcp.write(b"queued").then(move |result| {
            noted.result("queued")(result);
            again.write(b"x").then(noted.result("write in closing"));
        });
        tcp.close().then(journal.result("close"));
        tcp.write(b"x").then(journal.result("write"));
        event_loop.run().unwrap();
        journal.assert_is(&[
            "write InvalidInput",
            "queued canceled",
            "close ok",
            "write in closing InvalidInput",
        ]);
    });
}

/// WR-07: a handle whose loop is gone.
#[test]
fn a_handle_without_its_loop_refuses_a_write() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    drop(event_loop);
    assert_refused(&tcp, Misuse::LoopGone, io::ErrorKind::InvalidInput);
}

/// WR-08: an empty list of buffers is a mistake, and changes nothing.
#[test]
fn an_empty_list_of_buffers_is_refused() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let request = tcp.write_vectored(&[]);
        assert!(request.is_finished());
        let refused = expect(1);
        request.then(move |result| {
            refused.hit();
            let misuse = misuse(result);
            assert_eq!((misuse, misuse.name()), (Misuse::NoBuffers, "EINVAL"));
        });
        tcp.write(b"x");
        tcp.finish();
        event_loop.run().unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "x");
    });
}

/// WR-08: an empty buffer is a valid write, which takes its turn.
#[test]
fn an_empty_buffer_is_a_valid_write() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.write(b"").then(journal.result("at once"));
        tcp.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"")]).then(journal.result("two"));
        let total = fill(&tcp);
        let queued = tcp.write_queue_size();
        tcp.write(b"last").then(journal.result("last"));
        tcp.write(b"").then(journal.result("behind it"));
        tcp.write_vectored(&[IoSlice::new(b"")]).then(journal.result("and that"));
        assert_eq!(tcp.write_queue_size(), queued + 4);
        turn(event_loop);
        journal.assert_is(&["at once ok", "two ok"]);
        tcp.finish();
        let received = collect(peer);
        event_loop.run().unwrap();
        assert_eq!(journal.entries()[2..], ["last ok", "behind it ok", "and that ok"]);
        assert_eq!(received.join().unwrap().len(), total + 4);
    });
}

// ---- much at a time ----------------------------------------------------------------------------------------------

/// WR-09: more buffers than the system takes in one call, small ones, which it takes at once.
#[test]
fn a_write_of_4096_small_buffers_arrives_whole() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let data = pattern(3 * 4096);
        let slices: Vec<IoSlice<'_>> = data.chunks(3).map(IoSlice::new).collect();
        assert_eq!(slices.len(), 4096);
        let done = expect(1);
        tcp.write_vectored(&slices).then(move |result| {
            done.hit();
            result.unwrap();
        });
        assert_eq!(tcp.write_queue_size(), 0);
        tcp.finish();
        event_loop.run().unwrap();
        assert!(collect(peer).join().unwrap() == data);
    });
}

/// WR-09, WR-11: and large ones, of which it takes a part, while the peer reads and while it does not.
#[test]
fn a_write_of_4096_large_buffers_arrives_whole() {
    with_loop(|event_loop| {
        for reads_at_once in [true, false] {
            let (tcp, peer) = connected_pair(event_loop);
            let data = pattern(MUCH);
            let slices: Vec<IoSlice<'_>> = data.chunks(MUCH / 4096).map(IoSlice::new).collect();
            let (done, stream) = (expect(1), tcp.clone());
            let (mut reader, mut peer) = (None, Some(peer));
            if reads_at_once {
                reader = peer.take().map(collect);
            }
            tcp.write_vectored(&slices).then(move |result| {
                done.hit();
                result.unwrap();
                assert_eq!(stream.write_queue_size(), 0);
            });
            tcp.finish();
            let reader = reader.unwrap_or_else(|| collect(peer.expect("nobody reads yet")));
            event_loop.run().unwrap();
            assert!(reader.join().unwrap() == data);
        }
    });
}

/// WR-06: a connect's callback that closes the handle has the writes cancelled that were made before; the peer gets none of
/// them. The same of a shutdown.
#[test]
fn a_write_does_not_go_out_before_the_callback_of_the_connect() {
    with_loop(|event_loop| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = Tcp::new(event_loop);
        let (own, journal) = (tcp.clone(), Journal::new());
        let connected = journal.clone();
        tcp.connect(listener.local_addr().unwrap()).then(move |result| {
            connected.note(if result.is_ok() { "connected" } else { "failed" });
            own.close().then(connected.result("close"));
        });
        tcp.write("early").then(journal.result("write"));
        tcp.shutdown().then(journal.result("shutdown"));
        drop(tcp);
        event_loop.run().unwrap();
        journal.assert_is(&["connected", "write canceled", "shutdown canceled", "close ok"]);
        let (mut peer, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        let _ = peer.read_to_end(&mut received);
        assert_eq!(received, b"");
    });
}

/// WR-09, WR-06: the same while connecting, when all of it is queued.
#[test]
fn a_write_of_4096_buffers_can_be_queued() {
    with_loop(|event_loop| {
        let (server, client) = connecting(event_loop);
        let data = pattern(3 * 4096);
        let slices: Vec<IoSlice<'_>> = data.chunks(3).map(IoSlice::new).collect();
        client.write_vectored(&slices);
        assert_eq!(client.write_queue_size(), data.len());
        client.finish();
        event_loop.run().unwrap();
        let received = read_all(&server);
        event_loop.run().unwrap();
        assert!(*received.borrow() == data);
    });
}

/// WR-11, WR-12, WR-13: what the system has no room for follows by itself; a small write behind a big one waits for it,
/// and the queue size counts both until they are out.
#[test]
fn a_small_write_waits_for_a_big_one() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let data = pattern(MUCH);
        let journal = Journal::new();
        let note = |what: &'static str, left: usize| {
            let (stream, noted) = (tcp.clone(), journal.result(what));
            move |result| {
                assert!(stream.write_queue_size() <= left);
                noted(result);
            }
        };
        tcp.write(&data).then(note("big", 5));
        let queued = tcp.write_queue_size();
        assert!(0 < queued && queued < MUCH);
        tcp.write(b"abc").then(note("small", 2));
        assert_eq!(tcp.write_queue_size(), queued + 3);
        tcp.write(b"de").then(note("last", 0));
        assert_eq!(tcp.write_queue_size(), queued + 5);
        turn(event_loop);
        journal.assert_is(&[]);
        tcp.finish();
        let reader = collect(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["big ok", "small ok", "last ok"]);
        let received = reader.join().unwrap();
        assert!(received[..MUCH] == data && received[MUCH..] == *b"abcde");
    });
}

/// WR-12: the queue size shrinks with the progress of a write, not only with its end.
#[test]
fn the_queue_size_shrinks_with_progress() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let (done, finished) = (Rc::new(Cell::new(false)), expect(1));
        let is_done = Rc::clone(&done);
        tcp.write(vec![b'x'; MUCH]).then(move |result| {
            result.unwrap();
            finished.hit();
            is_done.set(true);
        });
        let queued = tcp.write_queue_size();
        let (wants, asked) = mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; MUCH / 4];
            while asked.recv().is_ok() {
                peer.read_exact(&mut buffer).unwrap();
            }
            peer.read_to_end(&mut buffer).unwrap();
        });
        wants.send(()).unwrap();
        turn_until(event_loop, || tcp.write_queue_size() < queued);
        assert!(!done.get() && tcp.write_queue_size() > 0);
        drop(wants);
        tcp.finish();
        event_loop.run().unwrap();
        reader.join().unwrap();
    });
}

/// WR-14: a peer that takes everything cannot hold up the loop: so many queued writes a turn, and the timers between.
#[test]
fn queued_writes_leave_room_for_the_rest_of_the_loop() {
    const WRITES: usize = 1000;
    with_built_loop(Loop::builder().writes_per_turn(1), |event_loop| {
        let (_server, client) = connecting(event_loop);
        let sent = expect(WRITES);
        for _ in 0..WRITES {
            let sent = sent.clone();
            client.write(b"x").then(move |result| {
                sent.hit();
                result.unwrap();
            });
        }
        let mut most = 0;
        while sent.hits() < WRITES {
            let before = sent.hits();
            event_loop.run_mode(RunMode::Once).unwrap();
            most = most.max(sent.hits() - before);
        }
        // 64 buffers a call; an event and the stream's own next go may fall into the same turn.
        assert!(most <= 2 * 64, "{most} writes in one turn");
    });
}

/// WR-14, WR-23: neither can one whose writes succeed at once, with a callback that always writes again.
#[test]
fn a_callback_that_always_writes_again_leaves_room_for_timers() {
    with_loop(|event_loop| {
        for data in [&b"x"[..], b""] {
            let (tcp, peer) = connected_pair(event_loop);
            let is_over = Rc::new(Cell::new(false));
            write_until(&tcp, data, &is_over);
            let fired = expect(1);
            Timer::after(event_loop, Duration::from_millis(5), move |_| {
                fired.hit();
                is_over.set(true);
                tcp.finish();
            });
            let reader = collect(peer);
            event_loop.run().unwrap();
            reader.join().unwrap();
        }
    });
}

fn write_until(tcp: &Tcp, data: &'static [u8], is_over: &Rc<Cell<bool>>) {
    let (stream, is_over) = (tcp.clone(), Rc::clone(is_over));
    tcp.write(data).then(move |result| {
        result.unwrap();
        if !is_over.get() {
            write_until(&stream, data, &is_over);
        }
    });
}

/// WR-14, WR-23: nor can a task that writes for ever.
#[test]
fn a_task_that_always_writes_again_leaves_room_for_timers() {
    with_loop(|event_loop| {
        for data in [&b"x"[..], b""] {
            let (tcp, peer) = connected_pair(event_loop);
            let (is_over, fired) = (Rc::new(Cell::new(false)), expect(1));
            let over = Rc::clone(&is_over);
            Timer::after(event_loop, Duration::from_millis(5), move |_| {
                fired.hit();
                over.set(true);
            });
            event_loop.go(async move {
                while !is_over.get() {
                    tcp.write(data).await?;
                }
                io::Result::Ok(())
            });
            let reader = collect(peer);
            event_loop.run().unwrap();
            reader.join().unwrap();
        }
    });
}

/// WR-14: a task whose writes fail at once, and that does not give up, leaves room, too.
#[test]
fn a_task_that_ignores_write_errors_leaves_room_for_timers() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        let (is_over, fired) = (Rc::new(Cell::new(false)), expect(1));
        let over = Rc::clone(&is_over);
        Timer::after(event_loop, Duration::from_millis(5), move |_| {
            fired.hit();
            over.set(true);
        });
        event_loop.go(async move {
            while !is_over.get() {
                let _ = tcp.write(b"x").await;
            }
        });
    });
}

// ---- failures ----------------------------------------------------------------------------------------------------

/// WR-15: of a broken connection each queued write hears, in order, with an error of its own that names the cause; what a
/// callback writes then fails behind them.
#[test]
fn each_queued_write_fails_with_its_own_error() {
    const WRITES: usize = 100;
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let (failed, late) = (expect(WRITES), expect(1));
        for number in 1..=WRITES {
            let (failed, late, tcp) = (failed.clone(), late.clone(), tcp.clone());
            tcp.clone().write(b"lost").then(move |result| {
                let err = result.unwrap_err();
                assert!([Some(libc::ECONNRESET), Some(libc::EPIPE)].contains(&err.raw_os_error()));
                assert_eq!(failed.hit(), number);
                assert_eq!(tcp.write_queue_size(), 0);
                if number == 1 {
                    tcp.write(b"late").then(move |result| {
                        late.hit();
                        assert_eq!(failed.hits(), WRITES);
                        result.unwrap_err();
                    });
                }
            });
        }
        reset(peer);
        event_loop.run().unwrap();
        assert!(!tcp.is_closing());
    });
}

/// WR-16: a write error neither closes the stream nor stops reading.
#[test]
fn reading_goes_on_after_a_write_error() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        note_reads(&tcp, &journal);
        cut_writing_side(&tcp);
        tcp.write(b"lost").then(journal.result("write"));
        turn(event_loop);
        journal.assert_is(&["write BrokenPipe"]);
        assert!(!tcp.is_closing() && tcp.is_active() && tcp.is_readable());
        peer.write_all(b"still here").unwrap();
        drop(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["write BrokenPipe", "still here", "end"]);
    });
}

/// WR-17: the first write to a peer that has gone may succeed; a later one does not.
#[test]
fn a_later_write_to_a_peer_that_has_gone_fails() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        drop(peer);
        let failed = event_loop.block_on(async {
            tcp.write(b"nobody is there").await?;
            loop {
                tcp.write(b"any more").await?;
            }
        });
        let failed: io::Result<()> = failed.unwrap();
        let kind = failed.unwrap_err().kind();
        assert!([io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&kind));
    });
}

/// WR-17: or the reader hears of it.
#[test]
fn the_reader_hears_of_a_peer_that_has_gone() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        // Data that the peer has not read makes its system answer the close with a reset.
        tcp.write(b"unread");
        assert_eq!(peer.read(&mut [0]).unwrap(), 1);
        drop(peer);
        tcp.write(b"nobody is there");
        let failed = expect(1);
        tcp.read_start(move |_, chunk| {
            failed.hit();
            assert_eq!(chunk.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        })
        .unwrap();
    });
}

/// WR-22: a socket shut down behind the library's back, by itself or by the loop's queue, ends in an error in the callback.
#[test]
fn a_socket_shut_down_behind_the_back_is_an_error_in_the_callback() {
    with_loop(|event_loop| {
        for how in [Shutdown::Write, Shutdown::Both] {
            for is_full in [false, true] {
                let (tcp, _peer) = connected_pair(event_loop);
                if is_full {
                    fill(&tcp);
                    tcp.write(b"queued").then(|result| {
                        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                    });
                }
                tcp.with_fd(|fd| SockRef::from(&fd).shutdown(how)).unwrap().unwrap();
                let failed = expect(2);
                for request in [tcp.write(b"x"), tcp.write_vectored(&[IoSlice::new(b"y")])] {
                    let failed = failed.clone();
                    request.then(move |result| {
                        failed.hit();
                        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                    });
                }
                event_loop.run().unwrap();
                assert_eq!(tcp.write_queue_size(), 0);
            }
        }
    });
}

/// WR-23: a write callback may write, shut down and close.
#[test]
fn a_write_callback_may_do_anything() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let (stream, noted) = (tcp.clone(), journal.clone());
        tcp.write(b"one, ").then(move |_| {
            noted.note("one");
            let (last, noted_last) = (stream.clone(), noted.clone());
            stream.write(b"two").then(move |_| {
                noted_last.note("two");
                let (closing, noted_close) = (last.clone(), noted_last.clone());
                last.shutdown().then(move |result| {
                    result.unwrap();
                    noted_last.note("shutdown");
                    closing.close().then(noted_close.result("close"));
                });
            });
        });
        drop(tcp);
        event_loop.run().unwrap();
        journal.assert_is(&["one", "two", "shutdown", "close ok"]);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "one, two");
    });
}

/// WR-23: a close in the callback of a write cancels the ones behind it, each once, before the close itself.
#[test]
fn a_close_in_a_write_callback_cancels_the_others() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let (stream, noted) = (tcp.clone(), journal.clone());
        tcp.write(b"at once").then(move |_| drop(stream.close().then(noted.result("close"))));
        fill(&tcp);
        tcp.write(b"a").then(journal.result("a"));
        tcp.write(b"b").then(journal.result("b"));
        event_loop.run().unwrap();
        journal.assert_is(&["a canceled", "b canceled", "close ok"]);
    });
}

// ---- try_write ---------------------------------------------------------------------------------------------------

/// WR-18, WR-19: `try_write` takes what fits and says how much; then it would block. Nothing is queued. When the peer has
/// read, there is room again.
#[test]
fn try_write_takes_what_fits() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let data = pattern(MUCH);
        let mut taken = tcp.try_write(&data).unwrap();
        assert!(0 < taken && taken < MUCH);
        let err = loop {
            match tcp.try_write(&data[taken..]) {
                Ok(more) => taken += more,
                Err(err) => break err,
            }
        };
        assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(tcp.write_queue_size(), 0);
        assert!(!tcp.is_active(), "nothing is under way");
        let mut received = vec![0; taken];
        peer.read_exact(&mut received).unwrap();
        assert!(received == data[..taken]);
        while tcp.try_write(b"z").is_err() {
            turn(event_loop);
        }
        let mut received = [0];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(received, *b"z");
    });
}

/// WR-18, WR-19: several buffers, and more than the system takes in one call, are taken in order as far as they fit.
#[test]
fn try_write_vectored_takes_what_fits() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let data = pattern(MUCH);
        let mut taken = 0;
        let err = loop {
            // Empty ones between are no reason to stop.
            let empty = [IoSlice::new(b""); 1_100];
            let rest = data[taken..].chunks(1_000).map(IoSlice::new);
            let slices: Vec<_> = empty.into_iter().chain(rest).collect();
            match tcp.try_write_vectored(&slices) {
                Ok(0) => panic!("nothing was taken of something"),
                Ok(more) => taken += more,
                Err(err) => break err,
            }
        };
        assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
        assert!(0 < taken && taken < MUCH && tcp.write_queue_size() == 0);
        let mut received = vec![0; taken];
        peer.read_exact(&mut received).unwrap();
        assert!(received == data[..taken]);

        let (idle, _other) = connected_pair(event_loop);
        assert_eq!(idle.try_write_vectored(&[IoSlice::new(b"")]).unwrap(), 0);
        assert_eq!(misuse(idle.try_write_vectored(&[])), Misuse::NoBuffers);
    });
}

/// WR-18: nothing is nothing to wait for.
#[test]
fn try_write_of_nothing_succeeds() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        assert_eq!(tcp.try_write(b"").unwrap(), 0);
    });
}

/// WR-18, WR-19: it never overtakes: while connecting and while anything is queued, it would block.
#[test]
fn try_write_never_overtakes() {
    with_loop(|event_loop| {
        let (server, client) = connecting(event_loop);
        let would_block = |tcp: &Tcp| {
            let queued = tcp.write_queue_size();
            let slices = [IoSlice::new(b"overtaken")];
            for tried in [tcp.try_write(b"overtaken"), tcp.try_write_vectored(&slices)] {
                let err = tried.unwrap_err();
                assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
                assert!(Misuse::of(&err).is_none());
            }
            assert_eq!(tcp.write_queue_size(), queued);
        };
        would_block(&client);
        client.write(b"");
        would_block(&client);
        client.write(b"queued, ");
        would_block(&client);
        let (sent, tcp) = (expect(1), client.clone());
        client.write(b"queued, ").then(move |_| {
            sent.hit();
            assert_eq!(tcp.try_write(b"tried").unwrap(), 5);
            tcp.finish();
        });
        event_loop.run().unwrap();
        let received = read_all(&server);
        event_loop.run().unwrap();
        assert_eq!(*received.borrow(), b"queued, queued, tried");

        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        would_block(&tcp);
        tcp.close();
    });
}

/// WR-20: the system's errors are returned at once, again and again, and the handle stays open.
#[test]
fn try_write_returns_hard_errors_at_once() {
    with_loop(|event_loop| {
        let tcp = broken(event_loop);
        for _ in 0..3 {
            let err = tcp.try_write(b"x").unwrap_err();
            assert!([Some(libc::ECONNRESET), Some(libc::EPIPE)].contains(&err.raw_os_error()));
        }
        assert_eq!(tcp.write_queue_size(), 0);
        assert!(!tcp.is_closing());

        let (tcp, _peer) = connected_pair(event_loop);
        cut_writing_side(&tcp);
        assert_eq!(tcp.try_write(b"x").unwrap_err().raw_os_error(), Some(libc::EPIPE));
    });
}

// ---- what must not happen ----------------------------------------------------------------------------------------

/// WR-21: no way of writing to a broken connection raises SIGPIPE. A handle for the signal, which also takes away that std
/// ignores it, gets one delivery only, of the kind that std's own `write_vectored` raises.
#[cfg(all(feature = "signal", target_os = "linux"))]
#[test]
fn a_broken_connection_raises_no_signal() {
    // In a process of its own: the signal's action belongs to all tests of this one.
    if !support::is_child() {
        let _watchdog = watchdog();
        let name = "a_broken_connection_raises_no_signal";
        assert!(support::child(name, "").status().unwrap().success());
        return;
    }
    with_loop(|event_loop| {
        let raised = Rc::new(Cell::new(0));
        let pipe = luvio::Signal::new(event_loop);
        let count = Rc::clone(&raised);
        pipe.start(luvio::Signal::PIPE, move |_, _| count.set(count.get() + 1)).unwrap();
        pipe.unref();
        let two = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        let failed = expect(7);
        let note = |request: Request<()>| {
            let failed = failed.clone();
            request.then(move |result| {
                failed.hit();
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            });
        };

        // At once.
        let (tcp, _peer) = connected_pair(event_loop);
        cut_writing_side(&tcp);
        note(tcp.write(b"x"));
        note(tcp.write_vectored(&two));
        tcp.try_write(b"x").unwrap_err();
        note(tcp.shutdown());
        // Out of the queue: one buffer, then several, with a shutdown behind them.
        for writes in [1, 3] {
            let (server, client) = connecting(event_loop);
            turn_until(event_loop, || client.is_writable());
            while client.try_write(&[0; 4096]).is_ok() {}
            for _ in 1..writes {
                client.write(b"x");
            }
            note(client.write(b"x"));
            note(client.shutdown());
            assert!(client.write_queue_size() > 0);
            cut_writing_side(&client);
            event_loop.run().unwrap();
            drop(server);
        }
        event_loop.run().unwrap();
        // A reset, of which the writes hear.
        let (tcp, peer) = connected_pair(event_loop);
        reset(peer);
        while tcp.try_write(b"x").is_ok() {}
        tcp.write(b"x");
        tcp.write_vectored(&two);
        tcp.shutdown();
        turn(event_loop);
        assert_eq!(raised.get(), 0);

        // Had there been one, it would have been noticed.
        let (mut here, _there) = support::std_pair();
        here.shutdown(Shutdown::Write).unwrap();
        here.write_vectored(&two).unwrap_err();
        while raised.get() == 0 {
            turn(event_loop);
        }
        pipe.close();
    });
}

/// WR-25: what the caller does with its buffer after `write` does not change what is sent.
#[test]
fn the_queue_owns_what_it_sends() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let mut data = pattern(MUCH);
        let sent = data.clone();
        tcp.write(&data);
        assert!(tcp.write_queue_size() > 0);
        data.fill(0);
        let mut small = *b"small";
        tcp.write_vectored(&[IoSlice::new(&small)]);
        small.fill(0);
        drop(data);
        tcp.finish();
        let reader = collect(peer);
        event_loop.run().unwrap();
        let received = reader.join().unwrap();
        assert!(received[..MUCH] == sent && received[MUCH..] == *b"small");
    });
}
