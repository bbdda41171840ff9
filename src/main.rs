//! The program `workload`: a container load of exact memory and CPU that reports what the kernel accounts for it.

use std::process::ExitCode;

use clap::Parser;
use workload::app::{self, Residency, Signals};
use workload::cli::Args;
use workload::clock::monotonic_ns;
use workload::log_writer::LogWriter;

fn main() -> ExitCode {
    // First of all: as process 1 a signal without a handler is dropped.
    let started_ns = monotonic_ns();
    let signals = Signals::take();
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(args.reports().log.filter())
        .with_target(false)
        .with_writer(|| LogWriter)
        .log_internal_errors(false)
        .init();
    match signals.and_then(|signals| app::run(&args, &signals, started_ns, Residency::Locked)) {
        Ok(outcome) => outcome.exit(),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
