//! placeholder crate docs
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
pub mod coroutine;
mod error;
mod event_loop;
mod handle;
#[cfg(feature = "futures")]
mod io;
mod request;
mod stream;
mod task;

pub use self::addr::IntoAddr;
pub use self::coroutine::Coroutine;
pub use self::error::{Canceled, Misuse, is_canceled};
pub use self::event_loop::{AliveKind, AliveReason, Builder, Loop, LoopHandle, Remote, RunMode};
pub use self::handle::hooks::{Check, Idle, Prepare};
pub use self::handle::notifier::{Notifier, NotifierSender};
#[cfg(feature = "signal")]
pub use self::handle::signal::Signal;
pub use self::handle::tcp::Tcp;
pub use self::handle::timer::Timer;
pub use self::handle::{Handle, Kind};
#[cfg(all(feature = "futures", feature = "signal"))]
pub use self::io::Deliveries;
#[cfg(feature = "futures")]
pub use self::io::Incoming;
pub use self::request::{Canceler, Request};
#[cfg(feature = "signal")]
pub use self::task::Delivered;
pub use self::task::{
    AcceptNext, AwaitCallback, Elapsed, Interval, JoinError, JoinHandle, Notified, ReadInto,
    ReadOnce, ReadWith, Report, Resume, Sleep, YieldNow, await_callback, go, interval, sleep,
    sleep_until, spawn, timeout, yield_now,
};
