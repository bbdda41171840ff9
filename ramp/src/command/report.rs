//! `ramp report`: reads run directories, prints figures and writes the report.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::error::MALFORMED;
use super::gate::Gate;
use super::recorded_report::is_study;
use super::report_files::{Published, ReportFiles, publish, table_bytes};
use super::study_report::{page_of_study, report_study};
use crate::cli::{ReportArgs, StudyReportArgs};
use crate::ui::{ProgressView, error};
use ramp_report::dataset::{Dataset, tell_apart};
use ramp_report::history::figure_name::ReportKind;
use ramp_report::history::junit::AssertionResult;
use ramp_report::progress::Observer;
use ramp_report::report::Report;
use ramp_report::report::assertion::Assertion;
use ramp_report::report::charts::{charts, marks};
use ramp_report::report::html::page as html;
use ramp_report::report::json::json;
use ramp_report::report::markdown::markdown;
use ramp_report::report::memory_bars;
use ramp_report::report::svg::svg;
use ramp_report::report::terminal::{summary, text};
use ramp_report::study::report::assertion::{ReportAssertion, StudyAssertion};

/// Reports on runs. Errors are printed on standard error.
#[must_use]
pub(crate) fn report(args: &ReportArgs) -> ExitCode {
    let assertions = match assertions(args) {
        Ok(assertions) => assertions,
        Err(message) => {
            error(&message);
            return ExitCode::from(MALFORMED);
        }
    };
    match (&args.runs[..], assertions) {
        ([study], Assertions::Study(assertions)) => report_study(study, &args.output, &assertions),
        (_, Assertions::Runs(assertions)) => report_runs(args, &assertions),
        (_, Assertions::Study(_)) => {
            error("a study is reported on alone: give its directory without others");
            ExitCode::from(MALFORMED)
        }
    }
}

/// Reports on a study. Errors are printed on standard error.
#[must_use]
pub(super) fn report_of_study(args: &StudyReportArgs) -> ExitCode {
    let assertions = args.output.assertions.iter().map(ReportAssertion::on_study);
    match assertions.collect::<Result<Vec<_>, _>>() {
        Ok(assertions) => report_study(&args.directory, &args.output, &assertions),
        Err(message) => {
            error(&message);
            ExitCode::from(MALFORMED)
        }
    }
}

/// Reports on a directory, of a study or of a run, below it. Errors are printed on standard error.
#[must_use]
pub(super) fn report_of_directory(directory: &Path) -> ExitCode {
    let args = StudyReportArgs::of(directory.to_owned());
    if is_study(directory) {
        return report_of_study(&args);
    }
    report_runs(&ReportArgs { runs: vec![args.directory], output: args.output, memory: None }, &[])
}

/// The page of a directory, of a study or of a run.
///
/// # Errors
/// If it cannot be read, or the page cannot be made.
pub(crate) fn page_of(directory: &Path) -> Result<String, String> {
    if is_study(directory) {
        return page_of_study(directory);
    }
    let data = Dataset::read(directory).map_err(|error| error.to_string())?;
    Ok(Report::observed(vec![data], None, &Observer::default()).files(directory)?.page)
}

/// Assertions on runs, or on a study, which also say of what the report is.
enum Assertions {
    Runs(Vec<Assertion>),
    Study(Vec<StudyAssertion>),
}

/// The assertions, which must be of what is reported on.
fn assertions(args: &ReportArgs) -> Result<Assertions, String> {
    let all = args.output.assertions.iter();
    if args.runs.iter().any(|path| is_study(path)) {
        all.map(ReportAssertion::on_study).collect::<Result<_, _>>().map(Assertions::Study)
    } else {
        all.map(ReportAssertion::on_runs).collect::<Result<_, _>>().map(Assertions::Runs)
    }
}

fn report_runs(args: &ReportArgs, assertions: &[Assertion]) -> ExitCode {
    let memory_each = args.memory.map(|bytes| bytes.0);
    let gate = match Gate::open(&args.output.gate, ReportKind::Runs, memory_each) {
        Ok(gate) => gate,
        Err(message) => {
            error(&message);
            return ExitCode::from(MALFORMED);
        }
    };
    let progress = ProgressView::of_report(args.runs.iter().map(|path| table_bytes(path)).sum());
    let observer = Observer::new(progress.observer());
    let data = match read(&args.runs, &observer) {
        Ok(data) => data,
        Err(errors) => {
            drop(progress);
            errors.iter().for_each(|message| error(message));
            return ExitCode::from(MALFORMED);
        }
    };
    let findings = Report::observed(data, memory_each, &observer);
    let report = Report { verbose: args.output.verbose, ..findings };
    drop(progress);
    let result = |assertion: &Assertion| AssertionResult {
        assertion: assertion.to_string(),
        failures: assertion.failures(&report),
    };
    publish(&report, &args.output, gate, || assertions.iter().map(result).collect())
}

impl Published for Report {
    fn json(&self) -> Value {
        json(self)
    }

    fn text(&self) -> String {
        if self.verbose { text(self) } else { summary(self) }
    }

    fn files(&self, _: &Path) -> Result<ReportFiles, String> {
        let (charts, marks, plots) = (charts(self), marks(self), memory_bars::charts(self));
        Ok(ReportFiles {
            others: Vec::new(),
            charts: charts
                .iter()
                .map(|chart| Ok((chart.id.clone(), svg(chart, &marks)?)))
                .chain(plots.iter().map(|plot| Ok((plot.id.clone(), plot.svg()?))))
                .collect::<Result<_, String>>()?,
            markdown: markdown(self, &charts, &plots),
            page: html(self, &charts, &marks, &plots)?,
        })
    }
}

/// Reads all datasets, or returns the errors of those that cannot be read.
fn read(paths: &[PathBuf], observer: &Observer) -> Result<Vec<Dataset>, Vec<String>> {
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match Dataset::read_observed(path, observer) {
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
        format!("{} is given twice: it would count as its own repeat (give each run once)", path.display())
    });
    let mut twice: Vec<String> = twice.collect();
    // Copies, as `ramp fetch` makes them.
    for (at, own) in data.iter().enumerate() {
        let id = |data: &Dataset| {
            let run = &data.recorded()?.run;
            Some((run.run.clone(), run.begin, run.end, data.rows, data.steps.len()))
        };
        let Some(run) = id(own) else { continue };
        if let Some(before) = data.iter().take(at).position(|other| id(other).as_ref() == Some(&run))
            && whole.get(at) != whole.get(before)
        {
            let [path, before] = [at, before].map(|at| paths[at].display());
            twice.push(format!(
                "{path} is a copy of {before} (run {}): it would count as its own repeat (give each run once)",
                run.0
            ));
        }
    }
    if !twice.is_empty() {
        return Err(twice);
    }
    tell_apart(&mut data, &whole);
    Ok(data)
}
