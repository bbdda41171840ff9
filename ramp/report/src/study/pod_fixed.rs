//! `overhead.podFixed` of a RuntimeClass: what it has to be by what was measured, and what the one in place costs.
//!
//! podFixed is one number for all pods of a class, and an overhead may grow with the size of the pod: it is taken from the largest size
//! that was measured. Memory is the upper end of the interval of the peak, or of the mean where the peak was not measured.

use super::data::{MeasuredRun, StudyData};
use super::overhead_by_size::{OverheadBySize, SizeOverhead, ValueWithInterval, difference};
use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::cpu_cost::PodFixedCpu;
use crate::analysis::requests::PodRequests;
use crate::analysis::{Estimate, Unavailable, mib, unavailable};
use crate::stats::Interval;
use ramp_format::preflight::{NodeFacts, RuntimeClassFacts};

/// The figure whose difference is the CPU that a pod takes at rest.
const CPU_AT_REST: &str = "cpu_at_rest";
/// The figure whose difference is the peak of what a pod takes.
const PEAK: &str = "peak_per_instance";
/// Why there is no peak, where no figure tells.
const NO_PEAK: &str = "the peak was not measured: it needs the component probe";
/// Why there is no CPU, where no figure tells.
const NO_CPU: &str = "CPU at rest was not measured";
/// The share of pods lost to one podFixed for all sizes from which classes of their own are suggested.
const WORTH_CLASSES: f64 = 0.1;
const MIB: u64 = 1 << 20;
/// An interval of memory that is no wider is of use whatever its value is, in bytes.
const FINE_BYTES: f64 = (16 * MIB) as f64;

/// The podFixed of a runtime's class.
#[derive(Clone, Debug)]
pub struct PodFixed {
    /// The class in place.
    pub class: RuntimeClassFacts,
    /// What the base is called.
    pub base: String,
    /// The scenario.
    pub scenario: String,
    /// Each size that was measured, in the order of [`OverheadBySize::sizes`].
    pub sizes: Vec<SizeVerdict>,
    /// Index of the largest one in [`Self::sizes`].
    largest: usize,
}

/// A size, and the podFixed in place.
#[derive(Clone, Debug)]
pub struct SizeVerdict {
    /// What the size is called.
    pub name: String,
    /// Memory that a pod takes more than under the base, on average.
    pub mean: ValueWithInterval,
    /// The same at its peak.
    pub peak: Estimate<ValueWithInterval>,
    /// CPU that it takes more at rest, in cores, and what that means for podFixed; where it is known well enough for a request to rest on
    /// it.
    pub cpu: Estimate<(ValueWithInterval, PodFixedCpu)>,
    /// What podFixed would have to be for this size, in bytes: whole MiB.
    pub needed_memory: u64,
    /// The memory in place against that.
    pub verdict: PodFixedVerdict,
    /// What the nodes have room for.
    pub room: Estimate<PodRoom>,
    /// How many pods fit.
    pub pods: Estimate<PodCounts>,
}

/// What nodes have left, as a scheduler counts, and what the containers of a pod request of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodRoom {
    nodes: Vec<FreeNode>,
    /// Memory that the containers of a pod request, in bytes.
    memory: u64,
    /// CPU that they request, in thousandths of a core.
    milli_cores: u64,
}

/// A node that takes pods, less what others request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct FreeNode {
    memory: u64,
    /// None where it is not known.
    milli_cores: Option<u64>,
    pods: Option<u64>,
}

/// The memory of podFixed against what is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PodFixedVerdict {
    /// So many bytes more than is used.
    More(f64),
    /// So many bytes less than is used on average.
    Less(f64),
    /// It covers the mean, and is so many bytes less than the peak.
    LessThanPeak(f64),
    /// Within the interval of what is used.
    AsUsed,
}

/// Pods that fit on the nodes, as a scheduler counts, with the podFixed in place and with the one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodCounts {
    /// By memory requests alone, with the memory in place.
    pub in_place: u64,
    /// The same with that measured.
    pub measured: u64,
    /// By all that is counted (memory, CPU, pods per node), with what is in place.
    pub in_place_by_all: u64,
    /// The same with the memory that was measured.
    pub measured_by_all: u64,
}

/// The podFixed in place is of no use for all sizes: what a pod of the smallest size loses.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPerSize {
    /// The smallest size.
    pub size: String,
    /// What podFixed of the largest size is more than it uses, in bytes.
    pub excess_bytes: f64,
    /// Pods of it that fit with the podFixed of the largest size, and with one of its own.
    pub pods: [u64; 2],
}

