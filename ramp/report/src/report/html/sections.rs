//! Sections of the page of runs: which figures and charts stand in which.

use super::super::Report;
use super::super::chart::Chart;
use super::super::estimate_table::{self, EstimateRow};
use super::super::plot::DrawnPlot;
use super::slowest::{StartList, quantiles, starts};

/// A section: figures of each run, and charts.
pub(super) struct PageSection<'p> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) rows: Vec<HtmlRow>,
    pub(super) charts: Vec<&'p Chart>,
    pub(super) plots: Vec<DrawnPlot<'p>>,
    pub(super) starts: StartList,
}

/// A figure, and what it is in each run.
pub(super) struct HtmlRow {
    pub(super) name: String,
    /// What all of them rest on; empty where each rests on something else.
    pub(super) basis: String,
    pub(super) cells: Vec<EstimateRow>,
}

impl HtmlRow {
    /// Says once what is the same for all runs.
    fn shared(mut self) -> Self {
        let mut all = self.cells.iter().filter(|line| line.value.is_ok()).map(|line| line.basis.as_str());
        let first = all.next().unwrap_or_default().to_owned();
        if self.cells.len() > 1 && all.all(|basis| basis == first) {
            self.cells.iter_mut().for_each(|line| line.basis.clear());
            self.basis = first;
        }
        self
    }
}

/// Names of figures and charts that are of what each instance takes.
const COST: [&str; 14] = [
    "usage at saturation",
    "usage, minimum",
    "usage, maximum",
    "marginal cost",
    "who holds it",
    "peak per instance",
    "memory by runtime",
    "overhead in mixed run",
    "CPU at rest",
    "CPU per start",
    "cost",
    "usage",
    "components",
    "swapped",
];
/// Those of how long starts take.
const STARTUP: [&str; 2] = ["startup", "phases"];
/// Those of what was recorded, and charts of the course of the run.
const RECORD: [&str; 7] = ["data", "memory", "nodes", "time", "goodput", "work", "pressure"];

/// The section of a figure or chart.
fn section_of(name: &str) -> &'static str {
    let is_in =
        |names: &[&str]| names.iter().any(|known| name == *known || name.starts_with(&format!("{known}-")));
    match name {
        _ if is_in(&COST) => "cost",
        _ if is_in(&STARTUP) => "startup",
        _ if is_in(&RECORD) => "charts",
        _ => "capacity",
    }
}

/// Capacity, cost, startup and the course of the runs; those without anything are left out.
pub(super) fn sections<'p>(
    report: &Report,
    charts: &'p [Chart],
    plots: Vec<DrawnPlot<'p>>,
    starts: StartList,
) -> Vec<PageSection<'p>> {
    let section = |(id, title)| PageSection {
        id,
        title,
        rows: Vec::new(),
        charts: charts.iter().filter(|chart| section_of(&chart.id) == id).collect(),
        plots: Vec::new(),
        starts: StartList::default(),
    };
    let titles =
        [("capacity", "Capacity"), ("cost", "Cost"), ("startup", "Startup"), ("charts", "Course of the run")];
    let mut sections = titles.map(section);
    let mut put = |id: &str, put: &mut dyn FnMut(&mut PageSection<'p>)| {
        sections.iter_mut().filter(|section| section.id == id).for_each(put);
    };
    for row in rows(report) {
        put(section_of(&row.name), &mut |section| section.rows.push(row_of(&row)));
    }
    let (mut plots, mut starts) = (plots, starts);
    put("cost", &mut |section| section.plots.append(&mut plots));
    put("startup", &mut |section| {
        section.rows.extend(startup_rows(report));
        section.starts = std::mem::take(&mut starts);
    });
    let has_any = |section: &PageSection<'_>| {
        !(section.rows.is_empty() && section.charts.is_empty() && section.plots.is_empty())
    };
    sections.into_iter().filter(has_any).collect()
}

fn row_of(row: &HtmlRow) -> HtmlRow {
    HtmlRow { name: row.name.clone(), basis: row.basis.clone(), cells: row.cells.clone() }
}

/// Estimates as rows, runs as columns.
fn rows(report: &Report) -> Vec<HtmlRow> {
    let mut rows: Vec<HtmlRow> = Vec::new();
    let tables: Vec<Vec<EstimateRow>> =
        (0..report.data.len()).map(|run| estimate_table::of_run(report, run)).collect();
    // Mixed runs have more lines than others.
    let longest = tables.iter().max_by_key(|lines| lines.len());
    for line in longest.into_iter().flatten() {
        let none =
            || EstimateRow { value: Err("not a mixed run".into()), basis: String::new(), ..line.clone() };
        let cell = |lines: &Vec<EstimateRow>| {
            lines.iter().find(|other| other.name == line.name).cloned().unwrap_or_else(none)
        };
        let cells = tables.iter().map(cell).collect();
        rows.push(HtmlRow { name: line.name.to_owned(), basis: String::new(), cells });
    }
    rows.into_iter().map(HtmlRow::shared).collect()
}

/// Times within which instances are ready.
fn startup_rows(report: &Report) -> Vec<HtmlRow> {
    const BASIS: &str = "from creation to holding all memory (Kaplan–Meier), all load levels";
    let of = |number: usize| {
        let cell = |found: &crate::analysis::results::RunResults| {
            let value = match &found.startups {
                Ok(startups) => quantiles(startups)
                    .get(number)
                    .map(|(_, time)| time.clone())
                    .ok_or_else(|| "no instance was observed".to_owned()),
                Err(why) => Err(why.0.clone()),
            };
            EstimateRow { name: "startup", value, definition: BASIS, basis: String::new() }
        };
        let name = ["half are ready within", "90% are ready within", "99% are ready within"][number];
        HtmlRow {
            name: name.into(),
            basis: BASIS.into(),
            cells: report.findings.runs.iter().map(cell).collect(),
        }
    };
    (0..3).map(of).collect()
}

/// The starts of all runs.
pub(super) fn all_starts(report: &Report) -> StartList {
    let labels = report.labels();
    let mut all = Vec::new();
    for (run, found) in report.findings.runs.iter().enumerate() {
        let label = labels.get(run).cloned().unwrap_or_default();
        let startups = found.startups.as_ref().ok().into_iter().flatten();
        all.extend(startups.map(|startup| (label.clone(), report.colour(run), startup)));
    }
    starts(all.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::registry::FIGURES;

    #[test]
    fn figures_and_charts_stand_in_the_section_that_they_are_of() {
        let of =
            ["marginal cost", "held at once", "startup", "components-2", "nodes-1", "search"].map(section_of);
        assert_eq!(of, ["cost", "capacity", "startup", "cost", "charts", "capacity"]);
        let capacity =
            FIGURES.iter().filter_map(|figure| figure.title).filter(|title| section_of(title) == "capacity");
        assert!(capacity.clone().all(|title| {
            ["capacity", "saturation", "held", "running", "PIDs", "overhead", "who", "CPU"]
                .iter()
                .any(|word| title.contains(word))
        }));
    }
}
