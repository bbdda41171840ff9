//! Overhead per pod where it is known: a cluster whose kata-parts is runc plus two processes of 112 MiB per pod. On one
//! node, since nodes that share a kernel report the same memory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ramp_format::study::{RunRecordState, StudyRecord};
use ramp_report::analysis::Estimate;
use ramp_report::analysis::comparison::PerPod;
use ramp_report::dataset::Dataset;
use ramp_report::progress::Observer;
use ramp_report::report::Report;
use ramp_report::report::terminal::text;
use ramp_report::stats::Interval;
use ramp_report::study::comparison::CellComparison;
use ramp_report::study::data::StudyData;
use serde_json::Value;

use crate::charged::charged;
use crate::ended_pods::EndedPods;
use crate::process::{self, KataWithoutCpu, kubectl, left, one_node, ramp, scenario, tidy_cluster};

const MIB: f64 = (1 << 20) as f64;
/// Held in each pod, as is said of the stand-in.
const TRUE_OVERHEAD: f64 = 112.0 * MIB;
const CLASS: &str = "ramp-test-overhead";
/// Instances of each run of the study.
const INSTANCES: u32 = 7;
const STEPS: u32 = 3;

#[test]
#[ignore = "needs a cluster on this machine with RuntimeClasses gvisor and kata-parts, which is runc and 112 MiB in each pod"]
fn a_study_of_three_runtimes_and_a_mixed_run_hold_what_each_costs_per_pod() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::of_handler(CLASS, "kata-parts");
    let file = directory.path().join("study.yaml");
    let out = directory.path().join("study");
    fs::write(&file, definition()).unwrap();
    let study = ramp(&["study", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let charges = charged_to_gvisor_and_runc(&out, || study.costs().is_some());
    let (status, said) = study.wait_for(Duration::from_secs(2400));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());

    let data = StudyData::read(&out, &Observer::default()).unwrap();
    assert!(data.record.why_ended.as_deref().unwrap().starts_with("precision reached"), "{said}");
    let compared = data.comparisons();
    let [kata, gvisor] = [0, 1].map(|at| difference(&compared[at].comparison));
    println!("{} blocks; kata {}", data.runs_of(0).len(), in_mib(&kata));
    println!("gvisor {} where {:.1} MiB more are charged than under runc", in_mib(&gvisor), charges / MIB);
    assert!(kata.1.low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= kata.1.high, "kata {}", in_mib(&kata));
    assert!(kata.1.half_width() <= 0.02 * TRUE_OVERHEAD, "±2 % at most: {}", in_mib(&kata));
    assert!(
        (gvisor.0 - charges).abs() <= 3.0 * MIB,
        "gvisor {}, {:.1} charged",
        in_mib(&gvisor),
        charges / MIB
    );

    // A B and B A, of the study's first two blocks.
    let of_each: Vec<PathBuf> = data
        .record
        .runs
        .iter()
        .filter(|run| (1..=2).contains(&run.block) && run.cell <= 1 && run.state == RunRecordState::Done)
        .map(|run| out.join(&run.directory))
        .collect();
    let pooled = overhead(&of_each).unwrap();
    let off = (pooled.bytes / TRUE_OVERHEAD - 1.0).abs();
    assert!(off <= 0.03, "{}", in_mib(&(pooled.bytes, pooled.interval)));

    let mixed_out = directory.path().join("mixed");
    let mix = format!("default,{CLASS}");
    let options = ["--mix", &mix, "--memory", "20M", "--to", "10", "--settle", "6s", "--hold", "6s"];
    let manifest = scenario("runc/memory-capacity.yaml");
    let (status, said) = process::run(&manifest, &mixed_out, &options).wait_for(Duration::from_secs(400));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());
    let report = Report::of(vec![Dataset::read(&mixed_out).unwrap()], None);
    println!("{}", text(&report));
    let mixed = report.findings.runs[0].mixed[1].overhead.clone().unwrap().unwrap();
    let mixed = (mixed.bytes, mixed.interval);
    println!(
        "mixed: {}; the pairs of two blocks: {}",
        in_mib(&mixed),
        in_mib(&(pooled.bytes, pooled.interval))
    );
    assert!(mixed.1.low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= mixed.1.high, "mixed {}", in_mib(&mixed));
    assert!(mixed.1.half_width() <= 0.08 * TRUE_OVERHEAD, "±8 % at most: {}", in_mib(&mixed));
}

