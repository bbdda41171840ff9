//! What memory a number of instances takes: of each kernel, from samples at which none of its instances was on its way.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::{Costs, Dataset, Freshness, Memory, Recorded, Sample, Stayed, Step};
use crate::record::{Part, PodRow};
use crate::state::State;
use crate::statistics::Point;

/// Numbers of instances at which there must be such a sample. Where there are fewer all fresh samples count.
const ENOUGH: usize = 5;

/// Points, and whether none of the instances was on its way.
struct Sampled {
    point: Point,
    settled: bool,
    elapsed_seconds: f64,
}

impl Dataset {
    /// Memory of each kernel against instances at work on its nodes. Nodes with one boot id share a kernel, and each of them tells the
    /// same of its memory.
    ///
    /// An instance that is being made takes memory before it is at work, and one that is at work may not have all of its memory yet: on a
    /// ramp that goes on as soon as it can, many samples are taken in the midst of this. Those at which each instance that was made was
    /// full, as it reported by its node's clock or as its state tells, are preferred to all others.
    pub(super) fn costs_by_samples(&self, recorded: &Recorded, before: Option<usize>) -> Costs {
        let until = self.until(before);
        let full = full_since(recorded);
        let measure = self.measure();
        let of_kernel = |kernel| self.of_kernel(recorded, kernel, &full, measure);
        let mut kernels: Vec<OfKernel> = (0..recorded.kernels.len()).map(of_kernel).collect();
        for kernel in &mut kernels {
            kernel.sampled.retain(|sampled| sampled.elapsed_seconds <= until);
        }
        let numbers: HashSet<u64> = kernels
            .iter()
            .flat_map(|kernel| &kernel.sampled)
            .filter(|sampled| sampled.settled)
            .map(|sampled| sampled.point.x as u64)
            .collect();
        let only_settled = numbers.len() >= ENOUGH;
        let points = |kernel: &OfKernel| {
            let counts = |sampled: &&Sampled| sampled.settled || !only_settled;
            kernel.sampled.iter().filter(counts).map(|sampled| sampled.point).collect()
        };
        let when = if only_settled { "while no instance was on its way" } else { "at any time" };
        let series: Vec<Vec<Point>> = kernels.iter().map(points).collect();
        let stayed = kernels.iter().zip(&series).filter_map(|(kernel, points)| {
            let instances = points.iter().map(|point| point.x).fold(0.0, f64::max);
            Some(Stayed { bytes: kernel.stayed?, instances })
        });
        let stayed =
            stayed.reduce(|a, b| Stayed { bytes: a.bytes + b.bytes, instances: a.instances + b.instances });
        Costs { measure: measure.name, of: format!("of each kernel, {when}"), series, stayed }
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

    /// What is asked of each sample: of memory that cannot be taken back, or, where some sample does not tell, of memory that is not
    /// available. That is also moved by pages which wait in lists of their CPUs to be used again, and by caches that are given up.
    fn measure(&self) -> Measure {
        let fresh = || {
            let samples = self.nodes.iter().flat_map(|node| &node.samples);
            samples.filter(|sample| sample.freshness == Freshness::Fresh)
        };
        if fresh().all(|sample| sample.memory.unreclaimable.is_some()) {
            return Measure {
                name: "unreclaimable memory (anonymous, shared, slab, stacks, page tables, per CPU, huge pages in use)",
                bytes: |memory| memory.unreclaimable,
            };
        }
        Measure {
            name: "memory that is not available (MemTotal − MemAvailable)",
            bytes: Memory::not_available,
        }
    }

    fn of_kernel(
        &self,
        recorded: &Recorded,
        kernel: usize,
        full: &HashMap<&str, f64>,
        measure: Measure,
    ) -> OfKernel {
        let nodes = recorded.kernels.get(kernel).map_or(&[][..], Vec::as_slice);
        let mut samples: Vec<(usize, &Sample)> = Vec::new();
        for at in nodes {
            let all = self.nodes.get(*at).map_or(&[][..], |node| &node.samples);
            let of_kernel = all.iter().filter(|sample| sample.kernel == Some(kernel));
            samples.extend(of_kernel.map(|sample| (*at, sample)));
        }
        samples.sort_by(|(_, a), (_, b)| {
            a.elapsed_seconds.partial_cmp(&b.elapsed_seconds).unwrap_or(Ordering::Equal)
        });
        let names: HashSet<&str> =
            nodes.iter().filter_map(|at| self.nodes.get(*at)).map(|node| node.name.as_str()).collect();
        let on_these = |row: &&PodRow| row.node.as_deref().is_some_and(|node| names.contains(node));
        let mut pods = recorded.pods.iter().filter(on_these).peekable();
        let mut kernel = Kernel::new(full);
        let mut instances: HashMap<usize, u32> = HashMap::new();
        let mut sampled = Vec::new();
        let (mut before, mut after) = (None, None);
        for (node, sample) in samples {
            let Some(now) = sample.elapsed_seconds else { continue };
            // One that came late tells of what was before.
            let taken = now - sample.age_seconds.unwrap_or(0.0);
            while let Some(row) = pods.next_if(|row| row.elapsed_seconds <= taken) {
                kernel.follow(row);
            }
            if let Some(now) = sample.instances {
                instances.insert(node, now);
            }
            if sample.freshness != Freshness::Fresh || instances.len() < nodes.len() {
                continue;
            }
            let Some(bytes) = (measure.bytes)(&sample.memory).map(|bytes| bytes as f64) else { continue };
            match (kernel.is_empty(), kernel.untouched) {
                (true, true) => before = Some(bytes),
                (true, false) => after = Some(bytes),
                // It was not the last one that was gone.
                (false, _) => after = None,
            }
            let full = kernel.all_full(sample.taken_seconds);
            let x = full.unwrap_or_else(|| instances.values().sum::<u32>());
            let point = Point { x: x.into(), y: bytes };
            sampled.push(Sampled { point, settled: full.is_some(), elapsed_seconds: now });
        }
        OfKernel { sampled, stayed: before.zip(after).map(|(before, after)| after - before) }
    }
}

/// What is asked of each sample.
#[derive(Clone, Copy)]
struct Measure {
    name: &'static str,
    bytes: fn(&Memory) -> Option<u64>,
}

/// What the samples of a kernel say.
struct OfKernel {
    sampled: Vec<Sampled>,
    /// Bytes that were there after the last instance and not before the first.
    stayed: Option<f64>,
}

/// When each instance first reported that it holds all of its memory, by the clock of its node, in seconds since 1970.
fn full_since(recorded: &Recorded) -> HashMap<&str, f64> {
    let mut since: HashMap<&str, f64> = HashMap::new();
    for report in recorded.reports.reports.iter().filter(|report| report.is_full()) {
        let uid = recorded.reports.uids.get(report.instance as usize);
        if let (Some(uid), Some(made)) = (uid, report.made_seconds) {
            let first = since.entry(uid).or_insert(made);
            *first = first.min(made);
        }
    }
    since
}

/// Instances on the nodes of a kernel.
struct Kernel<'d> {
    full: &'d HashMap<&'d str, f64>,
    /// Those that are being made or at work, by whether they have been seen to be ready.
    there: HashMap<&'d str, bool>,
    /// Those told to end, which give back their memory at a time that nobody tells.
    ending: HashSet<&'d str>,
    /// There has been none yet.
    untouched: bool,
}

