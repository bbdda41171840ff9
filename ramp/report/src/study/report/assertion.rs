//! Assertions on figures of a study: `--assert 'memory_per_instance_difference<=130Mi'`, checked for each cell or comparison.

use std::fmt;
use std::str::FromStr;

use super::overview::StudyReport;
use crate::report::assertion::{Assertion, Relation, relation};
use crate::report::figure::Unit;
use crate::report::registry::assertable;
use crate::study::figure::{STUDY_FIGURES, StudyFigure};
use crate::study::overhead_by_size::{FitCheck, OverheadModel};

/// What has to be so of runs, or of a study. Some figures of both have a name in common: what is reported on decides.
#[derive(Clone, Debug)]
pub struct ReportAssertion {
    said: String,
    /// Of each run or comparison of runs.
    of_runs: Option<Assertion>,
    /// Of each cell or comparison of cells.
    of_study: Option<StudyAssertion>,
}

impl FromStr for ReportAssertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, ..) = relation(text)?;
        let is_of_runs = assertable().any(|(own, _)| own == name);
        let is_of_study = named(name).is_some();
        if !is_of_runs && !is_of_study {
            let of_runs: Vec<&str> = assertable().map(|(name, _)| name).collect();
            return Err(format!(
                "unknown figure {name:?}; expected one of {}; of a study {}",
                of_runs.join(", "),
                names()
            ));
        }
        Ok(Self {
            said: text.to_owned(),
            of_runs: is_of_runs.then(|| text.parse()).transpose()?,
            of_study: is_of_study.then(|| text.parse()).transpose()?,
        })
    }
}

impl ReportAssertion {
    /// As one on runs.
    ///
    /// # Errors
    /// Where only studies have the figure.
    pub fn on_runs(&self) -> Result<Assertion, String> {
        let wrong = || format!("--assert {}: a figure of a study; the report is on runs", self.said);
        self.of_runs.clone().ok_or_else(wrong)
    }

    /// As one on a study.
    ///
    /// # Errors
    /// Where only runs have the figure.
    pub fn on_study(&self) -> Result<StudyAssertion, String> {
        let wrong = || format!("--assert {}: a figure of runs; the report is on a study", self.said);
        self.of_study.clone().ok_or_else(wrong)
    }
}

/// The names of figures of a study.
fn names() -> String {
    let all: Vec<&str> = STUDY_FIGURES.iter().map(|figure| figure.name).collect();
    let of_lines = OF_LINES.map(|(name, ..)| name).join(" or ");
    format!("one of {}, or one of these with _difference or _ratio; or {of_lines}", all.join(", "))
}

/// What has to be so.
#[derive(Clone, Debug)]
pub struct StudyAssertion {
    name: String,
    /// Index in [`STUDY_FIGURES`].
    figure: usize,
    subject: AssertionSubject,
    relation: Relation,
    value: f64,
    unit: Unit,
    said: String,
}

/// What an assertion is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AssertionSubject {
    /// The mean of each cell.
    Cell,
    /// The difference of each comparison.
    Difference,
    /// The ratio of each comparison.
    Ratio,
    /// Of each runtime: its overhead without a share of the memory limit.
    Fixed,
    /// Of each runtime: its overhead for each byte of the memory limit.
    PerLimit,
}

/// Names of what is asserted of the line over memory limits.
const OF_LINES: [(&str, AssertionSubject, &str); 2] = [
    (
        "overhead_fixed",
        AssertionSubject::Fixed,
        "memory that a runtime takes more than the base whatever the limit is",
    ),
    (
        "overhead_per_limit",
        AssertionSubject::PerLimit,
        "share of the memory limit that it takes more, such as 5%",
    ),
];

/// What `--assert` takes, for the long help of the report on runs or on a study.
#[must_use]
pub fn help() -> String {
    let line = |figure: &StudyFigure| format!("{}: {}", figure.name, figure.definition);
    let of_lines = OF_LINES.map(|(name, _, what)| format!("{name}: {what}")).join("\n");
    format!(
        "{}\n\nOf a study, for the mean of each cell, or with _difference or _ratio after the name for each comparison:\n\n{}\n\nOf a \
         study of sizes, for each runtime but the base:\n\n{of_lines}",
        crate::report::assertion::help(),
        STUDY_FIGURES.iter().map(line).collect::<Vec<_>>().join("\n")
    )
}

fn named(name: &str) -> Option<(usize, AssertionSubject)> {
    if let Some((_, subject, _)) = OF_LINES.iter().find(|(own, ..)| *own == name) {
        return Some((0, *subject));
    }
    STUDY_FIGURES.iter().enumerate().find_map(|(at, figure)| {
        let subject = match name.strip_prefix(figure.name)? {
            "" => AssertionSubject::Cell,
            "_difference" => AssertionSubject::Difference,
            "_ratio" => AssertionSubject::Ratio,
            _ => return None,
        };
        Some((at, subject))
    })
}

impl FromStr for StudyAssertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, sign, relation, value) = relation(text)?;
        let Some((figure, subject)) = named(name) else {
            return Err(format!("unknown figure {name:?} of a study; expected {}", names()));
        };
        let unit = match (subject, STUDY_FIGURES.get(figure).map(|figure| figure.unit)) {
            (AssertionSubject::Ratio, _) => Unit::Count,
            (AssertionSubject::Fixed, _) => Unit::BinaryBytes,
            (AssertionSubject::PerLimit, _) => Unit::Ratio,
            (_, Some(unit)) => unit.of_numbers(),
            (_, None) => Unit::Count,
        };
        let number = unit.number(value)?;
        Ok(Self {
            name: name.into(),
            figure,
            subject,
            relation,
            value: number,
            unit,
            said: format!("{sign}{value}"),
        })
    }
}

