//! Reports on runs: text, JSON, charts and a page.
//!
//! | made by | what |
//! |---|---|
//! | [`registry`] | the figures: their names, units, definitions, and how each is got |
//! | [`estimate_table`] | those of them that people look for first, each with what it rests on |
//! | [`narrative`] | the analysis, in sentences that name their rules |
//! | [`terminal`], [`markdown`], [`html`] | all of it, for people |
//! | [`screen`] | what of it fits on a screen |
//! | [`json`] | all of it, for programs |
//! | [`schema`] | the JSON schema of that |
//! | `setting` | what was run where |
//! | `glance` | the answer of a page, in large figures and a picture |
//! | [`charts`] | the charts, each defined once |
//! | [`assertion`] | whether a figure is what it has to be |

pub mod assertion;
pub mod chart;
pub mod charts;
mod components;
pub mod estimate_table;
pub mod figure;
pub(crate) mod format;
pub(crate) mod glance;
pub mod html;
pub mod json;
mod limits;
pub mod markdown;
pub mod memory_bars;
pub mod narrative;
pub mod plot;
mod plot_table;
pub mod reference;
pub mod registry;
pub mod schema;
pub mod screen;
pub(crate) mod setting;
mod startup_phases;
pub mod svg;
pub mod terminal;

use crate::analysis::cpu_cost::SHORTEST_DWELL_SECONDS;
use crate::analysis::results::{Compared, Results, RunResults};
use crate::dataset::Dataset;
use crate::progress::Observer;

/// Runs, and what they say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The runs, in the order in which they were named.
    pub data: Vec<Dataset>,
    /// What they say.
    pub findings: Results,
    /// Whether tables have a row for each figure, also where a run was not made to tell it.
    pub verbose: bool,
}

impl Report {
    /// A report of runs. `memory_each` is what each instance was asked to take, in bytes, where the data does not tell.
    #[must_use]
    pub fn of(data: Vec<Dataset>, memory_each: Option<u64>) -> Self {
        Self::observed(data, memory_each, &Observer::default())
    }

    /// The same, and tells each figure before it is computed.
    #[must_use]
    pub fn observed(data: Vec<Dataset>, memory_each: Option<u64>, observer: &Observer) -> Self {
        let findings = Results::of(&data, memory_each, observer);
        Self { data, findings, verbose: false }
    }

    /// Whether figures that need more than a plain run are expected: of all runs where one was made for them.
    fn expects_details(&self) -> bool {
        self.verbose || self.data.iter().any(is_made_for_details)
    }

    /// Each run, and what it says.
    pub fn runs(&self) -> impl Iterator<Item = (&Dataset, &RunResults)> {
        self.data.iter().zip(&self.findings.runs)
    }

    /// Index of the colour of a run (its index): that of its runtime.
    #[must_use]
    pub fn colour(&self, run: usize) -> usize {
        let colours = chart::PALETTE.len();
        self.findings.groups.iter().position(|group| group.runs.contains(&run)).unwrap_or(run) % colours
    }

    /// Which repeat of its runtime a run (its index) is, from 0.
    #[must_use]
    pub fn repeat(&self, run: usize) -> usize {
        self.findings.groups.iter().find_map(|group| group.runs.iter().position(|of| *of == run)).unwrap_or(0)
    }

    /// What the two groups of a comparison are called: the base, and the other.
    #[must_use]
    pub fn names(&self, compared: &Compared) -> [&str; 2] {
        [compared.base, compared.other].map(|group| self.findings.name(group))
    }

    /// What each run is called where there is little room: by its runtime where that tells them apart, with a number where it is one of
    /// more; else by its name.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let names = || self.data.iter().map(|data| data.name.clone());
        let mut labels: Vec<String> = names().collect();
        for group in self.findings.groups.iter().filter(|group| !group.runtime.is_empty()) {
            for run in &group.runs {
                if let Some(label) = labels.get_mut(*run) {
                    // A number of ours beside the name kata-3 would be taken for that of another run.
                    *label = match group.runs.len() {
                        1 => group.runtime.clone(),
                        _ if label.contains(&group.runtime) => continue,
                        _ => format!("{} {label}", group.runtime),
                    };
                }
            }
        }
        let different: std::collections::HashSet<&String> = labels.iter().collect();
        if different.len() < labels.len() || labels.len() == 1 { names().collect() } else { labels }
    }
}

/// Whether a run was made to tell more than a plain one does: the component probe ran, or its dwells are those that CPU time needs.
fn is_made_for_details(data: &Dataset) -> bool {
    data.recorded().is_some_and(|recorded| {
        let plan = &recorded.run.plan;
        !recorded.components.is_empty() || plan.settle.min(plan.hold).as_secs_f64() >= SHORTEST_DWELL_SECONDS
    })
}
