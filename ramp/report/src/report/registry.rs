//! The registry of figures: one row for each estimate that a report states.
//!
//! The table of estimates, `--json`, `--assert` and docs/report.md are made from these rows, in this order. A new figure is its analysis
//! and a row here; `cargo xtask docs` writes the documentation.

use serde_json::{Value, json};

use super::figure::JsonKey::{Object, Plain, Renamed, Structure, Within};
use super::figure::{Figure, Reading, Scope, Unit};
use super::startup_phases::survival;
use super::{components, format, startup_phases};
use crate::analysis::capacity::{
    CapacityComparison, Exhausted, GroupCapacities, MemoryCapacity, RequestCapacity,
};
use crate::analysis::comparison::PerPod;
use crate::analysis::cpu_cost::{CpuCost, CpuFigure, CpuKind, PodFixedCpu, cpu_of_use};
use crate::analysis::external_changes::Change;
use crate::analysis::goodput::GoodputCourse;
use crate::analysis::latency::LoadLevel;
use crate::analysis::mixed::GroupResults;
use crate::analysis::requests::PodRequests;
use crate::analysis::results::RunResults;
use crate::analysis::search::SearchResult;
use crate::analysis::startup_phases::StartupPhase;
use crate::analysis::teardown::{Returned, teardown};
use crate::analysis::{Estimate, PerContainer, SwappedPerInstance, Unavailable, mib, unavailable};
use crate::dataset::Dataset;
use crate::stats::Interval;
use ramp_format::preflight::Bound;
use ramp_format::running_count::Most;
use ramp_format::text::count;

/// A figure of each run that is in no table, to be completed.
const OF_RUN: Figure = Figure {
    name: "",
    aliases: &[],
    title: None,
    is_detail: false,
    unit: Unit::Structure,
    definition: "",
    json: Plain(""),
    scope: Scope::Run(|_, _| unavailable("")),
};

/// A quantile of a phase of startup, in percent.
macro_rules! phase_quantile {
    ($phase:ident, $name:literal, $index:literal, $percent:literal) => {
        Figure {
            name: concat!("startup_", $name, "_p", $percent),
            unit: Unit::Seconds,
            definition: concat!(
                "time within which ",
                $percent,
                "% of the instances pass the ",
                $name,
                " phase of their start"
            ),
            json: Within(concat!("behaviour.startup_phases.phases.", $index, ".all.p", $percent, ".seconds")),
            scope: Scope::Run(|_, run| startup_phases::quantile(run, StartupPhase::$phase, $percent)),
            ..OF_RUN
        }
    };
}

const HELD: &[&str] = &["count", "step"];

