//! Awaiting on TCP handles: reads, accepts and requests, each ready, cancelled half-way, closed half-way, and with its loop
//! dropped half-way. Statements Z of the behaviour chapter.

mod support;

#[cfg(target_os = "linux")]
use std::any::Any;
use std::cell::Cell;
use std::future::{Future, pending};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

#[cfg(target_os = "linux")]
use luvio::Request;
use luvio::{Loop, Misuse, Notifier, Tcp, is_canceled, sleep, timeout, yield_now};
use socket2::SockRef;
use support::{
    Drops, Journal, Wakes, accepted_pair, connected_pair, expect, fill, listening, misuse,
    pair_with_data, panic_text, poll, ready, refusing_addr, reset, turn, watchdog, with_built_loop,
    with_loop, with_virtual_loop,
};

/// The ways to await data.
#[derive(Clone, Copy, Debug)]
enum Way {
    Once,
    Into,
    With,
}

const WAYS: [Way; 3] = [Way::Once, Way::Into, Way::With];

type Reading<'a> = Pin<Box<dyn Future<Output = io::Result<Option<Vec<u8>>>> + 'a>>;

/// Awaits data. `None` is the end of the stream.
fn read(tcp: &Tcp, way: Way) -> Reading<'_> {
    match way {
        Way::Once => Box::pin(tcp.read_once()),
        Way::With => Box::pin(tcp.read_with(<[u8]>::to_vec)),
        Way::Into => Box::pin(async {
            let mut buffer = Vec::new();
            let length = tcp.read_into(&mut buffer).await?;
            assert_eq!(length, buffer.len());
            Ok((length > 0).then_some(buffer))
        }),
    }
}

/// Waits until `data`, and nothing else, lies with the system.
fn wait_for_system(event_loop: &Loop, tcp: &Tcp, data: &[u8]) {
    let mut peeked = vec![MaybeUninit::uninit(); data.len() + 1];
    loop {
        turn(event_loop);
        let there = tcp.with_fd(|fd| SockRef::from(&fd).peek(&mut peeked)).unwrap();
        match there {
            Ok(length) if length == data.len() => return,
            Ok(length) => assert!(length < data.len(), "{length} bytes"),
            Err(err) => assert_eq!(err.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

/// Takes everything that a peer has sent, until it ends its side.
fn read_all(mut peer: TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    received
}

/// What `future` comes to if `cut` happens while it waits.
fn cut_short<T>(
    event_loop: &Loop,
    future: impl Future<Output = T>,
    cut: impl FnOnce() + 'static,
) -> T {
    let mut future = pin!(future);
    assert!(poll(&mut future).is_pending());
    event_loop.go(async move { cut() });
    event_loop.block_on(future).unwrap()
}

fn assert_canceled<T: std::fmt::Debug>(result: io::Result<T>) {
    let err = result.expect_err("it was canceled");
    assert!(is_canceled(&err), "{err:?}");
    assert_eq!(err.kind(), io::ErrorKind::Other, "never one that readers retry");
}

// ---- reading ------------------------------------------------------------------------------------------------------

/// Z-02, Z-03: data that came before the first poll is there at once; data that comes later wakes the task.
#[test]
fn a_read_yields_what_has_arrived_or_waits_for_it() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, mut peer) = pair_with_data(event_loop, b"before");
            event_loop
                .block_on(async {
                    assert_eq!(read(&tcp, way).await.unwrap().as_deref(), Some(&b"before"[..]));
                    let mut waiting = read(&tcp, way);
                    assert!(poll(&mut waiting).is_pending());
                    peer.write_all(b"later").unwrap();
                    assert_eq!(waiting.await.unwrap().as_deref(), Some(&b"later"[..]));
                })
                .unwrap();
        });
    }
}

/// `read_into` appends to what the buffer holds, and allocates only if it has to.
#[test]
fn read_into_appends_within_the_capacity() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"one");
        let mut buffer = Vec::with_capacity(64);
        buffer.push(b'>');
        let home = buffer.as_ptr();
        event_loop
            .block_on(async {
                assert_eq!(tcp.read_into(&mut buffer).await.unwrap(), 3);
                peer.write_all(b"two").unwrap();
                assert_eq!(tcp.read_into(&mut buffer).await.unwrap(), 3);
            })
            .unwrap();
        assert_eq!(buffer, b">onetwo");
        assert_eq!(buffer.as_ptr(), home);
    });
}

/// `read_with` lends what has arrived and yields what the closure makes of it.
#[test]
fn read_with_yields_what_the_closure_returns() {
    with_loop(|event_loop| {
        let (tcp, peer) = pair_with_data(event_loop, b"data");
        drop(peer);
        event_loop
            .block_on(async {
                let sum = |data: &[u8]| data.iter().map(|&byte| u32::from(byte)).sum::<u32>();
                let expected = sum(b"data");
                assert_eq!(tcp.read_with(sum).await.unwrap(), Some(expected));
                let at_end = tcp.read_with(|_| unreachable!("there is no data")).await;
                assert_eq!(at_end.unwrap(), None::<()>);
            })
            .unwrap();
    });
}

/// Z-03: one await takes one chunk, and the next one goes on behind it, in whatever way.
#[test]
fn the_next_await_goes_on_where_the_last_one_ended() {
    with_built_loop(Loop::builder().read_chunk(3), |event_loop| {
        let (tcp, _peer) = pair_with_data(event_loop, b"abcdefgh");
        let chunks = event_loop.block_on(async {
            let mut chunks = Vec::new();
            for way in WAYS {
                chunks.push(read(&tcp, way).await.unwrap().unwrap());
            }
            chunks
        });
        assert_eq!(chunks.unwrap(), [&b"abc"[..], b"def", b"gh"]);
    });
}

