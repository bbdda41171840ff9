//! Requests to the API server: time limits, errors, measurement and paging.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use kube::api::ListParams;
use kube::core::ObjectList;
use tokio::time::timeout;

use crate::engine::timed::{self, causes};
use crate::engine::{Events, Failure};

/// How long a single request may take: a hung server must not hang the run.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Objects on one page of a list, as kubectl's.
const PAGE: u32 = 500;

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, RequestError>;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestError {
    /// No answer within this time.
    Silence(Duration),
    /// The API server refused it, with this HTTP status, reason and message.
    Refused { status: u16, reason: String, message: String },
    /// The server was not reached, or its answer is not valid.
    Unreachable(String),
    /// The server was not reached for want of valid certificates or credentials. The message says what to do.
    Misconfigured(String),
}

/// As [`RequestError::Misconfigured`], below the client.
#[derive(Debug)]
pub(super) struct MisconfiguredConnection(pub(super) String);

impl fmt::Display for MisconfiguredConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MisconfiguredConnection {}

impl RequestError {
    /// The reason in one word: the API's own if it gives one.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Silence(_) => "Timeout".into(),
            Self::Refused { reason, .. } if !reason.is_empty() => reason.clone(),
            Self::Refused { status, .. } => format!("HTTP {status}"),
            Self::Unreachable(_) | Self::Misconfigured(_) => "Unreachable".into(),
        }
    }

    /// The error as a sentence.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Silence(limit) => format!("no answer within {} s", limit.as_secs_f64()),
            Self::Refused { status, message, .. } => format!("HTTP {status}: {message}"),
            Self::Unreachable(message) | Self::Misconfigured(message) => message.clone(),
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

    /// Whether the same request may succeed later. A server that has just started answers 401 and 403 until it has read
    /// its policies; an expired token, which is renewed elsewhere, gets 401 too.
    fn is_transient(&self) -> bool {
        match self {
            Self::Silence(_) | Self::Unreachable(_) | Self::Misconfigured(_) => true,
            Self::Refused { status, .. } => matches!(status, 401 | 403 | 408 | 409 | 429 | 500..),
        }
    }

    /// The error as a failure of an operation.
    pub(super) fn failure(&self, operation: &str) -> Failure {
        let message = format!("{operation}: {}", self.message());
        if self.is_transient() { Failure::transient(message) } else { Failure::permanent(message) }
    }
}

impl From<kube::core::Status> for RequestError {
    fn from(status: kube::core::Status) -> Self {
        Self::Refused { status: status.code, reason: status.reason, message: status.message }
    }
}

impl From<&kube::Error> for RequestError {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => status.as_ref().clone().into(),
            // That of the connection, which names the server.
            kube::Error::Service(error) => match error.downcast_ref() {
                Some(MisconfiguredConnection(message)) => Self::Misconfigured(message.clone()),
                None => Self::Unreachable(causes(error.as_ref())),
            },
            other => Self::Unreachable(causes(other)),
        }
    }
}

/// Waits for an answer, no longer than `limit`.
pub(super) async fn within<T>(limit: Duration, request: impl Future<Output = kube::Result<T>>) -> Answer<T> {
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| RequestError::from(&error)),
        Err(_) => Err(RequestError::Silence(limit)),
    }
}

/// Waits for an answer, no longer than `limit`, and reports the latency.
pub(super) async fn measured<T>(
    events: Option<&Events>,
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Answer<T> {
    let request = within(limit, request);
    match events {
        Some(events) => timed::measured(events, RequestError::is_answer, request).await,
        None => request.await,
    }
}

/// `NotFound` is an answer: the object does not exist.
pub(super) fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists page by page and keeps what `keep` makes of each object, so that no more than a page is in memory.
pub(super) async fn pages<K: Clone, T>(
    mut selection: ListParams,
    page: impl AsyncFn(&ListParams) -> kube::Result<ObjectList<K>>,
    mut keep: impl FnMut(K) -> Option<T>,
) -> Answer<Vec<T>> {
    selection = selection.limit(PAGE);
    let mut kept = Vec::new();
    loop {
        let found = within(REQUEST_LIMIT, page(&selection)).await?;
        kept.extend(found.items.into_iter().filter_map(&mut keep));
        match found.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => selection = selection.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Call, Event};

    fn refused(status: u16) -> RequestError {
        RequestError::Refused { status, reason: String::new(), message: "no".into() }
    }

    #[test]
    fn errors_that_a_restarted_server_or_a_new_token_resolves_are_transient() {
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
