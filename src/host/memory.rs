//! Memory controller: effective limits, usage, events. The two versions of the interface differ in which file
//! and which unit, and only here.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst and Documentation/admin-guide/cgroup-v1/memory.rst.

use std::path::Path;

use super::cgroup::{Hierarchy, Level, Version};
use super::enclosing::{EffectiveLimit, EnclosingLimits, Levels, find_in, open_in, open_own};
use super::file::KernelFile;
use super::limit::Limit;
use super::parse::{flat_keyed, flat_value, memory_limit, number};
use crate::quantity::Bytes;

/// What has happened at the limits of a cgroup, cumulative. `None` where this version or kernel does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// Reclaimed although below its protection (v2).
    pub low: Option<u64>,
    /// Made to reclaim, and throttled, above `memory.high` (v2).
    pub high: Option<u64>,
    /// The limit was hit (v1: `memory.failcnt`).
    pub max: Option<u64>,
    /// The limit was hit and reclaim did not help (v2).
    pub oom: Option<u64>,
    /// Processes that the OOM killer ended.
    pub oom_kill: Option<u64>,
    /// Times it ended the whole cgroup (v2).
    pub oom_group_kill: Option<u64>,
    /// Whether processes wait for memory right now (v1).
    pub under_oom: Option<bool>,
    /// Whether they wait instead of being ended (v1).
    pub oom_kill_disabled: Option<bool>,
}

/// All that is read of the controller at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReadings<'a> {
    /// `memory.max`, v1 `memory.limit_in_bytes`: beyond it is the OOM killer.
    pub limit: EffectiveLimit<'a, Bytes>,
    /// The smallest distance to the limit of an enclosing cgroup; `None` where none is in sight, or where one is
    /// in force whose usage cannot be seen.
    pub headroom: Option<Bytes>,
    /// `memory.high`: beyond it are reclaim and throttling (v2).
    pub high: EffectiveLimit<'a, Bytes>,
    /// `memory.soft_limit_in_bytes`: beyond it is reclaim when the machine runs short (v1).
    pub soft_limit: EffectiveLimit<'a, Bytes>,
    /// `memory.swap.max`: swap alone (v2).
    pub swap_limit: EffectiveLimit<'a, Bytes>,
    /// `memory.memsw.limit_in_bytes`: memory and swap together (v1).
    pub memory_and_swap_limit: EffectiveLimit<'a, Bytes>,
    /// Charged to the own cgroup.
    pub usage: Option<Bytes>,
    /// Peak of that.
    pub peak: Option<Bytes>,
    /// Swap charged to the own cgroup.
    pub swap: Option<Bytes>,
    /// Events of the own cgroup.
    pub events: MemoryEvents,
}

/// The limit of one cgroup, and what counts towards it.
#[derive(Debug)]
struct LimitedLevel {
    limit: KernelFile,
    usage: Option<KernelFile>,
}

/// The memory controller of this process.
#[derive(Debug)]
pub struct MemoryController {
    limit: EnclosingLimits<LimitedLevel>,
    high: EnclosingLimits<KernelFile>,
    soft_limit: EnclosingLimits<KernelFile>,
    swap_limit: EnclosingLimits<KernelFile>,
    memory_and_swap_limit: EnclosingLimits<KernelFile>,
    usage: Option<KernelFile>,
    peak: Option<KernelFile>,
    swap: Swap,
    events: Events,
    /// v1: includes limits of hidden ancestors.
    stat: Option<KernelFile>,
    next_look_ns: u64,
}

/// Hidden limits are not looked up more often: `memory.stat` is dear on large hosts. Half of the interval at
/// which the report asks, so that none of its looks is left out.
const LOOK_EVERY_NS: u64 = 500_000_000;

/// The files of the own cgroup's swap.
#[derive(Debug)]
enum Swap {
    Nowhere,
    /// v2: by itself.
    Alone(KernelFile),
    /// v1: together with memory.
    WithMemory(KernelFile),
}

