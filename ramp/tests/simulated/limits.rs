//! Limits of nodes other than memory and CPU: forecast, end of the run, report.

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_report::analysis::causes::Resource;
use ramp_report::analysis::limits::least;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, narrative, terminal};

use crate::support::{SECOND, Stage, plan, rows};

const LOAD: &str = "load: {memory: 100M, growth_rate: 200M/s, report_every: 20s, cpu: 0.02}\n";

fn engine(world: &str) -> (SimulatedEngine, Scenario) {
    let world = World::parse(&format!("{LOAD}{world}")).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(world).unwrap()), ..EngineOptions::default() };
    let run = "20261125-000000-test".into();
    (SimulatedEngine::new(EngineSpec { run, scenario: scenario.clone(), options }).unwrap(), scenario)
}

fn usual(to: u32) -> Plan {
    Plan {
        to,
        engine: EngineKind::Simulated,
        stop: StopRule::usual(),
        step_timeout: 300 * SECOND,
        settle: 20 * SECOND,
        hold: 30 * SECOND,
        ..plan()
    }
}

/// 30 instances of 3 tasks and the six of runc.
const SHORT_OF_PIDS: &str =
    "nodes: [{count: 1, memory: 64Gi, pods: 500}]\ntasks: {limit: 96, each: 3, beside: 12, idle: 200}\n";

#[tokio::test(start_paused = true)]
async fn a_node_without_pids_ends_the_run_which_names_them_and_so_does_the_report() {
    let stage = Stage::new();
    let (engine, _) = engine(SHORT_OF_PIDS);
    let summary = stage.run(&usual(100), engine).await;
    let why = &summary.why_ended;
    let expected = "blocked:30s: 1 of 31 requested instances cannot start: processes (PIDs) exhausted: FailedCreatePodSandBox: ";
    assert!(why.starts_with(expected), "{why}");
    assert_eq!((summary.steps, summary.held.count), (31, 30));
    let limits = rows(&stage.path(), "limits.csv");
    let of_pods: Vec<_> = limits.iter().filter(|row| row["scope"] == "pods").collect();
    assert!(of_pods.iter().any(|row| row["used"] == "90" && row["limit"] == "96"), "{of_pods:?}");
    let report = Report::of(vec![Dataset::read(&stage.path()).unwrap()], None);
    let found = &report.findings.runs[0];
    let saturation = found.estimates.saturation.saturation.as_ref().unwrap();
    assert_eq!((saturation.instances, saturation.resource), (31, Some(Resource::Processes)));
    assert_eq!(found.breaks[0].resource, Resource::Processes);
    let sections = narrative::sections(&report);
    let sentences = sections.into_iter().flat_map(|section| section.sentences).map(|sentence| sentence.text);
    let said = sentences.collect::<Vec<_>>().join("\n");
    for part in [
        "Saturated at step 31, with 31 instances requested.",
        "First limit reached: processes (PIDs): an instance could not be created at step 31",
        "can't get final child's PID from pipe",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (limit, capacity) = least(&found.limits).unwrap();
    assert_eq!((limit.name().as_str(), limit.limit, limit.used_before), ("pids (pods)", Some(96), Some(0)));
    assert!((30..=33).contains(&capacity.instances), "{capacity:?}");
    let each = limit.per_instance.as_ref().unwrap();
    assert!(each.interval.contains(3.0) && each.interval.half_width() < 0.8, "{each:?}");
    let text = terminal::text(&report);
    assert!(
        text.contains("capacity by limits") && text.contains("by pids (pods), extrapolated from"),
        "{text}"
    );
    assert!(text.contains("PIDs per instance       15."), "{text}");
}

#[tokio::test(start_paused = true)]
async fn without_what_the_node_tells_of_its_limits_the_message_alone_names_nothing() {
    let stage = Stage::new();
    let world = format!("{SHORT_OF_PIDS}events: [{{what: probe-silent, at: 1s}}]\n");
    let (engine, _) = engine(&world);
    let summary = stage.run(&usual(100), engine).await;
    let why = &summary.why_ended;
    assert!(
        why.contains("cannot start: FailedCreatePodSandBox: ") && !why.contains("PIDs) exhausted"),
        "{why}"
    );
    let report = Report::of(vec![Dataset::read(&stage.path()).unwrap()], None);
    assert_eq!(report.findings.runs[0].estimates.saturation.saturated(), Some(false));
}

#[tokio::test(start_paused = true)]
async fn the_forecast_is_the_least_of_all_and_names_the_pids_that_it_assumes() {
    for (limit, memory, by, instances) in [
        // 96 ÷ 3 is less than memory allows: however little an instance takes, PIDs are first.
        (96, "64Gi", "node limit pids (pods)", 16),
        // 96 ÷ 6 is less, 96 ÷ 3 is not: no false alarm.
        (96, "4Gi", "memory requests", 31),
        (100_000, "64Gi", "memory requests", 663),
    ] {
        let world =
            format!("nodes: [{{count: 1, memory: {memory}, pods: 5000}}]\ntasks: {{limit: {limit}}}\n");
        let (mut engine, scenario) = engine(&world);
        let file =
            crate::support::surveyed_run_file(&mut engine, &scenario, &usual(100), std::time::UNIX_EPOCH)
                .await;
        let forecast = file.forecast.unwrap();
        let capacity = forecast.capacity().unwrap();
        assert_eq!(capacity.by.as_ref(), by, "{forecast:?}");
        assert!(capacity.instances.abs_diff(instances) <= 1, "{capacity:?}");
        let may_be: Vec<_> = forecast.possible_limits().map(|limit| limit.by.as_str()).collect();
        let expected: &[&str] = if limit == 96 && by == "memory requests" { &["pids (pods)"] } else { &[] };
        assert!(expected.iter().all(|by| may_be.contains(by)), "{may_be:?}");
    }
}
