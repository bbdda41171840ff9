//! Chart of a search: the share of climbs in which each level held, and the fitted distribution.

use distrs::Normal;

use super::super::Report;
use super::super::chart::{At, Chart, Series, Stroke, X};
use super::series::Pen;
use crate::analysis::search::SearchResult;

/// Points of the fitted curve.
const POINTS: u32 = 60;

/// The share of climbs in which each level held.
pub(super) fn levels(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (run, found) in report.findings.runs.iter().enumerate() {
        let Ok(search) = &found.search else { continue };
        let points = search
            .levels
            .iter()
            .map(|at| place(at.level.into(), 100.0 * f64::from(at.held) / f64::from(at.of)));
        series.push(Series {
            label: pen.label(run, "held"),
            colour: pen.colour(run, 0),
            stroke: Stroke::Dots,
            hidden: false,
            points: points.collect(),
        });
        series.push(pen.line(run, (1, "fitted"), fitted(search)));
    }
    Chart {
        x: X::Own("instances"),
        note: "Dots: climbs in which that many instances held, of those that tell of it. The curve crosses 95% at the number that is \
               stated."
            .into(),
        ..Chart::of_all("search", "Levels that held", "% of climbs", series)
    }
}

fn fitted(search: &SearchResult) -> Vec<At> {
    let (Some(found), Some(first), Some(last)) =
        (&search.thresholds, search.levels.first(), search.levels.last())
    else {
        return Vec::new();
    };
    let width = f64::from(last.level - first.level) / f64::from(POINTS);
    let share = |level: f64| 100.0 * (1.0 - Normal::cdf(level, found.mean, found.deviation));
    (0..=POINTS)
        .map(|at| f64::from(first.level) + width * f64::from(at))
        .map(|level| place(level, share(level)))
        .collect()
}

fn place(x: f64, y: f64) -> At {
    At { step: x, seconds: x, y: Some(y), stale: false }
}
