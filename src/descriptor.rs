//! Descriptors that others have, too: those with which the process was started, and terminals. They are used without
//! blocking the loop, and without becoming non-blocking for those others: `O_NONBLOCK` belongs to the open file, which the
//! shell and the neighbours in a pipeline share, and who finds it set fails in ways that nobody expects.
//!
//! | what it is | how it is used |
//! |---|---|
//! | a terminal; on Linux also a pipe | opened a second time: an open file of its own, which may be non-blocking |
//! | a socket | as it is; each call says that it must not wait |
//! | a file, and what the selector refuses, such as the null device | as it is; it never makes anybody wait |
//! | the master of a pseudo-terminal | as it is, and non-blocking: it cannot be opened again, and is hardly ever shared |
//! | anything else, and what cannot be opened again | as it is; each call asks first whether it would wait |
//!
//! The last way is sound as long as nobody else reads or writes the same between the question and the call; who does makes
//! the loop wait until there is something again. It takes a missing /proc, or a terminal or a pipe of another user (after
//! `su`), or another system than Linux, to get there.

mod kind;
mod open;

use std::convert::Infallible;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mio::unix::pipe::Receiver;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl};
use rustix::io::retry_on_intr;
use socket2::SockRef;

pub use self::kind::{DescriptorKind, guess_handle};
pub(crate) use self::open::is_master;
use crate::socket::NO_SIGNAL;
use crate::stream::{Direction, Transport};

/// A write of so much does not wait in a pipe that has room at all (POSIX's least `PIPE_BUF`).
const PIPE_PIECE: usize = 512;

/// The same of a terminal, which does not say for how much more it has room.
const TTY_PIECE: usize = 1;

/// How a descriptor is kept from blocking the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Its open file is non-blocking.
    NonBlocking,
    /// Each call says that it must not wait.
    Socket,
    /// Each call asks first.
    Asked,
    /// Nothing ever waits for long, and the selector does not take it.
    AlwaysReady,
}

/// A descriptor that others may have, too.
pub(crate) struct Descriptor {
    /// mio's only source that takes a descriptor of any sort and re-arms those selectors which need it.
    source: Receiver,
    manner: Manner,
    direction: Direction,
    kind: DescriptorKind,
    is_shared: bool,
}

impl Descriptor {
    /// The same thing as `fd`, by a descriptor of its own.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Descriptor> {
        let kind = guess_handle(fd)?;
        let direction = Direction::of(fcntl_getfl(fd)?);
        if let Some(opened) = open::again(fd, kind) {
            let manner = Manner::NonBlocking;
            let source = Receiver::from(opened);
            return Ok(Descriptor { source, manner, direction, kind, is_shared: false });
        }
        let duplicate = fd.try_clone_to_owned()?;
        let manner = Manner::of(&duplicate)?;
        let source = Receiver::from(duplicate);
        Ok(Descriptor { source, manner, direction, kind, is_shared: true })
    }

    /// The same, for one direction only.
    pub(crate) fn one_way(self, direction: Direction) -> Descriptor {
        Descriptor { direction, ..self }
    }

    /// True if somebody else has a duplicate of the descriptor.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Would block, unless it is ready for this. An end or an error counts as ready.
    fn ask(&self, what: PollFlags) -> io::Result<()> {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.source, what)], Some(&AT_ONCE))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }

    fn piece(&self) -> usize {
        if self.kind == DescriptorKind::Tty { TTY_PIECE } else { PIPE_PIECE }
    }

    /// Writes pieces for which there is room, so that none of them waits.
    fn write_asked<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
        let mut written = 0;
        for piece in pieces {
            let attempt = self.source.try_io(|| {
                self.ask(PollFlags::OUT)?;
                Ok(retry_on_intr(|| rustix::io::write(&self.source, piece))?)
            });
            match attempt {
                Ok(length) if length == piece.len() => written += length,
                Ok(length) => return Ok(written + length),
                Err(err) if written == 0 => return Err(err),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    /// Writes everything: what is always ready does not say when a write would be worth another try.
    fn write_all(&self, mut data: &[u8]) -> io::Result<usize> {
        let length = data.len();
        while !data.is_empty() {
            match retry_on_intr(|| rustix::io::write(&self.source, data))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => data = &data[written..],
            }
        }
        Ok(length)
    }
}