/// All figures, in the order of the table of estimates.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "steps",
        title: Some("data"),
        unit: Unit::Count,
        definition: "steps that were recorded",
        json: Plain("rows"),
        scope: Scope::Run(|data, _| Ok(steps(data))),
        ..OF_RUN
    },
    Figure {
        name: "stale_cells_percent",
        unit: Unit::Percent,
        definition: "share of node samples that repeat an older one",
        json: Plain("stale_cells_percent"),
        scope: Scope::Run(|data, _| match data.cells().stale_percent() {
            Some(percent) => Ok(Reading::number(percent)),
            None => unavailable("no node sample was recorded"),
        }),
        ..OF_RUN
    },
    Figure {
        name: "predicted_capacity",
        title: Some("predicted capacity"),
        unit: Unit::Instances,
        definition: "instances expected to fit, from the forecast of the run, or from free memory and --memory",
        json: Plain("estimates.predicted_capacity"),
        scope: Scope::Run(|_, run| {
            let capacity = known(&run.estimates.predicted_capacity)?;
            let inputs = format!("{}: {}", capacity.by, capacity.inputs);
            Ok(Reading { inputs, ..Reading::number(capacity.instances as f64) })
        }),
        ..OF_RUN
    },
    Figure {
        name: "capacity_by_requests",
        title: Some("capacity by requests"),
        unit: Unit::Instances,
        definition: "instances that fit by what a scheduler counts: requests with RuntimeClass overhead, pods per node, quotas; exact",
        json: Object("estimates.capacity_by_requests", &["instances", "by", "bounds"]),
        scope: Scope::Run(|_, run| Ok(by_requests(known(&run.estimates.capacities.by_requests)?))),
        ..OF_RUN
    },
    Figure {
        name: "capacity_by_memory",
        title: Some("capacity by memory"),
        unit: Unit::Instances,
        definition: "instances that fit by the memory that they use, each whole on one node, whatever they request; measured where memory \
                     gave way, else extrapolated by the marginal cost",
        json: Object(
            "estimates.capacity_by_memory",
            &["instances", "low", "high", "extrapolated_from", "held_before"],
        ),
        scope: Scope::Run(|_, run| Ok(by_memory(known(&run.estimates.capacities.by_memory)?))),
        ..OF_RUN
    },
    Figure {
        name: "capacity_by_limits",
        title: Some("capacity by limits"),
        is_detail: true,
        unit: Unit::Instances,
        definition: "instances that the limits of the nodes other than memory and CPU allow (PIDs, keys, inotify, disk, …), by what each \
                     additional instance was measured to use: the least of them, with its confidence interval",
        json: Object(
            "estimates.capacity_by_limits",
            &["instances", "low", "high", "by", "extrapolated_from"],
        ),
        scope: Scope::Run(|_, run| super::limits::capacity(run)),
        ..OF_RUN
    },
    Figure {
        name: "pids_per_instance",
        title: Some("PIDs per instance"),
        is_detail: true,
        unit: Unit::Decimal,
        definition: "tasks (processes and threads) that each additional instance adds on its node, those of its shim and runtime included",
        json: Object("estimates.pids_per_instance", &["tasks", "low", "high"]),
        scope: Scope::Run(|_, run| super::limits::pids(run)),
        ..OF_RUN
    },
    Figure {
        name: "limits",
        definition: "limits of the nodes other than memory and CPU: the limit, what was used before the first instance, what each \
                     additional one uses, and how many instances it allows",
        json: Plain("limits"),
        scope: Scope::Run(|_, run| super::limits::all(run)),
        ..OF_RUN
    },
    Figure {
        name: "saturation_step",
        title: Some("saturation"),
        unit: Unit::Step,
        definition: "step of the first instance lost to a resource or unschedulable, else the step where the number held stops rising",
        json: Object(
            "estimates.saturation",
            &["step", "rule", "instances", "resource", "saturated", "up_to"],
        ),
        scope: Scope::Run(saturation),
        ..OF_RUN
    },
    Figure {
        name: "saturation_instances",
        unit: Unit::Instances,
        definition: "instances requested at the step of saturation",
        json: Within("estimates.saturation.instances"),
        scope: Scope::Run(|_, run| {
            Ok(Reading::number(known(&run.estimates.saturation.saturation)?.instances.into()))
        }),
        ..OF_RUN
    },
    Figure {
        name: "held",
        title: Some("held at once"),
        unit: Unit::Count,
        definition: "largest number of instances that held all of their memory at the same time: the capacity",
        json: Object("estimates.held", HELD),
        scope: Scope::Run(|_, run| {
            let reading = most(&run.estimates.held)?;
            // Of many climbs the most is that of the luckiest.
            let note = if run.search.is_ok() { ", the most of all climbs" } else { "" };
            Ok(Reading { note: note.into(), ..reading })
        }),
        ..OF_RUN
    },
    Figure {
        name: "held_with_95_percent",
        title: Some("held with 95%"),
        unit: Unit::Instances,
        definition: "instances that hold with a probability of 95%, by the climbs of a search, with its confidence interval",
        json: Object(
            "estimates.held_with_95_percent",
            &["instances", "low", "high", "estimate", "climbs", "starts", "mean", "deviation", "levels"],
        ),
        scope: Scope::Run(|_, run| held_with_95_percent(known(&run.search)?)),
        ..OF_RUN
    },
    Figure {
        name: "running",
        aliases: &["max_running", "maximum_running"],
        title: Some("running at once"),
        is_detail: false,
        unit: Unit::Count,
        definition: "largest number of instances running at the same time, whether or not they held all of their memory",
        json: Renamed("estimates.running", HELD, "estimates.maximum_running"),
        scope: Scope::Run(|_, run| most(&run.estimates.running)),
    },
    Figure {
        name: "usage_at_saturation_mib",
        title: Some("usage at saturation"),
        unit: Unit::Mib,
        definition: "memory per container at the step of saturation",
        json: Plain("estimates.usage_per_container_mib.at_saturation"),
        scope: Scope::Run(|data, run| usage(data, &run.estimates.usage.at_saturation)),
        ..OF_RUN
    },
    Figure {
        name: "usage_min_mib",
        title: Some("usage, minimum"),
        unit: Unit::Mib,
        definition: "lowest memory per container of any step",
        json: Plain("estimates.usage_per_container_mib.min"),
        scope: Scope::Run(|data, run| usage(data, &run.estimates.usage.min)),
        ..OF_RUN
    },
    Figure {
        name: "usage_max_mib",
        title: Some("usage, maximum"),
        unit: Unit::Mib,
        definition: "highest memory per container of any step",
        json: Plain("estimates.usage_per_container_mib.max"),
        scope: Scope::Run(|data, run| usage(data, &run.estimates.usage.max)),
        ..OF_RUN
    },
    Figure {
        name: "marginal_cost",
        title: Some("marginal cost"),
        unit: Unit::Bytes,
        definition: "memory of each additional instance before saturation, with its confidence interval",
        json: Object("estimates.marginal_cost", &["bytes", "low", "high"]),
        scope: Scope::Run(|data, run| {
            let cost = known(&run.estimates.marginal_cost)?;
            let note = format::of_which_swapped(cost, &run.estimates.swapped) + &format::with_sidecars(data);
            Ok(Reading {
                note,
                interval: Some(cost.interval),
                inputs: format!("{}; {}", format::confidence(), cost.inputs),
                details: json!({"points": cost.points, "inputs": cost.inputs}),
                ..Reading::number(cost.bytes)
            })
        }),
        ..OF_RUN
    },
    Figure {
        name: "components",
        title: Some("who holds it"),
        definition: "memory of each additional instance by component: processes of the instance, of its node, the kernel, and the rest of \
                     the marginal cost",
        json: Plain("estimates.components"),
        scope: Scope::Run(components::components),
        ..OF_RUN
    },
    Figure {
        name: "peak_per_instance",
        title: Some("peak per instance"),
        unit: Unit::BinaryBytes,
        definition: "most memory that was ever charged to the cgroup of an instance, beyond its page cache and its load, with its \
                     confidence interval; mean over instances",
        json: Object(
            "estimates.peak_per_instance",
            &["bytes", "low", "high", "most_bytes", "at_rest_bytes", "instances"],
        ),
        scope: Scope::Run(components::peak),
        ..OF_RUN
    },
    Figure {
        name: "swapped_per_instance",
        unit: Unit::Bytes,
        definition: "part of the marginal cost: memory swapped out to disk for each instance, with its confidence interval, and beside it \
                     compressed memory (zswap, zram) at its compressed size",
        json: Object(
            "estimates.swapped_per_instance",
            &["bytes", "low", "high", "compressed_bytes", "compressed_low", "compressed_high", "instances"],
        ),
        scope: Scope::Run(|_, run| Ok(swapped(known(&run.estimates.swapped)?))),
        ..OF_RUN
    },
    Figure {
        name: "group_costs",
        title: Some("memory by runtime"),
        definition: "memory of each additional instance of each group of a mixed run, with its confidence interval",
        json: Plain("groups"),
        scope: Scope::Mixed(|_, run| Ok(groups(&run.mixed, &run.cpu))),
        ..OF_RUN
    },
    Figure {
        name: "mixed_overhead_per_pod",
        title: Some("overhead in mixed run"),
        unit: Unit::BinaryBytes,
        definition: "memory that an instance of the second group of a mixed run takes more than one of the first, with its confidence \
                     interval",
        json: Object("mixed_overhead_per_pod", &["bytes", "low", "high", "mib", "pod_fixed_mib"]),
        scope: Scope::Mixed(|_, run| {
            let [base, other, ..] = run.mixed.as_slice() else {
                return unavailable("there are no two groups");
            };
            let reading = per_pod(known(other.overhead.as_ref().unwrap_or(&unavailable("no first group")))?);
            let note = format!(", {} over {}{}", other.runtime, base.runtime, reading.note);
            Ok(Reading { note, ..reading })
        }),
        ..OF_RUN
    },
    Figure {
        name: "cpu_at_rest_per_instance",
        title: Some("CPU at rest"),
        is_detail: true,
        unit: Unit::Cores,
        definition: "cores that each instance whose container runs takes beyond the CPU time that its load reports, with its confidence \
                     interval",
        json: Object("estimates.cpu_at_rest_per_instance", &["cores", "low", "high"]),
        scope: Scope::Run(|_, run| cpu(known(&cpu_of(run)?.at_rest)?, CpuKind::AtRest)),
        ..OF_RUN
    },
    Figure {
        name: "cpu_per_start",
        title: Some("CPU per start"),
        is_detail: true,
        unit: Unit::CpuSeconds,
        definition: "CPU seconds that the start of an instance takes until it is ready, beyond what it takes at rest and what its load \
                     reports, with its confidence interval",
        json: Object("estimates.cpu_per_start", &["seconds", "low", "high"]),
        scope: Scope::Run(|_, run| cpu(known(&cpu_of(run)?.per_start)?, CpuKind::PerStart)),
        ..OF_RUN
    },
    Figure {
        name: "startup_latency",
        definition: "time from the creation of an instance until it holds all of its memory, by the number running then",
        json: Plain("behaviour.startup_latency"),
        scope: Scope::Run(|_, run| Ok(Reading::structure(known(&run.latency)?.iter().map(level).collect()))),
        ..OF_RUN
    },
    Figure {
        name: "startup_phases",
        definition: "time that instances take for each phase of their start, by the number running at their creation",
        json: Plain("behaviour.startup_phases"),
        scope: Scope::Run(|_, run| Ok(startup_phases::reading(known(&run.phases)?, run))),
        ..OF_RUN
    },
    phase_quantile!(Schedule, "schedule", 0, 50),
    phase_quantile!(Schedule, "schedule", 0, 90),
    phase_quantile!(Schedule, "schedule", 0, 99),
    phase_quantile!(Sandbox, "sandbox", 1, 50),
    phase_quantile!(Sandbox, "sandbox", 1, 90),
    phase_quantile!(Sandbox, "sandbox", 1, 99),
    phase_quantile!(Container, "container", 2, 50),
    phase_quantile!(Container, "container", 2, 90),
    phase_quantile!(Container, "container", 2, 99),
    phase_quantile!(Program, "program", 3, 50),
    phase_quantile!(Program, "program", 3, 90),
    phase_quantile!(Program, "program", 3, 99),
    phase_quantile!(Memory, "memory", 4, 50),
    phase_quantile!(Memory, "memory", 4, 90),
    phase_quantile!(Memory, "memory", 4, 99),
    phase_quantile!(Ready, "ready", 5, 50),
    phase_quantile!(Ready, "ready", 5, 90),
    phase_quantile!(Ready, "ready", 5, 99),
    Figure {
        name: "starts_per_second",
        unit: Unit::Decimal,
        definition: "starts per second of the largest burst: instances that are requested in one step, or in steps that are not waited for",
        json: Within("behaviour.startup_phases.burst.per_second"),
        scope: Scope::Run(|_, run| startup_phases::starts_per_second(run)),
        ..OF_RUN
    },
    Figure {
        name: "max_goodput",
        unit: Unit::Instances,
        definition: "largest number of instances that hold their memory and make progress at the end of a step",
        json: Structure("behaviour.goodput", "most.count"),
        scope: Scope::Run(|data, run| Ok(goodput(data, known(&run.goodput)?))),
        ..OF_RUN
    },
    Figure {
        name: "termination",
        definition: "time from the request to terminate an instance until it is gone",
        json: Plain("behaviour.termination"),
        scope: Scope::Run(|_, run| Ok(Reading::structure(survival(known(&run.terminations)?)))),
        ..OF_RUN
    },
    Figure {
        name: "teardown",
        definition: "time from the request to remove all instances until the last is gone",
        json: Plain("behaviour.teardown"),
        scope: Scope::Run(|data, _| {
            let teardown = teardown(data)?;
            Ok(Reading::structure(
                json!({"instances": teardown.instances, "seconds": teardown.seconds, "left": teardown.left}),
            ))
        }),
        ..OF_RUN
    },
    Figure {
        name: "leak",
        definition: "memory that instances leave behind, in bytes, with its confidence interval",
        json: Plain("behaviour.leak"),
        scope: Scope::Run(|_, run| {
            let leak = known(&run.leak)?;
            Ok(Reading::structure(json!({
                "kernels": leak.retained.kernels, "before_bytes": leak.before_bytes, "after_bytes": leak.after_bytes,
                "instances": leak.instances,
                "low": leak.interval.map(|interval| interval.low), "high": leak.interval.map(|interval| interval.high),
                "leaked": match leak.returned() {
                    Returned::All => Some(false),
                    Returned::NotAll => Some(true),
                    Returned::NotSteady | Returned::CannotTell => None,
                },
            })))
        }),
        ..OF_RUN
    },
    Figure {
        name: "memory_returned",
        definition: "memory held after the last instance minus that before the first, in bytes, and whether it was steady",
        json: Object("behaviour.memory_returned", &["missing_bytes", "waited_seconds", "steady"]),
        scope: Scope::Run(|_, run| {
            let retained = &known(&run.leak)?.retained;
            Ok(Reading::structure(json!({
                "missing_bytes": retained.missing_bytes, "waited_seconds": retained.waited_seconds, "steady": retained.steady,
            })))
        }),
        ..OF_RUN
    },
    Figure {
        name: "changed_by_others",
        definition: "instances that others removed or added while ramp scaled up",
        json: Plain("behaviour.changed_by_others"),
        scope: Scope::Run(|_, run| {
            let change =
                |change: &Change| json!({"what": change.what, "who": change.who, "step": change.step});
            Ok(Reading::structure(run.changed_by_others.iter().map(change).collect()))
        }),
        ..OF_RUN
    },
    Figure {
        name: "overhead_by_saturation",
        title: Some("overhead by saturation"),
        unit: Unit::Ratio,
        definition: "instances at saturation: base ÷ other − 1",
        json: Plain("overhead_by_saturation"),
        scope: Scope::Comparison(|compared, [base, other]| {
            ratio(
                &compared.comparison.overhead_by_saturation,
                format!("instances at saturation: {base} ÷ {other} − 1"),
            )
        }),
        ..OF_RUN
    },
    Figure {
        name: "overhead_by_maximum",
        title: Some("overhead by maximum"),
        unit: Unit::Ratio,
        definition: "most instances held at once: base ÷ other − 1",
        json: Plain("overhead_by_maximum"),
        scope: Scope::Comparison(|compared, [base, other]| {
            ratio(
                &compared.comparison.overhead_by_maximum,
                format!("most instances held at once: {base} ÷ {other} − 1"),
            )
        }),
        ..OF_RUN
    },
    Figure {
        name: "overhead_by_usage",
        title: Some("overhead by usage"),
        unit: Unit::Ratio,
        definition: "usage per container at saturation: other ÷ base − 1",
        json: Plain("overhead_by_usage"),
        scope: Scope::Comparison(|compared, [base, other]| {
            ratio(
                &compared.comparison.overhead_by_usage,
                format!("usage per container at saturation: {other} ÷ {base} − 1"),
            )
        }),
        ..OF_RUN
    },
    Figure {
        name: "overhead_per_pod",
        title: Some("overhead per pod"),
        unit: Unit::BinaryBytes,
        definition: "difference of the marginal costs, confidence interval by bootstrap",
        json: Object("overhead_per_pod", &["bytes", "low", "high", "mib", "pod_fixed_mib"]),
        scope: Scope::Comparison(|compared, _| Ok(per_pod(known(&compared.comparison.overhead_per_pod)?))),
        ..OF_RUN
    },
    Figure {
        name: "components_difference",
        title: Some("who holds more"),
        definition: "difference of the memory of each component, with its confidence interval",
        json: Plain("components"),
        scope: Scope::Comparison(|compared, _| Ok(components::differences(known(&compared.components)?))),
        ..OF_RUN
    },
    Figure {
        name: "cpu_overhead_per_pod",
        title: Some("CPU overhead per pod"),
        is_detail: true,
        unit: Unit::Cores,
        definition: "difference of CPU at rest: cores that an instance takes more, with its confidence interval",
        json: Object("cpu_overhead_per_pod", &["cores", "low", "high", "pod_fixed_millicores"]),
        scope: Scope::Comparison(|compared, _| {
            let found = known(&compared.cpu.at_rest)?;
            let mut reading = cpu(found, CpuKind::AtRest)?;
            match PodFixedCpu::of(found.value, found.interval, 0.0) {
                Ok(PodFixedCpu { needed_milli_cores: millicores, .. }) => {
                    reading.note = format!("; podFixed: {millicores}m");
                    reading.details = json!({"pod_fixed_millicores": millicores});
                }
                Err(why) => {
                    reading.note = format!("; podFixed: n/a ({})", why.0);
                    reading.details = json!({"pod_fixed_millicores": null, "reason": why.0});
                }
            }
            Ok(reading)
        }),
        ..OF_RUN
    },
    Figure {
        name: "cpu_overhead_per_start",
        title: Some("CPU overhead per start"),
        is_detail: true,
        unit: Unit::CpuSeconds,
        definition: "difference of CPU per start: CPU seconds that a start takes more, with its confidence interval",
        json: Object("cpu_overhead_per_start", &["seconds", "low", "high"]),
        scope: Scope::Comparison(|compared, _| cpu(known(&compared.cpu.per_start)?, CpuKind::PerStart)),
        ..OF_RUN
    },
    Figure {
        name: "capacities",
        definition: "instances that fit of both, by requests and by memory in use, and which of these makes the difference",
        json: Plain("capacities"),
        scope: Scope::Comparison(|compared, names| {
            let CapacityComparison { base, other } = &compared.capacities;
            Ok(Reading::structure(json!({
                "base": group_capacities(base), "other": group_capacities(other),
                "sentence": compared.capacities.sentence(names),
            })))
        }),
        ..OF_RUN
    },
    Figure {
        name: "requests",
        definition: "what the pods of both request, and whether that explains the difference in instances held (finding)",
        json: Plain("requests"),
        scope: Scope::Comparison(|compared, names| {
            let requests = known(&compared.requests)?;
            let [base, other] = requests.exhausted.map(|exhausted| exhausted.map(Exhausted::words));
            Ok(Reading::structure(json!({
                "base": pod_requests(&requests.base, base.as_deref()), "other": pod_requests(&requests.other, other.as_deref()),
                "difference": requests.words(), "finding": requests.finding(names),
            })))
        }),
        ..OF_RUN
    },
    Figure {
        name: "drift",
        definition: "difference between repeats, and whether it may explain the difference between the two",
        json: Plain("drift"),
        scope: Scope::Comparison(|compared, _| {
            let drift = known(&compared.drift)?;
            Ok(Reading::structure(json!({
                "order": drift.order, "balanced": drift.is_balanced, "base_maximum_running": drift.base,
                "other_maximum_running": drift.other, "spread": drift.spread, "difference": drift.difference,
                "may_explain": drift.may_explain(),
            })))
        }),
        ..OF_RUN
    },
];

