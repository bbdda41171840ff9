//! Who holds the memory of a pod, where it is known: by the component probe, on a cluster whose kata-parts has processes of known sizes.

use std::process::Command;
use std::time::Duration;

use ramp_format::rows::{ComponentRow, Part};
use ramp_report::dataset::Dataset;

use crate::process::{Namespace, kubectl, run, scenario};

const MIB: f64 = (1 << 20) as f64;
const INSTANCES: u32 = 3;

/// The component probe, for as long as the value lives.
struct ComponentProbe;

impl ComponentProbe {
    const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/setup/components");

    fn set_up() -> Self {
        kubectl(&["apply", "-k", Self::SETUP]);
        let probe = Self;
        let of_probe =
            ["--namespace", "workload-components", "rollout", "status", "daemonset/component-probe"];
        kubectl(&[&of_probe[..], &["--timeout", "120s"]].concat());
        probe
    }
}

impl Drop for ComponentProbe {
    fn drop(&mut self) {
        let _ = Command::new("kubectl").args(["delete", "--wait=false", "-k", Self::SETUP]).output();
    }
}

/// The components of each instance in the samples for which all of them were there and at rest: those of the hold, but for its first
/// and last ones.
fn at_rest(class: &str) -> Vec<ComponentRow> {
    let namespace = Namespace::create("ramp-test-components");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let words = "--memory 50M --from 3 --to 3 --pace ready --settle 2s --hold 30s --namespace";
    let options: Vec<&str> = words.split(' ').chain([namespace.0, "--runtime", class]).collect();
    let (status, said) =
        run(&scenario("runc/memory-capacity.yaml"), &out, &options).wait_for(Duration::from_secs(180));
    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("component probe"), "preflight says that it is there: {said}");
    let dataset = Dataset::read(&out).unwrap();
    let recorded = dataset.recorded().unwrap();
    let up = dataset.steps.iter().find(|step| step.part == Part::Up);
    let holds = up.and_then(|step| step.elapsed_seconds).unwrap();
    let rows = recorded.components.iter().filter(|row| row.instance.is_some());
    rows.filter(|row| row.elapsed_seconds > holds + 8.0 && row.elapsed_seconds < holds + 28.0)
        .cloned()
        .collect()
}

/// The mean of a figure of a component, in MiB; each instance has it in each sample.
fn mean(rows: &[ComponentRow], component: &str, figure: impl Fn(&ComponentRow) -> Option<u64>) -> f64 {
    let of_component: Vec<&ComponentRow> = rows.iter().filter(|row| row.component == component).collect();
    let wholes = rows.iter().filter(|row| row.component == "pod").count();
    assert!(wholes >= INSTANCES as usize, "a sample at least");
    assert_eq!(of_component.len(), wholes, "{component} of each pod");
    let all: Vec<f64> = of_component.iter().map(|row| figure(row).expect(component) as f64 / MIB).collect();
    all.iter().sum::<f64>() / all.len() as f64
}

#[test]
#[ignore = "needs a cluster with RuntimeClasses gvisor and kata-parts, whose pods have processes of known sizes"]
fn the_component_probe_tells_who_holds_the_memory_of_each_pod() {
    let _probe = ComponentProbe::set_up();
    let rows = at_rest("kata-parts");
    assert!(rows.iter().all(|row| row.unreadable == Some(0)), "{rows:?}");
    let pss = |component: &str| mean(&rows, component, |row| row.pss_bytes);
    let (vmm, virtiofsd) = (pss("vmm"), pss("virtiofsd"));
    println!(
        "kata-parts: vmm {vmm:.1} MiB, virtiofsd {virtiofsd:.1}, shim {:.1}, pause {:.1}",
        pss("shim"),
        pss("pause")
    );
    assert!((vmm - 64.0).abs() < 3.0 && (virtiofsd - 48.0).abs() < 3.0, "{vmm} {virtiofsd}");
    let charged = |row: &ComponentRow| Some(row.cgroup_anon_bytes? + row.cgroup_shmem_bytes?);
    let held = |row: &ComponentRow| Some(row.pss_anon_bytes? + row.pss_shmem_bytes?);
    let parts: f64 = ["load", "pause", "vmm", "virtiofsd"].iter().map(|part| mean(&rows, part, held)).sum();
    let whole = mean(&rows, "pod", charged);
    assert!((parts / whole - 1.0).abs() < 0.05, "{parts:.1} MiB of {whole:.1} in the cgroup");

    let rows = at_rest("gvisor");
    assert!(!rows.iter().any(|row| row.component == "load"), "it is in the sandbox");
    let parts: f64 = ["pause", "sentry", "gofer"].iter().map(|part| mean(&rows, part, held)).sum();
    let whole = mean(&rows, "pod", charged);
    println!("gvisor: {parts:.1} MiB of {whole:.1} in the cgroup");
    assert!((parts / whole - 1.0).abs() < 0.05, "{parts:.1} MiB of {whole:.1} in the cgroup");
}
