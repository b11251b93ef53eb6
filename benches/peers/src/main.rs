//! The scoreboard that `cargo bench` shows: luvio beside its peers, on this machine, in this run.

mod datagrams;
mod growth;
mod idle;
mod instructions;
mod load;
mod micro;
mod options;
mod pattern;
mod progress;
mod scenario;
mod server;
mod summary;
mod targets;
mod throughput;

use std::process::ExitCode;

use options::Options;
use progress::Progress;
use server::Server;
use summary::Report;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some(idle::HOLD), Some(server)) => return idle::hold(&server),
        (Some(idle::MAKE_UDP), _) => return idle::make_udp(),
        _ => {}
    }
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(refusal) => return refusal.show(),
    };
    // 10,000 connections need a descriptor each in the server, which inherits the limit.
    let descriptors = rlimit::increase_nofile_limit(131_072).unwrap_or(1_024);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let servers = server::prepare(&options);
    let mut report = Report::default();
    println!("# luvio beside its peers\n");
    report.describe_run(&options);
    explain(&options, &servers);
    let progress = Progress::new(options.parts().len());
    throughput::run(&options, &servers, descriptors, &progress, &mut report);
    if options.wants("growth") {
        progress.part("growth");
        growth::run(&options, &servers, descriptors, &progress, &mut report);
    }
    instructions::run(&options, &servers, &progress, &mut report);
    if options.wants("micro") {
        progress.part("micro");
        micro::run(&options, &progress, &mut report);
    }
    progress.clear();
    targets::print(&report);
    if let Some(path) = &options.json {
        report.write_json(path);
    }
    report.exit_code()
}

/// What a reader has to know to understand the tables.
fn explain(options: &Options, servers: &[Server]) {
    if options.parts() == ["micro"] {
        return;
    }
    let cores = match server::two_cores() {
        Some(_) => "on a core of its own, while what puts it under load has another one",
        None => "on the same core as what puts it under load, so that the ratios say little",
    };
    println!(
        "
Each server is a process that echoes what it gets, {cores}.
Every byte that comes back is compared with what was sent. In each of {} rounds each server is under load for {} ms, in
an order drawn anew. The servers:
",
        options.rounds(),
        options.slice.as_millis(),
    );
    for server in servers {
        match &server.program {
            Ok(_) => println!("- **{}**: {}", server.name, server.what),
            Err(reason) => println!("- **{}**: {} ({reason})", server.name, server.what),
        }
    }
    println!(
        "
The columns:

- *× floor*: the ratio to the floor, taken within each round, so that the machine's mood falls out. Shown are the medians
  over the rounds; ± is half of their 95 % interval, or of the whole range with fewer than 6 rounds. What lies within ±
  is no difference. More is better in throughput, less in CPU.
- *CPU µs/msg*: time that the server spent on its core for each message, in its own code and in the kernel. It shows
  more than the throughput does, since the load costs as much to make as to serve.
- *p50, p99, p99.9*: how long messages took, from sending one to having its answer, over all rounds.
- *B/idle conn*: memory that the server touched for each connection that does nothing."
    );
}
