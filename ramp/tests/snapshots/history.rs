//! The gate, and figures over many runs.

use std::fs;

use serde_json::{Value, json};

use super::session::{Place, hold};
use super::support::studies::StudyFixture;

/// What `ramp report --json` prints of a run, as far as it is compared: of a day, with a marginal cost of so many MB.
fn run(day: usize, megabytes: f64, held: u32) -> Value {
    json!({
        "ramp_version": "0.1.0", "comparisons": [],
        "runs": [{
            "name": format!("kata-{day}"), "begin": format!("2026-{:02}-{:02}T03:00:00.000Z", 6 + day / 30, 1 + day % 30),
            "scenario": "memory-capacity", "runtime": "kata", "load": "--memory 500M",
            "estimates": {
                "held": {"count": held, "step": held},
                "marginal_cost": {"bytes": megabytes * 1e6, "low": (megabytes - 4.0) * 1e6, "high": (megabytes + 4.0) * 1e6},
                "cpu_per_start": {"seconds": null, "low": null, "high": null, "reason": "the dwells are too short"},
            },
        }],
    })
}

/// Noise of 1 %, the same each time.
const NOISE: [f64; 10] = [0.3, -1.1, 0.8, 0.1, -0.6, 1.4, -0.2, -0.9, 0.5, 0.0];

fn megabytes(day: usize) -> f64 {
    let level = if day < 21 { 500.0 } else { 525.0 };
    let outlier = if day == 8 { 1.06 } else { 1.0 };
    level * outlier * (1.0 + 0.01 * NOISE[day * 7 % 10])
}

/// Thirty days: a level that is 5 % higher from the 22nd on, and a run that is off by 6 %.
fn month(place: &Place) {
    for day in 0..30 {
        place.put(&format!("nightly/{day:02}.json"), &run(day, megabytes(day), 60).to_string());
    }
}

#[test]
fn a_month_of_reports_shows_where_the_level_changes_and_which_run_is_off() {
    let place = Place::new();
    month(&place);
    let told = place.session(&["history", "nightly", "--out", "out"]);
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    hold("history", &told);
    let page = fs::read_to_string(place.path().join("out/history.html")).unwrap();
    assert_eq!((page.matches("class=\"change\"").count(), page.matches("class=\"outlier\"").count()), (1, 1));
    assert_eq!(page.matches("<circle").count(), 60, "a dot for each run and figure");
    assert!(!page.contains("http") && !page.contains("<script"), "nothing is fetched");
    let table = fs::read_to_string(place.path().join("out/history.csv")).unwrap();
    let marked: Vec<&str> =
        table.lines().filter(|line| line.ends_with("change_point") || line.ends_with("outlier")).collect();
    assert!(
        marked.len() == 2 && marked[0].contains("kata-8,") && marked[1].contains("kata-21,"),
        "{marked:?}"
    );
    let found: Value =
        serde_json::from_slice(&place.ramp(&["history", "nightly", "--json"], "100").stdout).unwrap();
    let cost = &found["series"][1];
    assert_eq!(
        (&cost["figure"], &cost["change_points"][0]["run"]),
        (&"marginal_cost".into(), &"kata-21".into())
    );
    assert_eq!(
        (&cost["outliers"][0]["run"], cost["points"].as_array().unwrap().len()),
        (&"kata-8".into(), 30)
    );
}

#[test]
fn runs_of_one_name_are_called_by_their_files() {
    let place = Place::new();
    for day in 0..10 {
        let mut report = run(day, megabytes(day), 60);
        report["runs"][0]["name"] = "kata".into();
        place.put(&format!("nightly/2026-06-{:02}.json", day + 1), &report.to_string());
    }
    let found: Value =
        serde_json::from_slice(&place.ramp(&["history", "nightly", "--json"], "100").stdout).unwrap();
    assert_eq!(found["series"][1]["outliers"][0]["run"], "2026-06-09");
}

#[test]
fn what_has_no_history_is_told_why() {
    let place = Place::new();
    month(&place);
    let mut old = run(1, 500.0, 60);
    old["runs"][0]["begin"] = Value::Null;
    place.put("old.json", &old.to_string());
    place.put("other.json", "{\"a\": 1}");
    place.put("torn.json", "{\"a\":");
    fs::create_dir(place.path().join("empty")).unwrap();
    let calls: [&[&str]; 7] = [
        &["history"],
        &["history", "old.json"],
        &["history", "other.json", "torn.json", "missing.json"],
        &["history", "empty"],
        &["history", "nightly", "--figure", "walking"],
        &["history", "nightly", "--figure", "drift"],
        &["history", "nightly/00.json", "nightly", "--figure", "held"],
    ];
    hold("history_wrong", &place.sessions(&calls));
}

