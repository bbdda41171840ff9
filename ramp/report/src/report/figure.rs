//! A figure of a report: one number of a run or of a comparison, with its unit and where each output has it.

use serde_json::{Map, Value};
use workload::quantity::{Bytes, Cores};

use super::format;
use crate::analysis::results::{Compared, RunResults};
use crate::analysis::{Estimate, mib};
use crate::dataset::Dataset;
use crate::stats::Interval;
use ramp_format::text::count;
use ramp_format::time::parse_time;

/// A row of the [registry](super::registry): everything that any output says of a figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name in `--assert` and in the documentation.
    pub name: &'static str,
    /// Other names that `--assert` takes.
    pub aliases: &'static [&'static str],
    /// Its name in the table of estimates; none where the table leaves it out.
    pub title: Option<&'static str>,
    /// Whether a plain run need not tell it: the table then leaves it out where it is unavailable.
    pub is_detail: bool,
    /// What it is measured in.
    pub unit: Unit,
    /// What it is, in one sentence.
    pub definition: &'static str,
    /// Where `--json` has it.
    pub json: JsonKey,
    /// How it is got from an analysis.
    pub scope: Scope,
}

/// What a figure is of, and how it is got from the analysis of that.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Of each run.
    Run(fn(&Dataset, &RunResults) -> Estimate<Reading>),
    /// Of each mixed run; other runs have no such figure.
    Mixed(fn(&Dataset, &RunResults) -> Estimate<Reading>),
    /// Of two groups of runs: given the names of the base and of the other.
    Comparison(fn(&Compared, [&str; 2]) -> Estimate<Reading>),
}

