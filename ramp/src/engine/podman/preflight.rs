//! Preflight of the Podman engine: image, runtime, limits, memory, kernel log, and containers of other runs.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{ImageInspect, SystemInfo, SystemInfoCgroupVersionEnum, SystemVersion};

use super::api::Refusal;
use super::container_spec::{LOG_DRIVER, must_not_be_root, not_honoured};
use super::inspect::Listed;
use crate::engine::EngineSpec;
use crate::engine::machine::MachineFacts;
use crate::engine::manifest_support::above_limit;
use crate::engine::readiness::Readiness;
use crate::live_runs::process_of;
use ramp_format::preflight::{Finding, NodeFacts, Preflight};
use ramp_format::text::first_names;
use workload::quantity::Bytes;

/// Answers of the engine.
pub(super) struct EngineAnswers {
    pub(super) version: SystemVersion,
    pub(super) info: SystemInfo,
    pub(super) image: Result<ImageInspect, Refusal>,
    /// Containers of all runs.
    pub(super) containers: Vec<Listed>,
    /// Whether the kernel log can be read.
    pub(super) kernel_log: bool,
    /// The machine of ramp.
    pub(super) machine: MachineFacts,
}

/// The preflight results.
pub(super) fn check(order: &EngineSpec, readiness: &Readiness, answers: &EngineAnswers) -> Preflight {
    let (needs, is_limited) = (order.scenario.needs(), has_memory_limits(&answers.info));
    let mut findings = findings(order, answers);
    findings.extend(above_limit(&needs).filter(|_| is_limited));
    Preflight {
        admitted: Some(order.scenario.container.alone(is_limited)),
        versions: versions(&answers.version, &answers.info),
        nodes: vec![node(answers)],
        findings,
        not_honoured: not_honoured(&order.scenario, order.options.runtime.as_deref(), readiness),
        ..Preflight::default()
    }
}

/// The node's name: the hostname of the engine.
pub(super) fn node_name(info: &SystemInfo) -> String {
    info.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

fn is_podman(version: &SystemVersion) -> bool {
    version.components.iter().flatten().any(|component| component.name.starts_with("Podman"))
}

fn engine(version: &SystemVersion) -> &'static str {
    if is_podman(version) { "podman" } else { "docker" }
}

fn versions(version: &SystemVersion, info: &SystemInfo) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            versions.insert(name.to_owned(), value);
        }
    };
    put(engine(version), version.version.clone());
    put("api", version.api_version.clone());
    put("linux", info.kernel_version.clone());
    put("cgroup", info.cgroup_version.map(|version| format!("v{version}")));
    put("cgroup manager", info.cgroup_driver.map(|driver| driver.to_string()));
    put("default runtime", info.default_runtime.clone());
    for component in version.components.iter().flatten().skip(1) {
        put(&component.name, component.version.lines().next().map(str::to_owned));
    }
    versions
}

/// Why the engine is not on the machine of ramp; none if it is. A socket may be forwarded from another one, or from a virtual machine.
pub(super) fn elsewhere(info: &SystemInfo, machine: &MachineFacts) -> Option<String> {
    let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let bytes = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let (total, own) = (number(info.mem_total), machine.total.map(|total| total.0));
    let kernel = info.kernel_version.as_deref().unwrap_or("?");
    let start = &machine.start;
    let facts = [
        ("hostname", node_name(info), start.hostname.clone()),
        ("kernel", kernel.to_owned(), start.kernel.clone()),
        ("memory", bytes(total), bytes(own)),
    ];
    let (what, theirs, own) = facts.into_iter().find(|(_, theirs, own)| theirs != own)?;
    Some(format!("its {what} is {theirs}, and {own} here"))
}

