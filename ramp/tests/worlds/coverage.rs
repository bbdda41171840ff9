//! Coverage: the catalogue of worlds over many seeds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::experiment::{Shape, StepOutcome, catalogue, run};
use crate::truth::{Times, figures, overhead_per_pod, wrong};

/// Comparisons: a world, what each instance takes more under the other runtime in MiB, and in how many runs of each the two are ramped.
const COMPARED: [(&str, u64, u64); 6] = [
    ("quiet", 128, 1),
    ("noisy", 128, 1),
    ("wandering", 128, 1),
    ("drifting-up", 128, 1),
    ("light-runtime", 12, 1),
    ("uneven-runtime", 128, 2),
];

/// Shares of the figure's intervals that must hold the truth, in percent.
const LEAST: f64 = 93.0;
/// A share of so many cases is off by chance: by how much, in standard deviations, it may be below.
const BY_CHANCE: f64 = 2.6;

const STEPS: [u32; 5] = [1, 8, 30, 200, 1000];
const PACES: [Pace; 3] = [Pace::Ready, Pace::Every(Duration::from_secs(5)), Pace::None];
const FROM: [u32; 2] = [1, 10];

/// How a seed ramps a world: most ramps are short.
fn drawn(random: &mut Pcg64Mcg) -> Shape {
    let steps = match random.random_range(0..1000) {
        0..240 => STEPS[0],
        240..620 => STEPS[1],
        620..960 => STEPS[2],
        960..997 => STEPS[3],
        _ => STEPS[4],
    };
    let pace = PACES[random.random_range(0..PACES.len())];
    let from = FROM[usize::from(random.random_range(0..4) == 0)];
    Shape { steps, from, down: random.random_range(0..4) == 0, pace }
}

/// Every way to ramp a world.
fn all_shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for steps in STEPS {
        for pace in PACES {
            for from in FROM {
                shapes.extend([false, true].map(|down| Shape { steps, from, down, pace }));
            }
        }
    }
    shapes
}

/// What was found of a figure in a world.
#[derive(Default)]
struct Tally {
    holds: usize,
    given: usize,
    cases: usize,
    widths: Vec<f64>,
}

