//! What one run says.

use super::super::format;
use super::{Section, Sentence, says, sentence_case};
use crate::analysis::failure_modes::Resource;
use crate::analysis::goodput::GoodputCourse;
use crate::analysis::latency::LoadLevel;
use crate::analysis::results::RunResults;
use crate::analysis::teardown::{Leak, Returned};
use crate::analysis::{Estimate, SaturationRule};
use crate::dataset::{Dataset, Source};
use crate::stats::LITTLE_BYTES;
use ramp_format::text::count;

pub(super) fn section(data: &Dataset, found: &RunResults) -> Section {
    let mut sentences = Vec::new();
    sentences.extend(data.notes.iter().map(|note| says(sentence_case(note) + ".", "as read")));
    sentences.extend(stale(data));
    sentences.push(saturation(found));
    sentences.extend(broke(found));
    sentences.extend(changed(found));
    sentences.extend(seen_late(data));
    sentences.push(usage(data, found));
    sentences.push(marginal_cost(found));
    sentences.push(startup(&found.latency));
    sentences.push(goodput(data, &found.goodput));
    sentences.extend(teardown(data, found));
    sentences.push(leak(found));
    Section { title: data.name.clone(), sentences }
}

fn stale(data: &Dataset) -> Option<Sentence> {
    let cells = data.cells();
    let (stale, missing) = (cells.stale as u64, cells.missing as u64);
    let percent = cells.stale_percent().filter(|_| stale + missing > 0)?;
    Some(says(
        format!(
            "Of {} node samples {stale} ({percent:.1} %) only repeat an older one and {missing} are missing; no fit has them.",
            cells.all
        ),
        match data.source {
            Source::Study => {
                "stale: active and free memory of a node both equal those of its row before; missing: both are 0"
            }
            Source::Run(_) => {
                "stale: recorded again without a newer sample; missing: a gap in the node's stream"
            }
        },
    ))
}

fn saturation(found: &RunResults) -> Sentence {
    let rule = "saturation: the first instance lost to a resource or without room, else no more held although they had the time; of the \
                study's files: the nodes full, else a loss, else no more at work";
    let verdict = &found.estimates.saturation;
    match (&verdict.saturation, verdict.saturated()) {
        (Ok(at), _) => {
            let instances = count(at.instances, "instance");
            let are = if at.rule == SaturationRule::StoppedRising { "there" } else { "asked for" };
            says(format!("Saturated at step {}, with {instances} {are}.", at.step), at.rule.to_string())
        }
        (Err(why), Some(false)) => says(format!("Saturation: {}.", why.0), rule),
        (Err(why), _) => says(format!("Saturation cannot be said: {}.", why.0), rule),
    }
}

fn changed(found: &RunResults) -> Option<Sentence> {
    let all: Vec<String> =
        found.changed_by_others.iter().map(|change| format!("{change} (step {})", change.step)).collect();
    (!all.is_empty()).then(|| {
        says(
            format!("Others changed the population: {}.", all.join("; ")),
            "changed by others: instances that ended or came while ramp asked for more, and not for want of anything",
        )
    })
}

fn seen_late(data: &Dataset) -> Option<Sentence> {
    let Source::Run(recorded) = &data.source else { return None };
    (recorded.seen_late > 0).then(|| {
        says(
            format!(
                "{} seen late, while the API or the watch was away: times are those that the cluster tells, in whole seconds.",
                match recorded.seen_late {
                    1 => "1 transition was".to_owned(),
                    count => format!("{count} transitions were"),
                }
            ),
            "seen late: 2.5 s and more later than others after the source's own time",
        )
    })
}

fn broke(found: &RunResults) -> Option<Sentence> {
    let (first, later) = found.breaks.split_first()?;
    let when = |seconds: Option<f64>| {
        seconds.map_or_else(String::new, |at| format!(", after {}", format::seconds(at)))
    };
    let mut text = match first.resource {
        Resource::Unknown => {
            format!("{} at step {}{}", sentence_case(first.what), first.step, when(first.elapsed_seconds))
        }
        resource => format!(
            "The first to give way was {resource}: {} at step {}{}",
            first.what,
            first.step,
            when(first.elapsed_seconds)
        ),
    };
    if !first.evidence.is_empty() {
        text += &format!(" (“{}”)", first.evidence);
    }
    text.push('.');
    if !later.is_empty() {
        let later: Vec<String> =
            later.iter().map(|later| format!("{} at step {}", later.what, later.step)).collect();
        text += &format!(" Then: {}.", later.join("; "));
    }
    Some(says(
        text,
        "what gave way: the first time of each, in the order of time; the resource is the one that is named",
    ))
}

