//! `Builder::slow_callback`: who holds the loop for too long is named in the log, and nobody else.

#[path = "support/callbacks.rs"]
mod callbacks;
mod support;

use std::panic::Location;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use callbacks::every_kind;
use log::{Level, LevelFilter, Log, Metadata, Record};
use luvio::{Builder, Loop, Tcp, Timer};
use support::{turn, watchdog};

const ZERO: Duration = Duration::ZERO;
const THRESHOLD: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_secs(3_600);

/// Keeps the warnings, with the thread that each came from.
struct Warnings(Mutex<Vec<(ThreadId, String)>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl Log for Warnings {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.level(), Level::Warn);
        let warning = (thread::current().id(), record.args().to_string());
        self.0.lock().expect("nobody panics with it").push(warning);
    }

    fn flush(&self) {}
}

/// A loop whose warnings are kept.
fn build(builder: Builder) -> Loop {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&WARNINGS).expect("the only logger");
        log::set_max_level(LevelFilter::Warn);
    });
    builder.build().expect("a loop can be made")
}

/// What was logged on this thread since the last time.
fn warnings() -> Vec<String> {
    let mut all = WARNINGS.0.lock().expect("nobody panics with it");
    let this = thread::current().id();
    let (mine, others) = all.drain(..).partition(|(thread, _)| *thread == this);
    *all = others;
    let mine: Vec<(ThreadId, String)> = mine;
    mine.into_iter().map(|(_, text)| text).collect()
}

/// Takes longer than is allowed.
fn hold_up() {
    let begin = Instant::now();
    while begin.elapsed() <= THRESHOLD {
        thread::sleep(THRESHOLD);
    }
}

/// Fails unless the one warning says so.
#[track_caller]
fn assert_warned(what: &str, place: &Location<'_>, line: u32) {
    assert_eq!((place.file(), place.line()), (file!(), line));
    let warnings = warnings();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let expected = format!("the callback of the {what} made at {place} held the loop for ");
    assert!(warning.starts_with(&expected), "{warning}");
}

/// A slow timer is named with the place where it was made.
#[test]
fn slow_callback_is_logged_with_its_handle() {
    let _watchdog = watchdog();
    let event_loop = build(Loop::builder().slow_callback(THRESHOLD));
    let (timer, line) = (Timer::new(&event_loop), line!());
    timer.start(ZERO, ZERO, |_| hold_up()).expect("a new timer can be started");
    event_loop.run().expect("the loop runs");
    assert_warned("timer", timer.created_at(), line);
}

/// A slow callback of a request is named with the place of the call.
#[test]
fn slow_callback_of_a_request_is_logged_with_its_call() {
    let _watchdog = watchdog();
    let event_loop = build(Loop::builder().slow_callback(THRESHOLD));
    let tcp = Tcp::new(&event_loop);
    let (connect, line) = (tcp.connect(support::refusing_addr()), line!());
    connect.then(|_| hold_up());
    event_loop.run().expect("the loop runs");
    let warnings = warnings();
    let place = format!("connect request made at {}:{line}:", file!());
    assert!(warnings.len() == 1 && warnings[0].contains(&place), "{warnings:?}");
}

/// A poll of a task that takes long is named with the place where it was spawned, each time.
#[test]
fn slow_task_is_logged_with_its_place() {
    let _watchdog = watchdog();
    let event_loop = build(Loop::builder().slow_callback(THRESHOLD));
    let line = line!() + 1;
    event_loop.go(async {
        hold_up();
        luvio::yield_now().await;
        hold_up();
    });
    event_loop.run().expect("the loop runs");
    let warnings = warnings();
    let place = format!("task made at {}:{line}:", file!());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains(&place)), "{warnings:?}");
}

/// So is the future of `block_on`.
#[test]
fn slow_future_of_block_on_is_logged_with_its_place() {
    let _watchdog = watchdog();
    let event_loop = build(Loop::builder().slow_callback(THRESHOLD));
    let line = line!() + 1;
    event_loop.block_on(async { hold_up() }).expect("the loop runs");
    let warnings = warnings();
    let place = format!("task made at {}:{line}:", file!());
    assert!(warnings.len() == 1 && warnings[0].contains(&place), "{warnings:?}");
}

/// Plays each kind of callback, with `hold` in it, and gives what was logged of each.
fn play_every_kind(builder: &Builder, hold: fn()) -> Vec<(&'static str, Vec<String>)> {
    let play = |(kind, arm): (&'static str, callbacks::Arm)| {
        let event_loop = build(builder.clone());
        let called = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = std::rc::Rc::clone(&called);
        let armed = arm(
            &event_loop,
            Box::new(move || {
                if !seen.replace(true) {
                    hold();
                }
            }),
        );
        while !called.get() {
            (armed.help)();
            turn(&event_loop);
        }
        (kind, warnings())
    };
    every_kind().into_iter().map(play).collect()
}

/// Every kind of callback is looked after.
#[test]
fn slow_callback_of_any_kind_is_logged() {
    let _watchdog = watchdog();
    for (kind, warnings) in play_every_kind(&Loop::builder().slow_callback(THRESHOLD), hold_up) {
        let what = match kind {
            "listen" | "read" => "tcp",
            "datagram" => "udp",
            "connect" | "drained" => kind,
            "queued write" => "write request",
            "queued send" => "send request",
            "write" | "send" | "shutdown" | "close" => "request",
            "defer" | "post" => "closure",
            handle => handle,
        };
        // The quick ones beside it may have been held up by the machine, but this one is there.
        let is_there = warnings
            .iter()
            .any(|warning| warning.contains(what) && warning.contains("made at tests/support/"));
        assert!(is_there, "{kind}: {warnings:?}");
    }
}

/// Nothing is logged of callbacks that keep within the limit.
#[test]
fn quick_callbacks_are_not_logged() {
    let _watchdog = watchdog();
    for (kind, warnings) in play_every_kind(&Loop::builder().slow_callback(HOUR), || {}) {
        assert_eq!(warnings, [""; 0], "{kind}");
    }
}

/// Nothing is logged unless it was asked for.
#[test]
fn nothing_is_logged_by_default() {
    let _watchdog = watchdog();
    for (kind, warnings) in play_every_kind(&Loop::builder(), hold_up) {
        assert_eq!(warnings, [""; 0], "{kind}");
    }
    let event_loop = build(Loop::builder());
    event_loop.go(async { hold_up() });
    event_loop.run().expect("the loop runs");
    assert_eq!(warnings(), [""; 0]);
}
