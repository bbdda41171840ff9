//! Preflight summary: plan, findings, forecast.

use std::time::Duration;

use ramp::preflight::forecast::{forecast, largest_load, needs};
use ramp::preflight::summary::describe;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::preflight::{Finding, NodeFacts, Preflight, QuotaFacts, RuntimeClassFacts};
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;

use super::session::hold;
use super::support::{plan, rules};

fn summary(scenario: &Scenario, preflight: &Preflight, plan: &Plan) -> String {
    let needs = needs(scenario, preflight);
    let fill_seconds = largest_load(preflight, &needs).and_then(|memory| scenario.fill_seconds(memory));
    let forecast = forecast(preflight, &needs, plan, fill_seconds);
    describe(plan, scenario, preflight, &forecast)
}

/// A worker of 10 GB and 4 cores, a tenth of which is taken.
fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        eligible: true,
        allocatable_memory_bytes: Some(10_000_000_000),
        requested_memory_bytes: Some(1_000_000_000),
        allocatable_cpu_cores: Some(4.0),
        requested_cpu_cores: Some(0.4),
        allocatable_pods: Some(110),
        pods: Some(11),
        ..NodeFacts::default()
    }
}

fn versions(all: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    all.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect()
}

fn two_workers() -> Preflight {
    Preflight {
        nodes: vec![node("a"), node("b")],
        versions: versions(&[("kubernetes", "v1.20.2"), ("ramp", "1.2.3")]),
        ..Preflight::default()
    }
}

fn usual() -> Plan {
    Plan {
        engine: EngineKind::Kubernetes,
        to: 1000,
        step_timeout: Duration::from_secs(300),
        hold: Duration::from_secs(30),
        stop: StopRule::usual(),
        beyond: 50,
        ..plan()
    }
}

#[test]
fn where_nothing_is_found_the_plan_and_what_to_expect_are_all() {
    hold("preflight_nothing_found", &summary(&Scenario::embedded().unwrap(), &two_workers(), &usual()));
}

#[test]
fn whether_components_are_recorded_is_said_in_one_line() {
    let said = |nodes: &[&str]| {
        let probes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let preflight = Preflight { component_probes: Some(probes), ..two_workers() };
        let text = summary(&Scenario::embedded().unwrap(), &preflight, &usual());
        let lines = text.lines().skip_while(|line| !line.starts_with("components"));
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("steps")).map(str::trim).collect();
        lines.join(" ")
    };
    let all = ["components   recorded on all eligible nodes by the component probe"];
    assert_eq!([said(&["a", "b"])], all);
    assert_eq!(
        said(&["b", "hollow"]),
        "components   recorded on 1 of 2 eligible nodes by the component probe"
    );
    let none = "components   not recorded; to see what each part of a pod holds: kubectl apply -k deploy/setup/components";
    assert_eq!(said(&[]), none);
}

#[test]
fn what_is_found_stands_at_the_end_what_refuses_first() {
    let mut preflight = two_workers();
    preflight.findings = vec![
        Finding::warning("nodes a, b run on one machine (one boot id): its memory is counted once"),
        Finding::refusal("there is no PriorityClass workload-load"),
        Finding::warning("a long one ".repeat(20).trim_end()),
        Finding::refusal("there is no namespace workload"),
    ];
    preflight.not_honoured =
        vec!["securityContext.seccompProfile: RuntimeDefault".into(), "priorityClassName".into()];
    hold("preflight_findings", &summary(&Scenario::embedded().unwrap(), &preflight, &usual()));
}

#[test]
fn a_runtime_with_overhead_limits_and_quotas_are_told_and_counted() {
    let mut preflight = two_workers();
    preflight.runtime_class = Some(RuntimeClassFacts {
        name: "kata".into(),
        handler: "kata-qemu".into(),
        overhead_memory_bytes: 160 << 20,
        overhead_cpu_cores: 0.25,
        scheduling: None,
    });
    preflight.quotas =
        vec![QuotaFacts { instances: 6, what: "quota team, pods: 7, of which 1 is used".into() }];
    let mut scenario = Scenario::embedded().unwrap();
    scenario.container.memory_limit = Some("600M".parse().unwrap());
    scenario.resources.memory_request = Some("600M".parse().unwrap());
    hold("preflight_runtime_class_and_quota", &summary(&scenario, &preflight, &usual()));
}

#[test]
fn many_nodes_are_a_few_and_a_number() {
    let mut preflight = Preflight {
        nodes: (1..=14).map(|number| node(&format!("worker-{number}"))).collect(),
        ..two_workers()
    };
    preflight.nodes.extend((1..=14).map(|number| NodeFacts {
        eligible: false,
        not_eligible_because: (number > 1).then(|| "taint hollow=true:NoSchedule".into()),
        ..node(&format!("hollow-{number}"))
    }));
    hold("preflight_many_nodes", &summary(&Scenario::embedded().unwrap(), &preflight, &usual()));
}

#[test]
fn what_is_not_known_is_said() {
    let blind = NodeFacts {
        requested_memory_bytes: None,
        requested_cpu_cores: None,
        allocatable_pods: None,
        pods: None,
        ..node("a")
    };
    let nothing = NodeFacts { allocatable_memory_bytes: None, allocatable_cpu_cores: None, ..blind.clone() };
    let scenario = Scenario::embedded().unwrap();
    let preflight = Preflight { nodes: vec![blind, nothing], ..Preflight::default() };
    let all_it_can_get = scenario.with_memory("max".parse().unwrap()).unwrap();
    let text = [
        summary(&scenario, &Preflight::default(), &plan()),
        summary(&scenario, &preflight, &usual()),
        summary(&all_it_can_get, &two_workers(), &usual()),
    ];
    hold("preflight_not_known", &text.join("\n"));
}

#[test]
fn a_plan_reads_as_it_was_asked_for() {
    let options = EngineOptions { runtime: Some("crun".into()), ..EngineOptions::default() };
    let plans = [
        Plan {
            pace: Pace::Every(Duration::from_secs(5)),
            down: true,
            note: rules(&["time:10m", "oom-kills:3/1m"]),
            ..usual()
        },
        Plan { pace: Pace::None, hold: Duration::ZERO, keep: true, stop: Vec::new(), step: 10, ..usual() },
        Plan { to: 5, engine: EngineKind::Podman, options, ..usual() },
    ];
    // What all of them have in common is told elsewhere.
    let is_of_the_plan =
        |line: &&str| !line.contains("eligible") && !line.contains(": free ") && line.trim() != "containers";
    let preflight = Preflight { versions: versions(&[("ramp", "1.2.3")]), ..two_workers() };
    let text = plans.map(|plan| {
        let text = summary(&Scenario::embedded().unwrap(), &preflight, &plan);
        text.lines().filter(is_of_the_plan).map(|line| format!("{line}\n")).collect::<String>()
    });
    hold("preflight_plans", &text.join("\n"));
}
