//! Scenario: a Deployment manifest, and the fields of it that engines use.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use workload::cli::Args;
use workload::config::LoadSpec;
use workload::quantity::{Bytes, Cores, MemoryTarget, Rate};

/// The built-in scenario: the main one of the study.
const MEMORY_CAPACITY: &str = include_str!("../../../deploy/runc/memory-capacity.yaml");

/// Resources of an instance, as far as the manifest says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InstanceNeeds {
    /// Resident set requested of the load.
    pub memory: Option<Bytes>,
    /// Memory request.
    pub requested_memory: Bytes,
    /// CPU request.
    pub requested_cpu: Cores,
}

/// A Deployment with one container.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Its namespace, if given.
    pub namespace: Option<String>,
    /// RuntimeClass of its pods, if given.
    pub runtime_class: Option<String>,
    /// The manifest, as JSON.
    pub manifest: Value,
    /// Its container.
    pub container: Container,
}

/// The container of each instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// The image.
    pub image: String,
    /// Command; overrides the entry point of the image.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Memory request.
    pub memory_request: Option<Bytes>,
    /// Memory limit.
    pub memory_limit: Option<Bytes>,
    /// CPU request.
    pub cpu_request: Option<Cores>,
    /// CPU limit.
    pub cpu_limit: Option<Cores>,
}

impl Scenario {
    /// Reads a manifest.
    ///
    /// # Errors
    /// If the file cannot be read, or is not one Deployment with one container.
    pub fn read(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{at}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{at}: {error}"))
    }

    /// The built-in scenario, `memory-capacity` under runc.
    ///
    /// # Errors
    /// None: a test parses it.
    pub fn embedded() -> Result<Self, String> {
        Self::parse(MEMORY_CAPACITY)
    }

