//! What all handles share: active or not, referenced or not, the two steps of closing, the place of birth.

mod face;
mod flags;
pub(crate) mod hooks;
mod ip;
pub(crate) mod notifier;
mod pause;
pub(crate) mod pipe;
pub(crate) mod poll;
mod rare;
#[cfg(feature = "signal")]
pub(crate) mod signal;
mod slot;
#[cfg(feature = "tty")]
pub(crate) mod stdio;
pub(crate) mod tcp;
pub(crate) mod timer;
#[cfg(feature = "tty")]
pub(crate) mod tty;
#[cfg(feature = "udp")]
pub(crate) mod udp;
mod waiters;

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::Location;
use std::rc::Rc;

pub(crate) use self::face::impl_handle;
pub(crate) use self::flags::Flags;
#[cfg(test)]
pub(crate) use self::pause::OUT_OF_BUFFERS_PAUSE;
pub(crate) use self::rare::Rare;
pub(crate) use self::slot::Slot;
pub(crate) use self::waiters::{Place, Waiters};
use crate::error::Misuse;
use crate::event_loop::{AliveKind, AliveReason, Key, LoopHandle, Object, Runnable};
use crate::request::{Origin, Request};

/// The kinds of handles.
///
/// libuv: `uv_handle_type`
#[doc(alias = "uv_handle_type")]
#[doc(alias = "uv_handle_type_name")]
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A [`Timer`](crate::Timer).
    Timer,
    /// An [`Idle`](crate::Idle).
    Idle,
    /// A [`Prepare`](crate::Prepare).
    Prepare,
    /// A [`Check`](crate::Check).
    Check,
    /// A [`Notifier`](crate::Notifier).
    Notifier,
    /// A `Signal` (with the feature `signal`).
    Signal,
    /// A [`Tcp`](crate::Tcp).
    Tcp,
    /// A [`Pipe`](crate::Pipe).
    Pipe,
    /// A `Udp` (with the feature `udp`).
    Udp,
    /// A [`Poll`](crate::Poll).
    Poll,
    /// A `Tty` (with the feature `tty`).
    Tty,
    /// A `Stdio` (with the feature `tty`).
    Stdio,
}

impl Kind {
    /// True if something outside the loop can bring a handle of this kind to life.
    fn is_outside(self) -> bool {
        !matches!(self, Kind::Timer | Kind::Idle | Kind::Prepare | Kind::Check)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Timer => "timer",
            Kind::Idle => "idle",
            Kind::Prepare => "prepare",
            Kind::Check => "check",
            Kind::Notifier => "notifier",
            Kind::Signal => "signal",
            Kind::Tcp => "tcp",
            Kind::Pipe => "pipe",
            Kind::Udp => "udp",
            Kind::Poll => "poll",
            Kind::Tty => "tty",
            Kind::Stdio => "stdio",
        })
    }
}

/// What every handle can do, whatever its kind: what [`walk`](LoopHandle::walk) shows. All of it is also there as
/// inherent methods of each kind, so that this trait need not be imported. It is sealed.
///
/// libuv: `uv_handle_t`
#[doc(alias = "uv_handle_t")]
pub trait Handle: private::Sealed {
    /// The kind of the handle.
    ///
    /// libuv: `uv_handle_get_type`
    #[doc(alias = "uv_handle_get_type")]
    fn kind(&self) -> Kind;

    /// The handle as what it is, to be downcast to [`Tcp`](crate::Tcp), [`Timer`](crate::Timer), …
    ///
    /// libuv: a cast from `uv_handle_t`
    fn as_any(&self) -> &dyn Any;

    /// Closes the handle. See [`Tcp::close`](crate::Tcp::close), which says the same for all kinds.
    ///
    /// libuv: `uv_close`
    #[doc(alias = "uv_close")]
    fn close(&self) -> Request<()>;

    /// True if the handle is doing something that can call back.
    ///
    /// libuv: `uv_is_active`
    #[doc(alias = "uv_is_active")]
    fn is_active(&self) -> bool;

    /// True from the call of close on.
    ///
    /// libuv: `uv_is_closing`
    #[doc(alias = "uv_is_closing")]
    fn is_closing(&self) -> bool;

