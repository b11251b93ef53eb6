//! The program's code where a stream calls none of its callbacks: destructors of closures, and wakers that are not luvio's.
//! It may use the stream, panic, or both; the stream is whole before it runs, and whoever else waits is told.

#[cfg(feature = "futures")]
#[path = "support/foreign.rs"]
mod foreign;
mod support;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use luvio::{Loop, Tcp};
use support::{
    Drops, Journal, connected_pair, fill, listening, misuse, pair_with_data, refusing_addr,
    watchdog, with_loop,
};

/// Calls `f` when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics when it is dropped.
fn bomb() -> impl Drop {
    OnDrop(|| panic!("on purpose"))
}

/// What a waker does, until it has.
type Deed = Option<Box<dyn FnOnce()>>;

thread_local! {
    /// What the wakers of this thread do, by their number.
    static WAKES: RefCell<Vec<Deed>> = const { RefCell::new(Vec::new()) };
}

/// A waker that calls a closure of its thread, once.
struct Calls(usize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        if let Some(f) = WAKES.with_borrow_mut(|wakes| wakes[self.0].take()) {
            f();
        }
    }
}

fn waker(f: impl FnOnce() + 'static) -> Waker {
    let number = WAKES.with_borrow_mut(|wakes| {
        wakes.push(Some(Box::new(f)));
        wakes.len() - 1
    });
    Waker::from(Arc::new(Calls(number)))
}

/// Polls `future`, which has to wait, so that `f` is called when it is woken.
fn wait<F: Future + Unpin>(future: &mut F, f: impl FnOnce() + 'static) {
    let polled = Pin::new(future).poll(&mut Context::from_waker(&waker(f)));
    assert!(polled.is_pending(), "it has to wait");
}

/// Runs the loop once more for each panic, and says how many there were.
fn run_through_panics(event_loop: &Loop) -> usize {
    let mut panics = 0;
    while let Err(payload) = catch_unwind(AssertUnwindSafe(|| event_loop.run().unwrap())) {
        assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
        panics += 1;
    }
    assert!(event_loop.alive_because().is_empty());
    panics
}

// ---- a connect that fails ------------------------------------------------------------------------------------------

/// L-40, TC-11, RD-26: a destructor of the reader's that connects again, to somebody who listens, disturbs neither connect.
#[test]
fn the_drop_of_a_reader_may_connect_again() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let journal = Journal::new();
        let client = Tcp::new(event_loop);
        client.connect(refusing_addr()).then(journal.result("first"));
        let (again, second) = (client.clone(), journal.clone());
        let reconnect = OnDrop(move || {
            let (closed, server) = (again.clone(), server.clone());
            let second = second.result("second");
            again.connect(addr).then(move |result| {
                second(result);
                closed.close();
                server.close();
            });
        });
        client.read_start(move |_, _| _ = &reconnect).unwrap();
        drop(client);
        event_loop.run().unwrap();
        journal.assert_is(&["first ConnectionRefused", "second ok"]);
    });
}

/// L-40, RD-26: a destructor of the reader's that panics leaves nobody without an answer.
#[test]
fn the_drop_of_a_reader_may_panic() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let client = Tcp::new(event_loop);
        client.connect(refusing_addr()).then(journal.result("connect"));
        client.write("early").then(journal.result("write"));
        let bomb = bomb();
        let told = journal.clone();
        client
            .read_start(move |_, chunk| {
                _ = &bomb;
                told.note(format!("reader {:?}", chunk.unwrap_err().kind()));
            })
            .unwrap();
        drop(client);
        assert_eq!(run_through_panics(event_loop), 1);
        journal.assert_is(&[
            "connect ConnectionRefused",
            "write canceled",
            "reader ConnectionRefused",
        ]);
    });
}

