//! The task that keeps as many instances as are asked for: it starts, ends and replaces them, one thing at a time.

mod exits;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use workload::quantity::Bytes;

use super::budget_watch::{BudgetWatch, WATCH_EVERY, resident, to_evict, used};
use super::cgroup::Cgroup;
use super::process::{Launch, ProcessEvent, ProcessKey, ProcessTask, Tell};
use super::process_spec::Program;
use super::process_table::{Next, Phase, Process, ProcessInstance, ProcessPopulation};
use crate::engine::crash_loop::CrashLoopBackoff;
use crate::engine::{Event, Events};
use ramp_format::state::State;

/// What is asked of the keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DesiredState {
    pub(super) instances: u32,
    /// The cgroups as well are to go.
    pub(super) remove: bool,
}

/// The processes there are, by their ids, with the names of their instances; shared with who asks what is left.
#[derive(Clone, Debug, Default)]
pub(super) struct LivingProcesses(Arc<Mutex<BTreeMap<u32, String>>>);

impl LivingProcesses {
    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What holds all instances together.
#[derive(Clone, Debug)]
pub(super) enum Confinement {
    /// A cgroup with the budget as its limit.
    Cgroup(Cgroup),
    /// Ramp itself, which adds their resident sets up, in bytes.
    Ramp { budget: Bytes, used: Arc<AtomicU64> },
}

/// Keeps the instances.
pub(super) struct Supervisor {
    pub(super) launch: Launch,
    pub(super) events: Events,
    pub(super) node: String,
    pub(super) confinement: Confinement,
    pub(super) population: ProcessPopulation,
    pub(super) wanted: watch::Receiver<DesiredState>,
    pub(super) living: LivingProcesses,
    pub(super) page_bytes: u64,
    /// One for each process, and one for each cgroup that is to go.
    pub(super) tasks: JoinSet<()>,
    pub(super) news: mpsc::Receiver<(ProcessKey, ProcessEvent)>,
    /// Where attendants send them.
    pub(super) newsroom: mpsc::Sender<(ProcessKey, ProcessEvent)>,
    /// Lines of standard error written down.
    pub(super) lines: Arc<AtomicU32>,
    pub(super) is_removed: bool,
}

/// News that may wait; beyond that their processes are read later.
pub(super) const NEWS_WAITING: usize = 256;

impl Supervisor {
    /// Keeps them until the engine is dropped.
    pub(super) async fn keep(mut self) {
        let mut looks = interval(WATCH_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let watches = matches!(self.confinement, Confinement::Ramp { .. });
        loop {
            // Those whose work is done.
            while self.tasks.try_join_next().is_some() {}
            let now = Instant::now();
            let due = self.population.due(now);
            let next_due = self.population.next_due().unwrap_or(now);
            let must_wait = due.is_none() && self.population.next_due().is_some();
            tokio::select! {
                biased;
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.adjust().await,
                    Err(_) => return,
                },
                Some((which, news)) = self.news.recv() => self.hear(which, news).await,
                _ = looks.tick(), if watches => self.look().await,
                // One at a time, so that whatever else has to be done comes between.
                () = yield_now(), if due.is_some() => {
                    if let Some(ordinal) = due {
                        self.advance(ordinal).await;
                    }
                }
                () = sleep_until(next_due), if must_wait => {}
            }
            self.remove_when_at_rest();
        }
    }

    /// Makes them as many as are asked for: the newest end first.
    async fn adjust(&mut self) {
        let DesiredState { instances, .. } = *self.wanted.borrow_and_update();
        let wanted = instances as usize;
        let staying: Vec<u64> = self.population.staying().map(|(ordinal, _)| ordinal).collect();
        for ordinal in staying.iter().skip(wanted).rev() {
            self.end(*ordinal).await;
        }
        for _ in staying.len()..wanted {
            let now = self.events.clock().now();
            let instance = self.population.add(CrashLoopBackoff::default());
            let instance_status = instance.instance_status(&self.node, State::Creating, String::new(), now);
            self.events.send(Event::Instance(instance_status)).await;
        }
    }

    /// Tells one to end; one without a process is gone at once.
    async fn end(&mut self, ordinal: u64) {
        let Some(mut instance) = self.population.all.remove(&ordinal) else { return };
        let (phase, state) = match instance.phase {
            Phase::AtWork(process) => {
                // Where there is no room the process is just ending, and has been told.
                let _ = process.tell.try_send(Tell::End);
                (Phase::Ending(process), State::Terminating)
            }
            // It is ending already, which nothing else would tell.
            Phase::Evicted(process, reason) => {
                instance.phase = Phase::Queued;
                self.tell(&instance, State::Evicted, reason).await;
                (Phase::Ending(process), State::Terminating)
            }
            Phase::Ending(process) => (Phase::Ending(process), State::Terminating),
            Phase::Queued | Phase::Waiting { .. } => (Phase::Queued, State::Gone),
        };
        instance.phase = phase;
        self.tell(&instance, state, String::new()).await;
        match state {
            State::Gone => self.forget(&instance),
            _ => drop(self.population.all.insert(ordinal, instance)),
        }
    }

