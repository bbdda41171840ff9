//! Files that a report is made from, and where it is written.

use std::path::Path;

/// Default directory of a report.
pub(super) const USUAL_DIRECTORY: &str = "ramp-report";

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
