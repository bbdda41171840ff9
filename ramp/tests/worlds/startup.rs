//! Phases of startup on worlds: how often the interval of a difference of each phase holds the truth, and that of its median in a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ramp::engine::simulated::{PhaseTime, World};
use ramp_format::plan::Pace;
use ramp_report::analysis::startup_phases::StartupPhase;
use ramp_report::stats::Quantile;
use ramp_report::study::comparison::{CellComparison, StudyRun};
use ramp_report::study::figure::STUDY_FIGURES;
use ramp_report::study::verdict::Verdict;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::experiment::{Shape, StepOutcome, run};

/// What the sandbox of the other runtime takes longer.
const LONGER: Duration = Duration::from_secs(2);
/// By how much a time in a run may be late (the resolution of its phase).
const RESOLUTION: f64 = 0.05;

/// A world, and its sandboxes.
fn drawn(seed: u64) -> (World, PhaseTime) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut between = |low: u64, high: u64| random.random_range(low..=high);
    // Clocks of nodes are in step, ahead or behind.
    let clock = [
        "",
        "events: [{what: clock-set, at: 0s, ahead: 3s}]\n",
        "events: [{what: clock-set, at: 0s, ahead: -90s}]\n",
    ];
    let yaml = format!(
        "nodes: [{{count: {}, memory: 16Gi}}]\nload: {{memory: {}M, growth_rate: 100M/s, report_every: 5s}}\n\
         phases: {{schedule: {}ms, create: {{median: {}ms, spread: 0.2}}, ready: {{median: {}ms, spread: 0.3}}, \
         events: {{median: {}ms, spread: 0.3}}}}\n{}",
        between(1, 2),
        between(20, 200),
        between(2, 20),
        between(100, 1500),
        between(50, 600),
        between(2, 12),
        clock[(seed % 3) as usize],
    );
    let spread = [0.0, 0.02, 0.1][between(0, 2) as usize];
    let sandbox = PhaseTime { median: Duration::from_millis(between(100, 1500)), spread };
    (World::parse(&yaml).unwrap(), sandbox)
}

/// The mean of a phase of which the logarithm is normal.
fn mean(phase: PhaseTime) -> f64 {
    phase.median.as_secs_f64() * (phase.spread * phase.spread / 2.0).exp()
}

/// What was counted of one figure.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    studies: u32,
    holds: u32,
    differs: u32,
    half_width: f64,
}

type Found = BTreeMap<&'static str, (bool, bool, f64)>;

fn of_outcome(outcome: &StepOutcome, block: u32, begin_seconds: f64) -> StudyRun {
    let figures = STUDY_FIGURES.iter().map(|figure| figure.of(&outcome.found, None)).collect();
    StudyRun { block, begin_seconds, figures, startups: Vec::new() }
}

/// Whether the interval of the median of the sandbox phase of a run holds the truth, and that of the phase of the program.
fn medians_hold(outcome: &StepOutcome, sandbox: PhaseTime) -> bool {
    let phases = outcome.found.phases.as_ref().unwrap();
    let holds = |phase: StartupPhase, truth: f64| match phases.survival(phase).unwrap().quantile(0.5) {
        Quantile::Seconds(_, low, high) => {
            let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
            (low - RESOLUTION..=high + RESOLUTION).contains(&truth)
        }
        Quantile::LongerThan(_) => false,
    };
    holds(StartupPhase::Sandbox, sandbox.median.as_secs_f64()) && holds(StartupPhase::Program, 0.0)
}

/// By the name of each phase: whether its interval holds the truth, whether it is said to differ, and half of the interval's width. Then
/// whether the intervals of the medians of each run hold the truth.
fn study(seed: u64, directory: &Path) -> (Found, Vec<bool>) {
    let (world, sandbox) = drawn(seed);
    let longer = PhaseTime { median: sandbox.median + LONGER, ..sandbox };
    let mut random = Pcg64Mcg::seed_from_u64(seed + 1_000_000);
    let (mut base, mut other, mut medians) = (Vec::new(), Vec::new(), Vec::new());
    let mut clock = 0.0;
    for block in 1..=3 + (seed % 4) as u32 {
        let first: bool = random.random();
        for is_other in [first, !first] {
            let mut world = World { seed: random.random::<u64>() >> 1, ..world.clone() };
            world.phases.sandbox = if is_other { longer } else { sandbox };
            let at = directory.join(format!("{seed}-{block}-{is_other}"));
            let shape = Shape { steps: 8, from: 1, down: false, pace: Pace::Ready };
            let outcome = run(world.clone(), shape, &at);
            std::fs::remove_dir_all(&at).unwrap();
            medians.push(medians_hold(&outcome, world.phases.sandbox));
            let into = if is_other { &mut other } else { &mut base };
            into.push(of_outcome(&outcome, block, clock));
            clock += 120.0;
        }
    }
    let compared = CellComparison::of(&base, &other, |_| None);
    let truth = mean(longer) - mean(sandbox);
    let is_phase =
        |name: &str| name.starts_with("startup_") && !["startup_median", "startup_mean"].contains(&name);
    let figures = STUDY_FIGURES.iter().zip(&compared.figures).filter(|(figure, _)| is_phase(figure.name));
    let found = figures.map(|(figure, found)| {
        let found = found.as_ref().unwrap_or_else(|why| panic!("{}: {why}", figure.name));
        let truth = if figure.name == "startup_sandbox" { truth } else { 0.0 };
        let holds = found.interval.contains(truth);
        (figure.name, (holds, found.verdict == Verdict::Differs, found.interval.half_width()))
    });
    (found.collect(), medians)
}

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_phases_of_startup_hold_the_truth_and_only_the_sandbox_differs() {
    let studies: u64 = std::env::var("STUDIES").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    let tallies = Mutex::new((BTreeMap::<&str, Tally>::new(), [0_u32; 2]));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= studies {
                        return;
                    }
                    let (found, medians) = study(number, directory.path());
                    let mut tallies = tallies.lock().unwrap();
                    for (name, (holds, differs, half_width)) in found {
                        let tally = tallies.0.entry(name).or_default();
                        tally.studies += 1;
                        tally.holds += u32::from(holds);
                        tally.differs += u32::from(differs);
                        tally.half_width += half_width;
                    }
                    tallies.1[0] += medians.len() as u32;
                    tallies.1[1] += medians.iter().map(|holds| u32::from(*holds)).sum::<u32>();
                }
            });
        }
    });
    let (tallies, [medians, held]) = tallies.into_inner().unwrap();
    println!("{held} of {medians} intervals of medians hold the truth");
    for (name, tally) in &tallies {
        let of = f64::from(tally.studies);
        let [holds, differs] = [tally.holds, tally.differs].map(|count| f64::from(count) / of);
        println!("{name}: {holds:.3} hold the truth, {differs:.3} differ, ±{:.3} s", tally.half_width / of);
        assert!(holds >= 0.93, "{name}: {holds:.3} hold the truth");
        match *name {
            "startup_sandbox" => assert!(differs > 0.98, "{name}: {differs:.3} are seen to differ"),
            _ => assert!(differs <= 0.05, "{name}: {differs:.3} are said to differ"),
        }
    }
    assert_eq!(tallies.len(), 6);
    // Of two in each run.
    assert!(f64::from(held) >= 0.90 * f64::from(medians), "{held} of {medians}");
}
