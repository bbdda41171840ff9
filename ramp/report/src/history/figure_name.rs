//! Names of figures that reports are compared by: those of `--assert`.

use crate::report::figure::{JsonKey, Scope, Unit};
use crate::report::registry::FIGURES;
use crate::study::figure::STUDY_FIGURES;

/// What a report is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Run directories, or CSV files.
    Runs,
    /// A study.
    Study,
}

impl ReportKind {
    /// Its name in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Study => "a study",
        }
    }
}

/// A figure that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureName {
    /// Its name.
    pub name: String,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Its unit.
    pub unit: Unit,
    /// Where `--json` has it in the object of its run or comparison; none of a study, which has all figures alike.
    pub(super) json: Option<JsonKey>,
    /// Whether it is of two groups of runs, held against each other.
    pub(super) is_of_comparisons: bool,
}

/// Figures of a study that are of a line over its sizes: their names, keys in `--json`, and units.
pub(super) const OF_LINES: [(&str, &str, Unit); 2] =
    [("overhead_fixed", "fixed", Unit::BinaryBytes), ("overhead_per_limit", "per_limit", Unit::Ratio)];

impl FigureName {
    /// All of a kind of report, in the order in which reports have them.
    #[must_use]
    pub fn all(kind: ReportKind) -> Vec<Self> {
        match kind {
            ReportKind::Runs => FIGURES
                .iter()
                .filter(|figure| figure.is_number())
                .map(|figure| Self {
                    name: figure.name.into(),
                    aliases: figure.aliases,
                    unit: figure.unit,
                    json: Some(figure.json),
                    is_of_comparisons: matches!(figure.scope, Scope::Comparison(_)),
                })
                .collect(),
            ReportKind::Study => {
                let plain = |name: String, unit| Self {
                    name,
                    aliases: &[],
                    unit,
                    json: None,
                    is_of_comparisons: false,
                };
                let of_cells = STUDY_FIGURES.iter().flat_map(|figure| {
                    let unit = figure.unit.of_numbers();
                    let of_pairs = [("_difference", unit), ("_ratio", Unit::Decimal)];
                    let of_pairs =
                        of_pairs.map(|(suffix, unit)| plain(format!("{}{suffix}", figure.name), unit));
                    [plain(figure.name.into(), unit)].into_iter().chain(of_pairs)
                });
                let of_lines = OF_LINES.map(|(name, _, unit)| plain(name.into(), unit));
                of_cells.chain(of_lines).collect()
            }
        }
    }

    /// The figure of a name or an alias.
    ///
    /// # Errors
    /// Where there is none, with those that there are; or that the other kind of report has it.
    pub fn find(kind: ReportKind, name: &str) -> Result<Self, String> {
        let is_it = |figure: &Self| figure.name == name || figure.aliases.contains(&name);
        let all = Self::all(kind);
        if let Some(found) = all.iter().find(|figure| is_it(figure)) {
            return Ok(found.clone());
        }
        let other = if kind == ReportKind::Runs { ReportKind::Study } else { ReportKind::Runs };
        if Self::all(other).iter().any(is_it) {
            return Err(format!(
                "{name:?} is a figure of {}; the report is on {}",
                other.name(),
                kind.name()
            ));
        }
        let names: Vec<&str> = match kind {
            ReportKind::Runs => all.iter().map(|figure| figure.name.as_str()).collect(),
            ReportKind::Study => STUDY_FIGURES.iter().map(|figure| figure.name).collect(),
        };
        let more = match kind {
            ReportKind::Runs => String::new(),
            ReportKind::Study => {
                format!(
                    "; each also with _difference or _ratio; {}",
                    OF_LINES.map(|(name, ..)| name).join(", ")
                )
            }
        };
        Err(format!("unknown figure {name:?}; expected one of {}{more}", names.join(", ")))
    }

    /// Whether it counts something: then two of them are exact, and need no interval to be compared.
    #[must_use]
    pub fn is_count(&self) -> bool {
        matches!(self.unit, Unit::Count | Unit::Step | Unit::Instances)
    }

    /// What its values are rounded to: 1 for counts, else 0.
    #[must_use]
    pub fn step(&self) -> f64 {
        if self.is_count() { 1.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_names_and_what_is_none_is_told_with_those_there_are() {
        let running = FigureName::find(ReportKind::Runs, "max_running").unwrap();
        assert_eq!((running.name.as_str(), running.is_count()), ("running", true));
        let memory = FigureName::find(ReportKind::Study, "memory_per_instance_difference").unwrap();
        assert_eq!(memory.unit, Unit::BinaryBytes);
        let unknown = FigureName::find(ReportKind::Study, "memory").unwrap_err();
        assert!(
            unknown.contains("memory_per_instance, ") && unknown.contains("overhead_per_limit"),
            "{unknown}"
        );
        let other = FigureName::find(ReportKind::Runs, "instances_held").unwrap_err();
        assert_eq!(other, "\"instances_held\" is a figure of a study; the report is on runs");
    }

    #[test]
    fn no_name_is_given_twice() {
        for kind in [ReportKind::Runs, ReportKind::Study] {
            let all = FigureName::all(kind);
            let mut names: Vec<&str> = all.iter().map(|figure| figure.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all.len());
        }
    }
}
