//! All instances: how many there are to be, and what is to be done for that. Asks nothing and waits for nothing.

use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::api::Refusal;
use super::container::{BothClocks, PodmanInstance};
use super::inspect::{ContainerEvent, ContainerEventKind, InspectedContainer, Listed};
use super::kernel_log::KernelLog;
use super::log_reader::LogFormat;
use crate::engine::{Event, InstanceReport, InstanceStatus, Notice, NoticeKind};
use ramp_format::state::State;

/// Containers that are created or started at once; as many are removed at once.
const AT_ONCE: usize = 4;

/// All instances.
#[derive(Debug)]
pub(super) struct ContainerPopulation {
    prefix: String,
    node: String,
    telling: LogFormat,
    members: BTreeMap<u32, PodmanInstance>,
    /// The number of the next one: none is given twice.
    next: u32,
    wanted: u32,
    /// Whether those that leave get no time to end.
    by_force: bool,
    asked: u64,
    events: Vec<Event>,
}

/// Something to be done for one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Create it, where there is no container yet, and start it.
    Up { number: u32, asked: u64, name: String, uid: String, is_there: bool },
    /// End and remove it.
    Down { number: u32, name: String, by_force: bool },
}

/// Why one could not be brought up.
#[derive(Clone, Debug)]
pub(super) struct UpFailure {
    /// The container's id, where there is one.
    pub(super) id: Option<String>,
    /// A word for the step that failed.
    pub(super) word: &'static str,
    pub(super) refusal: Refusal,
}

/// A container of the run, and where it does not run or is new here, more of it.
pub(super) type ListedContainer = (Listed, Option<InspectedContainer>);

impl ContainerPopulation {
    /// Nobody yet.
    pub(super) fn new(prefix: String, node: String, telling: LogFormat) -> Self {
        let members = BTreeMap::new();
        let events = Vec::new();
        Self { prefix, node, telling, members, next: 1, wanted: 0, by_force: false, asked: 0, events }
    }

    /// A number for a question that is about to be asked.
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// What has happened since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// There are to be so many.
    pub(super) fn scale(&mut self, wanted: u32, now: BothClocks) {
        self.wanted = wanted;
        self.fill(now);
    }

    /// There are to be none, at once.
    pub(super) fn clear(&mut self, now: BothClocks) {
        self.by_force = true;
        self.scale(0, now);
    }

    /// There are to be as many as there are.
    pub(super) fn adopt(&mut self) -> u32 {
        self.wanted =
            u32::try_from(self.members.values().filter(|member| !member.leaving).count()).unwrap_or(u32::MAX);
        self.wanted
    }

    fn fill(&mut self, now: BothClocks) {
        let staying: Vec<u32> =
            self.members.iter().filter(|(_, member)| !member.leaving).map(|(number, _)| *number).collect();
        let wanted = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        for number in staying.iter().skip(wanted).rev() {
            self.send_away(*number, now);
        }
        for _ in staying.len()..wanted {
            self.add(now);
        }
    }

    fn add(&mut self, now: BothClocks) {
        let (number, millis) =
            (self.next, now.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
        self.next = self.next.saturating_add(1);
        let name = format!("{}-{number:04}", self.prefix);
        // A name may be given again by a process that goes on with this run; with its time it is one of a kind.
        let uid = format!("{name}.{millis:x}");
        self.members.insert(number, PodmanInstance::new(name, uid, now));
        self.tell(number);
    }

    fn send_away(&mut self, number: u32, now: BothClocks) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.leaving = true;
        if member.id.is_none() && !member.busy {
            return self.forget(number, now.time, "");
        }
        member.due = (!member.busy).then_some(now.instant);
        member.become_state(State::Terminating, Some(now.time), "");
        self.tell(number);
    }

    fn forget(&mut self, number: u32, at: SystemTime, reason: &str) {
        if let Some(mut member) = self.members.remove(&number) {
            member.become_state(State::Gone, Some(at), reason);
            self.events.push(Event::Instance(member.instance_status(Some(&self.node))));
        }
    }

