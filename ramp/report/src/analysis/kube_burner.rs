//! Startup by phase of kube-burner's pod latencies: the moments that are the same.

use std::collections::BTreeMap;

use super::startup_phases::{InstancePhases, PhaseFacts, StartupPhase, StartupPhases};
use crate::dataset::PodLatency;
use crate::stats::Duration;

/// The creation of a pod is in whole seconds, as are its conditions.
const CONDITION_SECONDS: f64 = 1.0;
const NOT_SEEN: &str = "kube-burner did not see it";
const NO_REPORTS: &str = "kube-burner's file has no reports of programs";

/// A moment: the phase that ends with it, whose clock it is by, and when a pod came to it.
struct PodMoment {
    phase: StartupPhase,
    clock: &'static str,
    of: fn(&PodLatency) -> Option<f64>,
}

/// Moments that kube-burner has, in order.
const MOMENTS: [PodMoment; 4] = [
    PodMoment {
        phase: StartupPhase::Schedule,
        clock: "the API server's, then the scheduler's",
        of: |pod| Some(pod.scheduled_after),
    },
    PodMoment {
        phase: StartupPhase::Sandbox,
        clock: "the node's: the condition of the pod",
        of: |pod| pod.sandbox_after,
    },
    PodMoment {
        phase: StartupPhase::Container,
        clock: "the node's: the kubelet's event",
        of: |pod| pod.started_after,
    },
    PodMoment {
        phase: StartupPhase::Ready,
        clock: "the node's: the condition of the pod",
        of: |pod| Some(pod.ready_after),
    },
];

/// Each phase, from the end of the last one before it that any pod tells of.
pub(super) fn phases(pods: &[PodLatency], full: u32) -> StartupPhases {
    let told: Vec<&PodMoment> =
        MOMENTS.iter().filter(|moment| pods.iter().any(|pod| (moment.of)(pod).is_some())).collect();
    let missing = |phase: StartupPhase| {
        if told.iter().any(|moment| moment.phase == phase) {
            return None;
        }
        let is_program = matches!(phase, StartupPhase::Program | StartupPhase::Memory);
        Some(if is_program { NO_REPORTS } else { "not told by this version of kube-burner" }.to_owned())
    };
    let facts = |phase: &StartupPhase| {
        let before = told.iter().rev().find(|moment| moment.phase < *phase);
        PhaseFacts {
            phase: *phase,
            from: before.map_or("created", |moment| moment.phase.end()),
            clock: told.iter().find(|moment| moment.phase == *phase).map_or("", |moment| moment.clock),
            resolution_seconds: CONDITION_SECONDS,
            missing: missing(*phase),
        }
    };
    StartupPhases {
        phases: StartupPhase::ALL.iter().map(facts).collect(),
        instances: pods.iter().map(|pod| instance(pod, &told)).collect(),
        full,
        clocks: BTreeMap::new(),
    }
}

fn instance(pod: &PodLatency, told: &[&PodMoment]) -> InstancePhases {
    let mut took = [None; StartupPhase::ALL.len()];
    let mut unknown = [None; StartupPhase::ALL.len()];
    let mut from = Some(0.0);
    for moment in told {
        let to = (moment.of)(pod);
        match from.zip(to) {
            Some((from, to)) => took[moment.phase.at()] = Some(Duration { seconds: to - from, ended: true }),
            None => unknown[moment.phase.at()] = Some(NOT_SEEN),
        }
        from = to;
    }
    InstancePhases { group: None, at_work: 0, took, unknown }
}
