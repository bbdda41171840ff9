//! Memory by component and its peak where they are known: stand-ins of Kata with a monitor and a file server, and with a peak; and gVisor,
//! of which the kernel's cgroups tell. Measured in the study of [`super::overhead`].

use std::path::{Path, PathBuf};

use ramp_report::analysis::components::{Components, POD_COMPONENTS};
use ramp_report::analysis::results::RunResults;
use ramp_report::dataset::Dataset;
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;

use crate::process::kubectl;

const MIB: f64 = (1 << 20) as f64;

/// The runs under a runtime.
pub(super) struct Runs(Vec<(Dataset, RunResults)>);

impl Runs {
    /// Those of a study under a runtime.
    pub(super) fn of(study: &StudyData, runtime: &str) -> Self {
        let runs = study.runs.iter().filter(|run| study.cells[run.cell].runtimes == [runtime]);
        Self(runs.map(|run| ((*run.data).clone(), (*run.results).clone())).collect())
    }

    pub(super) fn read(directories: &[PathBuf]) -> Self {
        let read = |at: &PathBuf| {
            let data = Dataset::read(at).unwrap();
            let results = RunResults::alone(&data, &Observer::default());
            (data, results)
        };
        Self(directories.iter().map(read).collect())
    }

    fn mean(&self, of: impl Fn(&RunResults) -> f64) -> f64 {
        assert!(!self.0.is_empty(), "there is a run");
        self.0.iter().map(|(_, run)| of(run)).sum::<f64>() / self.0.len() as f64 / MIB
    }

    fn component(&self, name: &str) -> f64 {
        self.mean(|run| components(run).cost(name).unwrap())
    }

    /// What components hold beyond the load, without the rest.
    fn overhead(&self) -> f64 {
        self.mean(|run| components(run).sum()) - self.component("load")
    }

    fn peak(&self) -> f64 {
        self.mean(|run| run.components.whole.peak.as_ref().unwrap().bytes)
    }
}

fn components(run: &RunResults) -> &Components {
    run.components.whole.components.as_ref().unwrap()
}

fn assert_near(what: &str, found: f64, truth: f64, within: f64) {
    println!("{what}: {found:.2} MiB, where {truth:.2} ± {within:.2} is true");
    assert!(
        (found - truth).abs() <= within,
        "{what}: {found:.2} MiB, where {truth:.2} ± {within:.2} is true"
    );
}

/// `kata-parts`: 64 and 48 MiB, which add up to what each pod costs more, in bytes.
pub(super) fn check_parts(base: &Runs, parts: &Runs, difference: f64) {
    assert_near("vmm", parts.component("vmm"), 64.0, 3.0);
    assert_near("virtiofsd", parts.component("virtiofsd"), 48.0, 3.0);
    assert_near("sum of the components", parts.overhead() - base.overhead(), difference / MIB, 3.0);
}

/// `kata-peak`: 96 MiB, and 128 MiB more at first.
pub(super) fn check_peak(base: &Runs, peak: &Runs) {
    assert_near("at rest", peak.overhead() - base.overhead(), 96.0, 4.0);
    assert_near("peak", peak.peak() - base.peak(), 224.0, 4.0);
}

/// gVisor: what its processes hold is what is charged to the cgroups of its pods.
pub(super) fn check_gvisor(gvisor: &Runs) {
    for (data, run) in &gvisor.0 {
        let found = components(run);
        assert!(found.cost("sentry").unwrap() > 0.0 && found.cost("gofer").unwrap() > 0.0, "{found:?}");
        for one in data.instance_components(None) {
            let Some(cgroup) = one.cgroup else { continue };
            let in_cgroup = POD_COMPONENTS.iter().filter(|name| **name != "shim");
            let held: f64 = in_cgroup.filter_map(|name| Some(one.parts.get(*name)?.held)).sum();
            let charged = cgroup.usage - cgroup.file - cgroup.kernel;
            let apart = held / charged - 1.0;
            println!("processes hold {:.1} MiB, charged are {:.1} MiB", held / MIB, charged / MIB);
            assert!(apart.abs() <= 0.05, "{:.1} %: {one:?}", 100.0 * apart);
        }
    }
}

/// The component probe, as long as this lives.
pub(super) struct ComponentProbe(PathBuf);

impl ComponentProbe {
    pub(super) fn apply() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/setup/components");
        kubectl(&["apply", "-k", directory.to_str().unwrap()]);
        Self(directory)
    }
}

impl Drop for ComponentProbe {
    fn drop(&mut self) {
        kubectl(&["delete", "-k", self.0.to_str().unwrap(), "--ignore-not-found"]);
    }
}
