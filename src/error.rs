//! What can go wrong that the operating system does not know of: misuse and cancellation.

use std::error::Error;
use std::fmt;
use std::io;

/// A mistake in the use of a loop or a handle.
///
/// It travels inside an [`io::Error`]; [`Misuse::of`] gets it back. Its text says what to do instead, [`name`](Misuse::name)
/// is libuv's name for it, [`kind`](Misuse::kind) the kind of the `io::Error`. A mistake never changes the handle: what
/// it was doing goes on. (A bind that failed is remembered, though: see [`NotBound`](Misuse::NotBound).)
///
/// ```
/// use luvio::{Loop, Misuse, Tcp};
///
/// let event_loop = Loop::new()?;
/// let tcp = Tcp::new(&event_loop);
/// let err = tcp.read_start(|_, _| {}).unwrap_err();
/// assert_eq!(Misuse::of(&err), Some(Misuse::NotConnected));
/// assert_eq!(err.kind(), std::io::ErrorKind::NotConnected);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: the error codes that its functions return for misuse
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misuse {
    /// The loop was dropped; its handles can do nothing any more.
    LoopGone,
    /// The loop is running already, further up in the stack.
    NestedRun,
    /// The loop still has handles or unfinished requests.
    Busy,
    /// The handle was closed.
    Closing,
    /// The handle was never started: there is nothing to do again, or to wait for.
    NeverStarted,
    /// Somebody reads from this stream already.
    AlreadyReading,
    /// The source has a callback, which gets its events; they cannot be awaited too.
    HasCallback,
    /// The stream is not connected.
    NotConnected,
    /// The handle has no socket yet.
    NoSocket,
    /// The stream was shut down for writing, or broke.
    ShutDown,
    /// The socket is listening; it has no peer to write to.
    Listening,
    /// The list of buffers is empty.
    NoBuffers,
    /// Something is under way that would be lost with the socket: queued writes, a shutdown, a connection that was announced
    /// and not accepted; or the descriptor is lent.
    UnderWay,
    /// A connect is in progress.
    AlreadyConnecting,
    /// The handle is connected or listening already.
    AlreadyConnected,
    /// The handle is listening already.
    AlreadyListening,
    /// The handle is not listening, so there is nothing to accept.
    NotListening,
    /// The handle has an address already.
    AlreadyBound,
    /// The handle has not got an address that it needs: bind failed, was not called on a [`Pipe`](crate::Pipe), or a connect
    /// that failed took the address along. Listening or connecting now would use another one.
    NotBound,
    /// The handle has a socket already.
    HasSocket,
    /// The address is no IP address with a port; host names have to be resolved first.
    BadAddress,
    /// A name for a Unix-domain socket that is too long, has a zero byte in it, or is missing.
    BadName,
    /// The socket is none of the Unix domain, and has other addresses.
    NotUnix,
    /// The handle has made no socket file: it is not bound, or to a name without a file.
    NoFile,
    /// Permissions that a file cannot have.
    BadMode,
    /// The descriptor is no connected stream socket, FIFO or anonymous pipe.
    NotAPipe,
    /// The stream was not made to pass descriptors.
    CannotPass,
    /// Descriptors without a byte to travel with, or more than one write can take.
    BadPassing,
    /// An IPv4 address for a handle that is to serve IPv6 only.
    NotIpv6,
    /// A time, interval or count of zero where it would mean "always".
    ZeroKeepAlive,
    /// A signal that does not exist or cannot be caught.
    BadSignal,
    /// The descriptor is no terminal.
    NotATerminal,
    /// The loop has a real clock, which nobody can move.
    RealClock,
    /// Somebody receives from this socket already.
    AlreadyReceiving,
    /// The datagram socket has a peer already.
    HasPeer,
    /// The datagram socket has no peer.
    NoPeer,
    /// The datagram has no address, and its socket no peer.
    NoDestination,
    /// An IPv4 address where only IPv6 will do, or the other way round.
    WrongFamily,
    /// Port 0, which is nobody's.
    ZeroPort,
    /// The address is not that of a multicast group.
    NotMulticast,
    /// The interface is not named in the way of its address family.
    BadInterface,
    /// A limit of zero hops, within which there is nobody.
    ZeroHops,
    /// The descriptor is of a kind that no poll can tell anything of: a plain file, a directory.
    NotPollable,
    /// An empty [`Interest`](crate::Interest), for which one would wait for ever.
    NoInterest,
}

impl Misuse {
    /// The misuse inside `err`, if that is what it is.
    pub fn of(err: &io::Error) -> Option<Misuse> {
        err.get_ref()?.downcast_ref::<Misuse>().copied()
    }

