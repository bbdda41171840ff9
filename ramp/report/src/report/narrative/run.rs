//! Sentences on one run.

use super::super::figure::Unit;
use super::super::{components, format, registry, startup_phases};
use super::sentence::{Section, Sentence, says, sentence_case};
use crate::analysis::external_changes::noticed_changes;
use crate::analysis::failure_modes::Resource;
use crate::analysis::goodput::{GoodputCourse, PROGRESS};
use crate::analysis::latency::{LoadLevel, QUARTERS};
use crate::analysis::results::RunResults;
use crate::analysis::search::{LevelShare, SearchResult};
use crate::analysis::teardown::{Leak, Returned};
use crate::analysis::{Estimate, SaturationRule};
use crate::dataset::{Dataset, ObservationGaps, SEEN_LATE_SECONDS, Source};
use crate::stats::LITTLE_BYTES;
use ramp_format::text::count;

pub(super) fn section(data: &Dataset, found: &RunResults) -> Section {
    let mut sentences = Vec::new();
    sentences.extend(data.notes.iter().map(|note| says(sentence_case(note) + ".", "input")));
    sentences.extend(stale(data));
    match &found.search {
        Ok(search) => sentences.extend(searched(search)),
        Err(_) => sentences.push(saturation(data, found)),
    }
    sentences.extend(broke(found));
    sentences.extend(changed(found));
    sentences.extend(noticed(data));
    sentences.extend(seen_late(data));
    if found.mixed.is_empty() {
        sentences.push(usage(data, found));
        sentences.push(marginal_cost(data, found));
        sentences.extend(components::sentences(found));
        let of_pods = data.pod_latencies().and_then(|_| super::kube_burner::startup(found));
        let mut started = of_pods.unwrap_or_else(|| startup(&found.latency));
        if found.search.is_ok() {
            started.rule += "; of a search, of instances made in levels that held";
        }
        sentences.push(started);
        sentences.extend(phases(found));
    } else {
        sentences.extend(super::mixed::sentences(data, found));
    }
    sentences.extend(super::cpu::of_run(data, found));
    sentences.push(goodput(data, &found.goodput));
    sentences.extend(teardown(data, found));
    sentences.push(leak(found));
    Section { title: data.name.clone(), sentences }
}

fn stale(data: &Dataset) -> Option<Sentence> {
    let cells = data.cells();
    let percent = cells.stale_percent().filter(|_| cells.stale + cells.missing > 0)?;
    let text = format!(
        "Of {} node samples {} ({percent:.1}%) are stale and {} missing; fits leave them out.",
        cells.all, cells.stale, cells.missing
    );
    Some(says(text, registry::stale_rule(data)))
}

fn saturation(data: &Dataset, found: &RunResults) -> Sentence {
    let rule = || format!("saturation: {}", registry::saturation_rule(data));
    let verdict = &found.estimates.saturation;
    match (&verdict.saturation, verdict.up_to) {
        (Ok(at), _) => {
            let instances = count(at.instances, "instance");
            let requested = if at.rule == SaturationRule::StoppedRising { "" } else { " requested" };
            says(format!("Saturated at step {}, with {instances}{requested}.", at.step), at.rule.to_string())
        }
        (Err(why), Some(_)) => says(format!("Saturation: {}.", why.0), rule()),
        (Err(why), None) => says(format!("Saturation: n/a: {}.", why.0), rule()),
    }
}

/// Levels of a search that are told by number.
const REASONS_TOLD: usize = 3;

