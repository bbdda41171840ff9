//! `ramp report`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::ReportArgs;
use crate::dataset::{Dataset, Unreadable};
use crate::report::Report;
use crate::report::json::json;

/// What was named cannot be read, or not as what it should be.
const MALFORMED: u8 = 2;
/// An assertion does not hold.
const DOES_NOT_HOLD: u8 = 4;

/// Reports on runs. What is wrong is said on standard error.
#[must_use]
pub fn report(args: &ReportArgs) -> ExitCode {
    let data = match read(&args.runs) {
        Ok(data) => data,
        Err(errors) => {
            errors.iter().for_each(|error| complain(&error.to_string()));
            return ExitCode::from(MALFORMED);
        }
    };
    let report = Report::of(data, args.memory.map(|bytes| bytes.0));
    if args.json {
        crate::view::out(&format!("{:#}", json(&report)));
    } else {
        crate::view::out(report.text().trim_end());
    }
    let failures: Vec<String> =
        args.assertions.iter().flat_map(|assertion| assertion.failures(&report)).collect();
    failures.iter().for_each(|failure| complain(failure));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) }
}

/// All of them, or what is wrong with each that cannot be read.
fn read(paths: &[PathBuf]) -> Result<Vec<Dataset>, Vec<Unreadable>> {
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match Dataset::read(path) {
            Ok(read) => data.push(read),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(data) } else { Err(errors) }
}

fn complain(what: &str) {
    // As clap says what is wrong with arguments. Where standard error is closed nobody is there to be told.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {what}\n").as_bytes());
}
