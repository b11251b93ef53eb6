//! Passing descriptors over a Unix-domain socket.

#![cfg(feature = "descriptors")]

mod support;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use luvio::{Loop, LoopHandle, Misuse, Pipe, Tcp};
use support::{Folder, Journal, expect, misuse, turn, watchdog, with_loop};

/// A descriptor by which what was passed is known again: the reading end of a pipe that has `mark` in it.
fn marked(mark: u8) -> OwnedFd {
    let (mut writer, reader) = mio::unix::pipe::new().unwrap();
    writer.write_all(&[mark]).unwrap();
    reader.into()
}

fn mark_of(fd: OwnedFd) -> u8 {
    let mut mark = [0];
    File::from(fd).read_exact(&mut mark).unwrap();
    mark[0]
}

fn marks(fds: Vec<OwnedFd>) -> Vec<u8> {
    fds.into_iter().map(mark_of).collect()
}

/// A pipe whose writing end tells whether the reading end, which is passed around, is still open anywhere.
fn witnessed() -> (OwnedFd, impl FnMut() -> bool) {
    let (mut writer, reader) = mio::unix::pipe::new().unwrap();
    let mut is_open =
        move || !writer.write(&[0]).is_err_and(|err| err.kind() == io::ErrorKind::BrokenPipe);
    assert!(is_open());
    (reader.into(), is_open)
}

/// Comes back when it is closed everywhere. A child that a test beside this one is starting holds a duplicate of it until it
/// runs.
fn wait_until_closed(is_open: &mut impl FnMut() -> bool) {
    while is_open() {
        std::thread::yield_now();
    }
}

fn pair(event_loop: &LoopHandle) -> (Pipe, Pipe) {
    Pipe::pair_with_descriptors(event_loop).unwrap()
}

/// Sends one byte with these descriptors by the system's own call.
fn send_raw(socket: &UnixStream, fds: &[OwnedFd]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let sent = sendmsg(socket, &[IoSlice::new(b"x")], &mut control, SendFlags::empty());
    assert_eq!(sent.unwrap(), 1);
}

/// U-14: descriptors come with their bytes, to a callback, and in the order of sending.
#[test]
fn descriptors_arrive_with_their_bytes() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        one.write("plain");
        one.write_with_fds("with two", vec![marked(1), marked(2)]);
        one.write("plain again");
        one.write_with_fds("with a third", vec![marked(3)]);
        one.finish();
        let (ended, mut text, mut all) = (expect(1), Vec::new(), Vec::new());
        let read = other.read_start(move |other, chunk| {
            all.extend(marks(other.take_fds()));
            match chunk.unwrap() {
                Some(data) => {
                    text.extend_from_slice(data);
                    let expected = match text.len() {
                        0..6 => 0,
                        6..25 => 2,
                        _ => 3,
                    };
                    assert_eq!(all.len(), expected, "after {} bytes", text.len());
                }
                None => {
                    ended.hit();
                    assert_eq!(text, b"plainwith twoplain againwith a third");
                    assert_eq!(all, [1, 2, 3]);
                    other.close();
                }
            }
        });
        read.unwrap();
    });
}

/// U-14: what came with several reads is taken at once, in order; by tasks and by the way of a listener, too.
#[test]
fn what_was_not_taken_waits_in_order() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let server = Pipe::with_descriptors(event_loop);
        server.bind(folder.path("server")).unwrap();
        server.listen_only(8).unwrap();
        let client = Pipe::with_descriptors(event_loop);
        client.connect(server.local_addr().unwrap());
        // During the connect: it waits.
        client.write_with_fds("a", vec![marked(1)]);
        let accepted = event_loop.try_block_on(server.accept_next()).unwrap();
        client.write_with_fds("b", vec![marked(2), marked(3)]);
        client.write_with_fds("c", vec![marked(4)]);
        let read = async {
            let mut text = Vec::new();
            while text.len() < 3 {
                assert!(accepted.read_into(&mut text).await.unwrap() > 0);
            }
            text
        };
        assert_eq!(event_loop.block_on(read).unwrap(), b"abc");
        assert_eq!(marks(accepted.take_fds()), [1, 2, 3, 4]);
        assert!(accepted.take_fds().is_empty());
        // And back.
        accepted.write_with_fds("d", vec![marked(5)]);
        event_loop.try_block_on(client.read_once()).unwrap();
        assert_eq!(marks(client.take_fds()), [5]);
    });
}

