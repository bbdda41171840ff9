//! The local calibration: runs the real binary, measures it from outside by the kernel's own counters, and holds
//! what was asked against what was had; the same with each peer that is installed.
//!
//! `cargo bench --bench calibration` takes about twelve minutes; with `-- --smoke` one, with less to say.
//! The table goes to the terminal, and as JSON to `target/calibration.json`, of which `tables.py` beside this file
//! makes the tables of docs/. Needs the right to make cgroups. The binary is that of the profile, or the one in `CALIBRATED_PROGRAM`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "its output is the table, its errors are for its user"
)]

mod client;
mod cpu;
mod hostile;
mod life;
mod listen;
mod memory;
mod meter;
mod peers;
mod table;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use peers::Peers;
use table::Table;

/// How long to measure.
#[derive(Clone, Copy)]
struct Effort {
    /// A shorter run that tells whether everything works, not how exact it is.
    smoke: bool,
}

impl Effort {
    fn seconds(self, full: u64, smoke: u64) -> Duration {
        Duration::from_secs(if self.smoke { smoke } else { full })
    }

    fn repeats(self, full: usize, smoke: usize) -> usize {
        if self.smoke { smoke } else { full }
    }
}

/// The program that is measured.
fn program() -> OsString {
    std::env::var_os("CALIBRATED_PROGRAM").unwrap_or_else(|| support::WORKLOAD.into())
}

/// The program with these arguments and JSON reports; nobody reads them unless standard output is made a pipe.
fn workload(args: &[&str]) -> Command {
    let mut command = support::without_settings(&program());
    command.args(args).args(["--format", "json"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Its errors are sentences for who runs the bench.
type Outcome<T> = Result<T, Box<dyn Error>>;

type Section = fn(Effort, &Peers, &mut Table) -> Outcome<()>;

const SECTIONS: [(&str, Section); 12] = [
    ("cpu", cpu::alone),
    ("busy", cpu::beside_busy_processes),
    ("frozen", cpu::frozen),
    ("stop", cpu::stopped),
    ("quota", cpu::quota),
    ("resident", memory::resident),
    ("growth", memory::growth),
    ("fill", memory::fill),
    ("idle", life::idle),
    ("life", life::birth_and_death),
    ("listen", listen::listen),
    ("node", life::node),
];

fn main() -> Outcome<()> {
    // `cargo bench` adds --bench; other words choose sections by name.
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let effort = Effort { smoke: words.iter().any(|arg| arg == "--smoke") };
    let chosen: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    if let Some(word) = chosen.iter().find(|word| !SECTIONS.iter().any(|(name, _)| name == *word)) {
        let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no section {word:?}, but {}", names.join(", ")).into());
    }
    let peers = Peers::find();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/calibration.json");
    let mut table = Table::new(&peers, effort.smoke, path);
    for (name, section) in SECTIONS {
        if chosen.is_empty() || chosen.contains(&name) {
            table.section(name, |table| section(effort, &peers, table))?;
        }
    }
    table.finish()
}
