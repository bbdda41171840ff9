#![allow(clippy::needless_pass_by_value, reason = "JSON is made where it is used")]

use serde_json::{Value, json};

use super::*;

const AT: &str = "2026-11-25T12:00:00Z";

/// A pod on a node, with a status and a container's status.
fn pod(status: Value) -> PodObject {
    let metadata = json!({"uid": "u", "name": "p", "creationTimestamp": AT});
    serde_json::from_value(json!({"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}))
        .unwrap()
}

fn container(restarts: u32, ready: bool, state: Value, last: Value) -> Value {
    json!([
        {"name": "sidecar", "restartCount": 9, "ready": true, "state": {"running": {"startedAt": AT}}},
        {"name": "workload", "restartCount": restarts, "ready": ready, "state": state, "lastState": last},
    ])
}

fn ended_as(reason: &str, exit_code: i32, id: &str) -> Value {
    json!({"terminated": {"reason": reason, "exitCode": exit_code, "finishedAt": AT, "containerID": id}})
}

fn running() -> Value {
    json!({"running": {"startedAt": AT}})
}

fn seen(status: Value) -> (State, Option<(State, String)>, bool) {
    let instance_status = instance_status(&pod(status), "workload");
    (instance_status.state, instance_status.end.map(|end| (end.state, end.container)), instance_status.over)
}

#[test]
fn on_no_node_it_is_pending_until_the_scheduler_finds_no_place() {
    let without_node = |conditions: Value| -> InstanceStatus {
        let pod = json!({"metadata": {"uid": "u", "creationTimestamp": AT}, "spec": {},
            "status": {"phase": "Pending", "conditions": conditions}});
        instance_status(&serde_json::from_value(pod).unwrap(), "workload")
    };
    assert_eq!(without_node(json!([])).state, State::Pending);
    let looked = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/2 nodes are available: 2 Insufficient cpu.", "lastTransitionTime": AT}]);
    let unschedulable = without_node(looked);
    assert_eq!(unschedulable.state, State::Unschedulable);
    assert!(unschedulable.reason.contains("2 Insufficient cpu"), "{}", unschedulable.reason);
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    assert_eq!(
        (without_node(gated.clone()).state, without_node(gated).reason),
        (State::Pending, "SchedulingGated".into())
    );
}

#[test]
fn on_a_node_it_is_creating_then_running_then_ready() {
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let creating = json!({"phase": "Pending", "containerStatuses": container(0, false, waiting, json!({}))});
    assert_eq!(seen(creating), (State::Creating, None, false));
    assert_eq!(
        seen(json!({"phase": "Pending"})),
        (State::Creating, None, false),
        "before the kubelet has said anything"
    );
    let status = |ready: &str, container_ready| {
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": AT}],
            "containerStatuses": container(0, container_ready, running(), json!({}))})
    };
    assert_eq!(seen(status("False", false)), (State::Running, None, false));
    assert_eq!(seen(status("True", true)), (State::Ready, None, false));
    assert_eq!(seen(status("False", true)), (State::Running, None, false), "its node is not ready");
}

#[test]
fn a_container_killed_for_memory_is_told_while_dead_while_waiting_and_once_it_runs_again() {
    let end = Some((State::OomKilled, "c1".to_owned()));
    let status = |state: Value, last: Value| json!({"phase": "Running", "containerStatuses": container(1, false, state, last)});
    let killed = ended_as("OOMKilled", 137, "c1");
    assert_eq!(seen(status(killed.clone(), json!({}))), (State::OomKilled, end.clone(), false));
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
    assert_eq!(seen(status(back_off, killed.clone())), (State::OomKilled, end.clone(), false));
    assert_eq!(seen(status(running(), killed)), (State::Running, end, false));
    assert_eq!(
        instance_status(&pod(status(running(), json!({}))), "workload").restarts,
        1,
        "not the sidecar's"
    );
}

#[test]
fn what_ends_with_137_was_killed_but_not_for_memory_unless_that_is_said() {
    let status = json!({"phase": "Running", "containerStatuses": container(0, false, ended_as("Error", 137, "c1"), json!({}))});
    assert_eq!(seen(status), (State::Failed, Some((State::Failed, "c1".into())), false));
}

#[test]
fn an_eviction_is_one_event_whatever_became_of_its_container() {
    let status = |container: Value| {
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
            "containerStatuses": container})
    };
    assert_eq!(seen(status(Value::Null)), (State::Evicted, None, true));
    let unknown = ended_as("ContainerStatusUnknown", 137, "c1");
    assert_eq!(seen(status(container(0, false, unknown, json!({})))), (State::Evicted, None, true));
    let before = container(1, false, ended_as("Error", 137, "c2"), ended_as("OOMKilled", 137, "c1"));
    assert_eq!(
        seen(status(before)),
        (State::Evicted, Some((State::OomKilled, "c1".into())), true),
        "an earlier end counts"
    );
}

#[test]
fn what_a_node_refuses_has_failed_for_good() {
    let refused =
        json!({"phase": "Failed", "reason": "OutOfpods", "message": "Pod Node didn't have enough resource"});
    assert_eq!(seen(refused), (State::Failed, None, true));
}

