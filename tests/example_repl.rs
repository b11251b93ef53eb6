//! Runs the example `repl` on a real terminal, by script, and without one.
#![cfg(all(feature = "signal", feature = "tty"))]

#[path = "support/process.rs"]
mod process;
#[path = "support/pty.rs"]
mod pty;
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use pty::{Looks, Pty, mode_of};
use rustix::process::{Pid, Signal, kill_process};
use support::watchdog;

/// The example on a terminal that controls it, with a person at the other end.
struct Session {
    pty: Pty,
    terminal: File,
    child: Child,
    /// What was printed and not looked at yet.
    printed: String,
}

impl Session {
    /// `None` where there is no tool that gives a process a terminal.
    fn start() -> Option<Session> {
        let pty = Pty::new();
        pty.resize(80, 24);
        let terminal = pty.terminal();
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(process::command("repl").get_program());
        command.stdin(pty.terminal()).stdout(pty.terminal()).stderr(pty.terminal());
        let Ok(child) = command.spawn() else {
            eprintln!("skipped: setsid of util-linux is missing");
            return None;
        };
        let mut session = Session { pty, terminal, child, printed: String::new() };
        session.sees("> ");
        assert_eq!(mode_of(&session.terminal), Looks::Raw);
        Some(session)
    }

    fn types(&mut self, keys: &str) {
        self.pty.master.write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// Reads on until `text` was printed.
    fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.printed.find(text) {
                self.printed.drain(..at + text.len());
                return;
            }
            let mut buffer = [0; 4096];
            let length = self.pty.master.read(&mut buffer).unwrap_or_else(|err| {
                panic!("{err} instead of {text:?}, after {:?}", self.printed);
            });
            self.printed.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Types a line and sees the answer.
    #[track_caller]
    fn asks(&mut self, line: &str, answer: &str) {
        self.types(&format!("{line}\r"));
        self.sees(&format!("\r\n{answer}\r\n"));
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// How it ended, with its terminal as it was before.
    fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child to wait for");
        assert_eq!(mode_of(&self.terminal), Looks::Normal);
        status
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails if it has ended by itself
        let _ = self.child.wait();
    }
}

const LEFT: &str = "\x1b[D";
const RIGHT: &str = "\x1bOC";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const DELETE: &str = "\x1b[3~";
const HOME: &str = "\x1b[H";

#[test]
fn lines_are_answered() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    session.asks("1 + 2 + 39", "42");
    session.asks("9223372036854775807+1", "too large");
    session.asks("hello", "HELLO");
    session.asks("grün", "GRÜN");
    session.asks("", "");
    session.types("\x04");
    assert!(session.end().success());
}

#[test]
fn arrow_keys_edit_the_line_and_go_through_the_history() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    session.asks(&format!("ac{LEFT}b"), "ABC");
    session.asks(&format!("xéy{LEFT}{LEFT}{DELETE}{RIGHT}z"), "XYZ");
    session.asks(&format!("bc\x08\x7fc{HOME}b{LEFT}a\x01!\x05?"), "!ABC?");
    session.asks(&format!("{UP}{UP}{UP}d"), "ABCD");
    session.asks(&format!("{UP}{UP}{DOWN}e"), "ABCDE");
    session.asks(&format!("{UP}{DOWN}new"), "NEW");
    // A key may come in pieces.
    for piece in ["\x1b", "[", "A", "er", "\r"] {
        session.types(piece);
        thread::yield_now();
    }
    session.sees("\r\nNEWER\r\n");
    session.types("\x04");
    assert!(session.end().success());
}

#[test]
fn ctrl_c_drops_the_line_and_ctrl_d_ends_only_an_empty_one() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    session.asks("never answered\x031+1", "2");
    session.asks("abc\x01\x04", "BC"); // within a line, Ctrl-D deletes
    session.types("x\x03\x04");
    assert!(session.end().success());
}

#[test]
fn a_new_size_is_heard_of_at_once() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    session.asks("size", "80 x 24");
    session.types("one two three four five six seven eight");
    session.sees("eight\x1b[K");
    session.pty.resize(20, 10);
    // No key: what fits into the new size.
    session.sees("\r> e six seven eight");
    session.asks("\x03size", "20 x 10");
    session.types("\x04");
    assert!(session.end().success());
}

#[test]
fn the_terminal_is_as_before_after_sigterm() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    session.asks("1", "1");
    session.types("half a li");
    session.sees("half a li");
    session.send(Signal::TERM);
    assert!(session.end().success());
}

#[test]
fn it_ends_when_the_terminal_goes_away() {
    let _watchdog = watchdog();
    let Some(mut session) = Session::start() else { return };
    // Nobody else has the other end, so that this is the hang-up.
    session.pty.master = File::open("/dev/null").expect("it is there");
    let status = session.child.wait().expect("a child to wait for");
    assert_eq!(status.code(), Some(0), "{status:?}");
}

/// What it makes of an input that is no terminal.
fn answers(input: impl Into<Stdio>) -> String {
    let output = process::command("repl").stdin(input).output().expect("the example starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn without_a_terminal_a_line_is_a_line() {
    let _watchdog = watchdog();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("repl-input");
    std::fs::write(&path, "1 + 2\nhello\n\nsize\nno newline").expect("the folder is there");
    let file = File::open(&path).expect("it was written");
    assert_eq!(answers(file), "3\nHELLO\n\nno window\nNO NEWLINE\n");
    let _ = std::fs::remove_file(path);

    let (reads, writes) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    let writer = thread::spawn(move || {
        let mut writes = File::from(writes);
        (0..20_000).try_for_each(|number| writeln!(writes, "{number} + 1"))
    });
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert!(answers(reads) == expected);
    writer.join().expect("no panic").expect("all was read");
    assert_eq!(answers(Stdio::null()), "");
}

#[test]
fn it_ends_quietly_when_nobody_reads_the_output() {
    let _watchdog = watchdog();
    let mut command = process::command("repl");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("it has an input");
    // It may end before it has read all of this.
    while writeln!(input, "1 + 1").is_ok() {}
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
