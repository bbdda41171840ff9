//! Recorded report: the figures of a report as `--json` prints them, read back. So a report of today and one that was stored a year ago are
//! one thing, and what is compared is what was printed.

use std::collections::HashMap;

use serde_json::Value;

use super::figure_name::{FigureName, OF_LINES, ReportKind};
use crate::analysis::{Estimate, Unavailable, unavailable};
use crate::report::figure::JsonKey;
use crate::stats::{Interval, MeanEstimate};
use ramp_format::time::Time;

/// A report.
#[derive(Clone, Debug)]
pub struct RecordedReport {
    /// What it is on.
    pub kind: ReportKind,
    /// Its runs and comparisons, or the study.
    pub records: Vec<Record>,
}

/// A run, a comparison of runs, or a study.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// When it began; none where the data does not tell.
    pub begin: Option<Time>,
    /// Its figures.
    pub figures: Vec<RecordedFigure>,
}

/// A figure of a record.
#[derive(Clone, Debug)]
pub struct RecordedFigure {
    /// What it is of.
    pub subject: Subject,
    /// Which figure.
    pub figure: FigureName,
    /// What it is, or why it is not known.
    pub value: Estimate<RecordedValue>,
}

/// What a figure is of: the same in each report on the same load under the same runtime, whatever the runs are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// For people.
    pub label: String,
    /// What each instance was to do: other loads are other subjects.
    pub load: String,
}

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedValue {
    /// The value, in the unit of its figure.
    pub value: f64,
    /// Its 95 % interval; none where one run cannot tell it.
    pub interval: Option<Interval>,
}

impl RecordedReport {
    /// Reads what `ramp report --json` or `ramp study report --json` printed.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn of(json: &Value) -> Result<Self, String> {
        let not_a_report =
            || "is not what `ramp report --json` prints: it has neither \"runs\" nor \"study\"".to_owned();
        if !json.get("ramp_version").is_some_and(Value::is_string) {
            return Err(not_a_report());
        }
        if json.get("study").is_some_and(Value::is_object) {
            return Ok(Self { kind: ReportKind::Study, records: vec![study(json)] });
        }
        let runs = json["runs"].as_array().ok_or_else(not_a_report)?;
        let names = FigureName::all(ReportKind::Runs);
        let comparisons = json["comparisons"].as_array().into_iter().flatten();
        let records = runs.iter().map(|run| record_of_run(run, &names));
        let compared = comparisons.map(|comparison| record_of_comparison(comparison, runs, &names));
        Ok(Self { kind: ReportKind::Runs, records: records.chain(compared).collect() })
    }

    /// Each figure of each subject, with repeats pooled: of several runs the mean, with Student's interval over the runs.
    #[must_use]
    pub fn pooled(&self) -> Vec<RecordedFigure> {
        let mut pooled: Vec<(RecordedFigure, Vec<Estimate<RecordedValue>>)> = Vec::new();
        for figure in self.records.iter().flat_map(|record| &record.figures) {
            let is_same = |(other, _): &&mut (RecordedFigure, _)| {
                other.subject == figure.subject && other.figure.name == figure.figure.name
            };
            match pooled.iter_mut().find(is_same) {
                Some((_, values)) => values.push(figure.value.clone()),
                None => pooled.push((figure.clone(), vec![figure.value.clone()])),
            }
        }
        pooled.into_iter().map(|(figure, values)| RecordedFigure { value: pool(&values), ..figure }).collect()
    }

    /// What its figures are of, each once.
    #[must_use]
    pub fn subjects(&self) -> Vec<&Subject> {
        let mut subjects: Vec<&Subject> = Vec::new();
        for figure in self.records.iter().flat_map(|record| &record.figures) {
            if !subjects.contains(&&figure.subject) {
                subjects.push(&figure.subject);
            }
        }
        subjects
    }
}

