//! `Tcp`: a TCP socket, which may become a connection or a listener.
//!
//! What it shares with other stream sockets is in [`StreamSocket`]; here is what is TCP's own. What a program does with a
//! handle has rooms of its own: the socket, adoption, options, connecting, the connection.

mod transport;

// Not sorted: the documentation shows the public methods in this order.
mod socket;

mod adoption;

mod options;

mod connect;

mod connection;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{Kind, impl_handle};
#[cfg(feature = "futures")]
use crate::io::impl_futures_io;
use crate::socket::{Accepted, SocketHandle, StreamSocket, impl_socket};
use crate::stream::{Stream, StreamHandle, impl_stream};

/// A TCP socket: a client's connection, a server's connection, or a listener.
///
/// ```
/// use luvio::{Loop, Tcp};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let server = Tcp::new(&event_loop);
/// server.bind("127.0.0.1:0")?;
/// server.listen(128, |server, incoming| {
///     if incoming.is_err() {
///         return;
///     }
///     let Ok(peer) = server.accept() else { return };
///     let _ = peer.read_start(|peer, chunk| match chunk {
///         Ok(Some(data)) => drop(peer.write(data)),
///         Ok(None) => drop(peer.finish()),
///         Err(_) => drop(peer.close()),
///     });
///     server.close();
/// })?;
///
/// let client = Tcp::new(&event_loop);
/// client.connect(server.local_addr()?);
/// client.write(b"hello");
/// client.read_start(|client, chunk| {
///     println!("{chunk:?}");
///     client.close();
/// })?;
/// event_loop.run()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// **Who keeps it alive.** A `Tcp` is a cheap clone of one shared object. The loop keeps the object while it reads,
/// listens with a callback, or has requests under way; otherwise the program does, and the socket is closed when the last
/// clone is dropped.
///
/// libuv: `uv_tcp_t`
#[doc(alias = "uv_tcp_t")]
#[derive(Clone)]
pub struct Tcp(Rc<StreamSocket<Tcp>>);

/// Options for the next socket.
#[derive(Default)]
pub(crate) struct Own {
    nodelay: Option<bool>,
    keepalive: Option<Option<TcpKeepalive>>,
    reuse_port: bool,
    only_v6: bool,
}

impl_handle!(
    Tcp,
    "
What is queued is lost: [`finish`](Tcp::finish) lets it out first. With `AsyncWriteExt` of futures in scope, `tcp.close()`
is still this method and not the trait's, which lets it out, too: code that was written for other sockets loses what is
queued here, and sees success. It should call `finish`, or the trait by its name: `AsyncWriteExt::close(&mut &tcp)`."
);

impl_stream!(
    Tcp,
    "
**Small writes one after the other.** Two of them, such as a head and its body, take some 40 ms until the second
arrives: the system holds it back until the peer has acknowledged the first (Nagle's algorithm), and the peer
acknowledges late, hoping to have something to say. Send both by one [`write_vectored`](Self::write_vectored), or
call [`set_nodelay`](Self::set_nodelay) once: a tenth of a millisecond then."
);

impl_socket!(
    Tcp,
    SocketAddr,
    "
A handle that was never bound gets a free port, on all addresses."
);

#[cfg(feature = "futures")]
impl_futures_io!(Tcp);

impl Tcp {
    /// A non-blocking socket that children do not inherit, with the options that were set before.
    fn new_socket(&self, addr: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.apply_options(&SockRef::from(&socket))?;
        Ok(socket)
    }
}

impl StreamHandle for Tcp {
    type Transport = TcpStream;

    #[inline]
    fn stream(&self) -> &Stream<Tcp> {
        &self.0.stream
    }
}

impl SocketHandle for Tcp {
    type Listening = TcpListener;
    type Addr = SocketAddr;
    type Own = Own;

    const KIND: Kind = Kind::Tcp;

    #[inline]
    fn of(socket: Rc<StreamSocket<Tcp>>) -> Tcp {
        Tcp(socket)
    }

    #[inline]
    fn socket(&self) -> &Rc<StreamSocket<Tcp>> {
        &self.0
    }

    /// In unit tests, what the test says comes first.
    fn accept(listening: &TcpListener) -> io::Result<Accepted<Tcp>> {
        #[cfg(test)]
        if let Some(fault) = tests::next_fault() {
            return Err(fault);
        }
        listening.accept()
    }

    fn make_listening(&self, socket: Socket) -> TcpListener {
        TcpListener::from_std(socket.into())
    }

    fn from_listening(listening: TcpListener) -> Socket {
        std::net::TcpListener::from(listening).into()
    }

    fn bind_anywhere(&self) -> io::Result<()> {
        let only_v6 = self.0.extra(|extra| extra.own.only_v6);
        let any: IpAddr =
            if only_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.0.set_fresh(self.make_bound((any, 0).into())?);
        Ok(())
    }

    fn describe(listening: &TcpListener) -> Option<String> {
        listening.local_addr().ok().map(|addr| addr.to_string())
    }
}

#[cfg(test)]
mod tests;
