//! Single operations in one process, in nanoseconds each: luvio beside those peers that have the same thing.

mod completions;
mod libuv;
pub mod requests;
mod stopwatch;
mod tasks;
mod threads;
pub mod timers;
mod turns;
pub mod waiters;

use std::future::Future;
use std::thread;
use std::time::Duration;

use luvio::Loop;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::options::Options;
use crate::progress::Progress;
use crate::server::{SERVER_CORE, pin_to_core};
use crate::summary::{Report, Spread, Table};

/// Runs an operation so many times, and says how long that took.
pub type Run = fn(usize) -> Duration;

/// An operation, and who has it. luvio comes first.
struct Measure {
    /// "1M" in it is what the number of operations stands for.
    name: &'static str,
    what: &'static str,
    operations: usize,
    peers: &'static [(&'static str, Run)],
    /// What the program on libuv calls it, if libuv has it.
    libuv: Option<&'static str>,
}

const MILLION: usize = 1_000_000;

const MEASURES: &[Measure] = &[
    measure(
        "loop turn",
        "with nothing ready; luvio and libuv with an idle callback, which keeps them from sleeping",
        100_000,
        &[("luvio", turns::luvio), ("mio", turns::mio)],
    )
    .and_libuv("turn"),
    measure(
        "notifier send and turn",
        "on the loop's own thread: send, one turn, the callback has run",
        100_000,
        &[("luvio", turns::luvio_notified), ("mio", turns::mio_woken)],
    )
    .and_libuv("wake-turn"),
    measure(
        "timer start, 1M live",
        "a million timers, none started before, in no order",
        MILLION,
        &[
            ("luvio", timers::luvio_start),
            ("tokio", timers::tokio_start),
            ("async-io", timers::async_io_start),
        ],
    )
    .and_libuv("timer-start"),
    measure(
        "timer stop, 1M live",
        "all of a million, in no order",
        MILLION,
        &[
            ("luvio", timers::luvio_stop),
            ("tokio", timers::tokio_stop),
            ("async-io", timers::async_io_stop),
        ],
    )
    .and_libuv("timer-stop"),
    measure(
        "timer restart, 1M live",
        "each of a million running ones is started anew, for another time",
        MILLION,
        &[
            ("luvio", timers::luvio_restart),
            ("tokio", timers::tokio_restart),
            ("async-io", timers::async_io_restart),
        ],
    )
    .and_libuv("timer-restart"),
    measure(
        "timer again, 1M live",
        "each of a million running ones",
        MILLION,
        &[("luvio", timers::luvio_again)],
    )
    .and_libuv("timer-again"),
    measure(
        "timer fire, 1M due",
        "started in no order, over 0.1 s, all due when the loop looks",
        MILLION,
        &[
            ("luvio", timers::luvio_fire),
            ("tokio", timers::tokio_fire),
            ("async-io", timers::async_io_fire),
        ],
    )
    .and_libuv("timer-fire"),
    measure(
        "timer start and stop, alone",
        "no other timer is running",
        MILLION,
        &[
            ("luvio", timers::luvio_alone),
            ("tokio", timers::tokio_alone),
            ("async-io", timers::async_io_alone),
        ],
    )
    .and_libuv("timer-alone"),
    measure(
        "spawn and join, each",
        "the next is spawned when the last was joined",
        100_000,
        &[
            ("luvio", tasks::luvio_spawn_each),
            ("tokio", tasks::tokio_spawn_each),
            ("async-executor", tasks::async_executor_spawn_each),
            ("futures", tasks::futures_spawn_each),
        ],
    ),
    measure(
        "spawn and join, by 1,000",
        "",
        100_000,
        &[
            ("luvio", tasks::luvio_spawn),
            ("tokio", tasks::tokio_spawn),
            ("async-executor", tasks::async_executor_spawn),
            ("futures", tasks::futures_spawn),
        ],
    ),
    measure(
        "spawn 100,000 at once, and join",
        "",
        100_000,
        &[
            ("luvio", tasks::luvio_spawn_all),
            ("tokio", tasks::tokio_spawn_all),
            ("async-executor", tasks::async_executor_spawn_all),
            ("futures", tasks::futures_spawn_all),
        ],
    ),
    measure(
        "yield_now, 1 task",
        "luvio and tokio let a poll for I/O go by each time; async-executor has none",
        200_000,
        &[
            ("luvio", tasks::luvio_yield_1),
            ("tokio", tasks::tokio_yield_1),
            ("async-executor", tasks::async_executor_yield_1),
        ],
    ),
    measure(
        "yield_now, 1,000 tasks",
        "",
        MILLION,
        &[
            ("luvio", tasks::luvio_yield_1000),
            ("tokio", tasks::tokio_yield_1000),
            ("async-executor", tasks::async_executor_yield_1000),
        ],
    ),
    measure(
        "self wake, 1 task",
        "a task wakes itself and is polled again",
        MILLION,
        &[
            ("luvio", tasks::luvio_wake_1),
            ("tokio", tasks::tokio_wake_1),
            ("async-executor", tasks::async_executor_wake_1),
            ("futures", tasks::futures_wake_1),
        ],
    ),
    measure(
        "self wake, 1,000 tasks",
        "",
        MILLION,
        &[
            ("luvio", tasks::luvio_wake_1000),
            ("tokio", tasks::tokio_wake_1000),
            ("async-executor", tasks::async_executor_wake_1000),
            ("futures", tasks::futures_wake_1000),
        ],
    ),
    measure(
        "callback to future",
        "a callback that comes while the task waits: await_callback; elsewhere a oneshot channel",
        MILLION,
        &[
            ("luvio", completions::luvio_callback),
            ("tokio", completions::tokio_oneshot),
            ("async-executor", completions::async_executor_oneshot),
            ("futures", completions::futures_oneshot),
        ],
    ),
    measure(
        "request, callback",
        "`then` on a request that is over: queued, and called in the next pass; by 1,000",
        MILLION,
        &[("luvio", completions::luvio_request_then)],
    ),
    measure(
        "request, await",
        "of a request that is over; elsewhere of a oneshot channel that has its value",
        MILLION,
        &[
            ("luvio", completions::luvio_request_await),
            ("tokio", completions::tokio_ready_oneshot),
            ("futures", completions::futures_ready_oneshot),
        ],
    ),
    measure(
        "deferred callback",
        "queued, and called in the next pass; by 1,000",
        MILLION,
        &[("luvio", completions::luvio_defer)],
    ),
    measure("coroutine resume", "and its yield", MILLION, &[("luvio", completions::coroutine)]),
    measure(
        "wake that is pending already",
        "a send that finds another one whose callback has not run yet",
        MILLION,
        &[("luvio", threads::luvio_pending), ("mio", threads::mio_pending)],
    )
    .and_libuv("wake-pending"),
    measure(
        "wake in a burst, other thread",
        "10,000 wakes of a task while its loop is busy, then the one poll that they lead to",
        MILLION,
        &[
            ("luvio", threads::luvio_burst),
            ("tokio", threads::tokio_burst),
            ("async-executor", threads::async_executor_burst),
        ],
    ),
    measure(
        "messages from 8 threads",
        "to one task, through a channel of futures; none is lost",
        80_000,
        &[("luvio", threads::luvio_messages), ("tokio", threads::tokio_messages)],
    ),
    measure(
        "round trip between threads",
        "by the clock on the wall, both asleep in between: the machine's price, not the library's",
        2_000,
        &[
            ("luvio", threads::luvio_round_trip),
            ("tokio", threads::tokio_round_trip),
            ("async-io", threads::async_io_round_trip),
        ],
    ),
];

