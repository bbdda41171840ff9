//! A virtual machine with cgroup v2 only: limits, swap, clock and OOM killer of the guest.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod guest;
mod memory;
#[path = "../support/mod.rs"]
mod support;

use std::sync::LazyLock;

use guest::{Guest, Run, last_words, number, records};
use serde_json::Value;

/// All that needs cgroups and a process 1 to look after them: one boot for all tests.
fn guest() -> &'static Guest {
    static GUEST: LazyLock<Result<Guest, String>> =
        LazyLock::new(|| Guest::boot_once(include_str!("init.sh")));
    GUEST.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

fn run(name: &str) -> Run {
    guest().run(name)
}

/// The records of a run from each change of its limits to the next one, with the last one before it.
fn between_changes(name: &str) -> Vec<Vec<Value>> {
    let records = run(name).records;
    let counts = guest().file(&format!("{name}.changes")).split_whitespace();
    let mut bounds: Vec<usize> = counts.map(|count| count.parse().expect("a number")).collect();
    assert_eq!(bounds.len(), 2);
    bounds.insert(0, 1);
    bounds.push(records.len());
    bounds.windows(2).map(|pair| records[pair[0] - 1..pair[1]].to_vec()).collect()
}

/// Seconds from the first record to the one in which a field has this value.
fn time_to(records: &[Value], field: &str, value: &Value) -> f64 {
    let last = &records[records.len() - 1];
    let found = records.iter().find(|record| record[field] == *value);
    let found = found.unwrap_or_else(|| panic!("{field} is never {value}: {last}"));
    number(found, "elapsed_seconds") - number(&records[0], "elapsed_seconds")
}

