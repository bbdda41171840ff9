//! Real cgroup limits: how they are found, and what happens when they are reached.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
#[path = "../support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use support::cgroup::Cgroup;
use support::{Records, Running, number};

const MIB: u64 = 1 << 20;

/// The program inside of a cgroup, and its reports.
struct Inside {
    running: Running,
    records: Records,
}

impl Inside {
    fn start(cgroup: &Cgroup, args: &[&str]) -> Self {
        let mut command = support::workload();
        command.args(args).args(["--format", "json", "--log", "error"]).stdout(Stdio::piped());
        let (mut child, _) = cgroup.spawn(&mut command).expect("the program starts");
        let records = Records::of(&mut child);
        Self { running: Running { child, started: Instant::now() }, records }
    }

    fn wait_for(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.records.wait_for(what, Duration::from_secs(20), condition)
    }

    /// Reads to the end: the last record, and how it ended.
    fn finish(mut self) -> (Value, ExitStatus) {
        (self.records.last(), self.running.child.wait().expect("it is ours"))
    }
}

/// Runs to the end in a cgroup; the last record.
fn run_in(cgroup: &Cgroup, args: &[&str]) -> Value {
    Inside::start(cgroup, args).finish().0
}

fn bytes(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} of {report}"))
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_memory_limit_is_found_with_the_cgroup_that_sets_it() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(256 * MIB);
    let last = run_in(&cgroup, &["--memory", "25%", "--growth-rate", "instant", "--duration", "1s"]);
    assert_eq!(last["memory_limit_bytes"], 256 * MIB);
    assert!(last["memory_limit_cgroup"].as_str().expect("a path").contains("workload-test"), "{last}");
    assert_eq!(last["memory_target_bytes"], 64 * MIB, "a percentage is of the limit");
    let charged = bytes(&last, "cgroup_memory_bytes");
    // Its files may be charged to whoever read them first.
    assert!((bytes(&last, "memory_anon_bytes")..80 * MIB).contains(&charged), "{last}");
    let headroom = bytes(&last, "memory_headroom_bytes");
    assert!((charged + headroom).abs_diff(256 * MIB) < MIB, "{last}");
    assert!(bytes(&last, "cgroup_memory_peak_bytes") >= charged, "{last}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_quota_below_the_ask_is_reported_with_its_throttling() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_quota(Some(0.2));
    let last = run_in(&cgroup, &["--cpu", "0.5", "--duration", "3s"]);
    assert_eq!(last["cpu_limit_cores"], 0.2);
    assert!(last["cpu_limit_cgroup"].as_str().expect("a path").contains("workload-test"), "{last}");
    assert!(bytes(&last, "cpu_throttled_periods_total") > 10, "{last}");
    assert!(number(&last, "cpu_throttled_seconds_total") > 0.5, "{last}");
    assert!(number(&last, "cpu_given_up_seconds_total") > 0.5, "{last}");
    assert!((0.5..0.7).contains(&number(&last, "cpu_used_seconds_total")), "{last}");
}

