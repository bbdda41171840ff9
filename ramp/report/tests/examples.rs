//! The examples in `examples/`, run on stored runs of the simulated engine.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::json::json;

/// Those without drift, whose naive figures are near the truth.
const STORED: [&str; 2] = ["1-current", "1-with-settle"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions").join(name)
}

/// What an example prints of a run.
fn printed(arguments: &[&str], run: &Path) -> String {
    let place = tempfile::tempdir().unwrap();
    let python = std::env::var_os("DATA_PYTHON").expect("DATA_PYTHON names an interpreter that has pandas");
    let mut command = Command::new(python);
    command.args(arguments).arg(run).env("RUN", run).current_dir(place.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The number between two texts.
fn number(text: &str, before: &str, after: &str) -> f64 {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split(after).next().unwrap().parse().unwrap_or_else(|_| panic!("{rest}"))
}

#[test]
#[ignore = "needs Python's pandas: DATA_PYTHON"]
fn the_script_finds_what_the_report_does() {
    let script = root().join("examples/pandas_run.py");
    for name in STORED {
        let said = printed(&[script.to_str().unwrap()], &stored(name));
        let run = &json(&Report::of(vec![Dataset::read(&stored(name)).unwrap()], None))["runs"][0];
        let bytes = run["estimates"]["marginal_cost"]["bytes"].as_f64().unwrap();
        let naive = number(&said, "marginal cost: ", " MB an instance") * 1e6;
        assert!((naive / bytes - 1.0).abs() < 0.02, "{name}: {naive}, {bytes}");
        let held = number(&said, "at most ", " instances held");
        assert_eq!(held, run["estimates"]["held"]["count"].as_f64().unwrap(), "{name}");
    }
}

#[test]
#[ignore = "needs Python's pandas and nbformat: DATA_PYTHON"]
fn the_notebook_is_valid_reads_a_run_and_finds_what_the_report_does() {
    const RUN_CELLS: &str = "import sys, nbformat\nnotebook = nbformat.read(sys.argv[1], 4)\nnbformat.validate(notebook)\n\
                             assert len(notebook.cells[1].source.splitlines()) == 5\n\
                             for cell in notebook.cells:\n    if cell.cell_type == 'code': exec(cell.source)";
    let notebook = root().join("examples/run.ipynb");
    for name in STORED {
        let said = printed(&["-c", RUN_CELLS, notebook.to_str().unwrap()], &stored(name));
        let run = &json(&Report::of(vec![Dataset::read(&stored(name)).unwrap()], None))["runs"][0];
        assert_eq!(number(&said, "", " instances held"), run["estimates"]["held"]["count"].as_f64().unwrap());
        let median = number(&said, "median startup: ", " s");
        // Over all levels of load: between the least and the greatest median of one.
        let levels = run["behaviour"]["startup_latency"].as_array().unwrap();
        let medians = levels.iter().filter_map(|level| level["p50"]["seconds"].as_f64());
        let (least, most) = medians.fold((f64::MAX, f64::MIN), |(a, b), one| (a.min(one), b.max(one)));
        assert!(least - 0.01 <= median && median <= most + 0.01, "{name}: {median}, {least} to {most}");
    }
}
