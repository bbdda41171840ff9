//! Overhead by size, and podFixed, in sentences, as a table and as a chart.

use super::guest_memory;
use super::naming::engine;
use super::words::{interval, mib_with_interval, p_value, value, whole_mib, within};
use crate::analysis::cpu_cost::PodFixedCpuVerdict;
use crate::analysis::{Estimate, mib};
use crate::report::format;
use crate::stats::Interval;
use crate::study::data::StudyData;
use crate::study::figure::StudyUnit;
use crate::study::guest_memory::GuestSides;
use crate::study::overhead_by_size::{
    CpuTerm, Deviation, FitCheck, OverheadBySize, OverheadModel, SizeLimits, SizeOverhead, ValueWithInterval,
};
use crate::study::pod_fixed::{PodFixed, PodFixedVerdict, SizeVerdict};
use ramp_format::plan::EngineKind;
use ramp_format::text::count;
use workload::quantity::Bytes;

/// Memory limits that users ask for first.
const USUAL_LIMITS: [u64; 5] = [128 << 20, 512 << 20, 1 << 30, 2 << 30, 4 << 30];

/// A runtime against its base: the overhead by size, and what podFixed has to be.
#[derive(Clone, Debug)]
pub struct OverheadReport {
    /// Over the sizes.
    pub by_size: OverheadBySize,
    /// The podFixed of its class; none where its pods have no RuntimeClass.
    pub pod_fixed: Option<Estimate<PodFixed>>,
    /// All of it in sentences, the most important first.
    pub sentences: Vec<String>,
    /// A row for each size, and for the usual limits.
    pub rows: Vec<OverheadRow>,
}

/// A size, or a usual limit.
#[derive(Clone, Debug)]
pub struct OverheadRow {
    /// What it is called.
    pub name: String,
    /// Memory limit in bytes, where there is one.
    pub limit: Option<u64>,
    /// How its overhead is known.
    pub source: OverheadSource,
    /// The overhead.
    pub overhead: Estimate<ValueWithInterval>,
    /// What the podFixed in place is to it; none where there is none.
    pub verdict: Option<PodFixedVerdict>,
    /// Index in [`PodFixed::sizes`], of what was measured.
    pub measured: Option<usize>,
}

/// How an overhead is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverheadSource {
    /// Of a size of the study.
    Measured,
    /// By the line, between two sizes.
    Interpolated,
    /// By the line, beyond all sizes.
    Extrapolated,
}

impl OverheadSource {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Interpolated => "interpolated",
            Self::Extrapolated => "extrapolated",
        }
    }
}

/// The overheads of all runtimes of a study.
#[must_use]
pub fn overheads(data: &StudyData) -> Vec<OverheadReport> {
    let is_one_scenario =
        data.cells.iter().all(|cell| Some(&cell.scenario) == data.cells.first().map(|cell| &cell.scenario));
    let report = |by_size: OverheadBySize| {
        let pod_fixed = PodFixed::of(data, &by_size);
        let rows = rows(&by_size, pod_fixed.as_ref());
        let words = OverheadWords { engine: engine(data), by_size: &by_size };
        let mut sentences: Vec<String> = words.model().into_iter().collect();
        match &pod_fixed {
            Some(Ok(pod_fixed)) => sentences.extend(words.pod_fixed(pod_fixed)),
            Some(Err(why)) => sentences.push(format!("podFixed of {}: n/a: {}.", by_size.other, why.0)),
            None => {}
        }
        sentences.extend(guest_memory::sentences(&by_size, engine(data)));
        if !is_one_scenario {
            let scenario = &by_size.scenario;
            sentences.iter_mut().for_each(|sentence| *sentence = format!("{scenario}: {sentence}"));
        }
        OverheadReport { by_size, pod_fixed, sentences, rows }
    };
    OverheadBySize::all(data).into_iter().map(report).collect()
}

impl OverheadReport {
    /// The podFixed of its class, where it is known.
    #[must_use]
    pub fn known_pod_fixed(&self) -> Option<&PodFixed> {
        self.pod_fixed.as_ref()?.as_ref().ok()
    }

    /// What is inside and outside of guests, at a size that was measured.
    #[must_use]
    pub fn guest_of(&self, row: &OverheadRow) -> Option<&GuestSides> {
        let is_same = |size: &&SizeOverhead| row.source == OverheadSource::Measured && size.name == row.name;
        self.by_size.sizes.iter().find(is_same)?.guest.as_ref()
    }

