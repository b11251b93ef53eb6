//! Notifiers: waking a loop from any thread. Statements A of the behaviour chapter.

mod support;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use luvio::{Check, LoopHandle, Misuse, Notifier, NotifierSender, Prepare, RunMode, Tcp, Timer};
use support::{Journal, expect, misuse, new_loop, turn, watchdog, with_loop};

fn notifier(event_loop: &LoopHandle, cb: impl FnMut(&Notifier) + 'static) -> Notifier {
    Notifier::new(event_loop, cb).expect("a notifier can be made")
}

/// A notifier that notes `what` each time.
fn noting(event_loop: &LoopHandle, journal: &Journal, what: &'static str) -> Notifier {
    let journal = journal.clone();
    notifier(event_loop, move |_| journal.note(what))
}

fn send(notifier: &Notifier) {
    notifier.sender().send().expect("it is open");
}

/// a notifier keeps the loop alive until it is closed or unreferenced, held or not.
#[test]
fn notifier_is_active_and_keeps_the_loop_alive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let held = notifier(&event_loop, |_| {});
    assert!(held.is_active() && event_loop.is_alive());
    assert_eq!(event_loop.backend_timeout(), None, "the loop would wait for a send");
    held.unref();
    assert!(!event_loop.is_alive());
    held.ref_();
    held.close();
    event_loop.run().expect("the loop runs");

    let sender = notifier(&event_loop, |notifier| drop(notifier.close())).sender();
    assert!(event_loop.is_alive(), "nobody holds it, but a send may come");
    sender.send().expect("it is open");
    event_loop.run().expect("the loop runs");
    assert!(!event_loop.is_alive());
}

/// an unreferenced notifier is called while something else keeps the loop running.
#[test]
fn unreferenced_notifier_is_called_while_the_loop_lives() {
    with_loop(|event_loop| {
        let called = expect(1);
        let timer = Timer::new(event_loop);
        let hour = Duration::from_secs(3_600);
        timer.start(hour, hour, |_| panic!("too early")).expect("a new handle can be started");
        let unreferenced = notifier(event_loop, move |notifier| {
            called.hit();
            timer.close();
            notifier.close();
        });
        unreferenced.unref();
        send(&unreferenced);
    });
}

/// a send from another thread wakes a loop that sleeps, each time.
#[test]
fn send_from_another_thread_wakes_a_sleeping_loop() {
    const ROUNDS: usize = 2_000;
    with_loop(|event_loop| {
        let (asks, asked) = mpsc::channel();
        let called = expect(ROUNDS);
        let woken = asks.clone();
        let notifier = notifier(event_loop, move |notifier| match called.hit() {
            ROUNDS => drop(notifier.close()),
            _ => woken.send(()).expect("the thread listens"),
        });
        let sender = notifier.sender();
        let thread = thread::spawn(move || {
            for () in asked {
                // The loop is asleep by now or about to be: it has nothing else to do.
                sender.send().expect("it is open");
            }
        });
        asks.send(()).expect("the thread listens");
        event_loop.run().expect("the loop runs");
        drop(asks);
        thread.join().expect("it ends with the last asker");
    });
}

/// sends before the first run are not lost, and share one call.
#[test]
fn sends_before_the_callback_begins_share_one_call() {
    with_loop(|event_loop| {
        let called = expect(1);
        let notifier = notifier(event_loop, move |_| {
            called.hit();
        });
        let sender = notifier.sender();
        thread::spawn(move || (0..10).for_each(|_| sender.send().expect("it is open")))
            .join()
            .expect("it ends");
        send(&notifier);
        turn(event_loop);
        turn(event_loop);
        notifier.close();
    });
}

/// a send from inside the callback leads to another call, in the next turn.
#[test]
fn send_from_inside_the_callback_leads_to_another_call() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let notifier = notifier(&event_loop, move |notifier| {
        counter.set(counter.get() + 1);
        if counter.get() < 3 {
            send(notifier);
            send(notifier);
        }
    });
    send(&notifier);
    for expected in [1, 2, 3, 3] {
        turn(&event_loop);
        assert_eq!(calls.get(), expected);
    }
}

