//! The table of estimates: each figure that has a title, with its value and what it rests on.

use super::Report;
use super::figure::{Figure, Reading, Scope};
use super::registry::FIGURES;
use crate::analysis::Estimate;
use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::limits::NO_LIMITS;
use crate::analysis::results::{Compared, RunResults};
use crate::analysis::search::NOT_A_SEARCH;
use crate::dataset::{Dataset, NO_CPU_TIME};

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

/// The estimates of a run.
#[must_use]
pub fn of_run(data: &Dataset, found: &RunResults) -> Vec<EstimateRow> {
    rows(|scope| match scope {
        Scope::Run(of) => Some(of(data, found)),
        Scope::Mixed(of) => (!data.mix().is_empty()).then(|| of(data, found)),
        Scope::Comparison(_) => None,
    })
}

/// The estimates of two groups compared with each other.
#[must_use]
pub fn of_comparison(report: &Report, compared: &Compared) -> Vec<EstimateRow> {
    rows(|scope| match scope {
        Scope::Run(_) | Scope::Mixed(_) => None,
        Scope::Comparison(of) => Some(of(compared, report.names(compared))),
    })
}

fn rows(read: impl Fn(Scope) -> Option<Estimate<Reading>>) -> Vec<EstimateRow> {
    let row = |figure: &Figure| {
        let name = figure.title?;
        Some(match read(figure.scope)? {
            Ok(reading) => EstimateRow {
                name,
                definition: figure.definition,
                value: Ok(figure.text(&reading)),
                basis: if reading.inputs.is_empty() { figure.definition.into() } else { reading.inputs },
            },
            Err(why) if [NOT_A_SEARCH, NEEDS_PROBE, NO_LIMITS, NO_CPU_TIME].contains(&why.0.as_str()) => {
                return None;
            }
            Err(why) => {
                EstimateRow { name, definition: figure.definition, value: Err(why.0), basis: String::new() }
            }
        })
    };
    FIGURES.iter().filter_map(row).collect()
}
