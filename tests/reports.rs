//! Reports on standard output, also when nobody reads them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Running, started, wait_for};
use workload::report::{Kind, NodeReport, Scope, Unit, WorkloadReport};

fn output(args: &[&str]) -> String {
    let output = support::workload().args(args).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

const SHORT: [&str; 8] =
    ["--memory", "5M", "--growth-rate", "instant", "--duration", "300ms", "--report-every", "100ms"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().chain(args).copied().collect()
}

#[test]
fn json_is_an_object_a_line_with_every_field_of_its_record() {
    let text = output(&with(&["--format", "json", "--cpu", "0.1"]));
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(records.len() >= 4, "{text}");
    for (index, record) in records.iter().enumerate() {
        let (kind, scope) = match index {
            0 => ("start", Scope::Start),
            last if last + 1 == records.len() => ("end", Scope::End),
            _ => ("report", Scope::Every),
        };
        assert_eq!(record["record"], kind);
        let names: HashSet<&str> =
            record.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected: HashSet<&str> = WorkloadReport::FIELDS
            .iter()
            .filter(|f| f.scope == Scope::Every || f.scope == scope)
            .map(|f| f.name)
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn the_first_record_says_version_settings_and_limits_and_the_last_one_why_it_ended() {
    let text = output(&with(&["--format", "json"]));
    let record = |line: Option<&str>| serde_json::from_str::<Value>(line.expect("a record")).expect("JSON");
    let (first, last) = (record(text.lines().next()), record(text.lines().last()));
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["settings"]["memory"], "5M");
    assert_eq!(first["settings"]["growth-rate"], "instant");
    assert!(first["memory_limit_bytes"].is_u64() || first["memory_limit_bytes"] == "unlimited");
    assert!(first["machine_memory_bytes"].as_u64().expect("the machine has some") > 1 << 20);
    assert_eq!(last["reason"], "--duration elapsed");
    assert_eq!(last["phase"], "holding");
    assert_eq!(last["memory_target_bytes"], 5_000_000);
}

#[test]
fn csv_is_a_header_and_rows_of_as_many_cells() {
    let text = output(&with(&["--format", "csv"]));
    let names: Vec<&str> = WorkloadReport::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(text.lines().next(), Some(names.join(",").as_str()));
    for line in text.lines() {
        // No cell of this run holds a comma or a quote.
        assert_eq!(line.split(',').count(), names.len(), "{line}");
    }
}

#[test]
fn text_is_a_table_whose_columns_line_up() {
    let text = output(&with(&["--format", "text", "--cpu", "0.1"]));
    let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("elapsed")).collect();
    let rows = table.iter().take_while(|line| !line.is_empty());
    let ends = |line: &str| {
        let columns = line.chars().collect::<Vec<_>>();
        // Every column is ten wide, and two blanks stand between.
        (0..columns.len() / 12)
            .all(|n| columns[n * 12 + 9] != ' ' && columns[n * 12 + 10..n * 12 + 12] == [' ', ' '])
    };
    assert!(rows.clone().count() > 3, "{text}");
    assert!(rows.clone().all(|line| ends(line)), "{text}");
    assert!(text.contains("ended after"), "{text}");
}

fn names_are_unique_and_carry_their_unit<K: Kind>() {
    let names: HashSet<&str> = K::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(names.len(), K::FIELDS.len());
    for field in K::FIELDS {
        let unit = match field.unit {
            Unit::Bytes => "bytes",
            Unit::Cores => "cores",
            Unit::Seconds => "seconds",
            Unit::PerSecond => "per_",
            Unit::Ratio => "ratio",
            Unit::Tasks => "tasks",
            Unit::None | Unit::Time | Unit::Count => "",
        };
        assert!(field.name.contains(unit), "{}", field.name);
        assert!(!field.help.is_empty());
    }
}

#[test]
fn field_names_are_unique_and_carry_their_unit() {
    names_are_unique_and_carry_their_unit::<WorkloadReport>();
    names_are_unique_and_carry_their_unit::<NodeReport>();
}

/// Starts it with both outputs as pipes.
fn piped(args: &[&str]) -> Running {
    let mut command = support::workload();
    // It ends by itself where a test waits for what does not come.
    command
        .args(args)
        .args(["--duration", "60s"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    started(&mut command).expect("the program starts")
}

/// The lines of standard error up to the one that holds `words`.
fn wait_for_words(stderr: &mut impl BufRead, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("UTF-8") > 0, "it ended without saying {words:?}");
    }
}

/// Ends it and gives its status and the rest of standard error.
fn end(mut running: Running, mut stderr: impl Read) -> (Option<i32>, String) {
    running.signal(Signal::SIGTERM);
    let status = running.child.wait().expect("it is ours");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("UTF-8");
    (status.code(), rest)
}

#[test]
fn a_closed_standard_output_does_not_end_the_load_and_is_told_once() {
    let mut running = piped(&["--report-every", "1ms", "--cpu", "0.05", "--format", "json"]);
    let mut stderr = BufReader::new(running.child.stderr.take().expect("a pipe"));
    let mut first = String::new();
    BufReader::new(running.child.stdout.take().expect("a pipe")).read_line(&mut first).expect("UTF-8");
    wait_for_words(&mut stderr, "standard output");
    // Time for many more reports.
    std::thread::sleep(Duration::from_millis(50));
    assert!(running.child.try_wait().expect("it is ours").is_none(), "it goes on");
    let (status, rest) = end(running, stderr);
    assert_eq!(status, Some(0));
    assert!(!rest.contains("standard output"), "{rest}");
}

#[test]
fn a_reader_that_never_reads_does_not_hold_it_up() {
    let mut running = piped(&["--report-every", "1ms", "--format", "json"]);
    let mut stderr = BufReader::new(running.child.stderr.take().expect("a pipe"));
    let stdout = running.child.stdout.take().expect("a pipe");
    wait_for_words(&mut stderr, "no reader");
    let (status, _) = end(running, stderr);
    assert_eq!(status, Some(0));
    // What did get through is whole lines.
    let text = std::io::read_to_string(stdout).expect("UTF-8");
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        serde_json::from_str::<Value>(line).expect("JSON");
    }
}

