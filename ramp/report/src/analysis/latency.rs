//! Startup latency: from the creation of an instance until it holds its memory, by load level.

use std::collections::HashMap;

use super::{Estimate, recorded, timed, unavailable};
use crate::dataset::{Dataset, PodLatency};
use crate::stats::{Duration, Survival};
use ramp_format::rows::PodRow;
use ramp_format::run_clock::RunClock;
use ramp_format::running_count::PeakCounts;
use ramp_format::state::State;

/// Startup latency of the instances that were made at one level of load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadLevel {
    /// Least instances running at their creation.
    pub from: u32,
    /// Upper bound, exclusive; none if unbounded.
    pub to: Option<u32>,
    /// Share that takes longer than a time.
    pub survival: Survival,
}

/// An instance's way to being ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Startup {
    /// When it was first seen, in seconds since the run began.
    pub made_seconds: f64,
    /// Instances running then.
    pub at_work: u32,
    /// How long it took, or was watched without getting there: it was evicted, killed or removed before, or the run ended.
    pub took: Duration,
    /// Its group, in a mixed run.
    pub group: Option<String>,
    /// What it is called.
    pub name: String,
    /// Its node; empty where none is known.
    pub node: String,
}

impl Startup {
    /// That of a pod of kube-burner, which does not tell how many others there were.
    fn of_pod(pod: &PodLatency) -> Self {
        let took = Duration { seconds: pod.ready_after, ended: true };
        Self {
            made_seconds: pod.created_seconds,
            at_work: 0,
            took,
            group: None,
            name: pod.name.clone(),
            node: pod.node.clone(),
        }
    }
}

/// Levels of load: quarters of the instances at saturation, and one level beyond it.
pub const QUARTERS: u32 = 4;

/// Startup latency by load level. `full` is how many instances there are at saturation.
///
/// # Errors
/// Where the data does not tell of instances one by one.
pub fn latency(data: &Dataset, full: u32) -> Estimate<Vec<LoadLevel>> {
    let startups = startups(data)?;
    let edge = |quarter: u32| (f64::from(full) * f64::from(quarter) / f64::from(QUARTERS)).round() as u32;
    let level = |quarter: u32| {
        let (from, to) = (edge(quarter), (quarter < QUARTERS).then(|| edge(quarter + 1)));
        let within = |at: u32| at >= from && to.is_none_or(|to| at < to);
        let took: Vec<Duration> =
            startups.iter().filter(|startup| within(startup.at_work)).map(|startup| startup.took).collect();
        Some(LoadLevel { from, to, survival: Survival::of(&took)? })
    };
    Ok((0..=QUARTERS).filter_map(level).collect())
}

/// Each instance's way to being ready, in the order in which they were made.
///
/// # Errors
/// Where the data does not tell of instances one by one.
pub fn startups(data: &Dataset) -> Estimate<Vec<Startup>> {
    if let Some(pods) = data.pod_latencies() {
        return Ok(pods.iter().map(Startup::of_pod).collect());
    }
    let recorded = recorded(data)?;
    if recorded.pods.is_empty() {
        return unavailable("no instance was observed");
    }
    timed(recorded)?;
    let mut lives = InstanceLives { clock: recorded.run.clock.as_ref(), ..InstanceLives::default() };
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        lives.follow(row, *seconds);
    }
    // A level of a search that does not hold ends at once, so that nobody knows how long its instances would have taken.
    let is_cut_short = |step: u32| {
        recorded.run.plan.search.is_some()
            && data.steps.iter().any(|row| row.step == step && row.level_held == Some(false))
    };
    Ok(lives.startups(data.end_seconds(), is_cut_short))
}

/// Instances, followed from row to row.
#[derive(Default)]
struct InstanceLives<'d> {
    population: PeakCounts,
    begun: Vec<StartedInstance>,
    by_uid: HashMap<&'d str, usize>,
    clock: Option<&'d RunClock>,
}

struct StartedInstance {
    step: u32,
    made_seconds: Option<f64>,
    at_work: u32,
    took: Option<Duration>,
    group: Option<String>,
    name: String,
    node: String,
}

impl<'d> InstanceLives<'d> {
    fn follow(&mut self, row: &'d PodRow, happened_seconds: f64) {
        let Ok(state) = row.to.parse::<State>() else { return };
        let next = self.begun.len();
        let at = *self.by_uid.entry(&row.uid).or_insert(next);
        if at == next {
            // Of one that was first seen with all of its memory nobody knows when it was made.
            let made_seconds = (state != State::Ready).then_some(happened_seconds);
            self.begun.push(StartedInstance {
                step: row.step,
                made_seconds,
                at_work: self.population.running_now(),
                took: None,
                group: row.group.clone(),
                name: row.instance.clone(),
                node: String::new(),
            });
        }
        self.population.follow(row);
        let Some(life) = self.begun.get_mut(at) else { return };
        if let Some(node) = &row.node {
            life.node.clone_from(node);
        }
        let Some(made_seconds) = life.made_seconds else { return };
        // A startup during which the machine that records was suspended took longer than until then.
        let asleep = self.clock.and_then(|clock| clock.suspended_within(made_seconds, row.elapsed_seconds));
        let seconds = asleep.unwrap_or(happened_seconds) - made_seconds;
        let over = matches!(state, State::Terminating | State::Evicted | State::Gone);
        if life.took.is_none() && (state == State::Ready || over) {
            life.took = Some(Duration { seconds, ended: state == State::Ready && asleep.is_none() });
        }
    }

    /// What is still under way when the data ends takes longer than that.
    fn startups(self, end: f64, is_cut_short: impl Fn(u32) -> bool) -> Vec<Startup> {
        let startup = |life: StartedInstance| {
            let made_seconds = life.made_seconds?;
            let still = Duration { seconds: (end - made_seconds).max(0.0), ended: false };
            Some(Startup {
                made_seconds,
                at_work: life.at_work,
                took: life.took.unwrap_or(still),
                group: life.group,
                name: life.name,
                node: life.node,
            })
        };
        self.begun.into_iter().filter(|life| !is_cut_short(life.step)).filter_map(startup).collect()
    }
}