fn searched(search: &SearchResult) -> Vec<Sentence> {
    let rule = "search: a level holds where all of its instances become ready, and none is lost or stalls for the time of --hold; \
                thresholds of the climbs are taken as normal, each between the last level that held and the first that did not";
    let text = match &search.held {
        Ok(held) => format!("{}, by {}.", held.words(), search.thresholds_words()),
        Err(why) => format!("Instances that hold with a probability of 95%: n/a: {}.", why.0),
    };
    let mut sentences = vec![says(text, rule)];
    if !search.levels.is_empty() {
        let level = |at: &LevelShare| {
            let (low, high) = (100.0 * at.interval.low, 100.0 * at.interval.high);
            format!("{} in {} of {} ({low:.0} to {high:.0}%)", at.level, at.held, at.of)
        };
        let all: Vec<String> = search.levels.iter().map(level).collect();
        sentences.push(says(
            format!("Levels that held: {}.", all.join(", ")),
            "levels: in how many of the climbs that tell of it each number of instances held, with the 95% interval of that share (Wilson)",
        ));
    }
    if !search.reasons.is_empty() {
        let told = search.reasons.iter().take(REASONS_TOLD);
        let told: Vec<String> = told.map(|(reason, times)| format!("{reason} ({times})")).collect();
        let more = search.reasons.len().saturating_sub(REASONS_TOLD);
        let more = if more == 0 { String::new() } else { format!("; {more} more in steps.csv") };
        sentences.push(says(
            format!("Levels did not hold because: {}{more}.", told.join("; ")),
            "reasons: of the first instance that was lost or not ready in each level that did not hold",
        ));
    }
    if let Some((levels, why)) = &search.unknown {
        let levels = count(*levels as u64, "level");
        let why = if why.is_empty() { "interrupted" } else { why };
        sentences.push(says(
            format!(
                "Of {levels} it is not known whether they held, and they count for nothing; the last: {why}."
            ),
            "unknown: others changed the instances, nothing was observed, or the step was interrupted",
        ));
    }
    sentences
}

fn changed(found: &RunResults) -> Option<Sentence> {
    let all: Vec<String> =
        found.changed_by_others.iter().map(|change| format!("{change} (step {})", change.step)).collect();
    (!all.is_empty()).then(|| {
        says(
            format!("Population changed by others: {}.", all.join("; ")),
            "changed by others: instances that ended or came while ramp scaled up, not for lack of a resource",
        )
    })
}

/// Changes by others that are told by name; further ones are counted.
const NOTICED_TOLD: usize = 5;

/// What the run has noticed of others while it went on: an image, arguments or a label that was changed, a Deployment that was deleted.
fn noticed(data: &Dataset) -> Option<Sentence> {
    let recorded = data.recorded()?;
    let all: Vec<String> = noticed_changes(recorded)
        .map(|event| format!("{}: {} (step {})", event.object, event.message, event.step))
        .collect();
    let more = all.len().saturating_sub(NOTICED_TOLD);
    let told = all.iter().take(NOTICED_TOLD).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = if more == 0 { String::new() } else { format!("; {more} more in events.csv") };
    (!told.is_empty()).then(|| {
        says(
            format!("Changed by others during the run: {told}{more}."),
            "noticed by ramp: events of the reason ChangedByOthers",
        )
    })
}

fn seen_late(data: &Dataset) -> Option<Sentence> {
    let recorded = data.recorded()?;
    (recorded.seen_late > 0).then(|| {
        says(
            format!(
                "{} observed late{}: times are the cluster's own, in whole seconds.",
                match recorded.seen_late {
                    1 => "1 transition was".to_owned(),
                    count => format!("{count} transitions were"),
                },
                // Without a gap it was the source that told late, such as a kubelet with many updates to send.
                match ObservationGaps::of_the_api(&recorded.events) == ObservationGaps::default() {
                    true => "",
                    false => ", while the API or the watch was unavailable",
                }
            ),
            format!(
                "observed late: at least {SEEN_LATE_SECONDS} s later than others after the source's timestamp"
            ),
        )
    })
}

