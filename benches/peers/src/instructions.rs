//! What a message costs in system calls and in instructions: counted and not timed, so exact whatever else the machine
//! does. Each figure is the difference of two runs that differ only in the number of messages, so that start-up and
//! connecting fall out.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::datagrams::Client;
use crate::load::new_socket;
use crate::options::Options;
use crate::pattern::Pattern;
use crate::progress::Progress;
use crate::scenario::Transport;
use crate::server::{LOAD_CORE, Running, SERVER_CORE, Server, pin_to_core};
use crate::summary::{Report, Table};

const CONNECTIONS: usize = 50;
const MESSAGE: usize = 64;

/// Datagrams under way, and how many of them count as a round.
const OUTSTANDING: usize = 64;

/// Messages on each connection, in the short run and in the long one.
const ROUNDS: [usize; 2] = [100, 600];
const QUICK_ROUNDS: [usize; 2] = [50, 150];

/// A server in a simulator is slow, but not that slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options, servers: &[Server], progress: &Progress, report: &mut Report) {
    // On the server's core, so that all messages of a round are there when the server runs: the batches, and with them
    // the share of a turn's fixed cost in a message, do not depend on who is faster.
    pin_to_core(SERVER_CORE);
    let rounds = if options.quick { QUICK_ROUNDS } else { ROUNDS };
    let counters = [Transport::Tcp, Transport::Udp, Transport::Unix].map(|transport| Counter {
        progress,
        rounds,
        quick: options.quick,
        transport,
    });
    let for_counter = |counter: &Counter<'_>| -> Vec<&Server> {
        let all = servers.iter().filter(|server| server.only_in.is_none());
        all.filter(|server| server.transport == counter.transport).collect()
    };
    if options.wants("syscalls") {
        progress.part("syscalls");
        counters.iter().for_each(|counter| counter.count_syscalls(&for_counter(counter), report));
    }
    if options.wants("instructions") {
        progress.part("instructions");
        counters
            .iter()
            .for_each(|counter| counter.count_instructions(&for_counter(counter), report));
    }
}

/// Counts what servers do for a message.
#[derive(Clone, Copy)]
struct Counter<'a> {
    progress: &'a Progress,
    rounds: [usize; 2],
    quick: bool,
    transport: Transport,
}