    /// libuv's name of the error, such as `"EALREADY"`.
    ///
    /// libuv: `uv_err_name`
    #[doc(alias = "uv_err_name")]
    pub fn name(self) -> &'static str {
        match self {
            Misuse::LoopGone
            | Misuse::Closing
            | Misuse::NeverStarted
            | Misuse::NoBuffers
            | Misuse::AlreadyBound
            | Misuse::NotBound
            | Misuse::NotListening
            | Misuse::BadAddress
            | Misuse::BadName
            | Misuse::NotUnix
            | Misuse::BadMode
            | Misuse::NotAPipe
            | Misuse::CannotPass
            | Misuse::BadPassing
            | Misuse::NotIpv6
            | Misuse::ZeroKeepAlive
            | Misuse::BadSignal
            | Misuse::RealClock
            | Misuse::ZeroPort
            | Misuse::NotMulticast
            | Misuse::BadInterface
            | Misuse::ZeroHops
            | Misuse::NoInterest => "EINVAL",
            Misuse::NotPollable => "EPERM",
            Misuse::NestedRun
            | Misuse::Busy
            | Misuse::HasCallback
            | Misuse::HasSocket
            | Misuse::UnderWay => "EBUSY",
            Misuse::AlreadyReading
            | Misuse::AlreadyReceiving
            | Misuse::AlreadyConnecting
            | Misuse::AlreadyListening => "EALREADY",
            Misuse::AlreadyConnected | Misuse::HasPeer => "EISCONN",
            Misuse::NotConnected | Misuse::NoPeer => "ENOTCONN",
            Misuse::NoDestination => "EDESTADDRREQ",
            Misuse::WrongFamily => "EAFNOSUPPORT",
            Misuse::NoSocket | Misuse::NoFile => "EBADF",
            Misuse::NotATerminal => "ENOTTY",
            Misuse::ShutDown | Misuse::Listening => "EPIPE",
        }
    }

    /// The kind of the [`io::Error`] that this becomes.
    pub fn kind(self) -> io::ErrorKind {
        match self.name() {
            "EPIPE" => io::ErrorKind::BrokenPipe,
            "ENOTCONN" | "EBADF" | "EDESTADDRREQ" => io::ErrorKind::NotConnected,
            "EALREADY" | "EBUSY" | "EISCONN" => io::ErrorKind::ResourceBusy,
            "EPERM" => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::InvalidInput,
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misuse::LoopGone => {
                "the loop of this handle was dropped; make the handle on a loop that lives"
            }
            Misuse::NestedRun => {
                "this loop is already running; a callback or task must return instead of running it"
            }
            Misuse::Busy => {
                "the loop still has handles or unfinished requests; close them and run it first"
            }
            Misuse::Closing => "the handle was closed; make a new one",
            Misuse::NeverStarted => "the handle was never started; call start first",
            Misuse::AlreadyReading => {
                "the stream is being read already; call read_stop or finish that read first"
            }
            Misuse::HasCallback => "a callback gets these events; stop it before awaiting them",
            Misuse::NotConnected => "the stream is not connected; connect it or accept one first",
            Misuse::NoSocket => {
                "the handle has no socket yet; bind, connect, listen or open it first"
            }
            Misuse::ShutDown => {
                "the stream cannot be written any more: it was shut down or its connection broke"
            }
            Misuse::Listening => {
                "a listening socket has no peer to write to; write to what accept returns"
            }
            Misuse::NoBuffers => {
                "the list of buffers is empty; pass at least one buffer, which may be empty"
            }
            Misuse::UnderWay => {
                "a write, a shutdown or an announced connection waits, or the descriptor is lent; let that end first"
            }
            Misuse::AlreadyConnecting => "a connect is in progress; wait for it or cancel it",
            Misuse::AlreadyConnected => {
                "the handle is connected or listening already; use another one"
            }
            Misuse::AlreadyListening => {
                "the handle is listening already; its first callback and backlog stay"
            }
            Misuse::NotListening => "the handle is not listening; call listen or listen_only first",
            Misuse::AlreadyBound => "the handle has an address already; bind another one",
            Misuse::NotBound => {
                "the handle has no address: bind was not called or failed, or a connect that failed took it along; bind it first"
            }
            Misuse::HasSocket => {
                "the handle has a socket already; open the other one on a new handle"
            }
            Misuse::BadAddress => {
                "not an IP address with a port, such as 127.0.0.1:7000; resolve host names first"
            }
            Misuse::BadName => {
                "the name of a Unix-domain socket is a path without zero bytes and shorter than the system's limit (108 bytes on \
                 Linux); abstract names are SocketAddr::from_abstract_name"
            }
            Misuse::NotUnix => {
                "the socket is not of the Unix domain; open it as what it is to ask for its addresses"
            }
            Misuse::NoFile => "the handle has no socket file; bind it to a path first",
            Misuse::BadMode => "permissions are bits up to 0o777",
            Misuse::NotAPipe => {
                "not a stream socket, FIFO or pipe; a listener is for open_listener, a file for std::fs, a terminal and a datagram \
                 socket for handles of their own"
            }
            Misuse::CannotPass => {
                "the stream was not made to pass descriptors; make its handle or its listener by Pipe::with_descriptors"
            }
            Misuse::BadPassing => {
                "descriptors travel with at least one byte of data, and at most 253 of them with one write"
            }
            Misuse::NotIpv6 => {
                "an IPv4 address on a handle for IPv6 only; bind an IPv6 one, or call set_only_v6(false) first"
            }
            Misuse::ZeroKeepAlive => "keep-alive needs a time, interval and count above zero",
            Misuse::BadSignal => "no such signal, or one that no callback can serve",
            Misuse::NotATerminal => {
                "the descriptor is no terminal; stdin, stdout and stderr of the loop serve whatever the standard ones are"
            }
            Misuse::RealClock => {
                "the clock of this loop is the real one; build the loop with virtual_clock to move it"
            }
            Misuse::AlreadyReceiving => {
                "somebody receives from this socket already; call recv_stop or let that wait end first"
            }
            Misuse::HasPeer => {
                "the socket has a peer already; send without an address, or disconnect first"
            }
            Misuse::NoPeer => "the socket has no peer; connect it first",
            Misuse::NoDestination => "the socket has no peer; connect it first, or use send_to",
            Misuse::WrongFamily => {
                "the address is of the other family, IPv4 or IPv6; use a socket bound to an address of that one"
            }
            Misuse::ZeroPort => "nobody has port 0; name the port of the peer",
            Misuse::NotMulticast => {
                "not a multicast group; those are 224.0.0.0 to 239.255.255.255 and ff00::/8"
            }
            Misuse::BadInterface => {
                "name the interface by its address for IPv4 and by its index for IPv6"
            }
            Misuse::ZeroHops => "a hop limit is at least 1",
            Misuse::NotPollable => {
                "a plain file or directory cannot be polled, since it is always ready; read and write it without waiting"
            }
            Misuse::NoInterest => {
                "an empty interest waits for nothing; name what to wait for, such as Interest::READABLE"
            }
        })
    }
}

