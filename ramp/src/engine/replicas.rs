//! Replicas: keeps the requested number of instances. Pure: from the time and what has happened it decides what to start and what
//! to stop, and collects the events of that.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use super::crash_loop::CrashLoopBackoff;
use super::{ContainerExit, Event, Events, Failure, InstanceStatus};
use crate::backoff::Backoff;
use ramp_format::state::State;

/// First and longest pause before a refused request is retried.
const REQUESTS_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BothClocks {
    pub(crate) instant: Instant,
    pub(crate) time: SystemTime,
}

impl BothClocks {
    /// Now, by the clock that stamps these events.
    pub(crate) fn read(events: &Events) -> Self {
        Self { instant: Instant::now(), time: events.clock().now() }
    }
}

/// The desired state of all instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Desired {
    pub(crate) instances: u32,
    /// Remove everything.
    pub(crate) remove: bool,
}

/// The sender of the desired state to the task that keeps the instances, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Demand(Option<watch::Sender<Desired>>);

impl Demand {
    /// The receiver for a new task.
    pub(crate) fn begin(&mut self) -> watch::Receiver<Desired> {
        let (sender, desired) = watch::channel(Desired::default());
        self.0 = Some(sender);
        desired
    }

    fn ask(&self, desired: Desired) -> bool {
        self.0.as_ref().is_some_and(|sender| sender.send(desired).is_ok())
    }

    /// Requests this many instances.
    pub(crate) fn scale(&self, instances: u32) -> Result<(), Failure> {
        let is_asked = self.ask(Desired { instances, remove: false });
        is_asked.then_some(()).ok_or_else(|| Failure::permanent("cannot scale before begin or after remove"))
    }

    /// Requests the removal of everything. Returns whether there is a task to do it.
    pub(crate) fn remove(&self) -> bool {
        self.ask(Desired { instances: 0, remove: true })
    }
}

/// The process or container of an instance, as its engine knows it.
pub(crate) trait Backing: Default {
    /// Whether it has to be stopped before the instance is gone.
    fn exists(&self) -> bool;
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Replica<B> {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) state: State,
    since: Option<SystemTime>,
    reason: String,
    pub(crate) restarts: u32,
    pub(crate) end: Option<ContainerExit>,
    /// It is being removed.
    pub(crate) leaving: bool,
    /// It is being evicted for this reason, and another one will take its place.
    pub(crate) eviction: Option<String>,
    /// The next action is to create another one in its place.
    replaced: bool,
    /// An action for it is in progress.
    pub(crate) busy: bool,
    /// When the next action for it is due.
    pub(crate) due: Option<Instant>,
    /// Consecutive refused requests for it.
    requests: Backoff,
    restarting: CrashLoopBackoff,
    pub(crate) backing: B,
}

impl<B> Replica<B> {
    /// Its status. A pending one has not been created, and is on no node.
    fn status(&self, node: &str) -> InstanceStatus {
        InstanceStatus {
            uid: self.uid.clone(),
            name: self.name.clone(),
            node: (self.state != State::Pending).then(|| node.to_owned()),
            state: self.state,
            since: self.since,
            reason: self.reason.clone(),
            restarts: self.restarts,
            end: self.end.clone(),
            // An evicted one keeps its place until another one takes it.
            over: self.state == State::Gone,
            group: None,
        }
    }

    /// Its container was found idle: an action is due, unless there is one already.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.due = self.due.or((!self.busy).then_some(now));
    }
}

/// An action for the instance with this ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it, for the first time or again.
    Start(u32),
    /// Stop it, and remove what there is of it.
    Stop(u32),
}

/// Settings of the instances of a run.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaSettings {
    /// Prefix of names; the ordinal follows.
    pub(crate) prefix: String,
    /// The run's id, the prefix of uids.
    pub(crate) run: String,
    /// The suffix of uids, which differ from those of an earlier process of the run.
    pub(crate) begun: SystemTime,
    /// The only node.
    pub(crate) node: String,
    /// The state of a new one.
    pub(crate) first: State,
    /// Concurrent actions of each kind.
    pub(crate) at_once: usize,
}

/// All instances by their ordinals, the newest last.
#[derive(Debug)]
pub(crate) struct Replicas<B> {
    settings: ReplicaSettings,
    all: BTreeMap<u32, Replica<B>>,
    /// The next ordinal: none is used twice.
    next: u32,
    wanted: u32,
    events: Vec<Event>,
}