/// Z-03: what arrives while nobody awaits stays with the system, however many turns go by, and is neither lost nor
/// delivered elsewhere.
#[test]
fn data_that_nobody_awaits_stays_with_the_system() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, mut peer) = pair_with_data(event_loop, b"first");
            event_loop.block_on(read(&tcp, way)).unwrap().unwrap();
            peer.write_all(b"second").unwrap();
            wait_for_system(event_loop, &tcp, b"second");
            assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO), "nothing is alive");
            let next = event_loop.block_on(read(&tcp, way)).unwrap();
            assert_eq!(next.unwrap().as_deref(), Some(&b"second"[..]));
        });
    }
}

/// Z-04: the end of the stream is a value, after all data, and comes again and again, for each kind of reader; the other
/// direction is not affected.
#[test]
fn the_end_is_a_value_and_comes_again() {
    with_loop(|event_loop| {
        let (tcp, peer) = pair_with_data(event_loop, b"last");
        SockRef::from(&peer).shutdown(std::net::Shutdown::Write).unwrap();
        event_loop
            .block_on(async {
                let data = tcp.read_once().await.unwrap();
                assert_eq!(data.as_deref(), Some(&b"last"[..]));
                for way in [WAYS, WAYS].concat() {
                    assert_eq!(read(&tcp, way).await.unwrap(), None, "{way:?}");
                }
            })
            .unwrap();
        let ended = expect(1);
        tcp.read_start(move |_, chunk| {
            ended.hit();
            assert!(matches!(chunk, Ok(None)));
        })
        .unwrap();
        event_loop.run().unwrap();
        assert_eq!(event_loop.block_on(tcp.read_once()).unwrap().unwrap(), None);
        event_loop.block_on(tcp.write(b"still open")).unwrap().unwrap();
        event_loop.block_on(tcp.finish()).unwrap().unwrap();
        assert_eq!(read_all(peer), b"still open");
    });
}

/// Z-04: an end that comes while a task waits wakes it.
#[test]
fn the_end_wakes_a_read() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, peer) = connected_pair(event_loop);
            let ended = cut_short(event_loop, read(&tcp, way), move || drop(peer));
            assert_eq!(ended.unwrap(), None);
        });
    }
}

/// Z-01: a read error comes once, with the system's code; after that the stream is no longer one to be read.
#[test]
fn a_read_error_comes_once() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, peer) = connected_pair(event_loop);
            let failed = cut_short(event_loop, read(&tcp, way), move || reset(peer));
            assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
            assert_eq!(misuse(ready(read(&tcp, way))), Misuse::NotConnected);
        });
    }
}

/// Z-01: what cannot be read says so at the first poll, with the misuse.
#[test]
fn what_cannot_be_read_says_so_at_once() {
    for way in WAYS {
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            assert_eq!(misuse(ready(read(&tcp, way))), Misuse::NotConnected);
            tcp.bind("127.0.0.1:0").unwrap();
            assert_eq!(misuse(ready(read(&tcp, way))), Misuse::NotConnected);
            tcp.listen_only(1).unwrap();
            assert_eq!(misuse(ready(read(&tcp, way))), Misuse::NotConnected);
            tcp.close();
            assert_canceled(ready(read(&tcp, way)));
        });
    }
}

/// A read may wait while the connect is under way.
#[test]
fn a_read_waits_for_the_connect() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (server, addr) = listening(event_loop);
            let client = Tcp::new(event_loop);
            let connected = client.connect(addr);
            event_loop.go(async move {
                let accepted = server.accept_next().await?;
                accepted.write(b"welcome").await
            });
            let data = event_loop.block_on(read(&client, way)).unwrap().unwrap();
            assert_eq!(data.as_deref(), Some(&b"welcome"[..]));
            assert!(connected.is_finished());
        });
    }
}

/// Z-06: a read that is dropped while it waits has taken nothing, be it before the data came or after it was woken for it;
/// the next reader, an await or a callback, gets everything.
#[test]
fn a_dropped_read_loses_nothing() {
    for way in WAYS {
        for was_woken in [false, true] {
            with_loop(|event_loop| {
                let (tcp, mut peer) = connected_pair(event_loop);
                let wakes = Wakes::new();
                let mut dropped = read(&tcp, way);
                assert!(wakes.poll(&mut dropped).is_pending());
                if was_woken {
                    peer.write_all(b"data").unwrap();
                    wakes.wait(event_loop);
                    drop(dropped);
                } else {
                    drop(dropped);
                    peer.write_all(b"data").unwrap();
                }
                let data = event_loop.block_on(read(&tcp, way)).unwrap().unwrap();
                assert_eq!(data.as_deref(), Some(&b"data"[..]));

                assert!(poll(read(&tcp, way)).is_pending());
                let called = expect(1);
                tcp.read_start(move |tcp, chunk| {
                    called.hit();
                    assert_eq!(chunk.unwrap(), Some(&b"more"[..]));
                    tcp.close();
                })
                .unwrap();
                peer.write_all(b"more").unwrap();
                event_loop.run().unwrap();
                let count = wakes.count();
                assert_eq!(count, usize::from(was_woken), "nobody wakes a future that is gone");
            });
        }
    }
}

