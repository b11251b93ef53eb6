//! `Notifier`: a callback on the loop's thread that any other thread can ask for.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::{Core, Kind, Place, Slot, Waiters, impl_handle};
use crate::error::{Canceled, Misuse};
use crate::event_loop::{AliveReason, Item, Key, LoopHandle, Mailbox, Object, may_go_on};
use crate::panics::Panics;

/// Calls back on the loop's thread when a [`NotifierSender`], in whatever thread, says so.
///
/// A notifier is active from the start, and so keeps the loop running, until it is closed or unreferenced. Its callback
/// is one of the I/O callbacks of a turn. Sends that happen before it begins may share one call; a send after it has begun
/// leads to another one. What a thread wrote before it sent is visible in the callback.
///
/// ```
/// use luvio::{Loop, Notifier};
/// use std::thread;
///
/// let event_loop = Loop::new()?;
/// let notifier = Notifier::new(&event_loop, |notifier| {
///     println!("woken");
///     notifier.close();
/// })?;
/// let sender = notifier.sender();
/// thread::spawn(move || sender.send());
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_async_t`
#[doc(alias = "uv_async_t")]
#[derive(Clone)]
pub struct Notifier(Rc<NotifierInner>);

struct NotifierInner {
    core: Core,
    callback: Slot<dyn FnMut(&Notifier)>,
    has_callback: bool,
    /// A send has come while no task waited for one.
    arrived: Cell<bool>,
    waiters: Waiters,
    line: Arc<Line>,
}

/// What the two ends share.
struct Line {
    /// True from a send until its callback begins.
    pending: AtomicBool,
    closed: AtomicBool,
}

impl_handle!(Notifier);

impl Notifier {
    /// A notifier that calls `cb`, active at once.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::LoopGone`]) if the loop is gone: this starts the handle, too,
    /// and so fails where the `start` of another kind would.
    ///
    /// libuv: `uv_async_init`
    #[doc(alias = "uv_async_init")]
    #[track_caller]
    pub fn new(
        event_loop: &LoopHandle,
        cb: impl FnMut(&Notifier) + 'static,
    ) -> io::Result<Notifier> {
        let notifier = Notifier::make(event_loop, true)?;
        notifier.0.callback.set(Box::new(cb));
        Ok(notifier)
    }

    /// A notifier without a callback: a send wakes the loop, which goes through one turn, and the
    /// task that has waited longest in [`notified`](Notifier::notified).
    ///
    /// # Errors
    /// As [`new`](Notifier::new).
    ///
    /// libuv: `uv_async_init` without a callback
    #[doc(alias = "uv_async_init")]
    #[track_caller]
    pub fn wake_only(event_loop: &LoopHandle) -> io::Result<Notifier> {
        Notifier::make(event_loop, false)
    }

    #[track_caller]
    fn make(event_loop: &LoopHandle, has_callback: bool) -> io::Result<Notifier> {
        let core = Core::new(event_loop, Kind::Notifier);
        core.check_open()?;
        let line = Line { pending: AtomicBool::new(false), closed: AtomicBool::new(false) };
        let notifier = Rc::new(NotifierInner {
            core,
            callback: Slot::empty(),
            has_callback,
            arrived: Cell::new(false),
            waiters: Waiters::default(),
            line: Arc::new(line),
        });
        notifier.core.enroll(&(Rc::clone(&notifier) as Rc<dyn Object>));
        notifier.core.set_active(true);
        notifier.core.pin();
        Ok(Notifier(notifier))
    }

    /// The other end, for any thread. Senders do not keep the notifier open.
    pub fn sender(&self) -> NotifierSender {
        NotifierSender {
            line: Arc::clone(&self.0.line),
            mailbox: Arc::clone(&self.0.core.event_loop().inner().mailbox),
            key: self.0.core.key(),
        }
    }

    /// A send, for a task.
    pub(crate) fn poll_notified(
        &self,
        place: &mut Place,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = self.event_loop().inner();
        if self.core().is_closing() {
            return Poll::Ready(Err(Canceled.into()));
        }
        if self.0.has_callback {
            return Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        if !self.0.waiters.has_turn(place) && !self.0.arrived.get() {
            self.0.waiters.wait(inner, place, context);
            return Poll::Pending;
        }
        if !may_go_on(context) {
            return Poll::Pending;
        }
        if !self.0.waiters.leave(inner, place) {
            self.0.arrived.set(false);
        }
        Poll::Ready(Ok(()))
    }

    /// A future of `notified` is gone.
    pub(crate) fn stop_waiting(&self, place: &mut Place) {
        if self.0.waiters.leave(self.event_loop().inner(), place) {
            self.0.arrive();
        }
    }
}

impl NotifierInner {
    /// A send is for the task that has waited longest, or else for the next one that waits.
    fn arrive(&self) {
        let mut panics = Panics::default();
        if !self.waiters.wake_next(self.core.event_loop().inner(), &mut panics) {
            self.arrived.set(true);
        }
        panics.go_on();
    }
}

impl Object for NotifierInner {
    fn notified(self: Rc<Self>) {
        if self.core.is_closing() {
            return;
        }
        // Before the callback, so that a send from inside it leads to another one. As a read-modify-write it also sees
        // what the senders wrote before they sent.
        self.line.pending.swap(false, Ordering::SeqCst);
        if !self.has_callback {
            return self.arrive();
        }
        let notifier = Notifier(self);
        if let Some(mut callback) = notifier.0.callback.lend() {
            notifier.0.core.call(|| callback(&notifier));
        }
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn release(&self) {
        self.line.closed.store(true, Ordering::SeqCst);
        self.waiters.wake_all(self.core.event_loop().inner());
    }

    fn drop_callbacks(&self) {
        self.callback.clear();
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || "waiting for a send".to_string());
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn super::Handle)) {
        visit(&Notifier(self));
    }
}

/// Asks for the callback of a [`Notifier`] from any thread. `Send`, `Sync` and cheap to clone.
///
/// libuv: the thread-safe half of `uv_async_t`
#[derive(Clone)]
pub struct NotifierSender {
    line: Arc<Line>,
    mailbox: Arc<Mailbox>,
    key: Key,
}

impl NotifierSender {
    /// Asks for the callback. Never waits for the loop; a send that finds another one still pending costs nothing but an
    /// atomic operation.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the notifier is closed ([`Misuse::Closing`]) or its loop is gone
    /// ([`Misuse::LoopGone`]).
    ///
    /// libuv: `uv_async_send`
    #[doc(alias = "uv_async_send")]
    pub fn send(&self) -> io::Result<()> {
        // A read-modify-write even when one is pending: a plain load first could miss that the callback has begun, and
        // what was written before this send would then be seen by no callback at all.
        let is_pending = self.line.pending.swap(true, Ordering::SeqCst);
        if self.mailbox.is_closed() {
            return Err(Misuse::LoopGone.into());
        }
        if self.line.closed.load(Ordering::SeqCst) {
            return Err(Misuse::Closing.into());
        }
        if is_pending {
            return Ok(());
        }
        self.mailbox.send(Item::Notify(self.key)).map_err(|_| Misuse::LoopGone.into())
    }
}

impl fmt::Debug for NotifierSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierSender").finish_non_exhaustive()
    }
}
