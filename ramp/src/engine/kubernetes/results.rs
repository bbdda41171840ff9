//! Results of a Job in the cluster: the pod that serves them (`ramp study run --serve`), read through the API server's pod proxy; and, once
//! the Job has ended, a pod of its volumes that does nothing else (`ramp serve`).

use std::time::Duration;

use futures::{AsyncBufRead, AsyncReadExt};
use http::Request;
use http::header::RANGE;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, Config, Resource, ResourceExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::connect;
use super::kubeconfig::Access;
use super::object::PodObject;
use super::pod::instance_status;
use super::request::{REQUEST_LIMIT, optional, within};
use crate::engine::{Failure, InstanceStatus};
use ramp_format::state::State;
use ramp_format::text::count as count_of;

/// Escaped in a path: all but what RFC 3986 has as unreserved, and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Value of the label `app.kubernetes.io/component` of the pods that do nothing else than serve results.
pub(super) const RESULTS_COMPONENT: &str = "results";

/// The label of a Job's pods.
const JOB_NAME: &str = "job-name";

/// How long a pod serves the results of a Job that has ended, should nobody remove it.
const SERVED_FOR: &str = "15m";

/// A server of results (see `ramp serve`), to which requests are sent.
#[derive(Clone)]
pub(crate) struct ResultsSource {
    client: Client,
    /// What precedes its paths.
    prefix: String,
}

/// A Job and where its results are.
pub(crate) struct ResultsJob {
    client: Client,
    namespace: String,
    name: String,
}

/// Where a Job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// A pod serves its results.
    Served {
        /// Its name.
        pod: String,
        /// The port.
        port: u16,
    },
    /// No pod serves them, but one will: why it does not yet.
    Waiting(String),
    /// Its study has ended.
    Complete,
    /// The Job controller has given up, for this reason.
    Failed(String),
}

impl ResultsSource {
    /// The server at a URL, such as that of `kubectl port-forward`.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) async fn at(url: &str) -> Result<Self, Failure> {
        let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.host().is_some());
        let uri = uri.ok_or_else(|| {
            Failure::permanent(format!("--from {url}: expected a URL, such as http://127.0.0.1:8080"))
        })?;
        let client = connect::client(Access::of_config(Config::new(uri)), |_| None).await;
        let client = client.map_err(|error| Failure::permanent(format!("--from {url}: {error}")))?;
        Ok(Self { client, prefix: String::new() })
    }

    /// The text of a path.
    ///
    /// # Errors
    /// Where there is no answer, or another one.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Failure> {
        let request = self.request(path, None)?;
        let answer = within(REQUEST_LIMIT, self.client.request_text(request)).await;
        answer.map_err(|error| error.failure(&format!("reading {path}")))
    }

    /// A file from a byte on, piece by piece.
    ///
    /// # Errors
    /// Where it is not served, or `write` fails.
    pub(crate) async fn file(
        &self,
        path: &str,
        from: u64,
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let doing = format!("reading {path}");
        let request = self.request(&format!("/files/{path}"), Some(from))?;
        let answer = within(REQUEST_LIMIT, self.client.request_stream(request)).await;
        let stream = answer.map_err(|error| error.failure(&doing))?;
        let mut stream: std::pin::Pin<Box<dyn AsyncBufRead>> = Box::pin(stream);
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = timeout(REQUEST_LIMIT, stream.read(&mut chunk)).await;
            let read = read.map_err(|_| {
                Failure::transient(format!("{doing}: nothing for {} s", REQUEST_LIMIT.as_secs()))
            })?;
            match read.map_err(|error| Failure::transient(format!("{doing}: {error}")))? {
                0 => return Ok(()),
                read => write(&chunk[..read]).map_err(|error| Failure::permanent(error.to_string()))?,
            }
        }
    }

    fn request(&self, path: &str, from: Option<u64>) -> Result<Request<Vec<u8>>, Failure> {
        let path = format!("{}{}", self.prefix, utf8_percent_encode(path, PATH));
        let mut request = Request::get(path);
        if let Some(from) = from {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.body(Vec::new()).map_err(|error| Failure::permanent(error.to_string()))
    }
}

impl ResultsJob {
    pub(crate) fn new(client: Client, namespace: String, name: String) -> Self {
        Self { client, namespace, name }
    }

