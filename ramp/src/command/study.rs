//! `ramp study`: plans, runs, resumes and reports on studies.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::error::{CommandError, INTERRUPTED, REFUSED};
use super::interrupts;
use crate::cli::{StudyArgs, StudyCommand};
use crate::study::StudyPlan;
use crate::study::check::{CheckedCell, check_cells, durations, findings};
use crate::study::init::init;
use crate::study::plan::{describe, planned_runs};
use crate::study::runner::{resume_study, run_study};
use crate::study::status::StudyStatus;
use crate::ui::{ProgressView, notice, out};
use ramp_format::study::{StudyFile, StudyRecord};
use ramp_format::time::Time;
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::figure::StudyUnit;
use ramp_report::study::verdict::Verdict;
use workload::quantity::Bytes;

/// Does what a subcommand of `study` says.
///
/// # Errors
/// Those of each.
pub async fn study(args: &StudyArgs) -> Result<ExitCode, CommandError> {
    match &args.command {
        StudyCommand::Init(args) => {
            init(&args.file)?;
            let file = args.file.display();
            out(&format!("written: {file}; next: ramp study plan {file}, ramp study run {file}"));
            Ok(ExitCode::SUCCESS)
        }
        StudyCommand::Plan(args) => plan(&args.file, args.json).await,
        StudyCommand::Run(args) => match (&args.resume, &args.file) {
            (Some(directory), _) => resume_study(directory, args.json).await,
            (None, Some(file)) => run_study(file, args.out.as_deref(), args.json).await,
            (None, None) => Err(CommandError::Input("expected a study file, or --resume DIR".into())),
        },
        StudyCommand::Status(args) => {
            let status = StudyStatus::read(&args.directory).map_err(|error| CommandError::reading(&error))?;
            if args.json {
                out(&json!(status).to_string());
            } else {
                out(status.words().trim_end());
            }
            Ok(ExitCode::SUCCESS)
        }
        StudyCommand::Report(args) => report(&args.directory),
        StudyCommand::Schema => {
            out(&format!("{:#}", StudyFile::schema()));
            Ok(ExitCode::SUCCESS)
        }
    }
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
    let is_refused = !findings(&checked, true).is_empty();
    Ok(if is_refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn plan_json(record: &StudyRecord, checked: &[CheckedCell]) -> serde_json::Value {
    let seconds = durations(checked).left(record, record.begin.0);
    json!({
        "study": record.definition, "name": record.name, "seed": record.definition.seed,
        "cells": record.cells.iter().zip(checked).map(|(cell, checked)| json!({"cell": cell, "checked": checked})).collect::<Vec<_>>(),
        "runs": planned_runs(record), "expected_seconds": seconds,
    })
}

/// Differences, intervals and verdicts, in lines.
fn report(directory: &Path) -> Result<ExitCode, CommandError> {
    let reading = ProgressView::busy(format!("{}: its runs to be read", directory.display()));
    let data = StudyData::read(directory, &Observer::default());
    drop(reading);
    let data = data.map_err(|error| CommandError::reading(&error))?;
    out(comparisons(&data).trim_end());
    Ok(ExitCode::SUCCESS)
}

fn comparisons(data: &StudyData) -> String {
    let mut text =
        format!("{}: {} complete\n", data.record.name, crate::study::blocks(data.record.whole_blocks()));
    let name = |cell: usize| data.record.cells[cell].name.as_str();
    for (directory, why) in &data.unreadable {
        let _ = writeln!(text, "  ! {}: {why}", directory.display());
    }
    let compared = data.comparisons();
    if compared.is_empty() {
        text.push_str("nothing to compare: each scenario and size has one runtime\n");
    }
    for compared in compared {
        let _ = writeln!(text, "\n{} against {}", name(compared.other), name(compared.base));
        for found in &compared.comparison.figures {
            let _ = match found {
                Err(why) => writeln!(text, "  n/a: {}", why.0),
                Ok(found) => {
                    let value = |value: f64| in_unit(value, found.figure.unit);
                    let interval = format!("{} to {}", value(found.interval.low), value(found.interval.high));
                    let verdict = match found.verdict {
                        Verdict::Differs => "differs".to_owned(),
                        Verdict::NoLargerThan(margin) => {
                            format!("no difference larger than {}", value(margin))
                        }
                        Verdict::CannotTell(Some(more)) => format!("cannot tell yet: {more} more blocks"),
                        Verdict::CannotTell(None) => "cannot tell".to_owned(),
                    };
                    let difference = value(found.difference.difference.mean);
                    writeln!(text, "  {}: {difference} ({interval}): {verdict}", found.figure.title)
                }
            };
        }
    }
    text
}

fn in_unit(value: f64, unit: StudyUnit) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    match unit {
        StudyUnit::Bytes => format!("{sign}{}", Bytes(value.abs() as u64).rounded()),
        StudyUnit::Instances => format!("{value:.1}"),
        StudyUnit::Seconds => format!("{value:.2} s"),
    }
}
