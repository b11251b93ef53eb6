//! Running a closure on the loop's thread, from any other.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::LoopHandle;
use super::mailbox::{Item, Mailbox, Post};

/// Runs closures on the loop's thread from any other thread. `Send`, `Sync` and cheap to clone.
///
/// A `Remote` does not keep the loop alive; a closure that was posted does, until it has run, also when it was posted
/// before the first run.
///
/// ```
/// use luvio::Loop;
/// use std::thread;
///
/// let event_loop = Loop::new()?;
/// let remote = event_loop.remote();
/// let worker = thread::spawn(move || remote.post(|event_loop| println!("at {:?}", event_loop.now())).is_ok());
/// assert!(worker.join().unwrap());
/// event_loop.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Remote {
    mailbox: Arc<Mailbox>,
}

impl Remote {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Remote {
        Remote { mailbox }
    }

    /// Calls `f` on the loop's thread, in the next pending pass after it arrived. Closures of one thread run in the
    /// order in which they were posted; of many, so many [a turn](crate::Builder::posts_per_turn).
    ///
    /// # Errors
    /// [`PostError`] if the loop is gone. It holds the closure.
    #[track_caller]
    pub fn post(&self, f: impl FnOnce(&LoopHandle) + Send + 'static) -> Result<(), PostError> {
        let post = Post { place: Location::caller(), closure: Box::new(f) };
        match self.mailbox.send(Item::Post(post)) {
            Err(Item::Post(post)) => Err(PostError(post.closure)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// The loop is gone, so the closure was not posted. It is inside.
pub struct PostError(pub Box<dyn FnOnce(&LoopHandle) + Send>);

impl fmt::Debug for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostError")
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the loop is gone; the closure was not posted")
    }
}

impl Error for PostError {}
