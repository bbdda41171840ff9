//! Clocks of nodes against that of the machine that records, by what must have happened before what.

use std::collections::BTreeMap;

/// Clocks that may be this close are taken to be in step.
pub const IN_STEP_SECONDS: f64 = 0.02;

/// By how many seconds the clock of a node is behind ramp's: between these two. Negative where it is ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockBound {
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

impl Default for ClockBound {
    fn default() -> Self {
        Self { low: f64::NEG_INFINITY, high: f64::INFINITY }
    }
}

impl ClockBound {
    /// What is added to a time by the node's clock: nothing where the two may be in step, else the most that is possible, since what a
    /// node sends is on its way for a short time. None where nothing is possible.
    #[must_use]
    pub fn behind(&self) -> Option<f64> {
        if self.low > self.high + IN_STEP_SECONDS {
            return None;
        }
        if self.low - IN_STEP_SECONDS <= 0.0 && 0.0 <= self.high + IN_STEP_SECONDS {
            return Some(0.0);
        }
        Some(if self.high.is_finite() { self.high } else { self.low })
    }

    /// By how much times may be off that are corrected; 0 where the clocks may be in step.
    #[must_use]
    pub fn uncertain(&self) -> f64 {
        match self.behind() {
            Some(behind) if behind != 0.0 => (self.high - self.low).max(0.0),
            _ => 0.0,
        }
    }
}

/// The clock of each node.
pub(super) struct NodeClocks {
    /// When the run began, in seconds since 1970 by ramp's clock.
    pub(super) began: f64,
    pub(super) bounds: BTreeMap<String, ClockBound>,
}

impl NodeClocks {
    /// Something made at a time by the node's clock was seen so many seconds after the run began.
    pub(super) fn seen(&mut self, node: &str, seen: f64, made: f64) {
        let (most, bound) = (seen - (made - self.began), self.of(node));
        bound.high = bound.high.min(most);
    }

    /// Things that happened so many seconds after the run began, and what happened on the node after each, by its clock. A quarter of
    /// them may have been seen late.
    pub(super) fn before(&mut self, node: &str, pairs: Vec<(f64, f64)>) {
        let mut least: Vec<f64> =
            pairs.into_iter().map(|(before, then)| before - (then - self.began)).collect();
        least.sort_by(f64::total_cmp);
        let at = least.len().saturating_sub(1) - least.len() / 4;
        if let Some(least) = least.get(at) {
            self.of(node).low = *least;
        }
    }

    fn of(&mut self, node: &str) -> &mut ClockBound {
        if !self.bounds.contains_key(node) {
            self.bounds.insert(node.to_owned(), ClockBound::default());
        }
        self.bounds.entry(node.to_owned()).or_default()
    }

    /// When something happened that is dated by the node's clock, in seconds since the run began.
    pub(super) fn by_ramp(&self, node: &str, time: f64) -> Option<f64> {
        let behind = self.bounds.get(node).copied().unwrap_or_default().behind()?;
        Some(time - self.began + behind)
    }

    /// By how much a time by the clock of any node may be off.
    pub(super) fn width(&self) -> f64 {
        self.bounds.values().map(ClockBound::uncertain).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(low: f64, high: f64) -> ClockBound {
        ClockBound { low, high }
    }

    #[test]
    fn clocks_that_may_be_in_step_are_not_corrected_and_others_are_with_their_bound() {
        assert_eq!(bound(-0.2, 0.001).behind(), Some(0.0));
        assert_eq!(
            bound(-0.2, -0.01).behind(),
            Some(0.0),
            "within what a millisecond stamp and a way may be off"
        );
        assert_eq!((bound(2.8, 3.0).behind(), bound(2.8, 3.0).uncertain()), (Some(3.0), 3.0 - 2.8));
        assert_eq!(bound(-90.2, -90.0).behind(), Some(-90.0));
        assert_eq!(bound(1.0, 0.5).behind(), None, "set meanwhile");
        assert_eq!(ClockBound::default().behind(), Some(0.0));
    }

    #[test]
    fn a_clock_is_bounded_by_what_was_made_before_it_was_seen() {
        let mut clocks = NodeClocks { began: 1000.0, bounds: BTreeMap::new() };
        // The node is 3 s ahead: what it dates 1013 happened 10 s after the run began.
        clocks.seen("node", 10.2, 1013.0);
        clocks.seen("node", 11.01, 1014.0);
        // One of five was seen late.
        clocks
            .before("node", vec![(9.0, 1013.0), (9.8, 1013.0), (9.8, 1013.0), (9.7, 1013.0), (15.0, 1013.0)]);
        let seconds = clocks.by_ramp("node", 1013.0).unwrap();
        assert!((seconds - 10.01).abs() < 1e-9, "{seconds}");
        assert!((clocks.width() - 0.21).abs() < 1e-9, "{}", clocks.width());
        assert_eq!(clocks.by_ramp("other", 1013.0), Some(13.0));
    }
}
