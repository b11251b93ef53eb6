//! What a callback may do: anything, from inside every kind of callback, without losing or repeating anything of the
//! others.

#[path = "support/callbacks.rs"]
mod callbacks;
mod support;

use std::cell::{Cell, RefCell};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use callbacks::{Arm, Armed, Callback, every_kind};
use luvio::{Handle, Idle, Loop, Misuse, Notifier, RunMode, Tcp, Timer};
use support::{Drops, misuse, pair_with_data, turn, watchdog};

const ZERO: Duration = Duration::ZERO;

/// A loop with a callback of some kind that does something when it is called first, and with others beside it.
struct Scene {
    kind: &'static str,
    event_loop: Loop,
    /// The kind's own: what the callback can reach.
    armed: RefCell<Option<Armed>>,
    kept: RefCell<Option<Armed>>,
    calls: Cell<usize>,
    /// Calls of the callback that was put in the place of the first one.
    later_calls: Rc<Cell<usize>>,
    closed: Rc<Cell<usize>>,
    /// How often each neighbour was called.
    others: RefCell<Vec<Rc<Cell<usize>>>>,
    /// Handles that may be closed, each with a call waiting.
    victims: RefCell<Vec<Box<dyn Handle>>>,
    victims_are_closed: Rc<Cell<bool>>,
    peers: RefCell<Vec<TcpStream>>,
    drops: Drops,
}

impl Scene {
    /// The callback does `act` when it is called first. Returns the scene before anything ran.
    fn new(kind: &'static str, arm: Arm, act: fn(&Rc<Scene>)) -> Rc<Scene> {
        let scene = Rc::new(Scene {
            kind,
            event_loop: Loop::new().expect("a loop can be made"),
            armed: RefCell::default(),
            kept: RefCell::default(),
            calls: Cell::new(0),
            later_calls: Rc::default(),
            closed: Rc::default(),
            others: RefCell::default(),
            victims: RefCell::default(),
            victims_are_closed: Rc::default(),
            peers: RefCell::default(),
            drops: Drops::new(),
        });
        // In front and behind, whatever the order is.
        scene.add_others();
        let (weak, token) = (Rc::downgrade(&scene), scene.drops.token());
        let armed = arm(
            &scene.event_loop,
            Box::new(move || {
                token.keep();
                let scene = weak.upgrade().expect("the scene lasts");
                scene.calls.set(scene.calls.get() + 1);
                if scene.calls.get() == 1 {
                    act(&scene);
                    assert_eq!(scene.drops.count(), 0, "{}: dropped while it runs", scene.kind);
                }
            }),
        );
        scene.armed.replace(Some(armed));
        scene.add_others();
        scene
    }

    /// Adds a reader, a timer, a notifier and a deferred closure that are ready, and the same to be closed.
    fn add_others(&self) {
        let event_loop = &self.event_loop;
        for is_victim in [false, true] {
            let calls: [Rc<Cell<usize>>; 4] = Default::default();
            let closed = Rc::clone(&self.victims_are_closed);
            let note = |at: usize| {
                let (count, closed) = (Rc::clone(&calls[at]), Rc::clone(&closed));
                move || {
                    assert!(!(is_victim && closed.get()), "an event of a closed handle");
                    count.set(count.get() + 1);
                }
            };
            let (read, fired, notified, deferred) = (note(0), note(1), note(2), note(3));
            let (tcp, peer) = pair_with_data(event_loop, b"data");
            tcp.read_start(move |_, chunk| {
                assert_eq!(chunk.expect("it reads"), Some(&b"data"[..]));
                read();
            })
            .expect("a connection can be read");
            let timer = Timer::after(event_loop, ZERO, move |_| fired());
            let notifier = Notifier::new(event_loop, move |_| notified());
            let notifier = notifier.expect("a notifier can be made");
            notifier.sender().send().expect("it is open");
            self.peers.borrow_mut().push(peer);
            if is_victim {
                let victims: [Box<dyn Handle>; 3] =
                    [Box::new(tcp), Box::new(timer), Box::new(notifier)];
                self.victims.borrow_mut().extend(victims);
            } else {
                event_loop.defer(move |_| deferred());
                self.others.borrow_mut().extend(calls);
            }
        }
    }

