//! Exhausted limits of a node other than memory and CPU, by the messages of kernels, runc, containerd, kubelets and CNI plugins.

use super::resource::Resource;
use ramp_format::rows::LimitRow;

/// A message that names a resource.
struct Message {
    /// Words that are all in it, in lower case.
    words: &'static [&'static str],
    /// What there was no more of.
    resource: Resource,
    /// Where it was seen.
    source: &'static str,
}

const fn message(words: &'static [&'static str], resource: Resource, source: &'static str) -> Message {
    Message { words, resource, source }
}

/// The first that is found counts: what `no space left on device` and `too many open files` are about is told by the words beside them.
const MESSAGES: &[Message] = &[
    message(
        &["session key", "disk quota exceeded"],
        Resource::Keys,
        "containers/podman#13363, moby/moby#22865",
    ),
    message(&["keyring", "disk quota exceeded"], Resource::Keys, "taskcluster/taskcluster#7221"),
    message(&["inotify_init", "too many open files"], Resource::Inotify, "kubernetes/kubernetes#58081"),
    message(&["fsnotify", "too many open files"], Resource::Inotify, "apecloud/kubeblocks#8460"),
    message(&["inotify", "too many open files"], Resource::Inotify, "kubernetes/kubernetes#64614"),
    message(&["inotify_add_watch", "no space left on device"], Resource::Inotify, "google/cadvisor#1581"),
    message(&["failed to watch file", "no space left on device"], Resource::Inotify, "the log of a kubelet"),
    message(&["mkdir /sys/fs/cgroup", "no space left on device"], Resource::Cgroups, "moby/moby#29638"),
    message(
        &["fork/exec", "resource temporarily unavailable"],
        Resource::Processes,
        "kubernetes/kubernetes#79466",
    ),
    message(&["fork: ", "resource temporarily unavailable"], Resource::Processes, "containers/podman#17647"),
    message(
        &["clone", "resource temporarily unavailable"],
        Resource::Processes,
        "clone(2), by runc and crun",
    ),
    message(
        &["could not be started", "resource temporarily unavailable"],
        Resource::Processes,
        "fork(2), by ramp",
    ),
    message(
        &["pthread_create failed"],
        Resource::Processes,
        "containerd/cri#1014, kubernetes/minikube#19820",
    ),
    message(&["failed to create new os thread"], Resource::Processes, "opencontainers/runc#5332"),
    message(&["cannot create thread", "resource temporarily"], Resource::Processes, "pthread_create(3)"),
    message(&["can't fork"], Resource::Processes, "m-lab/k8s-support#459"),
    message(&["cannot fork"], Resource::Processes, "fork(2), by shells"),
    message(&["fork rejected by pids controller"], Resource::Processes, "kubernetes/minikube#19820"),
    message(&["no ip addresses available"], Resource::Addresses, "kubernetes/test-infra#13039"),
    message(&["failed to allocate for range"], Resource::Addresses, "canonical/microk8s#1147"),
    message(
        &["failed to assign an ip address to container"],
        Resource::Addresses,
        "aws/amazon-vpc-cni-k8s#668",
    ),
    message(&["postipamfailure", "range is full"], Resource::Addresses, "cilium/cilium#10627"),
    message(&["no available ip"], Resource::Addresses, "kubeovn/kube-ovn#218"),
    message(&["exchange full"], Resource::BridgePorts, "weaveworks/weave#3258, moby/moby#14718"),
    message(&["neighbor table overflow"], Resource::Neighbours, "rtr7/router7#31"),
    message(&["neighbour table overflow"], Resource::Neighbours, "neighbour.c of Linux"),
    message(&["neighbor entry", "no buffer space available"], Resource::Neighbours, "moby/swarmkit#1893"),
    message(&["nf_conntrack", "table full"], Resource::Connections, "nf_conntrack_core.c of Linux"),
    message(&["disk quota exceeded"], Resource::Disk, "EDQUOT of a file system"),
    message(&["too many open files"], Resource::Files, "EMFILE, ENFILE"),
];

/// The messages as a table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let row = |known: &Message| {
        let words: Vec<String> = known.words.iter().map(|words| format!("`{}`", words.trim())).collect();
        format!("| {} | {} | {} |\n", words.join(" and "), known.resource, known.source)
    };
    let rows: String = MESSAGES.iter().map(row).collect();
    format!("| words of the message | resource | source |\n|---|---|---|\n{rows}")
}

/// What a message says that there was no more of.
pub(super) fn named_in(message: &str) -> Option<Resource> {
    let message = message.to_lowercase();
    let all = |words: &[&str]| words.iter().all(|word| message.contains(word));
    MESSAGES.iter().find(|known| all(known.words)).map(|known| known.resource)
}

/// Messages of runc whose init process could not make its threads and children: for lack of PIDs or of memory, which they do not tell
/// (moby/moby#40835, opencontainers/runc#2736; seen on a node whose kubepods cgroup had reached its pids.max).
const UNTOLD: &[&str] = &[
    "final child's pid from pipe",
    "getting the final child's pid",
    "read init-p: connection reset by peer",
];

/// Tasks that a container is short of where it cannot be started: runc's own threads come beside those of the container.
const TASKS_OF_A_START: u64 = 16;

