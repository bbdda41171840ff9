//! Gate: each bounded figure of a report, held against the same figure of a baseline.
//!
//! Of a figure that may increase by the bound `b` (an amount, or a share of the baseline), the excess is `now − baseline − b`; of one that
//! may decrease, `baseline − now − b`. Its 95 % interval follows from those of the two figures, which are independent, by the method of
//! variance estimates recovery (G. Y. Zou and A. Donner, Construction of confidence intervals about effect measures: a general approach,
//! Statistics in Medicine 27 (10), 2008, formula 4): `excess ± √((distance to the end of one)² + (distance to the end of the other)²)`.
//! Where the bound is a share `s`, the baseline counts `1 + s` times: it is known only so exactly.
//!
//! | outcome | where |
//! |---|---|
//! | regression | the whole interval of the excess is above 0: the figure is worse by more than the bound |
//! | ok | the whole interval is at 0 or below |
//! | cannot tell | the interval has 0 within it, or one of the reports does not have the figure or its interval |
//!
//! Counts have no interval and need none: they are compared as they are. So a regression that is none is told of at most one figure in 40
//! whose true change is just the bound, and of far fewer whose true change is nothing.

use serde_json::{Value, json};

use super::bounds::{Amount, Bound, Bounds};
use super::figure_name::ReportKind;
use super::recorded::{RecordedFigure, RecordedReport, RecordedValue, Subject};
use crate::analysis::{Estimate, Unavailable, unavailable};
use crate::stats::Interval;

/// A report, held against a baseline.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What the baseline is called.
    pub baseline: String,
    /// Where the bounds are from.
    pub bounds: String,
    /// Whether what cannot be told fails, too.
    pub strict: bool,
    /// Each bound of each subject.
    pub outcomes: Vec<BoundOutcome>,
    /// Subjects that only the report has: they are not compared.
    pub only_now: Vec<String>,
    /// Subjects that only the baseline has: what should have been measured is not there.
    pub only_in_baseline: Vec<String>,
}

/// A bound, held against a figure of a subject.
#[derive(Clone, Debug)]
pub struct BoundOutcome {
    /// What the figure is of.
    pub subject: String,
    /// The bound.
    pub bound: Bound,
    /// The figure of the baseline.
    pub baseline: Estimate<RecordedValue>,
    /// The figure of the report.
    pub now: Estimate<RecordedValue>,
    /// Now − baseline, with its interval.
    pub change: Option<RecordedValue>,
    /// What can be said.
    pub outcome: Outcome,
}

/// What can be said.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is not worse by more than the bound.
    Ok,
    /// It is worse by more than the bound.
    Regression,
    /// Neither is known, and why.
    CannotTell(String),
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Regression => "regression",
            Self::CannotTell(_) => "cannot tell",
        }
    }
}

impl BoundOutcome {
    /// Whether it fails the gate.
    #[must_use]
    pub fn fails(&self, strict: bool) -> bool {
        match self.outcome {
            Outcome::Ok => false,
            Outcome::Regression => true,
            Outcome::CannotTell(_) => strict,
        }
    }
}

