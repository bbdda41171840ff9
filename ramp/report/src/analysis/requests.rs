//! Requests of pods: what a scheduler reserves for each, and what of a difference between two groups of runs is theirs.

use super::capacity::{Exhausted, GroupCapacities};
use super::causes::Resource;
use super::{Estimate, Estimates, Unavailable, unavailable};
use crate::dataset::{Dataset, Recorded};
use ramp_format::plan::EngineKind;
use ramp_format::scenario::Scenario;

/// What a scheduler reserves for a pod, and its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodRequests {
    /// Memory of its containers, in bytes.
    pub memory_bytes: u64,
    /// CPU of its containers, in cores.
    pub cpu_cores: f64,
    /// Memory of its RuntimeClass (`overhead.podFixed`), in bytes.
    pub overhead_memory_bytes: u64,
    /// CPU of its RuntimeClass, in cores.
    pub overhead_cpu_cores: f64,
    /// Memory limit of the load, in bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// What two groups of runs differ by in requests, and whether that is what ended them.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestDifference {
    /// Requests of the pods of the base.
    pub base: PodRequests,
    /// Of the other.
    pub other: PodRequests,
    /// What was exhausted in the runs of each, where it is the same in all of them.
    pub exhausted: [Option<Exhausted>; 2],
    /// Instances held by each on average, where that is known.
    pub held: [Option<f64>; 2],
}

impl PodRequests {
    /// Those of the pods of a run.
    ///
    /// # Errors
    /// Where nothing is requested with its engine, or its manifest does not tell.
    pub fn of(data: &Dataset) -> Estimate<Self> {
        let Some(recorded) = data.recorded() else { return unavailable("the data has no requests") };
        let run = &recorded.run;
        if matches!(run.plan.engine, EngineKind::Local | EngineKind::Podman) {
            return unavailable(format!(
                "nothing is requested: {} are started without a scheduler",
                run.plan.engine.instances()
            ));
        }
        let class = run.runtime_class.clone().unwrap_or_default();
        let with_overhead = Self {
            overhead_memory_bytes: class.overhead_memory_bytes,
            overhead_cpu_cores: class.overhead_cpu_cores,
            ..Self::default()
        };
        if let Some(admitted) = &run.admitted {
            return Ok(Self {
                memory_bytes: admitted.memory_request_bytes.unwrap_or_default(),
                cpu_cores: admitted.cpu_request_nano_cores.unwrap_or_default() as f64 / 1e9,
                memory_limit_bytes: admitted.memory_limit_bytes,
                ..with_overhead
            });
        }
        let resources = match Scenario::of(run.manifest.clone()) {
            Ok(scenario) => scenario.resources,
            Err(why) => return unavailable(format!("requests: {why}")),
        };
        Ok(Self {
            memory_bytes: resources.memory_request.unwrap_or_default().0,
            cpu_cores: resources.cpu_request.unwrap_or_default().as_f64(),
            memory_limit_bytes: resources.load_limit.map(|limit| limit.0),
            ..with_overhead
        })
    }

    /// Memory that a scheduler reserves, in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory_bytes.saturating_add(self.overhead_memory_bytes)
    }

    /// CPU that it reserves, in cores.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        self.cpu_cores + self.overhead_cpu_cores
    }

    /// Those of all these runs.
    ///
    /// # Errors
    /// Where they differ, or one is unknown.
    pub fn of_all<'d>(runs: impl IntoIterator<Item = &'d Dataset>) -> Estimate<Self> {
        let all = runs.into_iter().map(Self::of).collect::<Estimate<Vec<Self>>>()?;
        match all.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(*first),
            Some(_) => unavailable("repeats have different requests"),
            None => unavailable("no run"),
        }
    }
}

/// The memory limit of the load, as admitted.
///
/// # Errors
/// Where there is none.
pub fn memory_limit(data: &Dataset) -> Estimate<u64> {
    let none = || Unavailable("no memory limit is set".into());
    let Some(Recorded { run, .. }) = data.recorded() else { return Err(none()) };
    if let Some(admitted) = &run.admitted {
        return admitted.memory_limit_bytes.ok_or_else(none);
    }
    // Of runs that did not record what was admitted. Where a run has no cgroup of its own, a limit is a wish.
    if run.plan.engine == EngineKind::Local {
        return Err(none());
    }
    let scenario = Scenario::of(run.manifest.clone()).map_err(Unavailable)?;
    scenario.resources.load_limit.map(|limit| limit.0).ok_or_else(none)
}

impl RequestDifference {
    /// Of two groups of runs.
    ///
    /// # Errors
    /// Where the requests of one are unknown, or differ among its runs.
    pub fn of(base: &[(&Dataset, &Estimates)], other: &[(&Dataset, &Estimates)]) -> Estimate<Self> {
        let requests =
            |runs: &[(&Dataset, &Estimates)]| PodRequests::of_all(runs.iter().map(|(data, _)| *data));
        let held = |runs: &[(&Dataset, &Estimates)]| {
            let all: Option<Vec<f64>> =
                runs.iter().map(|(_, run)| Some(run.held.as_ref().ok()?.count.into())).collect();
            all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        Ok(Self {
            base: requests(base)?,
            other: requests(other)?,
            exhausted: [base, other].map(|runs| group_capacities(runs).exhausted),
            held: [base, other].map(held),
        })
    }

    /// What the pods of the other request more, in words, such as `160 MiB and 250m CPU more`; none where they request the same.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let memory = self.other.memory() as f64 - self.base.memory() as f64;
        let milli = milli_cores(self.other.cpu()) - milli_cores(self.base.cpu());
        let word = |is_more: bool| if is_more { "more" } else { "less" };
        let memory_text = format!("{} MiB", (super::mib(memory.abs()) * 10.0).round() / 10.0);
        let cpu_text = format!("{}m CPU", milli.abs());
        let text = match (memory != 0.0, milli != 0) {
            (false, false) => return None,
            (true, false) => format!("{memory_text} {}", word(memory > 0.0)),
            (false, true) => format!("{cpu_text} {}", word(milli > 0)),
            (true, true) if (memory > 0.0) == (milli > 0) => {
                format!("{memory_text} and {cpu_text} {}", word(milli > 0))
            }
            (true, true) => {
                format!("{memory_text} {} and {cpu_text} {}", word(memory > 0.0), word(milli > 0))
            }
        };
        Some(format!("{text} ({})", self.source()))
    }