    /// Headings and rows of its table; none where there is nothing but what comparisons have.
    #[must_use]
    pub fn table(&self) -> Option<(Vec<String>, Vec<Vec<String>>)> {
        let pod_fixed = self.known_pod_fixed();
        if self.sentences.is_empty() {
            return None;
        }
        let sizes = || pod_fixed.into_iter().flat_map(|found| &found.sizes);
        let (has_peak, has_cpu) =
            (sizes().any(|size| size.peak.is_ok()), sizes().any(|size| size.cpu.is_ok()));
        let mut headings: Vec<String> = ["size", "memory limit", "overhead, MiB"].map(str::to_owned).into();
        if let Some(pod_fixed) = pod_fixed {
            let in_place = whole_mib(pod_fixed.class.overhead_memory_bytes);
            headings.extend(has_peak.then(|| "peak, MiB".to_owned()));
            headings.extend(has_cpu.then(|| "CPU at rest, cores".to_owned()));
            headings.push(format!("podFixed in place, {in_place}"));
            headings.push("pods by memory requests".into());
        }
        let has_guest = self.by_size.sizes.iter().any(|size| size.guest.is_some());
        headings.extend(has_guest.then(|| guest_memory::headings(&self.by_size)).into_iter().flatten());
        let row = |row: &OverheadRow| {
            let mut cells = vec![
                row.name.clone(),
                row.limit.map_or_else(|| "none".into(), |limit| Bytes(limit).to_string()),
                match &row.overhead {
                    Ok(found) => mib_number(*found, row.source),
                    Err(_) => "n/a".into(),
                },
            ];
            if let Some(pod_fixed) = pod_fixed {
                let size = row.measured.and_then(|at| pod_fixed.sizes.get(at));
                let of = |found: Option<&ValueWithInterval>, unit| match found {
                    Some(found) => super::words::number(unit, found.value) + &within(unit, found.interval),
                    None => "n/a".into(),
                };
                let peak = size.and_then(|size| size.peak.as_ref().ok());
                let cpu = size.and_then(|size| Some(&size.cpu.as_ref().ok()?.0));
                cells.extend(has_peak.then(|| of(peak, StudyUnit::Bytes)));
                cells.extend(has_cpu.then(|| of(cpu, StudyUnit::Cores)));
                cells.push(row.verdict.map_or_else(|| "n/a".into(), verdict));
                cells.push(match size.map(|size| &size.pods) {
                    Some(Ok(pods)) => format!("{} ({} as measured)", pods.in_place, pods.measured),
                    _ => "n/a".into(),
                });
            }
            let guest = has_guest.then(|| guest_memory::cells(self.guest_of(row)));
            cells.extend(guest.into_iter().flatten());
            cells
        };
        Some((headings, self.rows.iter().map(row).collect()))
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} against {}", self.by_size.other, self.by_size.base)
    }
}

fn mib_number(found: ValueWithInterval, source: OverheadSource) -> String {
    let source =
        if source == OverheadSource::Measured { String::new() } else { format!(", {}", source.name()) };
    format!("{}{}{source}", format::number(mib(found.value)), within(StudyUnit::Bytes, found.interval))
}

fn rows(by_size: &OverheadBySize, pod_fixed: Option<&Estimate<PodFixed>>) -> Vec<OverheadRow> {
    let pod_fixed = pod_fixed.and_then(|found| found.as_ref().ok());
    let row = |size: &SizeOverhead| {
        let measured = pod_fixed.and_then(|found| found.sizes.iter().position(|own| own.name == size.name));
        OverheadRow {
            name: size.name.clone(),
            limit: size.limit.as_ref().ok().copied(),
            source: OverheadSource::Measured,
            overhead: size.overhead.clone(),
            verdict: measured.and_then(|at| Some(pod_fixed?.sizes.get(at)?.verdict)),
            measured,
        }
    };
    let mut rows: Vec<OverheadRow> = by_size.sizes.iter().map(row).collect();
    let Ok(model) = &by_size.model else { return rows };
    if matches!(model.check, FitCheck::NotLinear(_)) {
        return rows;
    }
    let is_new = |limit: &u64| !model.limits.iter().any(|size| size.memory == *limit);
    for memory in USUAL_LIMITS.into_iter().filter(is_new) {
        let cpu = least_cpu(model);
        let overhead = model.at(SizeLimits { memory, cpu });
        let in_place = pod_fixed.map(|found| found.class.overhead_memory_bytes as f64);
        let source = match model.is_extrapolated(memory) {
            true => OverheadSource::Extrapolated,
            false => OverheadSource::Interpolated,
        };
        let cpu = cpu.filter(|_| model.cpu == CpuTerm::Own);
        rows.push(OverheadRow {
            name: Bytes(memory).to_string() + &cpu.map_or_else(String::new, |cpu| format!(", {cpu} CPU")),
            limit: Some(memory),
            source,
            verdict: in_place
                .zip(overhead.as_ref().ok())
                .map(|(in_place, found)| PodFixedVerdict::of(in_place, *found, None)),
            overhead,
            measured: None,
        });
    }
    rows.sort_by_key(|row| row.limit.unwrap_or(u64::MAX));
    rows
}

