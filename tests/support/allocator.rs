//! A global allocator that counts what this thread does. A binary that includes this file has it.

#![allow(unsafe_code)] // it cannot be written without
#![allow(dead_code)] // each test binary uses a part of it

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counters are plain thread-local
// cells without a destructor, so that reaching them neither allocates nor fails.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + 1);
        LIVE_BYTES.set(LIVE_BYTES.get() + layout.size() as isize);
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        LIVE_BYTES.set(LIVE_BYTES.get() - layout.size() as isize);
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How often `run` allocates on this thread.
pub fn allocations(run: impl FnOnce()) -> usize {
    let before = allocated();
    run();
    allocated() - before
}

/// How often this thread has allocated.
pub fn allocated() -> usize {
    ALLOCATIONS.get()
}

/// How many blocks this thread has allocated more than it has freed.
pub fn live() -> isize {
    LIVE.get()
}

/// How many bytes this thread has allocated more than it has freed.
pub fn live_bytes() -> isize {
    LIVE_BYTES.get()
}
