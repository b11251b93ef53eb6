//! The standard streams of the process, whatever they are: what [`Descriptor`] makes of them, as a stream of bytes.

use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::rc::Rc;

use super::{Kind, impl_handle};
use crate::descriptor::Descriptor;
use crate::event_loop::LoopHandle;
#[cfg(feature = "futures")]
use crate::io::impl_futures_io;
use crate::stream::{Direction, PlainHandle, PlainStream, Stream, StreamHandle, impl_stream};

/// Standard input, output or error output of the process, as a stream of the loop: from [`stdin()`], [`stdout()`] and
/// [`stderr()`].
///
/// ```
/// use luvio::{Loop, stdin, stdout};
/// use std::io;
///
/// /// `cat`, whatever is on either side.
/// async fn cat(event_loop: luvio::LoopHandle) -> io::Result<()> {
///     let (input, output) = (stdin(&event_loop)?, stdout(&event_loop)?);
///     while let Some(data) = input.read_once().await? {
///         output.write(data).await?;
///     }
///     Ok(())
/// }
/// # fn main() -> io::Result<()> {
/// let event_loop = Loop::new()?;
/// # if false {
/// event_loop.try_block_on(cat(event_loop.clone()))?;
/// # }
/// # Ok(())
/// # }
/// ```
///
/// **Whatever it is.** A terminal (without modes and size: those are [`Tty`](crate::Tty)'s), a pipe, a socket, a file, the
/// null device. None of them becomes non-blocking for the other processes that have it, and none takes a thread. What the
/// process was started without is the null device: std opens it before `main`.
///
/// - Terminals are opened a second time, and so are pipes on Linux. Sockets are told with each call not to wait.
/// - Files are always ready: they are read and written by calls that may take as long as the disk does, a few of them in a
///   turn, as those of [`std::io`] do.
/// - A terminal or pipe that cannot be opened again (it is another user's, there is no /proc, a pipe elsewhere than on
///   Linux) is asked before each call whether it would wait. That is enough as long as no other process reads the same
///   input, or fills the same pipe, in that moment; otherwise the loop waits with it.
///
/// **The process's own descriptor stays.** Closing the handle gives up the stream, not descriptor 0, 1 or 2, which are
/// std's: whoever reads the output sees its end when the process ends. [`shutdown`](Stdio::shutdown) and
/// [`finish`](Stdio::finish) wait for what is queued, and end the handle only.
///
/// **At the end of the program.** [`run`](crate::Loop::run) does not return before all writes are with the system, as with
/// any stream. A program that exits earlier loses what is queued; [`drained`](Stdio::drained), or the request of the last
/// write, says when it may. What goes through [`std::io::stdout`] has a buffer of its own, and an order of its own.
///
/// **One way.** Reading what is for writing is refused with [`Misuse::NotConnected`](crate::Misuse::NotConnected), the reverse
/// with [`Misuse::ShutDown`](crate::Misuse::ShutDown).
///
/// libuv: `uv_tty_t`, `uv_pipe_t` or `uv_tcp_t`; it has no stream for a file
#[derive(Clone)]
pub struct Stdio(Rc<PlainStream<Stdio>>);

impl_handle!(
    Stdio,
    "
What is queued is lost: [`finish`](Stdio::finish) lets it out first. The process's own descriptor stays open."
);

impl_stream!(Stdio);

#[cfg(feature = "futures")]
impl_futures_io!(Stdio);

/// Standard input as a stream of the loop, whatever it is.
///
/// It keeps the loop running while it is read: [`unref`](Stdio::unref) it in a program that is to end although somebody might
/// still type. What [`std::io::stdin`] has read ahead is not seen here.
///
/// # Errors
/// What the system says, such as `EBADF` if the process has closed the descriptor;
/// [`Misuse::LoopGone`](crate::Misuse::LoopGone).
///
/// libuv: `uv_tty_t`, `uv_pipe_t` or `uv_tcp_t`, as it happens
#[track_caller]
pub fn stdin(event_loop: &LoopHandle) -> io::Result<Stdio> {
    open(event_loop, Location::caller(), io::stdin(), Direction::ReadOnly)
}

/// Standard output as a stream of the loop, whatever it is.
///
/// When nobody reads it any more, writes fail with [`BrokenPipe`](io::ErrorKind::BrokenPipe). A shell that ends a pipeline
/// early expects a program to end quietly then.
///
/// # Errors
/// As [`stdin`].
///
/// libuv: `uv_tty_t`, `uv_pipe_t` or `uv_tcp_t`, as it happens
#[track_caller]
pub fn stdout(event_loop: &LoopHandle) -> io::Result<Stdio> {
    open(event_loop, Location::caller(), io::stdout(), Direction::WriteOnly)
}

/// Standard error output as a stream of the loop, whatever it is.
///
/// # Errors
/// As [`stdin`].
///
/// libuv: `uv_tty_t`, `uv_pipe_t` or `uv_tcp_t`, as it happens
#[track_caller]
pub fn stderr(event_loop: &LoopHandle) -> io::Result<Stdio> {
    open(event_loop, Location::caller(), io::stderr(), Direction::WriteOnly)
}

fn open(
    event_loop: &LoopHandle,
    place: &'static Location<'static>,
    fd: impl AsFd,
    direction: Direction,
) -> io::Result<Stdio> {
    let descriptor = Descriptor::of(fd.as_fd())?.one_way(direction);
    let is_shared = descriptor.is_shared();
    PlainStream::make(event_loop, place, descriptor, is_shared)
}

impl StreamHandle for Stdio {
    type Transport = Descriptor;

    fn stream(&self) -> &Stream<Stdio> {
        &self.0.stream
    }
}

impl PlainHandle for Stdio {
    const KIND: Kind = Kind::Stdio;

    fn of(object: Rc<PlainStream<Stdio>>) -> Stdio {
        Stdio(object)
    }
}
