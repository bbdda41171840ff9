//! Provenance of a study: how it came about, and how much of it is done.

use super::naming::engine;
use super::overview::StudyReport;
use ramp_format::study::{Decision, Order};
use ramp_format::text::count;

/// What was studied, and how much of it is done.
#[must_use]
pub fn headline(report: &StudyReport<'_>) -> String {
    let record = &report.data.record;
    let (least, most) = record.definition.blocks.bounds();
    let whole = record.whole_blocks();
    let planned = if least == most { format!("{least}") } else { format!("{least} to {most}") };
    let why = record.why_ended.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!(
        "{}: {}, {whole} whole {} of {planned} planned, {} that count{}{why}",
        record.name,
        count(record.cells.len() as u32, "cell"),
        if whole == 1 { "block" } else { "blocks" },
        count(report.data.run_count() as u32, "run"),
        if report.data.run_count() == 1 { "s" } else { "" },
    )
}

/// Decisions on the number of blocks, in sentences.
#[must_use]
pub fn decisions(report: &StudyReport<'_>) -> Vec<String> {
    let decision = |decision: &Decision| {
        let needed = match decision.blocks_needed {
            Some(blocks) => format!("{} expected to be needed in all", count(blocks, "block")),
            None => "how many are needed is not known".into(),
        };
        format!(
            "{}, after {}: {needed}: {}",
            decision.time,
            count(decision.after_blocks, "block"),
            decision.reason
        )
    };
    report.data.record.decisions.iter().map(decision).collect()
}

/// Which study it was, in a line.
#[must_use]
pub fn short(report: &StudyReport<'_>) -> String {
    let record = &report.data.record;
    format!(
        "study {}, {}, ramp {}; --verbose: all statistics and runs",
        record.study, record.begin, record.ramp_version
    )
}

/// How the study came about, in a sentence.
#[must_use]
pub fn provenance(report: &StudyReport<'_>) -> String {
    let record = &report.data.record;
    let order = match record.definition.order {
        Order::Random => "random",
        Order::Balanced => "balanced",
    };
    let end = record.end.map_or_else(|| "not ended".to_owned(), |end| format!("end {end}"));
    let mut versions: Vec<String> = report
        .data
        .runs
        .iter()
        .filter_map(|run| run.data.recorded())
        .flat_map(|recorded| recorded.run.versions.iter().map(|(what, version)| format!("{what} {version}")))
        // Each run has its own.
        .filter(|version| !version.starts_with("world seed "))
        // Told of the study.
        .filter(|version| *version != format!("ramp {}", record.ramp_version))
        .collect();
    versions.sort();
    versions.dedup();
    let mut parts = vec![
        format!("study {}", record.study),
        format!("ramp {}", record.ramp_version),
        format!("engine {}", engine(report.data).name()),
        format!("begin {}", record.begin),
        end,
        format!("order {order}, seed {}", record.seed),
    ];
    parts.extend(record.resumes.iter().map(|time| format!("resumed {time}")));
    parts.extend(versions);
    parts.join("; ")
}
