//! Reading from streams. Statements RD of the behaviour chapter.

mod support;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::pin::pin;
use std::process::Command;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use luvio::{Check, Loop, Misuse, RunMode, Tcp, Timer, is_canceled};
use socket2::SockRef;
use support::{
    Drops, Journal, connected_pair, expect, fill, misuse, pair_with_data, reset, std_pair, turn,
    turn_until, with_built_loop, with_loop,
};

/// A read callback that notes each chunk as text, then how it ended, and then closes the stream.
fn noting(journal: &Journal) -> impl FnMut(&Tcp, io::Result<Option<&[u8]>>) + use<> {
    let journal = journal.clone();
    move |tcp, chunk| {
        match chunk {
            Ok(Some(data)) => return journal.note(String::from_utf8_lossy(data)),
            Ok(None) => journal.note("end"),
            Err(err) => journal.note(format!("{:?}", err.kind())),
        }
        tcp.close();
    }
}

/// Polls a future once, outside of any task.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

// ---- who may read -------------------------------------------------------------------------------------------------

/// RD-01: what has no peer cannot be read: neither a new handle, nor a bound one, nor a listener.
#[test]
fn a_stream_without_a_peer_cannot_be_read() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        let refused = || {
            let err = tcp.read_start(|_, _| unreachable!()).unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::NotConnected);
            assert_eq!(Misuse::of(&err), Some(Misuse::NotConnected));
            assert!(!tcp.is_readable());
        };
        refused();
        tcp.bind("127.0.0.1:0").unwrap();
        refused();
        tcp.listen_only(1).unwrap();
        refused();
    });
}

/// RD-02: a closing stream cannot be read.
#[test]
fn a_closing_stream_cannot_be_read() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        tcp.close();
        let err = tcp.read_start(|_, _| unreachable!()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(Misuse::of(&err), Some(Misuse::Closing));
    });
}

/// RD-02: a stream has one read callback; a second one is refused and the first stays.
#[test]
fn a_second_read_callback_is_refused() {
    with_loop(|event_loop| {
        let (tcp, _) = pair_with_data(event_loop, b"data");
        let journal = Journal::new();
        tcp.read_start(noting(&journal)).unwrap();
        let err = tcp.read_start(|_, _| unreachable!()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(Misuse::of(&err), Some(Misuse::AlreadyReading));
        event_loop.run().unwrap();
        journal.assert_is(&["data", "end"]);
    });
}

/// RD-02: a callback is refused beside a future that waits for data, and the future beside the callback.
#[test]
fn a_callback_and_a_future_do_not_read_side_by_side() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        {
            let mut waiting = pin!(tcp.read_once());
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(misuse(tcp.read_start(|_, _| unreachable!())), Misuse::AlreadyReading);
            assert!(poll_once(waiting).is_pending(), "the first stays");
        }
        tcp.read_start(|_, _| unreachable!()).unwrap();
        let Poll::Ready(refused) = poll_once(tcp.read_once()) else {
            panic!("two read at the same time");
        };
        assert_eq!(misuse(refused), Misuse::AlreadyReading);
        tcp.close();
    });
}

/// RD-03: reading may begin while the connect is under way; the data then comes after the connect's callback, even when
/// the loop hears of both at once.
#[test]
fn a_connecting_stream_may_be_read() {
    with_loop(|event_loop| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let journal = Journal::new();
        let tcp = Tcp::new(event_loop);
        tcp.connect(listener.local_addr().unwrap()).then(journal.result("connect"));
        tcp.read_start(noting(&journal)).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"data").unwrap();
        drop(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["connect ok", "data", "end"]);
    });
}

// ---- data ---------------------------------------------------------------------------------------------------------

