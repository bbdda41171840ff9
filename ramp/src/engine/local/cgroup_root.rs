//! Cgroup root: the cgroup below which those of runs are created, found by trying.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use workload::host::{Hierarchy, Level, Version};
use workload::quantity::{Bytes, Cores};

use super::cgroup::{Cgroup, CgroupDirectory, write};
use super::process::instance_command;
use super::process_spec::Limits;

/// The cgroups of this process, for memory and CPU.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnCgroups {
    pub(super) memory: Option<Hierarchy>,
    pub(super) cpu: Option<Hierarchy>,
}

impl OwnCgroups {
    /// Finds them below `root`, which is `/` except in tests.
    pub(super) fn find(root: &Path) -> Self {
        let text = |file: &str| fs::read_to_string(root.join("proc/self").join(file)).unwrap_or_default();
        let (membership, mounts) = (text("cgroup"), text("mountinfo"));
        let find = |controller| Hierarchy::find(controller, &membership, &mounts);
        Self { memory: find("memory"), cpu: find("cpu") }
    }

    /// The hierarchies, each once.
    pub(super) fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        let cpu = self.cpu.as_ref().filter(|cpu| Some(*cpu) != self.memory.as_ref());
        self.memory.iter().chain(cpu)
    }
}

/// A cgroup below which those of runs may be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: CgroupDirectory,
    /// Controllers to enable there first (v2).
    pub(super) to_enable: Vec<&'static str>,
}

/// Where cgroups can be created, as has been tried.
#[derive(Clone, Debug)]
pub(super) struct CgroupRoot {
    /// The cgroup for memory, and that for CPU where it is another one.
    pub(super) candidates: Vec<Candidate>,
    /// Why limits on CPU cannot be set, where that is so.
    pub(super) without_cpu: Option<String>,
}

impl CgroupRoot {
    /// The cgroup below which the cgroups of runs are.
    pub(super) fn cgroup(&self) -> Cgroup {
        Cgroup { places: self.candidates.iter().map(|candidate| candidate.place.clone()).collect() }
    }

    /// Enables the controllers for the cgroups below it.
    ///
    /// # Errors
    /// Where a controller cannot be enabled.
    pub(super) fn enable(&self) -> io::Result<()> {
        self.switch('+')
    }

    /// Undoes [`Self::enable`].
    pub(super) fn restore(&self) {
        // The kernel refuses while another run needs it.
        let _ = self.switch('-');
    }

    fn switch(&self, sign: char) -> io::Result<()> {
        for Candidate { place, to_enable } in &self.candidates {
            for controller in to_enable {
                write(&place.directory, "cgroup.subtree_control", &format!("{sign}{controller}"))?;
            }
        }
        Ok(())
    }
}

/// Where a controller can be used, the nearest cgroup first.
pub(super) fn candidates(controller: &'static str, hierarchy: &Hierarchy) -> Vec<Candidate> {
    let own = hierarchy.levels.first();
    let levels = match hierarchy.version {
        Version::V1 => own.map(std::slice::from_ref).unwrap_or_default(),
        Version::V2 => &hierarchy.levels,
    };
    levels.iter().filter_map(|level| candidate(controller, hierarchy.version, level)).collect()
}

fn candidate(controller: &'static str, version: Version, level: &Level) -> Option<Candidate> {
    let directory = &level.directory;
    let place = CgroupDirectory {
        version,
        directory: directory.clone(),
        memory: controller == "memory",
        cpu: controller == "cpu",
    };
    if version == Version::V1 || lists(directory, "cgroup.subtree_control", controller) {
        return Some(Candidate { place, to_enable: Vec::new() });
    }
    // A cgroup with processes cannot delegate controllers, unless it is the root, which has no such file.
    let may_delegate = is_empty(directory) || !directory.join("cgroup.type").exists();
    let can = lists(directory, "cgroup.controllers", controller) && may_delegate;
    can.then(|| Candidate { place, to_enable: vec![controller] })
}

