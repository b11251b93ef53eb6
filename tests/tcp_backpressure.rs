//! Backpressure: the write queue's size, its mark, the drain, and how a server uses them against peers that do not read.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use luvio::{Loop, Misuse, RunMode, Tcp, is_canceled, timeout};
use socket2::SockRef;
use support::{
    Journal, connected_pair, connecting, expect, fill, misuse, refusing_addr, reset, std_pair,
    turn, turn_until, watchdog, with_built_loop, with_loop,
};

/// What a stream may have queued unless somebody says otherwise.
const DEFAULT_MARK: usize = 64 * 1024;

/// So many buffers go into one call to the system.
const BUFFERS_PER_SEND: usize = 64;

/// What one read callback gets at most.
const CHUNK: usize = 64 * 1024;

/// Queues `count` writes of one byte.
fn write_bytes(tcp: &Tcp, count: usize) {
    for _ in 0..count {
        tcp.write(b"x");
    }
}

/// The result of a request that is over.
#[track_caller]
fn finished<T: Unpin + 'static>(request: luvio::Request<T>) -> io::Result<T> {
    assert!(request.is_finished());
    futures_lite::future::block_on(request)
}

// ---- the mark ----------------------------------------------------------------------------------------------------

/// The mark is 64 KiB by default. Exactly at the mark there is no need to drain yet, and a write is never refused.
#[test]
fn more_than_the_mark_needs_a_drain() {
    with_loop(|event_loop| {
        let (_server, client) = connecting(event_loop);
        assert!(!client.needs_drain());
        client.write(vec![0; DEFAULT_MARK]);
        assert_eq!(client.write_queue_size(), DEFAULT_MARK);
        assert!(!client.needs_drain());
        client.write(b"x");
        assert!(client.needs_drain());
        assert!(!client.write(vec![0; 10 * DEFAULT_MARK]).is_finished());
        assert_eq!(client.write_queue_size(), 11 * DEFAULT_MARK + 1);
        event_loop.run().unwrap();
        assert!(!client.needs_drain());
    });
}

/// The builder sets the mark of all streams of a loop, each stream its own, before it has a socket, too.
#[test]
fn the_builder_and_the_stream_set_the_mark() {
    with_built_loop(Loop::builder().high_water(10), |event_loop| {
        let (server, client) = connecting(event_loop);
        let other = Tcp::new(event_loop);
        other.set_high_water(4);
        other.connect(server.local_addr().unwrap());
        write_bytes(&client, 10);
        write_bytes(&other, 4);
        assert!(!client.needs_drain() && !other.needs_drain());
        write_bytes(&client, 1);
        write_bytes(&other, 1);
        assert!(client.needs_drain() && other.needs_drain());
        client.set_high_water(11);
        assert!(!client.needs_drain());
        client.set_high_water(3);
        assert!(client.needs_drain());
        client.set_high_water(usize::MAX);
        assert!(!client.needs_drain());
        event_loop.run().unwrap();
        write_bytes(&other, 1);
        assert!(!other.needs_drain(), "the stream can send at once");
    });
}

// ---- drained -----------------------------------------------------------------------------------------------------

/// A drain that is not needed is over with the call; its callback comes later all the same.
#[test]
fn a_drain_that_is_not_needed_is_over_at_once() {
    with_loop(|event_loop| {
        let (_server, client) = connecting(event_loop);
        client.set_high_water(10);
        // More than half of the mark, but not more than the mark.
        write_bytes(&client, 10);
        for tcp in [client, Tcp::new(event_loop)] {
            let request = tcp.drained();
            assert!(request.is_finished());
            let (called, inside) = (expect(1), Rc::new(Cell::new(true)));
            let is_inside = Rc::clone(&inside);
            request.then(move |result| {
                called.hit();
                result.unwrap();
                assert!(!is_inside.get());
            });
            inside.set(false);
        }
    });
}

