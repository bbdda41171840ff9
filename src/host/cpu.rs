//! CPU controllers: effective quotas, throttling, and the CPUs of the cpuset.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst; for v1 Documentation/scheduler/sched-bwc.rst and
//! Documentation/admin-guide/cgroup-v1/cpusets.rst.

use std::path::Path;
use std::time::Duration;

use super::cgroup::{Hierarchy, Level, Version};
use super::enclosing::{EffectiveLimit, EnclosingLimits, Levels, find_in, open_in};
use super::file::KernelFile;
use super::limit::Limit;
use super::parse::{cfs_quota, cpu_count, cpu_max, flat_keyed, number};
use crate::quantity::Cores;

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
}

/// The CPU controller of this process.
#[derive(Debug)]
pub struct CpuController {
    limits: EnclosingLimits<Quota>,
    /// The cgroup whose throttling is reported: always the same, so that its counters never go backwards.
    stat: Option<(Version, KernelFile)>,
}

impl CpuController {
    /// Opens the files of the hierarchy found for `cpu`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        let Some(levels) = Levels::in_sight(root, hierarchy) else {
            return Self { limits: EnclosingLimits::UNKNOWN, stat: None };
        };
        let version = levels.version;
        let quota = match version {
            Version::V1 => "cpu.cfs_quota_us",
            Version::V2 => "cpu.max",
        };
        let limits = EnclosingLimits::open(&levels, |level: &Level| {
            let period = match version {
                Version::V1 => find_in(root, level, "cpu.cfs_period_us")?,
                Version::V2 => None,
            };
            Ok(find_in(root, level, quota)?.map(|quota| Quota { quota, period }))
        });
        let mut controller = Self { limits, stat: None };
        let tightest = controller.limit().cgroup;
        let levels = &levels.visible;
        let throttled = levels.iter().find(|level| tightest == Some(level.name.as_str())).or(levels.first());
        controller.stat = throttled.and_then(|level| Some((version, open_in(root, level, "cpu.stat")?)));
        controller
    }

    /// The tightest quota of all enclosing cgroups, as it is now.
    #[must_use]
    pub fn limit(&self) -> EffectiveLimit<'_, Cores> {
        self.limits.tightest(Quota::cores, |_| None)
    }

    /// The throttling of the cgroup that set the tightest quota at the start, or of the innermost where there
    /// was none.
    #[must_use]
    pub fn throttling(&self) -> Option<CpuThrottling> {
        let (version, stat) = self.stat.as_ref()?;
        stat.read(|text| throttling(*version, text))
    }
}

/// From the text of `cpu.stat`, in which the two versions differ by name and unit.
fn throttling(version: Version, text: &str) -> Option<CpuThrottling> {
    let throttled = match version {
        Version::V1 => Duration::from_nanos(flat_keyed(text, "throttled_time")?),
        Version::V2 => Duration::from_micros(flat_keyed(text, "throttled_usec")?),
    };
    let count = |key| flat_keyed(text, key);
    Some(CpuThrottling {
        periods: count("nr_periods")?,
        throttled_periods: count("nr_throttled")?,
        throttled,
    })
}

impl Quota {
    fn cores(&self) -> Limit<Cores> {
        let both = match &self.period {
            Some(period) => {
                self.quota.read_limit(cfs_quota).and_then(|quota| Some((quota, period.read(number)?)))
            }
            None => self.quota.read_limit(cpu_max),
        };
        both.and_then(|(quota, period)| Cores::from_quota(quota, period))
    }
}

/// The cpuset of this process.
#[derive(Debug)]
pub struct Cpuset {
    /// The innermost cgroup with such a file, and that file.
    effective: Option<(String, KernelFile)>,
}

impl Cpuset {
    /// Opens the files of the hierarchy found for `cpuset`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        let effective = Levels::in_sight(root, hierarchy).and_then(|Levels { version, visible, .. }| {
            // Those CPUs of the list that are online and that all enclosing cgroups have as well, out of sight or not.
            let names: &[&str] = match version {
                Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
                Version::V2 => &["cpuset.cpus.effective"],
            };
            visible.into_iter().find_map(|level| {
                let file = names.iter().find_map(|name| open_in(root, &level, name))?;
                Some((level.name, file))
            })
        });
        Self { effective }
    }

    /// How many CPUs it has, as it is now, and the cgroup that says so.
    #[must_use]
    pub fn cpus(&self) -> Option<(u64, &str)> {
        let (cgroup, file) = self.effective.as_ref()?;
        Some((file.read_whole(cpu_count)?, cgroup))
    }
}
