//! The engine of the datagram handles: its state, the life of its socket, and what an event leads to. What it then does
//! has rooms of its own: receiving, awaiting, sending and what is queued.
//!
//! A socket is registered by edge, and for reading only: a datagram socket would announce room after every datagram that
//! left it. Room is asked for when the kernel has refused a datagram, until the queue is empty again. What the poll said is
//! remembered in two flags, *readable* and *writable*, until the kernel says otherwise; a datagram says nothing about
//! whether another one waits, so a pass ends when the kernel has nothing more, when the user stops it, or when its budget
//! is used up. In the last case the handle asks for another go in the next turn.
//!
//! | state | flags | receives | sends |
//! |---|---|---|---|
//! | without a socket | none | refused | refused |
//! | open | `OPEN` | yes | to an address |
//! | connected | `OPEN`, `CONNECTED` | from the peer | to the peer |

mod awaiting;
mod receiving;
mod send_queue;
mod sending;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use self::send_queue::SendQueue;
use crate::error::Canceled;
use crate::event_loop::{AliveReason, Readiness, RequestId};
use crate::handle::{Core, Flags, Rare, Slot};
use crate::request::Ticket;
use crate::task::WaitingTask;

/// One datagram, as it is lent to a callback.
///
/// libuv: the arguments of `uv_udp_recv_cb`
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What it carries, which may be nothing. Lent from the loop's buffer for the time of the call.
    pub data: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// True if it was longer than [`read_chunk`](crate::Builder::read_chunk) allows and `data` is only its beginning. With
    /// the default chunk no datagram is.
    ///
    /// libuv: `UV_UDP_PARTIAL`
    pub truncated: bool,
    /// With receive offload, how long each of the datagrams is that were joined in `data`; the last one may be shorter. For
    /// one datagram alone its own length.
    #[cfg(feature = "udp-offload")]
    pub segment_size: usize,
}

#[cfg(feature = "udp-offload")]
impl<'a> Datagram<'a> {
    /// The datagrams in it, one after the other: one, unless the socket has
    /// receive offload.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (data, size) = (self.data, self.segment_size.max(1));
        // An empty datagram is one, too.
        (0..data.len().div_ceil(size).max(1))
            .map(move |at| &data[at * size..data.len().min((at + 1) * size)])
    }
}

/// What a socket has received.
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) from: SocketAddr,
    /// The length of each datagram, if several were joined.
    #[cfg(feature = "udp-offload")]
    pub(crate) segment_size: usize,
}

/// A socket, as the engine uses it. No call of it is ever [`Interrupted`](io::ErrorKind::Interrupted).
pub(crate) trait Transport: mio::event::Source {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received>;
    /// Sends to an address, or to the peer. All of it or nothing.
    fn send(&self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<()>;
    /// Sends several, and says how many the kernel took; an error only if it took none.
    fn send_many(&self, datagrams: &[(&[u8], SocketAddr)]) -> io::Result<usize>;
}

/// A handle that sends and receives datagrams.
pub(crate) trait DatagramHandle: Clone + 'static {
    type Transport: Transport;
}

