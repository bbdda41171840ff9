//! `workload`: takes exactly the memory and CPU it was asked for, and says what the kernel says it has.

use std::process::ExitCode;

use clap::Parser;
use workload::clock::monotonic_ns;
use workload::config::Args;
use workload::output::Log;
use workload::run::{self, Residency, Signals};

fn main() -> ExitCode {
    // First of all: as process 1 a signal that nobody has asked for is gone.
    let started_ns = monotonic_ns();
    let signals = Signals::take();
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(args.reports().log.filter())
        .with_target(false)
        .with_writer(|| Log)
        .log_internal_errors(false)
        .init();
    match signals.and_then(|signals| run::run(&args, &signals, started_ns, Residency::Locked)) {
        Ok(outcome) => outcome.exit(),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