/// The files of the own cgroup's events.
#[derive(Debug)]
enum Events {
    Nowhere,
    V1 { oom_control: Option<KernelFile>, failcnt: Option<KernelFile> },
    V2(KernelFile),
}

/// The names of the files that both versions have.
struct Names {
    limit: &'static str,
    usage: &'static str,
    peak: &'static str,
}

impl MemoryController {
    /// Opens the files of the hierarchy found for `memory`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        match Levels::in_sight(root, hierarchy) {
            None => Self::unknown(),
            Some(levels) if levels.version == Version::V1 => Self::open_v1(root, levels),
            Some(levels) => Self::open_v2(root, &levels),
        }
    }

    fn unknown() -> Self {
        Self {
            limit: EnclosingLimits::UNKNOWN,
            high: EnclosingLimits::UNKNOWN,
            soft_limit: EnclosingLimits::UNKNOWN,
            swap_limit: EnclosingLimits::UNKNOWN,
            memory_and_swap_limit: EnclosingLimits::UNKNOWN,
            usage: None,
            peak: None,
            swap: Swap::Nowhere,
            events: Events::Nowhere,
            stat: None,
            next_look_ns: 0,
        }
    }

    /// What both versions have, under different names.
    fn common(root: &Path, levels: &Levels, names: &Names) -> Self {
        let own = |file: &str| open_own(root, levels, file);
        let limit = EnclosingLimits::open(levels, |level| {
            let usage = open_in(root, level, names.usage);
            Ok(find_in(root, level, names.limit)?.map(|limit| LimitedLevel { limit, usage }))
        });
        Self { limit, usage: own(names.usage), peak: own(names.peak), ..Self::unknown() }
    }

    fn open_v1(root: &Path, mut levels: Levels) -> Self {
        // A cgroup that does not use hierarchy (before Linux 5.11) has no say in those below it.
        let flat = |level: &&Level| {
            open_in(root, level, "memory.use_hierarchy").is_some_and(|f| f.read(number) == Some(0))
        };
        if let Some(above) = levels.visible.iter().skip(1).position(|level| flat(&level)) {
            levels.visible.truncate(above + 1);
            levels.are_all = true;
        }
        let own = |file: &str| open_own(root, &levels, file);
        let names = Names {
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            peak: "memory.max_usage_in_bytes",
        };
        let find =
            |file| EnclosingLimits::open(&levels, |level| find_in(root, level, file)).unknown_if_nowhere();
        let mut controller = Self {
            soft_limit: find("memory.soft_limit_in_bytes"),
            memory_and_swap_limit: find("memory.memsw.limit_in_bytes"),
            swap: own("memory.memsw.usage_in_bytes").map_or(Swap::Nowhere, Swap::WithMemory),
            events: Events::V1 { oom_control: own("memory.oom_control"), failcnt: own("memory.failcnt") },
            stat: own("memory.stat"),
            ..Self::common(root, &levels, &names)
        };
        controller.look_out_of_sight();
        controller
    }

    /// Looks up, now and then, the limits that no file in sight shows. The time is a monotonic one in nanoseconds.
    pub fn refresh(&mut self, now_ns: u64) {
        if now_ns >= self.next_look_ns {
            self.next_look_ns = now_ns + LOOK_EVERY_NS;
            self.look_out_of_sight();
        }
    }

    fn look_out_of_sight(&mut self) {
        let Some(stat) = &self.stat else { return };
        let sum =
            |key: &str| stat.read_limit(|text| flat_value(text, key).map_or(Limit::Unknown, memory_limit));
        self.limit.note_sum(|| sum("hierarchical_memory_limit"), |at| limit_in(&at.limit));
        self.memory_and_swap_limit.note_sum(|| sum("hierarchical_memsw_limit"), limit_in);
    }

    fn open_v2(root: &Path, levels: &Levels) -> Self {
        let own = |file: &str| open_own(root, levels, file);
        let names = Names { limit: "memory.max", usage: "memory.current", peak: "memory.peak" };
        let find = |file| EnclosingLimits::open(levels, |level| find_in(root, level, file));
        Self {
            high: find("memory.high"),
            swap_limit: find("memory.swap.max"),
            swap: own("memory.swap.current").map_or(Swap::Nowhere, Swap::Alone),
            events: own("memory.events").map_or(Events::Nowhere, Events::V2),
            ..Self::common(root, levels, &names)
        }
    }

    /// Reads everything as it is now.
    #[must_use]
    pub fn read(&self) -> MemoryReadings<'_> {
        let (limit, headroom) = self.limit_and_headroom();
        let usage = read_bytes(self.usage.as_ref());
        MemoryReadings {
            limit,
            headroom,
            high: tightest(&self.high),
            soft_limit: tightest(&self.soft_limit),
            swap_limit: tightest(&self.swap_limit),
            memory_and_swap_limit: tightest(&self.memory_and_swap_limit),
            usage,
            peak: read_bytes(self.peak.as_ref()),
            swap: match &self.swap {
                Swap::Nowhere => None,
                Swap::Alone(file) => read_bytes(Some(file)),
                // The two are read one after the other: there may seem to be less than none.
                Swap::WithMemory(file) => read_bytes(Some(file))
                    .zip(usage)
                    .map(|(both, memory)| Bytes(both.0.saturating_sub(memory.0))),
            },
            events: self.events.read(),
        }
    }

    /// The tightest limit of all enclosing cgroups, and the smallest distance of any of them to its limit: `None`
    /// as well where the usage of one that is out of sight would have to be known.
    #[must_use]
    pub fn limit_and_headroom(&self) -> (EffectiveLimit<'_, Bytes>, Option<Bytes>) {
        let mut headroom = None;
        let limit = self.limit.tightest(
            |at| {
                let limit = limit_in(&at.limit);
                let usage = at.usage.as_ref().and_then(|file| file.read(number));
                let distance = limit.value().zip(usage).map(|(limit, usage)| limit.saturating_sub(usage));
                headroom = headroom.into_iter().chain(distance).min();
                limit.and_then(bytes)
            },
            bytes,
        );
        let is_seen = limit.limit.value().is_some() && !self.limit.has_hidden();
        (limit, headroom.filter(|_| is_seen).map(Bytes))
    }
}