    fn tell(&mut self, number: u32) {
        if let Some(member) = self.members.get(&number) {
            // One that nothing has been made of yet is nowhere.
            let node = (member.state != State::Pending).then_some(self.node.as_str());
            self.events.push(Event::Instance(member.instance_status(node)));
        }
    }

    /// The next thing to do, where there is one that may be done now.
    pub(super) fn job(&mut self, now: Instant) -> Option<Operation> {
        let busy =
            |leaving| self.members.values().filter(|m| m.busy && m.leaving == leaving).count() < AT_ONCE;
        let (may_go, may_come) = (busy(true), busy(false));
        let due =
            |(_, member): &(&u32, &PodmanInstance)| !member.busy && member.due.is_some_and(|due| due <= now);
        let going = || self.members.iter().rev().filter(due).find(|(_, member)| member.leaving);
        let coming = || self.members.iter().filter(due).find(|(_, member)| !member.leaving);
        let next = may_go.then(going).flatten().or_else(|| may_come.then(coming).flatten());
        let number = *next?.0;
        let asked = self.ask();
        let by_force = self.by_force;
        let member = self.members.get_mut(&number)?;
        member.busy = true;
        member.due = None;
        let name = member.name.clone();
        if member.leaving {
            return Some(Operation::Down { number, name, by_force });
        }
        let (uid, is_there) = (member.uid.clone(), member.id.is_some());
        if member.state == State::Pending {
            member.become_state(State::Creating, None, "");
            self.tell(number);
        }
        Some(Operation::Up { number, asked, name, uid, is_there })
    }

    /// One has been brought up, or not.
    pub(super) fn came(
        &mut self,
        number: u32,
        asked: u64,
        result: Result<InspectedContainer, UpFailure>,
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.busy = false;
        match result {
            Ok(seen) => {
                member.pauses.succeeded();
                member.id = Some(seen.id.clone());
                self.saw(number, asked, &seen, log, now);
            }
            Err(trouble) => self.not_up(number, &trouble, now),
        }
        if let Some(member) = self.members.get_mut(&number)
            && member.leaving
        {
            member.due = Some(now.instant);
        }
    }

