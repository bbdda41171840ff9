//! CPU time of each kernel beyond what its instances account for, at times when no instance is being started.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::steady_state::taken;
use super::{Dataset, Freshness, KernelCpu, NodeSample, Recorded, ReportRow};
use crate::stats::{OF_GROUPS, Observation};
use ramp_format::plan::MOST_GROUPS;
use ramp_format::rows::PodRow;
use ramp_format::state::State;
use ramp_format::text::count;

/// Why data of other programs, and of earlier versions, says nothing of CPU time.
pub const NO_CPU_TIME: &str = "samples of the nodes have no CPU time";

/// CPU time against instances.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuTimes {
    /// For each kernel that had instances: CPU seconds that were not free and are not the instances' own, up to a level and a drift, with
    /// the starts of each group of instances as the first half of the regressors, and seconds of its instances as the second half.
    pub observations: Vec<Vec<Observation<OF_GROUPS>>>,
    /// The most instances at a sample, of all kernels together.
    pub instances: u32,
    /// For how many seconds no instance was there at first.
    pub idle_seconds: f64,
    /// For how many seconds there were as many instances as there were at most, and none was being started.
    pub dwell_seconds: f64,
    /// Whether memory was short later on, and how long instances dwelled then does not count.
    pub ends_at_shortage: bool,
}

/// The start of an instance is over so many seconds after it is ready: what is told late, and the first probes of it.
const STARTED_AFTER_SECONDS: f64 = 2.0;
/// What an instance takes before it is seen on a node: it is scheduled, and its kubelet is told.
const BEFORE_START_SECONDS: f64 = 1.0;
/// Observations of all kernels together, and the fewest of each: more tell nothing more.
const OBSERVATIONS: usize = 3000;
const OF_KERNEL: (usize, usize) = (20, 200);
/// CPUs have hardly any time left where less of it than this share is free: what an instance uses more others use less.
const FULL: f64 = 0.03;
/// The share of samples at which they may have none.
const FULL_SAMPLES: f64 = 0.1;

impl Dataset {
    /// CPU time against instances, from samples of all steps on the way up and while instances were held, until the first one ended; where
    /// memory was short, before a step (its index).
    ///
    /// # Errors
    /// Why the run does not tell.
    pub fn cpu_times(&self, before: Option<usize>) -> Result<CpuTimes, String> {
        let Some(recorded) = self.recorded() else {
            return Err(NO_CPU_TIME.into());
        };
        // Memory that is short costs CPU time; where only the scheduler had no room, what was held tells as much as before.
        let is_short = |row: &PodRow| matches!(row.to.parse(), Ok(State::OomKilled | State::Evicted));
        let shortage = before.filter(|_| recorded.pods.iter().any(is_short));
        let until = self.until(shortage);
        let own = OwnCpu::of(recorded);
        let kernels: Vec<KernelTimes> = (0..recorded.kernels.len())
            .map(|kernel| self.cpu_of_kernel(recorded, kernel, &own, until))
            .collect();
        if kernels.iter().all(|kernel| kernel.samples == 0) {
            return Err(NO_CPU_TIME.into());
        }
        if kernels.iter().all(|kernel| kernel.starts == 0) {
            return Err("no instance was started on a node whose CPU time is known".into());
        }
        let used: Vec<&KernelTimes> = kernels.iter().filter(|kernel| kernel.starts > 0).collect();
        if own.by_uid.is_empty() {
            return Err("instances do not report the CPU time that they use themselves".into());
        }
        let looks: usize = used.iter().map(|kernel| kernel.looks.len()).sum();
        let full: usize = used.iter().map(|kernel| kernel.full).sum();
        if full as f64 > FULL_SAMPLES * looks as f64 {
            return Err(format!(
                "the CPUs of the nodes had less than {:.0}% of their time free at {}: what an instance uses more others use less",
                100.0 * FULL,
                count(full as u64, "sample")
            ));
        }
        let most = (OBSERVATIONS / used.len().max(1)).clamp(OF_KERNEL.0, OF_KERNEL.1);
        Ok(CpuTimes {
            observations: used.iter().map(|kernel| thinned(&kernel.looks, most)).collect(),
            instances: used.iter().map(|kernel| kernel.most()).sum(),
            idle_seconds: used.iter().map(|kernel| kernel.seconds_with(0)).fold(f64::INFINITY, f64::min),
            dwell_seconds: used
                .iter()
                .filter(|kernel| kernel.most() > 0)
                .map(|kernel| kernel.seconds_with(kernel.most()))
                .fold(0.0, f64::max),
            ends_at_shortage: shortage.is_some(),
        })
    }

