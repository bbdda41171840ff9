//! Container specification: the create request of a scenario, and what of the scenario it cannot express.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use serde_json::Value;

use crate::engine::kubelet::{cpu_request, cpu_shares, grace};
use crate::engine::readiness::Readiness;
use crate::engine::{RUN_LABEL, manifest_support};
use ramp_format::plan::EngineKind;
use ramp_format::scenario::Scenario;

/// Label of an instance's [`uid`](crate::engine::InstanceStatus::uid).
pub(super) const UID_LABEL: &str = "ramp/uid";

/// A log driver that can be read on Docker and on Podman, which takes it for k8s-file.
pub(super) const LOG_DRIVER: &str = "json-file";

/// The create request of every instance, to which each adds its uid as a label.
pub(super) fn create_body(scenario: &Scenario, run: &str, runtime: Option<&str>) -> ContainerCreateBody {
    let container = &scenario.container;
    let labels = [
        (RUN_LABEL, run),
        ("app.kubernetes.io/name", "workload"),
        ("app.kubernetes.io/instance", scenario.name.as_str()),
    ];
    ContainerCreateBody {
        image: Some(container.image.clone()),
        entrypoint: some(&container.command),
        cmd: some(&container.args),
        env: some(
            &container.env.known.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        ),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        user: user(scenario),
        working_dir: spec(scenario)["workingDir"].as_str().map(str::to_owned),
        stop_timeout: Some(stop_timeout_seconds(scenario)),
        host_config: Some(host_config(scenario, runtime)),
        ..ContainerCreateBody::default()
    }
}

/// Time between SIGTERM and SIGKILL.
pub(super) fn stop_timeout_seconds(scenario: &Scenario) -> i64 {
    i64::try_from(grace(scenario).as_secs()).unwrap_or(i64::MAX)
}

fn host_config(scenario: &Scenario, runtime: Option<&str>) -> HostConfig {
    let container = &scenario.container;
    let security = &spec(scenario)["securityContext"];
    let bytes = |bytes: u64| i64::try_from(bytes).ok();
    let limit = container.memory_limit.and_then(|limit| bytes(limit.0));
    let privileges =
        (security["allowPrivilegeEscalation"] == false).then(|| vec!["no-new-privileges".to_owned()]);
    HostConfig {
        memory: limit,
        // Memory and swap together: no swap, as under a kubelet.
        memory_swap: limit,
        memory_reservation: container.memory_request.and_then(|request| bytes(request.0)),
        nano_cpus: container.cpu_limit.and_then(|cores| bytes(cores.as_nano())),
        cpu_shares: cpu_request(container).and_then(|request| bytes(cpu_shares(request))),
        runtime: runtime.map(str::to_owned),
        cap_add: words(&security["capabilities"]["add"]),
        cap_drop: words(&security["capabilities"]["drop"]),
        security_opt: privileges,
        readonly_rootfs: security["readOnlyRootFilesystem"].as_bool(),
        // Reports are read from the log, whatever the service's default driver.
        log_config: Some(HostConfigLogConfig { typ: Some(LOG_DRIVER.to_owned()), config: None }),
        // The load needs no network, and a bridge costs time and memory.
        network_mode: Some(if has_host_network(scenario) { "host" } else { "none" }.to_owned()),
        ..HostConfig::default()
    }
}

/// `runAsUser` and `runAsGroup` of the manifest; without them the image's user.
fn user(scenario: &Scenario) -> Option<String> {
    let said = |key: &str| {
        let of_container = spec(scenario)["securityContext"][key].as_u64();
        of_container.or_else(|| pod(scenario)["securityContext"][key].as_u64())
    };
    let user = said("runAsUser")?;
    Some(said("runAsGroup").map_or_else(|| user.to_string(), |group| format!("{user}:{group}")))
}

/// Whether the manifest sets `runAsNonRoot` and no user.
pub(super) fn must_not_be_root(scenario: &Scenario) -> bool {
    let non_root = |holder: &Value| holder["securityContext"]["runAsNonRoot"] == true;
    user(scenario).is_none() && (non_root(spec(scenario)) || non_root(pod(scenario)))
}

/// What of the scenario is not honoured, each in a sentence.
pub(super) fn not_honoured(scenario: &Scenario, runtime: Option<&str>, readiness: &Readiness) -> Vec<String> {
    let mut sentences = manifest_support::not_honoured(EngineKind::Podman, scenario);
    if runtime.is_some() {
        sentences.retain(|sentence| !sentence.starts_with("runtimeClassName"));
    }
    if let Readiness::Running(reason) = readiness {
        sentences.push(format!(
            "readiness: an instance is ready as soon as its container runs, and its log is not read: {reason}"
        ));
    }
    let load = scenario.command_line().ok();
    if let Some(address) = load.and_then(|load| load.reports().listen).filter(|_| !has_host_network(scenario))
    {
        sentences.push(format!(
            "--listen {address}: cannot be reached, as the container has no network (hostNetwork: true gives it the host's); \
             reports are read from its log"
        ));
    }
    for holder in [spec(scenario), pod(scenario)] {
        let profile = &holder["securityContext"]["seccompProfile"]["type"];
        if !profile.is_null() && profile != "RuntimeDefault" {
            sentences.push(format!("seccompProfile {profile}: the engine's default profile is used instead"));
        }
    }
    sentences
}