/// Z-06: a time limit around a read releases the read; the next one gets what comes.
#[test]
fn a_read_can_have_a_time_limit() {
    for way in WAYS {
        with_virtual_loop(|event_loop| {
            let (tcp, mut peer) = connected_pair(event_loop);
            event_loop
                .block_on(async {
                    let late = timeout(Duration::from_millis(5), read(&tcp, way)).await;
                    assert!(late.is_err());
                    peer.write_all(b"late").unwrap();
                    let data = read(&tcp, way).await.unwrap();
                    assert_eq!(data.as_deref(), Some(&b"late"[..]));
                })
                .unwrap();
            assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO), "nothing is left");
        });
    }
}

/// Z-06: a task that is aborted while it reads leaves the handle usable, and the loop nothing to wait for.
#[test]
fn a_task_aborted_in_a_read_leaves_nothing_behind() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, _peer) = connected_pair(event_loop);
            let drops = Drops::new();
            let (reader, token) = (tcp.clone(), drops.token());
            let task = event_loop.spawn(async move {
                token.keep();
                read(&reader, way).await
            });
            turn(event_loop);
            task.abort();
            event_loop.run().unwrap();
            assert_eq!(drops.count(), 1);
            assert!(!tcp.is_active() && poll(read(&tcp, way)).is_pending());
        });
    }
}

/// Z-05: closing the handle ends a read with Canceled, and so does every read that begins later.
#[test]
fn closing_cancels_a_read() {
    for way in WAYS {
        with_loop(|event_loop| {
            let (tcp, _peer) = connected_pair(event_loop);
            let closed = tcp.clone();
            assert_canceled(cut_short(event_loop, read(&tcp, way), move || {
                closed.close();
            }));
            assert_canceled(ready(read(&tcp, way)));
        });
    }
}

/// RD-26: a failed connect ends the read that waited for it with the connect's error, and a cancelled one with Canceled; the
/// handle can be used again.
#[test]
fn a_read_hears_how_the_connect_failed_that_it_waited_for() {
    for way in WAYS {
        with_loop(|event_loop| {
            let tcp = Tcp::new(event_loop);
            tcp.connect(refusing_addr());
            let err = event_loop.block_on(read(&tcp, way)).unwrap().unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(misuse(ready(read(&tcp, way))), Misuse::NotConnected);

            let connecting = tcp.connect(refusing_addr());
            assert_canceled(cut_short(event_loop, read(&tcp, way), move || {
                connecting.cancel();
            }));
        });
    }
}

/// RD-26: a read that was cut off and finds out only later does not get in the way of the one that waits by then.
#[test]
fn a_read_that_was_cut_off_leaves_later_ones_alone() {
    for is_polled in [false, true] {
        with_loop(|event_loop| {
            let (server, addr) = listening(event_loop);
            let tcp = Tcp::new(event_loop);
            let refused = tcp.connect(refusing_addr());
            let mut cut_off = tcp.read_once();
            assert!(poll(&mut cut_off).is_pending());
            assert!(event_loop.block_on(refused).unwrap().is_err());

            event_loop.block_on(tcp.connect(addr)).unwrap().unwrap();
            let wakes = Wakes::new();
            let mut waiting = tcp.read_once();
            assert!(wakes.poll(&mut waiting).is_pending());
            if is_polled {
                assert_eq!(ready(cut_off).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            } else {
                drop(cut_off);
            }
            server.accept().unwrap().write(b"data");
            wakes.wait(event_loop);
            assert_eq!(ready(waiting).unwrap().as_deref(), Some(&b"data"[..]));
        });
    }
}

/// Z-05, rule 7: when the loop is dropped, the tasks that read are dropped, and reads held elsewhere end with Canceled.
#[test]
fn dropping_the_loop_ends_reads() {
    let _watchdog = watchdog();
    for way in WAYS {
        let event_loop = Loop::new().unwrap();
        let (in_task, _peer) = connected_pair(&event_loop);
        let (outside, _peer) = connected_pair(&event_loop);
        let drops = Drops::new();
        let token = drops.token();
        let task = event_loop.spawn(async move {
            token.keep();
            read(&in_task, way).await
        });
        let mut held = read(&outside, way);
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut held).is_pending());
        turn(&event_loop);
        drop(event_loop);
        assert_eq!(drops.count(), 1);
        assert!(task.is_finished());
        assert_eq!(wakes.count(), 1);
        assert_canceled(ready(held));
        assert_canceled(ready(read(&outside, way)));
    }
}

