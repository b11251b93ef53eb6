//! Addresses as arguments: what can be turned into one without asking anybody.

mod unix;

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use self::unix::IntoPipeAddr;
pub(crate) use self::unix::{as_pipe_addr, to_sockaddr};
use crate::error::Misuse;

/// What [`Tcp`](crate::Tcp) takes as an address: a [`SocketAddr`], an `(IpAddr, u16)`, or text such as `"0.0.0.0:7000"`
/// or `"[::1]:7000"`.
///
/// Host names are not among them, on purpose: std's `ToSocketAddrs` resolves them by blocking the thread, and with it the
/// loop.
///
/// libuv: `uv_ip4_addr`, `uv_ip6_addr`
#[doc(alias = "uv_ip4_addr")]
#[doc(alias = "uv_ip6_addr")]
pub trait IntoAddr {
    /// The address.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) ([`Misuse::BadAddress`]) for a text that is no address.
    fn into_addr(self) -> io::Result<SocketAddr>;
}

impl IntoAddr for SocketAddr {
    fn into_addr(self) -> io::Result<SocketAddr> {
        Ok(self)
    }
}

impl IntoAddr for SocketAddrV4 {
    fn into_addr(self) -> io::Result<SocketAddr> {
        Ok(self.into())
    }
}

impl IntoAddr for SocketAddrV6 {
    fn into_addr(self) -> io::Result<SocketAddr> {
        Ok(self.into())
    }
}

impl<I: Into<IpAddr>> IntoAddr for (I, u16) {
    fn into_addr(self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::new(self.0.into(), self.1))
    }
}

impl IntoAddr for &str {
    fn into_addr(self) -> io::Result<SocketAddr> {
        self.parse().map_err(|_| Misuse::BadAddress.into())
    }
}

impl IntoAddr for &String {
    fn into_addr(self) -> io::Result<SocketAddr> {
        self.as_str().into_addr()
    }
}

impl IntoAddr for String {
    fn into_addr(self) -> io::Result<SocketAddr> {
        self.as_str().into_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn literals_are_addresses_and_names_are_not() {
        assert_eq!(
            "127.0.0.1:80".into_addr().unwrap(),
            (Ipv4Addr::LOCALHOST, 80).into_addr().unwrap()
        );
        assert!("[::1]:80".to_string().into_addr().unwrap().is_ipv6());
        for bad in ["localhost:80", "127.0.0.1", "::1:80:", "", "1.2.3.4:70000"] {
            assert_eq!(
                Misuse::of(&bad.into_addr().unwrap_err()),
                Some(Misuse::BadAddress),
                "{bad}"
            );
        }
    }
}
