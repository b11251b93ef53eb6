//! Adopting descriptors of any origin: which way they go, what is refused, and who closes them.

#![cfg(feature = "descriptors")]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use luvio::{Misuse, Pipe, RunMode, is_canceled};
use support::{Folder, Journal, expect, misuse, turn, with_loop};

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// An anonymous pipe: its reading end, then its writing end.
fn anonymous_pipe() -> (OwnedFd, OwnedFd) {
    let (writer, reader) = mio::unix::pipe::new().unwrap();
    (reader.into(), writer.into())
}

fn opened(event_loop: &luvio::LoopHandle, fd: impl Into<OwnedFd>) -> Pipe {
    let pipe = Pipe::new(event_loop);
    pipe.open(fd).unwrap();
    pipe
}

/// U-11: each end of an anonymous pipe goes one way, and refuses the other.
#[test]
fn an_end_of_a_pipe_goes_one_way() {
    with_loop(|event_loop| {
        let (reader, writer) = anonymous_pipe();
        let (reader, writer) = (opened(event_loop, reader), opened(event_loop, writer));
        assert!(reader.is_readable() && !reader.is_writable());
        assert!(!writer.is_readable() && writer.is_writable());
        assert_eq!(misuse(event_loop.block_on(reader.write("x")).unwrap()), Misuse::ShutDown);
        assert_eq!(misuse(reader.try_write(b"x")), Misuse::ShutDown);
        assert_eq!(misuse(writer.read_start(|_, _| {})), Misuse::NotConnected);
        assert_eq!(misuse(event_loop.block_on(writer.read_once()).unwrap()), Misuse::NotConnected);
        assert_eq!(misuse(reader.peer_addr()), Misuse::NotUnix);

        let journal = Journal::new();
        support_note(&reader, &journal);
        writer.write("through");
        writer.write_vectored(&[io::IoSlice::new(b" the"), io::IoSlice::new(b" pipe")]);
        writer.shutdown().then(journal.result("shutdown"));
        event_loop.run().unwrap();
        journal.assert_is(&["shutdown ok", "through the pipe", "end"]);
        assert!(!writer.is_writable() && writer.fileno().is_err());
        assert_eq!(misuse(writer.open(anonymous_pipe().0).map_err(Into::into)), Misuse::HasSocket);
    });
}

/// Notes what comes, all in one, and the end; then closes it.
fn support_note(pipe: &Pipe, journal: &Journal) {
    let (noted, mut text) = (journal.clone(), Vec::new());
    let read = pipe.read_start(move |pipe, chunk| match chunk.expect("no error") {
        Some(data) => text.extend_from_slice(data),
        None => {
            noted.note(String::from_utf8_lossy(&text));
            noted.note("end");
            pipe.close();
        }
    });
    read.unwrap();
}

/// U-11, WR-02: a slow reader of a pipe gets everything, from a task that awaits its writes.
#[test]
fn much_goes_through_a_pipe() {
    with_loop(|event_loop| {
        let (reader, writer) = anonymous_pipe();
        let (reader, writer) = (opened(event_loop, reader), opened(event_loop, writer));
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n / 253) as u8).collect();
        let sent = data.clone();
        event_loop.spawn(async move {
            writer.write(sent).await.unwrap();
            writer.finish().await.unwrap();
        });
        let mut received = Vec::new();
        let read = async { while reader.read_into(&mut received).await.unwrap() > 0 {} };
        event_loop.block_on(read).unwrap();
        assert!(received == data);
    });
}

/// U-11: a reader that goes while much is queued is a broken pipe for all of it.
#[test]
fn a_reader_that_goes_breaks_the_pipe() {
    with_loop(|event_loop| {
        let (reader, writer) = anonymous_pipe();
        let writer = opened(event_loop, writer);
        let journal = Journal::new();
        writer.write(vec![0; 1 << 20]).then(journal.result("write"));
        turn(event_loop);
        drop(reader);
        event_loop.run().unwrap();
        journal.assert_is(&["write BrokenPipe"]);
        writer.close();
    });
}