/// A drain ends when the queue is down to half the mark, not before and not much later, for all who wait, in order.
#[test]
fn a_drain_ends_at_half_the_mark() {
    const MARK: usize = 1000;
    with_built_loop(Loop::builder().high_water(MARK).writes_per_turn(1), |event_loop| {
        let (_server, client) = connecting(event_loop);
        write_bytes(&client, 2 * MARK);
        let (drained, journal) = (expect(2), Journal::new());
        for _ in 0..2 {
            let (tcp, drained) = (client.clone(), drained.clone());
            let request = client.drained();
            assert!(!request.is_finished());
            request.then(move |result| {
                drained.hit();
                result.unwrap();
                let queued = tcp.write_queue_size();
                // In each turn one send, perhaps another for an event.
                assert!(queued <= MARK / 2 && queued > MARK / 2 - 2 * BUFFERS_PER_SEND);
            });
        }
        client.drained().then(journal.result("first"));
        client.drained().then(journal.result("second"));
        while client.write_queue_size() > MARK / 2 {
            assert_eq!(drained.hits(), 0);
            journal.assert_is(&[]);
            event_loop.run_mode(RunMode::Once).unwrap();
        }
        assert_eq!(drained.hits(), 2);
        assert!(client.write_queue_size() > 0);
        journal.assert_is(&["first ok", "second ok"]);
    });
}

/// With a mark of zero it ends when nothing is queued.
#[test]
fn with_a_mark_of_zero_a_drain_ends_with_the_queue() {
    with_built_loop(Loop::builder().writes_per_turn(1), |event_loop| {
        let (_server, client) = connecting(event_loop);
        client.set_high_water(0);
        write_bytes(&client, 1000);
        let (drained, tcp) = (expect(1), client.clone());
        client.drained().then(move |result| {
            drained.hit();
            result.unwrap();
            assert_eq!(tcp.write_queue_size(), 0);
        });
        event_loop.run().unwrap();
    });
}

/// A mark that is raised ends the drains for which the queue is then short enough; one that is lowered does not touch
/// them.
#[test]
fn a_new_mark_counts_for_the_drains_that_wait() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        tcp.set_high_water(0);
        let queued = tcp.write_queue_size();
        let request = tcp.drained();
        tcp.set_high_water(2 * queued - 1);
        assert!(!tcp.needs_drain() && !request.is_finished());
        tcp.set_high_water(0);
        assert!(!request.is_finished());
        let journal = Journal::new();
        request.then(journal.result("drained"));
        tcp.set_high_water(2 * queued);
        journal.assert_is(&[]);
        turn(event_loop);
        journal.assert_is(&["drained ok"]);
        tcp.close();
    });
}

/// A drain on a stream that fails gets its error, after the writes.
#[test]
fn a_drain_gets_the_error_of_the_stream() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        tcp.write(vec![0; 2 * DEFAULT_MARK]);
        let written = expect(1);
        let writes = written.clone();
        tcp.write(b"last").then(move |result| {
            written.hit();
            result.unwrap_err();
        });
        let drained = expect(2);
        for _ in 0..2 {
            let (drained, writes) = (drained.clone(), writes.clone());
            tcp.drained().then(move |result| {
                drained.hit();
                assert_eq!(writes.hits(), 1);
                let code = result.unwrap_err().raw_os_error();
                assert!([Some(libc::ECONNRESET), Some(libc::EPIPE)].contains(&code));
            });
        }
        reset(peer);
    });
}

/// A drain on a stream whose connect fails is cancelled, like the writes that it waits for.
#[test]
fn a_drain_is_cancelled_when_the_connect_fails() {
    with_built_loop(Loop::builder().high_water(0), |event_loop| {
        let tcp = Tcp::new(event_loop);
        let journal = Journal::new();
        tcp.connect(refusing_addr()).then(journal.result("connect"));
        tcp.write(b"x").then(journal.result("write"));
        tcp.drained().then(journal.result("drained"));
        event_loop.run().unwrap();
        journal.assert_is(&["connect ConnectionRefused", "write canceled", "drained canceled"]);
        assert!(!tcp.needs_drain());
    });
}

/// A close cancels the drains that wait, before its own callback; a handle that was closed has none.
#[test]
fn a_close_cancels_the_drains() {
    with_built_loop(Loop::builder().high_water(0), |event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        tcp.drained().then(journal.result("first"));
        tcp.drained().then(journal.result("second"));
        tcp.close().then(journal.result("close"));
        assert!(!tcp.needs_drain());
        assert_eq!(misuse(finished(tcp.drained())), Misuse::Closing);
        event_loop.run().unwrap();
        journal.assert_is(&["first canceled", "second canceled", "close ok"]);
    });
}

