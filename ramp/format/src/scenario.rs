//! Scenario: a Deployment manifest, and the fields of it that engines use.

mod documents;
mod environment;
pub mod resources;
mod shape;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use workload::cli::Args;
use workload::config::LoadSpec;
use workload::quantity::{Bytes, Cores, CpuTarget, MemoryTarget, Percent, Rate};

use crate::preflight::AdmittedResources;
use crate::study::Limits;
use crate::text::{scalar as text, without_label};
use documents::Documents;
pub use environment::Environment;
use environment::Variable;
use resources::{ContainerResources, PodResources};

/// The built-in scenario: the main one of the study.
const MEMORY_CAPACITY: &str = include_str!("../../../deploy/runc/memory-capacity.yaml");

/// Prefix of the variables that set the options of the load.
const VARIABLE_PREFIX: &str = "WORKLOAD_";

/// Memory that the load of an instance allocates.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryNeed {
    /// So many bytes.
    Bytes(Bytes),
    /// A share of the smaller of the limit and the machine.
    Share(Percent),
    /// All that it can get.
    Max,
    /// Not known, for this reason.
    Unknown(String),
}

/// Resources of an instance, as far as the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceNeeds {
    /// Memory that its load allocates.
    pub memory: MemoryNeed,
    /// Requests and limits.
    pub resources: PodResources,
    /// Names of the containers that run beside the load and take memory too.
    pub others: Vec<String>,
}

impl InstanceNeeds {
    /// Memory that the load allocates on a machine with so much memory, if both are known.
    #[must_use]
    pub fn memory_on(&self, machine: Option<Bytes>) -> Option<Bytes> {
        match self.memory {
            MemoryNeed::Bytes(bytes) => Some(bytes),
            MemoryNeed::Share(percent) => {
                let whole = machine?.min(self.resources.load_limit.unwrap_or(Bytes(u64::MAX)));
                Some(Bytes(percent.of(whole.0)))
            }
            MemoryNeed::Max | MemoryNeed::Unknown(_) => None,
        }
    }
}

/// A Deployment, of whose containers one is the load.
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
    /// Its container that is the load.
    pub container: Container,
    /// Resources of its pods.
    pub resources: PodResources,
    /// Other objects in its file, such as `Namespace/workload`; they are not applied.
    pub other_objects: Vec<String>,
    /// Index of the container in the pod template.
    index: usize,
}

/// The container of each instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// Command, with references to variables expanded; overrides the entry point of the image.
    pub command: Vec<String>,
    /// Its arguments, with references to variables expanded.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Environment,
    /// Memory request.
    pub memory_request: Option<Bytes>,
    /// Memory limit: its own, or that of the pod where it is lower.
    pub memory_limit: Option<Bytes>,
    /// CPU request.
    pub cpu_request: Option<Cores>,
    /// CPU limit.
    pub cpu_limit: Option<Cores>,
    /// Words of the command and of the arguments whose variables are not known, as they are written, and why.
    unknown_words: BTreeMap<String, String>,
}

/// The load of a container: settings that the manifest does not determine have their defaults.
struct LoadReading<T> {
    load: T,
    /// Names of the options that are not known, and why.
    unknown: BTreeMap<String, String>,
}

impl Scenario {
    /// Reads a manifest.
    ///
    /// # Errors
    /// If the file cannot be read, or has not exactly one Deployment, or none of its containers is known to be the load.
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
    /// If it has not exactly one Deployment, or a field that is read has a wrong type, or none of its containers is known to be the
    /// load.
    pub fn parse(text: &str) -> Result<Self, String> {
        let documents = documents::parse(text)?;
        shape::check(&documents.deployment)?;
        Self::among(documents)
    }

    /// Reads a parsed manifest.
    ///
    /// # Errors
    /// As of [`Self::parse`].
    pub fn of(manifest: Value) -> Result<Self, String> {
        Self::among(documents::of(vec![manifest])?)
    }

