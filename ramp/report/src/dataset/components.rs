//! Memory by component, from the samples of the component probe: of each instance at rest, and of each node against its instances.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use super::reported_load::KernelInstances;
use super::{Dataset, Recorded};
use crate::stats::{Observation, quantile};
use ramp_format::rows::ComponentRow;
use ramp_format::state::State;

/// Components of a node that grow with its instances. The probes' own is none of them.
pub const NODE_COMPONENTS: [&str; 2] = ["kubelet", "container_runtime"];

/// What the components of an instance held at rest, while it held all of its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceComponents {
    /// Its group, in a mixed run.
    pub group: Option<String>,
    /// The median of the later half of the samples of each component, by its name.
    pub parts: BTreeMap<String, ComponentMemory>,
    /// What its load reports to have alone (anonymous memory, where it reports that); none where it does not report.
    pub reported: Option<f64>,
    /// Its cgroup; none where the probe does not tell.
    pub cgroup: Option<PodCgroup>,
    /// Components that have processes whose memory the probe cannot read.
    pub unreadable: BTreeSet<String>,
}

/// What a component holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ComponentMemory {
    /// Anonymous and shared memory, proportional: what the kernel cannot take back but by swapping.
    pub held: f64,
    /// Of that: shared memory.
    pub shared: f64,
    /// Files that it maps, proportional: the kernel can take these back.
    pub files: f64,
    /// What is swapped out, proportional.
    pub swapped: f64,
}

/// What a kernel charges to the cgroup of a pod, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodCgroup {
    /// The most at any time, page cache included, as last told.
    pub peak: f64,
    /// At rest, page cache included.
    pub usage: f64,
    /// Page cache at rest that can be taken back.
    pub file: f64,
    /// Memory of the kernel at rest.
    pub kernel: f64,
}

/// When an instance held its memory, in seconds since the run began.
#[derive(Clone, Debug, Default)]
struct Held<'r> {
    from: Option<f64>,
    to: Option<f64>,
    group: Option<&'r str>,
    restarted: bool,
}

/// Samples of an instance, and the number of the sample that each value is of.
#[derive(Default)]
struct Samples {
    /// When the last was taken, and how many there are.
    last: Option<f64>,
    count: usize,
    parts: BTreeMap<String, Vec<(usize, ComponentMemory)>>,
    cgroup: Vec<(usize, PodCgroup)>,
    unreadable: BTreeSet<String>,
}

/// Samples at which an instance is at rest, at least. Of a sandbox that has only just been filled not all memory is mapped yet.
const FEWEST: usize = 2;

impl Dataset {
    /// What the components of each instance held at rest, before a step (its index) or until scaling down. Instances whose container
    /// ended before are left out.
    #[must_use]
    pub fn instance_components(&self, before: Option<usize>) -> Vec<InstanceComponents> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let until = self.until(before);
        let held = held(recorded);
        let reported = reported(recorded);
        let mut samples: BTreeMap<&str, Samples> = BTreeMap::new();
        for (seconds, row) in taken(&recorded.components) {
            let Some(uid) = row.pod_uid.as_deref() else { continue };
            let Some(one) = held.get(uid).filter(|one| !one.restarted) else { continue };
            let is_held =
                one.from.is_some_and(|from| seconds >= from) && one.to.is_none_or(|to| seconds < to);
            if is_held && seconds <= until {
                samples.entry(uid).or_default().add(seconds, row);
            }
        }
        let instance = |(uid, samples): (&str, Samples)| InstanceComponents {
            group: held.get(uid).and_then(|one| one.group).map(str::to_owned),
            cgroup: samples.cgroup(),
            parts: samples.parts(),
            unreadable: samples.unreadable,
            reported: reported.get(uid).copied(),
        };
        let told = samples.into_iter().filter(|(_, samples)| samples.count >= FEWEST);
        told.map(|(uid, samples)| instance((uid, samples))).collect()
    }

    /// What one of [`NODE_COMPONENTS`] holds, or with none of them named all together, on each node, against the instances there.
    #[must_use]
    pub fn node_components(&self, before: Option<usize>, component: Option<&str>) -> Vec<Vec<Observation>> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let until = self.until(before);
        let is_one = |row: &ComponentRow| {
            row.pod_uid.is_none()
                && component.map_or_else(
                    || NODE_COMPONENTS.contains(&row.component.as_str()),
                    |name| row.component == name,
                )
        };
        let mut nodes: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for (seconds, row) in taken(&recorded.components) {
            let Some(memory) = ComponentMemory::of(row).filter(|_| is_one(row) && seconds <= until) else {
                continue;
            };
            let all = nodes.entry(&row.node).or_default();
            match all.last_mut() {
                // Components of one sample.
                Some((last, bytes)) if component.is_none() && (seconds - *last).abs() < 1e-3 => {
                    *bytes += memory.held;
                }
                _ => all.push((seconds, memory.held)),
            }
        }
        nodes.into_iter().map(|(node, values)| against_instances(recorded, node, &values)).collect()
    }
}

/// Values of a node, with the instances there as the first regressor.
fn against_instances(recorded: &Recorded, node: &str, values: &[(f64, f64)]) -> Vec<Observation> {
    let mut pods = recorded.happened(&HashSet::from([node])).into_iter().peekable();
    let mut there = KernelInstances::default();
    let mut found: Vec<Observation> = Vec::new();
    for (seconds, y) in values {
        while let Some((_, row)) = pods.next_if(|(at, _)| at < seconds) {
            there.follow(row);
        }
        if there.any_ended {
            break;
        }
        if there.is_settled() {
            let nodes = f64::from(u8::from(!there.nodes.is_empty()));
            found.push(Observation { seconds: *seconds, x: [there.alive.len() as f64, nodes, 0.0], y: *y });
        }
    }
    let numbers: HashSet<u64> =
        found.iter().map(|one| one.x[0] as u64).filter(|number| *number > 0).collect();
    if numbers.len() < 2 {
        found.iter_mut().for_each(|one| one.x[1] = 0.0);
    }
    found
}

