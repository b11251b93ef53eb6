//! `await_callback` and `Resume`: any callback API as a future.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use luvio::{Canceled, Loop, Resume, Timer, await_callback, is_canceled, timeout};
use support::{Drops, Journal, expect, turn, watchdog, with_loop, with_virtual_loop};

/// What a debug build does in a moment, and ten times that in a release build.
const MANY: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

const HOUR: Duration = Duration::from_secs(3_600);

/// A callback API that keeps what it was given.
struct Legacy<T>(Rc<RefCell<Vec<Resume<T>>>>);

impl<T> Legacy<T> {
    fn new() -> Legacy<T> {
        Legacy(Rc::default())
    }

    /// The registration, as `await_callback` wants it.
    fn register(&self) -> impl FnOnce(Resume<T>) + use<T> {
        let kept = Rc::clone(&self.0);
        move |resume| kept.borrow_mut().push(resume)
    }

    fn registered(&self) -> usize {
        self.0.borrow().len()
    }

    fn last(&self) -> Resume<T> {
        self.0.borrow_mut().pop().expect("something was registered")
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The value of the call is the output.
#[test]
fn call_from_a_callback_is_the_output() {
    with_virtual_loop(|event_loop| {
        let output = event_loop.block_on(await_callback(|resume| {
            Timer::after(event_loop, HOUR, move |_| assert!(resume.with("an hour later")));
        }));
        assert_eq!(output.expect("the loop runs"), Ok("an hour later"));
        assert_eq!(event_loop.now(), HOUR);
    });
}

/// `register` runs at the first poll, not before, and once.
#[test]
fn register_runs_at_the_first_poll_only() {
    let legacy = Legacy::<u8>::new();
    let mut future = await_callback(legacy.register());
    assert_eq!(legacy.registered(), 0);
    assert!(poll_once(&mut future).is_pending());
    assert!(poll_once(&mut future).is_pending());
    assert_eq!(legacy.registered(), 1);
    assert!(legacy.last().with(1));
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(1)));
}

/// A future that is never polled registers nothing, and drops what it would have registered.
#[test]
fn future_that_is_never_polled_registers_nothing() {
    let drops = Drops::new();
    let token = drops.token();
    drop(await_callback(move |_: Resume<()>| {
        token.keep();
        unreachable!("it was not polled");
    }));
    assert_eq!(drops.count(), 1);
}

/// Z-02: a call during `register` is kept.
#[test]
fn call_during_register_is_kept() {
    with_loop(|event_loop| {
        let at_once = await_callback(|resume| {
            assert!(resume.with(1));
            assert!(!resume.with(2));
        });
        assert_eq!(event_loop.block_on(at_once).expect("the loop runs"), Ok(1));
    });
}

/// Z-02: so is a call between the first poll and the next, and the task is woken for it, once.
#[test]
fn call_between_two_polls_is_kept() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let legacy = Legacy::new();
    let handle = event_loop.spawn(await_callback(legacy.register()));
    turn(&event_loop);
    assert!(legacy.last().with(3) && !handle.is_finished());
    event_loop.run().expect("the loop runs");
    assert_eq!(event_loop.block_on(handle).expect("the loop runs").expect("it ended"), Ok(3));
}

/// The first call of all clones wins; the others return false and drop their value.
#[test]
fn first_call_of_all_clones_wins() {
    let drops = Drops::new();
    let legacy = Legacy::new();
    let mut future = await_callback(legacy.register());
    assert!(poll_once(&mut future).is_pending());
    let first = legacy.last();
    let second = first.clone();
    assert!(second.with((2, drops.token())));
    assert!(!first.with((1, drops.token())));
    assert!(!second.with((3, drops.token())));
    assert_eq!(drops.count(), 2);
    let Poll::Ready(Ok((value, _token))) = poll_once(&mut future) else {
        panic!("it is ready");
    };
    assert_eq!(value, 2);
    // Also after it was fetched.
    assert!(!first.with((4, drops.token())));
    assert_eq!(drops.count(), 3);
}

/// A call, and the drop of all clones, are what they are also when the clones go right afterwards or before.
#[test]
fn drop_of_the_clones_after_the_call_changes_nothing() {
    let legacy = Legacy::new();
    let mut future = await_callback(legacy.register());
    assert!(poll_once(&mut future).is_pending());
    let resume = legacy.last();
    drop(resume.clone());
    assert!(poll_once(&mut future).is_pending());
    assert!(resume.with(1));
    drop(resume);
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(1)));
}