/// A study of the base, what is known, and gVisor.
fn definition() -> String {
    let manifest = scenario("runc/memory-capacity.yaml");
    let mut text = String::from("name: overhead of runtimes\nengine: kubernetes\n");
    writeln!(text, "scenarios: [{{manifest: {}}}]", manifest.display()).unwrap();
    writeln!(text, "runtimes: [default, {CLASS}, gvisor]").unwrap();
    text += "sizes: [{name: 100M, memory: 100M}]\n";
    writeln!(text, "ramp: {{step: 3, to: {INSTANCES}, settle: 6s, hold: 6s}}").unwrap();
    text += "cooldown: {most: 40s}\nwarmup: false\nblocks: {least: 3, most: 7}\nprecision: {memory_per_instance: 2.2Mi}\n";
    text
}

/// What differs per pod between two cells: memory and its 95 % interval, in bytes.
fn difference(compared: &CellComparison) -> (f64, Interval) {
    let memory = compared.figures[0].as_ref().unwrap();
    (memory.difference.difference.mean, memory.interval)
}

fn in_mib((found, interval): &(f64, Interval)) -> String {
    format!("{:.1} MiB ({:.1} to {:.1})", found / MIB, interval.low / MIB, interval.high / MIB)
}

/// By how much more the kernel charges to a pod of a study's runs under gVisor than to one under runc, in bytes: each looked at once, while
/// all pods of a run are at rest.
fn charged_to_gvisor_and_runc(study: &Path, is_under_way: impl Fn() -> bool) -> f64 {
    let (mut runc, mut gvisor) = (None, None);
    loop {
        assert!(is_under_way(), "the study ended before a run under each");
        thread::sleep(Duration::from_millis(500));
        let Ok(record) = StudyRecord::read(study) else { continue };
        let Some(run) = record.runs.iter().find(|run| run.state == RunRecordState::Running) else { continue };
        let of_class = match run.cell {
            0 => &mut runc,
            2 => &mut gvisor,
            _ => continue,
        };
        let steps = study.join(&run.directory).join("steps.csv");
        // A header and all steps up.
        let holds =
            || fs::read_to_string(&steps).is_ok_and(|text| text.lines().count() == 1 + STEPS as usize);
        if run.block > 0 && of_class.is_none() && holds() {
            *of_class = charged_to_each_pod().filter(|_| holds());
        }
        if let (Some(runc), Some(gvisor)) = (runc, gvisor) {
            return gvisor - runc;
        }
    }
}

/// What the kernel charges to the memory cgroup of each pod of the load on average, without page cache, in bytes. (What gVisor has for its
/// containers is shared memory, which counts as cache and is none.) None where one is already gone.
fn charged_to_each_pod() -> Option<f64> {
    let pods: Value =
        serde_json::from_str(&kubectl(&["get", "pods", "-n", "workload", "-o", "json"])).unwrap();
    let of_load = |pod: &&Value| pod["metadata"]["name"].as_str().unwrap().starts_with("memory-capacity");
    let uids: Vec<String> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_load)
        .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    let group = |uid: &String| cgroup_of(Path::new("/sys/fs/cgroup/memory"), uid);
    let groups: Vec<PathBuf> = uids.iter().map(group).collect::<Option<_>>()?;
    let charged: Vec<f64> = groups.iter().map(|group| charged(group)).collect();
    Some(charged.iter().sum::<f64>() / charged.len() as f64)
}

/// The directory below this one whose name has the uid of a pod in it.
fn cgroup_of(directory: &Path, uid: &str) -> Option<PathBuf> {
    let is_directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let below: Vec<PathBuf> =
        std::fs::read_dir(directory).ok()?.flatten().filter(is_directory).map(|entry| entry.path()).collect();
    let is_it = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(uid));
    below.iter().find(is_it).cloned().or_else(|| below.iter().find_map(|path| cgroup_of(path, uid)))
}

/// What a report on both says that each pod costs more under the second.
fn overhead(runs: &[PathBuf]) -> Estimate<PerPod> {
    let report = Report::of(runs.iter().map(|run| Dataset::read(run).unwrap()).collect(), None);
    println!("{}", text(&report));
    report.findings.comparisons[0].comparison.overhead_per_pod.clone()
}
