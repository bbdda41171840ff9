//! All findings, for programs. What is unavailable is `null`; why stands beside it as `reason`: in the object that it is of, or, of a
//! plain figure, under its name in the `reason` of the object around it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::figure::Scope;
use super::registry::FIGURES;
use super::{Report, narrative};
use crate::analysis::repeats::RepeatGroup;
use crate::analysis::results::{Compared, RunResults};
use crate::dataset::Dataset;
use ramp_format::time::Time;

/// The report of runs. What is unavailable is `null`; why stands beside it, or under its name in `reason` of the object around it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "ramp report --json")]
pub struct RunsDocument {
    /// Version of ramp that made the report.
    pub ramp_version: &'static str,
    /// The answer in a sentence.
    pub summary: String,
    /// Each run: its head and its figures (docs/report.md).
    #[schemars(with = "Vec<RunHead>")]
    pub runs: Vec<Value>,
    /// Each two groups of runs that are compared: their names and the figures of the comparison (docs/report.md).
    #[schemars(with = "Vec<ComparisonHead>")]
    pub comparisons: Vec<Value>,
    /// The analysis in sentences.
    pub analysis: Vec<narrative::Section>,
}

/// A run, beside its figures.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunHead<'r> {
    /// What it is called.
    pub name: &'r str,
    /// When it began; none where the data do not say.
    pub begin: Option<Time>,
    /// The scenario that it ran, as its group of repeats has it.
    pub scenario: Option<&'r str>,
    /// Its runtime, likewise.
    pub runtime: Option<&'r str>,
    /// Its load, likewise.
    pub load: Option<&'r str>,
    /// Node samples, those missing and those that repeat an older one included.
    pub cells: usize,
    /// Those missing.
    pub missing_cells: usize,
    /// What a reader has to know of the data, in sentences.
    pub notes: &'r [String],
    /// Containers beside the load's own in the pods of the run.
    pub sidecars: Vec<SidecarHead>,
    /// What gave way, the first one first.
    pub breaks: Vec<BreakHead>,
}

/// A container beside the load's own.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SidecarHead {
    /// Its name.
    pub container: String,
    /// Its image.
    pub image: String,
}

/// Something that gave way.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BreakHead {
    /// The resource.
    pub resource: String,
    /// What happened.
    pub what: String,
    /// Step of the first occurrence.
    pub step: u32,
    /// Its time since the run began.
    pub elapsed_seconds: Option<f64>,
    /// In the words of the source.
    pub evidence: String,
}

/// Two groups of runs that are compared, beside the figures of the comparison.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ComparisonHead<'r> {
    /// Name of the base.
    pub base: &'r str,
    /// Name of the other group.
    pub other: &'r str,
    /// Runs of the base.
    pub base_runs: Vec<&'r str>,
    /// Runs of the other group.
    pub other_runs: Vec<&'r str>,
}

/// The whole report.
#[must_use]
pub fn json(report: &Report) -> Value {
    let comparisons = &report.findings.comparisons;
    value(&RunsDocument {
        ramp_version: env!("CARGO_PKG_VERSION"),
        summary: narrative::summary(report),
        runs: report
            .runs()
            .enumerate()
            .map(|(at, (data, found))| run(report.findings.group_of(at), data, found))
            .collect(),
        comparisons: comparisons.iter().map(|compared| comparison(report, compared)).collect(),
        analysis: narrative::sections(report),
    })
}

/// Only numbers, texts and maps with text keys: to make a value of them cannot fail.
fn value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

fn run(group: Option<&RepeatGroup>, data: &Dataset, found: &RunResults) -> Value {
    let cells = data.cells();
    let sidecars = data.sidecars().into_iter();
    let breaks = found.breaks.iter().map(|broke| BreakHead {
        resource: broke.resource.to_string(),
        what: broke.what.to_string(),
        step: broke.step,
        elapsed_seconds: broke.elapsed_seconds,
        evidence: broke.evidence.to_string(),
    });
    let mut object = value(&RunHead {
        name: &data.name,
        begin: data.recorded().map(|recorded| recorded.run.begin),
        scenario: group.map(|group| group.scenario.as_str()),
        runtime: group.map(|group| group.runtime.as_str()),
        load: group.map(|group| group.load.as_str()),
        cells: cells.all,
        missing_cells: cells.missing,
        notes: &data.notes,
        sidecars: sidecars
            .map(|found| SidecarHead { container: found.container, image: found.image })
            .collect(),
        breaks: breaks.collect(),
    });
    for figure in FIGURES {
        match figure.scope {
            Scope::Run(of) => figure.put(&mut object, &of(data, found)),
            Scope::Mixed(of) if !data.mix().is_empty() => figure.put(&mut object, &of(data, found)),
            Scope::Mixed(_) | Scope::Comparison(_) => {}
        }
    }
    object
}

fn comparison(report: &Report, compared: &Compared) -> Value {
    let runs = |group: usize| -> Vec<&str> {
        let runs = report.findings.groups.get(group).map_or(&[][..], |group| &group.runs);
        runs.iter().filter_map(|run| report.data.get(*run)).map(|data| data.name.as_str()).collect()
    };
    let names @ [base, other] = report.names(compared);
    let [base_runs, other_runs] = [compared.base, compared.other].map(runs);
    let mut object = value(&ComparisonHead { base, other, base_runs, other_runs });
    for figure in FIGURES {
        if let Scope::Comparison(of) = figure.scope {
            figure.put(&mut object, &of(compared, names));
        }
    }
    object
}