/// RD-04: the callback does not run inside `read_start`, neither before the first poll nor on a stream that the loop
/// knows to have data.
#[test]
fn a_read_callback_never_runs_inside_read_start() {
    with_loop(|event_loop| {
        for is_known in [false, true] {
            let (tcp, _) = pair_with_data(event_loop, b"data");
            if is_known {
                turn(event_loop);
            }
            let journal = Journal::new();
            tcp.read_start(noting(&journal)).unwrap();
            journal.note("the call is over");
            event_loop.run().unwrap();
            journal.assert_is(&["the call is over", "data", "end"]);
        }
    });
}

/// RD-05: whatever the chunk size, all data comes once and in order, in chunks that are not larger.
#[test]
fn data_comes_complete_and_in_order() {
    let sent: Vec<u8> = (0..1_000_003_u32).map(|i| (i * 31 % 251) as u8).collect();
    for read_chunk in [97, 4096, 1 << 20] {
        with_built_loop(Loop::builder().read_chunk(read_chunk), |event_loop| {
            let (tcp, mut peer) = connected_pair(event_loop);
            let data = sent.clone();
            let writer = thread::spawn(move || {
                for (index, piece) in data.chunks(10_007).enumerate() {
                    let (first, second) = piece.split_at(index * 13 % piece.len());
                    peer.write_all(first).unwrap();
                    peer.write_all(second).unwrap();
                }
            });
            let received = Rc::new(Cell::new(Vec::new()));
            let sink = Rc::clone(&received);
            tcp.read_start(move |_, chunk| {
                if let Some(data) = chunk.unwrap() {
                    assert!(data.len() <= read_chunk);
                    let mut all = sink.take();
                    all.extend_from_slice(data);
                    sink.set(all);
                }
            })
            .unwrap();
            event_loop.run().unwrap();
            writer.join().unwrap();
            assert!(received.take() == sent, "not what was sent");
        });
    }
}

/// RD-06: a read that finds nothing, as the one after a buffer that was filled exactly, calls nobody.
#[test]
fn there_are_no_empty_chunks() {
    with_built_loop(Loop::builder().read_chunk(4), |event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"abcdefgh");
        let journal = Journal::new();
        tcp.read_start(noting(&journal)).unwrap();
        turn_until(event_loop, || journal.entries().len() == 2);
        turn(event_loop);
        peer.write_all(b"ij").unwrap();
        drop(peer);
        event_loop.run().unwrap();
        journal.assert_is(&["abcd", "efgh", "ij", "end"]);
    });
}

/// RD-20: a read inside a read callback, while the loop's buffer is on loan, has a buffer, too.
#[test]
fn a_read_inside_a_read_callback_has_a_buffer() {
    with_loop(|event_loop| {
        let (outer, _) = pair_with_data(event_loop, b"outer");
        let (inner, _peer) = pair_with_data(event_loop, b"inner");
        turn(event_loop);
        let called = expect(1);
        outer
            .read_start(move |outer, chunk| {
                called.hit();
                let Poll::Ready(Ok(Some(read))) = poll_once(inner.read_once()) else {
                    panic!("there is data");
                };
                assert_eq!(read, b"inner");
                assert_eq!(chunk.unwrap(), Some(&b"outer"[..]), "it was overwritten");
                outer.close();
            })
            .unwrap();
    });
}

// ---- the end ------------------------------------------------------------------------------------------------------

/// RD-07: the end of the stream is one callback of its own; then reading has stopped, and the handle is open.
#[test]
fn the_end_of_the_stream_comes_once_and_stops_reading() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let (ended, drops) = (expect(1), Drops::new());
        let token = drops.token();
        tcp.read_start(move |tcp, chunk| {
            token.keep();
            ended.hit();
            assert!(matches!(chunk, Ok(None)));
            assert!(!tcp.is_active());
        })
        .unwrap();
        drop(peer);
        event_loop.run().unwrap();
        assert!(!tcp.is_active() && !tcp.is_closing());
        assert_eq!(drops.count(), 1, "the callback is not needed any more");
    });
}

