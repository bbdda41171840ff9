//! Budget and limits enforced by cgroups.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ramp::engine::local;
use ramp::engine::{Engine, GroupId};
use ramp_format::state::State;
use serde_json::json;

use super::support::*;

/// The directories of a run's cgroup.
fn cgroups(run: &str) -> Vec<PathBuf> {
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-type", "d", "-name"]).arg(format!("ramp-{run}")).stderr(Stdio::null());
    let text = String::from_utf8(find.output().unwrap().stdout).unwrap();
    text.lines().map(PathBuf::from).collect()
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn above_its_own_limit_an_instance_is_oom_killed_and_started_again() {
    let limits = json!({"limits": {"memory": "30M", "cpu": "500m"}, "requests": {"cpu": "250m"}});
    let id = run_id("oom");
    let mut run = Run::begin(engine(&id, load("60M", &limits), None)).await;
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("two OOM kills", |run| {
        run.statuses.iter().filter(|instance_status| instance_status.state == State::OomKilled).count() == 2
    })
    .await;
    let last = run.statuses.last().unwrap();
    let end = last.end.as_ref().unwrap();
    assert_eq!((end.container.clone(), end.state), (format!("{}/1", last.uid), State::OomKilled));
    for directory in cgroups(&id) {
        let text =
            |file: &str| fs::read_to_string(directory.join("load-0001").join(file)).unwrap_or_default();
        for (file, wanted) in
            [("cpu.cfs_quota_us", "50000\n"), ("cpu.shares", "256\n"), ("cpu.max", "50000 100000\n")]
        {
            assert!(["", wanted].contains(&text(file).as_str()), "{file}: {}", text(file));
        }
    }
    run.remove().await;
    assert_eq!(cgroups(&id), Vec::<PathBuf>::new());
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn above_the_budget_the_kernel_ends_one_and_the_machine_is_spared() {
    let size = unique_size(60);
    let id = run_id("budget");
    let mut run = Run::begin(engine(&id, load(&size, &json!({})), Some(150_000_000))).await;
    assert!(!cgroups(&id).is_empty());
    run.ready(2).await;
    // Of each instance's resident set some megabytes are the program's own pages, which all share, also with other runs of this
    // program: more than three are needed.
    run.engine.scale(GroupId::ONLY, 8).await.unwrap();
    run.until("OOM kill", |run| {
        run.statuses.iter().any(|instance_status| instance_status.state == State::OomKilled)
    })
    .await;
    let count = run.samples.len();
    run.until("a sample", |run| run.samples.len() > count).await;
    for budget in run.samples.iter().filter_map(|sample| sample.budget) {
        assert!(budget.used <= budget.limit, "{budget:?}");
    }
    run.remove().await;
    assert_eq!((cgroups(&id).len(), processes(&size).len()), (0, 0));
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn what_a_run_has_left_is_found_and_cleaned_by_its_id() {
    let (old, new) = (run_id("old"), run_id("new"));
    let run = Run::begin(engine(&old, load("5M", &json!({})), None)).await;
    drop(run);
    assert!(!cgroups(&old).is_empty());
    let preflight = engine(&new, load("5M", &json!({})), None).preflight().await.unwrap();
    let finding = preflight.findings.iter().find(|finding| finding.message.contains(&old)).unwrap();
    assert!(!finding.refuses && finding.message.contains("ramp clean --engine local"), "{finding:?}");
    let cleaned = local::clean(Some(&old)).await;
    assert_eq!((cleaned.removed.is_empty(), cleaned.kept), (false, Vec::<String>::new()));
    assert_eq!(cgroups(&old), Vec::<PathBuf>::new());
}