#[test]
fn what_is_told_to_end_is_terminating_and_its_end_is_no_event() {
    let mut ending = pod(json!({"phase": "Running",
        "containerStatuses": container(0, false, ended_as("Error", 137, "c1"), json!({}))}));
    ending.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-25T12:00:05Z")).unwrap();
    ending.metadata.deletion_grace_period_seconds = Some(5);
    let told = instance_status(&ending, "workload");
    assert_eq!((told.state, told.end), (State::Terminating, None));
    let noon: SystemTime = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_608_000);
    assert_eq!(told.since, Some(noon), "when it was told, not when its grace is over");
    assert_eq!(gone(&ending, "workload").state, State::Gone);
}

#[test]
fn a_container_without_an_id_is_told_once_all_the_same() {
    let status = || {
        let never =
            json!({"terminated": {"reason": "ContainerCannotRun", "exitCode": 128, "finishedAt": AT}});
        json!({"phase": "Running", "containerStatuses": container(0, false, never, json!({}))})
    };
    let (state, end, _) = seen(status());
    assert_eq!((state, &end), (State::Failed, &seen(status()).1));
    assert!(end.is_some_and(|(_, name)| name.starts_with("u@2026-11-25")));
}

#[test]
fn an_instance_is_ready_by_its_own_container_whatever_its_sidecars_are() {
    let status = |own_ready: bool, reason: &str| {
        json!({"phase": "Running", "containerStatuses": container(0, own_ready, running(), json!({})),
            "conditions": [{"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": AT}]})
    };
    assert_eq!(seen(status(true, "ContainersNotReady")).0, State::Ready, "a sidecar is not ready");
    assert_eq!(seen(status(true, "ReadinessGatesNotReady")).0, State::Ready);
    assert_eq!(seen(status(false, "ContainersNotReady")).0, State::Running);
    assert_eq!(seen(status(true, "NodeNotReady")).0, State::Running, "by the node controller");
    let injected_alone = json!({"phase": "Running", "containerStatuses": [
        {"name": "proxy", "restartCount": 3, "ready": true, "state": {"running": {"startedAt": AT}}},
        {"name": "other", "restartCount": 0, "ready": true, "state": {"running": {"startedAt": AT}}}]});
    assert_eq!(seen(injected_alone).0, State::Creating, "its own container has no status yet");
}

#[test]
fn who_removes_a_pod_is_its_reason_where_the_cluster_tells() {
    let pod = json!({"metadata": {"uid": "u", "name": "p", "deletionTimestamp": AT}, "spec": {"nodeName": "n"},
        "status": {"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]}});
    let status = instance_status(&serde_json::from_value(pod).unwrap(), "workload");
    assert_eq!(status.state, State::Terminating);
    assert_eq!(status.reason, "EvictionByEvictionAPI: Eviction API: evicting");
}

#[test]
fn a_pod_that_waits_for_an_init_container_says_so_and_a_crash_loop_of_it_is_one() {
    let pod = |init: Value| {
        json!({
            "metadata": {"uid": "u1", "name": "p"},
            "spec": {"nodeName": "n", "containers": [{"name": "workload"}],
                "initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]},
            "status": {"phase": "Pending",
                "initContainerStatuses": [{"name": "proxy", "state": {"running": {}}}, init],
                "containerStatuses": [{"name": "workload", "state": {"waiting": {"reason": "PodInitializing"}}}]}
        })
    };
    let reason = |init: Value| {
        let status = instance_status(&serde_json::from_value(pod(init)).unwrap(), "workload");
        assert_eq!((status.state, status.end), (State::Creating, None));
        status.reason
    };
    let failed = json!({"terminated": {"reason": "Error", "exitCode": 2}});
    assert_eq!(
        reason(json!({"name": "setup", "state": {"running": {"startedAt": AT}}})),
        "PodInitializing: init container setup is running"
    );
    assert_eq!(
        reason(json!({"name": "setup", "state": failed})),
        "PodInitializing: init container setup exited: Error, exit 2"
    );
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
    let again = json!({"name": "setup", "restartCount": 1, "state": waiting, "lastState": failed});
    assert_eq!(reason(again), "CrashLoopBackOff: init container setup exited 2 times: Error, exit 2");
    let running = json!({"name": "setup", "restartCount": 2, "state": {"running": {}}, "lastState": failed});
    assert_eq!(reason(running), "CrashLoopBackOff: init container setup exited 2 times: Error, exit 2");
    let image = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
    assert_eq!(
        reason(json!({"name": "setup", "state": image})),
        "ErrImagePull: init container setup: not found"
    );
    assert_eq!(reason(json!({"name": "setup", "state": {"terminated": {"exitCode": 0}}})), "");
}

#[test]
fn a_process_that_never_began_is_told_with_why() {
    let reason = |word: &str| {
        let terminated = json!({"reason": word, "exitCode": 128, "message": "exec: \"/no\": no such file"});
        let terminated: Terminated = serde_json::from_value(terminated).unwrap();
        ended(&terminated).reason
    };
    assert_eq!(reason("StartError"), "StartError, exit 128: exec: \"/no\": no such file");
    assert_eq!(reason("Error"), "Error, exit 128");
}
