//! Budget watch: enforcement of the budget by ramp itself, without permission to create cgroups.

use std::fs;
use std::path::Path;
use std::time::Duration;

use workload::quantity::Bytes;

/// How often the resident sets are added up.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(100);

/// The process of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BudgetWatch {
    /// Ordinal of the instance: the larger, the newer.
    pub(super) ordinal: u32,
    /// Its resident set; none where it cannot be read, as when it has just exited.
    pub(super) resident: Option<Bytes>,
    /// It has been told to end: its memory is about to be freed.
    pub(super) is_ending: bool,
}

/// The instance to evict: the newest, where those that are to stay exceed the budget together. One at a time: by the next look its
/// memory is about to be freed.
pub(super) fn to_evict(budget: Bytes, all: &[BudgetWatch]) -> Option<u32> {
    let staying = || all.iter().filter(|instance| !instance.is_ending);
    (used(staying()) > budget).then(|| staying().map(|instance| instance.ordinal).max())?
}

/// Memory of these instances together.
pub(super) fn used<'a>(all: impl IntoIterator<Item = &'a BudgetWatch>) -> Bytes {
    let resident = all.into_iter().filter_map(|instance| instance.resident);
    Bytes(resident.fold(0, |sum, bytes| sum.saturating_add(bytes.0)))
}

/// The resident set of a process: the second number of `/proc/PID/statm`, in pages (proc_pid_statm(5)). Shared pages
/// count in each process. Before Linux 6.2 it may lack about 256 KiB a thread.
pub(super) fn resident(proc: &Path, pid: u32, page_bytes: u64) -> Option<Bytes> {
    let text = fs::read_to_string(proc.join(pid.to_string()).join("statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(page_bytes).map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(ordinal: u32, resident: u64, is_ending: bool) -> BudgetWatch {
        BudgetWatch { ordinal, resident: Some(Bytes(resident)), is_ending }
    }

    #[test]
    fn above_the_budget_the_newest_that_is_to_stay_is_ended() {
        let all = [instance(1, 40, false), instance(3, 40, false), instance(2, 21, false)];
        assert_eq!(to_evict(Bytes(100), &all), Some(3));
        assert_eq!(to_evict(Bytes(101), &all), None, "exactly the budget is allowed");
    }

    #[test]
    fn memory_on_its_way_back_ends_nobody_else() {
        let all = [instance(1, 60, false), instance(2, 60, true)];
        assert_eq!(to_evict(Bytes(100), &all), None);
        assert_eq!(used(&all), Bytes(120));
    }

    #[test]
    fn nobody_is_there_to_be_ended_without_instances() {
        assert_eq!(to_evict(Bytes(0), &[]), None);
        let gone = BudgetWatch { resident: None, ..instance(1, 0, false) };
        assert_eq!(to_evict(Bytes(0), &[gone]), None);
    }

    #[test]
    fn the_resident_set_is_the_second_number_of_statm() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("7")).unwrap();
        let statm = proc.path().join("7/statm");
        fs::write(&statm, "3000 500 375 200 0 800 0\n").unwrap();
        assert_eq!(resident(proc.path(), 7, 4096), Some(Bytes(500 * 4096)));
        for text in ["", "3000", "3000 x", "1 18446744073709551615"] {
            fs::write(&statm, text).unwrap();
            assert_eq!(resident(proc.path(), 7, 4096), None, "{text:?}");
        }
        assert_eq!(resident(proc.path(), 8, 4096), None);
    }
}