    /// Where it stands.
    ///
    /// # Errors
    /// If there is no such Job, or the API server does not answer.
    pub(crate) async fn state(&self) -> Result<JobState, Failure> {
        let job = self.job().await?;
        let pods: Api<PodObject> = self.api();
        let selection = ListParams::default().labels(&format!("{JOB_NAME}={}", self.name));
        let pods = within(REQUEST_LIMIT, pods.list(&selection)).await;
        let pods = pods.map_err(|error| error.failure(&format!("listing the pods of job/{}", self.name)))?;
        state(&job, &pods.items).map_err(Failure::permanent)
    }

    /// The server in a pod of this Job.
    pub(crate) fn source(&self, pod: &str, port: u16) -> ResultsSource {
        let prefix = format!("/api/v1/namespaces/{}/pods/{pod}:{port}/proxy", self.namespace);
        ResultsSource { client: self.client.clone(), prefix }
    }

    /// Creates the pod that serves the results of a Job that has ended, or finds the one of an earlier attempt. Its name and port.
    ///
    /// # Errors
    /// If its results went with its pod, or it cannot be created.
    pub(crate) async fn serve_again(&self) -> Result<(String, u16), Failure> {
        let job = self.job().await?;
        let (pod, port) = reader(&job).map_err(Failure::permanent)?;
        let name = pod.name_any();
        match within(REQUEST_LIMIT, self.api().create(&PostParams::default(), &pod)).await {
            Ok(_) => Ok((name, port)),
            Err(error) if error.status() == Some(409) => Ok((name, port)),
            Err(error) => Err(error.failure(&format!("creating pod/{name}, which serves the results"))),
        }
    }

    /// Whether that pod serves by now.
    ///
    /// # Errors
    /// If it cannot be read, or has ended.
    pub(crate) async fn is_serving(&self, pod: &str) -> Result<bool, Failure> {
        let found = within(REQUEST_LIMIT, self.api::<PodObject>().get(pod)).await;
        let found = found.map_err(|error| error.failure(&format!("reading pod/{pod}")))?;
        let status = first_container_status(&found);
        if status.over {
            return Err(Failure::permanent(format!("pod/{pod} has ended; see: kubectl logs {pod}")));
        }
        Ok(is_running(&status))
    }

    /// Removes that pod.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub(crate) async fn remove(&self, pod: &str) -> Result<(), Failure> {
        let deleted = within(REQUEST_LIMIT, self.api::<Pod>().delete(pod, &DeleteParams::default())).await;
        optional(deleted).map(drop).map_err(|error| error.failure(&format!("deleting pod/{pod}")))
    }

    async fn job(&self) -> Result<Job, Failure> {
        let (name, namespace) = (&self.name, &self.namespace);
        let job = optional(within(REQUEST_LIMIT, self.api::<Job>().get(name)).await);
        let job = job.map_err(|error| error.failure(&format!("reading job/{name}")))?;
        job.ok_or_else(|| {
            Failure::permanent(format!(
                "no Job {name} in namespace {namespace}; create it with: kubectl apply -k deploy/job"
            ))
        })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn state(job: &Job, pods: &[PodObject]) -> Result<JobState, String> {
    let spec = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let port = served_port(spec.ok_or("the Job has no pod template")?)?;
    let failed = failed_attempts(pods);
    let and_failed =
        |words: String| [Some(words), failed.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let pods: Vec<InstanceStatus> = pods.iter().map(first_container_status).collect();
    // One that is being deleted still writes: how it ends is fetched from the next one.
    if let Some(pod) = pods.iter().find(|pod| is_running(pod)) {
        return Ok(JobState::Served { pod: pod.name.clone(), port });
    }
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        let words = [&condition.reason, &condition.message].map(|words| words.clone().unwrap_or_default());
        match condition.type_.as_str() {
            "Complete" => return Ok(JobState::Complete),
            "Failed" => return Ok(JobState::Failed(and_failed(words.join(": ")))),
            _ => {}
        }
    }
    let is_waiting = |pod: &&InstanceStatus| {
        !pod.over && matches!(pod.state, State::Pending | State::Unschedulable | State::Creating)
    };
    let waiting = pods.iter().find(is_waiting).map(|pod| {
        let why = if pod.reason.is_empty() { "starting" } else { &pod.reason };
        format!("pod/{} is pending: {why}", pod.name)
    });
    Ok(JobState::Waiting(and_failed(waiting.unwrap_or_else(|| "no pod of it is running yet".into()))))
}

/// How many attempts have failed, and what the last of them said: its container has the last lines of its log as message
/// (`terminationMessagePolicy: FallbackToLogsOnError`). None where none has.
fn failed_attempts(pods: &[PodObject]) -> Option<String> {
    let exit = |pod: &PodObject| {
        let states = pod.status.container_statuses.iter().flatten();
        states
            .filter_map(|container| container.state.as_ref()?.terminated.clone())
            .find(|exit| exit.exit_code != 0)
    };
    let failed = pods.iter().filter_map(|pod| Some((pod, exit(pod)?)));
    let count = failed.clone().count();
    let (last, exit) = failed.max_by_key(|(_, exit)| exit.finished_at.as_ref().map(|at| at.0))?;
    let said = exit.message.as_deref().and_then(|message| message.trim_end().lines().last());
    let why = said.map_or_else(|| format!("exit status {}", exit.exit_code), str::to_owned);
    Some(format!(
        "{} failed, the last in pod/{}: {why}",
        count_of(count as u64, "attempt"),
        last.metadata.name.as_deref().unwrap_or_default()
    ))
}

/// By its first container, which is that of `ramp`.
fn first_container_status(pod: &PodObject) -> InstanceStatus {
    instance_status(pod, pod.spec.containers.first().map_or("", |container| &container.name))
}

fn is_running(pod: &InstanceStatus) -> bool {
    matches!(pod.state, State::Running | State::Ready)
}

/// The value of an option of the Job's container.
fn option<'s>(spec: &'s PodSpec, name: &str) -> Option<&'s str> {
    let args = spec.containers.first()?.args.as_ref()?;
    let at = args.iter().position(|arg| arg == name);
    let separate = at.and_then(|at| args.get(at + 1)).map(String::as_str);
    separate.or_else(|| args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('=')))
}

