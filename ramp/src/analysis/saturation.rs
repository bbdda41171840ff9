//! The step at which a run was saturated, and by which of three rules.

use std::fmt;

use super::{Estimate, cannot_say};
use crate::dataset::{Dataset, Step};

/// Free memory of all nodes below which they are full: 10^6 KiB, as in the study.
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
    /// How many instances there were: those asked for by then, or where that is not known, or where no more came to be at work, those
    /// at work.
    pub instances: u32,
    /// Which rule says so.
    pub rule: Rule,
}

/// Why a step is the one of saturation. The first that holds anywhere in the run is the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The first of three steps in a row with less than 10^6 KiB of free memory on all nodes together.
    NodesFull,
    /// The nodes were never full: the first eviction.
    Evicted,
    /// The nodes were never full: the first OOM kill.
    OomKilled,
    /// The nodes were never full: the first instance that has failed.
    Failed,
    /// The nodes were never full: the first instance that no node has room for.
    Unschedulable,
    /// None of these: more were asked for, and no more came to be at work. The first step with so many of the most at work that all
    /// later ones together brought less than a twentieth.
    StoppedRising,
}

/// Of the largest number at work, so much is there where it stopped rising: instances that restart come and go.
const RISEN: f64 = 0.95;

impl Rule {
    /// What kind of end this is: only saturations of one kind can be held against each other.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NodesFull => "the nodes were full",
            Self::Evicted | Self::OomKilled | Self::Failed | Self::Unschedulable => {
                "an instance was lost or not placed"
            }
            Self::StoppedRising => "no more instances came to be at work",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodesFull => "first of three steps in a row with less than 10^6 KiB free on all nodes",
            Self::Evicted => "never full: first eviction",
            Self::OomKilled => "never full: first OOM kill",
            Self::Failed => "never full: first instance that failed",
            Self::Unschedulable => "never full: first instance that no node has room for",
            Self::StoppedRising => {
                "never full, nothing lost: more were asked for and no more came to be at work"
            }
        })
    }
}

/// The step at which a run was saturated.
///
/// # Errors
/// Where nothing ran out.
pub(super) fn saturation(data: &Dataset) -> Estimate<Saturation> {
    let up: Vec<(usize, &Step)> = data.way_up().collect();
    let found = full(&up).or_else(|| lost(&up)).or_else(|| stopped_rising(&up));
    let Some((rule, (index, step))) = found else {
        let free = up.iter().filter_map(|(_, step)| step.memory.free).min();
        let free = free
            .map_or_else(String::new, |bytes| format!(", with never less than {} KiB free", bytes / 1024));
        return cannot_say(format!("nothing ran out in {} steps{free}", up.len()));
    };
    let asked = step.asked.filter(|_| rule != Rule::StoppedRising);
    Ok(Saturation { step: step.step, index, instances: asked.unwrap_or(step.running), rule })
}

type Found<'d> = (Rule, (usize, &'d Step));

/// The first of [`IN_A_ROW`] steps for which something holds. Steps of which it is not known neither count nor interrupt.
fn first_in_a_row<'d>(
    up: &[(usize, &'d Step)],
    holds: impl Fn(&Step) -> Option<bool>,
) -> Option<(usize, &'d Step)> {
    let known: Vec<_> = up.iter().filter_map(|at| holds(at.1).map(|holds| (holds, *at))).collect();
    let row = known.windows(IN_A_ROW).find(|row| row.iter().all(|(holds, _)| *holds))?;
    row.first().map(|(_, at)| *at)
}

fn full<'d>(up: &[(usize, &'d Step)]) -> Option<Found<'d>> {
    let at = first_in_a_row(up, |step| step.memory.free.map(|free| free < FULL_BELOW_BYTES))?;
    Some((Rule::NodesFull, at))
}

