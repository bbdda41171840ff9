//! Saturation: the step at which a run was saturated, or how far it was not.

use std::fmt;

use super::causes::{Cause, Resource};
use super::external_changes::Change;
use super::instance_losses::{Loss, until};
use super::{Estimate, unavailable};
use crate::dataset::{Dataset, Recorded, Source, Step};
use ramp_format::rows::{EventRow, StepOutcome};
use ramp_format::state::State;
use ramp_format::text::count;

/// Free memory of all nodes below which they are full: 10^6 KiB, as in the study, and for its files alone.
pub const FULL_BELOW_BYTES: u64 = 1_000_000 * 1024;
/// Steps in a row that a rule must hold for, so that one bad sample is none.
pub const IN_A_ROW: usize = 3;

/// The step at which a run was saturated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saturation {
    /// Its number, as its source counts.
    pub step: u32,
    /// Its index in [`Dataset::steps`].
    pub index: usize,
    /// How many instances there were: those asked for by then, or where that is not known, or where no more came to be held, those there.
    pub instances: u32,
    /// Which rule says so.
    pub rule: SaturationRule,
    /// Of what there was no more, where that is told.
    pub resource: Option<Resource>,
}

/// Whether a run was saturated.
#[derive(Clone, Debug, PartialEq)]
pub struct SaturationVerdict {
    /// The step at which it was, or why none is known.
    pub saturation: Estimate<Saturation>,
    /// Where it was not: up to how many instances.
    pub up_to: Option<u32>,
}

/// Why a step is the one of saturation. The first that holds anywhere in the run is the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaturationRule {
    /// In files of the study: the first of three steps in a row with less than 10^6 KiB of free memory on all nodes together.
    NodesFull,
    /// The first eviction.
    Evicted,
    /// The first OOM kill.
    OomKilled,
    /// The first instance that has failed.
    Failed,
    /// The first instance that no node has room for.
    Unschedulable,
    /// The first instance that its node could not create.
    NotCreated,
    /// None of these: more were asked for, and no more came to be there although they had the time. The first step with so many of the most
    /// that all later ones together brought less than a twentieth.
    StoppedRising,
}

/// Of the largest number, so much is there where it stopped rising: instances that restart come and go.
const RISEN: f64 = 0.95;
/// It has stopped rising where so much of what was asked for later did not come.
const MISSING: f64 = 0.5;
/// An instance has had enough time to start after this multiple of the slowest start observed.
const HAD_ITS_TIME: f64 = 10.0;
/// And at least this, in seconds.
const AT_LEAST_SECONDS: f64 = 60.0;

impl SaturationRule {
    /// What kind of end this is: only saturations of one kind can be held against each other.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NodesFull => "nodes full",
            Self::Evicted | Self::OomKilled | Self::Failed | Self::Unschedulable | Self::NotCreated => {
                "instance lost or unschedulable"
            }
            Self::StoppedRising => "number of instances stopped rising",
        }
    }

    /// As `--json` has it: programs compare it.
    #[must_use]
    pub fn json(self) -> String {
        match self {
            Self::Failed => "first instance that failed for want of a resource".into(),
            Self::Unschedulable => "first instance that no node has room for".into(),
            Self::StoppedRising => "nothing lost: more were asked for and no more came to be there".into(),
            Self::NodesFull | Self::Evicted | Self::OomKilled | Self::NotCreated => self.to_string(),
        }
    }
}

impl fmt::Display for SaturationRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodesFull => "first of three steps in a row with less than 10^6 KiB free on all nodes",
            Self::Evicted => "first eviction",
            Self::OomKilled => "first OOM kill",
            Self::Failed => "first instance failed for lack of a resource",
            Self::Unschedulable => "first unschedulable instance",
            Self::NotCreated => "first instance not created for lack of a resource",
            Self::StoppedRising => "no losses, number of instances stopped rising",
        })
    }
}

/// Whether a run was saturated, and at which step.
pub(super) fn saturation(data: &Dataset, losses: &[Loss<'_>], changes: &[Change]) -> SaturationVerdict {
    match &data.source {
        Source::LegacyCsv | Source::KubeBurner(_) => of_study(data),
        Source::Run(recorded) => of_run(data, recorded, losses, changes),
    }
}

impl SaturationVerdict {
    /// Whether the run was saturated; none if unknown.
    #[must_use]
    pub fn saturated(&self) -> Option<bool> {
        let is_known = self.saturation.is_ok() || self.up_to.is_some();
        is_known.then_some(self.saturation.is_ok())
    }

    /// That of a search: it doubles its levels, and what it finds is a distribution.
    pub(super) fn of_search() -> Self {
        Self::unknown("the run is a search, whose steps are too far apart to tell one".into())
    }

    fn at((rule, (index, step)): RuleMatch<'_>, instances: u32, resource: Option<Resource>) -> Self {
        let saturation = Ok(Saturation { step: step.step, index, instances, rule, resource });
        Self { saturation, up_to: None }
    }

    fn not_up_to(instances: u32, why: String) -> Self {
        Self { saturation: unavailable(why), up_to: Some(instances) }
    }

    fn unknown(why: String) -> Self {
        Self { saturation: unavailable(why), up_to: None }
    }
}

type RuleMatch<'d> = (SaturationRule, (usize, &'d Step));

