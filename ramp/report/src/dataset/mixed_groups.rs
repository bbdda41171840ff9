//! Groups of a mixed run: memory of each kernel against the instances of each group.

use std::collections::BTreeSet;

use super::steady_state::KernelObservation;
use super::{Dataset, Measure};
use crate::stats::{OF_GROUPS, Observation};
use ramp_format::plan::MOST_GROUPS;

/// Memory against the instances of each group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupCosts {
    /// Of which measure.
    pub measure: &'static Measure,
    /// The groups, in the order of the plan.
    pub groups: Vec<GroupLoad>,
    /// For each kernel: bytes beyond the instances' reports by time, with the instances of each group and the nodes that have had one
    /// of it as regressors.
    pub observations: Vec<Vec<Observation<OF_GROUPS>>>,
    /// The same after the last instance was gone, where memory had stopped changing by then.
    pub after: Vec<Vec<Observation<OF_GROUPS>>>,
    /// Whether instances report.
    pub reported: bool,
    /// Anonymous memory that an instance reports on average, in bytes; 0 where none reports it.
    pub anon_bytes: f64,
}

/// A group: its instances as they were observed.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLoad {
    /// Its runtime.
    pub runtime: String,
    /// What an instance that holds its memory reports on average, with page tables, in bytes; 0 where none reports.
    pub load_bytes: f64,
    /// The most instances at a sample, of all kernels together.
    pub instances: u32,
    /// Nodes that they were on.
    pub nodes: u32,
    /// Different numbers of instances at the samples of a kernel.
    pub points: usize,
    /// Whether what the first instance on a node takes once can be told from what each takes.
    pub first_is_told: bool,
}

impl Dataset {
    /// The runtimes of a mixed run; none of another run.
    #[must_use]
    pub fn mix(&self) -> &[String] {
        self.recorded().map_or(&[], |recorded| &recorded.run.plan.options.mix)
    }

    /// Memory against the instances of each group, from samples before a step (its index), or of all steps on the way up; none where it
    /// is no mixed run.
    #[must_use]
    pub fn group_costs(&self, before: Option<usize>) -> Option<GroupCosts> {
        let runtimes = self.mix();
        // More than this ramp makes are those of a newer one.
        let recorded = self.recorded().filter(|_| (2..=MOST_GROUPS).contains(&runtimes.len()))?;
        let (measure, load, kernels) = self.looks(recorded, before);
        let full = kernels.iter().map(|looks| {
            let full = looks.iter().filter(|look| look.all_full);
            full.map(|look| &look.groups).collect::<BTreeSet<_>>().len()
        });
        let only_full = full.max().is_some_and(|numbers| numbers >= 2);
        let counts = |look: &&KernelObservation| look.all_full || !only_full;
        let group = |(index, runtime): (usize, &String)| {
            let of = |look: &KernelObservation| look.groups.get(index).copied().unwrap_or_default();
            let of_kernel = |looks: &Vec<KernelObservation>| {
                let all: Vec<(u32, u32)> = looks.iter().filter(counts).map(of).collect();
                let numbers = all.iter().map(|(instances, _)| *instances).collect::<BTreeSet<u32>>();
                (all.into_iter().max().unwrap_or_default(), numbers)
            };
            let kernels: Vec<_> = kernels.iter().map(of_kernel).collect();
            GroupLoad {
                runtime: runtime.clone(),
                load_bytes: if measure.is_reported { load.each_of(runtime) } else { 0.0 },
                instances: kernels.iter().map(|((instances, _), _)| instances).sum(),
                nodes: kernels.iter().map(|((_, nodes), _)| nodes).sum(),
                points: kernels.iter().map(|(_, numbers)| numbers.len()).max().unwrap_or_default(),
                first_is_told: kernels
                    .iter()
                    .any(|(_, numbers)| numbers.iter().filter(|number| **number > 0).count() >= 2),
            }
        };
        let groups: Vec<GroupLoad> = runtimes.iter().enumerate().map(group).collect();
        let regressors = |look: &KernelObservation| {
            let mut x = [0.0; OF_GROUPS];
            for (index, ((instances, nodes), group)) in look.groups.iter().zip(&groups).enumerate() {
                x[index] = (*instances).into();
                x[MOST_GROUPS + index] = if group.first_is_told { (*nodes).into() } else { 0.0 };
            }
            x
        };
        let observation = |look: &KernelObservation| Observation {
            seconds: look.seconds,
            x: regressors(look),
            y: look.bytes - look.reported,
        };
        let after = |(kernel, looks): (usize, &Vec<KernelObservation>)| {
            let mut x = looks.last().map_or([0.0; OF_GROUPS], regressors);
            x[..MOST_GROUPS].fill(0.0);
            let after = self.observed_after(recorded, kernel, measure, looks);
            after.into_iter().map(|(seconds, y)| Observation { seconds, x, y }).collect()
        };
        Some(GroupCosts {
            measure,
            observations: kernels
                .iter()
                .map(|looks| looks.iter().filter(counts).map(observation).collect())
                .collect(),
            after: kernels.iter().enumerate().map(after).collect(),
            reported: measure.is_reported && load.known,
            anon_bytes: if measure.is_reported { load.anon } else { 0.0 },
            groups,
        })
    }
}
