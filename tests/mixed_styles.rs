//! Callbacks and tasks on the same handles, and the combinators of other crates on luvio's tasks.

mod support;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use futures::future::{Either, FutureExt, select};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{join, pin_mut, select_biased, try_join};
use luvio::coroutine::{Coroutine, ResumeError, Resumed, Status};
use luvio::{
    JoinHandle, Loop, LoopHandle, Misuse, Notifier, Resume, Tcp, Timer, await_callback,
    is_canceled, sleep, yield_now,
};
use support::{
    DropToken, Drops, Journal, accepted_pair, connected_pair, expect, fill, listening, misuse,
    ready, refusing_addr, turn, watchdog, with_loop, with_virtual_loop,
};

/// A client in a thread that sends `data`, ends its side, and yields what it gets back.
fn client(addr: SocketAddr, data: &'static [u8]) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(data).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answer
    })
}

/// Calls back after a turn or more, as a library would that knows nothing of tasks.
fn ask(event_loop: &LoopHandle, question: u32, answer: impl FnOnce(u32) + 'static) {
    event_loop.defer(move |_| answer(question + 1));
}

// ---- on one socket ------------------------------------------------------------------------------------------------

/// One connection in three styles: accepted by a callback, read by awaits, its writes told of by callbacks.
#[test]
fn a_connection_is_accepted_by_callback_read_by_await_and_written_with_callback() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        let (accepted, written) = (expect(1), Rc::new(Cell::new(0)));
        let (count, addr) = (Rc::clone(&written), server.local_addr().unwrap());
        server
            .listen(8, move |server, incoming| {
                incoming.unwrap();
                accepted.hit();
                let (peer, written) = (server.accept().unwrap(), Rc::clone(&count));
                luvio::go(async move {
                    while let Some(data) = peer.read_once().await? {
                        let (written, length) = (Rc::clone(&written), data.len());
                        peer.write(data).then(move |result| {
                            result.unwrap();
                            written.set(written.get() + length);
                        });
                    }
                    peer.finish().await
                });
                server.close();
            })
            .unwrap();
        let client = client(addr, b"three styles");
        event_loop.run().unwrap();
        assert_eq!(client.join().unwrap(), b"three styles");
        assert_eq!(written.get(), 12);
    });
}

/// The other way round: accepted by an await, read by a callback, its writes awaited by tasks that the callback spawns.
#[test]
fn a_connection_is_accepted_by_await_read_by_callback_and_written_by_tasks() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        event_loop.go(async move {
            let peer = server.accept_next().await?;
            peer.read_start(|peer, chunk| {
                let (peer, data) = (peer.clone(), chunk.unwrap().map(<[u8]>::to_vec));
                luvio::go(async move {
                    match data {
                        Some(data) => peer.write(data).await,
                        None => peer.finish().await,
                    }
                });
            })
        });
        let client = client(addr, b"the other way");
        event_loop.run().unwrap();
        assert_eq!(client.join().unwrap(), b"the other way");
    });
}

/// Reading passes from a callback to an await and back on one stream, and no byte gets lost on the way.
#[test]
fn reading_changes_hands_without_loss() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let sent: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
        let data = sent.clone();
        let writer = thread::spawn(move || peer.write_all(&data).unwrap());
        let received: Rc<Cell<Vec<u8>>> = Rc::default();
        let sink = Rc::clone(&received);
        let append = move |chunk: &[u8]| {
            let mut all = sink.take();
            all.extend_from_slice(chunk);
            sink.set(all);
        };
        event_loop
            .block_on(async {
                loop {
                    // One chunk by await …
                    match tcp.read_with(&append).await.unwrap() {
                        Some(()) => {}
                        None => break,
                    }
                    // … and one by callback.
                    let append = append.clone();
                    let went_on = await_callback(|resume: Resume<bool>| {
                        tcp.read_start(move |tcp, chunk| {
                            let chunk = chunk.unwrap();
                            chunk.into_iter().for_each(&append);
                            tcp.read_stop();
                            resume.with(chunk.is_some());
                        })
                        .unwrap();
                    });
                    if !went_on.await.unwrap() {
                        break;
                    }
                }
            })
            .unwrap();
        writer.join().unwrap();
        assert!(received.take() == sent, "not what was sent");
    });
}

