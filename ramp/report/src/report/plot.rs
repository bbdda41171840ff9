//! Charts of bars, intervals and lines as SVG: for a file, and for a page, whose colours it follows.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::Stroke;
use super::svg::{Area, DrawResult, Plot, colour as rgb, label as tick};

/// Width of a chart, in pixels.
const WIDTH: u32 = 520;
/// The same on a phone, where text is to be as large.
const NARROW: u32 = 340;
/// Height of a chart, in pixels, without its legend.
const HEIGHT: u32 = 300;
/// Height of a line of the legend.
const LINE: u32 = 18;
/// Half of the width of the cap of an interval, in pixels.
const CAP: i32 = 5;

/// A chart with axes of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotChart {
    /// Unique name, for file names and anchors.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What runs along x.
    pub x: PlotAxis,
    /// What runs along y, with its unit.
    pub y: String,
    /// What is drawn, from the back to the front.
    pub marks: Vec<PlotMark>,
    /// Names of the colours.
    pub legend: Vec<(String, usize)>,
    /// What has to be known to read it.
    pub note: String,
    /// Places that its axes include, for charts that are to be read beside each other.
    pub reach: Vec<(f64, f64)>,
}

/// A chart, as a page has it.
#[derive(Debug)]
pub(crate) struct DrawnPlot<'c> {
    pub(crate) chart: &'c PlotChart,
    pub(crate) svg: String,
    /// The same for a narrow page.
    pub(crate) narrow: String,
    /// How wide that is, in pixels.
    pub(crate) narrow_width: u32,
}

impl DrawnPlot<'_> {
    /// Whether it is wider than a phone: it is then moved sideways.
    pub(crate) fn is_wide(&self) -> bool {
        self.narrow_width > NARROW
    }
}

impl<'c> DrawnPlot<'c> {
    /// Draws all of them.
    ///
    /// # Errors
    /// Why one could not be drawn.
    pub(crate) fn all(charts: &'c [PlotChart]) -> Result<Vec<Self>, String> {
        let drawn = |chart: &'c PlotChart| {
            let narrow_width = chart.narrow_width();
            Ok(Self {
                chart,
                svg: chart.inline_svg(WIDTH)?,
                narrow: chart.inline_svg(narrow_width)?,
                narrow_width,
            })
        };
        charts.iter().map(drawn).collect()
    }
}

/// What runs along x.
#[derive(Clone, Debug, PartialEq)]
pub enum PlotAxis {
    /// A number, which is called so.
    Number(&'static str),
    /// These names, at 0, 1, ….
    Names(Vec<String>),
}

/// Something that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum PlotMark {
    /// A dot at each place.
    Dots {
        /// Where.
        places: Vec<(f64, f64)>,
        /// Index in the palette.
        colour: usize,
    },
    /// A line through these places.
    Line {
        /// Where.
        places: Vec<(f64, f64)>,
        /// Index in the palette.
        colour: usize,
        /// How it is drawn.
        stroke: Stroke,
    },
    /// What lies between two lines.
    Ribbon {
        /// Where, with the lower and the upper end.
        places: Vec<(f64, f64, f64)>,
        /// Index in the palette.
        colour: usize,
    },
    /// A mean with its interval.
    Interval {
        /// Where.
        x: f64,
        /// The lower end.
        low: f64,
        /// The mean.
        mean: f64,
        /// The upper end.
        high: f64,
        /// Index in the palette.
        colour: usize,
    },
    /// A part of a bar.
    Bar {
        /// Its left and its right end.
        x: (f64, f64),
        /// Where it begins and where it ends.
        y: (f64, f64),
        /// Index in the palette.
        colour: usize,
        /// Which part it is: neighbours differ in shade.
        number: usize,
    },
    /// An interval beside a part of a bar.
    Whisker {
        /// Where.
        x: f64,
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// A text beside what it names, moved where others are in its place: a line leads to it.
    Label {
        /// Where that ends.
        from: f64,
        /// Where the text begins.
        x: f64,
        /// Its middle.
        y: f64,
        /// What it says.
        text: String,
    },
    /// A band across the chart.
    Band {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
}

impl PlotMark {
    fn places(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Dots { places, .. } | Self::Line { places, .. } => places.clone(),
            Self::Ribbon { places, .. } => {
                places.iter().flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]).collect()
            }
            Self::Interval { x, low, high, .. } => vec![(*x, *low), (*x, *high)],
            Self::Bar { x: (left, right), y: (from, to), .. } => vec![(*left, *from), (*right, *to)],
            Self::Whisker { x, low, high } => vec![(*x, *low), (*x, *high)],
            Self::Band { .. } | Self::Label { .. } => Vec::new(),
        }
    }

    /// Heights that the chart has to show.
    fn heights(&self) -> Vec<f64> {
        match self {
            Self::Band { low, high } => vec![*low, *high],
            _ => self.places().into_iter().map(|(_, y)| y).collect(),
        }
    }
}

