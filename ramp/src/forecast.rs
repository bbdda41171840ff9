//! x
use crate::engine::{Needs, Survey};
use crate::plan::Plan;
/// x
#[derive(Debug)]
pub struct Forecast;
/// x
#[must_use]
pub fn forecast(_s: &Survey, _n: Needs, _p: &Plan, _f: Option<f64>) -> Forecast {
    Forecast
}
