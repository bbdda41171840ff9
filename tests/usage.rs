//! Help, version, and errors about bad input.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Output;

fn workload(args: &[&str]) -> Output {
    support::workload().args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn bad_input_is_refused_with_the_flag_what_was_given_and_what_is_allowed() {
    let cases = [
        ("--memory", "500MB", "did you mean 500M (10^6) or 500Mi (2^20)?"),
        ("--memory", "500m", "did you mean 500M (10^6) or 500Mi (2^20)?"),
        ("--memory", "-5M", "negative"),
        ("--memory", "NaN", "does not begin with a number"),
        ("--memory", "99999E", "too large"),
        ("--memory", "1e300", "too large"),
        ("--memory", "99999999999999999999999999999999999999", "more than 30 digits"),
        ("--memory", "0x10", "unknown unit"),
        ("--memory", "%", "does not begin with a number"),
        ("--memory", "\u{ff11}", "does not begin with a number"),
        ("--memory", "", "empty"),
        ("--growth-rate", "", "not a rate"),
        ("--growth-rate", "0x10", "not a rate"),
        ("--growth-step", "10%", "unknown unit"),
        ("--cpu", "1e300", "too large"),
        ("--cpu", "0x1", "unknown unit"),
        ("--cpu", " ", "empty"),
        ("--duration", "1e300", "unknown time unit"),
        ("--touch-every", "", "empty"),
        ("--listen", "", "empty"),
        ("--listen", "0x50", "not an address"),
        ("--listen", ":99999", "not an address"),
        ("--growth-rate", "10M", "did you mean 10M/s?"),
        ("--growth-rate", "0/s", "zero"),
        ("--growth-step", "0", "zero"),
        ("--cpu", "0.2 cores", "did you mean 0.2?"),
        ("--cpu", "inf", "does not begin with a number"),
        ("--cpu", "0,2", "did you mean 0.2?"),
        ("--duration", "5", "time unit needed"),
        ("--duration", "0s", "zero"),
        ("--duration", "-1s", "expected number"),
        ("--growth-rate", "-1M/s", "negative"),
        ("--cpu", "-0.5", "negative"),
        ("--touch-every", "5ms", "at least 10ms"),
        ("--report-every", "0s", "zero"),
        ("--touch-every", "0s", "zero"),
        ("--fill", "ones", "random, unique, zero"),
        ("--format", "xml", "text, json, csv"),
        ("--on-failure", "panic", "hold, exit"),
        ("--huge-pages", "always", "never, transparent"),
    ];
    for (flag, value, expected) in cases {
        // With a blank or an equals sign in between, which makes a difference for what begins with a minus.
        let separate = workload(&[flag, value]);
        let output = workload(&[&format!("{flag}={value}")]);
        let message = text(&output.stderr);
        if flag != "--huge-pages" {
            assert_eq!(text(&separate.stderr), message);
        }
        assert_eq!(output.status.code(), Some(2), "{flag} {value}: {message}");
        assert!(message.contains(&format!("'{value}' for '{flag}")), "{flag} {value}: {message}");
        assert!(message.contains(expected), "{flag} {value}: {message}");
        assert!(
            message.contains("allowed:") || message.contains("possible values:"),
            "{flag} {value}: {message}"
        );
        assert!(output.stdout.is_empty(), "{flag} {value}: standard output is for reports");
    }
}

#[test]
fn help_tells_of_every_option_its_variable_and_its_default() {
    let output = workload(&["--help"]);
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    let options = [
        ("--memory", "WORKLOAD_MEMORY", "[default: 0]"),
        ("--growth-rate", "WORKLOAD_GROWTH_RATE", "[default: 10M/s]"),
        ("--growth-step", "WORKLOAD_GROWTH_STEP", "[default: smooth]"),
        ("--fill", "WORKLOAD_FILL", "[default: random]"),
        ("--touch-every", "WORKLOAD_TOUCH_EVERY", "[default: 10s]"),
        ("--huge-pages", "WORKLOAD_HUGE_PAGES", "[default: never]"),
        ("--cpu", "WORKLOAD_CPU", "[default: 0]"),
        ("--duration", "WORKLOAD_DURATION", "[default: run until stopped]"),
        ("--report-every", "WORKLOAD_REPORT_EVERY", "[default: 1s]"),
        ("--format", "WORKLOAD_FORMAT", "[default: text]"),
        ("--on-failure", "WORKLOAD_ON_FAILURE", "[default: hold]"),
        ("--log", "WORKLOAD_LOG", "[default: info]"),
    ];
    for (option, variable, default) in options {
        let section = help.split(&format!("      {option}")).nth(1).unwrap_or_else(|| panic!("no {option}"));
        let section = section.split("\n      --").next().unwrap_or_default();
        assert!(section.contains(variable) && section.contains(default), "{option}: {section}");
    }
}

#[test]
fn version_is_that_of_the_package() {
    let output = workload(&["--version"]);
    assert_eq!(text(&output.stdout), format!("workload {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_variable_sets_an_option_and_a_flag_wins_over_it() {
    let settings = |args: &[&str]| {
        let mut command = support::workload();
        command.args(["--duration", "1ms", "--format", "json"]).args(args).env("WORKLOAD_CPU", "0.125");
        let output = command.output().expect("the program starts");
        let first = text(&output.stdout).lines().next().expect("a first record").to_owned();
        let record: serde_json::Value = serde_json::from_str(&first).expect("JSON");
        record["settings"]["cpu"].as_str().expect("a word").to_owned()
    };
    assert_eq!(settings(&[]), "0.125");
    assert_eq!(settings(&["--cpu", "0.25"]), "0.25");
}

#[test]
fn a_bad_variable_is_refused_like_a_bad_flag() {
    let output = support::workload().env("WORKLOAD_MEMORY", "1GB").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean 1G (10^9) or 1Gi (2^30)?"));
}

#[test]
fn an_empty_variable_is_refused_by_its_name() {
    let help = text(&workload(&["--help"]).stdout);
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    let names: std::collections::BTreeSet<&str> = names.collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let output = support::workload().env(name, "").output().expect("the program starts");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(message.contains(&format!("the environment variable {name} (option")), "{message}");
    }
}

#[test]
fn help_and_version_that_cannot_be_written_are_an_error() {
    for args in [&["--help"][..], &["-h"], &["--version"], &["node", "--help"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        let output = support::workload().args(args).stdout(full).output().expect("the program starts");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
        assert!(message.contains("cannot write to standard output: No space left"), "{args:?}: {message}");
    }
}

#[test]
fn the_program_needs_no_dynamic_linker() {
    // ELF64: the program headers' offset at 32, the size of one at 54, their number at 56; type 3 is PT_INTERP.
    let elf = std::fs::read(support::WORKLOAD).expect("it was built");
    let number = |at: usize, bytes: usize| {
        let field = elf.get(at..at + bytes).expect("a header");
        field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(elf.get(..5), Some(&b"\x7fELF\x02"[..]));
    let headers = (0..number(56, 2)).map(|index| number(32, 8) + index * number(54, 2));
    assert!(headers.clone().count() > 2);
    assert!(
        headers.map(|at| number(at, 4)).all(|kind| kind != 3),
        "RUSTFLAGS may have overridden crt-static"
    );
}