    fn cpu_of_kernel(&self, recorded: &Recorded, kernel: usize, own: &OwnCpu<'_>, until: f64) -> KernelTimes {
        let (samples, names) = self.samples_of(recorded, kernel);
        let mut pods = recorded.happened(&names).into_iter().peekable();
        let mut there = Started::new(&recorded.run.plan.options.mix, own);
        let mut times = KernelTimes::default();
        let (mut first, mut before): (Option<KernelCpu>, Option<KernelCpu>) = (None, None);
        for sample in samples {
            let Some(now) = taken(sample).filter(|_| sample.elapsed_seconds.is_some_and(|at| at <= until))
            else {
                continue;
            };
            while let Some((at, row)) = pods.next_if(|(at, _)| *at < now) {
                if there.follow(at, row) {
                    times.starts += 1;
                    times.looks.retain(|look| look.run_seconds < at - BEFORE_START_SECONDS);
                }
            }
            if there.any_ended {
                break;
            }
            there.go_on(now);
            let may_have_gone = recorded.undated.iter().any(|gone| {
                names.contains(gone.node.as_str()) && (gone.from_seconds..=gone.to_seconds).contains(&now)
            });
            let Some(cpu) = sample.cpu.filter(|_| sample.freshness == Freshness::Fresh) else { continue };
            times.samples += 1;
            let zero = *first.get_or_insert(cpu);
            let is_full = before.replace(cpu).is_some_and(|before| is_full(before, cpu));
            let seconds = sample.taken_seconds.unwrap_or(now);
            let is_new = times.looks.last().is_none_or(|last| last.observation.seconds < seconds);
            if may_have_gone || there.is_starting(now) || !is_new {
                continue;
            }
            let Some(own) = there.own(sample) else { continue };
            times.full += usize::from(is_full);
            let y = zero.free - cpu.free - own;
            times.looks.push(Look {
                run_seconds: now,
                instances: there.running.len() as u32,
                observation: Observation { seconds, x: there.regressors, y },
            });
        }
        times
    }
}

/// Whether CPUs had hardly any time left between two samples.
fn is_full(before: KernelCpu, now: KernelCpu) -> bool {
    let (free, busy) = (now.free - before.free, now.busy - before.busy);
    free < FULL * (free + busy)
}

/// A sample that counts.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Since the run began.
    run_seconds: f64,
    instances: u32,
    observation: Observation<OF_GROUPS>,
}

#[derive(Debug, Default)]
struct KernelTimes {
    /// Samples that have a CPU time, whether or not they count.
    samples: usize,
    /// Samples that count at which the CPUs had hardly any time left.
    full: usize,
    starts: u32,
    looks: Vec<Look>,
}

impl KernelTimes {
    fn most(&self) -> u32 {
        self.looks.iter().map(|look| look.instances).max().unwrap_or_default()
    }

    /// For how long there were so many instances.
    fn seconds_with(&self, instances: u32) -> f64 {
        let pairs = self.looks.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
        let both = pairs.filter(|(a, b)| a.instances == instances && b.instances == instances);
        both.map(|(a, b)| b.run_seconds - a.run_seconds).fold(0.0, |sum, seconds| sum + seconds)
    }
}

