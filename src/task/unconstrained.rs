//! A future to which the share of operations of a poll does not apply.

use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::event_loop::Unbounded;

/// Lets `future` find as many operations ready as there are, in one poll.
///
/// One poll of a task finds at most 128 operations of luvio ready; then the task waits for the next poll for I/O, so that a
/// task with a fast peer does not hold up the others. What is done inside `future` neither counts nor waits. That is for
/// work that has to be done in one go, or that limits itself; any other would keep the loop from its timers and sockets.
///
/// ```
/// use luvio::{Loop, sleep, unconstrained};
/// use std::time::Duration;
///
/// let event_loop = Loop::new()?;
/// event_loop.block_on(unconstrained(async {
///     for _ in 0..1_000 {
///         sleep(Duration::ZERO).await; // all of them in one poll
///     }
/// }))?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cancel safety
/// Dropping it drops the future.
pub async fn unconstrained<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _unbounded = Unbounded::begin();
        future.as_mut().poll(context)
    })
    .await
}
