//! Tasks: futures that the loop drives. What users see of them.

mod await_callback;
mod block_on;
#[cfg(feature = "udp")]
mod datagrams;
mod polling;
mod run_queue;
mod streams;
mod time;
mod unconstrained;
mod waiting;
mod waker;

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use log::error;

pub use self::await_callback::{AwaitCallback, Resume, await_callback};
#[cfg(feature = "udp")]
pub use self::datagrams::{RecvOnce, RecvWith};
pub use self::polling::{PollReady, PollReadyFor};
#[cfg(feature = "signal")]
pub use self::streams::Delivered;
pub use self::streams::{AcceptNext, AcceptNextWithAddr, Notified, ReadInto, ReadOnce, ReadWith};
pub use self::time::{
    Elapsed, Interval, Sleep, YieldNow, interval, sleep, sleep_until, timeout, yield_now,
};

pub(crate) use self::block_on::{NoRoot, Root};
pub(crate) use self::run_queue::{TaskKey, Tasks};
pub use self::unconstrained::unconstrained;
pub(crate) use self::waiting::{Caller, Waiting, WaitingTask, warn_if_elsewhere};
pub(crate) use self::waker::WakerId;

use crate::error::Canceled;
use crate::event_loop::{LoopHandle, current};
use crate::panics::{Panics, discard, text_of};

/// Spawns a task on the loop that runs on this thread.
///
/// The task is first polled at the next point where tasks run: in the same turn when this is called by an I/O callback
/// or a task. It keeps the loop running until it ends, whether its [`JoinHandle`] is held or not.
///
/// ```
/// use luvio::{Loop, sleep, spawn};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// let sum = event_loop.block_on(async {
///     let slow = spawn(async {
///         sleep(Duration::from_millis(1)).await;
///         40
///     });
///     slow.await.map(|slow| slow + 2)
/// })?;
/// assert_eq!(sum?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// When no loop runs on this thread. [`LoopHandle::spawn`] works at any time.
#[track_caller]
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    running_loop("spawn").spawn(future)
}

/// Spawns a task that nobody waits for, on the loop that runs on this thread. Its failure is not lost: an `Err` that it
/// returns and a panic are logged as errors, with the place of this call.
///
/// ```
/// use luvio::{Loop, Tcp};
/// use std::io;
///
/// async fn echo(client: Tcp) -> io::Result<()> {
///     while let Some(data) = client.read_once().await? {
///         client.write(data).await?;
///     }
///     Ok(())
/// }
///
/// async fn serve(server: Tcp) -> io::Result<()> {
///     loop {
///         let client = server.accept_next().await?;
///         luvio::go(echo(client));
///     }
/// }
/// # let event_loop = Loop::new()?;
/// # let server = Tcp::new(&event_loop);
/// # server.bind("127.0.0.1:0")?;
/// # event_loop.go(serve(server));
/// # event_loop.run_mode(luvio::RunMode::NoWait)?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// # Panics
/// When no loop runs on this thread. [`LoopHandle::go`] works at any time.
///
/// luv_async: `go`
#[track_caller]
pub fn go<R: Report + 'static>(future: impl Future<Output = R> + 'static) {
    running_loop("go").go(future);
}

#[track_caller]
fn running_loop(function: &str) -> LoopHandle {
    current().unwrap_or_else(|| {
        panic!("luvio::{function} was called where no loop runs; call {function} on a LoopHandle instead")
    })
}

impl LoopHandle {
    /// Spawns a task on this loop, which need not be running yet. Otherwise as [`spawn`](crate::spawn()).
    ///
    /// A task should await handles of its own loop only. One that awaits a handle of another loop does not keep that one
    /// running, and waits for ever if nothing else does; the first one is warned of in the log.
    ///
    /// On a loop that is gone the future is dropped, and the [`JoinHandle`] yields [`JoinError::Canceled`].
    #[track_caller]
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        let task = Task::new(future, Location::caller(), Ending::keep_for_joiner);
        let key = Tasks::insert(self, Rc::clone(&task) as Rc<dyn Runs>);
        JoinHandle { task, event_loop: self.clone(), key }
    }

    /// Spawns a task that nobody waits for on this loop, which need not be running yet. Otherwise as
    /// [`go`](crate::go()).
    #[track_caller]
    pub fn go<R: Report + 'static>(&self, future: impl Future<Output = R> + 'static) {
        let task = Task::new(future, Location::caller(), |ending: &Ending<R>, output| {
            output.report_from(ending.place);
        });
        task.ending.has_joiner.set(false);
        Tasks::insert(self, task);
    }
}