/// When all clones are dropped without a call, the task is woken and gets `Canceled`.
#[test]
fn drop_of_all_clones_is_canceled() {
    with_loop(|event_loop| {
        let legacy = Legacy::<()>::new();
        let handle = event_loop.spawn(await_callback(legacy.register()));
        turn(event_loop);
        let (first, second) = (legacy.last(), Journal::new());
        let clone = first.clone();
        drop(first);
        turn(event_loop);
        assert!(!handle.is_finished());
        let notes = second.clone();
        event_loop.defer(move |_| {
            drop(clone);
            notes.note("dropped");
        });
        assert_eq!(
            event_loop.block_on(handle).expect("the loop runs").expect("it ended"),
            Err(Canceled)
        );
        second.assert_is(&["dropped"]);
    });
}

/// A `register` that drops the callback at once is canceled at once.
#[test]
fn register_that_drops_the_callback_is_canceled() {
    with_loop(|event_loop| {
        let lost = await_callback(|resume: Resume<()>| drop(resume));
        assert_eq!(event_loop.block_on(lost).expect("the loop runs"), Err(Canceled));
    });
}

/// A `register` that keeps the callback and never calls it: whoever waits can give up, and the callback says so.
#[test]
fn callback_that_is_never_called_can_be_given_up() {
    with_virtual_loop(|event_loop| {
        let legacy = Legacy::<()>::new();
        let waits = timeout(HOUR, await_callback(legacy.register()));
        assert!(event_loop.block_on(waits).expect("the loop runs").is_err());
        assert_eq!(event_loop.now(), HOUR);
        assert!(!legacy.last().with(()));
    });
}

/// Z-06: dropping the future half-way leaves the callback, whose call then returns false, drops its value and wakes
/// nobody.
#[test]
fn dropped_future_closes_the_callback() {
    let drops = Drops::new();
    let legacy = Legacy::new();
    let mut future = await_callback(legacy.register());
    assert!(poll_once(&mut future).is_pending());
    drop(future);
    let resume = legacy.last();
    assert!(!resume.with(drops.token()));
    assert_eq!(drops.count(), 1);
    assert!(!resume.with(drops.token()));
    assert_eq!(drops.count(), 2);
}

/// Z-06: a value that came and was never fetched goes with the future, though the callback lives on.
#[test]
fn unfetched_value_goes_with_the_future() {
    let drops = Drops::new();
    let legacy = Legacy::new();
    let mut future = await_callback(legacy.register());
    assert!(poll_once(&mut future).is_pending());
    let resume = legacy.last();
    assert!(resume.with(drops.token()));
    assert_eq!(drops.count(), 0);
    drop(future);
    assert_eq!(drops.count(), 1);
    assert!(!resume.with(drops.token()));
}

/// A callback that is part of the value that it hands over makes no cycle.
#[test]
fn value_may_hold_the_callback() {
    struct Reply {
        _token: support::DropToken,
        _again: Resume<Reply>,
    }
    let drops = Drops::new();
    for fetch in [true, false] {
        let legacy = Legacy::<Reply>::new();
        let mut future = await_callback(legacy.register());
        assert!(poll_once(&mut future).is_pending());
        let resume = legacy.last();
        let (token, again) = (drops.token(), resume.clone());
        assert!(resume.with(Reply { _token: token, _again: again }));
        drop(resume);
        if fetch {
            assert!(matches!(poll_once(&mut future), Poll::Ready(Ok(_))));
        }
        drop(future);
    }
    assert_eq!(drops.count(), 2);
}

/// Z-06: dropping the loop half-way drops the future with its task; the callback outlives both.
#[test]
fn loop_dropped_half_way() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (drops, legacy) = (Drops::new(), Legacy::<u8>::new());
    let (token, future) = (drops.token(), await_callback(legacy.register()));
    let handle = event_loop.spawn(async move {
        token.keep();
        future.await
    });
    turn(&event_loop);
    assert!(!handle.is_finished());
    drop(event_loop);
    assert_eq!((drops.count(), handle.is_finished()), (1, true));
    assert!(!legacy.last().with(1));
}

