//! Planning of blocks: how many more reach the precision asked for, and whether longer runs would be the cheaper way there.

use super::comparison::{StudyRun, figure_pairs};
use super::data::{ComparedCells, MeasuredRun, StudyData};
use super::dwell::DwellBlocks;
use super::figure::{CPU_AT_REST, CPU_PER_START, STUDY_FIGURES, StudyFigure, StudyUnit, Topic};
use super::stopping::Stopping;
use super::verdict::most_advised;
use crate::analysis::cpu_cost::{LONGEST_DWELL_SECONDS, proposed_dwell};
use crate::analysis::mib;
use crate::stats::{Interval, Pair, Quantile, Survival, paired};
use ramp_format::rows::Part;
use ramp_format::study::{Tolerance, Tolerances};
use ramp_format::text::count;

/// What is known of the blocks that a study needs.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Whether every figure of every comparison has the precision asked for, for good. Without one asked for, never.
    pub is_reached: bool,
    /// Blocks in all that are probably needed; none where that is not known yet, or more than anybody would run.
    pub blocks_needed: Option<u32>,
    /// The figure that needs the most, its precision asked for and reached, in a sentence.
    pub reason: String,
    /// Each figure that a precision is asked for.
    pub figures: Vec<FigurePlan>,
}

/// The precision of a figure of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct FigurePlan {
    /// Index of the base in [`ramp_format::study::StudyRecord::cells`].
    pub base: usize,
    /// Index of the other cell.
    pub other: usize,
    /// Name of the figure.
    pub figure: &'static str,
    /// Half-width asked for, in the unit of the figure; none where that is a share of a base that is not known.
    pub asked: Option<f64>,
    /// Half-width reached; none with fewer than two blocks.
    pub reached: Option<f64>,
    /// Whether that is enough, for good.
    pub is_reached: bool,
    /// Blocks in all that are probably needed.
    pub blocks_needed: Option<u32>,
    /// What longer runs would save; none where more blocks are the cheaper way, or it is not known.
    pub longer: Option<LongerRuns>,
    /// Dwells with which the blocks planned would do, of a figure of CPU time; none where they do, or it is not known.
    pub dwells: Option<LongerDwells>,
    /// All that in a sentence without its full stop.
    pub text: String,
}

/// Longer dwells that reach a precision of CPU time, by the noise that the runs so far have had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongerDwells {
    /// How long nodes have to be idle, and instances to be held, in seconds.
    pub seconds: f64,
    /// With so many blocks.
    pub blocks: u32,
    /// What a whole study of them takes, in seconds.
    pub study_seconds: f64,
}

/// Longer runs that reach a precision in less time than more blocks do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongerRuns {
    /// Steps of each run, as a multiple of those that it has.
    pub times: f64,
    /// Share of the variance that is within runs.
    pub within: f64,
}

/// Variances of a difference, and the time that a run takes (T. Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013,
/// section 9).
#[derive(Clone, Copy, Debug, PartialEq)]
struct BlockCosts {
    /// Variance of the differences within blocks.
    variance: f64,
    /// Of that, by the standard errors of the runs.
    within: f64,
    /// Seconds of the part of a run that tells the figure: of its steps, or of its dwells.
    steps_seconds: f64,
    /// Seconds of the rest of it.
    rest_seconds: f64,
}

/// Runs with more than this multiple of their steps are no advice.
const LONGEST: f64 = 4.0;
/// Longer runs are advice where they take at most this share of the time of more blocks.
const WORTH_IT: f64 = 0.9;
/// Fewest blocks that tell a variance within runs from one between.
const FEWEST_FOR_VARIANCES: usize = 3;
/// Half of a 95 % interval in standard errors.
const HALF_WIDTH: f64 = 1.96;

