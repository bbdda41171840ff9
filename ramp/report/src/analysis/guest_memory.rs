//! Memory of guests, as the loads in them see it: what of the memory of a pod its guest does not have, and what is in use in the guest
//! beyond the load.
//!
//! A load sees the MemTotal of the kernel that it runs on. Where that is not its node's, the runtime has a kernel of its own. Whether
//! this is a guest or a sandbox, MemTotal does not tell: the memory of a guest is set aside for it, and a sandbox (gVisor) shows a number.
//! The component probe tells (`vmm`, `sentry`), else the handler of the RuntimeClass or the name of the runtime, where it is known.

use std::collections::HashSet;

use super::requests::memory_limit;
use super::{Estimate, Unavailable, unavailable};
use crate::dataset::{Dataset, Recorded, SeenMemory};
use crate::stats::MeanEstimate;

/// Parts of the names of handlers and runtimes by which instances are virtual machines.
const GUEST_RUNTIMES: [&str; 4] = ["kata", "qemu", "firecracker", "cloud-hypervisor"];
/// The same of sandboxes.
const SANDBOX_RUNTIMES: [&str; 2] = ["runsc", "gvisor"];

/// The machine that loads see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenMachine {
    /// Their node.
    Node,
    /// A virtual machine.
    Guest,
    /// A sandbox with a kernel in a process of the node.
    Sandbox,
    /// None of their node, and nothing tells which.
    Unknown,
}

/// Memory as the loads of a run, or of one runtime of a mixed run, see it.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestMemory {
    /// Whose memory it is.
    pub machine: SeenMachine,
    /// MemTotal, mean over instances, in bytes.
    pub total_bytes: f64,
    /// Memory limit of the load and podFixed in place, less MemTotal, in bytes: what the kernel of the guest and the size of the VM take
    /// of what is reserved for the pod before the guest has a page. Less than 0 where the VM is larger than what is reserved.
    pub limit_less_total: Estimate<MeanEstimate>,
    /// In use in the guest beyond the load and its page tables, in bytes: the agent, the kernel's slab, reserves of MemAvailable.
    pub beyond_load: Estimate<MeanEstimate>,
}

impl SeenMachine {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Guest => "guest",
            Self::Sandbox => "sandbox",
            Self::Unknown => "unknown",
        }
    }

    fn of(recorded: &Recorded, group: Option<usize>, seen: &[SeenMemory]) -> Estimate<Self> {
        if seen.iter().any(|one| one.is_of_node.is_none()) {
            return unavailable("the memory of the nodes is not recorded");
        }
        let of_node = seen.iter().filter(|one| one.is_of_node == Some(true)).count();
        if of_node == seen.len() {
            return Ok(Self::Node);
        }
        if of_node > 0 {
            return unavailable("some loads see the memory of their node, and others do not");
        }
        let uids: HashSet<&str> = seen.iter().map(|one| one.uid.as_str()).collect();
        let has = |component: &str| {
            let is_one = |uid: &String| uids.contains(uid.as_str());
            recorded
                .components
                .iter()
                .any(|row| row.component == component && row.pod_uid.as_ref().is_some_and(is_one))
        };
        match (has("vmm"), has("sentry")) {
            (true, false) => return Ok(Self::Guest),
            (false, true) => return Ok(Self::Sandbox),
            _ => {}
        }
        Ok(Self::by_name(&runtime_name(recorded, group)))
    }

    /// By the name of a handler or a runtime.
    fn by_name(name: &str) -> Self {
        let name = name.to_lowercase();
        let is_one_of = |known: &[&str]| known.iter().any(|part| name.contains(part));
        match (is_one_of(&GUEST_RUNTIMES), is_one_of(&SANDBOX_RUNTIMES)) {
            (true, false) => Self::Guest,
            (false, true) => Self::Sandbox,
            _ => Self::Unknown,
        }
    }
}

/// The handler of the RuntimeClass, or where there is none the name of the runtime that was asked for.
fn runtime_name(recorded: &Recorded, group: Option<usize>) -> String {
    let options = &recorded.run.plan.options;
    let named = group.map_or(options.runtime.as_ref(), |group| options.mix.get(group));
    let handler = recorded.runtime_class(group).map(|class| &class.handler);
    handler.or(named).cloned().unwrap_or_default()
}

/// That of each group of a mixed run, else one of all: before the step of saturation (its index), or until scaling down.
#[must_use]
pub fn guest_memory(data: &Dataset, saturated_at: Option<usize>) -> Vec<Estimate<GuestMemory>> {
    let seen = data.seen_memory(saturated_at);
    if data.mix().is_empty() {
        return vec![GuestMemory::of(data, None, &seen)];
    }
    let of_group = |(at, name): (usize, &String)| {
        let own: Vec<SeenMemory> =
            seen.iter().filter(|one| one.group.as_ref() == Some(name)).cloned().collect();
        GuestMemory::of(data, Some(at), &own)
    };
    data.mix().iter().enumerate().map(of_group).collect()
}