/// Waits until it has taken notice of a signal that was sent.
fn wait_until_read(running: &Running, signal: Signal) {
    let path = format!("/proc/{}/status", running.child.id());
    wait_for("the signal to be read", Duration::from_secs(10), || {
        let status = std::fs::read_to_string(&path).expect("it is ours");
        let pending =
            status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).expect("every Linux has it");
        let pending = u64::from_str_radix(pending.trim(), 16).expect("a hexadecimal number");
        (pending & (1 << (signal as u32 - 1)) == 0).then_some(())
    });
}

#[test]
fn a_reader_that_stalls_and_goes_on_after_sigterm_gets_the_last_record() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // As small as a pipe can be, so that it is soon full.
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe of one page");
    let mut command = support::workload();
    command.args(["--report-every", "10ms", "--format", "json", "--duration", "60s"]);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let mut running = started(&mut command).expect("the program starts");
    // Its copy of the pipe's end.
    drop(command);
    let mut stderr = BufReader::new(running.child.stderr.take().expect("a pipe"));
    wait_for_words(&mut stderr, "no reader");
    running.signal(Signal::SIGTERM);
    wait_until_read(&running, Signal::SIGTERM);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(running.child.wait().expect("it is ours").code(), Some(0));
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect();
    let last = records.last().expect("a first record");
    assert_eq!((&last["record"], &last["reason"]), (&Value::from("end"), &Value::from("SIGTERM")));
    assert!(text.ends_with('\n'));
}

#[test]
fn warnings_wait_for_a_log_reader_that_is_slow() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe of one page");
    // It is full before the program starts.
    (&writer).write_all(&vec![b'\n'; usize::try_from(size).expect("a size")]).expect("room for that");
    let mut command = support::workload();
    command.args(["--memory", "1Pi", "--growth-rate", "1M/s", "--cpu", "100000", "--format", "json"]);
    command.args(["--report-every", "10ms", "--duration", "300ms"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(writer);
    let mut running = started(&mut command).expect("the program starts");
    drop(command);
    let stdout = BufReader::new(running.child.stdout.take().expect("a pipe"));
    let records =
        stdout.lines().take_while(|line| !line.as_ref().expect("UTF-8").contains("\"end\"")).count();
    assert!(records > 5, "the load goes on meanwhile: {records} records");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(running.child.wait().expect("it is ours").code(), Some(0));
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 2, "{text}");
    assert!(
        lines[0].contains("--memory 1Pi is more than") && lines[1].contains("--cpu 100000 is more than"),
        "{text}"
    );
}

