//! The load generator for datagrams: one socket, every datagram checked.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::load::{Load, PATIENCE, Sample, new_latency, record_latency};
use crate::pattern::Pattern;

/// A client that keeps so many datagrams under way.
pub struct Client<'a> {
    pattern: &'a Pattern,
    /// Bytes of a datagram.
    length: usize,
    outstanding: usize,
    socket: UdpSocket,
    poll: Poll,
    events: Events,
    sent: u64,
    received: u64,
    /// When the datagrams under way were sent.
    under_way: VecDeque<Instant>,
}

impl<'a> Client<'a> {
    pub fn connect(
        pattern: &'a Pattern,
        length: usize,
        outstanding: usize,
        addr: SocketAddr,
    ) -> io::Result<Client<'a>> {
        let poll = Poll::new()?;
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.connect(addr)?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        Ok(Client {
            pattern,
            length,
            outstanding,
            socket,
            poll,
            events: Events::with_capacity(16),
            sent: 0,
            received: 0,
            under_way: VecDeque::new(),
        })
    }

    /// Exchanges exactly so many datagrams.
    pub fn exchange(&mut self, count: u64) -> io::Result<()> {
        let goal = self.received + count;
        while self.received < goal {
            self.fill_up(goal, Instant::now())?;
            self.wait()?;
            self.receive(|_| {})?;
        }
        Ok(())
    }

    /// Sends until enough are under way, or so many have been sent since the beginning.
    fn fill_up(&mut self, most: u64, now: Instant) -> io::Result<()> {
        while self.under_way.len() < self.outstanding && self.sent < most {
            match self.socket.send(self.piece(self.sent)) {
                Ok(_) => {
                    self.sent += 1;
                    self.under_way.push_back(now);
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        match self.events.is_empty() {
            true => Err(io::Error::new(ErrorKind::TimedOut, "a datagram did not come back")),
            false => Ok(()),
        }
    }

    /// Takes what has come back; the loopback keeps the order.
    fn receive(&mut self, mut each: impl FnMut(Instant)) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) if buffer[..length] == *self.piece(self.received) => {
                    self.received += 1;
                    self.under_way.pop_front().map(&mut each);
                }
                Ok(_) => {
                    return Err(io::Error::other("another datagram came back than was sent"));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
        }
    }

    fn piece(&self, number: u64) -> &'a [u8] {
        self.pattern.piece(0, number * self.length as u64, self.length)
    }
}

impl Load for Client<'_> {
    fn run(&mut self, length: Duration) -> io::Result<Sample> {
        let begin = Instant::now();
        let mut latency = new_latency();
        let before = self.received;
        let mut now = begin;
        loop {
            if now < begin + length {
                self.fill_up(u64::MAX, now)?;
            }
            if self.under_way.is_empty() {
                break;
            }
            self.wait()?;
            now = Instant::now();
            self.receive(|begun| record_latency(&mut latency, now, begun))?;
        }
        let messages = self.received - before;
        Ok(Sample { messages, elapsed: begin.elapsed(), latency })
    }
}
