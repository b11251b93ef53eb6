//! The loop itself: who owns it, how it is run, and one turn, phase by phase.

mod alive;
mod builder;
mod clock;
mod closing;
mod current;
mod descriptors;
mod dispose;
#[cfg(not(mio_unsupported_force_poll_poll))]
mod embedding;
mod hook_list;
mod loop_handle;
mod mailbox;
mod object;
mod pending;
mod poll_phase;
mod poller;
mod registry;
mod remote;
mod services;
mod share;
mod timer_heap;
mod virtual_time;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

pub use self::alive::{AliveKind, AliveReason};
pub use self::builder::Builder;
pub use self::closing::CloseError;
pub use self::loop_handle::LoopHandle;
pub use self::remote::{PostError, Remote};

pub(crate) use self::builder::Limits;
pub(crate) use self::clock::{Clock, NEVER, Nanos, duration_of, saturating_nanos, time_left};
pub(crate) use self::current::{LoopId, current, with_running};
pub(crate) use self::descriptors::{Descriptors, is_out_of_descriptors};
pub(crate) use self::hook_list::{HookKey, HookList};
pub(crate) use self::mailbox::{Item, Mailbox};
pub(crate) use self::object::{Expire, Object, Readiness, RequestId, Runnable};
pub(crate) use self::pending::{Job, Pending, PendingQueue};
pub(crate) use self::poller::{IN_KERNEL, Poller, has_normal_data};
pub(crate) use self::registry::{Key, Registry};
pub(crate) use self::share::{Shares, Unbounded, may_go_on, wake_after_poll};
pub(crate) use self::timer_heap::{TimerHeap, TimerKey};

use self::current::Current;
use self::virtual_time::VirtualTime;
use crate::error::Misuse;
use crate::task::{NoRoot, Root, Tasks};

/// How often a turn goes back to callbacks and tasks that its own callbacks made ready, before it looks at the clock.
/// libuv's number. What is still left then waits for the next turn, which does not sleep.
const SETTLE_ROUNDS: u32 = 8;

/// When so many timers or more are due, so many are looked at together before they run.
const TIMERS_AHEAD: usize = 16;

/// How [`Loop::run_mode`] runs.
///
/// libuv: `uv_run_mode`
#[doc(alias = "uv_run_mode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunMode {
    /// Until nothing is alive or [`stop`](LoopHandle::stop) is called.
    #[default]
    Default,
    /// One turn, which may sleep in its poll.
    Once,
    /// One turn, which does not sleep.
    NoWait,
}

