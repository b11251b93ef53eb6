//! The options of a TCP socket, which are remembered for the next one.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::{Own, Tcp};
use crate::error::Misuse;

impl Tcp {
    /// Switches off (`true`) or on the delay by which the system gathers small writes. Before there is a socket, it is
    /// remembered.
    ///
    /// The delay is on by default, as in libuv. While it is, a small write that follows another one waits until the peer has
    /// acknowledged the first, which peers put off for some 40 ms: a protocol whose messages leave by two writes (head and
    /// body) is that slow. With `true`, or with each message as one [`write_vectored`](Tcp::write_vectored), it takes a
    /// tenth of a millisecond. A server sets it on what it accepts:
    ///
    /// ```
    /// # use luvio::{Loop, Tcp};
    /// # let event_loop = Loop::new()?;
    /// # let server = Tcp::new(&event_loop);
    /// # server.bind("127.0.0.1:0")?;
    /// server.listen(128, |server, incoming| {
    ///     let Ok(client) = incoming.and_then(|()| server.accept()) else { return };
    ///     let _ = client.set_nodelay(true);
    ///     // …
    /// #   server.close();
    /// })?;
    /// # let _client = std::net::TcpStream::connect(server.local_addr()?)?;
    /// # event_loop.run()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::Closing`], or what the system says.
    ///
    /// libuv: `uv_tcp_nodelay`
    #[doc(alias = "uv_tcp_nodelay")]
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.core().check_open()?;
        self.set_option(|socket| socket.set_tcp_nodelay(on), |own| own.nodelay = Some(on))
    }

    /// Has the system probe a silent peer after `idle`, or not at all with `None`. Before there is a socket, it is
    /// remembered. The interval and the count of the probes are the system's; see
    /// [`set_keepalive_with`](Tcp::set_keepalive_with).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for less than a second ([`Misuse::ZeroKeepAlive`]) or a closing
    /// handle; what the system says.
    ///
    /// libuv: `uv_tcp_keepalive`
    #[doc(alias = "uv_tcp_keepalive")]
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        self.set_keepalive_params(idle.map(|idle| (idle, None)))
    }

    /// As [`set_keepalive`](Tcp::set_keepalive), with the `interval` between probes and the `count` of unanswered ones
    /// after which the connection is given up.
    ///
    /// # Errors
    /// As [`set_keepalive`](Tcp::set_keepalive); none of the three may be zero.
    ///
    /// libuv: `uv_tcp_keepalive_ex`
    #[doc(alias = "uv_tcp_keepalive_ex")]
    pub fn set_keepalive_with(
        &self,
        idle: Duration,
        interval: Duration,
        count: u32,
    ) -> io::Result<()> {
        self.set_keepalive_params(Some((idle, Some((interval, count)))))
    }

    fn set_keepalive_params(
        &self,
        wanted: Option<(Duration, Option<(Duration, u32)>)>,
    ) -> io::Result<()> {
        self.core().check_open()?;
        let mut params = None;
        if let Some((idle, probes)) = wanted {
            let mut keepalive = TcpKeepalive::new().with_time(idle);
            let mut shortest = idle;
            if let Some((interval, count)) = probes {
                keepalive = keepalive.with_interval(interval).with_retries(count);
                shortest = if count == 0 { Duration::ZERO } else { idle.min(interval) };
            }
            // The system counts in whole seconds.
            if shortest < Duration::from_secs(1) {
                return Err(Misuse::ZeroKeepAlive.into());
            }
            params = Some(keepalive);
        }
        self.set_option(
            |socket| apply_keepalive(socket, params.as_ref()),
            |own| own.keepalive = Some(params.clone()),
        )
    }

    /// Sets an option of the socket, if there is one, and of the next one, if there may be one.
    fn set_option(
        &self,
        set: impl FnOnce(&SockRef<'_>) -> io::Result<()>,
        remember: impl FnOnce(&mut Own),
    ) -> io::Result<()> {
        let has_socket = match self.0.with_any_socket(set) {
            Ok(done) => done.map(|()| true)?,
            Err(_) => false,
        };
        // A handle that can lose its socket and get another one, by a connect that fails, has an extra part.
        if !has_socket || self.0.if_extra(|_| ()).is_some() {
            self.0.with_extra(|extra| remember(&mut extra.own));
        }
        Ok(())
    }

    pub(super) fn apply_options(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let (nodelay, keepalive) =
            self.0.extra(|extra| (extra.own.nodelay, extra.own.keepalive.clone()));
        if let Some(on) = nodelay {
            socket.set_tcp_nodelay(on)?;
        }
        if let Some(params) = keepalive {
            apply_keepalive(socket, params.as_ref())?;
        }
        Ok(())
    }
}

fn apply_keepalive(socket: &SockRef<'_>, params: Option<&TcpKeepalive>) -> io::Result<()> {
    match params {
        Some(params) => socket.set_tcp_keepalive(params),
        None => socket.set_keepalive(false),
    }
}
