//! Assertions on figures: `--assert 'max_running>=100'`, checked for each run or each comparison.

use std::fmt;
use std::str::FromStr;

use super::Report;
use super::figure::{Figure, Reading, Scope};
use super::registry::{assertable, assertable_list};
use crate::analysis::Estimate;

/// What has to be so.
#[derive(Clone, Debug)]
pub struct Assertion {
    name: String,
    figure: &'static Figure,
    relation: Relation,
    /// What it is held against.
    value: f64,
    /// That, as it was said.
    said: String,
}

/// Whether a figure and a number are in a relation.
pub(crate) type Relation = fn(&f64, &f64) -> bool;

/// Longer signs first: `>=` begins as `>` does.
const RELATIONS: [(&str, Relation); 6] =
    [(">=", f64::ge), ("<=", f64::le), ("==", f64::eq), ("!=", f64::ne), (">", f64::gt), ("<", f64::lt)];

/// What `--assert` takes, for its long help.
#[must_use]
pub fn help() -> String {
    format!(
        "Exit with status 4 unless this holds for each run or comparison, such as max_running>=100 or overhead_by_maximum<=50%. \
         Relations: >=, <=, ==, !=, > and <. Can be given more than once. Figures:\n\n{}",
        assertable_list()
    )
}

/// Splits an assertion into the name of a figure, a relation, and a value.
///
/// # Errors
/// Where it has no relation.
pub(crate) fn relation(text: &str) -> Result<(&str, &'static str, Relation, &str), String> {
    let place = |(sign, relation): &(&'static str, Relation)| Some((text.find(sign)?, *sign, *relation));
    let Some((at, sign, relation)) =
        RELATIONS.iter().filter_map(place).min_by_key(|(at, sign, _)| (*at, 2 - sign.len()))
    else {
        return Err("no >=, <=, ==, !=, > or < found; expected a relation like max_running>=100".into());
    };
    let (name, value) =
        (text.get(..at).unwrap_or_default().trim(), text.get(at + sign.len()..).unwrap_or_default().trim());
    Ok((name, sign, relation, value))
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, sign, relation, value) = relation(text)?;
        let Some((_, figure)) = assertable().find(|(figure, _)| *figure == name) else {
            let names: Vec<&str> = assertable().map(|(name, _)| name).collect();
            return Err(format!("unknown figure {name:?}; expected one of {}", names.join(", ")));
        };
        let number = figure.unit.number(value)?;
        Ok(Self { name: name.into(), figure, relation, value: number, said: format!("{sign}{value}") })
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
        let figures: Vec<(&str, Estimate<Reading>)> = match self.figure.scope {
            Scope::Run(of) => {
                report.runs().map(|(data, found)| (data.name.as_str(), of(data, found))).collect()
            }
            Scope::Mixed(of) => {
                let mixed = report.runs().filter(|(data, _)| !data.mix().is_empty());
                mixed.map(|(data, found)| (data.name.as_str(), of(data, found))).collect()
            }
            Scope::Comparison(of) => {
                let read = |compared| {
                    let names @ [_, other] = report.names(compared);
                    (other, of(compared, names))
                };
                report.findings.comparisons.iter().map(read).collect()
            }
        };
        if figures.is_empty() {
            let none = match self.figure.scope {
                Scope::Mixed(_) => "there is no mixed run",
                Scope::Run(_) | Scope::Comparison(_) => "no two runs are compared",
            };
            return vec![format!("{self}: {none}")];
        }
        figures.into_iter().filter_map(|(name, figure)| self.failure(name, &figure)).collect()
    }

    fn failure(&self, name: &str, figure: &Estimate<Reading>) -> Option<String> {
        let why = match figure {
            Ok(Reading { number: Some(number), .. }) if (self.relation)(number, &self.value) => return None,
            Ok(Reading { number: Some(number), .. }) => {
                return Some(format!("{self}: it is {} in {name}", self.figure.unit.exact(*number)));
            }
            Ok(Reading { note, .. }) => note,
            Err(why) => &why.0,
        };
        Some(format!("{self}: n/a in {name}: {why}"))
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
        assert!(failures("marginal_cost<=520M")[0].starts_with("marginal_cost<=520M: n/a in made: "));
        assert_eq!(
            failures("overhead_by_maximum<=181%"),
            ["overhead_by_maximum<=181%: no two runs are compared"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_could_be() {
        let refused = |text: &str| text.parse::<Assertion>().unwrap_err();
        assert!(refused("max_running").contains("max_running>=100"));
        assert!(refused("walking>=1").contains("max_running, "));
        assert!(refused("max_running>=many").contains("\"many\" is not a number"));
        for wrong in ["max_running>=100M", "max_running>=50%", "overhead_by_usage<=5Mi"] {
            assert!(refused(wrong).contains("expected one like"), "{wrong}");
        }
    }
}
