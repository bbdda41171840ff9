//! What the keeper does where something has ended.

use std::io;
use std::process::ExitStatus;

use tokio::time::Instant;

use super::super::cgroup::Cgroup;
use super::super::cleanup::remove;
use super::super::process::{ProcessEvent, ProcessKey, Tell, note};
use super::super::process_table::{Next, Phase, Process, ProcessInstance, how, ran, verdict};
use super::{Confinement, Supervisor};
use crate::engine::Event;
use ramp_format::state::State;

impl Supervisor {
    /// Takes news of a process. Of one that is not there any more there can be none: the last is its end.
    pub(super) async fn hear(&mut self, which: ProcessKey, news: ProcessEvent) {
        let Some(mut instance) = self.population.all.remove(&which.ordinal) else { return };
        let stays = match news {
            ProcessEvent::Ready(is_ready) => {
                if matches!(instance.phase, Phase::AtWork(_)) {
                    let state = if is_ready { State::Ready } else { State::Running };
                    self.tell(&instance, state, String::new()).await;
                }
                true
            }
            ProcessEvent::Ended(status) => self.ended(&mut instance, status).await,
        };
        if stays {
            self.population.all.insert(which.ordinal, instance);
        }
    }

    /// Whether the instance stays, to be started again or replaced.
    async fn ended(&mut self, instance: &mut ProcessInstance, status: io::Result<ExitStatus>) -> bool {
        let now = self.events.clock().now();
        let group = self.group_of(instance);
        let oom_kills_after = group.as_ref().and_then(Cgroup::oom_kills);
        let phase = std::mem::replace(&mut instance.phase, Phase::Queued);
        if let Some(pid) = phase.process().and_then(|process| process.pid) {
            self.living.all().remove(&pid);
        }
        let judge = |process: &Process| match &status {
            Ok(status) => verdict(*status, (process.oom_kills, oom_kills_after)),
            Err(error) => (State::Failed, format!("its end could not be learned: {error}")),
        };
        match phase {
            Phase::AtWork(process) => {
                let (state, reason) = judge(&process);
                instance.has_ended(state, reason.clone(), now);
                let pause = instance.back_off.after_end(ran(&process, Instant::now()));
                self.wait(instance, state, reason, (pause, Next::Process)).await;
                true
            }
            Phase::Evicted(process, reason) => {
                let pause = instance.back_off.after_eviction(ran(&process, Instant::now()));
                self.wait(instance, State::Evicted, reason, (pause, Next::Instance)).await;
                true
            }
            Phase::Ending(process) => {
                // It may have been killed before it could end.
                if let (State::OomKilled, reason) = judge(&process) {
                    instance.has_ended(State::OomKilled, reason, now);
                }
                let reason = status.map(how).unwrap_or_default();
                self.tell(instance, State::Gone, reason).await;
                self.forget(instance);
                false
            }
            // None of these has a process.
            Phase::Queued | Phase::Waiting { .. } => true,
        }
    }

    /// Lets one wait for what comes next, and says so.
    async fn wait(
        &self,
        instance: &mut ProcessInstance,
        state: State,
        reason: String,
        (pause, next): (std::time::Duration, Next),
    ) {
        instance.phase = Phase::Waiting { due: Instant::now() + pause, next };
        self.tell(instance, state, reason).await;
    }

    /// The system has refused a process, a descriptor or a cgroup: it is tried again later.
    pub(super) async fn could_not_start(&self, instance: &mut ProcessInstance, error: &io::Error) {
        let reason = format!("could not be started: {error} (too low a limit on processes or files?)");
        instance.has_ended(State::Failed, reason.clone(), self.events.clock().now());
        // Nothing has run, so it would be refused again at once.
        let pause = instance.back_off.after_eviction(std::time::Duration::ZERO);
        self.wait(instance, State::Failed, reason, (pause, Next::Process)).await;
    }

    /// Kills one to make room.
    pub(super) fn evict(&mut self, ordinal: u64, reason: String) {
        let Some(instance) = self.population.all.get_mut(&ordinal) else { return };
        match std::mem::replace(&mut instance.phase, Phase::Queued) {
            Phase::AtWork(process) => {
                let _ = process.tell.try_send(Tell::Kill);
                instance.phase = Phase::Evicted(process, reason);
            }
            phase => instance.phase = phase,
        }
    }

    /// Removes the cgroup of one that is gone.
    pub(super) fn forget(&mut self, instance: &ProcessInstance) {
        if let Some(group) = self.group_of(instance) {
            self.remove(group, instance.name.clone());
        }
    }

    /// Removes the budget's cgroup once that is asked for and nothing is in it any more.
    pub(super) fn remove_when_at_rest(&mut self) {
        let is_asked = self.wanted.borrow().remove;
        if !is_asked || self.is_removed || !self.population.is_at_rest() {
            return;
        }
        self.is_removed = true;
        if let Confinement::Cgroup(budget) = &self.confinement {
            self.remove(budget.clone(), "budget".into());
        }
    }

    fn remove(&mut self, group: Cgroup, name: String) {
        let events = self.events.clone();
        self.tasks.spawn(async move {
            if let Err(error) = remove(&group).await {
                events.send(Event::Notice(note(&name, "cgroup", error.to_string()))).await;
            }
        });
    }
}
