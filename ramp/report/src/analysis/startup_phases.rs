//! Startup by phase: from the creation of an instance until it is ready, by the clocks of ramp, of the cluster's events, and of the
//! program.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::latency::QUARTERS;
use super::{Estimate, Unavailable, recorded, timed, unavailable};
use crate::dataset::{Dataset, Recorded};
use crate::stats::{Duration, Survival};
use ramp_format::plan::EngineKind;
use ramp_format::rows::{EventRow, PodRow};
use ramp_format::running_count::PeakCounts;
use ramp_format::state::State;

mod node_clock;

use node_clock::NodeClocks;
pub use node_clock::{ClockBound, IN_STEP_SECONDS};

/// A phase of the start of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartupPhase {
    /// Until it has a node.
    Schedule,
    /// Until its sandbox is ready.
    Sandbox,
    /// Until its container is started, pulling its image included.
    Container,
    /// Until the first instruction of its program.
    Program,
    /// Until it holds all of its memory.
    Memory,
    /// Until it is seen to be ready.
    Ready,
}

impl StartupPhase {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Schedule, Self::Sandbox, Self::Container, Self::Program, Self::Memory, Self::Ready];

    /// Its name, in JSON and on charts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Sandbox => "sandbox",
            Self::Container => "container",
            Self::Program => "program",
            Self::Memory => "memory",
            Self::Ready => "ready",
        }
    }

    /// The moment at which it ends.
    #[must_use]
    pub fn end(self) -> &'static str {
        match self {
            Self::Schedule => "scheduled",
            Self::Sandbox => "sandbox ready",
            Self::Container => "container started",
            Self::Program => "program started",
            Self::Memory => "memory held",
            Self::Ready => "ready",
        }
    }

    pub(super) fn at(self) -> usize {
        self as usize
    }
}

/// The moment before the first phase.
const CREATED: &str = "created";
/// Moments of an instance: its creation, and the end of each phase.
const MOMENTS: usize = StartupPhase::ALL.len() + 1;

/// When an instance came to a moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
enum Moment {
    /// It was not reached.
    #[default]
    NotReached,
    /// It was reached, and nothing tells exactly when.
    Unknown(&'static str),
    /// So many microseconds after the run began.
    At(i64),
}

impl Moment {
    fn at(seconds: f64) -> Self {
        Self::At((seconds * 1e6).round() as i64)
    }

    fn seconds(&self) -> Option<f64> {
        match self {
            Self::At(microseconds) => Some(*microseconds as f64 / 1e6),
            _ => None,
        }
    }
}

/// What an instance took for each phase.
#[derive(Clone, Debug, PartialEq)]
pub struct InstancePhases {
    /// Its group, in a mixed run.
    pub group: Option<String>,
    /// Instances running when it was made.
    pub at_work: u32,
    /// Each phase that it came to and whose times are known.
    pub took: [Option<Duration>; StartupPhase::ALL.len()],
    /// Why a phase that it went through is not known.
    pub unknown: [Option<&'static str>; StartupPhase::ALL.len()],
}

/// A phase in all instances of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseFacts {
    /// Which one.
    pub phase: StartupPhase,
    /// The moment at which it begins.
    pub from: &'static str,
    /// Whose clocks it is by.
    pub clock: &'static str,
    /// How exact a time of one instance is, in seconds: later than it was by no more than this, but for what is taken to be unknown.
    pub resolution_seconds: f64,
    /// Why it is not known of any instance.
    pub missing: Option<String>,
}

/// Startup by phase of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StartupPhases {
    /// Each phase.
    pub phases: Vec<PhaseFacts>,
    /// Each instance, in the order in which they were made.
    pub instances: Vec<InstancePhases>,
    /// How many instances there are at saturation, or at most.
    pub full: u32,
    /// How far the clocks of the nodes are known to be from the recorder's.
    pub clocks: BTreeMap<String, ClockBound>,
}

/// A phase at one level of load.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseLevel {
    /// Least instances running at the creation.
    pub from: u32,
    /// Upper bound, exclusive; none if unbounded.
    pub to: Option<u32>,
    /// Share that takes longer than a time.
    pub survival: Survival,
}

