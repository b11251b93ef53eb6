//! What a message costs in system calls and in instructions: counted and not timed, so exact whatever else the machine
//! does. Each figure is the difference of two runs that differ only in the number of messages, so that start-up and
//! connecting fall out.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::options::Options;
use crate::pattern::Pattern;
use crate::server::{Running, Server, pin_to_core};
use crate::summary::{Report, Table};
use crate::throughput::progress;

const CONNECTIONS: usize = 50;
const MESSAGE: usize = 64;

/// Messages on each connection, in the short run and in the long one.
const ROUNDS: [usize; 2] = [100, 600];

/// A server in a simulator is slow, but not that slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options, servers: &[Server], report: &mut Report) {
    // On the server's core, so that all messages of a round are there when the server runs: the batches, and with them
    // the share of a turn's fixed cost in a message, do not depend on who is faster.
    pin_to_core(0);
    if options.wants("syscalls") {
        count_syscalls(servers, report);
    }
    if options.wants("instructions") {
        count_instructions(options, servers, report);
    }
}

fn count_syscalls(servers: &[Server], report: &mut Report) {
    let mut table = Table::new(
        "syscalls",
        "system calls per message on the server; 50 connections, 64 B, by strace",
        &["server", "per message", "which"],
    );
    if !is_there("strace") {
        table.note("strace", "not found; install it to see these figures");
        return table.print();
    }
    for server in servers.iter().filter(|server| server.only_in.is_none()) {
        let counted = measure(server, |report| {
            let file = report.display().to_string();
            let options = ["-f", "-c", "-U", "calls,name", "-o", &file];
            ["strace"].iter().chain(&options).map(|word| (*word).to_string()).collect()
        });
        match counted {
            Ok([short, long]) => {
                let mut kinds: Vec<(String, f64)> = syscalls(&long)
                    .into_iter()
                    .map(|(name, calls)| {
                        let before = syscalls(&short);
                        let before = before.iter().find(|(other, _)| *other == name);
                        let calls = calls.saturating_sub(before.map_or(0, |&(_, calls)| calls));
                        (name, calls as f64 / messages())
                    })
                    .filter(|&(_, calls)| calls >= 0.005)
                    .collect();
                kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
                let sum: f64 = kinds.iter().map(|(_, calls)| calls).sum();
                let which: Vec<String> =
                    kinds.iter().map(|(name, calls)| format!("{name} {calls:.2}")).collect();
                table.row(vec![server.name.into(), format!("{sum:.2}"), which.join(", ")]);
                report.record("syscalls", server.name, &[("per_message", Some(sum))]);
            }
            Err(reason) => table.note(server.name, &reason),
        }
    }
    table.print();
}

fn count_instructions(options: &Options, servers: &[Server], report: &mut Report) {
    let mut table = Table::new(
        "instructions",
        "user instructions and allocations per message on the server; 50 connections, 64 B, by valgrind",
        &["server", "instructions", "allocations"],
    );
    if !is_there("valgrind") {
        table.note("valgrind", "not found; install it to see these figures");
        return table.print();
    }
    for server in servers.iter().filter(|server| server.only_in.is_none()) {
        count_one(server.name, server, &mut table, report);
    }
    // The rest takes a while to build.
    if !options.quick {
        for (name, profile, binary) in VARIANTS {
            progress(&format!("building {name}"));
            let server =
                Server { name, what: "", program: build_variant(profile, binary), only_in: None };
            count_one(name, &server, &mut table, report);
        }
        table.note("default profile", "cargo's own release profile: no LTO, 16 codegen units");
    }
    table.print();
}

