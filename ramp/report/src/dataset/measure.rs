//! Measures: what samples of a node tell that instances add to, one row each. The marginal cost of an instance can be of any of them.

use super::{NodeMemory, NodeSample};

/// A measure.
#[derive(Debug)]
pub struct Measure {
    /// What it is of.
    pub name: &'static str,
    /// The unit that people read it in.
    pub unit: &'static str,
    /// What such a unit is, in that of the values.
    pub per_unit: f64,
    /// The value of a sample; none where the sample lacks it.
    pub value: fn(&NodeSample) -> Option<f64>,
    /// Whether instances report what they hold of it: that is subtracted, and only the rest is estimated from samples.
    pub is_reported: bool,
    /// Whether the kernel charges it to the instances alone: nothing else is in it.
    pub is_charged: bool,
    /// By what share of its load an instance may hold more or less than it was asked to.
    pub load_exact: f64,
    /// What a kernel may keep for each instance besides, counted by one measure and not by another.
    pub uncounted: f64,
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Measure {
    /// A value for people.
    #[must_use]
    pub fn text(&self, value: f64) -> String {
        format!("{:.1} {}", value / self.per_unit, self.unit)
    }
}

/// Memory in bytes. `workload` holds what it was asked to within 0.2 %; beside memory and page tables a kernel keeps stacks, slab and
/// pages that wait in lists of CPUs for any process.
const MEMORY: Measure = Measure {
    name: "memory",
    unit: "MiB",
    per_unit: 1_048_576.0,
    value: |_| None,
    is_reported: true,
    is_charged: false,
    load_exact: 0.002,
    uncounted: 800_000.0,
};

/// Of the study's files, which have no reports.
pub static ACTIVE: Measure = Measure {
    name: "active memory",
    value: |sample| bytes(sample.memory.active),
    is_reported: false,
    ..MEMORY
};
/// What instances have together, where they are confined together.
pub static CHARGED: Measure = Measure {
    name: "memory charged to the instances' cgroup",
    value: |sample| bytes(sample.budget_used),
    is_charged: true,
    ..MEMORY
};
/// Memory in use on the whole machine, whichever cgroup is charged. What is swapped out has become no less: it counts by its size, and
/// what compression saves is subtracted afterwards.
pub static UNRECLAIMABLE: Measure = Measure {
    name: "unreclaimable memory (anonymous, shared, slab, stacks, page tables, per CPU, huge pages in use)",
    value: |sample| Some(bytes(sample.memory.unreclaimable)? + swapped_out(sample)),
    ..MEMORY
};
/// The same where some sample lacks that. It is also moved by pages which wait in lists of their CPUs to be used again, and by caches that
/// are given up.
pub static NOT_AVAILABLE: Measure = Measure {
    name: "memory not available (MemTotal − MemAvailable)",
    value: |sample| {
        let pool = sample.memory.swapped.map_or(0.0, |swapped| swapped.pool as f64);
        Some(bytes(NodeMemory::not_available(&sample.memory))? + swapped_out(sample) - pool)
    },
    ..MEMORY
};
/// Anonymous and shared memory of all programs: the basis of memory per container.
pub static ANON_AND_SHARED: Measure = Measure {
    name: "anonymous and shared memory of all nodes, minus that before the first step",
    value: |sample| {
        let swapped = sample.memory.swapped.map_or(0, |swapped| swapped.on_disk() + swapped.pool);
        Some(bytes(sample.memory.anon_and_shared)? + swapped as f64)
    },
    ..MEMORY
};

/// What the kernel itself takes, of which nobody reports, and which nothing else counts twice.
const KERNEL_MEMORY: Measure = Measure { is_reported: false, load_exact: 0.0, uncounted: 0.0, ..MEMORY };
/// Each part of it.
pub static KERNEL_PARTS: [Measure; 4] = [
    Measure { name: "page_tables", value: |sample| bytes(sample.memory.kernel.page_tables), ..KERNEL_MEMORY },
    Measure { name: "slab", value: |sample| bytes(sample.memory.kernel.slab), ..KERNEL_MEMORY },
    Measure { name: "kernel_stacks", value: |sample| bytes(sample.memory.kernel.stacks), ..KERNEL_MEMORY },
    Measure { name: "per_cpu", value: |sample| bytes(sample.memory.kernel.per_cpu), ..KERNEL_MEMORY },
];
/// All of them together.
pub static KERNEL: Measure =
    Measure { name: "kernel", value: |sample| bytes(sample.memory.kernel.all()), ..KERNEL_MEMORY };
fn swapped_out(sample: &NodeSample) -> f64 {
    sample.memory.swapped.map_or(0.0, |swapped| swapped.out as f64)
}

fn bytes(of: Option<u64>) -> Option<f64> {
    of.map(|bytes| bytes as f64)
}
