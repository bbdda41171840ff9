//! Clocks of the machine that records: set, suspended, and across a resume.

use std::time::Duration;

use ramp::engine::simulated::SignedQuantity;
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{Pace, Plan};
use ramp_format::run_file::read_run;

use crate::support::{
    Fault, FaultKind, SECOND, Script, Stage, column, engine, numbers, plan, rows, rules, script,
};

const HOUR: Duration = Duration::from_secs(3600);

fn set(from: u32, is_negative: bool) -> Fault {
    let kind = FaultKind::WallClock(SignedQuantity { is_negative, size: HOUR });
    Fault { from: from * SECOND, to: 10_000 * SECOND, kind }
}

fn with(faults: Vec<Fault>) -> Script {
    Script { faults, ..script() }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_fires_no_time_limit_and_makes_no_duration_wrong() {
    for is_negative in [true, false] {
        let stage = Stage::new();
        let plan = Plan { pace: Pace::Every(5 * SECOND), to: 100, stop: rules(&["time:1m"]), ..plan() };
        let summary = stage.run_script(&plan, with(vec![set(22, is_negative)])).await;
        assert_eq!(summary.why_ended, "time:1m: 1m have passed");
        assert!((10..=12).contains(&summary.steps), "{}", summary.steps);
        for table in ["steps.csv", "pods.csv", "nodes.csv", "workloads.csv", "events.csv"] {
            let elapsed = numbers(&stage.path(), table, "elapsed_seconds");
            assert!(elapsed.is_sorted() && elapsed.iter().all(|at| *at < 120.0), "{table}: {elapsed:?}");
        }
        let events = rows(&stage.path(), "events.csv");
        let said: Vec<_> = events.iter().filter(|row| row["object"] == "clock/ramp").collect();
        let way = if is_negative { "set back by 1h, to" } else { "set forward by 1h, to" };
        assert!(said.len() == 1 && said[0]["message"].contains(way), "{said:?}");
        let apart = |node: &str| {
            events.iter().filter(|row| row["object"] == node && row["reason"] == "ClockApart").count()
        };
        assert_eq!((apart("node/a"), apart("node/b")), (1, 1), "their clocks differ from this one's");
        assert!(
            column(&stage.path(), "nodes.csv", "row").iter().all(|row| row == "sample"),
            "no sample is old"
        );
        let fresh = column(&stage.path(), "steps.csv", "memory_free_bytes");
        assert!(fresh.iter().all(|sum| !sum.is_empty()), "{fresh:?}");
        let clock = read_run(&stage.path()).unwrap().clock.unwrap();
        assert_eq!((clock.set.len(), clock.suspended.len()), (1, 0));
        assert!((clock.set[0].by_seconds.abs() - 3600.0).abs() < 0.01, "{clock:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspension_is_recorded_and_does_not_count_for_a_time_limit() {
    let stage = Stage::new();
    let fault = Fault { from: 22 * SECOND, to: 22 * SECOND + HOUR, kind: FaultKind::Suspended };
    let plan = Plan { pace: Pace::Every(5 * SECOND), to: 100, stop: rules(&["time:1m"]), ..plan() };
    let summary = stage.run_script(&plan, with(vec![fault])).await;
    assert!((10..=12).contains(&summary.steps), "{}: {}", summary.steps, summary.why_ended);
    let events = rows(&stage.path(), "events.csv");
    let said: Vec<_> = events.iter().filter(|row| row["object"] == "clock/ramp").collect();
    assert!(said.len() == 1 && said[0]["message"].contains("suspended for 1h"), "{said:?}");
    let elapsed = numbers(&stage.path(), "steps.csv", "elapsed_seconds");
    assert!(elapsed.iter().all(|at| *at < 120.0), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_from_the_last_row_of_an_earlier_process_whatever_the_wall_clock_shows_then() {
    for (faults, at_least) in [(vec![], 38.0), (vec![set(30, false)], 3600.0), (vec![set(30, true)], 28.0)] {
        let stage = Stage::new();
        let plan = Plan { pace: Pace::Every(5 * SECOND), to: 100, stop: rules(&["steps:20"]), ..plan() };
        let first = engine(&with(faults));
        let again = first.another();
        let run = Run::new(first, stage.create(&plan), stage.surroundings()).go();
        assert!(tokio::time::timeout(28 * SECOND, run).await.is_err(), "it was not over yet");
        tokio::time::sleep(10 * SECOND).await;
        if at_least != 38.0 {
            // The engine sets it once it is at work again; another process finds it so.
            let hour = if at_least > 38.0 { 3_600_000_000_000 } else { -3_600_000_000_000 };
            stage.clock.simulate(hour, Duration::ZERO);
        }
        let before = Directory::resume(&stage.path()).unwrap();
        let (last, _) = before.1.last.unwrap();
        assert!((27 * SECOND..29 * SECOND).contains(&last), "{last:?}");
        Run::resume(again, before, stage.surroundings()).unwrap().go().await.unwrap();
        let events = rows(&stage.path(), "events.csv");
        let resumed = events.iter().find(|row| row["reason"] == "Resumed").unwrap();
        let elapsed: f64 = resumed["elapsed_seconds"].parse().unwrap();
        assert!((at_least - 1.0..at_least + 60.0).contains(&elapsed), "{elapsed} where {at_least}");
        assert!(resumed["message"].contains("s after the last row by the wall clock"), "{resumed:?}");
        assert!(numbers(&stage.path(), "pods.csv", "elapsed_seconds").is_sorted());
    }
}
