//! Instance status from a pod object.

use std::time::SystemTime;

use super::object::{
    Condition, ContainerState, ContainerStatus, PodObject, PodStatus, Terminated, Waiting, deleted_since,
    time,
};
use crate::engine::{ContainerExit, GROUP_LABEL, InstanceStatus};
use ramp_format::state::State;

#[cfg(test)]
mod tests;

/// The state of a pod, and how its container last ended. `container` names the one that counts: meshes add their own.
pub(super) fn instance_status(pod: &PodObject, container: &str) -> InstanceStatus {
    let metadata = &pod.metadata;
    let status = PodView::of(pod, container);
    let PodStateAt { state, since, reason } = status.is();
    InstanceStatus {
        uid: metadata.uid.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        node: pod.spec.node_name.clone().filter(|node| !node.is_empty()),
        state,
        since,
        reason,
        restarts: status.container.map_or(0, |container| container.restart_count),
        end: status.end(),
        over: status.is_over(),
        group: pod.label(GROUP_LABEL).map(str::to_owned),
    }
}

/// The same for a deleted pod.
pub(super) fn gone(pod: &PodObject, container: &str) -> InstanceStatus {
    InstanceStatus {
        state: State::Gone,
        since: None,
        reason: String::new(),
        over: true,
        ..instance_status(pod, container)
    }
}

/// The state of a pod, since when, and why.
struct PodStateAt {
    state: State,
    since: Option<SystemTime>,
    reason: String,
}

/// A pod with the container that counts.
struct PodView<'a> {
    pod: &'a PodObject,
    status: &'a PodStatus,
    container: Option<&'a ContainerStatus>,
}

impl<'a> PodView<'a> {
    fn of(pod: &'a PodObject, container: &str) -> Self {
        let containers = pod.status.container_statuses.as_deref().unwrap_or_default();
        // Of another container nothing follows for the instance.
        let container = containers.iter().find(|status| status.name == container);
        Self { pod, status: &pod.status, container }
    }

    /// Whether it has ended for good: the controller creates another one in its place.
    fn is_over(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Failed" | "Succeeded"))
    }

    fn is(&self) -> PodStateAt {
        let phase = self.status.phase.as_deref();
        if self.pod.metadata.deletion_timestamp.is_some() {
            let since = deleted_since(&self.pod.metadata);
            return PodStateAt { state: State::Terminating, since, reason: self.why_terminating() };
        }
        if phase == Some("Failed") && !self.said().is_empty() {
            let evicted = self.status.reason.as_deref() == Some("Evicted");
            let state = if evicted { State::Evicted } else { State::Failed };
            let since = self.terminated().and_then(|terminated| terminated.finished_at.as_ref()).map(time);
            return PodStateAt { state, since, reason: self.said() };
        }
        if self.pod.spec.node_name.as_deref().unwrap_or_default().is_empty() {
            return self.without_node();
        }
        match self.container.and_then(|container| container.state.as_ref()) {
            Some(ContainerState { terminated: Some(terminated), .. }) => ended(terminated),
            Some(ContainerState { running: Some(_), .. }) => self.running(),
            state if matches!(phase, Some("Failed" | "Succeeded")) => {
                let _ = state;
                PodStateAt { state: State::Failed, since: None, reason: phase.unwrap_or_default().to_owned() }
            }
            state => self.waiting(state),
        }
    }

    fn without_node(&self) -> PodStateAt {
        let made = self.pod.metadata.creation_timestamp.as_ref().map(time);
        match self.condition("PodScheduled") {
            Some(found) if found.status == "False" && found.reason.as_deref() == Some("Unschedulable") => {
                PodStateAt {
                    state: State::Unschedulable,
                    since: since(found),
                    reason: joined("Unschedulable", found.message.as_deref()),
                }
            }
            found => PodStateAt {
                state: State::Pending,
                since: made,
                // SchedulingGated, from Kubernetes 1.26 on.
                reason: found.and_then(|found| found.reason.clone()).unwrap_or_default(),
            },
        }
    }

    fn running(&self) -> PodStateAt {
        let started = self
            .container
            .and_then(|container| container.state.as_ref()?.running.as_ref()?.started_at.as_ref())
            .map(time);
        let ready = self.condition("Ready");
        let changed = ready.and_then(since);
        match ready {
            Some(ready) if ready.status == "True" => {
                PodStateAt { state: State::Ready, since: changed, reason: String::new() }
            }
            // Not ready for want of another container, or of a readiness gate: the load holds its memory all the same.
            Some(ready)
                if self.container.is_some_and(|container| container.ready)
                    && matches!(
                        ready.reason.as_deref(),
                        Some("ContainersNotReady" | "ReadinessGatesNotReady")
                    ) =>
            {
                PodStateAt { state: State::Ready, since: None, reason: String::new() }
            }
            // The kubelet sets both at once. If they differ, the node controller has changed one.
            Some(ready) if self.container.is_some_and(|container| container.ready) => {
                let reason = ready.reason.clone().unwrap_or_else(|| "NodeNotReady".into());
                PodStateAt { state: State::Running, since: changed.max(started), reason }
            }
            _ => PodStateAt { state: State::Running, since: changed.max(started), reason: String::new() },
        }
    }