/// The figures of which `--assert` can name one, under each of its names.
pub fn assertable() -> impl Iterator<Item = (&'static str, &'static Figure)> {
    let named = |figure: &'static Figure| {
        [figure.name].into_iter().chain(figure.aliases.iter().copied()).map(move |name| (name, figure))
    };
    FIGURES.iter().filter(|figure| figure.is_number()).flat_map(named)
}

/// The figures that `--assert` can name, one a line: its names, what it is of, and its definition.
#[must_use]
pub fn assertable_list() -> String {
    let line = |figure: &Figure| {
        let names = [&[figure.name], figure.aliases].concat().join(", ");
        format!("{names}: {}", figure.definition)
    };
    let lines = FIGURES.iter().filter(|figure| figure.is_number()).map(line);
    lines.collect::<Vec<_>>().join("\n")
}

fn known<T>(estimate: &Estimate<T>) -> Result<&T, Unavailable> {
    estimate.as_ref().map_err(Clone::clone)
}

fn steps(data: &Dataset) -> Reading {
    if let Some(pods) = data.pod_latencies() {
        let note = format!(" steps, latencies of {} by kube-burner", count(pods.len() as u64, "pod"));
        return Reading { note, ..Reading::number(0.0) };
    }
    let cells = data.cells();
    let mut note = if data.rows == 1 { " step" } else { " steps" }.to_owned();
    if let Some(stale) = cells.stale_percent() {
        note += &format!(", {} node samples, {stale:.1}% stale", cells.all);
        if cells.missing > 0 {
            note += &format!(", {} missing", cells.missing);
        }
    }
    Reading {
        note,
        inputs: format!("{}. Fits use neither", stale_rule(data)),
        ..Reading::number(data.rows as f64)
    }
}

