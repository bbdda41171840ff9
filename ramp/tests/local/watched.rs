//! Budget enforced by `ramp` where there are no cgroups.

use ramp::engine::{Budget, Engine, GroupId};
use ramp_format::state::State;
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn without_cgroups_the_newest_is_evicted_above_the_budget() {
    let size = unique_size(30);
    let mut engine = engine(&run_id("watch"), load(&size, &json!({})), Some(75_000_000));
    if std::env::var_os(PART).is_none() {
        // Run by itself it has no right to make any.
        engine = engine.without_cgroups();
    }
    let mut run = Run::begin(engine).await;
    run.ready(2).await;
    run.engine.scale(GroupId::ONLY, 3).await.unwrap();
    run.until("eviction", |run| run.count(State::Evicted) == 1).await;
    assert_eq!(run.now()["load-0003"], State::Evicted);
    assert!(run.statuses.last().unwrap().reason.contains("which watches the budget"));
    assert_eq!(run.count(State::Ready), 2, "{:?}", run.now());
    assert!(run.notices.iter().any(|notice| notice.reason == "watched_by_ramp"));
    let count = run.samples.len();
    run.until("samples", |run| run.samples.len() > count + 1).await;
    let Budget { limit, used } = run.samples.last().unwrap().budget.unwrap();
    assert!(used.0 > 60_000_000 && used <= limit, "{used} of {limit}");
    let findings = run.engine.preflight().await.unwrap().findings;
    assert!(findings.iter().any(|finding| !finding.refuses && finding.message.contains("/proc/PID/statm")));
    run.remove().await;
    assert_eq!(processes(&size), []);
}

#[tokio::test]
#[ignore = "needs root"]
async fn an_ordinary_user_needs_no_right_to_make_cgroups() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let test = "watched::without_cgroups_the_newest_is_evicted_above_the_budget";
    let output = again(test, &nobody).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
