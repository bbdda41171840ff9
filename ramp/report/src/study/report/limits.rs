//! The first limit of nodes for each runtime of a study: in a sentence, and for programs.

use super::cell_document::{
    FirstLimitDocument, LimitForecastDocument, LimitInstancesDocument, ReachedLimitDocument,
};
use super::naming::{engine, label_with_size};
use super::words::value;
use crate::report::format;
use crate::study::capacity::cell_capacities;
use crate::study::data::{StudyData, base_of};
use crate::study::figure::StudyUnit;
use crate::study::limits::{FirstLimit, LimitForecast, ReachedLimit, first_limit};
use ramp_format::text::count;

/// A sentence for each cell whose runs recorded limits; for all runtimes of mixed runs together.
#[must_use]
pub fn sentences(data: &StudyData) -> Vec<String> {
    let cells = &data.cells;
    let is_mixed = data.record.definition.mix;
    let of = |cell: usize| {
        let found = first_limit(data, cell).ok()?;
        let members = (0..cells.len()).filter(|other| match is_mixed {
            true => base_of(cells, *other) == Some(cell),
            false => *other == cell,
        });
        let names: Vec<String> = members.map(|member| label_with_size(cells, member)).collect();
        (!names.is_empty()).then(|| sentence(data, cell, &names.join(" + "), &found))
    };
    (0..cells.len()).filter_map(of).collect()
}

fn sentence(data: &StudyData, cell: usize, name: &str, found: &FirstLimit) -> String {
    let instances = |number: f64| value(StudyUnit::Instances, engine(data), number.floor());
    let runs = count(found.runs as u32, "run");
    let mut parts = Vec::new();
    match &found.forecast {
        Ok(LimitForecast { name, instances: allowed, interval, from, runs: named }) => {
            let ends = match interval.high.is_finite() {
                true => format!("{} to {}", format::number(interval.low), format::number(interval.high)),
                false => format!("at least {}", format::number(interval.low)),
            };
            let by = if *named == found.runs { runs.clone() } else { format!("{named} of {runs}") };
            let allowed = instances(*allowed);
            parts
                .push(format!("{name}, {allowed} ({ends} by the 95% CIs of {by}), extrapolated from {from}"));
            parts.extend(fewer(data, cell, interval.low));
        }
        Err(why) => parts.push(format!("n/a: {}", why.0)),
    }
    if let Some(ReachedLimit { resource, instances: at, runs: ended }) = found.reached {
        parts.push(format!("{ended} of {runs} ended by {resource}, with {} requested", instances(at)));
    }
    format!("first limit of the nodes of {name} other than memory and CPU: {}", parts.join("; "))
}

/// What allows fewer instances.
fn fewer(data: &StudyData, cell: usize, than: f64) -> Option<String> {
    let capacities = cell_capacities(data, cell);
    let by_requests = capacities.by_requests.map(|found| ("requests", found.least.instances as f64));
    let by_memory = capacities.by_memory.map(|found| ("memory in use", found.instances.floor()));
    let all = [by_requests, by_memory].into_iter().flatten().filter(|(_, instances)| *instances < than);
    let texts: Vec<String> =
        all.map(|(what, instances)| format!("{} by {what}", format::number(instances))).collect();
    (!texts.is_empty()).then(|| format!("fewer fit: {}", texts.join(", ")))
}

/// What is told of a cell (its index); none where no limits were recorded.
#[must_use]
pub fn document(data: &StudyData, cell: usize) -> Option<FirstLimitDocument> {
    let found = first_limit(data, cell).ok()?;
    let forecast = match found.forecast {
        Ok(LimitForecast { name, instances, interval, from, runs }) => LimitForecastDocument {
            limit: Some(name),
            at: Some(LimitInstancesDocument {
                instances,
                low: interval.low,
                high: Some(interval.high).filter(|high| high.is_finite()),
                extrapolated_from: from,
                runs,
            }),
            reason: None,
        },
        Err(why) => LimitForecastDocument { reason: Some(why.0), ..LimitForecastDocument::default() },
    };
    let reached = found.reached.map(|ReachedLimit { resource, instances, runs }| ReachedLimitDocument {
        resource: resource.to_string(),
        instances,
        runs,
    });
    Some(FirstLimitDocument { forecast, reached, runs: found.runs })
}