/// When a sample counts as stale, and when as missing.
pub(super) fn stale_rule(data: &Dataset) -> &'static str {
    if data.is_foreign() {
        "stale: active and free memory of the node equal those of its previous row; missing: both are 0"
    } else {
        "stale: recorded again without a newer sample; missing: a gap in the node's stream"
    }
}

/// How the step of saturation is found.
pub(super) fn saturation_rule(data: &Dataset) -> &'static str {
    if data.is_foreign() {
        "the nodes full, else the first lost instance, else the number running stops rising"
    } else {
        "the first instance lost to a resource or unschedulable, else the number held stops rising although instances had time to start"
    }
}

fn saturation(data: &Dataset, run: &RunResults) -> Estimate<Reading> {
    let verdict = &run.estimates.saturation;
    let reading = match (&verdict.saturation, verdict.up_to) {
        (Ok(at), _) => {
            let resource = at.resource.map(|resource| resource.to_string());
            let of = resource.as_ref().map_or_else(String::new, |resource| format!(": {resource}"));
            Reading {
                note: format!(", with {} ({}{of})", count(at.instances, "instance"), at.rule),
                details: json!({
                    "rule": at.rule.json(), "instances": at.instances, "resource": resource,
                    "saturated": true, "up_to": null,
                }),
                ..Reading::number(at.step.into())
            }
        }
        (Err(why), Some(up_to)) => Reading {
            note: why.0.clone(),
            details: json!({"saturated": false, "up_to": up_to, "reason": why.0}),
            ..Reading::default()
        },
        (Err(why), None) => return Err(why.clone()),
    };
    Ok(Reading { inputs: saturation_rule(data).into(), ..reading })
}

