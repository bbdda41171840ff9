//! The instances there are, and what each is: decided here, done by the [keeper](super::supervisor).

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::process::Tell;
use crate::engine::crash_loop::CrashLoopBackoff;
use crate::engine::{ContainerExit, InstanceStatus};
use ramp_format::state::State;

/// An instance.
#[derive(Debug)]
pub(super) struct ProcessInstance {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) restarts: u32,
    pub(super) end: Option<ContainerExit>,
    pub(super) phase: Phase,
    pub(super) back_off: CrashLoopBackoff,
}

/// What has happened to an instance.
#[derive(Debug)]
pub(super) enum Phase {
    /// Asked for.
    Queued,
    /// It has a process.
    AtWork(Process),
    /// Its process has been told to end.
    Ending(Process),
    /// Its process has been killed, as the budget was exceeded.
    Evicted(Process, String),
    /// Its process has ended unasked, and the next one comes then.
    Waiting { due: Instant, next: Next },
}

/// What comes after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another process of the same instance.
    Process,
    /// Another instance.
    Instance,
}

/// The process of an instance.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Option<u32>,
    pub(super) tell: mpsc::Sender<Tell>,
    pub(super) started: Instant,
    /// OOM kills in its cgroup before it was started.
    pub(super) oom_kills: Option<u64>,
}

impl Phase {
    /// The process there is, told to end or not.
    pub(super) fn process(&self) -> Option<&Process> {
        match self {
            Self::AtWork(process) | Self::Ending(process) | Self::Evicted(process, _) => Some(process),
            Self::Queued | Self::Waiting { .. } => None,
        }
    }
}

impl ProcessInstance {
    /// As it is seen, on the only node there is.
    pub(super) fn instance_status(
        &self,
        node: &str,
        state: State,
        reason: String,
        now: SystemTime,
    ) -> InstanceStatus {
        InstanceStatus {
            uid: self.uid.clone(),
            name: self.name.clone(),
            node: Some(node.to_owned()),
            state,
            since: Some(now),
            reason,
            restarts: self.restarts,
            end: self.end.clone(),
            // One that was evicted keeps its place until another one takes it, which may be long after.
            over: state == State::Gone,
        }
    }

    /// Takes note of how its process has ended.
    pub(super) fn has_ended(&mut self, state: State, reason: String, now: SystemTime) {
        let container = format!("{}/{}", self.uid, self.restarts);
        self.end = Some(ContainerExit { container, state, at: Some(now), reason });
    }
}

/// All instances by their number, the newest last.
#[derive(Debug)]
pub(super) struct ProcessPopulation {
    pub(super) all: BTreeMap<u64, ProcessInstance>,
    /// Of the newest.
    last: u64,
    /// What names begin with.
    name: String,
    /// What ids begin and end with.
    run: String,
    begun_ms: u128,
}

impl ProcessPopulation {
    /// Nobody yet. What begins at another time has other ids.
    pub(super) fn new(name: &str, run: &str, begun: SystemTime) -> Self {
        let since = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            all: BTreeMap::new(),
            last: 0,
            name: name.into(),
            run: run.into(),
            begun_ms: since.as_millis(),
        }
    }

    /// A new one.
    pub(super) fn add(&mut self, back_off: CrashLoopBackoff) -> &ProcessInstance {
        self.last += 1;
        let ordinal = self.last;
        let instance = ProcessInstance {
            uid: format!("{}-{ordinal:04}-{}", self.run, self.begun_ms),
            name: format!("{}-{ordinal:04}", self.name),
            restarts: 0,
            end: None,
            phase: Phase::Queued,
            back_off,
        };
        self.all.entry(ordinal).or_insert(instance)
    }

    /// Those that are to stay, the oldest first.
    pub(super) fn staying(&self) -> impl DoubleEndedIterator<Item = (u64, &ProcessInstance)> {
        let staying = self.all.iter().filter(|(_, instance)| !matches!(instance.phase, Phase::Ending(_)));
        staying.map(|(ordinal, instance)| (*ordinal, instance))
    }

    /// The next one to get a process, or to be replaced: the oldest that is due.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        let is_due = |instance: &ProcessInstance| match instance.phase {
            Phase::Queued => true,
            Phase::Waiting { due, .. } => due <= now,
            _ => false,
        };
        self.all.iter().find(|(_, instance)| is_due(instance)).map(|(ordinal, _)| *ordinal)
    }

    /// When the next one of those that wait is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |instance: &ProcessInstance| match instance.phase {
            Phase::Waiting { due, .. } => Some(due),
            _ => None,
        };
        self.all.values().filter_map(due).min()
    }

    /// Whether none has a process.
    pub(super) fn is_at_rest(&self) -> bool {
        self.all.values().all(|instance| instance.phase.process().is_none())
    }
}