/// U-14: more bytes than one read takes behind a descriptor are all read, though the poll speaks of them only once.
#[test]
fn what_stands_behind_a_descriptor_is_read() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        send_raw(&there, &[marked(1)]);
        there.write_all(b"y").unwrap();
        send_raw(&there, &[marked(2)]);
        there.write_all(b"z").unwrap();
        let pipe = Pipe::with_descriptors(event_loop);
        pipe.open(here).unwrap();
        let read = Rc::new(RefCell::new(Vec::new()));
        let so_far = Rc::clone(&read);
        let start = pipe.read_start(move |pipe, chunk| {
            let data = chunk.unwrap().unwrap();
            so_far.borrow_mut().push((data.to_vec(), marks(pipe.take_fds())));
        });
        start.unwrap();
        let length = || read.borrow().iter().map(|(data, _)| data.len()).sum::<usize>();
        support::turn_until(event_loop, || length() == 4);
        let all: Vec<u8> = read.borrow().iter().flat_map(|(_, marks)| marks.clone()).collect();
        assert_eq!(all, [1, 2]);
        pipe.close();
    });
}

/// U-15: descriptors go once, with the first of many bytes that leave in parts, and are closed here then.
#[test]
fn descriptors_go_once_with_a_write_in_parts() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        let (fd, mut is_open) = witnessed();
        let big = vec![b'x'; 4 << 20];
        let journal = Journal::new();
        one.write_with_fds(&big, vec![fd]).then(journal.result("first"));
        one.write_with_fds(&big, vec![marked(1)]).then(journal.result("second"));
        one.finish().then(journal.result("finish"));
        let (mut length, mut taken) = (0, Vec::new());
        let read = async {
            while let Some(data) = other.read_once().await.unwrap() {
                length += data.len();
                taken.extend(other.take_fds());
            }
        };
        event_loop.block_on(read).unwrap();
        assert_eq!((length, taken.len()), (8 << 20, 2));
        assert!(is_open(), "here");
        drop(taken.remove(0));
        // There was one only.
        wait_until_closed(&mut is_open);
        assert_eq!(mark_of(taken.remove(0)), 1);
        event_loop.run().unwrap();
        journal.assert_is(&["first ok", "second ok", "finish ok"]);
    });
}

/// U-15: the descriptors of a write that is cancelled, or cut off by close, are closed.
#[test]
fn descriptors_of_a_cancelled_write_are_closed() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        while one.write_queue_size() == 0 {
            one.write(vec![0; 64 * 1024]);
        }
        let (first, mut first_is_open) = witnessed();
        let (second, mut second_is_open) = witnessed();
        let canceled = one.write_with_fds("x", vec![first]);
        one.write_with_fds("y", vec![second]);
        assert!(canceled.cancel());
        wait_until_closed(&mut first_is_open);
        assert!(second_is_open());
        one.close();
        event_loop.run().unwrap();
        wait_until_closed(&mut second_is_open);
        other.close();
    });
}

/// U-16: what is not taken is closed with the stream, by close and by drop.
#[test]
fn what_nobody_takes_is_closed_with_the_stream() {
    with_loop(|event_loop| {
        for by_drop in [false, true] {
            let (one, other) = pair(event_loop);
            let (fd, mut is_open) = witnessed();
            one.write_with_fds("x", vec![fd]);
            event_loop.try_block_on(other.read_once()).unwrap();
            assert!(is_open());
            if by_drop {
                drop(other);
            } else {
                other.close();
            }
            wait_until_closed(&mut is_open);
            one.close();
        }
    });
}

/// U-16: a handle with descriptors in it that were not taken is not handed over, and one that was read by a plain handle
/// gets none.
#[test]
fn a_handle_with_descriptors_in_it_stays() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        one.write_with_fds("x", vec![marked(7)]);
        event_loop.try_block_on(other.read_once()).unwrap();
        let refused = other.into_fd().unwrap_err();
        assert_eq!(Misuse::of(&refused.error), Some(Misuse::UnderWay));
        let other = refused.value;
        assert_eq!(marks(other.take_fds()), [7]);
        other.into_fd().unwrap();

        let (here, there) = UnixStream::pair().unwrap();
        let plain = Pipe::new(event_loop);
        plain.open(here).unwrap();
        let (fd, mut is_open) = witnessed();
        send_raw(&there, &[fd]);
        event_loop.try_block_on(plain.read_once()).unwrap();
        assert!(plain.take_fds().is_empty());
        wait_until_closed(&mut is_open);
    });
}

