//! Faults of a real cluster: a hung and a killed API server, a killed kubelet, and `ramp` itself killed.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::ended_pods::EndedPods;
use crate::parts::Part;
use crate::process::{self, Running, left, ramp, scenario, tidy_cluster, wait};
use crate::support::transitions::audit;
use crate::support::{column, rows};

const SECOND: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs a cluster whose parts may be stopped and killed: CLUSTER_HOME"]
fn an_api_server_that_hangs_and_dies_a_kubelet_and_ramp_itself_killed_leave_a_whole_record() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let run = begin(&out);
    reach(&out, 3);

    let mut server = Part::of("apiserver");
    server.signal("-STOP");
    sleep(20 * SECOND);
    server.signal("-CONT");
    let hung = steps(&out);
    reach(&out, hung + 3);

    server.signal("-KILL");
    sleep(5 * SECOND);
    server.start_again();
    let died = steps(&out);
    reach(&out, died + 5);

    // A node is told to be not ready 40 s after its last sign of life. Until then nothing is heard of it, and ramp comes back.
    let mut kubelet = Part::of("kubelet-1");
    let silent = || {
        rows(&out, "nodes.csv").iter().filter(|row| row["row"] == "gap" && row["node"] == "node-1").count()
    };
    let before = silent();
    kubelet.signal("-KILL");
    wait("the node to be missed", 60 * SECOND, || silent() > before);

    run.kill();
    let killed = steps(&out);
    sleep(10 * SECOND);
    let run = ramp(&["run", "--resume", out.to_str().unwrap()]);
    reach(&out, killed + 3);

    wait("the node to be told not ready", 120 * SECOND, || {
        rows(&out, "events.csv")
            .iter()
            .any(|row| row["object"] == "node/node-1" && row["message"].starts_with("not ready"))
    });
    kubelet.start_again();
    wait("the node to be ready again", 120 * SECOND, || {
        let events = rows(&out, "events.csv");
        let of_the_node =
            events.iter().rfind(|row| row["object"] == "node/node-1" && row["reason"] == "Status");
        of_the_node.is_some_and(|row| row["message"].starts_with("ready"))
    });
    assert!(run.costs().is_some(), "the run was over before everything had broken");
    let (status, said) = run.wait_for(900 * SECOND);
    assert!(status.success(), "{status}: {said}");

    let account = audit(&out);
    assert!(account.there().is_empty(), "{:?}", account.there());
    let up: Vec<usize> = rows(&out, "steps.csv")
        .into_iter()
        .filter(|row| row["part"] == "up")
        .map(|row| row["step"].parse().unwrap())
        .collect();
    assert_eq!(up, (1..=up.len()).collect::<Vec<_>>(), "each step once, none left out");
    let outcomes = column(&out, "steps.csv", "outcome");
    assert!(outcomes.iter().any(|outcome| outcome == "unanswered"), "{outcomes:?}");
    gaps(&out);
    let run = ramp_format::run_file::read_run(&out).unwrap();
    assert_eq!((run.resumes.len(), run.rows_lost), (1, 0));
    assert_eq!(left(), Vec::<Value>::new());
}

fn begin(out: &Path) -> Running {
    let manifest = scenario("runc/memory-capacity.yaml");
    let run = process::run(
        &manifest,
        out,
        &["--memory", "20M", "--pace", "4s", "--stop", "time:190s", "--settle", "2s", "--hold", "5s"],
    );
    wait("the run to begin", 60 * SECOND, || out.join("steps.csv").is_file());
    run
}

fn steps(out: &Path) -> usize {
    // A row may be half written.
    fs::read_to_string(out.join("steps.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

fn reach(out: &Path, step: usize) {
    wait(&format!("step {step}"), 120 * SECOND, || steps(out) >= step);
}

/// What was not observed is told, and until when.
fn gaps(out: &Path) {
    let events = rows(out, "events.csv");
    let of = |kind: &str, object: &str| {
        events.iter().filter(|row| row["kind"] == kind && row["object"] == object).count()
    };
    for object in ["api", "ramp"] {
        let (begun, ended) = (of("gap_begins", object), of("gap_ends", object));
        assert!(begun >= 1 && begun == ended, "{object}: {begun} begun, {ended} ended");
    }
    assert!(
        rows(out, "nodes.csv").iter().any(|row| row["row"] == "gap" && row["memory_free_bytes"].is_empty())
    );
}
