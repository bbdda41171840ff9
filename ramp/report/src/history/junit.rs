//! JUnit XML, which CI systems show as tests: a test case for each bound of each subject, and for each assertion.
//!
//! The dialect is what Jenkins, GitLab and GitHub's reporters read alike: `testsuites/testsuite/testcase` with `failure` and `skipped`.

use super::gate::{BoundOutcome, Judgement, Outcome};
use super::gate_text::sentence;

/// An assertion, and what is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionResult {
    /// As it was given.
    pub assertion: String,
    /// What is not so, in sentences; none where it holds.
    pub failures: Vec<String>,
}

/// The whole file.
#[must_use]
pub fn xml(judged: Option<&Judgement>, assertions: &[AssertionResult]) -> String {
    let bounds: Vec<TestCase> = judged
        .into_iter()
        .flat_map(|judged| judged.outcomes.iter().map(|outcome| of_bound(judged, outcome)))
        .collect();
    let missing = judged.into_iter().flat_map(of_missing);
    let bounds: Vec<TestCase> = bounds.into_iter().chain(missing).collect();
    let asserted: Vec<TestCase> = assertions.iter().map(of_assertion).collect();
    let suites = [("ramp --against", bounds), ("ramp --assert", asserted)];
    let suites = suites.iter().filter(|(_, cases)| !cases.is_empty()).map(|(name, cases)| suite(name, cases));
    let all = suites.collect::<String>();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ramp\">\n{all}</testsuites>\n")
}

struct TestCase {
    class: String,
    name: String,
    result: TestResult,
}

enum TestResult {
    Passed,
    Skipped(String),
    Failed(String),
}

fn of_bound(judged: &Judgement, outcome: &BoundOutcome) -> TestCase {
    let result = match outcome.outcome {
        _ if outcome.fails(judged.strict) => TestResult::Failed(sentence(outcome)),
        Outcome::CannotTell(_) => TestResult::Skipped(sentence(outcome)),
        _ => TestResult::Passed,
    };
    TestCase {
        class: outcome.subject.clone(),
        name: format!("{} {}", outcome.bound.figure.name, outcome.bound),
        result,
    }
}

/// What only the baseline has.
fn of_missing(judged: &Judgement) -> impl Iterator<Item = TestCase> {
    judged.only_in_baseline.iter().map(|subject| {
        let message = format!("{subject}: only in the baseline, not in the report");
        let result = if judged.strict { TestResult::Failed(message) } else { TestResult::Skipped(message) };
        TestCase { class: subject.clone(), name: "is in the report".into(), result }
    })
}

fn of_assertion(found: &AssertionResult) -> TestCase {
    let result = if found.failures.is_empty() {
        TestResult::Passed
    } else {
        TestResult::Failed(found.failures.join("\n"))
    };
    TestCase { class: "assert".into(), name: found.assertion.clone(), result }
}

fn suite(name: &str, cases: &[TestCase]) -> String {
    let count = |is_one: fn(&TestResult) -> bool| cases.iter().filter(|case| is_one(&case.result)).count();
    let failed = count(|result| matches!(result, TestResult::Failed(_)));
    let skipped = count(|result| matches!(result, TestResult::Skipped(_)));
    let all = cases.iter().map(case).collect::<String>();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\">\n{all}  </testsuite>\n",
        cases.len()
    )
}

fn case(case: &TestCase) -> String {
    let (class, name) = (escaped(&case.class), escaped(&case.name));
    let begin = format!("    <testcase classname=\"{class}\" name=\"{name}\"");
    match &case.result {
        TestResult::Passed => format!("{begin}/>\n"),
        TestResult::Skipped(why) => format!("{begin}><skipped message=\"{}\"/></testcase>\n", escaped(why)),
        TestResult::Failed(why) => {
            let why = escaped(why);
            format!("{begin}><failure message=\"{why}\" type=\"regression\">{why}</failure></testcase>\n")
        }
    }
}