/// How a process has ended that was not told to: its state and why. `oom_kills` are those in its cgroup before and
/// after; without a cgroup nobody knows.
pub(super) fn verdict(status: ExitStatus, oom_kills: (Option<u64>, Option<u64>)) -> (State, String) {
    let reason = how(status);
    let was_killed = status.signal() == Some(Signal::SIGKILL as i32);
    match oom_kills {
        (Some(before), Some(after)) if was_killed && after > before => {
            (State::OomKilled, format!("OOMKilled, {reason}"))
        }
        (None, None) if was_killed => {
            (State::Failed, format!("{reason}; without a cgroup it is not known by whom"))
        }
        _ => (State::Failed, reason),
    }
}

/// `exit status 3`, `signal SIGKILL`.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// For how long it has run.
pub(super) fn ran(process: &Process, now: Instant) -> Duration {
    now.saturating_duration_since(process.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGKILL: i32 = 9;

    #[test]
    fn killed_while_oom_kills_rose_is_an_oom_kill_and_nothing_else_is() {
        let status = ExitStatus::from_raw;
        let exited = |code: i32| status(code << 8);
        let of = |status, before, after| verdict(status, (before, after)).0;
        assert_eq!(of(status(SIGKILL), Some(2), Some(3)), State::OomKilled);
        assert_eq!(of(status(SIGKILL), Some(2), Some(2)), State::Failed, "somebody else's SIGKILL");
        assert_eq!(of(exited(3), Some(2), Some(3)), State::Failed, "one of its own children was killed");
        assert_eq!(of(status(SIGKILL), None, Some(3)), State::Failed, "what it was before is not known");
        let (state, reason) = verdict(status(SIGKILL), (None, None));
        assert_eq!((state, reason.contains("not known")), (State::Failed, true));
        assert_eq!((how(exited(3)), how(status(15))), ("exit status 3".into(), "signal SIGTERM".into()));
        assert_eq!(how(status(40)), "signal 40", "a real-time signal");
    }

    #[test]
    fn ids_are_of_one_run_and_one_beginning_and_names_count_up() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let mut population = ProcessPopulation::new("load", "r1", begun);
        let names: Vec<_> =
            (0..2).map(|_| population.add(CrashLoopBackoff::default()).name.clone()).collect();
        assert_eq!(names, ["load-0001", "load-0002"]);
        assert_eq!(population.all[&2].uid, "r1-0002-1500");
        population.all.clear();
        assert_eq!(population.add(CrashLoopBackoff::default()).name, "load-0003", "no name comes twice");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_that_is_due_comes_first() {
        let mut population = ProcessPopulation::new("load", "r1", SystemTime::UNIX_EPOCH);
        for _ in 0..3 {
            population.add(CrashLoopBackoff::default());
        }
        let (now, pause) = (Instant::now(), Duration::from_secs(10));
        let waiting = Phase::Waiting { due: now + pause, next: Next::Process };
        population.all.get_mut(&1).unwrap().phase = waiting;
        assert_eq!((population.due(now), population.next_due()), (Some(2), Some(now + pause)));
        assert_eq!(population.due(now + pause), Some(1));
        assert!(population.is_at_rest());
    }
}