    fn among(Documents { deployment: manifest, others }: Documents) -> Result<Self, String> {
        let name = text(&manifest["metadata"]["name"]).ok_or("metadata.name is missing")?;
        let pod = &manifest["spec"]["template"]["spec"];
        let index = load_index(pod)?;
        let container = Container::of(&manifest["spec"]["template"], index)?;
        let resources = PodResources::of(pod, &container.name)?;
        Ok(Self {
            name,
            namespace: text(&manifest["metadata"]["namespace"]),
            runtime_class: text(&pod["runtimeClassName"]),
            container: Container { memory_limit: resources.load_limit, ..container },
            resources,
            other_objects: others,
            index,
            manifest,
        })
    }

    /// The spec of its pods.
    #[must_use]
    pub fn pod_spec(&self) -> &Value {
        &self.manifest["spec"]["template"]["spec"]
    }

    /// The container that is the load, as in the manifest.
    #[must_use]
    pub fn container_spec(&self) -> &Value {
        &self.pod_spec()["containers"][self.index]
    }

    /// Names of the containers other than the load. Those that run as long as it are the containers beside it and sidecars; the
    /// others are init containers, which end before it starts.
    #[must_use]
    pub fn other_containers(&self, run_as_long: bool) -> Vec<String> {
        let list = |list: &str| self.pod_spec()[list].as_array().map_or(&[][..], Vec::as_slice);
        let beside = list("containers").iter().enumerate().filter(|(index, _)| *index != self.index);
        let init = list("initContainers").iter();
        let init = init.filter(|container| !run_as_long || container["restartPolicy"] == "Always");
        let all = beside.map(|(_, container)| container).chain(init);
        all.map(|container| text(&container["name"]).unwrap_or_else(|| "unnamed".into())).collect()
    }

    /// The load of the container, from its arguments and its environment; ramp's own environment does not count. A setting that
    /// the manifest does not determine has its default: see [`Self::unknown_settings`].
    ///
    /// # Errors
    /// If the container does not run the load, or its arguments cannot be parsed.
    pub fn load(&self) -> Result<LoadSpec, String> {
        Ok(self.reading()?.load)
    }

    /// Why the load of the container cannot start with its arguments. None where it can, or where the container runs something else.
    #[must_use]
    pub fn malformed_arguments(&self) -> Option<String> {
        self.container.runs_the_load().ok()?;
        self.reading().err()
    }

    /// Options of the load whose values the manifest does not determine, such as those from a Secret, each with the reason.
    #[must_use]
    pub fn unknown_settings(&self) -> BTreeMap<String, String> {
        self.reading().map(|reading| reading.unknown).unwrap_or_default()
    }