/// Rows with when each was taken, in seconds since the run began, in this order: by the clock of its node, which is taken to be
/// ahead by what the fastest row of the node took to be recorded.
fn taken(rows: &[ComponentRow]) -> Vec<(f64, &ComponentRow)> {
    let shown = |row: &ComponentRow| {
        Some(row.sample_time?.0.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
    };
    let mut least: HashMap<&str, f64> = HashMap::new();
    for row in rows {
        if let Some(shown) = shown(row) {
            let of_node = least.entry(&row.node).or_insert(f64::INFINITY);
            *of_node = of_node.min(row.elapsed_seconds - shown);
        }
    }
    // Rows of one sample have the very same time, whenever each was recorded.
    let when = |row: &ComponentRow| {
        let shown = shown(row).zip(least.get(row.node.as_str()));
        shown.map_or(row.elapsed_seconds, |(shown, least)| shown + least)
    };
    let mut all: Vec<(f64, &ComponentRow)> = rows.iter().map(|row| (when(row), row)).collect();
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    all
}

fn held(recorded: &Recorded) -> HashMap<&str, Held<'_>> {
    let mut held: HashMap<&str, Held<'_>> = HashMap::new();
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        let one = held.entry(&row.uid).or_default();
        one.group = one.group.or(row.group.as_deref());
        one.restarted |= row.restarts > 0;
        match row.to.parse::<State>() {
            Ok(State::Ready) => {
                one.from = one.from.or(Some(*seconds));
            }
            _ if one.from.is_some() => one.to = one.to.or(Some(*seconds)),
            _ => {}
        }
    }
    held
}

/// What the load of each instance reported last to have alone, when it held all of its memory.
fn reported(recorded: &Recorded) -> HashMap<&str, f64> {
    let mut last: HashMap<&str, f64> = HashMap::new();
    for report in recorded.reports.reports.iter().filter(|report| report.is_full()) {
        let uid = recorded.reports.uids.get(report.instance as usize);
        if let (Some(uid), Some(bytes)) = (uid, report.alone_bytes()) {
            last.insert(uid, bytes as f64);
        }
    }
    last
}

impl ComponentMemory {
    /// None where the row has no proportional set size.
    fn of(row: &ComponentRow) -> Option<Self> {
        let number = |bytes: Option<u64>| bytes.unwrap_or(0) as f64;
        let pss = row
            .pss_bytes
            .or_else(|| row.pss_anon_bytes.zip(row.pss_shmem_bytes).map(|(anon, shmem)| anon + shmem))?;
        let held = match (row.pss_anon_bytes, row.pss_file_bytes) {
            (Some(anon), _) => number(Some(anon)) + number(row.pss_shmem_bytes),
            (None, file) => (number(Some(pss)) - number(file)).max(0.0),
        };
        Some(Self {
            held,
            shared: number(row.pss_shmem_bytes),
            files: number(row.pss_file_bytes),
            swapped: number(row.swap_bytes),
        })
    }

    fn median(all: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(all.iter().map(value));
        Self {
            held: of(|one| one.held),
            shared: of(|one| one.shared),
            files: of(|one| one.files),
            swapped: of(|one| one.swapped),
        }
    }
}

impl Samples {
    fn add(&mut self, seconds: f64, row: &ComponentRow) {
        if self.last != Some(seconds) {
            self.last = Some(seconds);
            self.count += 1;
        }
        if row.component == "pod" {
            let known = row.cgroup_memory_peak_bytes.zip(row.cgroup_memory_bytes);
            let cgroup = known.map(|(peak, usage)| PodCgroup {
                peak: peak as f64,
                usage: usage as f64,
                file: row.cgroup_file_bytes.unwrap_or(0) as f64,
                kernel: row.cgroup_kernel_bytes.unwrap_or(0) as f64,
            });
            self.cgroup.extend(cgroup.map(|cgroup| (self.count, cgroup)));
        } else if let Some(memory) = ComponentMemory::of(row) {
            self.parts.entry(row.component.clone()).or_default().push((self.count, memory));
        } else {
            self.unreadable.insert(row.component.clone());
        }
    }

    /// The later half of the samples: those up to this one are left out.
    fn left_out(&self) -> usize {
        self.count / 2
    }

    /// The median of each component, which holds nothing in samples without it.
    fn parts(&self) -> BTreeMap<String, ComponentMemory> {
        let of = |(name, all): (&String, &Vec<(usize, ComponentMemory)>)| {
            let later = all.iter().filter(|(number, _)| *number > self.left_out());
            let mut later: Vec<ComponentMemory> = later.map(|(_, memory)| *memory).collect();
            later.resize(later.len().max(self.count - self.left_out()), ComponentMemory::default());
            (name.clone(), ComponentMemory::median(&later))
        };
        self.parts.iter().map(of).collect()
    }

    fn cgroup(&self) -> Option<PodCgroup> {
        let peak = self.cgroup.last()?.1.peak;
        let later = || self.cgroup.iter().filter(|(number, _)| *number > self.left_out());
        let of = |value: fn(&PodCgroup) -> f64| median(later().map(|(_, one)| value(one)));
        Some(PodCgroup {
            peak,
            usage: of(|one| one.usage),
            file: of(|one| one.file),
            kernel: of(|one| one.kernel),
        })
    }
}

/// A few samples from when something started do not move it.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5).unwrap_or(0.0)
}
