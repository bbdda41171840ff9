//! Requests to an engine's API: how long each took, and what its failure was caused by.

use std::future::Future;

use tokio::time::Instant;

use super::{Call, Event, Events};

/// Makes a request and tells how long it took; `is_answer` says of an error whether a server has answered at all.
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

/// An error with its causes, each said once.
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
