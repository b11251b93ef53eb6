//! Reading by callback, and the reads from the socket that the awaits share.

use std::io;
use std::mem;

use super::outcome::Outcome;
use super::{ReadCallback, SHORT_MEANS_DRAINED, Stream, StreamHandle, Transport, is};
use crate::error::Misuse;
use crate::panics::Panics;

impl<H: StreamHandle> Stream<H> {
    pub(crate) fn read_start(&self, callback: Box<ReadCallback<H>>) -> io::Result<()> {
        self.check_can_read()?;
        let mut outcome = Outcome::default();
        // Waits of the futures-io traits; others would have kept it from being started.
        self.stop_awaiting_data(&mut outcome);
        self.flags.set(is::READING);
        self.core.set_active(true);
        self.update_hold();
        if self.flags.is(is::READABLE) {
            // What has arrived already brings no further event.
            self.resume_later();
        }
        self.reader.set(callback);
        self.tell(outcome);
        Ok(())
    }

    pub(crate) fn read_stop(&self) {
        if self.flags.is(is::READING) {
            self.leave_reading();
        }
        self.drop_readers();
    }

    /// Ends the reading by whoever it is, a callback or a task.
    pub(crate) fn end_reading_now(&self) {
        let mut outcome = Outcome::default();
        self.note_cut_off_read();
        self.stop_awaiting_data(&mut outcome);
        self.read_stop();
        self.tell(outcome);
    }

    /// Drops the callback, and those that were started during connects which have failed since.
    pub(super) fn drop_readers(&self) {
        let mut panics = Panics::default();
        panics.catch(|| self.reader.clear());
        self.drop_unconnected_readers(&mut panics);
        panics.go_on();
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.flags.is(is::CONNECTED) && !self.flags.is(is::BROKEN | is::WRITE_ONLY)
    }

    pub(super) fn check_can_read(&self) -> Result<(), Misuse> {
        self.core.check_open()?;
        let is_awaited = self.flags.is(is::AWAITED) && !self.flags.is(is::AWAITED_BY_TRAIT);
        if self.flags.is(is::READING) || is_awaited {
            Err(Misuse::AlreadyReading)
        } else if self.flags.is(is::BROKEN | is::WRITE_ONLY)
            || !self.flags.is(is::CONNECTED | is::CONNECTING)
        {
            Err(Misuse::NotConnected)
        } else {
            Ok(())
        }
    }

    fn leave_reading(&self) {
        self.flags.unset(is::READING);
        self.core.set_active(false);
        self.update_hold();
    }

    /// Reads and delivers what is there, within the budget.
    #[inline(always)]
    pub(crate) fn read_pass(&self, handle: &H) {
        match self.core.event_loop().inner().lend_buffer() {
            Some(mut buffer) => self.read_pass_with(handle, &mut buffer),
            None => self.read_pass_aside(handle),
        }
    }

    #[cold]
    fn read_pass_aside(&self, handle: &H) {
        self.read_pass_with(handle, &mut self.core.event_loop().inner().new_buffer());
    }

    #[inline(always)]
    fn read_pass_with(&self, handle: &H, buffer: &mut [u8]) {
        debug_assert!(self.flags.has(is::READING | is::READABLE | is::CONNECTED));
        let end = EndOfPass(self);
        let is_open = match self.receive_simply(buffer) {
            Ok(length) => {
                self.deliver(handle, &buffer[..length]);
                true
            }
            Err(attempt) => self.receive_unusual(handle, buffer, attempt),
        };
        if !self.flags.has(is::READING | is::READABLE) {
            mem::forget(end);
        } else if is_open {
            self.read_on(handle, buffer);
        }
    }

    /// The reads after the first one.
    #[inline(never)]
    fn read_on(&self, handle: &H, buffer: &mut [u8]) {
        for _ in 1..self.core.event_loop().inner().limits.reads_per_turn {
            let received = self.receive(buffer);
            let is_open = self.hand_over(handle, buffer, received);
            if !is_open || !self.flags.has(is::READING | is::READABLE) {
                break;
            }
        }
    }

    /// A read that did not simply bring data. False if it ended the reading.
    #[cold]
    fn receive_unusual(
        &self,
        handle: &H,
        buffer: &mut [u8],
        attempt: Option<io::Result<usize>>,
    ) -> bool {
        let first = attempt.unwrap_or_else(|| self.attempt_to_receive(buffer));
        let received = self.receive_after(first, buffer);
        self.hand_over(handle, buffer, received)
    }

