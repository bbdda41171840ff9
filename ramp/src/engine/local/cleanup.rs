//! Cgroups of runs that are over, or have to be: how they are found.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::cgroup_removal::{inner, processes, remove};
use super::cgroup_root::OwnCgroups;

/// What the cgroup of each run begins with; the run's id follows.
const PREFIX: &str = "ramp-";

/// The name of a run's cgroup.
pub(super) fn cgroup_name(run: &str) -> String {
    format!("{PREFIX}{run}")
}

/// A directory of a run's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StaleCgroups {
    /// The run's id.
    pub(super) run: String,
    /// The directory, which may be that of several controllers.
    pub(super) directory: PathBuf,
}

impl StaleCgroups {
    /// The processes in it.
    pub(super) fn processes(&self) -> Vec<Pid> {
        processes(&self.directory)
    }

    /// Ends what is in it and removes it.
    ///
    /// # Errors
    /// Where it is still there after ten seconds.
    pub(super) async fn remove(&self) -> io::Result<()> {
        remove(&self.directory).await
    }
}

/// The cgroups of all runs in all of the hierarchies that can be seen from here.
pub(super) fn all(homes: &OwnCgroups) -> Vec<StaleCgroups> {
    let mut found = Vec::new();
    for hierarchy in homes.hierarchies() {
        if let Some(outermost) = hierarchy.levels.last() {
            search(&outermost.directory, &mut found);
        }
    }
    found
}

/// The cgroups of one run.
pub(super) fn of_run(homes: &OwnCgroups, run: &str) -> Vec<StaleCgroups> {
    all(homes).into_iter().filter(|remains| remains.run == run).collect()
}

fn search(directory: &Path, found: &mut Vec<StaleCgroups>) {
    for inner in inner(directory) {
        match inner.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)) {
            Some(run) => found.push(StaleCgroups { run: run.to_owned(), directory: inner }),
            None => search(&inner, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use workload::host::{Hierarchy, Level, Version};

    fn homes(root: &Path) -> OwnCgroups {
        let level = |path: &str| Level { name: path.into(), directory: root.join(path) };
        let memory = Hierarchy { version: Version::V1, levels: vec![level("a/own"), level("a"), level("")] };
        OwnCgroups { memory: Some(memory), cpu: None }
    }

    #[test]
    fn cgroups_of_runs_are_found_wherever_they_were_made() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/own/ramp-1/x-0001", "b/ramp-2", "ramp-2/ramp-3", "tramp-4", "a/ram"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        fs::write(root.path().join("ramp-5"), "a file").unwrap();
        let homes = homes(root.path());
        let mut runs: Vec<_> = all(&homes).into_iter().map(|remains| remains.run).collect();
        runs.sort();
        assert_eq!(runs, ["1", "2", "2"], "what is inside of one is that one's");
        assert_eq!(of_run(&homes, "1")[0].directory, root.path().join("a/own/ramp-1"));
        assert_eq!(of_run(&homes, "3"), []);
    }

    #[test]
    fn processes_of_the_cgroups_inside_count_and_those_of_other_namespaces_cannot() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("ramp-1/i");
        fs::create_dir_all(&inside).unwrap();
        fs::write(root.path().join("ramp-1/cgroup.procs"), "7\n0\n").unwrap();
        fs::write(inside.join("cgroup.procs"), "8\n-1\nx\n").unwrap();
        let remains = StaleCgroups { run: "1".into(), directory: root.path().join("ramp-1") };
        assert_eq!(remains.processes(), [7, 8].map(Pid::from_raw));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_is_told_with_its_path_and_one_that_is_gone_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let remains = StaleCgroups { run: "1".into(), directory: root.path().join("ramp-1") };
        remains.remove().await.unwrap();
        fs::create_dir_all(root.path().join("ramp-1/inner")).unwrap();
        remains.remove().await.unwrap();
        assert!(!remains.directory.exists());
        // A file holds a directory as a process does a cgroup.
        fs::create_dir_all(&remains.directory).unwrap();
        fs::write(remains.directory.join("file"), "").unwrap();
        assert!(remains.remove().await.unwrap_err().to_string().contains("ramp-1"));
    }
}