/// Z-08: a task that an I/O callback spawns is first polled in the same turn, after the callback; a callback that a task
/// installs is called by the loop, never inside the task's poll.
#[test]
fn callbacks_spawn_and_tasks_install_callbacks() {
    with_loop(|event_loop| {
        let journal = Journal::new();
        let noted = journal.clone();
        let notifier = Notifier::new(event_loop, move |notifier| {
            let (noted, event_loop) = (noted.clone(), notifier.event_loop().clone());
            notifier.close();
            luvio::go({
                let noted = noted.clone();
                async move {
                    noted.note("task begins");
                    let (tick, event_loop) = (noted.clone(), event_loop);
                    Timer::after(&event_loop, Duration::ZERO, move |_| tick.note("timer"));
                    let deferred = noted.clone();
                    event_loop.defer(move |_| deferred.note("deferred"));
                    noted.note("task waits");
                    yield_now().await;
                    noted.note("task ends");
                }
            });
            noted.note("callback ends");
        })
        .unwrap();
        notifier.sender().send().unwrap();
        event_loop.run().unwrap();
        journal.assert_is(&[
            "callback ends",
            "task begins",
            "task waits",
            "deferred",
            "timer",
            "task ends",
        ]);
    });
}

/// Backpressure in both styles at once: a callback pauses reading and a task, which waits for the drain, resumes it.
#[test]
fn a_task_may_resume_what_a_callback_paused() {
    with_loop(|event_loop| {
        let (source, mut source_peer) = connected_pair(event_loop);
        let (sink, sink_peer) = connected_pair(event_loop);
        let sent: Vec<u8> = (0..2_000_000_u32).map(|i| (i % 251) as u8).collect();
        let queued = fill(&sink);
        fn forward(source: &Tcp, sink: Tcp) -> io::Result<()> {
            source.read_start(move |source, chunk| match chunk.unwrap() {
                Some(data) => {
                    sink.write(data);
                    if sink.needs_drain() {
                        source.read_stop();
                        let (source, sink) = (source.clone(), sink.clone());
                        luvio::go(async move {
                            sink.drained().await?;
                            forward(&source, sink)
                        });
                    }
                }
                None => drop(sink.finish()),
            })
        }
        forward(&source, sink).unwrap();
        let data = sent.clone();
        let writer = thread::spawn(move || source_peer.write_all(&data).unwrap());
        let reader = thread::spawn(move || {
            let (mut received, mut peer) = (Vec::new(), sink_peer);
            peer.read_to_end(&mut received).unwrap();
            received
        });
        event_loop.run().unwrap();
        writer.join().unwrap();
        assert!(reader.join().unwrap()[queued..] == sent, "not what was sent");
    });
}

/// An operation that a callback waits for and a task too: each has a request of its own, and both hear of the end.
#[test]
fn a_callback_and_a_task_may_wait_for_the_same_close() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        tcp.close().then(journal.result("callback"));
        let (noted, closing) = (journal.clone(), tcp.close());
        event_loop.go(async move { noted.result("task")(closing.await) });
        event_loop.run().unwrap();
        journal.assert_is(&["callback ok", "task ok"]);
    });
}

/// Z-05: a callback may close the handle that a task awaits, and a task the handle whose callback is to come.
#[test]
fn each_style_may_close_what_the_other_uses() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        let journal = Journal::new();
        let (noted, reading) = (journal.clone(), client.clone());
        event_loop.go(async move { noted.result("read")(reading.read_once().await) });
        turn(event_loop);
        Timer::after(event_loop, Duration::ZERO, move |_| drop(client.close()));
        event_loop.run().unwrap();
        journal.assert_is(&["read canceled"]);

        server.read_start(|_, _| unreachable!("closed before the loop looks")).unwrap();
        event_loop.go(async move { server.close().await });
        event_loop.run().unwrap();
    });
}

