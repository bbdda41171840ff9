//! The report as a page: one file that needs no network.

mod data;
mod sections;
pub(crate) mod slowest;

pub(crate) use data::{in_script, short, tables};

use askama::Template;

use self::sections::PageSection;
use super::chart::{Chart, Mark, PALETTE};
use super::estimate_table::EstimateRow;
use super::glance::{self, Glance};
use super::plot::{DrawnPlot, PlotChart};
use super::setting::setting;
use super::{Report, estimate_table, narrative};
use crate::analysis::results::Compared;
use crate::dataset::Dataset;
use ramp_format::run_file::RunFile;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'p> {
    title: String,
    /// A sentence for each comparison or run.
    summaries: Vec<String>,
    /// What was run where.
    setting: String,
    glances: Vec<Glance>,
    /// The picture beside the answer.
    picture: String,
    ramp_version: &'static str,
    /// Labels, names and colours of the runs.
    columns: Vec<(String, &'p str, &'static str)>,
    comparisons: Vec<HtmlTable>,
    parts: Vec<PageSection<'p>>,
    sections: Vec<narrative::Section>,
    runs: Vec<Metadata>,
    data: String,
    uplot_css: &'static str,
    uplot_js: &'static str,
    uplot_license: &'static str,
    css: &'static str,
    js: &'static str,
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
    let names = report.data.iter().map(|data| data.name.as_str());
    let labels = report.labels().into_iter().zip(names).enumerate();
    let glances = glance::glances(report);
    let starts = sections::all_starts(report);
    let page = Page {
        title: report.findings.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", "),
        summaries: narrative::summaries(report),
        setting: setting(report.data.iter().filter_map(|data| Some(&data.recorded()?.run))).join("; "),
        picture: glance::picture(&glances, instances(report)).unwrap_or_default(),
        glances,
        ramp_version: env!("CARGO_PKG_VERSION"),
        columns: labels.map(|(run, (label, name))| (label, name, hex(report.colour(run)))).collect(),
        comparisons: comparisons(report),
        data: in_script(&data::data(charts, marks, plots, &starts.all)),
        parts: sections::sections(report, charts, DrawnPlot::all(plots)?, starts),
        sections: narrative::sections(report),
        runs: report.data.iter().map(metadata).collect(),
        uplot_css: include_str!("../../assets/uPlot.min.css"),
        uplot_js: include_str!("../../assets/uPlot.iife.min.js"),
        uplot_license: include_str!("../../assets/uPlot.LICENSE"),
        css: include_str!("../../assets/page.css"),
        js: concat!(include_str!("../../assets/figures.js"), include_str!("../../assets/page.js")),
    };
    page.render().map_err(|error| format!("the page: {error}"))
}

/// What the instances are.
fn instances(report: &Report) -> &'static str {
    let recorded = report.data.iter().find_map(Dataset::recorded);
    recorded.map_or("instances", |recorded| recorded.run.plan.engine.instances())
}

fn hex(colour: usize) -> &'static str {
    PALETTE.get(colour % PALETTE.len()).copied().unwrap_or("#7f7f7f")
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