/// The CPU limit that the line is told for, where it has a term for CPUs.
fn least_cpu(model: &OverheadModel) -> Option<f64> {
    model.limits.iter().filter_map(|size| size.cpu).min_by(f64::total_cmp)
}

/// The podFixed in place against what is used, in a cell of a table.
fn verdict(found: PodFixedVerdict) -> String {
    match found {
        PodFixedVerdict::More(bytes) => format!("{} more than is used", format::mib(bytes)),
        PodFixedVerdict::Less(bytes) => format!("{} less than is used", format::mib(bytes)),
        PodFixedVerdict::LessThanPeak(bytes) => format!("{} less than the peak", format::mib(bytes)),
        PodFixedVerdict::AsUsed => "as is used".into(),
    }
}

/// What sentences on an overhead need.
struct OverheadWords<'r> {
    engine: EngineKind,
    by_size: &'r OverheadBySize,
}

impl OverheadWords<'_> {
    /// The line, or why there is none; nothing where there is but one size.
    fn model(&self) -> Option<String> {
        let OverheadBySize { base, other, sizes, model, .. } = self.by_size;
        if sizes.len() < 2 {
            return None;
        }
        let model = match model {
            Ok(model) => model,
            Err(why) => return Some(format!("Overhead of {other} by memory limit: n/a: {}.", why.0)),
        };
        if let FitCheck::NotLinear(found) = model.check {
            return Some(format!(
                "Overhead of {other} is not linear in the memory limit: {} (p {}, {}). Nothing is interpolated.",
                self.deviation(model, found),
                p_value(found.p_value),
                count(model.blocks as u32, "block")
            ));
        }
        let cpu = match (model.per_cpu, model.cpu) {
            (Some(cpu), _) => format!(" and {} for each CPU of the limit", mib_with_interval(cpu)),
            (None, CpuTerm::FollowsMemory) => " (CPU limits grow with it: the share is of both)".into(),
            (None, CpuTerm::SomeOnly) => {
                " (CPU limits are set in some sizes only, and not told apart)".into()
            }
            (None, CpuTerm::Same | CpuTerm::Own) => String::new(),
        };
        let check = match model.check {
            FitCheck::Fits(found) => format!("a line fits, {}", self.deviation(model, found)),
            _ => "the fit cannot be checked".into(),
        };
        Some(format!(
            "{other} takes {} and {} of the memory limit{cpu} more per {} than {base} ({}, {}: {check}).",
            mib_with_interval(model.fixed),
            percent_with_interval(model.per_limit),
            self.engine.instance(),
            count(model.limits.len() as u32, "size"),
            count(model.blocks as u32, "block")
        ))
    }

    /// The size that is furthest from the line.
    fn deviation(&self, model: &OverheadModel, found: Deviation) -> String {
        let name =
            |at: usize| model.limits.get(at).map_or_else(String::new, |size| Bytes(size.memory).to_string());
        let above = found.above;
        let is_above = above.value >= 0.0;
        let shown = if is_above { above.interval } else { above.interval.negated() };
        let line = match (model.per_cpu, found.size.checked_sub(1)) {
            (None, Some(before)) => format!("the line between {} and {}", name(before), name(found.size + 1)),
            _ => "the line through the others".into(),
        };
        format!(
            "{} is {} {} {line} ({})",
            name(found.size),
            format::mib(above.value.abs()),
            if is_above { "above" } else { "below" },
            interval(StudyUnit::Bytes, shown)
        )
    }

    fn pod_fixed(&self, pod_fixed: &PodFixed) -> Vec<String> {
        let Some(largest) = pod_fixed.largest() else { return Vec::new() };
        let mut sentences = vec![self.in_place(pod_fixed, largest)];
        sentences.extend(self.cpu_in_place(pod_fixed, largest));
        // What the largest size hides.
        let smallest = pod_fixed.sizes.first().filter(|size| size.name != largest.name);
        if let Some(smallest) = smallest
            && std::mem::discriminant(&smallest.verdict) != std::mem::discriminant(&largest.verdict)
        {
            sentences.push(self.in_place(pod_fixed, smallest));
        }
        let of_size = if pod_fixed.sizes.len() > 1 {
            format!(" (of {}, the largest size)", largest.name)
        } else {
            String::new()
        };
        let cpu = match &largest.cpu {
            Ok((_, found)) => format!("{}m CPU", found.needed_milli_cores),
            Err(why) => format!("CPU as in place ({})", why.0),
        };
        let peak = match &largest.peak {
            Ok(_) => "peak".to_owned(),
            Err(why) => format!("mean; {}", why.0),
        };
        sentences.push(format!(
            "podFixed as measured: {}{of_size}, from the upper end of the {peak}; {cpu}.",
            whole_mib(largest.needed_memory)
        ));
        if let Some(found) = pod_fixed.class_per_size() {
            let [with_largest, own] = found.pods;
            sentences.push(format!(
                "One podFixed for all sizes is {} more than a pod of {} needs: {with_largest} of them fit by memory requests, \
                 {own} with a RuntimeClass of their own.",
                format::mib(found.excess_bytes),
                found.size
            ));
        }
        sentences
    }

    /// The podFixed in place, against what a size uses.
    fn in_place(&self, pod_fixed: &PodFixed, size: &SizeVerdict) -> String {
        let class = &pod_fixed.class;
        let in_place = match class.overhead_memory_bytes {
            0 => format!("RuntimeClass {} has no podFixed of memory", class.name),
            bytes => format!("podFixed of RuntimeClass {} is {}", class.name, whole_mib(bytes)),
        };
        let most = size.peak.as_ref().ok().copied().unwrap_or(size.mean);
        let at = if pod_fixed.sizes.len() > 1 { format!(" at {}", size.name) } else { String::new() };
        let used = |found: ValueWithInterval| {
            format!("{} ({})", format::mib(found.value), interval(StudyUnit::Bytes, found.interval))
        };
        let instances = self.engine.instances();
        match size.verdict {
            PodFixedVerdict::More(bytes) => {
                format!(
                    "{in_place}: {} more than is used{at}, {}{}.",
                    format::mib(bytes),
                    used(most),
                    self.fewer(size)
                )
            }
            PodFixedVerdict::Less(bytes) => {
                let by_all = size.pods.as_ref().map(|pods| pods.in_place_by_all);
                let overcommit = by_all.map_or_else(
                    |_| String::new(),
                    |pods| {
                        format!(
                            "; the {} that fit by requests would use {} more than is reserved for them",
                            match pods {
                                1 => format!("1 {}", self.engine.instance()),
                                pods => format!("{pods} {instances}"),
                            },
                            value(StudyUnit::Bytes, self.engine, bytes * pods as f64)
                        )
                    },
                );
                format!(
                    "{in_place}: {} less than is used{at}, {}{overcommit}.",
                    format::mib(bytes),
                    used(size.mean)
                )
            }
            PodFixedVerdict::LessThanPeak(bytes) => {
                format!(
                    "{in_place}: it covers the mean{at}, and is {} less than the peak, {}.",
                    format::mib(bytes),
                    used(most)
                )
            }
            PodFixedVerdict::AsUsed => format!("{in_place}: as is used{at}, {}.", used(most)),
        }
    }

    /// The CPU of podFixed in place, against what a pod uses at rest; none where that was not measured.
    fn cpu_in_place(&self, pod_fixed: &PodFixed, size: &SizeVerdict) -> Option<String> {
        let (found, as_measured) = size.cpu.as_ref().ok()?;
        let in_place = pod_fixed.class.overhead_cpu_cores;
        let milli = |cores: f64| format!("{:.0}m", 1000.0 * cores);
        let used =
            format!("{} cores ({})", format::number(found.value), interval(StudyUnit::Cores, found.interval));
        let against = match as_measured.verdict {
            PodFixedCpuVerdict::More(cores) => format!("{} more than", milli(cores)),
            PodFixedCpuVerdict::Less(cores) => format!("{} less than", milli(cores)),
            PodFixedCpuVerdict::AsUsed => "as".into(),
        };
        Some(format!("podFixed of CPU is {}: {against} is used at rest, {used}.", milli(in_place)))
    }

    /// How many pods fewer a podFixed lets fit that is more than is used.
    fn fewer(&self, size: &SizeVerdict) -> String {
        let Ok(pods) = &size.pods else { return String::new() };
        let instances = self.engine.instances();
        let lost = pods.measured.saturating_sub(pods.in_place);
        if lost == 0 {
            return format!("; no {} are lost by it ({} fit by memory requests)", instances, pods.in_place);
        }
        let share = 100.0 * lost as f64 / pods.measured as f64;
        let limited = match pods.in_place_by_all == pods.measured_by_all {
            true => format!("; other requests limit both to {}", pods.in_place_by_all),
            false => String::new(),
        };
        format!(
            "; {} {instances} fit by memory requests where {} would ({share:.0}% fewer){limited}",
            pods.in_place, pods.measured
        )
    }
}

/// A share in percent with its interval.
fn percent_with_interval(found: ValueWithInterval) -> String {
    let percent = |share: f64| format::number(100.0 * share);
    let Interval { low, high } = found.interval;
    format!("{}% ({}% to {}%)", percent(found.value), percent(low), percent(high))
}
