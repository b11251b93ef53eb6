//! The scoreboard that `cargo bench` shows: luvio beside its peers, on this machine, in this run.

mod instructions;
mod load;
mod micro;
mod options;
mod pattern;
mod scenario;
mod server;
mod summary;
mod throughput;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(refusal) => return refusal.show(),
    };
    // 10,000 connections to each server need a descriptor each, here and in the server, which inherits the limit.
    let descriptors = rlimit::increase_nofile_limit(131_072).unwrap_or(1_024);
    let servers = server::prepare(&options);
    let mut report = summary::Report::default();
    report.describe_machine();
    for server in &servers {
        println!("- {}: {}", server.name, server.what);
    }
    throughput::run(&options, &servers, descriptors, &mut report);
    if options.wants("syscalls") || options.wants("instructions") {
        instructions::run(&options, &servers, &mut report);
    }
    if options.wants("micro") {
        micro::run(&options, &mut report);
    }
    if let Some(path) = &options.json {
        report.write_json(path);
    }
    report.exit_code()
}
