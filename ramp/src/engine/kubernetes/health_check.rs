//! Health check of the API server: one small request per second.
//!
//! A server that hangs closes no connection, so watches are silent as on a quiet cluster.

use std::time::Duration;

use kube::Api;
use kube::core::DynamicObject;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::own_requests::OwnRequests;
use super::request::{RequestError, measured};
use crate::engine::outage::Outage;
use crate::engine::{Event, Events};

const BEAT: Duration = Duration::from_secs(1);

/// Time limit of an answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Consecutive failures that begin a gap.
const MISSES: u32 = 2;

/// Consecutive answers that the Deployment does not exist. Its watch tells first, and by whom it was deleted, unless it is disconnected.
const NOT_FOUND: u32 = 4;

/// Whether the server answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// Whether it answers, as far as is known.
    pub(super) answering: bool,
    /// How often it has recovered.
    pub(super) recoveries: u64,
}

impl Health {
    /// Assumed at the start.
    pub(super) const GOOD: Self = Self { answering: true, recoveries: 0 };
}

/// Asks for the scale of a Deployment.
pub(super) struct HealthCheck {
    pub(super) api: Api<DynamicObject>,
    /// The Deployment's name.
    pub(super) name: String,
    pub(super) events: Events,
    pub(super) own: OwnRequests,
}

impl HealthCheck {
    /// Runs forever.
    pub(super) async fn run(self, health: watch::Sender<Health>) {
        let Self { api, name, events, own } = self;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gap = Outage::of("api", events.clone());
        let (mut misses, mut answered_at) = (0, Instant::now());
        let (mut was_found, mut not_found) = (false, 0);
        loop {
            beat.tick().await;
            let answer = measured(Some(&events), LIMIT, api.get_scale(&name)).await;
            // Before it is created it is not found either.
            was_found |= answer.is_ok();
            let is_absent = answer.as_ref().is_err_and(|trouble| trouble.status() == Some(404));
            not_found = if is_absent && was_found && !own.is_removing() { not_found + 1 } else { 0 };
            if not_found == NOT_FOUND {
                let why = format!("deployment/{name} no longer exists: deleted by another client");
                events.send(Event::Removed(why)).await;
            }
            match answer {
                Err(trouble) if is_miss(&trouble) => {
                    misses += 1;
                    if misses == MISSES {
                        health.send_modify(|health| health.answering = false);
                        gap.begins(answered_at, &trouble.reason(), trouble.message()).await;
                    }
                }
                Ok(_) | Err(_) => {
                    (misses, answered_at) = (0, Instant::now());
                    if gap.ends().await {
                        health.send_modify(|health| {
                            *health = Health { answering: true, recoveries: health.recoveries + 1 };
                        });
                    }
                }
            }
        }
    }
}

/// Not found, forbidden and too many requests are answers: the server is up.
fn is_miss(trouble: &RequestError) -> bool {
    !matches!(trouble.status(), Some(403 | 404 | 429))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use kube::Client;
    use serde_json::json;
    use tokio::time::timeout;

    use super::*;
    use crate::clock::Clock;

    /// What is told of a Deployment that is there for the first requests only, each as a line.
    async fn told(own: OwnRequests) -> Vec<String> {
        let requests = AtomicU32::new(0);
        let answer = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let (status, body) = match requests.fetch_add(1, Ordering::Relaxed) {
                // Not created yet, created, deleted.
                1 | 2 => (
                    200,
                    json!({"metadata": {"name": "a"}, "spec": {"replicas": 1}, "status": {"replicas": 1}}),
                ),
                _ => (
                    404,
                    json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
                ),
            };
            let response = http::Response::builder().status(status);
            let response = response.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
            async { Ok::<_, std::convert::Infallible>(response) }
        });
        let (events, mut told) = Events::channel(Clock::system());
        let api = super::super::deployment::api(&Client::new(answer, "workload"), "workload");
        let check = HealthCheck { api, name: "a".into(), events, own };
        let (health, _healthy) = watch::channel(Health::GOOD);
        timeout(30 * BEAT, check.run(health)).await.unwrap_err();
        let mut lines = Vec::new();
        let mut calls = 0;
        while let Ok((_, event)) = told.try_recv() {
            match event {
                Event::Call(_) => calls += 1,
                Event::Removed(why) => lines.push(format!("after {calls} requests: {why}")),
                other => panic!("{other:?}"),
            }
        }
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_deployment_is_told_once_where_its_watch_does_not_tell_and_not_while_ramp_removes_it() {
        let expected = "after 7 requests: deployment/a no longer exists: deleted by another client";
        assert_eq!(told(OwnRequests::default()).await, [expected]);
        let own = OwnRequests::default();
        own.removes();
        assert_eq!(told(own).await, [""; 0]);
    }
}