/// Z-13: of two reads at the same time the second one fails, with an error of its own, in all combinations of callbacks
/// and awaits; the first one is not disturbed.
#[test]
fn the_second_of_two_readers_fails() {
    for way in WAYS {
        for other in WAYS {
            with_loop(|event_loop| {
                let (tcp, mut peer) = connected_pair(event_loop);
                let wakes = Wakes::new();
                let mut first = read(&tcp, way);
                assert!(wakes.poll(&mut first).is_pending());
                let second = ready(read(&tcp, other));
                assert_eq!(second.as_ref().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
                assert_eq!(misuse(second), Misuse::AlreadyReading);
                assert_eq!(misuse(tcp.read_start(|_, _| unreachable!())), Misuse::AlreadyReading);
                tcp.read_stop(); // of a callback, which there is not
                peer.write_all(b"data").unwrap();
                wakes.wait(event_loop);
                assert_eq!(ready(first).unwrap().as_deref(), Some(&b"data"[..]));

                let called = expect(1);
                tcp.read_start(move |tcp, chunk| {
                    called.hit();
                    assert_eq!(chunk.unwrap(), Some(&b"more"[..]));
                    tcp.close();
                })
                .unwrap();
                assert_eq!(misuse(tcp.read_start(|_, _| unreachable!())), Misuse::AlreadyReading);
                assert_eq!(misuse(ready(read(&tcp, other))), Misuse::AlreadyReading);
                peer.write_all(b"more").unwrap();
                event_loop.run().unwrap();
            });
        }
    }
}

/// Z-13: in two tasks, too, the second reader gets the error and the first one the data.
#[test]
fn the_second_of_two_reading_tasks_fails() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let readers = [tcp.clone(), tcp];
        let tasks = readers.map(|tcp| event_loop.spawn(async move { tcp.read_once().await }));
        let [first, second] = tasks;
        let second = event_loop.block_on(second).unwrap().unwrap();
        assert_eq!(misuse(second), Misuse::AlreadyReading);
        peer.write_all(b"data").unwrap();
        let first = event_loop.block_on(first).unwrap().unwrap();
        assert_eq!(first.unwrap().as_deref(), Some(&b"data"[..]));
    });
}

/// A read that is polled by another task than before wakes that one.
#[test]
fn a_read_may_move_to_another_task() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let [old, new] = [Wakes::new(), Wakes::new()];
        let mut reading = tcp.read_once();
        assert!(old.poll(&mut reading).is_pending());
        assert!(new.poll(&mut reading).is_pending());
        peer.write_all(b"data").unwrap();
        new.wait(event_loop);
        assert_eq!(old.count(), 0);
        assert!(new.poll(&mut reading).is_ready());
    });
}

/// A panic in the closure of `read_with` leaves the stream and the loop's buffer as they were.
#[test]
fn a_panic_in_read_with_leaves_the_stream_usable() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"first");
        let reading = tcp.read_with(|_| panic!("on purpose"));
        let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.block_on(reading)));
        assert!(panicked.is_err());
        peer.write_all(b"second").unwrap();
        let next = event_loop.block_on(tcp.read_once()).unwrap();
        assert_eq!(next.unwrap().as_deref(), Some(&b"second"[..]));
    });
}

/// A read that has yielded its data and is polled again says so when it has nothing left to call.
#[test]
fn a_read_with_that_is_over_panics_when_polled_again() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = pair_with_data(event_loop, b"first");
        let mut reading = tcp.read_with(<[u8]>::to_vec);
        event_loop.block_on(&mut reading).unwrap().unwrap();
        peer.write_all(b"second").unwrap();
        wait_for_system(event_loop, &tcp, b"second");
        let text = panic_text(|| event_loop.block_on(&mut reading));
        assert_eq!(text, "a read was polled again after it was ready");
    });
}

/// H-23, Z-03: an awaited handle is not active, and the task that waits is what keeps the loop alive.
#[test]
fn the_waiting_task_keeps_the_loop_alive_not_the_handle() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let reader = tcp.clone();
        let task = event_loop.spawn(async move { reader.read_once().await });
        turn(event_loop);
        assert!(event_loop.is_alive() && !tcp.is_active());
        assert_eq!(event_loop.alive_because().len(), 1);
        task.unref();
        assert!(!event_loop.is_alive());
        event_loop.run().unwrap();
        assert!(!task.is_finished());
        task.ref_();
        peer.write_all(b"data").unwrap();
        event_loop.run().unwrap();
        assert!(task.is_finished());
    });
}

// ---- accepting ----------------------------------------------------------------------------------------------------

/// LA-03, Z-02: each connection is yielded once, those that waited before and those that come later, with the place of the
/// call that asked for it.
#[test]
fn accept_next_yields_each_connection_once() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let early = [TcpStream::connect(addr).unwrap(), TcpStream::connect(addr).unwrap()];
        event_loop
            .block_on(async {
                for client in &early {
                    let line = line!() + 1;
                    let accepted = server.accept_next().await.unwrap();
                    assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
                    assert_eq!(accepted.created_at().line(), line);
                }
                let mut waiting = server.accept_next();
                assert!(poll(&mut waiting).is_pending());
                let client = TcpStream::connect(addr).unwrap();
                let accepted = waiting.await.unwrap();
                assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            })
            .unwrap();
    });
}

/// `accept_next` on a bound handle starts to listen, with a backlog of 128: so many clients are let in, and one more, as is
/// Linux's way; nobody after them.
#[test]
#[cfg(target_os = "linux")]
fn accept_next_starts_listening_with_a_backlog_of_128() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        assert!(TcpStream::connect(addr).is_err());
        assert!(poll(server.accept_next()).is_pending());
        let connect = |limit| TcpStream::connect_timeout(&addr, limit);
        let clients: Vec<_> = (0..129).map(|_| connect(support::DEADLINE / 4).unwrap()).collect();
        let refused = connect(Duration::from_millis(50)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        for client in clients {
            let accepted = event_loop.block_on(server.accept_next()).unwrap().unwrap();
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
        }
        assert_eq!(misuse(server.listen_only(1)), Misuse::AlreadyListening);
    });
}

