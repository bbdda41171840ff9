//! The local calibration: runs the real binary, measures it from outside by the kernel's own counters, and holds
//! what was asked against what was had; the same with each peer that is installed.
//!
//! `cargo bench --bench calibration` takes about ten minutes; with `-- --smoke` one, with less to say.
//! The table goes to the terminal, and as JSON to `target/calibration.json`. Needs the right to make cgroups.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "its output is the table, its errors are for its user"
)]

mod cpu;
mod life;
mod memory;
mod peers;
mod table;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
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

/// The program with these arguments and JSON reports; nobody reads them unless standard output is made a pipe.
fn workload(args: &[&str]) -> Command {
    let mut command = support::workload();
    command.args(args).args(["--format", "json"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds --bench; other words choose sections by name.
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let effort = Effort { smoke: words.iter().any(|arg| arg == "--smoke") };
    let chosen: Vec<&String> = words.iter().filter(|arg| !arg.starts_with("--")).collect();
    let peers = Peers::find();
    let mut table = Table::new(&peers, effort.smoke);
    type Section = fn(Effort, &Peers, &mut Table) -> Result<(), Box<dyn Error>>;
    let sections: [(&str, Section); 10] = [
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
    ];
    for (name, section) in sections {
        if chosen.is_empty() || chosen.iter().any(|word| *word == name) {
            section(effort, &peers, &mut table)?;
        }
    }
    table.finish(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/calibration.json").as_path())
}