/// L-40, TC-11: a waker that connects again inside its wake disturbs neither connect.
#[test]
fn a_waker_may_connect_again() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let journal = Journal::new();
        let client = Tcp::new(event_loop);
        client.connect(refusing_addr()).then(journal.result("first"));
        let mut read = client.read_once();
        let (again, second) = (client.clone(), journal.clone());
        wait(&mut read, move || {
            let second = second.result("second");
            again.connect(addr).then(move |result| {
                second(result);
                server.close();
            });
        });
        event_loop.run().unwrap();
        journal.assert_is(&["first ConnectionRefused", "second ok"]);
        assert!(client.is_writable());
    });
}

/// L-40, TC-11: a destructor may make a listener of the handle whose connect failed.
#[test]
fn the_drop_of_a_reader_may_listen() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        let connecting = server.connect(refusing_addr());
        let (again, journal) = (server.clone(), Journal::new());
        let accepted = journal.clone();
        let listen = OnDrop(move || {
            let accepted = accepted.clone();
            again.bind("127.0.0.1:0").unwrap();
            let listen = again.listen(8, move |server, incoming| {
                accepted.note(format!("{incoming:?}"));
                server.close();
            });
            listen.unwrap();
            let client = Tcp::new(again.event_loop());
            client.connect(again.local_addr().unwrap()).then(move |_| drop(client.close()));
        });
        server.read_start(move |_, _| _ = &listen).unwrap();
        drop((server, connecting));
        event_loop.run().unwrap();
        journal.assert_is(&["Ok(())"]);
    });
}

/// L-40: a waker that panics when a connect fails keeps nobody else from hearing of it.
#[test]
fn a_waker_that_panics_leaves_the_others_to_be_told() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let client = Tcp::new(event_loop);
        let mut connect = client.connect(refusing_addr());
        wait(&mut connect, || panic!("on purpose"));
        let mut read = client.read_once();
        let woken = journal.clone();
        wait(&mut read, move || woken.note("reader"));
        client.write("early").then(journal.result("write"));
        assert_eq!(run_through_panics(event_loop), 1);
        journal.assert_is(&["reader", "write canceled"]);
        assert!(support::ready(connect).is_err());
        assert_eq!(support::ready(read).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

// ---- close ---------------------------------------------------------------------------------------------------------

/// H-16, L-40: a waker that panics in close keeps neither the descriptor open nor the close from ending.
#[test]
fn a_close_gives_the_descriptor_back_although_a_waker_panics() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let mut read = tcp.read_once();
        wait(&mut read, || panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(|| tcp.close())).is_err());
        assert_eq!(io::Read::read(&mut &peer, &mut [0]).unwrap(), 0, "the end of the stream");
        let journal = Journal::new();
        tcp.close().then(journal.result("close"));
        event_loop.run().unwrap();
        journal.assert_is(&["close ok"]);
        assert!(support::ready(read).is_err_and(|err| luvio::is_canceled(&err)));
    });
}

/// H-10, L-40: a waker that uses the handle inside its close finds it closed.
#[test]
fn a_waker_inside_a_close_finds_the_handle_closed() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let mut read = tcp.read_once();
        let (own, found) = (tcp.clone(), journal.clone());
        wait(&mut read, move || {
            found.note(format!("{:?}", misuse(own.read_start(|_, _| {}))));
            found.note(format!("{:?}", misuse(support::ready(own.write("x")))));
            found.note(format!("{:?}", misuse(own.fileno())));
            own.close();
        });
        tcp.close();
        journal.assert_is(&["Closing", "Closing", "NoSocket"]);
    });
}

// ---- writing -------------------------------------------------------------------------------------------------------

/// L-40, WR-11: a waker of a write that panics stops neither the writes behind it nor those that are made later.
#[test]
fn a_waker_of_a_write_may_panic() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let filled = fill(&tcp);
        let journal = Journal::new();
        let mut write = tcp.write("a");
        wait(&mut write, || panic!("on purpose"));
        tcp.write("b").then(journal.result("b"));
        tcp.shutdown().then(journal.result("shutdown"));
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            io::Read::read_to_end(&mut &peer, &mut received).unwrap();
            received
        });
        assert_eq!(run_through_panics(event_loop), 1);
        journal.assert_is(&["b ok", "shutdown ok"]);
        let received = reading.join().unwrap();
        assert_eq!(&received[filled..], b"ab");
        support::ready(write).unwrap();
    });
}

