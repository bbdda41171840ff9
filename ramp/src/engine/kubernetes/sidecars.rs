//! Sidecars: containers in the pods of the run and of the node probe that are not the program's own.

use std::collections::BTreeSet;

use super::object::ContainerObject;
use crate::engine::{Event, Events, Notice};
use ramp_format::sidecar::{SIDECAR, Sidecar};

/// Containers that were told. One of a name is told once, in however many pods it is.
pub(super) struct Sidecars {
    events: Events,
    told: BTreeSet<(&'static str, String)>,
}

impl Sidecars {
    pub(super) fn new(events: Events) -> Self {
        Self { events, told: BTreeSet::new() }
    }

    /// Containers in a pod of the run.
    pub(super) async fn of_instances(&mut self, beside: &[ContainerObject]) {
        self.tell("the run", beside, Sidecar::message).await;
    }

    /// Containers in a pod of the node probe.
    pub(super) async fn of_probes(&mut self, beside: &[ContainerObject]) {
        let message = |sidecar: &Sidecar| {
            let image = &sidecar.image;
            format!(
                "pods of the node probe have a further container (image {image}): what it uses is part of the memory at rest"
            )
        };
        self.tell("the node probe", beside, message).await;
    }

    async fn tell(
        &mut self,
        whose: &'static str,
        beside: &[ContainerObject],
        message: impl Fn(&Sidecar) -> String,
    ) {
        for container in beside {
            if !self.told.insert((whose, container.name.clone())) {
                continue;
            }
            let image = container.image.clone().unwrap_or_else(|| "unknown".to_owned());
            let message = message(&Sidecar { container: container.name.clone(), image });
            let notice = Notice::note(Sidecar::object(&container.name), SIDECAR, message);
            self.events.send(Event::Notice(notice)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::PodSpec;
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn each_container_beside_the_own_is_told_once_with_its_image() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "istio-proxy", "image": "proxyv2:1"}, {"name": "workload", "image": "w"}],
            "initContainers": [{"name": "init", "image": "i"}, {"name": "native", "image": "n", "restartPolicy": "Always"}],
            "ephemeralContainers": [{"name": "debugger-1", "image": "busybox"}]}))
        .unwrap();
        let beside: Vec<ContainerObject> = spec.beside("workload").cloned().collect();
        let (events, mut told) = Events::channel(Clock::system());
        let mut sidecars = Sidecars::new(events);
        sidecars.of_instances(&beside).await;
        sidecars.of_instances(&beside).await;
        drop(sidecars);
        let mut objects = Vec::new();
        while let Some((_, Event::Notice(notice))) = told.recv().await {
            let found = Sidecar::of(&notice.object, &notice.reason, &notice.message).unwrap();
            objects.push(found.to_string());
        }
        assert_eq!(
            objects,
            ["istio-proxy (image proxyv2:1)", "native (image n)", "debugger-1 (image busybox)"]
        );
    }
}
