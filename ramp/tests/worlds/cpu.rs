//! CPU time on worlds: how often the intervals of what an instance takes at rest and for its start, and of their differences between two
//! runtimes, hold the truth.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use ramp_report::analysis::Estimate;
use ramp_report::analysis::cpu_cost::{CpuFigure, CpuKind, cpu_of_use};
use ramp_report::report::Report;
use ramp_report::stats::{Pair, paired};

use crate::experiment::{Shape, StepOutcome, run_plan, shaped_plan};

/// Machines, by what they do beside the instances.
const WORLDS: [(&str, &str); 5] = [
    ("quiet", "{cpu: 0.05, cpu_noise: 0.01}"),
    ("noisy", "{cpu: 0.3, cpu_noise: 0.05}"),
    ("bursts", "{cpu: 0.1, cpu_noise: 0.02, cpu_others: [{cpu: 0.1, every: 15s, lasts: 3s}]}"),
    ("long bursts", "{cpu: 0.1, cpu_noise: 0.02, cpu_others: [{cpu: 0.04, every: 40s, lasts: 20s}]}"),
    ("drifting", "{cpu: 0.1, cpu_noise: 0.02, cpu_wander: 0.002, cpu_drift: 0.5}"),
];
/// Cores at rest, and CPU seconds of a start: of the base and of the other.
const RUNTIMES: [(f64, &str); 2] = [(0.001, "150ms"), (0.02, "500ms")];
/// Runs of a study.
const BLOCKS: usize = 4;

#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    given: usize,
    holds: usize,
    /// Those that are of use.
    of_use: usize,
    /// Half widths.
    widths: Vec<f64>,
}

impl Tally {
    fn add(&mut self, figure: &Estimate<CpuFigure>, kind: CpuKind, truth: f64) {
        self.cases += 1;
        self.of_use += usize::from(cpu_of_use(figure, kind).is_ok());
        if let Ok(found) = figure {
            self.given += 1;
            self.holds += usize::from(found.interval.contains(truth));
            self.widths.push(found.interval.half_width());
        }
    }