fn served_port(spec: &PodSpec) -> Result<u16, String> {
    let address = option(spec, "--serve")
        .ok_or("the container of the Job does not serve its results: add --serve ADDRESS to its args")?;
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    port.ok_or_else(|| {
        format!("--serve {address} of the Job: expected an address with a port, such as 0.0.0.0:8080")
    })
}

/// The pod that serves the results of a Job: of the same image and volumes, and removed with the Job.
fn reader(job: &Job) -> Result<(Pod, u16), String> {
    let name = job.name_any();
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let mut spec =
        template.and_then(|template| template.spec.clone()).ok_or("the Job has no pod template")?;
    let port = served_port(&spec)?;
    let directory = option(&spec, "--out").ok_or("the container of the Job has no --out")?.to_owned();
    let is_kept = |volume: &k8s_openapi::api::core::v1::Volume| {
        volume.empty_dir.is_none() && volume.config_map.is_none() && volume.secret.is_none()
    };
    if !spec.volumes.iter().flatten().any(is_kept) {
        return Err(format!(
            "job/{name} has ended, and its results went with its pod: give it a volume that stays (a PersistentVolumeClaim), \
             or fetch while it runs"
        ));
    }
    let args = ["serve", &directory, "--listen", &format!("0.0.0.0:{port}"), "--for", SERVED_FOR];
    if let Some(container) = spec.containers.first_mut() {
        container.args = Some(args.map(str::to_owned).into());
    }
    spec.restart_policy = Some("Never".into());
    spec.termination_grace_period_seconds = Some(5);
    let owner = job.controller_owner_ref(&());
    let metadata = ObjectMeta {
        name: Some(format!("{name}-results")),
        namespace: job.namespace(),
        labels: Some(
            std::iter::once(("app.kubernetes.io/component".to_owned(), RESULTS_COMPONENT.to_owned()))
                .collect(),
        ),
        owner_references: owner.map(|owner| {
            vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
                // The Job controller counts the pods that it controls.
                controller: None,
                block_owner_deletion: None,
                ..owner
            }]
        }),
        ..ObjectMeta::default()
    };
    Ok((Pod { metadata, spec: Some(spec), status: None }, port))
}

