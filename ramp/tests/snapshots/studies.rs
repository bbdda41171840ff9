//! Reports of studies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ramp_format::plan::EngineKind;
use ramp_format::sidecar::{SIDECAR, Sidecar};
use ramp_format::study::{RunRecordState, StudyRecord};
use serde_json::Value;

use super::report::{prose_of, rounded};
use super::session::{Place, fits_on_a_screen, hold, text};
use super::support::schemas::assert_valid;
use super::support::studies::{CRUN, KATA, RUNC, SimulatedRuntime, StudyFixture, request_memory};

/// A study in the directory `study`.
fn recorded(fixture: &StudyFixture) -> (Place, StudyRecord) {
    let place = Place::new();
    let record = fixture.record(&place.path().join("study"));
    (place, record)
}

fn told(place: &Place) -> String {
    json(place);
    let told = place.session(&["report", "study", "--out", "out"]);
    fits_on_a_screen(&told);
    told
}

fn json(place: &Place) -> Value {
    let output = place.ramp(&["report", "study", "--json"], "100");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = serde_json::from_slice(&output.stdout).unwrap();
    assert_valid("study-report", &found);
    let record = file(&place.path().join("study/study.json"));
    assert_valid("study", &serde_json::from_str(&record).unwrap());
    found
}

fn save(place: &Place, record: &StudyRecord) {
    record.save(&place.path().join("study")).unwrap();
}

fn file(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_study_of_two_runtimes_is_told_of_in_words_in_markdown_and_on_a_page() {
    let (place, _) = recorded(&StudyFixture::small());
    let told = told(&place);
    hold("study_words", &told);
    hold("study_words_verbose", &place.session(&["report", "study", "--verbose"]));
    hold("study_markdown", &file(&place.path().join("out/report.md")));
    let page = file(&place.path().join("out/report.html"));
    assert!(page.contains("href=\"./../study/runs/1-workload-kata\""), "runs are linked");
    assert!(
        page.len() < 2_000_000 && !page.contains("src=") && !page.contains("@import"),
        "nothing is fetched"
    );
    hold("study_page", &prose_of(&page));
}

#[test]
fn a_study_is_told_of_as_json() {
    let (place, _) = recorded(&StudyFixture::small());
    let mut found = json(&place);
    rounded(&mut found);
    found["runs"].as_array_mut().unwrap().truncate(2);
    hold("study_json", &format!("{found:#}"));
}

#[test]
fn sizes_are_compared_each_for_itself_and_what_is_not_comparable_has_its_reason() {
    let (place, _) = recorded(&StudyFixture::of_sizes());
    hold("study_sizes", &told(&place));
}

#[test]
fn runtimes_that_are_alike_are_told_so_and_drift_is_a_term_from_five_blocks_on() {
    let fixture = StudyFixture { runtimes: vec![RUNC, CRUN], blocks: 6, ..StudyFixture::small() };
    let (place, _) = recorded(&fixture);
    hold("study_alike", &told(&place));
    let all = place.session(&["report", "study", "--verbose"]);
    let words = all.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("removed from the differences (not from ratios and permutation tests): "),
        "{all}"
    );
    let drift = "memory per instance cannot tell (95% CI -";
    assert!(words.contains(drift), "an interval with 0 in it is no drift: {all}");
}

#[test]
fn processes_are_called_so() {
    let fixture = StudyFixture { engine: EngineKind::Local, blocks: 2, ..StudyFixture::small() };
    let (place, _) = recorded(&fixture);
    let told = told(&place);
    assert!(told.contains("more per process than") && !told.contains("pod"), "{told}");
    let page = file(&place.path().join("out/report.html"));
    assert!(!prose_of(&page).contains(" pods"), "{}", prose_of(&page));
}

#[test]
fn a_study_of_one_runtime_compares_nothing() {
    let fixture = StudyFixture { runtimes: vec![KATA], blocks: 2, ..StudyFixture::small() };
    hold("study_one_runtime", &told(&recorded(&fixture).0));
}

#[test]
fn a_study_that_was_cut_off_in_its_second_block_is_told_of() {
    let (place, mut record) = recorded(&StudyFixture { blocks: 2, ..StudyFixture::small() });
    let last = record.runs.last_mut().unwrap();
    (last.state, last.end) = (RunRecordState::Running, None);
    (record.end, record.why_ended) = (None, None);
    record.decisions.pop();
    save(&place, &record);
    hold("study_cut", &told(&place));
}

