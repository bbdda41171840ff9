//! Limits of nodes other than memory and CPU: what each additional instance uses of them, and how many instances they allow.

use super::marginal_cost::DRAWS;
use super::{Estimate, Unavailable, unavailable};
use crate::dataset::{Dataset, LimitPoint, LimitSeries};
use crate::stats::{Interval, Observation, SEED, fit, fit_counts};
use ramp_format::run_file::RunFile;
use ramp_format::text::count;

/// Why a run has nothing on limits.
pub const NO_LIMITS: &str = "no limits of nodes were recorded (limits.csv)";

/// Why it has no first limit.
pub const NONE_USED: &str = "no limit that the nodes told is used measurably by the instances";

/// A limit, on all nodes that tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// What is limited.
    pub resource: String,
    /// Where the limit holds.
    pub scope: String,
    /// What tells.
    pub source: String,
    /// The limits of all nodes together; none where one has none.
    pub limit: Option<u64>,
    /// What was used before the first instance, on all nodes together.
    pub used_before: Option<u64>,
    /// What each additional instance uses.
    pub per_instance: Estimate<UsePerInstance>,
    /// How many instances it allows.
    pub capacity: Estimate<LimitCapacity>,
}

/// What each additional instance uses of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsePerInstance {
    /// How much.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// Readings that it rests on.
    pub readings: usize,
}

/// How many instances a limit allows, each whole on one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitCapacity {
    /// How many.
    pub instances: u64,
    /// The 95 % interval; its upper end is infinite where an instance may use nothing.
    pub interval: Interval,
    /// From how many it is extrapolated.
    pub from: u32,
}

impl LimitUse {
    /// Its name: `pids (pods)`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} ({})", self.resource, self.scope)
    }
}

/// The limits that the nodes of a run told, before a step (its index), or of all steps on the way up.
///
/// # Errors
/// Where they told none.
pub(super) fn limits(data: &Dataset, before: Option<usize>) -> Estimate<Vec<LimitUse>> {
    let Some(recorded) = data.recorded() else { return unavailable(NO_LIMITS) };
    let all = data.limit_series(before);
    if all.is_empty() {
        return unavailable(NO_LIMITS);
    }
    let mut groups: Vec<Vec<LimitSeries>> = Vec::new();
    for series in all {
        let is_same = |group: &&mut Vec<LimitSeries>| {
            (&group[0].resource, &group[0].scope) == (&series.resource, &series.scope)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(series),
            None => groups.push(vec![series]),
        }
    }
    Ok(groups.iter().filter_map(|group| of_group(group, &recorded.run)).collect())
}

/// The limit that allows the fewest instances.
///
/// # Errors
/// Where of none it is known how many it allows.
pub fn least(limits: &Estimate<Vec<LimitUse>>) -> Estimate<(&LimitUse, LimitCapacity)> {
    let limits = limits.as_ref().map_err(Clone::clone)?;
    let known = limits.iter().filter_map(|limit| Some((limit, *limit.capacity.as_ref().ok()?)));
    known.min_by_key(|(_, capacity)| capacity.instances).map_or_else(|| unavailable(NONE_USED), Ok)
}

fn of_group(group: &[LimitSeries], run: &RunFile) -> Option<LimitUse> {
    let first = group.first()?;
    let per_instance = per_instance(group, first.resource.ends_with("bytes"));
    let before = |series: &LimitSeries| {
        let idle = series.readings.iter().rfind(|reading| reading.instances == 0 && reading.unsettled == 0);
        idle.or(series.readings.first()).map(|reading| reading.used)
    };
    Some(LimitUse {
        resource: first.resource.clone(),
        scope: first.scope.clone(),
        source: first.source.clone(),
        limit: group.iter().map(|series| series.limit).sum(),
        used_before: group.iter().map(before).sum(),
        capacity: capacity(group, run, &per_instance),
        per_instance,
    })
}

/// The slope of what is used against the instances there: as of memory, with a level, a drift and a random walk of each machine.
fn per_instance(group: &[LimitSeries], is_bytes: bool) -> Estimate<UsePerInstance> {
    let observation = |reading: &LimitPoint| Observation {
        seconds: reading.seconds,
        // What an instance has while it is made is a coefficient of its own.
        x: [reading.instances.into(), reading.unsettled.into(), 0.0],
        y: reading.used as f64,
    };
    let observations: Vec<Vec<Observation>> =
        group.iter().map(|series| series.readings.iter().map(observation).collect()).collect();
    let readings: usize = observations.iter().map(Vec::len).sum();
    if readings == 0 {
        return unavailable("how much of it is used is not told");
    }
    let fitted = if is_bytes { fit(&observations) } else { fit_counts(&observations) };
    let Some(fit) = fitted else {
        return unavailable(format!(
            "{} at which it was known what ran: too few to tell what an instance uses from what the machine does",
            count(readings as u64, "reading")
        ));
    };
    let drawn: Vec<f64> = fit.draws(DRAWS, SEED).iter().map(|[each, ..]| *each).collect();
    let Some(interval) = Interval::of(&drawn) else { return unavailable("nothing was drawn") };
    Ok(UsePerInstance { mean: fit.mean([1.0, 0.0, 0.0]), interval, readings })
}

