//! The program `ramp`: scales a calibrated container load past saturation, and records everything.

use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use ramp::cli::Command;
use ramp::command::{self, CommandError};
use ramp::command_line;
use ramp::engine::local::subcommands;
use ramp::ui;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use workload::clock::monotonic_ns;
use workload::log_writer::LogWriter;

fn main() -> ExitCode {
    let started_ns = monotonic_ns();
    let cli = match command_line::parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match cli.command {
        // First, before anything else is allocated: these are instances of the load.
        Command::Instance(args) => subcommands::instance(&args),
        Command::Workload(args) => subcommands::workload(args, started_ns),
        command => {
            let code = ramp(&command);
            if code == ExitCode::SUCCESS && ui::is_output_lost() { ExitCode::FAILURE } else { code }
        }
    }
}

/// Prints the help, the version, or what is wrong with the arguments.
fn explain(error: &clap::Error) -> ExitCode {
    if let Err(cause) = error.print() {
        ui::output_failed(&cause);
    }
    if ui::is_output_lost() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn ramp(command: &Command) -> ExitCode {
    // A file that reaches the limit of its size (RLIMIT_FSIZE) is a full disk: the write fails, and the signal does not end the run. Before
    // any thread is started, and only for this process: those that it starts begin without blocked signals.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    if let Some(code) = command::execute_offline(command) {
        return code;
    }
    // Warnings of libraries (failed requests) are in events.csv. On standard error they would break the live view, and block the
    // only thread while nobody reads it.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::WARN);
    // By a thread of its own: a terminal that is stopped must not stop the run. One that was closed cannot be written to; to print that
    // would panic.
    let log = tracing_subscriber::fmt()
        .with_target(false)
        .with_writer(|| LogWriter)
        .log_internal_errors(false)
        .finish();
    log.with(own).init();
    // One thread: tasks wait for the network, the disk or the clock, and the CPUs are for the load.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = command::execute(&runtime, command);
            // A name that is still being resolved (getaddrinfo cannot be cancelled) is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(CommandError::Failed(format!("cannot start the runtime: {error}"))),
    };
    LogWriter::finish();
    result.unwrap_or_else(|error| {
        ui::error(error.message());
        error.exit_code()
    })
}
