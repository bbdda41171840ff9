//! One instance: its container, what is known of it, and what is to be done for it next.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::inspect::{ContainerActivity, InspectedContainer};
use super::kernel_log::KernelLog;
use super::log_reader::{self, LogFormat};
use crate::backoff::Backoff;
use crate::engine::crash_loop::CrashLoopBackoff;
use crate::engine::{ContainerExit, InstanceStatus};
use ramp_format::state::State;

/// The first and the longest pause before a container that could not be created, started or removed is tried again.
const REQUESTS_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What time it is, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct BothClocks {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct PodmanInstance {
    pub(super) uid: String,
    pub(super) name: String,
    /// The container's, once there is one.
    pub(super) id: Option<String>,
    pub(super) state: State,
    since: Option<SystemTime>,
    reason: String,
    /// It is to go.
    pub(super) leaving: bool,
    /// Something is being done for it.
    pub(super) busy: bool,
    /// When the next thing is to be done for it.
    pub(super) due: Option<Instant>,
    /// Failures of requests for it in a row.
    pub(super) pauses: Backoff,
    /// The latest question whose answer is known here: older answers are stale.
    pub(super) asked: u64,
    /// Which of its container's lives is the latest known ([`InspectedContainer::life`]), and who lives it.
    pub(super) life: Option<String>,
    pid: Option<i64>,
    restarts: u32,
    restarting: CrashLoopBackoff,
    end: Option<ContainerExit>,
    /// When the engine said that memory was short in it.
    pub(super) out_of_memory_at: Option<SystemTime>,
    pub(super) read_at: Option<Instant>,
    pub(super) reading: bool,
    reported_at: Option<SystemTime>,
}

impl PodmanInstance {
    /// One that is to be.
    pub(super) fn new(name: String, uid: String, now: BothClocks) -> Self {
        Self {
            uid,
            name,
            id: None,
            state: State::Pending,
            since: Some(now.time),
            reason: String::new(),
            leaving: false,
            busy: false,
            due: Some(now.instant),
            pauses: Backoff::new(REQUESTS_AGAIN.0, REQUESTS_AGAIN.1),
            asked: 0,
            life: None,
            pid: None,
            restarts: 0,
            restarting: CrashLoopBackoff::default(),
            end: None,
            out_of_memory_at: None,
            read_at: None,
            reading: false,
            reported_at: None,
        }
    }

    /// As it is now.
    pub(super) fn instance_status(&self, node: Option<&str>) -> InstanceStatus {
        InstanceStatus {
            uid: self.uid.clone(),
            name: self.name.clone(),
            node: node.map(str::to_owned),
            state: self.state,
            since: self.since,
            reason: self.reason.clone(),
            restarts: self.restarts,
            end: self.end.clone(),
            // All that end are started again.
            over: self.state == State::Gone,
        }
    }

    /// Whether that is another state than before.
    pub(super) fn become_state(&mut self, state: State, since: Option<SystemTime>, reason: &str) -> bool {
        if self.state == state && self.reason == reason {
            return false;
        }
        self.state = state;
        self.since = since;
        reason.clone_into(&mut self.reason);
        true
    }

    /// Takes what was seen of its container, as the answer to question `asked`. Whether anything has changed.
    pub(super) fn see(
        &mut self,
        seen: &InspectedContainer,
        asked: u64,
        telling: &LogFormat,
        log: &mut KernelLog,
        now: BothClocks,
    ) -> bool {
        if asked <= self.asked {
            return false;
        }
        self.asked = asked;
        self.id = Some(seen.id.clone());
        match seen.doing {
            _ if self.leaving => false,
            ContainerActivity::Running => self.runs(seen, telling),
            ContainerActivity::Ended => self.has_ended(seen, log, now),
            ContainerActivity::Created => {
                self.due = self.due.or((!self.busy).then_some(now.instant));
                false
            }
            ContainerActivity::Leaving => {
                self.become_state(State::Terminating, Some(now.time), "removed by someone else")
            }
        }
    }

    /// Takes note of another life of its container.
    fn lives(&mut self, seen: &InspectedContainer) -> bool {
        let life = Some(seen.life());
        if self.life == life {
            return false;
        }
        self.restarts += u32::from(self.life.is_some());
        self.life = life;
        self.pid = seen.pid;
        self.read_at = None;
        true
    }

    fn runs(&mut self, seen: &InspectedContainer, telling: &LogFormat) -> bool {
        self.due = None;
        if !self.lives(seen) {
            return false;
        }
        let state = if telling.running_is_ready() { State::Ready } else { State::Running };
        self.become_state(state, seen.started_at(), "");
        true
    }

    fn has_ended(&mut self, seen: &InspectedContainer, log: &mut KernelLog, now: BothClocks) -> bool {
        self.lives(seen);
        let life = seen.life();
        if self.end.as_ref().is_some_and(|end| end.container == life) {
            self.due = self.due.or((!self.busy).then_some(now.instant));
            return false;
        }
        let started = seen.started_at();
        let told = self.out_of_memory_at.is_some_and(|at| started.is_none_or(|started| at >= started));
        let end = seen.end(told, self.pid, log);
        let length = started.zip(end.at).and_then(|(started, ended)| ended.duration_since(started).ok());
        self.due = Some(now.instant + self.restarting.after_end(length.unwrap_or_default()));
        let (state, at, reason) = (end.state, end.at.or(Some(now.time)), end.reason.clone());
        self.end = Some(end);
        self.become_state(state, at, &reason);
        true
    }

    /// Takes a record that its container has written: whether it is a new one, and whether the state has changed.
    pub(super) fn report(&mut self, record: &Map<String, Value>, telling: &LogFormat) -> (bool, bool) {
        let time = log_reader::time(record);
        let ended = self.end.as_ref().and_then(|end| end.at);
        // The log goes on over restarts: what was said before the last end is about another life.
        let of_this_life = ended.is_none_or(|ended| time.is_some_and(|time| time > ended));
        if !self.state.is_at_work() || !of_this_life || (time.is_some() && time == self.reported_at) {
            return (false, false);
        }
        self.reported_at = time;
        let state = if telling.is_ready(record) { State::Ready } else { State::Running };
        (true, self.state != state && self.become_state(state, time, ""))
    }
}
