//! The memory and the CPU controller: limits in force, usage and counters. The two versions of the interface
//! differ in which file and which unit, and only here.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst; for v1 Documentation/admin-guide/cgroup-v1/memory.rst and
//! Documentation/scheduler/sched-bwc.rst.

use std::io;
use std::path::{Path, PathBuf};
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
        let unknown =
            Self { version: None, limits: Vec::new(), hidden_limit: None, usage: None, events: None };
        let Some(Hierarchy { version, levels }) = hierarchy.filter(|h| own_directory_exists(root, h)) else {
            return unknown;
        };
        let (limit, usage, events) = match version {
            Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
            Version::V2 => ("memory.max", "memory.current", "memory.events"),
        };
        let Ok(limits) = limits_at(&levels, |level| find_in(root, level, limit)) else { return unknown };
        let own = |file: &str| levels.first().and_then(|level| open_in(root, level, file));
        let mut controller = Self {
            version: Some(version),
            limits,
            hidden_limit: None,
            usage: own(usage),
            events: own(events),
        };
        // The figure covers the limits in sight as well: only what is below all of them comes from elsewhere.
        let hierarchical = own("memory.stat").filter(|_| version == Version::V1);
        let hierarchical =
            hierarchical.and_then(|f| f.read(|text| flat_keyed(text, "hierarchical_memory_limit")));
        let visible = controller.limit().limit.value();
        controller.hidden_limit = hierarchical
            .filter(|bytes| !is_v1_unlimited(*bytes) && visible.is_none_or(|visible| *bytes < visible.0));
        controller
    }

    /// The tightest limit of all enclosing cgroups, as it is now.
    #[must_use]
    pub fn limit(&self) -> InForce<'_, Bytes> {
        let visible = self.limits.iter().filter_map(|at| {
            let bytes = at.files.read(|text| memory_limit(single_value(text)?))?;
            Some((bytes, at.cgroup.as_str()))
        });
        // Of equal limits the innermost cgroup is named: `min_by_key` keeps the first.
        let hidden = self.hidden_limit.map(|bytes| (bytes, OUT_OF_SIGHT));
        let tightest = visible.chain(hidden).min_by_key(|(bytes, _)| *bytes);
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
}

/// The CPU controller of this process.
#[derive(Debug)]
pub struct CpuController {
    version: Option<Version>,
    limits: Vec<LimitAt<Quota>>,
    /// Whose throttling is told: bound to one cgroup, so that its counters never go backwards.
    stat: Option<KernelFile>,
}

impl CpuController {
    /// Opens what there is of the hierarchy found for `cpu`.
    pub(super) fn open(root: &Path, hierarchy: Option<Hierarchy>) -> Self {
        let unknown = Self { version: None, limits: Vec::new(), stat: None };
        let Some(Hierarchy { version, levels }) = hierarchy.filter(|h| own_directory_exists(root, h)) else {
            return unknown;
        };
        let quota = match version {
            Version::V1 => "cpu.cfs_quota_us",
            Version::V2 => "cpu.max",
        };
        let quota_in = |level: &Level| {
            let period = match version {
                Version::V1 => find_in(root, level, "cpu.cfs_period_us")?,
                Version::V2 => None,
            };
            Ok(find_in(root, level, quota)?.map(|quota| Quota { quota, period }))
        };
        let Ok(limits) = limits_at(&levels, quota_in) else { return unknown };
        let mut controller = Self { version: Some(version), limits, stat: None };
        let tightest = controller.limit().cgroup;
        let throttled = levels.iter().find(|level| tightest == Some(level.name.as_str())).or(levels.first());
        controller.stat = throttled.and_then(|level| open_in(root, level, "cpu.stat"));
        controller
    }

