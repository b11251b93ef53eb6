//! Servers under load: interleaved rounds, so that all of them meet the same weather.

use std::io;

use hdrhistogram::Histogram;

use crate::datagrams;
use crate::idle::{self, Idle};
use crate::load::{Clients, Load, WARM_UP, new_latency};
use crate::micro::shuffled;
use crate::options::Options;
use crate::pattern::Pattern;
use crate::progress::Progress;
use crate::scenario::{self, Scenario, Shape};
use crate::server::{FLOOR, LOAD_CORE, Running, Server, pin_to_core};
use crate::summary::{Report, Spread, Table, count, grouped, micros};

/// All rounds of one server in one scenario.
pub struct Entry<'a> {
    pub server: &'a Server,
    running: Running,
    clients: Box<dyn Load + 'a>,
    _idle: Option<Idle>,
    /// Messages a second, and server nanoseconds a message, of each round.
    rates: Vec<f64>,
    pub cpu: Vec<f64>,
    latency: Histogram<u64>,
    /// Bytes of the server's memory for each idle connection.
    idle_bytes: Option<f64>,
    pub failure: Option<String>,
}

pub fn run(
    options: &Options,
    servers: &[Server],
    descriptors: usize,
    progress: &Progress,
    report: &mut Report,
) {
    pin_to_core(LOAD_CORE);
    let pattern = Pattern::new();
    for scenario in scenario::ALL.iter().filter(|scenario| options.wants(scenario.name)) {
        progress.part(scenario.name);
        let most = if options.quick { 1_000 } else { scenario.idle };
        let idle =
            scenario.idle.min(most).min(most_connections(descriptors) - scenario.connections);
        run_scenario(options, servers, scenario, idle, &pattern, progress, report);
    }
    if options.wants("idle") && options.wants_server("luvio") {
        idle::measure_udp(report);
    }
}

/// How many connections a server can have that may have so many descriptors.
pub fn most_connections(descriptors: usize) -> usize {
    descriptors.saturating_sub(100).max(1_000)
}

fn run_scenario(
    options: &Options,
    servers: &[Server],
    scenario: &Scenario,
    idle: usize,
    pattern: &Pattern,
    progress: &Progress,
    report: &mut Report,
) {
    let mut entries = Vec::new();
    let mut missing = Vec::new();
    let takes_part = |server: &&Server| {
        server.transport == scenario.transport
            && server.only_in.is_none_or(|only| only == scenario.name)
    };
    for server in servers.iter().filter(takes_part) {
        progress.step(&format!("starting {}", server.name));
        match Entry::start(server, scenario, idle, pattern) {
            Ok(entry) => entries.push(entry),
            Err(reason) => missing.push((server, reason)),
        }
    }
    run_rounds(options, &mut entries.iter_mut().collect::<Vec<_>>(), progress);
    progress.clear();
    show(scenario, idle, &entries, &missing, report);
}

/// Puts each under load in each round, in an order drawn anew.
pub fn run_rounds(options: &Options, entries: &mut [&mut Entry<'_>], progress: &Progress) {
    let rounds = options.rounds();
    // One long draw, of which each round takes a piece.
    let draw = shuffled(rounds * entries.len());
    for round in 0..rounds {
        progress.step(&format!("round {} of {rounds}", round + 1));
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|index| draw[round * entries.len() + index]);
        for index in order {
            entries[index].run(options, round);
        }
    }
}

impl<'a> Entry<'a> {
    /// Starts the server, connects its clients, and has them talk for a moment.
    pub fn start(
        server: &'a Server,
        scenario: &'a Scenario,
        idle: usize,
        pattern: &'a Pattern,
    ) -> Result<Entry<'a>, String> {
        let mut running = Running::start(server.program.as_ref()?, server.transport, &[])?;
        let connect = || {
            let clients: Box<dyn Load + 'a> = match scenario.shape {
                Shape::Datagrams { outstanding, offload } => {
                    let length = scenario.message;
                    let to = running.addr.as_socket().expect("it is no Unix socket");
                    let mut client =
                        datagrams::Client::connect(pattern, length, outstanding, offload, to)?;
                    client.run(WARM_UP)?;
                    Box::new(client)
                }
                _ => Box::new(Clients::connect(scenario, pattern, running.addr.clone())?),
            };
            if idle == 0 {
                return Ok((clients, None, None));
            }
            let mut held = Idle::start(&running.said)?;
            let bytes = add_idle(&mut held, idle, &running)?;
            Ok((clients, Some(held), bytes))
        };
        let connected: io::Result<_> = connect();
        let (clients, idle, idle_bytes) = connected
            .map_err(|err| format!("{err} while connecting ({})", running.how_it_ended()))?;
        Ok(Entry {
            server,
            running,
            clients,
            _idle: idle,
            rates: Vec::new(),
            cpu: Vec::new(),
            latency: new_latency(),
            idle_bytes,
            failure: None,
        })
    }

    fn run(&mut self, options: &Options, round: usize) {
        if self.failure.is_some() {
            return;
        }
        if let Err(err) = self.measure(options) {
            let end = self.running.how_it_ended();
            self.failure = Some(format!("{err} in round {} ({end})", round + 1));
        }
    }

    fn measure(&mut self, options: &Options) -> io::Result<()> {
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

    fn quantile(&self, q: f64) -> Option<f64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_quantile(q) as f64)
    }
}

