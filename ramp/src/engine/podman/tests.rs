//! The engine on a service whose answers come when a test wants them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::*;
use crate::clock::{Clock, Moment};
use crate::engine::{InstanceStatus, RUN_LABEL};
use ramp_format::scenario::Scenario;
use ramp_format::state::State;

const RUN: &str = "r1";

/// The containers of a service: their labels, and whether they run.
#[derive(Debug, Default)]
struct Containers {
    by_name: BTreeMap<String, (Value, bool)>,
    /// Requests that change something, in order.
    changes: Vec<String>,
}

/// A service that creates no container before it is allowed to, also for a client that has gone.
#[derive(Clone, Debug)]
struct SlowService {
    containers: Arc<Mutex<Containers>>,
    may_create: watch::Sender<bool>,
    /// The streams of events that have begun, and how many of them are to end.
    streams: watch::Sender<(u32, u32)>,
}

impl SlowService {
    fn start(socket: PathBuf) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let service = Self {
            containers: Arc::default(),
            may_create: watch::Sender::new(false),
            streams: watch::Sender::new((0, 0)),
        };
        let serving = service.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(client));
            }
        });
        service
    }

    async fn serve(self, client: UnixStream) {
        let mut client = BufReader::new(client);
        while let Some((request, body)) = request(&mut client).await {
            if request.contains("/events") {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                client.write_all(head.as_bytes()).await.unwrap();
                let mut number = 0;
                self.streams.send_modify(|(begun, _)| {
                    *begun += 1;
                    number = *begun;
                });
                self.streams.subscribe().wait_for(|(_, ended)| *ended >= number).await.unwrap();
                return client.write_all(b"0\r\n\r\n").await.unwrap();
            }
            let (status, answer) = self.answer(&request, &body).await;
            let text = if answer.is_null() { String::new() } else { answer.to_string() };
            let head = format!(
                "HTTP/1.1 {status} .\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                text.len()
            );
            // A client that has given up has closed the connection.
            let _ = client.write_all(format!("{head}{text}").as_bytes()).await;
        }
    }

    /// The status and the body of an answer.
    async fn answer(&self, request: &str, body: &str) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        // As containers/NAME/start, behind the version of the API.
        let name = parts.iter().skip_while(|part| **part != "containers").nth(1).copied().unwrap_or_default();
        if path.ends_with("/containers/create") {
            self.may_create.subscribe().wait_for(|may| *may).await.unwrap();
            let name = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap();
            let labels = serde_json::from_str::<Value>(body).unwrap()["Labels"].clone();
            let mut containers = self.containers.lock().unwrap();
            containers.changes.push(format!("create {name}"));
            containers.by_name.insert(name.to_owned(), (labels, false));
            return (201, json!({"Id": format!("id-{name}"), "Warnings": []}));
        }
        let mut containers = self.containers.lock().unwrap();
        match (method, parts.last().copied().unwrap_or_default()) {
            ("GET", "version") => {
                (200, json!({"Version": "4.9.0", "ApiVersion": "1.41", "MinAPIVersion": "1.24"}))
            }
            ("GET", "info") => (200, json!({"Name": "elsewhere", "KernelVersion": "0", "NCPU": 1})),
            ("GET", "json") if name == "json" => {
                let all = containers.by_name.iter().map(|(name, (labels, runs))| {
                    json!({"Id": format!("id-{name}"), "Names": [format!("/{name}")], "Labels": labels,
                        "State": if *runs { "running" } else { "created" }})
                });
                (200, all.collect())
            }
            ("GET", "json") => match containers.by_name.get(name) {
                None => (404, json!({"message": "no such container"})),
                Some((labels, runs)) => {
                    let status = if *runs { "running" } else { "created" };
                    let state = json!({"Status": status, "Running": runs, "Pid": 0, "ExitCode": 0,
                        "StartedAt": "2026-11-25T12:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"});
                    let config = json!({"Labels": labels});
                    (200, json!({"Id": format!("id-{name}"), "Name": name, "State": state, "Config": config}))
                }
            },
            ("POST", "start") => {
                containers.changes.push(format!("start {name}"));
                containers.by_name.get_mut(name).unwrap().1 = true;
                (204, Value::Null)
            }
            ("DELETE", name) => {
                containers.changes.push(format!("remove {name}"));
                let found = containers.by_name.remove(name);
                (if found.is_some() { 204 } else { 404 }, Value::Null)
            }
            _ => (200, Value::Null),
        }
    }

    fn names(&self) -> Vec<String> {
        self.containers.lock().unwrap().by_name.keys().cloned().collect()
    }

    fn changes(&self) -> Vec<String> {
        self.containers.lock().unwrap().changes.clone()
    }
}