fn held_with_95_percent(search: &SearchResult) -> Estimate<Reading> {
    let held = known(&search.held)?;
    let levels: Vec<Value> = search
        .levels
        .iter()
        .map(|at| {
            json!({
                "level": at.level, "held": at.held, "of": at.of, "low": at.interval.low, "high": at.interval.high,
            })
        })
        .collect();
    let (low, high) = (held.interval.low.floor(), held.interval.high.floor());
    Ok(Reading {
        interval: Some(Interval { low, high }),
        inputs: format!(
            "{}; interval-censored normal thresholds by maximum likelihood, {} by profile likelihood, in whole instances",
            search.thresholds_words(),
            format::confidence()
        ),
        details: json!({
            "estimate": held.instances, "climbs": search.climbs.len(), "starts": search.starts,
            "mean": search.thresholds.map(|found| found.mean),
            "deviation": search.thresholds.map(|found| found.deviation),
            "levels": levels,
        }),
        ..Reading::number(held.instances.floor())
    })
}

fn most(most: &Estimate<Most>) -> Estimate<Reading> {
    let most = known(most)?;
    Ok(Reading { step: Some(most.step), ..Reading::number(most.count.into()) })
}

fn usage(data: &Dataset, usage: &Estimate<PerContainer>) -> Estimate<Reading> {
    let usage = known(usage)?;
    let divisor =
        if data.is_foreign() { "running instances, as recorded" } else { "instances that hold their memory" };
    let inputs = format!("{} ÷ {divisor}", data.usage_measure());
    let note = format::with_sidecars(data);
    Ok(Reading { step: Some(usage.step), note, inputs, ..Reading::number(usage.mib) })
}

