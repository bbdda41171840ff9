//! Processes of `ramp` and kubectl, as users run them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use cordon::Cordon;
use cordon::uncordon;

#[path = "../../../tests/support/cordon.rs"]
mod cordon;

/// The namespace that is set up.
pub(crate) const NAMESPACE: &str = "workload";

/// The cluster without what a test may have left that was stopped in its midst, and without nodes that have just evicted. A test has that
/// namespace for itself, and where nodes are filled the whole cluster: .config/nextest.toml.
pub(crate) fn tidy_cluster() {
    ramp(&["clean"]).wait_for(Duration::from_secs(300));
    uncordon();
    wait("no node to be under pressure", Duration::from_secs(120), || {
        !kubectl(&["get", "nodes", "-o", "json"]).contains("node.kubernetes.io/memory-pressure")
    });
}

/// A namespace for one test, which can then run beside others: set up like the one of `deploy/setup`, with a node probe of its own. It
/// goes with the value.
pub(crate) struct Namespace(pub(crate) &'static str);

impl Namespace {
    pub(crate) fn create(name: &'static str) -> Self {
        // A test that was stopped in its midst has left one.
        kubectl(&["delete", "namespace", "--ignore-not-found", "--timeout=180s", name]);
        let namespace = Self(name);
        // What is set up but for the priorities, which all share; the last is of the events of nodes.
        let own = "namespace/workload serviceaccount/ramp role/ramp rolebinding/ramp daemonset/node-probe";
        let of_the_cluster = "clusterrole/workload-ramp clusterrolebinding/workload-ramp";
        let mut objects = Self::objects(NAMESPACE, &format!("{own} {of_the_cluster}"));
        objects.extend(Self::objects("default", "rolebinding/workload-ramp"));
        objects.iter_mut().for_each(|object| namespace.take_over(object));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("setup.json");
        fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
        kubectl(&["apply", "-f", file.to_str().unwrap()]);
        kubectl(&["--namespace", name, "rollout", "status", "daemonset/node-probe", "--timeout", "120s"]);
        namespace
    }

    fn objects(namespace: &str, names: &str) -> Vec<Value> {
        let get = ["--namespace", namespace, "get", "-o", "json"].into_iter().chain(names.split(' '));
        let found: Value = serde_json::from_str(&kubectl(&get.collect::<Vec<_>>())).unwrap();
        found["items"].as_array().cloned().unwrap_or_else(|| vec![found])
    }

    /// Makes of an object of the set-up the one of this namespace. What is elsewhere is named for it.
    fn take_over(&self, object: &mut Value) {
        let before = &object["metadata"];
        let (name, namespace) = if object["kind"] == "Namespace" {
            (self.0.into(), Value::Null)
        } else if before["namespace"] == NAMESPACE {
            (before["name"].clone(), self.0.into())
        } else {
            (self.elsewhere().into(), before["namespace"].clone())
        };
        // Those of a namespace say what may run there, and where.
        let (labels, annotations) = (before["labels"].clone(), before["annotations"].clone());
        object["metadata"] =
            json!({"name": name, "namespace": namespace, "labels": labels, "annotations": annotations});
        if object["roleRef"]["kind"] == "ClusterRole" {
            object["roleRef"]["name"] = self.elsewhere().into();
        }
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            subject["namespace"] = self.0.into();
        }
        // The right to look at that namespace, and at no other.
        for rule in object["rules"].as_array_mut().into_iter().flatten() {
            if rule["resources"] == json!(["namespaces"]) {
                rule["resourceNames"] = json!([self.0]);
            }
        }
        object.as_object_mut().unwrap().retain(|key, _| key != "status" && key != "secrets");
    }

    fn elsewhere(&self) -> String {
        format!("workload-ramp-{}", self.0)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let elsewhere = self.elsewhere();
        // Its name is used again by this test alone, which then waits for it.
        let rights =
            ["clusterrolebinding", "clusterrole", "rolebinding"].map(|kind| format!("{kind}/{elsewhere}"));
        for objects in [&[format!("namespace/{}", self.0)][..], &rights] {
            let mut kubectl = Command::new("kubectl");
            let _ = kubectl.args(["--namespace", "default", "delete", "--wait=false"]).args(objects).output();
        }
    }
}

