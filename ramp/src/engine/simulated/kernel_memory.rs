//! Memory of a simulated kernel: usage by others than the instances, and its meminfo.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::random::Random;
use super::records::object;
use super::swap::{SWAP_FIELDS, SwapSpace, SwappedOut};
use super::world::{MachineTruth, NodeKind, Others};

/// A kernel.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) boot_id: String,
    pub(super) memory: f64,
    pub(super) page_cache: f64,
    pub(super) oom_kills: u64,
    idle: f64,
    draw: Random,
    /// The random walk of its own memory, and when it was drawn.
    wandered: (f64, Duration),
    others: Vec<NeighbourProgram>,
    /// Memory of ended instances that is not free yet, and when that was.
    returning: (f64, Duration),
    swap: Option<SwapSpace>,
}

/// Programs of one kind that come and go.
#[derive(Clone, Debug)]
struct NeighbourProgram {
    kind: Others,
    next: Duration,
    running: Vec<(Duration, Duration, f64)>,
}

/// Memory of a kernel for its instances.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// Their anonymous memory, including that of their runtime.
    pub(super) anon: f64,
    /// Their page tables.
    pub(super) page_tables: f64,
    /// What it keeps for ever because of them.
    pub(super) kept: f64,
    /// Files that they map.
    pub(super) files: f64,
}

impl Used {
    pub(super) fn unreclaimable(&self) -> f64 {
        self.anon + self.page_tables + self.kept
    }
}

impl Kernel {
    pub(super) fn new(
        boot_id: String,
        kind: &NodeKind,
        machine: &MachineTruth,
        mut draw: Random,
        swap: Random,
    ) -> Self {
        let other = |kind: &Others, draw: &mut Random| NeighbourProgram {
            next: kind.every.mul_f64(draw.exponential()),
            kind: kind.clone(),
            running: Vec::new(),
        };
        Self {
            boot_id,
            memory: kind.memory.0 as f64,
            page_cache: kind.page_cache.0 as f64,
            oom_kills: 0,
            idle: kind.idle.0 as f64,
            others: machine.others.iter().map(|kind| other(kind, &mut draw)).collect(),
            draw,
            wandered: (0.0, Duration::ZERO),
            returning: (0.0, Duration::ZERO),
            swap: SwapSpace::of(kind, swap),
        }
    }

    /// An instance frees this memory.
    pub(super) fn give_back(&mut self, bytes: f64, machine: &MachineTruth, now: Duration) {
        if !machine.returns_within.is_zero() {
            self.returning = (self.returning(machine, now) + bytes, now);
        }
    }

    /// Memory of ended instances that is not free yet: a twentieth of it after `returns_within`.
    fn returning(&self, machine: &MachineTruth, now: Duration) -> f64 {
        let (bytes, since) = self.returning;
        let times = now.saturating_sub(since).as_secs_f64() / machine.returns_within.as_secs_f64().max(1e-9);
        bytes * (-3.0 * times).exp()
    }

    /// Memory that is neither available nor the instances', without noise. Times must not decrease.
    fn own(&mut self, machine: &MachineTruth, now: Duration) -> f64 {
        let (wandered, since) = self.wandered;
        let far = machine.wander.0 as f64 * now.saturating_sub(since).as_secs_f64().sqrt();
        self.wandered = (wandered + far * self.draw.normal(), now);
        let others: f64 = self.others.iter_mut().map(|other| other.memory(now, &mut self.draw)).sum();
        let drift = machine.drift.as_f64() * now.as_secs_f64();
        self.idle + self.wandered.0 + drift + others + self.returning(machine, now)
    }

    /// Memory needed: there is a shortage if it exceeds that of the machine.
    pub(super) fn needed(&mut self, used: &Used, machine: &MachineTruth, now: Duration) -> f64 {
        let own = self.own(machine, now);
        own + used.unreclaimable() - self.swap_out(used, own).freed()
    }

    fn swap_out(&mut self, used: &Used, own: f64) -> SwappedOut {
        let memory = self.memory;
        let needed = own + used.unreclaimable();
        self.swap.as_mut().map(|swap| swap.swap_out(used.anon, needed, memory)).unwrap_or_default()
    }

    /// What of the instances' memory is swapped out; none where it has no swap.
    pub(super) fn swapped_out(&self) -> Option<SwappedOut> {
        self.swap.as_ref().map(SwapSpace::out)
    }

    /// A record as `workload node` makes it.
    pub(super) fn record(
        &mut self,
        used: &Used,
        machine: &MachineTruth,
        now: Duration,
        time: &str,
    ) -> Map<String, Value> {
        let own = self.own(machine, now) + machine.noise.0 as f64 * self.draw.normal();
        // Most of the unreclaimable memory of an idle machine is that of programs.
        let [anon, slab, stacks, tables, shared, percpu] =
            [0.70, 0.18, 0.03, 0.03, 0.04, 0.02].map(|part| (part * own).max(0.0));
        let out = self.swap_out(used, own);
        let unreclaimable = own.max(0.0) + used.unreclaimable() - out.freed();
        let cache = (self.page_cache + used.files).min((self.memory - unreclaimable).max(0.0));
        let free = (self.memory - unreclaimable - cache).max(0.0);
        let bytes = |value: f64| (value / 1024.0).round() as u64 * 1024;
        let record = json!({
            "record": "report",
            "time": time,
            "hostname": self.boot_id,
            "boot_id": self.boot_id,
            "memory_total_bytes": bytes(self.memory),
            "memory_free_bytes": bytes(free),
            "memory_available_bytes": bytes(free + 0.9 * cache),
            "memory_cached_bytes": bytes(cache + shared),
            "memory_active_bytes": bytes(0.4 * cache + 0.1 * used.anon + 0.5 * anon),
            "memory_anon_bytes": bytes(anon + used.anon - out.all),
            "memory_shmem_bytes": bytes(shared),
            "memory_slab_unreclaimable_bytes": bytes(slab + used.kept),
            "memory_kernel_stack_bytes": bytes(stacks),
            "memory_page_tables_bytes": bytes(tables + used.page_tables),
            "memory_percpu_bytes": bytes(percpu),
            "oom_kills_total": self.oom_kills,
        });
        let mut record = object(record);
        let wander = machine.wander.0 as f64;
        let values = self.swap.as_mut().map_or([0.0; 5], |swap| swap.meminfo(wander, now));
        let values = values.map(|value| bytes(value).into());
        record.extend(SWAP_FIELDS.map(str::to_owned).into_iter().zip(values));
        record
    }
}

impl NeighbourProgram {
    fn memory(&mut self, now: Duration, draw: &mut Random) -> f64 {
        while self.next <= now {
            let lasts = self.kind.lasts.mul_f64(draw.exponential());
            self.running.push((self.next, lasts, self.kind.memory.0 as f64 * draw.exponential()));
            self.next += self.kind.every.mul_f64(draw.exponential().max(1e-3));
        }
        self.running.retain(|(began, lasts, _)| *began + *lasts > now);
        let grown = |(began, lasts, bytes): &(Duration, Duration, f64)| {
            let part = now.saturating_sub(*began).as_secs_f64() / lasts.as_secs_f64().max(1e-9);
            bytes * (2.0 * part).min(1.0)
        };
        self.running.iter().map(grown).sum()
    }
}