    /// Parses the text of a manifest.
    ///
    /// # Errors
    /// If it is not one Deployment with one container.
    pub fn parse(text: &str) -> Result<Self, String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| format!("malformed YAML: {}", without_label(&error)))?;
        let [manifest] = documents.as_slice() else {
            return Err(format!("found {} documents, expected one Deployment", documents.len()));
        };
        Self::of(manifest.clone())
    }

    /// Reads a parsed manifest.
    ///
    /// # Errors
    /// If it is not one Deployment with one container.
    pub fn of(manifest: Value) -> Result<Self, String> {
        let (version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
        if (version.as_deref(), kind.as_deref()) != (Some("apps/v1"), Some("Deployment")) {
            let [version, kind] = [version, kind].map(|found| found.unwrap_or_else(|| "none".into()));
            return Err(format!(
                "found apiVersion {version}, kind {kind}; expected apiVersion apps/v1, kind Deployment"
            ));
        }
        let name = text(&manifest["metadata"]["name"]).ok_or("metadata.name is missing")?;
        let pod = &manifest["spec"]["template"]["spec"];
        let containers = pod["containers"].as_array().map_or(&[][..], Vec::as_slice);
        let [container] = containers else {
            return Err(format!("found {} containers in the pod template, expected one", containers.len()));
        };
        Ok(Self {
            name,
            namespace: text(&manifest["metadata"]["namespace"]),
            runtime_class: text(&pod["runtimeClassName"]),
            container: Container::of(container)?,
            manifest,
        })
    }

    /// The load of the container, from its arguments and its environment; ramp's own environment does not count.
    ///
    /// # Errors
    /// If the container does not run the load, or its arguments cannot be parsed.
    pub fn load(&self) -> Result<LoadSpec, String> {
        self.parsed(|arguments| LoadSpec::from_arguments(arguments, |name| self.container.variable(name)))
    }

    /// The same for a container that may also run `workload node`.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn command_line(&self) -> Result<Args, String> {
        self.parsed(|arguments| Args::from_arguments(arguments, |name| self.container.variable(name)))
    }

    fn parsed<T>(&self, parse: impl FnOnce(Vec<String>) -> Result<T, String>) -> Result<T, String> {
        let container = &self.container;
        if let Some(program) = container.command.first()
            && Path::new(program).file_name().is_none_or(|name| name != "workload")
        {
            return Err(format!("the command of the container is {program:?}, expected workload"));
        }
        parse(container.command.iter().skip(1).chain(&container.args).cloned().collect()).map_err(|error| {
            format!("the arguments of the container are malformed: {}", without_label(&error))
        })
    }

    /// Resources of each instance, as far as the manifest says.
    #[must_use]
    pub fn needs(&self) -> InstanceNeeds {
        let memory = match self.load().map(|load| load.memory) {
            Ok(MemoryTarget::Bytes(bytes)) => Some(bytes),
            Ok(MemoryTarget::Percent(percent)) => {
                self.container.memory_limit.map(|limit| Bytes(percent.of(limit.0)))
            }
            Ok(MemoryTarget::Max) | Err(_) => None,
        };
        InstanceNeeds {
            memory,
            // In Kubernetes a missing request defaults to the limit.
            requested_memory: self
                .container
                .memory_request
                .or(self.container.memory_limit)
                .unwrap_or_default(),
            requested_cpu: self.container.cpu_request.or(self.container.cpu_limit).unwrap_or_default(),
        }
    }

    /// Changes the resident set of each instance.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn with_memory(&self, memory: MemoryTarget) -> Result<Self, String> {
        self.with_load(|load| load.memory = memory)
    }

    /// Changes the load of each instance.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn with_load(&self, change: impl FnOnce(&mut LoadSpec)) -> Result<Self, String> {
        let mut load = self.load()?;
        change(&mut load);
        let args: Vec<String> =
            load.settings().iter().map(|(name, value)| format!("--{name}={value}")).collect();
        let mut scenario = self.clone();
        let container = &mut scenario.manifest["spec"]["template"]["spec"]["containers"][0];
        container["args"] = json!(args);
        // The command keeps only its program: its other words are among the arguments now.
        scenario.container.command.truncate(1);
        if !scenario.container.command.is_empty() {
            container["command"] = json!(scenario.container.command);
        }
        scenario.container.args = args;
        // The arguments have every setting: a variable would bring back one that is set to none.
        let is_setting = |name: &str| name.starts_with("WORKLOAD_");
        scenario.container.env.retain(|(name, _)| !is_setting(name));
        if let Some(Value::Array(variables)) = container.get_mut("env") {
            variables.retain(|variable| !variable["name"].as_str().is_some_and(is_setting));
        }
        Ok(scenario)
    }

    /// Time an instance needs to allocate its memory, as far as its arguments say.
    #[must_use]
    pub fn fill_seconds(&self) -> Option<f64> {
        match (self.needs().memory?, self.load().ok()?.growth_rate) {
            (_, Rate::Instant) => Some(0.0),
            (memory, Rate::PerSecond(rate)) => Some(memory.0 as f64 / rate.0 as f64),
        }
    }
}

