//! `Pipe`: a Unix-domain socket, which may become a connection or a listener; or another pipe that was adopted.
//!
//! What it shares with other stream sockets is in [`StreamSocket`]; here is what is its own. What a program does with a
//! handle has rooms of its own: the socket and its names, the socket file, connecting, adoption, passing descriptors.

mod file;
mod listener;
mod transport;

// Not sorted: the documentation shows the public methods in this order.
mod socket;

mod connect;

#[cfg(feature = "descriptors")]
mod open;

mod adoption;

#[cfg(feature = "descriptors")]
mod passing;

#[cfg(all(feature = "descriptors", any(target_os = "linux", target_os = "android")))]
pub(crate) mod credentials;

use std::io;
use std::os::unix::net::SocketAddr;
use std::rc::Rc;

use socket2::Socket;

use self::file::BoundFile;
use self::listener::PipeListener;
use self::transport::PipeTransport;
use super::{Kind, impl_handle};
use crate::error::Misuse;
#[cfg(feature = "futures")]
use crate::io::impl_futures_io;
use crate::socket::{Accepted, SocketHandle, StreamSocket, impl_socket};
use crate::stream::{Stream, StreamHandle, impl_stream};

/// A stream between processes of one machine: a Unix-domain socket, as a client's connection, a server's connection, or a
/// listener.
///
/// It reads, writes, listens and accepts as [`Tcp`](crate::Tcp) does; a program that is to serve both is written against
/// [`ByteStream`](crate::ByteStream) and [`Listen`](crate::Listen).
///
/// ```
/// use luvio::{Loop, Pipe};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let server = Pipe::new(&event_loop);
/// # let path = std::env::temp_dir().join(format!("luvio-doc-pipe-{}", std::process::id()));
/// server.bind(&path)?; // makes the socket file, which goes when the server is closed
/// server.listen(128, |server, incoming| {
///     let Ok(peer) = incoming.and_then(|()| server.accept()) else { return };
///     let _ = peer.read_start(|peer, chunk| match chunk {
///         Ok(Some(data)) => drop(peer.write(data)),
///         Ok(None) => drop(peer.finish()),
///         Err(_) => drop(peer.close()),
///     });
///     server.close();
/// })?;
///
/// let client = Pipe::new(&event_loop);
/// client.connect(&path);
/// client.write(b"hello");
/// client.read_start(|client, chunk| {
///     println!("{chunk:?}");
///     client.close();
/// })?;
/// event_loop.run()?;
/// # assert!(!path.exists());
/// # Ok::<(), io::Error>(())
/// ```
///
/// **Who keeps it alive.** As with `Tcp`: the loop does while it reads, listens with a callback, or has requests under way;
/// otherwise the program does, and the socket is closed when the last clone is dropped.
///
/// libuv: `uv_pipe_t`
#[doc(alias = "uv_pipe_t")]
#[derive(Clone)]
pub struct Pipe(Rc<StreamSocket<Pipe>>);

/// What a handle keeps beside its socket.
#[derive(Default)]
pub(crate) struct Own {
    /// The file that bind made.
    file: Option<BoundFile>,
    /// Its connections pass descriptors.
    #[cfg(feature = "descriptors")]
    passes: bool,
}

impl_handle!(
    Pipe,
    "
The socket file that [`bind`](Pipe::bind) made is removed. What is queued is lost: [`finish`](Pipe::finish) lets it out
first. With `AsyncWriteExt` of futures in scope, `pipe.close()` is still this method and not the trait's, which lets it
out, too."
);

impl_stream!(Pipe);

impl_socket!(
    Pipe,
    SocketAddr,
    "
A handle that was never bound is refused ([`Misuse::NotBound`](crate::Misuse::NotBound))."
);

#[cfg(feature = "futures")]
impl_futures_io!(Pipe);

impl Pipe {
    /// What a socket of this handle becomes when it is connected.
    fn transport(&self) -> fn(mio::net::UnixStream) -> PipeTransport {
        #[cfg(feature = "descriptors")]
        if self.0.extra(|extra| extra.own.passes) {
            return PipeTransport::Passing;
        }
        PipeTransport::Socket
    }
}

impl StreamHandle for Pipe {
    type Transport = PipeTransport;

    #[inline]
    fn stream(&self) -> &Stream<Pipe> {
        &self.0.stream
    }
}

impl SocketHandle for Pipe {
    type Listening = PipeListener;
    type Addr = SocketAddr;
    type Own = Own;

    const KIND: Kind = Kind::Pipe;

    #[inline]
    fn of(socket: Rc<StreamSocket<Pipe>>) -> Pipe {
        Pipe(socket)
    }

    #[inline]
    fn socket(&self) -> &Rc<StreamSocket<Pipe>> {
        &self.0
    }

    fn accept(listening: &PipeListener) -> io::Result<Accepted<Pipe>> {
        listening.accept()
    }

    fn make_listening(&self, socket: Socket) -> PipeListener {
        PipeListener::new(socket, self.transport())
    }

    fn from_listening(listening: PipeListener) -> Socket {
        listening.into_socket()
    }

    /// There is no name that would make sense: nobody could know it.
    fn bind_anywhere(&self) -> io::Result<()> {
        Err(Misuse::NotBound.into())
    }

    fn describe(listening: &PipeListener) -> Option<String> {
        listening.describe()
    }

    fn give_back(own: &mut Own) {
        own.file = None;
    }
}

/// An idle connection takes as much as one of TCP.
#[cfg(all(test, target_pointer_width = "64", not(debug_assertions)))]
#[test]
fn a_connection_is_small() {
    // mio's sockets are larger in debug builds.
    assert_eq!(size_of::<StreamSocket<Pipe>>(), 136);
}
