//! `--assert 'max_running>=100'`: a figure that has to be so, of each run or of each comparison.

use std::fmt;
use std::str::FromStr;

use workload::quantity::Bytes;

use super::Report;
use crate::analysis::comparison::Comparison;
use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, Unavailable, mib, unavailable};
use crate::dataset::Dataset;

/// What has to be so.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    name: String,
    figure: Figure,
    relation: Relation,
    /// What it is held against.
    value: f64,
    /// That, as it was said.
    said: String,
}

/// What a figure is measured in, and what it can be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A number: 100.
    Count,
    /// MiB: 520, or 520Mi.
    Mib,
    /// Bytes: 520M.
    Bytes,
    /// Percent: 50, or 50%.
    Percent,
    /// A ratio − 1: 1.81, or 181%.
    Ratio,
}

/// Where a figure is found.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Run(fn(&Dataset, &RunResults) -> Estimate<f64>),
    Comparison(fn(&Comparison) -> Estimate<f64>),
}

impl PartialEq for Figure {
    /// Two are the same where they have the same name, which an [`Assertion`] has.
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Run(_), Self::Run(_)) | (Self::Comparison(_), Self::Comparison(_)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Equal,
    Unequal,
    More,
    Less,
}

/// Longer ones first: `>=` begins as `>` does.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
    (">", Relation::More),
    ("<", Relation::Less),
];

/// The figures that can be held to something.
const FIGURES: [(&str, Unit, Figure); 18] = [
    (
        "predicted_capacity",
        Unit::Count,
        Figure::Run(|_, run| Ok(run.estimates.predicted_capacity.clone()?.instances as f64)),
    ),
    (
        "saturation_step",
        Unit::Count,
        Figure::Run(|_, run| Ok(run.estimates.saturation.saturation.clone()?.step.into())),
    ),
    (
        "saturation_instances",
        Unit::Count,
        Figure::Run(|_, run| Ok(run.estimates.saturation.saturation.clone()?.instances.into())),
    ),
    ("held", Unit::Count, Figure::Run(|_, run| Ok(run.estimates.held.clone()?.count.into()))),
    ("running", Unit::Count, Figure::Run(maximum_running)),
    ("max_running", Unit::Count, Figure::Run(maximum_running)),
    ("maximum_running", Unit::Count, Figure::Run(maximum_running)),
    (
        "usage_at_saturation_mib",
        Unit::Mib,
        Figure::Run(|_, run| Ok(run.estimates.usage.at_saturation.clone()?.mib)),
    ),
    ("usage_min_mib", Unit::Mib, Figure::Run(|_, run| Ok(run.estimates.usage.min.clone()?.mib))),
    ("usage_max_mib", Unit::Mib, Figure::Run(|_, run| Ok(run.estimates.usage.max.clone()?.mib))),
    (
        "marginal_cost",
        Unit::Bytes,
        Figure::Run(|_, run| Ok(run.estimates.marginal_cost.as_ref().map_err(Unavailable::clone)?.bytes)),
    ),
    (
        "max_goodput",
        Unit::Count,
        Figure::Run(|_, run| {
            let course = run.goodput.as_ref().map_err(Unavailable::clone)?;
            Ok(course.steps.iter().map(|at| at.instances).max().unwrap_or(0).into())
        }),
    ),
    (
        "stale_cells_percent",
        Unit::Percent,
        Figure::Run(|data, _| {
            data.cells().stale_percent().map_or_else(|| unavailable("there are no node samples"), Ok)
        }),
    ),
    ("steps", Unit::Count, Figure::Run(|data, _| Ok(data.rows as f64))),
    ("overhead_by_saturation", Unit::Ratio, Figure::Comparison(|found| found.overhead_by_saturation.clone())),
    ("overhead_by_maximum", Unit::Ratio, Figure::Comparison(|found| found.overhead_by_maximum.clone())),
    ("overhead_by_usage", Unit::Ratio, Figure::Comparison(|found| found.overhead_by_usage.clone())),
    ("overhead_per_pod", Unit::Bytes, Figure::Comparison(|found| Ok(found.overhead_per_pod.clone()?.bytes))),
];

fn maximum_running(_: &Dataset, run: &RunResults) -> Estimate<f64> {
    Ok(run.estimates.running.clone()?.count.into())
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = |(sign, relation): &(&'static str, Relation)| Some((text.find(sign)?, *sign, *relation));
        let Some((at, sign, relation)) =
            RELATIONS.iter().filter_map(place).min_by_key(|(at, sign, _)| (*at, 2 - sign.len()))
        else {
            return Err(
                "there is no >=, <=, ==, !=, > or < in it; expected something like max_running>=100".into()
            );
        };
        let (name, value) = (
            text.get(..at).unwrap_or_default().trim(),
            text.get(at + sign.len()..).unwrap_or_default().trim(),
        );
        let Some((_, unit, figure)) = FIGURES.iter().find(|(figure, ..)| *figure == name) else {
            let names: Vec<&str> = FIGURES.iter().map(|(name, ..)| *name).collect();
            return Err(format!("{name:?} is no figure; there are {}", names.join(", ")));
        };
        let number = unit.number(value)?;
        Ok(Self {
            name: name.into(),
            figure: *figure,
            relation,
            value: number,
            said: format!("{sign}{value}"),
        })
    }
}

