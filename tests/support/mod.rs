//! Measuring a process from outside, by the kernel's own counters; used by tests and benches alike.
#![allow(dead_code, reason = "each test and bench uses a part of it")]

pub(crate) mod cgroup;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The built program.
pub(crate) const WORKLOAD: &str = env!("CARGO_BIN_EXE_workload");

/// The image of this version, where it was built.
pub(crate) const IMAGE: &str = concat!("localhost/workload:", env!("CARGO_PKG_VERSION"));

/// The program, without what the caller's environment may ask of it.
pub(crate) fn workload() -> Command {
    without_settings(WORKLOAD.as_ref())
}

/// A program, without what the caller's environment may ask of `workload`.
pub(crate) fn without_settings(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WORKLOAD_") {
            command.env_remove(name);
        }
    }
    command
}

/// How many threads of a process have this name.
pub(crate) fn threads(process: u32, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let names = tasks.map(|task| fs::read_to_string(task.expect("it runs").path().join("comm")));
    names.filter(|found| found.as_ref().is_ok_and(|found| found.trim() == name)).count()
}

/// The records that a program writes as JSON, a line each.
pub(crate) struct Records(Lines<BufReader<ChildStdout>>);

impl Records {
    /// Of a process whose standard output is a pipe.
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().expect("a pipe")).lines())
    }

    pub(crate) fn next(&mut self) -> Option<Value> {
        let line = self.0.next()?.expect("UTF-8");
        Some(serde_json::from_str(&line).expect("every line is whole"))
    }

    /// The first record of which `condition` is true; panics where it takes longer, or it ended before.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let begin = Instant::now();
        while let Some(record) = self.next() {
            if condition(&record) {
                return record;
            }
            assert!(begin.elapsed() < limit, "no {what} yet: {record}");
        }
        panic!("it ended before {what}");
    }

    /// Reads to the end: the last record.
    pub(crate) fn last(&mut self) -> Value {
        let mut last = Value::Null;
        while let Some(record) = self.next() {
            last = record;
        }
        last
    }
}

/// A field of a record that has to be a number.
pub(crate) fn number(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_else(|| panic!("{field} is a number in {record}"))
}

/// A running process that does not outlive the value.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) started: Instant,
}

/// Starts a command; the time is from before the fork.
pub(crate) fn started(command: &mut Command) -> io::Result<Running> {
    let started = Instant::now();
    Ok(Running { child: command.spawn()?, started })
}

impl Running {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are positive"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Gone already is as good.
        let _ = kill(self.pid(), signal);
    }

    /// Its descendants.
    pub(crate) fn children(&self) -> Vec<u32> {
        family(self.child.id()).split_off(1)
    }

    /// Resident set of it and its children, in bytes: peers do their work in children.
    pub(crate) fn resident(&self) -> u64 {
        family(self.child.id()).into_iter().filter_map(|pid| rollup(pid, "Rss")).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in family(self.child.id()) {
            if let Ok(pid) = i32::try_from(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// A process and its descendants.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut index = 0;
    while let Some(parent) = all.get(index).copied() {
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        index += 1;
    }
    all
}

/// A figure of `smaps_rollup` in bytes.
pub(crate) fn rollup(pid: u32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Looks again and again until `condition` gives something; panics with `what` when it takes too long.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
