//! The traits of futures-io and futures-core on the handles. Statements Z of the behaviour chapter where they concern
//! reading and writing by them.
#![cfg(feature = "futures")]

mod support;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join;
use futures::io::{self as fio, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Cursor};
use futures::{Stream, StreamExt};
use luvio::{Loop, Misuse, Tcp, interval, is_canceled, timeout};
use socket2::SockRef;
use support::{
    Drops, Wakes, accepted_pair, connected_pair, expect, fill, listening, misuse, pair_with_data,
    poll, ready, refusing_addr, reset, turn, watchdog, with_loop, with_virtual_loop,
};

// The handle's own methods have the same names and come first, so these call the traits.

fn write(tcp: &Tcp, data: &[u8]) -> impl Future<Output = io::Result<usize>> + Unpin {
    poll_fn(move |context| Pin::new(&mut &*tcp).poll_write(context, data))
}

fn write_vectored(
    tcp: &Tcp,
    slices: &[IoSlice<'_>],
) -> impl Future<Output = io::Result<usize>> + Unpin {
    poll_fn(move |context| Pin::new(&mut &*tcp).poll_write_vectored(context, slices))
}

fn flush(tcp: &Tcp) -> impl Future<Output = io::Result<()>> + Unpin {
    poll_fn(move |context| Pin::new(&mut &*tcp).poll_flush(context))
}

fn close(tcp: &Tcp) -> impl Future<Output = io::Result<()>> + Unpin {
    poll_fn(move |context| Pin::new(&mut &*tcp).poll_close(context))
}

/// What a test sends that does not fit into the buffers of a connection.
fn big() -> Vec<u8> {
    (0..3_000_017_u32).map(|i| (i * 31 % 251) as u8).collect()
}

/// Writes by the trait until a write has to wait, by the waker of `wakes`.
fn fill_by_trait(tcp: &Tcp, wakes: &Arc<Wakes>) {
    let block = [b'f'; 64 * 1024];
    while let Poll::Ready(written) = wakes.poll(&mut write(tcp, &block)) {
        written.unwrap();
    }
}

/// A pair whose buffers are small, so that what is [`big`] does not fit.
fn narrow_pair(event_loop: &Loop) -> (Tcp, TcpStream) {
    let (tcp, peer) = connected_pair(event_loop);
    tcp.with_fd(|fd| SockRef::from(&fd).set_send_buffer_size(16 * 1024)).unwrap().unwrap();
    SockRef::from(&peer).set_recv_buffer_size(16 * 1024).unwrap();
    (tcp, peer)
}

fn read_in_thread(mut peer: TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        received
    })
}

// ---- reading ------------------------------------------------------------------------------------------------------

/// Z-03, Z-04: a stream is read to its end, in order, by value and by reference; the end comes again.
#[test]
fn a_stream_is_read_to_its_end() {
    fn check<R: AsyncRead + Unpin>(event_loop: &Loop, mut reader: R) -> Vec<u8> {
        let mut received = Vec::new();
        event_loop
            .block_on(async {
                reader.read_to_end(&mut received).await.unwrap();
                assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
            })
            .unwrap();
        received
    }
    for by_reference in [false, true] {
        with_loop(|event_loop| {
            let (tcp, mut peer) = connected_pair(event_loop);
            let writer = thread::spawn(move || peer.write_all(&big()).unwrap());
            let received = match by_reference {
                true => check(event_loop, &tcp),
                false => check(event_loop, tcp),
            };
            assert!(received == big(), "not what was sent");
            writer.join().unwrap();
        });
    }
}

/// A read takes no more than the caller's buffer holds, and into an empty buffer nothing at all.
#[test]
fn a_read_fills_the_buffer_of_the_caller() {
    with_loop(|event_loop| {
        let (mut tcp, _peer) = pair_with_data(event_loop, b"abcdefgh");
        let mut buffer = [0; 5];
        event_loop
            .block_on(async {
                assert_eq!(tcp.read(&mut []).await.unwrap(), 0);
                assert_eq!(tcp.read(&mut buffer).await.unwrap(), 5);
                assert_eq!(&buffer, b"abcde");
                tcp.read_exact(&mut buffer[..3]).await.unwrap();
                assert_eq!(&buffer[..3], b"fgh");
                assert_eq!(tcp.read(&mut []).await.unwrap(), 0);
            })
            .unwrap();
    });
}

