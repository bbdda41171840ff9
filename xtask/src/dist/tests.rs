use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const EPOCH: u64 = 1_700_000_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Programs in place of the real ones: `ramp` answers as far as packaging asks it.
fn programs() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let ramp = "#!/bin/sh\ncase $1 in\nman) mkdir -p \"$2\" && echo \".TH $4 1\" >\"$2/$4.1\" ;;\n\
                completions) echo \"$2 of $4\" ;;\n*) exit 2 ;;\nesac\n";
    for (name, text) in [("ramp", ramp), ("workload", "#!/bin/sh\n")] {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    directory
}

/// Lays out and packs anew, with whatever owner, times and permissions the files have.
fn packed(programs: &Path, at: &Path) -> PathBuf {
    let archive = at.join("ramp-1.2.3-x86_64-unknown-linux-gnu.tar.gz");
    // Documents are found from the root of the workspace.
    contents::lay_out(&root(), &at.join("files"), programs, &programs.join("ramp")).unwrap();
    archive::pack(&at.join("files"), "ramp-1.2.3-x86_64-unknown-linux-gnu", &archive, EPOCH).unwrap();
    archive
}

fn tar(arguments: &[&str], archive: &Path) -> String {
    output(Command::new("tar").args(arguments).arg(archive)).unwrap()
}

#[test]
fn an_archive_has_programs_manual_pages_completions_and_documents() {
    let (programs, at) = (programs(), tempfile::tempdir().unwrap());
    let archive = packed(programs.path(), at.path());
    let list = tar(&["--list", "--file"], &archive);
    let files: Vec<_> = list.lines().filter(|line| !line.ends_with('/')).collect();
    let expected = [
        "bin/kubectl-ramp",
        "bin/ramp",
        "bin/workload",
        "share/bash-completion/completions/ramp",
        "share/bash-completion/completions/workload",
        "share/doc/ramp/CHANGELOG.md",
        "share/doc/ramp/CITATION.cff",
        "share/doc/ramp/LICENSE",
        "share/doc/ramp/README.md",
        "share/doc/ramp/SECURITY.md",
        "share/fish/vendor_completions.d/ramp.fish",
        "share/fish/vendor_completions.d/workload.fish",
        "share/man/man1/ramp.1",
        "share/man/man1/workload.1",
        "share/zsh/site-functions/_ramp",
        "share/zsh/site-functions/_workload",
    ];
    assert_eq!(files, expected.map(|path| format!("ramp-1.2.3-x86_64-unknown-linux-gnu/{path}")));
    let details = tar(&["--list", "--verbose", "--numeric-owner", "--utc", "--file"], &archive);
    for line in details.lines() {
        assert!(line.contains(" 0/0 ") && line.contains("2023-11-14 22:13"), "{line}");
    }
    assert!(details.contains("bin/kubectl-ramp -> ramp\n"), "{details}");
    assert!(
        details.lines().any(|line| line.starts_with("-rwxr-xr-x") && line.ends_with("/bin/ramp")),
        "{details}"
    );
    let script = "ramp-1.2.3-x86_64-unknown-linux-gnu/share/zsh/site-functions/_workload";
    let text =
        output(Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(&archive).arg(script));
    assert_eq!(text.unwrap(), "zsh of workload");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let programs = programs();
    let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let before = fs::read(packed(programs.path(), first.path())).unwrap();
    // Other permissions and another time of the same file.
    let workload = programs.path().join("workload");
    fs::set_permissions(&workload, fs::Permissions::from_mode(0o755)).unwrap();
    fs::File::options().append(true).open(&workload).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let after = fs::read(packed(programs.path(), second.path())).unwrap();
    assert!(before == after, "{} and {} bytes", before.len(), after.len());
}

