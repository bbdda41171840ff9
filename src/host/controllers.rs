//! The memory and the CPU controller: limits in force, usage and counters. The two versions of the interface
//! differ in which file and which unit, and only here.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst; for v1 Documentation/admin-guide/cgroup-v1/memory.rst and
//! Documentation/scheduler/sched-bwc.rst.

use std::path::Path;
use std::time::Duration;

use super::cgroup::{Hierarchy, Level, Version};
use super::format::{flat_keyed, single_value};
use super::{KernelFile, Limit};
use crate::quantity::{Bytes, Cores};

/// A limit, and the cgroup that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce<'a, T> {
    /// The tightest of all enclosing cgroups.
    pub limit: Limit<T>,
    /// Path of the cgroup that sets it; `None` where there is no limit.
    pub cgroup: Option<&'a str>,
}

/// The limit file of one cgroup.
#[derive(Debug)]
struct LimitAt<F> {
    cgroup: String,
    files: F,
}

/// Where a v1 limit above the cgroups that can be seen comes from.
const OUT_OF_SIGHT: &str = "an enclosing cgroup out of sight";

/// The memory controller of this process.
#[derive(Debug)]
pub struct MemoryController {
    /// `None` where nothing is known of the controller.
    version: Option<Version>,
    limits: Vec<LimitAt<KernelFile>>,
    /// v1 tells of limits that no file in sight shows; read once, as reading it is dear on large hosts.
    hidden_limit: Option<u64>,
    usage: Option<KernelFile>,
    events: Option<KernelFile>,
}

impl MemoryController {
    /// Opens what there is of the hierarchy found for `memory`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        let seen = hierarchy.filter(|h| own_directory_exists(root, h));
        let Some(Hierarchy { version, levels }) = seen else {
            return Self { version: None, limits: Vec::new(), hidden_limit: None, usage: None, events: None };
        };
        let (limit, usage, events) = match version {
            Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
            Version::V2 => ("memory.max", "memory.current", "memory.events"),
        };
        let limit_at = |level: &Level| {
            let files = open_in(root, level, limit)?;
            Some(LimitAt { cgroup: level.name.clone(), files })
        };
        let limits: Vec<_> = levels.iter().filter_map(limit_at).collect();
        let own = |file: &str| levels.first().and_then(|level| open_in(root, level, file));
        let hidden = own("memory.stat").filter(|_| version == Version::V1);
        Self {
            version: Some(version),
            limits,
            hidden_limit: hidden.and_then(|f| f.read(|text| flat_keyed(text, "hierarchical_memory_limit"))),
            usage: own(usage),
            events: own(events),
        }
    }

    /// The tightest limit of all enclosing cgroups, as it is now.
    #[must_use]
    pub fn limit(&self) -> InForce<'_, Bytes> {
        let visible = self.limits.iter().filter_map(|at| {
            let bytes = at.files.read(|text| memory_limit(single_value(text)?))?;
            Some((bytes, at.cgroup.as_str()))
        });
        let hidden = self.hidden_limit.filter(|bytes| !is_v1_unlimited(*bytes));
        // Of equal limits the innermost cgroup is named: `min_by_key` keeps the first.
        let tightest =
            visible.chain(hidden.map(|bytes| (bytes, OUT_OF_SIGHT))).min_by_key(|(bytes, _)| *bytes);
        in_force(self.version, tightest.map(|(bytes, cgroup)| (Bytes(bytes), cgroup)))
    }

    /// Memory that the kernel charges to this process's own cgroup, in bytes.
    #[must_use]
    pub fn usage(&self) -> Option<Bytes> {
        self.usage.as_ref()?.read(|text| single_value(text)?.parse().ok()).map(Bytes)
    }

    /// Processes of this cgroup that the OOM killer has ended.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        self.events.as_ref()?.read(|text| flat_keyed(text, "oom_kill"))
    }
}

/// How often and for how long a CPU quota has stopped the cgroup that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuThrottling {
    /// Enforcement periods in which anything ran.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// Time throttled, added up over CPUs.
    pub throttled: Duration,
}

/// The files of one cgroup's quota.
#[derive(Debug)]
struct Quota {
    /// v2: quota and period; v1: the quota alone.
    quota: KernelFile,
    /// v1 only.
    period: Option<KernelFile>,
    stat: Option<KernelFile>,
}

