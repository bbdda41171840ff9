//! The answer at a glance: what stands first on a page, in large figures and in one picture.

mod of_runs;
mod picture;

pub(crate) use of_runs::{first_to_give_way, glances};
pub(crate) use picture::picture;

use super::chart::PALETTE;
use crate::analysis::capacity::GroupCapacities;
use crate::stats::Interval;

/// What is told of one runtime, or of one cell of a study.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    /// What it is called.
    pub label: String,
    /// Index of its colour in the palette.
    pub colour: usize,
    /// How many instances fit.
    pub counts: Vec<GlanceCount>,
    /// What each takes, and how much more than the base.
    pub figures: Vec<GlanceFigure>,
    /// What gave way first, or why that is not known.
    pub gave_way: Result<String, String>,
}

/// A number of instances.
#[derive(Clone, Debug)]
pub(crate) struct GlanceCount {
    /// What it counts.
    pub name: &'static str,
    /// The number, or why it is not available.
    pub value: Result<GlanceNumber, String>,
}

/// A number of instances, with its interval.
#[derive(Clone, Debug)]
pub(crate) struct GlanceNumber {
    /// The number.
    pub number: f64,
    /// The interval, or the least and the most of repeats.
    pub interval: Interval,
    /// Whether it is the least: more were not tried.
    pub is_least: bool,
    /// What it rests on.
    pub note: String,
}

/// A figure with its unit.
#[derive(Clone, Debug)]
pub(crate) struct GlanceFigure {
    /// What it is.
    pub name: String,
    /// The value, or why it is not available.
    pub value: Result<GlanceValue, String>,
}

/// A value with its unit.
#[derive(Clone, Debug)]
pub(crate) struct GlanceValue {
    /// The value.
    pub text: String,
    /// What stands beside it: its interval, and what can be said of it.
    pub basis: String,
    /// Whether it is more than noise: a figure whose interval holds 0 is not put in bold.
    pub is_told: bool,
}

impl Glance {
    /// Its colour, for styles.
    pub(crate) fn hex(&self) -> &'static str {
        PALETTE.get(self.colour % PALETTE.len()).copied().unwrap_or("#7f7f7f")
    }
}

impl GlanceNumber {
    /// A number that is known without error.
    pub(crate) fn exact(number: f64, note: impl Into<String>) -> Self {
        Self { number, interval: Interval { low: number, high: number }, is_least: false, note: note.into() }
    }

    /// The number.
    pub(crate) fn text(&self) -> String {
        let least = if self.is_least { "≥ " } else { "" };
        format!("{least}{}", super::format::number(self.number))
    }

    /// The ends of its interval; empty where it has none.
    pub(crate) fn ends(&self) -> String {
        let Interval { low, high } = self.interval;
        let [low, high] = [low, high].map(super::format::number);
        // What was only tried up to a number has no interval.
        if low == high || self.is_least { String::new() } else { format!("{low} to {high}") }
    }
}

/// How many fit by requests and by memory in use.
pub(crate) fn capacities(found: &GroupCapacities) -> [GlanceCount; 2] {
    let by_requests = found.by_requests.as_ref().map_err(|why| why.0.clone());
    let by_memory = found.by_memory.as_ref().map_err(|why| why.0.clone());
    [
        GlanceCount {
            name: "fit by requests",
            value: by_requests.map(|found| {
                GlanceNumber::exact(found.least.instances as f64, format!("limited by {}", found.least.by))
            }),
        },
        GlanceCount {
            name: "fit by memory",
            value: by_memory.map(|found| GlanceNumber {
                number: found.instances.round_ties_even(),
                interval: Interval {
                    low: found.interval.low.round_ties_even(),
                    high: found.interval.high.round_ties_even(),
                },
                is_least: false,
                note: if found.is_extrapolated { "extrapolated".into() } else { "measured".into() },
            }),
        },
    ]
}
