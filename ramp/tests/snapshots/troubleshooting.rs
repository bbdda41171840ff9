//! docs/troubleshooting.md has every message of preflight, and no others.

use std::fs;
use std::path::{Path, PathBuf};

/// What stands for names and numbers in the page.
const ELLIPSIS: char = '…';

/// Snapshots of findings, in `src/`.
const SNAPSHOTS: [&str; 4] = [
    "engine/kubernetes/preflight/snapshots",
    "engine/podman/preflight/snapshots",
    "engine/local/snapshots",
    "command/snapshots",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The messages of the page: the code in the first column of its tables, as the fragments between ellipses.
fn page() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("../docs/troubleshooting.md")).unwrap();
    let mut in_table_of_messages = false;
    let mut messages = Vec::new();
    for line in page.lines() {
        match line.strip_prefix("| `") {
            Some(row) if in_table_of_messages => {
                let message = row.split('`').next().unwrap();
                messages.push(message.split(ELLIPSIS).map(str::to_owned).collect());
            }
            Some(_) => {}
            None if line.starts_with("|---") => {}
            None => in_table_of_messages = line.starts_with("| message |"),
        }
    }
    messages
}

/// Whether a message begins with the first fragment and has the others after it, in this order.
fn matches(fragments: &[String], message: &str) -> bool {
    let Some(mut rest) = message.strip_prefix(fragments[0].as_str()) else { return false };
    fragments[1..].iter().all(|fragment| match rest.split_once(fragment.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// The findings of a snapshot. Those of the clusters are indented below the situation.
fn findings(snapshot: &str) -> Vec<String> {
    let body = snapshot.splitn(3, "---\n").nth(2).unwrap();
    let is_indented = body.lines().any(|line| line.starts_with("  "));
    let lines = body.lines().filter(|line| !is_indented || line.starts_with("  ")).map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && *line != "nothing");
    let message = |line: &str| {
        let severities = ["error: ", "warning: ", "WRONG: "];
        let message = severities.iter().find_map(|severity| line.strip_prefix(severity));
        message.unwrap_or(line).to_owned()
    };
    lines.map(message).collect()
}

/// The findings of all snapshots.
fn all_findings() -> Vec<String> {
    let mut all = Vec::new();
    for directory in SNAPSHOTS.map(|directory| root().join("src").join(directory)) {
        let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| !file.to_string_lossy().contains("not_honoured")) {
            all.extend(findings(&fs::read_to_string(&file).unwrap()));
        }
    }
    all
}

#[test]
fn every_message_of_preflight_is_in_the_troubleshooting_page() {
    let page = page();
    let mut missing = all_findings();
    assert!(missing.len() > 60, "{}", missing.len());
    missing.retain(|message| !page.iter().any(|row| matches(row, message)));
    assert!(missing.is_empty(), "not in docs/troubleshooting.md: {missing:#?}");
}

/// All sources below a directory, each string on one line.
fn sources(directory: &Path, text: &mut String) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut parts = source.split("\\\n");
            text.push_str(parts.next().unwrap());
            parts.for_each(|part| text.push_str(part.trim_start()));
        }
    }
}

#[test]
fn no_message_of_the_troubleshooting_page_is_out_of_date() {
    let mut text = String::new();
    sources(&root().join("src"), &mut text);
    // Messages without a snapshot are looked for in the sources.
    let findings = all_findings();
    let longest = |row: Vec<String>| row.into_iter().max_by_key(String::len).unwrap();
    let unmatched = page().into_iter().filter(|row| !findings.iter().any(|message| matches(row, message)));
    let stale: Vec<String> =
        unmatched.map(longest).filter(|fragment| !text.contains(fragment.trim())).collect();
    assert!(stale.is_empty(), "in docs/troubleshooting.md, but in no source: {stale:#?}");
}
