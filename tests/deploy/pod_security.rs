//! Pod Security, level "restricted": what <https://kubernetes.io/docs/concepts/security/pod-security-standards/> asks of a
//! pod, baseline included, without the exceptions for Windows and for user namespaces.

use serde_json::Value;

/// Types of volumes that are allowed.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Seccomp profiles that are allowed.
const SECCOMP: [&str; 2] = ["RuntimeDefault", "Localhost"];
/// The kernel settings that a namespace keeps to itself.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Every rule that a pod's `spec` (with the `annotations` of its template) breaks, with the place.
pub(crate) fn violations(spec: &Value, annotations: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    of_the_pod(spec, annotations, &mut broken);
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        for container in list(&spec[kind]) {
            of_a_container(spec, container, &mut |what| {
                broken.push(format!("{kind} {}: {what}", container["name"]));
            });
        }
    }
    broken
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn of_the_pod(spec: &Value, annotations: &Value, broken: &mut Vec<String>) {
    for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[namespace] == true {
            broken.push(format!("{namespace} shares a namespace of the host"));
        }
    }
    for volume in list(&spec["volumes"]) {
        let kinds = volume.as_object().into_iter().flatten().map(|(key, _)| key);
        let foreign = kinds.filter(|key| *key != "name" && !VOLUMES.contains(&key.as_str()));
        broken.extend(foreign.map(|kind| format!("volume {} is a {kind}", volume["name"])));
    }
    for sysctl in list(&spec["securityContext"]["sysctls"]) {
        if !SYSCTLS.iter().any(|safe| sysctl["name"] == *safe) {
            broken.push(format!("sysctl {} is not the pod's own", sysctl["name"]));
        }
    }
    let annotations = annotations.as_object().into_iter().flatten();
    let apparmor =
        annotations.filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"));
    for (key, profile) in apparmor {
        if !profile
            .as_str()
            .is_some_and(|profile| profile == "runtime/default" || profile.starts_with("localhost/"))
        {
            broken.push(format!("{key} is {profile}"));
        }
    }
    of_a_context(&spec["securityContext"], &mut |what| broken.push(format!("the pod: {what}")));
}

/// What the contexts of pods and of containers have in common.
fn of_a_context(context: &Value, broken: &mut impl FnMut(String)) {
    if context["runAsUser"] == 0 {
        broken("runAsUser is root".into());
    }
    if context["runAsNonRoot"] == false {
        broken("runAsNonRoot is false".into());
    }
    let seccomp = &context["seccompProfile"]["type"];
    if !seccomp.is_null() && !SECCOMP.iter().any(|allowed| seccomp == allowed) {
        broken(format!("seccompProfile is {seccomp}"));
    }
    if context["windowsOptions"]["hostProcess"] == true {
        broken("it is a host process".into());
    }
    let selinux = &context["seLinuxOptions"];
    let types = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    if !types.contains(&selinux["type"].as_str().unwrap_or_default())
        || selinux["user"].is_string()
        || selinux["role"].is_string()
    {
        broken(format!("seLinuxOptions is {selinux}"));
    }
    let apparmor = &context["appArmorProfile"]["type"];
    if !apparmor.is_null() && apparmor != "RuntimeDefault" && apparmor != "Localhost" {
        broken(format!("appArmorProfile is {apparmor}"));
    }
}