const fn measure(
    name: &'static str,
    what: &'static str,
    operations: usize,
    peers: &'static [(&'static str, Run)],
) -> Measure {
    Measure { name, what, operations, peers, libuv: None }
}

impl Measure {
    /// What it is called and how many operations there are, with fewer at once for a first impression.
    fn scale(&self, options: &Options) -> (String, usize) {
        match options.quick && self.operations == MILLION {
            true => (self.name.replace("1M", "100k"), MILLION / 10),
            false => (self.name.to_string(), self.operations),
        }
    }

    const fn and_libuv(self, operation: &'static str) -> Measure {
        Measure { libuv: Some(operation), ..self }
    }
}

/// The server that a peer belongs to, by whose name it is asked for.
fn server_of(peer: &str) -> &str {
    match peer {
        "mio" => "floor",
        "async-io" | "async-executor" | "futures" => "smol",
        peer => peer,
    }
}

pub fn run(options: &Options, progress: &Progress, report: &mut Report) {
    let rounds = options.rounds_or(if options.quick { 1 } else { 7 });
    let mut table = Table::new(
        "micro",
        "single operations in one process, in CPU time",
        &["operation", "peer", "ns each", "× luvio"],
    );
    let libuv = options.wants_server("libuv").then(libuv::build);
    for measure in MEASURES {
        let (name, operations) = measure.scale(options);
        let mut peers: Vec<Peer<'_>> = Vec::new();
        for &(peer, run) in measure.peers {
            if peer == "luvio" || options.wants_server(server_of(peer)) {
                peers.push(Peer::new(peer, Box::new(move |count| in_a_thread(run, count))));
            }
        }
        if let (Some(operation), Some(Ok(libuv))) = (measure.libuv, &libuv) {
            peers.push(Peer::new("libuv", Box::new(|count| libuv::run(libuv, operation, count))));
        }
        for round in 0..rounds {
            progress.step(&format!("{name}, round {} of {rounds}", round + 1));
            for peer in &mut peers {
                peer.run(operations);
            }
        }
        show(&name, &peers, &mut table, report);
        if !measure.what.is_empty() {
            table.note(&name, measure.what);
        }
    }
    if let Some(Err(missing)) = &libuv {
        table.note("libuv", missing);
    }
    progress.clear();
    table.print();
}

