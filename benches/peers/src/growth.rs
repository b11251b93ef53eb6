//! What a message, a timer and a task that waits cost as their number grows: nothing may be proportional to what is idle.

use std::time::Duration;

use crate::micro::{self, Run, requests, timers, waiters};
use crate::options::Options;
use crate::pattern::Pattern;
use crate::progress::Progress;
use crate::scenario::{ONE, Scenario, Transport};
use crate::server::{LOAD_CORE, Server, pin_to_core};
use crate::summary::{Report, Spread, Table, grouped};
use crate::throughput::{Entry, most_connections, run_rounds};

/// So many connections talk; all others are idle.
const TALKING: usize = 10;

const CONNECTIONS: [usize; 4] = [10, 100, 1_000, 10_000];

const SERVERS: [&str; 4] = ["floor", "luvio", "luvio-tasks", "libuv"];

/// Operations on more and more things of one kind.
struct Growing {
    part: &'static str,
    what: &'static str,
    sizes: [usize; 4],
    operations: &'static [Operation],
    notes: &'static [(&'static str, &'static str)],
}

struct Operation {
    key: &'static str,
    title: &'static str,
    run: Run,
    /// How many a run does with so many things.
    count: fn(usize) -> usize,
}

const TIMERS: Growing = Growing {
    part: "timers",
    what: "ns of CPU for each timer as there are more of them at once",
    sizes: [1_000, 10_000, 100_000, 1_000_000],
    operations: &[
        each("start", "luvio, start", timers::luvio_start),
        each("stop", "luvio, stop", timers::luvio_stop),
        each("fire", "luvio, fire", timers::luvio_fire_at_once),
    ],
    notes: &[
        ("start", "on a new loop each time, so its memory is touched for the first time"),
        ("fire", "in order; they were started in none"),
        (
            "what grows",
            "the price of memory, which no longer fits the caches, and the logarithm of the number",
        ),
    ],
};

const WAITERS: Growing = Growing {
    part: "waiters",
    what: "ns of CPU for each event as more tasks wait for one, and for each wait that is given up",
    sizes: [10, 100, 1_000, 10_000],
    operations: &[
        each_event("notified", "luvio, a send to one of them", waiters::luvio_notified),
        each_event("accept_next", "luvio, a connection for one", waiters::luvio_accepted),
        each("leave", "luvio, wait and leave", waiters::luvio_left),
    ],
    notes: &[("a connection", "with the client's part, in the same process")],
};

const REQUESTS: Growing = Growing {
    part: "requests",
    what: "ns of CPU for each request as there are more of them on one stream",
    sizes: [1_000, 10_000, 100_000, 200_000],
    operations: &[
        each("drained", "luvio, wait to be drained, and be told", requests::luvio_drained),
        each("cancel", "luvio, cancel a write, from the back", requests::luvio_cancel),
    ],
    notes: &[],
};

const fn each(key: &'static str, title: &'static str, run: Run) -> Operation {
    Operation { key, title, run, count: |size| size }
}

const fn each_event(key: &'static str, title: &'static str, run: Run) -> Operation {
    Operation { key, title, run, count: |_| waiters::EVENTS }
}

pub fn run(
    options: &Options,
    servers: &[Server],
    descriptors: usize,
    progress: &Progress,
    report: &mut Report,
) {
    grow_connections(options, servers, descriptors, progress, report);
    for growing in [TIMERS, WAITERS, REQUESTS] {
        grow(&growing, options, progress, report);
    }
}

