//! What each kernel holds beyond what the instances on it report to hold, from samples of which it is known what was there.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::{Dataset, Freshness, NodeMemory, NodeSample, Recorded, ReportRow, Source, Step};
use crate::stats::{
    Observation, Point, STEADY_FOR_SECONDS, is_steady, is_steady_for, last, matters, mean, range,
};
use ramp_format::rows::{Part, PodRow};
use ramp_format::state::State;

/// Page tables, as a share of memory in small pages: 8 bytes of each 4096 (Documentation/mm/page_tables.rst).
const PAGE_TABLES: f64 = 1.0 / 512.0;

/// Memory against instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Which memory.
    pub measure: &'static str,
    /// Of what, and when it was looked at.
    pub of: String,
    /// Points with instances as x and bytes as y, for each thing that has an intercept of its own.
    pub series: Vec<Vec<Point>>,
    /// Where the source tells what instances hold themselves: the memory beyond that.
    pub beyond: Option<BeyondReported>,
}

/// What kernels hold beyond what their instances report to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct BeyondReported {
    /// For each kernel: bytes by time, with the instances there and the nodes that have had one as the first two regressors.
    pub observations: Vec<Vec<Observation>>,
    /// The same after the last instance was gone, where memory had stopped changing by then; empty where it had not, or nobody watched.
    pub after: Vec<Vec<Observation>>,
    /// What an instance that holds its memory reports on average, with page tables, in bytes; 0 where none reports.
    pub load_bytes: f64,
    /// Of that: anonymous memory on average, which nobody shares, in bytes; 0 where none reports it.
    pub anon_bytes: f64,
    /// Whether instances report.
    pub reported: bool,
    /// Whether it is memory that the kernel charges to the instances alone: nothing else is in it.
    pub charged: bool,
    /// The most instances of the observations, of all kernels together.
    pub instances: u32,
    /// Nodes that they were on.
    pub nodes: u32,
}

impl Dataset {
    /// Memory against instances at work, from fresh samples before a step (its index), or of all steps on the way up.
    #[must_use]
    pub fn costs(&self, before: Option<usize>) -> Costs {
        match &self.source {
            Source::Study => self.costs_by_steps(before),
            Source::Run(recorded) => self.costs_by_samples(recorded, before),
        }
    }

    fn costs_by_steps(&self, before: Option<usize>) -> Costs {
        let steps =
            self.way_up().filter(|(index, step)| step.fresh && before.is_none_or(|before| *index < before));
        let points = steps
            .filter_map(|(_, step)| Some(Point { x: step.running.into(), y: step.memory.active? as f64 }))
            .collect();
        Costs { measure: "active memory", of: "of all nodes".into(), series: vec![points], beyond: None }
    }

