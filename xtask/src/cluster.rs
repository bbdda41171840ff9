//! The lane that needs a Kubernetes cluster, and the cluster for as long as the lane takes.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lanes::{IGNORED, tests_of};
use crate::shell::{Outcome, command, output, run, run_command, step};
use crate::{image, summary};

/// Two nodes that share this machine's kernel, each of which runs out of memory by itself, and simulated ones for scale.
const NODES: usize = 2;
const SIMULATED_NODES: usize = 20;
const NODE_MEMORY: &str = "2Gi";
const READY_WITHIN: Duration = Duration::from_secs(180);

/// All tests that need a cluster.
///
/// # Errors
/// Where there is none, it does not become ready, or a test fails.
pub(crate) fn lane() -> Outcome {
    summary::forget("cluster")?;
    step("ramp as its users have it");
    run("cargo build --release --locked -p ramp")?;
    let ramp = image::built("release", "ramp")?;
    let cluster = Cluster::start()?;
    cluster.set_up()?;
    step("tests that need a cluster");
    let mut tests = tests_of("cluster")?;
    run_command(cluster.of(&mut tests).env("RAMP", ramp).args(IGNORED))
}

/// A cluster that is there already, or that ends with the value.
struct Cluster {
    kubeconfig: PathBuf,
    /// The directory with the scripts that have started it.
    scripts: Option<PathBuf>,
}

impl Cluster {
    fn start() -> Outcome<Self> {
        if let Some(kubeconfig) = env::var_os("KUBECONFIG") {
            return Ok(Self { kubeconfig: kubeconfig.into(), scripts: None });
        }
        let scripts = env::var_os("TEST_CLUSTER").map(PathBuf::from).ok_or(
            "no cluster: KUBECONFIG names one, or TEST_CLUSTER a directory with the scripts up, load-image and down",
        )?;
        let image = image::build()?;
        step("a cluster");
        // The bridge of podman's containers may have the addresses of the cluster's pods: with both, no probe reaches a pod.
        let _ = command("ip link delete cni-podman0").stderr(std::process::Stdio::null()).status();
        // From here on there is something to end.
        let mut cluster = Self { kubeconfig: PathBuf::new(), scripts: Some(scripts.clone()) };
        let mut up = Command::new(scripts.join("up"));
        up.args(["--nodes", &NODES.to_string(), "--node-memory", NODE_MEMORY]);
        up.args(["--hollow", &SIMULATED_NODES.to_string()]);
        let said = output(&mut up)?;
        cluster.kubeconfig = said.lines().last().unwrap_or_default().into();
        cluster.load(&scripts, &image)?;
        cluster.wait_for_nodes()?;
        Ok(cluster)
    }

    fn load(&self, scripts: &Path, image: &str) -> Outcome {
        let archive = tempfile::Builder::new().suffix(".tar").tempfile();
        let archive = archive.map_err(|error| format!("an archive of the image: {error}"))?;
        run_command(command("podman save --quiet --output").arg(archive.path()).arg(image))?;
        run_command(Command::new(scripts.join("load-image")).arg(archive.path()))
    }

    /// Simulated nodes register one by one.
    fn wait_for_nodes(&self) -> Outcome {
        let deadline = Instant::now() + READY_WITHIN;
        let ready = r#"{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        loop {
            let mut kubectl = command("kubectl get nodes -o");
            let states = output(self.of(&mut kubectl).arg(format!("jsonpath={ready}")))?;
            let count = states.lines().filter(|state| *state == "True").count();
            if count == NODES + SIMULATED_NODES {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{count} of {} nodes are ready after {READY_WITHIN:?}",
                    NODES + SIMULATED_NODES
                ));
            }
            sleep(Duration::from_millis(500));
        }
    }

    fn set_up(&self) -> Outcome {
        run_command(self.of(&mut command("kubectl apply -k deploy/setup")))?;
        let probe = "kubectl --namespace workload rollout status daemonset/node-probe --timeout 120s";
        run_command(self.of(&mut command(probe)))
    }

    /// A command for this cluster: with its kubeconfig, and its programs where it brings some.
    fn of<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", &self.kubeconfig);
        if let (Some(_), Some(home)) = (&self.scripts, self.kubeconfig.parent()) {
            let own = env::var_os("PATH").unwrap_or_default();
            let path = env::join_paths([home.join("bin")].into_iter().chain(env::split_paths(&own)));
            // A directory whose name has a colon in it cannot be in a PATH: then what is installed has to do.
            if let Ok(path) = path {
                command.env("PATH", path);
            }
            // Tests stop and kill parts of it, by the process ids there.
            command.env("CLUSTER_HOME", home);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(scripts) = &self.scripts {
            step("the cluster ends");
            // It removes whatever there is, also of a cluster that did not come up.
            let _ = Command::new(scripts.join("down")).status();
        }
    }
}