impl Counter<'_> {
    fn count_syscalls(&self, servers: &[&Server], report: &mut Report) {
        let mut table = Table::new(
            self.part("syscalls"),
            &format!("system calls per message on the server; {}, by strace", self.what()),
            &["server", "per message", "which"],
        );
        if !is_there("strace") {
            table.note("strace", "not found; install it to see these figures");
            return table.print();
        }
        for server in servers {
            match self.syscalls_of(server) {
                Ok(kinds) => {
                    let sum: f64 = kinds.iter().map(|(_, calls)| calls).sum();
                    let which: Vec<String> =
                        kinds.iter().map(|(name, calls)| format!("{name} {calls:.2}")).collect();
                    table.row(vec![server.name.into(), format!("{sum:.2}"), which.join(", ")]);
                    report.record(
                        &[self.part("syscalls"), server.name],
                        &[("per_message", Some(sum))],
                    );
                }
                Err(reason) => miss(self.part("syscalls"), server, &reason, &mut table, report),
            }
        }
        self.progress.clear();
        table.print();
    }

    /// The calls for one message, the most frequent first.
    fn syscalls_of(&self, server: &Server) -> Result<Vec<(String, f64)>, String> {
        let [short, long] = self.measure(server, |report| {
            let file = report.display().to_string();
            let options = ["-f", "-c", "-U", "calls,name", "-o", &file];
            ["strace"].iter().chain(&options).map(|word| (*word).to_string()).collect()
        })?;
        let before = syscalls(&short);
        let mut kinds: Vec<(String, f64)> = syscalls(&long)
            .into_iter()
            .map(|(name, calls)| {
                let before = before.iter().find(|(other, _)| *other == name);
                let calls = calls.saturating_sub(before.map_or(0, |&(_, calls)| calls));
                (name, calls as f64 / self.messages())
            })
            .filter(|&(_, calls)| calls >= 0.005)
            .collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(kinds)
    }

    fn count_instructions(&self, servers: &[&Server], report: &mut Report) {
        let mut table = Table::new(
            self.part("instructions"),
            &format!(
                "user instructions and allocations per message on the server; {}, by valgrind",
                self.what()
            ),
            &["server", "instructions", "allocations"],
        );
        if !is_there("valgrind") {
            table.note("valgrind", "not found; install it to see these figures");
            return table.print();
        }
        for server in servers {
            if !self.quick || QUICK_SERVERS.contains(&server.name) {
                self.count_one(server, &mut table, report);
            }
        }
        if self.quick {
            table.note(
                "--quick",
                "leaves out the other servers, the other profiles and the allocations",
            );
        } else if self.transport == Transport::Tcp {
            // The rest takes a while to build.
            let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
            for (name, of, profile, binary) in VARIANTS {
                if names.contains(&of) {
                    self.progress.step(&format!("building {name}"));
                    let server = Server::new(name, build_variant(profile, binary));
                    self.count_one(&server, &mut table, report);
                }
            }
            table.note(
                "profiles",
                "LTO and one codegen unit, unwinding on; *default profile* is cargo's own for release: neither",
            );
        }
        self.progress.clear();
        table.print();
    }

    fn count_one(&self, server: &Server, table: &mut Table, report: &mut Report) {
        let instructions = self.instructions_of(server);
        let allocations = match self.quick {
            true => Ok(None),
            false => self.allocations_of(server).map(Some),
        };
        match instructions.and_then(|instructions| Ok((instructions, allocations?))) {
            Ok((instructions, allocations)) => {
                let mut row = vec![server.name.to_string(), format!("{instructions:.0}")];
                row.extend(allocations.map(|allocations| format!("{allocations:.2}")));
                table.row(row);
                report.record(
                    &[self.part("instructions"), server.name],
                    &[("per_message", Some(instructions)), ("allocations", allocations)],
                );
            }
            Err(reason) => miss(self.part("instructions"), server, &reason, table, report),
        }
    }

    fn instructions_of(&self, server: &Server) -> Result<f64, String> {
        let [short, long] = self.measure(server, |report| {
            let file = format!("--callgrind-out-file={}", report.display());
            ["valgrind", "--tool=callgrind", &file].map(String::from).to_vec()
        })?;
        let sum = |report| instructions(report).ok_or("callgrind's report has no sum");
        Ok((sum(&long)? - sum(&short)?) / self.messages())
    }

    fn allocations_of(&self, server: &Server) -> Result<f64, String> {
        let [short, long] = self.measure(server, |report| {
            let file = format!("--log-file={}", report.display());
            ["valgrind", "--tool=memcheck", "--leak-check=no", &file].map(String::from).to_vec()
        })?;
        let sum = |report| allocations(report).ok_or("memcheck's report has no sum");
        // The accepted connections differ in nothing but when they came.
        Ok(((sum(&long)? - sum(&short)?) / self.messages()).max(0.0))
    }

    /// Messages by which the two runs differ.
    fn messages(&self) -> f64 {
        let [short, long] = self.rounds;
        (self.each_round() * (long - short)) as f64
    }

    fn each_round(&self) -> usize {
        if self.transport == Transport::Udp { OUTSTANDING } else { CONNECTIONS }
    }

    fn part(&self, part: &'static str) -> &'static str {
        match (self.transport, part) {
            (Transport::Udp, "syscalls") => "udp-syscalls",
            (Transport::Udp, "instructions") => "udp-instructions",
            (Transport::Unix, "syscalls") => "unix-syscalls",
            (Transport::Unix, "instructions") => "unix-instructions",
            _ => part,
        }
    }

    fn what(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "50 connections, 64 B",
            Transport::Udp => "1 UDP socket, 64 B, 64 outstanding",
            Transport::Unix => "50 connections over a Unix socket, 64 B",
        }
    }

    /// Has the server echo so many rounds.
    fn talk(&self, server: &Running, rounds: usize) -> io::Result<()> {
        if self.transport != Transport::Udp {
            return echo_in_turn(server, rounds);
        }
        // From another core, so that there is always something under way: in lockstep each round would end with turns
        // that only find out that nothing is left.
        pin_to_core(LOAD_CORE);
        let pattern = Pattern::new();
        let to = server.addr.as_socket().expect("it is no Unix socket");
        let talked = Client::connect(&pattern, MESSAGE, OUTSTANDING, false, to)
            .and_then(|mut client| client.exchange((rounds * OUTSTANDING) as u64));
        pin_to_core(SERVER_CORE);
        talked
    }

    /// The reports of a tool around the server, after the short run and after the long one.
    fn measure(
        &self,
        server: &Server,
        tool: impl Fn(&Path) -> Vec<String>,
    ) -> Result<[String; 2], String> {
        let program = server.program.as_ref()?;
        let mut reports = [String::new(), String::new()];
        for (rounds, report) in self.rounds.iter().zip(&mut reports) {
            self.progress.step(&format!(
                "{}, {} messages",
                server.name,
                rounds * self.each_round()
            ));
            let file = report_file();
            let mut running = Running::start(program, server.transport, &tool(&file))?;
            if let Err(err) = self.talk(&running, *rounds) {
                return Err(format!("{err} ({})", running.how_it_ended()));
            }
            running.end_traced().map_err(|err| err.to_string())?;
            let read = fs::read_to_string(&file);
            *report = read.map_err(|err| format!("{}: {err}", file.display()))?;
            let _ = fs::remove_file(file);
        }
        Ok(reports)
    }
}

