//! Offload: the system joins datagrams that belong together, and takes several in one piece. Linux only.

use std::cell::OnceCell;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::sockopt;

use super::Udp;
use crate::addr::IntoAddr;
use crate::datagram::{Received, Transport};
use crate::error::Misuse;

/// The most that a datagram over IPv4 carries, and what is given to the kernel in one piece.
const LONGEST: usize = 65_507;

impl Udp {
    /// Has the system join datagrams of one sender that have the same length, as it got them. The callback then gets up to
    /// 64 of them at once: see [`Datagram::segments`](crate::Datagram::segments). For those who move bulk, such as QUIC
    /// does; with the default [`read_chunk`](crate::Builder::read_chunk), since what is longer than it is cut. There is no
    /// way back for this socket.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket; [`Misuse::Closing`]; what the
    /// system says.
    pub fn enable_offload(&self) -> io::Result<()> {
        self.core().check_open()?;
        let enabled = self.0.datagrams.with_socket(UdpSocket::enable_offload);
        enabled.ok_or(Misuse::NoSocket)?
    }

    /// Sends `data` as datagrams of `segment_size` bytes to `addr`; the last one may be shorter. With
    /// [offload](Udp::enable_offload) the system takes many of them in one piece. Says how many bytes it took: all, or
    /// whole datagrams. Never queues and never overtakes.
    ///
    /// # Errors
    /// As [`try_send_to`](Udp::try_send_to), and only if the first datagrams failed.
    pub fn try_send_segments(
        &self,
        data: &[u8],
        segment_size: usize,
        addr: impl IntoAddr,
    ) -> io::Result<usize> {
        let addr = addr.into_addr()?;
        self.ensure_bound(addr)?;
        self.0.datagrams.try_to(false, |socket| socket.send_segments(data, segment_size, addr))
    }
}

/// A socket that may have offload.
pub(crate) struct UdpSocket {
    io: mio::net::UdpSocket,
    offload: OnceCell<Box<UdpSocketState>>,
}

impl UdpSocket {
    pub(super) fn from_std(socket: std::net::UdpSocket) -> UdpSocket {
        UdpSocket { io: mio::net::UdpSocket::from_std(socket), offload: OnceCell::new() }
    }

    fn enable_offload(&self) -> io::Result<()> {
        if self.offload.get().is_some() {
            return Ok(());
        }
        // This also forbids to fragment datagrams, in both families, which nobody has asked for.
        let is_ipv6 = self.io.local_addr()?.is_ipv6();
        let v4 = sockopt::ip_mtu_discover(&self.io)?;
        let v6 = is_ipv6.then(|| sockopt::ipv6_mtu_discover(&self.io)).transpose()?;
        let state = UdpSocketState::new(UdpSockRef::from(&self.io))?;
        sockopt::set_ip_mtu_discover(&self.io, v4)?;
        if let Some(v6) = v6 {
            sockopt::set_ipv6_mtu_discover(&self.io, v6)?;
        }
        let _ = self.offload.set(Box::new(state));
        Ok(())
    }

    fn send_segments(&self, data: &[u8], size: usize, to: SocketAddr) -> io::Result<usize> {
        if to.port() == 0 {
            // Before the kernel says the same of it as of a destination without offload.
            return Err(Misuse::ZeroPort.into());
        }
        let size = if size == 0 { data.len().max(1) } else { size };
        let mut sent = 0;
        loop {
            let rest = &data[sent..];
            let at_once = self.offload.get().map_or(1, |state| state.max_gso_segments());
            let most = at_once.min(LONGEST / size).max(1) * size;
            let piece = &rest[..rest.len().min(most)];
            match self.send_piece(piece, size, to) {
                Ok(()) => sent += piece.len(),
                // The system has none for this destination, as is known now.
                Err(_) if at_once > 1 && self.has_lost_offload() => continue,
                Err(_) if sent > 0 => return Ok(sent),
                Err(err) => return Err(err),
            }
            if sent == data.len() {
                return Ok(sent);
            }
        }
    }

    fn has_lost_offload(&self) -> bool {
        self.offload.get().is_some_and(|state| state.max_gso_segments() == 1)
    }

    fn send_piece(&self, piece: &[u8], size: usize, to: SocketAddr) -> io::Result<()> {
        match self.offload.get() {
            Some(state) if piece.len() > size => {
                let transmit = Transmit {
                    destination: to,
                    ecn: None,
                    contents: piece,
                    segment_size: Some(size),
                    src_ip: None,
                };
                self.io.try_io(|| state.try_send(UdpSockRef::from(&self.io), &transmit))
            }
            _ => self.send(piece, Some(&to)),
        }
    }
}

impl Transport for UdpSocket {
    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let Some(state) = self.offload.get() else {
            return self.io.receive(buffer);
        };
        let mut meta = [RecvMeta::default()];
        let mut slices = [IoSliceMut::new(buffer)];
        self.io.try_io(|| state.recv(UdpSockRef::from(&self.io), &mut slices, &mut meta))?;
        let [RecvMeta { len, addr, stride, .. }] = meta;
        Ok(Received { length: len, from: addr, segment_size: stride })
    }

    #[inline]
    fn send(&self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<()> {
        Transport::send(&self.io, data, to)
    }

    fn send_many(&self, datagrams: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
        self.io.send_many(datagrams)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl mio::event::Source for UdpSocket {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.io.register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.io.reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.io.deregister(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_may_still_be_fragmented() {
        for addr in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = std::net::UdpSocket::bind(addr) else { continue };
            socket.set_nonblocking(true).unwrap();
            let socket = UdpSocket::from_std(socket);
            let options = || {
                let v6 = sockopt::ipv6_mtu_discover(&socket.io);
                (sockopt::ip_mtu_discover(&socket.io).unwrap(), v6.ok())
            };
            let before = options();
            socket.enable_offload().unwrap();
            socket.enable_offload().unwrap();
            assert_eq!(options(), before);
        }
    }
}
