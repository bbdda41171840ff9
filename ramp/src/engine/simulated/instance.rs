//! Simulated instance: its state, its memory, and its reports.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use workload::quantity::{CpuTarget, MemoryTarget, Rate};

use super::super::{ContainerExit, InstanceStatus};
use super::kernel_memory::Used;
use super::records::object;
use super::world::{RuntimeTruth, World};
use ramp_format::scenario::Scenario;
use ramp_format::state::State;

/// The load of each instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LoadFacts {
    /// Its resident set, in whole pages.
    pub(super) target: f64,
    /// Its resident set at the start.
    start: f64,
    /// Bytes per second.
    rate: f64,
    /// The part of its resident set that all instances share.
    pub(super) shared: f64,
    page_tables: f64,
    /// Cores.
    cpu: f64,
    starved: f64,
    /// CPU seconds to fill it.
    fill_cpu: f64,
    pub(super) report_every: Duration,
}

const PAGE: f64 = 4096.0;
/// Memory of a program before it allocates.
const PROGRAM: f64 = 550_000.0;
/// Growth rate of `instant`, in bytes per second: as fast as the kernel is.
const AT_ONCE: f64 = 2e9;
/// A unit of work, in CPU seconds.
const UNIT: f64 = 2e-6;

impl LoadFacts {
    /// By the scenario's arguments and the world.
    pub(super) fn of(scenario: &Scenario, world: &World) -> Result<Self, String> {
        let load = scenario.load()?;
        if let Some((option, why)) = scenario.unknown_settings().first_key_value() {
            return Err(format!("--{option} is not known ({why}): expected a value in the manifest"));
        }
        let asked = match load.memory {
            MemoryTarget::Bytes(bytes) => bytes.0 as f64,
            other => {
                return Err(format!("--memory {other}: expected bytes for a simulated load, such as 100M"));
            }
        };
        let cpu = match load.cpu {
            CpuTarget::Cores(cores) => cores.as_f64(),
            other => return Err(format!("--cpu {other}: expected cores for a simulated load, such as 0.2")),
        };
        let shared = (world.load.shared.0 as f64).min(asked);
        let target = (asked / PAGE).ceil() * PAGE;
        Ok(Self {
            target,
            start: (shared + PROGRAM).min(target),
            rate: match load.growth_rate {
                Rate::Instant => AT_ONCE,
                Rate::PerSecond(rate) => (rate.0 as f64).max(1.0),
            },
            shared,
            page_tables: world.load.page_tables,
            cpu,
            starved: world.load.starved,
            fill_cpu: world.load.fill_cpu_per_gb.as_secs_f64() * asked / 1e9,
            report_every: load.reports.report_every.0,
        })
    }

    /// Time until it holds its memory.
    pub(super) fn fill(&self) -> Duration {
        Duration::from_secs_f64((self.target - self.start).max(0.0) / self.rate)
    }

