//! Nodes that swap: what a report says of the cost of an instance.

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::scenario::Scenario;
use ramp_report::analysis::Estimates;
use ramp_report::analysis::comparison::{Comparison, Pooled};
use ramp_report::analysis::results::RunResults;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, json, narrative};
use serde_json::{Value, json};

use crate::support::schemas::assert_valid;
use crate::support::{SECOND, Stage, plan, surveyed_run_file};

const MB: f64 = 1e6;

/// A run of twelve instances, each of 100 MB and 5 MB of its runtime, on a node that is swapping in this way.
async fn recorded(node: Value) -> (Stage, Dataset) {
    recorded_with(node, "5M").await
}

/// The same where the runtime takes so much.
async fn recorded_with(node: Value, runtime: &str) -> (Stage, Dataset) {
    let stage = Stage::new();
    let mut kind = json!({"count": 1, "memory": "4Gi", "idle": "400Mi", "pods": 50});
    kind.as_object_mut().unwrap().extend(node.as_object().unwrap().clone());
    let world = json!({
        "nodes": [kind],
        "load": {"memory": "100M", "growth_rate": "200M/s", "report_every": "5s", "cpu": "0.02"},
        "runtime": {"memory": runtime},
        "machine": {"noise": "50k", "wander": "10k"},
    });
    let options = EngineOptions { world: Some(world), ..EngineOptions::default() };
    let plan = Plan {
        engine: EngineKind::Simulated,
        to: 12,
        settle: 10 * SECOND,
        hold: 20 * SECOND,
        options,
        ..plan()
    };
    let scenario = World::of(&plan.options).unwrap().applied_to(&Scenario::embedded().unwrap()).unwrap();
    let spec =
        EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options: plan.options.clone() };
    let mut engine = SimulatedEngine::new(spec).unwrap();
    let file = surveyed_run_file(&mut engine, &scenario, &plan, stage.clock.now()).await;
    let directory = Directory::create(&stage.path(), file).unwrap();
    Run::new(engine, directory, stage.surroundings()).go().await.unwrap();
    let data = Dataset::read(&stage.path()).unwrap();
    (stage, data)
}

/// 98.5 MB of the load are its own; page tables stay.
const COST: f64 = 98.5 * MB * (1.0 + 1.0 / 512.0) + 5.0 * MB;
/// Of that: anonymous memory.
const ANON: f64 = 98.5 * MB + 5.0 * MB;

#[tokio::test(start_paused = true)]
async fn an_instance_costs_as_much_with_a_third_of_it_swapped_out_and_the_report_says_how_much_that_is() {
    let (_stage, data) = recorded(json!({"swap": "4Gi", "swapped": 0.3})).await;
    let report = Report::of(vec![data], None);
    let (_, found): (_, &RunResults) = report.runs().next().unwrap();
    let Estimates { marginal_cost, swapped, held, capacities, .. } = &found.estimates;
    assert_eq!(held.as_ref().unwrap().count, 12, "what is swapped out is held");
    let cost = marginal_cost.as_ref().unwrap();
    assert!(cost.interval.contains(COST) && (cost.bytes - COST).abs() < 0.01 * COST, "{cost:?}");
    let swapped = swapped.as_ref().unwrap();
    assert!((swapped.on_disk.bytes - 0.3 * ANON).abs() < 0.3 * MB, "{:?}", swapped.on_disk.interval);
    assert!(swapped.compressed.bytes.abs() < 1.0);
    let why = capacities.by_memory.as_ref().unwrap_err();
    assert!(why.0.contains("how much more they would swap out is unknown"), "{why}");
    let said = narrative::summary(&report);
    assert!(said.contains(" MB), of which 31."), "{said}");
    assert!(said.contains("swapped out") && !said.contains("compressed"), "{said}");
    let json = json::json(&report);
    assert_valid("report", &json);
    let figure = &json["runs"][0]["estimates"]["swapped_per_instance"];
    assert!((figure["bytes"].as_f64().unwrap() - 0.3 * ANON).abs() < 0.3 * MB, "{figure}");
    assert_eq!(figure["instances"], 12);
}

#[tokio::test(start_paused = true)]
async fn compressed_memory_counts_by_its_compressed_size() {
    let (_stage, data) = recorded(json!({"swap": "4Gi", "swapped": 0.3, "zswap": 0.25})).await;
    let report = Report::of(vec![data], None);
    let (_, found): (_, &RunResults) = report.runs().next().unwrap();
    let (cost, swapped) =
        (found.estimates.marginal_cost.as_ref().unwrap(), found.estimates.swapped.as_ref().unwrap());
    let truth = COST - 0.3 * ANON * 0.75;
    assert!(cost.interval.contains(truth) && (cost.bytes - truth).abs() < 0.01 * COST, "{cost:?}");
    assert!((swapped.compressed.bytes - 0.3 * ANON * 0.25).abs() < 0.3 * MB, "{swapped:?}");
    assert!(swapped.on_disk.bytes.abs() < 0.3 * MB, "{:?}", swapped.on_disk.interval);
    let said = narrative::summary(&report);
    assert!(said.contains("compressed"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn runtimes_do_not_differ_by_what_compression_saves() {
    let (_one, compressed) = recorded(json!({"swap": "4Gi", "swapped": 0.3, "zswap": 0.25})).await;
    let (_two, plain) = recorded_with(json!({}), "35M").await;
    let [base, other] = [compressed, plain].map(|data| {
        let found = Estimates::of(&data, None);
        Pooled::of(&[(&data, &found)])
    });
    let overhead = Comparison::of(&base, &other).overhead_per_pod.unwrap();
    assert!(overhead.interval.contains(30.0 * MB), "{overhead:?}");
}

#[tokio::test(start_paused = true)]
async fn no_report_speaks_of_swap_where_none_is_used() {
    for node in [json!({}), json!({"swap": "4Gi"})] {
        let (_stage, data) = recorded(node).await;
        let report = Report::of(vec![data], None);
        let said = narrative::summary(&report);
        assert!(!said.contains("swap"), "{said}");
        let (_, found): (_, &RunResults) = report.runs().next().unwrap();
        assert!(found.estimates.capacities.by_memory.is_ok(), "{:?}", found.estimates.capacities.by_memory);
        assert!(found.estimates.marginal_cost.as_ref().unwrap().interval.contains(COST));
    }
}