impl PodFixed {
    /// That of a runtime; none where its pods have no RuntimeClass.
    ///
    /// # Errors
    /// Where it cannot be told from what was measured.
    #[must_use]
    pub fn of(data: &StudyData, overhead: &OverheadBySize) -> Option<Estimate<Self>> {
        let first = overhead.largest().or(overhead.sizes.first())?;
        let class = data.runs_of(first.compared.other).iter().find_map(|run| class_of(run))?.clone();
        Some(Self::of_class(data, overhead, class))
    }

    fn of_class(data: &StudyData, overhead: &OverheadBySize, class: RuntimeClassFacts) -> Estimate<Self> {
        let same = |run: &MeasuredRun| class_of(run).is_some_and(|own| is_same(own, &class));
        for size in &overhead.sizes {
            if !data.runs_of(size.compared.other).iter().all(|run| same(run)) {
                return unavailable(format!("RuntimeClass {} was changed between runs", class.name));
            }
            let of_base = data.runs_of(size.compared.base);
            if let Some(base) =
                of_base.iter().find_map(|run| class_of(run).filter(|class| has_overhead(class)))
            {
                return unavailable(format!(
                    "the base has a podFixed of its own (RuntimeClass {}); put `default` first in `runtimes`",
                    base.name
                ));
            }
        }
        let largest = overhead.largest().map(|size| size.name.clone());
        if let Some((size, Ok(mean))) = overhead.largest().map(|size| (size, &size.overhead)) {
            memory_of_use(&format!("the overhead at {}", size.name), *mean)?;
        }
        let sizes: Vec<SizeVerdict> =
            overhead.sizes.iter().filter_map(|size| SizeVerdict::of(data, size, &class)).collect();
        match sizes.iter().position(|size| Some(&size.name) == largest.as_ref()) {
            Some(largest) => Ok(Self {
                class,
                base: overhead.base.clone(),
                scenario: overhead.scenario.clone(),
                sizes,
                largest,
            }),
            None => Err(overhead
                .sizes
                .iter()
                .find_map(|size| size.overhead.clone().err())
                .unwrap_or_else(|| Unavailable("no size was measured".into()))),
        }
    }

    /// The size that podFixed is taken from.
    #[must_use]
    pub fn largest(&self) -> Option<&SizeVerdict> {
        self.sizes.get(self.largest)
    }

    /// The CPU that a manifest has, in thousandths of a core: that measured, else that in place.
    #[must_use]
    pub fn milli_cores(&self) -> u64 {
        let in_place = milli(self.class.overhead_cpu_cores);
        let needed = |size: &SizeVerdict| Some(size.cpu.as_ref().ok()?.1.needed_milli_cores);
        self.largest().and_then(needed).unwrap_or(in_place)
    }

    /// Whether classes for small and for large pods would fit notably more.
    #[must_use]
    pub fn class_per_size(&self) -> Option<ClassPerSize> {
        let (smallest, largest) = (self.sizes.first()?, self.largest()?);
        let counts = smallest.pods.as_ref().ok()?;
        let with_largest = smallest.room.as_ref().ok()?.by_memory(largest.needed_memory)?;
        let lost = counts.measured.checked_sub(with_largest)? as f64;
        (lost >= WORTH_CLASSES * counts.measured as f64 && lost > 0.0).then(|| ClassPerSize {
            size: smallest.name.clone(),
            excess_bytes: largest.needed_memory as f64 - smallest.needed_memory as f64,
            pods: [with_largest, counts.measured],
        })
    }
}

/// What a figure lacks, where it lacks the same in each block: as of the first.
fn of_first_block(why: &str) -> String {
    why.split_once("; block 1: ").map_or(why, |(_, of_block)| of_block).to_owned()
}

/// Memory, where it is known well enough for a request to rest on it.
///
/// # Errors
/// Where its interval is wider than itself.
fn memory_of_use(what: &str, found: ValueWithInterval) -> Estimate<ValueWithInterval> {
    let Interval { low, high } = found.interval;
    if high - low <= found.value.abs().max(FINE_BYTES) {
        return Ok(found);
    }
    let [low, high] = [low, high].map(mib);
    unavailable(format!(
        "{what}, 95% CI {low:.1} to {high:.1} MiB, is not known well enough: needs more blocks, more instances or nodes that \
         nothing else uses"
    ))
}

