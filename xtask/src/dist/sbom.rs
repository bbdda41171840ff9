//! Software bill of materials in CycloneDX JSON, from `cargo metadata` and Cargo.lock: what is linked into the programs, and what builds
//! them (scope `excluded`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::contents::PROGRAMS;
use crate::shell::{Outcome, command, output};

/// The document, pretty-printed, of the workspace at `sources`. It has no serial number, so that the same commit gives the same bytes.
///
/// # Errors
/// Where cargo fails, or prints something unexpected.
pub(super) fn generate(sources: &Path, target: &str, epoch: u64) -> Outcome<String> {
    let mut cargo = command("cargo metadata --format-version 1 --locked --filter-platform");
    let metadata = output(cargo.arg(target).current_dir(sources))?;
    let metadata = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let lock = sources.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let time = output(command("date --utc +%Y-%m-%dT%H:%M:%SZ --date").arg(format!("@{epoch}")))?;
    let document = document(&metadata, &lock, &time)?;
    Ok(format!("{document:#}\n"))
}

/// # Errors
/// Where the metadata has not the programs.
pub(super) fn document(metadata: &Value, lock: &str, time: &str) -> Outcome<Value> {
    let graph = Graph::of(metadata);
    let roots: Vec<&str> = PROGRAMS.iter().filter_map(|name| graph.program(name)).collect();
    let &[ramp, _] = roots.as_slice() else {
        return Err(format!("cargo metadata: expected the packages {PROGRAMS:?}, found {roots:?}"));
    };
    let linked = graph.reach(&roots, |kind, is_macro| kind.is_null() && !is_macro);
    let all = graph.reach(&roots, |kind, _| kind != "dev");
    let checksums = checksums(lock);
    let component = |id: &&str| component(graph.packages[id], &checksums, linked.contains(id));
    let components: Vec<Value> = all.iter().filter(|id| **id != ramp).map(component).collect();
    let dependencies = all.iter().map(|id| {
        let direct = graph.dependencies(id, |kind, _| kind != "dev").map(|id| reference(graph.packages[id]));
        json!({"ref": reference(graph.packages[id]), "dependsOn": direct.collect::<BTreeSet<_>>()})
    });
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": {"components": [{"type": "application", "name": "cargo xtask dist"}]},
            "component": component(&ramp),
        },
        "components": components,
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

/// Packages and their dependencies, by the identifiers of `cargo metadata`.
struct Graph<'m> {
    packages: BTreeMap<&'m str, &'m Value>,
    nodes: BTreeMap<&'m str, &'m Value>,
}

impl<'m> Graph<'m> {
    fn of(metadata: &'m Value) -> Self {
        let by_id = |list: &'m Value| {
            let items = list.as_array().into_iter().flatten();
            items.filter_map(|item| Some((item["id"].as_str()?, item))).collect()
        };
        Self { packages: by_id(&metadata["packages"]), nodes: by_id(&metadata["resolve"]["nodes"]) }
    }

    fn program(&self, name: &str) -> Option<&'m str> {
        let is_it = |package: &Value| package["name"] == name && package["source"].is_null();
        self.packages.iter().find(|(_, package)| is_it(package)).map(|(id, _)| *id)
    }

    fn is_macro(&self, id: &str) -> bool {
        let targets = self.packages.get(id).and_then(|package| package["targets"].as_array());
        let kinds = targets.into_iter().flatten().filter_map(|target| target["kind"].as_array());
        kinds.flatten().any(|kind| kind == "proc-macro")
    }

    /// Direct dependencies of a package; `counts` is asked for the kind of each (null: linked; build; dev) and whether it is a macro.
    fn dependencies(&self, id: &str, counts: impl Fn(&Value, bool) -> bool) -> impl Iterator<Item = &'m str> {
        let dependencies = self.nodes.get(id).and_then(|node| node["deps"].as_array()).into_iter().flatten();
        dependencies.filter_map(move |dependency| {
            let id = dependency["pkg"].as_str()?;
            let mut kinds = dependency["dep_kinds"].as_array()?.iter();
            kinds.any(|kind| counts(&kind["kind"], self.is_macro(id))).then_some(id)
        })
    }

    fn reach(&self, roots: &[&'m str], counts: impl Fn(&Value, bool) -> bool + Copy) -> BTreeSet<&'m str> {
        let mut reached = BTreeSet::new();
        let mut next = roots.to_vec();
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(self.dependencies(id, counts));
            }
        }
        reached
    }
}

/// Its package URL: unique here, and without the directory that is in the identifiers of local packages.
fn reference(package: &Value) -> String {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    format!("pkg:cargo/{name}@{version}")
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>, is_linked: bool) -> Value {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    let mut component = json!({
        "type": if PROGRAMS.contains(&name) { "application" } else { "library" },
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "scope": if is_linked { "required" } else { "excluded" },
    });
    if let Some(licence) = package["license"].as_str() {
        // As it was written before SPDX expressions.
        component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
    }
    if !package["source"].is_null() {
        component["purl"] = json!(reference(package));
    }
    if let Some(checksum) = checksums.get(&(name.to_owned(), version.to_owned())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// Of the archives on the registry, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|text| text.trim_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}