/// An event loop: the owner of its handles, timers and callbacks.
///
/// A loop belongs to the thread that made it. Everything that makes or uses handles takes a [`LoopHandle`], which a
/// `&Loop` turns into by itself. Dropping the loop closes every handle and drops every callback without calling any of
/// them; whatever the program still holds then stays safe to use and says that the loop is gone.
///
/// **A loop does not survive a fork** that is not followed by exec, which is what `std::process::Command` does: see
/// [the crate's page](crate#fork).
///
/// ```
/// use luvio::{Loop, Timer};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// Timer::after(&event_loop, Duration::from_millis(1), |_| println!("a millisecond later"));
/// event_loop.run()?; // returns when nothing is left to wait for
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_loop_t`
#[doc(alias = "uv_loop_t")]
#[doc(alias = "uv_backend_fd")]
pub struct Loop {
    handle: LoopHandle,
    /// A second reference to the selector, which unlike the first can be borrowed for as long as the loop lives.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    registry: mio::Registry,
}

/// All that a loop consists of.
pub(crate) struct LoopInner {
    pub(crate) id: LoopId,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) poller: Poller,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) handles: Registry,
    pub(crate) pending: PendingQueue,
    pub(crate) descriptors: Descriptors,
    pub(crate) idle: HookList,
    pub(crate) prepare: HookList,
    pub(crate) check: HookList,
    #[cfg(feature = "signal")]
    pub(crate) signals: crate::handle::signal::Lines,
    pub(crate) tasks: Tasks,
    virtual_time: VirtualTime,
    timers: RefCell<TimerHeap<Rc<dyn Expire>>>,
    /// Timers found due by the last pass over them and not yet run.
    due: RefCell<VecDeque<TimerKey>>,
    /// The list in which the mail of other threads is fetched. Empty, but it keeps its room.
    mail: Cell<Vec<Item>>,
    /// Notifiers that were sent to and not yet called.
    notified: RefCell<VecDeque<Key>>,
    /// Handles that have more to do than one turn allows.
    resuming: RefCell<VecDeque<Key>>,
    /// Handles that want to be called after the others.
    late: RefCell<VecDeque<Rc<dyn Object>>>,
    /// Handles between the call of close and their close callback.
    closing: RefCell<VecDeque<Rc<dyn Object>>>,
    /// The buffer lent to reads. Empty before the first one.
    buffer: RefCell<Box<[u8]>>,
    /// That of datagrams, if reads are shorter than datagrams can be.
    #[cfg(feature = "udp")]
    short_buffer: RefCell<Box<[u8]>>,
    /// Active handles that are referenced.
    active: Cell<usize>,
    /// Active handles that something outside the loop can bring to life, referenced or not.
    outside: Cell<usize>,
    /// Requests that have not finished.
    requests: Cell<usize>,
    running: Cell<bool>,
    stopping: Cell<bool>,
    gone: Cell<bool>,
}

impl Loop {
    /// Makes a loop with the default limits.
    ///
    /// # Errors
    /// What the system says when it has no descriptors left for the poller.
    ///
    /// libuv: `uv_loop_init`
    #[doc(alias = "uv_loop_init")]
    pub fn new() -> io::Result<Loop> {
        Loop::builder().build()
    }

    /// Sets limits before the loop is made.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn with_limits(limits: Limits) -> io::Result<Loop> {
        let (poller, mailbox) = Poller::new()?;
        #[cfg(not(mio_unsupported_force_poll_poll))]
        let registry = poller.with_registry(mio::Registry::try_clone)?;
        let clock = Clock::new(limits.virtual_clock);
        let tasks = Tasks::new(limits.tasks_per_turn);
        let inner = LoopInner {
            id: LoopId::new(),
            limits,
            clock,
            poller,
            mailbox,
            handles: Registry::default(),
            pending: PendingQueue::default(),
            descriptors: Descriptors::default(),
            idle: HookList::default(),
            prepare: HookList::default(),
            check: HookList::default(),
            #[cfg(feature = "signal")]
            signals: crate::handle::signal::Lines::default(),
            tasks,
            virtual_time: VirtualTime::default(),
            timers: RefCell::new(TimerHeap::new()),
            due: RefCell::default(),
            mail: Cell::default(),
            notified: RefCell::default(),
            resuming: RefCell::default(),
            late: RefCell::default(),
            closing: RefCell::default(),
            buffer: RefCell::default(),
            #[cfg(feature = "udp")]
            short_buffer: RefCell::default(),
            active: Cell::new(0),
            outside: Cell::new(0),
            requests: Cell::new(0),
            running: Cell::new(false),
            stopping: Cell::new(false),
            gone: Cell::new(false),
        };
        let inner = Rc::new(inner);
        inner.id.enroll(&inner);
        Ok(Loop {
            handle: LoopHandle { inner },
            #[cfg(not(mio_unsupported_force_poll_poll))]
            registry,
        })
    }

    /// The handle of this loop, to clone and pass on.
    pub fn handle(&self) -> &LoopHandle {
        &self.handle
    }

    /// Runs the loop until nothing keeps it alive, or until [`stop`](LoopHandle::stop).
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::NestedRun`]) when called from inside a callback of the
    /// same loop, which goes on undisturbed; otherwise what the system's poll says.
    ///
    /// # Panics
    /// With whatever a callback panics with. The loop can be run again: what was ready goes on where it ended.
    ///
    /// libuv: `uv_run` with `UV_RUN_DEFAULT`
    #[doc(alias = "uv_run")]
    pub fn run(&self) -> io::Result<()> {
        self.run_mode(RunMode::Default).map(drop)
    }

    /// Runs the loop in the given mode and says whether something is still alive.
    ///
    /// # Errors
    /// As [`run`](Loop::run).
    ///
    /// # Panics
    /// As [`run`](Loop::run).
    ///
    /// libuv: `uv_run`
    #[doc(alias = "uv_run")]
    pub fn run_mode(&self, mode: RunMode) -> io::Result<bool> {
        self.run_for(mode, &mut NoRoot)?;
        Ok(self.is_alive())
    }

    /// Runs the loop until nothing is alive, the mode or `stop` ends it, or `root` has what it waited for.
    pub(crate) fn run_for(&self, mode: RunMode, root: &mut dyn Root) -> io::Result<()> {
        let _running = Running::enter(&self.handle)?;
        let inner = &*self.handle.inner;
        inner.clock.update();
        // The default mode promises that timers which are due already come before everything else.
        if mode == RunMode::Default && inner.is_alive() && !inner.stopping.get() {
            inner.tasks.grant(inner.limits.tasks_per_turn);
            inner.run_timers();
            Tasks::run(inner, root);
        }
        while inner.is_alive() && !inner.stopping.get() && !root.is_over()? {
            inner.turn(mode, root)?;
            if mode != RunMode::Default {
                break;
            }
        }
        Ok(())
    }
}

