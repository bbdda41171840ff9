//! Searches on clusters whose capacity is random: how close what they promise is to the truth, and how many starts that takes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use ramp_format::study::SearchSettings;

use crate::experiment::{Shape, run_plan, shaped_plan};

const WORLD: &str = "nodes: [{count: 2, memory: 64Gi, cores: 64, pods: 500}]\n\
                     load: {memory: 20M, growth_rate: 200M/s, report_every: 10s, cpu: 0.05}\n\
                     machine: {sample_every: 5s}\n\
                     placement: {mean: 100, deviation: 8}\n";
/// What holds with a probability of 95 %.
const TRUTH: f64 = 100.0 - 1.644_854 * 8.0;
const CLIMBS: u32 = 90;

/// The number promised, whether its interval holds the truth, and starts per climb.
fn search(seed: u64, directory: &std::path::Path) -> (f64, bool, f64) {
    let world = World { seed, ..World::parse(WORLD).unwrap() };
    let mut plan = shaped_plan(Shape { steps: 400, from: 1, down: false, pace: Pace::Ready }, &world);
    plan.search = Some(SearchSettings { climbs: CLIMBS, precision: None });
    plan.hold = Duration::from_secs(1);
    plan.settle = Duration::from_secs(2);
    plan.stop.retain(ramp_format::stop_rule::StopRule::ends_search);
    let at = directory.join(seed.to_string());
    let outcome = run_plan(world, &plan, &at);
    std::fs::remove_dir_all(&at).unwrap();
    let found = outcome.found.search.unwrap();
    let held = found.held.unwrap();
    let promised = held.instances.floor();
    (promised, held.interval.contains(TRUTH), f64::from(found.starts) / found.climbs.len() as f64)
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn what_a_search_promises_is_within_three_of_the_truth_by_a_third_of_the_starts() {
    let searches: u64 = std::env::var("SEARCHES").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(1);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > searches {
                        return;
                    }
                    let searched = search(seed, directory.path());
                    found.lock().unwrap().push(searched);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let close = found.iter().filter(|(promised, ..)| (promised - TRUTH).abs() <= 3.0).count();
    let holds = found.iter().filter(|(_, holds, _)| *holds).count();
    let starts = found.iter().map(|(.., starts)| *starts).fold(0.0, f64::max);
    println!("{close} within 3, {holds} intervals hold the truth, at most {starts:.1} starts per climb");
    assert_eq!(found.len() as u64, searches);
    let share = |count: usize| count as f64 / searches as f64;
    assert!(share(close) >= 0.95, "{close} of {searches} within 3 of {TRUTH}: {found:?}");
    assert!(share(holds) >= 0.9, "{holds} of {searches} intervals hold {TRUTH}");
    // A linear ramp makes 100 starts for each threshold.
    assert!(starts <= 100.0 / 3.0, "{starts} starts per climb");
}