    fn not_up(&mut self, number: u32, trouble: &UpFailure, now: BothClocks) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.id = member.id.take().or_else(|| trouble.id.clone());
        member.due = Some(now.instant + member.pauses.failed());
        let (name, count) = (member.name.clone(), member.pauses.failures());
        // Where nothing was answered it may well have been done.
        if trouble.refusal.status.is_some() && !member.leaving {
            member.become_state(
                State::Failed,
                Some(now.time),
                &format!("{}: {}", trouble.word, trouble.refusal),
            );
            self.tell(number);
        }
        self.note(&name, trouble.word, &trouble.refusal, count);
    }

    fn note(&mut self, name: &str, word: &str, refusal: &Refusal, count: u32) {
        self.events.push(Event::Notice(Notice {
            kind: NoticeKind::Note,
            at: None,
            object: format!("container/{name}"),
            reason: word.to_owned(),
            message: refusal.message.clone(),
            count: Some(count),
        }));
    }

    /// One has been removed, or not.
    pub(super) fn went(&mut self, number: u32, result: Result<(), Refusal>, now: BothClocks) {
        match result {
            Ok(()) => self.forget(number, now.time, ""),
            Err(refusal) => {
                let Some(member) = self.members.get_mut(&number) else { return };
                member.busy = false;
                member.due = Some(now.instant + member.pauses.failed());
                let (name, count) = (member.name.clone(), member.pauses.failures());
                self.note(&name, "FailedRemove", &refusal, count);
            }
        }
    }

    /// One has been inspected.
    pub(super) fn saw(
        &mut self,
        number: u32,
        asked: u64,
        seen: &InspectedContainer,
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let Some(member) = self.members.get_mut(&number) else { return };
        if member.see(seen, asked, &self.telling, log, now) {
            self.tell(number);
        }
    }

    /// One was to be inspected, and is not there.
    pub(super) fn missed(&mut self, number: u32, now: BothClocks) {
        if self.members.get(&number).is_some_and(|member| !member.busy) {
            self.forget(number, now.time, "removed by someone else");
            self.fill(now);
        }
    }

    /// Takes an event: which one has to be inspected for it, by number and name.
    pub(super) fn happened(&mut self, happening: &ContainerEvent, now: BothClocks) -> Option<(u32, String)> {
        let number = self.number(&happening.name)?;
        let member = self.members.get_mut(&number)?;
        if member.id.as_ref().is_some_and(|id| *id != happening.id) {
            return None;
        }
        match happening.what {
            ContainerEventKind::Died | ContainerEventKind::Started if member.leaving => None,
            // It is inspected anyway once it has been started.
            ContainerEventKind::Started if member.busy => None,
            ContainerEventKind::Died | ContainerEventKind::Started => Some((number, member.name.clone())),
            ContainerEventKind::OutOfMemory => {
                member.out_of_memory_at = happening.at.or(Some(now.time));
                None
            }
            ContainerEventKind::Removed => {
                // Of one that is about to be created here it is an older one's removal.
                member.id.as_ref()?;
                let reason = if member.leaving { "" } else { "removed by someone else" };
                self.forget(number, happening.at.unwrap_or(now.time), reason);
                self.fill(now);
                None
            }
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&self.prefix)?.strip_prefix('-')?.parse().ok()
    }

    /// Whether enough is known of a container for as long as it runs.
    pub(super) fn known(&self) -> HashSet<String> {
        self.members
            .values()
            .filter(|member| member.life.is_some())
            .map(|member| member.name.clone())
            .collect()
    }

    /// Takes the list of all containers that there are.
    pub(super) fn listed(
        &mut self,
        asked: u64,
        found: &[ListedContainer],
        log: &mut KernelLog,
        now: BothClocks,
    ) {
        let there: HashSet<&str> = found.iter().map(|(listed, _)| listed.name.as_str()).collect();
        let gone = |member: &PodmanInstance| {
            member.id.is_some()
                && !member.busy
                && member.asked < asked
                && !there.contains(member.name.as_str())
        };
        let gone: Vec<u32> =
            self.members.iter().filter(|(_, m)| gone(m)).map(|(number, _)| *number).collect();
        for number in gone {
            self.forget(number, now.time, "was gone when the watch came back");
        }
        for (listed, seen) in found {
            let Some(number) = self.number(&listed.name) else { continue };
            self.next = self.next.max(number.saturating_add(1));
            self.members.entry(number).or_insert_with(|| {
                let uid = listed.uid.clone().unwrap_or_else(|| listed.id.clone());
                let mut member = PodmanInstance::new(listed.name.clone(), uid, now);
                member.id = Some(listed.id.clone());
                member.due = None;
                member.become_state(State::Creating, None, "");
                member
            });
            if let Some(seen) = seen {
                self.saw(number, asked, seen, log, now);
            }
        }
    }

    /// All of them, as they are.
    pub(super) fn statuses(&self) -> Vec<InstanceStatus> {
        let node = |member: &PodmanInstance| (member.state != State::Pending).then_some(self.node.as_str());
        self.members.values().map(|member| member.instance_status(node(member))).collect()
    }

    /// Makes up for what is missing and what is too much.
    pub(super) fn settle(&mut self, now: BothClocks) {
        self.fill(now);
    }

    /// Whose log to read now.
    pub(super) fn reading(&mut self, now: Instant) -> Option<(u32, String)> {
        let resting = self.members.iter().filter(|(_, member)| !member.reading);
        let number = self.telling.next(now, resting.map(|(number, m)| (*number, m.state, m.read_at)))?;
        let member = self.members.get_mut(&number)?;
        member.reading = true;
        member.read_at = Some(now);
        Some((number, member.name.clone()))
    }

    /// A log has been read.
    pub(super) fn read(&mut self, number: u32, record: Option<Map<String, Value>>) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.reading = false;
        let Some(record) = record else { return };
        let (is_new, changed) = member.report(&record, &self.telling);
        if is_new {
            let uid = member.uid.clone();
            self.events.push(Event::Report(InstanceReport { uid, record }));
        }
        if changed {
            self.tell(number);
        }
    }
}

#[cfg(test)]
mod tests;
