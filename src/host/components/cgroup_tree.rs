//! Tree of cgroups in `/sys/fs/cgroup`: the directories of pods, and what is charged to them.

use std::fs;
use std::path::{Path, PathBuf};

use super::pod_cgroup::{Place, container_ids};
use crate::host::parse::{flat_keyed, number};

/// Levels below the cgroup of the node at which pods are looked for.
const DEPTH: usize = 6;

/// What the kernel charges to the cgroup of a pod, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCgroup {
    /// All memory.
    pub memory: Option<u64>,
    /// The most that it was.
    pub peak: Option<u64>,
    /// Anonymous memory.
    pub anon: Option<u64>,
    /// Shared memory and file systems in memory.
    pub shmem: Option<u64>,
    /// Page cache that can be reclaimed.
    pub file: Option<u64>,
    /// Kernel memory.
    pub kernel: Option<u64>,
    /// Swapped-out memory.
    pub swap: Option<u64>,
    /// CPU time in nanoseconds.
    pub cpu_ns: Option<u64>,
}

/// Where the memory and CPU controllers have their cgroups.
#[derive(Debug)]
pub(super) struct CgroupTree {
    memory: PathBuf,
    /// v1 has a hierarchy for each controller.
    cpuacct: Option<PathBuf>,
    is_v1: bool,
}

impl CgroupTree {
    pub(super) fn open(root: &Path) -> Self {
        let root = root.join("sys/fs/cgroup");
        let memory = root.join("memory");
        let is_v1 = memory.join("memory.usage_in_bytes").exists() || memory.join("memory.stat").exists();
        let cpuacct =
            ["cpuacct", "cpu,cpuacct"].map(|name| root.join(name)).into_iter().find(|path| path.is_dir());
        Self { memory: if is_v1 { memory } else { root }, cpuacct: cpuacct.filter(|_| is_v1), is_v1 }
    }

    /// The directory of a pod.
    pub(super) fn directory(&self, place: &Place) -> Option<PathBuf> {
        let directory = self.memory.join(place.path.strip_prefix('/')?);
        (place.is_absolute() && directory.is_dir()).then_some(directory)
    }

    /// All pods below a cgroup, else below the root.
    pub(super) fn pods(&self, node: Option<&str>) -> Vec<(Place, PathBuf)> {
        let below = node.filter(|node| !node.starts_with("/..")).unwrap_or_default();
        let mut found = Vec::new();
        self.walk(&self.memory.join(below.trim_start_matches('/')), DEPTH, &mut found);
        found
    }

    fn walk(&self, directory: &Path, depth: usize, found: &mut Vec<(Place, PathBuf)>) {
        for (name, path) in directories(directory) {
            let relative = path.strip_prefix(&self.memory).unwrap_or(&path);
            if let Some(mut place) = Place::of_path(&format!("/{}", relative.display())) {
                place.containers = directories(&path).flat_map(|(name, _)| container_ids(&name)).collect();
                found.push((place, path));
            } else if depth > 0 && ![".service", ".scope", ".mount"].iter().any(|end| name.ends_with(end)) {
                self.walk(&path, depth - 1, found);
            }
        }
    }

    /// What is charged to a pod.
    pub(super) fn charged(&self, directory: &Path) -> PodCgroup {
        let file = |name: &str| fs::read_to_string(directory.join(name)).ok();
        let value = |name: &str| number(&file(name)?);
        let stat = file("memory.stat").unwrap_or_default();
        let key = |key: &str| flat_keyed(&stat, key);
        let sum = |a: &str, b: &str| key(a)?.checked_add(key(b)?);
        if self.is_v1 {
            return PodCgroup {
                memory: value("memory.usage_in_bytes"),
                peak: value("memory.max_usage_in_bytes"),
                anon: key("total_rss"),
                shmem: key("total_shmem"),
                file: sum("total_inactive_file", "total_active_file"),
                kernel: value("memory.kmem.usage_in_bytes"),
                swap: key("total_swap"),
                cpu_ns: self.cpu_v1(directory),
            };
        }
        let cpu = file("cpu.stat").and_then(|text| flat_keyed(&text, "usage_usec"));
        PodCgroup {
            memory: value("memory.current"),
            peak: value("memory.peak"),
            anon: key("anon"),
            shmem: key("shmem"),
            file: sum("inactive_file", "active_file"),
            kernel: key("kernel"),
            swap: value("memory.swap.current"),
            cpu_ns: cpu.and_then(|microseconds| microseconds.checked_mul(1_000)),
        }
    }

    fn cpu_v1(&self, directory: &Path) -> Option<u64> {
        let relative = directory.strip_prefix(&self.memory).ok()?;
        let usage = self.cpuacct.as_ref()?.join(relative).join("cpuacct.usage");
        number(&fs::read_to_string(usage).ok()?)
    }
}

fn directories(directory: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.filter_map(|entry| Some((entry.file_name().to_str()?.to_owned(), entry.path())))
}