fn lists(directory: &Path, file: &str, controller: &str) -> bool {
    fs::read_to_string(directory.join(file))
        .is_ok_and(|text| text.split_ascii_whitespace().any(|word| word == controller))
}

fn is_empty(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|text| text.trim().is_empty())
}

/// Finds where a cgroup of this name can be created, limited and joined, by trying.
///
/// # Errors
/// Why it cannot be done anywhere.
pub(super) async fn find_root(homes: &OwnCgroups, name: &str, program: &Path) -> Result<CgroupRoot, String> {
    let memory = homes.memory.as_ref().ok_or("this process is in no cgroup with a memory controller")?;
    let mut why = "no cgroup above this process delegates its memory controller".to_owned();
    for memory in candidates("memory", memory) {
        let mut without_cpu = "no cgroup above this process delegates its CPU controller".to_owned();
        for candidates in with_cpu(&memory, homes) {
            let site = CgroupRoot { candidates, without_cpu: None };
            match attempt(&site, name, program).await {
                Ok(()) => return Ok(site),
                Err(error) => without_cpu = error.to_string(),
            }
        }
        let site = CgroupRoot { candidates: vec![memory], without_cpu: Some(without_cpu) };
        match attempt(&site, name, program).await {
            Ok(()) => return Ok(site),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// Memory and CPU: in one cgroup where both are of the unified hierarchy, else in one of each hierarchy.
fn with_cpu(memory: &Candidate, homes: &OwnCgroups) -> Vec<Vec<Candidate>> {
    let is_unified = homes.cpu == homes.memory;
    let all = homes.cpu.iter().flat_map(|cpu| candidates("cpu", cpu));
    let fitting = all.filter(|cpu| !is_unified || cpu.place.directory == memory.place.directory);
    let joined = fitting.map(|cpu| match is_unified {
        true => vec![Candidate {
            place: CgroupDirectory { cpu: true, ..memory.place.clone() },
            to_enable: [memory.to_enable.clone(), cpu.to_enable].concat(),
        }],
        false => vec![memory.clone(), cpu],
    });
    joined.collect()
}

/// Limits that are tried: nothing comes near them.
const TRIED: Limits = Limits {
    memory: Some(Bytes(1 << 30)),
    cpu: Some(Cores::from_whole(1)),
    cpu_share: Some(Cores::from_whole(1)),
};

/// Does all that a run does, and reverts it.
async fn attempt(site: &CgroupRoot, name: &str, program: &Path) -> io::Result<()> {
    let outer = site.cgroup().inside(name);
    let made = async {
        site.enable()?;
        outer.make()?;
        outer.delegate()?;
        let inner = outer.inside("trial");
        inner.make()?;
        inner.limit(&TRIED)?;
        move_a_process(program, inner.procs_files()).await
    };
    let result = made.await;
    let removed = outer.remove().await;
    site.restore();
    result.and(removed)
}

/// Time limit of joining.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts an instance that joins the cgroups and exits.
async fn move_a_process(program: &Path, procs_files: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let output = timeout(PATIENCE, instance_command(program, procs_files).output())
        .await
        .map_err(|_| io::Error::other(format!("a process did not join a cgroup within {PATIENCE:?}")))??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("a process could not join a cgroup: {}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unified hierarchy of files, this process in `a/b`.
    fn unified() -> (tempfile::TempDir, Hierarchy) {
        let root = tempfile::tempdir().unwrap();
        let directories = ["a/b", "a", ""].map(|path| root.path().join(path));
        fs::create_dir_all(&directories[0]).unwrap();
        for directory in &directories {
            fs::write(directory.join("cgroup.controllers"), "cpuset cpu memory\n").unwrap();
            fs::write(directory.join("cgroup.subtree_control"), "\n").unwrap();
            fs::write(directory.join("cgroup.procs"), "").unwrap();
        }
        for directory in &directories[..2] {
            fs::write(directory.join("cgroup.type"), "domain\n").unwrap();
        }
        fs::write(directories[0].join("cgroup.procs"), "1\n").unwrap();
        let names = ["/a/b", "/a", "/"].map(str::to_owned).into_iter();
        let levels = names.zip(directories).map(|(name, directory)| Level { name, directory }).collect();
        (root, Hierarchy { version: Version::V2, levels, is_partial: false })
    }

    fn found(controller: &'static str, hierarchy: &Hierarchy) -> Vec<(PathBuf, usize)> {
        let all = candidates(controller, hierarchy).into_iter();
        all.map(|candidate| (candidate.place.directory, candidate.to_enable.len())).collect()
    }

    #[test]
    fn on_v2_it_is_the_nearest_cgroup_that_hands_memory_down_or_could() {
        let (root, hierarchy) = unified();
        let at = |path: &str| root.path().join(path);
        assert_eq!(found("memory", &hierarchy), [(at("a"), 1), (at(""), 1)], "one with processes cannot");
        fs::write(at("a/cgroup.procs"), "2\n").unwrap();
        fs::write(at("cgroup.procs"), "3\n").unwrap();
        assert_eq!(found("memory", &hierarchy), [(at(""), 1)], "but for the root");
        fs::write(at("a/cgroup.subtree_control"), "cpu memory\n").unwrap();
        assert_eq!(found("memory", &hierarchy), [(at("a"), 0), (at(""), 1)]);
        fs::write(at("a/b/cgroup.subtree_control"), "memory_recursiveprot\n").unwrap();
        assert_eq!(found("memory", &hierarchy).len(), 2, "names are compared whole");
    }

    #[test]
    fn a_hierarchy_without_the_controller_has_no_place_for_it() {
        let (root, hierarchy) = unified();
        for path in ["a/b", "a", ""] {
            fs::write(root.path().join(path).join("cgroup.controllers"), "hugetlb\n").unwrap();
        }
        assert_eq!(found("memory", &hierarchy), []);
    }

    #[test]
    fn on_v1_it_is_the_own_cgroup_of_each_controller() {
        let (root, hierarchy) = unified();
        let hierarchy = Hierarchy { version: Version::V1, ..hierarchy };
        assert_eq!(found("cpu", &hierarchy), [(root.path().join("a/b"), 0)]);
    }

    #[test]
    fn memory_and_cpu_of_the_unified_hierarchy_share_a_cgroup() {
        let (root, hierarchy) = unified();
        let homes = OwnCgroups { memory: Some(hierarchy.clone()), cpu: Some(hierarchy) };
        assert_eq!(homes.hierarchies().count(), 1);
        let memory = candidates("memory", homes.memory.as_ref().unwrap()).remove(0);
        let joined = with_cpu(&memory, &homes);
        assert_eq!((joined.len(), joined[0].len()), (1, 1));
        assert_eq!(joined[0][0].to_enable, ["memory", "cpu"]);
        assert!(joined[0][0].place.memory && joined[0][0].place.cpu);
        let v1 = Hierarchy { version: Version::V1, ..homes.memory.clone().unwrap() };
        let hybrid = OwnCgroups { memory: Some(v1), ..homes };
        assert_eq!((hybrid.hierarchies().count(), root.path().exists()), (2, true));
        assert_eq!(with_cpu(&memory, &hybrid)[0].len(), 2, "one in each hierarchy");
    }

    #[tokio::test]
    async fn where_nothing_may_be_made_the_reason_is_told() {
        let nowhere = find_root(&OwnCgroups::default(), "ramp-x", Path::new("/")).await.unwrap_err();
        assert!(nowhere.contains("memory controller"), "{nowhere}");
        let (root, hierarchy) = unified();
        let homes = OwnCgroups { memory: Some(hierarchy), cpu: None };
        // Directories of a file system have no files of the kernel's.
        let why = find_root(&homes, "ramp-x", Path::new("/")).await.unwrap_err();
        assert!(why.contains("cgroup.subtree_control"), "{why}");
        assert!(!root.path().join("ramp-x").exists() && !root.path().join("a/ramp-x").exists());
    }
}
