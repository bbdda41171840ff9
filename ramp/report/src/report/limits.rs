//! Figures of the limits of nodes other than memory and CPU.

use serde_json::{Value, json};

use super::figure::Reading;
use super::format;
use crate::analysis::limits::{LimitUse, least};
use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, unavailable};

/// Instances that the limits allow.
pub(super) fn capacity(run: &RunResults) -> Estimate<Reading> {
    let (limit, capacity) = least(&run.limits)?;
    let each = limit.per_instance.as_ref().map_err(Clone::clone)?;
    let amount = |value: u64| amount(&limit.resource, value as f64);
    let of = limit.limit.map_or_else(String::new, amount);
    let before = limit.used_before.map_or_else(String::new, |used| format!("{} used before, ", amount(used)));
    Ok(Reading {
        // An upper end that is not finite is none.
        interval: Some(capacity.interval).filter(|interval| interval.high.is_finite()),
        note: format!(" by {}, extrapolated from {}", limit.name(), capacity.from),
        inputs: format!(
            "{of} by {}: {before}{} by each instance, {} readings",
            limit.source,
            self::amount(&limit.resource, each.mean),
            each.readings
        ),
        details: json!({"by": limit.name(), "extrapolated_from": capacity.from}),
        ..Reading::number(capacity.instances as f64)
    })
}

/// Tasks that an instance adds.
pub(super) fn pids(run: &RunResults) -> Estimate<Reading> {
    let limits = run.limits.as_ref().map_err(Clone::clone)?;
    let of = |scope: &str| limits.iter().find(|limit| (&*limit.resource, &*limit.scope) == ("pids", scope));
    let Some(machine) = of("machine") else { return unavailable("the nodes do not tell their tasks") };
    let each = machine.per_instance.as_ref().map_err(Clone::clone)?;
    let pods = of("pods").and_then(|pods| pods.per_instance.as_ref().ok());
    let pods = pods.map(|pods| format!(", {:.1} of them in the cgroup of all pods", pods.mean));
    Ok(Reading {
        interval: Some(each.interval),
        note: pods.unwrap_or_default(),
        inputs: format!(
            "{}; slope of the tasks of the machine (/proc/loadavg) against instances, {} readings",
            format::confidence(),
            each.readings
        ),
        ..Reading::number(each.mean)
    })
}

/// All limits.
pub(super) fn all(run: &RunResults) -> Estimate<Reading> {
    let limits = run.limits.as_ref().map_err(Clone::clone)?;
    Ok(Reading::structure(limits.iter().map(json_of).collect()))
}

fn json_of(limit: &LimitUse) -> Value {
    let finite = |value: f64| value.is_finite().then_some(value);
    json!({
        "resource": limit.resource, "scope": limit.scope, "source": limit.source, "limit": limit.limit,
        "used_before": limit.used_before,
        "per_instance": match &limit.per_instance {
            Ok(each) => json!({
                "value": each.mean, "low": each.interval.low, "high": each.interval.high, "readings": each.readings,
            }),
            Err(why) => json!({"value": null, "low": null, "high": null, "reason": why.0}),
        },
        "capacity": match &limit.capacity {
            Ok(found) => json!({
                "instances": found.instances, "low": finite(found.interval.low), "high": finite(found.interval.high),
                "extrapolated_from": found.from,
            }),
            Err(why) => json!({"instances": null, "low": null, "high": null, "reason": why.0}),
        },
    })
}

/// An amount of a resource, for people.
fn amount(resource: &str, value: f64) -> String {
    match resource {
        resource if resource.ends_with("bytes") => format::mib(value),
        _ if value.fract() == 0.0 => format::number(value),
        _ => format!("{value:.1}"),
    }
}