fn count_one(name: &str, server: &Server, table: &mut Table, report: &mut Report) {
    let callgrind = measure(server, |report| {
        let file = format!("--callgrind-out-file={}", report.display());
        ["valgrind", "--tool=callgrind", &file].map(String::from).to_vec()
    });
    let memcheck = measure(server, |report| {
        let file = format!("--log-file={}", report.display());
        ["valgrind", "--tool=memcheck", "--leak-check=no", &file].map(String::from).to_vec()
    });
    match callgrind.and_then(|callgrind| Ok((callgrind, memcheck?))) {
        Ok((callgrind, memcheck)) => {
            let per_message = |count: fn(&str) -> f64, [short, long]: &[String; 2]| {
                (count(long) - count(short)) / messages()
            };
            let instructions = per_message(instructions, &callgrind);
            // The accepted connections differ in nothing but when they came.
            let allocations = per_message(allocations, &memcheck).max(0.0);
            table.row(vec![name.into(), format!("{instructions:.0}"), format!("{allocations:.2}")]);
            report.record(
                "instructions",
                name,
                &[("per_message", Some(instructions)), ("allocations", Some(allocations))],
            );
        }
        Err(reason) => table.note(name, &reason),
    }
}

/// The same servers as they come out of other profiles: name, profile, binary.
const VARIANTS: [(&str, &str, &str); 4] = [
    ("floor, panic = abort", "abort", "floor_mio"),
    ("floor, default profile", "plain", "floor_mio"),
    ("luvio, default profile", "plain", "luv_echo"),
    ("luvio-tasks, default profile", "plain", "async_echo"),
];

fn build_variant(profile: &str, binary: &str) -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = package.join("target");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--profile", profile, "--bin", binary, "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join(profile).join(binary)),
        _ => Err(format!("{binary} could not be built with the profile {profile}")),
    }
}

/// Messages by which the two runs differ.
fn messages() -> f64 {
    (CONNECTIONS * (ROUNDS[1] - ROUNDS[0])) as f64
}

/// The reports of a tool around the server, after the short run and after the long one.
fn measure(server: &Server, tool: impl Fn(&Path) -> Vec<String>) -> Result<[String; 2], String> {
    let program = server.program.as_ref()?;
    let mut reports = [String::new(), String::new()];
    for (rounds, report) in ROUNDS.iter().zip(&mut reports) {
        progress(&format!("{}: counting over {} messages", server.name, rounds * CONNECTIONS));
        let file = report_file();
        let running = Running::start(program, &tool(&file))?;
        echo_in_turn(&running, *rounds).map_err(|err| err.to_string())?;
        running.end_traced().map_err(|err| err.to_string())?;
        *report = fs::read_to_string(&file).map_err(|err| err.to_string())?;
        let _ = fs::remove_file(file);
    }
    progress("");
    Ok(reports)
}

fn report_file() -> PathBuf {
    std::env::temp_dir().join(format!("luvio-count-{}", std::process::id()))
}

/// Sends one message on each connection, then reads all the answers, so many times.
fn echo_in_turn(server: &Running, rounds: usize) -> std::io::Result<()> {
    let pattern = Pattern::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(server.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        connections.push(stream);
    }
    let mut answer = [0; MESSAGE];
    for round in 0..rounds {
        for (id, stream) in connections.iter_mut().enumerate() {
            stream.write_all(pattern.piece(id, (round * MESSAGE) as u64, MESSAGE))?;
        }
        for (id, stream) in connections.iter_mut().enumerate() {
            stream.read_exact(&mut answer)?;
            if answer != *pattern.piece(id, (round * MESSAGE) as u64, MESSAGE) {
                return Err(std::io::Error::other("other bytes came back than were sent"));
            }
        }
    }
    Ok(())
}

/// Name and number of calls, from the report of strace.
fn syscalls(report: &str) -> Vec<(String, u64)> {
    let lines = report.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let calls = words.next()?.parse().ok()?;
        let name = words.next()?.to_string();
        (name != "total").then_some((name, calls))
    });
    lines.collect()
}

/// The sum in the report of callgrind.
fn instructions(report: &str) -> f64 {
    let totals = report.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|total| total.trim().parse().ok()).unwrap_or(f64::NAN)
}

/// How often memory was allocated, from the report of memcheck.
fn allocations(report: &str) -> f64 {
    let usage = report.lines().find_map(|line| line.split_once("total heap usage: "));
    let count = usage.and_then(|(_, usage)| usage.split_whitespace().next());
    count.and_then(|count| count.replace(',', "").parse().ok()).unwrap_or(f64::NAN)
}

fn is_there(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
