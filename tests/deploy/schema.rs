//! The manifests beside the schemas of Kubernetes, by `kubernetes-validate` from PyPI: each release of it has those of some
//! versions. `KUBERNETES_VALIDATE_1_20` names the program of release 1.20.0, `KUBERNETES_VALIDATE` that of a current one.

use std::path::PathBuf;
use std::process::Command;

use crate::manifest::{RUNTIMES, deploy, files, objects};

/// All manifests of objects that Kubernetes itself has: neither those of the Prometheus Operator nor study files, which are
/// ramp's and have a schema of their own.
fn manifests() -> Vec<PathBuf> {
    let directories = RUNTIMES.into_iter().chain(["setup", "setup/components", "examples"]);
    let all = directories.flat_map(|name| files(&deploy().join(name)));
    let of_others = |name: &str| name == "pod-monitor" || name.starts_with("study");
    all.filter(|file| file.file_stem().is_some_and(|name| !of_others(&name.to_string_lossy()))).collect()
}

/// Validates files; `version` is that of Kubernetes, the program's newest where there is none.
pub(crate) fn validate(variable: &str, version: Option<&str>, files: &[PathBuf]) {
    let program = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names kubernetes-validate"));
    let mut command = Command::new(&program);
    command.arg("--strict").args(version.iter().flat_map(|version| ["--kubernetes-version", version]));
    let output = command.args(files).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{told}");
    // Nothing is passed over.
    let passed = told.lines().filter(|line| line.contains(" passed for resource ")).count();
    let objects: usize = files.iter().map(|file| objects(file).len()).sum();
    assert_eq!(passed, objects, "{told}");
}

#[test]
#[ignore = "needs kubernetes-validate"]
fn every_manifest_is_one_of_kubernetes_1_20() {
    validate("KUBERNETES_VALIDATE_1_20", Some("1.20.0"), &manifests());
}

#[test]
#[ignore = "needs kubernetes-validate"]
fn every_manifest_is_one_of_a_current_kubernetes() {
    validate("KUBERNETES_VALIDATE", None, &manifests());
}
