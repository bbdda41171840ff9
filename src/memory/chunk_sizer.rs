//! Chunk sizes and retries of allocations: halved when refused, with exponential backoff. Pure: times are arguments.

use std::time::Duration;

use crate::clock::nanos;

/// Backoff after a page was refused: the first and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Halves the chunk at each refusal, down to a page, and doubles it again at each success.
///
/// # Guarantees
/// - A chunk is never empty, and never larger than the largest.
/// - Never gives up; after a refused page it waits 0.1 s, then twice as long each time, up to 5 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSizer {
    page: usize,
    largest: usize,
    chunk: usize,
    backoff: Option<Backoff>,
    /// What was held when a refusal was last logged.
    logged: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    until_ns: u64,
    delay: Duration,
}

impl ChunkSizer {
    /// Sizes in bytes.
    pub(super) fn new(page: usize, largest: usize) -> Self {
        Self { page, largest, chunk: largest, backoff: None, logged: None }
    }

    /// How much to allocate at once.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// When to try again; 0 unless a page was refused last.
    pub(super) fn next_try_ns(&self) -> u64 {
        self.backoff.map_or(0, |backoff| backoff.until_ns)
    }

    /// Ends the backoff: something has changed.
    pub(super) fn retry(&mut self) {
        self.backoff = None;
    }

    pub(super) fn granted(&mut self) {
        self.chunk = (self.chunk * 2).min(self.largest);
        self.backoff = None;
    }

    /// Whether to try a smaller chunk at once; if not, it was a page, and there is a backoff.
    pub(super) fn refused(&mut self, bytes: usize, now_ns: u64) -> bool {
        if bytes > self.page {
            self.chunk = (bytes / 2).next_multiple_of(self.page);
            return true;
        }
        self.chunk = self.page;
        let delay = self.backoff.map_or(BACKOFF.0, |last| (last.delay * 2).min(BACKOFF.1));
        self.backoff = Some(Backoff { until_ns: now_ns + nanos(delay), delay });
        false
    }

    /// Whether a refusal with `held` bytes is worth a log line: once per change of size, not at every attempt.
    pub(super) fn is_news(&mut self, held: u64) -> bool {
        let news = self.logged.is_none_or(|logged| held.abs_diff(logged) > logged / 100);
        if news {
            self.logged = Some(held);
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
    fn refusals_halve_the_chunk_down_to_a_page() {
        let mut sizer = ChunkSizer::new(PAGE, 5 * PAGE);
        let mut chunks = vec![sizer.chunk()];
        while sizer.refused(sizer.chunk(), 0) {
            chunks.push(sizer.chunk());
        }
        assert_eq!(chunks, [5 * PAGE, 3 * PAGE, 2 * PAGE, PAGE]);
    }

    #[test]
    fn what_is_granted_doubles_the_chunk_again() {
        let mut sizer = ChunkSizer::new(PAGE, 5 * PAGE);
        sizer.refused(PAGE, 0);
        for expected in [2, 4, 5, 5] {
            sizer.granted();
            assert_eq!(sizer.chunk(), expected * PAGE);
        }
    }

    #[test]
    fn a_refused_page_is_retried_with_longer_delays_and_never_given_up() {
        let mut sizer = ChunkSizer::new(PAGE, PAGE);
        assert_eq!(sizer.next_try_ns(), 0);
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                assert!(!sizer.refused(PAGE, SECOND));
                (sizer.next_try_ns() - SECOND) / 1_000_000
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        sizer.granted();
        assert_eq!(sizer.next_try_ns(), 0, "and forgotten when there is memory again");
    }

    #[test]
    fn the_same_refusal_is_logged_once() {
        let mut sizer = ChunkSizer::new(PAGE, PAGE);
        assert!(sizer.is_news(0));
        assert!(!sizer.is_news(0));
        assert!(sizer.is_news(1_000_000));
        assert!(!sizer.is_news(1_005_000));
        assert!(sizer.is_news(900_000));
    }
}
