//! Swap on worlds: what an instance costs, and what of it is swapped out and compressed, where nodes swap out what is cold, or what they
//! have no memory for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use ramp_report::stats::Interval;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::experiment::{Shape, run};
use crate::truth::wrong;

/// A world whose nodes swap out a share of the instances' memory, or run short of memory, onto a disk or into zswap; and a number of
/// instances.
fn drawn(seed: u64) -> (World, u32) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut between = |low: u64, high: u64| random.random_range(low..=high);
    let nodes = between(1, 2);
    let (swap, per_node) = match seed % 2 {
        0 => (format!("swapped: 0.{}", between(10, 60)), between(5, 14)),
        // Without swap 15 or 16 fit on each.
        _ => ("swapped: 0".into(), between(17, 21)),
    };
    let zswap = if seed % 4 < 2 { String::new() } else { format!(", zswap: 0.{}", between(20, 60)) };
    let yaml = format!(
        "nodes: [{{count: {nodes}, memory: 2Gi, cores: 8, pods: 110, idle: {}Mi, page_cache: {}Mi, swap: 4Gi, {swap}{zswap}}}]\n\
         load: {{memory: 100M, growth_rate: 200M/s, report_every: {}s, cpu: 0.02}}\n\
         runtime: {{memory: {}M, spread: 0.0{}}}\nshortage: evict\n\
         machine: {{noise: {}k, wander: {}k, drift: {}k}}\n",
        between(300, 400),
        between(0, 400),
        between(2, 20),
        between(2, 20),
        between(0, 3),
        between(50, 600),
        between(20, 200),
        between(0, 5),
    );
    let world = World::parse(&yaml).unwrap();
    (World { seed: seed + 1, ..world }, (per_node * nodes) as u32)
}

#[derive(Default)]
struct Tally {
    holds: usize,
    given: usize,
    widths: f64,
}

impl Tally {
    fn count(&mut self, interval: Interval, truth: f64, cost: f64) -> bool {
        self.given += 1;
        self.holds += usize::from(interval.contains(truth));
        self.widths += (interval.high - interval.low) / cost;
        interval.contains(truth)
    }
}

/// Holds what is said of a seed against the truth.
fn check(seed: u64, tallies: &Mutex<[Tally; 3]>) {
    let directory = tempfile::tempdir().unwrap();
    let (world, steps) = drawn(seed);
    let pace = Pace::Ready;
    let outcome = run(world, Shape { steps, from: 1, down: false, pace }, &directory.path().join("run"));
    assert_eq!(wrong(&outcome), Vec::<String>::new(), "seed {seed}");
    let estimates = &outcome.found.estimates;
    let (Ok(cost), Ok(swapped)) = (&estimates.marginal_cost, &estimates.swapped) else {
        println!("{seed}: {:?} {:?}", estimates.marginal_cost.is_ok(), estimates.swapped);
        return;
    };
    let truth = &outcome.truth;
    let true_swap = truth.swapped.get(&swapped.instances).copied().unwrap_or_default();
    assert!(true_swap.samples > 0, "{seed}: {} instances in {:?}", swapped.instances, truth.swapped);
    let (compressed, saved) = true_swap.compressed_each(swapped.instances);
    let whole = truth.marginal_cost_bytes - saved;
    let on_disk = true_swap.on_disk_each(swapped.instances);
    let mut tallies = tallies.lock().unwrap();
    let [of_whole, of_disk, of_compressed] = &mut *tallies;
    let hold = |tally: &mut Tally, name: &str, bytes: f64, interval: Interval, truth: f64| {
        if !tally.count(interval, truth, whole) {
            println!(
                "{seed}: {name} {bytes:.0} {interval:?} where {truth:.0} is true: {:?}",
                outcome.world.nodes
            );
        }
    };
    hold(of_whole, "cost", cost.bytes, cost.interval, whole);
    hold(of_disk, "on disk", swapped.on_disk.bytes, swapped.on_disk.interval, on_disk);
    hold(of_compressed, "compressed", swapped.compressed.bytes, swapped.compressed.interval, compressed);
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_the_cost_and_of_what_is_swapped_out_hold_the_truth_where_nodes_swap() {
    // As many as are promised, or more at night.
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0).max(200_u64);
    let (next, tallies) = (AtomicU64::new(0), Mutex::new(std::array::from_fn(|_| Tally::default())));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    check(seed, &tallies);
                }
            });
        }
    });
    for (name, tally) in ["cost", "on disk", "compressed"].into_iter().zip(tallies.into_inner().unwrap()) {
        let width = 100.0 * tally.widths / tally.given.max(1) as f64;
        println!("{name}: {} of {} hold the truth; {width:.1}% of the cost wide", tally.holds, tally.given);
        assert!(tally.given as u64 * 100 >= seeds * 95, "{name}: {} of {seeds} have a figure", tally.given);
        assert!(tally.holds * 100 >= tally.given * 93, "{name}: {} of {}", tally.holds, tally.given);
        assert!(width < 5.0, "{name}: {width}% of the cost wide");
    }
}