/// What a task given to [`go`](crate::go()) may return: nothing, or a `Result<(), E>` whose error is logged; or it may
/// never return. Sealed.
pub trait Report: private::Sealed {
    #[doc(hidden)]
    fn report_from(self, place: &'static Location<'static>);
}

mod private {
    use std::fmt::Display;

    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for Never {}
    impl<E: Display> Sealed for Result<(), E> {}

    /// What `async { loop { … } }` returns. On stable Rust the type `!` can be written only as that of a function.
    pub(super) type Never = <fn() -> ! as Returns>::Output;

    pub trait Returns {
        type Output;
    }
    impl<R> Returns for fn() -> R {
        type Output = R;
    }
}

impl Report for () {
    fn report_from(self, _: &'static Location<'static>) {}
}

impl Report for private::Never {
    fn report_from(self, _: &'static Location<'static>) {
        self
    }
}

impl<E: fmt::Display> Report for Result<(), E> {
    fn report_from(self, place: &'static Location<'static>) {
        if let Err(err) = self {
            error!("the task spawned at {place} failed: {err}");
        }
    }
}

/// A task, as the loop sees it.
pub(crate) trait Runs {
    /// Polls the future once. True if the task is over. After a panic it is over, too, and has to be [ended](Runs::end).
    fn poll(&self, context: &mut Context<'_>) -> bool;

    /// Drops the future. The task is over, with this error; a panic of a destructor is the task's, as any other.
    fn end(&self, error: JoinError);

    /// Wakes the joiner of a task that is over.
    fn announce(&self);

    fn place(&self) -> &'static Location<'static>;
}

/// A task: its future, and the end that it comes to.
struct Task<F: Future> {
    /// Absent while it is polled and after the end.
    future: Cell<Option<Pin<Box<F>>>>,
    ending: Ending<F::Output>,
}

/// The end of a task, as its `JoinHandle` sees it.
struct Ending<T> {
    outcome: Cell<Option<Result<T, JoinError>>>,
    joiner: Cell<Option<Waker>>,
    has_joiner: Cell<bool>,
    finished: Cell<bool>,
    place: &'static Location<'static>,
    /// What becomes of the output.
    deliver: fn(&Ending<T>, T),
}

/// A task of which nothing is known but its output.
trait Joins<T> {
    fn ending(&self) -> &Ending<T>;
}

impl<F: Future> Joins<F::Output> for Task<F> {
    fn ending(&self) -> &Ending<F::Output> {
        &self.ending
    }
}

impl<F: Future> Task<F> {
    fn new(
        future: F,
        place: &'static Location<'static>,
        deliver: fn(&Ending<F::Output>, F::Output),
    ) -> Rc<Task<F>> {
        Rc::new(Task {
            future: Cell::new(Some(Box::pin(future))),
            ending: Ending {
                outcome: Cell::new(None),
                joiner: Cell::new(None),
                has_joiner: Cell::new(true),
                finished: Cell::new(false),
                place,
                deliver,
            },
        })
    }
}

impl<T> Ending<T> {
    fn finish(&self, outcome: Result<T, JoinError>) {
        self.finished.set(true);
        match outcome {
            Ok(output) => (self.deliver)(self, output),
            Err(error) if self.has_joiner.get() => self.outcome.set(Some(Err(error))),
            Err(error) => self.log_unheard(error),
        }
    }

    fn keep_for_joiner(&self, output: T) {
        if self.has_joiner.get() {
            self.outcome.set(Some(Ok(output)));
        }
    }

    fn log_unheard(&self, error: JoinError) {
        if let JoinError::Panicked(payload) = error {
            let mut panics = Panics::default();
            panics.catch(|| {
                error!("the task spawned at {} panicked: {}", self.place, text_of(&*payload));
            });
            discard(payload);
            panics.go_on();
        }
    }
}

impl<F: Future> Runs for Task<F> {
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let Some(future) = self.future.take() else {
            return true;
        };
        // A panic leaves the future in its place: it is dropped when the stack is no longer unwinding.
        let mut lent = LentFuture { place: &self.future, future: Some(future) };
        match lent.poll(context) {
            Poll::Pending => false,
            Poll::Ready(output) => {
                // Before anybody hears of the end, what the future held is released.
                drop(lent.future.take());
                self.ending.finish(Ok(output));
                true
            }
        }
    }

