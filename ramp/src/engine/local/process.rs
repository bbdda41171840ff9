//! Process of an instance: starts it, reads its output, signals it and waits for its exit.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::process_spec::{ProcessSpec, Program};
use crate::engine::log_poller::{Lines, last_record};
use crate::engine::readiness::is_ready;
use crate::engine::replicas::Backing;
use crate::engine::{Event, Events, InstanceReport, Notice};
use ramp_format::state::State;

/// How long the pipes of a process that has exited are read: its children may hold them open.
const DRAIN: Duration = Duration::from_millis(500);
/// Lines of standard error that are recorded, per process and per run. The others go to ramp's log.
const LINES_PER_PROCESS: u32 = 5;
const LINES_PER_RUN: u32 = 1_000;

/// How a process is started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// The program with the subcommands of ramp.
    pub(super) ramp: PathBuf,
    pub(super) demand: Arc<ProcessSpec>,
}

impl Launch {
    /// Starts a process that joins cgroups by these files. It ends with the thread that calls this.
    ///
    /// # Errors
    /// Where the kernel refuses a process or a file descriptor.
    pub(super) fn start(&self, procs_files: impl Iterator<Item = PathBuf>) -> io::Result<Child> {
        let mut command = instance_command(&self.ramp, procs_files);
        command.arg("--").args(self.words());
        // A program of this machine is found by PATH.
        if let (Program::Host(_), Some(path)) = (&self.demand.program, std::env::var_os("PATH")) {
            command.env("PATH", path);
        }
        command.envs(self.demand.env.iter().map(|(name, value)| (name, value)));
        // Ctrl-C on the terminal must reach ramp only.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn()
    }

    fn words(&self) -> Vec<OsString> {
        match &self.demand.program {
            Program::Load(options) => {
                let begin = [self.ramp.clone().into_os_string(), "workload".into()].into_iter();
                begin.chain(options.iter().map(Into::into)).collect()
            }
            Program::Host(words) => words.iter().map(Into::into).collect(),
        }
    }
}

/// The command that runs `program` as an instance: it joins cgroups by these files, and then executes the command that is
/// appended after `--`.
pub(super) fn instance_command(program: &Path, procs_files: impl Iterator<Item = PathBuf>) -> Command {
    let mut command = Command::new(program);
    command.arg("instance").arg("--parent").arg(std::process::id().to_string());
    for file in procs_files {
        command.arg("--join").arg(file);
    }
    // As in a container, ramp's own environment is not inherited.
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A request to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// SIGTERM, and SIGKILL after the grace period.
    End,
    /// SIGKILL.
    Kill,
}

/// News of a process.
#[derive(Debug)]
pub(super) enum ProcessEvent {
    /// Whether it holds all of its memory.
    Ready(bool),
    /// It has exited.
    Ended(io::Result<ExitStatus>),
}

/// A running process, and how to end it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Option<u32>,
    pub(super) tell: mpsc::Sender<Tell>,
    pub(super) started: Instant,
    /// OOM kills in its cgroup before its start.
    pub(super) oom_kills: Option<u64>,
}

impl Backing for Option<Process> {
    fn exists(&self) -> bool {
        self.is_some()
    }
}

/// The task that follows one process to its exit.
pub(super) struct ProcessTask {
    /// Of the instance.
    pub(super) ordinal: u32,
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) events: Events,
    pub(super) news: mpsc::Sender<(u32, ProcessEvent)>,
    pub(super) grace: Duration,
    /// Whether standard output is reports of the load.
    pub(super) is_load: bool,
    /// Lines of standard error recorded in this run.
    pub(super) lines: Arc<AtomicU32>,
}

