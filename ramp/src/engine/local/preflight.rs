//! What this machine offers before the first step, and what of it stands in the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;
use workload::app::NodeSampler;
use workload::clock::monotonic_ns;
use workload::host::parse::kilobytes;
use workload::host::{Host, Limit};
use workload::quantity::Bytes;

use super::cgroup_root::{CgroupRoot, OwnCgroups};
use super::cleanup::{self, StaleCgroups, cgroup_name};
use ramp_format::preflight::{Finding, NodeFacts};

/// Descriptors that an instance takes of ramp's: two pipes, and one to wait for its end.
const FILES_PER_INSTANCE: u64 = 3;
/// Descriptors of ramp's own: its tables, its log, the event loop, and some to spare.
const FILES_OF_RAMP: u64 = 64;
/// Threads of an instance of the load: its own, one that grows memory, two that write, one that burns CPU, one to
/// spare.
const THREADS_PER_INSTANCE: u64 = 6;

/// What this machine offers.
#[derive(Clone, Debug)]
pub(super) struct MachineFacts {
    pub(super) hostname: String,
    pub(super) kernel: String,
    pub(super) cpus: Option<u64>,
    /// What can be had without swapping, and before a limit on ramp's own cgroup is met.
    pub(super) available: Option<Bytes>,
    pub(super) swap: Option<Bytes>,
    /// Instances that limits on processes and descriptors allow.
    pub(super) instances: Option<u64>,
}

impl MachineFacts {
    pub(super) fn gather() -> Self {
        let machine = NodeSampler::open(Path::new("/"), Vec::new(), monotonic_ns());
        let start = machine.start();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let machine_available = kilobytes(&meminfo, "MemAvailable").map(Bytes);
        let host = Host::discover(Path::new("/"));
        let headroom = host.read().memory.headroom;
        Self {
            hostname: start.hostname.clone(),
            kernel: start.kernel.clone(),
            cpus: start.cpus,
            available: machine_available.into_iter().chain(headroom).min(),
            swap: kilobytes(&meminfo, "SwapTotal").map(Bytes),
            instances: instances_allowed(
                limit(Resource::RLIMIT_NOFILE).value(),
                // Root is not held to it (`copy_process` in kernel/fork.c).
                if geteuid().is_root() { None } else { limit(Resource::RLIMIT_NPROC).value() },
            ),
        }
    }

    /// What all instances may have where nothing else is said: a quarter of what is available.
    pub(super) fn default_budget(&self) -> Option<Bytes> {
        self.available.map(|available| Bytes(available.0 / 4))
    }

    /// This machine, as the only node.
    pub(super) fn node(&self, budget: Bytes) -> NodeFacts {
        NodeFacts {
            name: self.hostname.clone(),
            eligible: true,
            kernel: Some(self.kernel.clone()),
            allocatable_memory_bytes: Some(budget.0),
            allocatable_cpu_cores: self.cpus.map(|cpus| cpus as f64),
            allocatable_pods: self.instances,
            // The budget is the instances' own.
            requested_memory_bytes: Some(0),
            requested_cpu_cores: Some(0.0),
            pods: Some(0),
            ..NodeFacts::default()
        }
    }

    /// What is wrong, and what may be. `needs` is what one instance takes.
    pub(super) fn findings(&self, budget: Bytes, needs: Option<Bytes>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(available) = self.available.filter(|available| *available < budget) {
            findings.push(Finding::refusal(format!(
                "{} of memory are available, and the budget of all instances is {} (end something, or ask for a \
                 smaller budget)",
                available.rounded(),
                budget.rounded()
            )));
        }
        if let Some(swap) = self.swap.filter(|swap| swap.0 > 0) {
            findings.push(Finding::warning(format!(
                "{} of swap are on: memory of other programs may be swapped out to make room, and what is measured \
                 is then not memory alone (swapoff -a)",
                swap.rounded()
            )));
        }
        let fitting = needs.filter(|needs| needs.0 > 0).map(|needs| budget.0 / needs.0);
        if let (Some(allowed), Some(fitting)) = (self.instances, fitting)
            && allowed < fitting
        {
            findings.push(Finding::warning(format!(
                "limits on processes (ulimit -u) and files (ulimit -n) allow about {allowed} instances, where the \
                 budget has room for {fitting} (raise them)"
            )));
        }
        findings
    }
}

/// By which way the budget is held.
pub(super) fn about_the_site(site: &Result<CgroupRoot, String>) -> Vec<Finding> {
    match site {
        Ok(CgroupRoot { without_cpu: None, .. }) => Vec::new(),
        Ok(CgroupRoot { without_cpu: Some(why), .. }) => {
            vec![Finding::warning(format!("limits on CPU are not in force, those on memory are: {why}"))]
        }
        Err(why) => vec![Finding::warning(watched_by_ramp(why))],
    }
}

/// What is different where there are no cgroups.
pub(super) fn watched_by_ramp(why: &str) -> String {
    format!(
        "the budget is watched by ramp itself, as no cgroup can be made: {why}. Every 100 ms the resident sets \
         (/proc/PID/statm) are added up, and above the budget the newest instance is ended, as evicted; for that \
         long the budget may be exceeded, and limits of instances are not in force (run as root, or in a delegated \
         cgroup: systemd-run --user --scope -p Delegate=yes ramp …)"
    )
}