type ReceiveCallback<H> = dyn FnMut(&H, io::Result<Datagram<'_>>);

/// Flags of a handle.
mod is {
    use crate::event_loop::Readiness;

    /// There is a socket.
    pub(super) const OPEN: u32 = 1;
    /// It has a peer.
    pub(super) const CONNECTED: u32 = 1 << 1;
    /// Something may have arrived, a datagram or an error.
    pub(super) const READABLE: u32 = Readiness::READABLE;
    /// The kernel may have room for what is queued.
    pub(super) const WRITABLE: u32 = Readiness::WRITABLE;
    /// There is a receive callback.
    pub(super) const RECEIVING: u32 = 1 << 5;
    /// A task waits for a datagram.
    pub(super) const AWAITED: u32 = 1 << 6;
    /// Datagrams are waiting in the queue.
    pub(super) const QUEUED: u32 = 1 << 7;
    /// The handle waits for its next go.
    pub(super) const RESUMING: u32 = 1 << 8;
    /// Somebody outside may hold a duplicate of the descriptor.
    pub(super) const SHOWN: u32 = 1 << 9;
    /// The loop keeps the handle alive.
    pub(super) const PINNED: u32 = 1 << 10;
}

/// One socket's datagrams.
pub(crate) struct Datagrams<H: DatagramHandle> {
    pub(crate) core: Core,
    flags: Flags,
    socket: RefCell<Option<H::Transport>>,
    receiver: Slot<ReceiveCallback<H>>,
    /// The task that waits for a datagram.
    awaiting: WaitingTask,
    /// Absent unless something is queued: most handles never need it.
    queue: Rare<SendQueue<Rc<Ticket<()>>>>,
}

// ---- the life of the socket --------------------------------------------------------------------------------------

impl<H: DatagramHandle> Datagrams<H> {
    pub(crate) fn new(core: Core) -> Datagrams<H> {
        Datagrams {
            core,
            flags: Flags::default(),
            socket: RefCell::new(None),
            receiver: Slot::empty(),
            awaiting: WaitingTask::nobody(),
            queue: Rare::none(),
        }
    }

    /// Takes over a socket. `shown` says that somebody else may have a duplicate of it.
    pub(crate) fn adopt(&self, mut socket: H::Transport, shown: bool) -> io::Result<()> {
        let inner = self.core.event_loop().inner();
        inner.register(self.core.key(), &mut socket, mio::Interest::READABLE)?;
        self.socket.replace(Some(socket));
        // Whether something has arrived, the poll will tell.
        self.flags.set(if shown { is::OPEN | is::SHOWN } else { is::OPEN });
        Ok(())
    }

    /// Has the poll tell of room, or no longer.
    fn ask_for_room(&self, wanted: bool) -> io::Result<()> {
        let mut interest = mio::Interest::READABLE;
        if wanted {
            interest |= mio::Interest::WRITABLE;
        }
        // Not while `with_socket` lends it further up in the stack: then it is done when that is over.
        let Ok(mut socket) = self.socket.try_borrow_mut() else { return Ok(()) };
        let Some(socket) = socket.as_mut() else { return Ok(()) };
        self.core.event_loop().inner().reregister(self.core.key(), socket, interest)
    }

    /// The first step of closing: the socket goes, the requests stay for the closing phase.
    pub(crate) fn release(&self) {
        let was_awaited = self.flags.is(is::AWAITED);
        self.flags.replace(self.flags.get() & (is::SHOWN | is::RESUMING));
        self.drop_socket();
        if was_awaited {
            let inner = self.core.event_loop().inner();
            inner.count_outside(false);
            // Last: a waker may be somebody else's, and run anything.
            self.awaiting.wake(&inner.tasks);
        }
    }

    pub(crate) fn drop_callbacks(&self) {
        self.receiver.clear();
    }

    /// Runs `f` with the socket. It may use the handle meanwhile, even close it.
    pub(crate) fn with_socket<R>(&self, f: impl FnOnce(&H::Transport) -> R) -> Option<R> {
        if !self.flags.is(is::OPEN) {
            return None;
        }
        let _loan = Loan(self);
        let socket = self.socket.borrow();
        Some(f(socket.as_ref()?))
    }

    /// True if there is a socket, be it one that is gone as soon as it is no longer [lent](Datagrams::with_socket).
    pub(crate) fn has_socket(&self) -> bool {
        self.socket.borrow().is_some()
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.flags.is(is::OPEN)
    }

    /// Notes that the descriptor was shown, so that somebody may have duplicated it.
    pub(crate) fn mark_shown(&self) {
        self.flags.set(is::SHOWN);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.flags.is(is::CONNECTED)
    }

    /// Notes that the socket got a peer or lost it.
    pub(crate) fn set_connected(&self, connected: bool) {
        if connected {
            self.flags.set(is::CONNECTED);
        } else {
            self.flags.unset(is::CONNECTED);
        }
    }

    fn drop_socket(&self) {
        // In use only inside `with_socket`, which then drops it itself.
        let socket = self.socket.try_borrow_mut().ok().and_then(|mut slot| slot.take());
        if let Some(socket) = socket {
            self.core.event_loop().inner().close_socket(socket, self.flags.is(is::SHOWN));
        }
    }
}

/// The time in which somebody uses the socket. What could not be done to it meanwhile is done at its end, by unwinding too.
struct Loan<'a, H: DatagramHandle>(&'a Datagrams<H>);

