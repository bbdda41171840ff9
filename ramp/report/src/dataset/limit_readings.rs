//! Use of the limits of nodes other than memory and CPU, against the instances there.

use std::collections::{BTreeMap, HashSet};

use super::{Dataset, Recorded};
use ramp_format::rows::{LimitRow, PodRow};
use ramp_format::state::State;

/// One limit on one node, or on the nodes that share a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSeries {
    /// What is limited.
    pub resource: String,
    /// Where the limit holds.
    pub scope: String,
    /// What tells.
    pub source: String,
    /// The nodes that it is of.
    pub nodes: Vec<String>,
    /// The limit, as it was told last; none where there is none.
    pub limit: Option<u64>,
    /// Readings at which it was known what was there, the oldest first.
    pub readings: Vec<LimitPoint>,
}

/// How much of a limit was used, and by how many instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitPoint {
    /// When, since the run began.
    pub seconds: f64,
    /// Instances that ran on the nodes.
    pub instances: u32,
    /// Those that were being made, which had a part of what they use.
    pub unsettled: u32,
    /// Use.
    pub used: u64,
}

/// Instances that came or went so shortly before a reading may not be in it, or still be.
const SETTLED_SECONDS: f64 = 0.25;
/// Records arrive later than they are made by no more than this; a larger difference is a clock that was set.
const LATEST_SECONDS: f64 = 60.0;

impl Dataset {
    /// The limits that nodes told before a step (its index), or of all steps on the way up.
    #[must_use]
    pub fn limit_series(&self, before: Option<usize>) -> Vec<LimitSeries> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let until = self.until(before);
        let mut by_limit: BTreeMap<(&str, &str, &str), Vec<&LimitRow>> = BTreeMap::new();
        for row in &recorded.limits {
            by_limit.entry((&row.resource, &row.scope, holder(row))).or_default().push(row);
        }
        by_limit
            .into_iter()
            .map(|((resource, scope, _), rows)| {
                let names: HashSet<&str> = rows.iter().map(|row| row.node.as_str()).collect();
                let (first, last) = (rows.first(), rows.last());
                let mut nodes: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
                nodes.sort();
                LimitSeries {
                    resource: resource.to_owned(),
                    scope: scope.to_owned(),
                    source: first.map_or_else(String::new, |row| row.source.clone()),
                    limit: last.and_then(|row| row.limit),
                    readings: readings(recorded, &names, &rows, until),
                    nodes,
                }
            })
            .collect()
    }
}

/// What a limit is of: the pods of a node, or a machine, which several nodes may share.
fn holder(row: &LimitRow) -> &str {
    let is_of_node = row.scope == "pods" || row.scope.starts_with("/");
    row.boot_id.as_deref().filter(|_| !is_of_node).unwrap_or(&row.node)
}

fn readings(recorded: &Recorded, names: &HashSet<&str>, rows: &[&LimitRow], until: f64) -> Vec<LimitPoint> {
    let mut pods = recorded.happened(names).into_iter().peekable();
    let mut there = Population::default();
    let mut found: Vec<LimitPoint> = Vec::new();
    for (row, seconds) in rows.iter().zip(taken(recorded, rows)) {
        while let Some((at, pod)) = pods.next_if(|(at, _)| *at < seconds) {
            there.follow(at, pod);
        }
        if there.any_ended || seconds > until {
            break;
        }
        let next_is_near = pods.peek().is_some_and(|(at, _)| at - seconds < SETTLED_SECONDS);
        let is_news = found.last().is_none_or(|last| seconds > last.seconds);
        if let Some(used) = row.used.filter(|_| is_news && !next_is_near && there.is_settled(seconds)) {
            let [instances, unsettled] = [there.running.len() as u32, there.unsettled.len() as u32];
            found.push(LimitPoint { seconds, instances, unsettled, used });
        }
    }
    found
}

/// When records were made, in seconds since the run began: when they were recorded, less how much later than the quickest of them each
/// came.
fn taken(recorded: &Recorded, rows: &[&LimitRow]) -> Vec<f64> {
    let lag = |row: &LimitRow| {
        let made = row.sample_time?.0.duration_since(recorded.run.begin.0).ok()?;
        Some(row.elapsed_seconds - made.as_secs_f64())
    };
    let least = rows.iter().filter_map(|row| lag(row)).fold(f64::INFINITY, f64::min);
    let late = |row: &LimitRow| lag(row).map(|lag| lag - least).filter(|late| *late <= LATEST_SECONDS);
    rows.iter().map(|row| row.elapsed_seconds - late(row).unwrap_or(0.0)).collect()
}

/// Instances on some nodes.
#[derive(Default)]
struct Population<'d> {
    running: HashSet<&'d str>,
    /// Those that are being made or made again: they have some of their tasks.
    unsettled: HashSet<&'d str>,
    changed_at: Option<f64>,
    any_ended: bool,
}

impl<'d> Population<'d> {
    fn follow(&mut self, at: f64, row: &'d PodRow) {
        let uid = row.uid.as_str();
        let was_running = self.running.remove(uid);
        self.unsettled.remove(uid);
        match row.to.parse::<State>() {
            Ok(State::Running | State::Ready) => {
                self.running.insert(uid);
                if was_running {
                    return;
                }
            }
            Ok(State::Terminating | State::Evicted | State::Gone) => self.any_ended = true,
            Ok(State::Pending | State::Unschedulable) => {}
            _ => {
                self.unsettled.insert(uid);
            }
        }
        self.changed_at = Some(at);
    }

    fn is_settled(&self, seconds: f64) -> bool {
        self.changed_at.is_none_or(|at| seconds - at >= SETTLED_SECONDS)
    }
}
