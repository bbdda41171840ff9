//! Sentences on two groups of runs, compared with each other.

use super::super::{Report, estimate_table, format};
use super::sentence::{Section, Sentence, says, sentence_case};
use crate::analysis::drift::MAY_EXPLAIN;
use crate::analysis::results::Compared;
use crate::stats::Interval;
use ramp_format::preflight::RuntimeClassFacts;

pub(super) fn section(report: &Report, compared: &Compared) -> Section {
    let [base, other] = report.names(compared);
    let mut sentences = Vec::new();
    for line in estimate_table::of_comparison(report, compared) {
        let name = sentence_case(line.name);
        sentences.push(match line.value {
            Ok(value) => says(format!("{name} of {other} over {base}: {value}."), line.basis),
            Err(why) => says(format!("{name}: n/a: {why}."), line.definition),
        });
    }
    sentences.extend(requests(compared, [base, other]));
    sentences.extend(capacities(compared, [base, other]));
    sentences.extend(pod_fixed(report, compared));
    sentences.extend(super::cpu::pod_fixed(report, compared));
    sentences.push(drift(compared));
    Section { title: format!("{other} against {base}"), sentences }
}

/// That a difference in instances held is one of requests.
fn requests(compared: &Compared, names: [&str; 2]) -> Option<Sentence> {
    let finding = compared.requests.as_ref().ok()?.finding(names)?;
    Some(says(
        finding + ".",
        "requests: a resource that instances lacked to be scheduled or admitted, and that the pods of both request different amounts of",
    ))
}

fn capacities(compared: &Compared, names: [&str; 2]) -> Option<Sentence> {
    let text = compared.capacities.sentence(names)?;
    Some(says(
        text + ".",
        "capacity by requests and by memory in use: the smaller one limits, where it is outside of the interval of the other",
    ))
}

/// What the RuntimeClass declares, compared with what was measured.
fn pod_fixed(report: &Report, compared: &Compared) -> Option<Sentence> {
    let runs = &report.findings.groups.get(compared.other)?.runs;
    let recorded = report.data.get(*runs.first()?)?.recorded()?;
    let class = recorded.run.runtime_class.as_ref()?;
    Some(pod_fixed_verdict(class, compared.comparison.overhead_per_pod.as_ref().ok()?.interval))
}

/// The same of one RuntimeClass, by the interval of the overhead per pod.
pub(super) fn pod_fixed_verdict(class: &RuntimeClassFacts, interval: Interval) -> Sentence {
    let has = class.overhead_memory_bytes as f64;
    let verdict = if has > interval.high {
        "more than measured: nodes take fewer pods than fit"
    } else if has < interval.low {
        "less than measured: pods use memory that the scheduler does not account for"
    } else {
        "within the measured interval"
    };
    says(
        format!("RuntimeClass {} has podFixed.memory of {}, {verdict}.", class.name, format::mib(has)),
        format!(
            "podFixed compared with the {} of the overhead per pod; its upper end is suggested",
            format::confidence()
        ),
    )
}

fn drift(compared: &Compared) -> Sentence {
    let rule = format!(
        "drift: largest difference between repeats; it may explain the difference of the means where it is at least {} of that",
        format::share(MAY_EXPLAIN)
    );
    let drift = match &compared.drift {
        Ok(drift) => drift,
        Err(why) => return says(format!("Drift: n/a: {}.", why.0), rule),
    };
    let all = |most: &[u32]| most.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let order = match (drift.order.as_str(), drift.is_balanced) {
        ("", _) => "Run order unknown".to_owned(),
        (order, true) => format!("Run order {order}, balanced against linear drift"),
        (order, false) => format!("Run order {order}, not balanced against linear drift"),
    };
    let verdict = match drift.may_explain() {
        _ if drift.difference == 0.0 => "there is no difference to explain",
        true => "drift may explain the difference",
        false => "drift does not explain the difference",
    };
    says(
        format!(
            "{order}: up to {} (A) and {} (B) instances {} at once; repeats differ by up to {}, the means by {}; {verdict}.",
            all(&drift.base),
            all(&drift.other),
            drift.counted.words(),
            format::percent(drift.spread),
            format::percent(drift.difference)
        ),
        rule,
    )
}