/// L-40, WR-01: a waker of a write that writes again writes behind what is queued, and one that closes the handle has the
/// rest cancelled.
#[test]
fn a_waker_of_a_write_may_write_and_close() {
    for close in [false, true] {
        with_loop(|event_loop| {
            let (tcp, peer) = connected_pair(event_loop);
            let filled = fill(&tcp);
            let journal = Journal::new();
            let mut write = tcp.write("a");
            let (own, in_waker) = (tcp.clone(), journal.clone());
            wait(&mut write, move || {
                own.write("c").then(in_waker.result("c"));
                if close { drop(own.close()) } else { drop(own.finish()) }
            });
            tcp.write("b").then(journal.result("b"));
            let reading = std::thread::spawn(move || {
                let mut received = Vec::new();
                let _ = io::Read::read_to_end(&mut &peer, &mut received);
                received
            });
            event_loop.run().unwrap();
            let received = reading.join().unwrap();
            assert!(received[filled..].starts_with(b"a"));
            if close {
                assert!(b"abc".starts_with(&received[filled..]));
            } else {
                assert_eq!(&received[filled..], b"abc");
                journal.assert_is(&["b ok", "c ok"]);
            }
            assert_eq!(journal.entries().len(), 2, "{:?}", journal.entries());
            support::ready(write).unwrap();
        });
    }
}

/// L-40: a waker of `drained` that panics leaves the others in it to be told, and what waits to be read to be read.
#[test]
fn a_waker_of_drained_may_panic_beside_a_reader() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        fill(&tcp);
        tcp.write(vec![b'f'; 256 * 1024]);
        let journal = Journal::new();
        let mut drained = tcp.drained();
        wait(&mut drained, || panic!("on purpose"));
        tcp.drained().then(journal.result("drained"));
        let read = journal.clone();
        tcp.read_start(move |tcp, chunk| {
            read.note(String::from_utf8_lossy(chunk.unwrap().unwrap()));
            tcp.close();
        })
        .unwrap();
        io::Write::write_all(&mut peer, b"data").unwrap();
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            let _ = io::Read::read_to_end(&mut &peer, &mut received);
        });
        assert!(run_through_panics(event_loop) <= 1, "the close may have come first");
        let mut entries = journal.entries();
        entries.sort();
        assert_eq!(entries.len(), 2, "{entries:?}");
        assert_eq!(entries[0], "data");
        reading.join().unwrap();
    });
}

// ---- reading -------------------------------------------------------------------------------------------------------

/// RD-13, L-40: a destructor of a reader that starts to read again is heard, whether the reader was stopped, ended or
/// closed.
#[test]
fn the_drop_of_a_reader_may_read_again() {
    let _watchdog = watchdog();
    let event_loop = support::new_loop();
    let (tcp, _peer) = pair_with_data(&event_loop, b"data");
    let journal = Journal::new();
    let (again, read) = (tcp.clone(), journal.clone());
    let restart = OnDrop(move || {
        let read = read.clone();
        let started = again.read_start(move |tcp, chunk| {
            read.note(String::from_utf8_lossy(chunk.unwrap().unwrap()));
            tcp.close();
        });
        started.unwrap();
    });
    tcp.read_start(move |_, _| _ = &restart).unwrap();
    tcp.read_stop();
    drop(tcp);
    event_loop.run().unwrap();
    journal.assert_is(&["data"]);
}