/// The difference between those that stay, oldest first, and `wanted`: which to end, newest first, and how many to create.
pub(crate) fn difference<K: Copy>(staying: &[K], wanted: u32) -> (Vec<K>, usize) {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    (staying.iter().skip(wanted).rev().copied().collect(), wanted.saturating_sub(staying.len()))
}

impl<B: Backing> Replicas<B> {
    /// No instances, and none wanted.
    pub(crate) fn new(settings: ReplicaSettings) -> Self {
        Self { settings, all: BTreeMap::new(), next: 1, wanted: 0, events: Vec::new() }
    }

    /// Sets the wanted number of instances.
    pub(crate) fn scale(&mut self, wanted: u32, now: BothClocks) {
        self.wanted = wanted;
        self.reconcile(now);
    }

    /// Sets the wanted number to the existing one, which another process has created.
    pub(crate) fn adopt(&mut self) -> u32 {
        self.wanted = u32::try_from(self.staying().len()).unwrap_or(u32::MAX);
        self.wanted
    }

    fn staying(&self) -> Vec<u32> {
        self.all.iter().filter(|(_, replica)| !replica.leaving).map(|(ordinal, _)| *ordinal).collect()
    }

    /// Creates missing instances, and removes surplus ones, the newest first.
    pub(crate) fn reconcile(&mut self, now: BothClocks) {
        let (surplus, missing) = difference(&self.staying(), self.wanted);
        for ordinal in surplus {
            self.send_away(ordinal, now);
        }
        for _ in 0..missing {
            self.add(CrashLoopBackoff::default(), now);
        }
    }

    fn add(&mut self, restarting: CrashLoopBackoff, now: BothClocks) {
        let ReplicaSettings { prefix, run, begun, first, .. } = &self.settings;
        let (ordinal, millis) = (self.next, begun.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
        let name = format!("{prefix}-{ordinal:04}");
        let (uid, state) = (format!("{run}-{ordinal:04}-{millis}"), *first);
        self.insert(ordinal, Replica { restarting, due: Some(now.instant), ..blank(name, uid, state) });
        self.turn(ordinal, state, Some(now.time), "");
    }

    fn insert(&mut self, ordinal: u32, replica: Replica<B>) {
        self.next = self.next.max(ordinal.saturating_add(1));
        self.all.insert(ordinal, replica);
    }

    /// Adopts an existing instance, unless it is known; no action is due for it.
    pub(crate) fn take_over(&mut self, ordinal: u32, name: &str, uid: &str, backing: B) {
        if !self.all.contains_key(&ordinal) {
            let found = blank(name.to_owned(), uid.to_owned(), State::Creating);
            self.insert(ordinal, Replica { backing, ..found });
        }
    }

    fn send_away(&mut self, ordinal: u32, now: BothClocks) {
        let Some(replica) = self.all.get_mut(&ordinal) else { return };
        replica.leaving = true;
        if !replica.backing.exists() && !replica.busy {
            return self.gone(ordinal, now.time, "");
        }
        replica.due = (!replica.busy).then_some(now.instant);
        // It is being evicted already, which no other event would tell.
        if let Some(reason) = replica.eviction.take() {
            self.turn(ordinal, State::Evicted, Some(now.time), &reason);
        }
        self.turn(ordinal, State::Terminating, Some(now.time), "");
    }

    /// The next action that is due: stops, newest first, before starts, oldest first. It is in progress until
    /// [`done`](Self::done), [`refused`](Self::refused) or [`gone`](Self::gone).
    pub(crate) fn next(&mut self, now: BothClocks) -> Option<Action> {
        let may = |leaving| {
            let busy = self.all.values().filter(|replica| replica.busy && replica.leaving == leaving);
            busy.count() < self.settings.at_once
        };
        let is_due = |replica: &Replica<B>, leaving| {
            replica.leaving == leaving && !replica.busy && replica.due.is_some_and(|due| due <= now.instant)
        };
        let stop = || self.all.iter().rev().find(|(_, replica)| is_due(replica, true));
        let start = || self.all.iter().find(|(_, replica)| is_due(replica, false));
        let next = may(true).then(stop).flatten().or_else(|| may(false).then(start).flatten());
        let ordinal = *next?.0;
        let replica = self.all.get_mut(&ordinal)?;
        if replica.replaced && !replica.leaving {
            let restarting = replica.restarting;
            self.gone(ordinal, now.time, "");
            self.add(restarting, now);
            return self.next(now);
        }
        (replica.busy, replica.due) = (true, None);
        if replica.leaving {
            return Some(Action::Stop(ordinal));
        }
        if replica.state == State::Pending {
            self.turn(ordinal, State::Creating, None, "");
        }
        Some(Action::Start(ordinal))
    }

    /// When the next action is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.all.values().filter(|replica| !replica.busy).filter_map(|replica| replica.due).min()
    }