/// Plans the blocks of a study by those that it has.
#[must_use]
pub fn plan_blocks(data: &StudyData) -> BlockPlan {
    let wanted = &data.record.definition.precision;
    let mut figures = Vec::new();
    for compared in data.comparisons() {
        let (base, other) = (data.figures_of(compared.base), data.figures_of(compared.other));
        for (at, figure) in STUDY_FIGURES.iter().enumerate() {
            let Some(precision) = wanted.of(figure.name) else { continue };
            let pairs = figure_pairs(at, &base, &other);
            let stopping = Stopping::of(&data.record.definition, figure.name);
            let costs = costs(data, &compared, figure, &pairs);
            let plan = FigurePlan::of(figure, precision, stopping, &pairs);
            let is_cpu = figure.topic == Topic::Cpu;
            let most = data.record.definition.blocks.bounds().1;
            let blocks = DwellBlocks { blocks: most, risk: stopping.nominal_risk() };
            let asked = plan.asked.filter(|_| is_cpu && !plan.is_reached && most >= 2);
            let plan = FigurePlan {
                base: compared.base,
                other: compared.other,
                longer: costs.filter(|_| !is_cpu).and_then(BlockCosts::longer_runs),
                dwells: costs
                    .zip(asked)
                    .and_then(|(costs, asked)| costs.longer_dwells(asked, blocks, data.record.cells.len())),
                ..plan
            };
            // One amount for all figures is asked for of those that the runs have.
            let is_named = matches!(wanted, Tolerances::ByFigure(_));
            if !is_named && (pairs.is_empty() || figure.is_derived() || figure.topic.is_detail()) {
                continue;
            }
            let blocks = u32::try_from(blocks_of(&base, &other)).unwrap_or(u32::MAX);
            let missing = blocks.saturating_sub(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
            let blocks_needed = plan.blocks_needed.map(|needed| needed.saturating_add(missing));
            let plan = FigurePlan { blocks_needed, ..plan };
            figures.push(FigurePlan { text: text(data, &plan, figure), ..plan });
        }
    }
    BlockPlan::of(figures)
}

fn blocks_of(base: &[StudyRun], other: &[StudyRun]) -> usize {
    base.iter().filter(|run| other.iter().any(|other| other.block == run.block)).count()
}

impl BlockPlan {
    fn of(figures: Vec<FigurePlan>) -> Self {
        let is_reached = !figures.is_empty() && figures.iter().all(|figure| figure.is_reached);
        let is_known = |figure: &&FigurePlan| figure.reached.is_some();
        // None is more than any number.
        let most = |figure: &&FigurePlan| {
            (!figure.is_reached, figure.blocks_needed.unwrap_or(u32::MAX), figure.reached.is_some())
        };
        let hardest = figures.iter().max_by_key(most);
        Self {
            is_reached,
            blocks_needed: hardest.and_then(|figure| figure.blocks_needed),
            reason: match hardest {
                Some(hardest) if figures.iter().any(|figure| is_known(&figure)) => hardest.text.clone(),
                _ => "no figure can be compared yet".into(),
            },
            figures,
        }
    }
}

impl FigurePlan {
    /// Of a figure of two cells, with what is not known of these left out.
    fn of(figure: &'static StudyFigure, precision: Tolerance, stopping: Stopping, pairs: &[Pair]) -> Self {
        let found = paired(pairs);
        // Of the base: a difference may be 0.
        let base = pairs.iter().map(|pair| pair.base).sum::<f64>() / pairs.len() as f64;
        let asked = match precision {
            Tolerance::Share(_) => (!pairs.is_empty()).then(|| precision.of(base)),
            Tolerance::Absolute(amount) => Some(amount),
        };
        let reached =
            found.as_ref().map(|found| found.difference.interval(stopping.nominal_confidence()).half_width());
        let is_reached = asked.is_some_and(|asked| stopping.is_reached(pairs, asked));
        let blocks = u32::try_from(pairs.len()).ok();
        Self {
            base: 0,
            other: 0,
            figure: figure.name,
            asked,
            reached,
            is_reached,
            blocks_needed: match (is_reached, &found, asked) {
                (true, ..) => blocks,
                (false, Some(found), Some(asked)) => stopping.blocks_needed(found, asked),
                _ => None,
            },
            longer: None,
            dwells: None,
            text: String::new(),
        }
    }
}

impl BlockCosts {
    /// Runs of a length with which the time to a precision is the least, where they save enough of it.
    fn longer_runs(self) -> Option<LongerRuns> {
        let Self { variance, within, steps_seconds: steps, rest_seconds: rest } = self;
        if variance <= 0.0 || steps <= 0.0 {
            return None;
        }
        let within = within.min(variance);
        let between = variance - within;
        let time = |times: f64| (between + within / times) * (rest + times * steps);
        let best = ((rest * within) / (steps * between)).sqrt();
        let times = if best.is_finite() { best.min(LONGEST) } else { LONGEST };
        let saves = times > 1.0 && time(times) <= WORTH_IT * time(1.0);
        saves.then_some(LongerRuns { times, within: within / variance })
    }

    /// Dwells with which so many blocks of a study of these cells reach a half-width: what differs within runs falls with their length.
    fn longer_dwells(self, half_width: f64, blocks: DwellBlocks, cells: usize) -> Option<LongerDwells> {
        let Self { variance, within, steps_seconds: dwells, rest_seconds: rest } = self;
        let within = within.min(variance);
        let left = blocks.variance_for(half_width) - (variance - within);
        // Half of them idle, and half with instances.
        let times = within / left;
        let seconds = proposed_dwell(times * dwells / 2.0);
        (left > 0.0 && times > 1.0 && seconds <= LONGEST_DWELL_SECONDS).then(|| LongerDwells {
            seconds,
            blocks: blocks.blocks,
            study_seconds: (rest + 2.0 * seconds) * cells as f64 * f64::from(blocks.blocks),
        })
    }
}

fn costs(
    data: &StudyData,
    compared: &ComparedCells,
    figure: &StudyFigure,
    pairs: &[Pair],
) -> Option<BlockCosts> {
    let found = paired(pairs).filter(|_| pairs.len() >= FEWEST_FOR_VARIANCES)?;
    let runs = [data.runs_of(compared.base), data.runs_of(compared.other)];
    let mut within = 0.0;
    for runs in &runs {
        let errors: Vec<f64> = runs.iter().map(|run| standard_error(figure, run)).collect::<Option<_>>()?;
        within += errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
    }
    let telling = if figure.topic == Topic::Cpu { dwell_seconds } else { steps_seconds };
    let all: Vec<f64> = runs.iter().flatten().map(|run| telling(run)).collect();
    let mean = |seconds: f64| seconds / all.len() as f64;
    let steps_seconds = mean(all.iter().sum());
    let whole = mean(runs.iter().flatten().map(|run| run.data.end_seconds()).sum());
    Some(BlockCosts {
        variance: found.difference.standard_error.powi(2) * pairs.len() as f64,
        within,
        steps_seconds,
        rest_seconds: (whole - steps_seconds).max(0.0),
    })
}

/// Seconds of the steps up.
fn steps_seconds(run: &MeasuredRun) -> f64 {
    let up = run.data.steps.iter().filter(|step| step.part == Part::Up);
    up.filter_map(|step| step.step_seconds).sum()
}

/// Seconds without instances and with all of them.
fn dwell_seconds(run: &MeasuredRun) -> f64 {
    run.data
        .recorded()
        .map_or(0.0, |recorded| (recorded.run.plan.settle + recorded.run.plan.hold).as_secs_f64())
}

/// The standard error of a figure of a run, where it has one.
fn standard_error(figure: &StudyFigure, run: &MeasuredRun) -> Option<f64> {
    let interval = match figure.name {
        // How exact the load is is the same for all runs.
        "memory_per_instance" => Interval::of(&run.memory().ok()?.drawn)?,
        "startup_median" => match Survival::of(&run.figures.startups)?.quantile(0.5) {
            Quantile::Seconds(_, Some(low), Some(high)) => Interval { low, high },
            _ => return None,
        },
        CPU_AT_REST => run.cpu().ok()?.at_rest.as_ref().ok()?.interval,
        CPU_PER_START => run.cpu().ok()?.per_start.as_ref().ok()?.interval,
        _ => return None,
    };
    Some(interval.half_width() / HALF_WIDTH)
}

fn text(data: &StudyData, plan: &FigurePlan, figure: &StudyFigure) -> String {
    let name = |cell: usize| data.cells.get(cell).map_or("", |cell| cell.name.as_str());
    let of = format!("{} of {} against {}", figure.title, name(plan.other), name(plan.base));
    sentence(&of, plan, figure.unit, most_advised(&data.record.definition))
}

fn sentence(of: &str, plan: &FigurePlan, unit: StudyUnit, most: u32) -> String {
    let (Some(reached), Some(asked)) = (plan.reached, plan.asked) else {
        return format!("{of}: needs two blocks that have it");
    };
    let mut text = format!("{of}: ±{} reached, ±{} asked for", amount(reached, unit), amount(asked, unit));
    if plan.is_reached {
        return text;
    }
    text += &match plan.blocks_needed.filter(|blocks| *blocks <= most) {
        Some(blocks) => format!("; {} in all would probably do", count(blocks, "block")),
        None => format!("; would need far more blocks than planned (> {most})"),
    };
    if let Some(LongerRuns { times, within }) = plan.longer {
        text += &format!(
            "; runs of {times:.1} times as many steps would take less time: {:.0}% of the variance is within runs",
            100.0 * within
        );
    }
    if let Some(LongerDwells { seconds, blocks, study_seconds }) = plan.dwells {
        text += &format!(
            "; with dwells of about {seconds:.0} s (ramp: settle, hold) {} would probably do, a study of about {:.0} min",
            count(blocks, "block"),
            study_seconds / 60.0
        );
    }
    text
}

/// With its unit, to two digits.
#[must_use]
pub fn amount(value: f64, unit: StudyUnit) -> String {
    let (value, unit) = match unit {
        StudyUnit::Bytes => (mib(value), "MiB"),
        StudyUnit::Instances => (value, "instances"),
        StudyUnit::Seconds => (value, "s"),
        StudyUnit::Cores => (value, "cores"),
        StudyUnit::PerSecond => (value, "starts/s"),
    };
    let decimals = match value.abs() {
        _ if value == 0.0 => 0,
        size if size >= 10.0 => 0,
        size if size >= 1.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE: &StudyFigure = &STUDY_FIGURES[0];

    fn pairs(differences: &[f64]) -> Vec<Pair> {
        let pair = |difference: &f64| {
            let mib = f64::from(1 << 20);
            Pair {
                base: 100.0 * mib,
                other: (100.0 + difference) * mib,
                later_seconds: 0.0,
                ..Pair::default()
            }
        };
        differences.iter().map(pair).collect()
    }

    fn plan(differences: &[f64], precision: &str) -> FigurePlan {
        let plan =
            FigurePlan::of(FIGURE, precision.parse().unwrap(), Stopping::AtPrecision, &pairs(differences));
        FigurePlan {
            text: sentence("memory per instance of kata against runc", &plan, FIGURE.unit, 100),
            ..plan
        }
    }

    #[test]
    fn after_one_block_nothing_is_known_and_after_two_how_many_are_needed() {
        let one = plan(&[30.0], "2%");
        assert_eq!((one.reached, one.blocks_needed, one.is_reached), (None, None, false));
        assert_eq!(BlockPlan::of(vec![one]).reason, "no figure can be compared yet");
        let two = plan(&[30.0, 31.0], "2%");
        assert_eq!((two.blocks_needed, two.is_reached), (Some(5), false));
        assert_eq!(
            two.text,
            "memory per instance of kata against runc: ±11 MiB reached, ±2.0 MiB asked for; 5 blocks in all would probably do"
        );
    }

    #[test]
    fn the_figure_that_needs_the_most_blocks_is_the_reason() {
        let figures = vec![plan(&[30.0, 31.0, 30.5, 30.2], "2%"), plan(&[30.0, 36.0, 28.0, 31.0], "2Mi")];
        let found = BlockPlan::of(figures);
        assert!(!found.is_reached && found.figures[0].is_reached, "{found:?}");
        assert_eq!(found.blocks_needed, found.figures[1].blocks_needed);
        assert_eq!(found.reason, found.figures[1].text);
        let same = BlockPlan::of(vec![plan(&[30.0; 4], "2%")]);
        assert_eq!((same.is_reached, same.blocks_needed), (true, Some(4)));
        assert!(same.reason.ends_with("±0 MiB reached, ±2.0 MiB asked for"), "{}", same.reason);
        assert!(!BlockPlan::of(Vec::new()).is_reached);
    }

    #[test]
    fn longer_dwells_make_what_differs_within_runs_as_small_as_is_asked_for() {
        let blocks = DwellBlocks { blocks: 4, risk: 0.05 };
        let costs = BlockCosts { variance: 1e-4, within: 9e-5, steps_seconds: 16.0, rest_seconds: 40.0 };
        let found = costs.longer_dwells(0.01, blocks, 2).unwrap();
        // 4 · (0.01 ÷ 3.182)² − 1e-5 is left for them.
        assert_eq!((found.seconds, found.blocks, found.study_seconds), (30.0, 4, (40.0 + 60.0) * 8.0));
        assert_eq!(costs.longer_dwells(0.004, blocks, 2), None, "runs differ by more than that");
        assert_eq!(costs.longer_dwells(0.1, blocks, 2), None, "they are long enough");
        let plan = FigurePlan { dwells: Some(found), ..plan(&[30.0, 36.0, 28.0, 31.0], "2Mi") };
        assert!(sentence("it", &plan, StudyUnit::Bytes, 100).ends_with(
            "with dwells of about 30 s (ramp: settle, hold) 4 blocks would probably do, a study of about 13 min"
        ));
    }

    #[test]
    fn longer_runs_are_advised_where_most_of_the_variance_is_within_them() {
        let costs = BlockCosts { variance: 10.0, within: 9.0, steps_seconds: 60.0, rest_seconds: 60.0 };
        let longer = costs.longer_runs().unwrap();
        assert!((longer.times - 3.0).abs() < 1e-9 && (longer.within - 0.9).abs() < 1e-9, "{longer:?}");
        assert_eq!(BlockCosts { within: 1.0, ..costs }.longer_runs(), None, "they differ between runs");
        assert_eq!(
            BlockCosts { rest_seconds: 1.0, ..costs }.longer_runs(),
            None,
            "a block costs little more than its steps"
        );
        assert_eq!(BlockCosts { within: 20.0, ..costs }.longer_runs().unwrap().times, LONGEST);
        let plan = FigurePlan { longer: Some(longer), ..plan(&[30.0, 36.0, 28.0, 31.0], "2Mi") };
        assert!(sentence("it", &plan, StudyUnit::Bytes, 100).ends_with(
            "runs of 3.0 times as many steps would take less time: 90% of the variance is within runs"
        ));
    }
}