/// Z-01: what cannot accept says so at the first poll.
#[test]
fn what_cannot_accept_says_so_at_once() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        assert_eq!(misuse(ready(tcp.accept_next())), Misuse::NotListening);
        let (connected, _peer) = connected_pair(event_loop);
        assert_eq!(misuse(ready(connected.accept_next())), Misuse::NotListening);
        let connecting = Tcp::new(event_loop);
        connecting.bind("127.0.0.1:0").unwrap();
        connecting.connect(refusing_addr());
        assert_eq!(misuse(ready(connecting.accept_next())), Misuse::NotListening);
        tcp.close();
        assert_canceled(ready(tcp.accept_next()));
    });
}

/// Z-01: if the system refuses to listen, `accept_next` says so, and the handle stays bound.
#[test]
fn accept_next_reports_that_listening_failed() {
    with_loop(|event_loop| {
        let [first, second] = [Tcp::new(event_loop), Tcp::new(event_loop)];
        first.bind("127.0.0.1:0").unwrap();
        second.bind(first.local_addr().unwrap()).unwrap();
        first.listen_only(1).unwrap();
        let err = ready(second.accept_next()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::AddrInUse);
        first.close();
        assert!(poll(second.accept_next()).is_pending());
    });
}

/// A listener with a callback belongs to the callback: awaiting a connection beside it is an error, which disturbs nothing.
#[test]
fn accept_next_beside_a_callback_is_refused() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        let announced = expect(1);
        server
            .listen(8, move |server, incoming| {
                announced.hit();
                incoming.unwrap();
                assert_eq!(misuse(ready(server.accept_next())), Misuse::HasCallback);
                server.accept().unwrap();
                server.close();
            })
            .unwrap();
        let refused = ready(server.accept_next());
        assert_eq!(refused.as_ref().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(misuse(refused), Misuse::HasCallback);
        let port = server.local_addr().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        event_loop.run().unwrap();
    });
}

/// A callback beside a task that waits for connections is refused; the task is not disturbed.
#[test]
fn a_listen_callback_beside_accept_next_is_refused() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        let mut waiting = server.accept_next();
        assert!(poll(&mut waiting).is_pending());
        assert_eq!(misuse(server.listen(8, |_, _| unreachable!())), Misuse::AlreadyListening);
        let _client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        event_loop.block_on(waiting).unwrap().unwrap();
    });
}

/// Z-06: an accept that is dropped while it waits has taken no connection, be it before one came or after it was woken.
#[test]
fn a_dropped_accept_loses_no_connection() {
    for was_woken in [false, true] {
        with_loop(|event_loop| {
            let (server, addr) = listening(event_loop);
            let wakes = Wakes::new();
            let mut dropped = server.accept_next();
            assert!(wakes.poll(&mut dropped).is_pending());
            let client;
            if was_woken {
                client = TcpStream::connect(addr).unwrap();
                wakes.wait(event_loop);
                drop(dropped);
            } else {
                drop(dropped);
                client = TcpStream::connect(addr).unwrap();
            }
            let accepted = event_loop.block_on(server.accept_next()).unwrap().unwrap();
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            assert_eq!(wakes.count(), usize::from(was_woken));
            assert!(!event_loop.is_alive());
        });
    }
}

/// Z-06: a time limit around an accept leaves nothing behind; the connection that comes too late waits for `accept`.
#[test]
fn an_accept_can_have_a_time_limit() {
    with_virtual_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let limited = async { timeout(Duration::from_millis(5), server.accept_next()).await };
        assert!(event_loop.block_on(limited).unwrap().is_err());
        assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO), "nothing is left");
        let _client = TcpStream::connect(addr).unwrap();
        server.accept().unwrap();
    });
}

/// Z-05: closing the listener ends every accept with Canceled, and so does every accept that begins later.
#[test]
fn closing_cancels_every_accept() {
    with_loop(|event_loop| {
        let (server, _) = listening(event_loop);
        let mut other = server.accept_next();
        assert!(poll(&mut other).is_pending());
        let closed = server.clone();
        assert_canceled(cut_short(event_loop, server.accept_next(), move || {
            closed.close();
        }));
        assert_canceled(ready(other));
        assert_canceled(ready(server.accept_next()));
    });
}

/// Z-05, rule 7: when the loop is dropped, tasks that accept are dropped, and accepts held elsewhere end with Canceled.
#[test]
fn dropping_the_loop_ends_accepts() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (in_task, _) = listening(&event_loop);
    let (outside, _) = listening(&event_loop);
    let drops = Drops::new();
    let token = drops.token();
    event_loop.spawn(async move {
        token.keep();
        in_task.accept_next().await
    });
    let mut held = outside.accept_next();
    let wakes = Wakes::new();
    assert!(wakes.poll(&mut held).is_pending());
    turn(&event_loop);
    drop(event_loop);
    assert_eq!((drops.count(), wakes.count()), (1, 1));
    assert_canceled(ready(held));
    assert_canceled(ready(outside.accept_next()));
}

/// Several tasks may wait for connections: each connection goes to one of them, and the others go on waiting.
#[test]
fn several_tasks_may_wait_for_connections() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let accepted = Rc::new(Cell::new(0));
        let tasks = [(); 3].map(|()| {
            let (server, accepted) = (server.clone(), Rc::clone(&accepted));
            event_loop.spawn(async move {
                server.accept_next().await.unwrap();
                accepted.set(accepted.get() + 1);
            })
        });
        turn(event_loop);
        for count in 1..=3 {
            let _client = TcpStream::connect(addr).unwrap();
            while accepted.get() < count {
                turn(event_loop);
            }
            turn(event_loop);
            assert_eq!(accepted.get(), count);
        }
        assert!(tasks.iter().all(|task| task.is_finished()));
    });
}

