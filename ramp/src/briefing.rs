//! x
use crate::engine::Survey;
use crate::forecast::Forecast;
use crate::plan::Plan;
use crate::scenario::Scenario;
/// x
#[must_use]
pub fn describe(_plan: &Plan, _scenario: &Scenario, survey: &Survey, _f: &Forecast) -> String {
    format!("{survey:#?}")
}
