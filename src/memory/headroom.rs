//! Headroom below the memory limits: how much growth is allowed before a report has to be out.

use std::path::Path;
use std::time::Duration;

use super::report_gate::{Margin, ReportGate, STEP_PART};
use crate::clock::nanos;
use crate::host::{Limit, Machine, MemorySize, OwnMemory, Process};
use crate::quantity::Bytes;

/// The headroom is looked up this often; near a limit, before each chunk.
const LOOK_AHEAD: Duration = Duration::from_millis(100);
/// What has to be left below a limit that refuses instead of killing: 64 pages are what the kernel charges ahead.
const ROOM_FOR_REPORTS: u64 = 256 << 10;
/// Where an unseen limit may be near, a report comes for each percent of what can be had at all, but no more often than this.
const SMALLEST_STEP: u64 = 1 << 20;
/// On a large machine a percent may be more than the unseen limit: up to there steps are a part of what is held, of at
/// least these bytes.
const EARLY_STEP: (u64, u64) = (4, 16 << 20);

/// The host's memory, read through files of the memory load's own.
#[derive(Debug)]
pub struct HostMemory {
    pub(super) process: Process,
    memory: OwnMemory,
    machine: Machine,
}

impl HostMemory {
    /// Opens the files below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        Self {
            process: Process::open(root),
            // Half of the interval, so that each look-up includes it.
            memory: OwnMemory::find(root, LOOK_AHEAD / 2),
            machine: Machine::open(root),
        }
    }

    /// The margins below the effective limit, below a limit that may exist unseen, and in the machine's memory; `None`
    /// where there is none. `held` bytes have been added of the `target`; `clock` reads a monotonic clock in nanoseconds.
    fn margins(&mut self, held: u64, target: Option<Bytes>, clock: impl Fn() -> u64) -> [Option<Margin>; 3] {
        let (in_force, headroom) = self.memory.now(clock).limit_and_headroom();
        let limit = match in_force.limit {
            Limit::Value(limit) => Some(Margin { limit: limit.0, headroom: headroom.map(|bytes| bytes.0) }),
            Limit::Unlimited | Limit::Unknown => None,
        };
        let is_certain = in_force.is_certain;
        let machine = self.machine.memory();
        // The next page may hit it.
        let unseen = Margin { limit: unseen_limit(held, target, machine), headroom: None };
        let unseen = Some(unseen).filter(|_| !is_certain);
        let machine = machine.map(|machine| Margin {
            limit: machine.total.0,
            headroom: machine.available.map(|bytes| bytes.0),
        });
        [limit, unseen, machine]
    }
}

/// What stands for a limit that may exist unseen: all that will be held, as far as the machine has it.
fn unseen_limit(held: u64, target: Option<Bytes>, machine: Option<MemorySize>) -> u64 {
    let left = machine.map(|machine| machine.available.unwrap_or(machine.total));
    let most = left.map(|left| held.saturating_add(left.0));
    let whole = most.into_iter().chain(target.map(|target| target.0)).min().unwrap_or(held);
    let (part, least) = EARLY_STEP;
    let early = (held / part).max(least);
    (whole / STEP_PART).min(early).max(SMALLEST_STEP).saturating_mul(STEP_PART)
}

/// What may be added before the next look-up.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    bytes: u64,
    until_ns: u64,
}

/// How far growth may go.
#[derive(Debug)]
pub(super) struct Headroom {
    host: HostMemory,
    gate: ReportGate,
    allowance: Allowance,
    /// Bytes added and not given back.
    held: u64,
    /// The final resident set; `None` for as much as possible.
    target: Option<Bytes>,
}

impl Headroom {
    pub(super) fn new(host: HostMemory, target: Option<Bytes>) -> Self {
        Self { host, gate: ReportGate::default(), allowance: Allowance::default(), held: 0, target }
    }

    /// Another target from now on.
    pub(super) fn aim_at(&mut self, target: Option<Bytes>) {
        self.target = target;
    }

    pub(super) fn process(&self) -> &Process {
        &self.host.process
    }

