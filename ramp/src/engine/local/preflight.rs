//! Preflight of the local engine: cgroups, stale runs, and limits on files and processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;
use workload::quantity::Bytes;

use super::cgroup_removal::processes;
use super::cgroup_root::{CgroupRoot, OwnCgroups};
use super::cleanup::stale_cgroups;
use crate::engine::machine::MachineFacts;
use crate::live_runs::process_of;
use ramp_format::preflight::{Finding, NodeFacts};

/// File descriptors of ramp for each instance: two pipes, and one to wait for its end.
const FILES_PER_INSTANCE: u64 = 3;
/// File descriptors of ramp itself: its tables, its log, the event loop, and some to spare.
const FILES_OF_RAMP: u64 = 64;
/// Threads of an instance of the load: its own, one that grows memory, two that write, one that burns CPU, one to
/// spare.
const THREADS_PER_INSTANCE: u64 = 6;

/// This machine, as the only node.
///
/// Instances see the limit of the budget's cgroup, if there is one.
pub(super) fn node(machine: &MachineFacts, budget: Bytes, is_enforced: bool) -> NodeFacts {
    let limit = is_enforced.then_some(budget);
    NodeFacts {
        name: machine.start.hostname.clone(),
        eligible: true,
        kernel: Some(machine.start.kernel.clone()),
        memory_bytes: machine.memory.map(|memory| limit.map_or(memory, |limit| limit.min(memory)).0),
        allocatable_memory_bytes: Some(budget.0),
        allocatable_cpu_cores: machine.start.cpus.map(|cpus| cpus as f64),
        allocatable_pods: instances_allowed(),
        // The budget is the instances' own.
        requested_memory_bytes: Some(0),
        requested_cpu_cores: Some(0.0),
        pods: Some(0),
        ..NodeFacts::default()
    }
}

/// Limits on files and processes that allow fewer instances than the budget; each takes `needs`.
pub(super) fn about_ulimits(allowed: Option<u64>, budget: Bytes, needs: Option<Bytes>) -> Option<Finding> {
    let fitting = budget.0 / needs.filter(|needs| needs.0 > 0)?.0;
    let allowed = allowed.filter(|allowed| *allowed < fitting)?;
    Some(Finding::warning(format!(
        "limits on processes (ulimit -u) and open files (ulimit -n) allow about {allowed} instances, while the budget has \
         room for {fitting} (raise the limits)"
    )))
}

/// How the budget is enforced.
pub(super) fn about_the_site(site: &Result<CgroupRoot, String>) -> Option<Finding> {
    match site {
        Ok(CgroupRoot { without_cpu, .. }) => without_cpu.as_ref().map(|why| {
            Finding::warning(format!("limits on CPU are not enforced, those on memory are: {why}"))
        }),
        Err(why) => Some(Finding::warning(watched_by_ramp(why))),
    }
}

/// What is different without cgroups.
pub(super) fn watched_by_ramp(why: &str) -> String {
    format!(
        "ramp itself watches the budget, as no cgroup can be created: {why}. Every 100 ms it adds up the resident sets \
         (/proc/PID/statm), and above the budget it evicts the newest instance; until then the budget may be exceeded. \
         Limits of instances are not enforced (run as root, or in a delegated cgroup: systemd-run --user --scope \
         -p Delegate=yes ramp …)"
    )
}

/// Cgroups of other runs than this one.
pub(super) fn about_leftovers(homes: &OwnCgroups, run: &str) -> Vec<Finding> {
    let mut runs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for stale in
        stale_cgroups(homes, None).into_iter().filter(|stale| ![run, &trial_run(run)].contains(&&*stale.run))
    {
        runs.entry(stale.run).or_default().push(stale.directory);
    }
    runs.iter().map(|(run, directories)| leftover(run, directories)).collect()
}

/// A run with processes would share the memory. Cgroups without any take none, and are in nobody's way.
fn leftover(run: &str, directories: &[PathBuf]) -> Finding {
    let count = directories.iter().map(|directory| processes(directory).len()).max().unwrap_or(0);
    let places: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
    let places = places.join(" and ");
    if let Some(process) = process_of(run) {
        Finding::refusal(format!(
            "run {run} is under way (process {process} on this machine), in {places}: both would share its memory; wait until it has \
             ended"
        ))
    } else if count > 0 {
        Finding::refusal(format!(
            "run {run} is still running in {places} (processes: {count}; wait until it ends, or end it)"
        ))
    } else {
        Finding::warning(format!(
            "run {run} has left {places}, without processes (remove it: ramp clean --engine local)"
        ))
    }
}