    fn end(&self, error: JoinError) {
        let future = self.future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        let error = match (error, dropped) {
            (error, Ok(())) => error,
            (JoinError::Canceled, Err(payload)) => JoinError::Panicked(payload),
            (first, Err(payload)) => {
                discard(payload);
                first
            }
        };
        if self.ending.finished.get() {
            // The output was on its way when something panicked.
            self.ending.log_unheard(error);
        } else {
            self.ending.finish(Err(error));
        }
    }

    fn announce(&self) {
        if let Some(joiner) = self.ending.joiner.take() {
            joiner.wake();
        }
    }

    fn place(&self) -> &'static Location<'static> {
        self.ending.place
    }
}

/// A future that is being polled. It is put back at the end, by unwinding too, unless it is over.
struct LentFuture<'a, F> {
    place: &'a Cell<Option<Pin<Box<F>>>>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> LentFuture<'_, F> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<F::Output> {
        self.future.as_mut().expect("it is there until it is over").as_mut().poll(context)
    }
}

impl<F> Drop for LentFuture<'_, F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            mem::forget(self.place.replace(self.future.take()));
        }
    }
}

/// Waits for a task, or lets go of it. A future that yields the task's output.
///
/// Dropping it detaches the task, which goes on.
pub struct JoinHandle<T> {
    task: Rc<dyn Joins<T>>,
    event_loop: LoopHandle,
    key: TaskKey,
}

impl<T> JoinHandle<T> {
    /// Ends the task: its future is dropped at the next point where tasks run, and the handle yields
    /// [`JoinError::Canceled`]. A task that has ended already is not affected.
    pub fn abort(&self) {
        if !self.task.ending().finished.get() {
            self.event_loop.inner().tasks.abort(self.key);
        }
    }

    /// True if the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.task.ending().finished.get()
    }

    /// Lets the loop end although the task has not. It goes on as long as something else keeps the loop running.
    pub fn unref(&self) {
        self.event_loop.inner().tasks.set_ref(self.key, false);
    }

    /// Lets the task keep the loop running, as it does from the start.
    pub fn ref_(&self) {
        self.event_loop.inner().tasks.set_ref(self.key, true);
    }
}

/// # Cancel safety
/// Dropping the handle loses nothing but the result; the task goes on.
impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ending = self.task.ending();
        if !ending.finished.get() {
            set_waker(&ending.joiner, context);
        }
        if let Some(outcome) = ending.outcome.take() {
            return Poll::Ready(outcome);
        }
        assert!(!ending.finished.get(), "a JoinHandle was polled again after it was ready");
        Poll::Pending
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let ending = self.task.ending();
        ending.has_joiner.set(false);
        // Nobody waits any more; a waker that is held looks as if somebody meant to wake.
        let joiner = ending.joiner.take();
        if let Some(Err(error)) = ending.outcome.take() {
            ending.log_unheard(error);
        }
        drop(joiner);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("spawned_at", &format_args!("{}", self.task.ending().place))
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// Why a task has no output.
pub enum JoinError {
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
    /// It was aborted, or its loop was dropped.
    Canceled,
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(payload) => {
                f.debug_tuple("Panicked").field(&text_of(&**payload)).finish()
            }
            JoinError::Canceled => f.write_str("Canceled"),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(payload) => {
                write!(f, "the task panicked: {}", text_of(&**payload))
            }
            JoinError::Canceled => f.write_str("the task was canceled"),
        }
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        match error {
            JoinError::Panicked(payload) => {
                io::Error::other(format!("a task panicked: {}", text_of(&*payload)))
            }
            JoinError::Canceled => Canceled.into(),
        }
    }
}

/// Leaves the waker of `context` in `slot`, in place of an older one. A waker that is not the loop's runs the program's code
/// when it is cloned, so that what is waited for may have come when this returns: look afterwards.
fn set_waker(slot: &Cell<Option<Waker>>, context: &Context<'_>) {
    let waker = slot.take();
    let is_there = waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
    slot.set(waker);
    if !is_there {
        let older = slot.replace(Some(context.waker().clone()));
        drop(older);
    }
}
