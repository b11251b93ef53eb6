//! How a server among the examples lives and dies, and which peers it survives. Written once, for
//! all of them: include this file with `#[macro_use]`, and put `server_tests!("its name", "its first
//! words");` into the test of the example.
//!
//! The clients here send the line `1`, which comes back as it is from those that echo as well as
//! from the one that squares.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::clients::{
    KIB, MIB, ask, connect, connect_with_buffer, fill_with, rest_of, send_until_stuck,
};
use crate::process::{self, Server};

/// Each scenario as a test of this program.
macro_rules! server_tests {
    ($program:literal, $greeting:literal) => {
        #[test]
        fn first_line_tells_where_it_listens() {
            server_life::first_line_tells_where_it_listens($program, $greeting);
        }
        server_tests! { $program:
            client_that_sends_nothing_gets_the_end_of_the_stream
            clients_that_reset_in_the_middle_of_a_write_leave_it_serving
            peer_that_never_reads_is_held_back
            ipv6_loopback_works
            port_in_use_is_one_line_on_standard_error_and_status_1
            host_that_is_not_of_this_machine_is_one_line_and_status_1
            bad_arguments_are_usage_and_status_2
        }
        #[cfg(unix)]
        server_tests! { $program:
            interrupt_ends_it_and_its_clients_see_the_end_of_the_stream
            termination_ends_it_and_its_clients_see_the_end_of_the_stream
            client_that_never_reads_cannot_keep_it_from_ending
            second_interrupt_ends_it_at_once
            restart_on_the_same_port_works_at_once
            without_descriptors_it_turns_clients_away_and_serves_again_later
        }
        #[cfg(target_os = "linux")]
        server_tests! { $program:
            idle_with_an_open_client_it_sleeps
        }
    };
    ($program:literal: $($scenario:ident)*) => {
        $(
            #[test]
            fn $scenario() {
                server_life::$scenario($program);
            }
        )*
    };
}

// ---- peers ---------------------------------------------------------------------------------------

pub fn client_that_sends_nothing_gets_the_end_of_the_stream(program: &str) {
    let server = Server::start(program);
    let mut client = connect(server.addr);
    client.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(rest_of(&mut client), Ok(vec![]));
}

pub fn clients_that_reset_in_the_middle_of_a_write_leave_it_serving(program: &str) {
    let server = Server::start(program);
    let mut lines = vec![0; 128 * KIB];
    many_lines(&mut lines);
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = connect_with_buffer(server.addr, 4 * KIB);
        // Nobody reads the answers: the server has most of them still to write.
        client.write_all(&lines).expect("the server reads");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an option of TCP");
        clients.push(client);
    }
    drop(clients); // each by a reset
    assert_eq!(ask(&connect(server.addr), "1\n").expect("an answer"), "1\n");
    server.assert_runs();
}

pub fn peer_that_never_reads_is_held_back(program: &str) {
    const ALL: usize = 1024 * MIB;
    let server = Server::start(program);
    let mut client = connect_with_buffer(server.addr, 4 * KIB);
    let sent = send_until_stuck(&mut client, ALL, many_lines);
    assert!(sent < ALL, "it took everything");
    #[cfg(target_os = "linux")]
    assert!(process::proc::peak_memory_kib(server.id()) < 64 * KIB as u64);
    assert_eq!(ask(&connect(server.addr), "1\n").expect("an answer"), "1\n");
}

/// Long lines, with answers that are not shorter.
fn many_lines(buffer: &mut [u8]) {
    fill_with(b"3037000498\n", buffer);
}

// ---- start and end -------------------------------------------------------------------------------

pub fn first_line_tells_where_it_listens(program: &str, greeting: &str) {
    let server = Server::start(program);
    assert_eq!(server.greeting, format!("{greeting} listening on {}\n", server.addr));
    assert_eq!(server.addr.ip().to_string(), "127.0.0.1");
    assert_ne!(server.addr.port(), 0);
    drop(connect(server.addr));
}

pub fn ipv6_loopback_works(program: &str) {
    if let Err(err) = TcpListener::bind("[::1]:0") {
        return eprintln!("skipped: no IPv6 loopback here: {err}");
    }
    let server = Server::start_on(program, "0", "::1");
    assert!(server.addr.is_ipv6(), "{}", server.greeting);
    assert_eq!(ask(&connect(server.addr), "1\n").expect("an answer"), "1\n");
}

pub fn port_in_use_is_one_line_on_standard_error_and_status_1(program: &str) {
    let first = Server::start(program);
    let second = process::run(program, [&first.addr.port().to_string(), "127.0.0.1"]);
    assert_eq!((second.status.code(), second.stdout.as_str()), (Some(1), ""));
    assert_eq!(second.stderr.lines().count(), 1, "{second:?}");
    assert!(second.stderr.starts_with(&format!("{program}: {}: ", first.addr)), "{second:?}");
    first.assert_runs();
}