fn of_a_container(spec: &Value, container: &Value, broken: &mut impl FnMut(String)) {
    let context = &container["securityContext"];
    of_a_context(context, broken);
    // What the pod says holds where the container says nothing.
    let somebody_says = |field: &str| !context[field].is_null() || !spec["securityContext"][field].is_null();
    if !somebody_says("runAsNonRoot") {
        broken("nobody says runAsNonRoot".into());
    }
    if !somebody_says("seccompProfile") {
        broken("nobody says seccompProfile".into());
    }
    if context["privileged"] == true {
        broken("it is privileged".into());
    }
    if context["allowPrivilegeEscalation"] != false {
        broken("allowPrivilegeEscalation is not false".into());
    }
    if !list(&context["capabilities"]["drop"]).iter().any(|capability| capability == "ALL") {
        broken("it does not drop ALL capabilities".into());
    }
    for capability in list(&context["capabilities"]["add"]) {
        if capability != "NET_BIND_SERVICE" {
            broken(format!("it adds {capability}"));
        }
    }
    if !context["procMount"].is_null() && context["procMount"] != "Default" {
        broken(format!("procMount is {}", context["procMount"]));
    }
    for port in list(&container["ports"]) {
        if port["hostPort"].as_u64().unwrap_or_default() != 0 {
            broken(format!("it takes port {} of the host", port["hostPort"]));
        }
    }
    let (probes, hooks) = (["livenessProbe", "readinessProbe", "startupProbe"], ["postStart", "preStop"]);
    let probes = probes.map(|probe| (probe, &container[probe]));
    let hooks = hooks.map(|hook| (hook, &container["lifecycle"][hook]));
    for (name, handler) in probes.into_iter().chain(hooks) {
        for how in ["httpGet", "tcpSocket"] {
            if handler[how]["host"].as_str().is_some_and(|host| !host.is_empty()) {
                broken(format!("{name} asks another host"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn restricted() -> Value {
        json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "c",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}
            }]
        })
    }

    #[test]
    fn what_the_standard_asks_for_is_enough() {
        assert_eq!(violations(&restricted(), &Value::Null), Vec::<String>::new());
    }

    /// What is said of a pod that is restricted but for one value.
    fn with(place: &str, value: Value) -> Vec<String> {
        let mut spec = restricted();
        let (parent, key) = place.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[key] = value;
        violations(&spec, &Value::Null)
    }

    #[test]
    fn breaking_a_rule_is_told() {
        let unconfined = json!({"type": "Unconfined"});
        let breaches = [
            ("/hostNetwork", json!(true), "hostNetwork shares"),
            ("/hostPID", json!(true), "hostPID shares"),
            ("/hostIPC", json!(true), "hostIPC shares"),
            (
                "/volumes",
                json!([{"name": "proc", "hostPath": {"path": "/proc"}}]),
                "volume \"proc\" is a hostPath",
            ),
            ("/securityContext/runAsNonRoot", json!(false), "the pod: runAsNonRoot is false"),
            ("/securityContext/runAsNonRoot", Value::Null, "nobody says runAsNonRoot"),
            ("/securityContext/runAsUser", json!(0), "the pod: runAsUser is root"),
            ("/securityContext/seccompProfile", unconfined.clone(), "the pod: seccompProfile"),
            ("/securityContext/seccompProfile", Value::Null, "nobody says seccompProfile"),
            ("/securityContext/seLinuxOptions", json!({"type": "spc_t"}), "seLinuxOptions"),
            ("/securityContext/seLinuxOptions", json!({"user": "system_u"}), "seLinuxOptions"),
            ("/securityContext/seLinuxOptions", json!({"role": "system_r"}), "seLinuxOptions"),
            ("/securityContext/appArmorProfile", unconfined.clone(), "appArmorProfile"),
            ("/securityContext/windowsOptions", json!({"hostProcess": true}), "host process"),
            ("/securityContext/sysctls", json!([{"name": "kernel.msgmax", "value": "1"}]), "sysctl"),
            ("/containers/0/securityContext/runAsNonRoot", json!(false), "\"c\": runAsNonRoot is false"),
            ("/containers/0/securityContext/runAsUser", json!(0), "\"c\": runAsUser is root"),
            ("/containers/0/securityContext/seccompProfile", unconfined.clone(), "\"c\": seccompProfile"),
            ("/containers/0/securityContext/appArmorProfile", unconfined, "\"c\": appArmorProfile"),
            ("/containers/0/securityContext/privileged", json!(true), "privileged"),
            (
                "/containers/0/securityContext/allowPrivilegeEscalation",
                json!(true),
                "allowPrivilegeEscalation",
            ),
            (
                "/containers/0/securityContext/allowPrivilegeEscalation",
                Value::Null,
                "allowPrivilegeEscalation",
            ),
            ("/containers/0/securityContext/capabilities/drop", json!(["NET_RAW"]), "drop ALL"),
            ("/containers/0/securityContext/capabilities/add", json!(["SYS_ADMIN"]), "adds \"SYS_ADMIN\""),
            ("/containers/0/securityContext/procMount", json!("Unmasked"), "procMount"),
            ("/containers/0/ports", json!([{"containerPort": 80, "hostPort": 80}]), "port 80 of the host"),
            (
                "/containers/0/livenessProbe",
                json!({"httpGet": {"port": 80, "host": "10.0.0.1"}}),
                "another host",
            ),
            (
                "/containers/0/readinessProbe",
                json!({"tcpSocket": {"port": 80, "host": "10.0.0.1"}}),
                "another host",
            ),
            (
                "/containers/0/lifecycle",
                json!({"preStop": {"httpGet": {"host": "10.0.0.1"}}}),
                "another host",
            ),
        ];
        for (place, value, told) in breaches {
            let found = with(place, value);
            assert!(found.len() == 1 && found[0].contains(told), "{place}: {found:?}");
        }
        let root = json!([{"name": "first", "securityContext": {}}]);
        assert_eq!(with("/initContainers", root).len(), 2, "neither escalation nor capabilities are dropped");
        let unconfined = json!({"container.apparmor.security.beta.kubernetes.io/c": "unconfined"});
        assert_eq!(violations(&restricted(), &unconfined).len(), 1);
    }
}
