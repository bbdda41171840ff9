//! Times by other clocks than that of the run: they may be apart from it, and be set while it goes on.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::workload_reports::Reports;
use super::{NodeSample, NodeSeries, Step};
use ramp_format::rows::PodRow;
use ramp_format::run_clock::{ClockChange, RunClock};
use ramp_format::state::State;
use ramp_format::time::Time;

/// By how much a node's clock is set forward at least where it is said to be: a message before may have been late.
const SET_FORWARD_SECONDS: f64 = 5.0;
/// A report may be read sooner than any sample was.
const SOONER_SECONDS: f64 = 1.0;

/// Writes the times of samples and reports by each node's clock as if that had never been set: as it was at its first sample.
pub(super) fn undo_settings(nodes: &mut [NodeSeries], reports: &mut Reports, pods: &[PodRow]) {
    let mut set: HashMap<&str, NodeClock> = HashMap::new();
    for node in nodes {
        let clock = NodeClock::undo(&mut node.samples);
        if clock.settings.len() > 1 {
            set.insert(&node.name, clock);
        }
    }
    if set.is_empty() {
        return;
    }
    let node_of: HashMap<&str, &str> =
        pods.iter().filter_map(|row| Some((row.uid.as_str(), row.node.as_deref()?))).collect();
    for report in &mut reports.reports {
        let uid = reports.uids.get(report.instance as usize);
        let clock = uid.and_then(|uid| set.get(node_of.get(uid.as_str())?));
        if let Some((clock, made)) = clock.zip(report.made_seconds) {
            report.made_seconds = Some(clock.unset(report.elapsed_seconds, made));
        }
    }
}

/// The clock of a node, by its samples.
struct NodeClock {
    /// By how many seconds it was ahead of itself at the first sample, each time that it was set.
    settings: Vec<f64>,
    /// The smallest difference between the run's time and that of the clock, where it was not set.
    least: f64,
}

impl NodeClock {
    fn undo(samples: &mut [NodeSample]) -> Self {
        let mut clock = Self { settings: vec![0.0], least: f64::INFINITY };
        let (mut ahead, mut last) = (0.0, f64::NEG_INFINITY);
        for sample in samples {
            let Some((seen, taken)) = sample.elapsed_seconds.zip(sample.taken_seconds) else { continue };
            let way = seen - taken;
            // Nothing is sampled before what was sampled last, nor after it is seen.
            if taken < last || way + ahead < clock.least - SET_FORWARD_SECONDS && clock.least.is_finite() {
                ahead = clock.least - way;
                clock.settings.push(ahead);
            }
            clock.least = clock.least.min(way + ahead);
            sample.taken_seconds = Some(taken - ahead);
            last = taken;
        }
        clock
    }

    /// What it would have shown had it not been set, for something that was seen so many seconds after the run began: by the setting that
    /// makes it the least late.
    fn unset(&self, seen: f64, shown: f64) -> f64 {
        let late = |ahead: &f64| seen - shown + ahead - self.least;
        let possible = self.settings.iter().copied().filter(|ahead| late(ahead) >= -SOONER_SECONDS);
        shown - possible.min_by(|a, b| late(a).total_cmp(&late(b))).unwrap_or_default()
    }
}

/// What the run noted of the clocks of the machine that recorded, in sentences.
pub(super) fn notes(clock: Option<&RunClock>) -> Vec<String> {
    let Some(clock) = clock else { return Vec::new() };
    let at = |change: &ClockChange| format!("at {:.1} s", change.elapsed_seconds);
    let time = |seconds: f64| {
        let time = Duration::try_from_secs_f64((seconds.abs() * 10.0).round() / 10.0).unwrap_or_default();
        humantime::format_duration(time).to_string()
    };
    let set = clock.set.iter().map(|change| {
        let way = if change.by_seconds < 0.0 { "back" } else { "forward" };
        format!(
            "the wall clock of the recording machine was set {way} by {} {}: durations are by its monotonic clock",
            time(change.by_seconds),
            at(change)
        )
    });
    let suspended = clock.suspended.iter().map(|change| {
        format!(
            "the recording machine was suspended for {} {}: nothing was observed, and the time does not count as elapsed",
            time(change.by_seconds),
            at(change)
        )
    });
    set.chain(suspended).collect()
}