fn grow_connections(
    options: &Options,
    servers: &[Server],
    descriptors: usize,
    progress: &Progress,
    report: &mut Report,
) {
    pin_to_core(LOAD_CORE);
    let pattern = Pattern::new();
    let takes_part =
        |server: &&Server| server.transport == Transport::Tcp && SERVERS.contains(&server.name);
    let servers: Vec<&Server> = servers.iter().filter(takes_part).collect();
    // With --quick the largest is left out, since it takes a while to connect.
    let most = if options.quick { 1_000 } else { usize::MAX };
    let room = most_connections(descriptors);
    let sizes: Vec<usize> =
        CONNECTIONS.into_iter().filter(|&size| size <= most.min(room)).collect();
    let scenarios: Vec<Scenario> = sizes.iter().map(|&size| scenario(size)).collect();
    let mut table = Table::new(
        "growth: connections",
        "CPU µs per message as there are more connections, 10 of which talk, and × what it is with 10",
        &columns("server", &sizes),
    );
    let mut entries = Vec::new();
    for server in &servers {
        for (scenario, &size) in scenarios.iter().zip(&sizes) {
            progress.step(&format!("{} with {} connections", server.name, grouped(size as u64)));
            match Entry::start(server, scenario, scenario.idle, &pattern) {
                Ok(entry) => entries.push((size, entry)),
                Err(reason) => {
                    server.note_missing("growth", &reason, report);
                    table.note(server.name, &reason);
                    break;
                }
            }
        }
    }
    let mut all: Vec<&mut Entry<'_>> = entries.iter_mut().map(|(_, entry)| entry).collect();
    run_rounds(options, &mut all, progress);
    for server in &servers {
        let mut row = vec![server.name.to_string()];
        let of_server = |size: usize| {
            let mut of_server =
                entries.iter().filter(|(_, entry)| entry.server.name == server.name);
            of_server.find(|(other, _)| *other == size).map(|(_, entry)| entry)
        };
        for &size in &sizes {
            let Some(entry) = of_server(size) else { break };
            if let Some(failure) = &entry.failure {
                server.note_missing("growth", failure, report);
                table.note(server.name, failure);
                break;
            }
            let cpu = Spread::of(&entry.cpu);
            let ratio = of_server(sizes[0]).and_then(|few| Spread::of_ratios(&entry.cpu, &few.cpu));
            row.push(match cpu.zip(ratio) {
                Some((cpu, ratio)) => format!("{:.2} (× {ratio})", cpu.median / 1_000.0),
                None => "-".into(),
            });
            let size = size.to_string();
            report.record(
                &["growth", "connections", server.name, &size],
                &[
                    ("cpu_ns_per_message", cpu.map(|cpu| cpu.median)),
                    ("ratio_to_10", ratio.map(|ratio| ratio.median)),
                    ("ratio_to_10_spread", ratio.map(|ratio| ratio.half_width)),
                ],
            );
        }
        table.row(row);
    }
    if sizes.len() < CONNECTIONS.len() {
        let why = match options.quick {
            true => "left out with --quick".to_string(),
            false => format!(
                "more descriptors would be needed than the {descriptors} allowed (ulimit -n)"
            ),
        };
        table.note("more connections", &why);
    }
    progress.clear();
    table.print();
}

fn scenario(connections: usize) -> Scenario {
    Scenario {
        name: "growth",
        what: "",
        transport: Transport::Tcp,
        connections: TALKING,
        idle: connections - TALKING,
        message: 64,
        shape: ONE,
    }
}

fn columns(first: &'static str, sizes: &[usize]) -> Vec<String> {
    let sizes = sizes.iter().map(|&size| grouped(size as u64));
    std::iter::once(first.to_string()).chain(sizes).collect()
}

fn grow(growing: &Growing, options: &Options, progress: &Progress, report: &mut Report) {
    let Growing { part, what, sizes, operations, notes } = growing;
    let mut table = Table::new(&format!("growth: {part}"), what, &columns("operation", sizes));
    for Operation { key, title, run, count } in *operations {
        let mut row = vec![title.to_string()];
        for &size in sizes {
            progress.step(&format!("{title}, {} {part}", grouped(size as u64)));
            // Few of them are over in no time, so they are taken several times.
            let rounds = options.rounds_or(if options.quick { 1 } else { 5 });
            let repeat = (20_000 / size.max(count(size))).max(1);
            let mut times = Vec::new();
            for _ in 0..rounds {
                let mut sum = Duration::ZERO;
                for _ in 0..repeat {
                    match micro::in_a_thread(*run, size) {
                        Ok(taken) => sum += taken,
                        Err(reason) => report.fail(&format!("growth: {title}"), &reason),
                    }
                }
                times.push(sum.as_nanos() as f64 / (repeat * count(size)) as f64);
            }
            let spread = Spread::of(&times);
            row.push(spread.map_or("-".into(), |spread| {
                format!("{:.1} ±{:.1}", spread.median, spread.half_width)
            }));
            let path = ["growth", part, key, &size.to_string()];
            report.record(&path, &[("ns", spread.map(|spread| spread.median))]);
        }
        table.row(row);
    }
    for (name, note) in *notes {
        table.note(name, note);
    }
    progress.clear();
    table.print();
}
