//! Searches and studies on Podman.

use std::fs;
use std::path::Path;

use ramp_format::run_file::read_run;
use ramp_format::study::{RunRecordState, StudyRecord};
use tokio::process::Command;

use super::podman;
use super::service::Service;

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");

/// Ready at once.
const MANIFEST: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "small"}, "spec": {"template": {"spec": {
    "containers": [{"name": "workload", "image": "localhost/workload:0.1.0",
    "args": ["--memory=20M", "--growth-rate=instant", "--format=json", "--report-every=1s", "--log=warn"],
    "resources": {"limits": {"memory": "100M", "cpu": "0.5"}}}]}}}}"#;

/// A service whose default runtime is runc under another name.
fn configuration(runtime: &str) -> String {
    format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
         [engine]\nruntime = \"{runtime}\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
         [engine.runtimes]\n{runtime} = [\"/usr/sbin/runc\", \"/usr/bin/runc\", \"/usr/local/sbin/runc\"]\n"
    )
}

async fn ramp(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(RAMP);
    let output = command.args(words).current_dir(directory).kill_on_drop(true).output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Containers of a run or study that are still there.
async fn left(id: &str) -> String {
    let names = podman(&["ps", "--all", "--format", "{{.Names}} {{.Labels}}"]).await;
    names.lines().filter(|line| line.contains(id)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_search_climbs_to_the_ceiling_and_leaves_nothing() {
    let service = Service::start().await;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("small.json"), MANIFEST).unwrap();
    let socket = service.socket().display().to_string();
    let options = ["run", "small.json", "--engine", "podman", "--socket", &socket, "--out", "out"];
    let levels =
        ["--search", "5", "--to", "2", "--hold", "500ms", "--settle", "500ms", "--step-timeout", "1m"];
    let (code, said) = ramp(directory.path(), &[&options[..], &levels[..]].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ended: 5 climbs completed"), "{said}");
    assert!(said.contains("at least 2 instances: all 5 climbs reached --to 2"), "{said}");
    let run = read_run(&directory.path().join("out")).unwrap();
    assert_eq!(run.teardown.unwrap().left, Vec::<String>::new());
    assert_eq!(left(&run.run).await, "");
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_study_compares_two_runtimes_each_of_which_has_a_service() {
    let services = [Service::with(&configuration("one")).await, Service::with(&configuration("two")).await];
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("small.json"), MANIFEST).unwrap();
    let study = |sockets: &str| {
        let text = format!(
            "engine: podman\nscenarios: [{{manifest: small.json}}]\nruntimes: [one, two]\n{sockets}\nwarmup: false\nblocks: 2\n\
             ramp: {{to: 2, settle: 500ms, hold: 500ms}}\ncooldown: {{most: 1s}}\n"
        );
        fs::write(directory.path().join("study.yaml"), text).unwrap();
    };
    let [one, two] = services.each_ref().map(|service| service.socket().display().to_string());
    study(&format!("socket: {one}"));
    let (code, said) = ramp(directory.path(), &["study", "run", "study.yaml", "--out", "out"]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("cell two: --runtime two: this Podman service runs every container under one"),
        "{said}"
    );
    assert!(!directory.path().join("out").exists());

    study(&format!("sockets: {{one: {one}, two: {two}}}"));
    let (code, said) = ramp(directory.path(), &["study", "run", "study.yaml", "--out", "out"]).await;
    assert_eq!(code, Some(0), "{said}");
    let record = StudyRecord::read(&directory.path().join("out")).unwrap();
    assert_eq!((record.whole_blocks(), record.why_ended.as_deref()), (2, Some("2 blocks completed")));
    assert_eq!(record.runs.len(), 4);
    for run in &record.runs {
        assert_eq!(run.state, RunRecordState::Done, "{run:?}");
        let file = read_run(&directory.path().join("out").join(&run.directory)).unwrap();
        assert_eq!(file.plan.options.runtime.as_ref(), record.cells[run.cell].runtimes.first());
        assert_eq!(file.teardown.unwrap().left, Vec::<String>::new());
    }
    assert_eq!(left(&record.study).await, "");
}
