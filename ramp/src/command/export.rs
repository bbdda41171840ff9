//! `ramp export`: writes the tables of a run or of a study for other tools.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::error::MALFORMED;
use super::report_files::table_bytes;
use crate::cli::export::ExportArgs;
use crate::ui::{ProgressView, error, notice, out};
use ramp_report::export::ExportError;
use ramp_report::export::arrow::write_tables;
use ramp_report::export::context::{ExportedRun, ExportedRuns};
use ramp_report::export::openmetrics::write_run;
use ramp_report::progress::Observer;

/// Exports a run or a study. Errors are printed on standard error.
#[must_use]
pub(crate) fn export(args: &ExportArgs) -> ExitCode {
    match written(args) {
        Ok(files) => {
            files.iter().for_each(|file| out(&file.display().to_string()));
            ExitCode::SUCCESS
        }
        Err(cause) => {
            error(&cause.to_string());
            match cause {
                ExportError::Unreadable(_) | ExportError::Record(_) => ExitCode::from(MALFORMED),
                ExportError::Written { .. } => ExitCode::FAILURE,
            }
        }
    }
}

fn written(args: &ExportArgs) -> Result<Vec<PathBuf>, ExportError> {
    let runs = ExportedRuns::read(&args.directory)?;
    runs.left_out.iter().for_each(|why| notice(why));
    std::fs::create_dir_all(&args.out)
        .map_err(|error| ExportError::Written { file: args.out.clone(), error })?;
    let formats = [args.formats.openmetrics, args.formats.arrow].into_iter().filter(|wanted| *wanted).count();
    let bytes: u64 = runs.runs.iter().map(|run| table_bytes(&run.directory)).sum();
    let progress = ProgressView::of_export(bytes.saturating_mul(formats as u64));
    let observer = Observer::new(progress.observer());
    let mut files = Vec::new();
    if args.formats.openmetrics {
        for run in &runs.runs {
            let file = args.out.join(metrics_file(run));
            write_run(run, &file, &observer)?;
            files.push(file);
        }
    }
    if args.formats.arrow {
        files.extend(write_tables(&runs, &args.out, &observer)?);
    }
    Ok(files)
}

/// Name of the metrics of a run: of a study that of its directory.
fn metrics_file(run: &ExportedRun) -> String {
    let directory = run.place.as_ref().and_then(|_| run.directory.file_name()).map(Path::new);
    directory.map_or_else(|| "metrics.txt".into(), |name| format!("{}.txt", name.display()))
}