/// Z-15: what arrives wakes all who wait for it, once.
#[test]
fn all_who_wait_for_data_are_woken_once() {
    with_loop(|event_loop| {
        let (mut tcp, mut peer) = connected_pair(event_loop);
        let [old, new] = [Wakes::new(), Wakes::new()];
        let mut buffer = [0; 8];
        assert!(old.poll(&mut tcp.read(&mut buffer)).is_pending());
        assert!(new.poll(&mut tcp.read(&mut buffer)).is_pending());
        peer.write_all(b"data").unwrap();
        new.wait(event_loop);
        assert_eq!((old.count(), new.count()), (1, 1));
        assert_eq!(ready(tcp.read(&mut buffer)).unwrap(), 4);
        peer.write_all(b"more").unwrap();
        for _ in 0..5 {
            turn(event_loop);
        }
        assert_eq!((old.count(), new.count()), (1, 1), "nobody waits");
        assert_eq!(event_loop.block_on(tcp.read(&mut buffer)).unwrap().unwrap(), 4);
    });
}

/// Z-06: a read by the trait that was given up loses nothing and stands in nobody's way, neither in that of another kind of
/// await nor of a callback.
#[test]
fn another_reader_may_take_over() {
    with_loop(|event_loop| {
        let (mut tcp, mut peer) = connected_pair(event_loop);
        let mut buffer = [0; 8];
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut tcp.read(&mut buffer)).is_pending());
        let other = tcp.clone();
        let mut taking_over = other.read_once();
        assert!(poll(&mut taking_over).is_pending());
        assert_eq!(wakes.count(), 1, "it is told");
        assert_eq!(misuse(ready(tcp.read(&mut buffer))), Misuse::AlreadyReading);
        peer.write_all(b"once").unwrap();
        let data = event_loop.block_on(taking_over).unwrap().unwrap();
        assert_eq!(data.as_deref(), Some(&b"once"[..]));

        assert!(wakes.poll(&mut tcp.read(&mut buffer)).is_pending());
        let called = expect(1);
        tcp.read_start(move |tcp, chunk| {
            called.hit();
            assert_eq!(chunk.unwrap(), Some(&b"callback"[..]));
            tcp.read_stop();
        })
        .unwrap();
        assert_eq!(wakes.count(), 2);
        assert_eq!(misuse(ready(tcp.read(&mut buffer))), Misuse::AlreadyReading);
        peer.write_all(b"callback").unwrap();
        event_loop.run().unwrap();

        peer.write_all(b"trait").unwrap();
        assert_eq!(event_loop.block_on(tcp.read(&mut buffer)).unwrap().unwrap(), 5);
    });
}

/// Z-13: a read by the trait beside an await or a callback that reads is refused, and disturbs neither.
#[test]
fn a_read_beside_another_reader_is_refused() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let mut buffer = [0; 8];
        let mut waiting = tcp.read_once();
        assert!(poll(&mut waiting).is_pending());
        assert_eq!(misuse(ready((&tcp).read(&mut buffer))), Misuse::AlreadyReading);
        peer.write_all(b"data").unwrap();
        let data = event_loop.block_on(waiting).unwrap().unwrap();
        assert_eq!(data.as_deref(), Some(&b"data"[..]));
    });
}

/// A wait by the trait whose stream was dropped is forgotten: a loop with a virtual clock waits for nobody any more. (It
/// would take five milliseconds a turn otherwise, and more than a test may take in all.)
#[test]
fn a_wait_whose_stream_was_dropped_is_forgotten() {
    with_virtual_loop(|event_loop| {
        let (mut reader, _peer) = connected_pair(event_loop);
        assert!(poll(reader.read(&mut [0])).is_pending());
        let (writer, _other_peer) = connected_pair(event_loop);
        fill_by_trait(&writer, &Wakes::new());
        drop((reader, writer));
        event_loop
            .block_on(async {
                for _ in 0..20_000 {
                    luvio::sleep(Duration::from_secs(1)).await;
                }
            })
            .unwrap();
    });
}

// ---- writing ------------------------------------------------------------------------------------------------------

