//! Paces: the begin of the next step.

use std::collections::BTreeMap;
use std::time::Duration;

use ramp_format::plan::{Pace, Plan};

use crate::support::{Fault, FaultKind, SECOND, Stage, column, numbers, plan, rows, script};

#[tokio::test(start_paused = true)]
async fn by_readiness_the_next_step_waits_until_each_instance_holds_its_memory() {
    let stage = Stage::new();
    let summary = stage.run_script(&plan(), script()).await;
    assert_eq!(summary.why_ended, "all planned steps completed");
    assert_eq!(numbers(&stage.path(), "steps.csv", "ready_instances"), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0]);
    for seconds in &numbers(&stage.path(), "steps.csv", "step_seconds")[..5] {
        assert!((2.0..2.3).contains(seconds), "created within 1 s, filled within another: {seconds}");
    }
    assert_eq!(column(&stage.path(), "steps.csv", "outcome")[..5], ["settled"; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_never_gets_ready_goes_on_when_its_time_is_up_and_says_so() {
    let stage = Stage::new();
    let plan = Plan { to: 2, step_timeout: 10 * SECOND, ..plan() };
    let mut script = script();
    script.fill = Duration::from_secs(100_000);
    stage.run_script(&plan, script).await;
    assert_eq!(column(&stage.path(), "steps.csv", "outcome")[..2], ["timed_out"; 2]);
    assert_eq!(numbers(&stage.path(), "steps.csv", "step_seconds")[..2], [10.0, 10.0]);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_beat_is_kept_whatever_the_cluster_does() {
    let stage = Stage::new();
    let plan = Plan { pace: Pace::Every(5 * SECOND), to: 10, ..plan() };
    let mut script = script();
    let (from, to) = (12 * SECOND, 31 * SECOND);
    script.faults.push(Fault { from, to, kind: FaultKind::ApiHung });
    stage.run_script(&plan, script).await;
    let steps = rows(&stage.path(), "steps.csv");
    let at = |row: &BTreeMap<String, String>| humantime::parse_rfc3339(&row["time"]).unwrap();
    for pair in steps[..10].windows(2) {
        assert_eq!(at(&pair[1]).duration_since(at(&pair[0])).unwrap(), 5 * SECOND, "{:?}", pair[1]);
    }
    let outcomes = column(&stage.path(), "steps.csv", "outcome");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "unanswered").count(), 4, "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_pace_steps_come_as_fast_as_they_are_taken_while_samples_keep_their_own_time() {
    let stage = Stage::new();
    let plan = Plan { pace: Pace::None, to: 300, ..plan() };
    stage.run_script(&plan, script()).await;
    let steps = rows(&stage.path(), "steps.csv");
    let took = numbers(&stage.path(), "steps.csv", "step_seconds")[..300].iter().sum::<f64>();
    assert!((1.49..2.0).contains(&took), "300 requests of 5 ms each: {took}");
    assert_eq!(steps[299]["outcome"], "taken");
    let times: Vec<_> = rows(&stage.path(), "nodes.csv")
        .iter()
        .filter(|row| row["node"] == "a" && row["row"] == "sample")
        .map(|row| humantime::parse_rfc3339(&row["sample_time"]).unwrap())
        .collect();
    for pair in times.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0]).unwrap(), SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn down_goes_as_up_went_and_what_is_left_at_the_end_is_removed_and_timed() {
    let stage = Stage::new();
    let plan = Plan { down: true, hold: 30 * SECOND, to: 4, step: 2, ..plan() };
    let summary = stage.run_script(&plan, script()).await;
    let parts = column(&stage.path(), "steps.csv", "part");
    assert_eq!(parts, ["up", "up", "up", "hold", "down", "down", "clean"]);
    assert_eq!(numbers(&stage.path(), "steps.csv", "asked_instances"), [1.0, 3.0, 4.0, 4.0, 2.0, 0.0, 0.0]);
    assert_eq!(numbers(&stage.path(), "steps.csv", "step_seconds")[3], 30.0);
    assert!(numbers(&stage.path(), "steps.csv", "step_seconds")[4] >= 0.5, "each needs half a second to end");
    assert!(summary.teardown_seconds.is_some());
    let run = ramp_format::run_file::read_run(&stage.path()).unwrap();
    let teardown = run.teardown.unwrap();
    assert_eq!((teardown.left.len(), teardown.memory.len()), (0, 2));
    assert!(teardown.memory.iter().all(|memory| memory.before_bytes == memory.after_bytes));
}
