//! What becomes of failures that nobody joins: they are logged, with the place where the task was spawned.
//!
//! The logger belongs to the process, so these tests have a binary of their own. Tasks fail on the thread of their loop,
//! so each test has its own list.

mod support;

use std::cell::RefCell;
use std::fmt;
use std::future::pending;
use std::panic::panic_any;
use std::sync::Once;
use std::time::Duration;

use futures_lite::future;
use log::{Level, LevelFilter, Log, Metadata, Record};
use luvio::{Loop, Notifier, yield_now};
use support::{connected_pair, turn, watchdog};

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.with_borrow_mut(|lines| lines.push((record.level(), record.args().to_string())));
        }
    }

    fn flush(&self) {}
}

/// A loop whose warnings and errors are noted.
fn logged_loop() -> Loop {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).expect("there is no other logger");
        log::set_max_level(LevelFilter::Warn);
    });
    LINES.take();
    Loop::new().expect("a loop can be made")
}

/// Fails unless the log has one error that says all of `texts` and that the task was spawned at `line` of this file.
#[track_caller]
fn assert_logged(line: u32, texts: &[&str]) {
    let lines = LINES.take();
    let [(Level::Error, text)] = &lines[..] else {
        panic!("not one error: {lines:?}");
    };
    let place = format!("{}:{line}:", file!());
    for part in texts.iter().copied().chain([&place[..]]) {
        assert!(text.contains(part), "{text:?} without {part:?}");
    }
}

#[track_caller]
fn assert_quiet() {
    assert_eq!(LINES.take(), []);
}

/// An `Err` of a `go` task is logged as an error, with its place.
#[test]
fn error_of_a_go_task_is_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 1;
    event_loop.go(async { Err("no luck") });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["no luck"]);
}

/// The free `go` names its caller as well, not itself.
#[test]
fn error_of_a_task_from_the_free_go_is_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 2;
    event_loop.defer(|_| {
        luvio::go(async {
            yield_now().await;
            std::io::Result::Err(std::io::ErrorKind::BrokenPipe.into())
        });
    });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["broken pipe"]);
}

/// A task that ends well says nothing.
#[test]
fn success_is_not_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    event_loop.go(async {});
    event_loop.go(async { std::io::Result::Ok(()) });
    event_loop.spawn(async { 1 });
    event_loop.run().expect("the loop runs");
    assert_quiet();
}

/// A task that never returns may be given to `go`, and says nothing when the loop is dropped.
#[test]
fn task_may_never_return() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    event_loop.go(async {
        loop {
            yield_now().await;
        }
    });
    turn(&event_loop);
    drop(event_loop);
    assert_quiet();
}

/// Z-12: a panic of a `go` task is logged with its place and its text, if it has one.
#[test]
fn panic_of_a_go_task_is_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 1;
    event_loop.go(async { panic!("plain") });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked", "plain"]);
    let line = line!() + 1;
    event_loop.go(async { panic!("formatted {}", 5) });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked", "formatted 5"]);
    let line = line!() + 1;
    event_loop.go(async { panic_any(5) });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked"]);
}

/// Z-12: so is a panic of a task whose handle was dropped before.
#[test]
fn panic_of_a_detached_task_is_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 1;
    drop(event_loop.spawn(async { panic!("detached") }));
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked", "detached"]);
}

/// Z-12: a handle that is dropped after the panic, unawaited, logs it then.
#[test]
fn panic_is_logged_when_its_handle_is_dropped() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 1;
    let handle = event_loop.spawn(async { panic!("unheard") });
    event_loop.run().expect("the loop runs");
    assert_quiet();
    drop::<luvio::JoinHandle<()>>(handle);
    assert_logged(line, &["panicked", "unheard"]);
}

