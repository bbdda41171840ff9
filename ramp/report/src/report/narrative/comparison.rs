//! What two groups of runs say, held against each other.

use super::super::{Report, estimate_table, format};
use super::{Section, Sentence, says, sentence_case};
use crate::analysis::results::Compared;
use crate::dataset::Source;

pub(super) fn section(report: &Report, compared: &Compared) -> Section {
    let findings = &report.findings;
    let (base, other) = (findings.name(compared.base), findings.name(compared.other));
    let mut sentences = Vec::new();
    for line in estimate_table::of_comparison(report, compared) {
        let name = sentence_case(line.name);
        sentences.push(match line.value {
            Ok(value) => says(format!("{name} of {other} over {base}: {value}."), line.basis),
            Err(why) => says(format!("{name} cannot be said: {why}."), format!("{}: as defined", line.name)),
        });
    }
    sentences.extend(pod_fixed(report, compared));
    sentences.push(drift(compared));
    Section { title: format!("{other} against {base}"), sentences }
}

/// What the RuntimeClass has, beside what was measured.
fn pod_fixed(report: &Report, compared: &Compared) -> Option<Sentence> {
    let runs = &report.findings.groups.get(compared.other)?.runs;
    let Source::Run(recorded) = &report.data.get(*runs.first()?)?.source else { return None };
    let class = recorded.run.runtime_class.as_ref()?;
    let interval = compared.comparison.overhead_per_pod.as_ref().ok()?.interval;
    let has = class.overhead_memory_bytes as f64;
    let verdict = if has > interval.high {
        "more than is measured: nodes are filled with fewer pods than fit"
    } else if has < interval.low {
        "less than is measured: nodes are promised memory that pods take"
    } else {
        "within the interval that is measured"
    };
    Some(says(
        format!("RuntimeClass {} has podFixed.memory of {}, {verdict}.", class.name, format::mib(has)),
        "podFixed against the 95 % interval of the overhead per pod; the upper end of it is suggested",
    ))
}

fn drift(compared: &Compared) -> Sentence {
    let rule = "drift: largest difference between repeats, against the difference of the means; it may explain that where it is half of it";
    let drift = match &compared.drift {
        Ok(drift) => drift,
        Err(why) => return says(format!("Drift cannot be told: {}.", why.0), rule),
    };
    let all = |most: &[u32]| most.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let order = match (drift.order.is_empty(), drift.is_balanced) {
        (true, _) => "In an order that is not known".to_owned(),
        (false, true) => format!("In the order {}, in which an even drift is the same for both", drift.order),
        (false, false) => {
            format!("In the order {}, in which an even drift is not the same for both", drift.order)
        }
    };
    let verdict = match drift.may_explain() {
        _ if drift.difference == 0.0 => "there is no difference to explain",
        true => "drift may explain it",
        false => "drift does not explain it",
    };
    says(
        format!(
            "{order}, the most that {} at once were {} (A) and {} (B): repeats are up to {} apart, the means {}; {verdict}.",
            drift.counted,
            all(&drift.base),
            all(&drift.other),
            format::percent(drift.spread),
            format::percent(drift.difference)
        ),
        rule,
    )
}
