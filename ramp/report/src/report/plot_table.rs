//! The figures behind a chart, as a table.

use serde_json::{Value, json};

use super::html::short;
use super::plot::{PlotAxis, PlotChart, PlotMark};

impl PlotChart {
    /// The table: its headings, and a row for each thing that is drawn, with empty cells where it has nothing.
    pub(crate) fn table(&self) -> Value {
        let x = match &self.x {
            PlotAxis::Number(name) => name,
            PlotAxis::Names(_) => "of",
        };
        let mut rows: Vec<[Value; 5]> = Vec::new();
        let mut lines = vec![0; self.legend.len() + 1];
        for mark in &self.marks {
            match mark {
                PlotMark::Dots { places, colour } => {
                    rows.extend(places.iter().map(|at| self.row(&self.name(*colour, at.0), *at)));
                }
                PlotMark::Line { places, colour, .. } => {
                    let at = (*colour).min(lines.len() - 1);
                    lines[at] += 1;
                    let name = format!("{} {}", self.name(*colour, f64::NAN), lines[at]);
                    rows.extend(places.iter().map(|at| self.row(&name, *at)));
                }
                PlotMark::Interval { x, low, mean, high, colour } => {
                    let [_, at, value, ..] = self.row("", (*x, *mean));
                    let name = format!("{}, mean", self.name(*colour, *x));
                    rows.push([name.into(), at, value, short(*low), short(*high)]);
                }
                PlotMark::Bar { x: (left, _), y: (from, to), .. } => {
                    rows.push(self.row("", (*left, to - from)));
                }
                // An interval is at the end of its part, and the name of a part follows it.
                PlotMark::Whisker { low, high, .. } => {
                    if let Some(PlotMark::Bar { y: (from, _), .. }) = self.bar_before(mark)
                        && let Some(row) = rows.last_mut()
                    {
                        (row[3], row[4]) = (short(low - from), short(high - from));
                    }
                }
                PlotMark::Label { text, .. } => {
                    let name = text.rsplit_once(' ').map_or(text.as_str(), |(name, _)| name);
                    if let Some(row) = rows.last_mut() {
                        row[0] = name
                            .trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.')
                            .trim()
                            .into();
                    }
                }
                PlotMark::Ribbon { .. } | PlotMark::Band { .. } => {}
            }
        }
        json!({"headings": ["what", x, self.y, "95% CI from", "to"], "rows": rows})
    }

    fn row(&self, name: &str, (x, y): (f64, f64)) -> [Value; 5] {
        let at = match &self.x {
            PlotAxis::Number(_) => short(x),
            PlotAxis::Names(names) => names.get(x.round().max(0.0) as usize).cloned().into(),
        };
        [name.into(), at, short(y), Value::Null, Value::Null]
    }

    /// What has a colour, or stands at a place.
    fn name(&self, colour: usize, x: f64) -> String {
        let named = self.legend.iter().find(|(_, of)| *of == colour).map(|(name, _)| name);
        let at = || match &self.x {
            PlotAxis::Names(names) => names.get(x.round().max(0.0) as usize),
            PlotAxis::Number(_) => None,
        };
        named.or_else(at).cloned().unwrap_or_default()
    }

    /// The last bar before a mark.
    fn bar_before(&self, mark: &PlotMark) -> Option<&PlotMark> {
        let at = self.marks.iter().position(|other| std::ptr::eq(other, mark))?;
        self.marks.iter().take(at).rev().find(|other| matches!(other, PlotMark::Bar { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_drawn_has_a_row_with_its_name_and_interval() {
        let chart = PlotChart {
            id: "components".into(),
            title: String::new(),
            x: PlotAxis::Names(vec!["kata".into()]),
            y: "MiB".into(),
            marks: vec![
                PlotMark::Bar { x: (-0.4, -0.1), y: (10.0, 74.0), colour: 0, number: 0 },
                PlotMark::Whisker { x: -0.2, low: 72.0, high: 76.0 },
                PlotMark::Label { from: -0.1, x: 0.0, y: 42.0, text: "vmm 64.0".into() },
                PlotMark::Interval { x: 0.15, low: 1.0, mean: 2.0, high: 3.0, colour: 0 },
            ],
            legend: Vec::new(),
            note: String::new(),
            reach: Vec::new(),
        };
        let expected = json!([["vmm", "kata", 64, 62, 66], ["kata, mean", "kata", 2, 1, 3]]);
        assert_eq!(chart.table()["rows"], expected);
    }
}