    /// Memory of each kernel beyond what its instances report, against their number. Nodes with one boot id share a kernel, and each of
    /// them tells the same of its memory.
    ///
    /// An instance that is being made or ends takes memory of which nobody tells: samples taken meanwhile are left out. While one
    /// fills, what it holds follows from its last report and its growth rate; where there are enough samples with all instances
    /// full, these alone count.
    pub(super) fn costs_by_samples(&self, recorded: &Recorded, before: Option<usize>) -> Costs {
        let until = self.until(before);
        let measure = self.measure(recorded, until);
        let load = ReportedLoad::of(recorded, until);
        let of_kernel = |kernel| self.of_kernel(recorded, kernel, &load, measure);
        let mut kernels: Vec<Vec<KernelObservation>> = (0..recorded.kernels.len()).map(of_kernel).collect();
        for looks in &mut kernels {
            looks.retain(|look| look.elapsed_seconds <= until);
        }
        let full = |looks: &&Vec<KernelObservation>| {
            let numbers: HashSet<u32> =
                looks.iter().filter(|look| look.all_full).map(|look| look.instances).collect();
            numbers.len() >= 2
        };
        let only_full = kernels.iter().any(|looks| full(&looks));
        let counts = |look: &&KernelObservation| look.all_full || !only_full;
        // What the first took once can be told from what each takes only where a kernel was seen with one number of them and with another.
        let numbers = |looks: &Vec<KernelObservation>| {
            let there = looks.iter().filter(counts).map(|look| look.instances).filter(|there| *there > 0);
            there.collect::<HashSet<u32>>().len()
        };
        let first_is_told = kernels.iter().any(|looks| numbers(looks) >= 2);
        let series = |looks: &Vec<KernelObservation>| {
            looks.iter().filter(counts).map(KernelObservation::point).collect()
        };
        let observations = |looks: &Vec<KernelObservation>| {
            looks.iter().filter(counts).map(|look| look.observation(first_is_told)).collect()
        };
        let most = |looks: &Vec<KernelObservation>| {
            looks.iter().filter(counts).map(|look| (look.instances, look.nodes)).max().unwrap_or_default()
        };
        let (instances, nodes) =
            kernels.iter().map(most).fold((0, 0), |(a, b), (instances, nodes)| (a + instances, b + nodes));
        Costs {
            measure: measure.name,
            of: match only_full {
                true => "per kernel, with all of its instances holding their memory".into(),
                false => "per kernel, with instances still allocating".into(),
            },
            series: kernels.iter().map(series).collect(),
            beyond: Some(BeyondReported {
                observations: kernels.iter().map(observations).collect(),
                after: kernels
                    .iter()
                    .enumerate()
                    .map(|(kernel, looks)| {
                        self.observed_after(recorded, kernel, measure, looks, first_is_told)
                    })
                    .collect(),
                load_bytes: load.each(),
                anon_bytes: load.anon,
                reported: load.known,
                charged: measure.is_charged,
                instances,
                nodes,
            }),
        }
    }

    /// What a kernel held after the last instance was gone, where that was steady.
    fn observed_after(
        &self,
        recorded: &Recorded,
        kernel: usize,
        measure: MemorySource,
        looks: &[KernelObservation],
        first_is_told: bool,
    ) -> Vec<Observation> {
        let MemoryAfter { values, .. } = self.after_the_last(recorded, kernel, measure);
        if is_steady(&values, &before_the_first(looks)) != Some(true) {
            return Vec::new();
        }
        // Times of observations are those of the node's clock.
        let ahead = looks.first().map_or(0.0, |look| look.seconds - look.elapsed_seconds);
        let first = looks.last().filter(|_| first_is_told).map_or(0, |look| look.nodes);
        let of = |(seconds, bytes): &(f64, f64)| Observation {
            seconds: seconds + ahead,
            x: [0.0, first.into(), 0.0],
            y: *bytes,
        };
        last(&values, STEADY_FOR_SECONDS).iter().map(of).collect()
    }

    /// Until when samples count, in seconds since the run began: the step of saturation has begun by then; where there is none, until there
    /// are fewer again.
    fn until(&self, before: Option<usize>) -> f64 {
        let counts = |(index, step): &(usize, &Step)| match before {
            Some(before) => *index < before && step.part == Part::Up,
            None => matches!(step.part, Part::Up | Part::Hold),
        };
        let last = self.steps.iter().enumerate().rfind(counts);
        last.and_then(|(_, step)| step.elapsed_seconds).unwrap_or(0.0)
    }

    /// What is asked of each sample: what instances have together, where a kernel accounts for that alone; else what the machine holds.
    fn measure(&self, recorded: &Recorded, until: f64) -> MemorySource {
        let fresh = self.nodes.iter().flat_map(|node| &node.samples);
        let counts = |sample: &&NodeSample| {
            sample.freshness == Freshness::Fresh && sample.elapsed_seconds.is_some_and(|at| at <= until)
        };
        let mut fresh = fresh.filter(counts).peekable();
        let is_watched_by_ramp = recorded.events.iter().any(|event| event.reason == "watched_by_ramp");
        if !is_watched_by_ramp && fresh.peek().is_some() && fresh.all(|sample| sample.budget_used.is_some()) {
            return MemorySource {
                name: "memory charged to the instances' cgroup",
                bytes: |sample| sample.budget_used,
                is_charged: true,
            };
        }
        self.measure_of_machine()
    }

