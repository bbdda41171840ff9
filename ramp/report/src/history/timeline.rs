//! Timeline: the series of each figure of each subject over many reports, with its course.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::bounds::Bounds;
use super::course::Course;
use super::figure_name::{FigureName, ReportKind};
use super::recorded::{Record, RecordedReport, RecordedValue, Subject};
use crate::stats::{ChangePoint, Interval, Outlier, quantile};
use ramp_format::time::Time;

/// All series.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// In the order of the first report that has them.
    pub series: Vec<FigureSeries>,
    /// What has to be known to read it.
    pub notes: Vec<String>,
}

/// A figure of a subject, over the runs.
#[derive(Clone, Debug)]
pub struct FigureSeries {
    /// What it is of.
    pub subject: Subject,
    /// Which figure.
    pub figure: FigureName,
    /// Its values, in the order of their begin.
    pub points: Vec<TimelinePoint>,
    /// Runs that do not have it, and why.
    pub missing: Vec<(String, String)>,
    /// What the values show.
    pub course: Course,
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelinePoint {
    /// The run, the comparison or the study.
    pub run: String,
    /// When it began.
    pub begin: Time,
    /// Its value.
    pub value: RecordedValue,
}

/// Which figures a timeline has.
#[derive(Clone, Debug)]
pub enum FigureChoice {
    /// Those that have a default bound.
    Usual,
    /// Those of these names.
    Named(Vec<String>),
}

impl FigureChoice {
    /// The figures of these names; without any the usual ones.
    ///
    /// # Errors
    /// Where there is no figure of a name.
    pub fn of(names: &[String]) -> Result<Self, String> {
        if names.is_empty() {
            return Ok(Self::Usual);
        }
        let find = |name: &String| {
            let kinds = [ReportKind::Runs, ReportKind::Study].map(|kind| FigureName::find(kind, name));
            let found: Vec<String> = kinds.iter().flatten().map(|figure| figure.name.clone()).collect();
            match kinds {
                [Err(of_runs), Err(of_studies)] => Err(format!("{of_runs}; of a study: {of_studies}")),
                _ => Ok(found),
            }
        };
        Ok(Self::Named(names.iter().map(find).collect::<Result<Vec<_>, String>>()?.concat()))
    }

    fn names(&self) -> Vec<String> {
        let usual = |kind| Bounds::usual(kind).map(|usual| usual.bounds).unwrap_or_default();
        match self {
            Self::Named(names) => names.clone(),
            Self::Usual => [ReportKind::Runs, ReportKind::Study]
                .into_iter()
                .flat_map(usual)
                .map(|bound| bound.figure.name)
                .collect(),
        }
    }
}

impl Timeline {
    /// The series of reports, each with the path that it was read from.
    ///
    /// # Errors
    /// Where a report does not tell when it began, or none has any of the figures.
    pub fn of(reports: &[(String, RecordedReport)], choice: &FigureChoice) -> Result<Self, String> {
        let names = choice.names();
        let mut series: Vec<FigureSeries> = Vec::new();
        let mut twice: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for (path, report) in reports {
            for record in &report.records {
                let run = shown_name(reports, path, report, record);
                let Some(begin) = record.begin else {
                    return Err(format!(
                        "{path}: does not tell when {} began: it is a CSV file, or an older ramp printed it; report on its directory again",
                        record.name
                    ));
                };
                for figure in record.figures.iter().filter(|figure| names.contains(&figure.figure.name)) {
                    let own = FigureSeries::of(&mut series, &figure.subject, &figure.figure);
                    let Subject { label, load } = &figure.subject;
                    match &figure.value {
                        // A copy of a report has its begins, too.
                        Ok(_) if !seen.insert((label, load, &figure.figure.name, begin, &record.name)) => {
                            twice.push(format!("{path}: {} is given twice and counted once", record.name));
                        }
                        Ok(value) => {
                            own.points.push(TimelinePoint { run: run.clone(), begin, value: *value });
                        }

                        Err(why) => own.missing.push((run.clone(), why.0.clone())),
                    }
                }
            }
        }
        series.retain(|series| !series.points.is_empty());
        if series.is_empty() {
            return Err(format!("no report has any of {}", names.join(", ")));
        }
        for series in &mut series {
            series.points.sort_by_key(|point| point.begin);
            let values: Vec<f64> = series.points.iter().map(|point| point.value.value).collect();
            series.course = Course::of(&values, series.figure.step());
        }
        twice.dedup();
        Ok(Self { series, notes: twice })
    }

    /// The begin of the first run and of the last one.
    #[must_use]
    pub fn span(&self) -> Option<(Time, Time)> {
        let begins = || self.series.iter().flat_map(|series| &series.points).map(|point| point.begin);
        Some((begins().min()?, begins().max()?))
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let series = self.series.iter().map(FigureSeries::json).collect::<Vec<_>>();
        json!({"ramp_version": env!("CARGO_PKG_VERSION"), "series": series, "notes": self.notes})
    }