/// The end of the loop cancels a drain; from then on there is none.
#[test]
fn the_end_of_the_loop_cancels_a_drain() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().high_water(0).build().unwrap();
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    tcp.drained().then(|_| panic!("called although the loop is gone"));
    let drained = tcp.drained();
    drop(event_loop);
    assert!(is_canceled(&finished(drained).unwrap_err()));
    assert!(!tcp.needs_drain());
    assert_eq!(misuse(finished(tcp.drained())), Misuse::LoopGone);
}

/// A drain can be cancelled, by its request and by its canceler, once; the others go on waiting.
#[test]
fn a_drain_can_be_cancelled() {
    with_built_loop(Loop::builder().high_water(0), |event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let total = fill(&tcp);
        let journal = Journal::new();
        let by_request = tcp.drained();
        let by_canceler = tcp.drained().then(journal.result("by canceler"));
        tcp.drained().then(journal.result("left alone"));
        assert!(by_request.cancel() && by_request.is_finished() && !by_request.cancel());
        by_request.then(journal.result("by request"));
        assert!(by_canceler.cancel() && !by_canceler.cancel());
        journal.assert_is(&[]);
        turn(event_loop);
        journal.assert_is(&["by request canceled", "by canceler canceled"]);
        let reader = thread::spawn(move || peer.read_exact(&mut vec![0; total]).unwrap());
        event_loop.run().unwrap();
        assert_eq!(journal.entries()[2..], ["left alone ok"]);
        assert!(!by_canceler.cancel());
        reader.join().unwrap();
    });
}

/// A drain that was awaited is given up with the await, one that was not goes on.
#[test]
fn a_drain_that_is_no_longer_awaited_is_gone() {
    with_built_loop(Loop::builder().high_water(0), |event_loop| {
        let drains = |event_loop: &Loop| {
            let reasons = event_loop.alive_because();
            reasons.iter().filter(|reason| reason.to_string().contains("drain")).count()
        };
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let limit = timeout(Duration::from_millis(1), tcp.drained());
        assert!(event_loop.block_on(limit).unwrap().is_err());
        assert_eq!(drains(event_loop), 0);
        {
            let mut awaited = pin!(tcp.drained());
            assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(drains(event_loop), 1);
        }
        assert_eq!(drains(event_loop), 0);
        drop(tcp.drained());
        assert_eq!(drains(event_loop), 1);
        tcp.close();
    });
}

/// A drain can be asked for again in its callback, and then waits for the next time.
#[test]
fn a_drain_callback_may_fill_the_queue_again() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let rounds = expect(3);
        fill_again(&tcp, rounds);
        let reader = thread::spawn(move || io::copy(&mut &peer, &mut io::sink()).unwrap());
        event_loop.run().unwrap();
        assert!(reader.join().unwrap() > 3 * DEFAULT_MARK as u64);
    });
}

fn fill_again(tcp: &Tcp, rounds: support::Expect) {
    fill(tcp);
    tcp.write(vec![0; DEFAULT_MARK]);
    assert!(tcp.needs_drain());
    let stream = tcp.clone();
    tcp.drained().then(move |result| {
        result.unwrap();
        assert!(!stream.needs_drain());
        match rounds.hit() {
            3 => drop(stream.finish()),
            _ => fill_again(&stream, rounds),
        }
    });
}

// ---- servers -----------------------------------------------------------------------------------------------------

/// More than the buffers of [`narrow_pair`] hold, there and back.
const FLOOD: usize = 8 << 20;

/// A pair whose buffers in the system are small, so that a peer that does not read is soon noticed.
fn narrow_pair(event_loop: &Loop) -> (Tcp, TcpStream) {
    let (here, there) = std_pair();
    for socket in [SockRef::from(&here), SockRef::from(&there)] {
        socket.set_send_buffer_size(DEFAULT_MARK).unwrap();
        socket.set_recv_buffer_size(DEFAULT_MARK).unwrap();
    }
    let tcp = Tcp::new(event_loop);
    tcp.open(here).unwrap();
    (tcp, there)
}