/// The CPU controller of this process.
#[derive(Debug)]
pub struct CpuController {
    version: Option<Version>,
    limits: Vec<LimitAt<Quota>>,
}

impl CpuController {
    /// Opens what there is of the hierarchy found for `cpu`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        let seen = hierarchy.filter(|h| own_directory_exists(root, h));
        let Some(Hierarchy { version, levels }) = seen else {
            return Self { version: None, limits: Vec::new() };
        };
        let quota_at = |level: &Level| {
            let open = |file| open_in(root, level, file);
            let (quota, period) = match version {
                Version::V1 => (open("cpu.cfs_quota_us")?, Some(open("cpu.cfs_period_us")?)),
                Version::V2 => (open("cpu.max")?, None),
            };
            let files = Quota { quota, period, stat: open("cpu.stat") };
            Some(LimitAt { cgroup: level.name.clone(), files })
        };
        Self { version: Some(version), limits: levels.iter().filter_map(quota_at).collect() }
    }

    /// The tightest quota of all enclosing cgroups, as it is now.
    #[must_use]
    pub fn limit(&self) -> InForce<'_, Cores> {
        in_force(self.version, self.tightest().map(|(cores, at)| (cores, at.cgroup.as_str())))
    }

    /// The throttling of the cgroup that sets the tightest quota, or of the innermost where there is none.
    #[must_use]
    pub fn throttling(&self) -> Option<CpuThrottling> {
        let at = self.tightest().map(|(_, at)| at).or(self.limits.first())?;
        at.files.stat.as_ref()?.read(|text| {
            let time = match self.version? {
                Version::V1 => Duration::from_nanos(flat_keyed(text, "throttled_time")?),
                Version::V2 => Duration::from_micros(flat_keyed(text, "throttled_usec")?),
            };
            Some(CpuThrottling {
                periods: flat_keyed(text, "nr_periods")?,
                throttled_periods: flat_keyed(text, "nr_throttled")?,
                throttled: time,
            })
        })
    }

    fn tightest(&self) -> Option<(Cores, &LimitAt<Quota>)> {
        let quotas = self.limits.iter().filter_map(|at| Some((at.files.cores()?, at)));
        quotas.min_by_key(|(cores, _)| *cores)
    }
}

impl Quota {
    /// `None` for no limit, and for what cannot be read.
    fn cores(&self) -> Option<Cores> {
        self.quota.read(|text| match &self.period {
            Some(period) => {
                // v1 writes -1 for no limit.
                let quota = single_value(text)?.parse().ok()?;
                Cores::from_quota(quota, period.read(|text| single_value(text)?.parse().ok())?)
            }
            None => {
                let (quota, period) = text.trim().split_once(' ')?;
                Cores::from_quota(quota.parse().ok()?, period.parse().ok()?)
            }
        })
    }
}

fn own_directory_exists(root: &Path, hierarchy: &Hierarchy) -> bool {
    hierarchy.levels.first().is_some_and(|level| below(root, &level.directory).is_dir())
}

fn open_in(root: &Path, level: &Level, file: &str) -> Option<KernelFile> {
    KernelFile::open(&below(root, &level.directory).join(file))
}

fn below(root: &Path, absolute: &Path) -> std::path::PathBuf {
    root.join(absolute.strip_prefix("/").unwrap_or(absolute))
}

/// A limit of either version in bytes; `None` for no limit.
fn memory_limit(value: &str) -> Option<u64> {
    value.parse().ok().filter(|bytes| !is_v1_unlimited(*bytes))
}

/// v1 has no word for "no limit": it shows the largest multiple of the page size in a signed 64-bit number
/// (`PAGE_COUNTER_MAX`), so with pages of up to 64 KiB this or more.
fn is_v1_unlimited(bytes: u64) -> bool {
    bytes > i64::MAX as u64 - (64 << 10)
}

fn in_force<T>(version: Option<Version>, tightest: Option<(T, &str)>) -> InForce<'_, T> {
    match (version, tightest) {
        (None, _) => InForce { limit: Limit::Unknown, cgroup: None },
        (Some(_), None) => InForce { limit: Limit::Unlimited, cgroup: None },
        (Some(_), Some((value, cgroup))) => InForce { limit: Limit::Value(value), cgroup: Some(cgroup) },
    }
}