    /// The same for a container that may also run `workload node`.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn command_line(&self) -> Result<Args, String> {
        Ok(self.parsed(|arguments, variable| Args::from_arguments(arguments, variable))?.load)
    }

    fn reading(&self) -> Result<LoadReading<LoadSpec>, String> {
        self.parsed(|arguments, variable| LoadSpec::from_arguments(arguments, variable))
    }

    fn parsed<T>(
        &self,
        parse: impl FnOnce(Vec<String>, &dyn Fn(&str) -> Option<String>) -> Result<T, String>,
    ) -> Result<LoadReading<T>, String> {
        self.container.runs_the_load()?;
        self.parsed_as_the_load(parse)
    }

    fn parsed_as_the_load<T>(
        &self,
        parse: impl FnOnce(Vec<String>, &dyn Fn(&str) -> Option<String>) -> Result<T, String>,
    ) -> Result<LoadReading<T>, String> {
        let container = &self.container;
        let (arguments, unknown) = container.arguments()?;
        let unknown = RefCell::new(unknown);
        let variable = |name: &str| match container.env.variable(name) {
            Variable::Known(value) => Some(value),
            Variable::Unknown(source) => {
                let option = name.trim_start_matches(VARIABLE_PREFIX).to_lowercase().replace('_', "-");
                unknown.borrow_mut().entry(option).or_insert(format!("{name} comes from {source}"));
                None
            }
            Variable::Unset => None,
        };
        let load = parse(arguments, &variable).map_err(|error| {
            let error = without_label(&error);
            let error = error.split("\n\nFor more information").next().unwrap_or_default();
            format!("the arguments of the container are malformed: {error}")
        })?;
        Ok(LoadReading { load, unknown: unknown.into_inner() })
    }

    /// Resources of each instance, as far as the manifest says.
    #[must_use]
    pub fn needs(&self) -> InstanceNeeds {
        let memory = match self.reading() {
            Err(why) => MemoryNeed::Unknown(why),
            Ok(LoadReading { load, unknown }) => match (unknown.get("memory"), load.memory) {
                (Some(why), _) => MemoryNeed::Unknown(why.clone()),
                (None, MemoryTarget::Bytes(bytes)) => MemoryNeed::Bytes(bytes),
                (None, MemoryTarget::Percent(percent)) => MemoryNeed::Share(percent),
                (None, MemoryTarget::Max) => MemoryNeed::Max,
            },
        };
        let resources = PodResources { load_limit: self.container.memory_limit, ..self.resources };
        InstanceNeeds { memory, resources, others: self.other_containers(true) }
    }

    /// Changes the resident set of each instance.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn with_memory(&self, memory: MemoryTarget) -> Result<Self, String> {
        self.with_load(|load| load.memory = memory)
    }

    /// Changes the CPU usage of each instance.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn with_cpu(&self, cpu: CpuTarget) -> Result<Self, String> {
        self.with_load(|load| load.cpu = cpu)
    }

    /// Changes the limits of the load's container; other containers keep theirs. A request that is larger than its limit becomes the limit.
    ///
    /// # Errors
    /// If a quantity of the manifest is malformed.
    pub fn with_limits(&self, limits: &Limits) -> Result<Self, String> {
        let mut manifest = self.manifest.clone();
        let container = &mut manifest["spec"]["template"]["spec"]["containers"][self.index];
        let before = ContainerResources::of(container)?;
        let mut set = |resource: &str, limit: String, is_exceeded: bool| {
            container["resources"]["limits"][resource] = json!(limit);
            if is_exceeded {
                container["resources"]["requests"][resource] = json!(limit);
            }
        };
        if let Some(limit) = limits.memory {
            set("memory", limit.0.to_string(), before.memory_request.is_some_and(|request| request > limit));
        }
        if let Some(limit) = limits.cpu {
            set("cpu", limit.to_string(), before.cpu_request.is_some_and(|request| request > limit));
        }
        Self::among(Documents { deployment: manifest, others: self.other_objects.clone() })
    }

    /// Changes the load of each instance. What the manifest does not determine stays as it is written, unless it is changed.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn with_load(&self, change: impl FnOnce(&mut LoadSpec)) -> Result<Self, String> {
        // Of an image that nothing else is told of: whoever sets its load says that it is one.
        if !self.container.is_untold() {
            self.container.runs_the_load()?;
        }
        let parse = |arguments, variable: &dyn Fn(&str) -> Option<String>| {
            LoadSpec::from_arguments(arguments, variable)
        };
        let LoadReading { mut load, unknown } = self.parsed_as_the_load(parse)?;
        let before = load.settings();
        change(&mut load);
        let is_kept = |name: &str, value: &String| {
            unknown.contains_key(name) && before.iter().any(|(known, was)| *known == name && was == value)
        };
        let settings = load.settings();
        let changed = settings.iter().filter(|(name, value)| !is_kept(name, value));
        let mut args: Vec<String> = changed.map(|(name, value)| format!("--{name}={value}")).collect();
        let is_set = |name: &str| args.iter().any(|arg| arg.starts_with(&format!("--{name}=")));
        let words = self.container.unknown_options();
        let kept = words.into_iter().filter(|(name, _)| !is_set(name)).map(|(_, word)| word);
        args.extend(kept.collect::<Vec<_>>());
        let mut manifest = self.manifest.clone();
        let container = &mut manifest["spec"]["template"]["spec"]["containers"][self.index];
        container["args"] = json!(args);
        // The command keeps only its program: its other words are among the arguments now.
        if let Some(Value::Array(command)) = container.get_mut("command") {
            command.truncate(1);
        }
        // The arguments have every known setting: a variable would bring back one that is set to none.
        let is_setting = |variable: &Value| {
            variable["name"].as_str().is_some_and(|name| name.starts_with(VARIABLE_PREFIX))
        };
        if let Some(Value::Array(variables)) = container.get_mut("env") {
            variables.retain(|variable| !is_setting(variable) || !variable["valueFrom"].is_null());
        }
        let others = self.other_objects.clone();
        Self::among(Documents { deployment: manifest, others })
    }

    /// Time an instance needs to allocate so much memory, as far as its arguments say.
    #[must_use]
    pub fn fill_seconds(&self, memory: Bytes) -> Option<f64> {
        let LoadReading { load, unknown } = self.reading().ok()?;
        match load.growth_rate {
            _ if unknown.contains_key("growth-rate") => None,
            Rate::Instant => Some(0.0),
            Rate::PerSecond(rate) => Some(memory.0 as f64 / rate.0 as f64),
        }
    }
}

