//! The picture beside the answer: how many instances fit under each runtime. Places are in percent and text in pixels, so that it is as
//! wide as its page and its text is never small.

use super::{Glance, GlanceCount, GlanceNumber};

/// Height of a runtime: its name, its numbers, its bar.
const ROW: usize = 74;
/// Marks on the axis at most.
const MOST_TICKS: f64 = 5.0;

/// A bar for what was held, a line for what fits by requests, a dot with its interval for what fits by memory. None where nothing is
/// known of any.
pub(crate) fn picture(glances: &[Glance], instances: &str) -> Option<String> {
    let known =
        || glances.iter().flat_map(|glance| &glance.counts).filter_map(|count| count.value.as_ref().ok());
    let most = known().map(|found| found.number.max(found.interval.high)).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let step = tick(most);
    let whole = (most / step).ceil() * step;
    let bottom = ROW * glances.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" height=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" \
         fill=\"currentColor\" aria-hidden=\"true\">",
        bottom + 38
    );
    let mut at = 0.0;
    while at <= whole * 1.0001 {
        let x = 100.0 * at / whole;
        let anchor = if at == 0.0 {
            "start"
        } else if at >= whole {
            "end"
        } else {
            "middle"
        };
        svg += &format!(
            "<line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"{}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>\
             <text x=\"{x:.2}%\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"13\">{at}</text>",
            bottom + 4,
            bottom + 20
        );
        at += step;
    }
    svg += &format!(
        "<text x=\"50%\" y=\"{}\" text-anchor=\"middle\" font-size=\"13\">{}</text>",
        bottom + 36,
        escaped(instances)
    );
    for (row, glance) in glances.iter().enumerate() {
        svg += &of_runtime(glance, ROW * row, whole);
    }
    Some(svg + "</svg>")
}

fn of_runtime(glance: &Glance, top: usize, whole: f64) -> String {
    let place = |number: f64| 100.0 * number.max(0.0) / whole;
    let colour = glance.hex();
    let mut drawn = format!(
        "<text x=\"0\" y=\"{}\" font-weight=\"600\">{}</text><rect x=\"0\" y=\"{}\" width=\"100%\" height=\"22\" fill-opacity=\"0.06\"/>",
        top + 18,
        escaped(&glance.label),
        top + 44
    );
    let mut words = Vec::new();
    for GlanceCount { name, value } in &glance.counts {
        let Ok(found) = value else {
            words.push(format!("{name}: n/a"));
            continue;
        };
        let (x, middle) = (place(found.number), top + 55);
        let (sign, shape) = match *name {
            "fit by requests" => (
                "┃",
                format!(
                    "<rect x=\"{x:.2}%\" y=\"{}\" width=\"4\" height=\"30\" transform=\"translate(-2)\"/>",
                    top + 40
                ),
            ),
            "fit by memory" | "hold with 95%" => ("●", interval(found, middle, colour, place)),
            _ => (
                "■",
                format!(
                    "<rect x=\"0\" y=\"{}\" width=\"{x:.2}%\" height=\"22\" fill=\"{colour}\"/>",
                    top + 44
                ),
            ),
        };
        drawn += &shape;
        words.push(format!("{sign} {name} {}", found.text()));
    }
    let text = words.join("   ").replace("fit by", "by").replace(" at once", "");
    drawn
        + &format!(
            "<text x=\"0\" y=\"{}\" font-size=\"13\" xml:space=\"preserve\">{}</text>",
            top + 37,
            escaped(&text)
        )
}

/// A dot with its whisker, which has a light border so that it shows on the bar.
fn interval(found: &GlanceNumber, y: usize, colour: &str, place: impl Fn(f64) -> f64) -> String {
    let (low, high, x) = (place(found.interval.low), place(found.interval.high), place(found.number));
    let line = |stroke: &str, width: u8| {
        format!(
            "<line x1=\"{low:.2}%\" x2=\"{high:.2}%\" y1=\"{y}\" y2=\"{y}\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>"
        )
    };
    format!(
        "{}{}<circle cx=\"{x:.2}%\" cy=\"{y}\" r=\"6\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"2\"/>",
        line("#ffffff", 5),
        line(colour, 2)
    )
}

/// The distance of two marks: 1, 2 or 5 times a power of ten.
fn tick(most: f64) -> f64 {
    let power = 10_f64.powf((most / MOST_TICKS).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| most / step <= MOST_TICKS).unwrap_or(10.0 * power).max(1.0)
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::GlanceCount;
    use super::*;
    use crate::stats::Interval;

    #[test]
    fn what_is_known_has_its_place_and_what_is_not_is_named() {
        let memory =
            GlanceNumber { interval: Interval { low: 30.0, high: 50.0 }, ..GlanceNumber::exact(40.0, "") };
        let glance = Glance {
            label: "<kata>".into(),
            colour: 1,
            counts: vec![
                GlanceCount {
                    name: "held at once",
                    value: Ok(GlanceNumber { is_least: true, ..GlanceNumber::exact(20.0, "") }),
                },
                GlanceCount { name: "fit by requests", value: Err("no requests".into()) },
                GlanceCount { name: "fit by memory", value: Ok(memory) },
            ],
            figures: Vec::new(),
            gave_way: Err("not saturated".into()),
        };
        let svg = picture(std::slice::from_ref(&glance), "pods").unwrap();
        assert!(svg.contains("width=\"40.00%\" height=\"22\" fill=\"#d55e00\""), "{svg}");
        assert!(svg.contains("cx=\"80.00%\"") && svg.contains("x2=\"100.00%\""), "{svg}");
        assert!(svg.contains("■ held ≥ 20   by requests: n/a   ● by memory 40"), "{svg}");
        assert!(svg.contains("&lt;kata&gt;") && !svg.contains("<kata"), "{svg}");
        let none =
            Glance { counts: vec![GlanceCount { name: "held at once", value: Err("no".into()) }], ..glance };
        assert!(picture(&[none], "pods").is_none());
    }

    #[test]
    fn the_axis_has_few_round_marks() {
        assert_eq!([3.0, 47.0, 249.0, 1645.0].map(tick), [1.0, 10.0, 50.0, 500.0]);
    }
}
