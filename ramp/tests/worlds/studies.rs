//! Studies on worlds: how often the interval of a difference holds the truth, and how often a verdict is wrong.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ramp_format::plan::Pace;
use ramp_report::stats::Duration;
use ramp_report::study::comparison::{CellComparison, StudyRun};
use ramp_report::study::figure::STUDY_FIGURES;
use ramp_report::study::verdict::Verdict;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::experiment::{Shape, StepOutcome, catalogue, run};

/// Worlds that studies are of.
const WORLDS: [&str; 5] = ["quiet", "noisy", "wandering", "drifting-up", "uneven-runtime"];
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
            let shape = Shape { steps: 12, from: 1, down: false, pace: Pace::Ready };
            let at = directory.join(format!("{seed}-{block}-{is_other}"));
            let outcome = run(world, shape, &at);
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
    let StepOutcome { data, found, .. } = outcome;
    let startups: Vec<Duration> = found
        .startups
        .as_ref()
        .map(|all| all.iter().map(|startup| startup.took).collect())
        .unwrap_or_default();
    StudyRun {
        block,
        begin_seconds,
        figures: STUDY_FIGURES.iter().map(|figure| (figure.value)(data, found)).collect(),
        startups,
    }
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
