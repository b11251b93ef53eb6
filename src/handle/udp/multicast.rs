//! Multicast: the groups of a socket, and how it sends to groups.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socket2::Socket;

use super::Udp;
use crate::error::Misuse;

/// The network interface of a multicast group.
///
/// IPv4 names it by an address that it has, IPv6 by its index.
///
/// libuv: the `interface_addr` of its multicast functions
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The one that the system chooses.
    #[default]
    Any,
    /// The one with this address, for IPv4.
    Addr(Ipv4Addr),
    /// The one with this index, for IPv6.
    Index(u32),
}

impl From<Ipv4Addr> for Interface {
    fn from(addr: Ipv4Addr) -> Interface {
        Interface::Addr(addr)
    }
}

impl From<u32> for Interface {
    fn from(index: u32) -> Interface {
        Interface::Index(index)
    }
}

impl Interface {
    fn addr(self) -> io::Result<Ipv4Addr> {
        match self {
            Interface::Any => Ok(Ipv4Addr::UNSPECIFIED),
            Interface::Addr(addr) => Ok(addr),
            Interface::Index(_) => Err(Misuse::BadInterface.into()),
        }
    }

    fn index(self) -> io::Result<u32> {
        match self {
            Interface::Any => Ok(0),
            Interface::Index(index) => Ok(index),
            Interface::Addr(_) => Err(Misuse::BadInterface.into()),
        }
    }
}

