//! Wall-clock time as an argument: the machine's, or one that follows paused time in tests.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// A time of day and the instant at which it was; none where the machine's clock is asked each time.
    origin: Option<(SystemTime, Instant)>,
}

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self { origin: None }
    }

    /// It is `now`, and goes on with the runtime's time, which tests may pause.
    #[must_use]
    pub fn simulated(now: SystemTime) -> Self {
        Self { origin: Some((now, Instant::now())) }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.origin {
            Some((time, instant)) => time + instant.elapsed(),
            None => SystemTime::now(),
        }
    }
}

/// How long ago `then` was; zero where it is yet to come, as with clocks that are not in step.
#[must_use]
pub fn age(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}
