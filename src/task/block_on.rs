//! `Loop::block_on`: one future that need not be `'static`, polled where tasks are polled.

use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::run_queue::TaskKey;
use super::waker::WakerPair;
use crate::error::Canceled;
use crate::event_loop::{Loop, RunMode};

const NOTHING_CAN_WAKE: &str = "block_on waits for a future that nothing can wake: no handle or task is alive, and nobody holds its waker";

/// The future that a run is for, if it is for one.
pub(crate) trait Root {
    /// It was woken: polls it.
    fn poll(&mut self) {}

    /// Asked before each turn: whether the run has what it was for, or an error if it never will.
    fn is_over(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A run for its own sake.
pub(crate) struct NoRoot;

impl Root for NoRoot {}

struct BlockOn<'a, F: Future> {
    event_loop: &'a Loop,
    future: Pin<&'a mut F>,
    waker: WakerPair,
    output: Option<F::Output>,
}

impl<F: Future> Root for BlockOn<'_, F> {
    fn poll(&mut self) {
        if self.output.is_some() {
            return;
        }
        self.waker.shared.mark_running();
        let mut context = Context::from_waker(&self.waker.waker);
        if let Poll::Ready(output) = self.future.as_mut().poll(&mut context) {
            self.output = Some(output);
        }
    }

    fn is_over(&self) -> io::Result<bool> {
        if self.output.is_some() {
            return Ok(true);
        }
        // This future is one of the tasks counted.
        let inner = self.event_loop.handle().inner();
        let is_alone = inner.tasks.referenced() == 1 && !inner.is_alive_without_tasks();
        // Asked in this order: whoever wakes from another thread leaves the wake before letting go of the waker.
        let is_lost = is_alone && !inner.tasks.has_ready() && self.waker.is_unshared();
        if is_lost && !inner.mailbox.is_filled() {
            return Err(io::Error::new(io::ErrorKind::Deadlock, NOTHING_CAN_WAKE));
        }
        Ok(false)
    }
}

/// Counts the future as a task until it is dropped.
struct Counted<'a>(&'a Loop);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.handle().inner().tasks.set_root(None);
    }
}

impl Loop {
    /// Runs the loop until `future` is ready, and returns its output. Other tasks and handles stay
    /// for the next run.
    ///
    /// ```
    /// use luvio::{Loop, sleep};
    /// use std::time::Duration;
    ///
    /// let event_loop = Loop::new()?;
    /// event_loop.block_on(sleep(Duration::from_millis(1)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Deadlock`](io::ErrorKind::Deadlock) if nothing is alive that could wake the future and
    /// nobody, in whatever thread, holds its waker; [`Canceled`] after
    /// [`stop`](crate::LoopHandle::stop); [`ResourceBusy`](io::ErrorKind::ResourceBusy)
    /// ([`Misuse::NestedRun`](crate::Misuse::NestedRun)) inside a callback or a task of the same
    /// loop; otherwise what the system's poll says. The future is dropped.
    ///
    /// # Panics
    /// With what the future or a callback panics with.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let inner = self.handle().inner();
        inner.check_not_running()?;
        let future = pin!(future);
        let waker = WakerPair::new(&inner.mailbox, TaskKey::ROOT);
        waker.shared.mark_scheduled();
        inner.tasks.push_ready(TaskKey::ROOT);
        inner.tasks.set_root(Some((Location::caller(), &waker.waker)));
        let _counted = Counted(self);
        let mut root = BlockOn { event_loop: self, future, waker, output: None };
        self.run_for(RunMode::Default, &mut root)?;
        root.output.ok_or_else(|| Canceled.into())
    }

    /// As [`block_on`](Loop::block_on) for a future that can fail itself: one `?` serves both errors.
    ///
    /// ```
    /// use luvio::{Loop, Tcp};
    /// use std::io;
    ///
    /// let event_loop = Loop::new()?;
    /// let tcp = Tcp::new(&event_loop);
    /// let connected = event_loop.try_block_on(tcp.connect("127.0.0.1:1"));
    /// assert!(connected.is_err());
    /// event_loop.try_block_on(async {
    ///     tcp.close().await?;
    ///     io::Result::Ok(()) // says which error `?` makes
    /// })?;
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The future's, and those of [`block_on`](Loop::block_on) turned into that type.
    ///
    /// # Panics
    /// As [`block_on`](Loop::block_on).
    #[track_caller]
    pub fn try_block_on<T, E: From<io::Error>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.block_on(future)?
    }
}
