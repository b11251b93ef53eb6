//! libuv's event loop for Rust: one thread, one loop, handles, timers and TCP with callbacks, and `await` on the very
//! same handles.
//!
//! ```no_run
//! use luvio::{Loop, Tcp};
//! use std::io;
//!
//! fn on_read(client: &Tcp, chunk: io::Result<Option<&[u8]>>) {
//!     match chunk {
//!         Ok(Some(data)) => drop(client.write(data)), // echo
//!         Ok(None) => drop(client.finish()),          // what is queued goes out, then the socket closes
//!         Err(_) => drop(client.close()),
//!     }
//! }
//!
//! let event_loop = Loop::new()?;
//! let server = Tcp::new(&event_loop);
//! server.bind("127.0.0.1:7000")?;
//! server.listen(128, |server, incoming| {
//!     if let Ok(client) = incoming.and_then(|()| server.accept()) {
//!         let _ = client.read_start(on_read);
//!     }
//! })?;
//! event_loop.run()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Five ideas
//!
//! | idea | what it is | libuv's word |
//! |---|---|---|
//! | [`Loop`] | one per thread: polls, keeps the time, owns every handle and task | `uv_loop_t` |
//! | [`Handle`] | a long-lived thing that can call back many times: [`Tcp`], [`Pipe`], [`Timer`], … | `uv_handle_t` |
//! | [`Request`] | one operation that has started and ends once: a write, a connect, a close | `uv_req_t` |
//! | task | a future that the loop drives, from [`spawn`] or [`go`] | (luv: a coroutine) |
//! | [`Coroutine`] | resume and yield, driven by whoever resumes it | (Lua's coroutine) |
//!
//! **One operation, three ways to use it.** An operation starts when it is called and returns a [`Request`]: ignore it,
//! give it a callback with [`then`](Request::then), or `.await` it. What happens again and again is a callback of a handle
//! ([`read_start`](Tcp::read_start), [`listen`](Tcp::listen), [`Timer::start`]) and has an await twin on the same handle
//! ([`read_once`](Tcp::read_once), [`accept_next`](Tcp::accept_next), [`interval`]).
//!
//! # Both styles on one socket
//!
//! ```
//! use luvio::{Loop, Tcp, go};
//! use std::io;
//!
//! let event_loop = Loop::new()?;
//! let server = Tcp::new(&event_loop);
//! server.bind("127.0.0.1:0")?;
//! server.listen(128, |server, incoming| {
//!     let Ok(client) = incoming.and_then(|()| server.accept()) else { return }; // accepted by a callback,
//!     server.close();
//!     go(async move {
//!         let question = client.read_once().await?.unwrap_or_default(); // read by a task,
//!         let answer = question.to_ascii_uppercase();
//!         let done = client.clone();
//!         client.write(answer).then(move |_| drop(done.finish())); // completed by a callback
//!         io::Result::Ok(())
//!     });
//! })?;
//! # let addr = server.local_addr()?;
//! # let client = Tcp::new(&event_loop);
//! # client.connect(addr);
//! # client.write("hello");
//! # let answer = event_loop.try_block_on(client.read_once())?;
//! # assert_eq!(answer.as_deref(), Some(&b"HELLO"[..]));
//! # client.close();
//! event_loop.run()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # With the rest of the ecosystem
//!
//! Requests, waits and joins are plain futures. `select!`, `join!` and `FuturesUnordered` of futures, async-channel and
//! the combinators of futures-lite work on luvio's tasks unchanged, and a wait that `select!` drops has taken nothing:
//!
//! ```
//! use futures::FutureExt;
//! use luvio::{Loop, Tcp, sleep};
//! use std::io;
//! use std::time::Duration;
//!
//! /// Echoes until the client is done, or says nothing for too long.
//! async fn echo(client: Tcp, patience: Duration) -> io::Result<()> {
//!     loop {
//!         futures::select! {
//!             data = client.read_once().fuse() => match data? {
//!                 Some(data) => client.write(data).await?,
//!                 None => return client.finish().await,
//!             },
//!             () = sleep(patience).fuse() => return client.close().await,
//!         }
//!     }
//! }
//! # let event_loop = Loop::new()?;
//! # let server = Tcp::new(&event_loop);
//! # server.bind("127.0.0.1:0")?;
//! # server.listen_only(1)?;
//! # let client = Tcp::new(&event_loop);
//! # client.connect(server.local_addr()?);
//! # let echoed = event_loop.try_block_on(async {
//! #     luvio::go(echo(server.accept_next().await?, Duration::from_millis(5)));
//! #     client.write("hello").await?;
//! #     let echoed = client.read_once().await?;
//! #     assert_eq!(client.read_once().await?, None);
//! #     io::Result::Ok(echoed)
//! # })?;
//! # assert_eq!(echoed.as_deref(), Some(&b"hello"[..]));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # The rules
//!
//! 1. A callback gets its own handle as an argument, so that no closure has to capture the handle it belongs to.
//! 2. A callback may do anything to any handle, its own included: stop it, start it again with another callback, close it,
//!    drop its last clone, stop the loop. Only running the same loop again is an error.
//! 3. No callback runs from inside the call that registered it. What is over at once calls back in a later pass; awaiting
//!    it may be over at once.
//! 4. A handle lives while it is active (then the loop keeps it) or while somebody holds it. When neither, it closes by
//!    itself: close to be told of the end, drop to be done.
//! 5. Closing has two steps. The descriptor goes at once, and no event is delivered any more. In the closing phase the
//!    requests of the handle end with [`Canceled`], then the close itself ends, then the handle's callbacks are dropped.
//! 6. No event reaches the wrong handle: its key is free for another one from its close callback on, and then has another
//!    generation.
//! 7. [`Loop`] owns, [`LoopHandle`] refers. Dropping the loop closes every handle and drops every callback and task; what
//!    is still held then is safe to use and says that the loop is gone. A task awaits handles of its own loop: no other loop
//!    is kept running by it.
//! 8. Cancelling an await releases what it had started, and a read or an accept that is cancelled has taken nothing.
//!
//! A panic of a callback leaves [`run`](Loop::run) by unwinding, and the next run goes on behind it. A panic of a task
//! goes to its [`JoinHandle`], or to the log. Misuse is an [`io::Error`](std::io::Error) around a [`Misuse`], whose text
//! says what to do instead.
//!
//! # Fork
//!
//! Children that exec are fine: [`std::process::Command`] starts them, and no descriptor of luvio's goes with them. A fork
//! without exec (by another crate, or by the C code that embeds the program) is not supported. Parent and child share one
//! selector in the kernel: a child that uses or drops its copy of a [`Loop`] takes the parent's sockets out of it, so that
//! the parent waits for ever; and the signals of the child are told to the parent. The child must leave every loop that it
//! inherited alone, end by `_exit` or exec, or make a new one.
//!
//! Nothing is checked, since the check would cost a system call a turn. A program that may be forked notices by comparing
//! process ids:
//!
//! ```
//! let made_by = std::process::id(); // kept beside the loop
//! let event_loop = luvio::Loop::new()?;
//! // … later, wherever it may be a child:
//! if std::process::id() != made_by {
//!     std::mem::forget(event_loop); // it is the parent's
//!     let event_loop = luvio::Loop::new()?;
//!     # drop(event_loop);
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The chapter [`behaviour`] says in detail what the loop and each kind of handle promise, and where they differ from
//! libuv. The chapter [`libuv`] has each function of libuv with what answers it here.
//!
//! # Features
//!
//! - `signal` (default): `Signal`.
//! - `udp` (default): `Udp`.
//! - `udp-offload`: receive and send offload of `Udp`, on Linux.
//! - `descriptors` (default): `Pipe::open` for pipes and sockets of any origin, `Pipe::peer_cred`, and passing of
//!   descriptors.
//! - `tty` (default): `Tty`, a terminal; `stdin`, `stdout` and `stderr`, whatever they are.
//! - `futures`: `AsyncRead` and `AsyncWrite` of futures-io on [`Tcp`], [`Pipe`] and references to them, `Stream` of
//!   connections, ticks and signals.
#![forbid(unsafe_code)]
#![deny(
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::await_holding_refcell_ref
)]