/// RD-08, RD-25: data that came before the end is delivered before it, also when one poll reports both.
#[test]
fn data_is_delivered_before_the_end() {
    with_built_loop(Loop::builder().read_chunk(3).reads_per_turn(2), |event_loop| {
        let (tcp, peer) = pair_with_data(event_loop, b"abcdefgh");
        drop(peer);
        let journal = Journal::new();
        tcp.read_start(noting(&journal)).unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&["abc", "def", "gh", "end"]);
    });
}

/// RD-09: after the end of what the peer sends, the stream can be written and still counts as readable.
#[test]
fn a_stream_can_be_written_after_the_end() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let noted = journal.clone();
        tcp.read_start(move |tcp, chunk| {
            assert!(chunk.unwrap().is_none());
            assert!(tcp.is_readable() && tcp.is_writable());
            tcp.write(b"answer").then(noted.result("write"));
            tcp.finish();
        })
        .unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&["write ok"]);
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    });
}

/// RD-10: reading may begin again after the end, and comes to the end again; an awaited read does, too.
#[test]
fn reading_after_the_end_comes_to_the_end_again() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        drop(peer);
        let (first, second) = (expect(1), expect(1));
        tcp.read_start(move |tcp, chunk| {
            first.hit();
            assert!(chunk.unwrap().is_none());
            let second = second.clone();
            tcp.read_start(move |_, chunk| {
                second.hit();
                assert!(chunk.unwrap().is_none());
            })
            .unwrap();
        })
        .unwrap();
        event_loop.run().unwrap();
        let read = event_loop.block_on(async { (tcp.read_once().await, tcp.read_once().await) });
        assert!(matches!(read, Ok((Ok(None), Ok(None)))));
    });
}

/// RD-10: whoever starts to read again in the callback of the end hears of it once a turn.
#[test]
fn the_end_comes_once_a_turn() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        drop(peer);
        let ends = Rc::new(Cell::new(0));
        fn again(tcp: &Tcp, ends: &Rc<Cell<usize>>) {
            let ends = Rc::clone(ends);
            let started = tcp.read_start(move |tcp, chunk| {
                assert!(chunk.unwrap().is_none());
                ends.set(ends.get() + 1);
                again(tcp, &ends);
            });
            started.unwrap();
        }
        again(&tcp, &ends);
        turn_until(event_loop, || ends.get() > 0);
        for turns in 1..10 {
            assert_eq!(ends.get(), turns);
            turn(event_loop);
        }
        tcp.close();
    });
}

/// L-27, RD-19: a stream that waits for its next go and gets an event besides has one budget in the turn, not two.
#[test]
fn an_event_does_not_double_the_budget() {
    with_built_loop(Loop::builder().read_chunk(16).reads_per_turn(2), |event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, &[b'x'; 400]);
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let read = Rc::new(Cell::new(0));
        let bytes = Rc::clone(&read);
        tcp.read_start(move |_, chunk| {
            counter.set(counter.get() + 1);
            bytes.set(bytes.get() + chunk.unwrap().unwrap().len());
        })
        .unwrap();
        let mut written = 400;
        for _ in 0..12 {
            peer.write_all(&[b'y'; 10]).unwrap();
            written += 10;
            calls.set(0);
            turn(event_loop);
            assert_eq!(calls.get(), 2);
        }
        turn_until(event_loop, || read.get() == written);
        tcp.close();
    });
}

/// RD-21: a peer that left before reading began, with nothing to read, is the end of the stream.
#[test]
fn a_peer_that_left_before_reading_began_is_the_end() {
    with_loop(|event_loop| {
        for is_known in [false, true] {
            let (tcp, peer) = connected_pair(event_loop);
            drop(peer);
            if is_known {
                turn(event_loop);
                turn(event_loop);
            }
            let journal = Journal::new();
            tcp.read_start(noting(&journal)).unwrap();
            event_loop.run().unwrap();
            journal.assert_is(&["end"]);
        }
    });
}