    /// What samples of a kernel say that were taken when it was known what was there.
    fn of_kernel(
        &self,
        recorded: &Recorded,
        kernel: usize,
        load: &ReportedLoad<'_>,
        measure: MemorySource,
    ) -> Vec<KernelObservation> {
        let nodes = recorded.kernels.get(kernel).map_or(&[][..], Vec::as_slice);
        let mut samples: Vec<&NodeSample> = Vec::new();
        for at in nodes {
            let all = self.nodes.get(*at).map_or(&[][..], |node| &node.samples);
            samples.extend(all.iter().filter(|sample| sample.kernel == Some(kernel)));
        }
        samples.sort_by(|a, b| taken(a).partial_cmp(&taken(b)).unwrap_or(Ordering::Equal));
        let names: HashSet<&str> =
            nodes.iter().filter_map(|at| self.nodes.get(*at)).map(|node| node.name.as_str()).collect();
        let mut pods = recorded.happened(&names).into_iter().peekable();
        let mut there = KernelInstances::default();
        let mut looked: Vec<KernelObservation> = Vec::new();
        for sample in samples {
            let Some(now) = taken(sample) else { continue };
            // What came to be seen in the same millisecond had no time to take anything.
            while let Some((_, row)) = pods.next_if(|(at, _)| *at < now) {
                there.follow(row);
            }
            if there.any_ended {
                break;
            }
            let may_have_gone = recorded.undated.iter().any(|gone| {
                names.contains(gone.node.as_str()) && (gone.from_seconds..=gone.to_seconds).contains(&now)
            });
            if sample.freshness != Freshness::Fresh || may_have_gone {
                continue;
            }
            let Some(bytes) = (measure.bytes)(sample).map(|bytes| bytes as f64) else { continue };
            let Some((reported, all_full)) = there.reported(load, sample.taken_seconds) else { continue };
            let seconds = sample.taken_seconds.unwrap_or(now);
            // Nodes that share a kernel tell the same at once.
            if looked.last().is_some_and(|last| seconds <= last.seconds) {
                continue;
            }
            looked.push(KernelObservation {
                seconds,
                elapsed_seconds: sample.elapsed_seconds.unwrap_or(now),
                bytes,
                reported,
                instances: there.alive.len() as u32,
                nodes: there.nodes.len() as u32,
                all_full,
            });
        }
        looked
    }
}

/// Memory of all kernels after the last instance was gone, against that before the first.
#[derive(Clone, Debug, PartialEq)]
pub struct RetainedMemory {
    /// Kernels that told of both.
    pub kernels: usize,
    /// Kernels that had instances and did not.
    pub untold: usize,
    /// By how many bytes it is more; less than 0 where it is less.
    pub missing_bytes: f64,
    /// For how many seconds it was watched after the last instance was gone.
    pub waited_seconds: f64,
    /// Whether it had stopped changing by then; none where that was too short a time to tell.
    pub steady: Option<bool>,
    /// The most that kernels held for their instances.
    pub held_bytes: f64,
    /// What is too little to matter, by what the idle machines did by themselves.
    pub idle_bytes: f64,
    /// Whether nothing else came or went: neither after the last instance nor while as many were held.
    pub is_quiet: bool,
    /// The most instances at once, of all kernels together.
    pub instances: u32,
    /// For each kernel: bytes beyond what instances report by time, with the instances there and the most that there have been as the first
    /// and the last regressor.
    pub observations: Vec<Vec<Observation>>,
}

