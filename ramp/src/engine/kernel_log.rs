//! Kernel log: the processes that the OOM killer has killed, read from `/dev/kmsg`.
//!
//! Sources: Documentation/ABI/testing/dev-kmsg; mm/oom_kill.c: `dump_oom_victim` (`oom-kill:…,task_memcg=…,pid=…`, left
//! out where there are many) and `__oom_kill_process` (`…: Killed process PID (NAME) …`, never left out).

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Kills remembered: each is asked for within seconds.
const REMEMBERED: usize = 4096;
/// A record is no longer: CONSOLE_EXT_LOG_MAX.
const RECORD_BYTES: usize = 8192;

/// The kernel log, from when it was opened.
#[derive(Debug)]
pub(crate) struct KernelLog {
    file: Option<File>,
    readable: bool,
    kills: VecDeque<Kill>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kill {
    pid: Option<i64>,
    cgroup: Option<String>,
}

impl KernelLog {
    /// Opens it at its end. Without permission it never tells anything.
    pub(crate) fn open() -> Self {
        let file = Self::at_its_end(Path::new("/dev/kmsg"));
        Self { readable: file.is_some(), file, kills: VecDeque::new() }
    }

    fn at_its_end(path: &Path) -> Option<File> {
        let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
        let mut file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        // Without permission the first read fails.
        let allowed = !matches!(file.read(&mut [0; RECORD_BYTES]), Err(error) if is_refusal(error.kind()));
        allowed.then_some(file)
    }

    /// Whether it can be read.
    pub(crate) fn is_open(&self) -> bool {
        self.readable
    }

    /// Reads new records, one a read.
    pub(crate) fn refresh(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        let mut record = [0; RECORD_BYTES];
        loop {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => self.take(&String::from_utf8_lossy(record.get(..length).unwrap_or_default())),
                // Records were overwritten before they were read: the next read goes on with the oldest there is.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
        }
        self.file = Some(file);
    }

    fn take(&mut self, record: &str) {
        let Some(kill) = Kill::of(record) else { return };
        if self.kills.len() == REMEMBERED {
            self.kills.pop_front();
        }
        self.kills.push_back(kill);
    }

    /// Whether a process in the cgroup of this container has been killed, or the process with this id. True once for each kill, which
    /// must not be taken for the end of a later process.
    pub(crate) fn has_killed(&mut self, container: &str, pid: Option<i64>) -> bool {
        let before = self.kills.len();
        self.kills.retain(|kill| {
            let cgroup = kill.cgroup.as_deref().unwrap_or_default();
            let there = !container.is_empty() && cgroup.contains(container);
            !there && (pid.is_none() || kill.pid != pid)
        });
        self.kills.len() < before
    }

    /// Whether this process has been killed; none where the log cannot be read.
    pub(crate) fn has_killed_process(&mut self, pid: u32) -> Option<bool> {
        self.refresh();
        self.readable.then(|| self.has_killed("", Some(pid.into())))
    }

    #[cfg(test)]
    pub(crate) fn of_lines(lines: &[&str]) -> Self {
        let mut log = Self { readable: true, ..Self::closed() };
        for line in lines {
            log.take(line);
        }
        log
    }

    /// One that never tells anything.
    pub(crate) fn closed() -> Self {
        Self { file: None, readable: false, kills: VecDeque::new() }
    }
}

impl Kill {
    fn of(record: &str) -> Option<Self> {
        // `priority,number,time,flags;text`.
        let (_, text) = record.split_once(';')?;
        let text = text.lines().next()?;
        if let Some(facts) = text.strip_prefix("oom-kill:") {
            let fact =
                |key: &str| facts.split(',').find_map(|fact| fact.strip_prefix(key)?.strip_prefix('='));
            let pid = fact("pid").and_then(|pid| pid.trim().parse().ok());
            return Some(Self { pid, cgroup: fact("task_memcg").map(str::to_owned) });
        }
        if !text.to_ascii_lowercase().contains("out of memory") {
            return None;
        }
        let pid = text.split_once("Killed process ")?.1.split_whitespace().next()?.parse().ok()?;
        Some(Self { pid: Some(pid), cgroup: None })
    }
}

fn is_refusal(kind: ErrorKind) -> bool {
    kind == ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_found_by_the_cgroup_and_where_that_is_left_out_by_the_process() {
        let mut log = KernelLog::of_lines(&[
            "6,339,5140900,-;NET: Registered PF_NETLINK",
            "4,2,9,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=libpod-aa,mems_allowed=0,\
             oom_memcg=/m/libpod-aa,task_memcg=/m/libpod-aa,task=workload,pid=30908,uid=65532\n SUBSYSTEM=x",
            "3,3,9,-;Memory cgroup out of memory: Killed process 32300 (workload) total-vm:31212kB",
            "3,4,9,-;Out of memory: Killed process 7 (sh) total-vm:1kB",
        ]);
        assert!(log.has_killed("aa", None) && !log.has_killed("bb", None) && !log.has_killed("", None));
        assert!(!log.has_killed("aa", Some(30908)), "said once");
        assert!(
            log.has_killed("bb", Some(32300))
                && log.has_killed("bb", Some(7))
                && !log.has_killed("bb", Some(8))
        );
    }

    #[test]
    fn what_is_no_kill_is_none_and_nothing_panics() {
        for line in
            ["", ";", "1,2,3,-;Killed process 7", "1,2,3,-;out of memory: Killed process x", "oom-kill:pid=1"]
        {
            assert_eq!(Kill::of(line), None, "{line}");
        }
        assert_eq!(Kill::of(";oom-kill:"), Some(Kill::default()));
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_closed_and_says_nothing() {
        assert!(KernelLog::at_its_end(Path::new("/nowhere/kmsg")).is_none());
        let mut log = KernelLog::closed();
        log.refresh();
        assert!(!log.is_open() && !log.has_killed("aa", Some(1)));
    }

    #[test]
    fn the_oldest_kills_are_forgotten() {
        let mut log = KernelLog::of_lines(&[]);
        for pid in 0..=REMEMBERED {
            log.take(&format!(";Out of memory: Killed process {pid} (x)"));
        }
        assert_eq!(log.kills.len(), REMEMBERED);
        assert!(!log.has_killed("", Some(0)) && log.has_killed("", Some(1)));
    }
}