fn ratio(ratio: &Estimate<f64>, inputs: String) -> Estimate<Reading> {
    Ok(Reading { inputs, ..Reading::number(*known(ratio)?) })
}

/// CPU time of the instances of a run: of a mixed one the groups have it.
fn cpu_of(run: &RunResults) -> Estimate<&CpuCost> {
    match run.cpu.as_slice() {
        [one] => Ok(one),
        _ => unavailable("of the groups of a mixed run: see groups"),
    }
}

fn cpu_parts(figure: &Estimate<CpuFigure>, kind: CpuKind, unit: &str) -> Value {
    match cpu_of_use(figure, kind) {
        Ok(found) => json!({unit: found.value, "low": found.interval.low, "high": found.interval.high}),
        Err(why) => json!({unit: null, "low": null, "high": null, "reason": why.0}),
    }
}

fn cpu(figure: &CpuFigure, kind: CpuKind) -> Estimate<Reading> {
    let figure = cpu_of_use(&Ok(figure.clone()), kind)?;
    Ok(Reading {
        interval: Some(figure.interval),
        inputs: format!("{}; {}", format::confidence(), figure.inputs),
        ..Reading::number(figure.value)
    })
}

fn swapped(swapped: &SwappedPerInstance) -> Reading {
    let (on_disk, compressed) = (&swapped.on_disk, &swapped.compressed);
    Reading {
        interval: Some(on_disk.interval),
        inputs: swapped.inputs.clone(),
        details: json!({
            "compressed_bytes": compressed.bytes, "compressed_low": compressed.interval.low,
            "compressed_high": compressed.interval.high, "instances": swapped.instances, "inputs": swapped.inputs,
        }),
        ..Reading::number(on_disk.bytes)
    }
}

