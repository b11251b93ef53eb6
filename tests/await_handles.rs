//! Awaiting on notifiers and signals. Statements Z of the behaviour chapter.

mod support;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use luvio::{Loop, Misuse, Notifier, is_canceled, timeout};
use support::{
    Drops, Wakes, expect, misuse, poll, ready, turn, watchdog, with_loop, with_virtual_loop,
};

#[track_caller]
fn assert_canceled<T: std::fmt::Debug>(result: io::Result<T>) {
    let err = result.expect_err("it was canceled");
    assert!(is_canceled(&err), "{err:?}");
}

// ---- notifiers ----------------------------------------------------------------------------------------------------

/// A task that waits is woken by a send from another thread, each time.
#[test]
fn a_task_hears_of_sends_from_another_thread() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let heard = expect(3);
        event_loop
            .block_on(async {
                for _ in 0..3 {
                    let sender = notifier.sender();
                    let thread = thread::spawn(move || sender.send().unwrap());
                    notifier.notified().await.unwrap();
                    heard.hit();
                    thread.join().unwrap();
                }
            })
            .unwrap();
        notifier.close();
    });
}

/// Z-02: sends that come before anybody waits are not lost, and count as one.
#[test]
fn sends_before_the_await_count_as_one() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        for _ in 0..3 {
            notifier.sender().send().unwrap();
        }
        turn(event_loop);
        notifier.sender().send().unwrap();
        turn(event_loop);
        ready(notifier.notified()).unwrap();
        assert!(poll(notifier.notified()).is_pending());
        notifier.close();
    });
}

/// Z-06: a wait that is dropped has taken no send, be it before the send came or after it was woken for it.
#[test]
fn a_dropped_wait_loses_no_send() {
    for was_woken in [false, true] {
        with_loop(|event_loop| {
            let notifier = Notifier::wake_only(event_loop).unwrap();
            let wakes = Wakes::new();
            let mut dropped = notifier.notified();
            assert!(wakes.poll(&mut dropped).is_pending());
            if was_woken {
                notifier.sender().send().unwrap();
                wakes.wait(event_loop);
                drop(dropped);
            } else {
                drop(dropped);
                notifier.sender().send().unwrap();
            }
            event_loop.block_on(notifier.notified()).unwrap().unwrap();
            assert_eq!(wakes.count(), usize::from(was_woken));
            notifier.close();
        });
    }
}

/// Z-06: a time limit around a wait leaves the notifier usable.
#[test]
fn a_wait_for_a_send_can_have_a_time_limit() {
    with_virtual_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        event_loop
            .block_on(async {
                let limit = Duration::from_millis(5);
                assert!(timeout(limit, notifier.notified()).await.is_err());
                notifier.sender().send().unwrap();
                notifier.notified().await.unwrap();
            })
            .unwrap();
        notifier.close();
    });
}

/// Z-05: closing ends every wait with Canceled, and so does every wait that begins later.
#[test]
fn closing_cancels_every_wait_for_a_send() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let wakes = Wakes::new();
        let mut waits = [notifier.notified(), notifier.notified()];
        for wait in &mut waits {
            assert!(wakes.poll(wait).is_pending());
        }
        notifier.close();
        assert_eq!(wakes.count(), 2);
        waits.into_iter().for_each(|wait| assert_canceled(ready(wait)));
        assert_canceled(ready(notifier.notified()));
    });
}

/// Z-05, rule 7: when the loop is dropped, tasks that wait are dropped, and waits held elsewhere end with Canceled.
#[test]
fn dropping_the_loop_ends_waits_for_a_send() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let notifier = Notifier::wake_only(&event_loop).unwrap();
    let (drops, in_task) = (Drops::new(), notifier.clone());
    let token = drops.token();
    event_loop.spawn(async move {
        token.keep();
        in_task.notified().await
    });
    let wakes = Wakes::new();
    let mut held = notifier.notified();
    assert!(wakes.poll(&mut held).is_pending());
    turn(&event_loop);
    drop(event_loop);
    assert_eq!((drops.count(), wakes.count()), (1, 1));
    assert_canceled(ready(held));
    assert_canceled(ready(notifier.notified()));
}

