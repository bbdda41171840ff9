#![allow(clippy::needless_pass_by_value, reason = "JSON is made where it is used")]

use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;

/// A watch whose API server has the Deployment `now`, or none.
fn watch(
    now: Option<Value>,
) -> (DeploymentWatch, mpsc::Receiver<(crate::clock::Moment, Event)>, OwnRequests) {
    let answer = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let (status, body) = match &now {
            Some(object) => (200, object.clone()),
            None => {
                (404, json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}))
            }
        };
        let response = http::Response::builder().status(status);
        let response = response.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let (events, told) = Events::channel(Clock::system());
    let own = OwnRequests::default();
    let client = Client::new(answer, "workload");
    (DeploymentWatch::new(client, ("workload", "a"), "r1", events, own.clone()), told, own)
}

fn deployment(version: u32, changes: Value) -> Deployment {
    let mut object = json!({
        "metadata": {"name": "a", "uid": "u1", "resourceVersion": version.to_string(), "labels": {"ramp/run": "r1"},
            "managedFields": [{"manager": "ramp", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
        "spec": {"replicas": 5, "selector": {}, "template": {"spec": {"containers": [{"name": "w", "image": "w:1"}]}}}});
    for (pointer, value) in changes.as_object().unwrap() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

async fn see(watch: &mut DeploymentWatch, object: Deployment) {
    if let Some(kept) = watch.keep(&object) {
        watch.changed(kept).await;
    }
}

/// What was told: messages, and why the run cannot go on.
fn messages(told: &mut mpsc::Receiver<(crate::clock::Moment, Event)>) -> Vec<String> {
    let mut messages = Vec::new();
    while let Ok((_, event)) = told.try_recv() {
        match event {
            Event::Notice(notice) => {
                messages.push(format!("{} {}: {}", notice.object, notice.reason, notice.message));
            }
            Event::Rescaled(rescaled) => messages.push(format!("RESCALED {}", rescaled.instances)),
            Event::Removed(why) => messages.push(format!("REMOVED {why}")),
            other => panic!("{other:?}"),
        }
    }
    messages
}

#[tokio::test]
async fn what_ramp_itself_asks_for_is_no_change_in_whatever_order_it_is_seen() {
    let (mut watch, mut told, own) = watch(None);
    see(&mut watch, deployment(10, json!({}))).await;
    own.answered(5, Some("10"));
    // Seen before it is answered.
    own.asks(6);
    see(&mut watch, deployment(11, json!({"/spec/replicas": 6}))).await;
    own.answered(6, Some("11"));
    // Answered before it is seen, and a status of the time before comes in between.
    own.asks(7);
    own.answered(7, Some("13"));
    see(&mut watch, deployment(12, json!({"/spec/replicas": 6}))).await;
    see(&mut watch, deployment(13, json!({"/spec/replicas": 7}))).await;
    // Not answered, and carried out all the same.
    own.asks(8);
    see(&mut watch, deployment(14, json!({"/spec/replicas": 8}))).await;
    see(&mut watch, deployment(15, json!({"/spec/replicas": 8}))).await;
    assert_eq!(messages(&mut told), [""; 0]);
}

#[tokio::test]
async fn replicas_that_others_set_are_told_once_with_who_has_set_them() {
    let (mut watch, mut told, own) = watch(None);
    see(&mut watch, deployment(10, json!({}))).await;
    let by = json!([{"manager": "kube-controller-manager", "subresource": "scale", "time": "2026-11-25T12:00:03Z",
        "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    let scaled = json!({"/spec/replicas": 2, "/metadata/managedFields": by});
    see(&mut watch, deployment(11, scaled.clone())).await;
    see(&mut watch, deployment(12, scaled)).await;
    own.asks(6);
    see(&mut watch, deployment(13, json!({"/spec/replicas": 6}))).await;
    see(&mut watch, deployment(14, json!({"/spec/replicas": 3}))).await;
    assert_eq!(
        messages(&mut told),
        [
            "deployment/a ChangedByOthers: replicas changed from 5 to 2 by kube-controller-manager (scale) at 12:00:03, as a \
             HorizontalPodAutoscaler does",
            "RESCALED 2",
            "RESCALED 6",
            "deployment/a ChangedByOthers: replicas changed from 6 to 3 by another client (no field manager is recorded)",
            "RESCALED 3",
        ]
    );
}

#[tokio::test]
async fn a_change_of_the_spec_is_told_with_the_fields_and_who_made_it() {
    let (mut watch, mut told, _) = watch(None);
    see(&mut watch, deployment(10, json!({}))).await;
    let by = json!([{"manager": "kubectl-set", "fieldsV1": {"f:spec": {"f:template": {}}}}]);
    let container = json!([{"name": "a-proxy", "image": "p"}, {"name": "w", "image": "w:2"}]);
    let changed = json!({"/spec/template/spec/containers": container, "/spec/paused": true,
        "/metadata/managedFields": by});
    see(&mut watch, deployment(11, changed)).await;
    assert_eq!(
        messages(&mut told),
        [
            "deployment/a ChangedByOthers: spec.paused from none to true, spec.template.spec.containers[a-proxy] from none to \
             {\"image\":\"p\",\"name\":\"a-proxy\"}, \
             spec.template.spec.containers[w].image from w:1 to \
          w:2 changed by kubectl-set"
        ]
    );
}

#[tokio::test]
async fn a_deployment_that_is_deleted_ends_the_run_and_one_that_lost_its_label_does_not() {
    let (mut gone, mut told, _) = watch(None);
    see(&mut gone, deployment(10, json!({}))).await;
    gone.deleted(&deployment(11, json!({}))).await;
    gone.deleted(&deployment(11, json!({}))).await;
    let by = "deleted by another client (Kubernetes does not record which)";
    let expected = [format!("deployment/a ChangedByOthers: {by}"), format!("REMOVED deployment/a was {by}")];
    assert_eq!(messages(&mut told), expected);

    let object = serde_json::to_value(deployment(11, json!({}))).unwrap();
    let (mut unlabelled, mut told, _) = watch(Some(object));
    see(&mut unlabelled, deployment(10, json!({}))).await;
    unlabelled.deleted(&deployment(11, json!({"/metadata/labels": {}}))).await;
    let told = messages(&mut told);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("deployment/a ChangedByOthers: label ramp/run removed by"), "{told:?}");
}

#[tokio::test]
async fn ramp_clean_and_a_deletion_in_the_foreground_are_told_as_such_and_an_own_removal_is_not() {
    let (mut cleaned, mut told, _) = watch(None);
    see(&mut cleaned, deployment(10, json!({}))).await;
    let annotated = json!({"/metadata/annotations": {REMOVED_BY: "ramp clean (process 7 on build-1)"},
        "/metadata/deletionTimestamp": "2026-11-25T12:00:03Z"});
    see(&mut cleaned, deployment(11, annotated)).await;
    cleaned.deleted(&deployment(12, json!({}))).await;
    let told_of = messages(&mut told);
    assert_eq!(told_of.len(), 2, "{told_of:?}");
    assert_eq!(told_of[1], "REMOVED deployment/a was removed by ramp clean (process 7 on build-1)");

    let (mut own_end, mut told, own) = watch(None);
    see(&mut own_end, deployment(10, json!({}))).await;
    own.removes();
    see(&mut own_end, deployment(11, json!({"/metadata/deletionTimestamp": "2026-11-25T12:00:03Z"}))).await;
    own_end.deleted(&deployment(12, json!({}))).await;
    assert_eq!(messages(&mut told), [""; 0]);
}

#[tokio::test]
async fn one_that_went_while_the_watch_was_away_is_told_and_another_run_is_told_once() {
    let (mut watch, mut told, _) = watch(None);
    let other = || {
        deployment(
            9,
            json!({"/metadata/name": "b", "/metadata/uid": "u2",
        "/metadata/labels": {"ramp/run": "r2"}}),
        )
    };
    let all = |objects: Vec<Deployment>| objects.iter().filter_map(observed).collect::<Vec<_>>();
    watch.all(all(vec![deployment(10, json!({})), other()])).await;
    see(&mut watch, other()).await;
    watch.deleted(&other()).await;
    watch.all(Vec::new()).await;
    let told = messages(&mut told);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[0].starts_with("run/r2 OtherRun: another run has deployment/b in this namespace (5 replicas)")
    );
    assert_eq!(told[1], "run/r2 OtherRun: its deployment has been deleted");
    assert!(told[3].starts_with("REMOVED deployment/a was deleted"), "{told:?}");
}

#[tokio::test]
async fn of_the_deployments_of_a_mixed_run_each_change_is_told_once_with_the_instances_of_all() {
    let (first, mut told, own) = watch(None);
    let (client, events, other_own) = (first.client.clone(), first.events.clone(), OwnRequests::default());
    let second = DeploymentWatch::new(client, ("workload", "b"), "r1", events, other_own.clone());
    let mut watches =
        DeploymentWatches(vec![first.beside(vec![other_own.clone()]), second.beside(vec![own.clone()])]);
    own.answered(5, Some("10"));
    other_own.answered(5, Some("11"));
    let of_second = |version: u32, replicas: u32| {
        deployment(version, json!({"/metadata/name": "b", "/metadata/uid": "u2", "/spec/replicas": replicas}))
    };
    let of_other = deployment(
        12,
        json!({"/metadata/name": "c", "/metadata/uid": "u3", "/metadata/labels": {"ramp/run": "r2"}}),
    );
    let all = [deployment(10, json!({})), of_second(11, 5), of_other];
    let all = all.iter().filter_map(|object| watches.keep(object)).collect();
    watches.all(all).await;
    let messages_of_others = messages(&mut told);
    assert_eq!(messages_of_others.len(), 1, "{messages_of_others:?}");
    assert!(messages_of_others[0].starts_with("run/r2 OtherRun: "));
    let changed = watches.keep(&of_second(13, 2)).unwrap();
    watches.changed(changed).await;
    let messages_of_change = messages(&mut told);
    assert!(messages_of_change[0].starts_with("deployment/b ChangedByOthers: replicas changed from 5 to 2"));
    assert_eq!(messages_of_change[1], "RESCALED 7");
    watches.deleted(&of_second(14, 2)).await;
    assert_eq!(
        messages(&mut told).last().unwrap(),
        "REMOVED deployment/b was deleted by another client (Kubernetes does not record which)"
    );
}
