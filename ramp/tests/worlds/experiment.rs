//! Experiment: one run on a world, and its report.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use ramp::clock::Clock;
use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, Truth, World};
use ramp::run::{Run, Surroundings};
use ramp::ui::{Summary, View};
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_format::study::Limits;
use ramp_report::analysis::results::RunResults;
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use tokio::sync::watch;
use workload::quantity::Bytes;

use crate::support::{run_file, surveyed_run_file};

/// How a world is ramped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) steps: u32,
    pub(crate) from: u32,
    pub(crate) down: bool,
    pub(crate) pace: Pace,
}

/// What a run was, and what a report says of it.
pub(crate) struct StepOutcome {
    pub(crate) truth: Truth,
    pub(crate) summary: Summary,
    pub(crate) data: Dataset,
    pub(crate) found: RunResults,
    /// Its seed is that of the run.
    pub(crate) world: World,
}

/// The worlds, by their names.
pub(crate) fn catalogue() -> Vec<(String, World)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds/catalogue");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |path: &PathBuf| {
        (path.file_stem().unwrap().to_string_lossy().into_owned(), World::read(path).unwrap())
    };
    files.iter().map(named).collect()
}

pub(crate) fn shaped_plan(shape: Shape, world: &World) -> Plan {
    let is_of_use = |rule: &StopRule| shape.pace != Pace::None || rule.name() != "stalled";
    Plan {
        run: format!("20260101-120000-{:04x}", world.seed & 0xffff),
        engine: EngineKind::Simulated,
        scenario: None,
        from: shape.from,
        to: shape.from + shape.steps - 1,
        step: 1,
        pace: shape.pace,
        step_timeout: Duration::from_secs(60),
        settle: Duration::from_secs(10),
        hold: Duration::from_secs(30),
        down: shape.down,
        stop: StopRule::usual().into_iter().filter(is_of_use).collect(),
        note: Vec::new(),
        beyond: 5,
        keep: false,
        force: false,
        labels: Vec::new(),
        options: EngineOptions {
            world: Some(serde_json::to_value(world).unwrap()),
            ..EngineOptions::default()
        },
        search: None,
    }
}

/// Runs a world in a directory, and reports on it.
pub(crate) fn run(world: World, shape: Shape, directory: &Path) -> StepOutcome {
    let plan = shaped_plan(shape, &world);
    run_plan(world, &plan, directory)
}

/// The same with a memory limit of the container.
pub(crate) fn run_limited(world: World, shape: Shape, limit: u64, directory: &Path) -> StepOutcome {
    let plan = shaped_plan(shape, &world);
    run_with(world, &plan, directory, Asked { limit: Some(Bytes(limit)), ..Asked::default() })
}

/// The same with a group of instances under each of these runtimes.
pub(crate) fn run_mixed(world: World, shape: Shape, mix: &[&str], directory: &Path) -> StepOutcome {
    let mut plan = shaped_plan(shape, &world);
    plan.options.mix = mix.iter().map(|runtime| (*runtime).to_owned()).collect();
    run_plan(world, &plan, directory)
}

/// The same by a plan.
pub(crate) fn run_plan(world: World, plan: &Plan, directory: &Path) -> StepOutcome {
    run_with(world, plan, directory, Asked::default())
}

/// The same as [`run`] with what the preflight finds and forecasts.
pub(crate) fn run_surveyed(world: World, shape: Shape, directory: &Path) -> StepOutcome {
    let plan = shaped_plan(shape, &world);
    run_with(world, &plan, directory, Asked { survey: true, ..Asked::default() })
}

/// What a run has beside its world and its plan.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    /// Whether a preflight is made.
    survey: bool,
    /// Memory limit of the container.
    limit: Option<Bytes>,
}

/// The scenario of each run, read once.
static EMBEDDED: LazyLock<Scenario> = LazyLock::new(|| Scenario::embedded().unwrap());

fn run_with(world: World, plan: &Plan, directory: &Path, asked: Asked) -> StepOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (truth, summary) = runtime.block_on(async {
        let clock = Clock::simulated(world.begin.0);
        let limits = Limits { memory: asked.limit, cpu: None };
        let scenario = world.applied_to(&EMBEDDED).unwrap().with_limits(&limits).unwrap();
        let order =
            EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options: plan.options.clone() };
        let mut engine = SimulatedEngine::new(order).unwrap();
        let file = match asked.survey {
            true => surveyed_run_file(&mut engine, &scenario, plan, clock.now()).await,
            false => RunFile {
                scenario: scenario.name.clone(),
                manifest: scenario.manifest.clone(),
                ..run_file(plan, clock.now())
            },
        };
        let truth = engine.truth();
        let (_never, interrupts) = watch::channel(0);
        let surroundings = Surroundings { clock, view: View::Nothing, interrupts };
        let directory = Directory::create(directory, file).unwrap();
        let summary = Run::new(engine, directory, surroundings).go().await.unwrap();
        (truth.read(), summary)
    });
    let report = Report::of(vec![Dataset::read(directory).unwrap()], None);
    let Report { mut data, findings, .. } = report;
    let mut runs = findings.runs;
    StepOutcome { truth, summary, data: data.remove(0), found: runs.remove(0), world }
}