impl Dataset {
    /// What memory per container is made from: what the kernel charges to the instances alone, where they have a cgroup of their own; else
    /// anonymous and shared memory of the machines, whoever has it.
    fn measure_of_usage(&self, recorded: &Recorded) -> MemorySource {
        let measure = self.measure(recorded, f64::INFINITY);
        if measure.is_charged {
            return measure;
        }
        MemorySource {
            name: "anonymous and shared memory of all nodes, minus that before the first step",
            bytes: |sample| sample.memory.anon_and_shared,
            is_charged: false,
        }
    }

    /// Whether memory per container is made from what the kernel charges to the instances alone.
    #[must_use]
    pub fn is_charged(&self) -> bool {
        matches!(&self.source, Source::Run(recorded) if self.measure_of_usage(recorded).is_charged)
    }

    /// What memory per container is made from, in words.
    #[must_use]
    pub fn usage_measure(&self) -> &'static str {
        match &self.source {
            Source::Study => "active memory of all nodes",
            Source::Run(recorded) => self.measure_of_usage(recorded).name,
        }
    }

    /// Memory of all kernels beyond what there was before the first step, in bytes, by [`Self::usage_measure`], at each step (its index)
    /// that has a sample of each kernel from when all of its instances held their memory, and none came or went.
    #[must_use]
    pub fn held_more(&self) -> Vec<(usize, f64)> {
        let Source::Run(recorded) = &self.source else { return Vec::new() };
        let load = ReportedLoad::of(recorded, f64::INFINITY);
        let measure = self.measure_of_usage(recorded);
        let kernels: Vec<Vec<KernelObservation>> = (0..recorded.kernels.len())
            .map(|kernel| self.of_kernel(recorded, kernel, &load, measure))
            .collect();
        let idle = |looks: &Vec<KernelObservation>| {
            let quiet = before_the_first(looks);
            (!quiet.is_empty()).then(|| mean(&quiet))
        };
        let Some(idle) = kernels.iter().map(idle).collect::<Option<Vec<f64>>>() else { return Vec::new() };
        let of_step = |(index, step): (usize, &Step)| {
            let (held, end) = (step.ready.filter(|held| *held > 0)?, step.elapsed_seconds?);
            let began = end - step.step_seconds.unwrap_or(0.0);
            let (mut instances, mut bytes) = (0, 0.0);
            for (looks, idle) in kernels.iter().zip(&idle) {
                let last = looks.partition_point(|look| look.elapsed_seconds <= end);
                let look = looks.get(last.checked_sub(1)?).filter(|look| look.all_full)?;
                // An older one may be from before a time in which nothing was seen.
                if look.elapsed_seconds < began.min(end - RECENT_SECONDS) {
                    return None;
                }
                instances += look.instances;
                bytes += look.bytes - idle;
            }
            (instances == held && !kernels.is_empty()).then_some((index, bytes))
        };
        self.steps.iter().enumerate().filter_map(of_step).collect()
    }

    /// What is left of memory; none where no kernel told before and after.
    #[must_use]
    pub fn remains(&self, recorded: &Recorded, before: Option<usize>) -> Option<RetainedMemory> {
        let until = self.until(before);
        let measure = self.measure_of_machine();
        let load = ReportedLoad::of(recorded, until);
        let mut remains = RetainedMemory {
            kernels: 0,
            untold: 0,
            missing_bytes: 0.0,
            waited_seconds: f64::INFINITY,
            steady: Some(true),
            held_bytes: 0.0,
            idle_bytes: 0.0,
            is_quiet: true,
            instances: 0,
            observations: Vec::new(),
        };
        for kernel in 0..recorded.kernels.len() {
            let looks = self.of_kernel(recorded, kernel, &load, measure);
            let MemoryAfter { gone, most, values } = self.after_the_last(recorded, kernel, measure);
            let quiet = before_the_first(&looks);
            let (Some(gone), Some((end, _)), false) = (gone, values.last(), quiet.is_empty()) else {
                remains.untold += usize::from(most > 0);
                continue;
            };
            let steady = is_steady(&values, &quiet);
            let settled = last(&values, STEADY_FOR_SECONDS);
            let (idle, after) = (mean(&quiet), mean(settled));
            let mut observations: Vec<Observation> = looks
                .iter()
                .filter(|look| look.elapsed_seconds <= until)
                .map(|look| {
                    let mut observation = look.observation(false);
                    observation.x[2] = look.instances.into();
                    observation.seconds = look.elapsed_seconds;
                    observation
                })
                .collect();
            if steady == Some(true) {
                observations.extend(settled.iter().map(|(seconds, bytes)| Observation {
                    seconds: *seconds,
                    x: [0.0, 0.0, most.into()],
                    y: *bytes,
                }));
            }
            // What is held while as many instances are there is the machine's own doing.
            let most_there = looks.iter().map(|look| look.instances).max().unwrap_or(0);
            let held: Vec<(f64, f64)> = looks
                .iter()
                .filter(|look| look.instances == most_there && look.all_full)
                .map(|look| (look.elapsed_seconds, look.bytes))
                .collect();
            let missing = after - idle;
            remains.is_quiet &= is_steady_for(&values, QUIET_FOR_SECONDS, &quiet)
                && range(&held) <= (missing / 4.0).max(matters(&quiet));
            remains.idle_bytes += matters(&quiet);
            remains.kernels += 1;
            remains.missing_bytes += missing;
            remains.waited_seconds = remains.waited_seconds.min(end - gone);
            remains.steady = match (remains.steady, steady) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                (Some(true), Some(true)) => Some(true),
            };
            remains.held_bytes += f64::from(most) * load.each()
                + (looks.iter().map(|look| look.bytes - look.reported).fold(idle, f64::max) - idle);
            remains.instances += most;
            remains.observations.push(observations);
        }
        (remains.kernels > 0).then_some(remains)
    }

    /// What a machine as a whole holds, whoever it is charged to: memory that cannot be taken back, or, where some sample does
    /// not tell, memory that is not available. That is also moved by pages which wait in lists of their CPUs to be used again,
    /// and by caches that are given up.
    fn measure_of_machine(&self) -> MemorySource {
        let fresh = self.nodes.iter().flat_map(|node| &node.samples);
        let mut fresh = fresh.filter(|sample| sample.freshness == Freshness::Fresh);
        match fresh.all(|sample| sample.memory.unreclaimable.is_some()) {
            true => MemorySource {
                name: "unreclaimable memory (anonymous, shared, slab, stacks, page tables, per CPU, huge pages in use)",
                bytes: |sample| sample.memory.unreclaimable,
                is_charged: false,
            },
            false => MemorySource {
                name: "memory not available (MemTotal − MemAvailable)",
                bytes: |sample| NodeMemory::not_available(&sample.memory),
                is_charged: false,
            },
        }
    }

    /// Samples of a kernel after the last of its instances was gone, when that was, and the most that there had been.
    fn after_the_last(&self, recorded: &Recorded, kernel: usize, measure: MemorySource) -> MemoryAfter {
        let nodes = recorded.kernels.get(kernel).map_or(&[][..], Vec::as_slice);
        let nodes: Vec<&super::NodeSeries> = nodes.iter().filter_map(|at| self.nodes.get(*at)).collect();
        let names: HashSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let mut there: HashSet<&str> = HashSet::new();
        let (mut gone, mut most) = (None, 0);
        for (seconds, row) in recorded.happened(&names) {
            match row.to.parse::<State>() {
                Ok(State::Gone) => there.remove(row.uid.as_str()),
                _ => there.insert(&row.uid),
            };
            most = most.max(there.len() as u32);
            gone = there.is_empty().then_some(seconds);
        }
        let mut values: Vec<(f64, f64)> = nodes
            .iter()
            .flat_map(|node| &node.samples)
            .filter(|sample| sample.freshness == Freshness::Fresh && sample.kernel == Some(kernel))
            .filter_map(|sample| Some((taken(sample)?, (measure.bytes)(sample)? as f64)))
            .filter(|(seconds, _)| gone.is_some_and(|gone| *seconds >= gone))
            .collect();
        values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        MemoryAfter { gone, most, values }
    }
}

