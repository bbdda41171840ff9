//! PIDs controller: the limit on threads.
//!
//! Source: Documentation/admin-guide/cgroup-v2.rst; v1 has the same files.

use std::path::Path;
use std::time::Duration;

use super::enclosing::{EnclosingLimits, Levels, find_in};
use super::membership::Membership;
use super::parse::memory_limit;

/// The tightest `pids.max` in sight, and the cgroup that sets it; `None` where none can be seen.
#[must_use]
pub fn thread_limit(root: &Path) -> Option<(u64, String)> {
    let hierarchy = Membership::read(root, Duration::ZERO).cgroups().hierarchy("pids");
    let levels = Levels::in_sight(root, hierarchy)?;
    let limits = EnclosingLimits::open(&levels, |level| find_in(root, level, "pids.max"));
    let tightest = limits.tightest(|file| file.read_limit(|text| memory_limit(text.trim())), Some);
    Some((tightest.limit.value()?, tightest.cgroup?.to_owned()))
}
