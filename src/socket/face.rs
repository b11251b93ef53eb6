//! The face of a stream socket: listening, accepting, and its descriptor; defined once for `Tcp` and `Pipe`.

use std::io;
use std::panic::Location;

use super::SocketHandle;
use super::listening::{accept, connections, listen};
use crate::stream::ByteStream;
use crate::task::AcceptNext;

/// The most that a buffer may be asked to have, in bytes: the system takes a C `int`.
pub(crate) const MOST_BUFFER: usize = i32::MAX as usize;

/// A stream socket that can listen, such as [`Tcp`](crate::Tcp) and [`Pipe`](crate::Pipe). Its methods are those that each kind has as its own, where
/// they are documented; see [`ByteStream`]. It is sealed.
// What seals it is no business of the documentation.
#[allow(private_bounds)]
pub trait Listen: ByteStream + SocketHandle<Addr = Self::PeerAddr> {
    /// The address of a peer, as [`Tcp::accept_with_addr`](crate::Tcp::accept_with_addr) and its like tell it.
    type PeerAddr;

    /// See [`Tcp::listen`](crate::Tcp::listen).
    ///
    /// # Errors
    /// See there.
    fn listen(
        &self,
        backlog: u32,
        cb: impl FnMut(&Self, io::Result<()>) + 'static,
    ) -> io::Result<()> {
        listen(self, backlog, Some(Box::new(cb)))
    }

    /// See [`Tcp::listen_only`](crate::Tcp::listen_only).
    ///
    /// # Errors
    /// See there.
    fn listen_only(&self, backlog: u32) -> io::Result<()> {
        listen(self, backlog, None)
    }

    /// See [`Tcp::accept`](crate::Tcp::accept).
    ///
    /// # Errors
    /// See there.
    #[track_caller]
    fn accept(&self) -> io::Result<Self> {
        Ok(accept(self, Location::caller())?.0)
    }

    /// See [`Tcp::accept_next`](crate::Tcp::accept_next).
    #[track_caller]
    fn accept_next(&self) -> AcceptNext<'_, Self> {
        AcceptNext::new(self)
    }

    /// See [`Tcp::connections`](crate::Tcp::connections).
    fn connections(&self) -> Vec<Self> {
        connections(self)
    }
}