fn usage(data: &Dataset, found: &RunResults) -> Sentence {
    let usage = &found.estimates.usage;
    let (what, rule) = match data.source {
        Source::Study => (
            "Active memory per container",
            "usage per container: active memory of all nodes ÷ instances at work, stale rows too, the idle cluster not subtracted"
                .to_owned(),
        ),
        Source::Run(_) => (
            "Memory per container",
            format!("usage per container: {} ÷ instances held", data.usage_measure()),
        ),
    };
    match (&usage.min, &usage.max) {
        (Ok(min), Ok(max)) => {
            let at = match &usage.at_saturation {
                Ok(at) => format!("is {:.0} MiB at saturation", at.mib),
                Err(why) => format!("at saturation cannot be said ({})", why.0),
            };
            says(
                format!(
                    "{what} {at}, at least {:.0} MiB (step {}), at most {:.0} MiB (step {}).",
                    min.mib, min.step, max.mib, max.step
                ),
                rule,
            )
        }
        (Err(why), _) | (_, Err(why)) => says(format!("{what} cannot be said: {}.", why.0), rule),
    }
}

fn marginal_cost(found: &RunResults) -> Sentence {
    let rule =
        "marginal cost, with its 95 % interval: what one instance more takes of memory, before saturation";
    match &found.estimates.marginal_cost {
        Ok(cost) => says(
            format!(
                "One instance more costs {} ({}; 95 % interval {} to {}).",
                format::mb(cost.bytes),
                format::mib(cost.bytes),
                format::mb(cost.interval.low),
                format::mb(cost.interval.high)
            ),
            format!("{rule}; {}", cost.inputs),
        ),
        Err(why) => says(format!("What one instance more costs cannot be said: {}.", why.0), rule),
    }
}

fn startup(latency: &Estimate<Vec<LoadLevel>>) -> Sentence {
    let rule = "startup latency: from being made to holding all memory, Kaplan–Meier, by quarters of the instances at saturation; \
                what never got there counts as longer than it was watched";
    let levels = match latency {
        Ok(levels) if levels.is_empty() => return says("No instance was made.".into(), rule),
        Ok(levels) => levels,
        Err(why) => return says(format!("Startup latency cannot be said: {}.", why.0), rule),
    };
    let level = |level: &LoadLevel| {
        let range = match level.to {
            Some(to) if to.saturating_sub(1) <= level.from => level.from.to_string(),
            Some(to) => format!("{} to {}", level.from, to.saturating_sub(1).max(level.from)),
            None => format!("{} and more", level.from),
        };
        let survival = &level.survival;
        let never = match survival.censored {
            0 => String::new(),
            count => format!(", {count} of {} not ready", survival.count),
        };
        format!(
            "{} with {range} at work (90 %: {}{never})",
            format::quantile(survival.quantile(0.5)),
            format::quantile(survival.quantile(0.9))
        )
    };
    says(
        format!(
            "The median time until an instance was ready: {}.",
            levels.iter().map(level).collect::<Vec<_>>().join(", ")
        ),
        rule,
    )
}