impl fmt::Display for StudyAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.said)
    }
}

impl StudyAssertion {
    /// What is not so, in sentences. None of them: it holds.
    #[must_use]
    pub fn failures(&self, report: &StudyReport<'_>) -> Vec<String> {
        let found = match self.subject {
            AssertionSubject::Cell => self.of_cells(report),
            AssertionSubject::Fixed | AssertionSubject::PerLimit => self.of_lines(report),
            AssertionSubject::Difference | AssertionSubject::Ratio => self.of_comparisons(report),
        };
        if found.is_empty() {
            return vec![format!("{self}: no two cells are compared")];
        }
        found.into_iter().filter_map(|(name, value)| self.failure(&name, value)).collect()
    }

    fn of_cells(&self, report: &StudyReport<'_>) -> Vec<(String, Result<f64, String>)> {
        let cells = report.groups.iter().flat_map(|group| &group.cells);
        let value = |cell: &super::cell::CellReport| {
            let name = report.data.cells.get(cell.cell).map_or_else(String::new, |cell| cell.name.clone());
            let figure = cell.figures.get(self.figure)?;
            let why = || figure.why_missing().unwrap_or_else(|| "no run that counts".into());
            Some((name, figure.mean.map(|mean| mean.mean).ok_or_else(why)))
        };
        cells.filter_map(value).collect()
    }

    fn of_lines(&self, report: &StudyReport<'_>) -> Vec<(String, Result<f64, String>)> {
        let value = |overhead: &super::overhead::OverheadReport| {
            let of = |model: &OverheadModel| match (model.check, self.subject) {
                (FitCheck::NotLinear(_), _) => Err("not linear in the limit".into()),
                (_, AssertionSubject::Fixed) => Ok(model.fixed.value),
                _ => Ok(model.per_limit.value),
            };
            let model = overhead.by_size.model.as_ref().map_err(|why| why.0.clone());
            (overhead.title(), model.and_then(of))
        };
        report.overheads.iter().map(value).collect()
    }

    fn of_comparisons(&self, report: &StudyReport<'_>) -> Vec<(String, Result<f64, String>)> {
        let value = |compared: &super::answer::ComparedReport| {
            let name = |cell: usize| report.data.cells.get(cell).map_or("", |cell| cell.name.as_str());
            let names = format!("{} against {}", name(compared.compared.other), name(compared.compared.base));
            let found = compared.compared.comparison.figures.get(self.figure)?;
            let value = match (found, self.subject) {
                (Err(why), _) => Err(why.0.clone()),
                (Ok(found), AssertionSubject::Ratio) => {
                    found.ratio.map(|(ratio, _)| ratio).ok_or_else(|| "the base may be 0".into())
                }
                (Ok(found), _) => Ok(found.difference.difference.mean),
            };
            Some((names, value))
        };
        report.comparisons().filter_map(value).collect()
    }

    fn failure(&self, name: &str, value: Result<f64, String>) -> Option<String> {
        match value {
            Ok(number) if (self.relation)(&number, &self.value) => None,
            Ok(number) => Some(format!("{self}: it is {} in {name}", self.unit.exact(number))),
            Err(why) => Some(format!("{self}: n/a in {name}: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_runs_and_studies_have_in_common_is_of_what_is_reported_on() {
        for text in ["cpu_per_start<=500ms", "peak_per_instance<=224Mi", "starts_per_second>=2.5"] {
            let both: ReportAssertion = text.parse().unwrap();
            assert_eq!(
                (both.on_runs().unwrap().to_string(), both.on_study().unwrap().to_string()),
                (text.into(), text.into())
            );
        }
        let of_runs: ReportAssertion = "startup_sandbox_p90<=2.5s".parse().unwrap();
        assert_eq!(
            of_runs.on_study().unwrap_err(),
            "--assert startup_sandbox_p90<=2.5s: a figure of runs; the report is on a study"
        );
        let of_study: ReportAssertion = "cpu_at_rest_difference<=20m".parse().unwrap();
        assert!(of_study.on_runs().unwrap_err().ends_with("a figure of a study; the report is on runs"));
    }

    #[test]
    fn each_figure_can_be_named_as_mean_as_difference_and_as_ratio() {
        for text in [
            "memory_per_instance<=520M",
            "memory_per_instance_difference<=130Mi",
            "startup_median_ratio<2",
            "instances_held>=9",
            "overhead_fixed<=64Mi",
            "overhead_per_limit<=5%",
            "cpu_at_rest_difference<=20m",
            "startup_sandbox_difference<=2.15s",
            "starts_per_second_ratio>=0.5",
        ] {
            assert_eq!(text.parse::<StudyAssertion>().unwrap().to_string(), text);
        }
        let refused = |text: &str| text.parse::<StudyAssertion>().unwrap_err();
        assert!(refused("running>=1").contains("instances_held"));
        assert!(refused("memory_per_instance_ratio<=5Mi").contains("expected one like"));
        assert!(refused("memory_per_instance").contains(">="));
    }
}
