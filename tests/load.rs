//! The load by the kernel's counters, and its exit status.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Records, Running, WORKLOAD, number, rollup};

/// A running load and its reports.
struct Load {
    running: Running,
    records: Records,
}

impl Load {
    fn start(args: &[&str]) -> Self {
        Self::spawn(support::workload().args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        command.args(["--format", "json", "--report-every", "50ms", "--log", "error"]);
        if command.get_args().all(|arg| arg != "--duration") {
            // It ends by itself where a test waits for what does not come.
            command.args(["--duration", "60s"]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let records = Records::of(&mut child);
        Self { running: Running { child, started: Instant::now() }, records }
    }

    fn next(&mut self) -> Option<Value> {
        self.records.next()
    }

    /// The first report of which `condition` is true.
    fn wait_for(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        // It ends by itself before that.
        self.records.wait_for(what, Duration::from_secs(120), condition)
    }

    fn wait_until_holding(&mut self) -> Value {
        self.wait_for("it held what was asked", |report| report["phase"] == "holding")
    }

    /// Reads to the end: the last record and the exit status.
    fn finish(mut self) -> (Value, Option<i32>) {
        (self.records.last(), self.running.child.wait().expect("it is ours").code())
    }

    fn rollup(&self, key: &str) -> u64 {
        rollup(self.running.child.id(), key).expect("Linux 4.14 and later have it")
    }
}

#[test]
fn the_resident_set_is_the_figure_asked_for_own_overhead_included() {
    for (text, bytes) in [("10M", 10_000_000), ("50Mi", 52_428_800)] {
        let mut load = Load::start(&["--memory", text, "--growth-rate", "instant"]);
        let report = load.wait_until_holding();
        let resident = load.rollup("Rss");
        assert!(resident.abs_diff(bytes) <= 64 << 10, "{text}: {resident}");
        let told = report["memory_resident_bytes"].as_u64().expect("a number");
        assert!(told.abs_diff(resident) <= 64 << 10, "{text}: told {told}, is {resident}");
    }
}

#[test]
fn memory_grows_along_its_line_and_no_further_than_the_target() {
    let mut load = Load::start(&["--memory", "20M", "--growth-rate", "40M/s"]);
    load.next().expect("a first record");
    // How far each report is behind the line.
    let mut behind = Vec::new();
    loop {
        let report = load.next().expect("it goes on");
        if report["phase"] == "holding" {
            break;
        }
        let (wanted, resident) =
            (number(&report, "memory_wanted_bytes"), number(&report, "memory_resident_bytes"));
        assert!(resident <= 20e6 + 65_536.0, "{report}");
        // The file pages that it touches on the way come on top of the line.
        assert!(resident <= wanted + 524_288.0, "{report}");
        behind.push(wanted - resident);
    }
    assert!(behind.len() > 3, "half a second has several reports: {behind:?}");
    // One tick of growing is 0.4 MB; a busy machine may delay some of the reports' neighbours, not most.
    behind.sort_by(f64::total_cmp);
    assert!(behind[behind.len() / 2] < 1.5e6, "{behind:?}");
}

#[test]
fn growth_in_steps_holds_still_in_between() {
    // A step a second: on a busy machine, populating one takes a third of that.
    let mut load = Load::start(&["--memory", "30M", "--growth-rate", "10M/s", "--growth-step", "10M"]);
    let mut sizes = Vec::new();
    loop {
        let report = load.next().expect("it goes on");
        sizes.push(report["memory_populated_bytes"].as_u64().expect("a number"));
        if report["phase"] == "holding" {
            break;
        }
    }
    sizes.pop();
    // A report may fall into the middle of a step, so some but not all are whole.
    let whole =
        sizes.iter().filter(|size| **size % 10_000_000 < 4096 || **size % 10_000_000 > 9_995_000).count();
    assert!(whole * 2 > sizes.len(), "{sizes:?}");
}

#[test]
fn no_huge_pages_are_used_unless_asked_for() {
    let mut load = Load::start(&["--memory", "20M", "--growth-rate", "instant"]);
    load.wait_until_holding();
    assert_eq!(load.rollup("AnonHugePages"), 0);
}

#[test]
fn cpu_time_follows_the_schedule_but_for_what_is_given_up() {
    let mut load =
        Load::start(&["--cpu", "0.2", "--memory", "20M", "--growth-rate", "instant", "--duration", "3s"]);
    load.wait_until_holding();
    let (last, status) = load.finish();
    assert_eq!(status, Some(0));
    let wanted = number(&last, "cpu_wanted_seconds_total");
    let used = number(&last, "cpu_used_seconds_total");
    let given_up = number(&last, "cpu_given_up_seconds_total");
    assert!((wanted - 0.6).abs() < 1e-6, "{last}");
    // A busy machine may keep it from up to a quarter of a second's worth at the end, never make it use more.
    assert!(used <= wanted * 1.01, "{last}");
    assert!(used + given_up >= wanted - 0.25 * 0.2, "{last}");
    assert!(number(&last, "work_units_total") > 1000.0, "{last}");
}

#[test]
fn after_a_stop_what_was_missed_is_given_up_and_not_caught_up() {
    let mut load = Load::start(&["--cpu", "0.2"]);
    load.wait_for("half a second", |report| number(report, "elapsed_seconds") > 0.5);
    load.running.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(1500));
    load.running.signal(Signal::SIGCONT);
    let report = load.wait_for("three seconds", |report| number(report, "elapsed_seconds") > 3.0);
    // 1.25 s of a fifth of a core at least, as 0.25 s may be caught up.
    assert!(number(&report, "cpu_given_up_seconds_total") > 0.24, "{report}");
    let wanted = number(&report, "cpu_wanted_seconds_total");
    let accounted = number(&report, "cpu_used_seconds_total") + number(&report, "cpu_given_up_seconds_total");
    assert!(accounted < wanted + 0.02, "{report}");
}

#[test]
fn sigterm_sigint_and_sighup_end_it_with_status_0_and_a_last_record() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        for mode in [&["--memory", "20M", "--cpu", "0.1"][..], &["node"]] {
            let mut load = Load::start(mode);
            load.next().expect("a first record");
            load.running.signal(signal);
            let (last, status) = load.finish();
            assert_eq!(status, Some(0));
            let reason = Value::from(signal.as_str());
            assert_eq!((&last["record"], &last["reason"]), (&Value::from("end"), &reason));
        }
    }
}

