//! The report of a study, for programs. What is unavailable is `null`; why stands beside it as `reason`.

use serde_json::Value;

use super::answer::{ComparedReport, FigureAnswer, PermutationPValue};
use super::cell::{CellFigure, CellReport};
use super::cell_document::{
    CellCapacitiesDocument, CellDocument, CellSearchDocument, FigureDocument, MemoryDocument,
    MissingDocument, RequestsDocument,
};
use super::comparison_document::{
    CapacitiesDocument, ComparisonDocument, DifferenceDocument, DriftDocument, MeansDocument,
    OneSidedDocument, PermutationDocument, SearchDocument, StartupTestDocument, StartupsDocument,
    VerdictDocument,
};
use super::document::{BlocksDocument, RunDocument, RunMemoryDocument, StudyDocument, StudyFacts};
use super::naming::engine;
use super::overview::StudyReport;
use super::provenance::headline;
use super::untold::is_untold;
use super::value_document::{IntervalDocument, ValueDocument};
use crate::analysis::capacity::GroupCapacities;
use crate::analysis::repeats::arguments;
use crate::stats::PermutationTest;
use crate::study::comparison::FigureComparison;
use crate::study::search::CellSearch;
use crate::study::verdict::Verdict;
use ramp_format::study::Size;

/// The whole report.
#[must_use]
pub fn json(report: &StudyReport<'_>) -> Value {
    // Only numbers, texts and maps with text keys: to make a value of them cannot fail.
    serde_json::to_value(document(report)).unwrap_or_default()
}

/// The JSON schema of [`json`].
#[must_use]
pub fn schema() -> Value {
    crate::schema::of_output::<StudyDocument<'_>>()
}

fn document<'r>(report: &'r StudyReport<'_>) -> StudyDocument<'r> {
    let mut cells: Vec<&CellReport> = report.cells().collect();
    cells.sort_by_key(|cell| cell.cell);
    let told = |answer: &&FigureAnswer| !is_untold(report.data, answer.figure);
    let comparisons = report.comparisons().flat_map(|compared| {
        let answers = compared.answers.iter().enumerate().filter(|(_, answer)| told(answer));
        answers.map(|(at, answer)| comparison(report, compared, at, answer))
    });
    let answers = report.comparisons().flat_map(|compared| &compared.answers);
    StudyDocument {
        ramp_version: env!("CARGO_PKG_VERSION"),
        study: study(report),
        summary: answers.filter(told).map(|answer| answer.sentence.as_str()).collect(),
        findings: &report.findings,
        notes: &report.notes,
        cells: cells.into_iter().map(|found| cell(report, found)).collect(),
        comparisons: comparisons.collect(),
        searches: report.comparisons().filter_map(|compared| compared_search(report, compared)).collect(),
        capacities: report.comparisons().map(|compared| compared_capacities(report, compared)).collect(),
        overhead_by_size: report.overheads.iter().map(super::overhead_json::document).collect(),
        startups: report.comparisons().map(|compared| startups(report, compared)).collect(),
        decisions: &report.data.record.decisions,
        runs: runs(report),
    }
}

fn study<'r>(report: &'r StudyReport<'_>) -> StudyFacts<'r> {
    let record = &report.data.record;
    let (least, most) = record.definition.blocks.bounds();
    StudyFacts {
        id: &record.study,
        name: &record.name,
        headline: headline(report),
        ramp_version: &record.ramp_version,
        engine: engine(report.data).name(),
        begin: record.begin,
        end: record.end,
        why_ended: record.why_ended.as_deref(),
        resumes: &record.resumes,
        seed: record.seed,
        order: record.definition.order,
        blocks: BlocksDocument { whole: record.whole_blocks(), least, most },
        definition: &record.definition,
    }
}

fn name<'r>(report: &'r StudyReport<'_>, cell: usize) -> Option<&'r str> {
    report.data.cells.get(cell).map(|cell| cell.name.as_str())
}

/// Names of both cells of a comparison.
fn names<'r>(report: &'r StudyReport<'_>, compared: &ComparedReport) -> [Option<&'r str>; 2] {
    [compared.compared.base, compared.compared.other].map(|cell| name(report, cell))
}