/// The assets of the Debian package, each a directory below target/dist/files.
fn assets() -> Vec<String> {
    let metadata =
        output(command("cargo metadata --format-version 1 --no-deps --locked --offline").current_dir(root()));
    let metadata: Value = serde_json::from_str(&metadata.unwrap()).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ramp = packages.iter().find(|package| package["name"] == "ramp").unwrap();
    let assets = ramp["metadata"]["deb"]["assets"].as_array().unwrap();
    let directory = |asset: &Value| {
        let files = asset[0].as_str()?.strip_prefix("../target/dist/files/")?;
        files.strip_suffix("/*").map(str::to_owned)
    };
    assets.iter().map(|asset| directory(asset).unwrap_or_else(|| panic!("{asset}"))).collect()
}

#[test]
fn the_debian_package_has_every_file_of_the_archive() {
    let (programs, at) = (programs(), tempfile::tempdir().unwrap());
    let list = tar(&["--list", "--file"], &packed(programs.path(), at.path()));
    let files = list.lines().filter(|line| !line.ends_with('/')).filter_map(|line| line.split_once('/'));
    let mut directories: Vec<_> =
        files.filter_map(|(_, path)| Some(Path::new(path).parent()?.to_str()?.to_owned())).collect();
    directories.dedup();
    let mut assets = assets();
    assets.sort();
    assert_eq!(assets, directories);
}

#[test]
fn checksums_are_of_all_files_and_what_sha256sum_checks() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b.tar.gz", "a.json"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    fs::create_dir(directory.path().join("files")).unwrap();
    symlink("files", directory.path().join("link")).unwrap();
    let sums = archive::checksums(directory.path()).unwrap();
    assert_eq!(sums.lines().map(|line| &line[66..]).collect::<Vec<_>>(), ["a.json", "b.tar.gz"]);
    let check = |sums: &str| {
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--status"]).current_dir(&directory).stdin(Stdio::piped());
        let mut child = check.spawn().unwrap();
        child.stdin.take().unwrap().write_all(sums.as_bytes()).unwrap();
        child.wait().unwrap().success()
    };
    assert!(check(&sums));
    fs::write(directory.path().join("a.json"), "changed").unwrap();
    assert!(!check(&sums));
}

#[test]
fn the_krew_manifest_has_the_address_and_the_checksum_of_the_archive() {
    let manifest = krew_manifest("https://example.org/v1/", "ramp-1.2.3-x86_64.tar.gz", "1.2.3", "abc123");
    assert!(manifest.contains("\n  version: v1.2.3\n"), "{manifest}");
    assert!(
        manifest.contains("\n      uri: https://example.org/v1/ramp-1.2.3-x86_64.tar.gz\n"),
        "{manifest}"
    );
    assert!(manifest.contains("\n      sha256: abc123\n") && !manifest.contains("${"), "{manifest}");
}

#[test]
fn wrong_options_are_told_with_those_there_are() {
    let parse = |words: &[&str]| DistOptions::parse(words.iter().map(|word| (*word).to_owned()));
    assert_eq!(parse(&["--binaries", "a"]).unwrap().binaries, Some("a".into()));
    assert_eq!(parse(&["--binaries"]).unwrap_err(), "dist --binaries: expected a value after it");
    let error = parse(&["--release"]).unwrap_err();
    assert_eq!(error, "dist: expected --binaries DIR or --url URL, found \"--release\"");
}

fn package(name: &str, source: Option<&str>, kind: &str) -> Value {
    json!({"id": format!("path+file:///somewhere#{name}"), "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source,
           "targets": [{"kind": [kind]}]})
}

fn node(name: &str, dependencies: &[(&str, Value)]) -> Value {
    let id = |name: &str| format!("path+file:///somewhere#{name}");
    let dependencies: Vec<_> = dependencies
        .iter()
        .map(|(name, kind)| json!({"pkg": id(name), "dep_kinds": [{"kind": kind}]}))
        .collect();
    json!({"id": id(name), "deps": dependencies})
}

