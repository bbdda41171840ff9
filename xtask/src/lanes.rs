//! The lanes that need no cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::image;
use crate::shell::{Outcome, command, output, run, run_command, step};
use crate::summary;

/// Runs of each fuzz target, and how many a night allows.
const FUZZ_RUNS: u32 = 25_000;
const FUZZ_RUNS_AT_NIGHT: u32 = 20_000_000;

/// What can be said without root or anything beyond the tools of development.
pub(crate) fn check() -> Outcome {
    summary::forget("check")?;
    format()?;
    step("spelling and dependencies");
    installed("typos", "pip install typos")?;
    run("typos")?;
    installed("cargo-deny", "cargo install --locked cargo-deny")?;
    // Fuzzing has a workspace of its own, which is built much later.
    run("cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml")?;
    // Advisories are of the lane `nightly`: their database changes, and not every network reaches it.
    run("cargo deny --workspace --locked check bans licenses sources")?;
    step("clippy");
    run("cargo clippy --workspace --all-targets --locked -- -D warnings")?;
    step("documentation");
    run_command(
        command("cargo doc --workspace --no-deps --locked --quiet").env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    step("tests");
    run_command(one_more_than_cpus(&mut tests_of("check")?))?;
    run("cargo test --doc --workspace --locked --quiet")
}

fn format() -> Outcome {
    step("format");
    run("cargo fmt --all --check")?;
    run("cargo fmt --manifest-path fuzz/Cargo.toml --check")?;
    let scripts = output(&mut command("git ls-files *.sh .ci/run .ci/meanwhile .ci/builder-image"))?;
    run_command(Command::new("shellcheck").args(scripts.lines()))
}

/// What needs root, and programs of Debian: cgroups, podman, a virtual machine, a browser. It measures, so nothing else
/// should run meanwhile.
pub(crate) fn host() -> Outcome {
    summary::forget("host")?;
    image::build()?;
    step("tests that need root, cgroups, podman, a virtual machine, a browser or Python");
    run_command(one_more_than_cpus(&mut tests_of("host")?).args(IGNORED))?;
    step("benchmarks, short");
    // Whether they work: the binary of the image by a harness of the tests' profile, which is built already, and the hot parts once each.
    let mut smoke = command("cargo bench --profile dev --locked -p workload --bench calibration -- --smoke");
    run_command(smoke.env("CALIBRATED_PROGRAM", image::built("image", "workload")?))?;
    run(TABLES)?;
    run("cargo bench --profile dev --locked -p workload --bench hot -- --test")
}

const IN_MEMORY: &str = "/dev/shm";

/// How often each simulated cluster is ramped.
#[derive(Clone, Copy)]
pub(crate) enum Worlds {
    /// As often as CI has the time for.
    Briefly,
    /// Also in every combination of length, pace, first step and direction.
    AtNight,
}

/// What is built for them.
pub(crate) const WORLDS_BUILD: &str = "--cargo-profile worlds --package ramp --test worlds";

/// Reports on simulated clusters whose truth is known: how often each figure's interval holds it.
pub(crate) fn worlds(often: Worlds) -> Outcome {
    let seeds = match often {
        Worlds::Briefly => 100,
        Worlds::AtNight => 1000,
    };
    summary::forget("worlds")?;
    step(&format!("simulated clusters, {seeds} times each"));
    let table = "target/coverage.md";
    let mut tests = tests_of("worlds")?;
    if matches!(often, Worlds::AtNight) {
        tests.env("ALL_SHAPES", "1");
    }
    // Thousands of run directories, one after the other: in memory where the machine has such a file system.
    if Path::new(IN_MEMORY).is_dir() {
        tests.env("TMPDIR", IN_MEMORY);
    }
    run_command(
        tests
            .args(WORLDS_BUILD.split(' '))
            .args(IGNORED)
            .env("SEEDS", seeds.to_string())
            .env("COVERAGE", std::env::current_dir().map_err(|error| error.to_string())?.join(table)),
    )
}

/// What takes hours, or is about others' work.
pub(crate) fn nightly() -> Outcome {
    step("advisories");
    run("cargo deny --workspace --locked check advisories")?;
    fuzz(FUZZ_RUNS_AT_NIGHT)?;
    worlds(Worlds::AtNight)?;
    step("the program as users build it");
    run("cargo build --release --locked -p ramp")?;
    image::build_ramp()?;
    step("calibration");
    // The profile of the image, so that its binary is not built twice.
    run("cargo bench --profile image --locked -p workload --bench calibration")?;
    run(TABLES)
}

/// Tables of the last calibration.
const TABLES: &str = "benches/calibration/tables.py";

/// Every fuzz target, bounded.
pub(crate) fn fuzz_bounded() -> Outcome {
    fuzz(FUZZ_RUNS)
}

fn fuzz(runs: u32) -> Outcome {
    step("fuzzing");
    run(&format!("fuzz/run.sh {runs}"))
}

/// For the lanes of tests that need something, each of which says so with `#[ignore = "needs …"]`.
pub(crate) const IGNORED: [&str; 2] = ["--run-ignored", "only"];

/// Runs the tests of a lane, as .config/nextest.toml says.
pub(crate) fn tests_of(lane: &str) -> Outcome<Command> {
    installed("cargo-nextest", "cargo install --locked cargo-nextest")?;
    let mut nextest = command("cargo nextest run --workspace --locked --profile");
    nextest.arg(lane);
    Ok(nextest)
}

/// One test more at a time than there are CPUs: many wait for a time limit, a container or a guest.
fn one_more_than_cpus(tests: &mut Command) -> &mut Command {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    tests.args(["--test-threads", &(cpus + 1).to_string()])
}

fn installed(program: &str, how: &str) -> Outcome {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |directory: std::path::PathBuf| fs::metadata(directory.join(program)).is_ok();
    if std::env::split_paths(&path).any(is_there) {
        Ok(())
    } else {
        Err(format!("{program} is not installed: {how}"))
    }
}
