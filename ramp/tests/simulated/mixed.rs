//! Mixed runs: instances of two runtimes in one ramp, in alternation.

use std::collections::BTreeMap;
use std::path::Path;

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, TruthReader, World};
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::json::json;
use ramp_report::report::terminal::text;

use crate::support::schemas::assert_valid;
use crate::support::{SECOND, Stage, numbers, plan, rows, run_file};

/// A world in which kata takes 128 MiB more than the other runtime, and a second longer to start.
const WORLD: &str = "
nodes: [{count: 2, memory: 64Gi}]
load: {memory: 50M, growth_rate: 100M/s, report_every: 5s, cpu: 0.02}
runtime: {name: runc, memory: 2Mi}
runtimes: {kata: {memory: 130Mi, create: 1600ms}}
";

struct Mixed {
    stage: Stage,
    plan: Plan,
    engine: SimulatedEngine,
    scenario: Scenario,
}

impl Mixed {
    fn of(mix: &[&str], to: u32) -> Self {
        let world = World::parse(WORLD).unwrap();
        let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
        let options = EngineOptions {
            world: Some(serde_json::to_value(world).unwrap()),
            mix: mix.iter().map(|runtime| (*runtime).to_owned()).collect(),
            ..EngineOptions::default()
        };
        let plan = Plan {
            engine: EngineKind::Simulated,
            to,
            settle: 10 * SECOND,
            hold: 10 * SECOND,
            options: options.clone(),
            ..plan()
        };
        let order = EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options };
        Self { stage: Stage::new(), plan, engine: SimulatedEngine::new(order).unwrap(), scenario }
    }

    fn directory(&self) -> Directory {
        let file = RunFile {
            scenario: self.scenario.name.clone(),
            manifest: self.scenario.manifest.clone(),
            ..run_file(&self.plan, self.stage.clock.now())
        };
        Directory::create(&self.stage.path(), file).unwrap()
    }

    /// Runs to its end.
    async fn run(self) -> (Stage, TruthReader) {
        let (directory, truth) = (self.directory(), self.engine.truth());
        Run::new(self.engine, directory, self.stage.surroundings()).go().await.unwrap();
        (self.stage, truth)
    }
}