/// The callback API of somebody else becomes a future.
#[test]
fn a_foreign_callback_can_be_awaited() {
    with_loop(|event_loop| {
        let handle = event_loop.handle().clone();
        let answers = event_loop.block_on(async {
            let mut answers = Vec::new();
            for question in 0..3 {
                let answer = await_callback(|resume: Resume<u32>| {
                    ask(&handle, question, move |answer| assert!(resume.with(answer)));
                });
                answers.push(answer.await.unwrap());
            }
            answers
        });
        assert_eq!(answers.unwrap(), [1, 2, 3]);
    });
}

// ---- combinators of futures ---------------------------------------------------------------------------------------

/// `select!` over a read and a sleep: what is not chosen is dropped and has taken nothing.
#[test]
fn select_takes_nothing_from_what_it_does_not_choose() {
    with_virtual_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        event_loop
            .block_on(async {
                for is_there in [false, true] {
                    if is_there {
                        peer.write_all(b"data").unwrap();
                    }
                    let reading = tcp.read_once().fuse();
                    let waiting = sleep(Duration::from_secs(5)).fuse();
                    pin_mut!(reading, waiting);
                    let chosen = select_biased! {
                        data = reading => data.unwrap(),
                        () = waiting => None,
                    };
                    assert_eq!(chosen.is_some(), is_there);
                }
                peer.write_all(b"more").unwrap();
                let data = tcp.read_once().await.unwrap();
                assert_eq!(data.as_deref(), Some(&b"more"[..]));
            })
            .unwrap();
        assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO), "no timer is left");
    });
}

/// `select` hands the other future back, which can be awaited on.
#[test]
fn the_loser_of_a_select_can_be_awaited_on() {
    with_loop(|event_loop| {
        let (first, mut peer) = connected_pair(event_loop);
        let (second, mut other_peer) = connected_pair(event_loop);
        event_loop
            .block_on(async {
                peer.write_all(b"first").unwrap();
                let Either::Left((data, loser)) =
                    select(first.read_once(), second.read_once()).await
                else {
                    panic!("nothing was sent to the second one");
                };
                assert_eq!(data.unwrap().as_deref(), Some(&b"first"[..]));
                other_peer.write_all(b"second").unwrap();
                assert_eq!(loser.await.unwrap().as_deref(), Some(&b"second"[..]));
            })
            .unwrap();
    });
}

/// `join!` runs both ends of a conversation in one task; `try_join!` ends with the first error and drops the rest.
#[test]
fn join_and_try_join_run_operations_side_by_side() {
    with_loop(|event_loop| {
        let (client, server) = accepted_pair(event_loop);
        event_loop
            .block_on(async {
                let asks = async {
                    client.write(b"question").await.unwrap();
                    client.read_once().await.unwrap().unwrap()
                };
                let answers = async {
                    let question = server.read_once().await.unwrap().unwrap();
                    assert_eq!(question, b"question");
                    server.write(b"answer").await.unwrap();
                };
                let (answer, ()) = join!(asks, answers);
                assert_eq!(answer, b"answer");

                let refused = Tcp::new(client.event_loop());
                let both =
                    async { try_join!(client.read_once(), refused.connect(refusing_addr())) };
                assert_eq!(both.await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
                server.write(b"nothing is lost").await.unwrap();
                let data = client.read_once().await.unwrap();
                assert_eq!(data.as_deref(), Some(&b"nothing is lost"[..]));
            })
            .unwrap();
    });
}

/// Z-13: in one task, too, two reads side by side are one too many.
#[test]
fn join_of_two_reads_gives_the_second_an_error() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        event_loop
            .block_on(async {
                let sends = async {
                    yield_now().await;
                    peer.write_all(b"data").unwrap();
                };
                let (first, second, ()) = join!(tcp.read_once(), tcp.read_once(), sends);
                assert_eq!(first.unwrap().as_deref(), Some(&b"data"[..]));
                assert_eq!(misuse(second), Misuse::AlreadyReading);
            })
            .unwrap();
    });
}

