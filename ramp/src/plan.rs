//! Plan of a run, built from the command line.

pub mod builder;
pub(crate) mod engine_options;
pub mod pacing;
pub mod search;

use pacing::{LinearPacing, Pacing};
use ramp_format::plan::Plan;
use search::SearchPacing;

/// The pacing of a plan.
#[must_use]
pub fn pacing_of(plan: &Plan) -> Box<dyn Pacing> {
    match SearchPacing::of(plan) {
        Some(search) => Box::new(search),
        None => Box::new(LinearPacing::of(plan)),
    }
}
