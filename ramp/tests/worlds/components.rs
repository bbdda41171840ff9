//! Memory by component on worlds: how often the interval of each component, of the rest and of the peak holds the truth.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ramp::engine::simulated::{PhaseTime, RuntimeTruth, World};
use ramp_format::plan::Pace;
use ramp_report::analysis::components::Components;
use ramp_report::stats::Interval;
use workload::quantity::Bytes;

use crate::experiment::{Shape, StepOutcome, catalogue, run};

const WORLDS: [&str; 4] = ["quiet", "noisy", "wandering", "drifting-up"];
const LOAD: u64 = 100 << 20;
const SHARED: u64 = 1_500_000;
/// Memory of a runtime that none of its components tells of.
const HIDDEN: [u64; 3] = [0, 6_000_000, 0];

fn sizes(parts: &[(&str, u64)]) -> BTreeMap<String, Bytes> {
    parts.iter().map(|(name, bytes)| ((*name).to_owned(), Bytes(*bytes))).collect()
}

/// A runtime with a monitor and a file server, one that holds the load within it, and one that takes more at first.
fn runtime(kind: usize) -> RuntimeTruth {
    let parts = match kind {
        0 => sizes(&[("vmm", 64_000_000), ("virtiofsd", 48_000_000), ("shim", 6_000_000)]),
        1 => sizes(&[("sentry", 20_000_000), ("gofer", 9_000_000)]),
        _ => sizes(&[("vmm", 90_000_000), ("pause", 400_000)]),
    };
    let memory = Bytes(parts.values().map(|part| part.0).sum::<u64>() + HIDDEN[kind]);
    let (peak, peak_for) = match kind {
        2 => (Bytes(128_000_000), Duration::from_secs(2)),
        _ => (Bytes(0), Duration::ZERO),
    };
    RuntimeTruth { memory, parts, spread: 0.05, guest: kind == 1, peak, peak_for, ..RuntimeTruth::default() }
}

/// A world, and the truth of its components.
fn world(seed: u64) -> (World, BTreeMap<String, f64>) {
    let kind = (seed / 4 % 3) as usize;
    let name = WORLDS[seed as usize % WORLDS.len()];
    let worlds = catalogue();
    let mut world = worlds.iter().find(|(at, _)| at == name).map(|(_, world)| world.clone()).unwrap();
    world.seed = seed * 7919 + 1;
    world.runtime = runtime(kind);
    world.load.memory = Some(Bytes(LOAD));
    world.load.shared = Bytes(SHARED);
    world.machine.components_every = Some(Duration::from_secs(5));
    world.machine.keeps = Bytes(if kind == 0 { 700_000 } else { 0 });
    world.machine.parts = sizes(&[("kubelet", 150_000), ("container_runtime", 400_000)]);
    world.phases.create = PhaseTime { median: Duration::from_millis(2500), spread: 0.1 };
    let load = (LOAD - SHARED) as f64;
    let mut truth: BTreeMap<String, f64> = world
        .runtime
        .parts
        .iter()
        .chain(&world.machine.parts)
        .map(|(name, part)| (name.clone(), part.0 as f64))
        .collect();
    truth.insert("load".into(), load);
    truth.insert("page_tables".into(), load * world.load.page_tables);
    truth.insert("slab".into(), world.machine.keeps.0 as f64);
    truth.insert("node".into(), 550_000.0);
    truth.insert("kernel".into(), load * world.load.page_tables + world.machine.keeps.0 as f64);
    (world, truth)
}

/// How often an interval held the truth, of how many, and how wide they are together.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    holds: u32,
    all: u32,
    width: f64,
}

impl Tally {
    fn add(&mut self, interval: Interval, truth: f64) {
        self.all += 1;
        self.holds += u32::from(interval.contains(truth));
        self.width += interval.high - interval.low;
    }
}

fn intervals(found: &Components) -> Vec<(&'static str, Interval)> {
    let groups = [&found.node, &found.kernel, &found.rest].into_iter().filter_map(|cost| cost.as_ref().ok());
    found.costs.iter().chain(groups).map(|cost| (cost.name, cost.interval)).collect()
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_components_of_the_rest_and_of_the_peak_hold_the_truth() {
    let runs: u64 = std::env::var("COMPONENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    let tallies: Mutex<BTreeMap<String, Tally>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    let (world, mut truth) = world(number);
                    let hidden = HIDDEN[(number / 4 % 3) as usize] as f64 / world.runtime.memory.0 as f64;
                    let beside = truth["load"] + truth["kernel"] + truth["node"];
                    let at = directory.path().join(number.to_string());
                    let shape =
                        Shape { steps: 8 + (number % 5) as u32, from: 1, down: false, pace: Pace::Ready };
                    let StepOutcome { truth: run, found, .. } = run(world, shape, &at);
                    std::fs::remove_dir_all(&at).unwrap();
                    truth.insert("rest".into(), hidden * (run.marginal_cost_bytes - beside));
                    let components = found.components.whole.components.as_ref().unwrap();
                    let sum = components.sum() + components.cost("rest").unwrap();
                    assert!((sum - components.whole.as_ref().unwrap().bytes).abs() < 1.0, "they add up");
                    let mut tallies = tallies.lock().unwrap();
                    for (name, interval) in intervals(components) {
                        if let Some(truth) = truth.get(name) {
                            tallies.entry(name.to_owned()).or_default().add(interval, *truth);
                        }
                    }
                    let peak = found.components.whole.peak.as_ref().unwrap();
                    let mean = run.peak_bytes.iter().sum::<f64>() / run.peak_bytes.len() as f64;
                    tallies.entry("peak".into()).or_default().add(peak.interval, mean);
                }
            });
        }
    });
    let tallies = tallies.into_inner().unwrap();
    for (name, Tally { holds, all, width }) in &tallies {
        println!(
            "{name}: {holds} of {all} hold the truth, mean width {:.3} MiB",
            width / f64::from(*all) / 1_048_576.0
        );
    }
    let names: Vec<&str> = tallies.keys().map(String::as_str).collect();
    for name in
        ["load", "vmm", "virtiofsd", "shim", "sentry", "gofer", "pause", "node", "kernel", "rest", "peak"]
    {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    for (name, Tally { holds, all, .. }) in &tallies {
        let share = f64::from(*holds) / f64::from(*all);
        // Two standard errors of 95 % of so many.
        let least = if *all >= 200 { 0.93 } else { 0.95 - 2.0 * (0.95_f64 * 0.05 / f64::from(*all)).sqrt() };
        assert!(share >= least, "{name}: {holds} of {all} hold the truth");
    }
}
