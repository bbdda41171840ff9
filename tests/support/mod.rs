//! Measuring a process from outside, by the kernel's own counters; used by tests and benches alike.
#![allow(dead_code, reason = "each test and bench uses a part of it")]

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde_json::Value;

/// The built program.
pub(crate) const WORKLOAD: &str = env!("CARGO_BIN_EXE_workload");

/// The program, without what the caller's environment may ask of it.
pub(crate) fn workload() -> Command {
    let mut command = Command::new(WORKLOAD);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WORKLOAD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Where the v1 hierarchies are mounted; on a pure v2 host there is one hierarchy at the same place.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A cgroup of our own, for as long as the value lives.
pub(crate) struct Cgroup {
    directories: Vec<PathBuf>,
    v2: bool,
}

impl Cgroup {
    /// Makes one in every hierarchy needed.
    pub(crate) fn new() -> io::Result<Self> {
        Self::with(&["cpu", "cpuacct", "memory"])
    }

    /// Makes one that has these CPUs alone.
    pub(crate) fn with_cpus(cpus: &str) -> io::Result<Self> {
        let cgroup = Self::with(&["cpu", "cpuacct", "cpuset"])?;
        if !cgroup.v2 {
            // Nothing can be put into one that has no memory nodes.
            fs::write(cgroup.file("cpuset", "cpuset.mems"), "0")?;
        }
        fs::write(cgroup.file("cpuset", "cpuset.cpus"), cpus)?;
        Ok(cgroup)
    }

    fn with(controllers: &[&str]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("workload-test-{}-{count}", std::process::id());
        let v2 = Path::new(CGROUPS).join("cgroup.controllers").exists();
        let hierarchies: &[&str] = if v2 { &[""] } else { controllers };
        let mut cgroup = Self { directories: Vec::new(), v2 };
        for hierarchy in hierarchies {
            let directory = Path::new(CGROUPS).join(hierarchy).join(&name);
            fs::create_dir(&directory)?;
            cgroup.directories.push(directory);
        }
        Ok(cgroup)
    }

    fn file(&self, hierarchy: &str, name: &str) -> PathBuf {
        let is_it =
            |d: &&PathBuf| self.v2 || d.parent().and_then(Path::file_name) == Some(OsStr::new(hierarchy));
        self.directories.iter().find(is_it).expect("made in new()").join(name)
    }

    /// CPU time that everything in it has used, exited processes included.
    pub(crate) fn cpu_time(&self) -> Duration {
        if self.v2 {
            let stat = fs::read_to_string(self.file("", "cpu.stat")).expect("our own cgroup");
            let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).expect("documented");
            return Duration::from_micros(usage.parse().expect("a number"));
        }
        let usage = fs::read_to_string(self.file("cpuacct", "cpuacct.usage")).expect("our own cgroup");
        Duration::from_nanos(usage.trim().parse().expect("a number"))
    }

    /// The processes in it.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let ids = fs::read_to_string(self.file("cpuacct", "cgroup.procs")).expect("our own cgroup");
        ids.lines().map(|id| Pid::from_raw(id.parse().expect("a number"))).collect()
    }

    /// Sets a quota in cores, or lifts it.
    pub(crate) fn set_quota(&self, cores: Option<f64>) {
        let quota = cores.map(|cores| format!("{:.0}", cores * 100_000.0));
        if self.v2 {
            let max = quota.unwrap_or_else(|| "max".into());
            fs::write(self.file("", "cpu.max"), format!("{max} 100000")).expect("our own cgroup");
        } else {
            let quota = quota.unwrap_or_else(|| "-1".into());
            fs::write(self.file("cpu", "cpu.cfs_quota_us"), quota).expect("our own cgroup");
        }
    }

    /// Sets a limit on memory in bytes.
    pub(crate) fn set_memory_limit(&self, bytes: u64) {
        let name = if self.v2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(self.file("memory", name), bytes.to_string()).expect("our own cgroup");
    }

    /// Lets processes wait for memory at the limit instead of being killed: v1 alone can.
    pub(crate) fn disable_oom_killer(&self) {
        fs::write(self.file("memory", "memory.oom_control"), "1").expect("our own cgroup");
    }

    /// Starts a command inside of it. What this thread uses of CPU time on the way is charged to the cgroup as
    /// well, and told, to be taken off. (On v2 the whole process moves, so one starts at a time.)
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Duration)> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock();
        let home = self.join()?;
        let before = thread_cpu_time();
        let child = command.spawn();
        let cost = thread_cpu_time() - before;
        for file in home {
            fs::write(file, self.own_id())?;
        }
        Ok((child?, cost))
    }

    /// What is written to move this thread, or on v2 this process.
    fn own_id(&self) -> String {
        if self.v2 { std::process::id().to_string() } else { nix::unistd::gettid().to_string() }
    }

    /// Moves this thread in; gives the files that move it back.
    fn join(&self) -> io::Result<Vec<PathBuf>> {
        let membership = fs::read_to_string("/proc/thread-self/cgroup")?;
        let mut home = Vec::new();
        for directory in &self.directories {
            let hierarchy =
                directory.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            let own = membership.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let (controllers, path) = (fields.next()?, fields.next()?);
                let found = if self.v2 {
                    controllers.is_empty()
                } else {
                    controllers.split(',').any(|c| c == hierarchy)
                };
                found.then(|| path.trim_start_matches('/').to_owned())
            });
            let root = directory.parent().expect("has one");
            let tasks = if self.v2 { "cgroup.procs" } else { "tasks" };
            home.push(root.join(own.unwrap_or_default()).join(tasks));
            fs::write(directory.join(tasks), self.own_id())?;
        }
        Ok(home)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // The last process may still be on its way out.
            for _ in 0..100 {
                if fs::remove_dir(directory).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has it").into()
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
