//! Charts as SVG, for a repository or a paper.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{At, Chart, Mark, PALETTE, Series, Stroke, X, stretches, thinned};

/// Width of a chart, in pixels.
const WIDTH: u32 = 900;
/// Height of what is drawn, with its axes and its title.
const HEIGHT: u32 = 380;
/// Height of a line of the legend.
const LINE: u32 = 18;
/// Points of a line that can be told apart at this width.
const MOST_POINTS: usize = 1800;
/// How wide a letter of the legend is at most, in pixels.
const LETTER: f64 = 6.6;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(crate) type DrawResult = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A chart by steps.
///
/// # Errors
/// Why it could not be drawn.
pub fn svg(chart: &Chart, marks: &[Mark]) -> Result<String, String> {
    let mut text = String::new();
    let shown: Vec<&Series> = chart.series.iter().filter(|series| !series.hidden).collect();
    let marks: Vec<&Mark> = marks.iter().filter(|mark| chart.has(mark)).collect();
    let legend = Legend::of(&shown, &marks);
    let size = (WIDTH, HEIGHT + LINE * legend.rows.len() as u32 + 8);
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = draw(&root, chart, &shown, &marks)
            .and_then(|()| legend.draw(&root))
            .and_then(|()| root.present());
        drawn.map_err(|error| format!("chart {}: {error}", chart.id))?;
    }
    Ok(text)
}

fn draw(root: &Area<'_>, chart: &Chart, shown: &[&Series], marks: &[&Mark]) -> DrawResult {
    root.fill(&WHITE)?;
    let (upper, _) = root.split_vertically(HEIGHT);
    let all = || shown.iter().flat_map(|series| &series.points).filter_map(|at| Some((at.step, at.y?)));
    let (left, right) = ends(all().map(|(x, _)| x));
    let (_, top) = ends(all().map(|(_, y)| y));
    let bottom = all().map(|(_, y)| y).fold(0.0, f64::min);
    let top = if top > bottom { top + 0.05 * (top - bottom) } else { bottom + 1.0 };
    let mut plot: Plot<'_, '_> = ChartBuilder::on(&upper)
        .margin(10)
        .caption(&chart.title, ("sans-serif", 17))
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(left..right.max(left + 1.0), bottom..top)?;
    let x = match chart.x {
        X::Run => "step",
        X::Own(name) => name,
    };
    plot.configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.5))
        .label_style(("sans-serif", 12))
        .x_desc(x)
        .y_desc(chart.y)
        .x_label_formatter(&|x| label(*x))
        .y_label_formatter(&|y| label(*y))
        .draw()?;
    let mut marks: Vec<&Mark> =
        marks.iter().copied().filter(|mark| (left..=right).contains(&mark.step)).collect();
    marks.sort_by(|a, b| a.step.total_cmp(&b.step));
    draw_marks(root, &mut plot, &marks, (bottom, top))?;
    for series in shown {
        draw_series(&mut plot, series)?;
    }
    Ok(())
}

fn ends(of: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = of.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { (0.0, 1.0) } else { (low, high) }
}

pub(crate) fn label(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    rounded.to_string()
}

pub(crate) fn colour(index: usize) -> RGBColor {
    let hex = PALETTE.get(index % PALETTE.len()).copied().unwrap_or("#000000");
    let part =
        |at: usize| hex.get(at..at + 2).and_then(|part| u8::from_str_radix(part, 16).ok()).unwrap_or(0);
    RGBColor(part(1), part(3), part(5))
}

/// A line down the chart where something happened, with its letter above it.
fn draw_marks(
    root: &Area<'_>,
    plot: &mut Plot<'_, '_>,
    marks: &[&Mark],
    (bottom, top): (f64, f64),
) -> DrawResult {
    // Up to where letters stand.
    let mut taken = i32::MIN;
    for mark in marks {
        let style = colour(mark.colour).mix(0.7).stroke_width(1);
        plot.draw_series(DashedLineSeries::new(
            [(mark.step, bottom), (mark.step, top)],
            3.0_f32,
            3.0_f32,
            style,
        ))?;
        let (x, y) = plot.backend_coord(&(mark.step, top));
        let place = x.max(taken);
        taken = place + 9;
        let font = ("sans-serif", 12).into_font().color(&colour(mark.colour));
        let font = font.pos(Pos::new(HPos::Center, VPos::Bottom));
        root.draw(&Text::new(mark.letter.to_string(), (place, y - 2), font))?;
    }
    Ok(())
}

