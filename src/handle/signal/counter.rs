//! Counting the deliveries of a signal, where none can be lost.
//!
//! What runs in the context of a signal is unsafe to write, and signal-hook's safe actions only set flags or write a byte
//! to a descriptor. So the count is a length. On Linux it is that of a file in memory, to which each delivery adds a byte:
//! it has no end, and the memory behind it is given back from time to time.
//!
//! Where there is no such file, or files must not grow, the bytes go into a pipe, from which they are taken with each look.
//! It holds 64 KiB on most systems; deliveries beyond those are lost.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use mio::unix::pipe::{self, Receiver};
use signal_hook::SigId;
use signal_hook::low_level::{pipe as action, unregister};

use crate::error::Misuse;

/// Counts the deliveries of a signal to the process until it is dropped.
pub(super) struct Counter {
    action: SigId,
    bytes: Box<dyn Bytes>,
}

/// What counts the bytes that were written to a descriptor.
pub(super) trait Bytes: Send + Sync {
    /// How many there were so far.
    fn total(&self) -> u64;
}

impl Counter {
    /// Counts from now on. An action that is registered after it, such as one that wakes a loop, finds each delivery
    /// counted.
    pub(super) fn of(signum: i32) -> io::Result<Counter> {
        let (writer, bytes) = descriptor()?;
        // It refuses numbers that the system does not know.
        let action = action::register(signum, writer).map_err(|_| Misuse::BadSignal)?;
        Ok(Counter { action, bytes })
    }

    pub(super) fn total(&self) -> u64 {
        self.bytes.total()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Before its other end is closed, so that no signal meets a broken pipe.
        unregister(self.action);
    }
}

/// A descriptor to which the deliveries are written, and what counts them.
fn descriptor() -> io::Result<(OwnedFd, Box<dyn Bytes>)> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(file) = super::memory_file::MemoryFile::new()? {
        return Ok((file.writer()?, Box::new(file)));
    }
    let (sender, receiver) = pipe::new()?;
    Ok((sender.into(), Box::new(Mutex::new(Drained { receiver, total: 0 }))))
}

/// A pipe that is emptied with each look.
struct Drained {
    receiver: Receiver,
    total: u64,
}

impl Bytes for Mutex<Drained> {
    fn total(&self) -> u64 {
        let mut drained = self.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; 4096];
        // No more than it holds: a storm of signals must not keep the loop here.
        for _ in 0..16 {
            match drained.receiver.read(&mut bytes) {
                Ok(count) => drained.total += count as u64,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drained.total
    }
}
