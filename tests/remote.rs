//! `Remote`: closures posted to the loop from any thread.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use luvio::{AliveKind, Check, CloseError, Loop, LoopHandle, Notifier, Remote, RunMode, Timer};
use support::{new_loop, showing_waker, turn, turn_until, watchdog, with_built_loop, with_loop};

thread_local! {
    /// What closures noted, each on the thread where it ran.
    static NOTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(what: &str) {
    NOTED.with_borrow_mut(|noted| noted.push(what.to_string()));
}

fn noted() -> Vec<String> {
    NOTED.take()
}

fn post(remote: &Remote, f: impl FnOnce(&LoopHandle) + Send + 'static) {
    remote.post(f).expect("the loop is there");
}

/// Counts the drops of what it is captured by, in any thread.
struct Token(Arc<AtomicUsize>);

impl Token {
    fn keep(&self) {}
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Closures of one thread run in the order in which they were posted, those of several threads all of them, and each on
/// the loop's thread.
#[test]
fn closures_run_on_the_loops_thread_in_the_order_of_each_poster() {
    const THREADS: usize = 4;
    const POSTS: usize = 2_000;
    with_loop(|event_loop| {
        let here = thread::current().id();
        let next: Arc<Mutex<HashMap<usize, usize>>> = Arc::default();
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (remote, next) = (event_loop.remote(), Arc::clone(&next));
                thread::spawn(move || {
                    for post in 0..POSTS {
                        let next = Arc::clone(&next);
                        self::post(&remote, move |_| {
                            assert_eq!(thread::current().id(), here);
                            let mut next = next.lock().expect("nobody has panicked");
                            let next = next.entry(thread).or_default();
                            assert_eq!(*next, post, "of thread {thread}");
                            *next += 1;
                        });
                    }
                })
            })
            .collect();
        let all_ran = || next.lock().expect("nobody has panicked").values().sum::<usize>();
        while all_ran() < THREADS * POSTS {
            turn(event_loop);
        }
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

/// A post wakes a loop that sleeps, each time.
#[test]
fn post_wakes_a_sleeping_loop() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (remote, (asks, asked)) = (event_loop.remote(), mpsc::channel());
    let thread = thread::spawn(move || {
        for () in asked {
            post(&remote, |_| note("ran"));
        }
    });
    // Something to wait for, that never comes.
    let _held = Notifier::new(&event_loop, |_| {}).expect("a notifier can be made");
    for round in 1..=1_000 {
        asks.send(()).expect("the thread listens");
        turn_until(&event_loop, || NOTED.with_borrow(Vec::len) == round);
    }
    drop(asks);
    thread.join().expect("it ends with the asker");
}

/// L-04: a remote does not keep the loop alive; a closure that was posted does until it has run, also before the first
/// run.
#[test]
fn posted_closure_keeps_the_loop_alive_until_it_has_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    assert!(!event_loop.is_alive());
    event_loop.run().expect("the loop runs");

    post(&remote, |event_loop| {
        note("first");
        Timer::after(event_loop, Duration::ZERO, |_| note("timer"));
    });
    thread::spawn({
        let remote = remote.clone();
        move || post(&remote, |_| note("second"))
    })
    .join()
    .expect("it ends");
    assert!(event_loop.is_alive());
    let CloseError(event_loop) = event_loop.close().expect_err("closures are waiting");
    event_loop.run().expect("the loop runs");
    assert_eq!(noted(), ["first", "second", "timer"]);
    assert!(!event_loop.is_alive());
    event_loop.close().expect("nothing is left, though the remote lives");
    drop(remote);
}

/// The closure runs in a pending pass: never inside `post`, and after the I/O callbacks of the turn that takes it.
#[test]
fn closure_runs_in_a_pending_pass() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    event_loop.defer(move |_| {
        note("before");
        post(&remote, |_| note("posted"));
        note("after");
    });
    let notifier = Notifier::new(&event_loop, |_| note("I/O")).expect("a notifier can be made");
    notifier.sender().send().expect("it is open");
    turn(&event_loop);
    assert_eq!(noted(), ["before", "after", "I/O", "posted"]);
}

