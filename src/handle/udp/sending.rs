//! Sending datagrams.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use super::Udp;
use crate::addr::IntoAddr;
use crate::request::Request;

impl Udp {
    /// Sends a datagram to `addr`. The kernel is tried at once; what it has no room for is copied, queued, and sent as room
    /// appears. A handle that is not bound is bound to a free port.
    ///
    /// The request ends when the datagram is with the kernel, in the order of the sends. That says nothing about its
    /// arrival: what the network or the receiver has no room for is lost without a word. A send never refuses because too
    /// much is queued: see [`send_queue_size`](Udp::send_queue_size), or await the request. Empty data is a valid datagram.
    ///
    /// # Errors
    /// Through the request: [`ResourceBusy`](io::ErrorKind::ResourceBusy) on a socket with a peer
    /// ([`Misuse::HasPeer`](crate::Misuse::HasPeer)); [`InvalidInput`](io::ErrorKind::InvalidInput) for a text that is no
    /// address, port 0 ([`Misuse::ZeroPort`](crate::Misuse::ZeroPort)), an address of the other family
    /// ([`Misuse::WrongFamily`](crate::Misuse::WrongFamily)), after a failed bind and on a closing handle; what the system
    /// says, such as the code EMSGSIZE for more than 65,507 bytes.
    ///
    /// # Cancel safety
    /// Dropping the request changes nothing: what was accepted is sent.
    ///
    /// libuv: `uv_udp_send`
    #[doc(alias = "uv_udp_send")]
    #[inline]
    #[track_caller]
    pub fn send_to(&self, data: impl AsRef<[u8]>, addr: impl IntoAddr) -> Request<()> {
        let place = Location::caller();
        match addr.into_addr() {
            Ok(addr) if self.0.datagrams.is_open() => {
                self.0.datagrams.send(place, data.as_ref(), Some(&addr))
            }
            addr => self.send_first(place, data.as_ref(), addr),
        }
    }

    /// The send that has to make the socket, or has no address.
    #[cold]
    fn send_first(
        &self,
        place: &'static Location<'static>,
        data: &[u8],
        addr: io::Result<SocketAddr>,
    ) -> Request<()> {
        match addr.and_then(|addr| self.ensure_bound(addr).map(|()| addr)) {
            Ok(addr) => self.0.datagrams.send(place, data, Some(&addr)),
            Err(err) => Request::finished(self.core().origin_at(place), Err(err)),
        }
    }

    /// Sends a datagram to the [peer](Udp::connect). Otherwise as [`send_to`](Udp::send_to).
    ///
    /// # Errors
    /// As [`send_to`](Udp::send_to), but [`NotConnected`](io::ErrorKind::NotConnected) on a socket without a peer
    /// ([`Misuse::NoDestination`](crate::Misuse::NoDestination)); and
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), with which an earlier datagram comes back that found nobody.
    /// This one was not sent then.
    ///
    /// # Cancel safety
    /// As [`send_to`](Udp::send_to).
    ///
    /// libuv: `uv_udp_send` without an address
    #[doc(alias = "uv_udp_send")]
    #[inline]
    #[track_caller]
    pub fn send(&self, data: impl AsRef<[u8]>) -> Request<()> {
        self.0.datagrams.send(Location::caller(), data.as_ref(), None)
    }

    /// Sends a datagram to `addr` if the kernel has room for it now. Never queues and never overtakes.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room or something is queued; otherwise as
    /// [`send_to`](Udp::send_to).
    ///
    /// libuv: `uv_udp_try_send`
    #[doc(alias = "uv_udp_try_send")]
    pub fn try_send_to(&self, data: &[u8], addr: impl IntoAddr) -> io::Result<()> {
        let addr = addr.into_addr()?;
        self.ensure_bound(addr)?;
        self.0.datagrams.try_send(data, Some(&addr))
    }

    /// Sends a datagram to the [peer](Udp::connect) if the kernel has room for it now.
    ///
    /// # Errors
    /// As [`try_send_to`](Udp::try_send_to) and [`send`](Udp::send).
    ///
    /// libuv: `uv_udp_try_send` without an address
    #[doc(alias = "uv_udp_try_send")]
    pub fn try_send(&self, data: &[u8]) -> io::Result<()> {
        self.0.datagrams.try_send(data, None)
    }

    /// Sends several datagrams, each to its address, with as few system calls as the system allows, and says how many of
    /// them the kernel took: the first ones. Never queues and never overtakes.
    ///
    /// # Errors
    /// As [`try_send_to`](Udp::try_send_to), and only if the first datagram failed. What stopped a later one, the next call
    /// says.
    ///
    /// libuv: `uv_udp_try_send2`
    #[doc(alias = "uv_udp_try_send2")]
    pub fn try_send_many(&self, datagrams: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
        if let Some(&(_, addr)) = datagrams.first() {
            self.ensure_bound(addr)?;
        }
        self.0.datagrams.try_send_many(datagrams)
    }

    /// How many bytes were accepted for sending and are not with the kernel yet.
    ///
    /// libuv: `uv_udp_get_send_queue_size`
    #[doc(alias = "uv_udp_get_send_queue_size")]
    pub fn send_queue_size(&self) -> usize {
        self.0.datagrams.send_queue_size()
    }

    /// How many datagrams were accepted for sending and are not with the kernel yet.
    ///
    /// libuv: `uv_udp_get_send_queue_count`
    #[doc(alias = "uv_udp_get_send_queue_count")]
    pub fn send_queue_count(&self) -> usize {
        self.0.datagrams.send_queue_count()
    }
}
