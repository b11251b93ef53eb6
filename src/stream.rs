//! The read and write engine of the stream handles: its state, the life of its socket, and what an event leads to. What
//! it then does has rooms of its own: connecting, reading, awaiting data, writing, draining the queue.
//!
//! A socket is registered once, for both directions and by edge, and never again. What the poll said is remembered in
//! two flags, *readable* and *writable*, until the kernel says otherwise. A pass ends when its flag falls, when the user
//! stops it, or when its budget is used up; in the last case the stream asks for another go in the next turn.
//!
//! | state | flags | reads | writes | shutdown |
//! |---|---|---|---|---|
//! | without a peer | none | refused | refused | refused |
//! | listening | `LISTENING` | refused | refused | refused |
//! | connecting | `CONNECTING` | may be started | queued | waits for the connect |
//! | connected | `CONNECTED` | yes | at once | after the queue |
//! | shut down, or adopted read-only | `CONNECTED`, `SHUT` | yes | refused | refused |
//! | adopted write-only | `CONNECTED`, `WRITE_ONLY` | refused | at once | after the queue |
//! | broken by a read error | `CONNECTED`, `BROKEN` | refused | refused | refused |

mod along;
mod awaiting;
mod connecting;
mod draining;
mod face;
mod outcome;
#[cfg(feature = "tty")]
mod plain;
#[cfg(feature = "futures")]
mod poll_io;
mod reading;
mod requests;
mod transport;
mod write_queue;
mod writing;

use std::cell::{Cell, RefCell};
use std::io;

pub use self::face::ByteStream;
pub(crate) use self::face::{finish, impl_stream};
use self::outcome::Outcome;
#[cfg(feature = "tty")]
pub(crate) use self::plain::{PlainHandle, PlainStream};
use self::reading::EndOfPass;
use self::requests::Outgoing;
#[cfg(any(feature = "descriptors", feature = "tty", test))]
pub(crate) use self::transport::Direction;
use self::transport::nature_of;
pub(crate) use self::transport::{Along, AlongOf, Transport};
use crate::error::{Canceled, Misuse, Refused, is_canceled};
use crate::event_loop::{IN_KERNEL, Readiness};
use crate::handle::{Core, Flags, Rare, Slot};
use crate::task::WaitingTask;

/// True where the kernel announces the next byte by a new edge even though the last read did not come back empty: then a
/// read that is shorter than its buffer has drained the socket. mio's poll(2) emulation re-arms only when it sees the
/// operation that would block.
const SHORT_MEANS_DRAINED: bool = IN_KERNEL;

/// Both directions, and urgent data: a read stops at its mark, so that a short one has not drained the socket.
#[cfg(all(not(mio_unsupported_force_poll_poll), any(target_os = "linux", target_os = "android")))]
const INTEREST: mio::Interest =
    mio::Interest::READABLE.add(mio::Interest::WRITABLE).add(mio::Interest::PRIORITY);
#[cfg(not(all(
    not(mio_unsupported_force_poll_poll),
    any(target_os = "linux", target_os = "android")
)))]
const INTEREST: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE);

/// A handle that has a stream in it.
pub(crate) trait StreamHandle: Clone + 'static {
    type Transport: Transport;
    fn stream(&self) -> &Stream<Self>;
}

type ReadCallback<H> = dyn FnMut(&H, io::Result<Option<&[u8]>>);

/// Flags of a stream.
mod is {
    use crate::event_loop::Readiness;

    pub(super) const CONNECTING: u32 = 1;
    pub(super) const CONNECTED: u32 = 1 << 1;
    /// A read may find something.
    pub(super) const READABLE: u32 = Readiness::READABLE;
    /// A write may find room.
    pub(super) const WRITABLE: u32 = Readiness::WRITABLE;
    /// The poll said that the peer is done, that there is an error or urgent data: a short read has not drained the
    /// socket.
    pub(super) const EXCEPTIONAL: u32 = Readiness::EXCEPTIONAL;
    /// There is a read callback.
    pub(super) const READING: u32 = 1 << 5;
    /// A task waits for data.
    pub(super) const AWAITED: u32 = 1 << 6;
    /// … and it does so by the futures-io traits, whose waits cannot be dropped: anybody else may
    /// take over.
    pub(super) const AWAITED_BY_TRAIT: u32 = 1 << 14;
    /// Writes are waiting in the queue.
    pub(super) const QUEUED: u32 = 1 << 7;
    /// Shutdown was called.
    pub(super) const SHUT: u32 = 1 << 8;
    /// A read failed: nothing goes either way.
    pub(super) const BROKEN: u32 = 1 << 9;
    /// A write failed: not everything accepted was sent.
    pub(super) const LOSSY: u32 = 1 << 10;
    /// The stream waits for its next go.
    pub(super) const RESUMING: u32 = 1 << 11;
    /// Somebody outside may hold a duplicate of the descriptor.
    pub(super) const SHOWN: u32 = 1 << 12;
    /// The loop keeps the handle alive.
    pub(super) const PINNED: u32 = 1 << 13;
    /// A task waits for room to write, by the futures-io traits.
    pub(super) const ROOM_AWAITED: u32 = 1 << 15;
    /// More than one wait for data, by the futures-io traits.
    pub(super) const AWAITED_BY_MORE: u32 = 1 << 19;
    /// The socket listens; there is no peer to write to.
    pub(super) const LISTENING: u32 = 1 << 16;
    /// Close cut off a read, or a write, of the futures-io traits, whose next poll is to say so.
    pub(super) const READ_CUT_OFF: u32 = 1 << 17;
    pub(super) const WRITE_CUT_OFF: u32 = 1 << 18;
    /// Nothing can be read, ever. (Of what can only be read, the writing side counts as shut down.)
    pub(super) const WRITE_ONLY: u32 = 1 << 20;
    /// A short read never means that there is nothing more.
    pub(super) const PIECEMEAL: u32 = 1 << 21;
    /// These bits count the waits for data that were cut off, of futures that must not take a later wait for their own.
    pub(super) const CUT_OFF_WAITS: u32 = 0x3ff << 22;
    pub(super) const ONE_CUT_OFF_WAIT: u32 = 1 << 22;
}

