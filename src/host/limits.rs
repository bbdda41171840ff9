//! Limits of a node other than memory and CPU, and how much of each is used: PIDs, inotify, open files, keys, neighbour table, connection
//! tracking, disk.
//!
//! Sources: Documentation/admin-guide/sysctl/{kernel,fs,net}.rst, Documentation/admin-guide/cgroup-v2.rst (PID), keyrings(7), inotify(7),
//! proc(5), statfs(2).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::limit::Limit;
use super::parse::{memory_limit, number};
use crate::clock::nanos;

/// What a reader of limits may read beside what every process may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Descriptors of all processes, and the file system of the first one: the rights of the component probe, and of root.
    pub all_processes: bool,
}

/// A limit, and how much of it is used. What is not known is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReading {
    /// What is limited.
    pub resource: &'static str,
    /// Where the limit holds.
    pub scope: String,
    /// The limit; none where there is none, or none is known.
    pub limit: Option<u64>,
    /// How much of it is used.
    pub used: Option<u64>,
    /// Kernel file or system call that tells.
    pub source: String,
}

/// The scope of limits of the whole machine.
const MACHINE: &str = "machine";

/// The limits that the files below `root` tell, which is `/` but in tests.
#[must_use]
pub fn records(root: &Path, rights: Rights) -> Vec<LimitReading> {
    let mut found = pids(root, rights);
    of_files(root, &mut found);
    of_inotify(root, rights, &mut found);
    of_keys(root, &mut found);
    of_network(root, &mut found);
    of_disks(root, &mut found);
    found
}

/// Those on processes and threads, which are cheap to read.
fn pids(root: &Path, rights: Rights) -> Vec<LimitReading> {
    let mut found = Vec::new();
    of_tasks(root, &mut found);
    of_pods(root, rights, &mut found);
    found
}

fn text(root: &Path, file: &str) -> Option<String> {
    fs::read_to_string(root.join(file)).ok()
}

fn one(root: &Path, file: &str) -> Option<u64> {
    number(&text(root, file)?)
}

/// Adds a limit of the machine that a file tells.
fn add(
    root: &Path,
    found: &mut Vec<LimitReading>,
    resource: &'static str,
    scope: &str,
    file: &str,
    used: Option<u64>,
) {
    if let Some(limit) = one(root, file) {
        let source = format!("/{file}");
        found.push(LimitReading { resource, scope: scope.into(), limit: Some(limit), used, source });
    }
}

/// Tasks of the machine: threads of all processes. Each has an ID of its own below `pid_max`.
fn of_tasks(root: &Path, found: &mut Vec<LimitReading>) {
    // `0.48 0.63 1.40 4/297 17075`: running and all.
    let load = text(root, "proc/loadavg");
    let tasks =
        load.as_deref().and_then(|load| load.split(' ').nth(3)?.split_once('/')?.1.parse::<u64>().ok());
    add(root, found, "pids", MACHINE, "proc/sys/kernel/pid_max", tasks);
    if let Some(pids) = found.last_mut().filter(|_| has_own_pid_max(root)) {
        pids.limit = None;
    }
    add(root, found, "threads", MACHINE, "proc/sys/kernel/threads-max", tasks);
}