/// Instances of each group that had been created by the end of each step up.
fn created(path: &Path) -> Vec<BTreeMap<String, u32>> {
    let pods = rows(path, "pods.csv");
    let new = |step: u32| {
        let mut groups = BTreeMap::new();
        for row in &pods {
            if row["from"].is_empty() && row["step"].parse::<u32>().unwrap() <= step {
                *groups.entry(row["group"].clone()).or_default() += 1;
            }
        }
        groups
    };
    let steps = rows(path, "steps.csv");
    let up = steps.iter().filter(|row| row["part"] == "up");
    up.map(|row| new(row["step"].parse().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_mixed_run_adds_to_its_groups_in_turn_and_tells_what_each_costs_and_the_difference() {
    let (stage, truth) = Mixed::of(&["default", "kata"], 16).run().await;
    let path = stage.path();
    assert_eq!(
        numbers(&path, "steps.csv", "ready_instances")[..16],
        (1..=16).map(f64::from).collect::<Vec<_>>()
    );
    for (step, groups) in created(&path).iter().enumerate() {
        assert_eq!(groups.values().sum::<u32>(), step as u32 + 1);
        if step % 2 == 1 {
            assert_eq!(groups["default"], groups["kata"], "after each round: {groups:?}");
        }
    }
    let report = Report::of(vec![Dataset::read(&path).unwrap()], None);
    let run = &report.findings.runs[0];
    let truth = truth.read().group_cost_bytes;
    for (group, truth) in run.mixed.iter().zip(&truth) {
        let cost = group.cost.as_ref().unwrap();
        assert!(
            cost.interval.contains(*truth),
            "{}: {:?} where {truth} is true",
            group.runtime,
            cost.interval
        );
    }
    let found = run.mixed[1].overhead.as_ref().unwrap().as_ref().unwrap();
    assert!(found.interval.contains(128.0 * 1_048_576.0), "{found:?}");
    let median = |group: usize| run.mixed[group].startup.as_ref().unwrap().quantile(0.5);
    let said = text(&report);
    assert!(said.contains("each kata pod costs 128"), "{said}");
    assert!(said.contains("more than default, in one mixed run"), "{said}");
    assert!(
        said.contains("s under default (p90") && format!("{:?}", median(1)) != format!("{:?}", median(0))
    );
    assert!(said.contains("n/a: a mixed run of default, kata: see the figures of each runtime"), "{said}");
    let json = json(&report);
    assert_valid("report", &json);
    assert_eq!(json["runs"][0]["groups"][1]["runtime"], "kata");
    assert_eq!(json["runs"][0]["mixed_overhead_per_pod"]["bytes"], found.bytes);
    assert!(
        json["runs"][0]["estimates"]["marginal_cost"]["reason"].as_str().unwrap().contains("a mixed run")
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_costs_less_than_the_first_is_said_to_cost_less() {
    let (stage, _) = Mixed::of(&["kata", "default"], 12).run().await;
    let said = text(&Report::of(vec![Dataset::read(&stage.path()).unwrap()], None));
    let sentence = said.lines().next().unwrap();
    assert!(sentence.contains("each default pod costs 12") && sentence.contains(" less than kata"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_mixed_run_is_neither_pooled_with_nor_compared_to_runs_of_one_runtime() {
    let (mixed, _) = Mixed::of(&["default", "kata"], 8).run().await;
    let (single, _) = Mixed::of(&[], 8).run().await;
    let data = |stage: &Stage| Dataset::read(&stage.path()).unwrap();
    let report = Report::of(vec![data(&mixed), data(&single)], None);
    assert_eq!((report.findings.groups.len(), report.findings.comparisons.len()), (2, 0));
    assert!(
        report.findings.runs[1].mixed.is_empty() && report.findings.runs[1].estimates.marginal_cost.is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_mixed_run_that_was_killed_goes_on_in_the_same_order() {
    let (whole, _) = Mixed::of(&["default", "kata"], 12).run().await;
    let mixed = Mixed::of(&["default", "kata"], 12);
    let (again, directory) = (mixed.engine.another(), mixed.directory());
    let run = Run::new(mixed.engine, directory, mixed.stage.surroundings());
    assert!(tokio::time::timeout(24 * SECOND, run.go()).await.is_err(), "it is killed");
    let before = Directory::resume(&mixed.stage.path()).unwrap();
    let run = Run::resume(again, before, mixed.stage.surroundings()).unwrap();
    run.go().await.unwrap();
    assert_eq!(created(&mixed.stage.path()), created(&whole.path()));
    let pods = rows(&mixed.stage.path(), "pods.csv");
    assert_eq!(pods.iter().filter(|row| row["to"] == "gone").count(), 12);
}

#[tokio::test(start_paused = true)]
async fn on_the_way_down_each_step_takes_from_one_group_until_none_is_left() {
    let mut mixed = Mixed::of(&["default", "kata"], 8);
    mixed.plan.down = true;
    let (stage, _) = mixed.run().await;
    let steps = rows(&stage.path(), "steps.csv");
    let down: Vec<&str> =
        steps.iter().filter(|row| row["part"] == "down").map(|row| row["asked_instances"].as_str()).collect();
    assert_eq!(down, ["7", "6", "5", "4", "3", "2", "1", "0"]);
    let ended = rows(&stage.path(), "pods.csv");
    let ended: Vec<&str> =
        ended.iter().filter(|row| row["to"] == "terminating").map(|row| row["group"].as_str()).collect();
    for pair in ended.chunks(2) {
        assert_ne!(pair[0], pair[1], "{ended:?}");
    }
}