impl ProcessTask {
    /// Reads both pipes, forwards signals, and tells of the exit once everything has been read.
    pub(super) async fn attend(self, mut child: Child, mut tell: mpsc::Receiver<Tell>) {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let readers = async { tokio::join!(self.read_reports(stdout), self.read_stderr(stderr)) };
        tokio::pin!(readers);
        let mut all_read = false;
        // Set once it is told to end.
        let patience = sleep(Duration::MAX);
        tokio::pin!(patience);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                _ = &mut readers, if !all_read => all_read = true,
                Some(told) = tell.recv() => match told {
                    Tell::End => {
                        signal(&child, Signal::SIGTERM);
                        patience.as_mut().reset(Instant::now() + self.grace);
                    }
                    Tell::Kill => signal(&child, Signal::SIGKILL),
                },
                () = &mut patience => {
                    signal(&child, Signal::SIGKILL);
                    patience.as_mut().reset(Instant::now() + self.grace.max(Duration::from_secs(1)));
                }
            }
        };
        if !all_read {
            let _ = timeout(DRAIN, readers).await;
        }
        self.say(ProcessEvent::Ended(status)).await;
    }

    async fn say(&self, news: ProcessEvent) {
        // There is no receiver once the run is over.
        let _ = self.news.send((self.ordinal, news)).await;
    }

    async fn read_reports(&self, stdout: Option<impl AsyncRead + Unpin>) {
        let Some(stdout) = stdout else { return };
        let mut lines = Lines::of(stdout);
        let mut was_ready = false;
        while let Some(line) = lines.next().await {
            let Some(record) = last_record(line).filter(|_| self.is_load) else {
                tracing::debug!("{}: {}", self.name, String::from_utf8_lossy(line).trim_end());
                continue;
            };
            let is_ready = is_ready(&record);
            self.events.send(Event::Report(InstanceReport { uid: self.uid.clone(), record })).await;
            if is_ready != was_ready {
                was_ready = is_ready;
                self.say(ProcessEvent::Ready(is_ready)).await;
            }
        }
    }

    async fn read_stderr(&self, stderr: Option<impl AsyncRead + Unpin>) {
        let Some(stderr) = stderr else { return };
        let mut lines = Lines::of(stderr);
        let mut written = 0;
        while let Some(line) = lines.next().await {
            let message = String::from_utf8_lossy(line).trim_end().to_owned();
            if message.is_empty() {
                continue;
            }
            if written < LINES_PER_PROCESS && self.lines.fetch_add(1, Ordering::Relaxed) < LINES_PER_RUN {
                written += 1;
                self.events.send(note(&self.name, "stderr", message)).await;
            } else {
                tracing::debug!("{}: {message}", self.name);
            }
        }
    }
}

/// A note about an instance.
pub(super) fn note(name: &str, reason: &str, message: String) -> Event {
    Event::Notice(Notice::note(format!("instance/{name}"), reason, message))
}

/// Sends a signal. The id is known only until the process has been waited for, so it cannot be another process's.
fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// State and reason of a process that has ended unasked. `oom_killed` is what its cgroup or the kernel log tells; none where
/// neither can be read.
pub(super) fn verdict(status: ExitStatus, oom_killed: Option<bool>) -> (State, String) {
    let reason = how(status);
    let was_killed = status.signal() == Some(Signal::SIGKILL as i32);
    match oom_killed {
        Some(true) if was_killed => (State::OomKilled, format!("OOMKilled, {reason}")),
        None if was_killed => {
            (State::Failed, format!("{reason}; not known by whom, without a cgroup or the kernel log"))
        }
        _ => (State::Failed, reason),
    }
}

/// `exit status 3`, `signal SIGKILL`.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// This program, even where its file has been replaced or removed.
pub(super) const THIS_PROGRAM: &str = "/proc/self/exe";

#[cfg(test)]
mod tests {
    use super::*;

    const KILL_SIGNAL: i32 = 9;

    #[test]
    fn killed_while_oom_kills_rose_is_an_oom_kill_and_nothing_else_is() {
        let status = ExitStatus::from_raw;
        let exited = |code: i32| status(code << 8);
        let of = |status, oom_killed| verdict(status, Some(oom_killed)).0;
        assert_eq!(of(status(KILL_SIGNAL), true), State::OomKilled);
        assert_eq!(of(status(KILL_SIGNAL), false), State::Failed, "somebody else's SIGKILL");
        assert_eq!(of(exited(3), true), State::Failed, "one of its own children was killed");
        let (state, reason) = verdict(status(KILL_SIGNAL), None);
        assert_eq!((state, reason.contains("not known")), (State::Failed, true));
        assert_eq!((how(exited(3)), how(status(15))), ("exit status 3".into(), "signal SIGTERM".into()));
        assert_eq!(how(status(40)), "signal 40", "a real-time signal");
    }
}