/// Between two steps no more time passes than this, in seconds, beside what the later one took.
const BETWEEN_STEPS_SECONDS: f64 = 60.0;

/// Why times and durations of a run are not known, if they are not: the clock of the machine that recorded was set while it went on. Rows
/// follow each other, and how long a step took was measured by a clock that nobody sets.
pub(super) fn why_unknown(steps: &[Step], pods: &[PodRow], is_resumed: bool) -> Option<String> {
    let falls = |pair: &[PodRow]| {
        let [before, after] = pair else { return None };
        (after.time.0 + AT_ONCE < before.time.0).then_some(before.step)
    };
    let leaps = |pair: &[Step]| {
        let [before, after] = pair else { return None };
        let apart = after.elapsed_seconds? - before.elapsed_seconds?;
        (apart > after.step_seconds? + BETWEEN_STEPS_SECONDS).then_some(after.step)
    };
    let leap = || steps.windows(2).find_map(leaps).filter(|_| !is_resumed);
    let step = pods.windows(2).find_map(falls).or_else(leap)?;
    Some(format!(
        "the clock of the recording machine was set during the run (near step {step}): times and durations are unknown"
    ))
}

/// A row that was seen so many seconds later than others are was not being watched for: clusters tell of whole seconds, and kubelets take
/// a second to tell.
pub const SEEN_LATE_SECONDS: f64 = 2.5;
/// A kubelet that has much to do tells no later than this; more is told by a clock that is apart, unless nothing was seen for as long.
const TOLD_WITHIN_SECONDS: f64 = 60.0;
/// Rows that are seen closer together are seen at once: what was missed is listed when the API answers again.
const AT_ONCE_SECONDS: f64 = 1.0;
const AT_ONCE: Duration = Duration::from_secs(1);
/// So often something must have been seen by a clock before it is known how far that is apart.
const OFTEN: usize = 3;

/// When each row happened, in seconds since the run began, and how many were seen late: those are dated by their source.
pub(super) fn happened(pods: &[PodRow], clock: Option<&RunClock>) -> (Vec<f64>, usize) {
    let lags = lags(pods, clock);
    let bursts = bursts(pods);
    let apart = apart(pods, &lags, &bursts);
    let mut before: HashMap<&str, f64> = HashMap::new();
    let mut late = 0;
    let when = pods.iter().zip(lags.iter().zip(&apart)).zip(&bursts).map(|((row, (lag, apart)), burst)| {
        let unseen = row.elapsed_seconds - burst.after;
        let mut seconds = row.elapsed_seconds;
        // What bears no time of its source cannot be dated by it.
        if let Some(lag) = lag.map(|lag| lag - apart)
            && lag > SEEN_LATE_SECONDS
            && lag <= (unseen + SEEN_LATE_SECONDS).max(TOLD_WITHIN_SECONDS)
        {
            late += 1;
            seconds -= lag;
        }
        let last = before.entry(&row.uid).or_insert(f64::NEG_INFINITY);
        *last = last.max(seconds);
        *last
    });
    (when.collect(), late)
}

/// By how many seconds each row is seen later than its source says, where that says.
///
/// The clock of a source may be the one that was set while the run was recorded, or another one that was not: by the times of each source
/// before and after that it is the one that agrees.
fn lags(pods: &[PodRow], clock: Option<&RunClock>) -> Vec<Option<f64>> {
    let by_wall = |row: &PodRow| Some(signed(row.time, row.source_time?));
    let mut lags: Vec<Option<f64>> = pods.iter().map(by_wall).collect();
    let Some(clock) = clock.filter(|clock| !clock.set.is_empty()) else {
        return lags;
    };
    let ahead =
        |row: &PodRow| clock.set_before(row.elapsed_seconds).map(|change| change.by_seconds).sum::<f64>();
    let mut by_clock: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
    for (at, row) in pods.iter().enumerate().filter(|(at, _)| lags[*at].is_some()) {
        by_clock.entry(told_by(row)).or_default().push(at);
    }
    for rows in by_clock.values() {
        // The least lag between any two settings, by the clock as it was set and as it would be without.
        let mut as_set = vec![f64::INFINITY; clock.set.len() + 1];
        let mut unset = as_set.clone();
        for at in rows {
            let (row, lag) = (&pods[*at], lags[*at].unwrap_or_default());
            let period = clock.set_before(row.elapsed_seconds).count();
            as_set[period] = as_set[period].min(lag);
            unset[period] = unset[period].min(lag - ahead(row));
        }
        if spread(&unset) < spread(&as_set) {
            rows.iter().for_each(|at| lags[*at] = lags[*at].map(|lag| lag - ahead(&pods[*at])));
        }
    }
    lags
}

