//! Sentences on pod latencies of kube-burner, of which the startup is all that is known.

use super::sentence::{Sentence, says};
use crate::analysis::results::RunResults;
use crate::dataset::Dataset;
use crate::report::format;
use crate::stats::Survival;
use ramp_format::text::count;

/// The sentence that stands first.
pub(super) fn summary(data: &Dataset, found: &RunResults) -> String {
    let Some(survival) = survival(found) else { return format!("{}: no pod.", data.name) };
    let [half, most] = [0.5, 0.99].map(|share| format::quantile(survival.quantile(share)));
    let pods = count(survival.count as u64, "pod");
    format!(
        "{}: {pods} became ready, half of them within {half} of their creation, 99% within {most}.",
        data.name
    )
}

/// How long pods took, whatever the load was.
pub(super) fn startup(found: &RunResults) -> Option<Sentence> {
    let survival = survival(found)?;
    let [half, most, nearly_all] = [0.5, 0.9, 0.99].map(|share| format::quantile(survival.quantile(share)));
    let text = format!("Median time to ready: {half} (p90 {most}, p99 {nearly_all}).");
    let rule = "startup latency: from the creation of a pod until its condition Ready, in whole seconds; the load is not known";
    Some(says(text, rule))
}

fn survival(found: &RunResults) -> Option<Survival> {
    let took: Vec<_> = found.startups.as_ref().ok()?.iter().map(|startup| startup.took).collect();
    Survival::of(&took)
}
