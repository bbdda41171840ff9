//! `run.json`: the plan of a run, what preflight found, what was applied, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::plan::Plan;
use crate::preflight::{AdmittedResources, Finding, Forecast, NodeFacts, Preflight, RuntimeClassFacts};
use crate::run_clock::RunClock;
use crate::running_count::Most;
use crate::time::Time;

/// The version of the run directory's format: raised when a reader of the one before would read it wrongly.
pub const FORMAT_VERSION: u32 = 1;

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunFile {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The run's id.
    pub run: String,
    /// Version of ramp.
    pub ramp_version: String,
    /// When it began.
    pub begin: Time,
    /// When it ended; none while it goes on, or where its process was killed.
    pub end: Option<Time>,
    /// Why it ended, in a sentence.
    pub why_ended: Option<String>,
    /// Whether it ended by an error rather than by a stop rule, the last step or an interrupt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What it was to do.
    pub plan: Plan,
    /// The scenario's name.
    pub scenario: String,
    /// The manifest as applied.
    pub manifest: Value,
    /// Versions of what runs the instances.
    pub versions: BTreeMap<String, String>,
    /// The nodes, before the first step.
    pub nodes: Vec<NodeFacts>,
    /// The RuntimeClass, where there is one.
    pub runtime_class: Option<RuntimeClassFacts>,
    /// Those of the groups of a mixed run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtime_classes: Vec<RuntimeClassFacts>,
    /// Requests and limits of an instance as admitted, without overhead of its RuntimeClass; none where only the manifest tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<AdmittedResources>,
    /// How many instances were expected to fit, and from which figures.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// What was found before the first step.
    pub findings: Vec<Finding>,
    /// What of the scenario could not be had.
    pub not_honoured: Vec<String>,
    /// When other processes went on with it.
    pub resumes: Vec<Time>,
    /// Clocks of the machine that records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<RunClock>,
    /// How it was removed.
    pub teardown: Option<Teardown>,
    /// The most instances that held all of their memory at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Most>,
    /// The most that ran at once, whether or not they held all of their memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Most>,
    /// Rows that neither the disk nor the memory had room for.
    pub rows_lost: u64,
}

impl RunFile {
    /// The file of a run that begins.
    #[must_use]
    pub fn new(plan: Plan, scenario: String, manifest: Value, preflight: Preflight, begin: Time) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            run: plan.run.clone(),
            ramp_version: env!("CARGO_PKG_VERSION").into(),
            begin,
            end: None,
            why_ended: None,
            failed: false,
            plan,
            scenario,
            manifest,
            versions: preflight.versions,
            nodes: preflight.nodes,
            runtime_class: preflight.runtime_class,
            runtime_classes: preflight.runtime_classes,
            admitted: preflight.admitted,
            forecast: None,
            findings: preflight.findings,
            not_honoured: preflight.not_honoured,
            resumes: Vec::new(),
            clock: None,
            teardown: None,
            held: None,
            running: None,
            rows_lost: 0,
        }
    }
}

/// How the population was removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Teardown {
    /// Instances that were there.
    pub instances: u32,
    /// From the request to the last of them gone; none where some are still there.
    pub seconds: Option<f64>,
    /// What is still there.
    pub left: Vec<String>,
    /// Available memory of each kernel before the first step and after the last instance was gone.
    pub memory: Vec<MemoryReturned>,
    /// For how many seconds memory was watched after the last instance was gone.
    #[serde(default)]
    pub watched_seconds: Option<f64>,
    /// Whether it had stopped changing by then.
    #[serde(default)]
    pub steady: Option<bool>,
}

/// Available memory of a kernel, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryReturned {
    /// Its boot id.
    pub boot_id: String,
    /// MemAvailable before the first step.
    pub before_bytes: u64,
    /// MemAvailable after.
    pub after_bytes: u64,
}

/// Refuses what a reader may wait for without end (a FIFO, a device).
///
/// # Errors
/// If there is no such file, or it is not a regular one.
pub fn ensure_is_regular(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
}

/// Reads the `run.json` of a directory.
///
/// # Errors
/// Where there is none, or none of this format.
pub fn read_run(path: &Path) -> io::Result<RunFile> {
    let file = path.join("run.json");
    let text = ensure_is_regular(&file).and_then(|()| fs::read_to_string(&file)).map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}; is it a run directory?", file.display()))
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|error| match error.classify() {
        Category::Eof => invalid(
            &file,
            format!(
                "the file is incomplete ({} bytes), expected the run.json of a ramp run directory",
                text.len()
            ),
        ),
        _ => invalid(&file, error),
    })?;
    match value.get("format_version").and_then(Value::as_u64) {
        Some(version) if (1..=u64::from(FORMAT_VERSION)).contains(&version) => {}
        Some(version) => {
            let reads = format!("this ramp reads versions up to {FORMAT_VERSION}; use a newer ramp");
            return Err(invalid(&file, format!("format version {version}; {reads}")));
        }
        None => {
            return Err(invalid(&file, "no format_version, expected the run.json of a ramp run directory"));
        }
    }
    serde_json::from_value(value).map_err(|error| invalid(&file, error))
}

/// The error of a file that does not contain what it should.
pub(crate) fn invalid(file: &Path, error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", file.display()))
}
