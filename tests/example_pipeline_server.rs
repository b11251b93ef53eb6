//! Runs the example `pipeline_server` as a process, and has real clients send it numbers.
#![cfg(feature = "signal")]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/process.rs"]
mod process;
#[path = "support/server_life.rs"]
#[macro_use]
mod server_life;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use clients::{MIB, ask, connect};
use process::Server;

server_tests!("pipeline_server", "Pipeline server");

// ---- numbers and packets -------------------------------------------------------------------------

#[test]
fn number_comes_back_squared() {
    let server = start();
    assert_eq!(ask(&connect(server.addr), "12\n").expect("an answer"), "144\n");
}

#[test]
fn many_numbers_in_one_packet_are_answered_in_order() {
    assert_eq!(answers_to("1\n2\n3\n-4\n+5\n0\n"), "1\n4\n9\n16\n25\n0\n");
}

#[test]
fn number_may_be_split_over_packets() {
    let server = start();
    let client = connect(server.addr);
    // The answer to the line before says that the first part was read.
    assert_eq!(ask(&client, "1\n12").expect("an answer"), "1\n");
    assert_eq!(ask(&client, "34\n56").expect("an answer"), "1522756\n");
    assert_eq!(ask(&client, "\n").expect("an answer"), "3136\n");
}

#[test]
fn every_byte_may_be_a_packet_of_its_own() {
    let server = start();
    let mut client = connect(server.addr);
    for byte in "11\n-12\r\n13\n".bytes() {
        client.write_all(&[byte]).expect("the server reads");
    }
    assert_eq!(rest_after_half_close(client), "121\n144\n169\n");
}

#[test]
fn line_may_end_like_on_windows() {
    assert_eq!(answers_to("3\r\n4\r\n5\n"), "9\n16\n25\n");
}

#[test]
fn line_end_may_be_split_over_packets() {
    let server = start();
    let client = connect(server.addr);
    assert_eq!(ask(&client, "1\r\n7\r").expect("an answer"), "1\n");
    assert_eq!(ask(&client, "\n").expect("an answer"), "49\n");
}

#[test]
fn last_line_needs_no_end() {
    assert_eq!(answers_to("3\n4"), "9\n16\n");
    assert_eq!(answers_to("5\r"), "25\n");
}

#[test]
fn blanks_around_a_number_are_nothing() {
    assert_eq!(answers_to(" 3 \n\t4\n"), "9\n16\n");
}

// ---- bad lines -----------------------------------------------------------------------------------

#[test]
fn bad_line_gets_an_error_that_names_it_and_the_connection_lives_on() {
    let answers = answers_to("1\nthree\n\n2.5\n4\n");
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!((answers[0], answers[4], answers.len()), ("1", "16", 5), "{answers:?}");
    assert!(answers[1].starts_with("error: line 2: \"three\": "), "{answers:?}");
    assert!(answers[2].starts_with("error: line 3: \"\": "), "{answers:?}");
    assert!(answers[3].starts_with("error: line 4: \"2.5\": "), "{answers:?}");
}

#[test]
fn bytes_that_are_no_text_are_a_bad_line() {
    let server = start();
    let mut client = connect(server.addr);
    client.write_all(b"\xff\xfe\0\n6\n").expect("the server reads");
    let answers = rest_after_half_close(client);
    let (error, rest) = answers.split_once('\n').expect("two lines");
    assert!(error.starts_with("error: line 1: "), "{answers:?}");
    assert_eq!(rest, "36\n");
}

#[test]
fn largest_square_is_right_and_the_next_one_is_an_error() {
    let answers = answers_to("3037000499\n-3037000499\n3037000500\n-3037000500\n2\n");
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers[..2], ["9223372030926249001"; 2]);
    assert!(answers[2].starts_with("error: line 3: "), "{answers:?}");
    assert!(answers[2].contains("3037000500 does not fit"), "{answers:?}");
    assert!(answers[3].contains("-3037000500 does not fit"), "{answers:?}");
    assert_eq!(answers[4..], ["4"]);
}

#[test]
fn number_that_does_not_fit_itself_is_an_error() {
    let answers = answers_to("9223372036854775808\n-9223372036854775809\n2\n");
    let answers: Vec<&str> = answers.lines().collect();
    assert!(answers[0].starts_with("error: line 1: \"9223372036854775808\": "), "{answers:?}");
    assert!(answers[1].starts_with("error: line 2: \"-9223372036854775809\": "), "{answers:?}");
    assert_eq!(answers[2..], ["4"]);
}

#[test]
fn line_of_1_kib_is_all_right() {
    let long = format!("{:0>1024}", 7);
    assert_eq!(answers_to(&format!("{long}\n{long}\r\n{long}")), "49\n49\n49\n");
}