/// At the last of these records all CPU time has been used that has fallen due, which over these records was at this rate. (That of stalls,
/// in which the emulated machine was not given a CPU, falls due no more.)
fn assert_uses(records: &[Value], cores: f64) {
    let last = &records[records.len() - 1];
    assert_eq!(last["cpu_wanted_cores"], cores, "{last}");
    let over = |field| number(last, field) - number(&records[0], field);
    let due = over("cpu_wanted_seconds_total") / over("elapsed_seconds");
    assert!((0.5..1.01).contains(&(due / cores)), "{due:.3} cores due of {cores}: {last}");
    let [used, due] = ["cpu_used_seconds_total", "cpu_wanted_seconds_total"].map(|field| number(last, field));
    assert!((used - due).abs() < 0.1, "{used} s used where {due} s fell due: {last}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn the_tightest_limit_is_found_with_the_enclosing_cgroup_that_sets_it() {
    let run = run("limits");
    let last = run.last();
    assert_eq!(
        (&last["memory_limit_bytes"], &last["memory_limit_cgroup"]),
        (&(256 << 20).into(), &"/outer".into())
    );
    assert_eq!(
        (&last["memory_high_bytes"], &last["memory_high_cgroup"]),
        (&(200 << 20).into(), &"/outer".into())
    );
    assert_eq!((&last["cpu_limit_cores"], &last["cpu_limit_cgroup"]), (&0.3.into(), &"/outer".into()));
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn what_a_cpuset_further_out_leaves_is_found() {
    let run = run("limits");
    let last = run.last();
    assert_eq!(last["cpuset_cpus"], 1, "{last}");
    assert_eq!(last["cpuset_cgroup"], "/outer/inner", "{last}");
    assert_eq!(run.records[0]["cpus"], 1);
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn pressure_is_told_of_the_cgroup_and_of_the_machine() {
    let fields = ["memory_pressure_some", "memory_pressure_full", "cpu_pressure_some", "io_pressure_some"];
    let run_of_limits = run("limits");
    for field in fields {
        for whose in ["cgroup", "machine"] {
            number(run_of_limits.last(), &format!("{whose}_{field}_seconds_total"));
        }
    }
    let throttled = run("throttled");
    assert!(number(throttled.last(), "cgroup_cpu_pressure_some_seconds_total") > 0.5, "{}", throttled.last());
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn throttling_is_counted_and_what_it_costs_is_given_up() {
    let run = run("throttled");
    let last = run.last();
    let elapsed = number(last, "elapsed_seconds");
    assert!(number(last, "cpu_throttled_periods_total") > 20.0, "{last}");
    assert!(number(last, "cpu_given_up_seconds_total") > 0.5, "{last}");
    let used = guest().figure("throttled.cpu.stat", "usage_usec") as f64 / 1e6;
    assert!((used / elapsed - 0.2).abs() < 0.03, "the cgroup used {used} s; {last}");
    let told = number(last, "cpu_used_seconds_total");
    // What its start took before its first instruction is the cgroup's alone.
    assert!((told - used).abs() < 0.2, "the cgroup used {used} s; {last}");
    assert!(run.messages.contains("expect throttling"), "{}", run.messages);
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_share_of_the_quota_follows_it_up_and_down() {
    let parts = between_changes("cpu_share");
    assert_eq!(parts[0][0]["cpu_wanted_cores"], 0.2);
    // Not of the first part: the start is slow under emulation, and what it takes is saved afterwards.
    for (part, cores) in parts[1..].iter().zip([0.4, 0.2]) {
        let took = time_to(part, "cpu_wanted_cores", &cores.into());
        assert!(took <= 2.0, "{took:.1} s to {cores} cores");
        assert_uses(&part[part.len() / 2..], cores);
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_plain_user_who_sees_no_other_process_sees_all_of_this_one() {
    let run = run("single");
    assert_eq!(run.status, 0, "{}", run.messages);
    let last = run.last();
    for field in
        ["memory_resident_bytes", "cgroup_memory_bytes", "machine_memory_bytes", "cpu_used_seconds_total"]
    {
        number(last, field);
    }
    assert_eq!(last["phase"], "holding", "{last}");
    assert!((number(last, "memory_resident_bytes") - 10e6).abs() < 2e6, "{last}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn of_the_one_cpu_of_its_cpuset_it_takes_the_whole_and_gives_up_the_rest() {
    let run = run("single");
    assert_eq!(run.records[0]["cpus"], 1);
    assert!(run.messages.contains("--cpu 1.5 is more than the 1 CPU"), "{}", run.messages);
    let last = run.last();
    let used = number(last, "cpu_used_seconds_total") / number(last, "elapsed_seconds");
    assert!((0.85..1.05).contains(&used), "{used} cores: {last}");
    assert!(number(last, "cpu_given_up_seconds_total") > 0.5, "{last}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_wall_clock_set_forth_and_back_disturbs_nothing() {
    let run = run("clock");
    let mut times: Vec<&str> =
        run.records.iter().map(|record| record["time"].as_str().expect("a time")).collect();
    let in_order = times.is_sorted();
    times.dedup_by_key(|time| &time[..13]);
    assert!(times.len() >= 3 && !in_order, "the clock was not set: {times:?}");
    assert!(run.longest_gap() <= 0.6, "{} s without a report", run.longest_gap());
    assert!((number(run.last(), "elapsed_seconds") - 9.0).abs() < 0.5, "{}", run.last());
    // After the start, which is slow here as well.
    let later =
        run.records.iter().position(|record| number(record, "elapsed_seconds") > 2.5).expect("it is longer");
    assert_uses(&run.records[later..], 0.3);
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn as_process_1_with_nothing_mounted_it_tells_what_it_can_and_ends_on_sigterm() {
    let guest = Guest::boot(include_str!("process1.sh")).unwrap_or_else(|error| panic!("{error}"));
    let is_record = |line: &&str| line.starts_with("{\"record\"");
    let lines: String = guest.console.lines().filter(is_record).map(|line| format!("{line}\n")).collect();
    let records = records(&lines, &last_words(&guest.console));
    let (first, last) = (&records[0], &records[records.len() - 1]);
    assert_eq!(
        (&last["record"], &last["reason"]),
        (&"end".into(), &"SIGTERM".into()),
        "{}",
        last_words(&guest.console)
    );
    for field in
        ["memory_resident_bytes", "memory_limit_bytes", "cgroup_memory_bytes", "machine_memory_bytes"]
    {
        assert_eq!((&first[field], &last[field]), (&Value::Null, &Value::Null), "{field}");
    }
    assert_eq!(
        (&last["cpu_limit_cores"], &last["cpu_throttled_periods_total"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(last["phase"], "holding");
    let populated = number(last, "memory_populated_bytes");
    assert!((15e6..=20e6).contains(&populated), "{last}");
    assert!(number(last, "cpu_used_seconds_total") > 0.3, "{last}");
    // Panicking because process 1 has ended is the kernel's way of saying that it has.
    assert!(guest.console.contains("exitcode=0x00000000"), "{}", last_words(&guest.console));
}
