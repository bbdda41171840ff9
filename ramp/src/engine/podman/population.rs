//! Population: the state of all instances, and the next operation that is due. Pure: sends no request and awaits nothing.

use std::collections::HashSet;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::api::Refusal;
use super::container::Container;
use super::inspect::{ContainerActivity, ContainerEvent, ContainerEventKind, InspectedContainer, Listed};
use crate::engine::kernel_log::KernelLog;
use crate::engine::log_poller::record_time;
use crate::engine::readiness::{Readiness, is_ready};
use crate::engine::replicas::{Action, BothClocks, ReplicaSettings, Replicas};
use crate::engine::{Event, InstanceReport, Notice};
use ramp_format::state::State;

/// Concurrent operations of each kind: creating or starting, and removing.
const AT_ONCE: usize = 4;

/// All instances.
#[derive(Debug)]
pub(super) struct ContainerPopulation {
    pub(super) replicas: Replicas<Container>,
    readiness: Readiness,
    /// Whether containers are removed without a grace period.
    by_force: bool,
    asked: u64,
}

/// An operation on the container of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Create it if there is none, and start it.
    Up { number: u32, asked: u64, name: String, uid: String, is_there: bool },
    /// Stop and remove it.
    Down { number: u32, name: String, by_force: bool },
}

/// Why a container could not be created or started.
#[derive(Clone, Debug)]
pub(super) struct UpFailure {
    /// The container's id, where there is one.
    pub(super) id: Option<String>,
    /// The step that failed, as a reason.
    pub(super) word: &'static str,
    pub(super) refusal: Refusal,
}

/// A container of the run; inspected where it does not run or is not known yet.
pub(super) type ListedContainer = (Listed, Option<InspectedContainer>);

impl ContainerPopulation {
    /// A population of no instances.
    pub(super) fn new(name: &str, run: &str, begun: SystemTime, node: String, readiness: Readiness) -> Self {
        let replicas = Replicas::new(ReplicaSettings {
            prefix: format!("{name}-{run}"),
            run: run.to_owned(),
            begun,
            node,
            first: State::Pending,
            at_once: AT_ONCE,
        });
        Self { replicas, readiness, by_force: false, asked: 0 }
    }

    /// The number of a new request.
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// Scales to 0, without grace periods.
    pub(super) fn clear(&mut self, now: BothClocks) {
        self.by_force = true;
        self.replicas.scale(0, now);
    }

    /// The next operation that is due.
    pub(super) fn operation(&mut self, now: BothClocks) -> Option<Operation> {
        let action = self.replicas.next(now)?;
        let (Action::Start(number) | Action::Stop(number)) = action;
        let replica = self.replicas.get(number)?;
        let (name, uid, is_there) = (replica.name.clone(), replica.uid.clone(), replica.backing.id.is_some());
        Some(match action {
            Action::Start(_) => Operation::Up { number, asked: self.ask(), name, uid, is_there },
            Action::Stop(_) => Operation::Down { number, name, by_force: self.by_force },
        })
    }

    /// The result of [`Operation::Up`].
    pub(super) fn came(
        &mut self,
        number: u32,
        asked: u64,
        result: Result<InspectedContainer, UpFailure>,
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let Some(replica) = self.replicas.get_mut(number) else { return };
        replica.busy = false;
        match result {
            Ok(seen) => {
                replica.backing.id = Some(seen.id.clone());
                self.replicas.granted(number);
                self.saw(number, asked, &seen, log, now);
            }
            Err(failure) => {
                replica.backing.id = replica.backing.id.take().or(failure.id);
                // Without an answer it may have been started.
                if failure.refusal.status.is_some() && !replica.leaving {
                    let reason = format!("{}: {}", failure.word, failure.refusal);
                    self.replicas.turn(number, State::Failed, Some(now.time), &reason);
                }
                self.refused(number, failure.word, &failure.refusal, now);
            }
        }
        self.replicas.done(number, now);
    }

    /// The result of [`Operation::Down`].
    pub(super) fn went(&mut self, number: u32, result: Result<(), Refusal>, now: BothClocks) {
        match result {
            Ok(()) => self.replicas.gone(number, now.time, ""),
            Err(refusal) => self.refused(number, "FailedRemove", &refusal, now),
        }
    }

    fn refused(&mut self, number: u32, word: &str, refusal: &Refusal, now: BothClocks) {
        let count = Some(self.replicas.refused(number, now));
        let Some(replica) = self.replicas.get(number) else { return };
        let notice = Notice::note(format!("container/{}", replica.name), word, &refusal.message);
        self.replicas.tell(Event::Notice(Notice { count, ..notice }));
    }

