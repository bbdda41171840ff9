//! Blockage: instances that cannot start for a reason that does not pass by itself, and for how long nothing else has progressed.
//!
//! Want of memory or CPU is no such reason: that is saturation, for which others look. Another resource of a node that is exhausted (PIDs,
//! inotify, pod addresses, …) is one: no instance can be created there, and nothing else tells.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use ramp_format::rows::LimitRow;
use ramp_format::state::State;
use ramp_format::text::{count, one_line};
use ramp_report::analysis::causes::{Cause, Resource, named_in};
use ramp_report::analysis::exhaustion::{lacks_tasks, may_be_pids};
use tokio::time::Instant;

use crate::engine::{InstanceStatus, Obstacle, Rescaled};

/// An instance younger than this tells nothing yet: the next one may replace it, and with a fixed pace there is always one.
const YOUNG: Duration = Duration::from_secs(10);
/// A container that has run for this long after exits may have got past what ended it.
const RUNS_ON: Duration = Duration::from_secs(10);
/// Exits before an instance was ever ready that make a crash loop.
const CRASH_LOOP: u32 = 2;
/// A refusal counts for this long after all requested instances were there: those that a node refuses are replaced at once.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Exit status of a load that could not hold its memory, as the engines write it.
const NOT_HELD: [&str; 3] = ["exit 3", "exit status 3", "(exit status 3)"];
/// Characters of a reason that are shown, from its beginning and from its end: events.csv has the whole.
const REASON_CHARS: [usize; 2] = [120, 150];
/// Kinds of reasons announced in a run.
const KINDS: usize = 50;
/// An instance that is not ready and in one state for this long is told, with what it waits for.
const WAITS_LONG: Duration = Duration::from_secs(30);

/// For how long a reading of a limit of a node counts.
const LIMIT_COUNTS: Duration = Duration::from_secs(45);

/// Words of errors that overloaded nodes and API servers give, and of nodes that may be back soon.
const PASSING: [&str; 9] = [
    "deadline exceeded",
    "timed out",
    "timeout",
    "temporarily unavailable",
    "context canceled",
    "not registered",
    "is reserved for",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

/// What keeps requested instances from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blockage {
    /// Instances that cannot start.
    pub(super) instances: u32,
    /// The most frequent reason.
    pub(super) reason: String,
    /// Since when nothing else may progress; none while something may.
    pub(super) since: Option<Instant>,
}

/// Instances that exist or are requested, as far as their start is concerned.
#[derive(Debug, Default)]
pub(super) struct BlockageTracker {
    members: HashMap<String, Member>,
    /// Why requested instances are not created, or are refused by their nodes, as of that time.
    refusal: Option<(String, Instant)>,
    /// Why requested instances are not created so far, which may pass by itself, since when, and how many are absent.
    delay: Option<(String, Instant)>,
    absent: u32,
    /// What others have set the number of instances to, and when that was observed.
    rescaled: Option<(Rescaled, Instant)>,
    /// Sources that cannot be observed.
    unobserved: BTreeSet<String>,
    /// Limits on tasks of nodes that were about to be reached, by node and limit, and when that was read.
    short_of_tasks: HashMap<(String, String), Instant>,
    /// Whether an instance has become ready since the last evaluation.
    progressed: bool,
    since: Option<Instant>,
    /// Kinds of reasons of blockages, and of waits, that have been announced.
    announced: BTreeSet<String>,
    waits_announced: BTreeSet<String>,
}

/// An instance that is neither over nor terminating.
#[derive(Debug)]
struct Member {
    name: String,
    node: Option<String>,
    first_seen: Instant,
    state: State,
    state_since: Instant,
    reason: String,
    was_ready: bool,
    /// Exits before it was ever ready, and the last of them.
    exits: u32,
    last_exit: Option<(String, String)>,
    /// What the cluster told beside its status.
    obstacle: Option<String>,
    /// The same, where it may pass by itself.
    delay: Option<String>,
}

impl BlockageTracker {
    /// Takes the status of an instance. `is_news` is whether its state has changed.
    pub(super) fn see(&mut self, status: &InstanceStatus, is_news: bool, now: Instant) {
        if status.over || matches!(status.state, State::Terminating | State::Gone | State::Evicted) {
            let was_ready = self.members.remove(&status.uid).is_some_and(|member| member.was_ready);
            let is_refused = status.over && status.state == State::Failed && is_news && !was_ready;
            if is_refused && !matches!(named_in(&status.reason), Some(Cause::Others(_))) {
                self.refusal = Some((status.reason.clone(), now));
            }
            return;
        }
        let member = self.members.entry(status.uid.clone()).or_insert_with(|| Member::new(status, now));
        let was_ready = member.was_ready;
        member.see(status, now);
        self.progressed |= member.was_ready && !was_ready;
    }

