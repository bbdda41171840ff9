//! Limits that change at run time, and moves between cgroups.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::cgroup::Cgroup;
use super::support::{self, Records, Running, number};
use super::{Inside, MIB, bytes};

/// CPU time wanted, used and given up from one record, or the start, to another.
fn cpu_seconds(from: Option<&Value>, to: &Value) -> [f64; 3] {
    ["cpu_wanted_seconds_total", "cpu_used_seconds_total", "cpu_given_up_seconds_total"]
        .map(|field| number(to, field) - from.map_or(0.0, |from| number(from, field)))
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_percentage_of_memory_follows_its_limit() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(100 * MIB);
    let args = ["--memory", "80%", "--growth-rate", "instant", "--report-every", "100ms"];
    let mut inside = Inside::start(&cgroup, &args);
    // Down no further than what is held: v1 would refuse it, v2 kill.
    for limit in [100 * MIB, 200 * MIB, 170 * MIB] {
        cgroup.set_memory_limit(limit);
        let target = limit / 5 * 4;
        let report = inside.wait_for("80 % of the limit", |report| {
            report["phase"] == "holding" && report["memory_target_bytes"] == target
        });
        let resident = bytes(&report, "memory_resident_bytes");
        assert!(resident.abs_diff(target) <= 64 << 10, "{resident} of {target}: {report}");
    }
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_percentage_of_cpu_follows_its_quota() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_quota(Some(0.2));
    let mut inside = Inside::start(&cgroup, &["--cpu", "50%", "--report-every", "500ms"]);
    for quota in [0.2, 1.6, 0.4] {
        cgroup.set_quota(Some(quota));
        let before = inside.wait_for("half of the quota", |report| {
            (number(report, "cpu_wanted_cores") - quota / 2.0).abs() < 1e-9
        });
        let settled = inside.wait_for("it to settle", |report| {
            number(report, "elapsed_seconds") > number(&before, "elapsed_seconds") + 1.4
        });
        let after = inside.wait_for("a second more", |report| {
            number(report, "elapsed_seconds") > number(&settled, "elapsed_seconds") + 0.9
        });
        let [_, used, given_up] = cpu_seconds(Some(&settled), &after);
        let time = number(&after, "elapsed_seconds") - number(&settled, "elapsed_seconds");
        // Other tests run beside this one: what could not be had is no fault.
        let off = (used + given_up) / time - quota / 2.0;
        assert!(off.abs() < 0.1 * quota, "{used} s and {given_up} s given up in {time} s at {quota}");
    }
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_limit_is_followed_also_where_reports_are_rare() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_memory_limit(100 * MIB);
    let mut inside =
        Inside::start(&cgroup, &["--memory", "50%", "--growth-rate", "instant", "--report-every", "1h"]);
    inside.wait_for("half of the limit", |report| report["phase"] == "holding");
    cgroup.set_memory_limit(200 * MIB);
    // A report comes with each change of the phase.
    let report = inside.wait_for("half of the new one", |report| {
        report["phase"] == "holding" && report["memory_target_bytes"] == 100 * MIB
    });
    assert!(number(&report, "elapsed_seconds") < 60.0, "{report}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_quota_that_changes_again_and_again_loses_no_cpu_time() {
    let cgroup = Cgroup::new().expect("root can");
    cgroup.set_quota(Some(0.2));
    let mut inside = Inside::start(&cgroup, &["--cpu", "50%", "--report-every", "100ms"]);
    for quota in [2.0, 0.2].into_iter().cycle().take(8) {
        cgroup.set_quota(Some(quota));
        inside
            .wait_for("half of it", |report| (number(report, "cpu_wanted_cores") - quota / 2.0).abs() < 1e-9);
    }
    let last = inside.wait_for("the next report", |_| true);
    let [wanted, used, given_up] = cpu_seconds(None, &last);
    assert!(wanted > 2.0, "it has followed: {last}");
    // What one worker may still be behind or ahead by; each of the changes may have lost as much.
    assert!((wanted - used - given_up).abs() < 0.05, "{used} s used and {given_up} s given up of {wanted} s");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_program_that_is_moved_goes_by_its_new_cgroup() {
    let (first, second) = (Cgroup::new().expect("root can"), Cgroup::new().expect("root can"));
    first.set_memory_limit(100 * MIB);
    first.set_quota(Some(0.2));
    second.set_memory_limit(150 * MIB);
    second.set_quota(Some(0.4));
    let args = ["--memory", "50%", "--growth-rate", "instant", "--cpu", "50%", "--report-every", "200ms"];
    let mut inside = Inside::start(&first, &args);
    let before = inside.wait_for("half of the first", |report| report["phase"] == "holding");
    assert_eq!(before["memory_target_bytes"], 50 * MIB);
    second.take_in(inside.running.child.id());
    // Its files are gone: what they said must not be taken for no limit.
    drop(first);
    let after = inside.wait_for("half of the second", |report| {
        let target = &report["memory_target_bytes"];
        assert!(*target == 50 * MIB || *target == 75 * MIB, "{report}");
        report["phase"] == "holding" && report["memory_target_bytes"] == 75 * MIB
    });
    assert_eq!(after["memory_limit_bytes"], 150 * MIB);
    assert_ne!(after["memory_limit_cgroup"], before["memory_limit_cgroup"]);
    assert_eq!(after["cpu_limit_cores"], 0.4);
    assert_eq!(after["cpu_wanted_cores"], 0.2);
    assert!(bytes(&after, "memory_resident_bytes").abs_diff(75 * MIB) <= 64 << 10, "{after}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn moved_while_it_grows_it_is_killed_after_last_words_on_its_new_limit() {
    let (first, second) = (Cgroup::new().expect("root can"), Cgroup::new().expect("root can"));
    second.set_memory_limit(128 * MIB);
    // A tenth of a second is 5 MB.
    let mut inside = Inside::start(&first, &["--memory", "max", "--growth-rate", "50M/s"]);
    inside.wait_for("it to grow", |report| bytes(report, "memory_populated_bytes") > 0);
    second.take_in(inside.running.child.id());
    let (last, _) = inside.finish();
    assert_eq!(last["memory_limit_bytes"], 128 * MIB, "{last}");
    let headroom = bytes(&last, "memory_headroom_bytes");
    assert!(headroom <= 128 * MIB / 100 + MIB, "{headroom} bytes were left at the last report: {last}");
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_cpuset_that_widens_is_used() {
    let cgroup = Cgroup::with_cpus("0").expect("root can");
    for (cpu, before, after) in [("max", 1.0, 2.0), ("50%", 0.5, 1.0), ("1.5", 1.5, 1.5)] {
        cgroup.set_cpus("0");
        let mut inside = Inside::start(&cgroup, &["--cpu", cpu, "--report-every", "200ms"]);
        let id = inside.running.child.id();
        let wanted =
            |cores: f64| move |report: &Value| (number(report, "cpu_wanted_cores") - cores).abs() < 1e-9;
        inside.wait_for("what one CPU gives", |report| {
            wanted(before)(report) && support::threads(id, "workload-burn") == 1
        });
        cgroup.set_cpus("0-1");
        inside.wait_for("what two CPUs give", |report| {
            wanted(after)(report) && support::threads(id, "workload-burn") == 2
        });
    }
}

#[test]
#[ignore = "needs the right to make cgroups"]
fn a_thread_that_is_refused_is_told_made_up_for_and_asked_for_again() {
    let cgroup = Cgroup::with_cpus("0").expect("root can");
    let mut inside = Inside::start(&cgroup, &["--cpu", "1.5", "--report-every", "200ms"]);
    let id = inside.running.child.id();
    inside.wait_for("one thread to burn", |_| support::threads(id, "workload-burn") == 1);
    cgroup.refuse_threads();
    cgroup.set_cpus("0-1");
    let begin = inside.wait_for("the thread to be refused", |report| number(report, "elapsed_seconds") > 3.0);
    let later = inside.wait_for("two seconds more", |report| {
        number(report, "elapsed_seconds") > number(&begin, "elapsed_seconds") + 2.0
    });
    let [wanted, used, given_up] = cpu_seconds(Some(&begin), &later);
    assert!(given_up > 0.9, "one thread cannot burn more: {later}");
    assert!(used + given_up > 2.6, "{used} s used and {given_up} s given up of {wanted} s");
    // It gives up what is owed for more than a quarter of a second.
    assert!((wanted - used - given_up).abs() < 0.4, "{used} s used and {given_up} s given up of {wanted} s");
    cgroup.allow_threads();
    inside.wait_for("another thread", |_| support::threads(id, "workload-burn") == 2);
}

/// Starts it in a cgroup of 1 GiB inside of another, which it cannot see.
fn with_a_limit_out_of_sight(outer: &Cgroup, args: &[&str]) -> (Cgroup, Inside) {
    let inner = outer.nested().expect("root can");
    inner.set_memory_limit(1024 * MIB);
    // Mounted anew, the root of the hierarchy is that of the namespace.
    let script =
        "umount /sys/fs/cgroup/memory && mount -t cgroup -o memory none /sys/fs/cgroup/memory && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--cgroup", "sh", "-c", script, "sh", support::WORKLOAD]).args(args);
    command.args(["--format", "json", "--log", "error"]).stdout(Stdio::piped());
    let (mut child, _) = inner.spawn(&mut command).expect("it starts");
    let records = Records::of(&mut child);
    // The program goes first: nothing can be removed with a process in it.
    (inner, Inside { running: Running { child, started: Instant::now() }, records })
}

#[test]
#[ignore = "needs cgroup v1"]
fn a_limit_out_of_sight_kills_after_the_last_words() {
    let outer = Cgroup::new().expect("root can");
    outer.set_memory_limit(128 * MIB);
    let (_inner, inside) =
        with_a_limit_out_of_sight(&outer, &["--memory", "max", "--growth-rate", "instant"]);
    let (last, status) = inside.finish();
    assert!(!status.success(), "{status}");
    assert_eq!(last["memory_limit_bytes"], 128 * MIB);
    assert_eq!(last["memory_headroom_bytes"], Value::Null, "nobody sees how far it is: {last}");
    // A percent is a step; page tables and what the kernel charges ahead for each CPU come on top.
    let resident = bytes(&last, "memory_populated_bytes");
    assert!(resident >= 128 * MIB - 128 * MIB / 100 - 2 * MIB, "{resident} bytes at the last report: {last}");
}

#[test]
#[ignore = "needs cgroup v1"]
fn a_limit_out_of_sight_is_followed() {
    let outer = Cgroup::new().expect("root can");
    outer.set_memory_limit(100 * MIB);
    let args = ["--memory", "50%", "--growth-rate", "instant", "--report-every", "200ms"];
    let (_inner, mut inside) = with_a_limit_out_of_sight(&outer, &args);
    for limit in [100 * MIB, 160 * MIB] {
        outer.set_memory_limit(limit);
        let report = inside.records.wait_for("half of the limit", Duration::from_secs(20), |report| {
            report["phase"] == "holding" && report["memory_target_bytes"] == limit / 2
        });
        assert_eq!(report["memory_limit_cgroup"], "an enclosing cgroup out of sight");
    }
}
