//! Overhead of a runtime as a function of the size of its instances: a line over memory limits, from differences within blocks.
//!
//! overhead = fixed + per limit × memory limit (+ per CPU × CPU limit, where sizes differ in CPUs independently of memory). What each size
//! takes more than the base is a paired difference; the line is fitted in each block, and over blocks its coefficients are means of their
//! own (`stats/block_regression.rs`). With more sizes than coefficients the fit is checked, and where it does not hold nothing is
//! interpolated.

use super::data::{ComparedCells, MeasuredRun, StudyData};
use super::figure::{MEMORY_PER_INSTANCE, STUDY_FIGURES};
use super::guest_memory::GuestSides;
use super::paired_runs::pairs_by_block;
use super::stopping::Stopping;
use crate::analysis::requests::memory_limit;
use crate::analysis::{Estimate, Unavailable, unavailable};
use crate::stats::{BlockRegression, MeanEstimate, Pair};
use ramp_format::scenario::Scenario;
use ramp_format::study::Size;
use workload::quantity::Bytes;

pub use super::paired_runs::ValueWithInterval;

/// Why nothing is known of a figure that is none of a study.
pub(super) const NO_FIGURE: &str = "no such figure";
/// The p-value at which a line is told not to fit.
const NO_FIT: f64 = 0.05;

/// A runtime against the base, over the sizes of a scenario.
#[derive(Clone, Debug)]
pub struct OverheadBySize {
    /// The scenario.
    pub scenario: String,
    /// What the base is called.
    pub base: String,
    /// What the runtime is called.
    pub other: String,
    /// The sizes, the smallest memory limit first; those without a limit last.
    pub sizes: Vec<SizeOverhead>,
    /// The line over memory limits.
    pub model: Estimate<OverheadModel>,
}

/// What a runtime takes more than the base, per instance of a size.
#[derive(Clone, Debug)]
pub struct SizeOverhead {
    /// Both cells, figure by figure.
    pub compared: ComparedCells,
    /// What the size is called.
    pub name: String,
    /// Memory limit of the container, in bytes.
    pub limit: Estimate<u64>,
    /// CPU limit of the pod, in cores; none where there is none.
    pub cpu_limit: Option<f64>,
    /// The overhead, in bytes.
    pub overhead: Estimate<ValueWithInterval>,
    /// What of it is inside and outside of guests; none where loads see the memory of their nodes.
    pub guest: Option<GuestSides>,
}

/// The limits of a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeLimits {
    /// Memory limit, in bytes.
    pub memory: u64,
    /// CPU limit, in cores.
    pub cpu: Option<f64>,
}

/// Overhead as a linear function of limits.
#[derive(Clone, Debug)]
pub struct OverheadModel {
    /// Overhead without a limit's share, in bytes.
    pub fixed: ValueWithInterval,
    /// Bytes for each byte of memory limit.
    pub per_limit: ValueWithInterval,
    /// Bytes for each core of CPU limit; none where sizes do not tell it apart from memory.
    pub per_cpu: Option<ValueWithInterval>,
    /// What is to be known of CPU limits; none where they are the same in all sizes.
    pub cpu: CpuTerm,
    /// Whether it fits.
    pub check: FitCheck,
    /// Blocks that it rests on.
    pub blocks: usize,
    /// Limits of the sizes that it rests on, the smallest first.
    pub limits: Vec<SizeLimits>,
    regression: BlockRegression,
    confidence: f64,
}

/// What CPU limits are to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuTerm {
    /// The same in all sizes, or none: nothing is to be told.
    Same,
    /// A term of its own.
    Own,
    /// They follow from memory limits: the share per limit is of both.
    FollowsMemory,
    /// Set in some sizes only.
    SomeOnly,
}

/// Whether the line fits what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FitCheck {
    /// As many sizes as coefficients: there is nothing to check it by.
    Unchecked,
    /// No size is off by more than chance.
    Fits(Deviation),
    /// A size is off.
    NotLinear(Deviation),
}

/// The size that is furthest from the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Index in [`OverheadModel::limits`].
    pub size: usize,
    /// By how much it is above the line through its neighbours (with a term for CPUs: through all others), in bytes.
    pub above: ValueWithInterval,
    /// p-value of no deviation of any size, adjusted for their number.
    pub p_value: f64,
}

