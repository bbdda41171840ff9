//! Use of limits per instance: how often its interval holds the truth, and that an exhausted limit is named.

use std::time::Duration;

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use ramp_report::analysis::causes::Resource;

use crate::experiment::{Shape, StepOutcome, run};
use crate::truth::wrong;

/// Nodes whose instances differ in their tasks, with tasks of others that come and go.
const WORLD: &str = "load: {memory: 100M, growth_rate: 200M/s, report_every: 20s, cpu: 0.02}\n\
                     nodes: [{count: 2, memory: 64Gi, pods: 500}]\n";

fn outcome(tasks: &str, seed: u64, shape: Shape) -> StepOutcome {
    let mut world = World::parse(&format!("{WORLD}{tasks}")).unwrap();
    world.seed = seed + 1;
    let directory = tempfile::tempdir().unwrap();
    run(world, shape, &directory.path().join("run"))
}

/// Whether the interval of what an instance uses holds the truth; none where it is unavailable.
fn holds(outcome: &StepOutcome, scope: &str, truth: f64) -> Option<bool> {
    let limits = outcome.found.limits.as_ref().unwrap();
    let limit = limits.iter().find(|limit| limit.scope == scope).unwrap();
    limit.per_instance.as_ref().ok().map(|each| each.interval.contains(truth))
}

#[test]
#[ignore = "needs a release build, and minutes"]
fn what_an_instance_uses_of_a_limit_is_within_its_interval() {
    // As many as are promised, or more at night.
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0).max(200_u64);
    for (tasks, least) in [
        ("tasks: {each: 3, beside: 12, noise: 1}\n", 93.0),
        ("tasks: {each: 12, spread: 2, beside: 0, noise: 4}\n", 93.0),
        ("tasks: {each: 40, spread: 8, beside: 12, noise: 2}\n", 93.0),
    ] {
        let (mut held, mut given) = ([0_u64; 2], [0_u64; 2]);
        for seed in 0..seeds {
            let steps = [12, 24][(seed % 2) as usize];
            let pace = [Pace::Ready, Pace::Every(Duration::from_secs(5))][(seed / 2 % 2) as usize];
            let outcome = outcome(tasks, seed, Shape { steps, from: 1, down: false, pace });
            let each = outcome.truth.tasks_each;
            let beside = outcome.world.tasks.as_ref().unwrap().beside as f64;
            for (at, (scope, truth)) in [("pods", each), ("machine", each + beside)].into_iter().enumerate() {
                let found = holds(&outcome, scope, truth);
                given[at] += u64::from(found.is_some());
                held[at] += u64::from(found == Some(true));
            }
        }
        for at in 0..2 {
            let share = 100.0 * held[at] as f64 / given[at] as f64;
            println!("{tasks}{}: {share:.1} % of {}", ["pods", "machine"][at], given[at]);
            assert!(share >= least, "{tasks}{share:.1} % of {}", given[at]);
            assert!(given[at] * 10 >= seeds * 9, "{tasks}{} of {seeds} given", given[at]);
        }
    }
}

#[test]
#[ignore = "needs a release build, and minutes"]
fn pids_that_are_exhausted_are_named_whatever_the_pace() {
    for seed in 0..12 {
        let pace = [Pace::Ready, Pace::Every(Duration::from_secs(5)), Pace::None][(seed % 3) as usize];
        let tasks = "tasks: {limit: 60, each: 3, beside: 12, spread: 0.5}\n";
        let outcome = outcome(tasks, seed, Shape { steps: 60, from: 1, down: false, pace });
        assert_eq!(wrong(&outcome), Vec::<String>::new(), "seed {seed}");
        let saturation = outcome.found.estimates.saturation.saturation.as_ref().unwrap();
        assert_eq!(saturation.resource, Some(Resource::Processes));
        let why = &outcome.summary.why_ended;
        assert!(pace == Pace::None || why.contains("processes (PIDs) exhausted"), "{pace}: {why}");
    }
}
