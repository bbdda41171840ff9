//! Requests with a time limit, and what their failures mean.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::engine::{Call, Event, Events, Failure};

/// How long a single request may take: a hung server must not hang the run.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Why a request failed.
#[derive(Debug)]
pub(super) enum RequestError {
    /// No answer within this time.
    Silence(Duration),
    /// The API server refused it, with this HTTP status, reason and message.
    Refused { status: u16, reason: String, message: String },
    /// The server was not reached, or what came is no answer.
    Unreachable(String),
}

impl RequestError {
    /// A word for it: the API's own where there is one.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Silence(_) => "Timeout".into(),
            Self::Refused { reason, .. } if !reason.is_empty() => reason.clone(),
            Self::Refused { status, .. } => format!("HTTP {status}"),
            Self::Unreachable(_) => "Unreachable".into(),
        }
    }

    /// A sentence.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Silence(limit) => format!("no answer within {} s", limit.as_secs_f64()),
            Self::Refused { status, message, .. } => format!("HTTP {status}: {message}"),
            Self::Unreachable(message) => message.clone(),
        }
    }

    /// Whether a server has answered at all.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The HTTP status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may work later. A server that has just started refuses with 401 and 403 until it has read
    /// its rules, and 401 is also what an expired token gets, which is renewed elsewhere.
    fn is_transient(&self) -> bool {
        match self {
            Self::Silence(_) | Self::Unreachable(_) => true,
            Self::Refused { status, .. } => matches!(status, 401 | 403 | 408 | 409 | 429 | 500..),
        }
    }

    /// As a failure of what was asked.
    pub(super) fn failure(&self, asked: &str) -> Failure {
        let message = format!("{asked}: {}", self.message());
        if self.is_transient() { Failure::transient(message) } else { Failure::permanent(message) }
    }
}

impl From<&kube::Error> for RequestError {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused {
                status: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            other => Self::Unreachable(chain(other)),
        }
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        Self::from(&error)
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Waits for an answer, no longer than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(RequestError::from),
        Err(_) => Err(RequestError::Silence(limit)),
    }
}

/// The same, and tells how long the answer took.
pub(super) async fn measured<T>(
    events: Option<&Events>,
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    let begun = Instant::now();
    let answer = within(limit, request).await;
    if let Some(events) = events {
        let answered = answer.as_ref().err().is_none_or(RequestError::is_answer);
        events.send(Event::Call(Call { latency: begun.elapsed(), answered })).await;
    }
    answer
}

/// `NotFound` is an answer: there is none.
pub(super) fn optional<T>(answer: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.status() == Some(404) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> RequestError {
        RequestError::Refused { status, reason: String::new(), message: "no".into() }
    }

    #[test]
    fn what_a_restart_of_the_server_or_a_new_token_mends_is_transient() {
        for status in [401, 403, 409, 429, 500, 503, 504] {
            assert!(refused(status).failure("scaling").transient, "{status}");
        }
        for status in [400, 404, 422] {
            assert!(!refused(status).failure("scaling").transient, "{status}");
        }
        assert!(RequestError::Silence(REQUEST_LIMIT).failure("scaling").transient);
        assert_eq!(refused(422).failure("scaling").message, "scaling: HTTP 422: no");
    }

    #[test]
    fn not_found_is_an_answer() {
        assert!(matches!(optional::<()>(Err(refused(404))), Ok(None)));
        assert!(optional::<()>(Err(refused(500))).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_ends_at_its_limit_and_is_told_as_unanswered() {
        let (events, mut told) = Events::channel(crate::clock::Clock::system());
        let answer = measured(Some(&events), REQUEST_LIMIT, std::future::pending::<kube::Result<()>>()).await;
        assert!(matches!(answer, Err(RequestError::Silence(_))));
        let Some((_, Event::Call(call))) = told.recv().await else { panic!("a call") };
        assert_eq!(call, Call { latency: REQUEST_LIMIT, answered: false });
    }
}