#[test]
fn a_hangup_that_is_ignored_as_under_nohup_does_not_end_it() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", WORKLOAD]);
    let mut load = Load::spawn(&mut command);
    load.next().expect("a first record");
    load.running.signal(Signal::SIGHUP);
    for _ in 0..3 {
        assert_eq!(load.next().expect("it goes on")["record"], "report");
    }
    load.running.signal(Signal::SIGTERM);
    let (last, status) = load.finish();
    assert_eq!((&last["reason"], status), (&Value::from("SIGTERM"), Some(0)));
}

/// Runs to its end with so many descriptors: the records, the exit status, and standard error.
fn with_descriptors(limit: &str, mode: &[&str]) -> (Vec<Value>, Option<i32>, String) {
    let mut command = Command::new("prlimit");
    command.args([&format!("--nofile={limit}"), WORKLOAD]).args(mode);
    command.args(["--listen", "127.0.0.1:0", "--duration", "300ms", "--format", "json"]);
    let output = command.stdin(Stdio::null()).output().expect("util-linux has it");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let records = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (records, output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const MODES: [&[&str]; 2] = [&["--memory", "10M", "--growth-rate", "instant", "--cpu", "0.1"], &["node"]];

#[test]
fn with_24_descriptors_nothing_is_missing() {
    let nulls = |records: &[Value]| -> Vec<String> {
        let last = records.last().and_then(Value::as_object).expect("a record");
        last.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect()
    };
    for mode in MODES {
        let (records, status, words) = with_descriptors("24:24", mode);
        assert_eq!(status, Some(0), "{words}");
        assert!(!words.contains("open files"), "{words}");
        assert_eq!(nulls(&records), nulls(&with_descriptors("1024:1024", mode).0));
    }
}

#[test]
fn with_too_few_descriptors_it_says_what_it_was_doing_and_how_many_are_enough() {
    for (limit, doing) in [("3", "cannot wait for signals"), ("5", "--listen 127.0.0.1:0")] {
        for mode in MODES {
            let (_, status, words) = with_descriptors(limit, mode);
            assert_eq!(status, Some(1), "{words}");
            assert!(words.contains(&format!("{doing}: Too many open files")), "{words}");
            let limit =
                format!("the limit on open files is {limit} (RLIMIT_NOFILE, ulimit -n); 24 are enough");
            assert!(words.contains(&limit), "{words}");
        }
    }
}

#[test]
fn a_limit_on_descriptors_lowered_below_those_in_use_changes_nothing_but_a_warning() {
    let mut command = support::workload();
    command.args(["--report-every", "50ms", "--format", "json", "--duration", "60s"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let (mut stderr, mut records) = (child.stderr.take().expect("a pipe"), Records::of(&mut child));
    let running = Running { child, started: Instant::now() };
    // From the second record on it has all that it needs.
    records.next().and_then(|_| records.next()).expect("two records");
    let pid = running.child.id().to_string();
    let lowered = Command::new("prlimit").args(["--nofile=2", "--pid", &pid]).status();
    assert!(lowered.expect("util-linux has it").success());
    let first = records.next().expect("it goes on");
    let times =
        |record: &Value| ["elapsed_seconds", "cpu_used_seconds_total"].map(|field| number(record, field));
    let [begin, cpu_before] = times(&first);
    let mut apart = Vec::new();
    let (mut elapsed, mut cpu) = (begin, cpu_before);
    while elapsed < begin + 1.0 {
        let [now, cpu_now] = times(&records.next().expect("it goes on"));
        apart.push(now - elapsed);
        (elapsed, cpu) = (now, cpu_now);
    }
    // Of a core; at rest it takes a thousandth.
    assert!((cpu - cpu_before) / (elapsed - begin) < 0.3, "{cpu_before} {cpu} {begin} {elapsed}");
    // A busy machine may delay some reports, not most.
    apart.sort_by(f64::total_cmp);
    assert!(apart[apart.len() / 2] < 0.075, "{apart:?}");
    running.signal(Signal::SIGTERM);
    let mut load = Load { running, records };
    assert_eq!(load.records.last()["reason"], "SIGTERM");
    assert_eq!(load.running.child.wait().expect("it is ours").code(), Some(0));
    let mut words = String::new();
    stderr.read_to_string(&mut words).expect("UTF-8");
    assert_eq!(words.matches("cannot wait for signals").count(), 1, "{words}");
}

#[test]
#[ignore = "needs root, to be in many groups"]
fn in_thousands_of_groups_the_resident_set_is_told_all_the_same() {
    let groups: Vec<String> = (1_000_000_000..1_000_004_000).map(|id| id.to_string()).collect();
    let mut command = Command::new("setpriv");
    command.args(["--groups", &groups.join(","), WORKLOAD, "--memory", "20M", "--growth-rate", "instant"]);
    let mut load = Load::spawn(&mut command);
    let report = load.wait_until_holding();
    let resident = report["memory_resident_bytes"].as_u64().expect("a number");
    assert!(resident.abs_diff(20_000_000) <= 64 << 10, "{report}");
    // The rest is the program's file, which is larger in a build for tests.
    assert!(number(&report, "memory_anon_bytes") > 10e6, "{report}");
    assert_eq!(report["memory_swap_bytes"], Value::Null, "not known is not 0");
}

/// The load under a limit on its address space.
fn under_address_space(bytes: u64, args: &[&str]) -> Load {
    Load::spawn(Command::new("prlimit").arg(format!("--as={bytes}:unlimited")).arg(WORKLOAD).args(args))
}

#[test]
fn a_refused_allocation_keeps_what_is_held_and_growth_goes_on_when_the_limit_is_raised() {
    let mut load = under_address_space(100_000_000, &["--memory", "150M", "--growth-rate", "instant"]);
    let report = load.wait_for("an allocation failed", |report| report["phase"] == "limited");
    assert!(number(&report, "failed_allocations_total") > 0.0, "{report}");
    // Halved down to a page: all but the program's own address space is used.
    let resident = number(&report, "memory_resident_bytes");
    assert!(resident > 90e6, "{report}");
    let pid = load.running.child.id().to_string();
    let raised = Command::new("prlimit").args(["--as=unlimited:unlimited", "--pid", &pid]).status();
    assert!(raised.expect("util-linux has it").success());
    load.wait_until_holding();
    assert!(load.rollup("Rss").abs_diff(150_000_000) <= 64 << 10);
}

#[test]
fn a_refused_allocation_is_told_once() {
    let mut command = Command::new("prlimit");
    command.args([
        "--as=100000000",
        WORKLOAD,
        "--memory",
        "150M",
        "--growth-rate",
        "instant",
        "--duration",
        "60s",
    ]);
    command.args(["--format", "json", "--report-every", "50ms"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("util-linux has it");
    let mut stderr = child.stderr.take().expect("piped");
    let records = Records::of(&mut child);
    let mut load = Load { running: Running { child, started: Instant::now() }, records };
    let failures = |report: &Value| number(report, "failed_allocations_total");
    let limited = load.wait_for("an allocation failed", |report| report["phase"] == "limited");
    load.wait_for("another attempt failed", |report| failures(report) > failures(&limited));
    load.running.signal(Signal::SIGTERM);
    let (_, status) = load.finish();
    assert_eq!(status, Some(0));
    let mut message = String::new();
    stderr.read_to_string(&mut message).expect("UTF-8");
    assert_eq!(message.matches("no more memory can be allocated").count(), 1, "{message}");
}

#[test]
fn with_on_failure_exit_a_refused_allocation_ends_it_with_status_3() {
    let args = ["--memory", "150M", "--growth-rate", "instant", "--on-failure", "exit"];
    let (last, status) = under_address_space(100_000_000, &args).finish();
    assert_eq!(status, Some(3));
    assert_eq!(last["reason"], "memory could not be allocated");
    assert!(number(&last, "memory_resident_bytes") > 90e6, "what was reached: {last}");
}

#[test]
fn more_than_the_machine_has_is_a_warning_and_with_on_failure_exit_status_3() {
    let mut command = Command::new(WORKLOAD);
    let output =
        command.args(["--cpu", "100000", "--duration", "20ms"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("--cpu 100000 is more than the"), "{message}");
    for ask in [["--cpu", "100000"], ["--memory", "1E"], ["--memory", "1k"]] {
        let (last, status) = Load::start(&[&ask[..], &["--on-failure", "exit"]].concat()).finish();
        assert_eq!(status, Some(3));
        let reason = last["reason"].as_str().expect("words");
        assert!(reason.starts_with(&ask.join(" ")), "{reason}");
    }
}

#[test]
fn max_memory_grows_until_stopped() {
    let mut load = Load::start(&["--memory", "max", "--growth-rate", "50M/s"]);
    let report = load.wait_for("20 MB", |report| number(report, "memory_resident_bytes") > 20e6);
    assert_eq!(report["phase"], "growing");
    assert_eq!(report["memory_target_bytes"], "unlimited");
}