/// A request: its method and target, and its body.
async fn request(client: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    client.read_line(&mut first).await.ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.ok()?;
    let request = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some((request, String::from_utf8(body).unwrap()))
}

struct Stage {
    service: SlowService,
    engine: PodmanEngine,
    told: mpsc::Receiver<(Moment, Event)>,
    _directory: tempfile::TempDir,
}

impl Stage {
    /// An engine that has begun.
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("podman.sock");
        let service = SlowService::start(socket.clone());
        let options = EngineOptions { socket: Some(socket), ..EngineOptions::default() };
        let spec = EngineSpec { run: RUN.into(), scenario: Scenario::embedded().unwrap(), options };
        let mut engine = PodmanEngine::new(spec).unwrap();
        let (events, told) = Events::channel(Clock::system());
        engine.begin(events, false).await.unwrap();
        Self { service, engine, told, _directory: directory }
    }

    /// Waits for an instance of this state.
    async fn until(&mut self, state: State) -> InstanceStatus {
        let told = async {
            loop {
                match self.told.recv().await.unwrap().1 {
                    Event::Instance(status) if status.state == state => return status,
                    _ => {}
                }
            }
        };
        timeout(Duration::from_secs(20), told).await.unwrap()
    }
}

#[tokio::test]
async fn a_container_whose_creation_is_answered_after_the_teardown_began_is_removed() {
    let mut stage = Stage::begin().await;
    stage.engine.scale(GroupId::ONLY, 1).await.unwrap();
    stage.until(State::Pending).await;
    stage.engine.remove().await.unwrap();
    assert_eq!(stage.engine.left().await.unwrap(), [""; 0], "it does not exist yet");
    stage.service.may_create.send_replace(true);
    stage.until(State::Gone).await;
    assert_eq!(stage.service.names(), [""; 0]);
    assert_eq!(stage.engine.left().await.unwrap(), [""; 0]);
    let changes = stage.service.changes();
    assert!(
        changes[0].starts_with("create ") && changes.last().unwrap().starts_with("remove "),
        "{changes:?}"
    );
}

#[tokio::test]
async fn a_container_that_a_request_of_an_earlier_process_creates_after_the_teardown_began_is_removed() {
    let mut stage = Stage::begin().await;
    stage.engine.remove().await.unwrap();
    assert_eq!(stage.engine.left().await.unwrap(), [""; 0]);
    let labels = json!({RUN_LABEL: RUN});
    stage.service.containers.lock().unwrap().by_name.insert("late".into(), (labels, false));
    assert_eq!(stage.engine.left().await.unwrap(), ["container late"], "as long as it was there it is named");
    assert_eq!(stage.engine.left().await.unwrap(), [""; 0]);
    assert_eq!(
        (stage.service.changes(), stage.service.names()),
        (vec!["remove late".to_owned()], Vec::new())
    );
}

#[tokio::test]
async fn a_container_that_is_missing_after_the_stream_of_events_was_begun_again_was_removed_by_someone() {
    let mut stage = Stage::begin().await;
    stage.service.may_create.send_replace(true);
    stage.engine.scale(GroupId::ONLY, 1).await.unwrap();
    stage.until(State::Running).await;
    stage.service.containers.lock().unwrap().by_name.clear();
    // As Podman ends it where it rotates its log of events.
    stage.service.streams.send_modify(|(_, ended)| *ended = 1);
    let gone = stage.until(State::Gone).await;
    assert_eq!(gone.reason, "removed by someone else");
}