/// What a kernel held after the last of its instances.
struct MemoryAfter {
    /// When that was gone, in seconds since the run began.
    gone: Option<f64>,
    /// The most instances that there were at once.
    most: u32,
    /// Seconds and bytes.
    values: Vec<(f64, f64)>,
}

/// A sample counts for a step if it is from within it, or no older than this when it ends.
const RECENT_SECONDS: f64 = 5.0;

/// Memory that others hold for a while is gone after so long, often.
const QUIET_FOR_SECONDS: f64 = 15.0;

/// Seconds since the run began, and bytes, of a kernel before it had an instance.
fn before_the_first(looks: &[KernelObservation]) -> Vec<(f64, f64)> {
    let idle = looks.iter().take_while(|look| look.nodes == 0);
    idle.map(|look| (look.elapsed_seconds, look.bytes)).collect()
}

/// When a sample was taken, in seconds since the run began.
pub(super) fn taken(sample: &NodeSample) -> Option<f64> {
    Some(sample.elapsed_seconds? - sample.age_seconds.unwrap_or(0.0))
}

/// What is asked of each sample.
#[derive(Clone, Copy)]
pub(super) struct MemorySource {
    pub(super) name: &'static str,
    pub(super) bytes: fn(&NodeSample) -> Option<u64>,
    /// Whether it is what the kernel charges to the instances alone: nothing else is in it.
    pub(super) is_charged: bool,
}

