//! The life of a program, and its end.

use std::cell::RefCell;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use luvio::{Builder, Loop};

use super::data::check_connections;
use super::given::{check_counts, is_planned};
use super::perform::perform;
use super::program::{HELD, Mode, Program, SLOTS, Setting};
use super::requests::check_not_forgotten;
use super::runs::{check_alive, run, run_for, stopper};
use super::world::{
    World, begin, fail, fail_unless, hold, is_gone, put, script, take, try_world, world,
};

/// So many actions one program does in all.
const BUDGET: u32 = 300;
/// What a loop of which nothing was asked has for its number.
const READS_PER_TURN: u32 = 32;
/// When everything is closed, a run ends by itself within so many turns, and so long.
const MANY_TURNS: u32 = 500;
const LONG: Duration = Duration::from_millis(500);
/// So many turns are enough for all tasks to be polled that are ready.
const FEW_TURNS: u32 = 8;

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
