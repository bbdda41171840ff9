//! Disks that are full, limited or taken away, and a standard output that cannot be written: the program, as it is run.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ramp_format::run_file::read_run;
use serde_json::Value;

fn ramp(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run on a simulated cluster of many nodes.
const RUN: [&str; 9] =
    ["run", "--engine", "simulated", "--world", "world.yaml", "--to", "30", "--out", "run"];

fn write_world(directory: &Path) {
    fs::write(directory.join("world.yaml"), "nodes: [{count: 20, memory: 512Gi, cores: 64, pods: 2000}]\n")
        .unwrap();
}

/// What a run was whose disk was full from some time on, and what is reported of it.
fn holds_on_a_full_disk(output: &Output, run: &Path, error: &str) {
    let said = said(output);
    assert!(output.status.success(), "{said}");
    let told = format!("nodes.csv: {error}");
    let (first, rest) = said.split_once(&told).expect("it is told");
    assert!(!first.contains("not written") && rest.contains("\n hold"), "told at once: {said}");
    assert!(
        rest.matches("not written: ").count() >= 3 && rest.contains("rows waiting"),
        "and repeated: {said}"
    );
    let file = read_run(run).unwrap();
    assert!(file.end.is_some() && file.rows_lost > 100, "{:?} {}", file.end, file.rows_lost);
    assert!(said.contains(&format!("not recorded: {} rows", file.rows_lost)), "{said}");
    assert!(!run.join("run.json.reserved").exists());
    let report = ramp(run, &["report", ".", "--json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&report.stdout).unwrap();
    let notes = found["runs"][0]["notes"].to_string();
    assert!(
        notes.contains(&format!("{} rows could not be written and are missing", file.rows_lost)),
        "{notes}"
    );
    let estimates = &found["runs"][0]["estimates"];
    assert_eq!(estimates["held"]["count"], 30, "as the run counted: {estimates}");
    let saturation = estimates["saturation"].to_string();
    assert!(!saturation.contains("all that were requested"), "{saturation}");
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk_that_is_told_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    write_world(directory.path());
    let limited = format!("ulimit -f 300; exec {} {}", env!("CARGO_BIN_EXE_ramp"), RUN.join(" "));
    let mut shell = Command::new("bash");
    let output = shell.current_dir(directory.path()).args(["-c", &limited]).output().unwrap();
    holds_on_a_full_disk(&output, &directory.path().join("run"), "File too large");
}

#[test]
#[ignore = "needs root"]
fn a_disk_that_is_full_in_mid_run_is_told_and_the_end_is_recorded_in_reserved_space() {
    let directory = tempfile::tempdir().unwrap();
    write_world(directory.path());
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |command: &str, arguments: &[&str]| {
        assert!(Command::new(command).args(arguments).arg(&disk).status().unwrap().success());
    };
    mount("mount", &["-t", "tmpfs", "-o", "size=500k", "tmpfs"]);
    let mut arguments = RUN;
    arguments[8] = "disk/run";
    let output = ramp(directory.path(), &arguments).output().unwrap();
    let run = directory.path().join("run");
    let copied = Command::new("cp").arg("-r").arg(disk.join("run")).arg(&run).status().unwrap();
    mount("umount", &[]);
    assert!(copied.success());
    holds_on_a_full_disk(&output, &run, "No space left on device");
}

#[test]
fn what_cannot_be_printed_is_an_error_and_a_reader_that_has_seen_enough_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let run = ["run", "--engine", "simulated", "--to", "3", "--json", "--out", "run"];
    let commands: [&[&str]; 7] = [
        &run,
        &["report", "run", "--json"],
        &["report", "run", "--out", "report"],
        &["plan", "--engine", "simulated"],
        &["plan", "--engine", "simulated", "--json"],
        &["clean", "--engine", "simulated"],
        &["--help"],
    ];
    for arguments in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = ramp(directory.path(), arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(
            said(&output).matches("error: standard output: No space left on device").count(),
            1,
            "{arguments:?}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut again = arguments.to_vec();
        if arguments == run {
            again[7] = "run-2";
        }
        let output = ramp(directory.path(), &again).stdout(writer).output().unwrap();
        assert!(output.status.success() && said(&output).is_empty(), "{arguments:?}: {}", said(&output));
    }
    let summary = read_run(&directory.path().join("run")).unwrap();
    assert!(summary.end.is_some(), "the run is recorded all the same");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let run = ramp(directory.path(), &["run", "--engine", "simulated", "--to", "3", "--out", "run"])
        .output()
        .unwrap();
    assert!(run.status.success());
    fs::write(directory.path().join("file"), "").unwrap();
    let output = ramp(directory.path(), &["report", "run", "--out", "file"]).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("error: file: "), "{}", said(&output));
    let limited = format!("ulimit -f 4; exec {} report run --out report", env!("CARGO_BIN_EXE_ramp"));
    let output = Command::new("bash").current_dir(directory.path()).args(["-c", &limited]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("error: report/charts/") && said(&output).contains("File too large"));
}

#[test]
fn a_directory_that_cannot_be_created_is_found_by_preflight() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let long = "x".repeat(300);
    for (out, why) in [
        ("file/run", "Not a directory"),
        ("file", "it exists and is not a directory"),
        ("/proc/run", "/proc is a file system of the kernel"),
        (&long, "File name too long"),
    ] {
        let output = ramp(directory.path(), &["run", "--engine", "simulated", "--to", "3", "--out", out])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{out}");
        let said = said(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why) && said.contains("choose another directory with --out"), "{said}");
    }
}