impl OverheadModel {
    /// The line through sizes, of which each block has a pair of runs in the same order.
    ///
    /// # Errors
    /// Where there are fewer than two blocks, or two different memory limits.
    pub fn of(limits: &[SizeLimits], blocks: &[Vec<Pair>], confidence: f64) -> Estimate<Self> {
        let mut order: Vec<usize> = (0..limits.len()).collect();
        order.sort_by_key(|at| limits.get(*at).map(|size| size.memory));
        let limits: Vec<SizeLimits> = order.iter().filter_map(|at| limits.get(*at).copied()).collect();
        let blocks: Vec<Vec<Pair>> = blocks
            .iter()
            .map(|pairs| order.iter().filter_map(|at| pairs.get(*at).copied()).collect())
            .collect();
        let (cpu, regression) = regression(&limits, &blocks)?;
        let within =
            |found: Option<MeanEstimate>| found.map(|found| ValueWithInterval::of(found, confidence));
        let unknown = || Unavailable("needs two blocks".into());
        let mut check = FitCheck::Unchecked;
        if let Some(found) = regression.lack_of_fit() {
            let above = ValueWithInterval::of(found.deviation, confidence);
            let deviation = Deviation { size: found.group, above, p_value: found.p_value };
            let fits = found.p_value > NO_FIT;
            check = if fits { FitCheck::Fits(deviation) } else { FitCheck::NotLinear(deviation) };
        }
        Ok(Self {
            fixed: within(regression.coefficient(0)).ok_or_else(unknown)?,
            per_limit: within(regression.coefficient(1)).ok_or_else(unknown)?,
            per_cpu: within(regression.coefficient(2).filter(|_| cpu == CpuTerm::Own)),
            cpu,
            check,
            blocks: regression.blocks(),
            limits,
            regression,
            confidence,
        })
    }

    /// The overhead at these limits.
    ///
    /// # Errors
    /// Where the line does not fit, or CPU limits are a term and none is given.
    pub fn at(&self, size: SizeLimits) -> Estimate<ValueWithInterval> {
        if let FitCheck::NotLinear(_) = self.check {
            return unavailable("not linear in the limit: nothing is interpolated");
        }
        let Some(terms) = terms(size, self.cpu) else {
            return unavailable("the overhead depends on the CPU limit, and the size has none");
        };
        match self.regression.at(&terms) {
            Some(found) => Ok(ValueWithInterval::of(found, self.confidence)),
            None => unavailable("needs two blocks"),
        }
    }

    /// Whether a memory limit is beyond those that were measured.
    #[must_use]
    pub fn is_extrapolated(&self, memory: u64) -> bool {
        let within = self.limits.first().zip(self.limits.last());
        within.is_none_or(|(least, most)| !(least.memory..=most.memory).contains(&memory))
    }
}

/// The terms of a size: that of what is fixed, its memory limit, its CPU limit.
fn terms(size: SizeLimits, cpu: CpuTerm) -> Option<Vec<f64>> {
    let mut terms = vec![1.0, size.memory as f64];
    if cpu == CpuTerm::Own {
        terms.push(size.cpu?);
    }
    Some(terms)
}

fn regression(limits: &[SizeLimits], blocks: &[Vec<Pair>]) -> Estimate<(CpuTerm, BlockRegression)> {
    let fit = |cpu: CpuTerm| {
        let all: Vec<Vec<f64>> = limits.iter().filter_map(|size| terms(*size, cpu)).collect();
        BlockRegression::of(all, blocks.to_vec())
    };
    if blocks.len() < 2 {
        return unavailable(format!(
            "needs two blocks in which every size was measured, there {}",
            is(blocks.len())
        ));
    }
    let Some(line) = fit(CpuTerm::Same) else {
        return unavailable("needs two sizes with different memory limits");
    };
    let first = limits.first().and_then(|size| size.cpu);
    if limits.iter().all(|size| size.cpu == first) {
        return Ok((CpuTerm::Same, line));
    }
    if limits.iter().any(|size| size.cpu.is_none()) {
        return Ok((CpuTerm::SomeOnly, line));
    }
    Ok(match fit(CpuTerm::Own) {
        Some(plane) => (CpuTerm::Own, plane),
        None => (CpuTerm::FollowsMemory, line),
    })
}