impl SizeVerdict {
    /// None where the overhead of the size was not measured.
    fn of(data: &StudyData, size: &SizeOverhead, class: &RuntimeClassFacts) -> Option<Self> {
        let mean = *size.overhead.as_ref().ok()?;
        let told = |name: &str, why: &str| match difference(&size.compared, name) {
            Err(Unavailable(told))
                if told == super::overhead_by_size::NO_FIGURE || told.ends_with(NEEDS_PROBE) =>
            {
                unavailable(why)
            }
            Err(Unavailable(told)) => unavailable(of_first_block(&told)),
            found => found,
        };
        let with_pod_fixed = |cpu: ValueWithInterval| {
            Ok((cpu, PodFixedCpu::of(cpu.value, cpu.interval, class.overhead_cpu_cores)?))
        };
        let peak = told(PEAK, NO_PEAK).and_then(|peak| memory_of_use("the peak", peak));
        let cpu = told(CPU_AT_REST, NO_CPU).and_then(with_pod_fixed);
        let upper =
            peak.as_ref().map_or(mean.interval.high, |peak| peak.interval.high.max(mean.interval.high));
        let needed_memory = (upper.max(0.0) as u64).div_ceil(MIB) * MIB;
        let in_place = class.overhead_memory_bytes;
        let room = PodRoom::of(data, size);
        let milli_cores = milli(class.overhead_cpu_cores);
        let nothing = || Unavailable("pods request no memory".into());
        let counts = |room: PodRoom| room.counts([in_place, needed_memory], milli_cores).ok_or_else(nothing);
        let pods = room.clone().and_then(counts);
        Some(Self {
            name: size.name.clone(),
            verdict: PodFixedVerdict::of(in_place as f64, mean, peak.as_ref().ok().copied()),
            mean,
            peak,
            cpu,
            needed_memory,
            room,
            pods,
        })
    }
}

impl PodFixedVerdict {
    /// Of so many bytes in place.
    #[must_use]
    pub fn of(in_place: f64, mean: ValueWithInterval, peak: Option<ValueWithInterval>) -> Self {
        let most = peak.unwrap_or(mean);
        match in_place {
            _ if in_place < mean.interval.low => Self::Less(mean.value - in_place),
            _ if in_place < most.interval.low => Self::LessThanPeak(most.value - in_place),
            _ if in_place > most.interval.high.max(mean.interval.high) => Self::More(in_place - most.value),
            _ => Self::AsUsed,
        }
    }
}

impl PodRoom {
    fn of(data: &StudyData, size: &SizeOverhead) -> Estimate<Self> {
        if data.record.definition.mix {
            return unavailable("of all runtimes of a mixed run together");
        }
        let runs = data.runs_of(size.compared.other);
        let requests = PodRequests::of_all(runs.iter().map(|run| &*run.data))?;
        let recorded = runs.first().and_then(|run| run.data.recorded());
        let nodes = recorded.map_or(&[][..], |recorded| &recorded.run.nodes);
        let nodes: Vec<FreeNode> =
            nodes.iter().filter(|node| node.eligible).map(FreeNode::of).collect::<Estimate<_>>()?;
        if nodes.is_empty() {
            return unavailable("no node takes pods");
        }
        Ok(Self { nodes, memory: requests.memory_bytes, milli_cores: milli(requests.cpu_cores) })
    }

    /// Pods that fit by memory requests alone, each whole on a node, with this podFixed; none where no memory is requested.
    #[must_use]
    pub fn by_memory(&self, pod_fixed: u64) -> Option<u64> {
        self.nodes.iter().map(|node| fit(node.memory, self.memory + pod_fixed)).sum()
    }

    fn counts(&self, [in_place, measured]: [u64; 2], milli_cores: u64) -> Option<PodCounts> {
        Some(PodCounts {
            in_place: self.by_memory(in_place)?,
            measured: self.by_memory(measured)?,
            in_place_by_all: self.by_all(in_place, milli_cores),
            measured_by_all: self.by_all(measured, milli_cores),
        })
    }

    /// The same by all that is counted.
    fn by_all(&self, memory: u64, milli_cores: u64) -> u64 {
        let of_node = |node: &FreeNode| {
            let by_memory = fit(node.memory, self.memory + memory);
            let by_cpu = node.milli_cores.and_then(|free| fit(free, self.milli_cores + milli_cores));
            [by_memory, by_cpu, node.pods].into_iter().flatten().min().unwrap_or(u64::MAX)
        };
        self.nodes.iter().map(of_node).fold(0, u64::saturating_add)
    }
}

impl FreeNode {
    fn of(node: &NodeFacts) -> Estimate<Self> {
        let (Some(memory), Some(requested)) = (node.allocatable_memory_bytes, node.requested_memory_bytes)
        else {
            return unavailable(format!(
                "allocatable memory of node {}, or what pods there request, is unknown",
                node.name
            ));
        };
        let cpu = node.allocatable_cpu_cores.zip(node.requested_cpu_cores);
        Ok(Self {
            memory: memory.saturating_sub(requested),
            milli_cores: cpu.map(|(all, requested)| milli(all).saturating_sub(milli(requested))),
            pods: node.allocatable_pods.map(|pods| pods.saturating_sub(node.pods.unwrap_or(0))),
        })
    }
}

