//! What a message and a timer cost as their number grows: nothing in a turn may be proportional to what is idle.

use std::time::Duration;

use crate::micro::{self, Run, timers};
use crate::options::Options;
use crate::pattern::Pattern;
use crate::progress::Progress;
use crate::scenario::{ONE, Scenario};
use crate::server::{LOAD_CORE, Server, pin_to_core};
use crate::summary::{Report, Spread, Table, grouped};
use crate::throughput::{Entry, most_connections, run_rounds};

/// So many connections talk; all others are idle.
const TALKING: usize = 10;

const CONNECTIONS: [usize; 4] = [10, 100, 1_000, 10_000];

const SERVERS: [&str; 4] = ["floor", "luvio", "luvio-tasks", "libuv"];

const TIMERS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

const OPERATIONS: [(&str, &str, Run); 3] = [
    ("start", "luvio, start", timers::luvio_start),
    ("stop", "luvio, stop", timers::luvio_stop),
    ("fire", "luvio, fire", timers::luvio_fire_at_once),
];

pub fn run(
    options: &Options,
    servers: &[Server],
    descriptors: usize,
    progress: &Progress,
    report: &mut Report,
) {
    grow_connections(options, servers, descriptors, progress, report);
    grow_timers(options, progress, report);
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
    let servers: Vec<&Server> =
        servers.iter().filter(|server| SERVERS.contains(&server.name)).collect();
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

fn grow_timers(options: &Options, progress: &Progress, report: &mut Report) {
    let mut table = Table::new(
        "growth: timers",
        "ns of CPU for each timer as there are more of them at once",
        &columns("operation", &TIMERS),
    );
    for (operation, title, run) in OPERATIONS {
        let mut row = vec![title.to_string()];
        for size in TIMERS {
            progress.step(&format!("{title}, {} timers", grouped(size as u64)));
            // Few timers are over in no time, so they are taken several times.
            let rounds = options.rounds_or(if options.quick { 1 } else { 5 });
            let repeat = (20_000 / size).max(1);
            let mut times = Vec::new();
            for _ in 0..rounds {
                let mut sum = Duration::ZERO;
                for _ in 0..repeat {
                    match micro::in_a_thread(run, size) {
                        Ok(taken) => sum += taken,
                        Err(reason) => report.fail(&format!("growth: {title}"), &reason),
                    }
                }
                times.push(sum.as_nanos() as f64 / (repeat * size) as f64);
            }
            let spread = Spread::of(&times);
            row.push(spread.map_or("-".into(), |spread| {
                format!("{:.1} ±{:.1}", spread.median, spread.half_width)
            }));
            let path = ["growth", "timers", operation, &size.to_string()];
            report.record(&path, &[("ns", spread.map(|spread| spread.median))]);
        }
        table.row(row);
    }
    table.note("start", "on a new loop each time, so its memory is touched for the first time");
    table.note("fire", "in order; they were started in none");
    table.note(
        "what grows",
        "the price of memory, which no longer fits the caches, and the logarithm of the number",
    );
    progress.clear();
    table.print();
}