#[test]
fn the_bill_of_materials_has_what_is_linked_and_what_builds_it_but_no_tests() {
    let registry = Some("registry+https://example.org");
    let metadata = json!({
        "packages": [
            package("ramp", None, "bin"), package("workload", None, "bin"), package("clap", registry, "lib"),
            package("derive", registry, "proc-macro"), package("syn", registry, "lib"), package("cc", registry, "lib"),
            package("proptest", registry, "lib"),
        ],
        "resolve": {"nodes": [
            node("ramp", &[("workload", Value::Null), ("proptest", json!("dev"))]),
            node("workload", &[("clap", Value::Null), ("cc", json!("build"))]),
            node("clap", &[("derive", Value::Null)]), node("derive", &[("syn", Value::Null)]),
            node("syn", &[]), node("cc", &[]), node("proptest", &[]),
        ]},
    });
    let lock = "[[package]]\nname = \"clap\"\nversion = \"1.0.0\"\nchecksum = \"c1a9\"\n";
    let document = sbom::document(&metadata, lock, "2023-11-14T22:13:20Z").unwrap();
    assert_eq!(document["metadata"]["component"]["name"], "ramp");
    let components = document["components"].as_array().unwrap();
    let scopes: Vec<_> =
        components.iter().map(|of| (of["name"].as_str().unwrap(), of["scope"].as_str().unwrap())).collect();
    let expected = [
        ("cc", "excluded"),
        ("clap", "required"),
        ("derive", "excluded"),
        ("syn", "excluded"),
        ("workload", "required"),
    ];
    assert_eq!(scopes, expected);
    let clap = &components[1];
    assert_eq!(clap["purl"], "pkg:cargo/clap@1.0.0");
    assert_eq!(clap["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
    assert_eq!(clap["hashes"], json!([{"alg": "SHA-256", "content": "c1a9"}]));
    assert!(!document.to_string().contains("somewhere"), "no directory of the machine that made it");
}

#[test]
#[ignore = "needs cyclonedx-python-lib from PyPI"]
fn the_bill_of_materials_is_valid_and_has_each_crate_of_the_programs() {
    // CYCLONEDX_PYTHON names a Python that has it.
    let python = std::env::var("CYCLONEDX_PYTHON")
        .expect("CYCLONEDX_PYTHON names a Python that has cyclonedx-python-lib");
    let document = sbom::generate(&root(), &image::host().unwrap(), EPOCH).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, &document).unwrap();
    let check = "import sys\nfrom cyclonedx.schema import SchemaVersion\nfrom cyclonedx.validation.json import JsonStrictValidator\n\
                 error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())\nsys.exit(error and str(error))";
    output(Command::new(python).args(["-c", check]).arg(file.path())).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let components = document["components"].as_array().unwrap();
    for name in ["kube", "workload", "ramp-report", "clap"] {
        let component = components.iter().find(|component| component["name"] == name).unwrap();
        assert!(
            component["scope"] == "required" && component["licenses"][0]["expression"].is_string(),
            "{component}"
        );
    }
    let from_registry = components.iter().filter(|component| component["purl"].is_string());
    assert!(from_registry.clone().count() > 100);
    for component in from_registry {
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
    }
    assert!(!components.iter().any(|component| component["name"] == "proptest"), "tests are in no program");
}

#[test]
#[ignore = "needs cffconvert from PyPI"]
fn the_citation_is_valid() {
    // CFFCONVERT names the program.
    let program = std::env::var("CFFCONVERT").expect("CFFCONVERT names cffconvert");
    output(Command::new(program).args(["--validate", "--infile"]).arg(root().join("CITATION.cff"))).unwrap();
}

#[test]
fn the_citation_names_the_version_of_the_programs() {
    let citation = fs::read_to_string(root().join("CITATION.cff")).unwrap();
    let workspace = include_str!("../../../Cargo.toml").split_once("[workspace.package]\n").unwrap().1;
    let version = workspace.lines().next().unwrap().strip_prefix("version = ").unwrap().trim_matches('"');
    assert!(citation.contains(&format!("\nversion: {version}\n")), "{citation}");
}
