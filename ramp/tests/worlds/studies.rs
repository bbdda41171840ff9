//! Studies on worlds: how often the interval of a difference holds the truth, and how often a verdict is wrong.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ramp_format::plan::Pace;
use ramp_report::stats::{Duration, Pair, paired};
use ramp_report::study::comparison::{CellComparison, StudyRun};
use ramp_report::study::figure::STUDY_FIGURES;
use ramp_report::study::stopping::Stopping;
use ramp_report::study::verdict::Verdict;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::experiment::{Shape, StepOutcome, catalogue, run};

/// Worlds that studies are of.
const WORLDS: [&str; 5] = ["quiet", "noisy", "wandering", "drifting-up", "uneven-runtime"];
/// How each run of a study is.
const SHAPE: Shape = Shape { steps: 9, from: 1, down: false, pace: Pace::Ready };
/// What the other runtime takes more, in MiB: in the studies with a difference, and in those without.
const MORE_MIB: u64 = 16;

/// What was counted of all studies.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    studies: u32,
    holds: u32,
    differs: u32,
    no_larger: u32,
    neither: u32,
    half_width: f64,
}

fn study(seed: u64, more: u64, directory: &Path) -> (Option<(bool, f64)>, Verdict) {
    let worlds = catalogue();
    let name = WORLDS[seed as usize % WORLDS.len()];
    let world = worlds.iter().find(|(at, _)| at == name).map(|(_, world)| world.clone()).unwrap();
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let blocks = 3 + (seed / 5 % 4) as u32;
    let (mut base, mut other) = (Vec::new(), Vec::new());
    let mut clock = 0.0;
    for block in 1..=blocks {
        // The order within a block is random.
        let first: bool = random.random();
        for is_other in [first, !first] {
            let mut world = world.clone();
            world.seed = random.random::<u64>() >> 1;
            world.runtime.memory.0 += (u64::from(is_other) * more) << 20;
            let at = directory.join(format!("{seed}-{more}-{block}-{is_other}"));
            let outcome = run(world, SHAPE, &at);
            std::fs::remove_dir_all(&at).unwrap();
            let into = if is_other { &mut other } else { &mut base };
            into.push(of_outcome(&outcome, block, clock));
            clock += 120.0;
        }
    }
    let found = CellComparison::of(&base, &other, |_| None);
    let memory = found.figures[0].as_ref().unwrap();
    let truth = (more << 20) as f64;
    (Some((memory.interval.contains(truth), memory.interval.half_width())), memory.verdict)
}

fn of_outcome(outcome: &StepOutcome, block: u32, begin_seconds: f64) -> StudyRun {
    let StepOutcome { found, .. } = outcome;
    let startups: Vec<Duration> = found
        .startups
        .as_ref()
        .map(|all| all.iter().map(|startup| startup.took).collect())
        .unwrap_or_default();
    StudyRun {
        block,
        begin_seconds,
        figures: STUDY_FIGURES.iter().map(|figure| figure.of(found, None)).collect(),
        startups,
    }
}

/// Runs of a world without and with what the other runtime takes more.
fn pairs(name: &str, count: usize, directory: &Path) -> Vec<[f64; 2]> {
    let worlds = catalogue();
    let world = worlds.iter().find(|(at, _)| at == name).map(|(_, world)| world.clone()).unwrap();
    let cost = |seed: usize, more: u64| {
        let mut world = world.clone();
        world.seed = seed as u64;
        world.runtime.memory.0 += more << 20;
        let at = directory.join(format!("{name}-{seed}"));
        let outcome = run(world, SHAPE, &at);
        std::fs::remove_dir_all(&at).unwrap();
        of_outcome(&outcome, 1, 0.0).figures[0].clone().unwrap()
    };
    (0..count).map(|pair| [cost(2 * pair, 0), cost(2 * pair + 1, MORE_MIB)]).collect()
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_studies_that_end_by_their_precision_hold_the_truth() {
    const PAIRS: usize = 60;
    const STUDIES: u32 = 200;
    let directory = tempfile::tempdir().unwrap();
    let (mut holds, mut blocks) = (0, 0);
    let pools: Vec<Vec<[f64; 2]>> = std::thread::scope(|scope| {
        let handles = WORLDS.map(|name| scope.spawn(|| pairs(name, PAIRS, directory.path())));
        handles.map(|handle| handle.join().unwrap()).into()
    });
    let truth = (MORE_MIB << 20) as f64;
    for (world, pool) in pools.into_iter().enumerate() {
        let mut random = Pcg64Mcg::seed_from_u64(world as u64);
        // Studies are drawn from the pool: its mean is true of them, and is itself as close to the truth as so many runs are.
        let mean = pool.iter().map(|[base, other]| other - base).sum::<f64>() / PAIRS as f64;
        let squares: f64 = pool.iter().map(|[base, other]| (other - base - mean).powi(2)).sum();
        let deviation = (squares / PAIRS as f64).sqrt();
        assert!((mean - truth).abs() <= 3.5 * deviation / (PAIRS as f64).sqrt(), "{mean} in world {world}");
        for study in 0..STUDIES {
            let half_width = deviation / [0.7, 1.0, 1.5, 2.0][study as usize % 4];
            let mut pairs: Vec<Pair> = Vec::new();
            while !Stopping::AtPrecision.is_reached(&pairs, half_width) && pairs.len() < PAIRS {
                let [base, other] = *pool.choose(&mut random).unwrap();
                let later_seconds = if random.random() { 120.0 } else { -120.0 };
                let begin_seconds = pairs.len() as f64 * 240.0;
                pairs.push(Pair { base, other, begin_seconds, later_seconds });
            }
            let interval =
                paired(&pairs).unwrap().difference.interval(Stopping::AtPrecision.nominal_confidence());
            holds += u32::from(interval.contains(mean));
            blocks += pairs.len();
        }
    }
    let all = f64::from(STUDIES * WORLDS.len() as u32);
    let share = f64::from(holds) / all;
    println!(
        "{share:.3} of the intervals hold the truth, after {:.1} blocks on average",
        blocks as f64 / all
    );
    assert!((0.93..=0.97).contains(&share), "{share}");
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_studies_hold_the_truth_and_verdicts_are_right() {
    let studies: u64 = std::env::var("STUDIES").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    let tallies = Mutex::new([Tally::default(); 2]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 2 * studies {
                        return;
                    }
                    let kind = (number % 2) as usize;
                    let (interval, verdict) = study(number / 2, [0, MORE_MIB][kind], directory.path());
                    let mut tallies = tallies.lock().unwrap();
                    let tally = &mut tallies[kind];
                    tally.studies += 1;
                    if let Some((holds, half_width)) = interval {
                        tally.holds += u32::from(holds);
                        tally.half_width += half_width;
                    }
                    match verdict {
                        Verdict::Differs => tally.differs += 1,
                        Verdict::NoLargerThan(_) => tally.no_larger += 1,
                        Verdict::CannotTell(_) => tally.neither += 1,
                    }
                }
            });
        }
    });
    let [none, some] = *tallies.lock().unwrap();
    println!("no difference: {none:?}\na difference: {some:?}");
    for tally in [none, some] {
        let share = f64::from(tally.holds) / f64::from(tally.studies);
        assert!((0.93..=0.97).contains(&share), "{share:.3} of the intervals hold the truth: {tally:?}");
    }
    let wrongly = |count: u32, of: Tally| f64::from(count) / f64::from(of.studies);
    assert!(wrongly(none.differs, none) <= 0.05, "{none:?}");
    assert!(wrongly(some.no_larger, some) <= 0.05, "{some:?}");
}