fn node(answers: &EngineAnswers) -> NodeFacts {
    let EngineAnswers { version, info, machine, .. } = answers;
    let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let total = number(info.mem_total).filter(|bytes| *bytes > 0);
    // The API tells of no memory that is available.
    let available = machine.total_available.filter(|_| elsewhere(info, machine).is_none());
    NodeFacts {
        name: node_name(info),
        eligible: true,
        kernel: info.kernel_version.clone(),
        container_runtime: version.version.as_ref().map(|number| format!("{}://{number}", engine(version))),
        memory_bytes: total,
        allocatable_memory_bytes: total,
        allocatable_cpu_cores: info.ncpu.filter(|count| *count > 0).map(|count| count as f64),
        requested_memory_bytes: total.zip(available).map(|(total, free)| total.saturating_sub(free.0)),
        // Nothing is reserved for other containers.
        requested_cpu_cores: Some(0.0),
        pods: number(info.containers_running),
        ..NodeFacts::default()
    }
}

fn findings(order: &EngineSpec, answers: &EngineAnswers) -> Vec<Finding> {
    let EngineAnswers { version, info, image, containers, kernel_log, machine } = answers;
    let mut findings = Vec::new();
    findings.extend(about_image(order, image));
    findings
        .extend(order.options.runtime.as_deref().and_then(|runtime| about_runtime(runtime, version, info)));
    findings.extend(about_leftovers(&order.run, containers, process_of));
    findings.extend(about_limits(order, info));
    findings.extend(about_memory(order, info));
    findings.extend(about_log_drivers(info));
    if let Some(why) = elsewhere(info, machine) {
        findings.push(Finding::warning(format!(
            "the engine behind the socket runs on another machine ({why}): its memory is not sampled, and neither available \
             memory nor saturation is known; run ramp on that machine"
        )));
    } else if is_podman(version) && !kernel_log {
        findings.push(Finding::warning(
            "the kernel log (/dev/kmsg) cannot be read, and Podman before 4.4 does not tell OOM kills: they are \
             recorded as \"Killed, and whether for want of memory is not told\"; run ramp as root, or set \
             kernel.dmesg_restrict=0",
        ));
    }
    findings
}

fn about_image(order: &EngineSpec, image: &Result<ImageInspect, Refusal>) -> Option<Finding> {
    let name = &order.scenario.container.image;
    match image {
        Ok(image) => {
            let user = image.config.as_ref().and_then(|config| config.user.clone()).unwrap_or_default();
            let is_root = matches!(user.split(':').next(), None | Some("" | "0" | "root"));
            (is_root && must_not_be_root(&order.scenario)).then(|| {
                Finding::warning(format!(
                    "runAsNonRoot: the image {name} runs as root, which a kubelet refuses and this engine does not"
                ))
            })
        }
        Err(refusal) if refusal.is_not_there() => Some(Finding::refusal(format!(
            "image {name} not found; build it (`podman build --tag {name} .`) or pull it (`podman pull {name}`), \
             as the user that owns the socket"
        ))),
        Err(refusal) => Some(Finding::warning(format!("image {name} cannot be inspected: {refusal}"))),
    }
}

/// Podman's API cannot set the runtime of one container, and ignores the field of Docker
/// (<https://github.com/containers/podman/issues/28429>): a service has one runtime.
fn about_runtime(runtime: &str, version: &SystemVersion, info: &SystemInfo) -> Option<Finding> {
    let same = |other: &str| other == runtime || other.rsplit('/').next() == runtime.rsplit('/').next();
    let default = info.default_runtime.as_deref().unwrap_or_default();
    if same(default) {
        return None;
    }
    if is_podman(version) {
        return Some(Finding::refusal(format!(
            "--runtime {runtime}: this Podman service runs every container under {default}, as its API cannot set the \
             runtime of a container; start a service of its own with `podman --runtime {runtime} system service \
             --time 0 unix:///PATH/{runtime}.sock` and name it with --socket"
        )));
    }
    let known: Vec<_> = info.runtimes.iter().flatten().map(|(name, _)| name.as_str()).collect();
    if known.is_empty() {
        return Some(Finding::warning(format!("--runtime {runtime}: the engine does not list its runtimes")));
    }
    (!known.contains(&runtime)).then(|| {
        let mut known = known;
        known.sort_unstable();
        Finding::refusal(format!("--runtime {runtime}: unknown runtime; the engine has {}", known.join(", ")))
    })
}