fn of_study(data: &Dataset) -> SaturationVerdict {
    let up: Vec<(usize, &Step)> = data.way_up().collect();
    let found = full(&up).or_else(|| lost(&up)).or_else(|| stopped_rising(&up, |step| step.running));
    let Some(found) = found else {
        let free = up.iter().filter_map(|(_, step)| step.memory.free).min();
        let free = free.map_or_else(String::new, |bytes| format!(", at least {} KiB free", bytes / 1024));
        let most = up.iter().map(|(_, step)| step.running).max();
        let why = format!("no resource ran out in {}{free}", count(up.len() as u64, "step"));
        return match most {
            Some(most) if most > 0 => SaturationVerdict::not_up_to(most, why),
            _ => SaturationVerdict::unknown(why),
        };
    };
    let (rule, (_, step)) = found;
    let asked = step.asked.filter(|_| rule != SaturationRule::StoppedRising);
    SaturationVerdict::at(found, asked.unwrap_or(step.running), None)
}

/// Of a run of ramp: the first loss of an instance to a resource, or the first that had no room; else where no more came to be
/// held although they had the time and nobody else changed the population.
fn of_run(data: &Dataset, recorded: &Recorded, losses: &[Loss<'_>], changes: &[Change]) -> SaturationVerdict {
    // What a request asks for that nobody has answered nobody has asked for.
    let answered = |(_, step): &(usize, &Step)| step.outcome != Some(StepOutcome::Unanswered);
    let up: Vec<(usize, &Step)> = data.way_up().filter(answered).collect();
    let Some(&last) = up.last() else {
        return SaturationVerdict::unknown("no step was recorded, or the API answered none".into());
    };
    let to_a_resource = losses.iter().find_map(|loss| match loss.cause {
        Cause::Resource(resource) => Some((loss, resource)),
        _ => None,
    });
    if let Some((loss, resource)) = to_a_resource {
        let at = up.iter().find(|(_, step)| step.step >= loss.step);
        let (index, step) = at.copied().unwrap_or(last);
        let rule = match loss.row.to.parse::<State>() {
            Ok(State::Evicted) => SaturationRule::Evicted,
            Ok(State::OomKilled) => SaturationRule::OomKilled,
            Ok(State::Unschedulable) => SaturationRule::Unschedulable,
            Ok(State::Pending | State::Creating) => SaturationRule::NotCreated,
            _ => SaturationRule::Failed,
        };
        let instances = step.asked.unwrap_or(step.running);
        return SaturationVerdict::at((rule, (index, step)), instances, Some(resource));
    }
    let held = recorded.held().count;
    let told = blocked_reason(recorded);
    let blocked = losses.iter().rfind(|loss| matches!(loss.cause, Cause::Blocked | Cause::Unknown));
    let first = changes.first();
    let changed =
        first.map(|change| format!("population changed by others ({change} in step {})", change.step));
    if recorded.running().count == 0 {
        let said = told.or(blocked.map(|loss| loss.row.reason.as_str()));
        let why = match (said, recorded.pods.is_empty()) {
            (Some(reason), _) => {
                format!("no instance ever ran: {}", reason.trim().trim_end_matches('.'))
            }
            (None, true) => "no instance was observed".into(),
            (None, false) => match changed {
                Some(changed) => format!("no instance ever ran: {changed}"),
                None => "no instance ever ran, for an unknown reason".into(),
            },
        };
        return SaturationVerdict::unknown(why);
    }
    if let Some(changed) = changed {
        return SaturationVerdict::unknown(changed);
    }
    let (_, last) = last;
    let asked = last.asked.unwrap_or(held);
    let not_up_to = |why: &str| {
        let why = format!("not reached up to {}{why}", count(held, "instance"));
        SaturationVerdict::not_up_to(held, why)
    };
    if held >= asked {
        let is_all = recorded.run.rows_lost == 0;
        return not_up_to(if is_all { ", all that were requested" } else { "; later rows are missing" });
    }
    if let Some(reason) = told.filter(|reason| reason.contains("exceeded quota")) {
        return not_up_to(&format!(
            "; limited by a quota, not by the nodes ({} of {asked} were not created): {reason}",
            asked - held
        ));
    }
    if let Some(reason) = told.or(blocked.map(|loss| loss.row.reason.as_str())) {
        let reason = reason.trim().trim_end_matches('.');
        return not_up_to(&format!("; {} of {asked} never held their memory: {reason}", asked - held));
    }
    if losses.iter().any(|loss| loss.cause == Cause::Killed) {
        return not_up_to("; instances were killed by an unknown process");
    }
    let there = |step: &Step| step.ready.unwrap_or(step.running);
    if all_had_their_time(data, recorded)
        && let Some(found) = stopped_rising(&up, there)
        && f64::from(there(found.1.1)) >= RISEN * f64::from(held)
    {
        return SaturationVerdict::at(found, there(found.1.1), None);
    }
    if held == 0 {
        return SaturationVerdict::unknown(format!(
            "none of {asked} instances held its memory before the recording ended"
        ));
    }
    not_up_to(&format!("; {} more were still starting when the recording ended", asked - held))
}

/// Why instances could not start when the ramp ended, as ramp or the cluster told beside their statuses.
pub(super) fn blocked_reason(recorded: &Recorded) -> Option<&str> {
    let rule = |event: &&EventRow| {
        matches!(event.kind.as_str(), "rule" | "noted_rule") && event.object.starts_with("rule/blocked")
    };
    if let Some(fired) = recorded.events.iter().rfind(rule) {
        return Some(
            fired.message.split_once(" cannot start: ").map_or(fired.message.as_str(), |(_, reason)| reason),
        );
    }
    if recorded.running().count == 0
        && let Some(note) =
            recorded.events.iter().rfind(|event| event.kind == "note" && event.reason == "Blocked")
    {
        return Some(note.message.split_once(": ").map_or(note.message.as_str(), |(_, reason)| reason));
    }
    // A run without the rule, or by an earlier version: nothing was created after the refusal.
    let refused =
        recorded.events.iter().rfind(|event| event.kind == "cluster" && event.reason == "FailedCreate")?;
    let came_later = recorded.pods.iter().any(|row| {
        row.from.is_none() && row.to != State::Gone.name() && row.elapsed_seconds > refused.elapsed_seconds
    });
    (!came_later && refused.message.contains("exceeded quota")).then_some(refused.message.as_str())
}

/// Whether each instance that did not hold its memory in the end had the time to: several times what the slowest took that got there.
fn all_had_their_time(data: &Dataset, recorded: &Recorded) -> bool {
    let until = until(data);
    let mut made: std::collections::HashMap<&str, (f64, bool)> = std::collections::HashMap::new();
    let mut slowest = 0.0_f64;
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        if row.elapsed_seconds > until {
            break;
        }
        let (since, is_held) = made.entry(&row.uid).or_insert((*seconds, false));
        match row.to.parse::<State>() {
            Ok(State::Ready) => {
                slowest = slowest.max(seconds - *since);
                *is_held = true;
            }
            Ok(State::Gone | State::Evicted | State::Terminating) => *is_held = true,
            _ => *is_held = false,
        }
    }
    let end = if until.is_finite() { until } else { data.end_seconds() };
    // Where none got there nobody knows how long it takes.
    if slowest <= 0.0 {
        return false;
    }
    let enough = (HAD_ITS_TIME * slowest).max(AT_LEAST_SECONDS);
    made.values().all(|(since, is_held)| *is_held || end - since >= enough)
}