impl Unit {
    /// A number in this unit.
    fn number(self, text: &str) -> Result<f64, String> {
        let plain = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let percent = || text.strip_suffix('%').and_then(plain);
        let bytes = || text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64);
        let (number, like) = match self {
            Self::Count => (plain(text), "100"),
            Self::Mib => (plain(text).or_else(|| Some(mib(bytes()?))), "520 (of MiB) or 520Mi"),
            Self::Bytes => (plain(text).or_else(bytes), "520M"),
            Self::Percent => (plain(text).or_else(percent), "50%"),
            Self::Ratio => (plain(text).or_else(|| Some(percent()? / 100.0)), "1.81 or 181%"),
        };
        number.ok_or_else(|| {
            format!("{text:?} is no number that this figure can be held against; expected one like {like}")
        })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.said)
    }
}

impl Assertion {
    /// What is not so, in sentences. None of them: it holds.
    #[must_use]
    pub fn failures(&self, report: &Report) -> Vec<String> {
        let figures: Vec<(&str, Estimate<f64>)> = match self.figure {
            Figure::Run(of) => {
                report.runs().map(|(data, found)| (data.name.as_str(), of(data, found))).collect()
            }
            Figure::Comparison(of) => report
                .findings
                .comparisons
                .iter()
                .map(|compared| (report.findings.name(compared.other), of(&compared.comparison)))
                .collect(),
        };
        if figures.is_empty() {
            return vec![format!("{self}: no runs are held against each other")];
        }
        figures.into_iter().filter_map(|(name, figure)| self.failure(name, &figure)).collect()
    }

    fn failure(&self, name: &str, figure: &Estimate<f64>) -> Option<String> {
        match figure {
            Ok(figure) if self.holds(*figure) => None,
            Ok(figure) => Some(format!("{self}: it is {figure} in {name}")),
            Err(why) => Some(format!("{self}: cannot say of {name}: {}", why.0)),
        }
    }

    #[expect(
        clippy::float_cmp,
        reason = "who asks for equality of counts means it; of measures it is of no use to anybody"
    )]
    fn holds(&self, figure: f64) -> bool {
        match self.relation {
            Relation::AtLeast => figure >= self.value,
            Relation::AtMost => figure <= self.value,
            Relation::Equal => figure == self.value,
            Relation::Unequal => figure != self.value,
            Relation::More => figure > self.value,
            Relation::Less => figure < self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    fn failures(assertion: &str) -> Vec<String> {
        let data = data(steps(5, |step, _| step.running = step.step.min(3)));
        assertion.parse::<Assertion>().unwrap().failures(&Report::of(vec![data], None))
    }

    #[test]
    fn what_holds_fails_not() {
        for assertion in
            ["max_running>=3", "maximum_running == 3", "max_running<4", "steps!=4", "max_running>2.5"]
        {
            assert_eq!(failures(assertion), Vec::<String>::new(), "{assertion}");
        }
    }

    #[test]
    fn what_does_not_hold_or_cannot_be_said_is_told_with_its_figure() {
        assert_eq!(failures("max_running>=100"), ["max_running>=100: it is 3 in made"]);
        assert!(failures("marginal_cost<=520M")[0].starts_with("marginal_cost<=520M: cannot say of made: "));
        assert_eq!(
            failures("overhead_by_maximum<=181%"),
            ["overhead_by_maximum<=181%: no runs are held against each other"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_could_be() {
        let refused = |text: &str| text.parse::<Assertion>().unwrap_err();
        assert!(refused("max_running").contains("max_running>=100"));
        assert!(refused("walking>=1").contains("max_running, "));
        assert!(refused("max_running>=many").contains("\"many\" is no number"));
        for wrong in ["max_running>=100M", "max_running>=50%", "overhead_by_usage<=5Mi"] {
            assert!(refused(wrong).contains("expected one like"), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_of_its_figure_s_unit() {
        let numbers = [
            Unit::Ratio.number("181%"),
            Unit::Bytes.number("520M"),
            Unit::Mib.number("520Mi"),
            Unit::Mib.number("520"),
            Unit::Percent.number("50%"),
            Unit::Percent.number("50"),
        ];
        assert_eq!(numbers.map(Result::unwrap), [1.81, 520e6, 520.0, 520.0, 50.0, 50.0]);
    }
}
