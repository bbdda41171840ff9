//! How much to ask for at once, and when to ask again after a refusal. Pure: times are arguments.

use std::time::Duration;

use crate::clock::nanos;

/// How long to wait after a page was refused, the first time and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Halves what it asks for at each refusal, down to a page, and doubles it again when it is granted.
///
/// # Guarantees
/// - Never asks for nothing, nor for more than the largest piece.
/// - Never gives up; after a refused page it waits 0.1 s, then twice as long each time, up to 5 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    page: usize,
    largest: usize,
    piece: usize,
    wait: Option<Wait>,
    /// What was held when a refusal was last told.
    told: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    until_ns: u64,
    back_off: Duration,
}

impl Pace {
    /// Sizes in bytes.
    pub(super) fn new(page: usize, largest: usize) -> Self {
        Self { page, largest, piece: largest, wait: None, told: None }
    }

    /// How much to ask for at once.
    pub(super) fn piece(&self) -> usize {
        self.piece
    }

    /// When to try again: a time that has passed, but for after a refused page.
    pub(super) fn next_try_ns(&self) -> u64 {
        self.wait.map_or(0, |wait| wait.until_ns)
    }

    /// Forgets the wait: something has changed.
    pub(super) fn retry(&mut self) {
        self.wait = None;
    }

    pub(super) fn granted(&mut self) {
        self.piece = (self.piece * 2).min(self.largest);
        self.wait = None;
    }

    /// Whether to ask for less at once; if not, it was a page, and there is a wait.
    pub(super) fn refused(&mut self, bytes: usize, now_ns: u64) -> bool {
        if bytes > self.page {
            self.piece = (bytes / 2).next_multiple_of(self.page);
            return true;
        }
        self.piece = self.page;
        let back_off = self.wait.map_or(BACK_OFF.0, |wait| (wait.back_off * 2).min(BACK_OFF.1));
        self.wait = Some(Wait { until_ns: now_ns + nanos(back_off), back_off });
        false
    }

    /// Whether a refusal at so many bytes held is news: once per change, as nobody is helped by the same line at
    /// every attempt.
    pub(super) fn is_news(&mut self, held: u64) -> bool {
        let news = self.told.is_none_or(|told| held.abs_diff(told) > told / 100);
        if news {
            self.told = Some(held);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn refusals_halve_the_piece_down_to_a_page() {
        let mut pace = Pace::new(PAGE, 5 * PAGE);
        let mut pieces = vec![pace.piece()];
        while pace.refused(pace.piece(), 0) {
            pieces.push(pace.piece());
        }
        assert_eq!(pieces, [5 * PAGE, 3 * PAGE, 2 * PAGE, PAGE]);
    }

    #[test]
    fn what_is_granted_doubles_the_piece_again() {
        let mut pace = Pace::new(PAGE, 5 * PAGE);
        pace.refused(PAGE, 0);
        for expected in [2, 4, 5, 5] {
            pace.granted();
            assert_eq!(pace.piece(), expected * PAGE);
        }
    }

    #[test]
    fn a_refused_page_is_waited_for_longer_each_time_and_never_given_up() {
        let mut pace = Pace::new(PAGE, PAGE);
        assert_eq!(pace.next_try_ns(), 0);
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                assert!(!pace.refused(PAGE, SECOND));
                (pace.next_try_ns() - SECOND) / 1_000_000
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        pace.granted();
        assert_eq!(pace.next_try_ns(), 0, "and forgotten when there is memory again");
    }

    #[test]
    fn the_same_refusal_is_told_once() {
        let mut pace = Pace::new(PAGE, PAGE);
        assert!(pace.is_news(0));
        assert!(!pace.is_news(0));
        assert!(pace.is_news(1_000_000));
        assert!(!pace.is_news(1_005_000));
        assert!(pace.is_news(900_000));
    }
}
