//! CPU time of a simulated kernel: what the machine uses by itself, and its `/proc/stat`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::random::Random;
use super::records::object;
use super::world::{CpuOthers, MachineTruth};

/// CPU time of a kernel.
#[derive(Clone, Debug)]
pub(super) struct KernelCpu {
    cores: f64,
    draw: Random,
    /// When that below was drawn.
    at: Duration,
    /// What the machine has used by itself, in CPU seconds.
    own: f64,
    /// Its rate beyond the mean, which wanders, in cores.
    wandered: f64,
    others: Vec<OtherPrograms>,
    /// What instances have used that ended, in CPU seconds.
    pub(super) ended: f64,
}

/// Programs of one kind that come and go.
#[derive(Clone, Debug)]
struct OtherPrograms {
    kind: CpuOthers,
    next: Duration,
    /// Begin, end and cores of each.
    running: Vec<(Duration, Duration, f64)>,
}

/// What `/proc/stat` counts in.
const TICKS_PER_SECOND: f64 = 100.0;
/// The share of busy time that is the kernel's.
const SYSTEM: f64 = 0.4;

impl KernelCpu {
    pub(super) fn new(cores: f64, machine: &MachineTruth, mut draw: Random) -> Self {
        let others = machine.cpu_others.iter().map(|kind| OtherPrograms {
            next: kind.every.mul_f64(draw.exponential()),
            kind: kind.clone(),
            running: Vec::new(),
        });
        let others = others.collect();
        Self { cores, draw, at: Duration::ZERO, own: 0.0, wandered: 0.0, others, ended: 0.0 }
    }

    /// The fields of a record as `workload node` makes it, with what instances have used that are there. Times must not decrease.
    pub(super) fn record(
        &mut self,
        instances: f64,
        machine: &MachineTruth,
        now: Duration,
    ) -> Map<String, Value> {
        self.advance(machine, now);
        let all = self.cores * now.as_secs_f64();
        let busy = (self.own + self.ended + instances).min(all);
        let ticks = |seconds: f64| (seconds.max(0.0) * TICKS_PER_SECOND).floor() / TICKS_PER_SECOND;
        let record = json!({
            "cpu_user_seconds_total": ticks((1.0 - SYSTEM) * busy),
            "cpu_nice_seconds_total": 0.0,
            "cpu_system_seconds_total": ticks(SYSTEM * busy),
            "cpu_idle_seconds_total": ticks(all - busy),
            "cpu_iowait_seconds_total": 0.0,
            "cpu_irq_seconds_total": 0.0,
            "cpu_softirq_seconds_total": 0.0,
            "cpu_steal_seconds_total": 0.0,
        });
        object(record)
    }

    fn advance(&mut self, machine: &MachineTruth, now: Duration) {
        let (from, seconds) = (self.at, now.saturating_sub(self.at).as_secs_f64());
        if seconds <= 0.0 {
            return;
        }
        let root = seconds.sqrt();
        self.wandered += machine.cpu_wander * root * self.draw.normal();
        let drifted = machine.cpu_drift * 0.5 * (from + now).as_secs_f64() / 3600.0;
        let by_chance = machine.cpu_noise * root * self.draw.normal();
        let used = (machine.cpu + self.wandered + drifted) * seconds + by_chance;
        let others: f64 = self.others.iter_mut().map(|other| other.used(from, now, &mut self.draw)).sum();
        self.own += used.max(0.0) + others;
        self.at = now;
    }
}

impl OtherPrograms {
    /// CPU seconds that they use from one time to another.
    fn used(&mut self, from: Duration, to: Duration, draw: &mut Random) -> f64 {
        while self.next <= to {
            let end = self.next + self.kind.lasts.mul_f64(draw.exponential());
            self.running.push((self.next, end, self.kind.cpu * draw.exponential()));
            self.next += self.kind.every.mul_f64(draw.exponential().max(1e-3));
        }
        let used = |(begin, end, cores): &(Duration, Duration, f64)| {
            cores * (*end).min(to).saturating_sub((*begin).max(from)).as_secs_f64()
        };
        let sum = self.running.iter().map(used).sum();
        self.running.retain(|(_, end, _)| *end > to);
        sum
    }
}
