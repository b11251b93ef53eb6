//! The floor: an echo server written by hand on mio, with what every fast one does and nothing else.
//!
//! Edge-triggered, each socket registered once for both directions, one buffer of 64 KiB for all reads, write first and
//! queue what is left, no second read after a short one unless the peer has hung up. A host that is a path is a Unix
//! socket.

use std::io::{self, ErrorKind, Read, Write};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

/// A peer that does not read is not read from either while more than this is queued for it.
const HIGH_WATER: usize = 64 * 1024;

struct Connection<S> {
    stream: S,
    /// What the kernel had no room for.
    queue: Vec<u8>,
    /// The read side waits for the queue.
    paused: bool,
    hung_up: bool,
}

enum Outcome {
    Open,
    Done,
}

impl<S: Read + Write> Connection<S> {
    /// Reads until there is nothing more, and echoes.
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<Outcome> {
        loop {
            if self.queue.len() > HIGH_WATER {
                self.paused = true;
                return Ok(Outcome::Open);
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Outcome::Done),
                Ok(length) => {
                    self.send(&buffer[..length])?;
                    if length < buffer.len() && !self.hung_up {
                        return Ok(Outcome::Open);
                    }
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(Outcome::Open),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    fn send(&mut self, mut data: &[u8]) -> io::Result<()> {
        while self.queue.is_empty() && !data.is_empty() {
            match self.stream.write(data) {
                Ok(sent) => data = &data[sent..],
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        self.queue.extend_from_slice(data);
        Ok(())
    }

    /// There is room: sends what is queued, and reads again if that waited for it.
    fn flush(&mut self, buffer: &mut [u8]) -> io::Result<Outcome> {
        let mut sent = 0;
        while sent < self.queue.len() {
            match self.stream.write(&self.queue[sent..]) {
                Ok(count) => sent += count,
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        self.queue.drain(..sent);
        if self.paused && self.queue.len() <= HIGH_WATER / 2 {
            self.paused = false;
            return self.serve(buffer);
        }
        Ok(Outcome::Open)
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    if host.starts_with('/') {
        let listener = UnixListener::bind(&host)?;
        println!("Echo server listening on {host}");
        return serve(listener, UnixListener::accept);
    }
    let listener = TcpListener::bind(format!("{host}:{port}").parse().map_err(io::Error::other)?)?;
    println!("Echo server listening on {}", listener.local_addr()?);
    serve(listener, TcpListener::accept)
}

fn serve<L: Source, S: Source + Read + Write, A>(
    mut listener: L,
    accept: impl Fn(&L) -> io::Result<(S, A)>,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Slab<Connection<S>> = Slab::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = accept(&listener) {
                    let entry = connections.vacant_entry();
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(entry.key()), both)?;
                    entry.insert(Connection {
                        stream,
                        queue: Vec::new(),
                        paused: false,
                        hung_up: false,
                    });
                }
                continue;
            }
            let key = event.token().0;
            let Some(connection) = connections.get_mut(key) else { continue };
            connection.hung_up |= event.is_read_closed() || event.is_error();
            let mut outcome = Ok(Outcome::Open);
            if event.is_writable() && !connection.queue.is_empty() {
                outcome = connection.flush(&mut buffer);
            }
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            if matches!(outcome, Ok(Outcome::Open)) && readable && !connection.paused {
                outcome = connection.serve(&mut buffer);
            }
            match outcome {
                Ok(Outcome::Open) => {}
                Ok(Outcome::Done) | Err(_) => drop(connections.remove(key)),
            }
        }
    }
}