/// Grows past a limit until it is killed: the last report has to be whole, and no more than a step behind.
fn is_killed_after_its_last_words(args: &[&str]) {
    const LIMIT: u64 = 128 * MIB;
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(LIMIT);
    let (last, status) = Inside::start(&cgroup, args).finish();
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{last}");
    assert_eq!(last["memory_limit_bytes"], LIMIT);
    // A percent is a step; page tables and what the kernel charges ahead for each CPU come on top.
    let headroom = bytes(&last, "memory_headroom_bytes");
    assert!(headroom <= LIMIT / 100 + MIB, "{headroom} bytes were left at the last report: {last}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn max_memory_is_killed_at_its_limit_after_its_last_words() {
    is_killed_after_its_last_words(&["--memory", "max", "--growth-rate", "instant"]);
    is_killed_after_its_last_words(&["--memory", "max", "--growth-rate", "100M/s"]);
    // In steps of its own, far larger than a percent.
    is_killed_after_its_last_words(&["--memory", "max", "--growth-rate", "100M/s", "--growth-step", "25M"]);
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_limit_below_the_ask_kills_after_the_last_words() {
    // The pages of the program itself may be charged to another cgroup: so much less that it cannot fit.
    is_killed_after_its_last_words(&["--memory", "145M", "--growth-rate", "instant"]);
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_limit_just_above_the_ask_holds_it() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(128 * MIB);
    let args = ["--memory", "132M", "--growth-rate", "instant", "--duration", "1500ms"];
    let (last, status) = Inside::start(&cgroup, &args).finish();
    assert!(status.success(), "{status} {last}");
    assert_eq!(last["phase"], "holding");
    assert!(bytes(&last, "memory_resident_bytes").abs_diff(132_000_000) <= 64 << 10, "{last}");
}

#[test]
#[ignore = "needs cgroup v1"]
fn waiting_for_memory_at_a_limit_that_does_not_kill_it_still_reports_and_ends() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(64 * MIB);
    cgroup.disable_oom_killer();
    let args = ["--memory", "100M", "--growth-rate", "instant", "--cpu", "0.1", "--report-every", "200ms"];
    let mut inside = Inside::start(&cgroup, &args);
    let stuck = inside.wait_for("it to be out of memory", |report| report["phase"] == "limited");
    assert_eq!(stuck["cgroup_oom_kill_disabled"], 1);
    let later = inside.wait_for("reports to go on", |report| {
        number(report, "elapsed_seconds") > number(&stuck, "elapsed_seconds") + 1.0
    });
    assert_eq!(later["phase"], "limited", "{later}");
    assert!(bytes(&later, "memory_populated_bytes") > 55 * MIB, "{later}");
    assert!(
        number(&later, "elapsed_seconds") < number(&stuck, "elapsed_seconds") + 2.0,
        "reports were lost: {later}"
    );
    let begin = Instant::now();
    inside.running.signal(Signal::SIGTERM);
    let (last, status) = inside.finish();
    assert!(begin.elapsed() < Duration::from_secs(1), "it took {:?} to end", begin.elapsed());
    assert!(status.success(), "{status}");
    assert_eq!(last["reason"], "SIGTERM");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn more_cores_than_its_cpuset_has_are_given_up_and_told() {
    let cgroup = Cgroup::with_cpus("0").expect("root can");
    let mut command = support::workload();
    command.args(["--cpu", "1.5", "--duration", "2s", "--format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (child, _) = cgroup.spawn(&mut command).expect("the program starts");
    let output = child.wait_with_output().expect("it is ours");
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("more than the 1 CPU"), "{warning}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let record = |line: Option<&str>| serde_json::from_str::<Value>(line.expect("a record")).expect("JSON");
    let (first, last) = (record(text.lines().next()), record(text.lines().last()));
    assert_eq!((&first["cpus"], &first["cpuset_cpus"]), (&Value::from(1), &Value::from(1)));
    assert!(first["cpuset_cgroup"].as_str().expect("a path").contains("workload-test"), "{first}");
    assert!(number(&last, "cpu_used_seconds_total") < 2.1, "{last}");
    assert!(number(&last, "cpu_given_up_seconds_total") > 0.5, "{last}");
}

/// The load in a cgroup of two CPUs, where it wants five threads, with what it says on standard error.
fn with_threads(cgroup: &Cgroup, threads: u64, args: &[&str]) -> (Inside, ChildStderr) {
    cgroup.set_thread_limit(threads);
    let mut command = cgroup.enter(&[support::WORKLOAD, "--cpu", "1.5", "--format", "json"]);
    command.args(["--report-every", "100ms", "--duration", "20s"]).args(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("there is a shell");
    let (stderr, records) = (child.stderr.take().expect("a pipe"), Records::of(&mut child));
    (Inside { running: Running { child, started: Instant::now() }, records }, stderr)
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn with_too_few_threads_it_says_which_limit_to_raise_and_how_many_it_needs() {
    let cgroup = Cgroup::with_cpus("0-1").expect("root can");
    for (threads, doing) in [(1, "the thread that writes reports"), (2, "the threads that burn CPU")] {
        let (inside, stderr) = with_threads(&cgroup, threads, &[]);
        let (_, status) = inside.finish();
        let words = std::io::read_to_string(stderr).expect("UTF-8");
        assert_eq!(status.code(), Some(1), "{words}");
        for told in [
            format!("cannot start {doing}: "),
            "this process needs 5 threads; ".into(),
            format!("pids.max (podman --pids-limit) is {threads} in cgroup /workload-test-"),
        ] {
            assert!(words.contains(&told), "{told}: {words}");
        }
    }
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn with_some_of_its_cpu_threads_it_burns_what_it_can_and_asks_for_the_others_again() {
    let cgroup = Cgroup::with_cpus("0-1").expect("root can");
    let (mut inside, stderr) = with_threads(&cgroup, 3, &[]);
    let begun = inside.wait_for("half a second", |report| number(report, "elapsed_seconds") > 0.5);
    let id = inside.running.child.id();
    assert_eq!(support::threads(id, "workload-burn"), 1);
    let given_up = number(&begun, "cpu_given_up_seconds_total");
    inside.wait_for("more to be given up", |report| number(report, "cpu_given_up_seconds_total") > given_up);
    cgroup.allow_threads();
    inside.wait_for("another thread", |_| support::threads(id, "workload-burn") == 2);
    inside.running.signal(Signal::SIGTERM);
    let (_, status) = inside.finish();
    assert!(status.success(), "{status}");
    let words = std::io::read_to_string(stderr).expect("UTF-8");
    assert!(words.contains("only 1 of 2 threads burn CPU") && words.contains("pids.max"), "{words}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn with_on_failure_exit_a_refused_thread_ends_it_with_status_3() {
    let cgroup = Cgroup::with_cpus("0-1").expect("root can");
    let (last, status) = with_threads(&cgroup, 3, &["--on-failure", "exit"]).0.finish();
    assert_eq!(status.code(), Some(3), "{last}");
    assert_eq!(last["reason"], "threads to burn CPU were refused");
}

#[test]
#[ignore = "needs root"]
fn a_limit_on_the_processes_of_its_user_is_named() {
    // A user that has no other processes.
    let user = (1 << 30) + std::process::id();
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--clear-groups", "prlimit", "--nproc=1", "--core=0"]);
    let output = command.args([support::WORKLOAD, "--cpu", "0.5"]).output().expect("util-linux has it");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("needs 4 threads; RLIMIT_NPROC (ulimit -u) is 1 for all processes"), "{words}");
}

#[test]
#[ignore = "needs cgroup v1"]
fn in_a_cgroup_of_any_depth_24_descriptors_are_enough() {
    // The innermost is removed first.
    let mut cgroups = VecDeque::from([Cgroup::new().expect("root can")]);
    cgroups[0].set_memory_limit(300 * MIB);
    for _ in 0..24 {
        cgroups.push_front(cgroups[0].nested().expect("root can"));
    }
    let mut command = cgroups[0].enter(&["prlimit", "--nofile=24:24", support::WORKLOAD]);
    command.args(["--memory", "20M", "--growth-rate", "instant", "--cpu", "0.1", "--listen", "127.0.0.1:0"]);
    let output =
        command.args(["--duration", "300ms", "--format", "json"]).output().expect("there is a shell");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !words.contains("open files"), "{words}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last: Value = serde_json::from_str(text.lines().last().expect("a record")).expect("JSON");
    assert_eq!(last["memory_limit_bytes"], 300 * MIB, "the one of the outermost: {last}");
    assert!(last["cgroup_memory_bytes"].is_u64() && last["cpu_periods_total"].is_u64(), "{last}");
}

/// The last record of a command that a shell runs, with `$WORKLOAD` for the program.
fn last_record_of(script: &str) -> Value {
    let output = Command::new("sh")
        .args(["-c", script])
        .env("WORKLOAD", support::WORKLOAD)
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(text.lines().last().expect("a record")).expect("JSON")
}

#[test]
#[ignore = "needs root"]
fn without_proc_it_holds_what_was_asked_and_says_what_it_cannot_see() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::copy(support::WORKLOAD, root.path().join("workload")).expect("room for it");
    let command =
        "chroot ROOT /workload --memory 20M --growth-rate instant --cpu 0.2 --duration 1s --format json";
    let last = last_record_of(&command.replace("ROOT", &root.path().display().to_string()));
    for unknown in [
        "memory_resident_bytes",
        "memory_limit_bytes",
        "cpu_limit_cores",
        "machine_memory_bytes",
        "cgroup_memory_bytes",
        "cpuset_cpus",
        "machine_memory_pressure_some_seconds_total",
    ] {
        assert_eq!(last[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(last["phase"], "holding");
    assert!(bytes(&last, "memory_populated_bytes").abs_diff(20_000_000) < 3_000_000, "{last}");
    assert!(number(&last, "cpu_used_seconds_total") > 0.1, "{last}");
}

#[test]
#[ignore = "needs root"]
fn with_a_proc_that_hides_others_it_still_sees_itself() {
    let last = last_record_of(
        "exec unshare --mount --pid --fork sh -c 'mount -t proc -o hidepid=2 proc /proc && \
         exec setpriv --reuid=65532 --regid=65532 --clear-groups \
         \"$WORKLOAD\" --memory 20M --growth-rate instant --duration 1s --format json'",
    );
    assert!(bytes(&last, "memory_resident_bytes").abs_diff(20_000_000) <= 64 << 10, "{last}");
    assert!(last["machine_memory_bytes"].is_u64(), "{last}");
}