/// A phase is a figure of a run where it is known of at least this share of the instances that went through it.
const KNOWN_SHARE: f64 = 0.5;
/// Of a mean at most this share may have been watched without coming to an end.
const LEFT_SHARE: f64 = 0.1;

impl StartupPhases {
    /// What is known of a phase.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn facts(&self, phase: StartupPhase) -> Estimate<&PhaseFacts> {
        let facts = self.phases.get(phase.at()).ok_or_else(|| Unavailable("no such phase".into()))?;
        match &facts.missing {
            Some(why) => unavailable(why.clone()),
            None => Ok(facts),
        }
    }

    /// What a phase took in instances of a group, or in all.
    ///
    /// # Errors
    /// Where it is known of too few.
    pub fn durations(&self, phase: StartupPhase, group: Option<&str>) -> Estimate<Vec<Duration>> {
        self.facts(phase)?;
        let own = || self.instances.iter().filter(|one| group.is_none() || one.group.as_deref() == group);
        let known: Vec<Duration> = own().filter_map(|one| one.took[phase.at()]).collect();
        let unknown = own().filter_map(|one| one.unknown[phase.at()]).count();
        let all = known.len() + unknown;
        if all == 0 {
            return unavailable("no instance came to it");
        }
        if (known.len() as f64) < KNOWN_SHARE * all as f64 {
            let why = self.why_unknown(phase).unwrap_or_default();
            return unavailable(format!("known of {} of {all} instances: {why}", known.len()));
        }
        Ok(known)
    }

    /// Instances of which a phase is not known although they went through it.
    #[must_use]
    pub fn unknown(&self, phase: StartupPhase) -> usize {
        self.instances.iter().filter(|one| one.unknown[phase.at()].is_some()).count()
    }

    /// The most frequent reason why a phase of an instance is not known.
    #[must_use]
    pub fn why_unknown(&self, phase: StartupPhase) -> Option<&'static str> {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for why in self.instances.iter().filter_map(|one| one.unknown[phase.at()]) {
            *counts.entry(why).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(why, _)| why)
    }

    /// The mean of a phase in instances of a group, or in all: not biased where times are in whole seconds, as a median is.
    ///
    /// # Errors
    /// Where it is known of too few.
    pub fn mean(&self, phase: StartupPhase, group: Option<&str>) -> Estimate<f64> {
        let durations = self.durations(phase, group)?;
        mean(&durations, phase)
    }

    /// A phase of all instances together.
    ///
    /// # Errors
    /// Where it is known of too few.
    pub fn survival(&self, phase: StartupPhase) -> Estimate<Survival> {
        let durations = self.durations(phase, None)?;
        Survival::of(&durations).map_or_else(|| unavailable("no instance came to it"), Ok)
    }

    /// A phase by load level.
    #[must_use]
    pub fn levels(&self, phase: StartupPhase) -> Vec<PhaseLevel> {
        let edge =
            |quarter: u32| (f64::from(self.full) * f64::from(quarter) / f64::from(QUARTERS)).round() as u32;
        let level = |quarter: u32| {
            let (from, to) = (edge(quarter), (quarter < QUARTERS).then(|| edge(quarter + 1)));
            let within = |at: u32| at >= from && to.is_none_or(|to| at < to);
            let own = self.instances.iter().filter(|one| within(one.at_work));
            let took: Vec<Duration> = own.filter_map(|one| one.took[phase.at()]).collect();
            Some(PhaseLevel { from, to, survival: Survival::of(&took)? })
        };
        (0..=QUARTERS).filter_map(level).collect()
    }
}

fn mean(durations: &[Duration], phase: StartupPhase) -> Estimate<f64> {
    let Some(survival) = Survival::of(durations) else { return unavailable("no instance came to it") };
    let Some(limit) = survival.known_until() else {
        // All of them have come to their end, and a time may be below 0 by the resolution.
        return Ok(durations.iter().map(|took| took.seconds).sum::<f64>() / durations.len() as f64);
    };
    if survival.left_at(limit) > LEFT_SHARE {
        let (end, left) = (phase.end(), survival.censored);
        return unavailable(format!(
            "{left} of {} instances were not seen to come to its end ({end})",
            survival.count
        ));
    }
    Ok(survival.restricted_mean(limit))
}

