//! The program `workload`: a container load of exact memory and CPU that reports what the kernel accounts for it.

use std::io::{self, Write};
use std::process::ExitCode;

use workload::app::{self, Residency, Signals};
use workload::cli::{Args, Instead};
use workload::clock::monotonic_ns;
use workload::log_writer::LogWriter;

fn main() -> ExitCode {
    // First of all: as process 1 a signal without a handler is dropped.
    let started_ns = monotonic_ns();
    let signals = Signals::take();
    let args = match Args::of_this_process() {
        Ok(args) => args,
        Err(instead) => return print(&instead),
    };
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
            LogWriter::finish();
            ExitCode::FAILURE
        }
    }
}

/// Prints what was asked for instead of a run, or why there is none.
fn print(Instead { text, is_request }: &Instead) -> ExitCode {
    if !is_request {
        // Without standard error the exit status tells.
        let _ = io::stderr().write_all(text.as_bytes());
        return ExitCode::from(2);
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