    /// Lets the handle keep the loop running while it is active. It does so from the start.
    ///
    /// libuv: `uv_ref`
    #[doc(alias = "uv_ref")]
    fn ref_(&self);

    /// Lets the loop end although the handle is active.
    ///
    /// libuv: `uv_unref`
    #[doc(alias = "uv_unref")]
    fn unref(&self);

    /// True unless the handle was unreferenced.
    ///
    /// libuv: `uv_has_ref`
    #[doc(alias = "uv_has_ref")]
    fn has_ref(&self) -> bool;

    /// The loop on which the handle was made.
    ///
    /// libuv: `uv_handle_get_loop`
    #[doc(alias = "uv_handle_get_loop")]
    fn event_loop(&self) -> &LoopHandle;

    /// The place in the program where the handle was made.
    fn created_at(&self) -> &'static Location<'static>;
}

pub(crate) mod private {
    /// Keeps `Handle` from being implemented elsewhere.
    pub trait Sealed {}
}

/// The part that every handle has.
pub(crate) struct Core {
    event_loop: LoopHandle,
    key: Cell<Key>,
    place: &'static Location<'static>,
    kind: Kind,
    active: Cell<bool>,
    referenced: Cell<bool>,
    closing: Cell<bool>,
    /// The mark of the listener that accepted the connection. It takes no room: without it, there would be a gap.
    accepted_by: Cell<Option<NonZeroU32>>,
    waiters: Cell<Option<Box<CloseWaiters>>>,
}

/// Who waits for the handle to be closed.
#[derive(Default)]
struct CloseWaiters(VecDeque<Rc<dyn Runnable>>);

impl Core {
    /// The beginning of a handle. On a loop that is gone, it is closed from the start.
    #[track_caller]
    pub(crate) fn new(event_loop: &LoopHandle, kind: Kind) -> Core {
        Core::new_at(event_loop, kind, Location::caller())
    }

    pub(crate) fn new_at(
        event_loop: &LoopHandle,
        kind: Kind,
        place: &'static Location<'static>,
    ) -> Core {
        Core {
            event_loop: event_loop.clone(),
            key: Cell::new(Key::NONE),
            place,
            kind,
            active: Cell::new(false),
            referenced: Cell::new(true),
            closing: Cell::new(event_loop.is_gone()),
            accepted_by: Cell::new(None),
            waiters: Cell::new(None),
        }
    }

    /// Makes the handle known to its loop. The last step of every constructor.
    pub(crate) fn enroll(&self, object: &Rc<dyn Object>) {
        if !self.event_loop.is_gone() {
            self.key.set(self.event_loop.inner().handles.insert(object));
        }
    }

    #[inline]
    pub(crate) fn event_loop(&self) -> &LoopHandle {
        &self.event_loop
    }

    #[inline]
    pub(crate) fn key(&self) -> Key {
        self.key.get()
    }