pub fn host_that_is_not_of_this_machine_is_one_line_and_status_1(program: &str) {
    let run = process::run(program, ["0", "192.0.2.1"]); // reserved for documentation
    assert_eq!((run.status.code(), run.stdout.as_str()), (Some(1), ""));
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

pub fn bad_arguments_are_usage_and_status_2(program: &str) {
    let cases: [&[&str]; 9] = [
        &["port"],
        &[""],
        &["-1"],
        &["65536"],
        &["0", "nowhere"],
        &["0", ""],
        &["0", "127.0.0.1:7000"],
        &["0", "a\nb"],
        &["0", "127.0.0.1", "more"],
    ];
    for arguments in cases {
        assert_is_usage(program, &process::run(program, arguments));
    }
    #[cfg(unix)]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        assert_is_usage(program, &process::run(program, [OsStr::from_bytes(b"7\xff")]));
    }
}

fn assert_is_usage(program: &str, run: &process::Run) {
    assert_eq!((run.status.code(), run.stdout.as_str()), (Some(2), ""), "{run:?}");
    let [problem, usage] = run.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("not two lines: {run:?}");
    };
    assert!(problem.starts_with(&format!("{program}: ")), "{run:?}");
    assert!(usage.starts_with(&format!("usage: {program} [PORT] [HOST]")), "{run:?}");
}

#[cfg(unix)]
pub fn interrupt_ends_it_and_its_clients_see_the_end_of_the_stream(program: &str) {
    assert_ended_by("INT", program);
}

#[cfg(unix)]
pub fn termination_ends_it_and_its_clients_see_the_end_of_the_stream(program: &str) {
    assert_ended_by("TERM", program);
}

#[cfg(unix)]
fn assert_ended_by(signal: &str, program: &str) {
    let server = Server::start(program);
    let mut silent = connect(server.addr);
    let mut talker = connect(server.addr);
    assert_eq!(ask(&talker, "1\n").expect("an answer"), "1\n");
    server.signal(signal);
    assert_eq!(rest_of(&mut silent), Ok(vec![]));
    assert_eq!(rest_of(&mut talker), Ok(vec![]));
    let addr = server.addr;
    server.assert_ends_well();
    let refused = TcpStream::connect(addr).expect_err("nobody listens any more");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[cfg(unix)]
pub fn client_that_never_reads_cannot_keep_it_from_ending(program: &str) {
    let server = Server::start(program);
    let mut client = connect(server.addr);
    send_until_stuck(&mut client, 64 * MIB, many_lines);
    server.signal("TERM");
    server.assert_ends_well();
}

/// As by the system's default.
#[cfg(unix)]
pub fn second_interrupt_ends_it_at_once(program: &str) {
    use std::os::unix::process::ExitStatusExt;

    let server = Server::start(program);
    let mut silent = connect(server.addr);
    let mut stuck = connect(server.addr);
    send_until_stuck(&mut stuck, 64 * MIB, many_lines);
    server.signal("INT");
    assert_eq!(rest_of(&mut silent), Ok(vec![])); // it has heard
    server.signal("INT");
    assert_eq!(server.end().status.signal(), Some(2));
}

/// The port is still in use by what is left of a connection that the server has closed.
#[cfg(unix)]
pub fn restart_on_the_same_port_works_at_once(program: &str) {
    let first = Server::start(program);
    let addr = first.addr;
    let mut client = connect(first.addr);
    assert_eq!(ask(&client, "1\n").expect("an answer"), "1\n");
    first.signal("INT");
    assert_eq!(rest_of(&mut client), Ok(vec![]));
    first.assert_ends_well();
    let second = Server::start_on(program, &addr.port().to_string(), "127.0.0.1");
    assert_eq!(second.addr, addr);
    assert_eq!(ask(&connect(second.addr), "1\n").expect("an answer"), "1\n");
}

#[cfg(unix)]
pub fn without_descriptors_it_turns_clients_away_and_serves_again_later(program: &str) {
    let server = Server::with_descriptors(program, 64);
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(server.addr)).collect();
    let served = clients.iter().filter(|client| ask(client, "1\n").is_ok()).count();
    assert!((32..64).contains(&served), "{served} clients were served");
    // Those that it serves, it goes on to serve.
    let still = clients.iter().filter(|client| ask(client, "1\n").is_ok()).count();
    assert_eq!(still, served);

    #[cfg(target_os = "linux")]
    {
        let before = process::proc::cpu_time(server.id());
        thread::sleep(Duration::from_secs(1));
        let spent = process::proc::cpu_time(server.id()) - before;
        assert!(spent < Duration::from_millis(200), "{spent:?} of a second without work");
    }
    drop(clients);
    // It may hear of the newcomer before it hears that the others have left.
    while ask(&connect(server.addr), "1\n").is_err() {}
    let newcomers: Vec<TcpStream> = (0..20).map(|_| connect(server.addr)).collect();
    for client in &newcomers {
        assert_eq!(ask(client, "1\n").expect("an answer"), "1\n");
    }
}

#[cfg(target_os = "linux")]
pub fn idle_with_an_open_client_it_sleeps(program: &str) {
    use crate::process::proc;

    let server = Server::start(program);
    let client = connect(server.addr);
    assert_eq!(ask(&client, "1\n").expect("an answer"), "1\n");
    proc::wait_until_idle(server.id());
    let before = proc::sleeps(server.id());
    thread::sleep(Duration::from_secs(1));
    assert_eq!(proc::sleeps(server.id()), before);
}
