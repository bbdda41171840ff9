//! Stale cgroups: those that runs have left, found by name in every hierarchy.

use std::path::{Path, PathBuf};

use super::cgroup_removal::inner;
use super::cgroup_root::OwnCgroups;

/// The names of runs' cgroups begin with this; the run's id follows.
const PREFIX: &str = "ramp-";

/// The name of a run's cgroup.
pub(super) fn cgroup_name(run: &str) -> String {
    format!("{PREFIX}{run}")
}

/// A directory of a run's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StaleCgroup {
    /// The run's id.
    pub(super) run: String,
    /// The directory, which may be that of several controllers.
    pub(super) directory: PathBuf,
}

/// The cgroups of a run, or where none is named of all runs, in all hierarchies that this process sees.
pub(super) fn stale_cgroups(homes: &OwnCgroups, run: Option<&str>) -> Vec<StaleCgroup> {
    let mut found = Vec::new();
    for outermost in homes.hierarchies().filter_map(|hierarchy| hierarchy.levels.last()) {
        search(&outermost.directory, &mut found);
    }
    found.retain(|stale| run.is_none_or(|run| run == stale.run));
    found
}

fn search(directory: &Path, found: &mut Vec<StaleCgroup>) {
    for inner in inner(directory) {
        match inner.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)) {
            Some(run) => found.push(StaleCgroup { run: run.to_owned(), directory: inner }),
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
        let levels = vec![level("a/own"), level("a"), level("")];
        let memory = Hierarchy { version: Version::V1, levels, is_partial: false };
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
        let mut runs: Vec<_> = stale_cgroups(&homes, None).into_iter().map(|stale| stale.run).collect();
        runs.sort();
        assert_eq!(runs, ["1", "2", "2"], "what is inside of one is that one's");
        assert_eq!(stale_cgroups(&homes, Some("1"))[0].directory, root.path().join("a/own/ramp-1"));
        assert_eq!(stale_cgroups(&homes, Some("3")), []);
    }
}
