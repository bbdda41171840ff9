//! Help, version, and errors of the command line.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::hold;

/// All that is called here ends at once, however busy the machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The program with nothing of the caller's environment, and with a terminal as wide for everybody.
pub(super) fn workload(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_workload"))
        .args(arguments)
        .env_clear()
        .env("COLUMNS", "100")
        .envs(variables.iter().copied())
        // Of a terminal its own width would count.
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        // What was to be refused and is not is a load without an end.
        if begin.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{arguments:?} is not refused");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What stands on the screen of who calls it so.
fn session(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = workload(arguments, variables);
    let quoted = |word: &&str| {
        if word.is_empty() || word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() }
    };
    let set = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>();
    let words = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
    let shown = text(&output.stdout) + &text(&output.stderr);
    format!(
        "$ {set}workload {words}\n{}\n[exit status {}]\n",
        shown.trim_end(),
        output.status.code().unwrap()
    )
}

fn sessions(all: &[&[&str]]) -> String {
    all.iter().map(|arguments| session(arguments, &[])).collect::<Vec<_>>().join("\n")
}

#[test]
fn help_says_what_there_is() {
    hold("help_short", &session(&["-h"], &[]));
    hold("help_long", &session(&["--help"], &[]));
    hold("help_node_short", &session(&["node", "-h"], &[]));
    hold("help_node_long", &session(&["node", "--help"], &[]));
    hold("help_components_long", &session(&["components", "--help"], &[]));
    hold("version", &sessions(&[&["--version"], &["-V"], &["node", "--version"]]));
}

#[test]
fn help_follows_the_terminal() {
    hold("help_short_60_columns", &session(&["-h"], &[("COLUMNS", "60")]));
    let wide = |columns| text(&workload(&["--help"], &[("COLUMNS", columns)]).stdout);
    assert_eq!(wide("100"), wide("400"), "lines longer than 100 are hard to read");
}

#[test]
fn help_does_not_tell_what_variables_hold() {
    let variables = [("WORKLOAD_MEMORY", "500M"), ("WORKLOAD_CPU", "0.2")];
    hold("help_short_with_variables", &session(&["-h"], &variables));
}

#[test]
fn a_size_that_cannot_be_read_is_told_with_what_could_be() {
    let memory = |value: &'static str| ["--memory", value];
    let values = ["500MB", "500m", "-5M", "NaN", "lots", "", "99999E", "-5%"];
    let of_memory = values.map(memory);
    let all: Vec<&[&str]> = of_memory.iter().map(|pair| &pair[..]).collect();
    hold("wrong_memory", &sessions(&all));
    hold(
        "wrong_growth",
        &sessions(&[
            &["--growth-rate", "10M"],
            &["--growth-rate", "0/s"],
            &["--growth-rate=-1M/s"],
            &["--growth-rate", "10MB/s"],
            &["--growth-rate", "10M/min"],
            &["--growth-step", "0"],
            &["--growth-step", "25MB"],
        ]),
    );
}

#[test]
fn cores_that_cannot_be_read_are_told_with_what_could_be() {
    hold(
        "wrong_cpu",
        &sessions(&[
            &["--cpu", "0.2 cores"],
            &["--cpu", "0,2"],
            &["--cpu", "inf"],
            &["--cpu", "-0.5"],
            &["--cpu", "200 cores"],
            &["--cpu", "half"],
        ]),
    );
}

#[test]
fn a_time_that_cannot_be_read_is_told_with_what_could_be() {
    hold(
        "wrong_times",
        &sessions(&[
            &["--duration", "5"],
            &["--duration", "0s"],
            &["--duration=-1s"],
            &["--duration", "soon"],
            &["--report-every", "0s"],
            &["--report-every", "1 fortnight"],
            &["--touch-every", "5ms"],
            &["--touch-every", "0s"],
            &["--touch-every", "always"],
        ]),
    );
}

#[test]
fn a_word_that_is_no_choice_is_told_with_the_choices() {
    hold(
        "wrong_choices",
        &sessions(&[
            &["--fill", "ones"],
            &["--format", "xml"],
            &["--on-failure", "panic"],
            &["--huge-pages=always"],
            &["--log", "loud"],
            &["--listen", "8080"],
            &["--listen", "localhost:8080"],
        ]),
    );
}

#[test]
fn what_is_no_option_or_lacks_its_value_is_told_with_the_usage() {
    hold(
        "wrong_options",
        &sessions(&[
            &["--mem", "500M"],
            &["--memory"],
            &["--memory", "1M", "--memory", "2M"],
            &["500M"],
            &["--huge-pages", "never"],
            &["nodes"],
            &["node", "--memory", "500M"],
            &["--cpu", "0.2", "node"],
        ]),
    );
}

#[test]
fn a_variable_that_cannot_be_read_is_told_as_its_option_is() {
    let of = |name: &'static str, value: &'static str| session(&[], &[(name, value)]);
    let all = [of("WORKLOAD_MEMORY", "1GB"), of("WORKLOAD_FORMAT", "xml"), of("WORKLOAD_DURATION", "5")];
    hold("wrong_variables", &all.join("\n"));
}
