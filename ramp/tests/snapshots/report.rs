//! Reports of recorded runs and of files in the study's layout.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ramp::ui::View;
use ramp_format::plan::{EngineOptions, Plan};
use serde_json::Value;

use super::recorded::{WHOLE, record, thirty, twenty_four};
use super::session::{Place, fits_on_a_screen, hold, text};
use super::study_layout;
use super::support::Shortage;
use super::support::schemas::assert_valid;

/// The study's two runtimes, made up.
fn two_files() -> Place {
    let place = Place::new();
    place.put("runc.csv", &study_layout::rows(60, 500));
    place.put("kata.csv", &study_layout::rows(60, 1000));
    place
}

/// Four runs: what saturates by eviction and by OOM kills, what never does, and what was cut off while a row was being written.
fn four_runs() -> Place {
    let place = Place::new();
    let of_runtime = |runtime: &str| {
        let options = EngineOptions { runtime: Some(runtime.into()), ..EngineOptions::default() };
        Plan { run: runtime.into(), options, ..thirty() }
    };
    let make = |name: &str, plan: &Plan, shortage, limit| {
        record(&place.path().join(name), plan, &twenty_four(shortage), limit, View::Nothing);
    };
    make("evicted", &of_runtime("runc"), Shortage::Evict, WHOLE);
    make("oom", &of_runtime("kata"), Shortage::OomKill, WHOLE);
    make("never", &Plan { to: 10, ..thirty() }, Shortage::Evict, WHOLE);
    make("cut", &thirty(), Shortage::Evict, Duration::from_secs(30));
    let file = place.path().join("cut/nodes.csv");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 20]).unwrap();
    place
}

/// What the page says to who reads it: neither scripts, styles and their data nor the markup.
pub(crate) fn prose_of(page: &str) -> String {
    let mut rest = page.to_owned();
    for element in ["script", "style"] {
        while let Some(begin) = rest.find(&format!("<{element}")) {
            let end = format!("</{element}>");
            let length = rest[begin..].find(&end).unwrap() + end.len();
            rest.replace_range(begin..begin + length, "");
        }
    }
    // Of the chart library: not ours.
    let rest = rest.split("Licence of uPlot").next().unwrap().replace("&#39;", "'");
    let mut words = String::new();
    for part in rest.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        // What stands in a line stays there.
        words.push_str(if ["span", "button", "a", "td", "th", "dd"].contains(&name) { " " } else { "\n" });
        words.push_str(text);
    }
    let lines = words.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

/// Six digits of each number: another processor may round the last ones differently.
pub(crate) fn rounded(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(rounded),
        Value::Object(values) => values.values_mut().for_each(rounded),
        Value::Number(number) if !number.is_u64() && !number.is_i64() => {
            *value = format!("{:.5e}", number.as_f64().unwrap()).parse::<f64>().unwrap().into();
        }
        _ => {}
    }
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let output = place.ramp(&[&["report", "--json"], arguments].concat(), "100");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut found = serde_json::from_slice(&output.stdout).unwrap();
    assert_valid("report", &found);
    rounded(&mut found);
    found
}