fn is(count: usize) -> String {
    if count == 1 { "is 1".into() } else { format!("are {count}") }
}

impl OverheadBySize {
    /// Each runtime of a study against its base, over the sizes of each scenario.
    #[must_use]
    pub fn all(data: &StudyData) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for compared in data.comparisons() {
            let Some(cell) = data.cells.get(compared.base) else { continue };
            let [base, other] = [compared.base, compared.other].map(|at| runtime(data, at));
            let size = SizeOverhead::of(data, compared);
            let is_same = |known: &&mut Self| {
                known.scenario == cell.scenario && known.base == base && known.other == other
            };
            match found.iter_mut().find(is_same) {
                Some(known) => known.sizes.push(size),
                None => found.push(Self {
                    scenario: cell.scenario.clone(),
                    base,
                    other,
                    sizes: vec![size],
                    model: unavailable(String::new()),
                }),
            }
        }
        for one in &mut found {
            one.sizes.sort_by_key(|size| size.limit.as_ref().map_or(u64::MAX, |limit| *limit));
            one.name_by_limits(data);
            one.model = model(data, &one.sizes);
        }
        found
    }

    /// Sizes without a name of their own are called by their limits, where these tell them apart.
    fn name_by_limits(&mut self, data: &StudyData) {
        let limits: Vec<u64> =
            self.sizes.iter().filter_map(|size| size.limit.as_ref().ok().copied()).collect();
        let are_different = limits.len() == self.sizes.len() && limits.is_sorted_by(|a, b| a < b);
        for (size, limit) in self.sizes.iter_mut().zip(limits).filter(|_| are_different) {
            let of = data.cells.get(size.compared.other).and_then(|cell| cell.size.as_ref());
            if of.is_none_or(|size| size.name.is_none()) {
                size.name = Bytes(limit).to_string();
            }
        }
    }

    /// The size with the largest memory limit whose overhead was measured; where no limits are set, the one with the largest overhead.
    #[must_use]
    pub fn largest(&self) -> Option<&SizeOverhead> {
        let measured = || self.sizes.iter().filter(|size| size.overhead.is_ok());
        let limited =
            measured().filter(|size| size.limit.is_ok()).max_by_key(|size| size.limit.as_ref().ok().copied());
        let overhead = |size: &&SizeOverhead| size.overhead.as_ref().map_or(f64::MIN, |found| found.value);
        limited.or_else(|| measured().max_by(|a, b| overhead(a).total_cmp(&overhead(b))))
    }
}

impl SizeOverhead {
    fn of(data: &StudyData, compared: ComparedCells) -> Self {
        let cell = data.cells.get(compared.other);
        let limit = limit_of(data, &compared);
        let named = cell.and_then(|cell| cell.size.as_ref()).map(Size::label).filter(|name| !name.is_empty());
        let name = match (named, &limit) {
            (Some(name), _) => name,
            (None, Ok(limit)) => Bytes(*limit).to_string(),
            (None, Err(_)) => "the only size".into(),
        };
        Self {
            name,
            cpu_limit: runs(data, &compared).find_map(cpu_limit),
            overhead: difference(&compared, MEMORY_PER_INSTANCE),
            guest: GuestSides::of(data, &compared),
            limit,
            compared,
        }
    }

    /// Its limits; none where it has no memory limit.
    #[must_use]
    pub fn limits(&self) -> Option<SizeLimits> {
        Some(SizeLimits { memory: *self.limit.as_ref().ok()?, cpu: self.cpu_limit })
    }
}

/// What a figure of the study differs by between two cells.
///
/// # Errors
/// Where it is not compared, or no figure has this name.
pub(super) fn difference(compared: &ComparedCells, name: &str) -> Estimate<ValueWithInterval> {
    let at = STUDY_FIGURES.iter().position(|figure| figure.name == name);
    match at.and_then(|at| compared.comparison.figures.get(at)) {
        Some(Ok(found)) => {
            Ok(ValueWithInterval { value: found.difference.difference.mean, interval: found.interval })
        }
        Some(Err(why)) => Err(why.clone()),
        None => unavailable(NO_FIGURE),
    }
}

