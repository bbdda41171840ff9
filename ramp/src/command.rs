//! Subcommands.

pub(crate) mod clean;
pub(crate) mod error;
mod export;
mod fetch;
mod gate;
mod history;
mod installation;
pub(crate) mod interrupts;
pub(crate) mod output_directory;
mod recorded_report;
mod report;
mod report_files;
mod results_server;
mod resumed;
mod schema;
mod serve;
pub(crate) mod single_run;
mod study;
mod study_report;

pub use error::CommandError;

use export::export;
use report::report;
use schema::schema;

use clean::clean;
use error::{INTERRUPTED, REFUSED};
use fetch::fetch;
use results_server::{bound, serve_results};
use serve::serve;
use single_run::{RunDiscovery, begin, is_refused, mark_as_live, preflight, prepare, unless_interrupted};
use study::study;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cli::{Command, RunArgs};
use crate::engine::factory::AnyEngine;
use crate::plan::builder::PlanBuilder;
use crate::run::{Run, Surroundings};
use crate::serve::BoundServer;
use crate::ui::{Summary, View, out};
use ramp_format::plan::EngineKind;
use ramp_format::run_file::read_run;

/// Runs a command that reads files and waits for nothing; `None` where it needs a runtime ([`execute`]).
#[must_use]
pub fn execute_offline(command: &Command) -> Option<ExitCode> {
    match command {
        Command::Export(args) => Some(export(args)),
        Command::Report(args) => Some(report(args)),
        Command::Schema(args) => Some(schema(args)),
        Command::History(args) => Some(history::history(args)),
        Command::Completions(args) => Some(installation::completions(args)),
        Command::Man(args) => Some(installation::man(args)),
        _ => None,
    }
}

/// Runs a command that waits for an engine to its end. (Asynchronous code is compiled where it is polled: here, and not once more in the
/// program.)
///
/// # Errors
/// Those of the command.
pub fn execute(runtime: &Runtime, command: &Command) -> Result<ExitCode, CommandError> {
    runtime.block_on(async {
        match command {
            Command::Plan(args) => plan(args).await,
            Command::Run(args) => run(args).await,
            Command::Clean(args) => clean(args).await,
            Command::Study(args) => study(args).await,
            Command::Fetch(args) => fetch(args).await,
            Command::Serve(args) => serve(args).await,
            // Those of the local engine's instances, and of execute_offline.
            _ => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Runs the preflight and prints the plan, the forecast and the findings.
///
/// # Errors
/// If the engine cannot be reached, or arguments contradict each other.
async fn plan(args: &RunArgs) -> Result<ExitCode, CommandError> {
    if args.resume.is_some() {
        return Err(CommandError::Input(
            "--resume is an option of ramp run: a run that is resumed has its plan in run.json".into(),
        ));
    }
    if args.server.serve.is_some() {
        return Err(CommandError::Input(
            "--serve is an option of ramp run: a plan has no results to serve".into(),
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
async fn run(args: &RunArgs) -> Result<ExitCode, CommandError> {
    let server = bound(&args.server).await?;
    if let Some(directory) = &args.resume {
        return resume(directory, args.json, server).await;
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
    view.plan(&found.text);
    if is_refused(&found.preflight) {
        if !builder.plan.force {
            view.plan("\npreflight failed: nothing was created; fix the errors, or rerun with --force");
            return Ok(ExitCode::from(REFUSED));
        }
        view.plan("\npreflight failed: continuing because of --force; the errors are recorded");
    }
    let _server = server.map(|server| serve_results(server, &builder.out, &view));
    let surroundings = Surroundings { clock, view, interrupts: interrupts.clone() };
    let (run, _live) = begin(builder, found, engine, surroundings)?;
    finish(run, &interrupts).await
}

async fn resume(path: &Path, json: bool, server: Option<BoundServer>) -> Result<ExitCode, CommandError> {
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
    let view = View::of(json);
    let _server = server.map(|server| serve_results(server, path, &view));
    let run = resumed::resumed(path, &file, view, interrupts.clone()).await?;
    let _live = mark_as_live(&file.run);
    finish(run, &interrupts).await
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
