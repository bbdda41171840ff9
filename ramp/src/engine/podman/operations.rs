//! Operations on containers: sequences of requests with one result.

use bollard::models::ContainerCreateBody;
use futures::StreamExt;
use futures::stream;

use super::api::{Api, Refusal};
use super::inspect::{InspectedContainer, Listed};
use super::population::{ListedContainer, UpFailure};
use crate::engine::timed::measured;
use crate::engine::{Events, RUN_LABEL};

/// Containers inspected at once.
const AT_ONCE: usize = 8;

/// Creates a container if there is a `body`, starts it and inspects it. One of that name which an earlier process of the run had
/// requested is removed first: it was created after all were listed.
pub(super) async fn bring_up(
    api: &Api,
    events: &Events,
    name: &str,
    uid: &str,
    body: Option<ContainerCreateBody>,
) -> Result<InspectedContainer, UpFailure> {
    let mut id = None;
    if let Some(body) = body {
        let again = body.clone();
        id = match measured(events, Refusal::is_answer, api.create(name, body)).await {
            Ok(id) => Some(id),
            // The container may exist although the answer to an earlier request was lost.
            Err(refusal) => match api.inspect(name).await {
                Ok(seen) if seen.uid.as_deref() == Some(uid) => Some(seen.id),
                Ok(seen) if seen.run == run_of(&again) => {
                    let removed = async {
                        api.remove(name).await?;
                        measured(events, Refusal::is_answer, api.create(name, again)).await
                    };
                    let failed = |refusal| UpFailure { id: None, word: "FailedCreate", refusal };
                    Some(removed.await.map_err(failed)?)
                }
                _ => return Err(UpFailure { id: None, word: "FailedCreate", refusal }),
            },
        };
    }
    let trouble = |word| move |refusal| UpFailure { id, word, refusal };
    match measured(events, Refusal::is_answer, api.start(name)).await {
        Ok(()) => api.inspect(name).await.map_err(trouble("FailedInspect")),
        Err(refusal) => Err(trouble("FailedStart")(refusal)),
    }
}

fn run_of(body: &ContainerCreateBody) -> Option<String> {
    body.labels.as_ref()?.get(RUN_LABEL).cloned()
}

/// Stops and removes a container; without a grace period `by_force`.
pub(super) async fn bring_down(
    api: &Api,
    name: &str,
    stop_timeout_seconds: i64,
    by_force: bool,
) -> Result<(), Refusal> {
    if !by_force {
        match api.stop(name, stop_timeout_seconds).await {
            Err(refusal) if refusal.is_not_there() => return Ok(()),
            // A container that cannot be stopped is removed by force below.
            _ => {}
        }
    }
    api.remove(name).await
}

/// All containers of the run; those that `look` selects are inspected as well.
pub(super) async fn list(
    api: &Api,
    run: &str,
    look: impl Fn(&Listed) -> bool,
) -> Result<Vec<ListedContainer>, Refusal> {
    let containers = api.list(Some(run)).await?;
    let looked = stream::iter(containers).map(|listed| {
        let looks = look(&listed);
        async move {
            if !looks {
                return Ok(Some((listed, None)));
            }
            match api.inspect(&listed.name).await {
                Ok(seen) => Ok(Some((listed, Some(seen)))),
                Err(refusal) if refusal.is_not_there() => Ok(None),
                Err(refusal) => Err(refusal),
            }
        }
    });
    let answers: Vec<_> = looked.buffered(AT_ONCE).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}