#[test]
fn a_report_is_held_against_a_baseline() {
    let place = Place::new();
    StudyFixture::small().record(&place.path().join("study"));
    let json = place.ramp(&["report", "study", "--json"], "100").stdout;
    let mut baseline: Value = serde_json::from_slice(&json).unwrap();
    place.put("same.json", &baseline.to_string());
    let cell = &mut baseline["cells"][1]["figures"];
    let memory = &mut cell["memory_per_instance"];
    let lower = |value: &Value| Value::from(value.as_f64().unwrap() * 0.9);
    (memory["value"], memory["interval"]["low"], memory["interval"]["high"]) =
        (lower(&memory["value"]), lower(&memory["interval"]["low"]), lower(&memory["interval"]["high"]));
    place.put("less.json", &baseline.to_string());
    let bounds = "memory_per_instance: {max_increase: 5%}\ninstances_held: {max_decrease: 3}\nmemory_of_vmm: {max_increase: 1Mi}\n";
    place.put("bounds.yaml", bounds);
    place.put("strict.yaml", "strict: true\nmemory_of_vmm: {max_increase: 1Mi}\n");
    let gate = |more: &[&str]| {
        let told = place.session(&[&["report", "study", "--out", "out", "--against"], more].concat());
        assert!(
            told.lines()
                .filter(|line| !line.starts_with("$ ")
                    && !line.starts_with("error: ")
                    && !line.starts_with("::"))
                .all(|line| line.chars().count() <= 100),
            "{told}"
        );
        let (call, rest) = told.split_once('\n').unwrap();
        let (_, against) = rest.split_once("\nAgainst ").expect("the gate stands after the report");
        // On a machine that is busy.
        let lines = against.lines().filter(|line| !line.starts_with("  ! waiting"));
        format!("{call}\nAgainst {}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    let sessions = [
        gate(&["same.json"]),
        gate(&["less.json", "--bounds", "bounds.yaml", "--github", "--junit", "junit.xml"]),
        gate(&["study", "--bounds", "strict.yaml", "--assert", "instances_held>=1000"]),
    ];
    hold("gate", &sessions.join("\n"));
    let junit = fs::read_to_string(place.path().join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"1\"") && junit.contains("<failure "), "{junit}");
    let output = place.ramp(&["report", "study", "--json", "--against", "less.json"], "100");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &found["against"]["failed"]), (Some(4), &true.into()));
    let outcomes = found["against"]["outcomes"].as_array().unwrap();
    assert!(outcomes.iter().any(|outcome| outcome["outcome"] == "regression"), "{:#}", found["against"]);
}

#[test]
fn runs_are_held_against_a_baseline_by_load_and_runtime_whatever_they_are_called() {
    let place = Place::new();
    month(&place);
    // Two reports are held against each other by a third that has read both: a run has to be a directory for that.
    StudyFixture::small().record(&place.path().join("study"));
    let runs: Vec<String> = fs::read_dir(place.path().join("study/runs"))
        .unwrap()
        .flatten()
        .map(|entry| format!("study/runs/{}", entry.file_name().display()))
        .filter(|run| run.ends_with("kata"))
        .collect();
    let (first, second) = (runs.iter().min().unwrap().as_str(), runs.iter().max().unwrap().as_str());
    let told = place.session(&["report", first, "--against", second, "--out", "out"]);
    assert!(told.contains("marginal_cost") && told.contains("[exit status 0]"), "{told}");
    let other = place.session(&["report", first, "--against", "nightly/00.json"]);
    assert!(other.contains("nightly/00.json: has nothing in common with the report"), "{other}");
    assert!(other.contains("[exit status 2]"), "{other}");
}

#[test]
fn a_gate_that_cannot_be_read_is_told_before_the_report_is_made() {
    let place = Place::new();
    month(&place);
    place.put("unknown.yaml", "walking: {max_increase: 5%}\n");
    place.put("malformed.yaml", "held: {max_decrease: [}\n");
    place.put("wrong.yaml", "held: {max_increase: 5Mi}\n");
    place.put("of_study.yaml", "instances_held: {max_decrease: 3}\n");
    let gate = |bounds: &'static str| ["report", "run", "--against", "nightly/00.json", "--bounds", bounds];
    let calls = ["unknown.yaml", "malformed.yaml", "wrong.yaml", "of_study.yaml", "missing.yaml"].map(gate);
    let mut all: Vec<&[&str]> = calls.iter().map(|call| &call[..]).collect();
    all.push(&["report", "run", "--bounds", "unknown.yaml"]);
    all.push(&["report", "run", "--against", "missing.json"]);
    all.push(&["report", "run", "--junit", "missing/junit.xml"]);
    hold("gate_wrong", &place.sessions(&all));
}
