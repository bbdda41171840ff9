//! Wall clock: the system's, or a simulated one that follows the paused time of the runtime.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Time at an instant, for a simulated clock; none for the system clock.
    origin: Option<(SystemTime, Instant)>,
}

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self { origin: None }
    }

    /// A clock that starts at `now` and follows the time of the runtime, which may be paused.
    #[must_use]
    pub fn simulated(now: SystemTime) -> Self {
        Self { origin: Some((now, Instant::now())) }
    }

    /// Current time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.origin {
            Some((time, instant)) => time + instant.elapsed(),
            None => SystemTime::now(),
        }
    }
}

/// Age of `then`; zero if it is in the future, as with clocks that are apart.
#[must_use]
pub fn age(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}