/// notifiers that are pending together are each called, in one pass, in the order of their creation.
#[test]
fn pending_notifiers_are_served_in_the_order_of_their_creation() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    // Its slot is used again by the third: creation counts, not the slot.
    let gone = Timer::new(&event_loop);
    let first = noting(&event_loop, &journal, "first");
    let second = noting(&event_loop, &journal, "second");
    drop(gone);
    let third = noting(&event_loop, &journal, "third");
    for notifier in [&third, &first, &second, &first] {
        send(notifier);
    }
    turn(&event_loop);
    journal.assert_is(&["first", "second", "third"]);
}

/// what a thread wrote before its send is visible in the callback.
#[test]
fn callback_sees_what_was_written_before_the_send() {
    const LAST: usize = 20_000;
    with_loop(|event_loop| {
        let written = Arc::new(AtomicUsize::new(0));
        let read = Arc::clone(&written);
        let notifier = notifier(event_loop, move |notifier| {
            // If a send could be swallowed by a call that does not see what came before it, this would never come.
            if read.load(Ordering::Relaxed) == LAST {
                notifier.close();
            }
        });
        let sender = notifier.sender();
        let thread = thread::spawn(move || {
            for value in 1..=LAST {
                written.store(value, Ordering::Relaxed);
                sender.send().expect("it is open until the last was seen");
            }
        });
        event_loop.run().expect("the loop runs");
        thread.join().expect("it ends");
    });
}

