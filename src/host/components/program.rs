//! Programs: what a process is for, by the name of its executable.

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// This program as a load.
    Load,
    /// Holder of a sandbox's namespaces.
    Pause,
    /// Supervisor of a pod or container: containerd-shim, conmon.
    Shim,
    /// Virtual machine monitor; where it is part of the shim (Dragonball), it is counted there.
    Vmm,
    /// Server of a guest's file systems.
    Virtiofsd,
    /// Kernel of a gVisor sandbox, with the processes in which the sandboxed programs run.
    Sentry,
    /// File server of a gVisor sandbox.
    Gofer,
    /// Anything else in a pod.
    Other,
    /// The kubelet.
    Kubelet,
    /// containerd, CRI-O or Docker.
    ContainerRuntime,
    /// The node probe and the component probe.
    Probe,
}

impl Program {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Pause => "pause",
            Self::Shim => "shim",
            Self::Vmm => "vmm",
            Self::Virtiofsd => "virtiofsd",
            Self::Sentry => "sentry",
            Self::Gofer => "gofer",
            Self::Other => "other",
            Self::Kubelet => "kubelet",
            Self::ContainerRuntime => "container_runtime",
            Self::Probe => "probe",
        }
    }

    /// Whether it is counted once a node, where it runs outside of pods.
    pub(super) fn is_of_the_node(self) -> bool {
        matches!(self, Self::Kubelet | Self::ContainerRuntime | Self::Probe)
    }

    /// Whether it works for a pod, also outside of the pod's cgroup.
    pub(super) fn serves_a_pod(self) -> bool {
        matches!(self, Self::Shim | Self::Vmm | Self::Virtiofsd | Self::Sentry | Self::Gofer)
    }
}

/// The program of a process, and the name that tells: by its command line (arguments that end with NUL), else by the name that the kernel
/// keeps of it, which is cut after 15 characters.
pub(super) fn named(command_line: &str, kernel_name: &str) -> (Program, String) {
    let mut arguments = command_line.split('\0');
    let first = arguments.next().unwrap_or_default();
    // A process may write its command line anew, padded with spaces.
    let executable = first.split(' ').next().unwrap_or_default();
    let executable = executable.rsplit('/').next().unwrap_or_default();
    let arguments: Vec<&str> = arguments.collect();
    match program(executable, &arguments).or_else(|| program(kernel_name, &arguments)) {
        Some((program, name)) => (program, name.to_owned()),
        None if executable.is_empty() => (Program::Other, one_word(kernel_name)),
        None => (Program::Other, one_word(executable)),
    }
}

/// Names are separated by spaces.
fn one_word(name: &str) -> String {
    name.replace(|c: char| c.is_whitespace() || c.is_control(), "_")
}

fn program<'a>(name: &'a str, arguments: &[&'a str]) -> Option<(Program, &'a str)> {
    let subcommand = arguments.first().copied().unwrap_or_default();
    let program = match name {
        "workload" if matches!(subcommand, "node" | "components") => Program::Probe,
        "workload" => Program::Load,
        "pause" => Program::Pause,
        "conmon" | "conmonrs" => Program::Shim,
        "cloud-hypervisor" | "cloud-hyperviso" | "firecracker" | "crosvm" | "stratovirt" | "qemu-kvm" => {
            Program::Vmm
        }
        "virtiofsd" | "nydusd" => Program::Virtiofsd,
        "runsc-sandbox" => Program::Sentry,
        "runsc-gofer" => Program::Gofer,
        "runsc" if arguments.contains(&"boot") => Program::Sentry,
        "runsc" if arguments.contains(&"gofer") => Program::Gofer,
        "kubelet" => Program::Kubelet,
        "containerd" | "crio" | "dockerd" | "cri-dockerd" => Program::ContainerRuntime,
        _ if name.starts_with("containerd-shim") => Program::Shim,
        _ if name.starts_with("qemu-system-") => Program::Vmm,
        // One executable for all of Kubernetes, such as hyperkube.
        _ if subcommand == "kubelet" => return Some((Program::Kubelet, subcommand)),
        _ => return None,
    };
    Some((program, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command_line: &str, kernel_name: &str) -> (&'static str, String) {
        let (program, name) = named(&command_line.replace(' ', "\0"), kernel_name);
        (program.name(), name)
    }

    #[test]
    fn a_program_is_told_by_its_command_line_else_by_the_name_that_the_kernel_keeps() {
        for (line, kernel_name, program, name) in [
            ("/workload --memory 50M", "workload", "load", "workload"),
            ("/workload node --format json", "workload", "probe", "workload"),
            ("/workload components", "workload", "probe", "workload"),
            ("/pause", "pause", "pause", "pause"),
            (
                "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io",
                "containerd-shim",
                "shim",
                "containerd-shim-runc-v2",
            ),
            ("/usr/bin/conmon -c a", "conmon", "shim", "conmon"),
            ("/usr/bin/qemu-system-x86_64 -name sandbox-a", "qemu-system-x86", "vmm", "qemu-system-x86_64"),
            ("/opt/kata/bin/cloud-hypervisor --api-socket a", "cloud-hyperviso", "vmm", "cloud-hypervisor"),
            ("/usr/libexec/virtiofsd --fd 3", "virtiofsd", "virtiofsd", "virtiofsd"),
            ("runsc-sandbox --root=/run boot", "exe", "sentry", "runsc-sandbox"),
            ("/usr/bin/runsc --root /run gofer", "runsc", "gofer", "runsc"),
            ("", "exe", "other", "exe"),
            ("/bin/kubeall kubelet --config a", "kubeall", "kubelet", "kubelet"),
            ("/usr/bin/kubelet --config a", "kubelet", "kubelet", "kubelet"),
            ("containerd --config a", "containerd", "container_runtime", "containerd"),
            ("nginx: worker", "nginx", "other", "nginx:"),
            ("", "", "other", ""),
        ] {
            assert_eq!(of(line, kernel_name), (program, name.to_owned()), "{line} ({kernel_name})");
        }
        // The stand-in pads its command line.
        let (program, name) = named("qemu-system-x86          14986\0--name", "qemu-system-x86");
        assert_eq!((program, name.as_str()), (Program::Vmm, "qemu-system-x86"));
    }
}