fn miss(part: &str, server: &Server, reason: &str, table: &mut Table, report: &mut Report) {
    server.note_missing(part, reason, report);
    table.row(vec![server.name.into()]);
    table.note(server.name, reason);
}

/// Those whose instructions are counted with `--quick`.
const QUICK_SERVERS: [&str; 3] = ["floor", "luvio", "luvio-tasks"];

/// The same servers as they come out of other profiles: name, which one it is, profile, binary.
const VARIANTS: [(&str, &str, &str, &str); 4] = [
    ("floor, panic = abort", "floor", "abort", "floor_mio"),
    ("floor, default profile", "floor", "plain", "floor_mio"),
    ("luvio, default profile", "luvio", "plain", "luv_echo"),
    ("luvio-tasks, default profile", "luvio-tasks", "plain", "async_echo"),
];

fn build_variant(profile: &str, binary: &str) -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = package.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
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

fn report_file() -> PathBuf {
    std::env::temp_dir().join(format!("luvio-count-{}", std::process::id()))
}

/// Sends one message on each connection, then reads all the answers, so many times.
fn echo_in_turn(server: &Running, rounds: usize) -> io::Result<()> {
    let pattern = Pattern::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = new_socket(&server.addr)?;
        stream.connect(&server.addr)?;
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
                return Err(io::Error::other("other bytes came back than were sent"));
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
fn instructions(report: &str) -> Option<f64> {
    let totals = report.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|total| total.trim().parse().ok())
}

/// How often memory was allocated, from the report of memcheck.
fn allocations(report: &str) -> Option<f64> {
    let usage = report.lines().find_map(|line| line.split_once("total heap usage: "));
    let count = usage.and_then(|(_, usage)| usage.split_whitespace().next());
    count.and_then(|count| count.replace(',', "").parse().ok())
}

fn is_there(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_strace_is_understood() {
        let report = "calls syscall\n----- -------\n   25 sendto\n    1 epoll_wait\n----- -------\n   26 total\n";
        assert_eq!(syscalls(report), [("sendto".to_string(), 25), ("epoll_wait".to_string(), 1)]);
    }

    #[test]
    fn the_reports_of_valgrind_are_understood() {
        assert_eq!(instructions("events: Ir\ntotals: 12345\n"), Some(12_345.0));
        assert_eq!(instructions(""), None);
        let log = "==1==   total heap usage: 1,234 allocs, 1,230 frees, 99 bytes allocated\n";
        assert_eq!(allocations(log), Some(1_234.0));
        assert_eq!(allocations(""), None);
    }
}