#[test]
fn failed_and_unreadable_runs_count_in_no_figure_and_are_told_of() {
    let (place, mut record) = recorded(&StudyFixture::small());
    let failed = &mut record.runs[2];
    failed.state = RunRecordState::Failed;
    failed.notes = vec!["the API refused connections".into()];
    let unreadable = place.path().join("study").join(&record.runs[5].directory).join("run.json");
    save(&place, &record);
    fs::write(unreadable, "{").unwrap();
    hold("study_failed_runs", &told(&place));
}

#[test]
fn pods_of_one_runtime_that_have_a_sidecar_are_not_compared_with_those_that_have_none() {
    let (place, record) = recorded(&StudyFixture { blocks: 2, ..StudyFixture::small() });
    let with_sidecar = |cell: usize| {
        for run in record.runs.iter().filter(|run| run.cell == cell) {
            add_sidecar(&place.path().join("study").join(&run.directory));
        }
    };
    with_sidecar(1);
    let one = told(&place);
    assert!(one.contains("kata is not compared with runc: ") && !one.contains("more per pod"), "{one}");
    let words = one.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("not told apart: istio-proxy (image istio-proxy:1); no sidecar"), "{one}");
    with_sidecar(0);
    let both = told(&place);
    assert!(
        both.contains("- figures include the memory of sidecars: istio-proxy (image istio-proxy:1)"),
        "{both}"
    );
    assert!(both.contains("more per pod than runc"), "{both}");
}

#[test]
fn a_study_whose_runtimes_request_different_memory_is_told_of() {
    let (place, record) = recorded(&StudyFixture { blocks: 2, ..StudyFixture::small() });
    request_memory(&place.path().join("study"), &record, "kata", "200M");
    let told = told(&place);
    assert!(told.contains("[exit status 0]") && told.contains("more per pod than runc"), "{told}");
    assert!(told.contains("- pods of kata request ") && told.contains("(requests of containers)"), "{told}");
}

#[test]
fn three_runtimes_and_six_blocks_fit_on_a_screen_and_what_is_unusual_is_told_of() {
    let fixture = StudyFixture { runtimes: vec![RUNC, CRUN, KATA], blocks: 6, ..StudyFixture::small() };
    let (place, mut record) = recorded(&fixture);
    record.runs[4].notes = vec!["before it, memory was not steady 2 min after the run before".into()];
    save(&place, &record);
    let told = told(&place);
    assert!(told.contains("- block 2, ") && told.contains("memory was not steady 2 min after"), "{told}");
    let all = place.session(&["report", "study", "--verbose"]);
    assert!(all.contains("runs/6-workload-crun") && !told.contains("runs/6-workload-crun"), "{all}");
}

#[test]
fn a_difference_that_needs_far_more_blocks_than_planned_is_said_so_and_json_has_the_number() {
    let fixture = StudyFixture { runtimes: vec![RUNC, CRUN], blocks: 6, ..StudyFixture::small() };
    let (place, mut record) = recorded(&fixture);
    record.definition.margin = serde_json::from_str("{\"memory_per_instance\": \"1000\"}").unwrap();
    save(&place, &record);
    let found = json(&place)["comparisons"][0].clone();
    let more = &found["verdict"]["more_blocks"];
    assert!(more.is_null() || more.as_u64().unwrap() > 100, "{found}");
    let sentence = found["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("cannot tell yet whether memory per instance differs"), "{sentence}");
    assert!(sentence.ends_with("would need far more blocks than planned (> 100)."), "{sentence}");
}

#[test]
fn processes_that_share_the_pages_of_their_program_take_less_than_they_report() {
    let bare = SimulatedRuntime { name: "runc", memory: 0, create: Duration::from_millis(600) };
    let fixture = StudyFixture {
        runtimes: vec![bare],
        sizes: vec![16_000_000, 64_000_000],
        engine: EngineKind::Local,
        blocks: 2,
        ..StudyFixture::small()
    };
    let told = told(&recorded(&fixture).0).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("- processes take less than the resident set that each reports (1"), "{told}");
    assert!(told.contains("MiB of runc, 16M): they share the pages of their program"), "{told}");
    assert!(told.contains("- runtimes are compared, sizes are not compared with each other"), "{told}");
}

/// As if each of its pods had a further container.
fn add_sidecar(run: &Path) {
    let sidecar = Sidecar { container: "istio-proxy".into(), image: "istio-proxy:1".into() };
    let table = run.join("events.csv");
    let text = file(&table);
    let header = text.lines().next().unwrap();
    let cell = |name: &str| match name {
        "time" => "2026-11-29T12:00:00.000Z".to_owned(),
        "elapsed_seconds" | "step" => "0".to_owned(),
        "kind" => "note".to_owned(),
        "object" => Sidecar::object(&sidecar.container),
        "reason" => SIDECAR.to_owned(),
        "message" => format!("\"{}\"", sidecar.message()),
        _ => String::new(),
    };
    let row = header.split(',').map(cell).collect::<Vec<_>>().join(",");
    fs::write(&table, text + &row + "\n").unwrap();
}

