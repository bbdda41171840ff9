//! Sentences on CPU time of instances beyond their own.

use super::super::figure::Unit;
use super::super::{Report, format};
use super::sentence::{Sentence, says};
use crate::analysis::Estimate;
use crate::analysis::cpu_cost::{CpuFigure, CpuKind, PodFixedCpu, PodFixedCpuVerdict, cpu_of_use};
use crate::analysis::results::{Compared, RunResults};
use crate::dataset::{Dataset, NO_CPU_TIME};
use ramp_format::plan::EngineKind;
use ramp_format::preflight::RuntimeClassFacts;

/// What the instances of a run take, of a mixed run those of each runtime. Nothing where the data has no CPU time.
pub(super) fn of_run(data: &Dataset, found: &RunResults) -> Vec<Sentence> {
    let at_rest = match data.recorded().map(|recorded| recorded.run.plan.engine) {
        Some(EngineKind::Local) => {
            "beyond the CPU time that the load reports: what ramp and the machine take for a process that runs"
        }
        Some(EngineKind::Podman) => {
            "beyond the CPU time that the load reports: what runtime, service and ramp take for a container that runs"
        }
        _ => {
            "beyond the CPU time that the load reports: what runtime and kubelet take for a container that runs"
        }
    };
    let of_group = |(index, cost): (usize, &crate::analysis::cpu_cost::CpuCost)| {
        let of = data.mix().get(index).map_or_else(String::new, |runtime| format!(" of {runtime}"));
        [
            sentence(&format!("CPU of each instance{of} at rest"), &cost.at_rest, CpuKind::AtRest, at_rest),
            sentence(&format!("CPU time of each start{of}"), &cost.per_start, CpuKind::PerStart, PER_START),
        ]
    };
    found.cpu.iter().enumerate().flat_map(of_group).flatten().collect()
}

const PER_START: &str = "until the instance is ready, beyond what it takes at rest and what the load reports";

fn sentence(name: &str, figure: &Estimate<CpuFigure>, kind: CpuKind, rule: &str) -> Option<Sentence> {
    let unit = match kind {
        CpuKind::AtRest => Unit::Cores,
        CpuKind::PerStart => Unit::CpuSeconds,
    };
    match cpu_of_use(figure, kind) {
        Ok(found) => {
            let text = unit.with_interval(found.value, found.interval);
            Some(says(format!("{name}: {text}."), format!("{rule}; {}", found.inputs)))
        }
        Err(why) if why.0 == NO_CPU_TIME => None,
        Err(why) => Some(says(format!("{name}: n/a: {}.", why.0), rule)),
    }
}

/// What the RuntimeClass declares, compared with what was measured.
pub(super) fn pod_fixed(report: &Report, compared: &Compared) -> Option<Sentence> {
    let runs = &report.findings.groups.get(compared.other)?.runs;
    let recorded = report.data.get(*runs.first()?)?.recorded()?;
    let class = recorded.run.runtime_class.as_ref()?;
    let at_rest = compared.cpu.at_rest.as_ref().ok()?;
    Some(pod_fixed_verdict(
        class,
        PodFixedCpu::of(at_rest.value, at_rest.interval, class.overhead_cpu_cores).ok()?,
    ))
}

fn pod_fixed_verdict(class: &RuntimeClassFacts, found: PodFixedCpu) -> Sentence {
    let verdict = match found.verdict {
        PodFixedCpuVerdict::More(_) => "more than measured at rest: nodes take fewer pods than fit",
        PodFixedCpuVerdict::Less(_) => {
            "less than measured at rest: pods use CPU time that the scheduler does not account for"
        }
        PodFixedCpuVerdict::AsUsed => "within the measured interval",
    };
    says(
        format!(
            "RuntimeClass {} has podFixed.cpu of {:.0}m, {verdict}; suggested: {}m.",
            class.name,
            1000.0 * class.overhead_cpu_cores,
            found.needed_milli_cores
        ),
        format!(
            "podFixed compared with the {} of the CPU overhead per pod; its upper end in whole millicores is suggested",
            format::confidence()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    #[test]
    fn a_guess_of_250_millicores_is_told_to_be_one() {
        let class = RuntimeClassFacts {
            name: "kata".into(),
            handler: "kata".into(),
            overhead_memory_bytes: 0,
            overhead_cpu_cores: 0.25,
            ..RuntimeClassFacts::default()
        };
        let said = |value: f64, half: f64| {
            let interval = Interval { low: value - half, high: value + half };
            pod_fixed_verdict(&class, PodFixedCpu::of(value, interval, class.overhead_cpu_cores).unwrap())
                .text
        };
        assert_eq!(
            said(0.02, 0.0021),
            "RuntimeClass kata has podFixed.cpu of 250m, more than measured at rest: nodes take fewer pods than fit; suggested: 23m."
        );
        assert!(said(0.24, 0.05).ends_with("250m, within the measured interval; suggested: 290m."));
    }
}