/// A sample of a kernel of which it is known what was there.
struct KernelObservation {
    /// When, by its node's clock.
    seconds: f64,
    /// When it was recorded, since the run began.
    elapsed_seconds: f64,
    bytes: f64,
    /// What the instances held then, with page tables.
    reported: f64,
    instances: u32,
    /// Nodes of the kernel that have had an instance by then.
    nodes: u32,
    all_full: bool,
}

impl KernelObservation {
    fn point(&self) -> Point {
        Point { x: self.instances.into(), y: self.bytes }
    }

    /// Its nodes count where it can be told what the first instance on a node took once.
    fn observation(&self, first_is_told: bool) -> Observation {
        let first = if first_is_told { self.nodes.into() } else { 0.0 };
        let x = [self.instances.into(), first, 0.0];
        Observation { seconds: self.seconds, x, y: self.bytes - self.reported }
    }
}

/// What instances report to hold.
struct ReportedLoad<'d> {
    /// The reports of each instance, the oldest first, by its uid.
    by_uid: HashMap<&'d str, Vec<&'d ReportRow>>,
    /// Bytes a second that they grow by, where the manifest says.
    rate: Option<f64>,
    /// Whether instances report at all.
    known: bool,
    /// What those that hold their memory hold on average.
    full: f64,
    /// Of that: anonymous memory.
    anon: f64,
}

impl<'d> ReportedLoad<'d> {
    fn of(recorded: &'d Recorded, until: f64) -> Self {
        let mut by_uid: HashMap<&str, Vec<&ReportRow>> = HashMap::new();
        for report in &recorded.reports.reports {
            if let (Some(uid), Some(_), Some(_)) = (
                recorded.reports.uids.get(report.instance as usize),
                report.memory_resident_bytes,
                report.made_seconds,
            ) {
                by_uid.entry(uid).or_default().push(report);
            }
        }
        for reports in by_uid.values_mut() {
            reports.sort_by(|a, b| a.made_seconds.partial_cmp(&b.made_seconds).unwrap_or(Ordering::Equal));
        }
        let of_one = |reports: &Vec<&'d ReportRow>| -> Option<&'d ReportRow> {
            let counts = |report: &&&ReportRow| report.is_full() && report.elapsed_seconds <= until;
            reports.iter().rfind(counts).copied()
        };
        let last: Vec<&ReportRow> = by_uid.values().filter_map(of_one).collect();
        let bytes = |of: fn(&ReportRow) -> Option<u64>| -> Vec<f64> {
            last.iter().filter_map(|report| of(report)).map(|bytes| bytes as f64).collect()
        };
        let mut full = bytes(|report| report.memory_resident_bytes);
        let anon = bytes(|report| report.memory_anon_bytes);
        if full.is_empty() {
            // None has got there: what each is to hold.
            let target =
                |reports: &Vec<&ReportRow>| reports.last()?.memory_target_bytes.map(|bytes| bytes as f64);
            full.extend(by_uid.values().filter_map(target));
        }
        let mean = full.iter().sum::<f64>() / full.len().max(1) as f64;
        Self {
            known: !full.is_empty(),
            full: mean,
            anon: anon.iter().sum::<f64>() / anon.len().max(1) as f64,
            rate: recorded.settings().growth_bytes_per_second,
            by_uid,
        }
    }