/// Data goes both ways at the same time: an echo by `copy` over the halves of `split`, and over two references.
#[test]
fn data_is_copied_both_ways() {
    for is_split in [false, true] {
        with_loop(|event_loop| {
            let (client, server) = accepted_pair(event_loop);
            event_loop.go(async move {
                let copied = if is_split {
                    let (reader, mut writer) = server.split();
                    let copied = fio::copy(reader, &mut writer).await?;
                    writer.close().await?;
                    copied
                } else {
                    let copied = fio::copy(&server, &mut &server).await?;
                    close(&server).await?;
                    copied
                };
                assert_eq!(copied, big().len() as u64);
                io::Result::Ok(())
            });
            let received = event_loop.block_on(async {
                let sending = async {
                    fio::copy(Cursor::new(big()), &mut &client).await.unwrap();
                    close(&client).await.unwrap();
                };
                let mut received = Vec::new();
                let receiving = async { (&client).read_to_end(&mut received).await.unwrap() };
                join(sending, receiving).await;
                received
            });
            assert!(received.unwrap() == big(), "not what was sent");
        });
    }
}

/// A vectored write sends its buffers in order; more of them than the kernel takes at once, none, and empty ones are fine.
#[test]
fn vectored_writes_send_their_buffers_in_order() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let slices = [&b"one "[..], b"", b"two ", b"three"].map(IoSlice::new);
        event_loop
            .block_on(async {
                assert_eq!(write_vectored(&tcp, &slices).await.unwrap(), 13);
                assert_eq!(write_vectored(&tcp, &[]).await.unwrap(), 0);
                assert_eq!(write_vectored(&tcp, &[IoSlice::new(b"")]).await.unwrap(), 0);
                assert_eq!(write(&tcp, b"").await.unwrap(), 0);
                let many = [IoSlice::new(b"x"); 3000];
                let written = write_vectored(&tcp, &many).await.unwrap();
                assert!((1..=3000).contains(&written));
                close(&tcp).await.unwrap();
                let received = read_in_thread(peer).join().unwrap();
                assert_eq!(received.len(), 13 + written);
                assert_eq!(&received[..13], b"one two three");
            })
            .unwrap();
    });
}

/// A peer that does not read makes a write wait; nothing is queued meanwhile. When it reads, the task is woken and goes on,
/// as often as it takes.
#[test]
fn a_peer_that_does_not_read_makes_a_write_wait() {
    with_loop(|event_loop| {
        let (tcp, peer) = narrow_pair(event_loop);
        let writer = tcp.clone();
        let task = event_loop.spawn(async move { (&writer).write_all(&big()).await });
        for _ in 0..20 {
            turn(event_loop);
            assert_eq!(tcp.write_queue_size(), 0);
            assert!(!tcp.is_active() && !tcp.needs_drain());
        }
        assert!(!task.is_finished());
        let reader = read_in_thread(peer);
        event_loop.block_on(task).unwrap().unwrap().unwrap();
        event_loop.block_on(close(&tcp)).unwrap().unwrap();
        assert!(reader.join().unwrap() == big(), "not what was sent");
    });
}

/// The same with vectored writes.
#[test]
fn a_peer_that_does_not_read_makes_a_vectored_write_wait() {
    with_loop(|event_loop| {
        let (tcp, peer) = narrow_pair(event_loop);
        let task = event_loop.spawn(async move {
            let data = big();
            let mut sent = 0;
            while sent < data.len() {
                let (first, second) = data[sent..].split_at((data.len() - sent) / 2);
                let slices = [first, second].map(IoSlice::new);
                sent += write_vectored(&tcp, &slices).await.unwrap();
            }
            close(&tcp).await.unwrap();
        });
        for _ in 0..20 {
            turn(event_loop);
        }
        assert!(!task.is_finished());
        let reader = read_in_thread(peer);
        event_loop.block_on(task).unwrap().unwrap();
        assert!(reader.join().unwrap() == big(), "not what was sent");
    });
}

