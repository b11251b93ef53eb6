//! Sending: the kernel is tried at once, and what it has no room for is queued.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::Rc;

use super::send_queue::SendQueue;
use super::{DatagramHandle, Datagrams, Transport, is};
use crate::error::Misuse;
use crate::request::{OnDrop, Request};

impl<H: DatagramHandle> Datagrams<H> {
    /// Sends a datagram to an address, or to the peer.
    #[inline]
    pub(crate) fn send(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        to: Option<&SocketAddr>,
    ) -> Request<()> {
        if self.can_send_now(to.is_none()) {
            let attempt = self.socket.borrow().as_ref().map(|socket| socket.send(data, to));
            match attempt {
                Some(Ok(())) => return Request::finished(self.core.origin_at(place), Ok(())),
                Some(Err(err)) => return self.send_refused(place, data, to, err),
                None => {}
            }
        }
        self.send_later(place, data, to)
    }

    /// The question of the hot path: open, with a peer or without, and nothing is waiting that it would overtake.
    #[inline]
    fn can_send_now(&self, to_peer: bool) -> bool {
        let wanted = if to_peer { is::OPEN | is::CONNECTED } else { is::OPEN };
        self.flags.get() & (is::OPEN | is::CONNECTED | is::QUEUED) == wanted
    }

    /// The kernel did not take it.
    #[cold]
    fn send_refused(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        to: Option<&SocketAddr>,
        err: io::Error,
    ) -> Request<()> {
        let outcome = if self.is_no_room(&err) { self.ask_for_room(true) } else { Err(err) };
        match outcome {
            Ok(()) => self.enqueue(place, data, to),
            Err(err) => Request::finished(self.core.origin_at(place), Err(err)),
        }
    }

    #[cold]
    fn send_later(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        to: Option<&SocketAddr>,
    ) -> Request<()> {
        match self.check_can_send(to.is_none()) {
            Ok(()) => self.enqueue(place, data, to),
            Err(misuse) => Request::finished(self.core.origin_at(place), Err(misuse.into())),
        }
    }

    fn enqueue(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        to: Option<&SocketAddr>,
    ) -> Request<()> {
        let origin = self.core.origin_at(place);
        let (request, ticket) = Request::pending(origin, "send", OnDrop::GoOn);
        let queued = Rc::clone(&ticket);
        let push = |queue: &mut SendQueue<_>| queue.push(data.to_vec(), to.copied(), queued);
        ticket.set_place(self.queue.with_or_insert(SendQueue::default, push));
        self.flags.set(is::QUEUED);
        self.update_hold();
        request
    }

    /// Sends a datagram if that is possible at once.
    pub(crate) fn try_send(&self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<()> {
        self.try_to(to.is_none(), |socket| socket.send(data, to))
    }

    /// Sends as many of them as is possible at once.
    pub(crate) fn try_send_many(&self, datagrams: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
        self.try_to(false, |socket| socket.send_many(datagrams))
    }

    /// Sends something, to an address or to the peer, unless that would overtake what is queued.
    pub(crate) fn try_to<R>(
        &self,
        to_peer: bool,
        send: impl FnOnce(&H::Transport) -> io::Result<R>,
    ) -> io::Result<R> {
        self.check_can_send(to_peer)?;
        if self.flags.is(is::QUEUED) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let socket = self.socket.borrow();
        match send(socket.as_ref().ok_or(Misuse::NoSocket)?) {
            Err(err) if is_out_of_buffers(&err) => Err(io::ErrorKind::WouldBlock.into()),
            done => done,
        }
    }

    /// Whether a datagram can be accepted, to be sent now or later.
    fn check_can_send(&self, to_peer: bool) -> Result<(), Misuse> {
        self.core.check_open()?;
        match (to_peer, self.flags.is(is::CONNECTED)) {
            (true, false) => Err(Misuse::NoDestination),
            (false, true) => Err(Misuse::HasPeer),
            _ if self.flags.is(is::OPEN) => Ok(()),
            _ => Err(Misuse::NoSocket),
        }
    }

    pub(crate) fn send_queue_size(&self) -> usize {
        // Usually asked for each datagram, and nothing is queued.
        if !self.flags.is(is::QUEUED) {
            return 0;
        }
        self.queue.with(|queue| queue.bytes()).unwrap_or(0)
    }

    pub(crate) fn send_queue_count(&self) -> usize {
        self.queue.with(|queue| queue.len()).unwrap_or(0)
    }

    // ---- the queue -----------------------------------------------------------------------------------------------

    /// True if a failed send only means that there is no room now, which lowers the flag.
    #[cold]
    fn is_no_room(&self, err: &io::Error) -> bool {
        let out_of_buffers = is_out_of_buffers(err);
        if err.kind() != io::ErrorKind::WouldBlock && !out_of_buffers {
            return false;
        }
        if out_of_buffers {
            self.core.writable_after_a_pause();
        }
        self.flags.unset(is::WRITABLE);
        true
    }

    /// Sends what is queued, within the budget. A datagram that fails does not stop those behind it.
    pub(super) fn send_pass(&self) {
        for _ in 0..self.core.event_loop().inner().limits.writes_per_turn {
            if !self.flags.has(is::OPEN | is::QUEUED | is::WRITABLE) {
                return;
            }
            let Some(result) = self.queue.with(|queue| self.send_front(queue)) else { return };
            match result {
                Err(err) if self.is_no_room(&err) => {}
                done => {
                    let sent = self.pop();
                    self.after_progress();
                    // Last, since it may run a waker.
                    if let Some(ticket) = sent {
                        ticket.finish(done);
                    }
                }
            }
        }
    }

    fn send_front<T>(&self, queue: &SendQueue<T>) -> io::Result<()> {
        match (queue.front(), self.socket.borrow().as_ref()) {
            (Some((data, to)), Some(socket)) => socket.send(data, to),
            _ => Ok(()),
        }
    }

    /// After the queue became shorter, in whatever way.
    pub(super) fn after_progress(&self) {
        if self.send_queue_count() == 0 {
            self.flags.unset(is::QUEUED | is::WRITABLE);
            drop(self.queue.take());
            let _ = self.ask_for_room(false);
            self.update_hold();
        }
    }
}

/// Some systems say so when the queue of a network interface is full. No poll will tell when it has room again.
fn is_out_of_buffers(err: &io::Error) -> bool {
    err.raw_os_error() == Some(libc::ENOBUFS)
}
