//! Whether the API server answers: one small request each second.
//!
//! A server that hangs closes no connection, so watches are silent then, as on a quiet cluster.

use std::time::Duration;

use kube::Api;
use kube::core::DynamicObject;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::bearer_token::BearerToken;
use super::request::{RequestError, measured};
use crate::engine::Events;
use crate::engine::outage::Outage;

const BEAT: Duration = Duration::from_secs(1);

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Requests in a row without a proper answer that make a gap.
const MISSES: u32 = 2;

/// Whether the server answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// It does, as far as is known.
    pub(super) answering: bool,
    /// How often it has begun to do so again.
    pub(super) recoveries: u64,
}

impl Health {
    /// It answers until something else is known.
    pub(super) const GOOD: Self = Self { answering: true, recoveries: 0 };
}

/// Asks for the scale of a Deployment.
pub(super) struct HealthCheck {
    pub(super) api: Api<DynamicObject>,
    /// The Deployment's.
    pub(super) name: String,
    /// Where it is this program that has to read it again.
    pub(super) token: Option<BearerToken>,
    pub(super) events: Events,
}

impl HealthCheck {
    /// Each second, for ever.
    pub(super) async fn run(self, health: watch::Sender<Health>) {
        let Self { api, name, token, events } = self;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gap = Outage::of("api", events.clone());
        let (mut misses, mut answered_at) = (0, Instant::now());
        loop {
            beat.tick().await;
            match measured(Some(&events), LIMIT, api.get_scale(&name)).await {
                Err(trouble) if is_miss(&trouble) => {
                    misses += 1;
                    if let (Some(401), Some(token)) = (trouble.status(), &token) {
                        token.read_again().await;
                    }
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

/// That there is no such Deployment, not yet or no longer, is a proper answer; so are that nobody here may ask, and that
/// there are too many who do.
fn is_miss(trouble: &RequestError) -> bool {
    !matches!(trouble.status(), Some(403 | 404 | 429))
}