/// The earliest step after which an instance is lost or not placed. What was there at the first step was left by an earlier run.
fn lost<'d>(up: &[(usize, &'d Step)]) -> Option<Found<'d>> {
    let (_, start) = *up.first()?;
    let more = |rule: Rule, of: fn(&Step) -> Option<u32>| {
        let before = of(start).unwrap_or(0);
        let at = up.iter().find(|(_, step)| of(step).is_some_and(|now| now > before))?;
        Some((rule, *at))
    };
    // A pod that has just been made is pending for a moment under any scheduler.
    let waiting = first_in_a_row(up, |step| step.pending.map(|pending| pending > 0))
        .filter(|_| up.iter().all(|(_, step)| step.unschedulable.is_none()))
        .map(|at| (Rule::Unschedulable, at));
    let found = [
        more(Rule::OomKilled, |step| step.oom_kills_total),
        more(Rule::Evicted, |step| step.evictions_total.or(step.evicted)),
        more(Rule::Failed, |step| step.failed),
        more(Rule::Unschedulable, |step| step.unschedulable),
        waiting,
    ];
    found.into_iter().flatten().min_by_key(|(_, (index, _))| *index)
}

/// The first step with about as many at work as ever, where at least three later ones asked for more.
fn stopped_rising<'d>(up: &[(usize, &'d Step)]) -> Option<Found<'d>> {
    let most = up.iter().map(|(_, step)| step.running).max()?;
    let at = up.iter().position(|(_, step)| f64::from(step.running) >= RISEN * f64::from(most))?;
    let (_, step) = up.get(at)?;
    let later = up.iter().skip(at + 1).filter(|(_, later)| later.asked > step.asked).count();
    (later >= IN_A_ROW).then(|| up.get(at).map(|at| (Rule::StoppedRising, *at)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    const MIB: u64 = 1 << 20;

    fn found(data: &Dataset) -> (u32, Rule) {
        let found = saturation(data).unwrap();
        (found.step, found.rule)
    }

    #[test]
    fn nodes_are_full_from_the_first_of_three_steps_in_a_row() {
        // One bad sample at 3, then from 6 on.
        let free = [9000, 8000, 100, 7000, 2000, 900, 800, 700];
        let full = data(steps(8, |step, at| step.memory.free = Some(free[at] * MIB)));
        assert_eq!(found(&full), (6, Rule::NodesFull));
        let with_a_gap = data(steps(8, |step, at| step.memory.free = (at != 6).then(|| free[at] * MIB)));
        assert!(saturation(&with_a_gap).is_err(), "two that are known are not three");
    }

    #[test]
    fn where_they_never_are_it_is_the_first_loss() {
        let lost = data(steps(9, |step, at| {
            step.memory.free = Some(9000 * MIB);
            // One was left by an earlier run.
            step.evicted = Some(if at < 5 { 1 } else { 2 });
            step.oom_kills_total = Some(u32::from(at >= 7));
        }));
        assert_eq!(found(&lost), (6, Rule::Evicted));
        let waiting = data(steps(9, |step, at| step.pending = Some(u32::from(at == 2 || at >= 4))));
        assert_eq!(found(&waiting), (5, Rule::Unschedulable), "pending for a moment is none");
    }

    #[test]
    fn where_nothing_is_lost_it_is_where_no_more_came_to_be_at_work() {
        let stopped = data(steps(10, |step, _| step.running = step.step.min(6)));
        assert_eq!(found(&stopped), (6, Rule::StoppedRising));
        // One restarts now and then: it is the start of the plateau that counts, not its highest point.
        let wavering = data(steps(90, |step, _| {
            step.running = step.step.min(40) - u32::from(step.step > 30 && step.step != 77);
        }));
        let at = saturation(&wavering).unwrap();
        assert_eq!((at.step, at.instances, at.rule), (39, 38, Rule::StoppedRising));
        let rising = data(steps(10, |step, _| step.memory.free = Some(9000 * MIB)));
        let why = saturation(&rising).unwrap_err().to_string();
        assert_eq!(why, "cannot say: nothing ran out in 10 steps, with never less than 9216000 KiB free");
    }
}
