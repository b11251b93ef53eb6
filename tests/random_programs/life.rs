//! The life of a program: its loops, their runs, and its end.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use luvio::{Builder, Loop, LoopHandle, Misuse, Prepare, RunMode, Timer};

use super::data::check_connections;
use super::futures::task;
use super::given::{check_counts, check_dropped, is_planned};
use super::perform::perform;
use super::program::{Code, HELD, Mode, Program, SLOTS, Setting};
use super::requests::check_not_forgotten;
use super::world::{
    World, api, begin, fail, fail_unless, hold, is_gone, put, running, script, take, try_world,
    world,
};

/// So many actions one program does in all.
const BUDGET: u32 = 300;
/// What a loop of which nothing was asked has for its number.
const READS_PER_TURN: u32 = 32;
/// After so many turns a run is stopped, …
const TURNS: u32 = 25;
/// … unless everything is closed, and so it ends by itself.
const MANY_TURNS: u32 = 500;
/// So many turns are enough for all tasks to be polled that are ready.
const FEW_TURNS: u32 = 8;
const LONG: Duration = Duration::from_millis(500);
/// The usual time limit of a run.
const LIMIT: Duration = Duration::from_millis(2);

thread_local! {
    /// What the last panic said.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics noted, and those of programs not printed.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !is_planned(info.payload()) {
            LAST_PANIC.set(info.to_string());
            eprintln!("{info}");
        }
    }));
}

/// Without this a signal for which nobody has a handle would end the process.
pub fn catch_signals() {
    #[cfg(feature = "signal")]
    for signum in [libc::SIGUSR1, libc::SIGUSR2] {
        let caught = signal_hook::flag::register(signum, std::sync::Arc::default());
        caught.expect("these may be caught");
    }
}

/// The logger is code of the program, too.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        drop(record.args().to_string());
        let logger = try_world(|world| world.logger);
        script(logger.unwrap_or(0), None);
    }

    fn flush(&self) {}
}

pub fn log_to_programs() {
    log::set_logger(&Logger).expect("nobody else logs here");
    log::set_max_level(log::LevelFilter::Debug);
}