/// The place of a figure in the object of its run or comparison in `--json`, as keys with dots between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKey {
    /// The figure itself, or a structure (see [`Reading::details`]). Why it is unavailable stands under its name in the `reason` of the
    /// object around it.
    Plain(&'static str),
    /// An object with these keys, the first of which is the figure; `low` and `high` are its interval, `step` is its step, the others
    /// are from [`Reading::details`]. Why it is unavailable is its `reason`.
    Object(&'static str, &'static [&'static str]),
    /// An object as before, and the same under a former name.
    Renamed(&'static str, &'static [&'static str], &'static str),
    /// A structure, and the keys in it to the figure itself.
    Structure(&'static str, &'static str),
    /// A key in the object of another figure.
    Within(&'static str),
}

/// What a figure is in one run or comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The figure, in its unit; none where the answer is a structure, or that a limit was not reached.
    pub number: Option<f64>,
    /// Its 95 % interval, in the same unit.
    pub interval: Option<Interval>,
    /// The step that it is of.
    pub step: Option<u32>,
    /// What stands in the table: after the figure, or alone where there is no number.
    pub note: String,
    /// What it rests on; empty where its definition says so.
    pub inputs: String,
    /// Further keys of its JSON object, or the whole structure.
    pub details: Value,
}

impl Reading {
    /// A figure without an interval.
    #[must_use]
    pub fn number(number: f64) -> Self {
        Self { number: Some(number), ..Self::default() }
    }

    /// What is no single number.
    #[must_use]
    pub fn structure(details: Value) -> Self {
        Self { details, ..Self::default() }
    }
}

/// What a figure is measured in, how it is written, and what it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number: 100.
    Count,
    /// The number of a step: 100.
    Step,
    /// A number of instances: 100.
    Instances,
    /// A number that may have decimals, as of tasks per instance: 12.5.
    Decimal,
    /// MiB: 520, or 520Mi.
    Mib,
    /// Bytes, written in MB: 520M.
    Bytes,
    /// Bytes, written in MiB as Kubernetes does: 520M.
    BinaryBytes,
    /// CPU time per wall time: 0.02.
    Cores,
    /// CPU time in seconds: 0.5.
    CpuSeconds,
    /// Seconds: 2.5, or 2.5s.
    Seconds,
    /// Percent: 50, or 50%.
    Percent,
    /// A ratio − 1, written in percent: 1.81, or 181%.
    Ratio,
    /// No number: `--json` has its parts.
    Structure,
}

impl Unit {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count | Self::Decimal => "number",
            Self::Step => "step",
            Self::Instances => "instances",
            Self::Mib => "MiB",
            Self::Bytes | Self::BinaryBytes => "bytes",
            Self::Cores => "cores",
            Self::CpuSeconds => "CPU seconds",
            Self::Seconds => "seconds",
            Self::Percent => "%",
            Self::Ratio => "ratio − 1",
            Self::Structure => "",
        }
    }

    /// A number in this unit, for people.
    #[must_use]
    pub fn text(self, number: f64) -> String {
        match self {
            Self::Step => format!("step {number}"),
            Self::Instances => count(number as u64, "instance"),
            Self::Mib => format!("{number:.0} MiB"),
            Self::Bytes => format::mb(number),
            Self::BinaryBytes => format::mib(number),
            Self::Cores => format!("{number:.4} cores"),
            Self::CpuSeconds | Self::Seconds => format!("{number:.3} s"),
            Self::Percent => format!("{number:.1}%"),
            Self::Ratio => format::percent(number),
            Self::Decimal => format!("{number:.1}"),
            Self::Count | Self::Structure => format::number(number),
        }
    }

    /// A number in this unit that is not rounded, but for bytes to whole ones, for whoever compares it with another.
    #[must_use]
    pub fn exact(self, number: f64) -> String {
        match self {
            Self::Count | Self::Step | Self::Instances | Self::Decimal | Self::Structure => {
                number.to_string()
            }
            Self::Mib => format!("{number} MiB"),
            Self::Bytes | Self::BinaryBytes => format!("{} ({number:.0} bytes)", self.text(number)),
            Self::Cores => format!("{number} cores"),
            Self::CpuSeconds | Self::Seconds => format!("{number} s"),
            Self::Percent => format!("{number}%"),
            Self::Ratio => format!("{} ({number})", self.text(number)),
        }
    }

    /// A number and its interval, for people.
    #[must_use]
    pub fn with_interval(self, number: f64, interval: Interval) -> String {
        let low = self.text(interval.low);
        let low = low.split(' ').next().unwrap_or_default();
        format!("{} ({} {low} to {})", self.text(number), format::confidence(), self.text(interval.high))
    }

    /// A number in this unit, for programs.
    fn json(self, number: f64) -> Value {
        match self {
            Self::Count | Self::Step | Self::Instances => (number as u64).into(),
            _ => number.into(),
        }
    }

    /// Reads a number in this unit.
    ///
    /// # Errors
    /// Where it is none, with what would be one.
    pub fn number(self, text: &str) -> Result<f64, String> {
        let plain = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let percent = || text.strip_suffix('%').and_then(plain);
        let bytes = || text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64);
        let (number, like) = match self {
            Self::Count | Self::Step | Self::Instances | Self::Structure => (plain(text), "100"),
            Self::Decimal => (plain(text), "12.5"),
            Self::Mib => (plain(text).or_else(|| Some(mib(bytes()?))), "520 (of MiB) or 520Mi"),
            Self::Bytes | Self::BinaryBytes => (plain(text).or_else(bytes), "520M"),
            Self::Cores => {
                (plain(text).or_else(|| Some(text.parse::<Cores>().ok()?.as_f64())), "0.02 or 20m")
            }
            Self::CpuSeconds | Self::Seconds => {
                (plain(text).or_else(|| Some(parse_time(text).ok()?.as_secs_f64())), "0.5 or 500ms")
            }
            Self::Percent => (plain(text).or_else(percent), "50%"),
            Self::Ratio => (plain(text).or_else(|| Some(percent()? / 100.0)), "1.81 or 181%"),
        };
        number.ok_or_else(|| {
            format!("{text:?} is not a number in the unit of this figure; expected one like {like}")
        })
    }
}

