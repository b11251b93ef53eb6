//! UDP sockets as the datagram engine uses them.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;

use crate::datagram::{Received, Transport};
use crate::error::Misuse;

impl Transport for mio::net::UdpSocket {
    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            match self.recv_from(buffer) {
                Ok((length, from)) => {
                    return Ok(Received {
                        length,
                        from,
                        #[cfg(feature = "udp-offload")]
                        segment_size: length,
                    });
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
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
        for batch in datagrams.chunks(BATCH) {
            match send_batch(self, batch) {
                Ok(count) => {
                    sent += count;
                    if count < batch.len() {
                        break;
                    }
                }
                Err(_) if sent > 0 => break,
                Err(err) => return Err(err),
            }
        }
        Ok(sent)
    }
}

/// Datagrams given to the kernel in one call. More would gain nothing: the call itself is a small part of it by then.
const BATCH: usize = 32;

/// Sends the first ones of these, at least one, or says why not even that.
#[cfg(target_os = "linux")]
fn send_batch(socket: &mio::net::UdpSocket, batch: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
    use std::io::IoSlice;

    let addrs: Vec<SocketAddrAny> = batch.iter().map(|&(_, to)| to.into()).collect();
    let data: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|(data, _)| [IoSlice::new(data)]).collect();
    let mut controls: Vec<_> = batch.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = addrs.iter().zip(&data).zip(&mut controls);
    let mut messages: Vec<MMsgHdr<'_>> =
        parts.map(|((addr, data), control)| MMsgHdr::new_with_addr(addr, data, control)).collect();
    loop {
        let sent = socket.try_io(|| Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?));
        match sent {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Err(err),
            Err(err) => return Err(explain(socket, err, &batch[0].1)),
            sent => return sent,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn send_batch(socket: &mio::net::UdpSocket, batch: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
    let send = |(data, to): &(&[u8], SocketAddr)| Transport::send(socket, data, Some(to));
    send(&batch[0])?;
    Ok(1 + batch[1..].iter().take_while(|datagram| send(datagram).is_ok()).count())
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
