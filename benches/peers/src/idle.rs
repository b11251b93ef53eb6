//! Connections that do nothing. For each server another process holds them: to all servers together they would be more
//! descriptors than one process may have.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use socket2::{Domain, Socket, Type};

use crate::load::{PATIENCE, bind_to_source};

/// The argument by which the scoreboard starts itself to hold connections.
pub const HOLD: &str = "--hold-idle-connections";

/// What the other process says when all are there.
const DONE: &str = "done";

/// The process that holds them. Ended when it is dropped.
pub struct Idle {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Idle {
    pub fn start(server: SocketAddr) -> io::Result<Idle> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([HOLD, &server.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
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
    let Ok(server) = server.parse() else { return ExitCode::FAILURE };
    let mut held = Vec::new();
    for line in io::stdin().lines().map_while(Result::ok) {
        let count = line.parse().unwrap_or(0);
        let connected = (0..count).try_for_each(|_| {
            held.push(connect(server, held.len())?);
            Ok::<(), io::Error>(())
        });
        match connected {
            Ok(()) => println!("{DONE}"),
            Err(err) => println!("{err}"),
        }
    }
    ExitCode::SUCCESS
}

fn connect(server: SocketAddr, index: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    bind_to_source(&socket, index)?;
    socket.connect_timeout(&server.into(), PATIENCE)?;
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE))?;
    // It has been accepted when its byte comes back.
    stream.write_all(b"i")?;
    stream.read_exact(&mut [0])?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_connection_counts_when_its_byte_came_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            client.write_all(&byte).unwrap();
            // The next one is accepted and left without an answer.
            drop(listener.accept().unwrap());
        });
        connect(addr, 0).unwrap();
        connect(addr, 1).unwrap_err();
        server.join().unwrap();
    }
}
