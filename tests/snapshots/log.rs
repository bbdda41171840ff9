//! The log on standard error of a running program, without its timestamps.

use super::command_line::{text, workload};
use super::hold;

/// Lines of the log without the time that each begins with.
fn log(arguments: &[&str]) -> String {
    let output = workload(arguments, &[]);
    let lines = text(&output.stderr);
    let told = lines.lines().map(|line| match line.split_once(' ') {
        Some((time, rest)) if time.parse::<humantime::Timestamp>().is_ok() => format!("TIME {rest}\n"),
        _ => format!("{line}\n"),
    });
    format!(
        "$ workload {}\n{}[exit status {}]\n",
        arguments.join(" "),
        told.collect::<String>(),
        output.status.code().unwrap()
    )
}

#[test]
fn an_address_that_cannot_be_had_is_told() {
    // Of TEST-NET-1 (RFC 5737): no machine has it.
    hold("log_listen_refused", &log(&["--listen", "192.0.2.1:8080", "--duration", "1ms"]));
}

#[test]
fn where_it_listens_is_told() {
    let told = log(&["--listen", "127.0.0.1:0", "--duration", "1ms"]);
    let (before, port) = told.split_once("http://127.0.0.1:").expect("the address");
    let after = port.trim_start_matches(|digit: char| digit.is_ascii_digit());
    hold("log_listens", &format!("{before}http://127.0.0.1:PORT{after}"));
}

#[test]
fn more_cpu_than_there_is_ends_it_where_it_may_not_go_on() {
    // As many CPUs as no machine has; how many this one has is left out.
    let told = log(&["--cpu", "100000", "--on-failure", "exit", "--log", "warn"]);
    let words = told
        .split(' ')
        .map(|word| if word.parse::<u32>().is_ok_and(|number| number < 100_000) { "N" } else { word });
    hold("log_more_cpu_than_there_is", &words.collect::<Vec<_>>().join(" "));
}