    /// Takes the statuses of all instances, and the UIDs of those whose state has changed.
    pub(super) fn see_all(&mut self, statuses: &[InstanceStatus], news: &HashSet<String>, now: Instant) {
        let there: HashSet<&str> = statuses.iter().map(|status| status.uid.as_str()).collect();
        self.members.retain(|uid, _| there.contains(uid.as_str()));
        for status in statuses {
            self.see(status, news.contains(&status.uid), now);
        }
    }

    /// Takes what the cluster tells beside the statuses.
    pub(super) fn obstacle(&mut self, obstacle: Obstacle, now: Instant) {
        let Obstacle { instance, reason } = obstacle;
        let passes = passes(&reason) && exhausted(&reason).is_none();
        match named_in(&reason) {
            Some(Cause::Resource(resource)) if resource.is_limit_of_node() => {}
            Some(Cause::Resource(_) | Cause::Others(_)) => return,
            _ => {}
        }
        match instance {
            None if passes => {
                let since = self.delay.take().map_or(now, |(_, since)| since);
                self.delay = Some((reason, since));
            }
            None => self.refusal = Some((reason, now)),
            Some(name) => {
                if let Some(member) = self.members.values_mut().find(|member| member.name == name) {
                    let told = if passes { &mut member.delay } else { &mut member.obstacle };
                    *told = Some(reason);
                }
            }
        }
    }

    /// A limit of a node was read.
    pub(super) fn limit(&mut self, row: &LimitRow, now: Instant) {
        let limit = (row.node.clone(), format!("{} {}", row.resource, row.source));
        if lacks_tasks(&row.resource, row.limit, row.used) {
            self.short_of_tasks.insert(limit, now);
        } else {
            self.short_of_tasks.remove(&limit);
        }
    }

    /// What the node of an instance lacks by a reason: where that does not tell, by what was read of the node's limits.
    fn lacks(&self, node: Option<&str>, reason: &str, now: Instant) -> Option<Resource> {
        let is_short = |((of, _), at): (&(String, String), &Instant)| {
            Some(of.as_str()) == node && now.duration_since(*at) < LIMIT_COUNTS
        };
        let untold = may_be_pids(reason) && self.short_of_tasks.iter().any(is_short);
        exhausted(reason).or(untold.then_some(Resource::Processes))
    }

    /// Others have set the number of requested instances, or ramp has after them.
    pub(super) fn rescaled(&mut self, rescaled: Rescaled, now: Instant) {
        self.rescaled = Some((rescaled, now));
    }

    /// A request of ramp, of that time, has set it.
    pub(super) fn scaled(&mut self, requested: Instant) {
        self.rescaled.take_if(|(_, at)| *at < requested);
    }

    /// Another number is requested: what was refused of an earlier one does not tell of it.
    pub(super) fn forget_refusal(&mut self) {
        (self.refusal, self.since) = (None, None);
    }

    /// A source of statuses cannot be observed, or can be again.
    pub(super) fn observed(&mut self, source: &str, is_observed: bool) {
        if is_observed {
            self.unobserved.remove(source);
        } else if matches!(source, "api" | "watch/pods" | "watch/containers") {
            self.unobserved.insert(source.to_owned());
        }
    }

    /// Whether a source of statuses cannot be observed.
    pub(super) fn is_unobserved(&self) -> bool {
        !self.unobserved.is_empty()
    }

