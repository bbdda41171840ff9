//! Marginal cost of the built-in scenario, against the instances' own accounts.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::RAMP;

const BUDGET: f64 = 2e9;

/// Runs and reports, as a newcomer does, within a budget. What the report says, and the last lines of the run.
fn run_and_report(out: &Path) -> (Value, String) {
    let run =
        Command::new(RAMP).args(["run", "--force", "--budget", "2G", "--out"]).arg(out).output().unwrap();
    let words = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{words}");
    let report = Command::new(RAMP).args(["report", "--json"]).arg(out).output().unwrap();
    assert!(report.status.success());
    let json: Value = serde_json::from_slice(&report.stdout).unwrap();
    (json["runs"][0].clone(), words)
}

/// What an instance takes by its own reports, in bytes: its resident set but for files, which all instances share, and page tables for it.
fn truth(out: &Path) -> f64 {
    let mut reader = csv::Reader::from_path(out.join("workloads.csv")).unwrap();
    let rows = reader.deserialize::<std::collections::BTreeMap<String, String>>().map(Result::unwrap);
    let full: Vec<f64> = rows
        .filter(|row| row["phase"] == "holding")
        .map(|row| {
            let bytes = |name: &str| row[name].parse::<f64>().unwrap();
            bytes("memory_anon_bytes") + bytes("memory_resident_bytes") / 512.0
        })
        .collect();
    full.iter().sum::<f64>() / full.len() as f64
}

fn holds(out: &Path) {
    let (run, words) = run_and_report(out);
    let truth = truth(out);
    let cost = &run["estimates"]["marginal_cost"];
    let [bytes, low, high] = ["bytes", "low", "high"].map(|name| cost[name].as_f64().unwrap());
    assert!(low <= truth && truth <= high, "{cost} where {truth} is true");
    assert!((bytes / truth - 1.0).abs() < 0.01, "{cost} where {truth} is true");
    // As many as fit by what each takes. (They share the pages of files, so that is more than the budget was made for.)
    let held = run["estimates"]["held"]["count"].as_u64().unwrap();
    let fit = BUDGET / bytes;
    assert!((fit - 1.1..fit + 0.1).contains(&(held as f64)), "{held} where {fit} fit");
    assert_eq!(run["behaviour"]["goodput"]["most"]["count"], held);
    assert_ne!(run["behaviour"]["leak"]["leaked"], true, "{}", run["behaviour"]["leak"]);
    assert_eq!(run["behaviour"]["changed_by_others"], serde_json::json!([]));
    assert_eq!(run["estimates"]["saturation"]["instances"], held + 1);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(file["held"], run["estimates"]["held"]);
    assert_eq!(file["running"], run["estimates"]["running"]);
    assert!(words.contains(&format!("most instances held: {held} (step")), "{words}");
}

#[test]
#[ignore = "needs root and cgroups"]
fn the_plain_run_says_what_is_so() {
    let directory = tempfile::tempdir().unwrap();
    holds(&directory.path().join("run"));
}

#[test]
#[ignore = "needs root and cgroups"]
fn the_plain_run_says_what_is_so_where_others_take_memory_and_give_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Half a gigabyte each time, as a compiler does. (This process is in no cgroup of the run.)
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                std::hint::black_box(vec![1_u8; 500_000_000]);
            }
        });
        let ends = EndsWithTheTest(&ended);
        holds(&directory.path().join("run"));
        drop(ends);
    });
}

/// Ends the thread of a test that fails as well.
struct EndsWithTheTest<'a>(&'a AtomicBool);

impl Drop for EndsWithTheTest<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
