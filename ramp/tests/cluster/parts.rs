//! Components of the cluster: stopped, killed and restarted by tests.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::wait;

/// The cgroups of the nodes of the test cluster that are containers of this machine, and of no other that may be here: of a controller of
/// cgroup v1, or of cgroup v2 where its name is empty.
pub(crate) fn node_cgroups(controller: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(Path::new("/sys/fs/cgroup").join(controller)).into_iter().flatten().flatten();
    let nodes = found.filter(|entry| entry.file_name().to_string_lossy().starts_with("wlc-node-"));
    nodes.map(|entry| entry.path()).collect()
}

/// The process of a part: `apiserver`, `kubelet-1`.
pub(crate) struct Part {
    file: PathBuf,
    pid: String,
    /// Its command line, to start it again.
    words: Vec<String>,
}

impl Part {
    pub(crate) fn of(name: &str) -> Self {
        let file = Self::files().join(name);
        let pid = fs::read_to_string(&file).expect("the part runs").trim().to_owned();
        let line = fs::read(format!("/proc/{pid}/cmdline")).expect("the part runs");
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words = words.map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
        Self { file, pid, words }
    }

    /// All whose names begin so.
    pub(crate) fn all(prefix: &str) -> Vec<Self> {
        let names = fs::read_dir(Self::files()).unwrap().flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        names.filter(|name| name.starts_with(prefix)).map(|name| Self::of(&name)).collect()
    }

    fn files() -> PathBuf {
        let home = std::env::var_os("CLUSTER_HOME").expect("CLUSTER_HOME names the cluster's directory");
        PathBuf::from(home).join("pid")
    }

    pub(crate) fn name(&self) -> String {
        self.file.file_name().expect("it is named").to_string_lossy().into_owned()
    }

    /// Its directory in /proc.
    pub(crate) fn process(&self) -> PathBuf {
        Path::new("/proc").join(&self.pid)
    }

    /// Whether its process has ended. One that nobody has waited for has no command line any more: proc(5).
    pub(crate) fn has_ended(&self) -> bool {
        fs::read(self.process().join("cmdline")).map_or(true, |line| line.is_empty())
    }

    /// As it is without arguments that a test has given it.
    pub(crate) fn without(mut self, arguments: &[&str]) -> Self {
        let begin = self.words.len().saturating_sub(arguments.len());
        if self.words[begin..] == *arguments {
            self.words.truncate(begin);
        }
        self
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid]).status().unwrap().success());
    }

    /// Ends it, and waits until it has.
    pub(crate) fn end(&self) {
        self.signal("-TERM");
        wait("it to end", Duration::from_secs(30), || self.has_ended());
    }

    /// Starts it again, on its own as before.
    pub(crate) fn start_again(&mut self) {
        self.start_with(&[]);
    }

    /// The same with further arguments.
    #[allow(clippy::zombie_processes, reason = "it outlives the test")]
    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        let child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        self.pid = child.id().to_string();
        fs::write(&self.file, format!("{}\n", self.pid)).unwrap();
    }
}
