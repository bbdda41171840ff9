//! Overhead by size on worlds: how often the intervals of the line hold the truth, and what is told to be no line.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ramp::engine::simulated::Share;
use ramp_format::plan::Pace;
use ramp_report::stats::Pair;
use ramp_report::study::overhead_by_size::{FitCheck, OverheadModel, SizeLimits, ValueWithInterval};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use workload::quantity::Bytes;

use crate::experiment::{Shape, catalogue, run_limited};

/// Worlds that studies are of.
const WORLDS: [&str; 4] = ["quiet", "noisy", "wandering", "uneven-runtime"];
/// How each run of a study is.
const SHAPE: Shape = Shape { steps: 6, from: 1, down: false, pace: Pace::Ready };
/// Memory limits.
const LIMITS: [u64; 4] = [128 << 20, 512 << 20, 1 << 30, 2 << 30];
/// Blocks of a whole study.
const BLOCKS: u64 = 4;
/// What the runtime takes more than the base: so much, and so much of the limit.
const FIXED: u64 = 24 << 20;
const SHARE: f64 = 0.05;
/// By how much the second size is above the line in studies of what is no line.
const BENT: u64 = 24 << 20;
/// Between sizes, and beyond them.
const ELSEWHERE: [u64; 2] = [768 << 20, 4 << 30];

/// What was counted of studies with a number of sizes and of blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    studies: u32,
    /// Fixed, per limit, and at each place.
    holds: [u32; 4],
    half_width: [f64; 4],
    not_linear: u32,
}

impl Tally {
    fn add(&mut self, model: &OverheadModel) {
        self.studies += 1;
        self.not_linear += u32::from(matches!(model.check, FitCheck::NotLinear(_)));
        let line = |limit: u64| FIXED as f64 + SHARE * limit as f64;
        // The line is held against the truth whether or not it was told to fit.
        let at = |memory: u64| {
            let mut fits = model.clone();
            fits.check = FitCheck::Unchecked;
            fits.at(SizeLimits { memory, cpu: None }).unwrap()
        };
        let found: [(ValueWithInterval, f64); 4] = [
            (model.fixed, FIXED as f64),
            (model.per_limit, SHARE),
            (at(ELSEWHERE[0]), line(ELSEWHERE[0])),
            (at(ELSEWHERE[1]), line(ELSEWHERE[1])),
        ];
        for (at, (found, truth)) in found.into_iter().enumerate() {
            self.holds[at] += u32::from(found.interval.contains(truth));
            self.half_width[at] += found.interval.half_width();
        }
    }
}

/// A study of all sizes: the pair of runs of each size, of each block.
fn study(seed: u64, bent: u64, directory: &Path) -> Vec<Vec<Pair>> {
    let worlds = catalogue();
    let name = WORLDS[seed as usize % WORLDS.len()];
    let world = worlds.iter().find(|(at, _)| at == name).map(|(_, world)| world.clone()).unwrap();
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut clock = 0.0;
    let mut cost = |is_other: bool, size: usize, random: &mut Pcg64Mcg| {
        let mut world = world.clone();
        world.seed = random.random::<u64>() >> 1;
        if is_other {
            world.runtime.memory = Bytes(world.runtime.memory.0 + FIXED + if size == 1 { bent } else { 0 });
            world.runtime.per_limit = Share(SHARE);
        }
        let at = directory.join(format!("{seed}-{bent}-{}", world.seed));
        let outcome = run_limited(world, SHAPE, LIMITS[size], &at);
        std::fs::remove_dir_all(&at).unwrap();
        clock += 120.0;
        (outcome.found.estimates.rough_cost.as_ref().unwrap().bytes, clock)
    };
    let mut block = |_| {
        let pair = |size: usize,
                    random: &mut Pcg64Mcg,
                    cost: &mut dyn FnMut(bool, usize, &mut Pcg64Mcg) -> (f64, f64)| {
            // The order within a block is random.
            let first: bool = random.random();
            let one = cost(first, size, random);
            let two = cost(!first, size, random);
            let (base, other) = if first { (two, one) } else { (one, two) };
            Pair { base: base.0, other: other.0, begin_seconds: base.1, later_seconds: other.1 - base.1 }
        };
        (0..LIMITS.len()).map(|size| pair(size, &mut random, &mut cost)).collect()
    };
    (0..BLOCKS).map(&mut block).collect()
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn lines_over_sizes_hold_the_truth_and_what_is_no_line_is_told() {
    let studies: u64 = std::env::var("STUDIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    // Studies of what is a line, with 2, 3 and 4 sizes and blocks; and of what is none, with 4 blocks.
    let tallies = Mutex::new(([[Tally::default(); 3]; 3], [Tally::default(); 3]));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= studies + studies / 4 {
                        return;
                    }
                    let is_bent = number >= studies;
                    let pairs = study(number, if is_bent { BENT } else { 0 }, directory.path());
                    for sizes in 2..=LIMITS.len() {
                        for blocks in 2..=BLOCKS as usize {
                            let limits = LIMITS[..sizes].iter();
                            let limits: Vec<SizeLimits> =
                                limits.map(|memory| SizeLimits { memory: *memory, cpu: None }).collect();
                            let of: Vec<Vec<Pair>> =
                                pairs[..blocks].iter().map(|pairs| pairs[..sizes].to_vec()).collect();
                            let model = OverheadModel::of(&limits, &of, 0.95).unwrap();
                            let (lines, bent) = &mut *tallies.lock().unwrap();
                            match is_bent {
                                false => lines[sizes - 2][blocks - 2].add(&model),
                                true if blocks == BLOCKS as usize => bent[sizes - 2].add(&model),
                                true => {}
                            }
                        }
                    }
                }
            });
        }
    });
    let (lines, bent) = *tallies.lock().unwrap();
    let share = |count: u32, of: Tally| f64::from(count) / f64::from(of.studies);
    for (sizes, tallies) in lines.iter().enumerate() {
        for (blocks, tally) in tallies.iter().enumerate() {
            let holds = tally.holds.map(|count| share(count, *tally));
            let wide = tally.half_width.map(|sum| sum / f64::from(tally.studies));
            println!(
                "{} sizes, {} blocks: {holds:.3?} hold the truth; ± {:.1} MiB, {:.4}, {:.1} MiB, {:.1} MiB; {:.3} told to be no line",
                sizes + 2,
                blocks + 2,
                wide[0] / 1_048_576.0,
                wide[1],
                wide[2] / 1_048_576.0,
                wide[3] / 1_048_576.0,
                share(tally.not_linear, *tally)
            );
            // 93 % less what 200 studies may be off by.
            let least = 0.93 - 1.5 * (0.95 * 0.05 / f64::from(tally.studies)).sqrt();
            assert!(holds.iter().all(|share| *share >= least), "{holds:?} {tally:?}");
            assert!(share(tally.not_linear, *tally) <= 0.05 + 0.025, "{tally:?}");
        }
    }
    println!("bent: {:?}", bent.map(|tally| share(tally.not_linear, tally)));
    assert!(
        bent[0].not_linear == 0 && bent[1..].iter().all(|tally| share(tally.not_linear, *tally) >= 0.8),
        "{bent:?}"
    );
}
