//! `ramp`: pushes a population of calibrated containers past saturation, and records everything.

use std::process::ExitCode;

use clap::Parser;
use ramp::cli::{Cli, Command};
use ramp::command;
use ramp::engine::local::subcommands;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use workload::clock::monotonic_ns;

fn main() -> ExitCode {
    let started_ns = monotonic_ns();
    match Cli::parse().command {
        // Before there is anything that could cost memory: these are the load.
        Command::Instance(args) => subcommands::instance(&args),
        Command::Workload(args) => subcommands::workload(args, started_ns),
        // Neither does it wait for anything.
        Command::Report(args) => command::report(&args),
        command => ramp(&command),
    }
}

fn ramp(command: &Command) -> ExitCode {
    // What libraries warn of (each request that fails) is in events.csv, and would be written in the midst of the view, by the
    // one thread that must not wait for who reads it.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::WARN);
    let log = tracing_subscriber::fmt().with_target(false).with_writer(std::io::stderr).finish();
    log.with(own).init();
    // One thread: what waits for the network, the disk and the clock needs no more, and it leaves the CPUs to the load.
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
        Err(error) => Err(format!("cannot wait for events: {error}")),
    };
    result.unwrap_or_else(|trouble| {
        tracing::error!("{trouble}");
        ExitCode::FAILURE
    })
}
