//! What each subcommand does.

mod clean;
mod interrupts;
mod output_directory;
mod report;

pub use clean::clean;
pub use report::report;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use crate::plan::builder::PlanBuilder;
use tokio::sync::watch;

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::factory::AnyEngine;
use crate::engine::simulated::World;
use crate::engine::{Engine, EngineSpec, Failure};
use crate::preflight::forecast::forecast;
use crate::preflight::summary;
use crate::run::{Run, Surroundings};
use crate::ui::{Summary, View};
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, Plan};
use ramp_format::preflight::Forecast;
use ramp_format::preflight::Preflight;
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::scenario::Scenario;
use ramp_format::time::Time;

/// Refused before the first step.
const REFUSED: u8 = 3;
/// As shells tell of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Why a command could not do what it was asked to: a sentence for people.
pub type CommandError = String;

/// Looks at everything, and says what a run would do.
///
/// # Errors
/// Where nothing can be learned of the engine, or the arguments do not fit together.
pub async fn plan(args: &RunArgs) -> Result<ExitCode, CommandError> {
    if let Some(directory) = &args.resume {
        return Err(format!(
            "--resume {} goes with ramp run: its plan stands in its run.json",
            directory.display()
        ));
    }
    let builder = PlanBuilder::of(args, &Clock::system())?;
    if builder.plan.engine == EngineKind::Simulated {
        simulate();
    }
    let engine = AnyEngine::new(builder.plan.engine, builder.order()).await.map_err(words)?;
    look(engine, &builder, args).await
}

/// Runs, or goes on with a run.
///
/// # Errors
/// Those of [`plan`], and where the run directory cannot be written.
pub async fn run(args: &RunArgs) -> Result<ExitCode, CommandError> {
    if let Some(directory) = &args.resume {
        return resume(directory, args.json).await;
    }
    let mut clock = Clock::system();
    let builder = PlanBuilder::of(args, &clock)?;
    if builder.plan.engine == EngineKind::Simulated {
        simulate();
        clock = Clock::simulated(World::of(&builder.plan.options)?.begin.0);
    }
    let mut engine = AnyEngine::new(builder.plan.engine, builder.order()).await.map_err(words)?;
    if let AnyEngine::Kubernetes(engine) = &mut engine {
        engine.replace = builder.plan.force;
    }
    begin(engine, builder, args, clock).await
}

/// From here on time goes on when everything waits for it.
fn simulate() {
    tokio::time::pause();
}

fn words(failure: Failure) -> CommandError {
    failure.message
}

/// What is known before the first step.
struct RunDiscovery {
    preflight: Preflight,
    forecast: Forecast,
    /// All of it in words.
    text: String,
}

/// What an engine finds, and what the plan comes to.
async fn preflight(engine: &mut impl Engine, builder: &PlanBuilder) -> Result<RunDiscovery, CommandError> {
    let mut preflight = engine.preflight().await.map_err(words)?;
    preflight.versions.insert("ramp".into(), env!("CARGO_PKG_VERSION").into());
    preflight.findings.extend(output_directory::findings(&builder.out));
    let forecast =
        forecast(&preflight, builder.scenario.needs(), &builder.plan, builder.scenario.fill_seconds());
    let text = summary::describe(&builder.plan, &builder.scenario, &preflight, &forecast);
    Ok(RunDiscovery { preflight, forecast, text })
}

async fn look(
    mut engine: impl Engine,
    builder: &PlanBuilder,
    args: &RunArgs,
) -> Result<ExitCode, CommandError> {
    let RunDiscovery { preflight, forecast, text } = preflight(&mut engine, builder).await?;
    if args.json {
        let whole = serde_json::json!({"plan": builder.plan, "survey": preflight, "forecast": forecast, "out": builder.out});
        crate::ui::out(&whole.to_string());
    } else {
        crate::ui::out(text.trim_end());
    }
    Ok(if is_refused(&preflight) { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn is_refused(preflight: &Preflight) -> bool {
    preflight.findings.iter().any(|finding| finding.refuses)
}

async fn begin(
    mut engine: impl Engine,
    builder: PlanBuilder,
    args: &RunArgs,
    clock: Clock,
) -> Result<ExitCode, CommandError> {
    let interrupts = interrupts::heard();
    let found = preflight(&mut engine, &builder).await?;
    let view = view(args.json);
    view.plan(&found.text);
    if is_refused(&found.preflight) {
        if !builder.plan.force {
            view.plan(
                "\nrefused: nothing has been made. Mend what is wrong, or begin all the same with --force.",
            );
            return Ok(ExitCode::from(REFUSED));
        }
        view.plan("\nforced: what is wrong is recorded.");
    }
    let file = run_file(&builder.plan, &builder.scenario, found, clock);
    let directory = Directory::create(&builder.out, file)
        .map_err(|error| format!("{}: {error}", builder.out.display()))?;
    let run = Run::new(engine, directory, Surroundings { clock, view, interrupts: interrupts.clone() });
    finish(run, &interrupts).await
}

async fn resume(path: &Path, json: bool) -> Result<ExitCode, CommandError> {
    let file = read_run(path).map_err(|error| error.to_string())?;
    if let Some(end) = file.end {
        return Err(format!("{}: this run ended at {end}: there is nothing to go on with", path.display()));
    }
    if file.plan.engine == EngineKind::Simulated {
        return Err(ended_with_its_process(path));
    }
    go_on(engine_of(&file).await?, path, json).await
}

fn ended_with_its_process(path: &Path) -> CommandError {
    format!(
        "{}: a simulated cluster ends with its process: there is nothing to go on with, and nothing left",
        path.display()
    )
}

/// The engine of a run, as its `run.json` has it.
async fn engine_of(file: &RunFile) -> Result<AnyEngine, CommandError> {
    let scenario =
        Scenario::of(file.manifest.clone()).map_err(|error| format!("run.json: manifest: {error}"))?;
    let spec = EngineSpec { run: file.run.clone(), scenario, options: file.plan.options.clone() };
    AnyEngine::new(file.plan.engine, spec).await.map_err(words)
}

async fn go_on(engine: impl Engine, path: &Path, json: bool) -> Result<ExitCode, CommandError> {
    let interrupts = interrupts::heard();
    let surroundings =
        Surroundings { clock: Clock::system(), view: view(json), interrupts: interrupts.clone() };
    let before = Directory::resume(path).map_err(|error| format!("{}: {error}", path.display()))?;
    finish(Run::resume(engine, before, surroundings)?, &interrupts).await
}

async fn finish(run: Run<impl Engine>, interrupts: &watch::Receiver<u32>) -> Result<ExitCode, CommandError> {
    let Summary { failed, left, .. } = run.go().await?;
    let interrupted = *interrupts.borrow() > 0;
    Ok(match (interrupted, failed || !left.is_empty()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

fn view(json: bool) -> View {
    if json { View::json() } else { View::words() }
}

fn run_file(plan: &Plan, scenario: &Scenario, found: RunDiscovery, clock: Clock) -> RunFile {
    let RunDiscovery { preflight, forecast, .. } = found;
    let (name, manifest) = (scenario.name.clone(), scenario.manifest.clone());
    let file = RunFile::new(plan.clone(), name, manifest, preflight, Time(clock.now()));
    RunFile { forecast: Some(forecast), ..file }
}

/// What runs have left, by run.
type Leftovers = BTreeMap<String, Vec<String>>;
