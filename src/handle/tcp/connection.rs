//! A connection: what TCP has beside the face that all streams have.

use std::time::Duration;

use super::Tcp;
use crate::request::Request;

impl Tcp {
    /// Closes the connection by a reset: what is queued here or in the kernel is dropped, and the peer's reads fail with
    /// [`ConnectionReset`](std::io::ErrorKind::ConnectionReset). Otherwise as [`close`](Tcp::close).
    ///
    /// That is the way to get rid of a peer that does not take what a [`shutdown`](Tcp::shutdown) or a
    /// [`finish`](Tcp::finish) waits for: they end with [`Canceled`](crate::Canceled). A handle without a socket is closed.
    ///
    /// # Errors
    /// Through the request: what the system says to the option; the handle stays open then.
    ///
    /// # Cancel safety
    /// As [`close`](Tcp::close).
    ///
    /// libuv: `uv_tcp_close_reset`
    #[doc(alias = "uv_tcp_close_reset")]
    #[track_caller]
    pub fn close_reset(&self) -> Request<()> {
        match self.0.with_any_socket(|socket| socket.set_linger(Some(Duration::ZERO))) {
            // Some systems refuse the option on a socket that was shut down. There is nothing left to reset then.
            Ok(Err(err)) if err.raw_os_error() != Some(libc::EINVAL) => {
                Request::finished(self.core().origin(), Err(err))
            }
            _ => self.close(),
        }
    }
}