    fn waiting(&self, state: Option<&ContainerState>) -> PodStateAt {
        if let Some(last) = self.last_terminated() {
            return ended(last);
        }
        let since = self.condition("PodScheduled").and_then(since);
        if let Some(reason) = self.init_container() {
            return PodStateAt { state: State::Creating, since, reason };
        }
        let waiting = state.and_then(|state| state.waiting.as_ref());
        let reason = match waiting.map(|waiting| (waiting.reason.as_deref(), waiting.message.as_deref())) {
            None | Some((None | Some("ContainerCreating" | "PodInitializing"), _)) => String::new(),
            Some((Some(reason), message)) => joined(reason, message),
        };
        PodStateAt { state: State::Creating, since, reason }
    }

    /// The init container that its containers wait for, and how far it is.
    fn init_container(&self) -> Option<String> {
        let is_sidecar = |name: &str| {
            let mut all = self.pod.spec.init_containers.iter().flatten();
            all.any(|container| container.name == name && container.is_sidecar())
        };
        let waits = |status: &&ContainerStatus| match &status.state {
            Some(ContainerState { terminated: Some(terminated), .. }) => terminated.exit_code != 0,
            Some(ContainerState { running: Some(_), .. }) => !is_sidecar(&status.name),
            _ => true,
        };
        let status = self.status.init_container_statuses.iter().flatten().find(waits)?;
        let state = status.state.clone().unwrap_or_default();
        let last = status.last_state.as_ref().and_then(|last| last.terminated.clone());
        let exits = status.restart_count + u32::from(state.running.is_none());
        let name = format!("init container {}", status.name);
        match (state.terminated.or(last).filter(|exit| exit.exit_code != 0), state.waiting) {
            (Some(exit), _) => {
                let exit = ended(&exit).reason;
                Some(if exits > 1 {
                    format!("CrashLoopBackOff: {name} exited {exits} times: {exit}")
                } else {
                    format!("PodInitializing: {name} exited: {exit}")
                })
            }
            (None, Some(Waiting { reason: Some(reason), message })) if reason != "PodInitializing" => {
                Some(joined(&format!("{reason}: {name}"), message.as_deref()))
            }
            (None, None) if state.running.is_some() => Some(format!("PodInitializing: {name} is running")),
            _ => None,
        }
    }

    /// How its container last ended.
    ///
    /// In a pod that is terminating or evicted the end of the container is no event of its own: 137 is how the kubelet kills
    /// after the grace period, and `ContainerStatusUnknown` what it reports if it removed the container first.
    fn end(&self) -> Option<ContainerExit> {
        let terminating = self.pod.metadata.deletion_timestamp.is_some();
        let evicted = self.status.reason.as_deref() == Some("Evicted");
        let now = self.terminated().filter(|terminated| !terminating && (!evicted || is_oom(terminated)));
        let terminated = now.or(self.last_terminated())?;
        let PodStateAt { state, since: at, reason } = ended(terminated);
        let container = match terminated.container_id.as_deref() {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => self.unnamed(terminated),
        };
        Some(ContainerExit { container, state, at, reason })
    }

    /// An ID for a container that has none: it never started, or the kubelet lost it.
    fn unnamed(&self, terminated: &Terminated) -> String {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let at = terminated.finished_at.as_ref().map(|at| at.0.to_string());
        format!("{uid}@{}", at.unwrap_or_default())
    }

    fn terminated(&self) -> Option<&'a Terminated> {
        self.container?.state.as_ref()?.terminated.as_ref()
    }

    fn last_terminated(&self) -> Option<&'a Terminated> {
        self.container?.last_state.as_ref()?.terminated.as_ref()
    }

    fn condition(&self, kind: &str) -> Option<&'a Condition> {
        self.status.conditions.as_deref()?.iter().find(|condition| condition.kind == kind)
    }

    /// Who has it removed, where that is told: the condition DisruptionTarget, from Kubernetes 1.26 on.
    fn why_terminating(&self) -> String {
        let disrupted = self.condition("DisruptionTarget").filter(|found| found.status == "True");
        match disrupted.and_then(|found| Some((found.reason.as_deref()?, found.message.as_deref()))) {
            Some((reason, message)) => joined(reason, message),
            None => self.said(),
        }
    }

    /// The reason of the status itself.
    fn said(&self) -> String {
        match (self.status.reason.as_deref(), self.status.message.as_deref()) {
            (Some(reason), message) => joined(reason, message),
            (None, message) => message.unwrap_or_default().to_owned(),
        }
    }
}

fn ended(terminated: &Terminated) -> PodStateAt {
    let state = if is_oom(terminated) { State::OomKilled } else { State::Failed };
    let word = terminated.reason.as_deref().unwrap_or("Ended");
    let reason = format!("{word}, exit {}", terminated.exit_code);
    // A process that never began tells nothing of itself; the message of one that did is its own.
    let message =
        terminated.message.as_deref().filter(|_| matches!(word, "StartError" | "ContainerCannotRun"));
    PodStateAt { state, since: terminated.finished_at.as_ref().map(time), reason: joined(&reason, message) }
}

/// The kubelet's reason. 137 alone only says that the container was killed.
fn is_oom(terminated: &Terminated) -> bool {
    terminated.reason.as_deref() == Some("OOMKilled")
}

fn since(condition: &Condition) -> Option<SystemTime> {
    condition.last_transition_time.as_ref().map(time)
}

fn joined(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim) {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    }
}
