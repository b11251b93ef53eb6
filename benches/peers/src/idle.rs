//! Connections that do nothing. For each server another process holds them: to all servers together they would be more
//! descriptors than one process may have.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use luvio::{Loop, Udp};
use socket2::{SockAddr, Socket};

use crate::load::{PATIENCE, bind_to_source, new_socket};
use crate::server::{self, memory_of};
use crate::summary::Report;

/// The argument by which the scoreboard starts itself to hold connections.
pub const HOLD: &str = "--hold-idle-connections";

/// The argument by which the scoreboard starts itself to make idle `Udp`s, which need nobody who connects.
pub const MAKE_UDP: &str = "--make-idle-udp";

/// What the other process says when all are there.
const DONE: &str = "done";

/// The process that holds them. Ended when it is dropped.
pub struct Idle {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Idle {
    pub fn start(server: &str) -> io::Result<Idle> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([HOLD, server]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Idle { child, orders, answers })
    }

    /// Adds `count` connections.
    pub fn add(&mut self, count: usize) -> io::Result<()> {
        writeln!(self.orders, "{count}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim_end() {
            DONE => Ok(()),
            reason => Err(io::Error::other(reason.to_string())),
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does: connects as often as each line of its input says, until the input ends.
pub fn hold(server: &str) -> ExitCode {
    let Some(server) = server::address(server) else { return ExitCode::FAILURE };
    let mut held = Vec::new();
    for line in io::stdin().lines().map_while(Result::ok) {
        let count = line.parse().unwrap_or(0);
        let connected = (0..count).try_for_each(|_| {
            held.push(connect(&server, held.len())?);
            Ok::<(), io::Error>(())
        });
        match connected {
            Ok(()) => println!("{DONE}"),
            Err(err) => println!("{err}"),
        }
    }
    ExitCode::SUCCESS
}

fn connect(server: &SockAddr, index: usize) -> io::Result<Socket> {
    let mut stream = new_socket(server)?;
    if server.is_ipv4() {
        bind_to_source(&stream, index)?;
    }
    stream.connect_timeout(server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // It has been accepted when its byte comes back.
    stream.write_all(b"i")?;
    stream.read_exact(&mut [0])?;
    Ok(stream)
}

/// Notes the bytes of an idle `Udp`, from a process that has nothing else.
pub fn measure_udp(report: &mut Report) {
    let measured = || {
        let output = Command::new(std::env::current_exe()?).arg(MAKE_UDP).output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        text.parse().map_err(|_| io::Error::other(text))
    };
    match measured() {
        Ok(bytes) => report.record(&["idle", "luvio-udp"], &[("idle_bytes", Some(bytes))]),
        Err(err) => report.fail("idle: Udp", &err.to_string()),
    }
}

/// What that process does: says how many bytes each of many `Udp`s takes, or why it cannot.
pub fn make_udp() -> ExitCode {
    match bytes_of_udps(100, 9_900) {
        Ok(bytes) => println!("{bytes}"),
        Err(err) => println!("{err}"),
    }
    ExitCode::SUCCESS
}

/// Some `Udp`s first, which fill what grows once; then the bytes of each of `count`.
fn bytes_of_udps(first: usize, count: usize) -> io::Result<f64> {
    let memory = || memory_of(std::process::id()).ok_or(io::Error::other("no figures of memory"));
    let event_loop = Loop::new()?;
    let make = |count| {
        (0..count).try_for_each(|_| {
            let socket = Udp::new(&event_loop); // the loop keeps it, since it receives
            socket.bind("127.0.0.1:0")?;
            socket.recv_start(|_, _| {})
        })
    };
    make(first)?;
    let before = memory()?;
    make(count)?;
    Ok(memory()?.saturating_sub(before) as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_connection_counts_when_its_byte_came_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().into();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            client.write_all(&byte).unwrap();
            // The next one is accepted and left without an answer.
            drop(listener.accept().unwrap());
        });
        connect(&addr, 0).unwrap();
        connect(&addr, 1).unwrap_err();
        server.join().unwrap();
    }
}
