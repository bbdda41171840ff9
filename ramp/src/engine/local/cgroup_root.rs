//! Where the budget's cgroup can be made: found by looking, settled by trying.

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

/// Where the cgroups of this process are, for the controllers that matter here.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnCgroups {
    pub(super) memory: Option<Hierarchy>,
    pub(super) cpu: Option<Hierarchy>,
}

impl OwnCgroups {
    /// Looks for them below `root`, which is `/` but in tests.
    pub(super) fn find(root: &Path) -> Self {
        let text = |file: &str| fs::read_to_string(root.join("proc/self").join(file)).unwrap_or_default();
        let (membership, mounts) = (text("cgroup"), text("mountinfo"));
        let find = |controller| Hierarchy::find(controller, &membership, &mounts);
        Self { memory: find("memory"), cpu: find("cpu") }
    }

    /// All of them, the same hierarchy once.
    pub(super) fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        let cpu = self.cpu.as_ref().filter(|cpu| Some(*cpu) != self.memory.as_ref());
        self.memory.iter().chain(cpu)
    }
}

/// A cgroup in which those of runs may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: CgroupDirectory,
    /// Controllers that would have to be handed down there first (v2).
    pub(super) to_enable: Vec<&'static str>,
}

/// Where cgroups can be made, as was tried.
#[derive(Clone, Debug)]
pub(super) struct CgroupRoot {
    /// Those in which they are made: memory's, and CPU's where that is another.
    pub(super) candidates: Vec<Candidate>,
    /// Why there is no limit on CPU, where there is none.
    pub(super) without_cpu: Option<String>,
}

impl CgroupRoot {
    /// The cgroup in which the cgroups of runs are.
    pub(super) fn around(&self) -> Cgroup {
        Cgroup { places: self.candidates.iter().map(|candidate| candidate.place.clone()).collect() }
    }

    /// Prepares it for cgroups with controllers.
    ///
    /// # Errors
    /// Where a controller cannot be handed down.
    pub(super) fn enable(&self) -> io::Result<()> {
        self.switch('+')
    }

    /// Undoes [`Self::enable`].
    pub(super) fn restore(&self) {
        // Another run may need it still: the kernel refuses then.
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

/// Where memory can be controlled, the nearest first.
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
    // A cgroup with processes cannot hand controllers down, unless it is the root, which has no such file.
    let may_hand_down = is_empty(directory) || !directory.join("cgroup.type").exists();
    let can = lists(directory, "cgroup.controllers", controller) && may_hand_down;
    can.then(|| Candidate { place, to_enable: vec![controller] })
}

fn lists(directory: &Path, file: &str, controller: &str) -> bool {
    fs::read_to_string(directory.join(file))
        .is_ok_and(|text| text.split_ascii_whitespace().any(|word| word == controller))
}

fn is_empty(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|text| text.trim().is_empty())
}

/// Finds where a cgroup named `name` can be made, limited and joined, by doing so and undoing it.
///
/// # Errors
/// Why it can be done nowhere.
pub(super) async fn settle(homes: &OwnCgroups, name: &str, program: &Path) -> Result<CgroupRoot, String> {
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

/// What is tried: limits that nothing comes near.
const TRIED: Limits = Limits {
    memory: Some(Bytes(1 << 30)),
    cpu: Some(Cores::from_whole(1)),
    cpu_share: Some(Cores::from_whole(1)),
};

/// Does all that a run does, and undoes it.
async fn attempt(site: &CgroupRoot, name: &str, program: &Path) -> io::Result<()> {
    let outer = site.around().inside(name);
    let made = async {
        site.enable()?;
        outer.make()?;
        outer.hand_down()?;
        let inner = outer.inside("trial");
        inner.make()?;
        inner.limit(&TRIED)?;
        move_a_process(program, inner.doors()).await
    };
    let result = made.await;
    let removed = outer.remove().await;
    site.restore();
    result.and(removed)
}

/// How long a process may take to join.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts this program as an instance that joins and ends.
async fn move_a_process(program: &Path, doors: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let output = timeout(PATIENCE, instance_command(program, doors).output())
        .await
        .map_err(|_| io::Error::other(format!("a process has not joined a cgroup within {PATIENCE:?}")))??;
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
        (root, Hierarchy { version: Version::V2, levels })
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
        let nowhere = settle(&OwnCgroups::default(), "ramp-x", Path::new("/")).await.unwrap_err();
        assert!(nowhere.contains("memory controller"), "{nowhere}");
        let (root, hierarchy) = unified();
        let homes = OwnCgroups { memory: Some(hierarchy), cpu: None };
        // Directories of a file system have no files of the kernel's.
        let why = settle(&homes, "ramp-x", Path::new("/")).await.unwrap_err();
        assert!(why.contains("cgroup.subtree_control"), "{why}");
        assert!(!root.path().join("ramp-x").exists() && !root.path().join("a/ramp-x").exists());
    }
}