/// The mean of repeats.
fn pool(values: &[Estimate<RecordedValue>]) -> Estimate<RecordedValue> {
    let known: Vec<RecordedValue> = values.iter().flatten().copied().collect();
    match (known.as_slice(), values.iter().find_map(|value| value.as_ref().err())) {
        ([], Some(why)) => Err(why.clone()),
        ([], None) => unavailable("no run has it"),
        ([one], _) => Ok(*one),
        (several, _) => {
            let values: Vec<f64> = several.iter().map(|value| value.value).collect();
            let value = values.iter().sum::<f64>() / values.len() as f64;
            let interval = MeanEstimate::of(&values).map(|mean| mean.interval(0.95));
            Ok(RecordedValue { value, interval })
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Option<Time> {
    serde_json::from_value(value.clone()).ok()
}

fn subject_of_run(run: &Value) -> Subject {
    let (scenario, runtime) = (text(&run["scenario"]), text(&run["runtime"]));
    let label = match (scenario.as_str(), runtime.as_str()) {
        // Which says nothing of itself is only itself.
        (_, "") => text(&run["name"]),
        ("", runtime) => runtime.to_owned(),
        (scenario, runtime) => format!("{scenario} under {runtime}"),
    };
    Subject { label, load: text(&run["load"]) }
}

fn record_of_run(run: &Value, names: &[FigureName]) -> Record {
    Record {
        name: text(&run["name"]),
        begin: time(&run["begin"]),
        figures: figures_of(run, &subject_of_run(run), names, false),
    }
}

fn record_of_comparison(comparison: &Value, runs: &[Value], names: &[FigureName]) -> Record {
    let of = |side: &str| -> Vec<&Value> {
        let own = comparison[side].as_array();
        runs.iter().filter(|run| own.is_some_and(|own| own.contains(&run["name"]))).collect()
    };
    let (base, other) = (of("base_runs"), of("other_runs"));
    let subject = match (base.first(), other.first()) {
        (Some(base), Some(other)) => {
            let (base, other) = (subject_of_run(base), subject_of_run(other));
            Subject {
                label: format!("{} against {}", other.label, base.label),
                load: base.load + &other.load,
            }
        }
        _ => Subject {
            label: format!("{} against {}", text(&comparison["other"]), text(&comparison["base"])),
            load: String::new(),
        },
    };
    Record {
        name: subject.label.clone(),
        begin: base.iter().chain(&other).filter_map(|run| time(&run["begin"])).max(),
        figures: figures_of(comparison, &subject, names, true),
    }
}

/// The figures that an object has: of a comparison, or of a run.
fn figures_of(
    object: &Value,
    subject: &Subject,
    names: &[FigureName],
    is_comparison: bool,
) -> Vec<RecordedFigure> {
    let has = |figure: &&FigureName| figure.is_of_comparisons == is_comparison;
    let of = |figure: &FigureName| {
        let value = value_at(object, figure.json?)?;
        Some(RecordedFigure { subject: subject.clone(), figure: figure.clone(), value })
    };
    names.iter().filter(has).filter_map(of).collect()
}

/// A figure of a run or comparison; none where the object has no such key, as one of an older version.
fn value_at(object: &Value, key: JsonKey) -> Option<Estimate<RecordedValue>> {
    let path = key.path();
    let (around, name) = path.rsplit_once('.').unwrap_or(("", &path));
    let around = object.pointer(&pointer(around));
    let number = around.and_then(|around| around.get(name));
    if let Some(value) = number.and_then(Value::as_f64) {
        let interval = match key {
            JsonKey::Plain(_) | JsonKey::Structure(..) => None,
            _ => around.and_then(|around| ends(&around["low"], &around["high"])),
        };
        return Some(Ok(RecordedValue { value, interval }));
    }
    let why = reason(object, &path);
    // An object of an older version, or one that is not mixed, does not have the figure at all.
    if number.is_none() && why.is_none() {
        return None;
    }
    Some(Err(Unavailable(why.unwrap_or_else(|| "not told".into()))))
}

/// Why there is nothing at a path: the reason of the innermost object on the way, or what that says of the next key.
fn reason(object: &Value, path: &str) -> Option<String> {
    let keys: Vec<&str> = path.split('.').collect();
    (0..keys.len()).rev().find_map(|depth| {
        let (way, rest) = keys.split_at(depth);
        let why = object.pointer(&pointer(&way.join(".")))?.get("reason")?;
        let why = why.as_str().or_else(|| why.get(rest.first()?)?.as_str())?;
        Some(why.to_owned())
    })
}

/// A path with dots, as JSON pointers have it.
fn pointer(path: &str) -> String {
    path.split('.').filter(|key| !key.is_empty()).map(|key| format!("/{key}")).collect()
}

fn ends(low: &Value, high: &Value) -> Option<Interval> {
    Some(Interval { low: low.as_f64()?, high: high.as_f64()? })
}

fn study(json: &Value) -> Record {
    let study = &json["study"];
    let (mut figures, names) = (Vec::new(), FigureName::all(ReportKind::Study));
    // What each cell is told to take, by its name: a size may have the same name in another study.
    let mut loads = HashMap::new();
    let mut put = |subject: &Subject, name: &str, value: Estimate<RecordedValue>| {
        if let Some(figure) = names.iter().find(|figure| figure.name == name) {
            figures.push(RecordedFigure { subject: subject.clone(), figure: figure.clone(), value });
        }
    };
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
    for cell in list("cells") {
        let subject = Subject { label: text(&cell["name"]), load: text(&cell["load"]) };
        loads.insert(subject.label.clone(), subject.load.clone());
        for (name, figure) in cell["figures"].as_object().into_iter().flatten() {
            put(&subject, name, value_of(figure, "value", &figure["interval"]));
        }
    }
    for compared in list("comparisons") {
        let label = format!("{} against {}", text(&compared["other"]), text(&compared["base"]));
        let load = loads.get(&text(&compared["other"])).cloned().unwrap_or_default();
        let (subject, name) = (Subject { label, load }, text(&compared["figure"]));
        put(
            &subject,
            &format!("{name}_difference"),
            value_of(&compared, "difference", &compared["interval"]),
        );
        let ratio = &compared["ratio"];
        let ratio = match ratio {
            Value::Object(_) => value_of(ratio, "value", &ratio["interval"]),
            _ => unavailable(compared["reason"].as_str().unwrap_or("the base may be 0")),
        };
        put(&subject, &format!("{name}_ratio"), ratio);
    }
    for overhead in list("overhead_by_size") {
        let sides = ["scenario", "other", "base"].map(|key| text(&overhead[key]));
        let subject = Subject {
            label: format!("{} under {} against {}", sides[0], sides[1], sides[2]),
            load: String::new(),
        };
        for (name, key, _) in OF_LINES {
            let value = match &overhead[key] {
                Value::Null => value_of(&overhead, "", &Value::Null),
                line => value_of(line, "value", &line["interval"]),
            };
            put(&subject, name, value);
        }
    }
    let names = [&study["name"], &study["id"]].into_iter().filter_map(Value::as_str);
    Record { name: names.collect::<Vec<_>>().join(" "), begin: time(&study["begin"]), figures }
}

/// A figure of a study: what is in an object under a key, and its interval.
fn value_of(object: &Value, key: &str, interval: &Value) -> Estimate<RecordedValue> {
    match object[key].as_f64() {
        Some(value) => Ok(RecordedValue { value, interval: ends(&interval["low"], &interval["high"]) }),
        None => unavailable(object["reason"].as_str().unwrap_or("not told")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};
    use crate::report::Report;
    use crate::report::figure::Scope;
    use crate::report::json::json;
    use crate::report::registry::FIGURES;

    #[test]
    fn each_figure_of_a_run_is_read_back_as_it_was_printed_or_with_its_reason() {
        let run = data(steps(40, |step, _| step.running = step.step.min(30)));
        let report = Report::of(vec![run], None);
        let recorded = RecordedReport::of(&json(&report)).unwrap();
        let (run, results) = report.runs().next().unwrap();
        let (mut known, mut unknown) = (0, 0);
        for figure in FIGURES.iter().filter(|figure| figure.is_number()) {
            let Scope::Run(of) = figure.scope else { continue };
            let found = recorded.records[0].figures.iter().find(|found| found.figure.name == figure.name);
            match (of(run, results), found.map(|found| &found.value)) {
                (Ok(reading), Some(Ok(value))) => {
                    known += 1;
                    assert_eq!(
                        (reading.number, reading.interval),
                        (Some(value.value), value.interval),
                        "{}",
                        figure.name
                    );
                }
                (Err(why), Some(Err(told))) => {
                    unknown += 1;
                    assert_eq!(&why, told, "{}", figure.name);
                }
                // What is a part of a structure that there is not, or has no number.
                (reading, None | Some(Err(_))) => {
                    assert!(!reading.is_ok_and(|reading| reading.number.is_some()), "{}", figure.name);
                }
                (reading, Some(Ok(value))) => panic!("{}: {reading:?} {value:?}", figure.name),
            }
        }
        assert!(known >= 4 && unknown >= 5, "{known} {unknown}");
    }

    #[test]
    fn repeats_are_pooled_and_what_one_of_them_lacks_is_that_of_the_others() {
        let run = |name: &str, held: Value| {
            let estimates = serde_json::json!({"held": {"count": held, "step": 1, "reason": "cut off"}});
            serde_json::json!({"name": name, "scenario": "s", "runtime": "kata", "load": "l", "estimates": estimates})
        };
        let runs = [run("a", 10.into()), run("b", 12.into()), run("c", Value::Null)];
        let report = serde_json::json!({"ramp_version": "1", "runs": runs, "comparisons": []});
        let pooled = RecordedReport::of(&report).unwrap().pooled();
        let held = pooled.iter().find(|figure| figure.figure.name == "held").unwrap();
        let value = held.value.clone().unwrap();
        assert_eq!((held.subject.label.as_str(), value.value), ("s under kata", 11.0));
        assert!(
            value.interval.is_some_and(|interval| interval.low < 0.0 && interval.high > 22.0),
            "of two: {value:?}"
        );
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in [
            "1",
            "[]",
            "{}",
            "{\"runs\": []}",
            "{\"ramp_version\": \"1\"}",
            "{\"ramp_version\": \"1\", \"runs\": {}}",
        ] {
            assert!(RecordedReport::of(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }
}
