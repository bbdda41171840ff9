//! Which cgroups this process is in, and that it may be moved to others.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::Hierarchy;
use super::file::KernelText;
use super::memory::MemoryController;
use crate::clock::nanos;

/// The memberships are looked up this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking may take this part of the time at most: before Linux 6.7 it waits for whoever makes or removes cgroups
/// (`cgroup_mutex` in the kernel's `proc_cgroup_show`).
const LOOK_PART: u64 = 1_000;

/// Which cgroups this process is in: the text of `/proc/self/cgroup`.
#[derive(Debug)]
pub(super) struct Membership {
    root: PathBuf,
    now: KernelText,
    /// What everything has been opened by.
    known: String,
    next_look_ns: u64,
}

impl Membership {
    pub(super) fn read(root: &Path) -> Self {
        let mut now = KernelText::open(&root.join("proc/self/cgroup"));
        now.refresh();
        let known = now.text().to_owned();
        Self { root: root.to_owned(), now, known, next_look_ns: 0 }
    }

    /// Looks again, now and then, and says whether it is in another cgroup. `clock` reads a monotonic clock in
    /// nanoseconds.
    pub(super) fn has_changed(&mut self, clock: impl Fn() -> u64) -> bool {
        let begin_ns = clock();
        if begin_ns < self.next_look_ns {
            return false;
        }
        self.now.refresh();
        let took_ns = clock().saturating_sub(begin_ns);
        self.next_look_ns = begin_ns + nanos(LOOK_EVERY).max(took_ns.saturating_mul(LOOK_PART));
        // What cannot be read says nothing.
        let changed = !self.now.text().is_empty() && self.now.text() != self.known;
        if changed {
            self.now.text().clone_into(&mut self.known);
        }
        changed
    }

    /// Where the files of its cgroups are.
    pub(super) fn cgroups(&self) -> Cgroups<'_> {
        let mounts = fs::read(self.root.join("proc/self/mountinfo"));
        let mounts = mounts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Cgroups { root: &self.root, membership: &self.known, mounts }
    }
}

/// The cgroups of this process and the mounts that show them, as of one moment.
pub(super) struct Cgroups<'a> {
    pub(super) root: &'a Path,
    membership: &'a str,
    mounts: String,
}

impl Cgroups<'_> {
    pub(super) fn hierarchy(&self, controller: &str) -> Option<Hierarchy> {
        Hierarchy::find(controller, self.membership, &self.mounts)
    }

    pub(super) fn unified(&self) -> Option<Hierarchy> {
        Hierarchy::unified(self.membership, &self.mounts)
    }

    pub(super) fn memory(&self) -> MemoryController {
        MemoryController::open(self.root, self.hierarchy("memory"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn looking_is_rare_and_rarer_where_it_takes_long() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let file = root.path().join("proc/self/cgroup");
        fs::write(&file, "0::/a\n").unwrap();
        let mut membership = Membership::read(root.path());
        let at = |ns: u64| move || ns;
        assert!(!membership.has_changed(at(SECOND)), "it is still there");
        fs::write(&file, "0::/b\n").unwrap();
        assert!(!membership.has_changed(at(2 * SECOND - 1)), "too soon to look");
        // From one reading of the clock to the next 5 ms pass.
        let now_ns = Cell::new(2 * SECOND);
        assert!(membership.has_changed(|| now_ns.replace(now_ns.get() + 5_000_000)));
        fs::write(&file, "0::/c\n").unwrap();
        assert!(!membership.has_changed(at(7 * SECOND - 1)), "looking would take more than a thousandth");
        assert!(membership.has_changed(at(7 * SECOND)));
        fs::write(&file, "").unwrap();
        assert!(!membership.has_changed(at(9 * SECOND)), "what is not told is no news");
    }
}
