//! Reports of the workloads: the last line of their logs, read in turn.
//!
//! A followed log would cost a connection for each pod, here and at the API server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Api;
use kube::api::LogParams;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::object::PodObject;
use super::request::{REQUEST_LIMIT, RequestError, within};
use crate::engine::log_poller::{AT_ONCE, BEAT, LogQueue, LogRead, NodeNews, ReadOutcome, last_record};
use crate::engine::outage::Outage;
use crate::engine::{Event, Events, InstanceReport};

/// The queue of logs to read, fed by the watch of pods.
#[derive(Clone, Default)]
pub(super) struct SharedLogQueue(Arc<Mutex<LogQueue>>);

impl SharedLogQueue {
    /// Locks it briefly.
    pub(super) fn lock(&self) -> MutexGuard<'_, LogQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of one read.
type ReadResult = (LogRead, Result<String, RequestError>);

/// Reads reports forever.
pub(super) struct LogReader {
    api: Api<PodObject>,
    events: Events,
    queue: SharedLogQueue,
    /// Without its name the API server refuses the log of a pod that has others.
    container: String,
    gaps: HashMap<String, Outage>,
}

impl LogReader {
    /// Reads the logs of this container of the pods in `queue`.
    pub(super) fn new(api: Api<PodObject>, events: Events, queue: SharedLogQueue, container: String) -> Self {
        Self { api, events, queue, container, gaps: HashMap::new() }
    }

    /// Runs forever.
    pub(super) async fn run(mut self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reading: JoinSet<ReadResult> = JoinSet::new();
        loop {
            tokio::select! {
                Some(over) = reading.join_next() => {
                    if let Ok((turn, answer)) = over {
                        self.over(turn, answer).await;
                    }
                }
                _ = beat.tick(), if reading.len() < AT_ONCE => {
                    let turn = self.queue.lock().next(Instant::now());
                    if let Some(turn) = turn {
                        reading.spawn(read(self.api.clone(), turn, self.container.clone()));
                    }
                }
            }
        }
    }

    async fn over(&mut self, turn: LogRead, answer: Result<String, RequestError>) {
        let news = self.queue.lock().done(&turn, outcome(&answer), Instant::now());
        match (news, &answer) {
            (Some(NodeNews::Rests), Err(trouble)) => {
                let (events, object) = (self.events.clone(), format!("reports/{}", turn.node));
                let gap = self.gaps.entry(turn.node).or_insert_with(|| Outage::of(object, events));
                gap.begins(Instant::now(), &trouble.reason(), trouble.message()).await;
            }
            (Some(NodeNews::Serves), _) => {
                if let Some(mut gap) = self.gaps.remove(&turn.node) {
                    gap.ends().await;
                }
            }
            _ => {}
        }
        let Ok(text) = answer else { return };
        let Some(record) = last_record(text.as_bytes()) else { return };
        let time = record.get("time").and_then(|time| time.as_str());
        if self.queue.lock().is_news(&turn.uid, time) {
            self.events.send(Event::Report(InstanceReport { uid: turn.uid, record })).await;
        }
    }
}

async fn read(api: Api<PodObject>, turn: LogRead, container: String) -> ReadResult {
    let wanted = wanted(&turn, container);
    let answer = within(REQUEST_LIMIT, api.logs(&turn.name, &wanted)).await;
    (turn, answer)
}

fn wanted(turn: &LogRead, container: String) -> LogParams {
    LogParams {
        container: Some(container),
        tail_lines: Some(1),
        previous: turn.previous,
        ..LogParams::default()
    }
}

fn outcome(answer: &Result<String, RequestError>) -> ReadOutcome {
    match answer {
        Ok(_) => ReadOutcome::Read,
        // The container does not exist yet, or no longer.
        Err(RequestError::Refused { status: 400, .. }) => ReadOutcome::NoContainer,
        // An error of the API server itself, reported elsewhere.
        Err(
            RequestError::Refused { status: 401 | 403 | 429, .. }
            | RequestError::Unreachable(_)
            | RequestError::Misconfigured(_),
        ) => ReadOutcome::NoContainer,
        Err(_) => ReadOutcome::NotServed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_is_named_in_each_read() {
        let turn = LogRead { uid: "u".into(), name: "p".into(), node: "n".into(), previous: true };
        let params = wanted(&turn, "workload".into());
        assert_eq!((params.container.as_deref(), params.previous), (Some("workload"), true));
    }

    #[test]
    fn a_container_that_is_not_there_and_trouble_of_the_api_server_are_no_fault_of_the_node() {
        let refused =
            |status| Err(RequestError::Refused { status, reason: String::new(), message: String::new() });
        assert_eq!(outcome(&refused(400)), ReadOutcome::NoContainer);
        assert_eq!(outcome(&refused(401)), ReadOutcome::NoContainer);
        assert_eq!(outcome(&Err(RequestError::Unreachable("refused".into()))), ReadOutcome::NoContainer);
        assert_eq!(outcome(&refused(404)), ReadOutcome::NotServed);
        assert_eq!(outcome(&refused(500)), ReadOutcome::NotServed);
        assert_eq!(outcome(&Err(RequestError::Silence(REQUEST_LIMIT))), ReadOutcome::NotServed);
        assert_eq!(outcome(&Ok(String::new())), ReadOutcome::Read);
    }
}
