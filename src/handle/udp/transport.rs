//! UDP sockets as the datagram engine uses them.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;

use crate::datagram::Transport;
use crate::error::Misuse;

impl Transport for mio::net::UdpSocket {
    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            match self.recv_from(buffer) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }

    #[inline]
    fn send(&self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<()> {
        let sent = match to {
            Some(to) => self.send_to(data, *to),
            None => mio::net::UdpSocket::send(self, data),
        };
        match sent {
            Ok(_) => Ok(()),
            Err(err) => send_failed(self, err, data, to),
        }
    }

    fn send_many(&self, datagrams: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
        let mut sent = 0;
        for &(data, to) in datagrams {
            match Transport::send(self, data, Some(&to)) {
                Ok(()) => sent += 1,
                Err(_) if sent > 0 => break,
                Err(err) => return Err(err),
            }
        }
        Ok(sent)
    }
}

#[cold]
fn send_failed(
    socket: &mio::net::UdpSocket,
    err: io::Error,
    data: &[u8],
    to: Option<&SocketAddr>,
) -> io::Result<()> {
    match (err.kind(), to) {
        (io::ErrorKind::Interrupted, _) => Transport::send(socket, data, to),
        (io::ErrorKind::WouldBlock, _) | (_, None) => Err(err),
        (_, Some(to)) => Err(explain(socket, err, to)),
    }
}

/// Says what was wrong with the address where the system's code does not.
fn explain(socket: &mio::net::UdpSocket, err: io::Error, to: &SocketAddr) -> io::Error {
    if to.port() == 0 {
        return Misuse::ZeroPort.into();
    }
    let Ok(own) = socket.local_addr() else { return err };
    let reaches_both = own.is_ipv6() && !SockRef::from(socket).only_v6().unwrap_or(false);
    match own.is_ipv6() == to.is_ipv6() || reaches_both {
        true => err,
        false => Misuse::WrongFamily.into(),
    }
}