/// The index of the container that is the load: the only one, else the one that bears its name, else the one that runs it.
fn load_index(pod: &Value) -> Result<usize, String> {
    let containers = pod["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if let [_] = containers {
        return Ok(0);
    }
    let is_named = |container: &Value| container["name"] == "workload";
    let runs_it = |container: &Value| match container["command"].get(0).and_then(Value::as_str) {
        Some(program) => is_workload(program),
        None => image_name(container["image"].as_str().unwrap_or_default()) == "workload",
    };
    let only = |is_load: &dyn Fn(&Value) -> bool| {
        let mut found = containers.iter().enumerate().filter(|(_, container)| is_load(container));
        found.next().filter(|_| found.next().is_none()).map(|(index, _)| index)
    };
    only(&is_named).or_else(|| only(&runs_it)).ok_or_else(|| {
        let names: Vec<_> = containers.iter().map(|container| text(&container["name"]).unwrap_or_default()).collect();
        format!(
            "found {} containers in the pod template ({}); expected one, or one of several that is named workload or runs \
             the image workload",
            names.len(),
            names.join(", ")
        )
    })
}

fn is_workload(program: &str) -> bool {
    program.rsplit('/').next() == Some("workload")
}

/// `registry:5000/some/workload:0.1@sha256:…` is `workload`.
fn image_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next().unwrap_or(last)
}

impl Container {
    /// What an engine admits that runs the container alone and reserves nothing, and whether it enforces its memory limit.
    #[must_use]
    pub fn alone(&self, is_limited: bool) -> AdmittedResources {
        let limit = self.memory_limit;
        AdmittedResources {
            memory_limit_bytes: limit.filter(|_| is_limited).map(|bytes| bytes.0),
            ..AdmittedResources::default()
        }
    }

    fn of(template: &Value, index: usize) -> Result<Self, String> {
        let pod = &template["spec"];
        let value = &pod["containers"][index];
        let mut resources = BTreeMap::new();
        for container in
            ["containers", "initContainers"].iter().filter_map(|list| pod[*list].as_array()).flatten()
        {
            let name = text(&container["name"]).unwrap_or_default();
            resources.insert(name, ContainerResources::of(container)?);
        }
        let own = ContainerResources::of(value)?;
        let env = Environment::of(value, &resources, template);
        let mut unknown_words = BTreeMap::new();
        let mut words = |key: &str| -> Vec<String> {
            let written = value[key].as_array().into_iter().flatten().filter_map(text);
            written
                .map(|word| match env.expand(&word) {
                    Ok(expanded) => expanded,
                    Err(why) => {
                        unknown_words.insert(word.clone(), why);
                        word
                    }
                })
                .collect()
        };
        let (command, args) = (words("command"), words("args"));
        Ok(Self {
            name: text(&value["name"]).unwrap_or_default(),
            image: text(&value["image"]).ok_or("the container has no image")?,
            command,
            args,
            env,
            memory_request: own.memory_request,
            memory_limit: own.memory_limit,
            cpu_request: own.cpu_request,
            cpu_limit: own.cpu_limit,
            unknown_words,
        })
    }

