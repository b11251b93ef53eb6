//! Coroutines: routines that hand control back and forth, as in Lua.
//!
//! A [`Coroutine`] runs its body only while somebody resumes it, up to the body's next
//! [`yield_`](Yielder::yield_). Each resume carries a value in, each yield a value out. Nothing
//! here knows the event loop; a coroutine works in a plain program, in a callback and in a task.
//!
//! ```
//! use luvio::coroutine::Coroutine;
//!
//! let numbers = Coroutine::new(async |co| {
//!     for i in 1..=3 {
//!         co.yield_(i).await;
//!     }
//! });
//! let squares = Coroutine::new(async move |co| {
//!     for number in numbers {
//!         co.yield_(number * number).await; // pulled: `numbers` goes on only now
//!     }
//! });
//! assert_eq!(squares.collect::<Vec<i32>>(), [1, 4, 9]);
//! ```
//!
//! # From Lua
//!
//! | Lua | here |
//! |---|---|
//! | `coroutine.create(f)` | [`Coroutine::new`], or [`Coroutine::new_with`] if `f` has a parameter |
//! | `coroutine.resume(co, value)` | [`co.resume(value)`](Coroutine::resume) |
//! | `coroutine.yield(value)` | [`co.yield_(value).await`](Yielder::yield_) |
//! | `coroutine.status(co)` | [`co.status()`](Coroutine::status) |
//! | `coroutine.wrap(f)`, used in a `for` | the coroutine itself: it is an [`Iterator`] |
//! | `true, value` from a yield, or at the end | [`Resumed::Yielded`], [`Resumed::Returned`] |
//! | `false, "cannot resume dead coroutine"` | [`ResumeError::Dead`] |
//! | `false, message` after `error(message)` in the body | return a `Result`, which arrives in [`Resumed::Returned`] |
//!
//! # Coroutines that wait
//!
//! A body is async code, so it may await more than its own yields. Under a plain
//! [`resume`](Coroutine::resume) there is nobody to wait for such a thing: the call returns
//! [`ResumeError::Blocked`] with the body suspended inside its await. Inside a task,
//! [`resume_async`](Coroutine::resume_async) waits until the body yields or returns.
//!
//! # Panics in the body
//!
//! A panic unwinds through the call that resumed the body, and leaves the coroutine
//! [`Dead`](Status::Dead).

mod exchange;
mod resume_async;
mod shared;
mod yielder;

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub use resume_async::ResumeAsync;
pub use yielder::{Yield, Yielder};

use exchange::Exchange;
use resume_async::Drive;
use shared::{Entered, Shared, State};

/// A routine that runs while it is resumed, and rests where it yields.
///
/// `Y` is what it yields, `R` what each resume passes in, `T` what its body returns. It is shared
/// like a Lua value: a clone is the same coroutine, and the last one dropped drops a suspended body
/// with all that it holds. A body that keeps a clone of its own coroutine therefore lives until it
/// ends.
///
/// It stays on its thread (it is neither `Send` nor `Sync`), and its body runs nowhere but inside a
/// resume.
///
/// ```
/// use luvio::coroutine::{Coroutine, Resumed, Status};
///
/// let greeter = Coroutine::new_with(async |co, name: &str| {
///     let other = co.yield_(format!("hello {name}")).await;
///     format!("goodbye {name} and {other}")
/// });
/// assert_eq!(greeter.resume("Ada"), Ok(Resumed::Yielded("hello Ada".into())));
/// assert_eq!(greeter.status(), Status::Suspended);
/// assert_eq!(greeter.resume("Bob"), Ok(Resumed::Returned("goodbye Ada and Bob".into())));
/// assert_eq!(greeter.status(), Status::Dead);
/// ```
///
/// Lua: `thread`
pub struct Coroutine<Y, R = (), T = ()> {
    inner: Rc<Inner<Y, R, T>>,
}

/// What a coroutine is doing.
///
/// Lua: `coroutine.status`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can be resumed: it has not started yet, rests in a yield, or was left inside an await.
    Suspended,
    /// Its body is what runs at this moment.
    Running,
    /// It is active but not running: it has resumed another coroutine, or a
    /// [`resume_async`](Coroutine::resume_async) waits for what its body awaits.
    Normal,
    /// Its body has returned or panicked.
    Dead,
}