    /// Turns until the callback was called, and then some more.
    fn play(&self) {
        while self.calls.get() == 0 {
            self.help();
            turn(&self.event_loop);
        }
        self.turns();
    }

    fn turns(&self) {
        for _ in 0..3 {
            self.help();
            turn(&self.event_loop);
        }
    }

    fn help(&self) {
        if let Some(armed) = self.armed.borrow().as_ref() {
            (armed.help)();
        }
    }

    /// Has the callback's event happen once more, if it is of a kind that can.
    fn again(&self) {
        if let Some(again) = self.armed.borrow().as_ref().and_then(|armed| armed.again.as_ref()) {
            again();
        }
    }

    /// Does something with what was armed.
    fn with_armed<R>(&self, f: impl FnOnce(&Armed) -> R) -> R {
        f(self.armed.borrow().as_ref().expect("it is armed"))
    }

    /// Puts a callback in the place of the first one that only counts.
    fn restart(&self) {
        let calls = Rc::clone(&self.later_calls);
        let count: Callback = Box::new(move || calls.set(calls.get() + 1));
        self.with_armed(|armed| armed.restart.as_ref().expect("it can be restarted")(count));
    }

    #[track_caller]
    fn assert_others_were_called_once(&self) {
        let calls: Vec<usize> = self.others.borrow().iter().map(|calls| calls.get()).collect();
        assert_eq!(calls, [1; 8], "{}", self.kind);
    }

    /// Closes everything; the loop then comes to its end, and every callback is dropped.
    fn end(self: Rc<Self>) {
        self.event_loop.walk(|handle| drop(handle.close()));
        self.event_loop.run().expect("the loop can be run again");
        assert!(!self.event_loop.is_alive(), "{}", self.kind);
        self.event_loop.walk(|handle| panic!("{}: {} is open", self.kind, handle.kind()));
        assert_eq!(self.drops.count(), 1, "{}: the callback was not dropped", self.kind);
    }
}

/// Plays a scene for each kind of callback that `can` take part, and then looks at it.
fn for_every_kind(can: fn(&Armed) -> bool, act: fn(&Rc<Scene>), look: fn(&Scene)) {
    let _watchdog = watchdog();
    let mut played = 0;
    for (kind, arm) in every_kind() {
        let scene = Scene::new(kind, arm, act);
        if scene.with_armed(can) {
            scene.play();
            look(&scene);
            played += 1;
            scene.end();
        }
    }
    assert!(played > 0);
}

fn any(_: &Armed) -> bool {
    true
}

fn has_handle(armed: &Armed) -> bool {
    armed.handle.is_some()
}

/// H-02, L-25: a callback may stop its own handle: it is not called for what happened before; and it may be started
/// again.
#[test]
fn any_callback_may_stop_its_own_handle() {
    for_every_kind(
        |armed| armed.stop.is_some(),
        |scene| {
            scene.again();
            scene.with_armed(|armed| armed.stop.as_ref().expect("it can be stopped")());
            assert!(!scene.with_armed(|armed| armed.handle.as_ref().expect("one").is_active()));
        },
        |scene| {
            assert_eq!(scene.calls.get(), 1, "{}", scene.kind);
            scene.restart();
            scene.again();
            while scene.later_calls.get() == 0 {
                turn(&scene.event_loop);
            }
            assert_eq!(scene.calls.get(), 1, "{}", scene.kind);
            scene.assert_others_were_called_once();
        },
    );
}

/// H-25, L-25: a callback may put another one in its own place, which gets what comes next; the first one is dropped after it
/// has returned, and not called again.
#[test]
fn any_callback_may_put_another_one_in_its_place() {
    for_every_kind(
        |armed| armed.restart.is_some(),
        |scene| {
            scene.again();
            scene.restart();
        },
        |scene| {
            while scene.later_calls.get() == 0 {
                turn(&scene.event_loop);
            }
            assert_eq!(scene.calls.get(), 1, "{}", scene.kind);
            assert_eq!(scene.drops.count(), 1, "{}: the first callback", scene.kind);
            scene.assert_others_were_called_once();
        },
    );
}

