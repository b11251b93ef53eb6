//! What is known to go wrong, and so is left out. Each goes with its cure: set it to false, then remove it with its uses.

/// While a loop is dropped, a destructor that panics keeps the rest from being dropped (`event_loop/dispose.rs`).
pub const PANIC_STOPS_DISPOSE: bool = true;

/// A panic's payload whose destructor panics, too, leaves its task behind (`task/run_queue.rs`).
pub const PAYLOAD_KEEPS_TASK: bool = true;

/// So does a logger that panics.
pub const LOGGER_KEEPS_TASK: bool = true;

/// A waker that panics, be it when it is dropped, keeps others from being woken (`wake_all`, `wake_yielded`).
pub const WAKER_KEEPS_OTHERS: bool = true;

/// A callback whose destructor panics when its handle is completely closed leaves the loop alive without a reason
/// (`event_loop.rs`, closing phase).
pub const CLOSED_STAYS_ALIVE: bool = true;

/// A waker, or its destructor, that awaits again while the close of its stream wakes it is never woken (`stream.rs`,
/// release).
pub const AWAITED_IN_RELEASE: bool = true;

/// A waker that posts while its loop is dropped is told that this was fine (`event_loop/dispose.rs`).
pub const POST_WHILE_DISPOSING: bool = true;

/// Of several tasks that wait for one stream by the futures-io traits, only the last is woken (`stream/poll_io.rs`).
pub const ONE_WAITER_BY_TRAIT: bool = true;

/// A connect or listen in the destructor of a read callback, run by a connect that fails, loses its requests or itself
/// (`stream/connecting.rs`).
pub const CONNECT_IN_FAILED_CONNECT: bool = true;