    /// # Errors
    /// Why it does not run the load, or is not known to.
    fn runs_the_load(&self) -> Result<(), String> {
        match self.command.first() {
            Some(program) if self.unknown_words.contains_key(program) => {
                Err(format!("the command of the container is {program:?}: {}", self.unknown_words[program]))
            }
            Some(program) if !is_workload(program) => {
                Err(format!("the command of the container is {program:?}, expected workload"))
            }
            None if self.is_untold() => Err(
                "the container has neither command nor arguments, and its image is not workload (set --memory, if it runs \
                 workload)"
                    .into(),
            ),
            _ => Ok(()),
        }
    }

    /// Whether nothing tells what it runs: without command, arguments and settings only the image's name does.
    fn is_untold(&self) -> bool {
        let is_set = self.env.known.iter().any(|(name, _)| name.starts_with(VARIABLE_PREFIX));
        let is_told = is_set || !self.args.is_empty() || !self.command.is_empty();
        !is_told && image_name(&self.image) != "workload"
    }

    /// Words after the program, each with the reason if it is not known.
    fn words(&self) -> impl Iterator<Item = (&String, Option<&String>)> {
        let words = self.command.iter().skip(1).chain(&self.args);
        words.map(|word| (word, self.unknown_words.get(word)))
    }

    /// The arguments of the load, without options whose values are not known, and those options.
    fn arguments(&self) -> Result<(Vec<String>, BTreeMap<String, String>), String> {
        let mut arguments: Vec<String> = Vec::new();
        let mut unknown = BTreeMap::new();
        for (word, why) in self.words() {
            let Some(why) = why else {
                arguments.push(word.clone());
                continue;
            };
            let option = match option_of(word) {
                Some(option) => option,
                // Its option is the word before.
                None => arguments
                    .pop_if(|word| option_name(word).is_some())
                    .ok_or_else(|| format!("the argument {word:?} of the container is not known: {why}"))?,
            };
            let option = option.trim_start_matches('-').to_owned();
            unknown.insert(option, format!("the argument is {word:?}, and {why}"));
        }
        Ok((arguments, unknown))
    }

    /// Options whose values are not known, each as one word as it is written.
    fn unknown_options(&self) -> Vec<(String, String)> {
        let mut options = Vec::new();
        let mut before: Option<&String> = None;
        for (word, why) in self.words() {
            if why.is_some() {
                let name =
                    option_of(word).or_else(|| before.and_then(|word| option_name(word)).map(str::to_owned));
                let value = word
                    .split_once('=')
                    .filter(|_| option_of(word).is_some())
                    .map_or(word.as_str(), |(_, value)| value);
                options.extend(name.map(|name| (name.clone(), format!("--{name}={value}"))));
            }
            before = Some(word);
        }
        options
    }
}

/// The name of an option that is a word of its own: `--memory`.
fn option_name(word: &str) -> Option<&str> {
    word.strip_prefix("--").filter(|name| !name.is_empty() && !name.contains(['=', '$']))
}

