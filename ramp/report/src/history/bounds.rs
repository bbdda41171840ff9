//! Bounds of the gate: how much worse than the baseline each figure may be.

use std::fmt;

use serde_json::{Map, Value};

use super::figure_name::{FigureName, ReportKind};
use crate::report::figure::Unit;
use ramp_format::text::scalar;

/// The bounds of a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Each bound, in the order in which reports have the figures.
    pub bounds: Vec<Bound>,
    /// Whether what cannot be told fails, too.
    pub strict: bool,
    /// Whether these are the default ones: a figure that no report has is then left out.
    pub is_default: bool,
}

/// One bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Of which figure.
    pub figure: FigureName,
    /// Which change is bounded.
    pub direction: Direction,
    /// By how much it may change.
    pub amount: Amount,
    /// The same, as it was written.
    pub said: String,
    /// Whether values are compared as they are where there is no interval.
    pub by_value: bool,
}

/// Which change is for the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Increase,
    /// Less.
    Decrease,
}

/// How large a change may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// As a share of the baseline: 0.05 for 5 %.
    Share(f64),
    /// In the unit of the figure.
    Absolute(f64),
}

/// Figures that have a bound where no file gives any, of runs: sizes of what an instance costs, and how many fit.
const DEFAULT_OF_RUNS: &[(&str, Direction, &str)] = &[
    ("capacity_by_requests", Direction::Decrease, "0"),
    ("capacity_by_memory", Direction::Decrease, "5%"),
    ("held", Direction::Decrease, "5%"),
    ("held_with_95_percent", Direction::Decrease, "5%"),
    ("marginal_cost", Direction::Increase, "5%"),
    ("peak_per_instance", Direction::Increase, "5%"),
    ("mixed_overhead_per_pod", Direction::Increase, "5%"),
    ("cpu_at_rest_per_instance", Direction::Increase, "10m"),
    ("cpu_per_start", Direction::Increase, "0.1s"),
    ("overhead_per_pod", Direction::Increase, "5%"),
];

/// The same of studies. The mean time of a start is none of them: it is counted up to the longest time that all runs of a study
/// were watched for, which another study may not have.
const DEFAULT_OF_STUDIES: &[(&str, Direction, &str)] = &[
    ("memory_per_instance", Direction::Increase, "5%"),
    ("memory_per_instance_difference", Direction::Increase, "5%"),
    ("instances_held", Direction::Decrease, "5%"),
    ("startup_median", Direction::Increase, "10%"),
    ("capacity_by_requests", Direction::Decrease, "0"),
    ("capacity_by_memory", Direction::Decrease, "5%"),
    ("starts_per_second", Direction::Decrease, "10%"),
    ("peak_per_instance", Direction::Increase, "5%"),
    ("cpu_at_rest", Direction::Increase, "10m"),
    ("cpu_per_start", Direction::Increase, "0.1s"),
];

/// What an entry of a file may have.
const EXPECTED: &str =
    "expected max_increase or max_decrease, such as {max_increase: 5%}, and perhaps by_value: true";

impl Direction {
    const ALL: [Self; 2] = [Self::Increase, Self::Decrease];

    /// Its key in a file.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Increase => "max_increase",
            Self::Decrease => "max_decrease",
        }
    }

    /// 1 where more is worse, −1 where less is.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::Increase => 1.0,
            Self::Decrease => -1.0,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.direction.key(), self.said)
    }
}

impl Bounds {
    /// The bounds where no file gives any.
    ///
    /// # Errors
    /// Never with the figures that there are.
    pub fn usual(kind: ReportKind) -> Result<Self, String> {
        let all = if kind == ReportKind::Runs { DEFAULT_OF_RUNS } else { DEFAULT_OF_STUDIES };
        let bound = |(name, direction, said): &(&str, Direction, &str)| {
            Bound::of(FigureName::find(kind, name)?, *direction, said, false)
        };
        let bounds = all.iter().map(bound).collect::<Result<_, String>>()?;
        Ok(Self { bounds, strict: false, is_default: true })
    }

    /// Those of a file: an entry for each figure, and `strict`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence: a figure that there is not, with those that there are; a bound that is no number in the
    /// unit of its figure; a key that means nothing.
    pub fn read(kind: ReportKind, file: &Map<String, Value>) -> Result<Self, String> {
        let mut bounds = Vec::new();
        for (name, entry) in file.iter().filter(|(name, _)| *name != "strict") {
            let figure = FigureName::find(kind, name)?;
            bounds.extend(of_entry(&figure, entry).map_err(|why| format!("{name}: {why}"))?);
        }
        let order = FigureName::all(kind);
        bounds.sort_by_key(|bound| order.iter().position(|figure| *figure == bound.figure));
        if bounds.is_empty() {
            return Err(format!("has no bounds: {EXPECTED} under the name of a figure"));
        }
        let strict = truth("strict", file.get("strict"))?;
        Ok(Self { bounds, strict, is_default: false })
    }
}

fn truth(key: &str, value: Option<&Value>) -> Result<bool, String> {
    match value {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| format!("{key} is {value}; expected true or false")),
    }
}

