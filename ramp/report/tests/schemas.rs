//! JSON schemas: what ramp writes is valid by them, what it does not write is not.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod json_schema;

use std::path::{Path, PathBuf};
use std::process::Command;

use json_schema::{errors, errors_with_unknown_keys};
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::json::json;
use ramp_report::schema::SCHEMAS;
use serde_json::{Value, json};

fn schema(name: &str) -> Value {
    (SCHEMAS.iter().find(|schema| schema.name == name).expect("it is published").schema)()
}

fn stored() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions");
    let mut stored: Vec<PathBuf> = root.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    stored.sort();
    assert!(stored.len() >= 4, "{stored:?}");
    stored
}

fn run_file(directory: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(directory.join("run.json")).unwrap()).unwrap()
}

#[test]
fn run_json_of_every_version_is_valid_and_its_keys_are_known() {
    let schema = schema("run");
    for directory in stored() {
        let errors = errors_with_unknown_keys(&schema, &run_file(&directory));
        assert!(errors.is_empty(), "{}: {}", directory.display(), errors.join("\n"));
    }
}

#[test]
fn reports_on_runs_of_every_version_alone_and_compared_are_valid() {
    let schema = schema("report");
    let stored = stored();
    let groups: Vec<Vec<&PathBuf>> = stored
        .iter()
        .map(|one| vec![one])
        .chain(stored.windows(2).map(|pair| pair.iter().collect()))
        .collect();
    for group in groups {
        let data = group.iter().map(|path| Dataset::read(path).unwrap()).collect();
        let found = json(&Report::of(data, None));
        let errors = errors(&schema, &found);
        assert!(errors.is_empty(), "{group:?}: {}", errors.join("\n"));
    }
}

#[test]
fn a_document_that_ramp_does_not_write_is_not_valid() {
    let report = schema("report");
    let found = json(&Report::of(vec![Dataset::read(&stored()[0]).unwrap()], None));
    let run = schema("run");
    let file = run_file(&stored()[0]);
    type Change = fn(&mut Value);
    let changes: [(&Value, &Value, Change, &str); 8] = [
        (&report, &found, |found| found["runs"] = json!({}), "/runs: {} is no \"array\""),
        (&report, &found, |found| drop(found.as_object_mut().unwrap().remove("summary")), "no \"summary\""),
        (
            &report,
            &found,
            |found| found["runs"][0]["estimates"]["held"]["count"] = "many".into(),
            "/estimates/held/count",
        ),
        (
            &report,
            &found,
            |found| drop(found["runs"][0]["estimates"].as_object_mut().unwrap().remove("held")),
            "no \"held\"",
        ),
        (
            &report,
            &found,
            |found| found["runs"][0]["estimates"]["marginal_cost"]["low"] = true.into(),
            "/marginal_cost/low",
        ),
        (&run, &file, |file| file["plan"]["engine"] = "docker".into(), "/plan/engine"),
        (&run, &file, |file| file["nodes"][0]["pods"] = (-1).into(), "/nodes/0/pods"),
        (&run, &file, |file| drop(file.as_object_mut().unwrap().remove("begin")), "no \"begin\""),
    ];
    for (schema, document, change, expected) in changes {
        let mut changed = document.clone();
        change(&mut changed);
        let errors = errors(schema, &changed);
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}: {errors:?}");
    }
}

#[test]
#[ignore = "needs Python's jsonschema: DATA_PYTHON"]
fn an_independent_validator_agrees() {
    const SCRIPT: &str = "import json, sys, jsonschema\n\
                          schema, document = (json.load(open(path)) for path in sys.argv[1:3])\n\
                          jsonschema.Draft202012Validator.check_schema(schema)\n\
                          for error in jsonschema.Draft202012Validator(schema).iter_errors(document):\n    \
                          print(error.json_path, error.message)";
    let place = tempfile::tempdir().unwrap();
    let save = |name: &str, value: &Value| {
        let path = place.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let python =
        std::env::var_os("DATA_PYTHON").expect("DATA_PYTHON names an interpreter that has jsonschema");
    let said = |schema: &Path, document: &Path| {
        let output = Command::new(&python).arg("-c").arg(SCRIPT).args([schema, document]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (run, report) = (save("run.schema", &schema("run")), save("report.schema", &schema("report")));
    for directory in stored() {
        assert_eq!(said(&run, &directory.join("run.json")), "", "{}", directory.display());
        let found = json(&Report::of(vec![Dataset::read(&directory).unwrap()], None));
        assert_eq!(said(&report, &save("report.json", &found)), "", "{}", directory.display());
    }
    let mut wrong = run_file(&stored()[0]);
    wrong["begin"] = "yesterday".into();
    assert!(said(&run, &save("wrong.json", &wrong)).contains("$.begin"));
    for schema in SCHEMAS {
        let path = save("any.schema", &(schema.schema)());
        let null = said(&path, &save("null.json", &Value::Null));
        assert!(null.contains("None is not of type 'object'"), "{}: {null}", schema.name);
    }
}