    /// Memory of an instance that holds all of its memory, without what all share.
    pub(super) fn cost(&self) -> f64 {
        (self.target - self.shared) * (1.0 + self.page_tables)
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimulatedInstance {
    pub(super) number: u32,
    /// Index of its group.
    pub(super) group: usize,
    pub(super) state: State,
    pub(super) node: Option<usize>,
    pub(super) since: Duration,
    pub(super) made: Duration,
    pub(super) restarts: u32,
    pub(super) reason: String,
    pub(super) end: Option<ContainerExit>,
    /// Incremented with each change, which cancels planned events.
    pub(super) life: u32,
    /// When its program started, if it runs.
    pub(super) began: Option<Duration>,
    /// Memory of its runtime.
    pub(super) overhead: f64,
    /// Its tasks in the cgroup of all pods, while it runs.
    pub(super) tasks: u64,
    /// CPU usage of its runtime in cores, and CPU time of its start in seconds.
    pub(super) runtime_cpu: (f64, f64),
    /// When the creation of its sandbox began and ends.
    pub(super) sandbox: Option<(Duration, Duration)>,
    /// Memory that its runtime takes besides at first, and for how long.
    pub(super) peak: (f64, Duration),
    /// Since the last events.
    pub(super) changed: bool,
    /// Whether another one has taken its place.
    pub(super) over: bool,
}

impl SimulatedInstance {
    pub(super) fn new(number: u32, group: usize, overhead: f64, now: Duration) -> Self {
        Self {
            number,
            group,
            state: State::Pending,
            node: None,
            since: now,
            made: now,
            restarts: 0,
            reason: String::new(),
            end: None,
            life: 0,
            began: None,
            overhead,
            tasks: 0,
            runtime_cpu: (0.0, 0.0),
            sandbox: None,
            peak: (0.0, Duration::ZERO),
            changed: true,
            over: false,
        }
    }

    pub(super) fn turn(&mut self, state: State, reason: &str, now: Duration) {
        self.state = state;
        self.reason = reason.to_owned();
        self.since = now;
        self.life += 1;
        self.changed = true;
    }

    pub(super) fn name(&self) -> String {
        format!("instance-{:04}", self.number)
    }

    pub(super) fn uid(&self) -> String {
        format!("uid-{:04}", self.number)
    }

    /// Whether it counts among those requested.
    pub(super) fn counts(&self) -> bool {
        !self.over && !matches!(self.state, State::Terminating | State::Gone)
    }

    pub(super) fn resident(&self, load: &LoadFacts, now: Duration) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        (load.start + load.rate * now.saturating_sub(began).as_secs_f64()).min(load.target)
    }

    /// Adds its memory to that of its kernel.
    pub(super) fn add_to(&self, used: &mut Used, load: &LoadFacts, now: Duration) {
        if let Some((begin, whole)) = self.sandbox {
            let time = whole.saturating_sub(begin).as_secs_f64().max(1e-9);
            used.anon += self.overhead * (now.saturating_sub(begin).as_secs_f64() / time).min(1.0);
            let (peak, lasts) = self.peak;
            used.anon += if now.saturating_sub(begin) < lasts { peak } else { 0.0 };
        }
        if self.began.is_some() {
            let anon = (self.resident(load, now) - load.shared).max(0.0);
            used.anon += anon;
            used.page_tables += anon * load.page_tables;
            used.files = used.files.max(load.shared);
        }
    }

    /// What it takes itself, beside files.
    pub(super) fn charged(&self, load: &LoadFacts, now: Duration) -> f64 {
        let mut used = Used::default();
        self.add_to(&mut used, load, now);
        used.unreclaimable()
    }

    /// The most of that until now: all grows but what its runtime takes at first.
    pub(super) fn most_charged(&self, load: &LoadFacts, now: Duration) -> f64 {
        let peak_ends = self.sandbox.map(|(begin, _)| begin + self.peak.1);
        let last = peak_ends.map_or(now, |ends| ends.saturating_sub(Duration::from_nanos(1)).min(now));
        self.charged(load, now).max(self.charged(load, last))
    }

    /// CPU time that it has used since it was made or its program began, with that of its runtime, in seconds.
    pub(super) fn cpu_seconds(&self, load: &LoadFacts, now: Duration) -> f64 {
        let (at_rest, per_start) = self.runtime_cpu;
        let start = self.sandbox.map_or(0.0, |(begin, whole)| {
            let takes = whole.saturating_sub(begin).as_secs_f64().max(per_start).max(1e-9);
            per_start * (now.saturating_sub(begin).as_secs_f64() / takes).min(1.0)
        });
        let run = self.began.map_or(0.0, |began| {
            at_rest * now.saturating_sub(began).as_secs_f64() + self.cpu_used(load, now)
        });
        start + run
    }

    /// CPU time that its program has used, in seconds.
    fn cpu_used(&self, load: &LoadFacts, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.began.unwrap_or(now)).as_secs_f64();
        (load.cpu * elapsed * (1.0 - load.starved)).max(load.fill_cpu * self.filled(load, now))
    }