/// Z-13: a connection wakes the one that has waited longest, however many they are; and then the next one, which finds that
/// there is no other, and goes on waiting, still as the first.
#[test]
fn a_connection_wakes_the_one_that_has_waited_longest() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let mut waits: Vec<_> = (0..500).map(|_| (server.accept_next(), Wakes::new())).collect();
        for (wait, wakes) in &mut waits {
            assert!(wakes.poll(wait).is_pending());
        }
        for round in 0..20 {
            let client = TcpStream::connect(addr).unwrap();
            let (wait, wakes) = &mut waits[round];
            let before = wakes.count();
            while wakes.count() == before {
                turn(event_loop);
            }
            let Poll::Ready(accepted) = wakes.poll(wait) else { panic!("it waits") };
            let accepted = accepted.unwrap();
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            let (next, wakes) = &mut waits[round + 1];
            assert!(wakes.count() > 0 && wakes.poll(next).is_pending());
            turn(event_loop);
        }
        let woken: usize = waits.iter().map(|(_, wakes)| wakes.count()).sum();
        assert_eq!(woken, 40, "two for each connection");
    });
}

/// Z-13: of connections that come together each goes to another one of those who wait, in their order; a task that comes
/// back for more waits behind them.
#[test]
fn connections_are_spread_over_those_who_wait() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let journal = Journal::new();
        let tasks = ["a", "b", "c"].map(|name| {
            let (server, journal) = (server.clone(), journal.clone());
            event_loop.spawn(async move {
                while server.accept_next().await.is_ok() {
                    journal.note(name);
                }
            })
        });
        turn(event_loop);
        let _clients = [(); 7].map(|()| TcpStream::connect(addr).unwrap());
        while journal.entries().len() < 7 {
            turn(event_loop);
        }
        journal.assert_is(&["a", "b", "c", "a", "b", "c", "a"]);
        server.close();
        turn(event_loop);
        assert!(tasks.iter().all(|task| task.is_finished()));
    });
}

/// Z-06, Z-13: a wait that was woken and is dropped hands its turn on, without any new event.
#[test]
fn a_dropped_accept_hands_its_turn_on() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let [first, second] = [Wakes::new(), Wakes::new()];
        let (mut dropped, mut waiting) = (server.accept_next(), server.accept_next());
        assert!(first.poll(&mut dropped).is_pending());
        assert!(second.poll(&mut waiting).is_pending());
        let _client = TcpStream::connect(addr).unwrap();
        first.wait(event_loop);
        assert_eq!(second.count(), 0);
        assert!(second.poll(&mut waiting).is_pending(), "it is not its turn");
        drop(dropped);
        assert_eq!(second.count(), 1);
        assert!(second.poll(&mut waiting).is_ready());
    });
}

/// Z-05: a loop around `accept_next` ends with one error, whenever the listener is closed: while it waits, when it was woken
/// and not polled yet, or between two waits.
#[test]
fn an_accept_loop_ends_with_one_error_whenever_the_listener_is_closed() {
    with_loop(|event_loop| {
        for moment in ["waiting", "woken", "between"] {
            let (server, addr) = listening(event_loop);
            let in_task = server.clone();
            let serve = event_loop.spawn(async move {
                loop {
                    let accepted = in_task.accept_next().await;
                    let Ok(accepted) = accepted else { return accepted.map(drop) };
                    yield_now().await;
                    drop(accepted);
                }
            });
            turn(event_loop);
            let connected = (moment != "waiting").then(|| TcpStream::connect(addr).unwrap());
            match moment {
                "woken" => {
                    // Notifiers come after the events of the poll and before the tasks.
                    let closed = server.clone();
                    let closer = Notifier::new(event_loop, move |closer| {
                        closed.close();
                        closer.close();
                    });
                    closer.unwrap().sender().send().unwrap();
                }
                "between" => {
                    turn(event_loop);
                    server.close();
                }
                _ => drop(server.close()),
            }
            let ended = event_loop.block_on(serve).unwrap().unwrap();
            assert!(is_canceled(&ended.unwrap_err()), "{moment}");
            drop(connected);
        }
    });
}

// ---- awaiting requests --------------------------------------------------------------------------------------------

/// Z-01, Z-02: a connect is awaited to its success; a failure is the system's, and misuse its own.
#[test]
fn a_connect_can_be_awaited() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        event_loop
            .block_on(async {
                let refused = tcp.connect(refusing_addr()).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
                let mut connecting = tcp.connect(addr);
                assert_eq!(misuse(ready(tcp.connect(addr))), Misuse::AlreadyConnecting);
                (&mut connecting).await.unwrap();
                assert_eq!(tcp.peer_addr().unwrap(), addr);
                assert_eq!(misuse(tcp.connect(addr).await), Misuse::AlreadyConnected);
                assert_eq!(misuse(ready(tcp.connect("localhost:80"))), Misuse::BadAddress);
            })
            .unwrap();
    });
}

