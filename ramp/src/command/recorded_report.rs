//! Reading of reports: those that `--json` printed before, and those of directories, as if they were printed now.

use std::path::Path;

use serde_json::Value;

use ramp_report::dataset::Dataset;
use ramp_report::history::recorded::RecordedReport;
use ramp_report::progress::Observer;
use ramp_report::report::{self, Report};
use ramp_report::study::data::StudyData;
use ramp_report::study::report::{StudyReport, json as json_of_study};

/// Reads a report. `memory_each` is that of `ramp report --memory`.
///
/// # Errors
/// What cannot be read, and why.
pub(super) fn read(path: &Path, memory_each: Option<u64>) -> Result<RecordedReport, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if !path.exists() {
        return Err(named(
            &"no such file or directory; expected a report that --json printed, a run or a study",
        ));
    }
    let json: Value = if is_study(path) {
        let data = StudyData::read(path, &Observer::default()).map_err(|error| error.to_string())?;
        json_of_study(&StudyReport::of(&data))
    } else if is_json(path) {
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        serde_json::from_str(&text).map_err(|error| named(&format!("is not JSON: {error}")))?
    } else {
        let data = Dataset::read(path).map_err(|error| error.to_string())?;
        report::json::json(&Report::of(vec![data], memory_each))
    };
    RecordedReport::of(&json).map_err(|why| named(&why))
}

/// Whether a path is of what `--json` printed.
pub(super) fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json") && !path.is_dir()
}

/// Whether a path is the directory of a study.
pub(super) fn is_study(path: &Path) -> bool {
    path.join("study.json").symlink_metadata().is_ok()
}