fn broke(found: &RunResults) -> Option<Sentence> {
    let (first, later) = found.breaks.split_first()?;
    let when = |seconds: Option<f64>| {
        seconds.map_or_else(String::new, |at| format!(", after {}", format::seconds(at)))
    };
    let what = format!("{} at step {}{}", first.what, first.step, when(first.elapsed_seconds));
    let mut text = match first.resource {
        Resource::Unknown => sentence_case(&what),
        resource => format!("First limit reached: {resource}: {what}"),
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
    Some(says(text, "failure modes: the first occurrence of each, by time; resources as named by the source"))
}

fn usage(data: &Dataset, found: &RunResults) -> Sentence {
    let usage = &found.estimates.usage;
    let (what, rule) = match data.source {
        Source::LegacyCsv | Source::KubeBurner(_) => (
            "Active memory per container",
            "usage per container: active memory of all nodes ÷ running instances, stale rows included, idle cluster not subtracted"
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
                Ok(at) => format!("{:.0} MiB at saturation", at.mib),
                Err(why) => format!("n/a at saturation ({})", why.0),
            };
            let (least, most) = (min.mib, max.mib);
            let text = format!(
                "{what}: {at}; minimum {least:.0} MiB (step {}), maximum {most:.0} MiB (step {}).",
                min.step, max.step
            );
            says(text, rule)
        }
        (Err(why), _) | (_, Err(why)) => says(format!("{what}: n/a: {}.", why.0), rule),
    }
}

fn marginal_cost(data: &Dataset, found: &RunResults) -> Sentence {
    let rule = format!(
        "marginal cost: memory of each additional instance before saturation, with its {}",
        format::confidence()
    );
    match &found.estimates.marginal_cost {
        Ok(cost) => says(
            format!(
                "Each additional instance costs {}, that is {}{}{}.",
                Unit::Bytes.with_interval(cost.bytes, cost.interval),
                format::mib(cost.bytes),
                format::of_which_swapped(cost, &found.estimates.swapped),
                format::with_sidecars(data)
            ),
            format!("{rule}; {}", cost.inputs),
        ),
        Err(why) => says(format!("Marginal cost: n/a: {}.", why.0), rule),
    }
}

fn startup(latency: &Estimate<Vec<LoadLevel>>) -> Sentence {
    let rule = format!(
        "startup latency: from creation to holding all memory, Kaplan–Meier, in {QUARTERS} load levels up to saturation; instances that \
         never got there are censored"
    );
    let levels = match latency {
        Ok(levels) if levels.is_empty() => return says("No instance was created.".into(), rule),
        Ok(levels) => levels,
        Err(why) => return says(format!("Startup latency: n/a: {}.", why.0), rule),
    };
    let level = |level: &LoadLevel| {
        let range = match level.to {
            Some(to) if to.saturating_sub(1) <= level.from => level.from.to_string(),
            Some(to) => format!("{} to {}", level.from, to.saturating_sub(1).max(level.from)),
            None => format!("{} or more", level.from),
        };
        let survival = &level.survival;
        let never = match survival.censored {
            0 => String::new(),
            count => format!(", {count} of {} not ready", survival.count),
        };
        format!(
            "{} with {range} running (p90 {}{never})",
            format::quantile(survival.quantile(0.5)),
            format::quantile(survival.quantile(0.9))
        )
    };
    says(format!("Median time to ready: {}.", levels.iter().map(level).collect::<Vec<_>>().join(", ")), rule)
}

fn phases(found: &RunResults) -> Vec<Sentence> {
    let phases = found.phases.as_ref().ok().and_then(startup_phases::sentence);
    let burst = found.burst.as_ref().ok().map(startup_phases::burst_sentence);
    phases.into_iter().chain(burst).map(|(text, rule)| says(text, rule)).collect()
}

fn goodput(data: &Dataset, course: &Estimate<GoodputCourse>) -> Sentence {
    let course = match course {
        Ok(course) => course,
        Err(why) => {
            return says(
                format!("Goodput: n/a: {}.", why.0),
                "goodput: instances that hold their memory and make progress",
            );
        }
    };
    let rule = format!(
        "goodput: instances that hold all of their memory, whose last report is no older than {} and tells of at least {} of the CPU \
         time due since the one before",
        format::seconds(course.counts_seconds),
        format::share(PROGRESS)
    );
    let most = course.steps.iter().max_by_key(|at| at.instances);
    let at = |index: usize| data.steps.get(index);
    let text = match (most, course.largest_gap) {
        (Some(most), Some((gap, index))) if gap > 0 => format!(
            "Up to {} held their memory and made progress (step {}); up to {gap} of {} running did not (step {}).",
            count(most.instances, "instance"),
            at(most.index).map_or(0, |step| step.step),
            at(index).map_or(0, |step| step.running),
            at(index).map_or(0, |step| step.step)
        ),
        (Some(most), _) => format!(
            "All running instances held their memory and made progress, up to {} (step {}).",
            most.instances,
            at(most.index).map_or(0, |step| step.step)
        ),
        (None, _) => "Goodput: n/a: no step has ended.".into(),
    };
    says(text, rule)
}