/// The first of [`IN_A_ROW`] steps for which something holds. Steps of which it is not known neither count nor interrupt.
fn first_in_a_row<'d>(
    up: &[(usize, &'d Step)],
    holds: impl Fn(&Step) -> Option<bool>,
) -> Option<(usize, &'d Step)> {
    let known: Vec<_> = up.iter().filter_map(|at| holds(at.1).map(|holds| (holds, *at))).collect();
    let row = known.windows(IN_A_ROW).find(|row| row.iter().all(|(holds, _)| *holds))?;
    row.first().map(|(_, at)| *at)
}

fn full<'d>(up: &[(usize, &'d Step)]) -> Option<RuleMatch<'d>> {
    let at = first_in_a_row(up, |step| step.memory.free.map(|free| free < FULL_BELOW_BYTES))?;
    Some((SaturationRule::NodesFull, at))
}

/// The earliest step after which an instance is lost or not placed. What was there at the first step was left by an earlier run.
fn lost<'d>(up: &[(usize, &'d Step)]) -> Option<RuleMatch<'d>> {
    let (_, start) = *up.first()?;
    let more = |rule: SaturationRule, of: fn(&Step) -> Option<u32>| {
        let before = of(start).unwrap_or(0);
        let at = up.iter().find(|(_, step)| of(step).is_some_and(|now| now > before))?;
        Some((rule, *at))
    };
    // A pod that has just been made is pending for a moment under any scheduler.
    let waiting = first_in_a_row(up, |step| step.pending.map(|pending| pending > 0))
        .filter(|_| up.iter().all(|(_, step)| step.unschedulable.is_none()))
        .map(|at| (SaturationRule::Unschedulable, at));
    let found = [
        more(SaturationRule::OomKilled, |step| step.oom_kills_total),
        more(SaturationRule::Evicted, |step| step.evictions_total.or(step.evicted)),
        more(SaturationRule::Failed, |step| step.failed),
        more(SaturationRule::Unschedulable, |step| step.unschedulable),
        waiting,
    ];
    found.into_iter().flatten().min_by_key(|(_, (index, _))| *index)
}

