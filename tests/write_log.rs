//! What the log says of a queue that grows because nobody waits for the peer. A test binary of its own, since a process has
//! one logger.

mod support;

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::thread;

use log::{Level, LevelFilter, Log, Metadata, Record};
use luvio::{Loop, Tcp};
use support::{Journal, connected_pair, fill, turn, with_loop};

/// Runs what the test of this thread has for it.
struct Logger;

type OnWarning = Box<dyn FnMut(String)>;

thread_local! {
    static ON_WARNING: RefCell<Option<OnWarning>> = const { RefCell::new(None) };
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(mut on_warning) = ON_WARNING.take() {
            let text = record.args().to_string();
            ON_WARNING.set(Some(Box::new(|text| panic!("while the logger runs: {text}"))));
            on_warning(text);
            ON_WARNING.set(Some(on_warning));
        }
    }

    fn flush(&self) {}
}

/// Has `f` called for each warning of this thread.
fn on_warning(f: impl FnMut(String) + 'static) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).expect("the only logger");
        log::set_max_level(LevelFilter::Warn);
    });
    ON_WARNING.set(Some(Box::new(f)));
}

/// Notes the warnings from here on.
fn warnings() -> Rc<RefCell<Vec<String>>> {
    let warnings = Rc::<RefCell<Vec<String>>>::default();
    let noted = Rc::clone(&warnings);
    on_warning(move |text| noted.borrow_mut().push(text));
    warnings
}

const BLOCK: &[u8] = &[b'b'; 64 * 1024];

/// A stream with so many blocks in its queue, in writes of a block each.
fn swamped(event_loop: &Loop, blocks: usize) -> (Tcp, TcpStream) {
    let (tcp, peer) = connected_pair(event_loop);
    fill(&tcp);
    for _ in 0..blocks {
        tcp.write(BLOCK);
    }
    (tcp, peer)
}

/// WR-26: two thousand writes that nobody awaits, to a peer that does not read, are worth one warning, which says where the
/// handle was made; the queue goes on growing, and once it was empty there is no other warning.
#[test]
fn a_queue_far_above_its_mark_is_logged_once() {
    with_loop(|event_loop| {
        let warnings = warnings();
        let (tcp, peer) = swamped(event_loop, 60);
        assert!(warnings.borrow().is_empty() && tcp.needs_drain());
        for _ in 60..2_000 {
            tcp.write(BLOCK);
        }
        let text = warnings.borrow().concat();
        assert_eq!(warnings.borrow().len(), 1, "{text}");
        let place = tcp.created_at().to_string();
        for part in [&place, "needs_drain", "tcp"] {
            assert!(text.contains(part), "{text}: not {part}");
        }

        let reader = thread::spawn(move || io::copy(&mut { peer }, &mut io::sink()));
        event_loop.block_on(tcp.drained()).unwrap().unwrap();
        while tcp.write_queue_size() > 0 {
            turn(event_loop);
        }
        let blocks = vec![b'b'; 100 << 20];
        while tcp.write_queue_size() == 0 {
            tcp.write(&blocks);
        }
        tcp.write(BLOCK);
        assert_eq!(warnings.borrow().len(), 1);
        tcp.finish();
        event_loop.run().unwrap();
        reader.join().unwrap().unwrap();
    });
}

/// WR-26: one write is as large as it is; nobody is warned who waits for it. The mark is the program's to choose.
#[test]
fn a_large_write_and_a_high_mark_are_no_reason_to_warn() {
    with_loop(|event_loop| {
        let warnings = warnings();
        let (large, _peer) = connected_pair(event_loop);
        large.write(vec![b'b'; 32 << 20]);
        assert!(large.write_queue_size() > 16 << 20);
        let (high, _other) = connected_pair(event_loop);
        high.set_high_water(usize::MAX);
        fill(&high);
        for _ in 0..100 {
            high.write(BLOCK);
        }
        assert!(warnings.borrow().is_empty());

        // A mark of nothing says that every queue is to be told of, not that a small one is far above it.
        let (low, _third) = connected_pair(event_loop);
        low.set_high_water(0);
        fill(&low);
        low.write(b"x");
        assert!(warnings.borrow().is_empty());
        for _ in 0..20 {
            low.write(BLOCK);
        }
        assert_eq!(warnings.borrow().len(), 1);
        for tcp in [large, high, low] {
            tcp.close();
        }
    });
}

/// WR-26: the logger may use the stream, close it, or panic: the write is queued already.
#[test]
fn the_logger_may_do_anything_with_the_stream() {
    with_loop(|event_loop| {
        type Reaction = fn(&Tcp);
        let reactions: [(Reaction, bool, &str); 3] = [
            (|tcp| drop(tcp.write(b"from the logger")), false, "write ok"),
            (|tcp| drop(tcp.close()), false, "write canceled"),
            (|_| panic!("in the logger"), true, ""),
        ];
        for (react, panics, end) in reactions {
            let (tcp, mut peer) = connected_pair(event_loop);
            on_warning(|text| panic!("too early: {text}"));
            let mut total = fill(&tcp);
            while tcp.write_queue_size() <= 64 * 64 * 1024 {
                tcp.write(BLOCK);
                total += BLOCK.len();
            }
            let used = tcp.clone();
            on_warning(move |_| react(&used));
            let journal = Journal::new();
            let write = || tcp.write(BLOCK).then(journal.result("write"));
            assert_eq!(catch_unwind(AssertUnwindSafe(write)).is_err(), panics);
            total += BLOCK.len();
            tcp.finish();
            let reader = thread::spawn(move || {
                let mut received = Vec::new();
                peer.read_to_end(&mut received).map(|_| received)
            });
            event_loop.run().unwrap();
            let received = reader.join().unwrap();
            if end != "write canceled" {
                assert!(received.unwrap().len() >= total);
            }
            if !panics {
                journal.assert_is(&[end]);
            }
        }
    });
}

/// U-16: descriptors that nobody takes are worth one warning, until they are taken; the logger may do anything.
#[cfg(feature = "descriptors")]
#[test]
fn descriptors_that_nobody_takes_are_logged_once() {
    with_loop(|event_loop| {
        let (one, other) = luvio::Pipe::pair_with_descriptors(event_loop).unwrap();
        let (closing, texts) = (other.clone(), Rc::<RefCell<Vec<String>>>::default());
        let noted = Rc::clone(&texts);
        on_warning(move |text| {
            if noted.borrow().len() == 1 {
                closing.close();
            }
            noted.borrow_mut().push(text);
        });
        let file = std::fs::File::open("/dev/null").unwrap();
        let send_and_read = |count: usize| {
            let fds = (0..count).map(|_| file.try_clone().unwrap().into()).collect();
            one.write_with_fds("x", fds);
            event_loop.try_block_on(other.read_once()).unwrap();
            turn(event_loop);
        };
        send_and_read(253);
        assert!(texts.borrow().is_empty());
        send_and_read(1);
        send_and_read(100);
        assert_eq!(texts.borrow().len(), 1);
        let place = other.created_at().to_string();
        assert!(texts.borrow()[0].contains(&place), "{texts:?}");
        assert_eq!(other.take_fds().len(), 253);
        send_and_read(253);
        send_and_read(1);
        assert!(texts.borrow().len() == 2 && other.is_closing());
        one.close();
    });
}
