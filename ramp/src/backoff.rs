//! Exponential backoff between retries.

use std::time::Duration;

/// Exponential backoff: pauses that double, up to a longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff from `first` to `longest`.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// A backoff from 0.1 s to 5 s, for requests that usually succeed on the next attempt.
    pub(crate) const fn short() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Counts a failure. Returns the pause before the next attempt.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Consecutive failures.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Resets it after a success.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pauses_grow_to_five_seconds_and_begin_anew() {
        let mut pauses = Backoff::short();
        let waited: Vec<_> = (0..8).map(|_| pauses.failed().as_millis()).collect();
        assert_eq!(waited, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pauses.failures(), 8);
        pauses.succeeded();
        assert_eq!(pauses.failed().as_millis(), 100);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(3));
        let waited: Vec<_> = (0..5).map(|_| pauses.failed().as_millis()).collect();
        assert_eq!(waited, [500, 1000, 2000, 3000, 3000]);
        pauses.succeeded();
        assert_eq!(pauses.failed().as_millis(), 500);
    }
}
