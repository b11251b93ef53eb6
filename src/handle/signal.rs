//! `Signal`: a callback for each delivery of a signal.
//!
//! The process counts the deliveries of each signal that is watched ([`counter`]), and wakes the loops that watch it
//! ([`line`]). Each handle remembers how many it has seen: so every handle in every loop gets them all, and stopping one
//! drops what it had not seen yet. What the signal did before comes back with the last of them ([`disposition`]).

mod claim;
mod counter;
mod disposition;
mod line;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod memory_file;
mod names;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

pub(crate) use self::line::Lines;
use self::line::Watch;
use super::{Core, Handle, Kind, Place, Slot, Waiters, impl_handle};
use crate::error::{Canceled, Misuse};
use crate::event_loop::{AliveReason, LoopHandle, Object, may_go_on};

/// So many calls a handle gets in a turn, so that a callback that raises its own signal does not hold up the others.
const DELIVERIES_PER_TURN: u32 = 128;

/// Calls back for a signal that the process gets, on the loop's thread.
///
/// Every handle for a signal, in whatever loop and thread, gets one call for each delivery that the process caught, after
/// the other I/O callbacks of the turn. Deliveries are counted, so that none is lost, however many wait. (Where the system
/// is not Linux, or limits the size of files by `RLIMIT_FSIZE`, only as many can wait as a pipe has bytes, usually 65,536.
/// A program that limits itself so does it before it starts its first handle: the count is the length of a file in
/// memory.)
///
/// While at least one handle is started for a signal, its default action is off; when the last one goes, it is back.
/// (Linux's real-time signals, SIGIO, SIGPWR and SIGSTKFLT do not kill the process then, but have it exit with a status of
/// 128 plus their number.) A signal that was ignored before is ignored again, as SIGPIPE is in every Rust program, and
/// SIGHUP under `nohup`; only children that are started from then on do not inherit that. (Elsewhere than on Linux only
/// SIGPIPE is known to have been ignored.) Handlers that others installed before are called throughout.
///
/// ```no_run
/// use luvio::{Loop, Signal};
///
/// let event_loop = Loop::new()?;
/// let interrupt = Signal::new(&event_loop);
/// interrupt.start(Signal::INT, |signal, _| {
///     println!("interrupted");
///     signal.close();
/// })?;
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_signal_t`
#[doc(alias = "uv_signal_t")]
#[derive(Clone)]
pub struct Signal(Rc<SignalInner>);

type Callback = dyn FnMut(&Signal, i32);

struct SignalInner {
    core: Core,
    callback: Slot<Callback>,
    watch: RefCell<Option<Watch>>,
    one_shot: Cell<bool>,
    has_callback: Cell<bool>,
    /// Tasks that wait for a delivery.
    waiters: Waiters,
    /// Waits for its go in the next turn.
    resuming: Cell<bool>,
    /// Waits for its go at the end of the batch.
    late: Cell<bool>,
}

impl_handle!(Signal);

impl Signal {
    /// A handle that watches nothing yet.
    ///
    /// libuv: `uv_signal_init`
    #[doc(alias = "uv_signal_init")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Signal {
        let signal = Rc::new(SignalInner {
            core: Core::new(event_loop, Kind::Signal),
            callback: Slot::empty(),
            watch: RefCell::new(None),
            one_shot: Cell::new(false),
            has_callback: Cell::new(false),
            waiters: Waiters::default(),
            resuming: Cell::new(false),
            late: Cell::new(false),
        });
        signal.core.enroll(&(Rc::clone(&signal) as Rc<dyn Object>));
        Signal(signal)
    }

    /// Calls `cb` for each delivery of the signal `signum`, such as [`Signal::INT`]. Starting a handle that watches already
    /// replaces its callback, and with another number also its signal; with the same number, no delivery is lost, be it
    /// from a start with a callback to one without or the reverse.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a number that is no signal or one that no callback can serve
    /// ([`Misuse::BadSignal`]: SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV) and for a closing handle; what the system says
    /// when it has no descriptors left.
    ///
    /// libuv: `uv_signal_start`
    #[doc(alias = "uv_signal_start")]
    pub fn start(&self, signum: i32, cb: impl FnMut(&Signal, i32) + 'static) -> io::Result<()> {
        self.start_with(signum, false, Some(Box::new(cb)))
    }

    /// Calls `cb` for the next delivery only. The handle is inactive when `cb` runs, and `cb` is dropped when it returns.
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    ///
    /// libuv: `uv_signal_start_oneshot`
    #[doc(alias = "uv_signal_start_oneshot")]
    pub fn start_oneshot(
        &self,
        signum: i32,
        cb: impl FnMut(&Signal, i32) + 'static,
    ) -> io::Result<()> {
        self.start_with(signum, true, Some(Box::new(cb)))
    }

    /// Watches the signal `signum` without a callback, for [`delivered`](Signal::delivered).
    ///
    /// Such a handle is not active, since it has nobody to call: the task that waits keeps the loop
    /// running, and the handle is closed when the last clone is dropped.
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    pub fn start_only(&self, signum: i32) -> io::Result<()> {
        self.start_with(signum, false, None)
    }

    /// Stops the calls. What was caught but not reported yet is dropped. Does nothing if the handle is not active.
    ///
    /// libuv: `uv_signal_stop`
    #[doc(alias = "uv_signal_stop")]
    pub fn stop(&self) {
        self.0.stop();
        self.0.callback.clear();
    }

    /// The signal that is being watched; `None` before the start and after a stop.
    ///
    /// libuv: the member `signum` of `uv_signal_t`
    pub fn signum(&self) -> Option<i32> {
        self.0.watch.borrow().as_ref().map(Watch::signum)
    }

    fn start_with(
        &self,
        signum: i32,
        one_shot: bool,
        callback: Option<Box<Callback>>,
    ) -> io::Result<()> {
        self.0.core.check_open()?;
        self.0.watch(signum)?;
        self.0.one_shot.set(one_shot);
        match callback.is_some() {
            true => self.0.expect_callback(),
            false => self.0.leave_callback(),
        }
        self.0.go_on_if_unseen();
        // Last, since foreign code runs here: the destructor of the callback before, and wakers.
        match callback {
            Some(callback) => self.0.callback.set(callback),
            None => self.0.callback.clear(),
        }
        self.0.waiters.wake_all(self.event_loop().inner());
        Ok(())
    }

    /// A delivery, for a task.
    pub(crate) fn poll_delivered(
        &self,
        place: &mut Place,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<i32>> {
        let inner = self.event_loop().inner();
        let has_stopped = self.core().is_closing() || self.signum().is_none();
        if self.core().is_closing() || has_stopped && place.take().is_some() {
            return Poll::Ready(Err(Canceled.into()));
        }
        if self.0.has_callback.get() {
            return Poll::Ready(Err(Misuse::HasCallback.into()));
        }
        if has_stopped {
            return Poll::Ready(Err(Misuse::NeverStarted.into()));
        }
        if !may_go_on(context) {
            return Poll::Pending;
        }
        match self.0.newest_delivery() {
            Some(signum) => {
                self.stop_waiting(place);
                Poll::Ready(Ok(signum))
            }
            None => {
                self.0.waiters.wait(inner, place, context);
                Poll::Pending
            }
        }
    }

    pub(crate) fn stop_waiting(&self, place: &mut Place) {
        self.0.waiters.leave(self.event_loop().inner(), place);
    }
}

impl SignalInner {
    /// Watches `signum` from now on, instead of another signal if there is one.
    fn watch(&self, signum: i32) -> io::Result<()> {
        if self.watch.borrow().as_ref().is_some_and(|watch| watch.signum() == signum) {
            return Ok(());
        }
        if signum <= 0 || signal_hook::consts::FORBIDDEN.contains(&signum) {
            return Err(Misuse::BadSignal.into());
        }
        let watch = Watch::on(self.core.event_loop(), self.core.key(), signum)?;
        self.watch.replace(Some(watch));
        Ok(())
    }

    fn stop(&self) {
        let watch = self.watch.take();
        if watch.is_some() {
            drop(watch);
            self.leave_callback();
            self.waiters.wake_all(self.core.event_loop().inner());
        }
    }

    /// There is somebody to call.
    fn expect_callback(&self) {
        self.has_callback.set(true);
        self.core.set_active(true);
        self.core.pin();
    }

    /// There is nobody to call any more.
    fn leave_callback(&self) {
        if self.has_callback.replace(false) {
            self.core.set_active(false);
            self.core.unpin();
        }
    }

    /// Takes the next delivery, as of the last look.
    fn next_delivery(&self) -> Option<i32> {
        self.watch.borrow_mut().as_mut()?.take()
    }

    /// Takes the next delivery, also one of which the loop does not know yet.
    fn newest_delivery(&self) -> Option<i32> {
        self.next_delivery().or_else(|| {
            self.watch.borrow().as_ref()?.look();
            self.next_delivery()
        })
    }

    fn has_unseen(&self) -> bool {
        self.watch.borrow().as_ref().is_some_and(Watch::has_unseen)
    }

    /// Gives the handle its go in the next turn if deliveries wait: nobody will tell of them again.
    fn go_on_if_unseen(&self) {
        if self.has_unseen() && !self.resuming.replace(true) {
            self.core.event_loop().inner().resume_next_turn(self.core.key());
        }
    }
}

/// Has the handle go on in the next turn with what this one leaves, by unwinding too.
struct GoOnLater<'a>(&'a SignalInner);

impl Drop for GoOnLater<'_> {
    fn drop(&mut self) {
        self.0.go_on_if_unseen();
    }
}

impl Object for SignalInner {
    fn resume(self: Rc<Self>) {
        self.resuming.set(false);
        if !self.late.replace(true) {
            let inner = Rc::clone(&self);
            self.core.event_loop().inner().call_late(inner);
        }
    }

    fn late(self: Rc<Self>) {
        self.late.set(false);
        if !self.has_callback.get() {
            if self.has_unseen() {
                self.waiters.wake_all(self.core.event_loop().inner());
            }
            return;
        }
        let _rest = GoOnLater(&self);
        for _ in 0..DELIVERIES_PER_TURN {
            // The callback may have left the rest to the tasks.
            if !self.has_callback.get() {
                break;
            }
            let Some(signum) = self.next_delivery() else { break };
            let is_last = self.one_shot.get();
            if is_last {
                self.stop();
            }
            let signal = Signal(Rc::clone(&self));
            if let Some(mut callback) = self.callback.lend() {
                if is_last {
                    // Dropped when it returns, unless it starts the handle again.
                    self.callback.clear();
                }
                self.core.call(|| callback(&signal, signum));
            }
        }
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn release(&self) {
        self.stop();
    }

    fn drop_callbacks(&self) {
        self.callback.clear();
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || match self.watch.borrow().as_ref() {
            Some(watch) => match Signal::name_of(watch.signum()) {
                Some(name) => format!("waiting for {name}"),
                None => format!("waiting for signal {}", watch.signum()),
            },
            None => "waiting".to_string(),
        });
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&Signal(self));
    }
}
