//! Process information that is gathered once: CPUs, page size, seed, host name.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::utsname::uname;
use nix::unistd::{Pid, getpid};

use crate::clock::{ThreadClock, process_cpu_ns};
use crate::host::page_bytes;

/// What is known of this process and its machine from the start.
pub(super) struct ProcessInfo {
    /// CPUs that the process may run on.
    pub(super) cpus: u64,
    pub(super) page_size: usize,
    /// Different in every instance.
    pub(super) seed: u64,
    /// CPU time of the process beyond that of its one thread so far.
    pub(super) inherited_cpu_ns: u64,
    pub(super) hostname: String,
    pub(super) kernel: String,
}

impl ProcessInfo {
    /// To be called before there is a second thread.
    pub(super) fn gather() -> Self {
        // The process first: the thread's clock goes on, and the difference must not count it twice.
        let process_ns = process_cpu_ns();
        let inherited_cpu_ns = process_ns.saturating_sub(ThreadClock::of_current().read_ns());
        let uname = uname().ok();
        let name = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
            uname
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), |uname| of(uname).to_string_lossy().into_owned())
        };
        let hostname = name(|uname| uname.nodename());
        // Replicas differ in their host name, processes of one host in their id, and what has neither of its
        // own (process 1 on a host's network) in the kernel's randomness.
        let seed = RandomState::new().hash_one((&hostname, getpid().as_raw()));
        Self {
            cpus: usable_cpus(),
            page_size: page_size(),
            seed,
            inherited_cpu_ns,
            kernel: name(|uname| uname.release()),
            hostname,
        }
    }
}

/// CPUs in the affinity mask, which a cpuset narrows as well.
pub(super) fn usable_cpus() -> u64 {
    let count = sched_getaffinity(Pid::from_raw(0))
        .map(|set| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count());
    match count {
        Ok(count) if count > 0 => count as u64,
        // More CPUs than the mask has room for.
        _ => std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
    }
}

fn page_size() -> usize {
    const USUAL: usize = 4096;
    page_bytes().and_then(|size| usize::try_from(size).ok()).unwrap_or(USUAL)
}