fn draw_series(plot: &mut Plot<'_, '_>, series: &Series) -> DrawResult {
    let colour = colour(series.colour);
    let points = thinned(&series.points, MOST_POINTS);
    let places = |points: &[At]| -> Vec<(f64, f64)> {
        points.iter().filter_map(|at| Some((at.step, at.y?))).collect()
    };
    let dots = |places: Vec<(f64, f64)>, radius: i32, style: ShapeStyle| {
        places.into_iter().map(move |at| Circle::new(at, radius, style))
    };
    let [dash, space] = match series.stroke {
        Stroke::Line(dashes) => dashes,
        Stroke::Dots => {
            plot.draw_series(dots(places(&points), 2, colour.filled()))?;
            return Ok(());
        }
        Stroke::Rings => {
            plot.draw_series(dots(places(&points), 3, colour.stroke_width(1)))?;
            return Ok(());
        }
    };
    let solid = colour.stroke_width(2);
    for (is_stale, stretch) in stretches(&points) {
        let places = places(&stretch);
        match (places.len(), is_stale) {
            (1, false) => drop(plot.draw_series(dots(places, 2, colour.filled()))?),
            (_, true) => {
                let thin = colour.mix(0.7).stroke_width(1);
                plot.draw_series(DashedLineSeries::new(places, 2.0_f32, 2.0_f32, thin))?;
            }
            _ if dash > 0 => {
                let (dash, space) = (f32::from(dash), f32::from(space));
                plot.draw_series(DashedLineSeries::new(places, dash, space, solid))?;
            }
            _ => drop(plot.draw_series(LineSeries::new(places, solid))?),
        }
    }
    Ok(())
}

/// What the lines are: below the chart, where it covers nothing.
struct Legend<'s> {
    rows: Vec<Vec<(f64, LegendEntry<'s>)>>,
}

#[derive(Clone, Copy)]
enum LegendEntry<'s> {
    Series(&'s Series),
    Mark(&'s Mark),
}

impl LegendEntry<'_> {
    fn label(&self) -> &str {
        match self {
            Self::Series(series) => &series.label,
            Self::Mark(mark) => &mark.label,
        }
    }
}

/// Room for the sample of a line in the legend, and between two entries.
const SWATCH: f64 = 28.0;
const BETWEEN: f64 = 22.0;

impl<'s> Legend<'s> {
    fn of(shown: &[&'s Series], marks: &[&'s Mark]) -> Self {
        const LEFT: f64 = 72.0;
        let mut rows: Vec<Vec<(f64, LegendEntry<'_>)>> = vec![Vec::new()];
        let mut x = LEFT;
        for entry in shown
            .iter()
            .map(|series| LegendEntry::Series(series))
            .chain(marks.iter().map(|mark| LegendEntry::Mark(mark)))
        {
            let wide = SWATCH + LETTER * entry.label().chars().count() as f64 + BETWEEN;
            if x + wide > f64::from(WIDTH) && x > LEFT {
                rows.push(Vec::new());
                x = LEFT;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, entry));
            }
            x += wide;
        }
        Self { rows }
    }

    fn draw(&self, root: &Area<'_>) -> DrawResult {
        let font = || ("sans-serif", 12).into_font();
        for (row, entries) in self.rows.iter().enumerate() {
            let y = HEIGHT as i32 + LINE as i32 * row as i32 + 6;
            for (x, entry) in entries {
                let (left, right) = (*x as i32, (*x + SWATCH - 6.0) as i32);
                match entry {
                    LegendEntry::Series(series) => swatch(root, series, (left, right, y))?,
                    LegendEntry::Mark(mark) => {
                        let font =
                            font().color(&colour(mark.colour)).pos(Pos::new(HPos::Right, VPos::Center));
                        root.draw(&Text::new(format!("{}:", mark.letter), (right, y), font))?;
                    }
                }
                let font = font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
                root.draw(&Text::new(entry.label().to_owned(), ((*x + SWATCH) as i32, y), font))?;
            }
        }
        Ok(())
    }
}

/// A sample of a series.
fn swatch(root: &Area<'_>, series: &Series, (left, right, y): (i32, i32, i32)) -> DrawResult {
    let colour = colour(series.colour);
    let middle = i32::midpoint(left, right);
    match series.stroke {
        Stroke::Line([0, _]) => root.draw(&PathElement::new([(left, y), (right, y)], colour.stroke_width(2))),
        Stroke::Line([dash, space]) => {
            let mut at = left;
            while at < right {
                let end = (at + i32::from(dash)).min(right);
                root.draw(&PathElement::new([(at, y), (end, y)], colour.stroke_width(2)))?;
                at = end + i32::from(space);
            }
            Ok(())
        }
        Stroke::Dots => root.draw(&Circle::new((middle, y), 3, colour.filled())),
        Stroke::Rings => root.draw(&Circle::new((middle, y), 3, colour.stroke_width(1))),
    }
}