fn goodput(data: &Dataset, course: &Estimate<GoodputCourse>) -> Sentence {
    let course = match course {
        Ok(course) => course,
        Err(why) => {
            return says(
                format!("Goodput cannot be said: {}.", why.0),
                "goodput: instances that hold their memory and make progress",
            );
        }
    };
    let rule = format!(
        "goodput: holds all of its memory; its last report is no older than {}, and it got half of the CPU time that it was \
         to get since the one before",
        format::seconds(course.counts_seconds)
    );
    let most = course.steps.iter().max_by_key(|at| at.instances);
    let at = |index: usize| data.steps.get(index);
    let text = match (most, course.largest_gap) {
        (Some(most), Some((gap, index))) if gap > 0 => format!(
            "At most {} held their memory and made progress (step {}); the most that were at work and did not were {gap} of {}, \
             at step {}.",
            count(most.instances, "instance"),
            at(most.index).map_or(0, |step| step.step),
            at(index).map_or(0, |step| step.running),
            at(index).map_or(0, |step| step.step)
        ),
        (Some(most), _) => format!(
            "Each instance at work held its memory and made progress, {} at most (step {}).",
            most.instances,
            at(most.index).map_or(0, |step| step.step)
        ),
        (None, _) => "No step has an end.".into(),
    };
    says(text, rule)
}

fn teardown(data: &Dataset, found: &RunResults) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let rule = "teardown: from when an instance is told to end until it is gone, Kaplan–Meier";
    match &found.terminations {
        Ok(survival) => sentences.push(says(
            format!(
                "Of {} on nodes told to end the median was gone after {}, nine of ten after {}.",
                count(survival.count as u64, "instance"),
                format::quantile(survival.quantile(0.5)),
                format::quantile(survival.quantile(0.9))
            ),
            rule,
        )),
        Err(why) => {
            sentences.push(says(format!("How long instances take to end cannot be said: {}.", why.0), rule));
        }
    }
    if let Ok(teardown) = crate::analysis::teardown::teardown(data)
        && teardown.instances > 0
    {
        let all = count(teardown.instances, "instance");
        let text = match teardown.seconds {
            Some(seconds) if teardown.instances == 1 => {
                format!("The instance there at the end was gone after {}.", format::seconds(seconds))
            }
            Some(seconds) => {
                format!("The {all} there at the end were all gone after {}.", format::seconds(seconds))
            }
            None => format!("The {all} there at the end were not all seen to go: {}.", left(&teardown.left)),
        };
        sentences.push(says(text, "from the request to remove the population to the last instance gone"));
    }
    sentences
}

/// What is left, or why that is not known.
fn left(objects: &[String]) -> String {
    match objects {
        [] => "not in the time that ramp waits".into(),
        objects => objects.join(", "),
    }
}

fn leak(found: &RunResults) -> Sentence {
    let rule = "memory returned: what kernels hold after the last instance was gone, once that had stopped changing, less what \
                they held before the first step; told as left behind where its 95 % interval, without what the machines did of \
                their own, is above 8 MiB and a fiftieth of what the instances held, and nothing else came or went";
    let leak = match &found.leak {
        Ok(leak) => leak,
        Err(why) => return says(format!("Whether memory is left behind cannot be said: {}.", why.0), rule),
    };
    let Leak { missing_bytes, waited_seconds, instances, .. } = leak;
    let figures = format!(
        "{} {} held than before the first step, {} after the last of {} was gone",
        format::mb(missing_bytes.abs()),
        if *missing_bytes >= 0.0 { "more" } else { "less" },
        format::seconds(*waited_seconds),
        count(*instances, "instance"),
    );
    let between = leak.interval.map_or_else(String::new, |interval| {
        format!(
            "; of it {} to {} because of the instances",
            format::mb(interval.low),
            format::mb(interval.high)
        )
    });
    let text = match leak.returned() {
        Returned::All if leak.is_others_doing() => {
            format!("Memory came back, but for what the machines did of their own: {figures}{between}.")
        }
        Returned::All if *missing_bytes > leak.kernels as f64 * LITTLE_BYTES => {
            format!("Memory came back, but for less than a fiftieth of what the instances held: {figures}.")
        }
        Returned::All => format!("Memory came back: {figures}."),
        Returned::NotAll => format!("Memory did not come back: {figures}{between}."),
        Returned::NotSteady if leak.steady == Some(false) => {
            format!("Whether memory is left behind cannot be said: it was still coming back ({figures}).")
        }
        Returned::NotSteady => format!(
            "Whether memory is left behind cannot be said: it was not watched for long enough ({figures})."
        ),
        Returned::CannotTell => {
            format!(
                "Whether memory is left behind cannot be told from what the machines did of their own: {figures}{between}."
            )
        }
    };
    says(text, rule)
}
