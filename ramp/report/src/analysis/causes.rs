//! Causes of lost or unplaced instances, by the words of Kubernetes, kubelets, containerd, Podman and kernels.

use super::exhaustion;
pub use super::resource::Resource;
use ramp_format::named_enum;
use ramp_format::rows::PodRow;
use ramp_format::state::State;

/// Why an instance is lost, or has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no more of something.
    Resource(Resource),
    /// Others have seen to it.
    Others(ExternalAction),
    /// It cannot begin, however much there is of anything: its image, its settings, a rule of the cluster.
    Blocked,
    /// It was killed, and nobody tells by whom.
    Killed,
    /// Nobody tells.
    Unknown,
}

named_enum! {
    /// What others do to instances.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum ExternalAction {
        /// They made room for others of a higher priority.
        Preempted = "preempted",
        /// Their node was drained.
        Drained = "removed by a drain",
        /// Their node was tainted, or not ready for too long.
        Tainted = "removed from a node that was tainted or not ready",
        /// They were deleted.
        Deleted = "deleted",
    }
}

/// Words of a reason, and what they tell. The first that is found counts.
const WORDS: &[(&str, Cause)] = &[
    // Others: PreemptionByScheduler and so on are the reasons of the condition DisruptionTarget (Kubernetes, Pod disruption conditions).
    ("PreemptionByScheduler", Cause::Others(ExternalAction::Preempted)),
    ("preempting to accommodate", Cause::Others(ExternalAction::Preempted)),
    ("Preempted by", Cause::Others(ExternalAction::Preempted)),
    ("Preempted in order to admit", Cause::Others(ExternalAction::Preempted)),
    ("Preempting", Cause::Others(ExternalAction::Preempted)),
    ("EvictionByEvictionAPI", Cause::Others(ExternalAction::Drained)),
    ("DeletionByTaintManager", Cause::Others(ExternalAction::Tainted)),
    ("TaintManagerEviction", Cause::Others(ExternalAction::Tainted)),
    ("DeletionByPodGC", Cause::Others(ExternalAction::Tainted)),
    ("NodeLost", Cause::Others(ExternalAction::Tainted)),
    ("removed by someone else", Cause::Others(ExternalAction::Deleted)),
    ("NodeShutdown", Cause::Others(ExternalAction::Drained)),
    (
        "Terminated: Pod was terminated in response to imminent node shutdown",
        Cause::Others(ExternalAction::Drained),
    ),
    // The kubelet's eviction manager (pkg/kubelet/eviction): the resource, or the condition of the node.
    ("low on resource: memory", Cause::Resource(Resource::Memory)),
    ("low on resource: ephemeral-storage", Cause::Resource(Resource::Disk)),
    ("low on resource: inodes", Cause::Resource(Resource::Inodes)),
    ("low on resource: pids", Cause::Resource(Resource::Processes)),
    ("low on resource: [MemoryPressure", Cause::Resource(Resource::Memory)),
    ("low on resource: [DiskPressure", Cause::Resource(Resource::Disk)),
    ("MemoryPressure", Cause::Resource(Resource::Memory)),
    ("DiskPressure", Cause::Resource(Resource::Disk)),
    ("PIDPressure", Cause::Resource(Resource::Processes)),
    ("node.kubernetes.io/memory-pressure", Cause::Resource(Resource::Memory)),
    ("node.kubernetes.io/disk-pressure", Cause::Resource(Resource::Disk)),
    ("node.kubernetes.io/pid-pressure", Cause::Resource(Resource::Processes)),
    ("local ephemeral storage", Cause::Resource(Resource::Disk)),
    ("ephemeral local storage", Cause::Resource(Resource::Disk)),
    ("Usage of EmptyDir volume", Cause::Resource(Resource::Disk)),
    // The kubelet's admission.
    ("OutOfmemory", Cause::Resource(Resource::Memory)),
    ("OutOfcpu", Cause::Resource(Resource::Cpu)),
    ("OutOfpods", Cause::Resource(Resource::Pods)),
    ("OutOfephemeral-storage", Cause::Resource(Resource::Disk)),
    ("OutOf", Cause::Resource(Resource::Extended)),
    // The scheduler.
    ("Insufficient memory", Cause::Resource(Resource::Memory)),
    ("Insufficient cpu", Cause::Resource(Resource::Cpu)),
    ("Too many pods", Cause::Resource(Resource::Pods)),
    ("Insufficient pods", Cause::Resource(Resource::Pods)),
    ("Insufficient ephemeral-storage", Cause::Resource(Resource::Disk)),
    ("exceed max volume count", Cause::Resource(Resource::Volumes)),
    ("have free ports", Cause::Resource(Resource::Ports)),
    ("Insufficient ", Cause::Resource(Resource::Extended)),
    // Kernels, containerd and Podman.
    ("OOMKilled", Cause::Resource(Resource::Memory)),
    ("out of memory", Cause::Resource(Resource::Memory)),
    ("cannot allocate memory", Cause::Resource(Resource::Memory)),
    // Limits of the node in messages of runtimes and CNI plugins are in `exhaustion`.
    ("cpuset.cpus: no space left on device", Cause::Unknown),
    ("cpuset.mems: no space left on device", Cause::Unknown),
    ("no space left on device", Cause::Resource(Resource::Disk)),
    // Causes that no amount of a resource removes.
    ("ErrImage", Cause::Blocked),
    ("ImagePullBackOff", Cause::Blocked),
    ("ImageInspectError", Cause::Blocked),
    ("InvalidImageName", Cause::Blocked),
    ("RegistryUnavailable", Cause::Blocked),
    ("CreateContainer", Cause::Blocked),
    ("RunContainerError", Cause::Blocked),
    ("StartError", Cause::Blocked),
    ("ContainerCannotRun", Cause::Blocked),
    ("CrashLoopBackOff", Cause::Blocked),
    ("SchedulingGated", Cause::Blocked),
    ("Unschedulable", Cause::Blocked),
    ("NodeAffinity", Cause::Blocked),
    ("could not be started", Cause::Blocked),
    // A container that Podman or Docker refuses, and pods that a ReplicaSet may not create.
    ("FailedCreate", Cause::Blocked),
    ("FailedStart", Cause::Blocked),
    // 128 + SIGKILL.
    ("exit 137", Cause::Killed),
    ("exit status 137", Cause::Killed),
    ("SIGKILL", Cause::Killed),
];

