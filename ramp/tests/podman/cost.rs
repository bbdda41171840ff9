//! Marginal cost of a container on Podman, against its memory cgroup.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::charged::charged;
use super::podman;
use super::service::Service;

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
const CONTAINERS: usize = 10;

#[tokio::test]
#[ignore = "needs podman and the memory controller of cgroup v1"]
async fn a_container_takes_what_its_memory_cgroup_is_charged() {
    let service = Service::start().await;
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runc/memory-capacity.yaml");
    let mut run = Command::new(RAMP);
    run.args([
        "run",
        "--force",
        "--engine",
        "podman",
        "--memory",
        "100M",
        "--to",
        &CONTAINERS.to_string(),
        "--socket",
    ])
    .arg(service.socket())
    .arg("--out")
    .arg(&out)
    .arg(manifest)
    .stdin(std::process::Stdio::null())
    .stderr(std::process::Stdio::piped())
    .kill_on_drop(true);
    let run = run.spawn().unwrap();
    timeout(Duration::from_secs(300), async {
        while std::fs::read_to_string(out.join("steps.csv")).map_or(0, |rows| rows.lines().count())
            <= CONTAINERS
        {
            sleep(Duration::from_millis(500)).await;
        }
    })
    .await
    .expect("every step ends");
    // Into the hold.
    sleep(Duration::from_secs(5)).await;
    let truth = charged_to_each(&out).await;

    let said = run.wait_with_output().await.unwrap();
    let words = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.success(), "{words}");
    let report = Command::new(RAMP).args(["report", "--json"]).arg(&out).output().await.unwrap();
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let run = &report["runs"][0];
    let cost = &run["estimates"]["marginal_cost"];
    let [bytes, low, high] = ["bytes", "low", "high"].map(|name| cost[name].as_f64().expect("it is given"));
    assert!(low <= truth && truth <= high, "{cost} where {truth} is true");
    assert!((bytes / truth - 1.0).abs() < 0.01, "{cost} where {truth} is true");
    assert_eq!(run["estimates"]["held"]["count"], CONTAINERS);
    assert_eq!(run["behaviour"]["goodput"]["most"]["count"], CONTAINERS);
    assert_eq!(run["estimates"]["saturation"]["saturated"], false);
    assert_eq!(run["behaviour"]["leak"]["leaked"], false, "{}", run["behaviour"]["leak"]);
    assert_eq!(run["behaviour"]["changed_by_others"], serde_json::json!([]));
    assert!(words.contains("most instances held: 10 (step"), "{words}");
}

/// What the kernel charges to the memory cgroup of each container of the run on average, without page cache, in bytes.
async fn charged_to_each(out: &Path) -> f64 {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    let of_run = format!("label={}={}", ramp::engine::RUN_LABEL, file["run"].as_str().unwrap());
    let ids = podman(&["ps", "--quiet", "--no-trunc", "--filter", &of_run]).await;
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), CONTAINERS, "{of_run}");
    let groups = podman(&[&["inspect", "--format", "{{.State.CgroupPath}}"], &ids[..]].concat()).await;
    let charged: Vec<f64> = groups
        .lines()
        .map(|group| charged(&Path::new("/sys/fs/cgroup/memory").join(group.trim_start_matches('/'))))
        .collect();
    charged.iter().sum::<f64>() / charged.len() as f64
}
