//! The report of a study: reads its directory, prints figures and writes the page.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use super::error::{DOES_NOT_HOLD, MALFORMED};
use super::report_files::{USUAL_DIRECTORY, table_bytes};
use crate::ui::{ProgressView, error, out};
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::report::assertion::StudyAssertion;
use ramp_report::study::report::charts::charts;
use ramp_report::study::report::{StudyReport, json, markdown, page, text};

/// Whether a path is the directory of a study.
pub(crate) fn is_study(path: &Path) -> bool {
    path.join("study.json").symlink_metadata().is_ok()
}

/// Reports on a study. Errors are printed on standard error.
pub(crate) fn report_study(
    directory: &Path,
    as_json: bool,
    to: Option<&Path>,
    assertions: &[StudyAssertion],
) -> ExitCode {
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
    if as_json {
        out(&format!("{:#}", json(&report)));
    } else {
        out(text(&report).trim_end());
    }
    let usual = || (!as_json).then(|| PathBuf::from(USUAL_DIRECTORY));
    if let Some(to) = to.map(Path::to_owned).or_else(usual) {
        match write(&report, directory, &to) {
            Ok(page) if !as_json => out(&format!("\npage: {}", page.display())),
            Ok(_) => {}
            Err(cause) => {
                error(&format!("{cause} (choose another directory with --out)"));
                return ExitCode::FAILURE;
            }
        }
    }
    let failures: Vec<String> = assertions.iter().flat_map(|assertion| assertion.failures(&report)).collect();
    failures.iter().for_each(|failure| error(failure));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) }
}

/// Writes the page, and Markdown with charts. Returns the path of the page.
fn write(report: &StudyReport<'_>, study: &Path, to: &Path) -> Result<PathBuf, String> {
    let charts = charts(report);
    let named = |file: &Path, error: std::io::Error| format!("{}: {error}", file.display());
    let put = |file: &Path, text: &str| std::fs::write(file, text).map_err(|error| named(file, error));
    std::fs::create_dir_all(to.join("charts")).map_err(|error| named(to, error))?;
    for chart in &charts {
        put(&to.join("charts").join(format!("{}.svg", chart.id)), &chart.svg()?)?;
    }
    put(&to.join("report.md"), &markdown(report, &charts))?;
    let file = to.join("report.html");
    put(&file, &page(report, &charts, &path_to(study, to))?)?;
    Ok(file)
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