fn per_pod(per_pod: &PerPod) -> Reading {
    let mut details = json!({"mib": mib(per_pod.bytes), "pod_fixed_mib": null});
    let note = match per_pod.pod_fixed_mib() {
        Ok(pod_fixed) => {
            details["pod_fixed_mib"] = pod_fixed.into();
            format!("; podFixed: {pod_fixed}Mi")
        }
        Err(why) => {
            details["reason"] = why.0.as_str().into();
            format!("; podFixed: n/a ({})", why.0)
        }
    };
    Reading { interval: Some(per_pod.interval), note, details, ..Reading::number(per_pod.bytes) }
}

/// What an instance of each group costs, and what it costs more than one of the first.
fn groups(groups: &[GroupResults], cpu: &[CpuCost]) -> Reading {
    let text = |group: &GroupResults| {
        let cost = match &group.cost {
            Ok(cost) => Unit::Bytes.with_interval(cost.bytes, cost.interval),
            Err(why) => format!("n/a ({})", why.0),
        };
        format!("{}: {cost}", group.runtime)
    };
    let details = |(index, group): (usize, &GroupResults)| {
        let mut value = json!({"runtime": group.runtime});
        value["marginal_cost"] = match &group.cost {
            Ok(cost) => json!({
                "bytes": cost.bytes, "low": cost.interval.low, "high": cost.interval.high, "points": cost.points,
                "inputs": cost.inputs,
            }),
            Err(why) => json!({"bytes": null, "low": null, "high": null, "reason": why.0}),
        };
        value["overhead_per_pod"] = match &group.overhead {
            None => Value::Null,
            Some(Ok(found)) => json!({
                "bytes": found.bytes, "low": found.interval.low, "high": found.interval.high, "mib": mib(found.bytes),
                "pod_fixed_mib": found.pod_fixed_mib().ok(),
            }),
            Some(Err(why)) => json!({"bytes": null, "low": null, "high": null, "reason": why.0}),
        };
        if let Some(cost) = cpu.get(index) {
            value["cpu_at_rest_per_instance"] = cpu_parts(&cost.at_rest, CpuKind::AtRest, "cores");
            value["cpu_per_start"] = cpu_parts(&cost.per_start, CpuKind::PerStart, "seconds");
        }
        value["startup"] = match &group.startup {
            Ok(startup) => survival(startup),
            Err(why) => json!({"reason": why.0}),
        };
        value
    };
    let inputs = groups.iter().find_map(|group| Some(group.cost.as_ref().ok()?.inputs.clone()));
    Reading {
        note: groups.iter().map(text).collect::<Vec<_>>().join("; "),
        inputs: inputs.unwrap_or_default(),
        ..Reading::structure(groups.iter().enumerate().map(details).collect())
    }
}