impl GuestMemory {
    fn of(data: &Dataset, group: Option<usize>, seen: &[SeenMemory]) -> Estimate<Self> {
        let Some(recorded) = data.recorded().filter(|_| !seen.is_empty()) else {
            return unavailable("no load that holds its memory reports the memory of its machine");
        };
        let machine = SeenMachine::of(recorded, group, seen)?;
        let totals: Vec<f64> = seen.iter().map(|one| one.total).collect();
        let beyond: Vec<f64> = seen.iter().filter_map(|one| one.beyond_load).collect();
        let why_not = match machine {
            SeenMachine::Node => Some("loads see the memory of their node: there is no guest"),
            SeenMachine::Sandbox => Some(
                "a sandbox has no memory set aside: the MemTotal and MemAvailable that it shows are numbers of its own",
            ),
            SeenMachine::Guest | SeenMachine::Unknown => None,
        };
        let known = || why_not.map_or(Ok(()), unavailable);
        Ok(Self {
            machine,
            total_bytes: totals.iter().sum::<f64>() / totals.len() as f64,
            limit_less_total: known().and_then(|()| {
                let reserved = reserved(data, recorded, group)? as f64;
                mean_over(&totals.iter().map(|total| reserved - total).collect::<Vec<_>>())
            }),
            beyond_load: known().and_then(|()| match beyond.is_empty() {
                true => unavailable("loads do not report MemAvailable"),
                false => mean_over(&beyond),
            }),
        })
    }
}

/// The memory limit of a pod and the podFixed in place, in bytes.
fn reserved(data: &Dataset, recorded: &Recorded, group: Option<usize>) -> Estimate<u64> {
    if !data.sidecars().is_empty() {
        return unavailable("pods have sidecars, whose memory limits are not recorded");
    }
    let limit = memory_limit(data)?;
    match recorded.runtime_class(group) {
        None => unavailable("no RuntimeClass is recorded, and thereby no podFixed"),
        Some(class) if class.overhead_memory_bytes == 0 => {
            unavailable(format!("RuntimeClass {} has no podFixed of memory", class.name))
        }
        Some(class) => Ok(limit.saturating_add(class.overhead_memory_bytes)),
    }
}