/// Whether the manifest asks for the network of the host; else there is none.
fn has_host_network(scenario: &Scenario) -> bool {
    pod(scenario)["hostNetwork"] == true
}

fn pod(scenario: &Scenario) -> &Value {
    scenario.pod_spec()
}

fn spec(scenario: &Scenario) -> &Value {
    scenario.container_spec()
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn words(value: &Value) -> Option<Vec<String>> {
    some(&value.as_array()?.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>())
}

/// The create request of one instance.
pub(super) fn with_uid(body: &ContainerCreateBody, uid: &str) -> ContainerCreateBody {
    let mut body = body.clone();
    body.labels.get_or_insert_with(HashMap::new).insert(UID_LABEL.to_owned(), uid.to_owned());
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn restricted() -> Scenario {
        let mut manifest = Scenario::embedded().unwrap().manifest;
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"requests": {"memory": "100M", "cpu": "50m"}, "limits": {"memory": "1Gi", "cpu": "0.5"}});
        Scenario::of(manifest).unwrap()
    }

    #[test]
    fn limits_and_requests_are_those_of_the_manifest_and_there_is_no_swap() {
        let body = serde_json::to_value(create_body(&restricted(), "r1", Some("crun"))).unwrap();
        let host = &body["HostConfig"];
        assert_eq!(host["Memory"], 1_073_741_824);
        assert_eq!(host["MemorySwap"], host["Memory"]);
        assert_eq!(host["MemoryReservation"], 100_000_000);
        assert_eq!(host["NanoCpus"], 500_000_000);
        assert_eq!(host["CpuShares"], 51);
        assert_eq!(host["Runtime"], "crun");
        assert!(host["RestartPolicy"].is_null(), "ramp restarts itself, as the kubelet does");
    }

    #[test]
    fn the_entry_point_is_the_images_unless_the_manifest_has_a_command() {
        let mut scenario = Scenario::embedded().unwrap();
        let body = create_body(&scenario, "r1", None);
        assert_eq!((body.entrypoint, body.cmd), (None, Some(scenario.container.args.clone())));
        scenario.container.command = vec!["/workload".into()];
        assert_eq!(create_body(&scenario, "r1", None).entrypoint, Some(vec!["/workload".to_owned()]));
    }

    #[test]
    fn what_is_made_bears_the_run_and_the_rights_of_the_manifest() {
        let body = create_body(&Scenario::embedded().unwrap(), "r1", None);
        let labels = with_uid(&body, "u1").labels.unwrap();
        assert_eq!((labels[RUN_LABEL].as_str(), labels[UID_LABEL].as_str()), ("r1", "u1"));
        assert_eq!(labels["app.kubernetes.io/instance"], "memory-capacity");
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!((host.readonly_rootfs, host.memory), (Some(true), None));
        assert_eq!((body.user, body.stop_timeout), (None, Some(5)));
    }

    #[test]
    fn the_log_can_be_read_and_there_is_no_network_unless_the_manifest_asks_for_the_hosts() {
        let host = |scenario: &Scenario| {
            serde_json::to_value(create_body(scenario, "r1", None)).unwrap()["HostConfig"].clone()
        };
        let mut scenario = restricted();
        assert_eq!(host(&scenario)["LogConfig"], json!({"Type": "json-file"}));
        assert_eq!(host(&scenario)["NetworkMode"], "none");
        scenario.manifest["spec"]["template"]["spec"]["hostNetwork"] = true.into();
        assert_eq!(host(&scenario)["NetworkMode"], "host");
        let said = not_honoured(&scenario, None, &Readiness::of(&scenario));
        assert!(!said.iter().any(|said| said.starts_with("--listen") || said.starts_with("hostNetwork")));
    }

    #[test]
    fn users_are_numbers_of_the_container_before_those_of_the_pod() {
        let mut manifest = restricted().manifest;
        let pod = &mut manifest["spec"]["template"]["spec"];
        pod["securityContext"] = json!({"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": true});
        let scenario = Scenario::of(manifest.clone()).unwrap();
        assert_eq!(create_body(&scenario, "r", None).user, Some("1:2".into()));
        assert!(!must_not_be_root(&scenario) && must_not_be_root(&restricted()));
    }

    #[test]
    fn what_cannot_be_had_is_said_and_what_can_is_not() {
        let scenario = Scenario::embedded().unwrap();
        let said = not_honoured(&scenario, None, &Readiness::of(&scenario));
        let about = |key: &str| said.iter().filter(|sentence| sentence.starts_with(key)).count();
        assert_eq!((about("readinessProbe"), about("livenessProbe"), about("priorityClassName")), (1, 1, 1));
        assert_eq!((about("ports"), about("--listen")), (1, 1));
        assert_eq!(said.len(), 5, "{said:?}");
        let mut manifest = scenario.manifest.clone();
        manifest["spec"]["template"]["spec"]["runtimeClassName"] = "kata".into();
        let kata = Scenario::of(manifest).unwrap();
        let about_class = |runtime| {
            not_honoured(&kata, runtime, &Readiness::of(&kata))
                .iter()
                .any(|said| said.contains("runtimeClassName kata"))
        };
        assert!(about_class(None) && !about_class(Some("kata-runtime")));
    }
}