/// The difference of the largest and the smallest.
fn spread(values: &[f64]) -> f64 {
    let known = || values.iter().copied().filter(|value| value.is_finite());
    known().fold(f64::NEG_INFINITY, f64::max) - known().fold(f64::INFINITY, f64::min)
}

fn signed(later: Time, earlier: Time) -> f64 {
    match later.0.duration_since(earlier.0) {
        Ok(late) => late.as_secs_f64(),
        Err(early) => -early.duration().as_secs_f64(),
    }
}

/// What is seen at once.
#[derive(Clone, Copy)]
struct Batch {
    number: usize,
    /// When something was seen before that, in seconds since the run began.
    after: f64,
}

fn bursts(pods: &[PodRow]) -> Vec<Batch> {
    let (mut burst, mut last) = (Batch { number: 0, after: 0.0 }, 0.0);
    let of = |row: &PodRow| {
        if row.elapsed_seconds - last > AT_ONCE_SECONDS {
            burst = Batch { number: burst.number + 1, after: last };
        }
        last = row.elapsed_seconds;
        burst
    };
    pods.iter().map(of).collect()
}

/// Whose clock a row bears: the node's, or else the control plane's.
fn told_by(row: &PodRow) -> Option<&str> {
    match row.to.parse::<State>() {
        Ok(State::Running | State::Ready | State::OomKilled | State::Failed | State::Evicted) => {
            row.node.as_deref()
        }
        _ => None,
    }
}

/// For each row, by how many seconds it is seen later than its source says although it is not late: clocks that are not in step, and the
/// shortest way.
///
/// Of a clock that was set, the least lag before a row and that after it differ: what is late is so by the larger one. One that has told
/// too little is taken to be in step with the control plane's.
fn apart(pods: &[PodRow], lags: &[Option<f64>], bursts: &[Batch]) -> Vec<f64> {
    let mut by_clock: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
    for (at, row) in pods.iter().enumerate().filter(|(at, _)| lags[*at].is_some()) {
        by_clock.entry(told_by(row)).or_default().push(at);
    }
    let lag = |at: &usize| lags[*at].unwrap_or_default();
    let least = |rows: &Vec<usize>| rows.iter().map(lag).fold(f64::INFINITY, f64::min);
    let all: Vec<usize> = (0..pods.len()).filter(|at| lags[*at].is_some()).collect();
    let usual = least(by_clock.get(&None).unwrap_or(&all));
    let mut apart = vec![if usual.is_finite() { usual } else { 0.0 }; pods.len()];
    for rows in by_clock.values() {
        let since = least_so_far(rows.iter(), lag, bursts);
        let mut from = least_so_far(rows.iter().rev(), lag, bursts);
        from.reverse();
        for (at, known) in rows.iter().zip(since.into_iter().zip(from)) {
            apart[*at] = match known {
                (Some(since), Some(from)) => since.max(from),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => continue,
            };
        }
    }
    apart
}

