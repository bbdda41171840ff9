//! What a kubelet tells of an instance that its node cannot create.

use std::time::Duration;

/// Where runc could not start a container for lack of PIDs, as seen on a node whose kubepods cgroup was at its `pids.max`.
pub(super) const NOT_STARTED: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: \
     failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: can't get final \
     child's PID from pipe: EOF: unknown";
/// How long it waits before it tries again.
pub(super) const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(12);
