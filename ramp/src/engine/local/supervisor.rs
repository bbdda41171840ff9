//! Supervisor: the event loop that starts, stops and restarts the processes of all instances.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use workload::host::page_bytes;

use super::budget_watch::{BudgetWatch, WATCH_EVERY, resident, to_evict, used};
use super::cgroup::Cgroup;
use super::confinement::Confinement;
use super::process::{Launch, Process, ProcessEvent, ProcessTask, Tell, how, note, verdict};
use super::process_spec::Program;
use crate::engine::kernel_log::KernelLog;
use crate::engine::replicas::{Action, BothClocks, Desired, Replica, Replicas};
use crate::engine::{ContainerExit, Event, Events, InstanceStatus};
use ramp_format::state::State;

/// Running processes by their ids, with the names of their instances; shared with the engine.
#[derive(Clone, Debug, Default)]
pub(super) struct LivingProcesses(Arc<Mutex<BTreeMap<u32, String>>>);

impl LivingProcesses {
    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts, stops and restarts the instances.
pub(super) struct Supervisor {
    pub(super) launch: Launch,
    pub(super) events: Events,
    pub(super) confinement: Confinement,
    pub(super) replicas: Replicas<Option<Process>>,
    pub(super) wanted: watch::Receiver<Desired>,
    pub(super) living: LivingProcesses,
    /// One for each process, and one for each cgroup that is being removed.
    pub(super) tasks: JoinSet<()>,
    pub(super) news: mpsc::Receiver<(u32, ProcessEvent)>,
    /// The sender of [`Self::news`] for the tasks of processes.
    pub(super) newsroom: mpsc::Sender<(u32, ProcessEvent)>,
    /// Lines of standard error recorded.
    pub(super) lines: Arc<AtomicU32>,
    /// Tells of OOM kills without cgroups.
    pub(super) log: KernelLog,
    pub(super) is_removed: bool,
}

const USUAL_PAGE_BYTES: u64 = 4096;

/// Capacity of the channel of news; tasks wait while it is full.
pub(super) const NEWS_WAITING: usize = 256;

impl Supervisor {
    /// Runs until the engine is dropped.
    pub(super) async fn run(mut self) {
        let mut looks = interval(WATCH_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let watches = matches!(self.confinement, Confinement::Ramp { .. });
        loop {
            // Reaps tasks that have ended.
            while self.tasks.try_join_next().is_some() {}
            // One action at a time, so that events are handled in between.
            let action = self.replicas.next(self.now());
            match action {
                Some(Action::Start(ordinal)) => self.start(ordinal),
                Some(Action::Stop(ordinal)) => self.signal(ordinal, Tell::End),
                None => {}
            }
            self.send_events().await;
            self.remove_when_idle();
            let due = self.replicas.next_due();
            tokio::select! {
                biased;
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = self.wanted.borrow_and_update().instances;
                    self.replicas.scale(wanted, self.now());
                }
                Some((ordinal, news)) = self.news.recv() => self.handle_news(ordinal, news),
                _ = looks.tick(), if watches => self.enforce_budget(),
                () = yield_now(), if action.is_some() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if action.is_none() && due.is_some() => {}
            }
        }
    }

    fn now(&self) -> BothClocks {
        BothClocks::read(&self.events)
    }

    /// Sends the events, and removes the cgroups of instances that are gone.
    async fn send_events(&mut self) {
        for event in self.replicas.take_events() {
            if let Event::Instance(InstanceStatus { state: State::Gone, name, .. }) = &event
                && let Some(group) = self.confinement.of_instance(name)
            {
                self.remove(group, name.clone());
            }
            self.events.send(event).await;
        }
    }

    /// Starts a process of an instance.
    fn start(&mut self, ordinal: u32) {
        let now = self.now();
        self.replicas.done(ordinal, now);
        let Some(replica) = self.replicas.get_mut(ordinal) else { return };
        replica.restarts += u32::from(replica.end.is_some());
        let (name, uid) = (replica.name.clone(), replica.uid.clone());
        let group = self.confinement.of_instance(&name);
        let child = self.prepare(group.as_ref()).and_then(|oom_kills| {
            let procs_files = group.iter().flat_map(Cgroup::procs_files);
            self.launch.start(procs_files).map(|child| (child, oom_kills))
        });
        let (child, oom_kills) = match child {
            Ok(child) => child,
            // The kernel has refused a process, a file descriptor or a cgroup.
            Err(error) => {
                let why = format!("could not be started: {error}{}", hint(&error));
                let Some(replica) = self.replicas.get(ordinal) else { return };
                let exit = exit_of(replica, (State::Failed, why), now);
                return self.replicas.exited(ordinal, exit, None, now);
            }
        };
        let (tell, told) = mpsc::channel(4);
        let pid = child.id();
        self.living.all().extend(pid.map(|pid| (pid, name.clone())));
        if let Some(replica) = self.replicas.get_mut(ordinal) {
            replica.backing = Some(Process { pid, tell, started: now.instant, oom_kills });
        }
        self.replicas.turn(ordinal, State::Running, Some(now.time), "");
        let is_load = matches!(self.launch.demand.program, Program::Load(_));
        // A program that does not report counts as ready.
        self.replicas.set_ready(ordinal, !is_load, Some(now.time));
        let (events, news, lines) = (self.events.clone(), self.newsroom.clone(), self.lines.clone());
        let grace = self.launch.demand.grace;
        let task = ProcessTask { ordinal, uid, name, events, news, grace, is_load, lines };
        self.tasks.spawn(task.attend(child, told));
    }

