//! Which pages to rewrite when, so that each has its turn in time.

use std::time::Duration;

/// Goes round all pages once in `every`, evenly.
///
/// # Guarantees
/// - A page that was there for a whole round has been rewritten in it, however small a part is due at a time.
/// - Never more than one round at once, however late the call.
#[derive(Clone, Copy, Debug)]
pub struct Rota {
    every_ns: u128,
    /// Up to when the pages have been rewritten.
    done_ns: u64,
    /// The next page.
    cursor: usize,
}

/// Pages whose turn it is: `count` of them from `first` on, wrapping around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Index of the first page.
    pub first: usize,
    /// How many.
    pub count: usize,
}

impl Rota {
    /// A rota that starts at `now_ns`.
    #[must_use]
    pub fn new(every: Duration, now_ns: u64) -> Self {
        Self { every_ns: every.as_nanos().max(1), done_ns: now_ns, cursor: 0 }
    }

    /// The pages that are due, of `pages` in all.
    pub fn due(&mut self, pages: usize, now_ns: u64) -> Turn {
        let passed_ns = u128::from(now_ns.saturating_sub(self.done_ns));
        if pages == 0 || passed_ns >= self.every_ns {
            self.done_ns = now_ns;
            return Turn { first: 0, count: pages };
        }
        // Less than `pages`, since less than a round has passed; the rest of the time stays due.
        let count = (pages as u128 * passed_ns / self.every_ns) as usize;
        self.done_ns += (count as u128 * self.every_ns).div_ceil(pages as u128) as u64;
        let first = self.cursor % pages;
        self.cursor = (first + count) % pages;
        Turn { first, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn every_page_has_its_turn_in_a_round() {
        for pages in [1, 7, 50, 1000] {
            let mut rota = Rota::new(Duration::from_secs(10), 0);
            let mut turns = vec![0; pages];
            // Ticks of 100 ms for two rounds: less than a page is due at most of them.
            for tick in 1..=200 {
                let turn = rota.due(pages, tick * SECOND / 10);
                for page in turn.first..turn.first + turn.count {
                    turns[page % pages] += 1;
                }
            }
            assert!(turns.iter().all(|n| (1..=2).contains(n)), "{pages}: {turns:?}");
        }
    }

    #[test]
    fn after_a_long_stop_it_is_one_round() {
        let mut rota = Rota::new(Duration::from_secs(10), 0);
        assert_eq!(rota.due(5, 1000 * SECOND), Turn { first: 0, count: 5 });
        assert_eq!(rota.due(5, 1000 * SECOND).count, 0);
    }

    #[test]
    fn without_pages_nothing_is_due() {
        let mut rota = Rota::new(Duration::from_secs(10), 0);
        assert_eq!(rota.due(0, SECOND).count, 0);
    }
}
