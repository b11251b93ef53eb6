//! Writing: the kernel is tried at once, and what it has no room for is queued.

use std::io::{self, IoSlice};
use std::panic::Location;
use std::rc::Rc;

use super::{AlongOf, SHORT_MEANS_DRAINED, Stream, StreamHandle, Transport, is};
use crate::error::Misuse;
use crate::request::{OnDrop, Origin, Request};

/// Buffers that the kernel takes in one call (`IOV_MAX`, the same on all these systems).
pub(super) const MAX_SLICES: usize = 1024;

/// How many bytes there are in all of them.
pub(super) fn length_of(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

impl<H: StreamHandle> Stream<H> {
    #[inline]
    pub(crate) fn write(&self, place: &'static Location<'static>, data: &[u8]) -> Request<()> {
        let mut attempt = None;
        if self.can_send_now() {
            // Mutably, since that is quicker to check than a shared borrow.
            if let Ok(loan) = self.socket.try_borrow_mut() {
                if let Some(socket) = loan.as_ref() {
                    match socket.send(data) {
                        Ok(sent) if sent == data.len() => {
                            drop(loan);
                            return Request::finished(self.core.origin_at(place), Ok(()));
                        }
                        other => attempt = Some(other),
                    }
                }
            }
        }
        // One call for all that is out of the ordinary, so that the compiler sees what the usual way returns.
        self.write_unusual(place, data, attempt)
    }

    /// A write of which the first attempt has not simply taken everything, or which had none.
    #[cold]
    fn write_unusual(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        attempt: Option<io::Result<usize>>,
    ) -> Request<()> {
        let origin = self.core.origin_at(place);
        let first = match attempt {
            Some(first) => first,
            None if self.can_send_now() => self.attempt_once(|socket| socket.send(data)),
            None => {
                return match self.check_can_write() {
                    Ok(()) => self.enqueue(origin, data.to_vec(), false, None),
                    Err(misuse) => Request::finished(origin, Err(misuse.into())),
                };
            }
        };
        match self.send_after(first, data) {
            Ok(sent) if sent == data.len() => Request::finished(origin, Ok(())),
            Ok(sent) => self.enqueue(origin, data[sent..].to_vec(), sent > 0, None),
            Err(err) => self.refuse(origin, err),
        }
    }

    pub(crate) fn write_vectored(&self, origin: Origin, slices: &[IoSlice<'_>]) -> Request<()> {
        if slices.is_empty() {
            return Request::finished(origin, Err(Misuse::NoBuffers.into()));
        }
        if let Err(misuse) = self.check_can_write() {
            return Request::finished(origin, Err(misuse.into()));
        }
        let total = length_of(slices);
        let mut sent = 0;
        if self.can_send_now() {
            for batch in slices.chunks(MAX_SLICES) {
                let length = length_of(batch);
                match self.attempt(|socket| socket.send_vectored(batch), length) {
                    Ok(taken) => {
                        sent += taken;
                        if taken < length {
                            break;
                        }
                    }
                    Err(err) => return self.refuse(origin, err),
                }
            }
            if sent == total {
                return Request::finished(origin, Ok(()));
            }
        }
        let mut rest = Vec::with_capacity(total - sent);
        let mut skip = sent;
        for slice in slices {
            let skipped = skip.min(slice.len());
            rest.extend_from_slice(&slice[skipped..]);
            skip -= skipped;
        }
        if self.flags.is(is::WRITABLE) {
            // Cut short without a "would block", so that the poll will not speak of it.
            self.resume_later();
        }
        self.enqueue(origin, rest, sent > 0, None)
    }

    pub(crate) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.try_sending(data.len(), || self.send(data))
    }

    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if slices.is_empty() {
            return Err(Misuse::NoBuffers.into());
        }
        let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
        let first = &slices[empty..slices.len().min(empty + MAX_SLICES)];
        let length = length_of(first);
        self.try_sending(length, || self.attempt(|socket| socket.send_vectored(first), length))
    }

    /// Sends something of `length` bytes if nothing waits that it would overtake. It would block if none of it is taken.
    pub(super) fn try_sending(
        &self,
        length: usize,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.check_can_write()?;
        if self.flags.is(is::CONNECTING | is::QUEUED) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match send()? {
            0 if length > 0 => Err(io::ErrorKind::WouldBlock.into()),
            sent => Ok(sent),
        }
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.flags.is(is::CONNECTED) && !self.flags.is(is::SHUT | is::BROKEN)
    }

    /// The question of the hot path: connected, open, and nothing is waiting that a write would overtake.
    #[inline]
    pub(super) fn can_send_now(&self) -> bool {
        let relevant = is::CONNECTED | is::SHUT | is::BROKEN | is::QUEUED;
        self.flags.get() & relevant == is::CONNECTED
    }

    /// Whether a write can be accepted, to be sent now or later.
    pub(super) fn check_can_write(&self) -> Result<(), Misuse> {
        self.core.check_open()?;
        if self.flags.is(is::SHUT | is::BROKEN) {
            Err(Misuse::ShutDown)
        } else if self.flags.is(is::LISTENING) {
            Err(Misuse::Listening)
        } else if !self.flags.is(is::CONNECTED | is::CONNECTING) {
            Err(Misuse::NotConnected)
        } else {
            Ok(())
        }
    }

    pub(super) fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.send_after(self.attempt_once(|socket| socket.send(data)), data)
    }

    /// How much of `data` the kernel took, after a first attempt.
    fn send_after(&self, first: io::Result<usize>, data: &[u8]) -> io::Result<usize> {
        let mut sent = self.attempt_after(first, |socket| socket.send(data), data.len())?;
        // Where only "would block" re-arms the poll, it must be reached.
        while !SHORT_MEANS_DRAINED && sent < data.len() && self.flags.is(is::WRITABLE) {
            sent += self.attempt(|socket| socket.send(&data[sent..]), data.len() - sent)?;
        }
        Ok(sent)
    }

    /// One send of `length` bytes. What the kernel has no room for is no error; it lowers the flag.
    pub(super) fn attempt(
        &self,
        send: impl Fn(&H::Transport) -> io::Result<usize>,
        length: usize,
    ) -> io::Result<usize> {
        self.attempt_after(self.attempt_once(&send), send, length)
    }

    /// What a first attempt came to, after more of them if need be.
    fn attempt_after(
        &self,
        first: io::Result<usize>,
        send: impl Fn(&H::Transport) -> io::Result<usize>,
        length: usize,
    ) -> io::Result<usize> {
        let mut attempt = first;
        loop {
            match attempt {
                Ok(sent) => {
                    if sent < length && SHORT_MEANS_DRAINED {
                        self.flags.unset(is::WRITABLE);
                    }
                    return Ok(sent);
                }
                Err(err) => {
                    if self.nothing_sent(err)? {
                        return Ok(0);
                    }
                }
            }
            attempt = self.attempt_once(&send);
        }
    }

    fn attempt_once(&self, send: impl Fn(&H::Transport) -> io::Result<usize>) -> io::Result<usize> {
        // Shared, since `with_socket` may have lent it further up in the stack.
        // Without a socket nothing is sent.
        self.socket.borrow().as_ref().map_or(Ok(0), send)
    }

    /// A send brought an error. True if it only means that there is no room now, false if it has to be tried again.
    #[cold]
    fn nothing_sent(&self, err: io::Error) -> io::Result<bool> {
        if err.kind() == io::ErrorKind::Interrupted {
            return Ok(false);
        }
        let out_of_buffers = err.raw_os_error() == Some(libc::ENOBUFS);
        if err.kind() != io::ErrorKind::WouldBlock && !out_of_buffers {
            // A broken pipe does not contradict that the stream of the peer came to its end.
            if err.kind() != io::ErrorKind::BrokenPipe {
                self.lost.set(err.raw_os_error().unwrap_or(0));
            }
            return Err(err);
        }
        // If the flag was down already, the poll or an earlier pause will raise it.
        if out_of_buffers && self.flags.is(is::WRITABLE) {
            self.core.writable_after_a_pause();
        }
        self.flags.unset(is::WRITABLE);
        Ok(true)
    }

    #[cold]
    pub(super) fn refuse(&self, origin: Origin, err: io::Error) -> Request<()> {
        self.flags.set(is::LOSSY);
        Request::finished(origin, Err(err))
    }

    #[cold]
    pub(super) fn enqueue(
        &self,
        origin: Origin,
        data: Vec<u8>,
        started: bool,
        along: Option<AlongOf<H>>,
    ) -> Request<()> {
        let (request, ticket) = Request::pending(origin, "write", OnDrop::GoOn);
        let queued_before = self.write_queue_size();
        let queued = Rc::clone(&ticket);
        let place =
            self.with_outgoing(|outgoing| outgoing.writes.push(data, started, along, queued));
        ticket.set_place(place);
        self.flags.set(is::QUEUED);
        self.update_hold();
        // Last, since the logger may do anything.
        self.warn_if_swamped(queued_before);
        request
    }
}
