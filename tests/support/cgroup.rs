//! Cgroups created for tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Where the v1 hierarchies are mounted; on a pure v2 host there is one hierarchy at the same place.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A cgroup of our own, for as long as the value lives.
pub(crate) struct Cgroup {
    directories: Vec<Directory>,
    v2: bool,
}

/// Its directory in one hierarchy.
struct Directory {
    /// The name of the hierarchy, of which v2 has none.
    hierarchy: &'static str,
    path: PathBuf,
}

impl Cgroup {
    /// Makes one in every hierarchy needed.
    pub(crate) fn new() -> io::Result<Self> {
        Self::with(&["cpu", "cpuacct", "memory"])
    }

    /// Makes one that has these CPUs alone.
    pub(crate) fn with_cpus(cpus: &str) -> io::Result<Self> {
        let cgroup = Self::with(&["cpu", "cpuacct", "cpuset", "pids"])?;
        if !cgroup.v2 {
            // Nothing can be put into one that has no memory nodes.
            fs::write(cgroup.file("cpuset", "cpuset.mems"), "0")?;
        }
        cgroup.set_cpus(cpus);
        Ok(cgroup)
    }

    fn with(controllers: &[&'static str]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("workload-test-{}-{count}", std::process::id());
        let v2 = Path::new(CGROUPS).join("cgroup.controllers").exists();
        let hierarchies: &[&'static str] = if v2 { &[""] } else { controllers };
        let paths = hierarchies
            .iter()
            .map(|hierarchy| Directory { hierarchy, path: Path::new(CGROUPS).join(hierarchy).join(&name) });
        Self::make(paths, v2)
    }

    /// Makes one inside of this one. (v1 alone: on v2 the controllers would have to be handed down.)
    pub(crate) fn nested(&self) -> io::Result<Self> {
        let inside = |around: &Directory| Directory {
            hierarchy: around.hierarchy,
            path: around.path.join("workload-test-inner"),
        };
        Self::make(self.directories.iter().map(inside), self.v2)
    }

    fn make(paths: impl Iterator<Item = Directory>, v2: bool) -> io::Result<Self> {
        let mut cgroup = Self { directories: Vec::new(), v2 };
        for directory in paths {
            fs::create_dir(&directory.path)?;
            cgroup.directories.push(directory);
        }
        Ok(cgroup)
    }

    fn file(&self, hierarchy: &str, name: &str) -> PathBuf {
        let is_it = |d: &&Directory| self.v2 || d.hierarchy == hierarchy;
        self.directories.iter().find(is_it).expect("made in new()").path.join(name)
    }

    /// Lets it have other CPUs.
    pub(crate) fn set_cpus(&self, cpus: &str) {
        fs::write(self.file("cpuset", "cpuset.cpus"), cpus).expect("our own cgroup");
    }

    /// Lets no further threads be started.
    pub(crate) fn refuse_threads(&self) {
        self.set_thread_limit(0);
    }

    /// Lets it have so many threads at once.
    pub(crate) fn set_thread_limit(&self, threads: u64) {
        fs::write(self.file("pids", "pids.max"), threads.to_string()).expect("our own cgroup");
    }

    /// Starts a command that moves in by itself, before it is executed: no other thread is ever in it.
    pub(crate) fn enter(&self, command: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "for file in $FILES; do echo $$ > $file; done; exec \"$@\"", "sh"]).args(command);
        let files = self.directories.iter().map(|directory| directory.path.join("cgroup.procs"));
        let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
        shell.env("FILES", files.join(" "));
        shell
    }

    /// Lets them.
    pub(crate) fn allow_threads(&self) {
        fs::write(self.file("pids", "pids.max"), "max").expect("our own cgroup");
    }

    /// Moves a process in.
    pub(crate) fn take_in(&self, process: u32) {
        for directory in &self.directories {
            fs::write(directory.path.join("cgroup.procs"), process.to_string()).expect("our own cgroup");
        }
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
        for Directory { hierarchy, path } in &self.directories {
            let own = membership.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let (controllers, path) = (fields.next()?, fields.next()?);
                let found = if self.v2 {
                    controllers.is_empty()
                } else {
                    controllers.split(',').any(|c| c == *hierarchy)
                };
                found.then(|| path.trim_start_matches('/').to_owned())
            });
            let root = Path::new(CGROUPS).join(hierarchy);
            let tasks = if self.v2 { "cgroup.procs" } else { "tasks" };
            home.push(root.join(own.unwrap_or_default()).join(tasks));
            fs::write(path.join(tasks), self.own_id())?;
        }
        Ok(home)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // The last process may still be on its way out.
            for _ in 0..100 {
                if fs::remove_dir(&directory.path).is_ok() {
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
