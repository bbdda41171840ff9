//! Touch schedule: which pages to rewrite when, so that each is rewritten at least once per interval.

use std::ops::Range;
use std::time::Duration;

/// Goes round all pages once per `every`, evenly.
///
/// # Guarantees
/// - Called often enough, every page is due at least once per `every`. Pages added during a round were just written, and
///   join the next one.
/// - Never more than one round at once, however late the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TouchSchedule {
    every_ns: u128,
    /// When the present round began.
    began_ns: u64,
    /// Pages in the present round.
    pages: usize,
    /// Pages of it that have been due.
    done: usize,
}

impl TouchSchedule {
    /// A schedule that starts at `now_ns`.
    #[must_use]
    pub(crate) fn new(every: Duration, now_ns: u64) -> Self {
        Self { every_ns: every.as_nanos().max(1), began_ns: now_ns, pages: 0, done: 0 }
    }

    /// The pages that are due, of `pages` in all. To be called at least ten times per `every`.
    pub(crate) fn due(&mut self, pages: usize, now_ns: u64) -> Range<usize> {
        let passed_ns = u128::from(now_ns.saturating_sub(self.began_ns));
        // A page that comes when a round has just begun may be the last of the next one, and wait for the call
        // twice: so a round takes less than half of the time.
        let round_ns = (self.every_ns * 2 / 5).max(1);
        let due = usize::try_from(self.pages as u128 * passed_ns / round_ns).unwrap_or(usize::MAX);
        let turn = self.done..due.clamp(self.done, self.pages);
        self.done = turn.end;
        if passed_ns >= round_ns {
            *self = Self { began_ns: now_ns, pages, done: 0, ..*self };
        }
        turn.start.min(pages)..turn.end.min(pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The longest time that any page of a growing arena went without being written, in ms.
    fn longest_gap_ms(every_ms: u64, tick_ms: u64, pages_at: impl Fn(u64) -> usize) -> u64 {
        let mut schedule = TouchSchedule::new(Duration::from_millis(every_ms), 0);
        let mut written: Vec<u64> = Vec::new();
        let mut longest = 0;
        for now in (0..every_ms * 10).step_by(usize::try_from(tick_ms).unwrap()) {
            written.resize(pages_at(now).max(written.len()), now);
            for page in schedule.due(written.len(), now * MS) {
                longest = longest.max(now - written[page]);
                written[page] = now;
            }
            longest = longest.max(written.iter().map(|then| now - then).max().unwrap_or(0));
        }
        longest
    }

    #[test]
    fn no_page_waits_longer_than_asked() {
        for pages in [1, 7, 50, 1000] {
            assert!(longest_gap_ms(10_000, 100, |_| pages) <= 10_000, "{pages}");
        }
        let growing = |now: u64| usize::try_from(now.min(20_000) / 10).unwrap();
        assert!(
            longest_gap_ms(10_000, 100, growing) <= 10_000,
            "pages that come meanwhile join the next round"
        );
        for jump in [1, 100, 3_900, 4_100] {
            assert!(
                longest_gap_ms(10_000, 1_000, |now| if now > jump { 500 } else { 0 }) <= 10_000,
                "{jump}"
            );
        }
        assert!(longest_gap_ms(20, 2, |_| 300) <= 20);
    }

    #[test]
    fn pages_are_written_little_by_little() {
        let mut schedule = TouchSchedule::new(Duration::from_secs(10), 0);
        schedule.due(1000, 4_000 * MS);
        let turns: Vec<usize> =
            (1..=10).map(|tick| schedule.due(1000, 4_000 * MS + tick * 100 * MS).len()).collect();
        assert!(turns.iter().all(|count| *count == 25), "{turns:?}");
    }

    #[test]
    fn after_a_long_stop_it_is_one_round() {
        let mut schedule = TouchSchedule::new(Duration::from_secs(10), 0);
        schedule.due(5, 4_000 * MS);
        assert_eq!(schedule.due(5, 1_000_000 * MS), 0..5);
        assert_eq!(schedule.due(5, 1_000_000 * MS).len(), 0);
    }

    #[test]
    fn pages_that_are_gone_are_not_due() {
        let mut schedule = TouchSchedule::new(Duration::from_secs(10), 0);
        schedule.due(100, 4_000 * MS);
        assert_eq!(schedule.due(10, 1_000_000 * MS), 0..10);
    }
}