fn file(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn two_files_are_told_of_in_words_in_markdown_and_on_a_page() {
    let place = two_files();
    let told = place.session(&["report", "runc.csv", "kata.csv", "--memory", "500M"]);
    fits_on_a_screen(&told);
    hold("report_files_words", &told);
    let all = place.session(&["report", "runc.csv", "kata.csv", "--memory", "500M", "--verbose"]);
    hold("report_files_verbose", &all);
    hold("report_files_markdown", &file(&place.path().join("ramp-report/report.md")));
    hold("report_files_page", &prose_of(&file(&place.path().join("ramp-report/report.html"))));
    let mut charts: Vec<_> = fs::read_dir(place.path().join("ramp-report/charts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    charts.sort();
    let words = charts.iter().map(|chart| {
        let picture = file(chart);
        let text = picture
            .split("<text")
            .skip(1)
            .map(|part| part.split_once('>').unwrap().1.split('<').next().unwrap().trim());
        // Numbers are of the axes.
        let words: Vec<_> = text.filter(|text| text.chars().any(char::is_alphabetic)).collect();
        format!("{}: {}\n", chart.file_name().unwrap().to_string_lossy(), words.join(" | "))
    });
    hold("report_files_charts", &words.collect::<String>());
}

#[test]
fn two_files_are_told_of_as_json() {
    let found = json(&two_files(), &["runc.csv", "kata.csv", "--memory", "500M"]);
    hold("report_files_json_run", &format!("{:#}", found["runs"][0]));
    hold("report_files_json_comparison", &format!("{:#}", found["comparisons"]));
    hold("report_files_json_analysis", &format!("{:#}", found["analysis"]));
    let mut rest = found;
    ["runs", "comparisons", "analysis"].iter().for_each(|part| rest[part] = "told elsewhere".into());
    hold("report_files_json_rest", &format!("{rest:#}"));
}

#[test]
fn a_file_that_says_little_is_told_of_with_what_it_lacks() {
    let place = Place::new();
    place.put("short.csv", &study_layout::rows(4, 500));
    place.put("headless.csv", "Iteration,Elapsed,Running\n1,9,1\n");
    hold("report_little", &place.session(&["report", "short.csv", "headless.csv", "--out", "out"]));
}

#[test]
fn runs_are_told_of_in_words() {
    let place = four_runs();
    for run in ["evicted", "oom", "never", "cut"] {
        let told = place.session(&["report", run, "--out", "out"]);
        fits_on_a_screen(&told);
        hold(&format!("report_run_{run}"), &told);
        let all = place.session(&["report", run, "--out", "out", "--verbose"]);
        hold(&format!("report_run_{run}_verbose"), &all);
    }
}

#[test]
fn runs_are_told_of_in_markdown_and_on_a_page() {
    let place = four_runs();
    let told = place.session(&["report", "evicted", "oom", "--out", "out"]);
    fits_on_a_screen(&told);
    hold("report_runs_words", &told);
    let all = place.session(&["report", "evicted", "oom", "never", "cut", "--out", "all"]);
    fits_on_a_screen(&all);
    hold("report_four_runs_words", &all);
    hold("report_runs_markdown", &file(&place.path().join("out/report.md")));
    hold("report_runs_page", &prose_of(&file(&place.path().join("out/report.html"))));
}

#[test]
fn runs_are_told_of_as_json() {
    let place = four_runs();
    for run in ["evicted", "oom", "never", "cut"] {
        let found = json(&place, &[run]);
        hold(&format!("report_run_{run}_json_estimates"), &format!("{:#}", found["runs"][0]["estimates"]));
        if ["evicted", "cut"].contains(&run) {
            hold(
                &format!("report_run_{run}_json_behaviour"),
                &format!("{:#}", found["runs"][0]["behaviour"]),
            );
        }
    }
    let mut cut = json(&place, &["cut"])["runs"][0].clone();
    ["estimates", "behaviour"].iter().for_each(|part| cut[part] = "told elsewhere".into());
    hold("report_run_cut_json_rest", &format!("{cut:#}"));
}

#[test]
fn what_is_malformed_is_told_by_its_place() {
    let place = Place::new();
    place.put("whole.csv", &study_layout::rows(10, 500));
    let whole = file(&place.path().join("whole.csv"));
    place.put("word.csv", &whole.replacen("\n5,45,5,", "\n5,45,five,", 1));
    place.put("fewer.csv", &whole.replacen("\n6,54,6,", "\n6,54,", 1));
    place.put("empty.csv", "");
    place.put("header.csv", whole.lines().next().unwrap());
    place.put("other.csv", "a,b\n1,2\n");
    let mut told: Vec<String> = ["word", "fewer", "empty", "header", "other"]
        .map(|name| place.session(&["report", &format!("{name}.csv"), "--json"]))
        .into();
    told.push(place.session(&["report", "word.csv", "other.csv", "not-there.csv"]));
    told.push(place.session(&["report", "whole.csv", "./whole.csv"]));
    hold("report_malformed_files", &told.join("\n"));
}

#[test]
fn what_is_malformed_in_a_run_is_told_by_its_place() {
    let place = four_runs();
    let mut told = Vec::new();
    for (table, from, to) in [
        ("steps.csv", ",up,", ",sideways,"),
        ("steps.csv", ",settled,", ",settled,x"),
        ("steps.csv", "asked_instances", "asked"),
        ("nodes.csv", ",sample,", ",guess,"),
        ("pods.csv", "\n", "\nsoon,"),
        ("run.json", "\"format_version\": 1", "\"format_version\": 7"),
    ] {
        let path = format!("never/{table}");
        let whole = file(&place.path().join(&path));
        place.put(&path, &whole.replacen(from, to, 1));
        told.push(format!(
            "{table}: {from:?} is {to:?}\n{}",
            place.session(&["report", "never", "--out", "out"])
        ));
        place.put(&path, &whole);
    }
    hold("report_malformed_runs", &told.join("\n"));
}

#[test]
fn an_assertion_holds_or_fails_or_cannot_be_said() {
    let place = two_files();
    let asserted = |assertion: &str| {
        // What it prints is told elsewhere.
        let told = place.session(&["report", "runc.csv", "kata.csv", "--json", "--assert", assertion]);
        let is_of_it = |line: &&str| line.starts_with(['$', '[']) || line.starts_with("error");
        told.lines().filter(is_of_it).map(|line| format!("{line}\n")).collect::<String>()
    };
    let assertions = [
        "max_running>=20",
        "max_running>=30",
        "max_running==40",
        "saturation_step<10",
        "marginal_cost<=520M",
        "stale_cells_percent<=5%",
        "overhead_by_maximum<=50%",
        "overhead_per_pod<=100M",
        "predicted_capacity>=1",
        "max_goodput>=1",
        "running>=1",
    ];
    let one = place.session(&["report", "runc.csv", "--assert", "overhead_by_usage<=50%", "--out", "out"]);
    let one = one
        .lines()
        .filter(|line| line.starts_with(['$', '[']) || line.starts_with("error"))
        .map(|line| format!("{line}\n"));
    hold("report_assertions", &(assertions.map(asserted).join("\n") + "\n" + &one.collect::<String>()));
}

#[test]
fn a_run_that_has_ended_is_not_gone_on_with_and_has_left_nothing() {
    let place = four_runs();
    hold("ended_runs", &place.sessions(&[&["run", "--resume", "evicted"], &["clean", "evicted"]]));
}

#[test]
fn a_run_with_columns_of_another_version_is_not_resumed_but_its_leftovers_are_removed() {
    let place = four_runs();
    let edit = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(place.path().join(file)).unwrap();
        assert!(text.contains(from), "{file}");
        place.put(file, &text.replacen(from, to, 1));
    };
    edit("cut/nodes.csv", "elapsed_seconds", "seconds");
    hold("another_version", &place.sessions(&[&["run", "--resume", "cut"], &["clean", "cut"]]));
}
