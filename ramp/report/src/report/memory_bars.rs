//! Who holds the memory of an instance, as stacked bars: of runs, and of the cells of a study.

use super::Report;
use super::plot::{PlotAxis, PlotChart, PlotMark};
use crate::analysis::components::REST;
use crate::analysis::memory_parts::{
    COMPRESSED, IN_MEMORY, MemoryPart, NODE_AND_REST, SWAPPED_OUT, memory_parts,
};
use crate::analysis::mib;

/// Less than this is rounded to nothing, in MiB.
pub const LEAST_MIB: f64 = 0.05;
/// Width of a bar, as a share of the room that it has; where it begins, and where its labels do.
const WIDTH: f64 = 0.28;
const LEFT: f64 = -0.42;
const LABELS: f64 = 0.06;
/// Bars that have room beside each other, with their labels.
const MOST_BARS: usize = 3;
/// A load of more times as much as all the rest leaves that no room in a chart.
const LARGE_LOAD: f64 = 4.0;

/// What an instance of a runtime takes, by its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryBar {
    /// What it is of.
    pub label: String,
    /// Index of its colour in the palette.
    pub colour: usize,
    /// Its parts.
    pub parts: Vec<MemoryPart>,
}

/// A component in words.
#[must_use]
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Whether it is what remains of the marginal cost.
fn is_rest(name: &str) -> bool {
    [REST, NODE_AND_REST].contains(&name)
}

/// What stands in which order from the bottom: within a rank the largest comes first.
fn rank(name: &str) -> u8 {
    match name {
        "load" | IN_MEMORY => 0,
        SWAPPED_OUT => 2,
        COMPRESSED => 3,
        name if is_rest(name) => 4,
        _ => 1,
    }
}

/// A bar for each, with the interval of each part at its end. What is less than nothing is below 0.
#[must_use]
pub fn marks(bars: &[MemoryBar]) -> Vec<PlotMark> {
    bars.iter().enumerate().flat_map(|(at, bar)| bar.marks(at)).collect()
}

impl MemoryBar {
    /// Without the load.
    #[must_use]
    pub fn beyond_load(mut self) -> Self {
        self.parts.retain(|part| part.name != "load");
        self
    }

    fn marks(&self, at: usize) -> Vec<PlotMark> {
        let mut marks = Vec::new();
        let is_shown = |part: &&MemoryPart| mib(part.bytes).abs() >= LEAST_MIB || is_rest(part.name);
        let mut all: Vec<&MemoryPart> = self.parts.iter().filter(is_shown).collect();
        all.sort_by(|a, b| rank(a.name).cmp(&rank(b.name)).then(b.bytes.total_cmp(&a.bytes)));
        let (mut above, mut below) = (0.0, 0.0);
        let x = at as f64 + LEFT;
        for (number, part) in all.iter().enumerate() {
            let size = mib(part.bytes);
            let from = if size < 0.0 { below } else { above };
            let to = from + size;
            marks.push(PlotMark::Bar { x: (x, x + WIDTH), y: (from, to), colour: self.colour, number });
            if let Some(interval) = part.interval {
                // Each whisker at a place of its own, so that those of thin parts can be told apart.
                let place = x + WIDTH * (number as f64 + 1.0) / (all.len() as f64 + 1.0);
                marks.push(PlotMark::Whisker {
                    x: place,
                    low: from + mib(interval.low),
                    high: from + mib(interval.high),
                });
            }
            let text = format!("{} {size:.1}", words(part.name)).replace('-', "−");
            marks.push(PlotMark::Label {
                from: x + WIDTH,
                x: x + WIDTH + LABELS,
                y: f64::midpoint(from, to),
                text,
            });
            if size < 0.0 { below = to } else { above = to }
        }
        marks
    }
}

/// The bars of runs: one for each, and of a mixed run one for each of its runtimes. None where runs tell neither components nor that
/// anything was swapped out.
#[must_use]
pub fn charts(report: &Report) -> Vec<PlotChart> {
    let mut labels = report.labels();
    let of = |label: &String| if report.data.len() > 1 { format!(", {label}") } else { String::new() };
    if let ([label], [group]) = (&mut labels[..], &report.findings.groups[..])
        && !group.runtime.is_empty()
    {
        label.clone_from(&group.runtime);
    }
    let mut bars: Vec<MemoryBar> = Vec::new();
    for (run, ((data, found), label)) in report.runs().zip(&labels).enumerate() {
        let of_group = |(index, runtime): (usize, &String)| MemoryBar {
            label: format!("{runtime}{}", of(label)),
            colour: if report.data.len() > 1 { report.colour(run) } else { index },
            parts: memory_parts(found, Some(index)),
        };
        bars.extend(data.mix().iter().enumerate().map(of_group));
        if data.mix().is_empty() {
            bars.push(MemoryBar {
                label: label.clone(),
                colour: report.colour(run),
                parts: memory_parts(found, None),
            });
        }
    }
    bars.retain(|bar| !bar.parts.is_empty());
    let load = |part: &MemoryPart| part.name == "load";
    let sum = |of: &dyn Fn(&MemoryPart) -> bool| -> f64 {
        bars.iter().flat_map(|bar| &bar.parts).filter(|part| of(part)).map(|part| part.bytes).sum()
    };
    let is_large = sum(&load) > LARGE_LOAD * sum(&|part| !load(part));
    if is_large {
        bars = bars.into_iter().map(MemoryBar::beyond_load).collect();
    }
    let recorded = report.data.iter().find_map(|data| data.recorded());
    let instance = recorded.map_or("pod", |recorded| recorded.run.plan.engine.instance());
    let chart = |(number, bars): (usize, &[MemoryBar])| {
        let beyond = if is_large { "beyond its load, " } else { "" };
        let title = format!("Where the memory of a {instance} is, {beyond}by component");
        chart(
            &if number == 0 { "components".into() } else { format!("components-{}", number + 1) },
            title,
            bars,
        )
    };
    bars.chunks(MOST_BARS).enumerate().map(chart).collect()
}

/// A chart of bars.
#[must_use]
pub fn chart(id: &str, title: String, bars: &[MemoryBar]) -> PlotChart {
    PlotChart {
        id: id.into(),
        title,
        x: PlotAxis::Names(bars.iter().map(|bar| bar.label.clone()).collect()),
        y: "MiB".into(),
        marks: marks(bars),
        legend: Vec::new(),
        reach: Vec::new(),
        note: note(bars),
    }
}

/// What the parts are that these bars have.
fn note(bars: &[MemoryBar]) -> String {
    let has = |name: &str| bars.iter().flat_map(|bar| &bar.parts).any(|part| part.name == name);
    let mut note = match has(IN_MEMORY) {
        true => "No component probe ran: in memory is all that is not swapped out.".to_owned(),
        false => "Components: anonymous and shared memory (PSS) of their processes. Node (kubelet and container runtime) and kernel: \
                  slope against instances. Rest: what is left of the marginal cost, below 0 where components hold more."
            .to_owned(),
    };
    if has(NODE_AND_REST) {
        note += " All else: of mixed runs node, kernel and rest, which are not told apart by runtime.";
    }
    if has(SWAPPED_OUT) || has(COMPRESSED) {
        note += " Swapped out (on a disk) and compressed (zswap, zram, at its compressed size) are of all components and of the load.";
    }
    note + " Lines: 95% CI of each part, at its end."
}
