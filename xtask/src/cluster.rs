//! Cluster lane: starts a Kubernetes cluster, runs the tests that need one, and stops it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lanes::{IGNORED, WORLDS_BUILD, tests_of};
use crate::shell::{
    Background, Idle, Outcome, adopt_orphans, command, end_orphans, not_interrupted, output, run_command,
    say, scratch, step,
};
use crate::{image, summary};

/// Two nodes that share this machine's kernel, each of which runs out of memory by itself, and simulated ones for scale.
const NODES: usize = 2;
const SIMULATED_NODES: usize = 20;
const NODE_MEMORY: &str = "2Gi";
const READY_WITHIN: Duration = Duration::from_secs(180);

/// All tests that need a cluster. A command may run meanwhile, while the tests mostly wait.
///
/// # Errors
/// Where there is none, it does not become ready, or a test or the command fails.
pub(crate) fn lane(meanwhile: Option<&str>) -> Outcome {
    PROFILES.iter().try_for_each(|profile| summary::forget(profile))?;
    let mut cluster = Cluster::start()?;
    // The optimized `ramp` is in the build of the simulated clusters, which CI makes anyway.
    let build = format!("cargo nextest run --workspace --locked --profile worlds {WORLDS_BUILD} --no-run");
    let idle = [build.as_str()].into_iter().chain(meanwhile);
    let idle: Vec<Idle> = idle.map(Idle::start).collect::<Outcome<_>>()?;
    let [side_by_side, alone, measured] = PROFILES;
    let mut failed = Vec::new();
    let mut tests = |profile, ramp: Option<&Path>| {
        step(&format!("tests that need a cluster: {profile}"));
        let mut tests = tests_of(profile)?;
        if let Some(ramp) = ramp {
            tests.env("RAMP", ramp);
        }
        // One that fails is no reason not to run the others.
        failed.extend(run_command(cluster.of(&mut tests).args(IGNORED)).err());
        not_interrupted()
    };
    tests(side_by_side, None)?;
    tests(alone, None)?;
    step("the rest of what runs meanwhile");
    let of_idle: Vec<String> = idle.into_iter().filter_map(|idle| idle.wait().err()).collect();
    not_interrupted()?;
    tests(measured, Some(&image::built("worlds", "ramp")?))?;
    cluster.end()?;
    failed.extend(of_idle);
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n       ")) }
}

/// Of .config/nextest.toml, in the order in which they run.
const PROFILES: [&str; 3] = ["cluster", "cluster-alone", "cluster-measured"];

/// A cluster that is there already, or that ends with the value.
struct Cluster {
    kubeconfig: PathBuf,
    own: Option<Own>,
}

/// One that this lane has begun.
struct Own {
    /// The directory with the scripts up, load-image and down.
    scripts: PathBuf,
}

/// The path in an environment variable that is not empty.
fn path_in(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Cluster {
    /// The cluster of `KUBECONFIG`, or a new one with the image on its nodes; set up.
    fn start() -> Outcome<Self> {
        let cluster = match path_in("KUBECONFIG") {
            Some(kubeconfig) => Self { kubeconfig, own: None },
            None => Self::up()?,
        };
        cluster.set_up()?;
        Ok(cluster)
    }

    fn up() -> Outcome<Self> {
        let scripts = path_in("TEST_CLUSTER").ok_or(
            "no cluster: KUBECONFIG names one, or TEST_CLUSTER a directory with the scripts up, load-image and down",
        )?;
        let images = [image::build()?, image::build_ramp_of_tests()?];
        step("the cluster begins");
        let mut up = Command::new(scripts.join("up"));
        up.args(["--nodes", &NODES.to_string(), "--node-memory", NODE_MEMORY]);
        up.args(["--hollow", &SIMULATED_NODES.to_string()]);
        // From here on there is something to end, whatever becomes of it.
        let mut cluster = Self { kubeconfig: PathBuf::new(), own: Some(Own { scripts }) };
        let (said, handle) = scratch()?;
        // Its parts, which `up` leaves behind, and what a test leaves that is killed.
        adopt_orphans()?;
        run_command(up.stdout(handle))?;
        let said = fs::read_to_string(&said).map_err(|error| format!("what up printed: {error}"))?;
        let last = said.lines().last().unwrap_or_default();
        cluster.kubeconfig = last.into();
        if !cluster.kubeconfig.is_file() {
            return Err(format!("up: expected the path of a kubeconfig as its last line, found {last:?}"));
        }
        images.iter().try_for_each(|image| cluster.load(image))?;
        cluster.wait_for_nodes()?;
        Ok(cluster)
    }

    fn load(&self, image: &str) -> Outcome {
        let Some(own) = &self.own else { return Ok(()) };
        let (archive, _) = scratch()?;
        run_command(command("podman save --quiet --output").arg(archive.path()).arg(image))?;
        run_command(Command::new(own.scripts.join("load-image")).arg(archive.path()))
    }

    /// Simulated nodes register one by one.
    fn wait_for_nodes(&self) -> Outcome {
        let deadline = Instant::now() + READY_WITHIN;
        let ready = r#"{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        loop {
            not_interrupted()?;
            let mut kubectl = command("kubectl get nodes -o");
            let states = output(self.of(&mut kubectl).arg(format!("jsonpath={ready}")))?;
            let (count, all) =
                (states.lines().filter(|state| *state == "True").count(), NODES + SIMULATED_NODES);
            if count == all {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{count} of {all} nodes are ready after {READY_WITHIN:?}"));
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

    /// Ends what this lane has begun, whatever has become of it. An interrupt does not keep it from that.
    fn end(&mut self) -> Outcome {
        let Some(own) = self.own.take() else { return Ok(()) };
        step("the cluster ends");
        let down = Background::start(&mut Command::new(own.scripts.join("down")));
        let ended = down.and_then(Background::wait_in_any_case);
        end_orphans();
        ended.map_err(|error| format!("{error}; the cluster may still run: run it again"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            say(&format!("error: {error}"));
        }
    }
}