/// Z-12: a panic that is joined is the joiner's, and is not logged; neither is a cancellation.
#[test]
fn what_is_joined_is_not_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let joined = event_loop.spawn(async { panic!("heard") });
    let outcome: Result<(), _> = event_loop.block_on(joined).expect("the loop runs");
    assert!(outcome.is_err());
    let (aborted, detached) =
        (event_loop.spawn(pending::<()>()), event_loop.spawn(pending::<()>()));
    aborted.abort();
    detached.abort();
    drop(detached);
    event_loop.run().expect("the loop runs");
    drop(aborted);
    event_loop.go(pending::<()>());
    turn(&event_loop);
    drop(event_loop);
    assert_quiet();
}

/// An `Err` of a `spawn` task is its output: whoever joins gets it, and nobody else hears of it.
#[test]
fn error_of_a_spawned_task_is_not_logged() {
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let handle = event_loop.spawn(async { Result::<(), _>::Err("for the joiner") });
    let output = event_loop.block_on(handle).expect("the loop runs").expect("it ended");
    assert_eq!(output, Err("for the joiner"));
    assert_quiet();
}

/// A panic after the output is there, in the text of an error or a destructor, is not lost either.
#[test]
fn panic_after_the_end_is_logged() {
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in the text");
        }
    }
    struct Clumsy;
    impl Drop for Clumsy {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 1;
    event_loop.go(async { Err(Unspeakable) });
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked", "in the text"]);
    let line = line!() + 1;
    drop(event_loop.spawn(async { Clumsy }));
    event_loop.run().expect("the loop runs");
    assert_logged(line, &["panicked", "in a destructor"]);
}

/// A destructor that panics while the loop is dropped is logged; the other tasks are dropped all the same.
#[test]
fn panic_of_a_destructor_at_loop_drop_is_logged() {
    struct Clumsy;
    impl Drop for Clumsy {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let _watchdog = watchdog();
    let event_loop = logged_loop();
    let line = line!() + 2;
    let clumsy = Clumsy;
    event_loop.go(async move {
        let _clumsy = clumsy;
        pending::<()>().await;
    });
    let other = event_loop.spawn(pending::<()>());
    turn(&event_loop);
    drop(event_loop);
    assert!(other.is_finished());
    assert_logged(line, &["panicked", "in a destructor"]);
}

/// A task that holds the loop for too long is named with its place.
#[test]
fn slow_task_is_named() {
    let _watchdog = watchdog();
    logged_loop();
    let event_loop =
        Loop::builder().slow_callback(Duration::ZERO).build().expect("a loop can be made");
    let line = line!() + 1;
    event_loop.go(async {});
    event_loop.run().expect("the loop runs");
    let lines = LINES.take();
    let [(Level::Warn, text)] = &lines[..] else {
        panic!("not one warning: {lines:?}");
    };
    assert!(text.contains("task") && text.contains(&format!("{}:{line}:", file!())), "{text}");
}

/// A future of a handle that waits on another loop than the handle's own is likely to wait for ever, since its own loop
/// does not know of it: this is said, once.
#[test]
fn handle_awaited_on_another_loop_is_warned_of_once() {
    let _watchdog = watchdog();
    let home = logged_loop();
    let (tcp, _peer) = connected_pair(&home);
    let notifier = Notifier::wake_only(&home).expect("a notifier can be made");
    notifier.unref();
    // On its own loop, by whatever waker, it is all right.
    let (own, other) = (tcp.clone(), logged_loop());
    let waiting = home.spawn(async move { future::or(own.read_once(), pending()).await.is_ok() });
    turn(&home);
    waiting.abort();
    turn(&home);
    assert!(!home.is_alive());
    assert_eq!(LINES.take(), []);

    other.go(async move { tcp.read_once().await.map(drop) });
    other.go(async move { notifier.notified().await });
    turn(&other);
    assert!(!home.is_alive(), "it does not know that somebody waits");
    let lines = LINES.take();
    let [(Level::Warn, text)] = &lines[..] else { panic!("not one warning: {lines:?}") };
    assert!(text.contains("another loop"), "{text}");
}