    /// What is blocked now, with this many instances requested.
    pub(super) fn evaluate(&mut self, asked: u32, now: Instant) -> Option<Blockage> {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let not_requested = self.rescaled.as_ref().map_or(0, |(now, _)| asked.saturating_sub(now.instances));
        let absent = asked.saturating_sub(members).saturating_sub(not_requested);
        self.absent = absent;
        self.delay.take_if(|_| absent == 0);
        self.refusal.take_if(|(_, at)| absent == 0 && now.duration_since(*at) >= REFUSED_FOR);
        let refused = self.refusal.iter().map(|(reason, _)| (absent.max(1), reason.clone()));
        let rescaled = self.rescaled.iter().filter(|_| not_requested > 0);
        let rescaled = rescaled.map(|(now, _)| (not_requested, format!("ScaledByOthers: {}", now.by)));
        let blocked = self.members.values().filter_map(|member| {
            let reason = member.blocked(now)?;
            Some((
                1,
                match self.lacks(member.node.as_deref(), &reason, now) {
                    Some(resource) => format!("{resource} exhausted: {reason}"),
                    None => reason,
                },
            ))
        });
        let mut by_kind: BTreeMap<String, (u32, String)> = BTreeMap::new();
        for (instances, reason) in refused.chain(rescaled).chain(blocked) {
            by_kind.entry(kind(&reason).to_owned()).or_insert((0, reason)).0 += instances;
        }
        let may_progress = self.members.values().any(|member| member.may_progress(now));
        let progressed = std::mem::take(&mut self.progressed);
        self.since = match self.since {
            _ if may_progress || by_kind.is_empty() || !self.unobserved.is_empty() => None,
            Some(since) if !progressed => Some(since),
            _ => Some(now),
        };
        let instances = by_kind.values().map(|(instances, _)| instances).sum();
        let (_, reason) = by_kind.into_values().max_by_key(|(instances, _)| *instances)?;
        Some(Blockage { instances, reason: shown(&reason), since: self.since })
    }

    /// Whether an instance cannot start, or has exited before it was ever ready, which may be the first exit of a crash loop.
    pub(super) fn has_blocked(&self, now: Instant) -> bool {
        let has_failed =
            |member: &Member| member.exits > 0 && !member.was_ready && member.state == State::Failed;
        self.members.values().any(|member| member.blocked(now).is_some() || has_failed(member))
    }

    /// What instances wait for that are neither ready nor blocked; each kind once.
    pub(super) fn waiting(&mut self, now: Instant) -> Option<String> {
        let mut by_kind: BTreeMap<String, (u32, String)> = BTreeMap::new();
        let delayed = self.delay.iter().filter(|(_, since)| now.duration_since(*since) >= WAITS_LONG);
        let delayed = delayed.map(|(reason, _)| (self.absent, reason.clone()));
        let waiting = self.members.values().filter_map(|member| Some((1, member.waits_for(now)?)));
        for (instances, reason) in delayed.chain(waiting) {
            by_kind.entry(kind(&reason).to_owned()).or_insert((0, reason)).0 += instances;
        }
        by_kind.retain(|kind, _| !self.waits_announced.contains(kind));
        let (kind, (instances, reason)) = by_kind.into_iter().max_by_key(|(_, (instances, _))| *instances)?;
        let is_news = self.waits_announced.len() < KINDS && self.waits_announced.insert(kind);
        let since = WAITS_LONG.as_secs();
        let reason = shown(&reason);
        is_news
            .then(|| format!("{} not ready, unchanged for {since} s: {reason}", count(instances, "instance")))
    }

    /// Whether a kind of reason is told for the first time.
    pub(super) fn is_news(&mut self, blockage: &Blockage) -> bool {
        self.announced.len() < KINDS && self.announced.insert(kind(&blockage.reason).to_owned())
    }
}

impl Blockage {
    /// For how long nothing else may have progressed.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

impl fmt::Display for Blockage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", count(self.instances, "instance"), self.reason)
    }
}

impl Member {
    fn new(status: &InstanceStatus, now: Instant) -> Self {
        Self {
            name: status.name.clone(),
            node: None,
            first_seen: now,
            state: status.state,
            state_since: now,
            reason: String::new(),
            was_ready: false,
            exits: 0,
            last_exit: None,
            obstacle: None,
            delay: None,
        }
    }

    fn see(&mut self, status: &InstanceStatus, now: Instant) {
        if status.state != self.state {
            // What kept it from starting is over, and what a container that ran lacked does not keep the next one from starting.
            if self.state.is_at_work() || status.state.is_at_work() {
                (self.obstacle, self.delay) = (None, None);
            }
            (self.state, self.state_since) = (status.state, now);
        }
        status.reason.clone_into(&mut self.reason);
        self.node.clone_from(&status.node);
        self.was_ready |= status.state == State::Ready;
        let Some(end) = &status.end else { return };
        if self.last_exit.as_ref().is_none_or(|(container, _)| *container != end.container) {
            self.last_exit = Some((end.container.clone(), end.reason.clone()));
            // A container that was killed may have been killed for memory, and a load that exits so could not hold its memory.
            let is_own = end.state == State::Failed
                && named_in(&end.reason).is_none()
                && !NOT_HELD.iter().any(|status| end.reason.ends_with(status));
            self.exits += u32::from(is_own && !self.was_ready);
        }
    }

