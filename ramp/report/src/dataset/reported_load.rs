//! Memory of the instances on a kernel by their own reports, at any time.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::{Recorded, ReportRow};
use ramp_format::rows::PodRow;
use ramp_format::state::State;

/// Page tables, as a share of memory in small pages: 8 bytes of each 4096 (Documentation/mm/page_tables.rst).
pub(super) const PAGE_TABLES: f64 = 1.0 / 512.0;

/// What instances report to hold.
pub(super) struct ReportedLoad<'d> {
    /// The reports of each instance, the oldest first, by the index of its uid.
    by_instance: Vec<Vec<&'d ReportRow>>,
    /// The indices of uids.
    instances: HashMap<&'d str, usize>,
    /// Bytes a second that they grow by, where the manifest says.
    rate: Option<f64>,
    /// Whether instances report at all.
    pub(super) known: bool,
    /// What those that hold their memory hold on average.
    full: f64,
    /// Of that: anonymous memory that is resident.
    pub(super) anon: f64,
    /// Of that: swapped out.
    pub(super) swapped: f64,
    /// The same of each group of a mixed run that reports.
    of_group: HashMap<&'d str, f64>,
}

impl<'d> ReportedLoad<'d> {
    pub(super) fn of(recorded: &'d Recorded, until: f64) -> Self {
        let uids = &recorded.reports.uids;
        let instances: HashMap<&str, usize> =
            uids.iter().enumerate().map(|(at, uid)| (uid.as_str(), at)).collect();
        let mut by_instance: Vec<Vec<&ReportRow>> = vec![Vec::new(); uids.len()];
        for report in &recorded.reports.reports {
            if report.memory_resident_bytes.is_some()
                && report.made_seconds.is_some()
                && let Some(own) = by_instance.get_mut(report.instance as usize)
            {
                own.push(report);
            }
        }
        for reports in &mut by_instance {
            reports.sort_by(|a, b| a.made_seconds.partial_cmp(&b.made_seconds).unwrap_or(Ordering::Equal));
        }
        let of_one = |reports: &Vec<&'d ReportRow>| -> Option<&'d ReportRow> {
            let counts = |report: &&&ReportRow| report.is_full() && report.elapsed_seconds <= until;
            reports.iter().rfind(counts).copied()
        };
        let last: Vec<&ReportRow> = by_instance.iter().filter_map(of_one).collect();
        let bytes = |of: fn(&ReportRow) -> Option<u64>| -> Vec<f64> {
            last.iter().filter_map(|report| of(report)).map(|bytes| bytes as f64).collect()
        };
        let mut full = bytes(ReportRow::held_bytes);
        let swapped = bytes(|report| report.memory_swap_bytes);
        let anon = bytes(|report| report.memory_anon_bytes);
        if full.is_empty() {
            // None has got there: what each is to hold.
            let target =
                |reports: &Vec<&ReportRow>| reports.last()?.memory_target_bytes.map(|bytes| bytes as f64);
            full.extend(by_instance.iter().filter_map(target));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let mut of_group: HashMap<&str, Vec<f64>> = HashMap::new();
        let groups = recorded.pods.iter().filter_map(|row| Some((row.uid.as_str(), row.group.as_deref()?)));
        for (uid, group) in groups.collect::<HashMap<_, _>>() {
            let own = instances.get(uid).and_then(|at| by_instance.get(*at));
            let last = own.and_then(of_one).and_then(ReportRow::held_bytes);
            if let Some(bytes) = last {
                of_group.entry(group).or_default().push(bytes as f64);
            }
        }
        let of_group = of_group.into_iter().map(|(group, bytes)| (group, mean(&bytes))).collect();
        let mean = mean(&full);
        Self {
            of_group,
            known: !full.is_empty(),
            full: mean,
            anon: anon.iter().sum::<f64>() / anon.len().max(1) as f64,
            swapped: swapped.iter().sum::<f64>() / swapped.len().max(1) as f64,
            rate: recorded.settings().growth_bytes_per_second,
            by_instance,
            instances,
        }
    }

    /// What each that holds its memory takes, with page tables; 0 where none reports.
    pub(super) fn each(&self) -> f64 {
        self.full * (1.0 + PAGE_TABLES)
    }

    /// The same of a group: that of all where none of it reports.
    pub(super) fn each_of(&self, group: &str) -> f64 {
        self.of_group.get(group).copied().unwrap_or(self.full) * (1.0 + PAGE_TABLES)
    }

    /// What an instance (the index of its uid) holds at a time by its node's clock; none where it has not begun to report.
    fn holds(&self, instance: usize, at: f64, of: HeldBytes) -> Option<HeldMemory> {
        let reports = self.by_instance.get(instance)?;
        let next = reports.partition_point(|report| report.made_seconds.is_some_and(|made| made <= at));
        let last = reports.get(next.checked_sub(1)?)?;
        let (resident, made) = (of.bytes(last)? as f64, last.made_seconds?);
        if last.is_full() {
            let to = reports.get(next).and_then(|next| next.made_seconds).unwrap_or(f64::INFINITY);
            return Some(HeldMemory { of, bytes: resident, is_full: true, from: made, to });
        }
        let since = at - made;
        let target = last.memory_target_bytes.map_or(f64::INFINITY, |bytes| bytes as f64);
        let by_next = reports.get(next).and_then(|report| {
            let (bytes, next_made) = (of.bytes(report)? as f64, report.made_seconds?);
            Some((bytes, next_made - made))
        });
        let grown = match (self.rate, by_next) {
            (Some(rate), by_next) => {
                (resident + rate * since).min(target).min(by_next.map_or(f64::INFINITY, |(bytes, _)| bytes))
            }
            (None, Some((bytes, time))) => resident + (bytes - resident) * (since / time.max(1e-9)).min(1.0),
            (None, None) => return None,
        };
        Some(HeldMemory { of, bytes: grown, is_full: false, from: at, to: at })
    }
}

/// What counts of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldBytes {
    /// What is resident.
    Resident,
    /// Also what is swapped out.
    WithSwapped,
}

