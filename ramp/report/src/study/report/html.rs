//! The report of a study as a page: one file that needs no network.

use askama::Template;

use super::answer::ComparedReport;
use super::cell::CellReport;
use super::glance::glances;
use super::missing;
use super::naming::{engine, label_with_size};
use super::overhead::OverheadReport;
use super::overview::{CellGroup, StudyReport};
use super::provenance::{decisions, headline, provenance};
use super::runs::RunReport;
use super::table;
use super::untold::is_untold;
use crate::report::chart::PALETTE;
use crate::report::glance::{self, Glance};
use crate::report::html::slowest::{StartList, starts};
use crate::report::html::{in_script, tables};
use crate::report::plot::{DrawnPlot, PlotChart};
use crate::report::setting::setting;
use crate::study::figure::STUDY_FIGURES;
use serde_json::json;

#[derive(Template)]
#[template(path = "study.html")]
struct StudyPage<'p> {
    name: &'p str,
    headline: String,
    ramp_version: &'static str,
    /// The answer of each comparison.
    answers: Vec<String>,
    /// What was run where.
    setting: String,
    glances: Vec<Glance>,
    /// The picture beside the answer.
    picture: String,
    findings: &'p [String],
    /// The table of the cells.
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Why figures are not available, and what helps to read those that are.
    notes: Vec<String>,
    has_runs: bool,
    has_comparisons: bool,
    groups: Vec<PageGroup<'p>>,
    overheads: Vec<PageOverhead<'p>>,
    capacity: Vec<DrawnPlot<'p>>,
    cost: Vec<DrawnPlot<'p>>,
    startup: Vec<DrawnPlot<'p>>,
    starts: StartList,
    data: String,
    runs: Vec<PageRun<'p>>,
    decisions: Vec<String>,
    provenance: String,
    definition: String,
    css: &'static str,
    js: &'static str,
}

/// A scenario in one size.
struct PageGroup<'p> {
    title: &'p str,
    comparisons: Vec<PageComparison<'p>>,
    cells: &'p [CellReport],
    /// Each figure, and what it is in each cell.
    rows: Vec<PageRow<'p>>,
}

/// A comparison: its answers, and what they rest on.
struct PageComparison<'p> {
    compared: &'p ComparedReport,
    /// Why nothing is compared.
    not_compared: Option<String>,
    startups: String,
}

/// A figure in each cell.
struct PageRow<'p> {
    title: &'p str,
    definition: &'static str,
    /// The value, and what it rests on.
    values: Vec<(String, String)>,
}

/// A runtime over the sizes of a scenario.
struct PageOverhead<'p> {
    title: String,
    sentences: &'p [String],
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A run, with the link to its directory.
struct PageRun<'p> {
    run: &'p RunReport,
    link: String,
    memory: String,
}

/// The page. `study` is the path from the page to the study's directory, for links to its runs.
///
/// # Errors
/// Where a chart cannot be drawn, or the template cannot be filled.
pub fn page(report: &StudyReport<'_>, charts: &[PlotChart], study: &str) -> Result<String, String> {
    let (headings, rows) = table::columns(report);
    let glances = glances(report);
    let drawn = DrawnPlot::all(charts)?;
    let (startup, rest): (Vec<_>, Vec<_>) =
        drawn.into_iter().partition(|drawn| is_of(drawn, &["startup", "phases"]));
    let (capacity, cost): (Vec<_>, Vec<_>) = rest.into_iter().partition(|drawn| is_of(drawn, &["ramp"]));
    let starts = all_starts(report);
    let page = StudyPage {
        headings,
        rows,
        notes: missing::reasons(report).into_iter().chain(report.notes.iter().cloned()).collect(),
        has_runs: report.data.run_count() > 0,
        has_comparisons: report.comparisons().next().is_some(),
        name: &report.data.record.name,
        headline: headline(report),
        ramp_version: env!("CARGO_PKG_VERSION"),
        answers: answers(report),
        setting: setting(report.data.runs.iter().filter_map(|run| Some(&run.data.recorded()?.run)))
            .join("; "),
        picture: glance::picture(&glances, engine(report.data).instances()).unwrap_or_default(),
        glances,
        findings: &report.findings,
        groups: groups(report),
        overheads: overheads(report),
        capacity,
        cost,
        startup,
        data: in_script(
            &json!({"palette": PALETTE, "charts": [], "marks": [], "tables": tables(charts), "starts": starts.all}),
        ),
        starts,
        runs: runs(report, study),
        decisions: decisions(report),
        provenance: provenance(report),
        definition: serde_json::to_string_pretty(&report.data.record.definition).unwrap_or_default(),
        css: concat!(include_str!("../../../assets/page.css"), include_str!("../../../assets/study.css")),
        js: include_str!("../../../assets/figures.js"),
    };
    page.render().map_err(|error| format!("the page: {error}"))
}