/// The least lag of each row and those before it, where they were seen often enough.
fn least_so_far<'r>(
    rows: impl Iterator<Item = &'r usize>,
    lag: impl Fn(&usize) -> f64,
    bursts: &[Batch],
) -> Vec<Option<f64>> {
    let (mut least, mut seen) = (f64::INFINITY, BTreeSet::new());
    rows.map(|at| {
        least = least.min(lag(at));
        seen.insert(bursts[*at].number);
        (seen.len() >= OFTEN).then_some(least)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOON: f64 = 1_767_268_800.0;

    /// A row that is seen at `seen`, and happened at `source` by its own clock, both in seconds since the run began.
    fn row(number: usize, to: State, seen: f64, source: f64) -> PodRow {
        let time = |seconds: f64| Time(UNIX_EPOCH + Duration::from_secs_f64(NOON + seconds));
        PodRow {
            time: time(seen),
            elapsed_seconds: seen,
            source_time: Some(time(source)),
            step: 1,
            instance: format!("instance-{number}"),
            uid: format!("uid-{number}"),
            node: Some("node-1".into()),
            from: None,
            to: to.to_string(),
            reason: String::new(),
            restarts: 0,
            container: None,
            group: None,
        }
    }

    /// Instances that are made each five seconds and ready two seconds later, by the clock of their node, which is `ahead` then.
    fn run(ahead: impl Fn(f64) -> f64) -> Vec<PodRow> {
        let of = |number: usize| {
            let made = 5.0 * number as f64;
            let ready = made + 2.0;
            [row(number, State::Pending, made, made), row(number, State::Ready, ready, ready + ahead(ready))]
        };
        (0..20).flat_map(of).collect()
    }

    #[test]
    fn nothing_is_late_by_a_clock_that_is_apart_or_is_set() {
        let settings: [fn(f64) -> f64; 5] = [
            |_| 0.0,
            |_| -90.0,
            |at| if at > 40.0 { 3600.0 } else { 0.0 },
            |at| if at > 40.0 { -3600.0 } else { 0.0 },
            |at| if (40.0..60.0).contains(&at) { -600.0 } else { 0.0 },
        ];
        for (number, ahead) in settings.into_iter().enumerate() {
            let rows = run(ahead);
            let (when, late) = happened(&rows, None);
            assert_eq!(late, 0, "{number}");
            assert!(
                when.iter().zip(&rows).all(|(when, row)| *when == row.elapsed_seconds),
                "{number}: {when:?}"
            );
        }
    }

    #[test]
    fn what_bears_no_time_of_its_source_is_not_late_where_the_clock_of_the_control_plane_is_ahead() {
        let mut rows = run(|_| 10.0);
        for (at, row) in rows.iter_mut().enumerate() {
            let ahead = Time(row.time.0 + Duration::from_secs(10));
            row.source_time = (at % 4 != 3).then_some(ahead);
        }
        let (when, late) = happened(&rows, None);
        assert_eq!(late, 0);
        assert!(when.iter().zip(&rows).all(|(when, row)| *when == row.elapsed_seconds), "{when:?}");
    }

    #[test]
    fn what_was_missed_is_dated_by_its_source_whatever_that_clock_shows() {
        for ahead in [0.0, -90.0, 3600.0] {
            let mut rows = run(|_| ahead);
            // From 41 to 60 the API says nothing.
            for row in rows.iter_mut().filter(|row| (41.0..60.0).contains(&row.elapsed_seconds)) {
                let late = 60.0 - row.elapsed_seconds;
                row.elapsed_seconds += late;
                row.time = Time(row.time.0 + Duration::from_secs_f64(late));
            }
            rows.sort_by(|a, b| a.elapsed_seconds.total_cmp(&b.elapsed_seconds));
            let (when, late) = happened(&rows, None);
            assert_eq!(late, 7, "{ahead}");
            let mut made = HashMap::new();
            for (when, row) in when.iter().zip(&rows) {
                let made = *made.entry(&row.uid).or_insert(*when);
                let took = if row.to == State::Ready.to_string() { 2.0 } else { 0.0 };
                assert!((when - made - took).abs() < 1e-6, "{ahead}: {row:?} after {}", when - made);
            }
        }
    }

    #[test]
    fn samples_and_reports_are_in_the_order_in_which_they_were_made_however_a_clock_is_set() {
        let mut samples: Vec<NodeSample> = (0..30)
            .map(|number| {
                let at = f64::from(number);
                // Forward by an hour, and back by more.
                let ahead = [0.0, 3600.0, -60.0][number as usize / 10];
                NodeSample {
                    elapsed_seconds: Some(at + 0.1),
                    taken_seconds: Some(NOON + at + ahead),
                    ..NodeSample::default()
                }
            })
            .collect();
        let clock = NodeClock::undo(&mut samples);
        for (number, sample) in samples.iter().enumerate() {
            let taken = sample.taken_seconds.unwrap() - NOON;
            assert!((taken - number as f64).abs() < 1e-3, "{number}: {taken}");
        }
        for (at, ahead) in [(5.0, 0.0), (15.0, 3600.0), (25.0, -60.0)] {
            let unset = clock.unset(at + 0.3, NOON + at + ahead) - NOON;
            assert!((unset - at).abs() < 0.01, "{at}: {unset}");
        }
    }
}
