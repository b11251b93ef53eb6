//! What a coroutine allocates: something when it is made and started, nothing for a round trip.

#[path = "support/allocator.rs"]
mod allocator;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocator::allocations;
use luvio::coroutine::{Coroutine, Resumed};

#[test]
fn coroutine_takes_four_allocations_at_most() {
    let made = allocations(|| {
        let co = Coroutine::new(async |co| co.yield_([0_u64; 100]).await);
        assert!(matches!(co.resume(()), Ok(Resumed::Yielded(_))));
    });
    assert!((1..=4).contains(&made), "{made}");
}

#[test]
fn resumes_and_yields_do_not_allocate() {
    let co = Coroutine::<u64, u64>::new_with(async |co, mut value| {
        loop {
            value = co.yield_(value + 1).await;
        }
    });
    assert_eq!(co.resume(0), Ok(Resumed::Yielded(1)));
    let round_trips = allocations(|| {
        for i in 0..10_000 {
            assert_eq!(co.resume(i), Ok(Resumed::Yielded(i + 1)));
        }
    });
    assert_eq!(round_trips, 0);
}

#[test]
fn async_resumes_do_not_allocate() {
    let co = Coroutine::new(async |co| {
        loop {
            co.yield_(1).await;
        }
    });
    assert_eq!(co.resume(()), Ok(Resumed::Yielded(1)));
    let round_trips = allocations(|| {
        for _ in 0..10_000 {
            let poll = pin!(co.resume_async(())).poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(poll, Poll::Ready(Ok(Resumed::Yielded(1))));
        }
    });
    assert_eq!(round_trips, 0);
}
