//! Summary of tests run, from the JUnit reports of nextest.

use std::fs;
use std::path::PathBuf;

use crate::durations;
use crate::shell::Outcome;

/// Profiles of .config/nextest.toml.
const PROFILES: [&str; 6] = ["check", "host", "worlds", "cluster", "cluster-alone", "cluster-measured"];

fn report(lane: &str) -> PathBuf {
    PathBuf::from("target/nextest").join(lane).join("junit.xml")
}

/// Forgets what an earlier run of a lane has left, so that it is not taken for this one's.
///
/// # Errors
/// Where the report of an earlier run cannot be removed.
pub(crate) fn forget(lane: &str) -> Outcome {
    let report = report(lane);
    match fs::remove_file(&report) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", report.display()))
        }
        _ => Ok(()),
    }
}

/// Tests, and those of them that failed, by the root element of a JUnit report:
/// `<testsuites name="…" tests="12" failures="1" errors="0" …>`.
fn counts(text: &str) -> Option<(u64, u64)> {
    let root = text.split_once("<testsuites ")?.1.split_once('>')?.0;
    let number =
        |name: &str| root.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse::<u64>().ok();
    Some((number("tests")?, number("failures")? + number("errors")?))
}

/// A text as it was before it became that of an element of XML.
fn unescaped(text: &str) -> String {
    let quotes =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&amp;", "&")
}

/// Of the message of a failure, at most.
const LINES: usize = 6;
const LENGTH: usize = 300;

/// Tests that failed, the first time or for good, each with where and why:
/// `<testcase name="…" …><failure message="…" …>the message of the panic, and a backtrace</failure>`; `<flakyFailure …>` where a second
/// attempt passed.
fn failures(text: &str) -> Vec<String> {
    let of_test = |test: &str| {
        let name = test.split_once('"')?.0;
        let (kind, failure) = [("flaky", "<flakyFailure "), ("failed", "<failure ")]
            .into_iter()
            .find_map(|(kind, tag)| Some((kind, test.split_once(tag)?.1)))?;
        let panic = failure.split_once('>')?.1.split("stack backtrace:").next()?.split("</").next()?;
        // A message may have all of what a program printed.
        let panic = unescaped(panic.trim());
        let lines = panic.lines().take(LINES).map(|line| line.chars().take(LENGTH).collect::<String>());
        Some(lines.fold(format!("{kind}: {name}"), |told, line| told + "\n    " + &line))
    };
    text.split("<testcase name=\"").skip(1).filter_map(of_test).collect()
}

/// Prints the durations of the steps, the tests of each lane that has run, why those failed that did, and all of them as
/// `N passed, N failed`.
///
/// # Errors
/// Where no lane has run, or a report is not one of nextest's.
pub(crate) fn print() -> Outcome {
    println!("{}", durations::table(&durations::recorded()));
    let (mut passed, mut failed) = (0, 0);
    for lane in PROFILES {
        let report = report(lane);
        let Ok(text) = fs::read_to_string(&report) else {
            println!("{lane}: has not run");
            continue;
        };
        let (tests, broken) =
            counts(&text).ok_or_else(|| format!("{}: expected a JUnit report", report.display()))?;
        let well = tests.saturating_sub(broken);
        println!("{lane}: {well} passed, {broken} failed");
        failures(&text).iter().for_each(|failure| println!("  {failure}"));
        passed += well;
        failed += broken;
    }
    if passed + failed == 0 {
        return Err("no lane has run".into());
    }
    println!("{passed} passed, {failed} failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_errors_of_a_report_are_tests_that_failed() {
        let text = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="12" failures="1" errors="2" uuid="x">
            <testsuite name="ramp" tests="1" failures="0"></testsuite></testsuites>"#;
        assert_eq!(counts(text), Some((12, 3)));
        assert_eq!(counts("<testsuite tests=\"1\">"), None);
    }

    #[test]
    fn a_test_that_failed_is_told_with_its_reason_and_one_that_passed_at_last_as_flaky() {
        let text = r#"<testsuites name="nextest-run" tests="3" failures="1" errors="0"><testsuite name="a">
            <testcase name="passes" classname="a" time="1"/>
            <testcase name="fails" classname="a" time="1">
            <failure message="a.rs:1:2" type="t">panicked at a.rs:1:2:
2 &lt; 3 &amp; so on
stack backtrace:
0: main</failure></testcase>
            <testcase name="passes_at_last" classname="a" time="1">
            <flakyFailure timestamp="x" time="2" message="" type="t">why</flakyFailure></testcase>
            </testsuite></testsuites>"#;
        let told =
            ["failed: fails\n    panicked at a.rs:1:2:\n    2 < 3 & so on", "flaky: passes_at_last\n    why"];
        assert_eq!(failures(text), told);
    }
}