impl HeldBytes {
    fn bytes(self, report: &ReportRow) -> Option<u64> {
        match self {
            Self::Resident => report.memory_resident_bytes,
            Self::WithSwapped => report.held_bytes(),
        }
    }
}

/// What an instance holds from a time until before another one, by its node's clock.
#[derive(Clone, Copy, Debug)]
struct HeldMemory {
    of: HeldBytes,
    bytes: f64,
    /// Whether that is all of its memory.
    is_full: bool,
    from: f64,
    to: f64,
}

/// An instance with a running container.
#[derive(Default)]
pub(super) struct AliveInstance {
    /// Whether it has been seen to hold its memory.
    is_ready: bool,
    /// The index of its uid, once that was looked up; none of it where it makes no reports.
    reports: Option<Option<usize>>,
    /// What it held when that was looked up last: mostly it holds as much until its next report.
    held: Option<HeldMemory>,
}

impl AliveInstance {
    fn holds(&mut self, uid: &str, load: &ReportedLoad<'_>, at: f64, of: HeldBytes) -> Option<HeldMemory> {
        let still = |held: &HeldMemory| held.of == of && held.from <= at && at < held.to;
        if !self.held.as_ref().is_some_and(still) {
            let reports = *self.reports.get_or_insert_with(|| load.instances.get(uid).copied());
            self.held = load.holds(reports?, at, of);
        }
        self.held
    }
}

/// Instances on the nodes of a kernel.
#[derive(Default)]
pub(super) struct KernelInstances<'d> {
    /// Those with a running container.
    pub(super) alive: HashMap<&'d str, AliveInstance>,
    /// Those that are being made, or are to be started again: nobody tells what they take.
    unknown: HashSet<&'d str>,
    /// Nodes that have had one.
    pub(super) nodes: HashSet<&'d str>,
    /// The group of each that there has been, in a mixed run.
    groups: HashMap<&'d str, &'d str>,
    /// Nodes that have had one of a group.
    group_nodes: HashSet<(&'d str, &'d str)>,
    /// Whether any was told to end: what had been there may come back slowly.
    pub(super) any_ended: bool,
}

impl<'d> KernelInstances<'d> {
    pub(super) fn follow(&mut self, row: &'d PodRow) {
        let uid = row.uid.as_str();
        self.unknown.remove(uid);
        self.nodes.extend(row.node.as_deref());
        if let Some(group) = row.group.as_deref() {
            self.groups.insert(uid, group);
            self.group_nodes.extend(row.node.as_deref().map(|node| (group, node)));
        }
        match row.to.parse::<State>() {
            Ok(State::Running) => {
                self.alive.entry(uid).or_default();
            }
            Ok(State::Ready) => {
                self.alive.entry(uid).or_default().is_ready = true;
            }
            Ok(State::Creating | State::OomKilled | State::Failed) => {
                self.alive.remove(uid);
                self.unknown.insert(uid);
            }
            Ok(State::Terminating | State::Evicted | State::Gone) => {
                self.alive.remove(uid);
                self.any_ended = true;
            }
            _ => {
                self.alive.remove(uid);
            }
        }
    }

    /// Whether none is being made, or to be started again.
    pub(super) fn is_settled(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Instances of each of these groups, and nodes that have had one of it.
    pub(super) fn by_group(&self, groups: &[String]) -> Vec<(u32, u32)> {
        let of = |group: &String| {
            let alive = self.alive.keys().filter(|uid| self.groups.get(*uid) == Some(&group.as_str()));
            let nodes = self.group_nodes.iter().filter(|(of, _)| of == group);
            (alive.count() as u32, nodes.count() as u32)
        };
        groups.iter().map(of).collect()
    }

    /// What they hold together by their reports at a time of the nodes' clocks, and whether all hold their memory; none where
    /// that of one is not known.
    pub(super) fn reported(
        &mut self,
        load: &ReportedLoad<'_>,
        at: Option<f64>,
        of: HeldBytes,
    ) -> Option<(f64, bool)> {
        if !self.unknown.is_empty() {
            return None;
        }
        let (mut sum, mut all_full) = (0.0, true);
        for (uid, one) in &mut self.alive {
            let (bytes, is_full) = match at.and_then(|at| one.holds(uid, load, at, of)) {
                Some(held) => (held.bytes, held.is_full),
                // It holds its memory, and its reports have not come, or it makes none.
                None if one.is_ready => (load.full, true),
                None => return None,
            };
            sum += bytes;
            all_full &= is_full || one.is_ready && !load.known;
        }
        Some((sum * (1.0 + PAGE_TABLES), all_full))
    }
}