// ---- errors -------------------------------------------------------------------------------------------------------

/// RD-11: an error is delivered once; then the stream is good for nothing but to be closed, which is left to the user.
#[test]
fn a_read_error_ends_everything_but_the_handle() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let failed = expect(1);
        tcp.read_start(move |tcp, chunk| {
            failed.hit();
            chunk.unwrap_err();
            assert!(!tcp.is_active());
        })
        .unwrap();
        reset(peer);
        event_loop.run().unwrap();
        assert!(!tcp.is_active() && !tcp.is_closing());
        assert!(!tcp.is_readable() && !tcp.is_writable());
        assert_eq!(misuse(tcp.read_start(|_, _| unreachable!())), Misuse::NotConnected);
        let refused = expect(1);
        tcp.write(b"x").then(move |result| {
            refused.hit();
            let err = result.unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(Misuse::of(&err), Some(Misuse::ShutDown));
        });
    });
}

/// RD-12: a reset by the peer is that error, with the system's code, and not the end of the stream.
#[test]
fn a_reset_is_an_error() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let called = expect(1);
        tcp.read_start(move |_, chunk| {
            called.hit();
            assert_eq!(chunk.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
        })
        .unwrap();
        reset(peer);
    });
}

/// RD-12: the reader hears of the reset also when writes are waiting, which the reset fails first.
#[test]
fn a_reset_is_an_error_also_when_writes_are_waiting() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        tcp.write(b"x").then(journal.result("write"));
        tcp.read_start(noting(&journal)).unwrap();
        reset(peer);
        event_loop.run().unwrap();
        let mut noted = journal.entries();
        noted.sort();
        assert_eq!(noted[0], "ConnectionReset");
        assert!(noted[1] == "write ConnectionReset" || noted[1] == "write BrokenPipe");
    });
}

/// RD-12: an awaiting reader hears of the reset also when writes are waiting.
#[test]
fn an_awaited_read_fails_by_a_reset_also_when_writes_are_waiting() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let read = event_loop.block_on(async {
            let mut reading = pin!(tcp.read_once());
            assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            reset(peer);
            reading.await
        });
        assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

// ---- stopping -----------------------------------------------------------------------------------------------------

/// RD-13: after `read_stop` there is not one call more, though data is at hand; to stop again does nothing.
#[test]
fn stopping_takes_effect_at_once() {
    with_built_loop(Loop::builder().read_chunk(1), |event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, b"abc");
        let (called, drops) = (expect(1), Drops::new());
        let token = drops.token();
        tcp.read_start(move |tcp, chunk| {
            token.keep();
            called.hit();
            assert_eq!(chunk.unwrap(), Some(&b"a"[..]));
            tcp.read_stop();
            tcp.read_stop();
        })
        .unwrap();
        event_loop.run().unwrap();
        turn(event_loop);
        assert_eq!(drops.count(), 1);
        tcp.read_start(|_, _| unreachable!()).unwrap();
        tcp.read_stop();
        turn(event_loop);
    });
}

/// RD-14: stopping and starting in the callback loses nothing: the new callback gets the rest.
#[test]
fn another_callback_gets_the_rest() {
    with_built_loop(Loop::builder().read_chunk(2), |event_loop| {
        let (tcp, _) = pair_with_data(event_loop, b"abcdef");
        let (journal, drops) = (Journal::new(), Drops::new());
        let (noted, token) = (journal.clone(), drops.token());
        let is_dropped = drops.clone();
        tcp.read_start(move |tcp, chunk| {
            token.keep();
            noted.note(format!("first {:?}", chunk.unwrap().map(<[u8]>::len)));
            tcp.read_stop();
            tcp.read_start(noting(&noted)).unwrap();
            assert_eq!(is_dropped.count(), 0, "dropped while it runs");
        })
        .unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&["first Some(2)", "cd", "ef", "end"]);
        assert_eq!(drops.count(), 1);
    });
}

