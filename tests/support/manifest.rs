//! The manifests in `deploy/`: read as they are, for tests of the files and of what a cluster makes of them.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use workload::config::LoadSpec;
use workload::quantity::{Bytes, MemoryTarget};

/// The runtimes that every scenario is there for.
pub(crate) const RUNTIMES: [&str; 2] = ["runc", "kata"];

/// `deploy/` of this project.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Every object of a file.
pub(crate) fn objects(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The YAML files right in a directory, by name, the kustomizations not among them.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.retain(|file| file.file_stem().is_some_and(|name| name != "kustomization"));
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    files
}

/// One scenario under one runtime.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The name of its file and of its Deployment.
    pub(crate) name: String,
    /// `runc` or `kata`.
    pub(crate) runtime: &'static str,
    pub(crate) path: PathBuf,
    /// The Deployment.
    pub(crate) manifest: Value,
}

impl Scenario {
    /// All that there are for a runtime.
    pub(crate) fn all(runtime: &'static str) -> Vec<Self> {
        let names = files(&deploy().join(runtime)).into_iter();
        names.map(|path| Self::read(path, runtime)).collect()
    }

    /// All that there are.
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        RUNTIMES.into_iter().flat_map(Self::all)
    }

    /// The one of this name.
    pub(crate) fn named(name: &str, runtime: &'static str) -> Self {
        Self::read(deploy().join(runtime).join(format!("{name}.yaml")), runtime)
    }

    fn read(path: PathBuf, runtime: &'static str) -> Self {
        let mut objects = objects(&path);
        assert_eq!(objects.len(), 1, "{} is one Deployment", path.display());
        let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        Self { name, runtime, path, manifest: objects.remove(0) }
    }

    /// `SCENARIO under RUNTIME`.
    pub(crate) fn title(&self) -> String {
        format!("{} under {}", self.name, self.runtime)
    }

    /// What every pod is made of.
    pub(crate) fn pod(&mut self) -> &mut Value {
        &mut self.manifest["spec"]["template"]["spec"]
    }

    pub(crate) fn container(&self) -> &Value {
        &self.manifest["spec"]["template"]["spec"]["containers"][0]
    }

    /// What the program makes of the arguments that the container gets.
    pub(crate) fn args(&self) -> LoadSpec {
        let given = self.container()["args"].as_array().expect("a list").iter();
        let given = given.map(|arg| arg.as_str().expect("strings").to_owned());
        LoadSpec::from_arguments(given, |_| None)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }

    /// Gives an option of its arguments another value.
    pub(crate) fn set_arg(&mut self, option: &str, value: &str) {
        let args = self.pod()["containers"][0]["args"].as_array_mut().expect("a list");
        let place = args.iter().position(|arg| arg == option).expect("it is among them");
        args[place + 1] = value.into();
    }

    /// The resident set asked for, where that is a number.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        match self.args().memory {
            MemoryTarget::Bytes(Bytes(bytes)) => Some(bytes),
            MemoryTarget::Max | MemoryTarget::Percent(_) => None,
        }
    }

    /// What the container's `resources` say of memory, in bytes: `requests` or `limits`.
    pub(crate) fn resource_bytes(&self, kind: &str) -> Option<u64> {
        let text = self.container()["resources"][kind]["memory"].as_str()?;
        let Bytes(bytes) = text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        Some(bytes)
    }
}