/// How long a pod may take to start.
pub(crate) const STARTS_WITHIN: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

    use serde_json::{Value, from_value, json};

    use super::*;

    fn job(status: Value, volumes: Value) -> Job {
        let args = ["study", "run", "s.yaml", "--out", "/results/s", "--serve", "0.0.0.0:9000"];
        from_value(json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "study", "namespace": "w", "uid": "7"},
            "spec": {"template": {"spec": {
                "containers": [{"name": "ramp", "args": args}], "restartPolicy": "OnFailure", "volumes": volumes,
            }}},
            "status": status,
        }))
        .unwrap()
    }

    fn pod(name: &str, status: Value, deleted: bool) -> PodObject {
        let deleted = deleted.then_some("2026-11-30T12:00:00Z");
        let node = status.get("containerStatuses").map(|_| "node-0");
        from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "deletionTimestamp": deleted},
            "spec": {"nodeName": node, "containers": [{"name": "ramp"}]}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn the_pod_that_serves_is_the_one_that_runs_and_is_not_being_deleted() {
        let running = json!({"phase": "Running", "containerStatuses": [{"name": "ramp", "image": "", "imageID": "", "ready": true,
            "restartCount": 0, "state": {"running": {"startedAt": "2026-11-30T12:00:00Z"}}}]});
        let pods = [pod("old", running.clone(), true), pod("failed", json!({"phase": "Failed"}), false)];
        let job = job(json!({}), json!([]));
        assert_eq!(state(&job, &pods), Ok(JobState::Waiting("no pod of it is running yet".into())));
        let served = JobState::Served { pod: "new".into(), port: 9000 };
        assert_eq!(state(&job, &[&pods[..], &[pod("new", running, false)]].concat()), Ok(served));
    }

    #[test]
    fn what_a_pod_waits_for_is_what_the_kubelet_or_the_scheduler_says() {
        let unschedulable = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}]});
        let no_image = json!({"phase": "Pending", "containerStatuses": [{"name": "ramp", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}]});
        let waits = |status| match state(&job(json!({}), json!([])), &[pod("p", status, false)]) {
            Ok(JobState::Waiting(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits(unschedulable), "pod/p is pending: Unschedulable: 0/2 nodes are available");
        assert_eq!(waits(no_image), "pod/p is pending: ErrImagePull: no such host");
    }

    #[test]
    fn a_job_that_has_ended_says_how() {
        let of = |kind: &str| {
            let condition = json!({"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"});
            state(&job(json!({"conditions": [condition]}), json!([])), &[])
        };
        assert_eq!(of("Complete"), Ok(JobState::Complete));
        assert_eq!(of("Failed"), Ok(JobState::Failed("BackoffLimitExceeded: too often".into())));
    }

    #[test]
    fn the_results_of_a_job_that_has_ended_are_served_from_its_volume_where_it_has_one() {
        let claim = json!([{"name": "results", "persistentVolumeClaim": {"claimName": "c"}}]);
        let (pod, port) = reader(&job(json!({}), claim)).unwrap();
        let spec = pod.spec.unwrap();
        assert_eq!(port, 9000);
        let args = spec.containers[0].args.as_deref().unwrap();
        assert_eq!(args, ["serve", "/results/s", "--listen", "0.0.0.0:9000", "--for", "15m"]);
        assert_eq!(
            (spec.restart_policy.as_deref(), pod.metadata.name.as_deref()),
            (Some("Never"), Some("study-results"))
        );
        let owner = &pod.metadata.owner_references.unwrap()[0];
        assert_eq!((owner.kind.as_str(), owner.uid.as_str(), owner.controller), ("Job", "7", None));
        let lost = reader(&job(json!({}), json!([{"name": "results", "emptyDir": {}}]))).unwrap_err();
        assert!(lost.contains("its results went with its pod: give it a volume that stays"), "{lost}");
    }

    #[test]
    fn what_the_last_attempt_that_failed_said_is_told() {
        let failed = |at: u32, message: Option<&str>| {
            let terminated = json!({"exitCode": 2, "reason": "Error", "message": message,
                "finishedAt": format!("2026-11-30T12:00:{at:02}Z")});
            let container = json!({"name": "ramp", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": terminated}});
            pod(&format!("study-{at}"), json!({"phase": "Failed", "containerStatuses": [container]}), false)
        };
        let pods =
            [failed(30, Some("{}\nerror: study.yaml: no runtimes\n")), failed(10, Some("error: another"))];
        let told = "2 attempts failed, the last in pod/study-30: error: study.yaml: no runtimes";
        let waiting = state(&job(json!({}), json!([])), &pods);
        assert_eq!(waiting, Ok(JobState::Waiting(format!("no pod of it is running yet; {told}"))));
        let condition =
            json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "20"});
        let ended = state(&job(json!({"conditions": [condition]}), json!([])), &pods);
        assert_eq!(ended, Ok(JobState::Failed(format!("BackoffLimitExceeded: 20; {told}"))));
        assert!(failed_attempts(&[failed(1, None)]).unwrap().ends_with("pod/study-1: exit status 2"));
    }

    #[test]
    fn a_job_that_serves_nothing_is_told() {
        let mut job = job(json!({}), json!([]));
        job.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].args = None;
        assert!(state(&job, &[]).unwrap_err().contains("add --serve ADDRESS to its args"));
    }
}
