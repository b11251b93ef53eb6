//! Passing descriptors: what is sent and received beside the bytes of a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::Location;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::Pipe;
use super::transport::PipeTransport;
use crate::error::{Misuse, Refused};
use crate::event_loop::LoopHandle;
use crate::request::Request;
use crate::socket::{NO_SIGNAL, StreamSocket};
use crate::stream::Along;

/// How many descriptors one message carries at most (Linux's `SCM_MAX_FD`), and how many wait at most to be taken: whoever
/// takes them at each read loses none.
const MOST: usize = 253;

/// Room for the descriptors of one message.
const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST));

impl Pipe {
    /// A handle without a socket, as [`new`](Pipe::new) makes it, whose connections can pass descriptors: its own, and, if it
    /// listens, those that it accepts. Only such a handle sends them, and receives what is sent to it; one that was made by
    /// `new` is a little faster.
    ///
    /// ```
    /// use luvio::{Loop, Pipe};
    /// use std::fs::File;
    /// use std::io::{self, Read};
    ///
    /// let event_loop = Loop::new()?;
    /// let (sender, receiver) = Pipe::pair_with_descriptors(&event_loop)?;
    /// sender.write_with_fds("here it is", vec![File::open("/dev/zero")?.into()]);
    /// event_loop.try_block_on(receiver.read_once())?;
    /// let mut received = File::from(receiver.take_fds().remove(0));
    /// let mut byte = [1];
    /// received.read_exact(&mut byte)?;
    /// assert_eq!(byte, [0]);
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// libuv: `uv_pipe_init` with `ipc`
    #[doc(alias = "uv_pipe_init")]
    #[track_caller]
    pub fn with_descriptors(event_loop: &LoopHandle) -> Pipe {
        let pipe: Pipe = StreamSocket::make(event_loop, Location::caller());
        pipe.0.with_extra(|extra| extra.own.passes = true);
        pipe
    }

    /// Two handles that are connected to each other, as of [`pair`](Pipe::pair), that can pass descriptors.
    ///
    /// # Errors
    /// As [`pair`](Pipe::pair).
    ///
    /// libuv: `uv_socketpair`
    #[doc(alias = "uv_socketpair")]
    #[track_caller]
    pub fn pair_with_descriptors(event_loop: &LoopHandle) -> io::Result<(Pipe, Pipe)> {
        Pipe::pair_of(event_loop, PipeTransport::Passing)
    }

    /// Writes `data`, and passes `fds` with its first byte: whoever reads that byte has them, as descriptors of its own. Here
    /// they are closed once they are sent; to keep one, pass a duplicate
    /// ([`try_clone_to_owned`](std::os::fd::BorrowedFd::try_clone_to_owned)). Otherwise as [`write`](Pipe::write).
    ///
    /// They are sent once, even if the bytes go out in parts. A listener that is passed can accept in both processes, a
    /// connection can be read and written by both.
    ///
    /// # Errors
    /// Through the request: as [`write`](Pipe::write); [`InvalidInput`](io::ErrorKind::InvalidInput) for a stream that was not
    /// made for it ([`Misuse::CannotPass`]), for no data, and for more than 253 descriptors ([`Misuse::BadPassing`]); what the
    /// system says, such as `ETOOMANYREFS` if more are on their way than the process may have open.
    ///
    /// # Cancel safety
    /// Dropping the request changes nothing: what was accepted is sent.
    ///
    /// libuv: `uv_write2`
    #[doc(alias = "uv_write2")]
    #[track_caller]
    pub fn write_with_fds(&self, data: impl AsRef<[u8]>, fds: Vec<OwnedFd>) -> Request<()> {
        let (origin, data) = (self.core().origin(), data.as_ref());
        if fds.is_empty() {
            return self.0.stream.write(origin.place, data);
        }
        match self.check_can_pass(data, &fds) {
            Ok(()) => self.0.stream.write_along(origin, data, Passed::new(fds)),
            Err(misuse) => Request::finished(origin, Err(misuse.into())),
        }
    }

