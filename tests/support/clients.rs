//! What clients of the servers among the examples do: plain blocking sockets.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::process::LIMIT;

pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;

/// A connection. Blocking calls on it end after a while.
pub fn connect(addr: SocketAddr) -> TcpStream {
    prepared(TcpStream::connect(addr).expect("a server that listens"))
}

/// One for which the system keeps no more than about so many bytes that the client has not read.
pub fn connect_with_buffer(addr: SocketAddr, bytes: usize) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(bytes).expect("a size can be set");
    socket.connect(&addr.into()).expect("a server that listens");
    prepared(TcpStream::from(socket))
}

fn prepared(client: TcpStream) -> TcpStream {
    client.set_read_timeout(Some(LIMIT / 2)).expect("a timeout can be set");
    client.set_write_timeout(Some(LIMIT / 2)).expect("a timeout can be set");
    client.set_nodelay(true).expect("nodelay can be set");
    client
}

/// Sends a line, and waits for one.
pub fn ask(mut client: &TcpStream, line: &str) -> io::Result<String> {
    client.write_all(line.as_bytes())?;
    let mut answer = String::new();
    match BufReader::new(client).read_line(&mut answer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer),
    }
}

/// What comes until the end of the stream.
pub fn rest_of(client: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => Ok(rest),
        Err(err) => Err(format!("{err} after {} bytes", rest.len())),
    }
}

/// Sends what `fill` makes until the other end has not taken anything for a while. Says how much
/// that was, at most `limit`.
pub fn send_until_stuck(
    client: &mut TcpStream,
    limit: usize,
    mut fill: impl FnMut(&mut [u8]),
) -> usize {
    client.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
    let mut chunk = vec![0; 64 * KIB];
    let mut sent = 0;
    while sent < limit {
        fill(&mut chunk);
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            match client.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    return sent + chunk.len() - rest.len();
                }
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => panic!("{err} after {sent} bytes"),
            }
        }
        sent += chunk.len();
    }
    sent
}

/// Fills the buffer with this line, over and over.
pub fn fill_with(line: &[u8], buffer: &mut [u8]) {
    for (byte, &next) in buffer.iter_mut().zip(line.iter().cycle()) {
        *byte = next;
    }
}

/// Bytes without a pattern, the same ones for the same seed.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Fills all of it. Several calls give what one would, if all but the last are multiples of 8.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for bytes in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.copy_from_slice(&self.0.to_le_bytes()[..bytes.len()]);
        }
    }

    /// Sends the next `length` bytes.
    pub fn send(&mut self, to: &mut impl Write, length: usize) -> io::Result<()> {
        let mut chunk = [0; 32 * KIB];
        for start in (0..length).step_by(chunk.len()) {
            let chunk = &mut chunk[..(length - start).min(32 * KIB)];
            self.fill(chunk);
            to.write_all(chunk)?;
        }
        Ok(())
    }

    /// Receives as many, and fails unless they are the next ones.
    #[track_caller]
    pub fn receive(&mut self, from: &mut impl Read, length: usize) -> io::Result<()> {
        let (mut expected, mut received) = ([0; 32 * KIB], [0; 32 * KIB]);
        for start in (0..length).step_by(expected.len()) {
            let size = (length - start).min(32 * KIB);
            self.fill(&mut expected[..size]);
            from.read_exact(&mut received[..size])?;
            assert!(expected[..size] == received[..size], "other bytes after {start}");
        }
        Ok(())
    }
}
