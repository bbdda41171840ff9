//! Help, version, and errors of the command line.

use super::session::{Place, hold, sessions, text};

#[test]
fn help_says_what_there_is() {
    hold("help_short", &sessions(&[&["-h"]]));
    hold("help_long", &sessions(&[&["--help"]]));
    for command in ["run", "plan", "clean", "report", "history"] {
        hold(&format!("help_{command}_short"), &sessions(&[&[command, "-h"]]));
        hold(&format!("help_{command}_long"), &sessions(&[&[command, "--help"]]));
    }
    hold("help_study", &sessions(&[&["study", "--help"], &["study", "-h"]]));
    for command in ["init", "plan", "run", "status", "report", "schema"] {
        hold(&format!("help_study_{command}"), &sessions(&[&["study", command, "--help"]]));
    }
    // Hidden; but who looks at the processes of a run sees it.
    hold("help_instance", &sessions(&[&["instance", "--help"]]));
    hold("version", &sessions(&[&["--version"], &["-V"], &["run", "--version"]]));
}

#[test]
fn help_follows_the_terminal() {
    let place = Place::new();
    hold("help_clean_60_columns", &text(&place.ramp(&["clean", "-h"], "60").stdout));
    let wide = |columns| text(&place.ramp(&["run", "--help"], columns).stdout);
    assert_eq!(wide("110"), wide("400"), "lines longer than 110 are hard to read");
}

#[test]
fn a_command_that_is_not_there_is_told_with_those_that_are() {
    hold("wrong_commands", &sessions(&[&[], &["start"], &["--json"], &["help"], &["reprot", "x"]]));
}

#[test]
fn what_is_no_option_or_lacks_its_value_is_told_with_the_usage() {
    hold(
        "wrong_options",
        &sessions(&[
            &["run", "--froce"],
            &["run", "--until", "5"],
            &["run", "--pace"],
            &["run", "--to", "1", "--to", "2"],
            &["run", "a.yaml", "b.yaml"],
            &["run", "--engine", "docker"],
            &["report"],
            &["clean", "one", "two"],
            &["clean", "--all"],
        ]),
    );
}

#[test]
fn numbers_that_are_none_or_do_not_fit_together_are_told() {
    hold(
        "wrong_numbers",
        &sessions(&[
            &["run", "--to", "0"],
            &["run", "--to", "many"],
            &["run", "--step", "0"],
            &["run", "--from", "-1"],
            &["run", "--beyond", "5.5"],
            &["run", "--from", "9", "--to", "3"],
        ]),
    );
}

#[test]
fn a_pace_or_a_time_that_cannot_be_read_is_told_with_what_could_be() {
    hold(
        "wrong_times",
        &sessions(&[
            &["run", "--pace", "soon"],
            &["run", "--pace", "0s"],
            &["run", "--pace", "5"],
            &["run", "--hold", "5"],
            &["run", "--hold", "soon"],
            &["run", "--hold", "2years"],
            &["run", "--step-timeout", "5 parsecs"],
        ]),
    );
}

#[test]
fn a_size_that_cannot_be_read_is_told_with_what_could_be() {
    hold(
        "wrong_sizes",
        &sessions(&[
            &["run", "--memory", "500MB"],
            &["run", "--memory", "half"],
            &["run", "--budget", "500MB"],
            &["run", "--budget", "50%"],
            &["run", "--budget", "1M"],
            &["report", "x.csv", "--memory", "500MB"],
        ]),
    );
}

#[test]
fn a_rule_that_cannot_be_read_is_told_with_those_there_are() {
    let rules = [
        "soon",
        "",
        "free-memory",
        "free-memory:1GB:3",
        "free-memory:1G:0",
        "stalled:0",
        "evictions:3",
        "oom-kills:x/1m",
        "time:soon",
        "node-not-ready:3",
        "steps:many",
    ];
    let place = Place::new();
    // The budget is said: that of the machine does not matter then.
    let of_stop = rules.map(|rule| place.session(&["run", "--budget", "1G", "--stop", rule]));
    hold("wrong_rules", &(of_stop.join("\n") + "\n" + &place.session(&["run", "--note", "soon"])));
}

#[test]
fn a_label_is_a_key_and_a_value() {
    hold("wrong_labels", &sessions(&[&["run", "--label", "words"], &["run", "--label", "=x"]]));
}

#[test]
fn what_is_resumed_has_its_plan_and_takes_no_other() {
    hold(
        "wrong_with_resume",
        &sessions(&[
            &["run", "--resume", "run", "--to", "5"],
            &["run", "--resume", "run", "--keep", "--stop", "never"],
            &["run", "a.yaml", "--resume", "run"],
            &["plan", "--resume", "run"],
        ]),
    );
}

#[test]
fn an_assertion_that_cannot_be_read_is_told_with_what_could_be() {
    let assertions = [
        "max_running",
        "running>=1",
        "max_running>=many",
        "max_running>=100M",
        "max_running=>5",
        "marginal_cost<=half",
        "overhead_by_usage<=5Mi",
        "stale_cells_percent<5Mi",
        "usage_min_mib>5%",
    ];
    let place = Place::new();
    hold(
        "wrong_assertions",
        &assertions.map(|text| place.session(&["report", "x.csv", "--assert", text])).join("\n"),
    );
}
