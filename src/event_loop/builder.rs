//! The loop's limits, and the builder that sets them.

use std::io;
use std::time::Duration;

use super::Loop;

/// Every bound that the loop keeps, with the value that it has unless the builder sets another.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) read_chunk: usize,
    pub(crate) reads_per_turn: u32,
    pub(crate) writes_per_turn: u32,
    pub(crate) accepts_per_turn: u32,
    pub(crate) tasks_per_turn: u32,
    pub(crate) posts_per_turn: u32,
    pub(crate) high_water: usize,
    pub(crate) slow_callback: Option<Duration>,
    pub(crate) virtual_clock: bool,
    pub(crate) busy_poll: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Reading 64 KiB at a time into one hot buffer was the best of 16, 64 and 256 KiB for bulk data.
            read_chunk: 64 * 1024,
            // libuv's number: enough to drain a burst, few enough not to be noticed by the other handles.
            reads_per_turn: 32,
            writes_per_turn: 32,
            // A listener shares the turn with its connections; a backlog of 128 is taken in two turns.
            accepts_per_turn: 64,
            // So that tasks which wake each other for ever still let sockets and timers have their turn.
            tasks_per_turn: 256,
            // Each may be work for which another thread needs the loop. A poll is cheap beside so many.
            posts_per_turn: 64,
            // What a socket buffer holds by default, again.
            high_water: 64 * 1024,
            slow_callback: None,
            virtual_clock: false,
            busy_poll: None,
        }
    }
}

/// Makes a [`Loop`] with other limits than the default ones.
///
/// ```
/// use luvio::Loop;
/// use std::time::Duration;
///
/// let event_loop = Loop::builder()
///     .read_chunk(16 * 1024)
///     .slow_callback(Duration::from_millis(50))
///     .build()?;
/// # event_loop.run()
/// # ; Ok::<(), std::io::Error>(())
/// ```
///
/// libuv: `uv_loop_configure`
#[doc(alias = "uv_loop_configure")]
#[derive(Clone, Debug, Default)]
pub struct Builder {
    limits: Limits,
}

impl Builder {
    /// The most that one read callback gets at a time, in bytes. 64 KiB by default; at least 1.
    ///
    /// The loop has one buffer of this size, which it lends to every read.
    pub fn read_chunk(mut self, bytes: usize) -> Builder {
        self.limits.read_chunk = bytes.max(1);
        self
    }

    /// How many reads one stream may do before the other handles get their turn. 32 by default; at least 1.
    ///
    /// What is left is read in the next turn, which then does not sleep.
    pub fn reads_per_turn(mut self, reads: u32) -> Builder {
        self.limits.reads_per_turn = reads.max(1);
        self
    }

    /// How many writes of queued data one stream may do before the other handles get their turn. 32 by default; at
    /// least 1.
    pub fn writes_per_turn(mut self, writes: u32) -> Builder {
        self.limits.writes_per_turn = writes.max(1);
        self
    }

    /// How many connections one listener may accept before the other handles get their turn. 64 by default; at least 1.
    pub fn accepts_per_turn(mut self, accepts: u32) -> Builder {
        self.limits.accepts_per_turn = accepts.max(1);
        self
    }

    /// How many polls of tasks fit into one turn. 256 by default; at least 1.
    pub fn tasks_per_turn(mut self, polls: u32) -> Builder {
        self.limits.tasks_per_turn = polls.max(1);
        self
    }

    /// How many closures that other threads [posted](crate::Remote::post) run in one turn. 64 by default; at least 1.
    ///
    /// What is left runs in the next turns, which then do not sleep.
    pub fn posts_per_turn(mut self, posts: u32) -> Builder {
        self.limits.posts_per_turn = posts.max(1);
        self
    }

    /// How many bytes a stream may have queued before [`needs_drain`](crate::Tcp::needs_drain) says so. 64 KiB by
    /// default; each stream can [set its own](crate::Tcp::set_high_water).
    pub fn high_water(mut self, bytes: usize) -> Builder {
        self.limits.high_water = bytes;
        self
    }

    /// Logs a warning for each callback that holds the loop for longer than `threshold`, with its handle's kind and
    /// place. Off by default: it costs two readings of the clock for each callback.
    pub fn slow_callback(mut self, threshold: Duration) -> Builder {
        self.limits.slow_callback = Some(threshold);
        self
    }

    /// Gives the loop a clock that stands still and jumps to the next timer when there is nothing else to do.
    ///
    /// A program with a day of timers then runs in a moment, and a test of time is exact. A test that wants to look
    /// between two moments moves the clock itself, with [`advance`](Loop::advance).
    ///
    /// - While something is active that the outside can finish (a socket, a notifier, a signal), the loop first waits for
    ///   it, up to 5 ms of real time in all for each move of the clock. An outside that needs longer is overtaken: give it
    ///   no timers to race with, or move the clock by hand.
    /// - Another thread that will wake a task, by a channel or a [`Remote`](crate::Remote), is nothing that the loop knows
    ///   of, and so it is not waited for. An active [`Notifier`](crate::Notifier) is.
    /// - While an idle handle is active or a task wakes itself again and again, there is always something to do, and the
    ///   clock stands still. It does so in [`NoWait`](crate::RunMode::NoWait) runs, too.
    /// - The pauses that luvio makes itself, such as a listener's that has run out of descriptors, are timers like others.
    /// - Without any timer that ever fires, the loop blocks as always.
    pub fn virtual_clock(mut self) -> Builder {
        self.limits.virtual_clock = true;
        self
    }

    /// Polls without blocking for at most `limit` before the loop goes to sleep. Off by default.
    ///
    /// A thread that sleeps has to be woken, which can take longer than the answer that it waits for: with one connection
    /// that plays ping-pong, a loop that spins for 200 µs answers several times as fast. The price is a core that is busy
    /// for so long before each sleep, so this is right only where latency is all that counts and the core is the loop's
    /// own; with many busy connections the loop hardly ever sleeps, and it changes nothing. A loop in which only timers are
    /// active does not spin, nor does one with a [virtual clock](Builder::virtual_clock).
    pub fn busy_poll(mut self, limit: Duration) -> Builder {
        self.limits.busy_poll = Some(limit).filter(|limit| !limit.is_zero());
        self
    }

    /// Makes the loop.
    ///
    /// # Errors
    /// What the system says when it has no descriptors left for the poller.
    pub fn build(self) -> io::Result<Loop> {
        Loop::with_limits(self.limits)
    }
}