impl Judgement {
    /// Holds a report against a baseline.
    ///
    /// # Errors
    /// Where the two are of different kinds, or have nothing in common.
    pub fn of(report: &RecordedReport, baseline: &RecordedReport, bounds: &Bounds) -> Result<Self, String> {
        if report.kind != baseline.kind {
            let [now, then] = [report.kind, baseline.kind].map(ReportKind::name);
            return Err(format!("is a report on {then}; the report is on {now}"));
        }
        let [own, others] = [report, baseline].map(RecordedReport::subjects);
        if !own.iter().any(|subject| others.contains(subject)) {
            let labels = |subjects: &[&Subject]| {
                let label = |subject: &&Subject| match subject.load.is_empty() {
                    true => subject.label.clone(),
                    false => format!("{} ({})", subject.label, subject.load),
                };
                subjects.iter().map(label).collect::<Vec<_>>().join(", ")
            };
            return Err(format!(
                "has nothing in common with the report: it is on {}; the report is on {} (the same load under the same runtime is \
                 compared)",
                labels(&others),
                labels(&own)
            ));
        }
        let only = |subjects: &[&Subject], other: &[&Subject]| -> Vec<String> {
            let missing = subjects.iter().filter(|subject| !other.contains(subject));
            missing.map(|subject| subject.label.clone()).collect()
        };
        let (now, then) = (report.pooled(), baseline.pooled());
        let mut outcomes = Vec::new();
        for subject in own.iter().filter(|subject| others.contains(subject)) {
            outcomes.extend(bounds.bounds.iter().filter_map(|bound| {
                let of = |figures: &[RecordedFigure]| value_of(figures, subject, bound);
                outcome(subject, bound, of(&then), of(&now), bounds.is_default)
            }));
        }
        if !bounds.is_default {
            let is_judged =
                |bound: &Bound| outcomes.iter().any(|outcome: &BoundOutcome| outcome.bound == *bound);
            let missing: Vec<BoundOutcome> =
                bounds.bounds.iter().filter(|bound| !is_judged(bound)).map(BoundOutcome::of_none).collect();
            outcomes.extend(missing);
        }
        Ok(Self {
            baseline: String::new(),
            bounds: String::new(),
            strict: bounds.strict,
            outcomes,
            only_now: only(&own, &others),
            only_in_baseline: only(&others, &own),
        })
    }

    /// Whether the gate fails.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failures().next().is_some() || self.strict && !self.only_in_baseline.is_empty()
    }

    /// Outcomes that fail it.
    pub fn failures(&self) -> impl Iterator<Item = &BoundOutcome> {
        self.outcomes.iter().filter(|outcome| outcome.fails(self.strict))
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "baseline": self.baseline, "bounds": self.bounds, "strict": self.strict,
            "failed": self.is_failed(),
            "outcomes": self.outcomes.iter().map(BoundOutcome::json).collect::<Vec<_>>(),
            "only_now": self.only_now, "only_in_baseline": self.only_in_baseline,
        })
    }
}

impl BoundOutcome {
    /// That of a bound on a figure that neither report has of any subject.
    fn of_none(bound: &Bound) -> Self {
        let none = || unavailable("none of what is compared has it");
        let (baseline, now) = (none(), none());
        let why = "n/a: none of what is compared has it".to_owned();
        let bound = bound.clone();
        Self { subject: "all".into(), bound, baseline, now, change: None, outcome: Outcome::CannotTell(why) }
    }

    fn json(&self) -> Value {
        let parts = |value: &RecordedValue| {
            let Interval { low, high } = value.interval.unwrap_or(Interval { low: f64::NAN, high: f64::NAN });
            json!({"value": value.value, "low": low, "high": high})
        };
        let estimate = |value: &Estimate<RecordedValue>| match value {
            Ok(value) => parts(value),
            Err(why) => json!({"value": null, "low": null, "high": null, "reason": why.0}),
        };
        let mut object = json!({
            "subject": self.subject, "figure": self.bound.figure.name, "unit": self.bound.figure.unit.name(),
            "baseline": estimate(&self.baseline), "now": estimate(&self.now), "change": self.change.as_ref().map(parts),
            "bound": {self.bound.direction.key(): self.bound.said}, "outcome": self.outcome.name().replace(' ', "_"),
        });
        if let Outcome::CannotTell(why) = &self.outcome {
            object["reason"] = why.as_str().into();
        }
        object
    }
}

/// The figure of a bound in a pooled report. A report that names it for other subjects or not at all does not have it.
fn value_of(figures: &[RecordedFigure], subject: &Subject, bound: &Bound) -> Option<Estimate<RecordedValue>> {
    let is_it = |figure: &&RecordedFigure| figure.subject == *subject && figure.figure == bound.figure;
    figures.iter().find(is_it).map(|figure| figure.value.clone())
}