/// Reports are read from logs of the driver `json-file`, which Podman takes for `k8s-file`.
fn about_log_drivers(info: &SystemInfo) -> Option<Finding> {
    let known = info.plugins.as_ref()?.log.clone().filter(|known| !known.is_empty())?;
    let has = |driver: &str| known.iter().any(|known| known == driver);
    (!has(LOG_DRIVER) && !has("k8s-file")).then(|| {
        Finding::refusal(format!(
            "the engine has none of the log drivers {LOG_DRIVER} and k8s-file, only {}: reports are read from the logs of \
             containers; use another engine",
            known.join(", ")
        ))
    })
}

/// Containers of other runs; `process_of` knows those that are live.
fn about_leftovers(
    run: &str,
    containers: &[Listed],
    process_of: impl Fn(&str) -> Option<u32>,
) -> Vec<Finding> {
    /// At most this many are named.
    const NAMED: usize = 10;
    let others: BTreeSet<&str> = containers.iter().map(|listed| &*listed.run).collect();
    let live = others.into_iter().filter(|other| *other != run);
    let live: BTreeMap<&str, u32> = live.filter_map(|other| Some((other, process_of(other)?))).collect();
    let is_left = |listed: &&Listed| listed.run != run && !live.contains_key(&*listed.run);
    let left: Vec<_> = containers.iter().filter(is_left).map(|listed| &*listed.name).collect();
    let under_way = live.iter().map(|(other, process)| {
        Finding::refusal(format!(
            "run {other} is under way (process {process} on this machine): both would share its memory; wait until it has ended"
        ))
    });
    let left = (!left.is_empty()).then(|| {
        Finding::refusal(format!(
            "containers of other runs exist: {}; remove them with `ramp clean --engine podman`",
            first_names(&left, NAMED)
        ))
    });
    under_way.chain(left).collect()
}

fn about_limits(order: &EngineSpec, info: &SystemInfo) -> Option<Finding> {
    let container = &order.scenario.container;
    let none_at_all = has_no_limits(info);
    let memory = container.memory_limit.is_some() && !has_memory_limits(info);
    let cpu = container.cpu_limit.is_some() && (none_at_all || info.cpu_cfs_quota == Some(false));
    let which = [("memory", memory), ("CPU", cpu)].into_iter().filter(|(_, is_missing)| *is_missing);
    let which = which.map(|(name, _)| name).collect::<Vec<_>>().join(" and ");
    (!which.is_empty()).then(|| {
        Finding::warning(format!(
            "limits on {which} in the manifest cannot be set, as the engine's cgroups are not delegated; run the engine as \
             root, or on cgroup v2 with `Delegate=yes` for the user's slice"
        ))
    })
}

/// Rootless Podman silently ignores limits on cgroup v1.
fn has_no_limits(info: &SystemInfo) -> bool {
    let rootless = info.security_options.iter().flatten().any(|option| option.contains("rootless"));
    rootless && info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_1)
}

fn has_memory_limits(info: &SystemInfo) -> bool {
    !has_no_limits(info) && info.memory_limit != Some(false)
}

fn about_memory(order: &EngineSpec, info: &SystemInfo) -> Option<Finding> {
    let total = info.mem_total.and_then(|total| u64::try_from(total).ok()).filter(|total| *total > 0)?;
    let needs = order.scenario.needs();
    let one = needs.memory_on(Some(Bytes(total))).unwrap_or_default();
    let one = one.max(order.scenario.container.memory_request.unwrap_or_default());
    (one.0 > total).then(|| {
        Finding::refusal(format!(
            "one instance needs {} bytes of memory, more than the machine has ({total}); set less with --memory",
            one.0
        ))
    })
}

#[cfg(test)]
mod tests;
