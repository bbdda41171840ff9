//! Studies of simulated clusters, as the program `ramp` runs them.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use ramp_format::run_file::read_run;
use ramp_format::study::{RunRecordState, StudyRecord};
use ramp_report::progress::Observer;
use ramp_report::study::data::{MeasuredRun, StudyData};
use ramp_report::study::verdict::Verdict;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::schemas::assert_valid;

/// Two runtimes, of which one takes 30 MB more for each instance.
const TWO: &str = "engine: simulated\nseed: 7\nruntimes: [runc, kata]\nworlds: {kata: {runtime: {memory: 32M}}}\n\
                   sizes: [{memory: 100M}]\nramp: {to: 12, hold: 10s}\n";

/// A directory with a study file in it.
struct Place(TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        std::fs::write(place.path().join("study.yaml"), text).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn study(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
        command.arg("study").args(words).current_dir(self.path()).output().unwrap()
    }

    fn run(&self, out: &str) -> (StudyRecord, String) {
        let output = self.study(&["run", "study.yaml", "--out", out]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let directory = self.path().join(out);
        let json = |file: &Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(directory.join(file)).unwrap()).unwrap()
        };
        assert_valid("study", &json(Path::new("study.json")));
        let record = StudyRecord::read(&directory).unwrap();
        record.runs.iter().for_each(|run| assert_valid("run", &json(&run.directory.join("run.json"))));
        (record, said)
    }

    fn entries(&self) -> Vec<String> {
        let entries = self.path().read_dir().unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

fn order(record: &StudyRecord) -> Vec<(u32, usize, RunRecordState)> {
    record.runs.iter().map(|run| (run.block, run.cell, run.state)).collect()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_plan_warns_of_dwells_that_are_too_short_for_a_precision_of_cpu_time() {
    let plan = |dwells: &str| -> (String, Value) {
        let place = Place::new(&format!(
            "engine: simulated\nseed: 7\nruntimes: [runc, kata]\nworlds: {{kata: {{runtime: {{memory: 32M}}}}}}\n\
             sizes: [{{memory: 100M}}]\nprecision: {{cpu_at_rest: 0.002}}\nblocks: 4\nramp: {{to: 12, {dwells}}}\n"
        ));
        let output = place.study(&["plan", "study.yaml"]);
        let json = place.study(&["plan", "study.yaml", "--json"]);
        (String::from_utf8(output.stdout).unwrap(), serde_json::from_slice(&json.stdout).unwrap())
    };
    let (short, json) = plan("settle: 10s, hold: 6s");
    let told = &json["dwells"][0];
    let dwell = told["dwell_seconds"].as_f64().unwrap();
    assert!(
        short.contains(&format!(
            "warning      CPU at rest within ±0.002 cores needs settle and hold of about {dwell} s each"
        )),
        "{short}"
    );
    assert!(
        short.contains("ramp has settle 10 s and hold 6 s") && short.contains("the study then takes about"),
        "{short}"
    );
    assert!(told["study_seconds"].as_f64() > json["expected_seconds"].as_f64(), "{json}");
    let (enough, json) = plan(&format!("settle: {dwell}s, hold: {dwell}s"));
    assert!(
        enough.contains("dwells       CPU at rest within ±0.002 cores: ") && !enough.contains("needs settle"),
        "{enough}"
    );
    assert_eq!(json["dwells"][0]["is_met"], true);
}

#[test]
fn a_study_is_run_block_by_block_and_its_seed_gives_its_order_and_its_figures() {
    let place = Place::new(&format!("{TWO}blocks: 3\n"));
    let ((first, said), (second, _)) = (place.run("a"), place.run("b"));
    assert!(said.contains("block 2 of 3, run 1 of 2: "), "{said}");
    assert!(said.contains("study ended: 3 blocks completed"), "{said}");
    assert_eq!(first.runs.len(), 2 + 3 * 2);
    assert_eq!(first.whole_blocks(), 3);
    assert_eq!(order(&first), order(&second));
    let figures = |out: &str| {
        let data = StudyData::read(&place.path().join(out), &Observer::default()).unwrap();
        assert_eq!(data.unreadable.len(), 0, "{:?}", data.unreadable);
        // Timers are of a millisecond; memory does not depend on which one.
        let of = |run: &MeasuredRun| {
            let figures = &run.figures.figures;
            let startup = figures[2].as_ref().unwrap();
            (figures[0].clone().unwrap(), (startup * 20.0).round(), run.figures.begin_seconds.round())
        };
        let runs: Vec<_> = data.runs.iter().map(of).collect();
        (runs, data)
    };
    let ((runs, data), (again, _)) = (figures("a"), figures("b"));
    let is_near = |(a, b): (&(f64, f64, f64), &(f64, f64, f64))| {
        a.0 == b.0 && (a.1 - b.1).abs() <= 1.0 && (a.2 - b.2).abs() <= 1.0
    };
    assert!(runs.len() == again.len() && runs.iter().zip(&again).all(is_near), "{runs:?} {again:?}");
    let compared = data.comparisons().remove(0);
    assert_eq!(data.record.cells[compared.other].runtimes, ["kata"]);
    let memory = compared.comparison.figures[0].as_ref().unwrap();
    assert_eq!(memory.verdict, Verdict::Differs);
    assert!((25e6..35e6).contains(&memory.difference.difference.mean), "{memory:?}");
    // Ids begin with the study's, and times are simulated ones, one run after the other.
    for (at, run) in first.runs.iter().enumerate() {
        let file = read_run(&place.path().join("a").join(&run.directory)).unwrap();
        assert_eq!(file.run, format!("{}-{}", first.study, at + 1));
        assert!(run.begin <= file.begin && file.end <= run.end, "{run:?}");
        assert!(at == 0 || first.runs[at - 1].end.unwrap() <= run.begin, "{run:?}");
    }
    let other = Place::new(&TWO.replace("seed: 7", "seed: 8"));
    assert_ne!(order(&other.run("c").0)[2..], order(&first)[2..], "another seed");
}

#[test]
fn blocks_go_on_until_the_precision_is_reached_and_each_decision_is_told() {
    let text = format!(
        "{TWO}warmup: false\nblocks: {{least: 3, most: 9}}\nprecision: {{memory_per_instance: 40%}}\n"
    );
    let place = Place::new(&text);
    let (record, said) = place.run("a");
    let why = record.why_ended.clone().unwrap();
    assert!(why.starts_with("precision reached after 4 blocks ("), "{why}");
    let after: Vec<u32> = record.decisions.iter().map(|decision| decision.after_blocks).collect();
    assert_eq!((after, record.runs.len()), (vec![2, 3, 4], 8));
    assert!(said.contains("after 2 blocks: "), "{said}");
}

#[test]
fn no_run_begins_that_would_end_after_the_budget_and_times_are_simulated_ones() {
    let text = format!("{TWO}warmup: false\nblocks: {{least: 1, most: 500}}\nbudget: 20m\n");
    let place = Place::new(&text);
    let (record, _) = place.run("a");
    let why = record.why_ended.clone().unwrap();
    assert!(why.starts_with("budget of 20m: the next run would probably end later; "), "{why}");
    let took = record.end.unwrap().0.duration_since(record.begin.0).unwrap();
    let minute = Duration::from_secs(60);
    assert!(
        (15 * minute..=21 * minute).contains(&took) && record.runs.len() > 5,
        "{took:?}: {}",
        record.runs.len()
    );
}

#[test]
fn a_run_that_fails_is_repeated_once_and_the_study_goes_on_without_it() {
    let text = "engine: simulated\nseed: 7\nruntimes: [a, b]\nwarmup: false\nblocks: 2\nramp: {to: 4, hold: 1s}\n\
                worlds: {b: {events: [{what: delete-workload, at: 12s}]}}\n";
    let place = Place::new(text);
    let (record, said) = place.run("s");
    for block in [1, 2] {
        let of: Vec<_> = record.runs.iter().filter(|run| run.block == block).collect();
        let states: Vec<_> = of.iter().map(|run| (run.cell, run.state)).collect();
        assert_eq!(states.len(), 3, "{states:?}");
        assert_eq!(states[2], (1, RunRecordState::Failed), "the repetition is the last one of the block");
        assert!(states.contains(&(0, RunRecordState::Done)));
        assert!(of[2].directory.ends_with(format!("block-{block}-b.repeat-1")) && !of[2].notes.is_empty());
    }
    assert!(said.contains("it is repeated at the end of the block"), "{said}");
    assert!(said.contains("it has failed twice: the block goes on without it"), "{said}");
    assert_eq!(record.why_ended.as_deref(), Some("2 blocks completed"));
    assert!(said.contains("2 blocks completed; 4 runs failed, see: ramp study status s"), "{said}");
    let status = String::from_utf8(place.study(&["status", "s"]).stdout).unwrap();
    assert!(
        status.contains("runs       2 done, 4 failed")
            && status.contains("failed     the last: block 2, b: "),
        "{status}"
    );
    let alone = Place::new(&text.replace("[a, b]", "[b]"));
    let output = alone.study(&["run", "study.yaml", "--out", "s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("study stopped: all runs of block 1 failed: "), "{}", error(&output));
}

#[test]
fn a_cell_that_cannot_run_refuses_the_study_before_anything_is_created() {
    let place = Place::new(&TWO.replace("memory: 32M", "memry: 32M"));
    for command in [&["plan", "study.yaml"][..], &["run", "study.yaml", "--out", "s"]] {
        let output = place.study(command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = error(&output);
        assert!(said.contains("cell kata: worlds.kata: ") && said.contains("memry"), "{said}");
        assert_eq!(place.entries(), ["study.yaml"]);
    }
    for (key, why) in
        [("mix: true\n", "worlds: with mix all runtimes are in one world"), ("nonsense: 1\n", "nonsense")]
    {
        let output = Place::new(&format!("{TWO}{key}")).study(&["plan", "study.yaml"]);
        assert!(output.status.code() == Some(2) && error(&output).contains(why), "{}", error(&output));
    }
    std::fs::create_dir_all(place.path().join("full/x")).unwrap();
    std::fs::write(place.path().join("study.yaml"), TWO).unwrap();
    let output = place.study(&["run", "study.yaml", "--out", "full"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(error(&output).contains("is not empty"), "{}", error(&output));
    let output = place.study(&["run", "study.yaml", "--out", "study.yaml/below"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
}

#[test]
fn a_directory_that_has_the_study_already_is_told_with_how_to_go_on() {
    let place = Place::new(&format!("{TWO}blocks: 1\nwarmup: false\n"));
    let (record, _) = place.run("s");
    let again = |words: &[&str]| {
        let output = place.study(words);
        (output.status.code(), error(&output))
    };
    let (code, said) = again(&["run", "study.yaml", "--out", "s"]);
    assert!(code == Some(2) && said.contains("report on it with: ramp study report s"), "{said}");
    let (code, said) = again(&["run", "--resume", "s"]);
    assert!(code == Some(2) && said.contains("nothing to resume: the study ended at"), "{said}");
    // As if it had been interrupted before its last run.
    let mut cut = record.clone();
    (cut.end, cut.why_ended) = (None, None);
    let last = cut.runs.pop().unwrap();
    std::fs::remove_dir_all(place.path().join("s").join(&last.directory)).unwrap();
    cut.save(&place.path().join("s")).unwrap();
    let (code, said) = again(&["run", "study.yaml", "--out", "s"]);
    assert!(code == Some(2) && said.contains("go on with: ramp study run --resume s"), "{said}");
    let (code, said) = again(&["run", "--resume", "s"]);
    assert_eq!(code, Some(0), "{said}");
    let resumed = StudyRecord::read(&place.path().join("s")).unwrap();
    assert_eq!((order(&resumed), resumed.resumes.len()), (order(&record), 1));
    std::fs::write(place.path().join("study.yaml"), TWO).unwrap();
    let (code, said) = again(&["run", "study.yaml", "--out", "s"]);
    assert!(code == Some(2) && said.contains("another study, study, was begun there"), "{said}");
}

#[test]
fn a_run_that_was_under_way_is_repeated_unless_it_had_ended() {
    let place = Place::new(&format!("{TWO}blocks: 1\nwarmup: false\n"));
    let (record, _) = place.run("s");
    let path = place.path().join("s");
    let mut cut = record.clone();
    (cut.end, cut.why_ended) = (None, None);
    cut.runs[1].state = RunRecordState::Running;
    cut.save(&path).unwrap();
    assert!(place.study(&["run", "--resume", "s"]).status.success());
    assert_eq!(order(&StudyRecord::read(&path).unwrap()), order(&record), "its directory is complete");
    // Now its end is missing.
    let file = path.join(&record.runs[1].directory).join("run.json");
    let mut run: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    run["end"] = Value::Null;
    std::fs::write(&file, run.to_string()).unwrap();
    cut.save(&path).unwrap();
    let status: Value = serde_json::from_slice(&place.study(&["status", "s", "--json"]).stdout).unwrap();
    assert_eq!((&status["runs"]["done"], &status["under_way"]["step"]), (&1.into(), &12.into()), "{status}");
    let status = String::from_utf8(place.study(&["status", "s"]).stdout).unwrap();
    assert!(status.contains("cut off    block 1, ") && status.contains("--resume s"), "{status}");
    let output = place.study(&["run", "--resume", "s"]);
    assert!(output.status.success(), "{}", error(&output));
    let resumed = StudyRecord::read(&path).unwrap();
    let states: Vec<_> = resumed.runs.iter().map(|run| (run.cell, run.state)).collect();
    let cell = record.runs[1].cell;
    assert_eq!(states[1..].to_vec(), [(cell, RunRecordState::CutOff), (cell, RunRecordState::Done)]);
    assert!(resumed.runs[1].directory.to_str().unwrap().ends_with(".cut-1"));
    assert!(path.join(&resumed.runs[1].directory).join("run.json").exists());
    assert_eq!(resumed.runs[2].directory, record.runs[1].directory);
}

#[test]
fn a_run_whose_directory_is_lost_or_damaged_is_repeated_when_the_study_is_resumed() {
    let place = Place::new(&format!("{TWO}blocks: 2\nwarmup: false\n"));
    let (record, _) = place.run("s");
    let path = place.path().join("s");
    let mut cut = record.clone();
    (cut.end, cut.why_ended) = (None, None);
    let last = cut.runs.pop().unwrap();
    std::fs::remove_dir_all(path.join(&last.directory)).unwrap();
    cut.save(&path).unwrap();
    std::fs::remove_dir_all(path.join(&record.runs[0].directory)).unwrap();
    std::fs::write(path.join(&record.runs[2].directory).join("run.json"), "{\"format_ver").unwrap();
    let output = place.study(&["run", "--resume", "s"]);
    let said = error(&output);
    assert!(output.status.success(), "{said}");
    let lost = record.runs[0].directory.display();
    assert!(said.contains(&format!("warning: {lost}: recorded as done, and cannot be read: ")), "{said}");
    assert!(
        said.contains("the file is incomplete (12 bytes)") && said.contains("; it is repeated"),
        "{said}"
    );
    let resumed = StudyRecord::read(&path).unwrap();
    assert_eq!(resumed.whole_blocks(), 2);
    assert_eq!(resumed.runs.iter().filter(|run| run.state == RunRecordState::CutOff).count(), 2);
    let data = StudyData::read(&path, &Observer::default()).unwrap();
    assert_eq!((data.runs.len(), data.unreadable.len()), (4, 0), "{:?}", data.unreadable);
}

#[test]
fn a_budget_that_is_shorter_than_a_run_is_refused_and_one_without_two_blocks_is_warned_of() {
    let study = |budget: &str| Place::new(&format!("{TWO}warmup: false\nblocks: 2\nbudget: {budget}\n"));
    let place = study("1s");
    let output = place.study(&["plan", "study.yaml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("budget: 1s is shorter than the first run (about "), "{said}");
    assert_eq!(output.status.code(), Some(3));
    let output = place.study(&["run", "study.yaml", "--out", "s"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
    assert!(error(&output).contains("error: budget: 1s is shorter"), "{}", error(&output));
    assert_eq!(place.entries(), ["study.yaml"]);
    let output = study("3m").study(&["plan", "study.yaml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("warning      budget: two blocks take about "),
        "{said}"
    );
    assert!(said.contains("the budget of 3m ends it earlier"), "{said}");
}

#[test]
fn a_plan_tells_the_runs_and_their_duration_and_creates_nothing() {
    let place = Place::new(&format!("{TWO}blocks: 2\norder: balanced\n"));
    let output = place.study(&["plan", "study.yaml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("block 1: runc · kata") && said.contains("block 2: kata · runc"), "{said}");
    let json: Value = serde_json::from_slice(&place.study(&["plan", "study.yaml", "--json"]).stdout).unwrap();
    assert!(json["expected_seconds"].as_f64().unwrap() > 100.0, "{json}");
    assert_eq!(json["runs"][1]["cells"], serde_json::json!(["runc", "kata"]));
    assert_eq!(place.entries(), ["study.yaml"]);
}

#[test]
fn a_study_file_is_written_once_and_its_schema_is_printed() {
    let place = Place::new("");
    let init = |file: &str| place.study(&["init", file]).status.code();
    assert_eq!((init("new.yaml"), init("new.yaml")), (Some(0), Some(2)));
    let schema: Value = serde_json::from_slice(&place.study(&["schema"]).stdout).unwrap();
    assert!(schema["properties"]["cooldown"].is_object(), "{schema}");
}

/// A cluster in which each instance of kata takes 128 MiB more than one of the other runtime.
const MIXED_WORLD: &str = "nodes: [{count: 2, memory: 64Gi}]\nload: {memory: 50M, report_every: 5s}\n\
                           runtime: {name: runc, memory: 2Mi}\nruntimes: {kata: {memory: 130Mi, create: 1600ms}}\n";
const MIXED: &str = "engine: simulated\nruntimes: [default, kata]\nworld: world.yaml\nmix: true\nwarmup: false\n\
                     ramp: {to: 12, hold: 5s}\n";

fn mixed(text: &str) -> Place {
    let place = Place::new(&format!("{MIXED}{text}"));
    std::fs::write(place.path().join("world.yaml"), MIXED_WORLD).unwrap();
    place
}

fn report(place: &Place, words: &[&str]) -> String {
    let output = place.study(&[&["report", "s", "--out", "page"], words].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_study_of_mixed_runs_tells_what_each_runtime_takes_and_the_difference_within_runs() {
    const TRUTH: f64 = 128.0 * 1_048_576.0;
    let (mut held, mut near) = (0, 0);
    for seed in 1..=6 {
        let place = mixed(&format!("blocks: 3\nseed: {seed}\n"));
        place.run("s");
        let json: Value = serde_json::from_str(&report(&place, &["--json"])).unwrap();
        let found = &json["comparisons"][0];
        assert_eq!(
            (&found["figure"], &found["blocks"]),
            (&"memory_per_instance".into(), &3.into()),
            "{found}"
        );
        assert_eq!(found["verdict"]["answer"], "differs", "{found}");
        let end = |name: &str| found["interval"][name].as_f64().unwrap();
        held += u32::from(end("low") <= TRUTH && TRUTH <= end("high"));
        let difference = found["difference"].as_f64().unwrap();
        near += u32::from((difference - TRUTH).abs() < 0.01 * TRUTH);
        let cells = json["cells"].as_array().unwrap();
        let names: Vec<&str> = cells.iter().map(|cell| cell["label"].as_str().unwrap()).collect();
        assert_eq!(names, ["default", "kata"]);
        assert_eq!((&found["base"], &found["other"]), (&"default".into(), &"kata".into()));
        for (cell, startup) in cells.iter().zip([0.6, 1.6]) {
            let figures = &cell["figures"];
            assert_eq!((&cell["runs"], &figures["memory_per_instance"]["runs"]), (&3.into(), &3.into()));
            let median = figures["startup_median"]["value"].as_f64().unwrap();
            assert!((startup..startup + 1.0).contains(&median), "{median}");
            assert!(figures["instances_held"]["value"].is_null());
        }
    }
    // Of intervals of 95 % three of six miss with a probability of 2 in 1000, four with 1 in 10 000.
    assert!(held >= 3 && near == 6, "{held} of 6 hold the truth, {near} are within 1 % of it");
}

#[test]
fn one_mixed_run_tells_the_difference_with_its_own_interval() {
    let place = mixed("blocks: 1\nseed: 3\n");
    place.run("s");
    let told = report(&place, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("kata takes 12") && told.contains("within one mixed run"), "{told}");
    assert!(told.contains("how much runs differ is unknown"), "{told}");
    let page = std::fs::read_to_string(place.path().join("page/report.html")).unwrap();
    assert!(page.contains("kata takes 12") && page.contains("chart-memory"), "the page has it");
}

#[test]
fn a_precision_of_a_mixed_study_ends_it() {
    let place = mixed("blocks: {least: 2, most: 9}\nprecision: {memory_per_instance: 20%}\nseed: 3\n");
    let (record, _) = place.run("s");
    let why = record.why_ended.unwrap();
    assert!(why.starts_with("precision reached after 4 blocks"), "{why}");
}

#[test]
fn a_study_of_searches_tells_how_many_hold_by_the_climbs_of_all_runs_and_how_many_more() {
    // What holds with a probability of 95 % is the mean less 1.645 deviations.
    const BASE: f64 = 30.0 - 1.645 * 2.0;
    const OTHER: f64 = 20.0 - 1.645;
    let place = Place::new(
        "engine: simulated\nseed: 3\nruntimes: [runc, kata]\nworld: world.yaml\nwarmup: false\nblocks: 2\n\
         worlds: {kata: {placement: {mean: 20, deviation: 1}}}\n\
         ramp: {to: 60, hold: 2s, step_timeout: 60s, search: {climbs: 8}}\n",
    );
    let world = "nodes: [{count: 2, memory: 64Gi, cores: 64, pods: 500}]\n\
                 load: {memory: 20M, growth_rate: 100M/s, report_every: 2s, cpu: 0.05}\n\
                 placement: {mean: 30, deviation: 2}\n";
    std::fs::write(place.path().join("world.yaml"), world).unwrap();
    place.run("s");
    let json: Value = serde_json::from_str(&report(&place, &["--json"])).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    for (cell, truth) in json["cells"].as_array().unwrap().iter().zip([BASE, OTHER]) {
        let found = &cell["held_with_95_percent"];
        assert_eq!((&found["climbs"], &found["runs"]), (&16.into(), &2.into()), "{found}");
        assert!((number(&found["value"]) - truth).abs() <= 2.5, "{found} where {truth} is true");
        assert!(number(&found["interval"]["low"]) <= number(&found["value"]), "{found}");
    }
    let found = &json["searches"][0];
    assert!((number(&found["difference"]) - (OTHER - BASE)).abs() <= 3.5, "{found}");
    assert!(number(&found["interval"]["high"]) < 0.0, "{found}");
    let told = report(&place, &[]);
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let row = told.lines().find(|line| line.starts_with("kata ")).unwrap();
    assert!(row.contains("  1") && row.contains(" to "), "the table has it: {told}");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("fewer pods of kata than of runc hold with a probability of 95%"), "{told}");
}

#[test]
fn both_capacities_of_two_runtimes_are_told_and_that_their_requests_differ() {
    let place = Place::new(
        "engine: simulated\nseed: 7\nruntimes: [runc, kata]\nwarmup: false\nblocks: 2\nsizes: [{memory: 100M}]\n\
         worlds: {kata: {runtime: {memory: 130Mi, cpu_request: 0.25}}}\nramp: {to: 12, hold: 5s}\n",
    );
    place.run("s");
    let told = report(&place, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("- pods of kata request 128.1 MiB and 250m CPU more (requests of containers)"),
        "{told}"
    );
    assert!(told.contains("Instances that fit: runc: ") && told.contains(" by CPU requests, "), "{told}");
    let json: Value = serde_json::from_str(&report(&place, &["--json"])).unwrap();
    let [runc, kata] = [0, 1].map(|at| &json["cells"][at]["capacities"]);
    assert_eq!(kata["by_requests"]["by"], "CPU requests", "{kata}");
    assert!(kata["by_requests"]["value"].as_u64() < runc["by_requests"]["value"].as_u64(), "{json}");
    assert!(kata["by_memory"]["value"].as_f64() < runc["by_memory"]["value"].as_f64(), "{json}");
    assert!(json["capacities"][0]["sentences"][0].as_str().unwrap().starts_with("Instances that fit: "));
    let page = std::fs::read_to_string(place.path().join("page/report.html")).unwrap();
    assert!(page.contains("Instances that fit: runc: "), "the page has it");
}

#[test]
fn a_study_tells_the_first_limit_of_the_nodes_and_what_is_swapped_out_of_each_runtime() {
    const MI: f64 = 1_048_576.0;
    let place = Place::new(
        "engine: simulated\nseed: 3\nruntimes: [runc, kata]\nworld: world.yaml\nwarmup: false\nblocks: 2\n\
         ramp: {to: 16, settle: 10s, hold: 20s}\n\
         worlds: {kata: {runtime: {memory: 70Mi, parts: {vmm: 64Mi}}, tasks: {limit: 60, each: 6}}}\n",
    );
    let world = "nodes: [{count: 2, memory: 8Gi, pods: 200, swap: 4Gi, swapped: 0.3}]\n\
                 load: {memory: 100Mi, growth_rate: instant, report_every: 5s, shared: 1500k}\n\
                 runtime: {memory: 5Mi, parts: {shim: 4Mi}}\nmachine: {components_every: 5s, noise: 50k, wander: 10k}\n\
                 tasks: {limit: 60, each: 3}\n";
    std::fs::write(place.path().join("world.yaml"), world).unwrap();
    place.run("s");
    let json: Value = serde_json::from_str(&report(&place, &["--json"])).unwrap();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    // Each node takes 60 tasks.
    for (cell, (overhead, fit)) in json["cells"].as_array().unwrap().iter().zip([(5.0, 40.0), (70.0, 20.0)]) {
        let swapped = number(&cell["figures"]["memory_swapped_out"]["value"]);
        let truth = 0.3 * ((100.0 + overhead) * MI - 1_500_000.0);
        assert!((swapped - truth).abs() < 0.02 * truth, "{swapped} where {truth} is true");
        assert!(cell["figures"].get("memory_compressed").is_none(), "nothing is compressed");
        let found = &cell["first_limit"]["forecast"];
        assert_eq!((&found["limit"], &found["runs"]), (&"pids (pods)".into(), &2.into()), "{found}");
        assert!(number(&found["low"]) <= fit && number(&found["high"]) >= fit, "{found}");
        assert!((number(&found["instances"]) - fit).abs() <= 3.0, "{found}");
        assert!(cell["first_limit"]["reached"].is_null(), "{cell}");
    }
    let words = report(&place, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "first limit of the nodes of kata other than memory and CPU: pids (pods), ";
    assert!(words.contains(told), "{words}");
    let page = std::fs::read_to_string(place.path().join("page/report.html")).unwrap();
    for part in [told, "swapped out 3", "chart-components"] {
        assert!(page.contains(part), "{part}");
    }
}