/// A peer in a thread of its own, which sends a lot and begins to read only when it is told to. It checks that its own
/// bytes come back.
fn flood(peer: TcpStream) -> (Sender<()>, JoinHandle<()>) {
    let (may_read, told): (_, Receiver<()>) = mpsc::channel();
    let flooder = thread::spawn(move || {
        // A length that divides nothing, so that a piece out of place shows.
        let block: Vec<u8> = (0..8191usize).map(|i| (i * i / 7) as u8).collect();
        let data = block.repeat(FLOOD / block.len());
        let mut reading = peer.try_clone().unwrap();
        let reader = thread::spawn(move || {
            told.recv().expect("the server stops to read");
            let mut received = Vec::new();
            reading.read_to_end(&mut received).unwrap();
            received
        });
        (&peer).write_all(&data).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert!(reader.join().unwrap() == data);
    });
    (may_read, flooder)
}

/// The read callback of an echo that pauses a peer which does not read.
fn echo(tcp: &Tcp, chunk: io::Result<Option<&[u8]>>, paused: &Rc<dyn Fn(&Tcp)>) {
    match chunk.unwrap() {
        Some(data) => {
            tcp.write(data);
            if tcp.needs_drain() {
                tcp.read_stop();
                paused(tcp);
                let (stream, paused) = (tcp.clone(), Rc::clone(paused));
                tcp.drained().then(move |end| {
                    end.unwrap();
                    stream.read_start(move |tcp, chunk| echo(tcp, chunk, &paused)).unwrap();
                });
            }
        }
        None => drop(tcp.finish()),
    }
}

/// A server of callbacks that pauses has no more than the mark and one chunk queued, however much the peer sends; nothing
/// is lost when it reads at last.
#[test]
fn a_server_that_pauses_holds_bounded_memory() {
    with_loop(|event_loop| {
        let (tcp, peer) = narrow_pair(event_loop);
        let (may_read, flooder) = flood(peer);
        let (most, pauses) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (largest, count) = (Rc::clone(&most), Rc::clone(&pauses));
        let paused: Rc<dyn Fn(&Tcp)> = Rc::new(move |tcp| {
            largest.set(largest.get().max(tcp.write_queue_size()));
            count.set(count.get() + 1);
            // The peer reads only once the server has stopped to do so.
            let _ = may_read.send(());
        });
        tcp.read_start(move |tcp, chunk| echo(tcp, chunk, &paused)).unwrap();
        drop(tcp);
        event_loop.run().unwrap();
        flooder.join().unwrap();
        assert!(pauses.get() > 0);
        assert!(most.get() <= DEFAULT_MARK + CHUNK, "{} bytes queued", most.get());
    });
}

/// So has a server of tasks that waits for the drain.
#[test]
fn a_task_that_waits_for_the_drain_holds_bounded_memory() {
    with_loop(|event_loop| {
        let (tcp, peer) = narrow_pair(event_loop);
        let (may_read, flooder) = flood(peer);
        let drains = Rc::new(Cell::new(0));
        let count = Rc::clone(&drains);
        event_loop.go(async move {
            while let Some(data) = tcp.read_once().await? {
                tcp.write(&data);
                if tcp.needs_drain() {
                    assert!(tcp.write_queue_size() <= DEFAULT_MARK + CHUNK);
                    count.set(count.get() + 1);
                    let _ = may_read.send(());
                    tcp.drained().await?;
                    assert!(tcp.write_queue_size() <= DEFAULT_MARK / 2);
                }
            }
            tcp.finish().await
        });
        event_loop.run().unwrap();
        flooder.join().unwrap();
        assert!(drains.get() > 0);
    });
}

/// And one whose task awaits each write has one chunk.
#[test]
fn a_task_that_awaits_its_writes_holds_one_chunk() {
    with_loop(|event_loop| {
        let (tcp, peer) = narrow_pair(event_loop);
        let (may_read, flooder) = flood(peer);
        event_loop.go(async move {
            while let Some(data) = tcp.read_once().await? {
                let written = tcp.write(&data);
                assert!(tcp.write_queue_size() <= CHUNK);
                if !written.is_finished() {
                    let _ = may_read.send(());
                }
                written.await?;
                assert_eq!(tcp.write_queue_size(), 0);
            }
            tcp.finish().await
        });
        event_loop.run().unwrap();
        flooder.join().unwrap();
    });
}