fn size(report: &StudyReport<'_>, cell: usize) -> Option<String> {
    let size = report.data.cells.get(cell).and_then(|cell| cell.size.as_ref());
    size.map(Size::label).filter(|label| !label.is_empty())
}

fn cell<'r>(report: &'r StudyReport<'_>, found: &'r CellReport) -> CellDocument<'r> {
    let told = found.figures.iter().filter(|figure| !is_untold(report.data, figure.figure));
    let of = report.data.cells.get(found.cell);
    CellDocument {
        name: name(report, found.cell),
        label: &found.label,
        scenario: of.map(|cell| cell.scenario.as_str()),
        manifest: of.and_then(|cell| cell.manifest.as_deref()),
        runtimes: of.map(|cell| cell.runtimes.as_slice()),
        size: size(report, found.cell),
        load: report.data.runs_of(found.cell).first().and_then(|run| {
            let recorded = run.data.recorded()?;
            Some(arguments(&recorded.run.manifest))
        }),
        runs: found.runs,
        figures: told.map(|figure| (figure.figure.name, cell_figure(figure))).collect(),
        capacities: capacities(&found.capacities),
        first_limit: super::limits::document(report.data, found.cell),
        held_with_95_percent: found.search.as_ref().map(search),
    }
}

fn capacities(found: &GroupCapacities) -> CellCapacitiesDocument<'_> {
    CellCapacitiesDocument {
        by_requests: match &found.by_requests {
            Ok(capacity) => RequestsDocument {
                value: Some(capacity.least.instances),
                by: Some(&capacity.least.by),
                reason: None,
            },
            Err(why) => RequestsDocument { reason: Some(&why.0), ..RequestsDocument::default() },
        },
        by_memory: match &found.by_memory {
            Ok(capacity) => MemoryDocument {
                value: Some(capacity.instances),
                interval: Some(capacity.interval.into()),
                extrapolated: Some(capacity.is_extrapolated),
                reason: None,
            },
            Err(why) => MemoryDocument { reason: Some(why.0.clone()), ..MemoryDocument::default() },
        },
    }
}

fn cell_figure(figure: &CellFigure) -> FigureDocument<'_> {
    let why_missing = || figure.why_missing().unwrap_or_else(|| "no run that counts".into());
    FigureDocument {
        value: figure.mean.map(|mean| mean.mean),
        interval: figure.mean.and_then(|mean| mean.interval).map(IntervalDocument::from),
        deviation: figure.mean.and_then(|mean| mean.deviation),
        runs: figure.mean.map_or(0, |mean| mean.runs),
        missing: missing(&figure.missing),
        reason: figure.mean.is_none().then(why_missing),
    }
}

fn missing(missing: &[(u32, String)]) -> Vec<MissingDocument<'_>> {
    missing.iter().map(|(block, reason)| MissingDocument { block: *block, reason }).collect()
}

fn comparison<'r>(
    report: &'r StudyReport<'_>,
    compared: &'r ComparedReport,
    at: usize,
    answer: &'r FigureAnswer,
) -> ComparisonDocument<'r> {
    let [base, other] = names(report, compared);
    let found = compared.compared.comparison.figures.get(at);
    let parts = match found {
        Some(Ok(found)) => figures(compared, found),
        _ => ComparisonDocument {
            reason: Some(found.and_then(|found| Some(found.as_ref().err()?.0.as_str()))),
            ..ComparisonDocument::default()
        },
    };
    ComparisonDocument {
        figure: answer.figure.name,
        scenario: report.data.cells.get(compared.compared.base).map(|cell| cell.scenario.as_str()),
        size: size(report, compared.compared.base),
        base,
        other,
        sentence: &answer.sentence,
        notes: &answer.notes,
        caveats: &compared.caveats,
        drift_notes: &compared.drift,
        within_run: answer
            .within_run
            .map(|found| DifferenceDocument { difference: found.bytes, interval: found.interval.into() }),
        ..parts
    }
}