#[derive(Default)]
struct Found {
    tallies: BTreeMap<(String, &'static str), Tally>,
    wrong: BTreeMap<String, Vec<String>>,
    misses: Vec<String>,
}

/// Runs each world so many times, the first of them in these ways. `only` is a part of its name.
fn cover(seeds: u64, only: Option<&str>, first: &[Shape]) -> Found {
    let named = |(name, _): &(String, World)| only.is_none_or(|only| name.contains(only));
    let worlds: Vec<(String, World, Times)> = catalogue()
        .into_iter()
        .filter(named)
        .map(|(name, world)| {
            let times = Times::of(&world);
            (name, world, times)
        })
        .collect();
    let jobs: Vec<(usize, u64)> =
        (0..seeds).flat_map(|seed| (0..worlds.len()).map(move |world| (world, seed))).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let directory = tempfile::tempdir().unwrap();
                while let Some((which, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (name, world, times) = &worlds[*which];
                    let mut world = world.clone();
                    world.seed = seed + 1;
                    let mut random = Pcg64Mcg::seed_from_u64(seed * 1000 + *which as u64);
                    let drawn = drawn(&mut random);
                    let shape = first.get(*seed as usize).copied().unwrap_or(drawn);
                    let path = directory.path().join("run");
                    let outcome = run(world, shape, &path);
                    std::fs::remove_dir_all(&path).unwrap();
                    let (mut figures, wrong) = (figures(&outcome, times), wrong(&outcome));
                    if let Some((_, overhead, repeats)) = COMPARED.iter().find(|(of, ..)| of == name) {
                        let (base, other) = compared(outcome, shape, *overhead, *repeats, &path);
                        figures.push(overhead_per_pod(&base, &other));
                    }
                    let mut found = found.lock().unwrap();
                    for figure in figures {
                        let tally = found.tallies.entry((name.clone(), figure.name)).or_default();
                        tally.cases += 1;
                        if let Some(holds) = figure.holds {
                            tally.given += 1;
                            tally.holds += usize::from(holds);
                            tally.widths.push(figure.width);
                        }
                        if figure.holds == Some(false) {
                            found
                                .misses
                                .push(format!("{name} {seed} {shape:?}: {}: {}", figure.name, figure.said));
                        }
                    }
                    for words in wrong {
                        let line = format!("{name}, seed {seed}, {shape:?}: {words}");
                        found.wrong.entry(name.clone()).or_default().push(line);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Repeats of a run, and as many where a runtime takes so much more, in MiB.
fn compared(
    first: StepOutcome,
    shape: Shape,
    overhead: u64,
    repeats: u64,
    path: &Path,
) -> (Vec<StepOutcome>, Vec<StepOutcome>) {
    let world = first.world.clone();
    let again = |number: u64, overhead: u64| {
        let mut world = world.clone();
        world.seed += number * 1_000_003;
        world.runtime.memory.0 += overhead << 20;
        let outcome = run(world, shape, path);
        std::fs::remove_dir_all(path).unwrap();
        outcome
    };
    let more = (1..repeats).map(|number| again(2 * number, 0));
    let base = std::iter::once(first).chain(more).collect();
    (base, (0..repeats).map(|number| again(2 * number + 1, overhead)).collect())
}

fn table(found: &Found, seeds: u64) -> String {
    let mut table = format!(
        "# Coverage: how often the intervals hold the truth\n\nEach world of `ramp/tests/worlds/catalogue` was ramped {seeds} times, \
         each time with another seed, number of steps, pace and direction. `cargo xtask worlds` writes this table and fails if an \
         interval holds the truth in fewer than 93 % of its cases (beyond chance), or if any statement is wrong (held, running, \
         saturation and its number, what gave way first, changes by others, memory left behind, goodput). *n/a*: the figure was \
         unavailable, with the reason. Widths are relative to the truth.\n\n"
    );
    table.push_str(
        "| world | figure | holds the truth | of | median width | n/a |\n|---|---|---|---|---|---|\n",
    );
    for ((world, figure), tally) in &found.tallies {
        let mut widths = tally.widths.clone();
        widths.sort_by(f64::total_cmp);
        let width = widths.get(widths.len() / 2);
        let width = match width {
            Some(width) if width.is_finite() => format!("{:.1} %", 100.0 * width),
            Some(_) => "no upper end".into(),
            None => "-".into(),
        };
        let share = |part: usize, of: usize| match of {
            0 => "-".to_owned(),
            of => format!("{:.1} %", 100.0 * part as f64 / of as f64),
        };
        writeln!(
            table,
            "| {world} | {figure} | {} | {} | {width} | {} |",
            share(tally.holds, tally.given),
            tally.given,
            share(tally.cases - tally.given, tally.cases)
        )
        .unwrap();
    }
    table
}

#[test]
#[ignore = "needs a release build, and minutes"]
fn intervals_hold_the_truth_and_no_statement_is_wrong() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let only = std::env::var("WORLD").ok();
    let seeds = number("SEEDS").unwrap_or(200);
    let first = std::env::var_os("ALL_SHAPES").map(|_| all_shapes()).unwrap_or_default();
    let found = cover(seeds, only.as_deref(), &first);
    let table = table(&found, seeds);
    println!("{table}");
    if let Some(file) = std::env::var_os("COVERAGE") {
        std::fs::write(file, &table).unwrap();
    }
    if std::env::var_os("MISSES").is_some() {
        found.misses.iter().chain(found.wrong.values().flatten()).for_each(|miss| println!("{miss}"));
    }
    for (world, all) in &found.wrong {
        println!("{world}: {} wrong, such as {}", all.len(), all[0]);
    }
    let mut poor = Vec::new();
    for ((world, figure), tally) in found.tallies.iter().filter(|(_, tally)| tally.given > 0) {
        let share = 100.0 * tally.holds as f64 / tally.given as f64;
        let chance = 100.0 * (0.95 * 0.05 / tally.given as f64).sqrt();
        if share < LEAST.min(95.0 - BY_CHANCE * chance) {
            poor.push(format!("{world}, {figure}: {share:.1} % of {}", tally.given));
        }
    }
    assert!(poor.is_empty(), "intervals that hold the truth too rarely: {poor:#?}");
    assert!(found.wrong.is_empty(), "statements that are wrong in {} worlds", found.wrong.len());
}