/// Each node by what it had left with the most instances that it was seen with.
fn capacity(
    group: &[LimitSeries],
    run: &RunFile,
    per_instance: &Estimate<UsePerInstance>,
) -> Estimate<LimitCapacity> {
    let each = per_instance.as_ref().map_err(Clone::clone)?;
    if each.interval.low <= 0.0 {
        return unavailable("instances may use nothing of it");
    }
    let unseen = run.nodes.iter().filter(|node| node.eligible).find(|node| {
        !group.iter().any(|series| series.nodes.contains(&node.name) && !series.readings.is_empty())
    });
    if let Some(node) = unseen {
        return unavailable(format!("node {} does not tell it", node.name));
    }
    let mut capacity = LimitCapacity { instances: 0, interval: Interval { low: 0.0, high: 0.0 }, from: 0 };
    for series in group {
        let Some(limit) = series.limit else { return Err(Unavailable("there is no limit".into())) };
        let most = series.readings.iter().max_by_key(|reading| reading.instances);
        let Some(most) = most else { continue };
        let left = limit.saturating_sub(most.used) as f64;
        let fit = |each: f64| (f64::from(most.instances) + (left / each).floor()).max(0.0);
        capacity.instances += fit(each.mean) as u64;
        capacity.interval.low += fit(each.interval.high);
        capacity.interval.high += fit(each.interval.low);
        capacity.from += most.instances;
    }
    Ok(capacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(node: &str, limit: Option<u64>, each: u64, instances: &[u32]) -> LimitSeries {
        let reading = |(second, instances): (usize, &u32)| LimitPoint {
            seconds: second as f64 * 5.0,
            instances: *instances,
            unsettled: 0,
            used: 200 + each * u64::from(*instances),
        };
        LimitSeries {
            resource: "pids".into(),
            scope: "pods".into(),
            source: "/sys/fs/cgroup/pids/kubepods/pids.max".into(),
            nodes: vec![node.into()],
            limit,
            readings: instances.iter().enumerate().map(reading).collect(),
        }
    }

    fn run(nodes: &[&str]) -> RunFile {
        use ramp_format::preflight::{NodeFacts, Preflight};
        let node = |name: &&str| NodeFacts { name: (*name).into(), eligible: true, ..NodeFacts::default() };
        let preflight = Preflight { nodes: nodes.iter().map(node).collect(), ..Preflight::default() };
        let begin = ramp_format::time::Time(std::time::UNIX_EPOCH);
        RunFile::new(
            ramp_format::plan::Plan::default(),
            "s".into(),
            serde_json::Value::Null,
            preflight,
            begin,
        )
    }

    const UP: [u32; 12] = [0, 0, 0, 1, 2, 2, 4, 5, 6, 8, 9, 10];

    #[test]
    fn each_instance_uses_the_slope_and_what_is_left_allows_as_many() {
        let group = [series("a", Some(500), 12, &UP), series("b", Some(400), 12, &UP)];
        let found = of_group(&group, &run(&["a", "b"])).unwrap();
        let each = found.per_instance.unwrap();
        assert!((each.mean - 12.0).abs() < 0.05 && each.interval.contains(12.0), "{each:?}");
        assert!(each.interval.half_width() < 1.0, "{each:?}");
        assert_eq!((found.limit, found.used_before), (Some(900), Some(400)));
        let capacity = found.capacity.unwrap();
        assert_eq!((capacity.instances, capacity.from), (10 + 15 + 10 + 6, 20));
        assert!(capacity.interval.low <= 41.0 && capacity.interval.high >= 41.0, "{capacity:?}");
    }

    #[test]
    fn what_is_not_known_has_its_reason() {
        let of = |group: &[LimitSeries], nodes: &[&str]| of_group(group, &run(nodes)).unwrap();
        let untold = of(&[series("a", Some(500), 12, &UP)], &["a", "b"]).capacity.unwrap_err();
        assert_eq!(untold.0, "node b does not tell it");
        let unlimited = of(&[series("a", None, 12, &UP)], &["a"]);
        assert_eq!(
            (unlimited.limit, unlimited.capacity.unwrap_err().0.as_str()),
            (None, "there is no limit")
        );
        let unused = of(&[series("a", Some(500), 0, &UP)], &["a"]).capacity.unwrap_err();
        assert_eq!(unused.0, "instances may use nothing of it");
        let few = of(&[series("a", Some(500), 12, &[3, 3])], &["a"]).per_instance.unwrap_err();
        assert!(few.0.starts_with("2 readings at which it was known what ran"), "{few}");
        let none = of(&[series("a", Some(500), 12, &[])], &["a"]).per_instance.unwrap_err();
        assert!(none.0.contains("not told"), "{none}");
    }
}
