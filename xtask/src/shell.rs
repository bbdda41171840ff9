//! Commands: run with their name and duration shown, and ended on an interrupt.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use crate::durations;

/// An error is a sentence for whoever runs the lane.
pub(crate) type Outcome<T = ()> = Result<T, String>;

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How often a command that runs is looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL: tests end what they have started.
const GRACE: Duration = Duration::from_secs(20);

/// From now on SIGINT, SIGTERM and SIGHUP end the command that runs, and then the lane, in good order.
///
/// # Errors
/// Where the kernel refuses a handler.
pub(crate) fn watch_for_interrupts() -> Outcome {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signal_hook::flag::register(signal as i32, Arc::clone(flag))
            .map_err(|error| format!("{signal}: {error}"))?;
    }
    Ok(())
}

/// # Errors
/// Once the lane has been interrupted.
pub(crate) fn not_interrupted() -> Outcome {
    let is_interrupted = INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed));
    if is_interrupted { Err("interrupted".into()) } else { Ok(()) }
}

/// Says something on standard output. Where nobody reads it the lane goes on: it has something to end.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Says which part of a lane begins.
pub(crate) fn step(title: &str) {
    durations::step_begins(title);
    say(&format!("\n== {title}"));
}

/// The command of a line, split at blanks.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Takes from a command what `cargo run` tells the program that it runs about its package. Crates whose build scripts look at it would be
/// built anew whenever cargo runs within a lane after it ran outside of one, and the other way round.
fn without_cargos_own(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a line to its end.
///
/// # Errors
/// Where it cannot be started, fails, or is interrupted.
pub(crate) fn run(line: &str) -> Outcome {
    run_command(&mut command(line))
}

/// Runs a command to its end.
///
/// # Errors
/// Those of [`run`].
pub(crate) fn run_command(command: &mut Command) -> Outcome {
    say(&format!("$ {}", words(command)));
    let begin = Instant::now();
    let outcome = Background::start(command).and_then(Background::wait);
    say(&format!("  {:.1} s", begin.elapsed().as_secs_f64()));
    outcome
}

/// A command that runs meanwhile, in a process group of its own. All of the group ends with the value.
pub(crate) struct Background {
    line: String,
    child: Child,
}

impl Background {
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        Self::leader(command.process_group(0))
    }

    fn leader(command: &mut Command) -> Outcome<Self> {
        let line = words(command);
        let child = without_cargos_own(command).stdin(Stdio::null()).spawn();
        let child = child.map_err(|error| format!("{line}: {error}"))?;
        started().push(child.id());
        Ok(Self { line, child })
    }

    /// # Errors
    /// Where it fails, or is interrupted.
    pub(crate) fn wait(self) -> Outcome {
        self.wait_unless(not_interrupted)
    }

    /// Waits also after an interrupt.
    ///
    /// # Errors
    /// Where it fails.
    pub(crate) fn wait_in_any_case(self) -> Outcome {
        self.wait_unless(|| Ok(()))
    }

    fn wait_unless(mut self, interrupted: impl Fn() -> Outcome) -> Outcome {
        loop {
            match self.child.try_wait() {
                Ok(None) => interrupted().map_err(|error| format!("{error}: {}", self.line))?,
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("{}: {status}", self.line)),
                Err(error) => return Err(format!("{}: {error}", self.line)),
            }
            orphans(|orphan| {
                let _ = waitpid(orphan, Some(WaitPidFlag::WNOHANG));
            });
            sleep(PAUSE);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let id = self.child.id();
        if let (Ok(None), Ok(group)) = (self.child.try_wait(), i32::try_from(id)) {
            end(Pid::from_raw(group), &mut self.child);
        }
        started().retain(|own| *own != id);
    }
}

/// A command that runs with the CPU time that nobody else wants. What it prints is shown once it has been waited for.
pub(crate) struct Idle {
    line: String,
    background: Background,
    printed: NamedTempFile,
}

impl Idle {
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(line: &str) -> Outcome<Self> {
        let (printed, handle) = scratch()?;
        // The nice value of a process counts within its session alone, so it gets one of its own, and that one the least weight:
        // autogroup, sched(7). Its leader is that of a process group as well.
        let script = format!("{{ echo 19 >/proc/self/autogroup; }} 2>/dev/null; exec 2>&1 nice -n 19 {line}");
        let background = Background::leader(command("setsid sh -c").arg(script).stdout(handle))?;
        let line = line.to_owned();
        Ok(Self { line, background, printed })
    }

    /// # Errors
    /// Where it fails, or is interrupted.
    pub(crate) fn wait(self) -> Outcome {
        let outcome = self.background.wait();
        let printed = fs::read_to_string(&self.printed).unwrap_or_default();
        say(&format!("\n$ {}, meanwhile\n{}", self.line, printed.trim_end()));
        outcome
    }
}

/// A file that goes with the value, and a handle to write to it.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn scratch() -> Outcome<(NamedTempFile, File)> {
    let file = NamedTempFile::new().map_err(|error| format!("a temporary file: {error}"))?;
    let handle = file.reopen().map_err(|error| format!("{}: {error}", file.path().display()))?;
    Ok((file, handle))
}

/// Ends a process group: asks first, and waits for all of it.
fn end(group: Pid, leader: &mut Child) {
    let deadline = Instant::now() + GRACE;
    // Where it has ended meanwhile there is nothing to do.
    let _ = killpg(group, Signal::SIGTERM);
    while Instant::now() < deadline && killpg(group, None).is_ok() {
        // What has ended is there until it has been asked about: the leader, and orphans of the group (see `adopt_orphans`).
        let _ = leader.try_wait();
        while waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG)).is_ok_and(is_an_end) {}
        sleep(PAUSE);
    }
    let _ = killpg(group, Signal::SIGKILL);
    // One that has not yet become the leader of its group.
    let _ = leader.kill();
    let _ = leader.wait();
}

fn is_an_end(status: WaitStatus) -> bool {
    status != WaitStatus::StillAlive
}

/// Commands that run.
static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn started() -> MutexGuard<'static, Vec<u32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on processes whose parent has ended are children of this one: PR_SET_CHILD_SUBREAPER, prctl(2). Each is asked about once it has
/// ended, while commands are waited for: who waits for one to end by its process id, as shell scripts do, waits until somebody has.
///
/// # Errors
/// Where the kernel refuses.
pub(crate) fn adopt_orphans() -> Outcome {
    set_child_subreaper(true).map_err(|error| format!("PR_SET_CHILD_SUBREAPER: {error}"))
}

/// Ends those that were adopted and have not ended.
pub(crate) fn end_orphans() {
    orphans(|orphan| {
        let _ = kill(orphan, Signal::SIGKILL);
        let _ = waitpid(orphan, None);
    });
}

/// Does something with each child that this process has not started: proc(5), /proc/PID/task/TID/children.
fn orphans(each: impl Fn(Pid)) {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let started = started();
    let ids = children.split_whitespace().filter_map(|id| id.parse::<u32>().ok());
    let orphans = ids.filter(|id| !started.contains(id)).filter_map(|id| i32::try_from(id).ok());
    orphans.map(Pid::from_raw).for_each(each);
}

/// What a command prints on standard output.
///
/// # Errors
/// Where it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let line = words(command);
    let output = without_cargos_own(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("{line}: {}", output.status))
    }
}

fn words(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
