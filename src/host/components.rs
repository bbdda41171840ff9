//! Components of pods and of the node: what the processes of a machine hold, grouped by what they are for.
//!
//! Memory is proportional (PSS of `smaps_rollup`): what processes share is divided among them, so that components add up. A sum of
//! resident sets would count it several times. Processes belong to a pod by the path of their cgroup; those outside of it (shims,
//! virtual machine monitors) by the ID of a container or sandbox of that pod in their command line or cgroup, or by their parent.
//!
//! Sources: Documentation/filesystems/proc.rst, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.

mod cgroup_tree;
mod pod_cgroup;
mod proc_files;
mod program;

pub use cgroup_tree::PodCgroup;
pub use proc_files::MemorySource;
pub use program::Program;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cgroup_tree::CgroupTree;
use pod_cgroup::{Place, container_ids};
use proc_files::{Memory, ProcFiles, Reading, Stat};

/// How far parents are followed to find the pod of a process.
const GENERATIONS: usize = 8;

/// What a component holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// Unique ID of its pod; none for a component of the node.
    pub pod_uid: Option<String>,
    /// What it is; none for the whole pod by its cgroup.
    pub program: Option<Program>,
    /// Names of its processes, separated by spaces.
    pub process: String,
    /// Its processes.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Those of its processes whose memory cannot be read; what is left out is unknown, so there is no sum either.
    pub unreadable: u64,
    /// Memory of its processes; none where one of them is unreadable.
    pub memory: Option<ComponentMemory>,
    /// CPU time of its processes in hundredths of a second.
    pub cpu_hundredths: u64,
    /// What the kernel charges to the cgroup of the pod.
    pub cgroup: Option<PodCgroup>,
}

/// Memory of a component's processes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComponentMemory {
    /// Where it is from.
    pub source: MemorySource,
    /// Proportional set size.
    pub pss: u64,
    /// Anonymous memory of it.
    pub anon: Option<u64>,
    /// Shared memory of it.
    pub shmem: Option<u64>,
    /// Files of it.
    pub file: Option<u64>,
    /// Swapped-out memory.
    pub swap: Option<u64>,
    /// Page tables.
    pub page_tables: Option<u64>,
}

/// Reader of the components of a machine.
#[derive(Debug)]
pub struct Components {
    files: ProcFiles,
    tree: CgroupTree,
    /// The cgroup that the cgroups of all pods of this node are below; others are those of another node on the same machine.
    node: Option<String>,
}

/// A process.
#[derive(Debug)]
struct NodeProcess {
    stat: Stat,
    program: Program,
    name: String,
    place: Option<Place>,
    /// IDs of containers and sandboxes by which a process outside of its pod's cgroup is told.
    ids: Vec<String>,
}

impl Components {
    /// Of the machine whose `/proc` and `/sys/fs/cgroup` are below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let mut files = ProcFiles::open(root);
        let own = files.text("self/cgroup", |text| Place::of_process(text).map(|place| place.node));
        let node = own.ok().flatten();
        Self { files, tree: CgroupTree::open(root), node }
    }

    /// The components as they are now: of each pod first the whole, then its parts; those of the node last.
    pub fn read(&mut self) -> Vec<Component> {
        let processes = self.processes();
        let pods = self.pods(&processes);
        let mut found: BTreeMap<(Option<String>, Program), Component> = BTreeMap::new();
        for (id, process) in &processes {
            let Some((pod_uid, program)) = self.belonging(process, &processes, &pods) else { continue };
            let reading = self.files.memory(*id, program);
            if matches!(reading, Reading::Ended) {
                continue;
            }
            let key = (pod_uid.clone(), program);
            let component = found.entry(key).or_insert_with(|| Component {
                pod_uid,
                program: Some(program),
                memory: Some(ComponentMemory::default()),
                ..Component::default()
            });
            component.add(process, reading);
        }
        self.with_pods(found, &pods)
    }

    /// Every process that may belong to a component.
    fn processes(&mut self) -> BTreeMap<u32, NodeProcess> {
        let mut processes = BTreeMap::new();
        for id in self.files.ids() {
            if let Some(process) = self.process(id) {
                processes.insert(id, process);
            }
        }
        processes
    }

    /// None where it ended meanwhile, or is a thread of the kernel.
    fn process(&mut self, id: u32) -> Option<NodeProcess> {
        let stat = self.files.text(&format!("{id}/stat"), Stat::parse).ok()??;
        if stat.is_kernel_thread || stat.is_zombie {
            return None;
        }
        let place =
            self.files.text(&format!("{id}/cgroup"), |text| (Place::of_process(text), container_ids(text)));
        let (place, mut ids) = place.ok()?;
        let named = |line: &str| (program::named(line, &stat.name), container_ids(line));
        let ((program, name), in_line) = self.files.text(&format!("{id}/cmdline"), named).ok()?;
        if place.is_some() || !program.serves_a_pod() {
            ids.clear();
        } else {
            ids.extend(in_line);
        }
        Some(NodeProcess { stat, program, name, place, ids })
    }

    /// The pods of this node with what is known of their cgroups.
    fn pods(&mut self, processes: &BTreeMap<u32, NodeProcess>) -> Pods {
        let mut pods = Pods::default();
        for place in processes.values().filter_map(|process| process.place.as_ref()) {
            if self.is_here(place) {
                pods.add(place, self.tree.directory(place));
            }
        }
        let is_known = |process: &NodeProcess| process.ids.is_empty() || pods.of(&process.ids).is_some();
        let is_incomplete = pods.directories.values().any(Option::is_none);
        if is_incomplete || !processes.values().all(is_known) {
            for (place, directory) in self.tree.pods(self.node.as_deref()) {
                pods.add(&place, Some(directory));
            }
        }
        pods
    }

    /// Whether it is the place of a pod of this node.
    fn is_here(&self, place: &Place) -> bool {
        self.node.as_ref().is_none_or(|node| *node == place.node)
    }

    /// The pod, if any, and the component that a process belongs to; none for any other process of the machine.
    fn belonging(
        &self,
        process: &NodeProcess,
        all: &BTreeMap<u32, NodeProcess>,
        pods: &Pods,
    ) -> Option<(Option<String>, Program)> {
        if process.program == Program::Probe {
            return Some((None, Program::Probe));
        }
        if let Some(place) = &process.place {
            let program = if process.program.is_of_the_node() { Program::Other } else { process.program };
            let program = inherited(program, process, all);
            return self.is_here(place).then(|| (Some(place.pod_uid.clone()), program));
        }
        if process.program.is_of_the_node() {
            return Some((None, process.program));
        }
        // Outside of the cgroups of pods.
        let mut ancestor = Some(process);
        for _ in 0..GENERATIONS {
            let known = ancestor?;
            if let Some(uid) = pods.of(&known.ids) {
                return Some((Some(uid.to_owned()), inherited(process.program, process, all)));
            }
            ancestor = all.get(&known.stat.parent).filter(|parent| parent.program.serves_a_pod());
        }
        None
    }

    /// With what is charged to the cgroups of the pods, sorted by pod.
    fn with_pods(
        &self,
        found: BTreeMap<(Option<String>, Program), Component>,
        pods: &Pods,
    ) -> Vec<Component> {
        let mut all = Vec::with_capacity(found.len() * 2);
        let (of_node, of_pods): (Vec<_>, Vec<_>) =
            found.into_values().partition(|part| part.pod_uid.is_none());
        let mut parts = of_pods.into_iter().peekable();
        while let Some(uid) = parts.peek().and_then(|part| part.pod_uid.clone()) {
            let directory = pods.directories.get(&uid).and_then(Option::as_ref);
            let cgroup = directory.map(|directory| self.tree.charged(directory));
            let first = all.len();
            all.push(Component { pod_uid: Some(uid.clone()), cgroup, ..Component::default() });
            while let Some(part) = parts.next_if(|part| part.pod_uid.as_ref() == Some(&uid)) {
                if let Some(whole) = all.get_mut(first) {
                    whole.processes += part.processes;
                    whole.threads += part.threads;
                    whole.unreadable += part.unreadable;
                }
                all.push(part);
            }
        }
        all.extend(of_node);
        all
    }
}

