//! Charts as data: one definition for SVG and for the page.

/// Colours that the colour-blind can tell apart (Okabe and Ito, Color Universal Design, 2008), without black and yellow, which do not show
/// on every background. Each is used in this order.
pub const PALETTE: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"];

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Unique name, for file names and anchors.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The run that it is of; none where it is of all of them.
    pub run: Option<usize>,
    /// What runs along x.
    pub x: X,
    /// What runs along y, with its unit.
    pub y: &'static str,
    /// What is drawn.
    pub series: Vec<Series>,
    /// What has to be known to read it.
    pub note: String,
}

/// What runs along x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X {
    /// The run: its steps, or its time.
    Run,
    /// Something else, which is called so.
    Own(&'static str),
}

/// One line, or one kind of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is.
    pub label: String,
    /// Index of its colour in [`PALETTE`].
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Whether it is there to be switched on, and not shown at first.
    pub hidden: bool,
    /// Its points, from left to right.
    pub points: Vec<At>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Lengths of dashes and gaps: `[0, 0]` is a solid line.
    Line([u8; 2]),
    /// A dot for each point.
    Dots,
    /// A ring for each point.
    Rings,
}

/// Strokes of lines that share a colour, in the order of their use.
pub const LINES: [Stroke; 4] =
    [Stroke::Line([0, 0]), Stroke::Line([8, 4]), Stroke::Line([2, 3]), Stroke::Line([12, 3])];

/// A point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// Where it is on the step axis, or on the x axis of the chart.
    pub step: f64,
    /// Where it is by time, in seconds since the run began.
    pub seconds: f64,
    /// How high; none is a gap.
    pub y: Option<f64>,
    /// Whether it only repeats something older.
    pub stale: bool,
}

/// Something that happened at one place of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// A letter that stands for it.
    pub letter: char,
    /// The run that it is of.
    pub run: usize,
    /// Index of the colour of its run.
    pub colour: usize,
    /// What happened, and in which run where there is more than one.
    pub label: String,
    /// At which step.
    pub step: f64,
    /// When, in seconds since the run began.
    pub seconds: f64,
}

impl Chart {
    /// A chart of all runs along their steps, without a note.
    #[must_use]
    pub fn of_all(id: &str, title: impl Into<String>, y: &'static str, series: Vec<Series>) -> Self {
        Self { id: id.into(), title: title.into(), run: None, x: X::Run, y, series, note: String::new() }
    }

    /// Whether something that happened in a run is marked in it.
    #[must_use]
    pub fn has(&self, mark: &Mark) -> bool {
        self.x == X::Run && self.run.is_none_or(|run| run == mark.run)
    }

    /// Whether there is anything to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.iter().all(|point| point.y.is_none()))
    }
}

/// Points, so few that they are drawn in no time: of each stretch its first and its last, its lowest and its highest, so that nothing that
/// stands out is lost. At most about `most` of them.
#[must_use]
pub fn thinned(points: &[At], most: usize) -> Vec<At> {
    const OF_EACH: usize = 4;
    if points.len() <= most.max(OF_EACH) {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((most / OF_EACH).max(1));
    points.chunks(stretch).flat_map(outstanding).copied().collect()
}

/// The first, the last, the lowest, the highest and any gap of some points, in their order.
fn outstanding(points: &[At]) -> impl Iterator<Item = &At> {
    let by_height = |(_, a): &(usize, f64), (_, b): &(usize, f64)| a.total_cmp(b);
    let heights = || points.iter().enumerate().filter_map(|(index, at)| Some((index, at.y?)));
    let mut kept = vec![0, points.len().saturating_sub(1)];
    kept.extend(heights().min_by(by_height).map(|(index, _)| index));
    kept.extend(heights().max_by(by_height).map(|(index, _)| index));
    kept.extend(points.iter().position(|at| at.y.is_none()));
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().filter_map(|index| points.get(index))
}

/// Stretches of a line that are drawn in one go: those between two fresh points, and those that begin or end at a stale one, which are
/// drawn so that nobody takes them for measured. Points that stand alone are stretches of one.
#[must_use]
pub fn stretches(points: &[At]) -> Vec<(bool, Vec<At>)> {
    let mut stretches: Vec<(bool, Vec<At>)> = Vec::new();
    let mut last: Option<At> = None;
    for at in points {
        if at.y.is_none() {
            last = None;
            continue;
        }
        let joins = last.map(|last| (last, last.stale || at.stale));
        match (joins, stretches.last_mut()) {
            // A point that stood alone, and may be either.
            (Some((_, stale)), Some(stretch)) if stretch.1.len() == 1 => {
                stretch.0 = stale;
                stretch.1.push(*at);
            }
            (Some((_, stale)), Some((is_stale, stretch))) if stale == *is_stale => stretch.push(*at),
            (Some((last, stale)), _) => stretches.push((stale, vec![last, *at])),
            (None, _) => stretches.push((at.stale, vec![*at])),
        }
        last = Some(*at);
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: usize, y: f64) -> At {
        At { step: step as f64, seconds: step as f64, y: Some(y), stale: false }
    }

    #[test]
    fn thinning_keeps_what_stands_out_and_where_the_line_ends() {
        let mut points: Vec<At> = (0..100_000).map(|step| at(step, 5.0)).collect();
        points[12_345].y = Some(99.0);
        points[54_321].y = Some(-99.0);
        points[60_000].y = None;
        let few = thinned(&points, 1000);
        assert!(few.len() <= 1100, "{}", few.len());
        let heights: Vec<_> = few.iter().filter_map(|at| at.y).collect();
        assert!(heights.contains(&99.0) && heights.contains(&-99.0));
        assert!(few.iter().any(|at| at.y.is_none()), "a gap stays one");
        assert_eq!((few[0].step, few[few.len() - 1].step), (0.0, 99_999.0));
        assert!(few.is_sorted_by(|a, b| a.step < b.step));
    }

    #[test]
    fn few_points_are_left_as_they_are() {
        let points: Vec<At> = (0..500).map(|step| at(step, step as f64)).collect();
        assert_eq!(thinned(&points, 1000), points);
    }

    #[test]
    fn a_line_is_fresh_only_between_two_fresh_points() {
        let stale = |step| At { stale: true, ..at(step, 1.0) };
        let gap = At { y: None, ..at(6, 0.0) };
        let points = [at(1, 1.0), at(2, 1.0), stale(3), at(4, 1.0), at(5, 1.0), gap, at(7, 1.0)];
        let found: Vec<(bool, Vec<f64>)> = stretches(&points)
            .into_iter()
            .map(|(stale, points)| (stale, points.iter().map(|at| at.step).collect()))
            .collect();
        let expected = [
            (false, vec![1.0, 2.0]),
            (true, vec![2.0, 3.0, 4.0]),
            (false, vec![4.0, 5.0]),
            (false, vec![7.0]),
        ];
        assert_eq!(found, expected);
    }
}
