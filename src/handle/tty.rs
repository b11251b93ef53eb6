//! `Tty`: a terminal.
//!
//! Its bytes go through the stream engine, as those of all streams. Its own are the modes, which outlive every process that
//! does not put them back: who set which, and what was before, is kept for the whole process ([`modes`]).

mod modes;
mod terminal;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::rc::Rc;

use rustix::termios::tcgetwinsize;

use self::terminal::Terminal;
use super::{Kind, impl_handle};
use crate::descriptor::{Descriptor, DescriptorKind, guess_handle};
use crate::error::Misuse;
use crate::event_loop::LoopHandle;
#[cfg(feature = "futures")]
use crate::io::impl_futures_io;
use crate::stream::{PlainHandle, PlainStream, Stream, StreamHandle, impl_stream};

/// A terminal, as a stream of bytes with a mode and a size.
///
/// ```no_run
/// use luvio::{Loop, Tty, TtyMode};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let terminal = Tty::new(&event_loop, io::stdin())?;
/// terminal.set_mode(TtyMode::Raw)?; // each key at once, and no echo
/// terminal.read_start(|terminal, chunk| match chunk {
///     Ok(Some(keys)) if !keys.contains(&b'q') => drop(terminal.write(format!("{keys:?}\n"))),
///     _ => drop(terminal.close()), // the mode is as it was before
/// })?;
/// event_loop.run()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// **It is a terminal of its own.** The loop needs a descriptor that does not block, and the shell and other processes that
/// share the terminal need one that does. So the terminal is opened a second time, and what the program has stays as it is.
/// Where that cannot be, because the terminal is another user's or there is no /proc, each call first asks whether it would
/// wait. The master of a pseudo-terminal cannot be opened again either: it becomes non-blocking, for all who share it.
///
/// **One end of the stream is no end of the terminal.** In [`Normal`](TtyMode::Normal) mode Ctrl-D at the beginning of a
/// line is told as the end; reading may be started again. When the terminal goes away, the end is told, or `EIO` as an
/// error, and writes fail with `EIO`. [`shutdown`](Tty::shutdown) ends when all is written, without an error, and the
/// terminal hears nothing of it (libuv: `ENOTSOCK`).
///
/// **A process in the background** is stopped by the system when it reads, or sets a mode, until it is in the foreground
/// again (SIGTTIN, SIGTTOU), as every other process.
///
/// **The size changes** with a signal:
///
/// ```no_run
/// # #[cfg(feature = "signal")] {
/// use luvio::{Loop, Signal, Tty};
/// use std::io;
///
/// let event_loop = Loop::new()?;
/// let terminal = Tty::new(&event_loop, io::stdout())?;
/// let resized = Signal::new(&event_loop);
/// resized.start(Signal::WINCH, move |_, _| {
///     if let Ok((columns, rows)) = terminal.winsize() {
///         terminal.write(format!("{columns} x {rows}\n"));
///     }
/// })?;
/// event_loop.run()?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Who keeps it alive.** As with [`Tcp`](crate::Tcp): the loop while it reads or has requests under way, otherwise whoever
/// holds it. The mode is put back when the handle is closed, when the last clone is dropped, and when the loop is.
///
/// libuv: `uv_tty_t`
#[doc(alias = "uv_tty_t")]
#[derive(Clone)]
pub struct Tty(Rc<PlainStream<Tty>>);

/// What a terminal does with what is typed and written.
///
/// libuv: `uv_tty_mode_t`
#[doc(alias = "uv_tty_mode_t")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TtyMode {
    /// As it was before the process set another mode: usually line by line, with an echo, and Ctrl-C is a signal.
    #[default]
    Normal,
    /// Each key at once and as a byte, Ctrl-C too, and no echo. A newline that is written still begins a line.
    Raw,
    /// Bytes as they are, both ways (`cfmakeraw`): for other things than people.
    Io,
}

impl_handle!(
    Tty,
    "
The mode is put back. What is queued is lost: [`finish`](Tty::finish) lets it out first."
);

impl_stream!(Tty);

#[cfg(feature = "futures")]
impl_futures_io!(Tty);

