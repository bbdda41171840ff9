//! The overhead of a runtime inside and outside of its guests, over the blocks of a study.
//!
//! | figure | of | interval |
//! |---|---|---|
//! | limit + podFixed − MemTotal | runs of the runtime | Student's, over runs; of one run over its instances |
//! | used in the guest beyond the load | the same | the same |
//! | outside of the guest | overhead of each block, less what is used in the guest beyond the load | of the mean, over blocks |

use super::data::{ComparedCells, MeasuredRun, StudyData};
use super::figure::{MEMORY_PER_INSTANCE, STUDY_FIGURES};
use super::paired_runs::{ValueWithInterval, pairs_by_block};
use super::stopping::Stopping;
use crate::analysis::guest_memory::{GuestMemory, SeenMachine};
use crate::analysis::{Estimate, Unavailable, unavailable};
use crate::stats::{MeanEstimate, Pair, paired};

/// What a runtime takes inside and outside of the machine that its loads see.
#[derive(Clone, Debug)]
pub struct GuestSides {
    /// Whose memory they see.
    pub machine: SeenMachine,
    /// MemTotal, mean over runs, in bytes.
    pub total_bytes: f64,
    /// [`GuestMemory::limit_less_total`].
    pub limit_less_total: Estimate<ValueWithInterval>,
    /// [`GuestMemory::beyond_load`].
    pub beyond_load: Estimate<ValueWithInterval>,
    /// The overhead less [`Self::beyond_load`], in bytes: VMM, virtiofsd and shim, and pages that were used in the guest and are its page
    /// cache or free again, beyond what the base takes.
    pub outside: Estimate<ValueWithInterval>,
}

impl GuestSides {
    /// Those of a cell against its base; none where no load of the cell tells of a machine other than its node.
    #[must_use]
    pub(super) fn of(data: &StudyData, compared: &ComparedCells) -> Option<Self> {
        let runs = data.runs_of(compared.other);
        let known: Vec<&GuestMemory> = runs.iter().filter_map(|run| seen(run).ok()).collect();
        let machine = known.first()?.machine;
        if known.iter().all(|one| one.machine == SeenMachine::Node) {
            return None;
        }
        let is_same = known.iter().all(|one| one.machine == machine);
        let confidence = Stopping::of(&data.record.definition, MEMORY_PER_INSTANCE).nominal_confidence();
        let mean = |of: GuestEstimate| over_runs(&runs, of, confidence);
        Some(Self {
            machine: if is_same { machine } else { SeenMachine::Unknown },
            total_bytes: known.iter().map(|one| one.total_bytes).sum::<f64>() / known.len() as f64,
            limit_less_total: mean(|found| &found.limit_less_total),
            beyond_load: mean(|found| &found.beyond_load),
            outside: outside(data, compared, confidence),
        })
    }
}

type GuestEstimate = fn(&GuestMemory) -> &Estimate<MeanEstimate>;

/// What the loads of a run see.
fn seen(run: &MeasuredRun) -> Estimate<&GuestMemory> {
    match run.results.guest.get(run.group.unwrap_or_default()) {
        Some(found) => found.as_ref().map_err(Clone::clone),
        None => unavailable("the run is not mixed, or has fewer runtimes"),
    }
}

fn of_run(run: &MeasuredRun, of: GuestEstimate) -> Estimate<MeanEstimate> {
    of(seen(run)?).clone()
}

fn over_runs(runs: &[&MeasuredRun], of: GuestEstimate, confidence: f64) -> Estimate<ValueWithInterval> {
    let all = || runs.iter().map(|run| of_run(run, of));
    let known: Vec<MeanEstimate> = all().flatten().collect();
    let means: Vec<f64> = known.iter().map(|found| found.mean).collect();
    let mean = MeanEstimate::of(&means).or(known.first().copied());
    let none = || all().find_map(Result::err).unwrap_or_else(|| Unavailable("no run that counts".into()));
    mean.map(|found| ValueWithInterval::of(found, confidence)).ok_or_else(none)
}

fn outside(data: &StudyData, compared: &ComparedCells, confidence: f64) -> Estimate<ValueWithInterval> {
    let (base, other) = (data.runs_of(compared.base), data.runs_of(compared.other));
    for run in &base {
        if seen(run)?.machine != SeenMachine::Node {
            return unavailable("loads of the base do not see the memory of their node either");
        }
    }
    let beyond: Vec<(u32, Estimate<MeanEstimate>)> =
        other.iter().map(|run| (run.figures.block, of_run(run, |found| &found.beyond_load))).collect();
    let figure = STUDY_FIGURES.iter().position(|figure| figure.name == MEMORY_PER_INSTANCE);
    let [base, other] = [compared.base, compared.other].map(|cell| data.figures_of(cell));
    let pairs = pairs_by_block(figure.unwrap_or_default(), &base, &other);
    let less = |(block, pair): (u32, Pair)| {
        let inside = beyond.iter().find(|(own, _)| *own == block)?.1.as_ref().ok()?.mean;
        Some(Pair { other: pair.other - inside, ..pair })
    };
    let pairs: Vec<Pair> = pairs.into_iter().filter_map(less).collect();
    match paired(&pairs) {
        Some(found) => Ok(ValueWithInterval::of(found.difference, confidence)),
        None => Err(beyond
            .into_iter()
            .find_map(|(_, found)| found.err())
            .unwrap_or_else(|| Unavailable("needs two blocks with the overhead".into()))),
    }
}