    /// The part of its memory that it has filled.
    fn filled(&self, load: &LoadFacts, now: Duration) -> f64 {
        ((self.resident(load, now) - load.start) / (load.target - load.start).max(1.0)).clamp(0.0, 1.0)
    }

    /// Its status by the API. `time` is the clock of a node, or without one of the API server.
    pub(super) fn instance_status(
        &self,
        nodes: &[String],
        time: impl Fn(Option<usize>, Duration) -> SystemTime,
    ) -> InstanceStatus {
        let told_by = match self.state {
            // The scheduler tells of a new instance that it has a node.
            State::Pending | State::Unschedulable | State::Creating | State::Terminating | State::Gone => {
                None
            }
            _ => self.node,
        };
        InstanceStatus {
            uid: self.uid(),
            name: self.name(),
            node: self.node.and_then(|node| nodes.get(node)).cloned(),
            state: self.state,
            // The API has whole seconds.
            since: Some(whole_second(time(told_by, self.since))),
            reason: self.reason.clone(),
            restarts: self.restarts,
            end: self.end.clone().filter(|_| self.state != State::Terminating),
            over: self.over || self.state == State::Gone,
            group: None,
        }
    }

    /// MemTotal and MemAvailable of its guest.
    pub(super) fn guest(
        &self,
        runtime: &RuntimeTruth,
        load: &LoadFacts,
        now: Duration,
    ) -> Option<(f64, f64)> {
        let total = runtime.guest_memory?.0 as f64;
        let used = runtime.guest_used.0 as f64 * runtime.share_of(self.overhead);
        let anon = (self.resident(load, now) - load.shared).max(0.0);
        Some((total, (total - used - anon * (1.0 + load.page_tables)).max(0.0)))
    }

    /// A record as `workload` makes it. `swapped`: the share of its anonymous memory that is swapped out, where there is swap.
    pub(super) fn record(
        &self,
        kind: &str,
        load: &LoadFacts,
        now: Duration,
        time: &str,
        swapped: Option<f64>,
    ) -> Map<String, Value> {
        let elapsed = now.saturating_sub(self.began.unwrap_or(now)).as_secs_f64();
        let resident = self.resident(load, now);
        let filled = self.filled(load, now);
        let wanted = load.cpu * elapsed;
        let used = self.cpu_used(load, now);
        let worked = (used - load.fill_cpu * filled).max(0.0);
        let bytes = |value: f64| value.round() as u64;
        let anon = (resident - load.shared).max(0.0);
        let out = anon * swapped.unwrap_or(0.0);
        let pages = |value: f64| bytes((value / PAGE).floor() * PAGE);
        let record = json!({
            "record": kind,
            "time": time,
            "elapsed_seconds": elapsed,
            "phase": if resident >= load.target { "holding" } else { "growing" },
            "memory_target_bytes": bytes(load.target),
            "memory_wanted_bytes": bytes((load.rate * elapsed).min(load.target)),
            "memory_resident_bytes": pages(resident - out),
            "memory_anon_bytes": pages(anon - out),
            "memory_file_bytes": bytes(load.shared),
            "cpu_wanted_seconds_total": wanted,
            "cpu_used_seconds_total": used,
            "cpu_overdrawn_seconds": (used - wanted).max(0.0),
            "cpu_given_up_seconds_total": (wanted - used).max(0.0),
            "work_units_total": bytes(worked / UNIT),
            "memory_held_after_seconds": (resident >= load.target).then(|| load.fill().as_secs_f64()),
        });
        let mut record = object(record);
        if swapped.is_some() {
            record.insert("memory_swap_bytes".into(), pages(out).into());
        }
        record
    }
}

pub(super) fn whole_second(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