/// Startup by phase. `full` is how many instances there are at saturation.
///
/// # Errors
/// Where the data does not tell of instances one by one.
pub fn startup_phases(data: &Dataset, full: u32) -> Estimate<StartupPhases> {
    let recorded = recorded(data)?;
    if recorded.pods.is_empty() {
        return unavailable("no instance was observed");
    }
    timed(recorded)?;
    let mut lives = Lives::of(recorded);
    let sources = Sources::of(recorded);
    let clocks = lives.clocks(data, recorded);
    lives.add_reports(&clocks);
    lives.add_events(recorded, &sources, &clocks);
    let is_cut_short = |step: u32| {
        recorded.run.plan.search.is_some()
            && data.steps.iter().any(|row| row.step == step && row.level_held == Some(false))
    };
    let own = lives.all.iter().filter(|life| !is_cut_short(life.step));
    let instances: Vec<InstancePhases> =
        own.map(|life| life.phases(&sources, data.end_seconds(), recorded)).collect();
    let phases = StartupPhase::ALL.iter().map(|phase| sources.facts(*phase, &instances, &clocks)).collect();
    Ok(StartupPhases { phases, instances, full, clocks: clocks.bounds })
}

/// Which moments the engine of a run tells.
struct Sources {
    engine: EngineKind,
    /// Events of the kubelet, by the name of the pod.
    has_events: bool,
    has_condition: bool,
}

/// Reasons of events that follow upon a sandbox that is ready.
const AFTER_SANDBOX: [&str; 3] = ["Pulling", "Pulled", "Created"];
const STARTED: &str = "Started";
/// The condition of a pod whose sandbox is ready, from Kubernetes 1.29 on and before; ramp notes when it sees it turn true.
const CONDITIONS: [&str; 2] = ["PodReadyToStartContainers", "PodHasNetwork"];

/// Not seen.
const NO_EVENT: &str = "the kubelet's event did not arrive";
const LATE_EVENT: &str = "the kubelet's event arrived late";
const NO_REPORT: &str = "the program did not report";
const SEEN_LATE: &str = "seen late";
const CLOCK: &str = "the clock of the node was set or drifts, or those of guests differ";

impl Sources {
    fn of(recorded: &Recorded) -> Self {
        let of_pods = || recorded.events.iter().filter(|row| row.object.starts_with("pod/"));
        let has_events = of_pods().any(|row| AFTER_SANDBOX.contains(&row.reason.as_str()));
        let has_condition = of_pods().any(|row| CONDITIONS.contains(&row.reason.as_str()));
        Self { engine: recorded.run.plan.engine, has_events, has_condition }
    }

    /// Whether the engine has a moment at all.
    fn tells(&self, moment: usize) -> bool {
        match moment {
            0 | 3.. => true,
            1 => matches!(self.engine, EngineKind::Kubernetes | EngineKind::Simulated),
            _ => self.has_events || self.has_condition,
        }
    }

    /// Whether the start of a container is told by an event, and not by the state of the instance.
    fn has_started_events(&self) -> bool {
        self.engine == EngineKind::Kubernetes || self.has_events
    }