/// Of several tasks that wait, one gets a send and the others go on waiting.
#[test]
fn one_of_several_waiting_tasks_gets_a_send() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let heard = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (notifier, heard) = (notifier.clone(), Rc::clone(&heard));
            event_loop.go(async move {
                notifier.notified().await?;
                heard.set(heard.get() + 1);
                io::Result::Ok(())
            });
        }
        turn(event_loop);
        for count in 1..=3 {
            notifier.sender().send().unwrap();
            while heard.get() < count {
                turn(event_loop);
            }
            turn(event_loop);
            assert_eq!(heard.get(), count);
        }
        notifier.close();
    });
}

/// A-09, Z-13: each send wakes one of those who wait, however many they are: the one that has waited longest.
#[test]
fn a_send_wakes_the_one_that_has_waited_longest() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let mut waits: Vec<_> = (0..1_000).map(|_| (notifier.notified(), Wakes::new())).collect();
        for (wait, wakes) in &mut waits {
            assert!(wakes.poll(wait).is_pending());
        }
        // Some leave, at the ends and in the middle.
        waits.drain(..3);
        waits.drain(400..410);
        waits.truncate(980);
        for round in 0..waits.len() {
            notifier.sender().send().unwrap();
            turn(event_loop);
            let (wait, wakes) = &mut waits[round];
            assert_eq!(wakes.count(), 1);
            assert!(matches!(wakes.poll(wait), Poll::Ready(Ok(()))));
            let woken: usize = waits.iter().map(|(_, wakes)| wakes.count()).sum();
            assert_eq!(woken, round + 1);
        }
        assert!(poll(notifier.notified()).is_pending());
        notifier.close();
    });
}

/// Z-06, Z-13: a wait that was woken and is dropped hands its turn on; when nobody is left, to the next one that comes.
#[test]
fn a_turn_that_is_not_used_is_handed_on() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let [first, second, third] = [Wakes::new(), Wakes::new(), Wakes::new()];
        let mut waits = [&first, &second, &third].map(|wakes| {
            let mut wait = notifier.notified();
            assert!(wakes.poll(&mut wait).is_pending());
            Some(wait)
        });
        notifier.sender().send().unwrap();
        turn(event_loop);
        for (woken, wait) in waits.iter_mut().enumerate() {
            let counts = [&first, &second, &third].map(|wakes| wakes.count());
            assert_eq!(counts, [0, 1, 2].map(|at| usize::from(at <= woken)));
            // Nobody overtakes the one whose turn it is.
            assert!(poll(notifier.notified()).is_pending());
            *wait = None;
        }
        ready(notifier.notified()).unwrap();
        notifier.close();
    });
}

/// Z-13: a wait that moves to another task is woken there, and keeps its place.
#[test]
fn a_wait_that_changes_hands_keeps_its_place() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        let [before, after, other] = [Wakes::new(), Wakes::new(), Wakes::new()];
        let (mut first, mut second) = (notifier.notified(), notifier.notified());
        assert!(before.poll(&mut first).is_pending());
        assert!(other.poll(&mut second).is_pending());
        assert!(after.poll(&mut first).is_pending());
        notifier.sender().send().unwrap();
        turn(event_loop);
        assert_eq!((before.count(), after.count(), other.count()), (0, 1, 0));
        assert!(after.poll(&mut first).is_ready());
        notifier.close();
    });
}