/// What a resume brought back.
///
/// Lua: the values after `true` from `coroutine.resume`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed<Y, T> {
    /// The body yielded this value, and rests.
    Yielded(Y),
    /// The body returned this value, and is done.
    Returned(T),
}

/// Why a coroutine could not be resumed.
///
/// ```
/// use luvio::coroutine::{Coroutine, ResumeError};
///
/// let co = Coroutine::<i32>::new(async |_| {});
/// co.resume(()).unwrap();
/// let err = co.resume(()).unwrap_err();
/// assert_eq!(err, ResumeError::Dead);
/// assert_eq!(err.to_string(), "cannot resume dead coroutine");
/// ```
///
/// Lua: the message after `false` from `coroutine.resume`
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// Its body has returned or panicked.
    Dead,
    /// It is [`Running`](Status::Running) or [`Normal`](Status::Normal): somebody is resuming it
    /// already.
    NotSuspended,
    /// Its body awaits something other than a resume, and a plain [`resume`](Coroutine::resume)
    /// cannot wait for it.
    ///
    /// The body is suspended inside that await, and the next resume goes on from there.
    Blocked,
}

impl<Y: 'static, T: 'static> Coroutine<Y, (), T> {
    /// Makes a coroutine of `body`, suspended before its first line.
    ///
    /// Either an async closure or a closure that returns a future will do. Nothing of it runs
    /// before the first resume.
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, Resumed};
    ///
    /// let co = Coroutine::new(|co| async move {
    ///     co.yield_("once").await;
    ///     7
    /// });
    /// assert_eq!(co.resume(()), Ok(Resumed::Yielded("once")));
    /// assert_eq!(co.resume(()), Ok(Resumed::Returned(7)));
    /// ```
    ///
    /// Lua: `coroutine.create`
    #[doc(alias = "create")]
    #[doc(alias = "wrap")]
    pub fn new<F, Fut>(body: F) -> Self
    where
        F: FnOnce(Yielder<Y>) -> Fut + 'static,
        Fut: Future<Output = T> + 'static,
    {
        Self::new_with(move |yielder, ()| body(yielder))
    }
}