    /// How many of `bytes` may be added at once, at least `grain`; `None` where a report has to be out first.
    /// `clock` reads a monotonic clock in nanoseconds.
    pub(super) fn allow(&mut self, bytes: usize, grain: usize, clock: impl Fn() -> u64) -> Option<usize> {
        let now_ns = clock();
        if self.allowance.bytes < bytes as u64 || now_ns >= self.allowance.until_ns {
            let bytes = self.gate.allowance(&self.host.margins(self.held, self.target, clock));
            self.allowance = Allowance { bytes, until_ns: now_ns + nanos(LOOK_AHEAD) };
        }
        if self.allowance.bytes == 0 {
            return None;
        }
        let free = usize::try_from(self.allowance.bytes).unwrap_or(usize::MAX);
        // Half of it at once, as others may use it as well; but never less than `grain`.
        let most = (free / 2).next_multiple_of(grain).max(grain);
        Some(bytes.min(most))
    }

    /// Whether the process was found in another cgroup since this was last asked.
    pub(super) fn take_moved(&mut self) -> bool {
        self.host.memory.take_moved()
    }

    /// Counts bytes added.
    pub(super) fn added(&mut self, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
        self.gate.added(bytes);
        self.allowance.bytes = self.allowance.bytes.saturating_sub(bytes);
    }

    /// Counts bytes freed.
    pub(super) fn gave_back(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// A report is out.
    pub(super) fn reported(&mut self) {
        self.gate.reported();
    }

    /// Bytes to free so that reports can be written: the buffer of a pipe is charged to the cgroup as well.
    pub(super) fn shortage_for_reports(&mut self, clock: impl Fn() -> u64) -> u64 {
        let headroom = self
            .host
            .margins(self.held, self.target, clock)
            .into_iter()
            .flatten()
            .filter_map(|margin| margin.headroom)
            .min();
        headroom.map_or(0, |headroom| ROOM_FOR_REPORTS.saturating_sub(headroom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    /// A machine of 1000 MiB, of which `available` is, and a limit of 500 MiB with `left` below it.
    fn headroom(available: u64, left: u64) -> (tempfile::TempDir, Headroom) {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: String| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup", "0::/pod\n".into());
        write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".into());
        write("sys/fs/cgroup/pod/memory.max", format!("{}\n", 500 * MIB));
        write("sys/fs/cgroup/pod/memory.current", format!("{}\n", 500 * MIB - left));
        write(
            "proc/meminfo",
            format!("MemTotal: {} kB\nMemAvailable: {} kB\n", 1000 * 1024, available / 1024),
        );
        let headroom = Headroom::new(HostMemory::open(root.path()), None);
        (root, headroom)
    }

    fn allowed(available: u64, left: u64) -> Option<usize> {
        headroom(available, left).1.allow(400 << 20, 4096, || 1)
    }

    #[test]
    fn growth_goes_on_by_percents_near_the_limit_or_near_the_end_of_the_machine() {
        // Half of what is free at once.
        assert_eq!(allowed(900 * MIB, 450 * MIB), Some(200 << 20), "far from both");
        assert_eq!(allowed(900 * MIB, 40 * MIB), Some(5 << 19), "a percent of the limit");
        assert_eq!(allowed(90 * MIB, 450 * MIB), Some(5 << 20), "a percent of the machine");
    }

    #[test]
    fn a_report_comes_first_when_a_percent_has_been_added() {
        let (_root, mut headroom) = headroom(90 * MIB, 450 * MIB);
        let mut added = 0;
        while let Some(bytes) = headroom.allow(1 << 20, 4096, || 1) {
            headroom.added(bytes as u64);
            added += bytes as u64;
        }
        assert_eq!(added, 10 * MIB);
        headroom.reported();
        assert!(headroom.allow(1 << 20, 4096, || 1).is_some());
    }

    #[test]
    fn what_reports_need_is_given_back() {
        assert_eq!(headroom(900 * MIB, MIB).1.shortage_for_reports(|| 1), 0);
        assert_eq!(headroom(900 * MIB, 100 << 10).1.shortage_for_reports(|| 1), 156 << 10);
    }

    #[test]
    fn after_a_move_it_is_the_new_limit_that_counts() {
        let (root, mut headroom) = headroom(900 * MIB, 450 * MIB);
        let other = root.path().join("sys/fs/cgroup/other");
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("memory.max"), format!("{}\n", 100 * MIB)).unwrap();
        fs::write(other.join("memory.current"), format!("{}\n", 95 * MIB)).unwrap();
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), Some(200 << 20));
        fs::write(root.path().join("proc/self/cgroup"), "0::/other\n").unwrap();
        let soon_ns = nanos(LOOK_AHEAD) + 1;
        assert_eq!(headroom.allow(400 << 20, 4096, || soon_ns), Some(1 << 19), "half of a percent at once");
        assert_eq!((headroom.take_moved(), headroom.take_moved()), (true, false));
    }

    /// How often growth to `until` waits for a report where no cgroup can be seen, on a machine with these bytes left; and
    /// the largest part of what was held then that went unreported.
    fn unseen(target: Option<u64>, left: u64, until: u64) -> (u32, f64) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        let mut headroom = Headroom::new(HostMemory::open(root.path()), target.map(Bytes));
        let (mut reports, mut reported_at, mut most) = (0, 0, 0.0_f64);
        let mut now_ns = 0;
        while headroom.held < until {
            now_ns += nanos(LOOK_AHEAD);
            let available = left.saturating_sub(headroom.held) / 1024;
            let meminfo = format!("MemTotal: {} kB\nMemAvailable: {available} kB\n", 2 * left / 1024);
            fs::write(root.path().join("proc/meminfo"), meminfo).unwrap();
            match headroom.allow(1 << 20, 4096, || now_ns) {
                Some(bytes) => headroom.added(bytes as u64),
                None => {
                    headroom.reported();
                    (reports, reported_at) = (reports + 1, headroom.held);
                }
            }
            if headroom.held > 200 * MIB {
                most = most.max((headroom.held - reported_at) as f64 / headroom.held as f64);
            }
            // Opened anew each time, as a file is kept open from the start where it exists.
            headroom.host.machine = Machine::open(root.path());
        }
        (reports, most)
    }

