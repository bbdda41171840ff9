//! Process specification: command, environment and limits of a scenario, and what of it is not honoured.

use std::time::Duration;

use workload::cli::Command;
use workload::quantity::{Bytes, Cores};

use crate::engine::kubelet::{cpu_request, grace};
use crate::engine::{Failure, manifest_support};
use ramp_format::plan::EngineKind;
use ramp_format::scenario::Scenario;

/// What to run as a process.
#[derive(Clone, Debug)]
pub(super) struct ProcessSpec {
    pub(super) program: Program,
    pub(super) env: Vec<(String, String)>,
    pub(super) limits: Limits,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// What of the scenario is not honoured, a sentence each.
    pub(super) not_honoured: Vec<String>,
}

/// What an instance becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The load, with these options.
    Load(Vec<String>),
    /// A program of this machine and its arguments.
    Host(Vec<String>),
}

/// Limits of a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Memory limit.
    pub(super) memory: Option<Bytes>,
    /// CPU limit.
    pub(super) cpu: Option<Cores>,
    /// CPU request: the share where there is not enough for all.
    pub(super) cpu_share: Option<Cores>,
}

impl ProcessSpec {
    /// # Errors
    /// Where the container is neither the load nor has a command.
    pub(super) fn of(scenario: &Scenario) -> Result<Self, Failure> {
        let container = &scenario.container;
        let program = program(scenario)?;
        let mut not_honoured = Vec::new();
        about_the_program(scenario, &program, &mut not_honoured);
        not_honoured.extend(manifest_support::not_honoured(EngineKind::Local, scenario));
        Ok(Self {
            program,
            env: container.env.known.clone(),
            limits: Limits {
                memory: container.memory_limit,
                cpu: container.cpu_limit,
                cpu_share: cpu_request(container),
            },
            grace: grace(scenario),
            not_honoured,
        })
    }
}

fn program(scenario: &Scenario) -> Result<Program, Failure> {
    let container = &scenario.container;
    match scenario.command_line() {
        Ok(_) => {
            Ok(Program::Load(container.command.iter().skip(1).chain(&container.args).cloned().collect()))
        }
        _ if !container.command.is_empty() && !is_workload(&container.command) => {
            Ok(Program::Host(container.command.iter().chain(&container.args).cloned().collect()))
        }
        Err(why) => Err(Failure::permanent(format!(
            "image {}: not a load: {why} (the local engine runs no images; expected the image workload with options of \
             workload, or a command of this machine; or use --engine podman or kubernetes)",
            container.image
        ))),
    }
}

/// Whether it is the load, whose options may be wrong.
fn is_workload(command: &[String]) -> bool {
    command.first().is_some_and(|program| program.rsplit('/').next() == Some("workload"))
}