    /// A row for each value.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn csv(&self) -> Result<String, String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = vec![
            ["subject", "figure", "unit", "run", "begin", "value", "low", "high", "mark"].map(str::to_owned),
        ];
        for series in &self.series {
            for (at, TimelinePoint { run, begin, value }) in series.points.iter().enumerate() {
                let end = |of: fn(Interval) -> f64| {
                    value.interval.map_or_else(String::new, |interval| of(interval).to_string())
                };
                rows.push([
                    series.subject.label.clone(),
                    series.figure.name.clone(),
                    series.figure.unit.name().into(),
                    run.clone(),
                    begin.to_string(),
                    value.value.to_string(),
                    end(|interval| interval.low),
                    end(|interval| interval.high),
                    series.mark(at).into(),
                ]);
            }
        }
        rows.iter().try_for_each(|row| writer.write_record(row)).map_err(|error| error.to_string())?;
        let bytes = writer.into_inner().map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }
}

/// What a run is called in a timeline. Runs of every night often have one name in all reports; then it is that of the file or directory.
fn shown_name(
    reports: &[(String, RecordedReport)],
    path: &str,
    report: &RecordedReport,
    record: &Record,
) -> String {
    let is_namesake = |other: &Record| other.name == record.name && other.begin != record.begin;
    let mut all = reports.iter().flat_map(|(_, report)| &report.records);
    if !all.any(is_namesake) {
        return record.name.clone();
    }
    let file = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    match report.records.len() {
        1 => file.into_owned(),
        _ => format!("{file}: {}", record.name),
    }
}

impl FigureSeries {
    /// That of a subject and a figure.
    fn of<'s>(all: &'s mut Vec<Self>, subject: &Subject, figure: &FigureName) -> &'s mut Self {
        let is_it = |series: &Self| series.subject == *subject && series.figure.name == figure.name;
        let at = all.iter().position(is_it).unwrap_or_else(|| {
            let (points, missing) = (Vec::new(), Vec::new());
            all.push(Self {
                subject: subject.clone(),
                figure: figure.clone(),
                points,
                missing,
                course: Course::default(),
            });
            all.len() - 1
        });
        &mut all[at]
    }

    /// Values without their intervals.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.value.value).collect()
    }

    /// The stretches between change points: the index of the first value of each, that after its last one, and the median.
    #[must_use]
    pub fn levels(&self) -> Vec<(usize, usize, f64)> {
        let ends = self.course.changes.iter().map(|change| change.at).chain([self.points.len()]);
        let mut begin = 0;
        let level = |end: usize| {
            let mut sorted = self.values()[begin..end].to_vec();
            sorted.sort_by(f64::total_cmp);
            let level = (begin, end, quantile(&sorted, 0.5).unwrap_or(f64::NAN));
            begin = end;
            level
        };
        ends.map(level).collect()
    }

    /// The level around a value.
    #[must_use]
    pub fn level_at(&self, at: usize) -> f64 {
        self.levels()
            .iter()
            .find(|(begin, end, _)| (*begin..*end).contains(&at))
            .map_or(f64::NAN, |(.., level)| *level)
    }

    /// What a value is.
    #[must_use]
    pub fn mark(&self, at: usize) -> &'static str {
        if self.course.changes.iter().any(|change| change.at == at) {
            "change_point"
        } else if self.course.outliers.iter().any(|outlier| outlier.at == at) {
            "outlier"
        } else {
            ""
        }
    }

    fn json(&self) -> Value {
        let point = |TimelinePoint { run, begin, value }: &TimelinePoint| {
            let [low, high] =
                [value.interval.map(|interval| interval.low), value.interval.map(|interval| interval.high)];
            json!({"run": run, "begin": begin, "value": value.value, "low": low, "high": high})
        };
        let change = |change: &ChangePoint| {
            let mut object = point(&self.points[change.at]);
            object["before"] = self.level_at(change.at.saturating_sub(1)).into();
            object["after"] = self.level_at(change.at).into();
            object["p"] = change.p_value.into();
            object
        };
        let outlier = |outlier: &Outlier| {
            let mut object = point(&self.points[outlier.at]);
            object["level"] = self.level_at(outlier.at).into();
            object["p"] = outlier.p_value.into();
            object
        };
        let missing = self.missing.iter().map(|(run, why)| json!({"run": run, "reason": why}));
        json!({
            "subject": self.subject.label, "figure": self.figure.name, "unit": self.figure.unit.name(),
            "points": self.points.iter().map(point).collect::<Vec<_>>(), "missing": missing.collect::<Vec<_>>(),
            "change_points": self.course.changes.iter().map(change).collect::<Vec<_>>(),
            "outliers": self.course.outliers.iter().map(outlier).collect::<Vec<_>>(),
        })
    }
}