/// H-11, H-09, H-10, L-25: a callback may close its own handle: nothing comes any more but the close callback, once.
#[test]
fn any_callback_may_close_its_own_handle() {
    for_every_kind(
        has_handle,
        |scene| {
            scene.again();
            let closed = Rc::clone(&scene.closed);
            scene.with_armed(|armed| {
                let handle = armed.handle.as_ref().expect("it has one");
                handle.close().then(move |_| closed.set(closed.get() + 1));
                handle.close();
                assert!(handle.is_closing() && !handle.is_active());
            });
        },
        |scene| {
            assert_eq!((scene.calls.get(), scene.closed.get()), (1, 1), "{}", scene.kind);
            assert_eq!(scene.drops.count(), 1, "{}", scene.kind);
            scene.assert_others_were_called_once();
        },
    );
}

/// L-25, H-10: a callback may close other handles whose events are waiting in the same pass: none of them is delivered, and the
/// other handles get theirs.
#[test]
fn any_callback_may_close_handles_whose_events_are_waiting() {
    for_every_kind(
        any,
        |scene| {
            scene.victims.borrow().iter().for_each(|handle| drop(handle.close()));
            scene.victims_are_closed.set(true);
        },
        Scene::assert_others_were_called_once,
    );
}

/// L-26, H-24: a callback may make new handles in the place of those that it closed, whose descriptors and slots they
/// get: they see no event of the old ones.
#[test]
fn any_callback_may_replace_handles_whose_events_are_waiting() {
    for_every_kind(
        any,
        |scene| {
            let event_loop = &scene.event_loop;
            for handle in scene.victims.borrow().iter() {
                handle.close();
                let (fresh, peer) = support::connected_pair(event_loop);
                fresh.read_start(|_, _| panic!("nobody wrote to it")).expect("it can be read");
                let unsent = Notifier::new(event_loop, |_| panic!("nobody sent to it"));
                unsent.expect("a notifier can be made");
                scene.peers.borrow_mut().push(peer);
            }
            scene.victims_are_closed.set(true);
        },
        Scene::assert_others_were_called_once,
    );
}

/// A callback may drop the last value of its own handle: what is active goes on, what is not closes by itself.
#[test]
fn any_callback_may_drop_the_last_clone_of_its_own_handle() {
    for_every_kind(
        has_handle,
        |scene| {
            let mut armed = scene.armed.borrow_mut();
            let armed = armed.as_mut().expect("it is armed");
            (armed.handle, armed.stop, armed.restart) = (None, None, None);
        },
        |scene| {
            let is_repeating = scene.with_armed(|armed| armed.again.is_some());
            scene.again();
            scene.turns();
            assert_eq!(scene.calls.get() > 1, is_repeating, "{}", scene.kind);
            assert_eq!(scene.drops.count() == 0, is_repeating, "{}", scene.kind);
            scene.assert_others_were_called_once();
        },
    );
}

/// L-16: a callback cannot run its own loop, and to try does no harm.
#[test]
fn no_callback_may_run_its_own_loop() {
    for_every_kind(
        any,
        |scene| {
            let event_loop = &scene.event_loop;
            assert_eq!(misuse(event_loop.run()), Misuse::NestedRun);
            for mode in [RunMode::Default, RunMode::Once, RunMode::NoWait] {
                assert_eq!(misuse(event_loop.run_mode(mode)), Misuse::NestedRun);
            }
            assert_eq!(misuse(event_loop.block_on(async {})), Misuse::NestedRun);
        },
        Scene::assert_others_were_called_once,
    );
}

