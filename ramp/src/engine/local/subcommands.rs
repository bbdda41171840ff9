//! Hidden subcommands that instances of the local engine run.
//!
//! `ramp instance` joins cgroups and then executes a command; `ramp workload` is the load. Both have to be called before a
//! runtime, a second thread or a log is set up.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use workload::app::{self, Residency, Signals};
use workload::cli;
use workload::log_writer::LogWriter;
use workload::report::Format;

/// Arguments of the hidden subcommand `instance`.
#[derive(Clone, Debug, clap::Args)]
pub struct InstanceArgs {
    /// The parent process; this one is killed when it ends
    #[arg(long, value_name = "PID")]
    parent: i32,

    /// A `cgroup.procs` file to join; repeatable
    #[arg(long, value_name = "FILE")]
    join: Vec<PathBuf>,

    /// The command to execute; none to only try whether the cgroups can be joined
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Arguments of the hidden subcommand `workload`: those of the program of that name.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkloadArgs {
    /// Options of the load
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

/// Exit status where the command could not be executed, as of shells.
const NOT_EXECUTED: u8 = 127;

/// Runs `ramp instance`: joins the cgroups and executes the command. Returns only where that fails, or without a command. Errors
/// go to standard error.
#[must_use]
pub fn instance(args: &InstanceArgs) -> ExitCode {
    // A log that is set up already stays.
    let log = tracing_subscriber::fmt().with_target(false).with_writer(io::stderr);
    let _ = log.log_internal_errors(false).try_init();
    if let Err(error) = join(args) {
        tracing::error!("{error}");
        return ExitCode::FAILURE;
    }
    let Some((program, words)) = args.command.split_first() else { return ExitCode::SUCCESS };
    let error = Command::new(program).args(words).exec();
    tracing::error!("cannot execute {}: {error}", program.display());
    ExitCode::from(NOT_EXECUTED)
}

/// Makes the kernel kill it when its parent ends, makes it the first victim of the OOM killer, and joins the cgroups.
fn join(args: &InstanceArgs) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have ended before that.
    if getppid() != Pid::from_raw(args.parent) {
        return Err(io::Error::other(format!("the parent process is not {} (it has ended)", args.parent)));
    }
    // As the kubelet sets for pods that request nothing (pkg/kubelet/qos/policy.go), so that no other program is killed first. A value
    // inherited from ramp, such as -1000, would exempt instances from OOM kills.
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "1000") {
        tracing::warn!("cannot write oom_score_adj: {error}");
    }
    for file in &args.join {
        // 0 stands for the writing process (Documentation/admin-guide/cgroup-v2.rst; v1 likewise).
        let joined = OpenOptions::new().write(true).open(file).and_then(|mut file| file.write_all(b"0"));
        joined.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// Runs `ramp workload`: the load, which reports as JSON and does not listen, whatever its options say. `started_ns` is
/// when the program started, on the monotonic clock ([`workload::clock::monotonic_ns`]).
///
/// # Caveats
/// Unlike `workload`, the program does not lock itself in memory: it is many times larger.
#[must_use]
pub fn workload(args: WorkloadArgs, started_ns: u64) -> ExitCode {
    // First: from here on signals are handled.
    let signals = Signals::take();
    // Its name would be that of the file that was executed: exe.
    let _ = prctl::set_name(c"workload");
    let args = as_instance(
        cli::Args::try_parse_from(std::iter::once("workload".into()).chain(args.options))
            .unwrap_or_else(|error| error.exit()),
    );
    let _ = tracing_subscriber::fmt()
        .with_max_level(args.reports().log.filter())
        .with_ansi(false)
        .with_target(false)
        .with_writer(|| LogWriter)
        .log_internal_errors(false)
        .try_init();
    let outcome = signals.and_then(|signals| app::run(&args, &signals, started_ns, Residency::Reclaimable));
    match outcome {
        Ok(outcome) => outcome.exit(),
        Err(error) => {
            tracing::error!("{error}");
            LogWriter::finish();
            ExitCode::FAILURE
        }
    }
}

/// Ramp reads the reports, and all instances share the machine's ports.
fn as_instance(mut args: cli::Args) -> cli::Args {
    let reports = match &mut args.command {
        Some(cli::Command::Node { reports } | cli::Command::Components { reports }) => reports,
        None => &mut args.load.reports,
    };
    reports.format = Format::Json;
    reports.listen = None;
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_it_reports_as_json_and_serves_nothing() {
        for command in [&["workload"][..], &["workload", "node"]] {
            let asked = ["--format", "csv", "--listen", "127.0.0.1:0", "--report-every", "7s"];
            let args = cli::Args::try_parse_from(command.iter().chain(&asked)).unwrap();
            let reports = as_instance(args).reports().clone();
            assert_eq!((reports.format, reports.listen), (Format::Json, None));
            assert!(reports.settings().contains(&("report-every", "7s".to_owned())));
        }
    }

    #[test]
    fn options_of_the_command_are_its_own() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: InstanceArgs,
        }
        let line = ["instance", "--parent", "7", "--join", "a b", "--join", "c", "--", "sh", "--join", "d"];
        let args = Line::try_parse_from(line).unwrap().args;
        assert_eq!((args.parent, args.join.len()), (7, 2));
        assert_eq!(args.command, ["sh", "--join", "d"]);
    }
}