impl Container {
    /// Value of an environment variable; the last of a name counts, as in Kubernetes.
    fn variable(&self, name: &str) -> Option<String> {
        self.env.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn of(value: &Value) -> Result<Self, String> {
        let words = |key: &str| -> Vec<String> {
            value[key].as_array().into_iter().flatten().filter_map(text).collect()
        };
        let env = value["env"].as_array().into_iter().flatten();
        Ok(Self {
            image: text(&value["image"]).ok_or("the container has no image")?,
            command: words("command"),
            args: words("args"),
            env: env.filter_map(|pair| Some((text(&pair["name"])?, text(&pair["value"])?))).collect(),
            memory_request: quantity(value, "requests", "memory")?,
            memory_limit: quantity(value, "limits", "memory")?,
            cpu_request: quantity(value, "requests", "cpu")?,
            cpu_limit: quantity(value, "limits", "cpu")?,
        })
    }
}

fn quantity<T: std::str::FromStr<Err: std::fmt::Display>>(
    container: &Value,
    kind: &str,
    resource: &str,
) -> Result<Option<T>, String> {
    let found = text(&container["resources"][kind][resource]);
    found
        .map(|found| found.parse().map_err(|error| format!("resources.{kind}.{resource}: {error}")))
        .transpose()
}

/// The message of a parser without its label "error: ".
pub fn without_label(error: &impl ToString) -> String {
    error.to_string().trim_start_matches("error: ").to_owned()
}

/// A string, or a number as text, such as `cpu: 1`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_scenario_takes_500_megabytes() {
        let scenario = Scenario::embedded().unwrap();
        assert_eq!(scenario.name, "memory-capacity");
        assert_eq!(scenario.needs().memory, Some(Bytes(500_000_000)));
        assert_eq!(scenario.runtime_class, None);
        assert!((scenario.fill_seconds().unwrap() - 500.0 / 256.0).abs() < 1e-9);
    }

    #[test]
    fn other_memory_is_in_the_manifest_as_well() {
        let memory = "100M".parse().unwrap();
        let scenario = Scenario::embedded().unwrap().with_memory(memory).unwrap();
        assert_eq!(scenario.needs().memory, Some(Bytes(100_000_000)));
        let again = Scenario::of(scenario.manifest.clone()).unwrap();
        assert_eq!(again.load().unwrap().settings(), scenario.load().unwrap().settings());
        assert_eq!(again.container, scenario.container);
    }

    /// A container of the load with this environment and these arguments.
    fn scenario(env: &Value, args: &[&str]) -> Scenario {
        let container = json!({"image": "workload", "env": env, "args": args});
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                              "spec": {"template": {"spec": {"containers": [container]}}}});
        Scenario::of(manifest).unwrap()
    }

    #[test]
    fn the_environment_of_the_container_counts_where_its_arguments_say_nothing() {
        let env =
            json!([{"name": "WORKLOAD_MEMORY", "value": "300M"}, {"name": "WORKLOAD_CPU", "valueFrom": {}}]);
        assert_eq!(scenario(&env, &[]).needs().memory, Some(Bytes(300_000_000)));
        assert_eq!(scenario(&env, &["--memory", "20M"]).needs().memory, Some(Bytes(20_000_000)));
        let other = scenario(&env, &[]).with_memory("5M".parse().unwrap()).unwrap();
        assert_eq!(other.needs().memory, Some(Bytes(5_000_000)));
    }

    #[test]
    fn a_setting_that_is_set_to_none_does_not_come_back_from_the_environment() {
        let env =
            json!([{"name": "WORKLOAD_GROWTH_STEP", "value": "25M"}, {"name": "RUST_LOG", "value": "off"}]);
        let given = scenario(&env, &["--memory=100M"]);
        assert_eq!(given.load().unwrap().growth_step, Some(Bytes(25_000_000)));
        let changed = given.with_load(|load| load.growth_step = None).unwrap();
        assert_eq!(changed.load().unwrap().growth_step, None);
        let again = Scenario::of(changed.manifest.clone()).unwrap();
        assert_eq!((&again.container, again.load().unwrap().growth_step), (&changed.container, None));
        assert_eq!(again.container.env, [("RUST_LOG".to_owned(), "off".to_owned())]);
    }

    #[test]
    fn the_environment_of_ramp_changes_no_scenario() {
        const TEST: &str = "scenario::tests::the_environment_of_ramp_changes_no_scenario";
        assert_eq!(scenario(&json!([]), &[]).needs().memory, Some(Bytes(0)));
        if std::env::var_os("WORKLOAD_MEMORY").is_some() {
            return;
        }
        // Again in a process that has the variables.
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", TEST]).env("WORKLOAD_MEMORY", "300M").env("WORKLOAD_CPU", "no number");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    fn the_subcommand_node_is_a_command_line_but_no_load() {
        let node = scenario(&json!([]), &["node", "--listen", "[::]:80"]);
        assert!(node.load().unwrap_err().contains("its subcommand node"));
        assert!(node.command_line().unwrap().reports().listen.is_some());
    }

    #[test]
    fn what_is_no_deployment_of_one_container_is_refused_with_what_was_found() {
        let refusal = |text: &str| Scenario::parse(text).unwrap_err();
        assert!(refusal("kind: Pod\napiVersion: v1").contains("kind Pod"));
        assert!(refusal("").contains("documents"), "{}", refusal(""));
        assert!(refusal("a: [").contains("malformed YAML"));
        let manifest = MEMORY_CAPACITY.replace("image: localhost/workload:0.1.0", "image: 5");
        assert!(Scenario::parse(&manifest).is_ok(), "a number is read as it is written");
        let manifest = MEMORY_CAPACITY.replace("  name: memory-capacity\n", "");
        assert!(Scenario::parse(&manifest).unwrap_err().contains("metadata.name"));
    }
}