/// Z-02: a connect that has ended before it is first polled is ready at once.
#[test]
fn a_connect_that_has_ended_is_ready_at_once() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        let connected = tcp.connect(addr);
        event_loop.run().unwrap();
        ready(connected).unwrap();
        let tcp = Tcp::new(event_loop);
        let refused = tcp.connect(refusing_addr());
        event_loop.run().unwrap();
        assert_eq!(ready(refused).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// Z-06: an awaited connect that is dropped is given up: no descriptor, nothing to wait for, and the handle can connect
/// again.
#[test]
#[cfg(target_os = "linux")]
fn a_time_limit_around_a_connect_leaves_nothing_behind() {
    with_virtual_loop(|event_loop| {
        let nobody = support::unanswering();
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        event_loop
            .block_on(async {
                let connecting = tcp.connect(nobody.addr);
                assert!(timeout(Duration::from_millis(5), connecting).await.is_err());
            })
            .unwrap();
        assert!(!tcp.is_active());
        assert_eq!(misuse(tcp.fileno()), Misuse::NoSocket);
        assert_eq!(event_loop.alive_because().len(), 0);
        event_loop.run().unwrap();
        event_loop.block_on(tcp.connect(addr)).unwrap().unwrap();
    });
}

/// Z-06: a connect that was dropped without having been awaited goes on.
#[test]
fn a_connect_that_nobody_awaits_goes_on() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        drop(tcp.connect(addr));
        event_loop.run().unwrap();
        assert!(tcp.is_writable());
    });
}

/// Z-06: giving up a connect that has succeeded meanwhile does not take the connection away.
#[test]
fn a_connect_that_ended_is_not_taken_back() {
    with_loop(|event_loop| {
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        let wakes = Wakes::new();
        let mut connecting = tcp.connect(addr);
        assert!(wakes.poll(&mut connecting).is_pending());
        wakes.wait(event_loop);
        drop(connecting);
        assert!(tcp.is_writable());
    });
}

/// Z-02: a write that the kernel took is ready at once; one that has to wait ends when the peer has read enough.
#[test]
fn a_write_can_be_awaited() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        ready(tcp.write(b"at once")).unwrap();
        let filled = fill(&tcp);
        let mut waiting = tcp.write(b"later");
        assert!(poll(&mut waiting).is_pending());
        let reader = std::thread::spawn(move || read_all(peer));
        event_loop
            .block_on(async {
                waiting.await.unwrap();
                assert_eq!(tcp.write_queue_size(), 0);
                tcp.shutdown().await.unwrap();
            })
            .unwrap();
        let received = reader.join().unwrap();
        assert_eq!(received.len(), 7 + filled + 5);
        assert!(received.ends_with(b"flater"));
    });
}

/// Z-06: a write and a shutdown whose awaits are dropped go on.
#[test]
fn a_dropped_write_or_shutdown_goes_on() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let filled = fill(&tcp);
        for mut dropped in [tcp.write(b"later"), tcp.shutdown()] {
            assert!(poll(&mut dropped).is_pending());
        }
        let reader = std::thread::spawn(move || read_all(peer));
        event_loop.run().unwrap();
        let received = reader.join().unwrap();
        assert_eq!(received.len(), filled + 5);
        assert!(received.ends_with(b"later"));
    });
}

/// Z-01: misuse and what the system says reach the await of a write and of a shutdown.
#[test]
fn writes_and_shutdowns_fail_in_their_await() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        assert_eq!(misuse(ready(tcp.write(b"x"))), Misuse::NotConnected);
        assert_eq!(misuse(ready(tcp.shutdown())), Misuse::NotConnected);
        assert_eq!(misuse(ready(listening(event_loop).0.write(b"x"))), Misuse::Listening);

        let (tcp, peer) = connected_pair(event_loop);
        ready(tcp.shutdown()).unwrap();
        let late = ready(tcp.write(b"x"));
        assert_eq!(late.as_ref().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(misuse(late), Misuse::ShutDown);
        assert_eq!(misuse(ready(tcp.shutdown())), Misuse::NotConnected);
        drop(peer);

        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let failed = cut_short(event_loop, tcp.write(b"x"), move || reset(peer));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

        tcp.close();
        assert_eq!(misuse(ready(tcp.write(b"x"))), Misuse::Closing);
        assert_eq!(misuse(ready(tcp.shutdown())), Misuse::Closing);
    });
}

/// An operation that waits, and what it waits for.
#[cfg(target_os = "linux")]
struct Waiting {
    name: &'static str,
    tcp: Tcp,
    request: Request<()>,
    peer: Box<dyn Any>,
}

/// Every operation of a stream that may have to wait: a write, a shutdown and a finish behind a full buffer, the drain of
/// such a queue, and a connect that is not answered.
#[cfg(target_os = "linux")]
fn waiting(event_loop: &Loop) -> Vec<Waiting> {
    let behind_full_buffer = |name, start: fn(&Tcp) -> Request<()>| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        // More than the kernel may still find room for.
        tcp.write(vec![b'f'; 1 << 20]);
        tcp.set_high_water(0);
        Waiting { name, request: start(&tcp), tcp, peer: Box::new(peer) }
    };
    let nobody = support::unanswering();
    let tcp = Tcp::new(event_loop);
    let request = tcp.connect(nobody.addr);
    vec![
        behind_full_buffer("write", |tcp| tcp.write(b"x")),
        behind_full_buffer("shutdown", Tcp::shutdown),
        behind_full_buffer("finish", Tcp::finish),
        behind_full_buffer("drained", Tcp::drained),
        Waiting { name: "connect", tcp, request, peer: Box::new(nobody) },
    ]
}

/// Z-05: closing the handle ends every operation that is awaited on it with Canceled.
#[test]
#[cfg(target_os = "linux")]
fn closing_cancels_every_operation() {
    with_loop(|event_loop| {
        for Waiting { name, tcp, request, peer: _peer } in waiting(event_loop) {
            let result = cut_short(event_loop, request, move || {
                tcp.close();
            });
            assert!(result.is_err_and(|err| is_canceled(&err)), "{name}");
        }
    });
}

