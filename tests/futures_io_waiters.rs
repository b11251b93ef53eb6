//! Several who wait on one stream by the futures-io traits: WebSocket and HTTP libraries do that. Nobody is forgotten, and
//! closing the handle ends all of them.
#![cfg(feature = "futures")]

#[path = "support/foreign.rs"]
mod foreign;
mod support;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use foreign::ForeignWaker;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use luvio::{Misuse, Tcp, is_canceled};
use support::{Wakes, connected_pair, misuse, ready, turn, with_loop};

/// More than the kernel holds for a peer that does not read.
const MUCH: usize = 16 << 20;

/// Reads to the end, in a thread of its own, and yields how often each byte came.
fn tally(mut peer: TcpStream) -> JoinHandle<[usize; 256]> {
    thread::spawn(move || {
        let mut counts = [0; 256];
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match peer.read(&mut buffer).expect("the stream comes to its end") {
                0 => return counts,
                length => buffer[..length].iter().for_each(|&byte| counts[byte as usize] += 1),
            }
        }
    })
}

async fn write_all(tcp: &Tcp, byte: u8, length: usize) -> io::Result<()> {
    let mut stream = tcp;
    AsyncWriteExt::write_all(&mut stream, &vec![byte; length]).await
}

fn poll_by<F: Future + Unpin>(waker: &Rc<ForeignWaker>, future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&waker.waker()))
}

/// Z-15: two tasks that write much come to their ends, and so does everything that they wrote.
#[test]
fn two_tasks_may_write() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let received = tally(peer);
        let [a, b] = [b'a', b'b'].map(|byte| {
            let tcp = tcp.clone();
            event_loop.spawn(async move { write_all(&tcp, byte, MUCH).await })
        });
        event_loop.block_on(a).unwrap().unwrap().unwrap();
        event_loop.block_on(b).unwrap().unwrap().unwrap();
        drop(tcp);
        let counts = received.join().unwrap();
        assert_eq!((counts[b'a' as usize], counts[b'b' as usize]), (MUCH, MUCH));
    });
}

/// Z-15: a heartbeat beside a big answer, each in a task of its own, and somebody who flushes.
#[test]
fn a_heartbeat_may_go_out_beside_a_big_answer() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let received = tally(peer);
        let answer = tcp.clone();
        let answer = event_loop.spawn(async move { write_all(&answer, b'a', MUCH).await });
        let beating = tcp.clone();
        let beating = event_loop.spawn(async move {
            for _ in 0..100 {
                write_all(&beating, b'h', 1).await?;
                let mut stream = &beating;
                AsyncWriteExt::flush(&mut stream).await?;
            }
            io::Result::Ok(())
        });
        event_loop.block_on(answer).unwrap().unwrap().unwrap();
        event_loop.block_on(beating).unwrap().unwrap().unwrap();
        drop(tcp);
        let counts = received.join().unwrap();
        assert_eq!((counts[b'a' as usize], counts[b'h' as usize]), (MUCH, 100));
    });
}

/// Z-15: one writes, one flushes and one shuts down what the handle's own `write` has queued; all come to their ends.
#[test]
fn a_writer_a_flusher_and_a_closer_may_wait_together() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let filled = support::fill(&tcp);
        let [first, second] = [Wakes::new(), Wakes::new()];
        let mut flushing = &tcp;
        let mut flush = AsyncWriteExt::flush(&mut flushing);
        assert!(first.poll(&mut flush).is_pending());
        let mut closing = &tcp;
        let mut close = AsyncWriteExt::close(&mut closing);
        assert!(second.poll(&mut close).is_pending());
        let received = tally(peer);
        event_loop.block_on(flush).unwrap().unwrap();
        event_loop.block_on(close).unwrap().unwrap();
        assert!(first.count() >= 1 && second.count() >= 1, "all of them are woken");
        assert_eq!(received.join().unwrap()[b'f' as usize], filled);
    });
}

/// Z-15: two tasks that read share what arrives; the end reaches both.
#[test]
fn two_tasks_may_read() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let total = Rc::new(Cell::new(0));
        let readers = [(); 2].map(|()| {
            let (tcp, total) = (tcp.clone(), Rc::clone(&total));
            event_loop.spawn(async move {
                let mut stream = &tcp;
                let mut buffer = [0; 7];
                loop {
                    match AsyncReadExt::read(&mut stream, &mut buffer).await? {
                        0 => return io::Result::Ok(()),
                        length => total.set(total.get() + length),
                    }
                }
            })
        });
        let writing = thread::spawn(move || {
            for _ in 0..100 {
                peer.write_all(&[b'x'; 100]).unwrap();
            }
            peer.shutdown(Shutdown::Write).unwrap();
            peer
        });
        for reader in readers {
            event_loop.block_on(reader).unwrap().unwrap().unwrap();
        }
        drop(writing.join().unwrap());
        assert_eq!(total.get(), 10_000);
    });
}