/// The component of a process that has no name of its own: a sandbox of gVisor has processes in which the programs inside run (the
/// platforms ptrace and systrap); their memory is that of the sandbox.
fn inherited(program: Program, process: &NodeProcess, all: &BTreeMap<u32, NodeProcess>) -> Program {
    let mut parent = all.get(&process.stat.parent).filter(|_| program == Program::Other);
    for _ in 0..GENERATIONS {
        match parent {
            Some(found) if found.program == Program::Sentry => return Program::Sentry,
            Some(found) if found.program == Program::Other => parent = all.get(&found.stat.parent),
            _ => break,
        }
    }
    program
}

impl Component {
    fn add(&mut self, process: &NodeProcess, reading: Reading) {
        // Names are for people: those of a few processes say what it is.
        const LONGEST: usize = 200;
        if self.process.len() < LONGEST && !self.process.split(' ').any(|name| name == process.name) {
            let space = if self.process.is_empty() { "" } else { " " };
            self.process.push_str(space);
            self.process.push_str(&process.name);
        }
        self.processes += 1;
        self.threads += process.stat.threads;
        self.cpu_hundredths += process.stat.cpu_hundredths;
        match reading {
            Reading::Memory(memory) => self.memory = self.memory.map(|sum| sum.and(memory)),
            Reading::Ended | Reading::Refused => {
                self.unreadable += 1;
                self.memory = None;
            }
        }
    }
}

impl ComponentMemory {
    fn and(self, Memory { source, pss, anon, shmem, file, swap, page_tables }: Memory) -> Self {
        let is_first = self == Self::default();
        let sum = |sum: Option<u64>, more: Option<u64>| {
            if is_first { more } else { sum.zip(more).map(|(sum, more)| sum.saturating_add(more)) }
        };
        Self {
            source,
            pss: self.pss.saturating_add(pss),
            anon: sum(self.anon, anon),
            shmem: sum(self.shmem, shmem),
            file: sum(self.file, file),
            swap: sum(self.swap, swap),
            page_tables: sum(self.page_tables, page_tables),
        }
    }
}

/// Pods by what identifies them.
#[derive(Debug, Default)]
struct Pods {
    /// The directory of each pod's cgroup, where that is known.
    directories: HashMap<String, Option<PathBuf>>,
    /// The pod of a container or sandbox.
    of_container: HashMap<String, String>,
}

impl Pods {
    fn add(&mut self, place: &Place, directory: Option<PathBuf>) {
        let known = self.directories.entry(place.pod_uid.clone()).or_default();
        if known.is_none() {
            *known = directory;
        }
        for id in &place.containers {
            if !self.of_container.contains_key(id) {
                self.of_container.insert(id.clone(), place.pod_uid.clone());
            }
        }
    }

    fn of(&self, ids: &[String]) -> Option<&str> {
        ids.iter().find_map(|id| self.of_container.get(id)).map(String::as_str)
    }
}