    /// Calls the callback with what came of a read, whatever it is. False if it was the end, or an error: there is one
    /// in a turn, whoever starts to read again at once.
    fn hand_over(&self, handle: &H, buffer: &[u8], received: io::Result<Option<usize>>) -> bool {
        match received {
            Ok(Some(length)) if length > 0 => self.deliver(handle, &buffer[..length]),
            Ok(None) => {}
            Ok(Some(_)) => {
                self.end_reading(handle, Ok(None));
                return false;
            }
            Err(err) => {
                self.flags.set(is::BROKEN);
                self.end_reading(handle, Err(err));
                return false;
            }
        }
        true
    }

    /// Calls the callback with what was read.
    #[inline(always)]
    fn deliver(&self, handle: &H, data: &[u8]) {
        if let Some(mut callback) = self.reader.lend() {
            self.core.call(|| callback(handle, Ok(Some(data))));
        }
    }

    /// The end of the stream or an error is the last of which the callback hears; the stream stays open.
    #[cold]
    fn end_reading(&self, handle: &H, end: io::Result<Option<&[u8]>>) {
        self.leave_reading();
        // Dropped behind the loan, so that the callback has returned then.
        let _last = LastCall(self);
        if let Some(mut callback) = self.reader.lend() {
            self.core.call(|| callback(handle, end));
        }
    }

    /// The usual read: of some data, but less than the buffer has room for. Otherwise hands back what came of it, if it was
    /// tried.
    #[inline(always)]
    pub(super) fn receive_simply(
        &self,
        buffer: &mut [u8],
    ) -> Result<usize, Option<io::Result<usize>>> {
        let mut attempt = None;
        // Mutably, since that is quicker to check than a shared borrow.
        if let Ok(loan) = self.socket.try_borrow_mut() {
            if let Some(socket) = loan.as_ref() {
                match socket.recv_along(buffer, |along| self.note_arrival(along)) {
                    Ok(length) if 0 < length && length < buffer.len() => {
                        drop(loan);
                        self.note_short_read();
                        return Ok(length);
                    }
                    other => attempt = Some(other),
                }
            }
        }
        Err(attempt)
    }

    /// One read from the socket, if there is something. `None` if there is nothing more for now.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let first = self.attempt_to_receive(buffer);
        self.receive_after(first, buffer)
    }

    /// What a first attempt came to, after more of them if need be.
    pub(super) fn receive_after(
        &self,
        first: io::Result<usize>,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let mut attempt = first;
        loop {
            match attempt {
                Ok(0) if self.lost.get() != 0 => {
                    return Err(io::Error::from_raw_os_error(self.lost.get()));
                }
                Ok(0) => return Ok(Some(0)),
                Ok(length) => {
                    if length < buffer.len() {
                        self.note_short_read();
                    }
                    return Ok(Some(length));
                }
                Err(err) => self.nothing_received(err)?,
            }
            if !self.flags.is(is::READABLE) {
                return Ok(None);
            }
            attempt = self.attempt_to_receive(buffer);
        }
    }

    pub(super) fn attempt_to_receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Shared, since `with_socket` may have lent it further up in the stack.
        match self.socket.borrow().as_ref() {
            Some(socket) => socket.recv_along(buffer, |along| self.note_arrival(along)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// A read did not fill the buffer, so that it has drained the socket.
    #[inline]
    fn note_short_read(&self) {
        if SHORT_MEANS_DRAINED && !self.flags.is(is::EXCEPTIONAL | is::PIECEMEAL) {
            self.flags.unset(is::READABLE);
        }
    }

    /// A read brought an error, which may only mean that there is nothing more, or that it was interrupted.
    #[cold]
    fn nothing_received(&self, err: io::Error) -> io::Result<()> {
        match err.kind() {
            io::ErrorKind::WouldBlock => self.flags.unset(is::READABLE | is::EXCEPTIONAL),
            io::ErrorKind::Interrupted => {}
            _ => return Err(err),
        }
        Ok(())
    }
}

/// The last call of a reader. Unless it has closed the handle, whose callbacks live until that is done, or reads again, it
/// is dropped when it has returned, by unwinding too.
struct LastCall<'a, H: StreamHandle>(&'a Stream<H>);

impl<H: StreamHandle> Drop for LastCall<'_, H> {
    fn drop(&mut self) {
        if !self.0.flags.is(is::READING) && !self.0.core.is_closing() {
            self.0.reader.clear();
        }
    }
}

/// The end of a read pass, by unwinding too: a stream that has more to read gets another go, since the poll will not speak
/// of it again.
pub(super) struct EndOfPass<'a, H: StreamHandle>(pub(super) &'a Stream<H>);

impl<H: StreamHandle> Drop for EndOfPass<'_, H> {
    #[inline]
    fn drop(&mut self) {
        if self.0.flags.has(is::READING | is::READABLE) {
            self.0.resume_later();
        }
    }
}
