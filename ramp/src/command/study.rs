//! `ramp study`: plans, runs, resumes and reports on studies.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::error::{CommandError, INTERRUPTED, REFUSED};
use super::interrupts;
use super::report::{page_of, report_of_study};
use super::results_server::bound;
use crate::cli::{StudyArgs, StudyCommand, StudyReportArgs, StudyRunArgs};
use crate::serve::PageOf;
use crate::study::StudyPlan;
use crate::study::check::{check_cells, findings};
use crate::study::checked_cell::{CheckedCell, durations};
use crate::study::dwells::planned_dwells;
use crate::study::init::init;
use crate::study::plan::{describe, planned_runs};
use crate::study::runner::{IfUnderWay, StudyOutput, continue_study, resume_study, run_study};
use crate::study::status::StudyStatus;
use crate::ui::{notice, out};
use ramp_format::study::{StudyFile, StudyRecord};
use ramp_format::time::Time;

/// Does what a subcommand of `study` says.
///
/// # Errors
/// Those of each.
pub(super) async fn study(args: &StudyArgs) -> Result<ExitCode, CommandError> {
    match &args.command {
        StudyCommand::Init(args) => {
            init(&args.file)?;
            let file = args.file.display();
            out(&format!("written: {file}; next: ramp study plan {file}, ramp study run {file}"));
            Ok(ExitCode::SUCCESS)
        }
        StudyCommand::Plan(args) => plan(&args.file, args.json).await,
        StudyCommand::Run(args) => run(args).await,
        StudyCommand::Status(args) => {
            let status = StudyStatus::read(&args.directory).map_err(|error| CommandError::reading(&error))?;
            if args.json {
                out(&json!(status).to_string());
            } else {
                out(status.words().trim_end());
            }
            Ok(ExitCode::SUCCESS)
        }
        StudyCommand::Report(args) => Ok(report_of_study(args)),
        StudyCommand::Schema => {
            out(&format!("{:#}", StudyFile::schema()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs or resumes a study; at its end its report is printed and written.
async fn run(args: &StudyRunArgs) -> Result<ExitCode, CommandError> {
    let output = StudyOutput {
        json: args.json,
        server: bound(&args.server).await?.map(|server| (server, page_of as PageOf)),
    };
    let end = match (&args.resume, &args.file) {
        (Some(directory), _) => resume_study(directory, output, IfUnderWay::Refuse).await?,
        (None, Some(file)) => match (&args.out, args.continue_existing) {
            (Some(out), true) => continue_study(file, out, output).await?,
            (out, _) => run_study(file, out.as_deref(), output).await?,
        },
        (None, None) => return Err(CommandError::Input("expected a study file, or --resume DIR".into())),
    };
    let Some(directory) = end.complete.filter(|_| !args.json) else { return Ok(end.code) };
    if args.no_report {
        out(&format!("report: ramp study report {}", directory.display()));
        return Ok(end.code);
    }
    out("");
    Ok(report_of_study(&StudyReportArgs::of(directory)))
}

/// Preflight of all cells, the runs in their order, and how long they take.
async fn plan(file: &Path, json: bool) -> Result<ExitCode, CommandError> {
    let (plan, clock) = StudyPlan::read(file).await?;
    let record = plan.record(Time(clock.now()));
    let interrupts = interrupts::count();
    let directory = PathBuf::from(format!("study-{}", record.study));
    let Some(checked) = check_cells(&record, &directory, &clock, &interrupts).await? else {
        notice("interrupted: nothing was created");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if json {
        out(&plan_json(&record, &checked).to_string());
    } else {
        out(describe(&record, &checked).trim_end());
    }
    let is_refused = !findings(&record, &checked, true).is_empty();
    Ok(if is_refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn plan_json(record: &StudyRecord, checked: &[CheckedCell]) -> serde_json::Value {
    let seconds = durations(checked).left(record, record.begin.0);
    json!({
        "study": record.definition, "name": record.name, "seed": record.definition.seed,
        "cells": record.cells.iter().zip(checked).map(|(cell, checked)| json!({"cell": cell, "checked": checked})).collect::<Vec<_>>(),
        "runs": planned_runs(record), "expected_seconds": seconds,
        "dwells": planned_dwells(record, checked),
    })
}
