//! What the steady state asks of the kernel: for each message one read and one write, and a poll that all share.
#![cfg(all(target_os = "linux", feature = "signal", not(mio_unsupported_force_poll_poll)))]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clients::connect;
use process::Server;

const CONNECTIONS: usize = 50;
const MESSAGES: usize = 40;

/// A file for the trace, removed when the test is over.
struct TraceFile(PathBuf);

impl TraceFile {
    fn new() -> TraceFile {
        TraceFile(env::temp_dir().join(format!("luvio-trace-{}", std::process::id())))
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A tracer that follows what it runs, or nothing where there is none or it is not allowed to.
fn strace(output: &TraceFile) -> Option<Command> {
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(&output.0);
    let mut probe = Command::new("strace");
    probe.args(["-f", "-o", "/dev/null", "true"]);
    let probed = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    probed.is_ok_and(|status| status.success()).then_some(strace)
}

/// Sends a message on every connection, then waits for all to come back.
fn round(clients: &mut [TcpStream], message: &[u8]) {
    for client in clients.iter_mut() {
        client.write_all(message).expect("the server reads");
    }
    for client in clients {
        let mut answer = vec![0; message.len()];
        client.read_exact(&mut answer).expect("an echo");
        assert_eq!(answer, message);
    }
}

/// How often each system call was made between the messages `begin` and `end`.
fn calls_between(trace: &str) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    let lines: Vec<&str> = trace.lines().take_while(|line| !line.contains("\"end\"")).collect();
    // Behind the read and the write of the last `begin`, up to the first `end`.
    let begin = lines.iter().rposition(|line| line.contains("\"begin\"")).expect("it was sent");
    for line in &lines[begin + 1..] {
        let (_process, call) = line.split_once(' ').expect("a process and its call");
        let name = call.trim_start().split('(').next().unwrap_or(call);
        *calls.entry(name.to_string()).or_default() += 1;
    }
    calls
}

/// The process that the tracer runs.
fn traced_by(tracer: u32) -> String {
    let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children"));
    children.expect("Linux lists them").trim().to_string()
}

/// A message of the echo server costs one read and one write; the polls are shared; nothing is registered anew, nobody is
/// woken through a descriptor, and no read is made in vain.
#[test]
fn a_message_costs_one_read_and_one_write() {
    let file = TraceFile::new();
    let Some(mut strace) = strace(&file) else {
        return eprintln!("skipped: strace is not installed here, or may not trace");
    };
    let server = Server::start_by(&mut strace, "luv_echo");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(server.addr)).collect();
    round(&mut clients, b"begin");
    for _ in 0..MESSAGES {
        round(&mut clients, b"a message");
    }
    round(&mut clients, b"end");
    drop(clients);

    // The signal is for the server, not for the tracer, which ends with it.
    let kill = Command::new("kill").args(["-s", "INT", &traced_by(server.id())]).status();
    assert!(kill.expect("a Unix system has kill").success());
    assert!(server.end().status.success());

    let trace = fs::read_to_string(&file.0).expect("strace has written it");
    let mut calls = calls_between(&trace);
    let mut take = |name: &str| calls.remove(name).unwrap_or(0);
    let messages = CONNECTIONS * MESSAGES;
    assert_eq!(take("recvfrom"), messages, "reads");
    assert_eq!(take("sendto"), messages, "writes");
    let polls = take("epoll_wait") + take("epoll_pwait");
    // One at most for each message, and one that may find nothing new in each round.
    assert!(polls <= messages + MESSAGES, "{polls} polls");
    assert!(calls.is_empty(), "{calls:?}");
}