/// Someone who has the operation.
struct Peer<'a> {
    name: &'static str,
    run: Box<dyn Fn(usize) -> Result<Duration, String> + 'a>,
    /// Nanoseconds for each operation, of each round.
    times: Vec<f64>,
    failure: Option<String>,
}

impl<'a> Peer<'a> {
    fn new(
        name: &'static str,
        run: Box<dyn Fn(usize) -> Result<Duration, String> + 'a>,
    ) -> Peer<'a> {
        Peer { name, run, times: Vec::new(), failure: None }
    }

    fn run(&mut self, operations: usize) {
        if self.failure.is_some() {
            return;
        }
        match (self.run)(operations) {
            Ok(taken) => self.times.push(taken.as_nanos() as f64 / operations as f64),
            Err(reason) => self.failure = Some(reason),
        }
    }
}

/// In a thread of its own, so that no peer inherits what another one left.
pub fn in_a_thread(run: Run, count: usize) -> Result<Duration, String> {
    let run = move || {
        pin_to_core(SERVER_CORE);
        run(count)
    };
    // The panic has said already what it was.
    thread::spawn(run).join().map_err(|_| "it panicked".into())
}

fn show(name: &str, peers: &[Peer<'_>], table: &mut Table, report: &mut Report) {
    let ours = &peers[0].times;
    for peer in peers {
        let mut row = vec![name.into(), peer.name.into()];
        if let Some(failure) = &peer.failure {
            report.fail(&format!("micro: {name}: {}", peer.name), failure);
            table.note(peer.name, &format!("{name}: {failure}"));
            table.row(row);
            continue;
        }
        let Some(spread) = Spread::of(&peer.times) else { continue };
        let ratio = Spread::of_ratios(&peer.times, ours);
        row.push(format!("{:.1} ±{:.1}", spread.median, spread.half_width));
        row.push(ratio.map_or("-".into(), |ratio| format!("{:.2}", ratio.median)));
        table.row(row);
        report.record(
            &["micro", name, peer.name],
            &[("ns", Some(spread.median)), ("ns_spread", Some(spread.half_width))],
        );
    }
}

/// Visits 0..count in an order that looks random and is always the same. The program on libuv has the same.
pub fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

fn new_loop() -> Loop {
    Loop::new().expect("a loop can be made")
}

fn luvio_block_on<F: Future>(future: F) -> F::Output {
    new_loop().block_on(future).expect("the future ends")
}

fn tokio_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    LocalSet::new().block_on(&tokio_runtime(), future)
}