/// The runtime of a cell.
fn runtime(data: &StudyData, cell: usize) -> String {
    data.cells.get(cell).map_or_else(String::new, |cell| cell.runtimes.join(" + "))
}

fn runs<'d>(
    data: &'d StudyData,
    compared: &ComparedCells,
) -> impl Iterator<Item = &'d MeasuredRun> + use<'d> {
    [compared.base, compared.other].into_iter().flat_map(|cell| data.runs_of(cell))
}

/// The memory limit of the load's container, the same in all runs of both cells.
fn limit_of(data: &StudyData, compared: &ComparedCells) -> Estimate<u64> {
    let all: Vec<u64> = runs(data, compared).map(|run| memory_limit(&run.data)).collect::<Estimate<_>>()?;
    match all.split_first() {
        None => unavailable("no run that counts"),
        Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(*first),
        Some(_) => unavailable("its runs have different memory limits"),
    }
}

fn cpu_limit(run: &MeasuredRun) -> Option<f64> {
    let scenario = Scenario::of(run.data.recorded()?.run.manifest.clone()).ok()?;
    Some(scenario.resources.cpu_limit?.as_f64())
}

/// The line over the sizes that have a limit and were measured.
fn model(data: &StudyData, sizes: &[SizeOverhead]) -> Estimate<OverheadModel> {
    let limited: Vec<&SizeOverhead> = sizes.iter().filter(|size| size.limit.is_ok()).collect();
    if limited.is_empty() {
        return unavailable(match sizes {
            [] => "no size was measured".into(),
            [size, ..] => size.limit.as_ref().err().map_or_else(String::new, |why| {
                format!(
                    "{}: an overhead that grows does so with the limit, which is not the memory of the load; \
                     set sizes: [{{limits: {{memory: 512Mi}}}}, …]",
                    why.0
                )
            }),
        });
    }
    let at = STUDY_FIGURES.iter().position(|figure| figure.name == MEMORY_PER_INSTANCE).unwrap_or_default();
    let measured: Vec<(&SizeOverhead, Vec<(u32, Pair)>)> = limited
        .into_iter()
        .map(|size| {
            let [base, other] = [size.compared.base, size.compared.other].map(|cell| data.figures_of(cell));
            (size, pairs_by_block(at, &base, &other))
        })
        .filter(|(_, pairs)| !pairs.is_empty())
        .collect();
    let limits: Vec<SizeLimits> = measured.iter().filter_map(|(size, _)| size.limits()).collect();
    let first = measured.first().map_or(&[][..], |(_, pairs)| pairs);
    let of_block = |(block, _): &(u32, Pair)| {
        let pair = |(_, pairs): &(&SizeOverhead, Vec<(u32, Pair)>)| {
            pairs.iter().find(|(own, _)| own == block).map(|(_, pair)| *pair)
        };
        measured.iter().map(pair).collect::<Option<Vec<Pair>>>()
    };
    let blocks: Vec<Vec<Pair>> = first.iter().filter_map(of_block).collect();
    let confidence = Stopping::of(&data.record.definition, MEMORY_PER_INSTANCE).nominal_confidence();
    OverheadModel::of(&limits, &blocks, confidence).map_err(|why| {
        let lacking: Vec<String> = sizes
            .iter()
            .filter_map(|size| Some(format!("{}: {}", size.name, size.overhead.as_ref().err()?.0)))
            .collect();
        match lacking.is_empty() {
            true => why,
            false => Unavailable(format!("{} ({})", why.0, lacking.join("; "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Blocks in which each size takes so many MiB more, with a little noise.
    fn blocks(overheads: &[f64]) -> Vec<Vec<Pair>> {
        let noise = [0.1, -0.1, 0.05, -0.05];
        let pair = |block: usize, (at, overhead): (usize, &f64)| {
            let off = noise[(block + 3 * at) % 4] * if at % 2 == 0 { 1.0 } else { -0.5 };
            Pair { base: 100.0 * MIB as f64, other: (100.0 + overhead + off) * MIB as f64, ..Pair::default() }
        };
        (0..4).map(|block| overheads.iter().enumerate().map(|at| pair(block, at)).collect()).collect()
    }

    fn limits<const N: usize>(all: [(u64, Option<f64>); N]) -> Vec<SizeLimits> {
        all.map(|(mib, cpu)| SizeLimits { memory: mib * MIB, cpu }).into()
    }

    fn model(limits: &[SizeLimits], overheads: &[f64]) -> Estimate<OverheadModel> {
        OverheadModel::of(limits, &blocks(overheads), 0.95)
    }

    fn near(found: ValueWithInterval, truth: f64) -> bool {
        found.interval.contains(truth) && (found.value - truth).abs() <= 0.02 * truth.abs()
    }

    #[test]
    fn a_line_is_found_in_whatever_order_sizes_come() {
        let sizes = limits([(1024, None), (128, None), (512, None)]);
        let found = model(&sizes, &[115.2, 70.4, 89.6]).unwrap();
        assert!(near(found.fixed, 64.0 * MIB as f64) && near(found.per_limit, 0.05), "{found:?}");
        assert!(matches!(found.check, FitCheck::Fits(_)), "{:?}", found.check);
        let at = |mib: u64| found.at(SizeLimits { memory: mib * MIB, cpu: None }).unwrap();
        assert!(
            near(at(2048), 166.4 * MIB as f64)
                && at(4096).interval.half_width() > at(512).interval.half_width()
        );
        assert_eq!(
            [64, 128, 700, 1025].map(|mib| found.is_extrapolated(mib * MIB)),
            [true, false, false, true]
        );
    }

    #[test]
    fn of_what_is_no_line_the_size_is_named_and_nothing_is_interpolated() {
        let sizes = limits([(128, None), (512, None), (1024, None)]);
        let found = model(&sizes, &[70.4, 103.6, 115.2]).unwrap();
        let FitCheck::NotLinear(bent) = found.check else { panic!("{:?}", found.check) };
        assert!(bent.size == 1 && near(bent.above, 14.0 * MIB as f64), "{bent:?}");
        let why = found.at(SizeLimits { memory: 700 * MIB, cpu: None }).unwrap_err();
        assert!(why.0.contains("not linear"), "{why}");
        let two = model(&sizes[..2], &[70.4, 103.6]).unwrap();
        assert_eq!(two.check, FitCheck::Unchecked);
    }

    #[test]
    fn cpus_are_a_term_where_they_are_told_apart_from_memory() {
        let apart = limits([(128, Some(1.0)), (128, Some(4.0)), (1024, Some(1.0)), (1024, Some(4.0))]);
        let found = model(&apart, &[80.4, 110.4, 125.2, 155.2]).unwrap();
        assert!(near(found.per_cpu.unwrap(), 10.0 * MIB as f64) && near(found.per_limit, 0.05), "{found:?}");
        assert!(near(found.fixed, 64.0 * MIB as f64) && found.cpu == CpuTerm::Own, "{found:?}");
        assert!(found.at(SizeLimits { memory: MIB, cpu: None }).is_err());
        let follows = limits([(256, Some(1.0)), (512, Some(2.0)), (1024, Some(4.0))]);
        let some = limits([(256, Some(1.0)), (512, None), (1024, Some(4.0))]);
        for (sizes, term) in [(follows, CpuTerm::FollowsMemory), (some, CpuTerm::SomeOnly)] {
            let found = model(&sizes, &[76.8, 89.6, 115.2]).unwrap();
            assert!(found.cpu == term && found.per_cpu.is_none(), "{found:?}");
        }
    }

    #[test]
    fn without_two_limits_or_two_blocks_there_is_no_line() {
        let same = limits([(128, None), (128, None)]);
        assert!(
            model(&same, &[70.0, 70.0]).unwrap_err().0.contains("two sizes with different memory limits")
        );
        let sizes = limits([(128, None), (512, None)]);
        let one = OverheadModel::of(&sizes, &blocks(&[70.0, 90.0])[..1], 0.95).unwrap_err();
        assert!(one.0.contains("needs two blocks") && one.0.ends_with("there is 1"), "{one}");
    }
}