    fn facts(&self, phase: StartupPhase, instances: &[InstancePhases], clocks: &NodeClocks) -> PhaseFacts {
        let at = phase.at();
        let from = (0..=at).rev().find(|moment| self.tells(*moment)).unwrap_or(0);
        let name = |moment: usize| match moment.checked_sub(1).and_then(|phase| StartupPhase::ALL.get(phase))
        {
            Some(phase) => phase.end(),
            None => CREATED,
        };
        let known = instances.iter().any(|one| one.took[at].is_some());
        let engine = self.engine;
        let missing = if !self.tells(at + 1) {
            Some(match engine {
                EngineKind::Kubernetes => "no events of the kubelet were recorded".to_owned(),
                _ => format!("not told by engine {engine}"),
            })
        } else if known {
            None
        } else {
            let why = instances.iter().find_map(|one| one.unknown[at]);
            Some(why.unwrap_or("no instance came to it").to_owned())
        };
        let events = self.has_started_events();
        let (clock, resolution_seconds) = match phase {
            StartupPhase::Schedule => ("ramp's: when its watch saw the change", WATCH_SECONDS),
            StartupPhase::Sandbox if self.has_events => {
                ("ramp's: when the kubelet's event after the sandbox arrived", EVENT_SECONDS)
            }
            StartupPhase::Sandbox => {
                ("ramp's: when its watch saw the condition of the pod", CONDITION_SECONDS)
            }
            StartupPhase::Container if events => ("ramp's: when the kubelet's events arrived", EVENT_SECONDS),
            StartupPhase::Container => ("ramp's: when it saw the container run", WATCH_SECONDS),
            StartupPhase::Program => {
                ("ramp's, then the node's by the program's report", EVENT_SECONDS + clocks.width())
            }
            StartupPhase::Memory => ("the program's own", PROGRAM_SECONDS),
            StartupPhase::Ready => {
                ("the node's by the program's report, then ramp's", EVENT_SECONDS + clocks.width())
            }
        };
        PhaseFacts { phase, from: name(from), clock, resolution_seconds, missing }
    }
}

/// How much later than it happened a change is seen by a watch that is not busy.
const WATCH_SECONDS: f64 = 0.02;
/// The same for an event of a kubelet, which is sent after the fact and not in order with changes.
const EVENT_SECONDS: f64 = 0.05;
/// A kubelet updates the status of a pod once a second.
const CONDITION_SECONDS: f64 = 1.0;
/// Times in reports.
const PROGRAM_SECONDS: f64 = 0.001;
/// An event of a kubelet is dated in whole seconds: what arrives later than this after its date is late.
const LATE_SECONDS: f64 = 1.0 + 2.0 * EVENT_SECONDS;
/// Reports of one program agree on when it started.
const SAME_PROGRAM_SECONDS: f64 = 0.5;

/// An instance, from its creation until it is ready or over.
#[derive(Default)]
struct Life {
    step: u32,
    group: Option<String>,
    node: Option<String>,
    at_work: u32,
    moments: [Moment; MOMENTS],
    /// When its container was seen to run.
    running: Moment,
    /// When it was evicted, killed or removed before it was ready.
    over: Option<f64>,
    /// There was no node with room for it: how long it waited is no time of its start.
    waited: bool,
    /// Nothing more of it is of its start.
    is_done: bool,
    /// When its program started, by its node's clock in seconds since 1970.
    program: Option<f64>,
    /// How long after that it held its memory.
    held: Option<f64>,
}

struct Lives<'d> {
    all: Vec<Life>,
    by_uid: HashMap<&'d str, usize>,
    by_name: HashMap<&'d str, usize>,
}

impl<'d> Lives<'d> {
    fn of(recorded: &'d Recorded) -> Self {
        let mut lives = Self { all: Vec::new(), by_uid: HashMap::new(), by_name: HashMap::new() };
        let mut population = PeakCounts::default();
        for (row, happened) in recorded.pods.iter().zip(&recorded.happened_seconds) {
            lives.follow(row, *happened, &mut population);
        }
        for report in &recorded.reports.reports {
            let uid = recorded.reports.uids.get(report.instance as usize);
            let Some(at) = uid.and_then(|uid| lives.by_uid.get(uid.as_str())) else { continue };
            let Some(life) = lives.all.get_mut(*at) else { continue };
            let Some(elapsed) = report.program_elapsed_seconds else { continue };
            let Some(made) = report.made_seconds else { continue };
            let program = *life.program.get_or_insert(made - elapsed);
            if (made - elapsed - program).abs() > SAME_PROGRAM_SECONDS || life.held.is_some() {
                continue;
            }
            let held_now = report.is_ready.unwrap_or_else(|| report.is_full()).then_some(elapsed);
            life.held = report.held_after_seconds.or(held_now);
        }
        lives
    }