/// eight threads send at once, and whatever each of them brought is seen.
#[test]
fn nothing_is_lost_when_many_threads_send_at_once() {
    const THREADS: usize = 8;
    const SENDS: usize = 2_000;
    with_loop(|event_loop| {
        let brought = Arc::new(AtomicUsize::new(0));
        let (waiting, mut seen) = (Arc::clone(&brought), 0);
        let notifier = notifier(event_loop, move |notifier| {
            seen += waiting.swap(0, Ordering::Relaxed);
            assert!(seen <= THREADS * SENDS);
            if seen == THREADS * SENDS {
                notifier.close();
            }
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (brought, sender) = (Arc::clone(&brought), notifier.sender());
                thread::spawn(move || {
                    for _ in 0..SENDS {
                        brought.fetch_add(1, Ordering::Relaxed);
                        // The last send of all may meet a notifier that has seen its share before and is closed.
                        let _ = sender.send();
                    }
                })
            })
            .collect();
        event_loop.run().expect("the loop runs");
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

/// without a callback a send only wakes the loop, which goes through a turn: prepare and check run.
#[test]
fn send_to_a_notifier_without_a_callback_wakes_the_loop() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let (prepare, check) = (Prepare::new(&event_loop), Check::new(&event_loop));
    let (preparing, checking) = (journal.clone(), journal.clone());
    prepare.start(move |_| preparing.note("prepare")).expect("a new handle can be started");
    check.start(move |_| checking.note("check")).expect("a new handle can be started");
    let notifier = Notifier::wake_only(&event_loop).expect("a notifier can be made");
    let sender = notifier.sender();
    let thread = thread::spawn(move || sender.send());
    // It would sleep for ever otherwise.
    assert!(event_loop.run_mode(RunMode::Once).expect("the loop runs"));
    thread.join().expect("it ends").expect("it is open");
    journal.assert_is(&["prepare", "check"]);
}

/// a close drops a send that is pending.
#[test]
fn close_drops_a_pending_send() {
    with_loop(|event_loop| {
        let closed = expect(1);
        let notifier = notifier(event_loop, |_| panic!("it was closed"));
        send(&notifier);
        notifier.close().then(move |_| {
            closed.hit();
        });
    });
}

fn can_be_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

/// a sender may go to any thread; after the close it returns an error, and closing does not wait for it.
#[test]
fn send_after_close_is_an_error() {
    with_loop(|event_loop| {
        let notifier = notifier(event_loop, |_| panic!("it was closed"));
        let sender = notifier.sender();
        can_be_shared(&sender);
        let refused = |sender: &NotifierSender| {
            for _ in 0..2 {
                assert_eq!(misuse(sender.send()), Misuse::Closing);
            }
        };
        notifier.close();
        refused(&sender);
        refused(&notifier.sender());
        event_loop.run().expect("closing does not wait for senders");
        refused(&sender);
        let other = sender.clone();
        thread::spawn(move || assert_eq!(misuse(other.send()), Misuse::Closing))
            .join()
            .expect("it is refused there, too");
        // Neither does the sender reach the one that has the slot now.
        let next = self::notifier(event_loop, |_| panic!("nobody has sent"));
        refused(&sender);
        turn(event_loop);
        next.close();
    });
}

/// so it is when the loop is gone, whether the notifier was closed before or not, and whether a send was pending.
#[test]
fn send_to_a_loop_that_is_gone_is_an_error() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (quiet, pending, closed) = (
        notifier(&event_loop, |_| {}),
        notifier(&event_loop, |_| {}),
        notifier(&event_loop, |_| {}),
    );
    send(&pending);
    closed.close();
    let senders = [quiet.sender(), pending.sender(), closed.sender()];
    drop(event_loop);
    for sender in senders {
        for _ in 0..2 {
            assert_eq!(misuse(sender.send()), Misuse::LoopGone);
        }
        let thread = thread::spawn(move || misuse(sender.send()));
        assert_eq!(thread.join().expect("it ends"), Misuse::LoopGone);
    }
    assert_eq!(misuse(quiet.sender().send()), Misuse::LoopGone);
}

/// a send does not wait for the loop, which here waits for the sender.
#[test]
fn send_does_not_wait_for_the_loop() {
    with_loop(|event_loop| {
        let called = expect(2);
        let notifier = notifier(event_loop, move |notifier| {
            if called.hit() == 2 {
                notifier.close();
                return;
            }
            let sender = notifier.sender();
            thread::spawn(move || (0..1_000).for_each(|_| sender.send().expect("it is open")))
                .join()
                .expect("it ends while the loop is held up");
        });
        send(&notifier);
    });
}

/// a callback may close another notifier that is pending, which is then not called.
#[test]
fn callback_may_close_a_pending_notifier() {
    with_loop(|event_loop| {
        let called = expect(1);
        let other: Rc<RefCell<Option<Notifier>>> = Rc::default();
        let closing = Rc::clone(&other);
        let first = notifier(event_loop, move |notifier| {
            called.hit();
            closing.take().expect("it was put there").close();
            notifier.close();
        });
        let second = notifier(event_loop, |_| panic!("it was closed"));
        send(&first);
        send(&second);
        other.replace(Some(second));
    });
}

/// L-40: when a callback panics, those that were pending with it are called in the next run, and it can be sent to again.
#[test]
fn panic_in_a_callback_loses_no_other_notification() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let journal = Journal::new();
    let mut first_time = true;
    let notes = journal.clone();
    let panicking = notifier(&event_loop, move |_| {
        assert!(!std::mem::take(&mut first_time), "once");
        notes.note("again");
    });
    let other = noting(&event_loop, &journal, "other");
    send(&panicking);
    send(&other);
    catch_unwind(AssertUnwindSafe(|| turn(&event_loop))).expect_err("it leaves the run");
    journal.assert_is(&[]);
    turn(&event_loop);
    journal.assert_is(&["other"]);
    send(&panicking);
    turn(&event_loop);
    journal.assert_is(&["other", "again"]);
}

/// What the loop waits for can be asked.
#[test]
fn loop_says_that_it_waits_for_a_send() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (notifier, line) = (notifier(&event_loop, |_| {}), line!());
    let _idle = Tcp::new(&event_loop);
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].to_string().starts_with("notifier handle made at "));
    assert!(reasons[0].to_string().ends_with(": waiting for a send"));
    assert!(reasons[0].place.line() < line, "that of the helper above");
    notifier.unref();
    assert!(event_loop.alive_because().is_empty());
}