/// Whether `pid_max` is that of a PID namespace such as a container's, and says nothing of the machine: since Linux 6.14 each has its own.
fn has_own_pid_max(root: &Path) -> bool {
    /// That of the first namespace (`PROC_PID_INIT_INO`).
    const FIRST: &str = "pid:[4026531836]";
    let namespace = fs::read_link(root.join("proc/self/ns/pid"));
    let release = text(root, "proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u64>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    namespace.is_ok_and(|namespace| namespace.as_os_str() != FIRST) && version >= (6, 14)
}

/// Directories with children of their own that hold no pods.
const WITHOUT_PODS: [&str; 4] = ["system.slice", "user.slice", "machine.slice", "init.scope"];
/// Levels below the root of a hierarchy at which the cgroup of all pods is looked for: `/kubelet.slice/kubelet-kubepods.slice`.
const DEEPEST: usize = 3;

/// The PIDs controller of the cgroup that holds all pods of the node, and of one around it that leaves less.
fn of_pods(root: &Path, rights: Rights, found: &mut Vec<LimitReading>) {
    let mut mounts = vec!["sys/fs/cgroup/pids", "sys/fs/cgroup"];
    if rights.all_processes {
        mounts.extend([
            concat!("proc/1/root", "/sys/fs/cgroup/pids"),
            concat!("proc/1/root", "/sys/fs/cgroup"),
        ]);
    }
    for mount in mounts {
        let hierarchy = root.join(mount);
        let Some(pods) = pods_cgroup(root, &hierarchy) else { continue };
        let own = level(root, &pods, "pods".into());
        let room = |reading: &LimitReading| Some(reading.limit?.saturating_sub(reading.used?));
        let around = pods.ancestors().skip(1).take_while(|above| above.starts_with(&hierarchy));
        let tighter = around
            .filter_map(|above| {
                let name = above.strip_prefix(&hierarchy).unwrap_or(above);
                level(root, above, format!("/{}", name.display()))
            })
            .filter_map(|reading| Some((room(&reading)?, reading)))
            .min_by_key(|(room, _)| *room);
        let own_room = own.as_ref().and_then(room).unwrap_or(u64::MAX);
        found.extend(own);
        found.extend(tighter.filter(|(room, _)| *room < own_room).map(|(_, reading)| reading));
        return;
    }
}

fn level(root: &Path, directory: &Path, scope: String) -> Option<LimitReading> {
    let read = |file: &str| fs::read_to_string(directory.join(file)).ok();
    let limit = read("pids.max").map_or(Limit::Unknown, |text| memory_limit(text.trim()));
    let used = read("pids.current").and_then(|text| number(&text));
    let source = directory.join("pids.max");
    let source = source.strip_prefix(root).unwrap_or(&source);
    let source = format!("/{}", source.display());
    (limit != Limit::Unknown).then(|| LimitReading {
        resource: "pids",
        scope,
        limit: limit.value(),
        used,
        source,
    })
}

/// The cgroup of all pods: that around this process, or the only one of the hierarchy.
fn pods_cgroup(root: &Path, hierarchy: &Path) -> Option<PathBuf> {
    let mut all = Vec::new();
    find_pods(hierarchy, DEEPEST, &mut all);
    let own = text(root, "proc/self/cgroup").unwrap_or_default();
    let is_around = |pods: &&PathBuf| {
        let inside = pods.strip_prefix(hierarchy).unwrap_or(pods).display().to_string();
        own.lines()
            .any(|line| line.rsplit(':').next().is_some_and(|path| path.starts_with(&format!("/{inside}/"))))
    };
    match (all.iter().find(is_around), all.as_slice()) {
        (Some(own), _) => Some(own.clone()),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

fn find_pods(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if WITHOUT_PODS.contains(&name.as_ref()) || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if name == "kubepods" || name == "kubepods.slice" || name.ends_with("-kubepods.slice") {
            found.push(path);
        } else if depth > 1 {
            find_pods(&path, depth - 1, found);
        }
    }
}

/// Open files of the machine: allocated, unused, and most (`fs.file-nr`). And memory areas, of each process.
fn of_files(root: &Path, found: &mut Vec<LimitReading>) {
    const FILES: &str = "proc/sys/fs/file-nr";
    let numbers = text(root, FILES).unwrap_or_default();
    let mut numbers = numbers.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
    if let (Some(used), Some(_), Some(Some(limit))) = (numbers.next(), numbers.next(), numbers.next()) {
        let (scope, source) = (MACHINE.into(), format!("/{FILES}"));
        found.push(LimitReading { resource: "open_files", scope, limit: Some(limit), used, source });
    }
    add(root, found, "map_count", "process", "proc/sys/vm/max_map_count", None);
}

/// inotify, of each user ID. What is used is only to be had from the descriptors of all processes.
fn of_inotify(root: &Path, rights: Rights, found: &mut Vec<LimitReading>) {
    let used = if rights.all_processes { inotify_users(root) } else { BTreeMap::new() };
    let most = |of: fn(&(u64, u64)) -> u64| {
        let most = used.iter().map(|(user, counts)| (of(counts), *user)).max();
        let scope = most.map_or_else(|| "user ID".to_owned(), |(_, user)| format!("user ID {user}"));
        (scope, most.map(|(count, _)| count))
    };
    let (scope, instances) = most(|(instances, _)| *instances);
    add(root, found, "inotify_instances", &scope, "proc/sys/fs/inotify/max_user_instances", instances);
    let (scope, watches) = most(|(_, watches)| *watches);
    add(root, found, "inotify_watches", &scope, "proc/sys/fs/inotify/max_user_watches", watches);
}

/// inotify instances and watches by user ID.
fn inotify_users(root: &Path) -> BTreeMap<u64, (u64, u64)> {
    let mut users: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for process in fs::read_dir(root.join("proc")).into_iter().flatten().flatten() {
        if !process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let process = process.path();
        for descriptor in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            // A process that ends meanwhile is no error.
            if !fs::read_link(descriptor.path())
                .is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
            {
                continue;
            }
            let info = fs::read_to_string(process.join("fdinfo").join(descriptor.file_name()));
            let watches =
                info.unwrap_or_default().lines().filter(|line| line.starts_with("inotify ")).count();
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            if let Some(user) = user_of(&status) {
                let counts = users.entry(user).or_default();
                *counts = (counts.0 + 1, counts.1 + watches as u64);
            }
        }
    }
    users
}

/// The effective user ID of a process, by its `status`.
fn user_of(status: &str) -> Option<u64> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Keys of root, and of the user that has used the largest share. (`    0:    18 17/17 12/1000000 670/25000000`: keys and bytes are
/// the last two.)
fn of_keys(root: &Path, found: &mut Vec<LimitReading>) {
    const USERS: &str = "proc/key-users";
    let users = text(root, USERS).unwrap_or_default();
    let pair = |word: &str| {
        let (used, limit) = word.split_once('/')?;
        Some((used.parse::<u64>().ok()?, limit.parse::<u64>().ok()?))
    };
    let user = |line: &str| {
        let (user, rest) = line.trim().split_once(':')?;
        let mut words = rest.split_ascii_whitespace().skip(2);
        Some((user.parse::<u64>().ok()?, pair(words.next()?)?, pair(words.next()?)?))
    };
    let users: Vec<_> = users.lines().filter_map(user).collect();
    let share = |(used, limit): (u64, u64)| used.saturating_mul(1_000_000) / limit.max(1);
    let fullest = users.iter().max_by_key(|(_, keys, bytes)| share(*keys).max(share(*bytes)));
    let root_user = users.iter().find(|(user, ..)| *user == 0);
    for (user, keys, bytes) in
        root_user.into_iter().chain(fullest.filter(|fullest| Some(*fullest) != root_user))
    {
        for (resource, (used, limit)) in [("keys", *keys), ("key_bytes", *bytes)] {
            let (scope, source) = (format!("user ID {user}"), format!("/{USERS}"));
            found.push(LimitReading { resource, scope, limit: Some(limit), used: Some(used), source });
        }
    }
}

/// Tables of the network. Only the first network namespace has the thresholds; another one's numbers are not those of the machine.
fn of_network(root: &Path, found: &mut Vec<LimitReading>) {
    const V4: &str = "proc/sys/net/ipv4/neigh/default/gc_thresh3";
    const V6: &str = "proc/sys/net/ipv6/neigh/default/gc_thresh3";
    add(root, found, "neighbours", "machine, IPv4", V4, entries(root, "proc/net/stat/arp_cache"));
    add(root, found, "neighbours", "machine, IPv6", V6, entries(root, "proc/net/stat/ndisc_cache"));
    if one(root, V4).is_some() {
        let used = one(root, "proc/sys/net/netfilter/nf_conntrack_count");
        add(root, found, "conntrack", MACHINE, "proc/sys/net/netfilter/nf_conntrack_max", used);
    }
}

/// Entries of a table by its statistics: the first column, hexadecimal, the same for each CPU.
fn entries(root: &Path, file: &str) -> Option<u64> {
    let text = text(root, file)?;
    u64::from_str_radix(text.lines().nth(1)?.split_ascii_whitespace().next()?, 16).ok()
}

/// Directories that fill with containers.
const ON_DISK: [&str; 5] = [
    "var/lib/kubelet",
    "var/lib/containerd",
    "var/lib/containers",
    "var/lib/docker",
    "var/lib/rancher/k3s/agent/containerd",
];

/// File systems of kubelets and container runtimes: by their directories, or, within a container, by its own root, which is in the
/// runtime's, and its /etc/hosts, which is in the kubelet's.
fn of_disks(root: &Path, found: &mut Vec<LimitReading>) {
    let overlay = statfs(root).is_ok_and(|status| status.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    if overlay {
        disk(root, "container runtime", "/", found);
        let hosts = root.join("etc/hosts");
        if statfs(&hosts).is_ok_and(|status| status.filesystem_type() != OVERLAYFS_SUPER_MAGIC) {
            disk(&hosts, "kubelet", "/etc/hosts", found);
        }
        return;
    }
    for directory in ON_DISK {
        let name = format!("/{directory}");
        disk(&root.join(directory), &name, &name, found);
    }
}

fn disk(path: &Path, scope: &str, name: &str, found: &mut Vec<LimitReading>) {
    let Ok(status) = statfs(path) else { return };
    let block = u64::try_from(status.block_size()).unwrap_or(0);
    let used = status.blocks().saturating_sub(status.blocks_free());
    let source = format!("statfs {name}");
    // As df counts: what is reserved for root is neither used nor available.
    let bytes = used.saturating_add(status.blocks_available()).saturating_mul(block);
    let used = used.saturating_mul(block);
    let reading = |resource, limit, used| LimitReading {
        resource,
        scope: scope.into(),
        limit: Some(limit),
        used: Some(used),
        source: source.clone(),
    };
    if bytes > 0 {
        found.push(reading("disk_bytes", bytes, used));
    }
    // Some file systems have no fixed number of them.
    if status.files() > 0 {
        let used = status.files().saturating_sub(status.files_free());
        found.push(reading("disk_inodes", status.files(), used));
    }
}

/// A reading as a record of the reports.
struct LimitRecord<'r> {
    reading: &'r LimitReading,
    time: String,
    boot_id: Option<&'r str>,
}

impl Serialize for LimitRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LimitReading { resource, scope, limit, used, source } = self.reading;
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("record", "limit")?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("boot_id", &self.boot_id)?;
        map.serialize_entry("resource", resource)?;
        map.serialize_entry("scope", scope)?;
        map.serialize_entry("limit", limit)?;
        map.serialize_entry("used", used)?;
        map.serialize_entry("source", source)?;
        map.end()
    }
}