/// Z-05, rule 7: when the loop is dropped, operations awaited in tasks are dropped with them, and those held elsewhere end
/// with Canceled.
#[test]
#[cfg(target_os = "linux")]
fn dropping_the_loop_ends_every_operation() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let drops = Drops::new();
    let mut peers = Vec::new();
    let in_tasks = waiting(&event_loop);
    let count = in_tasks.len();
    for Waiting { tcp, request, peer, .. } in in_tasks {
        let token = drops.token();
        peers.push(peer);
        event_loop.spawn(async move {
            token.keep();
            let _tcp = tcp;
            request.await
        });
    }
    let mut held = waiting(&event_loop);
    for Waiting { name, request, .. } in &mut held[1..] {
        assert!(poll(request).is_pending(), "{name}");
    }
    turn(&event_loop);
    drop(event_loop);
    assert_eq!(drops.count(), count);
    for Waiting { name, request, tcp: _tcp, peer: _peer } in held {
        assert!(request.is_finished(), "{name}");
        assert!(ready(request).is_err_and(|err| is_canceled(&err)), "{name}");
    }
}

/// Z-06: of the operations that are dropped while they are awaited, only a connect and the wait for a drain are given up;
/// the others go on to their end.
#[test]
#[cfg(target_os = "linux")]
fn dropping_an_await_gives_up_only_what_does_no_harm() {
    with_loop(|event_loop| {
        for Waiting { name, tcp, mut request, peer: _peer } in waiting(event_loop) {
            assert!(poll(&mut request).is_pending());
            let before = event_loop.alive_because().len();
            drop(request);
            let given_up = before - event_loop.alive_because().len();
            assert_eq!(given_up, usize::from(matches!(name, "connect" | "drained")), "{name}");
            tcp.close();
            turn(event_loop);
        }
    });
}

/// A close can be awaited, and more than once; the closing phase ends all of them.
#[test]
fn a_close_can_be_awaited() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let mut first = tcp.close();
        assert!(poll(&mut first).is_pending() && !first.is_finished());
        event_loop
            .block_on(async {
                tcp.close().await.unwrap();
                assert!(first.is_finished());
                first.await.unwrap();
                tcp.close().await.unwrap();
            })
            .unwrap();
        let mut walked = 0;
        event_loop.walk(|_| walked += 1);
        assert_eq!(walked, 0);
    });
}

/// Z-06: a close whose await is dropped goes on.
#[test]
fn a_dropped_close_goes_on() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        assert!(poll(tcp.close()).is_pending());
        event_loop.run().unwrap();
        assert_eq!(read_all(peer), b"");
    });
}

/// A `finish` that is awaited ends when everything queued is with the kernel and the handle is closed; dropped, it goes on.
#[test]
fn a_finish_loses_nothing_awaited_or_not() {
    for is_awaited in [true, false] {
        with_loop(|event_loop| {
            let (tcp, peer) = connected_pair(event_loop);
            let filled = fill(&tcp);
            let mut finishing = tcp.finish();
            assert!(poll(&mut finishing).is_pending());
            let reader = std::thread::spawn(move || read_all(peer));
            if is_awaited {
                event_loop.block_on(finishing).unwrap().unwrap();
                assert!(tcp.is_closing() && !event_loop.is_alive());
            } else {
                drop((tcp, finishing));
                event_loop.run().unwrap();
            }
            assert_eq!(reader.join().unwrap().len(), filled);
        });
    }
}

/// `drained` ends at once if the queue is not above the mark, and otherwise when it is down to half of it.
#[test]
fn a_drain_can_be_awaited() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        ready(tcp.drained()).unwrap();
        tcp.set_high_water(64 * 1024);
        let mut total = fill(&tcp);
        while !tcp.needs_drain() {
            tcp.write(vec![b'f'; 64 * 1024]);
            total += 64 * 1024;
        }
        let drained = tcp.drained();
        let reader = std::thread::spawn(move || {
            let mut received = vec![0; total];
            peer.read_exact(&mut received).unwrap();
        });
        event_loop
            .block_on(async {
                drained.await.unwrap();
                assert!(tcp.write_queue_size() <= 32 * 1024);
            })
            .unwrap();
        event_loop.run().unwrap();
        reader.join().unwrap();
    });
}

/// Z-05: a task may wait for nothing but what another task ends: reading in one, closing in the other.
#[test]
fn one_task_may_close_what_another_awaits() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        let journal = Journal::new();
        for (name, tcp) in [("client", client.clone()), ("server", server)] {
            let journal = journal.clone();
            event_loop.go(async move {
                let result = tcp.read_once().await;
                journal.result(name)(result);
            });
        }
        event_loop.go(async move {
            yield_now().await;
            client.close().await
        });
        event_loop.run().unwrap();
        journal.assert_is(&["client canceled", "server ok"]);
    });
}

/// A task that waits for something else while its read future lives loses nothing either.
#[test]
fn a_read_may_be_left_alone_for_a_while() {
    with_virtual_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        event_loop
            .block_on(async {
                let mut reading = tcp.read_once();
                assert!(poll(&mut reading).is_pending());
                peer.write_all(b"data").unwrap();
                sleep(Duration::from_secs(1)).await;
                assert_eq!(reading.await.unwrap().as_deref(), Some(&b"data"[..]));
                let never = timeout(Duration::from_secs(1), pending::<()>()).await;
                assert!(never.is_err());
            })
            .unwrap();
    });
}
