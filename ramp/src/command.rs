//! Subcommands.

mod clean;
mod error;
mod interrupts;
mod output_directory;
mod report;
mod report_files;
mod resumed;
mod study_report;

pub use clean::clean;
pub use error::CommandError;
pub use report::report;

use error::{INTERRUPTED, REFUSED};

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::factory::AnyEngine;
use crate::engine::simulated::World;
use crate::live_runs::LiveRun;
use crate::plan::builder::PlanBuilder;
use crate::preflight::forecast::{forecast, largest_load, needs, no_room};
use crate::preflight::summary;
use crate::run::{Run, Surroundings};
use crate::ui::{Summary, View, notice, out};
use crate::waiting::{Wait, telling};
use ramp_format::directory::Directory;
use ramp_format::plan::EngineKind;
use ramp_format::preflight::{Forecast, Preflight};
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::time::Time;

/// Runs the preflight and prints the plan, the forecast and the findings.
///
/// # Errors
/// If the engine cannot be reached, or arguments contradict each other.
pub async fn plan(args: &RunArgs) -> Result<ExitCode, CommandError> {
    if args.resume.is_some() {
        return Err(CommandError::Input(
            "--resume is an option of ramp run: a run that is resumed has its plan in run.json".into(),
        ));
    }
    let (builder, mut engine, _) = prepare(args).await?;
    let RunDiscovery { preflight, forecast, text } = preflight(&mut engine, &builder).await?;
    if args.json {
        let PlanBuilder { plan, out: directory, .. } = &builder;
        let whole = json!({"plan": plan, "survey": preflight, "forecast": forecast, "out": directory});
        out(&whole.to_string());
    } else {
        out(text.trim_end());
    }
    Ok(if is_refused(&preflight) { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

/// Runs, or resumes a run.
///
/// # Errors
/// Those of [`plan`], and if the run directory cannot be written.
pub async fn run(args: &RunArgs) -> Result<ExitCode, CommandError> {
    if let Some(directory) = &args.resume {
        return resume(directory, args.json).await;
    }
    let (builder, mut engine, clock) = prepare(args).await?;
    if let AnyEngine::Kubernetes(engine) = &mut engine {
        engine.replace = builder.plan.force;
    }
    let interrupts = interrupts::count();
    let view = View::of(args.json);
    let Some(found) = unless_interrupted(&interrupts, &mut engine, &builder).await? else {
        view.say("interrupted: nothing was created");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let RunDiscovery { preflight, forecast, text } = found;
    view.plan(&text);
    if is_refused(&preflight) {
        if !builder.plan.force {
            view.plan("\npreflight failed: nothing was created; fix the errors, or rerun with --force");
            return Ok(ExitCode::from(REFUSED));
        }
        view.plan("\npreflight failed: continuing because of --force; the errors are recorded");
    }
    let PlanBuilder { plan, scenario, out } = builder;
    let clock = clock.begin();
    let file = RunFile::new(plan, scenario.name, scenario.manifest, preflight, Time(clock.now()));
    let directory = Directory::create(&out, RunFile { forecast: Some(forecast), ..file })
        .map_err(|error| format!("{}: {error}", out.display()))?;
    let _live = mark_as_live(&directory.run.run);
    let run = Run::new(engine, directory, Surroundings { clock, view, interrupts: interrupts.clone() });
    finish(run, &interrupts).await
}

/// Does `work`, and says on standard error what it waits for.
async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    telling(Wait::begin(Instant::now()), || what.to_owned(), notice, work).await
}

/// Plan, engine and clock of a new run.
async fn prepare(args: &RunArgs) -> Result<(PlanBuilder, AnyEngine, Clock), CommandError> {
    let mut clock = Clock::system();
    let builder = PlanBuilder::of(args, &clock).map_err(CommandError::Input)?;
    if builder.plan.engine == EngineKind::Simulated {
        // From here on time advances whenever all tasks wait for it.
        tokio::time::pause();
        let world = World::of(&builder.plan.options).map_err(CommandError::Input)?;
        clock = Clock::simulated(world.begin.0);
    }
    let engine = AnyEngine::new(builder.plan.engine, builder.engine_spec()).await;
    let engine = engine.map_err(|failure| match builder.plan.engine {
        // They ask for nothing but the scenario.
        EngineKind::Local | EngineKind::Simulated => CommandError::Input(failure.message),
        EngineKind::Podman | EngineKind::Kubernetes => failure.into(),
    })?;
    Ok((builder, engine, clock))
}

/// What is known before the first step.
struct RunDiscovery {
    preflight: Preflight,
    forecast: Forecast,
    /// Both, and the plan, as text.
    text: String,
}

async fn preflight(engine: &mut impl Engine, builder: &PlanBuilder) -> Result<RunDiscovery, CommandError> {
    let PlanBuilder { plan, scenario, out } = builder;
    let what = format!("{}: preflight", engine.place());
    let mut preflight = waiting(&what, engine.preflight()).await?;
    preflight.versions.insert("ramp".into(), env!("CARGO_PKG_VERSION").into());
    preflight.findings.extend(output_directory::findings(out));
    let needs = needs(scenario, &preflight);
    let fill_seconds = largest_load(&preflight, &needs).and_then(|memory| scenario.fill_seconds(memory));
    let forecast = forecast(&preflight, &needs, plan, fill_seconds);
    preflight.findings.extend(no_room(&forecast));
    let ignored = scenario.other_objects.iter();
    preflight
        .not_honoured
        .extend(ignored.map(|object| {
            format!("{object}: not applied; of its file only Deployment/{} is", scenario.name)
        }));
    let text = summary::describe(plan, scenario, &preflight, &forecast);
    Ok(RunDiscovery { preflight, forecast, text })
}

/// The preflight, unless it is interrupted. That of the local engine is not cut off: it removes what it tries.
async fn unless_interrupted(
    interrupts: &watch::Receiver<u32>,
    engine: &mut AnyEngine,
    builder: &PlanBuilder,
) -> Result<Option<RunDiscovery>, CommandError> {
    let mut seen = interrupts.clone();
    let may_be_cut = builder.plan.engine != EngineKind::Local;
    tokio::select! {
        biased;
        found = preflight(engine, builder) => {
            let found = found?;
            Ok((*interrupts.borrow() == 0).then_some(found))
        }
        Ok(_) = seen.wait_for(|count| *count > 0), if may_be_cut => Ok(None),
    }
}

fn is_refused(preflight: &Preflight) -> bool {
    preflight.findings.iter().any(|finding| finding.refuses)
}

async fn resume(path: &Path, json: bool) -> Result<ExitCode, CommandError> {
    let file = read_run(path).map_err(|error| CommandError::reading(&error))?;
    let at = path.display();
    if let Some(end) = file.end {
        return Err(CommandError::Input(format!("{at}: nothing to resume: the run ended at {end}")));
    }
    if file.plan.engine == EngineKind::Simulated {
        let why = "a simulated cluster ends with its process";
        return Err(CommandError::Input(format!("{at}: nothing to resume: {why}")));
    }
    let interrupts = interrupts::count();
    let run = resumed::resumed(path, &file, View::of(json), interrupts.clone()).await?;
    let _live = mark_as_live(&file.run);
    finish(run, &interrupts).await
}

/// Other processes neither remove the instances of this run nor take them for left behind.
fn mark_as_live(run: &str) -> Option<LiveRun> {
    LiveRun::begin(run).inspect_err(|error| tracing::debug!("run {run} is not marked as live: {error}")).ok()
}

async fn finish(run: Run<AnyEngine>, interrupts: &watch::Receiver<u32>) -> Result<ExitCode, CommandError> {
    let Summary { failed, left, .. } = run.go().await?;
    let interrupted = *interrupts.borrow() > 0;
    Ok(match (interrupted, failed || !left.is_empty()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}
