//! LIST+WATCH that never ends: lists again after a gap, resumes after a drop, and reports gaps.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::health_check::Health;
use super::request::RequestError;
use crate::backoff::Backoff;
use crate::engine::Events;
use crate::engine::outage::Outage;

/// A watch that is silent for this long after a failure, while the server answers other requests, has been resumed: the
/// library does not report it, and on a quiet cluster there may be no event for minutes.
const RESUMED_AFTER: Duration = Duration::from_secs(3);

/// Time limit for a page of a list: the server itself gives up after a minute.
const LIST_LIMIT: Duration = Duration::from_secs(65);

/// The server ends a watch after this time, and it is resumed; five seconds later it is considered dead. So a half-open
/// connection is noticed even if requests on others are answered.
const WATCH_SECONDS: u32 = 60;

/// The receiver of a watch.
pub(super) trait Sink: Send {
    /// The watched kind.
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static;
    /// What is kept of an object.
    type Kept: Send;

    /// What is kept of an object, if it is of interest.
    fn keep(&self, object: &Self::Object) -> Option<Self::Kept>;
    /// All objects that exist.
    fn all(&mut self, kept: Vec<Self::Kept>) -> impl Future<Output = ()> + Send;
    /// An object is new or has changed.
    fn changed(&mut self, kept: Self::Kept) -> impl Future<Output = ()> + Send;
    /// An object was deleted.
    fn deleted(&mut self, object: &Self::Object) -> impl Future<Output = ()> + Send;
}

/// Progress of a watch.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// No answer yet.
    Asked,
    /// The first list is complete.
    Listed,
    /// It fails for this reason.
    Failing(String),
}

/// A running watch.
pub(super) struct RunningWatch {
    gap: Outage,
    pauses: Backoff,
    health: watch::Receiver<Health>,
    progress: watch::Sender<Progress>,
    listing: bool,
}

impl RunningWatch {
    /// `object` names it in gap notices.
    pub(super) fn of(
        object: &str,
        events: Events,
        health: watch::Receiver<Health>,
    ) -> (Self, watch::Receiver<Progress>) {
        let (progress, receiver) = watch::channel(Progress::Asked);
        let pauses = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        let gap = Outage::of(object, events);
        (Self { gap, pauses, health, progress, listing: false }, receiver)
    }

    /// Runs forever.
    pub(super) async fn run<S: Sink>(mut self, api: Api<S::Object>, selection: watcher::Config, mut sink: S) {
        let selection = selection.timeout(WATCH_SECONDS);
        loop {
            self.stream(api.clone(), selection.clone(), &mut sink).await;
            sleep(self.pauses.failed()).await;
        }
    }

    /// Watches until it has to list again: after an outage of the server, since events may be lost.
    async fn stream<S: Sink>(&mut self, api: Api<S::Object>, selection: watcher::Config, sink: &mut S) {
        let mut stream = pin!(watcher(api, selection));
        let mut listed = Vec::new();
        let recoveries = self.health.borrow_and_update().recoveries;
        self.listing = true;
        let since = Instant::now();
        loop {
            let answering = self.health.borrow().answering;
            tokio::select! {
                seen = stream.next() => match seen {
                    Some(Ok(event)) => self.take(event, &mut listed, sink).await,
                    Some(Err(error)) => self.failed(&error).await,
                    None => return,
                },
                Ok(()) = self.health.changed() => {
                    if self.health.borrow().recoveries != recoveries {
                        return;
                    }
                },
                () = sleep(RESUMED_AFTER), if self.gap.is_open() && answering && !self.listing => {
                    self.works().await;
                },
                () = sleep(LIST_LIMIT), if self.listing => {
                    let message = format!("no list within {} s", LIST_LIMIT.as_secs());
                    self.gap.begins(since, "Timeout", message).await;
                    return;
                },
            }
        }
    }

    async fn take<S: Sink>(
        &mut self,
        event: watcher::Event<S::Object>,
        listed: &mut Vec<S::Kept>,
        sink: &mut S,
    ) {
        match event {
            // Sent before the request.
            watcher::Event::Init => {
                self.listing = true;
                listed.clear();
                return;
            }
            watcher::Event::InitApply(object) => listed.extend(sink.keep(&object)),
            watcher::Event::InitDone => {
                self.listing = false;
                sink.all(std::mem::take(listed)).await;
                self.progress.send_replace(Progress::Listed);
            }
            watcher::Event::Apply(object) => {
                if let Some(kept) = sink.keep(&object) {
                    sink.changed(kept).await;
                }
            }
            watcher::Event::Delete(object) => sink.deleted(&object).await,
        }
        if !self.listing {
            self.works().await;
        }
    }

    async fn works(&mut self) {
        self.pauses.succeeded();
        self.gap.ends().await;
    }

    async fn failed(&mut self, error: &watcher::Error) {
        self.listing = false;
        let trouble = trouble(error);
        self.progress.send_if_modified(|progress| {
            let unlisted = !matches!(progress, Progress::Listed);
            if unlisted {
                *progress = Progress::Failing(trouble.message());
            }
            unlisted
        });
        self.gap.begins(Instant::now(), &trouble.reason(), trouble.message()).await;
        sleep(self.pauses.failed()).await;
    }
}

fn trouble(error: &watcher::Error) -> RequestError {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => RequestError::from(error),
        watcher::Error::WatchError(status) => status.as_ref().clone().into(),
        watcher::Error::NoResourceVersion => RequestError::Unreachable(error.to_string()),
    }
}