    /// An action is over; an instance that is to be removed meanwhile is stopped now.
    pub(crate) fn done(&mut self, ordinal: u32, now: BothClocks) {
        if let Some(replica) = self.all.get_mut(&ordinal) {
            replica.busy = false;
            if replica.leaving {
                replica.due = Some(now.instant);
            }
        }
    }

    /// A request for it was granted.
    pub(crate) fn granted(&mut self, ordinal: u32) {
        if let Some(replica) = self.all.get_mut(&ordinal) {
            replica.requests.succeeded();
        }
    }

    /// A request for it was refused: it is retried after a pause. Returns the consecutive refusals.
    pub(crate) fn refused(&mut self, ordinal: u32, now: BothClocks) -> u32 {
        let Some(replica) = self.all.get_mut(&ordinal) else { return 0 };
        replica.busy = false;
        replica.due = Some(now.instant + replica.requests.failed());
        replica.requests.failures()
    }

    /// Its process or container has exited unasked, after running for this time; none where it could not be started. After its
    /// backoff it is restarted, or replaced if it was evicted.
    pub(crate) fn exited(
        &mut self,
        ordinal: u32,
        exit: ContainerExit,
        ran: Option<Duration>,
        now: BothClocks,
    ) {
        let Some(replica) = self.all.get_mut(&ordinal) else { return };
        let back_off = &mut replica.restarting;
        let evicted = replica.eviction.take();
        let pause = match ran {
            Some(ran) if evicted.is_none() => back_off.after_end(ran),
            // An immediate retry would fail in the same way.
            ran => back_off.after_eviction(ran.unwrap_or_default()),
        };
        replica.due = Some(now.instant + pause);
        replica.replaced = evicted.is_some();
        let (state, since, reason) = match evicted {
            Some(reason) => (State::Evicted, Some(now.time), reason),
            None => {
                let (state, since) = (exit.state, exit.at.or(Some(now.time)));
                let reason = exit.reason.clone();
                replica.end = Some(exit);
                (state, since, reason)
            }
        };
        self.turn(ordinal, state, since, &reason);
    }

    /// It has been removed.
    pub(crate) fn gone(&mut self, ordinal: u32, at: SystemTime, reason: &str) {
        self.turn(ordinal, State::Gone, Some(at), reason);
        self.all.remove(&ordinal);
    }

    /// It has this state: an event is sent even if that is the same one.
    pub(crate) fn turn(&mut self, ordinal: u32, state: State, since: Option<SystemTime>, reason: &str) {
        if let Some(replica) = self.all.get_mut(&ordinal) {
            (replica.state, replica.since) = (state, since);
            reason.clone_into(&mut replica.reason);
            self.events.push(Event::Instance(replica.status(&self.settings.node)));
        }
    }

    /// It holds its memory, or does not, where it runs.
    pub(crate) fn set_ready(&mut self, ordinal: u32, ready: bool, since: Option<SystemTime>) {
        let state = if ready { State::Ready } else { State::Running };
        if self.all.get(&ordinal).is_some_and(|replica| replica.state.is_at_work() && replica.state != state)
        {
            self.turn(ordinal, state, since, "");
        }
    }

    /// Adds another event, in order.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The statuses of all instances.
    pub(crate) fn statuses(&self) -> Vec<InstanceStatus> {
        self.all.values().map(|replica| replica.status(&self.settings.node)).collect()
    }

    /// The ordinal in a name.
    pub(crate) fn ordinal(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&self.settings.prefix)?.strip_prefix('-')?.parse().ok()
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<&Replica<B>> {
        self.all.get(&ordinal)
    }

    pub(crate) fn get_mut(&mut self, ordinal: u32) -> Option<&mut Replica<B>> {
        self.all.get_mut(&ordinal)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Replica<B>)> {
        self.all.iter().map(|(ordinal, replica)| (*ordinal, replica))
    }
}

fn blank<B: Default>(name: String, uid: String, state: State) -> Replica<B> {
    Replica {
        uid,
        name,
        state,
        since: None,
        reason: String::new(),
        restarts: 0,
        end: None,
        leaving: false,
        eviction: None,
        replaced: false,
        busy: false,
        due: None,
        requests: Backoff::new(REQUESTS_AGAIN.0, REQUESTS_AGAIN.1),
        restarting: CrashLoopBackoff::default(),
        backing: B::default(),
    }
}

#[cfg(test)]
mod tests;