/// Nothing pauses by itself: a stream above its mark goes on reading, and its queue grows.
#[test]
fn nothing_pauses_by_itself() {
    const SENT: usize = 1 << 20;
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.set_high_water(1);
        fill(&tcp);
        let before = tcp.write_queue_size();
        assert!(tcp.needs_drain());
        let read = Rc::new(Cell::new(0));
        let count = Rc::clone(&read);
        tcp.read_start(move |tcp, chunk| {
            let data = chunk.unwrap().expect("the peer does not end");
            count.set(count.get() + data.len());
            tcp.write(data);
        })
        .unwrap();
        let sender = thread::spawn(move || {
            peer.write_all(&[b'x'; SENT]).unwrap();
            peer
        });
        turn_until(event_loop, || read.get() == SENT);
        assert_eq!(tcp.write_queue_size(), before + SENT);
        assert!(tcp.is_active());
        tcp.close();
        drop(sender.join().unwrap());
    });
}

// ---- cancelling a write ------------------------------------------------------------------------------------------

/// A queued write of which the system has nothing can be cancelled, by its request and by its canceler. The others keep
/// their order, the queue size is right at once, and each hears of its end once.
#[test]
fn a_queued_write_can_be_cancelled() {
    with_loop(|event_loop| {
        let (server, client) = connecting(event_loop);
        let journal = Journal::new();
        client.write(b"one ").then(journal.result("one"));
        let two = client.write(b"two, which is long ");
        client.write(b"three ").then(journal.result("three"));
        let four = client.write(b"four ").then(journal.result("four"));
        client.write(b"five").then(journal.result("five"));
        assert_eq!(client.write_queue_size(), 38);
        assert!(two.cancel());
        assert_eq!(client.write_queue_size(), 19);
        assert!(four.cancel());
        assert_eq!(client.write_queue_size(), 14);
        assert!(two.is_finished() && !two.cancel() && !four.cancel());
        two.then(journal.result("two"));
        client.finish();
        journal.assert_is(&[]);
        event_loop.run().unwrap();
        journal.assert_is(&["four canceled", "two canceled", "one ok", "three ok", "five ok"]);
        assert_eq!(received(event_loop, &server), b"one three five");
    });
}

/// Reads the accepted connection to its end and closes it.
fn received(event_loop: &Loop, server: &Tcp) -> Vec<u8> {
    let received = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&received);
    let read = move |peer: &Tcp, chunk: io::Result<Option<&[u8]>>| match chunk.unwrap() {
        Some(data) => all.borrow_mut().extend_from_slice(data),
        None => drop(peer.close()),
    };
    server.accept().unwrap().read_start(read).unwrap();
    event_loop.run().unwrap();
    received.take()
}

/// Once the system has a part of a write, or all of it, it is too late.
#[test]
fn a_write_that_has_begun_cannot_be_cancelled() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let at_once = tcp.write(b"x");
        assert!(!at_once.cancel());
        let canceler = at_once.then(journal.result("at once"));
        assert!(!canceler.cancel());
        let data = vec![b'x'; 64 << 20];
        let begun = tcp.write(&data);
        let left = tcp.write_queue_size();
        assert!(0 < left && left < data.len());
        assert!(!begun.cancel());
        assert_eq!(tcp.write_queue_size(), left);
        let canceler = begun.then(journal.result("begun"));
        assert!(!canceler.cancel());
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received.len()
        });
        tcp.finish();
        event_loop.run().unwrap();
        journal.assert_is(&["at once ok", "begun ok"]);
        assert_eq!(reader.join().unwrap(), data.len() + 1);
    });
}

/// Nor can a write be cancelled that is out and whose callback is still to come, nor one whose callback has come.
#[test]
fn a_write_that_is_over_cannot_be_cancelled() {
    with_loop(|event_loop| {
        let (_server, client) = connecting(event_loop);
        let done = expect(2);
        let second = Rc::new(RefCell::new(None::<luvio::Canceler>));
        let (count, other) = (done.clone(), Rc::clone(&second));
        let first = client.write(b"one").then(move |result| {
            count.hit();
            result.unwrap();
            // Sent together with this one.
            assert!(!other.borrow().as_ref().expect("set below").cancel());
        });
        let canceler = client.write(b"two").then(move |result| {
            done.hit();
            result.unwrap();
        });
        second.replace(Some(canceler));
        event_loop.run().unwrap();
        assert!(!first.cancel());
    });
}