/// Whether a chart is one of these kinds.
fn is_of(drawn: &DrawnPlot<'_>, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| drawn.chart.id == *kind || drawn.chart.id.starts_with(&format!("{kind}-")))
}

/// The answer of each comparison, with the scenario and size where there are several.
fn answers(report: &StudyReport<'_>) -> Vec<String> {
    let of = |group: &CellGroup| {
        let title = if report.groups.len() > 1 { format!("{}: ", group.title) } else { String::new() };
        let answer = |compared: &ComparedReport| {
            let answer = compared.not_compared().unwrap_or_else(|| compared.heading());
            format!("{title}{answer}")
        };
        group.comparisons.iter().map(answer).collect::<Vec<_>>()
    };
    report.groups.iter().flat_map(of).collect()
}

/// The starts of all runs that count.
fn all_starts(report: &StudyReport<'_>) -> StartList {
    let cells = report.groups.iter().flat_map(|group| group.cells.iter().enumerate());
    let of_cell = |(colour, cell): (usize, &CellReport)| {
        let label = label_with_size(&report.data.cells, cell.cell);
        let of_run = |run: &crate::study::data::MeasuredRun| {
            let runtime = report
                .data
                .cells
                .get(run.cell)
                .filter(|_| run.group.is_some())
                .map(|cell| cell.runtimes.join(" + "));
            let label = format!("{label}, block {}", run.figures.block);
            let all = run.results.startups.as_ref().ok().map_or(&[][..], Vec::as_slice).to_vec();
            let is_of = move |startup: &crate::analysis::latency::Startup| {
                runtime.is_none() || startup.group == runtime
            };
            all.into_iter()
                .filter(is_of)
                .map(move |startup| (label.clone(), colour, startup))
                .collect::<Vec<_>>()
        };
        report.data.runs_of(cell.cell).into_iter().flat_map(of_run).collect::<Vec<_>>()
    };
    let all: Vec<_> = cells.flat_map(of_cell).collect();
    starts(all.iter().map(|(label, colour, startup)| (label.clone(), *colour, startup)))
}

fn overheads<'r>(report: &'r StudyReport<'_>) -> Vec<PageOverhead<'r>> {
    let page = |overhead: &'r OverheadReport| {
        let (headings, rows) = overhead.table()?;
        Some(PageOverhead { title: overhead.title(), sentences: &overhead.sentences, headings, rows })
    };
    report.overheads.iter().filter_map(page).collect()
}

fn groups<'r>(report: &'r StudyReport<'_>) -> Vec<PageGroup<'r>> {
    let engine = engine(report.data);
    let group = |group: &'r CellGroup| {
        let row = |at: usize| {
            let figures = || group.cells.iter().filter_map(move |cell| cell.figures.get(at));
            let first = figures().next().filter(|first| !is_untold(report.data, first.figure))?;
            let values = figures().map(|figure| (figure.text(engine), figure.basis(engine)));
            Some(PageRow {
                title: &first.title,
                definition: first.figure.definition,
                values: values.collect(),
            })
        };
        let compared = |compared: &'r ComparedReport| PageComparison {
            compared,
            not_compared: compared.not_compared(),
            startups: compared.startups_text(),
        };
        PageGroup {
            title: &group.title,
            comparisons: group.comparisons.iter().map(compared).collect(),
            cells: &group.cells,
            rows: (0..STUDY_FIGURES.len()).filter_map(row).collect(),
        }
    };
    report.groups.iter().map(group).collect()
}

fn runs<'r>(report: &'r StudyReport<'_>, study: &str) -> Vec<PageRun<'r>> {
    let run = |run: &'r RunReport| PageRun {
        link: format!("{}/{}", study.trim_end_matches('/'), run.directory)
            .replace('%', "%25")
            .replace('#', "%23")
            .replace('?', "%3F"),
        memory: run.memory_text(),
        run,
    };
    report.runs.iter().map(run).collect()
}
