//! What the scripts of a page need: charts with their points, and the tables behind charts.

use serde_json::{Map, Value, json};

use super::super::chart::{At, Chart, Mark, PALETTE, Series, Stroke, X, thinned};
use super::super::plot::PlotChart;

/// Points of all charts together: what keeps the page of a run of a thousand steps far below 2 MB.
const MOST_POINTS: usize = 40_000;
/// Points of a line that can be told apart on a wide screen, at least and at most.
const POINTS: (usize, usize) = (200, 2000);

/// The tables behind drawings, by the names of these.
pub(crate) fn tables(plots: &[PlotChart]) -> Value {
    plots.iter().map(|plot| (plot.id.clone(), plot.table())).collect::<Map<_, _>>().into()
}

/// The charts and the starts of all instances, for the page's script.
pub(super) fn data(charts: &[Chart], marks: &[Mark], plots: &[PlotChart], starts: &Value) -> Value {
    let lines = charts.iter().map(|chart| chart.series.len()).sum::<usize>().max(1);
    let most = (MOST_POINTS / lines).clamp(POINTS.0, POINTS.1);
    let chart = |chart: &Chart| {
        let own = match chart.x {
            X::Run => None,
            X::Own(name) => Some(name),
        };
        json!({
            "id": chart.id, "title": chart.title, "run": chart.run, "x": own, "y": chart.y,
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
        "tables": tables(plots),
        "starts": starts,
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
pub(crate) fn short(value: f64) -> Value {
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
pub(crate) fn in_script(value: &Value) -> String {
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
