//! The image built from the Containerfile, under Podman. `WORKLOAD_IMAGE` names it; default: the image of this version.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{IMAGE, Records};

fn image() -> String {
    std::env::var("WORKLOAD_IMAGE").unwrap_or_else(|_| IMAGE.into())
}

/// In a directory of its own: conmon leaves a file `oom` in the working directory after an OOM kill.
fn podman_command() -> Command {
    let mut command = Command::new("podman");
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn podman(args: &[&str]) -> Output {
    let output = podman_command().args(args).output().expect("podman is installed");
    assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn inspect(format: &str) -> String {
    let output = podman(&["image", "inspect", "--format", format, &image()]);
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A container in the foreground that is removed with the value.
struct Container {
    name: String,
    podman: Child,
    records: Records,
}

impl Container {
    fn run(name: &str, options: &[&str], args: &[&str]) -> Self {
        let name = format!("workload-test-{name}-{}", std::process::id());
        let mut command = podman_command();
        command.args(["run", "--rm", "--name", &name]).args(options).arg(image()).args(args);
        command.args(["--format", "json", "--report-every", "100ms"]);
        let mut podman =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("podman is installed");
        let records = Records::of(&mut podman);
        Self { name, podman, records }
    }

    fn next(&mut self) -> Option<Value> {
        self.records.next()
    }

    fn wait_until_holding(&mut self) -> Value {
        let what = format!("{} held what was asked", self.name);
        self.records.wait_for(&what, Duration::from_secs(120), |report| report["phase"] == "holding")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = podman_command().args(["rm", "--force", "--time", "0", &self.name]).output();
        // It may be writing to the pipe of the records, which nobody reads any more.
        let _ = self.podman.kill();
        let _ = self.podman.wait();
    }
}

#[test]
#[ignore = "needs podman"]
fn the_image_is_small_runs_as_nobody_and_says_what_it_is() {
    let size: u64 = inspect("{{.Size}}").parse().expect("a number");
    assert!(size <= 2_200_000, "{size} bytes");
    assert_eq!(inspect("{{.Config.User}}"), "65532:65532");
    assert_eq!(inspect("{{.Config.Entrypoint}}"), "[/workload]");
    assert_eq!(inspect("{{index .Labels \"org.opencontainers.image.licenses\"}}"), "Apache-2.0");
    assert_eq!(inspect("{{index .Labels \"org.opencontainers.image.version\"}}"), env!("CARGO_PKG_VERSION"));
}

#[test]
#[ignore = "needs podman"]
fn it_runs_locked_down_and_reports_the_limits_it_was_given() {
    let options = [
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=65532",
        "--memory=512m",
        "--cpus=0.5",
        "--network=none",
    ];
    let args = ["--memory", "500M", "--cpu", "0.2", "--growth-rate", "instant"];
    let mut container = Container::run("locked-down", &options, &args);
    let report = container.wait_until_holding();
    assert_eq!(report["memory_limit_bytes"], 512 << 20);
    assert_eq!(report["cpu_limit_cores"], 0.5);
    assert_eq!(report["cgroup_oom_kills_total"], 0);
    let resident = report["memory_resident_bytes"].as_u64().expect("a number");
    assert!(resident.abs_diff(500_000_000) <= 64 << 10, "{report}");
    let charged = report["cgroup_memory_bytes"].as_u64().expect("a number");
    assert!((498_000_000..512 << 20).contains(&charged), "{report}");
}

/// Its main process as the host sees it, by a key of `/proc/PID/status`.
fn status_of(container: &Container, key: &str) -> String {
    let output = podman(&["inspect", "--format", "{{.State.Pid}}", &container.name]);
    let pid = String::from_utf8(output.stdout).expect("UTF-8");
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("it runs");
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.expect("the kernel tells").trim().to_owned()
}

#[test]
#[ignore = "needs podman"]
fn under_the_default_seccomp_profile_nothing_is_refused_that_it_needs() {
    let args = ["--memory", "50M", "--cpu", "0.1", "--growth-rate", "instant", "--listen", "127.0.0.1:8080"];
    let mut container = Container::run("seccomp", &["--cap-drop=ALL", "--network=none"], &args);
    let report = container.wait_until_holding();
    assert_eq!(status_of(&container, "Seccomp"), "2", "a filter is in force");
    let resident = report["memory_resident_bytes"].as_u64().expect("a number");
    assert!(resident.abs_diff(50_000_000) <= 64 << 10, "{report}");
    let burnt = container.next().expect("it goes on");
    assert!(burnt["cpu_used_seconds_total"].as_f64().expect("a number") > 0.0, "{burnt}");
}

#[test]
#[ignore = "needs podman"]
fn under_a_seccomp_profile_that_refuses_clone3_all_of_its_threads_run() {
    // As that of Docker before 20.10.10 answers it. The C library falls back on clone for ENOSYS alone.
    const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}"#;
    let mut profile = tempfile::NamedTempFile::new().expect("a file");
    profile.write_all(PROFILE.as_bytes()).expect("room for it");
    let profile = format!("seccomp={}", profile.path().display());
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    let options = [&["--network=none", "--security-opt", &profile][..], &limits].concat();
    let args = ["--memory", "20M", "--growth-rate", "instant", "--cpu", "max"];
    let mut container = Container::run("clone3", &options, &args);
    let first = container.next().expect("a first record");
    container.wait_until_holding();
    assert_eq!(status_of(&container, "Seccomp"), "2", "a filter is in force");
    // The main thread, those of reports and memory, and one per CPU; that of messages where there was one.
    let threads: u64 = status_of(&container, "Threads").parse().expect("a number");
    let cpus = first["cpus"].as_u64().expect("a number");
    assert!((3 + cpus..=4 + cpus).contains(&threads), "{threads} threads on {cpus} CPUs: {first}");
}

#[test]
#[ignore = "needs podman"]
fn killed_at_its_limit_it_leaves_its_last_words_with_the_engine() {
    const LIMIT: u64 = 64 << 20;
    let args = ["--memory", "max", "--growth-rate", "instant"];
    let mut container = Container::run("oom", &["--memory=64m", "--network=none"], &args);
    let last = container.records.last();
    assert_eq!(container.podman.wait().expect("it is ours").code(), Some(137), "{last}");
    let headroom = last["memory_headroom_bytes"].as_u64().expect("a number");
    assert!(headroom <= LIMIT / 100 + (1 << 20), "{headroom} bytes were left at the last report: {last}");
}

#[test]
#[ignore = "needs podman"]
fn as_process_1_it_ends_on_sigterm_with_its_last_record() {
    let mut container =
        Container::run("stop", &["--network=none"], &["--memory", "50M", "--growth-rate", "instant"]);
    container.wait_until_holding();
    // Ten seconds later podman would kill it, with status 137.
    podman(&["stop", "--time", "10", &container.name]);
    let last = container.records.last();
    assert_eq!((&last["record"], &last["reason"]), (&Value::from("end"), &Value::from("SIGTERM")));
    assert_eq!(container.podman.wait().expect("it is ours").code(), Some(0));
}
