//! The checks and tests of this workspace, by lane. The same commands run locally and in CI.
//!
//! ```text
//! cargo xtask check     format, lints, documentation, unit and integration tests
//! cargo xtask host      as root: cgroups, podman, a virtual machine, a browser, and short benchmarks
//! cargo xtask worlds    reports on simulated clusters whose truth is known, many times over
//! cargo xtask cluster   the tests that need a Kubernetes cluster
//! cargo xtask fuzz      short fuzzing
//! cargo xtask nightly   long fuzzing, and the whole calibration
//! ```
//!
//! And what makes files of the project: `cargo xtask manifests` the scenarios' manifests in `deploy/`, `cargo xtask docs` the generated
//! documentation, `cargo xtask image` the image, `cargo xtask dist` the archives of a release.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is for whoever runs it")]

mod chart;
mod cluster;
mod dist;
mod docs;
mod durations;
mod generated;
mod image;
mod lanes;
mod manifests;
#[cfg(test)]
mod modules;
mod shell;
mod summary;
#[cfg(test)]
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use shell::Outcome;

const HELP: &str = "\
Checks and tests of the workspace

Usage: cargo xtask [--meanwhile <COMMAND>] <COMMAND>...

Commands:
  check     format, lints, documentation, dependencies, unit and integration tests
  host      as root: tests of cgroups, podman, virtual machines and the browser; short benchmarks
  worlds    reports on simulated clusters whose truth is known, each 100 times: how often each interval holds it. The
            table is target/coverage.md
  cluster   tests that need a Kubernetes cluster: the one of KUBECONFIG, or one that the scripts `up`, `load-image`
            and `down` in the directory TEST_CLUSTER start and end. They mostly wait: --meanwhile COMMAND runs one
            with the CPU time that is left
  fuzz      short fuzzing: a minute
  nightly   long fuzzing, the simulated clusters 1000 times each and in every way, the whole calibration
  image     the image of workload, from the binary of the profile `image`
  ramp-image  that of ramp, likewise: ten minutes
  manifests deploy/runc/*, deploy/kata/*: writes them, from deploy/templates and the tables in xtask/src/manifests.rs;
            deploy/chart/templates: writes them from deploy/setup
  docs      docs/report.md: writes it, from the registry of figures in ramp/report/src/report/registry.rs
  dist [--binaries <DIR>] [--url <URL>]
            target/dist: release archives with manual pages and completions, the Helm chart, checksums, a list of all
            dependencies (CycloneDX), a manifest for krew with the URL of the releases, and a Debian package where
            cargo-deb is installed. Builds static programs, or takes those in DIR. SOURCE_DATE_EPOCH, else the time of
            the commit, is that of all files
  summary   how many tests the lanes above have run, by their last reports, and the seconds that each step took

Several commands run one after the other, and the first that fails ends it. README.md says what each needs.";

fn run_all(commands: &[String], meanwhile: Option<&str>) -> Outcome {
    // The only one that has options.
    if let [first, options @ ..] = commands
        && first == "dist"
    {
        return dist::run_dist(&dist::DistOptions::parse(options.iter().cloned())?);
    }
    commands.iter().try_for_each(|command| run(command, meanwhile))
}

fn run(command: &str, meanwhile: Option<&str>) -> Outcome {
    if command == "summary" {
        return summary::print();
    }
    durations::lane_begins(command);
    let outcome = run_lane(command, meanwhile);
    durations::lane_ends();
    outcome
}

fn run_lane(command: &str, meanwhile: Option<&str>) -> Outcome {
    match command {
        "check" => lanes::check(),
        "host" => lanes::host(),
        "worlds" => lanes::worlds(lanes::Worlds::Briefly),
        "cluster" => cluster::lane(meanwhile),
        "nightly" => lanes::nightly(),
        "fuzz" => lanes::fuzz_bounded(),
        "image" => image::build().map(drop),
        "ramp-image" => image::build_ramp(),
        "manifests" => manifests::write(),
        "docs" => docs::write(),
        "--meanwhile" => {
            Err("--meanwhile: expected its command and then the lane: --meanwhile COMMAND cluster".into())
        }
        _ => Err(format!("there is no command {command:?}; see `cargo xtask help`")),
    }
}

fn main() -> ExitCode {
    let mut commands: Vec<String> = std::env::args().skip(1).collect();
    let mut meanwhile = None;
    if commands.first().is_some_and(|word| word == "--meanwhile") && commands.len() > 2 {
        meanwhile = commands.drain(..2).next_back();
    }
    if commands.is_empty() || commands.iter().any(|word| ["help", "-h", "--help"].contains(&word.as_str())) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    // Every path below is relative to the root of the workspace.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let begun = std::env::set_current_dir(&root).map_err(|error| format!("{}: {error}", root.display()));
    let outcome = begun
        .and_then(|()| shell::watch_for_interrupts())
        .and_then(|()| run_all(&commands, meanwhile.as_deref()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
