//! What clients of an echo server may expect. Written once, for every server that echoes: include
//! this file with `#[macro_use]`, and put `echo_tests!("its name");` into the test of the example.

use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::clients::{
    KIB, MIB, Noise, ask, connect, connect_with_buffer, rest_of, send_until_stuck,
};
use crate::process::{Server, with_descriptors};

/// Each scenario as a test of this program.
macro_rules! echo_tests {
    ($program:literal) => {
        echo_tests! { $program:
            line_comes_back
            every_client_gets_its_own_lines_back
            every_byte_of_64_mib_comes_back_to_a_slow_reader_that_half_closes
            thousand_clients_at_once_each_get_their_own_bytes
        }
        #[cfg(unix)]
        echo_tests! { $program:
            bytes_under_way_arrive_after_a_signal
            client_that_reads_late_and_still_sends_loses_nothing_by_a_signal
        }
    };
    ($program:literal: $($scenario:ident)*) => {
        $(
            #[test]
            fn $scenario() {
                echo_clients::$scenario($program);
            }
        )*
    };
}

pub fn line_comes_back(program: &str) {
    let server = Server::start(program);
    assert_eq!(ask(&connect(server.addr), "hello\n").expect("an echo"), "hello\n");
}

pub fn every_client_gets_its_own_lines_back(program: &str) {
    let server = Server::start(program);
    let clients = [connect(server.addr), connect(server.addr), connect(server.addr)];
    for round in 0..3 {
        for (index, client) in clients.iter().enumerate() {
            let line = format!("round {round} of client {index}\n");
            assert_eq!(ask(client, &line).expect("an echo"), line);
        }
    }
}

pub fn every_byte_of_64_mib_comes_back_to_a_slow_reader_that_half_closes(program: &str) {
    const ALL: usize = 64 * MIB;
    let server = Server::start(program);
    let mut client = connect_with_buffer(server.addr, 64 * KIB);
    let mut sender = client.try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            Noise::new(1).send(&mut sender, ALL).expect("the server reads");
            sender.shutdown(Shutdown::Write).expect("it is connected");
        });
        let mut expected = Noise::new(1);
        for _ in 0..ALL / MIB {
            expected.receive(&mut client, MIB).expect("an echo");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(rest_of(&mut client), Ok(vec![]));
    });
}

pub fn thousand_clients_at_once_each_get_their_own_bytes(program: &str) {
    const CLIENTS: u64 = 1000;
    const EACH: usize = 3 * KIB;
    // Beside them, the other tests of this process need some.
    let name = "thousand_clients_at_once_each_get_their_own_bytes";
    with_descriptors(CLIENTS + 600, name, || {
        let server = Server::start(program);
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(server.addr)).collect();
        for (seed, client) in (0..).zip(&mut clients) {
            Noise::new(seed).send(client, EACH).expect("the server reads");
        }
        for (seed, client) in (0..).zip(&mut clients) {
            Noise::new(seed).receive(client, EACH).expect("an echo");
            client.shutdown(Shutdown::Write).expect("it is connected");
            assert_eq!(rest_of(client), Ok(vec![]));
        }
    });
}

/// The client has not read anything of what the server has read.
#[cfg(unix)]
pub fn bytes_under_way_arrive_after_a_signal(program: &str) {
    const ALL: usize = 200 * KIB;
    let server = Server::start(program);
    let mut client = connect_with_buffer(server.addr, 4 * KIB);
    Noise::new(3).send(&mut client, ALL).expect("the server reads");
    #[cfg(target_os = "linux")]
    crate::process::proc::wait_until_read(&client);
    #[cfg(not(target_os = "linux"))]
    Noise::new(3).receive(&mut client.try_clone().expect("a handle"), ALL).expect("an echo");
    server.signal("INT");
    #[cfg(target_os = "linux")]
    Noise::new(3).receive(&mut client, ALL).expect("an echo");
    assert_eq!(rest_of(&mut client), Ok(vec![]));
    server.assert_ends_well();
}

/// The server stopped reading from it long ago. To close on what is unread would be a reset, which
/// takes back what is under way.
#[cfg(unix)]
pub fn client_that_reads_late_and_still_sends_loses_nothing_by_a_signal(program: &str) {
    let server = Server::start(program);
    let mut client = connect(server.addr);
    let mut noise = Noise::new(0);
    let sent = send_until_stuck(&mut client, 64 * MIB, |chunk| noise.fill(chunk));
    server.signal("INT");
    let received = rest_of(&mut client).expect("the end of the stream, not a reset");
    assert!((128 * KIB..=sent).contains(&received.len()), "{} of {sent}", received.len());
    Noise::new(0).receive(&mut &received[..], received.len()).expect("what was sent");
    drop(client);
    server.assert_ends_well();
}
