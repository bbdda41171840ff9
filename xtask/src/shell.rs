//! Commands, one after the other: each is named with the time it took, and none outlives an interrupt.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

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

fn is_interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Says which part of a lane begins.
pub(crate) fn step(title: &str) {
    println!("\n== {title}");
}

/// The command of a line, split at blanks.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Runs a line to its end.
///
/// # Errors
/// Where it cannot be started, fails, or is interrupted.
pub(crate) fn run(line: &str) -> Outcome {
    run_command(&mut command(line))
}

/// Runs a command to its end, in a process group of its own, which an interrupt ends as a whole.
///
/// # Errors
/// Those of [`run`].
pub(crate) fn run_command(command: &mut Command) -> Outcome {
    let line = words(command);
    println!("$ {line}");
    let begin = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).process_group(0).spawn().map_err(|error| format!("{line}: {error}"))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("{line}: {error}"))? {
            break status;
        }
        if is_interrupted() {
            end(&mut child);
            return Err(format!("interrupted: {line}"));
        }
        sleep(PAUSE);
    };
    println!("  {:.1} s", begin.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// What a command prints on standard output.
///
/// # Errors
/// Where it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let line = words(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{line}: {error}"))?;
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

/// Ends a process group: asks first.
fn end(child: &mut Child) {
    let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw) else { return };
    let deadline = Instant::now() + GRACE;
    // Where it has ended meanwhile there is nothing to do.
    let _ = killpg(group, Signal::SIGTERM);
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        sleep(PAUSE);
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}
