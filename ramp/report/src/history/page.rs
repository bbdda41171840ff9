//! Timeline as a page: one file without scripts, a small chart for each figure.

use askama::Template;

use super::gate_text::value;
use super::timeline::{FigureSeries, Timeline, TimelinePoint};
use super::timeline_text::{date, extent, findings, summary};
use crate::stats::Interval;

/// Size of a chart, and the place that its labels take at the left and below, in pixels.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 74.0;
const BELOW: f64 = 20.0;
const EDGE: f64 = 8.0;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage<'t> {
    title: String,
    summary: String,
    notes: &'t [String],
    ramp_version: &'static str,
    subjects: Vec<SubjectPart<'t>>,
}

struct SubjectPart<'t> {
    label: &'t str,
    charts: Vec<SmallChart<'t>>,
}

/// A chart, with everything in pixels.
struct SmallChart<'t> {
    name: &'t str,
    extent: String,
    findings: Vec<String>,
    dots: Vec<ChartDot>,
    /// Lines of levels: from x to x, at y.
    levels: Vec<[String; 3]>,
    /// Change points, between the two runs.
    changes: Vec<String>,
    /// The highest and the lowest value: y, and the label.
    ticks: Vec<(String, String)>,
    first: String,
    last: String,
    rows: Vec<[String; 4]>,
}

struct ChartDot {
    x: String,
    y: String,
    /// Both ends of the interval.
    ends: Option<[String; 2]>,
    is_outlier: bool,
    title: String,
}

/// The page.
///
/// # Errors
/// Where the template cannot be filled.
pub fn page(timeline: &Timeline) -> Result<String, String> {
    let mut subjects: Vec<SubjectPart<'_>> = Vec::new();
    for series in &timeline.series {
        let label = series.subject.label.as_str();
        match subjects.iter_mut().find(|part| part.label == label) {
            Some(part) => part.charts.push(chart(series)),
            None => subjects.push(SubjectPart { label, charts: vec![chart(series)] }),
        }
    }
    let page = HistoryPage {
        title: timeline
            .span()
            .map_or_else(String::new, |(first, last)| format!("{} to {}", date(first), date(last))),
        summary: summary(timeline),
        notes: &timeline.notes,
        ramp_version: env!("CARGO_PKG_VERSION"),
        subjects,
    };
    page.render().map_err(|error| error.to_string())
}

/// From values to pixels.
struct ChartScale {
    low: f64,
    high: f64,
    runs: usize,
}

impl ChartScale {
    fn of(series: &FigureSeries) -> Self {
        let ends = series.points.iter().flat_map(|point| {
            let Interval { low, high } =
                point.value.interval.unwrap_or(Interval { low: point.value.value, high: point.value.value });
            [low, high]
        });
        let (low, high) = ends
            .filter(|end| end.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
        // What never varies is a line in the middle.
        let margin = if high > low { 0.0 } else { low.abs().max(1.0) * 0.05 };
        Self { low: low - margin, high: high + margin, runs: series.points.len() }
    }

    fn x(&self, at: f64) -> f64 {
        let steps = self.runs.saturating_sub(1).max(1) as f64;
        LEFT + EDGE + at / steps * (WIDTH - LEFT - 2.0 * EDGE)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        EDGE + (1.0 - share) * (HEIGHT - BELOW - 2.0 * EDGE)
    }
}

fn pixels(at: f64) -> String {
    format!("{at:.1}")
}

fn chart(series: &FigureSeries) -> SmallChart<'_> {
    let scale = ChartScale::of(series);
    let unit = series.figure.unit;
    let dates = [series.points.first(), series.points.last()];
    let [first, last] = dates.map(|point| point.map_or_else(String::new, |point| date(point.begin)));
    let level = |(begin, end, level): (usize, usize, f64)| {
        let half = if end - begin == 1 { 0.4 } else { 0.0 };
        [scale.x(begin as f64 - half), scale.x(end as f64 - 1.0 + half), scale.y(level)].map(pixels)
    };
    SmallChart {
        name: &series.figure.name,
        extent: extent(series),
        findings: findings(series),
        dots: series.points.iter().enumerate().map(|(at, point)| dot(series, &scale, at, point)).collect(),
        levels: series.levels().into_iter().map(level).collect(),
        changes: series.course.changes.iter().map(|change| pixels(scale.x(change.at as f64 - 0.5))).collect(),
        ticks: [scale.high, scale.low].map(|tick| (pixels(scale.y(tick)), value(unit, tick))).to_vec(),
        first,
        last,
        rows: series.points.iter().enumerate().map(|(at, point)| row(series, at, point)).collect(),
    }
}

fn dot(series: &FigureSeries, scale: &ChartScale, at: usize, point: &TimelinePoint) -> ChartDot {
    let TimelinePoint { run, begin, value: found } = point;
    let ends = found.interval.map(|Interval { low, high }| [scale.y(low), scale.y(high)].map(pixels));
    ChartDot {
        x: pixels(scale.x(at as f64)),
        y: pixels(scale.y(found.value)),
        ends,
        is_outlier: series.mark(at) == "outlier",
        title: format!(
            "{run}, {begin}: {}{}",
            value(series.figure.unit, found.value),
            interval(series, point)
        ),
    }
}

fn interval(series: &FigureSeries, point: &TimelinePoint) -> String {
    let unit = series.figure.unit;
    point.value.interval.map_or_else(String::new, |Interval { low, high }| {
        format!(" (95% CI {} to {})", value(unit, low), value(unit, high))
    })
}

fn row(series: &FigureSeries, at: usize, point: &TimelinePoint) -> [String; 4] {
    let shown = format!("{}{}", value(series.figure.unit, point.value.value), interval(series, point));
    [point.run.clone(), point.begin.to_string(), shown, series.mark(at).replace('_', " ")]
}