/// None where the figure is not one of this subject, such as a difference of a cell.
fn outcome(
    subject: &Subject,
    bound: &Bound,
    baseline: Option<Estimate<RecordedValue>>,
    now: Option<Estimate<RecordedValue>>,
    is_default: bool,
) -> Option<BoundOutcome> {
    let is_known = |value: &Option<Estimate<RecordedValue>>| matches!(value, Some(Ok(_)));
    if baseline.is_none() && now.is_none() || is_default && !is_known(&baseline) && !is_known(&now) {
        return None;
    }
    let none = || unavailable("the report does not have it: another version of ramp may have made it");
    let (baseline, now) = (baseline.unwrap_or_else(none), now.unwrap_or_else(none));
    let (change, outcome) = match (&baseline, &now) {
        (Err(Unavailable(why)), _) => (None, Outcome::CannotTell(format!("n/a in the baseline: {why}"))),
        (_, Err(Unavailable(why))) => (None, Outcome::CannotTell(format!("n/a now: {why}"))),
        (Ok(baseline), Ok(now)) => (Some(difference(*now, *baseline)), judged(bound, *baseline, *now)),
    };
    Some(BoundOutcome {
        subject: subject.label.clone(),
        bound: bound.clone(),
        baseline,
        now,
        change,
        outcome,
    })
}

/// The rule at the top.
fn judged(bound: &Bound, baseline: RecordedValue, now: RecordedValue) -> Outcome {
    let sides = [(baseline, "in the baseline"), (now, "now")];
    let lacking = sides.into_iter().find(|(value, _)| value.interval.is_none()).map(|(_, which)| which);
    if let Some(which) = lacking.filter(|_| !bound.by_value && !bound.figure.is_count()) {
        return Outcome::CannotTell(format!("no interval {which}: repeat the run, or say by_value: true"));
    }
    let sign = bound.direction.sign();
    let (share, amount) = match bound.amount {
        Amount::Share(share) => (share * baseline.value.signum(), 0.0),
        Amount::Absolute(amount) => (0.0, amount),
    };
    let excess = difference(now.times(sign), baseline.times(sign + share));
    let Interval { low, high } = excess.ends();
    if low > amount {
        Outcome::Regression
    } else if high <= amount {
        Outcome::Ok
    } else {
        let than = if excess.value > amount { "more" } else { "less" };
        Outcome::CannotTell(format!(
            "interval too wide: the change is {than} than the bound, but might not be"
        ))
    }
}

/// One less the other, with the interval by variance estimates recovery; one without an interval is exact.
fn difference(one: RecordedValue, other: RecordedValue) -> RecordedValue {
    let value = one.value - other.value;
    let (of_one, of_other) = (one.ends(), other.ends());
    let interval = (one.interval.is_some() || other.interval.is_some()).then(|| Interval {
        low: value - (one.value - of_one.low).hypot(of_other.high - other.value),
        high: value + (of_one.high - one.value).hypot(other.value - of_other.low),
    });
    RecordedValue { value, interval }
}

impl RecordedValue {
    /// Its interval; one without is exact.
    fn ends(self) -> Interval {
        self.interval.unwrap_or(Interval { low: self.value, high: self.value })
    }