impl<Y: 'static, R: 'static, T: 'static> Coroutine<Y, R, T> {
    /// Makes a coroutine of a `body` that takes the value of the first resume as its second
    /// argument.
    ///
    /// The value of every later resume is what the body's [`yield_`](Yielder::yield_) returns.
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, Resumed};
    ///
    /// let sums = Coroutine::<i64, i64>::new_with(async |co, first| {
    ///     let mut sum = first;
    ///     loop {
    ///         sum += co.yield_(sum).await;
    ///     }
    /// });
    /// assert_eq!(sums.resume(1), Ok(Resumed::Yielded(1)));
    /// assert_eq!(sums.resume(10), Ok(Resumed::Yielded(11)));
    /// ```
    ///
    /// Lua: `coroutine.create`
    #[doc(alias = "create")]
    pub fn new_with<F, Fut>(body: F) -> Self
    where
        F: FnOnce(Yielder<Y, R>, R) -> Fut + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let shared =
            Rc::new(Shared { state: Cell::new(State::Suspended), exchange: Exchange::new() });
        let start: Start<Y, R, T> = Box::new(move |yielder, first| Box::pin(body(yielder, first)));
        let start = Cell::new(Some(start));
        let body = Cell::new(None);
        Self { inner: Rc::new(Inner { shared, start, body }) }
    }

    /// Runs the body until it yields or returns; `arg` is what its pending
    /// [`yield_`](Yielder::yield_) returns.
    ///
    /// The first resume starts the body, with `arg` as the argument of a body made by
    /// [`new_with`](Self::new_with). After [`Blocked`](ResumeError::Blocked) no yield waits for
    /// an answer, so the next resume goes on from the await that blocked and drops its `arg`. A
    /// resume also drops it if the yield was dropped meanwhile, or if it fails.
    ///
    /// Whatever else the body awaits gets a waker that does nothing. When it is ready, it takes
    /// another resume to go on.
    ///
    /// # Errors
    ///
    /// - [`Dead`](ResumeError::Dead) if the body has returned or panicked.
    /// - [`NotSuspended`](ResumeError::NotSuspended) if the coroutine is being resumed already:
    ///   from inside its own body, from a coroutine that it has resumed, or while a
    ///   [`resume_async`](Self::resume_async) waits.
    /// - [`Blocked`](ResumeError::Blocked) if the body awaits something that is not ready.
    ///
    /// # Panics
    ///
    /// A panic of the body comes out of here, and the coroutine is [`Dead`](Status::Dead).
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, ResumeError, Resumed};
    ///
    /// let co = Coroutine::new(async |co| co.yield_(1).await);
    /// assert_eq!(co.resume(()), Ok(Resumed::Yielded(1)));
    /// assert_eq!(co.resume(()), Ok(Resumed::Returned(())));
    /// assert_eq!(co.resume(()), Err(ResumeError::Dead));
    ///
    /// let stuck = Coroutine::<i32>::new(|_| std::future::pending());
    /// assert_eq!(stuck.resume(()), Err(ResumeError::Blocked));
    /// ```
    ///
    /// Lua: `coroutine.resume`
    #[inline]
    pub fn resume(&self, arg: R) -> Result<Resumed<Y, T>, ResumeError> {
        self.check_suspended()?;
        let mut cx = Context::from_waker(Waker::noop());
        match self.step(Some(arg), &mut cx, State::Suspended) {
            Poll::Ready(resumed) => Ok(resumed),
            Poll::Pending => Err(ResumeError::Blocked),
        }
    }

    /// As [`resume`](Self::resume), but waits for whatever the body awaits.
    ///
    /// The body then runs as a part of the task that awaits this, and may use anything that the
    /// task may. Meanwhile the coroutine is taken: its status is [`Normal`](Status::Normal)
    /// whenever it does not run, and another resume gets
    /// [`NotSuspended`](ResumeError::NotSuspended).
    ///
    /// Nothing happens before the first poll.
    ///
    /// # Errors
    ///
    /// [`Dead`](ResumeError::Dead) and [`NotSuspended`](ResumeError::NotSuspended) as for
    /// [`resume`](Self::resume); never [`Blocked`](ResumeError::Blocked).
    ///
    /// # Panics
    ///
    /// A panic of the body comes out of the await, and the coroutine is [`Dead`](Status::Dead).
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll, it drops `arg` and has not touched the coroutine. Dropped
    /// later, it leaves the coroutine [`Suspended`](Status::Suspended) inside the body's await:
    /// the body has got `arg`, no value that it yielded is lost, and the next resume of either
    /// kind goes on from there as after [`Blocked`](ResumeError::Blocked).
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, ResumeError, Resumed};
    ///
    /// async fn sum(numbers: Coroutine<u32>) -> Result<u32, ResumeError> {
    ///     let mut sum = 0;
    ///     while let Resumed::Yielded(number) = numbers.resume_async(()).await? {
    ///         sum += number;
    ///     }
    ///     Ok(sum)
    /// }
    ///
    /// let numbers = Coroutine::new(async |co| {
    ///     for i in 1..=4 {
    ///         let number = std::future::ready(i).await; // or a read, or a sleep
    ///         co.yield_(number).await;
    ///     }
    /// });
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # let poll = std::pin::pin!(sum(numbers)).poll(&mut cx);
    /// # assert_eq!(poll, std::task::Poll::Ready(Ok(10)));
    /// ```
    ///
    /// Lua: `coroutine.resume`
    pub fn resume_async(&self, arg: R) -> ResumeAsync<'_, Y, R, T> {
        ResumeAsync { coroutine: self, drive: Drive::Start(arg) }
    }

    /// What the coroutine is doing at this moment.
    ///
    /// Anybody who holds it may ask, the body and what it resumes included. It can be resumed
    /// exactly while this is [`Suspended`](Status::Suspended).
    ///
    /// ```
    /// use luvio::coroutine::{Coroutine, Status};
    ///
    /// let co = Coroutine::<i32>::new(async |_| {});
    /// assert_eq!(co.status(), Status::Suspended);
    /// co.resume(()).unwrap();
    /// assert_eq!(co.status(), Status::Dead);
    /// ```
    ///
    /// Lua: `coroutine.status`
    pub fn status(&self) -> Status {
        self.inner.shared.status()
    }

    #[inline]
    fn check_suspended(&self) -> Result<(), ResumeError> {
        match self.inner.shared.state.get() {
            State::Suspended => Ok(()),
            State::Entered(_) | State::Driven => Err(ResumeError::NotSuspended),
            State::Dead => Err(ResumeError::Dead),
        }
    }

    /// Polls the body once. The caller has made sure that it is at rest.
    ///
    /// `arg` is what a resume brings with it, on its first poll. Pending means that the body
    /// blocked, which leaves the coroutine in the state `when_blocked`.
    #[inline]
    fn step(
        &self,
        arg: Option<R>,
        cx: &mut Context<'_>,
        when_blocked: State,
    ) -> Poll<Resumed<Y, T>> {
        let Inner { shared, body, .. } = &*self.inner;
        // What is declared first is dropped last: these two may hold the user's values, whose
        // destructors then find the coroutine at rest or dead, also while a panic unwinds.
        let _unclaimed;
        let mut future;
        let mut entered = Entered::enter(&shared.state);
        shared.exchange.set_body_waker(cx.waker());
        if let Some(resting) = body.take() {
            future = resting;
            if let Some(arg) = arg {
                _unclaimed = shared.exchange.answer(arg);
            }
        } else {
            future = self.start(arg);
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => {
                drop(entered);
                Poll::Ready(Resumed::Returned(value))
            }
            Poll::Pending => {
                let offered = shared.exchange.take_value();
                entered.state_after =
                    if offered.is_some() { State::Suspended } else { when_blocked };
                body.set(Some(future));
                drop(entered);
                offered.map_or(Poll::Pending, |value| Poll::Ready(Resumed::Yielded(value)))
            }
        }
    }
}

