//! Identity of the process of a run: whether it still runs, as far as that can be seen from this machine.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A process, as written in an annotation:
/// `pid=7 start=8812 host=build-1 boot=UUID namespace=pid:[4026531836]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId {
    /// Its process ID, in its own PID namespace.
    pub(crate) pid: u32,
    /// Its host.
    pub(crate) host: String,
    /// When it was started, in clock ticks since the boot: process IDs are used again.
    start: u64,
    boot: String,
    /// The PID namespace: containers may share the host's name.
    namespace: String,
}

/// Whether a process still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Running,
    Ended,
    /// It is of another machine, or another container.
    Unknown,
}

impl ProcessId {
    /// This process; none where /proc does not tell.
    pub(crate) fn own() -> Option<Self> {
        let proc = Path::new("/proc");
        let pid = std::process::id();
        Some(Self {
            pid,
            start: start(proc, pid)?,
            host: host(proc)?,
            boot: boot(proc)?,
            namespace: namespace(proc)?,
        })
    }

    /// Whether it still runs, by this machine's `/proc`.
    pub(crate) fn liveness(&self, proc: &Path) -> Liveness {
        let is_here =
            [(host(proc), &self.host), (boot(proc), &self.boot), (namespace(proc), &self.namespace)];
        if is_here.iter().any(|(here, its)| here.as_ref() != Some(*its)) {
            return Liveness::Unknown;
        }
        if start(proc, self.pid) == Some(self.start) { Liveness::Running } else { Liveness::Ended }
    }
}

fn host(proc: &Path) -> Option<String> {
    let name = fs::read_to_string(proc.join("sys/kernel/hostname")).ok()?;
    // The parts are separated by spaces.
    Some(name.trim().replace(' ', "_")).filter(|name| !name.is_empty())
}

fn boot(proc: &Path) -> Option<String> {
    Some(fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok()?.trim().to_owned())
}

fn namespace(proc: &Path) -> Option<String> {
    Some(fs::read_link(proc.join("self/ns/pid")).ok()?.to_str()?.to_owned())
}

/// `starttime`, field 22 (proc(5)), counted behind the name, which may have spaces.
fn start(proc: &Path, pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, start, boot, namespace } = self;
        write!(f, "pid={pid} start={start} host={host} boot={boot} namespace={namespace}")
    }
}

impl FromStr for ProcessId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let value = |key: &str| {
            let mut pairs = text.split(' ').filter_map(|part| part.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).ok_or(())
        };
        Ok(Self {
            pid: value("pid")?.parse().map_err(drop)?,
            start: value("start")?.parse().map_err(drop)?,
            host: value("host")?,
            boot: value("boot")?,
            namespace: value("namespace")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_only_on_its_own_machine() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/kernel/hostname", "build-1\n");
        write("sys/kernel/random/boot_id", "b1\n");
        write("7/stat", "7 (a ramp) S 1 7 7 0 -1 4194304 1 0 0 0 5 4 0 0 20 0 3 0 8812 1000 20\n");
        fs::create_dir_all(root.path().join("self/ns")).unwrap();
        std::os::unix::fs::symlink("pid:[1]", root.path().join("self/ns/pid")).unwrap();
        let process: ProcessId = "pid=7 start=8812 host=build-1 boot=b1 namespace=pid:[1]".parse().unwrap();
        assert_eq!(process.to_string().parse(), Ok(process.clone()));
        let liveness = |text: &str| {
            format!("{text} namespace=pid:[1]").parse::<ProcessId>().unwrap().liveness(root.path())
        };
        assert_eq!(process.liveness(root.path()), Liveness::Running);
        assert_eq!(liveness("pid=7 start=9 host=build-1 boot=b1"), Liveness::Ended, "another of that ID");
        assert_eq!(liveness("pid=8 start=8812 host=build-1 boot=b1"), Liveness::Ended);
        assert_eq!(liveness("pid=7 start=8812 host=pod-1 boot=b1"), Liveness::Unknown);
        assert_eq!(
            liveness("pid=7 start=8812 host=build-1 boot=b2"),
            Liveness::Unknown,
            "or it has rebooted"
        );
        assert_eq!("7".parse::<ProcessId>(), Err(()));
    }

    #[test]
    fn this_process_runs() {
        assert_eq!(ProcessId::own().unwrap().liveness(Path::new("/proc")), Liveness::Running);
    }
}