/// U-11: a FIFO without a writer is no end and no error: it waits until there is one, and ends with it.
#[test]
fn a_fifo_without_a_writer_waits() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("fifo");
        make_fifo(&path);
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let reader = opened(event_loop, open.unwrap());
        let journal = Journal::new();
        support_note(&reader, &journal);
        for _ in 0..3 {
            turn(event_loop);
        }
        assert!(reader.is_active());
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"late").unwrap();
        drop(writer);
        event_loop.run().unwrap();
        journal.assert_is(&["late", "end"]);
    });
}

/// U-11: a FIFO that was opened both ways goes both ways.
#[cfg(target_os = "linux")]
#[test]
fn a_fifo_that_was_opened_both_ways_goes_both_ways() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("fifo");
        make_fifo(&path);
        let fifo =
            opened(event_loop, OpenOptions::new().read(true).write(true).open(&path).unwrap());
        fifo.write("to myself");
        let heard = event_loop.try_block_on(fifo.read_once()).unwrap();
        assert_eq!(heard.as_deref(), Some(&b"to myself"[..]));
        event_loop.try_block_on(fifo.shutdown()).unwrap();
        fifo.close();
    });
}

/// U-11: packets of a pipe that has them arrive one by one, though the poll speaks of them only once.
#[cfg(target_os = "linux")]
#[test]
fn packets_arrive_one_by_one() {
    with_loop(|event_loop| {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::DIRECT).unwrap();
        let (reader, mut writer) = (opened(event_loop, reader), File::from(writer));
        for packet in ["one", "two", "three"] {
            writer.write_all(packet.as_bytes()).unwrap();
        }
        let packets = expect(3);
        let read = reader.read_start(move |reader, chunk| {
            let expected = ["one", "two", "three"][packets.hit() - 1];
            assert_eq!(chunk.unwrap(), Some(expected.as_bytes()));
            if packets.hits() == 3 {
                reader.close();
            }
        });
        read.unwrap();
        event_loop.run().unwrap();
        drop(writer);
    });
}

/// U-11, U-12: sockets go both ways, those of TCP too; and the output of a child is read to its end.
#[test]
fn sockets_and_the_output_of_a_child_are_adopted() {
    with_loop(|event_loop| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let pipe = opened(event_loop, here);
        assert!(pipe.is_readable() && pipe.is_writable() && pipe.peer_addr().unwrap().is_unnamed());
        pipe.write("hello");
        let mut heard = [0; 5];
        there.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");

        let (here, mut there): (TcpStream, TcpStream) = support::std_pair();
        let over_tcp = opened(event_loop, here);
        there.write_all(b"tcp").unwrap();
        let heard = event_loop.try_block_on(over_tcp.read_once()).unwrap();
        assert_eq!(heard.as_deref(), Some(&b"tcp"[..]));
        assert_eq!(misuse(over_tcp.local_addr()), Misuse::NotUnix);

        let mut child = Command::new("sh")
            .args(["-c", "cat; echo done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = opened(event_loop, child.stdin.take().unwrap());
        let output = opened(event_loop, child.stdout.take().unwrap());
        let journal = Journal::new();
        support_note(&output, &journal);
        input.write("from here\n");
        input.finish();
        event_loop.run().unwrap();
        journal.assert_is(&["from here\ndone\n", "end"]);
        child.wait().unwrap();
    });
}

/// U-12: what is no pipe comes back, open and as it was, with a text that says where it belongs.
#[test]
fn what_is_no_pipe_comes_back() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("file");
        std::fs::write(&path, "plain").unwrap();
        let others: Vec<(&str, OwnedFd)> = vec![
            ("a file", File::open(&path).unwrap().into()),
            ("a directory", File::open(folder.path(".")).unwrap().into()),
            ("a device", File::open("/dev/null").unwrap().into()),
            #[cfg(target_os = "linux")]
            ("a terminal", File::open("/dev/ptmx").unwrap().into()),
            ("a Unix datagram socket", UnixDatagram::unbound().unwrap().into()),
            ("a UDP socket", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
            #[cfg(target_os = "linux")]
            ("a listener", UnixListener::bind(folder.path("listener")).unwrap().into()),
        ];
        let pipe = Pipe::new(event_loop);
        for (what, fd) in others {
            let number = fd.as_raw_fd();
            let refused = pipe.open(fd).expect_err(what);
            assert_eq!(Misuse::of(&refused.error), Some(Misuse::NotAPipe), "{what}");
            assert!(refused.error.to_string().contains("std::fs"));
            assert_eq!(refused.value.as_raw_fd(), number, "{what} is still open");
            let flags = rustix::fs::fcntl_getfl(&refused.value).unwrap();
            assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{what} is as it was");
        }
        assert!(!pipe.has_socket());
        pipe.open(anonymous_pipe().0).unwrap();
        let (second, _writer) = anonymous_pipe();
        assert_eq!(misuse(pipe.open(second).map_err(Into::into)), Misuse::HasSocket);
        pipe.close();
        let refused = pipe.open(anonymous_pipe().0).unwrap_err();
        assert_eq!(Misuse::of(&refused.error), Some(Misuse::Closing));
    });
}