impl Tty {
    /// The terminal behind `fd`, such as [`io::stdin()`], which stays the caller's. Bytes can go the ways for which `fd` was
    /// opened: usually both.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for what is no terminal ([`Misuse::NotATerminal`]), and for a loop that
    /// is gone; what the system says.
    ///
    /// libuv: `uv_tty_init`
    #[doc(alias = "uv_tty_init")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle, fd: impl AsFd) -> io::Result<Tty> {
        Tty::new_at(event_loop, Location::caller(), fd.as_fd())
    }

    fn new_at(
        event_loop: &LoopHandle,
        place: &'static Location<'static>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<Tty> {
        if guess_handle(fd)? != DescriptorKind::Tty {
            return Err(Misuse::NotATerminal.into());
        }
        let descriptor = Descriptor::of(fd)?;
        let is_shared = descriptor.is_shared();
        PlainStream::make(event_loop, place, Terminal::new(descriptor)?, is_shared)
    }

    /// Sets the mode, at once: what is typed and not read yet stays, what is written goes out.
    ///
    /// Of several handles for one terminal, in whatever loop and thread, the last call counts; when the handle that made it
    /// goes, the mode is again the one that another handle had asked for before, and at last the one that was there before
    /// the first of them. A process in the background, which others put there, leaves the mode alone when its handles go.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a closing handle; what the system says, such as `EIO` when the
    /// terminal has gone away.
    ///
    /// libuv: `uv_tty_set_mode`
    #[doc(alias = "uv_tty_set_mode")]
    pub fn set_mode(&self, mode: TtyMode) -> io::Result<()> {
        self.with_terminal(|terminal| terminal.set_mode(mode))
    }

    /// Puts back the mode of every terminal whose mode this process has set: for the end of the process, and for panic hooks.
    /// Where [`set_mode`](Tty::set_mode) is not called again, that was all: handles that go later leave their terminal alone.
    ///
    /// ```
    /// let report = std::panic::take_hook();
    /// std::panic::set_hook(Box::new(move |panic| {
    ///     let _ = luvio::Tty::reset_mode(); // or the report is a staircase
    ///     report(panic);
    /// }));
    /// ```
    ///
    /// A process that exits or aborts without having dropped its handles has to call it, if it wants to leave a terminal as
    /// it was: nothing does at [`exit`](std::process::exit). It must not be called in a signal handler; a
    /// [`Signal`](crate::Signal) callback is none.
    ///
    /// # Errors
    /// What the system says; the other terminals are looked after all the same.
    ///
    /// libuv: `uv_tty_reset_mode`
    #[doc(alias = "uv_tty_reset_mode")]
    pub fn reset_mode() -> io::Result<()> {
        modes::reset()
    }

    /// The size in characters: columns, then rows. Both are 0 if nobody has told the terminal.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a closing handle; what the system says.
    ///
    /// libuv: `uv_tty_get_winsize`
    #[doc(alias = "uv_tty_get_winsize")]
    pub fn winsize(&self) -> io::Result<(u16, u16)> {
        let size = self.with_terminal(|terminal| Ok(tcgetwinsize(terminal)?))?;
        Ok((size.ws_col, size.ws_row))
    }

    /// The number of the descriptor, for calls that luvio does not offer. It stays the handle's: do not close it.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) ([`Misuse::NoSocket`]) after close.
    ///
    /// libuv: `uv_fileno`
    #[doc(alias = "uv_fileno")]
    pub fn fileno(&self) -> io::Result<RawFd> {
        self.with_fd(|fd| std::os::fd::AsRawFd::as_raw_fd(&fd))
    }

    /// Runs `f` with the descriptor, borrowed for as long as `f` runs. A close inside `f` takes the descriptor when `f`
    /// returns.
    ///
    /// # Errors
    /// As [`fileno`](Tty::fileno).
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        self.0.with_fd(f)
    }

    fn with_terminal<R>(&self, f: impl FnOnce(&Terminal) -> io::Result<R>) -> io::Result<R> {
        self.core().check_open()?;
        self.0.stream.with_socket(f).unwrap_or_else(|| Err(Misuse::NoSocket.into()))
    }
}

impl StreamHandle for Tty {
    type Transport = Terminal;

    fn stream(&self) -> &Stream<Tty> {
        &self.0.stream
    }
}

impl PlainHandle for Tty {
    const KIND: Kind = Kind::Tty;

    fn of(object: Rc<PlainStream<Tty>>) -> Tty {
        Tty(object)
    }
}