/// Z-15: of two who wait for data, the one who is polled for another reason may take it; the other one is woken, finds
/// nothing, and goes on waiting.
#[test]
fn whoever_reads_first_leaves_the_other_one_waiting() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let [one, other] = [Wakes::new(), Wakes::new()];
        let (mut first, mut second) = ([0; 8], [0; 8]);
        let (mut a, mut b) = (&tcp, &tcp);
        let mut read_a = AsyncReadExt::read(&mut a, &mut first);
        let mut read_b = AsyncReadExt::read(&mut b, &mut second);
        for (read, wakes) in [(&mut read_a, &one), (&mut read_b, &other)] {
            assert!(wakes.poll(read).is_pending());
        }
        peer.write_all(b"data").unwrap();
        one.wait(event_loop);
        assert!(one.poll(&mut read_a).is_ready());
        assert!(other.poll(&mut read_b).is_pending());
        let woken = other.count();
        peer.write_all(b"more").unwrap();
        while other.count() == woken {
            turn(event_loop);
        }
        assert!(other.poll(&mut read_b).is_ready());
    });
}

/// RD-02: a read that takes over from one by the traits is the one reader from then on: what the other one's waker does when
/// it is woken or dropped meets that, be it another read.
#[test]
fn a_read_may_take_over_whatever_the_waker_of_the_other_does() {
    for in_wake in [false, true] {
        with_loop(|event_loop| {
            let (tcp, mut peer) = connected_pair(event_loop);
            let waker = ForeignWaker::new();
            let mut buffer = [0; 7];
            let mut stream = &tcp;
            let mut waiting = AsyncReadExt::read(&mut stream, &mut buffer);
            assert!(poll_by(&waker, &mut waiting).is_pending());
            let (other, is_refused) = (tcp.clone(), Rc::new(Cell::new(false)));
            let refused = Rc::clone(&is_refused);
            let deed =
                move || refused.set(misuse(ready(other.read_once())) == Misuse::AlreadyReading);
            if in_wake {
                waker.on_wake(deed);
            } else {
                waker.on_drop(deed);
            }
            let wakes = Wakes::new();
            let mut taking_over = tcp.read_once();
            assert!(wakes.poll(&mut taking_over).is_pending());
            drop(waiting);
            assert!(is_refused.get() || !in_wake);
            peer.write_all(b"data").unwrap();
            wakes.wait(event_loop);
            assert_eq!(ready(taking_over).unwrap().as_deref(), Some(&b"data"[..]));
        });
    }
}

/// Z-05, Z-15: the second who waits may close the handle when its waker is cloned; both hear of it.
#[test]
fn a_waker_that_closes_when_it_is_cloned_leaves_nobody_waiting() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        let wakes = Wakes::new();
        let (mut first, mut second) = (&tcp, &tcp);
        let (mut one, mut other) = ([0; 7], [0; 7]);
        let mut waiting = AsyncReadExt::read(&mut first, &mut one);
        assert!(wakes.poll(&mut waiting).is_pending());
        let (waker, closing) = (ForeignWaker::new(), tcp.clone());
        waker.on_clone(move || drop(closing.close()));
        let mut closes = AsyncReadExt::read(&mut second, &mut other);
        assert!(poll_by(&waker, &mut closes).is_pending());
        turn(event_loop);
        assert_eq!((wakes.count(), waker.wakes()), (1, 1));
        assert!(
            is_canceled(&ready(waiting).unwrap_err()) && is_canceled(&ready(closes).unwrap_err())
        );
    });
}

/// Z-05, Z-15: closing the handle ends all who wait, in either direction, in tasks of their own.
#[test]
fn a_close_ends_all_who_wait() {
    with_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        support::fill(&tcp);
        type Wait = Pin<Box<dyn Future<Output = io::Result<()>>>>;
        let waits = (0..8).map(|which| {
            let tcp = tcp.clone();
            let wait: Wait = Box::pin(async move {
                let mut stream = &tcp;
                match which % 4 {
                    0 => AsyncReadExt::read(&mut stream, &mut [0; 8]).await.map(drop),
                    1 => write_all(&tcp, b'x', 1).await,
                    2 => AsyncWriteExt::flush(&mut stream).await,
                    _ => stream.read_to_end(&mut Vec::new()).await.map(drop),
                }
            });
            event_loop.spawn(wait)
        });
        let waits: Vec<_> = waits.collect();
        turn(event_loop);
        tcp.close();
        for wait in waits {
            let ended = event_loop.block_on(wait).unwrap().unwrap();
            assert!(ended.is_err_and(|err| is_canceled(&err)));
        }
    });
}
