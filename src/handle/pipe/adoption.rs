//! Sockets that come from the standard library, and descriptors that go on elsewhere.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use super::Pipe;
use crate::error::Refused;
use crate::socket;

impl Pipe {
    /// Adopts a bound socket of the standard library, listening or not, for [`listen`](Pipe::listen) or
    /// [`listen_only`](Pipe::listen_only). It is made non-blocking and closed with the handle. Its file stays: whoever made
    /// it removes it.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasSocket`](crate::Misuse::HasSocket)) if the handle has a
    /// socket already; [`Misuse::Closing`](crate::Misuse::Closing); what the system says otherwise. The socket comes back
    /// with the error (in the last case it may be non-blocking).
    ///
    /// libuv: `uv_pipe_open`
    #[doc(alias = "uv_pipe_open")]
    pub fn open_listener(&self, listener: UnixListener) -> Result<(), Refused<UnixListener>> {
        let may_adopt = self.0.check_may_adopt().map_err(io::Error::from);
        if let Err(error) = may_adopt.and_then(|()| listener.set_nonblocking(true)) {
            return Err(Refused { error, value: listener });
        }
        self.0.set_fresh(listener.into());
        self.0.stream.mark_shown();
        Ok(())
    }

    /// Hands a connection over: the descriptor leaves the loop, and can go to another one, also in another thread, to a child
    /// process or through another pipe. There is no duplicate, and nothing is lost: what has arrived and was not read is read
    /// by whoever has the descriptor.
    ///
    /// The handle is closed, for all its clones: a read callback is not called any more, who awaits data gets
    /// [`Canceled`](crate::Canceled). The descriptor is non-blocking. A socket file stays.
    ///
    /// ```
    /// use luvio::{Loop, Pipe};
    /// use std::io::Read;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let event_loop = Loop::new()?;
    /// let (ours, theirs) = Pipe::pair(&event_loop)?;
    /// let mut socket = UnixStream::from(theirs.into_fd()?); // Send, unlike the handle
    /// socket.set_nonblocking(false)?;
    /// let reader = std::thread::spawn(move || {
    ///     let mut text = String::new();
    ///     socket.read_to_string(&mut text).map(|_| text)
    /// });
    /// ours.write("hello");
    /// ours.finish();
    /// event_loop.run()?;
    /// assert_eq!(reader.join().unwrap()?, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while connecting
    /// ([`Misuse::AlreadyConnecting`](crate::Misuse::AlreadyConnecting)), and while writes or a shutdown wait or the
    /// descriptor is lent ([`Misuse::UnderWay`](crate::Misuse::UnderWay)); [`NotConnected`](io::ErrorKind::NotConnected)
    /// without a connection, for a listener and after a read error; [`InvalidInput`](io::ErrorKind::InvalidInput) for a
    /// closing handle. The handle comes back with the error, and goes on as if nothing had been asked.
    pub fn into_fd(self) -> Result<OwnedFd, Refused<Pipe>> {
        let taken = self.0.stream.give_away();
        self.close_when_taken(taken)
    }

    /// As [`into_fd`](Pipe::into_fd), for a handle that is bound, listening or not. Connections that wait to be accepted go
    /// along, and so does the socket file, which is the program's from then on.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::UnderWay`](crate::Misuse::UnderWay)) while a connection is
    /// announced and not accepted, and while the descriptor is lent; [`NotConnected`](io::ErrorKind::NotConnected)
    /// ([`Misuse::NoSocket`](crate::Misuse::NoSocket)) without a socket; [`InvalidInput`](io::ErrorKind::InvalidInput) for a
    /// connection ([`Misuse::NotListening`](crate::Misuse::NotListening)) and a closing handle. The handle comes back with
    /// the error, and goes on as if nothing had been asked.
    pub fn into_std_listener(self) -> Result<UnixListener, Refused<Pipe>> {
        let taken = socket::give_away(&self);
        self.close_when_taken(taken)
    }

    fn close_when_taken<S: Into<T>, T>(self, taken: io::Result<S>) -> Result<T, Refused<Pipe>> {
        if taken.is_ok() {
            let file = self.0.if_extra(|extra| extra.own.file.take());
            if let Some(file) = file.flatten() {
                file.leave();
            }
        }
        socket::close_when_taken(self, taken)
    }
}