/// L-33, L-40: a panic of a destructor when the stream's callbacks are dropped at the end of a close leaves the loop whole.
#[test]
fn the_drop_of_a_reader_may_panic_at_the_end_of_a_close() {
    with_loop(|event_loop| {
        let drops = Drops::new();
        let (tcp, _peer) = connected_pair(event_loop);
        let (token, bomb) = (drops.token(), bomb());
        tcp.read_start(move |_, _| {
            token.keep();
            _ = &bomb;
        })
        .unwrap();
        let journal = Journal::new();
        tcp.close().then(journal.result("close"));
        drop(tcp);
        assert_eq!(run_through_panics(event_loop), 1);
        journal.assert_is(&["close ok"]);
        assert_eq!(drops.count(), 1);
    });
}

/// L-40: a handle has a reader that was to hear how its connect failed, and a listener's callback since. Both panic when
/// they are dropped, one after the other, and not one while the other unwinds the stack, which would end the process.
#[test]
fn the_drops_of_a_reader_and_of_a_listener_may_panic() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        let (own, closed) = (tcp.clone(), support::expect(1));
        let in_listener = bomb();
        tcp.connect(refusing_addr()).then(move |_| {
            own.bind("127.0.0.1:0").unwrap();
            own.listen(1, move |_, _| _ = &in_listener).unwrap();
            own.close().then(move |_| _ = closed.hit());
        });
        let in_reader = bomb();
        tcp.read_start(move |_, _| _ = &in_reader).unwrap();
        assert_eq!(run_through_panics(event_loop), 1);
    });
}

/// The traits of futures-io: several who wait, of whom one panics or uses the stream.
#[cfg(feature = "futures")]
mod by_trait {
    use std::task::Poll;

    use super::foreign::{ForeignWaker, panics};
    use super::support::turn;
    use super::*;
    use futures::io::{AsyncRead, AsyncWrite};