impl PlotChart {
    /// The least and the largest place of what is drawn.
    #[must_use]
    pub fn extent(&self) -> Vec<(f64, f64)> {
        let places = || self.marks.iter().flat_map(PlotMark::places);
        let heights = || self.marks.iter().flat_map(PlotMark::heights);
        let of = |x: fn(f64, f64) -> f64| {
            let widest = places().map(|(x, _)| x).reduce(x)?;
            Some((widest, heights().reduce(x)?))
        };
        [of(f64::min), of(f64::max)].into_iter().flatten().collect()
    }

    /// Whether there is anything to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.iter().all(|mark| mark.places().is_empty())
    }

    /// The chart, for a file.
    ///
    /// # Errors
    /// Why it could not be drawn.
    pub fn svg(&self) -> Result<String, String> {
        self.draw(true, WIDTH)
    }

    /// The chart, for a page: axes and text have the colour of the text around it.
    ///
    /// # Errors
    /// Why it could not be drawn.
    fn inline_svg(&self, width: u32) -> Result<String, String> {
        let text = self.draw(false, width)?;
        Ok(text.replace("#000000", "currentColor").replace("<svg ", "<svg aria-hidden=\"true\" "))
    }

    fn draw(&self, on_white: bool, width: u32) -> Result<String, String> {
        let mut text = String::new();
        let legend = self.legend_rows(width);
        let size = (width, HEIGHT + LINE * legend.len() as u32 + 6);
        {
            let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
            let drawn = self
                .draw_on(&root, on_white)
                .and_then(|()| draw_legend(&root, &legend))
                .and_then(|()| root.present());
            drawn.map_err(|error| format!("chart {}: {error}", self.id))?;
        }
        Ok(text)
    }

    fn draw_on(&self, root: &Area<'_>, on_white: bool) -> DrawResult {
        if on_white {
            root.fill(&WHITE)?;
        }
        let (upper, _) = root.split_vertically(HEIGHT);
        let ((left, right), (bottom, top)) = self.bounds();
        let mut builder = ChartBuilder::on(&upper);
        // Names have no title below them.
        let below = if matches!(self.x, PlotAxis::Names(_)) { 30 } else { 46 };
        builder.margin(10).x_label_area_size(below).y_label_area_size(66);
        if on_white {
            builder.caption(&self.title, ("sans-serif", 17));
        }
        let mut plot: Plot<'_, '_> = builder.build_cartesian_2d(left..right, bottom..top)?;
        let mut mesh = plot.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.5))
            .label_style(("sans-serif", 16))
            .y_labels(6)
            .y_desc(&self.y)
            .y_label_formatter(&|y| tick(*y));
        match &self.x {
            PlotAxis::Number(name) => mesh.x_desc(*name).x_label_formatter(&|x| tick(*x)).draw()?,
            PlotAxis::Names(_) => mesh.disable_x_mesh().x_labels(0).draw()?,
        }
        if let PlotAxis::Names(names) = &self.x {
            draw_names(root, &plot, names, bottom)?;
        }
        if bottom < 0.0 {
            plot.draw_series(LineSeries::new([(left, 0.0), (right, 0.0)], BLACK.mix(0.6).stroke_width(1)))?;
        }
        self.marks.iter().try_for_each(|mark| draw_mark(&mut plot, mark, (left, right)))?;
        draw_labels(root, &plot, &self.marks, top)
    }

    /// The least width at which names below the axis and beside bars do not cover each other.
    fn narrow_width(&self) -> u32 {
        const AXES: f64 = 86.0;
        let PlotAxis::Names(names) = &self.x else { return NARROW };
        let length = |text: &str| text.chars().count() as f64;
        let name = names.iter().map(|name| 8.6 * length(name) + 6.0).fold(0.0, f64::max);
        let label = |mark: &PlotMark| match mark {
            // It has what a bar leaves of the room of its name.
            PlotMark::Label { text, .. } => 7.2 * length(text) / 0.62,
            _ => 0.0,
        };
        let room = self.marks.iter().map(label).fold(name, f64::max);
        (AXES + names.len() as f64 * room).clamp(NARROW.into(), 2.0 * f64::from(WIDTH)) as u32
    }

    /// Bounds of x and of y. Zero is always in the chart.
    fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let ends = |values: Vec<f64>| {
            values
                .into_iter()
                .fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)))
        };
        let heights = self.marks.iter().flat_map(PlotMark::heights).chain(self.reach.iter().map(|(_, y)| *y));
        let (low, high) = ends(heights.collect());
        let span = if high > low { high - low } else { 1.0 };
        let bottom = if low < 0.0 { low - 0.06 * span } else { 0.0 };
        let x = match &self.x {
            // What stands alone is in the middle, and no wider than one of two.
            PlotAxis::Names(names) if names.len() == 1 => (-1.0, 1.0),
            PlotAxis::Names(names) => (-0.5, names.len() as f64 - 0.5),
            PlotAxis::Number(_) => {
                let places = self.marks.iter().flat_map(PlotMark::places).chain(self.reach.iter().copied());
                let (low, high) = ends(places.map(|(x, _)| x).collect());
                (low, if high > low { high * 1.04 } else { low + 1.0 })
            }
        };
        (x, (bottom, high + 0.06 * span))
    }

    /// Entries of the legend with where each begins, in rows.
    fn legend_rows(&self, width: u32) -> Vec<Vec<(i32, &(String, usize))>> {
        let mut rows: Vec<Vec<(i32, &(String, usize))>> = Vec::new();
        let mut x = i32::MAX;
        for entry in &self.legend {
            let wide = 40 + 9 * entry.0.chars().count() as i32;
            if x.saturating_add(wide) > width as i32 {
                rows.push(Vec::new());
                x = 72;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, entry));
            }
            x += wide;
        }
        rows
    }
}