/// Runs a program to its end, and says which promise was not kept.
pub fn live(program: Program, silent: Option<SocketAddr>) -> Result<(), String> {
    let descriptors = open_descriptors();
    let mut fresh = World::default();
    fresh.scripts = Rc::new(program.scripts);
    fresh.budget = BUDGET;
    fresh.silent = silent;
    fresh.logger = logger_of(&program.settings);
    fresh.is_virtual = program.settings.iter().any(|it| matches!(it, Setting::VirtualClock));
    fresh.reads_per_turn = [reads_per_turn(&program.settings), READS_PER_TURN];
    begin(fresh);
    for builder in [builder_of(&program.settings), Loop::builder()] {
        let event_loop = builder.build().expect("a loop can be made");
        let stopper = stopper(&event_loop);
        world(|world| {
            world.handles.push(event_loop.handle().clone());
            world.stoppers.push(stopper);
            let l = world.handles.len() - 1;
            world.loops[l] = Some(Rc::new(event_loop));
        });
    }
    let main = world(|world| Rc::clone(&world.scripts));
    for &action in &main[0] {
        catch(|| perform(action));
        (0..2).for_each(check_alive);
    }
    wind_down();
    if (0..2).all(is_gone) {
        check_descriptors("the loops were dropped", descriptors);
    }
    forget_everything();
    close_loops();
    check_descriptors("the program is over", descriptors);
    check_counts();
    check_connections();
    match world(|world| world.failure.take()) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn builder_of(settings: &[Setting]) -> Builder {
    settings.iter().fold(Loop::builder(), |builder, setting| match *setting {
        Setting::VirtualClock => builder.virtual_clock(),
        Setting::ReadsPerTurn(count) => builder.reads_per_turn(count),
        Setting::WritesPerTurn(count) => builder.writes_per_turn(count),
        Setting::ReadChunk(bytes) => builder.read_chunk(bytes as usize),
        Setting::AcceptsPerTurn(count) => builder.accepts_per_turn(count),
        Setting::TasksPerTurn(count) => builder.tasks_per_turn(count),
        Setting::HighWater(bytes) => builder.high_water(bytes as usize),
        Setting::SlowCallback => builder.slow_callback(Duration::ZERO),
        Setting::Logger(_) => builder,
    })
}

fn logger_of(settings: &[Setting]) -> u8 {
    let mut scripts = settings.iter().filter_map(|setting| match setting {
        Setting::Logger(script) => Some(*script),
        _ => None,
    });
    scripts.next_back().unwrap_or(0)
}

fn reads_per_turn(settings: &[Setting]) -> u32 {
    let set = settings.iter().rev().find_map(|setting| match setting {
        Setting::ReadsPerTurn(count) => Some(*count),
        _ => None,
    });
    set.unwrap_or(READS_PER_TURN)
}

#[cfg(target_os = "linux")]
fn open_descriptors() -> usize {
    super::support::open_descriptors()
}

#[cfg(not(target_os = "linux"))]
fn open_descriptors() -> usize {
    0
}

fn check_descriptors(when: &str, before: usize) {
    let now = open_descriptors();
    fail_unless(now == before, || format!("{when}: {before} descriptors were open, and {now} are"));
}

// ---- runs ---------------------------------------------------------------------------------------------------------------

/// What stops a run that would not end: neither holds the loop.
fn stopper(event_loop: &LoopHandle) -> (Timer, Prepare) {
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

fn run_for(l: u8, mode: Mode, limit: Duration, turns: u32) {
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
fn check_alive(l: u8) {
    let event_loop = world(|world| world.handles[usize::from(l)].clone());
    let (is_alive, reasons) = (event_loop.is_alive(), event_loop.alive_because());
    fail_unless(is_alive != reasons.is_empty(), || {
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        format!("is_alive is {is_alive}, alive_because {reasons:?} (L-04)")
    });
}

// ---- the end --------------------------------------------------------------------------------------------------------------

/// Runs what may panic, if the panic is the program's.
fn catch(what: impl FnOnce()) {
    let mut caught = catch_unwind(AssertUnwindSafe(what));
    while let Err(payload) = caught {
        fail_unless(is_planned(&*payload), || {
            format!("a panic that is not the program's: {}", LAST_PANIC.take())
        });
        // Its destructor may panic, too.
        caught = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
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

/// Closes every handle, and has every task end by itself.
fn wind_down() {
    (0..2).for_each(turn_until_quiet);
    (0..HELD).for_each(|s| catch(|| check_not_forgotten(s)));
    for budget in [15, 0] {
        world(|world| world.budget = world.budget.min(budget));
        (0..2).for_each(close_all);
        (0..2).for_each(turn_until_quiet);
    }
    (0..2).for_each(turn_until_quiet);
    let waiting = world(|world| world.waiting);
    fail_unless(waiting == 0, || {
        format!("{waiting} tasks wait for handles that are closed (Z-05)")
    });
    (0..HELD).for_each(check_held);
    let enders = world(|world| {
        world.ending = true;
        mem::take(&mut world.enders)
    });
    enders.into_iter().for_each(|waker| catch(|| waker.wake()));
    for l in 0..2 {
        world(|world| world.was_stopped = false);
        catch(|| run_for(l, Mode::Default, LONG, MANY_TURNS));
        check_over(l);
    }
}

/// Turns as long as there is something to do at once, and a few times in any case: what is deferred keeps the loop running
/// for unreferenced tasks that another loop woke.
fn turn_until_quiet(l: u8) {
    let event_loop = world(|world| world.handles[usize::from(l)].clone());
    for turn in 0..MANY_TURNS {
        event_loop.defer(|_| {});
        catch(|| run(l, Mode::NoWait));
        let is_quiet = event_loop.backend_timeout() != Some(Duration::ZERO);
        if turn >= FEW_TURNS && (is_quiet || !event_loop.is_alive()) {
            break;
        }
    }
}

fn close_all(l: u8) {
    let own = world(|world| world.stopper_places());
    let event_loop = world(|world| world.handles[usize::from(l)].clone());
    catch(|| {
        event_loop.walk(|handle| {
            if !own.contains(&handle.created_at()) {
                catch(|| drop(handle.close()));
            }
        });
    });
}

/// What is still held of requests and futures has ended with its handle, and whoever waits for it was told.
fn check_held(s: u8) {
    if let Some(mut held) = take(s, |world| &mut world.requests) {
        let is_over = held.request.is_finished();
        let polled = std::pin::Pin::new(&mut held.request);
        let polled = std::future::Future::poll(polled, &mut Context::from_waker(Waker::noop()));
        fail_unless(is_over && polled.is_ready(), || {
            "a request has not ended with its handle".into()
        });
    }
    if let Some(mut held) = take(s, |world| &mut world.futures) {
        let was_woken = held.woken.load(SeqCst);
        fail_unless(!held.must_end || was_woken, || {
            "a future that waits for a closed handle was not woken (Z-05)".into()
        });
        if held.must_end {
            let mut polled = Poll::Pending;
            let context = &mut Context::from_waker(Waker::noop());
            catch(|| polled = held.future.as_mut().poll(context));
            fail_unless(polled.is_ready(), || {
                "a future has not ended with its handle (Z-05)".into()
            });
        }
        catch(|| drop(held));
    }
}

/// L-03: everything is closed, and so the run ended by itself.
fn check_over(l: u8) {
    let event_loop = world(|world| world.handles[usize::from(l)].clone());
    let was_stopped = world(|world| world.was_stopped);
    let reasons: Vec<_> = event_loop.alive_because().iter().map(ToString::to_string).collect();
    fail_unless(!was_stopped && !event_loop.is_alive(), || {
        format!("everything is closed, and the loop goes on: {reasons:?} (L-03)")
    });
    let own = world(|world| world.stopper_places());
    event_loop.walk(|handle| {
        fail_unless(own.contains(&handle.created_at()), || {
            format!("a {} is left though it was closed", handle.kind())
        });
    });
}

fn forget_everything() {
    for s in 0..HELD {
        catch(|| hold(s, None, |world| &mut world.requests));
        catch(|| hold(s, None, |world| &mut world.cancelers));
        catch(|| hold(s, None, |world| &mut world.futures));
        catch(|| hold(s, None, |world| &mut world.tasks));
        catch(|| hold(s, None, |world| &mut world.wakers));
        catch(|| hold(s, None, |world| &mut world.resumes));
    }
    (0..SLOTS).for_each(|h| catch(|| put(h, None)));
}

/// L-31: nothing is left on the loops.
fn close_loops() {
    for l in 0..2_u8 {
        let Some(event_loop) = world(|world| world.loops[usize::from(l)].take()) else { continue };
        if world(|world| world.failure.is_some()) {
            catch(|| drop(event_loop));
            continue;
        }
        let (timer, prepare) = world(|world| world.stoppers[usize::from(l)].clone());
        timer.close();
        prepare.close();
        world(|world| world.running[usize::from(l)] = true);
        catch(|| drop(event_loop.run()));
        world(|world| world.running[usize::from(l)] = false);
        let Ok(event_loop) = Rc::try_unwrap(event_loop) else { continue };
        if let Err(err) = event_loop.close() {
            fail(format!("the loop is not done: {err}"));
        }
    }
}
