//! Memory in a guest: resident set, and behaviour at each kind of limit.

use serde_json::Value;

use super::guest::number;
use super::{between_changes, guest, run, time_to};

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn the_peak_of_the_cgroup_is_never_below_what_it_has() {
    for record in run("resident").records {
        // The peak is read a moment earlier or later.
        let (peak, now) =
            (number(&record, "cgroup_memory_peak_bytes"), number(&record, "cgroup_memory_bytes"));
        assert!(peak + 1e6 >= now, "{record}");
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn the_resident_set_told_is_the_one_asked_for() {
    let run = run("resident");
    let mut held = run.records.iter().filter(|record| record["phase"] == "holding").peekable();
    assert!(held.peek().is_some(), "{}", run.last());
    for record in held {
        let off = number(record, "memory_resident_bytes") - 40e6;
        assert!(off.abs() <= 65_536.0, "off by {off} bytes: {record}");
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn reports_go_on_while_memory_high_holds_the_load_up() {
    for high in [8 << 20, 16 << 20, 32 << 20] {
        let run = run(&format!("high_{}M", high >> 20));
        assert!(run.longest_gap() <= 0.6, "{:.1} s without a report", run.longest_gap());
        let last = run.last();
        assert_eq!(last["memory_high_bytes"], high);
        assert_eq!((&last["memory_swap_bytes"], &last["phase"]), (&0.into(), &"growing".into()));
        assert!(number(last, "cgroup_memory_bytes") > 0.95 * f64::from(high), "{last}");
        let highs = |record| number(record, "cgroup_memory_high_events_total");
        assert!(highs(last) > highs(&run.records[0]), "{last}");
        assert!(number(last, "cgroup_memory_pressure_some_seconds_total") > 0.5, "{last}");
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn it_ends_in_time_while_memory_high_holds_the_load_up() {
    for high in ["high_8M", "high_16M", "high_32M"] {
        let run = run(high);
        let last = run.last();
        assert_eq!(last["record"], "end", "{last}");
        assert!(number(last, "elapsed_seconds") < 8.5, "{last}");
        assert!(run.took < 9.5, "{high} was to end after 8 s and was there for {:.1} s", run.took);
        assert_eq!(run.status, 0);
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn growth_without_end_is_killed_and_its_last_report_is_of_the_last_percent() {
    const LIMIT: f64 = 67_108_864.0;
    let run = run("oom_max");
    assert_eq!(run.status, 137, "{}", run.messages);
    assert_eq!(
        guest().figure("oom.memory.events", "oom_kill"),
        2,
        "this one and the one with too low a limit"
    );
    let last = run.last();
    assert_eq!(last["record"], "report");
    let left = LIMIT - number(last, "cgroup_memory_bytes");
    assert!(left <= LIMIT / 100.0 + 1_048_576.0, "{left} bytes were left at the last report: {last}");
    let headroom = number(last, "memory_headroom_bytes");
    assert!((headroom - left).abs() <= 524_288.0, "headroom of {headroom} bytes: {last}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn at_a_limit_out_of_sight_the_last_report_is_of_the_last_percent_of_the_machine() {
    const LIMIT: f64 = 50_331_648.0;
    let run = run("hidden_max");
    let last = run.last();
    assert_eq!((run.status, &last["record"]), (137, &"report".into()), "{}", run.messages);
    for field in ["memory_limit_bytes", "memory_high_bytes", "memory_swap_limit_bytes", "cpu_limit_cores"] {
        assert_eq!(last[field], Value::Null, "{field} cannot be known: {last}");
    }
    let left = LIMIT - number(last, "cgroup_memory_bytes");
    let step = number(&run.records[0], "machine_available_bytes") / 100.0;
    assert!(left <= step + 1_048_576.0, "{left} bytes were left at the last report: {last}");
    assert!(run.records.len() < 110, "{} reports", run.records.len());
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_share_without_a_limit_in_sight_is_of_the_machine_and_says_so() {
    let run = run("hidden_share");
    for text in ["no memory limit can be seen", "of the machine", "no CPU quota can be seen"] {
        assert!(run.messages.contains(text), "{}", run.messages);
    }
    let (machine, target) =
        (number(run.last(), "machine_memory_bytes"), number(run.last(), "memory_target_bytes"));
    assert!((target / machine - 0.05).abs() < 0.001, "{}", run.last());
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_limit_just_above_the_ask_is_enough_and_one_below_kills() {
    let above = run("oom_above");
    assert_eq!((above.status, &above.last()["phase"]), (0, &"holding".into()), "{}", above.last());
    let below = run("oom_below");
    assert_eq!(below.status, 137, "{}", below.last());
    assert!(below.messages.contains("OOM kill"), "{}", below.messages);
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_share_of_the_memory_limit_follows_it_up_and_down() {
    let wanted: [u32; 3] = [32 << 20, 48 << 20, 32 << 20];
    for (part, bytes) in between_changes("memory_share").iter().zip(wanted) {
        let took = time_to(part, "memory_target_bytes", &bytes.into());
        assert!(took <= 2.0, "{took} s to a target of {bytes}");
        let last = &part[part.len() - 1];
        assert_eq!(last["phase"], "holding", "{last}");
        // Another test is strict about the resident set.
        let off = number(last, "memory_resident_bytes") - f64::from(bytes);
        assert!(off.abs() < 2e6, "{off} bytes off {bytes}: {last}");
    }
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn where_commitments_are_limited_it_keeps_what_it_has_and_lives() {
    let run = run("overcommit");
    let last = run.last();
    assert_eq!((run.status, &last["record"]), (0, &"end".into()), "{last}");
    assert_eq!(last["phase"], "limited");
    assert!(number(last, "failed_allocations_total") > 0.0, "{last}");
    assert!((20e6..60e6).contains(&number(last, "memory_resident_bytes")), "{last}");
    assert!(run.messages.contains("no more memory can be allocated"), "{}", run.messages);
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn what_is_swapped_out_is_told_and_held_all_the_same() {
    let run = run("swap");
    let holding = run.first("held", |record| record["phase"] == "holding");
    let (resident, swapped) =
        (number(holding, "memory_resident_bytes"), number(holding, "memory_swap_bytes"));
    assert!(swapped > 10e6, "{holding}");
    assert!((resident + swapped - 48e6).abs() < 2e6, "{holding}");
    assert!(number(holding, "cgroup_swap_bytes") > 10e6, "{holding}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn what_the_machine_swaps_out_is_what_it_has_less_in_memory() {
    let [before, swapping] = ["node_before", "node_swapping"].map(|name| run(name).last().clone());
    let bytes = |record: &Value, name: &str| number(record, name);
    let out = |record: &Value| {
        bytes(record, "swap_total_bytes")
            - bytes(record, "swap_free_bytes")
            - bytes(record, "swap_cached_bytes")
    };
    let anon = |record: &Value| bytes(record, "memory_anon_bytes");
    assert!(out(&swapping) - out(&before) > 5e6, "{swapping}");
    let more = anon(&swapping) + out(&swapping) - anon(&before) - out(&before);
    // It is looked at once the load holds its memory.
    let load = run("swap");
    let holding = load.first("held", |record| record["phase"] == "holding");
    let held = anon(holding) + bytes(holding, "memory_swap_bytes");
    // Another load, which holds 10 MB, may be there as well.
    assert!((held - 3e6..held + 14e6).contains(&more), "{more} bytes where the load has {held}: {swapping}");
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn where_the_machine_itself_runs_out_the_last_report_is_of_its_last_percent() {
    let run = run("machine");
    let last = run.last();
    assert_eq!((run.status, &last["record"]), (137, &"report".into()), "{}", run.messages);
    assert_eq!(last["memory_limit_bytes"], "unlimited");
    let [left, machine] =
        ["machine_available_bytes", "machine_memory_bytes"].map(|field| number(last, field));
    // A percent is a step; the kernel keeps some for itself.
    assert!(left <= machine / 50.0, "{left} bytes were left at the last report: {last}");
}