impl Manner {
    fn of(fd: &OwnedFd) -> io::Result<Manner> {
        if fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) {
            return Ok(Manner::NonBlocking);
        }
        if open::is_master(fd.as_fd()) {
            rustix::io::ioctl_fionbio(fd, true)?;
            return Ok(Manner::NonBlocking);
        }
        let mode = rustix::fs::fstat(fd)?.st_mode;
        Ok(match FileType::from_raw_mode(mode) {
            FileType::Socket => Manner::Socket,
            FileType::RegularFile | FileType::Directory | FileType::BlockDevice => {
                Manner::AlwaysReady
            }
            _ => Manner::Asked,
        })
    }
}

impl Transport for Descriptor {
    type Along = Infallible;

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.manner {
            Manner::NonBlocking | Manner::AlwaysReady => (&self.source).read(buffer),
            Manner::Socket => self.source.try_io(|| {
                let flags = rustix::net::RecvFlags::DONTWAIT;
                Ok(rustix::net::recv(&self.source, buffer, flags)?.0)
            }),
            Manner::Asked => self.source.try_io(|| {
                self.ask(PollFlags::IN)?;
                Ok(rustix::io::read(&self.source, buffer)?)
            }),
        }
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        match self.manner {
            Manner::NonBlocking => {
                self.source.try_io(|| Ok(rustix::io::write(&self.source, data)?))
            }
            Manner::Socket => {
                self.source.try_io(|| SockRef::from(&self.source).send_with_flags(data, NO_WAIT))
            }
            Manner::Asked => self.write_asked(data.chunks(self.piece())),
            Manner::AlwaysReady => self.write_all(data),
        }
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.manner {
            Manner::NonBlocking => {
                self.source.try_io(|| Ok(rustix::io::writev(&self.source, slices)?))
            }
            Manner::Socket => self
                .source
                .try_io(|| SockRef::from(&self.source).send_vectored_with_flags(slices, NO_WAIT)),
            Manner::Asked => {
                self.write_asked(slices.iter().flat_map(|slice| slice.chunks(self.piece())))
            }
            Manner::AlwaysReady => {
                slices.iter().try_fold(0, |written, slice| Ok(written + self.write_all(slice)?))
            }
        }
    }

    /// There is nothing to tell: the end of a terminal is a key, and the others go on when this descriptor is gone.
    fn shut_down(&self) -> io::Result<()> {
        Ok(())
    }

    fn connected(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    /// A terminal brings a line a read, a pipe may bring packets, and nobody tells that there is more of a file.
    fn short_read_drains(&self) -> bool {
        false
    }

    fn is_always_ready(&self) -> bool {
        self.manner == Manner::AlwaysReady
    }
}

impl mio::event::Source for Descriptor {
    fn register(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        if self.manner == Manner::AlwaysReady {
            return Ok(());
        }
        let registered = self.source.register(registry, token, interest);
        match &registered {
            // What epoll has nothing to say about: reads and writes of it do not wait.
            Err(err) if err.raw_os_error() == Some(libc::EPERM) => {
                self.manner = Manner::AlwaysReady;
                Ok(())
            }
            _ => registered,
        }
    }

    fn reregister(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        match self.manner {
            Manner::AlwaysReady => Ok(()),
            _ => self.source.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        match self.manner {
            Manner::AlwaysReady => Ok(()),
            _ => self.source.deregister(registry),
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

const NO_WAIT: i32 = libc::MSG_DONTWAIT | NO_SIGNAL;

#[cfg(all(test, target_os = "linux"))]
mod tests;
