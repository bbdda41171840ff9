//! The report as a page: one file that needs no network.

use askama::Template;
use serde_json::{Value, json};

use super::chart::{At, Chart, Mark, PALETTE, Series, Stroke, X, thinned};
use super::estimate_table::EstimateRow;
use super::plot::{DrawnPlot, PlotChart};
use super::{Report, estimate_table, narrative};
use crate::analysis::results::Compared;
use crate::dataset::Dataset;
use ramp_format::run_file::RunFile;

/// Points of all charts together: what keeps the page of a run of a thousand steps far below 2 MB.
const MOST_POINTS: usize = 40_000;
/// Points of a line that can be told apart on a wide screen, at least and at most.
const POINTS: (usize, usize) = (200, 2000);

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'p> {
    title: String,
    summary: String,
    ramp_version: &'static str,
    /// Labels and names of the runs.
    columns: Vec<(String, &'p str)>,
    rows: Vec<HtmlRow>,
    comparisons: Vec<HtmlTable>,
    charts: &'p [Chart],
    plots: Vec<DrawnPlot<'p>>,
    sections: Vec<narrative::Section>,
    runs: Vec<Metadata>,
    data: String,
    uplot_css: &'static str,
    uplot_js: &'static str,
    uplot_license: &'static str,
    css: &'static str,
    js: &'static str,
}

/// An estimate, and what it is in each run.
struct HtmlRow {
    name: &'static str,
    /// What all of them rest on; empty where each rests on something else.
    basis: String,
    cells: Vec<EstimateRow>,
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

/// The estimates of two runs held against each other.
struct HtmlTable {
    title: String,
    lines: Vec<EstimateRow>,
}

/// What is known of how a run came about.
struct Metadata {
    name: String,
    facts: Vec<(&'static str, String)>,
    manifest: Option<String>,
}

/// The page: charts that follow the pointer, and others.
///
/// # Errors
/// Where a chart cannot be drawn, or the template cannot be filled.
pub fn page(
    report: &Report,
    charts: &[Chart],
    marks: &[Mark],
    plots: &[PlotChart],
) -> Result<String, String> {
    let names = || report.data.iter().map(|data| data.name.as_str());
    let page = Page {
        title: report.findings.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", "),
        summary: narrative::summary(report),
        ramp_version: env!("CARGO_PKG_VERSION"),
        columns: report.labels().into_iter().zip(names()).collect(),
        rows: rows(report),
        comparisons: comparisons(report),
        charts,
        plots: DrawnPlot::all(plots)?,
        sections: narrative::sections(report),
        runs: report.data.iter().map(metadata).collect(),
        data: in_script(&data(charts, marks)),
        uplot_css: include_str!("../../assets/uPlot.min.css"),
        uplot_js: include_str!("../../assets/uPlot.iife.min.js"),
        uplot_license: include_str!("../../assets/uPlot.LICENSE"),
        css: include_str!("../../assets/page.css"),
        js: include_str!("../../assets/page.js"),
    };
    page.render().map_err(|error| format!("the page: {error}"))
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
        rows.push(HtmlRow { name: line.name, basis: String::new(), cells });
    }
    rows.into_iter().map(HtmlRow::shared).collect()
}

fn comparisons(report: &Report) -> Vec<HtmlTable> {
    let table = |compared: &Compared| {
        let Compared { base, other, .. } = compared;
        let title = format!("{} against {}", report.findings.name(*other), report.findings.name(*base));
        HtmlTable { title, lines: estimate_table::of_comparison(report, compared) }
    };
    report.findings.comparisons.iter().map(table).collect()
}

fn metadata(data: &Dataset) -> Metadata {
    let Some(recorded) = data.recorded() else {
        let rows = match data.pod_latencies() {
            Some(pods) => format!("latencies of {} pods, by kube-burner", pods.len()),
            None => format!("{} rows of a CSV file of the study", data.rows),
        };
        let facts = vec![("source", rows), ("nodes", data.nodes.len().to_string())];
        return Metadata { name: data.name.clone(), facts, manifest: None };
    };
    let run = &recorded.run;
    let manifest = serde_json::to_string_pretty(&run.manifest).ok();
    Metadata { name: data.name.clone(), facts: facts(run), manifest }
}