    /// Why it cannot start; none where it can, or did.
    fn blocked(&self, now: Instant) -> Option<String> {
        if self.was_ready {
            return None;
        }
        match self.state {
            State::Pending | State::Unschedulable | State::Failed if blocks(&self.reason) => {
                Some(self.reason.clone())
            }
            State::Creating | State::Failed if exhausted(&self.reason).is_some() => Some(self.reason.clone()),
            State::Creating if blocks(&self.reason) => Some(self.reason.clone()),
            State::Creating => self.obstacle.clone().filter(|reason| kind(reason) != UNHEALTHY),
            State::Failed => self.crash_loop(),
            State::Running if now.duration_since(self.state_since) < RUNS_ON => self.crash_loop(),
            _ => None,
        }
    }

    fn crash_loop(&self) -> Option<String> {
        let (_, reason) = self.last_exit.as_ref().filter(|_| self.exits >= CRASH_LOOP)?;
        Some(format!("CrashLoopBackOff: exited {} times before it was ready: {reason}", self.exits))
    }

    /// What it waits for, where it has been in a state before ready for long and is not blocked.
    fn waits_for(&self, now: Instant) -> Option<String> {
        if self.was_ready || now.duration_since(self.state_since) < WAITS_LONG || self.blocked(now).is_some()
        {
            return None;
        }
        match self.state {
            State::Creating | State::Unschedulable if !self.reason.is_empty() => Some(self.reason.clone()),
            State::Creating => Some(
                self.delay
                    .clone()
                    .unwrap_or_else(|| "Creating: its node has not started its container".to_owned()),
            ),
            State::Running => {
                let told = self.obstacle.clone().or(self.delay.clone());
                let unready = told.filter(|reason| kind(reason) == UNHEALTHY);
                Some(unready.unwrap_or_else(|| "Running: it does not hold all of its memory yet".to_owned()))
            }
            _ => None,
        }
    }

    /// Whether it is not blocked, and something is still to be expected of it.
    fn may_progress(&self, now: Instant) -> bool {
        let is_young = now.duration_since(self.first_seen) < YOUNG;
        let may_exit_again = self.exits > 0 && now.duration_since(self.state_since) < RUNS_ON;
        !self.state.is_settled() && !is_young && !may_exit_again && self.blocked(now).is_none()
    }
}

/// A reason, without the middle of a long one: nested errors begin with what failed and end with why.
fn shown(reason: &str) -> String {
    let reason = one_line(reason);
    let [first, last] = REASON_CHARS;
    let all: Vec<char> = reason.chars().collect();
    match all.len().checked_sub(last) {
        Some(rest) if rest > first => {
            let part = |chars: &[char]| chars.iter().collect::<String>();
            format!(
                "{} … {}",
                part(all.get(..first).unwrap_or(&all)),
                part(all.get(rest..).unwrap_or_default())
            )
        }
        _ => reason.into_owned(),
    }
}

/// Whether a reason is one that does not pass by itself.
fn blocks(reason: &str) -> bool {
    match named_in(reason) {
        // A registry that does not answer is tried again and again.
        Some(Cause::Blocked) => kind(reason) == IMAGE || !passes(reason),
        _ => false,
    }
}

/// The resource of a node, other than memory and CPU, that a reason names as exhausted.
fn exhausted(reason: &str) -> Option<Resource> {
    match named_in(reason)? {
        Cause::Resource(resource) if resource.is_limit_of_node() => Some(resource),
        _ => None,
    }
}

fn passes(reason: &str) -> bool {
    PASSING.iter().any(|word| reason.contains(word))
}

/// The reason of a probe that fails.
const UNHEALTHY: &str = "Unhealthy";

/// Reasons of one image, between which a kubelet alternates.
const IMAGE: &str = "image";

/// The kind of a reason: its first word.
fn kind(reason: &str) -> &str {
    match reason.split(':').next().unwrap_or(reason) {
        "ErrImagePull" | "ImagePullBackOff" => IMAGE,
        word => word,
    }
}

#[cfg(test)]
mod tests;