/// The callback may be called while the loop is dropped: by a destructor of something that held it.
#[test]
fn callback_dropped_with_the_loop() {
    let _watchdog = watchdog();
    let (event_loop, other) = (Loop::new(), Loop::new());
    let (event_loop, other) =
        (event_loop.expect("a loop can be made"), other.expect("another, too"));
    let gone = event_loop.handle().clone();
    let waits = other.spawn(await_callback(move |resume: Resume<()>| {
        Timer::after(&gone, HOUR, move |_| {
            let _ = resume.with(());
        });
    }));
    other.run_mode(luvio::RunMode::NoWait).expect("the loop runs");
    drop(event_loop);
    assert_eq!(other.block_on(waits).expect("the loop runs").expect("it ends"), Err(Canceled));
}

/// A panic of `register` is the panic of the task; the callback that it had is closed.
#[test]
fn panic_in_register_closes_the_callback() {
    let legacy = Legacy::<u8>::new();
    let keep = legacy.register();
    let mut future = await_callback(|resume| {
        keep(resume);
        panic!("in register");
    });
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut future).is_ready())).is_err());
    drop(future);
    assert!(!legacy.last().with(1));
}

/// Polling it again after it was ready is a mistake that it names.
#[test]
fn polled_again_after_it_was_ready() {
    let mut future = await_callback(|resume| assert!(resume.with(1)));
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(1)));
    let payload = catch_unwind(AssertUnwindSafe(|| poll_once(&mut future).is_ready()));
    let payload = payload.expect_err("it panics");
    assert!(
        payload.downcast_ref::<&str>().or(None).is_some_and(|text| text.contains("polled again"))
            || payload.downcast_ref::<String>().is_some_and(|text| text.contains("polled again"))
    );
}

/// A future that moves to another task is woken there.
#[test]
fn last_task_that_polled_it_is_woken() {
    with_loop(|event_loop| {
        let legacy = Legacy::new();
        let mut future = Box::pin(await_callback(legacy.register()));
        let polled = event_loop.block_on(async {
            std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready()))
                .await
        });
        assert!(!polled.expect("the loop runs"));
        let handle = event_loop.spawn(future);
        turn(event_loop);
        let resume = legacy.last();
        event_loop.defer(move |_| assert!(resume.with(1)));
        assert_eq!(event_loop.block_on(handle).expect("the loop runs").expect("it ended"), Ok(1));
    });
}

/// The future borrows what `register` borrows, and may be any combinator's part.
#[test]
fn register_may_borrow() {
    with_loop(|event_loop| {
        let registered = Cell::new(0);
        let output = event_loop.block_on(async {
            let mut first = pin!(await_callback(|resume: Resume<u8>| {
                registered.set(registered.get() + 1);
                event_loop.defer(move |_| assert!(resume.with(1)));
            }));
            first.as_mut().await
        });
        assert_eq!((output.expect("the loop runs"), registered.get()), (Ok(1), 1));
    });
}

/// `Canceled` becomes an `io::Error` that says so, and whose kind nobody retries.
#[test]
fn canceled_becomes_an_io_error() {
    let lost = await_callback(|resume: Resume<()>| drop(resume));
    let err = Loop::new()
        .expect("a loop can be made")
        .block_on(async { io::Result::Ok(lost.await?) })
        .expect("the loop runs")
        .expect_err("it was canceled");
    assert!(is_canceled(&err));
    assert_eq!(err.kind(), io::ErrorKind::Other);
    assert_eq!(err.to_string(), Canceled.to_string());
}

/// A million of them are practical (in a debug build, a hundred thousand), called at once and later, and none is left.
#[test]
fn million_callbacks() {
    let drops = Drops::new();
    with_loop(|event_loop| {
        let (ended, counted) = (expect(1), drops.clone());
        let inside = event_loop.handle().clone();
        event_loop.go(async move {
            let mut sum = 0;
            for number in 0..MANY {
                let (inside, token) = (&inside, counted.token());
                let later = number % 2 == 0;
                sum += await_callback(|resume| {
                    token.keep();
                    if later {
                        inside.defer(move |_| assert!(resume.with(number)));
                    } else {
                        assert!(resume.with(number));
                    }
                    drop(token);
                })
                .await
                .expect("it is called");
            }
            assert_eq!(sum, MANY * (MANY - 1) / 2);
            ended.hit();
        });
    });
    assert_eq!(drops.count(), MANY);
}
