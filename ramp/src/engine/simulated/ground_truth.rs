//! Ground truth of a run on a simulated cluster, to which its report is compared.

use std::collections::BTreeMap;
use std::time::Duration;

/// Ground truth of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Mean memory of an instance of the run, in bytes: its load without what all share, its page tables, its runtime, and what the
    /// machine keeps because of it.
    pub marginal_cost_bytes: f64,
    /// The same of each group of a mixed run.
    pub group_cost_bytes: Vec<f64>,
    /// Tasks of an instance of the run on average, within the cgroup of all pods.
    pub tasks_each: f64,
    /// Mean CPU usage of an instance of each group beyond its load, in cores.
    pub cpu_at_rest: Vec<f64>,
    /// Mean CPU time of a start in each group, in seconds.
    pub cpu_per_start: Vec<f64>,
    /// Memory of the instances that was swapped out while so many held theirs and no other was there.
    pub swapped: BTreeMap<u32, TrueSwap>,
    /// Maximum of the instances that held all of their memory at once.
    pub held: u32,
    /// Maximum of those that ran at once.
    pub running: u32,
    /// Maximum of those requested.
    pub asked: u32,
    /// Instances lost or unschedulable for lack of a resource.
    pub losses: Vec<TrueLoss>,
    /// Instances killed by an incident.
    pub killed: u32,
    /// Whether others have changed the instances.
    pub changed_by_others: bool,
    /// From creation to holding all memory, of those that succeeded at the first attempt.
    pub startup_seconds: Vec<f64>,
    /// Of the same: the most that was charged to each, beyond the anonymous memory of its load.
    pub peak_bytes: Vec<f64>,
    /// Whether all instances have been removed: what follows is not part of it.
    pub removed: bool,
    /// The numbers of instances that hold their memory and that run now.
    pub(super) now: (u32, u32),
    pub(super) seen_millisecond: u128,
}

/// Memory of all instances that was swapped out, as sums over samples, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrueSwap {
    /// Samples.
    pub samples: u32,
    /// On a disk.
    pub on_disk: f64,
    /// Compressed in memory, at its size before.
    pub stored: f64,
    /// What that takes.
    pub pool: f64,
}

impl TrueSwap {
    /// On a disk for each of so many instances.
    #[must_use]
    pub fn on_disk_each(&self, instances: u32) -> f64 {
        self.on_disk / f64::from(self.samples.max(1)) / f64::from(instances.max(1))
    }

    /// Compressed for each of so many instances: what it takes, and what that saves.
    #[must_use]
    pub fn compressed_each(&self, instances: u32) -> (f64, f64) {
        let each = f64::from(self.samples.max(1)) * f64::from(instances.max(1));
        (self.pool / each, (self.stored - self.pool) / each)
    }
}

/// An instance lost or unschedulable.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueLoss {
    /// When, since the cluster was created.
    pub seconds: f64,
    /// Instances requested then.
    pub asked: u32,
    /// Why, as recorded.
    pub reason: String,
}

impl Truth {
    /// These numbers of instances hold their memory, run, and are requested now. What lasts less than a millisecond does not count:
    /// rows have that resolution.
    pub(super) fn see(&mut self, now: Duration, held: u32, running: u32, asked: u32) {
        if self.removed {
            return;
        }
        if self.seen_millisecond != now.as_millis() {
            self.seen_millisecond = now.as_millis();
            self.count();
        }
        self.now = (held, running);
        self.asked = self.asked.max(asked);
    }

    /// The present numbers have lasted long enough to count.
    pub(super) fn count(&mut self) {
        self.held = self.held.max(self.now.0);
        self.running = self.running.max(self.now.1);
    }
}
