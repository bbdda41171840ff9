//! Random numbers: seeded and reproducible.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::world::PhaseTime;

/// A source of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(Pcg64Mcg);

impl Random {
    /// A source that is independent of those of the same seed with other numbers.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// From 0 to below 1.
    pub(super) fn part(&mut self) -> f64 {
        self.0.random()
    }

    /// Of mean 0 and standard deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Of mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    pub(super) fn phase(&mut self, phase: PhaseTime) -> Duration {
        if phase.spread <= 0.0 {
            return phase.median;
        }
        phase.median.mul_f64((phase.spread * self.normal()).exp().min(1e3))
    }
}
