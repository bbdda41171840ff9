//! Waits of a run: each is told after 3 s, and again every 10 s.

use std::time::Duration;

use ramp_format::plan::Plan;

use crate::support::{Fault, FaultKind, SECOND, Script, Stage, plan, rows, script};

/// When and what a run has said that it waits for.
async fn waits(plan: &Plan, script: Script) -> Vec<(f64, String)> {
    let stage = Stage::new();
    stage.run_script(plan, script).await;
    let rows = rows(&stage.path(), "events.csv").into_iter().filter(|row| row["reason"] == "Waiting");
    rows.map(|row| (row["elapsed_seconds"].parse().unwrap(), row["message"].clone())).collect()
}

fn hung(from: Duration, to: Duration) -> Script {
    Script { faults: vec![Fault { from, to, kind: FaultKind::ApiHung }], ..script() }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_answered_is_told_with_the_server_and_the_operation() {
    let plan = Plan { to: 2, ..plan() };
    for (from, operation) in [(Duration::ZERO, "begin"), (SECOND, "scale"), (SECOND, "remove")] {
        let waits = waits(&plan, hung(from, 60 * SECOND)).await;
        let expected = format!("waiting for the simulated cluster: {operation} (3 s of at most ");
        assert!(waits.iter().any(|(_, message)| message.starts_with(&expected)), "{waits:?}");
        let times = waits.iter().map(|(at, _)| *at).filter(|at| *at < 60.0);
        // A request is given up after 10 s, and the first line on the next one comes 3 s after it, whatever was before it.
        let (_, longest) = times.fold((0.0, 0.0_f64), |(last, longest), at| (at, longest.max(at - last)));
        assert!(longest <= 15.1, "{longest}: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_teardown_tells_what_it_waits_for_from_its_request_to_the_last_instance() {
    let plan = Plan { to: 2, settle: Duration::ZERO, ..plan() };
    let slow = Script { stop: 25 * SECOND, ..script() };
    let waits = waits(&plan, slow).await;
    let messages: Vec<&str> = waits.iter().map(|(_, message)| message.as_str()).collect();
    let expected = [3, 13, 23].map(|seconds| {
        format!("waiting for 2 instances to end: 1 on a, 1 on b ({seconds} s of at most 600 s)")
    });
    assert_eq!(messages, expected);
    let gaps: Vec<f64> = waits.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| (9.9..10.1).contains(gap)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_sample_of_a_node_is_waited_for_by_its_name() {
    let fault = Fault { from: Duration::ZERO, to: 60 * SECOND, kind: FaultKind::Silent("b".into()) };
    let plan = Plan { to: 1, ..plan() };
    let waits = waits(&plan, Script { faults: vec![fault], ..script() }).await;
    assert_eq!(waits[0].1, "waiting for the first sample of b (3 s of at most 5 s)");
}