/// Text as it stands in attributes and elements. Characters that XML 1.0 (2.2) does not allow become the replacement character.
fn escaped(text: &str) -> String {
    let is_allowed = |letter: char| !matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // In attributes they would be read as blanks.
            '\t' | '\n' | '\r' => escaped += &format!("&#{};", u32::from(letter)),
            letter if is_allowed(letter) => escaped.push(letter),
            _ => escaped.push('\u{fffd}'),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;
    use serde_json::json;

    use super::*;
    use crate::history::bounds::Bounds;
    use crate::history::figure_name::ReportKind;
    use crate::history::recorded::RecordedReport;

    /// A study in which cells have names with every character that is markup.
    fn report(held: f64) -> RecordedReport {
        let cell = |name: &str, held: f64| {
            json!({
                "name": name,
                "figures": {"instances_held": {"value": held, "interval": null}, "startup_mean": {"value": null, "reason": "a\nb"}},
            })
        };
        let cells = [cell("<kata> & \"runc\" ]]>\u{1}", held), cell("other", 5.0)];
        RecordedReport::of(
            &json!({"ramp_version": "1", "study": {"name": "s"}, "cells": cells, "comparisons": []}),
        )
        .unwrap()
    }

    fn judged(strict: bool) -> Judgement {
        let file = json!({"instances_held": {"max_decrease": 3}, "startup_mean": {"max_increase": "1s"}, "strict": strict});
        let bounds = Bounds::read(ReportKind::Study, file.as_object().unwrap()).unwrap();
        Judgement::of(&report(5.0), &report(10.0), &bounds).unwrap()
    }

    #[test]
    fn it_is_xml_in_which_each_bound_and_each_assertion_is_a_test_case() {
        let assertions = [("held>=3", vec![]), ("held<=\"4\"", vec!["it is 5 & more\nin kata".to_owned()])];
        let assertions =
            assertions.map(|(said, failures)| AssertionResult { assertion: said.into(), failures });
        let xml = xml(Some(&judged(false)), &assertions);
        let document = Document::parse(&xml).unwrap();
        let all = |tag| document.descendants().filter(move |node| node.has_tag_name(tag)).collect::<Vec<_>>();
        assert_eq!((all("testcase").len(), all("failure").len(), all("skipped").len()), (6, 2, 2));
        let of_kata = all("testcase")[0];
        assert_eq!(of_kata.attribute("classname"), Some("<kata> & \"runc\" ]]>\u{fffd}"));
        assert_eq!(of_kata.attribute("name"), Some("instances_held max_decrease 3"));
        let failure = of_kata.first_element_child().unwrap();
        assert_eq!(failure.attribute("message"), failure.text());
        assert!(
            failure
                .text()
                .unwrap()
                .ends_with("5, in the baseline 10 (−5): worse by more than max_decrease 3"),
            "{xml}"
        );
        assert!(
            all("skipped")[0].attribute("message").unwrap().contains("n/a in the baseline: a\nb"),
            "{xml}"
        );
        assert_eq!(all("failure")[1].text(), Some("it is 5 & more\nin kata"));
        let suites: Vec<_> = all("testsuite")
            .iter()
            .map(|suite| {
                ["tests", "failures", "skipped"].map(|count| suite.attribute(count).unwrap().to_owned())
            })
            .collect();
        assert_eq!(suites, [["4", "1", "2"], ["2", "1", "0"]]);
    }

    #[test]
    fn what_cannot_be_told_is_skipped_or_with_strict_a_failure() {
        let of = |strict| xml(Some(&judged(strict)), &[]);
        assert_eq!((of(false).matches("<skipped ").count(), of(true).matches("<failure ").count()), (2, 3));
        assert!(
            Document::parse(&xml(None, &[]))
                .unwrap()
                .root_element()
                .children()
                .all(|node| !node.is_element())
        );
    }
}
