//! The named estimates, each with its value and what it rests on.

use super::{Report, format};
use crate::analysis::comparison::PerPod;
use crate::analysis::results::{Compared, RunResults};
use crate::analysis::{Estimate, PerContainer, SaturationVerdict};
use crate::dataset::{Dataset, Source};
use ramp_format::text::count;

/// An estimate in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateRow {
    /// Its name.
    pub name: &'static str,
    /// Its value, or why it cannot be said.
    pub value: Result<String, String>,
    /// How it is defined, and on what it rests.
    pub basis: String,
}

fn line<T>(
    name: &'static str,
    estimate: &Estimate<T>,
    basis: impl FnOnce(&T) -> String,
    value: impl FnOnce(&T) -> String,
) -> EstimateRow {
    match estimate {
        Ok(estimate) => EstimateRow { name, value: Ok(value(estimate)), basis: basis(estimate) },
        Err(why) => EstimateRow { name, value: Err(why.0.clone()), basis: String::new() },
    }
}

/// The estimates of a run.
#[must_use]
pub fn of_run(data: &Dataset, found: &RunResults) -> Vec<EstimateRow> {
    let estimates = &found.estimates;
    let basis = match data.source {
        Source::Study => format!("{} ÷ instances at work, as recorded", data.usage_measure()),
        Source::Run(_) => format!("{} ÷ instances that hold theirs", data.usage_measure()),
    };
    let usage = |name, usage: &Estimate<PerContainer>| {
        let value = |usage: &PerContainer| format!("{:.0} MiB (step {})", usage.mib, usage.step);
        line(name, usage, |_| basis.clone(), value)
    };
    vec![
        of_data(data),
        line(
            "predicted capacity",
            &estimates.predicted_capacity,
            |capacity| format!("{}: {}", capacity.by, capacity.inputs),
            |capacity| count(capacity.instances, "instance"),
        ),
        of_saturation(data, &estimates.saturation),
        line(
            "held at once",
            &estimates.held,
            |_| {
                "largest number of instances that held all of their memory at the same time: what capacity means".into()
            },
            |most| format!("{} (step {})", most.count, most.step),
        ),
        line(
            "running at once",
            &estimates.running,
            |_| {
                "largest number of instances at work at the same time, whether or not they held all of their memory".into()
            },
            |most| format!("{} (step {})", most.count, most.step),
        ),
        usage("usage at saturation", &estimates.usage.at_saturation),
        usage("usage, minimum", &estimates.usage.min),
        usage("usage, maximum", &estimates.usage.max),
        line(
            "marginal cost",
            &estimates.marginal_cost,
            |cost| format!("95 % interval; {}", cost.inputs),
            |cost| {
                format!(
                    "{} (95 %: {} to {})",
                    format::mb(cost.bytes),
                    format::number(cost.interval.low / 1e6),
                    format::mb(cost.interval.high)
                )
            },
        ),
    ]
}

fn of_saturation(data: &Dataset, verdict: &SaturationVerdict) -> EstimateRow {
    let basis = match data.source {
        Source::Study => {
            "the nodes full, else the first loss, else no more at work: whichever of these holds first in this order"
        }
        Source::Run(_) => {
            "the first instance lost to a resource or without room, else no more held although they had the time"
        }
    };
    let value = match (&verdict.saturation, verdict.saturated) {
        (Ok(at), _) => {
            let resource = at.resource.map_or_else(String::new, |resource| format!(": {resource}"));
            let instances = count(at.instances, "instance");
            Ok(format!("step {}, with {instances} ({}{resource})", at.step, at.rule))
        }
        (Err(why), Some(_)) => Ok(why.0.clone()),
        (Err(why), None) => Err(why.0.clone()),
    };
    EstimateRow { name: "saturation", value, basis: basis.into() }
}

fn of_data(data: &Dataset) -> EstimateRow {
    let cells = data.cells();
    let mut value = count(data.rows as u64, "step");
    if let Some(stale) = cells.stale_percent() {
        value += &format!(", {} node samples, {stale:.1} % of them stale", cells.all);
        if cells.missing > 0 {
            value += &format!(", {} missing", cells.missing);
        }
    }
    let rule = match data.source {
        Source::Study => {
            "stale: a node's active and free memory both equal those of the row before; missing: both 0"
        }
        Source::Run(_) => "stale: recorded again without a newer sample; missing: a gap in the node's stream",
    };
    EstimateRow { name: "data", value: Ok(value), basis: format!("{rule}. Neither is in any fit") }
}

/// The estimates of two groups held against each other.
#[must_use]
pub fn of_comparison(report: &Report, compared: &Compared) -> Vec<EstimateRow> {
    let found = &compared.comparison;
    let (base, other) = (report.findings.name(compared.base), report.findings.name(compared.other));
    let ratio = |name, estimate: &Estimate<f64>, above: &str, below: &str, what: &str| {
        line(name, estimate, |_| format!("{what}: {above} ÷ {below} − 1"), |ratio| format::percent(*ratio))
    };
    vec![
        ratio(
            "overhead by saturation",
            &found.overhead_by_saturation,
            base,
            other,
            "instances at saturation",
        ),
        ratio("overhead by maximum", &found.overhead_by_maximum, base, other, "most instances held at once"),
        ratio(
            "overhead by usage",
            &found.overhead_by_usage,
            other,
            base,
            "usage per container at saturation",
        ),
        line(
            "overhead per pod",
            &found.overhead_per_pod,
            |_| "difference of the marginal costs, 95 % interval by bootstrap".into(),
            per_pod,
        ),
    ]
}

fn per_pod(per_pod: &PerPod) -> String {
    let value = format!(
        "{} (95 %: {} to {})",
        format::mib(per_pod.bytes),
        format::number(crate::analysis::mib(per_pod.interval.low)),
        format::mib(per_pod.interval.high)
    );
    match per_pod.pod_fixed_mib() {
        Ok(mib) => format!("{value}; podFixed: {mib}Mi"),
        Err(why) => format!("{value}: {}", why.0),
    }
}