    fn width(&self) -> f64 {
        let mut sorted = self.widths.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// A run of a world with one of the runtimes. How many instances it has, and how it comes to them, follows from the seed.
fn run(machine: &str, seed: u64, runtime: usize, directory: &Path) -> StepOutcome {
    let (cpu, start_cpu) = RUNTIMES[runtime];
    let text = format!(
        "seed: {}\nload: {{memory: 10M, growth_rate: 200M/s, report_every: 5s, cpu: {}}}\n\
         nodes: [{{count: {}, cores: 4}}]\n\
         runtime: {{name: {}, cpu: {cpu}, start_cpu: {start_cpu}, spread: 0.1}}\nmachine: {machine}\n",
        2 * seed + runtime as u64,
        ["0", "0.02"][seed as usize % 2],
        1 + seed % 3 / 2,
        ["runc", "kata"][runtime],
    );
    let mut world = World::parse(&text).unwrap();
    world.begin.0 += Duration::from_secs(3600 * runtime as u64);
    let steps = [7, 12, 20][seed as usize % 3];
    let pace = [Pace::Ready, Pace::Ready, Pace::Every(Duration::from_secs(10))][seed as usize / 3 % 3];
    let mut plan = shaped_plan(Shape { steps, from: 1, down: false, pace }, &world);
    (plan.settle, plan.hold) = (Duration::from_secs(60), Duration::from_secs(60));
    let at = directory.join(format!("{seed}-{runtime}"));
    let outcome = run_plan(world, &plan, &at);
    std::fs::remove_dir_all(&at).unwrap();
    outcome
}

/// What was found of one seed: of the figures of both runs, and of their differences, with the truth.
type Found = Vec<(&'static str, Estimate<CpuFigure>, CpuKind, f64)>;

fn found(machine: &str, seed: u64, directory: &Path) -> (Found, [[f64; 2]; 2]) {
    let runs = [0, 1].map(|runtime| run(machine, seed, runtime, directory));
    let truths = runs.each_ref().map(|run| [run.truth.cpu_at_rest[0], run.truth.cpu_per_start[0]]);
    let mut found: Found = Vec::new();
    let mut values = [[f64::NAN; 2]; 2];
    for (at, (run, [at_rest, per_start])) in runs.iter().zip(truths).enumerate() {
        let cpu = &run.found.cpu[0];
        values[at] =
            [&cpu.at_rest, &cpu.per_start].map(|found| found.as_ref().map_or(f64::NAN, |found| found.value));
        found.push(("CPU at rest", cpu.at_rest.clone(), CpuKind::AtRest, at_rest));
        found.push(("CPU per start", cpu.per_start.clone(), CpuKind::PerStart, per_start));
    }
    let report = Report::of(runs.map(|run| run.data).into(), None);
    let cpu = &report.findings.comparisons[0].cpu;
    let [base, other] = truths;
    found.push(("difference at rest", cpu.at_rest.clone(), CpuKind::AtRest, other[0] - base[0]));
    found.push(("difference per start", cpu.per_start.clone(), CpuKind::PerStart, other[1] - base[1]));
    let errors = [0, 1].map(|kind| [0, 1].map(|run| values[run][kind] - truths[run][kind]));
    (found, errors)
}

/// How often the paired intervals of studies of so many blocks hold the truth: errors of the base and of the other, of which the difference
/// is 0.
fn of_studies(errors: &[[f64; 2]]) -> (usize, usize) {
    let interval = |blocks: &[[f64; 2]]| {
        let pair = |(at, [base, other]): (usize, &[f64; 2])| Pair {
            base: *base,
            other: *other,
            begin_seconds: 400.0 * at as f64,
            later_seconds: if at % 2 == 0 { 200.0 } else { -200.0 },
        };
        let pairs: Vec<Pair> = blocks.iter().enumerate().map(pair).collect();
        Some(paired(&pairs)?.difference.interval(0.95))
    };
    let all: Vec<_> = errors.chunks_exact(BLOCKS).filter_map(interval).collect();
    (all.iter().filter(|interval| interval.contains(0.0)).count(), all.len())
}

#[test]
#[ignore = "needs a minute, and a release build"]
fn intervals_of_cpu_time_hold_the_truth_and_are_of_use() {
    let seeds: usize = std::env::var("CPU_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let directory = tempfile::tempdir().unwrap();
    let (next, all) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds * WORLDS.len() {
                        return;
                    }
                    let (world, machine) = WORLDS[number % WORLDS.len()];
                    let at = directory.path().join(number.to_string());
                    std::fs::create_dir(&at).unwrap();
                    let found = found(machine, (number / WORLDS.len()) as u64, &at);
                    all.lock().unwrap().insert((world, number), found);
                }
            });
        }
    });
    let mut tallies: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    let mut errors: BTreeMap<&str, Vec<[[f64; 2]; 2]>> = BTreeMap::new();
    for ((world, _), (found, errors_of_runs)) in all.into_inner().unwrap() {
        errors.entry(world).or_default().push(errors_of_runs);
        for (name, figure, kind, truth) in found {
            tallies.entry((world, name)).or_default().add(&figure, kind, truth);
        }
    }
    let mut poor = Vec::new();
    let mut hold = |name: String, holds: usize, of: usize| {
        // A share of so many cases is off by chance.
        let chance = 2.6 * 100.0 * (0.95 * 0.05 / of.max(1) as f64).sqrt();
        let share = 100.0 * holds as f64 / of.max(1) as f64;
        if of > 0 && share < f64::min(93.0, 95.0 - chance) {
            poor.push(format!("{name}: {share:.1} % of {of}"));
        }
    };
    for ((world, name), tally) in &tallies {
        println!(
            "{world}, {name}: {} of {} hold the truth, median ±{:.4}; {} of {} are of use",
            tally.holds,
            tally.given,
            tally.width(),
            tally.of_use,
            tally.cases
        );
        hold(format!("{world}, {name}"), tally.holds, tally.given);
    }
    for (world, errors) in &errors {
        for (kind, name) in ["at rest", "per start"].iter().enumerate() {
            let of_kind: Vec<[f64; 2]> = errors.iter().map(|both| both[kind]).collect();
            let (holds, of) = of_studies(&of_kind);
            println!("{world}, studies, {name}: {holds} of {of} hold the truth");
            hold(format!("{world}, studies, {name}"), holds, of);
        }
    }
    assert!(poor.is_empty(), "intervals that hold the truth too rarely: {poor:#?}");
    let quiet = &tallies[&("quiet", "CPU at rest")];
    assert!(quiet.width() <= 0.002, "±{:.4} cores in a quiet world", quiet.width());
    assert_eq!(quiet.of_use, quiet.cases, "a minute is enough in a quiet world");
}

#[test]
fn cpu_time_of_a_full_machine_is_unavailable() {
    let world = World::parse(
        "load: {memory: 10M, growth_rate: 200M/s, report_every: 5s, cpu: 0}\nnodes: [{count: 1, cores: 1}]\n\
         runtime: {cpu: 0.02}\nmachine: {cpu: 0.98}\n",
    );
    let world = world.unwrap();
    let mut plan = shaped_plan(Shape { steps: 4, from: 1, down: false, pace: Pace::Ready }, &world);
    (plan.settle, plan.hold) = (Duration::from_secs(20), Duration::from_secs(20));
    let directory = tempfile::tempdir().unwrap();
    let outcome = run_plan(world, &plan, &directory.path().join("run"));
    let why = outcome.found.cpu[0].at_rest.clone().unwrap_err();
    assert!(why.0.contains("had less than 3% of their time free"), "{why}");
}
