//! Latency of requests to an engine's API, and the causes of errors.

use std::future::Future;

use tokio::time::Instant;

use super::{Call, Event, Events};

/// Makes a request and reports its latency; `is_answer` says whether an error is an answer of the server.
pub(crate) async fn measured<T, E>(
    events: &Events,
    is_answer: impl FnOnce(&E) -> bool,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    let result = request.await;
    let answered = result.as_ref().err().is_none_or(is_answer);
    events.send(Event::Call(Call { latency: begun.elapsed(), answered })).await;
    result
}

/// An error with its causes, without repetitions.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
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