impl Deref for Loop {
    type Target = LoopHandle;

    fn deref(&self) -> &LoopHandle {
        &self.handle
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.handle.inner.dispose();
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

/// A run of a loop, ended by its drop, whether by returning or by unwinding.
struct Running<'a> {
    event_loop: &'a LoopHandle,
    _current: Current,
}

impl Running<'_> {
    fn enter(event_loop: &LoopHandle) -> io::Result<Running<'_>> {
        if event_loop.inner.running.replace(true) {
            return Err(Misuse::NestedRun.into());
        }
        event_loop.inner.mailbox.wake_up();
        Ok(Running { event_loop, _current: Current::enter(event_loop) })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // A request to stop is used up by the run that it ends.
        self.event_loop.inner.stopping.set(false);
        self.event_loop.inner.running.set(false);
        self.event_loop.inner.mailbox.leave();
    }
}

/// The turn.
impl LoopInner {
    /// One trip round the loop. The order of the phases is libuv's.
    fn turn(&self, mode: RunMode, root: &mut dyn Root) -> io::Result<()> {
        // A turn that finds work left over from the last one must not sleep before it has looked for news.
        let may_sleep = match mode {
            RunMode::Default => true,
            RunMode::Once => self.pending.is_empty() && self.idle.is_empty(),
            RunMode::NoWait => false,
        };
        self.run_pending();
        self.idle.run();
        self.prepare.run();
        self.poll(may_sleep)?; //  … and the clock is read
        self.run_io_callbacks();
        self.settle(root);
        self.check.run();
        self.run_closing();
        self.clock.update_if_used();
        self.run_timers();
        Tasks::run(self, root);
        Ok(())
    }

    /// Calls everything that was queued when the pass began.
    fn run_pending(&self) {
        if !self.pending.is_empty() {
            self.run_first_pending(self.pending.len());
        }
    }

    fn run_first_pending(&self, count: usize) {
        for _ in 0..count {
            let Some(Pending { owner, place, job }) = self.pending.pop() else {
                break;
            };
            match job {
                Job::Completion(request) => request.run(),
                Job::Handle => {
                    if let Some(object) = self.handles.get(owner) {
                        object.pending();
                    }
                }
                Job::Closure(closure) => {
                    let this = current().expect("passes run only inside a run");
                    self.watch(|| ("deferred closure", place), || closure(&this));
                }
            }
        }
    }