    /// What each that holds its memory takes, with page tables; 0 where none reports.
    fn each(&self) -> f64 {
        self.full * (1.0 + PAGE_TABLES)
    }

    /// What an instance holds at a time by its node's clock, and whether that is all; none where it has not begun to report.
    fn holds(&self, uid: &str, at: f64) -> Option<(f64, bool)> {
        let reports = self.by_uid.get(uid)?;
        let next = reports.partition_point(|report| report.made_seconds.is_some_and(|made| made <= at));
        let last = reports.get(next.checked_sub(1)?)?;
        let resident = last.memory_resident_bytes? as f64;
        if last.is_full() {
            return Some((resident, true));
        }
        let since = at - last.made_seconds?;
        let target = last.memory_target_bytes.map_or(f64::INFINITY, |bytes| bytes as f64);
        let by_next = reports.get(next).and_then(|report| {
            let (bytes, made) = (report.memory_resident_bytes? as f64, report.made_seconds?);
            Some((bytes, made - last.made_seconds?))
        });
        let grown = match (self.rate, by_next) {
            (Some(rate), by_next) => {
                (resident + rate * since).min(target).min(by_next.map_or(f64::INFINITY, |(bytes, _)| bytes))
            }
            (None, Some((bytes, time))) => resident + (bytes - resident) * (since / time.max(1e-9)).min(1.0),
            (None, None) => return None,
        };
        Some((grown, false))
    }
}

/// Instances on the nodes of a kernel.
#[derive(Default)]
struct KernelInstances<'d> {
    /// Those with a container at work, by whether they have been seen to hold their memory.
    alive: HashMap<&'d str, bool>,
    /// Those that are being made, or are to be started again: nobody tells what they take.
    unknown: HashSet<&'d str>,
    /// Nodes that have had one.
    nodes: HashSet<&'d str>,
    /// Whether any was told to end: what had been there may come back slowly.
    any_ended: bool,
}

impl<'d> KernelInstances<'d> {
    fn follow(&mut self, row: &'d PodRow) {
        let uid = row.uid.as_str();
        self.unknown.remove(uid);
        self.nodes.extend(row.node.as_deref());
        match row.to.parse::<State>() {
            Ok(State::Running) => {
                self.alive.entry(uid).or_insert(false);
            }
            Ok(State::Ready) => {
                self.alive.insert(uid, true);
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

    /// What they hold together by their reports at a time of the nodes' clocks, and whether all hold their memory; none where
    /// that of one is not known.
    fn reported(&self, load: &ReportedLoad<'_>, at: Option<f64>) -> Option<(f64, bool)> {
        if !self.unknown.is_empty() {
            return None;
        }
        let (mut sum, mut all_full) = (0.0, true);
        for (uid, is_ready) in &self.alive {
            let (bytes, is_full) = match at.and_then(|at| load.holds(uid, at)) {
                Some(held) => held,
                // It holds its memory, and its reports have not come, or it makes none.
                None if *is_ready => (load.full, true),
                None => return None,
            };
            sum += bytes;
            all_full &= is_full || *is_ready && !load.known;
        }
        Some((sum * (1.0 + PAGE_TABLES), all_full))
    }
}