/// The methods of a stream socket, as inherent ones of `$handle` and as `Listen`. `$addr` is the address of a peer,
/// `$unbound` says what listening means to a handle that was never bound.
macro_rules! impl_socket {
    ($handle:ident, $addr:ty, $unbound:literal) => {
        impl $handle {
            /// Calls `cb`, among the I/O callbacks, for each connection that arrives, which [`accept`](Self::accept) then returns.
            ///
            /// `backlog` is how many connections the system keeps waiting. As long as a connection that was announced is not accepted, no further one is announced; none is lost.
            /// `cb` gets an error when the listener could not accept: when descriptors run out, waiting clients are accepted and
            /// closed at once, and `cb` hears of it once a burst. What is wrong with one connection only (it has gone already, a
            /// firewall forbids it, …) is skipped.
            #[doc = $unbound]
            ///
            /// # Errors
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) for a handle that is listening already
            /// ([`Misuse::AlreadyListening`](crate::Misuse::AlreadyListening); the first callback and backlog stay) or connected ([`Misuse::AlreadyConnected`](crate::Misuse::AlreadyConnected));
            /// [`InvalidInput`](std::io::ErrorKind::InvalidInput) after a bind that failed ([`Misuse::NotBound`](crate::Misuse::NotBound)) or for a closing
            /// handle; [`AddrInUse`](std::io::ErrorKind::AddrInUse) and others from the system.
            ///
            /// libuv: `uv_listen`
            #[doc(alias = "uv_listen")]
            pub fn listen(
                &self,
                backlog: u32,
                cb: impl FnMut(&$handle, std::io::Result<()>) + 'static,
            ) -> std::io::Result<()> {
                crate::socket::listen(self, backlog, Some(Box::new(cb)))
            }

            /// Listens without a callback: connections wait until [`accept`](Self::accept) is called.
            ///
            /// Such a listener is not active, since it has nobody to call: it is closed when the last clone is dropped.
            ///
            /// # Errors
            /// As [`listen`](Self::listen).
            pub fn listen_only(&self, backlog: u32) -> std::io::Result<()> {
                crate::socket::listen(self, backlog, None)
            }

            /// The next connection, ready to be used.
            ///
            /// In a listen callback it always succeeds once per `Ok(())`. It may also be called later; the connection waits.
            ///
            /// # Errors
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if no connection was announced (with [`listen_only`](Self::listen_only):
            /// if none is waiting); [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a handle that is not listening
            /// ([`Misuse::NotListening`](crate::Misuse::NotListening)) or closing; what the system says.
            ///
            /// libuv: `uv_accept`
            #[doc(alias = "uv_accept")]
            #[track_caller]
            pub fn accept(&self) -> std::io::Result<$handle> {
                Ok(self.accept_with_addr()?.0)
            }

            /// As [`accept`](Self::accept), with the address of the other end, as the standard library's `accept` returns it.
            ///
            /// It is there, too, if the client has reset the connection meanwhile, when the system has forgotten it and
            /// [`peer_addr`](Self::peer_addr) is an error.
            ///
            /// # Errors
            /// As [`accept`](Self::accept).
            ///
            /// libuv: `uv_accept` and `uv_tcp_getpeername`
            #[doc(alias = "uv_accept")]
            #[doc(alias = "uv_tcp_getpeername")]
            #[track_caller]
            pub fn accept_with_addr(&self) -> std::io::Result<($handle, $addr)> {
                crate::socket::accept(self, std::panic::Location::caller())
            }

            /// The connections that this listener accepted and that are open, in the order in which they were accepted. It knows
            /// them without keeping them alive, also when it is closed itself. It takes a look at each handle of the loop.
            ///
            /// So a server ends with all that it serves, whatever else lives on the loop:
            ///
            /// ```
            /// use luvio::Tcp;
            ///
            /// fn end(server: &Tcp) {
            ///     server.close(); // nobody new
            ///     for client in server.connections() {
            ///         client.finish(); // lets out what is queued; `close` would not wait for it
            ///     }
            /// }
            /// # let event_loop = luvio::Loop::new()?;
            /// # let server = Tcp::new(&event_loop);
            /// # server.bind("127.0.0.1:0")?;
            /// # server.listen_only(8)?;
            /// # let _client = std::net::TcpStream::connect(server.local_addr()?)?;
            /// # let accepted = server.accept()?;
            /// # end(&server);
            /// # assert!(accepted.is_closing());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn connections(&self) -> Vec<$handle> {
                crate::socket::connections(self)
            }

            /// Waits for the next connection. If several tasks wait, each connection is for the one that has waited longest.
            ///
            /// A handle that is bound but not listening starts to listen, with a backlog of 128;
            /// [`listen_only`](Self::listen_only) before it says when and how long. When descriptors run out, waiting clients are
            /// accepted and closed at once, which is logged, once a burst; that is no error here, since a loop that ends with the
            /// first error would end the server. Nor is what is wrong with one connection only: it is skipped.
            ///
            /// # Errors
            /// Only what nothing can come after: [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a handle that is closing, not
            /// listening ([`Misuse::NotListening`](crate::Misuse::NotListening)), or whose bind failed
            /// ([`Misuse::NotBound`](crate::Misuse::NotBound));
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) for one with a listen callback
            /// ([`Misuse::HasCallback`](crate::Misuse::HasCallback)); [`Canceled`](crate::Canceled) when it is closed; what the
            /// system says of a broken listener.
            ///
            /// # Cancel safety
            /// Dropping the future loses no connection: the next task that waits gets it. (One that is kept, but not polled any
            /// more, keeps the others from the connection that it was woken for, until the next one comes.)
            #[track_caller]
            pub fn accept_next(&self) -> crate::AcceptNext<'_, $handle> {
                crate::AcceptNext::new(self)
            }

            /// As [`accept_next`](Self::accept_next), with the address of the other end, which is there, too, if the client has
            /// reset the connection meanwhile (see [`peer_addr`](Self::peer_addr)).
            ///
            /// # Errors
            /// As [`accept_next`](Self::accept_next).
            ///
            /// # Cancel safety
            /// Dropping the future loses no connection.
            #[track_caller]
            pub fn accept_next_with_addr(&self) -> crate::AcceptNextWithAddr<'_, $handle> {
                crate::AcceptNextWithAddr::new(self)
            }
            /// True from the call of [`connect`](Self::connect) until the connect has ended, in whatever way.
            pub fn is_connecting(&self) -> bool {
                self.0.stream.is_connecting()
            }

            /// True if there is a socket: bound, connecting, connected, listening or adopted.
            pub fn has_socket(&self) -> bool {
                self.0.has_socket()
            }

            /// The number of the descriptor, for calls that luvio does not offer. It stays the handle's: do not close it.
            ///
            /// Whoever sees it might duplicate it, and a duplicate would keep the connection open and registered with the loop.
            /// So from the first call on the handle closes with more care: it is taken out of the selector by a system call of its
            /// own, and a [`finish`](Self::finish) with nothing queued ends the writing side by a shutdown first, so that it is not
            /// closed inside the call. To ask for the addresses or set the options that the handle knows does not count.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) ([`Misuse::NoSocket`](crate::Misuse::NoSocket)) before there is a socket and after close.
            ///
            /// libuv: `uv_fileno`
            #[doc(alias = "uv_fileno")]
            pub fn fileno(&self) -> std::io::Result<std::os::fd::RawFd> {
                self.with_fd(|fd| std::os::fd::AsRawFd::as_raw_fd(&fd))
            }

            /// Runs `f` with the descriptor, borrowed for as long as `f` runs. (A shared handle that can be closed cannot be
            /// [`AsFd`](std::os::fd::AsFd) in safe code.) A close inside `f` takes the descriptor when `f` returns. As with
            /// [`fileno`](Self::fileno), the handle closes with more care afterwards.
            ///
            /// # Errors
            /// As [`fileno`](Self::fileno).
            pub fn with_fd<R>(
                &self,
                f: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> R,
            ) -> std::io::Result<R> {
                self.0.with_fd(f)
            }

            /// The size of the system's buffer for what was sent and is not acknowledged, in bytes. Linux reports twice what was
            /// set, since it needs a part for itself.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) ([`Misuse::NoSocket`](crate::Misuse::NoSocket)) without a socket.
            ///
            /// libuv: `uv_send_buffer_size`
            #[doc(alias = "uv_send_buffer_size")]
            pub fn send_buffer_size(&self) -> std::io::Result<usize> {
                self.0.with_any_socket(|socket| socket.send_buffer_size())?
            }

            /// Sets the size of the system's buffer for what was sent and is not acknowledged, in bytes. The system has limits of its
            /// own, to which it keeps without a word.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) ([`Misuse::NoSocket`](crate::Misuse::NoSocket)) without a socket; [`Misuse::Closing`](crate::Misuse::Closing).
            ///
            /// libuv: `uv_send_buffer_size`
            #[doc(alias = "uv_send_buffer_size")]
            pub fn set_send_buffer_size(&self, bytes: usize) -> std::io::Result<()> {
                self.core().check_open()?;
                self.0.with_any_socket(|socket| {
                    socket.set_send_buffer_size(bytes.min(crate::socket::MOST_BUFFER))
                })?
            }

            /// The size of the system's buffer for what has arrived and was not read, in bytes. Linux reports twice what was set,
            /// since it needs a part for itself.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) ([`Misuse::NoSocket`](crate::Misuse::NoSocket)) without a socket.
            ///
            /// libuv: `uv_recv_buffer_size`
            #[doc(alias = "uv_recv_buffer_size")]
            pub fn recv_buffer_size(&self) -> std::io::Result<usize> {
                self.0.with_any_socket(|socket| socket.recv_buffer_size())?
            }

            /// Sets the size of the system's buffer for what has arrived and was not read, in bytes. What a listener accepts has the
            /// listener's. The system has limits of its own, to which it keeps without a word.
            ///
            /// # Errors
            /// As [`set_send_buffer_size`](Self::set_send_buffer_size).
            ///
            /// libuv: `uv_recv_buffer_size`
            #[doc(alias = "uv_recv_buffer_size")]
            pub fn set_recv_buffer_size(&self, bytes: usize) -> std::io::Result<()> {
                self.core().check_open()?;
                self.0.with_any_socket(|socket| {
                    socket.set_recv_buffer_size(bytes.min(crate::socket::MOST_BUFFER))
                })?
            }
        }

        impl crate::Listen for $handle {
            type PeerAddr = $addr;
        }
    };
}

pub(crate) use impl_socket;