/// Runs to its end with reports that go to `file`; gives how often standard error has `words`.
fn told_while_writing_to(file: std::fs::File, limit: &str, mode: &[&str], words: &str) -> usize {
    let mut command = Command::new("prlimit");
    command.args([limit, support::WORKLOAD]).args(mode);
    command.args(["--duration", "200ms", "--report-every", "10ms", "--format", "json"]).stdout(file);
    let output = command.output().expect("util-linux has it");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{mode:?}: {message}");
    assert!(message.contains("reports could not be written to standard output"), "{message}");
    message.matches(words).count()
}

const MODES: [&[&str]; 2] = [&["--memory", "5M"], &["node"]];

#[test]
fn a_full_disk_does_not_end_it_and_is_an_error_in_the_end() {
    for mode in MODES {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        assert_eq!(told_while_writing_to(full, "--core=0", mode, "No space left on device"), 1);
    }
}

#[test]
fn a_file_at_its_size_limit_is_a_full_disk() {
    for mode in MODES {
        let mut file = tempfile::tempfile().expect("a file");
        let its = file.try_clone().expect("a descriptor");
        assert_eq!(told_while_writing_to(its, "--fsize=8192", mode, "File too large"), 1);
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("UTF-8");
        assert_eq!(text.len(), 8192, "as much as there was room for");
        // Only the last line is cut short.
        let whole = text.rsplit_once('\n').expect("a first record").0;
        for line in whole.lines() {
            serde_json::from_str::<Value>(line).expect("JSON");
        }
    }
}

#[test]
fn an_error_waits_for_a_slow_reader_of_standard_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("a port").to_string();
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe of one page");
    writer.write_all(&vec![b'.'; usize::try_from(size).expect("positive")]).expect("there is room");
    let mut command = support::workload();
    command.args(["--listen", &address]).stdout(Stdio::null()).stderr(writer);
    let mut running = started(&mut command).expect("the program starts");
    // Its copy of the pipe's end.
    drop(command);
    wait_for("the thread that writes", Duration::from_secs(10), || {
        (support::threads(running.child.id(), "workload-stderr") == 1).then_some(())
    });
    // Longer than other lines are waited for.
    std::thread::sleep(Duration::from_millis(30));
    let mut words = String::new();
    reader.read_to_string(&mut words).expect("UTF-8");
    assert_eq!(running.child.wait().expect("it is ours").code(), Some(1));
    assert!(words.contains(&address) && words.contains("in use"), "{words}");
}

#[test]
fn a_full_or_closed_standard_error_does_not_end_it() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
    let asking_too_much = || {
        let mut command = support::workload();
        command
            .args(["--cpu", "100000", "--duration", "50ms", "--report-every", "10ms"])
            .stdout(Stdio::null());
        command
    };
    let status = asking_too_much().stderr(full()).status().expect("the program starts");
    assert_eq!(status.code(), Some(0));
    let status = asking_too_much().stdout(full()).stderr(full()).status().expect("the program starts");
    assert_eq!(status.code(), Some(1), "that of the full standard output");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let both = writer.try_clone().expect("a descriptor");
    let status = asking_too_much().stdout(both).stderr(writer).status().expect("the program starts");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_terminal_that_nobody_reads_does_not_keep_it_from_ending() {
    // A terminal takes a part of a line and blocks on the rest, whatever `poll` said.
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = support::workload();
    command.args(["--report-every", "1ms", "--duration", "60s"]).stdin(Stdio::null()).stdout(terminal.slave);
    let mut running = started(command.stderr(Stdio::piped())).expect("the program starts");
    let mut stderr = BufReader::new(running.child.stderr.take().expect("a pipe"));
    wait_for_words(&mut stderr, "no reader");
    running.signal(Signal::SIGTERM);
    let status =
        wait_for("its end", Duration::from_secs(10), || running.child.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(0));
}
