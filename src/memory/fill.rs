//! Page contents: how pages are filled, and rewritten to stay in use.

/// What pages are filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fill {
    /// Random words: cannot be merged (KSM) nor compressed (zswap, zram).
    Random,
    /// Zeros but for one word that differs in every page of every instance: cannot be merged, can be compressed.
    Unique,
    /// Zeros: can be merged and compressed.
    Zero,
}

/// Words that are generated side by side, for the compiler to put into vector registers.
const LANES: usize = 8;

/// Fills memory, each page differently from every other of this and of other instances.
#[derive(Clone, Debug)]
pub struct Filler {
    fill: Fill,
    words_per_page: usize,
    lanes: [u64; LANES],
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014): spreads a seed over all bits.
fn split_mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Filler {
    /// A filler for pages of `page_size` bytes; that instances with different seeds write equal pages is
    /// as unlikely as 64 equal random bits.
    #[must_use]
    pub fn new(fill: Fill, page_size: usize, seed: u64) -> Self {
        let mut state = seed;
        let lanes = std::array::from_fn(|_| {
            state = split_mix(state);
            // Xorshift never leaves zero.
            state | 1
        });
        Self { fill, words_per_page: page_size / size_of::<u64>(), lanes }
    }

    /// Fills pages that were just added and read as zero.
    pub fn fill(&mut self, words: &mut [u64]) {
        match self.fill {
            Fill::Random => self.randomise(words),
            Fill::Unique => {
                for page in words.chunks_mut(self.words_per_page) {
                    self.lanes[0] = split_mix(self.lanes[0]);
                    page[0] = self.lanes[0];
                }
            }
            // Written all the same: where the kernel could not populate ahead, this is what faults them in.
            Fill::Zero => self.touch(words),
        }
    }

    /// Rewrites a word of each page, so that a kernel short of memory finds it in use, and that it comes back from swap where it was.
    pub fn touch(&self, words: &mut [u64]) {
        let step = u64::from(self.fill != Fill::Zero);
        for page in words.chunks_mut(self.words_per_page) {
            // The compiler must not drop the store of what may be the same value.
            page[0] = std::hint::black_box(page[0].wrapping_add(step));
        }
    }

    /// Eight xorshift64 generators (Marsaglia 2003, shifts 13, 7, 17) side by side.
    fn randomise(&mut self, words: &mut [u64]) {
        let mut lanes = self.lanes;
        for block in words.chunks_exact_mut(LANES) {
            for (lane, word) in lanes.iter_mut().zip(block) {
                *lane ^= *lane << 13;
                *lane ^= *lane >> 7;
                *lane ^= *lane << 17;
                *word = *lane;
            }
        }
        self.lanes = lanes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const PAGE: usize = 4096;
    const WORDS: usize = PAGE / 8;

    fn filled(fill: Fill, seed: u64, pages: usize) -> Vec<u64> {
        let mut words = vec![0; pages * WORDS];
        Filler::new(fill, PAGE, seed).fill(&mut words);
        words
    }

    #[test]
    fn random_pages_hold_no_word_twice() {
        let words = filled(Fill::Random, 1, 100);
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
    }

    #[test]
    fn no_page_of_two_instances_is_equal() {
        for fill in [Fill::Random, Fill::Unique] {
            let (a, b) = (filled(fill, 1, 100), filled(fill, 2, 100));
            let pages: HashSet<&[u64]> = a.chunks(WORDS).chain(b.chunks(WORDS)).collect();
            assert_eq!(pages.len(), 200, "{fill:?}");
        }
    }

    #[test]
    fn unique_pages_are_zero_but_for_a_word() {
        let words = filled(Fill::Unique, 1, 10);
        assert!(words.chunks(WORDS).all(|page| page[0] != 0 && page[1..].iter().all(|w| *w == 0)));
    }

    #[test]
    fn touching_changes_every_page_but_keeps_zeros_zero() {
        let mut words = filled(Fill::Random, 1, 10);
        let before = words.clone();
        Filler::new(Fill::Random, PAGE, 1).touch(&mut words);
        assert!(words.chunks(WORDS).zip(before.chunks(WORDS)).all(|(now, then)| now != then));
        let mut zeros = filled(Fill::Zero, 1, 10);
        Filler::new(Fill::Zero, PAGE, 1).touch(&mut zeros);
        assert!(zeros.iter().all(|w| *w == 0));
    }
}