impl<H: DatagramHandle> Drop for Loan<'_, H> {
    fn drop(&mut self) {
        if !self.0.flags.is(is::OPEN) {
            self.0.drop_socket();
        } else if self.0.flags.is(is::QUEUED) {
            let _ = self.0.ask_for_room(true);
        }
    }
}

/// The last one who held the handle let go of it.
impl<H: DatagramHandle> Drop for Datagrams<H> {
    fn drop(&mut self) {
        self.drop_socket();
    }
}

// ---- events ------------------------------------------------------------------------------------------------------

impl<H: DatagramHandle> Datagrams<H> {
    /// The poll had an event.
    #[inline]
    pub(crate) fn ready(&self, handle: &H, readiness: Readiness) {
        self.flags.set(readiness.flags());
        // One that waits for its next go has that in this turn or the next, and not two of them.
        if !self.flags.is(is::RESUMING) {
            self.go_on(handle);
        }
    }

    /// The next go, after a budget ran out or receiving was started when something had arrived before.
    pub(crate) fn resume(&self, handle: &H) {
        self.flags.unset(is::RESUMING);
        self.go_on(handle);
    }

    #[inline]
    fn go_on(&self, handle: &H) {
        let _end = EndOfGo(self);
        // First, since nothing brings another go for it if somebody else's waker panics.
        if self.flags.has(is::AWAITED | is::READABLE) {
            self.awaiting.wake(&self.core.event_loop().inner().tasks);
        }
        if self.flags.is(is::QUEUED) {
            self.send_pass();
        }
        if self.flags.has(is::RECEIVING | is::READABLE) {
            self.receive_pass(handle);
        }
    }

    fn resume_later(&self) {
        if !self.flags.is(is::RESUMING) {
            self.flags.set(is::RESUMING);
            self.core.event_loop().inner().resume_next_turn(self.core.key());
        }
    }
}

/// The end of a handle's go, by unwinding too: what has more to do gets another one, since the poll will not speak of it
/// again.
struct EndOfGo<'a, H: DatagramHandle>(&'a Datagrams<H>);

impl<H: DatagramHandle> Drop for EndOfGo<'_, H> {
    #[inline]
    fn drop(&mut self) {
        if self.0.flags.has(is::RECEIVING | is::READABLE)
            || self.0.flags.has(is::QUEUED | is::WRITABLE)
        {
            self.0.resume_later();
        }
    }
}

// ---- requests ----------------------------------------------------------------------------------------------------

impl<H: DatagramHandle> Datagrams<H> {
    /// In the closing phase: the next request that close cut short gets its error.
    pub(crate) fn call_next_request(&self) -> bool {
        let next = self.pop();
        next.map(|ticket| ticket.finish_now(Err(Canceled.into()))).is_some()
    }

    /// The loop is gone: nobody is called.
    pub(crate) fn discard_requests(&self) {
        while let Some(ticket) = self.pop() {
            ticket.finish_silently();
        }
    }

    /// Takes back a datagram that the kernel has not got yet.
    pub(crate) fn cancel(&self, request: RequestId) -> bool {
        if self.core.is_closing() {
            // All of them hear of the close, in the order of the closing phase.
            return false;
        }
        let is_it = |ticket: &Rc<Ticket<()>>| ticket.id() == request;
        let canceled = self.queue.with(|queue| queue.cancel(request.place, is_it));
        let Some(ticket) = canceled.flatten() else { return false };
        self.after_progress();
        ticket.finish(Err(Canceled.into()));
        true
    }

    /// Requests that close cut short are still there until the closing phase, but nothing goes on.
    pub(crate) fn is_active(&self) -> bool {
        self.core.is_active() || self.flags.is(is::QUEUED)
    }

    pub(crate) fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || "receiving".to_string());
        self.queue.with(|queue| {
            reasons.extend(
                queue
                    .waiting()
                    .map(|(ticket, bytes)| ticket.reason(format!("{bytes} bytes not sent yet"))),
            );
        });
    }

    /// Has the loop keep the handle alive exactly while there is something to do that nobody needs to hold it for.
    fn update_hold(&self) {
        let is_busy = self.flags.is(is::RECEIVING | is::QUEUED);
        self.core.pin_while(is_busy, &self.flags, is::PINNED);
    }

    fn pop(&self) -> Option<Rc<Ticket<()>>> {
        self.queue.with(SendQueue::pop).flatten()
    }
}

#[cfg(test)]
mod tests;