/// Whether a message tells that a container could not be started, and a lack of PIDs may be why.
#[must_use]
pub fn may_be_pids(message: &str) -> bool {
    let message = message.to_lowercase();
    UNTOLD.iter().any(|words| message.contains(words))
}

/// Whether so few tasks are left that a container cannot be started.
#[must_use]
pub fn lacks_tasks(resource: &str, limit: Option<u64>, used: Option<u64>) -> bool {
    let is_of_tasks = matches!(resource, "pids" | "threads");
    is_of_tasks && limit.zip(used).is_some_and(|(limit, used)| limit < used.saturating_add(TASKS_OF_A_START))
}

/// A reading of a limit says nothing of what was more than this later or before.
const READ_WITHIN_SECONDS: f64 = 45.0;

/// What a message about an instance on a node says that there was no more of, by the node's limits at that time where it does not tell
/// itself.
pub(super) fn named_on(
    message: &str,
    node: Option<&str>,
    seconds: f64,
    limits: &[LimitRow],
) -> Option<Resource> {
    if let Some(resource) = named_in(message) {
        return Some(resource);
    }
    if !may_be_pids(message) {
        return None;
    }
    let near = limits.iter().filter(|row| {
        Some(row.node.as_str()) == node && (row.elapsed_seconds - seconds).abs() <= READ_WITHIN_SECONDS
    });
    let lacks = |row: &LimitRow| lacks_tasks(&row.resource, row.limit, row.used);
    near.into_iter().any(lacks).then_some(Resource::Processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_as_they_were_seen_name_their_resource() {
        for (message, resource) in [
            (
                "Failed create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"b4\": failed to \
                 allocate for range 0: no IP addresses available in range set: 10.60.28.1-10.60.28.254",
                Resource::Addresses,
            ),
            ("network: add cmd: failed to assign an IP address to container", Resource::Addresses),
            (
                "unable to start container process: error during container init: unable to join session keyring: unable to create \
                 session key: disk quota exceeded",
                Resource::Keys,
            ),
            ("join session keyring: create session key: disk quota exceeded", Resource::Keys),
            (
                "failed to create shim task: OCI runtime create failed: runtime/cgo: pthread_create failed: Resource temporarily \
                 unavailable",
                Resource::Processes,
            ),
            ("runtime: failed to create new OS thread (have 2 already; errno=11)", Resource::Processes),
            ("fork/exec /usr/bin/runc: resource temporarily unavailable", Resource::Processes),
            ("/bin/sh: can't fork: Resource temporarily unavailable", Resource::Processes),
            ("failed to create fsnotify watcher: too many open files", Resource::Inotify),
            ("inotify_init: too many open files", Resource::Inotify),
            (
                "inotify_add_watch /sys/fs/cgroup/cpuset/kubepods/burstable/podd4: no space left on device",
                Resource::Inotify,
            ),
            (
                "mkdir /sys/fs/cgroup/memory/kubepods/besteffort/podc6: no space left on device",
                Resource::Cgroups,
            ),
            ("accept4: too many open files", Resource::Files),
            ("write /var/lib/containerd/x: disk quota exceeded", Resource::Disk),
            ("unable to set master of vethwepl3c8c481: exchange full", Resource::BridgePorts),
            ("could not add neighbor entry: no buffer space available", Resource::Neighbours),
        ] {
            assert_eq!(named_in(message), Some(resource), "{message}");
        }
        for known in MESSAGES {
            assert!(known.words.iter().all(|word| *word == word.to_lowercase()), "{:?}", known.words);
            assert!(!known.source.is_empty());
        }
    }

    #[test]
    fn what_may_have_another_cause_names_nothing() {
        for message in [
            // A socket of QEMU.
            "start vm: Resource temporarily unavailable (os error 11): hypervisor::qemu::qmp::Qmp::new",
            "write /sys/fs/cgroup/cpuset/kubepods/cpuset.cpus: no space left on device",
            "context deadline exceeded",
            PIPE,
        ] {
            assert_eq!(named_in(message), None, "{message}");
        }
    }

    const PIPE: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: \
                        can't get final child's PID from pipe: EOF: unknown";

    #[test]
    fn what_runc_does_not_tell_the_limits_of_the_node_do() {
        use ramp_format::time::Time;
        let row = |node: &str, seconds: f64, used: u64| LimitRow {
            time: Time(std::time::UNIX_EPOCH),
            elapsed_seconds: seconds,
            step: 1,
            node: node.into(),
            sample_time: None,
            boot_id: None,
            resource: "pids".into(),
            scope: "pods".into(),
            limit: Some(100),
            used: Some(used),
            source: String::new(),
        };
        let on = |limits: &[LimitRow]| named_on(PIPE, Some("a"), 100.0, limits);
        assert_eq!(on(&[row("a", 98.0, 95)]), Some(Resource::Processes));
        assert_eq!(on(&[row("a", 98.0, 50)]), None, "there was room");
        assert_eq!(on(&[row("b", 98.0, 95)]), None, "of another node");
        assert_eq!(on(&[row("a", 10.0, 95)]), None, "long before");
        assert_eq!(on(&[]), None);
        assert_eq!(named_on("context deadline exceeded", Some("a"), 100.0, &[row("a", 98.0, 95)]), None);
    }
}