/// What a cancelled write leaves behind goes on: a drain ends, a shutdown goes through.
#[test]
fn what_waits_for_a_cancelled_write_goes_on() {
    with_built_loop(Loop::builder().high_water(10), |event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let mut sent = 0;
        while let Ok(more) = tcp.try_write(&[b'x'; 4096]) {
            sent += more;
        }
        let journal = Journal::new();
        let large = tcp.write(b"more than the mark");
        let small = tcp.write(b"small");
        tcp.drained().then(journal.result("drained"));
        tcp.shutdown().then(journal.result("shutdown"));
        assert!(tcp.needs_drain());
        assert!(large.cancel());
        assert!(!tcp.needs_drain());
        turn(event_loop);
        journal.assert_is(&["drained ok"]);
        assert!(small.cancel());
        assert_eq!(tcp.write_queue_size(), 0);
        turn(event_loop);
        journal.assert_is(&["drained ok", "shutdown ok"]);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), sent);
    });
}

/// A write can be cancelled in the callback of another; it hears of it in the next pending pass, before the next I/O.
#[test]
fn a_write_can_be_cancelled_in_a_callback() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let journal = Journal::new();
        let canceler = Rc::new(RefCell::new(None::<luvio::Canceler>));
        let (noted, cancel) = (journal.clone(), Rc::clone(&canceler));
        tcp.write(b"at once").then(move |_| {
            assert!(cancel.borrow().as_ref().expect("set below").cancel());
            noted.note("cancelled");
        });
        fill(&tcp);
        canceler.replace(Some(tcp.write(b"queued").then(journal.result("queued"))));
        turn(event_loop);
        journal.assert_is(&["cancelled", "queued canceled"]);
        tcp.close();
    });
}

/// A task that awaits a write hears of the cancellation; a dropped await cancels nothing.
#[test]
fn an_awaited_write_can_be_cancelled_but_not_by_dropping_it() {
    with_loop(|event_loop| {
        let (server, client) = connecting(event_loop);
        {
            let mut dropped = pin!(client.write(b"kept"));
            assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(client.write_queue_size(), 4);
        let mut request = client.write(b"lost");
        let end = event_loop.block_on(async {
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(&mut request).poll(&mut context).is_pending());
            assert!(request.cancel());
            request.await
        });
        assert!(is_canceled(&end.unwrap().unwrap_err()));
        client.finish();
        event_loop.run().unwrap();
        assert_eq!(received(event_loop, &server), b"kept");
    });
}

/// A shutdown and a close cannot be cancelled.
#[test]
fn a_shutdown_and_a_close_cannot_be_cancelled() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        let shutdown = tcp.shutdown();
        assert!(!shutdown.cancel());
        let canceler = shutdown.then(journal.result("shutdown"));
        assert!(!canceler.cancel());
        let close = tcp.close();
        assert!(!close.cancel());
        let canceler = close.then(journal.result("close"));
        assert!(!canceler.cancel());
        event_loop.run().unwrap();
        journal.assert_is(&["shutdown canceled", "close ok"]);
    });
}

/// After a close there is nothing to cancel any more: each request hears of the close, in order and before it, also when
/// one tries to cancel it in the meantime.
#[test]
fn a_close_comes_before_a_cancel() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill(&tcp);
        let journal = Journal::new();
        let last = Rc::new(RefCell::new(None::<luvio::Canceler>));
        let (cancel, noted) = (Rc::clone(&last), journal.result("one"));
        tcp.write(b"one").then(move |result| {
            noted(result);
            assert!(!cancel.borrow().as_ref().expect("set below").cancel());
        });
        tcp.write(b"two").then(journal.result("two"));
        last.replace(Some(tcp.write(b"three").then(journal.result("three"))));
        tcp.close().then(journal.result("close"));
        assert!(!last.borrow().as_ref().expect("set above").cancel());
        event_loop.run().unwrap();
        journal.assert_is(&["one canceled", "two canceled", "three canceled", "close ok"]);
    });
}

/// After the loop is gone there is nothing to cancel either.
#[test]
fn after_the_loop_there_is_nothing_to_cancel() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (tcp, _peer) = connected_pair(&event_loop);
    fill(&tcp);
    let request = tcp.write(b"x");
    let canceler = tcp.write(b"y").then(|_| panic!("called although the loop is gone"));
    drop(event_loop);
    assert!(!request.cancel() && !canceler.cancel());
    assert!(is_canceled(&finished(request).unwrap_err()));
}
