//! Effective limits: the tightest of one kind over all enclosing cgroups, and which cgroup sets it.

use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::{Hierarchy, Level, Version};
use super::file::KernelFile;
use super::limit::Limit;

/// A limit, and the cgroup that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveLimit<'a, T> {
    /// The tightest of all enclosing cgroups whose limit is known.
    pub limit: Limit<T>,
    /// Path of the cgroup that sets it; `None` where there is no limit.
    pub cgroup: Option<&'a str>,
    /// Whether all of them are known: if not, there may be a tighter one.
    pub is_certain: bool,
}

impl<T> EffectiveLimit<'_, T> {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { limit: Limit::Unknown, cgroup: None, is_certain: false };
    /// There is no limit.
    pub const UNLIMITED: Self = Self { limit: Limit::Unlimited, cgroup: None, is_certain: true };
}

/// Stands for the cgroup of a v1 limit above the visible ones.
const OUT_OF_SIGHT: &str = "an enclosing cgroup out of sight";

/// One kind of limit in all enclosing cgroups.
#[derive(Debug)]
pub(super) struct EnclosingLimits<F> {
    /// Those whose files could be opened, the innermost first.
    levels: Vec<LimitAt<F>>,
    /// No other level has such a limit.
    is_complete: bool,
    /// The kernel also gives the tightest of all, visible or not: v1 does.
    has_sum: bool,
    /// A limit that no visible file shows.
    hidden: Option<u64>,
}

/// The files with the limit of one cgroup.
#[derive(Debug)]
struct LimitAt<F> {
    cgroup: String,
    files: F,
}

impl<F> EnclosingLimits<F> {
    /// No limit can be read.
    pub(super) const UNKNOWN: Self =
        Self { levels: Vec::new(), is_complete: false, has_sum: false, hidden: None };

    /// The files that `find` finds in each level: a missing one sets no limit. An unreadable one leaves it uncertain which
    /// is the tightest, and so do levels out of sight.
    pub(super) fn open(levels: &Levels, find: impl Fn(&Level) -> io::Result<Option<F>>) -> Self {
        let mut limits = Self { is_complete: levels.are_all, ..Self::UNKNOWN };
        for level in &levels.visible {
            match find(level) {
                Ok(Some(files)) => limits.levels.push(LimitAt { cgroup: level.name.clone(), files }),
                Ok(None) => {}
                Err(_) => limits.is_complete = false,
            }
        }
        limits
    }

    /// Unknown where no level has such a file: the kernel has no such limit.
    pub(super) fn unknown_if_nowhere(self) -> Self {
        if self.levels.is_empty() { Self::UNKNOWN } else { self }
    }

    /// Records the tightest limit of all, in bytes: it is a hidden one only where it is below all visible ones.
    pub(super) fn note_sum(&mut self, sum: impl FnOnce() -> Limit<u64>, value: impl Fn(&F) -> Limit<u64>) {
        let visible = || self.levels.iter().filter_map(|at| value(&at.files).value()).min();
        // Before and after, as a visible one may change meanwhile.
        let (before, sum, after) = (visible(), sum(), visible());
        let hidden = sum.value().filter(|sum| before.into_iter().chain(after).all(|seen| *sum < seen));
        self.has_sum = sum != Limit::Unknown;
        self.hidden = hidden;
    }

    /// Whether there is a limit that no visible file shows.
    pub(super) fn has_hidden(&self) -> bool {
        self.hidden.is_some()
    }

    /// The tightest limit as it is now; `value` reads that of one level, once, `wrap` makes a value of a hidden one.
    /// An unreadable one may be the tightest.
    pub(super) fn tightest<T: Ord>(
        &self,
        mut value: impl FnMut(&F) -> Limit<T>,
        wrap: impl Fn(u64) -> Option<T>,
    ) -> EffectiveLimit<'_, T> {
        // The sum covers files that were never readable, but it may be older than a file that has become unreadable.
        let mut is_certain = self.is_complete || self.has_sum;
        let visible = self.levels.iter().filter_map(|at| match value(&at.files) {
            Limit::Unknown => {
                is_certain = false;
                None
            }
            Limit::Unlimited => None,
            Limit::Value(value) => Some((value, at.cgroup.as_str())),
        });
        let hidden = self.hidden.and_then(wrap).map(|value| (value, OUT_OF_SIGHT));
        // Of equal limits the innermost cgroup is named: `min_by` keeps the first.
        let tightest = visible.chain(hidden).min_by(|(one, _), (other, _)| one.cmp(other));
        match tightest {
            Some((value, cgroup)) => {
                EffectiveLimit { limit: Limit::Value(value), cgroup: Some(cgroup), is_certain }
            }
            None if is_certain => EffectiveLimit::UNLIMITED,
            None => EffectiveLimit::UNKNOWN,
        }
    }
}

/// The levels of a hierarchy as they exist on this host.
#[derive(Debug)]
pub(super) struct Levels {
    /// Which interface their files follow.
    pub(super) version: Version,
    /// The own cgroup first.
    pub(super) visible: Vec<Level>,
    /// Up to the root of the hierarchy. If not, cgroups out of sight may set limits as well.
    pub(super) are_all: bool,
}

impl Levels {
    /// Those of the hierarchy, where the directory of the own cgroup exists.
    pub(super) fn in_sight(root: &Path, hierarchy: Option<Hierarchy>) -> Option<Self> {
        let Hierarchy { version, levels, is_partial } = hierarchy?;
        let directory_of = |level: &Level| below(root, &level.directory);
        if !directory_of(levels.first()?).is_dir() {
            return None;
        }
        let are_all = !is_partial && is_root(version, &directory_of(levels.last()?));
        Some(Self { version, visible: levels, are_all })
    }
}

/// Whether a cgroup is the root of its hierarchy. That of a cgroup namespace is not, though paths and mounts show it as `/`.
fn is_root(version: Version, directory: &Path) -> bool {
    // What cannot be looked up may be there.
    let has = |file: &str| directory.join(file).try_exists().unwrap_or(true);
    match version {
        // `CFTYPE_ONLY_ON_ROOT` in the kernel's kernel/cgroup/cgroup-v1.c.
        Version::V1 => has("release_agent"),
        // `CFTYPE_NOT_ON_ROOT` in kernel/cgroup/cgroup.c, mm/memcontrol.c and kernel/sched/core.c. The first is there
        // from Linux 4.14 on, the others where the controller is.
        Version::V2 => !["cgroup.type", "memory.max", "cpu.max"].into_iter().any(has),
    }
}

/// A file of a level; `None` where it does not exist.
///
/// # Errors
/// Where it exists and is not readable.
pub(super) fn find_in(root: &Path, level: &Level, file: &str) -> io::Result<Option<KernelFile>> {
    KernelFile::find(&below(root, &level.directory).join(file))
}

/// A file of the own cgroup, the first of the levels; `None` where it does not exist or is not readable.
pub(super) fn open_own(root: &Path, levels: &Levels, file: &str) -> Option<KernelFile> {
    levels.visible.first().and_then(|level| open_in(root, level, file))
}

/// A file of a level; `None` where it does not exist or is not readable.
pub(super) fn open_in(root: &Path, level: &Level, file: &str) -> Option<KernelFile> {
    KernelFile::open(&below(root, &level.directory).join(file))
}

fn below(root: &Path, absolute: &Path) -> PathBuf {
    root.join(absolute.strip_prefix("/").unwrap_or(absolute))
}
