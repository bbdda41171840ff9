//! Resources that may run out.

use ramp_format::named_enum;

named_enum! {
    /// What there may be no more of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Resource {
        /// Memory.
        Memory = "memory",
        /// CPU that can be requested.
        Cpu = "CPU requests",
        /// Pods that a node takes.
        Pods = "pods per node",
        /// Room on disks: files of pods, images, logs.
        Disk = "disk space",
        /// Files that a file system takes.
        Inodes = "inodes",
        /// Processes.
        Processes = "processes (PIDs)",
        /// Open files.
        Files = "open files",
        /// inotify instances or watches.
        Inotify = "inotify instances or watches",
        /// Keys that a user may have.
        Keys = "kernel keys",
        /// Cgroups.
        Cgroups = "cgroups",
        /// Addresses of pods.
        Addresses = "pod addresses",
        /// Ports of the bridge that pods are connected to.
        BridgePorts = "ports of the network bridge",
        /// Entries of the neighbour table.
        Neighbours = "neighbour table",
        /// Entries of connection tracking.
        Connections = "tracked connections",
        /// Ports of nodes.
        Ports = "ports of nodes",
        /// Volumes that a node takes.
        Volumes = "volumes per node",
        /// A resource of a device plugin, or huge pages.
        Extended = "an extended resource",
        /// Nodes that are ready.
        Nodes = "nodes",
        /// Answers of the API, in time.
        Api = "the API",
        /// Time: a step did not settle within its limit.
        Time = "time for a step",
        /// It is not said of what.
        Unknown = "unknown",
    }
}

impl Resource {
    /// Whether it is one of a node, other than memory and CPU, without which no container can be created there.
    #[must_use]
    pub fn is_limit_of_node(self) -> bool {
        matches!(
            self,
            Self::Disk
                | Self::Inodes
                | Self::Processes
                | Self::Files
                | Self::Inotify
                | Self::Keys
                | Self::Cgroups
                | Self::Addresses
                | Self::BridgePorts
                | Self::Neighbours
                | Self::Connections
        )
    }
}
