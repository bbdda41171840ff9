//! Studies of runtimes with guests: what of the overhead is inside of them, and what outside.

use std::path::Path;
use std::process::{Command, Output};

use ramp_format::study::StudyRecord;
use serde_json::{Value, json};
use tempfile::TempDir;

const MIB: f64 = 1_048_576.0;
/// What is used in a guest beyond the load, of 66 MB of the runtime; the base takes 2 MB.
const USED: f64 = 40e6;
const OUTSIDE: f64 = 66e6 - 2e6 - USED;

/// Guests have 126 MiB beside their limit.
fn definition(seed: u64, blocks: u32, more: &str) -> String {
    format!(
        "engine: simulated\nseed: {seed}\nwarmup: false\nruntimes: [runc, kata]\nblocks: {blocks}\n\
         worlds: {{kata: {{runtime: {{memory: 66M, guest_memory: 126Mi, guest_used: 40M{more}}}}}}}\n\
         ramp: {{to: 5, settle: 5s, hold: 5s}}\nsizes: [{{memory: 20M, limits: {{memory: 1Gi}}}}]\n"
    )
}

fn ramp(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramp")).args(words).current_dir(directory).output().unwrap()
}

/// The report of a study in which the pods of kata have a RuntimeClass with this handler and podFixed.
fn overhead(definition: &str, handler: &str, pod_fixed_mib: u64) -> Value {
    let place = TempDir::new().unwrap();
    std::fs::write(place.path().join("study.yaml"), definition).unwrap();
    let output = ramp(place.path(), &["study", "run", "study.yaml", "--out", "study", "--no-report"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let study = place.path().join("study");
    let record = StudyRecord::read(&study).unwrap();
    for run in record.runs.iter().filter(|run| record.cells[run.cell].runtimes == ["kata"]) {
        let file = study.join(&run.directory).join("run.json");
        let mut text: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        text["runtime_class"] = json!({
            "name": "kata", "handler": handler, "overhead_memory_bytes": pod_fixed_mib << 20, "overhead_cpu_cores": 0.0,
        });
        std::fs::write(&file, text.to_string()).unwrap();
    }
    let output = ramp(place.path(), &["report", "study", "--json", "--out", "out"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["overhead_by_size"][0].clone()
}

fn measured(found: &Value) -> &Value {
    found["sizes"].as_array().unwrap().iter().find(|size| size["source"] == "measured").unwrap()
}

fn holds(found: &Value, truth: f64) -> bool {
    let end = |end: &str| found["interval"][end].as_f64().unwrap();
    end("low") <= truth && truth <= end("high")
}

#[test]
fn of_an_overhead_what_is_used_in_guests_and_what_is_outside_are_told_apart() {
    let found = overhead(&definition(7, 2, ""), "kata-qemu", 160);
    let guest = &measured(&found)["guest"];
    assert_eq!(guest["machine"], "guest", "{found}");
    assert_eq!(guest["memory_total_bytes"].as_f64().unwrap(), 1150.0 * MIB);
    let value = |key: &str| guest[key]["value"].as_f64().unwrap();
    assert_eq!(value("limit_and_pod_fixed_less_memory_total"), 34.0 * MIB);
    // Whole pages, of the load, and whole KiB.
    assert!((value("used_beyond_load") - USED).abs() < 8192.0, "{guest}");
    assert!(holds(&guest["outside"], OUTSIDE) && (value("outside") - OUTSIDE).abs() < 2.0 * MIB, "{guest}");
    let sentences = found["sentences"].to_string();
    for told in [
        "Loads of kata see 1150Mi of memory (MemTotal): 34 MiB",
        "less than the limit and podFixed of the pod.",
        "used in the guest beyond the load: 38.1",
        "outside of it: 2",
    ] {
        assert!(sentences.contains(told), "{told}: {sentences}");
    }
}

#[test]
fn a_machine_that_may_be_no_guest_is_not_called_one_and_of_a_sandbox_nothing_is_told() {
    let unknown = overhead(&definition(7, 2, ""), "secure", 100);
    let guest = &measured(&unknown)["guest"];
    assert_eq!(guest["machine"], "unknown");
    assert_eq!(guest["limit_and_pod_fixed_less_memory_total"]["value"].as_f64().unwrap(), -26.0 * MIB);
    let sentences = unknown["sentences"].to_string();
    assert!(!sentences.contains("guest") && sentences.contains("26 MiB"), "{sentences}");
    assert!(sentences.contains("more than the limit and podFixed"), "{sentences}");
    let sandbox = overhead(&definition(7, 2, ""), "runsc", 160);
    let guest = &measured(&sandbox)["guest"];
    assert!(guest["used_beyond_load"]["value"].is_null() && guest["outside"]["value"].is_null(), "{guest}");
    assert!(sandbox["sentences"].to_string().contains("a sandbox has no memory set aside"), "{sandbox}");
    // A process runtime sees its node.
    let of_process = definition(7, 2, "").replace(", guest_memory: 126Mi, guest_used: 40M", "");
    assert!(measured(&overhead(&of_process, "runc", 160)).get("guest").is_none());
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_what_is_inside_and_outside_of_guests_hold_the_truth() {
    let studies: u64 = std::env::var("GUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    let mut held = [0_u64; 2];
    for seed in 1..=studies {
        let found = overhead(&definition(seed, 2 + (seed % 3) as u32, ", spread: 0.05"), "kata-qemu", 160);
        let guest = &measured(&found)["guest"];
        for (held, (key, truth)) in held.iter_mut().zip([("used_beyond_load", USED), ("outside", OUTSIDE)]) {
            *held += u64::from(holds(&guest[key], truth));
        }
    }
    println!("used in the guest, outside: {held:?} of {studies} hold the truth");
    // Two standard errors of 95 % of so many.
    let n = studies as f64;
    let least = if studies >= 200 { 0.93 } else { 0.95 - 2.0 * (0.95_f64 * 0.05 / n).sqrt() };
    assert!(held.iter().all(|count| *count as f64 / n >= least), "{held:?} of {studies}");
}