/// A callback on the loop's own thread may post, and a posted closure too; the turns go on meanwhile.
#[test]
fn closure_may_post_the_next_one() {
    fn chain(remote: Remote, left: usize) {
        note("posted");
        if left > 0 {
            let next = remote.clone();
            post(&remote, move |_| chain(next, left - 1));
        }
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    let turns = Rc::new(Cell::new(0));
    let counter = Rc::clone(&turns);
    let check = Check::new(&event_loop);
    check.start(move |_| counter.set(counter.get() + 1)).expect("a new handle can be started");
    check.unref();
    Timer::after(&event_loop, Duration::ZERO, move |_| chain(remote, 100));
    event_loop.run().expect("the loop runs");
    assert_eq!(noted().len(), 101);
    assert!(turns.get() >= 100, "a closure that posts another waits for the next turn");
}

/// Posts closures that note their numbers.
fn post_numbers(remote: &Remote, count: usize) {
    for number in 0..count {
        post(remote, move |_| note(&number.to_string()));
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// L-42: of a burst of closures so many run in a turn, and the rest in the next ones, in order. Timers have their turn in
/// between, and the loop does not sleep before the last one has run.
#[test]
fn burst_of_closures_is_spread_over_turns() {
    with_built_loop(Loop::builder().posts_per_turn(10), |event_loop| {
        let remote = event_loop.remote();
        post(&remote, |event_loop| {
            note("0");
            Timer::after(event_loop, Duration::ZERO, |_| note("timer"));
        });
        (1..30).for_each(|number| post(&remote, move |_| note(&number.to_string())));
        let check = Check::new(event_loop);
        check.start(|_| note("check")).expect("a new handle can be started");
        check.unref();
        event_loop.run().expect("the loop runs");
        check.close();
        let turns = [numbers(0..10), numbers(10..20), numbers(20..30)];
        let [first, second, third] = turns.map(|turn| turn.join(" "));
        let expected = format!("{first} check timer {second} check {third} check");
        assert_eq!(noted().join(" "), expected);
    });
}

/// L-42: as many as are posted one after the other by themselves are 64 a turn, unless the builder says otherwise.
#[test]
fn sixty_four_closures_run_in_a_turn() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    post_numbers(&event_loop.remote(), 2_000);
    for turn in 1..=2_000_usize.div_ceil(64) {
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
        assert_eq!(NOTED.with_borrow(Vec::len), (turn * 64).min(2_000));
    }
    assert_eq!(noted(), numbers(0..2_000));
    assert!(!event_loop.is_alive());
}

/// L-42: notifiers and wakes of tasks do not wait behind closures.
#[test]
fn notifiers_and_wakes_do_not_wait_behind_closures() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().posts_per_turn(1).build().expect("a loop can be made");
    let waker = Rc::default();
    event_loop.go(showing_waker(&waker));
    turn(&event_loop);
    let first: Waker = waker.take().expect("the task was polled");
    let notifier = Notifier::new(&event_loop, |_| note("notified")).expect("it can be made");
    let (remote, sender) = (event_loop.remote(), notifier.sender());
    let other = thread::spawn(move || {
        post_numbers(&remote, 3);
        sender.send().expect("it is open");
        first.wake();
    });
    other.join().expect("it ends");
    event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    assert_eq!(noted(), ["notified", "0"]);
    assert!(waker.take().is_some(), "the task was polled again");
}

/// L-42, L-04: closures that wait for a later turn keep the loop alive, are reasons to run, and are dropped with it.
#[test]
fn closures_that_wait_for_a_later_turn_are_not_forgotten() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().posts_per_turn(2).build().expect("a loop can be made");
    let drops = Arc::new(AtomicUsize::new(0));
    for number in 0..5 {
        let token = Token(Arc::clone(&drops));
        post(&event_loop.remote(), move |_| {
            token.keep();
            note(&number.to_string());
        });
    }
    assert!(event_loop.run_mode(RunMode::NoWait).expect("the loop runs"));
    assert_eq!(noted(), ["0", "1"]);
    assert_eq!(event_loop.alive_because().len(), 3);
    assert_eq!(event_loop.backend_timeout(), Some(Duration::ZERO));
    drop(event_loop);
    assert_eq!((drops.load(Ordering::SeqCst), noted().len()), (5, 0));
}