/// So many of them at most, with the first and the last with each number of instances: sums lose nothing.
fn thinned(looks: &[Look], most: usize) -> Vec<Observation<OF_GROUPS>> {
    let every = looks.len().div_ceil(most.max(1)).max(1);
    let is_end = |at: usize| {
        let instances = |at: usize| looks.get(at).map(|look| look.instances);
        at == 0 || instances(at - 1) != instances(at) || instances(at + 1) != instances(at)
    };
    let kept = looks.iter().enumerate().filter(|(at, _)| at % every == 0 || is_end(*at));
    kept.map(|(_, look)| look.observation).collect()
}

/// Instances on the nodes of a kernel, as far as their CPU time is concerned.
struct Started<'d> {
    mix: &'d [String],
    own: &'d OwnCpu<'d>,
    /// The group of each that has been seen on a node.
    groups: HashMap<&'d str, usize>,
    /// Those that are being started.
    starting: HashSet<&'d str>,
    /// Until when the last start goes on.
    busy_until: f64,
    /// Those whose program runs, with the reports of their CPU time.
    running: BTreeMap<&'d str, &'d [OwnReport]>,
    /// The number of these of each group.
    running_of: [u32; MOST_GROUPS],
    regressors: [f64; OF_GROUPS],
    /// Up to when instances are counted in.
    at: f64,
    any_ended: bool,
}

impl<'d> Started<'d> {
    fn new(mix: &'d [String], own: &'d OwnCpu<'d>) -> Self {
        Self {
            mix,
            own,
            groups: HashMap::new(),
            starting: HashSet::new(),
            busy_until: 0.0,
            running: BTreeMap::new(),
            running_of: [0; MOST_GROUPS],
            regressors: [0.0; OF_GROUPS],
            at: 0.0,
            any_ended: false,
        }
    }

    /// Counts the time of instances up to now.
    fn go_on(&mut self, now: f64) {
        let seconds = (now - self.at).max(0.0);
        for (sum, running) in self.regressors[MOST_GROUPS..].iter_mut().zip(self.running_of) {
            (0..running).for_each(|_| *sum += seconds);
        }
        self.at = self.at.max(now);
    }

    /// An instance enters another state. Whether that is the begin of a start.
    fn follow(&mut self, at: f64, row: &'d PodRow) -> bool {
        self.go_on(at);
        let uid = row.uid.as_str();
        let state = row.to.parse::<State>();
        match state {
            Ok(State::Creating | State::Running | State::Ready) => {}
            Ok(State::Pending | State::Unschedulable) => return false,
            _ => {
                self.any_ended = true;
                return false;
            }
        }
        let is_new = !self.groups.contains_key(uid);
        if is_new {
            let named = row.group.as_ref().and_then(|group| self.mix.iter().position(|name| name == group));
            let group = named.unwrap_or_default().min(MOST_GROUPS - 1);
            self.groups.insert(uid, group);
            self.regressors[group] += 1.0;
            self.starting.insert(uid);
        }
        if matches!(state, Ok(State::Running | State::Ready)) {
            let (group, own) = (self.groups.get(uid).copied().unwrap_or_default(), self.own);
            self.running.entry(uid).or_insert_with(|| {
                self.running_of[group] += 1;
                own.by_uid.get(uid).map_or(&[], Vec::as_slice)
            });
        }
        if matches!(state, Ok(State::Ready)) && self.starting.remove(uid) {
            self.busy_until = at + STARTED_AFTER_SECONDS;
        }
        is_new
    }

    fn is_starting(&self, now: f64) -> bool {
        !self.starting.is_empty() || now < self.busy_until
    }

    /// CPU seconds that those that run have used themselves; none where that of one is not known.
    fn own(&self, sample: &NodeSample) -> Option<f64> {
        self.running.values().map(|reports| used_at(reports, sample.taken_seconds?)).sum()
    }
}

