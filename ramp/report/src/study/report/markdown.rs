//! The report of a study as Markdown, beside charts as SVG: for a repository.

use super::missing;
use super::naming::engine;
use super::overview::{CellGroup, StudyReport};
use super::provenance::{decisions, headline, provenance};
use super::table;
use super::untold::is_untold;
use crate::report::markdown::escaped;
use crate::report::plot::PlotChart;

/// The report, with links to `charts/ID.svg`.
#[must_use]
pub fn markdown(report: &StudyReport<'_>, charts: &[PlotChart]) -> String {
    let mut text = format!("# {}\n\n{}\n", escaped(&report.data.record.name), escaped(&headline(report)));
    if !report.findings.is_empty() {
        text += "\n";
    }
    for finding in &report.findings {
        text += &format!("- {}\n", escaped(finding));
    }
    let (headings, rows) = table::columns(report);
    if report.data.run_count() > 0 {
        text += &format!("\n| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
        for row in rows {
            text +=
                &format!("| {} |\n", row.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | "));
        }
    }
    let notes: Vec<String> =
        missing::reasons(report).into_iter().chain(report.notes.iter().cloned()).collect();
    if !notes.is_empty() {
        text += "\n";
    }
    for note in notes {
        text += &format!("- {}\n", escaped(&note));
    }
    for group in &report.groups {
        push_group(&mut text, report, group);
    }
    push_overheads(&mut text, report);
    text += "\n## Charts\n";
    for chart in charts {
        let (title, note) = (escaped(&chart.title), escaped(&chart.note));
        text += &format!("\n![{title}](charts/{}.svg)\n\n{note}\n", chart.id);
    }
    text += "\n## Runs\n\n| block | cell | begin | duration | held | memory of each, MiB (95% CI) | state | directory |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    for run in &report.runs {
        let held = run.held.map_or_else(String::new, |held| held.to_string());
        let notes: String = run.notes.iter().map(|note| format!(": {note}")).collect();
        let cells = [
            run.block_text(),
            run.label.clone(),
            run.begin.clone(),
            run.duration_text(),
            held,
            run.memory_text(),
            format!("{}{notes}", run.state),
            run.directory.clone(),
        ];
        text += &format!("| {} |\n", cells.map(|cell| escaped(&cell)).join(" | "));
    }
    text += "\n## Decisions\n\n";
    for decision in decisions(report) {
        text += &format!("- {}\n", escaped(&decision));
    }
    text += &format!("\n## Provenance\n\n{}\n", escaped(&provenance(report)));
    text
}

fn push_overheads(text: &mut String, report: &StudyReport<'_>) {
    for overhead in &report.overheads {
        let Some((headings, rows)) = overhead.table() else { continue };
        *text += &format!("\n## Overhead by size: {}\n\n", escaped(&overhead.title()));
        for sentence in &overhead.sentences {
            *text += &format!("- {}\n", escaped(sentence));
        }
        let row = |cells: &[String]| cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | ");
        *text += &format!("\n| {} |\n|{}\n", row(&headings), "---|".repeat(headings.len()));
        for cells in rows {
            *text += &format!("| {} |\n", row(&cells));
        }
    }
}

fn push_group(text: &mut String, report: &StudyReport<'_>, group: &CellGroup) {
    let engine = engine(report.data);
    *text += &format!("\n## {}\n", escaped(&group.title));
    for compared in &group.comparisons {
        *text += &format!("\n### {} against {}\n\n", escaped(&compared.other), escaped(&compared.base));
        if let Some(why) = compared.not_compared() {
            *text += &format!("{}\n", escaped(&why));
            continue;
        }
        for answer in compared.compared_answers() {
            *text += &format!("- {}", escaped(&answer.sentence));
            for part in answer.details() {
                *text += &format!(" *({})*", escaped(part));
            }
            text.push('\n');
        }
        if let Some(missing) = compared.missing_text() {
            *text += &format!("- {}\n", escaped(&missing));
        }
        *text += &format!("- startups, log-rank test: {}\n", escaped(&compared.startups_text()));
        for sentence in compared
            .caveats
            .iter()
            .chain(&compared.search_sentence)
            .chain(&compared.capacities)
            .chain(&compared.drift)
        {
            *text += &format!("- {}\n", escaped(sentence));
        }
    }
    *text += "\n| figure |";
    for cell in &group.cells {
        *text += &format!(" {} |", escaped(&cell.label));
    }
    *text += &format!("\n|---|{}\n", "---|".repeat(group.cells.len()));
    for at in 0..crate::study::figure::STUDY_FIGURES.len() {
        let figures = || group.cells.iter().filter_map(|cell| cell.figures.get(at));
        let told = figures().next().filter(|first| !is_untold(report.data, first.figure));
        let Some(first) = told else { continue };
        *text += &format!("| {} |", escaped(&first.title));
        for figure in figures() {
            *text += &format!(" {}; {} |", escaped(&figure.text(engine)), escaped(&figure.basis(engine)));
        }
        text.push('\n');
    }
}