/// The mean over instances.
fn mean_over(values: &[f64]) -> Estimate<MeanEstimate> {
    MeanEstimate::of(values).ok_or_else(|| {
        Unavailable(format!("needs two instances that hold their memory, there is {}", values.len()))
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::dataset::tests::data;
    use crate::dataset::{NodeMemory, NodeSample, NodeSeries, ReportRow, Reports, Source, Step};
    use ramp_format::plan::Plan;
    use ramp_format::preflight::{AdmittedResources, Preflight, RuntimeClassFacts};
    use ramp_format::rows::PodRow;
    use ramp_format::run_file::RunFile;
    use ramp_format::running_count::PeakCounts;
    use ramp_format::time::Time;

    const MIB: u64 = 1 << 20;
    const NODE: u64 = 16 << 30;

    fn pod(uid: &str) -> PodRow {
        PodRow {
            time: Time(UNIX_EPOCH),
            elapsed_seconds: 1.0,
            source_time: None,
            step: 1,
            instance: uid.into(),
            uid: uid.into(),
            node: Some("node".into()),
            from: None,
            to: "ready".into(),
            reason: String::new(),
            restarts: 0,
            container: None,
            group: None,
        }
    }

    /// An instance that holds 512 MiB and sees so many MiB, of which so many are available.
    fn report(instance: u32, total: u64, available: Option<u64>) -> ReportRow {
        ReportRow {
            instance,
            step: 1,
            elapsed_seconds: 2.0,
            made_seconds: None,
            memory_target_bytes: Some(512 * MIB),
            memory_resident_bytes: Some(514 * MIB),
            memory_swap_bytes: None,
            memory_anon_bytes: Some(512 * MIB),
            machine_memory_bytes: Some(total * MIB),
            machine_available_bytes: available.map(|available| available * MIB),
            cpu_wanted_seconds: None,
            cpu_used_seconds: None,
            cpu_overdrawn_seconds: None,
            work_units: None,
            program_elapsed_seconds: None,
            is_ready: None,
            held_after_seconds: None,
        }
    }

    /// A run of two instances with a limit of 1 GiB under this class, of which each made these reports.
    fn run(class: Option<(&str, u64)>, reports: Vec<ReportRow>) -> Dataset {
        let class = class.map(|(handler, pod_fixed)| RuntimeClassFacts {
            name: "kata".into(),
            handler: handler.into(),
            overhead_memory_bytes: pod_fixed * MIB,
            ..RuntimeClassFacts::default()
        });
        let preflight = Preflight {
            runtime_class: class,
            admitted: Some(AdmittedResources {
                memory_limit_bytes: Some(1024 * MIB),
                ..AdmittedResources::default()
            }),
            ..Preflight::default()
        };
        let file = RunFile::new(
            Plan::default(),
            "test".into(),
            serde_json::Value::Null,
            preflight,
            Time(UNIX_EPOCH),
        );
        let recorded = Recorded {
            run: file,
            pods: vec![pod("a"), pod("b")],
            events: Vec::new(),
            components: Vec::new(),
            limits: Vec::new(),
            reports: Reports { uids: vec!["a".into(), "b".into()], reports },
            happened_seconds: vec![1.0, 1.0],
            untimed: None,
            undated: Vec::new(),
            seen_late: 0,
            population: PeakCounts::default(),
            kernels: Vec::new(),
            settings: std::sync::OnceLock::new(),
        };
        let memory = NodeMemory { total: Some(NODE), ..NodeMemory::default() };
        let samples = vec![NodeSample { memory, ..NodeSample::default() }];
        Dataset {
            source: Source::Run(Box::new(recorded)),
            nodes: vec![NodeSeries { name: "node".into(), samples }],
            ..data(vec![Step { elapsed_seconds: Some(10.0), ..Step::default() }])
        }
    }

    fn found(data: &Dataset) -> Estimate<GuestMemory> {
        guest_memory(data, None).remove(0)
    }

    /// 1 MiB of page tables, and 40 and 42 MiB beyond the load.
    fn in_guests() -> Vec<ReportRow> {
        // Of the earlier half of the reports nothing counts.
        vec![
            report(0, 1150, Some(100)),
            report(0, 1150, Some(1150 - 513 - 40)),
            report(1, 1150, Some(1150 - 513 - 42)),
        ]
    }

    #[test]
    fn of_a_guest_what_it_does_not_have_of_its_pod_and_what_is_used_in_it_are_exact() {
        let guest = found(&run(Some(("kata-qemu", 160)), in_guests())).unwrap();
        assert_eq!((guest.machine, guest.total_bytes), (SeenMachine::Guest, 1150.0 * MIB as f64));
        let mib = |found: Estimate<MeanEstimate>| {
            let MeanEstimate { mean, standard_error, .. } = found.unwrap();
            [mean / MIB as f64, standard_error / MIB as f64]
        };
        assert_eq!(mib(guest.limit_less_total), [34.0, 0.0]);
        let [mean, error] = mib(guest.beyond_load);
        assert!(mean == 41.0 && (error - 1.0).abs() < 1e-9, "{mean} {error}");
        // As with default_memory of Kata.
        let larger = vec![report(0, 3000, None), report(1, 3000, None)];
        let larger = found(&run(Some(("kata-qemu", 160)), larger)).unwrap();
        assert_eq!(mib(larger.limit_less_total)[0], -1816.0);
        assert!(larger.beyond_load.unwrap_err().0.contains("MemAvailable"));
    }

    #[test]
    fn loads_of_a_process_runtime_see_their_node_and_those_of_a_sandbox_a_number() {
        let total = NODE / MIB;
        let of_node = vec![report(0, total, Some(9000)), report(1, total, Some(9000))];
        assert_eq!(found(&run(None, of_node)).unwrap().machine, SeenMachine::Node);
        let sandbox = found(&run(Some(("runsc", 160)), in_guests())).unwrap();
        assert_eq!(sandbox.machine, SeenMachine::Sandbox);
        assert!(sandbox.limit_less_total.is_err() && sandbox.beyond_load.is_err(), "{sandbox:?}");
        assert_eq!(found(&run(Some(("secure", 160)), in_guests())).unwrap().machine, SeenMachine::Unknown);
        let mixed = vec![report(0, total, None), report(1, 1150, None)];
        assert!(found(&run(None, mixed)).unwrap_err().0.contains("some loads"));
    }

    #[test]
    fn without_limit_or_pod_fixed_nothing_is_compared_with_what_is_reserved() {
        let why = |data: &Dataset| found(data).unwrap().limit_less_total.unwrap_err().0;
        assert!(why(&run(None, in_guests())).contains("no RuntimeClass is recorded"));
        assert_eq!(why(&run(Some(("kata", 0)), in_guests())), "RuntimeClass kata has no podFixed of memory");
        let mut unlimited = run(Some(("kata", 160)), in_guests());
        if let Source::Run(recorded) = &mut unlimited.source {
            recorded.run.admitted = Some(AdmittedResources::default());
        }
        assert_eq!(why(&unlimited), "no memory limit is set");
        assert!(found(&unlimited).unwrap().beyond_load.is_ok());
        let none = found(&run(Some(("kata", 160)), Vec::new())).unwrap_err();
        assert!(none.0.contains("reports the memory of its machine"));
    }

    #[test]
    fn a_handler_tells_a_guest_from_a_sandbox_where_its_name_is_known() {
        for (name, machine) in [
            ("kata-qemu", SeenMachine::Guest),
            ("io.containerd.kata.v2", SeenMachine::Guest),
            ("runsc", SeenMachine::Sandbox),
            ("gVisor-kvm", SeenMachine::Sandbox),
            ("secure", SeenMachine::Unknown),
            ("", SeenMachine::Unknown),
        ] {
            assert_eq!(SeenMachine::by_name(name), machine, "{name}");
        }
    }
}