/// U-16: a peer that sends 64 descriptors at a time, of which nobody takes any, is bounded; the bytes arrive. In a process of
/// its own, whose descriptors are counted.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_that_nobody_takes_are_bounded() {
    const NAME: &str = "descriptors_that_nobody_takes_are_bounded";
    if !support::is_child() {
        assert!(support::child(NAME, "").status().unwrap().success());
        return;
    }
    with_loop(|event_loop| {
        let (here, there) = UnixStream::pair().unwrap();
        let pipe = Pipe::with_descriptors(event_loop);
        pipe.open(here).unwrap();
        let before = support::open_descriptors();
        let received = Rc::new(Cell::new(0));
        let counter = Rc::clone(&received);
        let read = pipe.read_start(move |_, chunk| {
            counter.set(counter.get() + chunk.unwrap().unwrap().len());
        });
        read.unwrap();
        let sent: Vec<OwnedFd> = (0..64).map(|_| File::open("/dev/null").unwrap().into()).collect();
        for round in 1..=100 {
            send_raw(&there, &sent);
            support::turn_until(event_loop, || received.get() == round);
            let open = support::open_descriptors() - before - sent.len();
            assert_eq!(open, (round * 64).min(253));
        }
        assert_eq!(pipe.take_fds().len(), 253);
        // Whoever takes them again gets them again.
        send_raw(&there, &sent);
        support::turn_until(event_loop, || received.get() == 101);
        assert_eq!(pipe.take_fds().len(), 64);
        pipe.close();
        drop(sent);
        assert_eq!(support::open_descriptors(), before - 1);
    });
}

/// U-16: descriptors for which the process has no room are lost, none leaks, the bytes arrive, and all is well when there is
/// room again. In a process of its own, whose limit it is.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_without_room_are_lost_and_nothing_else() {
    const NAME: &str = "descriptors_without_room_are_lost_and_nothing_else";
    if !support::is_child() {
        assert!(support::child(NAME, "ulimit -n 40").status().unwrap().success());
        return;
    }
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        let kept = marked(9);
        for _ in 0..5 {
            let passed = (0..4).map(|_| kept.try_clone().unwrap()).collect();
            one.write_with_fds("x", passed);
            // Everything but two descriptors is in use.
            let mut hoard = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                hoard.push(file);
            }
            hoard.truncate(hoard.len() - 2);
            let data = event_loop.try_block_on(other.read_once()).unwrap();
            assert_eq!(data.as_deref(), Some(&b"x"[..]));
            assert_eq!(other.take_fds().len(), 2, "what there was room for");
            drop(hoard);
            turn(event_loop);
        }
        let before = support::open_descriptors();
        one.write_with_fds("y", vec![kept.try_clone().unwrap()]);
        event_loop.try_block_on(other.read_once()).unwrap();
        assert_eq!(other.take_fds().len(), 1);
        assert_eq!(support::open_descriptors(), before, "nothing leaked");
    });
}

/// U-15, U-18: a try passes at once, or hands the descriptors back.
#[test]
fn a_try_passes_at_once_or_hands_back() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        assert_eq!(one.try_write_with_fds(b"x", vec![marked(1)]).unwrap(), 1);
        event_loop.try_block_on(other.read_once()).unwrap();
        assert_eq!(marks(other.take_fds()), [1]);
        while one.write_queue_size() == 0 {
            one.write(vec![0; 64 * 1024]);
        }
        let refused = one.try_write_with_fds(b"x", vec![marked(2)]).unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(marks(refused.value), [2]);
        let refused = other.try_write_with_fds(b"", vec![marked(3)]).unwrap_err();
        assert_eq!(Misuse::of(&refused.error), Some(Misuse::BadPassing));
        assert_eq!(marks(refused.value), [3]);
        one.close();
        other.close();
    });
}

/// U-17: a descriptor that was received does not go to a child.
#[test]
fn received_descriptors_are_close_on_exec() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        let passed = marked(1);
        rustix::io::fcntl_setfd(&passed, rustix::io::FdFlags::empty()).unwrap();
        one.write_with_fds("x", vec![passed]);
        event_loop.try_block_on(other.read_once()).unwrap();
        let received = other.take_fds().remove(0);
        let flags = rustix::io::fcntl_getfd(&received).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    });
}

/// U-18: a stream that was not made for it, no data, and too many are refused; what was to be passed is closed.
#[test]
fn passing_what_cannot_be_passed_is_refused() {
    with_loop(|event_loop| {
        let refusal = |request| misuse(event_loop.block_on(request).unwrap());
        let (plain, _peer) = Pipe::pair(event_loop).unwrap();
        let (fd, mut is_open) = witnessed();
        assert_eq!(refusal(plain.write_with_fds("x", vec![fd])), Misuse::CannotPass);
        wait_until_closed(&mut is_open);
        let (writer, reader) = mio::unix::pipe::new().unwrap();
        let fifo = Pipe::with_descriptors(event_loop);
        fifo.open(writer).unwrap();
        assert_eq!(refusal(fifo.write_with_fds("x", vec![marked(1)])), Misuse::CannotPass);
        drop(reader);

        let (one, other) = pair(event_loop);
        assert_eq!(refusal(one.write_with_fds("", vec![marked(1)])), Misuse::BadPassing);
        let many = |count| {
            let file = File::open("/dev/null").unwrap();
            (0..count).map(|_| file.try_clone().unwrap().into()).collect()
        };
        assert_eq!(refusal(one.write_with_fds("x", many(254))), Misuse::BadPassing);
        // None is a plain write, and the most that there may be arrives.
        event_loop.try_block_on(plain.write_with_fds("x", Vec::new())).unwrap();
        event_loop.try_block_on(one.write_with_fds("x", many(253))).unwrap();
        event_loop.try_block_on(other.read_once()).unwrap();
        assert_eq!(other.take_fds().len(), 253);
        one.shutdown();
        assert_eq!(refusal(one.write_with_fds("x", vec![marked(1)])), Misuse::ShutDown);
        one.close();
        assert_eq!(refusal(one.write_with_fds("x", vec![marked(1)])), Misuse::Closing);
        let unconnected = Pipe::with_descriptors(event_loop);
        assert_eq!(refusal(unconnected.write_with_fds("x", vec![marked(1)])), Misuse::NotConnected);
    });
}