/// CPU seconds of instances by their own reports.
struct OwnCpu<'d> {
    /// Reports of each instance, the oldest first, by its uid.
    by_uid: HashMap<&'d str, Vec<OwnReport>>,
}

/// CPU seconds of an instance, as it reports them.
#[derive(Clone, Copy, Debug)]
struct OwnReport {
    /// When, by its node's clock.
    made: f64,
    used: f64,
    /// What it was to use.
    wanted: f64,
    /// By how much it is ahead of that: it uses less until that has passed.
    overdrawn: f64,
}

/// What an instance uses follows from its last report for so many seconds.
const KNOWN_FOR_SECONDS: f64 = 30.0;

impl<'d> OwnCpu<'d> {
    fn of(recorded: &'d Recorded) -> Self {
        let known = |report: &ReportRow| {
            let (made, used) = (report.made_seconds?, report.cpu_used_seconds?);
            let (wanted, overdrawn) =
                (report.cpu_wanted_seconds?, report.cpu_overdrawn_seconds.unwrap_or_default());
            Some(OwnReport { made, used, wanted, overdrawn })
        };
        let uids = &recorded.reports.uids;
        let mut all: Vec<Vec<OwnReport>> = vec![Vec::new(); uids.len()];
        for report in &recorded.reports.reports {
            if let (Some(own), Some(known)) = (all.get_mut(report.instance as usize), known(report)) {
                own.push(known);
            }
        }
        all.iter_mut().for_each(|reports| reports.sort_by(|a, b| a.made.total_cmp(&b.made)));
        let told = uids.iter().map(String::as_str).zip(all).filter(|(_, reports)| !reports.is_empty());
        Self { by_uid: told.collect() }
    }
}

/// What an instance with these reports has used at a time by its node's clock: in proportion between two of them, and after the last one by
/// its schedule.
fn used_at(reports: &[OwnReport], at: f64) -> Option<f64> {
    let next = reports.partition_point(|report| report.made <= at);
    let last = reports.get(next.checked_sub(1)?)?;
    if let Some(next) = reports.get(next) {
        let share = (at - last.made) / (next.made - last.made).max(1e-9);
        return (next.used >= last.used).then_some(last.used + share * (next.used - last.used));
    }
    let before = reports.get(next.checked_sub(2)?)?;
    let rate = (last.wanted - before.wanted) / (last.made - before.made).max(1e-9);
    let since = at - last.made;
    (since <= KNOWN_FOR_SECONDS).then_some(last.used + (rate * since - last.overdrawn).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_is_in_proportion_between_two_reports_and_by_schedule_after_the_last() {
        let report = |made, used, wanted, overdrawn| OwnReport { made, used, wanted, overdrawn };
        let all =
            vec![report(100.0, 0.0, 0.0, 0.0), report(105.0, 1.0, 1.0, 0.0), report(110.0, 3.0, 2.0, 1.0)];
        let at = |seconds| used_at(&all, seconds);
        assert_eq!((at(99.0), at(102.5), at(107.5)), (None, Some(0.5), Some(2.0)));
        assert_eq!((at(112.5), at(120.0)), (Some(3.0), Some(4.0)), "it is ahead of its schedule at first");
        assert_eq!((at(141.0), used_at(&[], 107.0)), (None, None));
    }

    #[test]
    fn few_observations_keep_both_ends_of_each_number_of_instances() {
        let look = |at: u32| Look {
            run_seconds: at.into(),
            instances: at / 50,
            observation: Observation { seconds: at.into(), x: [0.0; OF_GROUPS], y: 0.0 },
        };
        let looks: Vec<Look> = (0..100).map(look).collect();
        let seconds: Vec<f64> = thinned(&looks, 5).iter().map(|one| one.seconds).collect();
        assert_eq!(seconds, [0.0, 20.0, 40.0, 49.0, 50.0, 60.0, 80.0, 99.0]);
    }
}
