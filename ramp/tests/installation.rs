//! What an installation has beside the program: completion scripts in their shells, manual pages, the name as a plugin of kubectl.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
const PROGRAMS: [&str; 2] = ["ramp", "workload"];

/// What a program prints; it succeeds without a word on standard error.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn script(shell: &str, program: &str, directory: &Path) -> String {
    let script = printed(RAMP, &["completions", shell, "--program", program]);
    // zsh and fish name a subcommand so; bash names it in functions, which have nothing else.
    let offers = |name: &str| {
        [format!("'{name}:"), format!("-a \"{name}\""), format!("ramp,{name})")]
            .iter()
            .any(|text| script.contains(text))
    };
    assert_eq!(offers("plan"), program == "ramp");
    assert!(!offers("instance") && !offers("workload"), "hidden subcommands are not offered");
    let path = directory.join(format!("{program}.{shell}"));
    fs::write(&path, script).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn bash_completes_subcommands_and_options() {
    let directory = tempfile::tempdir().unwrap();
    let completed = |program: &str, words: &str, at: usize| {
        let script = script("bash", program, directory.path());
        let last = words.split(' ').next_back().unwrap();
        // As bash calls it: the program, the word, the word before.
        let before = [program].into_iter().chain(words.split(' ')).nth(at - 1).unwrap();
        let call = format!(
            "COMP_WORDS=({program} {words}); COMP_CWORD={at}; _{program} {program} '{last}' '{before}'"
        );
        printed("bash", &["-c", &format!("source {script}; {call}; echo \"${{COMPREPLY[@]}}\"")])
    };
    assert_eq!(completed("ramp", "stu", 1), "study\n");
    assert_eq!(completed("ramp", "run --step-", 2), "--step-timeout\n");
    assert_eq!(completed("ramp", "run --engine k", 3), "kubernetes\n");
    assert_eq!(completed("workload", "--growth-r", 1), "--growth-rate\n");
}

#[test]
#[ignore = "needs zsh and fish"]
fn zsh_and_fish_complete_subcommands() {
    let directory = tempfile::tempdir().unwrap();
    for program in PROGRAMS {
        printed("zsh", &["-n", &script("zsh", program, directory.path())]);
    }
    let fish = script("fish", "ramp", directory.path());
    let completed =
        printed("fish", &["--no-config", "-c", &format!("source {fish}; complete -C 'ramp stu'")]);
    assert_eq!(completed.split('\t').next(), Some("study"), "{completed}");
}

#[test]
#[ignore = "needs groff"]
fn manual_pages_render_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    for program in PROGRAMS {
        printed(RAMP, &["man", pages.to_str().unwrap(), "--program", program]);
    }
    let pages: Vec<_> = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let rendered =
            printed("groff", &["-k", "-man", "-ww", "-T", "utf8", "-P", "-cbou", page.to_str().unwrap()]);
        assert!(rendered.contains("NAME") && rendered.contains("OPTIONS"), "{}: {rendered}", page.display());
    }
}

#[test]
fn a_manual_page_that_cannot_be_written_is_an_error_with_its_directory() {
    let output = Command::new(RAMP).args(["man", "/dev/null/man1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("/dev/null/man1: cannot write the manual pages: Not a directory"), "{errors}");
}

#[test]
fn kubectl_finds_a_plugin_that_says_how_it_is_called() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("kubectl-ramp");
    symlink(RAMP, &plugin).unwrap();
    let help = printed(plugin.to_str().unwrap(), &["run", "-h"]);
    assert!(help.contains("Usage: kubectl ramp run"), "{help}");
}