impl<Y, R, T> Coroutine<Y, R, T> {
    /// Calls the closure that makes the body.
    #[cold]
    fn start(&self, first: Option<R>) -> BodyFuture<T> {
        let start = self.inner.start.take().expect("a coroutine at rest has a body or its start");
        let first = first.expect("the resume that starts a body brings its argument");
        let yielder = Yielder { shared: Rc::clone(&self.inner.shared) };
        start(yielder, first)
    }
}

/// Yields what the body yields, up to its end: a generator, for `for` and all the adapters.
///
/// It is exhausted once the coroutine is dead, also when somebody else resumed it to its end.
///
/// # Panics
///
/// [`next`](Iterator::next) panics where [`resume`](Coroutine::resume) would return
/// [`Blocked`](ResumeError::Blocked) or [`NotSuspended`](ResumeError::NotSuspended), since an end
/// of the iteration would hide it.
///
/// ```
/// use luvio::coroutine::Coroutine;
///
/// let powers = Coroutine::new(async |co| {
///     let mut power = 1_u64;
///     loop {
///         co.yield_(power).await;
///         power *= 2;
///     }
/// });
/// assert_eq!(powers.take(5).collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
/// ```
///
/// Lua: `coroutine.wrap`
impl<Y: 'static> Iterator for Coroutine<Y> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        match self.resume(()) {
            Ok(Resumed::Yielded(value)) => Some(value),
            Ok(Resumed::Returned(())) | Err(ResumeError::Dead) => None,
            Err(err) => panic!("a coroutine used as an iterator: {err}"),
        }
    }
}

impl<Y: 'static> FusedIterator for Coroutine<Y> {}

impl<Y, R, T> Clone for Coroutine<Y, R, T> {
    fn clone(&self) -> Self {
        Self { inner: Rc::clone(&self.inner) }
    }
}

impl<Y, R, T> fmt::Debug for Coroutine<Y, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine")
            .field("status", &self.inner.shared.status())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResumeError::Dead => "cannot resume dead coroutine",
            ResumeError::NotSuspended => "cannot resume non-suspended coroutine",
            ResumeError::Blocked => {
                "the coroutine awaits something that is not ready; `resume_async` can wait for it"
            }
        })
    }
}

impl Error for ResumeError {}

/// What the clones of a coroutine share.
struct Inner<Y, R, T> {
    shared: Rc<Shared<Y, R>>,
    /// Makes the body. There until the first resume.
    start: Cell<Option<Start<Y, R, T>>>,
    /// There while a started body is at rest; while it runs, [`Coroutine::step`] has it.
    body: Cell<Option<BodyFuture<T>>>,
}

type Start<Y, R, T> = Box<dyn FnOnce(Yielder<Y, R>, R) -> BodyFuture<T>>;
type BodyFuture<T> = Pin<Box<dyn Future<Output = T>>>;
