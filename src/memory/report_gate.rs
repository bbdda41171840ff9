//! Report gate: near a memory limit growth waits for a report after each percent. Pure: readings are arguments.
//!
//! At the limit of a cgroup a page fault does not fail: the kernel reclaims, and then the OOM killer ends the
//! container. So the last report must be out before that.

/// A limit is near when less than this part of it is left.
const NEAR_PART: u64 = 10;
/// Near a limit a report comes for every such part of it: a percent.
pub(super) const STEP_PART: u64 = 100;

/// The distance to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Margin {
    /// The effective limit, or the machine's memory, in bytes.
    pub(super) limit: u64,
    /// What is left of it, in bytes; `None` where that is unknown.
    pub(super) headroom: Option<u64>,
}

/// Growth between reports.
///
/// # Guarantees
/// - Near a limit, or where the distance is unknown, no more than a percent of that limit is added without a report.
/// - Far from all limits no report is required.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReportGate {
    /// Bytes added since the last report.
    since_report: u64,
}

impl ReportGate {
    /// Bytes that may be added before the next report; 0 when it is due. The tightest of the margins decides.
    pub(super) fn allowance(&mut self, margins: &[Option<Margin>]) -> u64 {
        let far = |margin: &Margin| {
            margin.headroom.map_or(0, |headroom| headroom.saturating_sub(margin.limit / NEAR_PART))
        };
        let margins = || margins.iter().flatten();
        let free = margins().map(far).filter(|far| *far > 0).min().unwrap_or(u64::MAX);
        let near = margins().filter(|margin| far(margin) == 0);
        match near.map(|margin| (margin.limit / STEP_PART).max(1)).min() {
            Some(step) => step.saturating_sub(self.since_report).min(free),
            None => {
                self.since_report = 0;
                free
            }
        }
    }

    pub(super) fn added(&mut self, bytes: u64) {
        self.since_report = self.since_report.saturating_add(bytes);
    }

    pub(super) fn reported(&mut self) {
        self.since_report = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn margin(limit: u64, headroom: u64) -> [Option<Margin>; 2] {
        [Some(Margin { limit, headroom: Some(headroom) }), None]
    }

    #[test]
    fn far_from_the_limit_growth_is_free_up_to_where_it_is_near() {
        let mut gate = ReportGate::default();
        assert_eq!(gate.allowance(&margin(1000, 700)), 600);
        assert_eq!(gate.allowance(&[None, None]), u64::MAX);
    }

    #[test]
    fn near_the_limit_every_percent_is_reported() {
        let mut gate = ReportGate::default();
        assert_eq!(gate.allowance(&margin(1000, 100)), 10);
        gate.added(7);
        assert_eq!(gate.allowance(&margin(1000, 93)), 3);
        gate.added(3);
        assert_eq!(gate.allowance(&margin(1000, 90)), 0);
        gate.reported();
        assert_eq!(gate.allowance(&margin(1000, 90)), 10);
    }

    #[test]
    fn the_machine_may_end_before_the_limit_and_the_limit_before_the_machine() {
        let both =
            |limit, headroom, machine, available| [margin(limit, headroom)[0], margin(machine, available)[0]];
        let allowance = |margins: [Option<Margin>; 2]| ReportGate::default().allowance(&margins);
        assert_eq!(allowance(both(1_000, 700, 90_000, 50_000)), 600, "the nearer of two that are far");
        assert_eq!(allowance(both(50_000, 40_000, 90_000, 9_000)), 900, "a percent of the machine");
        assert_eq!(allowance(both(1_000, 100, 90_000, 9_000)), 10, "a percent of the smaller");
        assert_eq!(allowance(both(500_000, 50_000, 90_000, 9_300)), 300, "near one, and soon near the other");
    }

    #[test]
    fn a_limit_that_cannot_be_seen_may_be_near() {
        let mut gate = ReportGate::default();
        assert_eq!(gate.allowance(&[Some(Margin { limit: 1000, headroom: None })]), 10);
    }

    proptest! {
        #[test]
        fn from_a_tenth_of_the_limit_on_no_more_than_a_percent_goes_unreported(
            limit in 1..u64::MAX / 2,
            pieces in proptest::collection::vec(1..=u64::MAX / 4, 1..50),
        ) {
            let (mut gate, mut used, mut reported_at) = (ReportGate::default(), 0_u64, 0_u64);
            for piece in pieces {
                let headroom = limit - used;
                let allowance = gate.allowance(&margin(limit, headroom));
                if allowance == 0 {
                    gate.reported();
                    reported_at = used;
                    continue;
                }
                let bytes = piece.min(allowance).min(headroom);
                gate.added(bytes);
                used += bytes;
                let near_from = limit - limit / NEAR_PART;
                prop_assert!(used <= near_from.max(reported_at) + (limit / STEP_PART).max(1));
                if used == limit {
                    break;
                }
            }
        }
    }
}
