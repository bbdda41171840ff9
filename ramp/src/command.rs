//! Subcommands.

mod clean;
mod interrupts;
mod output_directory;
mod report;
mod resumed;
mod waiting;

pub use clean::clean;
pub use report::report;

use waiting::waiting;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::sync::watch;

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::factory::AnyEngine;
use crate::engine::simulated::World;
use crate::engine::{Engine, Failure};
use crate::plan::builder::PlanBuilder;
use crate::preflight::forecast::forecast;
use crate::preflight::summary;
use crate::run::{Run, Surroundings};
use crate::ui::{Summary, View, out};
use ramp_format::directory::Directory;
use ramp_format::plan::EngineKind;
use ramp_format::preflight::{Forecast, Preflight};
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::time::Time;

/// Exit status if preflight failed.
const REFUSED: u8 = 3;
/// Exit status after an interrupt, as in shells.
const INTERRUPTED: u8 = 130;

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.message
    }
}

/// Runs the preflight and prints the plan, the forecast and the findings.
///
/// # Errors
/// If the engine cannot be reached, or arguments contradict each other.
pub async fn plan(args: &RunArgs) -> Result<ExitCode, String> {
    if args.resume.is_some() {
        return Err(
            "--resume is an option of ramp run: a run that is resumed has its plan in run.json".into()
        );
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
pub async fn run(args: &RunArgs) -> Result<ExitCode, String> {
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
    let file = RunFile::new(plan, scenario.name, scenario.manifest, preflight, Time(clock.now()));
    let directory = Directory::create(&out, RunFile { forecast: Some(forecast), ..file })
        .map_err(|error| format!("{}: {error}", out.display()))?;
    let run = Run::new(engine, directory, Surroundings { clock, view, interrupts: interrupts.clone() });
    finish(run, &interrupts).await
}

/// Plan, engine and clock of a new run.
async fn prepare(args: &RunArgs) -> Result<(PlanBuilder, AnyEngine, Clock), String> {
    let mut clock = Clock::system();
    let builder = PlanBuilder::of(args, &clock)?;
    if builder.plan.engine == EngineKind::Simulated {
        // From here on time advances whenever all tasks wait for it.
        tokio::time::pause();
        clock = Clock::simulated(World::of(&builder.plan.options)?.begin.0);
    }
    let engine = AnyEngine::new(builder.plan.engine, builder.engine_spec()).await?;
    Ok((builder, engine, clock))
}

/// What is known before the first step.
struct RunDiscovery {
    preflight: Preflight,
    forecast: Forecast,
    /// Both, and the plan, as text.
    text: String,
}

async fn preflight(engine: &mut impl Engine, builder: &PlanBuilder) -> Result<RunDiscovery, String> {
    let PlanBuilder { plan, scenario, out } = builder;
    let mut preflight = waiting(&format!("{}: preflight", plan.engine), engine.preflight()).await?;
    preflight.versions.insert("ramp".into(), env!("CARGO_PKG_VERSION").into());
    preflight.findings.extend(output_directory::findings(out));
    let forecast = forecast(&preflight, scenario.needs(), plan, scenario.fill_seconds());
    let text = summary::describe(plan, scenario, &preflight, &forecast);
    Ok(RunDiscovery { preflight, forecast, text })
}

/// The preflight, unless it is interrupted. That of the local engine is not cut off: it removes what it tries.
async fn unless_interrupted(
    interrupts: &watch::Receiver<u32>,
    engine: &mut AnyEngine,
    builder: &PlanBuilder,
) -> Result<Option<RunDiscovery>, String> {
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

async fn resume(path: &Path, json: bool) -> Result<ExitCode, String> {
    let file = read_run(path).map_err(|error| error.to_string())?;
    let at = path.display();
    if let Some(end) = file.end {
        return Err(format!("{at}: nothing to resume: the run ended at {end}"));
    }
    if file.plan.engine == EngineKind::Simulated {
        return Err(format!("{at}: nothing to resume: a simulated cluster ends with its process"));
    }
    let interrupts = interrupts::count();
    finish(resumed::resumed(path, &file, View::of(json), interrupts.clone()).await?, &interrupts).await
}

async fn finish(run: Run<AnyEngine>, interrupts: &watch::Receiver<u32>) -> Result<ExitCode, String> {
    let Summary { failed, left, .. } = run.go().await?;
    let interrupted = *interrupts.borrow() > 0;
    Ok(match (interrupted, failed || !left.is_empty()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}