/// L-12, L-14: a callback of any kind may stop the loop: this run ends after its turn, and the next one goes on.
#[test]
fn any_callback_may_stop_the_loop() {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind() {
        let scene = Scene::new(kind, arm, |scene| scene.event_loop.stop());
        // Keeps the turns coming while the other end has to help.
        let (idle, turns) = (Idle::new(&scene.event_loop), Rc::new(Cell::new(0)));
        let (count, helped) = (Rc::clone(&turns), Rc::downgrade(&scene));
        let started = idle.start(move |_| {
            count.set(count.get() + 1);
            helped.upgrade().expect("the scene lasts").help();
        });
        started.expect("a new handle can be started");
        scene.event_loop.run().expect("the loop runs");
        assert!(scene.calls.get() > 0, "{kind}: nobody else stops it");
        assert!(scene.event_loop.is_alive(), "{kind}");

        // The next run is not over before somebody stops it again.
        let end = turns.get() + 3;
        let stopper = Idle::new(&scene.event_loop);
        let started = stopper.start(move |stopper| {
            if turns.get() >= end {
                stopper.event_loop().stop();
            }
        });
        started.expect("a new handle can be started");
        scene.event_loop.run().expect("the loop runs");
        scene.assert_others_were_called_once();
        scene.end();
    }
}

/// L-29: a callback may bring about another of its own kind, which is called later, not inside it.
#[test]
fn any_callback_may_bring_about_another_of_its_kind() {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind() {
        if kind == "signal" {
            continue; // a second handle would hear what is meant for the first
        }
        let scene = Scene::new(kind, arm, |scene| {
            let calls = Rc::clone(&scene.later_calls);
            let (_, arm) = every_kind().into_iter().find(|(kind, _)| *kind == scene.kind).unwrap();
            let inside = Rc::new(Cell::new(true));
            let is_inside = Rc::clone(&inside);
            let another = arm(
                &scene.event_loop,
                Box::new(move || {
                    assert!(!is_inside.get(), "called inside a call");
                    calls.set(calls.get() + 1);
                }),
            );
            let first = scene.armed.replace(Some(another));
            scene.kept.replace(first);
            inside.set(false);
        });
        scene.play();
        while scene.later_calls.get() == 0 {
            scene.help();
            turn(&scene.event_loop);
        }
        scene.assert_others_were_called_once();
        scene.end();
    }
}

/// H-10, L-04: a callback of any kind may close every handle: no event callback runs after it, and the run ends by itself.
#[test]
fn any_callback_may_close_every_handle() {
    let _watchdog = watchdog();
    for (kind, arm) in every_kind() {
        let scene = Scene::new(kind, arm, |scene| {
            scene.again();
            scene.event_loop.walk(|handle| drop(handle.close()));
            scene.victims_are_closed.set(true);
        });
        while scene.calls.get() == 0 {
            scene.help();
            turn(&scene.event_loop);
        }
        scene.event_loop.run().expect("the loop runs");
        assert_eq!(scene.calls.get(), 1, "{kind}");
        scene.end();
    }
}

/// L-25: what a callback does to the stream that it was called for does not touch what another stream has to read.
#[test]
fn streams_closed_in_turn_by_each_other_never_read_after_their_close() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let pairs: Vec<_> = (0..16).map(|_| pair_with_data(&event_loop, b"x")).collect();
    let tcps: Rc<Vec<Tcp>> = Rc::new(pairs.iter().map(|(tcp, _)| tcp.clone()).collect());
    let reads = Rc::new(Cell::new(0));
    for (at, (tcp, _)) in pairs.iter().enumerate() {
        let (tcps, reads) = (Rc::clone(&tcps), Rc::clone(&reads));
        tcp.read_start(move |tcp, _| {
            assert!(!tcp.is_closing(), "an event of a closed handle");
            reads.set(reads.get() + 1);
            // Itself and both neighbours.
            for other in [at, (at + 1) % 16, (at + 15) % 16] {
                tcps[other].close();
            }
        })
        .expect("a connection can be read");
    }
    event_loop.run().expect("all are closed in the end");
    assert!((6..=8).contains(&reads.get()), "{}", reads.get());
}