/// The bounds of one figure.
fn of_entry(figure: &FigureName, entry: &Value) -> Result<Vec<Bound>, String> {
    let entry = entry.as_object().ok_or_else(|| format!("is {entry}; {EXPECTED}"))?;
    let is_known =
        |key: &str| key == "by_value" || Direction::ALL.iter().any(|direction| direction.key() == key);
    if let Some(key) = entry.keys().find(|key| !is_known(key)) {
        return Err(format!("unknown key {key:?}; {EXPECTED}"));
    }
    let by_value = truth("by_value", entry.get("by_value"))?;
    let said = |direction: Direction| Some((direction, entry.get(direction.key())?));
    let bounds = Direction::ALL.into_iter().filter_map(said).map(|(direction, value)| {
        let said = scalar(value).ok_or_else(|| format!("{} is {value}; {EXPECTED}", direction.key()))?;
        Bound::of(figure.clone(), direction, &said, by_value)
    });
    let bounds: Vec<Bound> = bounds.collect::<Result<_, String>>()?;
    if bounds.is_empty() { Err(EXPECTED.into()) } else { Ok(bounds) }
}

impl Bound {
    /// A bound as it is written. A percentage is a share of the baseline, but of a figure that is one itself percentage points.
    fn of(figure: FigureName, direction: Direction, said: &str, by_value: bool) -> Result<Self, String> {
        let of_points = matches!(figure.unit, Unit::Percent | Unit::Ratio);
        let share = said.strip_suffix('%').filter(|_| !of_points);
        let amount = match share.map(|percent| percent.trim().parse::<f64>()) {
            Some(Ok(percent)) => Amount::Share(percent / 100.0),
            Some(Err(_)) => return Err(format!("{said:?} is not a percentage; expected one like 5%")),
            None => Amount::Absolute(figure.unit.number(said)?),
        };
        let (Amount::Share(size) | Amount::Absolute(size)) = amount;
        if !size.is_finite() || size < 0.0 {
            return Err(format!("{} is {said}; expected 0 or more", direction.key()));
        }
        Ok(Self { figure, direction, amount, said: said.into(), by_value })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: ReportKind, file: &Value) -> Result<Bounds, String> {
        Bounds::read(kind, file.as_object().unwrap())
    }

    #[test]
    fn bounds_are_shares_of_the_baseline_or_in_the_unit_of_the_figure() {
        let file = json!({
            "startup_mean": {"max_increase": "500ms"}, "memory_per_instance": {"max_increase": "5%", "max_decrease": "5Mi"},
            "instances_held": {"max_decrease": 3}, "strict": true, "overhead_per_limit": {"max_increase": "2%", "by_value": true},
        });
        let found = read(ReportKind::Study, &file).unwrap();
        let bounds: Vec<_> = found
            .bounds
            .iter()
            .map(|bound| (bound.figure.name.as_str(), bound.to_string(), bound.amount))
            .collect();
        let of = |name, text: &str, amount| (name, text.to_owned(), amount);
        assert_eq!(
            bounds,
            [
                of("memory_per_instance", "max_increase 5%", Amount::Share(0.05)),
                of("memory_per_instance", "max_decrease 5Mi", Amount::Absolute(5_242_880.0)),
                of("instances_held", "max_decrease 3", Amount::Absolute(3.0)),
                of("startup_mean", "max_increase 500ms", Amount::Absolute(0.5)),
                of("overhead_per_limit", "max_increase 2%", Amount::Absolute(0.02)),
            ]
        );
        assert!(found.strict && found.bounds[4].by_value && !found.bounds[0].by_value);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_what_is_expected() {
        let refused = |file: Value| read(ReportKind::Runs, &file).unwrap_err();
        assert!(refused(json!({"walking": {"max_increase": 1}})).contains("expected one of steps, "));
        assert!(
            refused(json!({"instances_held": {"max_decrease": 1}}))
                .ends_with("a figure of a study; the report is on runs")
        );
        assert_eq!(
            refused(json!({"held": {"max": 1}})),
            "held: unknown key \"max\"; expected max_increase or max_decrease, such as {max_increase: 5%}, and perhaps by_value: true"
        );
        assert!(refused(json!({"held": 3})).starts_with("held: is 3; expected max_increase"));
        assert!(refused(json!({"held": {"by_value": true}})).starts_with("held: expected max_increase"));
        assert!(
            refused(json!({"held": {"max_decrease": "3Mi"}}))
                .contains("is not a number in the unit of this figure")
        );
        assert!(
            refused(json!({"held": {"max_decrease": -3}}))
                .ends_with("max_decrease is -3; expected 0 or more")
        );
        assert!(refused(json!({"held": {"max_decrease": "x%"}})).contains("is not a percentage"));
        assert!(refused(json!({"held": {"max_decrease": [1]}})).contains("max_decrease is [1]; expected"));
        assert!(refused(json!({"strict": true})).starts_with("has no bounds"));
        assert!(
            refused(json!({"strict": "yes", "held": {"max_decrease": 1}})).contains("expected true or false")
        );
    }

    #[test]
    fn the_default_bounds_are_of_figures_that_there_are() {
        assert_eq!(Bounds::usual(ReportKind::Runs).unwrap().bounds.len(), DEFAULT_OF_RUNS.len());
        assert_eq!(Bounds::usual(ReportKind::Study).unwrap().bounds.len(), DEFAULT_OF_STUDIES.len());
    }
}
