//! The gate of a report: `--against` with its bounds, and what of it and of assertions is told to CI systems.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::recorded_report;
use crate::cli::history::GateArgs;
use crate::ui::{aside, out};
use ramp_format::text::yaml_error;
use ramp_report::history::bounds::Bounds;
use ramp_report::history::figure_name::ReportKind;
use ramp_report::history::gate::Judgement;
use ramp_report::history::gate_text::{missing, sentence};
use ramp_report::history::github;
use ramp_report::history::junit::{AssertionResult, xml};
use ramp_report::history::recorded::RecordedReport;

/// Environment variable of GitHub's runner: a file to whose end a job's summary is appended.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// What a report is held against, read before the report is made.
pub(super) struct Gate {
    baseline: Option<Baseline>,
    junit: Option<(String, File)>,
    github: bool,
}

struct Baseline {
    name: String,
    report: RecordedReport,
    bounds: Bounds,
    bounds_name: String,
}

impl Gate {
    /// Reads the baseline and its bounds, and creates the file of `--junit`.
    ///
    /// # Errors
    /// What cannot be read or created, and why.
    pub(super) fn open(args: &GateArgs, kind: ReportKind, memory_each: Option<u64>) -> Result<Self, String> {
        let baseline =
            args.against.as_ref().map(|path| Baseline::read(path, args.bounds.as_deref(), kind, memory_each));
        let baseline = baseline.transpose()?;
        let create = |path: &std::path::PathBuf| {
            let name = path.display().to_string();
            File::create(path).map(|file| (name.clone(), file)).map_err(|error| format!("{name}: {error}"))
        };
        Ok(Self { baseline, junit: args.junit.as_ref().map(create).transpose()?, github: args.github })
    }

    /// Holds a report against the baseline; none where there is none.
    ///
    /// # Errors
    /// Where the two cannot be compared.
    pub(super) fn judge(&self, report: &Value) -> Result<Option<Judgement>, String> {
        let Some(Baseline { name, report: baseline, bounds, bounds_name }) = &self.baseline else {
            return Ok(None);
        };
        let judged = Judgement::of(&RecordedReport::of(report)?, baseline, bounds)
            .map_err(|why| format!("{name}: {why}"))?;
        Ok(Some(Judgement { baseline: name.clone(), bounds: bounds_name.clone(), ..judged }))
    }

    /// Whether there is a baseline.
    pub(super) fn has_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    /// Tells CI systems. With `is_json` standard output is JSON alone.
    ///
    /// # Errors
    /// What cannot be written, and why.
    pub(super) fn tell(
        mut self,
        judged: Option<&Judgement>,
        assertions: &[AssertionResult],
        is_json: bool,
    ) -> Result<(), String> {
        if let Some((name, file)) = &mut self.junit {
            file.write_all(xml(judged, assertions).as_bytes()).map_err(|error| format!("{name}: {error}"))?;
        }
        if !self.github {
            return Ok(());
        }
        let print = if is_json { aside } else { out };
        github::annotations(judged, assertions).iter().for_each(|line| print(line));
        match std::env::var_os(SUMMARY).filter(|path| !path.is_empty()) {
            Some(path) => append(Path::new(&path), &github::summary(judged, assertions)),
            None => Ok(()),
        }
    }
}

/// What fails, in sentences.
pub(super) fn failures(judged: &Judgement) -> Vec<String> {
    let lacking = judged.only_in_baseline.iter().filter(|_| judged.strict);
    judged.failures().map(sentence).chain(lacking.map(|subject| missing(subject))).collect()
}

impl Baseline {
    fn read(
        path: &Path,
        bounds: Option<&Path>,
        kind: ReportKind,
        memory_each: Option<u64>,
    ) -> Result<Self, String> {
        let (bounds, bounds_name) = match bounds {
            None => (Bounds::usual(kind)?, "default bounds".to_owned()),
            Some(file) => (read_bounds(file, kind)?, format!("bounds of {}", file.display())),
        };
        let report = recorded_report::read(path, memory_each)?;
        Ok(Self { name: path.display().to_string(), report, bounds, bounds_name })
    }
}

fn read_bounds(file: &Path, kind: ReportKind) -> Result<Bounds, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    let read: Map<String, Value> =
        serde_saphyr::from_str(&text).map_err(|error| named(&yaml_error(&error)))?;
    Bounds::read(kind, &read).map_err(|why| named(&why))
}

fn append(path: &Path, text: &str) -> Result<(), String> {
    let mut file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.as_mut().map_err(|error| error.to_string());
    let written = written.and_then(|file| file.write_all(text.as_bytes()).map_err(|error| error.to_string()));
    written.map_err(|error| format!("{SUMMARY} {}: {error}", path.display()))
}