impl Udp {
    /// Receives what is sent to `group`, at the handle's port, on one interface.
    ///
    /// ```no_run
    /// use luvio::{Interface, Loop, Udp};
    /// use std::net::Ipv4Addr;
    ///
    /// let event_loop = Loop::new()?;
    /// let udp = Udp::new(&event_loop);
    /// udp.set_reuse_address(true)?; // others on this host may listen, too
    /// udp.bind("0.0.0.0:5353")?;
    /// udp.join_multicast(Ipv4Addr::new(224, 0, 0, 251), Interface::Any)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an address that is not a group's ([`Misuse::NotMulticast`]), for
    /// an interface named in the way of the other family ([`Misuse::BadInterface`]) and on a closing handle;
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) without a socket; what the system says, such
    /// as the code ENODEV for an interface that there is not, or [`AddrInUse`](io::ErrorKind::AddrInUse) for a group that
    /// was joined already.
    ///
    /// libuv: `uv_udp_set_membership` with `UV_JOIN_GROUP`
    #[doc(alias = "uv_udp_set_membership")]
    pub fn join_multicast(
        &self,
        group: impl Into<IpAddr>,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        self.change_membership(
            (group.into(), interface.into()),
            Socket::join_multicast_v4,
            Socket::join_multicast_v6,
        )
    }

    /// Receives no longer what is sent to `group`; the interface is the one that was joined.
    ///
    /// # Errors
    /// As [`join_multicast`](Udp::join_multicast); what the system says of a group that was not joined, such as
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable).
    ///
    /// libuv: `uv_udp_set_membership` with `UV_LEAVE_GROUP`
    #[doc(alias = "uv_udp_set_membership")]
    pub fn leave_multicast(
        &self,
        group: impl Into<IpAddr>,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        self.change_membership(
            (group.into(), interface.into()),
            Socket::leave_multicast_v4,
            Socket::leave_multicast_v6,
        )
    }

    fn change_membership(
        &self,
        (group, interface): (IpAddr, Interface),
        change_v4: impl FnOnce(&Socket, &Ipv4Addr, &Ipv4Addr) -> io::Result<()>,
        change_v6: impl FnOnce(&Socket, &Ipv6Addr, u32) -> io::Result<()>,
    ) -> io::Result<()> {
        self.with_any_socket(|socket| {
            check_multicast(group)?;
            match group {
                IpAddr::V4(group) => change_v4(socket, &group, &interface.addr()?),
                IpAddr::V6(group) => change_v6(socket, &group, interface.index()?),
            }
        })
    }

    /// Receives what one `source` sends to `group`. For IPv4 only: no crate offers the same for IPv6 to safe code.
    ///
    /// # Errors
    /// As [`join_multicast`](Udp::join_multicast); [`Misuse::WrongFamily`] if group and source are of two families;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for IPv6.
    ///
    /// libuv: `uv_udp_set_source_membership` with `UV_JOIN_GROUP`
    #[doc(alias = "uv_udp_set_source_membership")]
    pub fn join_multicast_source(
        &self,
        group: impl Into<IpAddr>,
        source: impl Into<IpAddr>,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        let who = (group.into(), source.into(), interface.into());
        self.change_source_membership(who, Socket::join_ssm_v4)
    }

    /// Receives no longer what `source` sends to `group`.
    ///
    /// # Errors
    /// As [`join_multicast_source`](Udp::join_multicast_source) and [`leave_multicast`](Udp::leave_multicast).
    ///
    /// libuv: `uv_udp_set_source_membership` with `UV_LEAVE_GROUP`
    #[doc(alias = "uv_udp_set_source_membership")]
    pub fn leave_multicast_source(
        &self,
        group: impl Into<IpAddr>,
        source: impl Into<IpAddr>,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        let who = (group.into(), source.into(), interface.into());
        self.change_source_membership(who, Socket::leave_ssm_v4)
    }

    fn change_source_membership(
        &self,
        (group, source, interface): (IpAddr, IpAddr, Interface),
        change: impl FnOnce(&Socket, &Ipv4Addr, &Ipv4Addr, &Ipv4Addr) -> io::Result<()>,
    ) -> io::Result<()> {
        self.with_any_socket(|socket| {
            check_multicast(group)?;
            match (group, source) {
                (IpAddr::V4(group), IpAddr::V4(source)) => {
                    change(socket, &source, &group, &interface.addr()?)
                }
                (IpAddr::V6(_), IpAddr::V6(_)) => Err(io::ErrorKind::Unsupported.into()),
                _ => Err(Misuse::WrongFamily.into()),
            }
        })
    }

    /// Whether what this handle sends to a group also reaches the members on this host. The default is that it does.
    ///
    /// # Errors
    /// As [`set_broadcast`](Udp::set_broadcast).
    ///
    /// libuv: `uv_udp_set_multicast_loop`
    #[doc(alias = "uv_udp_set_multicast_loop")]
    pub fn set_multicast_loop(&self, on: bool) -> io::Result<()> {
        let is_ipv6 = self.is_ipv6()?;
        self.with_any_socket(|socket| match is_ipv6 {
            false => socket.set_multicast_loop_v4(on),
            true => socket.set_multicast_loop_v6(on),
        })
    }

    /// Sets how many routers what is sent to a group may pass. With 0 it does not leave the host. The default is 1: it
    /// does not leave the local network.
    ///
    /// # Errors
    /// As [`set_broadcast`](Udp::set_broadcast).
    ///
    /// libuv: `uv_udp_set_multicast_ttl`
    #[doc(alias = "uv_udp_set_multicast_ttl")]
    pub fn set_multicast_ttl(&self, hops: u8) -> io::Result<()> {
        let is_ipv6 = self.is_ipv6()?;
        self.with_any_socket(|socket| match is_ipv6 {
            false => socket.set_multicast_ttl_v4(hops.into()),
            true => socket.set_multicast_hops_v6(hops.into()),
        })
    }

    /// Sets the interface by which what is sent to a group leaves.
    ///
    /// # Errors
    /// [`Misuse::BadInterface`] for one that is named in the way of the other family; otherwise as
    /// [`set_broadcast`](Udp::set_broadcast), with the system's code for an interface that there is not.
    ///
    /// libuv: `uv_udp_set_multicast_interface`
    #[doc(alias = "uv_udp_set_multicast_interface")]
    pub fn set_multicast_interface(&self, interface: impl Into<Interface>) -> io::Result<()> {
        let interface = interface.into();
        let is_ipv6 = self.is_ipv6()?;
        self.with_any_socket(|socket| match is_ipv6 {
            false => socket.set_multicast_if_v4(&interface.addr()?),
            true => socket.set_multicast_if_v6(interface.index()?),
        })
    }
}

fn check_multicast(group: IpAddr) -> Result<(), Misuse> {
    if group.is_multicast() { Ok(()) } else { Err(Misuse::NotMulticast) }
}