    /// The tightest quota of all enclosing cgroups, as it is now.
    #[must_use]
    pub fn limit(&self) -> InForce<'_, Cores> {
        in_force(self.version, self.tightest().map(|(cores, at)| (cores, at.cgroup.as_str())))
    }

    /// The throttling of the cgroup that set the tightest quota at the start, or of the innermost where there
    /// was none.
    #[must_use]
    pub fn throttling(&self) -> Option<CpuThrottling> {
        self.stat.as_ref()?.read(|text| {
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

/// The limit files of all levels: one that is not there sets no limit.
///
/// # Errors
/// One that is there and must not be read leaves the limit unknown.
fn limits_at<F>(
    levels: &[Level],
    find: impl Fn(&Level) -> io::Result<Option<F>>,
) -> io::Result<Vec<LimitAt<F>>> {
    let limit_at = |level: &Level| {
        let files = find(level).transpose()?;
        Some(files.map(|files| LimitAt { cgroup: level.name.clone(), files }))
    };
    levels.iter().filter_map(limit_at).collect()
}

fn find_in(root: &Path, level: &Level, file: &str) -> io::Result<Option<KernelFile>> {
    KernelFile::find(&below(root, &level.directory).join(file))
}

fn open_in(root: &Path, level: &Level, file: &str) -> Option<KernelFile> {
    KernelFile::open(&below(root, &level.directory).join(file))
}

fn below(root: &Path, absolute: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use super::super::{Host, Limit};

    const GIB: u64 = 1 << 30;
    const V1_UNLIMITED: &str = "9223372036854771712";

    /// A host of files: each path below the root with its text.
    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::discover(root.path());
        (root, host)
    }

    const V2: [(&str, &str); 2] = [
        ("proc/self/cgroup", "0::/pod/container\n"),
        ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
    ];
    const V1: [(&str, &str); 2] = [
        ("proc/self/cgroup", "4:memory:/pod\n2:cpu,cpuacct:/pod\n0::/\n"),
        (
            "proc/self/mountinfo",
            "33 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             34 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
        ),
    ];

    #[test]
    fn on_v2_a_tighter_parent_sets_the_limit_and_is_the_one_throttled() {
        let (_root, host) = host(&[
            V2[0],
            V2[1],
            ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pod/container/memory.max", "max\n"),
            ("sys/fs/cgroup/pod/container/memory.current", "4096\n"),
            ("sys/fs/cgroup/pod/container/memory.events", "low 0\nmax 7\noom 2\noom_kill 1\n"),
            ("sys/fs/cgroup/pod/cpu.max", "50000 100000\n"),
            (
                "sys/fs/cgroup/pod/cpu.stat",
                "usage_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 1500\n",
            ),
            ("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(host.memory.limit(), InForce { limit: Limit::Value(Bytes(GIB)), cgroup: Some("/pod") });
        assert_eq!((host.memory.usage(), host.memory.oom_kills()), (Some(Bytes(4096)), Some(1)));
        let half = Cores::from_nano(500_000_000);
        assert_eq!(host.cpu.limit(), InForce { limit: Limit::Value(half), cgroup: Some("/pod") });
        let throttled = Duration::from_micros(1500);
        assert_eq!(
            host.cpu.throttling(),
            Some(CpuThrottling { periods: 8, throttled_periods: 3, throttled })
        );
    }

    #[test]
    fn on_v1_minus_one_and_the_largest_number_are_no_limits() {
        let (_root, host) = host(&[
            V1[0],
            V1[1],
            ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", V1_UNLIMITED),
            ("sys/fs/cgroup/memory/pod/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
            ("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/pod/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 2000\n"),
        ]);
        assert_eq!(host.memory.limit().limit, Limit::Unlimited);
        assert_eq!(host.cpu.limit().limit, Limit::Unlimited);
        assert_eq!(host.memory.oom_kills(), Some(4));
        assert_eq!(host.cpu.throttling().unwrap().throttled, Duration::from_micros(2));
    }

    #[test]
    fn a_v1_limit_out_of_sight_is_told_from_one_in_sight_that_changes() {
        let limit = "sys/fs/cgroup/memory/pod/memory.limit_in_bytes";
        let stat = "sys/fs/cgroup/memory/pod/memory.stat";
        let (root, seen) =
            host(&[V1[0], V1[1], (limit, "1073741824\n"), (stat, "hierarchical_memory_limit 1073741824\n")]);
        assert_eq!(seen.memory.limit().cgroup, Some("/pod"));
        fs::write(root.path().join(limit), "2147483648\n").unwrap();
        assert_eq!(seen.memory.limit().limit, Limit::Value(Bytes(2 * GIB)), "it was raised while running");
        let (_root, hidden) =
            host(&[V1[0], V1[1], (limit, V1_UNLIMITED), (stat, "hierarchical_memory_limit 1073741824\n")]);
        let expected = InForce { limit: Limit::Value(Bytes(GIB)), cgroup: Some(OUT_OF_SIGHT) };
        assert_eq!(hidden.memory.limit(), expected);
    }

    #[test]
    fn of_equal_limits_the_innermost_cgroup_is_named() {
        let (_root, host) = host(&[
            V2[0],
            V2[1],
            ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pod/container/memory.max", "1073741824\n"),
        ]);
        assert_eq!(host.memory.limit().cgroup, Some("/pod/container"));
    }

    #[test]
    fn what_is_not_there_is_unlimited_and_what_cannot_be_seen_unknown() {
        // The root cgroup of a v2 guest: a directory without limit files.
        let (_root, guest) =
            host(&[V2[1], ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cgroup.procs", "1\n")]);
        assert_eq!(guest.memory.limit().limit, Limit::Unlimited);
        let (_root, unmounted) = host(&V2[..1]);
        assert_eq!(unmounted.memory.limit().limit, Limit::Unknown);
        assert_eq!(unmounted.cpu.limit().limit, Limit::Unknown);
        let (_root, nothing) = host(&[]);
        assert_eq!(nothing.memory.limit().limit, Limit::Unknown);
        assert_eq!((nothing.memory.usage(), nothing.cpu.throttling()), (None, None));
    }
}