fn draw_names(root: &Area<'_>, plot: &Plot<'_, '_>, names: &[String], bottom: f64) -> DrawResult {
    for (at, name) in names.iter().enumerate() {
        let (x, y) = plot.backend_coord(&(at as f64, bottom));
        let font = ("sans-serif", 16).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(name.clone(), (x, y + 8), font))?;
    }
    Ok(())
}

fn draw_mark(plot: &mut Plot<'_, '_>, mark: &PlotMark, (left, right): (f64, f64)) -> DrawResult {
    match mark {
        PlotMark::Band { low, high } => {
            let style = BLACK.mix(0.08).filled();
            plot.draw_series([Rectangle::new([(left, *low), (right, *high)], style)])?;
        }
        PlotMark::Dots { places, colour } => {
            let style = rgb(*colour).mix(0.75).filled();
            plot.draw_series(places.iter().map(|at| Circle::new(*at, 4, style)))?;
        }
        PlotMark::Line { places, colour, stroke } => {
            let style = rgb(*colour).stroke_width(1);
            match stroke {
                Stroke::Line([dash, space]) if *dash > 0 => {
                    let (dash, space) = (f32::from(*dash), f32::from(*space));
                    plot.draw_series(DashedLineSeries::new(places.clone(), dash, space, style))?;
                }
                _ => {
                    plot.draw_series(LineSeries::new(places.clone(), style))?;
                }
            }
        }
        PlotMark::Bar { x: (left, right), y: (from, to), colour, number } => {
            const SHADES: [f64; 3] = [0.85, 0.55, 0.3];
            let style = rgb(*colour).mix(SHADES[number % SHADES.len()]).filled();
            plot.draw_series([Rectangle::new([(*left, *from), (*right, *to)], style)])?;
        }
        PlotMark::Whisker { x, low, high } => {
            plot.draw_series([PathElement::new([(*x, *low), (*x, *high)], BLACK.stroke_width(1))])?;
        }
        PlotMark::Label { .. } => {}
        PlotMark::Ribbon { places, colour } => {
            let lower = places.iter().map(|(x, low, _)| (*x, *low));
            let upper = places.iter().rev().map(|(x, _, high)| (*x, *high));
            let corners: Vec<(f64, f64)> = lower.chain(upper).collect();
            plot.draw_series([Polygon::new(corners, rgb(*colour).mix(0.15).filled())])?;
        }
        PlotMark::Interval { x, low, mean, high, colour } => {
            let style = rgb(*colour).stroke_width(2);
            plot.draw_series([PathElement::new([(*x, *low), (*x, *high)], style)])?;
            for (at, half) in [(*low, CAP), (*high, CAP), (*mean, 2 * CAP)] {
                let cap = EmptyElement::at((*x, at)) + PathElement::new([(-half, 0), (half, 0)], style);
                plot.draw_series([cap])?;
            }
        }
    }
    Ok(())
}