/// How often something fits; none where nothing is asked for.
fn fit(free: u64, each: u64) -> Option<u64> {
    free.checked_div(each)
}

fn milli(cores: f64) -> u64 {
    (cores.max(0.0) * 1000.0).round() as u64
}

fn has_overhead(class: &RuntimeClassFacts) -> bool {
    class.overhead_memory_bytes > 0 || class.overhead_cpu_cores > 0.0
}

fn is_same(a: &RuntimeClassFacts, b: &RuntimeClassFacts) -> bool {
    a.name == b.name
        && a.handler == b.handler
        && a.overhead_memory_bytes == b.overhead_memory_bytes
        && milli(a.overhead_cpu_cores) == milli(b.overhead_cpu_cores)
}

/// The RuntimeClass of the pods of a run, or of one runtime of a mixed run; none where they have none.
fn class_of(run: &MeasuredRun) -> Option<&RuntimeClassFacts> {
    run.data.recorded()?.runtime_class(run.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64, half: f64) -> ValueWithInterval {
        ValueWithInterval { value, interval: Interval { low: value - half, high: value + half } }
    }

    #[test]
    fn a_pod_fixed_is_more_or_less_than_is_used_only_beyond_the_interval() {
        let verdict = |in_place: f64, peak: Option<f64>| {
            PodFixedVerdict::of(in_place, of(128.0, 4.0), peak.map(|peak| of(peak, 8.0)))
        };
        assert_eq!(verdict(160.0, None), PodFixedVerdict::More(32.0));
        assert_eq!(verdict(130.0, None), PodFixedVerdict::AsUsed);
        assert_eq!(verdict(100.0, None), PodFixedVerdict::Less(28.0));
        assert_eq!(verdict(0.0, None), PodFixedVerdict::Less(128.0));
        // The peak is what has to be covered.
        assert_eq!(verdict(160.0, Some(224.0)), PodFixedVerdict::LessThanPeak(64.0));
        assert_eq!(verdict(220.0, Some(224.0)), PodFixedVerdict::AsUsed);
        assert_eq!(verdict(256.0, Some(224.0)), PodFixedVerdict::More(32.0));
        // A peak that is not told from the mean does not make what is enough for both too much.
        assert_eq!(verdict(131.0, Some(120.0)), PodFixedVerdict::AsUsed);
    }

    #[test]
    fn an_interval_wider_than_the_overhead_makes_no_pod_fixed() {
        let mib = MIB as f64;
        assert!(memory_of_use("it", of(100.0 * mib, 50.0 * mib)).is_ok());
        assert!(memory_of_use("it", of(2.0 * mib, 8.0 * mib)).is_ok(), "fine");
        let why = memory_of_use("the overhead at 1Gi", of(103.5 * mib, 597.1 * mib)).unwrap_err();
        assert!(why.0.starts_with("the overhead at 1Gi, 95% CI -493.6 to 700.6 MiB, is not"), "{}", why.0);
    }

    #[test]
    fn pods_are_counted_whole_on_each_node_by_what_is_left_of_it() {
        let node = |allocatable: u64, requested: u64| NodeFacts {
            allocatable_memory_bytes: Some(allocatable * MIB),
            requested_memory_bytes: Some(requested * MIB),
            allocatable_cpu_cores: Some(2.0),
            requested_cpu_cores: Some(0.1),
            allocatable_pods: Some(110),
            pods: Some(10),
            ..NodeFacts::default()
        };
        let nodes = [node(1000, 100), node(1500, 100)].map(|node| FreeNode::of(&node).unwrap());
        let room = PodRoom { nodes: nodes.into(), memory: 100 * MIB, milli_cores: 50 };
        // 900 ÷ 260 and 1400 ÷ 260, 900 ÷ 230 and 1400 ÷ 230; of CPUs 1900 ÷ 300 on each.
        let counts = room.counts([160 * MIB, 130 * MIB], 250).unwrap();
        let expected = PodCounts { in_place: 8, measured: 9, in_place_by_all: 8, measured_by_all: 9 };
        assert_eq!(counts, expected);
        assert_eq!(room.counts([160 * MIB, 0], 250).unwrap().measured_by_all, 12, "by CPU");
        let unrequested = PodRoom { memory: 0, ..room };
        assert_eq!(unrequested.counts([0, 10 * MIB], 0), None);
        let unknown = NodeFacts { requested_memory_bytes: None, ..node(1000, 0) };
        assert!(FreeNode::of(&unknown).unwrap_err().0.contains("what pods there request, is unknown"));
    }
}
