//! Limits that are really set, found by the program inside of them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use support::Cgroup;

/// Runs to the end in a cgroup; the last record.
fn run_in(cgroup: &Cgroup, args: &[&str]) -> Value {
    let mut command = support::workload();
    command.args(args).args(["--format", "json", "--log", "error"]).stdout(std::process::Stdio::piped());
    let (child, _) = cgroup.spawn(&mut command).expect("the program starts");
    let output = child.wait_with_output().expect("it is ours");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(text.lines().last().expect("a record")).expect("JSON")
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_memory_limit_is_found_with_the_cgroup_that_sets_it() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(256 << 20);
    let last = run_in(&cgroup, &["--memory", "25%", "--growth-rate", "instant", "--duration", "1s"]);
    assert_eq!(last["memory_limit_bytes"], 256 << 20);
    assert!(last["memory_limit_cgroup"].as_str().expect("a path").contains("workload-test"), "{last}");
    assert_eq!(last["memory_target_bytes"], 64 << 20, "a percentage is of the limit");
    let charged = last["cgroup_memory_bytes"].as_u64().expect("a number");
    assert!((60 << 20..80 << 20).contains(&charged), "{last}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_quota_below_the_ask_is_reported_with_its_throttling() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_quota(Some(0.2));
    let last = run_in(&cgroup, &["--cpu", "0.5", "--duration", "3s"]);
    assert_eq!(last["cpu_limit_cores"], 0.2);
    assert!(last["cpu_limit_cgroup"].as_str().expect("a path").contains("workload-test"), "{last}");
    assert!(last["cpu_throttled_periods_total"].as_u64().expect("a number") > 10, "{last}");
    assert!(last["cpu_throttled_seconds_total"].as_f64().expect("a number") > 0.5, "{last}");
    assert!(last["cpu_given_up_seconds_total"].as_f64().expect("a number") > 0.5, "{last}");
    let used = last["cpu_used_seconds_total"].as_f64().expect("a number");
    assert!((0.5..0.7).contains(&used), "{last}");
}