/// RD-15: what arrived while the stream was stopped comes after the next start, without anything new arriving.
#[test]
fn data_waits_while_the_stream_is_stopped() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.read_start(noting(&journal)).unwrap();
        peer.write_all(b"one").unwrap();
        turn_until(event_loop, || !journal.entries().is_empty());
        tcp.read_stop();
        peer.write_all(b"two").unwrap();
        for _ in 0..3 {
            turn(event_loop);
        }
        journal.assert_is(&["one"]);
        tcp.read_start(noting(&journal)).unwrap();
        turn_until(event_loop, || journal.entries().len() == 2);
        journal.assert_is(&["one", "two"]);
        tcp.close();
    });
}

/// A stream that has more to read and is stopped is not kept by its next go: it closes when nobody holds it.
#[test]
fn a_stopped_stream_is_closed_when_nobody_holds_it() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"data");
        turn(event_loop);
        tcp.read_start(|_, _| unreachable!()).unwrap();
        tcp.read_stop();
        drop(tcp);
        let read = peer.read(&mut [0]);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "not closed");
    });
}

/// RD-16: data that nobody reads does not keep the loop awake.
#[test]
fn data_that_nobody_reads_does_not_make_the_loop_spin() {
    with_loop(|event_loop| {
        let (_tcp, _peer) = pair_with_data(event_loop, b"data");
        let turns = Rc::new(Cell::new(0));
        let (check, count) = (Check::new(event_loop), Rc::clone(&turns));
        check.start(move |_| count.set(count.get() + 1)).unwrap();
        check.unref();
        Timer::after(event_loop, Duration::from_millis(50), |_| {});
        event_loop.run().unwrap();
        assert!(turns.get() <= 3, "{} turns", turns.get());
        check.close();
    });
}

/// RD-17: closing in the callback ends the calls, though more data is at hand.
#[test]
fn closing_in_the_callback_ends_the_calls() {
    with_built_loop(Loop::builder().read_chunk(1), |event_loop| {
        let (tcp, _) = pair_with_data(event_loop, b"abc");
        let called = expect(1);
        tcp.read_start(move |tcp, _| {
            called.hit();
            tcp.close();
        })
        .unwrap();
    });
}

/// RD-18: closing a stream calls no read callback, only drops it; a task that awaits data gets `Canceled`.
#[test]
fn closing_calls_no_read_callback_and_cancels_an_awaited_read() {
    with_loop(|event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, b"data");
        let drops = Drops::new();
        let token = drops.token();
        tcp.read_start(move |_, _| {
            token.keep();
            unreachable!("nobody reads any more");
        })
        .unwrap();
        tcp.close();
        let (awaited, _there) = connected_pair(event_loop);
        let (reader, canceled) = (awaited.clone(), expect(1));
        event_loop.go(async move {
            assert!(is_canceled(&reader.read_once().await.unwrap_err()));
            canceled.hit();
        });
        event_loop.defer(move |_| drop(awaited.close()));
        event_loop.run().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

/// RD-19: a stream gets so many calls in a turn and the rest in the turns that follow, without a new arrival.
#[test]
fn a_turn_has_a_bounded_number_of_reads() {
    with_built_loop(Loop::builder().read_chunk(1).reads_per_turn(4), |event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, b"abcdefghij");
        let journal = Journal::new();
        let (check, noted) = (Check::new(event_loop), journal.clone());
        check.start(move |_| noted.note("check")).unwrap();
        check.unref();
        let noted = journal.clone();
        tcp.read_start(move |tcp, chunk| {
            let data = chunk.unwrap().unwrap();
            noted.note(String::from_utf8_lossy(data));
            if data == b"j" {
                tcp.close();
            }
        })
        .unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&[
            "a", "b", "c", "d", "check", "e", "f", "g", "h", "check", "i", "j", "check",
        ]);
        check.close();
    });
}