/// A notifier with a callback belongs to the callback: awaiting beside it is an error, which disturbs nothing.
#[test]
fn a_wait_beside_a_callback_is_refused() {
    with_loop(|event_loop| {
        let called = expect(1);
        let notifier = Notifier::new(event_loop, move |notifier| {
            called.hit();
            assert_eq!(misuse(ready(notifier.notified())), Misuse::HasCallback);
            notifier.close();
        })
        .unwrap();
        let refused = ready(notifier.notified());
        assert_eq!(refused.as_ref().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(misuse(refused), Misuse::HasCallback);
        notifier.sender().send().unwrap();
    });
}

/// H-01, H-05: a notifier is active, awaited or not; unreferenced, it is the task that keeps the loop alive.
#[test]
fn an_unreferenced_notifier_leaves_the_loop_to_its_task() {
    with_loop(|event_loop| {
        let notifier = Notifier::wake_only(event_loop).unwrap();
        assert!(notifier.is_active() && event_loop.is_alive());
        notifier.unref();
        assert!(!event_loop.is_alive());
        let waiting = notifier.clone();
        let task = event_loop.spawn(async move { waiting.notified().await });
        turn(event_loop);
        assert!(event_loop.is_alive());
        let sender = notifier.sender();
        let thread = thread::spawn(move || sender.send().unwrap());
        event_loop.run().unwrap();
        assert!(task.is_finished());
        thread.join().unwrap();
        notifier.close();
    });
}

// ---- signals ------------------------------------------------------------------------------------------------------

/// Signals are the whole process's, so these tests run one after the other.
#[cfg(feature = "signal")]
mod signals {
    use super::*;
    use luvio::Signal;
    use signal_hook::low_level::raise;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(event_loop: &Loop) -> Signal {
        let signal = Signal::new(event_loop);
        signal.start_only(Signal::USR1).unwrap();
        signal
    }

    /// A task that waits is woken by a delivery and gets the number.
    #[test]
    fn a_task_hears_of_a_delivery() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = started(event_loop);
            event_loop
                .block_on(async {
                    for _ in 0..3 {
                        let mut waiting = signal.delivered();
                        assert!(poll(&mut waiting).is_pending());
                        raise(Signal::USR1).unwrap();
                        assert_eq!(waiting.await.unwrap(), Signal::USR1);
                    }
                })
                .unwrap();
        });
    }

    /// SG-02, Z-02: each delivery is yielded once, those before the await too.
    #[test]
    fn each_delivery_is_yielded_once() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = started(event_loop);
            for _ in 0..10 {
                raise(Signal::USR1).unwrap();
            }
            event_loop
                .block_on(async {
                    for _ in 0..10 {
                        assert_eq!(signal.delivered().await.unwrap(), Signal::USR1);
                    }
                })
                .unwrap();
            turn(event_loop);
            assert!(poll(signal.delivered()).is_pending());
        });
    }

    /// Z-03: deliveries that nobody awaits do not make the loop spin.
    #[test]
    fn deliveries_that_nobody_awaits_let_the_loop_sleep() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = started(event_loop);
            let keeper = Notifier::wake_only(event_loop).unwrap();
            raise(Signal::USR1).unwrap();
            for _ in 0..5 {
                turn(event_loop);
            }
            assert_eq!(event_loop.backend_timeout(), None, "nothing is to do");
            assert_eq!(ready(signal.delivered()).unwrap(), Signal::USR1);
            keeper.close();
        });
    }

    /// Z-06: a wait that is dropped has taken no delivery, be it before it came or after it was woken for it.
    #[test]
    fn a_dropped_wait_loses_no_delivery() {
        let _alone = alone();
        for was_woken in [false, true] {
            with_loop(|event_loop| {
                let signal = started(event_loop);
                let wakes = Wakes::new();
                let mut dropped = signal.delivered();
                assert!(wakes.poll(&mut dropped).is_pending());
                if was_woken {
                    raise(Signal::USR1).unwrap();
                    wakes.wait(event_loop);
                    drop(dropped);
                } else {
                    drop(dropped);
                    raise(Signal::USR1).unwrap();
                }
                assert_eq!(event_loop.block_on(signal.delivered()).unwrap().unwrap(), Signal::USR1);
                assert_eq!(wakes.count(), usize::from(was_woken));
            });
        }
    }

    /// Z-05: stopping and closing end every wait with Canceled; waits that begin later are misuse.
    #[test]
    fn stopping_or_closing_cancels_every_wait() {
        let _alone = alone();
        for is_closed in [false, true] {
            with_loop(|event_loop| {
                let signal = started(event_loop);
                let wakes = Wakes::new();
                let mut waits = [signal.delivered(), signal.delivered()];
                for wait in &mut waits {
                    assert!(wakes.poll(wait).is_pending());
                }
                raise(Signal::USR1).unwrap();
                if is_closed {
                    signal.close();
                } else {
                    signal.stop();
                }
                assert_eq!(wakes.count(), 2);
                waits.into_iter().for_each(|wait| assert_canceled(ready(wait)));
                let later = ready(signal.delivered());
                if is_closed {
                    assert_canceled(later);
                } else {
                    assert_eq!(misuse(later), Misuse::NeverStarted);
                }
            });
        }
    }

    /// Z-01: a handle that was not started has nothing to wait for.
    #[test]
    fn a_wait_on_a_handle_that_was_not_started_is_refused() {
        with_loop(|event_loop| {
            let signal = Signal::new(event_loop);
            let refused = ready(signal.delivered());
            assert_eq!(refused.as_ref().unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(misuse(refused), Misuse::NeverStarted);
        });
    }

    /// Z-05, rule 7: when the loop is dropped, tasks that wait are dropped, and waits held elsewhere end with Canceled.
    #[test]
    fn dropping_the_loop_ends_waits_for_a_delivery() {
        let _alone = alone();
        let _watchdog = watchdog();
        let event_loop = Loop::new().unwrap();
        let signal = started(&event_loop);
        let (drops, in_task) = (Drops::new(), signal.clone());
        let token = drops.token();
        event_loop.spawn(async move {
            token.keep();
            in_task.delivered().await
        });
        let wakes = Wakes::new();
        let mut held = signal.delivered();
        assert!(wakes.poll(&mut held).is_pending());
        turn(&event_loop);
        drop(event_loop);
        assert_eq!((drops.count(), wakes.count()), (1, 1));
        assert_canceled(ready(held));
        assert_canceled(ready(signal.delivered()));
    }

    /// Of several tasks that wait on one handle, each delivery goes to one.
    #[test]
    fn one_of_several_waiting_tasks_gets_a_delivery() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = started(event_loop);
            let heard = Rc::new(Cell::new(0));
            for _ in 0..3 {
                let (signal, heard) = (signal.clone(), Rc::clone(&heard));
                event_loop.go(async move {
                    signal.delivered().await?;
                    heard.set(heard.get() + 1);
                    io::Result::Ok(())
                });
            }
            turn(event_loop);
            for count in [1, 3] {
                for _ in heard.get()..count {
                    raise(Signal::USR1).unwrap();
                }
                while heard.get() < count {
                    turn(event_loop);
                }
                turn(event_loop);
                assert_eq!(heard.get(), count);
            }
        });
    }

    /// A handle with a callback belongs to the callback, be it there first or started while a task waits.
    #[test]
    fn a_wait_beside_a_signal_callback_is_refused() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = started(event_loop);
            let wakes = Wakes::new();
            let mut waiting = signal.delivered();
            assert!(wakes.poll(&mut waiting).is_pending());
            let called = expect(1);
            signal
                .start(Signal::USR1, move |signal, _| {
                    called.hit();
                    assert_eq!(misuse(ready(signal.delivered())), Misuse::HasCallback);
                    signal.close();
                })
                .unwrap();
            assert_eq!(wakes.count(), 1);
            let refused = ready(waiting);
            assert_eq!(refused.as_ref().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
            assert_eq!(misuse(refused), Misuse::HasCallback);
            assert_eq!(misuse(ready(signal.delivered())), Misuse::HasCallback);
            raise(Signal::USR1).unwrap();
        });
    }

    /// SG-08: with the same number nothing is lost when a callback gives way to an await; with another number the wait goes
    /// on for that one.
    #[test]
    fn start_only_takes_over_from_a_callback_and_moves_to_another_signal() {
        let _alone = alone();
        with_loop(|event_loop| {
            let signal = Signal::new(event_loop);
            signal.start(Signal::USR1, |_, _| unreachable!("it was replaced")).unwrap();
            raise(Signal::USR1).unwrap();
            signal.start_only(Signal::USR1).unwrap();
            assert!(!signal.is_active() && !event_loop.is_alive());
            assert_eq!(ready(signal.delivered()).unwrap(), Signal::USR1);

            let mut waiting = signal.delivered();
            assert!(poll(&mut waiting).is_pending());
            signal.start_only(Signal::USR2).unwrap();
            raise(Signal::USR2).unwrap();
            assert_eq!(event_loop.block_on(waiting).unwrap().unwrap(), Signal::USR2);
            assert_eq!(misuse(signal.start_only(libc::SIGKILL)), Misuse::BadSignal);
            assert_eq!(signal.signum(), Some(Signal::USR2));
        });
    }

    /// SG-03: tasks in several loops each get every delivery.
    #[test]
    fn tasks_in_several_loops_get_every_delivery() {
        let _alone = alone();
        let _watchdog = watchdog();
        let (started, all_started) = std::sync::mpsc::channel();
        let threads = [(); 2].map(|()| {
            let started = started.clone();
            thread::spawn(move || {
                let event_loop = Loop::new().unwrap();
                let signal = Signal::new(&event_loop);
                signal.start_only(Signal::URG).unwrap();
                started.send(()).unwrap();
                for _ in 0..2 {
                    event_loop.block_on(signal.delivered()).unwrap().unwrap();
                }
            })
        });
        for _ in 0..2 {
            all_started.recv().unwrap();
        }
        for _ in 0..2 {
            raise(Signal::URG).unwrap();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
