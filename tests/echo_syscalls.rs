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
#[cfg(feature = "udp")]
use std::net::UdpSocket;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clients::connect;
use process::Server;

const CONNECTIONS: usize = 50;
const MESSAGES: usize = 40;

/// A file for the trace, removed when the test is over.
struct TraceFile(PathBuf);

impl TraceFile {
    fn new(program: &str) -> TraceFile {
        let name = format!("luvio-trace-{program}-{}", std::process::id());
        TraceFile(env::temp_dir().join(name))
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

/// Runs an example under the tracer, has `talk` talk to it, and gives the trace; nothing where there is no tracer.
fn trace_of(program: &str, talk: impl FnOnce(SocketAddr)) -> Option<String> {
    let file = TraceFile::new(program);
    let Some(mut strace) = strace(&file) else {
        eprintln!("skipped: strace is not installed here, or may not trace");
        return None;
    };
    let server = Server::start_by(&mut strace, program);
    talk(server.addr);

    // The signal is for the server, not for the tracer, which ends with it.
    let kill = Command::new("kill").args(["-s", "INT", &traced_by(server.id())]).status();
    assert!(kill.expect("a Unix system has kill").success());
    assert!(server.end().status.success());
    Some(fs::read_to_string(&file.0).expect("strace has written it"))
}

/// A message of the echo server costs one read and one write; the polls are shared; nothing is registered anew, nobody is
/// woken through a descriptor, and no read is made in vain.
#[test]
fn a_message_costs_one_read_and_one_write() {
    let trace = trace_of("luv_echo", |addr| {
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(addr)).collect();
        round(&mut clients, b"begin");
        for _ in 0..MESSAGES {
            round(&mut clients, b"a message");
        }
        round(&mut clients, b"end");
    });
    let Some(trace) = trace else { return };
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

/// A datagram costs one receive and one send. A poll finds a burst of them, at whose end one receive is in vain; that there
/// is room again after a send wakes nobody.
#[cfg(feature = "udp")]
#[test]
fn a_datagram_costs_one_receive_and_one_send() {
    const AT_ONCE: usize = 30;
    let trace = trace_of("udp_echo", |addr| {
        let client = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        client.connect(addr).expect("loopback can be connected");
        client.set_read_timeout(Some(process::LIMIT)).expect("a timeout can be set");
        let round = |count: usize, data: &[u8]| {
            (0..count).for_each(|_| assert!(client.send(data).is_ok()));
            (0..count).for_each(|_| assert!(process::receive(&client, &mut [0; 64]).is_ok()));
        };
        round(1, b"begin");
        (0..MESSAGES).for_each(|_| round(AT_ONCE, b"a datagram"));
        round(1, b"end");
    });
    let Some(trace) = trace else { return };
    let mut calls = calls_between(&trace);
    let mut take = |name: &str| calls.remove(name).unwrap_or(0);
    let datagrams = AT_ONCE * MESSAGES;
    assert_eq!(take("sendto"), datagrams, "sends");
    let polls = take("epoll_wait") + take("epoll_pwait");
    let receives = take("recvfrom");
    let beside = receives - datagrams + polls;
    // A round may begin with a poll, end with a receive in vain, and be spread over two turns.
    assert!(beside <= 3 * MESSAGES, "{receives} receives, {polls} polls");
    assert!(calls.is_empty(), "{calls:?}");
}
