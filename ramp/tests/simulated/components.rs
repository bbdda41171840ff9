//! Memory by component, and its peak, where they are known.

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_report::analysis::components::{Components, NEEDS_PROBE};
use ramp_report::analysis::memory_parts::{IN_MEMORY, MemoryPart, NODE_AND_REST, SWAPPED_OUT, memory_parts};
use ramp_report::dataset::Dataset;
use ramp_report::report::json::json;
use ramp_report::report::terminal::text;
use ramp_report::report::{Report, memory_bars};

use crate::support::schemas::assert_valid;
use crate::support::{SECOND, Stage, plan, rows, run_file};

const MIB: f64 = 1_048_576.0;

/// A quiet cluster. What follows is its runtime.
const QUIET: &str = "
nodes: [{count: 1, memory: 64Gi}]
load: {memory: 100Mi, growth_rate: instant, report_every: 5s, shared: 1500k}
machine: {components_every: 5s, noise: 20k, wander: 20k, parts: {kubelet: 1Mi}}
phases: {create: 2500ms}
";

async fn data(world: &str, mix: &[&str]) -> Dataset {
    let world = World::parse(world).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options = EngineOptions {
        world: Some(serde_json::to_value(world).unwrap()),
        mix: mix.iter().map(|runtime| (*runtime).to_owned()).collect(),
        ..EngineOptions::default()
    };
    let plan = Plan {
        engine: EngineKind::Simulated,
        to: 8,
        settle: 10 * SECOND,
        hold: 20 * SECOND,
        options: options.clone(),
        ..plan()
    };
    let order = EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options };
    let (stage, engine) = (Stage::new(), SimulatedEngine::new(order).unwrap());
    let file = RunFile {
        scenario: scenario.name.clone(),
        manifest: scenario.manifest.clone(),
        ..run_file(&plan, stage.clock.now())
    };
    let directory = Directory::create(&stage.path(), file).unwrap();
    Run::new(engine, directory, stage.surroundings()).go().await.unwrap();
    assert_eq!(rows(&stage.path(), "components.csv").is_empty(), world_has_no_probe(&plan));
    Dataset::read(&stage.path()).unwrap()
}

fn world_has_no_probe(plan: &Plan) -> bool {
    plan.options.world.as_ref().unwrap()["machine"].get("components_every").is_none()
}

