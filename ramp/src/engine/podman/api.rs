//! Client of the Docker-compatible API: requests with time limits.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::{ContainerCreateBody, EventMessage, ImageInspect, SystemInfo, SystemVersion};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;

use super::inspect::{InspectedContainer, Listed};
use crate::engine::timed::causes;
use crate::engine::{Failure, RUN_LABEL};

/// Time limit of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time limit of the library, longer than any of those here, so that these apply. It does not apply to a stream that has begun.
const LIBRARY_PATIENCE_SECONDS: u64 = 120;
/// A longer last line of a log is not a record.
const LOG_BYTES: usize = 1 << 20;

/// Podman or Docker behind a socket.
#[derive(Clone, Debug)]
pub(super) struct Api {
    docker: Docker,
    socket: PathBuf,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// HTTP status of the answer; none without an answer.
    pub(super) status: Option<u16>,
    /// The socket, the request, and the answer.
    pub(super) message: String,
    /// Whether there was an answer with something unknown in it, such as the status `stopped`, which a container of Podman has for a
    /// moment and Docker's never.
    pub(super) unreadable: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Refusal {
    /// Whether the server has answered at all.
    pub(super) fn is_answer(&self) -> bool {
        self.status.is_some()
    }

    /// Whether what was requested does not exist: 404, and 500 where Podman is just removing it.
    pub(super) fn is_not_there(&self) -> bool {
        self.status == Some(404) || (self.status == Some(500) && self.message.ends_with("no such container"))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        // Podman answers 500 where Docker has a status of its own, so only a plain 4xx is permanent.
        let permanent = refusal.status.is_some_and(|status| (400..500).contains(&status) && status != 409);
        Self { transient: !permanent, message: refusal.message }
    }
}

impl Api {
    /// A client of this socket; sends no request yet.
    pub(super) fn of(socket: &Path) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::permanent(format!("socket {}: {why}", socket.display()));
        let path = socket.to_str().ok_or_else(|| wrong("the path is not UTF-8".into()))?;
        let docker = Docker::connect_with_unix(path, LIBRARY_PATIENCE_SECONDS, API_DEFAULT_VERSION)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { docker, socket: socket.to_owned() })
    }

    /// For messages.
    pub(super) fn place(&self) -> String {
        format!("podman at {}", self.socket.display())
    }

    /// Negotiates the version of the API: the server's where that is older.
    pub(super) async fn negotiate(&self) -> Result<(), Refusal> {
        let agreed = self.docker.clone().negotiate_version();
        let agreed = self.within(PATIENCE, "negotiate the API version", agreed).await;
        agreed.map(drop).map_err(|refusal| match refusal.status {
            Some(_) => refusal,
            None => {
                let advice = "check that the service runs (podman info), restart it, or name another socket with --socket";
                Refusal { message: format!("{}; {advice}", refusal.message), ..refusal }
            }
        })
    }

    pub(super) async fn version(&self) -> Result<SystemVersion, Refusal> {
        self.within(PATIENCE, "get the version", self.docker.version()).await
    }

    pub(super) async fn info(&self) -> Result<SystemInfo, Refusal> {
        self.within(PATIENCE, "get info", self.docker.info()).await
    }

    pub(super) async fn ping(&self) -> Result<(), Refusal> {
        self.within(PATIENCE, "ping", self.docker.ping()).await.map(drop)
    }

    pub(super) async fn image(&self, image: &str) -> Result<ImageInspect, Refusal> {
        self.within(PATIENCE, &format!("inspect image {image}"), self.docker.inspect_image(image)).await
    }

    /// Returns the container's id.
    pub(super) async fn create(&self, name: &str, body: ContainerCreateBody) -> Result<String, Refusal> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let request = self.docker.create_container(Some(options), body);
        Ok(self.within(PATIENCE, &format!("create {name}"), request).await?.id)
    }

    pub(super) async fn start(&self, name: &str) -> Result<(), Refusal> {
        self.within(PATIENCE, &format!("start {name}"), self.docker.start_container(name, None)).await
    }

    /// Stops a container: SIGTERM, and SIGKILL after `seconds`.
    pub(super) async fn stop(&self, name: &str, seconds: i64) -> Result<(), Refusal> {
        let options =
            StopContainerOptionsBuilder::default().t(i32::try_from(seconds).unwrap_or(i32::MAX)).build();
        let patience =
            PATIENCE.saturating_add(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        self.within(patience, &format!("stop {name}"), self.docker.stop_container(name, Some(options))).await
    }

    /// Removes a container, running or not. None of that name is no error.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Refusal> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let request = self.docker.remove_container(name, Some(options));
        match self.within(PATIENCE, &format!("remove {name}"), request).await {
            Err(refusal) if refusal.is_not_there() => Ok(()),
            done => done,
        }
    }

    pub(super) async fn inspect(&self, name: &str) -> Result<InspectedContainer, Refusal> {
        let request = self.docker.inspect_container(name, None::<InspectContainerOptions>);
        Ok(InspectedContainer::of(&self.within(PATIENCE, &format!("inspect {name}"), request).await?))
    }

    /// Containers in any state with the label of this run, or of any run.
    pub(super) async fn list(&self, run: Option<&str>) -> Result<Vec<Listed>, Refusal> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters(run)).build();
        let request = self.docker.list_containers(Some(options));
        let containers = self.within(PATIENCE, "list containers", request).await?;
        Ok(containers.into_iter().filter_map(Listed::of).collect())
    }

    /// The last line on standard output of a container.
    pub(super) async fn last_line(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let options = LogsOptionsBuilder::default().stdout(true).tail("1").build();
        let mut log = self.docker.logs(name, Some(options));
        let read = async {
            let mut bytes = Vec::new();
            while let Some(part) = log.next().await {
                bytes.extend_from_slice(&part?.into_bytes());
                if bytes.len() > LOG_BYTES {
                    break;
                }
            }
            Ok(bytes)
        };
        self.within(PATIENCE, &format!("read the log of {name}"), read).await
    }

    /// Events of the run's containers since then.
    pub(super) fn events(
        &self,
        run: &str,
        since: SystemTime,
    ) -> BoxStream<'static, Result<EventMessage, Refusal>> {
        let seconds = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut filters = filters(Some(run));
        filters.insert("type", vec!["container".to_owned()]);
        let options = EventsOptionsBuilder::default().since(&seconds.to_string()).filters(&filters).build();
        let api = self.clone();
        let stream = self.docker.events(Some(options));
        stream.map(move |event| event.map_err(|error| api.refusal("watch events", &error))).boxed()
    }

    async fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Refusal> {
        match timeout(patience, request).await {
            Ok(answer) => answer.map_err(|error| self.refusal(what, &error)),
            Err(_) => Err(Refusal {
                unreadable: false,
                status: None,
                message: format!(
                    "{}: {what}: no answer within {} s",
                    self.socket.display(),
                    patience.as_secs()
                ),
            }),
        }
    }

    fn refusal(&self, what: &str, error: &Error) -> Refusal {
        let (status, said) = match error {
            Error::DockerResponseServerError { status_code, message } => {
                (Some(*status_code), format!("{status_code}: {}", message.trim_end()))
            }
            error => (None, causes(error)),
        };
        let unreadable = matches!(error, Error::JsonDataError { .. });
        Refusal { status, message: format!("{}: {what}: {said}", self.socket.display()), unreadable }
    }
}

fn filters(run: Option<&str>) -> HashMap<&'static str, Vec<String>> {
    let label = run.map_or_else(|| RUN_LABEL.to_owned(), |run| format!("{RUN_LABEL}={run}"));
    HashMap::from([("label", vec![label])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_and_a_servers_trouble_may_pass_and_a_refusal_is_for_good() {
        let transient =
            |status| Failure::from(Refusal { status, message: String::new(), unreadable: false }).transient;
        assert!(transient(None) && transient(Some(500)) && transient(Some(409)));
        assert!(!transient(Some(400)) && !transient(Some(404)));
    }

    #[test]
    fn a_container_that_is_just_removed_is_not_there() {
        let is_not_there = |status, message: &str| {
            Refusal { status: Some(status), message: message.into(), unreadable: false }.is_not_there()
        };
        // As Podman 4.3.1 answers.
        let message = "500: container 19f8 does not exist in database: no such container";
        assert!(is_not_there(500, message) && is_not_there(404, "") && !is_not_there(500, "500: no space"));
    }
}