impl LimitReading {
    /// A line of JSON by the columns of `limits.csv`, with its newline.
    #[must_use]
    pub fn line(&self, time: SystemTime, boot_id: Option<&str>) -> String {
        let time = humantime::format_rfc3339_millis(time).to_string();
        // Writing to memory does not fail.
        let line = serde_json::to_string(&LimitRecord { reading: self, time, boot_id }).unwrap_or_default();
        line + "\n"
    }
}

/// All limits are told this often, so that who begins to listen need not wait for long,
const ALL_EVERY: Duration = Duration::from_secs(30);
/// and those on processes and threads of which more or less is used this often: each instance adds to them.
const PIDS_EVERY: Duration = Duration::from_secs(5);

/// Which limits are to be told when.
#[derive(Debug)]
pub struct LimitReports {
    root: PathBuf,
    rights: Rights,
    told: Vec<LimitReading>,
    all_at_ns: u64,
    pids_at_ns: u64,
}

impl LimitReports {
    /// Those below `root`; the first are due at once.
    #[must_use]
    pub fn new(root: &Path, rights: Rights) -> Self {
        Self { root: root.into(), rights, told: Vec::new(), all_at_ns: 0, pids_at_ns: 0 }
    }

    /// Those to be told now, by a monotonic clock.
    pub fn due(&mut self, now_ns: u64) -> Vec<LimitReading> {
        if now_ns < self.all_at_ns.min(self.pids_at_ns) {
            return Vec::new();
        }
        self.pids_at_ns = now_ns.saturating_add(nanos(PIDS_EVERY));
        if now_ns >= self.all_at_ns {
            self.all_at_ns = now_ns.saturating_add(nanos(ALL_EVERY));
            self.told = records(&self.root, self.rights);
            return self.told.clone();
        }
        let now = pids(&self.root, self.rights);
        let before = std::mem::replace(&mut self.told, now);
        self.told.iter().filter(|reading| !before.contains(reading)).cloned().collect()
    }

    /// The same as lines of JSON, for a record at `time` of the kernel with this boot ID.
    pub fn due_lines(&mut self, now_ns: u64, time: SystemTime, boot_id: Option<&str>) -> String {
        self.due(now_ns).iter().map(|reading| reading.line(time, boot_id)).collect()
    }
}

#[cfg(test)]
mod tests;
