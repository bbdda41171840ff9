//! Permutation tests within blocks: how often a relabelling of the runs of each block differs as much (E. S. Edgington and P. Onghena,
//! Randomization Tests, 2007, chapter 4). They assume nothing but that the order was drawn at random.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Relabellings that are all tried; of more a sample is drawn.
const EXACT_UP_TO: u64 = 10_000;
/// Drawn relabellings.
const DRAWN: u64 = 9_999;

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PermutationTest {
    /// Share of the relabellings whose difference is at least as large, in the same direction.
    pub one_sided: f64,
    /// Share of the relabellings whose difference is at least as large, in either direction.
    pub two_sided: f64,
    /// The least that `one_sided` can be with so many blocks.
    pub least: f64,
    /// Whether all relabellings were tried.
    pub is_exact: bool,
}

/// Tests differences within blocks: a relabelling changes the sign of some of them.
#[must_use]
pub fn permutation_test(differences: &[f64], seed: u64) -> PermutationTest {
    let observed: f64 = differences.iter().sum();
    // Sums of the same numbers in another order differ by rounding.
    let tolerance = 1e-9 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    let all = u32::try_from(differences.len())
        .ok()
        .and_then(|blocks| 1_u64.checked_shl(blocks))
        .filter(|all| *all > 0);
    let (mut same, mut either, mut tried) = (0_u64, 0_u64, 0_u64);
    let mut count = |sum: f64| {
        tried += 1;
        if sum.abs() >= observed.abs() - tolerance {
            either += 1;
            same += u64::from(sum * observed >= 0.0);
        }
    };
    let exact = all.filter(|all| *all <= EXACT_UP_TO);
    match exact {
        Some(all) => {
            for signs in 0..all {
                let signed = differences.iter().enumerate();
                count(
                    signed
                        .map(|(at, difference)| if signs >> at & 1 == 1 { -difference } else { *difference })
                        .sum(),
                );
            }
        }
        None => {
            let mut random = Pcg64Mcg::seed_from_u64(seed);
            // What was observed is one of them.
            count(observed);
            for _ in 0..DRAWN {
                count(
                    differences
                        .iter()
                        .map(|difference| if random.random() { -difference } else { *difference })
                        .sum(),
                );
            }
        }
    }
    let share = |count: u64| count as f64 / tried as f64;
    let least = match exact {
        Some(all) => 1.0 / all as f64,
        None => 1.0 / (DRAWN + 1) as f64,
    };
    PermutationTest { one_sided: share(same), two_sided: share(either), least, is_exact: exact.is_some() }
}

/// p-values adjusted for being several (S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979), in the same order.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        largest = largest.max(((p_values.len() - rank) as f64 * p_values[at]).min(1.0));
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_few_blocks_all_relabellings_are_tried_and_the_least_that_they_can_show_is_known() {
        let test = permutation_test(&[3.0, 2.0, 4.0], 1);
        assert_eq!((test.one_sided, test.two_sided, test.least, test.is_exact), (0.125, 0.25, 0.125, true));
        let mixed = permutation_test(&[3.0, -2.0, 4.0], 1);
        assert_eq!(mixed.one_sided, 0.25, "+++, and what was seen");
        let none = permutation_test(&[1.0, -1.0], 1);
        assert_eq!(none.two_sided, 1.0);
    }

    #[test]
    fn with_many_blocks_a_sample_of_them_is_drawn() {
        let test = permutation_test(&[1.0; 30], 1);
        assert!(!test.is_exact && test.one_sided == 1e-4, "{test:?}");
    }

    #[test]
    fn holm_multiplies_the_least_by_their_number_the_next_by_one_less_and_keeps_their_order() {
        let adjusted = holm(&[0.04, 0.01, 0.03]);
        let expected = [0.06, 0.03, 0.06];
        assert!(adjusted.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{adjusted:?}");
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
