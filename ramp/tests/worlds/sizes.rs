//! Overhead by size on worlds: how often the intervals of the line hold the truth, and what is told to be no line.

use std::path::Path;

use ramp::engine::simulated::Share;
use ramp_format::plan::Pace;
use ramp_report::stats::Pair;
use ramp_report::study::overhead_by_size::{FitCheck, OverheadModel, SizeLimits, ValueWithInterval};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use workload::quantity::Bytes;

use crate::experiment::{Shape, catalogue, run_limited};

/// Worlds that studies are of.
const WORLDS: [&str; 4] = ["quiet", "noisy", "wandering", "uneven-runtime"];
/// How each run of a study is.
const SHAPE: Shape = Shape { steps: 6, from: 1, down: false, pace: Pace::Ready };
/// Runs of each size under each runtime, of which studies are drawn.
const RUNS: u64 = 40;
/// Memory limits.
const LIMITS: [u64; 4] = [128 << 20, 512 << 20, 1 << 30, 2 << 30];
/// What the runtime takes more than the base: so much, and so much of the limit.
const FIXED: u64 = 24 << 20;
const SHARE: f64 = 0.05;
/// By how much the second size is above the line in studies of what is no line, in standard deviations of its difference.
const BENT: f64 = 8.0;
/// Between sizes, and beyond them.
const ELSEWHERE: [u64; 2] = [768 << 20, 4 << 30];

fn line(limit: u64) -> f64 {
    FIXED as f64 + SHARE * limit as f64
}

/// Costs of the runs of a size under the base and under the runtime. Studies are drawn from these, whose means are therefore true of
/// them: they are moved to where the world has them, by no more than their error.
struct Pool {
    base: Vec<f64>,
    other: Vec<f64>,
    deviation: f64,
}

impl Pool {
    fn of(world: usize, size: usize, directory: &Path) -> Self {
        let name = WORLDS[world];
        let all = catalogue();
        let origin = all.iter().find(|(at, _)| at == name).map(|(_, world)| world.clone()).unwrap();
        let mut random = Pcg64Mcg::seed_from_u64((10 * world + size) as u64);
        let mut cost = |is_other: bool| {
            let mut world = origin.clone();
            world.seed = random.random::<u64>() >> 1;
            if is_other {
                world.runtime.memory = Bytes(world.runtime.memory.0 + FIXED);
                world.runtime.per_limit = Share(SHARE);
            }
            let at = directory.join(format!("{name}-{}", world.seed));
            let outcome = run_limited(world, SHAPE, LIMITS[size], &at);
            std::fs::remove_dir_all(&at).unwrap();
            outcome.found.estimates.rough_cost.as_ref().unwrap().bytes
        };
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let variance = |all: &[f64]| {
            all.iter().map(|cost| (cost - mean(all)).powi(2)).sum::<f64>() / (all.len() as f64 - 1.0)
        };
        let [base, mut other] =
            [false, true].map(|is_other| (0..RUNS).map(|_| cost(is_other)).collect::<Vec<_>>());
        let deviation = (variance(&base) + variance(&other)).sqrt();
        let off = mean(&other) - mean(&base) - line(LIMITS[size]);
        assert!(
            off.abs() <= 3.5 * deviation / (RUNS as f64).sqrt(),
            "{off} of {deviation} in {name}, size {size}"
        );
        other.iter_mut().for_each(|cost| *cost -= off);
        Self { base, other, deviation }
    }
}

/// What was counted of studies with a number of sizes and of blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    studies: u32,
    /// Fixed, per limit, and at each place.
    holds: [u32; 4],
    not_linear: u32,
}

impl Tally {
    fn add(&mut self, model: &OverheadModel) {
        self.studies += 1;
        self.not_linear += u32::from(matches!(model.check, FitCheck::NotLinear(_)));
        // The line is held against the truth whether or not it was told to fit.
        let mut fits = model.clone();
        fits.check = FitCheck::Unchecked;
        let at = |memory: u64| (fits.at(SizeLimits { memory, cpu: None }).unwrap(), line(memory));
        let [between, beyond] = ELSEWHERE.map(at);
        let found: [(ValueWithInterval, f64); 4] =
            [(model.fixed, FIXED as f64), (model.per_limit, SHARE), between, beyond];
        for (held, (found, truth)) in self.holds.iter_mut().zip(found) {
            *held += u32::from(found.interval.contains(truth));
        }
    }

    fn share(self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.studies)
    }
}

/// A study: the pair of runs of each size, of each block, in a random order.
fn study(pools: &[Pool], blocks: usize, is_bent: bool, random: &mut Pcg64Mcg) -> Vec<Vec<Pair>> {
    let mut clock = 0.0;
    let mut pair = |(size, pool): (usize, &Pool), random: &mut Pcg64Mcg| {
        let later_seconds = if random.random() { 120.0 } else { -120.0 };
        clock += 240.0;
        let bent = if is_bent && size == 1 { BENT * pool.deviation } else { 0.0 };
        Pair {
            base: *pool.base.choose(random).unwrap(),
            other: *pool.other.choose(random).unwrap() + bent,
            begin_seconds: clock - later_seconds / 2.0,
            later_seconds,
        }
    };
    (0..blocks).map(|_| pools.iter().enumerate().map(|of| pair(of, random)).collect()).collect()
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn lines_over_sizes_hold_the_truth_and_what_is_no_line_is_told() {
    let studies: u64 = std::env::var("STUDIES").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let directory = tempfile::tempdir().unwrap();
    let pools: Vec<Vec<Pool>> = std::thread::scope(|scope| {
        let of_world = |world: usize, directory: &Path| {
            (0..LIMITS.len()).map(|size| Pool::of(world, size, directory)).collect()
        };
        let handles = [0, 1, 2, 3].map(|world| {
            scope.spawn({
                let directory = directory.path();
                move || of_world(world, directory)
            })
        });
        handles.map(|handle| handle.join().unwrap()).into()
    });
    for (sizes, blocks) in (2..=4).flat_map(|sizes| (2..=4).map(move |blocks| (sizes, blocks))) {
        let (mut lines, mut bent) = (Tally::default(), Tally::default());
        for (world, pools) in pools.iter().enumerate() {
            let mut random = Pcg64Mcg::seed_from_u64((100 * world + 10 * sizes + blocks) as u64);
            let limits: Vec<SizeLimits> =
                LIMITS[..sizes].iter().map(|memory| SizeLimits { memory: *memory, cpu: None }).collect();
            for number in 0..studies + studies / 5 {
                let is_bent = number >= studies;
                let pairs = study(&pools[..sizes], blocks, is_bent, &mut random);
                let model = OverheadModel::of(&limits, &pairs, 0.95).unwrap();
                if is_bent { bent.add(&model) } else { lines.add(&model) }
            }
        }
        let holds = lines.holds.map(|count| lines.share(count));
        let [wrongly, rightly] = [lines, bent].map(|tally| tally.share(tally.not_linear));
        println!(
            "{sizes} sizes, {blocks} blocks: {holds:.3?} hold the truth; told to be no line: {wrongly:.3} of lines, {rightly:.3} of \
             what is none"
        );
        // 93 to 100 %, and at most 5 %, but for what so many studies are off by.
        assert!(holds.iter().all(|share| (0.925..=1.0).contains(share)), "{holds:?}");
        assert!(wrongly <= 0.06, "{wrongly}");
        // Two sizes cannot tell, and few blocks seldom.
        assert!(if sizes == 2 { rightly == 0.0 } else { blocks < 4 || rightly >= 0.8 }, "{rightly}");
    }
}