pub(crate) fn wait(what: &str, limit: Duration, so: impl Fn() -> bool) {
    let end = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// What kubectl answers.
pub(crate) fn kubectl(args: &[&str]) -> String {
    let output = Command::new("kubectl").args(args).output().expect("kubectl is installed");
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The present kubeconfig with another user, in a directory.
pub(crate) fn kubeconfig(directory: &Path, change: impl Fn(&mut Value)) -> PathBuf {
    let text = kubectl(&["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"].as_array_mut().unwrap().iter_mut().for_each(|user| change(&mut user["user"]));
    let path = directory.join("kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// A RuntimeClass with a handler, by default that of kata, and no CPU requests, which on small nodes run out long before memory does. It
/// is there for as long as the value lives.
pub(crate) struct KataWithoutCpu {
    name: &'static str,
}

impl KataWithoutCpu {
    pub(crate) fn named(name: &'static str) -> Self {
        Self::of_handler(name, "kata")
    }

    pub(crate) fn of_handler(name: &'static str, handler: &str) -> Self {
        Self::with_memory(name, handler, "160Mi")
    }

    /// With so much memory as its podFixed.
    pub(crate) fn with_memory(name: &'static str, handler: &str, memory: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("class.json");
        let class = json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name},
            "handler": handler, "overhead": {"podFixed": {"memory": memory}},
        });
        fs::write(&file, class.to_string()).unwrap();
        kubectl(&["apply", "-f", file.to_str().unwrap()]);
        Self { name }
    }
}

impl Drop for KataWithoutCpu {
    fn drop(&mut self) {
        let deleted = Command::new("kubectl").args(["delete", "runtimeclass", self.name]).output();
        // Who panics twice is not heard.
        if !thread::panicking() {
            assert!(deleted.is_ok_and(|output| output.status.success()), "{} is deleted", self.name);
        }
    }
}

/// Cordons all nodes but one, for as long as the value lives.
pub(crate) fn one_node() -> Option<Cordon> {
    let names = "jsonpath={.items[*].metadata.name}";
    let real = kubectl(&["get", "nodes", "--selector", "hollow!=true", "-o", names]);
    let others: Vec<&str> = real.split_whitespace().skip(1).collect();
    (!others.is_empty()).then(|| Cordon::of(&others))
}

/// Objects of a namespace.
pub(crate) fn list(namespace: &str, kind: &str, selector: &str) -> Vec<Value> {
    let text = kubectl(&["--namespace", namespace, "get", kind, "--selector", selector, "-o", "json"]);
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

/// Whatever runs have made that is still there.
pub(crate) fn left() -> Vec<Value> {
    left_in(NAMESPACE)
}

pub(crate) fn left_in(namespace: &str) -> Vec<Value> {
    list(namespace, "pods,deployments", "ramp/run")
}

/// A scenario of deploy/.
pub(crate) fn scenario(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// The program, with `RAMP` in its place where that is set: a release build, where what it costs is looked at.
pub(crate) fn ramp(args: &[&str]) -> Running {
    started(Command::new(program()).args(args))
}

/// The same, as who is in another kubeconfig.
pub(crate) fn ramp_as(kubeconfig: &Path, args: &[&str]) -> Running {
    started(Command::new(program()).args(args).env("KUBECONFIG", kubeconfig))
}

/// The same, with variables of the environment.
pub(crate) fn ramp_with(env: &[(&str, &str)], args: &[&str]) -> Running {
    started(Command::new(program()).args(args).envs(env.iter().copied()))
}

/// `deploy/ramp.sh` with it.
pub(crate) fn script(args: &[&str]) -> Running {
    started(Command::new(scenario("ramp.sh")).args(args).env("RAMP", program()))
}

fn program() -> PathBuf {
    std::env::var_os("RAMP").map_or_else(|| env!("CARGO_BIN_EXE_ramp").into(), PathBuf::from)
}

fn started(command: &mut Command) -> Running {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it was built");
    let mut pipe = child.stderr.take().unwrap();
    let said = thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        text
    });
    Running { child, said: Some(said) }
}

/// A run of a manifest on the cluster, recorded in `out`.
pub(crate) fn run(manifest: &Path, out: &Path, options: &[&str]) -> Running {
    let (manifest, out) = (manifest.to_str().unwrap(), out.to_str().unwrap());
    ramp(&[&["run", manifest, "--engine", "kubernetes", "--out", out], options].concat())
}

/// It, for as long as the value lives.
pub(crate) struct Running {
    child: Child,
    /// What it writes on standard error.
    said: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end. What it wrote on standard error.
    pub(crate) fn wait_for(mut self, limit: Duration) -> (ExitStatus, String) {
        let said = self.said.take().unwrap();
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, said.join().unwrap());
            }
            if Instant::now() >= end {
                let _ = self.child.kill();
                panic!("not over within {limit:?}: {}", said.join().unwrap());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// CPU time in seconds, and the largest resident set so far in bytes.
    pub(crate) fn costs(&self) -> Option<(f64, u64)> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.id())).ok();
        let stat = read("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // utime and stime, in hundredths (proc(5)); the state is the first field behind the name.
        let hundredths: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let status = read("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = peak.split_whitespace().next()?.parse().ok()?;
        Some((hundredths as f64 / 100.0, kib << 10))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, most of the time.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