/// A reader and a writer wait on one stream in different tasks, and each is woken for its own.
#[test]
fn a_reader_and_a_writer_do_not_disturb_each_other() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = narrow_pair(event_loop);
        let writer = tcp.clone();
        let writing = event_loop.spawn(async move { (&writer).write_all(&big()).await });
        let reading = event_loop.spawn(async move {
            let mut buffer = [0; 4];
            (&tcp).read_exact(&mut buffer).await.unwrap();
            buffer
        });
        let peer = thread::spawn(move || {
            let mut received = vec![0; big().len()];
            peer.read_exact(&mut received).unwrap();
            peer.write_all(b"data").unwrap();
            peer
        });
        assert_eq!(&event_loop.block_on(reading).unwrap().unwrap(), b"data");
        event_loop.block_on(writing).unwrap().unwrap().unwrap();
        peer.join().unwrap();
    });
}

/// WR-19: what `write` has queued goes first: a write by the trait does not overtake it, and a flush waits for it.
#[test]
fn a_write_by_the_trait_waits_for_what_is_queued() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        let filled = fill(&tcp);
        Tcp::write(&tcp, b"queued ");
        assert!(poll(write(&tcp, b"x")).is_pending());
        assert!(poll(flush(&tcp)).is_pending());
        let reader = read_in_thread(peer);
        event_loop
            .block_on(async {
                flush(&tcp).await.unwrap();
                assert_eq!(tcp.write_queue_size(), 0);
                (&tcp).write_all(b"trait").await.unwrap();
                flush(&tcp).await.unwrap();
                close(&tcp).await.unwrap();
            })
            .unwrap();
        let received = reader.join().unwrap();
        assert_eq!(received.len(), filled + 12);
        assert!(received.ends_with(b"queued trait"));
    });
}

/// Closing by the trait flushes what is queued, shuts the writing side down and waits for that; the peer then sees the end,
/// reading goes on, and closing again is no error. The handle stays open.
#[test]
fn closing_flushes_and_shuts_down() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        let filled = fill(&tcp);
        assert!(poll(close(&tcp)).is_pending());
        assert!(!tcp.is_writable());
        assert_eq!(ready(write(&tcp, b"late")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            peer.write_all(b"answer").unwrap();
            received
        });
        let mut answer = Vec::new();
        event_loop
            .block_on(async {
                for _ in 0..3 {
                    close(&tcp).await.unwrap();
                }
                flush(&tcp).await.unwrap();
                (&tcp).read_to_end(&mut answer).await.unwrap();
            })
            .unwrap();
        assert_eq!(reader.join().unwrap().len(), filled);
        assert_eq!(answer, b"answer");
        assert!(!tcp.is_closing() && tcp.is_readable());
        assert_eq!(misuse(ready(tcp.shutdown())), Misuse::NotConnected);
    });
}

/// Closing by the trait after a shutdown that is on its way waits for that one.
#[test]
fn closing_waits_for_a_shutdown_that_was_begun() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        let shutdown = tcp.shutdown();
        assert!(poll(close(&tcp)).is_pending());
        let reader = read_in_thread(peer);
        event_loop.block_on(close(&tcp)).unwrap().unwrap();
        ready(shutdown).unwrap();
        reader.join().unwrap();
    });
}

/// While the connect is under way reads, writes and flushes wait for it.
#[test]
fn reads_and_writes_wait_for_the_connect() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr);
        assert!(poll(flush(&tcp)).is_pending());
        event_loop.go(async move {
            let accepted = server.accept_next().await?;
            fio::copy(&accepted, &mut &accepted).await?;
            close(&accepted).await
        });
        event_loop
            .block_on(async {
                let mut answer = Vec::new();
                let reading = async { (&tcp).read_to_end(&mut answer).await.unwrap() };
                let writing = async {
                    (&tcp).write_all(b"early").await.unwrap();
                    close(&tcp).await.unwrap();
                };
                join(reading, writing).await;
                assert_eq!(answer, b"early");
            })
            .unwrap();
    });
}

