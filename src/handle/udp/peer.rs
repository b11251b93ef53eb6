//! The peer of a socket: one address to send to, and the only one to receive from.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{SockAddr, SockRef};

use super::Udp;
use crate::addr::IntoAddr;
use crate::error::Misuse;
use crate::handle::ip::{as_ip, to_this_host};

impl Udp {
    /// Gives the socket a peer: it sends to this address without naming it, and receives from nobody else. Nothing is
    /// sent by that. A handle that is not bound is bound to a free port.
    ///
    /// If there is nobody at the address, a later send or receive fails with
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused); the handle stays usable.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasPeer`]) if it has a peer already;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no address, for port 0 ([`Misuse::ZeroPort`]), for
    /// an address of the other family ([`Misuse::WrongFamily`]), after a failed bind ([`Misuse::NotBound`]) and on a
    /// closing handle; what the system says.
    ///
    /// libuv: `uv_udp_connect`
    #[doc(alias = "uv_udp_connect")]
    pub fn connect(&self, addr: impl IntoAddr) -> io::Result<()> {
        self.connect_to(addr.into_addr())
    }

    fn connect_to(&self, addr: io::Result<SocketAddr>) -> io::Result<()> {
        self.core().check_open()?;
        let addr = addr?;
        if self.0.datagrams.is_connected() {
            return Err(Misuse::HasPeer.into());
        }
        if addr.port() == 0 {
            return Err(Misuse::ZeroPort.into());
        }
        self.ensure_bound(addr)?;
        let own = self.local_addr()?;
        self.with_any_socket(|socket| {
            if own.is_ipv4() && addr.is_ipv6() || is_kept_out(socket, own, addr) {
                return Err(Misuse::WrongFamily.into());
            }
            socket.connect(&SockAddr::from(to_this_host(addr)))
        })?;
        self.0.datagrams.set_connected(true);
        Ok(())
    }

    /// Takes the peer away: the socket sends to any address again, and receives from all. It keeps its port.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a peer ([`Misuse::NoPeer`]);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) on a closing handle; what the system says.
    ///
    /// libuv: `uv_udp_connect` without an address
    #[doc(alias = "uv_udp_connect")]
    pub fn disconnect(&self) -> io::Result<()> {
        self.core().check_open()?;
        if !self.0.datagrams.is_connected() {
            return Err(Misuse::NoPeer.into());
        }
        self.with_any_socket(|socket| {
            let before = as_ip(socket.local_addr()?)?;
            let done = rustix::net::connect_unspec(socket.as_fd());
            if socket.peer_addr().is_ok() {
                done?; // otherwise it is done, though the BSDs complain about the family
            }
            // Linux also takes a port away that it had picked by itself.
            let mut after = as_ip(socket.local_addr()?)?;
            if after.port() != 0 {
                return Ok(());
            }
            after.set_port(before.port());
            socket.bind(&after.into())
        })?;
        self.0.datagrams.set_connected(false);
        Ok(())
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a socket ([`Misuse::NoSocket`]) or a peer
    /// ([`Misuse::NoPeer`]).
    ///
    /// libuv: `uv_udp_getpeername`
    #[doc(alias = "uv_udp_getpeername")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with_any_fd(|fd| match SockRef::from(&fd).peer_addr() {
            Ok(addr) => as_ip(addr),
            Err(err) if err.kind() == io::ErrorKind::NotConnected => Err(Misuse::NoPeer.into()),
            Err(err) => Err(err),
        })?
    }
}

/// True for an IPv4 address and an IPv6 socket that has nothing to do with IPv4.
fn is_kept_out(socket: &SockRef<'_>, own: SocketAddr, addr: SocketAddr) -> bool {
    own.is_ipv6() && addr.is_ipv4() && socket.only_v6().unwrap_or(false)
}