/// Why a row tells of an instance as lost or without a place; none where it tells of neither. `killed_for_memory` tells whether the kernel
/// of its node has killed something for memory about then: it is asked where nobody tells who killed the instance.
#[must_use]
pub fn cause(row: &PodRow, killed_for_memory: impl FnOnce() -> bool) -> Option<Cause> {
    let said = named_in(&row.reason);
    match row.to.parse::<State>().ok()? {
        State::OomKilled => Some(Cause::Resource(Resource::Memory)),
        State::Evicted => Some(said.filter(|cause| *cause != Cause::Killed).unwrap_or(Cause::Unknown)),
        State::Unschedulable => Some(said.unwrap_or(Cause::Unknown)),
        State::Failed => Some(match said {
            Some(Cause::Killed) if killed_for_memory() => Cause::Resource(Resource::Memory),
            said => said.unwrap_or(Cause::Unknown),
        }),
        State::Creating if !row.reason.is_empty() => said,
        State::Terminating | State::Gone => said.filter(|cause| matches!(cause, Cause::Others(_))),
        _ => None,
    }
}

/// What the words of a reason tell.
#[must_use]
pub fn named_in(reason: &str) -> Option<Cause> {
    if let Some(resource) = exhaustion::named_in(reason) {
        return Some(Cause::Resource(resource));
    }
    // Where it names more than one, the first of the list: memory is what these runs are about.
    WORDS.iter().find(|(word, _)| reason.contains(word)).map(|(_, cause)| *cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_s_words_name_the_resource() {
        let resource = |reason: &str| match named_in(reason) {
            Some(Cause::Resource(resource)) => resource,
            other => panic!("{reason}: {other:?}"),
        };
        for (reason, expected) in [
            ("Unschedulable: 0/2 nodes are available: 2 Insufficient cpu.", Resource::Cpu),
            ("Unschedulable: 0/1 nodes are available: 1 Too many pods.", Resource::Pods),
            ("Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", Resource::Extended),
            ("Unschedulable: 0/1 nodes are available: 1 node(s) didn't have free ports", Resource::Ports),
            ("Evicted: The node was low on resource: memory. Container x was using 3Mi", Resource::Memory),
            ("Evicted: The node was low on resource: ephemeral-storage. ", Resource::Disk),
            ("Evicted: The node was low on resource: inodes. ", Resource::Inodes),
            ("Evicted: The node had condition: [PIDPressure]. ", Resource::Processes),
            ("Evicted: The node had condition: [DiskPressure]. ", Resource::Disk),
            (
                "Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.",
                Resource::Disk,
            ),
            ("OutOfmemory: Pod was rejected: Node didn't have enough resource: memory", Resource::Memory),
            ("OutOfpods: Node didn't have enough resource: pods", Resource::Pods),
            ("OOMKilled, as the kernel log says (exit status 137)", Resource::Memory),
        ] {
            assert_eq!(resource(reason), expected, "{reason}");
        }
    }

    #[test]
    fn what_others_do_and_what_nothing_mends_is_no_want_of_anything() {
        for (reason, expected) in [
            (
                "PreemptionByScheduler: default-scheduler: preempting",
                Cause::Others(ExternalAction::Preempted),
            ),
            (
                "Preempting: Preempted in order to admit critical pod",
                Cause::Others(ExternalAction::Preempted),
            ),
            ("EvictionByEvictionAPI: Eviction API: evicting", Cause::Others(ExternalAction::Drained)),
            ("ImagePullBackOff: Back-off pulling image \"x\"", Cause::Blocked),
            ("Unschedulable: 0/2 nodes are available: 2 node(s) didn't match node selector.", Cause::Blocked),
            ("FailedCreate: no such image: localhost/workload:0.1.0", Cause::Blocked),
            ("Error, exit 137", Cause::Killed),
            ("Killed, and whether for want of memory is not told (exit status 137)", Cause::Killed),
        ] {
            assert_eq!(named_in(reason), Some(expected), "{reason}");
        }
        assert_eq!(named_in("Error, exit 1"), None);
    }
}
