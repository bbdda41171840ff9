//! A run of the program `ramp`, with or without a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::rows;
use crate::support::transitions::audit;

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) const MANIFEST: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "session"}, "spec": {"template":
    {"spec": {"containers": [{"name": "workload", "image": "localhost/workload:0.1.0", "args":
    ["--memory=5M", "--growth-rate=instant", "--format=json", "--report-every=1s"]}]}}}}"#;

fn said(command: &mut Command) -> String {
    let output = command.stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

pub(crate) enum Engine {
    Local,
    /// The socket.
    Podman(PathBuf),
}

impl Engine {
    fn options(&self) -> Vec<String> {
        match self {
            Self::Local => ["--engine", "local", "--budget", "200M"].map(str::to_owned).into(),
            Self::Podman(socket) => {
                ["--engine", "podman", "--socket", socket.to_str().unwrap()].map(str::to_owned).into()
            }
        }
    }

    /// What exists of a run, by others than ramp.
    pub(crate) fn left(&self, run: &str) -> Vec<String> {
        match self {
            Self::Local => {
                let mut find = Command::new("find");
                find.args(["/sys/fs/cgroup", "-type", "d", "-name"]).arg(format!("ramp-{run}"));
                lines(&said(&mut find))
            }
            Self::Podman(_) => {
                let mut list = Command::new("podman");
                list.args(["ps", "--all", "--format", "{{.Names}} {{.Status}}", "--filter"]);
                lines(&said(list.arg(format!("label={}={run}", ramp::engine::RUN_LABEL))))
            }
        }
    }

    /// `ramp clean` of a run by its ID: its exit status and what it said.
    pub(crate) fn clean(&self, run: &str) -> (Option<i32>, String) {
        let mut command = Command::new(RAMP);
        match self {
            Self::Local => command.args(["clean", "--engine", "local", run]),
            Self::Podman(socket) => {
                command.args(["clean", "--engine", "podman", "--socket"]).arg(socket).arg(run)
            }
        };
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Cgroups in which runs try whether they can make any.
    pub(crate) fn trials(&self) -> Vec<String> {
        match self {
            Self::Local => {
                let mut find = Command::new("find");
                lines(&said(find.args(["/sys/fs/cgroup", "-type", "d", "-name", "ramp-*.trial"])))
            }
            Self::Podman(_) => Vec::new(),
        }
    }

    /// Those of a run that was killed before it had a directory can be removed.
    pub(crate) fn clean_trials(&self, before: &[String]) {
        for trial in self.trials().iter().filter(|trial| !before.contains(trial)) {
            // One run may have tried in several hierarchies, and is cleaned once.
            if !Path::new(trial).exists() {
                continue;
            }
            let name = Path::new(trial).file_name().unwrap().to_str().unwrap();
            let output = Command::new(RAMP)
                .args(["clean", "--engine", "local", &name["ramp-".len()..]])
                .output()
                .unwrap();
            assert!(output.status.success() && !Path::new(trial).exists(), "{trial}: {output:?}");
        }
    }
}

/// Whose terminal it is.
#[derive(Clone, Copy)]
pub(crate) enum Terminal {
    OfRamp,
    OfShell,
}

/// A process on a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    master: File,
}

impl OnTerminal {
    /// Reads what was written, so that nobody waits.
    fn read(&mut self) -> String {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = self.master.read(&mut part) {
            text.extend_from_slice(&part[..length]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Closes the terminal, as the end of an ssh session does.
    pub(crate) fn hang_up(self) {
        let Self { mut child, master } = self;
        drop(master);
        child.wait().unwrap();
    }
}

/// A run directory to be, and how to run ramp for it.
pub(crate) struct Session<'a> {
    engine: &'a Engine,
    directory: TempDir,
}

impl<'a> Session<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("scenario.yaml"), MANIFEST).unwrap();
        Self { engine, directory }
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// The words of `ramp run`. Runs of others do not hinder this one.
    fn words(&self, options: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = [RAMP, "run", "--force", "--out"].map(str::to_owned).into();
        words.push(self.out().to_str().unwrap().to_owned());
        words.push(self.directory.path().join("scenario.yaml").to_str().unwrap().to_owned());
        words.extend(self.engine.options());
        words.extend(options.iter().map(|&option| option.to_owned()));
        words
    }

    pub(crate) fn on_terminal(&self, terminal: Terminal, options: &[&str]) -> OnTerminal {
        let pty = openpty(None, None).unwrap();
        fcntl(&pty.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        fcntl(&pty.master, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).unwrap();
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.arg("--ctty");
        if matches!(terminal, Terminal::OfShell) {
            // With a command after it the shell does not become ramp.
            command.args(["sh", "-c", "\"$@\"; true", "sh"]);
        }
        command.args(self.words(options)).current_dir(self.directory.path());
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        OnTerminal { child: command.spawn().unwrap(), master: File::from(pty.master) }
    }

    /// Waits until a table has so many rows.
    pub(crate) fn until_rows(&self, table: &str, count: usize, ramp: &mut OnTerminal) {
        let deadline = Instant::now() + LIMIT;
        let mut said = String::new();
        while fs::read_to_string(self.out().join(table)).map_or(0, |text| text.lines().count()) <= count {
            said.push_str(&ramp.read());
            assert!(Instant::now() < deadline, "{table}: {said}");
            sleep(PAUSE);
        }
    }

    pub(crate) fn killed_after(&self, moment: Duration, options: &[&str]) {
        let words = self.words(options);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs ramp on the directory, and returns its exit status and what it said.
    pub(crate) fn ramp(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(RAMP);
        command.args(words).arg(self.out()).current_dir(self.directory.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    fn run_file(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.out().join("run.json")).ok()?).ok()
    }

    /// The id of the run, once it has a directory.
    pub(crate) fn run_id(&self) -> Option<String> {
        Some(self.run_file()?["run"].as_str().unwrap().to_owned())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.run_file().is_some_and(|file| !file["end"].is_null())
    }

    /// Waits until the end is recorded and its process is gone.
    pub(crate) fn until_ended(&self) {
        let deadline = Instant::now() + LIMIT;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "it ends");
            sleep(PAUSE);
        }
    }

    pub(crate) fn last_row(&self, table: &str, column: &str, value: &str) -> BTreeMap<String, String> {
        let rows = rows(&self.out(), table);
        rows.into_iter().rfind(|row| row[column] == value).expect("there is one")
    }

    /// The run directory has an end and whole tables, in which no state is counted twice and no instance is left, and can be reported.
    pub(crate) fn is_whole(&self, why: &str) {
        let file = self.run_file().expect("run.json");
        assert!(file["why_ended"].as_str().expect("it has ended").starts_with(why), "{file:#}");
        assert_eq!(file["teardown"]["left"], serde_json::json!([]), "{file:#}");
        for entry in fs::read_dir(self.out()).unwrap().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(text.ends_with('\n') || entry.file_name() == "run.json", "{:?} is torn", entry.path());
        }
        assert_eq!(audit(&self.out()).there(), Vec::<&String>::new());
        let steps = rows(&self.out(), "steps.csv");
        let ups: Vec<_> =
            steps.iter().filter(|row| row["part"] == "up").map(|row| row["step"].clone()).collect();
        let unique: BTreeSet<_> = ups.iter().collect();
        assert_eq!(unique.len(), ups.len(), "each step is recorded once: {ups:?}");
        let (status, text) = self.ramp(&["report", "--json"]);
        assert_eq!(status, Some(0), "{text}");
    }
}
