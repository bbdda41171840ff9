//! Timeline for a terminal: a line for each figure with its sparkline, and one for each change point and outlier.

use super::gate_text::value;
use super::timeline::{FigureSeries, Timeline};
use crate::report::figure::Unit;
use crate::report::format::wrapped;
use crate::stats::FEWEST_FOR_OUTLIERS;
use ramp_format::text::count;
use ramp_format::time::Time;

/// Width of the text.
const WIDTH: usize = 100;
/// Most characters of a sparkline.
const SPARK_WIDTH: usize = 32;
/// Heights of a character.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// All of it.
#[must_use]
pub fn text(timeline: &Timeline) -> String {
    let mut text = String::new();
    let mut subject = None;
    for series in &timeline.series {
        if subject != Some(&series.subject) {
            text += &format!(
                "{}{}",
                if subject.is_some() { "\n" } else { "" },
                wrapped(&series.subject.label, 0, WIDTH)
            );
            text += &format!("  {:<26} {:>4}  {:>12}  {:>12}\n", "figure", "runs", "first", "last");
            subject = Some(&series.subject);
        }
        text += &line(series);
        findings(series).iter().for_each(|finding| text += &wrapped(finding, 4, WIDTH));
    }
    text.push('\n');
    text += &wrapped(&summary(timeline), 0, WIDTH);
    timeline.notes.iter().for_each(|note| text += &wrapped(note, 0, WIDTH));
    text
}

fn line(series: &FigureSeries) -> String {
    let unit = series.figure.unit;
    let [first, last] = [series.points.first(), series.points.last()]
        .map(|point| point.map_or_else(String::new, |point| value(unit, point.value.value)));
    let spark = sparkline(&series.values());
    format!("  {:<26} {:>4}  {first:>12}  {last:>12}  {spark}\n", series.figure.name, series.points.len())
}

/// What all of it says, and how often it would say so of figures that never changed.
#[must_use]
pub fn summary(timeline: &Timeline) -> String {
    let all = timeline.series.len() as u32;
    let found = timeline.series.iter().filter(|series| !series.course.is_quiet()).count();
    let days = timeline
        .span()
        .map_or_else(String::new, |(first, last)| format!(", {} to {}", date(first), date(last)));
    let series = if all == 1 { "series" } else { "series (one of each figure)" };
    // Of fewer runs none can be told.
    let long = timeline.series.iter().filter(|series| series.points.len() >= FEWEST_FOR_OUTLIERS).count();
    if long == 0 {
        return format!(
            "{all} {series}{days}: too few runs to tell a change (at least {FEWEST_FOR_OUTLIERS} of one figure)."
        );
    }
    let by_chance = 0.05 * long as f64;
    let chance = if by_chance < 1.0 { "fewer than one".into() } else { format!("about {by_chance:.0}") };
    format!(
        "{all} {series}{days}: {found} with a change point or an outlier. If none had changed, by chance {chance} would have one (5% of \
         the series, at most, if runs vary normally)."
    )
}

/// Each change point and each outlier, in a sentence.
#[must_use]
pub fn findings(series: &FigureSeries) -> Vec<String> {
    let unit = series.figure.unit;
    let named = |at: usize| {
        series
            .points
            .get(at)
            .map_or_else(String::new, |point| format!("{} ({})", point.run, date(point.begin)))
    };
    let changes = series.course.changes.iter().map(|change| {
        let (before, after) = (series.level_at(change.at.saturating_sub(1)), series.level_at(change.at));
        let levels = format!("{} → {}", value(unit, before), value(unit, after));
        (
            change.at,
            format!(
                "change at {}: {levels}{} (p {})",
                named(change.at),
                share(unit, before, after),
                p_value(change.p_value)
            ),
        )
    });
    let outliers = series.course.outliers.iter().map(|outlier| {
        let (own, level) = (series.values()[outlier.at], series.level_at(outlier.at));
        let levels = format!("{}, the others {}", value(unit, own), value(unit, level));
        (
            outlier.at,
            format!(
                "outlier {}: {levels}{} (p {})",
                named(outlier.at),
                share(unit, level, own),
                p_value(outlier.p_value)
            ),
        )
    });
    let mut findings: Vec<(usize, String)> = changes.chain(outliers).collect();
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// A p-value, after its name.
fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("= {p:.3}") }
}

/// A change as a share of the level before, where that is one.
fn share(unit: Unit, before: f64, after: f64) -> String {
    if before <= 0.0 || matches!(unit, Unit::Percent | Unit::Ratio) {
        return String::new();
    }
    format!(", {:+.1}%", 100.0 * (after / before - 1.0)).replace('-', "−")
}

/// The day of a time.
#[must_use]
pub fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// Values as heights. Of more than fit, the one of its neighbours that is farthest from the middle stands for them.
fn sparkline(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = f64::midpoint(low, high);
    let per_character = values.len().div_ceil(SPARK_WIDTH).max(1);
    let far = |a: &&f64, b: &&f64| (**a - middle).abs().total_cmp(&(**b - middle).abs());
    let height = |value: f64| match high > low {
        true => ((value - low) / (high - low) * 7.0).round() as usize,
        false => 0,
    };
    let shown = values.chunks(per_character).filter_map(|chunk| chunk.iter().max_by(far));
    shown.map(|value| SPARKS.get(height(*value)).copied().unwrap_or('█')).collect()
}

/// How many runs a series has, and how many lack its figure.
#[must_use]
pub fn extent(series: &FigureSeries) -> String {
    let runs = count(series.points.len() as u32, "run");
    match series.missing.len() {
        0 => runs,
        missing => format!("{runs}, {missing} without it"),
    }
}
