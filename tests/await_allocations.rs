//! What awaiting on a stream allocates: nothing for a round trip, and no buffer for a connection that waits.

#![allow(unsafe_code)] // a global allocator that counts cannot be written without

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::io;

use luvio::{Loop, Tcp};
use support::{accepted_pair, connected_pair, turn, watchdog};

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counters are plain thread-local
// cells without a destructor, so that reaching them neither allocates nor fails.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Messages before the count begins, by which everything that is kept has been made, and counted ones.
const WARM_UP: usize = 100;
const COUNTED: usize = 5_000;

/// How often two tasks allocate of which one sends messages and awaits their echoes, and the other one echoes them.
fn allocations<E: Future<Output = io::Result<()>> + 'static>(
    echo: impl FnOnce(Tcp) -> E,
    mut round_trip: impl AsyncFnMut(&Tcp),
) -> usize {
    let _watchdog = watchdog();
    let event_loop = Loop::new().unwrap();
    let (client, server) = accepted_pair(&event_loop);
    event_loop.go(echo(server));
    let counted = event_loop.block_on(async {
        for _ in 0..WARM_UP {
            round_trip(&client).await;
        }
        let before = ALLOCATIONS.get();
        for _ in 0..COUNTED {
            round_trip(&client).await;
        }
        ALLOCATIONS.get() - before
    });
    counted.unwrap()
}

async fn echo_with(tcp: Tcp) -> io::Result<()> {
    while let Some(written) = tcp.read_with(|data| tcp.write(data)).await? {
        written.await?;
    }
    Ok(())
}

async fn echo_into(tcp: Tcp) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64);
    while tcp.read_into(&mut buffer).await? > 0 {
        tcp.write(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

/// `read_with` on both sides, with writes that the kernel takes at once.
#[test]
fn read_with_does_not_allocate() {
    let counted = allocations(echo_with, async |client| {
        client.write(b"message").await.unwrap();
        let length = client.read_with(<[u8]>::len).await.unwrap();
        assert_eq!(length, Some(7));
    });
    assert_eq!(counted, 0);
}

/// `read_into` on both sides, into buffers that are large enough.
#[test]
fn read_into_does_not_allocate() {
    let mut buffer = Vec::with_capacity(64);
    let counted = allocations(echo_into, async |client| {
        client.write(b"message").await.unwrap();
        buffer.clear();
        assert_eq!(client.read_into(&mut buffer).await.unwrap(), 7);
    });
    assert_eq!(counted, 0);
}

/// `read_once` allocates what it yields and nothing else.
#[test]
fn read_once_allocates_its_data_only() {
    let counted = allocations(echo_with, async |client| {
        client.write(b"message").await.unwrap();
        let data = client.read_once().await.unwrap();
        assert_eq!(data.as_deref(), Some(&b"message"[..]));
    });
    assert_eq!(counted, COUNTED);
}

/// However large the buffer that the loop reads with, connections that wait hold none.
#[test]
fn connections_that_wait_hold_no_buffer() {
    let _watchdog = watchdog();
    const READ_CHUNK: usize = 1 << 20;
    let event_loop = Loop::builder().read_chunk(READ_CHUNK).build().unwrap();
    let mut peers = Vec::new();
    let before = BYTES.get();
    for _ in 0..16 {
        let pairs = [(); 3].map(|()| connected_pair(&event_loop));
        let [(once, a), (with, b), (into, c)] = pairs;
        peers.extend([a, b, c]);
        event_loop.go(async move { once.read_once().await.map(drop) });
        event_loop.go(async move { with.read_with(|_| ()).await.map(drop) });
        event_loop.go(async move { into.read_into(&mut Vec::new()).await.map(drop) });
    }
    turn(&event_loop);
    assert_eq!(event_loop.alive_because().len(), 48);
    let held = BYTES.get() - before;
    assert!(held < READ_CHUNK, "{held} bytes");
}