/// `FuturesUnordered` has wakers of its own: many connections in one task, each woken by itself, in the order of their
/// data.
#[test]
fn futures_unordered_drives_many_connections_in_one_task() {
    with_loop(|event_loop| {
        let mut pairs: Vec<_> = (0..40).map(|_| connected_pair(event_loop)).collect();
        let mut order: Vec<usize> = (0..40).rev().collect();
        order.rotate_left(7);
        event_loop
            .block_on(async {
                let mut reads: FuturesUnordered<_> = pairs
                    .iter()
                    .enumerate()
                    .map(|(index, (tcp, _))| tcp.read_once().map(move |data| (index, data)))
                    .collect();
                assert!(reads.next().now_or_never().is_none(), "nothing was sent");
                for &index in &order {
                    let peer = &pairs[index].1;
                    (&*peer).write_all(&[index as u8]).unwrap();
                    let (read, data) = reads.next().await.unwrap();
                    assert_eq!(read, index);
                    assert_eq!(data.unwrap().unwrap(), [index as u8]);
                }
                assert!(reads.next().await.is_none());
            })
            .unwrap();
        pairs.clear();
    });
}

/// Requests in a `FuturesUnordered`, and what is dropped with it: connects that are awaited are given up.
#[test]
#[cfg(target_os = "linux")]
fn dropping_a_futures_unordered_gives_its_connects_up() {
    with_loop(|event_loop| {
        let nobody = support::unanswering();
        let tcps: Vec<_> = (0..10).map(|_| Tcp::new(event_loop)).collect();
        event_loop
            .block_on(async {
                let mut connects: FuturesUnordered<_> =
                    tcps.iter().map(|tcp| tcp.connect(nobody.addr)).collect();
                let none = connects.next().now_or_never();
                assert!(none.is_none(), "nobody answers");
            })
            .unwrap();
        assert!(!event_loop.is_alive());
        assert!(tcps.iter().all(|tcp| misuse(tcp.fileno()) == Misuse::NoSocket));
    });
}

// ---- other crates -------------------------------------------------------------------------------------------------

/// Channels of async-channel bring messages from callbacks, tasks and other threads to a task; a bounded one makes a task
/// wait that sends.
#[test]
fn channels_connect_callbacks_tasks_and_threads() {
    with_loop(|event_loop| {
        let (sender, receiver) = async_channel::bounded::<&str>(1);
        let from_callback = sender.clone();
        Timer::after(event_loop, Duration::ZERO, move |timer| {
            let rest = from_callback.clone();
            from_callback.try_send("callback").unwrap();
            assert!(from_callback.try_send("no room").is_err());
            timer.event_loop().go(async move { rest.send("task").await });
        });
        let received = event_loop.spawn(async move {
            let mut received = Vec::new();
            while received.len() < 2 {
                received.push(receiver.recv().await.unwrap());
            }
            let thread = thread::spawn(move || sender.send_blocking("thread").unwrap());
            received.extend(receiver.recv().await);
            thread.join().unwrap();
            assert!(receiver.recv().await.is_err(), "all senders are gone");
            received
        });
        let received = event_loop.block_on(received).unwrap().unwrap();
        assert_eq!(received, ["callback", "task", "thread"]);
    });
}

/// Combinators of futures-lite, which poll in other ways than those of futures: `or`, `zip`, `poll_once`.
#[test]
fn combinators_of_futures_lite_work() {
    use futures_lite::future::{or, poll_once, zip};
    with_virtual_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        event_loop
            .block_on(async {
                assert!(poll_once(tcp.read_once()).await.is_none());
                let limited = or(async { Some(tcp.read_once().await) }, async {
                    sleep(Duration::from_secs(1)).await;
                    None
                });
                assert!(limited.await.is_none());
                let sends = async { peer.write_all(b"data").unwrap() };
                let (data, ()) = zip(tcp.read_once(), sends).await;
                assert_eq!(data.unwrap().as_deref(), Some(&b"data"[..]));
            })
            .unwrap();
    });
}

/// A future of luvio may be polled by a waker that is not luvio's at all; only the loop has to turn.
#[test]
fn a_foreign_executor_may_poll_what_the_loop_serves() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let drops = Drops::new();
        let token = drops.token();
        let mut pool = futures::executor::LocalPool::new();
        let received: Rc<Cell<Option<Vec<u8>>>> = Rc::default();
        let sink = Rc::clone(&received);
        let task: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            token.keep();
            sink.set(tcp.read_once().await.unwrap());
            tcp.close().await.unwrap();
        });
        futures::task::LocalSpawnExt::spawn_local(&pool.spawner(), task).unwrap();
        pool.run_until_stalled();
        peer.write_all(b"data").unwrap();
        while drops.count() == 0 {
            turn(event_loop);
            pool.run_until_stalled();
        }
        assert_eq!(received.take().as_deref(), Some(&b"data"[..]));
    });
}