/// U-19: a listener that was passed accepts at both ends, and a connection that was passed is served by whoever got it; the
/// other end is a loop in another thread.
#[test]
fn listeners_and_connections_work_where_they_are_passed_to() {
    let _watchdog = watchdog();
    let (here, there) = UnixStream::pair().unwrap();
    let worker = std::thread::spawn(move || {
        let event_loop = Loop::new().unwrap();
        let channel = Pipe::with_descriptors(&event_loop);
        channel.open(there).unwrap();
        event_loop
            .try_block_on(async {
                channel.read_once().await?;
                let mut fds = channel.take_fds();
                assert_eq!(fds.len(), 2);
                let connection = Tcp::new(&event_loop);
                connection.open(fds.pop().unwrap().into())?;
                connection.write("served elsewhere").await?;
                connection.finish().await?;
                let server = Tcp::new(&event_loop);
                server.open_listener(TcpListener::from(fds.pop().unwrap()))?;
                let client = server.accept_next().await?;
                client.write("accepted elsewhere").await?;
                client.finish().await
            })
            .unwrap();
    });
    let event_loop = Loop::new().unwrap();
    let channel = Pipe::with_descriptors(&event_loop);
    channel.open(here).unwrap();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").unwrap();
    server.listen_only(8).unwrap();
    let addr = server.local_addr().unwrap();
    let first = std::net::TcpStream::connect(addr).unwrap();
    let accepted = event_loop.try_block_on(server.accept_next()).unwrap();
    // Both processes accept; here, it goes on, too.
    let also = std::net::TcpStream::connect(addr).unwrap();
    event_loop.try_block_on(server.accept_next()).unwrap().close();
    let listener = server.with_fd(|fd| fd.try_clone_to_owned().unwrap()).unwrap();
    let fds = vec![listener, accepted.into_std().unwrap().into()];
    event_loop.try_block_on(channel.write_with_fds("two for you", fds)).unwrap();
    assert_eq!(io::read_to_string(first).unwrap(), "served elsewhere");
    let second = std::net::TcpStream::connect(addr).unwrap();
    assert_eq!(io::read_to_string(second).unwrap(), "accepted elsewhere");
    worker.join().unwrap();
    drop(also);
}

/// U-20: much traffic in both directions, with descriptors in it, comes to its end, and each arrives.
#[test]
fn heavy_traffic_in_both_directions_ends() {
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        let arrived = Rc::new(Cell::new(0));
        for pipe in [&one, &other] {
            let (counter, ended) = (Rc::clone(&arrived), expect(1));
            let read = pipe.read_start(move |pipe, chunk| {
                counter.set(counter.get() + pipe.take_fds().len());
                if chunk.unwrap().is_none() {
                    ended.hit();
                }
            });
            read.unwrap();
        }
        let block = vec![0; 16 * 1024];
        let kept = marked(1);
        for round in 0..500 {
            for pipe in [&one, &other] {
                if round % 10 == 0 {
                    pipe.write_with_fds(&block, vec![kept.try_clone().unwrap()]);
                } else {
                    pipe.write(&block);
                }
            }
        }
        one.shutdown();
        other.shutdown();
        event_loop.run().unwrap();
        assert_eq!(arrived.get(), 100);
        one.close();
        other.close();
    });
}

/// U-14: the futures-io traits bring descriptors as well.
#[cfg(feature = "futures")]
#[test]
fn descriptors_arrive_by_the_traits_of_futures() {
    use futures::io::AsyncReadExt;
    with_loop(|event_loop| {
        let (one, other) = pair(event_loop);
        let read = async {
            let mut buffer = [0; 8];
            let length = (&other).read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], b"x");
            marks(other.take_fds())
        };
        event_loop.defer(move |_| drop(one.write_with_fds("x", vec![marked(3)])));
        assert_eq!(event_loop.block_on(read).unwrap(), [3]);
    });
}