/// Cgroups of other runs than this one.
pub(super) fn about_leftovers(homes: &OwnCgroups, run: &str) -> Vec<Finding> {
    let mut runs: BTreeMap<String, Vec<StaleCgroups>> = BTreeMap::new();
    let trial = trial_run(run);
    for remains in
        cleanup::all(homes).into_iter().filter(|remains| remains.run != run && remains.run != trial)
    {
        runs.entry(remains.run.clone()).or_default().push(remains);
    }
    runs.iter().map(|(run, remains)| Finding::refusal(leftover(run, remains))).collect()
}

fn leftover(run: &str, remains: &[StaleCgroups]) -> String {
    let processes: usize = remains.iter().map(|remains| remains.processes().len()).max().unwrap_or(0);
    let places: Vec<_> = remains.iter().map(|remains| remains.directory.display().to_string()).collect();
    let places = places.join(" and ");
    if processes > 0 {
        format!("{processes} processes of run {run} are at work in {places} (wait for its end, or end it)")
    } else {
        format!("run {run} has left {places} (ramp clean --engine local removes it)")
    }
}

/// The id under which it is tried whether cgroups can be made for a run.
pub(super) fn trial_run(run: &str) -> String {
    format!("{run}.trial")
}

/// The name of that cgroup.
pub(super) fn trial_name(run: &str) -> String {
    cgroup_name(&trial_run(run))
}

/// As many descriptors as may be had without being root: each instance takes some of ramp's.
pub(super) fn raise_limit_on_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!("the limit on files stays as it is: {error}");
    }
}

/// The hard limit for files, as it is raised; the soft one for everything else.
fn limit(resource: Resource) -> Limit<u64> {
    match getrlimit(resource) {
        Ok((soft, hard)) => {
            let limit = if resource == Resource::RLIMIT_NOFILE { hard } else { soft };
            if limit == nix::sys::resource::RLIM_INFINITY { Limit::Unlimited } else { Limit::Value(limit) }
        }
        Err(_) => Limit::Unknown,
    }
}

fn instances_allowed(files: Option<u64>, threads: Option<u64>) -> Option<u64> {
    let by_files = files.map(|files| files.saturating_sub(FILES_OF_RAMP) / FILES_PER_INSTANCE);
    by_files.into_iter().chain(threads.map(|threads| threads / THREADS_PER_INSTANCE)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use workload::host::{Hierarchy, Level, Version};

    fn facts() -> MachineFacts {
        MachineFacts {
            hostname: "here".into(),
            kernel: "6".into(),
            cpus: Some(2),
            available: Some(Bytes(1_000)),
            swap: Some(Bytes(0)),
            instances: Some(10),
        }
    }

    #[test]
    fn less_memory_than_the_budget_is_refused_and_swap_is_told() {
        assert_eq!(facts().findings(Bytes(1_000), None), []);
        let found = MachineFacts { swap: Some(Bytes(5)), ..facts() }.findings(Bytes(1_001), None);
        assert_eq!(found.iter().map(|finding| finding.refuses).collect::<Vec<_>>(), [true, false]);
        let nothing_known = MachineFacts { available: None, swap: None, instances: None, ..facts() };
        assert_eq!(nothing_known.findings(Bytes(u64::MAX), Some(Bytes(1))), []);
        assert_eq!(nothing_known.default_budget(), None);
    }

    #[test]
    fn limits_that_allow_fewer_instances_than_fit_are_told() {
        assert_eq!(facts().findings(Bytes(1_000), Some(Bytes(100))), []);
        let found = facts().findings(Bytes(1_000), Some(Bytes(90)));
        assert!(found[0].message.contains("about 10 instances") && found[0].message.contains("room for 11"));
        assert_eq!(instances_allowed(Some(1_024), Some(60)), Some(10));
        assert_eq!(instances_allowed(Some(1_024), None), Some(320));
        assert_eq!(instances_allowed(None, None), None);
    }

    #[test]
    fn what_another_run_has_left_is_named_with_the_way_out() {
        let root = tempfile::tempdir().unwrap();
        for name in ["ramp-own", "ramp-own.trial", "ramp-old", "ramp-busy"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("ramp-busy/cgroup.procs"), "4000000\n").unwrap();
        let level = Level { name: "/".into(), directory: root.path().into() };
        let memory = Hierarchy { version: Version::V1, levels: vec![level] };
        let found = about_leftovers(&OwnCgroups { memory: Some(memory), cpu: None }, "own");
        assert_eq!((found.len(), found.iter().all(|finding| finding.refuses)), (2, true), "{found:?}");
        assert!(found[0].message.starts_with("1 processes of run busy are at work"));
        assert!(found[1].message.contains("ramp-old (ramp clean --engine local"), "{found:?}");
    }

    #[test]
    fn what_is_said_is_as_written_down() {
        let root = tempfile::tempdir().unwrap();
        for name in ["ramp-old", "ramp-busy"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("ramp-busy/cgroup.procs"), "4000000\n").unwrap();
        let level = Level { name: "/".into(), directory: root.path().into() };
        let memory = Hierarchy { version: Version::V1, levels: vec![level] };
        let mut found =
            MachineFacts { swap: Some(Bytes(5_000)), ..facts() }.findings(Bytes(2_000), Some(Bytes(100)));
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
