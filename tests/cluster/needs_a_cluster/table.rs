//! Table of observations per scenario.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use workload::quantity::Bytes;

/// What was seen of a scenario under a runtime.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) runtime: &'static str,
    /// From applying its file to being told ready; never where there is none.
    pub(crate) ready_seconds: Option<f64>,
    /// From its own report that it holds its memory to being told ready.
    pub(crate) ready_after_holding_seconds: Option<f64>,
    /// Of the manifest.
    pub(crate) limit: Option<u64>,
    /// What the first report says of it: bytes, or unlimited.
    pub(crate) reported_limit: Value,
    /// The resident set told by the last report.
    pub(crate) resident: u64,
    /// CPU time by wall time at the last report.
    pub(crate) cores: Option<f64>,
    /// How it ended before it was told to, where it did.
    pub(crate) end: Option<&'static str>,
    /// From the request to delete the Deployment to the container having ended.
    pub(crate) ended_seconds: Option<f64>,
    /// Of it, from the pod being told to end.
    pub(crate) ended_after_told_seconds: Option<f64>,
    /// From the request to the pod being gone from the API.
    pub(crate) gone_seconds: f64,
}

fn bytes(value: u64) -> String {
    Bytes(value).rounded().to_string()
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

/// As Markdown, which is as good to read.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| scenario | runtime | ready, s | after holding, s | limit | reported | resident | cores | end | ended, s | gone, s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let reported = row
            .reported_limit
            .as_u64()
            .map_or_else(|| row.reported_limit.to_string().replace('"', ""), bytes);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {reported} | {} | {} | {} | {} | {:.2} |",
            row.scenario,
            row.runtime,
            seconds(row.ready_seconds),
            seconds(row.ready_after_holding_seconds),
            row.limit.map_or_else(|| "none".into(), bytes),
            bytes(row.resident),
            row.cores.map_or_else(|| "-".into(), |cores| format!("{cores:.3}")),
            row.end.unwrap_or("-"),
            seconds(row.ended_seconds),
            row.gone_seconds,
        );
    }
    text
}

/// Leaves what was measured where a run of all tests can print it: in `tmp` beside the build's output.
pub(crate) fn leave(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