/// A label, and the place of what it names, in pixels.
struct PlacedLabel<'t> {
    x: i32,
    y: i32,
    from: (i32, i32),
    text: &'t str,
}

/// Labels in columns, from below to above: each as near to its place as those below it let it be, and none above `top`.
fn draw_labels(root: &Area<'_>, plot: &Plot<'_, '_>, marks: &[PlotMark], top: f64) -> DrawResult {
    const APART: i32 = 16;
    const BEFORE: i32 = 3;
    let (_, top) = plot.backend_coord(&(0.0, top));
    let mut labels: Vec<PlacedLabel<'_>> = Vec::new();
    for mark in marks {
        let PlotMark::Label { from, x, y, text } = mark else { continue };
        let (from, (x, y)) = (plot.backend_coord(&(*from, *y)), plot.backend_coord(&(*x, *y)));
        labels.push(PlacedLabel { x, y, from, text });
    }
    // From the lowest one up; where that leads out of the chart, from the highest one down.
    labels.sort_by_key(|label| (label.x, -label.y));
    for at in 1..labels.len() {
        if labels[at].x == labels[at - 1].x {
            labels[at].y = labels[at].y.min(labels[at - 1].y - APART);
        }
    }
    for at in (0..labels.len()).rev() {
        let above = labels.get(at + 1).filter(|above| above.x == labels[at].x);
        let highest = above.map_or(top + APART / 2, |above| above.y + APART);
        labels[at].y = labels[at].y.max(highest);
    }
    for PlacedLabel { x, y, from, text } in labels {
        root.draw(&PathElement::new([from, (x - BEFORE, y)], BLACK.mix(0.4).stroke_width(1)))?;
        let font = ("sans-serif", 15).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(text.to_owned(), (x, y), font))?;
    }
    Ok(())
}

fn draw_legend(root: &Area<'_>, rows: &[Vec<(i32, &(String, usize))>]) -> DrawResult {
    for (row, entries) in rows.iter().enumerate() {
        let y = HEIGHT as i32 + LINE as i32 * row as i32 + 4;
        for (x, (name, colour)) in entries {
            root.draw(&Circle::new((x + 6, y), 5, rgb(*colour).filled()))?;
            let font = ("sans-serif", 16).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(name.clone(), (x + 18, y), font))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_page_text_has_the_page_s_colour_and_names_stand_below_their_dots() {
        let chart = PlotChart {
            id: "memory".into(),
            title: "Memory".into(),
            x: PlotAxis::Names(vec!["runc".into(), "ka<ta".into()]),
            y: "MiB".into(),
            marks: vec![PlotMark::Interval { x: 1.0, low: 1.0, mean: 2.0, high: 3.0, colour: 1 }],
            legend: vec![("runc".into(), 0)],
            note: String::new(),
            reach: vec![(0.0, 5.0)],
        };
        assert_eq!(chart.extent(), [(1.0, 1.0), (1.0, 3.0)]);
        let page = chart.inline_svg(WIDTH).unwrap();
        assert!(chart.inline_svg(NARROW).unwrap().contains("width=\"340\""));
        assert!(
            page.contains("currentColor") && !page.contains("#000000") && page.contains("ka&lt;ta"),
            "{page}"
        );
        assert!(chart.svg().unwrap().contains("#FFFFFF"));
        assert!(!chart.is_empty() && PlotChart { marks: Vec::new(), ..chart }.is_empty());
    }
}