/// RD-26: a failed connect ends what waited for it: the read with its error, the writes as without a connection.
#[test]
fn a_failed_connect_ends_reads_and_writes() {
    with_loop(|event_loop| {
        let tcp = Tcp::new(event_loop);
        tcp.connect(refusing_addr());
        let mut buffer = [0; 8];
        let all = async {
            join(
                join((&tcp).read(&mut buffer), write(&tcp, b"x")),
                // The waker of one direction serves one task; both are in this one.
                close(&tcp),
            )
            .await
        };
        let ((read, write), close) = event_loop.block_on(all).unwrap();
        let kinds = [read.unwrap_err(), write.unwrap_err(), close.unwrap_err()].map(|e| e.kind());
        let [refused, without] = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotConnected];
        assert_eq!(kinds, [refused, without, without]);
        assert_eq!(misuse(ready((&tcp).read(&mut [0]))), Misuse::NotConnected);
    });
}

// ---- errors -------------------------------------------------------------------------------------------------------

/// Z-01: misuse has the kind that combinators expect: NotConnected, BrokenPipe after the shutdown and on a listener.
#[test]
fn misuse_has_the_right_kind() {
    with_loop(|event_loop| {
        let mut tcp = Tcp::new(event_loop);
        assert_eq!(misuse(ready(tcp.read(&mut [0]))), Misuse::NotConnected);
        assert_eq!(misuse(ready(write(&tcp, b"x"))), Misuse::NotConnected);
        assert_eq!(misuse(ready(close(&tcp))), Misuse::NotConnected);
        let (mut server, _) = listening(event_loop);
        assert_eq!(misuse(ready(write(&server, b"x"))), Misuse::Listening);
        assert_eq!(misuse(ready(server.read(&mut [0]))), Misuse::NotConnected);

        let (tcp, _peer) = connected_pair(event_loop);
        ready(close(&tcp)).unwrap();
        let slices = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        for late in [ready(write(&tcp, b"x")), ready(write_vectored(&tcp, &slices))] {
            assert_eq!(late.as_ref().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(misuse(late), Misuse::ShutDown);
        }

        Tcp::close(&tcp);
        assert!(ready((&tcp).read(&mut [0])).is_err_and(|err| is_canceled(&err)));
        assert_eq!(misuse(ready(write(&tcp, b"x"))), Misuse::Closing);
        assert_eq!(misuse(ready(flush(&tcp))), Misuse::Closing);
        assert_eq!(misuse(ready(close(&tcp))), Misuse::Closing);
    });
}

/// Z-01: a reset by the peer is an error of reads and of writes that wait, with the system's code, and later writes fail,
/// too, without a signal.
#[test]
fn a_reset_fails_reads_and_writes() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        assert!(poll((&tcp).read(&mut [0])).is_pending());
        reset(peer);
        let read = event_loop.block_on((&tcp).read(&mut [0])).unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(ready(write(&tcp, b"x")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);

        let (tcp, peer) = connected_pair(event_loop);
        fill_by_trait(&tcp, &Wakes::new());
        let slices = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        reset(peer);
        let failed = event_loop.block_on(async {
            loop {
                if let Err(err) = write_vectored(&tcp, &slices).await {
                    return err;
                }
            }
        });
        assert_eq!(failed.unwrap().kind(), io::ErrorKind::ConnectionReset);
        let write = ready(write_vectored(&tcp, &slices));
        assert_eq!(write.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

/// SH-25: to close by the trait what the peer has reset is a success, as with other crates: there is nothing left to shut
/// down, and whoever reads or writes has heard of the reset.
#[test]
fn closing_after_a_reset_is_a_success() {
    with_loop(|event_loop| {
        let hear: [fn(&Loop, &Tcp); 3] = [
            |_, _| {},
            |event_loop, tcp| {
                let mut reader = tcp;
                event_loop.block_on(reader.read(&mut [0])).unwrap().unwrap_err();
            },
            |event_loop, tcp| while event_loop.block_on(write(tcp, b"x")).unwrap().is_ok() {},
        ];
        for hear in hear {
            let (tcp, peer) = connected_pair(event_loop);
            event_loop.block_on(write(&tcp, b"unread")).unwrap().unwrap();
            reset(peer);
            hear(event_loop, &tcp);
            for _ in 0..2 {
                ready(flush(&tcp)).unwrap();
                ready(close(&tcp)).unwrap();
            }
            assert!(!tcp.is_writable());
        }
    });
}

/// SH-12: a flush and a close by the trait are no success if something that was accepted could not be sent.
#[test]
fn a_flush_is_no_success_after_a_write_failed() {
    with_loop(|event_loop| {
        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        assert!(poll(flush(&tcp)).is_pending());
        reset(peer);
        let flush = event_loop.block_on(flush(&tcp)).unwrap();
        assert_eq!(misuse(flush), Misuse::ShutDown);
        assert!(ready(close(&tcp)).is_err());
    });
}

/// Z-05, Z-15: closing the handle ends every wait with Canceled. Who waited is not known, so that the direction says so to
/// whoever asks from then on; without a wait it says that the handle is closed.
#[test]
fn closing_the_handle_cancels_every_wait() {
    with_loop(|event_loop| {
        for name in ["write", "flush", "close"] {
            let (tcp, _peer) = connected_pair(event_loop);
            fill(&tcp);
            let start = || -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>> {
                match name {
                    "write" => Box::pin(async { write(&tcp, b"x").await.map(drop) }),
                    "flush" => Box::pin(flush(&tcp)),
                    _ => Box::pin(close(&tcp)),
                }
            };
            let [reader, writer] = [Wakes::new(), Wakes::new()];
            let mut waiting = start();
            assert!(writer.poll(&mut waiting).is_pending());
            assert!(reader.poll(&mut (&tcp).read(&mut [0])).is_pending());
            Tcp::close(&tcp);
            assert_eq!((reader.count(), writer.count()), (1, 1), "{name}");
            assert!(ready((&tcp).read(&mut [0])).is_err_and(|err| is_canceled(&err)));
            assert!(ready(waiting).is_err_and(|err| is_canceled(&err)), "{name}");
            assert!(ready((&tcp).read(&mut [0])).is_err_and(|err| is_canceled(&err)));
            assert!(ready(start()).is_err_and(|err| is_canceled(&err)));
        }
    });
}

/// SH-24: a finish ends a wait for data with Canceled, though what is queued takes its time; a later read may go on.
#[test]
fn a_finish_cuts_a_read_off() {
    with_loop(|event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        fill(&tcp);
        let mut buffer = [0; 8];
        let wakes = Wakes::new();
        let mut reader = &tcp;
        let mut read = reader.read(&mut buffer);
        assert!(wakes.poll(&mut read).is_pending());
        tcp.finish();
        assert_eq!(wakes.count(), 1);
        assert!(is_canceled(&ready(&mut read).unwrap_err()));
        peer.write_all(b"left").unwrap();
        assert_eq!(event_loop.block_on((&tcp).read(&mut buffer)).unwrap().unwrap(), 4);
        tcp.close();
    });
}

/// Z-05, rule 7: when the loop is dropped, tasks that read and write are dropped, and waits elsewhere end with Canceled.
#[test]
fn dropping_the_loop_ends_every_wait() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (in_task, _peer) = connected_pair(&event_loop);
    let (tcp, _other_peer) = connected_pair(&event_loop);
    let drops = Drops::new();
    let token = drops.token();
    event_loop.spawn(async move {
        token.keep();
        (&in_task).read(&mut [0]).await
    });
    let wakes = Wakes::new();
    turn(&event_loop);
    fill_by_trait(&tcp, &wakes);
    assert!(wakes.poll(&mut (&tcp).read(&mut [0])).is_pending());
    drop(event_loop);
    assert_eq!(drops.count(), 1);
    assert!(ready((&tcp).read(&mut [0])).is_err_and(|err| is_canceled(&err)));
    assert!(ready(write(&tcp, b"x")).is_err_and(|err| is_canceled(&err)));
    assert!(ready((&tcp).read(&mut [0])).is_err_and(|err| is_canceled(&err)), "and again");
}

/// With a virtual clock, too, a write that waits gets its five milliseconds of real time before time is over.
#[test]
fn a_virtual_clock_is_patient_with_a_write() {
    with_virtual_loop(|event_loop| {
        let (tcp, _peer) = connected_pair(event_loop);
        fill_by_trait(&tcp, &Wakes::new());
        let block = [b'f'; 64 * 1024];
        let begin = Instant::now();
        let writing = async {
            let endless = async {
                loop {
                    (&tcp).write_all(&block).await.unwrap();
                }
            };
            timeout(Duration::from_secs(3600), endless).await
        };
        let result: Result<(), _> = event_loop.block_on(writing).unwrap();
        assert!(result.is_err());
        assert!(begin.elapsed() >= Duration::from_millis(5));
    });
}

// ---- streams ------------------------------------------------------------------------------------------------------

/// Z-05: the stream of connections yields each of them, with the place that made the stream, and ends after its first
/// error.
#[test]
fn connections_are_a_stream() {
    with_loop(|event_loop| {
        let server = Tcp::new(event_loop);
        server.bind("127.0.0.1:0").unwrap();
        let line = line!() + 1;
        let mut incoming = server.incoming();
        assert!(poll(incoming.next()).is_pending(), "and it listens");
        let addr = server.local_addr().unwrap();
        let clients = [(); 3].map(|()| TcpStream::connect(addr).unwrap());
        event_loop
            .block_on(async {
                for client in &clients {
                    let accepted = incoming.next().await.unwrap().unwrap();
                    assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
                    assert_eq!(accepted.created_at().line(), line);
                }
            })
            .unwrap();
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut incoming.next()).is_pending());
        server.close();
        assert_eq!(wakes.count(), 1);
        let end = ready(incoming.next()).unwrap();
        assert!(end.is_err_and(|err| is_canceled(&err)));
        assert!(ready(incoming.next()).is_none());
        assert!(ready(incoming.next()).is_none());
    });
}