    /// One has been inspected, in answer to request number `asked`.
    pub(super) fn saw(
        &mut self,
        number: u32,
        asked: u64,
        seen: &InspectedContainer,
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let Some(replica) = self.replicas.get_mut(number) else { return };
        if asked <= replica.backing.asked {
            return;
        }
        replica.backing.asked = asked;
        replica.backing.id = Some(seen.id.clone());
        match seen.doing {
            _ if replica.leaving => {}
            ContainerActivity::Running => {
                replica.due = None;
                if replica.lives(seen) {
                    let ready = self.readiness.once_running();
                    let state = if ready { State::Ready } else { State::Running };
                    self.replicas.turn(number, state, seen.started_at(), "");
                }
            }
            ContainerActivity::Ended => {
                replica.lives(seen);
                if replica.end.as_ref().is_some_and(|end| end.container == seen.life()) {
                    return replica.wake(now.instant);
                }
                let started = seen.started_at();
                let told = replica.backing.out_of_memory_at;
                let told = told.is_some_and(|at| started.is_none_or(|started| at >= started));
                let exit = seen.end(told, replica.backing.pid, log);
                let ran =
                    started.zip(exit.at).and_then(|(started, ended)| ended.duration_since(started).ok());
                self.replicas.exited(number, exit, Some(ran.unwrap_or_default()), now);
            }
            ContainerActivity::Created => replica.wake(now.instant),
            ContainerActivity::Leaving if replica.state == State::Terminating => {}
            ContainerActivity::Leaving => {
                self.replicas.turn(number, State::Terminating, Some(now.time), "removed by someone else");
            }
        }
    }

    /// One that was to be inspected does not exist.
    pub(super) fn missed(&mut self, number: u32, now: BothClocks) {
        if self.replicas.get(number).is_some_and(|replica| !replica.busy) {
            self.replicas.gone(number, now.time, "removed by someone else");
            self.replicas.reconcile(now);
        }
    }

    /// Takes an event. Returns the number and name of a container that has to be inspected.
    pub(super) fn happened(&mut self, event: &ContainerEvent, now: BothClocks) -> Option<(u32, String)> {
        let number = self.replicas.ordinal(&event.name)?;
        let replica = self.replicas.get_mut(number)?;
        if replica.backing.id.as_ref().is_some_and(|id| *id != event.id) {
            return None;
        }
        match event.what {
            ContainerEventKind::Died | ContainerEventKind::Started if replica.leaving => None,
            // It is inspected after its start.
            ContainerEventKind::Started if replica.busy => None,
            ContainerEventKind::Died | ContainerEventKind::Started => Some((number, replica.name.clone())),
            ContainerEventKind::OutOfMemory => {
                replica.backing.out_of_memory_at = event.at.or(Some(now.time));
                None
            }
            ContainerEventKind::Removed => {
                // A container without an id is about to be created: the event is of an earlier one of that name.
                replica.backing.id.as_ref()?;
                let reason = if replica.leaving { "" } else { "removed by someone else" };
                self.replicas.gone(number, event.at.unwrap_or(now.time), reason);
                self.replicas.reconcile(now);
                None
            }
        }
    }

    /// Names of the containers that need no inspection while they run.
    pub(super) fn known(&self) -> HashSet<String> {
        let known = self.replicas.iter().filter(|(_, replica)| replica.backing.life.is_some());
        known.map(|(_, replica)| replica.name.clone()).collect()
    }

    /// Takes the list of all containers of the run. Those that are missing in it are gone, for this reason unless they were removed.
    pub(super) fn listed(
        &mut self,
        asked: u64,
        found: &[ListedContainer],
        gone_because: &str,
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let there: HashSet<&str> = found.iter().map(|(listed, _)| listed.name.as_str()).collect();
        let gone = self.replicas.iter().filter(|(_, replica)| {
            let Container { id, asked: answered, .. } = &replica.backing;
            id.is_some() && !replica.busy && *answered < asked && !there.contains(replica.name.as_str())
        });
        for number in gone.map(|(number, _)| number).collect::<Vec<_>>() {
            self.replicas.gone(number, now.time, gone_because);
        }
        for (listed, seen) in found {
            let Some(number) = self.replicas.ordinal(&listed.name) else { continue };
            let uid = listed.uid.as_ref().unwrap_or(&listed.id);
            let container = Container { id: Some(listed.id.clone()), ..Container::default() };
            self.replicas.take_over(number, &listed.name, uid, container);
            if let Some(seen) = seen {
                self.saw(number, asked, seen, log, now);
            }
        }
    }

    /// The last record in a log has been read.
    pub(super) fn read(&mut self, name: &str, record: Map<String, Value>) {
        let Some(number) = self.replicas.ordinal(name) else { return };
        let Some(replica) = self.replicas.get(number) else { return };
        let time = record_time(&record);
        let ended = replica.end.as_ref().and_then(|end| end.at);
        // The log continues over restarts: records from before the last exit are of an earlier process.
        let is_current = ended.is_none_or(|ended| time.is_some_and(|time| time > ended));
        if replica.state.is_at_work() && is_current {
            let (uid, ready) = (replica.uid.clone(), is_ready(&record));
            self.replicas.tell(Event::Report(InstanceReport { uid, record }));
            self.replicas.set_ready(number, ready, time);
        }
    }
}

#[cfg(test)]
mod tests;
