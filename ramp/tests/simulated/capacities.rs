//! The two capacities of runs, and which of them a difference is.

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, estimate_table, json, narrative};
use serde_json::{Value, json};

use crate::support::schemas::assert_valid;
use crate::support::{SECOND, Stage, plan, surveyed_run_file};

/// A run on a node with room for about 25 instances of runc, until one has no place or is evicted.
async fn recorded(runtime: &str, more: &str, cpu_request: f64) -> Dataset {
    let stage = Stage::new();
    let world = json!({
        "nodes": [{"count": 1, "memory": "3Gi", "cores": 8, "idle": "300Mi", "page_cache": "100Mi"}],
        "load": {"memory": "100M", "growth_rate": "200M/s"}, "shortage": "evict",
        "runtime": {"name": runtime, "memory": more, "cpu_request": cpu_request},
    });
    let options = EngineOptions { world: Some(world), ..EngineOptions::default() };
    let plan = Plan {
        engine: EngineKind::Simulated,
        to: 40,
        options,
        settle: 10 * SECOND,
        pace: Pace::Every(4 * SECOND),
        stop: StopRule::usual(),
        ..plan()
    };
    let world = World::of(&plan.options).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let spec =
        EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options: plan.options.clone() };
    let mut engine = SimulatedEngine::new(spec).unwrap();
    let file = surveyed_run_file(&mut engine, &scenario, &plan, stage.clock.now()).await;
    let directory = Directory::create(&stage.path(), file).unwrap();
    Run::new(engine, directory, stage.surroundings()).go().await.unwrap();
    let data = Dataset::read(&stage.path()).unwrap();
    Dataset { name: runtime.into(), ..data }
}

fn row(report: &Report, run: usize, name: &str) -> String {
    estimate_table::of_run(report, run).into_iter().find(|row| row.name == name).unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn a_difference_in_instances_held_that_is_one_of_requests_is_told_as_that() {
    let report =
        Report::of(vec![recorded("runc", "2M", 0.1).await, recorded("kata", "30M", 1.0).await], None);
    assert_eq!(row(&report, 0, "capacity by memory"), "28 instances, measured");
    assert_eq!(row(&report, 0, "capacity by requests"), "80 instances by CPU requests");
    assert_eq!(row(&report, 1, "capacity by requests"), "8 instances by CPU requests");
    let by_memory = row(&report, 1, "capacity by memory");
    assert!(
        by_memory.starts_with("22 instances (95% CI ") && by_memory.ends_with(", extrapolated from 8"),
        "{by_memory}"
    );
    let finding = "The pods of kata request 900m CPU more (requests of containers) than those of runc, and CPU requests ended the runs of \
                   kata: the difference in instances held is by requests, not by use";
    assert!(narrative::summary(&report).contains(finding), "{}", narrative::summary(&report));
    let json = json::json(&report);
    assert_valid("report", &json);
    assert_eq!(json["comparisons"][0]["requests"]["finding"], finding);
    assert_eq!(json["comparisons"][0]["requests"]["other"]["exhausted"], "CPU requests");
    assert_eq!(json["comparisons"][0]["capacities"]["other"]["by_requests"]["instances"], 8);
    let sentence = json["comparisons"][0]["capacities"]["sentence"].as_str().unwrap();
    assert!(
        sentence.ends_with(
            "runc is limited by memory in use, kata by requests: by memory in use kata would fit 22"
        ),
        "{sentence}"
    );
    let analysis = json["analysis"].to_string();
    assert!(analysis.contains(finding) && analysis.contains(sentence), "{analysis}");
    assert_eq!(json["runs"][1]["estimates"]["capacity_by_memory"]["extrapolated_from"], 8);
}

#[tokio::test(start_paused = true)]
async fn a_difference_by_use_is_not_told_as_one_of_requests() {
    let report =
        Report::of(vec![recorded("runc", "2M", 0.1).await, recorded("kata", "130M", 0.2).await], None);
    let json = json::json(&report);
    assert_valid("report", &json);
    let comparison = &json["comparisons"][0];
    assert_eq!(comparison["requests"]["difference"], "100m CPU more (requests of containers)");
    assert_eq!(comparison["requests"]["finding"], Value::Null, "kata was evicted for memory");
    let sentence = comparison["capacities"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("Both are limited by memory in use, by which the difference is "),
        "{sentence}"
    );
    assert!(!narrative::summary(&report).contains("by requests"), "{}", narrative::summary(&report));
}
