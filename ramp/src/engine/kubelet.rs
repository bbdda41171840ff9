//! Defaults of the kubelet, for engines without one: grace period, CPU request and CPU shares.

use std::time::Duration;

use workload::quantity::Cores;

use ramp_format::scenario::{Container, Scenario};

/// Grace period where the manifest has none.
const GRACE: Duration = Duration::from_secs(5);

/// Grace period: the time between SIGTERM and SIGKILL.
pub(crate) fn grace(scenario: &Scenario) -> Duration {
    let pod = &scenario.manifest["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"].as_u64().map_or(GRACE, Duration::from_secs)
}

/// CPU request; without one Kubernetes takes the limit.
pub(crate) fn cpu_request(container: &Container) -> Option<Cores> {
    container.cpu_request.or(container.cpu_limit)
}

/// As `MilliCPUToShares` in pkg/kubelet/cm/helpers_linux.go: 1024 a core.
pub(crate) fn cpu_shares(request: Cores) -> u64 {
    let shares = u128::from(request.as_nano()) * 1024 / 1_000_000_000;
    u64::try_from(shares).unwrap_or(u64::MAX).clamp(2, 262_144)
}