impl Events {
    fn read(&self) -> MemoryEvents {
        match self {
            Self::Nowhere => None,
            Self::V1 { oom_control, failcnt } => {
                let events = oom_control.as_ref().and_then(|file| file.read(|text| Some(v1_events(text))));
                let max = failcnt.as_ref().and_then(|file| file.read(number));
                Some(MemoryEvents { max, ..events.unwrap_or_default() })
            }
            Self::V2(file) => file.read(|text| Some(v2_events(text))),
        }
        .unwrap_or_default()
    }
}

fn v1_events(text: &str) -> MemoryEvents {
    let flag = |key| flat_keyed(text, key).map(|value| value != 0);
    MemoryEvents {
        oom_kill: flat_keyed(text, "oom_kill"),
        under_oom: flag("under_oom"),
        oom_kill_disabled: flag("oom_kill_disable"),
        ..MemoryEvents::default()
    }
}

fn v2_events(text: &str) -> MemoryEvents {
    let count = |key| flat_keyed(text, key);
    MemoryEvents {
        low: count("low"),
        high: count("high"),
        max: count("max"),
        oom: count("oom"),
        oom_kill: count("oom_kill"),
        oom_group_kill: count("oom_group_kill"),
        under_oom: None,
        oom_kill_disabled: None,
    }
}

fn limit_in(file: &KernelFile) -> Limit<u64> {
    file.read_limit(|text| memory_limit(text.trim()))
}

fn tightest(limits: &EnclosingLimits<KernelFile>) -> EffectiveLimit<'_, Bytes> {
    limits.tightest(|file| limit_in(file).and_then(bytes), bytes)
}

fn bytes(count: u64) -> Option<Bytes> {
    Some(Bytes(count))
}

fn read_bytes(file: Option<&KernelFile>) -> Option<Bytes> {
    file?.read(number).map(Bytes)
}