    /// Writes what the kernel has room for, with `fds` at its first byte, and says how many bytes that were. Never queues and
    /// never overtakes.
    ///
    /// # Errors
    /// As [`try_write`](Pipe::try_write) and [`write_with_fds`](Pipe::write_with_fds). The descriptors come back with the
    /// error.
    ///
    /// libuv: `uv_try_write2`
    #[doc(alias = "uv_try_write2")]
    pub fn try_write_with_fds(
        &self,
        data: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<usize, Refused<Vec<OwnedFd>>> {
        let passed = Passed::new(fds);
        let sent = match self.check_can_pass(data, &passed.fds) {
            _ if passed.fds.is_empty() => self.try_write(data),
            Ok(()) => self.0.stream.try_write_along(data, &passed),
            Err(misuse) => Err(misuse.into()),
        };
        sent.map_err(|error| Refused { error, value: passed.fds })
    }

    fn check_can_pass(&self, data: &[u8], fds: &[OwnedFd]) -> Result<(), Misuse> {
        let passes =
            self.0.stream.with_socket(|socket| matches!(socket, PipeTransport::Passing(_)));
        if passes == Some(false) {
            // Without a socket, the write says what is wrong.
            return Err(Misuse::CannotPass);
        }
        if data.is_empty() || fds.len() > MOST { Err(Misuse::BadPassing) } else { Ok(()) }
    }

    /// The descriptors that came with the bytes which were read so far, in the order in which they were sent; close-on-exec.
    /// What is not taken is closed with the handle.
    ///
    /// No more than 253 wait here, as many as one read can bring; what arrives beyond is closed, and so is what the process
    /// has no room for. Either goes to the log as a warning, once until the next call of this method.
    ///
    /// libuv: `uv_pipe_pending_count`, `uv_pipe_pending_type`, then `uv_accept`
    #[doc(alias = "uv_pipe_pending_count")]
    #[doc(alias = "uv_pipe_pending_type")]
    #[doc(alias = "uv_accept")]
    pub fn take_fds(&self) -> Vec<OwnedFd> {
        self.0.stream.take_arrived().map(|passed| passed.fds).unwrap_or_default()
    }
}

/// Descriptors on their way.
#[derive(Default)]
pub(crate) struct Passed {
    fds: Vec<OwnedFd>,
    /// The process had no room for all of them.
    short: bool,
    /// The log was told of some that were lost.
    warned: bool,
}

impl Passed {
    fn new(fds: Vec<OwnedFd>) -> Passed {
        Passed { fds, ..Passed::default() }
    }
}

impl Along for Passed {
    fn join(waiting: &mut Option<Passed>, arrived: Passed) -> Option<String> {
        let waiting = waiting.get_or_insert_default();
        let room = MOST.saturating_sub(waiting.fds.len());
        let too_many = arrived.fds.len() > room;
        waiting.fds.extend(arrived.fds.into_iter().take(room));
        let why = match (arrived.short, too_many) {
            (true, _) => {
                "descriptors were lost on their way, since the process has no room for them"
            }
            (false, true) => "descriptors are closed that arrive, since nobody takes them",
            (false, false) => return None,
        };
        (!std::mem::replace(&mut waiting.warned, true)).then(|| why.to_string())
    }
}

/// Receives bytes and what came with them.
pub(super) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    arrived: impl FnOnce(Passed),
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, CLOSE_ON_EXEC)?;
    let mut passed =
        Passed { short: message.flags.contains(ReturnFlags::CTRUNC), ..Passed::default() };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            passed.fds.extend(fds);
        }
    }
    #[cfg(target_vendor = "apple")]
    for fd in &passed.fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    if passed.short || !passed.fds.is_empty() {
        arrived(passed);
    }
    Ok(message.bytes)
}

#[cfg(not(target_vendor = "apple"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

/// Sends bytes and what goes with the first of them.
pub(super) fn send(
    socket: impl AsFd,
    slices: &[IoSlice<'_>],
    passed: &Passed,
) -> io::Result<usize> {
    let fds: Vec<_> = passed.fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = control.push(SendAncillaryMessage::ScmRights(&fds));
    debug_assert!(fits, "more than {MOST} were refused before");
    Ok(sendmsg(socket, slices, &mut control, SILENTLY)?)
}

const SILENTLY: SendFlags = SendFlags::from_bits_retain(NO_SIGNAL as u32);
