//! The lane that needs a Kubernetes cluster, and the cluster for as long as the lane takes.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
    let mut cluster = Cluster::begin()?;
    step("ramp as its users have it");
    run("cargo build --release --locked -p ramp")?;
    let ramp = image::built("release", "ramp")?;
    cluster.come_up()?;
    cluster.set_up()?;
    step("tests that need a cluster");
    let mut tests = tests_of("cluster")?;
    run_command(cluster.of(&mut tests).env("RAMP", ramp).args(IGNORED))
}

/// A cluster that is there already, or that ends with the value.
struct Cluster {
    kubeconfig: PathBuf,
    own: Option<Own>,
}

/// One that this lane has begun.
struct Own {
    /// The directory with the scripts up, load-image and down.
    scripts: PathBuf,
    image: String,
    /// The script that starts it, while that runs.
    up: Option<Child>,
}

impl Cluster {
    /// The cluster of `KUBECONFIG`, or one that begins to come up: that is waiting, most of it.
    fn begin() -> Outcome<Self> {
        if let Some(kubeconfig) = env::var_os("KUBECONFIG") {
            return Ok(Self { kubeconfig: kubeconfig.into(), own: None });
        }
        let scripts = env::var_os("TEST_CLUSTER").map(PathBuf::from).ok_or(
            "no cluster: KUBECONFIG names one, or TEST_CLUSTER a directory with the scripts up, load-image and down",
        )?;
        let image = image::build()?;
        step("a cluster begins to come up");
        // The bridge of podman's containers may have the addresses of the cluster's pods: with both, no probe reaches a pod.
        let _ = command("ip link delete cni-podman0").stderr(Stdio::null()).status();
        let mut up = Command::new(scripts.join("up"));
        up.args(["--nodes", &NODES.to_string(), "--node-memory", NODE_MEMORY]);
        up.args(["--hollow", &SIMULATED_NODES.to_string()]);
        let up = up.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let up = up.map_err(|error| format!("{}: {error}", scripts.join("up").display()))?;
        Ok(Self { kubeconfig: PathBuf::new(), own: Some(Own { scripts, image, up: Some(up) }) })
    }

    /// Waits until it is there, with the image on its nodes.
    fn come_up(&mut self) -> Outcome {
        let Some(own) = &mut self.own else { return Ok(()) };
        step("the cluster is there");
        if let Some(up) = own.up.take() {
            let output = up.wait_with_output().map_err(|error| format!("up: {error}"))?;
            if !output.status.success() {
                return Err(format!("up: {}", output.status));
            }
            // The last line names it.
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            self.kubeconfig = said.lines().last().unwrap_or_default().into();
        }
        let archive = tempfile::Builder::new().suffix(".tar").tempfile();
        let archive = archive.map_err(|error| format!("an archive of the image: {error}"))?;
        run_command(command("podman save --quiet --output").arg(archive.path()).arg(&own.image))?;
        run_command(Command::new(own.scripts.join("load-image")).arg(archive.path()))?;
        self.wait_for_nodes()
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
        if let (Some(_), Some(home)) = (&self.own, self.kubeconfig.parent()) {
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
        if let Some(own) = &mut self.own {
            step("the cluster ends");
            if let Some(up) = &mut own.up {
                // What it has started until then is ended like the rest.
                let _ = up.kill();
                let _ = up.wait();
            }
            let _ = Command::new(own.scripts.join("down")).status();
        }
    }
}
