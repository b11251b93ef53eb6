//! Sockets that come from the standard library and go back to it.

use std::io;
use std::net::{TcpListener, TcpStream};

use socket2::SockRef;

use super::Tcp;
use crate::error::Refused;
use crate::socket;

impl Tcp {
    /// Adopts a connected socket of the standard library. It is made non-blocking and closed with the handle.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::HasSocket`](crate::Misuse::HasSocket)) if the handle has a socket already;
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the loop has that socket already; [`Misuse::Closing`](crate::Misuse::Closing); what
    /// the system says otherwise. The socket comes back with the error (in the last case it may be non-blocking).
    ///
    /// libuv: `uv_tcp_open`
    #[doc(alias = "uv_tcp_open")]
    pub fn open(&self, stream: TcpStream) -> Result<(), Refused<TcpStream>> {
        if let Err(error) = self.prepare_to_adopt(&SockRef::from(&stream)) {
            return Err(Refused { error, value: stream });
        }
        self.0.adopt(mio::net::TcpStream::from_std(stream))
    }

    /// Adopts a bound socket of the standard library, listening or not, for [`listen`](Tcp::listen) or
    /// [`listen_only`](Tcp::listen_only).
    ///
    /// # Errors
    /// As [`open`](Tcp::open).
    ///
    /// libuv: `uv_tcp_open`
    #[doc(alias = "uv_tcp_open")]
    pub fn open_listener(&self, listener: TcpListener) -> Result<(), Refused<TcpListener>> {
        if let Err(error) = self.prepare_to_adopt(&SockRef::from(&listener)) {
            return Err(Refused { error, value: listener });
        }
        self.0.set_fresh(listener.into());
        self.0.stream.mark_shown();
        Ok(())
    }

    /// Hands a connection over: the socket leaves the loop and can go to another one, also in another thread, by
    /// [`open`](Tcp::open). There is no duplicate, and nothing is lost: what has arrived and was not read is read by
    /// whoever has the socket.
    ///
    /// The handle is closed, for all its clones: a read callback is not called any more, who awaits data gets
    /// [`Canceled`](crate::Canceled). The socket is non-blocking.
    ///
    /// ```
    /// use luvio::{Loop, Tcp};
    /// use std::io;
    ///
    /// # let (here, there) = {
    /// #     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// #     let there = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// #     (listener.accept()?.0, there)
    /// # };
    /// let event_loop = Loop::new()?;
    /// let client = Tcp::new(&event_loop);
    /// client.open(here)?;
    /// let socket = client.into_std()?; // Send, unlike the handle
    /// std::thread::spawn(move || {
    ///     let event_loop = Loop::new()?;
    ///     let client = Tcp::new(&event_loop);
    ///     client.open(socket)?;
    ///     client.write("hello from another thread");
    ///     client.finish();
    ///     event_loop.run()
    /// });
    /// event_loop.run()?;
    /// # let text = io::read_to_string(there)?;
    /// # assert_eq!(text, "hello from another thread");
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while connecting ([`Misuse::AlreadyConnecting`](crate::Misuse::AlreadyConnecting)), and while writes or a
    /// shutdown wait or the descriptor is lent ([`Misuse::UnderWay`](crate::Misuse::UnderWay));
    /// [`NotConnected`](io::ErrorKind::NotConnected) without a connection, for a listener and after a read error;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a closing handle. The handle comes back with the error, and goes
    /// on as if nothing had been asked.
    pub fn into_std(self) -> Result<TcpStream, Refused<Tcp>> {
        let taken = self.0.stream.give_away();
        socket::close_when_taken(self, taken)
    }

    /// As [`into_std`](Tcp::into_std), for a handle that is bound, listening or not. Connections that wait to be accepted go
    /// along.
    ///
    /// # Errors
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) ([`Misuse::UnderWay`](crate::Misuse::UnderWay)) while a connection is announced and not
    /// accepted, and while the descriptor is lent; [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`](crate::Misuse::NoSocket))
    /// without a socket; [`InvalidInput`](io::ErrorKind::InvalidInput) for a connection ([`Misuse::NotListening`](crate::Misuse::NotListening)) and a
    /// closing handle. The handle comes back with the error, and goes on as if nothing had been asked.
    pub fn into_std_listener(self) -> Result<TcpListener, Refused<Tcp>> {
        let taken = socket::give_away(&self);
        socket::close_when_taken(self, taken)
    }

    fn prepare_to_adopt(&self, socket: &SockRef<'_>) -> io::Result<()> {
        self.0.check_may_adopt()?;
        socket.set_nonblocking(true)?;
        self.apply_options(socket)
    }
}
