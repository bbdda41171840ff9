//! `ramp report`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::ReportArgs;
use ramp_report::dataset::{Dataset, tell_apart};
use ramp_report::report::Report;
use ramp_report::report::charts::{charts, marks};
use ramp_report::report::html::page as html;
use ramp_report::report::json::json;
use ramp_report::report::markdown::markdown;
use ramp_report::report::svg::svg;
use ramp_report::report::terminal::text;

/// Where a report is written, where it is not said.
const USUAL_DIRECTORY: &str = "ramp-report";
/// What was named cannot be read, or not as what it should be.
const MALFORMED: u8 = 2;
/// An assertion does not hold.
const DOES_NOT_HOLD: u8 = 4;

/// Reports on runs. What is wrong is said on standard error.
#[must_use]
pub fn report(args: &ReportArgs) -> ExitCode {
    let data = match read(&args.runs) {
        Ok(data) => data,
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            return ExitCode::from(MALFORMED);
        }
    };
    let report = Report::of(data, args.memory.map(|bytes| bytes.0));
    if args.json {
        crate::ui::out(&format!("{:#}", json(&report)));
    } else {
        crate::ui::out(text(&report).trim_end());
    }
    let usual = || (!args.json).then(|| PathBuf::from(USUAL_DIRECTORY));
    if let Some(out) = args.out.clone().or_else(usual) {
        match write(&report, &out) {
            Ok(page) if !args.json => crate::ui::out(&format!("\npage: {}", page.display())),
            Ok(_) => {}
            Err(error) => {
                complain(&format!("{}: {error} (name another directory with --out)", out.display()));
                return ExitCode::FAILURE;
            }
        }
    }
    let failures: Vec<String> =
        args.assertions.iter().flat_map(|assertion| assertion.failures(&report)).collect();
    failures.iter().for_each(|failure| complain(failure));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) }
}

/// Writes the page, and the Markdown with its charts; where the page is.
fn write(report: &Report, out: &Path) -> Result<PathBuf, String> {
    let (charts, marks) = (charts(report), marks(report));
    let page = out.join("report.html");
    let put = |file: &Path, text: &str| std::fs::write(file, text).map_err(|error| error.to_string());
    std::fs::create_dir_all(out.join("charts")).map_err(|error| error.to_string())?;
    for chart in &charts {
        put(&out.join("charts").join(format!("{}.svg", chart.id)), &svg(chart, &marks)?)?;
    }
    put(&out.join("report.md"), &markdown(report, &charts))?;
    put(&page, &html(report, &charts, &marks)?)?;
    Ok(page)
}

/// All of them, or what is wrong with each that cannot be read.
fn read(paths: &[PathBuf]) -> Result<Vec<Dataset>, Vec<String>> {
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match Dataset::read(path) {
            Ok(read) => data.push(read),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let whole: Vec<PathBuf> =
        paths.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let mut seen = HashSet::new();
    let twice = paths.iter().zip(&whole).filter(|(_, whole)| !seen.insert(*whole)).map(|(path, _)| {
        format!(
            "{} is named twice: it would count as a repeat of itself (name each run once)",
            path.display()
        )
    });
    let twice: Vec<String> = twice.collect();
    if !twice.is_empty() {
        return Err(twice);
    }
    tell_apart(&mut data, &whole);
    Ok(data)
}

fn complain(what: &str) {
    // As clap says what is wrong with arguments. Where standard error is closed nobody is there to be told.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {what}\n").as_bytes());
}