/// Z-06: a stream of connections that is dropped has taken none that it did not yield.
#[test]
fn a_dropped_stream_of_connections_loses_none() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let mut incoming = server.incoming();
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut incoming.next()).is_pending());
        let client = TcpStream::connect(addr).unwrap();
        wakes.wait(event_loop);
        drop(incoming);
        let accepted = server.accept().unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
    });
}

/// The connections of a stream can be served side by side by a combinator.
#[test]
fn a_stream_of_connections_can_be_served_by_a_combinator() {
    with_loop(|event_loop| {
        let (server, addr) = listening(event_loop);
        let clients = [(); 8].map(|()| {
            thread::spawn(move || {
                let mut client = TcpStream::connect(addr).unwrap();
                client.write_all(b"ping").unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"ping");
            })
        });
        let serve = server.incoming().take(8).for_each_concurrent(None, |accepted| async {
            let accepted = accepted.unwrap();
            fio::copy(&accepted, &mut &accepted).await.unwrap();
            close(&accepted).await.unwrap();
        });
        event_loop.block_on(serve).unwrap();
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

/// The ticks of an interval are an endless stream.
#[test]
fn ticks_are_a_stream() {
    with_virtual_loop(|event_loop| {
        event_loop
            .block_on(async {
                let second = Duration::from_secs(1);
                let ticks: Vec<_> = interval(second).take(3).collect().await;
                assert_eq!(ticks[1] - ticks[0], second);
                assert_eq!(ticks[2] - ticks[1], second);
            })
            .unwrap();
        assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO), "its timer is gone");
    });
}

