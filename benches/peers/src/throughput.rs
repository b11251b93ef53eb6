//! Servers under load: interleaved rounds, so that all of them meet the same weather.

use std::io::{self, IsTerminal, Write};

use hdrhistogram::Histogram;

use crate::load::Clients;
use crate::options::Options;
use crate::pattern::Pattern;
use crate::scenario::{self, Scenario, Shape};
use crate::server::{FLOOR, Running, Server, pin_to_core};
use crate::summary::{Report, Spread, Table, count, micros};

/// All rounds of one server in one scenario.
struct Entry<'a> {
    server: &'a Server,
    running: Running,
    clients: Clients<'a>,
    /// Messages a second, and server nanoseconds a message, of each round.
    rates: Vec<f64>,
    cpu: Vec<f64>,
    latency: Histogram<u64>,
    /// Bytes of the server's memory for each idle connection.
    idle_bytes: Option<f64>,
    failure: Option<String>,
}

pub fn run(options: &Options, servers: &[Server], descriptors: u64, report: &mut Report) {
    pin_to_core(1);
    let pattern = Pattern::new();
    for scenario in scenario::ALL.iter().filter(|scenario| options.wants(scenario.name)) {
        // What this process has to spare for each server beside the connections of the scenario.
        let room = usize::try_from(descriptors).unwrap_or(usize::MAX) / servers.len();
        let room = room.saturating_sub(scenario.connections + 200);
        let most = if options.quick { 1_000 } else { scenario.idle };
        let idle = scenario.idle.min(most).min(room);
        run_scenario(options, servers, scenario, idle, &pattern, report);
    }
}

fn run_scenario(
    options: &Options,
    servers: &[Server],
    scenario: &Scenario,
    idle: usize,
    pattern: &Pattern,
    report: &mut Report,
) {
    let mut entries = Vec::new();
    let mut missing = Vec::new();
    let takes_part = |server: &&Server| server.only_in.is_none_or(|only| only == scenario.name);
    for server in servers.iter().filter(takes_part) {
        progress(&format!("{}: starting {}", scenario.name, server.name));
        match start(server, scenario, idle, pattern) {
            Ok(entry) => entries.push(entry),
            Err(reason) => missing.push((server.name, reason)),
        }
    }
    for round in 0..options.rounds {
        progress(&format!("{}: round {} of {}", scenario.name, round + 1, options.rounds));
        for turn in 0..entries.len() {
            let index = (turn + round) % entries.len();
            let entry = &mut entries[index];
            if entry.failure.is_none() {
                if let Err(err) = entry.run(options) {
                    entry.failure = Some(err.to_string());
                }
            }
        }
    }
    progress("");
    show(scenario, idle, &entries, &missing, report);
}

fn start<'a>(
    server: &'a Server,
    scenario: &'a Scenario,
    idle: usize,
    pattern: &'a Pattern,
) -> Result<Entry<'a>, String> {
    let running = Running::start(server.program.as_ref()?, &[])?;
    let connected = Clients::connect(scenario, pattern, running.addr);
    let mut clients = connected.map_err(|err| err.to_string())?;
    let mut idle_bytes = None;
    if idle > 0 {
        // The first hundred fill what grows once.
        clients.add_idle(100).map_err(|err| err.to_string())?;
        let before = running.memory();
        clients.add_idle(idle).map_err(|err| err.to_string())?;
        idle_bytes = before
            .zip(running.memory())
            .map(|(before, after)| after.saturating_sub(before) as f64 / idle as f64);
    }
    Ok(Entry {
        server,
        running,
        clients,
        rates: Vec::new(),
        cpu: Vec::new(),
        latency: Histogram::new(2).expect("two digits can be had"),
        idle_bytes,
        failure: None,
    })
}

impl Entry<'_> {
    fn run(&mut self, options: &Options) -> io::Result<()> {
        let before = self.running.cpu_ns();
        let sample = self.clients.run(options.slice)?;
        let after = self.running.cpu_ns();
        let messages = sample.messages.max(1) as f64;
        self.rates.push(messages / sample.elapsed.as_secs_f64());
        if let Some((before, after)) = before.zip(after) {
            self.cpu.push(after.saturating_sub(before) as f64 / messages);
        }
        self.latency.add(&sample.latency).map_err(io::Error::other)
    }
}