#[test]
fn a_study_without_runs_is_told_of() {
    let (place, mut record) = recorded(&StudyFixture { blocks: 1, ..StudyFixture::small() });
    record.runs.clear();
    record.decisions.clear();
    save(&place, &record);
    hold("study_no_runs", &told(&place));
}

#[test]
fn a_runtime_that_came_first_in_each_block_is_told_of_since_a_drift_would_look_like_a_difference() {
    let (place, mut record) = recorded(&StudyFixture::small());
    let begins: Vec<_> = record.runs.iter().filter(|run| run.cell == 0).map(|run| run.begin).collect();
    for (run, begin) in record.runs.iter_mut().filter(|run| run.cell == 1).zip(begins) {
        run.begin.0 = begin.0 + Duration::from_secs(100);
    }
    save(&place, &record);
    let order = "runc came first in each block: of a drift only the trend of the runs";
    let told = told(&place);
    assert!(told.replace("\n    ", " ").contains(order), "{told}");
    let all = place.session(&["report", "study", "--verbose"]);
    assert!(all.contains("removed from the differences"), "{all}");
    assert!(all.replace("\n    ", " ").contains(order), "{all}");
}

#[test]
fn each_sentence_is_of_the_verdict_that_stands_beside_it() {
    let mut answers = std::collections::BTreeSet::new();
    for fixture in [
        StudyFixture { runtimes: vec![RUNC, CRUN, KATA], blocks: 3, ..StudyFixture::small() },
        StudyFixture::of_sizes(),
    ] {
        let (place, _) = recorded(&fixture);
        for comparison in json(&place)["comparisons"].as_array().unwrap() {
            let sentence = comparison["sentence"].as_str().unwrap();
            let answer = match sentence {
                told if told.starts_with("cannot tell yet whether ") => "cannot_tell",
                told if told.starts_with("no difference larger than ") => "no_larger_than",
                told if told.contains(": not compared: ") => "",
                _ => "differs",
            };
            answers.insert(answer);
            assert_eq!(comparison["verdict"]["answer"].as_str().unwrap_or_default(), answer, "{sentence}");
            if comparison["verdict"].is_null() {
                assert!(
                    comparison["reason"].is_string() && comparison["difference"].is_null(),
                    "{comparison}"
                );
                continue;
            }
            let number = |value: &Value| value.as_f64().unwrap();
            let [low, high] = ["low", "high"].map(|end| number(&comparison["interval"][end]));
            if answer == "differs" && comparison["deviation"] != 0.0 {
                assert!(low > 0.0 || high < 0.0, "{comparison}");
            }
            let blocks = comparison["blocks"].as_u64().unwrap();
            assert!(sentence.contains(&format!("{blocks} blocks")), "{sentence}");
            let is_more = [" more ", " longer "].iter().any(|word| sentence.contains(word));
            let is_less = [" less ", " fewer ", " shorter "].iter().any(|word| sentence.contains(word));
            let difference = number(&comparison["difference"]);
            let seen = sentence.split("; ").next().unwrap();
            assert!(difference <= 0.0 || is_more, "{seen} {difference}");
            assert!(difference >= 0.0 || is_less, "{seen} {difference}");
        }
    }
    assert_eq!(answers.len(), 4, "each of them is there: {answers:?}");
}

#[test]
fn assertions_on_a_study_hold_or_fail_or_are_of_something_else() {
    let (place, _) = recorded(&StudyFixture { blocks: 2, ..StudyFixture::of_sizes() });
    let asserted = |assertion: &str| {
        let told = place.session(&["report", "study", "--json", "--assert", assertion]);
        let is_of_it = |line: &&str| line.starts_with(['$', '[']) || line.starts_with("error");
        told.lines().filter(is_of_it).map(|line| format!("{line}\n")).collect::<String>()
    };
    let assertions = [
        "memory_per_instance<=200Mi",
        "memory_per_instance_difference<=39Mi",
        "memory_per_instance_difference<=100",
        "startup_median_ratio>=1",
        "instances_held>=8",
        "instances_held_difference<0",
        "running>=1",
    ];
    // Digits that another processor may round differently.
    let told = assertions.map(asserted).join("\n");
    let without_digits: String = told
        .split(' ')
        .map(|word| word.parse::<f64>().map_or_else(|_| word.to_owned(), |number| format!("{number:.0}")))
        .collect::<Vec<_>>()
        .join(" ");
    hold("study_assertions", &without_digits);
    let both = place.session(&["report", "study", "study/runs/1-workload-kata-32M"]);
    hold("study_beside_runs", &both);
}
