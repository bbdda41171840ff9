//! The GitHub Action: its inputs, its scripts, and a study by them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use clap::Parser;
use ramp::cli::Cli;
use serde_json::Value;

use super::session::{Place, text};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

fn steps(action: &Value) -> impl Iterator<Item = &Value> {
    action["runs"]["steps"].as_array().unwrap().iter()
}

fn script<'a>(action: &'a Value, name: &str) -> &'a str {
    steps(action).find(|step| step["name"] == name).unwrap()["run"].as_str().unwrap()
}

/// Lines of a script that call ramp, with its variables as words.
fn calls(script: &str) -> Vec<String> {
    let lines = script.lines().map(str::trim).filter(|line| line.starts_with("ramp "));
    let words =
        |line: &str| line.split(" > ").next().unwrap().replace("\"${options[@]}\"", "").replace('"', "");
    lines.map(words).collect()
}

#[test]
fn each_input_that_a_step_uses_is_declared_and_each_that_is_declared_is_used() {
    let action = yaml("action.yml");
    let source = fs::read_to_string(root().join("action.yml")).unwrap();
    let used: BTreeSet<String> = source
        .match_indices("inputs.")
        .map(|(at, _)| {
            source[at + 7..].chars().take_while(|letter| letter.is_alphanumeric() || *letter == '-').collect()
        })
        .collect();
    let declared: BTreeSet<String> = action["inputs"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(used, declared);
    for (name, input) in action["inputs"].as_object().unwrap() {
        assert!(input["description"].is_string() && input["default"].is_string(), "{name}");
    }
    for step in steps(&action).filter(|step| step["run"].is_string()) {
        assert_eq!(step["shell"], "bash", "{step}");
        assert!(
            !step["run"].as_str().unwrap().contains("${{"),
            "inputs are no code: they come by the environment"
        );
    }
}

#[test]
fn each_call_of_ramp_in_the_action_and_in_the_manual_is_one_that_ramp_takes() {
    let action = yaml("action.yml");
    let scripts = steps(&action).filter_map(|step| step["run"].as_str()).flat_map(calls);
    let manual = fs::read_to_string(root().join("docs/history.md")).unwrap();
    let shown =
        manual.lines().filter_map(|line| line.strip_prefix("$ ")).filter(|line| line.starts_with("ramp "));
    let shown = shown.map(|line| line.split(" > ").next().unwrap().split("  #").next().unwrap().to_owned());
    let all: Vec<String> = scripts.chain(shown).collect();
    assert!(all.len() > 8, "{all:?}");
    for call in all {
        let words: Vec<&str> = call.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        assert!(Cli::try_parse_from(&words).is_ok(), "{call}");
    }
}

#[test]
fn the_example_workflow_gives_inputs_that_there_are() {
    let (action, manual) = (yaml("action.yml"), fs::read_to_string(root().join("docs/history.md")).unwrap());
    let (_, example) = manual.split_once("```yaml\n# .github/workflows/").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let workflow: Value = serde_saphyr::from_str(&format!("# {example}")).unwrap();
    let mut uses = 0;
    for step in
        workflow["jobs"].as_object().unwrap().values().flat_map(|job| job["steps"].as_array().unwrap())
    {
        if !step["uses"].as_str().unwrap_or_default().starts_with("OWNER/REPO@") {
            continue;
        }
        uses += 1;
        for input in step["with"].as_object().unwrap().keys() {
            assert!(action["inputs"].get(input).is_some(), "{input}");
        }
    }
    assert_eq!(uses, 1, "{workflow:#}");
}

/// Runs the script of a step as the runner does.
fn run(place: &Place, script: &str, environment: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_ramp")).parent().unwrap().display().to_string();
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]);
    command
        .current_dir(place.path())
        .env("PATH", format!("{program}:/usr/bin:/bin"))
        .env("RUNNER_TEMP", place.path());
    for file in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
        command.env(file, place.path().join(file));
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn a_study_is_run_and_held_against_itself_by_the_scripts_of_the_action() {
    let (action, place) = (yaml("action.yml"), Place::new());
    place.put(
        "study.yaml",
        "engine: simulated\nblocks: 2\nwarmup: false\nseed: 1\nruntimes: [runc, kata]\nramp: {to: 6, settle: 1s, hold: 1s}\n",
    );
    let ran = run(&place, script(&action, "Run the study"), &[("STUDY", "study.yaml"), ("OUT", "out")]);
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    let report = |baseline: &str, assertions: &str| {
        let environment =
            [("OUT", "out"), ("BASELINE", baseline), ("BOUNDS", ""), ("ASSERTIONS", assertions)];
        run(&place, script(&action, "Report"), &environment)
    };
    let first = report("", "");
    assert!(first.status.success(), "{}{}", text(&first.stdout), text(&first.stderr));
    let file = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    place.put("baseline.json", &file("out/report.json"));
    let same = report("baseline.json", "instances_held>=0\n\nmemory_per_instance>=1M");
    assert!(
        text(&same.stdout).contains("\nAgainst baseline.json (default bounds)"),
        "{}",
        text(&same.stdout)
    );
    let wrong = report("baseline.json", "memory_per_instance<=1M");
    assert_eq!(wrong.status.code(), Some(4), "{}{}", text(&wrong.stdout), text(&wrong.stderr));
    assert!(
        text(&wrong.stdout).contains("\n::error title=memory_per_instance<=1M does not hold::"),
        "{}",
        text(&wrong.stdout)
    );
    assert!(
        file("out/junit.xml").contains("name=\"memory_per_instance&lt;=1M\"><failure "),
        "{}",
        file("out/junit.xml")
    );
    assert!(
        file("GITHUB_STEP_SUMMARY").contains("### Against baseline.json"),
        "{}",
        file("GITHUB_STEP_SUMMARY")
    );
    assert!(file("GITHUB_OUTPUT").contains("report=out/report.json\npage=out/report/report.html\n"));
    let neither =
        run(&place, script(&action, "Run the study"), &[("STUDY", ""), ("SCENARIO", ""), ("OUT", "out-2")]);
    assert_eq!(neither.status.code(), Some(2), "{}", text(&neither.stdout));
}

#[test]
#[ignore = "needs shellcheck"]
fn the_scripts_of_the_action_pass_shellcheck() {
    let (action, place) = (yaml("action.yml"), Place::new());
    for (number, step) in steps(&action).filter_map(|step| step["run"].as_str()).enumerate() {
        let name = format!("step-{number}.sh");
        place.put(&name, &format!("#!/usr/bin/env bash\nset -eo pipefail\n{step}"));
        let output = Command::new("shellcheck").arg(place.path().join(&name)).output().unwrap();
        assert!(output.status.success(), "{step}\n{}", text(&output.stdout));
    }
}
