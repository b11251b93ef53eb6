//! The load generator: many clients on one thread, every byte checked.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockAddr, Socket, Type};

use crate::pattern::Pattern;
use crate::scenario::{Scenario, Shape};

/// How far a streaming connection may be ahead of what it got back.
const STREAM_WINDOW: u64 = 4 * 1024 * 1024;

/// A server that brings nothing for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long the clients talk before the first slice that counts.
pub const WARM_UP: Duration = Duration::from_millis(50);

/// Clients come from so many addresses where there are many of them: one has not enough ports.
const SOURCES: usize = 16;

/// What one slice of time brought.
pub struct Sample {
    pub messages: u64,
    pub elapsed: Duration,
    /// From sending a message to having its answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// What puts a server under load.
pub trait Load {
    /// Has the clients talk for `length`, then waits for what is still under way.
    fn run(&mut self, length: Duration) -> io::Result<Sample>;
}

pub fn new_latency() -> Histogram<u64> {
    Histogram::new(2).expect("two digits can be had")
}

/// Notes how long an answer took.
pub fn record_latency(latency: &mut Histogram<u64>, now: Instant, begun: Instant) {
    let nanos = now.saturating_duration_since(begun).as_nanos();
    // It grows as it has to, so this cannot fail.
    let _ = latency.record(u64::try_from(nanos).unwrap_or(u64::MAX));
}

/// The clients of one scenario, connected to one server.
pub struct Clients<'a> {
    scenario: &'a Scenario,
    pattern: &'a Pattern,
    addr: SockAddr,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    /// Clients made so far: each has a pattern and a port of its own.
    made: usize,
}

struct Client {
    stream: Socket,
    id: usize,
    sent: u64,
    received: u64,
    /// When the messages under way were sent.
    under_way: VecDeque<Instant>,
}

/// One slice of time, while it lasts.
struct Slice {
    end: Instant,
    now: Instant,
    /// Bytes that were sent and have not come back.
    under_way: u64,
    messages: u64,
    latency: Histogram<u64>,
}

impl Slice {
    fn is_over(&self) -> bool {
        self.now >= self.end
    }
}

impl<'a> Clients<'a> {
    pub fn connect(
        scenario: &'a Scenario,
        pattern: &'a Pattern,
        addr: SockAddr,
    ) -> io::Result<Clients<'a>> {
        let mut clients = Clients {
            scenario,
            pattern,
            addr,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; 256 * 1024],
            made: 0,
        };
        for slot in 0..scenario.connections {
            let client = clients.new_client(slot)?;
            clients.clients.push(client);
        }
        clients.run(WARM_UP)?;
        Ok(clients)
    }

    /// Reads what has come for a client and sends what it may. True if it should be served again without an event.
    fn serve(&mut self, slot: usize, slice: &mut Slice) -> io::Result<bool> {
        let Clients { clients, pattern, buffer, scenario, .. } = self;
        let client = &mut clients[slot];
        let message = scenario.message as u64;
        let received = client.receive(pattern, buffer, message, slice)?;
        if scenario.shape == Shape::Churn && client.received == message && !slice.is_over() {
            // A new one, whose sending follows when it is connected.
            self.clients[slot] = self.new_client(slot)?;
            return Ok(false);
        }
        if slice.is_over() {
            return Ok(false);
        }
        let goal = match scenario.shape {
            Shape::Churn => message,
            Shape::Messages { outstanding } => client.received + outstanding as u64 * message,
            Shape::Stream => client.received + STREAM_WINDOW,
            Shape::Datagrams { .. } => unreachable!("they have a load of their own"),
        };
        let sent = client.send(pattern, goal / message * message, message, slice)?;
        Ok(scenario.shape == Shape::Stream && (received || sent))
    }

    fn new_client(&mut self, slot: usize) -> io::Result<Client> {
        let id = self.made;
        self.made += 1;
        let stream = new_socket(&self.addr)?;
        stream.set_nonblocking(true)?;
        if self.scenario.shape == Shape::Churn {
            bind_to_source(&stream, id)?;
        }
        match stream.connect(&self.addr) {
            Err(err) if err.raw_os_error() != Some(libc::EINPROGRESS) => return Err(err),
            _ => {}
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        let mut source = SourceFd(&stream.as_raw_fd());
        self.poll.registry().register(&mut source, Token(slot), both)?;
        Ok(Client { stream, id, sent: 0, received: 0, under_way: VecDeque::new() })
    }
}

impl Load for Clients<'_> {
    fn run(&mut self, length: Duration) -> io::Result<Sample> {
        let begin = Instant::now();
        let mut slice = Slice {
            end: begin + length,
            now: begin,
            under_way: 0,
            messages: 0,
            latency: new_latency(),
        };
        let mut ready: Vec<usize> = (0..self.clients.len()).collect();
        let mut again = Vec::new();
        loop {
            for slot in ready.drain(..) {
                if self.serve(slot, &mut slice)? {
                    again.push(slot);
                }
            }
            if slice.is_over() && slice.under_way == 0 {
                break;
            }
            let patience = if again.is_empty() { PATIENCE } else { Duration::ZERO };
            self.poll.poll(&mut self.events, Some(patience))?;
            if self.events.is_empty() && again.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server stopped answering"));
            }
            slice.now = Instant::now();
            ready.append(&mut again);
            ready.extend(self.events.iter().map(|event| event.token().0));
        }
        Ok(Sample { messages: slice.messages, elapsed: begin.elapsed(), latency: slice.latency })
    }
}

impl Client {
    /// True if something came.
    fn receive(
        &mut self,
        pattern: &Pattern,
        buffer: &mut [u8],
        message: u64,
        slice: &mut Slice,
    ) -> io::Result<bool> {
        let before = self.received;
        while self.received < self.sent {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(length) => {
                    if buffer[..length] != *pattern.piece(self.id, self.received, length) {
                        return Err(io::Error::other("other bytes came back than were sent"));
                    }
                    self.received += length as u64;
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) => return Err(err),
            }
        }
        slice.under_way -= self.received - before;
        for _ in before / message..self.received / message {
            slice.messages += 1;
            if let Some(begun) = self.under_way.pop_front() {
                record_latency(&mut slice.latency, slice.now, begun);
            }
        }
        Ok(self.received > before)
    }

    /// Sends up to `goal`. True if something went.
    fn send(
        &mut self,
        pattern: &Pattern,
        goal: u64,
        message: u64,
        slice: &mut Slice,
    ) -> io::Result<bool> {
        let before = self.sent;
        while self.sent < goal {
            let length = (goal - self.sent).min(64 * 1024) as usize;
            match self.stream.write(pattern.piece(self.id, self.sent, length)) {
                Ok(count) => self.sent += count as u64,
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) => return Err(err),
            }
        }
        slice.under_way += self.sent - before;
        for _ in before.div_ceil(message)..self.sent.div_ceil(message) {
            self.under_way.push_back(slice.now);
        }
        Ok(self.sent > before)
    }
}

/// A socket for a client of the server that listens there.
pub fn new_socket(server: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(server.domain(), Type::STREAM, None)?;
    if server.is_ipv4() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

/// Spreads the clients over the addresses of this host, each of which has ports of its own.
pub fn bind_to_source(socket: &Socket, index: usize) -> io::Result<()> {
    let source = Ipv4Addr::new(127, 0, 0, 1 + (index % SOURCES) as u8);
    let addr = if cfg!(target_os = "linux") { source } else { Ipv4Addr::LOCALHOST };
    socket.bind(&SocketAddr::from((addr, 0)).into())
}