impl<'d> Kernel<'d> {
    fn new(full: &'d HashMap<&'d str, f64>) -> Self {
        Self { full, there: HashMap::new(), ending: HashSet::new(), untouched: true }
    }

    fn is_empty(&self) -> bool {
        self.there.is_empty() && self.ending.is_empty()
    }

    fn follow(&mut self, row: &'d PodRow) {
        self.untouched = false;
        let uid = row.uid.as_str();
        self.ending.remove(uid);
        match row.to.parse::<State>() {
            Ok(State::Creating | State::Running) => {
                self.there.entry(uid).or_insert(false);
            }
            Ok(State::Ready) => {
                self.there.insert(uid, true);
            }
            Ok(State::Terminating) => {
                self.there.remove(uid);
                self.ending.insert(uid);
            }
            _ => {
                self.there.remove(uid);
            }
        }
    }

    /// How many there are, if each of them was full at a time by the clock of the nodes.
    fn all_full(&self, at: Option<f64>) -> Option<u32> {
        let is_full = |(uid, is_ready): (&&str, &bool)| {
            *is_ready || self.full.get(uid).zip(at).is_some_and(|(since, at)| *since <= at)
        };
        let settled = self.ending.is_empty() && self.there.iter().all(is_full);
        settled.then_some(self.there.len() as u32)
    }
}