// ---- what else the socket does ------------------------------------------------------------------------------------

/// RD-22: urgent data brings no error and no empty chunk, and what follows it arrives without anything new arriving.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))] // elsewhere what follows waits for the next arrival
fn urgent_data_does_not_disturb_the_reader() {
    with_loop(|event_loop| {
        let (here, mut there) = std_pair();
        there.write_all(b"before").unwrap();
        SockRef::from(&there).send_out_of_band(b"!").unwrap();
        there.write_all(b"behind").unwrap();
        // A read stops at the mark, so the first one is short although there is more.
        while here.peek(&mut [0; 20]).unwrap() < 6 {}
        let tcp = Tcp::new(event_loop);
        tcp.open(here).unwrap();
        let received = Rc::new(Cell::new(Vec::new()));
        let sink = Rc::clone(&received);
        tcp.read_start(move |tcp, chunk| {
            let data = chunk.unwrap().unwrap();
            assert!(!data.is_empty());
            let mut all = sink.take();
            all.extend_from_slice(data);
            let is_complete = all.ends_with(b"behind");
            sink.set(all);
            if is_complete {
                tcp.close();
            }
        })
        .unwrap();
        event_loop.run().unwrap();
        assert_eq!(received.take(), b"beforebehind");
    });
}

/// RD-22: urgent data by itself makes no call, and the loop does not spin on it.
#[test]
fn urgent_data_alone_makes_no_call() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        tcp.read_start(|_, _| unreachable!("there is nothing to read")).unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        let turns = Rc::new(Cell::new(0));
        let (check, count) = (Check::new(event_loop), Rc::clone(&turns));
        check.start(move |_| count.set(count.get() + 1)).unwrap();
        check.unref();
        Timer::after(event_loop, Duration::from_millis(50), move |_| {
            tcp.close();
            check.close();
        });
        event_loop.run().unwrap();
        assert!(turns.get() <= 4, "{} turns", turns.get());
    });
}

/// RD-23: neither the end of reading nor a stop touches the writes that wait.
#[test]
fn the_read_side_leaves_writes_alone() {
    with_loop(|event_loop| {
        for is_stopped in [false, true] {
            let (tcp, mut peer) = connected_pair(event_loop);
            let journal = Journal::new();
            let total = fill(&tcp);
            tcp.write(b"last").then(journal.result("write"));
            let noted = journal.clone();
            tcp.read_start(move |_, chunk| {
                assert!(chunk.unwrap().is_none());
                noted.note("end");
            })
            .unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            if is_stopped {
                tcp.read_stop();
                journal.note("end");
            }
            turn_until(event_loop, || !journal.entries().is_empty());
            assert!(tcp.write_queue_size() > 0);
            tcp.finish();
            drop(tcp);
            let reader = thread::spawn(move || {
                let mut received = Vec::new();
                peer.read_to_end(&mut received).unwrap();
                received.len()
            });
            event_loop.run().unwrap();
            journal.assert_is(&["end", "write ok"]);
            assert_eq!(reader.join().unwrap(), total + 4);
        }
    });
}

/// RD-24: a descriptor that a child process still has open wakes the loop no more, once the loop has closed its own.
#[test]
fn a_descriptor_that_a_child_has_open_does_not_wake_the_loop() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let copy = tcp.with_fd(|fd| fd.try_clone_to_owned()).unwrap().unwrap();
        let mut child = Command::new("sleep").arg("60").stdin(copy).spawn().unwrap();
        tcp.read_start(|_, _| unreachable!("closed")).unwrap();
        tcp.close();
        event_loop.run().unwrap();
        peer.write_all(b"for the child").unwrap();
        let fired = expect(1);
        let late = fired.clone();
        Timer::after(event_loop, Duration::from_millis(20), move |_| {
            fired.hit();
        });
        event_loop.run_mode(RunMode::Once).unwrap();
        assert_eq!(late.hits(), 1, "something else ended the sleep");
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
