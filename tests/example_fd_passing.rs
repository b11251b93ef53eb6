//! Runs the example `fd_passing` as two processes, and has clients talk to the second one.
#![cfg(all(feature = "signal", feature = "descriptors"))]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/process.rs"]
mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};

use clients::{connect, rest_of};
use process::{Server, command};

fn start(worker: &[&str]) -> Server {
    let mut command = command("fd_passing");
    command.arg("0").args(worker);
    Server::spawn(command)
}

/// The second process serves the connections that the first one accepts.
#[test]
fn another_process_serves_than_accepts() {
    let server = start(&[]);
    let mut greetings = Vec::new();
    for _ in 0..20 {
        let mut client = connect(server.addr);
        client.write_all(b"echo\n").expect("it is served");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let text = String::from_utf8(rest_of(&mut client).expect("an orderly end")).expect("text");
        let (greeting, echo) = text.split_once('\n').expect("two lines");
        assert_eq!(echo, "echo\n");
        greetings.push(greeting.to_string());
    }
    greetings.dedup();
    assert_eq!(greetings.len(), 1, "{greetings:?}");
    assert!(greetings[0].ends_with("serves you"));
    assert_ne!(greetings[0], format!("process {} serves you", server.id()));
    server.signal("INT");
    server.assert_ends_well();
}

/// A hundred connections at once, all alive, and the ends of both processes while they are.
#[test]
fn many_connections_are_handed_over() {
    let server = start(&[]);
    let clients: Vec<_> = (0..100).map(|_| BufReader::new(connect(server.addr))).collect();
    let mut clients = clients.into_iter().enumerate().collect::<Vec<_>>();
    for (number, client) in &mut clients {
        let mut line = String::new();
        client.read_line(&mut line).expect("a greeting");
        client.get_mut().write_all(format!("{number}\n").as_bytes()).expect("it is served");
        line.clear();
        client.read_line(&mut line).expect("an echo");
        assert_eq!(line, format!("{number}\n"));
    }
    server.signal("TERM");
    for (_, client) in &mut clients {
        // Its last words, if any, then the end.
        client.read_to_end(&mut Vec::new()).expect("an orderly end");
    }
    server.assert_ends_well();
}

/// The worker may be any program that takes descriptors: here, one in Python.
#[test]
fn descriptors_arrive_in_python() {
    const WORKER: &str = "
import socket
channel = socket.socket(fileno=0)
channel.setblocking(True)
while True:
    data, fds, _, _ = socket.recv_fds(channel, 1024, 16)
    if not data:
        break
    for fd in fds:
        with socket.socket(fileno=fd) as client:
            client.setblocking(True)
            client.sendall(client.recv(100).upper())
";
    let has_python = Command::new("python3")
        .args(["-c", "import socket; socket.recv_fds"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !has_python.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there is no python3 here that has recv_fds");
    }
    let server = start(&["python3", "-c", WORKER]);
    for _ in 0..10 {
        let mut client = connect(server.addr);
        client.write_all(b"hello").expect("it is served");
        assert_eq!(rest_of(&mut client).expect("an orderly end"), b"HELLO");
    }
    server.signal("INT");
    server.assert_ends_well();
}

/// A worker that ends takes the first process along.
#[test]
fn a_worker_that_ends_ends_the_server() {
    let server = start(&["true"]);
    let client = connect(server.addr);
    drop(client);
    let run = server.end();
    assert!(run.stdout.starts_with("Process "), "{run:?}");
}
