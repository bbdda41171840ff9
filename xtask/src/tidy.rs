//! Checks of the source files that no other tool makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Of a line of code. rustfmt breaks code, but neither comments nor texts.
const LONGEST_LINE: usize = 140;

/// Where the sources of each crate are.
const CRATES: [&str; 5] = ["ramp/src/", "ramp/format/src/", "ramp/report/src/", "src/", "xtask/src/"];

/// The files of the project that are text of ours, each with its path from the root.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let list = String::from_utf8(git.output().expect("git is installed").stdout).expect("paths in UTF-8");
    let of_others = |path: &&str| path.starts_with("tests/hosts/") || path.contains("assets/uPlot");
    let ours = list.lines().filter(|path| !of_others(path));
    // What is no text is none of ours, and what has been deleted is no more.
    let texts = ours.filter_map(|path| Some((path.to_owned(), fs::read_to_string(root.join(path)).ok()?)));
    let files: BTreeMap<_, _> = texts.collect();
    assert!(files.contains_key("xtask/src/tidy.rs"), "git lists the files of this project");
    files
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    extensions.iter().any(|extension| path.ends_with(extension))
}

#[test]
fn no_line_of_code_is_longer_than_what_fits_on_a_screen() {
    let mut long = Vec::new();
    for (path, text) in files() {
        if has_extension(&path, &[".rs", ".sh", ".py", ".yaml", ".yml", ".css"]) || path.starts_with(".ci/") {
            let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > LONGEST_LINE);
            long.extend(lines.map(|(index, _)| format!("{path}:{}", index + 1)));
        }
    }
    assert_eq!(long, Vec::<String>::new(), "at most {LONGEST_LINE} characters");
}

#[test]
fn no_file_names_a_directory_of_a_machine() {
    // In two parts, so that this file names none.
    let places = [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/var/", "tmp"), ("../sha", "red")];
    let mut found = Vec::new();
    for (path, text) in files() {
        for (index, line) in text.lines().enumerate() {
            // The file system of the first process, as its kernel names it.
            let line = line.replace("proc/1/root", "");
            let named = places.iter().filter(|(a, b)| line.contains(&[*a, *b].concat()));
            // CI's own machine has more beside the project's folder.
            let is_allowed = |place: &&(&str, &str)| path == ".ci/run" && place.0 == "../sha";
            found.extend(
                named
                    .filter(|place| !is_allowed(place))
                    .map(|(a, b)| format!("{path}:{}: {a}{b}", index + 1)),
            );
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// The terms of the filter in a section of .config/nextest.toml.
fn terms<'t>(config: &'t str, section: &str) -> BTreeSet<&'t str> {
    let filter =
        config.split_once(&format!("\n{section}\n")).and_then(|(_, rest)| rest.split("\"\"\"").nth(1));
    let lines = filter.unwrap_or_default().lines().map(|line| line.trim().trim_start_matches("| "));
    lines.filter(|term| term.starts_with("test(")).collect()
}

#[test]
fn a_test_that_does_not_share_the_cluster_is_alone_in_whichever_profile_it_runs() {
    let files = files();
    let config = &files[".config/nextest.toml"];
    let profiles = ["alone", "measured", "studies"]
        .map(|profile| terms(config, &format!("[profile.cluster-{profile}]")));
    let all: BTreeSet<&str> = profiles.iter().flatten().copied().collect();
    assert!(profiles.iter().all(|profile| !profile.is_empty()));
    assert_eq!(all.len(), profiles.iter().map(BTreeSet::len).sum::<usize>(), "none is in two of them");
    assert_eq!(
        terms(
            config,
            "# The profiles `cluster-alone`, `cluster-measured` and `cluster-studies` below, for whoever runs them in another one."
        ),
        all
    );
    let mut left_out = terms(config, "[profile.cluster]");
    assert!(left_out.remove("test(needs_a_cluster) & not ("));
    assert_eq!(left_out, all);
}

/// The name of the type that a line declares at the level of a module.
fn declared(line: &str) -> Option<&str> {
    let line =
        line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or("", |(_, rest)| rest));
    let rest =
        ["struct ", "enum ", "trait ", "union ", "type "].iter().find_map(|word| line.strip_prefix(word))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn a_type_has_a_name_of_its_own_in_its_crate() {
    let mut places: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files() {
        let Some(krate) = CRATES.into_iter().find(|root| path.starts_with(root)) else {
            continue;
        };
        if !path.ends_with(".rs") || path.ends_with("tests.rs") {
            continue;
        }
        for name in text.lines().filter_map(declared) {
            places.entry((krate, name.to_owned())).or_default().insert(path.clone());
        }
    }
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "each of these names has to be told apart by its place: {places:#?}");
}

#[test]
fn declarations_are_found_whatever_their_visibility() {
    assert_eq!(declared("pub(crate) struct Outcome<T> {"), Some("Outcome"));
    assert_eq!(declared("enum State {"), Some("State"));
    assert_eq!(declared("    struct Inner;"), None, "within a function or a module of tests");
    assert_eq!(declared("impl Display for State {"), None);
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let files = files();
    // Some of the modules of ramp itself still do.
    for root in CRATES {
        let of_crate =
            files.iter().filter_map(|(path, text)| Some((path.strip_prefix(root)?, text.as_str())));
        let of_crate = of_crate.filter(|(path, _)| path.ends_with(".rs") && !path.ends_with("tests.rs"));
        let circles = crate::modules::circles(&of_crate.collect());
        assert!(circles.is_empty(), "{root}: {circles:#?}");
    }
}

#[test]
fn the_report_is_built_without_what_engines_are_built_with() {
    let arguments = [
        "tree",
        "--package",
        "ramp-report",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--locked",
        "--offline",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names in UTF-8");
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("ramp-format") && crates.contains("csv"), "{tree}");
    for engine in ["kube", "kube-client", "k8s-openapi", "tokio", "hyper", "bollard", "ramp"] {
        assert!(!crates.contains(engine), "{engine} is a dependency of ramp-report");
    }
}

/// The targets of links in a page, but for those elsewhere and those within it.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| path.ends_with(".md")) {
        let directory = root.join(&path).parent().map(Path::to_owned).unwrap_or_default();
        let missing = links(&text).filter(|link| !directory.join(link).exists());
        broken.extend(missing.map(|link| format!("{path}: {link}")));
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Names of functions in the last column of a table.
fn tests_named(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit("| ").next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.filter(|word| word.contains('_') && word.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

#[test]
fn the_tests_that_the_specification_names_exist() {
    let files = files();
    let named: Vec<&str> = tests_named(&files["docs/specification.md"]).collect();
    assert!(named.len() > 100, "{}", named.len());
    let exists = |name: &str| {
        let declaration = format!("fn {name}(");
        files.iter().any(|(path, text)| path.ends_with(".rs") && text.contains(&declaration))
    };
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_readme_is_short() {
    let readme = &files()["README.md"];
    assert!(readme.lines().count() <= 170 && readme.len() <= 15_000, "{} bytes", readme.len());
}