    /// Where the difference is set.
    fn source(&self) -> &'static str {
        let (base, other) = (self.base, self.other);
        let containers = (base.memory_bytes, milli_cores(base.cpu_cores))
            != (other.memory_bytes, milli_cores(other.cpu_cores));
        let overhead = (base.overhead_memory_bytes, milli_cores(base.overhead_cpu_cores))
            != (other.overhead_memory_bytes, milli_cores(other.overhead_cpu_cores));
        match (containers, overhead) {
            (true, true) => "requests of containers and RuntimeClass overhead",
            (true, false) => "requests of containers",
            (false, _) => "RuntimeClass overhead",
        }
    }

    /// Whether the pods request different amounts of a resource.
    fn differs_in(&self, resource: Resource) -> bool {
        match resource {
            Resource::Memory => self.base.memory() != self.other.memory(),
            Resource::Cpu => milli_cores(self.base.cpu()) != milli_cores(self.other.cpu()),
            _ => false,
        }
    }

    /// A sentence, without its full stop, where the difference in instances held is one of requests: where it was requests that were
    /// exhausted in the runs that held fewer, of a resource of which the pods request different amounts.
    #[must_use]
    pub fn finding(&self, [base, other]: [&str; 2]) -> Option<String> {
        let [Some(held_base), Some(held_other)] = self.held else { return None };
        let fewer = match held_base.total_cmp(&held_other) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => return None,
        };
        let Some(Some(Exhausted::Requests(resource))) = self.exhausted.get(fewer).copied() else {
            return None;
        };
        if !self.differs_in(resource) {
            return None;
        }
        let exhausted = self.exhausted[fewer].map(Exhausted::words).unwrap_or_default();
        let name = [base, other][fewer];
        Some(format!(
            "The pods of {other} request {} than those of {base}, and {exhausted} ended the runs of {name}: the difference in \
             instances held is by requests, not by use",
            self.words()?
        ))
    }
}

/// The capacities of runs together.
#[must_use]
pub fn group_capacities(runs: &[(&Dataset, &Estimates)]) -> GroupCapacities {
    GroupCapacities::of(&runs.iter().map(|(_, run)| &run.capacities).collect::<Vec<_>>())
}

fn milli_cores(cores: f64) -> i64 {
    (cores * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> PodRequests {
        PodRequests { memory_bytes: 100 << 20, cpu_cores: 0.2, ..PodRequests::default() }
    }

    fn kata() -> PodRequests {
        PodRequests { overhead_memory_bytes: 160 << 20, overhead_cpu_cores: 0.25, ..requests() }
    }

    fn difference(exhausted: [Option<Exhausted>; 2]) -> RequestDifference {
        RequestDifference { base: requests(), other: kata(), exhausted, held: [Some(20.0), Some(7.0)] }
    }

    #[test]
    fn a_difference_is_by_requests_only_where_those_were_exhausted() {
        let cpu = Some(Exhausted::Requests(Resource::Cpu));
        let memory = Some(Exhausted::Use(Resource::Memory));
        let names = ["runc", "kata"];
        assert_eq!(
            difference([memory, cpu]).finding(names).unwrap(),
            "The pods of kata request 160 MiB and 250m CPU more (RuntimeClass overhead) than those of runc, and CPU requests \
             ended the runs of kata: the difference in instances held is by requests, not by use"
        );
        assert_eq!(difference([cpu, memory]).finding(names), None, "kata ended by memory in use");
        assert_eq!(difference([memory, None]).finding(names), None, "nobody tells");
        assert_eq!(difference([cpu, Some(Exhausted::Requests(Resource::Pods))]).finding(names), None);
        let same = RequestDifference { other: requests(), ..difference([cpu, cpu]) };
        assert_eq!((same.words(), same.finding(names)), (None, None));
        let equal = RequestDifference { held: [Some(7.0), Some(7.0)], ..difference([cpu, cpu]) };
        assert_eq!(equal.finding(names), None);
    }

    #[test]
    fn what_is_requested_more_or_less_is_in_words() {
        let words = |base: PodRequests, other: PodRequests| {
            RequestDifference { base, other, ..difference([None, None]) }.words().unwrap()
        };
        let larger = PodRequests { memory_bytes: 200 << 20, ..requests() };
        assert_eq!(words(requests(), larger), "100 MiB more (requests of containers)");
        let both = PodRequests { memory_bytes: 0, ..kata() };
        assert_eq!(
            words(requests(), both),
            "60 MiB and 250m CPU more (requests of containers and RuntimeClass overhead)"
        );
        assert_eq!(
            words(larger, both),
            "40 MiB less and 250m CPU more (requests of containers and RuntimeClass overhead)"
        );
    }
}
