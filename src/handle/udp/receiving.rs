//! Receiving datagrams, by a callback or for a task.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use super::Udp;
use crate::datagram::Datagram;

/// A handle that was not bound before it receives is bound like this.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Udp {
    /// Calls `cb`, among the I/O callbacks, with each datagram that arrives, until [`recv_stop`](Udp::recv_stop). A handle
    /// that is not bound is bound to a free port of every IPv4 interface.
    ///
    /// `Ok` is one datagram, which may be empty, lent from the loop's buffer for the time of the call. `Err` is what the
    /// system reports of the socket, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if the peer of a
    /// connected socket is not there; receiving goes on after it.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy)
    /// ([`Misuse::AlreadyReceiving`](crate::Misuse::AlreadyReceiving)) if somebody receives already, who stays;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) on a closing handle ([`Misuse::Closing`](crate::Misuse::Closing)) and
    /// after a failed bind ([`Misuse::NotBound`](crate::Misuse::NotBound)); what the system says.
    ///
    /// libuv: `uv_udp_recv_start`
    #[doc(alias = "uv_udp_recv_start")]
    pub fn recv_start(
        &self,
        mut cb: impl FnMut(&Udp, io::Result<Datagram<'_>>) + 'static,
    ) -> io::Result<()> {
        self.0.datagrams.check_can_receive()?;
        self.ensure_bound(ANY)?;
        // In a closure, where even a plain function can be inlined; by itself it would be called through a shim.
        self.0.datagrams.recv_start(Box::new(move |udp, datagram| cb(udp, datagram)));
        Ok(())
    }

    /// Stops the calls, at once, and drops the callback. What arrives stays with the system. Does nothing if the handle is
    /// not receiving.
    ///
    /// libuv: `uv_udp_recv_stop`
    #[doc(alias = "uv_udp_recv_stop")]
    pub fn recv_stop(&self) {
        self.0.datagrams.recv_stop();
    }

    pub(crate) fn poll_receive<R>(
        &self,
        waits: &mut bool,
        context: &mut Context<'_>,
        take: impl FnOnce(Datagram<'_>) -> R,
    ) -> Poll<io::Result<R>> {
        // One that is closed has nothing to be bound for.
        if !*waits && !self.0.datagrams.is_open() && !self.core().is_closing() {
            self.ensure_bound(ANY)?;
        }
        self.0.datagrams.poll_receive(waits, context, take)
    }

    pub(crate) fn stop_awaiting(&self, waits: &mut bool) {
        self.0.datagrams.stop_awaiting(waits);
    }
}
