//! Runs the example `chat` as a process, and has guests talk in it, over TCP and over the Unix-domain socket.
#![cfg(feature = "signal")]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clients::connect;
use process::{LIMIT, Server, command, with_descriptors};

struct Chat {
    server: Server,
    path: PathBuf,
}

/// A guest, over whatever.
struct Guest {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
}

impl Chat {
    fn start() -> Chat {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("luvio-chat-{}-{count}", std::process::id()));
        let mut command = command("chat");
        command.arg("0").arg(&path);
        Chat { server: Server::spawn(command), path }
    }

    fn tcp(&self) -> Guest {
        let client: TcpStream = connect(([127, 0, 0, 1], self.server.addr.port()).into());
        let reader = client.try_clone().expect("a second handle");
        Guest { reader: BufReader::new(Box::new(reader)), writer: Box::new(client) }
    }

    fn unix(&self) -> Guest {
        let client = UnixStream::connect(&self.path).expect("a server that listens");
        client.set_read_timeout(Some(LIMIT / 2)).expect("a timeout can be set");
        client.set_write_timeout(Some(LIMIT / 2)).expect("a timeout can be set");
        let reader = client.try_clone().expect("a second handle");
        Guest { reader: BufReader::new(Box::new(reader)), writer: Box::new(client) }
    }

    /// Half of them on each socket, all of them inside.
    fn guests(&self, count: usize) -> Vec<Guest> {
        let mut guests: Vec<Guest> = Vec::new();
        for number in 0..count {
            guests.push(if number % 2 == 0 { self.tcp() } else { self.unix() });
            // Two listeners accept in any order, so the next one waits until this one is inside.
            guests[number].hears_its_number();
            if number > 0 {
                guests[number - 1].hears("came in");
            }
        }
        guests
    }

    #[track_caller]
    fn ends_by_interrupt(self) {
        self.server.signal("INT");
        self.server.assert_ends_well();
        assert!(!fs::exists(&self.path).expect("it can be asked"));
    }
}

impl Guest {
    fn says(&mut self, text: &str) {
        self.writer.write_all(format!("{text}\n").as_bytes()).expect("the server reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("text");
        line.trim_end().to_string()
    }

    #[track_caller]
    fn hears_its_number(&mut self) {
        let line = self.line();
        assert!(line.starts_with("you are "), "{line}");
    }

    /// Reads on until a line ends so.
    #[track_caller]
    fn hears(&mut self, end: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the end of the chat before {end:?}");
            if line.ends_with(end) {
                return line;
            }
        }
    }
}

/// What one says the others hear, over whichever socket; not the one who says it.
#[test]
fn guests_hear_each_other_over_both_sockets() {
    let chat = Chat::start();
    let mut guests = chat.guests(2);
    guests[0].says("hello");
    assert_eq!(guests[1].line(), "1 says: hello");
    guests[1].says("hello yourself");
    assert_eq!(guests[0].line(), "2 says: hello yourself");
    drop(guests.pop());
    assert_eq!(guests[0].line(), "2 left");
    chat.ends_by_interrupt();
}

/// 200 guests at once, half of them on the Unix socket: each hears each other exactly once.
#[test]
fn two_hundred_guests_hear_all_the_others() {
    const NAME: &str = "two_hundred_guests_hear_all_the_others";
    const GUESTS: usize = 200;
    with_descriptors(1_000, NAME, || {
        let chat = Chat::start();
        let guests = chat.guests(GUESTS);
        let listeners: Vec<_> = guests
            .into_iter()
            .map(|mut guest| {
                thread::spawn(move || {
                    guest.says("here");
                    let mut heard = BTreeSet::new();
                    while heard.len() < GUESTS - 1 {
                        assert!(heard.insert(guest.hears(" says: here")), "twice");
                    }
                    guest
                })
            })
            .collect();
        let guests: Vec<_> = listeners.into_iter().map(|guest| guest.join()).collect();
        assert!(guests.iter().all(Result::is_ok));
        chat.ends_by_interrupt();
    });
}

/// A guest who never reads is thrown out; the others hear everything, and the memory of the server stays small.
#[test]
fn a_guest_who_never_reads_is_thrown_out() {
    let chat = Chat::start();
    for deaf in [Chat::unix, Chat::tcp] {
        let mut guests = chat.guests(2);
        let silent = deaf(&chat);
        guests[0].hears("came in");
        guests[1].hears("came in");
        let text = "x".repeat(4_000);
        let mut left = false;
        for _ in 0..20_000 {
            guests[0].says(&text);
            let line = guests[1].line();
            left |= line.ends_with(" left");
            if left {
                break;
            }
            assert!(line.ends_with(&text), "a line was lost");
        }
        assert!(left, "it was never thrown out");
        drop(silent);
        chat.server.assert_runs();
    }
    #[cfg(target_os = "linux")]
    assert!(process::proc::peak_memory_kib(chat.server.id()) < 64 * 1024);
    chat.ends_by_interrupt();
}

/// A line without an end is the end of the guest, not of the chat; and a line may come in pieces.
#[test]
fn a_line_without_an_end_ends_the_guest() {
    let chat = Chat::start();
    let mut guests = chat.guests(2);
    guests[0].writer.write_all(b"in pie").expect("the server reads");
    guests[0].says("ces");
    assert_eq!(guests[1].line(), "1 says: in pieces");
    let _ = guests[0].writer.write_all(&[b'x'; 10_000]);
    assert_eq!(guests[1].line(), "1 left");
    chat.ends_by_interrupt();
}

/// What is wrong at the start is said in one line.
#[test]
fn a_bad_start_is_said_in_one_line() {
    for arguments in [["port", "/tmp/x"], ["0", "/nonexistent/x"]] {
        let run = process::run("chat", arguments);
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}
