//! Values of two cells by block, and with their interval.

use super::comparison::StudyRun;
use crate::stats::{Interval, MeanEstimate, Pair};

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueWithInterval {
    /// The value.
    pub value: f64,
    /// Its interval.
    pub interval: Interval,
}

impl ValueWithInterval {
    pub(super) fn of(found: MeanEstimate, confidence: f64) -> Self {
        Self { value: found.mean, interval: found.interval(confidence) }
    }
}

/// A figure (its index) of both runs of each block that has it in both.
pub(super) fn pairs_by_block(at: usize, base: &[StudyRun], other: &[StudyRun]) -> Vec<(u32, Pair)> {
    let value = |run: &StudyRun| run.figures.get(at)?.as_ref().ok().copied();
    let pair = |run: &StudyRun| {
        let other = other.iter().find(|other| other.block == run.block)?;
        let pair = Pair {
            base: value(run)?,
            other: value(other)?,
            begin_seconds: run.begin_seconds,
            later_seconds: other.begin_seconds - run.begin_seconds,
        };
        Some((run.block, pair))
    };
    base.iter().filter_map(pair).collect()
}
