//! The report of a study: reads its directory, prints figures and writes the page.

use std::path::{Component, Path};
use std::process::ExitCode;

use serde_json::Value;

use super::error::MALFORMED;
use super::gate::Gate;
use super::report_files::{Published, ReportFiles, publish, table_bytes};
use crate::cli::ReportOutputArgs;
use crate::ui::{ProgressView, error};
use ramp_report::history::figure_name::ReportKind;
use ramp_report::history::junit::AssertionResult;
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::report::assertion::StudyAssertion;
use ramp_report::study::report::charts::charts;
use ramp_report::study::report::overhead::OverheadReport;
use ramp_report::study::report::runtime_class::manifests;
use ramp_report::study::report::{StudyReport, json, listing, markdown, page, text};

/// Reports on a study. Errors are printed on standard error.
pub(crate) fn report_study(
    directory: &Path,
    args: &ReportOutputArgs,
    assertions: &[StudyAssertion],
) -> ExitCode {
    let gate = match Gate::open(&args.gate, ReportKind::Study, None) {
        Ok(gate) => gate,
        Err(message) => {
            error(&message);
            return ExitCode::from(MALFORMED);
        }
    };
    let progress = ProgressView::of_report(study_bytes(directory));
    let observer = Observer::new(progress.observer());
    let data = StudyData::read(directory, &observer);
    drop(progress);
    let data = match data {
        Ok(data) => data,
        Err(cause) => {
            error(&cause.to_string());
            return ExitCode::from(MALFORMED);
        }
    };
    let report = StudyReport::of(&data);
    let result = |assertion: &StudyAssertion| AssertionResult {
        assertion: assertion.to_string(),
        failures: assertion.failures(&report),
    };
    let published = PublishedStudy { report: &report, directory, verbose: args.verbose };
    publish(&published, args, gate, || assertions.iter().map(result).collect())
}

/// The page of a study.
///
/// # Errors
/// If it cannot be read, or the page cannot be made.
pub(super) fn page_of_study(directory: &Path) -> Result<String, String> {
    let data = StudyData::read(directory, &Observer::default()).map_err(|error| error.to_string())?;
    let report = StudyReport::of(&data);
    Ok(PublishedStudy { report: &report, directory, verbose: false }.files(directory)?.page)
}

/// The report of the study in a directory.
struct PublishedStudy<'s> {
    report: &'s StudyReport<'s>,
    directory: &'s Path,
    verbose: bool,
}

impl Published for PublishedStudy<'_> {
    fn json(&self) -> Value {
        json(self.report)
    }

    fn text(&self) -> String {
        if self.verbose { listing(self.report) } else { text(self.report) }
    }

    fn files(&self, directory: &Path) -> Result<ReportFiles, String> {
        let charts = charts(self.report);
        Ok(ReportFiles {
            charts: charts
                .iter()
                .map(|chart| Ok((chart.id.clone(), chart.svg()?)))
                .collect::<Result<_, String>>()?,
            markdown: markdown(self.report, &charts),
            others: manifests(
                &self.report.overheads.iter().filter_map(OverheadReport::known_pod_fixed).collect::<Vec<_>>(),
            ),
            page: page(self.report, &charts, &path_to(self.directory, directory))?,
        })
    }
}

/// The path from one directory to another, for links: it begins with a dot, so that no name in it is taken for a scheme.
fn path_to(directory: &Path, from: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (to, from) = (whole(directory), whole(from));
    let (to, from): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (to.components().collect(), from.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let down = to.iter().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let up = from.iter().skip(common).map(|_| "..".to_owned());
    [".".to_owned()].into_iter().chain(up).chain(down).collect::<Vec<_>>().join("/")
}

/// Bytes of the tables of all runs; 0 where they cannot be known.
fn study_bytes(directory: &Path) -> u64 {
    let runs = ramp_format::study::StudyRecord::read(directory).map(|record| record.runs).unwrap_or_default();
    runs.iter().map(|run| table_bytes(&directory.join(&run.directory))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_page_to_the_study() {
        let place = tempfile::tempdir().unwrap();
        let [study, page] = ["study", "pages/new"].map(|name| place.path().join(name));
        [&study, &page].into_iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
        assert_eq!(path_to(&study, &page), "./../../study");
        assert_eq!(path_to(&study, &study), ".");
        assert_eq!(path_to(&study, &study.join("..")), "./study");
    }
}