/// When the loop is gone the closure comes back, whole, and the error says so.
#[test]
fn closure_comes_back_when_the_loop_is_gone() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    drop(event_loop);
    let other = new_loop();
    let drops = Arc::new(AtomicUsize::new(0));
    let token = Token(Arc::clone(&drops));
    let refused = remote.post(move |event_loop| {
        token.keep();
        event_loop.stop();
        note("ran");
    });
    let err = refused.expect_err("the loop is gone");
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert_eq!(err.to_string(), "the loop is gone; the closure was not posted");
    assert_eq!(format!("{err:?}"), "PostError");
    let err: Box<dyn Error> = Box::new(err);
    let err = err.downcast::<luvio::PostError>().expect("that is what it is");
    (err.0)(&other);
    assert_eq!(noted(), ["ran"]);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert_eq!(format!("{remote:?}"), "Remote");

    let thread = thread::spawn(move || remote.post(|_| {}).is_err());
    assert!(thread.join().expect("it ends"));
}

/// Closures that a loop did not come to are dropped with it, and not called. Their destructors may post, which fails.
#[test]
fn undelivered_closures_are_dropped_with_the_loop() {
    struct Posts(Remote, Token);
    impl Drop for Posts {
        fn drop(&mut self) {
            assert!(self.0.post(|_| {}).is_err(), "the loop is gone");
            self.1.keep();
        }
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let capture = Posts(remote.clone(), Token(Arc::clone(&drops)));
        post(&remote, move |_| {
            capture.1.keep();
            panic!("nobody runs the loop");
        });
    }
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(event_loop);
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}

/// However it races with the drop of the loop, a closure is run, dropped, or handed back: none is lost.
#[test]
fn each_closure_is_dropped_once_however_the_loop_ends() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let event_loop = new_loop();
        let (drops, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (remote, made) = (event_loop.remote(), Arc::clone(&made));
                let drops = Arc::clone(&drops);
                thread::spawn(move || {
                    loop {
                        let token = Token(Arc::clone(&drops));
                        made.fetch_add(1, Ordering::SeqCst);
                        if remote.post(move |_| token.keep()).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        turn_until(&event_loop, || made.load(Ordering::SeqCst) > 10);
        drop(event_loop);
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!(drops.load(Ordering::SeqCst), made.load(Ordering::SeqCst));
    }
}

/// L-40: a panic in a closure leaves the run; those posted after it run in the next one.
#[test]
fn panic_in_a_closure_leaves_the_run_and_loses_no_other() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let remote = event_loop.remote();
    post(&remote, |_| note("first"));
    post(&remote, |_| panic!("once"));
    post(&remote, |_| note("third"));
    catch_unwind(AssertUnwindSafe(|| event_loop.run())).expect_err("it leaves the run");
    assert_eq!(noted(), ["first"]);
    assert!(event_loop.is_alive());
    event_loop.run().expect("the loop runs");
    assert_eq!(noted(), ["third"]);
}

/// A closure that waits is among the reasons for which the loop runs, with the place of its post.
#[test]
fn waiting_closure_is_a_reason_to_run() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let line = line!() + 1;
    event_loop.remote().post(|_| {}).expect("the loop is there");
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert_eq!((reasons[0].kind, reasons[0].place.line()), (AliveKind::Callback, line));
    assert!(reasons[0].place.file().ends_with("remote.rs"));
    assert_eq!(reasons[0].state, "posted, not called yet");
    event_loop.run().expect("the loop runs");
    assert!(event_loop.alive_because().is_empty());
}

fn can_be_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

/// A remote may go to any thread, and may be used there after the thread that made it has ended.
#[test]
fn remote_can_be_shared_and_outlives_its_thread() {
    let _watchdog = watchdog();
    let (remote, event_loop_ended) = thread::spawn(|| {
        let event_loop = new_loop();
        let remote = event_loop.remote();
        (remote, event_loop.run_mode(RunMode::Once).is_ok())
    })
    .join()
    .expect("it ends");
    can_be_shared(&remote);
    assert!(event_loop_ended);
    assert!(remote.post(|_| {}).is_err());
}