/// One stream.
pub(crate) struct Stream<H: StreamHandle> {
    pub(crate) core: Core,
    flags: Flags,
    /// The code of the error by which a write failed. The system tells of it only once, and whoever reads has to hear of
    /// it, too. 0 if there is none.
    lost: Cell<i32>,
    socket: RefCell<Option<H::Transport>>,
    reader: Slot<ReadCallback<H>>,
    /// The task that waits for data.
    awaiting: WaitingTask,
    /// Absent unless something is under way: most streams never need it.
    outgoing: Rare<Outgoing<H>>,
}

// ---- the life of the socket --------------------------------------------------------------------------------------

impl<H: StreamHandle> Stream<H> {
    pub(crate) fn new(core: Core) -> Stream<H> {
        Stream {
            core,
            flags: Flags::default(),
            lost: Cell::new(0),
            socket: RefCell::new(None),
            reader: Slot::empty(),
            awaiting: WaitingTask::nobody(),
            outgoing: Rare::none(),
        }
    }

    /// Takes over a connected socket. `shown` says that somebody else may have a duplicate of it.
    pub(crate) fn adopt(
        &self,
        mut socket: H::Transport,
        shown: bool,
    ) -> Result<(), Refused<H::Transport>> {
        if let Err(error) = self.register(&mut socket) {
            return Err(Refused { error, value: socket });
        }
        let nature = nature_of(&socket);
        self.socket.replace(Some(socket));
        // There is room until the kernel says otherwise; whether there is data, the poll will tell.
        self.flags.set(is::CONNECTED | is::WRITABLE | nature);
        if shown {
            self.flags.set(is::SHOWN);
        }
        Ok(())
    }

    /// Gives away a connected socket, for others to go on with. What has arrived and was not read is still in it. The handle
    /// is to be closed then.
    pub(crate) fn give_away(&self) -> io::Result<H::Transport> {
        self.core.check_open()?;
        if self.flags.is(is::CONNECTING) {
            return Err(Misuse::AlreadyConnecting.into());
        }
        if !self.flags.is(is::CONNECTED) || self.flags.is(is::BROKEN) {
            return Err(Misuse::NotConnected.into());
        }
        // A shutdown that waits does so for what is queued.
        if self.flags.is(is::QUEUED) || self.has_arrived() {
            return Err(Misuse::UnderWay.into());
        }
        // In use inside `with_socket`.
        let Ok(mut slot) = self.socket.try_borrow_mut() else {
            return Err(Misuse::UnderWay.into());
        };
        let Some(socket) = slot.as_mut() else {
            return Err(Misuse::NoSocket.into());
        };
        self.core.event_loop().inner().deregister(socket)?;
        slot.take().ok_or_else(|| Misuse::NoSocket.into())
    }

    /// The first step of closing: the socket goes, the requests stay for the closing phase.
    pub(crate) fn release(&self) {
        let mut outcome = Outcome::default();
        self.stop_connect_limit();
        self.note_cut_off_read();
        let mut kept = is::SHOWN | is::RESUMING | is::READ_CUT_OFF | is::WRITE_CUT_OFF;
        kept &= self.flags.get();
        if self.flags.is(is::ROOM_AWAITED) {
            kept |= is::WRITE_CUT_OFF;
        }
        self.stop_awaiting_data(&mut outcome);
        self.stop_awaiting_room(&mut outcome);
        drop(self.take_arrived());
        self.flags.replace(kept);
        self.drop_socket();
        self.tell(outcome);
    }

    pub(crate) fn drop_callbacks(&self) {
        self.drop_readers();
    }

    /// Runs `f` with the socket. It may use the stream meanwhile, even close it.
    pub(crate) fn with_socket<R>(&self, f: impl FnOnce(&H::Transport) -> R) -> Option<R> {
        if !self.flags.is(is::CONNECTED | is::CONNECTING) {
            return None;
        }
        let _loan = Loan(self);
        let socket = self.socket.borrow();
        Some(f(socket.as_ref()?))
    }

