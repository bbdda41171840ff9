//! The manifests of the scenarios: `deploy/RUNTIME/SCENARIO.yaml`, and the kustomization beside them. (Of the chart: [`chart`].)
//!
//! They are applied as files, so they are committed. All of them are written from `deploy/templates` and the two tables here, and a test
//! holds them to that.

use crate::chart;
use crate::generated::{self, GeneratedFile};
use crate::shell::Outcome;

/// A directory of `deploy`.
struct Runtime {
    name: &'static str,
    /// The RuntimeClass of its pods; without one they run under the cluster's default runtime.
    class: Option<&'static str>,
}

const RUNTIMES: &[Runtime] =
    &[Runtime { name: "runc", class: None }, Runtime { name: "kata", class: Some("kata") }];

/// A Deployment, the same under every runtime.
struct Scenario {
    name: &'static str,
    /// The comment at the top of its files, with `${cpu}` for [`Self::cpu`].
    about: &'static str,
    /// What each container is told to take: `--memory` and `--cpu`.
    memory: &'static str,
    cpu: &'static str,
    /// How much `--memory` grows each second, in steps of as much.
    growth: Option<&'static str>,
    /// The container's request and limit of memory.
    resources: Option<(&'static str, &'static str)>,
}

const CPU: Scenario = Scenario {
    name: "",
    about: "How many containers using ${cpu} cores each still get that CPU time, and how much work each does per CPU second. No\n\
            requests or limits (a RuntimeClass may add pod overhead).",
    memory: "10M",
    cpu: "",
    growth: None,
    resources: None,
};
const MEMORY: Scenario =
    Scenario { name: "", about: "", memory: "500M", cpu: "0.05", growth: Some("256M"), resources: None };
const HUNGRY: Scenario = Scenario { memory: "max", growth: Some("25M"), ..MEMORY };

/// In the order of the kustomizations.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "cpu-10", cpu: "0.1", ..CPU },
    Scenario { name: "cpu-100", cpu: "1.0", ..CPU },
    Scenario { name: "cpu-20", cpu: "0.2", ..CPU },
    Scenario { name: "cpu-50", cpu: "0.5", ..CPU },
    Scenario { name: "cpu-80", cpu: "0.8", ..CPU },
    Scenario {
        name: "memory-capacity",
        about: "How many containers of 500 MB fit. Each allocates all of its memory within two seconds and keeps it. No requests or\n\
                limits (a RuntimeClass may add pod overhead): nodes are filled by memory in use, not by requests.",
        ..MEMORY
    },
    Scenario {
        name: "memory-hungry",
        about: "What happens when every container allocates all the memory it can get: 25 MB more each second, until its pod is\n\
                evicted, it is OOM-killed, or the memory of its VM is used up. Not ready before that.",
        ..HUNGRY
    },
    Scenario {
        name: "memory-hungry-restricted",
        about: "memory-hungry with a memory limit: each container is OOM-killed at 1 GiB and restarted with a back-off of up to five\n\
                minutes (CrashLoopBackOff). Its neighbours should not be affected. Never ready.",
        resources: Some(("512Mi", "1Gi")),
        ..HUNGRY
    },
    Scenario {
        name: "memory-restricted",
        about: "Containers that use more memory than they request, with a limit just above: 500 MB are 477 MiB.",
        resources: Some(("384Mi", "512Mi")),
        ..MEMORY
    },
    Scenario {
        name: "memory-restricted-1g",
        about: "Containers of 500 MB that request about as much, with a limit of twice that. Runtimes with VMs size them by the limit.",
        resources: Some(("512Mi", "1Gi")),
        ..MEMORY
    },
    Scenario {
        name: "memory-restricted-2g",
        about: "Containers of 500 MB that request twice as much, with a limit of four times that: pods become unschedulable long\n\
                before the nodes run out of memory.",
        resources: Some(("1Gi", "2Gi")),
        ..MEMORY
    },
];

/// The scenario of the study of `deploy/job`.
const JOB_SCENARIO: &str = "memory-capacity";

/// The comment on the readiness probe, and its period in seconds.
type Readiness = (&'static str, &'static str);

const READY_WITH_ITS_MEMORY: Readiness = (
    "Ready once it holds all of its memory. Probed every second, the shortest period possible, because time to ready is\n\
     measured. The timeout allows for slow answers on a full node.",
    "1",
);
const READY_WITHOUT_END: Readiness = (
    "Ready once no more memory can be allocated. Until then each probe fails and creates an event, so it is probed rarely.",
    "10",
);