impl JsonKey {
    /// The keys to the figure itself, with dots between them.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Plain(path) | Self::Within(path) => path.to_owned(),
            Self::Object(path, parts) | Self::Renamed(path, parts, _) => {
                format!("{path}.{}", parts.first().unwrap_or(&""))
            }
            Self::Structure(path, within) => format!("{path}.{within}"),
        }
    }
}

impl Figure {
    /// Whether `--assert` can name it.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.unit != Unit::Structure
    }

    /// As the table of estimates has it.
    #[must_use]
    pub fn text(&self, reading: &Reading) -> String {
        let Reading { number, interval, step, note, .. } = reading;
        let value = match (number, interval) {
            (None, _) => return note.clone(),
            (Some(number), Some(interval)) => self.unit.with_interval(*number, *interval),
            (Some(number), None) => self.unit.text(*number),
        };
        let step = step.map_or_else(String::new, |step| format!(" (step {step})"));
        format!("{value}{step}{note}")
    }

    /// Puts it into the JSON object of its run or comparison.
    pub fn put(&self, object: &mut Value, reading: &Estimate<Reading>) {
        match self.json {
            JsonKey::Within(_) => {}
            JsonKey::Plain(path) | JsonKey::Structure(path, _) => {
                let (around, name) = path.rsplit_once('.').unwrap_or(("", path));
                let around = at(object, around);
                around[name] = match reading {
                    Ok(reading) if !reading.details.is_null() => reading.details.clone(),
                    Ok(reading) => reading.number.map_or(Value::Null, |number| self.unit.json(number)),
                    Err(why) => {
                        around["reason"][name] = why.0.clone().into();
                        Value::Null
                    }
                };
            }
            JsonKey::Object(path, parts) => *at(object, path) = self.parts(parts, reading),
            JsonKey::Renamed(path, parts, former) => {
                let value = self.parts(parts, reading);
                *at(object, path) = value.clone();
                *at(object, former) = value;
            }
        }
    }

    fn parts(&self, parts: &[&str], reading: &Estimate<Reading>) -> Value {
        let mut object: Map<String, Value> = parts.iter().map(|part| ((*part).into(), Value::Null)).collect();
        match reading {
            Ok(reading) => {
                let known = [
                    (parts.first().copied(), reading.number.map(|number| self.unit.json(number))),
                    (Some("low"), reading.interval.map(|interval| interval.low.into())),
                    (Some("high"), reading.interval.map(|interval| interval.high.into())),
                    (Some("step"), reading.step.map(Value::from)),
                ];
                object.extend(known.into_iter().filter_map(|(part, value)| Some((part?.into(), value?))));
                object.extend(reading.details.as_object().cloned().unwrap_or_default());
            }
            Err(why) => drop(object.insert("reason".into(), why.0.clone().into())),
        }
        object.into()
    }
}

/// The value at keys with dots between them, made where there is none.
fn at<'v>(object: &'v mut Value, path: &str) -> &'v mut Value {
    path.split('.').filter(|key| !key.is_empty()).fold(object, |object, key| &mut object[key])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_the_unit_of_its_figure() {
        let numbers = [
            Unit::Ratio.number("181%"),
            Unit::Bytes.number("520M"),
            Unit::Mib.number("520Mi"),
            Unit::Mib.number("520"),
            Unit::Percent.number("50%"),
            Unit::Percent.number("50"),
            Unit::Cores.number("20m"),
            Unit::Cores.number("0.02"),
            Unit::Seconds.number("1500ms"),
            Unit::CpuSeconds.number("0.5"),
            Unit::Cores.number("-0.001"),
        ];
        let expected = [1.81, 520e6, 520.0, 520.0, 50.0, 50.0, 0.02, 0.02, 1.5, 0.5, -0.001];
        assert_eq!(numbers.map(Result::unwrap), expected);
        assert!(Unit::Seconds.number("2Mi").unwrap_err().ends_with("expected one like 0.5 or 500ms"));
    }
}
