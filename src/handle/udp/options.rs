//! The options of a UDP socket. They need one: [`bind`](Udp::bind) first.

use std::io;

use super::Udp;
use crate::error::Misuse;

impl Udp {
    /// Allows datagrams to a broadcast address.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket; [`Misuse::Closing`]; what the
    /// system says.
    ///
    /// libuv: `uv_udp_set_broadcast`
    #[doc(alias = "uv_udp_set_broadcast")]
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.with_any_socket(|socket| socket.set_broadcast(on))
    }

    /// Sets how many routers a datagram may pass, at least 1. The system's default is usually 64.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for 0 ([`Misuse::ZeroHops`]) and on a closing handle; otherwise as
    /// [`set_broadcast`](Udp::set_broadcast).
    ///
    /// libuv: `uv_udp_set_ttl`
    #[doc(alias = "uv_udp_set_ttl")]
    pub fn set_ttl(&self, hops: u8) -> io::Result<()> {
        let is_ipv6 = self.is_ipv6()?;
        if hops == 0 {
            return Err(Misuse::ZeroHops.into());
        }
        self.with_any_socket(|socket| match is_ipv6 {
            false => socket.set_ttl_v4(hops.into()),
            true => socket.set_unicast_hops_v6(hops.into()),
        })
    }

    /// The family of the socket.
    pub(super) fn is_ipv6(&self) -> io::Result<bool> {
        self.core().check_open()?;
        Ok(self.local_addr()?.is_ipv6())
    }
}
