//! Preflight summary: the plan of a run, the nodes, the predicted capacity and the findings, as text.

use std::fmt::{self, Write};

use humantime::format_duration;
use workload::quantity::Bytes;

use super::forecast::{LEVELS_PER_CLIMB, largest_load, needs};
use ramp_format::plan::{EngineKind, Pace, Plan};
use ramp_format::preflight::Forecast;
use ramp_format::preflight::{Finding, NodeFacts, Preflight};
use ramp_format::scenario::{MemoryNeed, Scenario};
use ramp_format::text::count;

/// Column at which lines wrap.
const WIDTH: usize = 80;
/// Column at which the text after a heading begins.
const INDENT: usize = 13;
/// Nodes listed by name; further ones are only counted.
const NODES_LISTED: usize = 12;

/// The whole summary.
#[must_use]
pub fn describe(plan: &Plan, scenario: &Scenario, preflight: &Preflight, forecast: &Forecast) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, plan, scenario, preflight, forecast);
    text
}

fn write_all(
    text: &mut String,
    plan: &Plan,
    scenario: &Scenario,
    preflight: &Preflight,
    forecast: &Forecast,
) -> fmt::Result {
    line(text, "run", &plan.run)?;
    line(text, "scenario", &what_runs(scenario, preflight, plan))?;
    let versions = preflight.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let versions = versions.collect::<Vec<_>>().join(", ");
    line(text, "engine", &format!("{}: {versions}", plan.engine.name()))?;
    nodes(text, &preflight.nodes, plan.engine)?;
    if let Some(probes) = &preflight.component_probes {
        line(text, "components", &components(probes, &preflight.nodes))?;
    }
    line(text, "steps", &steps(plan))?;
    let rules = |rules: &[ramp_format::stop_rule::StopRule]| {
        rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let stop = match plan.stop.as_slice() {
        [] if plan.search.is_some() => "none: the search ends with its last climb".into(),
        [] => "none: the ramp ends with its last step".into(),
        stop if plan.search.is_some() => format!("{}; the first that fires ends the search", rules(stop)),
        stop => format!("{}; {} more steps after the first rule of saturation", rules(stop), plan.beyond),
    };
    line(text, "stop", &stop)?;
    if !plan.note.is_empty() {
        line(text, "note", &rules(&plan.note))?;
    }
    expected(text, plan, forecast)?;
    for left_out in &preflight.not_honoured {
        line(text, "unsupported", left_out)?;
    }
    let (refusals, warnings): (Vec<&Finding>, Vec<&Finding>) =
        preflight.findings.iter().partition(|finding| finding.refuses);
    for (heading, findings) in [("error", refusals), ("warning", warnings)] {
        for finding in findings {
            line(text, heading, &finding.message)?;
        }
    }
    Ok(())
}

fn what_runs(scenario: &Scenario, preflight: &Preflight, plan: &Plan) -> String {
    let needs = needs(scenario, preflight);
    let takes = match (&needs.memory, largest_load(preflight, &needs)) {
        (MemoryNeed::Max, _) => "unlimited memory per instance".into(),
        (MemoryNeed::Unknown(why), _) => format!("memory per instance not known ({why})"),
        (MemoryNeed::Share(percent), None) => format!("{percent} of memory per instance"),
        (MemoryNeed::Share(percent), Some(memory)) => {
            format!("{} ({percent}) per instance", memory.rounded())
        }
        (MemoryNeed::Bytes(memory), _) => format!("{} per instance", memory.rounded()),
    };
    let limit = needs.resources.load_limit.map(|limit| format!(", limit {}", limit.rounded()));
    let runtime = match (&preflight.runtime_class, &plan.options.runtime) {
        _ if !plan.options.mix.is_empty() => {
            format!("; mixed, in alternation: {}", groups(preflight, &plan.options.mix))
        }
        (Some(class), _) => format!(
            "; RuntimeClass {} (overhead {}, {} cores)",
            class.name,
            Bytes(class.overhead_memory_bytes).rounded(),
            class.overhead_cpu_cores
        ),
        (None, Some(runtime)) => format!("; runtime {runtime}"),
        (None, None) => String::new(),
    };
    format!("{}: {takes}{}{runtime}", scenario.name, limit.unwrap_or_default())
}

/// The runtimes of a mixed run, with the overhead of each that has one.
fn groups(preflight: &Preflight, mix: &[String]) -> String {
    let group = |runtime: &String| {
        let class = preflight.runtime_classes.iter().find(|class| class.name == *runtime);
        match class.filter(|class| class.overhead_memory_bytes > 0 || class.overhead_cpu_cores > 0.0) {
            None => runtime.clone(),
            Some(class) => format!(
                "{runtime} (overhead {}, {} cores)",
                Bytes(class.overhead_memory_bytes).rounded(),
                class.overhead_cpu_cores
            ),
        }
    };
    mix.iter().map(group).collect::<Vec<_>>().join(", ")
}

fn nodes(text: &mut String, nodes: &[NodeFacts], engine: EngineKind) -> fmt::Result {
    let (eligible, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.eligible);
    line(text, "nodes", &format!("{} eligible, {} not eligible", eligible.len(), others.len()))?;
    for (nodes, which) in [(eligible, "eligible"), (others, "not eligible")] {
        for node in nodes.iter().take(NODES_LISTED) {
            line(text, "", &if node.eligible { capacity(node, engine) } else { exclusion(node) })?;
        }
        if nodes.len() > NODES_LISTED {
            line(text, "", &format!("and {} more {which}", nodes.len() - NODES_LISTED))?;
        }
    }
    Ok(())
}

/// Whether the parts of each pod are recorded.
fn components(probes: &[String], nodes: &[NodeFacts]) -> String {
    let eligible = || nodes.iter().filter(|node| node.eligible);
    let sampled = eligible().filter(|node| probes.contains(&node.name)).count();
    match (sampled, eligible().count()) {
        (0, _) => {
            "not recorded; to see what each part of a pod holds: kubectl apply -k deploy/setup/components"
                .into()
        }
        (sampled, all) if sampled == all => "recorded on all eligible nodes by the component probe".into(),
        (sampled, all) => format!("recorded on {sampled} of {all} eligible nodes by the component probe"),
    }
}

fn exclusion(node: &NodeFacts) -> String {
    let why = node.not_eligible_because.as_deref().unwrap_or("not ready");
    format!("{}: not eligible: {why}", node.name)
}

fn capacity(node: &NodeFacts, engine: EngineKind) -> String {
    let of = |free: Option<String>, all: Option<String>| match (free, all) {
        (Some(free), Some(all)) => format!("{free} of {all}"),
        (None, Some(all)) => format!("? of {all}"),
        (_, None) => "?".into(),
    };
    let bytes = |bytes: u64| Bytes(bytes).rounded().to_string();
    let memory = node.allocatable_memory_bytes;
    let free_memory =
        memory.zip(node.requested_memory_bytes).map(|(all, taken)| bytes(all.saturating_sub(taken)));
    let cores = |cores: f64| format!("{:.2}", cores.max(0.0));
    let cpu = node.allocatable_cpu_cores;
    let free_cpu = cpu.zip(node.requested_cpu_cores).map(|(all, taken)| cores(all - taken));
    let pods = node.allocatable_pods;
    let free_pods = pods.zip(node.pods).map(|(all, there)| all.saturating_sub(there).to_string());
    let mut words = format!("{}: free {}, ", node.name, of(free_memory, memory.map(bytes)));
    let _ = write!(words, "{} cores", of(free_cpu, cpu.map(cores)));
    if pods.is_some() {
        let free_pods = of(free_pods, pods.map(|pods| pods.to_string()));
        let _ = write!(words, ", {free_pods} {}", engine.instances());
    }
    if engine == EngineKind::Kubernetes
        && let Some(reserved) = reserved(node)
    {
        let _ = write!(words, "; reserved {reserved}");
    }
    words
}

/// What a node keeps from its pods: capacity − allocatable.
fn reserved(node: &NodeFacts) -> Option<String> {
    let memory = node.memory_bytes?.checked_sub(node.allocatable_memory_bytes?)?;
    let cores = (node.cpu_cores? - node.allocatable_cpu_cores?).max(0.0);
    (memory > 0 || cores > 0.0).then(|| format!("{} and {cores:.2} cores", Bytes(memory).rounded()))
}

fn steps(plan: &Plan) -> String {
    let pace = match plan.pace {
        Pace::Ready => {
            format!("the next when all are ready (timeout {})", format_duration(plan.step_timeout))
        }
        Pace::Every(beat) => format!("one every {}", format_duration(beat)),
        Pace::None => "as fast as requests are accepted".into(),
    };
    if let Some(search) = plan.search {
        let precision =
            search.precision.map_or_else(String::new, |by| format!(", or ±{by} instances reached"));
        let keep = if plan.keep { "keep all instances" } else { "remove all" };
        return format!(
            "search from {} up to {} instances, each level held for {} once all are ready (timeout {}); {}{precision}; then {keep}",
            plan.from,
            plan.to,
            format_duration(plan.hold),
            format_duration(plan.step_timeout),
            count(search.climbs, "climb")
        );
    }
    let end = [
        (!plan.hold.is_zero()).then(|| format!("hold {}", format_duration(plan.hold))),
        plan.down.then(|| "scale down step by step".to_owned()),
        Some(if plan.keep { "keep all instances" } else { "remove all" }.to_owned()),
    ];
    let end = end.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{} to {} instances in steps of {}, {pace}; then {end}", plan.from, plan.to, plan.step)
}

fn expected(text: &mut String, plan: &Plan, forecast: &Forecast) -> fmt::Result {
    match forecast.capacity() {
        Some(capacity) => {
            let instances = count(capacity.instances, "instance");
            let mut words = format!("{instances} predicted, limited by {}", capacity.by);
            if capacity.instances > plan.to.into() {
                let ends = if plan.search.is_some() { "search" } else { "ramp" };
                let _ = write!(words, "; the {ends} ends before saturation (--to {})", plan.to);
            }
            line(text, "capacity", &words)?;
        }
        None => line(text, "capacity", "n/a")?,
    }
    for bound in &forecast.bounds {
        line(text, "", &format!("{} by {}: {}", bound.instances, bound.by, bound.inputs))?;
    }
    for limit in forecast.possible_limits() {
        line(text, "", &format!("{} by {}, may be: {}", limit.instances, limit.by, limit.inputs))?;
    }
    for unknown in &forecast.unknown {
        line(text, "", &format!("n/a: {unknown}"))?;
    }
    if let Some(search) = plan.search {
        let about = if forecast.at_most { "at most about" } else { "about" };
        let climbs = count(search.climbs, "climb");
        return line(
            text,
            "time",
            &format!("{about} {} for {climbs} of {LEVELS_PER_CLIMB} levels", rounded(forecast.seconds)),
        );
    }
    let about = if forecast.at_most { "at most" } else { "about" };
    let time_to = match forecast.seconds_to_saturation {
        Some(seconds) => format!("{about} {} up to and beyond saturation; ", rounded(seconds)),
        None => String::new(),
    };
    let all = if forecast.at_most { "at most " } else { "" };
    let all = format!("{time_to}{all}{} for all {} steps", rounded(forecast.seconds), forecast.steps);
    line(text, "time", &all)
}

fn rounded(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    match seconds {
        seconds if seconds < 2.0 * MINUTE => format!("{seconds:.0} s"),
        seconds if seconds < 120.0 * MINUTE => format!("{:.0} min", seconds / MINUTE),
        seconds => format!("{:.1} h", seconds / MINUTE / 60.0),
    }
}

/// A heading and its text, wrapped between words.
fn line(text: &mut String, heading: &str, words: &str) -> fmt::Result {
    let mut column = INDENT;
    write!(text, "{heading:<INDENT$}")?;
    for (index, word) in words.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            write!(text, "\n{:INDENT$}", "")?;
            column = INDENT;
        } else if index > 0 {
            text.write_char(' ')?;
            column += 1;
        }
        text.write_str(word)?;
        column += length;
    }
    text.write_char('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::forecast::forecast;

    fn described(preflight: &Preflight, plan: &Plan) -> String {
        let scenario = Scenario::embedded().unwrap();
        let forecast = forecast(preflight, &scenario.needs(), plan, Some(2.0));
        describe(plan, &scenario, preflight, &forecast)
    }

    #[test]
    fn what_is_wrong_is_at_the_end_where_it_is_seen_and_lines_fit() {
        let preflight = Preflight {
            findings: vec![
                Finding::warning("a tag that moves ".repeat(20)),
                Finding::refusal("no such RuntimeClass"),
            ],
            ..Preflight::default()
        };
        let text = described(&preflight, &Plan { run: "test".into(), to: 5, ..Plan::default() });
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let at = |word: &str| text.find(word).unwrap();
        assert!(at("error") < at("warning") && at("error") > at("capacity"), "{text}");
    }

    #[test]
    fn a_ramp_that_ends_before_saturation_is_told() {
        let node = NodeFacts {
            name: "a".into(),
            eligible: true,
            allocatable_memory_bytes: Some(100_000_000_000),
            requested_memory_bytes: Some(0),
            ..NodeFacts::default()
        };
        let preflight = Preflight { nodes: vec![node], ..Preflight::default() };
        let text = described(&preflight, &Plan { run: "test".into(), to: 5, ..Plan::default() });
        assert!(text.contains("200 instances predicted, limited by memory in use; the ramp ends"), "{text}");
        assert!(text.contains("a: free 100.00 GB of 100.00 GB, ? cores"), "{text}");
    }

    #[test]
    fn instances_are_called_what_the_engine_makes_of_them() {
        let node = NodeFacts {
            name: "a".into(),
            eligible: true,
            allocatable_pods: Some(9),
            pods: Some(1),
            ..NodeFacts::default()
        };
        let preflight = Preflight { nodes: vec![node], ..Preflight::default() };
        let text =
            |engine| described(&preflight, &Plan { run: "test".into(), to: 5, engine, ..Plan::default() });
        let local = text(EngineKind::Local);
        assert!(local.contains("8 of 9 processes") && !local.contains("pod"), "{local}");
        assert!(local.contains("8 by limits on processes and open files: one process each"), "{local}");
        let podman = text(EngineKind::Podman);
        assert!(podman.contains("8 of 9 containers") && !podman.contains(" pods"), "{podman}");
        assert!(text(EngineKind::Kubernetes).contains("8 by pods per node: one pod each"));
    }
}