fn facts(run: &RunFile) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("run", run.run.clone()),
        ("scenario", run.scenario.clone()),
        ("engine", format!("{:?}", run.plan.engine).to_lowercase()),
        ("begin", run.begin.to_string()),
        ("end", run.end.map_or_else(|| "not ended".into(), |end| end.to_string())),
        ("end reason", run.why_ended.clone().unwrap_or_default()),
        (
            "steps",
            format!("{} to {} by {}, pace {}", run.plan.from, run.plan.to, run.plan.step, run.plan.pace),
        ),
    ];
    let versions = run.versions.iter().map(|(what, version)| format!("{what} {version}"));
    facts.push(("versions", versions.collect::<Vec<_>>().join(", ")));
    for class in run.runtime_class.iter().chain(&run.runtime_classes) {
        let overhead = crate::report::format::mib(class.overhead_memory_bytes as f64);
        let text = format!(
            "{} (handler {}), podFixed {overhead}, {} cores",
            class.name, class.handler, class.overhead_cpu_cores
        );
        facts.push(("RuntimeClass", text));
    }
    for node in &run.nodes {
        let known = [
            node.kernel.clone(),
            node.container_runtime.clone(),
            node.allocatable_memory_bytes
                .map(|bytes| format!("{} allocatable", crate::report::format::mib(bytes as f64))),
            node.allocatable_cpu_cores.map(|cores| format!("{cores} cores")),
            node.allocatable_pods.map(|pods| format!("{pods} {}", run.plan.engine.instances())),
            node.not_eligible_because.clone(),
        ];
        facts.push((
            "node",
            format!("{}: {}", node.name, known.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        ));
    }
    facts.extend(run.plan.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
    facts.extend(run.findings.iter().map(|finding| ("preflight finding", finding.message.clone())));
    facts.extend(run.not_honoured.iter().map(|what| ("not honoured", what.clone())));
    facts.extend(run.resumes.iter().map(|time| ("resumed", time.to_string())));
    facts.retain(|(_, what)| !what.is_empty());
    facts
}

/// The charts, for the page's script.
fn data(charts: &[Chart], marks: &[Mark]) -> Value {
    let lines = charts.iter().map(|chart| chart.series.len()).sum::<usize>().max(1);
    let most = (MOST_POINTS / lines).clamp(POINTS.0, POINTS.1);
    let chart = |chart: &Chart| {
        let own = match chart.x {
            X::Run => None,
            X::Own(name) => Some(name),
        };
        json!({
            "id": chart.id, "run": chart.run, "x": own, "y": chart.y,
            "series": chart.series.iter().map(|line| series(line, most)).collect::<Vec<_>>(),
        })
    };
    let mark = |mark: &Mark| {
        json!({
            "letter": mark.letter, "run": mark.run, "colour": mark.colour, "label": mark.label, "step": mark.step,
            "seconds": short(mark.seconds),
        })
    };
    json!({
        "palette": PALETTE,
        "charts": charts.iter().map(chart).collect::<Vec<_>>(),
        "marks": marks.iter().map(mark).collect::<Vec<_>>(),
    })
}

fn series(series: &Series, most: usize) -> Value {
    let points = thinned(&series.points, most);
    let column = |of: fn(&At) -> f64| points.iter().map(|at| short(of(at))).collect::<Vec<_>>();
    let (kind, dash) = match series.stroke {
        Stroke::Line([0, _]) => ("line", None),
        Stroke::Line(dash) => ("line", Some(dash)),
        Stroke::Dots => ("dots", None),
        Stroke::Rings => ("rings", None),
    };
    // Where it is stale: from each index up to another.
    let mut stale: Vec<[usize; 2]> = Vec::new();
    for index in points.iter().enumerate().filter(|(_, at)| at.stale).map(|(index, _)| index) {
        match stale.last_mut() {
            Some([_, end]) if *end == index => *end += 1,
            _ => stale.push([index, index + 1]),
        }
    }
    json!({
        "label": series.label, "colour": series.colour, "kind": kind, "dash": dash, "hidden": series.hidden,
        "step": column(|at| at.step), "seconds": column(|at| at.seconds),
        "value": column(|at| at.y.unwrap_or(f64::NAN)), "stale": stale,
    })
}

/// Six digits are more than a screen can show.
fn short(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return (value as i64).into();
    }
    let digits = (5.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as i32;
    let scale = 10_f64.powi(digits);
    let rounded = (value * scale).round() / scale;
    if rounded.fract() == 0.0 { (rounded as i64).into() } else { rounded.into() }
}

/// JSON that can stand in a script element: nothing in it ends the element.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_six_digits_and_what_is_none_is_null() {
        assert_eq!(
            [0.123_456_789, 1_234.567_89, 7.0, 1e9 + 0.5].map(short),
            [json!(0.123_457), json!(1234.57), json!(7), json!(1_000_000_001)]
        );
        assert_eq!(short(f64::NAN), Value::Null);
    }

    #[test]
    fn nothing_ends_the_script_before_its_end() {
        assert!(!in_script(&json!({"name": "</script><img>"})).contains('<'));
    }
}
