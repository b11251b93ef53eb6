//! `Udp`: a UDP socket.
//!
//! Its datagrams are handled by the [engine](crate::datagram); this file says what kind of handle that makes. What a
//! program does with it has rooms of its own: the socket, its peer, options, multicast groups, sending, receiving.

#[cfg(all(feature = "udp-offload", target_os = "linux"))]
mod offload;
mod transport;

// Not sorted: the documentation shows the public methods in this order.
mod socket;

mod peer;

mod sending;

mod receiving;

mod options;

mod multicast;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use socket2::SockRef;

pub use self::multicast::Interface;
#[cfg(all(feature = "udp-offload", target_os = "linux"))]
use self::offload::UdpSocket;
use super::{Core, Handle, Kind, impl_handle};
use crate::datagram::{DatagramHandle, Datagrams};
use crate::error::Misuse;
use crate::event_loop::{AliveReason, LoopHandle, Object, Readiness, RequestId};
#[cfg(not(all(feature = "udp-offload", target_os = "linux")))]
use mio::net::UdpSocket;

/// A UDP socket: datagrams from and to anybody, or one peer.
///
/// ```
/// use luvio::{Loop, Udp};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let server = Udp::new(&event_loop);
/// server.bind("127.0.0.1:0")?;
/// server.recv_start(|server, datagram| {
///     if let Ok(datagram) = datagram {
///         server.send_to(datagram.data, datagram.from); // echo
///     }
/// })?;
///
/// let client = Udp::new(&event_loop);
/// client.connect(server.local_addr()?)?;
/// client.send("hello");
/// client.recv_start(move |client, datagram| {
///     println!("{datagram:?}");
///     client.close();
///     server.close();
/// })?;
/// event_loop.run()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// **Who keeps it alive.** A `Udp` is a cheap clone of one shared object. The loop keeps the object while it receives by a
/// callback or has sends under way; otherwise the program does, and the socket is closed when the last clone is dropped.
///
/// libuv: `uv_udp_t`
#[doc(alias = "uv_udp_t")]
#[derive(Clone)]
pub struct Udp(Rc<UdpInner>);

struct UdpInner {
    datagrams: Datagrams<Udp>,
    wishes: Cell<Wishes>,
}

/// What the next bind has to do, or whether the last one failed.
#[derive(Clone, Copy, Default)]
struct Wishes {
    reuse_address: bool,
    reuse_port: bool,
    only_v6: bool,
    bind_failed: bool,
}

impl_handle!(Udp);

impl Udp {
    #[track_caller]
    fn make(event_loop: &LoopHandle) -> Udp {
        let datagrams = Datagrams::new(Core::new(event_loop, Kind::Udp));
        let udp = Rc::new(UdpInner { datagrams, wishes: Cell::default() });
        udp.datagrams.core.enroll(&(Rc::clone(&udp) as Rc<dyn Object>));
        Udp(udp)
    }

    /// Runs `f` with the descriptor. Nothing is borrowed that `f` could want.
    fn with_any_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        let done = self.0.datagrams.with_socket(|socket| f(socket.as_fd()));
        done.ok_or_else(|| Misuse::NoSocket.into())
    }

    fn with_any_socket<R>(&self, f: impl FnOnce(&SockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        self.core().check_open()?;
        self.with_any_fd(|fd| f(&SockRef::from(&fd)))?
    }

    /// Binds a handle without a socket to a free port of every interface of the family that is needed.
    fn ensure_bound(&self, like: SocketAddr) -> io::Result<()> {
        self.core().check_open()?;
        if self.0.datagrams.has_socket() {
            return Ok(());
        }
        if self.0.wishes.get().bind_failed {
            // A program that ignored that must not find itself reachable on every interface.
            return Err(Misuse::NotBound.into());
        }
        self.bind_new(socket::any(like))
    }
}

impl DatagramHandle for Udp {
    type Transport = UdpSocket;
}

impl Object for UdpInner {
    #[inline]
    fn ready(self: Rc<Self>, readiness: Readiness) {
        let udp = Udp(self);
        udp.0.datagrams.ready(&udp, readiness);
    }

    fn resume(self: Rc<Self>) {
        let udp = Udp(self);
        udp.0.datagrams.resume(&udp);
    }

    #[inline]
    fn core(&self) -> &Core {
        &self.datagrams.core
    }

    fn is_active(&self) -> bool {
        self.datagrams.is_active()
    }

    fn release(&self) {
        self.datagrams.release();
    }

    fn call_next_request(&self) -> bool {
        self.datagrams.call_next_request()
    }

    fn discard_requests(&self) {
        self.datagrams.discard_requests();
    }

    fn drop_callbacks(&self) {
        self.datagrams.drop_callbacks();
    }

    fn cancel(&self, request: RequestId) -> bool {
        self.datagrams.cancel(request)
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.datagrams.report(reasons);
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&Udp(self));
    }
}