impl Error for Misuse {}

impl From<Misuse> for io::Error {
    fn from(misuse: Misuse) -> io::Error {
        io::Error::new(misuse.kind(), misuse)
    }
}

/// A value that was not taken over comes back, with the reason: a socket that [`Tcp::open`](crate::Tcp::open) refused, or
/// the handle that [`Tcp::into_std`](crate::Tcp::into_std) leaves as it is.
///
/// Whoever only wants the reason uses `?`: it becomes an [`io::Error`], and the value is dropped.
///
/// ```
/// use luvio::{Loop, Misuse, Tcp};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let tcp = Tcp::new(&event_loop);
/// tcp.bind("127.0.0.1:0")?;
/// let other = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let refused = tcp.open_listener(other).unwrap_err();
/// assert_eq!(Misuse::of(&refused.error), Some(Misuse::HasSocket));
/// let other = refused.value; // still open
/// # drop(other);
/// # Ok::<(), io::Error>(())
/// ```
pub struct Refused<T> {
    /// Why it was refused.
    pub error: io::Error,
    /// What was refused.
    pub value: T,
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for Refused<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<Refused<T>> for io::Error {
    fn from(refused: Refused<T>) -> io::Error {
        refused.error
    }
}

/// The operation was given up, because its handle was closed, it was cancelled, or its loop was dropped.
///
/// It travels inside an [`io::Error`] of the kind [`Other`](io::ErrorKind::Other) (`Interrupted` would be retried for
/// ever by many readers and writers); [`is_canceled`] recognises it.
///
/// libuv: `UV_ECANCELED`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Canceled;

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation was canceled")
    }
}

impl Error for Canceled {}

impl From<Canceled> for io::Error {
    fn from(canceled: Canceled) -> io::Error {
        io::Error::other(canceled)
    }
}

/// True if `err` says that the operation was canceled (see [`Canceled`]).
///
/// ```
/// assert!(luvio::is_canceled(&luvio::Canceled.into()));
/// assert!(!luvio::is_canceled(&std::io::ErrorKind::TimedOut.into()));
/// ```
///
/// libuv: a comparison with `UV_ECANCELED`
pub fn is_canceled(err: &io::Error) -> bool {
    err.get_ref().is_some_and(|inner| inner.is::<Canceled>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_remembers_the_misuse_and_its_kind() {
        let err = io::Error::from(Misuse::ShutDown);
        assert_eq!(
            (Misuse::of(&err), err.kind()),
            (Some(Misuse::ShutDown), io::ErrorKind::BrokenPipe)
        );
        assert_eq!(Misuse::of(&io::ErrorKind::BrokenPipe.into()), None);
        assert_eq!(err.to_string(), Misuse::ShutDown.to_string());
    }

    #[test]
    fn cancellation_is_never_an_interruption() {
        assert_eq!(io::Error::from(Canceled).kind(), io::ErrorKind::Other);
    }
}
