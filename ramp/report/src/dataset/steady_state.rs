//! Memory of each kernel beyond the reports of its instances, from samples at which all instances are known.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::measure::{ACTIVE, ANON_AND_SHARED, CHARGED, Measure, NOT_AVAILABLE, UNRECLAIMABLE};
use super::reported_load::{HeldBytes, KernelInstances, ReportedLoad};
use super::swapped::{KernelSwap, SwapCourse};
use super::{Dataset, Freshness, NodeMemory, NodeSample, Recorded, Source, Step};
use crate::stats::{
    Observation, Point, STEADY_FOR_SECONDS, is_steady, is_steady_for, last, matters, mean, range,
};
use ramp_format::rows::Part;
use ramp_format::state::State;

/// Memory against instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Of which measure.
    pub measure: &'static Measure,
    /// Of what, and when it was looked at.
    pub of: String,
    /// Points with instances as x and bytes as y, for each series with its own intercept.
    pub series: Vec<Vec<Point>>,
    /// Where the source tells what instances hold themselves: the memory beyond that.
    pub beyond: Option<BeyondReported>,
    /// What was swapped out meanwhile.
    pub swap: SwapCourse,
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
    /// The most instances of the observations, of all kernels together.
    pub instances: u32,
    /// Nodes that they were on.
    pub nodes: u32,
}

impl Dataset {
    /// Memory against running instances, from fresh samples before a step (its index), or of all steps on the way up.
    #[must_use]
    pub fn costs(&self, before: Option<usize>) -> Costs {
        match &self.source {
            Source::LegacyCsv | Source::KubeBurner(_) => self.costs_by_steps(before),
            Source::Run(recorded) => self.costs_by_samples(recorded, before),
        }
    }

    fn costs_by_steps(&self, before: Option<usize>) -> Costs {
        let steps =
            self.way_up().filter(|(index, step)| step.fresh && before.is_none_or(|before| *index < before));
        let points = steps
            .filter_map(|(_, step)| Some(Point { x: step.running.into(), y: step.memory.active? as f64 }))
            .collect();
        let (of, series) = ("of all nodes".into(), vec![points]);
        Costs { measure: &ACTIVE, of, series, beyond: None, swap: SwapCourse::default() }
    }

    /// Memory of each kernel beyond what its instances report, against their number. Nodes with one boot id share a kernel, and each of
    /// them tells the same of its memory.
    ///
    /// An instance that is being made or ends takes memory of which nobody tells: samples taken meanwhile are left out. While one
    /// fills, what it holds follows from its last report and its growth rate; where there are enough samples with all instances
    /// full, these alone count.
    pub(super) fn costs_by_samples(&self, recorded: &Recorded, before: Option<usize>) -> Costs {
        let until = self.until(before);
        self.costs_by(recorded, before, self.measure(recorded, until))
    }

    /// What kernels hold of a measure against instances; none of a file of the study.
    #[must_use]
    pub fn costs_of(&self, before: Option<usize>, measure: &'static Measure) -> Option<Costs> {
        Some(self.costs_by(self.recorded()?, before, measure))
    }

