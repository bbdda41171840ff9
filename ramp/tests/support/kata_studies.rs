//! Studies of the runtimes runc and kata, simulated and reported on by the program.

use std::path::Path;
use std::process::{Command, Output};

use ramp_format::study::StudyRecord;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What is used in a guest beyond the load, of 66 MB of the runtime; the base takes 2 MB.
pub(crate) const USED: f64 = 40e6;
pub(crate) const OUTSIDE: f64 = 66e6 - 2e6 - USED;

/// Guests have 126 MiB beside their limit.
pub(crate) fn definition(seed: u64, blocks: u32, more: &str) -> String {
    format!(
        "engine: simulated\nseed: {seed}\nwarmup: false\nruntimes: [runc, kata]\nblocks: {blocks}\n\
         worlds: {{kata: {{runtime: {{memory: 66M, guest_memory: 126Mi, guest_used: 40M{more}}}}}}}\n\
         ramp: {{to: 5, settle: 5s, hold: 5s}}\nsizes: [{{memory: 20M, limits: {{memory: 1Gi}}}}]\n"
    )
}

/// `ramp` in a directory.
pub(crate) fn ramp(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramp")).args(words).current_dir(directory).output().unwrap()
}

/// A study of this definition: `study` in the directory.
pub(crate) fn recorded(definition: &str) -> TempDir {
    let place = TempDir::new().unwrap();
    std::fs::write(place.path().join("study.yaml"), definition).unwrap();
    let output = ramp(place.path(), &["study", "run", "study.yaml", "--out", "study", "--no-report"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place
}

/// The report on it, for programs.
pub(crate) fn report(place: &TempDir) -> Value {
    let output = ramp(place.path(), &["report", "study", "--json", "--out", "out"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// As if the pods of kata had this RuntimeClass in a study.
pub(crate) fn set_class(place: &TempDir, class: &Value) {
    let study = place.path().join("study");
    let record = StudyRecord::read(&study).unwrap();
    for run in record.runs.iter().filter(|run| record.cells[run.cell].runtimes == ["kata"]) {
        let file = study.join(&run.directory).join("run.json");
        let mut text: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        text["runtime_class"] = class.clone();
        std::fs::write(&file, text.to_string()).unwrap();
    }
}

/// The report of a study in which the pods of kata have a RuntimeClass with this handler and podFixed.
pub(crate) fn overhead(definition: &str, handler: &str, pod_fixed_mib: u64) -> Value {
    let place = recorded(definition);
    let class = json!({"name": "kata", "handler": handler, "overhead_memory_bytes": pod_fixed_mib << 20, "overhead_cpu_cores": 0.0});
    set_class(&place, &class);
    report(&place)["overhead_by_size"][0].clone()
}

/// The size that was measured.
pub(crate) fn measured(found: &Value) -> &Value {
    found["sizes"].as_array().unwrap().iter().find(|size| size["source"] == "measured").unwrap()
}

/// Whether the interval of a value does.
pub(crate) fn holds(found: &Value, truth: f64) -> bool {
    let end = |end: &str| found["interval"][end].as_f64().unwrap();
    end("low") <= truth && truth <= end("high")
}