/// The first step with about as many there as ever, where at least three later ones asked for more and most of that did not come.
fn stopped_rising<'d>(up: &[(usize, &'d Step)], there: impl Fn(&Step) -> u32) -> Option<RuleMatch<'d>> {
    let most = up.iter().map(|(_, step)| there(step)).max()?;
    let at = up.iter().position(|(_, step)| f64::from(there(step)) >= RISEN * f64::from(most))?;
    let (_, step) = up.get(at)?;
    let later = || up.iter().skip(at + 1).filter(|(_, later)| later.asked > step.asked);
    let more = later().filter_map(|(_, later)| later.asked).max().unwrap_or(0);
    let asked = more.saturating_sub(step.asked.unwrap_or(0));
    let came = later().map(|(_, later)| there(later)).max().unwrap_or(0).saturating_sub(there(step));
    let stopped = later().count() >= IN_A_ROW && f64::from(came) < (1.0 - MISSING) * f64::from(asked);
    stopped.then(|| up.get(at).map(|at| (SaturationRule::StoppedRising, *at)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    const MIB: u64 = 1 << 20;

    fn found(data: &Dataset) -> (u32, SaturationRule) {
        let found = saturation(data, &[], &[]).saturation.unwrap();
        (found.step, found.rule)
    }

    #[test]
    fn nodes_are_full_from_the_first_of_three_steps_in_a_row() {
        // One bad sample at 3, then from 6 on.
        let free = [9000, 8000, 100, 7000, 2000, 900, 800, 700];
        let full = data(steps(8, |step, at| step.memory.free = Some(free[at] * MIB)));
        assert_eq!(found(&full), (6, SaturationRule::NodesFull));
        let with_a_gap = data(steps(8, |step, at| step.memory.free = (at != 6).then(|| free[at] * MIB)));
        assert!(saturation(&with_a_gap, &[], &[]).saturation.is_err(), "two that are known are not three");
    }

    #[test]
    fn where_they_never_are_it_is_the_first_loss() {
        let lost = data(steps(9, |step, at| {
            step.memory.free = Some(9000 * MIB);
            // One was left by an earlier run.
            step.evicted = Some(if at < 5 { 1 } else { 2 });
            step.oom_kills_total = Some(u32::from(at >= 7));
        }));
        assert_eq!(found(&lost), (6, SaturationRule::Evicted));
        let waiting = data(steps(9, |step, at| step.pending = Some(u32::from(at == 2 || at >= 4))));
        assert_eq!(found(&waiting), (5, SaturationRule::Unschedulable), "pending for a moment is none");
    }

    #[test]
    fn where_nothing_is_lost_it_is_where_no_more_came_to_be_at_work() {
        let stopped = data(steps(10, |step, _| step.running = step.step.min(6)));
        assert_eq!(found(&stopped), (6, SaturationRule::StoppedRising));
        // One restarts now and then: it is the start of the plateau that counts, not its highest point.
        let wavering = data(steps(90, |step, _| {
            step.running = step.step.min(40) - u32::from(step.step > 30 && step.step != 77);
        }));
        let at = saturation(&wavering, &[], &[]).saturation.unwrap();
        assert_eq!((at.step, at.instances, at.rule), (39, 38, SaturationRule::StoppedRising));
    }

    #[test]
    fn a_ramp_that_rises_to_its_end_is_not_saturated_however_long_it_is() {
        for count in [10, 60, 100, 1000] {
            let rising = data(steps(count, |step, _| step.memory.free = Some(9000 * MIB)));
            let verdict = saturation(&rising, &[], &[]);
            assert_eq!((verdict.saturated(), verdict.up_to), (Some(false), Some(count)));
            let why = verdict.saturation.unwrap_err().to_string();
            assert_eq!(why, format!("n/a: no resource ran out in {count} steps, at least 9216000 KiB free"));
        }
    }
}