    fn costs_by(&self, recorded: &Recorded, before: Option<usize>, measure: &'static Measure) -> Costs {
        let (load, kernels) = self.looks_of(recorded, before, measure);
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
            measure,
            of: match only_full {
                true => "per kernel, with all of its instances holding their memory".into(),
                false => "per kernel, with instances still allocating".into(),
            },
            series: kernels.iter().map(series).collect(),
            swap: swap_course(&kernels, measure, &load),
            beyond: Some(BeyondReported {
                observations: kernels.iter().map(observations).collect(),
                after: kernels
                    .iter()
                    .enumerate()
                    .map(|(kernel, looks)| {
                        let first = looks.last().filter(|_| first_is_told).map_or(0, |look| look.nodes);
                        let x = [0.0, first.into(), 0.0];
                        let after = self.observed_after(recorded, kernel, measure, looks);
                        after.into_iter().map(|(seconds, y)| Observation { seconds, x, y }).collect()
                    })
                    .collect(),
                load_bytes: if measure.is_reported { load.each() } else { 0.0 },
                anon_bytes: if measure.is_reported { load.anon } else { 0.0 },
                reported: measure.is_reported && load.known,
                instances,
                nodes,
            }),
        }
    }

    /// What a kernel held after the last instance was gone, where that was steady: seconds by the node's clock, and bytes.
    pub(super) fn observed_after(
        &self,
        recorded: &Recorded,
        kernel: usize,
        measure: &'static Measure,
        looks: &[KernelObservation],
    ) -> Vec<(f64, f64)> {
        let MemoryAfter { values, .. } = self.after_the_last(recorded, kernel, measure);
        if is_steady(&values, &before_the_first(looks)) != Some(true) {
            return Vec::new();
        }
        let ahead = looks.first().map_or(0.0, |look| look.seconds - look.elapsed_seconds);
        last(&values, STEADY_FOR_SECONDS).iter().map(|(seconds, bytes)| (seconds + ahead, *bytes)).collect()
    }

    /// Memory of each kernel at rest and with the most instances before a step (its index), where samples tell.
    #[must_use]
    pub fn rooms(&self, before: Option<usize>) -> Vec<KernelRoom> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let until = self.until(before);
        let load = ReportedLoad::of(recorded, until);
        let kernels = self.of_kernels(recorded, &load, &NOT_AVAILABLE).into_iter().enumerate();
        kernels
            .filter_map(|(kernel, looks)| {
                let known = || looks.iter().filter(|look| look.all_full && look.elapsed_seconds <= until);
                let instances = known().map(|look| look.instances).max()?;
                let mean_with = |instances: u32, of: fn(&KernelObservation) -> Option<u64>| {
                    let all = known().filter(|look| look.instances == instances);
                    let values: Vec<(f64, f64)> =
                        all.map(|look| Some((look.seconds, of(look)? as f64))).collect::<Option<_>>()?;
                    (!values.is_empty()).then(|| mean(&values))
                };
                let nodes = recorded.kernels.get(kernel)?.iter().filter_map(|at| self.nodes.get(*at));
                Some(KernelRoom {
                    nodes: nodes.map(|node| node.name.clone()).collect(),
                    instances,
                    total: mean_with(instances, |look| look.memory.total)?,
                    available: mean_with(instances, |look| look.memory.available)?,
                    at_rest: mean_with(0, |look| look.memory.available),
                    reclaimable: mean_with(instances, |look| {
                        Some(look.memory.total?.saturating_sub(look.memory.unreclaimable?))
                    }),
                    budget_used: mean_with(instances, |look| look.budget_used),
                })
            })
            .collect()
    }

    /// Until when samples count, in seconds since the run began: the step of saturation has begun by then; where there is none, until there
    /// are fewer again.
    pub(super) fn until(&self, before: Option<usize>) -> f64 {
        let counts = |(index, step): &(usize, &Step)| match before {
            Some(before) => *index < before && step.part == Part::Up,
            None => matches!(step.part, Part::Up | Part::Hold),
        };
        let last = self.steps.iter().enumerate().rfind(counts);
        last.and_then(|(_, step)| step.elapsed_seconds).unwrap_or(0.0)
    }

    /// What is asked of each sample: what instances have together, where a kernel accounts for that alone; else what the machine holds.
    fn measure(&self, recorded: &Recorded, until: f64) -> &'static Measure {
        let fresh = self.nodes.iter().flat_map(|node| &node.samples);
        let counts = |sample: &&NodeSample| {
            sample.freshness == Freshness::Fresh && sample.elapsed_seconds.is_some_and(|at| at <= until)
        };
        let mut fresh = fresh.filter(counts).peekable();
        let is_watched_by_ramp = recorded.events.iter().any(|event| event.reason == "watched_by_ramp");
        if !is_watched_by_ramp
            && fresh.peek().is_some()
            && fresh.all(|sample| (CHARGED.value)(sample).is_some())
        {
            return &CHARGED;
        }
        self.measure_of_machine()
    }

    /// Samples of each kernel before a step (its index), of which measure, and what instances report until then.
    pub(super) fn looks<'r>(
        &self,
        recorded: &'r Recorded,
        before: Option<usize>,
    ) -> (&'static Measure, ReportedLoad<'r>, Vec<Vec<KernelObservation>>) {
        let measure = self.measure(recorded, self.until(before));
        let (load, kernels) = self.looks_of(recorded, before, measure);
        (measure, load, kernels)
    }

    fn looks_of<'r>(
        &self,
        recorded: &'r Recorded,
        before: Option<usize>,
        measure: &'static Measure,
    ) -> (ReportedLoad<'r>, Vec<Vec<KernelObservation>>) {
        let until = self.until(before);
        let load = ReportedLoad::of(recorded, until);
        let mut kernels = self.of_kernels(recorded, &load, measure);
        for looks in &mut kernels {
            looks.retain(|look| look.elapsed_seconds <= until);
        }
        (load, kernels)
    }

    /// The same of each kernel.
    fn of_kernels(
        &self,
        recorded: &Recorded,
        load: &ReportedLoad<'_>,
        measure: &'static Measure,
    ) -> Vec<Vec<KernelObservation>> {
        (0..recorded.kernels.len()).map(|kernel| self.of_kernel(recorded, kernel, load, measure)).collect()
    }

    /// Samples of a kernel in the order in which they were taken, and the names of its nodes.
    pub(super) fn samples_of(&self, recorded: &Recorded, kernel: usize) -> (Vec<&NodeSample>, HashSet<&str>) {
        let nodes = recorded.kernels.get(kernel).map_or(&[][..], Vec::as_slice);
        let nodes = || nodes.iter().filter_map(|at| self.nodes.get(*at));
        let all = nodes().flat_map(|node| &node.samples);
        let mut samples: Vec<&NodeSample> = all.filter(|sample| sample.kernel == Some(kernel)).collect();
        samples.sort_by(|a, b| taken(a).partial_cmp(&taken(b)).unwrap_or(Ordering::Equal));
        (samples, nodes().map(|node| node.name.as_str()).collect())
    }

    /// What samples of a kernel say that were taken when it was known what was there.
    fn of_kernel(
        &self,
        recorded: &Recorded,
        kernel: usize,
        load: &ReportedLoad<'_>,
        measure: &'static Measure,
    ) -> Vec<KernelObservation> {
        let (samples, names) = self.samples_of(recorded, kernel);
        let mut pods = recorded.happened(&names).into_iter().peekable();
        let mut there = KernelInstances::default();
        let mut looked: Vec<KernelObservation> = Vec::new();
        let groups = &recorded.run.plan.options.mix;
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
            let Some(bytes) = (measure.value)(sample) else { continue };
            // What the measure counts: swapped-out memory where nodes tell of it.
            let of = match sample.memory.swapped {
                Some(_) if !measure.is_charged => HeldBytes::WithSwapped,
                _ => HeldBytes::Resident,
            };
            let Some((reported, all_full)) = there.reported(load, sample.taken_seconds, of) else { continue };
            let reported = if measure.is_reported { reported } else { 0.0 };
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
                groups: there.by_group(groups),
                memory: sample.memory,
                budget_used: sample.budget_used,
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
    /// anonymous and shared memory of the machines, of all programs. Samples after the last instance do not count: the cgroup is gone by
    /// then.
    fn measure_of_usage(&self, recorded: &Recorded) -> &'static Measure {
        let measure = self.measure(recorded, self.until(None));
        if measure.is_charged {
            return measure;
        }
        &ANON_AND_SHARED
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
            Source::LegacyCsv | Source::KubeBurner(_) => "active memory of all nodes",
            Source::Run(recorded) => self.measure_of_usage(recorded).name,
        }
    }

    /// Memory of all kernels beyond what there was before the first step, in bytes, by [`Self::usage_measure`], at each step (its index)
    /// that has a sample of each kernel from when all of its instances held their memory, and none came or went.
    #[must_use]
    pub fn held_more(&self) -> Vec<(usize, f64)> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let load = ReportedLoad::of(recorded, f64::INFINITY);
        let measure = self.measure_of_usage(recorded);
        let kernels = self.of_kernels(recorded, &load, measure);
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
        for (kernel, looks) in self.of_kernels(recorded, &load, measure).into_iter().enumerate() {
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

    /// What a machine as a whole holds, by the best measure that each fresh sample has.
    fn measure_of_machine(&self) -> &'static Measure {
        let fresh = self.nodes.iter().flat_map(|node| &node.samples);
        let mut fresh = fresh.filter(|sample| sample.freshness == Freshness::Fresh);
        if fresh.all(|sample| (UNRECLAIMABLE.value)(sample).is_some()) {
            &UNRECLAIMABLE
        } else {
            &NOT_AVAILABLE
        }
    }

    /// Samples of a kernel after the last of its instances was gone, when that was, and the most that there had been.
    fn after_the_last(&self, recorded: &Recorded, kernel: usize, measure: &'static Measure) -> MemoryAfter {
        let (samples, names) = self.samples_of(recorded, kernel);
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
        let values = samples
            .into_iter()
            .filter(|sample| sample.freshness == Freshness::Fresh)
            .filter_map(|sample| Some((taken(sample)?, (measure.value)(sample)?)))
            .filter(|(seconds, _)| gone.is_some_and(|gone| *seconds >= gone))
            .collect();
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

/// What is known of swapped-out memory.
fn swap_course(kernels: &[Vec<KernelObservation>], measure: &Measure, load: &ReportedLoad<'_>) -> SwapCourse {
    let of_kernel = |looks: &Vec<KernelObservation>| {
        let known = |look: &KernelObservation| Some((look.seconds, look.memory.swapped?));
        let full = || looks.iter().filter(|look| look.all_full);
        let instances = full().map(|look| look.instances).max().unwrap_or(0);
        let with_most = full().filter(|look| look.instances == instances);
        Some(KernelSwap {
            instances,
            before: looks.iter().take_while(|look| look.nodes == 0).map(known).collect::<Option<_>>()?,
            with_most: with_most.map(known).collect::<Option<_>>()?,
        })
    };
    let all: Option<Vec<KernelSwap>> = kernels.iter().map(of_kernel).collect();
    match all.filter(|_| !measure.is_charged) {
        Some(all) => SwapCourse::OfKernels(all.into_iter().filter(|kernel| kernel.instances > 0).collect()),
        None => SwapCourse::Reported(load.swapped),
    }
}

/// When a sample was taken, in seconds since the run began.
pub(super) fn taken(sample: &NodeSample) -> Option<f64> {
    Some(sample.elapsed_seconds? - sample.age_seconds.unwrap_or(0.0))
}

/// A sample of a kernel of which it is known what was there.
pub(super) struct KernelObservation {
    /// When, by its node's clock.
    pub(super) seconds: f64,
    /// When it was recorded, since the run began.
    pub(super) elapsed_seconds: f64,
    pub(super) bytes: f64,
    /// What the instances held then, with page tables.
    pub(super) reported: f64,
    instances: u32,
    /// Nodes of the kernel that have had an instance by then.
    nodes: u32,
    pub(super) all_full: bool,
    /// Of each group of a mixed run: its instances, and the nodes of the kernel that have had one.
    pub(super) groups: Vec<(u32, u32)>,
    /// Memory of the machine.
    memory: NodeMemory,
    /// What all instances had together, where they are confined together.
    budget_used: Option<u64>,
}

/// Memory of a kernel at rest, and with the most instances of which it was known that all of them held theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelRoom {
    /// Its nodes.
    pub nodes: Vec<String>,
    /// Instances then.
    pub instances: u32,
    /// MemTotal.
    pub total: f64,
    /// MemAvailable then.
    pub available: f64,
    /// MemAvailable before the first instance.
    pub at_rest: Option<f64>,
    /// MemTotal less what the kernel could not take back, where that is known.
    pub reclaimable: Option<f64>,
    /// What all instances had together, where they are confined together.
    pub budget_used: Option<f64>,
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
