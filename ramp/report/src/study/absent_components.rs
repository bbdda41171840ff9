//! Components that no run of a study has: no difference is one of nothing.

use super::components::ABSENT;
use super::figure::STUDY_FIGURES;
use crate::analysis::components::Holder;
use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, unavailable};

/// A run, or a runtime of a mixed one, and its figures.
pub(super) type RunFigures<'r> = (&'r RunResults, Option<usize>, &'r mut Vec<Estimate<f64>>);

/// Takes the components that no run has from all of them.
pub(super) fn refuse_absent(mut runs: Vec<RunFigures<'_>>) {
    for (at, figure) in STUDY_FIGURES.iter().enumerate() {
        let Some(name) = figure.component() else { continue };
        let has = |(results, group, _): &RunFigures<'_>| {
            let found = results.components.of(*group).components.as_ref();
            let is_it = |holder: Holder, other: &str| holder == Holder::Instance && other == name;
            found.is_ok_and(|found| found.costs.iter().any(|cost| is_it(cost.holder, cost.name)))
        };
        if ["node", "kernel", "rest"].contains(&name) || runs.iter().any(has) {
            continue;
        }
        let values = runs.iter_mut().filter_map(|(_, _, figures)| figures.get_mut(at));
        values.filter(|value| value.is_ok()).for_each(|value| *value = unavailable(ABSENT));
    }
}