    #[test]
    fn where_no_limit_can_be_seen_each_percent_of_the_target_is_reported() {
        let (reports, most) = unseen(Some(600 * MIB), 8 << 30, 600 * MIB);
        assert!((99..=101).contains(&reports), "{reports}");
        assert!(most <= 0.03, "{most}");
    }

    #[test]
    fn without_a_target_each_percent_of_what_the_machine_has_left_is_reported() {
        let (reports, _) = unseen(None, 1000 * MIB, 900 * MIB);
        assert!((89..=92).contains(&reports), "{reports}");
    }

    #[test]
    fn a_target_beyond_the_machine_is_no_reason_to_report_less() {
        let (reports, _) = unseen(Some(1 << 50), 1000 * MIB, 900 * MIB);
        assert!((89..=92).contains(&reports), "{reports}");
    }

    #[test]
    fn small_loads_report_no_more_often_than_each_megabyte() {
        let (reports, _) = unseen(Some(5 * MIB), 8 << 30, 5 * MIB);
        assert!(reports <= 5, "{reports}");
    }

    #[test]
    fn on_a_large_machine_a_small_unseen_limit_is_met_with_a_report_out() {
        let (reports, most) = unseen(None, 256 << 30, 4 << 30);
        assert!(most <= 0.26, "{most}");
        assert!(reports <= 40, "{reports}");
    }

    #[test]
    fn where_not_even_the_machine_is_told_every_megabyte_or_percent_of_what_is_held_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let mut headroom = Headroom::new(HostMemory::open(root.path()), None);
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), Some(1 << 19));
        headroom.added(MIB);
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), None);
        headroom.added(799 * MIB);
        headroom.reported();
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), Some(4 << 20));
        headroom.gave_back(750 * MIB);
        let soon_ns = nanos(LOOK_AHEAD) + 1;
        assert_eq!(headroom.allow(400 << 20, 4096, || soon_ns), Some(1 << 19));
    }

    #[test]
    fn a_limit_above_a_cgroup_namespace_may_be_near() {
        let (root, _) = headroom(900 * MIB, 450 * MIB);
        assert_eq!(allowed(900 * MIB, 450 * MIB), Some(200 << 20));
        // No root of a hierarchy has this file.
        fs::write(root.path().join("sys/fs/cgroup/memory.max"), "max\n").unwrap();
        let mut headroom = Headroom::new(HostMemory::open(root.path()), Some(Bytes(400 * MIB)));
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), Some(2 << 20), "half of a percent of the target");
    }

    #[test]
    fn a_limit_that_is_not_certain_may_be_near() {
        let (root, _) = headroom(900 * MIB, 450 * MIB);
        // A link to itself cannot be opened and is there all the same.
        let parent = root.path().join("sys/fs/cgroup/memory.max");
        std::os::unix::fs::symlink("memory.max", parent).unwrap();
        let mut headroom = Headroom::new(HostMemory::open(root.path()), Some(Bytes(400 * MIB)));
        assert_eq!(headroom.allow(400 << 20, 4096, || 1), Some(2 << 20));
    }
}
