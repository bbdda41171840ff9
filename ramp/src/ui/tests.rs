use super::*;
use crate::engine::{Budget, InstanceStatus};
use crate::run::instance_tracker::InstanceTracker;
use crate::run::node_tracker::MemoryTotals;

/// One instance of each state, of eight asked for.
fn status() -> Status {
    let mut tracker = InstanceTracker::default();
    let states = [
        State::Pending,
        State::Unschedulable,
        State::Creating,
        State::Running,
        State::Ready,
        State::Ready,
        State::Terminating,
        State::Evicted,
    ];
    for (number, state) in states.into_iter().enumerate() {
        tracker.see(&InstanceStatus {
            uid: number.to_string(),
            name: format!("pod-{number}"),
            node: None,
            state,
            since: None,
            reason: String::new(),
            restarts: 0,
            end: None,
            over: state == State::Evicted,
            group: None,
        });
    }
    let memory =
        MemoryTotals { total: Bytes(4_000_000_000), free: Bytes(1_500_000_000), ..MemoryTotals::default() };
    Status {
        groups: String::new(),
        asked: 8,
        counts: tracker.counts(),
        totals: Totals { evictions: 1, oom_kills: 2, failures: 3, gone: 4 },
        sums: Sums {
            kernels: 2,
            fresh: 2,
            oldest: Some(Duration::from_millis(1_250)),
            memory: Some(memory),
            budget: None,
        },
        latency: Some(Duration::from_millis(42)),
        memory_history: Sparkline::default(),
        waits_for: String::new(),
        time_left: "about 6 min left".into(),
        unwritten: String::new(),
    }
}

#[test]
fn the_state_of_things_reads_as_written_down() {
    let whole = status();
    let budget = Budget { limit: Bytes(1_000_000_000), used: Bytes(250_000_000) };
    let confined = Status { sums: Sums { budget: Some(budget), ..whole.sums }, ..whole.clone() };
    let stale = Status { sums: Sums { memory: None, fresh: 1, ..whole.sums }, ..whole.clone() };
    let blind = Status { sums: Sums::default(), latency: None, time_left: String::new(), ..whole.clone() };
    let unwritten = "not written: nodes.csv, 34 rows waiting (No space left on device)".to_owned();
    let blocked =
        Status { waits_for: "blocked: 1 instance: ErrImagePull: not found".into(), ..whole.clone() };
    let mut memory_history = Sparkline::default();
    [8.0, 7.0, 6.0, 4.0, 3.0].into_iter().for_each(|free| memory_history.push(free));
    let waiting = Status {
        waits_for: "step 4 waits until 2 instances hold their memory".into(),
        memory_history,
        ..whole.clone()
    };
    let full = Status { unwritten, ..whole.clone() };
    let mixed = Status { groups: "ready: default 3, kata 2".into(), ..whole.clone() };
    let all = [
        ("usual", whole),
        ("mixed", mixed),
        ("disk full", full),
        ("blocked", blocked),
        ("waiting", waiting),
        ("confined", confined),
        ("stale", stale),
        ("nothing known yet", blind),
    ];
    let widest = all
        .iter()
        .flat_map(|(_, status)| status.words().lines().map(|line| line.chars().count()).max())
        .max();
    assert!(widest.is_some_and(|columns| columns + 2 <= 80), "with the spinner: {widest:?}");
    let text = all.map(|(what, status)| format!("{what}\n{}\n", status.words()));
    insta::assert_snapshot!("status", text.join("\n"));
}

#[test]
fn how_a_run_ended_reads_as_written_down() {
    let summary = Summary {
        run: "r".into(),
        why_ended: "interrupted".into(),
        failed: false,
        steps: 1,
        held: Default::default(),
        running: Default::default(),
        most_at_work: 1,
        most_at_work_at_step: 1,
        evictions: 1,
        oom_kills: 1,
        teardown_seconds: None,
        left: vec!["deployment/load".into(), "2 pods".into()],
        search: None,
        rows_lost: 0,
        directory: "ramp-r".into(),
    };
    let lost = Summary { rows_lost: 812, ..summary.clone() };
    let gone = Summary { teardown_seconds: Some(12.34), left: Vec::new(), ..summary.clone() };
    let text = format!(
        "something is left{}\n\nall are gone{}\n\nrows are lost{}",
        summary.words(),
        gone.words(),
        lost.words()
    );
    insta::assert_snapshot!("summary", text);
}