    /// Gives one its next process, or another one its place.
    async fn advance(&mut self, ordinal: u64) {
        match self.population.all.get(&ordinal).map(|instance| &instance.phase) {
            Some(Phase::Waiting { next: Next::Instance, .. }) => self.replace(ordinal).await,
            Some(Phase::Waiting { next: Next::Process, .. }) => {
                if let Some(instance) = self.population.all.get_mut(&ordinal) {
                    instance.restarts += 1;
                }
                self.start(ordinal).await;
            }
            _ => self.start(ordinal).await,
        }
    }

    /// Puts a new one in the place of one that was evicted, as a Deployment does. (The old one is gone then; in a
    /// cluster it would stay to be looked at.)
    async fn replace(&mut self, ordinal: u64) {
        let Some(old) = self.population.all.remove(&ordinal) else { return };
        self.tell(&old, State::Gone, String::new()).await;
        let now = self.events.clock().now();
        let new = self.population.add(old.back_off);
        let instance_status = new.instance_status(&self.node, State::Creating, String::new(), now);
        self.events.send(Event::Instance(instance_status)).await;
    }

    /// Starts a process of an instance.
    async fn start(&mut self, ordinal: u64) {
        let Some(mut instance) = self.population.all.remove(&ordinal) else { return };
        let group = self.group_of(&instance);
        let started = Instant::now();
        let child = self.prepare(group.as_ref()).and_then(|oom_kills| {
            let doors = group.iter().flat_map(Cgroup::doors);
            self.launch.start(doors).map(|child| (child, oom_kills))
        });
        match child {
            Ok((child, oom_kills)) => {
                let (tell, told) = mpsc::channel(4);
                instance.phase = Phase::AtWork(Process { pid: child.id(), tell, started, oom_kills });
                self.living.all().extend(child.id().map(|pid| (pid, instance.name.clone())));
                self.tell(&instance, State::Running, String::new()).await;
                // What reports nothing is taken to be ready.
                if matches!(self.launch.demand.program, Program::Host(_)) {
                    self.tell(&instance, State::Ready, String::new()).await;
                }
                let attendant = self.attendant(ordinal, &instance);
                self.tasks.spawn(attendant.attend(child, told));
            }
            Err(error) => self.could_not_start(&mut instance, &error).await,
        }
        self.population.all.insert(ordinal, instance);
    }

    /// Makes its cgroup, where there are any; gives the OOM kills in it so far.
    fn prepare(&self, group: Option<&Cgroup>) -> std::io::Result<Option<u64>> {
        let Some(group) = group else { return Ok(None) };
        group.make()?;
        group.limit(&self.launch.demand.limits)?;
        Ok(group.oom_kills())
    }

    fn attendant(&self, ordinal: u64, instance: &ProcessInstance) -> ProcessTask {
        ProcessTask {
            which: ProcessKey { ordinal, uid: instance.uid.clone(), name: instance.name.clone() },
            events: self.events.clone(),
            news: self.newsroom.clone(),
            grace: self.launch.demand.grace,
            is_load: matches!(self.launch.demand.program, Program::Load(_)),
            lines: self.lines.clone(),
        }
    }

    /// Looks whether the budget is exceeded, where ramp itself has to.
    async fn look(&mut self) {
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
        self.evict(ordinal, reason);
    }

    fn watched(&self) -> Vec<BudgetWatch> {
        let instances = self.population.all.iter();
        let watched = instances.filter_map(|(ordinal, instance)| {
            let process = instance.phase.process()?;
            Some(BudgetWatch {
                ordinal: *ordinal,
                resident: resident(Path::new("/proc"), process.pid?, self.page_bytes),
                is_ending: !matches!(instance.phase, Phase::AtWork(_)),
            })
        });
        watched.collect()
    }

    /// Says what an instance is now.
    pub(super) async fn tell(&self, instance: &ProcessInstance, state: State, reason: String) {
        let now = self.events.clock().now();
        self.events.send(Event::Instance(instance.instance_status(&self.node, state, reason, now))).await;
    }

    /// Its cgroup, where there are any.
    pub(super) fn group_of(&self, instance: &ProcessInstance) -> Option<Cgroup> {
        match &self.confinement {
            Confinement::Cgroup(budget) => Some(budget.inside(&instance.name)),
            Confinement::Ramp { .. } => None,
        }
    }
}
