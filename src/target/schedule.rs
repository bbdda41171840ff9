//! Growth schedule: the resident set wanted as a function of time.

use std::time::Duration;

use crate::quantity::{Bytes, Rate};

/// A linear ramp of the resident set, from what the process has at the start to its target.
///
/// # Guarantees
/// - A function of time alone: no drift, whatever happened before.
/// - Never falls, never passes the target, and reaches it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrowthSchedule {
    /// Resident set at the start: the program itself.
    pub(crate) start: Bytes,
    /// Final resident set; `None` grows without end.
    pub(crate) target: Option<Bytes>,
    /// Growth per time.
    pub(crate) rate: Rate,
    /// Step size: a step is taken when the ramp reaches its top; `None` grows smoothly.
    pub(crate) step: Option<Bytes>,
}

impl GrowthSchedule {
    /// The resident set wanted `elapsed` after the start.
    #[must_use]
    pub(crate) fn wanted(&self, elapsed: Duration) -> Bytes {
        let end = self.target.map_or(u64::MAX, |target| target.0.max(self.start.0));
        let grown = match self.rate {
            Rate::Instant => u64::MAX,
            Rate::PerSecond(rate) => {
                let bytes = u128::from(rate.0).saturating_mul(elapsed.as_nanos()) / 1_000_000_000;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
        };
        let line = self.start.0.saturating_add(grown);
        match self.step {
            // The last step may be a smaller one.
            Some(step) if line < end => Bytes(self.start.0 + grown - grown % step.0),
            _ => Bytes(line.min(end)),
        }
    }

    /// Tick length for which each tick adds about `grain` at most.
    #[must_use]
    pub(crate) fn tick(&self, grain: Bytes) -> Duration {
        /// Below this the wake-ups cost more than the smoothness is worth.
        const SHORTEST: Duration = Duration::from_millis(10);
        /// Above this a slow growth would look like stairs.
        const LONGEST: Duration = Duration::from_millis(100);
        match self.rate {
            Rate::Instant => SHORTEST,
            Rate::PerSecond(rate) => {
                let nanos = u128::from(grain.0) * 1_000_000_000 / u128::from(rate.0.max(1));
                let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
                Duration::from_nanos(nanos).clamp(SHORTEST, LONGEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate::PerSecond(Bytes(10_000_000));

    fn growth(target: u64) -> GrowthSchedule {
        GrowthSchedule { start: Bytes(1_000_000), target: Some(Bytes(target)), rate: RATE, step: None }
    }

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn it_follows_the_line_from_its_own_size_to_the_target() {
        let plan = growth(200_000_000);
        assert_eq!(plan.wanted(seconds(0.0)), Bytes(1_000_000));
        assert_eq!(plan.wanted(seconds(1.5)), Bytes(16_000_000));
        assert_eq!(plan.wanted(seconds(100.0)), Bytes(200_000_000));
    }

    #[test]
    fn a_step_is_taken_when_the_line_reaches_its_top() {
        let plan = GrowthSchedule { step: Some(Bytes(25_000_000)), ..growth(60_000_000) };
        assert_eq!(plan.wanted(seconds(2.4)), Bytes(1_000_000));
        assert_eq!(plan.wanted(seconds(2.5)), Bytes(26_000_000));
        assert_eq!(plan.wanted(seconds(5.8)), Bytes(51_000_000));
        assert_eq!(plan.wanted(seconds(5.9)), Bytes(60_000_000), "the last step is what is left");
    }

    #[test]
    fn instant_wants_all_of_it_at_once() {
        let plan = GrowthSchedule { rate: Rate::Instant, step: Some(Bytes(7)), ..growth(200_000_000) };
        assert_eq!(plan.wanted(Duration::ZERO), Bytes(200_000_000));
    }

    #[test]
    fn a_target_below_the_programs_own_size_wants_nothing_more() {
        assert_eq!(growth(5).wanted(seconds(9.0)), Bytes(1_000_000));
    }

    proptest! {
        #[test]
        fn it_never_falls_and_never_passes_the_target(
            target in proptest::option::of(any::<u64>()),
            start in any::<u64>(),
            rate in 1..u64::MAX,
            step in proptest::option::of(1..u64::MAX),
            mut times in proptest::collection::vec(any::<u64>(), 2..20),
        ) {
            let plan = GrowthSchedule {
                start: Bytes(start),
                target: target.map(Bytes),
                rate: Rate::PerSecond(Bytes(rate)),
                step: step.map(Bytes),
            };
            times.sort_unstable();
            let wanted: Vec<_> = times.iter().map(|t| plan.wanted(Duration::from_nanos(*t))).collect();
            prop_assert!(wanted.is_sorted());
            if let Some(target) = target {
                prop_assert!(wanted.iter().all(|w| w.0 <= target.max(start)));
                prop_assert_eq!(plan.wanted(Duration::MAX).0, target.max(start));
            }
        }
    }
}
