//! Time that this process spent on a core, over all its threads: what others do on the machine does not count.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub struct Stopwatch(Duration);

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch(on_core())
    }

    pub fn elapsed(&self) -> Duration {
        on_core().saturating_sub(self.0)
    }
}

fn on_core() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
