//! What cannot be opened again, sockets and files: used as they are, without waiting.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::net::UnixStream;

use super::*;

/// As if the descriptor could not be opened again.
fn not_again(fd: impl AsFd) -> Descriptor {
    let duplicate = fd.as_fd().try_clone_to_owned().unwrap();
    Descriptor {
        manner: Manner::of(&duplicate).unwrap(),
        source: Receiver::from(duplicate),
        direction: Direction::Both,
        kind: guess_handle(fd).unwrap(),
        is_shared: true,
    }
}

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

#[track_caller]
fn assert_would_block(result: io::Result<usize>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Sends until there is no room, and says how much that was.
fn fill(descriptor: &Descriptor) -> usize {
    let block = [b'x'; 10_000];
    let mut sent = 0;
    loop {
        match descriptor.send(&block) {
            Ok(length) => sent += length,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::WouldBlock);
                return sent;
            }
        }
    }
}

/// Y-02, Y-13: a pipe that cannot be opened again never makes the loop wait, and stays blocking for others.
#[test]
fn a_pipe_is_asked_before_each_call() {
    let (source, sink) = rustix::pipe::pipe().unwrap();
    let mut source = File::from(source);
    let (reads, writes) = (not_again(&source), not_again(&sink));
    assert_eq!((reads.manner, writes.manner), (Manner::Asked, Manner::Asked));
    let mut buffer = [0; 100];
    assert_would_block(reads.recv(&mut buffer));
    let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
    assert_eq!(writes.send_vectored(&parts).unwrap(), 5);
    assert_eq!(reads.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"abcde");
    let sent = fill(&writes);
    assert!(sent >= 4096, "a pipe has room for a page: {sent}");
    assert_would_block(writes.send_vectored(&parts));
    let mut received = vec![0; sent];
    source.read_exact(&mut received).unwrap();
    assert!(received.iter().all(|&byte| byte == b'x'));
    assert!(is_blocking(&source) && is_blocking(&sink));
    drop((sink, writes));
    assert_eq!(reads.recv(&mut buffer).unwrap(), 0);
}

/// Y-02, Y-13: nor does a terminal.
#[test]
fn a_terminal_is_asked_before_each_call() {
    let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, rustix::fs::Mode::empty());
    let (terminal, mut master) = (terminal.unwrap(), File::from(master));
    let descriptor = not_again(&terminal);
    assert_eq!((descriptor.manner, descriptor.kind), (Manner::Asked, DescriptorKind::Tty));
    let mut buffer = [0; 100];
    assert_would_block(descriptor.recv(&mut buffer));
    master.write_all(b"a\nb\n").unwrap();
    while descriptor.ask(PollFlags::IN).is_err() {}
    assert_eq!(descriptor.recv(&mut buffer).unwrap(), 2);
    assert_eq!(descriptor.recv(&mut buffer).unwrap(), 2);
    assert_would_block(descriptor.recv(&mut buffer));
    assert!(fill(&descriptor) > 0);
    assert!(is_blocking(&terminal));
}

/// Y-13: a socket is told with each call not to wait, and stays blocking for others.
#[test]
fn a_socket_is_told_not_to_wait() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let descriptor = Descriptor::of(here.as_fd()).unwrap();
    assert_eq!((descriptor.manner, descriptor.kind), (Manner::Socket, DescriptorKind::Pipe));
    assert!(descriptor.is_shared());
    let mut buffer = [0; 100];
    assert_would_block(descriptor.recv(&mut buffer));
    there.write_all(b"hello").unwrap();
    assert_eq!(descriptor.recv(&mut buffer).unwrap(), 5);
    let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
    assert_eq!(descriptor.send_vectored(&parts).unwrap(), 5);
    let mut received = [0; 5];
    there.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"abcde");
    assert!(fill(&descriptor) > 0 && is_blocking(&here));
    drop(there);
    assert_eq!(descriptor.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// Y-14: a file is always ready, and takes everything at once or says why not.
#[test]
fn a_file_is_always_ready() {
    let name = c"descriptor";
    let mut file =
        File::from(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    let descriptor = Descriptor::of(file.as_fd()).unwrap();
    assert!(descriptor.is_always_ready() && descriptor.is_shared());
    let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
    assert_eq!(descriptor.send_vectored(&parts).unwrap(), 5);
    assert_eq!(descriptor.send(b"f").unwrap(), 1);
    file.rewind().unwrap();
    let mut buffer = [0; 100];
    assert_eq!(descriptor.recv(&mut buffer).unwrap(), 6);
    assert_eq!(descriptor.recv(&mut buffer).unwrap(), 0);
    let full = not_again(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(full.write_all(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
}
