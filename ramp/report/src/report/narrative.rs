//! The analysis in sentences. Each quotes its figures and names the rule that it follows.

mod comparison;
mod run;

use super::{Report, format};
use crate::analysis::results::{Compared, RunResults};
use crate::dataset::Dataset;
use ramp_format::text::count;

/// A sentence, and the rule by which it can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The sentence, with its figures.
    pub text: String,
    /// The rule.
    pub rule: String,
}

/// Sentences on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What they are about: a run, or two held against each other.
    pub title: String,
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

fn says(text: String, rule: impl Into<String>) -> Sentence {
    Sentence { text, rule: rule.into() }
}

/// The sentence that stands first.
#[must_use]
pub fn summary(report: &Report) -> String {
    let comparisons = &report.findings.comparisons;
    if comparisons.is_empty() {
        return report.runs().map(|(data, found)| of_one(data, found)).collect::<Vec<_>>().join(" ");
    }
    comparisons.iter().map(|compared| of_two(report, compared)).collect::<Vec<_>>().join(" ")
}

fn of_one(data: &Dataset, found: &RunResults) -> String {
    let estimates = &found.estimates;
    let mut sentence = match (&estimates.held, &estimates.running) {
        (_, Ok(most)) if most.count == 0 => format!("{}: no instance ran", data.name),
        (Ok(most), _) => {
            let held = count(most.count, "instance");
            format!("{}: at most {held} held all of their memory at once (step {})", data.name, most.step)
        }
        (Err(_), Ok(most)) => {
            let running = count(most.count, "instance");
            format!("{}: at most {running} at work at once (step {})", data.name, most.step)
        }
        (_, Err(why)) => format!("{}: nothing can be said ({})", data.name, why.0),
    };
    match (&estimates.saturation.saturation, estimates.saturation.saturated()) {
        (Ok(at), _) => sentence += &format!(", saturated at step {} ({})", at.step, at.rule),
        (Err(why), Some(false)) => sentence += &format!("; saturation: {}", why.0),
        (Err(why), _) => sentence += &format!("; {}", why.0),
    }
    match &estimates.marginal_cost {
        Ok(cost) => {
            sentence += &format!(
                "; one instance more costs {} (95 %: {} to {}).",
                format::mb(cost.bytes),
                format::number(cost.interval.low / 1e6),
                format::mb(cost.interval.high)
            );
        }
        Err(_) => sentence += "; what one instance more costs cannot be said.",
    }
    sentence
}

fn of_two(report: &Report, compared: &Compared) -> String {
    let findings = &report.findings;
    let (base, other) = (findings.name(compared.base), findings.name(compared.other));
    let runs = |group: usize| {
        let runs = findings.groups.get(group).map_or(&[][..], |group| &group.runs);
        runs.iter().filter_map(|run| findings.runs.get(*run))
    };
    // The study's files do not tell which hold their memory.
    let is_held = [compared.base, compared.other]
        .into_iter()
        .all(|group| runs(group).all(|run| run.estimates.held.is_ok()));
    let most = |group: usize| {
        let of = |run: &RunResults| {
            if is_held { run.estimates.held.clone() } else { run.estimates.running.clone() }
        };
        let counts = runs(group).filter_map(|run| of(run).ok());
        let mut counts: Vec<String> = counts.map(|most| most.count.to_string()).collect();
        counts.dedup();
        if counts.is_empty() { "an unknown number".to_owned() } else { counts.join(" and ") }
    };
    let what = if is_held { "held all of their memory at once" } else { "were at work at once" };
    let mut sentence = format!(
        "{base}: at most {} instances {what}; {other}: {}",
        most(compared.base),
        most(compared.other)
    );
    if let Ok(ratio) = compared.comparison.overhead_by_maximum {
        sentence += &match ratio {
            _ if ratio < 0.0 => format!("; {} less than none by maximum", format::percent(-ratio)),
            _ => format!("; an overhead of {} by maximum", format::percent(ratio)),
        };
    }
    match &compared.comparison.overhead_per_pod {
        Ok(per_pod) => {
            sentence += &format!(
                "; each pod costs {} {} (95 %: {} to {}).",
                format::mib(per_pod.bytes.abs()),
                if per_pod.bytes < 0.0 { "less" } else { "more" },
                format::number(crate::analysis::mib(per_pod.interval.low)),
                format::mib(per_pod.interval.high)
            );
        }
        Err(_) => sentence += "; what each pod costs more cannot be said.",
    }
    sentence
}

/// All sentences: of the comparisons, then of each run.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let compared = report.findings.comparisons.iter().map(|compared| comparison::section(report, compared));
    let runs = report.runs().map(|(data, found)| run::section(data, found));
    compared.chain(runs).collect()
}

/// With a capital letter, where it begins with a word and not with the name of a file.
fn sentence_case(text: &str) -> String {
    if text.split(' ').next().is_some_and(|word| word.contains('.')) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
