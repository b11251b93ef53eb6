//! The answer to "why is it still running?".

use std::fmt;
use std::panic::Location;

use crate::handle::Kind;

/// What sort of thing keeps a loop running.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliveKind {
    /// An active or closing handle.
    Handle(Kind),
    /// A request that has not finished, by the name of its operation (`"connect"`, `"write"`, …).
    Request(&'static str),
    /// A callback that is queued and not yet called: a finished request's, or a closure given to
    /// [`defer`](crate::LoopHandle::defer) or [`Remote::post`](crate::Remote::post).
    Callback,
    /// A spawned task that has not ended, or the future that [`block_on`](crate::Loop::block_on) waits for.
    Task,
}

impl fmt::Display for AliveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AliveKind::Handle(kind) => write!(f, "{kind} handle"),
            AliveKind::Request(operation) => write!(f, "{operation} request"),
            AliveKind::Callback => f.write_str("callback"),
            AliveKind::Task => f.write_str("task"),
        }
    }
}

/// One thing that keeps [`Loop::run`](crate::Loop::run) from returning, as
/// [`alive_because`](crate::LoopHandle::alive_because) lists them. Its `Display` is one line of text.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct AliveReason {
    /// What sort of thing it is.
    pub kind: AliveKind,
    /// Where the program created it.
    pub place: &'static Location<'static>,
    /// What it is doing, in words.
    pub state: String,
}

impl fmt::Display for AliveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made at {}: {}", self.kind, self.place, self.state)
    }
}
