//! The load generator for datagrams: one socket, every datagram checked.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use crate::load::{Load, PATIENCE, Sample, new_latency, record_latency};
use crate::pattern::Pattern;

/// Bytes that the system takes in one piece.
const MOST_AT_ONCE: usize = 65_507;

/// A client that keeps so many datagrams under way.
pub struct Client<'a> {
    pattern: &'a Pattern,
    /// Bytes of a datagram.
    length: usize,
    outstanding: usize,
    server: SocketAddr,
    /// Where datagrams are sent and received in one piece.
    offload: Option<UdpSocketState>,
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
        offload: bool,
        addr: SocketAddr,
    ) -> io::Result<Client<'a>> {
        let poll = Poll::new()?;
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.connect(addr)?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        let new = || UdpSocketState::new(UdpSockRef::from(&socket));
        let offload = offload.then(new).transpose()?;
        Ok(Client {
            pattern,
            length,
            outstanding,
            server: addr,
            offload,
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
        loop {
            let room = self.outstanding - self.under_way.len();
            let count = (room as u64).min(most - self.sent).min(self.at_once());
            if count == 0 {
                return Ok(());
            }
            match self.send(count) {
                Ok(()) => {
                    self.sent += count;
                    self.under_way.extend((0..count).map(|_| now));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
        }
    }

    /// How many datagrams the system takes in one piece.
    fn at_once(&self) -> u64 {
        self.offload.as_ref().map_or(1, |_| (MOST_AT_ONCE / self.length) as u64)
    }

    fn send(&self, count: u64) -> io::Result<()> {
        let contents = self.piece(self.sent, count as usize * self.length);
        let Some(offload) = &self.offload else {
            return self.socket.send(contents).map(drop);
        };
        let transmit = Transmit {
            destination: self.server,
            ecn: None,
            contents,
            segment_size: (count > 1).then_some(self.length),
            src_ip: None,
        };
        offload.try_send(UdpSockRef::from(&self.socket), &transmit)
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
            let received = match &self.offload {
                None => self.socket.recv(&mut buffer),
                Some(offload) => {
                    let mut meta = [RecvMeta::default()];
                    let mut slices = [IoSliceMut::new(&mut buffer)];
                    let socket = UdpSockRef::from(&self.socket);
                    offload.recv(socket, &mut slices, &mut meta).map(|_| meta[0].len)
                }
            };
            match received {
                Ok(length) if buffer[..length] == *self.piece(self.received, length) => {
                    let count = length / self.length;
                    self.received += count as u64;
                    self.under_way.drain(..count).for_each(&mut each);
                }
                Ok(_) => {
                    return Err(io::Error::other("another datagram came back than was sent"));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
        }
    }

    /// So many bytes, from the beginning of this datagram on.
    fn piece(&self, number: u64, length: usize) -> &'a [u8] {
        self.pattern.piece(0, number * self.length as u64, length)
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