    fn times(self, factor: f64) -> Self {
        let ends = |Interval { low, high }: Interval| {
            let (a, b) = (factor * low, factor * high);
            Interval { low: a.min(b), high: a.max(b) }
        };
        Self { value: factor * self.value, interval: self.interval.map(ends) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_pcg::Pcg64Mcg;
    use serde_json::Map;

    use super::*;
    use crate::history::figure_name::FigureName;
    use crate::history::recorded::Record;
    use crate::stats::MeanEstimate;

    fn value(value: f64, half_width: f64) -> Estimate<RecordedValue> {
        let interval = Some(Interval { low: value - half_width, high: value + half_width });
        Ok(RecordedValue { value, interval: interval.filter(|_| half_width >= 0.0) })
    }

    /// A report on a study of one cell.
    fn report(cell: &str, figures: &[(&str, Estimate<RecordedValue>)]) -> RecordedReport {
        let figure = |(name, value): &(&str, Estimate<RecordedValue>)| RecordedFigure {
            subject: Subject { label: cell.into(), load: String::new() },
            figure: FigureName::find(ReportKind::Study, name).unwrap(),
            value: value.clone(),
        };
        let record =
            Record { name: "study".into(), begin: None, figures: figures.iter().map(figure).collect() };
        RecordedReport { kind: ReportKind::Study, records: vec![record] }
    }

    fn judge(
        bounds: &Value,
        baseline: Estimate<RecordedValue>,
        now: Estimate<RecordedValue>,
    ) -> (&'static str, String) {
        let file: &Map<String, Value> = bounds.as_object().unwrap();
        let name = file.keys().find(|key| *key != "strict").unwrap();
        let bounds = Bounds::read(ReportKind::Study, file).unwrap();
        let [now, baseline] = [now, baseline].map(|value| report("kata", &[(name, value)]));
        let found = Judgement::of(&now, &baseline, &bounds).unwrap();
        let outcome = &found.outcomes[0].outcome;
        let why = if let Outcome::CannotTell(why) = outcome { why.clone() } else { String::new() };
        (outcome.name(), why)
    }

    #[test]
    fn a_regression_is_told_only_where_the_whole_interval_is_beyond_the_bound() {
        let bound = json!({"startup_mean": {"max_increase": 0.5}});
        assert_eq!(judge(&bound, value(2.0, 0.1), value(2.2, 0.1)).0, "ok");
        assert_eq!(judge(&bound, value(2.0, 0.1), value(3.0, 0.1)).0, "regression");
        assert_eq!(judge(&bound, value(2.0, 0.1), value(1.0, 0.1)).0, "ok", "faster is not worse");
        // √(0.3² + 0.4²) = 0.5: from 0.1 to 1.1 around 0.6.
        let (outcome, why) = judge(&bound, value(2.0, 0.3), value(2.6, 0.4));
        assert_eq!(
            (outcome, why.as_str()),
            ("cannot tell", "interval too wide: the change is more than the bound, but might not be")
        );
        assert_eq!(judge(&bound, value(2.0, 0.3), value(2.4, 0.4)).0, "cannot tell");
        assert_eq!(judge(&bound, value(2.0, 0.3), value(3.01, 0.4)).0, "regression");
    }

    #[test]
    fn a_share_is_of_a_baseline_that_is_itself_not_exact() {
        let bound = json!({"memory_per_instance": {"max_increase": "100%"}});
        // 1.5 more than twice the baseline, which is known to 1: twice as much counts.
        assert_eq!(judge(&bound, value(100.0, 1.0), value(201.5, 0.1)).0, "cannot tell");
        assert_eq!(judge(&bound, value(100.0, 1.0), value(202.5, 0.1)).0, "regression");
        let less = json!({"instances_held": {"max_decrease": "10%"}});
        assert_eq!(judge(&less, value(100.0, 0.0), value(90.0, 0.0)).0, "ok");
        assert_eq!(judge(&less, value(100.0, 0.0), value(89.0, 0.0)).0, "regression");
    }

    #[test]
    fn counts_need_no_interval_and_what_is_measured_does() {
        let counts = json!({"instances_held": {"max_decrease": 3}});
        assert_eq!(judge(&counts, value(100.0, -1.0), value(97.0, -1.0)).0, "ok");
        assert_eq!(judge(&counts, value(100.0, -1.0), value(96.0, -1.0)).0, "regression");
        let (outcome, why) =
            judge(&json!({"startup_mean": {"max_increase": 1}}), value(2.0, -1.0), value(5.0, 0.1));
        assert_eq!(
            (outcome, why.as_str()),
            ("cannot tell", "no interval in the baseline: repeat the run, or say by_value: true")
        );
        let by_value = json!({"startup_mean": {"max_increase": 1, "by_value": true}});
        assert_eq!(judge(&by_value, value(2.0, -1.0), value(5.0, -1.0)).0, "regression");
        let (outcome, why) = judge(&counts, value(100.0, -1.0), unavailable("the run was cut off"));
        assert_eq!((outcome, why.as_str()), ("cannot tell", "n/a now: the run was cut off"));
    }

    #[test]
    fn what_cannot_be_told_fails_only_where_the_file_is_strict() {
        let judged = |strict: bool| {
            let file = json!({"startup_mean": {"max_increase": 1}, "strict": strict});
            let bounds = Bounds::read(ReportKind::Study, file.as_object().unwrap()).unwrap();
            let report = report("kata", &[("instances_held", value(1.0, 0.0))]);
            Judgement::of(&report, &report, &bounds).unwrap()
        };
        assert!(!judged(false).is_failed() && judged(true).is_failed());
        assert_eq!(judged(false).outcomes[0].subject, "all", "a bound on what no report has is told");
    }

    #[test]
    fn what_has_nothing_in_common_is_refused_and_what_is_missing_is_told() {
        let bounds = Bounds::usual(ReportKind::Study).unwrap();
        let [runc, kata] = ["runc", "kata"].map(|cell| report(cell, &[("instances_held", value(5.0, 0.0))]));
        let why = Judgement::of(&runc, &kata, &bounds).unwrap_err();
        assert!(
            why.starts_with("has nothing in common with the report: it is on kata; the report is on runc"),
            "{why}"
        );
        let mut both = runc.clone();
        both.records.extend(kata.records);
        let found = Judgement::of(&runc, &both, &Bounds { strict: true, ..bounds }).unwrap();
        assert_eq!((found.only_in_baseline.as_slice(), found.is_failed()), (&["kata".to_owned()][..], true));
        let of_runs = RecordedReport { kind: ReportKind::Runs, ..runc.clone() };
        let why = Judgement::of(&runc, &of_runs, &Bounds::usual(ReportKind::Study).unwrap()).unwrap_err();
        assert_eq!(why, "is a report on runs; the report is on a study");
    }

    /// Outcomes of studies of five blocks, whose true change is this share of the bound.
    fn outcomes(change: f64) -> [f64; 3] {
        const STUDIES: u32 = 2000;
        let mut random = Pcg64Mcg::seed_from_u64(15);
        let mut measured = |mean: f64| {
            let draw = |_| mean + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut random);
            let runs: Vec<f64> = (0..5).map(draw).collect();
            let interval = MeanEstimate::of(&runs).map(|found| found.interval(0.95));
            RecordedValue { value: runs.iter().sum::<f64>() / 5.0, interval }
        };
        let figure = FigureName::find(ReportKind::Study, "memory_per_instance").unwrap();
        let file = json!({"memory_per_instance": {"max_increase": "5%"}});
        let bound = Bounds::read(ReportKind::Study, file.as_object().unwrap()).unwrap().bounds.remove(0);
        assert_eq!(bound.figure, figure);
        let mut counts = [0_u32; 3];
        for _ in 0..STUDIES {
            let (baseline, now) = (measured(100.0), measured(100.0 + 5.0 * change));
            counts[match judged(&bound, baseline, now) {
                Outcome::Ok => 0,
                Outcome::Regression => 1,
                Outcome::CannotTell(_) => 2,
            }] += 1;
        }
        counts.map(|count| f64::from(count) / f64::from(STUDIES))
    }

    #[test]
    fn a_change_of_just_the_bound_is_a_regression_in_at_most_one_of_40() {
        let [none, half, just, twice] = [0.0, 0.5, 1.0, 2.0].map(outcomes);
        #[allow(clippy::print_stdout, reason = "how often each is told is what a reader looks for")]
        {
            println!(
                "ok, regression, cannot tell: none {none:?}, half {half:?}, just {just:?}, twice {twice:?}"
            );
        }
        assert!(none[1] == 0.0 && half[1] <= 0.001, "{none:?} {half:?}");
        assert!(just[1] <= 0.025 && just[0] <= 0.025, "{just:?}");
        assert!(none[0] > 0.95 && twice[1] > 0.95, "{none:?} {twice:?}");
    }
}