fn by_requests(capacity: &RequestCapacity) -> Reading {
    let bound = |bound: &Bound| json!({"by": bound.by, "instances": bound.instances, "inputs": bound.inputs});
    let RequestCapacity { least, bounds } = capacity;
    Reading {
        note: format!(" by {}", least.by),
        inputs: format!("{}: {}", least.by, least.inputs),
        details: json!({"by": least.by, "bounds": bounds.iter().map(bound).collect::<Vec<_>>()}),
        ..Reading::number(least.instances as f64)
    }
}

fn by_memory(capacity: &MemoryCapacity) -> Reading {
    Reading {
        interval: capacity.interval,
        note: match (capacity.extrapolated_from, capacity.held_before) {
            (Some(from), _) => format!(", extrapolated from {from}"),
            (None, Some(before)) if before < capacity.instances => {
                format!(", measured ({before} before memory first gave way)")
            }
            (None, _) => ", measured".into(),
        },
        inputs: capacity.inputs.clone(),
        details: json!({"extrapolated_from": capacity.extrapolated_from, "held_before": capacity.held_before}),
        ..Reading::number(capacity.instances as f64)
    }
}

fn group_capacities(group: &GroupCapacities) -> Value {
    let by_requests = match &group.by_requests {
        Ok(capacity) => json!({"instances": capacity.least.instances, "by": capacity.least.by}),
        Err(why) => json!({"instances": null, "reason": why.0}),
    };
    let by_memory = match &group.by_memory {
        Ok(capacity) => json!({
            "instances": capacity.instances, "low": capacity.interval.low, "high": capacity.interval.high,
            "extrapolated": capacity.is_extrapolated,
        }),
        Err(why) => json!({"instances": null, "reason": why.0}),
    };
    json!({"by_requests": by_requests, "by_memory": by_memory})
}

fn pod_requests(requests: &PodRequests, exhausted: Option<&str>) -> Value {
    json!({
        "memory_bytes": requests.memory_bytes, "cpu_cores": requests.cpu_cores,
        "overhead_memory_bytes": requests.overhead_memory_bytes, "overhead_cpu_cores": requests.overhead_cpu_cores,
        "memory_limit_bytes": requests.memory_limit_bytes, "exhausted": exhausted,
    })
}

fn level(level: &LoadLevel) -> Value {
    let mut value = survival(&level.survival);
    value["at_work_from"] = level.from.into();
    value["at_work_below"] = level.to.into();
    value
}

fn goodput(data: &Dataset, course: &GoodputCourse) -> Reading {
    let step = |index: usize| data.steps.get(index).map(|step| step.step);
    let most = course.steps.iter().max_by_key(|at| at.instances);
    Reading {
        details: json!({
            "most": most.map(|at| json!({"count": at.instances, "step": step(at.index)})),
            "largest_gap": course.largest_gap.map(|(count, index)| json!({"count": count, "step": step(index)})),
            "reports_count_seconds": course.counts_seconds,
        }),
        ..Reading::number(most.map_or(0, |at| at.instances).into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_figures_have_a_name_or_a_place_in_json_in_common() {
        let mut names = HashSet::new();
        let mut places = HashSet::new();
        for figure in FIGURES {
            let mut all = [figure.name].into_iter().chain(figure.aliases.iter().copied());
            assert!(all.all(|name| !name.is_empty() && names.insert(name)), "{}", figure.name);
            assert!(places.insert(figure.json.path()), "{}", figure.name);
            assert!(!figure.definition.is_empty() && !figure.definition.ends_with('.'), "{}", figure.name);
        }
    }
}
