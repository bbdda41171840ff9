//! Pauses before what failed is tried again.

use std::time::Duration;

/// Pauses that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Of the watch: `first` is short, for most gaps are.
    pub(super) const fn of_the_watch() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Of a container that cannot be created, started or removed.
    pub(super) const fn of_requests() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60))
    }

    const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// It has failed once more: how long to wait.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// How often it has failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// It has not.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Pauses before an ended container is started again: those of the kubelet, so that a scenario means the same here. At
/// first none; then 10 s, doubled each time, at most 5 minutes; anew after a life of twice that
/// (pkg/kubelet/kubelet.go: `backOffPeriod`, `MaxCrashLoopBackOff`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restarts {
    ends: u32,
}

const RESTART_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(300);

impl Restarts {
    /// It has ended after a life of this length: how long to wait.
    pub(super) fn ended(&mut self, life: Option<Duration>) -> Duration {
        if life.is_some_and(|life| life >= 2 * LONGEST_RESTART_PAUSE) {
            self.ends = 0;
        }
        self.ends = self.ends.saturating_add(1);
        match self.ends {
            1 => Duration::ZERO,
            ends => RESTART_PAUSE.saturating_mul(2_u32.saturating_pow(ends - 2)).min(LONGEST_RESTART_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_started_again_as_by_the_kubelet() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..8).map(|_| restarts.ended(Some(Duration::from_secs(1))).as_secs()).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(
            restarts.ended(Some(Duration::from_secs(600))),
            Duration::ZERO,
            "a long life is a new beginning"
        );
        let mut worn = Restarts { ends: u32::MAX };
        assert_eq!(worn.ended(None), LONGEST_RESTART_PAUSE);
    }

    #[test]
    fn pauses_of_the_watch_grow_to_five_seconds_and_begin_anew() {
        let mut backoff = Backoff::of_the_watch();
        let pauses: Vec<_> = (0..8).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.failures(), 8);
        backoff.succeeded();
        assert_eq!(backoff.failed().as_millis(), 100);
    }
}