/// Adds idle connections, and returns the bytes of the server's memory for each of them.
fn add_idle(idle: &mut Idle, count: usize, running: &Running) -> io::Result<Option<f64>> {
    // A tenth first, which fills what grows once.
    let first = (count / 10).min(100);
    idle.add(first)?;
    let before = running.memory();
    idle.add(count - first)?;
    let grown = before.zip(running.memory());
    let each = (count - first) as f64;
    Ok(grown.map(|(before, after)| after.saturating_sub(before) as f64 / each))
}

fn show(
    scenario: &Scenario,
    idle: usize,
    entries: &[Entry<'_>],
    missing: &[(&Server, String)],
    report: &mut Report,
) {
    let rate = match scenario.shape {
        Shape::Stream => "MB/s",
        Shape::Churn => "conns/s",
        Shape::Messages { .. } | Shape::Datagrams { .. } => "msgs/s",
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
        idle if idle == scenario.idle => scenario.what.to_string(),
        idle => format!("{} ({} idle ones here)", scenario.what, grouped(idle as u64)),
    };
    let mut table = Table::new(scenario.name, &what, &columns);
    // With fewer connections this is another figure: what grows by doubling weighs more.
    let idle_bytes = if idle == scenario.idle { "idle_bytes" } else { "idle_bytes_of_fewer" };
    let whole = |entry: &&Entry<'_>| entry.failure.is_none();
    let floor = entries.iter().filter(whole).find(|entry| entry.server.name == FLOOR);
    for entry in entries {
        let name = entry.server.name;
        if let Some(failure) = &entry.failure {
            entry.server.note_missing(scenario.name, failure, report);
            table.row(vec![name.into()]);
            table.note(name, failure);
            continue;
        }
        let rates = Spread::of(&entry.rates);
        let cpu = Spread::of(&entry.cpu);
        let rate_ratio = floor.and_then(|floor| Spread::of_ratios(&entry.rates, &floor.rates));
        let cpu_ratio = floor.and_then(|floor| Spread::of_ratios(&entry.cpu, &floor.cpu));
        let per_unit =
            if scenario.shape == Shape::Stream { scenario.message as f64 / 1e6 } else { 1.0 };
        let mut row = vec![
            name.to_string(),
            rates.map_or("-".into(), |rates| count(rates.median * per_unit)),
            rate_ratio.map_or("-".into(), |ratio| ratio.to_string()),
            cpu.map_or("-".into(), |cpu| micros(cpu.median)),
            cpu_ratio.map_or("-".into(), |ratio| ratio.to_string()),
        ];
        row.extend([0.5, 0.99, 0.999].map(|q| entry.quantile(q).map_or("-".into(), micros)));
        if idle > 0 {
            row.push(entry.idle_bytes.map_or("-".into(), count));
        }
        table.row(row);
        report.record(
            &[scenario.name, name],
            &[
                ("per_second", rates.map(|rates| rates.median * per_unit)),
                ("cpu_ns_per_message", cpu.map(|cpu| cpu.median)),
                ("p50_ns", entry.quantile(0.5)),
                ("p99_ns", entry.quantile(0.99)),
                ("p999_ns", entry.quantile(0.999)),
                (idle_bytes, entry.idle_bytes),
            ],
        );
    }
    show_pairs(entries, &mut table, report, scenario.name);
    for (server, reason) in missing {
        server.note_missing(scenario.name, reason, report);
        table.row(vec![server.name.into()]);
        table.note(server.name, reason);
    }
    table.print();
}

/// Compares luvio with the others, and its tasks with its callbacks, round by round.
fn show_pairs(entries: &[Entry<'_>], table: &mut Table, report: &mut Report, scenario: &str) {
    let is_ours = |entry: &&Entry<'_>| entry.server.name.starts_with("luvio");
    let whole = |entry: &&Entry<'_>| entry.failure.is_none();
    for ours in entries.iter().filter(is_ours).filter(whole) {
        for theirs in entries.iter().filter(whole) {
            if ours.server.name == theirs.server.name {
                continue;
            }
            let rate = Spread::of_ratios(&ours.rates, &theirs.rates);
            let cpu = Spread::of_ratios(&ours.cpu, &theirs.cpu);
            report.record(
                &[scenario, ours.server.name, "over", theirs.server.name],
                &[
                    ("throughput", rate.map(|ratio| ratio.median)),
                    ("throughput_spread", rate.map(|ratio| ratio.half_width)),
                    ("cpu", cpu.map(|ratio| ratio.median)),
                    ("cpu_spread", cpu.map(|ratio| ratio.half_width)),
                ],
            );
            let pair = (ours.server.name, theirs.server.name);
            if let (
                ("luvio" | "luvio-offload", "libuv" | "tokio") | ("luvio-tasks", "luvio"),
                Some(rate),
                Some(cpu),
            ) = (pair, rate, cpu)
            {
                let pair = format!("{} / {}", pair.0, pair.1);
                table.note(&pair, &format!("throughput {rate}, CPU {cpu}"));
            }
        }
    }
}