fn figures<'r>(compared: &ComparedReport, found: &'r FigureComparison) -> ComparisonDocument<'r> {
    let drift = found.difference.drift.map(|drift| DriftDocument {
        per_second: drift.mean,
        interval: drift.interval(0.95).into(),
        removed: found.difference.is_drift_removed,
    });
    let one_sided = OneSidedDocument { p: found.permutation.one_sided, least: found.permutation.least };
    ComparisonDocument {
        difference: Some(found.difference.difference.mean),
        interval: Some(found.interval.into()),
        ratio: found.ratio.map(|(ratio, within)| ValueDocument {
            value: Some(ratio),
            interval: Some(within.into()),
            reason: None,
        }),
        p: Some(found.p_value),
        adjusted_p: Some(found.adjusted_p),
        permutation: Some(permutation(&found.permutation, Some(one_sided))),
        margin: Some(found.margin),
        verdict: Some(verdict(found.verdict)),
        blocks: found.difference.blocks,
        means: Some(MeansDocument {
            base_mean: found.base,
            other_mean: found.other,
            deviation: found.difference.deviation,
            adjusted_for: compared.compared.comparison.adjusted_for(found.figure.topic),
            drift,
            missing: missing(&found.missing),
        }),
        ..ComparisonDocument::default()
    }
}

fn permutation(test: &PermutationTest, one_sided: Option<OneSidedDocument>) -> PermutationDocument {
    let PermutationPValue { p, least } = PermutationPValue::of(test);
    PermutationDocument { p, least, exact: test.is_exact, one_sided }
}

fn verdict(verdict: Verdict) -> VerdictDocument {
    match verdict {
        Verdict::Differs => VerdictDocument::Differs,
        Verdict::NoLargerThan(margin) => VerdictDocument::NoLargerThan { margin },
        Verdict::CannotTell(more_blocks) => VerdictDocument::CannotTell { more_blocks },
    }
}

fn search(found: &CellSearch) -> CellSearchDocument {
    CellSearchDocument {
        climbs: found.climbs,
        runs: found.runs,
        held: match &found.held {
            Ok(held) => ValueDocument {
                value: Some(held.instances),
                interval: Some(held.interval.into()),
                reason: None,
            },
            Err(why) => ValueDocument { value: None, interval: None, reason: Some(why.0.clone()) },
        },
    }
}

fn compared_search<'r>(
    report: &'r StudyReport<'_>,
    compared: &'r ComparedReport,
) -> Option<SearchDocument<'r>> {
    let [base, other] = names(report, compared);
    let found = compared.search.as_ref()?.as_ref();
    Some(SearchDocument {
        base,
        other,
        difference: found.ok().map(|found| found.instances),
        interval: found.ok().map(|found| found.interval.into()),
        sentence: compared.search_sentence.as_deref(),
        reason: found.err().map(|why| why.0.as_str()),
    })
}

fn compared_capacities<'r>(
    report: &'r StudyReport<'_>,
    compared: &'r ComparedReport,
) -> CapacitiesDocument<'r> {
    let [base, other] = names(report, compared);
    CapacitiesDocument { base, other, sentences: &compared.capacities }
}

fn startups<'r>(report: &'r StudyReport<'_>, compared: &'r ComparedReport) -> StartupsDocument<'r> {
    let [base, other] = names(report, compared);
    match (&compared.compared.comparison.startups, &compared.startups) {
        (Ok(found), Ok(sentence)) => {
            let test = StartupTestDocument {
                sentence,
                note: compared.waiting.as_deref(),
                permutation: permutation(&found.permutation, None),
            };
            StartupsDocument { base, other, z: Some(found.z), found: Some(test), reason: None }
        }
        (Err(why), _) | (_, Err(why)) => {
            StartupsDocument { base, other, reason: Some(&why.0), ..StartupsDocument::default() }
        }
    }
}

fn memory(found: &super::runs::RunMemory) -> RunMemoryDocument {
    RunMemoryDocument { value: found.bytes, interval: found.interval.into() }
}

fn runs<'r>(report: &'r StudyReport<'_>) -> Vec<RunDocument<'r>> {
    let run = |run: &'r super::runs::RunReport| RunDocument {
        block: run.block,
        cell: name(report, run.cell),
        directory: &run.directory,
        begin: &run.begin,
        seconds: run.seconds,
        held: run.held,
        state: run.state,
        notes: &run.notes,
        memory_per_instance: run.memory.first().filter(|memory| memory.runtime.is_none()).map(memory),
        by_runtime: run
            .memory
            .iter()
            .filter_map(|found| Some((found.runtime.as_deref()?, memory(found))))
            .collect(),
    };
    report.runs.iter().map(run).collect()
}