#[cfg(not(unix))]
compile_error!("luvio runs on Unix systems: it promises what epoll and kqueue can keep");

mod addr;
pub mod behaviour;
pub mod coroutine;
#[cfg(feature = "udp")]
mod datagram;
#[cfg(feature = "tty")]
mod descriptor;
mod error;
mod event_loop;
mod handle;
#[cfg(feature = "futures")]
mod io;
pub mod libuv;
mod line;
mod panics;
mod request;
mod socket;
mod stream;
mod task;

pub use self::addr::{IntoAddr, IntoPipeAddr};
pub use self::coroutine::Coroutine;
#[cfg(feature = "udp")]
pub use self::datagram::Datagram;
#[cfg(feature = "tty")]
pub use self::descriptor::{DescriptorKind, guess_handle};
pub use self::error::{Canceled, Misuse, Refused, is_canceled};
pub use self::event_loop::{
    AliveKind, AliveReason, Builder, CloseError, Loop, LoopHandle, PostError, Remote, RunMode,
};
pub use self::handle::hooks::{Check, Idle, Prepare};
pub use self::handle::notifier::{Notifier, NotifierSender};
pub use self::handle::pipe::Pipe;
#[cfg(all(feature = "descriptors", any(target_os = "linux", target_os = "android")))]
pub use self::handle::pipe::credentials::PeerCred;
pub use self::handle::poll::{Interest, Poll, Ready};
#[cfg(feature = "signal")]
pub use self::handle::signal::Signal;
#[cfg(feature = "tty")]
pub use self::handle::stdio::{Stdio, stderr, stdin, stdout};
pub use self::handle::tcp::Tcp;
pub use self::handle::timer::Timer;
#[cfg(feature = "tty")]
pub use self::handle::tty::{Tty, TtyMode};
#[cfg(feature = "udp")]
pub use self::handle::udp::{Interface, Udp};
pub use self::handle::{Handle, Kind};
#[cfg(all(feature = "futures", feature = "signal"))]
pub use self::io::Deliveries;
#[cfg(feature = "futures")]
pub use self::io::Incoming;
pub use self::request::{Canceler, Request};
pub use self::socket::Listen;
pub use self::stream::ByteStream;
#[cfg(feature = "signal")]
pub use self::task::Delivered;
pub use self::task::{
    AcceptNext, AcceptNextWithAddr, AwaitCallback, Elapsed, Interval, JoinError, JoinHandle,
    Notified, PollReady, PollReadyFor, ReadInto, ReadOnce, ReadWith, Report, Resume, Sleep,
    YieldNow, await_callback, go, interval, sleep, sleep_until, spawn, timeout, unconstrained,
    yield_now,
};
#[cfg(feature = "udp")]
pub use self::task::{RecvOnce, RecvWith};

/// The blocks of README.md, compiled and run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