#[test]
fn longer_line_gets_an_error_and_ends_the_connection() {
    let long = format!("{:0>1025}", 7);
    for last in [&format!("{long}\n3\n"), &format!("{long}\r\n3\n"), &long] {
        let server = start();
        let mut client = connect(server.addr);
        client.write_all(b"2\n").expect("the server reads");
        client.write_all(last.as_bytes()).expect("the server reads");
        if last.len() == long.len() {
            client.shutdown(Shutdown::Write).expect("it is connected");
        }
        // The server ends the connection, by itself unless the client did.
        assert_eq!(rest_of(&client), "4\nerror: line 2: longer than 1024 bytes\n");
    }
}

/// The error arrives although the client goes on sending: it is no reset.
#[test]
fn line_without_an_end_gets_an_error_and_ends_the_connection() {
    let server = start();
    let mut client = connect(server.addr);
    client.write_all(b"2\n").expect("the server reads");
    client.write_all(&vec![b'1'; MIB]).expect("the server reads");
    assert_eq!(rest_of(&client), "4\nerror: line 2: longer than 1024 bytes\n");
}

// ---- many ----------------------------------------------------------------------------------------

#[test]
fn hundred_thousand_numbers_are_answered_in_order_after_a_half_close() {
    const ALL: u64 = 100_000;
    let server = start();
    let client = connect(server.addr);
    thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(lines(1..=ALL).as_bytes()).expect("the server reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
        });
        let mut expected = 1..=ALL;
        for answer in BufReader::new(&client).lines() {
            let number = expected.next().expect("no more answers than numbers");
            assert_eq!(answer.expect("an answer"), (number * number).to_string());
        }
        assert_eq!(expected.next(), None, "answers are missing");
    });
}

/// All of them are sent before the first answer is read: they wait in the server and on the way.
#[test]
fn client_may_read_its_answers_after_it_has_sent_everything() {
    let answers = answers_to(&lines(1..=10_000));
    assert!(answers == lines((1..=10_000).map(|number| number * number)));
}

#[test]
fn many_clients_at_once_have_pipelines_of_their_own() {
    let server = start();
    let mut clients: Vec<TcpStream> = (0..200).map(|_| connect(server.addr)).collect();
    for round in 1..=3 {
        for (index, client) in (1_u64..).zip(&mut clients) {
            // Half of a line is left in each pipeline until the next round.
            let rest = if round > 1 { "00\n" } else { "" };
            client.write_all(format!("{rest}{index}").as_bytes()).expect("the server reads");
        }
    }
    for (index, client) in (1_u64..).zip(clients) {
        let hundred = (index * 100).pow(2);
        assert_eq!(
            rest_after_half_close(client),
            format!("{hundred}\n{hundred}\n{}\n", index * index)
        );
    }
}

// ---- its end -------------------------------------------------------------------------------------

/// What was answered arrives, and the client then sees the end of the stream, not a reset.
#[cfg(unix)]
#[test]
fn answers_under_way_arrive_after_a_signal() {
    let server = start();
    let mut client = connect(server.addr);
    let mut next = 3_000_000_000_u64;
    let taken = clients::send_until_stuck(&mut client, 64 * MIB, |chunk| {
        for line in chunk.chunks_mut(16) {
            line.copy_from_slice(format!("{next:>15}\n").as_bytes());
            next += 1;
        }
    });
    assert!(taken < 64 * MIB, "it took everything");
    server.signal("INT");
    let answers = rest_of(&client);
    assert!(answers.len() > 16 * 1024, "{} bytes of answers", answers.len());
    for (number, answer) in (3_000_000_000_u64..).zip(answers.lines()) {
        assert_eq!(answer, (number * number).to_string());
    }
    drop(client);
    server.assert_ends_well();
}

/// A client that is in the middle of a line when the server ends gets what it has earned so far.
#[cfg(unix)]
#[test]
fn line_under_way_is_not_answered_after_a_signal() {
    let server = start();
    let client = connect(server.addr);
    assert_eq!(ask(&client, "5\n6").expect("an answer"), "25\n");
    server.signal("TERM");
    assert_eq!(rest_of(&client), "");
    server.assert_ends_well();
}

// ---- clients -------------------------------------------------------------------------------------

fn start() -> Server {
    Server::start("pipeline_server")
}

/// Everything that the server answers to a client that sends this, and then ends its half.
#[track_caller]
fn answers_to(text: &str) -> String {
    let server = start();
    let mut client = connect(server.addr);
    client.write_all(text.as_bytes()).expect("the server reads");
    rest_after_half_close(client)
}

#[track_caller]
fn rest_after_half_close(client: TcpStream) -> String {
    client.shutdown(Shutdown::Write).expect("it is connected");
    rest_of(&client)
}

#[track_caller]
fn rest_of(mut client: &TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("text, and the end of the stream");
    rest
}

/// One number a line.
fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().fold(String::new(), |mut lines, number| {
        let _ = writeln!(lines, "{number}");
        lines
    })
}
