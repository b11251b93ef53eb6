//! What a descriptor is polled for, and what there is of it.

use std::fmt;
use std::io;
use std::ops::{BitAnd, BitOr};

use crate::error::Misuse;

/// What a [`Poll`](super::Poll) is to tell of. Several are joined by `|`.
///
/// ```
/// use luvio::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.contains(Interest::WRITABLE) && !both.contains(Interest::DISCONNECT));
/// assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
/// ```
///
/// libuv: `uv_poll_event`
#[doc(alias = "uv_poll_event")]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Nothing.
    pub const NONE: Interest = Interest(0);

    /// There is something to read: data, the end of it, a connection to accept, or an error.
    ///
    /// libuv: `UV_READABLE`
    pub const READABLE: Interest = Interest(1);

    /// There is room to write, a connect has ended, or there is an error.
    ///
    /// libuv: `UV_WRITABLE`
    pub const WRITABLE: Interest = Interest(1 << 1);

    /// The other end has closed, or at least will not write any more. What it wrote before may still be there to be read.
    ///
    /// libuv: `UV_DISCONNECT`
    pub const DISCONNECT: Interest = Interest(1 << 2);

    /// There is urgent data, apart from the other data: out-of-band data of TCP, a change of a file of sysfs. Linux only.
    ///
    /// libuv: `UV_PRIORITIZED`
    pub const PRIORITIZED: Interest = Interest(1 << 3);

    const NAMES: [(Interest, &str); 4] = [
        (Interest::READABLE, "READABLE"),
        (Interest::WRITABLE, "WRITABLE"),
        (Interest::DISCONNECT, "DISCONNECT"),
        (Interest::PRIORITIZED, "PRIORITIZED"),
    ];

    /// True if all of `other` is in it.
    pub const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How mio is asked for it.
    pub(super) fn for_mio(self) -> io::Result<mio::Interest> {
        let mut asked: Option<mio::Interest> = None;
        let mut add = |more: mio::Interest| asked = Some(asked.map_or(more, |asked| asked | more));
        // The end is told with what is to be read only.
        if !(self & (Interest::READABLE | Interest::DISCONNECT)).is_empty() {
            add(mio::Interest::READABLE);
        }
        if self.contains(Interest::WRITABLE) {
            add(mio::Interest::WRITABLE);
        }
        if self.contains(Interest::PRIORITIZED) {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            add(mio::Interest::PRIORITY);
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "only Linux polls for urgent data; leave Interest::PRIORITIZED out",
            ));
        }
        asked.ok_or_else(|| Misuse::NoInterest.into())
    }

    /// What of it `event` brought. An error and the end of both directions are not kept from anybody who waits to read or
    /// write, who then meets it.
    pub(super) fn met_by(self, event: &mio::event::Event) -> Interest {
        let is_error = event.is_error();
        let met = |is_so: bool, what: Interest| if is_so { what } else { Interest::NONE };
        let all = met(event.is_readable() || event.is_read_closed(), Interest::READABLE)
            | met(event.is_writable() || event.is_write_closed(), Interest::WRITABLE)
            | met(event.is_read_closed(), Interest::DISCONNECT)
            | met(event.is_priority(), Interest::PRIORITIZED);
        if is_error { self } else { self & all }
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl BitAnd for Interest {
    type Output = Interest;

    fn bitand(self, other: Interest) -> Interest {
        Interest(self.0 & other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("NONE");
        }
        let names = Interest::NAMES.iter().filter(|(interest, _)| self.contains(*interest));
        for (n, (_, name)) in names.enumerate() {
            f.write_str(if n == 0 { "" } else { " | " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// What there is of what was wanted.
///
/// libuv: the argument `events` of `uv_poll_cb`
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ready(pub(super) Interest);

impl Ready {
    /// True if there is something to read: see [`Interest::READABLE`].
    pub const fn is_readable(self) -> bool {
        self.0.contains(Interest::READABLE)
    }

    /// True if there is room to write: see [`Interest::WRITABLE`].
    pub const fn is_writable(self) -> bool {
        self.0.contains(Interest::WRITABLE)
    }

    /// True if the other end has closed: see [`Interest::DISCONNECT`].
    pub const fn is_disconnected(self) -> bool {
        self.0.contains(Interest::DISCONNECT)
    }

    /// True if there is urgent data: see [`Interest::PRIORITIZED`].
    pub const fn is_prioritized(self) -> bool {
        self.0.contains(Interest::PRIORITIZED)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