    /// True if there is a socket, be it one that is gone as soon as it is no longer [lent](Stream::with_socket).
    pub(crate) fn has_socket(&self) -> bool {
        self.socket.borrow().is_some()
    }

    /// Notes that the handle has become a listener.
    pub(crate) fn mark_listening(&self) {
        self.flags.set(is::LISTENING);
    }

    /// Notes that the descriptor was shown, so that somebody may have duplicated it.
    pub(crate) fn mark_shown(&self) {
        self.flags.set(is::SHOWN);
    }

    fn register(&self, socket: &mut H::Transport) -> io::Result<()> {
        self.core.event_loop().inner().register(self.core.key(), socket, INTEREST)
    }

    fn drop_socket(&self) {
        // In use only inside `with_socket`, which then drops it itself.
        let socket = self.socket.try_borrow_mut().ok().and_then(|mut slot| slot.take());
        if let Some(socket) = socket {
            self.core.event_loop().inner().close_socket(socket, self.flags.is(is::SHOWN));
        }
    }
}

/// The time in which somebody uses the socket. If the stream was closed meanwhile, the socket goes at its end, by
/// unwinding too.
struct Loan<'a, H: StreamHandle>(&'a Stream<H>);

impl<H: StreamHandle> Drop for Loan<'_, H> {
    fn drop(&mut self) {
        if !self.0.flags.is(is::CONNECTED | is::CONNECTING) {
            self.0.drop_socket();
        }
    }
}

/// The last one who held the handle let go of it.
impl<H: StreamHandle> Drop for Stream<H> {
    fn drop(&mut self) {
        self.drop_socket();
        // The waits of the futures-io traits do not end by themselves. Nobody needs to be woken: a wait that was to go on
        // would hold the handle.
        let inner = self.core.event_loop().inner();
        for wait in [is::AWAITED, is::ROOM_AWAITED] {
            if self.flags.is(wait) {
                inner.count_outside(false);
            }
        }
    }
}

// ---- events ------------------------------------------------------------------------------------------------------

/// What an event leads to.
pub(crate) enum ToDo {
    /// To [read](Stream::read_pass) for a callback, and nothing else.
    Read,
    /// To [wake](Stream::wake_reader_now) the task that waits for data, and nothing else.
    Wake,
    /// Anything else: [see what it is](Stream::look_around).
    LookAround,
}

impl<H: StreamHandle> Stream<H> {
    /// Notes what the poll said, and says what there is to do about it.
    #[inline]
    pub(crate) fn note(&self, readiness: Readiness) -> ToDo {
        const READS: u32 = is::CONNECTED | is::READABLE | is::READING;
        const AWAITS: u32 = is::CONNECTED | is::READABLE | is::AWAITED;
        const ELSE: u32 = is::CONNECTING
            | is::QUEUED
            | is::ROOM_AWAITED
            | is::AWAITED_BY_MORE
            // Its go is coming in this turn, or else in the next: two would be twice the budget.
            | is::RESUMING;
        self.flags.set(readiness.flags());
        match self.flags.get() & (READS | AWAITS | ELSE) {
            READS => ToDo::Read,
            AWAITS => ToDo::Wake,
            _ => ToDo::LookAround,
        }
    }

    /// Does what is to be done about what the poll said, whatever it is.
    pub(crate) fn look_around(&self, handle: &H) {
        if !self.flags.is(is::RESUMING) {
            self.go_on(handle);
        }
    }

    /// The stream's next go, after its budget ran out or a read was started on data that had arrived before.
    #[inline(never)]
    pub(crate) fn resume(&self, handle: &H) {
        self.flags.unset(is::RESUMING);
        self.go_on(handle);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.flags.is(is::CONNECTED)
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.flags.is(is::CONNECTING)
    }

    #[inline(never)]
    fn go_on(&self, handle: &H) {
        if self.flags.is(is::CONNECTING) {
            return self.check_connect();
        }
        // If somebody who is told panics, there will be another go for what is left.
        let _end = EndOfPass(self);
        let mut outcome = Outcome::default();
        if self.flags.is(is::QUEUED | is::ROOM_AWAITED) {
            self.write_pass(&mut outcome);
            if self.flags.is(is::WRITABLE) {
                self.stop_awaiting_room(&mut outcome);
            }
        }
        if self.flags.has(is::AWAITED | is::READABLE) {
            self.wake_readers(&mut outcome);
        }
        self.tell(outcome);
        if self.flags.has(is::READING | is::READABLE | is::CONNECTED) {
            self.read_pass(handle);
        }
    }

    fn resume_later(&self) {
        if !self.flags.is(is::RESUMING) {
            self.flags.set(is::RESUMING);
            self.core.event_loop().inner().resume_next_turn(self.core.key());
        }
    }
}

/// The same error for another one who waits. `io::Error` cannot be cloned, its code or kind can.
fn copy_of(err: &io::Error) -> io::Error {
    if is_canceled(err) {
        return Canceled.into();
    }
    match err.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => err.kind().into(),
    }
}

#[cfg(test)]
mod tests;