/// The run id of the cgroup that is created to find out whether cgroups can be.
pub(super) fn trial_run(run: &str) -> String {
    format!("{run}.trial")
}

/// Raises the soft limit on open files to the hard one: each instance takes some of ramp's.
pub(super) fn raise_limit_on_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!("cannot raise the limit on open files: {error}");
    }
}

/// Instances that the limits on files and processes allow.
pub(super) fn instances_allowed() -> Option<u64> {
    // The hard limit on files: the soft one is raised to it.
    let files = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard);
    // Root is not held to the limit on processes (`copy_process` in kernel/fork.c).
    let threads = getrlimit(Resource::RLIMIT_NPROC).ok().filter(|_| !geteuid().is_root());
    allowed_by(files, threads.map(|(soft, _)| soft))
}

fn allowed_by(files: Option<u64>, threads: Option<u64>) -> Option<u64> {
    let by_files = |files: u64| files.saturating_sub(FILES_OF_RAMP) / FILES_PER_INSTANCE;
    let [files, threads] = [files, threads].map(|limit| limit.filter(|limit| *limit != RLIM_INFINITY));
    files.map(by_files).into_iter().chain(threads.map(|threads| threads / THREADS_PER_INSTANCE)).min()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::live_runs::LiveRun;
    use workload::host::{Hierarchy, Level, Version};

    #[test]
    fn limits_that_allow_fewer_instances_than_fit_are_told() {
        assert_eq!(about_ulimits(Some(10), Bytes(1_000), Some(Bytes(100))), None);
        let found = about_ulimits(Some(10), Bytes(1_000), Some(Bytes(90))).unwrap();
        assert!(found.message.contains("about 10 instances") && found.message.contains("room for 11"));
        for nothing_known in [(None, Some(Bytes(1))), (Some(1), None), (Some(1), Some(Bytes(0)))] {
            assert_eq!(about_ulimits(nothing_known.0, Bytes(u64::MAX), nothing_known.1), None);
        }
        assert_eq!(allowed_by(Some(1_024), Some(60)), Some(10));
        assert_eq!(allowed_by(Some(1_024), Some(RLIM_INFINITY)), Some(320));
        assert_eq!(allowed_by(None, None), None);
    }

    #[test]
    fn what_another_run_has_left_is_named_with_the_way_out() {
        let root = tempfile::tempdir().unwrap();
        for name in ["ramp-own", "ramp-own.trial", "ramp-old", "ramp-busy"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("ramp-busy/cgroup.procs"), "4000000\n").unwrap();
        let level = Level { name: "/".into(), directory: root.path().into() };
        let memory = Hierarchy { version: Version::V1, levels: vec![level], is_partial: false };
        let found = about_leftovers(&OwnCgroups { memory: Some(memory), cpu: None }, "own");
        assert_eq!(
            found.iter().map(|finding| finding.refuses).collect::<Vec<_>>(),
            [true, false],
            "{found:?}"
        );
        assert!(found[0].message.starts_with("run busy is still running in"));
        assert!(found[1].message.ends_with("(remove it: ramp clean --engine local)"), "{found:?}");
        // A run that has no process yet is live all the same.
        let run = format!("live-{}", std::process::id());
        let _live = LiveRun::begin(&run).unwrap();
        let Finding { refuses, message, .. } = leftover(&run, &[root.path().join("ramp-live")]);
        assert!(
            refuses
                && message.starts_with(&format!("run {run} is under way (process {} on", std::process::id())),
            "{message}"
        );
    }

    #[test]
    fn what_is_said_is_as_written_down() {
        let root = tempfile::tempdir().unwrap();
        for name in ["ramp-old", "ramp-busy"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("ramp-busy/cgroup.procs"), "4000000\n").unwrap();
        let level = Level { name: "/".into(), directory: root.path().into() };
        let memory = Hierarchy { version: Version::V1, levels: vec![level], is_partial: false };
        let machine =
            MachineFacts { available: Some(Bytes(1_000)), swap: Some(Bytes(5_000)), ..MachineFacts::read() };
        let mut found = machine.findings(Bytes(2_000));
        found.extend(about_ulimits(Some(10), Bytes(2_000), Some(Bytes(100))));
        found.extend(about_the_site(&Err("/sys/fs/cgroup cannot be written to".into())));
        found.extend(about_leftovers(&OwnCgroups { memory: Some(memory), cpu: None }, "own"));
        let lines = found.iter().map(|finding| {
            let heading = if finding.refuses { "WRONG" } else { "warning" };
            format!("{heading}: {}\n", finding.message)
        });
        let text = lines.collect::<String>().replace(&root.path().display().to_string(), "/CGROUPS");
        insta::assert_snapshot!("findings", text);
    }
}