fn teardown(data: &Dataset, found: &RunResults) -> Vec<Sentence> {
    let rule = "termination: from the request to terminate an instance until it is gone, Kaplan–Meier";
    let text = match &found.terminations {
        Ok(survival) => format!(
            "Median time to terminate: {} (p90 {}), of {} on nodes.",
            format::quantile(survival.quantile(0.5)),
            format::quantile(survival.quantile(0.9)),
            count(survival.count as u64, "instance")
        ),
        Err(why) => format!("Termination time: n/a: {}.", why.0),
    };
    let mut sentences = vec![says(text, rule)];
    if let Ok(teardown) = crate::analysis::teardown::teardown(data)
        && teardown.instances > 0
    {
        let all = count(teardown.instances, "instance");
        let text = match (teardown.seconds, teardown.left.as_slice()) {
            (Some(seconds), _) => format!("Teardown of {all} took {}.", format::seconds(seconds)),
            (None, []) => format!("Teardown of {all} did not finish in time."),
            (None, left) => format!("Teardown of {all} did not finish; left: {}.", left.join(", ")),
        };
        sentences
            .push(says(text, "teardown: from the request to remove all instances until the last is gone"));
    }
    sentences
}

fn leak(found: &RunResults) -> Sentence {
    let share = format::share(Leak::SHARE);
    let rule = format!(
        "leak: memory that kernels hold after the last instance, once steady, minus what they held before the first step; it is a leak \
         where its {}, without background changes of the machines, is above {} per machine and {share} of what the instances held, and \
         nothing else came or went",
        format::confidence(),
        format::mib(LITTLE_BYTES)
    );
    let leak = match &found.leak {
        Ok(leak) => leak,
        Err(why) => return says(format!("Leak: n/a: {}.", why.0), rule),
    };
    let Leak { instances, retained, .. } = leak;
    let figures = format!(
        "{} {} held than before the first step, {} after the last of {} was gone",
        format::mb(retained.missing_bytes.abs()),
        if retained.missing_bytes >= 0.0 { "more" } else { "less" },
        format::seconds(retained.waited_seconds),
        count(*instances, "instance"),
    );
    let between = leak.interval.map_or_else(String::new, |interval| {
        let (low, high) = (format::mb(interval.low), format::mb(interval.high));
        // Instances take no memory away from what was there before them.
        match interval.low < -leak.matters_bytes() {
            true => {
                format!(
                    "; how much of it because of the instances cannot be told ({} {low} to {high})",
                    format::confidence()
                )
            }
            false => format!("; {low} to {high} of it because of the instances"),
        }
    });
    let text = match leak.returned() {
        Returned::All if leak.is_others_doing() => {
            format!("Memory returned, apart from background changes of the machines: {figures}{between}.")
        }
        Returned::All if retained.missing_bytes > retained.kernels as f64 * LITTLE_BYTES => {
            format!("Memory returned, except for less than {share} of what the instances held: {figures}.")
        }
        Returned::All => format!("Memory returned: {figures}."),
        Returned::NotAll => format!("Memory did not return: {figures}{between}."),
        Returned::NotSteady if retained.steady == Some(false) => {
            format!("Leak: n/a: memory was still returning ({figures}).")
        }
        Returned::NotSteady => format!("Leak: n/a: not observed for long enough ({figures})."),
        Returned::CannotTell => {
            format!(
                "Leak: n/a: not distinguishable from background changes of the machines: {figures}{between}."
            )
        }
    };
    says(text, rule)
}