impl Scenario {
    fn manifest(&self, runtime: &Runtime) -> String {
        let Self { name, about, memory, cpu, .. } = self;
        let class = runtime.class.map(|class| format!("runtimeClassName: {class}"));
        let growth =
            self.growth.map(|rate| format!(r#", "--growth-rate", "{rate}/s", "--growth-step", "{rate}""#));
        let args = format!(r#""--memory", "{memory}", "--cpu", "{cpu}"{}"#, growth.unwrap_or_default());
        let resources = self.resources.map(|(request, limit)| {
            format!("resources:\n  requests:\n    memory: {request}\n  limits:\n    memory: {limit}")
        });
        let (readiness, period) = if *memory == "max" { READY_WITHOUT_END } else { READY_WITH_ITS_MEMORY };
        let values = [
            ("about", &*fill(about, &[("cpu", cpu)])),
            ("scenario", name),
            ("runtime_class", &class.unwrap_or_default()),
            ("args", &args),
            ("resources", &resources.unwrap_or_default()),
            ("readiness", readiness),
            ("readiness_period", period),
        ];
        fill(include_str!("../../deploy/templates/scenario.yaml"), &values)
    }
}

/// A template with its placeholders, `${name}`, replaced. A line that has one is written once for each line of its value. Lines that
/// begin with `##` are about the template itself.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    for line in template.lines().filter(|line| !line.starts_with("##")) {
        let found = values.iter().map(|(name, value)| (format!("${{{name}}}"), value));
        match found.into_iter().find(|(placeholder, _)| line.contains(placeholder)) {
            Some((placeholder, value)) => {
                value.lines().for_each(|part| filled.extend([&line.replace(&placeholder, part), "\n"]));
            }
            None => filled.extend([line, "\n"]),
        }
    }
    filled
}

/// Every file that is written, by its path from the root, with its text.
fn files() -> Vec<GeneratedFile> {
    let mut files = Vec::new();
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    let names = names.join("\n");
    for runtime in RUNTIMES {
        let mut add =
            |name: &str, text: String| files.push((format!("deploy/{}/{name}", runtime.name), text));
        for scenario in SCENARIOS {
            add(&format!("{}.yaml", scenario.name), scenario.manifest(runtime));
        }
        let kustomization = include_str!("../../deploy/templates/kustomization.yaml");
        add("kustomization.yaml", fill(kustomization, &[("runtime", runtime.name), ("scenario", &names)]));
        add("zero-replicas.json", include_str!("../../deploy/templates/zero-replicas.json").to_owned());
    }
    // Of that under the default runtime: kustomize makes ConfigMaps of files below its own directory only.
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name == JOB_SCENARIO) {
        let path = format!("deploy/job/{JOB_SCENARIO}.yaml");
        files.extend(RUNTIMES.first().map(|runtime| (path, scenario.manifest(runtime))));
    }
    files
}

/// Writes the files that are not there or not current.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write() -> Outcome {
    generated::write(files())?;
    generated::write(chart::files()?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn at(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    #[test]
    fn the_manifests_in_deploy_are_current() {
        generated::assert_current(
            [files(), chart::files().unwrap()].concat(),
            "Make changes in deploy/templates, deploy/setup or xtask/src/manifests.rs, then run `cargo xtask manifests`",
        );
    }

    #[test]
    fn every_file_of_a_runtime_is_written_from_the_tables() {
        let written: Vec<_> = files().into_iter().map(|(path, _)| path).collect();
        for runtime in RUNTIMES {
            let directory = format!("deploy/{}", runtime.name);
            for entry in fs::read_dir(at(&directory)).unwrap() {
                let path = format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap());
                assert!(
                    written.contains(&path),
                    "{path} is not generated: add its scenario to xtask/src/manifests.rs, or delete the file"
                );
            }
            let all = fs::read_to_string(at("deploy/kustomization.yaml")).unwrap();
            let base = format!("  - {}", runtime.name);
            assert!(
                all.lines().any(|line| line == base),
                "add to the bases in deploy/kustomization.yaml: {base}"
            );
        }
    }

    #[test]
    fn no_placeholder_is_left() {
        for (path, text) in files() {
            assert!(!text.contains("${"), "{path}: {text}");
        }
    }

    #[test]
    fn a_line_is_written_for_each_line_of_a_value() {
        let template = "## Not written.\n# ${about}\nname: ${name} # ${name}\n${nothing}\nend: {}\n";
        let values = [("about", "One.\nTwo."), ("name", "a"), ("nothing", "")];
        assert_eq!(fill(template, &values), "# One.\n# Two.\nname: a # a\nend: {}\n");
    }
}
