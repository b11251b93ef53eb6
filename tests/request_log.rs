//! What the log says of requests that fail and that nobody asks for. A test binary of its own, since a process has one
//! logger.

mod support;

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use luvio::{Loop, Tcp};
use support::{
    connected_pair, fill, listening, poll, ready, refusing_addr, reset, turn, turn_until, watchdog,
    with_loop,
};

/// Notes what is logged about requests, for each thread apart: a loop logs on its own thread.
struct Notes;

thread_local! {
    static NOTES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

impl Log for Notes {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        if text.contains("request") {
            NOTES.with_borrow_mut(|notes| notes.push((record.level(), text)));
        }
    }

    fn flush(&self) {}
}

/// Begins with an empty log.
fn note() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Notes).expect("the only logger");
        log::set_max_level(LevelFilter::Trace);
    });
    NOTES.take();
}

/// Fails unless exactly one line was logged since the last call, with this level, the place `line` of this file, and what
/// the error says.
#[track_caller]
fn assert_logged(level: Level, line: u32, error: &str) {
    let notes = NOTES.take();
    let place = format!("{}:{line}:", file!());
    assert_eq!(notes.len(), 1, "{notes:?}");
    let (logged_at, text) = &notes[0];
    assert_eq!(*logged_at, level, "{text}");
    assert!(text.contains(&place), "{text}: not {place}");
    assert!(text.contains(error), "{text}: not {error}");
}

#[track_caller]
fn assert_nothing_logged() {
    let notes = NOTES.take();
    assert!(notes.is_empty(), "{notes:?}");
}

fn refused() -> String {
    io::Error::from_raw_os_error(libc::ECONNREFUSED).to_string()
}

/// A failure that nobody hears is logged at debug, with the place that made the request: of one that was ignored, of one
/// that was over at once, of one that was kept and dropped after its end, and of one whose await was dropped.
#[test]
fn a_failure_that_nobody_hears_is_logged_with_its_place() {
    with_loop(|event_loop| {
        note();
        Tcp::new(event_loop).connect(refusing_addr());
        let line = line!() - 1;
        assert_nothing_logged();
        event_loop.run().unwrap();
        assert_logged(Level::Debug, line, &refused());

        Tcp::new(event_loop).write(b"misuse");
        assert_logged(Level::Debug, line!() - 1, "not connected");

        let kept = Tcp::new(event_loop).connect(refusing_addr());
        let line = line!() - 1;
        event_loop.run().unwrap();
        assert!(kept.is_finished());
        assert_nothing_logged();
        drop(kept);
        assert_logged(Level::Debug, line, &refused());

        let (tcp, peer) = connected_pair(event_loop);
        fill(&tcp);
        NOTES.take();
        let mut awaited = tcp.shutdown();
        let line = line!() - 1;
        assert!(poll(&mut awaited).is_pending());
        drop(awaited);
        assert_nothing_logged();
        reset(peer);
        turn_until(event_loop, || tcp.write_queue_size() == 0);
        NOTES
            .with_borrow_mut(|notes| notes.retain(|(_, text)| text.contains(&format!(":{line}:"))));
        assert_logged(Level::Debug, line, "");
    });
}

/// The place is that of the user's call also for a `finish`, which is two operations, and the failure is logged once.
#[test]
fn a_finish_that_fails_unheard_is_logged_once() {
    with_loop(|event_loop| {
        note();
        let (tcp, peer) = connected_pair(event_loop);
        let _filled = fill(&tcp);
        tcp.finish();
        let line = line!() - 1;
        reset(peer);
        event_loop.run().unwrap();
        let is_write = |text: &str| text.contains("support/mod.rs");
        NOTES.with_borrow_mut(|notes| notes.retain(|(_, text)| !is_write(text)));
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET).to_string();
        assert_logged(Level::Debug, line, &reset);
    });
}

/// Success is not logged, and a failure that somebody hears is not either, by whichever way.
#[test]
fn what_is_heard_is_not_logged() {
    with_loop(|event_loop| {
        note();
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr);
        tcp.write(b"data");
        tcp.shutdown();
        event_loop.run().unwrap();
        tcp.close();
        event_loop.run().unwrap();

        let tcp = Tcp::new(event_loop);
        tcp.connect(refusing_addr()).then(|connected| assert!(connected.is_err()));
        tcp.write(b"data").then(|written| assert!(written.is_err()));
        event_loop.run().unwrap();
        assert!(event_loop.block_on(tcp.connect(refusing_addr())).unwrap().is_err());
        assert!(ready(tcp.write(b"data")).is_err());
        assert_nothing_logged();
    });
}

/// That one's own close cut an operation short is no news: trace. The same goes for `cancel` and for the loop's end.
#[test]
fn a_cancellation_of_ones_own_is_logged_at_trace() {
    let _watchdog = watchdog();
    with_loop(|event_loop| {
        note();
        let (_server, addr) = listening(event_loop);
        let tcp = Tcp::new(event_loop);
        tcp.connect(addr);
        let line = line!() - 1;
        tcp.close();
        event_loop.run().unwrap();
        assert_logged(Level::Trace, line, "canceled");

        let tcp = Tcp::new(event_loop);
        let connecting = tcp.connect(addr);
        let line = line!() - 1;
        assert!(connecting.cancel());
        drop(connecting);
        assert_logged(Level::Trace, line, "canceled");

        let mut connecting = tcp.connect(addr);
        let line = line!() - 1;
        assert!(poll(&mut connecting).is_pending());
        drop(connecting);
        assert_logged(Level::Trace, line, "canceled");
    });
    let event_loop = Loop::new().unwrap();
    let (_server, addr) = listening(&event_loop);
    let tcp = Tcp::new(&event_loop);
    tcp.connect(addr);
    let line = line!() - 1;
    drop(event_loop);
    assert_logged(Level::Trace, line, "canceled");
}

/// Behind a failed connect, what waited is cancelled at trace; only the connect itself is news.
#[test]
fn what_waited_for_a_failed_connect_is_logged_at_trace() {
    with_loop(|event_loop| {
        note();
        let tcp = Tcp::new(event_loop);
        tcp.connect(refusing_addr());
        let line = line!() - 1;
        tcp.write(b"data");
        while tcp.is_active() {
            turn(event_loop);
        }
        let mut notes = NOTES.take();
        let (level, text) = notes.pop().unwrap();
        assert_eq!(level, Level::Trace, "{text}");
        NOTES.set(notes);
        assert_logged(Level::Debug, line, &refused());
    });
}
