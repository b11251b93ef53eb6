//! Timers: statements T of the behaviour chapter.

mod support;

use std::time::Duration;

use luvio::Timer;
use support::{expect, with_virtual_loop};

/// T-01: a timer fires when its delay has passed, not before.
#[test]
fn a_timer_fires_when_its_delay_has_passed() {
    with_virtual_loop(|event_loop| {
        let fired = expect(1);
        let delay = Duration::from_secs(3600);
        Timer::after(event_loop, delay, move |timer| {
            fired.hit();
            assert_eq!(timer.event_loop().now(), delay);
        });
    });
}
