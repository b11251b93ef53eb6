//! A file without a name, in memory, whose length counts the bytes that were written to it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, MemfdFlags, OFlags, fallocate, fcntl_setfl, memfd_create};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::counter::Bytes;
use crate::event_loop::is_out_of_descriptors;

/// So much of its memory is given back together.
const BLOCK: u64 = 64 * 1024;

pub(super) struct MemoryFile {
    file: File,
    /// Where its memory begins: what is before that was given back. Nobody reads it, only the length counts.
    begin: AtomicU64,
}

impl MemoryFile {
    /// An empty one; `None` where it cannot be had.
    pub(super) fn new() -> io::Result<Option<MemoryFile>> {
        // A write beyond that limit would end the process (SIGXFSZ).
        if getrlimit(Resource::Fsize).current.is_some() {
            return Ok(None);
        }
        let made = make(MemfdFlags::NOEXEC_SEAL).or_else(|err| match err {
            // Before Linux 6.3, which knows no such flag, and demands none.
            Errno::INVAL => make(MemfdFlags::empty()),
            err => Err(err),
        });
        match made.map_err(io::Error::from) {
            Ok(file) => Ok(Some(MemoryFile { file: file.into(), begin: AtomicU64::new(0) })),
            Err(err) if is_out_of_descriptors(&err) => Err(err),
            Err(_) => Ok(None),
        }
    }

    /// A descriptor for those who write.
    pub(super) fn writer(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}

fn make(flags: MemfdFlags) -> Result<OwnedFd, Errno> {
    let file = memfd_create("signals", flags | MemfdFlags::CLOEXEC)?;
    // Several threads may write at the same time: only at its end does none write over another's byte.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

impl Bytes for MemoryFile {
    fn total(&self) -> u64 {
        let length = self.file.metadata().map_or(0, |data| data.len());
        let end = length - length % BLOCK;
        let begin = self.begin.fetch_max(end, Ordering::Relaxed);
        if begin < end {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where the system cannot do it, the memory is given back when nobody watches the signal any more.
            let _ = fallocate(&self.file, flags, begin, end - begin);
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_counts_what_several_threads_write_and_gives_the_memory_back() {
        let file = MemoryFile::new().unwrap().expect("no limit on the size of files");
        let write = |count: u64| {
            let mut writer = File::from(file.writer().unwrap());
            (0..count).for_each(|_| writer.write_all(b"X").unwrap());
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| write(BLOCK));
            }
        });
        assert_eq!(file.total(), 4 * BLOCK);
        assert_eq!(file.file.metadata().unwrap().blocks(), 0);
        write(7);
        assert_eq!(file.total(), 4 * BLOCK + 7);
    }
}