    fn poll_read(tcp: &Tcp, waker: &Waker) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*tcp).poll_read(&mut Context::from_waker(waker), &mut [0; 8])
    }

    fn poll_write(tcp: &Tcp, waker: &Waker) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*tcp).poll_write(&mut Context::from_waker(waker), &[b'x'; 64 * 1024])
    }

    /// Z-15, L-40: one of several who wait for data, or for room, panics when it is woken. The others are woken, too.
    #[test]
    fn one_of_several_wakers_may_panic() {
        for closes in [false, true] {
            with_loop(|event_loop| {
                let (tcp, mut peer) = connected_pair(event_loop);
                let journal = Journal::new();
                let note = |what: &'static str| {
                    let journal = journal.clone();
                    waker(move || journal.note(what))
                };
                for reader in [note("first reader"), waker(|| panic!("on purpose")), note("reader")]
                {
                    assert!(poll_read(&tcp, &reader).is_pending());
                }
                while poll_write(&tcp, Waker::noop()).is_ready() {}
                for writer in [waker(|| panic!("on purpose")), note("writer")] {
                    assert!(poll_write(&tcp, &writer).is_pending());
                }
                if closes {
                    assert!(catch_unwind(AssertUnwindSafe(|| tcp.close())).is_err());
                } else {
                    io::Write::write_all(&mut peer, b"data").unwrap();
                    let reading = std::thread::spawn(move || {
                        let _ = io::Read::read_to_end(&mut &peer, &mut Vec::new());
                    });
                    while journal.entries().len() < 3 {
                        let _ = catch_unwind(AssertUnwindSafe(|| turn(event_loop)));
                    }
                    tcp.close();
                    reading.join().unwrap();
                }
                let mut woken = journal.entries();
                woken.sort();
                assert_eq!(woken, ["first reader", "reader", "writer"]);
            });
        }
    }

    /// RD-02, L-40: a wait that is taken over by `read_start` and then starts to read itself finds the new reader there.
    #[test]
    fn a_waker_that_reads_itself_does_not_replace_the_reader() {
        with_loop(|event_loop| {
            let (tcp, _peer) = pair_with_data(event_loop, b"data");
            let journal = Journal::new();
            let (own, found) = (tcp.clone(), journal.clone());
            let reads_itself =
                waker(move || found.note(format!("{:?}", misuse(own.read_start(|_, _| {})))));
            assert!(poll_read(&tcp, &reads_itself).is_pending());
            let read = journal.clone();
            tcp.read_start(move |tcp, chunk| {
                read.note(String::from_utf8_lossy(chunk.unwrap().unwrap()));
                tcp.close();
            })
            .unwrap();
            event_loop.run().unwrap();
            assert_eq!(journal.entries().first().map(String::as_str), Some("AlreadyReading"));
            assert_eq!(journal.entries().last().map(String::as_str), Some("data"));
        });
    }

    /// Z-15, L-40: cloning the waker of one closes the handle, or panics. The other one, who waited before, hears of the close
    /// or of the data all the same.
    #[test]
    fn a_waker_that_acts_in_its_clone_leaves_the_others_waiting() {
        for closes in [false, true] {
            with_loop(|event_loop| {
                let (tcp, mut peer) = connected_pair(event_loop);
                let (first, second) = (ForeignWaker::new(), ForeignWaker::new());
                assert!(poll_read(&tcp, &first.waker()).is_pending());
                let own = tcp.clone();
                second.on_clone(
                    move || if closes { drop(own.close()) } else { panic!("on purpose") },
                );
                let begin = || assert!(poll_read(&tcp, &second.waker()).is_pending());
                assert_eq!(panics(begin), !closes);
                io::Write::write_all(&mut peer, b"data").unwrap();
                turn(event_loop);
                assert_eq!(first.wakes(), 1);
                if closes {
                    assert_eq!(second.wakes(), 1);
                } else {
                    // Nobody waits for data any more who would have to be asked first.
                    tcp.read_start(|_, _| {}).unwrap();
                    tcp.close();
                }
            });
        }
    }

    /// Z-15: cloning the waker of a flush brings about what it waits for.
    #[test]
    fn a_waker_may_end_its_own_wait_to_write_when_it_is_cloned() {
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            let connect = tcp.connect(refusing_addr());
            let waker = ForeignWaker::new();
            waker.on_clone(move || assert!(connect.cancel()));
            let flush = || Pin::new(&mut &tcp).poll_flush(&mut Context::from_waker(&waker.waker()));
            assert!(flush().is_pending());
            assert_eq!(waker.wakes(), 1);
            assert!(flush().is_ready());
        });
    }

    /// Z-15, L-40: one who looks again and again is not noted twice, and dropping the second waker may use the stream.
    #[test]
    fn a_waker_that_is_not_needed_may_use_the_stream_when_it_is_dropped() {
        with_loop(|event_loop| {
            let (tcp, _peer) = connected_pair(event_loop);
            let [first, second, third] = [(); 3].map(|()| ForeignWaker::new());
            for waker in [&first, &second, &first] {
                assert!(poll_read(&tcp, &waker.waker()).is_pending());
            }
            let own = tcp.clone();
            first.on_drop(move || own.set_high_water(1));
            assert!(poll_read(&tcp, &third.waker()).is_pending());
            assert_eq!(first.clones(), 1);
            tcp.close();
            assert_eq!([first, second, third].map(|waker| waker.wakes()), [1, 1, 1]);
        });
    }

    /// Rule 4, Z-15: a stream that is dropped while somebody waits by the traits lets go of the wakers.
    #[test]
    fn dropping_a_stream_with_waiters_drops_them() {
        with_loop(|event_loop| {
            let (tcp, _peer) = connected_pair(event_loop);
            let wakes = support::Wakes::new();
            let waker = Waker::from(Arc::clone(&wakes));
            while poll_write(&tcp, &waker).is_ready() {}
            assert!(poll_read(&tcp, &waker).is_pending());
            drop((tcp, waker));
            assert_eq!(Arc::strong_count(&wakes), 1, "somebody still holds a waker");
        });
    }
}
