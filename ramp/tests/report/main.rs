//! `ramp report`: its output, the files it writes, its exit status.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod command;
mod export;
mod results;
#[path = "../support/study_layout.rs"]
mod study_layout;
#[path = "../support/mod.rs"]
mod support;

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

/// A made-up file in the study's layout, in a directory.
fn study(directory: &Path, name: &str, rows: u64, each_mib: u64) -> PathBuf {
    let file = directory.join(name);
    std::fs::write(&file, study_layout::rows(rows, each_mib)).unwrap();
    file
}
