//! Runs the example `udp_echo` as a process, and has real clients talk to it.
#![cfg(all(feature = "signal", feature = "udp"))]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/process.rs"]
mod process;
#[path = "support/server_life.rs"]
#[allow(dead_code, unused_macros)]
mod server_life;

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use process::Server;

fn start() -> Server {
    Server::start("udp_echo")
}

/// A client whose waits end after a while.
fn client(server: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    client.connect(server).expect("loopback can be connected");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    client
}

fn ask(client: &UdpSocket, data: &[u8]) {
    client.send(data).expect("loopback has room");
    assert_comes_back(client, data);
}

fn assert_comes_back(client: &UdpSocket, data: &[u8]) {
    let mut answer = vec![0; 65_536];
    let length = process::receive(client, &mut answer).expect("an answer");
    assert_eq!(length, data.len());
    assert!(answer[..length] == *data, "another datagram of {length} bytes came back");
}

#[test]
fn first_line_tells_where_it_listens() {
    let server = start();
    assert_eq!(server.greeting, format!("UDP echo server listening on {}\n", server.addr));
    assert_eq!(server.addr.ip().to_string(), "127.0.0.1");
    assert_ne!(server.addr.port(), 0);
}

#[test]
fn datagrams_of_every_size_come_back() {
    let server = start();
    let client = client(server.addr);
    for length in [0, 1, 64, 1_200, 1_500, 16_384, 65_507] {
        let data: Vec<u8> = (0..length).map(|at| at as u8).collect();
        ask(&client, &data);
    }
}

#[test]
fn many_clients_are_answered_each_its_own() {
    let server = start();
    let clients: Vec<UdpSocket> = (0..200).map(|_| client(server.addr)).collect();
    let words: Vec<String> = (0..clients.len()).map(|at| format!("client {at}")).collect();
    for _ in 0..5 {
        for (client, word) in clients.iter().zip(&words) {
            client.send(word.as_bytes()).expect("loopback has room");
        }
        for (client, word) in clients.iter().zip(&words) {
            assert_comes_back(client, word.as_bytes());
        }
    }
}

/// D-18: a client that is gone before its answer comes does no harm.
#[test]
fn clients_that_leave_do_no_harm() {
    let server = start();
    for _ in 0..100 {
        client(server.addr).send(b"too late").expect("loopback has room");
    }
    ask(&client(server.addr), b"still there");
    server.assert_runs();
}

#[test]
fn ipv6_loopback_works() {
    if let Err(err) = UdpSocket::bind("[::1]:0") {
        return eprintln!("skipped: no IPv6 loopback here: {err}");
    }
    let server = Server::start_on("udp_echo", "0", "::1");
    let client = UdpSocket::bind("[::1]:0").expect("loopback has a free port");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    client.connect(server.addr).expect("loopback can be connected");
    ask(&client, b"over IPv6");
}

/// Runs a client program with this input, if it is installed.
fn run_client(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: {program} is not installed here");
        return None;
    };
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    Some(child.wait_with_output().expect("it ends"))
}

#[test]
fn socat_gets_its_line_back() {
    let server = start();
    let addr = format!("UDP:{}", server.addr);
    // After the end of its input it waits for an answer as long as `-t` says, and no longer than `-T` without one.
    let Some(output) = run_client("socat", &["-t", "1", "-T", "10", "-", &addr], b"a line\n")
    else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"a line\n", "{output:?}");
}

#[test]
fn python_gets_its_datagrams_back() {
    const CLIENT: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
server = ('127.0.0.1', int(sys.argv[1]))
for data in [b'', b'one', bytes(range(256)) * 100]:
    s.sendto(data, server)
    assert s.recvfrom(65536) == (data, server)
print('answered')
";
    let server = start();
    let port = server.addr.port().to_string();
    let Some(output) = run_client("python3", &["-c", CLIENT, &port], b"") else { return };
    assert_eq!(output.stdout, b"answered\n", "{output:?}");
}

#[test]
fn signals_end_it_well() {
    for signal in ["INT", "TERM"] {
        let server = start();
        ask(&client(server.addr), b"it runs");
        let addr = server.addr;
        server.signal(signal);
        server.assert_ends_well();
        UdpSocket::bind(addr).expect("the port is free");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn idle_it_sleeps() {
    use process::proc;

    let server = start();
    ask(&client(server.addr), b"one");
    proc::wait_until_idle(server.id());
    let before = proc::sleeps(server.id());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(proc::sleeps(server.id()), before);
}

#[test]
fn port_in_use_is_one_line_on_standard_error_and_status_1() {
    server_life::port_in_use_is_one_line_on_standard_error_and_status_1("udp_echo");
}

#[test]
fn host_that_is_not_of_this_machine_is_one_line_and_status_1() {
    server_life::host_that_is_not_of_this_machine_is_one_line_and_status_1("udp_echo");
}

#[test]
fn bad_arguments_are_usage_and_status_2() {
    server_life::bad_arguments_are_usage_and_status_2("udp_echo");
}