/// What is over can be asked without any executor: `now_or_never` on a write, a drain, a close.
#[test]
fn what_is_over_is_there_now() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        tcp.write(b"x").now_or_never().unwrap().unwrap();
        tcp.drained().now_or_never().unwrap().unwrap();
        let closing = tcp.close();
        event_loop.run().unwrap();
        closing.now_or_never().unwrap().unwrap();
        ready(tcp.close()).unwrap();
    });
}

// ---- coroutines ---------------------------------------------------------------------------------------------------

/// A coroutine that yields what it reads. It returns the error that ends it, or none at the end of the stream.
fn chunks(tcp: Tcp, token: DropToken) -> Coroutine<Vec<u8>, (), io::Result<()>> {
    Coroutine::new(async move |co| {
        token.keep();
        while let Some(data) = tcp.read_once().await? {
            co.yield_(data).await;
        }
        Ok(())
    })
}

/// A task that waits in `resume_async`.
fn waiting_for(
    event_loop: &LoopHandle,
    chunks: &Coroutine<Vec<u8>, (), io::Result<()>>,
) -> Resuming {
    let chunks = chunks.clone();
    event_loop.spawn(async move { chunks.resume_async(()).await })
}

type Resuming = JoinHandle<Result<Resumed<Vec<u8>, io::Result<()>>, ResumeError>>;

/// A task that is aborted while it waits for a coroutine that reads leaves it in the middle of the read; the next one who
/// resumes it gets what has arrived.
#[test]
fn a_coroutine_that_reads_goes_on_after_a_cancelled_resume() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let drops = Drops::new();
        let chunks = chunks(tcp, drops.token());
        let first = waiting_for(event_loop, &chunks);
        turn(event_loop);
        assert_eq!(chunks.status(), Status::Normal);
        first.abort();
        turn(event_loop);
        assert!(first.is_finished());
        assert_eq!((chunks.status(), drops.count()), (Status::Suspended, 0));
        peer.write_all(b"data").unwrap();
        let second = event_loop.block_on(waiting_for(event_loop, &chunks)).unwrap().unwrap();
        assert!(matches!(second, Ok(Resumed::Yielded(data)) if data == b"data"));
        drop(chunks);
        assert_eq!(drops.count(), 1);
    });
}

/// Z-05: closing the handle from which a coroutine reads ends its body with Canceled, and with it the await of the task.
#[test]
fn a_coroutine_that_reads_ends_when_its_handle_is_closed() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let drops = Drops::new();
        let chunks = chunks(tcp.clone(), drops.token());
        let task = waiting_for(event_loop, &chunks);
        turn(event_loop);
        tcp.close();
        match event_loop.block_on(task).unwrap().unwrap() {
            Ok(Resumed::Returned(Err(err))) if is_canceled(&err) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!((chunks.status(), drops.count()), (Status::Dead, 1));
    });
}

/// L-33: dropping the loop drops the task that waits for a coroutine, and the coroutine with it; one that is held
/// elsewhere ends with Canceled.
#[test]
fn a_coroutine_that_reads_ends_with_the_loop() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let drops = Drops::new();
    let (first, _first_peer) = connected_pair(&event_loop);
    let (second, _second_peer) = connected_pair(&event_loop);
    let task = waiting_for(&event_loop, &chunks(first, drops.token()));
    let held = chunks(second, drops.token());
    let other_task = waiting_for(&event_loop, &held);
    turn(&event_loop);
    assert_eq!(drops.count(), 0);
    drop(event_loop);
    assert!(task.is_finished() && other_task.is_finished());
    assert_eq!((held.status(), drops.count()), (Status::Suspended, 1));
    match held.resume(()) {
        Ok(Resumed::Returned(Err(err))) if is_canceled(&err) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(drops.count(), 2);
}
