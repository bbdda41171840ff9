//! The program `ramp`: scales a calibrated container load past saturation, and records everything.

use std::process::ExitCode;

use clap::Parser;
use ramp::cli::{Cli, Command};
use ramp::command::{self, CommandError};
use ramp::engine::local::subcommands;
use ramp::ui;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use workload::clock::monotonic_ns;

fn main() -> ExitCode {
    let started_ns = monotonic_ns();
    match Cli::parse().command {
        // First, before anything else is allocated: these are instances of the load.
        Command::Instance(args) => subcommands::instance(&args),
        Command::Workload(args) => subcommands::workload(args, started_ns),
        // Needs no runtime.
        Command::Report(args) => command::report(&args),
        command => ramp(&command),
    }
}

fn ramp(command: &Command) -> ExitCode {
    // Warnings of libraries (failed requests) are in events.csv. On standard error they would break the live view, and block the
    // only thread while nobody reads it.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::WARN);
    // A terminal that was closed cannot be written to; to print that would panic.
    let log = tracing_subscriber::fmt()
        .with_target(false)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .finish();
    log.with(own).init();
    // One thread: tasks wait for the network, the disk or the clock, and the CPUs are for the load.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match &runtime {
        Ok(runtime) => runtime.block_on(async {
            match command {
                Command::Plan(args) => command::plan(args).await,
                Command::Run(args) => command::run(args).await,
                Command::Clean(args) => command::clean(args).await,
                Command::Instance(_) | Command::Workload(_) | Command::Report(_) => Ok(ExitCode::SUCCESS),
            }
        }),
        Err(error) => Err(CommandError::Failed(format!("cannot start the runtime: {error}"))),
    };
    result.unwrap_or_else(|error| {
        ui::error(error.message());
        error.exit_code()
    })
}