/// U-12: who adopts a descriptor owns it: close closes it, and so does the drop of the last clone; and it is made
/// non-blocking.
#[test]
fn an_adopted_descriptor_is_closed_with_the_handle() {
    with_loop(|event_loop| {
        for by_drop in [false, true] {
            let (reader, writer) = anonymous_pipe();
            rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
            let pipe = opened(event_loop, writer);
            let flags = pipe.with_fd(|fd| rustix::fs::fcntl_getfl(fd).unwrap()).unwrap();
            assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
            if by_drop {
                drop(pipe);
            } else {
                pipe.close();
            }
            let mut rest = Vec::new();
            File::from(reader).read_to_end(&mut rest).unwrap();
            assert!(rest.is_empty());
        }
    });
}

/// TC-28, U-12: an adopted descriptor goes on elsewhere, and who reads it here hears so.
#[test]
fn an_adopted_descriptor_can_be_taken_back() {
    with_loop(|event_loop| {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let number = reader.as_raw_fd();
        let pipe = opened(event_loop, reader);
        let waiting = pipe.clone();
        let task = event_loop.spawn(async move { waiting.read_once().await });
        event_loop.run_mode(RunMode::NoWait).unwrap();
        let fd = pipe.into_fd().unwrap();
        assert_eq!(fd.as_raw_fd(), number);
        assert!(is_canceled(&event_loop.block_on(task).unwrap().unwrap().unwrap_err()));
        writer.write_all(b"x").unwrap();
        let again = opened(event_loop, fd);
        assert_eq!(event_loop.try_block_on(again.read_once()).unwrap().as_deref(), Some(&b"x"[..]));
    });
}

/// U-21: the other end of a pair is this process; who is not connected, or no socket, has nobody there.
#[cfg(target_os = "linux")]
#[test]
fn a_peer_has_credentials() {
    with_loop(|event_loop| {
        let (one, other) = Pipe::pair(event_loop).unwrap();
        let cred = one.peer_cred().unwrap();
        assert_eq!(cred.pid, Some(std::process::id() as i32));
        assert_eq!(cred.uid, rustix::process::getuid().as_raw());
        assert_eq!(cred.gid, rustix::process::getgid().as_raw());
        assert_eq!(misuse(Pipe::new(event_loop).peer_cred()), Misuse::NotConnected);
        let (reader, _writer) = anonymous_pipe();
        assert_eq!(misuse(opened(event_loop, reader).peer_cred()), Misuse::NotUnix);
        one.close();
        assert_eq!(misuse(one.peer_cred()), Misuse::Closing);
        drop(other);
    });
}
