//! One request to the API server, with a time limit, and what became of it.

use std::error::Error as _;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

/// How long one answer is waited for: a server that hangs must not hang the run.
const LIMIT: Duration = Duration::from_secs(10);
/// Objects on one page of a list, as kubectl's.
const PAGE: u32 = 500;

/// What was learned, or why it was not.
pub(super) type FactResult<T> = Result<T, AskError>;

/// Why something was not learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AskError {
    /// There is no right to. Which rights are missing is told once, by the access reviews.
    Forbidden,
    /// Something else.
    Other(String),
}

/// Waits for one answer.
pub(super) async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> FactResult<T> {
    match tokio::time::timeout(LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(AskError::Forbidden),
        Ok(Err(error)) => Err(AskError::Other(in_full(&error))),
        Err(_) => Err(AskError::Other(format!("no answer within {}s", LIMIT.as_secs()))),
    }
}

/// Lists page by page, and keeps of each object what `keep` makes of it, so that no more than a page is in memory.
pub(super) async fn list<K, T>(
    api: &Api<K>,
    params: &ListParams,
    mut keep: impl FnMut(K) -> Option<T>,
) -> FactResult<Vec<T>>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut params = params.clone().limit(PAGE);
    let mut kept = Vec::new();
    loop {
        let page = ask(api.list(&params)).await?;
        kept.extend(page.items.into_iter().filter_map(&mut keep));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

/// An error and its causes, each said once.
pub(super) fn in_full(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
