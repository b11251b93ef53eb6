//! `Signal`: a callback for each delivery of a signal.
//!
//! signal-hook writes one byte per delivery into a socket of each handle's own, which the loop polls. So deliveries are
//! counted, every handle in every loop gets them, and stopping a handle drops what it had not seen yet.

mod disposition;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;
use std::task::{Context, Poll};

use mio::net::UnixStream;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

use self::disposition::Claim;
use super::{Core, Handle, Kind, Place, Slot, Waiters, impl_handle};
use crate::error::{Canceled, Misuse};
use crate::event_loop::{AliveReason, LoopHandle, Object, Readiness, may_go_on};

/// So many calls a handle gets in a turn, so that a callback that raises its own signal does not hold up the others.
const DELIVERIES_PER_TURN: u32 = 128;

/// Calls back for a signal that the process gets, on the loop's thread.
///
/// Every handle for a signal, in whatever loop and thread, gets one call for each delivery that the process caught, after
/// the other I/O callbacks of the turn.
/// While at least one handle is started for a signal, its default action is off; when the last one goes, it is back.
/// (A Linux signal without a name, such as a real-time one, does not kill the process then; it has it exit with a status
/// of 128 plus its number.) Handlers that others installed before are called throughout.
///
/// ```no_run
/// use luvio::{Loop, Signal};
///
/// let event_loop = Loop::new()?;
/// let interrupt = Signal::new(&event_loop);
/// interrupt.start(2, |signal, _| {
///     println!("interrupted");
///     signal.close();
/// })?;
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_signal_t`
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
    /// Waits for its go at the end of the batch.
    late: Cell<bool>,
}

/// A signal being watched.
struct Watch {
    signum: i32,
    action: SigId,
    socket: UnixStream,
    _claim: Claim,
}

impl_handle!(Signal);

impl Signal {
    /// A handle that watches nothing yet.
    ///
    /// libuv: `uv_signal_init`
    #[track_caller]
    pub fn new(event_loop: &LoopHandle) -> Signal {
        let signal = Rc::new(SignalInner {
            core: Core::new(event_loop, Kind::Signal),
            callback: Slot::empty(),
            watch: RefCell::new(None),
            one_shot: Cell::new(false),
            has_callback: Cell::new(false),
            waiters: Waiters::default(),
            late: Cell::new(false),
        });
        signal.core.enroll(&(Rc::clone(&signal) as Rc<dyn Object>));
        Signal(signal)
    }

    /// Calls `cb` for each delivery of the signal `signum`. Starting an active handle replaces its callback, and with
    /// another number also its signal; with the same number, no delivery is lost.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a number that is no signal or one that no callback can serve
    /// ([`Misuse::BadSignal`]: SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV) and for a closing handle; what the system says
    /// when it has no descriptors left.
    ///
    /// libuv: `uv_signal_start`
    pub fn start(&self, signum: i32, cb: impl FnMut(&Signal, i32) + 'static) -> io::Result<()> {
        self.start_with(signum, false, Box::new(cb))
    }

    /// Calls `cb` for the next delivery only. The handle is inactive when `cb` runs.
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    ///
    /// libuv: `uv_signal_start_oneshot`
    pub fn start_oneshot(
        &self,
        signum: i32,
        cb: impl FnMut(&Signal, i32) + 'static,
    ) -> io::Result<()> {
        self.start_with(signum, true, Box::new(cb))
    }

    /// Watches the signal `signum` without a callback, for [`delivered`](Signal::delivered).
    ///
    /// Such a handle is not active, since it has nobody to call: the task that waits keeps the loop
    /// running, and the handle is closed when the last clone is dropped.
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    pub fn start_only(&self, signum: i32) -> io::Result<()> {
        self.0.core.check_open()?;
        self.0.watch(signum)?;
        self.0.leave_callback();
        self.0.callback.clear();
        Ok(())
    }

    /// Stops the calls. What was caught but not reported yet is dropped. Does nothing if the handle is not active.
    ///
    /// libuv: `uv_signal_stop`
    pub fn stop(&self) {
        self.0.stop();
        self.0.callback.clear();
    }

    /// The signal that is being watched; `None` before the start and after a stop.
    ///
    /// libuv: the member `signum` of `uv_signal_t`
    pub fn signum(&self) -> Option<i32> {
        self.0.watch.borrow().as_ref().map(|watch| watch.signum)
    }

    fn start_with(&self, signum: i32, one_shot: bool, callback: Box<Callback>) -> io::Result<()> {
        self.0.core.check_open()?;
        self.0.watch(signum)?;
        self.0.has_callback.set(true);
        self.0.waiters.wake_all(self.event_loop().inner());
        self.0.core.set_active(true);
        self.0.core.pin();
        self.0.one_shot.set(one_shot);
        self.0.callback.set(callback);
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
        match self.0.next_delivery() {
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
        if self.watch.borrow().as_ref().is_some_and(|watch| watch.signum == signum) {
            return Ok(());
        }
        if signum <= 0 || signal_hook::consts::FORBIDDEN.contains(&signum) {
            return Err(Misuse::BadSignal.into());
        }
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let claim = Claim::on(signum)?;
        // It refuses numbers that the system does not know.
        let action = pipe::register(signum, writer).map_err(|_| Misuse::BadSignal)?;
        let mut watch =
            Watch { signum, action, socket: UnixStream::from_std(reader), _claim: claim };
        self.core.event_loop().inner().poller.with_registry(|registry| {
            registry.register(&mut watch.socket, self.core.key().token(), mio::Interest::READABLE)
        })?;
        self.stop();
        self.watch.replace(Some(watch));
        Ok(())
    }

    fn stop(&self) {
        let watch = self.watch.take();
        if let Some(mut watch) = watch {
            let poller = &self.core.event_loop().inner().poller;
            let _ = poller.with_registry(|registry| registry.deregister(&mut watch.socket));
            drop(watch);
            self.leave_callback();
            self.waiters.wake_all(self.core.event_loop().inner());
        }
    }

    /// There is nobody to call any more.
    fn leave_callback(&self) {
        if self.has_callback.replace(false) {
            self.core.set_active(false);
            self.core.unpin();
        }
    }

    /// Takes one delivery out of the socket.
    fn next_delivery(&self) -> Option<i32> {
        let mut watch = self.watch.borrow_mut();
        let watch = watch.as_mut()?;
        let mut byte = [0];
        loop {
            match watch.socket.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) => return Some(watch.signum),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        unregister(self.action);
    }
}

/// Gives the handle another go in the next turn, by unwinding too, unless its socket was found empty: until then, nobody
/// will tell again.
struct ResumeUnlessEmpty<'a>(Option<&'a Rc<SignalInner>>);

impl Drop for ResumeUnlessEmpty<'_> {
    fn drop(&mut self) {
        if let Some(signal) = self.0 {
            signal.core.event_loop().inner().resume_next_turn(signal.core.key());
        }
    }
}

impl Object for SignalInner {
    fn ready(self: Rc<Self>, _: Readiness) {
        self.resume();
    }

    fn resume(self: Rc<Self>) {
        if !self.late.replace(true) {
            let inner = Rc::clone(&self);
            self.core.event_loop().inner().call_late(inner);
        }
    }

    fn late(self: Rc<Self>) {
        self.late.set(false);
        if !self.has_callback.get() {
            self.waiters.wake_all(self.core.event_loop().inner());
            return;
        }
        let mut unread = ResumeUnlessEmpty(Some(&self));
        for _ in 0..DELIVERIES_PER_TURN {
            let Some(signum) = self.next_delivery() else {
                unread.0 = None;
                break;
            };
            if self.one_shot.get() {
                self.stop();
            }
            let signal = Signal(Rc::clone(&self));
            if let Some(mut callback) = self.callback.lend() {
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
            Some(watch) => format!("waiting for signal {}", watch.signum),
            None => "waiting".to_string(),
        });
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&Signal(self));
    }
}
