//! `ramp report` as its users meet it: what it prints, what it writes, and with which status it ends.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod command;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `ramp report` in a directory.
fn report(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramp"))
        .arg("report")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// A made-up file in the study's layout: so many rows on two workers, one instance more with each, `each_mib` for each, until the workers
/// with 20 000 MiB are full. Of each ten rows two are stale on the second worker.
fn study(directory: &Path, name: &str, rows: u64, each_mib: u64) -> PathBuf {
    let mut text = String::from(
        "Iteration,Elapsed,Running,Creating,Terminating,Evicted,Total Active Memory,Total Free Memory, Active,0,1,Free,0,1\n",
    );
    let full = 20_000 / each_mib;
    let mut last = (0, 0);
    for row in 1..=rows {
        let running = row.min(full);
        let used = (1000 + running * each_mib) * 1024;
        let active = used / 2 + row % 7;
        let free = (21_500 * 1024_u64).saturating_sub(used) / 2 + row % 7;
        if row % 10 > 1 || row < 3 {
            last = (active, free);
        }
        let (elapsed, waiting) = (9 * row, row - running);
        let (active_all, free_all) = (active + last.0, free + last.1);
        writeln!(
            text,
            "{row},{elapsed},{running},{waiting},0,0,{active_all},{free_all},,{active},{},,{free},{}",
            last.0, last.1
        )
        .unwrap();
    }
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    file
}