/// The text of a report without its line breaks.
fn said(report: &Report) -> String {
    text(report).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// In MiB, to a tenth.
fn rounded(found: &Components, name: &str) -> f64 {
    (found.cost(name).unwrap() / MIB * 10.0).round() / 10.0
}

#[tokio::test(start_paused = true)]
async fn each_component_costs_what_it_holds_and_the_rest_is_what_nothing_tells_of() {
    let runtime =
        "runtime: {memory: 118Mi, parts: {vmm: 64Mi, virtiofsd: 48Mi}, peak: 128Mi, peak_for: 2600ms}\n";
    let report = Report::of(vec![data(&[QUIET, runtime].concat(), &[]).await], None);
    let found = report.findings.runs[0].components.whole.components.as_ref().unwrap();
    assert_eq!(
        [rounded(found, "vmm"), rounded(found, "virtiofsd"), rounded(found, "sentry")],
        [64.0, 48.0, 0.0]
    );
    let [node, kernel, rest] = [&found.node, &found.kernel, &found.rest].map(|cost| cost.as_ref().unwrap());
    assert!(node.interval.contains(MIB) && node.interval.half_width() < MIB, "{:?}", node.interval);
    assert!(kernel.interval.contains(0.2 * MIB), "page tables: {:?}", kernel.interval);
    assert!(
        rest.interval.contains(6.0 * MIB) && !rest.interval.contains(0.0),
        "6 MiB are hidden: {:?}",
        rest.interval
    );
    let whole = report.findings.runs[0].estimates.marginal_cost.as_ref().unwrap();
    assert!((found.sum() + rest.bytes - whole.bytes).abs() < 1.0, "they add up to the marginal cost");

    let said = said(&report);
    assert!(said.contains("who holds it load 98.6, vmm 64.0, virtiofsd 48.0, node 1"), "{said}");
    // 118 MiB and 128 MiB more, when all of the load is there.
    assert!(said.contains("peak per instance 246.2 MiB (95% CI 246.2 to 247.6 MiB)"), "{said}");
    let json = json(&report);
    assert_valid("report", &json);
    let found = &json["runs"][0]["estimates"]["components"];
    assert_eq!((found["instance"]["vmm"]["bytes"].as_f64().unwrap() / MIB).round(), 64.0);
    assert!(
        found["kernel"]["page_tables"]["low"].is_number() && found["rest"]["high"].is_number(),
        "{found}"
    );
    assert!(json["runs"][0]["estimates"]["peak_per_instance"]["most_bytes"].is_number(), "{json}");
}

#[tokio::test(start_paused = true)]
async fn the_load_is_taken_out_of_the_sandbox_that_holds_it_and_two_runtimes_are_held_against_each_other() {
    let gvisor = "runtime: {name: gvisor, memory: 29Mi, guest: true, parts: {sentry: 20Mi, gofer: 9Mi}}\n";
    let runc = "runtime: {name: runc, memory: 5Mi, parts: {shim: 5Mi}}\n";
    let runs = vec![data(&[QUIET, runc].concat(), &[]).await, data(&[QUIET, gvisor].concat(), &[]).await];
    let report = Report::of(runs, None);
    let found = report.findings.runs[1].components.whole.components.as_ref().unwrap();
    assert_eq!(
        [rounded(found, "sentry"), rounded(found, "gofer"), rounded(found, "load")],
        [20.0, 9.0, 98.6]
    );
    let said = said(&report);
    assert!(
        said.contains("sentry without the load's memory, which is in it, as the load reports it"),
        "{said}"
    );
    let compared = report.findings.comparisons[0].components.as_ref().unwrap();
    let of = |name: &str| compared.iter().find(|found| found.name == name).unwrap();
    assert!(
        (of("sentry").bytes / MIB - 20.0).abs() < 0.1 && of("sentry").interval.low > 19.0 * MIB,
        "{compared:?}"
    );
    assert!(of("shim").interval.contains(-5.0 * MIB) && of("rest").interval.contains(0.0), "{compared:?}");
    assert!(said.contains("who holds more"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn runtimes_of_a_mixed_run_have_their_own_components_and_no_kernel() {
    let runtimes = "runtime: {name: runc, memory: 5Mi, parts: {shim: 5Mi}}\n\
                    runtimes: {kata: {memory: 70Mi, parts: {vmm: 64Mi, shim: 6Mi}}}\n";
    let report = Report::of(vec![data(&[QUIET, runtimes].concat(), &["default", "kata"]).await], None);
    let [runc, kata] =
        [0, 1].map(|at| report.findings.runs[0].components.of(Some(at)).components.as_ref().unwrap());
    assert_eq!([rounded(runc, "vmm"), rounded(runc, "shim")], [0.0, 5.0]);
    assert_eq!([rounded(kata, "vmm"), rounded(kata, "shim")], [64.0, 6.0]);
    let why = kata.cost("kernel").unwrap_err();
    assert!(why.0.contains("not told apart by runtime"), "{why}");
    assert!(
        said(&report).contains("kata: load 98.6, vmm 64.0, shim 6.0 MiB per instance"),
        "{}",
        text(&report)
    );
}

#[tokio::test(start_paused = true)]
async fn where_no_component_probe_ran_it_is_said_how_to_have_one_and_nothing_else() {
    let without = QUIET.replace("components_every: 5s, ", "");
    let report = Report::of(vec![data(&without, &[]).await], None);
    let why = report.findings.runs[0].components.whole.peak.clone().unwrap_err();
    assert_eq!(why.0, NEEDS_PROBE);
    let said = said(&report);
    assert!(!said.contains("who holds it") && !said.contains("peak"), "{said}");
    assert_eq!(json(&report)["runs"][0]["estimates"]["reason"]["components"], NEEDS_PROBE);
}

/// The same cluster with nodes that swap.
fn swapping(node: &str) -> String {
    QUIET.replace("memory: 64Gi", &format!("memory: 64Gi, swap: 16Gi, swapped: 0.3{node}"))
}

/// Anonymous memory of the load of an instance.
const LOAD_ANON: f64 = 100.0 * MIB - 1_500_000.0;

fn sum(parts: &[MemoryPart]) -> f64 {
    parts.iter().map(|part| part.bytes).sum()
}

fn of(parts: &[MemoryPart], name: &str) -> f64 {
    parts.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{name}: {parts:?}")).bytes
}

const HEAVY: &str = "runtime: {memory: 60Mi, parts: {vmm: 40Mi, virtiofsd: 20Mi}}\n";

#[tokio::test(start_paused = true)]
async fn parts_of_memory_add_up_to_its_cost_with_what_is_swapped_out_and_compressed_as_parts_of_their_own() {
    let out = 0.3 * (LOAD_ANON + 60.0 * MIB);
    for (node, compressed, on_disk) in [("", 0.0, out), (", zswap: 0.25", 0.25 * out, 0.0)] {
        let report = Report::of(vec![data(&[&swapping(node), HEAVY].concat(), &[]).await], None);
        let found = &report.findings.runs[0];
        let parts = memory_parts(found, None);
        assert!(
            (sum(&parts) - found.estimates.marginal_cost.as_ref().unwrap().bytes).abs() < 1.0,
            "{parts:?}"
        );
        let told = if on_disk > 0.0 { of(&parts, SWAPPED_OUT) } else { of(&parts, "compressed") };
        assert!((told - on_disk - compressed).abs() < 0.5 * MIB, "{parts:?}");
        assert!((of(&parts, "vmm") - 0.7 * 40.0 * MIB).abs() < 0.1 * MIB, "what is swapped out is not in it");
        assert!(of(&parts, "rest").abs() < 1.5 * MIB, "nor is it in the rest: {parts:?}");
        let charts = memory_bars::charts(&report);
        assert_eq!(charts.len(), 1);
        let svg = charts[0].svg().unwrap();
        assert!(svg.contains("virtiofsd 14.0") && svg.contains("load 69."), "{svg}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_component_probe_memory_is_told_apart_by_where_it_is_and_without_swap_it_is_not_drawn() {
    let without = |world: String| world.replace("components_every: 5s, ", "");
    let report = Report::of(vec![data(&[&without(swapping("")), HEAVY].concat(), &[]).await], None);
    let parts = memory_parts(&report.findings.runs[0], None);
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    assert_eq!(names, [SWAPPED_OUT, IN_MEMORY]);
    let cost = report.findings.runs[0].estimates.marginal_cost.as_ref().unwrap().bytes;
    assert!(
        (sum(&parts) - cost).abs() < 1.0 && (of(&parts, SWAPPED_OUT) / cost - 0.3).abs() < 0.01,
        "{parts:?}"
    );
    let report = Report::of(vec![data(&[&without(QUIET.into()), HEAVY].concat(), &[]).await], None);
    assert_eq!(memory_bars::charts(&report), []);
}

#[tokio::test(start_paused = true)]
async fn runtimes_of_a_mixed_run_have_bars_that_add_up_and_what_the_probe_tells_is_swapped_out_of_each() {
    let runtimes = "runtime: {name: runc, memory: 5Mi, parts: {shim: 5Mi}}\n\
                    runtimes: {kata: {memory: 70Mi, parts: {vmm: 64Mi, shim: 6Mi}}}\n";
    let mix = ["default", "kata"];
    let report = Report::of(vec![data(&[&swapping(""), runtimes].concat(), &mix).await], None);
    let found = &report.findings.runs[0];
    for (group, overhead) in [(0, 5.0), (1, 70.0)] {
        let parts = memory_parts(found, Some(group));
        assert!((sum(&parts) - found.mixed[group].cost.as_ref().unwrap().bytes).abs() < 1.0, "{parts:?}");
        let truth = 0.3 * (LOAD_ANON + overhead * MIB);
        assert!((of(&parts, SWAPPED_OUT) - truth).abs() < 0.02 * truth, "{truth}: {parts:?}");
        let rest = parts.iter().find(|part| part.name == NODE_AND_REST).unwrap();
        // What kubelet holds for each, and page tables.
        assert!(rest.interval.unwrap().contains(1.2 * MIB), "{rest:?}");
    }
    assert_eq!(memory_bars::charts(&report).len(), 1);
    // What is compressed is told of the nodes, and not of a runtime.
    let report = Report::of(vec![data(&[&swapping(", zswap: 0.25"), runtimes].concat(), &mix).await], None);
    assert!(memory_parts(&report.findings.runs[0], Some(1)).iter().all(|part| part.name != SWAPPED_OUT));
}
