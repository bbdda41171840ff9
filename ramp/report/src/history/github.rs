//! GitHub workflow commands: annotations that a job shows above its log and in a pull request.

use super::gate::{Judgement, Outcome};
use super::gate_text::{markdown, sentence};
use super::junit::AssertionResult;

/// An annotation for each failure, and a warning for each bound of which nothing can be told: one a line.
#[must_use]
pub fn annotations(judged: Option<&Judgement>, assertions: &[AssertionResult]) -> Vec<String> {
    let strict = judged.is_some_and(|judged| judged.strict);
    let outcomes = judged.into_iter().flat_map(|judged| &judged.outcomes);
    let of_bounds = outcomes.filter(|outcome| outcome.outcome != Outcome::Ok).map(|outcome| {
        let level = if outcome.fails(strict) { "error" } else { "warning" };
        let title =
            format!("{} of {}: {}", outcome.bound.figure.name, outcome.subject, outcome.outcome.name());
        annotation(level, &title, &sentence(outcome))
    });
    let missing = judged.into_iter().flat_map(|judged| &judged.only_in_baseline).map(|subject| {
        let level = if strict { "error" } else { "warning" };
        annotation(
            level,
            &format!("{subject}: missing"),
            &format!("{subject}: only in the baseline, not in the report"),
        )
    });
    let failed = assertions.iter().flat_map(|found| {
        found
            .failures
            .iter()
            .map(|failure| annotation("error", &format!("{} does not hold", found.assertion), failure))
    });
    of_bounds.chain(missing).chain(failed).collect()
}

/// What is appended to the summary of a job.
#[must_use]
pub fn summary(judged: Option<&Judgement>, assertions: &[AssertionResult]) -> String {
    let mut text = judged.map(markdown).unwrap_or_default();
    if !assertions.is_empty() {
        text += "\n| assertion | |\n|---|---|\n";
    }
    for AssertionResult { assertion, failures } in assertions {
        let escaped = |text: &str| crate::report::markdown::escaped(text);
        let holds = if failures.is_empty() { "holds".into() } else { escaped(&failures.join("; ")) };
        text += &format!("| {} | {holds} |\n", escaped(assertion));
    }
    text
}

/// A workflow command (actions/toolkit, packages/core/src/command.ts: what of messages and of properties is escaped).
fn annotation(level: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={title}::{}", data(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_property_or_a_line_is_escaped() {
        assert_eq!(
            annotation("error", "held, of a:b 5%", "100% of\r\nx: y, z"),
            "::error title=held%2C of a%3Ab 5%25::100%25 of%0D%0Ax: y, z"
        );
    }

    #[test]
    fn an_assertion_that_does_not_hold_is_an_error_and_a_row_of_the_summary() {
        let failures = vec!["held>=9: it is 5 in kata".to_owned()];
        let assertions = [AssertionResult { assertion: "held>=9".into(), failures }];
        assert_eq!(
            annotations(None, &assertions),
            ["::error title=held>=9 does not hold::held>=9: it is 5 in kata"]
        );
        assert!(summary(None, &assertions).ends_with("| held\\>=9 | held\\>=9: it is 5 in kata |\n"));
    }
}
