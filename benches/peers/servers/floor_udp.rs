//! The floor for datagrams: an echo server written by hand on mio, with what every fast one does and nothing else.
//!
//! Edge-triggered, registered for reading alone, one buffer, receive and send until there is nothing more. What the kernel
//! has no room for is dropped.

use std::io::{self, ErrorKind};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let addr = format!("{host}:{port}").parse().map_err(io::Error::other)?;
    let mut poll = Poll::new()?;
    let mut socket = UdpSocket::bind(addr)?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    println!("UDP echo server listening on {}", socket.local_addr()?);

    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for _ in &events {
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => match socket.send_to(&buffer[..length], from) {
                        Err(err) if err.kind() != ErrorKind::WouldBlock => return Err(err),
                        _ => {}
                    },
                    Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                    Err(err) if err.kind() == ErrorKind::Interrupted => {}
                    Err(err) => return Err(err),
                }
            }
        }
    }
}