    fn follow(&mut self, row: &'d PodRow, happened: f64, population: &mut PeakCounts) {
        let Ok(state) = row.to.parse::<State>() else { return };
        let next = self.all.len();
        let at = *self.by_uid.entry(&row.uid).or_insert(next);
        // What was seen late is dated in whole seconds.
        let is_late = (row.elapsed_seconds - happened).abs() > 0.01;
        let moment = || if is_late { Moment::Unknown(SEEN_LATE) } else { Moment::at(row.elapsed_seconds) };
        if at == next {
            self.by_name.insert(&row.instance, at);
            let created = if state == State::Ready { Moment::Unknown(SEEN_LATE) } else { moment() };
            let mut life = Life {
                step: row.step,
                group: row.group.clone(),
                at_work: population.running_now(),
                ..Life::default()
            };
            life.moments[0] = created;
            self.all.push(life);
        }
        population.follow(row);
        let Some(life) = self.all.get_mut(at) else { return };
        if life.node.is_none() {
            life.node.clone_from(&row.node);
        }
        if life.is_done {
            return;
        }
        let mut reach = |index: usize, moment: Moment| {
            if life.moments[index] == Moment::NotReached {
                life.moments[index] = moment;
            }
        };
        match state {
            State::Pending => {}
            State::Unschedulable => life.waited = true,
            State::Creating => reach(1, moment()),
            State::Running | State::Ready => {
                reach(1, Moment::Unknown(SEEN_LATE));
                if life.running == Moment::NotReached {
                    life.running =
                        if state == State::Running { moment() } else { Moment::Unknown(SEEN_LATE) };
                }
                if state == State::Ready {
                    life.moments[MOMENTS - 1] = moment();
                    life.is_done = true;
                }
            }
            State::OomKilled | State::Failed | State::Evicted | State::Terminating | State::Gone => {
                life.over = Some(happened);
                life.is_done = true;
            }
        }
    }

    /// How far the clock of each node is from ramp's: its samples and reports arrive after they were made, and programs start after their
    /// instance had its node.
    fn clocks(&self, data: &Dataset, recorded: &Recorded) -> NodeClocks {
        let began = recorded.run.begin.0;
        let began = began.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut clocks = NodeClocks { began, bounds: BTreeMap::new() };
        for node in &data.nodes {
            let arrived =
                node.samples.iter().filter_map(|sample| sample.elapsed_seconds.zip(sample.taken_seconds));
            arrived.for_each(|(seen, taken)| clocks.seen(&node.name, seen, taken));
        }
        for report in &recorded.reports.reports {
            let uid = recorded.reports.uids.get(report.instance as usize);
            let life = uid.and_then(|uid| self.all.get(*self.by_uid.get(uid.as_str())?));
            let Some((node, made)) = life.and_then(|life| life.node.as_deref()).zip(report.made_seconds)
            else {
                continue;
            };
            clocks.seen(node, report.elapsed_seconds, made);
        }
        let mut placed: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for life in &self.all {
            let at = life.moments[1].seconds().or(life.moments[0].seconds());
            if let (Some(node), Some(at), Some(program)) = (&life.node, at, life.program) {
                placed.entry(node).or_default().push((at - WATCH_SECONDS, program));
            }
        }
        placed.into_iter().for_each(|(node, pairs)| clocks.before(node, pairs));
        clocks
    }

    fn add_reports(&mut self, clocks: &NodeClocks) {
        for life in &mut self.all {
            let moment =
                |program: f64| match life.node.as_deref().and_then(|node| clocks.by_ramp(node, program)) {
                    Some(seconds) => Moment::at(seconds),
                    None => Moment::Unknown(CLOCK),
                };
            if let Some(program) = life.program {
                life.moments[4] = moment(program);
                if let Some(held) = life.held {
                    life.moments[5] = moment(program + held);
                }
            }
        }
    }

