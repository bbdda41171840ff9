//! Crash-loop backoff: the delay before a container is restarted, as of the kubelet.

use std::time::Duration;

/// The first pause; each is twice the one before (kubelet: `backOffPeriod` in pkg/kubelet/kubelet.go).
const FIRST: Duration = Duration::from_secs(10);
/// The longest pause (kubelet: `MaxContainerBackOff`).
const LONGEST: Duration = Duration::from_secs(300);
/// A container that has run for this long starts over without a delay (client-go, `flowcontrol.Backoff`: twice the longest).
const FORGIVEN: Duration = Duration::from_secs(600);

/// Consecutive exits of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CrashLoopBackoff {
    ends: u32,
}

impl CrashLoopBackoff {
    /// The delay before a restart after it has run for this long: none at first.
    pub(crate) fn after_end(&mut self, ran: Duration) -> Duration {
        if ran >= FORGIVEN {
            self.ends = 0;
        }
        let ends = self.ends;
        self.ends = ends.saturating_add(1);
        match ends.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                2_u32.checked_pow(doublings).map_or(LONGEST, |times| LONGEST.min(FIRST.saturating_mul(times)))
            }
        }
    }

    /// The delay after an eviction, which is never zero: there is no room yet.
    pub(crate) fn after_eviction(&mut self, ran: Duration) -> Duration {
        self.after_end(ran).max(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_started_again_at_once_and_then_after_longer_and_longer_pauses() {
        let mut back_off = CrashLoopBackoff::default();
        let pauses: Vec<u64> = (0..8).map(|_| back_off.after_end(SECOND).as_secs()).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        let mut many = CrashLoopBackoff { ends: u32::MAX };
        assert_eq!(many.after_end(SECOND), LONGEST);
    }

    #[test]
    fn after_ten_minutes_of_running_all_is_forgiven() {
        let mut back_off = CrashLoopBackoff { ends: 5 };
        assert_eq!(back_off.after_end(FORGIVEN), Duration::ZERO);
        assert_eq!(back_off.after_end(FORGIVEN - SECOND), FIRST);
    }

    #[test]
    fn what_was_evicted_is_never_replaced_at_once() {
        let mut back_off = CrashLoopBackoff::default();
        let pauses: Vec<u64> = (0..4).map(|_| back_off.after_eviction(SECOND).as_secs()).collect();
        assert_eq!(pauses, [10, 10, 20, 40]);
    }
}