    /// Creates its cgroup, where there are any. Returns the OOM kills in it so far.
    fn prepare(&self, group: Option<&Cgroup>) -> std::io::Result<Option<u64>> {
        let Some(group) = group else { return Ok(None) };
        group.make()?;
        group.limit(&self.launch.demand.limits)?;
        Ok(group.oom_kills())
    }

    /// A full channel means that the process has been told to end already.
    fn signal(&self, ordinal: u32, tell: Tell) {
        if let Some(process) = self.replicas.get(ordinal).and_then(|replica| replica.backing.as_ref()) {
            let _ = process.tell.try_send(tell);
        }
    }

    /// Handles news of a process.
    fn handle_news(&mut self, ordinal: u32, news: ProcessEvent) {
        let now = self.now();
        let status = match news {
            ProcessEvent::Ready(is_ready) => {
                return self.replicas.set_ready(ordinal, is_ready, Some(now.time));
            }
            ProcessEvent::Ended(status) => status,
        };
        let Some(replica) = self.replicas.get_mut(ordinal) else { return };
        let Some(process) = replica.backing.take() else { return };
        process.pid.and_then(|pid| self.living.all().remove(&pid));
        let oom_killed = match self.confinement.of_instance(&replica.name) {
            Some(group) => process.oom_kills.zip(group.oom_kills()).map(|(before, after)| after > before),
            None => process.pid.and_then(|pid| self.log.has_killed_process(pid)),
        };
        let verdict = match &status {
            Ok(status) => verdict(*status, oom_killed),
            Err(error) => (State::Failed, format!("cannot wait for it: {error}")),
        };
        let exit = exit_of(replica, verdict, now);
        if !replica.leaving {
            let ran = now.instant.saturating_duration_since(process.started);
            return self.replicas.exited(ordinal, exit, Some(ran), now);
        }
        // It may have been OOM-killed before it could end.
        if exit.state == State::OomKilled {
            replica.end = Some(exit);
        }
        self.replicas.gone(ordinal, now.time, &status.map(how).unwrap_or_default());
    }

    /// Enforces the budget without cgroups: evicts one instance where it is exceeded.
    fn enforce_budget(&mut self) {
        let Confinement::Ramp { budget, used: shared } = &self.confinement else { return };
        let watched = self.watched();
        let now_used = used(&watched);
        shared.store(now_used.0, Ordering::Relaxed);
        let Some(ordinal) = to_evict(*budget, &watched) else { return };
        let reason = format!(
            "evicted by ramp, which watches the budget: the resident sets add up to {} of {}",
            now_used.rounded(),
            budget.rounded()
        );
        if let Some(replica) = self.replicas.get_mut(ordinal) {
            replica.eviction = Some(reason);
        }
        self.signal(ordinal, Tell::Kill);
    }

    fn watched(&self) -> Vec<BudgetWatch> {
        let page_bytes = page_bytes().unwrap_or(USUAL_PAGE_BYTES);
        let watched = self.replicas.iter().filter_map(|(ordinal, replica)| {
            let pid = replica.backing.as_ref()?.pid?;
            let resident = resident(Path::new("/proc"), pid, page_bytes);
            let is_ending = replica.leaving || replica.eviction.is_some();
            Some(BudgetWatch { ordinal, resident, is_ending })
        });
        watched.collect()
    }

    /// Removes the budget's cgroup once removal has been requested and nothing runs in it.
    fn remove_when_idle(&mut self) {
        let is_idle = || self.replicas.iter().all(|(_, replica)| replica.backing.is_none());
        if self.is_removed || !self.wanted.borrow().remove || !is_idle() {
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
            if let Err(error) = group.remove().await {
                events.send(note(&name, "cgroup", error.to_string())).await;
            }
        });
    }
}

/// What may be the cause where the kernel has too few of something.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC) => {
            " (limits on processes or open files too low?)"
        }
        _ => "",
    }
}

fn exit_of(
    replica: &Replica<Option<Process>>,
    (state, reason): (State, String),
    now: BothClocks,
) -> ContainerExit {
    let container = format!("{}/{}", replica.uid, replica.restarts);
    ContainerExit { container, state, at: Some(now.time), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_only_where_they_may_be_the_cause() {
        for (errno, is_limit) in [(Errno::EAGAIN, true), (Errno::EMFILE, true), (Errno::ENOENT, false)] {
            assert_eq!(hint(&io::Error::from(errno)).contains("limits"), is_limit, "{errno}");
        }
        assert_eq!(hint(&io::Error::new(io::ErrorKind::InvalidInput, "nul byte found")), "");
    }
}