/// The deliveries of a signal are a stream, which ends after its first error.
#[test]
#[cfg(feature = "signal")]
fn deliveries_are_a_stream() {
    use signal_hook::low_level::raise;
    with_loop(|event_loop| {
        let signal = luvio::Signal::new(event_loop);
        signal.start_only(luvio::Signal::USR1).unwrap();
        let mut deliveries = signal.deliveries();
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut deliveries.next()).is_pending());
        for _ in 0..3 {
            raise(luvio::Signal::USR1).unwrap();
        }
        wakes.wait(event_loop);
        for _ in 0..3 {
            assert_eq!(ready(deliveries.next()).unwrap().unwrap(), luvio::Signal::USR1);
        }
        assert!(poll(deliveries.next()).is_pending());
        signal.stop();
        assert!(ready(deliveries.next()).unwrap().is_err_and(|err| is_canceled(&err)));
        assert!(ready(deliveries.next()).is_none());
    });
}

/// The handles and their streams can be named by their traits.
#[test]
fn the_traits_are_there_by_value_and_by_reference() {
    fn stream<S: Stream + Unpin>() {}
    fn both<T: AsyncRead + AsyncWrite + Unpin>() {}
    both::<Tcp>();
    both::<&Tcp>();
    stream::<luvio::Incoming<'_>>();
    stream::<luvio::Interval>();
}
