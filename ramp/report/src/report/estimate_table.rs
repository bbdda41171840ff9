//! The table of estimates: each figure that has a title, with its value and what it rests on.

use super::Report;
use super::figure::{Figure, Reading, Scope};
use super::registry::FIGURES;
use crate::analysis::Estimate;
use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::limits::NO_LIMITS;
use crate::analysis::results::Compared;
use crate::analysis::search::NOT_A_SEARCH;
use crate::dataset::NO_CPU_TIME;

/// Why a run that was not made to tell a figure does not.
const NOT_MADE_FOR: [&str; 4] = [NOT_A_SEARCH, NEEDS_PROBE, NO_LIMITS, NO_CPU_TIME];

/// An estimate in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateRow {
    /// Its name.
    pub name: &'static str,
    /// Its value, or why it is unavailable.
    pub value: Result<String, String>,
    /// What it is.
    pub definition: &'static str,
    /// How it is defined, and on what it rests.
    pub basis: String,
}

impl EstimateRow {
    /// Its value, or that it is unavailable and why.
    #[must_use]
    pub fn text(&self) -> String {
        self.value.clone().unwrap_or_else(|why| format!("n/a: {why}"))
    }
}

/// The estimates of a run (its index).
#[must_use]
pub fn of_run(report: &Report, run: usize) -> Vec<EstimateRow> {
    let Some((data, found)) = report.runs().nth(run) else { return Vec::new() };
    rows(report, |scope| match scope {
        Scope::Run(of) => Some(of(data, found)),
        Scope::Mixed(of) => (!data.mix().is_empty()).then(|| of(data, found)),
        Scope::Comparison(_) => None,
    })
}

/// The estimates of two groups compared with each other.
#[must_use]
pub fn of_comparison(report: &Report, compared: &Compared) -> Vec<EstimateRow> {
    rows(report, |scope| match scope {
        Scope::Run(_) | Scope::Mixed(_) => None,
        Scope::Comparison(of) => Some(of(compared, report.names(compared))),
    })
}

fn rows(report: &Report, read: impl Fn(Scope) -> Option<Estimate<Reading>>) -> Vec<EstimateRow> {
    let expects_details = report.expects_details();
    let is_left_out = |figure: &Figure, why: &str| {
        !report.verbose && (NOT_MADE_FOR.contains(&why) || (figure.is_detail && !expects_details))
    };
    let row = |figure: &Figure| {
        let name = figure.title?;
        Some(match read(figure.scope)? {
            Ok(reading) => EstimateRow {
                name,
                definition: figure.definition,
                value: Ok(figure.text(&reading)),
                basis: if reading.inputs.is_empty() { figure.definition.into() } else { reading.inputs },
            },
            Err(why) if is_left_out(figure, &why.0) => return None,
            Err(why) => {
                EstimateRow { name, definition: figure.definition, value: Err(why.0), basis: String::new() }
            }
        })
    };
    FIGURES.iter().filter_map(row).collect()
}