fn show(
    scenario: &Scenario,
    idle: usize,
    entries: &[Entry<'_>],
    missing: &[(&'static str, String)],
    report: &mut Report,
) {
    let rate = match scenario.shape {
        Shape::Stream => "MB/s",
        Shape::Churn => "conns/s",
        Shape::Messages { .. } => "msgs/s",
    };
    let mut columns = vec![
        "server",
        rate,
        "× floor",
        "CPU µs/msg",
        "CPU × floor",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
    ];
    if idle > 0 {
        columns.push("B/idle conn");
    }
    let what = match idle {
        0 => scenario.what.to_string(),
        idle => format!("{} ({} idle here)", scenario.what, count(idle as f64)),
    };
    let mut table = Table::new(scenario.name, &what, &columns);
    let floor = entries.iter().find(|entry| entry.server.name == FLOOR);
    for entry in entries {
        if let Some(failure) = &entry.failure {
            report.fail(entry.server.name, failure);
            table.note(entry.server.name, failure);
            continue;
        }
        let rates = Spread::of(&entry.rates);
        let cpu = Spread::of(&entry.cpu);
        let (rate_ratio, cpu_ratio) = match floor {
            Some(floor) => (
                Spread::of_ratios(&entry.rates, &floor.rates),
                Spread::of_ratios(&entry.cpu, &floor.cpu),
            ),
            None => (None, None),
        };
        let per_unit =
            if scenario.shape == Shape::Stream { scenario.message as f64 / 1e6 } else { 1.0 };
        let quantile = |q: f64| match entry.latency.is_empty() {
            true => "-".to_string(),
            false => micros(entry.latency.value_at_quantile(q) as f64),
        };
        let mut row = vec![
            entry.server.name.to_string(),
            rates.map_or("-".into(), |rates| count(rates.median * per_unit)),
            rate_ratio.map_or("-".into(), |ratio| ratio.to_string()),
            cpu.map_or("-".into(), |cpu| micros(cpu.median)),
            cpu_ratio.map_or("-".into(), |ratio| ratio.to_string()),
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
        ];
        if idle > 0 {
            row.push(entry.idle_bytes.map_or("-".into(), count));
        }
        table.row(row);
        report.record(
            scenario.name,
            entry.server.name,
            &[
                ("per_second", rates.map(|rates| rates.median * per_unit)),
                ("ratio_to_floor", rate_ratio.map(|ratio| ratio.median)),
                ("ratio_to_floor_spread", rate_ratio.map(|ratio| ratio.half_width)),
                ("cpu_ns_per_message", cpu.map(|cpu| cpu.median)),
                ("cpu_ratio_to_floor", cpu_ratio.map(|ratio| ratio.median)),
                ("cpu_ratio_to_floor_spread", cpu_ratio.map(|ratio| ratio.half_width)),
                ("p50_ns", entry.quantile(0.5)),
                ("p99_ns", entry.quantile(0.99)),
                ("p999_ns", entry.quantile(0.999)),
                ("idle_bytes", entry.idle_bytes),
            ],
        );
    }
    show_pairs(entries, &mut table, report, scenario.name);
    for (name, reason) in missing {
        // A peer that this system does not have is no failure of the run.
        if *name != "libuv" {
            report.fail(name, reason);
        }
        table.note(name, reason);
    }
    table.print();
}

/// The comparisons that are not with the floor: luvio with libuv and tokio, its tasks with its callbacks.
fn show_pairs(entries: &[Entry<'_>], table: &mut Table, report: &mut Report, scenario: &str) {
    let find = |name: &str| {
        entries.iter().find(|entry| entry.server.name == name && entry.failure.is_none())
    };
    for (ours, theirs) in [("luvio", "libuv"), ("luvio", "tokio"), ("luvio-tasks", "luvio")] {
        let Some((ours, theirs)) = find(ours).zip(find(theirs)) else { continue };
        let rate = Spread::of_ratios(&ours.rates, &theirs.rates);
        let cpu = Spread::of_ratios(&ours.cpu, &theirs.cpu);
        let pair = format!("{} / {}", ours.server.name, theirs.server.name);
        let show = |spread: Option<Spread>| spread.map_or("-".into(), |spread| spread.to_string());
        table.note(&pair, &format!("throughput {}, CPU {}", show(rate), show(cpu)));
        report.record(
            scenario,
            &pair,
            &[
                ("throughput_ratio", rate.map(|ratio| ratio.median)),
                ("throughput_ratio_spread", rate.map(|ratio| ratio.half_width)),
                ("cpu_ratio", cpu.map(|ratio| ratio.median)),
                ("cpu_ratio_spread", cpu.map(|ratio| ratio.half_width)),
            ],
        );
    }
}

impl Entry<'_> {
    fn quantile(&self, q: f64) -> Option<f64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_quantile(q) as f64)
    }
}

/// One line on standard error, which the next one replaces. Nothing where that cannot be.
pub fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}