    /// Delivers what the poll found, then what other threads sent, then what the last turn had no time for.
    fn run_io_callbacks(&self) {
        self.tasks.grant(self.limits.tasks_per_turn);
        self.tasks.wake_yielded();
        // Whoever asks for more from now on is served in the next turn.
        let resuming = self.resuming.borrow().len();
        self.take_mail();
        self.poller.deliver(|event| {
            if let Some(object) = self.handles.by_token(event.token()) {
                object.polled(event);
            }
        });
        while let Some(key) = pop(&self.notified) {
            if let Some(object) = self.handles.get(key) {
                object.notified();
            }
        }
        for _ in 0..resuming {
            let Some(key) = pop(&self.resuming) else {
                break;
            };
            if let Some(object) = self.handles.get(key) {
                object.resume();
            }
        }
        while let Some(object) = pop(&self.late) {
            object.late();
        }
    }

    /// Sorts what other threads left: notifiers by creation, closures in the order of their arrival.
    fn take_mail(&self) {
        if !self.mailbox.is_filled() {
            return;
        }
        let mut items = self.mail.take();
        self.mailbox.take(self.limits.posts_per_turn as usize, &mut items);
        let mut notified = self.notified.borrow_mut();
        let earlier = notified.len();
        for item in items.drain(..) {
            match item {
                Item::Notify(key) => notified.push_back(key),
                Item::Wake(key) => self.tasks.push_ready(key),
                Item::Post(post) => {
                    self.queue(Pending {
                        owner: Key::NONE,
                        place: post.place,
                        job: Job::Closure(post.closure),
                    });
                }
            }
        }
        self.handles.sort_by_creation(&mut notified.make_contiguous()[earlier..]);
        self.mail.set(items);
    }

    /// Calls what the I/O callbacks brought about, polls the tasks that they woke, and looks after
    /// what those bring about in turn.
    fn settle(&self, root: &mut dyn Root) {
        for _ in 0..SETTLE_ROUNDS {
            if self.pending.is_empty() && !self.tasks.may_run() {
                break;
            }
            self.run_pending();
            Tasks::run(self, root);
        }
    }

    /// Runs the timers that are due when the pass begins.
    fn run_timers(&self) {
        if self.timers.borrow().is_empty() && self.due.borrow().is_empty() {
            return;
        }
        let now = self.clock.now();
        self.timers.borrow_mut().collect_due(now, &mut self.due.borrow_mut());
        let mut looked_at = 0;
        while let Some(key) = pop(&self.due) {
            if looked_at == 0 {
                looked_at = TIMERS_AHEAD;
                self.look_at_due_timers(TIMERS_AHEAD);
            }
            looked_at -= 1;
            let timer = self.timers.borrow_mut().remove(key);
            if let Some(timer) = timer {
                timer.expire();
            }
        }
    }

    /// Has the memory of the timers that are next on its way: with very many of them it has to be waited for, and these
    /// waits, unlike those of the callbacks, can overlap.
    fn look_at_due_timers(&self, count: usize) {
        let due = self.due.borrow();
        if due.len() < count {
            return;
        }
        let timers = self.timers.borrow();
        let ahead = due.iter().take(count).filter_map(|&key| timers.get(key));
        std::hint::black_box(ahead.map(Rc::strong_count).sum::<usize>());
    }

    fn is_alive(&self) -> bool {
        self.tasks.referenced() > 0 || self.is_alive_without_tasks()
    }

    /// True if something else than a task keeps the loop alive.
    pub(crate) fn is_alive_without_tasks(&self) -> bool {
        self.active.get() > 0
            || self.requests.get() > 0
            || !self.pending.is_empty()
            || !self.closing.borrow().is_empty()
            || self.mailbox.has_posts()
    }
}

fn pop<T>(queue: &RefCell<VecDeque<T>>) -> Option<T> {
    queue.borrow_mut().pop_front()
}
