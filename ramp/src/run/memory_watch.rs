//! Memory of each kernel before the first step and after the last instance: whether it is back and steady.

use std::collections::BTreeMap;

use ramp_report::stats::{STEADY_FOR_SECONDS, is_steady, is_steady_for, last, matters, mean};

/// Memory that has not come back, but stays where it is for so long, is not waited for any longer: kernels keep some of what they have
/// allocated (slab, page tables, per-CPU pages), and the next run measures from there.
const KEPT_AFTER_SECONDS: f64 = 20.0;

/// Seconds since the run began, and unreclaimable bytes.
type MemorySeries = Vec<(f64, f64)>;

/// Samples at rest, by boot ID.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryWatch {
    quiet: BTreeMap<String, MemorySeries>,
    /// Samples after the last instance; none while instances exist.
    after: Option<BTreeMap<String, MemorySeries>>,
}

impl MemoryWatch {
    /// Takes a sample from before the first step or after the last instance.
    pub(super) fn see(&mut self, kernel: &str, seconds: f64, bytes: f64) {
        let of = self.after.as_mut().unwrap_or(&mut self.quiet);
        of.entry(kernel.to_owned()).or_default().push((seconds, bytes));
    }

    /// From here on samples are those after the last instance.
    pub(super) fn begin_after(&mut self) {
        self.after = Some(BTreeMap::new());
    }

    /// Whether the last instance is gone.
    pub(super) fn is_after(&self) -> bool {
        self.after.is_some()
    }

    fn after(&self, kernel: &str) -> &[(f64, f64)] {
        self.after.as_ref().and_then(|after| after.get(kernel)).map_or(&[], Vec::as_slice)
    }

    /// Whether memory of each kernel is steady and about what it was before. Memory that is not back yet may still be returned, or
    /// belong to other processes that end soon.
    pub(super) fn is_back(&self) -> bool {
        let is = |(kernel, quiet): (&String, &MemorySeries)| {
            let after = self.after(kernel);
            is_steady(after, quiet) == Some(true)
                && mean(last(after, STEADY_FOR_SECONDS)) - mean(quiet) <= matters(quiet)
        };
        !self.quiet.is_empty() && self.quiet.iter().all(is)
    }

    /// Whether another run can begin: memory of each kernel is back, or has not moved for a while.
    pub(super) fn has_settled(&self) -> bool {
        let is = |(kernel, quiet): (&String, &MemorySeries)| {
            is_steady_for(self.after(kernel), KEPT_AFTER_SECONDS, quiet)
        };
        self.is_back() || (!self.quiet.is_empty() && self.quiet.iter().all(is))
    }

    /// Whether memory of each kernel that was sampled before is steady; none with too few samples.
    pub(super) fn is_steady(&self) -> Option<bool> {
        let each = self.quiet.iter().map(|(kernel, quiet)| is_steady(self.after(kernel), quiet));
        let known: Option<Vec<bool>> = each.collect();
        known.filter(|known| !known.is_empty()).map(|known| known.into_iter().all(|steady| steady))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    fn after_rest_at_500_mib() -> MemoryWatch {
        let mut watch = MemoryWatch::default();
        (0..8).for_each(|second| watch.see("boot-1", f64::from(second), 500.0 * MIB));
        watch.begin_after();
        watch
    }

    #[test]
    fn it_is_back_where_it_is_about_what_it_was_before_the_first_step_and_no_longer_changes() {
        let mut watch = after_rest_at_500_mib();
        assert!(!watch.is_back(), "nothing is known yet");
        (100..105).for_each(|second| watch.see("boot-1", f64::from(second), 900.0 * MIB));
        assert_eq!((watch.is_back(), watch.is_steady()), (false, Some(true)), "400 MiB are missing");
        assert!(!watch.has_settled(), "they may be on their way for a few seconds");
        (105..110).for_each(|second| watch.see("boot-1", f64::from(second), 501.0 * MIB));
        assert_eq!((watch.is_back(), watch.is_steady()), (true, Some(true)));
        assert!(watch.has_settled());
    }

    #[test]
    fn what_stays_missing_for_20_seconds_is_kept() {
        let mut watch = after_rest_at_500_mib();
        (100..=110).for_each(|second| watch.see("boot-1", f64::from(second), 700.0 * MIB));
        // It falls until here.
        (111..=130).for_each(|second| watch.see("boot-1", f64::from(second), 516.0 * MIB));
        assert!(!watch.has_settled());
        watch.see("boot-1", 131.0, 516.0 * MIB);
        assert_eq!((watch.has_settled(), watch.is_back()), (true, false), "16 MiB are missing");
    }
}
