//! Log-rank test of two groups of durations, some censored, within strata (N. Mantel, Evaluation of Survival Data and Two New Rank Order
//! Statistics, 1966). Instances of one run are not independent, so a p-value comes from relabelling the runs of each block, which changes
//! the sign of its excess ([`permutation_test`](super::permutation_test)).

use super::Duration;

/// Observed and expected ends of the second group, with the variance: the terms of one stratum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogRankTerms {
    /// Observed − expected ends of the second group.
    pub excess: f64,
    /// Variance of that if the groups are alike.
    pub variance: f64,
}

/// A duration of one of two groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupedDuration {
    /// The duration.
    pub duration: Duration,
    /// Whether it is of the second group.
    pub is_second: bool,
}

/// The terms of one stratum: both runs of a block.
#[must_use]
pub fn log_rank(durations: &[GroupedDuration]) -> LogRankTerms {
    let mut sorted = durations.to_vec();
    sorted.sort_by(|a, b| a.duration.seconds.total_cmp(&b.duration.seconds));
    let second = |group: &[GroupedDuration]| group.iter().filter(|one| one.is_second).count() as f64;
    let (mut at_risk, mut second_at_risk) = (sorted.len() as f64, second(&sorted));
    let mut terms = LogRankTerms::default();
    for group in sorted.chunk_by(|a, b| a.duration.seconds == b.duration.seconds) {
        let ended: Vec<GroupedDuration> = group.iter().copied().filter(|one| one.duration.ended).collect();
        if !ended.is_empty() {
            let (ends, share) = (ended.len() as f64, second_at_risk / at_risk);
            terms.excess += second(&ended) - ends * share;
            if at_risk > 1.0 {
                terms.variance += ends * share * (1.0 - share) * (at_risk - ends) / (at_risk - 1.0);
            }
        }
        at_risk -= group.len() as f64;
        second_at_risk -= second(group);
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(first: &[(f64, bool)], second: &[(f64, bool)]) -> Vec<GroupedDuration> {
        let of = |is_second| {
            move |(seconds, ended): &(f64, bool)| GroupedDuration {
                duration: Duration { seconds: *seconds, ended: *ended },
                is_second,
            }
        };
        first.iter().map(of(false)).chain(second.iter().map(of(true))).collect()
    }

    #[test]
    fn excess_and_variance_are_those_of_the_hypergeometric_distribution_at_each_end() {
        // At 1 s one of three ends (of the second: 1 of 3 at risk), at 2 s one of two, at 3 s the last.
        let terms = log_rank(&grouped(&[(1.0, true), (3.0, true)], &[(2.0, true)]));
        assert!((terms.excess - (1.0 - 1.0 / 3.0 - 0.5)).abs() < 1e-12, "{terms:?}");
        assert!((terms.variance - (2.0 / 9.0 + 0.25)).abs() < 1e-12, "{terms:?}");
    }

    #[test]
    fn who_is_slower_has_fewer_ends_than_expected_and_the_other_group_as_many_more() {
        let (fast, slow) =
            ([(1.0, true), (1.5, true), (2.0, false)], [(4.0, true), (5.0, true), (9.0, false)]);
        let (terms, swapped) = (log_rank(&grouped(&fast, &slow)), log_rank(&grouped(&slow, &fast)));
        assert!(terms.excess < 0.0 && (terms.excess + swapped.excess).abs() < 1e-12);
        assert_eq!(log_rank(&[]), LogRankTerms::default());
    }
}
