//! Files that a report is made from, what is printed of it, and where it is written.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::error::{DOES_NOT_HOLD, MALFORMED};
use super::gate::{Gate, failures as gate_failures};
use crate::cli::ReportOutputArgs;
use crate::ui::{error, out};
use ramp_report::history::gate::Judgement;
use ramp_report::history::gate_text::text as gate_text;
use ramp_report::history::junit::AssertionResult;

/// Default directory of a report.
const USUAL_DIRECTORY: &str = "ramp-report";

/// Bytes of the tables of a run; 0 where they cannot be known.
pub(super) fn table_bytes(path: &Path) -> u64 {
    let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
    if !path.is_dir() {
        return length(path);
    }
    let files = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "csv"))
        .map(|file| length(&file))
        .sum()
}

/// A report in each of its forms, made when it is asked for.
pub(super) trait Published {
    /// All figures.
    fn json(&self) -> Value;

    /// All of it, for a terminal.
    fn text(&self) -> String;

    /// The files in a directory.
    ///
    /// # Errors
    /// Where a chart or the page cannot be made.
    fn files(&self, directory: &Path) -> Result<ReportFiles, String>;
}

/// Files of a report.
pub(super) struct ReportFiles {
    /// Charts as SVG, by their names.
    pub(super) charts: Vec<(String, String)>,
    /// Other files, by their names.
    pub(super) others: Vec<(String, String)>,
    /// Markdown, which shows the charts.
    pub(super) markdown: String,
    /// The page.
    pub(super) page: String,
}

/// Prints a report, writes its files where they are wanted, holds it against the baseline, and tells which assertions fail. Errors are
/// printed on standard error.
pub(super) fn publish(
    report: &impl Published,
    args: &ReportOutputArgs,
    gate: Gate,
    assertions: impl FnOnce() -> Vec<AssertionResult>,
) -> ExitCode {
    let json = if args.json || gate.has_baseline() { report.json() } else { Value::Null };
    let judged = match gate.judge(&json) {
        Ok(judged) => judged,
        Err(cause) => {
            error(&cause);
            return ExitCode::from(MALFORMED);
        }
    };
    print(report, args, json, judged.as_ref());
    let usual = || (!args.json).then(|| PathBuf::from(USUAL_DIRECTORY));
    if let Some(directory) = args.out.clone().or_else(usual) {
        match write(report, &directory) {
            Ok(page) if !args.json => out(&format!("\npage: {}", page.display())),
            Ok(_) => {}
            Err(cause) => {
                error(&format!("{cause} (choose another directory with --out)"));
                return ExitCode::FAILURE;
            }
        }
    }
    let assertions = assertions();
    let told = gate.tell(judged.as_ref(), &assertions, args.json);
    let failed = assertions.into_iter().flat_map(|found| found.failures);
    let failures: Vec<String> = judged.iter().flat_map(gate_failures).chain(failed).collect();
    failures.iter().for_each(|failure| error(failure));
    match told {
        Err(cause) => {
            error(&cause);
            ExitCode::FAILURE
        }
        Ok(()) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(DOES_NOT_HOLD),
    }
}

/// Prints a report, and how it stands against the baseline.
fn print(report: &impl Published, args: &ReportOutputArgs, mut json: Value, judged: Option<&Judgement>) {
    if args.json {
        if let Some(judged) = judged {
            json["against"] = judged.json();
        }
        out(&format!("{json:#}"));
        return;
    }
    out(report.text().trim_end());
    if let Some(judged) = judged {
        out(&format!("\n{}", gate_text(judged).trim_end()));
    }
}

/// Writes the page, and Markdown with charts. Returns the path of the page.
fn write(report: &impl Published, directory: &Path) -> Result<PathBuf, String> {
    let named = |file: &Path, error: io::Error| format!("{}: {error}", file.display());
    let put = |file: &Path, text: &str| std::fs::write(file, text).map_err(|error| named(file, error));
    std::fs::create_dir_all(directory.join("charts")).map_err(|error| named(directory, error))?;
    let ReportFiles { charts, others, markdown, page } = report.files(directory)?;
    for (name, chart) in &charts {
        put(&directory.join("charts").join(format!("{name}.svg")), chart)?;
    }
    for (name, text) in &others {
        put(&directory.join(name), text)?;
    }
    put(&directory.join("report.md"), &markdown)?;
    let file = directory.join("report.html");
    put(&file, &page)?;
    Ok(file)
}
