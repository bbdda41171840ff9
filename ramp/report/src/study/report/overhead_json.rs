//! Overhead by size and podFixed, for programs.

use super::overhead::{OverheadReport, OverheadRow};
use super::overhead_document::{
    AsMeasuredDocument, ClassDocument, FarthestDocument, FitDocument, GuestDocument, InPlaceDocument,
    MeasuredSizeDocument, NeedsDocument, PodCountsDocument, PodFixedDocument, PodFixedVerdictDocument,
    PodsDocument, SizeDocument, SizesDocument,
};
use super::value_document::ValueDocument;
use crate::analysis::Estimate;
use crate::study::guest_memory::GuestSides;
use crate::study::overhead_by_size::{Deviation, FitCheck, OverheadModel, ValueWithInterval};
use crate::study::pod_fixed::{PodFixed, PodFixedVerdict, SizeVerdict};

/// A runtime over the sizes of a scenario.
#[must_use]
pub fn document(report: &OverheadReport) -> SizesDocument<'_> {
    let by_size = &report.by_size;
    let model = by_size.model.as_ref();
    SizesDocument {
        scenario: &by_size.scenario,
        base: &by_size.base,
        other: &by_size.other,
        sentences: &report.sentences,
        fixed: model.ok().map(|model| value(model.fixed)),
        per_limit: model.ok().map(|model| value(model.per_limit)),
        per_cpu: model.ok().and_then(|model| model.per_cpu).map(value),
        fit: model.ok().map(fit),
        blocks: model.map_or(0, |model| model.blocks),
        sizes: report.rows.iter().map(|row| size(report, row)).collect(),
        pod_fixed: report.pod_fixed.as_ref().map(pod_fixed),
        reason: model.err().map(|why| why.0.as_str()),
    }
}

fn value(ValueWithInterval { value, interval }: ValueWithInterval) -> ValueDocument {
    ValueDocument { value: Some(value), interval: Some(interval.into()), reason: None }
}

fn estimate(found: &Estimate<ValueWithInterval>) -> ValueDocument {
    match found {
        Ok(found) => value(*found),
        Err(why) => ValueDocument { value: None, interval: None, reason: Some(why.0.clone()) },
    }
}

fn fit(model: &OverheadModel) -> FitDocument {
    let of = |answer, Deviation { size, above, p_value }: Deviation| {
        let limit_bytes = model.limits.get(size).map(|size| size.memory);
        let farthest = FarthestDocument { p: p_value, limit_bytes, deviation: value(above) };
        FitDocument { answer, farthest: Some(farthest) }
    };
    match model.check {
        FitCheck::Unchecked => FitDocument { answer: "not_checked", farthest: None },
        FitCheck::Fits(found) => of("fits", found),
        FitCheck::NotLinear(found) => of("not_linear", found),
    }
}

fn size<'r>(report: &'r OverheadReport, row: &'r OverheadRow) -> SizeDocument<'r> {
    let measured = row.measured.and_then(|at| report.known_pod_fixed()?.sizes.get(at));
    SizeDocument {
        name: &row.name,
        limit_bytes: row.limit,
        source: row.source.name(),
        overhead: estimate(&row.overhead),
        pod_fixed_in_place: row.verdict.map(verdict),
        guest: report.guest_of(row).map(guest),
        measured: measured.map(measured_size),
    }
}

fn measured_size(measured: &SizeVerdict) -> MeasuredSizeDocument<'_> {
    MeasuredSizeDocument {
        peak: estimate(&measured.peak),
        cpu_at_rest: estimate(&measured.cpu.clone().map(|(cpu, _)| cpu)),
        needs: NeedsDocument {
            memory_bytes: measured.needed_memory,
            cpu_milli_cores: needed_milli_cores(measured),
        },
        pods: match &measured.pods {
            Ok(pods) => PodsDocument {
                by_memory_requests: Some(PodCountsDocument {
                    in_place: pods.in_place,
                    as_measured: pods.measured,
                }),
                by_all_requests: Some(PodCountsDocument {
                    in_place: pods.in_place_by_all,
                    as_measured: pods.measured_by_all,
                }),
                reason: None,
            },
            Err(why) => {
                PodsDocument { by_memory_requests: None, by_all_requests: None, reason: Some(&why.0) }
            }
        },
    }
}

fn needed_milli_cores(size: &SizeVerdict) -> Option<u64> {
    Some(size.cpu.as_ref().ok()?.1.needed_milli_cores)
}

fn guest(found: &GuestSides) -> GuestDocument {
    GuestDocument {
        machine: found.machine.name(),
        memory_total_bytes: found.total_bytes,
        limit_and_pod_fixed_less_memory_total: estimate(&found.limit_less_total),
        used_beyond_load: estimate(&found.beyond_load),
        outside: estimate(&found.outside),
    }
}

fn verdict(found: PodFixedVerdict) -> PodFixedVerdictDocument {
    let of = |answer, bytes| PodFixedVerdictDocument { answer, bytes };
    match found {
        PodFixedVerdict::More(bytes) => of("more_than_used", Some(bytes)),
        PodFixedVerdict::Less(bytes) => of("less_than_used", Some(bytes)),
        PodFixedVerdict::LessThanPeak(bytes) => of("less_than_peak", Some(bytes)),
        PodFixedVerdict::AsUsed => of("as_used", None),
    }
}

fn pod_fixed(found: &Estimate<PodFixed>) -> PodFixedDocument<'_> {
    let found = match found {
        Ok(found) => found,
        Err(why) => return PodFixedDocument { runtime_class: None, found: None, reason: Some(&why.0) },
    };
    let class = &found.class;
    let as_measured = found.largest().map(|size| AsMeasuredDocument {
        size: &size.name,
        memory_bytes: size.needed_memory,
        from: if size.peak.is_ok() { "peak" } else { "mean" },
        cpu_milli_cores: needed_milli_cores(size),
        cpu_reason: size.cpu.as_ref().err().map(|why| why.0.as_str()),
    });
    let in_place =
        InPlaceDocument { memory_bytes: class.overhead_memory_bytes, cpu_cores: class.overhead_cpu_cores };
    PodFixedDocument {
        runtime_class: Some(&class.name),
        found: Some(ClassDocument { handler: &class.handler, in_place, as_measured }),
        reason: None,
    }
}
