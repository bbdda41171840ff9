//! Cgroups of pods: the pod and the container that the path of a cgroup names.
//!
//! | driver | path |
//! |---|---|
//! | cgroupfs | `/kubepods/burstable/podUID/CONTAINER` |
//! | systemd | `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-CONTAINER.scope` |
//!
//! With systemd the UID has `_` for `-`.

/// The place of a process among the cgroups of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The cgroup above those of all pods of the node.
    pub(super) node: String,
    /// The cgroup of the pod; relative to an unknown one where it begins with `/..`.
    pub(super) path: String,
    pub(super) pod_uid: String,
    /// IDs of containers and sandboxes of the pod.
    pub(super) containers: Vec<String>,
}

impl Place {
    /// From `/proc/PID/cgroup`: of the memory controller, else of any other one.
    pub(super) fn of_process(text: &str) -> Option<Self> {
        let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let of_memory =
            lines().filter(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
        of_memory.chain(lines()).find_map(|(_, path)| Self::of_path(path))
    }

    /// From a path.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut length = 0;
        let mut node = None;
        for name in path.split('/') {
            let begin = length;
            length += name.len() + 1;
            if node.is_none() && name.contains("kubepods") {
                node = path.get(..begin.saturating_sub(1));
            }
            if let (Some(node), Some(pod_uid)) = (node, pod_uid(name)) {
                let (path, rest) = path.split_at_checked(length - 1)?;
                return Some(Self {
                    node: node.to_owned(),
                    path: path.to_owned(),
                    pod_uid,
                    containers: container_ids(rest),
                });
            }
        }
        None
    }

    /// Whether the path is that from the root of the hierarchy: one that is seen from within a cgroup namespace is not.
    pub(super) fn is_absolute(&self) -> bool {
        !self.path.starts_with("/..")
    }
}

/// The pod of a cgroup of this name.
fn pod_uid(name: &str) -> Option<String> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) if slice.contains("kubepods") => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        Some(_) => return None,
        None => name.strip_prefix("pod")?.to_owned(),
    };
    // Of a static pod the UID is a hash without dashes.
    let is_uid = uid.len() >= 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then_some(uid)
}

/// IDs of containers and sandboxes in a text: 64 hexadecimal digits.
pub(super) fn container_ids(text: &str) -> Vec<String> {
    const DIGITS: usize = 64;
    let words = text.split(|c: char| !c.is_ascii_hexdigit() || c.is_ascii_uppercase());
    let mut ids: Vec<String> = Vec::new();
    for id in words.filter(|word| word.len() == DIGITS) {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "16b4f994-11d7-4b90-b582-8e5b308a6629";

    fn id(digit: &str) -> String {
        digit.repeat(64)
    }

    #[test]
    fn the_pod_and_container_of_every_form_of_path() {
        let in_slice = UID.replace('-', "_");
        for (path, node, containers) in [
            (format!("/kubepods/burstable/pod{UID}/{}", id("a")), "", vec![id("a")]),
            (format!("/wlc-node-0/kubepods/pod{UID}/{}", id("a")), "/wlc-node-0", vec![id("a")]),
            (format!("/kubepods/besteffort/pod{UID}/kata_{}", id("b")), "", vec![id("b")]),
            (format!("/kubepods/pod{UID}"), "", vec![]),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{in_slice}.slice/cri-containerd-{}.scope",
                    id("c")
                ),
                "",
                vec![id("c")],
            ),
            (
                format!(
                    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{in_slice}.slice/crio-{}.scope/container",
                    id("d")
                ),
                "/kubelet.slice",
                vec![id("d")],
            ),
            (
                format!("/../../kubepods-besteffort-pod{in_slice}.slice/cri-containerd-{}.scope", id("e")),
                "/../..",
                vec![id("e")],
            ),
        ] {
            let place = Place::of_path(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(
                (place.pod_uid.as_str(), place.node.as_str(), &place.containers),
                (UID, node, &containers),
                "{path}"
            );
        }
        for other in [
            "/",
            "/kubepods",
            "/system.slice/kubelet.service",
            "/podman/pod1",
            "/kubepods/podium",
            "/machine.slice/a.scope",
        ] {
            assert_eq!(Place::of_path(other), None, "{other}");
        }
    }

    #[test]
    fn the_memory_controller_tells_first_and_another_where_it_does_not() {
        let (first, second) = (UID, "26b4f994-11d7-4b90-b582-8e5b308a6629");
        let text =
            format!("2:cpu,cpuacct:/kubepods/pod{second}\n4:memory:/kubepods/pod{first}/{}\n0::/\n", id("a"));
        let place = Place::of_process(&text).unwrap();
        assert_eq!((place.pod_uid.as_str(), place.path.clone()), (first, format!("/kubepods/pod{first}")));
        let text = format!("4:memory:/kata_overhead/{}\n2:cpu:/kubepods/pod{second}\n", id("a"));
        assert_eq!(Place::of_process(&text).unwrap().pod_uid, second);
        assert_eq!(Place::of_process("0::/init.scope\n"), None);
    }

    #[test]
    fn ids_are_found_in_command_lines_and_paths() {
        let line = format!("qemu\0-name\0sandbox-{},debug-threads=on\0-uuid\0{UID}\0{}\0", id("a"), id("a"));
        assert_eq!(container_ids(&line), [id("a")]);
        assert_eq!(container_ids(&format!("--id={}0", id("a"))), Vec::<String>::new(), "65 digits");
    }
}
