//! Cgroup membership of this process, and its changes.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::Hierarchy;
use super::file::KernelText;
use super::memory::MemoryController;
use crate::clock::nanos;

/// Reading it may take this part of the time at most: before Linux 6.7 it waits for the creation and removal of cgroups
/// (`cgroup_mutex` in the kernel's `proc_cgroup_show`).
const LOOK_PART: u64 = 1_000;
/// But it is read at least this often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Which cgroups this process is in: the text of `/proc/self/cgroup`.
#[derive(Debug)]
pub(super) struct Membership {
    root: PathBuf,
    now: KernelText,
    /// The membership that all files were opened by.
    known: String,
    every: Duration,
    next_look_ns: u64,
    /// How long the last read took.
    took_ns: u64,
}

impl Membership {
    /// Reads it for the first time, and later no more often than `every`.
    pub(super) fn read(root: &Path, every: Duration) -> Self {
        let mut now = KernelText::open(&root.join("proc/self/cgroup"));
        now.refresh();
        let known = now.text().to_owned();
        Self { root: root.to_owned(), now, known, every, next_look_ns: 0, took_ns: 0 }
    }

    /// Where the files of its cgroups are now.
    pub(super) fn cgroups(&self) -> Cgroups {
        let mounts = fs::read(self.root.join("proc/self/mountinfo"));
        let mounts = mounts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Cgroups { root: self.root.clone(), membership: self.now.text().to_owned(), mounts }
    }

    /// Reads it again when due: the cgroups where they have changed. `clock` reads a monotonic clock in nanoseconds.
    pub(super) fn changes(&mut self, clock: impl Fn() -> u64) -> Option<Cgroups> {
        let begin_ns = clock();
        if begin_ns < self.next_look_ns {
            return None;
        }
        self.now.refresh();
        let took_ns = clock().saturating_sub(begin_ns);
        // A single slow read may have been preempted or throttled; two are slow.
        let cost_ns = mem::replace(&mut self.took_ns, took_ns).min(took_ns);
        let pause_ns = cost_ns.saturating_mul(LOOK_PART).min(nanos(LOOK_AT_LEAST_EVERY));
        self.next_look_ns = begin_ns.saturating_add(pause_ns.max(nanos(self.every)));
        // An unreadable file is no change.
        let has_changed = !self.now.text().is_empty() && self.now.text() != self.known;
        has_changed.then(|| self.cgroups())
    }

    /// Makes the next read due at once.
    pub(super) fn look_soon(&mut self) {
        self.next_look_ns = 0;
    }

    /// To be called when all files of the new cgroups have been opened: whether they could be. Without free descriptors
    /// some may be missing, and the next read gives the same change again.
    pub(super) fn settle(&mut self) -> bool {
        let could_open = match File::open(self.root.join("proc/self/mountinfo")) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if could_open {
            self.now.text().clone_into(&mut self.known);
        }
        could_open
    }
}

/// The cgroups of this process and the mounts that show them, as of one moment.
pub(super) struct Cgroups {
    pub(super) root: PathBuf,
    membership: String,
    mounts: String,
}

impl Cgroups {
    pub(super) fn hierarchy(&self, controller: &str) -> Option<Hierarchy> {
        Hierarchy::find(controller, &self.membership, &self.mounts)
    }

    pub(super) fn unified(&self) -> Option<Hierarchy> {
        Hierarchy::unified(&self.membership, &self.mounts)
    }
}

/// The memory controller alone, wherever the process is.
#[derive(Debug)]
pub struct OwnMemory {
    membership: Membership,
    place: Option<Hierarchy>,
    controller: MemoryController,
    has_moved: bool,
}

impl OwnMemory {
    /// Finds it below `root`, and looks for it again no more often than `every`.
    #[must_use]
    pub fn find(root: &Path, every: Duration) -> Self {
        let membership = Membership::read(root, every);
        let place = membership.cgroups().hierarchy("memory");
        let controller = MemoryController::open(root, place.clone());
        Self { membership, place, controller, has_moved: false }
    }

    /// Whether it has been moved since this was last asked.
    pub fn take_moved(&mut self) -> bool {
        mem::take(&mut self.has_moved)
    }

    /// The controller as it is now. `clock` reads a monotonic clock in nanoseconds.
    pub fn now(&mut self, clock: impl Fn() -> u64) -> &MemoryController {
        self.controller.refresh(clock());
        if let Some(cgroups) = self.membership.changes(clock) {
            let place = cgroups.hierarchy("memory");
            let controller = MemoryController::open(&cgroups.root, place.clone());
            if self.membership.settle() && place != self.place {
                (self.place, self.controller) = (place, controller);
                self.has_moved = true;
            }
        }
        &self.controller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SECOND: u64 = 1_000_000_000;

    /// In a cgroup, and the file that says so.
    fn membership() -> (tempfile::TempDir, PathBuf, Membership) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let file = root.path().join("proc/self/cgroup");
        fs::write(&file, "0::/a\n").unwrap();
        let membership = Membership::read(root.path(), Duration::from_millis(500));
        (root, file, membership)
    }

    impl Membership {
        fn has_changed(&mut self, clock: impl Fn() -> u64) -> bool {
            self.changes(clock).is_some() && self.settle()
        }
    }

    #[test]
    fn looking_is_rare_and_rarer_where_it_takes_long() {
        let (_root, file, mut membership) = membership();
        let at = |ns: u64| move || ns;
        assert!(!membership.has_changed(at(SECOND)), "it is still there");
        fs::write(&file, "0::/b\n").unwrap();
        assert!(!membership.has_changed(at(3 * SECOND / 2 - 1)), "too soon to look");
        // From one reading of the clock to the next 5 ms pass.
        let slow_clock = |now_ns| {
            let now_ns = Cell::new(now_ns);
            move || now_ns.replace(now_ns.get() + 5_000_000)
        };
        assert!(membership.has_changed(slow_clock(2 * SECOND)));
        fs::write(&file, "0::/c\n").unwrap();
        assert!(membership.has_changed(slow_clock(3 * SECOND)), "one that took long says nothing");
        fs::write(&file, "0::/d\n").unwrap();
        assert!(!membership.has_changed(at(8 * SECOND - 1)), "looking would take more than a thousandth");
        assert!(membership.has_changed(at(8 * SECOND)));
        fs::write(&file, "").unwrap();
        assert!(!membership.has_changed(at(20 * SECOND)), "what is not told is no news");
    }

    #[test]
    fn looks_at_every_second_are_not_left_out_where_one_comes_early() {
        let (_root, file, mut membership) = membership();
        let mut now_ns = 10 * SECOND;
        for place in 0..10 {
            // Each a little earlier in its second than the one before.
            now_ns += SECOND - 50_000;
            fs::write(&file, format!("0::/{place}\n")).unwrap();
            assert!(membership.has_changed(|| now_ns), "{place}");
        }
    }

    #[test]
    fn news_that_could_not_be_followed_comes_again() {
        let (root, file, mut membership) = membership();
        // A link to itself cannot be opened and is there all the same.
        let mounts = root.path().join("proc/self/mountinfo");
        std::os::unix::fs::symlink(&mounts, &mounts).unwrap();
        fs::write(&file, "0::/b\n").unwrap();
        assert!(membership.changes(|| SECOND).is_some());
        assert!(!membership.settle());
        fs::remove_file(&mounts).unwrap();
        assert!(membership.has_changed(|| 2 * SECOND));
        assert!(!membership.has_changed(|| 3 * SECOND));
    }
}
