//! The Job of deploy/job: a study in the cluster that outlives its node, and is fetched from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ramp_format::study::{RunRecordState, StudyRecord};
use serde_json::{Value, json};

use crate::ended_pods::EndedPods;
use crate::process::{
    Cordon, KataWithoutCpu, NAMESPACE, kubectl, left, list, ramp, scenario, tidy_cluster, wait,
};

const CLASS: &str = "ramp-test-job";
const LIMIT: Duration = Duration::from_secs(300);

#[test]
#[ignore = "needs a cluster of two nodes on this machine that have the image of ramp, and the right to make PersistentVolumes"]
fn a_study_in_the_cluster_outlives_its_node_and_is_fetched() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let _class = KataWithoutCpu::named(CLASS);
    let place = tempfile::tempdir().unwrap();
    let job = AppliedJob::of(place.path());
    let out = place.path().join("study");
    let fetch = |options: &[&str]| {
        let options: Vec<&str> =
            ["fetch", "--out", out.to_str().unwrap()].into_iter().chain(options.iter().copied()).collect();
        let (status, said) = ramp(&options).wait_for(LIMIT);
        assert!(status.success(), "{status}: {said}");
    };
    // Until a run is done and the next one is under way.
    wait("the second run", LIMIT, || {
        fetch(&["--no-report"]);
        StudyRecord::read(&out).is_ok_and(|record| record.runs.len() == 2)
    });
    let node = job.node();
    {
        let _uncordoned = Cordon::of(&[&node]);
        kubectl(&[
            "drain",
            &node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            "--timeout=200s",
        ]);
        wait("another attempt on another node", LIMIT, || {
            job.running().is_some_and(|pod| pod["spec"]["nodeName"] != *node)
        });
    }
    fetch(&["--follow"]);
    let record = StudyRecord::read(&out).unwrap();
    assert!(record.end.is_some() && !record.resumes.is_empty(), "{record:?}");
    let count = |state| record.runs.iter().filter(|run| run.state == state).count();
    assert_eq!((count(RunRecordState::Done), record.whole_blocks()), (4, 2), "{:?}", record.runs);
    assert!(count(RunRecordState::CutOff) >= 1, "that of the node: {:?}", record.runs);
    let page = fs::read_to_string(out.join("report/report.html")).unwrap();
    assert!(page.contains("default") && page.contains(CLASS));
    assert_eq!(left(), Vec::<Value>::new());
    wait("the pod that served the results at the end to be gone", LIMIT, || {
        list(NAMESPACE, "pods", "app.kubernetes.io/component=results").is_empty()
    });
}

/// The Job, and the volume that it claims, for as long as the value lives.
struct AppliedJob {
    overlay: PathBuf,
    volume: PathBuf,
}

impl AppliedJob {
    /// Of `deploy/job` with a study of a minute and a half.
    fn of(place: &Path) -> Self {
        let [base, overlay, results] = ["job", "overlay", "results"].map(|name| place.join(name));
        [&base, &overlay, &results].into_iter().for_each(|path| fs::create_dir(path).unwrap());
        // The kubelet does not change the owner of a hostPath.
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&results, fs::Permissions::from_mode(0o777)).unwrap();
        for entry in fs::read_dir(scenario("job")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
        }
        let study = format!(
            "name: runc and kata\nengine: kubernetes\nscenarios: [{{name: capacity, manifest: memory-capacity.yaml}}]\n\
             runtimes: [default, {CLASS}]\nsizes: [{{name: 50M, memory: 50M}}]\n\
             ramp: {{from: 2, step: 2, to: 4, settle: 2s, hold: 3s}}\nwarmup: false\ncooldown: {{most: 5s}}\nblocks: 2\n"
        );
        fs::write(base.join("study.yaml"), study).unwrap();
        let kustomization = "bases: [../job]\npatchesStrategicMerge: [job.yaml]\n";
        fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
        fs::write(overlay.join("job.yaml"), patch().to_string()).unwrap();
        let volume = place.join("volume.json");
        fs::write(&volume, self::volume(&results).to_string()).unwrap();
        let job = Self { overlay, volume };
        job.remove();
        kubectl(&["apply", "-f", job.volume.to_str().unwrap()]);
        kubectl(&["apply", "-k", job.overlay.to_str().unwrap()]);
        job
    }

    fn running(&self) -> Option<Value> {
        let pods = list(NAMESPACE, "pods", "job-name=study");
        pods.into_iter()
            .find(|pod| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null())
    }

    fn node(&self) -> String {
        self.running().unwrap()["spec"]["nodeName"].as_str().unwrap().to_owned()
    }

    fn remove(&self) {
        for (option, path) in [("-k", &self.overlay), ("-f", &self.volume)] {
            let mut kubectl = Command::new("kubectl");
            let _ =
                kubectl.args(["delete", "--ignore-not-found", "--timeout=240s", option]).arg(path).output();
        }
    }
}

impl Drop for AppliedJob {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A directory that both nodes have: what a volume of the network is elsewhere.
fn volume(results: &Path) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "ramp-test-results"},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": results},
            "claimRef": {"namespace": NAMESPACE, "name": "ramp-results"}, "persistentVolumeReclaimPolicy": "Retain",
        },
    })
}

/// Where the API server is on this machine alone, without a service network, its pods reach it by the network of their node.
fn patch() -> Value {
    let server = kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let job = |spec: Value| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "study", "namespace": NAMESPACE},
            "spec": {"template": {"spec": spec}},
        })
    };
    let Some((host, port)) = server.trim_start_matches("https://").rsplit_once(':') else {
        return job(json!({}));
    };
    if host != "127.0.0.1" {
        return job(json!({}));
    }
    let variables = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
    let env: Vec<Value> =
        variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    job(json!({"hostNetwork": true, "containers": [{"name": "ramp", "env": env}]}))
}