    #[inline]
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.get()
    }

    pub(crate) fn has_ref(&self) -> bool {
        self.referenced.get()
    }

    /// Notes which listener accepted the connection.
    pub(crate) fn set_accepted_by(&self, listener: &Core) {
        self.accepted_by.set(Some(listener.key.get().mark()));
    }

    /// True if `listener` accepted the connection.
    pub(crate) fn is_accepted_by(&self, listener: &Core) -> bool {
        self.accepted_by.get() == Some(listener.key.get().mark())
    }

    /// An error if the handle can do nothing any more.
    pub(crate) fn check_open(&self) -> Result<(), Misuse> {
        match (self.closing.get(), self.event_loop.is_gone()) {
            (false, _) => Ok(()),
            (true, false) => Err(Misuse::Closing),
            (true, true) => Err(Misuse::LoopGone),
        }
    }

    /// Where a request of this handle comes from.
    #[track_caller]
    pub(crate) fn origin(&self) -> Origin {
        self.origin_at(Location::caller())
    }

    #[inline]
    pub(crate) fn origin_at(&self, place: &'static Location<'static>) -> Origin {
        Origin { event_loop: self.event_loop.inner().id, owner: self.key.get(), place }
    }

    /// Says whether the handle is active. An active one keeps the loop alive, unless it is unreferenced.
    pub(crate) fn set_active(&self, active: bool) {
        if self.active.replace(active) == active {
            return;
        }
        let inner = self.event_loop.inner();
        if self.referenced.get() {
            inner.count_active(active);
        }
        if self.kind.is_outside() {
            inner.count_outside(active);
        }
    }

    pub(crate) fn set_ref(&self, referenced: bool) {
        if self.referenced.replace(referenced) != referenced && self.active.get() {
            self.event_loop.inner().count_active(referenced);
        }
    }

    /// Keeps the handle alive although nobody holds it.
    pub(crate) fn pin(&self) {
        self.event_loop.inner().handles.pin(self.key.get());
    }

    /// Leaves it to those who hold it. It may be dropped in this call.
    pub(crate) fn unpin(&self) {
        self.event_loop.inner().handles.unpin(self.key.get());
    }

    /// Pins the handle exactly while it is busy. `pinned` is the flag by which that is remembered.
    #[inline]
    pub(crate) fn pin_while(&self, is_busy: bool, flags: &Flags, pinned: u32) {
        if is_busy == flags.is(pinned) || self.is_closing() {
            return;
        }
        if is_busy {
            flags.set(pinned);
            self.pin();
        } else {
            flags.unset(pinned);
            self.unpin();
        }
    }

    /// Runs a callback of this handle.
    #[inline]
    pub(crate) fn call<R>(&self, callback: impl FnOnce() -> R) -> R {
        self.event_loop.inner().watch(|| (self.kind, self.place), callback)
    }

    /// The first step of closing: inactive, no event any more; `release` gives the descriptor back. The rest happens in
    /// the closing phase. A second call only returns a request that ends with the first.
    #[track_caller]
    pub(crate) fn close(&self, object: Rc<dyn Object>) -> Request<()> {
        let origin = self.origin();
        if self.event_loop.is_gone() {
            return Request::finished(origin, Ok(()));
        }
        if !self.closing.replace(true) {
            self.set_active(false);
            // Before the release, whose destructors and wake-ups may close other handles: first closed, first called.
            self.event_loop.inner().complete_close(Rc::clone(&object));
            self.unpin();
            object.release();
        }
        Request::closing(origin, ())
    }

    pub(crate) fn wait_for_close(&self, waiter: Rc<dyn Runnable>) {
        let mut waiters = self.waiters.take().unwrap_or_default();
        waiters.0.push_back(waiter);
        self.waiters.set(Some(waiters));
    }

    /// In the closing phase: calls the next one who waits for the close. False if there is none.
    pub(crate) fn call_waiter(&self) -> bool {
        self.next_waiter().map(Runnable::run).is_some()
    }

    fn next_waiter(&self) -> Option<Rc<dyn Runnable>> {
        let mut waiters = self.waiters.take()?;
        let next = waiters.0.pop_front();
        self.waiters.set(Some(waiters));
        next
    }

    /// The end of closing: the key is free for another handle.
    pub(crate) fn closed(&self) {
        self.event_loop.inner().handles.remove(self.key.get());
    }

    /// The loop is being dropped, and the handle closed by that. Runs nothing of the user.
    pub(crate) fn dispose(&self) {
        self.closing.set(true);
        self.set_active(false);
        self.event_loop.inner().handles.remove(self.key.get());
    }

    /// The loop is being dropped: whoever waits for the handle to be closed hears nothing.
    pub(crate) fn discard_waiters(&self) {
        while let Some(waiter) = self.next_waiter() {
            waiter.discard();
        }
    }

    /// Adds this handle if it keeps the loop running, with what it is doing.
    pub(crate) fn report(&self, reasons: &mut Vec<AliveReason>, state: impl FnOnce() -> String) {
        let state = if self.closing.get() {
            "closing".to_string()
        } else if self.active.get() && self.referenced.get() {
            state()
        } else {
            return;
        };
        reasons.push(AliveReason { kind: AliveKind::Handle(self.kind), place: self.place, state });
    }
}

/// A handle that nobody holds and that does nothing closes by itself.
impl Drop for Core {
    fn drop(&mut self) {
        if !self.closing.get() {
            self.set_active(false);
            self.event_loop.inner().handles.remove(self.key.get());
        }
    }
}
