//! TCP sockets as the stream engine uses them.

use std::convert::Infallible;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use socket2::SockRef;

use crate::socket::{NO_SIGNAL, connected};
use crate::stream::Transport;

impl Transport for mio::net::TcpStream {
    type Along = Infallible;

    #[inline]
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = self;
        stream.read(buffer)
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        let mut stream = self;
        stream.write(data)
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // Not std's `write_vectored`: that is writev, which raises SIGPIPE when the peer has gone.
        self.try_io(|| SockRef::from(self).send_vectored_with_flags(slices, NO_SIGNAL))
    }

    fn shut_down(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn connected(&self) -> io::Result<bool> {
        connected(SockRef::from(self))
    }
}