    fn add_events(&mut self, recorded: &Recorded, sources: &Sources, clocks: &NodeClocks) {
        let beside = beside(recorded);
        for row in &recorded.events {
            let Some(at) = row.object.strip_prefix("pod/").and_then(|name| self.by_name.get(name)) else {
                continue;
            };
            let Some(life) = self.all.get_mut(*at) else { continue };
            let index = match row.reason.as_str() {
                reason if sources.has_events && AFTER_SANDBOX.contains(&reason) => 2,
                reason if !sources.has_events && CONDITIONS.contains(&reason) => 2,
                STARTED if !beside.iter().any(|name| row.message.ends_with(&format!(" {name}"))) => 3,
                _ => continue,
            };
            if life.moments[index] == Moment::NotReached {
                life.moments[index] = life.arrival(row, index, clocks);
            }
        }
        if !sources.has_started_events() {
            for life in &mut self.all {
                life.moments[3] = life.running.clone();
            }
        }
    }
}

/// Containers of the pods that are not the load's own: sidecars, and init containers.
fn beside(recorded: &Recorded) -> Vec<String> {
    let init = recorded.run.manifest.pointer("/spec/template/spec/initContainers");
    let init = init.and_then(Value::as_array).into_iter().flatten();
    let init = init.filter_map(|container| Some(container.get("name")?.as_str()?.to_owned()));
    recorded.sidecars().into_iter().map(|sidecar| sidecar.container).chain(init).collect()
}

impl Life {
    /// When an event of the kubelet happened, by its arrival, unless that was late: by its own date, or later than what follows upon it.
    fn arrival(&self, row: &EventRow, index: usize, clocks: &NodeClocks) -> Moment {
        let arrived = row.elapsed_seconds;
        let dated = row.source_time.zip(self.node.as_deref()).and_then(|(time, node)| {
            let seconds = time.0.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64();
            clocks.by_ramp(node, seconds)
        });
        let is_condition = CONDITIONS.contains(&row.reason.as_str());
        let late_by = if is_condition { LATE_SECONDS + CONDITION_SECONDS } else { LATE_SECONDS };
        let is_late = dated.is_some_and(|dated| arrived > dated + late_by);
        let follows = match index {
            2 => self.moments[4].seconds(),
            _ => self.running.seconds(),
        };
        if is_late || follows.is_some_and(|follows| arrived > follows + EVENT_SECONDS) {
            return Moment::Unknown(LATE_EVENT);
        }
        Moment::at(arrived)
    }

    fn phases(&self, sources: &Sources, end: f64, recorded: &Recorded) -> InstancePhases {
        let mut took = [None; StartupPhase::ALL.len()];
        let mut unknown = [None; StartupPhase::ALL.len()];
        let told: Vec<usize> = (0..MOMENTS).filter(|moment| sources.tells(*moment)).collect();
        let asleep = |from: f64, to: f64| {
            recorded.run.clock.as_ref().is_some_and(|clock| clock.suspended_within(from, to).is_some())
        };
        let is_reached = |moment: usize| {
            let later = told.iter().filter(|at| **at >= moment);
            let mut later = later.map(|at| &self.moments[*at]);
            later.any(|moment| *moment != Moment::NotReached)
                || moment <= 3 && self.running != Moment::NotReached
        };
        for pair in told.windows(2) {
            let [from, to] = pair else { continue };
            let phase = to - 1;
            if !is_reached(*from) || self.waited && *from == 0 {
                continue;
            }
            let Some(begin) = self.moments[*from].seconds() else {
                unknown[phase] = Some(self.why(*from));
                continue;
            };
            let found = if let Some(at) = self.moments[*to].seconds() {
                Duration { seconds: at - begin, ended: true }
            } else if is_reached(*to) {
                unknown[phase] = Some(self.why(*to));
                continue;
            } else {
                Duration { seconds: (self.over.unwrap_or(end) - begin).max(0.0), ended: false }
            };
            if asleep(begin, begin + found.seconds) {
                unknown[phase] = Some("the recording machine was suspended meanwhile");
            } else {
                took[phase] = Some(found);
            }
        }
        InstancePhases { group: self.group.clone(), at_work: self.at_work, took, unknown }
    }

    /// Why a moment that was reached is not known.
    fn why(&self, moment: usize) -> &'static str {
        match (&self.moments[moment], moment) {
            (Moment::Unknown(why), _) => why,
            (_, 2 | 3) => NO_EVENT,
            (_, 4 | 5) => NO_REPORT,
            _ => SEEN_LATE,
        }
    }
}

#[cfg(test)]
mod tests;