fn about_the_program(scenario: &Scenario, program: &Program, all: &mut Vec<String>) {
    let image = &scenario.container.image;
    match program {
        Program::Load(_) => {
            let version = env!("CARGO_PKG_VERSION");
            all.push(format!(
                "image {image}: not used; instances are processes of ramp, with the load of version {version}"
            ));
            let load = scenario.command_line();
            if let Some(address) = load.as_ref().ok().and_then(|load| load.reports().listen) {
                all.push(format!("--listen {address}: ignored, as all instances share the machine's ports"));
            }
            if load.is_ok_and(|load| matches!(load.command, Some(Command::Node { .. }))) {
                all.push(
                    "readiness: workload node allocates no memory, so it is ready with its first report"
                        .into(),
                );
            }
        }
        Program::Host(words) => {
            let name = words.first().map_or("", String::as_str);
            all.push(format!("image {image}: not used; {name} of this machine is executed"));
            all.push(format!("readiness: {name} does not report, so it is ready as soon as it runs"));
        }
    }
    if scenario.container.memory_request.is_some() {
        all.push(
            "resources.requests.memory: nothing is reserved; instances are started whether or not there is memory for them".into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn scenario(container: &Value) -> Scenario {
        let pod = json!({"containers": [container]});
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                              "spec": {"template": {"spec": pod}}});
        Scenario::of(manifest).unwrap()
    }

    #[test]
    fn the_embedded_scenario_is_the_load_and_nothing_of_it_is_dropped_in_silence() {
        let demand = ProcessSpec::of(&Scenario::embedded().unwrap()).unwrap();
        let Program::Load(options) = &demand.program else { panic!("{:?}", demand.program) };
        assert_eq!(options[..2], ["--memory", "500M"]);
        assert_eq!(demand.grace, Duration::from_secs(5));
        let said = |part: &str| demand.not_honoured.iter().filter(|line| line.starts_with(part)).count();
        for part in ["image", "--listen :8080", "priorityClassName workload-load", "securityContext"] {
            assert_eq!(said(part), 1, "{part} in {:#?}", demand.not_honoured);
        }
        for part in ["readinessProbe", "livenessProbe", "ports"] {
            assert_eq!(said(part), 1, "{part} in {:#?}", demand.not_honoured);
        }
        assert_eq!(demand.not_honoured.len(), 7, "{:#?}", demand.not_honoured);
    }

    #[test]
    fn another_command_is_one_of_the_machines() {
        let demand = ProcessSpec::of(&scenario(&json!({
            "image": "nginx", "command": ["sleep", "1"], "args": ["2"], "volumeMounts": [],
            "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {}}],
            "resources": {"limits": {"cpu": "1", "memory": "5M", "nvidia.com/gpu": 1}},
        })))
        .unwrap();
        assert_eq!(demand.program, Program::Host(["sleep", "1", "2"].map(str::to_owned).to_vec()));
        assert_eq!(demand.env, [("A".to_owned(), "b".to_owned())]);
        let limits = Limits {
            memory: Some(Bytes(5_000_000)),
            cpu: Some(Cores::from_whole(1)),
            cpu_share: Some(Cores::from_whole(1)),
        };
        assert_eq!(demand.limits, limits);
        for part in ["image nginx", "readiness", "env C", "volumeMounts", "resources.limits.nvidia.com/gpu"] {
            assert!(demand.not_honoured.iter().any(|line| line.starts_with(part)), "{part}");
        }
    }

    #[test]
    fn what_is_not_honoured_is_as_written_down() {
        let another = scenario(&json!({
            "image": "nginx", "command": ["sleep", "1"], "volumeMounts": [],
            "env": [{"name": "C", "valueFrom": {}}], "resources": {"limits": {"nvidia.com/gpu": 1}},
        }));
        let all = [("the load", Scenario::embedded().unwrap()), ("another command", another)];
        let text = all.map(|(what, scenario)| {
            let lines = ProcessSpec::of(&scenario).unwrap().not_honoured.join("\n  ");
            // A release changes no wording.
            format!("{what}\n  {lines}\n").replace(env!("CARGO_PKG_VERSION"), "VERSION")
        });
        insta::assert_snapshot!("not_honoured", text.concat());
    }

    #[test]
    fn an_image_of_which_nothing_is_known_is_refused_for_good() {
        let refusal = |container: Value| ProcessSpec::of(&scenario(&container)).unwrap_err();
        let of_nginx = refusal(json!({"image": "docker.io/library/nginx:1"}));
        assert!(!of_nginx.transient && of_nginx.message.contains("neither command nor arguments"));
        assert!(
            refusal(json!({"image": "nginx", "args": ["-g", "daemon off;"]})).message.contains("not a load")
        );
        let wrong =
            refusal(json!({"image": "workload", "command": ["/workload"], "args": ["--memory", "much"]}));
        assert!(wrong.message.contains("--memory"), "{wrong}");
        for image in ["workload", "r:5/a/workload:0.1", "workload@sha256:00"] {
            assert_eq!(
                ProcessSpec::of(&scenario(&json!({"image": image}))).unwrap().program,
                Program::Load(vec![])
            );
        }
    }
}
