//! Health check of the API server: one small request per second.
//!
//! A server that hangs closes no connection, so watches are silent as on a quiet cluster.

use std::time::Duration;

use kube::Api;
use kube::core::DynamicObject;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::request::{RequestError, measured};
use crate::engine::outage::Outage;
use crate::engine::{Event, Events, Obstacle};

const BEAT: Duration = Duration::from_secs(1);

/// Time limit of an answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Consecutive failures that begin a gap.
const MISSES: u32 = 2;

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
}

impl HealthCheck {
    /// Runs forever.
    pub(super) async fn run(self, health: watch::Sender<Health>) {
        let Self { api, name, events } = self;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gap = Outage::of("api", events.clone());
        let (mut misses, mut answered_at) = (0, Instant::now());
        let mut was_found = false;
        loop {
            beat.tick().await;
            let answer = measured(Some(&events), LIMIT, api.get_scale(&name)).await;
            // Before it is created it is not found either.
            let is_found = answer.is_ok();
            if answer.as_ref().is_err_and(|trouble| trouble.status() == Some(404)) && was_found {
                was_found = false;
                let reason = format!("DeploymentNotFound: deployment {name} no longer exists");
                events.send(Event::Obstacle(Obstacle { instance: None, reason })).await;
            }
            was_found |= is_found;
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
