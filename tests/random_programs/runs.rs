//! Runs of a program's loops, and the drop of a loop.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use luvio::{Loop, LoopHandle, Misuse, Prepare, RunMode, Timer};

use super::futures::task;
use super::given::check_dropped;
use super::program::{Code, Mode};
use super::world::{api, fail, fail_unless, running, world};

/// After so many turns a run is stopped.
const TURNS: u32 = 25;
/// The usual time limit of a run.
const LIMIT: Duration = Duration::from_millis(2);

/// What stops a run that would not end: neither holds the loop.
pub fn stopper(event_loop: &LoopHandle) -> (Timer, Prepare) {
    let (timer, turns) = (Timer::new(event_loop), Prepare::new(event_loop));
    timer.unref();
    turns.unref();
    (timer, turns)
}

fn arm(l: u8, limit: Duration, most: u32) {
    let (timer, turns) = world(|world| {
        world.turns[usize::from(l)] = 0;
        world.stoppers[usize::from(l)].clone()
    });
    timer.event_loop().update_time();
    let armed = timer.start(limit, Duration::ZERO, move |timer| {
        world(|world| world.was_stopped = true);
        timer.event_loop().stop();
    });
    let counted = turns.start(move |prepare| {
        check_alive(l);
        let turn = world(|world| {
            world.all_turns[usize::from(l)] += 1;
            world.turns[usize::from(l)] += 1;
            world.was_stopped |= world.turns[usize::from(l)] >= most;
            world.turns[usize::from(l)]
        });
        if turn >= most {
            prepare.event_loop().stop();
        }
        fail_unless(turn <= most, || "stop does not end a run (L-12)".into());
    });
    fail_unless(armed.is_ok() && counted.is_ok(), || "a run cannot be limited".into());
}

/// A run, ended by its drop, by unwinding too.
struct Run {
    l: u8,
    event_loop: Option<Rc<Loop>>,
}

impl Run {
    fn begin(l: u8, event_loop: Rc<Loop>) -> Run {
        world(|world| world.running[usize::from(l)] = true);
        Run { l, event_loop: Some(event_loop) }
    }

    fn event_loop(&self) -> &Loop {
        self.event_loop.as_ref().expect("it is there until the end")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let (timer, prepare) = world(|world| {
            world.running[usize::from(self.l)] = false;
            world.stoppers[usize::from(self.l)].clone()
        });
        timer.stop();
        prepare.stop();
        if let Some(event_loop) = self.event_loop.take() {
            release(self.l, event_loop);
        }
    }
}

pub fn run(l: u8, mode: Mode) {
    run_for(l, mode, LIMIT, TURNS);
}

pub fn run_for(l: u8, mode: Mode, limit: Duration, turns: u32) {
    let Some((event_loop, is_nested)) = loop_to_run(l) else { return };
    let mode = match mode {
        Mode::Default => RunMode::Default,
        Mode::Once => RunMode::Once,
        Mode::NoWait => RunMode::NoWait,
    };
    if is_nested {
        let refused = api(|| event_loop.run_mode(mode));
        return check_nested(l, event_loop, &refused);
    }
    arm(l, limit, turns);
    let run = Run::begin(l, event_loop);
    match running(|| run.event_loop().run_mode(mode)) {
        Ok(alive) => {
            let is_alive = run.event_loop().is_alive();
            fail_unless(alive == is_alive, || format!("a run says alive: {alive}"));
        }
        Err(err) => fail(format!("a run failed: {err}")),
    }
    check_alive(l);
}

pub fn block_on(l: u8, script: u8) {
    let Some((event_loop, is_nested)) = loop_to_run(l) else { return };
    let future = task(false, l, Code { body: script, end: 0, keeps: false });
    if is_nested {
        let refused = api(|| event_loop.block_on(future));
        return check_nested(l, event_loop, &refused);
    }
    arm(l, LIMIT, TURNS);
    let run = Run::begin(l, event_loop);
    let _ = running(|| run.event_loop().block_on(future));
}

fn loop_to_run(l: u8) -> Option<(Rc<Loop>, bool)> {
    let is_running = world(|world| world.running[usize::from(l)]);
    world(|world| world.loops[usize::from(l)].clone()).map(|event_loop| (event_loop, is_running))
}

fn check_nested<T>(l: u8, event_loop: Rc<Loop>, refused: &io::Result<T>) {
    let is_refused = matches!(refused, Err(err) if Misuse::of(err) == Some(Misuse::NestedRun));
    fail_unless(is_refused, || "a loop ran inside itself (L-16)".into());
    release(l, event_loop);
}

/// L-04: the two answers to whether there is something to run for are one.
pub fn check_alive(l: u8) {
    let event_loop = world(|world| world.handles[usize::from(l)].clone());
    let (is_alive, reasons) = (event_loop.is_alive(), event_loop.alive_because());
    fail_unless(is_alive != reasons.is_empty(), || {
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        format!("is_alive is {is_alive}, alive_because {reasons:?} (L-04)")
    });
}

pub fn drop_loop(l: u8) {
    if let Some(event_loop) = world(|world| world.loops[usize::from(l)].take()) {
        release(l, event_loop);
    }
}

/// Lets go of a loop. If this was the last to hold it, it is gone.
fn release(l: u8, event_loop: Rc<Loop>) {
    struct Disposing(u8);
    impl Drop for Disposing {
        fn drop(&mut self) {
            check_dropped(self.0);
        }
    }
    if Rc::strong_count(&event_loop) > 1 {
        return;
    }
    world(|world| world.gone[usize::from(l)] = true);
    let _disposing = Disposing(l);
    api(|| drop(event_loop));
}
