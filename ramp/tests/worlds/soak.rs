//! Soak: hours of simulated time with many instances, floods of failures, outages and clock jumps, in a process whose memory is looked at.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ramp_report::dataset::Dataset;
use ramp_report::report::Report;

use crate::support::rows;
use crate::support::transitions::audit;

/// Largest resident set of ramp, its simulated cluster included.
const AT_MOST_BYTES: u64 = 100_000_000;

/// What a process has taken: time, and the largest resident set.
#[derive(Debug)]
struct Taken {
    time: Duration,
    peak_bytes: u64,
    stderr: String,
}

/// Runs a world in a process of its own.
fn ramp(world: &str, directory: &Path, options: &[&str]) -> Taken {
    let (file, out) = (directory.join("world.yaml"), directory.join("run"));
    fs::write(&file, world).unwrap();
    let run =
        ["run", "--engine", "simulated", "--world", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    watch(&[&run[..], options].concat(), directory)
}

fn watch(arguments: &[&str], directory: &Path) -> Taken {
    let (begun, shown) = (Instant::now(), directory.join("stderr"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
    let stderr = fs::File::create(&shown).unwrap();
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak(&child).unwrap_or(0).max(peak_bytes);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => sleep(Duration::from_millis(20)),
        }
    };
    let stderr = fs::read_to_string(shown).unwrap();
    assert!(status.success(), "{status}: {stderr}");
    Taken { time: begun.elapsed(), peak_bytes, stderr }
}

/// VmHWM of a process.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// The totals of the last step are the rows of pods.csv, whose transitions form paths. Returns the failures.
fn ledger_holds(directory: &Path) -> u32 {
    let account = audit(directory);
    let steps = rows(directory, "steps.csv");
    let last = steps.last().unwrap();
    let total = |column: &str| last[column].parse::<u32>().unwrap();
    assert_eq!(account.of("evicted"), total("evictions_total"));
    assert_eq!(account.of("oom_killed"), total("oom_kills_total"));
    assert_eq!(account.of("failed"), total("failures_total"));
    assert_eq!(account.of("gone"), total("gone_total"));
    assert!(account.there().is_empty(), "all are gone");
    assert_eq!(ramp_format::run_file::read_run(directory).unwrap().rows_lost, 0);
    total("failures_total")
}

/// The report on a directory of many rows.
fn report(directory: &Path) -> Taken {
    let run = directory.join("run");
    watch(&["report", run.to_str().unwrap(), "--json"], directory)
}

const SOAK: &str = "
nodes: [{count: 20, memory: 64Gi, cores: 64, pods: 200, idle: 2Gi}]
load: {memory: 100M, growth_rate: 200M/s, report_every: 5m, cpu: 0.02}
phases: {create: 2s}
machine: {sample_every: 2s}
";

/// Every ten minutes another trouble, and another one after that.
fn troubles() -> String {
    let mut events = String::from("events:\n");
    let mut add = |event: String| events.push_str(&format!("- {{{event}}}\n"));
    for round in 0..12 {
        let at = |seconds: u32| format!("at: {}s", 120 + 600 * round + seconds);
        add(format!(
            "what: {}, {}, lasts: 45s",
            if round % 2 == 0 { "api-hangs" } else { "api-refuses" },
            at(0)
        ));
        add(format!("what: delete, {}, count: 150", at(20)));
        add(format!("what: evict, {}, count: 40, resource: memory", at(90)));
        add(format!("what: oom-kill, {}, count: 60", at(120)));
        add(format!("what: kill, {}, count: 100", at(150)));
        add(format!(
            "what: clock-set, {}, lasts: 100s, node: node-{round}, ahead: {}",
            at(180),
            if round % 2 == 0 { "1h" } else { "-1h" }
        ));
        add(format!("what: refuse-instances, {}, lasts: 60s", at(300)));
        add(format!("what: delete, {}, count: 30", at(301)));
        add(format!("what: probe-silent, {}, lasts: 60s, node: node-1", at(400)));
        add(format!("what: node-not-ready, {}, lasts: 60s, node: node-2", at(400)));
    }
    events
}

#[test]
#[ignore = "needs a release build, and minutes"]
fn two_thousand_instances_for_two_hours_with_outages_floods_and_clock_jumps() {
    let directory = tempfile::tempdir().unwrap();
    let world = format!("{SOAK}{}", troubles());
    let options = ["--from", "200", "--step", "200", "--to", "2000", "--hold", "2h", "--stop", "never"];
    let taken = ramp(&world, directory.path(), &options);
    println!("soak: {:.0?}, peak {} MB", taken.time, taken.peak_bytes / 1_000_000);
    assert!(taken.peak_bytes < AT_MOST_BYTES, "{} bytes", taken.peak_bytes);
    assert!(taken.time < Duration::from_secs(120), "{:?}", taken.time);
    let failures = ledger_holds(&directory.path().join("run"));
    assert!(failures > 5_000, "{failures}");
    let run = ramp_format::run_file::read_run(&directory.path().join("run")).unwrap();
    assert_eq!(
        (run.why_ended.as_deref(), run.held.unwrap().count),
        (Some("all planned steps completed"), 2000)
    );
}

#[test]
#[ignore = "needs a release build, and minutes"]
fn a_thousand_failures_a_minute_for_an_hour_are_all_recorded_and_few_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let world = "nodes: [{count: 2, memory: 64Gi, pods: 5000}]\n\
                 load: {memory: 100M, report_every: 60s}\n\
                 phases: {create: 30ms, schedule: 10ms}\n\
                 events: [{what: refuse-instances, instances: 20}]\n";
    let options = ["--from", "20", "--to", "21", "--step-timeout", "1h", "--hold", "1s", "--stop", "never"];
    let taken = ramp(world, directory.path(), &options);
    println!("flood: {:.0?}, peak {} MB", taken.time, taken.peak_bytes / 1_000_000);
    assert!(taken.peak_bytes < AT_MOST_BYTES, "{} bytes", taken.peak_bytes);
    assert!(taken.time < Duration::from_secs(120), "{:?}", taken.time);
    let failures = ledger_holds(&directory.path().join("run"));
    assert!((50_000..100_000).contains(&failures), "{failures}");
    let lines = taken.stderr.lines().filter(|line| line.contains("OutOfcpu"));
    let (count, counted) = lines.fold((0, 0), |(count, counted), line| {
        (count + 1, if line.contains("in the last 10 s") { counted + 1 } else { counted })
    });
    assert!((300..400).contains(&count) && counted > 300, "{count} lines, {counted} with a count");
    let data = Dataset::read(&directory.path().join("run")).unwrap();
    let report_taken = report(directory.path());
    println!("report: {:.1?}, peak {} MB", report_taken.time, report_taken.peak_bytes / 1_000_000);
    assert!(report_taken.time < Duration::from_secs(30), "{:?}", report_taken.time);
    assert!(report_taken.peak_bytes < 4 * AT_MOST_BYTES, "{} bytes", report_taken.peak_bytes);
    drop(Report::of(vec![data], None));
}