/// The name of an option with its value: `--memory=$(SIZE)`.
fn option_of(word: &str) -> Option<String> {
    let (name, _) = word.strip_prefix("--")?.split_once('=')?;
    (!name.contains('$')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_scenario_takes_500_megabytes() {
        let scenario = Scenario::embedded().unwrap();
        assert_eq!(scenario.name, "memory-capacity");
        assert_eq!(scenario.needs().memory, MemoryNeed::Bytes(Bytes(500_000_000)));
        assert_eq!(scenario.runtime_class, None);
        assert!((scenario.fill_seconds(Bytes(500_000_000)).unwrap() - 500.0 / 256.0).abs() < 1e-9);
    }

    #[test]
    fn other_memory_is_in_the_manifest_as_well() {
        let memory = "100M".parse().unwrap();
        let scenario = Scenario::embedded().unwrap().with_memory(memory).unwrap();
        assert_eq!(scenario.needs().memory, MemoryNeed::Bytes(Bytes(100_000_000)));
        let again = Scenario::of(scenario.manifest.clone()).unwrap();
        assert_eq!(again.load().unwrap().settings(), scenario.load().unwrap().settings());
        assert_eq!(again.container, scenario.container);
    }

    #[test]
    fn limits_lower_the_requests_above_them_and_other_containers_keep_theirs() {
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec":
        {"containers": [
            {"name": "proxy", "image": "proxy", "resources": {"limits": {"memory": "64Mi"}}},
            {"name": "workload", "image": "workload", "args": ["--memory=100M"],
             "resources": {"requests": {"memory": "300Mi", "cpu": "100m"}, "limits": {"memory": "300Mi"}}},
        ]}}}});
        let scenario = Scenario::of(manifest).unwrap();
        let limits = Limits { memory: Some(Bytes(200 << 20)), cpu: Some("0.2".parse().unwrap()) };
        let limited = scenario.with_cpu("50m".parse().unwrap()).unwrap().with_limits(&limits).unwrap();
        let found = ContainerResources::of(limited.container_spec()).unwrap();
        assert_eq!((found.memory_limit, found.memory_request), (limits.memory, limits.memory));
        assert_eq!((found.cpu_limit, found.cpu_request), (limits.cpu, Some("0.1".parse().unwrap())));
        assert_eq!(limited.load().unwrap().cpu, "0.05".parse().unwrap());
        assert_eq!(limited.needs().resources.load_limit, limits.memory);
        assert_eq!(limited.pod_spec()["containers"][0], scenario.pod_spec()["containers"][0]);
        assert_eq!(scenario.with_limits(&Limits::default()).unwrap().manifest, scenario.manifest);
        let without = Scenario::embedded().unwrap().with_limits(&limits).unwrap();
        assert_eq!(without.needs().resources.load_limit, limits.memory);
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
        assert_eq!(scenario(&env, &[]).needs().memory, MemoryNeed::Bytes(Bytes(300_000_000)));
        assert_eq!(scenario(&env, &["--memory", "20M"]).needs().memory, MemoryNeed::Bytes(Bytes(20_000_000)));
        let other = scenario(&env, &[]).with_memory("5M".parse().unwrap()).unwrap();
        assert_eq!(other.needs().memory, MemoryNeed::Bytes(Bytes(5_000_000)));
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
        assert_eq!(again.container.env.known, [("RUST_LOG".to_owned(), "off".to_owned())]);
    }

    #[test]
    fn arguments_are_expanded_and_an_option_whose_value_is_not_known_is_named() {
        let env = json!([{"name": "SIZE", "value": "100M"}, {"name": "MEM", "value": "$(SIZE)"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
        let known = scenario(&env, &["--memory", "$(MEM)", "--cpu=$(KEY)"]);
        assert_eq!(known.container.args, ["--memory", "100M", "--cpu=$(KEY)"]);
        assert_eq!(known.needs().memory, MemoryNeed::Bytes(Bytes(100_000_000)));
        assert_eq!(known.unknown_settings().into_keys().collect::<Vec<_>>(), ["cpu"]);
        let unknown = scenario(&env, &["--cpu", "0.5", "--memory", "$(KEY)"]);
        let MemoryNeed::Unknown(why) = unknown.needs().memory else { panic!() };
        assert_eq!(why, "the argument is \"$(KEY)\", and KEY comes from Secret \"s\", key \"k\"");
        // What is not known stays as it is written, until it is set.
        let changed = known.with_memory("5M".parse().unwrap()).unwrap();
        assert!(changed.container.args.contains(&"--cpu=$(KEY)".to_owned()), "{:?}", changed.container.args);
        assert_eq!(changed.needs().memory, MemoryNeed::Bytes(Bytes(5_000_000)));
        let set = unknown.with_memory("5M".parse().unwrap()).unwrap();
        assert_eq!(set.needs().memory, MemoryNeed::Bytes(Bytes(5_000_000)));
        assert!(set.unknown_settings().is_empty() && !set.container.args.concat().contains("KEY"));
        assert!(scenario(&env, &["$(KEY)"]).load().unwrap_err().contains("is not known: KEY comes from"));
        assert!(scenario(&env, &["--$x", "$(KEY)"]).with_memory("5M".parse().unwrap()).is_err());
    }

    #[test]
    fn of_several_containers_the_load_is_the_one_that_is_named_for_it_or_runs_it() {
        let of = |containers: &Value| {
            let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                "spec": {"template": {"spec": {"containers": containers,
                    "initContainers": [{"name": "setup", "image": "b"}]}}}});
            Scenario::of(manifest)
        };
        let load = json!({"name": "workload", "image": "x", "args": ["--memory", "5M"]});
        let second = of(&json!([{"name": "proxy", "image": "workload"}, load])).unwrap();
        assert_eq!(
            (second.container.name.as_str(), second.needs().others),
            ("workload", vec!["proxy".to_owned()])
        );
        assert_eq!(second.other_containers(false), ["proxy", "setup"]);
        let changed = second.with_memory("7M".parse().unwrap()).unwrap();
        assert_eq!(changed.needs().memory, MemoryNeed::Bytes(Bytes(7_000_000)));
        assert!(
            changed.manifest.pointer("/spec/template/spec/containers/0/args").is_none(),
            "another container"
        );
        let by_image = json!([{"name": "a", "image": "nginx"}, {"name": "b", "image": "r:5/x/workload:1"}]);
        assert_eq!(of(&by_image).unwrap().container.name, "b");
        let refusal = of(&json!([{"name": "a", "image": "x"}, {"name": "b", "image": "y"}])).unwrap_err();
        assert!(
            refusal.starts_with("found 2 containers in the pod template (a, b); expected one"),
            "{refusal}"
        );
        assert!(of(&json!([])).unwrap_err().starts_with("found 0 containers"));
    }

    #[test]
    fn an_image_that_nothing_tells_of_is_no_load_of_nothing() {
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "nginx"}]}}}});
        let untold = Scenario::of(manifest).unwrap();
        assert!(
            matches!(untold.needs().memory, MemoryNeed::Unknown(why) if why.contains("neither command nor"))
        );
        let told = untold.with_memory("5M".parse().unwrap()).unwrap();
        assert_eq!(told.needs().memory, MemoryNeed::Bytes(Bytes(5_000_000)));
    }

    #[test]
    fn the_environment_of_ramp_changes_no_scenario() {
        const TEST: &str = "scenario::tests::the_environment_of_ramp_changes_no_scenario";
        assert_eq!(scenario(&json!([]), &[]).needs().memory, MemoryNeed::Bytes(Bytes(0)));
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
        assert!(refusal("kind: Pod\napiVersion: v1").contains("found Pod"));
        assert!(refusal("a: [").contains("malformed YAML"));
        let manifest = MEMORY_CAPACITY.replace("image: localhost/workload:0.1.0", "image: 5");
        assert!(Scenario::parse(&manifest).is_ok(), "a number is read as it is written");
        let manifest = MEMORY_CAPACITY.replace("  name: memory-capacity\n", "");
        assert!(Scenario::parse(&manifest).unwrap_err().contains("metadata.name"));
    }
}
