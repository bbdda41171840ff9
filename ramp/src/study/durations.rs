//! Durations of the runs of a study: forecasts before the first block, and then those of the runs that have ended.

use std::time::{Duration, SystemTime};

use super::schedule::{remaining, time_spent};
use ramp_format::plan::{EngineKind, Plan};
use ramp_format::preflight::Forecast;
use ramp_format::study::{RunRecordState, StudyRecord};
use ramp_report::stats::STEADY_FOR_SECONDS;

/// Time to remove all instances: a process is killed at once, a pod has to be told.
fn teardown_seconds(engine: EngineKind) -> f64 {
    match engine {
        EngineKind::Local => 0.5,
        EngineKind::Podman => 2.0,
        EngineKind::Kubernetes | EngineKind::Simulated => 5.0,
    }
}

/// Expected durations of the runs of each cell, in seconds; none where nothing is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunDurations {
    /// Of a run, by cell.
    pub(crate) forecast: Vec<Option<f64>>,
    /// Of the warm-up, by cell.
    pub(crate) warm_up: Vec<Option<f64>>,
}

/// What an estimate rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DurationBasis {
    Forecast,
    /// So many runs that have ended.
    Runs(usize),
}

/// Seconds of a run and of its warm-up, by its forecast.
pub(crate) fn forecast_seconds(plan: &Plan, forecast: &Forecast) -> (f64, f64) {
    let steps = forecast.seconds_to_saturation.unwrap_or(forecast.seconds);
    let ways = if plan.down { 2.0 } else { 1.0 };
    // Memory is watched until it has been steady for some seconds.
    let end = teardown_seconds(plan.engine) + STEADY_FOR_SECONDS;
    let run = plan.settle.as_secs_f64() + ways * steps + plan.hold.as_secs_f64() + end;
    (run, forecast.seconds / f64::from(forecast.steps.max(1)) + end)
}

impl RunDurations {
    /// Expected seconds of a run: as those of its cell so far, else by its forecast, else as those of other cells.
    pub(crate) fn expected(&self, record: &StudyRecord, block: u32, cell: usize) -> Option<f64> {
        let mean = |of: &dyn Fn(u32, usize) -> bool| {
            let ended = record.runs.iter().filter(|run| {
                run.state == RunRecordState::Done
                    && (run.block == 0) == (block == 0)
                    && of(run.block, run.cell)
            });
            let seconds: Vec<f64> = ended
                .filter_map(|run| Some(run.end?.0.duration_since(run.begin.0).ok()?.as_secs_f64()))
                .collect();
            (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
        };
        let known = if block == 0 { &self.warm_up } else { &self.forecast };
        mean(&|_, other| other == cell).or(known.get(cell).copied().flatten()).or_else(|| mean(&|_, _| true))
    }

    /// Expected seconds of a study before its first run, whatever its budget.
    pub(crate) fn whole(&self, record: &StudyRecord) -> Option<f64> {
        self.of_runs(record, record.begin.0)
    }

    /// Expected seconds until the end, within the budget; none where nothing is known of some run. The run under way is what remains of
    /// it.
    pub(crate) fn left(&self, record: &StudyRecord, now: SystemTime) -> Option<f64> {
        let all = self.of_runs(record, now)?;
        let budget = record.definition.budget.map(|budget| budget.saturating_sub(time_spent(record, now)));
        Some(budget.map_or(all, |budget| all.min(budget.as_secs_f64())))
    }

    fn of_runs(&self, record: &StudyRecord, now: SystemTime) -> Option<f64> {
        let least = record.definition.cooldown.least.as_secs_f64();
        let under_way = record.runs.last().filter(|run| run.state == RunRecordState::Running);
        let passed = under_way.and_then(|run| now.duration_since(run.begin.0).ok()).unwrap_or_default();
        let each = remaining(record).into_iter().map(|(block, cell)| {
            let is_under_way = under_way.is_some_and(|run| (run.block, run.cell) == (block, cell));
            let whole = self.expected(record, block, cell)? + least;
            Some(if is_under_way { (whole - passed.as_secs_f64()).max(0.0) } else { whole })
        });
        each.sum()
    }

    /// What the estimates rest on.
    pub(crate) fn basis(record: &StudyRecord) -> DurationBasis {
        let ended =
            record.runs.iter().filter(|run| run.block > 0 && run.state == RunRecordState::Done).count();
        if ended == 0 { DurationBasis::Forecast } else { DurationBasis::Runs(ended) }
    }
}

/// A duration with the precision that an estimate has.
pub(crate) fn rounded(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    match seconds {
        seconds if seconds < 1.5 * MINUTE => format!("{seconds:.0} s"),
        seconds if seconds < 90.0 * MINUTE => format!("{:.0} min", seconds / MINUTE),
        seconds if seconds < 48.0 * 60.0 * MINUTE => format!("{:.1} h", seconds / MINUTE / 60.0),
        seconds => format!("{:.1} days", seconds / MINUTE / 60.0 / 24.0),
    }
}

/// Whether a run that takes so long would end within the budget of its study.
pub(crate) fn fits_budget(record: &StudyRecord, now: SystemTime, seconds: Option<f64>) -> bool {
    let Some(budget) = record.definition.budget else { return true };
    // Of a run of which nothing is known it can only be said whether any time is left.
    let needs = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or(Duration::MAX);
    time_spent(record, now).saturating_add(needs) <= budget
}
