//! Plan of a run, built from the command line.

pub mod builder;
pub(crate) mod engine_options;
pub mod pacing;
pub mod search;

use pacing::{LinearPacing, MixedPacing, Pacing};
use ramp_format::plan::Plan;
use search::SearchPacing;

/// The pacing of a plan.
#[must_use]
pub fn pacing_of(plan: &Plan) -> Box<dyn Pacing> {
    if let Some(search) = SearchPacing::of(plan) {
        return Box::new(search);
    }
    let linear = LinearPacing::of(plan);
    match plan.options.mix.len() {
        0 | 1 => Box::new(linear),
        groups => Box::new(MixedPacing::new(linear, groups)),
    }
}
